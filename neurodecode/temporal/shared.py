"""Ridge in many windows of the same epochs: what overlapping windows share is computed once.

Predictors are laid out time-major, so that a window is a run of neighbouring columns and the Gram matrix of the next
window holds a block of this one's. Where a window has more predictors than there are samples, kernels of the pieces
between window borders are summed instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..crossval import Group, Task, finite_mean, rows_of
from ..folds import Fold
from ..labels import FEATURE, LAYER, SAMPLE, match, require_memory
from ..linear import RidgeDecoder
from ..score import Against, Score
from ..solve.gram import outer_lower
from ..solve.ridge import solve_sound
from ..solve.sides import statistics
from ..solve.threads import threads_for

# Bytes up to which scaled epochs are kept; larger ones are scaled again for every window.
WHOLE = 2**28
# Time samples that are read at a time.
SLICE = 8


def shares(decoder: object) -> bool:
    """Whether a decoder is a ridge on all predictors with one penalty, which windows can share."""
    return (
        type(decoder) is RidgeDecoder
        and decoder.n_voxels is None
        and decoder.intercept == "centre"
        and np.ndim(decoder.alpha) == 0
        and isinstance(decoder.alpha, int | float | np.integer | np.floating)
        and 0 < decoder.alpha < np.inf
    )


@dataclass(frozen=True)
class Span:
    """Time samples ``first`` to ``last``, the end left out."""

    first: int
    last: int

    def within(self, other: Span) -> bool:
        """Whether all of it lies in ``other``."""
        return other.first <= self.first and self.last <= other.last

    def parts(self, most: int) -> Iterator[Span]:
        """Cut it into spans of at most ``most`` samples."""
        for first in range(self.first, self.last, most):
            yield Span(first, min(first + most, self.last))

    def columns(self, channels: int, origin: int = 0) -> slice:
        """Return its predictors, time-major, counted from the time sample ``origin``."""
        return slice((self.first - origin) * channels, (self.last - origin) * channels)


@dataclass(frozen=True)
class Epochs:
    """Some samples of epochs (n, channel, time), read one span at a time: they may be a dask array."""

    values: Any
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many samples, channels and times."""
        return len(self.rows), int(self.values.shape[1]), int(self.values.shape[2])

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return np.dtype(self.values.dtype)

    def read(self, span: Span) -> np.ndarray:
        """Return predictors (n, p) of a span, time-major."""
        first, last = int(self.rows[0]), int(self.rows[-1]) + 1
        # Neighbouring samples are not copied twice.
        rows = slice(first, last) if np.array_equal(self.rows, np.arange(first, last)) else self.rows
        part = np.asarray(self.values[:, :, span.first : span.last][rows])
        return part.transpose(0, 2, 1).reshape(len(part), -1)


