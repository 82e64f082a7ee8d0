"""Permutation tests: what may change places, p against plain loops, p under the null, and what breaks both."""

from __future__ import annotations

import itertools
import sys
import warnings
from collections import Counter
from functools import partial

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

import neurodecode as nd
from neurodecode import inference


def labelled(stimulus, values=None, **coords) -> xr.DataArray:
    """Responses (sample, voxel) with these labels; noise, unless values are given."""
    n = len(stimulus)
    values = np.random.default_rng(0).normal(size=(n, 4)) if values is None else values
    return nd.brain.fmri(values, sample=range(n), stimulus=stimulus, **coords)


def features_of(names, q=5, seed=1) -> xr.DataArray:
    return nd.brain.features(
        np.random.default_rng(seed).normal(size=(len(names), q)), stimulus=np.array(names)
    )


def quiet(function, *args, **options):
    """Call without the warning that there are few orders."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="only .* orders exist")
        return function(*args, **options)


@st.composite
def layouts(draw):
    """Stimuli with unequal repeats, each in one block and on one side, samples in any order."""
    k = draw(st.integers(4, 12))
    block, side = (draw(st.lists(st.integers(0, 1), min_size=k, max_size=k)) for _ in range(2))
    repeats = draw(st.lists(st.integers(1, 3), min_size=k, max_size=k))
    rows = draw(st.permutations(list(np.repeat(range(k), repeats))))
    return np.array(block), np.array(side), np.array(rows)


# ---------------------------------------------------------------- what may change places
@settings(max_examples=40, deadline=None)
@given(layouts(), st.integers(0, 99))
def test_stimuli_change_places_within_block_and_side_alone(layout, seed):
    block, side, rows = layout
    one = labelled(rows, run=block[rows], split=np.array(["train", "test"])[side[rows]])
    groups = Counter(zip(block[rows], side[rows], strict=True))
    if all(
        len({s for s in rows if (block[s], side[s]) == g}) < 2 for g in groups
    ):  # nothing can change places
        with pytest.raises(ValueError, match="nothing can change places"):
            inference.shuffles(one, blocks="run")
        return
    found = quiet(inference.shuffles, one, n=20, blocks="run", seed=seed)
    here = found.stimulus.values
    for order in found.values:
        assert sorted(order) == sorted(here)
        np.testing.assert_array_equal(block[order], block[here])
        np.testing.assert_array_equal(side[order], side[here])
    free = quiet(inference.shuffles, one, n=200, folds=3, seed=seed)
    assert any((side[order] != side[here]).any() for order in free.values) or len(set(side[here])) == 1


def test_all_orders_are_there_once_where_fewer_exist_than_asked_for():
    one = labelled([*"abcdef"], run=[1, 1, 1, 2, 2, 2])
    found = quiet(inference.shuffles, one, n=100, blocks="run")
    wanted = {(*a, *b) for a in itertools.permutations("abc") for b in itertools.permutations("def")} - {
        tuple("abcdef")
    }
    assert Counter(map(tuple, found.values.tolist())) == Counter(wanted)
    assert (found.attrs["all"], found.attrs["distinct"]) == (1, 36)
    fewer = inference.shuffles(one, n=34, blocks="run")
    assert (fewer.sizes["permutation"], fewer.attrs["all"]) == (34, 0)
    many = inference.shuffles(labelled(range(2000)), n=2)
    assert many.attrs["distinct"] == 10**15
    xr.testing.assert_identical(
        many.drop_attrs(), inference.shuffles(labelled(range(2000)), n=2).drop_attrs()
    )


def test_stimuli_are_in_orders_as_they_are_named():
    mixed = np.array([1, "1", 2, "b"], dtype=object)
    found = quiet(inference.shuffles, labelled(range(4)).assign_coords(stimulus=("sample", mixed)), n=99)
    assert found.stimulus.values.tolist() == mixed.tolist()
    assert all(set(order) == set(mixed) for order in found.values.tolist())


def test_subjects_share_orders_and_blocks_of_each_are_kept():
    people = {
        "a": labelled([*"uvwxyz"], run=[1, 1, 1, 2, 2, 2]),
        "b": labelled([*"zyxwvs"], run=[1, 1, 2, 2, 2, 1]),
    }
    found = quiet(inference.shuffles, people, n=500, blocks="run")
    together = [{"u"}, {"v", "w"}, {"x"}, {"y", "z"}, {"s"}]
    assert found.attrs["distinct"] == 4
    for order in found.values:
        for to, source in zip(found.stimulus.values, order, strict=True):
            assert next(t for t in together if to in t) == next(t for t in together if source in t)


def test_train_and_test_come_from_ids_masks_and_names():
    one = labelled([*"abcdefgh"])
    half = np.arange(8) < 4
    for parts in ({"train": half, "test": ~half}, {"train": [0, 1, 2, 3], "test": [4, 5, 6, 7]}):
        found = inference.shuffles(one, n=40, **parts)
        assert all(set(order[:4]) == set("abcd") for order in found.values)


def test_what_neither_trains_nor_tests_makes_no_orders():
    one = labelled([*"abcdefgh"])
    with pytest.warns(UserWarning, match=r"only 12 orders exist in 2 .* smallest possible p is 0\.0833"):
        found = inference.shuffles(one, n=40, train=[0, 1, 2], test=[3, 4])
    assert (found.attrs["distinct"], found.sizes["permutation"]) == (12, 11)
    assert found.stimulus.values.tolist() == [*"abcde"]
    # Nor need it have a block, or be on one side only: of "a" some samples are left out.
    runs = labelled([*"abcdea"]).assign_coords(run=("sample", [1.0, 1, 1, 2, 2, np.nan]))
    within = quiet(inference.shuffles, runs, blocks="run", train=[0, 1, 2], test=[3, 4])
    assert (within.attrs["distinct"], within.stimulus.values.tolist()) == (12, [*"abcde"])


def test_a_sample_is_not_on_both_sides():
    one = labelled([*"abcdefgh"])
    with pytest.raises(
        ValueError, match=r"1 sample\(s\) are in training and in test .*; no sample may be in both"
    ):
        inference.shuffles(one, train=[0, 1, 2, 3], test=[3, 4, 5, 6])


def test_straddling_stimuli_and_small_blocks_are_refused_or_said():
    one = labelled([*"abcabc"], run=[1, 1, 1, 2, 2, 2], split=["train"] * 3 + ["test"] * 3)
    with pytest.raises(
        ValueError,
        match=r"3 of 3 stimuli in responses of subject '1' lie in several blocks of 'run', first 'a' in 1, 2",
    ):
        inference.shuffles(one, blocks="run", folds="run")
    with pytest.raises(
        ValueError, match=r"3 of 3 stimuli .* on several sides of the split, first 'a' in 'train', 'test'"
    ):
        inference.shuffles(one)
    small = labelled([*"abcdef"], run=[1, 1, 2, 2, 3, 3])
    with pytest.warns(UserWarning, match=r"only 8 orders exist in 3 .* smallest possible p is 0\.125"):
        inference.shuffles(small, blocks="run")
    with pytest.raises(ValueError, match="nothing can change places: each of the 6 groups"):
        inference.shuffles(labelled([*"abcdef"], run=range(6)), blocks="run")
    with pytest.raises(ValueError, match="no coordinate 'session'"):
        inference.shuffles(small, blocks="session")
    with pytest.raises(ValueError, match="at least 1; got 0"):
        inference.shuffles(small, n=0)
    with pytest.raises(ValueError, match="alpha is a share between 0 and 1, such as .05; got 5"):
        inference.shuffles(small, alpha=5)
    shared = partial(nd.spatial.decode, decoder=nd.RidgeDecoder(), folds="run", shared="stimulus")
    with pytest.raises(ValueError, match="only swap names"):
        inference.null(shared, one, features_of([*"abc"]), n=5)


def test_conditions_that_recur_in_runs_change_places_within_each():
    names = [*"abcd"] * 3
    one = labelled(names, run=np.repeat([1, 2, 3], 4))
    spaces = {"c": features_of([*"abcd"]), "z": features_of([*"dcba"], seed=2)}
    apart, changed = inference.by_block(one, spaces, blocks="run")
    for old, new in zip(spaces.values(), changed.values(), strict=True):
        np.testing.assert_array_equal(nd.labels.match(new, apart), nd.labels.match(old, one))
    found = inference.shuffles(apart, n=50, blocks="run")
    assert found.attrs["distinct"] == 24**3
    runs = np.char.partition(found.values, "/")[..., 0]
    assert (runs == np.char.partition(found.stimulus.values, "/")[:, 0]).all()
    with pytest.raises(ValueError, match="features lack 2 stimuli"):
        inference.by_block(one, spaces["c"][:2], blocks="run")


# ---------------------------------------------------------------- any analysis
def brain(n=40, repeats=2, train=28, runs=2, subjects=1, **effect):
    """Responses (sample, voxel) of some people with a little signal, and features of two layers."""
    names = np.array([f"i{i:02d}" for i in range(n)])
    rows = np.repeat(np.arange(n), repeats)
    space = features_of(names, q=6).assign_coords(layer=("feature", ["c"] * 3 + ["z"] * 3))
    people = {}
    for s in range(subjects):
        rng = np.random.default_rng(s + 10)
        values = space.values[rows] @ rng.normal(size=(6, 8)) * effect.get("signal", 0.2)
        people[f"s{s}"] = labelled(
            names[rows], values + rng.normal(size=values.shape), roi=["V1"] * 4 + ["LO"] * 4,
            run=rows % runs, split=np.where(rows < train, "train", "test"),
        )  # fmt: skip
    return people, space


def epochs_of(people) -> dict[str, xr.DataArray]:
    """The voxels of people as 2 channels x 4 samples."""
    return {
        k: nd.brain.meeg(
            v.values.reshape(-1, 2, 4), sample=v["sample"].values, stimulus=v["stimulus"].values, channel=["a", "b"],
            time=np.arange(4) / 100, run=v["run"].values, split=v["split"].values,
        )
        for k, v in people.items()
    }  # fmt: skip


def in_order(space, order):
    """Features in one order, by a plain loop."""
    table = dict(zip(order.stimulus.values.tolist(), order.values.tolist(), strict=True))
    rows = [space.stimulus.values.tolist().index(table.get(s, s)) for s in space.stimulus.values.tolist()]
    return space.copy(data=space.values[rows])


def profile_of(responses, features):
    """Fit, map, and take means of regions: (region, layer)."""
    train = {k: v[v["split"].values == "train"] for k, v in responses.items()}
    maps = {k: nd.spatial.weight_map(nd.RidgeDecoder(5.0).fit(v, features)) for k, v in train.items()}
    found = nd.spatial.region_profile(maps, ["V1", "LO"], n_permutations=1, n_bootstrap=1)
    return found["values"]


def identified(responses, features):
    """Fit, predict and identify: (subject, k)."""
    predicted = {}
    for k, v in responses.items():
        part = [v[v["split"].values == side] for side in ("train", "test")]
        predicted[k] = nd.RidgeDecoder(5.0).fit(part[0], features).predict(part[1])
    return nd.retrieval.identify(predicted, features, interval="bootstrap", n_bootstrap=1)["accuracy"]


TIME = {"decoder": nd.RidgeDecoder(5.0), "width": 0.02, "step": 0.01, "score": "pairwise"}
ANALYSES = {
    "decode": partial(nd.spatial.decode, decoder=nd.RidgeDecoder(5.0), regions=["V1", "LO"]),
    "decode, folds": partial(nd.spatial.decode, decoder=nd.RidgeDecoder(5.0), regions=["V1"], folds=3),
    "decode, grid": partial(nd.spatial.decode, decoder=nd.RidgeDecoder([1.0, 10.0], n_voxels=None)),
    "sweep": partial(nd.temporal.sweep, **TIME),
    "generalise": partial(nd.temporal.generalise, **TIME),
    "profile": profile_of,
    "identify": identified,
}


@pytest.mark.filterwarnings("ignore:.*alpha")
@pytest.mark.parametrize("name", ANALYSES)
def test_a_null_is_what_a_plain_loop_gives(name):
    people, space = brain(subjects=2)
    responses = epochs_of(people) if name in ("sweep", "generalise") else people
    analysis = ANALYSES[name]
    parts = {"folds": 3} if "folds" in name else {}
    orders = inference.shuffles(responses, n=5, blocks="run", seed=3, **parts)
    expected = [analysis(responses, in_order(space, order)).values for order in orders]
    for batch in (1,) if name in ("profile", "identify") else (1, 3):
        found = inference.null(analysis, responses, space, n=5, blocks="run", seed=3, batch=batch)
        assert found.dims[0] == "permutation"
        np.testing.assert_allclose(found.values, expected, rtol=1e-6, atol=1e-9)
    scores = analysis(responses, space)
    assert found.dims[1:] == scores.dims
    assert "chance" not in found.coords
    inference.permutation(scores, found)


def test_what_an_analysis_returned_stays_as_it_was():
    people, space = brain()
    kept = xr.DataArray(np.zeros(2), dims="region", attrs={"chance": 0.5, "provenance": "{}", "units": "r"})
    found = quiet(inference.null, lambda *_: kept, people, space, n=20)
    assert kept.attrs == {"chance": 0.5, "provenance": "{}", "units": "r"}
    assert (found.attrs["units"], "chance" in found.attrs) == ("r", False)


def test_a_batch_that_cannot_be_is_refused():
    people, space = brain()
    with pytest.raises(ValueError, match=r"hands orders over as feature spaces, .* give batch=1"):
        inference.null(lambda r, f: identified(r, f["c 0"]), people, space, n=4, batch=2)
    two = partial(nd.spatial.decode, decoder={"c": nd.RidgeDecoder(), "z": nd.RidgeDecoder()})
    with pytest.raises(ValueError, match=r"no decoder for the feature space.*batch=1"):
        inference.null(two, people, space, n=4, batch=2)
    assert inference.null(two, people, space, n=2).sizes["layer"] == 2
    with pytest.raises(TypeError, match="returned a Dataset; let it return one variable"):
        inference.null(lambda r, f: xr.Dataset({"p": 1}), people, space, n=2)
    with pytest.raises(ValueError, match=r"features 'c' lack 10 of 40 stimuli that change places"):
        inference.null(two, people, space[:30], n=2)


def test_no_feature_of_a_test_stimulus_enters_training():
    people, space = brain(n=30, train=20)
    seen = []

    def spy(responses, features):
        one = responses["s0"]
        trained = nd.labels.match(features, one[one["split"].values == "train"])
        seen.append(sorted(set(trained.values[:, 0].tolist())))
        # Repeats of a stimulus have the same features.
        for _, rows in trained.groupby("stimulus"):
            assert (rows.values == rows.values[0]).all()
        return xr.DataArray(float(trained[0, 0]))

    own = sorted(space.values[:20, 0].tolist())
    found = inference.null(spy, people, space, n=30)
    assert all(s == own for s in seen)
    assert len(np.unique(found)) > 5


def test_an_interrupted_run_ends_with_the_same_numbers(tmp_path, monkeypatch):
    people, space = brain()
    whole = inference.null(ANALYSES["decode"], people, space, n=7, batch=2)
    work = partial(inference.null, ANALYSES["decode"], people, space, n=7, batch=2, resume=tmp_path / "a")
    module, calls = sys.modules["neurodecode.inference.null"], {"made": 0, "stop": 3}
    batch = module._batch

    def stopping(*given):
        calls["made"] += 1
        if calls["made"] == calls["stop"]:
            raise KeyboardInterrupt
        return batch(*given)

    monkeypatch.setattr(module, "_batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        work()
    calls.update(made=0, stop=0)
    np.testing.assert_array_equal(work(), whole)
    assert calls["made"] == 2  # two of four batches were there
    for other in ({"seed": 1}, {"n": 8}, {"blocks": "run"}):
        with pytest.raises(ValueError, match="begun with another key"):
            work(**other)


# ---------------------------------------------------------------- p
def drawn(shape=(19, 4, 3, 5), seed=0):
    """Scores (window, layer, subject) and permutations, with ties."""
    rng = np.random.default_rng(seed)
    dims = ("permutation", "window", "layer", "subject")
    values = np.round(rng.normal(size=shape) * [[1], [3], [0.1]], 1) + 5
    coords = {"layer": [*"cdz"], "subject": range(5)}
    null = xr.DataArray(values, dims=dims, coords=coords)
    scores = null[0].copy(data=null.values[3] + np.arange(4)[:, None, None] / 3)
    return scores, null


@pytest.mark.parametrize("tail", ["greater", "two-sided"])
@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("family", [None, "window"])
def test_p_equals_a_plain_loop(tail, standardise, family):
    scores, null = drawn()
    found = inference.permutation(scores, null, tail=tail, standardise=standardise, family=family, alpha=0.1)
    pool = np.concatenate([scores.values[None], null.values]).mean(axis=-1)  # (20, window, layer)
    far = np.abs(pool - pool.mean(axis=0)) if tail == "two-sided" else pool
    z = (far - (pool.mean(axis=0) if tail == "greater" else 0)) / pool.std(axis=0) if standardise else far
    for w, c in np.ndindex(4, 3):
        assert found["p"].values[w, c] == np.sum(far[:, w, c] >= far[0, w, c] - 1e-9) / 20
        rivals = [z[m].max() if family is None else z[m, :, c].max() for m in range(20)]
        p = np.mean([r >= z[0, w, c] - 1e-9 for r in rivals])
        assert found["p_max"].values[w, c] == p
        above = pool[0, w, c] > found["threshold"].values[w, c] + 1e-9
        assert (p <= 0.1) == above if tail == "greater" else True
    for c in range(3):
        flat = found["p"].values.ravel() if family is None else found["p"].values[:, c]
        for name, method in (("p_bh", "fdr_bh"), ("p_by", "fdr_by")):
            wanted = multipletests(flat, method=method)[1]
            mine = found[name].values.ravel() if family is None else found[name].values[:, c]
            np.testing.assert_allclose(mine, wanted, rtol=1e-12)
    np.testing.assert_array_equal(found["significant"], found["p_max"] <= 0.1)
    assert found.attrs["over"] == "subject"


def test_rounding_breaks_no_tie_and_what_does_not_vary_is_no_discovery():
    null = xr.DataArray(np.full((9, 2), [0.3, 0.5]), dims=("permutation", "window"))
    scores = xr.DataArray([0.3 - 1e-9, 0.5], dims="window")
    for tail in ("greater", "two-sided"):
        found = inference.permutation(scores, null, tail=tail)
        assert (found["p"] == 1).all()
        assert (found["p_max"] == 1).all()
        assert not found["significant"].any()


def test_what_is_no_null_of_these_scores_is_refused():
    scores, null = drawn()
    with pytest.raises(ValueError, match=r"give 'permutation' and those of the scores"):
        inference.permutation(scores, scores)
    with pytest.raises(ValueError, match="scores and null disagree on 3 of 3 'layer' labels"):
        inference.permutation(scores, null.assign_coords(layer=[*"xyw"]))
    with pytest.raises(ValueError, match="null has 1 NaN"):
        inference.permutation(scores, null.where(null != null.max()))
    with pytest.raises(ValueError, match="no dimension of the averaged scores: 'subject'"):
        inference.permutation(scores, null, family="subject")
    assert "subject" in inference.permutation(scores, null, over=None, family="subject").dims
    for bad in ({"tail": "less"}, {"correction": "holm"}, {"alpha": 0}):
        with pytest.raises(ValueError, match=r"unknown|alpha"):
            inference.permutation(scores, null, **bad)


# ---------------------------------------------------------------- under the null
def p_of(make, seeds, m=39, **options) -> np.ndarray:
    """P of the size of a covariance of one voxel with one feature over samples, in simulated data sets."""
    found = []
    for seed in seeds:
        responses, space = make(np.random.default_rng(seed))
        orders = inference.shuffles(responses, n=m, seed=seed, **options)
        x, y = responses.values[:, 0], space.values[:, 0]
        rows = np.concatenate([np.arange(len(y))[None], orders.values])[:, responses["stimulus"].values]
        size = np.abs((y[rows] - y[rows].mean(axis=1, keepdims=True)) @ (x - x.mean()))
        found.append(np.mean(size >= size[0] * (1 - 1e-9)))
    return np.array(found)


def repeated(rng):
    """12 stimuli, 6 repeats, responses that repeat, features that do not matter."""
    own = np.repeat(rng.normal(size=12), 6) + 0.3 * rng.normal(size=72)
    return labelled(np.repeat(np.arange(12), 6), own[:, None]), features_of(range(12), q=1, seed=rng)


def offset(rng):
    """24 stimuli in 2 runs that differ, in responses and features alike, and have nothing else in common."""
    run = np.repeat([0, 1], 12)
    values = (1.5 * run + rng.normal(size=24))[:, None]
    space = nd.brain.features((1.5 * run + rng.normal(size=24))[:, None], stimulus=np.arange(24))
    return labelled(np.arange(24), values, run=run), space


def in_trials(rng):
    """As ``repeated``, but every trial poses as a stimulus of its own."""
    responses, space = repeated(rng)
    rows = nd.labels.match(space, responses)
    return labelled(np.arange(72), responses.values), nd.brain.features(rows.values, stimulus=np.arange(72))


def test_p_is_uniform_where_nothing_is_to_be_found():
    for make, options in ((repeated, {}), (offset, {"blocks": "run"})):
        p = p_of(make, range(200), **options)
        # p has the values 1/40, 2/40 ... each equally likely.
        assert stats.kstest(p - 1 / 80, "uniform").pvalue > 0.01
        assert 2 <= np.sum(p <= 0.05) <= 20  # 10 of 200 expected; outside in .4 % of such tests


def test_splitting_repeats_or_ignoring_blocks_finds_what_is_not_there():
    assert np.mean(p_of(in_trials, range(100)) <= 0.05) > 0.25
    assert np.mean(p_of(offset, range(100)) <= 0.05) > 0.25


def test_means_over_subjects_are_tested_against_means_over_subjects():
    people, space = brain(subjects=3, signal=0.3)
    analysis = partial(nd.spatial.decode, decoder=nd.RidgeDecoder(5.0), regions=["V1+LO"])
    scores, null = analysis(people, space), inference.null(analysis, people, space, n=39, batch=13)
    found = inference.permutation(scores, null)
    means = scores.values.mean(axis=(2, 3)), null.values.mean(axis=(3, 4))
    np.testing.assert_allclose(found["p"], (1 + np.sum(means[1] >= means[0], axis=0)) / 40)
    assert (found["p"] == 1 / 40).all()
    with pytest.raises(ValueError, match="disagree"):
        inference.permutation(scores[:, :, :2].assign_coords(subject=["s0", "s5"]), null[:, :, :, :2])


# ---------------------------------------------------------------- what is refused, and said
def test_scores_of_one_kind_are_not_tested_against_a_null_of_another():
    scores, null = drawn()
    with pytest.raises(ValueError, match="scores have the score 'pairwise', null 'top1'"):
        inference.permutation(scores.assign_attrs(score="pairwise"), null.assign_attrs(score="top1"))


def test_too_few_orders_for_alpha_are_said():
    sample = [f"t{i}" for i in range(12)]
    responses = nd.brain.fmri(np.zeros((12, 2)), sample=sample, stimulus=sample)
    with pytest.warns(UserWarning, match=r"with n = 10 orders the smallest possible p is 0.0909"):
        inference.shuffles(responses, n=10)


def test_samples_without_a_block_are_no_block_of_their_own():
    one = labelled([*"abcdef"], run=[1.0, 1, 1, np.nan, np.nan, np.nan])
    space = features_of([*"abcdef"])
    for call in (
        lambda: inference.shuffles(one, blocks="run"),
        lambda: inference.by_block(one, space, blocks="run"),
    ):
        with pytest.raises(
            ValueError, match=r"3 of 6 samples of responses.* have no 'run' .*; label them, or leave"
        ):
            call()


def test_names_that_run_together_are_refused():
    responses = nd.brain.fmri(np.zeros((2, 2)), sample=["s0", "s1"], stimulus=["b/c", "c"], run=["a", "a/b"])
    features = nd.brain.features(np.eye(2), stimulus=["b/c", "c"])
    with pytest.raises(ValueError, match="2 pairs of 'run' and stimulus make 1 names"):
        inference.by_block(responses, features, blocks="run")
