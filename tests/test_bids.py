"""BIDS folders: planted volumes, events and recordings come back, as plain loops with nilearn and mne find them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import neurodecode as nd
from neurodecode.datasets import bids
from neurodecode.datasets._sensors import shared
from neurodecode.datasets.bids import layout, recordings
from tests import trees

PICTURES = {"subject": "01", "task": "pictures", "stimulus": "stim_file"}
EPOCHS = {"subject": "01", "task": "pictures", "stimulus": "stim_id"}
RUNS = [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]


def names_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def annexed(path: Path) -> None:
    """Leave what datalad leaves of a file that was not downloaded."""
    path.unlink()
    path.symlink_to("../../.git/annex/objects/XX/1w/MD5E-s47--60.nii.gz/MD5E-s47--60.nii.gz")


def inside_of(planted: trees.BidsFmri) -> np.ndarray:
    """Voxels that all masks have."""
    return np.all(list(planted.masks.values()), axis=0)


def without_trend(series: np.ndarray, degree: int) -> np.ndarray:
    """Time courses (volume, voxel) without their polynomial, by NumPy's own fit."""
    t = np.linspace(-1, 1, len(series))
    return np.stack([voxel - np.polyval(np.polyfit(t, voxel, degree), t) for voxel in series.T], axis=1)


# ---------------------------------------------------------------- fMRI


@pytest.mark.parametrize(("degree", "standardise"), [(1, False), (3, True), (None, False)])
def test_events_are_means_of_volumes_in_their_window(tmp_path, degree, standardise, reading):
    planted = trees.bids_fmri(tmp_path)
    found = bids.fmri(tmp_path, **PICTURES, detrend=degree, standardise=standardise)
    assert found.dtype == np.float32
    assert (found.chunks is not None) == (reading == "dask")
    assert found.chunks is None or found.chunks[0] == (4, 4, 4, 4)
    inside = inside_of(planted)
    expected = []
    for key in RUNS:
        series = planted.series[key][inside].T.astype(float)
        if degree is not None:
            series = without_trend(series, degree)
        if standardise:
            series /= series.std(axis=0, ddof=1)
        for onset in planted.onsets[key]:
            # One volume after another: acquired at 0.75 s (StartTime) and every 1.5 s.
            taken = [v for i, v in enumerate(series) if onset + 4 <= 0.75 + 1.5 * i < onset + 8]
            assert len(taken) in (2, 3)
            expected.append(np.mean(taken, axis=0))
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-4)
    assert found.attrs["units"] == ("SD of the run" if standardise else "a.u.")


def test_labels_of_events(tmp_path):
    planted = trees.bids_fmri(tmp_path)
    found = bids.fmri(tmp_path, **PICTURES, columns=["stimulus_id", "run", "duration"])
    assert found.stimulus.values.tolist() == [n for key in RUNS for n in planted.stimuli[key]]
    assert found.session.values.tolist() == ["ses-a"] * 8 + ["ses-b"] * 8
    assert found.run.values.tolist() == [f"ses-{s}_run-{r}" for s, r in RUNS for _ in range(4)]
    assert found.repeat.values.tolist() == [i for i in range(4) for _ in range(4)]
    # A press stands between two pictures in the table, which is not sorted: rows 2, 4, 6, 8 bear pictures.
    assert found["sample"].values[:2].tolist() == [
        "sub-01_ses-a_task-pictures_run-1_e0002",
        "sub-01_ses-a_task-pictures_run-1_e0004",
    ]
    assert found.trial_type.values[:3].tolist() == ["even", "odd", "even"]
    # A column with a name of ours does not take its place.
    assert found.event_run.values[:4].tolist() == [0, 1, 2, 3]
    assert found.duration.values[:3].tolist() == [0, 1, 1]
    number = int(planted.stimuli["a", "1"][0][-6:-4])
    assert found.stimulus_id.dtype == np.float64
    assert found.stimulus_id.values[0] == float(f"1443537.022{number:02d}0")
    said = {k: found.attrs[k] for k in found.attrs if k.startswith("events_")}
    assert said == {
        "events_without_value": 16,
        "events_without_onset": 4,
        "events_beyond": 4,
        "events_zero_length": 4,
    }
    assert found.attrs["subject"] == "sub-01"
    assert found.attrs["task"] == "pictures"
    assert found.attrs["space"] == trees.SPACE
    assert found.attrs["volumes"] == "derivatives/fmriprep"
    assert found.attrs["window"] == [4.0, 8.0]


def test_stimuli_that_are_numbers_stay_as_they_are_written(tmp_path):
    planted = trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    found = bids.fmri(tmp_path, subject="sub-01", task="task-pictures", stimulus="stimulus_id")
    numbers = [f"1443537.022{name[-6:-4]}0" for name in planted.stimuli["a", "1"]]
    assert found.stimulus.values.tolist() == numbers


