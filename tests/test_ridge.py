"""The labelled estimators: labels in, labels out, and every mistake named."""

from __future__ import annotations

import tracemalloc
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neurodecode as nd

LAYERS = ["low"] * 3 + ["high"] * 2


def brain(seed: int = 0, n: int = 40, p: int = 12, **options: object) -> tuple[xr.DataArray, xr.DataArray]:
    """Simulated responses to n stimuli, and the features that they mix, stored in another order."""
    rng = np.random.default_rng(seed)
    names = np.array([f"img_{i:03d}" for i in range(n)])
    truth = rng.normal(size=(n, 5))
    values = truth @ rng.normal(size=(5, p)) + rng.normal(size=(n, p)) + rng.normal(size=p) * 4
    responses = nd.brain.fmri(
        values, sample=[f"trial_{i:03d}" for i in range(n)], stimulus=names, run=np.arange(n) // 10,
        roi=[f"V{i % 3 + 1}" for i in range(p)], units="%", **options,
    )  # fmt: skip
    order = rng.permutation(n)
    return responses, nd.brain.features(truth[order], stimulus=names[order], layer=LAYERS)


def matrices(responses: xr.DataArray, features: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    return responses.values, features.sel(stimulus=responses.stimulus.values).values


def pipeline(alpha: float):
    return make_pipeline(StandardScaler(), Ridge(alpha=alpha, solver="svd"))


# ---------------------------------------------------------------- labels in, labels out


def test_a_decoder_matches_stimuli_by_label_and_puts_the_labels_back():
    responses, features = brain()
    x, y = matrices(responses, features)
    decoder = nd.RidgeDecoder(alpha=3.0).fit(responses[:30], features)
    predicted = decoder.predict(responses[30:])
    model = pipeline(3.0).fit(x[:30], y[:30])
    np.testing.assert_allclose(predicted.values, model.predict(x[30:]), rtol=1e-8)
    assert predicted.dims == ("sample", "feature")
    assert predicted.stimulus.values.tolist() == responses.stimulus.values[30:].tolist()
    assert predicted.layer.values.tolist() == LAYERS
    weights = decoder.weights_
    assert weights.dims == ("voxel", "feature")
    np.testing.assert_allclose(
        weights.values, model[-1].coef_.T / model[0].scale_[:, None], rtol=1e-6, atol=1e-12
    )
    assert weights.roi.values.tolist() == responses.roi.values.tolist()
    assert weights.attrs["units"] == "a.u. per %"
    assert decoder.alpha_.dims == ("feature",)
    assert decoder.alpha_.values.tolist() == [3.0] * 5


def test_an_encoder_predicts_responses_and_their_labels():
    responses, features = brain()
    x, y = matrices(responses, features)
    encoder = nd.RidgeEncoder(alpha=3.0).fit(features, responses)
    model = pipeline(3.0).fit(y, x)
    predicted = encoder.predict(features)
    assert predicted.dims == ("stimulus", "voxel")
    assert predicted.attrs["units"] == "%"
    np.testing.assert_allclose(predicted.values, model.predict(features.values), rtol=1e-8)
    assert encoder.weights_.dims == ("feature", "voxel")
    assert encoder.weights_.roi.values.tolist() == responses.roi.values.tolist()
    assert encoder.alpha_.dims == ("voxel",)


def test_epochs_keep_channel_and_time():
    rng = np.random.default_rng(1)
    names = [f"i{i}" for i in range(30)]
    epochs = nd.brain.meeg(
        rng.normal(size=(30, 4, 6)),
        sample=names,
        stimulus=names,
        channel=list("abcd"),
        time=np.arange(6) / 100,
    )
    features = nd.brain.features(rng.normal(size=(30, 3)), stimulus=names)
    decoder = nd.RidgeDecoder(alpha=5.0).fit(epochs, features)
    flat = epochs.values.reshape(30, -1)
    np.testing.assert_allclose(
        decoder.predict(epochs).values, pipeline(5.0).fit(flat, features.values).predict(flat), rtol=1e-8
    )
    assert decoder.weights_.dims == ("channel", "time", "feature")
    assert decoder.weights_.shape == (4, 6, 3)
    encoder = nd.RidgeEncoder(alpha=5.0).fit(features, epochs)
    assert encoder.predict(features).dims == ("stimulus", "channel", "time")
    np.testing.assert_allclose(
        encoder.predict(features).values.reshape(30, -1),
        pipeline(5.0).fit(features.values, flat).predict(features.values),
        rtol=1e-8,
    )
    with pytest.raises(ValueError, match="one dimension"):
        next(encoder.weight_blocks())


def test_the_order_of_dimensions_does_not_matter():
    responses, features = brain(n=20, p=20)
    expected = nd.RidgeDecoder().fit(responses, features).predict(responses)
    per_sample = features.sel(stimulus=responses.stimulus.values).drop_vars("stimulus")
    per_sample = per_sample.rename(stimulus="sample").assign_coords(sample=responses.sample.values)
    for r, f in [(responses.T, features), (responses, features.T), (responses.T, per_sample.T)]:
        decoder = nd.RidgeDecoder().fit(r, f)
        xr.testing.assert_allclose(decoder.predict(responses.T), expected)
        encoder = nd.RidgeEncoder().fit(f, r)
        xr.testing.assert_allclose(
            encoder.predict(features.T), nd.RidgeEncoder().fit(features, responses).predict(features)
        )


def test_repeats_share_their_stimulus_features():
    responses, features = brain(n=20)
    repeated = nd.brain.fmri(
        np.vstack([responses.values, responses.values + 0.1]),
        sample=np.arange(40),
        stimulus=np.tile(responses.stimulus.values, 2),
    )
    x, y = repeated.values, features.sel(stimulus=repeated.stimulus.values).values
    found = nd.RidgeDecoder(alpha=2.0).fit(repeated, features).predict(repeated)
    np.testing.assert_allclose(found.values, pipeline(2.0).fit(x, y).predict(x), rtol=1e-8)


def test_one_alpha_per_feature_by_leave_one_out_and_by_runs():
    responses, features = brain(n=40)
    x, y = matrices(responses, features)
    grid = np.logspace(-1, 4, 11)
    z = StandardScaler().fit_transform(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoder = nd.RidgeDecoder(alpha=grid[::-1]).fit(responses, features)
        by_run = nd.RidgeDecoder(alpha=grid, folds="run").fit(responses, features)
        by_splitter = nd.RidgeDecoder(alpha=grid, folds=KFold(4)).fit(responses, features)
        in_numpy = nd.RidgeDecoder(alpha=grid, folds=KFold(4)).fit(x, y)
    model = RidgeCV(alphas=grid, alpha_per_target=True).fit(z, y)
    np.testing.assert_array_equal(decoder.alpha_.values, model.alpha_)
    assert decoder.alpha_.layer.values.tolist() == LAYERS
    # Runs are ten samples each, in order: leaving one out is KFold(4), and scikit-learn's own loop gives the errors.
    errors = np.zeros((grid.size, 5))
    for train, test in LeaveOneGroupOut().split(x, groups=responses.run.values):
        for a, alpha in enumerate(grid):
            errors[a] += np.sum(
                (pipeline(alpha).fit(x[train], y[train]).predict(x[test]) - y[test]) ** 2, axis=0
            )
    for found in (by_run.alpha_.values, by_splitter.alpha_.values, in_numpy.alpha_):
        np.testing.assert_array_equal(found, grid[errors.argmin(axis=0)])


@pytest.mark.parametrize(("n", "p"), [(20, 25), (20, 10), (60, 60), (80, 200)])
def test_the_least_error_of_two_valleys_is_found(n, p):
    """Where predictors are about as many as samples, leave-one-out errors often have two minima."""
    rng = np.random.default_rng(714)
    grid, x = np.logspace(-2, 6, 17), rng.normal(size=(n, p))
    y = x[:, :1] * rng.uniform(0, 0.5, 1000) + rng.normal(size=(n, 1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # alphas at the edge
        found = nd.RidgeDecoder(grid, standardise=False).fit(x, y)
    expected = RidgeCV(grid, alpha_per_target=True).fit(x, y)
    assert (found.alpha_ == expected.alpha_).mean() > 0.998
    np.testing.assert_allclose(found.errors_.min(axis=0), -expected.best_score_, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_computed_has_no_less(dtype):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 320)).astype(dtype)
    y = (x[:, :1] * rng.uniform(0, 0.5, 500) + rng.normal(size=(300, 500))).astype(dtype)
    grid = np.logspace(-2, 6, 17)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        some, every = (nd.RidgeDecoder(grid, all_errors=a).fit(x, y) for a in (False, True))
    assert 2 < np.isfinite(some.errors_).sum(axis=0).mean() < 8
    np.testing.assert_allclose(some.errors_.min(axis=0), every.errors_.min(axis=0), rtol=1e-5)


def test_folds_by_number_keep_repeats_of_a_stimulus_together():
    responses, features = brain(n=12)
    repeated = xr.concat([responses, responses], dim="sample").assign_coords(sample=np.arange(24))
    pairs = nd.RidgeDecoder(alpha=[1.0, 2.0], folds=3)._pairs(repeated)
    assert len(pairs) == 3
    for train, test in pairs:
        assert not set(repeated.stimulus.values[train]) & set(repeated.stimulus.values[test])


def test_float32_in_gives_float32_out():
    responses, features = brain()
    decoder = nd.RidgeDecoder(n_voxels=4).fit(responses.astype(np.float32), features)
    assert decoder.predict(responses.astype(np.float32)).dtype == np.float32
    assert decoder.weights_.dtype == np.float32
    assert (
        nd.RidgeDecoder().fit(responses, features.astype(np.float32)).predict(responses).dtype == np.float64
    )


# ---------------------------------------------------------------- weights, sparse and in blocks


@pytest.mark.parametrize("k", [None, 3])
@pytest.mark.parametrize("size", [1, 2, 512])
def test_blocks_are_the_weights(k, size):
    responses, features = brain()
    decoder = nd.RidgeDecoder(n_voxels=k).fit(responses, features)
    blocks = list(decoder.weight_blocks(size=size))
    assert len(blocks) == -(-5 // size)
    xr.testing.assert_identical(xr.concat(blocks, dim="feature"), decoder.weights_)
    x, y = matrices(responses, features)
    scaled = xr.concat(list(decoder.weight_blocks(size=size, units="standardised")), dim="feature")
    np.testing.assert_allclose(
        scaled.values, decoder.weights_.values * x.std(0)[:, None] / y.std(0), rtol=1e-9
    )
    assert scaled.attrs["units"] == "SD of target per SD of predictor"
    with pytest.raises(ValueError, match=r"unknown units 'z'.*'original', 'standardised'"):
        next(decoder.weight_blocks(units="z"))


def test_selected_is_boolean_and_says_which_voxels():
    responses, features = brain()
    x, y = matrices(responses, features)
    selected = nd.RidgeDecoder(n_voxels=3).fit(responses, features).selected_.toarray()
    assert selected.dtype == bool
    r = np.abs(np.corrcoef(x.T, y.T)[:12, 12:])
    for j in range(5):
        assert set(np.flatnonzero(selected[:, j])) == set(np.argsort(r[:, j])[-3:])
    assert nd.RidgeDecoder().fit(responses, features).selected_.toarray().all()


def test_a_selecting_fit_and_its_prediction_stay_sparse():
    rng = np.random.default_rng(2)
    names = np.arange(30)
    responses = nd.brain.fmri(rng.normal(size=(30, 400)), sample=names, stimulus=names)
    features = nd.brain.features(rng.normal(size=(30, 6_000)).astype(np.float32), stimulus=names)
    tracemalloc.start()
    decoder = nd.RidgeDecoder(n_voxels=2).fit(responses, features)
    decoder.predict(responses)
    nd.spatial.weight_map(decoder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 17e6  # dense float64 weights alone are 19 MB
    assert decoder.selected_.nnz == 12_000


# ---------------------------------------------------------------- score


def test_score_is_sklearns_r2_on_rows_matched_by_label():
    responses, features = brain()
    x, y = matrices(responses, features)
    decoder = nd.RidgeDecoder(alpha=3.0).fit(responses[:30], features)
    model = pipeline(3.0).fit(x[:30], y[:30])
    assert decoder.score(responses[30:], features) == pytest.approx(model.score(x[30:], y[30:]), rel=1e-9)
    encoder = nd.RidgeEncoder(alpha=3.0).fit(features, responses[:30])
    other = pipeline(3.0).fit(y[:30], x[:30])
    assert encoder.score(features, responses[30:]) == pytest.approx(other.score(y[30:], x[30:]), rel=1e-9)
    # Shuffled rows are still matched by label, never by position.
    shuffled = responses[30:].isel(sample=[3, 1, 0, 2, 9, 8, 7, 6, 5, 4])
    assert encoder.score(features, shuffled) == pytest.approx(other.score(y[30:], x[30:]), rel=1e-9)
    with pytest.raises(ValueError, match="disagree on 12 of 12 'voxel'"):
        encoder.score(features, shuffled.isel(voxel=slice(None, None, -1)))


def test_shuffled_labels_predict_nothing():
    scores = []
    for seed in range(8):
        responses, features = brain(seed, n=120)
        rng = np.random.default_rng(seed + 100)
        wrong = features.assign_coords(stimulus=rng.permutation(features.stimulus.values))
        for given, into in ((features, "right"), (wrong, "wrong")):
            predicted = nd.RidgeDecoder(alpha=10.0).fit(responses[:90], given).predict(responses[90:])
            true = given.sel(stimulus=predicted.stimulus.values).values
            r = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.values.T, true.T, strict=True)]
            scores.append((into, np.mean(r)))
    assert abs(np.mean([s for w, s in scores if w == "wrong"])) < 0.1
    assert np.mean([s for w, s in scores if w == "right"]) > 0.7


# ---------------------------------------------------------------- constants and edges


def test_constant_voxels_and_features():
    responses, features = brain()
    responses[:, 4] = 0.1
    features[:, 1] = 0.7
    for k in (None, 5):
        decoder = nd.RidgeDecoder(n_voxels=k).fit(responses, features)
        assert not decoder.weights_[4].any()
        assert not decoder.weights_[:, 1].any()
        assert not decoder.selected_.toarray()[4].any() or k is None
        np.testing.assert_allclose(decoder.predict(responses)[:, 1], 0.7)
    with pytest.raises(ValueError, match="only 11 of 12 vary"):
        nd.RidgeDecoder(n_voxels=12).fit(responses, features)


def test_a_warning_where_the_best_alpha_lies_at_the_edge():
    responses, features = brain()
    with pytest.warns(
        UserWarning, match=r"edge for 5 of 5 targets \(0 at the smallest.*5 at the largest, 0.01\)"
    ):
        nd.RidgeDecoder(alpha=[1e-4, 1e-3, 1e-2]).fit(responses, features)
    features[:, :] = 0.7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nd.RidgeDecoder(alpha=[1e-4, 1e-3, 1e-2]).fit(responses, features)  # constant targets say nothing
        nd.RidgeDecoder(alpha=1e-4).fit(responses, features)


# ---------------------------------------------------------------- bad input, before any work


@pytest.mark.parametrize("alpha", [0, -1.0, [1.0, 0.0], np.nan, np.inf, []])
@pytest.mark.parametrize("kind", [nd.RidgeDecoder, nd.RidgeEncoder])
def test_alpha_must_be_positive(alpha, kind):
    responses, features = brain()
    pair = (responses, features) if kind is nd.RidgeDecoder else (features, responses)
    with pytest.raises(ValueError, match="alpha must be a number > 0"):
        kind(alpha=alpha).fit(*pair)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"intercept": "none"}, r"unknown intercept 'none'.*'centre', 'penalised'"),
        ({"n_voxels": 0}, "n_voxels must be a whole number from 1 to 12"),
        ({"n_voxels": 13}, "n_voxels must be a whole number from 1 to 12"),
        ({"n_voxels": 2.5}, "n_voxels must be a whole number"),
        ({"n_voxels": True}, "n_voxels must be a whole number.*got True"),
        ({"n_voxels": 2, "alpha": [1.0, 2.0]}, "needs folds"),
        ({"alpha": [1.0, 2.0], "folds": "session"}, "no sample coordinate"),
        ({"alpha": [1.0, 2.0], "folds": 1}, "folds=1 must be from 2"),
    ],
)
def test_settings_that_cannot_be_fitted(options, words):
    with pytest.raises(ValueError, match=words):
        nd.RidgeDecoder(**options).fit(*brain())


