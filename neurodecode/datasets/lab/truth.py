"""How close an analysis came to what was planted."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...labels import LAYER, listed, require_same


def map_auc(values: xr.DataArray, truth: xr.Dataset) -> xr.DataArray:
    """Area under the ROC curve with which a map (layer, voxel) tells planted voxels from the others; (layer).

    A layer of the map counts as planted where the truth's layer of that name is, or, for the name of a population
    ("structure": CLIP's shallow blocks), where any of its layers is.
    """
    from sklearn.metrics import roc_auc_score

    carries = truth["carries"]
    require_same(values, carries, "voxel", who=("the map", "the truth"))
    scores = [
        roc_auc_score(_planted(carries, str(layer)), np.abs(values.sel({LAYER: layer}).values))
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


def _planted(carries: xr.DataArray, layer: str) -> np.ndarray:
    names, populations = carries[LAYER].values.astype(str), carries["population"].values.astype(str)
    chosen = np.flatnonzero((names == layer) | (populations == layer))
    if not len(chosen):
        raise ValueError(
            f"the truth has no layer {layer!r}; it has {listed(names)} and the populations "
            f"{listed(sorted(set(populations.tolist())))}"
        )
    return np.asarray(carries.isel({LAYER: chosen}).any(LAYER).values)
