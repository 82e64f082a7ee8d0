"""How certain is a map? Standard errors and intervals of every voxel from stimuli drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone
from tqdm import tqdm

from .. import store
from ..checks import require_counts, require_labelled, require_share
from ..labels import (
    LAYER,
    SAMPLE,
    STIMULUS,
    groups,
    match,
    require_coord,
    require_copy,
    require_dims,
    require_finite,
    require_known,
)
from ..maps import FORWARD, mapped, reduced, require_one_split, require_options, training
from ..solve import Streamed
from ..solve.intervals import reach_by_t
from . import _pieces

BATCH = 10


def map_bootstrap(
    decoder: Any,
    responses: xr.DataArray,
    features: xr.DataArray,
    *,
    kind: str = "pattern",
    reduce: str = "mean_abs",
    units: str = "standardised",
    by: str = LAYER,
    over: str = STIMULUS,
    refit: bool = True,
    n_bootstrap: int = 200,
    level: float = 0.95,
    seed: int = 0,
    resume: str | Path | None = None,
) -> xr.Dataset:
    """Fit a decoder, map it, and say how far the map would be another one with other stimuli (Efron & Tibshirani 1993).

    Parameters
    ----------
    decoder : estimator
        Cloned for every fit.
    responses : (sample, voxel) or (sample, channel, time)
        The training samples, and no others: several splits are refused.
    features : (stimulus, feature) or (sample, feature)
    kind, reduce, units, by : see :func:`weight_map`
        ``by`` may be a feature coordinate that names every feature: a map a feature.
    over : str
        Sample coordinate whose values are drawn as wholes, so that repeats stay together.
    refit : bool
        Fit again on every draw: the spread of the whole procedure. Otherwise weights are held, and only the patterns
        are estimated again: the spread of what this one decoder's output goes with.
    n_bootstrap, seed : int
    level : float
        Of the interval.
    resume : folder, optional
        Finished batches of draws are kept there, and a run that was stopped goes on from them.

    Returns
    -------
    Dataset over (layer, voxel) or (layer, channel, time)
        ``value``, the map; ``se``, the SD over draws; ``bias``, their mean less the map; ``low``, ``high``: the map
        plus and minus Student's t (n_over - 1) times the SD over draws, where a map is a mean of correlations on the
        scale of Fisher's z. Attrs kind, reduce, units, level, over, n_over, n_bootstrap, provenance.

    Notes
    -----
    Draws are added up and not kept. Limits are not moved by the bias, which does not bring them closer to the truth
    (docs/maps.md); with few values of ``over`` for each predictor they are a little too narrow. An unsigned map
    (mean_abs, l2) of noise is above 0 in every draw, and more so than in the data: its interval does not say whether
    something is there; :func:`map_permutation` does.

    Raises
    ------
    ValueError
        Bad data or names; ``refit=False`` for a map without responses in it; ``refit=True`` with a penalty chosen by
        leave-one-out, which would leave out one of several copies.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> found = nd.spatial.map_bootstrap(nd.RidgeDecoder(1.0), responses, features, n_bootstrap=10)
    >>> bool((found["low"] <= found["value"]).all())
    True
    """
    require_options(kind=kind, reduce=reduce, units=units)
    _require_settings(decoder, kind=kind, refit=refit, n_bootstrap=n_bootstrap, level=level)
    require_dims(responses, [SAMPLE], who="responses")
    require_one_split(responses)
    require_finite(responses, who="responses")
    require_finite(match(features, responses), who="features")
    labels = require_coord(responses, over, who="responses", dim=SAMPLE).values
    require_known(labels, over, who="responses")
    rank, first = groups(labels)
    if first.size < 3:
        raise ValueError(f"a bootstrap over {over!r} needs at least 3 of them, got {first.size}")
    require_copy(responses, who="responses drawn with replacement", times=2)
    fitted = clone(decoder).fit(responses, features)
    options = {"kind": kind, "reduce": reduce, "units": units, "by": by}
    found = reduced(fitted, responses=responses if kind in FORWARD else None, **options)
    of_draw = (_refitted if refit else _held)(fitted, responses, features, options)
    scaled = _scale(kind, reduce, units)

    def batch(part: range) -> xr.Dataset:
        sums = np.zeros((2, 2, *found.shape))
        for i in part:
            picks = np.random.default_rng([seed, i]).integers(first.size, size=first.size)
            values = of_draw(np.bincount(picks, minlength=first.size)[rank])
            apart = np.stack([values - found.values, scaled(values) - scaled(found.values)])
            sums += apart, apart**2
        return xr.Dataset({"sums": (("moment", "scale", *found.dims), sums)})

    parameters = {
        "decoder": store.describe(decoder),
        **options,
        "over": over,
        "refit": refit,
        "n_bootstrap": n_bootstrap,
        "level": level,
    }
    data = {"responses": store.data_hash(responses), "features": store.data_hash(features)}
    key = {"what": "spatial.map_bootstrap", "parameters": parameters, "seed": seed, "data": data}
    pieces = _pieces.folder(resume, key)
    total = np.zeros((2, 2, *found.shape))
    with tqdm(total=n_bootstrap, desc="bootstrap", disable=None, leave=False) as bar:
        parts = _pieces.batches(n_bootstrap, BATCH)
        for part in _pieces.done(batch, parts, name="draws", pieces=pieces, bar=bar):
            total += part["sums"].values
    attrs = {**found.attrs, "level": level, "over": over, "n_over": first.size, "n_bootstrap": n_bootstrap}
    result = _limits(found, total, n_bootstrap, scaled, reach_by_t(level, first.size - 1)).assign_attrs(attrs)
    return store.stamp(result, what="spatial.map_bootstrap", parameters=parameters, seed=seed, data=data)


def _limits(
    found: xr.DataArray,
    total: np.ndarray,
    n: int,
    scaled: Callable[[np.ndarray], np.ndarray],
    reach: float,
) -> xr.Dataset:
    """Bias, SD and limits from sums of n draws and of their squares (moment, scale, ...), about the map."""
    bias = total[0] / n
    se = np.sqrt(np.maximum(total[1] - n * bias**2, 0.0) / (n - 1))
    back = np.tanh if scaled is _fisher else np.asarray
    values = {
        "value": found.values,
        "se": se[0],
        "bias": bias[0],
        "low": back(scaled(found.values) - reach * se[1]),
        "high": back(scaled(found.values) + reach * se[1]),
    }
    return xr.Dataset({k: found.copy(data=v) for k, v in values.items()})


def _scale(kind: str, reduce: str, units: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the scale on which limits are as far above as below."""
    correlations = kind == "pattern" and units == "standardised" and reduce != "l2"
    return _fisher if correlations else np.asarray


