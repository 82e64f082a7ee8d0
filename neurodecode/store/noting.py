"""Warnings that were raised while a result was made, kept beside it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import xarray as xr

Show = Callable[..., Any]


class Watch:
    """Python's own hook for warnings while a run is watched: shows them as before, and keeps their words."""

    def __init__(self, show: Show) -> None:
        self.show = show
        self.said: list[str] = []

    def __call__(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        """Keep the words, once, and show them."""
        words = f"{category.__name__}: {message}"
        if words not in self.said:
            self.said.append(words)
        self.show(message, category, filename, lineno, file, line)


@contextmanager
def noting() -> Iterator[list[str]]:
    """Watch the warnings of a run; what is stamped inside the block says which were raised, also where none was.

    Only warnings that Python shows are noted, each once, and those of this process: another process, such as a
    cluster's worker, keeps its own. Of a run that was resumed, those of its last process.

    Yields
    ------
    list of str
        The words, as they come: ``"UserWarning: ..."``.

    Examples
    --------
    >>> import warnings, numpy as np, xarray as xr, neurodecode as nd
    >>> with nd.store.noting() as said:
    ...     warnings.warn("only two subjects", stacklevel=1)
    ...     result = nd.store.stamp(xr.DataArray(np.zeros(2)), what="mine", parameters={})
    >>> nd.store.provenance(result)["warnings"]
    ['UserWarning: only two subjects']
    """
    with warnings.catch_warnings():  # puts the hook back
        yield watch()


def watch() -> list[str]:
    """Watch warnings until this process ends: for a script, which is one run. :func:`noting` is for a part of one."""
    hook = Watch(warnings.showwarning)
    warnings.showwarning = hook
    return hook.said


def said() -> list[str] | None:
    """Return the warnings of the run that is being watched; None if none is."""
    hook = warnings.showwarning
    return list(hook.said) if isinstance(hook, Watch) else None


def with_warnings(result: xr.DataArray | xr.Dataset) -> xr.DataArray | xr.Dataset:
    """Return a copy of a stamped result that names the warnings raised up to now; itself if no run is watched.

    For the end of a run, since a stamp knows only what came before it. A result without a stamp stays without.
    """
    words = said()
    if words is None or "provenance" not in result.attrs:
        return result
    record = json.loads(result.attrs["provenance"]) | {"warnings": words}
    return result.assign_attrs(provenance=json.dumps(record, allow_nan=False))
