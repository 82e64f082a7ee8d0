"""Where in the brain: planted effects, scikit-learn's loop, images that go back to where they came from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import nibabel
import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neurodecode as nd
from neurodecode import spatial

REGIONS = ("V1", "V2", "LO", "MT", "MST")


def brain(
    seed: int = 0, *, n: int = 60, size: int = 8, subject: str = "s1"
) -> tuple[xr.DataArray, dict[str, xr.DataArray]]:
    """Simulated: V1 and V2 carry ``edges``, LO and MT carry ``meaning``, MST carries nothing."""
    rng = np.random.default_rng(seed)
    names = np.array([f"img_{i:03d}" for i in range(n)])
    spaces = {k: rng.normal(size=(n, 4)) for k in ("edges", "meaning")}
    carried = {"V1": "edges", "V2": "edges", "LO": "meaning", "MT": "meaning"}
    noise = np.random.default_rng(seed + hash_of(subject))
    parts = [
        spaces[carried[r]] @ noise.normal(size=(4, size)) + noise.normal(size=(n, size))
        if r in carried else noise.normal(size=(n, size))
        for r in REGIONS
    ]  # fmt: skip
    responses = nd.brain.fmri(
        np.hstack(parts), sample=np.char.add("t", names), stimulus=names, roi=np.repeat(REGIONS, size),
        run=np.arange(n) % 4, split=np.where(np.arange(n) < 45, "train", "test"), subject=subject,
    )  # fmt: skip
    return responses, {k: nd.brain.features(v, stimulus=names) for k, v in spaces.items()}


def hash_of(text: str) -> int:
    return sum(map(ord, text))


def by_hand(x: np.ndarray, y: np.ndarray, pairs: list, alpha: float) -> np.ndarray:
    """Profile correlations (fold, feature) of scikit-learn's own pipeline."""
    out = []
    for train, test in pairs:
        predicted = (
            make_pipeline(StandardScaler(), Ridge(alpha=alpha)).fit(x[train], y[train]).predict(x[test])
        )
        out.append([np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, y[test].T, strict=True)])
    return np.array(out)


def same(a: xr.DataArray, b: xr.DataArray) -> None:
    """Everything but the date of the stamp."""
    keep = {k: v for k, v in a.attrs.items() if k != "provenance"}
    xr.testing.assert_identical(a.assign_attrs(provenance=""), b.assign_attrs(provenance=""))
    assert keep == {k: v for k, v in b.attrs.items() if k != "provenance"}


# ---------------------------------------------------------------- decode


def test_decode_finds_the_planted_effect_in_its_regions_and_nowhere_else():
    data = {s: brain(subject=s) for s in ("s1", "s2")}
    features = data["s1"][1]
    scores = spatial.decode({s: d[0] for s, d in data.items()}, features, nd.RidgeDecoder(alpha=10.0))
    assert scores.dims == ("region", "layer", "subject", "fold")
    assert scores.region.values.tolist() == sorted(REGIONS)
    assert scores.layer.values.tolist() == ["edges", "meaning"]
    assert scores.subject.values.tolist() == ["s1", "s2"]
    assert scores.fold.values.tolist() == ["test"]
    assert (scores.attrs["score"], scores.attrs["chance"], scores.attrs["units"]) == (
        "profile",
        0.0,
        "Pearson r",
    )
    mean = scores.mean(["subject", "fold"])
    assert (mean.sel(layer="edges", region=["V1", "V2"]) > 0.7).all()
    assert (mean.sel(layer="meaning", region=["LO", "MT"]) > 0.7).all()
    assert (abs(mean.sel(layer="edges", region=["LO", "MT", "MST"])) < 0.35).all()
    assert (abs(mean.sel(layer="meaning", region=["V1", "V2", "MST"])) < 0.35).all()


