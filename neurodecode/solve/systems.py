"""Systems of many targets, each of some rows and columns of one Gram matrix: factorised, or solved in iterations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from .conjugate import (
    OVERSAMPLING,
    PASSES,
    RANK,
    Iterated,
    LowRank,
    Preconditioner,
    Together,
    conjugate_gradients,
    low_rank,
)
from .ridge import rounds_too_much, solve_penalised

# Bytes of gathered matrices in every thread.
GATHERED = 2**26
# Conjugate gradients are thought of from this many predictors on, and take at least so many iterations.
LARGE, FEWEST = 1000, 6
# Cost of an element that is gathered, and of one that an iteration reads, in multiplications of a matrix product.
GATHERING, READING = 40, 9
# Targets that iterate together, and one after the other.
TOGETHER, APART = 256, 16


class Products:
    """A Gram matrix (p, p), and what conjugate gradients need of it."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix

    @cached_property
    def low(self) -> LowRank:
        """Its leading eigenvectors."""
        return low_rank(self.matrix, RANK)


@dataclass(frozen=True)
class Systems:
    """(G_t + alpha_t I) w_t = b_t: G_t the ``rows`` (q, k) of ``products``, ``right`` b (q, k), ``alpha`` (a, q)."""

    products: Products
    right: np.ndarray
    alpha: np.ndarray
    rows: np.ndarray

    def of(self, targets: slice | np.ndarray) -> Systems:
        """Return those of some targets."""
        return Systems(self.products, self.right[targets], self.alpha[:, targets], self.rows[targets])

    def at(self, i: int) -> Systems:
        """Return those of the i-th alpha."""
        return Systems(self.products, self.right, self.alpha[i : i + 1], self.rows)

    def gathered(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield some targets and the upper triangles of their matrices (t, k, k), without alpha; then the next."""
        from . import _kernels

        matrix, (q, k) = self.products.matrix, self.rows.shape
        at_once = min(q, max(1, GATHERED // (k * k * matrix.itemsize)))
        room = np.zeros((at_once, k, k), matrix.dtype)
        for first in range(0, q, at_once):
            part = slice(first, min(first + at_once, q))
            block = room[: part.stop - first]
            _kernels.gather(matrix, self.rows[part].view(np.uint32), block)
            yield part, block


@dataclass(frozen=True)
class Plan:
    """How conjugate gradients go: in at most ``limit`` iterations, with matrices gathered or the whole one."""

    low: LowRank
    limit: int
    apart: bool

    @property
    def targets(self) -> int:
        """How many targets to solve in one go."""
        return APART if self.apart else TOGETHER


def planned(systems: Systems) -> Plan | None:
    """Plan conjugate gradients; None if factorising costs less, or float32 is too inaccurate for them.

    One target, of those with the least alpha, is solved to see how many iterations they take.
    """
    p, k = len(systems.products.matrix), systems.rows.shape[1]
    whole, own = p**2, READING * k**2
    shared = whole * (PASSES + 1) * (RANK + OVERSAMPLING) / systems.alpha.size
    spare = k**3 / 6 - shared
    limit = int(max(spare / own, (spare + GATHERING * k**2) / whole))
    if k < LARGE or limit < FEWEST:
        return None
    first = int(np.argmin(np.where(systems.right.any(axis=1), systems.alpha.min(axis=0), np.inf)))
    pilot = systems.of(slice(first, first + 1))
    pilot = pilot.at(int(np.argmin(pilot.alpha[:, 0])))
    low = systems.products.low
    [(_, [matrix])] = pilot.gathered()
    found = _alone(matrix, pilot, low, limit, at=(0, 0))
    if not (found.solved & found.sound)[0]:
        return None
    apart = found.count * own + GATHERING * k**2 <= found.count * whole
    return Plan(low, max(2 * found.count, FEWEST), apart)


def iterated(systems: Systems, plan: Plan, out: np.ndarray) -> bool:
    """Fill weights ``out`` (a, q, k) by conjugate gradients; what does not converge, or is not sound, is factorised.

    Say whether the dtype was accurate enough.
    """
    done = (_apart if plan.apart else _together)(systems, plan, out)
    for i in np.flatnonzero(~done.all(axis=1)).tolist():
        rest = np.flatnonzero(~done[i])
        again = np.empty_like(out[:1, rest])
        if not factorised(systems.at(i).of(rest), again):
            return False
        out[i, rest] = again[0]
    return True


def _together(systems: Systems, plan: Plan, out: np.ndarray) -> np.ndarray:
    """Iterate with all targets at once; say which (a, q) were solved well."""
    product, done = Together(systems.products.matrix, systems.rows), []
    for alpha, weights in zip(systems.alpha, out, strict=True):
        inverse = Preconditioner(plan.low, alpha, systems.rows)
        found = conjugate_gradients(product, systems.right, alpha, inverse, plan.limit)
        weights[:] = found.weights
        done.append(found.solved & found.sound)
    return np.stack(done)


def _apart(systems: Systems, plan: Plan, out: np.ndarray) -> np.ndarray:
    """Iterate with one target after the other; say which (a, q) were solved well."""
    done = np.empty(systems.alpha.shape, bool)
    for part, block in systems.gathered():
        for t, matrix in enumerate(block, part.start):
            for i in range(len(done)):
                found = _alone(matrix, systems, plan.low, plan.limit, at=(i, t))
                out[i, t] = found.weights[0]
                done[i, t] = (found.solved & found.sound)[0]
    return done


def _alone(
    matrix: np.ndarray, systems: Systems, low: LowRank, limit: int, *, at: tuple[int, int]
) -> Iterated:
    """Iterate with one target, whose matrix was gathered, under one alpha."""
    from . import _kernels

    i, t = at
    alpha, right, rows = systems.alpha[i, t, None], systems.right[t, None], systems.rows[t]
    inverse = Preconditioner(low.of(rows), alpha, np.arange(rows.size)[None])
    return conjugate_gradients(partial(_kernels.symmetric_product, matrix), right, alpha, inverse, limit)


def factorised(systems: Systems, out: np.ndarray) -> bool:
    """Fill weights ``out`` (a, q, k) by Cholesky; say whether the dtype was accurate enough."""
    return all(_factorised(systems.at(i), weights) for i, weights in enumerate(out))


def _factorised(systems: Systems, out: np.ndarray) -> bool:
    """Fill weights ``out`` (q, k) under the one alpha of each target."""
    from . import _kernels

    matrix, [alpha] = systems.products.matrix, systems.alpha
    out[:] = systems.right
    for part, block in systems.gathered():
        diagonal = np.einsum("tii->ti", block)
        diagonal += alpha[part, None].astype(matrix.dtype)
        size = np.sqrt([2 * np.vdot(m, m) for m in block])
        done = _kernels.solve_in_place(block, out[part])
        if matrix.dtype == np.float32:
            if done < len(block) or rounds_too_much(size, diagonal.min(axis=1) ** 2, matrix.dtype):
                return False
            continue
        for t in range(part.start + done, part.stop):
            # An alpha below the rounding of the matrix: not positive definite, still solvable.
            chosen = systems.rows[t]
            out[t] = solve_penalised(matrix[np.ix_(chosen, chosen)], systems.right[t], float(alpha[t]))
    return True


def dual(x: np.ndarray, y: np.ndarray, alpha: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Weights (q, k) by the dual form, for more predictors than samples."""
    out = np.empty(rows.shape)
    for t, chosen in enumerate(rows):
        part = np.asarray(x[:, chosen], dtype=np.float64)
        out[t] = part.T @ solve_penalised(part @ part.T, y[:, t].astype(np.float64), float(alpha[t]))
    return out
