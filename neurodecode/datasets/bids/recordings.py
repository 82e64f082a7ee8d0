"""EEG and MEG runs of one subject, through mne-bids and mne: filtered whole, cut at the events, resampled.

mne-bids 0.20 opens a lock file beside a json file even for reading (_fileio.py), which fails in a folder that may not
be written and leaves its trace in one that may. So runs are read through links in a temporary folder. Events come from
the table's own columns: the numbers that mne-bids gives them differ between runs (read.py, ``event_id``), and only
``trial_type`` becomes their name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import brain
from ...labels import listed
from .._blocks import rows
from .._events import Events, labels_of, read_events
from .._files import Source, present
from .._sensors import ONE_AT_A_TIME, only, require_same_times, shared, xyz_of
from .layout import (
    File,
    Names,
    events_path,
    levels,
    narrowed,
    one_a_run,
    parsed,
    recordings,
    sidecar,
    source_of,
    subject_folder,
)

# What mne-bids opens; others (.fdt, .eeg, .vmrk) lie beside them.
ENDINGS = (".fif", ".ds", ".con", ".sqd", ".vhdr", ".edf", ".EDF", ".bdf", ".set")
# What it need not see: events are read here, and before 0.19 it refused a run that a list of scans leaves out.
UNREAD = ("_events.tsv", "_events.json", "_scans.tsv", "_scans.json")


@dataclass(frozen=True)
class Steps:
    """What is done to a run: in this order filtered, cut, minus the baseline, resampled."""

    window: tuple[float, float]
    band: tuple[float | None, float | None] | None
    rate: float | None
    baseline: tuple[float | None, float | None] | None


@dataclass(frozen=True)
class Opened:
    """Header of a run: events within it, their sample numbers from its first, and mne's description of its channels."""

    file: File
    events: Events
    samples: np.ndarray
    info: Any


def find(
    root: Path,
    *,
    subject: str | int,
    task: str,
    session: Names,
    run: Names,
    datatype: str | None,
    entities: Mapping[str, str] | None,
) -> list[File]:
    """Find the runs, one file each: the first of a recording in several.

    Raises
    ------
    FileNotFoundError
        If there is no such dataset.
    ValueError
        If there is no such subject, datatype, task, session or run, or more than one file of a run.
    """
    folder = subject_folder(root, subject)
    who = f"{folder.name} in {root}"
    kinds = ("eeg", "meg") if datatype is None else (datatype,)
    found = [
        one
        for one in recordings(folder, datatypes=kinds, suffixes=kinds)
        if one.ending in ENDINGS and one.entities.get("split", "01") == "01"
    ]
    if not found:
        raise ValueError(f"{who} has no recording in folders {listed(kinds)} that mne-bids reads")
    found = narrowed(found, task=task, session=session, run=run, entities=entities, who=who)
    there = sorted({one.suffix for one in found})
    if len(there) > 1:
        raise ValueError(f"{who} has {listed(there)} of this task; choose with datatype=")
    return one_a_run(found, who=who)


def responses(
    root: Path,
    files: Sequence[File],
    *,
    stimulus: str,
    columns: Sequence[str],
    channels: str | Sequence[str] | None,
    steps: Steps,
) -> xr.DataArray:
    """One sample an event (sample, channel, time), float32, one chunk a run.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, or the runs do not fit each other.
    """
    source = source_of(root)
    opened = [_opened(root, file, stimulus, columns, steps, source) for file in files]
    who = [one.file.name for one in opened]
    names, bad = shared([one.info for one in opened], who=who, wanted=channels)
    first = brain.meeg(_zeros(opened[0], names, steps))
    for one in opened[1:]:
        require_same_times(
            _zeros(one, names, steps).times,
            first.time.values,
            who=(one.file.name, who[0]),
            remedy="give rate= to bring all to one",
        )
    values = rows(
        epochs,
        [(root, one.file.path, one.samples, names, steps) for one in opened],
        [len(one.samples) for one in opened],
        (len(names), first.sizes["time"]),
        what=f"{sum(len(one.samples) for one in opened)} epochs of {len(names)} channels",
        remedy="take fewer channels, or a lower rate",
    )
    given, extra, counts = labels_of(
        [one.events for one in opened],
        names=who,
        session=[one.file.session for one in opened],
        run=[one.file.run for one in opened],
    )
    array = brain.meeg(
        values,
        **given,
        channel=names,
        time=first.time.values,
        kind=first.kind.values,
        xyz=xyz_of(first),
        subject=f"sub-{files[0].entities['sub']}",
        units=first.attrs["units"],
    )
    array = array.assign_coords({name: ("sample", column) for name, column in extra.items()})
    return array.assign_attrs(bad_channels=", ".join(bad), **counts)


def epochs(root: Path, path: Path, samples: np.ndarray, names: list[str], steps: Steps) -> np.ndarray:
    """Epochs (event, channel, time) of one run in SI units, float32."""
    with ONE_AT_A_TIME, opened_raw(root, path) as raw:
        if not raw.info["projs"]:
            # Projectors need the channels that they were made of; without any, no other is needed.
            raw.pick(names)
        raw.load_data(verbose="error")
        if steps.band is not None:
            raw.filter(*steps.band, verbose="error")
        found = _cut(raw, samples, steps, path)
        return np.asarray(found.get_data(picks=names, verbose="error"), dtype=np.float32)


