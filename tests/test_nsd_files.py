"""NSD's pictures and answers in their published layout, what is there and what is missing, and a planted signal."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat

import neurodecode as nd
from neurodecode import cli
from neurodecode.datasets import _inventory, nsd
from tests import trees

# ---------------------------------------------------------------- pictures


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    return root, trees.nsd_pictures(root)


@pytest.fixture
def copied(listed, tmp_path):
    """A copy that a test may damage: the folder, and the path of the list."""
    shutil.copytree(listed[0], tmp_path, dirs_exist_ok=True)
    return tmp_path, tmp_path / "nsddata/experiments/nsd/nsd_stim_info_merged.csv"


def test_the_pictures_come_back_with_where_they_were_cut(listed):
    root, planted = listed
    found = nsd.pictures(root)
    assert found.sizes == {"stimulus": 73_000, "edge": 4}
    assert found.stimulus.values[[0, 40, 72_999]].tolist() == ["nsd_00000", "nsd_00040", "nsd_72999"]
    np.testing.assert_array_equal(found.coco_id, planted["cocoId"])
    np.testing.assert_array_equal(found.coco_split, planted["cocoSplit"])
    # Before pandas 3 the last bit of a text's number is not read.
    np.testing.assert_allclose(found.loss, planted["loss"], rtol=1e-12)
    for old, new in (("flagged", "flagged"), ("BOLD5000", "bold5000"), ("shared1000", "shared1000")):
        assert found[new].dtype == bool
        np.testing.assert_array_equal(found[new], planted[old])
    assert found.shared1000.sum() == 1000
    for i in (0, 7, 41_234, 72_999):
        numbers = [float(v) for v in planted["cropBox"][i].strip("()").split(",")]
        assert found.crop.sel(edge=["top", "bottom", "left", "right"]).values[i].tolist() == numbers


def test_the_trials_of_a_subject_are_those_that_load_gives(listed):
    root, planted = listed
    found = nsd.pictures(root, subject=3)
    assert found.sizes == {"stimulus": 10_000, "edge": 4, "showing": 3}
    assert found.attrs["subject"] == "subj03"
    own = planted["subject3"] == 1
    assert [f"nsd_{i:05d}" for i in np.flatnonzero(own)] == found.stimulus.values.tolist()
    np.testing.assert_array_equal(found.coco_id, planted["cocoId"][own])
    np.testing.assert_array_equal(found.trial[:, 2], planted["subject3_rep2"][own])
    betas = trees.nsd(root, subject=3, sessions=2)
    loaded = nsd.load(root, subject=3)
    assert len(betas.stored) == 1500
    for sample, stimulus, repeat in zip(
        loaded["sample"].values, loaded.stimulus.values, loaded.repeat.values, strict=True
    ):
        assert sample == f"subj03_t{found.trial.sel(stimulus=stimulus).values[repeat]:05d}"


def _edited(lines: list[str], row: int, **values: object) -> list[str]:
    """The file's lines with some values of one picture replaced."""
    header, fields = (next(csv.reader([line])) for line in (lines[0], lines[row + 1]))
    for name, value in values.items():
        fields[header.index(name)] = str(value)
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return [*lines[: row + 1], line.getvalue(), *lines[row + 2 :]]


