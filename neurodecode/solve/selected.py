"""Ridge on the few predictors that correlate most with each target (MindDiffuser 2025, eq. 1).

The Gram matrix is formed once. Targets come in blocks: one product with the predictors gives the correlations that
select and the right-hand sides; the sub-matrices of a block are gathered in one pass over the Gram matrix; each is
solved by Cholesky. Threads take blocks, BLAS one thread in each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .conjugate import OVERSAMPLING, PASSES, RANK, LowRank, conjugate_gradients, iterations, low_rank
from .gram import cross, gram, one_thread, threads
from .ridge import rounds_too_much, solve_penalised

# Targets at a time, and the bytes of their gathered matrices in every thread.
BLOCK = 256
GATHERED = 2**26
# Digits of |r| that are compared in float64: a product may give equal predictors results that differ in the last ones.
# In float32, whatever lies so near to the last one selected is compared again in float64: relative to it, and to no
# less than a small correlation.
DIGITS, DOUBT, LEAST = 12, 4e-6, 0.05
# Both sides count as centred if offsets change no correlation by more than this.
CENTRED = 1e-7
# Conjugate gradients are thought of from here on, and take at least so many iterations.
LARGE, FEWEST = 1000, 6


class Products:
    """A Gram matrix (p, p), and what conjugate gradients need of it."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix

    @cached_property
    def low(self) -> LowRank:
        """Its leading eigenvectors."""
        return low_rank(self.matrix)


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
        union, where = np.unique(rows, return_inverse=True)
        if len(union) == self.x.shape[1]:
            return self._all, rows
        return Products(gram(self.x[:, union], self.x.dtype)), where.reshape(rows.shape).astype(np.int32)


@dataclass(frozen=True)
class Problem:
    """Targets y (n, q) for a pool's predictors, in its scale and dtype.

    ``k`` predictors are selected for each target; ``alpha`` (a, q) holds the penalties to solve for.
    """

    pool: Pool
    y: np.ndarray
    alpha: np.ndarray
    k: int

    @property
    def blocks(self) -> Iterator[slice]:
        """Blocks of targets."""
        q = self.alpha.shape[1]
        return (slice(first, min(first + BLOCK, q)) for first in range(0, q, BLOCK))


@dataclass(frozen=True)
class Solution:
    """Selected predictors ``rows`` (q, k + always), ascending, ``weights`` (a, q, k + always), and the way there."""

    rows: np.ndarray
    weights: np.ndarray
    solver: str


def selected_ridge(problem: Problem) -> Solution:
    """Select and solve.

    float32 predictors are solved in float32, and again in float64 if a matrix is too near to singular for that. Many
    predictors under a large alpha are solved by conjugate gradients, where they are predicted to cost less than a
    factorisation; more predictors than samples by the dual form.
    """
    pool = problem.pool
    found = _solved(problem) if pool.sound else None
    if found is None:
        pool.sound = False
        found = _solved(replace(problem, pool=pool.double, y=problem.y.astype(np.float64)))
    if found is None:
        raise AssertionError("float64 is always accepted")
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
        products = cross(x, y, x.dtype)
        rows[columns, : problem.k] = candidates.best(y, products[: pool.others], problem.k)
        rows[columns, problem.k :] = last
        right[columns] = np.take_along_axis(products.T, rows[columns], axis=1)
        return True

    def by_dual(columns: slice) -> bool:
        y = problem.y[:, columns]
        for alpha, out in zip(problem.alpha[:, columns], weights[:, columns], strict=True):
            out[:] = _dual(x, y, alpha, rows[columns])
        return True

    all(_in_threads(select, problem.blocks))
    said = f"{problem.k} of {pool.others} predictors, {x.dtype}"
    if width > len(x):
        all(_in_threads(by_dual, problem.blocks))
        return Solution(rows, weights, f"dual form on {said}")
    products, where = pool.products(rows)
    low = _preconditioner(products, width, problem.alpha)

    def solve(columns: slice) -> bool:
        parts = zip(problem.alpha[:, columns], weights[:, columns], strict=True)
        chosen = where[columns]
        if low is not None:
            return all(_iterated(products.matrix, right[columns], a, chosen, low, out) for a, out in parts)
        return all(_primal(products.matrix, right[columns], a, chosen, out) for a, out in parts)

    if not all(_in_threads(solve, problem.blocks)):
        return None
    way = "Cholesky" if low is None else "conjugate gradients"
    return Solution(rows, weights, f"{way} on {said}")


def _preconditioner(products: Products, width: int, alpha: np.ndarray) -> LowRank | None:
    """What conjugate gradients need, if they are predicted to cost less than factorising every target's matrix."""
    p, dtype, smallest = len(products.matrix), products.matrix.dtype, float(alpha.min())
    if width < LARGE or not _costs_less(FEWEST, width, p, alpha.size):
        return None
    low = products.low
    # As for pivots: the roundings of the matrix against the least that its eigenvalues can be.
    size = width / p * np.sqrt(float(np.sum((low.s + low.rest).astype(float) ** 2)) + p * low.rest**2)
    if rounds_too_much(size, smallest, dtype):
        return None
    return low if _costs_less(iterations(low, smallest, dtype), width, p, alpha.size) else None


