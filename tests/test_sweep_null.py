"""The quick null of a sweep against the plain loop: scores, layouts, windows, what is kept, refused and resumed."""

from __future__ import annotations

import itertools
import runpy
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import PredefinedSplit

import neurodecode as nd
from neurodecode.solve.permuted import rank

WINDOWS = {"width": 0.03, "step": 0.02}


def people_of(repeats, side, block, *, channels=3, times=8, subjects=1, dtype=np.float64, twins=False):
    """Epochs of stimuli with these repeats, sides and blocks (stimulus), and features of two spaces."""
    rng = np.random.default_rng(1)
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(len(repeats)), repeats))
    names = np.array([f"i{k}" for k in range(len(repeats))])
    values = {name: rng.normal(size=(len(repeats), q)) + 3 for name, q in (("c", 6), ("z", 4))}
    if twins:  # test stimuli that differ in name alone tie
        values["c"][7::8] = values["c"][3::8]
    epochs = {}
    for s in range(subjects):
        data = rng.normal(size=(len(rows), channels, times))
        data += 0.3 * np.einsum("nf,fc->nc", values["c"][rows], rng.normal(size=(6, channels)))[:, :, None]
        epochs[f"s{s}"] = nd.brain.meeg(
            data.astype(dtype), sample=np.arange(len(rows)), stimulus=names[rows], run=np.array(block)[rows],
            channel=[f"c{i}" for i in range(channels)], time=np.arange(times) / 100,
            split=np.array(["train", "test"])[np.array(side)[rows]],
        )  # fmt: skip
    return epochs, {k: nd.brain.features(v.astype(dtype), stimulus=names) for k, v in values.items()}


def standard(**options):
    repeats = [1, 2, 3, 2] * 3 + [1, 2, 3, 1] * 3
    return people_of(repeats, [0, 0, 0, 1] * 6, [0] * 12 + [1] * 12, **options)


