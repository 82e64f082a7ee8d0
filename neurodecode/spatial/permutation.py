"""Is there anything at a voxel? Maps of decoders of shuffled features, against which every voxel is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone
from tqdm import tqdm

from .. import inference, store
from ..checks import require_counts, require_labelled
from ..crossval import fits_several
from ..inference.blocks import exchangeable, shuffled
from ..labels import (
    FEATURE,
    LAYER,
    SAMPLE,
    STIMULUS,
    match,
    require_dims,
    require_finite,
)
from ..maps import FORWARD, mapped, require_one_split, require_options, training
from ..solve import Streamed
from . import _pieces

# Bytes of weights and targets that are fitted at a time, and the most fits that are.
ROOM, MOST = 2**28, 32
# Values that differ by less than this share of the largest are equal: sums in another order.
ROUNDING = 1e-9


def map_permutation(
    decoder: Any,
    responses: xr.DataArray,
    features: xr.DataArray,
    *,
    kind: str = "pattern",
    reduce: str = "mean_abs",
    units: str = "standardised",
    by: str = LAYER,
    blocks: str | None = None,
    n_permutations: int = 1000,
    n_pilot: int = 100,
    seed: int = 0,
    resume: str | Path | None = None,
) -> xr.Dataset:
    """Map a decoder, and test every voxel against decoders of features that were shuffled over stimuli.

    Stimuli keep their repeats together. All fits share what depends on responses alone, where the decoder can
    (:meth:`neurodecode.RidgeDecoder.fit_spaces`).

    Parameters
    ----------
    decoder : estimator
        Cloned for every fit.
    responses : (sample, voxel) or (sample, channel, time)
        The training samples, and no others: several splits are refused.
    features : (stimulus, feature)
    kind, reduce, units, by : see :func:`weight_map`
    blocks : str, optional
        Sample coordinate within whose values stimuli change places (sessions, runs); each stimulus lies in one of them.
    n_permutations : int
        The least p is 1 / (n_permutations + 1).
    n_pilot : int
        Further shuffles, before those of the test, whose mean and SD make voxels comparable for the largest of all.
    seed : int
    resume : folder, optional
        Finished batches of shuffles are kept there, and a run that was stopped goes on from them.

    Returns
    -------
    Dataset over (layer, voxel) or (layer, channel, time)
        ``value``, the map; ``null_mean``, ``null_sd`` over shuffles and ``z_score``, the map in those; ``p`` of the
        voxel, (b + 1) / (m + 1) (Phipson & Smyth 2010); ``p_max``, corrected over all voxels (and times) of a layer by
        the largest value of each shuffle (Westfall & Young 1993; Nichols & Holmes 2002); ``p_fdr``, over the same, by
        Benjamini & Hochberg 1995. Signed maps (reduce="mean") are tested two-sided, others for being larger. Attrs
        kind, reduce, units, tail, blocks, n_permutations, n_pilot, provenance.

    Notes
    -----
    What a shuffled map shows is no error: a decoder of noise leans on the strongest directions of the responses, and
    its patterns are largest there. A voxel whose responses do not vary has p 1.

    Voxels are compared in units of the pilot, z0 = (value - mean) / SD. The pilot belongs to neither the data nor the
    shuffles of the test, so that these stay exchangeable under the null, and p exact.

    Raises
    ------
    ValueError
        Bad data or names, features per sample, stimuli that lie in several blocks or of which none may change places.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> found = nd.spatial.map_permutation(
    ...     nd.RidgeDecoder(1.0), responses, features, n_permutations=19, n_pilot=20
    ... )
    >>> found["p"].dims, bool(found["p"].min() >= 0.05)
    (('layer', 'voxel'), True)
    """
    require_labelled(decoder)
    require_options(kind=kind, reduce=reduce, units=units)
    _require(responses, features, n_permutations=n_permutations, n_pilot=n_pilot)
    stimuli, group = exchangeable(responses, blocks, n_permutations)
    shown = features.sel({STIMULUS: stimuli})
    require_finite(shown, who="features")
    options = {"kind": kind, "reduce": reduce, "units": units, "by": by}
    fitted = clone(decoder).fit(responses, shown)
    x = Streamed(training(responses, fitted, kind=kind)) if kind in FORWARD else None
    found = mapped(fitted, x, **options)
    two_sided = reduce == "mean" and kind != "selection"
    size = _batch(responses, shown)

    def maps(part: range, stage: int) -> Iterator[np.ndarray]:
        drawn = [shuffled(shown, stimuli, group, np.random.default_rng([seed, stage, i])) for i in part]
        for one in _fitted(decoder, responses, drawn):
            yield mapped(one, x, **options).values

    parameters = {
        "decoder": store.describe(decoder),
        **options,
        "blocks": blocks,
        "n_permutations": n_permutations,
        "n_pilot": n_pilot,
        "tail": "two-sided" if two_sided else "greater",
    }
    data = {"responses": store.data_hash(responses), "features": store.data_hash(shown)}
    key = {"what": "spatial.map_permutation", "parameters": parameters, "seed": seed, "data": data}
    pieces = _pieces.folder(resume, key | {"batch": size})
    with tqdm(total=n_pilot + n_permutations, desc="permutations", disable=None, leave=False) as bar:
        done = partial(_pieces.done, pieces=pieces, bar=bar)
        parts = _pieces.batches(n_pilot, size)
        pilot = _Sums(found, done(lambda p: _sums(maps(p, 0), found), parts, name="pilot"))
        compare = _Comparison(found.values, *pilot.moments(), two_sided=two_sided)
        parts = _pieces.batches(n_permutations, size)
        null = _Sums(found, done(lambda p: _sums(maps(p, 1), found, compare), parts, name="shuffles"))
    kept = ("tail", "n_permutations", "n_pilot")
    attrs = {**found.attrs, **{k: parameters[k] for k in kept}, "blocks": blocks or "none"}
    result = _tested(found, null, compare, by).assign_attrs(attrs)
    return store.stamp(result, what="spatial.map_permutation", parameters=parameters, seed=seed, data=data)


def _tested(found: xr.DataArray, null: _Sums, compare: _Comparison, by: str) -> xr.Dataset:
    """The map, what shuffles of it are like, and p of every voxel."""
    mean, sd = null.moments()
    varies = sd > 0
    values = {
        "value": found.values,
        "null_mean": mean,
        "null_sd": sd,
        "z_score": np.where(varies, (found.values - mean) / np.where(varies, sd, 1.0), 0.0),
        "p": (null.beaten + 1) / (null.n + 1),
        "p_max": compare.corrected(np.concatenate(null.largest)),
    }
    result = xr.Dataset({k: found.copy(data=v) for k, v in values.items()})
    by_layer = [inference.fdr(result["p"].isel({by: [i]}))["p"] for i in range(found.sizes[by])]
    result["p_fdr"] = found.copy(data=np.concatenate([layer.values for layer in by_layer]))
    for name in ("z_score", "p", "p_max", "p_fdr"):
        result[name].attrs = {"units": "null SD" if name == "z_score" else "probability"}
    return result


def _require(responses: xr.DataArray, features: xr.DataArray, *, n_permutations: int, n_pilot: int) -> None:
    require_counts(n_permutations=n_permutations, n_pilot=n_pilot)
    for name, n, least in (("n_permutations", n_permutations, 1), ("n_pilot", n_pilot, 20)):
        if n < least:
            raise ValueError(f"{name} must be at least {least}, got {n}")
    require_dims(responses, [SAMPLE], who="responses")
    require_dims(features, [STIMULUS, FEATURE], who="features")
    require_one_split(responses)
    require_finite(responses, who="responses")
    match(features, responses)


def _batch(responses: xr.DataArray, features: xr.DataArray) -> int:
    """How many shuffles are fitted together: what they share is then made once for all of them."""
    n = responses.sizes[SAMPLE]
    one = 8 * features.sizes[FEATURE] * (responses.size // n + 3 * n)
    return int(np.clip(ROOM // one, 1, MOST))


def _fitted(decoder: Any, responses: xr.DataArray, drawn: list[xr.DataArray]) -> Iterator[Any]:
    if len(drawn) > 1 and fits_several(decoder):
        yield from decoder.fit_spaces(responses, {str(i): f for i, f in enumerate(drawn)}).values()
        return
    for features in drawn:
        yield clone(decoder).fit(responses, features)


class _Comparison:
    """Values (layer, ...) against those of shuffles, in the pilot's units so that all voxels count alike."""

    def __init__(self, found: np.ndarray, mean: np.ndarray, sd: np.ndarray, *, two_sided: bool) -> None:
        self.mean, self.two_sided = mean, two_sided
        self.sd = np.stack([_spread(*layer) for layer in zip(found, sd, strict=True)])
        self.own = self.of(found)

    def of(self, values: np.ndarray) -> np.ndarray:
        """Values in the units of the pilot, without sign if two-sided."""
        u = (values - self.mean) / self.sd
        return np.asarray(np.abs(u) if self.two_sided else u)

    def beaten(self, shuffle: np.ndarray) -> np.ndarray:
        """Where a shuffle's value is as large as the map's."""
        return np.asarray(shuffle >= _least(self.own))

    def corrected(self, largest: np.ndarray) -> np.ndarray:
        """Probabilities by the largest values (shuffle, layer) of every shuffle."""
        p = np.ones(self.own.shape)
        for i, own in enumerate(self.own):
            sorted_ = np.sort(largest[:, i])
            beaten = sorted_.size - np.searchsorted(sorted_, _least(own), side="left")
            p[i] = (beaten + 1) / (sorted_.size + 1)
        return p


