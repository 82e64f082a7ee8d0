"""From two arrays to a fitted ridge: statistics, selection, the penalty of every target, the solve.

Targets are fitted in blocks of columns, so that they may lie on disk; what all blocks share is computed once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from scipy import linalg, sparse

from .. import lazy
from .device import DeviceFactor, DevicePool
from .device import found as find_device
from .gram import cross, gram, outer_gram
from .moments import Moments, worthwhile
from .ridge import Factors, Pair, Smoother, factorise, solve_penalised
from .selected import Pool, Problem, Solution, selected_ridge
from .sides import Side
from .threads import in_threads, slices, threads_for

LOGGER = logging.getLogger(__name__)

# Targets that are fitted at a time, those that a thread takes, and bytes of float64 that predicting may take beside its
# result.
TARGETS, PIECE, CENTRED_BYTES = 4096, 1024, 2**28

# A dense array or a sparse column array; SciPy's sparse classes bear no types.
Weights: TypeAlias = Any
# A NumPy array, a memory-mapped file or a dask array.
Columns: TypeAlias = Any


@dataclass(frozen=True)
class Settings:
    """How to fit.

    ``folds`` are index pairs for choosing alpha, None for leave-one-out; of that, ``every`` computes all errors, not
    only those around the least. ``device`` is torch's name of an accelerator, None for the CPU.
    """

    alphas: np.ndarray
    k: int | None = None
    standardise: bool = True
    centre: bool = True
    folds: Sequence[Pair] | None = None
    every: bool = False
    device: str | None = None

    @property
    def chooses(self) -> bool:
        """Whether there is more than one alpha."""
        return self.alphas.size > 1

    def side(self, values: np.ndarray) -> Side:
        """Measure predictors or targets as far as these settings use it."""
        return Side.of(values, standardise=self.standardise, centred=self.centre or self.standardise)


@dataclass(frozen=True)
class Fitted:
    """A linear map y = (x - x_mean) @ weights + y_mean, in the units of the data.

    weights (p, q) is dense, or a sparse column array where every target has its own predictors. ``x_sd`` and ``y_sd``
    are training SDs (1 where constant), ``alpha`` (q) the penalty of every target, ``errors`` (a, q) what it was
    chosen by, ``solver`` how the weights were found.
    """

    weights: Weights
    x_mean: np.ndarray
    y_mean: np.ndarray
    x_sd: np.ndarray
    y_sd: np.ndarray
    alpha: np.ndarray
    errors: np.ndarray | None
    solver: str

    def of(self, columns: slice) -> Fitted:
        """Return the map to some targets only."""
        errors = None if self.errors is None else self.errors[:, columns]
        parts = {k: getattr(self, k)[columns] for k in ("y_mean", "y_sd", "alpha")}
        return replace(self, weights=self.weights[:, columns], errors=errors, **parts)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict y (n, q) from x (n, p)."""
        dtype = self.weights.dtype
        found = np.empty((len(x), self.weights.shape[1]), dtype)
        # In float64 until both means are taken care of: a block of rows at a time.
        rows = max(1, CENTRED_BYTES // (8 * (x.shape[1] + found.shape[1])))
        with threads_for(min(self.weights.shape)):
            for first in range(0, len(x), rows):
                part = slice(first, first + rows)
                centred = (x[part] - self.x_mean).astype(dtype, copy=False)
                found[part] = centred @ self.weights + self.y_mean
        return found


class Beside:
    """Arrays (n, q_i) of the same rows as one (n, sum of q_i), whose columns are read when they are asked for."""

    def __init__(self, arrays: Sequence[Columns]) -> None:
        self.arrays = arrays
        self.borders = np.cumsum([0] + [a.shape[1] for a in arrays]).tolist()
        self.shape, self.dtype = (arrays[0].shape[0], self.borders[-1]), arrays[0].dtype

    def __getitem__(self, index: tuple[slice, slice]) -> Columns:
        rows, columns = index
        first, last, _ = columns.indices(self.shape[1])
        found = [
            a[rows, max(first - start, 0) : min(last, end) - start]
            for a, start, end in zip(self.arrays, self.borders, self.borders[1:], strict=False)
            if start < last and first < end
        ]
        if len(found) == 1:
            return found[0]
        if any(map(lazy.is_dask, found)):
            import dask.array

            return dask.array.concatenate(found, axis=1)
        return np.concatenate(found, axis=1)

    def __dask_graph__(self) -> Any:
        """Say that some of it is to be read from dask arrays."""
        return next((a.__dask_graph__() for a in self.arrays if lazy.is_dask(a)), None)


class Predictors:
    """Training predictors x (n, p) as they are solved, and what all targets share: made when first asked for.

    ``many``: whether more than one block of targets will ask; ``targets`` will ask for weights.

    Raises
    ------
    ValueError
        If fewer than ``k`` predictors vary.
    """

    def __init__(self, x: np.ndarray, settings: Settings, *, many: bool, targets: int = 0) -> None:
        self.settings, self.targets = settings, targets
        self.side = settings.side(x)
        _require_varying(settings.k, self.side.varies)
        self.z = self.side.scaled(x, ones=not settings.centre)
        self.pool = Pool(self.z, self.side.varies, always=int(not settings.centre), whole=many)

    @property
    def primal(self) -> bool:
        """Whether the Gram matrix of the predictors is the smaller one."""
        return self.z.shape[1] <= self.z.shape[0]

    @property
    def units(self) -> np.ndarray:
        """Factors of the weights' rows, from the units of the penalty to those of the data."""
        scale = 1.0 / self.side.scale
        return scale if self.settings.centre else np.append(scale, 1.0)

    @cached_property
    def on_device(self) -> DevicePool | None:
        """The same on an accelerator, if one was asked for and is there."""
        device = find_device(self.settings.device)
        return None if device is None else DevicePool(self.pool.candidates, self.z, device)

    @cached_property
    def device_factor(self) -> DeviceFactor | None:
        """The same for a fit on all predictors under the one alpha."""
        device = find_device(self.settings.device)
        return None if device is None else DeviceFactor(self.z, float(self.settings.alphas[0]), device)

    @cached_property
    def factors(self) -> Factors:
        """Eigenvectors, for many alphas."""
        return factorise(self.z, targets=self.targets)

    @cached_property
    def smoother(self) -> Smoother:
        """What leave-one-out needs."""
        return Smoother(self.factors, self.settings.alphas, centred=self.settings.centre)

    def share(self, left_out: bool) -> str:
        """Make what a fit on all predictors shares, before threads ask for it; say how it solves."""
        if not self.settings.chooses:
            _ = self.cholesky
            return f"Cholesky, {self.form} form"
        if left_out:
            _ = self.smoother
            return f"leave-one-out, {self.form} eigenvectors"
        _ = self.factors
        return f"eigenvectors, {self.form} form"

    @property
    def form(self) -> str:
        """Primal or dual."""
        return "primal" if self.primal else "dual"

    def _matrix(self) -> np.ndarray:
        return gram(self.z) if self.primal else outer_gram(self.z)

    @cached_property
    def cholesky(self) -> Any:
        """Factor of the smaller Gram matrix with the one alpha on its diagonal; None if not positive definite."""
        matrix = self._matrix()
        matrix[np.diag_indices_from(matrix)] += self.settings.alphas[0]
        try:
            return linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:
            return None

    def solved(self, t: np.ndarray) -> np.ndarray:
        """Weights (p, q) under the one alpha, in float64."""
        right = cross(self.z, t) if self.primal else np.array(t, dtype=np.float64)
        if self.cholesky is None:
            found = solve_penalised(self._matrix(), right, float(self.settings.alphas[0]))
        else:
            found = linalg.cho_solve(self.cholesky, right, check_finite=False)
        return found if self.primal else cross(self.z, found)


class HeldOut:
    """One fold of the choice of alpha: predictors of the training rows, and those left out in the same units."""

    def __init__(self, x: np.ndarray, fold: Pair, settings: Settings, many: bool) -> None:
        self.train, self.test = fold
        self.predictors = Predictors(x[self.train], settings, many=many)
        self.x = self.predictors.side.scaled(x[self.test], ones=not settings.centre)

    @cached_property
    def _along(self) -> np.ndarray:
        """Left-out predictors in the coordinates of the training rows' eigenvectors."""
        factors = self.predictors.factors
        return np.asarray(self.x @ cross(factors.x, factors.u))

    def share(self) -> None:
        """Make what a fit on all predictors shares, before threads ask for it."""
        _ = self._along

    def errors(self, y: np.ndarray) -> np.ndarray:
        """Sum of squared errors (a, q) on the rows left out, in units of y (n, q)."""
        settings, trained = self.predictors.settings, y[self.train]
        side = settings.side(trained)
        t, true = side.scaled(trained), side.scaled(y[self.test])
        # One alpha's predictions at a time.
        found = self._on_all(t) if settings.k is None else self._on_selected(t)
        return np.stack([np.sum((true - f) ** 2, axis=0) for f in found]) * side.scale**2

    def _on_all(self, t: np.ndarray) -> Iterator[np.ndarray]:
        factors = self.predictors.factors
        uty = cross(factors.u, t)
        for alpha in self.predictors.settings.alphas:
            yield self._along @ (uty / (factors.s2[:, None] + alpha))

    def _on_selected(self, t: np.ndarray) -> Iterator[np.ndarray]:
        alphas = np.repeat(self.predictors.settings.alphas[:, None], t.shape[1], axis=1)
        for weights in _sparse_weights(self.predictors, t, alphas)[0]:
            yield self.x @ weights


def fit_ridge(x: Columns, y: Columns, settings: Settings) -> Fitted:
    """Fit ridge from x (n, p) to y (n, q) and return the map in the data's units and the dtype of x.

    Minimises |y_z - x_z w|^2 + alpha |w|^2 per target, with z-scored data where ``standardise``; the intercept is
    the mean (``centre``), or the weight of a column of ones that is penalised like every other.

    x is held in memory; y is read in blocks of columns. Where one of them is a dask array and a client of
    dask.distributed is active, its workers fit the blocks.

    Raises
    ------
    ValueError
        If fewer than ``k`` predictors vary.
    """
    if settings.k is not None and settings.chooses and settings.folds is None:
        raise ValueError(
            "a grid of alphas with a selection of predictors needs folds=...: leave-one-out would have to select "
            "again for every sample left out"
        )
    client = lazy.cluster(x, y)
    if client is None:
        x = np.asarray(x)
    blocks = _blocks(y.shape[1], lazy.workers(client))
    many = len(blocks) > 1
    errors = None
    if settings.chooses and settings.folds is not None:
        errors = _fold_errors(x, y, settings, blocks, client)
    predictors = lazy.piece(_predictors, x, settings, many, y.shape[1], client=client)
    held = None
    if client is None and settings.k is None:
        held = np.empty((x.shape[1] + (not settings.centre), y.shape[1]), x.dtype)
    calls = (
        (
            predictors,
            y[:, b],
            None if errors is None else settings.alphas[np.argmin(errors[:, b], axis=0)],
            None if held is None else held[:, b],
        )
        for b in blocks
    )
    fitted = _joined(lazy.each(_fit_block, calls, client=client), blocks, held)
    LOGGER.debug("%d targets: %s", len(fitted.alpha), fitted.solver)
    return fitted if errors is None else replace(fitted, errors=errors)


def _blocks(q: int, workers: int) -> list[slice]:
    """Blocks of targets: equal ones, at least two a worker if there are several."""
    most = TARGETS if workers == 1 else min(TARGETS, -(-q // (2 * workers)))
    return slices(q, most)


def _predictors(x: np.ndarray, settings: Settings, many: bool, targets: int) -> Predictors:
    return Predictors(x, settings, many=many, targets=targets)


def _fold_errors(x: Columns, y: Columns, settings: Settings, blocks: list[slice], client: Any) -> np.ndarray:
    """Mean squared error (alpha, target) on held-out folds; scaling and selection are made again inside each."""
    folds = settings.folds or ()
    errors = np.zeros((settings.alphas.size, y.shape[1]))
    if client is None and settings.k is None and settings.centre and worthwhile(x, folds):
        with threads_for(x.shape[1]):
            moments = Moments(x, folds, settings.alphas, standardise=settings.standardise)
        for block in blocks:
            errors[:, block] = _piecewise(moments.errors, np.asarray(y[:, block]))
        return errors / len(x)
    for fold in folds:
        held_out = lazy.piece(HeldOut, x, fold, settings, len(blocks) > 1, client=client)
        found = lazy.each(_errors, ((held_out, y[:, b]) for b in blocks), client=client)
        for block, part in zip(blocks, found, strict=True):
            errors[:, block] += part
    return errors / sum(len(test) for _, test in folds)


def _errors(held_out: HeldOut, y: np.ndarray) -> np.ndarray:
    y, predictors = np.asarray(y), held_out.predictors
    if predictors.settings.k is not None:
        # A selection has threads of its own.
        return held_out.errors(y)
    with threads_for(min(predictors.z.shape)):
        held_out.share()
    return _piecewise(held_out.errors, y)


def _piecewise(errors: Callable[[np.ndarray], np.ndarray], y: np.ndarray) -> np.ndarray:
    """Errors (a, q) of targets y (n, q), a piece of them to each thread."""
    pieces = slices(y.shape[1], PIECE)
    return np.concatenate(list(in_threads(lambda part: errors(y[:, part]), pieces)), axis=1)


def _fit_block(
    predictors: Predictors, y: np.ndarray, alpha: np.ndarray | None, out: np.ndarray | None
) -> Fitted:
    """Fit targets y (n, q), with the alphas (q) chosen before if there were any; dense weights go into ``out``."""
    y = np.asarray(y)
    side, settings, x_side = predictors.settings.side(y), predictors.settings, predictors.side
    t = side.scaled(y)
    if settings.k is None:
        if out is None:
            out = np.empty((predictors.z.shape[1], t.shape[1]), predictors.z.dtype)
        weights, alpha, errors, solver = _dense(predictors, t, side.scale, alpha, out)
    else:
        weights, alpha, errors, solver = _selected(predictors, t, alpha)
        weights = _in_units(weights, predictors.units, side.scale, predictors.z.dtype)
    y_mean = side.mean
    if not settings.centre:
        y_mean, weights = y_mean + _last_row(weights), weights[:-1]
    return Fitted(
        weights=weights,
        x_mean=x_side.mean,
        y_mean=y_mean,
        x_sd=x_side.sd,
        y_sd=side.sd,
        alpha=alpha,
        errors=errors,
        solver=solver,
    )


def _require_varying(k: int | None, varies: np.ndarray) -> None:
    if k is not None and k > varies.sum():
        raise ValueError(
            f"{k} predictors per target were asked for but only {int(varies.sum())} of {varies.size} vary over the "
            f"training samples; ask for at most {int(varies.sum())} or add predictors"
        )


# Weights, one alpha per target, the errors (alpha, target) behind the choice, and the solver.
Solved: TypeAlias = tuple[Weights, np.ndarray, np.ndarray | None, str]


def _dense(
    predictors: Predictors, t: np.ndarray, scale: np.ndarray, alpha: np.ndarray | None, out: np.ndarray
) -> Solved:
    """Fit targets on all predictors, a piece of them to each thread; what they share is made first.

    ``out`` (p, q) becomes the weights, in the data's units: ``scale`` (q) is that of the targets.
    """
    settings, (n, p), q = predictors.settings, predictors.z.shape, t.shape[1]
    if not settings.chooses:
        there, alpha = predictors.device_factor, np.full(q, settings.alphas[0])
        if there is not None and there.sound:
            out[:] = _in_units(there.weights(t), predictors.units, scale, out.dtype)
            return out, alpha, None, f"Cholesky, {predictors.form} form, {there.x.device}"
    left_out = alpha is None
    chosen = np.empty(q) if alpha is None else alpha
    errors = np.empty((settings.alphas.size, q)) if left_out else None

    def weights(part: slice) -> np.ndarray:
        if not settings.chooses:
            return predictors.solved(t[:, part])
        along = predictors.factors.along(t[:, part])
        if errors is not None:
            errors[:, part] = predictors.smoother.errors(t[:, part], along, every=settings.every)
            chosen[part] = settings.alphas[np.argmin(errors[:, part], axis=0)]
        return predictors.factors.weights(along, chosen[part])

    def solve(part: slice) -> None:
        out[:, part] = _in_units(weights(part), predictors.units, scale[part], out.dtype)

    with threads_for(min(n, p)):
        way = predictors.share(left_out)
    if q > PIECE:
        list(in_threads(solve, slices(q, PIECE)))
    else:
        # Many targets are worth a second thread where the Gram matrix alone is not.
        with threads_for(max(min(n, p), round((n * p * q) ** (1 / 3)))):
            solve(slice(0, q))
    return out, chosen, errors, way


def _selected(predictors: Predictors, t: np.ndarray, alpha: np.ndarray | None) -> Solved:
    """Fit every target on the predictors that correlate most with it."""
    if alpha is None:
        alpha = np.full(t.shape[1], predictors.settings.alphas[0])
    [weights], solver = _sparse_weights(predictors, t, alpha[None])
    return weights, alpha, None, solver


def _sparse_weights(
    predictors: Predictors, t: np.ndarray, alphas: np.ndarray
) -> tuple[Iterator[Weights], str]:
    """Weights (p, q) on selected predictors for every row of ``alphas`` (a, q), one by one, and the solver."""
    p, q, k = predictors.z.shape[1], t.shape[1], predictors.settings.k or predictors.z.shape[1]
    found = _on_device(predictors, t, alphas, k) or selected_ridge(Problem(predictors.pool, t, alphas, k))
    starts = np.arange(q + 1) * found.rows.shape[1]
    made = (sparse.csc_array((w.ravel(), found.rows.ravel(), starts), shape=(p, q)) for w in found.weights)
    return made, found.solver


def _on_device(predictors: Predictors, t: np.ndarray, alphas: np.ndarray, k: int) -> Solution | None:
    """Solve on the accelerator, where there is one and its float32 is accurate enough."""
    pool = predictors.pool
    if predictors.on_device is None or not pool.sound or k + pool.always > len(pool.x):
        return None
    found = predictors.on_device.solve(t, alphas, k)
    if found is None:
        pool.sound = False
        return None
    return Solution(
        *found, f"Cholesky on {k} of {pool.others} predictors, {t.dtype}, {predictors.on_device.device}"
    )


def _last_row(weights: Weights) -> np.ndarray:
    row = weights[-1:]
    return (row.toarray() if sparse.issparse(row) else row)[0]


def _in_units(weights: Weights, rows: np.ndarray, columns: np.ndarray, dtype: np.dtype) -> Weights:
    """Return diag(rows) @ weights @ diag(columns) in ``dtype``."""
    if not sparse.issparse(weights):
        # In place: nobody else holds the weights.
        weights *= rows[:, None]
        weights *= columns
        return np.asarray(weights.astype(dtype, copy=False))
    scaled = sparse.csc_array(weights)
    per_column = np.diff(scaled.indptr)
    data = scaled.data * rows[scaled.indices] * np.repeat(columns, per_column)
    return sparse.csc_array(
        (data.astype(dtype), scaled.indices.astype(np.int32), scaled.indptr), shape=scaled.shape
    )


def _joined(parts: Iterable[Fitted], blocks: list[slice], held: np.ndarray | None) -> Fitted:
    """Put fits of neighbouring targets side by side; ``held`` (p, q) has their weights already, if there."""
    parts = iter(parts)
    first = next(parts)
    if len(blocks) == 1:
        return first
    shape = first.weights.shape[0], blocks[-1].stop
    dense = None if held is None else held[: shape[0]]
    if held is None and not sparse.issparse(first.weights):
        dense = np.empty(shape, first.weights.dtype)
    columns, rest = [], []
    for block, part in zip(blocks, chain([first], parts), strict=True):
        if dense is None:
            columns.append(part.weights)
        elif held is None:
            dense[:, block] = part.weights
        rest.append(replace(part, weights=None))
    return replace(
        first,
        weights=sparse.hstack(columns, format="csc") if dense is None else dense,
        y_mean=np.concatenate([r.y_mean for r in rest]),
        y_sd=np.concatenate([r.y_sd for r in rest]),
        alpha=np.concatenate([r.alpha for r in rest]),
        errors=None if first.errors is None else np.concatenate([r.errors for r in rest], axis=1),
        solver="; ".join(dict.fromkeys(r.solver for r in rest)),
    )
