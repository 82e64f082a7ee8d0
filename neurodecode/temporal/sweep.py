"""Decoding over time: one fit a window (Fig. 9e-f), and across time (King & Dehaene 2014)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from .. import store
from ..checks import as_numbers
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
from ..labels import listed, require_coord, require_dims
from .shared import SharedTask, Span, shares
from .windows import windows

# Scores of a subject in some windows.
Work = Callable[[Task, list[Span]], Iterator[xr.DataArray]]


def sweep(
    epochs: Responses,
    features: Features,
    decoder: Any,
    *,
    width: float = 0.100,
    step: float = 0.025,
    scheme: str = "sliding",
    tmin: float | None = None,
    tmax: float | None = None,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    score: Any = "top1",
    shared: str | Iterable[str] = (),
    resume: str | Path | None = None,
) -> xr.DataArray:
    """Fit and score a decoder in every time window, for every feature space, subject and fold.

    Parameters
    ----------
    epochs : (sample, channel, time) array, several of them, or a mapping of subject to array
        All on one time axis.
    features : (stimulus, feature) array, with or without ``layer``, or a mapping of space to array
    decoder : estimator, or a mapping of feature space to estimator
        Cloned for every fit; sees (sample, channel, time) of one window.
    width, step, scheme, tmin, tmax : see :func:`windows`
    train, test, folds, shared : see :func:`neurodecode.folds.splits`
    score : see :func:`neurodecode.score.named`; :func:`neurodecode.score.against` for other candidates
    resume : folder, optional
        Finished (subject, window) pieces are kept there, and a run that was stopped goes on from them.

    Returns
    -------
    (window, layer, subject, fold)
        With coordinates ``start``, ``stop`` and ``chance``; attrs score, units, provenance, and chance where it is the
        same everywhere.

    Raises
    ------
    ValueError
        For bad data, names or windows, before the first fit.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = rng.normal(size=(40, 5, 30))
    >>> values[:, :, 15:] += (features.values @ rng.normal(size=(3, 5)))[:, :, None]
    >>> epochs = nd.brain.meeg(
    ...     values, sample=names, stimulus=names, channel=list("abcde"), time=np.arange(30) / 100, subject="s1"
    ... )
    >>> scores = nd.temporal.sweep(epochs, features, nd.RidgeDecoder(1.0), folds=4, score="profile")
    >>> scores.dims
    ('window', 'layer', 'subject', 'fold')
    >>> curve = scores.mean("fold").sel(layer="c", subject="s1")
    >>> bool(curve[0] < 0.5 < curve[-1])
    True
    """
    todo = tasks(
        epochs, features, decoder, train=train, test=test, split_by=folds, score=score, shared=shared
    )
    laid = windows(
        common_time({t.subject: t.responses for t in todo}),
        width=width,
        step=step,
        scheme=scheme,
        tmin=tmin,
        tmax=tmax,
    )
    made = _Run(todo, laid, "temporal.sweep", resume)

    result = made.each(_within)
    return made.finish(result.transpose("window", "layer", "subject", "fold"))


def generalise(
    epochs: Responses,
    features: Features,
    decoder: Any,
    *,
    width: float = 0.100,
    step: float = 0.025,
    tmin: float | None = None,
    tmax: float | None = None,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    score: Any = "top1",
    shared: str | Iterable[str] = (),
    resume: str | Path | None = None,
) -> xr.DataArray:
    """Fit in every window and test in every other (King & Dehaene 2014).

    Parameters
    ----------
    epochs, features, decoder, width, step, tmin, tmax, train, test, folds, score, shared, resume : see :func:`sweep`
        Windows slide.

    Returns
    -------
    (train_window, test_window, layer, subject, fold)
        With coordinates ``train_start``, ``train_stop``, ``test_start``, ``test_stop``.

    Raises
    ------
    ValueError
        See :func:`sweep`.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = rng.normal(size=(40, 5, 30))
    >>> values[:, :, 15:] += (features.values @ rng.normal(size=(3, 5)))[:, :, None]
    >>> epochs = nd.brain.meeg(
    ...     values, sample=names, stimulus=names, channel=list("abcde"), time=np.arange(30) / 100, subject="s1"
    ... )
    >>> nd.temporal.generalise(epochs, features, nd.RidgeDecoder(1.0), folds=4, score="profile").dims
    ('train_window', 'test_window', 'layer', 'subject', 'fold')
    """
    todo = tasks(
        epochs, features, decoder, train=train, test=test, split_by=folds, score=score, shared=shared
    )
    laid = windows(
        common_time({t.subject: t.responses for t in todo}), width=width, step=step, tmin=tmin, tmax=tmax
    )
    made = _Run(todo, laid, "temporal.generalise", resume)

    result = made.each(partial(_across, spans=made.spans)).rename(
        window="train_window", start="train_start", stop="train_stop", other="test_window"
    )
    tested = {
        "test_window": laid.window.values,
        "test_start": laid.start.values,
        "test_stop": laid.stop.values,
    }
    result = result.assign_coords({k: ("test_window", v) for k, v in tested.items()})
    return made.finish(result.transpose("train_window", "test_window", "layer", "subject", "fold"))


class _Run:
    """Work through subjects and windows, with a bar, keeping finished pieces."""

    def __init__(self, todo: list[Task], laid: xr.Dataset, what: str, resume: str | Path | None) -> None:
        self.todo, self.laid, self.what = todo, laid, what
        narrowest = int(laid["size"].min())
        for task in todo:
            size = narrowest * task.responses.sizes["channel"]
            require_enough(task, {f"the narrowest, {narrowest} samples": size}, what="windows")
        self.data = {t.subject: store.data_hash(t.responses, *t.spaces.values()) for t in todo}
        self.parameters = {**describe(todo), **laid.attrs, "windows": laid.sizes["window"]}
        key = {
            "what": what,
            "parameters": self.parameters,
            "data": self.data,
            "start": laid.start.values.tolist(),
            "stop": laid.stop.values.tolist(),
            **identity(todo),
        }
        firsts, sizes = laid["first"].values.tolist(), laid["size"].values.tolist()
        self.spans = [Span(first, first + size) for first, size in zip(firsts, sizes, strict=True)]
        self.pieces = None if resume is None else store.Pieces(resume, key=key)

    def each(self, work: Work) -> xr.DataArray:
        """Collect what ``work`` makes of every window, for every subject."""
        subjects = []
        with tqdm(total=len(self.todo) * len(self.spans), desc=self.what, disable=None, leave=False) as bar:
            for task in self.todo:
                jobs = {f"{task.subject}-{i:04d}": span for i, span in enumerate(self.spans)}
                parts = pieced(work, task, jobs, pieces=self.pieces, bar=bar)
                windows = xr.Variable("window", self.laid.window.values, {"units": "s"})
                subjects.append(joined(parts, dim=windows))
        every = joined(subjects, dim=xr.Variable("subject", [t.subject for t in self.todo]))
        return every.assign_coords(start=self.laid.start, stop=self.laid.stop)

    def finish(self, result: xr.DataArray) -> xr.DataArray:
        """Name and stamp the result."""
        result = with_chance(result).rename("score")
        return store.stamp(result, what=self.what, parameters=self.parameters, data=self.data)


def common_time(epochs: Mapping[str, xr.DataArray]) -> np.ndarray:
    """Return the time axis of all subjects, refused if they differ."""
    for subject, array in epochs.items():
        require_dims(array, ["channel", "time"], who=f"epochs of subject {subject!r}")
    times = {subject: _seconds(array) for subject, array in epochs.items()}
    name, first = next(iter(times.items()))
    other = [s for s, t in times.items() if t.size != first.size or not np.allclose(t, first, atol=1e-6)]
    if other:
        raise ValueError(
            f"{len(other)} of {len(times)} subjects have another time axis than subject {name!r}: {listed(other)}; "
            "crop and resample them alike"
        )
    return np.asarray(first)


def _seconds(array: xr.DataArray) -> np.ndarray:
    time = require_coord(array, "time", who="epochs", dim="time")
    return as_numbers(time, what="'time' of epochs", remedy="give seconds from onset")


def _within(task: Task, todo: list[Span]) -> Iterator[xr.DataArray]:
    """Fit and score in windows."""
    if todo and all(shares(g.decoder) for g in task.groups):
        yield from map(SharedTask(task, todo).scores, todo)
        return
    for span in todo:
        yield task.scores(partial(_cut, span=span))


def _across(task: Task, todo: list[Span], *, spans: list[Span]) -> Iterator[xr.DataArray]:
    """Fit in the windows ``todo`` and score in all ``spans``."""
    if todo and all(shares(g.decoder) for g in task.groups):
        shared = SharedTask(task, spans)
        for span in todo:
            yield shared.cross_scores(span, spans)
        return
    for span in todo:
        # A decoder fitted in one window takes the others under that window's times.
        times = task.responses.coords["time"].values[span.first : span.last]
        others = [partial(_cut, span=other, times=times) for other in spans]
        yield task.cross_scores(partial(_cut, span=span), others)


def _cut(responses: xr.DataArray, *, span: Span, times: np.ndarray | None = None) -> xr.DataArray:
    """One window of epochs, under other times if given."""
    window = responses.isel(time=slice(span.first, span.last))
    return window if times is None else window.assign_coords(time=times)
