"""Encoders' scores, best layers and shares of variance: against plain loops, closed forms and planted truths."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

import neurodecode as nd
from neurodecode.encoding.shares import inclusion_exclusion, unions


def recording(
    sizes: dict[str, int],
    amounts: dict[str, tuple[float, ...]],
    *,
    n: int = 80,
    test: int = 40,
    noise: float = 1.0,
    seed: int = 0,
) -> tuple[xr.DataArray, dict[str, xr.DataArray]]:
    """Independent spaces; a voxel is a sum over spaces of a direction times its amount, and noise."""
    rng = np.random.default_rng(seed)
    names = [f"img_{i:03d}" for i in range(n + test)]
    of = {k: rng.normal(size=(n + test, p)) for k, p in sizes.items()}
    voxels = len(next(iter(amounts.values())))
    signal = np.zeros((n + test, voxels))
    for k, amount in amounts.items():
        directions = rng.normal(size=(sizes[k], voxels))
        signal += np.array(amount) * (of[k] @ (directions / np.linalg.norm(directions, axis=0)))
    responses = nd.brain.fmri(
        signal + noise * rng.normal(size=signal.shape),
        sample=names,
        stimulus=names,
        roi=["V1"] * (voxels // 2) + ["LO"] * (voxels - voxels // 2),
        split=["train"] * n + ["test"] * test,
        run=np.arange(n + test) % 4,
        subject="s1",
    )
    return responses, {k: nd.brain.features(v, stimulus=names) for k, v in of.items()}


def by_hand(
    responses: xr.DataArray, spaces: dict[str, xr.DataArray], alpha: float
) -> dict[tuple, np.ndarray]:
    """R2 of every union, by scikit-learn."""
    train = responses["split"].values == "train"
    found = {}
    for size in range(1, len(spaces) + 1):
        for union in combinations(spaces, size):
            x = np.concatenate([spaces[k].values for k in union], axis=1)
            scaler, target = StandardScaler().fit(x[train]), StandardScaler().fit(responses.values[train])
            model = Ridge(alpha).fit(scaler.transform(x[train]), target.transform(responses.values[train]))
            predicted = target.inverse_transform(model.predict(scaler.transform(x[~train])))
            found[union] = r2_score(responses.values[~train], predicted, multioutput="raw_values")
    return found


# ------------------------------------------------------------------------------------------------------- partition
def test_shares_of_a_plain_loop():
    responses, spaces = recording({"a": 4, "b": 5, "c": 3}, {"a": (1, 0, 2), "b": (1, 2, 0)})
    found = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(3.0), n_bootstrap=0)
    r2 = by_hand(responses, spaces, 3.0)
    for union, value in r2.items():
        np.testing.assert_allclose(found["r2"].sel(union=" + ".join(union)), value, rtol=1e-9, atol=1e-12)
    every = r2["a", "b", "c"]
    a, b, c = (r2[k,] for k in "abc")
    ab, ac, bc = r2["a", "b"], r2["a", "c"], r2["b", "c"]
    expected = {  # Venn's diagram by hand
        "a": every - bc,
        "b": every - ac,
        "c": every - ab,
        "a & b": ac + bc - c - every,
        "a & c": ab + bc - b - every,
        "b & c": ab + ac - a - every,
        "a & b & c": a + b + c - ab - ac - bc + every,
    }
    assert found["part"].values.tolist() == list(expected)
    for part, value in expected.items():
        np.testing.assert_allclose(found["share"].sel(part=part), value, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found["share"].sum("part"), every, rtol=1e-9)
    assert found["kind"].values.tolist() == ["unique"] * 3 + ["shared"] * 4


def test_orthogonal_spaces_give_their_planted_shares():
    """With much data the unique shares are a_k^2 / (sum of a^2 + noise^2), and nothing is shared."""
    amounts = {"a": (1.0, 0.0, 1.0, 0.5), "b": (1.0, 1.5, 0.0, 0.5)}
    responses, spaces = recording({"a": 3, "b": 4}, amounts, n=6000, test=6000)
    found = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1.0), n_bootstrap=0)
    total = sum(np.square(v) for v in amounts.values()) + 1.0
    for k, amount in amounts.items():
        np.testing.assert_allclose(found["share"].sel(part=k), np.square(amount) / total, atol=0.03)
    np.testing.assert_allclose(found["share"].sel(part="a & b"), 0, atol=0.03)


def test_of_identical_spaces_neither_has_a_part_of_its_own():
    responses, spaces = recording({"a": 4}, {"a": (1.0, 2.0)}, n=400, test=400)
    twice = {"a": spaces["a"], "b": spaces["a"]}
    found = nd.encoding.partition(responses, twice, nd.RidgeEncoder(1e-6), n_bootstrap=0)
    np.testing.assert_allclose(found["share"].sel(part=["a", "b"]), 0, atol=1e-7)
    np.testing.assert_allclose(found["share"].sel(part="a & b"), found["r2"].sel(union="a"), atol=1e-7)


def test_negative_shares_are_shown():
    """A space of pure noise makes a fit without penalty worse: what it adds is below 0, and is given so."""
    responses, spaces = recording({"a": 3, "noise": 40}, {"a": (1.0,) * 6})
    found = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1e-3), n_bootstrap=0)
    assert (found["share"].sel(part="noise") < -0.1).all()


def test_bands_mend_what_one_penalty_spoils():
    responses, spaces = recording({"a": 4, "noise": 200}, {"a": (1.5,) * 6})
    lost = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, bands in (("one", None), ("two", "set")):
            encoder = nd.RidgeEncoder([1.0, 10.0, 100.0, 1000.0], bands=bands, folds=5, n_candidates=25)
            found = nd.encoding.partition(responses, spaces, encoder, n_bootstrap=0)
            lost[name] = float(found["share"].sel(part="noise").mean())
    assert lost["one"] < lost["two"] - 0.05
    assert lost["two"] > -0.1


@settings(max_examples=20, deadline=None)
@given(k=st.integers(2, 5), seed=st.integers(0, 1000))
def test_shares_add_up_to_every_union(k, seed):
    """R2 of a union is the sum of the parts that touch it, whatever the numbers."""
    names = list("abcde")[:k]
    matrix, parts = inclusion_exclusion(names)
    r2 = np.random.default_rng(seed).normal(size=len(parts))
    share = matrix @ r2
    for union, value in zip(unions(names), r2, strict=True):
        touching = [s for s, part in zip(share, parts, strict=True) if set(part) & set(union)]
        np.testing.assert_allclose(sum(touching), value, atol=1e-9)


def test_sets_join_spaces_and_leave_others_out():
    responses, spaces = recording({"a": 2, "b": 3, "c": 4}, {"a": (1, 2), "b": (1, 0)})
    found = nd.encoding.partition(
        responses, spaces, nd.RidgeEncoder(1.0), sets={"low": ["a", "b"], "high": "c"}, n_bootstrap=0
    )
    joint = {"low": nd.brain.stack({k: spaces[k] for k in "ab"}), "high": spaces["c"]}
    expected = nd.encoding.partition(responses, joint, nd.RidgeEncoder(1.0), n_bootstrap=0)
    xr.testing.assert_allclose(found["share"], expected["share"])
    part = nd.brain.stack({k: spaces[k] for k in "abc"})
    array = nd.encoding.partition(
        responses, part, nd.RidgeEncoder(1.0), sets={"low": ["a", "b"], "high": "c"}, n_bootstrap=0
    )
    xr.testing.assert_allclose(found["share"], array["share"])


def test_regions_are_means_of_voxels():
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0, 2, 1), "b": (0, 1, 1, 2)})
    responses[responses["split"].values == "test", 3] = 4.0  # constant over the test samples: no r2
    found = nd.encoding.partition(
        responses, spaces, nd.RidgeEncoder(1.0), regions=["V1", "LO"], n_bootstrap=20
    )
    assert found["share"].isel(voxel=3).isnull().all()
    for name, rows in (("V1", [0, 1]), ("LO", [2])):
        for kind in ("share", "r2"):
            expected = found[kind].isel(voxel=rows).mean("voxel")
            np.testing.assert_allclose(found[f"region_{kind}"].sel(region=name), expected, rtol=1e-9)
    assert found["n_voxels"].values.tolist() == [2, 2]
    whole = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1.0), n_bootstrap=0)
    np.testing.assert_allclose(
        whole["region_share"].sel(region="all"), whole["share"].mean("voxel"), rtol=1e-9
    )


def test_limits_are_those_of_a_plain_bootstrap_over_stimuli():
    """Stimuli of several trials are drawn as wholes; R2 of the drawn samples by scikit-learn."""
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0), "b": (0, 1)}, test=30)
    stimulus = responses["stimulus"].values.copy()
    stimulus[80:] = np.repeat(stimulus[80::3], 3)
    responses = responses.assign_coords(stimulus=("sample", stimulus))
    encoder = nd.RidgeEncoder(2.0)
    found = nd.encoding.partition(responses, spaces, encoder, n_bootstrap=300, seed=5, level=0.8)
    train, test = responses[:80], responses[80:]
    predicted = {
        union: encoder.fit(nd.brain.stack({k: spaces[k] for k in union}), train)
        .predict(nd.labels.match(nd.brain.stack({k: spaces[k] for k in union}), test))
        .values
        for union in (("a",), ("b",), ("a", "b"))
    }
    rng = np.random.default_rng(5)
    away = test.values - test.values.mean(axis=0)
    lost = (away.reshape(10, 3, 2).sum(axis=1) ** 2).sum(axis=0) / 30 / (away**2).sum(axis=0)
    unique = []
    for counts in rng.multinomial(10, np.full(10, 0.1), size=300):
        rows = np.concatenate([np.repeat([3 * i, 3 * i + 1, 3 * i + 2], c) for i, c in enumerate(counts)])
        # About the mean of stimuli that were drawn from stimuli: totals are too small twice.
        r2 = {
            u: 1 - (1 - r2_score(test.values[rows], p[rows], multioutput="raw_values")) * (1 - lost) ** 2
            for u, p in predicted.items()
        }
        unique.append(r2["a", "b"] - r2["b",])
    # Percentiles for ten stimuli (Hesterberg 2015).
    low = stats.norm.cdf(-np.sqrt(10 / 9) * stats.t.ppf(0.9, 9))
    for name, q in (("share_low", low), ("share_high", 1 - low)):
        np.testing.assert_allclose(found[name].sel(part="a"), np.quantile(unique, q, axis=0), rtol=1e-6)
    means = np.mean(unique, axis=1)
    np.testing.assert_allclose(
        found["region_share_low"].sel(part="a", region="all"), np.quantile(means, low), rtol=1e-6
    )
    again = nd.encoding.partition(responses, spaces, encoder, n_bootstrap=300, seed=5, level=0.8)
    xr.testing.assert_identical(found.drop_attrs(), again.drop_attrs())


def test_draws_in_which_a_voxel_is_constant_do_not_count():
    """A voxel that answers to one test stimulus alone is constant in a third of the draws: it has no R2 there."""
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0, 1), "b": (0, 1, 1)})
    responses[80:, 2] = 0.1
    responses[85, 2] = 2.0
    found = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(2.0), n_bootstrap=100)
    assert (found["r2_low"] > -100).all()
    assert (found["region_r2_low"] > -100).all()
    others = nd.encoding.partition(responses[:, :2], spaces, nd.RidgeEncoder(2.0), n_bootstrap=100)
    np.testing.assert_allclose(found["r2_low"][:, :2], others["r2_low"])
    # Where it has none, the region is the mean of the others.
    estimate = found["region_r2"].values.ravel()
    np.testing.assert_allclose(estimate, found["r2"].mean("voxel"))


def test_limits_hold_what_other_test_stimuli_say():
    """Of one fit: R2 on very many stimuli lies within the limits from 100 of them in about 95 % of cases."""
    rng = np.random.default_rng(1)
    weights = {k: rng.normal(size=(4, 12)) * rng.uniform(0, 0.7, 12) for k in "ab"}

    def stimuli(n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        a, b = rng.normal(size=(2, n, 4))
        of = {"a": a, "b": 0.6 * a + 0.8 * b}
        return of, sum(of[k] @ weights[k] for k in of) + rng.normal(size=(n, 12))

    trained = stimuli(80)

    def limits(n: int, n_bootstrap: int) -> xr.Dataset:
        tested = stimuli(n)
        names = np.arange(80 + n)
        split = ["train"] * 80 + ["test"] * n
        responses = nd.brain.fmri(
            np.concatenate([trained[1], tested[1]]), sample=names, stimulus=names, split=split
        )
        spaces = {
            k: nd.brain.features(np.concatenate([trained[0][k], tested[0][k]]), stimulus=names) for k in "ab"
        }
        return nd.encoding.partition(responses, spaces, nd.RidgeEncoder(5.0), n_bootstrap=n_bootstrap)

    truth = limits(40_000, 0)
    held = {"share": [], "region_share": []}
    for _ in range(60):
        found = limits(100, 150)
        for name, inside in held.items():
            inside.append((found[f"{name}_low"] <= truth[name]) & (truth[name] <= found[f"{name}_high"]))
    assert 0.92 <= np.mean(held["share"]) <= 0.98
    assert 0.88 <= np.mean(held["region_share"]) <= 0.99


def test_blocks_of_voxels_change_nothing(monkeypatch):
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0, 2, 1), "b": (0, 1, 1, 2)})
    whole = nd.encoding.partition(
        responses, spaces, nd.RidgeEncoder(1.0), regions=["V1", "LO"], n_bootstrap=9
    )
    monkeypatch.setattr("neurodecode.encoding.shares.BUDGET", 1)
    parts = nd.encoding.partition(
        responses, spaces, nd.RidgeEncoder(1.0), regions=["V1", "LO"], n_bootstrap=9
    )
    xr.testing.assert_allclose(whole, parts)


def test_folds_are_pooled():
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0), "b": (0, 1)})
    found = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1.0), folds="run", n_bootstrap=0)
    wrong = total = 0.0
    for run in range(4):
        out = responses["run"].values == run
        fitted = nd.RidgeEncoder(1.0).fit(spaces["a"], responses[~out])
        true = responses[out].values
        wrong = wrong + (
            (true - fitted.predict(nd.labels.match(spaces["a"], responses[out])).values) ** 2
        ).sum(axis=0)
        total = total + ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(found["r2"].sel(union="a"), 1 - wrong / total, rtol=1e-9)


def test_ceilings_stand_beside_shares():
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0, 1), "b": (0, 1, 1)})
    found = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1.0), n_bootstrap=0)
    reliability = xr.DataArray(
        [0.5, 0.25, 0.05], {"voxel": responses["voxel"].values}, "voxel", attrs={"units": "r2"}
    )
    with pytest.warns(UserWarning, match="too low to divide by"):
        both = nd.ceilings.normalise(found["share"], reliability)
    # 40 test samples: R2 about the true mean is (39 R2 + 1) / 40, and the 1 is in what both sets share.
    about = 39 / 40 * found["share"] + [[0.0], [0.0], [1 / 40]]
    np.testing.assert_allclose(both["normalised"][:, :2], about[:, :2] / [0.5, 0.25])
    assert both["normalised"].isel(voxel=2).isnull().all()


class Known(BaseEstimator):
    """An encoder that knows the planted weights of every layer."""

    def __init__(self, weights):
        self.weights = weights

    def fit(self, features, responses):
        self.voxels_ = responses["voxel"]
        return self

    def predict(self, features):
        names = features["layer"].values
        values = features.values @ np.stack([self.weights[n] for n in names])
        coords = {"sample": features["sample"], "voxel": self.voxels_}
        return xr.DataArray(values, coords, ("sample", "voxel"))


def test_the_signal_itself_comes_to_the_whole_ceiling_in_folds_of_few():
    """R2 about the mean of a fold's 8 samples: all of the ceiling is 1, and parts are those planted."""
    rng, n = np.random.default_rng(0), 8000
    weights = {"a": np.array([1.0, 0.5, 0.0]), "b": np.array([0.0, 0.5, 1.0])}
    x = {k: rng.normal(size=(n, 1)) for k in weights}
    signal = sum(x[k] * w for k, w in weights.items())
    power = sum(w**2 for w in weights.values())
    reliability = power / (power + 1.0)
    responses = nd.brain.fmri(
        signal + rng.normal(size=signal.shape), sample=range(n), stimulus=range(n), run=np.arange(n) // 8
    )
    spaces = {k: nd.brain.features(v, stimulus=range(n)) for k, v in x.items()}
    found = nd.encoding.partition(responses, spaces, Known(weights), folds="run", n_bootstrap=0)
    ceiling = xr.DataArray(reliability, dims="voxel", attrs={"units": "r2"})
    of_all = nd.ceilings.normalise(found["r2"].sel(union="a + b"), ceiling)
    np.testing.assert_allclose(of_all["normalised"], 1, atol=0.05)
    np.testing.assert_allclose(of_all["ceiling"], 1 - (1 - reliability) * 8 / 7)
    # A part that was selected leaves its coordinates on the unions.
    one = nd.ceilings.normalise(found.sel(part="a")["r2"].sel(union="a + b"), ceiling)
    np.testing.assert_array_equal(one["normalised"], of_all["normalised"])
    # A mean may drop what R2 is about: that is said, where another number would follow.
    bare = found["r2"].sel(union="a + b").drop_attrs().assign_attrs(units="r2")
    with pytest.warns(UserWarning, match=r"R2 does not say .* give .assign_attrs\(test_samples=n\)"):
        about_true = nd.ceilings.normalise(bare, ceiling)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = nd.ceilings.normalise(bare.assign_attrs(test_samples=np.inf), ceiling)
    np.testing.assert_array_equal(told["normalised"], about_true["normalised"])
    np.testing.assert_array_equal(told["ceiling"], reliability)
    parts = nd.ceilings.normalise(found["share"], ceiling)["normalised"]
    for name, w in weights.items():
        np.testing.assert_allclose(parts.sel(part=name), w**2 / power, atol=0.05)
    np.testing.assert_allclose(parts.sel(part="a & b"), 0, atol=0.05)
    scores = nd.encoding.score(responses, {"b": spaces["b"]}, Known(weights), folds="run", score="r2")
    assert scores.attrs["test_samples"] == pytest.approx(8)