def _cut(raw: Any, samples: np.ndarray, steps: Steps, path: Path) -> Any:
    import mne

    events = np.column_stack([samples + raw.first_samp, np.zeros_like(samples), np.ones_like(samples)])
    found = mne.Epochs(
        raw,
        events,
        tmin=steps.window[0],
        tmax=steps.window[1],
        baseline=steps.baseline,
        preload=True,
        # Every event stays, also where the recording is annotated as bad: rows are counted before they are read.
        reject_by_annotation=False,
        verbose="error",
    )
    if len(found) != len(samples):
        raise ValueError(
            f"{path} holds only {len(found)} of the {len(samples)} epochs that it held when it was opened: it was cut "
            "short since; get it again, and load it anew"
        )
    return found if steps.rate is None else found.resample(steps.rate, verbose="error")


@contextmanager
def opened_raw(root: Path, path: Path) -> Iterator[Any]:
    """Open a run with mne-bids through links to its files and to those beside and above it, but for UNREAD."""
    import mne_bids

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for level in levels(root, path.parent):
            here = place / level.relative_to(root)
            here.mkdir(parents=True, exist_ok=True)
            for one in level.iterdir():
                if (one.is_dir() and one.suffix != ".ds") or one.name.endswith(UNREAD):
                    continue
                (here / one.name).symlink_to(one.absolute())
        bids_path = mne_bids.get_bids_path_from_fname(
            place / path.relative_to(root), check=False, verbose="error"
        )
        try:
            raw = mne_bids.read_raw_bids(bids_path, verbose="error")
        except MemoryError:
            raise
        except Exception as error:  # configparser, mne and others report damage without order
            raise ValueError(
                f"mne-bids cannot read {path}, or a file beside it: {type(error).__name__}: {error}; "
                "check it with a BIDS validator, or give epochs (datasets.own)"
            ) from error
        yield raw


def _opened(
    root: Path, file: File, stimulus: str, columns: Sequence[str], steps: Steps, source: Source
) -> Opened:
    for path in beside(file):
        present(path, what=f"recording of {file.name}", source=source)
    events = read_events(
        events_path(root, file),
        stimulus=stimulus,
        columns=columns,
        what=f"events of {file.name}",
        source=source,
    )
    said = sidecar(root, file.path.parent, file.recording, suffix=file.suffix)
    with opened_raw(root, file.path) as raw:
        info, count = raw.info, int(raw.n_times)
    rate = float(info["sfreq"])
    duration = said.get("RecordingDuration")
    if isinstance(duration, int | float) and count / rate < 0.99 * duration - 1 / rate:
        raise ValueError(
            f"{file.path} holds {count / rate:g} s, but its json file says {duration:g} s: it is truncated; get it "
            f"again from {source}"
        )
    events, samples = _within(events, file, rate, count, steps.window)
    return Opened(file, events, samples, info)


def beside(file: File) -> list[Path]:
    """Files that make up a recording: those of its name, the parts of a split one, the data in a folder of CTF."""
    if file.path.is_dir():
        return sorted([*file.path.glob("*.meg4"), *file.path.glob("*.res4")]) or [file.path / "*.meg4"]
    parts = [parsed(path) for path in sorted(file.path.parent.iterdir())]
    return [
        one.path
        for one in parts
        if one.recording == file.recording
        and one.suffix == file.suffix
        and not one.ending.endswith((".json", ".tsv", ".lock"))
    ]


def _within(
    events: Events, file: File, rate: float, count: int, window: tuple[float, float]
) -> tuple[Events, np.ndarray]:
    """Events whose epoch lies in the recording, and their sample numbers from its first."""
    samples = np.round(events.onset * rate).astype(np.int64)
    first, last = (round(edge * rate) for edge in window)
    inside = (samples + first >= 0) & (samples + last < count)
    if not inside.any():
        raise ValueError(
            f"none of {inside.size} events of {file.name} has its window of {window[0]:g} to {window[1]:g} s in the "
            f"recording of {count / rate:g} s; onsets run from {events.onset.min():g} to {events.onset.max():g}: "
            "they must be in seconds and of this run"
        )
    samples = samples[inside]
    twice = int((np.diff(samples) == 0).sum())
    if twice:
        raise ValueError(
            f"{twice} events of {file.name} begin at the same sample as another; give a column in which "
            "only one of them has a value"
        )
    return events.only(inside, why="beyond"), samples


def _zeros(opened: Opened, names: list[str], steps: Steps) -> Any:
    """An epoch of zeros, cut and resampled as the others will be: brain.meeg reads channels and times from it."""
    import mne

    info = only(opened.info, names)
    first, last = (round(edge * info["sfreq"]) for edge in steps.window)
    zeros = mne.EpochsArray(
        np.zeros((1, len(names), last - first + 1)), info, tmin=first / info["sfreq"], verbose="error"
    )
    if steps.baseline is not None:
        zeros.apply_baseline(steps.baseline, verbose="error")
    return zeros if steps.rate is None else zeros.resample(steps.rate, verbose="error")


def require_mne_bids() -> None:
    """Raise ImportError, naming the extra, if mne-bids is not there."""
    try:
        import mne_bids  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "datasets.bids.meeg needs mne-bids; install it with: pip install 'neurodecode-toolkit[bids]'"
        ) from error
