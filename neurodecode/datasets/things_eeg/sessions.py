"""Epochs made from the raw recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from ... import brain
from ...labels import listed
from .._blocks import rows
from .._electrodes import positions
from .._repeats import seen_before
from .._sensors import rows_of
from . import layout
from .epochs import Cut, blocks, epochs, inside
from .layout import PARTS, SOURCE
from .names import pictures
from .recordings import TARGET, Recording, from_array, from_brainvision

# Samples by which a copy of a file is known.
FIRST = 1000
# Showings of a picture in a session that the authors keep.
MOST = MappingProxyType({"train": 2, "test": 20})


def raw(
    root: str | Path,
    *,
    subject: int,
    sessions: Sequence[int] | None = None,
    channels: Sequence[str] | None = None,
    band: tuple[float | None, float | None] | None = (0.1, 100.0),
    window: tuple[float, float] = (-0.2, 0.8),
    baseline: tuple[float | None, float | None] | None = (-0.2, 0.0),
    rate: float = 100.0,
    most: Mapping[str, int] | None = MOST,
) -> xr.DataArray:
    """Make the epochs of one subject from the raw recordings of sessions: filtered, cut, baselined, then resampled.

    The numbers are those of mne on a whole recording (``Raw.filter``, ``Epochs``, ``Epochs.resample``, all with their
    defaults), but only a few minutes are in memory at a time. With dask (the extra ``scale``) the epochs are lazy and
    made anew at every use: keep them (``.compute()``, or zarr) where they are used often. Without dask they are made at
    once. Whiten them with statistics of training trials alone::

        train = epochs.sel(sample=epochs.split == "train")
        epochs = nd.prepare.MVNN(by="session").fit(train).transform(epochs)

    Parameters
    ----------
    root : path
        The dataset's folder, with ``raw_data`` (or ``source_data``: BrainVision) and the list of pictures.
    subject : 1 to 10
    sessions : numbers from 1 to 4, or None for all that are there
    channels : names, or None for all; :data:`POSTERIOR` are the 17 of the authors' analyses
    band : (lowest, highest) in Hz, or None
        mne's zero-phase FIR filter of the default length; None in place of a number leaves that side open.
    window : (first, last) in s from onset
    baseline : (first, last) in s, whose mean is taken away, or None
    rate : in Hz
        Resampling an epoch keeps only what lies below half of it.
    most : {"train": n, "test": n}, or None for all
        The first so many whole showings of a picture in a session. Some pictures are shown more often; the authors keep
        2 and 20 that they draw at random, here they are the first.

    Returns
    -------
    (sample, channel, time), float32, V
        ``sample`` "sub-01_ses-01_train_00001", the number counting pictures in the session's part; ``stimulus`` (the
        picture's file name without its ending), ``concept``, ``split`` "train" or "test", ``session`` "ses-01",
        ``repeat``, counted among the trials that are returned; ``run`` with BrainVision files. attrs: subject, the
        options, and how many trials were left out: ``dropped_targets``, ``dropped_edges`` (not wholly in their
        recording), ``dropped_repeats``.

    Raises
    ------
    FileNotFoundError
        If a file or session is missing: its name, what it is, where it comes from.
    ValueError
        If an option makes no sense; a file is damaged or mislabelled, or its channels or rate differ from the others';
        two files hold the same trials; a trial shows a picture that the list does not name.
    MemoryError
        If the epochs do not fit and dask is not there.
    """
    root, name = Path(root), layout.who(subject)
    _require_options(band, window, baseline, rate, most)
    names = {part: pictures(root, part=part) for part in PARTS}
    found = _opened(root, name, sessions)
    for one in found:
        _require_listed(one, len(names[one.part][0]))
    _require_alike(found)
    cut = Cut(found[0].sfreq, _pair(band), (float(window[0]), float(window[1])), float(rate), _pair(baseline))
    _require_rate(cut, found[0])
    chosen = [found[0].channels[i] for i in rows_of(found[0].channels, channels)]
    kept, dropped = _kept(found, cut, most)
    trials = _Trials.of(found, kept, names)
    array = brain.meeg(
        _lazily(found, kept, chosen, cut),
        sample=[
            f"{name}_{session}_{part}_{number:05d}"
            for session, part, number in zip(trials.session, trials.part, trials.number, strict=True)
        ],
        stimulus=trials.stimulus,
        channel=chosen,
        time=cut.times,
        kind="eeg",
        xyz=positions(np.array(chosen)),
        subject=name,
        session=trials.session,
        run=trials.run if trials.run.any() else None,
        repeat=seen_before(np.char.add(trials.part, trials.stimulus)),
        split=trials.part,
        units="V",
    )
    return array.assign_coords(concept=("sample", trials.concept)).assign_attrs(_said(cut, most) | dropped)


def _require_options(
    band: tuple[float | None, float | None] | None,
    window: tuple[float, float],
    baseline: tuple[float | None, float | None] | None,
    rate: float,
    most: Mapping[str, int] | None,
) -> None:
    if not window[0] < window[1]:
        raise ValueError(f"window must run from an earlier to a later time in s, got {window}")
    if band is not None:
        given = [edge for edge in band if edge is not None]
        if len(band) != 2 or not given or min(given) <= 0 or given != sorted(set(given)):
            raise ValueError(f"band must be (lowest, highest) in Hz, above 0, or None, got {band}")
    if baseline is not None:
        first = window[0] if baseline[0] is None else baseline[0]
        last = window[1] if baseline[1] is None else baseline[1]
        if not window[0] <= first <= last <= window[1]:
            raise ValueError(f"the baseline {baseline} must lie in the window {window}")
    if not rate > 0:
        raise ValueError(f"rate must be a sampling rate in Hz, got {rate}")
    if most is not None and (set(most) != set(PARTS) or min(most.values()) < 1):
        raise ValueError(
            f"most must give {' and '.join(map(repr, PARTS))}, 1 or more of each, got {dict(most)}"
        )


def _pair(given: tuple[float | None, float | None] | None) -> tuple[float | None, float | None] | None:
    return None if given is None else (given[0], given[1])


def _opened(root: Path, name: str, wanted: Sequence[int] | None) -> list[Recording]:
    """Recordings by session, training before test."""
    folder, source = layout.recordings(root, name)
    found = []
    for session in layout.sessions(folder, wanted):
        for part in PARTS:
            what = f"the raw {part} EEG of {name}, session {session}"
            if not source:
                found.append(
                    from_array(layout.raw_array(folder, session, part), session=session, part=part, what=what)
                )
                continue
            for run, (header, behaviour) in enumerate(
                layout.brainvision(folder, name, session, part), start=1
            ):
                said = f"{what}, file {run}"
                found.append(
                    from_brainvision(header, behaviour, session=session, part=part, run=run, what=said)
                )
    return found


def _require_listed(one: Recording, count: int) -> None:
    if not len(one.picture):
        raise ValueError(f"{one.path} ({one.what}) shows no picture: none is marked")
    beyond = (one.picture > count) & (one.picture != TARGET)
    if beyond.any():
        raise ValueError(
            f"{one.path} ({one.what}) shows pictures {listed(np.unique(one.picture[beyond]).tolist())} in "
            f"{beyond.sum()} of {len(one.picture)} trials, but image_metadata.npy names {count} {one.part} pictures: "
            "the file is of another part, or the list of another release"
        )


def _require_alike(found: list[Recording]) -> None:
    """Refuse other channels or another rate, and a copy of a file under the name of another."""
    first = found[0]
    seen: dict[tuple[bytes, ...], Recording] = {}
    for one in found:
        if sorted(one.channels) != sorted(first.channels):
            differ = sorted(set(one.channels) ^ set(first.channels)) or one.channels
            raise ValueError(
                f"{one.path} has {len(one.channels)} channels and {first.path} {len(first.channels)}, which differ in "
                f"{listed(differ)}; load sessions with the same channels together (sessions=[...])"
            )
        if one.sfreq != first.sfreq:
            raise ValueError(
                f"{one.path} was sampled at {one.sfreq:g} Hz, but {first.path} at {first.sfreq:g} Hz; "
                "leave one session out"
            )
        volts = one.voltages.read(one.rows[:1], 0, min(one.samples, FIRST))
        twin = seen.setdefault((one.onset.tobytes(), one.picture.tobytes(), volts.tobytes()), one)
        if twin is not one:
            raise ValueError(
                f"{one.path} ({one.what}) holds the same trials as {twin.path}: one is a copy of the other; get both "
                f"again from {SOURCE}"
            )


def _require_rate(cut: Cut, one: Recording) -> None:
    if cut.rate > cut.sfreq:
        raise ValueError(
            f"rate must be at most {cut.sfreq:g} Hz, as {one.path} was sampled, got {cut.rate:g}"
        )
    high = None if cut.band is None else cut.band[1]
    if high is not None and high >= cut.sfreq / 2:
        raise ValueError(
            f"band ends at {high:g} Hz, but {one.path} holds only what is below {cut.sfreq / 2:g} Hz; give a lower "
            "end, or (lowest, None)"
        )


def _kept(
    found: list[Recording], cut: Cut, most: Mapping[str, int] | None
) -> tuple[list[np.ndarray], dict[str, int]]:
    """Positions of the trials of every recording that are taken, and how many others there are."""
    kept, dropped = [], dict.fromkeys(("dropped_targets", "dropped_edges", "dropped_repeats"), 0)
    before: dict[tuple[int, str], list[np.ndarray]] = {}
    for one in found:
        shown = np.flatnonzero(one.picture != TARGET)
        whole = shown[inside(one.onset[shown], one.samples, cut)]
        earlier = before.setdefault((one.session, one.part), [])
        numbers = np.concatenate([*earlier, one.picture[whole]])
        count = seen_before(numbers)[len(numbers) - len(whole) :]
        taken = whole if most is None else whole[count < most[one.part]]
        earlier.append(one.picture[whole])
        kept.append(taken)
        dropped["dropped_targets"] += len(one.picture) - len(shown)
        dropped["dropped_edges"] += len(shown) - len(whole)
        dropped["dropped_repeats"] += len(whole) - len(taken)
    if not sum(map(len, kept)):
        raise ValueError(
            f"no trial is left: {dropped['dropped_targets']} were targets and {dropped['dropped_edges']} do not lie "
            f"wholly in their recording with the window {cut.window}; give a shorter one"
        )
    return kept, dropped


@dataclass(frozen=True)
class _Trials:
    """Labels of the trials that are taken."""

    stimulus: np.ndarray
    concept: np.ndarray
    session: np.ndarray
    part: np.ndarray
    run: np.ndarray
    number: np.ndarray

    @classmethod
    def of(
        cls, found: list[Recording], kept: list[np.ndarray], names: dict[str, tuple[np.ndarray, np.ndarray]]
    ) -> _Trials:
        columns: dict[str, list[np.ndarray]] = {key: [] for key in cls.__dataclass_fields__}
        shown: dict[tuple[int, str], int] = {}
        for one, taken in zip(found, kept, strict=True):
            stimulus, concept = names[one.part]
            picture = one.picture[taken] - 1
            # Files of one part are counted on.
            begin = shown.get((one.session, one.part), 0)
            number = begin + np.cumsum(one.picture != TARGET)
            shown[one.session, one.part] = int(number[-1])
            columns["stimulus"].append(stimulus[picture])
            columns["concept"].append(concept[picture])
            columns["session"].append(np.full(len(taken), f"ses-{one.session:02d}"))
            columns["part"].append(np.full(len(taken), one.part))
            columns["run"].append(np.full(len(taken), one.run))
            columns["number"].append(number[taken])
        return cls(**{key: np.concatenate(parts) for key, parts in columns.items()})


def _lazily(found: list[Recording], kept: list[np.ndarray], chosen: list[str], cut: Cut) -> Any:
    calls = []
    for one, taken in zip(found, kept, strict=True):
        at = [one.rows[one.channels.index(name)] for name in chosen]
        onset = one.onset[taken]
        calls += [(one.voltages, at, one.samples, onset[part], cut) for part in blocks(onset, cut.sfreq)]
    return rows(
        epochs,
        calls,
        [len(call[3]) for call in calls],
        (len(chosen), len(cut.times)),
        what=f"{sum(map(len, kept))} epochs",
        remedy="take fewer sessions or channels",
    )


def _said(cut: Cut, most: Mapping[str, int] | None) -> dict[str, Any]:
    """The options in a form that netCDF keeps: an open side is NaN."""
    said: dict[str, Any] = {"window": list(cut.window), "rate": cut.rate, "sfreq": cut.sfreq}
    for key, value in (("band", cut.band), ("baseline", cut.baseline)):
        if value is not None:
            said[key] = [float("nan") if edge is None else float(edge) for edge in value]
    if most is not None:
        said |= {f"most_{part}": int(most[part]) for part in PARTS}
    return said
