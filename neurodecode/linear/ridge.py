"""What decoder and encoder share: ridge of labelled arrays, by scikit-learn's conventions.

An estimator knows labels and no linear algebra: it checks, unfolds arrays to matrices, calls
:func:`neurodecode.solve.fit_ridge`, and puts the labels back.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import xarray as xr
from scipy import sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import folds as folding
from .. import lazy
from ..checks import as_numbers, require_flags, require_texts
from ..labels import (
    SAMPLE,
    as_fitted,
    axes_of,
    listed,
    match,
    require_choice,
    require_filled,
    require_finite,
    require_memory,
    require_real,
    require_sound,
)
from ..solve import Fitted, Settings, fit_ridge
from ..solve.fit import CENTRED_BYTES, TARGETS
from ..solve.room import bytes_on_all, bytes_on_selected
from .matrices import dense_of, labelled, matrix_of, same_rows

INTERCEPTS = ("centre", "penalised")
UNITS = ("original", "standardised")


class Ridge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """What decoder and encoder share: the settings, their check, the fit on matrices and the way back to labels."""

    # Every target is fitted on its own, so feature spaces may be fitted side by side.
    targets_are_independent = True
    _who: tuple[str, str]
    _axes: tuple[xr.DataArray, xr.DataArray] | None
    # The device of the tensors that it was fitted on, if they were tensors on one.
    _where: str | None = None
    alpha_: Any
    # Labels of the training samples; None without labels.
    samples_: np.ndarray | None

    def __init__(
        self,
        alpha: float | np.ndarray | list[float] | tuple[float, ...] = 1.0,
        *,
        n_voxels: int | None = None,
        standardise: bool = True,
        intercept: str = "centre",
        folds: Any = None,
        all_errors: bool = False,
        device: str | None = None,
    ) -> None:
        self.alpha = alpha
        self.n_voxels = n_voxels
        self.standardise = standardise
        self.intercept = intercept
        self.folds = folds
        self.all_errors = all_errors
        self.device = device

    # --- fitting -----------------------------------------------------------------------------------------------

    def _fit_arrays(self, x: Any, y: Any, pairs: list[tuple[np.ndarray, np.ndarray]] | None) -> None:
        """Fit matrices x (n, p), y (n, q) of one dtype and keep the map."""
        self._take(self._solved(x, y, pairs))

    def _take(self, fitted: Fitted) -> None:
        """Keep a map."""
        self._fitted = fitted
        self.alpha_ = fitted.alpha
        _warn_at_edge(self.alpha_, checked_alphas(self.alpha), fitted.errors)

    def _solved(self, x: Any, y: Any, pairs: list[tuple[np.ndarray, np.ndarray]] | None) -> Fitted:
        settings = Settings(
            alphas=checked_alphas(self.alpha),
            k=self._checked_count(x.shape[1]),
            standardise=bool(self.standardise),
            centre=self.intercept == "centre",
            folds=pairs,
            every=bool(self.all_errors),
            device=self.device or self._where,
        )
        if len(x) < 2:
            raise ValueError(f"ridge needs at least 2 samples to fit but got n_samples = {len(x)}")
        spread = lazy.cluster(x, y) is not None
        _require_room(x.shape, y.shape[1], settings, x.dtype.itemsize, spread=spread)
        return fit_ridge(x, y, settings)

    def _check_settings(self) -> None:
        """Refuse settings that cannot be fitted, before any work."""
        alphas = checked_alphas(self.alpha)
        require_flags(standardise=self.standardise, all_errors=self.all_errors)
        if self.device is not None:
            require_texts(device=self.device)
        require_choice(self.intercept, INTERCEPTS, what="intercept")
        if alphas.size > 1 and self.n_voxels is not None and self.folds is None:
            raise ValueError(
                f"a grid of {alphas.size} alphas with n_voxels={self.n_voxels} needs folds=...: leave-one-out would "
                "have to select voxels again for every sample left out"
            )

    def _checked_count(self, p: int) -> int | None:
        k = self.n_voxels
        if k is None:
            return None
        whole = isinstance(k, int | np.integer) and not isinstance(k, bool | np.timedelta64)
        if not whole or k < 1 or k > p:
            raise ValueError(
                f"n_voxels must be a whole number from 1 to {p}, the number of predictors; got {k!r}"
            )
        return int(k)

    def _pairs(self, by: xr.DataArray) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Index pairs for choosing alpha, from the labels of the training samples."""
        if self.folds is None or np.ndim(self.alpha) == 0:
            return None
        return [(f.train, f.test) for f in folding.splits(by, folds=self.folds, shared=folding.ANY)]

    def _fit_numpy(self, x: Any, y: Any) -> Self:
        if isinstance(x, xr.DataArray) or isinstance(y, xr.DataArray):
            named = [f"{who} ({type(a).__name__})" for who, a in zip(self._who, (x, y), strict=True)]
            raise TypeError(
                f"{named[0]} and {named[1]}: one is labelled and one is not, so rows cannot be matched; give two "
                "labelled arrays (neurodecode.brain makes them), or two plain ones whose rows agree"
            )
        self._where = _device_of(x)
        x, y = (a.detach().cpu().numpy() if _is_tensor(a) else a for a in (x, y))
        x, y = validate_data(self, x, y, multi_output=True, y_numeric=True, dtype=(np.float64, np.float32))
        y = y.astype(x.dtype, copy=False)
        self._one_target = y.ndim == 1
        self._axes = self.samples_ = None
        labels = xr.DataArray(np.zeros(len(x)), dims=SAMPLE, coords={SAMPLE: np.arange(len(x))})
        self._fit_arrays(x, y.reshape(len(y), -1), self._pairs(labels))
        return self

    def _fit_labelled(self, predictors: xr.DataArray, targets: xr.DataArray) -> Self:
        """Fit predictors (sample, ...) to targets (sample, ...) whose samples agree."""
        for array, who in zip((predictors, targets), self._who, strict=True):
            require_sound(array, who=who)
        self._where = None
        x, y = matrix_of(predictors), matrix_of(targets)
        by = predictors if SAMPLE in predictors.coords else targets
        self._fit_arrays(x, y.astype(x.dtype, copy=False), self._pairs(by))
        return self._label(predictors, targets)

    def _label(self, predictors: xr.DataArray, targets: xr.DataArray) -> Self:
        """Put labels on what was fitted."""
        outer = axes_of(targets)
        self.n_features_in_ = int(np.prod(predictors.shape[1:]))
        self._one_target = False
        self.samples_ = predictors[SAMPLE].values
        self._units = tuple(str(a.attrs.get("units", "a.u.")) for a in (predictors, targets))
        both = {**targets.attrs, **predictors.attrs}
        self._attrs = {k: v for k, v in both.items() if k in ("subject", "space", "affine", "shape")}
        self._axes = (axes_of(predictors).assign_attrs(self._attrs), outer)
        self.alpha_ = self._labelled_alpha(outer)
        return self

    def _labelled_alpha(self, outer: xr.DataArray) -> xr.DataArray:
        return labelled(self._fitted.alpha, outer)

    # --- using -------------------------------------------------------------------------------------------------

    def _predict_numpy(self, x: Any) -> Any:
        plain = x.detach().cpu().numpy() if _is_tensor(x) else x
        try:
            plain = validate_data(self, plain, reset=False, dtype=(np.float64, np.float32))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self._who[0]}: {error}") from error
        predicted = self._fitted.predict(plain)
        predicted = predicted[:, 0] if self._one_target else predicted
        if not _is_tensor(x):
            return predicted
        import torch

        return torch.as_tensor(predicted, device=x.device)

    def _predict_labelled(self, predictors: xr.DataArray) -> xr.DataArray:
        if self._axes is None:
            raise ValueError(
                "this ridge was fitted on NumPy arrays: give it a NumPy array, or fit it on labelled data"
            )
        inner, outer = self._axes
        predictors = as_fitted(predictors, inner, who=self._who[0])
        first = predictors.dims[0]
        require_filled(predictors, who=self._who[0], give=f"at least one {first} to predict from")
        require_real(predictors, who=self._who[0])
        require_finite(predictors, who=self._who[0])
        coords = {k: v for k, v in predictors.coords.items() if v.dims == (first,)}
        matrix = matrix_of(predictors)
        if not lazy.is_dask(matrix):
            whole = 8 * len(matrix) * (matrix.shape[1] + outer.size)
            require_memory(
                self._fitted.weights.dtype.itemsize * len(matrix) * outer.size
                + 2 * min(whole, CENTRED_BYTES),
                what=f"predictions ({len(matrix)} x {outer.size})",
                remedy="predict fewer samples at a time, or from dask arrays (.chunk), which give a dask array",
            )
        values = (
            _predict_lazily(self._fitted, matrix) if lazy.is_dask(matrix) else self._fitted.predict(matrix)
        )
        return xr.DataArray(
            values.reshape(len(values), *outer.shape),
            dims=(first, *outer.dims),
            coords={**coords, **outer.coords},
            attrs={"units": self._units[1]},
        )

    def score(self, X: Any, y: Any) -> float:
        """Mean r2 over targets, as scikit-learn's regressors; :mod:`neurodecode.score` has the field's scores."""
        labelled = isinstance(X, xr.DataArray) and isinstance(y, xr.DataArray)
        if labelled and SAMPLE in y.dims and SAMPLE not in X.dims:
            X = match(X, y, who=self._who)
        predicted = self.predict(X)
        if labelled:
            predicted, y = same_rows(predicted, y)
        return float(r2_score(y, predicted))

    def predict(self, X: Any) -> Any:
        """Predict targets from predictors; labelled in, labelled out; NumPy in, NumPy out."""
        check_is_fitted(self, "_fitted")
        return self._predict_labelled(X) if isinstance(X, xr.DataArray) else self._predict_numpy(X)

    @property
    def weights_(self) -> xr.DataArray | np.ndarray:
        """Weights in original units, dense: (voxel, feature) or (channel, time, feature), or (p, q) for NumPy.

        Built on demand, also where the fit keeps them sparse.

        Raises
        ------
        MemoryError
            If the dense array would not fit; :meth:`weight_blocks` streams it instead.
        """
        check_is_fitted(self, "_fitted")
        p, q = self._fitted.weights.shape
        if sparse.issparse(self._fitted.weights):
            require_memory(
                p * q * self._fitted.weights.dtype.itemsize,
                what=f"dense weights ({p} x {q})",
                remedy="stream them with .weight_blocks(), or reduce them with neurodecode.spatial.weight_map",
            )
        dense = dense_of(self._fitted.weights)
        if self._axes is None:
            return dense
        return self._with_labels(dense, self._axes[1])

    @property
    def errors_(self) -> Any:
        """Errors by which alpha was chosen, (alpha, feature) or NumPy (a, q); None if there was no choice."""
        check_is_fitted(self, "_fitted")
        errors = self._fitted.errors
        if errors is None or self._axes is None:
            return errors
        outer = self._axes[1]
        return xr.DataArray(
            errors.reshape(-1, *outer.shape),
            dims=("alpha", *outer.dims),
            coords={**outer.coords, "alpha": checked_alphas(self.alpha)},
            attrs={"units": "mean squared error"},
        )

    @property
    def solver_(self) -> str:
        """How the weights were found, for instance "conjugate gradients on 4000 of 15700 predictors, float32"."""
        check_is_fitted(self, "_fitted")
        return str(self._fitted.solver)

    @property
    def selected_(self) -> Any:
        """Boolean (p, q): which predictors each target was fitted on; all of them without ``n_voxels``."""
        check_is_fitted(self, "_fitted")
        weights = self._fitted.weights
        if sparse.issparse(weights):
            return sparse.csc_array(
                (np.ones(weights.nnz, dtype=bool), weights.indices, weights.indptr), weights.shape
            )
        return sparse.csc_array(np.ones(weights.shape, dtype=bool))

    def weight_blocks(self, *, units: str = "original", size: int = 512) -> Iterator[xr.DataArray]:
        """Yield the weights (voxel, feature) of ``size`` targets at a time, so that they are never dense as a whole.

        ``units`` "standardised" gives them per training SD of both sides.
        """
        require_choice(units, UNITS, what="units")
        inner, outer = self.axes()
        if len(outer.dims) != 1:
            raise ValueError(f"weight_blocks needs targets of one dimension, not {outer.dims}; use .weights_")
        x_sd, y_sd = self.scales()
        for first in range(0, outer.size, size):
            part = slice(first, first + size)
            dense = dense_of(self._fitted.weights[:, part])
            block = self._with_labels(dense, outer.isel({outer.dims[0]: part}))
            if units == "standardised":
                ratio = x_sd[:, None] / y_sd[None, part]
                block = block.copy(data=block.values * ratio.reshape(block.shape))
                block.attrs["units"] = "SD of target per SD of predictor"
            yield block

    def axes(self) -> tuple[xr.DataArray, xr.DataArray]:
        """Empty arrays that bear the labels of the predictors and of the targets, without the sample axis."""
        check_is_fitted(self, "_fitted")
        if self._axes is None:
            raise ValueError("there are no labels: this ridge was fitted on NumPy arrays")
        return self._axes

    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Training SDs (p), (q) of predictors and targets, in the order of the unfolded axes; 1 where constant."""
        check_is_fitted(self, "_fitted")
        return self._fitted.x_sd, self._fitted.y_sd

    def _with_labels(self, dense: np.ndarray, outer: xr.DataArray) -> xr.DataArray:
        inner, _ = self.axes()
        return xr.DataArray(
            dense.reshape(*inner.shape, *outer.shape),
            dims=(*inner.dims, *outer.dims),
            coords={**inner.coords, **outer.coords},
            attrs={"units": f"{self._units[1]} per {self._units[0]}", **self._attrs},
        )


def _is_tensor(array: Any) -> bool:
    """Whether an array is one of torch's, which is not imported for that."""
    return type(array).__module__ == "torch" and hasattr(array, "detach")


