"""Decoding accuracy of regions (Fig. 7): refit for every set of voxels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr
from tqdm import tqdm

from .. import brain, store
from ..crossval import (
    Features,
    Responses,
    Task,
    describe,
    identity,
    joined,
    pieced,
    require_enough,
    tasks,
    with_chance,
)
from ..labels import FEATURE, LAYER, require_choice


def decode(
    responses: Responses,
    features: Features,
    decoder: Any,
    *,
    regions: Any = None,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    score: Any = "profile",
    by: str = LAYER,
    shared: str | Iterable[str] = (),
    resume: str | Path | None = None,
) -> xr.DataArray:
    """Fit and score a decoder on every region, feature space, subject and fold.

    Parameters
    ----------
    responses : (sample, voxel) array, several of them, or a mapping of subject to array
    features : (stimulus, feature) array, with or without ``layer``, or a mapping of space to array
    decoder : estimator, or a mapping of feature space to estimator
        Cloned for every fit.
    regions : see :func:`neurodecode.brain.regions`
        Names, groups such as "LVC", sums such as "LVC+HVC", a mapping, or a boolean (region, voxel) array.
    train, test, folds, shared : see :func:`neurodecode.folds.splits`
    score : see :func:`neurodecode.score.named`
    by : {"layer", "feature"}
        One value a feature space, or one a feature (for scores that have it).
    resume : folder, optional
        Finished (subject, region) pieces are kept there, and a run that was stopped goes on from them.

    Returns
    -------
    (region, layer | feature, subject, fold)
        By layer the mean score over features or samples; coordinate ``chance``; attrs score, units, provenance, and
        chance where it is the same everywhere.

    Raises
    ------
    ValueError
        For bad data or names, before the first fit.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> scores = nd.spatial.decode(responses, features, nd.RidgeDecoder(1.0), regions=["V1", "LO"], folds=4)
    >>> scores.dims, bool((scores > 0.9).all())
    (('region', 'layer', 'subject', 'fold'), True)
    """
    require_choice(by, (LAYER, FEATURE), what="by")
    todo = tasks(
        responses,
        features,
        decoder,
        train=train,
        test=test,
        split_by=folds,
        score=score,
        by=by,
        shared=shared,
    )
    masks = {t.subject: brain.regions(t.responses, regions) for t in todo}
    for task in todo:
        found = masks[task.subject]
        counts = found.values.sum(axis=found.get_axis_num("voxel" if "voxel" in found.dims else "channel"))
        sizes = dict(zip(map(str, found.region.values), counts.tolist(), strict=True))
        require_enough(task, sizes, what="regions")
    names = list(dict.fromkeys(str(r) for m in masks.values() for r in m.region.values))
    parameters = {**describe(todo), "regions": names, "by": by}
    hashes = {t.subject: store.data_hash(t.responses, masks[t.subject], *t.spaces.values()) for t in todo}
    key = {"what": "spatial.decode", "parameters": parameters, "data": hashes, **identity(todo)}
    pieces = None if resume is None else store.Pieces(resume, key=key)
    subjects = []
    with tqdm(total=len(todo) * len(names), desc="decode", disable=None, leave=False) as bar:
        for task in todo:
            # Named by pairs: joined by a mark, two pairs of names could read alike.
            jobs = {repr((task.subject, mask.region.item())): mask for mask in masks[task.subject]}
            parts = pieced(partial(_each, by=by), task, jobs, pieces=pieces, bar=bar)
            subjects.append(joined(parts, dim=xr.Variable("region", masks[task.subject].region.values)))
    every = joined(subjects, dim=xr.Variable("subject", [t.subject for t in todo]))
    result = with_chance(every.sel(region=names).transpose("region", by, "subject", "fold"))
    return store.stamp(result.rename("score"), what="spatial.decode", parameters=parameters, data=hashes)


def _each(task: Task, masks: list[xr.DataArray], *, by: str) -> Iterator[xr.DataArray]:
    """Scores in every region."""
    for mask in masks:
        yield task.scores(partial(inside, mask=mask), by=by)


def inside(responses: xr.DataArray, *, mask: xr.DataArray) -> xr.DataArray:
    """Responses of a region's voxels or channels."""
    dim = "voxel" if "voxel" in mask.dims else "channel"
    return responses.isel({dim: mask.values})
