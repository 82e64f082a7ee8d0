"""The decoder: ridge from responses to features, optionally with predictors selected for every feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import xarray as xr
from sklearn.base import clone

from ..labels import (
    SAMPLE,
    require_axis,
    require_dims,
    require_finite,
    require_memory,
    require_same,
    require_sound,
)
from ..solve import Beside
from .matrices import matrix_of, of_samples, samples_first
from .ridge import Ridge


class RidgeDecoder(Ridge):
    """Decode features from brain responses by ridge regression, every feature on its own.

    Minimises ``|Y - X W|^2 + alpha |W|^2`` over the training samples (un-averaged Gram matrix; Hoerl & Kennard 1970),
    optionally with, for every feature, only the ``n_voxels`` responses that correlate most with it (MindDiffuser 2025,
    eq. 1).

    Parameters
    ----------
    alpha : float or sequence of float
        Penalty. A grid chooses one alpha per feature by exact leave-one-out, or by ``folds``.
    n_voxels : int, optional
        Number of predictors per feature, those with the largest ``|r|`` on training data; weights are kept sparse.
        A grid of alphas then needs ``folds``, inside which the selection is made again.
    standardise : bool
        Z-score both sides with training statistics; weights are still reported in original units.
    intercept : {"centre", "penalised"}
        "centre" leaves the intercept unpenalised. "penalised" adds a column of ones that is penalised like every
        predictor; with ``standardise=False`` that is the model of the published library (fastl2lir).
    folds : int, str or splitter, optional
        How to choose alpha: K folds, a sample coordinate's name (leave one value out), or a scikit-learn splitter.
    all_errors : bool
        Leave-one-out computes the errors of all alphas, not only those around each feature's least.
    device : str, optional
        torch's name of an accelerator, for instance "cuda": selections and fits under one alpha run there; without
        such a device a warning says so, and the CPU does it.

    Attributes
    ----------
    weights_ : (voxel, feature) or (channel, time, feature)
        Dense, in feature units per response unit, built on demand.
    alpha_ : (feature)
        The penalty of every feature.
    errors_ : (alpha, feature)
        Mean squared errors, in units of the feature's variance with ``standardise``, by which leave-one-out chose
        alpha, infinite where it needed none; those on held-out folds in squared units of the feature.
    samples_ : NumPy array
        Labels of the training samples.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng = np.random.default_rng(0)
    >>> names = [f"img_{i}" for i in range(40)]
    >>> true = rng.normal(size=(40, 3))
    >>> features = nd.brain.features(true, stimulus=names)
    >>> values = true @ rng.normal(size=(3, 20)) + rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names)
    >>> decoder = nd.RidgeDecoder(alpha=10.0).fit(responses[:30], features)
    >>> decoder.predict(responses[30:]).dims
    ('sample', 'feature')
    """

    _who = ("responses", "features")

    def fit(self, responses: Any, features: Any) -> Self:
        """Learn features from responses.

        Parameters
        ----------
        responses : (sample, voxel) or (sample, channel, time), or NumPy (n, p), or a torch tensor
        features : (stimulus, feature) matched by label, or (sample, feature), or NumPy (n, q), or a torch tensor
            Tensors on an accelerator are fitted there; predictions from tensors are tensors.

        Raises
        ------
        ValueError
            NaN or infinite values, unequal or duplicate labels, a stimulus without features, alpha <= 0, or
            ``n_voxels`` above the number of voxels that vary.
        """
        self._check_settings()
        if not isinstance(responses, xr.DataArray):
            return self._fit_numpy(responses, features)
        responses = samples_first(responses)
        return self._fit_labelled(responses, of_samples(features, responses))

    def input_gradients(self, responses: xr.DataArray, direction: xr.DataArray) -> xr.DataArray:
        """Gradient by every response of ``sum over features of direction x prediction``: what ridge has weights for.

        Parameters
        ----------
        responses : (sample, voxel) or (sample, channel, time)
        direction : (sample, feature)
            Of the same samples; 1 at one feature and 0 elsewhere gives that feature's weights.

        Returns
        -------
        (sample, voxel) or (sample, channel, time): ``direction @ weights^T``, wherever the responses lie.

        Raises
        ------
        ValueError
            Other samples, channels, times or features than those of the fit.
        """
        inner, outer = self.axes()
        require_dims(responses, [SAMPLE, *map(str, inner.dims)], who="responses")
        require_dims(direction, [SAMPLE, *map(str, outer.dims)], who="direction")
        require_same(responses, direction, SAMPLE, who=("responses", "direction"))
        for axes, array, who in ((inner, responses, "responses"), (outer, direction, "direction")):
            for dim in axes.dims:
                require_axis(axes, array, str(dim), who=who)
        require_finite(direction, who="direction")
        along = matrix_of(direction.transpose(SAMPLE, *outer.dims))
        weights = self._fitted.weights
        require_memory(
            weights.dtype.itemsize * len(along) * inner.size,
            what=f"gradients ({len(along)} x {inner.size})",
            remedy="take fewer samples at a time",
        )
        values = np.asarray((weights @ along.T).T)
        coords = {k: v for k, v in responses.coords.items() if v.dims == (SAMPLE,)}
        return xr.DataArray(
            values.reshape(len(values), *inner.shape),
            dims=(SAMPLE, *inner.dims),
            coords={**coords, **inner.coords},
            attrs={"units": f"{self._units[1]} per {self._units[0]}"},
        )

    def fit_spaces(
        self, responses: xr.DataArray, spaces: Mapping[str, xr.DataArray]
    ) -> dict[str, RidgeDecoder]:
        """Fit one decoder a feature space, as :meth:`fit` would; what depends on responses alone is computed once.

        Parameters
        ----------
        responses : (sample, voxel) or (sample, channel, time)
        spaces : feature spaces by name, each (stimulus, feature) or (sample, feature)

        Returns
        -------
        New decoders by name; this one stays as it is.

        Raises
        ------
        ValueError
            As :meth:`fit`.
        """
        self._check_settings()
        responses = samples_first(responses)
        require_sound(responses, who="responses")
        targets = {name: of_samples(space, responses) for name, space in spaces.items()}
        for name, space in targets.items():
            require_sound(space, who=f"features {name!r}")
        x = matrix_of(responses)
        sides = [matrix_of(space).astype(x.dtype, copy=False) for space in targets.values()]
        together = self._solved(x, Beside(sides), self._pairs(responses))
        found, first = {}, 0
        for (name, space), side in zip(targets.items(), sides, strict=True):
            decoder = clone(self)
            decoder._take(together.of(slice(first, first + side.shape[1])))
            found[name] = decoder._label(responses, space)
            first += side.shape[1]
        return found
