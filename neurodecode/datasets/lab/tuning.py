"""What simulated voxels and cortical patches respond to: receptive fields and random preferences over features."""

from __future__ import annotations

import numpy as np
import xarray as xr

# Standard deviation of a receptive field, in units of the visual field (-1 to 1).
RECEPTIVE_FIELD = {
    "V1": 0.14,
    "V2": 0.18,
    "V3": 0.24,
    "V3ab": 0.35,
    "hV4": 0.4,
    "LO": 0.6,
    "MT": 0.6,
    "VO": 0.7,
    "PHC": 0.9,
    "MST": 0.9,
    "IPS": 0.9,
}


def field_places(field: np.ndarray, hemi: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fill in missing places in the visual field (n, 2) at random in the contralateral half, and jitter all.

    Parameters
    ----------
    field : (n, 2), NaN where there is no map
    hemi : (n) "left" or "right"
    rng
        One subject's own.
    """
    across = np.abs(rng.normal(0, 0.4, len(field))) * np.where(hemi == "left", 1, -1)
    drawn = np.stack([across, rng.normal(0, 0.4, len(field))], axis=1)
    return np.clip(np.where(np.isnan(field), drawn, field) + rng.normal(0, 0.05, field.shape), -1, 1)


def responses(
    features: xr.DataArray, *, place: np.ndarray, size: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Respond to features through receptive fields with random preferences.

    Parameters
    ----------
    features : (stimulus, feature)
        With coordinates ``field_x`` and ``field_y`` a unit is seen through the receptive field; without them,
        all units are mixed at random.
    place : (n, 2) centres of the receptive fields
    size : (n) their standard deviations
    rng
        One subject's own.

    Returns
    -------
    (stimulus, n) float32, mean 0 and variance 1 over the stimuli.
    """
    values = features.transpose("stimulus", "feature").values
    values = values - values.mean(axis=0)
    values = values / np.maximum(values.std(axis=0), 1e-6 * np.abs(values).max())
    weights = rng.standard_normal((values.shape[1], len(place))).astype(np.float32)
    if "field_x" in features.coords:
        units = np.stack([features["field_x"].values, features["field_y"].values], axis=1)
        square = ((units[:, None, :] - place[None, :, :]) ** 2).sum(axis=-1)
        weights *= np.exp(-square / (2 * size**2)).astype(np.float32)
    out = values.astype(np.float32) @ weights
    return out / np.maximum(out.std(axis=0), 1e-12)
