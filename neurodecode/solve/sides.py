"""Training statistics of predictors or targets, and the scaling that they define."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# A column varies if its SD exceeds this many roundings of its largest magnitude. The threshold is relative, so that
# fields in tesla count like any other unit.
ROUNDINGS = 10

# Columns whose statistics are taken at a time.
STREAM = 256


@dataclass(frozen=True)
class Side:
    """What maps data (n, p) to the units in which the penalty applies.

    ``mean`` is subtracted (0 where data are taken as they are), ``scale`` divided by (1 without standardising); ``sd``
    is the training SD (1 where constant), ``varies`` whether a column does.
    """

    mean: np.ndarray
    scale: np.ndarray
    sd: np.ndarray
    varies: np.ndarray
    centred: bool

    @classmethod
    def of(cls, values: np.ndarray, *, standardise: bool, centred: bool) -> Side:
        """Measure training data (n, p)."""
        mean, sd, varies = statistics(values)
        return cls(
            mean if centred else np.zeros_like(mean),
            sd if standardise else np.ones_like(sd),
            sd,
            varies,
            centred,
        )

    def scaled(self, values: np.ndarray, *, ones: bool = False) -> np.ndarray:
        """Return values (n, p) scaled, in their own dtype, with a column of ones for a penalised intercept."""
        n, p = values.shape
        z = np.empty((n, p + ones), values.dtype)
        # A block at a time: the statistics are float64, and so would whole copies be.
        for first in range(0, p, STREAM):
            part = slice(first, min(first + STREAM, p))
            z[:, part] = (values[:, part] - self.mean[part]) / self.scale[part]
            if self.centred:
                # What rounding leaves of a constant column must not earn weights, nor a correlation later.
                z[:, part][:, ~self.varies[part]] = 0.0
        z[:, p:] = 1.0
        return z


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, SD and 'does it vary' of every column of x (n, p), in float64; the SD of a constant column is 1.

    x is read in blocks of columns: it may lie on disk.
    """
    mean, sd, lowest, highest = np.empty((4, x.shape[1]))
    for first in range(0, x.shape[1], STREAM):
        columns = slice(first, first + STREAM)
        part = np.asarray(x[:, columns])
        mean[columns], sd[columns] = spread(part)
        lowest[columns], highest[columns] = part.min(axis=0), part.max(axis=0)
    # Sums of many equal numbers are rounded too: a constant column's SD may exceed any threshold.
    varies = (highest > lowest) & (sd > ROUNDINGS * np.finfo(x.dtype).eps * np.maximum(highest, -lowest))
    return mean, np.where(varies, sd, 1.0), varies


def spread(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD of every column of x (n, p), in float64."""
    deviations = x.astype(np.float64)
    mean = deviations.mean(axis=0)
    deviations -= mean
    return mean, np.sqrt(np.einsum("np,np->p", deviations, deviations) / len(x))
