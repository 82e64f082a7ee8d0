"""THINGS-EEG2's raw sessions: epochs equal those that mne makes of whole recordings, with the labels of the trials."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.io import loadmat, savemat

import neurodecode as nd
from neurodecode import cli, store
from neurodecode.datasets import _blocks, things_eeg
from neurodecode.datasets._inventory import report
from neurodecode.datasets.things_eeg import epochs as blockwise
from tests import trees

FEW = ["Fp1", "O1", "Oz", "PO7", "Pz"]
# Short filters, so that recordings are longer than they.
QUICK = {"band": (2.0, 40.0), "rate": 100.0}


def _of_mne(
    one: trees.Recorded, channels: list[str], *, band, window=(-0.2, 0.8), baseline=(-0.2, 0), rate=100.0
) -> tuple[np.ndarray, np.ndarray]:
    """The whole recording filtered, then cut, baselined and resampled; and which trials were whole."""
    raw = mne.io.RawArray(one.volts, mne.create_info(channels, 1000.0, "eeg"), verbose="error")
    if band is not None:
        raw.filter(*band, verbose="error")
    events = np.stack([one.onset, np.zeros_like(one.onset), one.number], axis=1)
    events = events[one.number != trees.TARGET]
    made = mne.Epochs(
        raw, events, tmin=window[0], tmax=window[1], baseline=baseline, preload=True, verbose="error"
    )
    if rate != 1000:
        made.resample(rate, verbose="error")
    return made.get_data(verbose="error"), made.selection


@pytest.mark.parametrize("events", [1, 3, 256])
@pytest.mark.parametrize(
    "options",
    [
        {"band": (0.1, 100.0)},  # longer than the recording
        {"band": (2.0, 40.0)},
        {"band": (1.0, None), "rate": 250.0},
        {"band": (None, 30.0), "rate": 1000.0, "baseline": None},
        {"band": None, "rate": 250.0, "window": (-0.1, 0.45), "baseline": (None, 0)},
    ],
)
def test_blocks_of_any_size_equal_filtering_the_whole(tmp_path, monkeypatch, options, events):
    monkeypatch.setattr(blockwise, "EVENTS", events)
    recorded = trees.things_eeg_raw(tmp_path, channels=FEW, sessions=1, lead=0.3, showings=(4, 6))
    found = things_eeg.raw(tmp_path, subject=1, most=None, **options)
    whole, taken = [], []
    for one in recorded:
        values, selection = _of_mne(one, FEW, **options)
        whole.append(values)
        taken.append(one.number[one.number != trees.TARGET][selection])
    expected = np.concatenate(whole)
    assert found.shape == expected.shape
    if _blocks.has_dask():
        assert max(found.chunks[0]) <= events
    assert found.dtype == np.float32
    # Against the signal's own size: offsets of up to 60 microvolt were filtered away or kept.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert found.attrs["dropped_edges"] == sum(
        (one.number != trees.TARGET).sum() - len(values) for one, values in zip(recorded, whole, strict=True)
    )


def test_a_long_recording_in_spans_equals_the_whole(tmp_path, monkeypatch):
    """Longer than the default filter, with a pause between trials, so that blocks lie apart."""
    recorded = trees.things_eeg_raw(tmp_path, channels=FEW[:2], sessions=1, lead=18, each=1)[0]
    late = recorded.onset[-1] + 17_000
    onset, number = np.append(recorded.onset, late), np.append(recorded.number, 1)
    trees.things_eeg_array(recorded.path, recorded.volts, FEW[:2], 1000, onset, number)
    monkeypatch.setattr(blockwise, "SPAN", 10)
    found = things_eeg.raw(tmp_path, subject=1, most=None)
    train = found[found.split.values == "train"]
    one = trees.Recorded(1, "train", recorded.path, recorded.volts, onset, number)
    expected, _ = _of_mne(one, FEW[:2], band=(0.1, 100.0))
    np.testing.assert_allclose(train, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    if _blocks.has_dask():
        assert found.chunks[0][:2] == (len(expected) - 1, 1)


def test_labels_follow_the_trials(tmp_path):
    recorded = trees.things_eeg_raw(tmp_path, subject=4)
    found = things_eeg.raw(tmp_path, subject=4, channels=["PO7", "Fp1"], most=None, **QUICK)
    assert found.attrs["units"] == "V"
    assert found.attrs["subject"] == "sub-04"
    assert found.channel.values.tolist() == ["PO7", "Fp1"]
    np.testing.assert_allclose(found.time, np.arange(100) / 100 - 0.2)
    names = {part: things_eeg.pictures(tmp_path, part=part) for part in ("train", "test")}
    at = 0
    seen: dict[tuple[str, str], int] = {}
    for one in recorded:
        stimulus, concept = names[one.part]
        for place, number in enumerate(one.number[one.number != trees.TARGET], start=1):
            trial = found[at]
            assert trial.stimulus.item() == stimulus[number - 1]
            assert trial.concept.item() == concept[number - 1]
            assert trial.session.item() == f"ses-{one.session:02d}"
            assert trial.split.item() == one.part
            assert trial.sample.item() == f"sub-04_ses-{one.session:02d}_{one.part}_{place:05d}"
            assert trial.repeat.item() == seen.get((one.part, stimulus[number - 1]), 0)
            seen[one.part, stimulus[number - 1]] = trial.repeat.item() + 1
            at += 1
        assert (one.number == trees.TARGET).any()
    assert at == len(found)
    assert found.attrs["dropped_targets"] == sum((one.number == trees.TARGET).sum() for one in recorded)
    # Sessions by themselves give their own trials.
    second = things_eeg.raw(tmp_path, subject=4, sessions=[2], channels=["PO7", "Fp1"], most=None, **QUICK)
    np.testing.assert_array_equal(second, found[found.session.values == "ses-02"])
    assert second.sample.values.tolist() == found.sample.values[found.session.values == "ses-02"].tolist()


def test_the_first_showings_of_a_session_are_kept(tmp_path):
    trees.things_eeg_raw(tmp_path, channels=FEW, showings=(3, 21), extra=1)
    every = things_eeg.raw(tmp_path, subject=1, most=None, band=None)
    found = things_eeg.raw(tmp_path, subject=1, band=None)
    train = found[found.split.values == "train"]
    assert np.unique(train.stimulus, return_counts=True)[1].tolist() == [2] * 6
    # Test pictures are in both sessions, training pictures in one.
    test = found[found.split.values == "test"]
    assert np.unique(test.stimulus, return_counts=True)[1].tolist() == [40, 40]
    assert test.repeat.values.max() == 39
    assert found.attrs["dropped_repeats"] == len(every) - len(found)
    kept = set(found.sample.values)
    count: dict[tuple[str, str, str], int] = {}
    for one in every:
        key = one.session.item(), one.split.item(), one.stimulus.item()
        count[key] = count.get(key, 0) + 1
        assert (one.sample.item() in kept) == (count[key] <= {"train": 2, "test": 20}[one.split.item()])
    few = things_eeg.raw(tmp_path, subject=1, band=None, most={"train": 1, "test": 4})
    assert few.sizes["sample"] == 6 + 2 * 2 * 4


def test_epochs_across_the_ends_of_a_recording_are_dropped_and_counted(tmp_path):
    recorded = trees.things_eeg_raw(tmp_path, channels=FEW, sessions=1, lead=0.2)
    found = things_eeg.raw(tmp_path, subject=1, band=None, most=None)
    # The first begins with the recording; it ends 0.2 s after the last onset, as three epochs do not.
    assert f"sub-01_ses-01_train_{1:05d}" in found.sample.values
    late = [((one.onset + 801 > one.volts.shape[1]) & (one.number != trees.TARGET)).sum() for one in recorded]
    assert found.attrs["dropped_edges"] == sum(late) > 2
    early = things_eeg.raw(tmp_path, subject=1, band=None, most=None, window=(-0.201, 0.1))
    assert early.attrs["dropped_edges"] == sum(one.number[0] != trees.TARGET for one in recorded)
    with pytest.raises(ValueError, match="no trial is left.*do not lie wholly in their recording"):
        things_eeg.raw(tmp_path, subject=1, band=None, window=(-9, 9))


def test_source_files_give_the_same_trials(tmp_path):
    recorded = trees.things_eeg_raw(tmp_path, channels=FEW, brainvision=True, showings=(4, 4))
    # A marker that is no trigger, as amplifiers write them.
    markers = recorded[0].path.with_suffix(".vmrk")
    markers.write_text(markers.read_text().replace("Mk2=", "Mk2=SyncStatus,Sync On,500,1,0\nMk3=", 1))
    found = things_eeg.raw(tmp_path, subject=1, most=None, **QUICK)
    expected = np.concatenate([_of_mne(one, FEW, **QUICK)[0] for one in recorded])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    shown = np.concatenate([one.number[one.number != trees.TARGET] for one in recorded])
    names = {part: things_eeg.pictures(tmp_path, part=part)[0] for part in ("train", "test")}
    assert [names[p][n - 1] for p, n in zip(found.split.values, shown, strict=True)] == list(
        found.stimulus.values
    )
    # Trials are counted through the five files of a session.
    first = found[(found.session.values == "ses-01") & (found.split.values == "train")]
    assert first.run.values.tolist() == sorted(first.run.values)
    assert set(first.run.values) == {1, 2, 3, 4, 5}
    assert first.sample.values.tolist() == [f"sub-01_ses-01_train_{i + 1:05d}" for i in range(len(first))]
    few = things_eeg.raw(tmp_path, subject=1, band=None)
    assert (np.unique(few.stimulus[few.split.values == "train"], return_counts=True)[1] == 2).all()


def test_without_dask_all_is_made_at_once(tmp_path, monkeypatch):
    trees.things_eeg_raw(tmp_path, channels=FEW)
    lazy = things_eeg.raw(tmp_path, subject=1, **QUICK)
    monkeypatch.setattr(_blocks, "has_dask", lambda: False)
    found = things_eeg.raw(tmp_path, subject=1, **QUICK)
    assert isinstance(found.data, np.ndarray)
    np.testing.assert_array_equal(lazy, found)


def test_memory_does_not_grow_with_the_recording(tmp_path):
    channels = trees.CHANNELS[:10]
    trees.things_eeg_raw(tmp_path, channels=channels, sessions=1, lead=60)
    size = (tmp_path / "raw_data/sub-01/ses-01/raw_eeg_training.npy").stat().st_size
    assert size > 10e6
    things_eeg.raw(tmp_path, subject=1, **QUICK)[:1].compute()
    tracemalloc.start()
    try:
        found = things_eeg.raw(tmp_path, subject=1, **QUICK)
        found[:1].compute()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 2


def test_a_planted_effect_is_found_where_it_was_planted(tmp_path):
    signal = np.random.default_rng(1).normal(size=(3 * 8 + 2, 2))
    trees.things_eeg_raw(tmp_path, each=8, channels=FEW, signal=signal, showings=(4, 4))
    found = things_eeg.raw(tmp_path, subject=1, most=None, band=(1.0, 100.0))
    train = found[found.split.values == "train"].compute()
    names = {name: i for i, name in enumerate(things_eeg.pictures(tmp_path, part="train")[0])}
    shown = signal[[names[name] for name in train.stimulus.values]]
    design = np.column_stack([shown, np.ones(len(shown))])
    fit = design @ np.linalg.lstsq(design, train.values.reshape(len(shown), -1), rcond=None)[0]
    explained = (fit.reshape(train.shape).var(axis=0) / train.values.var(axis=0)).T
    inside = (train.time.values > 0.11) & (train.time.values < 0.19)
    outside = (train.time.values < 0.05) | (train.time.values > 0.25)
    planted = [FEW.index(name) for name in trees.PLANTED if name in FEW]
    others = [i for i in range(len(FEW)) if i not in planted]
    assert explained[inside][:, planted].max(axis=0).min() > 0.5
    assert explained[:, others].max() < 0.25
    assert explained[outside].max() < 0.25


def test_whitening_is_fitted_on_training_trials_of_each_session(tmp_path):
    trees.things_eeg_raw(tmp_path, channels=FEW, showings=(6, 6))
    found = things_eeg.raw(tmp_path, subject=1, **QUICK)
    mvnn = nd.prepare.MVNN(by="session").fit(found[found.split.values == "train"])
    white = mvnn.transform(found)
    assert white.shape == found.shape
    assert white.attrs["units"] == "noise standard deviations"
    assert mvnn.whitener_.sizes["group"] == 2


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subject": 11}, "subject must be 1 to 10, got 11"),
        ({"sessions": [5]}, "sessions are 1 to 4, got 5"),
        ({"sessions": [2, 2]}, r"one or more different numbers, got \[2, 2\]"),
        ({"sessions": []}, r"one or more different numbers, got \[\]"),
        ({"channels": ["Oz", "Fz"]}, "no channel 'Fz'; there are 'Fp1', 'O1'"),
        ({"channels": ["stim"]}, "no channel 'stim'"),
        ({"window": (0.5, 0.1)}, r"earlier to a later time in s, got \(0.5, 0.1\)"),
        ({"band": (100, 0.1)}, r"band must be \(lowest, highest\)"),
        ({"band": (None, None)}, "band must be"),
        ({"band": (1.0, 500.0)}, "band ends at 500 Hz, but .* holds only what is below 500 Hz"),
        ({"baseline": (-0.3, 0)}, r"baseline \(-0.3, 0\) must lie in the window \(-0.2, 0.8\)"),
        ({"rate": 0}, "rate must be a sampling rate"),
        ({"rate": 2000}, "rate must be at most 1000 Hz"),
        ({"most": {"train": 2}}, "most must give 'train' and 'test'"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, message):
    trees.things_eeg_raw(tmp_path, channels=FEW)
    with pytest.raises(ValueError, match=message):
        things_eeg.raw(tmp_path, **({"subject": 1} | options))


# ---------------------------------------------------------------- files


def test_missing_sessions_and_parts(tmp_path):
    trees.things_pictures(tmp_path / "image_set")
    with pytest.raises(FileNotFoundError, match=r"'ses-01' missing in .*raw_data/sub-01, which holds none"):
        things_eeg.raw(tmp_path, subject=1)
    trees.things_eeg_raw(tmp_path, channels=FEW, sessions=3)
    folder = tmp_path / "raw_data/sub-01"
    with pytest.raises(FileNotFoundError, match="'ses-04' missing.*holds 'ses-01', 'ses-02', 'ses-03'"):
        things_eeg.raw(tmp_path, subject=1, sessions=[1, 4])
    (folder / "ses-02/raw_eeg_test.npy").unlink()
    with pytest.raises(FileNotFoundError, match="raw test EEG of sub-01, session 2 is missing.*osf.io/3jk45"):
        things_eeg.raw(tmp_path, subject=1)
    shutil.rmtree(folder / "ses-02")
    with pytest.raises(FileNotFoundError, match="'ses-02' missing.*loads some alone"):
        things_eeg.raw(tmp_path, subject=1)
    assert set(things_eeg.raw(tmp_path, subject=1, sessions=[3, 1], band=None).session.values) == {
        "ses-01",
        "ses-03",
    }
    (folder / "ses-05").mkdir()
    with pytest.raises(ValueError, match="sessions are 1 to 4, got 5"):
        things_eeg.raw(tmp_path, subject=1)


def test_a_truncated_recording(tmp_path):
    one = trees.things_eeg_raw(tmp_path, channels=FEW)[0]
    content = one.path.read_bytes()
    one.path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="raw train EEG of sub-01, session 1.*truncated"):
        things_eeg.raw(tmp_path, subject=1)


def test_files_under_the_wrong_name(tmp_path):
    trees.things_eeg_raw(tmp_path, channels=FEW, showings=(20, 20))
    first, second = (tmp_path / f"raw_data/sub-01/ses-{n:02d}" for n in (1, 2))
    kept = (second / "raw_eeg_training.npy").read_bytes()
    shutil.copy(first / "raw_eeg_training.npy", second / "raw_eeg_training.npy")
    with pytest.raises(
        ValueError, match=r"ses-02/raw_eeg_training.*holds the same trials as .*ses-01.*a copy"
    ):
        things_eeg.raw(tmp_path, subject=1)
    shutil.copy(first / "raw_eeg_training.npy", first / "raw_eeg_test.npy")
    (second / "raw_eeg_training.npy").write_bytes(kept)
    with pytest.raises(ValueError, match="shows pictures 5, 6 in .* names 2 test pictures.*another part"):
        things_eeg.raw(tmp_path, subject=1)


def test_recordings_that_do_not_fit_each_other_or_themselves(tmp_path):
    recorded = trees.things_eeg_raw(tmp_path, channels=FEW)
    one = recorded[2]

    def written(volts=one.volts, channels=FEW, sfreq=1000, onset=one.onset, number=one.number):
        trees.things_eeg_array(one.path, volts, channels, sfreq, onset, number)

    def refused(message):
        with pytest.raises(ValueError, match=message):
            things_eeg.raw(tmp_path, subject=1, band=None)

    written(channels=["Cz", *FEW[1:]])
    refused("ses-02/.* 5 channels and .*ses-01/.* 5, which differ in 'Cz', 'Fp1'")
    written(sfreq=500)
    refused("sampled at 500 Hz, but .* at 1000 Hz")
    written(sfreq=0)
    refused("gives the sfreq 0.0")
    written(volts=one.volts[1:])
    refused(r"holds data \(5, \d+\) for 6 ch_names and 6 ch_types")
    written(number=one.number + 0.5)
    refused("stim channel of .* that are no number of a picture: .*.5")
    written(onset=one.onset[:0], number=one.number[:0])
    refused("shows no picture")
    # In another order they are the same channels.
    written(volts=one.volts[::-1], channels=FEW[::-1])
    turned = things_eeg.raw(tmp_path, subject=1, band=None).values
    written()
    np.testing.assert_array_equal(turned, things_eeg.raw(tmp_path, subject=1, band=None).values)


def test_the_trigger_channel_is_known_by_its_type(tmp_path):
    one = trees.things_eeg_raw(tmp_path, channels=FEW, sessions=1)[0]
    before = things_eeg.raw(tmp_path, subject=1, band=None)
    content = np.load(one.path, allow_pickle=True).item()  # of our own making
    order = [5, 0, 1, 2, 3, 4]
    content["raw_eeg_data"] = content["raw_eeg_data"][order]
    content["ch_names"] = ["STI 014", *FEW]
    content["ch_types"] = ["stim"] + ["eeg"] * 5
    np.save(one.path, np.array(content, dtype=object))
    found = things_eeg.raw(tmp_path, subject=1, band=None)
    np.testing.assert_array_equal(found, before)
    content["ch_types"] = ["eeg"] * 6
    np.save(one.path, np.array(content, dtype=object))
    with pytest.raises(ValueError, match="one of 'stim'"):
        things_eeg.raw(tmp_path, subject=1, band=None)


def test_a_trigger_that_is_held_counts_once(tmp_path):
    one = trees.things_eeg_raw(tmp_path, channels=FEW, sessions=1)[0]
    before = things_eeg.raw(tmp_path, subject=1, band=None)
    held = (one.onset[:, None] + np.arange(5)).ravel()
    trees.things_eeg_array(one.path, one.volts, FEW, 1000, held, np.repeat(one.number, 5))
    np.testing.assert_array_equal(things_eeg.raw(tmp_path, subject=1, band=None), before)


def test_source_files_that_do_not_fit_their_lists(tmp_path):
    recorded = trees.things_eeg_raw(tmp_path, channels=FEW, brainvision=True, showings=(6, 6), sessions=1)
    header = recorded[1].path
    markers = header.with_suffix(".vmrk")
    text = markers.read_text()
    markers.write_text(text[: text.rindex("Mk")])
    with pytest.raises(ValueError, match=r"holds \d+ triggers, but .*part-02_beh.mat lists \d+ pictures"):
        things_eeg.raw(tmp_path, subject=1)
    markers.write_text(text)
    voltages = header.with_suffix(".eeg")
    content = voltages.read_bytes()
    voltages.write_bytes(content[: 10 * 1500])
    with pytest.raises(ValueError, match=r"triggers, but .* lists"):
        things_eeg.raw(tmp_path, subject=1)
    voltages.unlink()
    with pytest.raises(ValueError, match="cannot be read as a BrainVision recording"):
        things_eeg.raw(tmp_path, subject=1)
    voltages.write_bytes(content)
    beh = Path(str(header).replace("/eeg/", "/beh/").replace("_eeg.vhdr", "_beh.mat"))
    data = loadmat(beh)["data"]
    data[0, 0]["images"].ravel()[0]["tot_img_number"][...] = -1
    savemat(beh, {"data": data})
    with pytest.raises(
        ValueError, match="must number pictures from 1, .* has 1 below among .*: -1; get it again"
    ):
        things_eeg.raw(tmp_path, subject=1)
    beh.unlink()
    with pytest.raises(
        FileNotFoundError, match="the list of pictures of the raw train EEG.*file 2 is missing"
    ):
        things_eeg.raw(tmp_path, subject=1)


def test_a_list_of_pictures_without_numbers(tmp_path):
    trees.things_eeg_raw(tmp_path, channels=FEW, brainvision=True, showings=(6, 6), sessions=1)
    path = next((tmp_path / "source_data").rglob("*train*part-01_beh.mat"))
    savemat(path, {"data": {"subject": 1.0}})
    with pytest.raises(
        ValueError, match=r"part-01_beh.mat .* has no data.images.tot_img_number: .*; get it again"
    ):
        things_eeg.raw(tmp_path, subject=1)


# ---------------------------------------------------------------- inventory


def test_what_is_there_of_the_raw_sessions(tmp_path):
    trees.things_eeg_raw(tmp_path, channels=FEW, sessions=2)
    missing = tmp_path / "raw_data/sub-01/ses-01/raw_eeg_test.npy"
    missing.unlink()
    found = things_eeg.inventory(tmp_path, subject=1, kind="raw")
    assert len(found) == 1 + 4 * 2
    assert [one.path for one in found if one.needed and not one.found] == [missing]
    assert [one.what for one in found if not one.needed] == [
        f"the raw {part} EEG of sub-01, session {n}" for n in (3, 4) for part in ("train", "test")
    ]
    assert "MISSING  the raw test EEG of sub-01, session 1" in report(found)
    with pytest.raises(ValueError, match="kind"):
        things_eeg.inventory(tmp_path, subject=1, kind="pictures")


def test_what_is_there_of_the_source_files(tmp_path):
    trees.things_eeg_raw(tmp_path, channels=FEW, sessions=1, brainvision=True)
    found = things_eeg.inventory(tmp_path, subject=1, kind="raw")
    assert sum(one.needed for one in found) == 1 + 6 * 4
    assert all(one.found == one.needed for one in found)


def test_what_is_there_of_the_preprocessed_files(tmp_path):
    trees.things_eeg(tmp_path / "a")
    found = things_eeg.inventory(tmp_path / "a", subject=1)
    assert [one.path.name for one in found if one.found] == [
        "image_metadata.npy",
        "preprocessed_eeg_training.npy",
        "preprocessed_eeg_test.npy",
    ]
    found = things_eeg.inventory(tmp_path / "a", subject=2)
    assert [one.found for one in found] == [True, False, False]
    trees.things_eeg_plain(tmp_path / "b")
    found = things_eeg.inventory(tmp_path / "b", subject=1)
    assert sum(one.found for one in found) == 4


def test_prepare_takes_the_baseline_of_a_short_window(tmp_path, capsys):
    trees.things_eeg_raw(tmp_path / "EEG", concepts=(8, 6), each=2)
    said = ["prepare", "things-eeg", "--root", str(tmp_path / "EEG"), "--subject", "1", "--channels", "Oz"]
    short = ["--window", "-0.1", "0.4", "--baseline", "-0.1", "0", "--out", str(tmp_path / "sub.zarr")]
    assert cli.main([*said, *short, "--normalise", "none"]) == 0
    found = store.load(tmp_path / "sub.zarr")
    assert found.attrs["baseline"] == [-0.1, 0.0]
    assert found.time.values[[0, -1]].tolist() == pytest.approx([-0.1, 0.39])