def test_the_signal_itself_comes_to_the_whole_ceiling_of_single_trials():
    """R2 about the mean of 4 stimuli's 12 trials, which moves with the stimuli more than with the noise."""
    rng, n = np.random.default_rng(1), 6000
    x = {"a": rng.normal(size=(n, 1)), "b": rng.normal(size=(n, 1))}
    weights = {"a": np.array([1.0, 0.5]), "b": np.array([0.0, 0.5])}
    seen = np.repeat(np.arange(n), 3)
    signal = sum(x[k] @ w[None] for k, w in weights.items())[seen]
    power = sum(w**2 for w in weights.values())
    values = signal + rng.normal(size=signal.shape)
    responses = nd.brain.fmri(values, sample=range(3 * n), stimulus=seen, run=seen // 4)
    spaces = {k: nd.brain.features(v, stimulus=range(n)) for k, v in x.items()}
    found = nd.encoding.partition(responses, spaces, Known(weights), folds="run", n_bootstrap=0)
    ceiling = xr.DataArray(power / (power + 1.0), dims="voxel", attrs={"units": "r2"})
    of_all = nd.ceilings.normalise(found["r2"].sel(union="a + b"), ceiling)
    np.testing.assert_allclose(of_all["normalised"], 1, atol=0.03)
    np.testing.assert_allclose(of_all["ceiling"], found["r2"].sel(union="a + b"), atol=0.02)
    parts = nd.ceilings.normalise(found["share"], ceiling)["normalised"]
    for name, w in weights.items():
        np.testing.assert_allclose(parts.sel(part=name), w**2 / power, atol=0.03)
    np.testing.assert_allclose(parts.sel(part="a & b"), 0, atol=0.03)
    space = {"a": spaces["a"]}
    scores = nd.encoding.score(responses, space, Known(weights), folds="run", score="r2")
    assert (scores.attrs["test_samples"], scores.attrs["test_stimuli"]) == (12, 4)
    rows = responses.isel(sample=slice(12)).rename(voxel="feature")
    assert nd.score.r2(rows, rows).attrs["test_stimuli"] == 4


def test_channels_and_times_keep_their_places():
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0, 1, 0, 2, 0), "b": (0, 1, 0, 1, 0, 2)})
    values = responses.values.reshape(-1, 2, 3)
    coords = {k: responses[k].values for k in ("sample", "stimulus", "split")}
    epochs = nd.brain.meeg(values, channel=["O1", "Fz"], time=[0.0, 0.1, 0.2], **coords)
    found = nd.encoding.partition(epochs, spaces, nd.RidgeEncoder(1.0), regions=["O1", "Fz"], n_bootstrap=10)
    flat = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1.0), n_bootstrap=10)
    np.testing.assert_allclose(found["share"].values.reshape(3, -1), flat["share"].values)
    np.testing.assert_allclose(found["share_low"].values.reshape(3, -1), flat["share_low"].values)
    assert found["region_share"].dims == ("part", "region", "time")
    np.testing.assert_allclose(
        found["region_share"].sel(region="Fz"), found["share"].sel(channel="Fz"), rtol=1e-9
    )
    turned = epochs.transpose("sample", "time", "channel")
    for regions in (["O1", "Fz"], None):
        one, other = (
            nd.encoding.partition(e, spaces, nd.RidgeEncoder(1.0), regions=regions, n_bootstrap=10)
            for e in (epochs, turned)
        )
        xr.testing.assert_allclose(other, one)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sets": {"a": "a"}}, "among 2 to 5 sets of feature spaces, got 1"),
        ({"sets": {"x": "a", "y": "q"}}, "unknown 'q'"),
        ({"sets": {"x": "a", "y": ["a", "b"]}}, "twice 'a'"),
        ({"sets": {"x": "a", "y": []}}, "empty sets 'y'"),
        ({"level": 95}, "level is a share between 0 and 1"),
        ({"n_bootstrap": 1}, "n_bootstrap must be 0"),
        ({"by": "session"}, "no coordinate 'session'"),
        ({"by": "day"}, "4 of 40 labels 'day' of responses are missing"),
        ({"regions": ["V9"]}, "unknown region"),
        ({"train": "train", "test": "train"}, "no sample may be in both"),
    ],
)
def test_partition_refuses(options, words):
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0), "b": (0, 1)})
    responses = responses.assign_coords(day=("sample", [1.0] * 116 + [np.nan] * 4))
    with pytest.raises(ValueError, match=words):
        nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1.0), **options)


