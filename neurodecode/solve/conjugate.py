"""Ridge on many selected predictors without a factorisation: conjugate gradients for a block of targets at once.

Every iteration is one product of the whole Gram matrix with the block: many times more multiplications than a
factorised sub-matrix would need, but in one fast product and few times, if alpha is large. A low-rank approximation of
the Gram matrix preconditions (Frangella, Tropp & Udell 2023); restricted to a target's selection it is inverted by
Woodbury's identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy import linalg

# Relative residual at which a target is solved, by dtype.
RESIDUAL = {"f": 1e-6, "d": 1e-11}
RANK = 64
OVERSAMPLING, PASSES = 16, 3


@dataclass(frozen=True)
class LowRank:
    """A Gram matrix as ``u diag(s) u^T + rest I``: u (p, r), s (r) beyond the rest, which is the mean of the others."""

    u: np.ndarray
    s: np.ndarray
    rest: float

    @property
    def largest(self) -> float:
        """Bound on what preconditioning leaves, in units of eigenvalues: the smallest one that was kept."""
        return float(self.s[0]) + self.rest if self.s.size else self.rest


def low_rank(products: np.ndarray, rank: int = RANK) -> LowRank:
    """Approximate a Gram matrix (p, p) by its leading eigenvectors, found by subspace iteration (Halko et al. 2011)."""
    p = len(products)
    rank = min(rank, p)
    basis = np.random.default_rng(0).normal(size=(p, min(p, rank + OVERSAMPLING))).astype(products.dtype)
    for _ in range(PASSES):
        basis, _ = linalg.qr(products @ basis, mode="economic")
    small = basis.T @ (products @ basis)
    values, vectors = linalg.eigh(small.astype(np.float64))
    values, vectors = values[-rank:], vectors[:, -rank:]
    others = max(p - rank, 1)
    rest = max(float(np.trace(products, dtype=np.float64) - values.sum()) / others, 0.0)
    u = basis @ vectors.astype(products.dtype)
    return LowRank(u, np.maximum(values - rest, 0.0).astype(products.dtype), rest)


def iterations(low: LowRank, alpha: float, dtype: DTypeLike) -> float:
    """Predict how many iterations the residual of a dtype needs, from the condition that preconditioning leaves."""
    return float(np.log(2 / RESIDUAL[np.dtype(dtype).char]) / 2 * np.sqrt((low.largest + alpha) / alpha))


def conjugate_gradients(
    products: np.ndarray,
    right: np.ndarray,
    alpha: np.ndarray,
    rows: np.ndarray,
    *,
    low: LowRank,
    limit: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve (G_t + alpha_t I) w_t = b_t, G_t the rows and columns of G that target t selects.

    Parameters
    ----------
    products : G (p, p)
    right : b (q, k); alpha : (q); rows : (q, k)
    low : of G
    limit : of iterations

    Returns
    -------
    Weights (q, k), and whether each target reached the residual (q). Rows of the others are of no use.
    """
    union, where = np.unique(rows, return_inverse=True)
    where = where.reshape(rows.shape)
    if len(union) < len(products):
        products, low = products[np.ix_(union, union)], LowRank(low.u[union], low.s, low.rest)
    inverse = _Preconditioner(low, alpha, where)
    buffer = np.zeros((len(rows), len(union)), products.dtype)
    alpha = alpha[:, None].astype(products.dtype)

    weights, residual = np.zeros_like(right), right.copy()
    z = inverse(residual)
    direction, rz = z.copy(), _dots(residual, z)
    wanted = RESIDUAL[right.dtype.char] * np.sqrt(_dots(right, right))
    left = np.sqrt(_dots(residual, residual)) > wanted
    for _ in range(limit):
        if not left.any():
            break
        np.put_along_axis(buffer, where, direction, axis=1)
        image = np.take_along_axis(buffer @ products, where, axis=1) + alpha * direction
        # A target that is solved stands still.
        step = np.divide(rz, _dots(direction, image), out=np.zeros_like(rz), where=left)
        weights += step[:, None] * direction
        residual -= step[:, None] * image
        left = np.sqrt(_dots(residual, residual)) > wanted
        z = inverse(residual)
        before, rz = rz, _dots(residual, z)
        turn = np.divide(rz, before, out=np.zeros_like(rz), where=before > 0)
        direction = z + turn[:, None] * direction
    return weights, ~left


class _Preconditioner:
    """(V V^T + d I)^-1 for every target: V the selected rows of u sqrt(s), d = rest + alpha."""

    def __init__(self, low: LowRank, alpha: np.ndarray, where: np.ndarray) -> None:
        self.where = where
        self.v = low.u * np.sqrt(low.s)
        self.d = (low.rest + alpha).astype(self.v.dtype)[:, None]
        self.buffer = np.zeros((len(where), len(self.v)), self.v.dtype)
        eye = np.eye(self.v.shape[1], dtype=self.v.dtype)
        inner = []
        for chosen, d in zip(where, self.d, strict=True):
            part = self.v[chosen]
            inner.append(np.linalg.inv(part.T @ part + d * eye))
        self.inner = np.stack(inner)

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        np.put_along_axis(self.buffer, self.where, residual, axis=1)
        small = np.einsum("tij,tj->ti", self.inner, self.buffer @ self.v)
        return (residual - np.take_along_axis(small @ self.v.T, self.where, axis=1)) / self.d


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("tk,tk->t", a, b)
