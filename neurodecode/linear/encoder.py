"""The encoder: ridge from features to responses, under one penalty or a penalty of every band of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import xarray as xr
from sklearn.utils.validation import check_is_fitted

from .. import bands as banding
from .. import brain
from .. import folds as folding
from ..labels import as_fitted, listed, require_finite, require_memory
from ..score import about_own_mean
from ..solve import Fitted
from ..solve.banded import BandSettings, bytes_banded, fit_banded, require_himalaya
from .matrices import matrix_of, of_samples, same_rows, samples_first
from .ridge import Ridge, checked_alphas


class RidgeEncoder(Ridge):
    """Predict brain responses from features by ridge regression, every voxel (or channel and time) on its own.

    Parameters
    ----------
    alpha, standardise, intercept, folds, all_errors, device : see :class:`RidgeDecoder`
    bands : str or sequence of str, optional
        Banded ridge: a penalty of every band of features for every voxel (Nunez-Elizalde, Huth & Gallant 2019). Name of
        a feature coordinate, such as "layer", or one name a feature. Penalties are chosen on ``folds`` of the training
        samples (default: 5) by himalaya's random search (Dupre la Tour et al. 2022), which needs the extra "bands".
    n_candidates, seed : int
        Of that search: how many shares of the penalty among the bands are drawn, each tried with every alpha.

    Attributes
    ----------
    weights_ : (feature, voxel) or (feature, channel, time)
        Dense, in response units per feature unit, built on demand.
    alpha_ : (voxel), with bands (band, voxel)
        The penalty of every voxel, ``alpha / share`` of each band; up to 1e12 alpha where the band was left out.
    samples_ : NumPy array
        Labels of the training samples.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> encoder = nd.RidgeEncoder(alpha=1.0).fit(features[:30], responses[:30])
    >>> predicted = encoder.predict(features[30:])
    >>> predicted.dims, bool(np.corrcoef(predicted.values.ravel(), responses[30:].values.ravel())[0, 1] > 0.99)
    (('stimulus', 'voxel'), True)
    """

    _who = ("features", "responses")

    def __init__(
        self,
        alpha: float | np.ndarray | list[float] | tuple[float, ...] = 1.0,
        *,
        bands: Any = None,
        standardise: bool = True,
        intercept: str = "centre",
        folds: Any = None,
        all_errors: bool = False,
        device: str | None = None,
        n_candidates: int = 100,
        seed: int = 0,
    ) -> None:
        self.alpha = alpha
        self.bands = bands
        self.standardise = standardise
        self.intercept = intercept
        self.folds = folds
        self.all_errors = all_errors
        self.device = device
        self.n_candidates = n_candidates
        self.seed = seed

    n_voxels: int | None = None

    def fit(self, features: Any, responses: Any) -> Self:
        """Learn responses from features.

        Parameters
        ----------
        features : (stimulus, feature) matched by label, or (sample, feature), or NumPy (n, p)
            With ``bands`` also a mapping of space to (stimulus, feature): their names become ``layer``.
        responses : (sample, voxel) or (sample, channel, time), or NumPy (n, q)

        Raises
        ------
        ValueError
            As :meth:`RidgeDecoder.fit`; bands that are not there, or with ``intercept="penalised"``, ``all_errors`` or
            ``device``.
        ModuleNotFoundError
            With ``bands`` but without himalaya, naming the extra.
        """
        self._check_settings()
        if not isinstance(responses, xr.DataArray):
            if self.bands is not None and np.ndim(features) == 2:
                self._name_bands(int(np.shape(features)[1]))
            return self._fit_numpy(features, responses)
        responses = samples_first(responses)
        features = of_samples(self._joined(features), responses)
        if self.bands is not None:
            self._name_bands(features)
        return self._fit_labelled(features, responses)

    def predict(self, X: Any) -> Any:
        """Predict responses from features, or, with bands, from a mapping of space to features.

        Parameters
        ----------
        X : labelled, of the axis of the fit; with bands also a mapping of space to features
            NumPy (n, p) after a fit to NumPy arrays.
        """
        return super().predict(self._joined(X))

    def predict_bands(self, features: Any) -> xr.DataArray:
        """What each band adds to the training mean of every voxel.

        Parameters
        ----------
        features : labelled, of the axis of the fit; or a mapping of space to features

        Returns
        -------
        (band, sample | stimulus, voxel, ...)
            The sum over bands, and the training mean, are the prediction.

        Raises
        ------
        ValueError
            A fit without bands, or to NumPy arrays.
        MemoryError
            If the parts would not fit.
        """
        check_is_fitted(self, "_fitted")
        inner, outer = self.axes()
        names, codes = self._require_bands()
        given = as_fitted(self._joined(features), inner, who="features")
        require_finite(given, who="features")
        x = np.asarray(matrix_of(given))
        require_memory(
            self._fitted.weights.dtype.itemsize * len(names) * len(x) * outer.size + 16 * x.size,
            what=f"predictions of {len(names)} bands ({len(x)} x {outer.size} each)",
            remedy="predict fewer samples or voxels at a time",
        )
        first = given.dims[0]
        parts = banding.contributions(self._fitted, x, codes, names)
        return xr.DataArray(
            parts.reshape(len(names), len(x), *outer.shape),
            dims=("band", first, *outer.dims),
            coords={
                "band": names,
                **{k: v for k, v in given.coords.items() if v.dims == (first,)},
                **outer.coords,
            },
            attrs={"units": self._units[1]},
        )

    def score_bands(self, features: Any, responses: xr.DataArray) -> xr.Dataset:
        """Split r2 of held-out responses over the bands by the product measure (Dupre la Tour et al. 2022).

        With deviations d of responses from the training mean, contributions c_k of the bands and their sum c,
        ``share_k = sum over samples of (2 d c_k - c_k c) / SS_tot``. Shares may be negative: the band's contribution
        points away from the responses, or cancels another's.

        Parameters
        ----------
        features : as :meth:`fit` takes them
        responses : (sample, voxel, ...) that were not fitted

        Returns
        -------
        Dataset
            ``share`` (band, voxel, ...), ``r2`` (voxel, ...), ``offset`` (voxel, ...): what the change of the mean from
            training to test costs, at most 0. ``r2 = sum of shares + offset``; NaN where a response is constant.

        Raises
        ------
        ValueError
            As :meth:`predict_bands`, and labels that differ.
        """
        responses = samples_first(responses)
        parts = self.predict_bands(of_samples(self._joined(features), responses))
        require_finite(responses, who="responses")
        _, outer = self.axes()
        # Equal labels are required here; values of equal order.
        _, true = same_rows(parts.isel(band=0), responses)
        flat = parts.values.reshape(*parts.shape[:2], -1).astype(np.float64)
        split, offset, whole = banding.shares(flat, np.asarray(true, np.float64), self._fitted.y_mean)
        data = {
            "share": (("band", *outer.dims), split.reshape(-1, *outer.shape)),
            "r2": (outer.dims, whole.reshape(outer.shape)),
            "offset": (outer.dims, offset.reshape(outer.shape)),
        }
        found = xr.Dataset(data, {"band": parts["band"], **outer.coords}, {"score": "r2", **self._attrs})
        for name in data:
            found[name].attrs["units"] = "r2"
        for name in ("share", "r2"):
            found[name].attrs |= about_own_mean([responses])
        # What the mean alone scores is in the offset.
        found["share"].attrs["mean_alone"] = 0.0
        return found

    # --- bands -------------------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.bands is None:
            return
        if self.intercept != "centre":
            raise ValueError(f"bands need intercept='centre', got {self.intercept!r}")
        for name, off in (("all_errors", False), ("device", None)):
            if getattr(self, name) != off:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} goes with one penalty for all features; the search among bands "
                    f"runs on the CPU and keeps no errors. Leave {name} out, or bands"
                )
        for name in ("n_candidates", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < (name == "n_candidates"):
                raise ValueError(f"{name} must be a whole number, of candidates at least 1; got {value!r}")
        require_himalaya()

    def _joined(self, features: Any) -> Any:
        if not isinstance(features, Mapping):
            return features
        if self.bands is None:
            raise ValueError(
                f"features are {len(features)} spaces ({listed(features)}), but this encoder has one penalty for all: "
                "bands='layer' gives each space its own, neurodecode.brain.stack joins them under the one"
            )
        return brain.stack(features)

    def _name_bands(self, features: xr.DataArray | int) -> None:
        self._bands = banding.numbered(features, self.bands)

    def _require_bands(self) -> tuple[list[str], np.ndarray]:
        if self.bands is None:
            raise ValueError(
                "this encoder was fitted without bands; give bands='layer', or predict as a whole"
            )
        return self._bands

    def _pairs(self, by: xr.DataArray) -> list[tuple[np.ndarray, np.ndarray]] | None:
        if self.bands is None:
            return super()._pairs(by)
        chosen = folding.splits(by, folds=5 if self.folds is None else self.folds, shared=folding.ANY)
        return [(f.train, f.test) for f in chosen]

    def _solved(self, x: Any, y: Any, pairs: list[tuple[np.ndarray, np.ndarray]] | None) -> Fitted:
        if self.bands is None:
            return super()._solved(x, y, pairs)
        (names, codes), shape = self._bands, (x.shape[0], x.shape[1])
        settings = BandSettings(
            checked_alphas(self.alpha),
            pairs or [],
            int(self.n_candidates),
            int(self.seed),
            bool(self.standardise),
        )
        require_memory(
            bytes_banded(shape, y.shape[1], len(names), settings, itemsize=x.dtype.itemsize),
            what=f"a ridge with {len(names)} bands of {y.shape[1]} targets on {shape[0]} x {shape[1]} predictors",
            remedy="fit fewer voxels (a region) at a time, or float32",
        )
        found = fit_banded(np.asarray(x), np.asarray(y), codes, settings)
        self._penalties = found.penalties
        return found.fitted

    def _take(self, fitted: Fitted) -> None:
        super()._take(fitted)
        if self.bands is not None:
            self.alpha_ = self._penalties

    def _labelled_alpha(self, outer: xr.DataArray) -> xr.DataArray:
        if self.bands is None:
            return super()._labelled_alpha(outer)
        return xr.DataArray(
            self._penalties.reshape(-1, *outer.shape),
            dims=("band", *outer.dims),
            coords={"band": self._bands[0], **outer.coords},
        )