def test_two_subjects_need_two_calls():
    responses, spaces = recording({"a": 3, "b": 3}, {"a": (1, 0), "b": (0, 1)})
    with pytest.raises(TypeError, match="must be a labelled xarray.DataArray, not list"):
        nd.encoding.partition([responses], spaces, nd.RidgeEncoder(1.0))


def test_too_little_memory_is_said(memory_left):
    responses, spaces = recording({"a": 1, "b": 1}, {"a": (1,) * 40, "b": (0,) * 40})
    memory_left(60_000)
    with pytest.raises(MemoryError, match=r"errors of 3 unions on 40 test stimuli x 40 responses"):
        nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1.0))


def test_subjects_regions_give_a_group():
    parts = []
    for seed in range(3):
        responses, spaces = recording({"a": 3, "b": 3}, {"a": (2, 2), "b": (0.3, 0.3)}, seed=seed)
        found = nd.encoding.partition(responses, spaces, nd.RidgeEncoder(1.0), n_bootstrap=0)
        parts.append(found["region_share"])
    together = xr.concat(parts, dim=xr.Variable("subject", ["s1", "s2", "s3"]))
    summary = nd.inference.group(together)
    values = np.stack([p.values for p in parts])
    np.testing.assert_allclose(summary["mean"], values.mean(axis=0))
    np.testing.assert_allclose(summary["sem"], stats.sem(values, axis=0))


