"""When: windows on any sampling rate, scikit-learn's plain loop, MNE's estimators, planted peaks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from mne.decoding import GeneralizingEstimator, LinearModel, SlidingEstimator, get_coef
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neurodecode as nd
from neurodecode import temporal
from neurodecode.temporal import windows

RATE = 100
TIME = np.arange(-10, 40) / RATE


def epochs(
    seed: int = 0, *, n: int = 80, channels: int = 6, subject: str = "s1", gain: float = 1.0
) -> tuple[xr.DataArray, dict[str, xr.DataArray]]:
    """Simulated: ``early`` peaks at 100 ms, ``late`` at 250 ms, both with a width (SD) of 25 ms."""
    rng = np.random.default_rng(seed)
    names = np.array([f"img_{i:03d}" for i in range(n)])
    spaces = {"early": rng.normal(size=(n, 3)), "late": rng.normal(size=(n, 3))}
    noise = np.random.default_rng(seed + sum(map(ord, subject)))
    values = noise.normal(size=(n, channels, TIME.size))
    for peak, truth in ((0.1, spaces["early"]), (0.25, spaces["late"])):
        course = np.exp(-0.5 * ((TIME - peak) / 0.025) ** 2)
        values += gain * 2 * (truth @ noise.normal(size=(3, channels)))[:, :, None] * course
    made = nd.brain.meeg(
        values, sample=names, stimulus=names, channel=[f"E{i}" for i in range(channels)], time=TIME, kind="eeg",
        xyz=noise.normal(size=(channels, 3)) * 0.1, split=np.where(np.arange(n) < 60, "train", "test"),
        run=np.arange(n) % 4, subject=subject, units="uV",
    )  # fmt: skip
    return made, {k: nd.brain.features(v, stimulus=names) for k, v in spaces.items()}


def at(laid: xr.Dataset) -> list[slice]:
    """Samples of every window, found from its recorded edges alone."""
    return [
        slice(int(np.argmin(abs(TIME - a))), int(np.argmin(abs(TIME - b))) + 1)
        for a, b in zip(laid.start.values, laid.stop.values, strict=True)
    ]


def pipeline(alpha: float):
    return make_pipeline(StandardScaler(), Ridge(alpha=alpha))


# ---------------------------------------------------------------- windows


@pytest.mark.parametrize("rate", [100, 200, 250, 256, 1000, 512.5])
@pytest.mark.parametrize(("width", "step"), [(0.1, 0.025), (0.05, 0.05), (0.1, 0.01)])
def test_windows_lie_on_samples_as_near_as_can_be(rate, width, step):
    time = np.arange(-int(0.2 * rate), int(0.8 * rate)) / rate
    laid = windows(time, width=width, step=step)
    assert len(set(laid["size"].values.tolist())) == 1
    assert abs(laid["size"].values[0] / rate - width) <= 0.5 / rate + 1e-9
    # The k-th window begins at the sample nearest to k steps: rounding does not add up.
    asked = time[0] + np.arange(laid.sizes["window"]) * step
    assert np.abs(laid.start.values - asked).max() <= 0.5 / rate + 1e-9
    np.testing.assert_array_equal(laid.start, time[laid["first"].values])
    np.testing.assert_array_equal(laid.stop, time[laid["first"].values + laid["size"].values - 1])
    members = [time[f : f + s] for f, s in zip(laid["first"].values, laid["size"].values, strict=True)]
    np.testing.assert_allclose(laid.window, [m.mean() for m in members], atol=1e-8)
    assert laid.stop.values[-1] <= time[-1]
    # No window more would fit.
    assert round(laid.sizes["window"] * step * rate + 1e-9) + laid["size"].values[0] > time.size
    assert laid.window.attrs["units"] == laid.start.attrs["units"] == "s"


def test_windows_of_the_paper_at_100_hz():
    laid = windows(np.arange(-20, 80) / 100, width=0.1, step=0.1)
    assert laid["size"].values.tolist() == [10] * 10
    np.testing.assert_allclose(laid.start, np.arange(-2, 8) / 10, atol=1e-12)
    np.testing.assert_allclose(laid.stop, np.arange(-2, 8) / 10 + 0.09, atol=1e-12)
    single = windows(np.arange(50) / 250, width=0.004, step=0.004)
    assert single["size"].values.tolist() == [1] * 50
    whole = windows(np.arange(50) / 250, width=0.2, step=0.025)
    assert whole.sizes["window"] == 1
    # Of one window no step is too long, not even a whole number beyond NumPy's.
    assert windows(np.arange(50) / 250, width=0.2, step=10**30).sizes["window"] == 1
    assert windows(np.arange(50) / 250, width=0.1, step=0.2).sizes["window"] == 1


def test_growing_windows_share_a_start_and_shrinking_ones_an_end():
    growing = windows(TIME, width=0.1, step=0.1, scheme="growing")
    np.testing.assert_allclose(growing.start, 0.0, atol=1e-12)  # onset, not the baseline
    np.testing.assert_allclose(growing.stop, [0.09, 0.19, 0.29, 0.39])
    shrinking = windows(TIME, width=0.1, step=0.1, scheme="shrinking")
    np.testing.assert_allclose(shrinking.start, [0, 0.1, 0.2, 0.3], atol=1e-12)
    np.testing.assert_allclose(shrinking.stop, 0.39)
    before = windows(TIME, width=0.1, step=0.1, scheme="growing", tmin=-0.1)
    np.testing.assert_allclose(before.start, -0.1)
    limited = windows(TIME, width=0.1, step=0.1, tmin=0.0, tmax=0.24)
    np.testing.assert_allclose(limited.start, [0.0, 0.1], atol=1e-12)
    np.testing.assert_allclose(limited.stop, [0.09, 0.19])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 1.0}, r"width=1 s is longer than the data, 0\.5 s \(50 samples\)$"),
        ({"width": 100}, "longer than the data.*is it in milliseconds"),
        ({"width": 0.004}, r"width=0\.004 s is shorter than one sample \(0\.01 s at 100 Hz\)"),
        ({"width": 0}, "shorter than one sample"),
        ({"width": np.nan}, "shorter than one sample"),
        ({"step": 0.004}, r"step=0\.004 s is shorter than one sample"),
        ({"step": -0.1}, "step"),
        ({"step": 25}, r"step=25 s is longer than the data, 0\.5 s \(50 samples\); is it in milliseconds"),
        ({"step": 0.6}, r"step=0\.6 s is longer than the data, 0\.5 s \(50 samples\)$"),
        ({"step": 10**30}, r"step=1e\+30 s is longer than the data"),
        ({"step": 0.3, "tmin": 0.2}, r"step=0\.3 s is longer than the data, 0\.2 s"),
        ({"scheme": "rolling"}, "unknown scheme 'rolling'.*'sliding', 'growing', 'shrinking'"),
        ({"tmin": 2.0}, r"no sample lies from tmin=2\.0 to tmax=None s; the data run from -0\.1 to 0\.39"),
        ({"tmin": 0.2, "tmax": 0.1}, "no sample lies"),
        ({"tmin": 0.35}, r"longer than the data, 0\.05 s"),
    ],
)
def test_impossible_windows(options, words):
    with pytest.raises(ValueError, match=words):
        windows(TIME, **options)
    data, features = epochs()
    if set(options) != {"scheme"}:
        with pytest.raises(ValueError, match=words):
            temporal.generalise(data, features, nd.RidgeDecoder(), **options)
    with pytest.raises(ValueError, match=words):
        temporal.sweep(data, features, nd.RidgeDecoder(), **options)


def test_time_axes_that_are_not_even_seconds():
    with pytest.raises(ValueError, match=r"shorter than one sample \(10 s at 0.1 Hz\).*milliseconds.*1000"):
        windows(TIME * 1000)
    for time in ([0, 0.1, 0.3], [0, 0.1, 0.1], [0.2, 0.1, 0.0], [0, np.nan, 0.2]):
        with pytest.raises(ValueError, match="evenly spaced"):
            windows(np.array(time))
    with pytest.raises(ValueError, match="at least 2 samples"):
        windows(np.array([0.1]))
    data, features = epochs()
    with pytest.raises(ValueError, match="milliseconds"):
        temporal.sweep(data.assign_coords(time=TIME * 1000), features, nd.RidgeDecoder())


# ---------------------------------------------------------------- sweep


@pytest.mark.parametrize("scheme", ["sliding", "growing", "shrinking"])
def test_sweep_equals_the_plain_scikit_learn_loop(scheme):
    data, features = epochs()
    options = {"width": 0.05, "step": 0.05, "scheme": scheme, "folds": KFold(4), "score": "profile"}
    found = temporal.sweep(data, features, nd.RidgeDecoder(alpha=20.0), **options)
    laid = windows(TIME, width=0.05, step=0.05, scheme=scheme)
    assert found.dims == ("window", "layer", "subject", "fold")
    expected = np.empty(found.shape)
    for w, part in enumerate(at(laid)):
        x = data.values[:, :, part].reshape(80, -1)
        for layer, space in enumerate(features.values()):
            for f, (train, test) in enumerate(KFold(4).split(x)):
                y = space.values
                predicted = pipeline(20.0).fit(x[train], y[train]).predict(x[test])
                r = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, y[test].T, strict=True)]
                expected[w, layer, 0, f] = np.mean(r)
    np.testing.assert_allclose(found.values, expected, rtol=1e-7, atol=1e-10)
    for name in ("window", "start", "stop"):
        np.testing.assert_array_equal(found[name], laid[name])
    assert found.window.attrs["units"] == "s"


def test_sweep_equals_mnes_sliding_estimator():
    data, features = epochs()
    one = features["early"][:, :1]
    found = temporal.sweep(
        data, one, nd.RidgeDecoder(alpha=5.0), width=1 / RATE, step=1 / RATE, score="r2"
    ).squeeze(["layer", "subject", "fold"])
    y = one.values[:, 0]
    slider = SlidingEstimator(pipeline(5.0), scoring="r2", verbose="error").fit(data.values[:60], y[:60])
    np.testing.assert_allclose(found, slider.score(data.values[60:], y[60:]), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.window, TIME, atol=1e-9)


def test_a_planted_effect_is_found_in_its_window_and_nowhere_else():
    data = {s: epochs(subject=s, gain=1.5) for s in ("s1", "s2")}
    scores = temporal.sweep(
        {s: d[0] for s, d in data.items()}, data["s1"][1], nd.RidgeDecoder(alpha=10.0), width=0.05, step=0.01,
        score="profile",
    )  # fmt: skip
    mean = scores.mean(["subject", "fold"])
    for layer, peak in (("early", 0.1), ("late", 0.25)):
        course = mean.sel(layer=layer)
        assert abs(course.window[course.argmax("window")].item() - peak) <= 0.025
        assert course.max() > 0.7
        outside = course[(course.stop < peak - 0.09) | (course.start > peak + 0.09)]
        assert abs(outside.mean()) < 0.1
        assert outside.max() < 0.45


def test_shuffled_labels_identify_at_chance():
    data, features = epochs(gain=3.0, n=200)
    data = data.isel(time=slice(10, 30))  # 0 to 190 ms
    rng = np.random.default_rng(0)
    wrong = {k: v.assign_coords(stimulus=rng.permutation(v.stimulus.values)) for k, v in features.items()}
    options = {"width": 0.05, "step": 0.05, "folds": 4, "score": "top5"}
    right = temporal.sweep(data, features, nd.RidgeDecoder(alpha=10.0), **options)
    shuffled = temporal.sweep(data, wrong, nd.RidgeDecoder(alpha=10.0), **options)
    assert right.attrs["chance"] == shuffled.attrs["chance"] == 5 / 50
    assert right.max() > 0.5
    assert abs(shuffled.mean().item() - 0.1) < 0.03


def test_chance_of_another_candidate_set():
    data, features = epochs()
    candidates = features["early"].isel(stimulus=slice(55, 80))
    found = temporal.sweep(
        data,
        features["early"],
        nd.RidgeDecoder(),
        width=0.1,
        step=0.1,
        score=nd.score.against(candidates, k=3),
    )
    assert found.attrs["chance"] == 3 / 25
    assert found.attrs["score"] == "top3"


def test_subjects_with_other_time_axes_are_refused_before_any_fit(monkeypatch):
    monkeypatch.setattr(nd.RidgeDecoder, "fit", lambda *_: pytest.fail("fitted before the check"))
    a, features = epochs(subject="s1")
    b = epochs(subject="s2")[0]
    for other in (b.isel(time=slice(0, 40)), b.assign_coords(time=TIME + 0.01)):
        for analysis in (temporal.sweep, temporal.generalise, temporal.patterns):
            with pytest.raises(
                ValueError, match="1 of 2 subjects have another time axis than subject 's1': 's2'"
            ):
                analysis([a, other], features, nd.RidgeDecoder())
    with pytest.raises(ValueError, match="needs the dimension"):
        temporal.sweep(a.rename(time="t"), features, nd.RidgeDecoder())
    bad = a.copy()
    bad[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="subject 's1' has 1 NaN.*channel E2"):
        temporal.sweep(bad, features, nd.RidgeDecoder())
    with pytest.raises(ValueError, match="unknown score"):
        temporal.sweep(a, features, nd.RidgeDecoder(), score="top0")


# ---------------------------------------------------------------- generalise


@pytest.mark.parametrize("score", ["r2", "profile"])
def test_generalise_equals_mnes_generalizing_estimator(score):
    data, features = epochs()
    data = data[:, :, ::5]  # 20 Hz
    one = features["late"][:, :1]
    y = one.values[:, 0]
    found = temporal.generalise(data, one, nd.RidgeDecoder(alpha=5.0), width=0.05, step=0.05, score=score)
    assert found.dims == ("train_window", "test_window", "layer", "subject", "fold")
    values = found.squeeze(["layer", "subject", "fold"]).values
    general = GeneralizingEstimator(pipeline(5.0), scoring="r2", verbose="error").fit(
        data.values[:60], y[:60]
    )
    if score == "r2":
        expected = general.score(data.values[60:], y[60:])
    else:
        predicted = general.predict(data.values[60:])
        expected = np.array(
            [[np.corrcoef(predicted[:, i, j], y[60:])[0, 1] for j in range(10)] for i in range(10)]
        )
    np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-9)
    for side in ("train", "test"):
        for edge in ("window", "start", "stop"):
            np.testing.assert_allclose(found[f"{side}_{edge}"], TIME[::5], atol=1e-9)


def test_the_diagonal_of_generalise_is_the_sweep():
    data, features = epochs()
    options = {"width": 0.1, "step": 0.1, "folds": "run", "score": "profile"}
    square = temporal.generalise([data], features, nd.RidgeDecoder(n_voxels=9), **options)
    line = temporal.sweep([data], features, nd.RidgeDecoder(n_voxels=9), **options)
    for i in range(line.sizes["window"]):
        np.testing.assert_allclose(square[i, i].values, line[i].values, rtol=1e-10)
    assert square.fold.values.tolist() == ["run=0", "run=1", "run=2", "run=3"]


class OneByOne(nd.RidgeDecoder):
    """The same ridge, of which windows cannot know that they may share it: every window is fitted on its own."""


@pytest.mark.parametrize("scheme", ["sliding", "growing", "shrinking"])
@pytest.mark.parametrize("width", [0.05, 0.2])  # 30 predictors (primal), 120 (dual)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-9), (np.float32, 1e-4)])
@pytest.mark.parametrize("standardise", [True, False])
def test_windows_that_share_score_as_windows_one_by_one(scheme, width, dtype, rtol, standardise):
    data, features = epochs()
    data = (data + 40.0).astype(dtype)  # an offset
    data[:, 2, 7:19] = 3.0  # a channel that is constant for a while
    options = {"width": width, "step": 0.03, "folds": "run", "score": "profile", "scheme": scheme}
    shared, single = (
        temporal.sweep(data, features, decoder(alpha=7.0, standardise=standardise), **options)
        for decoder in (nd.RidgeDecoder, OneByOne)
    )
    np.testing.assert_allclose(shared, single, rtol=rtol, atol=rtol)
    xr.testing.assert_equal(shared.drop_attrs() * 0, single.drop_attrs() * 0)  # the same labels


def test_float32_windows_give_way_to_float64_where_they_would_be_inaccurate():
    """Channels that nearly repeat each other under a tiny penalty."""
    data, features = epochs()
    data = data.copy(data=data.values[:, :1] + 1e-3 * data.values).astype(np.float32)
    options = {"width": 0.05, "step": 0.05, "score": "profile"}
    found, exact = (
        temporal.sweep(a, features, nd.RidgeDecoder(alpha=1e-4), **options)
        for a in (data, data.astype(float))
    )
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_whole_numbers_are_fitted_as_such():
    data, features = epochs()
    counts, classes = (data * 20).round(), {"late": (features["late"] * 3).round()}
    options = {"width": 0.05, "step": 0.05, "score": "profile"}
    found, exact = (
        temporal.sweep(
            counts.astype(t), {k: v.astype(t) for k, v in classes.items()}, nd.RidgeDecoder(), **options
        )
        for t in (np.int16, np.float64)
    )
    np.testing.assert_allclose(found, exact, rtol=1e-9)


@pytest.mark.parametrize("width", [0.05, 0.2])
def test_generalising_by_sharing_equals_one_by_one(width):
    data, features = epochs()
    options = {"width": width, "step": 0.06, "score": "top1"}
    shared, single = (
        temporal.generalise(data + 40.0, features, decoder(alpha=7.0), **options)
        for decoder in (nd.RidgeDecoder, OneByOne)
    )
    np.testing.assert_allclose(shared, single, rtol=1e-9)


def test_what_windows_share_is_computed_once(monkeypatch):
    """Sliding by a quarter of a window: of each further window only a quarter of the samples is multiplied."""
    from neurodecode.temporal import shared

    data, features = epochs()
    made = []
    before = shared.SharedRidge.products
    monkeypatch.setattr(
        shared.SharedRidge, "products", lambda self, x, new: made.append(new) or before(self, x, new)
    )
    temporal.sweep(data, features["late"], nd.RidgeDecoder(), width=0.08, step=0.02, score="profile")
    sizes = [new.stop - new.start for new in made]
    assert sizes[0] == 8 * 6
    assert set(sizes[1:]) == {2 * 6}


# ---------------------------------------------------------------- patterns


def test_patterns_of_single_samples_equal_mnes():
    data, features = epochs()
    one = features["early"][:, :1]
    found = temporal.patterns(
        data, one, nd.RidgeDecoder(alpha=5.0, standardise=False), width=1 / RATE, step=1 / RATE, reduce="mean",
        units="original",
    )  # fmt: skip
    assert found.dims == ("window", "channel", "layer", "subject")
    x, y = data.values[:60], one.values[:60, 0]
    slider = SlidingEstimator(LinearModel(Ridge(alpha=5.0)), verbose="error").fit(x, y)
    theirs, filters = get_coef(slider, "patterns_"), get_coef(slider, "filters_")
    # MNE leaves a single target's pattern as Cov(x) w; the textbook divides by the variance of the decoded target.
    power = np.array([(x[:, :, t] @ filters[:, t]).var(ddof=1) for t in range(TIME.size)])
    np.testing.assert_allclose(found.squeeze(["layer", "subject"]), (theirs / power).T, rtol=1e-6, atol=1e-9)
    assert found.kind.values.tolist() == ["eeg"] * 6
    assert {"x", "y", "z", "start", "stop"} <= set(found.coords)
    assert found.attrs["kind"] == "pattern"
    assert "subject" not in found.attrs
    assert nd.store.provenance(found)["what"] == "temporal.patterns"


def test_a_planted_topography_is_found_at_its_time():
    rng = np.random.default_rng(0)
    names = np.arange(400)
    truth = rng.normal(size=400)
    planted = np.array([2.0, 0.0, -1.0, 0.5])
    values = rng.normal(size=(400, 4, TIME.size))
    peak = (TIME >= 0.1) & (TIME < 0.2)
    values[:, :, peak] += truth[:, None, None] * planted[None, :, None]
    data = nd.brain.meeg(values, sample=names, stimulus=names, channel=list("abcd"), time=TIME, split="train")
    found = temporal.patterns(
        data, nd.brain.features(truth[:, None], stimulus=names), nd.RidgeDecoder(alpha=1.0), width=0.1, step=0.1,
        reduce="mean", units="original",
    ).squeeze()  # fmt: skip
    at_peak = found.sel(window=0.145, method="nearest").values
    np.testing.assert_allclose(at_peak, planted, atol=0.2)
    assert np.corrcoef(found.sel(window=-0.055, method="nearest").values, planted)[0, 1] < 0.9


def test_patterns_errors_before_any_fit(monkeypatch):
    a, features = epochs()
    monkeypatch.setattr(nd.RidgeDecoder, "fit", lambda *_: pytest.fail("fitted before the check"))
    for options, words in (
        ({"kind": "weights"}, "unknown kind 'weights'"),
        ({"reduce": "max"}, "unknown reduce 'max'"),
        ({"units": "z"}, "unknown units 'z'"),
        ({"train": "learn"}, "'learn' is no value of 'split'"),
        ({"width": 5.0}, "longer than the data"),
    ):
        with pytest.raises(ValueError, match=words):
            temporal.patterns(a, features, nd.RidgeDecoder(), **options)
    b = epochs(subject="s2")[0].isel(channel=slice(1, None))
    with pytest.raises(ValueError, match=r"subject 's1' has 6 'channel' labels and .*'s2' has 5"):
        temporal.patterns([a, b], features, nd.RidgeDecoder())


# ---------------------------------------------------------------- resume, past one subject


@pytest.mark.parametrize("analysis", [temporal.sweep, temporal.generalise])
def test_a_stopped_run_goes_on_and_a_changed_one_is_refused(analysis, tmp_path, monkeypatch):
    subjects = {"s1": epochs()[0], "s2": epochs(subject="s2")[0]}
    features = epochs()[1]
    options = {"width": 0.1, "step": 0.1, "score": "profile"}
    expected = analysis(subjects, features, nd.RidgeDecoder(), **options)
    folder = tmp_path / "run"
    save, saved = nd.store.Pieces.save, []

    def stopped(self, name, array):
        if len(saved) == 7:
            raise KeyboardInterrupt
        saved.append(name)
        return save(self, name, array)

    monkeypatch.setattr(nd.store.Pieces, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        analysis(subjects, features, nd.RidgeDecoder(), resume=folder, **options)
    assert len(list(folder.glob("*.nc"))) == 7
    monkeypatch.setattr(nd.store.Pieces, "save", save)
    found = analysis(subjects, features, nd.RidgeDecoder(), resume=folder, **options)
    xr.testing.assert_identical(found.assign_attrs(provenance=""), expected.assign_attrs(provenance=""))
    ids = subjects["s1"].sample.values
    for other in ({"step": 0.2}, {"tmax": 0.38}, {"score": "pattern"}, {"train": ids[20:], "test": ids[:20]}):
        with pytest.raises(ValueError, match="begun with another key"):
            analysis(subjects, features, nd.RidgeDecoder(), resume=folder, **{**options, **other})


def test_an_end_that_moves_less_than_a_step_is_another_run(tmp_path):
    data, features = epochs()
    options = {
        "width": 0.1,
        "step": 0.1,
        "scheme": "shrinking",
        "score": "profile",
        "resume": tmp_path / "run",
    }
    temporal.sweep(data, features, nd.RidgeDecoder(), tmax=0.25, **options)
    with pytest.raises(ValueError, match="begun with another key"):
        temporal.sweep(data, features, nd.RidgeDecoder(), tmax=0.27, **options)