def test_what_predict_would_refuse_is_refused_at_fit_and_an_empty_array_at_predict():
    responses, features = brain()
    units = np.empty(5, dtype=object)
    units[:] = [[0], [1, 1], [2], [3], [4]]
    for estimator, odd in ((nd.RidgeDecoder(alpha=1.0), 1), (nd.RidgeEncoder(alpha=1.0), 0)):
        pair = [responses, features] if odd else [features, responses]
        pair[odd] = features.assign_coords(unit=("feature", units))
        with pytest.raises(ValueError, match="5 of 5 labels 'unit' of features are no single text or number"):
            estimator.fit(*pair)
        pair[odd] = features.assign_coords(unit=("feature", [object() for _ in range(5)]))
        with pytest.raises(ValueError, match="5 of 5 labels 'unit' of features are no single text or number"):
            estimator.fit(*pair)
    decoder = nd.RidgeDecoder(alpha=1.0).fit(responses, features)
    with pytest.raises(ValueError, match="responses are empty: .*'sample': 0.* give at least one sample"):
        decoder.predict(responses[:0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_at_fit_and_predict(value):
    responses, features = brain()
    decoder, encoder = nd.RidgeDecoder().fit(responses, features), nd.RidgeEncoder().fit(features, responses)
    bad = responses.copy()
    bad[3, 7] = value
    worse = features.copy()
    worse[2, 1] = value
    kind = "1 NaN and 0 infinite" if np.isnan(value) else "0 NaN and 1 infinite"
    with pytest.raises(ValueError, match=rf"responses has {kind} of 480 .* sample trial_003, voxel 7"):
        nd.RidgeDecoder().fit(bad, features)
    with pytest.raises(ValueError, match=f"responses has {kind}"):
        decoder.predict(bad)
    with pytest.raises(ValueError, match=f"features has {kind}"):
        nd.RidgeDecoder().fit(responses, worse)
    with pytest.raises(ValueError, match=f"features has {kind}"):
        encoder.predict(worse)


def test_labels_that_do_not_fit():
    responses, features = brain()
    with pytest.raises(ValueError, match=r"lack 2 of the 40 stimuli"):
        nd.RidgeDecoder().fit(responses, features.sel(stimulus=responses.stimulus.values[2:]))
    with pytest.raises(ValueError, match="duplicate 'stimulus'"):
        nd.RidgeDecoder().fit(responses, features.isel(stimulus=[0, 0, *range(1, 40)]))
    with pytest.raises(ValueError, match="duplicate 'sample'"):
        nd.RidgeDecoder().fit(responses.isel(sample=[0, 0, 1]), features)
    with pytest.raises(TypeError, match=r"features must be a labelled xarray\.DataArray"):
        nd.RidgeDecoder().fit(responses, features.values)
    with pytest.raises(ValueError, match="needs the dimension"):
        nd.RidgeDecoder().fit(responses, features.rename(feature="unit_"))


def test_a_voxel_axis_that_differs_between_fit_and_predict():
    responses, features = brain()
    decoder = nd.RidgeDecoder().fit(responses, features)
    with pytest.raises(ValueError, match="12 'voxel' labels and .* has 11"):
        decoder.predict(responses.isel(voxel=slice(11)))
    with pytest.raises(ValueError, match="disagree on 12 of 12 'voxel' labels, first at position 0"):
        decoder.predict(responses.isel(voxel=slice(None, None, -1)))
    with pytest.raises(ValueError, match="needs the dimension"):
        decoder.predict(responses.rename(voxel="vertex_"))
    with pytest.raises(ValueError, match="one dimension of samples"):
        decoder.predict(responses.expand_dims("window"))
    encoder = nd.RidgeEncoder().fit(features, responses)
    with pytest.raises(ValueError, match="4 along 'feature', the fit had 5"):
        encoder.predict(features.isel(feature=slice(4)))
    with pytest.raises(
        ValueError, match=r"'layer' of 2 of 5 features, first at position 0: 'low' against 'high'"
    ):
        encoder.predict(features.assign_coords(layer=("feature", ["high", "low", "low", "low", "high"])))
    with pytest.raises(ValueError, match="'unit' of 2 of 5 features, first at position 0: 0 against 1"):
        encoder.predict(features.isel(feature=[1, 0, 2, 3, 4]))
    with pytest.raises(ValueError, match="no coordinate 'layer'"):
        encoder.predict(features.drop_vars("layer"))


def test_use_before_fit_and_numpy_against_labels():
    responses, features = brain()
    for use in (
        lambda d: d.predict(responses), lambda d: d.weights_, lambda d: next(d.weight_blocks()), lambda d: d.axes(),
        lambda d: d.selected_, lambda d: d.scales(), lambda d: d.score(responses, features),
    ):  # fmt: skip
        with pytest.raises(NotFittedError):
            use(nd.RidgeDecoder())
    plain = nd.RidgeDecoder().fit(*matrices(responses, features))
    with pytest.raises(ValueError, match="fitted on NumPy"):
        plain.predict(responses)
    with pytest.raises(ValueError, match="no labels"):
        next(plain.weight_blocks())
    with pytest.raises(ValueError, match="expecting 12 features"):
        nd.RidgeDecoder().fit(responses, features).predict(responses.values[:, :5])


def test_not_enough_memory_is_said_before_it_is_used(monkeypatch):
    responses, features = brain()
    decoder = nd.RidgeDecoder(n_voxels=3).fit(responses, features)
    dense = nd.RidgeDecoder().fit(responses, features)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=400))
    with pytest.raises(
        MemoryError, match=r"dense weights \(12 x 5\) would need .* GiB .*limit: 80%.*weight_blocks"
    ):
        decoder.weights_  # noqa: B018
    with pytest.raises(MemoryError, match=r"Gram matrix 12 x 12, weights 3 x 5.*fewer voxels"):
        nd.RidgeDecoder(n_voxels=3).fit(responses, features)
    assert sum(b.size for b in decoder.weight_blocks(size=2)) == 60  # what the message advises does work
    assert dense.weights_.shape == (12, 5)  # they are there already


