"""What decode and sweep share: every score has its own chance, and what cannot work is refused before the first fit."""

import numpy as np
import pytest
import xarray as xr
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import neurodecode as nd


class Untouched(BaseEstimator):
    """A decoder that must never be fitted."""

    def fit(self, responses, features):
        raise AssertionError("a fit began")


def noise(n=60, voxels=12, *, seed=0, names=None, **labels):
    names = [f"i{i}" for i in range(n)] if names is None else names
    values = np.random.default_rng(seed).normal(size=(n, voxels))
    return nd.brain.fmri(values, sample=np.arange(n), stimulus=names, roi=["V1"] * voxels, **labels)


def embedding(n=60, p=6, *, offset=0.0):
    values = np.random.default_rng(9).normal(size=(n, p)) + offset * np.arange(p)
    return nd.brain.features(values, stimulus=[f"i{i}" for i in range(n)])


def classes(n, count):
    return nd.brain.features(np.eye(count)[np.arange(n) % count], stimulus=[f"i{i}" for i in range(n)])


RIDGE = nd.RidgeDecoder(alpha=100.0)


def test_spaces_keep_their_own_chance():
    spaces = {"two": classes(60, 2), "ten": classes(60, 10)}
    found = nd.spatial.decode(noise(), spaces, RIDGE, folds=3, score="accuracy")
    np.testing.assert_allclose(found["chance"].sel(layer="two"), 0.5)
    np.testing.assert_allclose(found["chance"].sel(layer="ten"), 0.1)
    assert "chance" not in found.attrs
    same = nd.spatial.decode(noise(), spaces["two"], RIDGE, folds=3, score="accuracy")
    assert same.attrs["chance"] == 0.5


def test_subjects_keep_their_own_chance_in_any_order_and_in_tests():
    sizes = {"a": 30, "b": 6, "c": 6, "d": 6, "e": 6, "f": 6}
    people = {}
    for i, (name, size) in enumerate(sizes.items()):
        split = ["test"] * size + ["train"] * (60 - size)
        values = np.random.default_rng(i).normal(size=(60, 4, 20))
        people[name] = nd.brain.meeg(
            values, sample=np.arange(60), stimulus=[f"i{k}" for k in range(60)], channel=list("ABCD"),
            time=np.arange(20) / 100, split=split,
        )  # fmt: skip
    found = nd.temporal.sweep(people, embedding(), RIDGE, width=0.05, step=0.05)
    chance = {s: found["chance"].sel(subject=s).values for s in people}
    np.testing.assert_allclose(chance["a"], 1 / 30)
    np.testing.assert_allclose(chance["b"], 1 / 6)
    turned = nd.temporal.sweep(dict(reversed(people.items())), embedding(), RIDGE, width=0.05, step=0.05)
    xr.testing.assert_equal(turned.sel(subject=list(people)), found)
    assert not nd.inference.clusters(found)["significant"].any(), "noise"
    summary = nd.inference.group(found)
    np.testing.assert_allclose(summary["chance"], (1 / 30 + 5 / 6) / 6)


def test_noise_with_a_mean_pattern_is_not_above_its_chance():
    people = {str(i): noise(seed=i) for i in range(6)}
    spaces = {"mean 0": embedding(), "mean 5": embedding(offset=5.0)}
    found = nd.spatial.decode(people, spaces, RIDGE, folds=3, score="pattern")
    raised = found.sel(layer="mean 5")
    assert raised.mean() > 0.9
    assert abs(raised - raised["chance"]).mean() < 0.05
    assert not nd.inference.above_chance(found)["significant"].any()


def test_chance_survives_the_file(tmp_path):
    found = nd.spatial.decode(
        noise(), {"two": classes(60, 2), "ten": classes(60, 10)}, RIDGE, folds=3, score="accuracy"
    )
    nd.save(found, tmp_path / "score.nc")
    xr.testing.assert_identical(nd.load(tmp_path / "score.nc"), found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"score": "top1", "by": "feature", "folds": 3}, "'top1' has no value per feature"),
        (
            {"score": "auc", "folds": 3},
            "subject '1', feature space 'features', fold 'fold 1': auc needs features of exactly",
        ),
        ({"score": "accuracy", "folds": 3}, "subject '1'.*one-hot"),
        (
            {"score": "profile", "train": np.arange(58), "test": np.arange(58, 60)},
            "at least 3 test samples, got 2",
        ),
        ({"score": "top70", "folds": 3}, "top-70 needs more than 70 candidates"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_the_first_fit(options, words):
    with pytest.raises(ValueError, match=words):
        nd.spatial.decode(noise(), embedding(), Untouched(), **options)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (
            "profile",
            "fold 'stimulus=i0': 'profile' needs at least 2 different stimuli.*got 1: 'i0', in 4 samples",
        ),
        ("r2", "'r2' needs at least 2 different stimuli in the test part, got 1"),
        (nd.score.profile, "'profile' needs at least 2 different stimuli in the test part, got 1"),
        (
            "pairwise",
            "needs at least 2 different stimuli in the test part, got 1: 'i0'; test more of them at once",
        ),
        (
            "top1",
            "fold 'stimulus=i0': identification needs at least 2 different stimuli.*, got 1: 'i0'; test more",
        ),
        ("auc", "auc needs features of exactly two values"),
    ],
)
def test_one_stimulus_left_out_cannot_be_scored_over_stimuli(score, words):
    names = [f"i{k}" for k in range(15)]
    repeated = noise(names=np.repeat(names, 4))
    with pytest.raises(ValueError, match=words):
        nd.spatial.decode(repeated, embedding(15), Untouched(), folds="stimulus", score=score)
    epochs = repeated.drop_vars("roi").rename(voxel="channel").expand_dims(time=np.arange(20) / 100, axis=2)
    epochs = epochs.assign_coords(channel=[f"E{k}" for k in range(12)])
    with pytest.raises(ValueError, match=words):
        nd.temporal.sweep(epochs, embedding(15), Untouched(), folds="stimulus", score=score)