def _write(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def test_a_list_without_the_design_is_taken_as_it_is(copied, listed):
    root, path = copied
    other = not listed[1]["shared1000"][5]
    _write(path, lambda lines: _edited(lines, 5, shared1000=other))
    with pytest.raises(ValueError, match="disagree on 1 entries of 'shared1000', first on picture nsd_00005"):
        nsd.pictures(root)
    (path.parent / "nsd_expdesign.mat").unlink()
    assert nsd.pictures(root).shared1000.values[5] == other


def test_a_list_of_another_design(copied, listed):
    root, path = copied
    trials = listed[1]["subject8_rep1"]
    first = int(np.flatnonzero(trials)[0])
    _write(path, lambda lines: _edited(lines, first, subject8_rep1=29_999))
    message = rf"nsd_{first:05d}: subject8_rep1 is 29999, the design has {trials[first]}; both must be of one release"
    with pytest.raises(ValueError, match=message):
        nsd.pictures(root, subject=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: [t[0].replace("cropBox", "box"), *t[1:]], "lacks the columns 'cropBox'; it has 'cocoId'"),
        (lambda t: t[:70_001], "has 70000 pictures, expected 73000"),
        (lambda t: [t[0], t[2], t[1], *t[3:]], "must list the pictures in order: nsdId is 1 in row 0"),
        (lambda t: _edited(t, 9, flagged="perhaps"), "other values than .* in 'flagged'"),
        (lambda t: _edited(t, 9, cocoId=0.5), "other values than .* in 'cocoId'"),
        (lambda t: _edited(t, 9, subject1_rep0=""), "other values than .* in 'subject1_rep0'"),
        (lambda t: _edited(t, 9, cropBox="(0, 0, 0)"), r"got '\(0, 0, 0\)' in row 9: not four shares"),
        (
            lambda t: _edited(t, 9, cropBox="(0, 0, 0, 1.2)"),
            r"got '\(0, 0, 0, 1.2\)' in row 9: not four shares",
        ),
        (lambda t: _edited(t, 9, cropBox="__import__('os')"), r"got \"__import__\('os'\)\" in row 9"),
    ],
)
def test_a_list_of_pictures_that_is_damaged(copied, change, message):
    root, path = copied
    _write(path, change)
    (path.parent / "nsd_expdesign.mat").unlink()
    with pytest.raises(ValueError, match=message):
        nsd.pictures(root)


def test_a_design_that_shows_a_picture_too_often(copied):
    root, path = copied
    design = path.parent / "nsd_expdesign.mat"
    content = {k: v for k, v in loadmat(design).items() if not k.startswith("__")}
    order = content["masterordering"][0]
    order[np.flatnonzero(order != order[0])[0]] = order[0]
    savemat(design, content)
    with pytest.raises(
        ValueError, match="nsd_expdesign.mat shows a picture to subject 1 4 times, expected 3; get"
    ):
        nsd.pictures(root)


def test_a_list_of_pictures_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="the list of pictures is missing.*NSD Data Access Agreement"):
        nsd.pictures(tmp_path)
    path = tmp_path / "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00\x9d,\n")
    with pytest.raises(ValueError, match="is no table, or damaged"):
        nsd.pictures(tmp_path)
    with pytest.raises(ValueError, match="subject must be 1 to 8, got 9"):
        nsd.pictures(tmp_path, subject=9)


# ---------------------------------------------------------------- answers


def test_answers_bear_the_labels_of_the_trials(tmp_path):
    planted = trees.nsd_behaviour(tmp_path, subject=5, sessions=3)
    found = nsd.behaviour(tmp_path, subject=5)
    assert list(found.data_vars) == trees.NSD_COLUMNS
    for name in trees.NSD_COLUMNS:
        np.testing.assert_allclose(found[name], planted[name], rtol=1e-12)
    assert np.isnan(found.RT).any()
    assert found["73KID"].dtype.kind == "i"
    assert found.RT.attrs["units"] == "ms"
    np.testing.assert_array_equal(found.run, planted["RUN"])
    trees.nsd(tmp_path, subject=5, sessions=3)
    loaded = nsd.load(tmp_path, subject=5)
    for name in ("sample", "stimulus", "session", "repeat", "split"):
        np.testing.assert_array_equal(found[name], loaded[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:-1], r"has 1499 trials, expected 1 to 40 sessions of 750"),
        (lambda t: t.iloc[:0], "has 0 trials"),
        (lambda t: t.drop(columns="RT"), "has the columns 'SUBJECT'.*expected"),
        (
            lambda t: t.assign(SUBJECT=2),
            "in SUBJECT of 1500 of 1500 trials, first in trial 1: 2 instead of 1",
        ),
        (lambda t: t.iloc[[*range(750), *range(751, 1500), 750]], "in 73KID of .* first in trial 751: "),
        (
            lambda t: t.iloc[[*range(750, 1500), *range(750)]],
            "in SESSION of 1500 .* first in trial 1: 2 instead of 1",
        ),
        (lambda t: t.assign(RT="fast"), "has no numbers in 'RT'"),
    ],
)
def test_answers_to_other_trials(tmp_path, change, message):
    trees.nsd_behaviour(tmp_path)
    path = tmp_path / "nsddata/ppdata/subj01/behav/responses.tsv"
    change(pd.read_csv(path, sep="\t")).to_csv(path, sep="\t", index=False)
    with pytest.raises(ValueError, match=message):
        nsd.behaviour(tmp_path, subject=1)