def test_fitting_does_not_change_its_input():
    responses, features = brain()
    before = responses.copy(deep=True), features.copy(deep=True)
    nd.RidgeDecoder(alpha=[1.0, 10.0]).fit(responses, features).predict(responses)
    nd.RidgeDecoder(n_voxels=3, standardise=False, intercept="penalised").fit(responses, features)
    xr.testing.assert_identical(responses, before[0])
    xr.testing.assert_identical(features, before[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": 3.0}, "Cholesky, primal form"),
        ({"alpha": [1.0, 3.0]}, "leave-one-out, primal eigenvectors"),
        ({"n_voxels": 3}, "Cholesky on 3 of 5 predictors, float64"),
    ],
)
def test_a_fit_says_how_it_was_solved(options, said):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 2))
    assert nd.RidgeDecoder(**options).fit(x, y).solver_ == said
    assert nd.RidgeDecoder(n_voxels=3).fit(x[:2], y[:2]).solver_.startswith("dual form on 3 of 5")


# ---------------------------------------------------------------- several feature spaces at once


@pytest.mark.parametrize(
    "decoder",
    [
        nd.RidgeDecoder(3.0),
        nd.RidgeDecoder([0.1, 10.0, 1000.0]),
        nd.RidgeDecoder([0.1, 10.0, 1000.0], folds=4, n_voxels=7),
        nd.RidgeDecoder(3.0, n_voxels=7, standardise=False, intercept="penalised"),
    ],
    ids=["one alpha", "leave-one-out", "selected", "penalised"],
)
@pytest.mark.filterwarnings("ignore:the best alpha lies on the grid's edge")
def test_spaces_fitted_at_once_are_those_fitted_alone(decoder, monkeypatch):
    from sklearn.base import clone

    from neurodecode.solve import fit

    monkeypatch.setattr(fit, "TARGETS", 8)  # blocks reach across spaces
    rng = np.random.default_rng(5)
    names = [f"img_{i:02d}" for i in range(50)]
    responses = nd.brain.fmri(rng.normal(size=(50, 20)), sample=[f"s{n}" for n in names], stimulus=names)
    spaces = {
        f"Linear-{q}": nd.brain.features(
            responses.values @ rng.normal(size=(20, q)) + rng.normal(size=(50, q)), stimulus=names
        )
        for q in (5, 12, 3)
    }
    spaces["Linear-3"] = spaces["Linear-3"][::-1]  # matched by label, each on its own
    together = decoder.fit_spaces(responses, spaces)
    assert list(together) == list(spaces)
    for name, space in spaces.items():
        alone = clone(decoder).fit(responses, space)
        xr.testing.assert_allclose(together[name].weights_, alone.weights_, rtol=1e-9)
        xr.testing.assert_equal(together[name].alpha_, alone.alpha_)
        xr.testing.assert_allclose(together[name].predict(responses), alone.predict(responses), rtol=1e-9)
    assert not hasattr(decoder, "weights_")


