"""ceilings.py: planted signal and noise, the F test of SciPy, a mixed model of statsmodels, plain loops; properties."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import neurodecode as nd
from neurodecode import ceilings, score
from neurodecode.datasets import haxby, lab

quick = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)
UNEQUAL = np.arange(40) % 4 + 1


def planted(rho, *, k=40, counts=3, voxels=500, seed=0):
    """Trials (sample, voxel) in random order, signal SD ``rho`` and noise SD 1, and the signal (stimulus, voxel)."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(k), counts)
    signal = rho * rng.normal(size=(k, voxels))
    order = rng.permutation(labels.size)
    values = 5 + signal[labels] + rng.normal(size=(labels.size, voxels))
    names = [f"image_{i}" for i in labels[order]]
    responses = nd.brain.fmri(
        values[order], sample=[f"t{i}" for i in range(len(order))], stimulus=names, units="%"
    )
    return responses, signal


# --------------------------------------------------------------------------------------------- planted truth
@pytest.mark.parametrize("counts", [3, 4, UNEQUAL], ids=["3", "4", "1 to 4"])
@pytest.mark.parametrize("rho", [0.3, 0.8, 2.0])
@pytest.mark.parametrize("estimate", [ceilings.ncsnr, ceilings.split_half])
def test_planted_ceilings_lie_within_their_limits_about_as_often_as_said(estimate, rho, counts) -> None:
    """500 data sets each, a voxel a data set."""
    responses, _ = planted(rho, counts=counts)
    found = estimate(responses)
    true = score.noise_ceiling(rho, n=found.attrs["n"])
    inside = ((found["low"] <= true) & (true <= found["high"])).mean()
    assert 0.89 < inside < 0.985
    # The mean would be pulled by the zeros of clipped estimates.
    assert float(found["ceiling"].median()) == pytest.approx(true, abs=0.05)
    narrower = estimate(responses.isel(voxel=slice(50)), level=0.5)
    assert ((narrower["low"] >= found["low"][:50]) & (narrower["high"] <= found["high"][:50])).all()
    assert float((narrower["high"] - narrower["low"]).mean()) < 0.6 * float(
        (found["high"] - found["low"]).mean()
    )


@pytest.mark.parametrize("estimate", [ceilings.ncsnr, ceilings.split_half])
def test_limits_hold_with_few_stimuli_where_percentiles_would_not(estimate) -> None:
    """8 stimuli of 10 trials: percentiles of the same draws hold the truth in .82 to .88 of data sets."""
    found = estimate(planted(1.5, k=8, counts=10, voxels=1000)[0])
    true = score.noise_ceiling(1.5, n=10)
    assert 0.92 < float(((found["low"] <= true) & (true <= found["high"])).mean()) < 0.98


@pytest.mark.parametrize("counts", [3, UNEQUAL], ids=["3", "1 to 4"])
@pytest.mark.parametrize("rho", [0.0, 0.3, 1.5])
def test_signal_and_noise_variance_are_unbiased(rho, counts) -> None:
    found = ceilings.ncsnr(planted(rho, counts=counts, voxels=4000)[0], n_bootstrap=0)
    for name, true in (("signal_variance", rho**2), ("noise_variance", 1.0)):
        values = found[name].values
        assert values.mean() == pytest.approx(true, abs=4 * stats.sem(values))
    assert np.isnan(found["low"]).all()
    assert np.isnan(found["high"]).all()


@pytest.mark.parametrize("counts", [3, UNEQUAL], ids=["3", "1 to 4"])
def test_the_ceiling_is_the_r_of_the_signal_with_averages(counts) -> None:
    """What the ceiling is said to bound, at the number of trials that is the default, and at one trial."""
    responses, signal = planted(0.7, k=200, counts=np.resize(counts, 200), voxels=300)
    average = nd.brain.average_repeats(responses)
    rows = [int(s.removeprefix("image_")) for s in average["stimulus"].values]
    perfect = average.copy(data=signal[rows])

    def r(predicted, true):
        return float(
            score.profile(*(a.rename(voxel="feature") for a in (predicted, true))).mean().astype(float)
        )

    found = ceilings.ncsnr(responses, n_bootstrap=0)
    assert float(found["ceiling"].mean()) == pytest.approx(r(perfect, average), abs=0.01)
    single = ceilings.ncsnr(responses, n=1, n_bootstrap=0)
    every = [int(s.removeprefix("image_")) for s in responses["stimulus"].values]
    assert float(single["ceiling"].mean()) == pytest.approx(
        r(responses.copy(data=signal[every]), responses), abs=0.015
    )
    assert (single["ceiling"] <= found["ceiling"]).all()


