"""From two arrays to a fitted ridge: statistics, selection, the penalty of every target, the solve."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from .gram import threads_for
from .ridge import Pair, leave_one_out_errors, path_errors, ridge_weights
from .selected import Columns, Problem, selected_ridge

LOGGER = logging.getLogger(__name__)

# A column varies if its SD exceeds this many roundings of its largest magnitude. The threshold is relative, so that
# fields in tesla count like any other unit.
ROUNDINGS = 10

# Columns whose statistics are taken at a time.
STREAM = 1024
ALL = slice(None)

# A dense array or a sparse column array; SciPy's sparse classes bear no types.
Weights: TypeAlias = Any


@dataclass(frozen=True)
class Settings:
    """How to fit.

    ``folds`` are index pairs for choosing alpha, None for leave-one-out; of that, ``every`` computes all errors, not
    only those around the least.
    """

    alphas: np.ndarray
    k: int | None = None
    standardise: bool = True
    centre: bool = True
    folds: Sequence[Pair] | None = None
    every: bool = False


@dataclass(frozen=True)
class Scaling:
    """What maps data to the units in which the penalty applies: training means and SDs of both sides."""

    x_mean: np.ndarray
    x_scale: np.ndarray
    y_mean: np.ndarray
    y_scale: np.ndarray
    varies: np.ndarray
    y_varies: np.ndarray
    x_sd: np.ndarray
    y_sd: np.ndarray
    centred: bool

    def x(self, x: np.ndarray, *, ones: bool) -> np.ndarray:
        """Return x (n, p) scaled, in its own dtype, with a column of ones for a penalised intercept."""
        z = self._scaled(x, self.x_mean, self.x_scale, self.varies)
        return np.hstack([z, np.ones((len(z), 1), dtype=x.dtype)]) if ones else z

    def y(self, y: np.ndarray, columns: slice = ALL) -> np.ndarray:
        """Return columns of y (n, q) scaled, in its own dtype."""
        part = np.asarray(y[:, columns])
        return self._scaled(part, self.y_mean[columns], self.y_scale[columns], self.y_varies[columns])

    def _scaled(
        self, values: np.ndarray, mean: np.ndarray, scale: np.ndarray, varies: np.ndarray
    ) -> np.ndarray:
        z = np.empty(values.shape, values.dtype)
        # A block at a time: the statistics are float64, and so would whole copies be.
        for first in range(0, values.shape[1], STREAM):
            part = slice(first, first + STREAM)
            z[:, part] = (values[:, part] - mean[part]) / scale[part]
        if self.centred:
            # What rounding leaves of a constant column must not earn weights, nor a correlation later.
            z[:, ~varies] = 0.0
        return z


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

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict y (n, q) from x (n, p)."""
        centred = (x - self.x_mean).astype(self.weights.dtype, copy=False)
        with threads_for(min(self.weights.shape)):
            return (centred @ self.weights + self.y_mean).astype(self.weights.dtype, copy=False)


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, SD and 'does it vary' of every column of x (n, p), in float64; the SD of a constant column is 1.

    x is read in blocks of columns: it may lie on disk.
    """
    mean, sd, largest = np.empty((3, x.shape[1]))
    for first in range(0, x.shape[1], STREAM):
        columns = slice(first, first + STREAM)
        part = np.asarray(x[:, columns])
        mean[columns] = part.mean(axis=0, dtype=np.float64)
        sd[columns] = part.std(axis=0, dtype=np.float64)
        largest[columns] = np.maximum(part.max(axis=0), -part.min(axis=0))
    varies = sd > ROUNDINGS * np.finfo(x.dtype).eps * largest
    return mean, np.where(varies, sd, 1.0), varies


def scaling(x: np.ndarray, y: np.ndarray, settings: Settings) -> Scaling:
    """Statistics of training data x (n, p), y (n, q) as far as the settings use them."""
    x_mean, x_sd, varies = statistics(x)
    y_mean, y_sd, y_varies = statistics(y)
    x_scale, y_scale = (x_sd, y_sd) if settings.standardise else (np.ones_like(x_sd), np.ones_like(y_sd))
    centred = settings.centre or settings.standardise
    if not centred:
        x_mean, y_mean = np.zeros_like(x_mean), np.zeros_like(y_mean)
    return Scaling(x_mean, x_scale, y_mean, y_scale, varies, y_varies, x_sd, y_sd, centred)


def fit_ridge(x: np.ndarray, y: np.ndarray, settings: Settings) -> Fitted:
    """Fit ridge from x (n, p) to y (n, q) and return the map in the data's units and the dtype of x.

    Minimises |y_z - x_z w|^2 + alpha |w|^2 per target, with z-scored data where ``standardise``; the intercept is
    the mean (``centre``), or the weight of a column of ones that is penalised like every other.

    Raises
    ------
    ValueError
        If fewer than ``k`` predictors vary.
    """
    scale = scaling(x, y, settings)
    _require_varying(settings.k, scale.varies)
    if settings.k is None:
        # A selection has threads of its own.
        with threads_for(min(x.shape)):
            weights, alpha, errors, solver = _dense(x, y, scale, settings)
    else:
        weights, alpha, errors, solver = _selected(x, y, scale, settings)
    LOGGER.debug("%d targets: %s", len(alpha), solver)
    y_mean = scale.y_mean
    if not settings.centre:
        y_mean = y_mean + _last_row(weights) * scale.y_scale
        weights = weights[:-1]
    return Fitted(
        weights=_rescale(weights, 1.0 / scale.x_scale, scale.y_scale, x.dtype),
        x_mean=scale.x_mean,
        y_mean=y_mean,
        x_sd=scale.x_sd,
        y_sd=scale.y_sd,
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


# Weights of the scaled problem, one alpha per target, the errors (alpha, target) behind the choice, and the solver.
Solved: TypeAlias = tuple[Weights, np.ndarray, np.ndarray | None, str]


def _dense(x: np.ndarray, y: np.ndarray, scale: Scaling, settings: Settings) -> Solved:
    """Fit all targets on all predictors."""
    alphas = settings.alphas
    z, t = scale.x(x, ones=not settings.centre), scale.y(y)
    form = "primal" if z.shape[1] <= z.shape[0] else "dual"
    if alphas.size > 1 and settings.folds is None:
        found = leave_one_out_errors(z, t, alphas, centred=settings.centre, every=settings.every)
        alpha = alphas[np.argmin(found.errors, axis=0)]
        weights = found.factors.weights(found.uty, alpha)
        return weights, alpha, found.errors, f"leave-one-out, {form} eigenvectors"
    alpha, errors = _chosen_alpha(x, y, settings)
    solver = "Cholesky" if np.ptp(alpha) == 0 else "eigenvectors"
    return ridge_weights(z, t, alpha), alpha, errors, f"{solver}, {form} form"


def _selected(x: np.ndarray, y: np.ndarray, scale: Scaling, settings: Settings) -> Solved:
    """Fit every target on the predictors that correlate most with it; y is read in blocks of columns."""
    if settings.alphas.size > 1 and settings.folds is None:
        raise ValueError(
            "a grid of alphas with a selection of predictors needs folds=...: leave-one-out would have to select "
            "again for every sample left out"
        )
    alpha, errors = _chosen_alpha(x, y, settings)
    z = scale.x(x, ones=not settings.centre)
    [weights], solver = _sparse_weights(
        z, lambda columns: scale.y(y, columns), alpha[None], settings, scale.varies
    )
    return weights, alpha, errors, solver


def _chosen_alpha(x: np.ndarray, y: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the penalty of every target (q), and the errors on held-out folds (a, q) if there is a choice."""
    if settings.alphas.size == 1:
        return np.full(y.shape[1], settings.alphas[0]), None
    errors = _fold_errors(x, y, settings)
    return settings.alphas[np.argmin(errors, axis=0)], errors


