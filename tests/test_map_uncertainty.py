"""Maps with their uncertainty: equal to plain loops, right where the truth is planted, and whole after a kill."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from mne.stats import fdr_correction

import neurodecode as nd
from neurodecode.inference.blocks import exchangeable, shuffled
from neurodecode.spatial.permutation import _Comparison

NAMES = [f"img_{i:02d}" for i in range(24)]


def recording(
    seed: int = 0, *, repeats: int = 2, signal: float = 1.0, p: int = 6
) -> tuple[xr.DataArray, xr.DataArray]:
    """Simulated: of six voxels the first two carry the features; trials in an order that mixes the repeats."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(24, 3))
    rows = rng.permutation(np.repeat(np.arange(24), repeats))
    mixing = np.zeros((3, p))
    mixing[:, :2] = signal * rng.normal(size=(3, 2))
    values = truth[rows] @ mixing + rng.normal(size=(rows.size, p)) @ (np.eye(p) + 0.3 * np.tri(p))
    responses = nd.brain.fmri(
        values, sample=np.arange(rows.size), stimulus=np.array(NAMES)[rows], session=rows // 12 + 1,
        roi=["V1"] * p, subject="s1",
    )  # fmt: skip
    return responses, nd.brain.features(truth, stimulus=NAMES, layer=["a", "a", "b"])


def plain_map(responses: xr.DataArray, features: xr.DataArray, *, alpha: float = 5.0) -> np.ndarray:
    """Mean |r| (layer, voxel) of voxels and decoded features by the closed form."""
    rows = [NAMES.index(s) for s in responses.stimulus.values]
    x, y = responses.values, features.values[rows]
    z, t = (x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0)
    w = np.linalg.solve(z.T @ z + alpha * np.eye(z.shape[1]), z.T @ t)
    r = np.corrcoef(z.T, (z @ w).T)[: z.shape[1], z.shape[1] :]
    return np.stack([np.abs(r[:, :2]).mean(1), np.abs(r[:, 2:]).mean(1)])


# ---------------------------------------------------------------- permutation


def test_permutation_equals_a_plain_loop():
    responses, features = recording()
    found = nd.spatial.map_permutation(
        nd.RidgeDecoder(5.0), responses, features, n_permutations=40, n_pilot=25, seed=3
    )
    stimuli, group = exchangeable(responses, None, 40)
    own = plain_map(responses, features)

    def null(stage: int, n: int) -> np.ndarray:
        drawn = [shuffled(features, stimuli, group, np.random.default_rng([3, stage, i])) for i in range(n)]
        return np.stack([plain_map(responses, f.sel(stimulus=NAMES)) for f in drawn])

    pilot, shuffles = null(0, 25), null(1, 40)
    np.testing.assert_allclose(found["value"], own, rtol=1e-8)
    np.testing.assert_allclose(found["null_mean"], shuffles.mean(0), rtol=1e-8)
    np.testing.assert_allclose(found["null_sd"], shuffles.std(0, ddof=1), rtol=1e-8)
    z = (own - shuffles.mean(0)) / shuffles.std(0, ddof=1)
    np.testing.assert_allclose(found["z_score"], z, rtol=1e-6)
    np.testing.assert_allclose(found["p"], ((shuffles >= own).sum(0) + 1) / 41)
    mean, sd = pilot.mean(0), pilot.std(0, ddof=1)
    largest = ((shuffles - mean) / sd).max(axis=2)
    expected = [
        [((largest[:, i] >= u).sum() + 1) / 41 for u in row] for i, row in enumerate((own - mean) / sd)
    ]
    np.testing.assert_allclose(found["p_max"], expected)
    np.testing.assert_allclose(found["p_fdr"], [fdr_correction(row)[1] for row in found["p"].values])


