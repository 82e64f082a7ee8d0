"""The one door to torchvision, timm, open_clip, transformers and diffusers, for the whole package.

The last four import torchvision, whose compiled part may not fit the torch that is installed (a CPU build, say). The
import then fails with ``operator torchvision::nms does not exist``, and what fails afterwards names another reason.
None of its operators is used here: two missing declarations are enough for the import to pass. Afterwards
``torchvision.ops.nms`` and ``torchvision.io`` do not work; Pillow reads pictures.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any

EXTRA = "pip install 'neurodecode-toolkit[vision]'"
_MISSING = "torchvision::nms"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def torch() -> Any:
    """Return torch.

    Raises
    ------
    ImportError
        If it is not installed, with the command that installs it.
    """
    return _imported("torch")


def torchvision() -> Any:
    """Return torchvision, mended where its compiled part does not fit torch."""
    return _mended()[0]


def timm() -> Any:
    """Return timm."""
    return _after_torchvision("timm")


def open_clip() -> Any:
    """Return open_clip."""
    return _after_torchvision("open_clip")


def transformers() -> Any:
    """Return transformers."""
    return _after_torchvision("transformers")


def diffusers() -> Any:
    """Return diffusers."""
    return _after_torchvision("diffusers")


def _after_torchvision(name: str) -> Any:
    _mended()
    return _imported(name)


@cache
def _mended() -> tuple[Any, Any]:
    """Return torchvision and, where it had to be mended, the declarations, which live as long as they are kept."""
    _imported("torch")
    try:
        return _imported("torchvision"), None
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # half loaded
    declarations = torch().library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        declarations.define(operator + _SCHEMA)
    return _imported("torchvision"), declarations


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != name:
            raise
        raise ImportError(
            f"neurodecode.vision needs {name}, which is not installed; install it with {EXTRA}"
        ) from error
