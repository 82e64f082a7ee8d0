"""Labelled arrays as matrices of samples, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy import sparse

from .. import lazy
from ..labels import (
    FEATURE,
    LAYER,
    SAMPLE,
    match,
    require_array,
    require_coord,
    require_dims,
    require_same,
    require_unique,
)


def samples_first(responses: xr.DataArray) -> xr.DataArray:
    """Responses (sample, ...) with unique samples."""
    require_dims(responses, [SAMPLE], who="responses")
    require_unique(responses, SAMPLE, who="responses")
    return responses.transpose(SAMPLE, ...)


def of_samples(features: Any, responses: xr.DataArray) -> xr.DataArray:
    """Features (sample, feature) of the responses' samples."""
    require_dims(require_array(features, who="features"), [FEATURE], who="features")
    for name in (n for n in (LAYER, "unit") if n in features.coords):
        # Compared at every prediction.
        require_coord(features, name, who="features")
    return match(features, responses).transpose(SAMPLE, ...)


def same_rows(predicted: xr.DataArray, true: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (n, q) of predictions and true values, once both are known to bear the same labels."""
    first, *rest = map(str, predicted.dims)
    if first == SAMPLE:
        true = match(true, predicted, who=("true values", "predictions"))
    require_dims(true, [first, *rest], who="true values")
    for dim in (first, *rest):
        if dim in predicted.coords and dim in true.coords:
            require_same(predicted, true, dim, who=("predictions", "true values"))
    return matrix_of(predicted), matrix_of(true.transpose(first, *rest))


def matrix_of(array: xr.DataArray) -> Any:
    """Floating values (n, p) of (n, ...); a dask array stays one."""
    values = array.data if lazy.is_dask(array) else array.values
    values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    return values.reshape(len(values), -1)


def labelled(values: np.ndarray, axes: xr.DataArray) -> xr.DataArray:
    """Put values, flat, on axes."""
    return xr.DataArray(values.reshape(axes.shape), dims=axes.dims, coords=axes.coords)


def dense_of(weights: Any) -> np.ndarray:
    """Weights (p, q) with all their zeros."""
    return weights.toarray() if sparse.issparse(weights) else np.asarray(weights)