def _device_of(array: Any) -> str | None:
    """Return the accelerator on which a tensor lies; None for anything else."""
    return str(array.device) if _is_tensor(array) and array.device.type != "cpu" else None


def checked_alphas(alpha: Any) -> np.ndarray:
    """Penalties in ascending order, refused unless they are positive numbers."""
    alphas = np.atleast_1d(as_numbers(alpha, what="alpha", remedy="give a number > 0 or a grid of them"))
    if alphas.ndim != 1 or not alphas.size or not np.isfinite(alphas).all() or (alphas <= 0).any():
        raise ValueError(f"alpha must be a number > 0 or a grid of numbers > 0, got {listed(alphas.ravel())}")
    return np.sort(alphas)


def _require_room(shape: tuple[int, int], q: int, settings: Settings, itemsize: int, *, spread: bool) -> None:
    """Refuse a fit whose arrays would not fit in memory."""
    n, p = shape
    k = settings.k
    if spread:
        # The workers hold the rest.
        needed = itemsize * (p if k is None else 2 * k) * q
    elif k is None:
        eigenvectors = settings.alphas.size > 1
        needed = bytes_on_all(shape, q, itemsize=itemsize, targets=TARGETS, eigenvectors=eigenvectors)
    else:
        folded = settings.alphas.size if settings.folds is not None else 1
        needed = bytes_on_selected(shape, q, k, itemsize=itemsize, targets=TARGETS, penalties=folded)
    side = min(n, p) if k is None or k > n else p
    require_memory(
        needed,
        what=f"a ridge of {q} targets on {n} x {p} predictors (Gram matrix {side} x {side}, weights {k or p} x {q})",
        remedy="fit fewer voxels (a region), or fewer targets at a time",
    )