def test_decode_equals_scikit_learns_loop_by_layer_and_by_feature():
    responses, features = brain()
    pairs = list(KFold(4).split(np.arange(60)))
    options = {"regions": ["V1", "LVC", "LVC+HVC"], "folds": KFold(4)}
    by_layer = spatial.decode(responses, features, nd.RidgeDecoder(alpha=5.0), **options)
    by_feature = spatial.decode(responses, features, nd.RidgeDecoder(alpha=5.0), by="feature", **options)
    members = {"V1": ["V1"], "LVC": ["V1", "V2"], "LVC+HVC": ["V1", "V2", "LO", "MT"]}
    for region, names in members.items():
        x = responses.values[:, np.isin(responses.roi.values, names)]
        for i, (layer, space) in enumerate(features.items()):
            r = by_hand(x, space.values, pairs, 5.0)
            found = by_layer.sel(region=region, layer=layer, subject="s1").values
            np.testing.assert_allclose(found, r.mean(axis=1), rtol=1e-7)
            found = by_feature.sel(region=region, subject="s1").isel(feature=slice(4 * i, 4 * i + 4))
            assert found.layer.values.tolist() == [layer] * 4
            assert found.unit.values.tolist() == [0, 1, 2, 3]
            np.testing.assert_allclose(found.values, r.T, rtol=1e-7)
    assert by_feature.dims == ("region", "feature", "subject", "fold")


def test_regions_by_mask_mapping_and_overlap_equal_manual_refits():
    responses, features = brain()
    masks = xr.DataArray(
        np.zeros((2, 40), dtype=bool), dims=("region", "voxel"),
        coords={"region": ["a", "b"], "voxel": responses.voxel.values},
    )  # fmt: skip
    masks[0, :10], masks[1, 5:24] = True, True
    found = spatial.decode(responses, features, nd.RidgeDecoder(), regions=masks)
    mapped = spatial.decode(responses, features, nd.RidgeDecoder(), regions={"early": "V1+V2"})
    train, test = np.arange(45), np.arange(45, 60)
    for name, columns in {"a": slice(10), "b": slice(5, 24)}.items():
        r = by_hand(responses.values[:, columns], features["edges"].values, [(train, test)], 1.0)
        np.testing.assert_allclose(found.sel(region=name, layer="edges").item(), r.mean(), rtol=1e-7)
    r = by_hand(responses.values[:, :16], features["edges"].values, [(train, test)], 1.0)
    np.testing.assert_allclose(mapped.sel(region="early", layer="edges").item(), r.mean(), rtol=1e-7)


def test_decoder_by_space_and_features_with_a_layer():
    responses, features = brain()
    both = spatial.decode(responses, nd.brain.stack(features), nd.RidgeDecoder(alpha=2.0), regions=["V1"])
    two = {"edges": nd.RidgeDecoder(alpha=2.0), "meaning": nd.RidgeDecoder(alpha=50.0)}
    found = spatial.decode(responses, features, two, regions=["V1"])
    np.testing.assert_array_equal(found.sel(layer="edges"), both.sel(layer="edges"))
    assert found.sel(layer="meaning").item() != both.sel(layer="meaning").item()
    with pytest.raises(ValueError, match=r"no decoder for the feature space\(s\) 'meaning'"):
        spatial.decode(responses, features, {"edges": nd.RidgeDecoder()}, regions=["V1"])


def test_features_may_be_stored_per_sample():
    responses, features = brain()
    per_stimulus = features["edges"]
    per_sample = xr.DataArray(
        per_stimulus.values,
        dims=("sample", "feature"),
        coords={"sample": responses.sample.values},
        name="edges",
    )
    options = {"regions": ["V1"], "folds": "run"}
    expected = spatial.decode(responses, {"edges": per_stimulus}, nd.RidgeDecoder(), **options)
    found = spatial.decode(responses, per_sample, nd.RidgeDecoder(), **options)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.fold.values.tolist() == ["run=0", "run=1", "run=2", "run=3"]


def test_subjects_with_other_voxels_and_regions():
    a, features = brain(subject="s1")
    b = brain(subject="s2", size=5)[0]
    b = b.isel(voxel=b.roi.values != "MT")
    scores = spatial.decode([a, b], features, nd.RidgeDecoder())
    assert np.isnan(scores.sel(region="MT", subject="s2")).all()
    assert np.isfinite(scores.sel(subject="s1")).all()
    alone = spatial.decode(b, features, nd.RidgeDecoder())
    np.testing.assert_array_equal(scores.sel(subject="s2", region="LO"), alone.sel(subject="s2", region="LO"))
    with pytest.raises(ValueError, match="subjects are not unique: 's1', 's1'"):
        spatial.decode([a, a], features, nd.RidgeDecoder())


