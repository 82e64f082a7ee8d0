"""The embedded lab: what was planted is found, in its place and at its time, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from neurodecode import brain
from neurodecode.datasets import lab
from neurodecode.datasets.lab import (
    cache,
    cortex,
    features,
    fmri,
    icons,
    meeg,
    plan,
    sensors,
    stimuli,
    truth,
    tuning,
)

CTF = Path(__file__).parents[2] / "shared" / "data" / "ctf_geometry" / "ctf_raw.fif"


@pytest.fixture(scope="module")
def template() -> cortex.Cortex:
    return cortex.approximate_regions()


@pytest.fixture(scope="module")
def recording() -> lab.Recording:
    return lab.load("fmri")


@pytest.fixture(scope="module")
def averaged(recording: lab.Recording) -> xr.DataArray:
    return brain.average_repeats(recording.responses)


# ---------------------------------------------------------------------------------------------- cortex


@pytest.mark.parametrize("subject", [None, 3])
def test_every_region_is_one_connected_piece_in_each_hemisphere(subject: int | None) -> None:
    from nilearn.datasets import load_fsaverage

    rng = None if subject is None else np.random.default_rng(subject)
    brain_ = cortex.approximate_regions(rng=rng)
    white = load_fsaverage("fsaverage5")["white_matter"]
    for hemi in cortex.HEMISPHERES:
        here = brain_.hemi == hemi
        graph = cortex.mesh_graph(brain_.xyz[here], white.parts[hemi].faces)
        for name in cortex.REGIONS:
            inside = brain_.roi[here] == name
            pieces, _ = connected_components(graph[inside][:, inside], directed=False)
            assert (inside.sum() >= 10, pieces) == (True, 1), (hemi, name)


def test_regions_have_about_the_same_size_and_mirrored_centres_in_both_hemispheres(
    template: cortex.Cortex,
) -> None:
    for name in cortex.REGIONS:
        left, right = ((template.roi == name) & (template.hemi == h) for h in cortex.HEMISPHERES)
        assert template.area[left].sum() == pytest.approx(template.area[right].sum(), rel=0.1)
        mirrored = template.xyz[left].mean(axis=0) * [-1, 1, 1]
        assert np.linalg.norm(mirrored - template.xyz[right].mean(axis=0)) < 8, name


def test_order_of_the_regions_in_the_head(template: cortex.Cortex) -> None:
    centre = {name: template.xyz[template.roi == name] * [0, 1, 1] for name in cortex.REGIONS}
    centre = {name: points.mean(axis=0) for name, points in centre.items()}
    groups = {g: np.mean([centre[r][1] for r in members]) for g, members in brain.GROUPS.items()}
    assert groups["LVC"] < groups["HVC"] - 5  # LVC lies behind HVC
    assert centre["PHC"][1] > centre["VO"][1] > centre["hV4"][1]  # the ventral way forwards
    assert centre["IPS"][2] > centre["V3ab"][2] > centre["V1"][2] > centre["hV4"][2]
    assert centre["MST"][1] > centre["MT"][1] > centre["LO"][1]


def test_visual_field_is_contralateral_and_its_upper_half_ventral(template: cortex.Cortex) -> None:
    mapped = ~np.isnan(template.field[:, 0])
    assert set(template.roi[mapped]) == {"V1", "V2", "V3"}
    side = np.where(template.hemi == "left", 1, -1)[mapped]
    assert (side * template.field[mapped, 0] >= 0).all()
    assert np.abs(template.field[mapped]).max() <= 1
    for hemi in cortex.HEMISPHERES:
        here = mapped & (template.hemi == hemi)
        assert np.corrcoef(template.field[here, 1], template.xyz[here, 2])[0, 1] < -0.4


def test_patch_adds_a_ring_of_the_same_size(template: cortex.Cortex) -> None:
    patch = cortex.visual_patch(template)
    labelled = (patch.roi != "").sum()
    assert labelled == (template.roi != "").sum()
    assert len(patch) == 2 * labelled
    inside, ring = patch.xyz[patch.roi != ""], patch.xyz[patch.roi == ""]
    assert np.linalg.norm(ring[:, None] - inside[None], axis=-1).min(axis=1).max() < 25


def test_parcels_stay_within_regions_and_near_the_size_asked_for(template: cortex.Cortex) -> None:
    parcel = cortex.parcels(template, area=60)
    assert ((parcel < 0) == (template.roi == "")).all()
    for number in range(parcel.max() + 1):
        assert (
            len(set(zip(template.roi[parcel == number], template.hemi[parcel == number], strict=True))) == 1
        )
    sizes = np.bincount(parcel[parcel >= 0], weights=template.area[parcel >= 0])
    assert 40 < np.median(sizes) < 80


# ---------------------------------------------------------------------------------------------- stimuli


def test_concept_split_keeps_four_concepts_of_every_group_out_and_image_split_none() -> None:
    table = stimuli.by_concept(train=320, test=40, seed=0).table
    concepts = {s: set(table.concept.values[table.split == s].tolist()) for s in ("train", "test")}
    assert not concepts["train"] & concepts["test"]
    assert (len(concepts["train"]), len(concepts["test"])) == (160, 40)
    groups, counts = np.unique(table.group.values[table.split == "test"], return_counts=True)
    assert set(groups) == set(icons.GROUPS)
    assert (counts == 4).all()
    table = stimuli.by_image(train=400, test=100, seed=0).table
    assert set(table.concept.values[table.split == "test"]) <= set(
        table.concept.values[table.split == "train"]
    )


def test_more_test_concepts_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="41 test images.* 40 held-out"):
        stimuli.by_concept(train=10, test=41, seed=0)


def test_pictures_and_captions_show_what_the_table_says() -> None:
    """The object, on its ground, is where the pixels differ most from the border's mean colour."""
    made = stimuli.by_image(train=60, test=0, seed=5)
    images, captions = stimuli.draw_images(made), stimuli.write_captions(made)
    assert images.dims == ("stimulus", "row", "column", "colour")
    assert images.stimulus.equals(made.table.stimulus)
    values = images.values
    border = np.concatenate(
        [values[:, [0, -1]].reshape(60, -1, 3), values[:, :, [0, -1]].reshape(60, -1, 3)], 1
    )
    stand_out = np.linalg.norm(values - border.mean(axis=1)[:, None, None, :], axis=-1) ** 2
    place = np.linspace(-1, 1, 64)
    total = stand_out.sum(axis=(1, 2))
    x = (stand_out.sum(axis=1) @ place) / total
    y = -(stand_out.sum(axis=2) @ place) / total
    assert np.corrcoef(x, made.table.object_x)[0, 1] > 0.8
    assert np.corrcoef(y, made.table.object_y)[0, 1] > 0.8
    for row, concept, colour in zip(
        captions.values, made.table.concept.values, made.table.object_colour.values, strict=True
    ):
        assert all(str(concept) in caption.split() for caption in row)
        assert str(colour) in row[0].split()