def _costs_less(iterations: float, width: int, p: int, solves: int) -> bool:
    """Whether iterations take fewer operations than factorising, the preconditioner's shared by all ``solves``."""
    find = (PASSES + 1) * (RANK + OVERSAMPLING) / solves
    return 2.0 * p**2 * (iterations + find) < width**3 / 3


def _iterated(
    products: np.ndarray,
    right: np.ndarray,
    alpha: np.ndarray,
    rows: np.ndarray,
    low: LowRank,
    out: np.ndarray,
) -> bool:
    """Fill weights ``out`` (q, k) by conjugate gradients; what does not converge is factorised."""
    limit = 2 * int(np.ceil(iterations(low, float(alpha.min()), products.dtype)))
    out[:], solved = conjugate_gradients(products, right, alpha, rows, low=low, limit=limit)
    rest = np.flatnonzero(~solved)
    if not rest.size:
        return True
    again = np.empty_like(out[rest])
    sound = _primal(products, right[rest], alpha[rest], rows[rest], again)
    out[rest] = again
    return sound


def _in_threads(work: Callable[[slice], bool], blocks: Iterator[slice]) -> Iterator[bool]:
    """Yield what ``work`` says of each block, until one says False."""
    count = threads()
    with one_thread():
        if count == 1:
            yield from map(work, blocks)
            return
        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(work, block) for block in blocks]
            try:
                for future in futures:
                    yield future.result()
            finally:
                pool.shutdown(cancel_futures=True)


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
            mean[part] = x[:, part].mean(axis=0, dtype=np.float64)
            length[part] = x[:, part].std(axis=0, dtype=np.float64) * np.sqrt(len(x))
        varies = varies & (length > 0)
        return cls(x, mean, np.where(varies, length, 1.0), varies)

    def best(self, y: np.ndarray, products: np.ndarray, k: int) -> np.ndarray:
        """Indices (q, k), ascending, of those that correlate most with each target, given x^T y (p, q)."""
        from . import _kernels

        p = self.x.shape[1]
        mean, length, inverse = lengths(y)
        if self.offset(mean, length):
            # A product of centred sides, in float64, loses nothing to the offsets.
            products = cross(self.x - self.mean, y - mean)
        scale = inverse.astype(products.dtype)
        r = np.abs(products.T * scale[:, None] / self.norms.astype(products.dtype))
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
    mean, length = y.mean(axis=0, dtype=np.float64), y.std(axis=0, dtype=np.float64) * root
    steady = length <= 1e-12 * np.abs(y).max(axis=0) * root
    return mean, length, np.where(steady, 0.0, 1.0 / np.where(steady, 1.0, length))


def _offset(mean: np.ndarray, length: np.ndarray, n: int) -> float:
    """Return the largest offset of any column, against its length about the mean."""
    return float(np.max(np.abs(mean) * np.sqrt(n) / np.maximum(length, 1e-100), initial=0.0))


def _primal(
    products: np.ndarray, right: np.ndarray, alpha: np.ndarray, rows: np.ndarray, out: np.ndarray
) -> bool:
    """Fill weights ``out`` (q, k) from the Gram matrix; say whether the dtype was accurate enough."""
    from . import _kernels

    q, k = rows.shape
    out[:] = right
    at_once = min(q, max(1, GATHERED // (k * k * products.itemsize)))
    matrices = np.zeros((at_once, k, k), products.dtype)
    for first in range(0, q, at_once):
        part = slice(first, min(first + at_once, q))
        block = matrices[: part.stop - first]
        _kernels.gather(products, rows[part], block)
        diagonal = np.einsum("tii->ti", block)
        diagonal += alpha[part, None].astype(products.dtype)
        size = np.sqrt([2 * np.vdot(m, m) for m in block])
        done = _kernels.solve_in_place(block, out[part])
        if products.dtype == np.float32:
            if done < len(block) or rounds_too_much(size, diagonal.min(axis=1) ** 2, products.dtype):
                return False
            continue
        for t in range(first + done, part.stop):
            # An alpha below the rounding of the matrix: not positive definite, still solvable.
            matrix = products[np.ix_(rows[t], rows[t])]
            out[t] = solve_penalised(matrix, right[t], float(alpha[t]))
    return True


def _dual(x: np.ndarray, y: np.ndarray, alpha: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Weights (q, k) by the dual form, for more predictors than samples."""
    out = np.empty(rows.shape)
    for t, chosen in enumerate(rows):
        part = np.asarray(x[:, chosen], dtype=np.float64)
        out[t] = part.T @ solve_penalised(part @ part.T, y[:, t].astype(np.float64), float(alpha[t]))
    return out


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
    return np.concatenate([candidates.best(block, cross(x, block, x.dtype), k) for block in blocks]).T
