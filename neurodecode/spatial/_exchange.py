"""Which stimuli may change places under the null, and their shuffles: whole stimuli, their repeats together."""

from __future__ import annotations

import warnings
from math import lgamma, log

import numpy as np
import xarray as xr

from ..labels import SAMPLE, STIMULUS, groups, listed, require_coord


def exchangeable(responses: xr.DataArray, blocks: str | None, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Stimuli that were shown (k), and the number (k) of the group within which each may change places.

    With ``blocks``, a sample coordinate, stimuli are of one group if they were shown in the same blocks.

    Raises
    ------
    ValueError
        If no two stimuli may change places.

    Warns
    -----
    UserWarning
        If there are fewer than ``n`` different shuffles.
    """
    number, first = groups(require_coord(responses, STIMULUS, who="responses", dim=SAMPLE).values)
    stimuli = responses.coords[STIMULUS].values[first]
    group = np.zeros(first.size, dtype=int)
    if blocks is not None:
        block, _ = groups(require_coord(responses, blocks, who="responses", dim=SAMPLE).values)
        shown = np.zeros((first.size, block.max() + 1), dtype=bool)
        shown[number, block] = True
        group = np.unique(shown, axis=0, return_inverse=True)[1].ravel()
    sizes = np.bincount(group)
    if sizes.max() < 2:
        raise ValueError(
            f"no two of {first.size} stimuli were shown in the same values of {blocks!r}: {listed(stimuli)}; nothing "
            "can be exchanged. Give another sample coordinate as blocks=..., or None"
        )
    if sum(lgamma(size + 1) for size in sizes) < log(n):
        warnings.warn(
            f"{first.size} stimuli in {sizes.size} groups have fewer than {n} different shuffles: p is coarse",
            UserWarning,
            stacklevel=4,
        )
    return stimuli, group


def shuffled(
    features: xr.DataArray, stimuli: np.ndarray, group: np.ndarray, random: np.random.Generator
) -> xr.DataArray:
    """Features (stimulus, ...) of ``stimuli``, which have changed places within their groups at random."""
    order = np.arange(stimuli.size)
    for g in np.unique(group):
        inside = np.flatnonzero(group == g)
        order[inside] = random.permutation(inside)
    return features.sel({STIMULUS: stimuli[order]}).assign_coords({STIMULUS: stimuli})
