"""Decoders as the two stages see them, and what changes what one says: the truth, its spread, a likelihood."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import xarray as xr

from ..labels import FEATURE, SAMPLE, STIMULUS, differing, match, require_dims

# A dimension that is decoded better than this counts as if it were decoded so well: weights stay finite.
BEST = 0.99


class Decoder(Protocol):
    """Anything fitted that turns responses (sample, ...) into features (sample, feature)."""

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Decode."""
        ...


class Known:
    """A decoder that knows: it returns the true features of every sample's stimulus. For oracles and ceilings only.

    Parameters
    ----------
    features : (stimulus, feature)
    """

    def __init__(self, features: xr.DataArray) -> None:
        self.features = features

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Return the features (sample, feature) of the stimuli of ``responses``."""
        return match(self.features, responses)


class Unshrunk:
    """A decoder whose patterns lie as far from the mean as features do.

    Ridge draws what it is not sure of towards the mean of training: its patterns are pale, and no picture has such
    features. Every pattern's distance from that mean is set to what is usual among training features,
    ``m + (p - m) s / |p - m|``, ``s^2`` the sum of the features' variances. Its direction stays, and so does every
    correlation of patterns that is taken around m. Nothing but training features enters.

    Parameters
    ----------
    decoder : anything with ``predict``
    features : (stimulus, feature)
        Those it was trained on.

    Raises
    ------
    ValueError
        With fewer than 2 stimuli; when decoding, if the decoder returns other features.
    """

    def __init__(self, decoder: Decoder, features: xr.DataArray) -> None:
        require_dims(features, (STIMULUS, FEATURE), who="features")
        if features.sizes[STIMULUS] < 2:
            raise ValueError(f"a spread needs at least 2 stimuli, got {features.sizes[STIMULUS]}")
        self.decoder = decoder
        self.mean = features.mean(STIMULUS)
        self.spread = float(np.sqrt(features.var(STIMULUS).sum()))

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Decode, and restore the distance from the mean."""
        found = self.decoder.predict(responses).transpose(SAMPLE, FEATURE)
        require_same_features(found, self.mean, who="what the decoder returns and the features")
        away = found.values - self.mean.values
        length = np.linalg.norm(away, axis=1, keepdims=True)
        # A pattern that is the mean itself has no direction to go.
        factor = np.divide(self.spread, length, out=np.zeros_like(length), where=length > 0)
        return found.copy(data=(self.mean.values + factor * away).astype(found.dtype))


class Calibrated:
    """A decoder whose every dimension is set back to the scale of features, by how well it is decoded.

    A ridge prediction p is the expected feature given the brain: where decoding has the correlation r, its variance is
    ``r^2`` of the feature's. ``m + (p - m) / r^2`` is what the brain alone says, without the prior that drew it to the
    mean m; its error has the variance ``s^2 (1 - r^2) / r^2``, which :func:`precision` inverts. A dimension with
    r <= 0 says nothing and stays at the mean.

    Parameters
    ----------
    decoder : anything with ``predict``
    features : (stimulus, feature)
        Those it was trained on.
    kept : (feature) with the coordinate ``r``
        From :func:`neurodecode.selection.best_features`, on the same features and training data alone.

    Raises
    ------
    ValueError
        If ``kept`` has no ``r``, another size or other features; when decoding, if the decoder returns other ones.
    """

    def __init__(self, decoder: Decoder, features: xr.DataArray, kept: xr.DataArray) -> None:
        self.decoder = decoder
        self.mean = features.mean(STIMULUS)
        r = correlations(kept, features)
        self.gain = np.divide(1.0, r**2, out=np.zeros_like(r), where=r > 0)

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Decode, and take the prior out."""
        found = self.decoder.predict(responses).transpose(SAMPLE, FEATURE)
        require_same_features(found, self.mean, who="what the decoder returns and the features")
        away = found.values - self.mean.values
        return found.copy(data=(self.mean.values + self.gain * away).astype(found.dtype))


def precision(kept: xr.DataArray, features: xr.DataArray) -> xr.DataArray:
    """Weigh dimensions by the inverse variance of what :class:`Calibrated` says of them.

    ``r^2 / (s^2 (1 - r^2))``, s the standard deviation of the feature, r how well it was decoded in cross-validation
    (at most .99). As weights of the structural loss they make it a log-likelihood where predictions are shrunk by
    ``r^2``: at the true picture every dimension's term is then 1 on average. Where r is near 0 by chance, terms can be
    far larger (their gradients are not), so that a loss says little by its size.

    Parameters
    ----------
    kept : boolean (feature) with the coordinate ``r``
        From :func:`neurodecode.selection.best_features`.
    features : (stimulus, feature)
        Those of training, of one layer.

    Returns
    -------
    (feature), in 1 / units^2 of the features; 0 where not kept, where r <= 0 and where a feature is constant

    Raises
    ------
    ValueError
        If ``kept`` has no ``r``, another size or other features.
    """
    r, variance = correlations(kept, features), features.var(STIMULUS).values
    sound = kept.values.astype(bool) & (r > 0) & (variance > 0)
    weights = np.divide(r**2, variance * (1 - r**2), out=np.zeros_like(r), where=sound)
    return kept.copy(data=weights).rename("precision")


def correlations(kept: xr.DataArray, features: xr.DataArray) -> np.ndarray:
    """Return r (feature) of a selection, at most .99, NaN as 0."""
    require_dims(features, (STIMULUS, FEATURE), who="features")
    if "r" not in kept.coords or kept.sizes != {FEATURE: features.sizes[FEATURE]}:
        raise ValueError(
            f"kept must be (feature: {features.sizes[FEATURE]}) with the coordinate 'r', as best_features returns it "
            f"for one layer; got {dict(kept.sizes)} with {sorted(map(str, kept.coords))}"
        )
    require_same_features(kept, features, who="kept and features")
    return np.nan_to_num(kept["r"].values.astype(float), nan=0.0).clip(max=BEST)


def require_same_features(one: xr.DataArray, other: xr.DataArray, *, who: str) -> None:
    """Refuse two arrays of other numbers of features, or whose `unit` labels differ where both have some."""
    if one.sizes[FEATURE] != other.sizes[FEATURE]:
        raise ValueError(
            f"{who} have {one.sizes[FEATURE]} and {other.sizes[FEATURE]} dimensions; make both from the same features"
        )
    if "unit" in one.coords and "unit" in other.coords:
        differ = int(differing(one["unit"].values, other["unit"].values).sum())
        if differ:
            raise ValueError(
                f"{who} disagree on {differ} of {one.sizes[FEATURE]} 'unit' labels; make both from the same features"
            )