def test_both_ways_agree_on_the_same_trials() -> None:
    responses, _ = planted(0.8, k=150, voxels=50)
    one, other = ceilings.ncsnr(responses), ceilings.split_half(responses)
    np.testing.assert_allclose(one["ceiling"], other["ceiling"], atol=0.04)
    np.testing.assert_allclose(one["low"], other["low"], atol=0.08)


# -------------------------------------------------------------------------------------------- against others
def test_equal_repeats_are_scipys_f_test() -> None:
    """F = 1 + n ncsnr^2, and the reliability of the mean is 1 - 1 / F."""
    responses, _ = planted(0.6, k=12, counts=5, voxels=30)
    table = [g.values for _, g in responses.groupby("stimulus")]
    f = stats.f_oneway(*table).statistic
    found = ceilings.ncsnr(responses, n_bootstrap=0)
    np.testing.assert_allclose(found["ncsnr"], np.sqrt(np.maximum(f - 1, 0) / 5))
    np.testing.assert_allclose(found["reliability"], np.maximum(1 - 1 / f, 0), atol=1e-12)
    np.testing.assert_allclose(found["ceiling"], score.noise_ceiling(found["ncsnr"], n=5))
    np.testing.assert_allclose(
        ceilings.ncsnr(responses, n=2, n_bootstrap=0)["ceiling"], score.noise_ceiling(found["ncsnr"], n=2)
    )


