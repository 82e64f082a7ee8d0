"""Runs and epochs that are no dataset come in as those of BIDS do, or as mne itself reads them."""

from __future__ import annotations

from pathlib import Path

import mne
import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode.datasets import bids, own
from neurodecode.datasets._images import open_image
from tests import trees

# ---------------------------------------------------------------- NIfTI


@pytest.fixture
def scans(tmp_path):
    """Images, tables and a mask without BIDS, and what bids.fmri makes of the same files."""
    planted = trees.bids_fmri(tmp_path)
    images = sorted(planted.derivatives.rglob("*_bold.nii.gz"))
    tables = sorted(tmp_path.glob("sub-01/*/func/*_events.tsv"))
    mask = sorted(planted.derivatives.rglob("*_mask.nii.gz"))[-1]
    same = bids.fmri(tmp_path, subject="01", task="pictures", stimulus="stim_file", mask=mask).compute()
    return images, tables, mask, same


def test_runs_equal_those_of_bids(scans, reading):
    images, tables, mask, same = scans
    found = own.nifti(
        images,
        events=tables,
        mask=mask,
        stimulus="stim_file",
        start=0.75,
        subject="S1",
        session=["a", "a", "b", "b"],
        run=[1, 2, 1, 2],
    )
    assert (found.chunks is not None) == (reading == "dask")
    np.testing.assert_array_equal(found.values, same.values)
    for name in ("stimulus", "repeat", "trial_type", "voxel", "x", "y", "z"):
        xr.testing.assert_equal(
            found[name].drop_vars(found[name].coords), same[name].drop_vars(same[name].coords)
        )
    assert found["sample"].values[[0, 15]].tolist() == ["a_1_e0002", "b_2_e0008"]
    assert found.session.values.tolist() == ["a"] * 8 + ["b"] * 8
    assert found.run.values.tolist() == (["1"] * 4 + ["2"] * 4) * 2
    assert found.attrs["subject"] == "S1"
    assert found.attrs["events_without_value"] == same.attrs["events_without_value"]


def test_images_and_tables_in_memory_and_as_csv(scans, tmp_path):
    images, tables, mask, same = scans
    table = pd.read_csv(tables[0], sep="\t")
    table.to_csv(tmp_path / "events.csv", index=False)
    opened = nibabel.load(images[0])
    for events in (table, tmp_path / "events.csv", str(tables[0])):
        found = own.nifti(opened, events=events, mask=nibabel.load(mask), stimulus="stim_file", start=0.75)
        np.testing.assert_array_equal(found.values, same.values[:4])
        assert found.run.values.tolist() == ["run-1"] * 4
        assert found.stimulus.values.tolist() == same.stimulus.values[:4].tolist()
    # A later clock of the volumes takes earlier ones.
    later = own.nifti(opened, events=table, mask=mask, stimulus="stim_file", start=2.25, detrend=None)
    moved = table.assign(onset=table.onset - 1.5)
    earlier = own.nifti(opened, events=moved, mask=mask, stimulus="stim_file", start=0.75, detrend=None)
    np.testing.assert_array_equal(later.values, earlier.values)


def test_codes_and_words_stay_as_they_are_written(scans, tmp_path):
    images, _, mask, _ = scans
    table = tmp_path / "events.tsv"
    for written_as in (["007", "010"], ["2.50", "1443537.022560"], ["NA", "None"]):
        rows = [f"{5 + 10 * i}\t{word}" for i, word in enumerate(written_as)]
        table.write_text("onset\tpicture\n" + "\n".join(rows) + "\n")
        found = own.nifti(images[0], events=table, mask=mask, stimulus="picture")
        assert found.stimulus.values.tolist() == written_as


