"""What the preparations share: checked rows and columns, groups of rows, float64 moments in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurodecode.labels import (
    FEATURE,
    as_labels,
    listed,
    require_array,
    require_coord,
    require_dims,
    require_finite,
    require_same,
    require_squares,
    require_units,
)

ROW_DIMS = ("sample", "stimulus")
GROUP = "group"  # not the coordinate's own name: xarray would drop one of the two
BLOCK_BYTES = 1 << 26
# A column counts as constant when it varies less than this many units in the last place of its values.
CONSTANT_ULPS = 4.0


def require_rows(array: xr.DataArray, *, who: str) -> xr.DataArray:
    """Return a labelled, finite array of numbers with samples or stimuli first, or say what is wrong."""
    array = require_array(array, who=who)
    if array.ndim < 2 or array.dims[0] not in ROW_DIMS:
        raise ValueError(
            f"{who} must have {' or '.join(map(repr, ROW_DIMS))} as its first of at least 2 dimensions, but has "
            f"{tuple(map(str, array.dims))}; use .transpose('sample', ...) or .rename"
        )
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{who} has dtype {array.dtype}; numbers are needed, e.g. .astype('float32')")
    if not array.size:
        raise ValueError(f"{who} is empty: {dict(array.sizes)}; give at least one of each")
    require_finite(array, who=who)
    require_squares(array, who=who)
    return array


def require_epochs(array: xr.DataArray, *, who: str) -> xr.DataArray:
    """Return (sample, channel, time) or (sample, channel), or say what is wrong."""
    array = require_rows(array, who=who)
    if array.dims not in (("sample", "channel", "time"), ("sample", "channel")):
        raise ValueError(
            f"{who} must be (sample, channel, time) or (sample, channel), but is {tuple(map(str, array.dims))} with "
            f"shape {array.shape}; use .transpose or .rename"
        )
    return array


def require_features(array: xr.DataArray, *, who: str) -> xr.DataArray:
    """Return (stimulus | sample, feature), or say what is wrong."""
    array = require_rows(array, who=who)
    require_dims(array, ["feature"], who=who)
    if array.ndim != 2:
        raise ValueError(
            f"{who} must be (stimulus, feature), but is {tuple(map(str, array.dims))} with shape {array.shape}; "
            "stack the other dimensions first"
        )
    return array


def require_columns(
    array: xr.DataArray, fitted: xr.DataArray, *, who: tuple[str, str], dims: tuple[str, ...] | None = None
) -> None:
    """Refuse an array whose voxels, channels, times or features are not those of the training data."""
    wanted = dims or tuple(str(d) for d in fitted.dims if d != GROUP)
    if dims is None and tuple(map(str, array.dims[1:])) != wanted:
        raise ValueError(
            f"{who[0]} has dimensions {tuple(map(str, array.dims))}, but {who[1]} had {('sample', *wanted)}; use "
            ".transpose or .rename"
        )
    for dim in wanted:
        if dim in array.coords and dim in fitted.coords:
            require_same(array, fitted, dim, who=who)
        elif (dim in array.coords) != (dim in fitted.coords):
            has, lacks = who if dim in array.coords else who[::-1]
            raise ValueError(f"{has} has labels on {dim!r} and {lacks} has none; give both the same labels")
        elif array.sizes[dim] != fitted.sizes[dim]:
            raise ValueError(
                f"{who[0]} has {array.sizes[dim]} entries in {dim!r}, but {who[1]} had {fitted.sizes[dim]}; give the "
                "same ones in the same order"
            )
    if FEATURE in wanted:
        require_units(fitted, array, who="features")


def groups_of(array: xr.DataArray, by: str | None, *, who: str) -> dict[Any, np.ndarray]:
    """Return the rows of every value of a coordinate; one group of all rows if there is none."""
    if by is None:
        return {None: np.arange(array.shape[0])}
    coord = require_coord(array, by, who=who)
    if coord.dims not in ((), (array.dims[0],)):
        raise ValueError(
            f"by={by!r} must name a coordinate of {array.dims[0]!r}, but it lies on {tuple(map(str, coord.dims))}"
        )
    labels = np.broadcast_to(coord.values, (array.shape[0],))
    try:
        # Numbers and text in one column too.
        inverse, names = pd.factorize(labels, sort=True, use_na_sentinel=False)
    except TypeError as error:
        raise ValueError(f"{by!r} of {who} must be one text or number each ({error})") from error
    missing = int(pd.isna(labels).sum())
    if missing:
        raise ValueError(
            f"{missing} of {labels.size} rows of {who} have no {by!r}; give every row one, or use by=None"
        )
    return {name: np.flatnonzero(inverse == i) for i, name in enumerate(names.tolist())}


def require_seen(groups: dict[Any, np.ndarray], fitted: xr.DataArray, by: str | None, *, who: str) -> None:
    """Refuse groups that were not in the training data."""
    if by is None:
        return
    seen = fitted[GROUP].values.tolist()
    unseen = [name for name in groups if name not in seen]
    if unseen:
        rows = sum(len(groups[name]) for name in unseen)
        raise ValueError(
            f"{who}(by={by!r}) knows {by} {listed(seen)} from training, but {rows} row(s) are of {listed(unseen)}; "
            f"fit on training rows of every {by}, or use by=None"
        )


def per_group(
    array: xr.DataArray, values: list[np.ndarray], groups: dict[Any, np.ndarray], by: str | None
) -> xr.DataArray:
    """Label fitted values like a row of the array, with the dimension group first if there are groups."""
    template = array.isel({array.dims[0]: 0}, drop=True)
    if by is None:
        return template.copy(data=values[0])
    return xr.concat([template.copy(data=v) for v in values], dim=xr.Variable(GROUP, as_labels(list(groups))))


def of_group(fitted: xr.DataArray, name: Any, by: str | None) -> np.ndarray:
    """Return the fitted values of one group."""
    return fitted.values if by is None else fitted.values[fitted[GROUP].values.tolist().index(name)]


def moments(array: xr.DataArray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over rows, in float64; the latter is exactly 0 for constant columns."""
    # Shifted by the first row, so that a large offset costs no digits and a constant leaves exactly nothing.
    shift = np.asarray(array.data[rows[0]], dtype=np.float64)
    size = np.abs(shift)
    mean = np.zeros_like(shift)
    for part in blocks(array, rows):
        block = np.asarray(array.data[part], dtype=np.float64)
        mean += (block - shift).sum(axis=0)
        size = np.maximum(size, np.abs(block).max(axis=0))
    mean /= len(rows)
    squares = np.zeros_like(shift)
    for part in blocks(array, rows):
        squares += ((np.asarray(array.data[part], dtype=np.float64) - shift - mean) ** 2).sum(axis=0)
    sd = np.sqrt(squares / len(rows))
    return shift + mean, np.where(sd <= CONSTANT_ULPS * eps(array.dtype) * size, 0.0, sd)


