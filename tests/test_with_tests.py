"""What figures carry by default: each score's own test, and noise ceilings of what a decoder says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import inputs

LAYERS, REGIONS = ["c", "z"], ["LVC+HVC", "LVC", "HVC"]


def of_regions(n: int = 5, *, effect: float = 0.1) -> xr.DataArray:
    """(region, layer, subject, fold): c is better from HVC than from LVC."""
    rng = np.random.default_rng(0)
    values = 0.3 + 0.02 * rng.normal(size=(3, 2, n, 1))
    values[2, 0] += effect
    coords = {"region": REGIONS, "layer": LAYERS, "subject": [f"s{i}" for i in range(n)], "fold": ["test"]}
    return xr.DataArray(
        values, coords, ("region", "layer", "subject", "fold"), attrs={"chance": 0.0, "units": "r"}
    )


def of_windows(n: int = 8) -> xr.DataArray:
    rng = np.random.default_rng(1)
    time = np.arange(20) / 40
    values = 0.1 + 0.02 * rng.normal(size=(20, 2, n))
    values += 0.2 * np.exp(-0.5 * ((time - 0.2) / 0.05) ** 2)[:, None, None]
    coords = {"window": time, "layer": LAYERS, "subject": [f"s{i}" for i in range(n)]}
    return xr.DataArray(
        values, coords, ("window", "layer", "subject"), attrs={"chance": 0.1, "score": "top1"}
    )


# ---------------------------------------------------------------- with_tests


def test_bars_get_the_tests_of_bars():
    scores = of_regions()
    found = nd.inference.with_tests(scores)
    above = nd.inference.above_chance(scores)
    xr.testing.assert_equal(found["p"], above["p"])
    assert found["significant"].attrs == {"test": above.attrs["test"], "alpha": 0.05}
    pair = nd.inference.compare(scores.sel(region="LVC"), scores.sel(region="HVC"))
    np.testing.assert_array_equal(found["contrast_p"], pair["p_corrected"])
    assert found["contrast_p"].attrs["pair"] == "LVC - HVC"
    assert found["contrast_p"].attrs["test"] == "t-test over 5 subjects, Holm"
    assert found["contrast_p"].sel(layer="c") < 0.01 < found["contrast_p"].sel(layer="z")
    xr.testing.assert_identical(found["score"].drop_attrs(), scores.rename("score").drop_attrs())
    assert found.attrs == scores.attrs
    assert "contrast_p" not in nd.inference.with_tests(scores.isel(region=[0, 1]))
    lacking = scores.where(scores["subject"] != "s2")
    assert "t-test over 4 subjects" in nd.inference.with_tests(lacking)["contrast_p"].attrs["test"]


def test_curves_get_clusters_and_latencies(tmp_path):
    scores = of_windows()
    found = nd.inference.with_tests(scores, seed=3)
    clusters = nd.inference.clusters(scores, family="all", seed=3)
    latency = nd.inference.latency(scores, seed=3)
    xr.testing.assert_equal(found["significant"], clusters["significant"])
    np.testing.assert_array_equal(found["latency_high"], latency["high"])
    nd.save(found, tmp_path / "tested.nc")
    loaded = inputs.load_tested(tmp_path / "tested.nc")
    xr.testing.assert_equal(loaded, found)
    assert loaded["significant"].attrs["family"] == "all"
    assert loaded["latency"].attrs["interval"] == "bootstrap"
    nd.save(scores.rename("score"), tmp_path / "bare.nc")
    bare = inputs.load_tested(tmp_path / "bare.nc")
    xr.testing.assert_equal(bare["p"], nd.inference.with_tests(scores)["p"])


def test_time_by_time_gets_clusters_and_no_latency():
    rng = np.random.default_rng(2)
    square = xr.DataArray(
        0.1 * rng.normal(size=(5, 6, 2, 6)), dims=("train_window", "test_window", "layer", "subject"),
        attrs={"chance": 0.0}, coords={"subject": list("abcdef")},
    )  # fmt: skip
    found = nd.inference.with_tests(square)
    assert {"score", "p", "significant"} == set(found.data_vars)


@pytest.mark.parametrize(
    "scores",
    [of_windows(1), of_windows().drop_attrs(), of_windows().where(of_windows()["window"] > 0),
     of_windows().rename(window="k"), of_regions(1)],
)  # fmt: skip
def test_what_cannot_be_tested_stays_as_it_is(scores):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(nd.inference.with_tests(scores).data_vars) == {"score"}


# ---------------------------------------------------------------- ceilings of predictions


def brains(
    noise: float, *, repeats: int = 3, seed: int = 0
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Average responses, single trials, features: responses are features times weights, noisy in test trials alone."""
    rng = np.random.default_rng(seed)
    stimuli = [f"img_{i}" for i in range(400)]
    split = np.array(["train"] * 200 + ["test"] * 200)
    values = rng.normal(size=(400, 4))
    clean = values @ rng.normal(size=(4, 12))
    trials = np.repeat(clean, repeats, axis=0)
    tested = np.repeat(split == "test", repeats)
    trials[tested] += noise * rng.normal(size=(int(tested.sum()), 12))
    single = nd.brain.fmri(
        trials, sample=range(400 * repeats), stimulus=np.repeat(stimuli, repeats), split=np.repeat(split, repeats),
        roi=["V1"] * 8 + ["LO"] * 4, subject="s1",
    )  # fmt: skip
    return nd.brain.average_repeats(single), single, nd.brain.features(values, stimulus=stimuli)