def test_the_result_says_how_it_was_made():
    responses, features = brain()
    scores = spatial.decode(responses, features, nd.RidgeDecoder(alpha=7.0), regions=["V1"])
    record = nd.store.provenance(scores)
    assert record["what"] == "spatial.decode"
    assert "alpha=7.0" in record["parameters"]["decoders"]["edges"]
    assert record["parameters"]["folds"] == {"s1": {"test": [45, 15]}}
    assert record["data"]["s1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"regions": ["V1", "V9"]}, "unknown region.*'V9'.*'LO', 'MST', 'MT', 'V1', 'V2'"),
        ({"score": "r"}, "unknown score 'r'; choose one of 'profile', 'pattern'"),
        ({"by": "voxel"}, "unknown by 'voxel'; choose one of 'layer', 'feature'"),
        ({"by": "feature", "score": "pattern"}, "no value per feature"),
        ({"train": "learn"}, "'learn' is no value of 'split'"),
        ({"folds": "session"}, "no sample coordinate"),
        (
            {"decoder": nd.RidgeDecoder(n_voxels=9)},
            r"n_voxels=9 but 2 of 2 regions of subject 's1'.*'MST \(8\)', 'V1 \(8\)'",
        ),
        ({"decoder": nd.RidgeDecoder(alpha=-1)}, "alpha must be"),
    ],
)
def test_mistakes_are_named(options, words):
    responses, features = brain()
    decoder = options.pop("decoder", nd.RidgeDecoder())
    options.setdefault("regions", ["MST", "V1"])
    with pytest.raises(ValueError, match=words):
        spatial.decode(responses, features, decoder, **options)


def test_bad_data_are_refused_before_any_fit(monkeypatch):
    responses, features = brain()
    monkeypatch.setattr(nd.RidgeDecoder, "fit", lambda *_: pytest.fail("fitted before the check"))
    bad = responses.copy()
    bad[50, 3] = np.nan
    with pytest.raises(ValueError, match="subject 's1' has 1 NaN"):
        spatial.decode(bad, features, nd.RidgeDecoder())
    late = {"edges": features["edges"], "meaning": features["meaning"][:30]}
    with pytest.raises(ValueError, match="'meaning' lack 30 of the 60 stimuli"):
        spatial.decode(responses, late, nd.RidgeDecoder())
    leaky = responses.assign_coords(stimulus=("sample", np.tile(responses.stimulus.values[:30], 2)))
    with pytest.raises(ValueError, match="share 15 of 15 test stimuli"):
        spatial.decode(leaky, features, nd.RidgeDecoder())


# ---------------------------------------------------------------- resume


