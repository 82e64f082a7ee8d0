"""THINGS-EEG2: pictures, preprocessed epochs of three origins, raw sessions.

An effect is planted by ``signal`` (stimulus, feature), training pictures first, then test pictures: it is mixed
linearly into the channels ``PLANTED`` from 0.1 to 0.2 s after onset, and nowhere else.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

POSTERIOR = [
    "Pz",
    "P3",
    "P7",
    "O1",
    "Oz",
    "O2",
    "P4",
    "P8",
    "P1",
    "P5",
    "PO7",
    "PO3",
    "POz",
    "PO4",
    "PO8",
    "P6",
    "P2",
]
# In the order of nemarDatasets/nm000232, electrodes.tsv; that it is the order of recording is presumed.
CHANNELS = [
    "Fp1",
    "F3",
    "F7",
    "FT9",
    "FC5",
    "FC1",
    "C3",
    "T7",
    "TP9",
    "CP5",
    "CP1",
    "Pz",
    "P3",
    "P7",
    "O1",
    "Oz",
    "O2",
    "P4",
    "P8",
    "TP10",
    "CP6",
    "CP2",
    "Cz",
    "C4",
    "T8",
    "FT10",
    "FC6",
    "FC2",
    "F4",
    "F8",
    "Fp2",
    "AF7",
    "AF3",
    "AFz",
    "F1",
    "F5",
    "FT7",
    "FC3",
    "FCz",
    "C1",
    "C5",
    "TP7",
    "CP3",
    "P1",
    "P5",
    "PO7",
    "PO3",
    "POz",
    "PO4",
    "PO8",
    "P6",
    "P2",
    "CPz",
    "CP4",
    "TP8",
    "C6",
    "C2",
    "FC4",
    "FT8",
    "F6",
    "F2",
    "AF4",
    "AF8",
]
PLANTED = ("O1", "Oz", "PO7")
TARGET = 99999
CONCEPTS = ("aardvark", "abacus", "accordion", "aircraft_carrier", "antelope")


def things_concepts(count: int) -> list[str]:
    """Names of concepts, as many as are wanted."""
    return [*CONCEPTS, *(f"thing_{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(count))][:count]


def things_pictures(root: Path, *, each: int = 2, train: int = 3, test: int = 2) -> dict[str, list[str]]:
    """image_metadata.npy of THINGS-EEG2: concepts are numbered within each part."""
    concepts = things_concepts(train + test)
    parts: dict[str, list[str]] = {}
    for part, names, count in (("train", concepts[:train], each), ("test", concepts[train:], 1)):
        numbered = [f"{i + 1:05d}_{name}" for i, name in enumerate(names) for _ in range(count)]
        parts[f"{part}_img_concepts"] = numbered
        parts[f"{part}_img_files"] = [f"{name}_{k + 1:02d}b.jpg" for name in names for k in range(count)]
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "image_metadata.npy", np.array(parts, dtype=object), allow_pickle=True)
    return parts


def things_eeg(
    root: Path,
    *,
    subject: int = 1,
    repeats: int = 4,
    times: int = 20,
    each: int = 2,
    concepts: tuple[int, int] = (3, 2),
    signal: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Preprocessed files as the authors publish them; value: 1000 picture + 100 repeat + channel + time / 1000.

    With ``signal`` (pictures of training, then of test) they hold noise of SD 1 and the effect; take times=100.
    """
    train, test = concepts[0] * each, concepts[1]
    things_pictures(root / "image_set", each=each, train=concepts[0], test=test)
    folder = root / f"preprocessed_data/sub-{subject:02d}"
    folder.mkdir(parents=True)
    data = {}
    for part, pictures, count in (("training", train, repeats), ("test", test, 3 * repeats)):
        values = _counted(pictures, count, len(POSTERIOR), times)
        seconds = np.arange(times) / 100 - 0.2
        if signal is not None:
            begin = 0 if part == "training" else train
            values = _planted(signal[begin : begin + pictures], values.shape, POSTERIOR, seconds)
        _save_dict(folder / f"preprocessed_eeg_{part}.npy", values, POSTERIOR, seconds)
        data[part] = values
    return data


def things_eeg_250(root: Path, *, subject: int = 1) -> np.ndarray:
    """The copy at 250 Hz: a bare pickle under the name of an array, with more times than samples."""
    things_pictures(root / "image_set")
    folder = root / f"Preprocessed_data_250Hz/sub-{subject:02d}"
    folder.mkdir(parents=True)
    values = _counted(6, 4, len(POSTERIOR), 250)
    content = {
        "preprocessed_eeg_data": values,
        "ch_names": POSTERIOR,
        "times": np.arange(300) / 250 - 0.2,
    }
    with (folder / "preprocessed_eeg_training.npy").open("wb") as file:
        pickle.dump(content, file, protocol=4)
    return values


