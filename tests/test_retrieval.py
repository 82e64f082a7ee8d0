"""retrieval.py: plain loops, scikit-learn, SciPy and statsmodels; properties; and the way from a guess to a picture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

import neurodecode as nd
from neurodecode import inference, retrieval, score

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
NAMES = [f"image_{i:02d}" for i in range(30)]


def samples(values, stimulus, **coords):
    along = {"stimulus": stimulus, **coords}
    return xr.DataArray(
        values,
        dims=("sample", "feature"),
        coords={
            "sample": [f"s{i}" for i in range(len(values))],
            **{k: ("sample", list(v)) for k, v in along.items()},
        },
    )


def pair(n=30, p=8, *, noise=2.0, seed=0):
    """Predictions of n stimuli, and their features."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, p))
    names = NAMES[:n]
    return samples(true + noise * rng.normal(size=(n, p)), names), nd.brain.features(true, stimulus=names)


def table_of(predicted, candidates, metric):
    """Similarities by SciPy, one pair at a time."""
    alike = {
        "correlation": lambda a, b: stats.pearsonr(a, b)[0],
        "cosine": lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b)),
    }[metric]
    return np.array([[alike(p, c) for c in candidates.values] for p in predicted.values])


# ------------------------------------------------------------------------------------------ against others
@pytest.mark.parametrize("metric", ["correlation", "cosine"])
def test_accuracy_among_all_is_scikit_learns(metric) -> None:
    predicted, candidates = pair()
    table = table_of(predicted + 1.0, candidates, metric)
    found = retrieval.identify(predicted + 1.0, candidates, k=(1, 5, 10), metric=metric)
    for k in (1, 5, 10):
        expected = metrics.top_k_accuracy_score(np.arange(30), table, k=k)
        assert 0 < expected < 1
        assert float(found["accuracy"].sel(k=k, subject="1")) == pytest.approx(expected)
    np.testing.assert_allclose(found["chance"], [1 / 30, 5 / 30, 10 / 30])
    np.testing.assert_allclose(
        score.similarity(predicted + 1.0, candidates, metric=metric), table, atol=1e-11
    )
    assert found.attrs["n_way"] == found.attrs["candidates"] == 30
    assert found.attrs["against"] == "stimuli"
    assert (found.attrs["units"], found.attrs["metric"]) == ("proportion", metric)


def test_the_two_metrics_differ_where_means_do() -> None:
    predicted, candidates = pair()
    both = [score.similarity(predicted + 1.0, candidates, metric=m) for m in score.METRICS]
    assert float(abs(both[0] - both[1]).max()) > 0.1


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("n_way", [3, 5, 7])
def test_n_way_is_the_mean_over_all_sets_of_rivals(k, n_way) -> None:
    """Every set of n - 1 of the 7 others, in a plain loop; two candidates are equal."""
    predicted, candidates = pair(n=8)
    candidates[3] = candidates[5]
    table = table_of(predicted, candidates, "correlation").round(12)
    expected = []
    for i, row in enumerate(table):
        outcome = []
        for rivals in itertools.combinations([j for j in range(8) if j != i], n_way - 1):
            better = sum(row[j] > row[i] for j in rivals)
            tied = 1 + sum(row[j] == row[i] for j in rivals)
            outcome.append(min(max((k - better) / tied, 0.0), 1.0))
        expected.append(np.mean(outcome))
    found = score.top_k(predicted, candidates, k=k, n_way=n_way)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert 0 < np.mean(expected) < 1
    assert found.attrs["chance"] == k / n_way
    whole = retrieval.identify(predicted, candidates, k=k, n_way=n_way)
    assert whole["accuracy"].item() == pytest.approx(np.mean(expected))
    assert whole.attrs["chance"] == k / n_way


def test_n_way_is_what_random_draws_come_to() -> None:
    """scipy.stats.hypergeom of each rank, and 20,000 draws of 10 out of 30."""
    predicted, candidates = pair(seed=3)
    table = table_of(predicted, candidates, "correlation")
    better = (table > np.diagonal(table)[:, None]).sum(axis=1)
    exact = stats.hypergeom(29, better, 9).cdf(4)
    np.testing.assert_allclose(score.top_k(predicted, candidates, k=5, n_way=10), exact, atol=1e-12)
    rng = np.random.default_rng(0)
    order = rng.random((20_000, 29)).argsort(axis=1)[:, :9]
    drawn = [np.mean((order < b).sum(axis=1) < 5) for b in better]
    np.testing.assert_allclose(exact, drawn, atol=0.02)


