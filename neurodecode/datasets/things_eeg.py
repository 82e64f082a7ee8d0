"""THINGS-EEG2: EEG of ten subjects who saw 16,740 pictures of objects in rapid succession (Gifford et al. 2022).

Source: Gifford, Dwivedi, Roig & Cichy 2022, NeuroImage 264: 119754; OSF 3jk45 (pictures y63gw, preprocessed EEG anp5v),
licence CC BY 4.0. Nothing is downloaded. What the files hold, and who says so:

- ``sub-XX/preprocessed_eeg_training.npy`` and ``..._test.npy``: a dictionary of ``preprocessed_eeg_data`` (picture,
  repeat, channel, time), ``ch_names`` and ``times``; row i is picture i + 1 of ``image_metadata.npy``, repeats of four
  sessions lie side by side in an order that was shuffled once (save_prepr in the authors' repository
  gifale95/eeg_encoding, 02_eeg_preprocessing/preprocessing_utils.py). 17 channels at 100 Hz: 16,540 x 4 and 200 x 80.
- A copy with 63 channels at 250 Hz (folder ``Preprocessed_data_250Hz``, of the NICE project, eeyhsong/NICE-EEG) has the
  same names; its data were cut to the time from onset, while ``times`` still begins at -0.2 s.
- ``processed/sub-XX/preprocessed_eeg_training_sub-XX.npy`` (session, picture of the session, repeat, channel, time),
  ``img_conditions_training_sub-XX.npy`` (session, picture) with numbers from 1, ``meta_sub-XX.json`` with ``ch_names``
  and ``times``: made by the package things-eeg2-dataset, release 0.0.6. Plain arrays, read from disk as needed.
- ``image_metadata.npy``: ``train_img_concepts``, ``train_img_files``, ``test_img_concepts``, ``test_img_files``;
  concepts are numbered within training and test by themselves, so that "00002_abacus" of one and "00002_antelope" of
  the other differ (osf.io/y63gw, wiki). Here a concept is the name without its number.

The published files are whitened (multivariate noise normalisation). The authors' code averages the covariance of the
training and the test partition (mvnn in the same file): a leak, if a small one, that no loader can undo.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from .. import brain
from ..labels import listed, require_choice, require_memory
from ._electrodes import positions
from ._files import Source, listed_at, present
from ._pickled import read_dict
from ._repeats import seen_before

SOURCE = Source("THINGS-EEG2", "osf.io/3jk45")
# Occipital and parietal channels of the authors' analyses: names that begin with O or P.
POSTERIOR = (
    *("Pz", "P3", "P7", "O1", "Oz", "O2", "P4", "P8"),
    *("P1", "P5", "PO7", "PO3", "POz", "PO4", "PO8", "P6", "P2"),
)
PARTS = {"train": "training", "test": "test"}
FOLDERS = ("preprocessed_data", "Preprocessed_data", "Preprocessed_data_250Hz", "")
PICTURES = ("image_set", "Image_set", "images", "")
SUBJECTS = range(1, 11)
# Epochs that are copied at a time.
ROWS = 1024


def load(
    root: str | Path, *, subject: int, part: str = "train", channels: Sequence[str] | None = None
) -> xr.DataArray:
    """Load the preprocessed epochs of one subject.

    Parameters
    ----------
    root : path
        The dataset's folder: the preprocessed EEG and ``image_metadata.npy`` lie in it or in one of its usual folders.
    subject : 1 to 10
    part : {"train", "test"}
    channels : names, or None for all that the files hold
        :data:`POSTERIOR` are the 17 of the authors' analyses.

    Returns
    -------
    (sample, channel, time), float32, whitened
        With ``stimulus`` (the picture's file name without its ending), ``concept``, ``repeat``, ``split`` and
        ``subject``; ``session`` where the files still know it.

    Raises
    ------
    FileNotFoundError
        If a file is missing: its name, what it is, where it comes from.
    ValueError
        If a subject or channel does not exist, or a file is truncated or does not fit the others.
    """
    require_choice(part, tuple(PARTS), what="part")
    if subject not in SUBJECTS:
        raise ValueError(f"subject must be 1 to {SUBJECTS[-1]}, got {subject}")
    root = Path(root)
    found = _read(root, subject, part)
    stimulus, concept = pictures(root, part=part)
    if found.picture.max() > len(stimulus):
        raise ValueError(
            f"the {part} EEG of subject {subject} holds picture {found.picture.max()}, but image_metadata.npy names "
            f"only {len(stimulus)}; both must be of one release"
        )
    chosen = _channels(found.channels, channels)
    values = _taken(found.values, chosen)
    picture = found.picture - 1
    repeat = seen_before(picture)
    names = [found.channels[i] for i in chosen]
    array = brain.meeg(
        values,
        sample=[
            f"sub-{subject:02d}_{part}_{p + 1:05d}_{r:02d}" for p, r in zip(picture, repeat, strict=True)
        ],
        stimulus=stimulus[picture],
        channel=names,
        time=found.times,
        kind="eeg",
        xyz=positions(np.array(names)),
        subject=f"sub-{subject:02d}",
        session=found.session,
        repeat=repeat,
        split=part,
        units="whitened",
    )
    return array.assign_coords(concept=("sample", concept[picture]))


def pictures(root: str | Path, *, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Names of the pictures of one part, in the order of their numbers, and their concepts without numbers.

    Raises
    ------
    FileNotFoundError, ValueError
        If image_metadata.npy is missing, damaged, or its lists differ in length.
    """
    require_choice(part, tuple(PARTS), what="part")
    path = _first(Path(root), [f"{folder}/image_metadata.npy" for folder in PICTURES])
    names = (f"{part}_img_concepts", f"{part}_img_files")
    found = read_dict(path, names, what="the list of pictures", source=SOURCE)
    concepts, files = (np.asarray(found[name]).astype(str) for name in names)
    if concepts.shape != files.shape or concepts.ndim != 1:
        raise ValueError(
            f"{path} names {len(files)} {part} pictures but {len(concepts)} concepts; get it again from {SOURCE}"
        )
    return (
        np.array([file.rsplit(".", 1)[0] for file in files]),
        np.array([concept.split("_", 1)[-1] for concept in concepts]),
    )


@dataclass(frozen=True)
class _Found:
    """Epochs (sample, channel, time), the number of each one's picture from 1, and its session if it is known."""

    values: np.ndarray
    picture: np.ndarray
    session: np.ndarray | None
    channels: list[str]
    times: np.ndarray


def _read(root: Path, subject: int, part: str) -> _Found:
    who = f"sub-{subject:02d}"
    plain = root / f"processed/{who}/preprocessed_eeg_{PARTS[part]}_{who}.npy"
    if listed_at(plain):
        return _plain(plain, who, part)
    path = _first(root, [f"{folder}/{who}/preprocessed_eeg_{PARTS[part]}.npy" for folder in FOLDERS])
    names = ("preprocessed_eeg_data", "ch_names", "times")
    found = read_dict(path, names, what=f"the preprocessed {part} EEG of {who}", source=SOURCE)
    values, times = np.asarray(found["preprocessed_eeg_data"]), np.asarray(found["times"], dtype=float)
    channels = [str(name) for name in found["ch_names"]]
    if values.ndim != 4 or values.shape[2] != len(channels):
        raise ValueError(
            f"{path} holds data {values.shape} for {len(channels)} channels; expected (picture, repeat, channel, time)"
        )
    if len(times) > values.shape[3]:
        # The copy at 250 Hz lost what lies before onset, but not in its times.
        times = times[-values.shape[3] :] if times[-values.shape[3]] >= -1e-6 else times
    if len(times) != values.shape[3]:
        raise ValueError(f"{path} holds {values.shape[3]} time samples but {len(times)} times")
    count, repeats = values.shape[:2]
    return _Found(
        values.reshape(count * repeats, *values.shape[2:]),
        np.repeat(np.arange(1, count + 1), repeats),
        None,
        channels,
        times,
    )


def _plain(path: Path, who: str, part: str) -> _Found:
    """Read the arrays that things-eeg2-dataset writes: the epochs stay on disk until they are taken."""
    folder, label = path.parent, PARTS[part]
    values = _npy(path, f"the preprocessed {part} EEG of {who}", axes=5)
    conditions = _npy(folder / f"img_conditions_{label}_{who}.npy", f"the {part} pictures of {who}", axes=2)
    meta = present(folder / f"meta_{who}.json", what=f"channels and times of {who}", source=SOURCE)
    try:
        said = json.loads(meta.read_text())
        channels, times = [str(name) for name in said["ch_names"]], np.asarray(said["times"], dtype=float)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{meta} does not give ch_names and times: {error}") from error
    if values.shape[:2] != conditions.shape or values.shape[3:] != (len(channels), len(times)):
        raise ValueError(
            f"{path} {values.shape} does not fit {conditions.shape} pictures, {len(channels)} channels and "
            f"{len(times)} times beside it; process the subject again"
        )
    sessions, count, repeats = values.shape[:3]
    return _Found(
        values.reshape(-1, *values.shape[3:]),
        np.repeat(conditions.astype(int).ravel(), repeats),
        np.repeat([f"ses-{s + 1:02d}" for s in range(sessions)], count * repeats),
        channels,
        times,
    )


def _npy(path: Path, what: str, *, axes: int) -> np.ndarray:
    path = present(path, what=what, source=SOURCE)
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} ({what}) is truncated or of another kind: {error}") from error
    if found.ndim != axes:
        raise ValueError(f"{path} ({what}) has {found.ndim} axes, expected {axes}")
    return np.asarray(found) if axes < 3 else found


def _first(root: Path, names: list[str]) -> Path:
    """Return the first of these files that is there; else the first, so that the error names the usual place."""
    paths = [root / name.lstrip("/") for name in names]
    return next((path for path in paths if listed_at(path)), paths[0])


def _taken(values: np.ndarray, channels: list[int]) -> np.ndarray:
    """Take some channels of epochs (sample, channel, time), in float32; the epochs may lie on disk."""
    shape = len(values), len(channels), values.shape[2]
    require_memory(4 * int(np.prod(shape)), what=f"{shape[0]} epochs", remedy="take fewer channels")
    taken = np.empty(shape, np.float32)
    for first in range(0, len(values), ROWS):
        taken[first : first + ROWS] = values[first : first + ROWS, channels]
    return taken


def _channels(there: list[str], wanted: Sequence[str] | None) -> list[int]:
    if wanted is None:
        return list(range(len(there)))
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ValueError(f"the files hold no channel {listed(missing)}; they hold {listed(there)}")
    return [there.index(name) for name in wanted]
