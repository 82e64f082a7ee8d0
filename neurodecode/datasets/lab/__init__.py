"""The embedded lab: simulated fMRI, EEG and MEG with a known truth, made in seconds, without any download.

Simulated stimuli drive approximate visual regions of fsaverage5; what is coded where and when is planned in
``plan`` and returned beside the data, so that a map or a time course can be scored against it.

>>> from neurodecode.datasets import lab
>>> recording = lab.load("fmri", subject=1, size="small")  # doctest: +SKIP
>>> recording.responses.dims, sorted(recording.features)  # doctest: +SKIP
(('sample', 'voxel'), ['c', 'structure-1', 'structure-2', 'structure-3', 'z'])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ...labels import require_choice

if TYPE_CHECKING:
    from .stimuli import Stimuli

SUBJECTS = {"fmri": 4, "eeg": 10, "meg": 4}
SIZES = ("small", "full")
# Training stimuli, test stimuli; for M/EEG also the trials that one training and one test sample average.
_FMRI = {"small": (400, 100), "full": (1000, 200)}
_MEEG = {"small": (400, 40, 16, 80), "full": (1600, 40, 4, 80)}
_REPEATS = 3
_MODALITIES = tuple(SUBJECTS)

__all__ = ["SIZES", "SUBJECTS", "Recording", "load"]


@dataclass(frozen=True)
class Recording:
    """One subject's simulated recording.

    Attributes
    ----------
    responses : (sample, voxel) or (sample, channel, time)
        With the coordinates ``stimulus`` and ``split`` ("train" or "test").
    features : name -> (stimulus, feature)
        "c" (meaning), "structure-1" (fine) to "structure-3" (coarse), "z" (image latent), for every stimulus once.
    truth : Dataset
        What was planted. fMRI: ``carries`` (layer, voxel), ``ceiling`` (voxel), ``gain`` (region, layer); M/EEG:
        ``peak`` (layer) in s, ``time_course`` (layer, time), ``gain`` and ``latency`` (region, layer).
        Both: ``concept`` and ``group`` of each ``stimulus``.
    """

    responses: xr.DataArray
    features: Mapping[str, xr.DataArray]
    truth: xr.Dataset

    def __repr__(self) -> str:
        dims = ", ".join(f"{k}: {v}" for k, v in self.responses.sizes.items())
        subject = self.responses.attrs["subject"]
        return f"Recording(simulated, subject {subject}, {dims}; features {', '.join(self.features)})"


def load(
    modality: str, *, subject: int = 1, size: str = "small", seed: int = 0, noise: float = 1.0
) -> Recording:
    """Simulate one subject of the embedded lab; the same arguments give the same numbers.

    Parameters
    ----------
    modality : "fmri", "eeg" or "meg"
        fMRI is split by image and keeps its trials (3 a stimulus); EEG and MEG are split by concept (40 of 200 held
        out, one image each) and come averaged over trials (coordinate ``trials``): 80 for testing; for training 16
        ("small") or 4 ("full").
    subject : int
        From 1; fMRI and MEG have 4, EEG has 10. Subjects see the same stimuli.
    size : "small" or "full"
        fMRI: 400 or 1,000 training images, 100 or 200 test images. EEG, MEG: 400 or 1,600, and 40.
    seed : int
        Of stimuli and brains.
    noise : float
        Standard deviation of the noise, relative to the default.

    Returns
    -------
    Recording

    Raises
    ------
    ValueError
        For an unknown modality, size or subject, naming the allowed ones; for a noise that is not above 0.
    """
    require_choice(modality, _MODALITIES, what="modality")
    require_choice(size, SIZES, what="size")
    require_choice(subject, range(1, SUBJECTS[modality] + 1), what=f"subject of {modality!r}")
    if not noise > 0:
        raise ValueError(
            f"noise is a multiple of the default standard deviation and must be above 0, got {noise}"
        )
    make = _load_fmri if modality == "fmri" else _load_meeg
    return make(modality, subject, size, seed, noise)


def _load_fmri(modality: str, subject: int, size: str, seed: int, noise: float) -> Recording:
    from . import fmri, plan, stimuli

    train, test = _FMRI[size]
    made = stimuli.by_image(train=train, test=test, seed=seed)
    responses, truth = fmri.simulate(
        made.features,
        made.table["split"],
        plan.default_plan(),
        subject=f"lab-{modality}-{subject}",
        seed=_own(seed, modality, subject),
        repeats=_REPEATS,
        noise=noise,
    )
    return _recording(responses, made, truth)


def _load_meeg(modality: str, subject: int, size: str, seed: int, noise: float) -> Recording:
    from . import meeg, plan, stimuli

    train, test, train_trials, test_trials = _MEEG[size]
    made = stimuli.by_concept(train=train, test=test, seed=seed)
    trials = np.where(made.table["split"] == "train", train_trials, test_trials)
    responses, truth = meeg.simulate(
        made.features,
        made.table.assign(trials=("stimulus", trials)),
        plan.default_plan(),
        kind=modality,
        subject=f"lab-{modality}-{subject}",
        seed=_own(seed, modality, subject),
        noise=noise,
    )
    return _recording(responses, made, truth)


def _own(seed: int, modality: str, subject: int) -> list[int]:
    return [seed, 100 + _MODALITIES.index(modality), subject]


def _recording(responses: xr.DataArray, made: Stimuli, truth: xr.Dataset) -> Recording:
    truth = truth.assign_coords(made.table.drop_vars("split").data_vars)
    return Recording(responses, MappingProxyType(dict(made.features)), truth)
