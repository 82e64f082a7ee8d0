"""Sums over many drawn maps, batch by batch: none is kept, finished batches are, and a bar shows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr
from tqdm import tqdm

from .. import store


def batches(n: int, size: int) -> list[range]:
    """Cut draws 0 to n - 1 into batches."""
    return [range(first, min(first + size, n)) for first in range(0, n, size)]


def folder(resume: str | Path | None, key: dict[str, Any]) -> store.Pieces | None:
    """Return where finished batches are kept, if anywhere."""
    return None if resume is None else store.Pieces(resume, key=key)


def done(
    make: Callable[[range], xr.Dataset],
    parts: list[range],
    *,
    name: str,
    pieces: store.Pieces | None,
    bar: tqdm,
) -> Iterator[Any]:
    """Yield what ``make`` returns of every batch; kept ones are loaded."""
    for part in parts:
        found = store.kept(pieces, f"{name}-{part.start:06d}", partial(make, part))
        bar.update(len(part))
        yield found