def test_two_ways_are_pairwise_identification_also_with_ties() -> None:
    predicted, candidates = pair(n=9)
    candidates[4] = candidates[7]
    true = samples(candidates.values, predicted.stimulus.values)
    np.testing.assert_allclose(
        score.top_k(predicted, candidates, k=1, n_way=2), score.pairwise(predicted, true), atol=1e-12
    )


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_wilsons_interval_is_statsmodels(level) -> None:
    predicted, candidates = pair()
    found = retrieval.identify(predicted, candidates, k=(1, 5), level=level)
    for k in (1, 5):
        hits = score.top_k(predicted, candidates, k=k)
        low, high = proportion_confint(hits.sum().item(), 30, alpha=1 - level, method="wilson")
        one = found.sel(k=k, subject="1")
        np.testing.assert_allclose([one["low"], one["high"]], [low, high])
        assert one["low"] < one["accuracy"] < one["high"]
    assert found.attrs["interval"].startswith("Wilson score interval")
    assert found["n"].item() == found["groups"].item() == 30


def test_the_bootstrap_draws_whole_concepts() -> None:
    """scipy.stats.bootstrap of sums and sizes of concepts that differ in size."""
    predicted, candidates = pair()
    sizes = [1, 2, 3, 4, 5, 7, 8]
    concept = np.repeat(list("abcdefg"), sizes)
    predicted = predicted.assign_coords(concept=("sample", concept))
    found = retrieval.identify(
        predicted, candidates, k=5, interval="bootstrap", over="concept", n_bootstrap=4000
    )
    hits = score.top_k(predicted, candidates, k=5).values
    sums = [hits[concept == c].sum() for c in "abcdefg"]
    expected = stats.bootstrap(
        (sums, sizes),
        lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis),
        paired=True,
        method="percentile",
        confidence_level=1 - 2 * stats.norm.cdf(-np.sqrt(7 / 6) * stats.t.ppf(0.975, 6)),
        n_resamples=20_000,
        random_state=1,
    ).confidence_interval
    np.testing.assert_allclose([found["low"].item(), found["high"].item()], expected, atol=0.02)
    alone = retrieval.identify(predicted, candidates, k=5, interval="bootstrap")
    assert abs(alone["low"] - found["low"]) > 0.03
    assert found["groups"].item() == 7
    assert found["n"].item() == 30
    assert found.attrs["interval"] == "expanded percentile bootstrap over concept (Hesterberg 2015)"


def test_limits_over_subjects_are_scipys_t() -> None:
    arrays = {f"S{s}": pair(noise=1.0 + s, seed=0)[0] for s in range(6)}
    candidates = pair(noise=1.0, seed=0)[1]
    found = retrieval.identify(arrays, candidates)
    assert found["accuracy"].dims == ("subject", "k")
    assert found["subject"].values.tolist() == list(arrays)
    for k in (1, 5):
        each = [score.top_k(a, candidates, k=k).mean().item() for a in arrays.values()]
        np.testing.assert_allclose(found["accuracy"].sel(k=k), each)
        assert found["mean"].sel(k=k) == pytest.approx(np.mean(each))
        expected = stats.ttest_1samp(each, 0).confidence_interval(0.95)
        one = found.sel(k=k)
        np.testing.assert_allclose([one["mean_low"], one["mean_high"]], np.clip(expected, 0, 1))
    assert found.attrs["interval_of_mean"] == "Student's t over subjects"
    group = inference.group(found["accuracy"])
    np.testing.assert_allclose(group["mean"], found["mean"])
    np.testing.assert_allclose(group["chance"], found["chance"])


def test_one_subject_has_no_limits_over_subjects() -> None:
    predicted, candidates = pair()
    found = retrieval.identify(predicted.assign_attrs(subject="S7"), candidates)
    assert found["subject"].values.tolist() == ["S7"]
    assert found["mean_low"].isnull().all()
    assert found["mean_high"].isnull().all()
    np.testing.assert_allclose(found["mean"], found["accuracy"].isel(subject=0))


