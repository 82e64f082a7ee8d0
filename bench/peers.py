"""The other libraries, set up to solve exactly the same problems.

Where a library refuses the problem as shipped it is patched here, in the smallest way, and the report says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def sklearn_ridge_cv(x: np.ndarray, y: np.ndarray, alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (p, q) and one alpha per target by exact leave-one-out."""
    from sklearn.linear_model import RidgeCV

    fitted = RidgeCV(alphas=alphas, alpha_per_target=True).fit(x, y)
    return fitted.coef_.T, fitted.alpha_


def himalaya_ridge_cv(
    x: np.ndarray, y: np.ndarray, alphas: np.ndarray, folds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (p, q) and one alpha per target by unshuffled folds."""
    from himalaya.ridge import RidgeCV
    from sklearn.model_selection import KFold

    fitted = RidgeCV(alphas=alphas, fit_intercept=True, cv=KFold(folds)).fit(x, y)
    return fitted.coef_, fitted.best_alphas_


def fastl2lir_weights(x: np.ndarray, y: np.ndarray, alpha: float, n_voxels: int) -> np.ndarray:
    """Weights (p, q), each target on its own most correlated predictors, penalised intercept."""
    from fastl2lir import FastL2LiR

    model = FastL2LiR(verbose=False)
    model.fit(x, y, alpha=alpha, n_feat=n_voxels)
    return model.W


def sliding(train: np.ndarray, y: np.ndarray, test: np.ndarray, alpha: float) -> np.ndarray:
    """Predictions (sample, window, target) of one z-scored ridge per window; data are (sample, predictor, window)."""
    from mne.decoding import SlidingEstimator

    return _patched(SlidingEstimator)(_pipeline(alpha), verbose="error").fit(train, y).predict(test)


def generalising(train: np.ndarray, y: np.ndarray, test: np.ndarray, alpha: float) -> np.ndarray:
    """Predictions (sample, train window, test window, target)."""
    from mne.decoding import GeneralizingEstimator

    return _patched(GeneralizingEstimator)(_pipeline(alpha), verbose="error").fit(train, y).predict(test)


def _pipeline(alpha: float) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge(alpha))


def _patched(estimator: type) -> type:
    """As shipped, mne's estimators refuse a target with two dimensions; let it pass."""

    class Patched(estimator):  # type: ignore[misc,valid-type]
        def _check_data(self, epochs_data: Any, *, y: Any = None, **settings: Any) -> Any:
            return super()._check_data(epochs_data, y=y, multi_output=True, **settings)

    return Patched
