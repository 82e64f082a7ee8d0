"""Banded ridge against himalaya, our own ridge and plain arithmetic."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

import neurodecode as nd
from neurodecode import bands as banding

himalaya = pytest.importorskip("himalaya")

NAMES = [f"img_{i:02d}" for i in range(60)]
GRID = [0.1, 1.0, 10.0, 100.0, 1000.0]
pytestmark = [
    pytest.mark.filterwarnings("ignore:the best alpha lies on the grid.s edge"),
    pytest.mark.filterwarnings("ignore:y_true has to be zero-mean"),
]


def spaces(sizes=(4, 6), *, seed: int = 0) -> dict[str, xr.DataArray]:
    rng = np.random.default_rng(seed)
    return {
        f"space-{k}": nd.brain.features(rng.normal(size=(60, p)), stimulus=NAMES) for k, p in enumerate(sizes)
    }


def voxels(of: dict[str, xr.DataArray], *, noise: float = 1.0, seed: int = 1) -> xr.DataArray:
    """Five voxels driven by the first space, and five by the last."""
    rng = np.random.default_rng(seed)
    first, last = list(of.values())[0].values, list(of.values())[-1].values
    values = np.concatenate(
        [s @ rng.normal(size=(s.shape[1], 5)) / np.sqrt(s.shape[1]) for s in (first, last)], axis=1
    )
    return nd.brain.fmri(
        values + noise * rng.normal(size=values.shape) + 3.0, sample=NAMES, stimulus=NAMES, subject="s1"
    )


def banded(**options) -> nd.RidgeEncoder:
    return nd.RidgeEncoder(GRID, **({"bands": "layer", "n_candidates": 15} | options))


# ------------------------------------------------------------------------------------------------------- himalaya
@pytest.mark.parametrize("sizes", [(4, 6), (40, 60)], ids=["primal", "dual"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equal_to_himalaya_called_directly(sizes, dtype):
    from himalaya.ridge import BandedRidgeCV

    of = spaces(sizes)
    x = np.concatenate([s.values for s in of.values()], axis=1).astype(dtype)
    y = voxels(of).values.astype(dtype)
    codes = np.repeat([0, 1], sizes)
    options = {"n_iter": 15, "alphas": np.array(GRID, dtype), "progress_bar": False, "warn": False}
    theirs = BandedRidgeCV(
        groups=codes, solver_params=options, fit_intercept=True, cv=KFold(5), random_state=3
    ).fit(x[:50], y[:50])
    ours = banded(bands=codes.astype(str), standardise=False, seed=3).fit(x[:50], y[:50])
    tolerance = 1e-8 if dtype == np.float64 else 2e-3
    np.testing.assert_allclose(ours.weights_, theirs.coef_, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        ours.predict(x[50:]), theirs.predict(x[50:]), rtol=tolerance, atol=10 * tolerance
    )
    np.testing.assert_allclose(
        ours.alpha_, np.exp(-theirs.deltas_), rtol=1e-6 if dtype == np.float64 else 1e-3
    )
    assert ours.predict(x).dtype == dtype


def test_both_forms_find_the_same():
    """With as many samples as predictors either form may solve: himalaya's two searches agree through us."""
    from neurodecode.solve import banded as solver

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 40)), rng.normal(size=(40, 3))
    y += x[:, :3]
    folds = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    asked = solver.BandSettings(np.array(GRID), folds, 10, 0)
    parts = [x[:, :10], x[:, 10:]]
    with solver._numpy_backend():
        one, other = (search(parts, y, asked) for search in (solver._dual, solver._primal))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-8)
    np.testing.assert_allclose(one[1], other[1], atol=1e-8)


def test_split_scores_equal_himalayas():
    """Their split assumes that held-out responses have the training mean; ours says what the difference costs."""
    from himalaya.scoring import r2_score_split

    of = spaces()
    y = voxels(of)
    encoder = banded().fit(of, y[:40])
    parts, found = encoder.predict_bands(of), encoder.score_bands(of, y[40:])
    tested = parts.sel(stimulus=NAMES[40:]).values
    mean = y[:40].values.mean(axis=0)
    true = y[40:].values - mean
    theirs = r2_score_split(true, tested)
    about_own_mean = (true**2).sum(axis=0) / ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(found["share"].values, theirs * about_own_mean, rtol=1e-8, atol=1e-10)
    expected = r2_score(
        y[40:].values, encoder.predict(of).sel(stimulus=NAMES[40:]).values, multioutput="raw_values"
    )
    np.testing.assert_allclose(found["r2"].values, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found["share"].sum("band") + found["offset"], found["r2"], rtol=1e-10)
    assert (found["offset"] <= 0).all()
    n = len(y[40:])
    assert (found["share"].attrs["mean_alone"], found["share"].attrs["test_samples"]) == (0, n)
    ceiling = xr.full_like(found["r2"], 0.5)
    of_all = nd.ceilings.normalise(found["r2"], ceiling)["normalised"]
    np.testing.assert_allclose(of_all, ((n - 1) * found["r2"] + 1) / n / 0.5)
    of_bands = nd.ceilings.normalise(found["share"], ceiling)["normalised"]
    np.testing.assert_allclose(of_bands, (n - 1) / n * found["share"] / 0.5)
    np.testing.assert_allclose(parts.sum("band") + mean, encoder.predict(of), rtol=1e-8, atol=1e-8)


