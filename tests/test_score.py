"""score.py: against SciPy and scikit-learn, by properties, at chance, and the words of its refusals."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from neurodecode import brain, labels, score

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def samples(values, stimulus=None, **coords):
    values = np.asarray(values)
    stimulus = [f"i{i}" for i in range(len(values))] if stimulus is None else list(stimulus)
    coords = {"sample": [f"s{i}" for i in range(len(values))], "stimulus": ("sample", stimulus)} | coords
    return xr.DataArray(values, dims=("sample", "feature"), coords=coords)


def pair(n=12, p=6, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, p))
    return samples(true + noise * rng.normal(size=(n, p))), samples(true)


def pair_for(name, seed=0):
    """Return predictions and true features that the score takes: one-hot ones for accuracy."""
    predicted, true = pair(seed=seed)
    return (predicted, samples(np.eye(6)[np.arange(12) % 6])) if name == "accuracy" else (predicted, true)


SIMPLE = {
    "profile": score.profile,
    "pattern": score.pattern,
    "r2": score.r2,
    "pairwise": score.pairwise,
    "accuracy": score.accuracy,
}


# ------------------------------------------------------------------------------------------ against others
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_profile_is_scipys_pearson_over_samples(kind):
    predicted, true = (a.astype(kind) for a in pair())
    expected = [stats.pearsonr(p, t)[0] for p, t in zip(predicted.values.T, true.values.T, strict=True)]
    found = score.profile(predicted, true)
    np.testing.assert_allclose(found, expected, atol=1e-6 if kind == np.float32 else 1e-12)
    assert found.dims == ("feature",)
    assert found.attrs == {"score": "profile", "chance": 0.0, "units": "Pearson r"}


def test_pattern_is_scipys_pearson_over_features():
    predicted, true = pair()
    expected = [stats.pearsonr(p, t)[0] for p, t in zip(predicted.values, true.values, strict=True)]
    found = score.pattern(predicted, true)
    np.testing.assert_allclose(found, expected)
    assert found.dims == ("sample",)
    assert found.stimulus.values.tolist() == true.stimulus.values.tolist()


def test_correlations_are_signed_and_bounded():
    _, true = pair()
    np.testing.assert_allclose(score.profile(-3 * true + 1, true), -1)
    np.testing.assert_allclose(score.pattern(2 * true - 5, true), 1)
    for seed in range(20):
        _, true = pair(seed=seed)
        assert (abs(score.profile(true * 1.1, true)) <= 1).all()


def test_correlations_bear_a_large_offset():
    predicted, true = pair()
    np.testing.assert_allclose(
        score.profile(predicted + 1e7, true - 1e7), score.profile(predicted, true), atol=1e-7
    )


def test_r2_is_scikit_learns():
    predicted, true = pair()
    expected = metrics.r2_score(true.values, predicted.values, multioutput="raw_values")
    np.testing.assert_allclose(score.r2(predicted, true), expected)
    np.testing.assert_allclose(score.r2(true, true), 1)
    mean = true.mean("sample").broadcast_like(true).transpose(*true.dims)
    np.testing.assert_allclose(score.r2(samples(mean.values), true), 0, atol=1e-12)


@quick
@given(seeds, st.booleans())
def test_auc_is_scikit_learns_also_with_ties(seed, ties):
    rng = np.random.default_rng(seed)
    true = np.stack([rng.permutation([0, 0, 0, 1, 1, 1, 1, 0]) for _ in range(3)], axis=1)
    predicted = rng.normal(size=true.shape)
    predicted = np.round(predicted) if ties else predicted
    found = score.auc(samples(predicted), samples(true))
    expected = [metrics.roc_auc_score(t, p) for t, p in zip(true.T, predicted.T, strict=True)]
    np.testing.assert_allclose(found, expected)
    assert found.attrs == {"score": "auc", "chance": 0.5, "units": "AUC"}
    np.testing.assert_allclose(score.auc(samples(predicted), samples(true * 7.0 - 2)), expected)


def test_accuracy_is_scikit_learns():
    rng = np.random.default_rng(3)
    classes = np.arange(32) % 4
    predicted = rng.normal(size=(32, 4)) + np.eye(4)[classes]
    found = score.accuracy(samples(predicted), samples(np.eye(4)[classes]))
    assert 0.3 < found.mean() < 1
    assert found.mean() == metrics.accuracy_score(classes, predicted.argmax(axis=1))
    assert found.attrs["chance"] == 0.25


def test_chance_of_accuracy_is_what_naming_the_commonest_class_reaches():
    classes = np.array([0, 0, 0, 0, 1])
    always_first = samples(np.tile([1.0, 0.0], (5, 1)))
    found = score.accuracy(always_first, samples(np.eye(2)[classes]))
    assert found.mean() == found.attrs["chance"] == 0.8


def test_accuracy_refuses_graded_features():
    with pytest.raises(ValueError, match="one-hot features, one a class, but 12 of 12 samples are not"):
        score.accuracy(*pair())


def correlation_table(predicted, candidates):
    return np.array([[stats.pearsonr(p, c)[0] for c in candidates.values] for p in predicted.values])


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_is_scikit_learns(k):
    predicted, true = pair(n=15, noise=2.0)
    table = correlation_table(predicted, true)
    expected = metrics.top_k_accuracy_score(np.arange(15), table, k=k)
    found = score.named(f"top{k}").function(predicted, true)
    assert 0 < expected < 1
    assert found.mean() == pytest.approx(expected)
    assert found.attrs == {"score": f"top{k}", "chance": k / 15, "units": "proportion", "candidates": 15}


def test_pairwise_is_the_loop_over_pairs():
    predicted, true = pair(n=9, noise=2.0)
    table = correlation_table(predicted, true)
    expected = [np.mean([table[i, i] > table[i, j] for j in range(9) if j != i]) for i in range(9)]
    np.testing.assert_allclose(score.pairwise(predicted, true), expected)


def test_noise_ceiling_is_the_correlation_with_the_signal_of_simulated_trials():
    """Averages of n simulated trials correlate with their true signal as the ceiling says."""
    rng = np.random.default_rng(0)
    for ncsnr, n in ((0.5, 1), (0.5, 3), (2.0, 3)):
        signal = ncsnr * rng.normal(size=200_000)
        mean = signal + rng.normal(size=signal.size) / np.sqrt(n)
        assert score.noise_ceiling(ncsnr, n=n) == pytest.approx(stats.pearsonr(signal, mean)[0], abs=0.005)
    labelled = xr.DataArray([0.0, 1.0], dims="voxel", coords={"voxel": ["a", "b"]})
    np.testing.assert_allclose(score.noise_ceiling(labelled, n=1).sel(voxel="b"), np.sqrt(0.5))
    # A ratio below 0 is none: the sign was lost in its square.
    np.testing.assert_array_equal(score.noise_ceiling(np.array([-0.5, np.nan]), n=3), [0.0, np.nan])
    with pytest.raises(ValueError, match="at least 1 trial, got 0"):
        score.noise_ceiling(1.0, n=0)


# ------------------------------------------------------------------------------------------ properties
@pytest.mark.parametrize("name", SIMPLE)
@quick
@given(seed=seeds)
def test_samples_moved_with_their_labels_change_nothing(name, seed):
    predicted, true = pair_for(name, seed=seed)
    order = np.random.default_rng(seed).permutation(12)
    found, moved = (f(predicted, true) for f in (SIMPLE[name], lambda p, t: SIMPLE[name](p[order], t[order])))
    if "sample" in found.dims:
        moved = moved.sel(sample=found.sample)
    np.testing.assert_allclose(moved, found, atol=1e-12)


@pytest.mark.parametrize("name", [*SIMPLE, "top1"])
def test_axes_in_any_order_and_lazy_values_give_the_same(name):
    predicted, true = pair_for(name)
    found = score.named(name).function(predicted, true)
    np.testing.assert_array_equal(score.named(name).function(predicted.T, true.T), found)
    pytest.importorskip("dask.array")
    np.testing.assert_array_equal(score.named(name).function(predicted.chunk(), true.chunk()), found)


@pytest.mark.parametrize(
    ("name", "trials"),
    [("profile", 40), ("pattern", 40), ("pairwise", 40), ("top1", 60), ("top5", 40), ("auc", 40)],
)
def test_random_predictions_score_at_the_chance_that_is_carried(name, trials):
    """Within four standard errors of the mean over independent draws."""
    means = []
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        true = rng.normal(size=(20, 8))
        true = (true > np.median(true, axis=0)).astype(float) if name == "auc" else true
        found = score.named(name).function(samples(rng.normal(size=(20, 8))), samples(true))
        means.append(float(found.mean()))
    assert abs(np.mean(means) - found.attrs["chance"]) < 4 * np.std(means) / np.sqrt(trials)


def test_perfect_predictions_reach_the_top():
    for name in ("profile", "pattern", "r2", "pairwise", "accuracy", "top1", "top5"):
        _, true = pair_for(name)
        np.testing.assert_allclose(score.named(name).function(true * 1.0, true), 1, err_msg=name)


# ------------------------------------------------------------------------------------------ ties and constants
def test_equal_candidates_share_the_places_that_they_tie_for():
    centre = np.array([[1.0, 2, 3, 5], [1, 2, 3, 5], [4, 1, 0, 2], [0, 5, 1, 1]])
    candidates = brain.features(centre, stimulus=list("abcd"))
    predicted = samples(centre[:1] * 2, stimulus=["b"])
    for k, expected in ((1, 0.5), (2, 1.0), (3, 1.0)):
        assert score.top_k(predicted, candidates, k=k).item() == expected
    constant = samples(np.ones((1, 4)), stimulus=["b"])
    assert score.top_k(constant, candidates, k=1).item() == 0.25
    assert score.top_k(constant, candidates, k=3).item() == 0.75


def test_ties_count_half_in_pairs():
    true = samples(np.array([[1.0, 2, 3, 5], [1, 2, 3, 5], [4, 1, 0, 2]]))
    assert score.pairwise(true, true).values.tolist() == [0.75, 0.75, 1.0]
    flat = samples(np.zeros((3, 4)))
    assert score.pairwise(flat, true).values.tolist() == [0.5, 0.5, 0.5]


def test_what_does_not_vary_has_no_correlation_and_no_r2():
    predicted, true = pair()
    true = true.copy()
    true[:, 2] = 0.1
    assert np.flatnonzero(np.isnan(score.profile(predicted, true))).tolist() == [2]
    assert np.flatnonzero(np.isnan(score.r2(predicted, true))).tolist() == [2]
    flat = predicted.copy()
    flat[:, 1] = 1 / 3
    assert score.profile(flat, pair()[1]).values[1] == 0


# ------------------------------------------------------------------------------------------ repeats and candidates
def test_repeats_of_a_stimulus_are_no_rivals():
    rng = np.random.default_rng(5)
    table = brain.features(rng.normal(size=(3, 6)), stimulus=list("abc"))
    trials = brain.fmri(np.zeros((5, 1)), sample=range(5), stimulus=list("caabc"))
    true = labels.match(table, trials)
    assert score.pairwise(true, true).values.tolist() == [1.0] * 5
    found = score.named("top1").function(true, true)
    assert found.values.tolist() == [1.0] * 5
    assert found.attrs["chance"] == pytest.approx(1 / 3)


def test_any_set_of_candidates_answers_any_label():
    rng = np.random.default_rng(6)
    centres = brain.features(rng.normal(size=(10, 6)), stimulus=[f"c{i}" for i in range(10)])
    right = ["c3", "c0", "c9"]
    predicted = samples(centres.sel(stimulus=right).values)
    true = predicted.assign_coords(concept=("sample", right))
    found = score.against(centres, k=2, answer="concept")(predicted, true)
    assert found.values.tolist() == [1.0] * 3
    assert found.attrs["chance"] == 0.2
    assert score.named(score.against(centres, k=2, answer="concept")).name == "top2"
    wrong = true.assign_coords(concept=("sample", ["c4", "c4", "c4"]))
    assert score.against(centres, answer="concept")(predicted, wrong).sum() == 0


def test_candidates_are_checked():
    predicted, true = pair(n=4)
    candidates = (
        true.drop_vars("stimulus").rename(sample="stimulus").assign_coords(stimulus=true.stimulus.values)
    )
    with pytest.raises(
        ValueError, match=r"2 of 4 samples have a 'stimulus' that is no candidate, first 'i2'; add"
    ):
        score.top_k(predicted, candidates.isel(stimulus=[0, 1]))
    with pytest.raises(ValueError, match="identification needs at least 2 candidates, got 1; add others"):
        score.top_k(predicted[:1], candidates[:1])
    with pytest.raises(ValueError, match="candidates has 1 duplicate 'stimulus'"):
        score.top_k(predicted, candidates.isel(stimulus=[0, 1, 2, 3, 0]))
    with pytest.raises(ValueError, match="top-4 needs more than 4 candidates, there are 4"):
        score.top_k(predicted, candidates, k=4)
    with pytest.raises(ValueError, match="predictions have 6 features but candidates 5; use the same space"):
        score.top_k(predicted, candidates.isel(feature=slice(5)))
    with pytest.raises(ValueError, match="predictions has no coordinate 'concept'"):
        score.top_k(predicted, candidates, answer="concept")
    with pytest.raises(ValueError, match="true features has no coordinate 'concept'"):
        score.against(candidates, answer="concept")(predicted, true)
    with pytest.raises(ValueError, match="candidates has 1 NaN"):
        score.top_k(predicted, candidates.where(candidates != candidates[0, 0]))


# ------------------------------------------------------------------------------------------ refusals
@pytest.mark.parametrize("name", [*SIMPLE, "auc"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_on_both_sides(name, bad):
    predicted, true = pair()
    spoilt = predicted.copy()
    spoilt[3, 1] = bad
    with pytest.raises(ValueError, match=r"predictions has .* of 72 values.*first at sample s3, feature 1"):
        score.named(name).function(spoilt, true)
    with pytest.raises(ValueError, match="true features has"):
        score.named(name).function(true, spoilt)


@pytest.mark.parametrize("name", [*SIMPLE, "auc"])
def test_rows_of_other_labels_or_order_are_refused(name):
    predicted, true = pair()
    function = score.named(name).function
    with pytest.raises(
        ValueError, match=r"predictions and true features disagree on 2 of 12 'sample'.*other order"
    ):
        function(predicted.isel(sample=[1, 0, *range(2, 12)]), true)
    with pytest.raises(ValueError, match="predictions has 11 'sample' labels and true features has 12"):
        function(predicted[1:], true)
    with pytest.raises(ValueError, match=r"predictions have shape \(12, 5\) but true features \(12, 6\)"):
        function(predicted[:, 1:], true)
    with pytest.raises(ValueError, match=r"predictions needs the dimension\(s\) 'feature'"):
        function(predicted[:, 0], true)
    with pytest.raises(TypeError, match="true features must be a labelled"):
        function(predicted, true.values)
    if name != "auc":
        named_features = [
            a.assign_coords(feature=list(order)) for a, order in ((predicted, "abcdef"), (true, "bacdef"))
        ]
        with pytest.raises(ValueError, match="disagree on 2 of 6 'feature' labels"):
            function(*named_features)


def test_answers_of_shuffled_samples_are_refused():
    predicted, true = pair()
    with pytest.raises(ValueError, match="disagree on 2 of 12 'sample'"):
        score.named("top1").function(predicted.drop_vars("stimulus").isel(sample=[1, 0, *range(2, 12)]), true)


@pytest.mark.parametrize(
    ("name", "n", "p", "words"),
    [
        ("profile", 2, 4, "at least 3 test samples, got 2"),
        ("pattern", 4, 2, "at least 3 features, got 2"),
        ("r2", 1, 4, "at least 2 test samples, got 1"),
        ("accuracy", 4, 1, "at least 2 features, got 1"),
        ("pairwise", 1, 4, "at least 2 different stimuli"),
        ("pairwise", 4, 2, "at least 3 features, got 2; try 'accuracy'"),
        ("top1", 4, 2, "at least 3 features, got 2; try 'accuracy'"),
        ("top1", 1, 4, "at least 2 different stimuli in the test part, got 1: 'i0'"),
        ("top5", 5, 4, "top-5 needs more than 5 candidates, there are 5; give a k from 1 to 4, such as k=1"),
    ],
)
def test_too_little_to_score_is_refused(name, n, p, words):
    with pytest.raises(ValueError, match=words):
        score.named(name).function(*pair(n, p))


def test_a_block_of_a_dask_array_names_its_feature_as_in_the_whole(monkeypatch):
    pytest.importorskip("dask.array")
    monkeypatch.setattr(score, "BLOCK", 2)
    true = samples(np.tile([[0.0], [1.0]], (3, 5)))
    assert "feature" not in score.auc(true.chunk(), true).coords
    true[:, 3] = 1.0
    with pytest.raises(ValueError, match="feature 3 has 1 over 6 samples"):
        score.auc(true.chunk(), true)
    named = true.assign_coords(feature=list("abcde"))
    with pytest.raises(ValueError, match="feature 'd' has 1 over 6 samples"):
        score.auc(named, named.chunk())


def test_auc_needs_two_values():
    predicted, true = pair(n=4, p=2)
    binary = samples([[0, 1], [1, 1], [0, 1], [1, 1]])
    with pytest.raises(ValueError, match=r"exactly two values.*feature 0 has 4 over 4 samples.*'profile'"):
        score.auc(predicted, true)
    with pytest.raises(ValueError, match="feature 1 has 1 over 4 samples.*folds that hold both classes"):
        score.auc(predicted, binary)


def test_identification_needs_stimuli():
    predicted, true = (a.drop_vars("stimulus") for a in pair())
    for name in ("pairwise", "top1"):
        with pytest.raises(ValueError, match="true features has no coordinate 'stimulus'"):
            score.named(name).function(predicted, true)


# ------------------------------------------------------------------------------------------ names
@pytest.mark.parametrize("wrong", ["pearson", "top0", "top", "top-1", "topk", "", None, ["r2"], 3])
def test_an_unknown_score_names_the_allowed(wrong):
    with pytest.raises(
        ValueError, match=r"unknown score .*'profile', 'pattern', 'r2', 'top1', 'top5', 'top<k>', 'pair"
    ):
        score.named(wrong)


def test_every_name_that_is_listed_exists():
    for name in score.NAMES:
        made = score.named(name.replace("<k>", "3"))
        assert made.name == name.replace("<k>", "3")


def test_a_function_is_a_score():
    def mine(predicted, true):
        return abs(predicted - true).mean("feature")

    predicted, true = pair()
    assert score.named(mine).name == "mine"
    xr.testing.assert_identical(score.named(mine).function(predicted, true), mine(predicted, true))


def test_one_stimulus_has_one_row_of_true_features():
    # The first stood for its stimulus, so that the score hung on the order of the samples.
    true = xr.DataArray(
        np.eye(4), {"sample": range(4), "stimulus": ("sample", ["a", "b", "b", "c"])}, ("sample", "feature")
    )
    words = "1 of 4 samples have other .* stimulus 'b' has feature 1 = 1 at sample 1 and 0 at sample 2"
    for function in (score.pairwise, score.against(k=1)):
        with pytest.raises(ValueError, match=words):
            function(true, true)
    # A model's rounding, in batches of other sizes, makes no other row.
    rounded = true.copy(data=np.where(np.arange(16).reshape(4, 4) % 2, 1e-7, 0.0) + np.eye(4)[[0, 1, 1, 3]])
    assert score.pairwise(rounded, rounded).mean() == 1
