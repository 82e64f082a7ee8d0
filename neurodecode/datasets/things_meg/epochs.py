"""The authors' preprocessed epochs: labels at once, numbers when they are needed."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...brain.epochs import sensors
from ...labels import quoted
from .._blocks import rows
from .._files import listed_at
from . import fif
from .layout import SENSORS, SOURCE, Files
from .trials import Trials, attributes, from_table

# Epochs that are read at a time: 75 MB of all channels from 0 to 1.0 s.
ROWS = 256


@dataclass(frozen=True)
class Opened:
    """Epochs on disk.

    Attributes
    ----------
    parts : files that hold them
    trials : of every epoch
    names, kinds, xyz : of every channel
    cals : what the stored numbers of every channel are multiplied by
    times : seconds from onset
    """

    parts: list[fif.Part]
    trials: Trials
    names: list[str]
    kinds: list[str]
    xyz: np.ndarray | None
    cals: np.ndarray
    times: np.ndarray


def opened(files: Files) -> Opened:
    """Open the epochs of a subject, without reading their numbers.

    Raises
    ------
    FileNotFoundError, ValueError
        If a part is missing or damaged, or does not fit the others, the table of trials or the subject.
    """
    import mne

    what = f"preprocessed epochs of {files.who}"
    parts = fif.parts(files.epochs, what=what, source=SOURCE)
    try:
        epochs = mne.read_epochs(files.epochs, proj=False, preload=False, verbose="error")
    except MemoryError:
        raise
    except Exception as error:  # mne reports damage without order
        raise ValueError(
            f"{files.epochs} ({what}) and its {len(parts) - 1} further parts are no epochs that mne can read: {error}; "
            f"get them again from {SOURCE}"
        ) from error
    info = epochs.info
    picks = mne.pick_types(info, meg=True, ref_meg=False, exclude=[])
    if len(picks) != SENSORS or len(info.ch_names) != SENSORS:
        raise ValueError(
            f"{files.epochs} ({what}) has {len(picks)} MEG channels among {len(info.ch_names)}, expected {SENSORS}"
        )
    _require_own(files, info)
    return Opened(
        parts,
        _trials(files, epochs),
        *sensors(info, picks),
        cals=np.array([channel["cal"] * channel.get("scale", 1.0) for channel in info["chs"]]),
        times=np.asarray(epochs.times),
    )


def _require_own(files: Files, info: Any) -> None:
    """Refuse epochs that say that they are of another subject; most say nothing."""
    said = str((info["subject_info"] or {}).get("his_id") or "")
    number = re.search(r"BIGMEG(\d+)", said)
    if number and int(number[1]) != files.subject:
        raise ValueError(f"{files.epochs} is of {said}, not of {files.who}: give the files their names again")


def _trials(files: Files, epochs: Any) -> Trials:
    """Trials from the epochs' metadata, which must not contradict the authors' table; without metadata from that."""
    table = epochs.metadata
    if table is None:
        return _of_table(files, epochs)
    found = from_table(table, where=f"the metadata of {files.epochs}")
    if listed_at(files.attributes) and files.attributes.is_file():
        _require_same(files, found)
    wrong = _differing(found, epochs)
    if wrong.size:
        warnings.warn(
            f"{wrong.size} of {len(found)} epochs in {files.epochs} have an event other than the things_image_nr of "
            f"their metadata, first number {wrong[0] + 1}: compare them before you trust the labels",
            stacklevel=4,
        )
    return found


def _of_table(files: Files, epochs: Any) -> Trials:
    if not listed_at(files.attributes):
        raise FileNotFoundError(
            f"{files.epochs} has no metadata, and {files.attributes}, which would say what was shown, is missing; it "
            f"is part of {SOURCE}"
        )
    found = from_table(attributes(files), where=files.attributes)
    if len(found) != len(epochs):
        raise ValueError(
            f"{files.epochs} has {len(epochs)} epochs without metadata, but {files.attributes} lists {len(found)} "
            "trials; both must be of one subject and release"
        )
    wrong = _differing(found, epochs)
    if wrong.size:
        raise ValueError(
            f"{files.epochs} (no metadata) and {files.attributes} show other pictures in {wrong.size} of {len(found)} "
            f"trials, first in number {wrong[0] + 1}: event {epochs.events[wrong[0], 2]} against things_image_nr "
            f"{found.image[wrong[0]]}; both must be of one subject and release"
        )
    return found


def _differing(found: Trials, epochs: Any) -> np.ndarray:
    """Trials whose event, which is the picture's number in the authors' script, is another picture."""
    return np.flatnonzero((found.image > 0) & (found.image != epochs.events[:, 2]))


def _require_same(files: Files, found: Trials) -> None:
    table = from_table(attributes(files), where=files.attributes)
    if len(table) != len(found):
        differ = f"{len(found)} epochs against {len(table)} trials"
    else:
        wrong = np.flatnonzero(table.stimulus != found.stimulus)
        if not wrong.size:
            return
        at = wrong[0]
        differ = (
            f"{wrong.size} of {len(found)} pictures, first in number {at + 1}: {quoted(found.stimulus[at])} against "
            f"{quoted(table.stimulus[at])}"
        )
    raise ValueError(
        f"{files.epochs} and {files.attributes} differ: {differ}; one of the two is of another subject or release"
    )


def values(found: Opened, wanted: np.ndarray, channels: np.ndarray, times: slice) -> Any:
    """Epochs (sample, channel, time), float32: lazy with dask, one chunk for each :data:`ROWS`.

    Raises
    ------
    MemoryError
        If they do not fit and dask is not there.
    """
    shape = len(found.names), len(found.times)
    blocks = [wanted[first : first + ROWS] for first in range(0, len(wanted), ROWS)]
    size = len(range(len(found.times))[times])
    return rows(
        fif.read,
        [(found.parts, block, shape, channels, times, found.cals[channels], SOURCE) for block in blocks],
        [len(block) for block in blocks],
        (len(channels), size),
        what=f"{len(wanted)} epochs of {len(channels)} channels and {size} times",
        remedy="take fewer channels or a shorter window",
    )
