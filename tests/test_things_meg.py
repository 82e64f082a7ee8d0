"""THINGS-MEG in its published layout: what was planted in epochs and recordings comes back, channel by channel."""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import cli, store
from neurodecode.datasets import _blocks, _inventory, things_meg
from neurodecode.datasets.things_meg import epochs as stored_epochs
from neurodecode.datasets.things_meg import fif, runs
from tests import trees

# A filter that fits into recordings of a few seconds, and a few sensors, for speed.
BAND = (1.0, 40.0)
FEW = ["MRO21-1609", "MLF11-1609", "MZO01-1609"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Written once; tests that change files take copies."""
    root = tmp_path_factory.mktemp("things_meg")
    return root, trees.things_meg(root), trees.things_meg_raw(root)


@pytest.fixture
def tree(written, tmp_path):
    root, planted, _ = written
    for folder in ("derivatives", "sourcedata"):
        shutil.copytree(root / folder, tmp_path / folder)
    return replace(
        planted,
        path=tmp_path / planted.path.relative_to(root),
        table=tmp_path / planted.table.relative_to(root),
    )


@pytest.fixture
def recorded(written, tmp_path):
    root, _, planted = written
    for folder in ("sub-BIGMEG1", "sourcedata"):
        shutil.copytree(root / folder, tmp_path / folder)
    return {
        key: replace(
            run, path=tmp_path / run.path.relative_to(root), events=tmp_path / run.events.relative_to(root)
        )
        for key, run in planted.items()
    }


def load_raw(root: Path, **options: object) -> xr.DataArray:
    return things_meg.raw(root, **({"subject": 1, "sessions": [1], "runs": [1, 2], "band": BAND} | options))


# ---------------------------------------------------------------- the authors' epochs


@pytest.mark.filterwarnings("error::UserWarning")
def test_planted_epochs_come_back_with_their_labels(tmp_path, reading):
    planted = trees.things_meg(tmp_path, subject=3)
    found = things_meg.load(tmp_path, subject=3, window=None)
    assert found.dtype == np.float32
    assert (found.chunks is not None) == (reading == "dask")
    assert found.sizes["channel"] == 271
    np.testing.assert_allclose(found.time, np.arange(-20, 261) / 200, atol=1e-12)
    tested = {
        row.image_path.rsplit("/", 1)[1].rsplit("_", 1)[0]
        for row in planted.trials.itertuples()
        if "test" in row.image_path
    }
    assert len(tested) == 2
    seen: dict[str, int] = {}
    at = 0
    for i, row in enumerate(planted.trials.itertuples()):
        stimulus = row.image_path.rsplit("/", 1)[1].removesuffix(".jpg")
        concept = stimulus.rsplit("_", 1)[0]
        if row.trial_type == "catch" or (row.trial_type == "exp" and concept in tested):
            continue
        one = found[at]
        np.testing.assert_array_equal(one.values, planted.values[i])
        assert one["sample"].item() == f"sub-BIGMEG3_t{i + 1:05d}"
        assert one.stimulus.item() == stimulus
        assert one.concept.item() == concept
        assert one.split.item() == ("test" if row.trial_type == "test" else "train")
        assert one.session.item() == f"ses-{row.session_nr:02d}"
        assert one.run.item() == f"run-{row.run_nr:02d}"
        assert one.repeat.item() == seen.get(stimulus, 0)
        assert one.things_image_nr.item() == row.things_image_nr
        assert one.things_category_nr.item() == row.things_category_nr
        seen[stimulus] = seen.get(stimulus, 0) + 1
        at += 1
    assert at == found.sizes["sample"] == 4 * 3 + 2 * 3
    assert max(seen.values()) == 3
    assert found.attrs["units"] == "SD of the baseline"
    assert found.attrs["subject"] == "sub-BIGMEG3"
    assert found.attrs["catch_left_out"] == 6
    assert found.attrs["test_concepts_left_out"] == 6


def test_sensors_have_their_names_kinds_and_places_in_the_head(written):
    root, planted, _ = written
    found = things_meg.load(root, subject=1)
    assert found.channel.values.tolist() == planted.channels
    assert set(found.kind.values) == {"mag"}
    np.testing.assert_allclose(np.stack([found.x, found.y, found.z], axis=1), planted.xyz, atol=1e-6)
    some = things_meg.load(root, subject=1, channels=["MZO01-1609", "MLC11-1609"])
    xr.testing.assert_identical(some.compute(), found.sel(channel=["MZO01-1609", "MLC11-1609"]).compute())
    with pytest.raises(ValueError, match="no channel 'Oz'; there are 'MLC11-1609'"):
        things_meg.load(root, subject=1, channels=["Oz"])


def test_epochs_are_those_that_mne_reads(written):
    root, planted, _ = written
    epochs = mne.read_epochs(planted.path, verbose="error")
    found = things_meg.load(root, subject=1, window=None, zero_shot=False)
    rows = np.flatnonzero(epochs.metadata.trial_type != "catch")
    np.testing.assert_allclose(found.values, epochs.get_data(copy=False)[rows], rtol=1e-7)
    np.testing.assert_allclose(found.time, epochs.times, atol=1e-9)
    assert brain_positions(epochs) == pytest.approx(np.stack([found.x, found.y, found.z], axis=1))


def brain_positions(epochs: mne.BaseEpochs) -> np.ndarray:
    made = nd.brain.meeg(epochs[:1])
    return np.stack([made.x, made.y, made.z], axis=1)


@pytest.mark.parametrize(
    ("window", "first", "count"),
    [((0.0, 1.0), 20, 201), ((-0.1, 0.0), 0, 21), ((0.1, 0.1), 40, 1), ((0.002, 0.0101), 21, 2)],
)
def test_a_window_holds_its_ends(written, window, first, count):
    root, planted, _ = written
    found = things_meg.load(root, subject=1, window=window, zero_shot=False)
    np.testing.assert_array_equal(found.time, planted.times[first : first + count])
    shown = planted.trials.trial_type != "catch"
    np.testing.assert_array_equal(found.values, planted.values[shown][:, :, first : first + count])


@pytest.mark.parametrize("window", [(-0.2, 1.0), (0.0, 1.4), (0.5, 0.2), (0.001, 0.004)])
def test_a_window_that_the_epochs_do_not_have(written, window):
    with pytest.raises(ValueError, match=r"within -0.1 to 1.3 s, the epochs' times, got \("):
        things_meg.load(written[0], subject=1, window=window)


def test_training_trials_of_test_concepts_stay_if_asked_for(written):
    root, planted, _ = written
    found = things_meg.load(root, subject=1, zero_shot=False)
    assert found.sizes["sample"] == (planted.trials.trial_type != "catch").sum()
    assert found.attrs["test_concepts_left_out"] == 0
    train, test = (found.concept.values[found.split.values == part] for part in ("train", "test"))
    assert set(test) < set(train)
    apart = things_meg.load(root, subject=1)
    train, test = (apart.concept.values[apart.split.values == part] for part in ("train", "test"))
    assert not set(train) & set(test)


def test_a_test_concept_is_known_by_its_number_where_it_is_spelt_otherwise(tmp_path, written):
    planted = written[1]
    paths = planted.trials.image_path.str.replace(
        "images_test_meg/aircraft_carrier", "images_test_meg/aircraft-carrier"
    )
    trials = planted.trials.assign(image_path=paths)
    save(tmp_path, planted, trials)
    found = things_meg.load(tmp_path, subject=1)
    assert "aircraft_carrier" not in found.concept.values
    assert "aircraft-carrier" in found.concept.values
    # Without numbers there is nothing but the name.
    save(tmp_path, planted, trials.drop(columns="things_category_nr"))
    found = things_meg.load(tmp_path, subject=1)
    assert "aircraft_carrier" in found.concept.values
    assert "things_category_nr" not in found.coords


@pytest.mark.parametrize("folder", ["derivatives", "derivatives/preprocessed"])
def test_the_folder_of_the_derivatives_does_too(tree, folder, tmp_path):
    whole = things_meg.load(tmp_path, subject=1).compute()
    xr.testing.assert_identical(things_meg.load(tmp_path / folder, subject=1).compute(), whole)


@pytest.mark.parametrize("folder", ["", "derivatives", "derivatives/preprocessed"])
def test_epochs_without_metadata_are_told_by_the_table(tmp_path, written, folder):
    planted = trees.things_meg(tmp_path, metadata=False)
    found = things_meg.load(tmp_path / folder, subject=1)
    xr.testing.assert_identical(found.compute(), things_meg.load(written[0], subject=1).compute())
    planted.trials[:-1].to_csv(planted.table)
    with pytest.raises(ValueError, match=r"30 epochs without metadata, but .*P1.csv lists 29 trials"):
        things_meg.load(tmp_path, subject=1)
    planted.trials[::-1].to_csv(planted.table)
    with pytest.raises(
        ValueError, match=r"other pictures in \d+ of 30 trials, first in number \d+: event \d+ against"
    ):
        things_meg.load(tmp_path, subject=1)
    planted.table.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"has no metadata, and .*sample_attributes_P1.csv.* is missing"
    ):
        things_meg.load(tmp_path, subject=1)


# ---------------------------------------------------------------- when epochs are read


def test_no_epochs_are_read_before_they_are_needed(tree, tmp_path, monkeypatch):
    pytest.importorskip("dask")
    monkeypatch.setattr(stored_epochs, "ROWS", 7)
    touched = []
    real = fif._stored
    monkeypatch.setattr(fif, "_stored", lambda part, *a: touched.append(part.path.name) or real(part, *a))
    found = things_meg.load(tmp_path, subject=1, window=None, zero_shot=False)
    assert touched == []
    assert found.chunks[0] == (7, 7, 7, 3)
    shown = np.flatnonzero(tree.trials.trial_type != "catch")
    np.testing.assert_array_equal(found[8:9].values, tree.values[shown[8:9]])
    # Ten of thirty trials lie in each part: the second block of seven lies in two of them.
    assert touched == ["preprocessed_P1-epo.fif", "preprocessed_P1-epo-1.fif"]
    np.testing.assert_array_equal(found.values, tree.values[shown])
    path = tree.path.with_name("preprocessed_P1-epo-2.fif")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match="epo-2.fif changed since it was opened"):
        found[-1].compute()
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"epochs is missing: .*epo-2.fif"):
        found[-1].compute()


def test_epochs_that_would_not_fit(written, monkeypatch, memory_left):
    monkeypatch.setattr(_blocks, "has_dask", lambda: False)

    memory_left(1000)
    with pytest.raises(
        MemoryError, match=r"18 epochs of 271 channels and 201 times.*shorter window, or install dask"
    ):
        things_meg.load(written[0], subject=1)


# ---------------------------------------------------------------- epochs that are not as they should be


@pytest.mark.parametrize("part", ["", "-1", "-2"])
@pytest.mark.parametrize("share", [0.5, 0.999999])
def test_a_part_that_was_not_downloaded_wholly(tree, tmp_path, part, share):
    path = tree.path.with_name(f"preprocessed_P1-epo{part}.fif")
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(ValueError, match=rf"epo{part}.fif .*part \d, \d+ bytes\) is truncated.*ds004212"):
        things_meg.load(tmp_path, subject=1)


def test_a_part_that_is_not_there(tree, tmp_path):
    path = tree.path.with_name("preprocessed_P1-epo-1.fif")
    whole = path.read_bytes()
    path.write_bytes(b"/annex/objects/MD5E-s2062928825--601b.fif\n")
    with pytest.raises(FileNotFoundError, match=r"epo-1.fif .*part 2\) is a placeholder.*datalad get"):
        things_meg.load(tmp_path, subject=1)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="part 2.* is empty"):
        things_meg.load(tmp_path, subject=1)
    path.write_bytes(b"<html>" + whole[6:])
    with pytest.raises(ValueError, match="epo-1.fif.* is no FIF file"):
        things_meg.load(tmp_path, subject=1)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"epochs of sub-BIGMEG1, part 2 is missing: .*epo-1.fif"):
        things_meg.load(tmp_path, subject=1)
    tree.path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"part 1 is missing: .*derivatives/preprocessed/preprocessed_P1-epo.fif"
    ):
        things_meg.load(tmp_path, subject=1)


def test_parts_of_different_recordings(tree, tmp_path):
    path = tree.path.with_name("preprocessed_P1-epo-1.fif")
    path.write_bytes(path.read_bytes().replace(b"MLC11-1609", b"MLC11-2908"))
    with pytest.raises(ValueError, match=r"its 2 further parts are no epochs that mne can read: .*ds004212"):
        things_meg.load(tmp_path, subject=1)


def test_a_tag_that_points_back(tree, tmp_path):
    with tree.path.open("r+b") as file:
        file.seek(12)
        file.write((4).to_bytes(4, "big"))
    with pytest.raises(ValueError, match="is damaged: the tag at byte 0"):
        things_meg.load(tmp_path, subject=1)


def test_files_of_another_subject(tmp_path, tree):
    os.rename(tree.path, tree.path.with_name("preprocessed_P2-epo.fif"))
    with pytest.raises(
        ValueError, match=r"goes on in preprocessed_P1-epo-1.fif, not in preprocessed_P2-epo-1.fif"
    ):
        things_meg.load(tmp_path, subject=2)
    # One that lies in a single file, and says whose it is.
    other = tmp_path / "other"
    save(other, tree, tree.trials, said="BIGMEG3")
    with pytest.raises(ValueError, match="is of BIGMEG3, not of sub-BIGMEG1"):
        things_meg.load(other, subject=1)
    # The table of another one.
    save(other, tree, tree.trials)
    table = other / "sourcedata/sample_attributes_P1.csv"
    table.parent.mkdir()
    trees.meg_trials(seed=2).to_csv(table)
    with pytest.raises(
        ValueError, match=r"P1-epo.fif and .*P1.csv differ: \d+ of 30 pictures, first in number \d+: '"
    ):
        things_meg.load(other, subject=1)
    trees.meg_trials(sessions=2).to_csv(table)
    with pytest.raises(ValueError, match="differ: 30 epochs against 20 trials"):
        things_meg.load(other, subject=1)
    # One that was not downloaded is not asked.
    table.write_bytes(b"")
    with pytest.raises(ValueError, match="sample_attributes_P1.csv .*is empty"):
        things_meg.load(other, subject=1)
    table.unlink()
    assert things_meg.load(other, subject=1).sizes["sample"] == 18


@pytest.mark.parametrize("subject", [0, 5])
def test_a_subject_that_does_not_exist(tmp_path, subject):
    for call in (things_meg.load, things_meg.raw, things_meg.inventory):
        with pytest.raises(ValueError, match=f"subject must be 1 to 4, got {subject}"):
            call(tmp_path, subject=subject)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trial_type": None}, r"lacks the column\(s\) 'trial_type'; it has 'image_nr'"),
        ({"image_path": None, "run_nr": None}, r"lacks the column\(s\) 'image_path', 'run_nr'"),
        ({"trial_type": "rest"}, "trials of the type 'rest'; known are 'exp', 'test', 'catch'"),
        ({"session_nr": 13}, "trials of the sessions 13; there are 1 to 12"),
        (
            {"session_nr": np.nan},
            "session_nr of the metadata .* is no whole number in 30 of 30 trials, first in number 1: None",
        ),
        ({"things_image_nr": 2.5}, r"things_image_nr of the metadata .* in \d+ of 30 trials, .*2.5"),
        ({"image_path": "images_meg/blowtorch.jpg"}, r"names no picture in 24 of 30 trials, .*'blowtorch'"),
        ({"image_path": np.nan}, "names no picture in 24 of 30 trials"),
        ({"trial_type": "catch"}, "has 30 trials, 30 of them catch trials .* none is left"),
    ],
)
def test_labels_that_are_not_as_published(tmp_path, written, change, message):
    planted = written[1]
    trials = planted.trials.assign(**{name: value for name, value in change.items() if value is not None})
    save(tmp_path, planted, trials.drop(columns=[name for name, value in change.items() if value is None]))
    with pytest.raises(ValueError, match=message):
        things_meg.load(tmp_path, subject=1)


def test_events_that_contradict_the_metadata(tmp_path, written):
    planted = written[1]
    shown = np.flatnonzero(planted.trials.trial_type != "catch")
    trials = planted.trials.copy()
    trials.loc[shown[3], "things_image_nr"] += 1
    save(tmp_path, planted, planted.trials, events=trials)
    with pytest.warns(UserWarning, match=rf"1 of 30 epochs .* first number {shown[3] + 1}: compare them"):
        things_meg.load(tmp_path, subject=1)


def test_other_channels_than_published(tmp_path, written):
    save(tmp_path, written[1], written[1].trials, channels=270)
    with pytest.raises(ValueError, match="270 MEG channels among 270, expected 271"):
        things_meg.load(tmp_path, subject=1)


def test_a_fif_file_of_something_else(tmp_path):
    folder = tmp_path / "derivatives/preprocessed"
    folder.mkdir(parents=True)
    raw = mne.io.RawArray(np.zeros((3, 100)), mne.create_info(3, 100.0), verbose="error")
    raw.save(folder / "preprocessed_P1-epo.fif", verbose="error")
    with pytest.raises(ValueError, match="holds no epochs of real numbers"):
        things_meg.load(tmp_path, subject=1)


def save(
    root: Path,
    planted: trees.MEGEpochs,
    trials: pd.DataFrame,
    *,
    events: pd.DataFrame | None = None,
    said: str | None = None,
    channels: int = 271,
) -> None:
    """Write short epochs with other labels."""
    path = root / "derivatives/preprocessed/preprocessed_P1-epo.fif"
    path.parent.mkdir(parents=True, exist_ok=True)
    info = mne.create_info(planted.channels[:channels], 200.0, "mag")
    if said:
        info["subject_info"] = {"his_id": said}
    code = (
        (planted.trials if events is None else events).things_image_nr.fillna(trees.CATCH_EVENT).astype(int)
    )
    table = np.stack([np.arange(len(trials)) * 400, np.zeros(len(trials), int), code], axis=1)
    values = planted.values[:, :channels, 20:]
    epochs = mne.EpochsArray(values, info, table, tmin=0.0, metadata=trials, verbose="error")
    epochs.save(path, overwrite=True, verbose="error")


# ---------------------------------------------------------------- recordings


def test_what_was_recorded_comes_back_at_the_events(tmp_path, recorded, reading):
    found = load_raw(tmp_path, band=None, rate=None, baseline=None, zero_shot=False)
    assert (found.chunks is not None) == (reading == "dask")
    assert found.attrs["units"] == "T"
    assert found.sizes["time"] == 1681
    np.testing.assert_allclose(found.time, np.arange(-120, 1561) / 1200, atol=1e-9)
    at = 0
    for (session, run), planted in recorded.items():
        for i, row in enumerate(planted.trials.itertuples()):
            if row.trial_type == "catch":
                continue
            sample = planted.onset[i]
            one = found[at]
            np.testing.assert_allclose(
                one, planted.values[:, sample - 120 : sample + 1561], rtol=1e-6, atol=1e-20
            )
            assert one["sample"].item() == f"sub-BIGMEG1_ses-{session:02d}_run-{run:02d}_t{i + 1:03d}"
            assert one.stimulus.item() == Path(row.image_path).stem
            assert one.concept.item() == Path(row.image_path).stem.rsplit("_", 1)[0]
            assert one.split.item() == ("test" if row.trial_type == "test" else "train")
            assert (one.session.item(), one.run.item()) == (f"ses-{session:02d}", f"run-{run:02d}")
            assert one.things_image_nr.item() == row.things_image_nr
            assert one.things_category_nr.item() == row.things_category_nr
            at += 1
    assert at == found.sizes["sample"] == 8
    assert trees.BROKEN_SENSOR not in found.channel.values
    assert set(found.kind.values) == {"mag"}
    places = np.stack([found.x, found.y, found.z], axis=1)
    np.testing.assert_allclose(places, trees.meg_places(found.channel.values), atol=1e-6)


@pytest.mark.parametrize("baseline", ["mean", "zscore"])
def test_steps_are_those_that_mne_does(tmp_path, recorded, baseline):
    found = load_raw(tmp_path, baseline=baseline, zero_shot=False, channels=FEW)
    np.testing.assert_allclose(found.time, np.arange(-20, 261) / 200, atol=1e-9)
    assert found.attrs["units"] == ("T" if baseline == "mean" else "SD of the baseline")
    expected = []
    for planted in recorded.values():
        raw = mne.io.read_raw_ctf(planted.path, preload=True, verbose="error")
        raw.filter(*BAND, picks=FEW, verbose="error")
        table = np.stack([planted.onset, planted.onset * 0, planted.onset * 0 + 1], axis=1)
        table = table[(planted.trials.trial_type != "catch").to_numpy()]
        epochs = mne.Epochs(raw, table, tmin=-0.1, tmax=1.3, baseline=None, preload=True, verbose="error")
        values = mne.baseline.rescale(
            epochs.get_data(picks=FEW), epochs.times, (None, 0), baseline, verbose="error"
        )
        expected.append(values[:, :, ::6])
    expected = np.concatenate(expected)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_sensor_that_is_flat_has_no_baseline_to_divide_by(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3000))
    values[1] = 3.0
    raw = mne.io.RawArray(values, mne.create_info(["a", "b"], 1200.0, "mag"), verbose="error")

    def cut(baseline: str) -> np.ndarray:
        recipe = runs.Recipe(None, (-0.1, 0.5), None, baseline)
        return runs.cut(raw, np.array([500]), np.arange(2), recipe, path=tmp_path)

    assert not cut("mean")[0, 1].any()
    with pytest.raises(ValueError, match="1 channels that are flat before the event at sample 500"):
        cut("zscore")


def test_only_some_channels_are_made(tmp_path, recorded):
    whole = load_raw(tmp_path)
    found = load_raw(tmp_path, channels=FEW)
    np.testing.assert_allclose(found, whole.sel(channel=FEW), atol=1e-19)
    assert found.channel.values.tolist() == FEW


def test_training_trials_of_test_concepts_of_these_runs_are_left_out(tmp_path, recorded):
    found = load_raw(tmp_path, channels=FEW)
    assert found.attrs["test_concepts_left_out"] == 2
    assert found.attrs["catch_left_out"] == 2
    whole = load_raw(tmp_path, channels=FEW, zero_shot=False)
    gone = set(whole["sample"].values) - set(found["sample"].values)
    assert sorted(whole.sel(sample=list(gone)).stimulus.values) == ["aircraft_carrier_01b", "bat1_01b"]
    np.testing.assert_array_equal(found, whole.sel(sample=found["sample"]))


def test_both_layouts_of_events_give_the_same(tmp_path, recorded):
    now = load_raw(tmp_path, channels=FEW).compute()
    for planted in recorded.values():
        trees.meg_events(planted.events, planted.trials, planted.onset, layout="before")
    xr.testing.assert_identical(load_raw(tmp_path, channels=FEW).compute(), now)
    # That layout names pictures itself.
    (tmp_path / "sourcedata/sample_attributes_P1.csv").unlink()
    found = load_raw(tmp_path, channels=FEW)
    xr.testing.assert_identical(found.compute(), now.drop_vars("things_category_nr"))
    planted = recorded[1, 1]
    trees.meg_events(planted.events, planted.trials[1:], planted.onset[1:], layout="before")
    with pytest.raises(
        ValueError, match=r"has 5 triggers of 64 in UPPT001, but .*run-01_events.tsv lists 4 events"
    ):
        load_raw(tmp_path, channels=FEW).compute()
    header = planted.path / f"{planted.path.stem}.res4"
    header.write_bytes(header.read_bytes().replace(b"UPPT001", b"UPPT002"))
    with pytest.raises(ValueError, match="run-01_meg.ds has no channel UPPT001, whose triggers tell"):
        load_raw(tmp_path, runs=[1], channels=FEW).compute()


def test_no_samples_are_read_before_they_are_needed(tmp_path, recorded, monkeypatch):
    pytest.importorskip("dask")
    cut = []
    real = runs.cut
    monkeypatch.setattr(runs, "cut", lambda *a, path, **k: cut.append(path) or real(*a, path=path, **k))
    found = load_raw(tmp_path)
    assert cut == []
    assert found.chunks[0] == tuple(np.unique(found.run, return_counts=True)[1])
    found[-1].compute()
    assert cut == [recorded[1, 2].path]


def test_a_run_that_would_not_fit(written, monkeypatch, memory_left):
    pytest.importorskip("dask")
    found = load_raw(written[0])

    memory_left(1000)
    with pytest.raises(
        MemoryError, match=r"reading sub-BIGMEG1_ses-01_task-main_run-01_meg.ds would .*fewer channels"
    ):
        found[0].compute()


def test_a_moment_without_signal_is_replaced_by_the_median(tmp_path, recorded, monkeypatch):
    planted = recorded[1, 2]
    second = (planted.onset[0] + 60) / 1200
    monkeypatch.setitem(runs.DROPOUTS, (1, 1, 2), second)
    found = load_raw(tmp_path, runs=[2], band=None, rate=None, baseline=None, zero_shot=False)
    shown = np.flatnonzero(planted.trials.trial_type != "catch")
    whole = planted.values.copy()
    whole[:, planted.onset[0] + 60 : planted.onset[0] + 300] = np.median(planted.values, axis=1)[:, None]
    for i, one in zip(shown, found.values, strict=True):
        at = planted.onset[i]
        np.testing.assert_allclose(one, whole[:, at - 120 : at + 1561], rtol=1e-6, atol=1e-20)
    assert runs.DROPOUTS[1, 11, 5] == 13.4
    assert runs.DROPOUTS[2, 10, 3] == 59.8


def test_sessions_and_runs_that_are_not_there(tmp_path, recorded):
    with pytest.raises(
        FileNotFoundError, match=r"session\(s\) 2, 3, .*12 of sub-BIGMEG1 are missing: .*ses-02/meg; name"
    ):
        things_meg.raw(tmp_path, subject=1)
    with pytest.raises(
        FileNotFoundError, match=r"session 1, run 3 of sub-BIGMEG1 is missing: .*run-03_meg.res4"
    ):
        things_meg.raw(tmp_path, subject=1, sessions=[1])
    with pytest.raises(ValueError, match=r"sessions must be different numbers from 1 to 12, got \[13\]"):
        load_raw(tmp_path, sessions=[13])
    with pytest.raises(ValueError, match=r"runs must be different numbers from 1 to 10, got \[1, 1\]"):
        load_raw(tmp_path, runs=[1, 1])
    recorded[1, 2].events.unlink()
    with pytest.raises(FileNotFoundError, match=r"events of session 1, run 2 of sub-BIGMEG1 is missing"):
        load_raw(tmp_path)
    assert load_raw(tmp_path, runs=[1]).sizes["sample"] > 0


def test_a_run_that_is_there_twice_or_under_another_name(tmp_path, recorded):
    first, second = recorded[1, 1], recorded[1, 2]
    shutil.copy(first.events, second.events)
    with pytest.raises(ValueError, match=r"run-02_events.tsv and .*run-01_events.tsv hold the same events"):
        load_raw(tmp_path)
    twice = first.path.with_name(first.path.name.replace("run-01", "run-1"))
    twice.mkdir()
    with pytest.raises(ValueError, match=r"run 1 is there twice in .*: .*run-01_meg.ds and .*run-1_meg.ds"):
        load_raw(tmp_path)
    twice.rmdir()
    os.rename(second.path, second.path.with_name(second.path.name.replace("BIGMEG1", "BIGMEG2")))
    with pytest.raises(
        ValueError, match="is of subject 2, session 1, but lies among those of subject 1, session 1"
    ):
        load_raw(tmp_path)


def test_a_recording_that_was_not_downloaded_wholly(tmp_path, recorded):
    folder = recorded[1, 2].path
    samples, header = (folder / f"{folder.stem}.{ending}" for ending in ("meg4", "res4"))
    whole = samples.read_bytes(), header.read_bytes()
    samples.write_bytes(whole[0][:-4])
    with pytest.raises(ValueError, match=r"run-02_meg.ds is damaged: .*not an even multiple"):
        load_raw(tmp_path)
    samples.write_bytes(b"/annex/objects/MD5E-s501120008--601b.meg4\n")
    with pytest.raises(FileNotFoundError, match=r"run-02_meg.meg4 \(session 1, run 2 .* is a placeholder"):
        load_raw(tmp_path)
    samples.write_bytes(whole[0])
    for share in (0.001, 0.02, 0.3, 0.9):
        header.write_bytes(whole[1][: int(share * len(whole[1]))])
        with pytest.raises(ValueError, match=r"run-02_meg.ds is damaged"):
            load_raw(tmp_path)


def test_recordings_of_different_rates(tmp_path, recorded):
    folder = recorded[1, 2].path
    header = folder / f"{folder.stem}.res4"
    content = bytearray(header.read_bytes())
    struct.pack_into(">d", content, 1296, 600.0)
    header.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"run-02_meg.ds and .*run-01_meg.ds differ in .* \(600 and 1200 Hz\)"
    ):
        load_raw(tmp_path)


def test_a_recording_without_a_sensor(tmp_path, recorded):
    folder = recorded[1, 1].path
    header = folder / f"{folder.stem}.res4"
    content = bytearray(header.read_bytes())
    # The thirteenth channel, MLC11, becomes an analogue one: behind the header and 300 names, 1,328 bytes a channel.
    struct.pack_into(">h", content, 1846 + 300 * 32 + 12 * 1328, 18)
    header.write_bytes(content)
    with pytest.raises(ValueError, match=r"270 MEG channels besides MRO11-1609 among 300, expected 271"):
        load_raw(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (0.0, 1.0)}, "'mean' is the window's time before onset, but the window is .0.0, 1.0."),
        ({"window": (1.0, 0.0)}, r"window must be \(first, last\)"),
        ({"baseline": "median"}, "unknown baseline 'median'; choose one of 'mean', 'zscore', None"),
        (
            {"band": None},
            "200 samples a second fold what lies above 100 Hz .*66.6667 Hz or less, got band=None",
        ),
        ({"band": (0.1, 100.0)}, "fold what lies above 100 Hz"),
        ({"rate": 250.0}, "rate must divide the 1200 samples a second of the recording, got 250"),
        ({"rate": 2400.0}, "rate must divide the 1200 samples"),
        ({"window": (-0.1, 3.0)}, r"windows of \d of \d events run beyond: they are at sample \d+"),
        ({"window": (-3.0, 1.0)}, r"windows of \d of \d events run beyond"),
        ({"channels": ["MRO11-1609"]}, "no channel 'MRO11-1609'"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, written, options, message):
    with pytest.raises(ValueError, match=message):
        load_raw(written[0], **options)


def test_a_filter_that_is_longer_than_the_run(written):
    found = load_raw(written[0], band=(0.1, 40.0), runs=[1])
    with pytest.raises(
        ValueError, match=r"lasts \d\.\d s, less than the filter of band=\(0.1, 40.0\) \(33.0 s\)"
    ):
        found.compute()


def test_tables_that_are_none(tmp_path, recorded):
    events, table = recorded[1, 1].events, tmp_path / "sourcedata/sample_attributes_P1.csv"
    text = events.read_text()
    events.write_bytes(b"trial_type\tvalue\tsample\nexp\t1\t\xff\n")
    with pytest.raises(
        ValueError, match=r"events.tsv \(events of .*\) is no table: .*; get it again from THINGS"
    ):
        load_raw(tmp_path)
    events.write_text(text)
    table.write_text("trial_type,image_path\nexp,a,b,c\nexp\n'\nexp,a,b,c,d,e\n")
    with pytest.raises(
        ValueError, match=r"sample_attributes_P1.csv is no table of trials: .*; get it again from TH"
    ):
        load_raw(tmp_path)


def test_events_that_are_not_as_published(tmp_path, recorded):
    path = recorded[1, 1].events
    table = pd.read_csv(path, sep="\t")

    def write(changed: pd.DataFrame) -> None:
        changed.to_csv(path, sep="\t", index=False)

    write(table.drop(columns="sample"))
    with pytest.raises(
        ValueError, match="has the columns 'onset', .*; expected are trial_type, value and sample, or"
    ):
        load_raw(tmp_path)
    write(table.assign(trial_type="rest"))
    with pytest.raises(ValueError, match="of the types 'rest'; known are 'exp', 'test', 'catch'"):
        load_raw(tmp_path)
    write(table[:0])
    with pytest.raises(ValueError, match="has 0 rows"):
        load_raw(tmp_path)
    write(table.assign(sample="n/a"))
    with pytest.raises(ValueError, match="sample of row 1 must be a number, got 'n/a'"):
        load_raw(tmp_path)
    write(table.assign(value=np.where(table.trial_type == "catch", table.value, 26_107)))
    with pytest.raises(
        ValueError, match=r"shows the pictures 26107, which .*sample_attributes_P1.csv does not name"
    ):
        load_raw(tmp_path)
    write(table)
    before = load_raw(tmp_path, channels=FEW).compute()
    write(table.assign(value=table.value.fillna(trees.CATCH_EVENT)))
    xr.testing.assert_identical(load_raw(tmp_path, channels=FEW).compute(), before)
    (tmp_path / "sourcedata/sample_attributes_P1.csv").unlink()
    with pytest.raises(FileNotFoundError, match="pictures of all trials of sub-BIGMEG1 is missing"):
        load_raw(tmp_path)


@pytest.mark.recording
def test_a_real_ctf_helmet_with_its_compensation(shared_data, tmp_path):
    """Sensors, references and compensation matrices as a CTF system of 275 channels wrote them."""
    real = mne.io.read_raw_fif(shared_data / "ctf_geometry/ctf_raw.fif", verbose="error")
    # Renamed to the sensors of this data set; two that are not in it are left out.
    real.drop_channels(["MLF25-2908", "MRF43-2908"])
    real.rename_channels({n: n.replace("-2908", "-1609") for n in real.ch_names}, verbose="error")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(real.ch_names), 6000)) * 1e-13
    raw = mne.io.RawArray(values, real.info, verbose="error")
    assert raw.compensation_grade == 3
    picks = runs.picks(raw, tmp_path)
    assert len(picks) == 271
    names, kinds, xyz = nd.brain.epochs.sensors(raw.info, picks)
    assert set(kinds) == {"mag"}
    assert xyz.shape == (271, 3)
    # The left of the helmet is at the left of the head, its occipital sensors at the back.
    x = dict(zip(names, xyz, strict=True))
    assert all(place[0] < 0.02 for name, place in x.items() if name.startswith("ML"))
    assert (
        np.mean([p[1] for n, p in x.items() if n[2] == "O"])
        < np.mean([p[1] for n, p in x.items() if n[2] == "F"]) - 0.1
    )
    recipe = runs.Recipe((1.0, 40.0), (-0.1, 1.3), 120.0, "mean")
    found = runs.cut(raw, np.array([700, 3000]), picks, recipe, path=tmp_path)
    raw.filter(1.0, 40.0, verbose="error")
    table = np.array([[700, 0, 1], [3000, 0, 1]])
    epochs = mne.Epochs(
        raw, table, tmin=-0.1, tmax=1.3, picks=picks, baseline=(None, 0), preload=True, verbose="error"
    )
    epochs.decimate(4, verbose="error")
    expected = epochs.get_data()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


# ---------------------------------------------------------------- inventory


def test_the_inventory_lists_the_parts_that_name_each_other(tree, tmp_path):
    found = things_meg.inventory(tmp_path, subject=1)
    assert [one.path.name for one in found] == [
        *("preprocessed_P1-epo.fif", "preprocessed_P1-epo-1.fif", "preprocessed_P1-epo-2.fif"),
        "sample_attributes_P1.csv",
    ]
    assert all(one.found for one in found)
    assert [one.needed for one in found] == [True, True, True, False]
    path = tree.path.with_name("preprocessed_P1-epo-2.fif")
    os.truncate(path, 1000)
    with pytest.raises(FileNotFoundError, match=r"part 3: .*epo-2.fif \(.*is truncated"):
        _inventory.require_all(things_meg.inventory(tmp_path, subject=1))
    path.unlink()
    missing = [one.path.name for one in things_meg.inventory(tmp_path, subject=1) if not one.found]
    assert missing == ["preprocessed_P1-epo-2.fif"]
    # Nothing says more of a subject that is not there than what is published.
    missing = [
        one.path.name for one in things_meg.inventory(tmp_path, subject=2) if one.needed and not one.found
    ]
    assert missing == [f"preprocessed_P2-epo{part}.fif" for part in ("", "-1", "-2", "-3")]


def test_the_inventory_of_recordings_lists_all_runs(tmp_path, recorded):
    found = things_meg.inventory(tmp_path, subject=1, kind="raw")
    assert len(found) == 12 * 10 * 3 + 1
    assert sum(one.found for one in found) == 2 * 3 + 1
    assert found[-1].needed
    for planted in recorded.values():
        trees.meg_events(planted.events, planted.trials, planted.onset, layout="before")
    assert not things_meg.inventory(tmp_path, subject=1, kind="raw")[-1].needed
    with pytest.raises(ValueError, match="unknown kind 'fif'; choose one of 'preprocessed', 'raw'"):
        things_meg.inventory(tmp_path, subject=1, kind="fif")


# ---------------------------------------------------------------- on to the analysis


def test_what_is_planted_is_decoded_where_and_when_it_is(tmp_path):
    sizes = {"concepts": 40, "tests": 20, "sessions": 2}
    names = trees.meg_stimuli(**sizes)
    signal = np.random.default_rng(0).normal(size=(len(names), 3))
    trees.things_meg(tmp_path, catch=1, parts=2, signal=signal, **sizes)
    features = nd.brain.features(signal, stimulus=names)
    epochs = things_meg.load(tmp_path, subject=1)

    def scores(sensors: tuple[str, ...]) -> xr.DataArray:
        chosen = epochs.sel(channel=[name for name in epochs.channel.values if name.startswith(sensors)])
        chosen = nd.brain.average_repeats(chosen.compute())
        return nd.temporal.sweep(
            chosen,
            features,
            nd.RidgeDecoder(100.0),
            train="train",
            test="test",
            width=0.1,
            step=0.1,
            score="profile",
        ).squeeze(drop=True)

    occipital, frontal = scores(trees.OCCIPITAL), scores(("MLF", "MRF", "MZF"))
    inside = (occipital.start < 0.201) & (occipital.stop > 0.099)
    assert occipital.values[inside].max() > 0.9
    assert np.abs(occipital.values[~inside]).max() < 0.5
    assert np.abs(frontal.values).max() < 0.5


def test_what_is_planted_in_recordings_is_where_it_is_said(tmp_path):
    names = trees.meg_stimuli()
    signal = np.random.default_rng(0).normal(size=(len(names), 2)) * 20
    trees.things_meg_raw(tmp_path, runs=1, signal=signal)
    found = load_raw(tmp_path, runs=[1], band=None, rate=None, channels=FEW, zero_shot=False)
    strength = np.abs(found.compute()).mean("sample")
    inside = (found.time > 0.0995) & (found.time < 0.2005)
    for channel in FEW:
        one = strength.sel(channel=channel)
        ratio = (one[inside].min() / one[~inside].max()).item()
        assert (ratio > 3) == (channel.startswith(trees.OCCIPITAL))


def test_what_is_loaded_goes_through_netcdf(written, tmp_path):
    found = things_meg.load(written[0], subject=1, channels=["MLC11-1609"])
    found.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataarray(tmp_path / "a.nc", engine="h5netcdf") as back:
        np.testing.assert_array_equal(back.values, found.values)
        assert back.attrs["test_concepts_left_out"] == 6


def test_prepare_takes_windows_that_begin_at_onset(written, tmp_path):
    said = ["prepare", "things-meg-raw", "--root", written[0], "--subject", 1, "--sessions", 1, "--runs", 1]
    said += [
        "--channels",
        *FEW,
        "--band",
        *BAND,
        "--window",
        0,
        0.3,
        "--baseline",
        "none",
        "--average",
        "none",
    ]
    said += ["--keep-test-concepts", "--out", tmp_path / "sub.zarr"]
    assert cli.main([str(word) for word in said]) == 0
    found = store.load(tmp_path / "sub.zarr")
    direct = things_meg.raw(
        written[0],
        subject=1,
        sessions=[1],
        runs=[1],
        channels=FEW,
        band=BAND,
        window=(0.0, 0.3),
        baseline=None,
        zero_shot=False,
    )
    np.testing.assert_array_equal(found.values, direct.values)
    assert found.attrs["units"] == "T"
