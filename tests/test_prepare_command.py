"""`neurodecode prepare` and `features`: what they say, what they refuse, and that nothing is left half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import cli, store
from neurodecode.datasets import prepared
from tests import trees

ROOT = Path(__file__).resolve().parent.parent


def run(capsys, *words: object) -> tuple[int, str, str]:
    status = cli.main([str(w) for w in words])
    said = capsys.readouterr()
    return status, said.out, said.err


def nsd(folder: Path, *more: object) -> tuple[object, ...]:
    return (
        "prepare",
        "nsd",
        "--root",
        folder / "NSD",
        "--subject",
        1,
        "--out",
        folder / "sub-01.zarr",
        *more,
    )


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "NSD")


# ---------------------------------------------------------------- what is there


def test_the_report_names_what_is_there_and_what_is_not(tmp_path, capsys):
    trees.nsd(tmp_path / "NSD")
    status, out, _ = run(capsys, *nsd(tmp_path, "--report"))
    assert status == 0
    assert "found    betas of session 2 of 40: " in out
    assert "absent   betas of session 3 of 40: " in out
    (tmp_path / "NSD/nsddata/experiments/nsd/nsd_expdesign.mat").unlink()
    status, out, _ = run(capsys, *nsd(tmp_path, "--report"))
    assert status == 1
    assert "MISSING  the experimental design: " in out
    assert not left(tmp_path)


def test_missing_files_are_named_together_with_where_they_come_from(tmp_path, capsys):
    trees.nsd(tmp_path / "NSD")
    (tmp_path / "NSD/nsddata/experiments/nsd/nsd_expdesign.mat").unlink()
    next((tmp_path / "NSD").rglob("betas_session01.hdf5")).unlink()
    status, _, err = run(capsys, *nsd(tmp_path))
    assert status == 2
    assert "2 of 7 needed files are missing" in err
    assert "nsd_expdesign.mat (not there)" in err
    assert "betas_session01.hdf5 (not there)" in err
    assert "naturalscenesdataset.org, after agreeing to the NSD Data Access Agreement" in err
    assert not left(tmp_path)


# ---------------------------------------------------------------- nothing half-written


def test_a_session_that_breaks_in_the_middle_leaves_no_result_and_can_be_replaced(tmp_path, capsys):
    """Damage that no size tells: it is met while reading, after the first session was kept."""
    pytest.importorskip("dask")
    trees.nsd(tmp_path / "NSD", ending="nii.gz")
    second = next((tmp_path / "NSD").rglob("betas_session02.nii.gz"))
    whole = second.read_bytes()
    second.write_bytes(whole[: len(whole) // 2])
    status, _, err = run(capsys, *nsd(tmp_path))
    assert status == 2
    assert "betas_session02.nii.gz" in err
    assert "truncated or no NIfTI image" in err
    assert not (tmp_path / "sub-01.zarr").exists()
    status, _, err = run(capsys, "info", tmp_path / "sub-01.zarr")
    assert status == 2
    second.write_bytes(whole)
    # Another file than the one it was begun with: begun work is not gone on with, and says how to go on.
    status, _, err = run(capsys, *nsd(tmp_path))
    assert status == 2
    assert "was begun with another key" in err
    assert "'files'" in err


def test_trials_that_are_not_as_said_leave_nothing_at_all(tmp_path, capsys):
    trees.nsd(tmp_path / "NSD")
    for more, words in (
        (("--average", "val"), "average names 'val', no value of 'split'; there are 'test', 'train'"),
        (("--normalise", "mvnn-time"), "but responses are ('sample', 'voxel'); normalise them by z-scores"),
        (("--by", "run"), "no coordinate 'run'"),
        (("--validation", 5000), "cannot be held out"),
        (("--validation", 0.1, "--validation-by", "concept"), "no coordinate 'concept'"),
        (("--sessions", 3), "needed files are missing"),
        (("--regions", "Glasser"), "Glasser"),
    ):
        status, _, err = run(capsys, *nsd(tmp_path, *more))
        assert status == 2, more
        assert words in err
        assert not left(tmp_path), more
    status, _, err = run(capsys, *nsd(tmp_path)[:-1], tmp_path / "sub-01.nc")
    assert status == 2
    assert "must name a folder that ends in .zarr" in err
    nine = ("prepare", "nsd", "--root", tmp_path / "NSD", "--subject", 9)
    status, _, err = run(capsys, *nine, "--out", tmp_path / "a.zarr")
    assert status == 2
    assert "subject must be 1 to 8, got 9" in err


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_undisturbed(tmp_path, capsys, monkeypatch):
    pytest.importorskip("dask")
    trees.nsd(tmp_path / "NSD", sessions=6)
    words = [str(w) for w in nsd(tmp_path, "--validation", 0.1)]
    program = f"{SLOW}\nfrom neurodecode import cli\ncli.main({words!r})"
    for kill_after in (2, 4, 7):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            limit = time.monotonic() + 120
            while _finished(tmp_path) < kill_after:
                assert process.poll() is None
                assert time.monotonic() < limit
                time.sleep(0.02)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert not (tmp_path / "sub-01.zarr").exists()
    monkeypatch.setattr(prepared, "BLOCK_BYTES", 540_000)
    status, _, err = run(capsys, *words)
    assert status == 0, err
    resumed = store.load(tmp_path / "sub-01.zarr")
    assert left(tmp_path) == ["sub-01.zarr"]
    (tmp_path / "again").mkdir()
    words[words.index(str(tmp_path / "sub-01.zarr"))] = str(tmp_path / "again/sub-01.zarr")
    assert run(capsys, *words)[0] == 0
    undisturbed = store.load(tmp_path / "again/sub-01.zarr")
    drop = {"provenance"}
    for array in (resumed, undisturbed):
        array.attrs = {k: v for k, v in array.attrs.items() if k not in drop}
    xr.testing.assert_identical(resumed, undisturbed)


# Every block takes its time, and the second step has several.
SLOW = """
import time
from neurodecode.datasets import prepared
from neurodecode.store import blocks
prepared.BLOCK_BYTES = 540_000
checksum = blocks.checksum
def slow(values):
    time.sleep(0.2)
    return checksum(values)