def test_variances_are_those_of_a_mixed_model() -> None:
    """With equal repeats and B > W, REML and the analysis of variance are one."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    responses, _ = planted(0.9, k=30, counts=4, voxels=1)
    y = responses.values[:, 0]
    fitted = MixedLM(y, np.ones((len(y), 1)), groups=responses["stimulus"].values).fit(reml=True)
    found = ceilings.ncsnr(responses, n_bootstrap=0)
    assert found["signal_variance"].item() == pytest.approx(float(np.squeeze(fitted.cov_re)), rel=1e-3)
    assert found["noise_variance"].item() == pytest.approx(fitted.scale, rel=1e-3)


def test_unequal_repeats_are_a_plain_loop() -> None:
    responses, _ = planted(0.6, counts=UNEQUAL, voxels=3)
    found = ceilings.ncsnr(responses, n_bootstrap=0)
    for v in range(3):
        own = [g.values[:, v] for _, g in responses.groupby("stimulus")]
        total, k = sum(map(len, own)), len(own)
        grand = sum(y.sum() for y in own) / total
        between = sum(len(y) * (y.mean() - grand) ** 2 for y in own) / (k - 1)
        within = sum(((y - y.mean()) ** 2).sum() for y in own) / (total - k)
        n0 = (total - sum(len(y) ** 2 for y in own) / total) / (k - 1)
        assert float(found["noise_variance"][v]) == pytest.approx(within)
        assert float(found["signal_variance"][v]) == pytest.approx((between - within) / n0)
    assert found.attrs["n"] == pytest.approx(stats.hmean(UNEQUAL))
    assert (found.attrs["stimuli"], found.attrs["trials"]) == (40, 100)


def test_signal_is_sahani_and_lindens_signal_power_but_for_means_of_repeats() -> None:
    """(n P(mean) - mean P(trial)) / (n - 1), after what trials of one number share is taken out of them."""
    n, k = 4, 300
    responses, _ = planted(0.8, k=k, counts=n, voxels=20)
    ordered = responses.values[np.argsort(responses["stimulus"].values, kind="stable")].reshape(k, n, 20)
    power = (n * ordered.mean(1).var(0, ddof=1) - ordered.var(0, ddof=1).mean(0)) / (n - 1)
    np.testing.assert_allclose(ceilings.ncsnr(responses, n_bootstrap=0)["signal_variance"], power, atol=0.005)


def test_the_spread_over_stimuli_is_that_of_a_plain_loop() -> None:
    responses, _ = planted(0.8, k=15, counts=np.arange(15) % 3 + 2, voxels=4)
    order = np.argsort(responses["stimulus"].values, kind="stable")
    responses = responses[order]  # the stimuli in the order of the draws
    found = ceilings.ncsnr(responses, n_bootstrap=60, seed=3)
    names = pd.unique(responses["stimulus"].values)
    logs = []
    for draw in ceilings._draws(15, 60, 3):
        parts = [
            responses[responses["stimulus"].values == names[i]].assign_coords(
                stimulus=("sample", [f"{i}-{j}"] * int((responses["stimulus"].values == names[i]).sum()))
            )
            for i in range(15)
            for j in range(int(draw[i]))
        ]
        joined = xr.concat(parts, dim="sample").drop_vars("sample")
        groups = [g.values for _, g in joined.groupby("stimulus")]
        logs.append(np.log(stats.f_oneway(*groups).statistic))
    reach = np.std(logs, axis=0, ddof=1) * np.sqrt(15 / 14) * stats.t.ppf(0.975, 14)
    counts = np.array([(responses["stimulus"].values == n).sum() for n in names])
    n0 = (counts.sum() - (counts**2).sum() / counts.sum()) / 14
    f = 1 + n0 * found["ncsnr"].values ** 2
    assert (f > 1).all()
    for name, sign in (("low", -1), ("high", 1)):
        snr = np.sqrt(np.maximum(f * np.exp(sign * reach) - 1, 0) / n0)
        np.testing.assert_allclose(found[name], score.noise_ceiling(snr, n=found.attrs["n"]), rtol=1e-9)


def test_halves_are_the_mean_over_all_splits() -> None:
    """2 repeats of 5 stimuli have 32 splits; of many random ones the mean is theirs."""
    responses, _ = planted(1.0, k=5, counts=2, voxels=6)
    trials = np.stack([g.values for _, g in responses.groupby("stimulus")])
    every = []
    for pick in itertools.product((0, 1), repeat=5):
        a, b = (trials[np.arange(5), np.array(pick) ^ flip] for flip in (0, 1))
        every.append([stats.pearsonr(a[:, v], b[:, v])[0] for v in range(6)])
    found = ceilings.split_half(responses, splits=3000, n_bootstrap=0)
    np.testing.assert_allclose(found["half"], np.mean(every, axis=0), atol=0.02)


@pytest.mark.parametrize(("counts", "times"), [(2, 2.0), (3, 3.0), (4, 2.0), (5, 2.5), (6, 2.0)])
def test_halves_are_stepped_up_by_spearman_and_brown(counts, times) -> None:
    """From floor(n / 2) trials to n, which a third or a fifth trial makes more than twice as many."""
    found = ceilings.split_half(planted(0.5, counts=counts, voxels=40)[0], n_bootstrap=0)
    r = np.clip(found["half"], 0, 1)
    np.testing.assert_allclose(found["reliability"], times * r / (1 + (times - 1) * r))
    np.testing.assert_allclose(found["ceiling"] ** 2, found["reliability"])


# ------------------------------------------------------------------------------------------------ properties
@quick
@given(seeds, st.floats(0.01, 100), st.floats(-100, 100))
def test_neither_scale_nor_offset_of_a_voxel_matters(seed, scale, offset) -> None:
    responses, _ = planted(0.7, k=10, voxels=3, seed=seed)
    other = responses * np.array([scale, -scale, 1.0]) + np.array([offset, 0.0, -offset])
    for estimate in (ceilings.ncsnr, ceilings.split_half):
        one, two = (estimate(r, n_bootstrap=20) for r in (responses, other))
        for name in ("ceiling", "low", "high"):
            np.testing.assert_allclose(one[name], two[name], atol=1e-6)


@quick
@given(seeds)
def test_neither_order_nor_names_of_samples_matter(seed) -> None:
    responses, _ = planted(0.7, k=10, counts=np.arange(10) % 3 + 1, voxels=3, seed=seed)
    shuffled = responses[np.random.default_rng(seed).permutation(len(responses))]
    renamed = shuffled.assign_coords(stimulus=("sample", [s[::-1] for s in shuffled["stimulus"].values]))
    one, two = (ceilings.ncsnr(r, n_bootstrap=0) for r in (responses, renamed))
    for name in one.data_vars:
        np.testing.assert_allclose(one[name], two[name], atol=1e-12)


@quick
@given(seeds)
def test_shuffled_labels_leave_nothing_but_noise(seed) -> None:
    responses, _ = planted(2.0, k=30, voxels=60, seed=seed)
    labels = np.random.default_rng(seed).permutation(responses["stimulus"].values)
    found = ceilings.ncsnr(responses.assign_coords(stimulus=("sample", labels)), n_bootstrap=50)
    assert (found["low"] == 0).mean() > 0.7
    # Signal has become noise: all variance is within.
    assert float(found["signal_variance"].mean()) == pytest.approx(0, abs=0.35)


@pytest.mark.parametrize("estimate", [ceilings.ncsnr, ceilings.split_half])
def test_blocks_and_dask_and_axes_change_nothing(estimate, monkeypatch) -> None:
    pytest.importorskip("dask")
    responses, _ = planted(0.7, voxels=12)
    whole = estimate(responses)
    epochs = nd.brain.meeg(
        responses.values.reshape(-1, 3, 4), sample=responses["sample"].values, channel=["A", "B", "C"],
        stimulus=responses["stimulus"].values, time=np.arange(4) / 100,
    )  # fmt: skip
    monkeypatch.setattr(ceilings, "BUDGET", 1000)
    for other in (responses.chunk(voxel=5), responses.T):
        xr.testing.assert_allclose(estimate(other), whole)
    found = estimate(epochs)
    assert found["ceiling"].dims == ("channel", "time")
    assert found["time"].values.tolist() == [0, 0.01, 0.02, 0.03]
    np.testing.assert_allclose(found["low"].values.ravel(), whole["low"].values)


# ------------------------------------------------------------------------------------------ edges and errors
@pytest.mark.parametrize("estimate", [ceilings.ncsnr, ceilings.split_half])
def test_a_constant_voxel_has_no_ceiling_and_one_without_noise_has_one_of_1(estimate) -> None:
    responses, signal = planted(1.0, k=10, voxels=3)
    rank = [int(s.removeprefix("image_")) for s in responses["stimulus"].values]
    values = responses.values.copy()
    values[:, 0] = 0.1
    values[:, 1] = signal[rank, 1]
    values[:, 2] = np.asarray(rank) % 4  # whole numbers: no rounding
    found = estimate(responses.copy(data=values))
    for name in found.data_vars:
        assert np.isnan(found[name][0]), name
    for name in ("ceiling", "low", "high", "reliability"):
        np.testing.assert_allclose(found[name][1:], 1, atol=1e-6)


def test_samples_must_be_chosen_where_there_are_splits() -> None:
    responses, _ = planted(0.8, voxels=5)
    test = np.isin(responses["stimulus"].values, [f"image_{i}" for i in range(20)])
    split = responses.assign_coords(split=("sample", np.where(test, "test", "train")))
    with pytest.raises(ValueError, match="splits 'test', 'train': say which samples will be scored"):
        ceilings.ncsnr(split)
    with pytest.raises(ValueError, match="samples='best' is no value of 'split'"):
        ceilings.ncsnr(split, samples="best")
    named = ceilings.ncsnr(split, samples="test")
    by_mask, alone = ceilings.ncsnr(responses, samples=test), ceilings.ncsnr(responses[test])
    for other in (by_mask, alone):
        np.testing.assert_array_equal(named["ceiling"], other["ceiling"])
    assert named.attrs["stimuli"] == 20
    # What was not chosen is not looked at.
    spoilt = split.copy(data=np.where(test[:, None], split.values, np.nan))
    np.testing.assert_array_equal(named["low"], ceilings.ncsnr(spoilt, samples="test")["low"])


@pytest.mark.parametrize("estimate", [ceilings.ncsnr, ceilings.split_half])
def test_errors_say_what_is_missing(estimate) -> None:
    responses, _ = planted(0.8, k=6, voxels=5)
    average = nd.brain.average_repeats(responses)
    with pytest.raises(ValueError, match="none of 6 'stimulus' has more than 1 sample.*averages already"):
        estimate(average)
    with pytest.raises(ValueError, match="no coordinate 'concept'"):
        estimate(responses, by="concept")
    named = np.where(np.arange(18) < 2, None, responses["stimulus"].values)
    with pytest.raises(
        ValueError, match="2 of 18 labels 'stimulus' of responses are missing.*drop these samples"
    ):
        estimate(responses.assign_coords(stimulus=("sample", named)))
    two = np.isin(responses["stimulus"].values, ["image_0", "image_1"])
    with pytest.raises(ValueError, match="at least 3 different 'stimulus', got 2"):
        estimate(responses, samples=two)
    spoilt = responses.copy(deep=True)
    spoilt[3, 2] = np.nan
    with pytest.raises(ValueError, match="1 of 18 in 'sample', 1 of 5 in 'voxel'"):
        estimate(spoilt)
    mixed = responses.assign_coords(trials=("sample", np.arange(18) % 2 + 1))
    with pytest.raises(ValueError, match="averages of 1 to 2 trials"):
        estimate(mixed)
    for bad, words in (
        ({"n": 0.5}, "n must be at least 1"),
        ({"level": 95}, "level is a share"),
        ({"n_bootstrap": 1}, "n_bootstrap must be 0"),
    ):
        with pytest.raises(ValueError, match=words):
            estimate(responses, **bad)


def test_halves_need_three_repeated_stimuli() -> None:
    responses, _ = planted(0.8, k=6, counts=[2, 2, 1, 1, 1, 1], voxels=5)
    with pytest.raises(ValueError, match="of 6 'stimulus' only 2 have them and 3 are needed; use ncsnr"):
        ceilings.split_half(responses)
    with pytest.raises(ValueError, match="splits must be at least 1, got 0"):
        ceilings.split_half(planted(0.8, voxels=2)[0], splits=0)
    assert np.isfinite(ceilings.ncsnr(responses)["low"]).all()


# --------------------------------------------------------------------------------------- regions, normalised
def test_regions_are_means_of_their_voxels() -> None:
    responses, _ = planted(0.8, voxels=12)
    roi = np.array(["V1", "V2", "VO", ""])[np.arange(12) % 4]
    found = ceilings.ncsnr(responses.assign_coords(roi=("voxel", roi)))
    means = pd.Series(found["ceiling"].values).groupby(roi).mean()
    one = ceilings.by_region(found["ceiling"])
    assert one["region"].values.tolist() == ["V1", "V2", "VO"]
    np.testing.assert_allclose(one, means[["V1", "V2", "VO"]])
    grouped = ceilings.by_region(found, regions=["LVC", "HVC"])
    assert grouped["n_voxels"].values.tolist() == [6, 3]
    np.testing.assert_allclose(
        grouped["low"].sel(region="LVC"), found["low"][np.isin(roi, ["V1", "V2"])].mean()
    )
    assert grouped["ceiling"].attrs["units"] == "Pearson r"
    with pytest.raises(ValueError, match="unknown region"):
        ceilings.by_region(found, regions=["V9"])
    lacking = found["ceiling"].where(found["voxel"] != found["voxel"][0])
    assert ceilings.by_region(lacking)["n_voxels"].values.tolist() == [2, 3, 3]


def test_scores_stand_beside_their_share_of_the_ceiling() -> None:
    names = [f"v{i}" for i in range(4)]
    ceiling = xr.DataArray(
        [0.8, 0.5, 0.05, np.nan], dims="voxel", coords={"voxel": names}, attrs={"units": "Pearson r"}
    )
    scores = xr.DataArray(
        [[0.4, 0.1], [-0.2, 0.6], [0.1, 0.0], [0.1, 0.2]], dims=("voxel", "layer"),
        coords={"voxel": names, "layer": ["c", "z"]}, attrs={"units": "Pearson r", "chance": 0.0},
    )  # fmt: skip
    with pytest.warns(UserWarning, match=r"2 of 4 ceilings .* \(1 below 0.1, 1 NaN\)"):
        found = ceilings.normalise(scores, ceiling)
    np.testing.assert_allclose(found["normalised"], [[0.5, 0.125], [-0.4, 1.2], [np.nan] * 2, [np.nan] * 2])
    xr.testing.assert_identical(found["score"], scores.rename("score"))
    assert found["normalised"].attrs["units"] == "share of noise ceiling"
    xr.testing.assert_allclose(
        ceilings.normalise(scores.T[:, :2], ceiling[:2])["normalised"], found["normalised"].T[:, :2]
    )
    with pytest.raises(ValueError, match="disagree on 2 of 4 'voxel' labels"):
        ceilings.normalise(scores[::-1][[2, 1, 0, 3]], ceiling[[1, 2, 0, 3]])
    with pytest.raises(ValueError, match="percent"):
        ceilings.normalise(scores, 100 * ceiling.assign_attrs(units="Pearson r"))
    with pytest.raises(ValueError, match="scores are in 'r2' but ceilings in 'Pearson r'"):
        ceilings.normalise(scores.assign_attrs(units="r2"), ceiling)
    with pytest.raises(ValueError, match=r"scores needs the dimension\(s\) 'voxel'"):
        ceilings.normalise(scores.rename(voxel="feature"), ceiling)
    with pytest.raises(ValueError, match="least is a ceiling between 0 and 1"):
        ceilings.normalise(scores, ceiling, least=0)
    for other in ("by hand", "[1]", '{"parameters": null}'):
        noted = ceilings.normalise(scores[:2].assign_attrs(provenance=other), ceiling[:2])
        np.testing.assert_array_equal(noted["normalised"], found["normalised"][:2])


def test_results_survive_netcdf_and_say_how_they_were_made(tmp_path) -> None:
    found = ceilings.ncsnr(planted(0.8, voxels=5)[0], n=3)
    nd.save(found, tmp_path / "ceilings.nc")
    back = nd.load(tmp_path / "ceilings.nc")
    xr.testing.assert_identical(back, found)
    record = nd.store.provenance(back)
    assert record["what"] == "ceilings.ncsnr"
    assert record["parameters"]["n"] == 3
    assert back["noise_variance"].attrs["units"] == "(%)^2"


# ------------------------------------------------------------------------------------------------ recordings
@pytest.mark.parametrize("estimate", [ceilings.ncsnr, ceilings.split_half])
def test_the_labs_ceilings_are_the_planted_ones(estimate) -> None:
    """3,950 voxels, 100 test stimuli of 3 trials; simulated."""
    recording = lab.load("fmri", subject=1)
    found = estimate(recording.responses, samples="test", n_bootstrap=100)
    planted = recording.truth["ceiling"]
    inside = (found["low"] <= planted) & (planted <= found["high"])
    assert 0.9 < float(inside.mean()) < 0.98
    strong = (planted > 0.3).values
    assert np.corrcoef(found["ceiling"][strong], planted[strong])[0, 1] > 0.6
    assert abs(float((found["ceiling"] - planted)[strong].mean())) < 0.03
    regions = [ceilings.by_region(c, regions=["LVC", "HVC"]) for c in (found["ceiling"], planted)]
    np.testing.assert_allclose(*regions, atol=0.04)


@pytest.mark.recording
def test_voxels_of_a_real_slice_have_ceilings_that_shuffled_categories_lack(shared_data) -> None:
    blocks = nd.brain.average_repeats(haxby.load(shared_data / "haxby2001"), by=("stimulus", "run"))
    found = ceilings.ncsnr(blocks, n=1)
    assert (found.attrs["stimuli"], found.attrs["trials"]) == (8, 96)
    labels = np.random.default_rng(0).permutation(blocks["stimulus"].values)
    null = ceilings.ncsnr(blocks.assign_coords(stimulus=("sample", labels)), n=1)
    assert (found["low"] > 0).mean() > 0.2
    assert (null["low"] > 0).mean() < 0.08
    halves = ceilings.split_half(blocks, n=1, splits=10, n_bootstrap=0)
    assert np.corrcoef(found["ceiling"], halves["ceiling"])[0, 1] > 0.95


def test_no_voxels_have_no_ceiling():
    responses = nd.brain.fmri(np.eye(4), sample=range(4), stimulus=[*"aabb"])[:, :0]
    for ceiling in (nd.ceilings.ncsnr, nd.ceilings.split_half):
        with pytest.raises(
            ValueError, match=r"responses are empty: .*'voxel': 0.*; give at least one of each"
        ):
            ceiling(responses)