def test_answers_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="answers of subj02 is missing: .*responses.tsv"):
        nsd.behaviour(tmp_path, subject=2)


# ---------------------------------------------------------------- what is there


def _by_path(items: list[_inventory.Item], root: Path) -> dict[str, _inventory.Item]:
    return {str(one.path.relative_to(root)): one for one in items}


def test_the_inventory_says_what_load_needs(tmp_path):
    planted = trees.nsd(tmp_path, subject=4, sessions=3)
    items = nsd.inventory(tmp_path, subject=4)
    found = _by_path(items, tmp_path)
    folder = "nsddata_betas/ppdata/subj04/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    sessions = [found[f"{folder}/betas_session{n:02d}.hdf5"] for n in range(1, 31)]
    assert [one.found for one in sessions] == [True] * 3 + [False] * 27
    assert [one.needed for one in sessions] == [True] * 3 + [False] * 27
    assert f"{folder}/betas_session31.hdf5" not in found
    assert all(one.found for one in items if one.needed)
    optional = ["behav/responses.tsv", "transforms/rh.white-to-fsaverage.mgz", "func1pt8mm/brainmask.nii.gz"]
    assert [found[f"nsddata/ppdata/subj04/{name}"].found for name in optional] == [False, False, True]
    # Every needed file: without it load fails, and the inventory says so.
    for one in [one for one in items if one.needed]:
        hidden = one.path.with_name("hidden")
        one.path.rename(hidden)
        again = _by_path(nsd.inventory(tmp_path, subject=4, sessions=3), tmp_path)
        lacking = [path for path, i in again.items() if i.needed and not i.found]
        if "roi" in str(one.path):
            # Files of one hemisphere and of both stand for each other.
            assert not lacking
            nsd.load(tmp_path, subject=4)
        else:
            assert lacking == [str(one.path.relative_to(tmp_path))]
            with pytest.raises(FileNotFoundError):
                nsd.load(tmp_path, subject=4, sessions=3)
        hidden.rename(one.path)
    assert nsd.load(tmp_path, subject=4).sizes["sample"] == len(planted.stored)


def test_the_inventory_of_a_damaged_download(tmp_path):
    planted = trees.nsd(tmp_path, sessions=3)
    (planted.betas / "betas_session02.hdf5").unlink()
    (planted.betas / "betas_session03.hdf5").write_bytes(b"")
    found = _by_path(nsd.inventory(tmp_path, subject=1), tmp_path)
    at = {
        n: found[str((planted.betas / f"betas_session{n:02d}.hdf5").relative_to(tmp_path))] for n in (2, 3, 4)
    }
    assert (at[2].needed, at[2].fault) == (True, "not there")
    assert at[3].needed
    assert "is empty" in at[3].fault
    assert not at[4].needed
    # As NIfTI it is as good.
    trees.nsd_session(planted.betas / "betas_session02.nii.gz", planted.stored[750:1500])
    found = _by_path(nsd.inventory(tmp_path, subject=1), tmp_path)
    assert found[str((planted.betas / "betas_session02.nii.gz").relative_to(tmp_path))].found
    for name in ("lh.Kastner2015.nii.gz", "Kastner2015.nii.gz"):
        (planted.folder / "roi" / name).unlink()
    found = _by_path(nsd.inventory(tmp_path, subject=1), tmp_path)
    both = found["nsddata/ppdata/subj01/func1pt8mm/roi/Kastner2015.nii.gz"]
    assert (both.needed, both.found) == (True, False)