blocks.checksum = slow
"""


def _finished(folder: Path) -> int:
    """Blocks of both steps that the journals hold; a step that is done counts six."""
    count = 6 * (folder / "sub-01.zarr.trials").is_dir()
    for journal in folder.glob("sub-01.zarr*.part/journal"):
        count += journal.read_text().count("]")
    return count


def test_prepared_twice_it_is_opened(tmp_path, capsys):
    trees.nsd(tmp_path / "NSD")
    assert run(capsys, *nsd(tmp_path))[0] == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sub-01.zarr").rglob("*")}
    assert run(capsys, *nsd(tmp_path))[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "sub-01.zarr").rglob("*")} == before
    same = (
        "prepare",
        "nsd",
        "--subject",
        "1",
        "--out",
        f"{tmp_path}/./sub-01.zarr",
        f"--root={tmp_path}/NSD",
    )
    assert run(capsys, *same)[0] == 0  # how the command was typed does not count
    assert str(tmp_path) not in json.dumps(store.load(tmp_path / "sub-01.zarr").attrs)
    status, _, err = run(capsys, *nsd(tmp_path, "--normalise", "none"))
    assert status == 2
    assert "holds something else; 1 entries differ: 'normalise'" in err
    made = store.provenance(store.load(tmp_path / "sub-01.zarr"))["parameters"]
    assert made["dataset"] == "nsd"
    assert made["subject"] == 1
    status, out, _ = run(capsys, "info", tmp_path / "sub-01.zarr")
    assert status == 0
    assert "checksums hold" in out


# ---------------------------------------------------------------- features


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Responses to some pictures of a folder in THINGS' layout, with concepts."""
    folder = tmp_path_factory.mktemp("shown")
    found = trees.things_images(folder / "images", each=3, size=(64, 64))
    names = [name for name in sorted(found) if not name.endswith("03b")]
    concept = [name[:-4] for name in names]
    responses = nd.brain.fmri(np.zeros((len(names), 2)), sample=names, stimulus=names)
    store.save(responses.assign_coords(concept=("sample", concept)), folder / "responses.nc")
    return folder, names


