"""Floor 2: what a fitted linear decoder says about voxels and sensors, streamed over its targets.

A filter (weight) says how a voxel is used; a pattern says how it responds to what is decoded. Only patterns may be read
as 'this voxel carries that feature': filters also weigh voxels that merely cancel noise (Haufe et al. 2014).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import linalg

from . import lazy, store
from .checks import require_texts
from .labels import (
    FEATURE,
    LAYER,
    SAMPLE,
    groups,
    listed,
    require_choice,
    require_coord,
    require_dims,
    require_filled,
    require_finite,
    require_memory,
    require_real,
    require_same,
    require_squares,
)
from .solve import Streamed

KINDS = ("filter", "pattern", "selection", "joint")
# Those that are made with the training responses.
FORWARD = ("pattern", "joint")
REDUCTIONS = ("mean_abs", "l2", "mean")
UNITS = ("standardised", "original")
# Bytes of the targets that are taken at a time where responses are read from a dask array once for each block.
WIDE = 2**28
# Decoded features count as independent if no direction of them has less than this share of the largest's variance.
INDEPENDENT = 1e-10


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
    kind : {"filter", "pattern", "selection", "joint"}
        The weights; the forward-model patterns Cov(x, s) / Var(s) of every decoded feature s = x w taken singly
        (Haufe et al. 2014); the share of features that selected a voxel; or the patterns of all features jointly,
        Cov(x) W Cov(s)^-1.
    reduce : {"mean_abs", "l2", "mean"}
        Over the features of a layer: mean of absolute values, root of the sum of squares, or signed mean.
    responses : (sample, voxel), for the patterns
        The training responses, of all samples of the fit and no others. They are read some samples at a time, and may
        be a dask array.
    by : str
        Feature coordinate that tells the layers apart; without a ``layer`` all features are one.
    units : {"standardised", "original"}
        Per training SD of feature and voxel, so that features and voxels of different scale count alike (a pattern is
        then Pearson r of voxel and decoded feature, a joint one a standardised regression coefficient); or in the
        data's units.

    Returns
    -------
    (layer, voxel) or (layer, channel, time), with all coordinates of the fit and attrs kind, reduce, units, provenance.

    Raises
    ------
    ValueError
        Unknown names; a pattern without responses, or with other voxels or samples than the fit's; a selection of a
        decoder that selects none;
        joint patterns of decoded features that are not independent of each other.
    MemoryError
        If a block of targets, or for joint patterns a matrix feature x feature, would not fit.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> decoder = nd.RidgeDecoder(1.0).fit(responses, features)
    >>> nd.spatial.weight_map(decoder, kind="pattern", responses=responses).dims
    ('layer', 'voxel')
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
    require_options(kind=kind, reduce=reduce, units=units)
    x = Streamed(training(responses, decoder, kind=kind)) if kind in FORWARD else None
    return mapped(decoder, x, kind=kind, reduce=reduce, units=units, by=by)


def mapped(
    decoder: Any, x: Streamed | None, *, kind: str, reduce: str, units: str, by: str = LAYER
) -> xr.DataArray:
    """Make the map of :func:`weight_map` from the training responses as a matrix, which patterns need."""
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
    elif x is None:
        values = _reduce(decoder.weight_blocks(units=units), layers, inner.size, reduce)
    else:
        values = _reduce(_forward(decoder, x, kind=kind, units=units), layers, inner.size, reduce)
    return xr.DataArray(
        values.reshape(-1, *inner.shape),
        dims=(by, *inner.dims),
        coords={by: list(dict.fromkeys(layers.tolist())), **inner.coords},
        attrs={**inner.attrs, "kind": kind, "reduce": reduce, "units": _unit_text(kind, reduce, units)},
        name="weight_map",
    )


def require_options(*, kind: str, reduce: str, units: str) -> None:
    """Refuse unknown names."""
    for value, allowed, what in (
        (kind, KINDS, "kind"),
        (reduce, REDUCTIONS, "reduce"),
        (units, UNITS, "units"),
    ):
        require_choice(value, allowed, what=what)


def unit_range(values: xr.DataArray, *, by: str = LAYER) -> xr.DataArray:
    """Scale each layer of a map (layer, ...) by its largest absolute value: to 0 to 1, or -1 to 1 where it is signed.

    Parameters
    ----------
    values : (layer, ...)
    by : str
        The dimension whose members are scaled on their own.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> nd.spatial.unit_range(xr.DataArray([[1.0, -4.0]], {"layer": ["c"]}, ("layer", "voxel"))).values
    array([[ 0.25, -1.  ]])
    """
    largest = abs(values).max([d for d in values.dims if d != by])
    scaled = values / largest.where(largest > 0, 1.0)
    span = "-1 to 1" if bool((values < 0).any()) else "0-1"
    return scaled.assign_attrs(
        {**values.attrs, "units": f"{values.attrs.get('units', 'a.u.')}, scaled to {span}"}
    )


def _layers(outer: xr.DataArray, by: str) -> np.ndarray:
    """Layer name of every feature."""
    require_texts(by=by)
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


def training(responses: xr.DataArray | None, decoder: Any, *, kind: str) -> Any:
    """Return the training responses as a matrix (sample, p), once they are known to be those of the fit.

    A dask array stays one.
    """
    inner, _ = decoder.axes()
    if responses is None:
        raise ValueError(f"kind={kind!r} needs responses=..., the responses that the decoder was fitted on")
    require_dims(responses, [SAMPLE, *map(str, inner.dims)], who="responses")
    for dim in inner.dims:
        if dim in inner.coords:
            require_same(inner, responses, str(dim), who=("the decoder", "responses"))
    require_filled(responses, who="responses", give="those of the fit")
    _require_fitted(require_coord(responses, SAMPLE, who="responses", dim=SAMPLE).values, decoder.samples_)
    require_real(responses, who="responses")
    require_finite(responses, who="responses")
    require_squares(responses, who="responses")
    ordered = responses.transpose(SAMPLE, *inner.dims)
    values = ordered.data if lazy.is_dask(ordered) else ordered.values
    return values.reshape(responses.sizes[SAMPLE], -1)


def require_one_split(responses: xr.DataArray) -> None:
    """Refuse training samples together with test samples, where a fit has no other word for which it means."""
    if "split" not in responses.coords or responses["split"].dims != (SAMPLE,):
        return  # of one split, or of none
    labels = responses["split"].values
    _, first = groups(labels)
    if first.size > 1:
        raise ValueError(
            f"responses hold the splits {listed(labels[first])}, and a map is fitted on all samples that it is given: "
            "give those of training, e.g. responses[responses['split'].values == 'train'], or .drop_vars('split')"
        )


def _require_fitted(given: np.ndarray, fitted: np.ndarray) -> None:
    """Refuse samples that are not those of the fit, in whatever order."""
    others, missing = given[~pd.Index(given).isin(fitted)], fitted[~pd.Index(fitted).isin(given)]
    if others.size or missing.size:
        raise ValueError(
            f"responses are not those that the decoder was fitted on: of {given.size} samples {others.size} were not "
            f"in the fit ({listed(others, most=2) or 'none'}), and {missing.size} of its {fitted.size} are missing "
            f"({listed(missing, most=2) or 'none'}); give the training responses, all of them"
        )


def _forward(decoder: Any, x: Streamed, *, kind: str, units: str) -> Iterator[xr.DataArray]:
    """Yield patterns (..., feature) for blocks of decoded features s, taken singly or jointly (Haufe et al. 2014).

    Singly Cov(x, s) / Var(s), standardised Pearson r of x and s; jointly Cov(x) W Cov(s)^-1.
    """
    blocks = _joint_weights(decoder, x) if kind == "joint" else _weights(decoder, x)
    for block, deviation in blocks:
        flat = block.values.reshape(len(x.sd), -1)
        found, power = x.products(flat)
        if kind == "pattern":
            deviation = np.sqrt(np.where(power > 0, power, 1.0))
            found /= deviation**2
        if units == "standardised":
            found *= deviation / x.sd[:, None]
        yield block.copy(data=found.reshape(block.shape))


def _weights(decoder: Any, x: Streamed) -> Iterator[tuple[xr.DataArray, Any]]:
    """Blocks of weights, joined to wide ones where x has to be read again for each."""
    inner, outer = decoder.axes()
    width = max(512, WIDE // (8 * inner.size)) if lazy.is_dask(x.x) else 512
    require_memory(
        x.room + 4 * 8 * inner.size * min(width, outer.size),
        what=f"patterns of {min(width, outer.size)} features at a time on {inner.size} predictors",
        remedy="map fewer voxels (a region)",
    )
    held: list[xr.DataArray] = []
    for block in decoder.weight_blocks():
        held.append(block)
        if sum(b.shape[-1] for b in held) >= width:
            yield xr.concat(held, dim=FEATURE) if len(held) > 1 else held[0], None
            held = []
    if held:
        yield xr.concat(held, dim=FEATURE) if len(held) > 1 else held[0], None


def _joint_weights(decoder: Any, x: Streamed) -> Iterator[tuple[xr.DataArray, np.ndarray]]:
    """Blocks of W Cov(s)^-1, whose products with Cov(x) are the joint patterns, and the SDs of their features."""
    inner, outer = decoder.axes()
    p, q = inner.size, outer.size
    require_memory(
        x.room + 8 * (5 * q * q + 4 * p * min(512, q)),
        what=f"joint patterns of {q} features (their covariance is {q} x {q})",
        remedy="take fewer features, or kind='pattern', which takes each singly",
    )

    def flat() -> Iterable[np.ndarray]:
        return (b.values.reshape(p, -1).astype(np.float64) for b in decoder.weight_blocks())

    deviation, precision = _precision(x.decoded(flat, q))
    first = 0
    for block in decoder.weight_blocks():
        part = slice(first, first + block.shape[-1])
        start, values = 0, np.zeros((p, block.shape[-1]))
        for w in flat():
            values += w @ precision[start : start + w.shape[1], part]
            start += w.shape[1]
        yield block.copy(data=values.reshape(block.shape)), deviation[part]
        first = part.stop


def _precision(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SDs (q) of decoded features and the inverse of their covariance (q, q); 0 for features that are constant."""
    deviation = np.sqrt(np.diag(covariance))
    varies = deviation > 0
    scale = np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
    correlation = (covariance * scale * scale[:, None])[np.ix_(varies, varies)]
    precision = np.zeros_like(covariance)
    if not varies.any():
        return deviation, precision
    values, vectors = linalg.eigh(correlation)
    few = int((values < INDEPENDENT * values[-1]).sum())
    if few:
        raise ValueError(
            f"joint patterns need decoded features that are independent of each other, but of {varies.sum()} {few} "
            "follow from the others (more features than samples or voxels, or features that say the same); take fewer "
            "features, or kind='pattern', which takes each singly"
        )
    inverse = (vectors / values) @ vectors.T
    precision[np.ix_(varies, varies)] = inverse
    return deviation, precision * scale * scale[:, None]


def _unit_text(kind: str, reduce: str, units: str) -> str:
    if kind == "selection":
        return "share of features that selected the voxel"
    of = {"mean_abs": "mean absolute", "l2": "l2 norm of", "mean": "mean"}[reduce]
    if kind == "pattern":
        return f"{of} pattern ({'Pearson r' if units == 'standardised' else 'response per feature unit'})"
    if kind == "joint":
        per = "SD of response per SD of feature" if units == "standardised" else "response per feature unit"
        return f"{of} joint pattern ({per})"
    per = "SD of feature per SD of response" if units == "standardised" else "feature per response unit"
    return f"{of} weight ({per})"
