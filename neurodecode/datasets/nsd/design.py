"""Which picture was shown in which trial: nsd_expdesign.mat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...labels import listed
from .._files import read_mat
from .._repeats import seen_before
from .layout import SESSIONS, SOURCE, TRIALS, Files

# Trials, pictures of one subject, pictures in all, pictures that every subject was to see.
PLANNED, OWN, ALL, SHARED = 30_000, 10_000, 73_000, 1_000


@dataclass(frozen=True)
class Trials:
    """Trials of one subject in the order in which they were run.

    Attributes
    ----------
    nsd_id : picture, counted from 0 as in nsd_stimuli.hdf5
    shared : whether the picture is one of the 1,000 that every subject was to see
    session : counted from 1
    repeat : how often the subject had seen the picture before, counted through all sessions
    """

    nsd_id: np.ndarray
    shared: np.ndarray
    session: np.ndarray
    repeat: np.ndarray


def trials(files: Files, sessions: int) -> Trials:
    """Trials of a subject's first sessions.

    ``masterordering`` (trial) numbers the subject's 10,000 pictures, in one order for all subjects; ``subjectim``
    (subject, 10,000) numbers those among all 73,000, the shared ones first; both count from 1 (NSD Data Manual,
    Experiments; cvnlab/nsddatapaper FINALNUMBERSnotes.m). The file lists the 30,000 trials that were planned,
    also for subjects who did fewer.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, damaged, or of another shape or range; if there are no such sessions.
    """
    if not 1 <= sessions <= files.planned:
        raise ValueError(
            f"sessions must be 1 to {files.planned}, as many as {files.who} came to, got {sessions}"
        )
    order, pictures, shared = read(files)
    own = order[: sessions * TRIALS]
    nsd_id = pictures[files.subject - 1, own - 1] - 1
    return Trials(
        nsd_id=nsd_id,
        shared=np.isin(nsd_id, shared - 1),
        session=np.repeat(np.arange(1, sessions + 1), TRIALS),
        repeat=seen_before(nsd_id),
    )


def sample_labels(files: Files, shown: Trials) -> dict[str, np.ndarray]:
    """Label trials the same way in every array: ``sample``, ``stimulus``, ``session``, ``repeat`` and ``split``."""
    return {
        "sample": np.array([f"{files.who}_t{i:05d}" for i in range(1, len(shown.nsd_id) + 1)]),
        "stimulus": names(shown.nsd_id),
        "session": np.array([f"ses-{s:02d}" for s in shown.session]),
        "repeat": shown.repeat,
        "split": np.where(shown.shared, "test", "train"),
    }


def names(nsd_id: np.ndarray) -> np.ndarray:
    """Name pictures by their rows in nsd_stimuli.hdf5, from 0."""
    return np.array([f"nsd_{i:05d}" for i in nsd_id])


def read(files: Files) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return order (30,000), pictures (8, 10,000) and shared pictures (1,000), all counted from 1.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, damaged, or of another shape or range.
    """
    shapes = {"masterordering": (1, PLANNED), "subjectim": (len(SESSIONS), OWN), "sharedix": (1, SHARED)}
    found = read_mat(files.design, tuple(shapes), what="the experimental design", source=SOURCE)
    for name, shape in shapes.items():
        most = OWN if name == "masterordering" else ALL
        values = found[name]
        if values.shape != shape:
            raise ValueError(f"{name!r} in {files.design} has the shape {values.shape}, expected {shape}")
        wrong = (values < 1) | (values > most) | (values != np.floor(values))
        if wrong.any():
            raise ValueError(
                f"{name!r} in {files.design} must hold whole numbers from 1 to {most}, but has {int(wrong.sum())} "
                f"others: {listed(values[wrong])}; get it again from {SOURCE}"
            )
    # Small integers would overflow in what follows.
    order, pictures, shared = (found[name].astype(np.int64) for name in shapes)
    first = pictures[files.subject - 1, :SHARED]
    if not np.array_equal(np.sort(first), np.sort(shared[0])):
        raise ValueError(
            f"the first {SHARED} pictures of {files.who} in {files.design} are not those of 'sharedix'; "
            f"get it again from {SOURCE}"
        )
    return order[0], pictures, shared[0]
