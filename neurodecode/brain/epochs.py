"""mne.Epochs to what the M/EEG constructor takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

UNITS = {"eeg": "V", "mag": "T", "grad": "T/m"}
# Names of channels and time, of features and of results, which no label of an epoch may bear.
TAKEN = ("channel", "time", "kind", "x", "y", "z", "feature", "layer", "unit", "region", "window", "trials")


@dataclass(frozen=True)
class Found:
    """What Epochs hold: values, units, (channel, time, kind, xyz), and labels per epoch."""

    values: np.ndarray
    units: str
    channels: tuple[list[str], np.ndarray, list[str], np.ndarray | None]
    sample: Any
    stimulus: Any
    metadata: dict[str, Any]


def from_epochs(epochs: Any) -> Found:
    """Read good data channels of :class:`mne.Epochs`, their kinds and positions, and the epochs' labels."""
    import mne

    if not isinstance(epochs, mne.BaseEpochs):
        raise ValueError(f"M/EEG values must be an array or mne.Epochs, not mne's {type(epochs).__name__}")
    picks = mne.pick_types(epochs.info, meg=True, eeg=True, ref_meg=False, exclude="bads")
    if not len(picks):
        raise ValueError(
            f"the epochs have no good EEG or MEG channel; kinds are {set(epochs.get_channel_types())}"
        )
    names, kinds, xyz = sensors(epochs.info, picks)
    units = {_unit(epochs.info["chs"][i], k) for i, k in zip(picks, kinds, strict=True)}
    if len(units) > 1:
        raise ValueError(
            f"the epochs mix channels in {' and '.join(sorted(units))}; pick one kind first, e.g. epochs.pick('eeg')"
        )
    values = epochs.get_data(picks=picks, copy=True)
    channels = (names, epochs.times, kinds, xyz)
    labels = _labels(epochs)
    return Found(values, units.pop(), channels, labels.pop("sample"), labels.pop("stimulus"), labels)


def sensors(info: Any, picks: np.ndarray) -> tuple[list[str], list[str], np.ndarray | None]:
    """Names, kinds and positions (channel, 3) in m, head coordinates, of some channels of an :class:`mne.Info`."""
    import mne

    kinds = [mne.channel_type(info, int(i)) for i in picks]
    return [info.ch_names[i] for i in picks], kinds, _positions(info, picks)


def _positions(info: Any, picks: np.ndarray) -> np.ndarray | None:
    """Positions (channel, 3) in m in head coordinates, or None where a channel has none.

    mne keeps MEG sensors in the coordinates of the device; ``dev_head_t`` says where the head was in it.
    """
    from mne.io.constants import FIFF
    from mne.transforms import apply_trans

    chosen = [info["chs"][i] for i in picks]
    xyz = np.array([channel["loc"][:3] for channel in chosen], dtype=float)
    if not (np.isfinite(xyz).all() and np.ptp(xyz) > 0):
        return None
    device = np.array([channel["coord_frame"] == FIFF.FIFFV_COORD_DEVICE for channel in chosen])
    if device.any() and info["dev_head_t"] is not None:
        xyz[device] = apply_trans(info["dev_head_t"], xyz[device])
    return xyz


def _unit(channel: dict[str, Any], kind: str) -> str:
    """Unit of a channel; CTF's axial gradiometers are recorded in tesla although mne calls them 'mag' or 'grad'."""
    from mne.io.constants import FIFF

    by_code = {int(FIFF.FIFF_UNIT_V): "V", int(FIFF.FIFF_UNIT_T): "T", int(FIFF.FIFF_UNIT_T_M): "T/m"}
    return by_code.get(int(channel["unit"]), UNITS.get(kind, "a.u."))


def _labels(epochs: Any) -> dict[str, Any]:
    """Return metadata columns, else event names, as labels; ``sample`` from the event's number in the recording."""
    table = getattr(epochs, "metadata", None)
    columns = {} if table is None else {str(name): np.asarray(table[name]) for name in table.columns}
    found = {f"metadata_{name}" if name in TAKEN else name: column for name, column in columns.items()}
    if "stimulus" not in found:
        names = {code: name for name, code in epochs.event_id.items()}
        found["stimulus"] = np.array([names[code] for code in epochs.events[:, 2]])
    if "sample" not in found:
        found["sample"] = np.array([f"event-{i}" for i in epochs.selection])
    return found