def test_voxels_positions_and_regions(tmp_path):
    planted = trees.bids_fmri(tmp_path)
    half = np.zeros(trees.BIDS_GRID, np.uint8)
    half[3:] = 1
    trees.bids_volume(tmp_path / "half.nii.gz", half)
    found = bids.fmri(tmp_path, **PICTURES, roi={"far": tmp_path / "half.nii.gz"})
    inside = inside_of(planted)
    where = np.argwhere(inside)
    assert len(where) == 60 - 1 - 1 - 3
    assert found.voxel.values.tolist() == [(x * 4 + y) * 3 + z for x, y, z in where]
    np.testing.assert_allclose(
        np.stack([found.x, found.y, found.z], axis=1), where * [2, 2.5, 3] + [-5, -4, -3]
    )
    assert found.roi.values.tolist() == ["far" if x >= 3 else "" for x, _, _ in where]
    image = nd.spatial.to_volume(found.isel(sample=5, drop=True).compute())
    np.testing.assert_allclose(np.asarray(image.dataobj)[inside], found.values[5], rtol=1e-6)
    np.testing.assert_allclose(image.affine, trees.BIDS_AFFINE)
    given = bids.fmri(tmp_path, **PICTURES, mask=tmp_path / "half.nii.gz")
    assert given.voxel.values.tolist() == list(range(36, 60))


def test_sessions_and_runs_by_name(tmp_path):
    trees.bids_fmri(tmp_path)
    found = bids.fmri(tmp_path, **PICTURES, session="ses-b", run=2)
    assert set(found.run.values) == {"ses-b_run-2"}
    found = bids.fmri(tmp_path, **PICTURES, session=["b", "a"], run="01")
    assert list(dict.fromkeys(found.run.values)) == ["ses-a_run-1", "ses-b_run-1"]
    with pytest.raises(ValueError, match="has no 'ses' 'c'; it has 'a', 'b'"):
        bids.fmri(tmp_path, **PICTURES, session=["a", "c"])
    with pytest.raises(ValueError, match="has no 'run' 3; it has '1', '2'"):
        bids.fmri(tmp_path, **PICTURES, run=3)


def test_runs_are_in_the_order_of_their_numbers():
    files = [layout.parsed(Path(f"sub-1_task-x_run-{r}_bold.nii.gz")) for r in ("10", "2", "1")]
    assert [one.entities["run"] for one in layout.one_a_run(files, who="w")] == ["1", "2", "10"]


def test_the_volumes_of_the_dataset_itself_where_there_are_no_others(tmp_path):
    planted = trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    mask = planted.masks["a", "1"]
    trees.bids_volume(tmp_path / "mask.nii.gz", mask)
    shutil.rmtree(tmp_path / "derivatives")
    with pytest.raises(ValueError, match="no preprocessed volumes of this subject.*give mask="):
        bids.fmri(tmp_path, **PICTURES)
    with pytest.raises(ValueError, match="has no preprocessed volumes, so none in space 'T1w'"):
        bids.fmri(tmp_path, **PICTURES, mask=tmp_path / "mask.nii.gz", space="T1w")
    found = bids.fmri(tmp_path, **PICTURES, mask=tmp_path / "mask.nii.gz", detrend=None)
    assert found.attrs["volumes"] == "raw"
    assert found.attrs["space"] == "volume"
    series = planted.raw["a", "1"][mask > 0].T
    for row, onset in zip(found.values, planted.onsets["a", "1"], strict=True):
        # No json says when slices were acquired: volume i at 1.5 i.
        taken = [v for i, v in enumerate(series) if onset + 4 <= 1.5 * i < onset + 8]
        np.testing.assert_allclose(row, np.mean(taken, axis=0), rtol=1e-5)


def test_derivatives_elsewhere_or_not_at_all(tmp_path):
    planted = trees.bids_fmri(tmp_path / "data", sessions=("a",), runs=1)
    before = bids.fmri(tmp_path / "data", **PICTURES).compute()
    trees.bids_volume(tmp_path / "mask.nii.gz", planted.masks["a", "1"])
    shutil.move(tmp_path / "data/derivatives/fmriprep", tmp_path / "made")
    found = bids.fmri(tmp_path / "data", **PICTURES, derivatives=tmp_path / "made")
    np.testing.assert_array_equal(found.values, before.values)
    assert found.attrs["volumes"] == str(tmp_path / "made")
    shutil.copytree(tmp_path / "made", tmp_path / "data/derivatives/one")
    shutil.copytree(tmp_path / "made", tmp_path / "data/derivatives/two")
    with pytest.raises(ValueError, match="2 folders have preprocessed volumes of sub-01"):
        bids.fmri(tmp_path / "data", **PICTURES)
    found = bids.fmri(tmp_path / "data", **PICTURES, derivatives="derivatives/two")
    np.testing.assert_array_equal(found.values, before.values)
    raw = bids.fmri(tmp_path / "data", **PICTURES, derivatives=None, mask=tmp_path / "mask.nii.gz")
    assert raw.attrs["volumes"] == "raw"


def test_a_space_must_be_chosen_where_there_are_several(tmp_path):
    planted = trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    one = next(planted.derivatives.rglob("*_bold.nii.gz"))
    native = Path(str(one).replace(f"_space-{trees.SPACE}", ""))
    trees.bids_volume(native, planted.series["a", "1"] + 7, tr=trees.TR)
    with pytest.raises(ValueError, match=f"spaces '', '{trees.SPACE}'; choose one with space="):
        bids.fmri(tmp_path, **PICTURES)
    with pytest.raises(ValueError, match="has no 'space' 'T1w'; it has"):
        bids.fmri(tmp_path, **PICTURES, space="T1w")
    with pytest.raises(FileNotFoundError, match=r"run-1_desc-brain_mask.nii.gz"):
        bids.fmri(tmp_path, **PICTURES, space="")
    trees.bids_volume(Path(str(native).replace("preproc_bold", "brain_mask")), planted.masks["a", "1"])
    found = bids.fmri(tmp_path, **PICTURES, space="", detrend=None, window=(2, 4))
    other = bids.fmri(tmp_path, **PICTURES, space=trees.SPACE, detrend=None, window=(2, 4))
    # Its json does not say StartTime, so other volumes are nearest; it is another file in any case.
    assert found.values.mean() == pytest.approx(other.values.mean() + 7, abs=0.5)
    assert found.attrs["space"] == "volume"
    # The mask of another space is no mask of this one.
    next(planted.derivatives.rglob(f"*space-{trees.SPACE}*_mask.nii.gz")).unlink()
    with pytest.raises(FileNotFoundError, match=f"space-{trees.SPACE}_desc-brain_mask.nii.gz"):
        bids.fmri(tmp_path, **PICTURES, space=trees.SPACE)


