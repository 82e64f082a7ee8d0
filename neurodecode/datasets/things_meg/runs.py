"""Recordings of runs as CTF's software wrote them, to epochs: filter, cut, baseline, fewer samples.

1,200 Hz, 300 channels, one folder ``..._meg.ds`` a run. The steps and their order are those of the authors
(ViCCo-Group/THINGS-data, MEG/step1_preprocessing.py): MRO11-1609 is dropped, two moments at which the signal dropped
out are replaced by the channels' medians, the run is filtered, cut at the events' samples, set against its baseline at
the full rate, and every sixth sample is kept. No reference sensor, component or channel is taken out of the data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...labels import listed, require_memory
from .._files import present
from . import events as _events
from .layout import BROKEN, RUNS, SENSORS, SESSIONS, SOURCE, Files

NAME = re.compile(r"sub-BIGMEG(\d+)_ses-(\d+)_task-main_run-(\d+)_meg\.ds")
TRIGGERS, TRIGGER = "UPPT001", 64
# Subject, session, run -> second at which the signal drops out, for so many seconds (step1_preprocessing.py).
DROPOUTS = {(1, 11, 5): 13.4, (2, 10, 3): 59.8}
DROPOUT = 0.2
# A low-pass below rate / 3 leaves nothing that fewer samples would fold (as mne asks for).
SAFE = 3
BASELINES = ("mean", "zscore", None)
# What mne's reader raises on damaged folders.
DAMAGED = (OSError, ValueError, RuntimeError, IndexError, KeyError, TypeError, OverflowError)


@dataclass(frozen=True)
class Recipe:
    """How runs become epochs.

    Attributes
    ----------
    band : lower and upper edge of the filter in Hz, None for no filter (and None for no such edge)
    window : first and last time in seconds from onset
    rate : samples a second, None for those of the recording
    baseline : "mean", "zscore" or None

    Raises
    ------
    ValueError
        If these do not go together.
    """

    band: tuple[float | None, float | None] | None
    window: tuple[float, float]
    rate: float | None
    baseline: str | None

    def __post_init__(self) -> None:
        first, last = self.window
        if not first < last:
            raise ValueError(f"window must be (first, last) in seconds from onset, got {self.window}")
        if self.baseline not in BASELINES:
            raise ValueError(f"unknown baseline {self.baseline!r}; choose one of {listed(BASELINES)}")
        if self.baseline and not (first < 0 <= last):
            raise ValueError(
                f"the baseline {self.baseline!r} is the window's time before onset, but the window is {self.window}; "
                "begin before 0, or set baseline=None"
            )
        high = self.band[1] if self.band else None
        if self.rate is not None and (high is None or SAFE * high > self.rate):
            raise ValueError(
                f"{self.rate:g} samples a second fold what lies above {self.rate / 2:g} Hz into the signal: the upper "
                f"edge of the band must be {self.rate / SAFE:g} Hz or less, got band={self.band}; or set rate=None"
            )

    def step(self, recorded: float) -> int:
        """Every which sample is kept."""
        step = 1 if self.rate is None else recorded / self.rate
        if step < 1 or abs(step - round(step)) > 1e-6:
            raise ValueError(
                f"rate must divide the {recorded:g} samples a second of the recording, got {self.rate}"
            )
        return round(step)

    def offsets(self, recorded: float) -> np.ndarray:
        """Samples of the recording that are kept, from onset."""
        step = self.step(recorded)
        first, last = (edge * recorded / step for edge in self.window)
        return np.arange(np.ceil(first - 1e-6), np.floor(last + 1e-6) + 1).astype(np.int64) * step


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes
    ----------
    path : of the recording
    key : subject, session, run
    events : what was shown in it
    """

    path: Path
    key: tuple[int, int, int]
    events: _events.Events


def listing(files: Files, sessions: Sequence[int] | None, runs: Sequence[int] | None) -> list[Run]:
    """Runs that are wanted, in their order, with their events.

    Raises
    ------
    FileNotFoundError
        If a session, run or table of events is missing.
    ValueError
        If one is there twice, damaged, or of another subject or session than its folder.
    """
    wanted = [
        (session, run)
        for session in _numbers(sessions, SESSIONS, "sessions")
        for run in _numbers(runs, RUNS, "runs")
    ]
    missing = [s for s in dict.fromkeys(s for s, _ in wanted) if not files.folder(s).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"session(s) {listed(missing, most=12)} of {files.who} are missing: {files.folder(missing[0])}; name those "
            f"that are there (sessions=...), or get the others: they are part of {SOURCE}"
        )
    for session in dict.fromkeys(s for s, _ in wanted):
        _require_named(files, session)
    found = [_run(files, session, run) for session, run in wanted]
    _require_different(found)
    return found