KILLED = """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    import neurodecode as nd
    from test_spatial import brain
    save, seen = nd.store.Pieces.save, []
    def counted(self, name, array):
        seen.append(name)
        if len(seen) > 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return save(self, name, array)
    nd.store.Pieces.save = counted
    responses, features = brain()
    nd.spatial.decode(responses, features, nd.RidgeDecoder(), resume={folder!r})
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    folder = tmp_path / "pieces"
    code = textwrap.dedent(KILLED.format(tests=str(Path(__file__).parent), folder=str(folder)))
    root = str(Path(nd.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(list(folder.glob("*.nc"))) == 2
    responses, features = brain()
    expected = spatial.decode(responses, features, nd.RidgeDecoder())
    save, saved = nd.store.Pieces.save, []
    monkeypatch.setattr(nd.store.Pieces, "save", lambda self, *piece: saved.append(1) or save(self, *piece))
    same(spatial.decode(responses, features, nd.RidgeDecoder(), resume=folder), expected)
    assert len(saved) == len(REGIONS) - 2
    same(spatial.decode(responses, features, nd.RidgeDecoder(), resume=folder), expected)
    assert len(saved) == len(REGIONS) - 2


def test_a_folder_of_other_work_is_refused(tmp_path):
    """Every case differs from the first run in one thing that changes the scores."""
    responses, features = brain()
    ids = responses.sample.values
    base = {"regions": ["V1"], "train": ids[:30], "test": ids[30:50], "score": nd.score.against(k=1)}
    first = tmp_path / "run"
    spatial.decode(responses, features, nd.RidgeDecoder(), resume=first, **base)
    spatial.decode(responses, features, nd.RidgeDecoder(), resume=first, **base)  # the same work is taken up
    candidates = features["edges"][30:60]
    twice = responses.copy()
    twice[0, 0] += 1
    changed = {
        "samples of the same number": {"test": ids[40:60]},
        "candidates": {"score": nd.score.against(candidates)},
        "places": {"score": nd.score.against(k=2)},
        "a function of the same name": {"score": _named("top1", lambda p, t: nd.score.pattern(p, t) + 1)},
        "regions": {"regions": ["V2"]},
    }
    for options in changed.values():
        with pytest.raises(ValueError, match="begun with another key"):
            spatial.decode(responses, features, nd.RidgeDecoder(), resume=first, **{**base, **options})
    for decoder in (nd.RidgeDecoder(alpha=2.0), nd.RidgeDecoder(standardise=False)):
        with pytest.raises(ValueError, match="begun with another key"):
            spatial.decode(responses, features, decoder, resume=first, **base)
    with pytest.raises(ValueError, match="begun with another key"):
        spatial.decode(twice, features, nd.RidgeDecoder(), resume=first, **base)


def _named(name, function):
    function.__name__ = name
    return function


def test_long_grids_of_alpha_are_told_apart(tmp_path):
    responses, features = brain()
    grid = np.logspace(-2, 4, 80)
    other = grid.copy()
    other[40] *= 1.01
    options = {"regions": ["V1"], "resume": tmp_path / "run"}
    spatial.decode(responses, features, nd.RidgeDecoder(alpha=grid), **options)
    with pytest.raises(ValueError, match="begun with another key"):
        spatial.decode(responses, features, nd.RidgeDecoder(alpha=other), **options)


def test_pieces_of_similar_names_are_told_apart(tmp_path):
    responses, features = brain()
    masks = xr.DataArray(
        np.zeros((2, 40), dtype=bool), dims=("region", "voxel"),
        coords={"region": ["b-c", "c"], "voxel": responses.voxel.values},
    )  # fmt: skip
    masks[0, :8], masks[1, 20:28] = True, True
    subjects = {"a": responses, "a-b": brain(subject="s2")[0]}
    expected = spatial.decode(subjects, features, nd.RidgeDecoder(), regions=masks)
    same(
        spatial.decode(subjects, features, nd.RidgeDecoder(), regions=masks, resume=tmp_path / "run"),
        expected,
    )


# ---------------------------------------------------------------- region_profile, contrast


def maps(seed: int = 0, *, effect: float = 0.0, voxels: int = 60) -> xr.DataArray:
    """A simulated map of two layers; V1's voxels carry ``effect`` in the first."""
    rng = np.random.default_rng(seed)
    roi = np.repeat(["V1", "V2", "LO", "MST"], voxels // 4)
    values = rng.normal(size=(2, voxels))
    values[0, roi == "V1"] += effect
    return xr.DataArray(
        values, dims=("layer", "voxel"), attrs={"units": "a.u.", "subject": f"s{seed}"},
        coords={"layer": ["c", "z"], "voxel": np.arange(voxels), "roi": ("voxel", roi)},
    )  # fmt: skip


def test_a_profile_is_the_mean_over_voxels():
    one = maps()
    found = spatial.region_profile(one, ["V1", "LVC"], n_permutations=20, n_bootstrap=20)
    assert found["mean"].dims == ("region", "layer")
    np.testing.assert_allclose(found["mean"].sel(region="V1"), one[:, :15].mean("voxel"))
    np.testing.assert_allclose(found["mean"].sel(region="LVC"), one[:, :30].mean("voxel"))
    assert found["n_voxels"].sel(region="LVC").values.tolist() == [30]
    assert found.attrs["n_permutations"] == 20
    again = spatial.region_profile(one, ["V1", "LVC"], n_permutations=20, n_bootstrap=20)
    xr.testing.assert_equal(found, again)


def test_a_planted_region_is_significant_and_the_others_are_not():
    found = spatial.region_profile(maps(effect=1.5), n_permutations=400, n_bootstrap=50)
    p = found["p"]
    assert p.sel(region="V1", layer="c") == pytest.approx(1 / 401)
    assert (p.where(p.region != "V1", drop=True) > 0.03).all()
    assert p.sel(region="V1", layer="z") > 0.03
    low = spatial.region_profile(maps(effect=-1.5), n_permutations=100, n_bootstrap=5)
    assert low["p"].sel(region="V1", layer="c") > 0.95  # one-sided


def test_p_is_uniform_without_an_effect_and_the_interval_covers():
    from scipy.stats import kstest

    p, covered = [], []
    for seed in range(100):
        found = spatial.region_profile(maps(seed), ["V1"], n_permutations=60, n_bootstrap=60, seed=seed)
        p += found["p"].values.ravel().tolist()
        covered += ((found["low"] <= 0) & (found["high"] >= 0)).values.ravel().tolist()
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) < 0.09
    assert 0.88 < np.mean(covered) < 0.98  # nominal .95; 15 voxels make it a little narrow