@pytest.mark.parametrize("kept", [False, True])
def test_a_number_is_one_stimulus_also_where_a_hole_made_it_a_float(scans, tmp_path, kept):
    """In tables in memory, and in files that pandas wrote."""
    images, _, mask, _ = scans
    tables = [pd.DataFrame({"onset": [5, 15, 25], "picture": shown}) for shown in ([3, 4, 5], [3, None, 5])]
    paths = [tmp_path / f"{i}.tsv" for i in range(2)]
    for table, path in zip(tables, paths, strict=True):
        table.to_csv(path, sep="\t", index=False)
    assert "3.0" in paths[1].read_text()
    found = own.nifti(images[:2], events=paths if kept else tables, mask=mask, stimulus="picture")
    assert found.stimulus.values.tolist() == ["3", "4", "5", "3", "5"]
    assert found.repeat.values.tolist() == [0, 0, 0, 1, 1]


def test_codes_in_further_columns_stay_as_they_are_written(scans, tmp_path):
    images, _, mask, _ = scans
    table = tmp_path / "events.tsv"
    table.write_text("onset\tpicture\tcode\tsize\n5\ta\t01\t0.5\n15\tb\t1\t10\n")
    found = own.nifti(images[0], events=table, mask=mask, stimulus="picture", columns=["code", "size"])
    assert found.code.values.tolist() == ["01", "1"]
    assert found["size"].values.tolist() == [0.5, 10.0]


@pytest.mark.parametrize("name", ["run.hdr", "run.img", "run.nii", "run.nii.gz", "run.nii.bz2"])
def test_an_image_is_opened_however_its_values_are_kept(tmp_path, name):
    """Of a pair they lie in the other file; how tightly bz2 packs is not known."""
    values = np.zeros((12, 12, 12), np.float32)
    pair = name.endswith((".hdr", ".img"))
    nibabel.save((nibabel.Nifti1Pair if pair else nibabel.Nifti1Image)(values, np.eye(4)), tmp_path / name)
    found = open_image(tmp_path / name, what="a mask", source=own.SOURCE)
    np.testing.assert_array_equal(found.dataobj, values)
    if name.endswith(".img"):
        (tmp_path / name).write_bytes(b"0" * 100)
        with pytest.raises(ValueError, match=r"announces \(12, 12, 12\) numbers"):
            open_image(tmp_path / "run.hdr", what="a mask", source=own.SOURCE)


def test_a_surface_is_no_image_of_voxels(tmp_path):
    data = nibabel.gifti.GiftiDataArray(np.zeros(4, np.float32))
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[data]), tmp_path / "lh.func.gii")
    with pytest.raises(ValueError, match="it is a GiftiImage, which has no voxels"):
        open_image(tmp_path / "lh.func.gii", what="a mask", source=own.SOURCE)


def test_what_does_not_fit(scans):
    images, tables, mask, _ = scans
    given = {"mask": mask, "stimulus": "stim_file"}
    with pytest.raises(ValueError, match="there are 4 images but 3 tables"):
        own.nifti(images, events=tables[:3], **given)
    with pytest.raises(ValueError, match="session has 2 values for 4 files"):
        own.nifti(images, events=tables, session=["a", "b"], **given)
    with pytest.raises(ValueError, match="'1' occurs more than once; every file needs a name"):
        own.nifti(images[:2], events=tables[:2], run=1, **given)
    with pytest.raises(FileNotFoundError, match="events of run-1 is missing: .*none.tsv"):
        own.nifti(images[0], events=Path("none.tsv"), **given)
    bare = nibabel.Nifti1Image(np.zeros((*trees.BIDS_GRID, 5)), trees.BIDS_AFFINE)
    with pytest.raises(ValueError, match="between volumes of the image of run-1: .*give tr="):
        own.nifti(bare, events=tables[0], **given)
    with pytest.raises(ValueError, match="of run-1 has no column 'onset'"):
        own.nifti(images[0], events=pd.DataFrame({"stim_file": ["a"]}), **given)


# ---------------------------------------------------------------- epochs

NAMES = ["Fz", "Cz", "Oz", "EOG"]