def _numbers(given: Sequence[int] | None, allowed: range, what: str) -> list[int]:
    numbers = list(allowed if given is None else given)
    wrong = [n for n in numbers if n not in allowed]
    if wrong or not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"{what} must be different numbers from 1 to {allowed[-1]}, got {numbers}")
    return sorted(int(n) for n in numbers)


def _require_named(files: Files, session: int) -> None:
    """Refuse recordings that are there twice, or whose names say another subject or session than their folder."""
    seen: dict[int, str] = {}
    # What a Mac left behind (._sub-..., .DS_Store) has other names.
    for name in sorted(path.name for path in files.folder(session).iterdir()):
        match = NAME.fullmatch(name)
        if not match:
            continue
        subject, of, run = map(int, match.groups())
        if (subject, of) != (files.subject, session):
            raise ValueError(
                f"{files.folder(session) / name} is of subject {subject}, session {of}, but lies among those of "
                f"subject {files.subject}, session {session}; put it into its own folder"
            )
        if run in seen:
            raise ValueError(
                f"run {run} is there twice in {files.folder(session)}: {seen[run]} and {name}; leave one of them there"
            )
        seen[run] = name


def _run(files: Files, session: int, run: int) -> Run:
    path, what = files.run(session, run), f"session {session}, run {run} of {files.who}"
    for inside in inner(path):
        present(inside, what=what, source=SOURCE)
    events = _events.read(files.events(session, run), what=f"events of {what}")
    return Run(path, (files.subject, session, run), events)


def inner(path: Path) -> list[Path]:
    """Files of a recording that are needed: its header and its samples."""
    return [path / f"{path.stem}.{ending}" for ending in ("res4", "meg4")]


def _require_different(found: list[Run]) -> None:
    seen: dict[bytes, Path] = {}
    for run in found:
        events = run.events
        key = events.image.tobytes() + (b"" if events.onset is None else events.onset.tobytes())
        if (events.image > 0).any() and key in seen:
            raise ValueError(
                f"{events.path} and {seen[key]} hold the same events: one is a copy under another name; get it again "
                f"from {SOURCE}"
            )
        seen[key] = events.path


def opened(run: Run) -> Any:
    """Open a run without reading its samples: an :class:`mne.io.Raw`.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, damaged, or lacks one of the channels.
    """
    import mne

    for inside in inner(run.path):
        present(inside, what="recording", source=SOURCE)
    try:
        raw = mne.io.read_raw_ctf(run.path, preload=False, verbose="error")
    except DAMAGED as error:
        raise ValueError(f"{run.path} is damaged: {error}; get it again from {SOURCE}") from error
    picks(raw, run.path)
    return raw


def picks(raw: Any, path: Path) -> np.ndarray:
    """Positions of the gradiometers among the channels, without the broken one.

    Raises
    ------
    ValueError
        If they are not 271.
    """
    import mne

    every = mne.pick_types(raw.info, meg=True, ref_meg=False, exclude=[])
    good = np.array([i for i in every if raw.ch_names[i] != BROKEN])
    if len(good) != SENSORS:
        raise ValueError(
            f"{path} has {len(good)} MEG channels besides {BROKEN} among {len(raw.ch_names)}, expected {SENSORS}"
        )
    return good


def require_inside(raw: Any, run: Run, rows: np.ndarray, recipe: Recipe) -> None:
    """Refuse events so near to an end of the recording that their window is not wholly in it."""
    if run.events.onset is not None:
        _require_inside(run.events.onset[rows], recipe.offsets(raw.info["sfreq"]), raw.n_times, run.path)


def _require_inside(onset: np.ndarray, offsets: np.ndarray, samples: int, path: Path) -> None:
    outside = onset[(onset + offsets[0] < 0) | (onset + offsets[-1] >= samples)]
    if outside.size:
        raise ValueError(
            f"{path} has {samples} samples, but the windows of {outside.size} of {len(onset)} events run beyond: they "
            f"are at sample {listed(outside)}; take a shorter window"
        )


