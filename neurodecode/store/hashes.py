"""What an array holds, as sixteen hex digits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

HASH_BYTES = 1 << 24


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