def test_signed_maps_are_tested_two_sided():
    compare = _Comparison(np.array([[3.0, -3.0, 0.1]]), np.zeros((1, 3)), np.ones((1, 3)), two_sided=True)
    u = compare.of(np.array([[-3.5, 2.0, -0.2]]))
    assert compare.beaten(u).tolist() == [[True, False, True]]
    responses, features = recording()
    found = nd.spatial.map_permutation(
        nd.RidgeDecoder(5.0), responses, features, reduce="mean", kind="filter", n_permutations=9, n_pilot=20
    )
    assert found.attrs["tail"] == "two-sided"
    flipped = nd.spatial.map_permutation(
        nd.RidgeDecoder(5.0), responses, -features, reduce="mean", kind="filter", n_permutations=9, n_pilot=20
    )
    np.testing.assert_allclose(found["p"], flipped["p"])
    np.testing.assert_allclose(found["value"], -flipped["value"])


def test_layers_of_other_units_are_compared_each_on_its_own():
    """A voxel without spread gets that of its layer, and spreads of a layer in small units count."""
    found, mean = np.array([[3.0, 1.0, 2.0], [3e-13, 1e-13, 2e-13]]), np.zeros((2, 3))
    sd = np.array([[1.0, 0.0, 3.0], [1e-13, 0.0, 3e-13]])
    compare = _Comparison(found, mean, sd, two_sided=False)
    np.testing.assert_allclose(compare.sd, [[1.0, 2.0, 3.0], [1e-13, 2e-13, 3e-13]])