def written(
    path: Path,
    *,
    seed: int = 0,
    names=NAMES,
    count: int = 6,
    rate: float = 100.0,
    bads=(),
    table=True,
    times=31,
):
    """Epochs that mne saved, of which one was dropped before."""
    rng = np.random.default_rng(seed)
    info = mne.create_info(list(names), rate, [*["eeg"] * (len(names) - 1), "eog"])
    info.set_montage(mne.channels.make_standard_montage("biosemi64"), on_missing="ignore")
    info["bads"] = list(bads)
    events = np.column_stack([100 * np.arange(count), np.zeros(count, int), 1 + np.arange(count) % 2])
    metadata = None
    if table:
        shown = [f"picture-{i % 3}" for i in range(count)]
        metadata = pd.DataFrame({"stimulus": shown, "contrast": np.arange(count) / 4, f"only{seed}": 1})
    epochs = mne.EpochsArray(
        1e-6 * rng.normal(size=(count, len(names), times)),
        info,
        events,
        tmin=-0.1,
        event_id={"face": 1, "house": 2},
        metadata=metadata,
        verbose="error",
    ).drop([1], verbose="error")
    epochs.save(path, verbose="error")
    return epochs


def test_epochs_equal_those_that_mne_reads(tmp_path, reading):
    paths = [tmp_path / "monday-epo.fif", tmp_path / "tuesday-epo.fif"]
    planted = [written(path, seed=i) for i, path in enumerate(paths)]
    found = own.epochs(paths, subject="S1", session=["ses-1", "ses-2"], run=1)
    assert found.dtype == np.float32
    assert (found.chunks is not None) == (reading == "dask")
    assert found.chunks is None or found.chunks[0] == (5, 5)
    both = [nd.brain.meeg(mne.read_epochs(path, verbose="error")) for path in paths]
    expected = np.concatenate([one.values for one in both])
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    np.testing.assert_allclose(found.values[5:, 2], planted[1].get_data(picks="Oz")[:, 0], rtol=1e-5)
    assert found.channel.values.tolist() == ["Fz", "Cz", "Oz"]
    for name in ("time", "kind", "x", "y", "z"):
        np.testing.assert_array_equal(found[name], both[0][name])
    # The second of six epochs was dropped.
    shown = [f"picture-{i % 3}" for i in (0, 2, 3, 4, 5)] * 2
    assert found.stimulus.values.tolist() == shown
    assert found["sample"].values[[0, 1, 5]].tolist() == [
        "monday_event-0",
        "monday_event-2",
        "tuesday_event-0",
    ]
    assert found.contrast.values.tolist() == [0, 0.5, 0.75, 1, 1.25] * 2
    assert "only0" not in found.coords
    assert found.session.values.tolist() == ["ses-1"] * 5 + ["ses-2"] * 5
    assert found.run.values.tolist() == ["1"] * 10
    assert found.repeat.values.tolist() == [0, 0, 1, 0, 1, 2, 2, 3, 1, 3]
    assert found.attrs["units"] == "V"
    assert found.attrs["subject"] == "S1"
    found.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")


def test_numbers_of_one_file_beside_texts_of_another_are_the_same_stimuli(tmp_path):
    paths = [tmp_path / "a-epo.fif", tmp_path / "b-epo.fif"]
    for path, shown in zip(paths, ([3.0, 4.0, 3.0], ["3", "4", "catch"]), strict=True):
        epochs = written(path, count=4)
        epochs.metadata = pd.DataFrame({"stimulus": shown}, index=epochs.metadata.index)
        epochs.save(path, overwrite=True, verbose="error")
    assert own.epochs(paths).stimulus.values.tolist() == ["3", "4", "3", "3", "4", "catch"]


def test_event_names_are_stimuli_where_there_is_no_column(tmp_path):
    written(tmp_path / "a-epo.fif", table=False)
    found = own.epochs(tmp_path / "a-epo.fif")
    assert found.stimulus.values.tolist() == ["face", "face", "house", "face", "house"]