def both(epochs, features, decoder, *, n=4, blocks=None, seed=0, **settings):
    """The quick null and the plain one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="only .* orders exist")
        quick = nd.temporal.sweep_null(epochs, features, decoder, n=n, blocks=blocks, seed=seed, **settings)
        sweep = partial(nd.temporal.sweep, decoder=decoder, **settings)
        plain = nd.inference.null(sweep, epochs, features, n=n, blocks=blocks, seed=seed)
    return quick, plain


def same(quick, plain, tolerance=1e-9):
    assert quick.dims == plain.dims
    for name in ("permutation", "window", "start", "stop", "layer", "subject", "fold"):
        np.testing.assert_array_equal(quick[name], plain[name])
    np.testing.assert_allclose(quick.values, plain.values, atol=tolerance)
    assert {quick.attrs[k] == plain.attrs[k] for k in ("score", "units", "all", "distinct")} == {True}


@st.composite
def layouts(draw):
    """Stimuli with unequal repeats, blocks and sides; wide and narrow windows; folds or a fixed split."""
    k = draw(st.integers(12, 18))
    repeats = draw(st.lists(st.integers(1, 3), min_size=k, max_size=k))
    block = draw(st.lists(st.integers(0, 1), min_size=k, max_size=k))
    side = draw(st.permutations([0] * (k - 4) + [1] * 4))
    channels = draw(st.sampled_from([1, 3, 12]))  # more predictors than stimuli, than samples, or fewer
    return repeats, side, block, channels


@settings(max_examples=25, deadline=None)
@given(
    layouts(),
    st.sampled_from(["top1", "top2", "pairwise", "profile", "pattern", "r2"]),
    st.sampled_from([None, "run"]),
    st.sampled_from([None, 3]),
    st.sampled_from([{}, {"scheme": "growing"}, {"scheme": "shrinking"}]),
    st.booleans(),
)
def test_nulls_equal_a_plain_loop(layout, score, blocks, folds, scheme, standardise):
    repeats, side, block, channels = layout
    epochs, features = people_of(repeats, side, block, channels=channels)
    decoder = nd.RidgeDecoder(3.0, standardise=standardise)
    same(*both(epochs, features, decoder, score=score, blocks=blocks, folds=folds, **WINDOWS, **scheme))


def test_candidates_that_are_equal_tie_whatever_rounding_makes_of_them():
    rng = np.random.default_rng(0)
    tests, orders, m = 7, 3, 6
    same = rng.integers(0, 4, size=(orders, m))
    alike = rng.normal(size=(tests, orders, 4))[:, np.arange(orders)[:, None], same]
    more, right = rng.normal(size=(orders, 4))[np.arange(orders)[:, None], same], rng.integers(0, m, tests)
    noisy = alike + 1e-13 * rng.normal(size=alike.shape)
    better, tied = rank(noisy, more, right, same)
    plain = rank(alike, more, right)
    for t, b in np.ndindex(tests, orders):
        r = np.round(alike[t, b] + more[b], 12)
        assert better[t, b] == plain[0][t, b] == np.sum(r > r[right[t]])
        assert tied[t, b] == plain[1][t, b] == np.sum(r == r[right[t]])


@pytest.mark.parametrize("score", ["top1", "top5", "pairwise", "pattern"])
def test_equal_candidates_tie(score, monkeypatch):
    from neurodecode.temporal import nulls

    def rounded(alike, *others):
        return rank(alike + 1e-13 * np.random.default_rng(0).normal(size=alike.shape), *others)

    monkeypatch.setattr(nulls, "rank", rounded)
    quick, plain = both(*standard(twins=True), nd.RidgeDecoder(3.0), score=score, n=12, **WINDOWS)
    same(quick, plain)


def test_subjects_decoders_and_float32():
    epochs, features = standard(subjects=2, dtype=np.float32)
    decoders = {"c": nd.RidgeDecoder(3.0), "z": nd.RidgeDecoder(30.0)}
    quick, plain = both(epochs, features, decoders, score="pairwise", n=20, **WINDOWS)
    same(quick, plain, tolerance=0.02)  # one pair of near-equal candidates may change places in float32
    assert np.mean(np.abs(quick.values - plain.values) > 1e-9) < 0.01
    same(*both(epochs, features, decoders, score="profile", **WINDOWS), tolerance=1e-5)


def test_where_float32_is_too_inaccurate_float64_is_taken():
    epochs, features = standard(dtype=np.float32)
    one = epochs["s0"]
    nearly = one.copy(data=one.values[:, :1] + np.float32(1e-4) * one.values)
    same(*both(nearly, features, nd.RidgeDecoder(1e-5), score="profile", **WINDOWS), tolerance=1.5e-5)


@pytest.mark.parametrize("score", ["profile", "r2", "top1"])
def test_features_that_are_constant_in_training_or_test(score):
    epochs, features = standard()
    side = np.array([0, 0, 0, 1] * 6)
    space = features["c"].copy()
    space.values[side == 0, 0] = 0.1
    space.values[side == 1, 1] = 0.7
    space.values[:, 2] = 0.3
    same(*both(epochs, {"c": space}, nd.RidgeDecoder(3.0), score=score, **WINDOWS))


@pytest.mark.parametrize("score", ["accuracy", lambda p, t: np.abs(p - t).mean(), nd.score.against(k=2)])
def test_other_scores(score):
    epochs, features = standard()
    if score == "accuracy":
        names = features["c"].stimulus.values
        one_hot = np.eye(3)[np.arange(len(names)) % 3]
        features = {"c": nd.brain.features(one_hot, stimulus=names)}
    same(*both(epochs, features, nd.RidgeDecoder(3.0), score=score, **WINDOWS))


@pytest.mark.parametrize("score", ["top1", "profile"])
def test_kept_decoders_are_scored_on_test_stimuli_that_changed_places(score):
    epochs, features = standard()
    quick = nd.temporal.sweep_null(
        epochs, features, nd.RidgeDecoder(3.0), refit=False, n=5, score=score, **WINDOWS
    )
    one = epochs["s0"]
    train, test = (one[one["split"].values == side] for side in ("train", "test"))
    orders = nd.inference.shuffles(epochs, n=5)
    function = nd.score.named(score).function
    for w, (a, b) in enumerate(zip(quick.start.values, quick.stop.values, strict=True)):
        cut = [part.sel(time=slice(a - 1e-6, b + 1e-6)) for part in (train, test)]
        predicted = nd.RidgeDecoder(3.0).fit(cut[0], features["c"]).predict(cut[1])
        for p, order in enumerate(orders):
            table = dict(zip(order.stimulus.values, order.values, strict=True))
            rows = [table[s] for s in features["c"].stimulus.values]
            moved = features["c"].copy(data=features["c"].sel(stimulus=rows).values)
            expected = float(function(predicted, nd.labels.match(moved, test)).mean())
            assert quick.sel(layer="c").values[p, w, 0, 0] == pytest.approx(expected, abs=1e-9)
    refitted = nd.temporal.sweep_null(epochs, features, nd.RidgeDecoder(3.0), n=5, score=score, **WINDOWS)
    assert (refitted.values != quick.values).any()


def test_of_kept_decoders_the_test_stimulis_orders_alone_count():
    epochs, features = people_of([1, 2] * 5, [0] * 7 + [1] * 3, [0] * 10)
    call = partial(nd.temporal.sweep_null, epochs, features, nd.RidgeDecoder(3.0), refit=False, **WINDOWS)
    with pytest.warns(UserWarning, match=r"only 6 orders exist .* smallest possible p is 0\.167"):
        found = call(n=30)
    assert (found.attrs["distinct"], found.attrs["all"], found.sizes["permutation"]) == (6, 1, 5)
    one = epochs["s0"]
    train, test = (one[one["split"].values == side] for side in ("train", "test"))
    a, b = found.start.values[0], found.stop.values[0]
    cut = [part.sel(time=slice(a - 1e-6, b + 1e-6)) for part in (train, test)]
    predicted = nd.RidgeDecoder(3.0).fit(cut[0], features["c"]).predict(cut[1])
    shown = np.unique(test.stimulus.values)
    every = []
    for order in list(itertools.permutations(shown))[1:]:
        moved = features["c"].sel(stimulus=list(order)).assign_coords(stimulus=shown)
        every.append(float(nd.score.named("top1").function(predicted, nd.labels.match(moved, test)).mean()))
    np.testing.assert_allclose(sorted(found.sel(layer="c").values[:, 0].ravel()), sorted(every))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="only 6 orders exist")
        few = call(n=4)
    assert (few.attrs["distinct"], few.attrs["all"], few.sizes["permutation"]) == (6, 0, 4)


def test_what_cannot_be_is_refused_before_work():
    epochs, features = standard()
    call = partial(nd.temporal.sweep_null, epochs, features, n=3, **WINDOWS)
    with pytest.raises(ValueError, match=r"refit=False keeps decoders, but with folds=3"):
        call(nd.RidgeDecoder(), folds=3, refit=False)
    # A splitter's only fold has no sides either.
    one = PredefinedSplit(np.where(epochs["s0"]["split"].values == "test", 0, -1))
    with pytest.raises(ValueError, match=r"folds=PredefinedSplit.* give one split \(train"):
        call(nd.RidgeDecoder(), folds=one, refit=False)
    for other in (
        nd.RidgeDecoder([1, 2]),
        nd.RidgeDecoder(n_voxels=2),
        nd.RidgeDecoder(intercept="penalised"),
    ):
        with pytest.raises(
            ValueError, match=r"on all predictors with one alpha .*inference\.null takes any decoder"
        ):
            call(other)
    by_sample = nd.labels.match(features["c"], epochs["s0"])
    with pytest.raises(ValueError, match="which must be \\(stimulus, feature\\)"):
        nd.temporal.sweep_null(epochs, by_sample, nd.RidgeDecoder(), n=3, **WINDOWS)


def test_what_would_not_fit_is_refused(memory_left):
    epochs, features = standard()
    memory_left(2**20)
    with pytest.raises(MemoryError, match=r"permutations of 3 windows, 1 fold\(s\), 24 stimuli"):
        nd.temporal.sweep_null(epochs, features, nd.RidgeDecoder(), n=3, **WINDOWS)


def test_a_run_goes_on_from_its_pieces(tmp_path, monkeypatch):
    from neurodecode.temporal import nulls

    epochs, features = standard(subjects=2)
    call = partial(nd.temporal.sweep_null, epochs, features, nd.RidgeDecoder(3.0), n=7, **WINDOWS)
    whole = call()
    monkeypatch.setattr(nulls, "PIECE", 3)
    scored, made = nulls._Nulls.scores, []

    def stopping(self, orders):
        made.append(orders.sizes["permutation"])
        if len(made) == 5:
            raise KeyboardInterrupt
        return scored(self, orders)

    monkeypatch.setattr(nulls._Nulls, "scores", stopping)
    with pytest.raises(KeyboardInterrupt):
        call(resume=tmp_path / "a")
    made.clear()
    found = call(resume=tmp_path / "a")
    assert made == [3, 1]  # of the second subject, whose first piece was there
    np.testing.assert_allclose(found, whole, atol=1e-12)
    with pytest.raises(ValueError, match="begun with another key"):
        call(resume=tmp_path / "a", refit=False)


def test_p_of_the_planted_space_is_small_and_its_methods_are_told():
    epochs, features = standard(subjects=3)
    settings = {"decoder": nd.RidgeDecoder(3.0), "score": "pairwise", **WINDOWS}
    scores = nd.temporal.sweep(epochs, features, **settings)
    null = nd.temporal.sweep_null(epochs, features, n=99, **settings)
    found = nd.inference.permutation(scores, null, family="window")
    assert found["significant"].sel(layer="c").all()
    assert float(found["p"].sel(layer="c").max()) == 0.01
    assert not found["significant"].sel(layer="z").any()
    text = nd.methods.paragraph(null)
    assert "sliding windows of 0.03 s" in text
    assert "in 99 random orders, within each side of the split, and all of it was repeated in each." in text
    assert isinstance(null, xr.DataArray)


def test_the_bench_refuses_a_case_that_is_none(monkeypatch, capsys):
    bench = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "permutations.py"))
    monkeypatch.setattr("sys.argv", ["permutations.py", "stimulus", "top1"])
    with pytest.raises(SystemExit) as stopped:
        bench["main"]()
    assert stopped.value.code == 2
    assert (
        "there is no case stimulus top1; there are stimuli top1, stimuli pairwise" in capsys.readouterr().err
    )
    monkeypatch.setattr("sys.argv", ["permutations.py", "top1"])
    assert [case[:2] for case in bench["arguments"]().cases] == [("stimuli", "top1")] * 2 + [
        ("trials", "top1")
    ]
