"""How far could a region's decoder get? Noise ceilings of its predictions, from repeats of test stimuli."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from .. import brain, ceilings, store
from ..crossval import Features, Responses, Task, View, describe, finite_mean, tasks
from ..folds import Fold
from ..labels import LAYER, SAMPLE, STIMULUS, listed, require_coord
from .decode import inside


def ceiling(
    responses: Responses,
    features: Features,
    decoder: Any,
    *,
    trials: Responses | None = None,
    regions: Any = None,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    shared: Any = (),
) -> xr.DataArray:
    r"""Bound the profile correlation of :func:`decode` by the noise of the test responses.

    A linear decoder's prediction from the mean of n trials is the mean of its predictions from each, their signal plus
    noise. However right the signal is, it correlates with the true feature by no more than

        sqrt(signal / (signal + noise / n)),

    the ceiling of :func:`neurodecode.ceilings.ncsnr`, here of the predictions (sample, feature), averaged over features
    as scores are. It bounds *this* decoder as it was fitted: noise of training responses is not in it, and what a
    decoder lacks beneath it, more repeats of the test stimuli will not bring.

    Parameters
    ----------
    responses, features, decoder, regions, train, test, folds, shared : see :func:`decode`
        The decoder must be linear in the responses, as ridge is.
    trials : single trials, as ``responses``, optional
        Of which ``responses`` are averages (:func:`neurodecode.brain.average_repeats`): those of test stimuli are
        predicted one by one. Default: the responses are single trials themselves, and the ceiling is that of one.

    Returns
    -------
    (region, layer, subject, fold), as Pearson r; attrs units, source (in words), provenance.

    Raises
    ------
    ValueError
        As :func:`decode`; where no test stimulus was repeated, naming the subject.

    Examples
    --------
    >>> import neurodecode as nd, numpy as np
    >>> rng = np.random.default_rng(0)
    >>> names = np.repeat([f"img_{i:02d}" for i in range(40)], 2)
    >>> truth = nd.brain.features(rng.normal(size=(40, 1)), stimulus=names[::2])
    >>> values = np.repeat(truth.values, 2, axis=0) + rng.normal(size=(80, 1))
    >>> responses = nd.brain.fmri(values, sample=range(80), stimulus=names, repeat=[0, 1] * 40, roi=["V1"])
    >>> found = nd.spatial.ceiling(responses, truth, nd.RidgeDecoder(alpha=1.0), folds=2)
    >>> bool(abs(found.mean() - 0.5**0.5) < 0.15)  # half the variance of a trial is signal
    True
    """
    todo = tasks(responses, features, decoder, train=train, test=test, split_by=folds, shared=shared)
    given = {t.subject: t.responses for t in todo} if trials is None else brain.by_subject(trials)
    lacking = [t.subject for t in todo if t.subject not in given]
    if lacking:
        raise ValueError(f"there are no trials of {listed(lacking)}; there are those of {listed(given)}")
    single = {(t.subject, f.name): _tested(given[t.subject], t, f) for t in todo for f in t.folds}
    masks = {t.subject: brain.regions(t.responses, regions) for t in todo}
    averaged = None if trials is not None else 1.0
    every, n = [], []
    for task in todo:
        parts = []
        for mask in masks[task.subject]:
            view = partial(inside, mask=mask)
            found = [_bounds(task, f, view, single[task.subject, f.name], averaged) for f in task.folds]
            parts.append([[fold[space][0] for fold in found] for space in task.spaces])
            n += [bound for fold in found for _, bound in fold.values()]
        coords = {"region": masks[task.subject].region.values, LAYER: list(task.spaces)}
        coords["fold"] = [f.name for f in task.folds]
        every.append(xr.DataArray(parts, coords, ("region", LAYER, "fold")))
    result = xr.concat(every, dim=xr.Variable("subject", [t.subject for t in todo]), join="outer")
    result = result.transpose("region", LAYER, "subject", "fold").rename("ceiling")
    repeats = float(np.mean(n))
    parameters = {**describe(todo), "regions": list(map(str, result.region.values)), "n": repeats}
    hashes = {t.subject: store.data_hash(t.responses, given[t.subject], *t.spaces.values()) for t in todo}
    words = f"of the predictions, by repeats of test stimuli ({repeats:.3g} averaged)"
    result = result.assign_attrs(units="Pearson r", source=words)
    return store.stamp(result, what="spatial.ceiling", parameters=parameters, data=hashes)


def _tested(trials: xr.DataArray, task: Task, fold: Fold) -> xr.DataArray:
    """Single trials of a fold's test stimuli, refused where none was repeated."""
    who = f"trials of subject {task.subject!r}"
    stimuli = require_coord(task.responses, STIMULUS, who="responses", dim=SAMPLE).values[fold.test]
    shown = require_coord(trials, STIMULUS, who=who, dim=SAMPLE).values
    rows = fold.test if trials is task.responses else np.flatnonzero(np.isin(shown, stimuli))
    every = task.responses[STIMULUS].values
    if trials is not task.responses and np.isin(stimuli, every[fold.train]).any():
        raise ValueError(
            f"{who}: fold {fold.name!r} trains on stimuli that it is tested with, and trials do not say which were "
            "seen; give the single trials as responses, without trials=..."
        )
    if rows.size == np.unique(shown[rows]).size:
        raise ValueError(
            f"{who}: none of the {rows.size} test stimuli of fold {fold.name!r} was repeated, and noise is seen in "
            "repeats only; give the single trials, trials=..."
        )
    # The fold has chosen: splits that it does not go by would have to be chosen from again.
    return trials.isel({SAMPLE: rows}).drop_vars("split", errors="ignore")


def _bounds(
    task: Task, fold: Fold, view: View, single: xr.DataArray, averaged: float | None
) -> dict[str, tuple[float, float]]:
    """Mean ceiling over features, and of how many trials, of every space."""
    seen, bounds = view(single).compute(), {}
    for space, decoder in task.decoders(view, fold).items():
        found = ceilings.ncsnr(decoder.predict(seen), n=averaged, n_bootstrap=0)
        bounds[space] = finite_mean(found["ceiling"].values), float(found.attrs["n"])
    return bounds
