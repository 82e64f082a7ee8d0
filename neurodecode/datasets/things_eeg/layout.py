"""Where the files lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...labels import listed
from .._files import Source, listed_at

SOURCE = Source("THINGS-EEG2", "osf.io/3jk45")
# Occipital and parietal channels of the authors' analyses: names that begin with O or P.
POSTERIOR = (
    *("Pz", "P3", "P7", "O1", "Oz", "O2", "P4", "P8"),
    *("P1", "P5", "PO7", "PO3", "POz", "PO4", "PO8", "P6", "P2"),
)
PARTS = {"train": "training", "test": "test"}
SUBJECTS = range(1, 11)
SESSIONS = 4
PREPROCESSED = ("preprocessed_data", "Preprocessed_data", "Preprocessed_data_250Hz", "")
PICTURES = ("image_set", "Image_set", "images", "")
RAW = ("raw_data", "")
BRAINVISION = ("source_data", "raw_data_original")
TRAINING_FILES = range(1, 6)


def who(subject: int) -> str:
    """Name of a subject's folder.

    Raises
    ------
    ValueError
        If there is no such subject.
    """
    if subject not in SUBJECTS:
        raise ValueError(f"subject must be 1 to {SUBJECTS[-1]}, got {subject}")
    return f"sub-{subject:02d}"


def first_there(root: Path, names: Sequence[str]) -> Path:
    """Return the first of these files that is there; else the first, so that the error names the usual place."""
    paths = [root / name.lstrip("/") for name in names]
    return next((path for path in paths if listed_at(path)), paths[0])


def metadata(root: Path) -> Path:
    """The list of pictures."""
    return first_there(root, [f"{folder}/image_metadata.npy" for folder in PICTURES])


def plain(root: Path, name: str, part: str) -> tuple[Path, Path, Path]:
    """Epochs, pictures, and channels with times, as things-eeg2-dataset writes them."""
    folder, label = root / f"processed/{name}", PARTS[part]
    return (
        folder / f"preprocessed_eeg_{label}_{name}.npy",
        folder / f"img_conditions_{label}_{name}.npy",
        folder / f"meta_{name}.json",
    )


def preprocessed(root: Path, name: str, part: str) -> Path:
    """The authors' epochs, or the copy at 250 Hz."""
    return first_there(
        root, [f"{folder}/{name}/preprocessed_eeg_{PARTS[part]}.npy" for folder in PREPROCESSED]
    )


def recordings(root: Path, name: str) -> tuple[Path, bool]:
    """The folder of a subject's sessions, and whether BrainVision files lie in it instead of arrays."""
    for folders, brainvision in ((RAW, False), (BRAINVISION, True)):
        for folder in folders:
            if _sessions(root / folder / name):
                return root / folder / name, brainvision
    return root / RAW[0] / name, False


def _sessions(folder: Path) -> list[int]:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [int(m[1]) for name in names if (m := re.fullmatch(r"ses-(\d{2})", name))]


def sessions(folder: Path, wanted: Sequence[int] | None) -> list[int]:
    """Numbers of the sessions that are wanted, increasing; None: of all that are there.

    Raises
    ------
    FileNotFoundError
        If there is none, one that is wanted is missing, or one before the last.
    ValueError
        If a number is wanted twice, or beyond the four.
    """
    there = _sessions(folder)
    numbers = list(there if wanted is None else wanted)
    beyond = [n for n in numbers if not 1 <= n <= SESSIONS]
    if beyond:
        raise ValueError(f"sessions are 1 to {SESSIONS}, got {listed(beyond)} for {folder}; leave those out")
    if len(set(numbers)) < len(numbers) or (wanted is not None and not numbers):
        raise ValueError(f"sessions must be one or more different numbers, got {numbers}")
    needed = range(1, max(numbers, default=1) + 1) if wanted is None else numbers
    missing = [f"ses-{n:02d}" for n in needed if n not in there]
    if missing:
        raise FileNotFoundError(
            f"{listed(missing)} missing in {folder}, which holds {listed([f'ses-{n:02d}' for n in there]) or 'none'}; "
            f"sessions=[...] loads some alone; they are part of {SOURCE}"
        )
    return sorted(numbers)


def raw_array(folder: Path, session: int, part: str) -> Path:
    """A session's recording of one part, as one array."""
    return folder / f"ses-{session:02d}/raw_eeg_{PARTS[part]}.npy"


def brainvision(folder: Path, name: str, session: int, part: str) -> list[tuple[Path, Path]]:
    """Headers of a session's recordings of one part, in order, and the lists of pictures that go with them."""
    there = folder / f"ses-{session:02d}"
    begin = f"{name}_ses-{session:02d}_task-{part}"
    stems = [f"{begin}_part-{n:02d}" for n in TRAINING_FILES] if part == "train" else [begin]
    return [(there / f"eeg/{stem}_eeg.vhdr", there / f"beh/{stem}_beh.mat") for stem in stems]