def test_another_seed_makes_other_stimuli_and_the_same_seed_the_same() -> None:
    one, again, two = (stimuli.by_image(train=6, test=6, seed=s) for s in (0, 0, 1))
    assert stimuli.draw_images(one).identical(stimuli.draw_images(again))
    assert one.table.identical(again.table)
    assert np.abs(stimuli.draw_images(one).values - stimuli.draw_images(two).values).max() > 0.1


@pytest.mark.parametrize("hemi", cortex.HEMISPHERES)
def test_surfaces_are_those_that_nilearn_loads(hemi: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = cortex.surfaces(hemi)
    monkeypatch.setattr(cortex, "find_spec", lambda name: None)  # as if nilearn kept its files elsewhere
    theirs = cortex.surfaces(hemi)
    assert quick.keys() == theirs.keys() == {"white_matter", "pial", "sphere"}
    for name, (points, faces) in quick.items():
        np.testing.assert_array_equal(points, theirs[name][0])
        np.testing.assert_array_equal(faces, theirs[name][1])


def test_features_have_the_same_bytes_on_two_runs() -> None:
    made = stimuli.by_image(train=5, test=3, seed=0)
    images, captions = stimuli.draw_images(made), stimuli.write_captions(made)
    models = features.load_models()
    one, two = (features.extract(images, captions, models) for _ in range(2))
    assert set(one) == set(plan.LAYERS)
    for name, space in one.items():
        assert space.identical(two[name])
        assert space.values.tobytes() == two[name].values.tobytes()


# ---------------------------------------------------------------------------------------------- tuning


def _patches(values: np.ndarray) -> xr.DataArray:
    """A space of one whole-field token and 4 x 4 patches, 5 units each."""
    centres = np.array([-0.75, -0.25, 0.25, 0.75])
    x = np.concatenate([[np.nan], np.tile(centres, 4)]).repeat(5)
    y = np.concatenate([[np.nan], np.repeat(-centres, 4)]).repeat(5)
    token = np.arange(17).repeat(5)
    array = brain.features(values, stimulus=np.arange(len(values)), layer="Linear-2")
    return array.assign_coords(
        {k: ("feature", v) for k, v in {"token": token, "field_x": x, "field_y": y}.items()}
    )


def test_preferences_follow_the_receptive_field_and_are_the_same_at_every_place() -> None:
    space = _patches(np.random.default_rng(0).standard_normal((9, 85)))
    place, size = np.array([[0.75, 0.75], [0.0, 0.0]]), np.array([0.2, 3.0])
    weights = tuning.preferences(space, place=place, size=size, rng=np.random.default_rng(1))
    strength = np.abs(weights).reshape(17, 5, 2).sum(axis=1)
    assert strength[:, 0].argmax() == 4  # the patch at the upper right: row 0, column 3
    assert strength[4, 0] > 3 * np.sort(strength[:, 0])[-2]
    whole = weights[:, 1].reshape(17, 5)
    assert all(np.corrcoef(whole[0], other)[0, 1] > 0.999 for other in whole)
    # A unit of the whole field counts as the mean of the others.
    np.testing.assert_allclose(weights[:5], weights[5:].reshape(16, 5, 2).mean(axis=0), rtol=1e-4)


def test_constant_features_drive_nothing() -> None:
    values = np.random.default_rng(0).standard_normal((50, 3)) * [1, 1e-3, 0] + [0, 5, 7]
    out = tuning.standardised(brain.features(values, stimulus=np.arange(50)))
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=0), [1, 1, 0], atol=1e-3)


