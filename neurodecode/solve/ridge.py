"""Ridge regression of many targets at once (Hoerl & Kennard 1970).

Everything here follows from one thin factorisation x = u diag(s) v^T, taken from the eigenvectors of the smaller of
x^T x and x x^T. All penalties share it: weights are v diag(s / (s^2 + alpha)) u^T y.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from .gram import cross, gram, outer_gram

# Rounding that is accepted of a float32 solution, relative to its smallest pivot.
ROUNDING = 8e-6
# Relative difference of two leave-one-out errors from which float32 says which is less.
TIE = 1e-4
# Up to so many samples a penalty's leave-one-out error is surely the least of its grid; with more, the least might be
# smaller by this share, though that was not seen: to rule out less takes more products than it is worth.
SURE, SLACK = 256, 0.05

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Factors:
    """The thin factorisation of x (n, p): eigenvalues s^2 (r) and left vectors u (n, r) of x x^T, in float64.

    Products with float32 data are made in float32: they only sum, nothing is solved. ``loads`` (p, r), if there, is
    x^T u, in the dtype of x.
    """

    x: np.ndarray
    u: np.ndarray
    s2: np.ndarray
    loads: np.ndarray | None

    @cached_property
    def _single(self) -> np.ndarray:
        return self.u.astype(np.float32)

    def vectors(self, dtype: np.dtype) -> np.ndarray:
        """Return u in float32 or float64."""
        return self._single if dtype == np.float32 else self.u

    def along(self, y: np.ndarray) -> np.ndarray:
        """Return y^T u (q, r), in the dtype of y (n, q)."""
        return np.asarray(y.T @ self.vectors(y.dtype))

    def weights(self, along: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Weights (p, q) from y^T u (q, r) and one alpha per target (q), in the dtype of x."""
        dtype = self.x.dtype
        scaled = (along / (self.s2 + alpha[:, None])).astype(dtype, copy=False).T
        if self.loads is not None:
            return np.asarray(self.loads @ scaled)
        return cross(self.x, self.vectors(dtype) @ scaled, dtype)


def factorise(x: np.ndarray, *, targets: int = 0) -> Factors:
    """Factorise x (n, p) through the smaller of its two Gram matrices; ``targets`` will ask for weights."""
    n, p = x.shape
    if p < n:
        s2, v = positive(*linalg.eigh(gram(x), driver="evd"))
        s = np.sqrt(s2)
        return Factors(x, np.asarray(x, dtype=np.float64) @ (v / s), s2, (v * s).astype(x.dtype))
    s2, u = positive(*linalg.eigh(outer_gram(x), driver="evd"))
    # x^T u costs what it saves for p targets.
    return Factors(x, u, s2, cross(x, u.astype(x.dtype), x.dtype) if targets >= p else None)