def _fisher(r: np.ndarray) -> np.ndarray:
    # A voxel without noise has a pattern of 1.
    return np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))


def _require_settings(decoder: Any, *, kind: str, refit: bool, n_bootstrap: int, level: float) -> None:
    require_labelled(decoder)
    if not refit and kind not in FORWARD:
        raise ValueError(f"with refit=False only patterns vary, not kind={kind!r}; use refit=True")
    require_share(level=level)
    require_counts(n_bootstrap=n_bootstrap)
    if n_bootstrap < 2:
        raise ValueError(f"n_bootstrap must be at least 2, got {n_bootstrap}")
    left_out = np.ndim(getattr(decoder, "alpha", 0)) > 0 and np.size(decoder.alpha) > 1
    if refit and left_out and getattr(decoder, "folds", None) is None:
        raise ValueError(
            "a draw holds some samples several times, so that leave-one-out would test on what it trained on; give the "
            "decoder folds=... (copies of a stimulus stay together), or one alpha"
        )


def _refitted(
    fitted: Any, responses: xr.DataArray, features: xr.DataArray, options: dict[str, str]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what maps a decoder that is fitted on samples of which each comes so many times."""

    def of(counts: np.ndarray) -> np.ndarray:
        rows = np.repeat(np.arange(counts.size), counts)
        ids = {SAMPLE: np.arange(rows.size)}
        seen = responses.isel({SAMPLE: rows}).assign_coords(ids)
        own = SAMPLE in features.dims
        shown = features.isel({SAMPLE: rows}).assign_coords(ids) if own else features
        if STIMULUS not in seen.coords:
            # So that the decoder's own folds keep copies of a sample together.
            seen = seen.assign_coords({STIMULUS: (SAMPLE, responses[SAMPLE].values[rows])})
        again = clone(fitted).fit(seen, shown)
        return reduced(again, responses=seen if options["kind"] in FORWARD else None, **options).values

    return of


def _held(
    fitted: Any, responses: xr.DataArray, features: xr.DataArray, options: dict[str, str]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what maps the decoder as it is, with patterns of samples of which each comes so many times."""
    x = training(responses, fitted, kind=options["kind"])

    def of(counts: np.ndarray) -> np.ndarray:
        return mapped(fitted, Streamed(x, counts), **options).values

    return of
