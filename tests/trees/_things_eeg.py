"""THINGS-EEG2: pictures, preprocessed epochs of three origins, raw sessions."""

from __future__ import annotations

import json
import pickle
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
CONCEPTS = ("aardvark", "abacus", "accordion", "aircraft_carrier", "antelope")


def things_pictures(root: Path, *, each: int = 2, train: int = 3) -> dict[str, list[str]]:
    """image_metadata.npy of THINGS-EEG2: concepts are numbered within each part."""
    parts: dict[str, list[str]] = {}
    for part, names, count in (("train", CONCEPTS[:train], each), ("test", CONCEPTS[train:], 1)):
        numbered = [f"{i + 1:05d}_{name}" for i, name in enumerate(names) for _ in range(count)]
        parts[f"{part}_img_concepts"] = numbered
        parts[f"{part}_img_files"] = [f"{name}_{k + 1:02d}b.jpg" for name in names for k in range(count)]
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "image_metadata.npy", np.array(parts, dtype=object), allow_pickle=True)
    return parts


def things_eeg(root: Path, *, subject: int = 1, repeats: int = 4, times: int = 20) -> dict[str, np.ndarray]:
    """Preprocessed files as the authors publish them; value: 1000 picture + 100 repeat + channel + time / 1000."""
    things_pictures(root / "image_set")
    folder = root / f"preprocessed_data/sub-{subject:02d}"
    folder.mkdir(parents=True)
    data = {}
    for part, pictures, count in (("training", 6, repeats), ("test", 2, 3 * repeats)):
        values = _counted(pictures, count, len(POSTERIOR), times)
        seconds = np.arange(times) / 100 - 0.2
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