# ---------------------------------------------------------------------------------------------- cache


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, xr.DataArray]:
        self.calls += 1
        values = np.arange(60_000, dtype=np.float32).reshape(20, 3000)
        space = brain.features(values, stimulus=[f"s{i}" for i in range(20)], layer="z")
        return {
            "z": space.assign_coords(field_x=("feature", np.r_[np.nan, np.ones(2999)])),
            "c": space[:, :7],
        }

    def remembered(self, key: str = "k") -> dict[str, xr.DataArray]:
        return cache.remembered("small", ("z", "c"), self, key=key)


def test_what_is_cached_comes_back_identical_and_is_made_once(kept: Path) -> None:
    make = Maker()
    first, again = make.remembered(), make.remembered()
    assert make.calls == 1
    assert all(first[k].identical(again[k]) for k in ("z", "c"))
    make.remembered(key="other")
    assert make.calls == 2
    assert {f.suffix for f in kept.rglob("*") if f.is_file()} == {".nc"}  # no pickles, nothing half-written


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "empty", "swapped", "text"])
def test_a_damaged_cache_is_made_anew(damage: str, kept: Path) -> None:
    make = Maker()
    first = make.remembered()
    file = next(kept.rglob("z.nc"))
    whole = bytearray(file.read_bytes())
    if damage == "truncated":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        whole[len(whole) // 2] ^= 1
        file.write_bytes(whole)
    elif damage == "missing":
        file.unlink()
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "swapped":
        make.remembered(key="other")
        file.write_bytes(next(f for f in kept.rglob("z.nc") if "other" in f.parent.name).read_bytes())
        make.calls = 1
    else:
        file.write_text("not netCDF")
    again = make.remembered()
    assert make.calls == 2
    assert first["z"].identical(again["z"])
    make.remembered()
    assert make.calls == 2  # and whole again


def test_an_unusable_cache_folder_costs_time_only(kept: Path) -> None:
    kept.write_text("a file where the folder should be")
    make = Maker()
    with pytest.warns(UserWarning, match=f"cannot be kept in .*{cache.CACHE}"):
        assert make.remembered()["c"].shape == (20, 7)
    assert make.calls == 1


def test_cache_folder_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cache.CACHE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "neurodecode"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "neurodecode"
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "own"))
    assert cache.cache_folder() == tmp_path / "own"


def test_key_changes_with_settings_and_with_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    first = cache.key(split="image", seed=0)
    assert first == cache.key(seed=0, split="image") != cache.key(split="image", seed=1)
    real = cache._digest
    weights = []

    def digest(file: Path) -> str:
        if file.suffix == ".safetensors":
            weights.append(file.parent.name)
            return "retrained"
        return real(file)

    monkeypatch.setattr(cache, "_digest", digest)
    assert cache.key(split="image", seed=0) != first
    assert {"clip", "text_encoder", "vae"} == set(weights)


@pytest.mark.parametrize("library", ["torch", "open_clip_torch", "transformers", "diffusers", "matplotlib"])
def test_another_version_of_what_computes_the_features_is_another_entry(library, monkeypatch) -> None:
    first, real = cache.key(seed=0), cache._version
    assert real(library) != "absent"
    monkeypatch.setattr(cache, "_version", lambda name: "0.0" if name == library else real(name))
    assert cache.key(seed=0) != first


