"""THINGS-EEG2 in the layouts in which it is published: what was planted in the files comes back."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import neurodecode as nd
from neurodecode.datasets import _blocks, things_eeg
from neurodecode.datasets._pickled import read_dict
from neurodecode.datasets.things_eeg import preprocessed
from tests import trees


def test_published_epochs_come_back_with_their_pictures(tmp_path):
    planted = trees.things_eeg(tmp_path, subject=3)
    for part, label in (("train", "training"), ("test", "test")):
        found = things_eeg.load(tmp_path, subject=3, part=part)
        values = planted[label]
        assert found.sizes == {"sample": values.shape[0] * values.shape[1], "channel": 17, "time": 20}
        assert found.dtype == np.float32
        assert found.attrs["units"] == "whitened"
        np.testing.assert_allclose(found.time, np.arange(20) / 100 - 0.2)
        # The numbers say which picture, repeat, channel and time they belong to.
        one = found.sel(sample=f"sub-03_{part}_00002_02", channel="PO7")
        np.testing.assert_allclose(one, values[1, 2, trees.POSTERIOR.index("PO7")], rtol=1e-6)
        assert set(found.split.values) == {part}
        assert (found.groupby("stimulus").count().isel(channel=0, time=0) == values.shape[1]).all()
    assert one.stimulus.item() == "antelope_01b"
    assert one.concept.item() == "antelope"
    train = things_eeg.load(tmp_path, subject=3)
    assert train.stimulus.values[:8].tolist() == ["aardvark_01b"] * 4 + ["aardvark_02b"] * 4
    assert train.repeat.values[:5].tolist() == [0, 1, 2, 3, 0]
    # Concepts of training and test bear the same numbers, not the same names.
    assert not set(train.concept.values) & set(found.concept.values)


def test_channels_are_taken_in_the_order_asked_for(tmp_path):
    trees.things_eeg(tmp_path)
    whole = things_eeg.load(tmp_path, subject=1)
    found = things_eeg.load(tmp_path, subject=1, channels=["Oz", "Pz"])
    np.testing.assert_array_equal(found, whole.sel(channel=["Oz", "Pz"]))
    with pytest.raises(ValueError, match="no channel 'Fz'; there are"):
        things_eeg.load(tmp_path, subject=1, channels=["Oz", "Fz"])
    with pytest.raises(ValueError, match="channels names none of .*; name some, or leave it out for all"):
        things_eeg.load(tmp_path, subject=1, channels=[])


def test_a_bare_pickle_with_too_many_times_keeps_those_from_onset(tmp_path):
    values = trees.things_eeg_250(tmp_path)
    found = things_eeg.load(tmp_path, subject=1)
    np.testing.assert_allclose(found, values.reshape(24, 17, 250), rtol=1e-6)
    assert found.time.values[0] == pytest.approx(0, abs=1e-9)
    assert found.time.values[-1] == pytest.approx(0.996)


def test_sessions_kept_apart_come_back_with_their_own_pictures(tmp_path):
    values, conditions = trees.things_eeg_plain(tmp_path, subject=2)
    found = things_eeg.load(tmp_path, subject=2)
    names = [f"{name}_{k:02d}b" for name in trees.CONCEPTS[:3] for k in (1, 2)]
    for session, place, repeat in np.ndindex(values.shape[:3]):
        at = (session * 3 + place) * 2 + repeat
        np.testing.assert_allclose(found[at], values[session, place, repeat], rtol=1e-6)
        assert found.stimulus.values[at] == names[conditions[session, place] - 1]
        assert found.session.values[at] == f"ses-{session + 1:02d}"
    # Four trials of every picture, numbered through all sessions.
    assert sorted(found.repeat.values[found.stimulus == names[0]].tolist()) == [0, 1, 2, 3]


def test_epochs_go_on_to_a_sweep_that_leaves_out_whole_concepts(tmp_path):
    trees.things_eeg(tmp_path)
    train = things_eeg.load(tmp_path, subject=1)
    names = np.unique(train.stimulus)
    rng = np.random.default_rng(0)
    features = nd.brain.features(rng.normal(size=(len(names), 5)), stimulus=names)
    scores = nd.temporal.sweep(
        nd.brain.average_repeats(train),
        features,
        nd.RidgeDecoder(1.0),
        folds="concept",
        width=0.05,
        score="r2",
    )
    assert scores.sizes["fold"] == 3


def test_epochs_are_read_in_blocks_of_trials(tmp_path, monkeypatch):
    planted = trees.things_eeg(tmp_path)["training"]
    plain, conditions = trees.things_eeg_plain(tmp_path, subject=2)
    expected = {1: planted.reshape(24, 17, 20), 2: plain.reshape(24, 17, 31)}
    monkeypatch.setattr(preprocessed, "ROWS", 7)
    for subject, values in expected.items():
        found = things_eeg.load(tmp_path, subject=subject, channels=["Oz", "Pz", "O1"])
        if _blocks.has_dask():
            assert found.chunks[0] == (7, 7, 7, 3)
        rows = [trees.POSTERIOR.index(name) for name in ("Oz", "Pz", "O1")]
        np.testing.assert_allclose(found, values[:, rows], rtol=1e-6)
        with monkeypatch.context() as patch:
            patch.setattr(_blocks, "has_dask", lambda: False)
            np.testing.assert_array_equal(
                things_eeg.load(tmp_path, subject=subject, channels=["Oz", "Pz", "O1"]), found
            )


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_container_and_order_of_axes_gives_the_same_epochs(tmp_path, protocol, order):
    trees.things_eeg(tmp_path)
    values = np.random.default_rng(0).normal(size=(6, 15, 17, 100))
    content = {
        "preprocessed_eeg_data": np.asarray(values, order=order),
        "ch_names": trees.POSTERIOR,
        "times": np.arange(100) / 100 - 0.2,
    }
    path = tmp_path / "preprocessed_data/sub-01/preprocessed_eeg_training.npy"
    _write(path, content, protocol=protocol, bare=True)
    found = things_eeg.load(tmp_path, subject=1)
    np.testing.assert_allclose(found, values.reshape(90, 17, 100), rtol=1e-6)


def test_opening_takes_little_memory_and_a_trial_no_more_than_its_block(tmp_path, monkeypatch):
    trees.things_eeg(tmp_path, repeats=60, times=100)
    size = (tmp_path / "preprocessed_data/sub-01/preprocessed_eeg_training.npy").stat().st_size
    monkeypatch.setattr(preprocessed, "ROWS", 4)
    things_eeg.load(tmp_path, subject=1)[:1].compute()
    tracemalloc.start()
    try:
        things_eeg.load(tmp_path, subject=1)[:1].compute()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 4


def test_an_effect_is_planted_in_its_channels_and_times_alone(tmp_path):
    signal = np.random.default_rng(1).normal(size=(3 * 4 + 2, 2))
    trees.things_eeg(tmp_path, each=4, times=100, signal=signal)
    train = nd.brain.average_repeats(things_eeg.load(tmp_path, subject=1)).compute()
    design = np.column_stack([signal[:12], np.ones(12)])
    flat = train.values.reshape(12, -1)
    left = (flat - design @ np.linalg.lstsq(design, flat, rcond=None)[0]).var(axis=0).reshape(train.shape[1:])
    large = train.values.var(axis=0) > 1.5
    inside = (train.time.values >= 0.1 - 1e-9) & (train.time.values < 0.2 - 1e-9)
    planted = np.isin(train.channel.values, trees.PLANTED)[:, None] & inside
    np.testing.assert_array_equal(large & ~planted, False)
    assert (train.values.var(axis=0)[planted] > 4 * left[planted]).mean() > 0.9


@pytest.mark.parametrize("subject", [0, 11])
def test_a_subject_that_does_not_exist(tmp_path, subject):
    with pytest.raises(ValueError, match=f"subject must be 1 to 10, got {subject}"):
        things_eeg.load(tmp_path, subject=subject)


def test_a_missing_file_is_named_with_its_source(tmp_path):
    trees.things_eeg(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"the preprocessed train EEG of sub-02.*sub-02.*osf.io/3jk45"
    ):
        things_eeg.load(tmp_path, subject=2)
    (tmp_path / "image_set/image_metadata.npy").unlink()
    with pytest.raises(FileNotFoundError, match="the list of pictures is missing"):
        things_eeg.load(tmp_path, subject=1)


def test_files_that_were_not_downloaded_or_not_wholly(tmp_path):
    trees.things_eeg(tmp_path)
    path = tmp_path / "preprocessed_data/sub-01/preprocessed_eeg_training.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated, damaged or of another kind"):
        things_eeg.load(tmp_path, subject=1)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty: its download did not finish"):
        things_eeg.load(tmp_path, subject=1)
    path.write_bytes(b"/annex/objects/MD5E-s47068840--601b.npy\n")
    with pytest.raises(FileNotFoundError, match="is a placeholder.*datalad get"):
        things_eeg.load(tmp_path, subject=1)
    path.unlink()
    os.symlink("../../.git/annex/objects/XX/1w/MD5E-s4--6.npy/MD5E-s4--6.npy", path)
    with pytest.raises(FileNotFoundError, match="is a placeholder.*datalad get"):
        things_eeg.load(tmp_path, subject=1)


@pytest.mark.parametrize("number", [0.0, -2.0, 1.5, np.nan])
def test_a_number_that_is_no_picture_is_refused(tmp_path, number):
    """Counted from 1: 0 would be the last picture."""
    _, conditions = trees.things_eeg_plain(tmp_path)
    conditions = conditions.astype(float)
    conditions[1, 2] = number
    np.save(tmp_path / "processed/sub-01/img_conditions_training_sub-01.npy", conditions)
    with pytest.raises(
        ValueError, match=f"whole numbers from 1 on, but has 1 others among 12: {number}; process"
    ):
        things_eeg.load(tmp_path, subject=1)


def test_pictures_of_another_release(tmp_path):
    trees.things_eeg(tmp_path)
    trees.things_pictures(tmp_path / "image_set", each=1)
    with pytest.raises(ValueError, match="holds picture 6, but image_metadata.npy names only 3"):
        things_eeg.load(tmp_path, subject=1)


def _with(path, **changes):
    """The same dictionary with other values."""
    content = np.load(path, allow_pickle=True).item()  # of our own making
    np.save(path, np.array({**content, **changes}, dtype=object), allow_pickle=True)


PATH = "preprocessed_data/sub-01/preprocessed_eeg_training.npy"
FAULTS = {
    "epochs of three axes": (
        lambda root: _with(root / PATH, preprocessed_eeg_data=np.ones((6, 17, 20))),
        r"training.npy holds data \(6, 17, 20\) for 17 channels; expected \(picture, repeat, channel, time\)",
    ),
    "a time too few": (
        lambda root: _with(root / PATH, times=np.arange(19) / 100),
        "training.npy holds 20 time samples but 19 times; get the file again",
    ),
    "a picture without a concept": (
        lambda root: _with(root / "image_set/image_metadata.npy", train_img_concepts=["00001_aardvark"]),
        "image_metadata.npy names 6 train pictures but 1 concepts; get it again from",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_with_one_fault(tmp_path, fault):
    spoil, words = FAULTS[fault]
    trees.things_eeg(tmp_path)
    spoil(tmp_path)
    with pytest.raises(ValueError, match=words):
        things_eeg.load(tmp_path, subject=1)


def test_plain_arrays_that_do_not_fit_together(tmp_path):
    values, conditions = trees.things_eeg_plain(tmp_path)
    folder = tmp_path / "processed/sub-01"
    np.save(folder / "img_conditions_training_sub-01.npy", conditions[:3])
    message = (
        r"training_sub-01.npy \(4, 3, 2, 17, 31\) does not fit \(3, 3\) pictures, 17 channels and 31 times"
    )
    with pytest.raises(ValueError, match=message):
        things_eeg.load(tmp_path, subject=1)
    np.save(folder / "preprocessed_eeg_training_sub-01.npy", values[0])
    with pytest.raises(ValueError, match=r"\(the preprocessed train EEG of sub-01\) has 4 axes, expected 5"):
        things_eeg.load(tmp_path, subject=1)


# ---------------------------------------------------------------- pickles


class Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("bare", [True, False])
def test_a_pickle_that_would_run_code_is_refused_before_it_does(tmp_path, protocol, bare):
    content = {"data": np.arange(3), "other": Harm(tmp_path / "harm")}
    _write(tmp_path / "a.npy", content, protocol=protocol, bare=bare)
    with pytest.raises(ValueError, match=r"refers to (_?io|builtins)\.open, which is no array"):
        read_dict(tmp_path / "a.npy", ("data",), what="data", source=things_eeg.SOURCE)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("bare", [True, False])
def test_arrays_texts_and_lists_come_back_from_every_protocol(tmp_path, protocol, bare):
    content = {
        "data": np.random.default_rng(0).normal(size=(3, 4)),
        "whole": np.arange(4, dtype=">i2"),
        "names": ["Oz", "Pz"],
        "texts": np.array(["a", "bc"]),
        "objects": np.array(["x", None], dtype=object),
        "number": np.float64(2.5),
        "bytes": b"\xff\x00",
    }
    _write(tmp_path / "a.npy", content, protocol=protocol, bare=bare)
    found = read_dict(tmp_path / "a.npy", tuple(content), what="data", source=things_eeg.SOURCE)
    for name, value in content.items():
        np.testing.assert_array_equal(found[name], value)
    with pytest.raises(ValueError, match="lacks 'more'; it holds 'data'"):
        read_dict(tmp_path / "a.npy", ("more",), what="data", source=things_eeg.SOURCE)


def test_an_array_is_no_dictionary(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    with pytest.raises(ValueError, match="not a dictionary"):
        read_dict(tmp_path / "a.npy", ("data",), what="data", source=things_eeg.SOURCE)


def _write(path: Path, content: dict[str, object], *, protocol: int, bare: bool) -> None:
    with path.open("wb") as file:
        if not bare:
            np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
            pickle.dump(np.array(content, dtype=object), file, protocol=protocol)
        else:
            pickle.dump(content, file, protocol=protocol)