def test_the_inventory_of_surfaces_and_of_nothing(tmp_path):
    items = nsd.inventory(tmp_path, subject=1, sessions=2)
    assert not any(one.found for one in items)
    with pytest.raises(FileNotFoundError, match="5 of 5 needed files are missing"):
        _inventory.require_all(items)
    # Without a number of sessions at least one is needed.
    needed = [one.path.name for one in nsd.inventory(tmp_path, subject=1) if one.needed]
    assert needed == [
        "nsd_expdesign.mat",
        "betas_session01.hdf5",
        "Kastner2015.nii.gz",
        "prf-visualrois.nii.gz",
    ]
    trees.nsd_surfaces(tmp_path)
    folder = "nsddata_betas/ppdata/subj01/fsaverage/betas_fithrf_GLMdenoise_RR"
    (tmp_path / folder / "lh.betas_session01.mgh").unlink()
    found = _by_path(nsd.inventory(tmp_path, subject=1), tmp_path)
    assert not found[f"{folder}/lh.betas_session01.mgh"].found
    assert found[f"{folder}/rh.betas_session02.mgh"].found
    assert found["nsddata/ppdata/subj01/transforms/rh.func1pt8-to-layerB3.mgz"].found
    assert found["nsddata/freesurfer/subj01/label/lh.prf-visualrois.mgz"].found
    assert found["nsddata/experiments/nsd/nsd_expdesign.mat"].found
    with pytest.raises(ValueError, match="sessions must be 1 to 40"):
        nsd.inventory(tmp_path, subject=1, sessions=41)
    with pytest.raises(ValueError, match="unknown version"):
        nsd.inventory(tmp_path, subject=1, version="b3")


def test_prepare_asks_for_the_files_of_the_regions_and_the_space_that_are_wanted(tmp_path, capsys):
    planted = trees.nsd(tmp_path / "volumes")
    for path in (planted.folder / "roi").glob("*Kastner2015*"):
        path.unlink()
    said = ["prepare", "nsd", "--subject", "1", "--out", str(tmp_path / "sub.zarr")]
    root = ["--root", str(tmp_path / "volumes")]
    assert cli.main([*said, *root, "--regions", "nsdgeneral"]) == 0
    shutil.rmtree(tmp_path / "sub.zarr")
    assert cli.main([*said, *root]) == 2
    assert "1 of 6 needed files are missing:\n  atlas Kastner2015" in capsys.readouterr().err
    trees.nsd_surfaces(tmp_path / "surfaces")
    root = ["--root", str(tmp_path / "surfaces"), "--space", "fsaverage"]
    assert cli.main([*said, *root]) == 0
    shutil.rmtree(tmp_path / "sub.zarr")
    (right,) = (tmp_path / "surfaces").rglob("fsaverage/*/rh.betas_session01.mgh")
    right.unlink()
    assert cli.main([*said, *root]) == 2
    assert "needed files are missing:\n  betas of session 1 on fsaverage, right" in capsys.readouterr().err