# ---------------------------------------------------------------------------------------------- fMRI


def test_fmri_is_well_formed(recording: lab.Recording) -> None:
    data = recording.responses
    assert data.dims == ("sample", "voxel")
    assert data.dtype == np.float32
    assert np.isfinite(data.values).all()
    assert data.sizes["sample"] == 3 * 500
    assert set(np.unique(data.repeat)) == {1, 2, 3}
    assert (data.groupby("stimulus").count("sample").values == 3).all()
    assert set(data.stimulus.values) == set(recording.features["c"].stimulus.values)
    np.testing.assert_allclose(data.std("sample"), 1, rtol=1e-4)
    assert data.attrs["origin"] == recording.truth.attrs["origin"] == "simulated"
    assert set(data.roi.values) == {*cortex.REGIONS, ""}
    for name in cortex.REGIONS:
        driven = recording.truth.carries.any("layer").values[data.roi.values == name].mean()
        assert driven == 0 if name == "IPS" else 0.5 < driven < 1
    assert not recording.truth.carries.values[:, data.roi.values == ""].any()


def test_ceiling_is_what_the_repeats_themselves_say(recording: lab.Recording) -> None:
    """NSD's estimate (Allen et al. 2022): noise variance from repeats, the rest of the variance is signal."""
    data = recording.responses
    trials = data.values[np.lexsort((data.repeat.values, data.stimulus.values))].reshape(
        -1, 3, data.sizes["voxel"]
    )
    noise = trials.var(axis=1, ddof=1).mean(axis=0)
    ncsnr = np.sqrt(np.maximum(1 - noise, 0) / noise)
    ceiling = ncsnr**2 / (ncsnr**2 + 1 / 3)
    planted = recording.truth.ceiling.values**2
    assert np.corrcoef(ceiling, planted)[0, 1] > 0.9
    strong = planted > 0.1
    assert ceiling[strong].mean() == pytest.approx(planted[strong].mean(), abs=0.03)
    early = np.isin(data.roi.values, ("V1", "V2", "V3"))
    assert 0.2 < planted[early].mean() < 0.5


def test_recording_holds_pictures_captions_and_features_of_the_same_stimuli(recording: lab.Recording) -> None:
    stimulus = recording.truth.stimulus.values
    assert recording.images.shape == (500, 64, 64, 3)
    assert recording.captions.dims == ("stimulus", "wording")
    assert recording.captions.shape == (500, 5)
    sizes = {"c": 14 * 128, "final": 128, "z": 4 * 16 * 16} | {
        f"Linear-{i}": 17 * 128 for i in range(2, 13, 2)
    }
    assert list(recording.features) == list(plan.LAYERS)
    for name, space in recording.features.items():
        assert (space.dims, space.sizes["feature"]) == (("stimulus", "feature"), sizes[name])
        assert space.dtype == np.float32
        assert np.isfinite(space.values).all()
        np.testing.assert_array_equal(space.stimulus.values, stimulus)
        assert ("field_x" in space.coords) == (name == "z" or name.startswith("Linear-"))
    np.testing.assert_array_equal(recording.images.stimulus.values, stimulus)
    np.testing.assert_array_equal(recording.captions.stimulus.values, stimulus)


def test_source_weights_give_the_noise_free_responses(recording: lab.Recording) -> None:
    """Standardised features times the planted weights have the planted amplitude, and correlate with the data."""
    total = 0
    for layer in ("Linear-2", "z"):
        weights = lab.source_weights("fmri", layer)
        values = recording.features[layer].values.astype(np.float64)
        spread = values.std(axis=0)
        values = (values - values.mean(axis=0)) / np.where(
            spread > 1e-6 * np.abs(values).max(axis=0), spread, np.inf
        )
        response = values @ weights.values
        planted = recording.truth.amplitude.sel(layer=layer).values
        np.testing.assert_allclose(response.std(axis=0), planted, atol=2e-3 * planted.max())
        total = total + response
    averaged = brain.average_repeats(recording.responses)
    own = total[recording.truth.indexes["stimulus"].get_indexer(averaged.stimulus.values)]
    early = np.isin(averaged.roi.values, ("V1", "V2")) & recording.truth.carries.sel(layer="Linear-2").values
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(own[:, early].T, averaged.values[:, early].T, strict=True)]
    assert np.mean(r) > 0.3


