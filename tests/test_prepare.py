"""What is fitted on training data only: against SciPy and scikit-learn, and never against the test set."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from neurodecode.prepare import MVNN, FeaturePCA, ZScore, zscore_with_test_statistics


def voxels(values: np.ndarray, **coords: object) -> xr.DataArray:
    n, p = values.shape
    own = {"sample": [f"s{i:03d}" for i in range(n)], "voxel": [f"v{i:03d}" for i in range(p)]}
    extra = {k: ("sample", v) for k, v in coords.items()}
    return xr.DataArray(
        values, dims=("sample", "voxel"), coords=own | extra, attrs={"units": "% signal change"}
    )


def epochs(values: np.ndarray, stimulus: object, **coords: object) -> xr.DataArray:
    n, p, t = values.shape
    return xr.DataArray(
        values,
        dims=("sample", "channel", "time"),
        coords={
            "sample": [f"s{i:03d}" for i in range(n)],
            "channel": [f"c{i:02d}" for i in range(p)],
            "time": np.arange(t) / 100.0,
            "stimulus": ("sample", stimulus),
            **{k: ("sample", v) for k, v in coords.items()},
        },
        attrs={"units": "T", "subject": "1"},
    )


def simulated_epochs(
    seed: int, *, conditions: int = 40, repeats: int = 4, p: int = 8, t: int = 10
) -> xr.DataArray:
    """A signal of its own for every condition, and noise that channels share."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((p, p)) + 2 * np.eye(p)
    signal = np.repeat(3.0 * rng.standard_normal((conditions, p, t)), repeats, axis=0)
    noise = np.einsum("pq,nqt->npt", mixing, rng.standard_normal((conditions * repeats, p, t)))
    return epochs(signal + noise, np.repeat([f"i{c:03d}" for c in range(conditions)], repeats))


# ---------------------------------------------------------------- ZScore


@pytest.mark.parametrize("shape", [(30, 7), (30, 5, 6)])
def test_zscore_equals_scipy(shape):
    x = np.random.default_rng(0).standard_normal(shape) * 3 + 2
    array = voxels(x) if x.ndim == 2 else epochs(x, np.arange(30))
    z = ZScore().fit_transform(array)
    np.testing.assert_allclose(z.values, scipy.stats.zscore(x, axis=0), rtol=1e-12, atol=1e-12)
    assert z.dims == array.dims
    assert z.attrs["units"] == "standard deviations"
    assert array.attrs["units"] in ("% signal change", "T")  # the input is left as it was
    xr.testing.assert_identical(z.drop_vars([]).coords.to_dataset(), array.coords.to_dataset())


@pytest.mark.parametrize(
    ("scale", "offset", "dtype", "tolerance"),
    [(1e-13, 0.0, "f4", 1e-5), (1e-13, 3e-12, "f4", 1e-4), (1.0, 1e4, "f4", 5e-3), (1e-3, 1e8, "f8", 2e-4)],
)
def test_zscore_keeps_small_and_far_values(scale, offset, dtype, tolerance):
    """Tesla in float32 and large offsets: what can be told apart at all is told apart."""
    clean = np.random.default_rng(1).standard_normal((200, 20))
    x = (offset + scale * clean).astype(dtype)
    z = ZScore().fit_transform(voxels(x))
    assert z.dtype == np.dtype("f4" if dtype == "f4" else "f8")
    np.testing.assert_allclose(z.values, scipy.stats.zscore(clean, axis=0), atol=tolerance)
    exact = x.astype(np.longdouble)
    exact = (exact - exact.mean(0)) / exact.std(0)
    np.testing.assert_allclose(
        z.values, exact.astype(float), atol=1e-6 if dtype == "f4" else 1e-5
    )  # ulp / sd


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("constant", [0.0, 1e-13, 0.1, 1e6 / 3])
def test_zscore_gives_zero_where_training_is_constant(dtype, constant):
    x = np.random.default_rng(2).standard_normal((50, 4)).astype(dtype)
    x[:, 2] = constant
    x[:, 3] = constant
    x[::2, 3] = np.nextafter(x[0, 3], np.dtype(dtype).type(np.inf))  # one unit in the last place is no signal
    if constant == 0.0:
        x[:, 3] = 0.0
    scaler = ZScore().fit(voxels(x))
    test = voxels(x + 1)
    assert (scaler.transform(test).values[:, 2:] == 0).all()
    assert (scaler.sd_.values[2:] == 0).all()
    assert (scaler.sd_.values[:2] > 0.5).all()
    back = scaler.inverse_transform(scaler.transform(voxels(x)))
    np.testing.assert_allclose(back.values, x, rtol=1e-5 if dtype == "f4" else 1e-12, atol=1e-6)
    assert back.attrs["units"] == "% signal change"


