"""Products of data with what a linear map makes of them, read a chunk of rows at a time: in memory, on disk or dask.

Nothing of size p x p or n x q is formed: of n rows, p columns and a block of b targets, a chunk of rows is held with
its targets, and results (p, b).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .. import lazy
from .sides import ROUNDINGS

# Bytes of float64 of the rows that are taken at a time.
CHUNK = 2**26


class Streamed:
    """Data x (n, p) about their mean; with ``counts`` (n), as if every row were there so many times.

    ``mean``, ``sd`` (1 where constant) and ``varies`` (p) are those of the rows counted.
    """

    def __init__(self, x: Any, counts: np.ndarray | None = None) -> None:
        self.x = x
        self.counts = np.ones(len(x)) if counts is None else np.asarray(counts, dtype=np.float64)
        self.n = float(self.counts.sum())
        self.mean, self.sd, self.varies = self._statistics()

    @property
    def room(self) -> int:
        """Bytes that a chunk of rows takes: itself, about its mean, and as it is multiplied."""
        return 3 * 8 * self.x.shape[1] * min(len(self.x), self._step)

    @property
    def _step(self) -> int:
        return max(1, CHUNK // (8 * self.x.shape[1]))

    def _chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows that count, with how often; a dask array is read along its own chunks."""
        n = len(self.x)
        borders = np.cumsum([0, *(self.x.chunks[0] if lazy.is_dask(self.x) else [n])])
        for start, stop in zip(borders[:-1], borders[1:], strict=True):
            block = np.asarray(self.x[start:stop])
            for first in range(0, len(block), self._step):
                counts = self.counts[start + first : start + first + self._step]
                counts = counts[: len(block) - first]
                rows = block[first : first + self._step]
                there = counts > 0
                if there.any():
                    yield (rows, counts) if there.all() else (rows[there], counts[there])

    def _statistics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, SD and 'does it vary' in one pass: sums about each chunk's own mean, joined (Chan et al. 1983)."""
        p = self.x.shape[1]
        seen, mean, squares = 0.0, np.zeros(p), np.zeros(p)
        lowest, highest = np.full(p, np.inf), np.full(p, -np.inf)
        for rows, counts in self._chunks():
            k = counts.sum()
            values = rows.astype(np.float64)
            own = counts @ values / k
            values -= own
            apart = own - mean
            squares += counts @ values**2 + apart**2 * (seen * k / (seen + k))
            mean += apart * (k / (seen + k))
            seen += k
            lowest, highest = np.minimum(lowest, rows.min(axis=0)), np.maximum(highest, rows.max(axis=0))
        sd = np.sqrt(squares / seen)
        rounding = ROUNDINGS * np.finfo(self._dtype).eps * np.maximum(highest, -lowest)
        varies = (highest > lowest) & (sd > rounding)
        return mean, np.where(varies, sd, 1.0), varies

    @property
    def _dtype(self) -> np.dtype:
        return np.dtype(np.float32 if self.x.dtype == np.float32 else np.float64)

    def _centred(self, rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return np.where(self.varies, rows - self.mean, 0.0).astype(dtype, copy=False)

    def products(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cov(x, s) (p, b) and Var(s) (b) of s = x @ weights (p, b), over n.

        A chunk is multiplied in the dtype of x, and chunks are added up in float64.
        """
        v = weights.astype(self._dtype, copy=False)
        covariance, power = np.zeros(v.shape), np.zeros(v.shape[1])
        for rows, counts in self._chunks():
            z = self._centred(rows, self._dtype)
            s = z @ v
            counted = (s * counts[:, None]).astype(self._dtype, copy=False)
            covariance += z.T @ counted
            power += np.einsum("nq,nq->q", s, counted, dtype=np.float64)
        return covariance / self.n, power / self.n

    def decoded(self, blocks: Callable[[], Iterable[np.ndarray]], q: int) -> np.ndarray:
        """Cov(s) (q, q), over n, of s = x @ w whose weights come in blocks (p, b) whenever they are asked for.

        In float64: it is made to be inverted.
        """
        found = np.zeros((q, q))
        for rows, counts in self._chunks():
            z = self._centred(rows, np.dtype(np.float64))
            s = np.concatenate([z @ w for w in blocks()], axis=1)
            found += s.T @ (s * counts[:, None])
        return found / self.n
