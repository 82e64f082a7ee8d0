"""Principal components of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from neurodecode.checks import require_counts, require_flags
from neurodecode.labels import require_copy, require_same, texts
from neurodecode.prepare.rows import (
    blocks,
    float_type,
    like,
    moments,
    per_group,
    require_columns,
    require_features,
)


class FeaturePCA(TransformerMixin, BaseEstimator):
    """Principal components of features, by scikit-learn's PCA, with labels.

    Parameters
    ----------
    n_components : int, float or None
        How many; or the share of the variance to keep (between 0 and 1); None: all, one less than stimuli at most.
    whiten : bool
        Scale every component to variance 1 on the training data.
    seed : int
        For the randomised solver that scikit-learn takes on large inputs.

    Attributes
    ----------
    pca_ : sklearn.decomposition.PCA, fitted on centred values.
    mean_ : (feature,)

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> space = nd.brain.features(np.random.default_rng(0).normal(size=(20, 6)), stimulus=range(20))
    >>> nd.prepare.FeaturePCA(2).fit(space[:15]).transform(space).sizes["feature"]
    2
    """

    def __init__(
        self, n_components: int | float | None = None, *, whiten: bool = False, seed: int = 0
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.seed = seed

    def fit(self, features: xr.DataArray, y: None = None) -> FeaturePCA:
        """Learn mean and components.

        Parameters
        ----------
        features : (stimulus | sample, feature)
            Training data only.
        y : None
            For scikit-learn.

        Raises
        ------
        TypeError, ValueError
            If dims are wrong, values are NaN or infinite, or more components are asked for than there can be.
        """
        from sklearn.decomposition import PCA

        features = require_features(features, who="the training data of FeaturePCA")
        most = min(len(features) - 1, features.sizes["feature"])  # centring takes one
        wanted = most if self.n_components is None else self.n_components
        share = isinstance(wanted, float | np.floating) and 0 < wanted < 1
        whole = isinstance(wanted, int | np.integer) and not isinstance(wanted, bool | np.timedelta64)
        require_flags(whiten=self.whiten)
        require_counts(seed=self.seed)
        if most < 1:
            raise ValueError(
                f"FeaturePCA needs at least 2 rows, as centring takes one, but got {len(features)}; give more rows"
            )
        if not share and (not whole or not 1 <= wanted <= most):
            raise ValueError(
                f"n_components is {self.n_components!r}, but {len(features)} rows of {features.sizes['feature']} "
                f"features allow 1 to {most} components (or a share of variance between 0 and 1)"
            )
        # Centred, and what the decomposition makes of it.
        require_copy(features, who="the training data of FeaturePCA", times=3)
        mean, _ = moments(features, np.arange(len(features)))
        self.mean_ = per_group(features, [mean], {}, None)
        self.pca_ = PCA(
            float(wanted) if share else wanted, whiten=self.whiten, random_state=self.seed, copy=False
        )
        self.pca_.fit(self._centred(features, slice(None)))
        self.units_ = features.attrs.get("units")
        return self

    def transform(self, features: xr.DataArray) -> xr.DataArray:
        """Project on the components.

        Parameters
        ----------
        features : (stimulus | sample, feature)
            With the very features of the training data.

        Returns
        -------
        (stimulus | sample, feature) with ``unit`` the number of the component, ``layer`` that of the input (joined by
        "+" if several) and ``explained``, its share of the training variance.

        Raises
        ------
        ValueError
            Before a fit, for other features than those of the fit, NaN or infinite values.
        """
        check_is_fitted(self, "pca_")
        features = require_features(features, who="the array given to FeaturePCA")
        require_columns(features, self.mean_, who=("the array given to FeaturePCA", "its training data"))
        number = np.arange(self.pca_.n_components_)
        values = np.empty((len(features), number.size), dtype=float_type(features.dtype))
        for part in blocks(features, np.arange(len(features))):
            values[part] = self.pca_.transform(self._centred(features, part))
        layers = features["layer"].values.reshape(-1).tolist() if "layer" in features.coords else []
        coords = {k: c for k, c in features.coords.items() if "feature" not in c.dims and k != "layer"}
        coords |= {"unit": ("feature", number), "explained": ("feature", self.pca_.explained_variance_ratio_)}
        coords["feature"] = _names(number)
        coords["layer"] = ("feature", ["+".join(dict.fromkeys(map(str, layers))) or "pca"] * number.size)
        units = "standard deviations" if self.whiten else self.units_
        dims = features.dims
        return like(xr.DataArray(values, coords, dims, features.name, features.attrs), values, units=units)

    def inverse_transform(self, components: xr.DataArray) -> xr.DataArray:
        """Return to the features of the training data (exactly so only if all components were kept).

        Parameters
        ----------
        components : (stimulus | sample, feature)
            As :meth:`transform` gives them.

        Returns
        -------
        (stimulus | sample, feature) with the feature coordinates of the training data.

        Raises
        ------
        ValueError
            If the components are others than those of the fit, or in another order.
        """
        check_is_fitted(self, "pca_")
        components = require_features(components, who="the array given to FeaturePCA.inverse_transform")
        if components.sizes["feature"] != self.pca_.n_components_:
            raise ValueError(
                f"inverse_transform got {components.sizes['feature']} components, but {self.pca_.n_components_} were "
                "fitted; pass what transform() returned"
            )
        number = np.arange(self.pca_.n_components_)
        for label, own in {"unit": number, "feature": _names(number)}.items():
            if label in components.coords:
                both = (texts(own), texts(components.coords[label].values).ravel())
                fitted, given = (xr.DataArray(number, {label: names}, label) for names in both)
                require_same(fitted, given, label, who=("fit", "components"))
        values = self.pca_.inverse_transform(components.values) + self.mean_.values
        coords = {k: c for k, c in components.coords.items() if "feature" not in c.dims}
        coords |= dict(self.mean_.coords)
        values = values.astype(float_type(components.dtype), copy=False)
        result = xr.DataArray(values, coords, components.dims, components.name, components.attrs)
        return like(result, values, units=self.units_)

    def _centred(self, features: xr.DataArray, part: Any) -> np.ndarray:
        block = np.asarray(features.data[part])
        return (block - self.mean_.values).astype(float_type(block.dtype), copy=False)


def _names(number: np.ndarray) -> list[str]:
    return [f"pc_{i:04d}" for i in number]
