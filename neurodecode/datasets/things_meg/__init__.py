"""THINGS-MEG: MEG of four subjects who saw 22,448 pictures of 1,854 objects in twelve sessions (Hebart et al. 2023).

Source: Hebart, Contier, Teichmann et al. 2023, eLife 12: e82580; OpenNeuro ds004212, CC0. Nothing is downloaded.
:func:`load` reads the authors' epochs, :func:`raw` makes epochs from the recordings, :func:`inventory` says which files
are there. What the files hold, and who says so:

- ``derivatives/preprocessed/preprocessed_P1-epo.fif`` and its further parts ``preprocessed_P1-epo-1.fif`` and on (tree
  of OpenNeuroDatasets/ds004212): 271 axial gradiometers, -0.1 to 1.3 s at 200 Hz. The authors' script
  (ViCCo-Group/THINGS-data, MEG/step1_preprocessing.py) dropped MRO11-1609, filtered every run from 0.1 to 40 Hz, cut
  it, z-scored every epoch and channel by its baseline, kept every sixth sample, and attached the table of trials.
  Nothing else was removed: no components, no eye movements.
- ``sourcedata/sample_attributes_P1.csv``: that table, see :mod:`.trials`; a training trial shows one of 12 pictures of
  1,854 concepts once, a test trial one of 200 pictures, in each session (README of ds004212).
- ``sub-BIGMEG1/ses-01/meg/sub-BIGMEG1_ses-01_task-main_run-01_meg.ds`` and ``..._events.tsv``: see :mod:`.runs` and
  :mod:`.events`.

Test pictures are no training pictures, but their concepts are: training trials of the 200 test concepts are left out
unless ``zero_shot=False``. No original file was at hand when this was written, so it was tested on files made in their
layout; the header of the table of trials is known only from code that reads it. All labels come from it, and none is
guessed from how often pictures occur.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import brain
from ...brain.epochs import sensors
from ...labels import require_choice
from .._blocks import rows
from .._files import listed_at
from .._inventory import Item, item
from .._repeats import seen_before
from .._sensors import rows_of
from . import epochs as _epochs
from . import events as _events
from . import fif
from . import runs as _runs
from .layout import RUNS, SESSIONS, SOURCE, SUBJECTS, Files
from .trials import Kept, Trials, attributes, from_table, kept

__all__ = ["RUNS", "SESSIONS", "SOURCE", "SUBJECTS", "inventory", "load", "raw"]

UNITS = {"mean": "T", "zscore": "SD of the baseline", None: "T"}


def load(
    root: str | Path,
    *,
    subject: int,
    window: tuple[float, float] | None = (0.0, 1.0),
    channels: Sequence[str] | None = None,
    zero_shot: bool = True,
) -> xr.DataArray:
    """Load the preprocessed epochs of one subject.

    With dask (the extra ``scale``) they are lazy, 256 epochs a chunk: nothing of them is read before it is needed.

    The authors divided every epoch and channel by the SD of its own baseline, after they had subtracted its mean
    (-0.1 to 0 s). So the numbers are no tesla, although the FIF files say so: they are SDs of the baseline.

    Parameters
    ----------
    root : path
        The dataset's folder, or that of its derivatives.
    subject : 1 to 4
    window : first and last time in seconds from onset, both included; None for all
    channels : names, or None for all 271
    zero_shot : bool
        Leave out training trials of the 200 test concepts.

    Returns
    -------
    (sample, channel, time), float32, SD of the baseline
        ``sample`` "sub-BIGMEG1_t00001" and on, counted through the file; ``stimulus``, the picture's file name without
        its ending; ``concept``; ``session`` "ses-01"; ``run`` "run-01", counted within its session; ``repeat``, how
        often the picture was loaded before; ``split`` "train" or "test"; ``things_image_nr`` and
        ``things_category_nr``, from 1. Positions ``x y z`` in m, head coordinates, of the first session's head, and
        ``kind`` as mne calls CTF's gradiometers ("mag"). attrs: ``catch_left_out`` and ``test_concepts_left_out``, how
        many trials are not there.

    Raises
    ------
    FileNotFoundError
        If a file or part is missing or only a placeholder: its name, what it is, where it comes from.
    ValueError
        If a subject, channel or window does not exist, or a file is truncated, renamed, or does not fit the others.
    MemoryError
        If the epochs do not fit and dask is not there.
    """
    files = Files(Path(root), subject)
    found = _epochs.opened(files)
    left = kept(found.trials, zero_shot=zero_shot, where=files.epochs)
    picked = np.array(rows_of(found.names, channels))
    times = _window(found.times, window)
    return _labelled(
        _epochs.values(found, left.rows, picked, times),
        found.trials[left.rows],
        left,
        sample=[f"{files.who}_t{row + 1:05d}" for row in left.rows],
        time=found.times[times],
        units=UNITS["zscore"],
        subject=files.who,
        sensor=(found.names, found.kinds, found.xyz),
        picked=picked,
    )


def raw(
    root: str | Path,
    *,
    subject: int,
    sessions: Sequence[int] | None = None,
    runs: Sequence[int] | None = None,
    band: tuple[float | None, float | None] | None = (0.1, 40.0),
    window: tuple[float, float] = (-0.1, 1.3),
    rate: float | None = 200.0,
    baseline: str | None = "mean",
    channels: Sequence[str] | None = None,
    zero_shot: bool = True,
) -> xr.DataArray:
    """Make epochs of one subject from the recordings.

    With dask (the extra ``scale``) they are lazy, one run a chunk. A run of 1,200 Hz takes about 1.5 GB while it is
    read, and dask reads as many at once as it has threads: ``epochs.compute(scheduler="synchronous")`` reads one.

    With ``baseline="zscore"`` the steps are those of the epochs that :func:`load` reads.

    Parameters
    ----------
    root : path
        The dataset's folder.
    subject : 1 to 4
    sessions, runs : numbers from 1, or None for all 12, and all 10 of each
    band : edges of the filter in Hz, either of them None for none; None for no filter
        mne's finite filter without delay, so that it looks ahead: 0.1 Hz by 33 s.
    window : first and last time in seconds from onset, both included
    rate : samples a second that are kept, None for all
    baseline : {"mean", "zscore", None}
        What lies in the window up to onset is subtracted by its mean, and for "zscore" what remains is divided by its
        SD, in every epoch and channel.
    channels : names, or None for all 271
    zero_shot : bool
        Leave out training trials of the test concepts that are shown in these runs.

    Returns
    -------
    (sample, channel, time), float32, T, or SD of the baseline
        As :func:`load`; ``sample`` "sub-BIGMEG1_ses-01_run-01_t001", counted through the run's events. Positions are
        those of the head in the first of the runs.

    Raises
    ------
    FileNotFoundError
        If a session, run or table is missing or only a placeholder: its name, what it is, where it comes from.
    ValueError
        If numbers or options do not exist or go together, a run is there twice, damaged, of another subject, or too
        short for its events or the filter.
    MemoryError
        If the epochs do not fit and dask is not there.
    """
    files = Files(Path(root), subject)
    recipe = _runs.Recipe(band, window, rate, baseline)
    found = _runs.listing(files, sessions, runs)
    trials, numbers = _shown(files, found)
    left = kept(trials, zero_shot=zero_shot, where=f"{len(found)} runs of {files.who}")
    of_run = np.repeat(np.arange(len(found)), [len(run.events.kind) for run in found])
    inside = [numbers[left.rows[of_run[left.rows] == i]] for i in range(len(found))]
    opened = _opened(found, inside, recipe)
    names, kinds, xyz = sensors(opened.info, _runs.picks(opened, found[0].path))
    picked = np.array(rows_of(names, channels))
    recorded = float(opened.info["sfreq"])
    offsets = recipe.offsets(recorded)
    calls = [(run, events, picked, recipe) for run, events in zip(found, inside, strict=True) if len(events)]
    values = rows(
        _runs.epochs,
        calls,
        [len(events) for _, events, _, _ in calls],
        (len(picked), len(offsets)),
        what=f"{len(left.rows)} epochs of {len(picked)} channels and {len(offsets)} times",
        remedy="take fewer sessions, channels or a shorter window",
    )
    shown = trials[left.rows]
    return _labelled(
        values,
        shown,
        left,
        sample=[
            f"{files.who}_ses-{s:02d}_run-{r:02d}_t{n + 1:03d}"
            for s, r, n in zip(shown.session, shown.run, numbers[left.rows], strict=True)
        ],
        time=offsets / recorded,
        units=UNITS[baseline],
        subject=files.who,
        sensor=(names, kinds, xyz),
        picked=picked,
    )


def inventory(
    root: str | Path,
    *,
    subject: int,
    kind: str = "preprocessed",
    sessions: Sequence[int] | None = None,
    runs: Sequence[int] | None = None,
) -> list[Item]:
    """Every file that :func:`load` (kind "preprocessed") or :func:`raw` (kind "raw") would look at.

    Parameters
    ----------
    root : path
    subject : 1 to 4
    kind : {"preprocessed", "raw"}
    sessions, runs : numbers, or None for all
        Of the recordings, as for :func:`raw`.

    Raises
    ------
    ValueError
        If there is no such subject or kind.
    """
    require_choice(kind, ("preprocessed", "raw"), what="kind")
    files = Files(Path(root), subject)
    if kind == "preprocessed":
        return [*_parts(files), _table(files, needed=False)]
    found, tables = [], []
    for session in sessions or SESSIONS:
        for run in runs or RUNS:
            what = f"session {session}, run {run}"
            for path in _runs.inner(files.run(session, run)):
                found.append(item(path, what=f"{what}, {path.suffix[1:]}", source=SOURCE))
            tables.append(item(files.events(session, run), what=f"events of {what}", source=SOURCE))
    named = [_events.names_pictures(one.path) for one in tables if one.found]
    return [*found, *tables, _table(files, needed=not named or not all(named))]


def _table(files: Files, *, needed: bool) -> Item:
    return item(files.attributes, what="pictures of all trials", source=SOURCE, needed=needed)


def _parts(files: Files) -> list[Item]:
    """Parts of the epochs as far as each names the next; the four that are published if not even the first does."""
    what, found, fault = f"preprocessed epochs of {files.who}", 0, ""
    try:
        for _ in fif.each(files.epochs, what=what, source=SOURCE):
            found += 1
    except (OSError, ValueError) as error:
        fault = str(error)
    paths = [files.epochs, *(fif.nth(files.epochs, i) for i in range(1, max(found + 1, 4)))]
    names = [f"{what}, part {i}" for i in range(1, len(paths) + 1)]
    items = [Item(name, path, True) for name, path in zip(names[:found], paths[:found], strict=True)]
    if fault:
        broken = paths[found]
        items.append(Item(names[found], broken, True, fault if listed_at(broken) else "not there"))
    if not found:
        items += [
            item(path, what=name, source=SOURCE) for name, path in zip(names[1:], paths[1:], strict=True)
        ]
    return items


def _shown(files: Files, found: list[_runs.Run]) -> tuple[Trials, np.ndarray]:
    """Trials of all runs, and the number of each among the events of its run, from 0."""
    known: dict[int, tuple[str, int]] = {}
    if any(run.events.file is None for run in found) or listed_at(files.attributes):
        table = from_table(attributes(files), where=files.attributes)
        known = {
            image: (name, category)
            for image, name, category in zip(
                table.image.tolist(), table.stimulus.tolist(), table.category.tolist(), strict=True
            )
            if image
        }
    each = [
        _events.trials(run.events, session=run.key[1], run=run.key[2], known=known, files=files)
        for run in found
    ]
    joined = Trials(
        *(np.concatenate([getattr(one, name) for one in each]) for name in Trials.__annotations__)
    )
    return joined, np.concatenate([np.arange(len(one)) for one in each])


def _opened(found: list[_runs.Run], inside: list[np.ndarray], recipe: _runs.Recipe) -> Any:
    """Open every run once, so that what is wrong with one shows before work; the first of them."""
    first = None
    for run, events in zip(found, inside, strict=True):
        opened = _runs.opened(run)
        first = first or opened
        if opened.info["sfreq"] != first.info["sfreq"] or opened.ch_names != first.ch_names:
            raise ValueError(
                f"{run.path} and {found[0].path} differ in channels or rate ({opened.info['sfreq']:g} and "
                f"{first.info['sfreq']:g} Hz); leave one of them out"
            )
        _runs.require_inside(opened, run, events, recipe)
    return first


def _labelled(
    values: Any,
    trials: Trials,
    left: Kept,
    *,
    sample: list[str],
    time: np.ndarray,
    units: str,
    subject: str,
    sensor: tuple[list[str], list[str], np.ndarray | None],
    picked: np.ndarray,
) -> xr.DataArray:
    names, kinds, xyz = sensor
    array = brain.meeg(
        values,
        sample=sample,
        stimulus=trials.stimulus,
        channel=[names[i] for i in picked],
        time=np.round(time, 9),
        kind=[kinds[i] for i in picked],
        xyz=None if xyz is None else xyz[picked],
        subject=subject,
        session=[f"ses-{s:02d}" for s in trials.session],
        run=[f"run-{r:02d}" for r in trials.run],
        repeat=seen_before(trials.stimulus),
        split=np.where(trials.kind == "test", "test", "train"),
        units=units,
    )
    array = array.assign_coords(concept=("sample", trials.concept), things_image_nr=("sample", trials.image))
    if trials.category.all():
        array = array.assign_coords(things_category_nr=("sample", trials.category))
    return array.assign_attrs(catch_left_out=left.catch, test_concepts_left_out=left.train)


def _window(times: np.ndarray, window: tuple[float, float] | None) -> slice:
    if window is None:
        return slice(0, len(times))
    first, last = window
    # Half a millisecond for times that are no exact decimals.
    inside = np.flatnonzero((times >= first - 5e-4) & (times <= last + 5e-4))
    if not inside.size or first < times[0] - 5e-4 or last > times[-1] + 5e-4:
        raise ValueError(
            f"window must be (first, last) within {times[0]:g} to {times[-1]:g} s, the epochs' times, got {window}"
        )
    return slice(int(inside[0]), int(inside[-1]) + 1)
