"""Compiled loops of the selected ridge, and LAPACK without the interpreter's lock.

Everything here is typed float32 or float64 and releases the lock, so that threads work on blocks of targets side by
side. Compiled at first use and kept on disk.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np
from numba import njit
from scipy.linalg import cython_blas, cython_lapack


@njit(nogil=True, cache=True)
def best(r: np.ndarray, threshold: np.ndarray, k: int) -> np.ndarray:
    """Indices (q, k), ascending, of the values of r (q, p) above the k-th largest; ties go to the lower index."""
    q, p = r.shape
    out = np.empty((q, k), np.int32)
    for t in range(q):
        above = 0
        for v in range(p):
            above += r[t, v] > threshold[t]
        ties, at = k - above, 0
        for v in range(p):
            if r[t, v] > threshold[t]:
                out[t, at] = v
                at += 1
            elif r[t, v] == threshold[t] and ties > 0:
                out[t, at] = v
                at += 1
                ties -= 1
    return out


@njit(nogil=True, cache=True)
def places(
    alike: np.ndarray, more: np.ndarray, right: np.ndarray, same: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How many candidates are more like a prediction than the right one, and how many just as much: (t, b) each.

    ``alike`` (t, b, m) says how like each of m candidates a prediction is, but for ``more`` (b, m), which is added;
    ``right`` (t) is the right candidate. Candidates of one number in ``same`` (b, m) are equal, whatever rounding makes
    of them; without columns, all differ.
    """
    tests, orders, m = alike.shape
    better, tied = np.empty((tests, orders), np.int64), np.empty((tests, orders), np.int64)
    for t in range(tests):
        for b in range(orders):
            own = alike[t, b, right[t]] + more[b, right[t]]
            above = level = 0
            if same.shape[1] == 0:
                for j in range(m):
                    value = alike[t, b, j] + more[b, j]
                    above += value > own
                    level += value == own
            else:
                for j in range(m):
                    value = alike[t, b, j] + more[b, j]
                    equal = same[b, j] == same[b, right[t]] or value == own
                    above += value > own and not equal
                    level += equal
            better[t, b], tied[t, b] = above, level
    return better, tied


@njit(nogil=True, cache=True)
def gather(products: np.ndarray, chosen: np.ndarray, out: np.ndarray) -> None:
    """Fill the upper triangles of out (q, k, k) with products[chosen[t]][:, chosen[t]].

    Each row of ``products`` (p, p) is read once for all targets that chose it, while it lies in the cache. Unsigned
    ``chosen`` (q, k) are faster: nothing then asks whether an index counts from the end.
    """
    q, k = chosen.shape
    p = len(products)
    starts = np.zeros(p + 1, np.int64)
    for t in range(q):
        for i in range(k):
            starts[chosen[t, i] + 1] += 1
    for v in range(p):
        starts[v + 1] += starts[v]
    entries = np.empty(q * k, np.int64)
    fill = starts[:-1].copy()
    for t in range(q):
        for i in range(k):
            v = chosen[t, i]
            entries[fill[v]] = t * k + i
            fill[v] += 1
    for v in range(p):
        row = products[v]
        for e in range(starts[v], starts[v + 1]):
            t, i = entries[e] // k, entries[e] % k
            which, into = chosen[t, i:], out[t, i, i:]
            for j in range(len(into)):
                into[j] = row[which[j]]


def solve_in_place(matrices: np.ndarray, right: np.ndarray) -> int:
    """Solve symmetric positive definite systems by Cholesky, each in place, without the interpreter's lock.

    Parameters
    ----------
    matrices : (q, k, k), C-ordered
        Upper triangles; overwritten.
    right : (q, k), C-ordered
        Becomes the solutions.

    Returns
    -------
    How many were solved: fewer than q if one was not positive definite; the rest is left as it is.
    """
    q, k = right.shape
    posv = _posv(right.dtype.char)
    size, one, info = ctypes.c_int(k), ctypes.c_int(1), ctypes.c_int(0)
    # A row-major upper triangle is LAPACK's lower one.
    lower = ctypes.c_char(b"L")
    refs = [ctypes.addressof(a) for a in (lower, size, one, info)]
    step, width = matrices.strides[0], right.strides[0]
    for t in range(q):
        a, b = matrices.ctypes.data + t * step, right.ctypes.data + t * width
        posv(refs[0], refs[1], refs[2], a, refs[1], b, refs[1], refs[3])
        if info.value:
            return t
    return q


def symmetric_product(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Multiply a symmetric matrix (k, k), C-ordered, whose upper triangle is given, with a vector of k elements."""
    found = np.empty_like(vector)
    number = {"f": ctypes.c_float, "d": ctypes.c_double}[matrix.dtype.char]
    size, step, one, zero = ctypes.c_int(len(matrix)), ctypes.c_int(1), number(1), number(0)
    lower = ctypes.c_char(b"L")
    refs = [ctypes.addressof(a) for a in (lower, size, one, step, zero)]
    a, x, y = matrix.ctypes.data, vector.ctypes.data, found.ctypes.data
    _symv(matrix.dtype.char)(refs[0], refs[1], refs[2], a, refs[1], x, refs[3], refs[4], y, refs[3])
    return found


@cache
def _posv(char: str) -> Callable[..., None]:
    """LAPACK's posv of one dtype."""
    return _without_lock(cython_lapack, {"f": "sposv", "d": "dposv"}[char], 8)


@cache
def _symv(char: str) -> Callable[..., None]:
    """Return BLAS' symv of one dtype."""
    return _without_lock(cython_blas, {"f": "ssymv", "d": "dsymv"}[char], 10)


def _without_lock(module: ModuleType, routine: str, count: int) -> Callable[..., None]:
    """SciPy offers its routines' addresses to other languages, and ctypes calls them without the lock."""
    capsule = module.__pyx_capi__[routine]
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * count)(pointer(capsule, name(capsule)))