def epochs(run: Run, rows: np.ndarray, channels: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Epochs (row, channel, time) of some events of a run, float32.

    Raises
    ------
    FileNotFoundError, ValueError
        If the run is missing, damaged, or its triggers do not fit its events.
    MemoryError
        If its samples do not fit.
    """
    raw = opened(run)
    onset = run.events.onset if run.events.onset is not None else triggers(raw, run)
    dropout = DROPOUTS.get(run.key)
    return cut(raw, onset[rows], picks(raw, run.path)[channels], recipe, path=run.path, dropout=dropout)


def triggers(raw: Any, run: Run) -> np.ndarray:
    """Samples of the triggers of a run, one for each event.

    Raises
    ------
    ValueError
        If there are more or fewer of them than events.
    """
    import mne

    if TRIGGERS not in raw.ch_names:
        raise ValueError(f"{run.path} has no channel {TRIGGERS}, whose triggers tell the events' onsets")
    found = mne.find_events(raw, TRIGGERS, initial_event=True, verbose="error")
    onset = np.asarray(found[found[:, 2] == TRIGGER, 0])
    if len(onset) != len(run.events.kind):
        raise ValueError(
            f"{run.path} has {len(onset)} triggers of {TRIGGER} in {TRIGGERS}, but {run.events.path} lists "
            f"{len(run.events.kind)} events; get both files again"
        )
    return onset


def cut(
    raw: Any,
    onset: np.ndarray,
    channels: np.ndarray,
    recipe: Recipe,
    *,
    path: Path,
    dropout: float | None = None,
) -> np.ndarray:
    """Epochs (event, channel, time) of a recording, float32.

    Parameters
    ----------
    raw : mne.io.Raw
    onset : sample of every event, from the first of the recording
    channels : positions of channels
    recipe : how
    path : for errors
    dropout : second at which the signal drops out
    """
    rate = float(raw.info["sfreq"])
    offsets = recipe.offsets(rate)
    _require_inside(onset, offsets, raw.n_times, path)
    require_memory(
        # The samples, once more while they are read, as integers and of all channels.
        raw.n_times * (8 * len(channels) + 4 * len(raw.ch_names)),
        what=f"reading {path.name}",
        remedy="take fewer channels, or read fewer runs at a time",
    )
    values = raw.get_data(picks=channels)
    if dropout is not None:
        first = round(dropout * rate)
        values[:, first : first + round(DROPOUT * rate)] = np.median(values, axis=1, keepdims=True)
    if recipe.band is not None:
        _filter(values, rate, recipe.band, path)
    out = np.empty((len(onset), len(channels), len(offsets)), np.float32)
    for i, sample in enumerate(onset):
        out[i] = _against_baseline(values, int(sample), offsets, recipe.baseline, path)
    return out


def _filter(values: np.ndarray, rate: float, band: tuple[float | None, float | None], path: Path) -> None:
    """Filter (channel, time) in place, with mne's filter of no delay, as raw.filter does."""
    import mne

    length = len(mne.filter.create_filter(None, rate, *band, verbose="error"))
    if length > values.shape[1]:
        raise ValueError(
            f"{path} lasts {values.shape[1] / rate:.1f} s, less than the filter of band={band} "
            f"({length / rate:.1f} s); take a wider band"
        )
    mne.filter.filter_data(values, rate, *band, copy=False, verbose="error")


def _against_baseline(
    values: np.ndarray, sample: int, offsets: np.ndarray, baseline: str | None, path: Path
) -> np.ndarray:
    epoch = values[:, sample + offsets]
    if baseline is None:
        return epoch
    # All samples up to onset and with it, also those that are not kept.
    before = values[:, sample + offsets[0] : sample + 1]
    epoch = epoch - before.mean(axis=1, keepdims=True)
    if baseline == "mean":
        return epoch
    spread = before.std(axis=1, keepdims=True)
    if not spread.all():
        raise ValueError(
            f"{path} has {int((spread == 0).sum())} channels that are flat before the event at sample {sample}: there "
            "is no SD of the baseline; set baseline='mean'"
        )
    return np.asarray(epoch / spread)
