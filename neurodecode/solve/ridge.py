"""Ridge regression of many targets at once (Hoerl & Kennard 1970).

Everything here follows from one thin factorisation x = u diag(s) v^T, taken from the eigenvectors of the smaller of
x^T x and x x^T. All penalties share it: weights are v diag(s / (s^2 + alpha)) u^T y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .gram import COLUMNS, cross, gram, outer_gram

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Factors:
    """The thin factorisation of x (n, p): eigenvalues s^2 (r) and left vectors u (n, r) of x x^T."""

    x: np.ndarray
    u: np.ndarray
    s2: np.ndarray

    def weights(self, uty: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Weights (p, q) from u^T y (r, q) and one alpha per target (q)."""
        return cross(self.x, self.u @ (uty / (self.s2[:, None] + alpha[None, :])))


def factorise(x: np.ndarray) -> Factors:
    """Factorise x (n, p) through the smaller of its two Gram matrices."""
    n, p = x.shape
    if p < n:
        s2, v = linalg.eigh(gram(x))
        s2, v = _positive(s2, v)
        return Factors(x, np.asarray(x, dtype=np.float64) @ (v / np.sqrt(s2)), s2)
    s2, u = linalg.eigh(outer_gram(x))
    s2, u = _positive(s2, u)
    return Factors(x, u, s2)


def _positive(values: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
        factors = factorise(x)
        return factors.weights(cross(factors.u, y), alphas)
    n, p = x.shape
    a = float(alphas[0])
    if p <= n:
        return solve_penalised(gram(x), cross(x, y), a)
    return cross(x, solve_penalised(outer_gram(x), np.array(y, dtype=np.float64), a))


def solve_penalised(matrix: np.ndarray, right: np.ndarray, alpha: float) -> np.ndarray:
    """Solve (matrix + alpha I) z = right by Cholesky; ``matrix`` (m, m), symmetric, is overwritten."""
    diagonal = np.diag_indices_from(matrix)
    matrix[diagonal] += alpha
    try:
        # Twice the speed of scipy.linalg.solve for one target, far more for many.
        factor = linalg.cho_factor(matrix, lower=True, check_finite=False)
    except linalg.LinAlgError:
        # An alpha below the rounding of the matrix: not positive definite, still solvable.
        return linalg.solve(matrix, right, assume_a="sym", check_finite=False)
    return linalg.cho_solve(factor, right, check_finite=False)


def leave_one_out_errors(
    x: np.ndarray, y: np.ndarray, alphas: np.ndarray, *, centred: bool
) -> tuple[np.ndarray, Factors]:
    """Exact mean squared leave-one-out error (a, q) of every alpha, and the factorisation it came from.

    For x (n, p), y (n, q) and the smoother H: e_i = (y_i - yhat_i) / (1 - H_ii). With ``centred`` x and y, H includes
    the mean, so the intercept is left out too (Allen 1974; Golub, Heath & Wahba 1979).
    """
    factors = factorise(x)
    mean_leverage = 1.0 / x.shape[0] if centred else 0.0
    shrinks = [factors.s2 / (factors.s2 + alpha) for alpha in alphas]
    leverages = [mean_leverage + (factors.u**2) @ shrink for shrink in shrinks]
    errors = np.empty((len(alphas), y.shape[1]))
    for first in range(0, y.shape[1], COLUMNS):
        columns = slice(first, first + COLUMNS)
        block = np.asarray(y[:, columns], dtype=np.float64)
        uty = factors.u.T @ block
        for i, (shrink, leverage) in enumerate(zip(shrinks, leverages, strict=True)):
            # A leverage of one means that a sample is fitted by itself alone: its held-out error is unbounded.
            left_out = np.maximum(1.0 - leverage, np.finfo(np.float64).eps)
            residual = (block - factors.u @ (shrink[:, None] * uty)) / left_out[:, None]
            errors[i, columns] = np.mean(residual**2, axis=0)
    return errors, factors


def path_errors(train: Pair, test: Pair, alphas: np.ndarray) -> np.ndarray:
    """Sum of squared errors (a, q) on the ``test`` pair (x, y) of ridges fitted on the ``train`` pair, as given."""
    factors = factorise(train[0])
    uty = cross(factors.u, train[1])
    held_out = test[0] @ cross(factors.x, factors.u)
    return np.stack(
        [
            np.sum((test[1] - held_out @ (uty / (factors.s2[:, None] + alpha))) ** 2, axis=0)
            for alpha in alphas
        ]
    )
