"""Where electrodes of the 10-20 system sit, by name."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..labels import listed


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
    names, montage = [str(c) for c in channels], mne.channels.make_standard_montage(name)
    known = {c.casefold() for c in montage.ch_names}
    unknown = [c for c in names if c.casefold() not in known]
    if unknown:
        raise ValueError(
            f"{len(unknown)} of {len(names)} channels are no electrodes of the 10-05 system: {listed(unknown)}; the "
            "list of channels is damaged, or of another recording"
        )
    twice = sorted({c for c in names if names.count(c) > 1})
    if twice:
        raise ValueError(f"{len(twice)} channels occur more than once: {listed(twice)}; name each one once")
    info = mne.create_info(names, 1.0, "eeg")
    info.set_montage(montage, match_case=False, verbose="error")
    return np.array([channel["loc"][:3] for channel in info["chs"]])
