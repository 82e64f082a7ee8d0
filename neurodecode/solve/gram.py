"""Products of tall arrays, summed in blocks; in float64 unless another dtype is asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike
from scipy import linalg

# Blocks keep the float64 copies small, and large float64 products crash some OpenBLAS builds.
ROWS = 2048
COLUMNS = 4096


def gram(x: np.ndarray, dtype: DTypeLike = np.float64) -> np.ndarray:
    """Gram matrix x^T x (p, p) of x (n, p), computed in ``dtype``."""
    n, p = x.shape
    out = np.zeros((p, p), dtype)
    for first in range(0, n, ROWS):
        rows = np.asarray(x[first : first + ROWS], dtype=dtype)
        for a in range(0, p, COLUMNS):
            left = rows[:, a : a + COLUMNS].T
            for b in range(a, p, COLUMNS):
                out[a : a + COLUMNS, b : b + COLUMNS] += left @ rows[:, b : b + COLUMNS]
    for a in range(COLUMNS, p, COLUMNS):
        out[a : a + COLUMNS, :a] = out[:a, a : a + COLUMNS].T
    return out


def cross(x: np.ndarray, y: np.ndarray, dtype: DTypeLike = np.float64) -> np.ndarray:
    """Cross-product x^T y (p, q) of x (n, p) and y (n, q), computed in ``dtype``."""
    out = np.zeros((x.shape[1], y.shape[1]), dtype)
    for first in range(0, x.shape[0], ROWS):
        rows = slice(first, first + ROWS)
        out += np.asarray(x[rows], dtype=dtype).T @ np.asarray(y[rows], dtype=dtype)
    return out


def outer_gram(x: np.ndarray) -> np.ndarray:
    """Gram matrix of the rows, x x^T (n, n) of x (n, p), in float64."""
    n, p = x.shape
    out = np.zeros((n, n))
    for first in range(0, p, COLUMNS):
        columns = np.asarray(x[:, first : first + COLUMNS], dtype=np.float64)
        for a in range(0, n, ROWS):
            out[a : a + ROWS] += columns[a : a + ROWS] @ columns.T
    return out


def outer_lower(x: np.ndarray) -> np.ndarray:
    """Lower triangle of x x^T (n, n) of x (n, p), zeros above, in the dtype of x: half the work of a product.

    In Fortran order, as a factorisation in place wants it.
    """
    [syrk] = linalg.get_blas_funcs(["syrk"], [x])
    return np.asarray(syrk(1.0, x.T, trans=1, lower=1))
