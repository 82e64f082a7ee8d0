"""Where electrodes of the 10-20 system sit, by name."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def positions(channels: Iterable[str]) -> np.ndarray:
    """Positions (channel, 3) in m, head coordinates, from the 10-05 template that mne ships; case does not matter.

    They are a template's, not measured on anybody's head.

    Raises
    ------
    ValueError
        If a name is not in the 10-05 system, naming those.
    """
    import mne

    # Renamed in mne 1.13; both names are the same 343 positions on the Colin27 head.
    name = "colin27_1005" if "colin27_1005" in mne.channels.get_builtin_montages() else "standard_1005"
    info = mne.create_info([str(c) for c in channels], 1.0, "eeg")
    info.set_montage(mne.channels.make_standard_montage(name), match_case=False, verbose="error")
    return np.array([channel["loc"][:3] for channel in info["chs"]])