def test_features_of_what_was_shown(shown, capsys, tmp_path):
    pytest.importorskip("torch")
    folder, names = shown
    said = (
        "features",
        "--images",
        folder / "images",
        "--responses",
        folder / "responses.nc",
        "--out",
        tmp_path / "f",
    )
    models = ("--model", "lab", "--layers", "Linear-2", "final", "--latents", "lab", "--captions", "concepts")
    status, out, err = run(capsys, *said, *models)
    assert status == 0, err
    assert f"found {len(names)} pictures of 64 x 64 pixels, one for every stimulus of the responses" in out
    layers, z, c = (store.load(tmp_path / "f" / f"{name}.zarr") for name in ("layers", "z", "c"))
    assert set(layers.stimulus.values) == set(z.stimulus.values) == set(c.stimulus.values) == set(names)
    assert list(dict.fromkeys(layers.layer.values)) == ["Linear-2", "final"]
    from neurodecode import vision
    from neurodecode.datasets import stimuli

    images = stimuli.images(folder / "images", only=names).compute()
    direct = vision.extract_features(images, vision.load("lab"), ["Linear-2", "final"], progress=False)
    np.testing.assert_allclose(layers.sel(stimulus=names).values, direct.values, rtol=1e-4, atol=1e-5)
    words = {name: f"a picture of {name[:-4].replace('_', ' ')}" for name in names}
    prompts = vision.text_features(words, vision.load_text("lab"), progress=False)
    np.testing.assert_allclose(c.sel(stimulus=names).values, prompts.values, rtol=1e-4, atol=1e-5)
    # Run again it opens what is there; with other layers it refuses.
    assert run(capsys, *said, *models)[0] == 0
    status, _, err = run(capsys, *said, "--model", "lab", "--layers", "Linear-4")
    assert status == 2
    assert "differ: 'layers'" in err


def test_captions_from_a_table_and_from_nsd(shown, capsys, tmp_path):
    pytest.importorskip("torch")
    folder, names = shown
    (tmp_path / "words.json").write_text(json.dumps({name: ["a thing", "one"] for name in names}))
    said = ("features", "--images", folder / "images", "--responses", folder / "responses.nc")
    assert run(capsys, *said, "--captions", tmp_path / "words.json", "--out", tmp_path / "a")[0] == 0
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["c.zarr"]
    status, _, err = run(capsys, *said, "--captions", tmp_path, "--out", tmp_path / "b")
    assert status == 2
    assert "the list of NSD's pictures is missing" in err
    assert not (tmp_path / "b").exists()


def test_pictures_that_lack_are_named_before_models_are_loaded(shown, capsys, tmp_path):
    folder, names = shown
    responses = store.load(folder / "responses.nc")
    other = responses.assign_coords(stimulus=("sample", [*names[:-1], "zebra_01b"]))
    store.save(other, tmp_path / "other.nc")
    said = ("features", "--images", folder / "images", "--out", tmp_path / "f", "--model", "no such model")
    status, _, err = run(capsys, *said, "--responses", tmp_path / "other.nc")
    assert status == 2
    assert f"1 of {len(names)} wanted images are not below" in err
    assert "'zebra_01b'" in err
    status, _, err = run(capsys, *said[:-2])
    assert status == 2
    assert "give --model for layers, --latents for z, --captions for c" in err
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("space", ["fsaverage", "nativesurface"])
def test_betas_of_a_surface_need_no_file_of_the_volume(tmp_path, capsys, space):
    planted = trees.nsd_surfaces(tmp_path / "NSD")
    status, out, err = run(
        capsys, *nsd(tmp_path, "--space", space, "--normalise", "none", "--average", "none")
    )
    assert status == 0, err
    found = store.load(tmp_path / "sub-01.zarr")
    direct = nd.datasets.nsd.surface(tmp_path / "NSD", subject=1, space=space)
    np.testing.assert_array_equal(found.values, direct.values)
    assert found.sizes["sample"] == len(planted.native)
    assert set(found.hemi.values) == {"left", "right"}