def test_zscore_in_blocks_is_the_same(monkeypatch):
    x = voxels(np.random.default_rng(3).standard_normal((101, 6)))
    whole = ZScore().fit_transform(x)
    monkeypatch.setattr("neurodecode.prepare.rows.BLOCK_BYTES", 8 * 6 * 10)
    np.testing.assert_allclose(ZScore().fit_transform(x).values, whole.values, rtol=1e-12, atol=1e-14)
    lazy = ZScore().fit(x.chunk(sample=7)).transform(x.chunk(sample=7))
    np.testing.assert_allclose(lazy.values, whole.values, rtol=1e-12, atol=1e-14)


def test_zscore_per_session():
    rng = np.random.default_rng(4)
    session = np.array(["b", "a", "c"])[rng.integers(0, 3, 90)]
    x = voxels(rng.standard_normal((90, 5)) + (session == "a")[:, None] * 50, session=session)
    scaler = ZScore(by="session").fit(x)
    z = scaler.transform(x)
    for name in "abc":
        rows = session == name
        np.testing.assert_allclose(z.values[rows], scipy.stats.zscore(x.values[rows], axis=0), atol=1e-12)
    np.testing.assert_allclose(scaler.inverse_transform(z).values, x.values, atol=1e-10)
    with pytest.raises(
        ValueError, match=r"knows session 'a', 'b', 'c' .* 2 row\(s\) are of 'd'; fit on training rows"
    ):
        scaler.transform(x.isel(sample=slice(0, 2)).assign_coords(session=("sample", ["d", "d"])))
    with pytest.raises(ValueError, match="no coordinate 'run'"):
        ZScore(by="run").fit(x)
    with pytest.raises(ValueError, match="only|at least 2 training rows .* got 1 with session 'z'"):
        ZScore(by="session").fit(x.assign_coords(session=("sample", ["z", *["y"] * 89])))


def test_groups_may_be_numbers_beside_text_but_none_may_be_missing():
    x = voxels(np.random.default_rng(4).standard_normal((20, 3)))
    mixed = x.assign_coords(session=("sample", np.array([1, "a"] * 10, dtype=object)))
    z = ZScore(by="session").fit(mixed).transform(mixed)
    np.testing.assert_allclose(z.values[::2], scipy.stats.zscore(x.values[::2], axis=0), atol=1e-12)
    holes = x.assign_coords(session=("sample", [1.0] * 17 + [np.nan] * 3))
    with pytest.raises(
        ValueError, match="3 of 20 rows of the training data of ZScore have no 'session'; give"
    ):
        ZScore(by="session").fit(holes)


def test_zscore_refuses_other_columns():
    x = voxels(np.random.default_rng(5).standard_normal((20, 6)))
    scaler = ZScore().fit(x)
    with pytest.raises(
        ValueError, match="6 of 6 'voxel' labels, first at position 0: 'v005' against 'v000'; .*order"
    ):
        scaler.transform(x.isel(voxel=slice(None, None, -1)))
    with pytest.raises(ValueError, match="5 'voxel' labels and its training data has 6"):
        scaler.transform(x.isel(voxel=slice(0, 5)))
    with pytest.raises(ValueError, match="dimensions"):
        scaler.transform(x.rename(voxel="channel"))
    bare = x.drop_vars("voxel")
    with pytest.raises(ValueError, match="its training data has labels on 'voxel' and the array .* has none"):
        scaler.transform(bare)
    with pytest.raises(ValueError, match="has 4 entries in 'voxel', but its training data had 6"):
        ZScore().fit(bare).transform(bare.isel(voxel=slice(0, 4)))


