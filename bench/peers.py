"""The other libraries, set up to solve exactly the same problems.

Where a library refuses the problem as shipped it is patched here, in the smallest way, and the report says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

FASTL2LIR = Path(__file__).parents[1] / ".venv-fastl2lir/bin/python"


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


def has_fastl2lir() -> bool:
    """Whether the environment that bench/fastl2lir_peer.py describes is there."""
    return FASTL2LIR.exists()


def fastl2lir_weights(
    x: np.ndarray, y: np.ndarray, *, alpha: float, n_voxels: int, threads: int
) -> tuple[np.ndarray, float]:
    """Weights (p, q), each target on its own most correlated predictors, penalised intercept; seconds of the fit.

    In a process of its own, with another numpy; loading data and libraries is not timed.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", x)
        np.save(Path(folder) / "y.npy", y)
        script = Path(__file__).with_name("fastl2lir_peer.py")
        command = [str(FASTL2LIR), str(script), folder, str(alpha), str(n_voxels), str(threads)]
        # BLAS may use as many threads as it is told to in there.
        free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        said = subprocess.run(command, check=True, capture_output=True, text=True, env=free).stdout
        return np.load(Path(folder) / "w.npy"), float(json.loads(said.splitlines()[-1])["seconds"])


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