def test_one_stimulus_left_out_is_scored_where_a_score_is_over_features_or_features_vary():
    repeated = noise(names=np.repeat([f"i{k}" for k in range(15)], 4))
    found = nd.spatial.decode(repeated, embedding(15), RIDGE, folds="stimulus", score="pattern")
    assert np.isfinite(found).all()
    each = np.random.default_rng(1).normal(size=(60, 6))  # features of every trial, such as where one looked
    trials = xr.DataArray(each, {"sample": repeated["sample"].values}, ("sample", "feature"))
    found = nd.spatial.decode(repeated, trials, RIDGE, folds="stimulus", score="profile")
    assert np.isfinite(found).all()


def test_features_that_never_vary_within_a_test_part_are_refused():
    kinds = np.repeat(["face", "house", "shoe", "cat"], 15)
    responses = noise(session=kinds)
    same = nd.brain.features(np.eye(4)[np.repeat(np.arange(4), 15)], stimulus=responses.stimulus.values)
    words = r"subject '1': 'profile' is undefined \(NaN\) in all 4 feature spaces and folds"
    with pytest.raises(ValueError, match=words):
        nd.spatial.decode(responses, same, Untouched(), folds="session")
    # A dead layer beside a living one has no score, as before.
    found = nd.spatial.decode(responses, {"dead": 0 * same, "own": embedding()}, RIDGE, folds=3)
    assert np.isnan(found.sel(layer="dead")).all()
    assert np.isfinite(found.sel(layer="own")).all()
    # Nor is a score of one's own that is NaN for what is perfect, as signal over noise is.
    with np.errstate(invalid="ignore", divide="ignore"):
        found = nd.spatial.decode(
            responses,
            embedding(),
            RIDGE,
            folds=3,
            score=lambda p, t: 0 * (p - t).std("sample") / (p - t).std(),
        )
    assert (found == 0).all()


def test_classes_that_were_never_trained_are_refused():
    kinds = np.repeat(["face", "house", "shoe", "cat"], 15)
    responses = noise(names=kinds, run=np.tile(np.arange(3), 20))
    one_hot = nd.brain.one_hot(responses)
    with pytest.raises(
        ValueError, match="1 of 4 classes are tested but never trained: 'face'.*shared='stimulus'"
    ):
        nd.spatial.decode(responses, one_hot, Untouched(), folds=4, score="accuracy")
    found = nd.spatial.decode(responses, one_hot, RIDGE, folds="run", score="accuracy", shared="stimulus")
    assert found.attrs["chance"] == 0.25


@pytest.mark.parametrize(
    "bare",
    [
        Ridge(),
        RidgeCV(),
        make_pipeline(nd.prepare.ZScore(), Ridge()),
        GridSearchCV(make_pipeline(Ridge()), {}),
        MultiOutputRegressor(Ridge()),
        BaggingRegressor(),
        {"features": Ridge()},
        type("KernelRidge", (BaseEstimator,), {"__module__": "himalaya.kernel_ridge._sklearn_api"})(),
    ],
    ids=str,
)
def test_estimators_of_bare_arrays_are_refused_before_any_work(bare, monkeypatch):
    def untouched(*_, **__):
        raise AssertionError("a fit began")

    monkeypatch.setattr(Ridge, "fit", untouched)
    monkeypatch.setattr(RidgeCV, "fit", untouched)
    words = r"^\w+ of (sklearn|himalaya) cannot be fitted here: .*RidgeDecoder or RidgeEncoder"
    responses = noise()
    epochs = responses.drop_vars("roi").rename(voxel="channel").expand_dims(time=np.arange(20) / 100, axis=2)
    epochs = epochs.assign_coords(channel=[f"E{k}" for k in range(12)])
    one = bare["features"] if isinstance(bare, dict) else bare
    for call in (
        lambda: nd.spatial.decode(responses, embedding(), bare, folds=3),
        lambda: nd.temporal.sweep(epochs, embedding(), bare, folds=3),
        lambda: nd.temporal.patterns(epochs, embedding(), bare, train=np.arange(60)),
        lambda: nd.encoding.score(responses, embedding(), bare, folds=3),
        lambda: nd.encoding.partition(responses, {"a": embedding(), "b": embedding()}, one, folds=3),
        lambda: nd.spatial.map_bootstrap(one, responses, embedding()),
        lambda: nd.spatial.map_permutation(one, responses, embedding()),
        lambda: nd.selection.best_features(responses, embedding(), bare, train=np.arange(60)),
    ):
        with pytest.raises(TypeError, match=words):
            call()


