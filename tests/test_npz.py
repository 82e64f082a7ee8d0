"""EEG in one .npz file: a good one comes back, and one with a fault is refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurodecode.datasets import eeg_n170

MUSE = ["TP9", "AF7", "AF8", "TP10"]


def content() -> dict[str, np.ndarray]:
    """Three trials of four electrodes, in microvolt."""
    return {
        "data": np.arange(60.0).reshape(3, 4, 5),
        "label": np.array([1, 2, 2]),
        "run": np.array([0, 0, 1]),
        "times": np.arange(5) / 10 - 0.1,
        "channels": np.array(MUSE),
    }


def write(path: Path, **changes: object) -> None:
    np.savez(path, **{**content(), **changes})


def test_trials_come_back_in_volts(tmp_path):
    write(tmp_path / "a.npz")
    found = eeg_n170.load(tmp_path / "a.npz")
    np.testing.assert_allclose(found.values, content()["data"] * 1e-6, rtol=1e-6)
    assert found.stimulus.values.tolist() == ["house", "face", "face"]
    assert found["sample"].values.tolist() == ["run-0-0000", "run-0-0001", "run-1-0002"]
    assert found.channel.values.tolist() == MUSE


FAULTS = {
    "a folder": (
        lambda path: path.mkdir(),
        IsADirectoryError,
        "a.npz is a folder; give the path of the .npz file in it",
    ),
    "no file": (lambda path: None, FileNotFoundError, "there is no file .*a.npz"),
    "no archive": (
        lambda path: path.write_bytes(b"<html>"),
        ValueError,
        r"a.npz \(6 bytes\) is no .npz file, or truncated; copy it again",
    ),
    "an axis too few": (
        lambda path: write(path, data=np.ones((3, 4))),
        ValueError,
        r"'data' in .*a.npz must have the axes \('trial', 'channel', 'time'\), got shape \(3, 4\)",
    ),
    "a label too few": (
        lambda path: write(path, label=np.array([1, 2])),
        ValueError,
        "a.npz is inconsistent: 'data' has 3 along 'trial' but 'label' has 2; copy it again",
    ),
    "a label of nothing": (
        lambda path: write(path, label=np.array([1, 2, 7])),
        ValueError,
        r"a.npz has unknown labels 7; known: {1: 'house', 2: 'face'}",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_with_one_fault(tmp_path, fault):
    spoil, error, words = FAULTS[fault]
    spoil(tmp_path / "a.npz")
    with pytest.raises(error, match=words):
        eeg_n170.load(tmp_path / "a.npz")
