"""How many bytes a fit holds at its peak, beside the data that it is given."""

from __future__ import annotations

from .gram import ROWS
from .selected import BLOCK
from .systems import GATHERED
from .threads import threads

# Arrays of p predictors by a block of targets that a selection holds: products, correlations, and what tells ties.
LOOSE = 6
# Bytes that libraries take for themselves on first use: compiled loops, thread pools.
LIBRARIES = 64 * 2**20


def bytes_on_all(shape: tuple[int, int], q: int, *, itemsize: int, targets: int, eigenvectors: bool) -> int:
    """Bytes of a fit of q targets on all predictors (n, p), in blocks of ``targets``.

    Everything is solved in float64: a Gram matrix with its factor, or eigenvectors with LAPACK's workspace, the
    factors of the samples and of the predictors.
    """
    n, p = shape
    side, block = min(n, p), min(q, targets)
    solved = 8 * (4 * side**2 + 2 * n * side) + itemsize * p * side if eigenvectors else 8 * 2 * side**2
    return (
        itemsize * (n * p + p * q + 2 * n * block)
        + solved
        + 8 * (3 * p * block + n * block + min(n, ROWS) * (p + block))
        + LIBRARIES
    )


def bytes_on_selected(
    shape: tuple[int, int], q: int, k: int, *, itemsize: int, targets: int, penalties: int
) -> int:
    """Bytes of a fit of q targets on k each of the predictors (n, p), in blocks of ``targets``."""
    n, p = shape
    block, workers = min(q, targets), threads()
    held = n * p + 2 * n * block + q * 2 * k + block * k * (1 + penalties)
    if k > n:
        solved = workers * (3 * n * n + 2 * n * k) * (8 // itemsize)
    else:
        # The Gram matrix, and a copy of the predictors that it is made of.
        solved = p * p + n * p
    gathered = 0 if k > n else max(k * k, min(GATHERED // itemsize, min(block, BLOCK) * k * k))
    loose = workers * (LOOSE * p * min(block, BLOCK) + gathered)
    return itemsize * (held + solved + loose) + 4 * q * k + LIBRARIES