def test_a_search_a_pipeline_and_a_class_around_such_an_estimator_are_fitted():
    class Labelled(BaseEstimator):
        """A scikit-learn model taught labels, as docs/extend.md does it."""

        def __init__(self, estimator):
            self.estimator = estimator

        def fit(self, responses, features):
            self.known_ = nd.labels.match(features, responses)
            self.fitted_ = clone(self.estimator).fit(responses.values, self.known_.values)
            return self

        def predict(self, responses):
            samples = {k: v for k, v in responses.coords.items() if v.dims == ("sample",)}
            return xr.DataArray(self.fitted_.predict(responses.values), samples, ("sample", "feature"))

    expected = nd.spatial.decode(noise(), embedding(), Labelled(Ridge(alpha=50.0)), folds=3)
    assert np.isfinite(expected).all()
    pipeline = make_pipeline(FunctionTransformer(), Labelled(Ridge(alpha=50.0)))
    np.testing.assert_allclose(nd.spatial.decode(noise(), embedding(), pipeline, folds=3), expected)
    one_row_a_sample = nd.labels.match(embedding(), noise())
    search = GridSearchCV(RIDGE, {"alpha": [100.0]})
    np.testing.assert_allclose(
        nd.spatial.decode(noise(), one_row_a_sample, search, folds=3),
        nd.spatial.decode(noise(), one_row_a_sample, RIDGE, folds=3),
    )


def test_more_predictors_than_a_window_has_are_refused_before_the_first_fit():
    epochs = nd.brain.meeg(
        np.random.default_rng(0).normal(size=(60, 3, 20)), sample=np.arange(60), channel=list("ABC"),
        stimulus=[f"i{i}" for i in range(60)], time=np.arange(20) / 100,
    )  # fmt: skip
    decoder = Untouched()
    decoder.n_voxels = 16
    with pytest.raises(ValueError, match=r"n_voxels=16 but 1 of 1 windows .*the narrowest, 5 samples \(15\)"):
        nd.temporal.sweep(epochs, embedding(), decoder, folds=3, width=0.05, scheme="shrinking")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (np.zeros((60, 12)), TypeError, "not a ndarray"),
        (xr.Dataset({"beta": noise(), "t": noise()}), TypeError, "not a Dataset"),
        ([], ValueError, "there is no subject"),
        ({}, ValueError, "there is no subject"),
        (noise() + 1j, ValueError, "real numbers, got dtype complex128"),
        (noise().assign_coords(feature=("sample", np.arange(60))), ValueError, "a coordinate 'feature'"),
    ],
)
def test_responses_of_another_kind_are_refused(given, error, words):
    with pytest.raises(error, match=words):
        nd.spatial.decode(given, embedding(), Untouched(), folds=3)


def test_what_training_and_test_share_is_in_the_provenance():
    kinds = np.tile(["face", "house", "shoe"], 20)
    responses = noise(names=kinds, run=np.repeat(np.arange(4), 15))
    one_hot = nd.brain.one_hot(responses)
    found = nd.spatial.decode(responses, one_hot, RIDGE, folds="run", score="accuracy", shared="stimulus")
    plan = nd.store.provenance(found)["parameters"]["plan"]
    assert plan["shared"] == ["stimulus"]
    assert plan["folds"] == "run"


def test_a_decoder_with_a_fit_of_its_own_keeps_it_for_several_spaces():
    fitted = []

    class Own(nd.RidgeDecoder):
        def fit(self, responses, features):
            fitted.append(features.sizes["feature"])
            return super().fit(responses, features)

    rng = np.random.default_rng(0)
    names = [f"img_{i}" for i in range(30)]
    responses = nd.brain.fmri(
        rng.normal(size=(30, 6)),
        sample=names,
        stimulus=names,
        roi=["V1"] * 6,
        split=["train"] * 20 + ["test"] * 10,
    )
    spaces = {f"Linear-{q}": nd.brain.features(rng.normal(size=(30, q)), stimulus=names) for q in (3, 4)}
    nd.spatial.decode(responses, spaces, Own(), regions=["V1"], train="train", test="test")
    assert fitted == [3, 4]