def test_stimuli_change_places_whole_and_only_within_blocks():
    responses, features = recording()
    stimuli, group = exchangeable(responses, "session", 10)
    assert sorted(stimuli.tolist()) == NAMES
    for seed in range(20):
        drawn = shuffled(features, stimuli, group, np.random.default_rng(seed))
        assert drawn.stimulus.values.tolist() == stimuli.tolist()
        came_from = [np.flatnonzero((features.values == row).all(1))[0] for row in drawn.values]
        assert sorted(came_from) == list(range(24))
        sessions = [NAMES.index(s) // 12 for s in stimuli]
        assert [i // 12 for i in came_from] == sessions
    moved = shuffled(features, stimuli, np.zeros(24, int), np.random.default_rng(0))
    assert np.mean(
        [np.flatnonzero((features.values == r).all(1))[0] // 12 for r in moved.values[:12]]
    ) not in (0, 1)


def test_without_anything_planted_p_is_small_as_often_as_it_says():
    small, family = [], []
    for seed in range(24):
        responses, features = recording(seed, signal=0.0, repeats=1)
        found = nd.spatial.map_permutation(
            nd.RidgeDecoder(5.0), responses, features, n_permutations=19, n_pilot=20, seed=seed
        )
        small.append(found["p"].values <= 0.1)
        family.append((found["p_max"].values <= 0.1).any(axis=1))
    # 0.1 is a multiple of 1 / 20, so both rates are it; of 24 x 12 voxels that are alike, and of 24 x 2 maps.
    # bench/maps.py has 400 data sets.
    assert 0.04 < np.mean(small) < 0.17
    assert 0.01 < np.mean(family) < 0.21


def test_what_is_planted_is_found_and_nothing_else():
    rng = np.random.default_rng(8)
    names = np.arange(120)
    truth = rng.normal(size=(120, 3))
    values = rng.normal(size=(120, 80))
    values[:, :5] += truth @ rng.normal(size=(3, 5))
    responses = nd.brain.fmri(values, sample=names, stimulus=names)
    features = nd.brain.features(truth, stimulus=names)
    found = nd.spatial.map_permutation(
        nd.RidgeDecoder(50.0), responses, features, n_permutations=60, n_pilot=40
    )
    assert (found["p_max"].values[0, :5] <= 0.05).sum() >= 4
    assert (found["p_max"].values[0, 5:] > 0.05).all()
    chosen = nd.spatial.map_permutation(
        nd.RidgeDecoder(50.0, n_voxels=5),
        responses,
        features,
        kind="selection",
        n_permutations=30,
        n_pilot=20,
    )
    assert (chosen["p"].values[0, :5] <= 0.05).sum() >= 3


def test_a_constant_voxel_has_nothing():
    responses, features = recording(p=8)
    responses[:, 5] = 1.5
    found = nd.spatial.map_permutation(
        nd.RidgeDecoder(5.0), responses, features, n_permutations=9, n_pilot=20
    )
    assert found["p"].values[:, 5].tolist() == [1, 1]
    assert found["p_max"].values[:, 5].tolist() == [1, 1]
    assert np.isfinite(found["z_score"]).all()


@pytest.mark.parametrize("which", ["permutation", "bootstrap"])
def test_a_run_that_was_stopped_goes_on(which, tmp_path, monkeypatch):
    responses, features = recording()
    monkeypatch.setattr("neurodecode.spatial.permutation.MOST", 8)

    def run(folder=None):
        if which == "permutation":
            return nd.spatial.map_permutation(
                nd.RidgeDecoder(5.0), responses, features, n_permutations=20, n_pilot=20, resume=folder
            )
        return nd.spatial.map_bootstrap(
            nd.RidgeDecoder(5.0), responses, features, n_bootstrap=30, resume=folder
        )

    whole = run()
    fits = []
    fit = nd.RidgeDecoder._label

    def counted(self, *args):
        fits.append(1)
        if len(fits) == 27:
            raise KeyboardInterrupt
        return fit(self, *args)

    monkeypatch.setattr(nd.RidgeDecoder, "_label", counted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "pieces")
    fits[:] = [0] * 100
    again = run(tmp_path / "pieces")
    assert len(fits) - 100 < (41 if which == "permutation" else 31) - 15
    for name in whole.data_vars:
        np.testing.assert_array_equal(whole[name].values, again[name].values)
    with pytest.raises(ValueError, match="another key"):
        nd.spatial.map_permutation(
            nd.RidgeDecoder(6.0),
            responses,
            features,
            n_permutations=20,
            n_pilot=20,
            resume=tmp_path / "pieces",
        )


def test_epochs_keep_channel_and_time():
    rng = np.random.default_rng(3)
    epochs = nd.brain.meeg(
        rng.normal(size=(24, 4, 5)),
        sample=NAMES,
        stimulus=NAMES,
        channel=list("abcd"),
        time=np.arange(5) / 100,
    )
    features = nd.brain.features(rng.normal(size=(24, 2)), stimulus=NAMES)
    found = nd.spatial.map_permutation(nd.RidgeDecoder(), epochs, features, n_permutations=5, n_pilot=20)
    assert found["p"].dims == ("layer", "channel", "time")
    found = nd.spatial.map_bootstrap(nd.RidgeDecoder(), epochs, features, n_bootstrap=4)
    assert found["se"].dims == ("layer", "channel", "time")


# ---------------------------------------------------------------- bootstrap


@pytest.mark.parametrize("refit", [True, False])
def test_bootstrap_equals_a_plain_loop(refit):
    responses, features = recording()
    decoder = nd.RidgeDecoder(5.0)
    found = nd.spatial.map_bootstrap(decoder, responses, features, refit=refit, n_bootstrap=12, seed=4)
    w = decoder.fit(responses, features).weights_.values
    labels = responses.stimulus.values
    order = list(dict.fromkeys(labels))
    drawn = []
    for i in range(12):
        picks = np.random.default_rng([4, i]).integers(24, size=24)
        rows = np.concatenate([np.flatnonzero(labels == order[k]) for k in picks])
        part = responses[rows]
        if refit:
            drawn.append(plain_map(part, features))
        else:
            r = np.abs(np.corrcoef(part.values.T, (part.values @ w).T)[:6, 6:])
            drawn.append(np.stack([r[:, :2].mean(1), r[:, 2]]))
    drawn = np.stack(drawn)
    own = plain_map(responses, features)
    np.testing.assert_allclose(found["value"], own, rtol=1e-8)
    np.testing.assert_allclose(found["se"], drawn.std(0, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(found["bias"], drawn.mean(0) - own, rtol=1e-6, atol=1e-10)
    from scipy import stats

    spread = stats.t.ppf(0.975, 23) * np.std(np.arctanh(drawn), axis=0, ddof=1)
    np.testing.assert_allclose(found["low"], np.tanh(np.arctanh(own) - spread), rtol=1e-6)
    np.testing.assert_allclose(found["high"], np.tanh(np.arctanh(own) + spread), rtol=1e-6)


def test_repeats_that_are_copies_change_no_limit():
    """Twice the same trials are no new stimuli: drawn trial by trial, limits would shrink."""
    once, features = recording(repeats=1)
    twice = xr.concat([once, once], dim="sample").assign_coords(sample=np.arange(48))
    options = {"n_bootstrap": 20, "kind": "pattern"}
    a = nd.spatial.map_bootstrap(nd.RidgeDecoder(5.0), once, features, **options)
    b = nd.spatial.map_bootstrap(nd.RidgeDecoder(10.0), twice, features, **options)
    np.testing.assert_allclose(a["se"], b["se"], rtol=1e-6)


def test_filters_and_other_units_have_plain_limits():
    responses, features = recording()
    found = nd.spatial.map_bootstrap(
        nd.RidgeDecoder(5.0), responses, features, kind="filter", reduce="l2", units="original", n_bootstrap=8
    )
    np.testing.assert_allclose(found["high"] - found["value"], found["value"] - found["low"], rtol=1e-9)


def test_one_split_of_all_samples_is_no_second_one():
    responses, features = recording()
    whole = responses.assign_coords(split="train")  # as a selection leaves it
    for call in (nd.spatial.map_permutation, nd.spatial.map_bootstrap):
        options = {"n_permutations": 2} if call is nd.spatial.map_permutation else {"n_bootstrap": 2}
        found = call(nd.RidgeDecoder(), whole, features, **options)
        expected = call(nd.RidgeDecoder(), responses, features, **options)
        xr.testing.assert_equal(found.drop_vars("split", errors="ignore"), expected)


# ---------------------------------------------------------------- errors


def test_errors_come_before_any_fit(monkeypatch):
    responses, features = recording()
    split = responses.assign_coords(split=("sample", ["train", "test"] * 24))
    unknown = responses.assign_coords(day=("sample", [np.nan, *range(47)]))
    monkeypatch.setattr(nd.RidgeDecoder, "fit", lambda *_: pytest.fail("fitted before the check"))
    decoder = nd.RidgeDecoder()
    for call, words in (
        (lambda: nd.spatial.map_permutation(decoder, responses, features, n_pilot=3), "n_pilot must be at least 20"),
        (lambda: nd.spatial.map_permutation(decoder, responses, features, n_permutations=0), "must be at least 1"),
        (lambda: nd.spatial.map_permutation(decoder, responses, features, kind="w"), "unknown kind 'w'"),
        (lambda: nd.spatial.map_permutation(decoder, responses, features, blocks="day"), "no coordinate 'day'"),
        (lambda: nd.spatial.map_permutation(decoder, responses, features[:20]), "lack 4 of the 24 stimuli"),
        (
            lambda: nd.spatial.map_permutation(
                decoder, responses[np.unique(responses.stimulus, return_index=True)[1]], features, blocks="sample"
            ),
            "no two of 24 stimuli were shown in the same values of 'sample'",
        ),
        (lambda: nd.spatial.map_bootstrap(decoder, responses, features, n_bootstrap=1), "at least 2"),
        (lambda: nd.spatial.map_bootstrap(decoder, responses, features, level=95), "share between 0 and 1"),
        (lambda: nd.spatial.map_bootstrap(decoder, responses, features, over="day"), "no coordinate 'day'"),
        (lambda: nd.spatial.map_bootstrap(decoder, unknown, features, over="day"), "1 of 48 labels 'day' .* missing"),
        (lambda: nd.spatial.map_bootstrap(decoder, responses, features, over="session"), "at least 3"),
        (
            lambda: nd.spatial.map_bootstrap(decoder, responses, features, kind="filter", refit=False),
            "only patterns vary",
        ),
        (
            lambda: nd.spatial.map_bootstrap(nd.RidgeDecoder([1, 10]), responses, features),
            "would test on what it trained on",
        ),
        *(
            (lambda call=call: call(decoder, split, features), "the splits 'train', 'test'.*give those of training")
            for call in (nd.spatial.map_permutation, nd.spatial.map_bootstrap)
        ),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            call()
    for n in (19.5, "19"):
        with pytest.raises(TypeError, match="n_permutations must be a whole number"):
            nd.spatial.map_permutation(decoder, responses, features, n_permutations=n)


def test_few_shuffles_are_said():
    responses, features = recording()
    few = responses[np.isin(responses.stimulus.values, NAMES[:4])]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        nd.spatial.map_permutation(nd.RidgeDecoder(), few, features, n_permutations=30, n_pilot=20)
    assert any("fewer than 30 different shuffles" in str(w.message) for w in said)


def test_a_voxel_that_no_pilot_selected_is_tested_like_the_others():
    """One voxel carries the feature and two of 200 are selected: hardly any pilot selects that one."""
    rng = np.random.default_rng(1)
    names = [f"s{i}" for i in range(60)]
    meaning = rng.normal(size=(60, 1))
    values = rng.normal(size=(60, 200))
    values[:, 0] += 3 * meaning[:, 0]
    responses = nd.brain.fmri(values, sample=names, stimulus=names)
    features = nd.brain.features(meaning, stimulus=names)
    found = nd.spatial.map_permutation(
        nd.RidgeDecoder(1.0, n_voxels=2), responses, features, kind="filter", n_permutations=99, n_pilot=30
    )
    assert float(found["p"][0, 0]) == pytest.approx(0.01)
    assert float(found["p_max"][0, 0]) == pytest.approx(0.01)
    assert float((found["p"][0, 1:] <= 0.05).mean()) < 0.1


# ------------------------------------------------------------------------------------------------ figure
@pytest.fixture(scope="module")
def figure_script():
    return runpy.run_path(str(Path(__file__).parents[1] / "figures" / "weight_map.py"))


def result_of(p: list[float]) -> xr.Dataset:
    """As analyses/weight_map.py writes it: six vertices of the left occipital pole."""
    coords = {
        "layer": ["c"],
        "voxel": np.arange(6),
        "hemi": ("voxel", ["left"] * 6),
        "vertex": ("voxel", np.arange(6)),
    }
    values = xr.DataArray([np.linspace(0.1, 0.6, 6)], dims=("layer", "voxel"), coords=coords)
    both = {k: values.assign_attrs(kind=k, reduce="mean_abs", units="r") for k in ("filter", "pattern")}
    tests = {"p_fdr": values.copy(data=[p]).rename(layer="tested")}
    return xr.Dataset(both | tests, attrs={"n_permutations": 199})


def test_the_figure_shows_voxels_that_passed(figure_script):
    result = result_of([0.2, 0.01, 0.05, 0.051, 1.0, 0.04])
    values = figure_script["chosen"](result, "pattern")
    passed = figure_script["passed"](result, values, "c")
    assert passed.values.tolist() == [False, True, True, False, False, True]
    figure = figure_script["draw"](values.sel(layer="c"), result, passed, engine="matplotlib")
    flat = next(ax for ax in figure.axes if ax.get_label() == "flat left")
    rgb = flat.collections[0].get_facecolor()[:6, :3]
    coloured = np.ptp(rgb, axis=1) > 0.05
    assert coloured.tolist() == passed.values.tolist()
    bar = next(ax for ax in figure.axes if ax.get_label() == "colour bar")
    assert "shown: p \u2264 0.05 (FDR, 199 shuffles)" in bar.get_xlabel().replace("\n", " ")
    assert figure_script["passed"](result, figure_script["chosen"](result, "filter"), "c") is None


def test_a_map_in_which_nothing_passed_says_so(figure_script):
    result = result_of([1.0] * 6)
    values = figure_script["chosen"](result, "pattern")
    figure = figure_script["draw"](
        values.sel(layer="c"), result, figure_script["passed"](result, values, "c"), engine="matplotlib"
    )
    bar = next(ax for ax in figure.axes if ax.get_label() == "colour bar")
    assert "no voxel has p \u2264 0.05" in bar.get_xlabel().replace("\n", " ")


def test_a_permutation_map_is_drawn_with_its_own_test(figure_script):
    result = result_of([0.2, 0.01, 0.05, 0.051, 1.0, 0.04])
    own = result[["p_fdr"]].rename(tested="layer").assign(value=result["pattern"], z_score=result["filter"])
    own = own.assign_attrs(kind="pattern", reduce="mean_abs", units="r", n_permutations=99)
    values = figure_script["chosen"](own, "pattern")
    np.testing.assert_array_equal(values, result["pattern"])
    assert figure_script["passed"](own, values, "c").sum() == 3