def _warn_at_edge(chosen: np.ndarray, grid: np.ndarray, errors: np.ndarray | None) -> None:
    # A constant target is predicted equally well by every alpha: it says nothing about the grid.
    if errors is not None:
        lowest, highest = errors.min(axis=0), np.where(np.isfinite(errors), errors, -np.inf).max(axis=0)
        chosen = chosen[highest > lowest]
    low, high = int((chosen == grid[0]).sum()), int((chosen == grid[-1]).sum())
    if grid.size > 2 and low + high:
        warnings.warn(
            f"the best alpha lies on the grid's edge for {low + high} of {chosen.size} targets ({low} at the smallest, "
            f"{grid[0]:g}; {high} at the largest, {grid[-1]:g}); widen the grid",
            UserWarning,
            stacklevel=6,
        )


def _predict_lazily(fitted: Fitted, x: Any) -> Any:
    """Predictions (n, q) as a dask array, from a dask array x (n, p), in its blocks of rows and blocks of targets."""
    import dask
    import dask.array

    rows = x.rechunk({1: -1})
    dtype, q = fitted.weights.dtype, fitted.weights.shape[1]

    def some(columns: slice) -> Any:
        return rows.map_blocks(
            _predict_rows,
            # One task for all blocks of rows, however large the weights are.
            fitted=dask.delayed(fitted.of(columns), traverse=False, pure=False),
            chunks=(rows.chunks[0], columns.stop - columns.start),
            dtype=dtype,
            meta=np.empty((0, 0), dtype),
        )

    columns = [slice(first, min(first + TARGETS, q)) for first in range(0, q, TARGETS)]
    return dask.array.concatenate([some(part) for part in columns], axis=1)


def _predict_rows(x: np.ndarray, fitted: Fitted) -> np.ndarray:
    return fitted.predict(x)