def standardised_part(averaged: xr.DataArray, space: xr.DataArray) -> tuple[np.ndarray, ...]:
    """Responses and every eighth feature of training and test, standardised by the training part."""
    train = averaged.split.values == "train"
    responses = averaged.values - averaged.values[train].mean(axis=0)
    responses /= responses[train].std(axis=0)
    target = space.sel(stimulus=averaged.stimulus.values).values[:, ::8].astype(np.float64)
    spread = target[train].std(axis=0)
    target = target[:, spread > 1e-6 * np.abs(target).max()]
    target = (target - target[train].mean(axis=0)) / target[train].std(axis=0)
    return responses[train], target[train], responses[~train], target[~train]


def profile_r(guess: np.ndarray, true: np.ndarray) -> float:
    guess = guess - guess.mean(axis=0)
    true = true - true.mean(axis=0)
    norms = np.linalg.norm(guess, axis=0) * np.linalg.norm(true, axis=0)
    return float(np.mean((guess * true).sum(axis=0) / np.maximum(norms, 1e-12)))


@pytest.mark.parametrize(
    ("layer", "least"), [("c", 0.88), ("Linear-2", 0.88), ("Linear-6", 0.88), ("z", 0.84)]
)
def test_ridge_weights_and_patterns_find_the_planted_voxels(
    layer: str, least: float, recording: lab.Recording, averaged: xr.DataArray
) -> None:
    x, y, new, true = standardised_part(averaged, recording.features[layer])
    model = Ridge(1e4).fit(x, y)
    predicted = x @ model.coef_.T
    # Haufe et al. 2014, every feature by itself.
    pattern = x.T @ (predicted - predicted.mean(axis=0)) / predicted.var(axis=0) / len(x)
    carries = recording.truth.carries.sel(layer=layer).values
    planned = recording.truth.gain.sel(layer=layer)
    for kind, values in {"filter": model.coef_.T, "pattern": pattern}.items():
        value = np.abs(values).mean(axis=1)
        assert roc_auc_score(carries, value) >= least, kind
        profile = {name: value[averaged.roi.values == name].mean() for name in cortex.REGIONS}
        assert planned.sel(region=max(profile, key=lambda name: profile[name])) >= plan.CARRIES, kind
    assert 0.2 < profile_r(model.predict(new), true) < 0.7


def test_meaning_is_in_hvc_and_structure_in_lvc(recording: lab.Recording, averaged: xr.DataArray) -> None:
    masks = brain.regions(averaged, ["LVC", "HVC"])
    r = {}
    for layer in ("c", "Linear-2"):
        x, y, new, true = standardised_part(averaged, recording.features[layer])
        for group in ("LVC", "HVC"):
            voxels = masks.sel(region=group).values
            r[layer, group] = profile_r(Ridge(3e3).fit(x[:, voxels], y).predict(new[:, voxels]), true)
    assert r["c", "HVC"] > r["c", "LVC"] + 0.15
    assert r["Linear-2", "LVC"] > r["Linear-2", "HVC"] + 0.15


def test_more_noise_lowers_the_ceiling(recording: lab.Recording) -> None:
    noisy = lab.load("fmri", noise=2.0).truth
    driven = recording.truth.carries.any("layer").values
    np.testing.assert_allclose(noisy.ncsnr[driven], recording.truth.ncsnr[driven] / 2, rtol=1e-6)


def test_simulators_refuse_features_that_the_plan_does_not_know(recording: lab.Recording) -> None:
    spaces = dict(recording.features)
    spaces["Linear-3"] = spaces.pop("z")
    split = xr.DataArray(np.repeat("train", 500), dims="stimulus", coords={"stimulus": spaces["c"].stimulus})
    with pytest.raises(ValueError, match=r"only in features 'Linear-3'; only in the plan 'z'"):
        fmri.simulate(spaces, split, plan.default_plan(), subject="1", seed=[0])


# ---------------------------------------------------------------------------------------------- sensors


@pytest.mark.parametrize(("kind", "count", "unit"), [("eeg", 64, "V"), ("meg", 271, "T")])
def test_sensor_counts(kind: str, count: int, unit: str) -> None:
    array = sensors.sensors(kind)
    assert len(array.channel) == len(set(array.channel)) == count
    assert array.units == unit
    assert array.xyz.shape == (count, 3)
    assert 0.08 < np.linalg.norm(array.xyz - sensors.CENTRE, axis=1).mean() < 0.14


