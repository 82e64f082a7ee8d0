"""How well each feature space predicts every voxel, or every channel at every time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from .. import store
from ..crossval import Features, Responses, by_space
from ..labels import FEATURE, KEPT, LAYER, SAMPLE, listed, require_same
from ..score import Score, about_own_mean, named
from .plan import Plan, plans

# What says where a voxel lies.
PLACES = ("hemi", "vertex", "x", "y", "z")
# Scores of every target, and the test samples that they need.
LEAST = {"profile": 3, "r2": 2, "auc": 2}


def score(
    responses: Responses,
    features: Features,
    encoder: Any,
    *,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    score: Any = "profile",
    shared: str | Iterable[str] = (),
) -> xr.DataArray:
    """Fit an encoder of every feature space and score its predictions of held-out responses.

    Parameters
    ----------
    responses : (sample, voxel) or (sample, channel, time), several of them, or a mapping of subject to array
        Subjects of one call have the same voxels, or channels and times; others need a call each.
    features : (stimulus, feature) array, with or without ``layer``, or a mapping of space to array
    encoder : estimator, or a mapping of feature space to estimator
        Cloned for every fit. All voxels, channels and times are targets of one fit.
    train, test, folds, shared : see :func:`neurodecode.folds.splits`
    score : "profile" (Pearson r over test samples), "r2", or a function with a value for every target

    Returns
    -------
    (layer, voxel, subject, fold) or (layer, channel, time, subject, fold)
        Signed; attrs score, units, chance, provenance, and of r2 test_samples, about whose own mean it is (of folds of
        unequal size an average). Means over channels, or :func:`neurodecode.inference.group`, are drawn by
        :func:`neurodecode.plot.time_course`, channels at some times by :func:`neurodecode.plot.topographies`.

    Raises
    ------
    ValueError
        For bad data, names or folds before the first fit; subjects with other voxels or channels; a score without a
        value for every target.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> scores = nd.encoding.score(responses, features, nd.RidgeEncoder(1.0), folds=4)
    >>> bool((scores > 0.9).all())
    True
    """
    chosen = named(score)
    if isinstance(score, str):
        _require_of_targets(score in LEAST, score)
    least = LEAST.get(chosen.name, 2)
    todo = plans(responses, features, train=train, test=test, folds=folds, shared=shared, least=least)
    _require_same_axes(todo)
    encoders = by_space(encoder, list(todo[0].spaces))
    steps = sum(len(plan.spaces) for plan in todo)
    scored = []
    with tqdm(total=steps, desc="encoding.score", disable=None, leave=False) as bar:
        for plan in todo:
            layers = []
            for name, space in plan.spaces.items():
                each = [
                    _scored(chosen, predicted, plan.true(fold))
                    for fold, predicted in plan.predictions(encoders[name], space)
                ]
                layers.append(np.stack(each, axis=-1))
                bar.update()
            scored.append(np.stack(layers))
    return _labelled(np.stack(scored, axis=-2), todo, encoders, chosen)


def _scored(chosen: Score, predicted: xr.DataArray, true: xr.DataArray) -> np.ndarray:
    """Score of every target, in the shape of the targets."""
    shape = true.shape[1:]
    flat = [
        xr.DataArray(
            np.asarray(a.transpose(*true.dims).values).reshape(len(a), -1),
            dims=(SAMPLE, FEATURE),
            coords={k: v for k, v in true.coords.items() if v.dims == (SAMPLE,)},
        )
        for a in (predicted, true)
    ]
    found = xr.DataArray(chosen.function(*flat))
    _require_of_targets(found.dims == (FEATURE,), chosen.name)
    return np.asarray(found.values).reshape(shape)


def _require_of_targets(there: bool, name: str) -> None:
    if not there:
        raise ValueError(f"score {name!r} has no value for every voxel or channel; use 'profile' or 'r2'")


def _labelled(values: np.ndarray, todo: Sequence[Plan], encoders: Any, chosen: Score) -> xr.DataArray:
    first = todo[0].responses
    outer = [str(d) for d in first.dims if d != SAMPLE]
    coords = {k: v for k, v in first.coords.items() if v.dims and set(map(str, v.dims)) <= set(outer)}
    attrs = {k: v for k, v in first.attrs.items() if k in KEPT and (len(todo) == 1 or k != "subject")}
    units = {"profile": "Pearson r", "r2": "r2"}.get(chosen.name, "a.u.")
    known = {"chance": 0.0} if chosen.name in ("profile", "r2") else {}
    if chosen.name == "r2":
        tested = [plan.responses[SAMPLE].isel({SAMPLE: f.test}) for plan in todo for f in plan.folds]
        known |= about_own_mean(tested)
    result = xr.DataArray(
        values,
        dims=(LAYER, *outer, "subject", "fold"),
        coords={
            LAYER: list(todo[0].spaces),
            **coords,
            "subject": [plan.subject for plan in todo],
            "fold": [f.name for f in todo[0].folds],
        },
        name="score",
        attrs={**attrs, "score": chosen.name, "units": units, **known},
    )
    described = [plan.describe() for plan in todo]
    parameters = {
        **described[0],
        "score": chosen.name,
        "encoders": {name: store.describe(e) for name, e in encoders.items()},
        "folds": {k: v for d in described for k, v in d["folds"].items()},
    }
    data = {plan.subject: store.data_hash(plan.responses, *plan.spaces.values()) for plan in todo}
    return store.stamp(result, what="encoding.score", parameters=parameters, data=data)


def _require_same_axes(todo: Sequence[Plan]) -> None:
    first = todo[0]
    for plan in todo[1:]:
        if plan.responses.dims != first.responses.dims:
            raise ValueError(
                f"subjects {first.subject!r} and {plan.subject!r} have other dimensions: {first.responses.dims} and "
                f"{plan.responses.dims}; call once for those of each kind"
            )
        own, theirs = ([f.name for f in p.folds] for p in (first, plan))
        if own != theirs:
            raise ValueError(
                f"subjects {first.subject!r} and {plan.subject!r} have other folds, {listed(own)} and {listed(theirs)};"
                " give folds that all subjects have, or call once each"
            )
        for dim in map(str, first.responses.dims[1:]):
            names = tuple(f"subject {p.subject!r}" for p in (first, plan))
            try:
                require_same(first.responses, plan.responses, dim, who=(names[0], names[1]))
            except ValueError as error:
                raise ValueError(
                    f"{error} Subjects with other {dim}s need a call each; average them within regions to compare"
                ) from error
        for name in PLACES:
            here, there = (p.responses.coords.get(name) for p in (first, plan))
            if here is not None and there is not None and not here.variable.equals(there.variable):
                raise ValueError(
                    f"subjects {first.subject!r} and {plan.subject!r} have equal labels at other places "
                    f"({name!r} differs): call once each, or average them within regions to compare"
                )