# ---------------------------------------------------------------------------------------------------------- scores
def test_scores_of_a_plain_loop():
    responses, spaces = recording({"a": 4, "b": 5}, {"a": (1, 0, 2), "b": (1, 2, 0)})
    train = responses["split"].values == "train"
    r = nd.encoding.score(responses, spaces, nd.RidgeEncoder(3.0))
    r2 = nd.encoding.score(responses, spaces, nd.RidgeEncoder(3.0), score="r2")
    expected = by_hand(responses, spaces, 3.0)
    assert r.dims == ("layer", "voxel", "subject", "fold")
    for name in spaces:
        np.testing.assert_allclose(r2.sel(layer=name).values.ravel(), expected[name,], rtol=1e-9)
        fitted = nd.RidgeEncoder(3.0).fit(spaces[name], responses[train])
        predicted = fitted.predict(nd.labels.match(spaces[name], responses[~train])).values
        for v in range(3):
            pearson = stats.pearsonr(predicted[:, v], responses.values[~train, v]).statistic
            np.testing.assert_allclose(r.sel(layer=name).values.ravel()[v], pearson, rtol=1e-9)


def test_encoding_over_time_finds_when_and_where():
    """A space that drives one channel at one time is found there, and nowhere else."""
    rng = np.random.default_rng(0)
    names = [f"img_{i}" for i in range(150)]
    space = nd.brain.features(rng.normal(size=(150, 3)), stimulus=names)
    values = rng.normal(size=(150, 3, 10))
    values[:, 1, 4:6] += 2 * space.values[:, :1]
    epochs = nd.brain.meeg(
        values,
        sample=names,
        stimulus=names,
        channel=["Fz", "Oz", "Cz"],
        time=np.arange(10) / 100,
        split=["train"] * 100 + ["test"] * 50,
    )
    found = nd.encoding.score({"s1": epochs, "s2": epochs}, {"c": space}, nd.RidgeEncoder(10.0))
    assert found.dims == ("layer", "channel", "time", "subject", "fold")
    r = found.isel(layer=0, subject=0, fold=0)
    planted = np.zeros((3, 10), dtype=bool)
    planted[1, 4:6] = True
    assert r.values[planted].min() > 0.7
    assert np.abs(r.values[~planted]).max() < 0.5
    one = nd.RidgeEncoder(10.0).fit(space, epochs[:100].sel(channel=["Oz"], time=[0.05]))
    predicted = one.predict(nd.labels.match(space, epochs[100:])).values.ravel()
    alone = stats.pearsonr(predicted, epochs[100:].sel(channel="Oz", time=0.05).values).statistic
    np.testing.assert_allclose(r.sel(channel="Oz", time=0.05), alone, rtol=1e-9)


