"""A sweep under the null hypothesis, from one set of fits: what stays when stimuli change places is computed once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from .. import store
from ..checks import shown
from ..crossval import Features, Group, Responses, Task, describe, finite_mean, identity, tasks
from ..folds import Fold
from ..inference import shuffles
from ..inference.exchange import permuted
from ..labels import FEATURE, LAYER, PERMUTATION, SAMPLE, STIMULUS, groups, listed, match, require_memory
from ..score import Against, Ranked, profile
from ..solve.permuted import Correlated, Linear, Window, rank
from ..solve.threads import in_threads, slices
from .shared import Part, Span, floating, judge, shares, task_bytes
from .sweep import common_time
from .windows import windows

# Orders in one piece of a run that goes on after a stop, and bytes of predictions held at a time.
PIECE, HELD = 100, 2**26


def sweep_null(
    epochs: Responses,
    features: Features,
    decoder: Any,
    *,
    n: int = 1000,
    blocks: Any = None,
    seed: int = 0,
    alpha: float = 0.05,
    refit: bool = True,
    width: float = 0.100,
    step: float = 0.025,
    scheme: str = "sliding",
    tmin: float | None = None,
    tmax: float | None = None,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    score: Any = "top1",
    resume: str | Path | None = None,
) -> xr.DataArray:
    """Scores of :func:`sweep` when features say nothing of responses, for ridge and at a fraction of its work.

    The numbers, to rounding, of :func:`neurodecode.inference.null` of the sweep: in each order the decoders are fitted
    and tested on features that changed places. The responses are factorised once a window and fold; repeats of a
    stimulus are summed once; identification ("top1", "top5", "pairwise") never forms predictions.

    Parameters
    ----------
    epochs, features, width, step, scheme, tmin, tmax, train, test, folds, score : see :func:`sweep`
        Features are (stimulus, feature).
    decoder : RidgeDecoder, or a mapping of feature space to RidgeDecoder
        On all predictors, with one alpha and a centred intercept; for others see :func:`neurodecode.inference.null`.
    n, blocks, seed, alpha : see :func:`neurodecode.inference.shuffles`
    refit : bool
        False: decoders are kept as they were fitted, and only the test stimuli's features change places. Cheaper still,
        and another question: whether *these* decoders' predictions go with the test stimuli (Etzel & Braver 2013). With
        one fixed split both are valid; with ``folds`` it is refused: all stimuli change places, test stimuli of one
        fold train another, and predictions of folds depend on each other.
    resume : folder, optional
        Finished pieces are kept there, and a run that was stopped goes on from them.

    Returns
    -------
    (permutation, window, layer, subject, fold)
        Attrs score, units, ``all`` and ``distinct`` of the shuffles (with refit=False of the test stimuli's alone),
        provenance.

    Raises
    ------
    ValueError
        See :func:`sweep` and :func:`neurodecode.inference.shuffles`; for another decoder; for refit=False with folds.

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
    >>> null = nd.temporal.sweep_null(epochs, features, nd.RidgeDecoder(1.0), n=19, folds=4, score="profile")
    >>> null.sizes["permutation"]
    19
    """
    todo = tasks(epochs, features, decoder, train=train, test=test, split_by=folds, score=score)
    _require_ridge(todo)
    if not refit and folds is not None:
        raise ValueError(
            f"refit=False keeps decoders, but with folds={shown(folds)} all stimuli change places, those of training "
            "with those of the test, and folds depend on each other in ways that such orders do not repeat; give one "
            "split (train=..., test=...), or refit=True"
        )
    responses = {t.subject: t.responses for t in todo}
    laid = windows(common_time(responses), width=width, step=step, scheme=scheme, tmin=tmin, tmax=tmax)
    drawn = partial(shuffles, n=n, blocks=blocks, seed=seed, alpha=alpha)
    parts = {"train": train, "test": test, "folds": folds}
    orders = drawn(responses, **parts) if refit else _of_tests(todo, drawn, parts)
    run = _Run(todo, laid, orders, refit, seed, resume)
    total = len(todo) * orders.sizes[PERMUTATION]
    with tqdm(total=total, desc="permutations", disable=None, leave=False) as bar:
        found = [run.of(task, bar) for task in todo]
    subjects = xr.Variable("subject", [t.subject for t in todo])
    return run.finish(xr.concat(found, dim=subjects, join="outer"))


def _of_tests(
    todo: Sequence[Task], drawn: Callable[..., xr.DataArray], parts: dict[str, Any]
) -> xr.DataArray:
    """Orders of which those of the test stimuli alone count: where decoders stay, the others change nothing.

    Where the test stimuli have no more than n orders, those are all that there are, and the training stimuli stay.
    """
    tested = {t.subject: t.responses.isel({SAMPLE: t.folds[0].test}) for t in todo}
    few = drawn({k: v.drop_vars("split", errors="ignore") for k, v in tested.items()})
    with warnings.catch_warnings():
        # Of the test stimuli's orders it was said.
        warnings.simplefilter("ignore", UserWarning)
        orders = drawn({t.subject: t.responses for t in todo}, **parts)
    if not few.attrs["all"]:
        return orders.assign_attrs(distinct=few.attrs["distinct"])
    still = orders[STIMULUS].values
    whole = xr.DataArray(
        np.tile(still, (few.sizes[PERMUTATION], 1)),
        {PERMUTATION: few[PERMUTATION].values, STIMULUS: still},
        few.dims,
        attrs=few.attrs,
    )
    whole.loc[{STIMULUS: few[STIMULUS].values}] = few.values
    return whole


def _require_ridge(todo: Sequence[Task]) -> None:
    others = [store.describe(g.decoder) for t in todo for g in t.groups if not shares(g.decoder)]
    if others:
        raise ValueError(
            "sweep_null is for RidgeDecoder on all predictors with one alpha above 0 and intercept='centre', which "
            f"windows can share; got {listed(dict.fromkeys(others))}. neurodecode.inference.null takes any decoder"
        )
    for name, space in todo[0].spaces.items():
        if STIMULUS not in space.dims:
            raise ValueError(
                f"features {name!r} have the dimensions {tuple(map(str, space.dims))}; stimuli exchange features, "
                "which must be (stimulus, feature)"
            )


class _Run:
    """Work through subjects and pieces of the orders, keeping finished ones."""

    def __init__(
        self,
        todo: list[Task],
        laid: xr.Dataset,
        orders: xr.DataArray,
        refit: bool,
        seed: int,
        resume: str | Path | None,
    ) -> None:
        self.todo, self.laid, self.orders, self.refit, self.seed = todo, laid, orders, refit, seed
        first, size = laid["first"].values.tolist(), laid["size"].values.tolist()
        self.spans = [Span(a, a + b) for a, b in zip(first, size, strict=True)]
        self.data = {t.subject: store.data_hash(t.responses, *t.spaces.values()) for t in todo}
        self.parameters = {
            **describe(todo),
            **laid.attrs,
            "windows": laid.sizes["window"],
            **store.provenance(orders)["parameters"],
            "refit": refit,
        }
        key = {
            "what": "temporal.sweep_null",
            "parameters": self.parameters,
            "data": self.data,
            "orders": store.provenance(orders)["data"],
            "start": laid.start.values.tolist(),
            "stop": laid.stop.values.tolist(),
            **identity(todo),
        }
        self.pieces = None if resume is None else store.Pieces(resume, key=key)

    def of(self, task: Task, bar: tqdm) -> xr.DataArray:
        """Scores (permutation, window, layer, fold) of one subject."""
        parts: list[xr.DataArray] = []
        nulls: _Nulls | None = None

        def scored(part: slice) -> xr.DataArray:
            # Nothing is fitted for pieces that are all there.
            nonlocal nulls
            nulls = nulls or _Nulls(task, self.spans, self.refit)
            return nulls.scores(self.orders[part])

        for part in slices(self.orders.sizes[PERMUTATION], PIECE):
            name = f"{task.subject}-{part.start:06d}"
            found = xr.DataArray(store.kept(self.pieces, name, partial(scored, part)))
            parts.append(found)
            bar.update(found.sizes[PERMUTATION])
        return xr.concat(parts, dim=PERMUTATION, join="exact")

    def finish(self, found: xr.DataArray) -> xr.DataArray:
        """Label and stamp the result."""
        coords = {k: self.laid.coords[k] for k in ("window", "start", "stop")}
        coords[PERMUTATION] = self.orders[PERMUTATION]
        result = found.assign_coords(coords).transpose(PERMUTATION, "window", LAYER, "subject", "fold")
        result = result.rename("score").assign_attrs({k: self.orders.attrs[k] for k in ("all", "distinct")})
        parameters = {**self.parameters, "scores": self._source()}
        return store.stamp(
            result, what="temporal.sweep_null", parameters=parameters, seed=self.seed, data=self.data
        )

    def _source(self) -> str:
        """How the sweep would have been made, in the words of its own stamp."""
        own = {k: v for k, v in self.parameters.items() if k not in ("refit", "n", "blocks", "sides", "all")}
        bare = xr.DataArray(0.0)
        return str(
            store.stamp(bare, what="temporal.sweep", parameters=own, data=self.data).attrs["provenance"]
        )


class _Nulls:
    """One subject: what all orders share, for every fold and group of feature spaces."""

    def __init__(self, task: Task, spans: Sequence[Span], refit: bool) -> None:
        self.task, self.spans, self.refit = task, spans, refit
        _require_room(task, spans)
        epochs = floating(task.responses.transpose(SAMPLE, "channel", "time"))
        self.parts = [
            (f, group, _Fold(epochs, task, group, fold, spans))
            for f, fold in enumerate(task.folds)
            for group in task.groups
        ]
        true = next(iter(task.truths().values()))
        units = xr.DataArray(task.score.function(true, true)).attrs.get("units", "a.u.")
        self.attrs = {"score": task.score.name, "units": units}

    def scores(self, orders: xr.DataArray) -> xr.DataArray:
        """Scores (permutation, window, layer, fold)."""
        names, folds = list(self.task.spaces), [fold.name for fold in self.task.folds]
        values = np.empty((orders.sizes[PERMUTATION], len(self.spans), len(names), len(folds)))
        for f, group, fold in self.parts:
            for name, space in group.spaces.items():
                values[:, :, names.index(name), f] = self._way(fold, space, orders).scores(self.refit)
        dims = (PERMUTATION, "window", LAYER, "fold")
        return xr.DataArray(values, dims=dims, coords={LAYER: names, "fold": folds}, attrs=self.attrs)

    def _way(
        self, fold: _Fold, space: xr.DataArray, orders: xr.DataArray
    ) -> _Identified | _Correlated | _Predicted:
        """How the score is had with the least work."""
        score = self.task.score
        if score.ranked is not None:
            return _Identified(fold, space, orders, score.ranked)
        if score.function is profile:
            return _Correlated(fold, space, orders)
        return _Predicted(fold, space, orders, self.task)


class _Fold:
    """Fits of one fold, from which predictions of any features of the training stimuli follow."""

    def __init__(
        self, epochs: xr.DataArray, task: Task, group: Group, fold: Fold, spans: Sequence[Span]
    ) -> None:
        labels = task.responses.coords[STIMULUS].values
        number, first = groups(labels[fold.train])
        self.learned = labels[fold.train][first]
        self.right, first = groups(labels[fold.test])
        self.tested, self.rows = labels[fold.test][first], fold.test
        k = self.learned.size
        # Ridge is linear in its targets: these say which stimulus a trial was of.
        which = xr.DataArray(
            np.eye(k, dtype=epochs.dtype), dims=(STIMULUS, FEATURE), coords={STIMULUS: self.learned}
        )
        part = Part(epochs, Group({"which": which}, group.decoder), fold, spans)
        weight = np.bincount(number, minlength=k) / number.size
        self.linear = _linear(part, spans, weight)
        self.dtype = self.linear.sums.dtype


def _linear(part: Part, spans: Sequence[Span], weight: np.ndarray) -> Linear:
    """Windows with more stimuli than predictors by way of the predictors, the others by way of the stimuli."""
    ridge, k = part.ridge, weight.size
    channels, dtype = ridge.channels, ridge.dtype
    narrow = [(s.last - s.first) * channels < min(k, ridge.n + 1) for s in spans]
    sums = np.zeros((ridge.times * channels if any(narrow) else 0, k), dtype)
    windows = []
    for span, small in zip(spans, narrow, strict=True):
        columns = span.columns(channels)
        if small:
            inverse, sums[columns] = ridge.inverse(span)
            left = (part.test(span) / ridge.sd[columns]) @ inverse
            windows.append(Window(left.astype(dtype), columns))
        else:
            left = part.fitted(span)(span) - weight
            windows.append(Window(left.astype(dtype), None))
        if ridge.dtype != dtype:
            # float32 was too inaccurate here: everything again in float64.
            return _linear(part, spans, weight)
    return Linear(windows, sums, weight.astype(dtype))


class _Orders:
    """Rows of a feature space that training and test stimuli of a fold have in each order, and in the data."""

    def __init__(self, fold: _Fold, space: xr.DataArray, orders: xr.DataArray) -> None:
        self.fold, self.space = fold, space.transpose(STIMULUS, FEATURE)
        there, here = space.indexes[STIMULUS], orders.indexes[STIMULUS]
        rows = there.get_indexer(orders.values.ravel()).reshape(orders.shape)
        own = there.get_indexer(orders[STIMULUS].values)
        self.learned, self.tested = (
            rows[:, here.get_indexer(names)] for names in (fold.learned, fold.tested)
        )
        self.unchanged = own[here.get_indexer(fold.learned)][None]
        self.values = np.asarray(self.space.values, dtype=np.float64)
        # About the training mean, so that float32 loses nothing to an offset.
        self.origin = self.values[self.unchanged[0]].mean(axis=0)


class _Identified(_Orders):
    """Identification among the test stimuli: predictions enter by their products with candidates alone."""

    def __init__(self, fold: _Fold, space: xr.DataArray, orders: xr.DataArray, ranked: Ranked) -> None:
        super().__init__(fold, space, orders)
        self.ranked = ranked
        used, tested = np.unique(self.tested, return_inverse=True)
        self.tested = tested.reshape(self.tested.shape)
        patterns = ranked.patterns(self.space.isel({STIMULUS: used}))
        same, number = np.unique(patterns, axis=0, return_inverse=True)
        self.same = number if len(same) < len(patterns) else None
        rows, learned = np.unique(
            np.concatenate([self.learned.ravel(), self.unchanged[0]]), return_inverse=True
        )
        self.learned = learned[: self.learned.size].reshape(self.learned.shape)
        self.unchanged = learned[self.learned.size :][None]
        self.products = ((self.values[rows] - self.origin) @ patterns.T).astype(fold.dtype)
        self.offset = patterns @ self.origin

    def scores(self, refit: bool) -> np.ndarray:
        """Scores (permutation, window)."""
        if not refit:
            return self._kept()
        size = self.fold.linear.at_once(self.tested.shape[1], most=HELD)
        return np.concatenate(list(in_threads(self._fitted, slices(len(self.tested), size))))

    def _fitted(self, block: slice) -> np.ndarray:
        learned, tested = self.learned[block], self.tested[block]
        targets = self.products[learned.T[:, :, None], tested[None]].reshape(learned.shape[1], -1)
        linear = self.fold.linear
        more = linear.mean(targets).reshape(tested.shape) + self.offset[tested]
        alike = (a.reshape(len(a), *tested.shape) for a in linear.predictions(targets))
        return np.stack([self._scored(a, more, tested) for a in alike], axis=1)

    def _scored(self, alike: np.ndarray, more: np.ndarray, tested: np.ndarray) -> np.ndarray:
        same = None if self.same is None else self.same[tested]
        better, tied = rank(alike, more, self.fold.right, same)
        return np.asarray(self.ranked.values(better, tied, tested.shape[1]).mean(axis=0))

    def _kept(self) -> np.ndarray:
        """Candidates stay as well as predictions: what changes is which of them is the right one."""
        targets, m = self.products[self.unchanged[0]], self.tested.shape[1]
        more = (self.fold.linear.mean(targets) + self.offset)[None]
        same = None if self.same is None else self.same[None]
        right = self.tested[:, self.fold.right]
        each = np.arange(right.shape[1])
        found = []
        for alike in self.fold.linear.predictions(targets):
            counts = [rank(alike[:, None], more, np.full(each.size, j), same) for j in range(m)]
            better, tied = (np.hstack(c) for c in zip(*counts, strict=True))
            found.append(self.ranked.values(better, tied, m)[each, right].mean(axis=1))
        return np.stack(found, axis=1)


class _Correlated(_Orders):
    """Profile correlation: predictions enter by their variance and by their products with truths alone."""

    def __init__(self, fold: _Fold, space: xr.DataArray, orders: xr.DataArray) -> None:
        super().__init__(fold, space, orders)
        self.correlated = Correlated(fold.linear, fold.right)

    def scores(self, refit: bool) -> np.ndarray:
        """Scores (permutation, window)."""
        return np.stack(list(in_threads(partial(self._of, refit=refit), slices(len(self.tested), 1))))

    def _of(self, block: slice, *, refit: bool) -> np.ndarray:
        i = block.start
        rows = self.learned[i] if refit else self.unchanged[0]
        targets, true = ((self.values[r] - self.origin) for r in (rows, self.tested[i]))
        found = self.correlated.of(targets.astype(self.fold.dtype), true)
        return np.array([finite_mean(r) for r in found])


class _Predicted(_Orders):
    """Any other score: predictions of each order, and its truths."""

    def __init__(self, fold: _Fold, space: xr.DataArray, orders: xr.DataArray, task: Task) -> None:
        super().__init__(fold, space, orders)
        self.orders, self.task = orders, task
        labels = task.responses.isel({d: 0 for d in task.responses.dims if d != SAMPLE}, drop=True)
        self.labels = labels.isel({SAMPLE: fold.rows})

    def scores(self, refit: bool) -> np.ndarray:
        """Scores (permutation, window)."""
        kept = None if refit else list(self._predictions(self.unchanged[0]))
        found = []
        for i, order in enumerate(self.orders):
            judged = self._judge(order)
            each = self._predictions(self.learned[i]) if kept is None else kept
            found.append([finite_mean(judged(predicted)[0]) for predicted in each])
        return np.array(found)

    def _predictions(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        targets = (self.values[rows] - self.origin).astype(self.fold.dtype)
        mean = self.fold.linear.mean(targets) + self.origin
        return (p + mean for p in self.fold.linear.predictions(targets))

    def _judge(self, order: xr.DataArray) -> Against:
        return judge(self.task.score, match(permuted(self.space, order), self.labels))


def _require_room(task: Task, spans: Sequence[Span]) -> None:
    """Refuse what would not fit beside the epochs."""
    itemsize, channels = 4 if task.responses.dtype == np.float32 else 8, task.responses.sizes["channel"]
    labels, held = task.responses.coords[STIMULUS].values, 0
    p = channels * max(s.last - s.first for s in spans)
    for fold in task.folds:
        k = len(np.unique(labels[fold.train]))
        n, tests = len(fold.train), len(fold.test)
        held += (
            len(task.groups)
            * itemsize
            * (4 * n * k + channels * task.responses.sizes["time"] * k + len(spans) * tests * min(p, k))
        )
    require_memory(
        held + task_bytes(task, spans) + HELD,
        what=f"permutations of {len(spans)} windows, {len(task.folds)} fold(s), {len(np.unique(labels))} stimuli",
        remedy="take fewer windows, channels or folds, average repeats, or use neurodecode.inference.null",
    )
