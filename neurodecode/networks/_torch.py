"""torch, loaded when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def torch() -> Any:
    """Return torch.

    Raises
    ------
    ImportError
        If it is not installed, with the command that installs it.
    """
    try:
        return import_module("torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "neurodecode.networks needs torch, which is not installed; install it with "
            "pip install 'neurodecode-toolkit[vision]'"
        ) from error