def test_the_ceiling_of_predictions_equals_a_plain_analysis_of_variance():
    average, single, features = brains(2.0)
    decoder = nd.RidgeDecoder(alpha=1.0)
    found = nd.spatial.ceiling(average, features, decoder, trials=single, regions=["V1", "LO"])
    assert dict(found.sizes) == {"region": 2, "layer": 1, "subject": 1, "fold": 1}
    for region in ("V1", "LO"):
        inside = average["roi"].values == region
        train = average[average["split"].values == "train", inside]
        fitted = decoder.fit(train, features)
        predicted = fitted.predict(single[single["split"].values == "test", inside]).values.reshape(200, 3, 4)
        means = predicted.mean(axis=1)
        between = 3 * means.var(axis=0, ddof=1)
        within = ((predicted - means[:, None]) ** 2).sum(axis=(0, 1)) / (200 * 2)
        signal = np.maximum(between - within, 0) / 3
        expected = np.sqrt(signal / (signal + within / 3)).mean()
        np.testing.assert_allclose(found.sel(region=region).item(), expected, rtol=1e-6)
    assert found.attrs["source"] == "of the predictions, by repeats of test stimuli (3 averaged)"


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_a_decoder_that_knows_the_truth_reaches_its_ceiling(noise):
    average, single, features = brains(noise)
    # Trained without noise, all that its predictions lack is the noise of test trials.
    decoder = nd.RidgeDecoder(alpha=1e-3)
    score = nd.spatial.decode(average, features, decoder, regions=["V1"])
    bound = nd.spatial.ceiling(average, features, decoder, trials=single, regions=["V1"])
    np.testing.assert_allclose(score.item(), bound.item(), atol=0.03)
    one = nd.spatial.ceiling(single, features, decoder, regions=["V1"], shared="stimulus")
    of_trials = nd.spatial.decode(single, features, decoder, regions=["V1"], shared="stimulus")
    np.testing.assert_allclose(of_trials.item(), one.item(), atol=0.03)
    assert one < bound
    assert nd.ceilings.normalise(score, bound)["normalised"].item() == pytest.approx(
        score.item() / bound.item()
    )
    # A mean that kept units alone.
    bare = bound.drop_attrs().assign_attrs(units=bound.attrs["units"])
    assert nd.ceilings.normalise(score, bare)["normalised"].item() == score.item() / bound.item()
    of_responses = nd.ceilings.by_region(nd.ceilings.ncsnr(single, samples="test")["ceiling"], regions=["V1"])
    with pytest.raises(ValueError, match="made by 'spatial.decode': ceilings of responses bound encoders"):
        nd.ceilings.normalise(score, of_responses)