def test_subjects_with_other_voxels_are_refused():
    responses, spaces = recording({"a": 3}, {"a": (1, 0)})
    other = responses.assign_coords(voxel=["x", "y"])
    with pytest.raises(ValueError, match="need a call each"):
        nd.encoding.score({"s1": responses, "s2": other}, spaces, nd.RidgeEncoder(1.0))


def test_scores_of_samples_are_refused():
    responses, spaces = recording({"a": 3}, {"a": (1, 0, 1)})
    with pytest.raises(ValueError, match="no value for every voxel or channel"):
        nd.encoding.score(responses, spaces, None, score="pattern")
    with pytest.raises(ValueError, match="score 'samples' has no value for every voxel or channel"):
        nd.encoding.score(responses, spaces, nd.RidgeEncoder(1.0), score=samples)


def samples(predicted, true):
    return predicted.mean("feature")


def test_folds_of_too_few_samples_are_refused_before_any_fit():
    responses, spaces = recording({"a": 3}, {"a": (1, 0, 1)})
    for folds, score, least in ((120, "r2", 2), (60, "profile", 3)):
        with pytest.raises(ValueError, match=f"test fewer than {least} samples"):
            nd.encoding.score(responses, spaces, None, folds=folds, score=score)
    assert (
        nd.encoding.score(responses, spaces, nd.RidgeEncoder(1.0), folds=60, score="r2").sizes["fold"] == 60
    )


