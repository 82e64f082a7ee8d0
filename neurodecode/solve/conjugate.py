"""Ridge on many selected predictors without a factorisation: conjugate gradients.

An iteration is a product with a target's part of the Gram matrix. Either that part is gathered, and stays near while
its target is solved; or, where targets select most of what there is, the whole Gram matrix is multiplied with a block
of targets at once: many more multiplications, in one fast product. A low-rank approximation of the Gram matrix
preconditions (Frangella, Tropp & Udell 2023); restricted to a target's selection it is inverted by Woodbury's identity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import linalg

# Relative residual at which a target is solved, by dtype.
RESIDUAL = {"f": 1e-6, "d": 1e-11}
RANK = 64
OVERSAMPLING, PASSES = 16, 3
# Rounding that is accepted of a float32 solution: of the largest eigenvalue, relative to the smallest.
ROUNDING = 2e-4

# Directions (q, k), one a target, to their products with the targets' parts of the Gram matrix.
Product: TypeAlias = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class LowRank:
    """A Gram matrix as ``u diag(s) u^T + rest I``: u (p, r), s (r) beyond the rest, which is the mean of the others."""

    u: np.ndarray
    s: np.ndarray
    rest: float

    def of(self, rows: np.ndarray) -> LowRank:
        """Return the part of some predictors."""
        return LowRank(self.u[rows], self.s, self.rest)


def low_rank(products: np.ndarray, rank: int) -> LowRank:
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


@dataclass(frozen=True)
class Iterated:
    """Weights (q, k), whether each target reached the residual (q), and how many iterations were made.

    ``least`` (q): the least eigenvalue of each matrix, as far as the iterations show; ``sound`` (q): whether roundings
    of the matrix are small against it. Weights of targets that are not solved are of no use.
    """

    weights: np.ndarray
    solved: np.ndarray
    least: np.ndarray
    sound: np.ndarray
    count: int


def conjugate_gradients(
    product: Product, right: np.ndarray, alpha: np.ndarray, inverse: Preconditioner, limit: int
) -> Iterated:
    """Solve (G_t + alpha_t I) w_t = b_t for b (q, k), alpha (q) in at most ``limit`` iterations."""
    penalty = alpha[:, None].astype(right.dtype)
    weights, residual = np.zeros_like(right), right.copy()
    z = inverse(residual)
    direction, rz = z.copy(), _dots(residual, z)
    wanted = RESIDUAL[right.dtype.char] * np.sqrt(_dots(right, right))
    left = np.sqrt(_dots(residual, residual)) > wanted
    steps: list[np.ndarray] = []
    turns: list[np.ndarray] = []
    while left.any() and len(steps) < limit:
        image = product(direction) + penalty * direction
        # A target that is solved stands still.
        step = np.divide(rz, _dots(direction, image), out=np.zeros_like(rz), where=left)
        weights += step[:, None] * direction
        residual -= step[:, None] * image
        # What is no number any more is not solved.
        left = ~(np.sqrt(_dots(residual, residual)) <= wanted)
        z = inverse(residual)
        before, rz = rz, _dots(residual, z)
        turn = np.divide(rz, before, out=np.zeros_like(rz), where=before > 0)
        direction = z + turn[:, None] * direction
        steps.append(step)
        turns.append(turn)
    made = np.array([steps, turns], dtype=np.float64).reshape(2, -1, len(right))
    least = inverse.least * _least(*made)
    rounding = np.finfo(right.dtype).eps / 2 * (inverse.largest + alpha)
    return Iterated(weights, ~left, least, rounding <= ROUNDING * least, len(steps))


def _least(steps: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Least eigenvalue (q) of each preconditioned matrix as its iterations (i, q) saw it: of Lanczos' matrix."""
    found = np.full(steps.shape[1], np.inf)
    for t, made in enumerate(np.count_nonzero(steps, axis=0)):
        if made:
            # Roundings of a matrix that is not positive definite may turn the wrong way: its least is then below zero.
            inverse, turn = 1 / steps[:made, t], np.maximum(turns[: made - 1, t], 0.0)
            diagonal = inverse + np.append(0.0, turn * inverse[:-1])
            beside = np.sqrt(turn) * inverse[:-1]
            if not (np.isfinite(diagonal).all() and np.isfinite(beside).all()):
                found[t] = -np.inf
                continue
            [found[t]] = linalg.eigvalsh_tridiagonal(diagonal, beside, select="i", select_range=(0, 0))
    return found


class Together:
    """Products of the whole Gram matrix G (p, p) with targets that each have a direction along ``rows`` (q, k)."""

    def __init__(self, products: np.ndarray, rows: np.ndarray) -> None:
        union, where = np.unique(rows, return_inverse=True)
        self.where = where.reshape(rows.shape)
        self.products = products if len(union) == len(products) else products[np.ix_(union, union)]
        self.buffer = np.zeros((len(rows), len(union)), products.dtype)

    def __call__(self, direction: np.ndarray) -> np.ndarray:
        """Multiply one direction (q, k) a target."""
        np.put_along_axis(self.buffer, self.where, direction, axis=1)
        return np.take_along_axis(self.buffer @ self.products, self.where, axis=1)


class Preconditioner:
    """(V V^T + d I)^-1 for every target: V the rows (q, k) of u sqrt(s) that it selects, d = rest + alpha (q).

    ``least`` (q) and ``largest`` (q): bounds of its eigenvalues; of the largest (Frobenius norm) without alpha.
    """

    def __init__(self, low: LowRank, alpha: np.ndarray, rows: np.ndarray) -> None:
        self.rows = rows
        self.v = low.u * np.sqrt(low.s)
        self.least = low.rest + alpha
        self.d = self.least.astype(self.v.dtype)[:, None]
        self.buffer = np.zeros((len(rows), len(self.v)), self.v.dtype)
        eye = np.eye(self.v.shape[1], dtype=self.v.dtype)
        inner, largest = [], []
        for chosen, d in zip(rows, self.d, strict=True):
            part = self.v[chosen]
            small = part.T @ part
            largest.append(np.linalg.norm(small))
            inner.append(np.linalg.inv(small + d * eye))
        self.inner, self.largest = np.stack(inner), low.rest + np.array(largest)

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        """Apply the inverse to one vector (q, k) a target."""
        np.put_along_axis(self.buffer, self.rows, residual, axis=1)
        small = np.einsum("tij,tj->ti", self.inner, self.buffer @ self.v)
        return (residual - np.take_along_axis(small @ self.v.T, self.rows, axis=1)) / self.d


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("tk,tk->t", a, b)
