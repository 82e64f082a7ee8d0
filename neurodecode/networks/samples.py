"""Training data in batches: standardised when they are used, features once a stimulus, nothing copied as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..solve.sides import ROUNDINGS
from ._torch import torch

BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class Scaling:
    """Mean and SD of training samples, float64, of the shape of one sample; the SD of what is constant is 1."""

    mean: np.ndarray
    sd: np.ndarray
    varies: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, counts: np.ndarray) -> Scaling:
        """Measure rows of values (m, ...), each as often as it counts (m), in blocks and two passes."""
        n, shape = counts.sum(), values.shape[1:]
        total, squares = np.zeros(shape), np.zeros(shape)
        low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
        for block, weight in _blocks(values, counts):
            total += np.tensordot(weight, block, 1)
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        mean = total / n
        for block, weight in _blocks(values, counts):
            block -= mean
            squares += np.tensordot(weight, np.square(block, out=block), 1)
        sd = np.sqrt(squares / n)
        eps = np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps
        varies = (high > low) & (sd > ROUNDINGS * eps * np.maximum(high, -low))
        return cls(mean, np.where(varies, sd, 1.0), varies)


def _blocks(values: np.ndarray, counts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rows = np.flatnonzero(counts)
    size = max(1, BLOCK_BYTES // (8 * max(1, values[0].size)))
    for first in range(0, rows.size, size):
        part = rows[first : first + size]
        yield values[part].astype(np.float64), counts[part].astype(np.float64)


@dataclass(frozen=True)
class Samples:
    """Responses x (n, ...), features y (m, q) of which sample i has the row ``row[i]``, subjects by number or None."""

    x: np.ndarray
    y: np.ndarray
    row: np.ndarray
    subject: np.ndarray | None
    x_scaling: Scaling
    y_scaling: Scaling

    @classmethod
    def measured(
        cls, x: np.ndarray, y: np.ndarray, row: np.ndarray, subject: np.ndarray | None, training: np.ndarray
    ) -> Samples:
        """Take the statistics of the samples ``training`` and of no other."""
        inside = np.zeros(len(x), np.int64)
        inside[training] = 1
        times = np.bincount(row[training], minlength=len(y))
        return cls(x, y, row, subject, Scaling.of(x, inside), Scaling.of(y, times))

    def batch(self, rows: np.ndarray, device: Any) -> Batch:
        """Return some samples, standardised, in float32 on a device."""
        sides = (self.x[rows], self.x_scaling), (self.y[self.row[rows]], self.y_scaling)
        x, y = (standardised(*side) for side in sides)
        subject = None if self.subject is None else torch().as_tensor(self.subject[rows], device=device)
        return Batch(x.to(device), y.to(device), subject)


@dataclass(frozen=True)
class Batch:
    """Tensors: x (n, ...), y (n, q) and, if there are several, the subject's number (n)."""

    x: Any
    y: Any
    subject: Any

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What the network takes."""
        return (self.x,) if self.subject is None else (self.x, self.subject)


def standardised(values: np.ndarray, scaling: Scaling) -> Any:
    """Values (n, ...) as a float32 tensor in SDs about the mean; constants are 0."""
    z = (values - scaling.mean) / scaling.sd
    return torch().from_numpy(np.where(scaling.varies, z, 0.0).astype(np.float32))


def in_batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut rows into batches of at most ``size``, as equal as can be, so that none is left with a single sample."""
    return np.array_split(rows, -(-len(rows) // size))


def mixed(rows: np.ndarray, size: int, *, seed: int) -> list[np.ndarray]:
    """Cut rows into batches by chance, each in the order of the rows.

    How hard it is to tell the samples of a batch apart must not hang on the order of a file, in which those of one
    stimulus or concept often stand together.
    """
    return [np.sort(part) for part in in_batches(np.random.default_rng(seed).permutation(rows), size)]