@pytest.mark.parametrize("make", [ZScore, lambda: MVNN(), lambda: FeaturePCA(2)])
def test_bad_input_is_refused_before_work(make):
    x = simulated_epochs(0, conditions=3).astype("f4")
    x = x.isel(channel=0).rename(time="feature") if isinstance(make(), FeaturePCA) else x
    bad = x.copy()
    bad.values.flat[7] = np.nan
    with pytest.raises(ValueError, match="1 NaN and 0 infinite"):
        make().fit(bad)
    with pytest.raises(ValueError, match="1 NaN and 0 infinite"):
        make().fit(x).transform(bad)
    with pytest.raises(TypeError, match="must be a labelled xarray.DataArray, not ndarray"):
        make().fit(x.values)
    with pytest.raises(ValueError, match="as its first of at least 2 dimensions, but has"):
        make().fit(x.transpose(..., "sample"))
    with pytest.raises(TypeError, match="dtype"):
        make().fit(x.astype(str))
    with pytest.raises(ValueError, match="not fitted"):
        make().transform(x)


def test_estimators_follow_scikit_learn():
    for estimator in (
        ZScore(by="session"),
        MVNN("epoch", shrinkage=0.2, by="run"),
        FeaturePCA(3, whiten=True),
    ):
        copy = clone(estimator)
        assert copy.get_params() == estimator.get_params()
        assert copy is not estimator


def test_the_leaking_option_says_so_and_is_scipys_zscore():
    x = voxels(np.random.default_rng(6).standard_normal((20, 6)) + 5)
    z = zscore_with_test_statistics(x)
    np.testing.assert_allclose(z.values, scipy.stats.zscore(x.values, axis=0), atol=1e-12)
    assert "test" in z.attrs["leak"]
    assert "LEAKS" in (zscore_with_test_statistics.__doc__ or "")


