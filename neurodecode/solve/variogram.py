"""Variances of means over regions of a smooth map, from how unlike its values are at every distance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats
from scipy.optimize import nnls
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

# Places whose distances to others stand for all, where there are more.
ANCHORS = 2000
# Pairs whose values are compared: of at least so many places with all, as far as BLOCK allows, or of all in small maps.
COMPARED, PAIRS = 400, 2**20
BINS = 30
RANGES = 25
# A variogram rises where an F test says so at this level.
SURE = 0.95
# Distances that are held at a time.
BLOCK = 2**22


class Variogram:
    """Distances between places, sorted into bins once for many maps and regions.

    The value at place i is taken to be m_i + e_i, where cov(e_i, e_j) = C(d_ij) = sill - v(d_ij) is the same
    everywhere and in all directions; v(d) = E (e_i - e_j)^2 / 2 is the variogram (Matheron 1963), which is estimated
    without the mean that a smooth map tells so badly. ``a + b (1 - exp(-(d / r)^p))`` with a, b >= 0 and p = 1 or 2
    is fitted to it by least squares, up to half of the largest distance (Journel & Huijbregts 1978), with b = 0 where
    that is not clearly worse.

    Parameters
    ----------
    places : (n, axes), at least two of them apart
    rng : draws the places that stand for all, where there are many

    Raises
    ------
    ValueError
        If all places are one.
    """

    def __init__(self, places: np.ndarray, rng: np.random.Generator) -> None:
        self._places, self._rng = places, rng
        apart = np.unique(places, axis=0)
        if len(apart) < 2:
            raise ValueError(f"a variogram needs places that lie apart; all {len(places)} are one")
        step = float(np.median(KDTree(apart).query(apart, k=2)[0][:, 1]))
        far = max(float(np.linalg.norm(np.ptp(places, axis=0))), 4 * step)
        self._near, self._least = 1e-6 * step, float(np.log(0.8 * step))
        self._width = (float(np.log(far)) - self._least) / BINS
        self._ranges = np.geomspace(step / 2, far / 2, RANGES)
        everywhere = np.arange(len(places))
        most = min(max(COMPARED, PAIRS // len(places)), max(BLOCK // len(places), 40))
        self._compared = self._some(everywhere, most)
        distances = cdist(places[self._compared], places)
        self._bins = self._binned(distances)
        self._pairs = self._totals(self._bins)
        self._distance = self._totals(self._bins, distances) / np.maximum(self._pairs, 1)
        self._used = (self._pairs > 0) & (self._distance > self._near) & (self._distance <= far / 2)

    def covariance(self, values: np.ndarray) -> np.ndarray:
        """C in every distance bin, (bin), of values (n)."""
        unlike = self._totals(self._bins, (values[self._compared, None] - values) ** 2 / 2)
        v = unlike[self._used] / self._pairs[self._used]
        best, least = np.full_like(self._distance, v.mean()), float(((v - v.mean()) ** 2).sum())
        worth, flat = max(v.size - 3, 1), least
        for power in (1, 2):
            for reach in self._ranges:
                rise = 1 - np.exp(-((self._distance / reach) ** power))
                (a, b), root = nnls(np.stack([np.ones(v.size), rise[self._used]], axis=1), v)
                if root**2 < least:
                    least, best = root**2, a + b * rise
        # Of white noise, too, some curve rises by chance; without this test its variances come out too large.
        if (flat - least) / 2 < least / worth * stats.f.ppf(SURE, 2, worth):
            best = np.full_like(best, v.mean())
        c = best.max() - best
        c[0] = best.max()
        return c

    def shares(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Of all pairs of a place of ``a`` and one of ``b`` (boolean, n), the share in every distance bin, (bin).

        Its product with a covariance is the covariance of the means over ``a`` and over ``b``.
        """
        rows, columns = self._some(np.flatnonzero(a), ANCHORS), self._places[b]
        total = sum(
            self._totals(self._binned(cdist(self._places[i], columns))) for i in _parts(rows, len(columns))
        )
        return np.asarray(total / (rows.size * len(columns)))

    def _some(self, rows: np.ndarray, most: int) -> np.ndarray:
        return rows if rows.size <= most else np.sort(self._rng.choice(rows, most, replace=False))

    def _binned(self, distances: np.ndarray) -> np.ndarray:
        """Bin of each distance, flat: 0 for a place with itself, or what lies there; 1 closer than neighbours are."""
        with np.errstate(divide="ignore"):
            at = np.log(distances.ravel())
        at -= self._least
        at /= self._width
        np.clip(at, -1, BINS - 1, out=at)
        bins = np.floor(at, out=at).astype(np.intp)
        bins += 2
        bins[distances.ravel() <= self._near] = 0
        return bins

    def _totals(self, bins: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        weights = None if values is None else values.ravel()
        return np.bincount(bins, weights=weights, minlength=BINS + 2)


def degrees_of_freedom(covariance: np.ndarray, everywhere: np.ndarray) -> float:
    """Of the variance of a map, (sum of variances)^2 / sum of squared covariances (Satterthwaite 1946).

    ``everywhere`` are the shares of all pairs of places.
    """
    squares = float(everywhere @ covariance**2)
    return float(covariance[0] ** 2 / squares) if squares > 0 else float("inf")


def _parts(rows: np.ndarray, width: int) -> Iterator[np.ndarray]:
    step = max(1, BLOCK // width)
    return (rows[i : i + step] for i in range(0, rows.size, step))
