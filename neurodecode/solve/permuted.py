"""Predictions of many targets that each stimulus has one value of, from fits that are made once.

Ridge is linear in its targets. With z the training predictors of a window (n, p), scaled, s (n, k) saying which
stimulus a trial was of, and targets t (k, c), one row a stimulus, test predictors x are answered by

    x (z^T z + alpha I)^-1 (z^T s) t + mean

Whatever is asked of t, the first factor (tests, p) of a window and z^T s (p, k), in which repeats are summed and which
overlapping windows share, stay as they are. Where there are fewer stimuli than predictors, their product (tests, k)
takes their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """What stands left of targets (k, c): ``left`` (tests, k), or (tests, p) with the shared sums' ``rows`` between."""

    left: np.ndarray
    rows: slice | None


@dataclass(frozen=True)
class Linear:
    """Predictions of windows: ``sums`` z^T s (columns, k), and the share ``weight`` (k) of trials of each stimulus."""

    windows: Sequence[Window]
    sums: np.ndarray
    weight: np.ndarray

    def mean(self, targets: np.ndarray) -> np.ndarray:
        """Training mean (c) of targets (k, c)."""
        return np.asarray(self.weight @ targets)

    def predictions(self, targets: np.ndarray) -> Iterator[np.ndarray]:
        """Yield predictions (tests, c) of targets (k, c), about their training mean, window by window."""
        shared = self.sums @ targets if any(w.rows is not None for w in self.windows) else None
        for window in self.windows:
            if window.rows is None or shared is None:
                yield window.left @ targets
            else:
                yield window.left @ shared[window.rows]

    @property
    def size(self) -> int:
        """Numbers that are held for one column of targets."""
        return len(self.sums) + self.sums.shape[1] + len(self.windows[0].left)

    def at_once(self, columns: int, *, most: int) -> int:
        """How many sets of so many columns of targets to predict together, in at most so many bytes."""
        return max(1, most // (self.size * columns * self.sums.itemsize))


def rank(
    alike: np.ndarray, more: np.ndarray, right: np.ndarray, same: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Count the candidates that are more like a prediction than the right one, and those just as much: (t, b) each.

    Parameters
    ----------
    alike : (t, b, m)
        t predictions in b orders with m candidates.
    more : (b, m)
        Added to it.
    right : (t)
        The right candidate.
    same : (b, m), optional
        Numbers of candidates: those of one number are equal.
    """
    from . import _kernels

    none = np.empty((len(more), 0), np.int64)
    return _kernels.places(alike, more.astype(alike.dtype), right, none if same is None else same)
