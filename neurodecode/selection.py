"""Floor 3: which feature dimensions to trust, found on training data alone (MindDiffuser 2025, Algorithm 1).

>>> import numpy as np, neurodecode as nd
>>> rng = np.random.default_rng(0)
>>> names = [f"img_{i}" for i in range(60)]
>>> true = rng.normal(size=(60, 4))
>>> features = nd.brain.features(true, stimulus=names, layer="Linear-2")
>>> seen = nd.brain.fmri(true[:, :1] + 0.1 * rng.normal(size=(60, 8)), sample=names, stimulus=names, split="train")
>>> kept = nd.selection.best_features(seen, features, nd.RidgeDecoder(), keep=0.25)
>>> kept.values
array([ True, False, False, False])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from . import brain, store
from .checks import require_counts, require_numbers
from .crossval import Features, by_space, describe, tasks
from .folds import select
from .labels import FEATURE, LAYER, SAMPLE, listed, require_array, require_dims


def best_features(
    responses: xr.DataArray,
    features: Features,
    decoder: Any,
    *,
    train: Any = "train",
    keep: float = 0.25,
    folds: Any = 5,
    shared: str | Iterable[str] = (),
    block: int | None = None,
) -> xr.DataArray:
    """Choose the best-decoded dimensions of every feature space by cross-validation within the training samples.

    Every dimension is decoded on each fold by a decoder that was fitted on the others; its signed Pearson r over the
    fold's samples is averaged over folds. Of each space the dimensions with an average at or above its
    ``100 (1 - keep)``-th percentile are kept. How good they are must be told from samples outside ``train``: those
    that chose them flatter them.

    Parameters
    ----------
    responses : (sample, voxel) or (sample, channel, time)
        One subject's. Samples outside ``train`` are never looked at.
    features : (stimulus, feature) array with or without ``layer``, or a mapping of space to array
    decoder : estimator, or a mapping of feature space to estimator
        Anything with ``fit(responses, features)`` and ``predict(responses)`` on labelled arrays; cloned for every fit.
    train : sample ids, boolean mask, or name of a split
    keep : float
        Share of the dimensions of each space, above 0 and at most 1. Equal averages at the border are all kept.
    folds, shared : see :func:`neurodecode.folds.splits`
        A number makes unshuffled folds of whole stimuli, so that no stimulus is on both sides.
    block : int, optional
        How many dimensions are fitted at a time, for decoders that fit each on its own, such as ridge. By default
        all of a space; fewer need less memory, and more time, since each block starts anew.

    Returns
    -------
    boolean (feature), True where kept
        Coordinates ``layer``, ``unit``, and ``r``, the average over folds: a fold in which a dimension is constant
        counts 0; a dimension that is constant in all of them has NaN and is never kept. Attrs ``keep``, ``n_folds``,
        provenance. ``neurodecode.brain.spaces(kept)["Linear-2"]`` is the mask of one space.

    Raises
    ------
    ValueError
        A share outside (0, 1], unknown names, folds that share stimuli, a block for a decoder whose dimensions
        depend on each other, before the first fit; a space whose dimensions are all constant, after it.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> noise = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names)
    >>> both = nd.brain.stack({"c": features.drop_vars("layer"), "noise": noise})
    >>> keep = nd.selection.best_features(responses, both, nd.RidgeDecoder(1.0), train=names, keep=0.34)
    >>> keep.dims, int(keep.sum())
    (('feature',), 2)
    """
    require_array(responses, who="responses")
    require_dims(responses, [SAMPLE], who="responses")
    _require_share(keep)
    spaces = brain.spaces(features)
    if block is not None:
        _require_block(block, by_space(decoder, list(spaces)))
    seen = responses.isel({SAMPLE: select(responses, train, who="train")})
    parts = list(_parts(spaces, block))
    made = []
    record: dict[str, Any] = {}
    for part in tqdm(parts, desc="best_features", disable=None, leave=False):
        [task] = tasks(seen, part, decoder, split_by=folds, score="profile", by=FEATURE, shared=shared)
        made.append(task.scores(lambda whole: whole, by=FEATURE))
        record = _merged(record, describe([task]))
    scores = xr.concat(made, dim=FEATURE)
    result = _kept(_averaged(scores), scores.coords, keep)
    result.attrs |= {"keep": float(keep), "n_folds": scores.sizes["fold"]}
    parameters = {**record, "keep": float(keep), "block": block}
    data = {"responses": store.data_hash(seen, *spaces.values())}
    return store.stamp(result, what="selection.best_features", parameters=parameters, data=data)


def keep_share(kept: xr.DataArray, keep: float) -> xr.DataArray:
    """Choose another share of the dimensions that :func:`best_features` judged, without decoding again.

    Parameters
    ----------
    kept : (feature) with ``layer``, ``unit`` and ``r``
        From :func:`best_features`, at any share.
    keep : float
        As there.

    Returns
    -------
    As :func:`best_features`, with its attrs but for ``keep``

    Raises
    ------
    ValueError
        For a share that is not above 0 and at most 1.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> quarter = nd.selection.best_features(responses, features, nd.RidgeDecoder(1.0), train=names, keep=0.3)
    >>> int(quarter.sum()), int(nd.selection.keep_share(quarter, 0.7).sum())
    (1, 2)
    """
    _require_share(keep)
    return _kept(kept["r"].values, kept.coords, keep).assign_attrs(kept.attrs | {"keep": float(keep)})


def _parts(spaces: Mapping[str, xr.DataArray], block: int | None) -> Iterator[dict[str, xr.DataArray]]:
    """Yield what is fitted at a time: all spaces, or ``block`` dimensions of one."""
    if block is None:
        yield dict(spaces)
        return
    for name, space in spaces.items():
        # Counted before the cut, so that a dimension keeps its number.
        whole = space.assign_coords(unit=(FEATURE, brain.units(space)))
        for first in range(0, space.sizes[FEATURE], block):
            yield {name: whole.isel({FEATURE: slice(first, first + block)})}


def _averaged(scores: xr.DataArray) -> np.ndarray:
    """Average r (feature) over folds; one without a value counts 0, NaN where none has one."""
    r = scores.transpose(FEATURE, "fold").values
    known = np.isfinite(r)
    return np.where(known.any(axis=1), np.where(known, r, 0.0).mean(axis=1), np.nan)


def _kept(r: np.ndarray, coords: Any, keep: float) -> xr.DataArray:
    layers = coords[LAYER].values
    chosen = np.zeros(r.size, dtype=bool)
    for name in dict.fromkeys(layers.tolist()):
        own = layers == name
        if not np.isfinite(r[own]).any():
            raise ValueError(
                f"feature space {name!r}: all {int(own.sum())} dimensions are constant over the stimuli of every "
                "training fold, so none can be decoded; leave the space out"
            )
        chosen[own] = _best(r[own], keep)
    labels = {k: (FEATURE, v) for k, v in ((LAYER, layers), ("unit", coords["unit"].values))}
    array = xr.DataArray(chosen, dims=FEATURE, coords={**labels, "r": (FEATURE, r)}, name="keep")
    array.coords["r"].attrs.update(units="Pearson r", long_name="mean over training folds")
    return array


def _best(r: np.ndarray, keep: float) -> np.ndarray:
    """Which r lie at or above their 100 (1 - keep)-th percentile; unknown ones rank last and are never among them."""
    ranked = np.where(np.isfinite(r), r, -np.inf)
    # The first value at or above the percentile. Rounded, since 1 - keep is not what it is on paper.
    first = ceil(round((r.size - 1) * (1 - float(keep)), 6))
    return np.isfinite(r) & (ranked >= np.partition(ranked, first)[first])


def _merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Add up the numbers of features of the blocks; all else is the same in each."""
    sizes = dict(before.get("features", {}))
    for name, size in now["features"].items():
        sizes[name] = sizes.get(name, 0) + size
    decoders = {**before.get("decoders", {}), **now["decoders"]}
    return {**now, "features": sizes, "decoders": decoders}


def _require_share(keep: float) -> None:
    require_numbers(keep=keep)
    if not 0 < keep <= 1:
        raise ValueError(
            f"keep must be a share above 0 and at most 1, got {keep!r}; the paper's 25 % is keep=0.25"
        )


def _require_block(block: int, decoders: Mapping[str, Any]) -> None:
    require_counts(block=block)
    if block < 1:
        raise ValueError(f"block must be at least 1 feature, got {block}")
    joint = [n for n, d in decoders.items() if not getattr(d, "targets_are_independent", False)]
    if joint:
        raise ValueError(
            f"block={block} would fit parts of a space apart, but the decoder of {listed(joint)} "
            f"({type(decoders[joint[0]]).__name__}) fits its dimensions together; leave block out"
        )