def test_several_subjects_are_averaged_after_their_voxels():
    subjects = {"a": maps(1), "b": maps(2, voxels=80)}
    found = spatial.region_profile(subjects, ["V1"], n_permutations=10, n_bootstrap=10)
    means = [m[:, m.roi.values == "V1"].mean("voxel").values for m in subjects.values()]
    np.testing.assert_allclose(found["values"].values[0].T, means)
    np.testing.assert_allclose(found["mean"].values[0], np.mean(means, axis=0))
    assert found["n_voxels"].values.tolist() == [[15, 20]]
    assert "subject" not in found.attrs
    told = {s: m.assign_attrs(units="r", alpha=i) for i, (s, m) in enumerate(subjects.items())}
    attrs = spatial.region_profile(told, ["V1"], n_permutations=10, n_bootstrap=10).attrs
    assert attrs["units"] == "r"
    assert "alpha" not in attrs
    other = maps(3)
    other["roi"] = other.roi.where(other.roi != "LO", "MT")
    with pytest.raises(ValueError, match="'a' and 'b' have other regions: 'LO', .* against 'MST', 'MT'"):
        spatial.region_profile({"a": maps(1), "b": other}, n_permutations=1, n_bootstrap=1)
    with pytest.raises(ValueError, match="other layers: 'c', 'z' against 'z', 'c'"):
        spatial.region_profile({"a": maps(1), "b": maps(2)[::-1]}, ["V1"], n_permutations=1, n_bootstrap=1)


def test_a_contrast_equals_scipys_permutation_test():
    from scipy.stats import permutation_test

    one = maps(effect=1.0)
    found = spatial.contrast(one, {"a": "V1", "b": "LO"}, pair=("a", "b"), n_permutations=2000)
    a, b = (one[0, one.roi.values == r].values for r in ("V1", "LO"))
    expected = permutation_test(
        (a, b), lambda x, y: x.mean() - y.mean(), n_resamples=2000, rng=0, permutation_type="independent"
    )
    assert found["difference"].sel(layer="c").item() == pytest.approx(expected.statistic)
    assert found["p"].sel(layer="c").item() == pytest.approx(expected.pvalue, abs=0.03)
    assert found["difference"].dims == ("layer",)
    with pytest.raises(ValueError, match="share 15 voxels"):
        spatial.contrast(one, {"a": "V1", "b": "V1+LO"}, pair=("a", "b"))
    with pytest.raises(ValueError, match="unknown region 'HVC'"):
        spatial.contrast(one, {"LVC": "V1"})


def test_profile_errors():
    with pytest.raises(ValueError, match="n_permutations must be at least 1, got 0"):
        spatial.region_profile(maps(), n_permutations=0)
    with pytest.raises(ValueError, match="1 NaN"):
        spatial.region_profile(maps().where(maps().voxel != 3)[:1])
    with pytest.raises(ValueError, match="unknown region"):
        spatial.region_profile(maps(), ["V7"])
    with pytest.raises(ValueError, match="needs the dimension"):
        spatial.region_profile(maps().rename(voxel="channel"))