# ------------------------------------------------------------------------------------------ properties
@quick
@given(seeds, st.integers(2, 12))
def test_more_guesses_find_more_and_more_rivals_less(seed, n_way) -> None:
    predicted, candidates = pair(n=12, seed=seed)
    ks = list(range(1, n_way))
    found = retrieval.identify(predicted, candidates, k=ks, n_way=n_way)["accuracy"].isel(subject=0)
    assert (np.diff(found) >= -1e-12).all()
    assert ((found >= 0) & (found <= 1)).all()
    by_n = [score.top_k(predicted, candidates, k=1, n_way=n).mean().item() for n in range(n_way, 13)]
    assert (np.diff(by_n) <= 1e-12).all()


@quick
@given(seeds)
def test_candidates_and_samples_in_any_order_are_the_same(seed) -> None:
    predicted, candidates = pair(n=12, seed=seed)
    rng = np.random.default_rng(seed)
    moved = candidates.isel(stimulus=rng.permutation(12))
    options = {"n_way": 6, "interval": "wilson"}
    first, second = (
        retrieval.identify(p, c, **options)
        for p, c in ((predicted, candidates), (predicted.isel(sample=rng.permutation(12)), moved))
    )
    for name in ("accuracy", "low", "high"):
        np.testing.assert_allclose(first[name], second[name], atol=1e-12)
    guesses = (retrieval.classify(predicted, c) for c in (candidates, moved))
    assert np.array_equal(*guesses)


def test_predictions_that_know_nothing_are_at_chance_within_the_interval() -> None:
    """Of 200 experiments at least 93 % hold chance in a 95 % interval; and their mean is at chance."""
    held, means = 0, []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        candidates = nd.brain.features(rng.normal(size=(30, 6)), stimulus=NAMES)
        found = retrieval.identify(samples(rng.normal(size=(30, 6)), NAMES), candidates, k=5)
        held += bool(found["low"].item() <= found.attrs["chance"] <= found["high"].item())
        means.append(found["mean"].item())
    assert held >= 186
    assert abs(np.mean(means) - 5 / 30) < 4 * np.std(means) / np.sqrt(200)


def test_a_constant_prediction_is_at_chance_exactly() -> None:
    _, candidates = pair()
    flat = samples(np.ones((30, 8)), NAMES)
    for n_way in (None, 10):
        found = retrieval.identify(flat, candidates, n_way=n_way)
        np.testing.assert_allclose(found["accuracy"].isel(subject=0), found["chance"])


def test_the_same_seed_gives_the_same_limits_and_saves(tmp_path) -> None:
    predicted, candidates = pair()
    runs = [
        retrieval.identify(predicted, candidates, interval="bootstrap", seed=s, n_bootstrap=200)
        for s in (1, 1, 2)
    ]
    xr.testing.assert_equal(runs[0], runs[1])
    assert not runs[0]["low"].equals(runs[2]["low"]) or not runs[0]["high"].equals(runs[2]["high"])
    nd.save(runs[0], tmp_path / "found.nc")
    loaded = nd.load(tmp_path / "found.nc")
    xr.testing.assert_equal(loaded, runs[0])
    assert nd.store.provenance(loaded)["what"] == "retrieval.identify"


# ------------------------------------------------------------------------------------------ concepts
def shown_twice():
    """Six images of three concepts in the order of trials, one image repeated."""
    images = ["a1", "c1", "b1", "a2", "a1", "b2", "a3"]
    return nd.brain.fmri(np.zeros((7, 1)), sample=range(7), stimulus=images).assign_coords(
        concept=("sample", [i[0] for i in images])
    )