def test_files_that_are_not_read_do_not_make_prepared_responses_others(tmp_path):
    planted = trees.nsd(tmp_path / "NSD", sessions=3)
    said = ["prepare", "nsd", "--root", tmp_path / "NSD", "--subject", 1, "--sessions", 2]
    said = [str(word) for word in (*said, "--out", tmp_path / "sub.zarr")]
    last = planted.betas / "betas_session03.hdf5"
    last.rename(tmp_path / "later")
    assert cli.main(said) == 0
    (tmp_path / "later").rename(last)  # a download that went on meanwhile
    answers = tmp_path / "NSD/nsddata/ppdata/subj01/behav/responses.tsv"
    answers.parent.mkdir(parents=True)
    answers.write_text("SUBJECT\n")
    assert cli.main(said) == 0
    first = planted.betas / "betas_session01.hdf5"
    os.utime(first, (1, 1))
    assert cli.main(said) == 2


# ---------------------------------------------------------------- a planted signal, and the order of pictures


@pytest.mark.parametrize("kind", ["array", "function"])
def test_a_planted_signal_is_decoded_in_its_region_and_nowhere_else(tmp_path, kind):
    rng = np.random.default_rng(5)
    by_picture = rng.normal(size=(73_000, 2))
    _, pictures = trees.nsd_design(tmp_path)
    signal = by_picture.__getitem__ if kind == "function" else by_picture[pictures[1] - 1]
    plain = trees.nsd(tmp_path / "plain", subject=2, sessions=3)
    planted = trees.nsd(tmp_path, subject=2, sessions=3, signal=signal, region="V2")
    assert planted.stored.dtype == np.int16
    np.testing.assert_array_equal(planted.stored[:, ~planted.planted], plain.stored[:, ~planted.planted])
    responses = nsd.load(tmp_path, subject=2)
    inside = planted.planted.ravel()[responses.voxel.values]
    assert set(responses.roi.values[inside]) == {"V2"}
    assert (responses.roi.values[~inside] != "V2").all()
    average = nd.brain.average_repeats(responses.compute())
    names = average.stimulus.values
    ids = [int(name.removeprefix("nsd_")) for name in names]
    features = nd.brain.features(by_picture[ids], stimulus=names)
    decoder = nd.RidgeDecoder(1000.0)
    scores = nd.spatial.decode(
        average, features, decoder, regions=["V1", "V2", "V3", "LO"], train="train", test="test"
    )
    assert scores.sel(region="V2").item() > 0.8
    assert (abs(scores.drop_sel(region="V2")) < 0.25).all()


def test_averages_keep_the_order_in_which_pictures_were_first_shown(tmp_path):
    """The last pictures of training, a common validation set, are the last ones in the averages."""
    planted = trees.nsd(tmp_path, subject=1, sessions=2)
    average = nd.brain.average_repeats(nsd.load(tmp_path, subject=1))
    order = [k for k in dict.fromkeys(planted.order[:1500].tolist()) if k > 1000]
    expected = [f"nsd_{planted.pictures[0, k - 1] - 1:05d}" for k in order]
    assert average.stimulus.values[average.split.values == "train"].tolist() == expected


@pytest.mark.parametrize("space", ["fsaverage", "nativesurface"])
def test_what_a_surface_needs_is_just_what_surface_cannot_do_without(tmp_path, space):
    trees.nsd_surfaces(tmp_path)
    items = nsd.inventory(tmp_path, subject=1, space=space)
    assert all(one.found for one in items if one.needed)
    needed = [one.path for one in items if one.needed]
    assert not [path for path in needed if "func1pt8mm" in str(path)]
    nsd.surface(tmp_path, subject=1, space=space)
    for path in needed:
        path.rename(path.with_suffix(".hidden"))
        with pytest.raises((FileNotFoundError, ValueError)):
            nsd.surface(tmp_path, subject=1, space=space)
        path.with_suffix(".hidden").rename(path)


def test_other_regions_need_other_atlases(tmp_path):
    trees.nsd(tmp_path)
    needed = [one.path.name for one in nsd.inventory(tmp_path, subject=1, regions="streams") if one.needed]
    assert "Kastner2015.nii.gz" not in needed
    assert any("streams" in name for name in needed)