def positive(values: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop the null space: directions in which x does not vary beyond rounding carry no weight."""
    keep = values > max(float(values[-1]), 0.0) * values.size * np.finfo(np.float64).eps
    return values[keep], vectors[:, keep]


def ridge_weights(x: np.ndarray, y: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    """Weights (p, q), float64, minimising |x w - y|^2 + alpha |w|^2 for x (n, p), y (n, q).

    x and y are taken as they are: centre them before for an unpenalised intercept. ``alpha`` is one number (then a
    Cholesky solve of the smaller Gram matrix) or one per target (then one factorisation). Hoerl & Kennard 1970.
    """
    alphas = np.broadcast_to(np.asarray(alpha, dtype=np.float64), (y.shape[1],))
    if np.ptp(alphas) > 0:
        factors = factorise(np.asarray(x, dtype=np.float64))
        return factors.weights(cross(y, factors.u), alphas)
    n, p = x.shape
    a = float(alphas[0])
    if p <= n:
        return solve_penalised(gram(x), cross(x, y), a)
    return cross(x, solve_penalised(outer_gram(x), np.array(y, dtype=np.float64), a))


def solve_penalised(matrix: np.ndarray, right: np.ndarray, alpha: float) -> np.ndarray:
    """Solve (matrix + alpha I) z = right by Cholesky; only the lower triangle of ``matrix`` (m, m) is read.

    It is overwritten.
    """
    diagonal = np.diag_indices_from(matrix)
    matrix[diagonal] += alpha
    try:
        # Twice the speed of scipy.linalg.solve for one target, far more for many.
        factor = linalg.cho_factor(matrix, lower=True, check_finite=False)
    except linalg.LinAlgError:
        # An alpha below the rounding of the matrix: not positive definite, still solvable.
        return linalg.solve(matrix, right, assume_a="sym", lower=True, check_finite=False)
    return linalg.cho_solve(factor, right, check_finite=False)


def rounds_too_much(size: ArrayLike, least: ArrayLike, dtype: np.dtype) -> bool:
    """Whether roundings of any matrix of ``size`` (Frobenius norm) matter against ``least`` (its squared pivot).

    Up to ``ROUNDING`` what is predicted from a float32 solution is within about 2e-5 of float64's.
    """
    return bool(np.any(np.finfo(dtype).eps / 2 * np.asarray(size) > ROUNDING * np.asarray(least)))


def solve_sound(matrix: np.ndarray, right: np.ndarray, alpha: float) -> np.ndarray | None:
    """Solve (matrix + alpha I) z = right as :func:`solve_penalised`; None where float32 would be inaccurate.

    Only the lower triangle of ``matrix`` is read, and it is overwritten. See :func:`rounds_too_much`.
    """
    if matrix.dtype != np.float32:
        return np.asarray(solve_penalised(matrix, right, alpha))
    # At least the norm of the whole matrix, whether or not there is an upper triangle too.
    size = np.sqrt(2.0) * float(np.linalg.norm(matrix))
    matrix[np.diag_indices_from(matrix)] += np.float32(alpha)
    try:
        factor = linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    if rounds_too_much(size, np.diag(factor[0]).min() ** 2, matrix.dtype):
        return None
    return np.asarray(linalg.cho_solve(factor, right, check_finite=False))


class Smoother:
    """What ridge smoothers leave: u diag(rest) u^T of the span of u, all of what lies outside.

    Nothing is written as one less what is smoothed: where alpha is small, that would leave rounding alone. Here a
    target is a row: ``along`` is y^T u (q, r), ``outside`` the part (q, n) of y outside the span, None if that is all.
    """

    def __init__(self, factors: Factors, alphas: np.ndarray, *, centred: bool) -> None:
        self.factors = factors
        mean_leverage = 1.0 / len(factors.u) if centred else 0.0
        self.rests = alphas[:, None] / (factors.s2 + alphas[:, None])
        squares = factors.u**2
        outside = np.maximum(1.0 - mean_leverage - squares.sum(axis=1), 0.0)
        # Nothing left means that a sample is fitted by itself alone: its held-out error is unbounded.
        self.left_out = np.maximum(outside + self.rests @ squares.T, np.finfo(np.float64).eps)
        n, r = factors.u.shape
        self.spans = r >= n - (mean_leverage > 0)

    def errors(self, y: np.ndarray, along: np.ndarray, *, every: bool) -> np.ndarray:
        """Exact mean squared leave-one-out errors (a, q), given y^T u (q, r) in the dtype of y (n, q).

        With the smoother H: e_i = (y_i - yhat_i) / (1 - H_ii). With ``centred`` x and y, H includes the mean, so the
        intercept is left out too (Allen 1974); a column of ones in x has that leverage itself. ``every`` computes all;
        otherwise generalised cross-validation (Golub, Heath & Wahba 1979), which needs no product per alpha, says where
        every target's search begins, and exact errors are computed from there until the least of them has both
        neighbours and no other alpha can have less (see ``_at_least``); the others are infinite.
        """
        if not every:
            return self._bracketed(y, along)
        if y.dtype != np.float64:
            y = y.astype(np.float64)
            along = self.factors.along(y)
        outside = self._outside(y, along)
        return np.stack([self._one(i, outside, along) for i in range(len(self.rests))])

    def _outside(self, y: np.ndarray, along: np.ndarray) -> np.ndarray | None:
        return None if self.spans else y.T - along @ self.factors.vectors(y.dtype).T

    def _one(self, i: int, outside: np.ndarray | None, along: np.ndarray) -> np.ndarray:
        """Exact errors (q) of the i-th alpha, computed in the dtype of ``along``."""
        dtype = along.dtype
        residual = (self.rests[i].astype(dtype) * along) @ self.factors.vectors(dtype).T
        if outside is not None:
            residual += outside
        residual /= self.left_out[i].astype(dtype)
        return np.asarray(np.einsum("qn,qn->q", residual, residual) / residual.shape[1])

    def _bracketed(self, y: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Errors (a, q) around each target's least one, infinite elsewhere; float64 where float32 cannot tell."""
        outside = self._outside(y, along)
        # The square of what is left over the mean leverage that is left: generalised cross-validation.
        left = self.rests**2 @ np.square(along, dtype=np.float64).T
        if outside is not None:
            left += np.einsum("qn,qn->q", outside, outside)
        start = np.argmin(left / self.left_out.mean(axis=1, keepdims=True) ** 2, axis=0)
        scale = np.abs(y).max(axis=0).astype(np.float64)
        scale[scale == 0] = 1.0
        least = self._at_least(left / scale**2)
        errors = np.full(left.shape, np.inf)
        if outside is not None:
            outside = (outside / scale[:, None]).astype(np.float32)
        self._search(errors, outside, (along / scale[:, None]).astype(np.float32), start, least)
        errors *= scale**2
        close = np.isfinite(errors) & (errors <= (1 + TIE) * errors.min(axis=0))
        doubtful = np.flatnonzero(close.sum(axis=0) > 1)
        if doubtful.size:
            exact = np.full((len(errors), doubtful.size), np.inf)
            first = np.argmin(errors[:, doubtful], axis=0)
            part = y[:, doubtful].astype(np.float64)
            along = self.factors.along(part)
            self._search(exact, self._outside(part, along), along, first, (least * scale**2)[:, doubtful])
            errors[:, doubtful] = exact
        return errors

    def _at_least(self, left: np.ndarray) -> np.ndarray:
        """Bound the errors (a, q) from below without a product, given the squares ``left`` over (a, q).

        sum_i e_i^2 = sum_i r_i^2 / (1 - H_ii)^2 is no less than |r|^2 over the largest (1 - H_ii)^2. Many samples have
        about the same, and their mean tells as much as generalised cross-validation does.
        """
        n = len(self.factors.u)
        largest = self.left_out.max(axis=1, keepdims=True) ** 2
        if n > SURE:
            mean = self.left_out.mean(axis=1, keepdims=True) ** 2
            largest = np.maximum(largest * (1 - SLACK), mean)
        return np.asarray(left / (n * largest))

    def _search(
        self,
        errors: np.ndarray,
        outside: np.ndarray | None,
        along: np.ndarray,
        start: np.ndarray,
        least: np.ndarray,
    ) -> None:
        """Fill ``errors`` (a, q) until none that is not known can be the least: each is at least ``least`` (a, q)."""
        self._descend(errors, outside, along, np.arange(len(along)), start)
        found = errors.argmin(axis=0)
        missing = np.isinf(errors) & (least <= errors.min(axis=0) * (1 + TIE))
        self._fill(errors, outside, along, np.arange(len(along)), missing)
        best = errors.argmin(axis=0)
        moved = np.flatnonzero(best != found)
        self._descend(errors, outside, along, moved, best[moved])

    def _descend(
        self,
        errors: np.ndarray,
        outside: np.ndarray | None,
        along: np.ndarray,
        targets: np.ndarray,
        best: np.ndarray,
    ) -> None:
        """Fill ``errors`` (a, q) of ``targets`` from ``best`` on, until each one's least has both its neighbours."""
        last = len(errors) - 1
        while targets.size:
            missing = np.zeros((len(errors), targets.size), bool)
            for step in (-1, 0, 1):
                missing[np.clip(best + step, 0, last), np.arange(targets.size)] = True
            self._fill(errors, outside, along, targets, missing & np.isinf(errors[:, targets]))
            moved = np.argmin(errors[:, targets], axis=0)
            targets, best = targets[moved != best], moved[moved != best]

    def _fill(
        self,
        errors: np.ndarray,
        outside: np.ndarray | None,
        along: np.ndarray,
        targets: np.ndarray,
        missing: np.ndarray,
    ) -> None:
        """Compute those ``errors`` (a, q) of ``targets`` that are ``missing`` (a, targets)."""
        for i in np.flatnonzero(missing.any(axis=1)).tolist():
            these = targets[missing[i]]
            errors[i, these] = self._one(i, None if outside is None else outside[these], along[these])