def test_a_folder_that_was_moved_is_gone_on_with(tmp_path, capsys):
    trees.bids_fmri(tmp_path / "bids")

    def prepare(root: Path) -> tuple[int, str, str]:
        mask = sorted(root.rglob("*brain_mask.nii.gz"))[0]
        said = ("--subject", "01", "--task", "pictures", "--mask", mask, "--test", "session", "ses-b")
        return run(capsys, "prepare", "bids-fmri", "--root", root, *said, "--out", tmp_path / "a.zarr")

    assert prepare(tmp_path / "bids")[0] == 0
    (tmp_path / "bids").rename(tmp_path / "moved")
    status, _, err = prepare(tmp_path / "moved")
    assert status == 0, err
    assert str(tmp_path) not in json.dumps(store.load(tmp_path / "a.zarr").attrs)


def test_eeg_and_fmri_of_one_task_are_prepared_each_by_itself(tmp_path, capsys):
    pytest.importorskip("mne_bids")
    root = tmp_path / "bids"
    planted = trees.bids_fmri(root, sessions=("a",), runs=1)
    (image,) = planted.derivatives.rglob("*_bold.nii.gz")

    def prepare(kind: str, *more: object) -> tuple[int, str, str]:
        said = (
            "--root",
            root,
            "--subject",
            "01",
            "--task",
            "pictures",
            "--normalise",
            "none",
            "--average",
            "none",
        )
        return run(capsys, "prepare", kind, *said, "--out", tmp_path / f"{kind}.zarr", *more)

    status, _, err = prepare("bids-meeg")
    assert status == 2
    assert "sub-01 in" in err
    assert "has no recording in folders 'eeg', 'meg'" in err
    trees.bids_meeg(root)
    volumes = image.read_bytes()
    image.unlink()
    for space in ("T1w", trees.SPACE):  # in two spaces, and none of them downloaded
        path = Path(str(image).replace(trees.SPACE, space))
        path.symlink_to("../../.git/annex/objects/XX/1w/MD5E-s47--60.nii.gz/MD5E-s47--60.nii.gz")
    status, out, err = prepare("bids-meeg", "--stimulus", "stim_id")
    assert status == 0, err
    assert "bold" not in out
    assert store.load(tmp_path / "bids-meeg.zarr").dims == ("sample", "channel", "time")
    for path in (root / "sub-01/eeg").glob("*_eeg.eeg"):
        path.write_bytes(b"")
    image.unlink()
    image.write_bytes(volumes)
    status, _, err = prepare("bids-fmri", "--space", trees.SPACE)
    assert status == 0, err


def test_data_without_a_split_are_given_one(tmp_path, capsys):
    trees.bids_fmri(tmp_path / "bids")
    said = ("prepare", "bids-fmri", "--root", tmp_path / "bids", "--subject", "01", "--task", "pictures")
    out = ("--out", tmp_path / "a.zarr", "--normalise", "zscore")
    status, _, err = run(capsys, *said, *out)
    assert status == 2
    assert "split" in err
    for half in (("--atlas", tmp_path / "atlas.nii.gz"), ("--region", 1, "V1")):
        status, _, err = run(capsys, *said, *out, *half)
        assert status == 2
        assert "--atlas IMAGE and --region NUMBER NAME go together" in err
    status, _, err = run(capsys, *said, *out, "--test", "session", "ses-c")
    assert status == 2
    assert "--test session names 'ses-c'; there are 'ses-a', 'ses-b'" in err
    status, _, err = run(capsys, *said, *out, "--test", "session", "ses-b", "--validation", 2.5)
    assert status == 2
    assert "--validation must be a whole number, or a share below 1, got 2.5" in err
    status, _, err = run(capsys, *said, *out, "--test", "session", "ses-b")
    assert status == 0, err
    found = store.load(tmp_path / "a.zarr")
    np.testing.assert_array_equal(found.split.values == "test", found.session.values == "ses-b")
    train = found.values[found.split.values == "train"]
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-4)
