"""Work that is done once: what was finished before is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

from neurodecode.store.pieces import Pieces


def kept(pieces: Pieces | None, name: str, make: Callable[[], xr.DataArray | xr.Dataset]) -> Any:
    """Return what ``make`` returns, saved as the piece of that name; a finished piece is loaded instead."""
    if pieces is not None and not pieces.lacks(name):
        return pieces.load(name)
    found = make()
    if pieces is not None:
        pieces.save(name, found)
    return found