def test_other_volumes_of_the_derivatives_are_passed_over(tmp_path):
    planted = trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    one = next(planted.derivatives.rglob("*_bold.nii.gz"))
    trees.bids_volume(Path(str(one).replace("desc-preproc", "desc-smooth")), planted.raw["a", "1"], tr=1.5)
    assert bids.fmri(tmp_path, **PICTURES).values.max() < 10


def test_one_table_of_events_for_several_runs(tmp_path):
    planted = trees.bids_fmri(tmp_path)
    names = [f"sub-01_ses-{s}_task-pictures_run-{r}_events.tsv" for s, r in RUNS]
    tables = {n: next(tmp_path.rglob(n)) for n in names}
    # At the top for all, in the subject's folder for run 2: the nearest counts.
    shutil.copy(tables[names[0]], tmp_path / "task-pictures_events.tsv")
    shutil.copy(tables[names[3]], tmp_path / "sub-01/sub-01_task-pictures_run-2_events.tsv")
    for path in (tables[names[0]], tables[names[1]], tables[names[3]]):
        path.unlink()
    found = bids.fmri(tmp_path, **PICTURES)
    first, last, own = (planted.stimuli[RUNS[i]] for i in (0, 3, 2))
    assert found.stimulus.values.tolist() == [*first, *last, *own, *last]
    # Of two in one folder the one that says more.
    (tmp_path / "sub-01/sub-01_task-pictures_run-2_events.tsv").rename(
        tmp_path / "task-pictures_run-2_events.tsv"
    )
    found = bids.fmri(tmp_path, **PICTURES)
    assert found.stimulus.values.tolist() == [*first, *last, *own, *last]
    shutil.copy(tmp_path / "task-pictures_events.tsv", tmp_path / "sub-01_events.tsv")
    with pytest.raises(ValueError, match="apply to the same recording; BIDS allows one"):
        bids.fmri(tmp_path, **PICTURES)


def test_a_column_that_only_some_tables_have(tmp_path):
    trees.bids_fmri(tmp_path)
    one = next(tmp_path.rglob("*ses-b*run-1_events.tsv"))
    one.write_text(one.read_text().replace("trial_type", "kind"))
    assert "trial_type" not in bids.fmri(tmp_path, **PICTURES).coords
    with pytest.raises(ValueError, match="ses-b_task-pictures_run-1 has no column 'trial_type'"):
        bids.fmri(tmp_path, **PICTURES, columns=["trial_type"])


def test_what_would_not_fit(tmp_path, monkeypatch, reading, memory_left):
    trees.bids_fmri(tmp_path)

    memory_left(2000)
    what = "volumes of sub-01_ses-._task-pictures_run-" if reading == "dask" else "16 events of 55 voxels"
    with pytest.raises(MemoryError, match=what):
        bids.fmri(tmp_path, **PICTURES).compute()


def test_no_volumes_are_read_before_they_are_needed(tmp_path):
    pytest.importorskip("dask")
    planted = trees.bids_fmri(tmp_path)
    found = bids.fmri(tmp_path, **PICTURES)
    broken = next(planted.derivatives.rglob("*ses-a*run-2*_bold.nii.gz"))
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    found[:4].compute()
    with pytest.raises(ValueError, match="run-2.*_bold.nii.gz .* is truncated or no NIfTI image"):
        found.compute()
    # The header is whole: opening again succeeds, as it reads no more.
    bids.fmri(tmp_path, **PICTURES)


def test_a_planted_effect_is_decoded_where_it_lies(tmp_path):
    rng = np.random.default_rng(3)
    signal = 6 * rng.normal(size=(12, 2))
    trees.bids_fmri(tmp_path, sessions=("a", "b"), runs=3, signal=signal)
    near = np.zeros(trees.BIDS_GRID, np.uint8)
    near[:2] = 1
    masks = {"near": near, "far": 1 - near}
    for name, mask in masks.items():
        trees.bids_volume(tmp_path / f"{name}.nii.gz", mask)
    responses = bids.fmri(tmp_path, **PICTURES, roi={name: tmp_path / f"{name}.nii.gz" for name in masks})
    average = nd.brain.average_repeats(responses.compute())
    numbers = [int(name[-6:-4]) for name in average.stimulus.values]
    features = nd.brain.features(signal[numbers], stimulus=average.stimulus.values)
    scores = nd.spatial.decode(
        average, features, nd.RidgeDecoder(1.0), regions=["near", "far"], folds=4, score="profile"
    )
    assert scores.sel(region="near").mean() > 0.9
    assert scores.sel(region="far").mean() < 0.5


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"subject": "02"}, ValueError, "has no subject 'sub-02'; it has 'sub-01'"),
        ({"task": "rest"}, ValueError, "sub-01 in .* has no 'task' 'rest'; it has 'pictures'"),
        ({"stimulus": "image"}, ValueError, "no column 'image'; it has 'onset', 'duration', 'trial_type'"),
        ({"columns": ["image"]}, ValueError, "no column 'image'"),
        ({"window": (4, 5)}, ValueError, "window 4 to 5 s is shorter than the 1.5 s between volumes"),
        (
            {"window": (95, 99)},
            ValueError,
            "none of 5 events of .* has its window of 95 to 99 s .* 60 volumes",
        ),
        ({"detrend": 0}, ValueError, "detrend must be None or the degree of a polynomial from 1"),
        ({"tr": 0.0}, ValueError, "tr must be a number of seconds above 0"),
        ({"entities": {"res": "2"}}, ValueError, "has no 'res' '2'; it has 'none"),
    ],
)
def test_what_does_not_exist_is_said(tmp_path, given, error, message):
    trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    with pytest.raises(error, match=message):
        bids.fmri(tmp_path, **(PICTURES | given))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        bids.fmri(tmp_path / "none", **PICTURES)