def test_spaces_fitted_at_once_share_one_gram_matrix(monkeypatch):
    from neurodecode.solve import fit, selected

    made = []
    for module in (fit, selected):
        inner = module.gram
        monkeypatch.setattr(module, "gram", lambda x, *a, inner=inner: made.append(x.shape) or inner(x, *a))
    rng = np.random.default_rng(6)
    names = [f"img_{i:02d}" for i in range(50)]
    responses = nd.brain.fmri(rng.normal(size=(50, 20)), sample=names, stimulus=names)
    spaces = {n: nd.brain.features(rng.normal(size=(50, 9)), stimulus=names) for n in "abcd"}
    for decoder in (nd.RidgeDecoder(1.0), nd.RidgeDecoder(1.0, n_voxels=10)):
        decoder.fit_spaces(responses, spaces)
    assert made == [(50, 20)] * 2


def test_bad_features_of_one_space_are_named():
    rng = np.random.default_rng(7)
    names = [f"img_{i}" for i in range(9)]
    responses = nd.brain.fmri(rng.normal(size=(9, 4)), sample=names, stimulus=names)
    good = nd.brain.features(rng.normal(size=(9, 2)), stimulus=names)
    with pytest.raises(ValueError, match=r"features 'bad' has 1 NaN"):
        nd.RidgeDecoder().fit_spaces(responses, {"good": good, "bad": good.where(good != good[3, 1])})
    for bad, words in (
        (good * 1e200, "features 'bad' has 18 of 18 values beyond"),
        (good * 1j, "features 'bad' must be real numbers, got dtype complex128"),
        (good[:, :0], "features 'bad' are empty"),
    ):
        with pytest.raises(ValueError, match=words):
            nd.RidgeDecoder().fit_spaces(responses, {"good": good, "bad": bad})