def test_radial_currents_are_silent_in_meg_but_not_in_eeg() -> None:
    """A sphere's radial dipole has no field outside (Sarvas 1987)."""
    place = np.array([[-20.0, -60.0, 20.0], [35.0, -50.0, 0.0]])
    radial = sensors.to_head(place) - sensors.CENTRE
    radial /= np.linalg.norm(radial, axis=1, keepdims=True)
    tangential = np.cross(radial, [1.0, 0, 0])
    tangential /= np.linalg.norm(tangential, axis=1, keepdims=True)
    strength = {
        (kind, name): np.linalg.norm(sensors.gains(sensors.sensors(kind), place, direction), axis=0)
        for kind in ("eeg", "meg")
        for name, direction in {"radial": radial, "tangential": tangential}.items()
    }
    assert (strength["meg", "radial"] < 1e-3 * strength["meg", "tangential"]).all()
    assert (strength["eeg", "radial"] > 0.3 * strength["eeg", "tangential"]).all()


def test_every_vertex_of_the_cortex_has_a_gain(template: cortex.Cortex) -> None:
    some = template.take(np.arange(0, len(template), 10))
    gain = sensors.gains(sensors.sensors("eeg"), some.xyz, some.normal)
    assert gain.shape == (64, len(some))
    np.testing.assert_allclose(gain.mean(axis=0), 0, atol=1e-9 * np.abs(gain).max())  # average reference
    assert (np.abs(gain).max(axis=0) > 0).all()


def test_unknown_sensors_name_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'eeg', 'meg'"):
        sensors.sensors("opm")


@pytest.mark.skipif(not CTF.exists(), reason="shared/data/ctf_geometry is absent: no real CTF positions")
def test_gradiometers_lie_near_those_of_a_real_ctf_system() -> None:
    import mne

    info = mne.io.read_info(CTF, verbose="error")
    real = {ch["ch_name"].split("-")[0]: ch["loc"] for ch in info["chs"]}
    ours = sensors.sensors("meg")
    shared = [i for i, name in enumerate(ours.channel) if name in real]
    assert len(shared) > 260
    built = np.array([ours.info["chs"][i]["loc"] for i in shared])
    true = np.array([real[ours.channel[i]] for i in shared])
    assert np.linalg.norm(built[:, :3] - true[:, :3], axis=1).mean() < 0.020
    assert (built[:, 9:] * true[:, 9:]).sum(axis=1).mean() > 0.9  # cosine between the coils' normals


# ---------------------------------------------------------------------------------------------- EEG and MEG


@pytest.fixture(scope="module")
def m_eeg() -> dict[str, list[lab.Recording]]:
    return {kind: [lab.load(kind, subject=s) for s in (1, 2)] for kind in ("eeg", "meg")}