def test_derivatives_that_lack_a_run(tmp_path):
    planted = trees.bids_fmri(tmp_path)
    for path in planted.derivatives.rglob("*ses-b*run-1*"):
        path.unlink()
    message = "lacks 1 of 4 runs of the dataset: 'sub-01_ses-b_task-pictures_run-1'"
    with pytest.raises(ValueError, match=message):
        bids.fmri(tmp_path, **PICTURES)
    assert bids.fmri(tmp_path, **PICTURES, session="a").sizes["sample"] == 8
    assert bids.fmri(tmp_path, **PICTURES, run=2).sizes["sample"] == 8
    with pytest.raises(ValueError, match=message.replace("of 4", "of 2")):
        bids.fmri(tmp_path, **PICTURES, run="01")
    assert bids.fmri(tmp_path, **PICTURES, run=1, session="a").sizes["sample"] == 4
    missing = [
        one for one in bids.inventory(tmp_path, subject="01", task="pictures") if one.needed and not one.found
    ]
    assert [one.what for one in missing] == ["preprocessed volumes of sub-01_ses-b_task-pictures_run-1"]


def test_two_files_of_one_run(tmp_path):
    planted = trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    one = next(planted.derivatives.rglob("*_bold.nii.gz"))
    shutil.copy(one, str(one).replace("_desc", "_res-2_desc"))
    message = (
        r"more than one file of ses-a_run-1: .*choose with entities=\{'res': '2'\}|entities=\{'res': ''\}"
    )
    with pytest.raises(ValueError, match=message):
        bids.fmri(tmp_path, **PICTURES)
    found = bids.fmri(tmp_path, **PICTURES, entities={"res": "2"})
    assert found.sizes["sample"] == 4
    found = bids.fmri(tmp_path, **PICTURES, entities={"res": ""})
    assert found.sizes["sample"] == 4


def test_time_between_volumes(tmp_path):
    trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    before = bids.fmri(tmp_path, **PICTURES).compute()
    top = tmp_path / "task-pictures_bold.json"
    top.write_text(json.dumps({"RepetitionTime": 2.0}))
    message = (
        "is 1.5 s in the json of the derivatives, 2 s in the json of the dataset, 1.5 s in the header; give"
    )
    with pytest.raises(ValueError, match=message):
        bids.fmri(tmp_path, **PICTURES)
    np.testing.assert_array_equal(bids.fmri(tmp_path, **PICTURES, tr=1.5).values, before.values)
    # A nearer json stands above the one at the top.
    near = tmp_path / "sub-01/ses-a/func/sub-01_ses-a_task-pictures_run-1_bold.json"
    near.write_text(json.dumps({"RepetitionTime": 1.5}))
    np.testing.assert_array_equal(bids.fmri(tmp_path, **PICTURES).values, before.values)
    near.write_text(json.dumps({"RepetitionTime": "1.5"}))
    with pytest.raises(ValueError, match="both must be numbers of seconds"):
        bids.fmri(tmp_path, **PICTURES)
    near.write_text("{")
    with pytest.raises(ValueError, match="is no json object"):
        bids.fmri(tmp_path, **PICTURES)


def test_time_between_volumes_that_nothing_says(tmp_path):
    planted = trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    before = bids.fmri(tmp_path, **PICTURES).compute()
    (tmp_path / "task-pictures_bold.json").unlink()
    made = next(planted.derivatives.rglob("*_bold.json"))
    made.write_text(json.dumps({"StartTime": 0.75}))
    # The header alone says 1.5 s.
    np.testing.assert_array_equal(bids.fmri(tmp_path, **PICTURES).values, before.values)
    image = next(planted.derivatives.rglob("*_bold.nii.gz"))
    trees.bids_volume(image, planted.series["a", "1"], tr=1.5, unit="unknown")
    with pytest.raises(ValueError, match="nothing says how many seconds lie between volumes of .*; give tr="):
        bids.fmri(tmp_path, **PICTURES)
    np.testing.assert_array_equal(bids.fmri(tmp_path, **PICTURES, tr=1.5).values, before.values)