# ----------------------------------------------------------------------------------------------------- best layers
def scores(values: np.ndarray, **coords) -> xr.DataArray:
    dims = ("layer", "voxel", "fold")[: np.ndim(values)]
    layers = [f"Linear-{2 * i + 2}" for i in range(len(values))]
    return xr.DataArray(values, {"layer": layers, **coords}, dims, attrs={"units": "Pearson r"})


def test_the_best_layer_is_named_where_it_is_clear():
    values = np.array([[0.5, 0.30, 0.05, np.nan], [0.2, 0.29, 0.01, np.nan], [0.1, 0.10, -0.2, np.nan]])
    found = nd.encoding.best_layer(scores(values), least=0.1, margin=0.05)
    np.testing.assert_array_equal(found["best"], [0, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found["margin"], [0.3, 0.01, 0.04, np.nan])
    np.testing.assert_allclose(found["score"], [0.5, 0.3, 0.05, np.nan])
    assert found["best"].attrs["levels"] == ["Linear-2", "Linear-4", "Linear-6"]
    free = nd.encoding.best_layer(scores(values), least=0.0)
    np.testing.assert_array_equal(free["best"], [0, 0, 0, np.nan])
    mask = xr.DataArray([False, True, True, True], dims="voxel")
    np.testing.assert_array_equal(
        nd.encoding.best_layer(scores(values), where=mask)["best"], [np.nan, 0, 0, np.nan]
    )
    floor = xr.DataArray([0.6, 0.2, 0.01, 0.0], dims="voxel")
    np.testing.assert_array_equal(
        nd.encoding.best_layer(scores(values), least=floor)["best"], [np.nan, 0, 0, np.nan]
    )


def test_ties_go_to_the_first_layer_and_a_lone_score_names_none():
    values = np.array([[0.5, 0.3, np.nan], [0.5, 0.4, 0.6], [0.1, 0.4, np.nan]])
    found = nd.encoding.best_layer(scores(values))
    np.testing.assert_array_equal(found["best"], [0, 1, np.nan])
    np.testing.assert_allclose(found["agreement"], 1)
    np.testing.assert_allclose(found["margin"], [0, 0, np.nan])
    np.testing.assert_allclose(found["score"], [0.5, 0.4, 0.6])


def test_folds_that_agree_are_counted():
    values = np.array(
        [[[0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.1, 0.1]], [[0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.2, 0.2]]]
    )
    found = nd.encoding.best_layer(scores(values))
    np.testing.assert_array_equal(found["best"], [0, 0])
    np.testing.assert_allclose(found["agreement"], [1.0, 0.25])


def test_planted_layers_are_found_and_noise_is_masked():
    responses, spaces = recording(
        {"a": 3, "b": 3, "c": 3}, {"a": (3, 0, 0, 0, 0), "b": (0, 3, 0, 0, 0), "c": (0, 0, 3, 0, 0)}
    )
    found = nd.encoding.score(responses, spaces, nd.RidgeEncoder(3.0))
    best = nd.encoding.best_layer(found, least=0.45, margin=0.1)["best"]
    np.testing.assert_array_equal(best, [0, 1, 2, np.nan, np.nan])


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (np.ones((1, 3)), {}, "at least 2 layers"),
        (np.ones((2, 3)), {"margin": -0.1}, "margin is a difference"),
        (np.ones((2, 3)), {"where": xr.DataArray(np.ones(3), dims="voxel")}, "where must be boolean"),
        (np.ones((2, 3)), {"least": xr.DataArray(np.ones(3), dims="channel")}, "needs the dimension"),
    ],
)
def test_best_layer_refuses(values, options, words):
    with pytest.raises(ValueError, match=words):
        nd.encoding.best_layer(scores(values), **options)