def identification(recording: lab.Recording, layer: str, starts: np.ndarray) -> np.ndarray:
    """Top-1 among the test stimuli by pattern correlation, ridge in its dual closed form, a window of 100 ms each."""
    data, time = recording.responses, recording.responses.time.values
    train = data.split.values == "train"
    target = recording.features[layer].sel(stimulus=data.stimulus.values).values
    target = target[:, :: max(1, target.shape[1] // 256)].astype(np.float64)
    spread = target[train].std(axis=0)
    target = target[:, spread > 1e-6 * np.abs(target).max()]
    target = (target - target[train].mean(axis=0)) / target[train].std(axis=0)
    values = (data.values - data.values[train].mean(axis=0)) / data.values[train].std(axis=0)
    top1 = []
    for start in starts:
        window = values[:, :, (time > start - 1e-6) & (time < start + 0.1 - 1e-6)].reshape(len(values), -1)
        gram = window[train] @ window[train].T
        penalty = 0.1 * np.trace(gram) / len(gram) * np.eye(len(gram))
        guess = window[~train] @ (window[train].T @ np.linalg.solve(gram + penalty, target[train]))
        similar = np.corrcoef(guess, target[~train])[: len(guess), len(guess) :]
        top1.append((similar.argmax(axis=1) == np.arange(len(guess))).mean())
    return np.array(top1)


STARTS = np.round(np.arange(-0.1, 0.3, 0.025), 3)


def test_meeg_is_well_formed_and_has_realistic_amplitudes(m_eeg: dict[str, list[lab.Recording]]) -> None:
    largest = {"eeg": (3e-6, 50e-6, "V", 64), "meg": (50e-15, 800e-15, "T", 271)}
    for kind, (low, high, unit, channels) in largest.items():
        data = m_eeg[kind][0].responses
        assert (data.attrs["units"], str(data.dtype), data.sizes["channel"]) == (unit, "float32", channels)
        evoked = abs(data.sel(sample=data.split == "train").mean("sample"))
        assert low < float(evoked.max()) < high
        assert float(evoked.max("channel").idxmax("time")) == pytest.approx(0.11, abs=0.03)
        assert abs(data.sel(time=slice(None, -0.005)).mean("time")).max() < 1e-3 * evoked.max()
        assert (data.trials.values[data.split.values == "test"] == 80).all()
        train, test = (set(data.concept.values[data.split.values == s].tolist()) for s in ("train", "test"))
        assert (len(train), len(test)) == (160, 40)
        assert not train & test


@pytest.mark.parametrize("layer", ["c", "Linear-2", "Linear-6", "z"])
def test_identification_peaks_when_planted(layer: str, m_eeg: dict[str, list[lab.Recording]]) -> None:
    centres = STARTS + 0.05
    curve = np.mean([identification(r, layer, STARTS) for r in m_eeg["meg"]], axis=0)
    planted = np.mean([r.truth.peak.sel(layer=layer) for r in m_eeg["meg"]])
    scored = xr.DataArray(curve, dims="window", coords={"window": centres}, attrs={"chance": 1 / 40})
    assert abs(float(truth.peak_time(scored)) - planted) <= 0.025
    assert curve.max() > 8 / 40  # chance is 1 of 40
    assert curve[0] < 4 / 40  # nothing before onset


def test_meaning_peaks_late_in_eeg_too(m_eeg: dict[str, list[lab.Recording]]) -> None:
    curve = np.mean([identification(r, "c", STARTS) for r in m_eeg["eeg"]], axis=0)
    scored = xr.DataArray(curve, dims="window", coords={"window": STARTS + 0.05}, attrs={"chance": 1 / 40})
    assert abs(float(truth.peak_time(scored)) - 0.17) <= 0.020
    assert curve.max() > 8 / 40


def test_eeg_carries_less_structure_than_meg(m_eeg: dict[str, list[lab.Recording]]) -> None:
    near = np.array([0.025, 0.05, 0.075])
    layers = ("Linear-2", "Linear-4", "Linear-6")
    eeg, meg = (
        [np.mean([identification(r, layer, near) for layer in layers]) for r in m_eeg[kind]]
        for kind in ("eeg", "meg")
    )
    assert all(e < m for e, m in zip(eeg, meg, strict=True))


def test_planted_time_courses_rise_after_onset_to_the_planned_latencies(
    m_eeg: dict[str, list[lab.Recording]],
) -> None:
    truth = m_eeg["meg"][0].truth
    assert (truth.time_course.sel(time=slice(None, 0)) == 0).all()
    np.testing.assert_allclose(truth.time_course.max("time"), 1)
    planned = {"c": 0.17, "Linear-12": 0.17, "Linear-2": 0.10, "Linear-4": 0.10, "Linear-6": 0.10, "z": 0.12}
    for layer, latency in planned.items():
        assert float(truth.peak.sel(layer=layer)) == pytest.approx(latency, abs=0.0151)


def test_background_noise_has_more_power_at_low_frequencies() -> None:
    root = meeg._spectrum_root(71)
    power = np.abs(np.fft.rfft(root @ np.random.default_rng(0).standard_normal((71, 4000)), axis=0)) ** 2
    power = power.mean(axis=1)
    np.testing.assert_allclose((root @ root.T).diagonal(), 1, rtol=1e-6)
    assert power[2:5].mean() > 3 * power[20:].mean()


# ---------------------------------------------------------------------------------------------- truth


def bells(*middles: float, height: float = 0.4, chance: float = 0.1) -> xr.DataArray:
    """Curves (layer, window) that rise from chance to a bell's top at the given times."""
    window = np.arange(-0.1, 0.4, 0.025)
    values = chance + height * np.exp(-0.5 * ((window - np.array(middles)[:, None]) / 0.05) ** 2)
    coords = {"window": window, "layer": [f"at {m}" for m in middles]}
    return xr.DataArray(values, dims=("layer", "window"), coords=coords, attrs={"chance": chance})


def test_peak_time_is_the_middle_of_a_bell_between_windows_too() -> None:
    middles = np.array([0.1, 0.1125, 0.137, 0.2])
    np.testing.assert_allclose(truth.peak_time(bells(*middles)), middles, atol=0.001)
    # Neither height nor chance matter, and what lies below half height (another, lower peak) does not either.
    tall = bells(*middles, height=0.8, chance=0.025)
    np.testing.assert_allclose(truth.peak_time(tall), truth.peak_time(bells(*middles)), atol=1e-9)
    with_another = xr.apply_ufunc(np.maximum, bells(0.1), bells(0.3, height=0.15).values, keep_attrs=True)
    assert float(truth.peak_time(with_another)[0]) == pytest.approx(0.1, abs=0.001)


def test_peak_time_of_a_flat_top_is_its_middle_and_of_no_rise_missing() -> None:
    window = np.arange(6) * 0.1
    flat = xr.DataArray(
        [0, 0.5, 0.49, 0.5, 0, 0.0], dims="window", coords={"window": window}, attrs={"chance": 0.0}
    )
    assert float(truth.peak_time(flat)) == pytest.approx(0.2, abs=1e-9)
    assert np.isnan(truth.peak_time(flat.assign_attrs(chance=0.6)))
    with pytest.raises(ValueError, match="has no 'chance'"):
        truth.peak_time(flat.drop_attrs())


def test_a_map_of_a_layer_that_was_not_planted_is_refused() -> None:
    names, populations = ["mlp-2", "mlp-4", "c"], ["structure", "structure", "meaning"]
    carries = xr.DataArray(
        np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0]], bool), dims=("layer", "voxel"),
        coords={"layer": names, "population": ("layer", populations), "voxel": list("abcde")},
    )  # fmt: skip
    planted = xr.Dataset({"carries": carries})
    values = xr.DataArray(
        [[5.0, 6.0, -7.0, 0.0, 0.1], [1.0, 2.0, 3.0, 4.0, 0.0]], dims=("layer", "voxel"),
        coords={"layer": ["structure", "c"], "voxel": list("abcde")},
    )  # fmt: skip
    np.testing.assert_array_equal(truth.map_auc(values, planted), [1.0, 1.0])
    with pytest.raises(
        ValueError,
        match="no layer 'z'; it has 'mlp-2', 'mlp-4', 'c' and the populations 'meaning', 'structure'$",
    ):
        truth.map_auc(values.assign_coords(layer=["structure", "z"]), planted)


