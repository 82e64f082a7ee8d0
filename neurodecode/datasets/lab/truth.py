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


def peak_time(score: xr.DataArray) -> xr.DataArray:
    """Time of a curve's peak: the centre of what rises above half its height (the rest of the dimensions), in seconds.

    The best window alone jumps along a flat top, by as much as a step in either direction. With h the score above
    chance and m its largest value, the peak is sum(w t) / sum(w) with w = max(h - m / 2, 0).

    Parameters
    ----------
    score : (window, ...)
        With chance in its attributes or as a coordinate. A curve that is nowhere above chance has no peak (NaN).
    """
    chance = score.coords.get("chance", score.attrs.get("chance"))
    if chance is None:
        raise ValueError(
            "the score has no 'chance', neither as an attribute nor as a coordinate; keep_attrs=True"
        )
    above = (score - chance).clip(min=0)
    weight = (above - above.max("window") / 2).clip(min=0)
    found = (weight * score["window"]).sum("window") / weight.sum("window")
    return found.drop_vars("chance", errors="ignore").assign_attrs(units="s")


def peak_error(score: xr.DataArray, truth: xr.Dataset) -> xr.DataArray:
    """Peak of a curve (window, layer, ...), see :func:`peak_time`, minus the planted one, in seconds; (layer, ...)."""
    found = peak_time(score)
    planted = truth["peak"].sel({LAYER: found[LAYER].values}).drop_vars("population", errors="ignore")
    return (found - planted).assign_attrs(units="s")


def _planted(carries: xr.DataArray, layer: str) -> np.ndarray:
    names, populations = carries[LAYER].values.astype(str), carries["population"].values.astype(str)
    chosen = np.flatnonzero((names == layer) | (populations == layer))
    if not len(chosen):
        raise ValueError(
            f"the truth has no layer {layer!r}; it has {listed(names)} and the populations "
            f"{listed(sorted(set(populations.tolist())))}"
        )
    return np.asarray(carries.isel({LAYER: chosen}).any(LAYER).values)
