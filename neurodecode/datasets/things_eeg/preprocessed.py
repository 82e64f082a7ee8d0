"""Epochs that others have preprocessed: the authors', the copy at 250 Hz, and those of things-eeg2-dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import brain
from ...checks import as_numbers
from ...labels import listed, require_choice
from .._blocks import rows
from .._electrodes import positions
from .._files import listed_at, present
from .._pickled import read_dict
from .._repeats import seen_before
from .._sensors import rows_of
from .._stored import Held, Stored, stored
from .layout import PARTS, SOURCE, plain, preprocessed, who
from .names import pictures

# Epochs that are read at a time.
ROWS = 1024


def load(
    root: str | Path, *, subject: int, part: str = "train", channels: Sequence[str] | None = None
) -> xr.DataArray:
    """Load the preprocessed epochs of one subject.

    With dask (the extra ``scale``) they are lazy, about a thousand trials a chunk; without it they are read at once.
    Either way a file of a pickle protocol from 3 on, or of plain arrays, stays on disk until its trials are needed.

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
        If a subject or channel does not exist, a file is truncated or does not fit the others, or pictures are not
        numbered from 1.
    MemoryError
        If the epochs do not fit and dask is not there.
    """
    require_choice(part, tuple(PARTS), what="part")
    root, name = Path(root), who(subject)
    found = _read(root, name, part)
    stimulus, concept = pictures(root, part=part)
    if found.picture.max() > len(stimulus):
        raise ValueError(
            f"the {part} EEG of subject {subject} holds picture {found.picture.max()}, but image_metadata.npy names "
            f"only {len(stimulus)}; both must be of one release"
        )
    chosen = rows_of(found.channels, channels)
    picture = found.picture - 1
    repeat = seen_before(picture)
    names = [found.channels[i] for i in chosen]
    array = brain.meeg(
        _lazily(found, chosen),
        sample=[f"{name}_{part}_{p + 1:05d}_{r:02d}" for p, r in zip(picture, repeat, strict=True)],
        stimulus=stimulus[picture],
        channel=names,
        time=found.times,
        kind="eeg",
        xyz=_placed(names, root),
        subject=name,
        session=found.session,
        repeat=repeat,
        split=part,
        units="whitened",
    )
    return array.assign_coords(concept=("sample", concept[picture]))


def _placed(names: list[str], root: Path) -> np.ndarray:
    try:
        return positions(np.array(names))
    except ValueError as error:
        raise ValueError(f"the channels that the files in {root} name: {error}") from error


@dataclass(frozen=True)
class _Found:
    """Epochs (..., channel, time), and of each trial the number of its picture from 1, and its session if known."""

    values: Stored | Held
    shape: tuple[int, ...]
    picture: np.ndarray
    session: np.ndarray | None
    channels: list[str]
    times: np.ndarray


def _read(root: Path, name: str, part: str) -> _Found:
    if listed_at(plain(root, name, part)[0]):
        return _plain(root, name, part)
    path = preprocessed(root, name, part)
    names = ("preprocessed_eeg_data", "ch_names", "times")
    found = read_dict(path, names, what=f"the preprocessed {part} EEG of {name}", source=SOURCE)
    values, times = np.asanyarray(found["preprocessed_eeg_data"]), np.asarray(found["times"], dtype=float)
    channels = [str(name) for name in found["ch_names"]]
    if values.ndim != 4 or values.shape[2] != len(channels):
        raise ValueError(
            f"{path} holds data {values.shape} for {len(channels)} channels; expected (picture, repeat, channel, time)"
        )
    if len(times) > values.shape[3]:
        # The copy at 250 Hz lost what lies before onset, but not in its times.
        times = times[-values.shape[3] :] if times[-values.shape[3]] >= -1e-6 else times
    if len(times) != values.shape[3]:
        raise ValueError(
            f"{path} holds {values.shape[3]} time samples but {len(times)} times; get the file again"
        )
    count, repeats = values.shape[:2]
    return _Found(
        stored(values),
        values.shape,
        np.repeat(np.arange(1, count + 1), repeats),
        None,
        channels,
        times,
    )


def _plain(root: Path, name: str, part: str) -> _Found:
    """Read the arrays that things-eeg2-dataset writes."""
    path, beside, meta = plain(root, name, part)
    values = _npy(path, f"the preprocessed {part} EEG of {name}", axes=5)
    what = f"the {part} pictures of {name}"
    conditions = as_numbers(
        _npy(beside, what, axes=2), what=f"{beside} ({what})", remedy="process the subject again"
    )
    wrong = conditions[~((conditions >= 1) & (conditions == np.floor(conditions)))]
    if wrong.size:
        raise ValueError(
            f"{beside} ({what}) must hold whole numbers from 1 on, but has {wrong.size} others among "
            f"{conditions.size}: {listed(np.unique(wrong))}; process the subject again"
        )
    meta = present(meta, what=f"channels and times of {name}", source=SOURCE)
    try:
        said = json.loads(meta.read_text())
        channels, times = [str(name) for name in said["ch_names"]], np.asarray(said["times"], dtype=float)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{meta} does not give ch_names and times: {error}") from error
    steps = np.diff(times)
    if not np.isfinite(times).all() or (steps.size and not np.ptp(steps) <= 0.01 * steps.mean()):
        raise ValueError(f"{meta} gives times that do not increase evenly; process the subject again")
    if values.shape[:2] != conditions.shape or values.shape[3:] != (len(channels), len(times)):
        raise ValueError(
            f"{path} {values.shape} does not fit {conditions.shape} pictures, {len(channels)} channels and "
            f"{len(times)} times beside it; process the subject again"
        )
    sessions, count, repeats = values.shape[:3]
    return _Found(
        stored(values),
        values.shape,
        np.repeat(conditions.astype(int).ravel(), repeats),
        np.repeat([f"ses-{s + 1:02d}" for s in range(sessions)], count * repeats),
        channels,
        times,
    )


def _npy(path: Path, what: str, *, axes: int) -> np.ndarray:
    path = present(path, what=what, source=SOURCE)
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # NumPy's reader of headers reports damage without order
        raise ValueError(f"{path} ({what}) is truncated or of another kind: {error}") from error
    if found.ndim != axes:
        raise ValueError(f"{path} ({what}) has {found.ndim} axes, expected {axes}")
    return found


def _lazily(found: _Found, channels: list[int]) -> Any:
    trials = len(found.picture)
    starts = range(0, trials, ROWS)
    calls = [(found.values, found.shape, first, min(first + ROWS, trials), channels) for first in starts]
    return rows(
        _taken,
        calls,
        [last - first for _, _, first, last, _ in calls],
        (len(channels), found.shape[-1]),
        what=f"{trials} epochs",
        remedy="take fewer channels",
    )


def _taken(
    values: Stored | Held, shape: tuple[int, ...], first: int, last: int, channels: list[int]
) -> np.ndarray:
    """Some trials and channels (sample, channel, time), in float32; only these are read."""
    trials = np.unravel_index(np.arange(first, last), shape[:-2])
    return np.asarray(values.open()[(*(i[:, None] for i in trials), np.asarray(channels))], dtype=np.float32)