def test_himalayas_backend_is_as_before():
    from himalaya.backend import get_backend, set_backend

    torch = pytest.importorskip("torch")
    assert torch is not None
    set_backend("torch")
    try:
        of = spaces()
        banded().fit(of, voxels(of))
        assert get_backend().name == "torch"
    finally:
        set_backend("numpy")


# ------------------------------------------------------------------------------------------------------- our ridge
@pytest.mark.parametrize("p", [8, 90])
def test_one_band_equals_our_ridge(p):
    of = spaces((p,))
    y = voxels(of)
    plain = nd.RidgeEncoder(GRID, standardise=False, folds=5).fit(of["space-0"], y)
    one = banded(standardise=False).fit(of, y)
    np.testing.assert_allclose(one.weights_.values, plain.weights_.values, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(one.alpha_.values[0], plain.alpha_.values, rtol=1e-12)
    assert one.alpha_.dims == ("band", "voxel")
    fixed = nd.RidgeEncoder(7.0, bands="layer").fit(of, y)
    np.testing.assert_allclose(
        fixed.predict(of), nd.RidgeEncoder(7.0).fit(of["space-0"], y).predict(of["space-0"]), rtol=1e-8
    )


def test_penalties_are_those_of_a_ridge_on_scaled_bands():
    """The weights solve |y - sum X_k w_k|^2 + sum lambda_k |w_k|^2 with the lambdas that alpha_ names."""
    of = spaces()
    y = voxels(of)
    encoder = banded(standardise=False).fit(of, y)
    x = np.concatenate([s.values for s in of.values()], axis=1)
    x = x - x.mean(axis=0)
    for v in range(y.sizes["voxel"]):
        penalty = np.repeat(encoder.alpha_.values[:, v], [4, 6])
        right = x.T @ (y.values[:, v] - y.values[:, v].mean())
        expected = np.linalg.solve(x.T @ x + np.diag(penalty), right)
        np.testing.assert_allclose(encoder.weights_.values[:, v], expected, rtol=1e-6, atol=1e-9)


# ------------------------------------------------------------------------------------------------- labels and bands
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_labels_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    of = spaces((3, 5))
    y = voxels(of)
    whole = nd.brain.stack(of)
    mixed = whole.isel(feature=rng.permutation(8), stimulus=rng.permutation(60))
    encoder, other = banded().fit(whole, y), banded().fit(mixed, y.isel(voxel=rng.permutation(10)))
    expected = encoder.predict(whole.sel(stimulus=NAMES))
    found = other.predict(mixed.sel(stimulus=NAMES))
    np.testing.assert_allclose(found.sel(voxel=expected["voxel"].values), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        other.alpha_.sel(voxel=encoder.alpha_["voxel"].values), encoder.alpha_, rtol=1e-6
    )
    reversed_spaces = dict(reversed(of.items()))
    again = banded().fit(reversed_spaces, y).predict(reversed_spaces)
    np.testing.assert_allclose(again, expected, rtol=1e-6, atol=1e-8)


def test_the_penalty_tells_whose_voxel_it_is():
    of = spaces((30, 30))
    encoder = banded(n_candidates=40).fit(of, voxels(of, noise=0.3))
    less = encoder.alpha_.values
    assert (less[0, :5] < less[1, :5]).all()
    assert (less[1, 5:] < less[0, 5:]).all()


def test_bands_beat_one_penalty_where_a_space_is_large_and_says_nothing():
    of = spaces((5, 400))
    y = voxels({"a": of["space-0"]}, noise=0.7)
    whole = nd.brain.stack(of)
    one = nd.RidgeEncoder(GRID, folds=5).fit(whole, y[:40]).score(whole, y[40:])
    two = banded(n_candidates=30).fit(whole, y[:40]).score(whole, y[40:])
    assert two > one + 0.1


def test_the_same_call_gives_the_same_bytes_and_another_seed_others():
    of = spaces((30, 50))
    y = voxels(of)
    a, b, c = (banded(seed=s).fit(of, y).alpha_.values for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_channels_and_times_are_targets():
    of = spaces()
    rng = np.random.default_rng(2)
    time = np.arange(4) / 100
    values = rng.normal(size=(60, 2, 4)) + of["space-0"].values[:, :2, None]
    epochs = nd.brain.meeg(values, sample=NAMES, stimulus=NAMES, channel=["O1", "O2"], time=time)
    encoder = banded().fit(of, epochs[:40])
    assert encoder.weights_.dims == ("feature", "channel", "time")
    assert encoder.alpha_.dims == ("band", "channel", "time")
    assert encoder.predict(of).dims == ("stimulus", "channel", "time")
    found = encoder.score_bands(of, epochs[40:])
    assert found["share"].dims == ("band", "channel", "time")
    assert (found["share"].sel(band="space-0") > found["share"].sel(band="space-1")).all()


# ------------------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bands": "nothing"}, "no coordinate 'nothing'"),
        ({"bands": ["a", "b"]}, "one name for each of 10 features, got the shape"),
        ({"intercept": "penalised"}, "bands need intercept='centre'"),
        ({"n_candidates": 0}, "n_candidates must be a whole number"),
        ({"all_errors": True}, "all_errors=True goes with one penalty for all features"),
        ({"device": "cuda"}, "device='cuda' goes with one penalty for all features"),
        ({"bands": None}, "this encoder has one penalty for all"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, words):
    of = spaces()
    with pytest.raises(ValueError, match=words):
        banded(**options).fit(of, voxels(of))


def test_numpy_needs_a_name_for_each_feature():
    x = np.random.default_rng(0).normal(size=(30, 4))
    with pytest.raises(ValueError, match="have none; give one name for each of the 4"):
        banded().fit(x, x[:, :2])
    assert banded(bands=["a", "a", "b", "b"]).fit(x, x[:, :2]).alpha_.shape == (2, 2)


def test_an_encoder_without_bands_has_no_parts():
    of = spaces()
    encoder = nd.RidgeEncoder(1.0).fit(of["space-0"], voxels(of))
    with pytest.raises(ValueError, match="fitted without bands"):
        encoder.predict_bands(of["space-0"])


def test_too_little_memory_is_said_before_the_fit(memory_left):
    of = spaces()
    y = voxels(of)
    memory_left(2**14)
    with pytest.raises(MemoryError, match="a ridge with 2 bands of 10 targets on 60 x 10 predictors"):
        banded().fit(of, y)


def test_without_himalaya_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "himalaya", None)
    of = spaces()
    with pytest.raises(ModuleNotFoundError, match=r"neurodecode-toolkit\[bands\]"):
        banded().fit(of, voxels(of))
    nd.RidgeEncoder(1.0).fit(of["space-0"], voxels(of))


def test_himalaya_is_loaded_by_a_fit_alone():
    code = (
        "import sys, numpy as np, neurodecode as nd; nd.RidgeEncoder(1.0, bands='layer'); nd.encoding.partition; "
        "print('himalaya' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_the_estimate_of_memory_bounds_what_a_fit_holds():
    import tracemalloc

    from neurodecode.solve import banded as solver

    rng = np.random.default_rng(0)
    for n, p in ((300, 60), (200, 900)):
        x, y = rng.normal(size=(n, p)), rng.normal(size=(n, 400))
        rows = np.arange(n)
        folds = [(rows[rows % 4 != k], rows[rows % 4 == k]) for k in range(4)]
        asked = solver.BandSettings(np.array(GRID), folds, 4, 0)
        tracemalloc.start()
        solver.fit_banded(x, y, np.arange(p) % 3, asked)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        estimate = solver.bytes_banded((n, p), 400, 3, asked, itemsize=8)
        assert estimate / 6 < peak < estimate


def test_names_are_numbered_by_the_alphabet():
    names, codes = banding.numbered(4, ["z", "a", "z", "c"])
    assert names == ["a", "c", "z"]
    np.testing.assert_array_equal(codes, [2, 0, 2, 1])


def test_scikit_learn_may_clone_and_cross_validate_it():
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5))
    y = x[:, :2] @ rng.normal(size=(2, 3)) + 0.3 * rng.normal(size=(60, 3))
    encoder = banded(bands=["a", "a", "b", "b", "b"], n_candidates=8)
    assert cross_val_score(encoder, x, y, cv=3).min() > 0.7
    with pytest.raises(ValueError, match="Expected 2D array"):
        encoder.fit(x[:, 0], y)


def test_dask_arrays_are_read():
    pytest.importorskip("dask")
    of = spaces()
    y = voxels(of)
    there = banded().fit(of, y.chunk({"voxel": 4}))
    np.testing.assert_allclose(there.weights_, banded().fit(of, y).weights_, rtol=1e-9)
