"""EEG after line drawings of objects, shown alone or in pairs that match or not: 12 subjects, 61 electrodes.

Source: "EEG Database", UCI Machine Learning Repository (H. Begleiter, Neurodynamics Laboratory, SUNY; Zhang et al.
1995, Brain Res. Bull. 38: 531-538); licence CC BY 4.0. Conditions: "S1 obj" (first picture), "S2 match" (the same
again), "S2 nomatch" (another). Nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from .. import brain
from ._electrodes import positions
from ._npz import read

AXES = {
    "data_int16": ("trial", "channel", "time"),
    "uV_per_unit": (),
    "channels": ("channel",),
    "sfreq": (),
    "subject": ("trial",),
    "condition": ("trial",),
    "trial": ("trial",),
}
# Two eye electrodes and a reference: not on the scalp.
NOT_SCALP = ("X", "Y", "nd")


def load(path: str | Path) -> xr.DataArray:
    """Load the trials of all subjects, as recorded: no baseline, no scaling.

    There is no time before the picture, so no baseline can be taken; the first 100 ms serve as a floor instead.
    Amplitudes fall towards the vertex (SD 3 uV in C1 and C2, 12 in O2), as with a reference there; CZ itself (17 uV)
    departs from its neighbours and is kept as it is.

    Parameters
    ----------
    path : path of the .npz file

    Returns
    -------
    (sample, channel, time) in V, 1 s from onset
        With ``stimulus`` (the condition) and ``subject`` on sample; ``kind`` and template positions ``x y z`` in m on
        channel.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    ValueError
        If it is truncated or of another kind.
    """
    found = read(path, AXES)
    scalp = ~np.isin(found["channels"], NOT_SCALP)
    channels = found["channels"][scalp]
    volts = np.float32(float(found["uV_per_unit"]) * 1e-6)
    return brain.meeg(
        found["data_int16"][:, scalp].astype(np.float32) * volts,
        sample=[f"{s}-{t:03d}" for s, t in zip(found["subject"], found["trial"], strict=True)],
        stimulus=found["condition"],
        channel=channels,
        time=np.arange(found["data_int16"].shape[2]) / float(found["sfreq"]),
        kind="eeg",
        xyz=positions(channels),
        subject=found["subject"],
        units="V",
    )
