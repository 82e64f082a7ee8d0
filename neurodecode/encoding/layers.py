"""Which layer predicts a voxel best, where one does clearly."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .. import store
from ..labels import KEPT, LAYER, require_array, require_dims, require_same


def best_layer(
    scores: xr.DataArray,
    *,
    least: float | xr.DataArray = 0.0,
    margin: float = 0.0,
    where: xr.DataArray | None = None,
) -> xr.Dataset:
    """Find the layer that predicts each voxel best; voxels where that would be a reading of noise are masked.

    The largest of several noisy scores is always there, and always too large: of a voxel that nothing predicts it names
    a layer by chance, and the map of such names looks like a map. A voxel is named only where its best score is above
    ``least`` and passes the second by ``margin``, and where ``where`` allows it: never where one layer alone has a
    score. Of equal scores the first layer's is the best, as in every fold.

    Parameters
    ----------
    scores : (layer, voxel) or (layer, voxel, fold), or with other dims for voxel
        From :func:`score`; one subject. Folds are averaged.
    least : float or (voxel)
        For instance a share of the noise ceiling, or what a permutation leaves.
    margin : float
        In the scores' units.
    where : boolean (voxel), optional
        For instance ``significant`` of :func:`neurodecode.inference.fdr`.

    Returns
    -------
    Dataset (voxel)
        ``best``: position in ``layer``, NaN where masked; attrs ``levels``, the layers' names, by which
        :func:`neurodecode.plot.cortex` draws it in as many colours. ``score`` of the best and ``margin`` to the second,
        of all voxels, NaN where there is no second; ``agreement``, the share of folds whose best layer it is (1 of one
        fold).

    Raises
    ------
    ValueError
        Fewer than 2 layers, several subjects, labels that differ, no margin of at least 0.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> scores = xr.DataArray([[0.4, 0.1], [0.2, 0.3]], {"layer": ["c", "z"]}, ("layer", "voxel"))
    >>> nd.encoding.best_layer(scores, margin=0.1)["best"].values.tolist()
    [0.0, 1.0]
    """
    mean, folded = _checked(scores, margin)
    allowed = _allowed(mean, where)
    floor = least if isinstance(least, int | float) else _like(least, mean, "least").values
    values = np.nan_to_num(mean.values, nan=-np.inf)
    best, second = np.argsort(-values, axis=0, kind="stable")[:2]
    top = np.take_along_axis(values, best[None], 0)[0]
    with np.errstate(invalid="ignore"):
        ahead = top - np.take_along_axis(values, second[None], 0)[0]
        clear = np.isfinite(ahead) & (top > floor) & (ahead >= margin) & allowed
    scored = np.isfinite(folded.values).any(axis=0)
    same = folded.fillna(-np.inf).values.argmax(axis=0) == best[..., None]
    agree = (same & scored).sum(axis=-1) / np.maximum(scored.sum(axis=-1), 1)
    like = mean.isel({LAYER: 0}, drop=True).drop_attrs()
    units = str(scores.attrs.get("units", "a.u."))
    seen = np.isfinite(top)
    layers = [str(n) for n in mean[LAYER].values]
    data = {
        "best": like.copy(data=np.where(clear, best, np.nan)).assign_attrs(
            units="layer", long_name="best layer", levels=layers
        ),
        "score": like.copy(data=np.where(seen, top, np.nan)).assign_attrs(units=units),
        "margin": like.copy(data=np.where(seen & np.isfinite(ahead), ahead, np.nan)).assign_attrs(
            units=units
        ),
        "agreement": like.copy(data=np.where(seen, agree, np.nan)).assign_attrs(units="share of folds"),
    }
    kept = {k: v for k, v in scores.attrs.items() if k in KEPT}
    found = xr.Dataset({k: v.assign_attrs(kept) for k, v in data.items()}, attrs=kept)
    parameters = {
        "layers": layers,
        "least": "a map" if isinstance(least, xr.DataArray) else float(least),
        "margin": float(margin),
        "masked": where is not None,
        "named": int(clear.sum()),
        "of": int(clear.size),
        "scores": scores.attrs.get("provenance"),
    }
    return store.stamp(found, what="encoding.best_layer", parameters=parameters, data=scores)


def _checked(scores: xr.DataArray, margin: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Scores (layer, ...), folds averaged, and (layer, ..., fold)."""
    require_dims(require_array(scores, who="scores"), [LAYER], who="scores")
    if not margin >= 0:
        raise ValueError(f"margin is a difference of scores of at least 0, got {margin}")
    if "subject" in scores.dims:
        if scores.sizes["subject"] > 1:
            raise ValueError(
                f"scores are of {scores.sizes['subject']} subjects; a map is of one (.isel(subject=0)) or of their mean"
            )
        scores = scores.isel(subject=0, drop=True)
    if scores.sizes[LAYER] < 2:
        raise ValueError("the best of one layer is that one; give scores of at least 2 layers")
    folded = scores if "fold" in scores.dims else scores.expand_dims("fold")
    folded = folded.transpose(LAYER, ..., "fold")
    return folded.mean("fold"), folded


def _allowed(mean: xr.DataArray, where: xr.DataArray | None) -> np.ndarray | bool:
    if where is None:
        return True
    if require_array(where, who="where").dtype != bool:
        raise ValueError(f"where must be boolean, got {where.dtype}")
    return np.asarray(_like(where, mean, "where").values)


def _like(given: xr.DataArray, mean: xr.DataArray, who: str) -> xr.DataArray:
    """Return a map in the order of the scores' dims, refused if its labels are others."""
    dims = [str(d) for d in mean.dims if d != LAYER]
    require_dims(given, dims, who=who)
    for dim in dims:
        if dim in mean.coords and dim in given.coords:
            require_same(mean, given, dim, who=("scores", who))
    return given.transpose(*dims)
