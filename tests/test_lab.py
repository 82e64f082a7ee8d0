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
from neurodecode.datasets.lab import cortex, fmri, meeg, plan, sensors, stimuli

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


def test_concept_split_keeps_whole_concepts_out_and_image_split_does_not() -> None:
    table = stimuli.by_concept(train=320, test=40, seed=0).table
    concepts = {s: set(table.concept.values[table.split == s].tolist()) for s in ("train", "test")}
    assert not concepts["train"] & concepts["test"]
    assert (len(concepts["train"]), len(concepts["test"])) == (160, 40)
    assert set(table.group.values[table.split == "test"]) == set(table.group.values)
    table = stimuli.by_image(train=400, test=100, seed=0).table
    assert set(table.concept.values[table.split == "test"]) <= set(
        table.concept.values[table.split == "train"]
    )


def test_more_test_concepts_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="41 test images.* 40 held-out"):
        stimuli.by_concept(train=10, test=41, seed=0)


def test_meaning_gathers_by_concept_and_group() -> None:
    made = stimuli.by_image(train=400, test=0, seed=1)
    similar = np.corrcoef(made.features["c"].values)
    concept, group = (made.table[k].values for k in ("concept", "group"))
    apart = ~np.eye(400, dtype=bool)
    same_concept = (concept[:, None] == concept) & apart
    same_group = (group[:, None] == group) & ~same_concept & apart
    alike, kin, strange = (similar[m].mean() for m in (same_concept, same_group, group[:, None] != group))
    assert alike > kin + 0.1
    assert kin > strange + 0.1


def test_a_grating_excites_the_filter_of_its_scale_orientation_and_place() -> None:
    rows, columns = np.meshgrid(
        np.linspace(-1, 1, stimuli.SIDE), np.linspace(-1, 1, stimuli.SIDE), indexing="ij"
    )
    # Vertical stripes (they change along x), 4 cycles a picture, in the upper right corner.
    blob = np.exp(-((columns - 0.6) ** 2 + (rows + 0.6) ** 2) / 0.05)
    spectrum = np.fft.fft2((np.cos(2 * np.pi * 2 * columns) * blob)[None])
    energy = {}
    for name, (frequency, cells) in stimuli._SCALES.items():
        values = stimuli._contrast_energy(spectrum, frequency, cells)
        array = stimuli._labelled(name, values, np.array(["grating"]), cells)
        best = array.isel(feature=int(array.values[0].argmax()))
        assert best.field_x > 0.3
        assert best.field_y > 0.3
        energy[name] = values.reshape(-1, stimuli.N_ORIENTATIONS).max(axis=0)
        assert energy[name].argmax() == 0
    assert max(energy, key=lambda name: energy[name].max()) == "structure-2"


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


@pytest.mark.parametrize("layer", ["c", "structure-1", "structure-2", "structure-3", "z"])
def test_ridge_weights_and_patterns_find_the_planted_voxels(
    layer: str, recording: lab.Recording, averaged: xr.DataArray
) -> None:
    train = averaged.split.values == "train"
    responses = averaged.values - averaged.values[train].mean(axis=0)
    responses /= responses[train].std(axis=0)
    target = recording.features[layer].sel(stimulus=averaged.stimulus.values).values
    target = (target - target[train].mean(axis=0)) / target[train].std(axis=0)
    model = Ridge(1e4).fit(responses[train], target[train])
    predicted = responses[train] @ model.coef_.T
    # Haufe et al. 2014, every feature by itself.
    pattern = responses[train].T @ (predicted - predicted.mean(axis=0)) / predicted.var(axis=0) / train.sum()
    carries = recording.truth.carries.sel(layer=layer).values
    planned = recording.truth.gain.sel(layer=layer)
    for kind, values in {"filter": model.coef_.T, "pattern": pattern}.items():
        value = np.abs(values).mean(axis=1)
        assert roc_auc_score(carries, value) >= 0.93, kind
        profile = {name: value[averaged.roi.values == name].mean() for name in cortex.REGIONS}
        assert planned.sel(region=max(profile, key=lambda name: profile[name])) >= plan.CARRIES, kind
    guess = model.predict(responses[~train])
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(guess.T, target[~train].T, strict=True)]
    assert 0.2 < np.mean(r) < 0.7


