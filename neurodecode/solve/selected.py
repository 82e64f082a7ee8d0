"""Ridge on the few predictors that correlate most with each target (MindDiffuser 2025, eq. 1)."""

from __future__ import annotations

import numpy as np

from .gram import cross, gram, threads_for
from .ridge import solve_penalised

BLOCK = 512


def most_correlated(x: np.ndarray, y: np.ndarray, k: int, *, varies: np.ndarray) -> np.ndarray:
    """Return indices (k, q), ascending per target, of the predictors with the largest absolute Pearson r.

    Parameters
    ----------
    x : (n, p) and y : (n, q)
        Centred here. A constant target selects by index.
    varies : (p) bool
        Predictors that vary; the others are never selected.

    Notes
    -----
    Ties go to the lower index; |r| is rounded to 12 digits, since a matrix product may give equal predictors results
    that differ in the last.
    """
    centred = x - x.mean(axis=0, dtype=np.float64)
    norm = np.sqrt(np.sum(centred**2, axis=0))
    norm[~varies] = 1.0
    out = np.empty((k, y.shape[1]), dtype=np.int32)
    for first in range(0, y.shape[1], BLOCK):
        block = np.array(y[:, first : first + BLOCK], dtype=np.float64)
        largest = np.abs(block).max(axis=0)
        block -= block.mean(axis=0)
        length = np.sqrt(np.sum(block**2, axis=0))
        steady = length <= 1e-12 * largest * np.sqrt(len(block))
        block = np.where(steady, 0.0, block / np.where(steady, 1.0, length))
        r = np.round(np.abs(cross(centred, block)) / norm[:, None], 12)
        r[~varies] = -1.0
        order = np.argsort(-r, axis=0, kind="stable")[:k]
        out[:, first : first + BLOCK] = np.sort(order, axis=0)
    return out


def selected_weights(
    x: np.ndarray, y: np.ndarray, alpha: np.ndarray, indices: np.ndarray, *, always: int = 0
) -> np.ndarray:
    """Ridge weights (k + always, q), each target on its own predictors ``indices`` (k, q) only.

    x (n, p) and y (n, q) are taken as they are. The last ``always`` columns of x (a penalised intercept) join every
    target's selection, their weights stand last. With more predictors than samples the dual form is solved.
    """
    n, p = x.shape
    k, q = indices.shape
    last = np.arange(p - always, p)
    out = np.empty((k + always, q))
    dual = k + always > n
    products = None if dual else gram(x)
    for first in range(0, q, BLOCK):
        block = np.asarray(y[:, first : first + BLOCK], dtype=np.float64)
        right = None if dual else cross(x, block)
        # Thousands of small solves: starting threads for each costs more than they save.
        with threads_for(k):
            for j in range(block.shape[1]):
                chosen = np.concatenate([indices[:, first + j], last])
                a = float(alpha[first + j])
                if products is not None and right is not None:
                    matrix = products[np.ix_(chosen, chosen)]
                    out[:, first + j] = solve_penalised(matrix, right[chosen, j], a)
                else:
                    part = np.asarray(x[:, chosen], dtype=np.float64)
                    out[:, first + j] = part.T @ solve_penalised(part @ part.T, block[:, j], a)
    return out
