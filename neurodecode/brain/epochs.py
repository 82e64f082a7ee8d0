"""mne.Epochs to what the M/EEG constructor takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

UNITS = {"eeg": "V", "mag": "T", "grad": "T/m"}


@dataclass(frozen=True)
class Found:
    """What Epochs hold: values, units, (channel, time, kind, xyz), and labels per epoch."""

    values: np.ndarray
    units: str
    channels: tuple[list[str], np.ndarray, list[str], np.ndarray | None]
    metadata: dict[str, Any]


def from_epochs(epochs: Any) -> Found:
    """Read good data channels of :class:`mne.Epochs`, their kinds and positions, and the epochs' labels."""
    import mne

    picks = mne.pick_types(epochs.info, meg=True, eeg=True, ref_meg=False, exclude="bads")
    if not len(picks):
        raise ValueError(
            f"the epochs have no good EEG or MEG channel; kinds are {set(epochs.get_channel_types())}"
        )
    kinds = [mne.channel_type(epochs.info, int(i)) for i in picks]
    units = {_unit(epochs.info["chs"][i], k) for i, k in zip(picks, kinds, strict=True)}
    if len(units) > 1:
        raise ValueError(
            f"the epochs mix channels in {' and '.join(sorted(units))}; pick one kind first, e.g. epochs.pick('eeg')"
        )
    names = [epochs.ch_names[i] for i in picks]
    xyz = np.array([epochs.info["chs"][i]["loc"][:3] for i in picks], dtype=float)
    known = np.isfinite(xyz).all() and np.ptp(xyz) > 0
    values = epochs.get_data(picks=picks, copy=True)
    return Found(values, units.pop(), (names, epochs.times, kinds, xyz if known else None), _labels(epochs))


def _unit(channel: dict[str, Any], kind: str) -> str:
    """Unit of a channel; CTF's axial gradiometers are recorded in tesla although mne calls them 'mag' or 'grad'."""
    from mne.io.constants import FIFF

    by_code = {int(FIFF.FIFF_UNIT_V): "V", int(FIFF.FIFF_UNIT_T): "T", int(FIFF.FIFF_UNIT_T_M): "T/m"}
    return by_code.get(int(channel["unit"]), UNITS.get(kind, "a.u."))


def _labels(epochs: Any) -> dict[str, Any]:
    """Return metadata columns, else event names, as labels; ``sample`` from the event's number in the recording."""
    table = getattr(epochs, "metadata", None)
    found = {} if table is None else {str(c): np.asarray(table[c]) for c in table.columns}
    if "stimulus" not in found:
        names = {code: name for name, code in epochs.event_id.items()}
        found["stimulus"] = np.array([names[code] for code in epochs.events[:, 2]])
    if "sample" not in found:
        found["sample"] = np.array([f"event-{i}" for i in epochs.selection])
    return found