def blocks(array: xr.DataArray, rows: np.ndarray) -> Iterator[Any]:
    """Index some rows at a time, so that float64 copies stay small."""
    everything = len(rows) == array.shape[0]
    for part in slices(len(rows), row_bytes=8 * int(np.prod(array.shape[1:]))):
        yield part if everything else rows[part]


def slices(n: int, *, row_bytes: int) -> Iterator[slice]:
    """Cut n rows into slices of at most BLOCK_BYTES."""
    step = rows_at_a_time(row_bytes)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def rows_at_a_time(row_bytes: int) -> int:
    """Return how many rows BLOCK_BYTES hold; 1 at least."""
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def eps(dtype: np.dtype) -> float:
    """Return the rounding unit of the data: that of float64 for integers."""
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def float_type(dtype: np.dtype) -> Any:
    """Return the type of a result: float32 for float32 and float16, else float64."""
    return np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64


def names_of(array: xr.DataArray, dim: str) -> list[Any]:
    """Return the labels of a dimension; its positions if it has none."""
    return array[dim].values.tolist()


def like(array: xr.DataArray, values: np.ndarray, *, units: str | None) -> xr.DataArray:
    """Return an array of the same labels with other values and units."""
    result = array.copy(data=values)
    rest = {k: v for k, v in array.attrs.items() if k != "units"}
    result.attrs = rest if units is None else rest | {"units": units}
    return result