def test_a_ceiling_needs_repeats():
    average, single, features = brains(1.0)
    with pytest.raises(ValueError, match="none of the 200 test stimuli of fold 'test' was repeated"):
        nd.spatial.ceiling(average, features, nd.RidgeDecoder())
    with pytest.raises(ValueError, match="no trials of 's1'; there are those of 's2'"):
        nd.spatial.ceiling(average, features, nd.RidgeDecoder(), trials={"s2": single})


def test_a_missing_subject_is_left_out_of_that_test_alone():
    rng = np.random.default_rng(4)
    scores = xr.DataArray(
        0.3 + 0.02 * rng.normal(size=(2, 2, 5)), dims=("region", "layer", "subject"),
        coords={"region": ["LVC", "HVC"], "layer": ["c", "z"], "subject": list("abcde")}, attrs={"chance": 0.0},
    )  # fmt: skip
    lacking = scores.where(
        ~((scores["region"] == "HVC") & (scores["layer"] == "z") & (scores["subject"] == "b"))
    )
    found = nd.inference.with_tests(lacking)
    assert bool(found["significant"].all())
    assert "over 4 to 5 subjects" in found["p"].attrs["test"]
    nobody = scores.where(~((scores["region"] == "HVC") & (scores["layer"] == "z")))
    assert nd.inference.with_tests(nobody)["contrast_p"].sel(layer="c").notnull()


def test_chance_is_that_of_the_folds_that_were_scored():
    scores = xr.DataArray(
        np.tile([0.25, 0.05], (8, 1)), dims=("subject", "fold"),
        coords={"subject": list("abcdefgh"), "fold": ["a", "b"], "chance": ("fold", [0.25, 0.05])},
    )  # fmt: skip
    gaps = scores.where(~((scores["fold"] == "b") & scores["subject"].isin(list("abcd"))))
    found = nd.inference.group(gaps)
    assert float(found["mean"]) == pytest.approx(float(found["chance"]))


def test_noise_has_no_peak():
    rng = np.random.default_rng(0)
    noise = xr.DataArray(
        0.1 + 0.01 * rng.normal(size=(12, 1, 8)), dims=("window", "layer", "subject"),
        coords={"window": np.arange(12) * 0.05, "layer": ["c"], "subject": list("abcdefgh")}, attrs={"chance": 0.1},
    )  # fmt: skip
    found = nd.inference.with_tests(noise)
    assert not found["significant"].any()
    assert found["latency"].isnull().all()


def test_a_ceiling_takes_no_trials_of_training():
    names = [f"s{i}" for i in range(8)]
    rng = np.random.default_rng(0)
    run, stimulus = np.repeat([1, 2, 3], 16), np.tile(np.repeat(names, 2), 3)
    trials = nd.brain.fmri(
        rng.normal(size=(48, 20)),
        sample=[f"t{i}" for i in range(48)],
        stimulus=stimulus,
        run=run,
        roi=["V1"] * 20,
    )
    features = nd.brain.features(rng.normal(size=(8, 3)), stimulus=names)
    options = {"folds": "run", "shared": "stimulus"}
    with pytest.raises(ValueError, match="trains on stimuli that it is tested with"):
        nd.spatial.ceiling(trials, features, nd.RidgeDecoder(1.0), trials=trials.copy(), **options)
    found = nd.spatial.ceiling(trials, features, nd.RidgeDecoder(1.0), **options)
    assert found.sizes["fold"] == 3
    # The folds say what is scored, whatever splits there are beside them.
    split = trials.assign_coords(split=("sample", ["train", "test"] * 24))
    xr.testing.assert_equal(nd.spatial.ceiling(split, features, nd.RidgeDecoder(1.0), **options), found)
