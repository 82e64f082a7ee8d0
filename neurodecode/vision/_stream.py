"""Rows of features computed a batch at a time, in memory or to a zarr folder that is there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..labels import FEATURE, STIMULUS, require_memory
from ..store import blocks, folders

NAME = "features"


@dataclass(frozen=True)
class Work:
    """What is to be computed, and what is written about it.

    Attributes
    ----------
    what : str, the function that a user called.
    compute : rows start to stop -> (stop - start, feature) float32.
    coords, attrs : of the result; ``coords`` hold ``stimulus``, ``layer`` and ``unit``.
    parameters, data : what the values follow from; ``data`` are hashes.
    """

    what: str
    compute: Callable[[int, int], np.ndarray]
    coords: Mapping[str, Any]
    attrs: Mapping[str, Any]
    parameters: Mapping[str, Any]
    data: Mapping[str, str]

    def in_blocks(self, batch: int) -> blocks.Work:
        """Return the same work as the store takes it: a chunk holds a batch of one layer."""
        n, p = len(self.coords[STIMULUS][1]), len(self.coords["unit"][1])
        widest = int(np.unique(self.coords["layer"][1], return_counts=True)[1].max())
        return blocks.Work(
            what=self.what,
            compute=self.compute,
            name=NAME,
            dims=(STIMULUS, FEATURE),
            shape=(n, p),
            coords=self.coords,
            attrs=self.attrs,
            parameters=self.parameters,
            data=self.data,
            chunks=(min(batch, n), widest),
        )


def run(work: Work, *, out: str | Path | None, batch: int, progress: bool) -> xr.DataArray:
    """Compute all rows; return the labelled array, which stays on disk where ``out`` is given."""
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch must be a whole number of pictures, 1 or more; got {batch!r}")
    whole = work.in_blocks(batch)
    parts = blocks.batches(whole.shape[0], batch)
    if out is not None:
        blocks.make(whole, Path(out), parts, progress=progress)
        return folders.open_blocks(out)
    require_memory(
        whole.nbytes,
        what=f"{whole.shape[0]} x {whole.shape[1]} features",
        remedy="give out=... to write them to a zarr folder",
    )
    values = np.empty(whole.shape, np.float32)
    for start, stop in blocks.tracked(parts, done=0, what=work.what, progress=progress):
        values[start:stop] = work.compute(start, stop)
    return whole.labelled(values)
