"""Ridge on the few predictors that correlate most with each target (MindDiffuser 2025, eq. 1).

The Gram matrix is formed once. Targets come in blocks: one product with the predictors gives the correlations that
select and the right-hand sides; the sub-matrices of a block are gathered in one pass over the Gram matrix; each is
solved by Cholesky. Threads take blocks, BLAS one thread in each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .gram import cross, gram
from .sides import spread
from .systems import Products, Systems, dual, factorised, iterated, planned
from .threads import in_threads, slices, threads

# Targets at a time.
BLOCK = 256
# Digits of |r| that are compared in float64: a product may give equal predictors results that differ in the last ones.
# In float32, whatever lies so near to the last one selected is compared again in float64: relative to it, and to no
# less than a small correlation.
DIGITS, DOUBT, LEAST = 12, 4e-6, 0.05
# Both sides count as centred if offsets change no correlation by more than this.
CENTRED = 1e-7


class Pool:
    """Predictors x (n, p) to select from, as they are solved, and what problems share: made when first asked for.

    The last ``always`` join every selection; ``varies`` (p - always) says which of the others may be selected. With
    ``whole`` the Gram matrix of all is formed, for several problems; otherwise of those alone that a problem selects.
    """

    def __init__(self, x: np.ndarray, varies: np.ndarray, *, always: int = 0, whole: bool = False) -> None:
        self.x, self.varies, self.always, self.whole = x, varies, always, whole
        # Whether its dtype has been accurate enough so far.
        self.sound = True

    @property
    def others(self) -> int:
        """How many predictors there are to select from."""
        return self.x.shape[1] - self.always

    @cached_property
    def candidates(self) -> Candidates:
        """Measures of the predictors, for their correlations."""
        return Candidates.of(self.x[:, : self.others], self.varies)

    @cached_property
    def double(self) -> Pool:
        """The same in float64."""
        return Pool(self.x.astype(np.float64), self.varies, always=self.always, whole=self.whole)

    @cached_property
    def _all(self) -> Products:
        return Products(gram(self.x, self.x.dtype))

    def products(self, rows: np.ndarray) -> tuple[Products, np.ndarray]:
        """Return a Gram matrix that holds every predictor in ``rows`` (q, k), and the place of each in it."""
        if self.whole:
            return self._all, rows
        # Predictors that nobody selected are not multiplied.
        chosen = np.zeros(self.x.shape[1], bool)
        chosen[rows] = True
        if chosen.all():
            return self._all, rows
        places = np.cumsum(chosen, dtype=np.int32) - 1
        return Products(gram(self.x[:, chosen], self.x.dtype)), places[rows]


@dataclass(frozen=True)
class Problem:
    """Targets y (n, q) for a pool's predictors, in its scale and dtype.

    ``k`` predictors are selected for each target; ``alpha`` (a, q) holds the penalties to solve for.
    """

    pool: Pool
    y: np.ndarray
    alpha: np.ndarray
    k: int


@dataclass(frozen=True)
class Solution:
    """Selected predictors ``rows`` (q, k + always), ascending, ``weights`` (a, q, k + always), and the way there."""

    rows: np.ndarray
    weights: np.ndarray
    solver: str


def selected_ridge(problem: Problem) -> Solution:
    """Select and solve.

    float32 predictors are solved in float32, and again in float64 if a matrix is too near to singular for that. Many
    predictors are solved by conjugate gradients, where a first target shows that they cost less than a factorisation;
    more predictors than samples by the dual form.
    """
    pool = problem.pool
    found = _solved(problem) if pool.sound else None
    if found is None:
        pool.sound = False
        found = _solved(replace(problem, pool=pool.double, y=problem.y.astype(np.float64)))
    if found is None:
        raise RuntimeError("float64 was refused, which must not be; please report it with the data's shapes")
    return found


def _solved(problem: Problem) -> Solution | None:
    """Solve in the dtype of x; None where float32 is not accurate enough."""
    pool, width = problem.pool, problem.k + problem.pool.always
    x, candidates = pool.x, pool.candidates
    rows = np.empty((problem.alpha.shape[1], width), np.int32)
    right = np.empty(rows.shape, x.dtype)
    weights = np.empty((*problem.alpha.shape, width), x.dtype)
    last = np.arange(pool.others, x.shape[1], dtype=np.int32)

    def select(columns: slice) -> bool:
        y = problem.y[:, columns]
        # One row a target: what selects reads it several times.
        products = cross(y, x, x.dtype)
        rows[columns, : problem.k] = candidates.best(y, products[:, : pool.others], problem.k)
        rows[columns, problem.k :] = last
        right[columns] = np.take_along_axis(products, rows[columns], axis=1)
        return True

    def by_dual(columns: slice) -> bool:
        y = problem.y[:, columns]
        for alpha, out in zip(problem.alpha[:, columns], weights[:, columns], strict=True):
            out[:] = dual(x, y, alpha, rows[columns])
        return True

    blocks = slices(len(rows), BLOCK)
    all(in_threads(select, blocks))
    said = f"{problem.k} of {pool.others} predictors, {x.dtype}"
    if width > len(x):
        all(in_threads(by_dual, blocks))
        return Solution(rows, weights, f"dual form on {said}")
    products, where = pool.products(rows)
    systems = Systems(products, right, problem.alpha, where)
    plan = planned(systems)

    def solve(columns: slice) -> bool:
        part, out = systems.of(columns), weights[:, columns]
        return factorised(part, out) if plan is None else iterated(part, plan, out)

    # A block for every thread, even where targets are few.
    size = min(BLOCK, -(-len(rows) // threads())) if plan is None else plan.targets
    if not all(in_threads(solve, slices(len(rows), size))):
        return None
    way = "Cholesky" if plan is None else "conjugate gradients"
    return Solution(rows, weights, f"{way} on {said}")


@dataclass(frozen=True)
class Candidates:
    """Predictors x (n, p) to select from: their means, their lengths about them (1 where constant), and who varies."""

    x: np.ndarray
    mean: np.ndarray
    norms: np.ndarray
    varies: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, varies: np.ndarray) -> Candidates:
        """Measure x; ``varies`` (p) says who may be selected."""
        mean, length = np.empty(x.shape[1]), np.empty(x.shape[1])
        for first in range(0, x.shape[1], BLOCK):
            part = slice(first, first + BLOCK)
            mean[part], length[part] = spread(x[:, part])
        length *= np.sqrt(len(x))
        varies = varies & (length > 0)
        return cls(x, mean, np.where(varies, length, 1.0), varies)

    def best(self, y: np.ndarray, products: np.ndarray, k: int) -> np.ndarray:
        """Indices (q, k), ascending, of those that correlate most with each target, given y^T x (q, p)."""
        from . import _kernels

        p = self.x.shape[1]
        mean, length, inverse = lengths(y)
        if self.offset(mean, length):
            # A product of centred sides, in float64, loses nothing to the offsets.
            products = cross(y - mean, self.x - self.mean)
        r = products * inverse.astype(products.dtype)[:, None]
        r /= self.norms.astype(products.dtype)
        np.abs(r, out=r)
        if r.dtype == np.float64:
            r = np.round(r, DIGITS)
        r[:, ~self.varies] = -1.0
        threshold = np.partition(r, p - k, axis=1)[:, p - k].copy()
        rows = _kernels.best(r, threshold, k)
        if r.dtype == np.float32:
            doubt = DOUBT * np.maximum(threshold, LEAST)[:, None]
            near = np.abs(r - threshold[:, None]) <= doubt
            for t in np.flatnonzero(near.sum(axis=1) > 1):
                sure = np.flatnonzero((r[t] > threshold[t]) & ~near[t])
                rows[t] = self._again(sure, np.flatnonzero(near[t]), y[:, t], k)
        return rows

    def offset(self, mean: np.ndarray, length: np.ndarray) -> bool:
        """Whether offsets of both sides are so large that a product of data as they are would round too much."""
        n = len(self.x)
        return _offset(self.mean, self.norms, n) * _offset(mean, length, n) > CENTRED

    def _again(self, sure: np.ndarray, doubtful: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
        """Select (k) for one target y (n) of the doubtful, whose correlations were rounded too much to tell."""
        part = np.asarray(self.x[:, doubtful], dtype=np.float64) - self.mean[doubtful]
        target = y.astype(np.float64) - y.mean(dtype=np.float64)
        length = np.sqrt(target @ target)
        exact = np.abs(part.T @ target) / self.norms[doubtful] / (length if length > 0 else 1.0)
        exact[~self.varies[doubtful]] = -1.0
        best = np.argsort(-np.round(exact, DIGITS), kind="stable")[: k - len(sure)]
        return np.sort(np.concatenate([sure, doubtful[best]]))


def lengths(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of targets y (n, q), their lengths about them, and the inverse of those, 0 where a target is constant."""
    root = np.sqrt(len(y))
    mean, length = spread(y)
    length *= root
    steady = length <= 1e-12 * np.abs(y).max(axis=0) * root
    return mean, length, np.where(steady, 0.0, 1.0 / np.where(steady, 1.0, length))


def _offset(mean: np.ndarray, length: np.ndarray, n: int) -> float:
    """Return the largest offset of any column, against its length about the mean."""
    return float(np.max(np.abs(mean) * np.sqrt(n) / np.maximum(length, 1e-100), initial=0.0))


def most_correlated(x: np.ndarray, y: np.ndarray, k: int, *, varies: np.ndarray) -> np.ndarray:
    """Return indices (k, q), ascending per target, of the predictors with the largest absolute Pearson r.

    Parameters
    ----------
    x : (n, p) and y : (n, q)
        Need not be centred. A constant target selects by index.
    varies : (p) bool
        Predictors that vary; the others are never selected.

    Notes
    -----
    Ties go to the lower index; |r| is rounded to 12 digits.
    """
    candidates = Candidates.of(x, varies)
    blocks = (y[:, first : first + BLOCK] for first in range(0, y.shape[1], BLOCK))
    return np.concatenate([candidates.best(block, cross(block, x, x.dtype), k) for block in blocks]).T
