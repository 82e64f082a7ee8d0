"""Continuous recordings: which channels, how long, and which picture when; voltages are read when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...labels import listed
from .._files import present, read_mat
from .._pickled import read_dict
from .._stored import Held, Stored, stored
from .layout import SOURCE

TARGET = 99_999
# Samples of the trigger channel that are looked at together.
STEP = 2**17


class Voltages(Protocol):
    """Voltages in a file."""

    def read(self, rows: list[int], first: int, last: int) -> np.ndarray:
        """(channel, time) from sample ``first`` to before ``last``, float64, in V."""


@dataclass(frozen=True)
class Recording:
    """One file.

    Attributes
    ----------
    session, part : session's number; "train" or "test"
    run : which file of the session's part, from 1; 0 if one array holds them all
    path, what : for errors
    channels : names of the EEG channels, in the file's order
    rows : where they lie in the file
    onset, picture : of every picture and target, the sample, and its number from 1, :data:`TARGET` for targets
    """

    session: int
    part: str
    run: int
    path: Path
    what: str
    sfreq: float
    samples: int
    channels: list[str]
    rows: list[int]
    onset: np.ndarray
    picture: np.ndarray
    voltages: Voltages


@dataclass(frozen=True)
class _Array:
    """Voltages of the array (channel, time) of a .npy file."""

    values: Stored | Held

    def read(self, rows: list[int], first: int, last: int) -> np.ndarray:
        # The slice first: rows by number would copy the whole recording.
        return np.asarray(self.values.open()[:, first:last][rows], dtype=np.float64)


def from_array(path: Path, *, session: int, part: str, what: str) -> Recording:
    """Open the array of one session and part.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, damaged, or its shape, names and triggers do not fit together.
    """
    found = read_dict(path, ("raw_eeg_data", "ch_names", "ch_types", "sfreq"), what=what, source=SOURCE)
    values = np.asanyarray(found["raw_eeg_data"])
    names, kinds = (np.asarray(found[key]).astype(str).tolist() for key in ("ch_names", "ch_types"))
    if values.ndim != 2 or not len(values) == len(names) == len(kinds):
        raise ValueError(
            f"{path} ({what}) holds data {values.shape} for {len(names)} ch_names and {len(kinds)} ch_types; "
            "expected (channel, time)"
        )
    stim = [i for i, kind in enumerate(kinds) if kind == "stim"]
    if len(stim) != 1 or "eeg" not in kinds:
        raise ValueError(
            f"{path} ({what}) must have channels of ch_types 'eeg' and one of 'stim'; it has {listed(kinds)}"
        )
    sfreq = float(found["sfreq"])
    if not sfreq > 0:
        raise ValueError(
            f"{path} ({what}) gives the sfreq {sfreq}, which is no sampling rate; get the file again"
        )
    rows = [i for i, kind in enumerate(kinds) if kind == "eeg"]
    onset, picture = _triggers(values[stim[0]], path, what)
    return Recording(
        session,
        part,
        0,
        path,
        what,
        sfreq,
        values.shape[1],
        [names[i] for i in rows],
        rows,
        onset,
        picture,
        _Array(stored(values)),
    )


def _triggers(stim: np.ndarray, path: Path, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Samples at which the channel takes on a number, and the numbers; one that is held counts once."""
    onsets, numbers, before = [], [], 0.0
    for first in range(0, len(stim), STEP):
        values = np.asarray(stim[first : first + STEP], dtype=np.float64)
        new = np.flatnonzero((values != 0) & (values != np.concatenate([[before], values[:-1]])))
        onsets.append(new + first)
        numbers.append(values[new])
        before = values[-1]
    onset, number = (np.concatenate(parts) if parts else np.empty(0) for parts in (onsets, numbers))
    whole = (number >= 1) & (number == np.floor(number)) & (number <= TARGET)
    if not whole.all():
        raise ValueError(
            f"the stim channel of {path} ({what}) holds {(~whole).sum()} values among {len(number)} that are no number "
            f"of a picture: {listed(number[~whole].tolist())}; get the file again"
        )
    return onset.astype(np.int64), number.astype(np.int64)


@dataclass(frozen=True)
class _BrainVision:
    """Voltages of a BrainVision recording."""

    header: Path

    def read(self, rows: list[int], first: int, last: int) -> np.ndarray:
        return np.asarray(_opened(self.header).get_data(rows, first, last), dtype=np.float64)


def from_brainvision(
    header: Path, behaviour: Path, *, session: int, part: str, run: int, what: str
) -> Recording:
    """Open one BrainVision recording with the pictures that the stimulus computer wrote down.

    Its triggers do not name training pictures: the n-th is the n-th picture in the list. (The authors drop the first
    marker, "New Segment", which newer releases of mne leave out; here only markers of the kind "Stimulus" count.)

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, or there are fewer triggers than pictures.
    """
    header = present(header, what=what, source=SOURCE)
    picture = _listed_pictures(behaviour, f"the list of pictures of {what}")
    raw = _opened(header)
    triggers = [str(text).startswith("Stimulus") for text in raw.annotations.description]
    onset = raw.time_as_index(raw.annotations.onset[np.array(triggers, dtype=bool)], use_rounding=True)
    if len(onset) < len(picture):
        raise ValueError(
            f"{header} ({what}) holds {len(onset)} triggers, but {behaviour.name} lists {len(picture)} pictures: one "
            f"of the two is cut short, or belongs to another recording; get both again from {SOURCE}"
        )
    return Recording(
        session,
        part,
        run,
        header,
        what,
        float(raw.info["sfreq"]),
        int(raw.n_times),
        list(raw.ch_names),
        list(range(len(raw.ch_names))),
        onset[: len(picture)].astype(np.int64),
        picture,
        _BrainVision(header),
    )


def _opened(header: Path) -> Any:
    import mne

    try:
        return mne.io.read_raw_brainvision(header, preload=False, verbose="error")
    except MemoryError:
        raise
    except Exception as error:  # configparser and mne report damage without order
        raise ValueError(
            f"{header} cannot be read as a BrainVision recording, with its .vmrk and .eeg beside it: {error}; get it "
            f"again from {SOURCE}"
        ) from error


def _listed_pictures(path: Path, what: str) -> np.ndarray:
    """Number of every picture that was shown, as :data:`TARGET` for targets, which the list calls 0."""
    data = read_mat(path, ("data",), what=what, source=SOURCE)["data"]
    try:
        images = data[0, 0]["images"].ravel()
        number = np.array([int(np.ravel(one)[0]) for one in images["tot_img_number"]])
    except (IndexError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} ({what}) has no data.images.tot_img_number: {error}; get it again from {SOURCE}"
        ) from error
    if (number < 0).any():
        raise ValueError(
            f"{path} ({what}) must number pictures from 1, and targets 0, but has {int((number < 0).sum())} below "
            f"among {len(number)}: {listed(np.unique(number[number < 0]))}; get it again from {SOURCE}"
        )
    return np.where(number == 0, TARGET, number)
