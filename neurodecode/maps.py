"""Floor 2: what a fitted linear decoder says about voxels and sensors, streamed over its targets.

A filter (weight) says how a voxel is used; a pattern says how it responds to what is decoded. Only patterns may be read
as 'this voxel carries that feature': filters also weigh voxels that merely cancel noise (Haufe et al. 2014).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from . import store
from .labels import FEATURE, LAYER, SAMPLE, require_choice, require_dims, require_finite, require_same
from .solve.sides import statistics

KINDS = ("filter", "pattern", "selection")
REDUCTIONS = ("mean_abs", "l2", "mean")
UNITS = ("standardised", "original")


def weight_map(
    decoder: Any,
    *,
    kind: str = "filter",
    reduce: str = "mean_abs",
    responses: xr.DataArray | None = None,
    by: str = LAYER,
    units: str = "standardised",
) -> xr.DataArray:
    """Reduce a fitted decoder's weights over feature dimensions, layer by layer.

    Parameters
    ----------
    decoder : fitted RidgeDecoder
        Fitted on labelled data; its weights are streamed, never dense as a whole.
    kind : {"filter", "pattern", "selection"}
        The weights; the forward-model patterns Cov(x, s) / Var(s) of every decoded feature s = x w taken singly
        (Haufe et al. 2014, computed as X^T (X W)); or the share of features that selected a voxel.
    reduce : {"mean_abs", "l2", "mean"}
        Over the features of a layer: mean of absolute values, root of the sum of squares, or signed mean.
    responses : (sample, voxel), for kind="pattern"
        The training responses.
    by : str
        Feature coordinate that tells the layers apart; without a ``layer`` all features are one.
    units : {"standardised", "original"}
        Per training SD of feature and voxel, so that features and voxels of different scale count alike (a pattern is
        then Pearson r of voxel and decoded feature); or in the data's units.

    Returns
    -------
    (layer, voxel) or (layer, channel, time), with all coordinates of the fit and attrs kind, reduce, units, provenance.

    Raises
    ------
    ValueError
        Unknown names; a pattern without responses or with other voxels; a selection of a decoder that selects none.
    """
    found = reduced(decoder, kind=kind, reduce=reduce, responses=responses, by=by, units=units)
    parameters = {"kind": kind, "reduce": reduce, "units": units, "by": by, "decoder": decoder}
    data = None if responses is None else {"responses": responses}
    return store.stamp(found, what="weight_map", parameters=parameters, data=data)


def reduced(
    decoder: Any,
    *,
    kind: str,
    reduce: str,
    units: str,
    responses: xr.DataArray | None = None,
    by: str = LAYER,
) -> xr.DataArray:
    """Make the map of :func:`weight_map` without its stamp, for results of many maps that bear one stamp."""
    for value, allowed, what in (
        (kind, KINDS, "kind"),
        (reduce, REDUCTIONS, "reduce"),
        (units, UNITS, "units"),
    ):
        require_choice(value, allowed, what=what)
    inner, outer = decoder.axes()
    if outer.dims != (FEATURE,):
        raise ValueError(
            "weight_map reads decoders (brain to features); an encoder's weights_ are patterns already"
        )
    layers = _layers(outer, by)
    if kind == "selection":
        if decoder.n_voxels is None:
            raise ValueError("kind='selection' needs a decoder that selects: RidgeDecoder(n_voxels=...)")
        values = _frequency(decoder.selected_, layers)
    elif kind == "filter":
        values = _reduce(decoder.weight_blocks(units=units), layers, inner.size, reduce)
    else:
        values = _reduce(_patterns(decoder, _training(responses, inner), units), layers, inner.size, reduce)
    return xr.DataArray(
        values.reshape(-1, *inner.shape),
        dims=(by, *inner.dims),
        coords={by: list(dict.fromkeys(layers.tolist())), **inner.coords},
        attrs={**inner.attrs, "kind": kind, "reduce": reduce, "units": _unit_text(kind, reduce, units)},
        name="weight_map",
    )


def unit_range(values: xr.DataArray, *, by: str = LAYER) -> xr.DataArray:
    """Scale each layer of a map (layer, ...) by its largest absolute value: 0 to 1 where it is unsigned."""
    largest = abs(values).max([d for d in values.dims if d != by])
    scaled = values / largest.where(largest > 0, 1.0)
    return scaled.assign_attrs(
        {**values.attrs, "units": f"{values.attrs.get('units', 'a.u.')}, scaled to 0-1"}
    )


def _layers(outer: xr.DataArray, by: str) -> np.ndarray:
    """Layer name of every feature."""
    if by in outer.coords:
        return np.broadcast_to(outer.coords[by].values, outer.shape)
    if by != LAYER:
        raise ValueError(f"features have no coordinate {by!r}; there are {sorted(map(str, outer.coords))}")
    return np.full(outer.shape, "features")


def _reduce(blocks: Iterator[xr.DataArray], layers: np.ndarray, p: int, reduce: str) -> np.ndarray:
    """Sum blocks (..., feature) into one row a layer (layer, p)."""
    names = list(dict.fromkeys(layers.tolist()))
    counts = np.array([(layers == n).sum() for n in names])
    sums = np.zeros((len(names), p))
    first = 0
    for block in blocks:
        values = block.values.reshape(p, -1).astype(np.float64)
        if reduce == "mean_abs":
            values = np.abs(values)
        elif reduce == "l2":
            values = values**2
        here = layers[first : first + values.shape[1]]
        member = (here[:, None] == np.array(names)[None, :]).astype(np.float64)
        sums += (values @ member).T
        first += values.shape[1]
    return np.sqrt(sums) if reduce == "l2" else sums / counts[:, None]


def _frequency(selected: Any, layers: np.ndarray) -> np.ndarray:
    names = dict.fromkeys(layers.tolist())
    return np.stack(
        [np.asarray(selected[:, np.flatnonzero(layers == n)].mean(axis=1)).ravel() for n in names]
    )


def _training(responses: xr.DataArray | None, inner: xr.DataArray) -> np.ndarray:
    """Return the training responses as a matrix (sample, p), once they are known to be those of the fit."""
    if responses is None:
        raise ValueError("kind='pattern' needs responses=..., the responses that the decoder was fitted on")
    require_dims(responses, [SAMPLE, *map(str, inner.dims)], who="responses")
    for dim in inner.dims:
        if dim in inner.coords:
            require_same(inner, responses, str(dim), who=("the decoder", "responses"))
    require_finite(responses, who="responses")
    return responses.transpose(SAMPLE, *inner.dims).values.reshape(responses.sizes[SAMPLE], -1)


def _patterns(decoder: Any, x: np.ndarray, units: str) -> Iterator[xr.DataArray]:
    """Yield Cov(x, s) / Var(s), or Pearson r of x and s where standardised, for blocks of decoded features s."""
    mean, sd, varies = statistics(x)
    centred = np.where(varies, x - mean, 0.0)
    for block in decoder.weight_blocks():
        decoded = centred @ block.values.reshape(centred.shape[1], -1)
        power = np.sqrt(np.mean(decoded**2, axis=0))
        scale = np.where(power > 0, power, 1.0)
        covariance = centred.T @ decoded / len(centred)
        pattern = covariance / (sd[:, None] * scale) if units == "standardised" else covariance / scale**2
        yield block.copy(data=pattern.reshape(block.shape))


def _unit_text(kind: str, reduce: str, units: str) -> str:
    if kind == "selection":
        return "share of features that selected the voxel"
    of = {"mean_abs": "mean absolute", "l2": "l2 norm of", "mean": "mean"}[reduce]
    if kind == "pattern":
        return f"{of} pattern ({'Pearson r' if units == 'standardised' else 'response per feature unit'})"
    per = "SD of feature per SD of response" if units == "standardised" else "feature per response unit"
    return f"{of} weight ({per})"