def test_volumes_and_masks_of_other_grids(tmp_path):
    planted = trees.bids_fmri(tmp_path)
    mask = next(planted.derivatives.rglob("*ses-a*run-1*_mask.nii.gz"))
    trees.bids_volume(mask, np.ones((4, 5, 3), np.uint8))
    message = r"mask .*brain_mask.nii.gz and the image are on different grids: shape \(4, 5, 3\) against \(5, 4, 3\)"
    with pytest.raises(ValueError, match=message):
        bids.fmri(tmp_path, **PICTURES)
    trees.bids_volume(mask, np.zeros(trees.BIDS_GRID, np.uint8))
    with pytest.raises(ValueError, match=r"no voxel is in all of 4 mask\(s\)"):
        bids.fmri(tmp_path, **PICTURES)
    trees.bids_volume(mask, planted.masks["a", "1"])
    image = next(planted.derivatives.rglob("*ses-b*run-1*_bold.nii.gz"))
    moved = trees.BIDS_AFFINE.copy()
    moved[0, 3] += 2
    trees.bids_volume(image, planted.series["b", "1"], affine=moved, tr=1.5)
    with pytest.raises(ValueError, match="run-1.*and .*run-1.* are on different grids: affine"):
        bids.fmri(tmp_path, **PICTURES)
    trees.bids_volume(image, planted.series["b", "1"][..., 0])
    with pytest.raises(ValueError, match="a run of volumes has four axes"):
        bids.fmri(tmp_path, **PICTURES)


def test_files_that_were_not_downloaded(tmp_path):
    planted = trees.bids_fmri(tmp_path)
    image = next(planted.derivatives.rglob("*ses-a*run-2*_bold.nii.gz"))
    kept = image.read_bytes()
    annexed(image)
    with pytest.raises(FileNotFoundError, match="run-2.*is a placeholder.*datalad get"):
        bids.fmri(tmp_path, **PICTURES)
    listed = bids.inventory(tmp_path, subject="01", task="pictures")
    (one,) = [one for one in listed if one.needed and not one.found]
    assert "placeholder" in one.fault
    image.unlink()
    image.write_bytes(b"")
    with pytest.raises(ValueError, match="volumes of sub-01_ses-a_task-pictures_run-2.* is empty"):
        bids.fmri(tmp_path, **PICTURES)
    image.write_bytes(kept)
    mask = next(planted.derivatives.rglob("*ses-a*run-2*_mask.nii.gz"))
    whole = mask.read_bytes()
    mask.write_bytes(whole[: len(whole) - 12])
    with pytest.raises(ValueError, match="brain_mask.nii.gz .* is truncated or no NIfTI image"):
        bids.fmri(tmp_path, **PICTURES)
    mask.write_bytes(whole)
    events = tmp_path / "sub-01/ses-a/func/sub-01_ses-a_task-pictures_run-2_events.tsv"
    text = events.read_text()
    events.unlink()
    message = (
        "events of sub-01_ses-a_task-pictures_run-2 is missing: .*of the BIDS dataset 'Pictures in runs'"
    )
    with pytest.raises(FileNotFoundError, match=message):
        bids.fmri(tmp_path, **PICTURES)
    events.write_text(text.replace("onset", "when"))
    with pytest.raises(ValueError, match="has no column 'onset'"):
        bids.fmri(tmp_path, **PICTURES)
    events.write_text(text.replace("2.250", "2,250"))
    with pytest.raises(ValueError, match="1 of 10 onsets are no number of seconds: '2,250'"):
        bids.fmri(tmp_path, **PICTURES)
    events.write_text(text.split("\n")[0] + "\n")
    with pytest.raises(ValueError, match="has 0 rows, none with an onset and a value in 'stim_file'"):
        bids.fmri(tmp_path, **PICTURES)
    events.write_bytes(b"\xff\xfe\x00onset")
    with pytest.raises(ValueError, match="is no table of tab-separated text"):
        bids.fmri(tmp_path, **PICTURES)


# ---------------------------------------------------------------- EEG and MEG

STEPS = {"band": (1.0, 40.0), "rate": 100.0, "baseline": (-0.2, 0.0)}


def plain_epochs(planted: trees.BidsMeeg, key: str, kinds, band=None, rate=None, baseline=None):
    """The planted recording through mne alone: whole, filtered, cut, resampled."""
    import mne

    info = mne.create_info(planted.channels, planted.rate, kinds)
    raw = mne.io.RawArray(planted.values[key], info, verbose="error")
    if band is not None:
        raw.filter(*band, verbose="error")
    onsets = np.round(planted.onsets[key] * planted.rate).astype(int)
    events = np.column_stack([onsets, 0 * onsets, 0 * onsets + 1])
    epochs = mne.Epochs(raw, events, tmin=-0.2, tmax=0.8, baseline=baseline, preload=True, verbose="error")
    return epochs if rate is None else epochs.resample(rate, verbose="error")


@pytest.mark.parametrize("steps", [{}, STEPS], ids=["as recorded", "filtered"])
@pytest.mark.parametrize("datatype", ["eeg", "meg"])
def test_epochs_equal_a_plain_chain_of_mne(tmp_path, datatype, steps, reading):
    planted = trees.bids_meeg(tmp_path, datatype=datatype)
    found = bids.meeg(tmp_path, **EPOCHS, **steps)
    assert found.dtype == np.float32
    assert (found.chunks is not None) == (reading == "dask")
    assert found.chunks is None or found.chunks[0] == (8, 8)
    kinds = [*["eeg"] * 4, "eog"] if datatype == "eeg" else ["grad"] * 3
    plain = [plain_epochs(planted, key, kinds, **steps) for key in ("01", "02")]
    expected = np.concatenate([one.get_data(picks="data") for one in plain])
    assert found.shape == expected.shape
    unit = 1e-5 if datatype == "eeg" else 1e-11
    np.testing.assert_allclose(found.values / unit, expected / unit, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.time, plain[0].times)
    assert found.channel.values.tolist() == planted.channels[: 4 if datatype == "eeg" else 3]
    assert set(found.kind.values) == {"eeg" if datatype == "eeg" else "grad"}
    assert found.attrs["units"] == ("V" if datatype == "eeg" else "T/m")