# ---------------------------------------------------------------------------------------------- load


@pytest.mark.parametrize("modality", ["fmri", "eeg"])
def test_an_empty_cache_and_a_filled_one_give_the_same_bytes(modality: str, kept: Path) -> None:
    cold, warm = (lab.load(modality) for _ in range(2))
    assert any(kept.rglob("*.nc"))
    assert cold.responses.values.tobytes() == warm.responses.values.tobytes()
    assert all(cold.features[k].identical(warm.features[k]) for k in plan.LAYERS)


def test_same_seed_same_bytes_other_subject_other_bytes(
    recording: lab.Recording, m_eeg: dict[str, list[lab.Recording]]
) -> None:
    for modality, first in {"fmri": recording, "eeg": m_eeg["eeg"][0]}.items():
        again = lab.load(modality)
        assert first.responses.values.tobytes() == again.responses.values.tobytes()
        xr.testing.assert_identical(first.truth, again.truth)
        assert all(first.features[k].identical(again.features[k]) for k in first.features)
        assert first.images.identical(again.images)
        assert first.captions.identical(again.captions)
    one, two = m_eeg["eeg"]
    assert all(
        one.features[k].identical(two.features[k]) for k in one.features
    )  # subjects see the same stimuli
    assert np.corrcoef(one.responses.values[0].ravel(), two.responses.values[0].ravel())[0, 1] < 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modality": "ecog"}, "'fmri', 'eeg', 'meg'"),
        ({"modality": "fmri", "size": "huge"}, "'small', 'full'"),
        ({"modality": "meg", "subject": 5}, "subject of 'meg' 5; choose one of 1, 2, 3, 4$"),
        ({"modality": "meg", "subject": 0}, "1, 2, 3, 4"),
        ({"modality": "eeg", "noise": 0}, "must be above 0, got 0"),
    ],
)
def test_unknown_arguments_name_the_allowed_ones(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lab.load(**arguments)


def test_a_recording_cannot_be_changed(recording: lab.Recording) -> None:
    with pytest.raises(AttributeError):
        recording.responses = recording.responses  # type: ignore[misc]
    with pytest.raises(TypeError):
        recording.features["c"] = None  # type: ignore[index]
    assert "simulated" in repr(recording)


def test_importing_the_lab_loads_neither_nilearn_nor_mne() -> None:
    code = (
        "import sys, neurodecode.datasets.lab; "
        "print([m for m in ('nilearn', 'mne', 'matplotlib', 'sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("on", [True, False])
def test_loading_leaves_the_garbage_collector_as_it_was(on):
    import gc

    was_on = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        lab.load("eeg")
        assert gc.isenabled() is on
        with pytest.raises(ValueError, match="unknown modality"):
            lab.load("nirs")
        assert gc.isenabled() is on
    finally:
        (gc.enable if was_on else gc.disable)()