# ---------------------------------------------------------------- no leak


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([0.0, 1.0, 1e6]), which=st.integers(0, 4))
def test_training_rows_do_not_depend_on_test_rows(seed, factor, which):
    rng = np.random.default_rng(seed)
    train = simulated_epochs(seed % 1000, conditions=12, p=4, t=6)
    test = train.copy(data=factor * rng.standard_normal(train.shape)).assign_coords(
        sample=[f"t{i}" for i in range(train.sizes["sample"])]
    )
    if which == 4:
        train, test = (a.isel(channel=0).rename(time="feature") for a in (train, test))
    estimator = [
        ZScore(),
        ZScore(by="split"),
        MVNN(),
        MVNN("epoch", shrinkage=0.1, by="split"),
        FeaturePCA(3, whiten=True),
    ][which]
    train = train.assign_coords(split=("sample", ["train"] * train.sizes["sample"]))
    test = test.assign_coords(split=("sample", ["train"] * test.sizes["sample"]))
    estimator.fit(train)
    alone = estimator.transform(train)
    order = rng.permutation(2 * train.sizes["sample"])
    together = estimator.transform(xr.concat([train, test], "sample").isel(sample=order))
    np.testing.assert_allclose(together.sel(sample=train.sample).values, alone.values, rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------- MVNN


def scikit_covariance(x: np.ndarray) -> np.ndarray:
    """Ledoit and Wolf's estimate (observation, channel) on scaled channels, scaled back, unbiased."""
    scaler = StandardScaler().fit(x)
    shrunk = LedoitWolf().fit(scaler.transform(x)).covariance_
    return np.outer(scaler.scale_, scaler.scale_) * shrunk * len(x) / (len(x) - 1)


@pytest.mark.parametrize("scale", [1.0, 1e-13])
@pytest.mark.parametrize("method", ["time", "epoch"])
def test_mvnn_equals_scikit_learn_and_scipy(method, scale):
    x = simulated_epochs(1, conditions=6, repeats=5, p=7, t=9)
    # unequal numbers of repeats, and a condition shown once that only "epoch" can use
    x = x.isel(sample=np.r_[0:3, 5:26]) * scale
    covariances = []
    for name in np.unique(x.stimulus):
        trials = x.values[x.stimulus.values == name]
        if method == "epoch":
            covariances.append(np.mean([scikit_covariance(t.T) for t in trials], axis=0))
        elif len(trials) > 1:
            covariances.append(np.mean([scikit_covariance(trials[:, :, t]) for t in range(9)], axis=0))
    assert len(covariances) == (6 if method == "epoch" else 5)
    covariance = np.mean(covariances, axis=0)
    model = MVNN(method).fit(x)
    np.testing.assert_allclose(model.covariance_.values, covariance, rtol=1e-10, atol=1e-12 * scale**2)
    whitener = scipy.linalg.fractional_matrix_power(covariance / scale**2, -0.5) / scale
    np.testing.assert_allclose(model.whitener_.values, whitener, rtol=1e-8, atol=1e-10 / scale)
    expected = (x.values.swapaxes(1, 2) @ whitener).swapaxes(1, 2)
    whitened = model.transform(x)
    np.testing.assert_allclose(whitened.values, expected, rtol=1e-7, atol=1e-8)
    assert whitened.attrs["units"] == "noise standard deviations"
    np.testing.assert_allclose(
        model.inverse_transform(whitened).values, x.values, rtol=1e-8, atol=1e-10 * scale
    )


@pytest.mark.parametrize("n", [3, 6, 40])
@pytest.mark.parametrize("p", [5, 12])
def test_ledoit_wolf_amount_on_both_sides_of_n_equal_p(n, p):
    x = np.random.default_rng(n * p).standard_normal((n, p, 3)) * np.linspace(1, 4, p)[:, None]
    expected = np.mean([scikit_covariance(x[:, :, t]) for t in range(3)], axis=0)
    model = MVNN(condition=None).fit(epochs(x, np.arange(n)))
    np.testing.assert_allclose(model.covariance_.values, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("repeats", [2, 4, 20])
def test_mvnn_makes_noise_white_with_variance_one(repeats):
    """Simulated noise of known covariance under signals much larger than it: on new trials it becomes the identity."""
    x = simulated_epochs(2, conditions=1200 // repeats, repeats=repeats)
    model = MVNN("pooled").fit(x)
    rng = np.random.default_rng(2)
    mixing = rng.standard_normal((8, 8)) + 2 * np.eye(8)  # the first draw of simulated_epochs
    whitener = model.whitener_.values
    white = whitener @ mixing @ mixing.T @ whitener
    np.testing.assert_allclose(white, np.eye(8), atol=0.12)  # what is left is shrinkage
    assert np.linalg.norm(mixing @ mixing.T - np.eye(8)) > 5  # it was not so before
    whitener = MVNN("time", shrinkage=0.0).fit(x).whitener_.values
    np.testing.assert_allclose(whitener @ mixing @ mixing.T @ whitener, np.eye(8), atol=0.06)


def test_pooled_equals_scikit_learn():
    x = simulated_epochs(9, conditions=12, repeats=3).isel(sample=slice(1, None))
    residual = (x.groupby("stimulus") - x.groupby("stimulus").mean()).values
    expected = (
        scikit_covariance(residual.swapaxes(1, 2).reshape(-1, 8)) * 349 / 350 * 35 / 23
    )  # 35 less 12 means
    np.testing.assert_allclose(MVNN("pooled").fit(x).covariance_.values, expected, rtol=1e-10)


def test_mvnn_without_repeats_uses_all_samples():
    x = simulated_epochs(3, conditions=60, repeats=1)
    expected = np.mean([scikit_covariance(x.values[:, :, t]) for t in range(10)], axis=0)
    np.testing.assert_allclose(MVNN().fit(x).covariance_.values, expected, rtol=1e-10)


def test_mvnn_with_given_shrinkage_and_one_time_point():
    x = simulated_epochs(4, conditions=30, repeats=3, t=1)
    residual = (x.groupby("stimulus") - x.groupby("stimulus").mean()).values[:, :, 0]
    s = residual.T @ residual / 60  # 90 samples less 30 means
    for amount in (0.0, 0.3, 1.0):
        expected = (1 - amount) * s + amount * np.diag(np.diag(s))
        for array in (x, x.isel(time=0, drop=True)):
            model = MVNN(shrinkage=amount).fit(array)
            np.testing.assert_allclose(model.covariance_.values, expected, rtol=1e-10, atol=1e-12)
            assert model.transform(array).shape == array.shape


def test_mvnn_per_session_float32_and_blocks(monkeypatch):
    a, b = simulated_epochs(5), simulated_epochs(6)
    both = xr.concat([a, b * 10], "sample").assign_coords(
        session=("sample", np.repeat([2, 1], a.sizes["sample"])), sample=np.arange(2 * a.sizes["sample"])
    )
    expected = np.concatenate([MVNN().fit_transform(a).values, MVNN().fit_transform(b * 10).values])
    model = MVNN(by="session").fit(both)
    np.testing.assert_allclose(model.transform(both).values, expected, rtol=1e-9, atol=1e-9)
    assert model.covariance_.dims == ("group", "channel", "channel_other")
    assert MVNN().fit_transform(a.astype("f4")).dtype == np.float32
    with pytest.raises(ValueError, match="knows session 1, 2 from training"):
        model.transform(both.assign_coords(session=both.session + 1))
    monkeypatch.setattr("neurodecode.prepare.rows.BLOCK_BYTES", 8 * 8 * 4 * 3)
    np.testing.assert_allclose(MVNN(by="session").fit_transform(both).values, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["time", "epoch", "pooled"])
@pytest.mark.parametrize("condition", ["stimulus", None])
def test_mvnn_of_epochs_on_disk_reads_a_few_trials_at_a_time(monkeypatch, method, condition):
    pytest.importorskip("dask")
    x = simulated_epochs(8, repeats=3)
    whole = MVNN(method, condition=condition).fit(x)
    monkeypatch.setattr("neurodecode.prepare.rows.BLOCK_BYTES", 5 * 8 * x[0].size)
    lazily = x.chunk(sample=7, time=-1)
    parts = MVNN(method, condition=condition).fit(lazily)
    np.testing.assert_allclose(parts.covariance_.values, whole.covariance_.values, rtol=1e-10)
    np.testing.assert_allclose(parts.transform(lazily).values, whole.transform(x).values, rtol=1e-9)


def test_mvnn_fitted_on_the_baseline_serves_all_times():
    x = simulated_epochs(7)
    model = MVNN().fit(x.sel(time=slice(None, 0.04)))
    assert model.transform(x).shape == x.shape
    with pytest.raises(ValueError, match="8 of 8 'channel' labels"):
        model.transform(x.isel(channel=slice(None, None, -1)))


def test_mvnn_refuses_what_it_cannot_whiten():
    x = simulated_epochs(8, conditions=20)
    with pytest.raises(
        ValueError, match="unknown method of MVNN 'trial'; choose one of 'time', 'epoch', 'pooled'"
    ):
        MVNN("trial").fit(x)
    assert MVNN(shrinkage=np.float32(0.5)).fit(x).whitener_.shape == (8, 8)  # as NumPy gives it
    for wrong in ("oas", -0.1, 2, None, True):
        with pytest.raises(ValueError, match="shrinkage"):
            MVNN(shrinkage=wrong).fit(x)
    flat = x.copy()
    flat[:, 3] = 1e6 / 3
    with pytest.raises(ValueError, match="1 of 8 channels carry no noise .* first 'c03'"):
        MVNN().fit(flat)
    referenced = x - x.mean("channel")
    with pytest.raises(ValueError, match="8 channels has rank 7 only"):
        MVNN(shrinkage=0.0).fit(referenced)
    assert np.isfinite(MVNN(shrinkage=0.1).fit_transform(referenced).values).all()
    mixed = x * xr.DataArray(np.where(np.arange(8) < 4, 1e-13, 1e-4), dims="channel")
    with pytest.raises(ValueError, match="differ too much in size .* each kind of channel by itself"):
        MVNN().fit(mixed)
    with pytest.raises(ValueError, match="at least 2 time points, but got 1"):
        MVNN("epoch").fit(x.isel(time=[0]))
    with pytest.raises(ValueError, match="no coordinate 'concept'"):
        MVNN(condition="concept").fit(x)
    with pytest.raises(ValueError, match=r"must be \(sample, channel, time\)"):
        MVNN().fit(x.rename(channel="voxel"))


# ---------------------------------------------------------------- FeaturePCA


def features(values: np.ndarray, layer: object = "c") -> xr.DataArray:
    n, p = values.shape
    return xr.DataArray(
        values,
        dims=("stimulus", "feature"),
        coords={
            "stimulus": [f"i{i:03d}" for i in range(n)],
            "layer": ("feature", np.broadcast_to(np.asarray(layer), p)),
            "unit": ("feature", np.arange(p)),
            "concept": ("stimulus", np.arange(n) % 3),
        },
        attrs={"units": "a.u.", "model": "simulated"},
    )


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("n_components", [4, 0.8, None])
def test_pca_equals_scikit_learn(n_components, whiten):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 12)) @ rng.standard_normal((12, 12)) + 100
    model = FeaturePCA(n_components, whiten=whiten).fit(features(x))
    reference = PCA(n_components, whiten=whiten, random_state=0).fit(x)
    new = rng.standard_normal((5, 12)) + 100
    out = model.transform(features(new))
    np.testing.assert_allclose(out.values, reference.transform(new), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(out["explained"].values, reference.explained_variance_ratio_, rtol=1e-10)
    back = model.inverse_transform(out)
    np.testing.assert_allclose(back.values, reference.inverse_transform(reference.transform(new)), rtol=1e-8)
    assert out.dims == ("stimulus", "feature")
    assert set(out["layer"].values) == {"c"}
    assert "concept" in out.coords
    assert back.attrs == {"units": "a.u.", "model": "simulated"}
    xr.testing.assert_identical(back.layer, features(new).layer)


def test_pca_of_float32_far_from_zero_and_both_ways():
    rng = np.random.default_rng(1)
    x = (1e4 + rng.standard_normal((40, 6))).astype("f4")
    model = FeaturePCA().fit(features(x, layer=["a"] * 3 + ["b"] * 3))
    out = model.transform(features(x, layer=["a"] * 3 + ["b"] * 3))
    assert out.dtype == np.float32
    assert out["layer"].values[0] == "a+b"
    reference = PCA().fit_transform(x.astype("f8"))
    np.testing.assert_allclose(np.abs(out.values), np.abs(reference), atol=1e-4)
    np.testing.assert_allclose(model.inverse_transform(out).values, x, atol=2e-3)


def test_pca_refuses():
    x = features(np.random.default_rng(2).standard_normal((10, 20)))
    for wrong in (0, 10, 1.5, -1, True):
        with pytest.raises(ValueError, match="10 rows of 20 features allow 1 to 9 components"):
            FeaturePCA(wrong).fit(x)
    assert FeaturePCA().fit_transform(x).sizes["feature"] == 9
    model = FeaturePCA(3).fit(x)
    with pytest.raises(ValueError, match="19 entries in 'feature', but its training data had 20"):
        model.transform(x.isel(feature=slice(0, 19)))
    with pytest.raises(ValueError, match="got 20 components, but 3 were fitted"):
        model.inverse_transform(x)
    with pytest.raises(
        ValueError, match="needs at least 2 rows, as centring takes one, but got 1; give more"
    ):
        FeaturePCA().fit(x[:1])


@pytest.mark.parametrize("make", [ZScore, lambda: FeaturePCA(2)])
def test_features_in_another_order_are_refused(make):
    """They are told apart by layer and unit alone."""
    x = features(np.random.default_rng(2).standard_normal((10, 4)), layer=list("aabb"))
    model = make().fit(x)
    with pytest.raises(
        ValueError, match="features differ from the fit in the 'layer' of 4 of 4 features, first at"
    ):
        model.transform(x[:, ::-1])
    with pytest.raises(
        ValueError, match="features differ from the fit in the 'unit' of 2 of 4 features, first at"
    ):
        model.transform(x[:, [1, 0, 2, 3]])


def test_components_in_another_order_are_refused():
    x = features(np.random.default_rng(2).standard_normal((10, 4)))
    model = FeaturePCA(3).fit(x)
    turned = model.transform(x)[:, ::-1]
    for found in (turned, turned.drop_vars("unit"), turned.drop_vars("feature")):
        with pytest.raises(ValueError, match="fit and components disagree on 2 of 3 .*in another order"):
            model.inverse_transform(found)
    plain = turned[:, ::-1].drop_vars(["unit", "feature"])
    xr.testing.assert_allclose(model.inverse_transform(plain), model.inverse_transform(turned[:, ::-1]))