def test_labels_of_epochs_do_not_hang_on_numbers_of_events(tmp_path):
    planted = trees.bids_meeg(tmp_path)
    found = bids.meeg(tmp_path, **EPOCHS, columns=["value"])
    shown = [name for key in ("01", "02") for name in planted.stimuli[key]]
    assert found.stimulus.values.tolist() == shown
    assert found.run.values.tolist() == ["run-01"] * 8 + ["run-02"] * 8
    assert "session" not in found.coords
    assert found["sample"].values[[0, 9]].tolist() == [
        "sub-01_task-pictures_run-01_e0001",
        "sub-01_task-pictures_run-02_e0003",
    ]
    assert found.value.values[:3].tolist() == [1, 2, 3]
    for name in set(shown):
        assert found.repeat.values[found.stimulus.values == name].tolist() == [0, 1, 2, 3]
    assert found.attrs["events_beyond"] == 2
    assert found.attrs["events_without_value"] == 16
    # The landmarks span the head's axes, so positions are as planted.
    for name, xyz in trees.BIDS_ELECTRODES.items():
        one = found.sel(channel=name)
        np.testing.assert_allclose([one.x, one.y, one.z], xyz, atol=1e-6)
    kinds = bids.meeg(tmp_path, subject="01", task="pictures", stimulus="trial_type")
    assert set(kinds.stimulus.values) == {"show", "press"}
    assert "trial_type" not in kinds.coords


def test_projectors_of_the_recording_are_those_of_all_channels(tmp_path):
    planted = trees.bids_meeg(tmp_path, datatype="meg", runs=1, projector=(1.0, 2.0, 2.0))
    found = bids.meeg(tmp_path, **EPOCHS, channels=["MEG0122", "MEG0112"])
    plain = plain_epochs(planted, "01", ["grad"] * 3)
    plain.add_proj(trees.bids_projection(planted.channels, (1.0, 2.0, 2.0)), verbose="error").apply_proj()
    expected = plain.get_data(picks=["MEG0122", "MEG0112"])
    np.testing.assert_allclose(found.values * 1e11, expected * 1e11, rtol=1e-4, atol=1e-4)


def test_bad_channels_are_left_out_of_all_runs(tmp_path):
    trees.bids_meeg(tmp_path, bad={"02": ["O1"]})
    found = bids.meeg(tmp_path, **EPOCHS)
    assert found.channel.values.tolist() == ["Oz", "O2", "Pz"]
    assert found.attrs["bad_channels"] == "O1"
    named = bids.meeg(tmp_path, **EPOCHS, channels=["Pz", "Oz"])
    np.testing.assert_array_equal(named, found.sel(channel=["Pz", "Oz"]))
    with pytest.raises(
        ValueError, match="no good EEG or MEG channel 'O1', 'EOG'.*marked bad in some recording: 'O1'"
    ):
        bids.meeg(tmp_path, **EPOCHS, channels=["O1", "EOG", "Pz"])
    with pytest.raises(ValueError, match="no mag channel is good .* of the kinds 'eeg'"):
        bids.meeg(tmp_path, **EPOCHS, channels="mag")
    assert bids.meeg(tmp_path, **EPOCHS, channels="eeg").equals(found)


def test_reading_leaves_no_trace_and_needs_no_right_to_write(tmp_path):
    trees.bids_meeg(tmp_path)
    trees.bids_meeg(tmp_path, datatype="meg")
    before = names_of(tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for datatype in ("eeg", "meg"):
        bids.meeg(tmp_path, **EPOCHS, datatype=datatype).compute()
    assert names_of(tmp_path) == before
    # A lock that is made and removed again changes the time of its folder.
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == stamps
    with pytest.raises(ValueError, match="has 'eeg', 'meg' of this task; choose with datatype="):
        bids.meeg(tmp_path, **EPOCHS)


def test_runs_of_other_rates_or_channels(tmp_path):
    trees.bids_meeg(tmp_path / "slow", rate=100.0, runs=1)
    trees.bids_meeg(tmp_path, runs=2)
    for path in (tmp_path / "slow/sub-01/eeg").glob("*run-01*"):
        shutil.copy(path, tmp_path / "sub-01/eeg")
    with pytest.raises(ValueError, match="run-02 have 201 times .*run-01 101 times .*; give rate="):
        bids.meeg(tmp_path, **EPOCHS)
    assert bids.meeg(tmp_path, **EPOCHS, rate=50.0).sizes["time"] == 50
    table = tmp_path / "sub-01/eeg/sub-01_task-pictures_run-02_channels.tsv"
    table.write_text(table.read_text().replace("Pz\tEEG", "Pz\tMISC"))
    with pytest.raises(ValueError, match="differ in the channels 'Pz'; name those to take"):
        bids.meeg(tmp_path, **EPOCHS, rate=50.0)
    found = bids.meeg(tmp_path, **EPOCHS, rate=50.0, channels=["Oz"])
    assert found.sizes["channel"] == 1


def test_recordings_that_are_not_whole(tmp_path):
    trees.bids_meeg(tmp_path)
    data = tmp_path / "sub-01/eeg/sub-01_task-pictures_run-02_eeg.eeg"
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match=r"run-02_eeg.vhdr holds .* s, but its json file says .* s: it is truncated"
    ):
        bids.meeg(tmp_path, **EPOCHS)
    annexed(data)
    with pytest.raises(FileNotFoundError, match="run-02_eeg.eeg .* is a placeholder"):
        bids.meeg(tmp_path, **EPOCHS)
    listed = bids.inventory(tmp_path, subject="01", task="pictures")
    assert [one.path.name for one in listed if one.needed and not one.found] == [data.name]
    data.unlink()
    data.write_bytes(whole)
    header = data.with_suffix(".vhdr")
    header.write_text("nothing")
    with pytest.raises(ValueError, match="mne-bids cannot read .*run-02_eeg.vhdr"):
        bids.meeg(tmp_path, **EPOCHS)