class SharedRidge:
    """Ridge from windows of epochs to features, one fit a window.

    The same numbers as :class:`neurodecode.RidgeDecoder` fitted on each window. Give windows in order of time: what
    one shares with the one before is not computed again.

    Parameters
    ----------
    epochs : of the training samples
    y : (n, q)
    spans : of all windows
    decoder : for which :func:`shares` is true
    """

    def __init__(self, epochs: Epochs, y: np.ndarray, spans: Sequence[Span], decoder: RidgeDecoder) -> None:
        self.epochs = epochs
        self.n, self.channels, self.times = epochs.shape
        self.alpha, self.standardise = float(np.asarray(decoder.alpha)), decoder.standardise
        every, used = Span(0, self.times), Span(min(s.first for s in spans), max(s.last for s in spans))
        # Small epochs are read once, for their statistics and to be scaled.
        self.small = epochs.dtype.itemsize * self.n * self.channels * self.times <= WHOLE
        self.raw = epochs.read(every) if self.small else None
        self.mean, self.sd, self.varies = _by_time(self._read, epochs.shape, used)
        self.y_mean, y_sd, varies = statistics(y)
        self.y_sd = y_sd if self.standardise else np.ones_like(y_sd)
        scaled = (y - self.y_mean) / self.y_sd
        scaled[:, ~varies] = 0.0
        if not self.standardise:
            self.sd = np.ones_like(self.sd)
        borders = sorted({b for s in spans for b in (s.first, s.last)})
        self.pieces = [Span(a, b) for a, b in zip(borders, borders[1:], strict=False)]
        self._begin(scaled, np.dtype(np.float32 if epochs.dtype == np.float32 else np.float64))

    def _begin(self, y: np.ndarray, dtype: np.dtype) -> None:
        """Start with nothing computed, in a dtype."""
        self.dtype, self.y = dtype, y.astype(dtype)
        self.whole: np.ndarray | None = None
        self.now: tuple[Span, np.ndarray] | None = None
        if self.small:
            self.whole = self._scaled(Span(0, self.times))
        self.raw = None
        self.kernels: dict[Span, np.ndarray] = {}
        self.before: tuple[Span, np.ndarray, np.ndarray] | None = None

    def _read(self, span: Span) -> np.ndarray:
        """Training predictors (n, p) of a few time samples, time-major, as they are."""
        return self.epochs.read(span) if self.raw is None else self.raw[:, span.columns(self.channels)]

    def scaled(self, span: Span) -> np.ndarray:
        """Training predictors (n, p) of a window, time-major, in the units of the penalty."""
        if self.whole is not None:
            return self.whole[:, span.columns(self.channels)]
        return self._scaled(span)

    def _scaled(self, span: Span) -> np.ndarray:
        columns = span.columns(self.channels)
        z = np.empty((self.n, columns.stop - columns.start), self.dtype)
        for part in span.parts(SLICE):
            there = part.columns(self.channels)
            here = part.columns(self.channels, span.first)
            z[:, here] = (self._read(part) - self.mean[there]) / self.sd[there]
        z[:, ~self.varies[columns]] = 0.0
        return z

    def window(self, span: Span) -> np.ndarray:
        """Return what :meth:`scaled` does; of a window that is read from the epochs, only what the one before lacks."""
        if self.whole is not None:
            return self.scaled(span)
        z = np.empty((self.n, (span.last - span.first) * self.channels), self.dtype)
        fresh = span
        if self.now is not None and self.now[0].first <= span.first < self.now[0].last <= span.last:
            before, old = self.now
            common, fresh = Span(span.first, before.last), Span(before.last, span.last)
            there = common.columns(self.channels, before.first)
            z[:, common.columns(self.channels, span.first)] = old[:, there]
        z[:, fresh.columns(self.channels, span.first)] = self.scaled(fresh)
        self.now = span, z
        return z

    def weights(self, span: Span) -> np.ndarray:
        """Weights (p, q) of one window, time-major, in the units of the data."""
        n, p = self.n, (span.last - span.first) * self.channels
        solve = self._primal if p <= n else self._dual
        with threads_for(min(n, p)):
            w = solve(span)
            if w is None:
                self._begin(self.y, np.dtype(np.float64))
                w = solve(span)
        if w is None:
            raise RuntimeError(
                "float64 was refused, which must not be; please report it with the data's shapes"
            )
        return w * (self.y_sd / self.sd[span.columns(self.channels), None])

    def inverse(self, span: Span) -> tuple[np.ndarray, np.ndarray]:
        """Return the inverse of a window's penalised Gram matrix (p, p), and the products x^T y (p, q) with it.

        Of x scaled and y centred, for a window with no more predictors than samples.
        """
        p = (span.last - span.first) * self.channels
        with threads_for(p):
            gram, right = self._sums(span)
            found = solve_sound(gram.copy(), np.eye(p, dtype=gram.dtype), self.alpha)
            if found is None:
                self._begin(self.y, np.dtype(np.float64))
                return self.inverse(span)
        return found, right * self.y_sd

    def _primal(self, span: Span) -> np.ndarray | None:
        gram, right = self._sums(span)
        return solve_sound(gram.copy(), right, self.alpha)

    def _sums(self, span: Span) -> tuple[np.ndarray, np.ndarray]:
        """Return x^T x and x^T y of a window; what it shares with the one before is not summed again."""
        x = self.window(span)
        gram, right = (
            np.empty((x.shape[1], x.shape[1]), x.dtype),
            np.empty((x.shape[1], self.y.shape[1]), x.dtype),
        )
        fresh = [span]
        if self.before is not None:
            old, old_gram, old_right = self.before
            common = Span(max(old.first, span.first), min(old.last, span.last))
            if common.first < common.last:
                here = common.columns(self.channels, span.first)
                there = common.columns(self.channels, old.first)
                gram[here, here], right[here] = old_gram[there, there], old_right[there]
                fresh = [Span(span.first, common.first), Span(common.last, span.last)]
        for part in fresh:
            new = part.columns(self.channels, span.first)
            if new.start == new.stop:
                continue
            gram[:, new], right[new] = self.products(x, new)
            gram[new] = gram[:, new].T
        self.before = span, gram, right
        return gram, right

    def products(self, x: np.ndarray, new: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return x^T x and x^T y for some columns of x: (p, new), (new, q)."""
        return x.T @ x[:, new], x[:, new].T @ self.y

    def _dual(self, span: Span) -> np.ndarray | None:
        # Pieces that lie before this window are in none that follows.
        self.kernels = {s: k for s, k in self.kernels.items() if s.within(span)}
        inside = [piece for piece in self.pieces if piece.within(span)]
        for piece in inside:
            if piece not in self.kernels:
                self.kernels[piece] = outer_lower(self.scaled(piece))
        # Lower triangles only.
        kernel = self.kernels[inside[0]].copy(order="F")
        for piece in inside[1:]:
            kernel += self.kernels[piece]
        found = solve_sound(kernel, self.y, self.alpha)
        return None if found is None else self.scaled(span).T @ found


def _by_time(
    read: Callable[[Span], np.ndarray], shape: tuple[int, int, int], used: Span
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, SD and 'does it vary' of every predictor, time-major, read a few time samples at a time.

    Outside the span that is ``used``: 0, 1 and no.
    """
    _, channels, times = shape
    mean, sd, varies = np.zeros(channels * times), np.ones(channels * times), np.zeros(channels * times, bool)
    for part in used.parts(SLICE):
        columns = part.columns(channels)
        mean[columns], sd[columns], varies[columns] = statistics(read(part))
    return mean, sd, varies


class SharedTask:
    """A task of :mod:`neurodecode.crossval` whose decoders are all such ridges: its scores, window by window."""

    def __init__(self, task: Task, spans: Sequence[Span]) -> None:
        require_memory(
            task_bytes(task, spans),
            what=f"ridges in {len(spans)} windows of {task.responses.sizes['channel']} channels, "
            f"{task.responses.sizes[SAMPLE]} samples, {len(task.folds)} fold(s)",
            remedy="take shorter windows, fewer channels, folds or features, or average trials",
        )
        self.task = task
        epochs = floating(task.responses.transpose(SAMPLE, "channel", "time"))
        self.parts = [[Part(epochs, group, fold, spans) for group in task.groups] for fold in task.folds]
        truths = task.truths()
        self.judges = {key: judge(task.score, true) for key, true in truths.items()}
        some = task.score.function(true := next(iter(truths.values())), true)
        self.attrs = {"score": task.score.name, "units": xr.DataArray(some).attrs.get("units", "a.u.")}

    def scores(self, span: Span) -> xr.DataArray:
        """Fit and score in one window: (layer, fold)."""
        return self.cross_scores(span, [span]).isel(other=0)

    def cross_scores(self, span: Span, others: Sequence[Span]) -> xr.DataArray:
        """Fit in one window and score in others: (other, layer, fold)."""
        names, folds = list(self.task.spaces), [fold.name for fold in self.task.folds]
        values, chances = np.empty((2, len(others), len(names), len(folds)))
        for f, parts in enumerate(self.parts):
            for part in parts:
                fitted = part.fitted(span)
                for o, other in enumerate(others):
                    predicted = fitted(other)
                    for name, columns in part.columns.items():
                        found, chance = self.judges[name, folds[f]](predicted[:, columns])
                        place = o, names.index(name), f
                        values[place], chances[place] = finite_mean(found), chance
        dims = ("other", LAYER, "fold")
        coords = {LAYER: names, "fold": folds, "chance": (dims, chances)}
        return xr.DataArray(values, dims=dims, coords=coords, attrs=self.attrs)


def task_bytes(task: Task, spans: Sequence[Span]) -> int:
    """Bytes that the ridges of a task hold at their peak, beside the epochs and the features."""
    _, channels, times = (task.responses.sizes[d] for d in (SAMPLE, "channel", "time"))
    itemsize = 4 if task.responses.dtype == np.float32 else 8
    p = channels * max(s.last - s.first for s in spans)
    q = sum(space.sizes[FEATURE] for space in task.spaces.values())
    # Kernels of the pieces of a window, for more predictors than samples.
    pieces = 2 * max(sum(o.first < s.last and s.first < o.last for o in spans) for s in spans)
    kept, most = 0, 0
    for fold in task.folds:
        train, test = (itemsize * len(rows) * channels * times for rows in (fold.train, fold.test))
        held, n = [size for size in (train, test) if size <= WHOLE], len(fold.train)
        # Of the window before: its predictors, if they are read one by one, and what it shares with the next.
        before = (0 if train <= WHOLE else n * p) + (p**2 if p <= n else pieces * n**2)
        kept += len(task.groups) * (sum(held) + 17 * channels * times + itemsize * before)
        kept += (8 + itemsize) * n * q + itemsize * p * q
        # Of this one: its predictors and what is read of them, its matrix and the factor.
        now = 2 * n * p + 3 * min(n, p) ** 2
        most = max(most, itemsize * now + 8 * 3 * p * q, 8 * 3 * n * channels * SLICE)
    return kept + most


def floating(array: xr.DataArray) -> xr.DataArray:
    """Return whole numbers and other widths as float64."""
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def judge(score: Score, true: xr.DataArray) -> Against:
    """A function from bare predictions of ``true`` to scores and chance, whether or not the score can prepare."""
    if score.prepare is not None:
        return score.prepare(true)

    def labelled(predicted: np.ndarray) -> tuple[np.ndarray, float]:
        found = xr.DataArray(score.function(true.copy(data=predicted), true))
        return found.values, float(found.attrs.get("chance", np.nan))

    return labelled


class Part:
    """One group of feature spaces in one fold: its ridge, and the epochs it is tested on."""

    def __init__(
        self,
        epochs: xr.DataArray,
        group: Group,
        fold: Fold,
        spans: Sequence[Span],
    ) -> None:
        labels = epochs.isel({"channel": 0, "time": 0}, drop=True).isel({SAMPLE: fold.train})
        y, self.columns, first = [], {}, 0
        for name, space in group.spaces.items():
            matched = match(rows_of(space, fold.train), labels).transpose(SAMPLE, FEATURE)
            y.append(floating(matched).values)
            self.columns[name] = slice(first, first + space.sizes[FEATURE])
            first += space.sizes[FEATURE]
        self.ridge = SharedRidge(Epochs(epochs.data, fold.train), np.hstack(y), spans, group.decoder)
        self.tested = Epochs(epochs.data, fold.test)
        every = Span(0, epochs.sizes["time"])
        small = self.tested.dtype.itemsize * np.prod(self.tested.shape) <= WHOLE
        self.whole = self._centred(every) if small else None

    def test(self, span: Span) -> np.ndarray:
        """Test predictors (n, p) of a window, time-major, about the mean of training."""
        if self.whole is None:
            return self._centred(span)
        return self.whole[:, span.columns(self.ridge.channels)]

    def _centred(self, span: Span) -> np.ndarray:
        # About the mean of training, so that float32 loses nothing to an offset.
        mean = self.ridge.mean[span.columns(self.ridge.channels)]
        return np.asarray((self.tested.read(span) - mean).astype(self.tested.dtype))

    def fitted(self, trained: Span) -> Callable[[Span], np.ndarray]:
        """Fit in one window; return what predicts (sample, feature) from another of the same width."""
        ridge = self.ridge
        weights, there = ridge.weights(trained), trained.columns(ridge.channels)
        bare = weights.astype(self.tested.dtype, copy=False)
        base = ridge.y_mean - ridge.mean[there] @ weights

        def predict(tested: Span) -> np.ndarray:
            here = tested.columns(ridge.channels)
            return np.asarray(self.test(tested) @ bare + (base + ridge.mean[here] @ weights))

        return predict
