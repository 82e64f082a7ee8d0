"""Simulated cortical sources (voxels or patches): who carries what, and the response of each to a feature space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from .plan import CARRIES
from .tuning import RECEPTIVE_FIELD, field_places, preferences, standardised


@dataclass(frozen=True)
class Sources:
    """Sources of one subject, one entry each.

    Attributes
    ----------
    gain : (layer, n) the gain of each source's region, 0 where it carries nothing.
    planted : (layer, n) bool, carries the space: a carrier, in a region whose gain is at least ``plan.CARRIES``.
    layers : names of the feature spaces.
    place, size : (n, 2), (n) centre and standard deviation of the receptive fields.
    seed : of this subject; every space's preferences follow from it and the space's position.
    """

    gain: np.ndarray
    planted: np.ndarray
    layers: tuple[str, ...]
    place: np.ndarray
    size: np.ndarray
    seed: tuple[int, ...]

    def weights(self, features: xr.DataArray, layer: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the preferences (feature, n) over standardised features and the responses (stimulus, n) they give.

        Both are scaled so that every response has variance 1 over the stimuli; gains are not in them.
        """
        rng = np.random.default_rng([*self.seed, 7, self.layers.index(layer)])
        drawn = preferences(features, place=self.place, size=self.size, rng=rng)
        values = standardised(features) @ drawn
        scale = 1 / np.maximum(values.std(axis=0), 1e-12)
        drawn *= scale
        values *= scale
        return drawn, values


def settle(
    *,
    roi: np.ndarray,
    hemi: np.ndarray,
    field: np.ndarray,
    plan: xr.Dataset,
    carrying: float,
    seed: list[int],
    rng: np.random.Generator,
) -> Sources:
    """Draw receptive fields and carriers for sources in the given regions ("": none).

    Parameters
    ----------
    roi, hemi, field : (n), (n), (n, 2) as in ``cortex.Cortex``
    plan : Dataset (region, layer), see :func:`.plan.default_plan`
    carrying : float
        Share of the sources that carry what their region carries.
    seed, rng
        One subject's own.
    """
    place = field_places(field, hemi, rng)
    size = np.array([RECEPTIVE_FIELD.get(str(r), 0.5) for r in roi]) * rng.uniform(0.8, 1.25, len(roi))
    population = plan["population"].values.astype(str)
    drawn = {str(p): rng.random(len(roi)) < carrying for p in np.unique(population)}
    carrier = np.stack([drawn[p] for p in population.tolist()])
    gain = _gains(plan, roi)
    layers = tuple(map(str, plan["layer"].values))
    return Sources(gain * carrier, carrier & (gain >= CARRIES), layers, place, size, tuple(seed))


def _gains(plan: xr.Dataset, roi: np.ndarray) -> np.ndarray:
    """Look up the gain (layer, n) of each source's region; 0 outside the regions."""
    table = {str(r): plan["gain"].sel(region=r).values for r in plan["region"].values}
    nothing = np.zeros(plan.sizes["layer"])
    return np.stack([table.get(str(r), nothing) for r in roi], axis=1)
