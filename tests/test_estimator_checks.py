"""Scikit-learn's own checks of its conventions, and what users build from them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from neurodecode import RidgeDecoder, RidgeEncoder

ESTIMATORS = [
    RidgeDecoder(),
    RidgeEncoder(),
    RidgeDecoder(intercept="penalised", standardise=False),
    RidgeEncoder(alpha=[0.1, 1.0]),
    RidgeDecoder(n_voxels=1),
]


def excused(estimator: object) -> dict[str, str]:
    """Name the checks that are expected to fail, and say why."""
    return {
        # fit(responses, features) and fit(features, responses) are public names, and say what the arguments are;
        # the check looks for the letters X and y. By position everything works.
        "check_fit_score_takes_y": "fit's arguments are named responses and features, not X and y",
    }


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=excused)
def test_scikit_learns_conventions(estimator, check):
    check(estimator)


def numbers(seed: int = 0, n: int = 40, p: int = 6, q: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * rng.uniform(0.5, 3.0, p)
    return x, x @ rng.normal(size=(p, q)) + rng.normal(size=(n, q))


@pytest.mark.parametrize("kind", [RidgeDecoder, RidgeEncoder])
def test_parameters_survive_clone_get_and_set(kind):
    given = {
        "alpha": [1.0, 2.0],
        "standardise": False,
        "intercept": "penalised",
        "folds": "run",
        "all_errors": True,
        "device": "cuda",
    }
    own = {"bands": "layer", "n_candidates": 9, "seed": 3}
    given |= {"n_voxels": 7} if kind is RidgeDecoder else own
    made = kind(**given)
    assert clone(made).get_params() == made.get_params() == given
    assert made.set_params(alpha=3.0).alpha == 3.0
    with pytest.raises(ValueError, match="lambda"):
        made.set_params(**{"lambda": 1.0})
    fitted = kind().fit(*numbers())
    assert not hasattr(clone(fitted), "alpha_")


def test_numpy_in_gives_numpy_out():
    x, y = numbers()
    decoder = RidgeDecoder(alpha=2.0).fit(x, y)
    assert type(decoder.predict(x)) is np.ndarray
    assert type(decoder.weights_) is np.ndarray
    assert decoder.weights_.shape == (6, 2)
    assert decoder.predict(x).shape == (40, 2)
    assert RidgeDecoder().fit(x, y[:, 0]).predict(x).shape == (40,)
    assert RidgeDecoder().fit(x.astype(np.float32), y).predict(x.astype(np.float32)).dtype == np.float32
    assert RidgeDecoder().fit(x.tolist(), y.tolist()).n_features_in_ == 6


def test_a_pipeline_and_a_grid_search_agree_with_those_of_sklearns_ridge():
    x, y = numbers()
    grid = [0.1, 1.0, 10.0, 100.0]
    ours = make_pipeline(StandardScaler(), RidgeDecoder(standardise=False))
    theirs = make_pipeline(StandardScaler(), Ridge())
    np.testing.assert_allclose(
        cross_val_score(ours, x, y, cv=4), cross_val_score(theirs, x, y, cv=4), rtol=1e-9
    )
    search = GridSearchCV(ours, {"ridgedecoder__alpha": grid}, cv=4).fit(x, y)
    other = GridSearchCV(theirs, {"ridge__alpha": grid}, cv=4).fit(x, y)
    assert search.best_params_["ridgedecoder__alpha"] == other.best_params_["ridge__alpha"]
    np.testing.assert_allclose(search.predict(x), other.predict(x), rtol=1e-9)
    assert search.score(x, y) == pytest.approx(other.score(x, y))


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_numpy_is_refused_at_fit_and_predict(which, value):
    x, y = numbers()
    good = RidgeDecoder().fit(x, y)
    (x if which == "x" else y)[3, 1] = value
    with pytest.raises(ValueError, match="NaN|infinity"):
        RidgeDecoder().fit(x, y)
    if which == "x":
        with pytest.raises(ValueError, match="NaN|infinity"):
            good.predict(x)