def test_a_recording_that_is_cut_short_after_it_was_opened(tmp_path):
    pytest.importorskip("dask")
    trees.bids_meeg(tmp_path, runs=1)
    found = bids.meeg(tmp_path, **EPOCHS)
    data = tmp_path / "sub-01/eeg/sub-01_task-pictures_run-01_eeg.eeg"
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match=r"run-01_eeg.vhdr holds only \d of the 8 epochs that it held when it was"
    ):
        found.compute()


def test_a_kind_of_channel_must_be_chosen_where_there_are_several():
    import mne

    info = mne.create_info(["Oz", "MEG0111", "EOG"], 100.0, ["eeg", "mag", "eog"])
    message = "channels are of the kinds 'eeg', 'mag'; choose one, such as channels='eeg'"
    with pytest.raises(ValueError, match=message):
        shared([info], who=["run 1"], wanted=None)
    assert shared([info], who=["run 1"], wanted="mag") == (["MEG0111"], [])


def test_events_at_one_sample_and_beyond(tmp_path):
    trees.bids_meeg(tmp_path, runs=1)
    table = tmp_path / "sub-01/eeg/sub-01_task-pictures_run-01_events.tsv"
    text = table.read_text()
    table.write_text(text + "1.0010\t0\tshow\tpicture-00\t1\tn/a\n")
    with pytest.raises(ValueError, match="1 events of .* begin at the same sample as another"):
        bids.meeg(tmp_path, **EPOCHS)
    table.write_text(text)
    with pytest.raises(
        ValueError, match="none of 9 events of .* has its window of 50 to 51 s in the recording"
    ):
        bids.meeg(tmp_path, **EPOCHS, window=(50, 51))
    with pytest.raises(ValueError, match=r"window must be \(from, to\)"):
        bids.meeg(tmp_path, **EPOCHS, window=(0.5, 0.1))
    with pytest.raises(ValueError, match="has no recording in folders 'meg'"):
        bids.meeg(tmp_path, **EPOCHS, datatype="meg")


def test_without_mne_bids_the_extra_is_named(tmp_path, monkeypatch):
    trees.bids_meeg(tmp_path)
    monkeypatch.setitem(sys.modules, "mne_bids", None)
    with pytest.raises(ImportError, match=r"neurodecode-toolkit\[bids\]"):
        bids.meeg(tmp_path, **EPOCHS)


def test_an_effect_planted_in_time_is_decoded_then(tmp_path):
    rng = np.random.default_rng(2)
    signal = 2 * rng.normal(size=(12, 2))
    trees.bids_meeg(tmp_path, each=6, signal=signal)
    epochs = nd.brain.average_repeats(bids.meeg(tmp_path, **EPOCHS).compute())
    numbers = [int(name[-2:]) for name in epochs.stimulus.values]
    features = nd.brain.features(signal[numbers], stimulus=epochs.stimulus.values)
    curve = nd.temporal.sweep(
        epochs, features, nd.RidgeDecoder(1.0), width=0.2, step=0.2, folds=3, score="profile"
    )
    curve = curve.mean([dim for dim in curve.dims if dim != "window"])
    at = dict(zip(np.round(curve.start.values, 1).tolist(), curve.values.tolist(), strict=True))
    # From 0.1 to 0.3 s, so half of each of two windows.
    assert min(at[0.0], at[0.2]) > 0.8
    assert max(at[-0.2], at[0.4]) < 0.6


def test_an_epoch_may_end_with_the_recording(tmp_path):
    planted = trees.bids_meeg(tmp_path, runs=1)
    count = planted.values["01"].shape[1]
    table = tmp_path / "sub-01/eeg/sub-01_task-pictures_run-01_events.tsv"
    # At 200 Hz an epoch takes samples -40 to 160 around its event: the first and last that fit, and one beyond each.
    at = {"early": 39, "first": 40, "last": count - 161, "late": count - 160}
    rows = [f"{sample / 200:.3f}\t0\t{name}" for name, sample in at.items()]
    table.write_text("onset\tduration\tstim_id\n" + "\n".join(rows) + "\n")
    found = bids.meeg(tmp_path, **EPOCHS)
    assert found.stimulus.values.tolist() == ["first", "last"]
    np.testing.assert_allclose(found.values[1] * 1e5, planted.values["01"][:4, -201:] * 1e5, rtol=1e-5)
    assert found.attrs["events_beyond"] == 2


