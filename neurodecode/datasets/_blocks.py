"""Rows that are read part by part: a session, a run or some trials at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..labels import require_memory
from ..lazy import has_dask


def rows(
    read: Callable[..., np.ndarray],
    calls: Sequence[tuple[Any, ...]],
    counts: Sequence[int],
    shape: tuple[int, ...],
    *,
    what: str,
    remedy: str,
) -> Any:
    """Rows (sample, ...) of all parts in order, float32: a dask array, one chunk a part, or all in memory without dask.

    Parameters
    ----------
    read : (*call) -> (count, *shape)
        Reads one part. With dask it is called when the part is needed, maybe in another process.
    calls, counts : what ``read`` is called with, and how many rows it returns, for each part
    shape : of one row
    what, remedy : for the error, if everything must be read at once and does not fit

    Raises
    ------
    MemoryError
        If it would not fit and dask is not there.
    """
    if has_dask():
        import dask
        import dask.array

        lazily = dask.delayed(read, pure=False)
        return dask.array.concatenate(
            [
                dask.array.from_delayed(lazily(*call), (count, *shape), np.float32)
                for call, count in zip(calls, counts, strict=True)
            ]
        )
    total = sum(counts)
    require_memory(
        4 * total * int(np.prod(shape)),
        what=what,
        remedy=f"{remedy}, or install dask (the extra 'scale')",
    )
    values = np.empty((total, *shape), np.float32)
    last = 0
    for call, count in zip(calls, counts, strict=True):
        values[last : last + count] = read(*call)
        last += count
    return values
