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
        for window, coefficients in zip(self.windows, self.coefficients(targets), strict=True):
            yield window.left @ coefficients

    def coefficients(self, targets: np.ndarray) -> Iterator[np.ndarray]:
        """Yield what a window's ``left`` is multiplied with: sums over trials (p, c), or the targets (k, c)."""
        shared = self.sums @ targets if any(w.rows is not None for w in self.windows) else targets
        for window in self.windows:
            yield targets if window.rows is None else shared[window.rows]

    @property
    def size(self) -> int:
        """Numbers that are held for one column of targets."""
        return len(self.sums) + self.sums.shape[1] + len(self.windows[0].left)

    def at_once(self, columns: int, *, most: int) -> int:
        """How many sets of so many columns of targets to predict together, in at most so many bytes."""
        return max(1, most // (self.size * columns * self.sums.itemsize))


class Correlated:
    """Pearson r of predictions with truths over test samples, for every target.

    With x the test side of a window, centred over samples (t, p), and c the coefficients of a target, it is
    ``(y^T x) c / |x c|`` for centred truths y of norm 1. Both factors of it follow from x once: truths are the same for
    all trials of a stimulus, so that y^T x needs only the sums of x over them, and ``|x c| = |r c|`` with the
    triangular factor r (p, p) of x. Where p exceeds the number of samples, predictions are made.

    Parameters
    ----------
    linear : predictions of all windows
    number : (t) which test stimulus each test sample was of
    """

    def __init__(self, linear: Linear, number: np.ndarray) -> None:
        self.linear, self.counts = linear, np.bincount(number).astype(np.float64)
        member = (number == np.arange(self.counts.size)[:, None]).astype(linear.sums.dtype)
        self.sides = [_side(w.left, member) for w in linear.windows]

    def of(self, targets: np.ndarray, true: np.ndarray) -> Iterator[np.ndarray]:
        """Yield r (c) of targets (k, c) with truths (m, c) of the test stimuli, window by window.

        NaN where a truth is constant, 0 where a prediction is.
        """
        y, varies = _unit(true, self.counts)
        y = y.astype(targets.dtype)
        # What is the same for all stimuli is predicted by its mean, whatever rounding says.
        known = targets.max(axis=0) > targets.min(axis=0)
        for coefficients, (factor, summed) in zip(self.linear.coefficients(targets), self.sides, strict=True):
            spread = factor @ coefficients
            norm = np.sqrt(np.einsum("pc,pc->c", spread, spread, dtype=np.float64))
            products = np.einsum("pc,pc->c", summed @ y, coefficients, dtype=np.float64)
            r = np.divide(products, norm, out=np.zeros_like(norm), where=known & (norm > 0))
            yield np.where(varies, np.clip(r, -1.0, 1.0), np.nan)


def _side(left: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What |x c| is the norm of, and sums of x over the samples of each test stimulus (p, m), of x centred (t, p)."""
    x = left - left.mean(axis=0, dtype=np.float64).astype(left.dtype)
    factor = np.asarray(np.linalg.qr(x, mode="r")) if x.shape[1] < len(x) else x
    return factor, (member @ x).T


def _unit(true: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truths (m, c) that occur ``counts`` times each, centred and of norm 1 over all; and whether they vary."""
    centred = true - counts @ true / counts.sum()
    norm = np.sqrt(counts @ centred**2)
    varies = norm > 1e-12 * np.abs(true).max(axis=0) * np.sqrt(counts.sum())
    return centred / np.where(varies, norm, 1.0), varies


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
