"""What a figure may claim: against SciPy, statsmodels and MNE, and on planted truths."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from mne.stats import permutation_cluster_1samp_test
from scipy import stats
from statsmodels.stats.multitest import multipletests

from neurodecode import inference


def scores(seed: int = 0, *, n: int = 8, effect: float = 0.0, chance: float = 0.2) -> xr.DataArray:
    """Simulated accuracy over 30 windows; layer "c" lies above chance from window 10 to 14."""
    rng = np.random.default_rng(seed)
    values = chance + 0.05 * rng.normal(size=(30, 2, n, 3))
    values[10:15, 0] += effect
    return xr.DataArray(
        values, dims=("window", "layer", "subject", "fold"), attrs={"chance": chance, "score": "top1"},
        coords={
            "window": np.arange(30) / 40, "layer": ["c", "z"], "subject": [f"s{i}" for i in range(n)],
            "start": ("window", np.arange(30) / 40 - 0.05), "fold": [1, 2, 3],
        },
    )  # fmt: skip


# ---------------------------------------------------------------- group


@pytest.mark.parametrize(
    "test",
    [
        inference.group,
        inference.above_chance,
        inference.clusters,
        inference.latency,
        inference.with_tests,
        lambda s: inference.compare(s.sel(layer="c"), s.sel(layer="z")),
        lambda s: inference.latency_difference(s.sel(layer="c"), s.sel(layer="z")),
    ],
)
def test_who_is_there_twice_is_not_two_subjects(test):
    one = scores()
    twice = xr.concat([one, one.sel(subject=["s0", "s2"])], dim="subject")
    with pytest.raises(
        ValueError, match="2 duplicate 'subject' .* among 10, first 's0' at positions 0, 8; 'subject' must be"
    ):
        test(twice)


def test_scores_without_a_chance_level_are_not_tested():
    one = scores().mean("fold").drop_attrs()
    levels = xr.where(one["window"] < 0.05, np.nan, 0.2).drop_vars("window")
    with pytest.raises(
        ValueError, match=r"32 of 480 scores have no chance level .* give it, with .assign_coords"
    ):
        inference.above_chance(one.assign_coords(chance=levels))
    # Where there is no score either, there is nothing to refuse.
    inference.above_chance(one.where(one["window"] >= 0.05).assign_coords(chance=levels))


def test_words_count_the_subjects_that_were_tested():
    one = scores().mean("fold", keep_attrs=True)
    found = inference.above_chance(one.where(one["subject"] != "s3"))
    assert found.attrs["test"] == "one-sided t-test over 7 subjects, Benjamini-Hochberg"


def test_group_equals_scipys_standard_error_over_fold_means():
    one = scores()
    found = inference.group(one)
    means = one.values.mean(axis=3)
    np.testing.assert_allclose(found["mean"], means.mean(axis=2))
    np.testing.assert_allclose(found["sem"], stats.sem(means, axis=2))
    np.testing.assert_array_equal(found["n"], 8)
    np.testing.assert_allclose(found["values"], means)
    assert found["n"].dtype.kind == "i"
    assert (found.attrs["chance"], found.attrs["score"], found.attrs["over"]) == (0.2, "top1", "subject")
    over_folds = inference.group(one, over="fold")
    np.testing.assert_allclose(over_folds["sem"], stats.sem(one.values, axis=3))
    assert "subject" in over_folds.dims


def test_group_leaves_out_what_is_missing_and_says_how_many_are_left():
    one = scores().mean("fold")
    one[0, 0, :3] = np.nan
    one[1, 0, 1:] = np.nan
    one[2, 0, :] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = inference.group(one)
        alone = inference.group(one[:, :, :1])
    assert found["n"][:, 0].values.tolist()[:4] == [5, 1, 0, 8]
    np.testing.assert_allclose(found["sem"], stats.sem(one.values, axis=2, nan_policy="omit"), rtol=1e-10)
    assert np.isnan(found["sem"].values[1:3, 0]).all()
    assert np.isnan(alone["sem"]).all()
    with pytest.raises(
        ValueError, match=r"no dimension 'participant'; there are \('window', 'layer', 'subject'\)"
    ):
        inference.group(one, over="participant")
    with pytest.raises(TypeError, match=r"labelled xarray\.DataArray, not ndarray"):
        inference.group(one.values)


# ---------------------------------------------------------------- fdr


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_fdr_equals_scipy_and_statsmodels(alpha):
    rng = np.random.default_rng(1)
    p = xr.DataArray(
        np.concatenate([rng.uniform(0, 0.01, (3, 5)), rng.uniform(size=(4, 5))]), dims=("region", "layer"),
        coords={"region": list("abcdefg")},
    )  # fmt: skip
    found = inference.fdr(p, alpha=alpha)
    np.testing.assert_allclose(
        found["p"].values.ravel(), stats.false_discovery_control(p.values.ravel()), rtol=1e-12
    )
    reject, corrected, *_ = multipletests(p.values.ravel(), alpha=alpha, method="fdr_bh")
    np.testing.assert_array_equal(found["significant"].values.ravel(), reject)
    np.testing.assert_allclose(found["p"].values.ravel(), corrected, rtol=1e-12)
    assert 0 < reject.sum() < reject.size
    any_dependence = inference.fdr(p, alpha=alpha, method="by")
    reject, corrected, *_ = multipletests(p.values.ravel(), alpha=alpha, method="fdr_by")
    np.testing.assert_array_equal(any_dependence["significant"].values.ravel(), reject)
    np.testing.assert_allclose(any_dependence["p"].values.ravel(), corrected, rtol=1e-12)
    assert any_dependence.attrs["correction"] == "Benjamini-Yekutieli"
    assert found["significant"].dims == ("region", "layer")
    assert found.region.values.tolist() == list("abcdefg")


def test_fdr_refuses_what_is_no_p():
    p = xr.DataArray([0.1, 1.2], dims="region")
    with pytest.raises(ValueError, match=r"p must lie from 0 to 1, found 0\.1 to 1\.2"):
        inference.fdr(p)
    with pytest.raises(ValueError, match="1 NaN"):
        inference.fdr(p.where(p < 1))


# ---------------------------------------------------------------- clusters


def test_clusters_equal_mnes_own_call():
    one = scores(effect=0.06)
    found = inference.clusters(one, n_permutations=200)
    means = one.values.mean(axis=3)
    for i in range(2):
        _, clusters, p, _ = permutation_cluster_1samp_test(
            means[:, i].T - 0.2, threshold=stats.t.ppf(0.95, 7), tail=1, n_permutations=200, rng=0,
            out_type="mask", verbose="error",
        )  # fmt: skip
        expected = np.ones(30)
        for cluster, value in zip(clusters, p, strict=True):
            expected[cluster] = value
        np.testing.assert_allclose(found["p"].values[i], expected, rtol=0, atol=1.001 / 200)
        np.testing.assert_array_equal(found["significant"].values[i], expected <= 0.05)
    assert set(found["p"].dims) == {"window", "layer"}
    assert "start" in found.coords
    assert found.attrs["chance"] == 0.2


def test_a_planted_cluster_is_found_in_its_windows_and_layer_only():
    found = inference.clusters(scores(effect=0.15))
    c = found["significant"].sel(layer="c").values
    assert c[10:15].all()
    assert not c[:9].any()
    assert not c[16:].any()
    assert not found["significant"].sel(layer="z").any()
    below = inference.clusters(scores(effect=-0.15))  # one-sided
    assert not below["significant"].any()
    higher = inference.clusters(scores(effect=0.15), chance=0.9)
    assert not higher["significant"].any()


def test_false_alarms_are_as_rare_as_promised():
    alarms = [
        bool(inference.clusters(scores(s).sel(layer="c"), n_permutations=100)["significant"].any())
        for s in range(60)
    ]
    assert np.mean(alarms) < 0.15  # nominal .05; .15 or more has probability .002


def test_clusters_of_time_by_time():
    rng = np.random.default_rng(2)
    values = 0.1 * rng.normal(size=(12, 12, 7))
    values[3:6, 4:8] += 0.4
    square = xr.DataArray(values, dims=("train_window", "test_window", "subject"), attrs={"chance": 0.0})
    found = inference.clusters(square, n_permutations=128)
    assert found["significant"].dims == ("train_window", "test_window")
    assert found["significant"].values[3:6, 4:8].all()
    assert found["significant"].values.sum() < 30
    _, clusters, p, _ = permutation_cluster_1samp_test(
        values.transpose(2, 0, 1), threshold=stats.t.ppf(0.95, 6), tail=1, n_permutations=128, seed=0,
        out_type="mask", verbose="error",
    )  # fmt: skip
    best = int(np.argmin(p))
    np.testing.assert_allclose(found["p"].values[clusters[best]], p[best], rtol=0, atol=1.001 / 128)


def test_too_few_subjects_are_said():
    with pytest.warns(UserWarning, match=r"with 3 subjects the smallest possible p is 0\.125: nothing"):
        found = inference.clusters(scores(n=3, effect=0.5))
    assert not found["significant"].any()
    assert found["p"].min() == 0.125
    with pytest.raises(ValueError, match="needs at least 2, got 1: 's0'"):
        inference.clusters(scores(n=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inference.clusters(scores(n=5))


def test_subjects_that_are_all_alike_give_no_warning_and_the_right_answer():
    one = scores(effect=0.15).mean("fold", keep_attrs=True)
    one[12, 0] = 0.35  # in the planted cluster, without any variance
    one[2, 0] = 0.2  # at chance exactly
    one[25, 0] = 0.1  # below, without variance
    flat = one.copy(data=np.full(one.shape, 0.2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = inference.clusters(one, n_permutations=256)
        nothing = inference.clusters(flat, n_permutations=256)
    c = found["significant"].sel(layer="c").values
    assert c[10:15].all()
    assert not c[[2, 25]].any()
    assert not nothing["significant"].any()
    assert (nothing["p"] == 1).all()


def test_what_clusters_cannot_test():
    one = scores()
    with pytest.raises(ValueError, match=r"chance=\.\.\."):
        inference.clusters(one.assign_attrs(chance=np.nan))
    with pytest.raises(ValueError, match=r"chance=\.\.\."):
        inference.clusters(one.drop_attrs())
    missing = one.copy()
    missing[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="3 NaN|1 NaN"):
        inference.clusters(missing)
    with pytest.raises(
        ValueError, match=r"clusters lie along 'window'.*\('region', 'layer', 'subject', 'fold'\)"
    ):
        inference.clusters(one.rename(window="region"))
    with pytest.raises(ValueError, match="no dimension 'subject'"):
        inference.clusters(one.isel(subject=0))
    with pytest.raises(ValueError, match="n_permutations must be at least 1, better some thousands; got 0"):
        inference.clusters(one, n_permutations=0)