def test_the_dataset_one_stands_in(tmp_path, monkeypatch):
    trees.bids_fmri(tmp_path, runs=1)
    trees.bids_meeg(tmp_path, runs=1)
    volumes, epochs = bids.fmri(tmp_path, **PICTURES), bids.meeg(tmp_path, **EPOCHS)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(bids.fmri(".", **PICTURES).values, volumes.values)
    np.testing.assert_array_equal(bids.meeg(".", **EPOCHS).values, epochs.values)


def test_parts_of_a_recording(tmp_path):
    folder = tmp_path / "sub-01/meg"
    folder.mkdir(parents=True)
    for name in ("split-01_meg.fif", "split-02_meg.fif", "meg.json", "events.tsv", "meg.json.lock"):
        (folder / f"sub-01_task-x_{name}").write_bytes(b"x")
    (file,) = recordings.find(
        tmp_path, subject="01", task="x", session=None, run=None, datatype=None, entities=None
    )
    assert file.path.name == "sub-01_task-x_split-01_meg.fif"
    assert [p.name for p in recordings.beside(file)] == [
        "sub-01_task-x_split-01_meg.fif",
        "sub-01_task-x_split-02_meg.fif",
    ]


# ---------------------------------------------------------------- files


def test_the_inventory_lists_what_is_read(tmp_path):
    trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    trees.bids_meeg(tmp_path, runs=1)
    listed = bids.inventory(tmp_path, subject="01", task="pictures")
    assert all(one.found for one in listed if one.needed)
    needed = sorted(one.path.name for one in listed if one.needed)
    stem = "sub-01_ses-a_task-pictures_run-1"
    assert needed == sorted(
        [
            f"{stem}_space-{trees.SPACE}_desc-preproc_bold.nii.gz",
            f"{stem}_events.tsv",
            *(f"sub-01_task-pictures_run-01_{e}" for e in ("eeg.eeg", "eeg.vhdr", "eeg.vmrk", "events.tsv")),
        ]
    )
    optional = {one.path.name: one.found for one in listed if not one.needed}
    assert optional[f"{stem}_space-{trees.SPACE}_desc-brain_mask.nii.gz"]
    assert optional["task-pictures_bold.json"]
    assert optional["sub-01_task-pictures_run-01_channels.tsv"]
    with pytest.raises(ValueError, match="has no 'task' 'rest'"):
        bids.inventory(tmp_path, subject="01", task="rest")
    shutil.rmtree(tmp_path / "sub-01/ses-a")
    with pytest.raises(ValueError, match="has no task 'rest'; it has 'pictures'"):
        bids.inventory(tmp_path, subject="01", task="rest")
    (tmp_path / "sub-09/anat").mkdir(parents=True)
    with pytest.raises(ValueError, match="sub-09"):
        bids.inventory(tmp_path, subject="09", task="rest")
    with pytest.raises(ValueError, match="has no subject 'sub-02'"):
        bids.inventory(tmp_path, subject="02", task="rest")


def test_the_inventory_of_one_kind_asks_for_no_file_of_another(tmp_path):
    planted = trees.bids_fmri(tmp_path, sessions=("a",), runs=1)
    trees.bids_meeg(tmp_path, runs=1)
    (image,) = planted.derivatives.rglob("*_bold.nii.gz")
    shutil.copy(image, str(image).replace(trees.SPACE, "T1w"))
    annexed(image)
    with pytest.raises(ValueError, match="choose one with space="):
        bids.inventory(tmp_path, subject="01", task="pictures", of="fmri")
    for of in ("meeg", "eeg"):
        listed = bids.inventory(tmp_path, subject="01", task="pictures", of=of)
        assert all(one.found for one in listed if one.needed)
        assert {one.path.parent.name for one in listed} == {tmp_path.name, "eeg"}
    annexed(tmp_path / "sub-01/eeg/sub-01_task-pictures_run-01_eeg.eeg")
    listed = bids.inventory(tmp_path, subject="01", task="pictures", of="fmri", space="T1w")
    assert all(one.found for one in listed if one.needed)
    assert {one.path.parent.name for one in listed} == {tmp_path.name, "func"}
    with pytest.raises(ValueError, match="has no recording in folders 'meg' that mne-bids reads"):
        bids.inventory(tmp_path, subject="01", task="pictures", of="meg")
    (tmp_path / "dataset_description.json").unlink()  # mne-bids writes its own
    trees.bids_meeg(tmp_path, runs=1, datatype="meg")
    # As meeg itself would refuse it, whichever of the files were downloaded.
    with pytest.raises(ValueError, match="has 'eeg', 'meg' of this task; choose with datatype="):
        bids.inventory(tmp_path, subject="01", task="pictures", of="meeg")
    assert all(
        one.found for one in bids.inventory(tmp_path, subject="01", task="pictures", of="meg") if one.needed
    )
    with pytest.raises(ValueError, match="unknown of 'func'; choose one of 'fmri', 'meeg', 'eeg', 'meg'"):
        bids.inventory(tmp_path, subject="01", task="pictures", of="func")


def test_what_is_loaded_goes_through_netcdf(tmp_path):
    import xarray as xr

    trees.bids_fmri(tmp_path, runs=1)
    trees.bids_meeg(tmp_path, runs=1)
    for found in (bids.fmri(tmp_path, **PICTURES), bids.meeg(tmp_path, **EPOCHS)):
        found.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        with xr.open_dataarray(tmp_path / "a.nc", engine="h5netcdf") as back:
            np.testing.assert_array_equal(back.values, found.values)
        (tmp_path / "a.nc").unlink()