def _spread(found: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """SDs of a layer's voxels; one that no pilot selected has none, and gets that of the layer's others."""
    seen = sd > 1e-12 * np.abs(found).max()
    return np.where(seen, sd, np.median(sd[seen]) if seen.any() else 1.0)


def _least(own: np.ndarray) -> np.ndarray:
    """What counts as reaching a value of the data, in units of the pilot: sums in another order differ by rounding."""
    return np.asarray(own - ROUNDING * np.maximum(1, np.abs(own)))


def _sums(maps: Iterator[np.ndarray], like: xr.DataArray, compare: _Comparison | None = None) -> xr.Dataset:
    """Sums over a batch of maps, about the map of the data; with a comparison also counts and largest values."""
    sums, squares, beaten = np.zeros((3, *like.shape))
    largest, n = [], 0
    for values in maps:
        apart = values - like.values
        sums += apart
        squares += apart**2
        n += 1
        if compare is not None:
            u = compare.of(values)
            beaten += compare.beaten(u)
            largest.append(u.reshape(len(u), -1).max(axis=1))
    found = {"sum": (like.dims, sums), "squares": (like.dims, squares), "n": ((), n)}
    if compare is not None:
        found |= {"beaten": (like.dims, beaten), "largest": (("shuffle", "layers"), np.stack(largest))}
    return xr.Dataset(found)


class _Sums:
    """Sums over batches, and the mean and SD that follow; of compared ones also counts and largest values."""

    def __init__(self, like: xr.DataArray, parts: Iterable[xr.Dataset]) -> None:
        self.like, self.n = like.values, 0
        self.sums, self.squares, self.beaten = np.zeros((3, *like.shape))
        self.largest: list[np.ndarray] = []
        for part in parts:
            self.n += int(part["n"])
            self.sums += part["sum"].values
            self.squares += part["squares"].values
            if "beaten" in part:
                self.beaten += part["beaten"].values
                self.largest.append(part["largest"].values)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and SD (n - 1) of all maps added."""
        apart = self.sums / self.n
        variance = (self.squares - self.n * apart**2) / max(self.n - 1, 1)
        return self.like + apart, np.sqrt(np.maximum(variance, 0.0))