def _sparse_weights(
    z: np.ndarray, t: Columns, alphas: np.ndarray, settings: Settings, varies: np.ndarray
) -> tuple[list[Weights], str]:
    """Weights (p, q) on selected predictors for every row of ``alphas`` (a, q), and the solver."""
    always = 0 if settings.centre else 1
    p, q = z.shape[1], alphas.shape[1]
    found = selected_ridge(Problem(z, t, alphas, settings.k or p, varies, always))
    starts = np.arange(q + 1) * found.rows.shape[1]
    shape = (p, q)
    made = [
        sparse.csc_array((part.ravel(), found.rows.ravel(), starts), shape=shape) for part in found.weights
    ]
    return made, found.solver


def _fold_errors(x: np.ndarray, y: np.ndarray, settings: Settings) -> np.ndarray:
    """Mean squared error (alpha, target) on held-out folds; scaling and selection are made again inside each."""
    folds = settings.folds or ()
    errors = np.zeros((settings.alphas.size, y.shape[1]))
    ones = not settings.centre
    for train, test in folds:
        scale = scaling(x[train], y[train], settings)
        _require_varying(settings.k, scale.varies)
        z, t = scale.x(x[train], ones=ones), scale.y(y[train])
        held_out = scale.x(x[test], ones=ones), scale.y(y[test])
        if settings.k is None:
            part = path_errors((z, t), held_out, settings.alphas)
        else:
            part = _selected_path_errors((z, t), held_out, settings, scale.varies)
        errors += part * scale.y_scale**2
    return errors / sum(len(test) for _, test in folds)


def _selected_path_errors(train: Pair, test: Pair, settings: Settings, varies: np.ndarray) -> np.ndarray:
    q = train[1].shape[1]
    alphas = np.repeat(settings.alphas[:, None], q, axis=1)
    errors = np.empty(alphas.shape)
    found, _ = _sparse_weights(train[0], lambda columns: train[1][:, columns], alphas, settings, varies)
    for i, weights in enumerate(found):
        errors[i] = np.sum((test[1] - test[0] @ weights) ** 2, axis=0)
    return errors


def _last_row(weights: Weights) -> np.ndarray:
    row = weights[-1:]
    return (row.toarray() if sparse.issparse(row) else row)[0]


def _rescale(weights: Weights, rows: np.ndarray, columns: np.ndarray, dtype: np.dtype) -> Weights:
    """Return diag(rows) @ weights @ diag(columns) in ``dtype``."""
    if not sparse.issparse(weights):
        return (weights * rows[:, None] * columns[None, :]).astype(dtype)
    scaled = sparse.csc_array(weights)
    per_column = np.diff(scaled.indptr)
    data = scaled.data * rows[scaled.indices] * np.repeat(columns, per_column)
    return sparse.csc_array(
        (data.astype(dtype), scaled.indices.astype(np.int32), scaled.indptr), shape=scaled.shape
    )
