"""Consumer EEG (Muse headband, 4 electrodes) after pictures of faces and houses: one subject, 6 runs.

Source: muse-lsl (A. Barachant and others), licence BSD-3. Nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from .. import brain
from ..labels import listed
from ._electrodes import positions
from ._npz import read

AXES = {
    "data": ("trial", "channel", "time"),
    "label": ("trial",),
    "run": ("trial",),
    "times": ("time",),
    "channels": ("channel",),
}
STIMULI = {1: "house", 2: "face"}


def load(path: str | Path) -> xr.DataArray:
    """Load the trials of all runs, as recorded.

    Parameters
    ----------
    path : path of the .npz file

    Returns
    -------
    (sample, channel, time) in V, -0.1 to 0.8 s
        With ``stimulus`` ("face", "house") and ``run`` on sample; ``kind`` and template positions ``x y z`` in m on
        channel.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    ValueError
        If it is truncated or of another kind.
    """
    found = read(path, AXES)
    unknown = sorted(set(found["label"].tolist()) - set(STIMULI))
    if unknown:
        raise ValueError(f"{path} has unknown labels {listed(unknown)}; known: {STIMULI}")
    return brain.meeg(
        found["data"].astype(np.float32) * np.float32(1e-6),
        sample=[f"run-{r}-{i:04d}" for i, r in enumerate(found["run"])],
        stimulus=[STIMULI[v] for v in found["label"].tolist()],
        channel=found["channels"],
        time=found["times"],
        kind="eeg",
        xyz=positions(found["channels"]),
        run=found["run"],
        subject="n170",
        units="V",
    )
