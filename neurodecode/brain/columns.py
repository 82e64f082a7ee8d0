"""Values and labels in whatever container they come, as the plain arrays that the constructors put together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..labels import LAYER, SAMPLE, STIMULUS, listed, written

# Labels that must be there; elsewhere a missing text is "", as in a voxel of no region.
NEEDED = (SAMPLE, STIMULUS, "channel", "hemi", "vertex", LAYER)


def numbers(values: Any, dims: tuple[str, ...], *, who: str) -> Any:
    """Return an array of real numbers with the axes ``dims``; small integers and half floats become float32.

    A lazy array stays lazy. A labelled array with these very dims is brought into their order.
    """
    if isinstance(values, xr.DataArray):
        values = values.transpose(*dims) if set(values.dims) == set(dims) else values
        if values.ndim == len(dims):
            _require_places(values.dims, dims, who=who)
        values = values.data
    array = values if hasattr(values, "__array_function__") else _array(values, dims, who=who)
    if array.ndim != len(dims):
        raise ValueError(f"{who} must have the axes {dims}, got shape {tuple(array.shape)}")
    if 0 in array.shape:
        raise ValueError(f"{who} are empty: {dims} have the shape {tuple(array.shape)}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{who} must be real numbers, got dtype {array.dtype}; convert them first")
    small = array.dtype.itemsize <= (4 if array.dtype.kind == "f" else 2)
    return array.astype(np.float32 if small else np.float64, copy=False)


def _require_places(own: Sequence[Hashable], dims: tuple[str, ...], *, who: str) -> None:
    """Refuse names of dimensions that say that axes are turned; other names say nothing, and go by position."""
    turned = [d for i, d in enumerate(own) if d in dims and i != dims.index(str(d))]
    if turned:
        raise ValueError(
            f"{who} must be {dims}, but lie along {tuple(map(str, own))}, with {listed(turned)} in another place; use "
            ".transpose, or .rename the other dimensions too"
        )


def _array(values: Any, dims: tuple[str, ...], *, who: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{who} must have the axes {dims}, but rows are of unequal length; fill them up or cut them"
        ) from error


def column(labels: Any, size: int, name: str, dim: str, *, broadcast: bool = False) -> np.ndarray:
    """Labels as an array of the axis' length; one value is repeated where ``broadcast``."""
    # NumPy would write a hole in a list of texts as "nan".
    array = np.asarray(labels, dtype=object if isinstance(labels, list | tuple) else None)
    if broadcast and array.ndim == 0:
        array = np.repeat(array, size)
    if array.shape != (size,):
        raise ValueError(
            f"{name} must have one entry for each of {size} along {dim!r}, got shape {array.shape}"
        )
    missing = np.flatnonzero(pd.isna(array))
    if missing.size and name in NEEDED:
        raise ValueError(
            f"{name} has {missing.size} missing label(s) among {size}, first at position {missing[0]}; give every "
            f"{dim} one, or leave these out"
        )
    if array.dtype.kind in "mM" and np.datetime_data(array.dtype)[0] == "generic":
        raise ValueError(
            f"{name} is NaT for all of {size} along {dim!r}, no date and no time; give values, or None"
        )
    try:
        return _plain(array)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} has bytes that are no UTF-8 text, {error.object!r}; give text, decoded as the file was written"
        ) from error


def _plain(array: np.ndarray) -> np.ndarray:
    """Labels of a dtype that netCDF keeps: numbers in objects as numbers; bytes, pandas and mixed strings as text."""
    if array.dtype == object:
        array = pd.Series(array).infer_objects().to_numpy()
    if array.dtype.kind not in "OST":
        return array
    return np.array([written(v) for v in array], dtype=str)


def labelled(values: Any, dims: Sequence[str], coords: dict[str, Any], attrs: dict[str, Any]) -> xr.DataArray:
    """Make an array without a name."""
    array = xr.DataArray(values, dims=dims, coords=coords, attrs=attrs)
    array.name = None  # a lazy array would lend its hash, and ``spaces`` would call the features so
    return array
