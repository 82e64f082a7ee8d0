"""Channels: which are wanted, and which several recordings of one subject share."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from ..checks import names_in
from ..labels import listed

# mne's level of messages and Python's warnings belong to the process: lazy parts that are read by several threads
# would restore them for one another, so one is read at a time.
ONE_AT_A_TIME = Lock()


def shared(
    infos: Sequence[Any], *, who: Sequence[str], wanted: str | Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Names of the channels to take, in the order of the first recording, and of those that some recording calls bad.

    Parameters
    ----------
    infos : :class:`mne.Info` of every recording
    who : recordings, for messages
    wanted : names; or a kind ("eeg", "mag", "grad"), or None for the only one, whose good channels all must have

    Raises
    ------
    ValueError
        If a channel is missing or bad in some recording, recordings differ, there are several kinds, or none is named.
    """
    kinds = [_kinds(info) for info in infos]
    bad = sorted(
        {str(n) for info, there in zip(infos, kinds, strict=True) for n in info["bads"] if n in there}
    )
    if wanted is not None and not isinstance(wanted, str):
        names = [str(name) for name in wanted]
        if not names:
            raise ValueError(
                f"channels names none of {listed(kinds[0])}; name some, or leave it out for all good ones"
            )
        for one, there in zip(who, kinds, strict=True):
            missing = [name for name in names if name not in there or name in bad]
            if missing:
                raise ValueError(
                    f"{one} has no good EEG or MEG channel {listed(missing)}; it has {listed(there)}; marked bad "
                    f"in some recording: {listed(bad) or 'none'}"
                )
        return names, bad
    for one, there in zip(who, kinds, strict=True):
        differ = sorted((there.keys() ^ kinds[0].keys()) - set(bad))
        if differ:
            raise ValueError(
                f"{one} and {who[0]} differ in the channels {listed(differ)}; name those to take as channels="
            )
    good = {name: kind for name, kind in kinds[0].items() if name not in bad}
    found = sorted(set(good.values()))
    if not good or (wanted is not None and wanted not in found):
        raise ValueError(
            f"no {wanted or 'EEG or MEG'} channel is good in all of {listed(who)}; good ones are of the kinds "
            f"{listed(found) or 'none'}, marked bad {listed(bad) or 'none'}"
        )
    if wanted is None and len(found) > 1:
        raise ValueError(
            f"channels are of the kinds {listed(found)}; choose one, such as channels={found[0]!r}"
        )
    return [name for name, kind in good.items() if wanted in (None, kind)], bad


def rows_of(there: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    """Positions of channels in the order asked for; None: of all.

    Raises
    ------
    ValueError
        If one is not there, or none is named.
    """
    if wanted is None:
        return list(range(len(there)))
    wanted = names_in(wanted, what="channels")
    if not wanted:
        raise ValueError(f"channels names none of {listed(there)}; name some, or leave it out for all")
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ValueError(
            f"the files hold no channel {listed(missing)}; there are {listed(there)}; name these"
        )
    return [list(there).index(name) for name in wanted]


def _kinds(info: Any) -> dict[str, str]:
    """Kind of every EEG and MEG channel."""
    import mne

    picks = mne.pick_types(info, meg=True, eeg=True, ref_meg=False, exclude=())
    return {info["ch_names"][i]: mne.channel_type(info, int(i)) for i in picks}


def only(info: Any, names: Sequence[str]) -> Any:
    """Info of these channels, in this order, none of them bad."""
    import mne

    info = mne.pick_info(info, [info["ch_names"].index(name) for name in names])
    info["bads"] = []
    return info


def require_same_times(mine: np.ndarray, theirs: np.ndarray, *, who: tuple[str, str], remedy: str) -> None:
    """Refuse epochs of other times.

    Raises
    ------
    ValueError
        With number and range of both.
    """
    if mine.size != theirs.size or not np.allclose(mine, theirs, atol=1e-9):
        both = [f"{t.size} times from {t[0]:g} to {t[-1]:g} s" for t in (mine, theirs)]
        raise ValueError(f"epochs of {who[0]} have {both[0]}, those of {who[1]} {both[1]}; {remedy}")


def xyz_of(head: Any) -> np.ndarray | None:
    """Positions (channel, 3) of an array that brain.meeg made; None if it has none."""
    return np.stack([head[axis].values for axis in "xyz"], axis=1) if "x" in head.coords else None
