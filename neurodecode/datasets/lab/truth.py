"""How close an analysis came to what was planted."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...labels import LAYER, require_same


def map_auc(values: xr.DataArray, truth: xr.Dataset) -> xr.DataArray:
    """Area under the ROC curve with which a map (layer, voxel) tells planted voxels from the others; (layer).

    A layer of the map counts as planted where any of the truth's layers of that name, or of that family ("structure"
    for "structure-1", "structure-2" ...), is.
    """
    from sklearn.metrics import roc_auc_score

    carries = truth["carries"]
    require_same(values, carries, "voxel", who=("the map", "the truth"))
    scores = [
        roc_auc_score(_family(carries, str(layer)), np.abs(values.sel({LAYER: layer}).values))
        for layer in values[LAYER].values
    ]
    return xr.DataArray(
        scores, dims=LAYER, coords={LAYER: values[LAYER].values}, attrs={"chance": 0.5, "units": "ROC AUC"}
    )


def peak_error(score: xr.DataArray, truth: xr.Dataset) -> xr.DataArray:
    """Window of the best score (window, layer) minus the planted peak, in seconds; (layer)."""
    found = score.idxmax("window")
    planted = truth["peak"].sel({LAYER: score[LAYER].values})
    return (found - planted.values).assign_attrs(units="s")


def _family(carries: xr.DataArray, layer: str) -> np.ndarray:
    names = [str(n) for n in carries[LAYER].values]
    chosen = [n for n in names if n == layer or n.rsplit("-", 1)[0] == layer]
    if not chosen:
        raise ValueError(f"the truth has no layer {layer!r}; it has {names}")
    return np.asarray(carries.sel({LAYER: chosen}).any(LAYER).values)