def test_meaning_is_in_hvc_and_structure_in_lvc(recording: lab.Recording, averaged: xr.DataArray) -> None:
    train = averaged.split.values == "train"
    masks = brain.regions(averaged, ["LVC", "HVC"])
    r = {}
    for layer in ("c", "structure-2"):
        target = recording.features[layer].sel(stimulus=averaged.stimulus.values).values
        for group in ("LVC", "HVC"):
            values = averaged.values[:, masks.sel(region=group).values]
            guess = Ridge(3e3).fit(values[train], target[train]).predict(values[~train])
            r[layer, group] = np.mean(
                [np.corrcoef(a, b)[0, 1] for a, b in zip(guess.T, target[~train].T, strict=True)]
            )
    assert r["c", "HVC"] > r["c", "LVC"] + 0.2
    assert r["structure-2", "LVC"] > r["structure-2", "HVC"] + 0.2


def test_more_noise_lowers_the_ceiling(recording: lab.Recording) -> None:
    noisy = lab.load("fmri", noise=2.0).truth
    driven = recording.truth.carries.any("layer").values
    np.testing.assert_allclose(noisy.ncsnr[driven], recording.truth.ncsnr[driven] / 2, rtol=1e-6)


def test_simulators_refuse_features_that_the_plan_does_not_know(recording: lab.Recording) -> None:
    features = dict(recording.features)
    features["Linear-2"] = features.pop("z")
    split = xr.DataArray(
        np.repeat("train", 500), dims="stimulus", coords={"stimulus": features["c"].stimulus}
    )
    with pytest.raises(ValueError, match=r"only in features 'Linear-2'; only in the plan 'z'"):
        fmri.simulate(features, split, plan.default_plan(), subject="1", seed=[0])


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


@pytest.mark.parametrize("layer", ["c", "structure-1", "structure-2", "structure-3", "z"])
def test_identification_peaks_when_planted(layer: str, m_eeg: dict[str, list[lab.Recording]]) -> None:
    centres = STARTS + 0.05
    curve = np.mean([identification(r, layer, STARTS) for r in m_eeg["meg"]], axis=0)
    planted = np.mean([r.truth.peak.sel(layer=layer) for r in m_eeg["meg"]])
    assert abs(centres[curve.argmax()] - planted) <= 0.025 + 1e-9
    assert curve.max() > 8 / 40  # chance is 1 of 40
    assert curve[0] < 4 / 40  # nothing before onset


def test_meaning_peaks_late_in_eeg_too(m_eeg: dict[str, list[lab.Recording]]) -> None:
    curve = np.mean([identification(r, "c", STARTS) for r in m_eeg["eeg"]], axis=0)
    assert abs((STARTS + 0.05)[curve.argmax()] - 0.17) <= 0.03
    assert curve.max() > 8 / 40


def test_eeg_carries_less_structure_than_meg(m_eeg: dict[str, list[lab.Recording]]) -> None:
    near = np.array([0.025, 0.05, 0.075])
    layers = ("structure-1", "structure-2", "structure-3")
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
    planned = {"c": 0.17, "structure-1": 0.10, "structure-2": 0.10, "structure-3": 0.10, "z": 0.13}
    for layer, latency in planned.items():
        assert float(truth.peak.sel(layer=layer)) == pytest.approx(latency, abs=0.0151)


def test_background_noise_has_more_power_at_low_frequencies() -> None:
    root = meeg._spectrum_root(71)
    power = np.abs(np.fft.rfft(root @ np.random.default_rng(0).standard_normal((71, 4000)), axis=0)) ** 2
    power = power.mean(axis=1)
    np.testing.assert_allclose((root @ root.T).diagonal(), 1, rtol=1e-6)
    assert power[2:5].mean() > 3 * power[20:].mean()


# ---------------------------------------------------------------------------------------------- load


def test_same_seed_same_bytes_other_subject_other_bytes(
    recording: lab.Recording, m_eeg: dict[str, list[lab.Recording]]
) -> None:
    for modality, first in {"fmri": recording, "eeg": m_eeg["eeg"][0]}.items():
        again = lab.load(modality)
        assert first.responses.values.tobytes() == again.responses.values.tobytes()
        xr.testing.assert_identical(first.truth, again.truth)
        assert all(first.features[k].identical(again.features[k]) for k in first.features)
    one, two = m_eeg["eeg"]
    assert all(
        one.features[k].identical(two.features[k]) for k in one.features
    )  # subjects see the same stimuli
    assert np.corrcoef(one.responses.values[0].ravel(), two.responses.values[0].ravel())[0, 1] < 0.9


def test_another_seed_makes_other_stimuli() -> None:
    one, two = (stimuli.by_image(train=5, test=5, seed=s).features for s in (0, 1))
    assert all(np.abs(one[k].values - two[k].values).max() > 0.1 for k in one)


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
