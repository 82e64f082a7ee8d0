"""What an array holds, as sixteen hex digits."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

HASH_BYTES = 1 << 24
# From this size on values are summed, each mixed with its place, so that chunks may be read in any order: in C order,
# epochs that are chunked in time would be read from beginning to end for every few trials.
SUM_BYTES = 1 << 30


def data_hash(*arrays: Any) -> str:
    """Hash the content of arrays: values, dtype, shape, dimension names and coordinate labels.

    Equal content gives an equal hash whatever the memory order, the byte order or the width of strings; one
    changed value or label gives another. Names and attributes do not count, and neither does the order in which
    coordinates were added.

    Parameters
    ----------
    *arrays : array-like, DataArray or Dataset
        dask arrays are read block by block.

    Returns
    -------
    The first 16 hex digits of the SHA-256 sum.
    """
    digest = hashlib.sha256()
    for array in arrays:
        if isinstance(array, xr.Dataset):
            parts = {
                f"variable {k}": v.variable
                for k, v in sorted(array.data_vars.items(), key=lambda kv: str(kv[0]))
            }
        elif isinstance(array, xr.DataArray):
            parts = {"values": array.variable}
        else:
            values = array if hasattr(array, "dtype") and hasattr(array, "shape") else np.asarray(array)
            parts = {"values": xr.Variable([f"axis_{i}" for i in range(values.ndim)], values)}
        if isinstance(array, xr.DataArray | xr.Dataset):
            parts |= {f"coord {k}": array.coords[k].variable for k in sorted(array.coords, key=str)}
        digest.update(f"[{len(parts)}]".encode())
        for name, variable in parts.items():
            _hash_variable(digest, name, variable)
    return digest.hexdigest()[:16]


def _hash_variable(digest: Any, name: str, variable: xr.Variable) -> None:
    dtype = variable.dtype
    text = not isinstance(dtype, np.dtype) or dtype.kind in "OUTS"
    kind = "text" if text else dtype.newbyteorder("<").str
    digest.update(json.dumps([name, list(map(str, variable.dims)), list(variable.shape), kind]).encode())
    if not text and variable.size * variable.dtype.itemsize >= SUM_BYTES and dtype.itemsize in (1, 2, 4, 8):
        digest.update(_mixed_sum(variable).to_bytes(8, "little"))
        return
    for block in _blocks(variable):
        if text:
            for value in block.ravel().tolist():  # one by one, so that where blocks begin does not count
                digest.update(f"{type(value).__name__} {value!r}\n".encode("utf-8", "backslashreplace"))
        else:
            little = np.ascontiguousarray(block, dtype=block.dtype.newbyteorder("<"))
            digest.update(little.reshape(-1).view(np.uint8).data)


def _blocks(variable: xr.Variable) -> Iterator[np.ndarray]:
    """Values in C order, some rows at a time, so that no second copy of a large array is made."""
    if variable.ndim == 0 or variable.size == 0:
        yield np.asarray(variable.values).reshape(-1)
        return
    item = getattr(variable.dtype, "itemsize", 8)
    rows = max(1, HASH_BYTES // max(1, item * variable.size // variable.shape[0]))
    for start in range(0, variable.shape[0], rows):
        yield np.asarray(variable[start : start + rows].values)


def _mixed_sum(variable: xr.Variable) -> int:
    """Sum over values of a mixture of their bits and their places in C order (splitmix64: Steele et al. 2014)."""
    little, unsigned = variable.dtype.newbyteorder("<"), np.dtype(f"<u{variable.dtype.itemsize}")
    strides = np.cumprod([1, *variable.shape[:0:-1]], dtype=np.uint64)[::-1]
    total = np.uint64(0)
    for slices in _chunks(variable):
        bits = np.ascontiguousarray(variable[slices].values, dtype=little).view(unsigned)
        rows = max(1, HASH_BYTES // (8 * max(1, bits[0].size)))
        rest = _places(slices[1:], strides[1:])
        for first in range(0, len(bits), rows):
            part = bits[first : first + rows].astype(np.uint64)
            start = slices[0].start + first
            mixed = (
                _places((slice(start, start + len(part)),), strides[:1]).reshape(-1, *[1] * rest.ndim) + rest
            )
            with np.errstate(over="ignore"):
                mixed *= np.uint64(0x9E3779B97F4A7C15)
                mixed ^= part
                for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                    mixed ^= mixed >> np.uint64(shift)
                    mixed *= np.uint64(factor)
                mixed ^= mixed >> np.uint64(31)
                total += mixed.sum(dtype=np.uint64)
    return int(total)


def _chunks(variable: xr.Variable) -> Iterator[tuple[slice, ...]]:
    """Slices of what is read at a time: the chunks of a dask array, else some rows."""
    sizes: tuple[Sequence[int], ...] | None = variable.chunks
    if sizes is None:
        rows = max(1, HASH_BYTES // max(1, variable[0].size * variable.dtype.itemsize))
        first = [min(rows, len(variable) - at) for at in range(0, len(variable), rows)]
        sizes = (first, *([n] for n in variable.shape[1:]))
    ends = [np.cumsum(each).tolist() for each in sizes]
    yield from itertools.product(
        *(
            [slice(end - n, end) for end, n in zip(e, each, strict=True)]
            for e, each in zip(ends, sizes, strict=True)
        )
    )


def _places(slices: tuple[slice, ...], strides: np.ndarray) -> np.ndarray:
    """Place in C order of every element of a block, by its own axes."""
    places = np.zeros((), np.uint64)
    for part, stride in zip(slices, strides, strict=True):
        places = np.add.outer(places, np.arange(part.start, part.stop, dtype=np.uint64) * stride)
    return places