# ---------------------------------------------------------------- images


def oblique() -> np.ndarray:
    """An affine with rotation, shear, unequal voxel sizes and a flipped axis."""
    c, s = np.cos(0.4), np.sin(0.4)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.8, 2.0, 2.5])
    affine[0, 1] += 0.1
    affine[:3, 3] = [35.5, -80.25, 12.0]
    return affine


@pytest.mark.parametrize("affine", [np.diag([2.0, 2.0, 2.0, 1.0]), oblique()], ids=["straight", "oblique"])
def test_a_map_goes_back_to_the_voxels_it_came_from(affine, tmp_path):
    rng = np.random.default_rng(0)
    inside = rng.random((6, 5, 4)) < 0.4
    volume = rng.normal(size=(6, 5, 4, 20)).astype(np.float32)
    mask = nibabel.Nifti1Image(inside.astype(np.uint8), affine)
    names = [f"i{i}" for i in range(20)]
    responses = nd.brain.fmri(nibabel.Nifti1Image(volume, affine), mask=mask, sample=names, stimulus=names)
    features = nd.brain.features(rng.normal(size=(20, 4)), stimulus=names, layer=["a", "a", "b", "b"])
    found = spatial.weight_map(nd.RidgeDecoder().fit(responses, features))
    image = spatial.to_volume(found)
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    assert image.shape == (6, 5, 4, 2)
    data = image.get_fdata()
    assert not data[~inside].any()
    x = volume[inside].T.astype(np.float64)
    model = make_pipeline(StandardScaler(), Ridge()).fit(x, features.values)
    weights = np.abs(model[-1].coef_ / features.values.std(0)[:, None])
    expected = np.stack([weights[:2].mean(0), weights[2:].mean(0)], axis=1)
    np.testing.assert_allclose(data[inside], expected, rtol=1e-4)
    one = spatial.to_volume(found.sel(layer="b"), fill=-1.0)
    assert one.shape == (6, 5, 4)
    np.testing.assert_array_equal(one.get_fdata()[inside], data[inside][:, 1])
    assert (one.get_fdata()[~inside] == -1).all()
    bare = found.copy()
    bare.attrs = {}
    mask.to_filename(tmp_path / "mask.nii.gz")
    for like in (mask, tmp_path / "mask.nii.gz"):
        np.testing.assert_array_equal(spatial.to_volume(bare, like=like).get_fdata(), data)
    with pytest.raises(ValueError, match="does not know its grid"):
        spatial.to_volume(bare)
    shifted = affine.copy()
    shifted[0, 3] += 0.7
    with pytest.raises(ValueError, match="do not lie on the grid"):
        spatial.to_volume(bare, like=nibabel.Nifti1Image(inside.astype(np.uint8), shifted))


def surface_map() -> xr.DataArray:
    return xr.DataArray(
        [1.0, 2.0, 3.0], dims="voxel",
        coords={"voxel": [0, 1, 2], "hemi": ("voxel", ["left", "right", "left"]), "vertex": ("voxel", [5, 5, 10241])},
    )  # fmt: skip


def test_a_surface_map_goes_to_its_vertices():
    image = spatial.to_surface(surface_map())
    left, right = image.data.parts["left"], image.data.parts["right"]
    assert (left[5], left[10241], right[5]) == (1.0, 3.0, 2.0)
    assert np.isnan(left).sum() == 10240
    assert np.isnan(right).sum() == 10241
    with pytest.raises(ValueError, match="select a layer"):
        spatial.to_surface(surface_map().expand_dims("layer"))
    with pytest.raises(ValueError, match=r"0 to 10241 \(fsaverage5\), found 5 to 10242"):
        spatial.to_surface(surface_map().assign_coords(vertex=("voxel", [5, 5, 10242])))
    with pytest.raises(ValueError, match="no coordinate 'hemi'"):
        spatial.to_surface(surface_map().drop_vars("hemi"))
    with pytest.raises(ValueError, match="hemi must be 'left' or 'right', got 'lh', 'rh'"):
        spatial.to_surface(surface_map().assign_coords(hemi=("voxel", ["lh", "rh", "lh"])))


