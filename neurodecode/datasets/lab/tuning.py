"""What simulated voxels and cortical patches respond to: receptive fields and random preferences over features."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .._repeats import seen_before

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


def standardised(features: xr.DataArray) -> np.ndarray:
    """Return features (stimulus, feature) with mean 0 and variance 1 over stimuli, float32; constant ones are 0."""
    values = features.transpose("stimulus", "feature").values.astype(np.float32)
    values -= values.mean(axis=0)
    deviation = values.std(axis=0)
    constant = deviation <= 1e-6 * np.abs(values).max(initial=0)
    return values * np.where(constant, 0, 1 / np.where(constant, 1, deviation)).astype(np.float32)


def preferences(
    features: xr.DataArray, *, place: np.ndarray, size: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw random preferences (feature, n) over features.

    Parameters
    ----------
    features : (stimulus, feature)
        Without the coordinates ``field_x`` and ``field_y`` every feature is preferred at random. With them (-1 to 1,
        rightwards and upwards; NaN: the unit looks at the whole field) it is also seen through the receptive field.
        With a coordinate ``token`` too, the same units are there at every place, and the same preference for them
        holds at every place: the feature-weighted receptive field of St-Yves & Naselaris 2018, with which large
        fields tell little of where something is.
    place : (n, 2) centres of the receptive fields
    size : (n) their standard deviations
    rng
        One subject's own.

    Returns
    -------
    (feature, n) float32
    """
    placed = "field_x" in features.coords and not bool(features["field_x"].isnull().all())
    unit = np.arange(features.sizes["feature"])
    if placed and "token" in features.coords:
        unit = seen_before(features["token"].values)
    weights = rng.standard_normal((unit.max() + 1, len(place)), dtype=np.float32)[unit]
    return weights * _view(features, place, size) if placed else weights


def _view(features: xr.DataArray, place: np.ndarray, size: np.ndarray) -> np.ndarray:
    """How much of each feature receptive fields let through (feature, n); units of the whole field: the mean of all."""
    spots, spot = np.unique(
        np.stack([features["field_x"].values, features["field_y"].values], axis=1),
        axis=0,
        return_inverse=True,
    )
    square = ((spots[:, None, :] - place[None, :, :]) ** 2).sum(axis=-1)
    through = np.exp(-square / (2 * size**2))
    whole = np.isnan(spots).any(axis=1)
    through[whole] = through[~whole].mean(axis=0)
    return through.astype(np.float32)[spot.ravel()]