def test_epochs_in_several_parts(tmp_path):
    epochs = written(tmp_path / "whole-epo.fif", count=60, times=3001)
    epochs.save(tmp_path / "part-epo.fif", split_size="2MB", verbose="error")
    assert (tmp_path / "part-epo-1.fif").is_file()
    whole, part = own.epochs(tmp_path / "whole-epo.fif"), own.epochs(tmp_path / "part-epo.fif")
    np.testing.assert_array_equal(whole.values, part.values)
    (tmp_path / "part-epo-1.fif").unlink()
    with pytest.raises(FileNotFoundError, match="part-epo.fif has a second part that is missing"):
        own.epochs(tmp_path / "part-epo.fif")


def test_channels_of_files_that_differ(tmp_path):
    paths = [tmp_path / "a-epo.fif", tmp_path / "b-epo.fif"]
    written(paths[0], names=["Fz", "Cz", "Oz", "EOG"], bads=["Cz"])
    written(paths[1], seed=1, names=["Oz", "Cz", "Fz", "Pz", "EOG"])
    with pytest.raises(ValueError, match="b-epo.fif and .*a-epo.fif differ in the channels 'Pz'; name those"):
        own.epochs(paths)
    found = own.epochs(paths, channels=["Oz", "Fz"])
    # By name, not by place: the second file has them in another order.
    second = mne.read_epochs(paths[1], verbose="error").get_data(picks="Fz")[:, 0]
    np.testing.assert_allclose(found.sel(channel="Fz").values[5:], second, rtol=1e-6)
    assert found.attrs["bad_channels"] == "Cz"
    with pytest.raises(ValueError, match="no good EEG or MEG channel 'Cz'"):
        own.epochs(paths, channels=["Oz", "Cz"])
    with pytest.raises(
        ValueError, match="channels names none of 'Fz', .*; name some, or leave it out for all good"
    ):
        own.epochs(paths, channels=[])


def test_epochs_of_other_times(tmp_path):
    paths = [tmp_path / "a-epo.fif", tmp_path / "b-epo.fif"]
    written(paths[0])
    written(paths[1], seed=1, rate=200.0)
    message = "b-epo.fif have 31 times from -0.1 to 0.05 s, those of .*a-epo.fif 31 times from -0.1 to 0.2 s"
    with pytest.raises(ValueError, match=message):
        own.epochs(paths)
    with pytest.raises(ValueError, match="'a' occurs more than once"):
        own.epochs([paths[0], tmp_path / "other/a-epo.fif"])


@pytest.mark.parametrize("share", [0.99, 0.5, 0.01])
@pytest.mark.parametrize("level", ["warning", "error"])
def test_epochs_that_were_not_copied_wholly(tmp_path, share, level):
    path = tmp_path / "a-epo.fif"
    written(path, count=20)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    # mne says it in a warning alone, which a user may have silenced.
    with (
        mne.use_log_level(level),
        pytest.raises(ValueError, match="a-epo.fif .* is truncated or holds no epochs"),
    ):
        own.epochs(path)


def test_what_is_no_file_of_epochs(tmp_path):
    path = tmp_path / "a-epo.fif"
    with pytest.raises(FileNotFoundError, match="epochs is missing: .*a-epo.fif"):
        own.epochs(path)
    path.write_bytes(b"/annex/objects/MD5E-s47068840--601b.fif\n")
    with pytest.raises(FileNotFoundError, match="is a placeholder"):
        own.epochs(path)
    path.write_bytes(b"something else, and long enough for a header")
    with pytest.raises(ValueError, match="is truncated or holds no epochs"):
        own.epochs(path)


def test_no_epochs_are_read_before_they_are_needed(tmp_path):
    pytest.importorskip("dask")
    paths = [tmp_path / "a-epo.fif", tmp_path / "b-epo.fif"]
    for i, path in enumerate(paths):
        written(path, seed=i)
    found = own.epochs(paths)
    paths[1].unlink()
    assert np.isfinite(found[:5].values).all()
    with pytest.raises(FileNotFoundError, match="epochs is missing: .*b-epo.fif"):
        found.compute()