def things_eeg_plain(root: Path, *, subject: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """What things-eeg2-dataset 0.0.6 writes: sessions apart, half of the pictures in each."""
    things_pictures(root / "Image_set")
    who = f"sub-{subject:02d}"
    folder = root / f"processed/{who}"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    conditions = np.stack([rng.permutation(np.arange(1, 7))[:3] for _ in range(4)])
    conditions[1], conditions[3] = (
        np.setdiff1d(np.arange(1, 7), conditions[0]),
        np.setdiff1d(np.arange(1, 7), conditions[2]),
    )
    values = rng.normal(size=(4, 3, 2, len(POSTERIOR), 31))
    np.save(folder / f"preprocessed_eeg_training_{who}.npy", values)
    np.save(folder / f"img_conditions_training_{who}.npy", conditions)
    said = {"ch_names": POSTERIOR, "times": (np.arange(31) / 25 - 0.2).tolist()}
    (folder / f"meta_{who}.json").write_text(json.dumps(said))
    return values, conditions


def _counted(pictures: int, repeats: int, channels: int, times: int) -> np.ndarray:
    axes = np.ogrid[:pictures, :repeats, :channels, :times]
    return 1000.0 * axes[0] + 100 * axes[1] + axes[2] + axes[3] / 1000


def _save_dict(path: Path, values: np.ndarray, channels: Any, times: np.ndarray) -> None:
    content = {"preprocessed_eeg_data": values, "ch_names": list(channels), "times": times}
    np.save(path, np.array(content, dtype=object), allow_pickle=True)


def _planted(
    signal: np.ndarray, shape: tuple[int, ...], channels: list[str], times: np.ndarray
) -> np.ndarray:
    """Noise (picture, repeat, channel, time) of SD 1, with the signal (picture, feature) on top."""
    values = np.random.default_rng(len(signal)).normal(size=shape)
    values[:, :, [channels.index(name) for name in PLANTED]] += (
        _mixed(signal)[:, None, :, None] * (times >= 0.1 - 1e-9) * (times < 0.2 - 1e-9)
    )
    return values


def _mixed(signal: np.ndarray) -> np.ndarray:
    """(picture, planted channel), 2 for features of 1; every builder mixes alike."""
    mixing = np.random.default_rng(3).normal(size=(signal.shape[1], len(PLANTED)))
    return 2 * signal @ (mixing / np.linalg.norm(mixing, axis=0))


# ---------------------------------------------------------------- raw sessions


@dataclass(frozen=True)
class Recorded:
    """One file of a session: volts (channel, sample), and onset sample and number of every picture and target."""

    session: int
    part: str
    path: Path
    volts: np.ndarray
    onset: np.ndarray
    number: np.ndarray


def things_eeg_raw(
    root: Path,
    *,
    subject: int = 1,
    sessions: int = 2,
    each: int = 2,
    concepts: tuple[int, int] = (3, 2),
    showings: tuple[int, int] = (2, 3),
    extra: int = 1,
    channels: list[str] = CHANNELS,
    sfreq: int = 1000,
    lead: float = 1.0,
    signal: np.ndarray | None = None,
    brainvision: bool = False,
) -> list[Recorded]:
    """Raw sessions: training pictures of every other concept in each one, all test pictures in all, every 0.2 s.

    Pictures are shown ``showings`` (training, test) times a session, the first ``extra`` of them once more; every
    seventh trial or so is a target. ``lead``: seconds before the first onset and after the last. ``signal``
    (pictures of training, then of test) is planted at 20 microvolt, noise is 10. ``brainvision``: the source files,
    training in five. ``concepts``: of training, with ``each`` pictures, and of test, with one.
    """
    things_pictures(root / "image_set", each=each, train=concepts[0], test=concepts[1])
    who, train, test = f"sub-{subject:02d}", concepts[0] * each, concepts[1]
    rng = np.random.default_rng(subject)
    response = np.zeros((train + test, len(PLANTED))) if signal is None else 2e-5 * _mixed(signal)
    found = []
    for session in range(1, sessions + 1):
        concept = np.arange(train) // each
        half = np.flatnonzero(concept % 2 == (session - 1) % 2) + 1
        for part, pictures, times, begin in (
            ("train", half, showings[0], 0),
            ("test", np.arange(1, test + 1), showings[1], train),
        ):
            order = rng.permutation(np.concatenate([np.repeat(pictures, times), pictures[:extra]]))
            parts = np.array_split(order, 5) if brainvision and part == "train" else [order]
            for run, shown in enumerate(parts, start=1):
                number = np.insert(shown, np.arange(len(shown))[3::6], TARGET)
                onset = round(lead * sfreq) + np.arange(len(number)) * round(0.2 * sfreq)
                volts = _noise(rng, len(channels), onset[-1] + round(lead * sfreq) + 1, sfreq)
                _show(volts, channels, onset, number, response[begin:], sfreq)
                if brainvision:
                    stem = f"{who}_ses-{session:02d}_task-{part}" + (
                        f"_part-{run:02d}" if part == "train" else ""
                    )
                    path = root / f"source_data/{who}/ses-{session:02d}/eeg/{stem}_eeg.vhdr"
                    volts = things_eeg_brainvision(path, volts, channels, sfreq, onset, number)
                else:
                    name = {"train": "training"}.get(part, part)
                    path = root / f"raw_data/{who}/ses-{session:02d}/raw_eeg_{name}.npy"
                    things_eeg_array(path, volts, channels, sfreq, onset, number)
                found.append(Recorded(session, part, path, volts, onset, number))
    return found


def things_eeg_array(
    path: Path, volts: np.ndarray, channels: list[str], sfreq: int, onset: np.ndarray, number: np.ndarray
) -> None:
    """raw_eeg_training.npy or raw_eeg_test.npy, with the stim channel last."""
    stim = np.zeros((1, volts.shape[1]))
    stim[0, onset] = number
    content = {
        "raw_eeg_data": np.concatenate([volts, stim]),
        "ch_names": [*channels, "stim"],
        "ch_types": ["eeg"] * len(channels) + ["stim"],
        "sfreq": sfreq,
        "highpass": 0.01,
        "lowpass": 100,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(content, dtype=object), allow_pickle=True)


def things_eeg_brainvision(
    path: Path, volts: np.ndarray, channels: list[str], sfreq: int, onset: np.ndarray, number: np.ndarray
) -> np.ndarray:
    """Header, markers and samples of 0.1 microvolt, and the list of pictures; returns the volts as they are stored."""
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    steps = np.rint(volts / 1e-7).astype("<i2")
    steps.T.tofile(path.with_suffix(".eeg"))
    rows = "\n".join(f"Ch{i}={name},,0.1,\u00b5V" for i, name in enumerate(channels, start=1))
    path.write_text(
        f"Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\nMarkerFile={path.stem}.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(channels)}\nSamplingInterval={1e6 / sfreq:g}\n\n[Binary Infos]\n"
        f"BinaryFormat=INT_16\n\n[Channel Infos]\n{rows}\n",
        encoding="utf-8",
    )
    # Triggers name the first two digits of a picture's number, and targets by 255.
    codes = [255 if n == TARGET else int(str(n)[:2]) for n in number]
    marks = "\n".join(
        f"Mk{i}=Stimulus,S{code:>3},{at + 1},1,0"
        for i, (code, at) in enumerate(zip(codes, onset, strict=True), start=2)
    )
    path.with_suffix(".vmrk").write_text(
        f"Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\n\n[Marker Infos]\nMk1=New Segment,,1,1,0,20200101120000000000\n{marks}\n",
        encoding="utf-8",
    )
    images = np.zeros((1, len(number)), dtype=[("img_type", object), ("tot_img_number", object)])
    for i, n in enumerate(number):
        images[0, i] = ("target", 0.0) if n == TARGET else ("training", float(n))
    beh = path.parents[1] / f"beh/{path.stem.removesuffix('_eeg')}_beh.mat"
    beh.parent.mkdir(exist_ok=True)
    savemat(beh, {"data": {"subject": 1.0, "session": 1.0, "images": images}})
    return steps * 1e-7


def _noise(rng: np.random.Generator, channels: int, samples: int, sfreq: int) -> np.ndarray:
    """White noise of 10 microvolt on a slow drift and an offset that no two channels share."""
    rows = np.arange(1, channels + 1)[:, None]
    drift = 2e-4 * np.sin(2 * np.pi * 0.03 * np.arange(samples) / sfreq + rows)
    return rng.normal(scale=1e-5, size=(channels, samples)) + drift + 1e-5 * rows


def _show(
    volts: np.ndarray,
    channels: list[str],
    onset: np.ndarray,
    number: np.ndarray,
    response: np.ndarray,
    sfreq: int,
) -> None:
    rows = [channels.index(name) for name in PLANTED if name in channels]
    bump = np.hanning(round(0.1 * sfreq))
    for at, shown in zip(onset + round(0.1 * sfreq), number, strict=True):
        if shown != TARGET:
            volts[rows, at : at + len(bump)] += response[shown - 1, : len(rows), None] * bump