def test_masks_without_labels_are_refused():
    with pytest.raises(TypeError, match="where must be a labelled xarray.DataArray, not list"):
        nd.encoding.best_layer(scores(np.ones((2, 3))), where=[True] * 3)


# --------------------------------------------------------------------------------------------------------- figures
@pytest.fixture
def closed():
    plt = pytest.importorskip("matplotlib.pyplot")
    yield plt
    plt.close("all")


def cortical(levels: list[str] | None = None) -> xr.DataArray:
    """Neighbouring vertices in stripes of three levels and of none, on the left side."""
    from neurodecode.plot.mesh import hemisphere

    along = hemisphere("left").flat[:, 0]
    best = (along // 12 % 4).astype(float)
    best[best == 3] = np.nan
    return xr.DataArray(
        best,
        {
            "voxel": np.arange(best.size),
            "hemi": ("voxel", ["left"] * best.size),
            "vertex": ("voxel", np.arange(best.size)),
        },
        "voxel",
        attrs={
            "levels": levels or ["c", "Linear-2", "Linear-12"],
            "long_name": "best layer",
            "units": "layer",
        },
    )


def test_a_map_of_layers_has_their_colours_and_no_others(closed):
    from matplotlib.colors import to_rgb

    from neurodecode.plot.look import layer_colours

    figure = nd.plot.cortex(cortical())
    (bar,) = [ax for ax in figure.axes if ax.get_label() == "colour bar"]
    assert [t.get_text() for t in bar.get_xticklabels()] == ["c", "Linear-2", "Linear-12"]
    (flat,) = [ax for ax in figure.axes if ax.get_label() == "flat left"]
    corners = flat.collections[1].get_facecolor().reshape(-1, 3, 4)
    # A triangle has one colour: between two levels no third one is painted.
    assert (corners == corners[:, :1]).all()
    painted = {tuple(np.round(c[:3], 6)) for c in corners[:, 0]}
    names = {tuple(np.round(to_rgb(c), 6)) for c in layer_colours(["c", "Linear-2", "Linear-12"])}
    assert painted == names


def test_levels_that_are_not_there_are_refused(closed):
    with pytest.raises(ValueError, match="name 2 levels"):
        nd.plot.cortex(cortical(["c", "z"]))
    with pytest.raises(ValueError, match="no vmax and no threshold"):
        nd.plot.cortex(cortical(), vmax=1.0)


def test_levels_survive_a_file(tmp_path, closed):
    nd.save(cortical().rename("best"), tmp_path / "best.nc")
    nd.plot.cortex(nd.load(tmp_path / "best.nc"))


def test_encoding_over_time_is_drawn(closed):
    rng = np.random.default_rng(0)
    names = [f"img_{i}" for i in range(40)]
    spaces = {k: nd.brain.features(rng.normal(size=(40, 3)), stimulus=names) for k in "cz"}
    xyz = rng.normal(size=(8, 3))
    epochs = nd.brain.meeg(
        rng.normal(size=(40, 8, 5)),
        sample=names,
        stimulus=names,
        channel=[f"E{i}" for i in range(8)],
        time=np.arange(5) / 10,
        xyz=0.09 * xyz / np.linalg.norm(xyz, axis=1, keepdims=True),
        split=["train"] * 30 + ["test"] * 10,
    )
    found = nd.encoding.score({"s1": epochs, "s2": epochs}, spaces, nd.RidgeEncoder(1.0))
    ax = nd.plot.time_course(nd.inference.group(found.mean("channel", keep_attrs=True)))
    assert ax.get_xlabel() == "Time from onset (ms)"
    line = next(line for line in ax.lines if line.get_label() == "c")
    np.testing.assert_allclose(line.get_xdata(), [0, 100, 200, 300, 400])
    expected = found.sel(layer="c").mean(["channel", "subject", "fold"])
    np.testing.assert_allclose(line.get_ydata(), expected)
    mean = found.sel(layer="c").mean(["subject", "fold"], keep_attrs=True)
    assert len(nd.plot.topographies(mean, times=[0.1, 0.3]).axes) == 3
