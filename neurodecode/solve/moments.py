"""Choosing penalties by folds from sums of products, where there are many more samples than predictors.

Every sample is multiplied once. A fold's sums, taken from those of all, leave its training sums; its fits and their
errors on it follow from these without another look at a sample. All sums are made about the mean of all samples, so
that none is a small difference of large numbers; each fit is about the mean of its own training samples alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .gram import cross, gram
from .ridge import Pair, positive
from .sides import ROUNDINGS

# Folds must have so many times more samples than there are predictors.
TIMES = 2
# Share of its overall variance that a predictor must keep in every training part: less would be left to rounding.
STEADY = 1e-6


def worthwhile(x: np.ndarray, folds: Sequence[Pair]) -> bool:
    """Whether sums of x (n, p) serve its folds.

    They must part all samples, each with many more of them than there are predictors, and every predictor that varies
    must do so in every training part.
    """
    n, p = x.shape
    if sum(len(test) for _, test in folds) != n or min(len(test) for _, test in folds) < TIMES * p:
        return False
    tested = np.concatenate([test for _, test in folds])
    if not np.array_equal(np.sort(tested), np.arange(n)) or any(len(a) + len(b) != n for a, b in folds):
        return False
    needed = STEADY * x.var(axis=0, dtype=np.float64)
    constant = x.max(axis=0) == x.min(axis=0)
    return all(
        bool((constant | (x[train].var(axis=0, dtype=np.float64) > needed)).all()) for train, _ in folds
    )


@dataclass(frozen=True)
class Sums:
    """Of n samples of u (n, p) and v (n, q), about any centres: sums of both, and their products (p, q)."""

    n: int
    u: np.ndarray
    v: np.ndarray
    products: np.ndarray

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.n - other.n, self.u - other.u, self.v - other.v, self.products - other.products)

    def about(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Products about other centres."""
        return (
            self.products
            - np.multiply.outer(self.u, v)
            - np.multiply.outer(u, self.v)
            + self.n * np.multiply.outer(u, v)
        )


def total(parts: Sequence[Sums]) -> Sums:
    """Sum over parts."""
    return Sums(
        sum(s.n for s in parts),
        np.sum([s.u for s in parts], axis=0),
        np.sum([s.v for s in parts], axis=0),
        np.sum([s.products for s in parts], axis=0),
    )


class Moments:
    """Sums of predictors x (n, p) over each fold, and the eigenvectors of each fold's training part.

    Parameters
    ----------
    x : (n, p)
    folds : index pairs whose test parts make up all samples
    alphas : (a)
    standardise : divide by the training SD of predictors and targets
    """

    def __init__(
        self, x: np.ndarray, folds: Sequence[Pair], alphas: np.ndarray, *, standardise: bool
    ) -> None:
        self.x, self.tests, self.alphas, self.standardise = (
            x,
            [test for _, test in folds],
            alphas,
            standardise,
        )
        self.centre = x.mean(axis=0, dtype=np.float64)
        self.folds = []
        for test in self.tests:
            z = x[test] - self.centre
            first = z.sum(axis=0)
            self.folds.append(Sums(len(test), first, first, gram(z)))
        whole, largest = total(self.folds), np.abs(x).max(axis=0)
        self.solved = [
            _Solved(whole - fold, fold, self._least(largest, x.dtype), standardise) for fold in self.folds
        ]

    def _least(self, largest: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """SD from which a column varies, given its largest magnitude."""
        return np.asarray(ROUNDINGS * np.finfo(dtype).eps * largest)

    def errors(self, y: np.ndarray) -> np.ndarray:
        """Sum of squared errors (a, q) over all samples of y (n, q), each left out with its fold."""
        centre, least = y.mean(axis=0, dtype=np.float64), self._least(np.abs(y).max(axis=0), y.dtype)
        crossed, squares = [], []
        lowest, highest = (np.stack([f(y[test], axis=0) for test in self.tests]) for f in (np.min, np.max))
        for test, fold in zip(self.tests, self.folds, strict=True):
            t = y[test] - centre
            first = t.sum(axis=0)
            crossed.append(Sums(len(test), fold.u, first, cross(self.x[test] - self.centre, t)))
            squares.append(np.einsum("nq,nq->q", t, t))
        whole, square = total(crossed), np.sum(squares, axis=0)
        errors = np.zeros((self.alphas.size, y.shape[1]))
        for i, (solved, fold, own) in enumerate(zip(self.solved, crossed, squares, strict=True)):
            others = np.arange(len(self.tests)) != i
            trained = whole - fold
            mean = trained.v / trained.n
            variance = np.maximum((square - own) / trained.n - mean**2, 0.0)
            varies = highest[others].max(axis=0) > lowest[others].min(axis=0)
            varies &= np.sqrt(variance) > least
            left = own - 2 * mean * fold.v + fold.n * mean**2
            errors += solved.errors(trained, fold, mean, left, self.alphas, varies)
        return errors


class _Solved:
    """One fold: its training predictors' eigenvectors, and the predictors left out in their coordinates."""

    def __init__(self, trained: Sums, fold: Sums, least: np.ndarray, standardise: bool) -> None:
        self.mean = trained.u / trained.n
        products = trained.about(self.mean, self.mean)
        sd = np.sqrt(np.maximum(np.diag(products) / trained.n, 0.0))
        varies = sd > least
        self.scale = np.where(varies, 1.0 / np.where(varies & standardise, sd, 1.0), 0.0)
        outer = np.multiply.outer(self.scale, self.scale)
        values, vectors = linalg.eigh(products * outer, driver="evd")
        self.values, self.vectors = positive(values, vectors)
        self.left_out = self.vectors.T @ ((fold.about(self.mean, self.mean) * outer) @ self.vectors)

    def errors(
        self,
        trained: Sums,
        fold: Sums,
        mean: np.ndarray,
        left: np.ndarray,
        alphas: np.ndarray,
        varies: np.ndarray,
    ) -> np.ndarray:
        """Sum of squared errors (a, q) on the fold; ``left`` (q) are squares of its targets about the training mean."""
        along, right = (
            self.vectors.T @ (self.scale[:, None] * sums.about(self.mean, mean)) for sums in (trained, fold)
        )
        # A constant target is its mean.
        along[:, ~varies] = 0.0
        found = []
        for alpha in alphas:
            w = along / (self.values[:, None] + alpha)
            found.append(left + np.einsum("rq,rq->q", w, self.left_out @ w - 2 * right))
        return np.maximum(np.stack(found), 0.0)