def test_centres_are_means_of_each_concepts_images_once() -> None:
    rng = np.random.default_rng(0)
    names = ["x9", "b2", "a1", "a2", "b1", "a3", "c1"]
    features = nd.brain.features(rng.normal(size=(7, 5)), stimulus=names, layer="final")
    centres = retrieval.concept_centres(features, shown_twice())
    assert centres["stimulus"].values.tolist() == centres["concept"].values.tolist() == ["a", "c", "b"]
    assert centres["images"].values.tolist() == [3, 1, 2]
    for concept, images in (("a", ["a1", "a2", "a3"]), ("b", ["b1", "b2"]), ("c", ["c1"])):
        expected = np.mean([features.sel(stimulus=image) for image in images], axis=0)
        np.testing.assert_allclose(centres.sel(stimulus=concept), expected)
    assert centres["layer"].values.tolist() == ["final"] * 5
    assert centres.attrs["centres"] == "concept"
    prompts = nd.datasets.stimuli.concept_prompts(centres)
    assert prompts == {c: f"a picture of {c}" for c in "acb"}


def test_names_of_any_bytes_have_centres() -> None:
    space = nd.brain.features([[0.0], [2.0]], stimulus=["a", "b"]).assign_coords(stimulus=[b"\xff", b"b"])
    found = retrieval.concept_centres(space, space.assign_coords(concept=("stimulus", ["cat", "cat"])))
    assert found.values.tolist() == [[1.0]]


def test_concepts_are_identified_by_name_among_centres() -> None:
    rng = np.random.default_rng(1)
    names = ["a1", "a2", "a3", "b1", "b2", "c1"]
    features = nd.brain.features(rng.normal(size=(6, 5)), stimulus=names)
    shown = shown_twice()
    centres = retrieval.concept_centres(features, shown)
    predicted = samples(
        centres.sel(stimulus=shown.concept.values).values + 0.01 * rng.normal(size=(7, 5)),
        shown.stimulus.values,
        concept=shown.concept.values,
    )
    found = retrieval.identify(predicted, centres, answer="concept", k=1, interval="bootstrap")
    assert found["accuracy"].item() == 1
    assert found.attrs["against"] == "concept centres"
    assert found.attrs["chance"] == pytest.approx(1 / 3)
    assert found["groups"].item() == 3
    guess = retrieval.classify(predicted, centres)
    assert guess.values.tolist() == shown.concept.values.tolist()
    assert guess["stimulus"].values.tolist() == shown.stimulus.values.tolist()
    with pytest.warns(UserWarning, match="up to 4 samples share one 'concept'"):
        retrieval.identify(predicted, centres, answer="concept", k=1)


def test_a_sweep_is_scored_n_way_against_centres() -> None:
    rng = np.random.default_rng(2)
    stimuli = [f"{c}{i}" for c in "abcdefgh" for i in range(6)]
    features = nd.brain.features(rng.normal(size=(48, 4)), stimulus=stimuli)
    values = np.zeros((48, 6, 20)) + rng.normal(size=(48, 6, 20))
    values[:, :4, 10:] += 3 * features.values[:, :, None]
    epochs = nd.brain.meeg(
        values, sample=stimuli, stimulus=stimuli, channel=list("uvwxyz"), time=np.arange(20) / 100,
        split=np.where(np.arange(48) % 6 == 0, "test", "train"),
    )  # fmt: skip
    epochs = epochs.assign_coords(concept=("sample", [s[0] for s in stimuli]))
    tested = epochs[epochs["split"].values == "test"]
    centres = retrieval.concept_centres(features, tested)
    chosen = score.against(centres, k=1, answer="concept", n_way=4)
    found = nd.temporal.sweep(epochs, features, nd.RidgeDecoder(alpha=1.0), width=0.1, step=0.1, score=chosen)
    assert found.attrs["score"] == "top1 of 4"
    assert found.attrs["chance"] == 0.25
    late, early = found.isel(window=-1).item(), found.isel(window=0).item()
    assert late > 0.9 > 0.6 > early