def test_a_volume_in_mni_space_is_sampled_on_the_surface():
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-90, -126, -72]
    grid = np.argwhere(np.ones((46, 55, 47)))
    xyz = grid @ affine[:3, :3].T + affine[:3, 3]
    values = xr.DataArray(
        xyz[:, 1], dims="voxel", coords={a: ("voxel", xyz[:, i]) for i, a in enumerate("xyz")},
        attrs={"affine": affine.ravel().tolist(), "shape": [46, 55, 47]},
    )  # fmt: skip
    image = spatial.to_surface(values)
    for side in ("left", "right"):
        y = image.mesh.parts[side].coordinates[:, 1]
        np.testing.assert_allclose(
            image.data.parts[side].ravel(), y, atol=4.0
        )  # the mean over the ribbon, mm
        assert np.corrcoef(image.data.parts[side].ravel(), y)[0, 1] > 0.999


# ---------------------------------------------------------------- how results were made, and what their files say


def test_profiles_and_contrasts_say_how_they_were_made():
    responses, features = brain()
    decoder = nd.RidgeDecoder(alpha=2.0).fit(responses, nd.brain.stack(features))
    weights = spatial.weight_map(decoder, kind="pattern", responses=responses)
    both = {"a": "V1", "b": "V2"}
    profile = spatial.region_profile(weights, both, n_permutations=5, n_bootstrap=6, seed=7)
    contrast = spatial.contrast(weights, both, pair=("b", "a"), n_permutations=5, seed=7)
    mapped = {"s1": nd.store.provenance(weights)}
    for found, what, names, counts in (
        (
            profile,
            "spatial.region_profile",
            ["a", "b"],
            {"noise": "white", "n_permutations": 5, "n_bootstrap": 6},
        ),
        (contrast, "spatial.contrast", ["b", "a"], {"noise": "white", "n_permutations": 5}),
    ):
        made = nd.store.provenance(found)
        assert made["what"] == what
        assert made["seed"] == 7
        assert made["parameters"] == {"regions": names, **counts, "map": mapped}
        assert list(made["data"]) == ["s1"]
        assert found.attrs["kind"] == "pattern"
    other = nd.store.provenance(
        spatial.region_profile((weights + 1).drop_attrs(), both, n_permutations=5, n_bootstrap=6)
    )
    assert list(other["data"].values()) != list(nd.store.provenance(profile)["data"].values())
    assert "map" not in other["parameters"]


def test_a_selected_layer_keeps_its_name_in_a_profile():
    found = spatial.region_profile(maps().sel(layer="z"), ["V1"], n_permutations=1, n_bootstrap=1)
    assert found["layer"].values.tolist() == ["z"]


def test_a_volume_says_its_units_and_its_space():
    affine = np.diag([-2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = [10.0, -20.0, 5.0]
    where = np.argwhere(np.ones((2, 3, 2)))
    xyz = where @ affine[:3, :3].T + affine[:3, 3]
    values = xr.DataArray(
        np.arange(12.0), dims="voxel", coords={k: ("voxel", xyz[:, i]) for i, k in enumerate("xyz")},
        attrs={"affine": affine.ravel().tolist(), "shape": [2, 3, 2]},
    )  # fmt: skip
    header = spatial.to_volume(values).header
    assert header.get_xyzt_units()[0] == "mm"
    for matrix, code in (header.get_sform(coded=True), header.get_qform(coded=True)):
        assert code == 2
        np.testing.assert_allclose(matrix, affine, atol=1e-5)


def test_a_sheared_volume_has_no_quaternion_that_would_misplace_it():
    affine = np.array([[2.0, 1.0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1.0]])
    xyz = np.argwhere(np.ones((2, 2, 2))) @ affine[:3, :3].T
    values = xr.DataArray(
        np.arange(8.0), dims="voxel", coords={k: ("voxel", xyz[:, i]) for i, k in enumerate("xyz")},
        attrs={"affine": affine.ravel().tolist(), "shape": [2, 2, 2]},
    )  # fmt: skip
    image = spatial.to_volume(values)
    np.testing.assert_allclose(image.affine, affine)
    np.testing.assert_allclose(image.header.get_sform(coded=True)[0], affine)
    assert image.header.get_qform(coded=True)[1] == 0