# ------------------------------------------------------------------------------------------ the semantic path
def test_a_guessed_concept_is_said_and_encoded() -> None:
    pytest.importorskip("torch")
    from neurodecode import reconstruction, vision

    text = vision.load_text("lab")
    rng = np.random.default_rng(0)
    concepts = ["cat", "aircraft_carrier", "bat1"]
    features = nd.brain.features(rng.normal(size=(3, 6)), stimulus=["i0", "i1", "i2"])
    shown = nd.brain.fmri(np.zeros((3, 1)), sample=range(3), stimulus=["i0", "i1", "i2"])
    centres = retrieval.concept_centres(features, shown.assign_coords(concept=("sample", concepts)))
    said = ["bat1", "cat", "bat1", "aircraft_carrier"]
    predicted = samples(centres.sel(stimulus=said).values * 2 + 1, ["i2", "i0", "i1", "i1"])
    found = reconstruction.concept_features(predicted, centres, text)
    words = {"cat": "cat", "aircraft_carrier": "aircraft carrier", "bat1": "bat"}
    expected = vision.text_features({s: f"a picture of {words[s]}" for s in words}, text, progress=False)
    np.testing.assert_array_equal(found, expected.sel(stimulus=said))
    assert found.dims == ("sample", "feature")
    for name in ("layer", "unit", "token"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert set(found["layer"].values) == {"c"}
    assert found["sample"].values.tolist() == predicted["sample"].values.tolist()
    assert found["stimulus"].values.tolist() == ["i2", "i0", "i1", "i1"]
    assert found["guess"].values.tolist() == said
    for key in ("model", "weights", "units"):
        assert found.attrs[key] == expected.attrs[key]
    other = reconstruction.concept_features(predicted, centres, text, prompt="a photo of a {}")
    assert not np.array_equal(other, found)
    np.testing.assert_allclose(
        text.restore(found), text.prompt_embedding([words[s] for s in said]).numpy(), atol=1e-5
    )


def test_pictures_are_imagined_from_a_guessed_concept() -> None:
    """The lab's miniature models: the picture is the one that the prompt's own features give, and no other."""
    pytest.importorskip("torch")
    from neurodecode import reconstruction, vision

    rng = np.random.default_rng(0)
    concepts = ["dog", "car", "tree", "guitar"]
    names = [f"image-{c}-{i}" for c in concepts for i in range(8)]
    of = [c for c in concepts for _ in range(8)]
    space = nd.brain.features(
        np.repeat(rng.normal(size=(4, 6)), 8, axis=0) + 0.2 * rng.normal(size=(32, 6)), stimulus=names
    )
    z = nd.brain.features(rng.normal(size=(32, 4 * 16 * 16)).astype(np.float32), stimulus=names, layer="z")
    brain = nd.brain.meeg(
        (space.values @ rng.normal(size=(6, 12))).reshape(32, 4, 3) + 0.1 * rng.normal(size=(32, 4, 3)),
        sample=names, stimulus=names, channel=list("abcd"), time=[0.0, 0.01, 0.02],
    ).assign_coords(concept=("sample", of))  # fmt: skip
    train, test = brain[np.arange(32) % 8 > 0], brain[::8]
    centres = retrieval.concept_centres(space, brain)
    schedule = reconstruction.Schedule(steps=4, noise_to=4, denoise=4, guidance=3.0)
    generator = reconstruction.load_diffusion("lab", schedule=schedule)
    text = vision.load_text("lab")
    decoder = nd.RidgeDecoder(alpha=1.0).fit(train, space)
    semantic = reconstruction.ByConcept(decoder, centres, text)
    latent = reconstruction.Known(z)
    stage = reconstruction.TwoStage(generator, semantic=semantic, latent=latent)
    pictures = stage.imagine(test)
    assert pictures.shape == (4, 64, 64, 3)
    assert retrieval.classify(decoder.predict(test), centres).values.tolist() == concepts
    prompts = {n: f"a picture of {c}" for n, c in zip(test.stimulus.values, concepts, strict=True)}
    c = vision.text_features(prompts, text, progress=False)
    spoken = reconstruction.TwoStage(generator, semantic=reconstruction.Known(c), latent=latent)
    np.testing.assert_allclose(pictures, spoken.imagine(test), atol=1e-4)
    shifted = reconstruction.Known(c.roll(stimulus=1))
    wrong = reconstruction.TwoStage(generator, semantic=shifted, latent=latent).imagine(test)
    assert float(abs(pictures - wrong).mean()) > 1e-3


# ------------------------------------------------------------------------------------------ what is refused
def test_what_cannot_be_identified_is_refused() -> None:
    predicted, candidates = pair()
    identify = retrieval.identify
    with pytest.raises(
        ValueError, match=r"1 of 30 samples have a 'stimulus' that is no candidate, first 'image_04'"
    ):
        identify(predicted, candidates.drop_sel(stimulus="image_04"))
    with pytest.raises(ValueError, match="candidates has 1 duplicate 'stimulus'"):
        identify(predicted, xr.concat([candidates, candidates[:1]], dim="stimulus"))
    with pytest.raises(ValueError, match="predictions of subject '1' has 1 duplicate 'sample'"):
        identify(xr.concat([predicted, predicted[:1]], dim="sample"), candidates)
    with pytest.raises(ValueError, match="predictions has no coordinate 'concept'"):
        identify(predicted, candidates, answer="concept")
    with pytest.raises(ValueError, match="n_way must be a whole number from 2 to 30.*got 31"):
        identify(predicted, candidates, n_way=31)
    with pytest.raises(
        ValueError, match="top-5 needs more than 5 candidates, there are 4; give a k from 1 to 3"
    ):
        identify(predicted, candidates, n_way=4)
    with pytest.raises(ValueError, match="top-5 needs more than 5 candidates, there are 2; give k=1 "):
        identify(predicted[:2], candidates[:2])
    assert identify(predicted[:2], candidates[:2], k=1).attrs["n_way"] == 2
    with pytest.raises(ValueError, match="unknown metric 'euclid'; choose one of 'correlation', 'cosine'"):
        identify(predicted, candidates, metric="euclid")
    with pytest.raises(ValueError, match="unknown interval 'normal'; choose one of 'wilson', 'bootstrap'"):
        identify(predicted, candidates, interval="normal")
    for k in ((), (1, 1), 1.5):
        with pytest.raises(ValueError, match="k must be a whole number or several different ones"):
            identify(predicted, candidates, k=k)
    with pytest.raises(ValueError, match="level is a share between 0 and 1"):
        identify(predicted, candidates, level=95)
    with pytest.raises(ValueError, match="n_bootstrap must be at least 1"):
        identify(predicted, candidates, n_bootstrap=0)
    with pytest.raises(ValueError, match="there is no subject"):
        identify({}, candidates)
    with pytest.raises(TypeError, match="predictions of subject 'S1' must be a labelled"):
        identify({"S1": predicted.values}, candidates)


@pytest.mark.parametrize("name", ["layer", "unit"])
@pytest.mark.parametrize("call", [retrieval.identify, retrieval.classify])
def test_features_of_another_space_or_order_are_refused(name, call) -> None:
    predicted, candidates = pair()
    labels = [str(i) for i in range(8)]
    one, two = (a.assign_coords({name: ("feature", labels)}) for a in (predicted, candidates))
    call(one, two)
    with pytest.raises(
        ValueError, match=f"differ in the '{name}' of 2 of 8 features, first at position 0: '1' against"
    ):
        call(one.isel(feature=[1, 0, *range(2, 8)]), two)
    # What is missing on both sides is the same.
    call(
        *(
            a.assign_coords({name: ("feature", np.array([None, *labels[1:]], dtype=object))})
            for a in (one, two)
        )
    )


def test_what_has_no_centre_is_refused() -> None:
    rng = np.random.default_rng(0)
    features = nd.brain.features(rng.normal(size=(5, 4)), stimulus=["a1", "a2", "b1", "b2", "c1"])
    with pytest.raises(ValueError, match="features lack 1 of the 6 stimuli in shown"):
        retrieval.concept_centres(features, shown_twice())
    two = shown_twice().assign_coords(concept=("sample", list("acbabba")))
    with pytest.raises(ValueError, match="1 stimuli have two concepts, first 'a1': 'a', 'b'"):
        retrieval.concept_centres(features, two)
    with pytest.raises(ValueError, match="shown has no coordinate 'concept'"):
        retrieval.concept_centres(features, shown_twice().drop_vars("concept"))


def test_a_concept_that_is_several_is_refused():
    space = nd.brain.features(np.eye(3), stimulus=["cat_1", "cat_2", "cup_1"])
    concepts = np.empty(3, dtype=object)
    concepts[:] = [("cat", "pet"), "cat", "cup"]
    with pytest.raises(
        ValueError, match=r"1 labels in shown are no single text or number, first .*one concept"
    ):
        nd.retrieval.concept_centres(space, space.assign_coords(concept=("stimulus", concepts)))
