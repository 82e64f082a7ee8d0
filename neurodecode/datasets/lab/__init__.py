"""The embedded lab: simulated fMRI, EEG and MEG with a known truth, made in seconds, without any download.

Pictures of known content are seen by miniature models (CLIP, an autoencoder) that ship with the package; what those
models say drives approximate visual regions of fsaverage5. What is coded where and when is planned in ``plan`` and
returned beside the data, so that a map or a time course can be scored against it.

>>> from neurodecode.datasets import lab
>>> recording = lab.load("fmri", subject=1, size="small")  # doctest: +SKIP
>>> recording.responses.dims, list(recording.features)  # doctest: +SKIP
(('sample', 'voxel'), ['c', 'Linear-2', 'Linear-4', 'Linear-6', 'Linear-8', 'Linear-10', 'Linear-12', 'final', 'z'])
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
_FMRI = {"small": (400, 100), "full": (2000, 200)}
_MEEG = {"small": (400, 40, 16, 80), "full": (1600, 40, 4, 80)}
_REPEATS = 3
_MODALITIES = tuple(SUBJECTS)

__all__ = ["SIZES", "SUBJECTS", "Recording", "load", "source_weights"]


@dataclass(frozen=True)
class Recording:
    """One subject's simulated recording.

    Attributes
    ----------
    responses : (sample, voxel) or (sample, channel, time)
        With the coordinates ``stimulus`` and ``split`` ("train" or "test"); M/EEG also with ``concept``.
    features : name -> (stimulus, feature)
        For every stimulus once, from the lab's miniature models: "c" (text embedding of the captions), "Linear-2",
        "Linear-4" ... "Linear-12" (blocks of CLIP's image tower, shallow to deep), "final" (CLIP's image embedding),
        "z" (image latent).
    images : (stimulus, row, column, colour)
        The pictures, 0 to 1.
    captions : (stimulus, wording) of str
        Five descriptions of each.
    truth : Dataset
        What was planted. fMRI: ``carries`` and ``amplitude`` (layer, voxel), ``ceiling`` (voxel), ``gain`` (region,
        layer); M/EEG: ``peak`` (layer) in s, ``time_course`` (layer, time), ``gain`` and ``latency`` (region, layer),
        ``carries`` and ``amplitude`` (layer, patch). Both: what each ``stimulus`` shows (``concept``, ``group``,
        ``object_x`` ..., see :class:`.stimuli.Stimuli`). What is planted is a drive; feature spaces also share
        information, see :func:`.plan.default_plan`.
    """

    responses: xr.DataArray
    features: Mapping[str, xr.DataArray]
    images: xr.DataArray
    captions: xr.DataArray
    truth: xr.Dataset

    def __repr__(self) -> str:
        dims = ", ".join(f"{k}: {v}" for k, v in self.responses.sizes.items())
        subject = self.responses.attrs["subject"]
        return f"Recording(simulated, subject {subject}, {dims}; features {', '.join(self.features)})"


def load(
    modality: str, *, subject: int = 1, size: str = "small", seed: int = 0, noise: float = 1.0
) -> Recording:
    """Simulate one subject of the embedded lab; the same arguments give the same numbers.

    Pictures and features are kept in the user's cache folder (``cache``); the first call with a new size or seed runs
    the miniature models on them.

    Parameters
    ----------
    modality : "fmri", "eeg" or "meg"
        fMRI is split by image and keeps its trials (3 a stimulus); EEG and MEG are split by concept (40 of 200 held
        out, one image each) and come averaged over trials (coordinate ``trials``): 80 for testing; for training 16
        ("small") or 4 ("full").
    subject : int
        From 1; fMRI and MEG have 4, EEG has 10. Subjects see the same stimuli.
    size : "small" or "full"
        fMRI: 400 or 2,000 training images, 100 or 200 test images. EEG, MEG: 400 or 1,600, and 40.
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
    ModuleNotFoundError
        Without the extra "vision", where nothing is cached, saying how to install it.
    """
    _require_known(modality, subject, size)
    if not noise > 0:
        raise ValueError(
            f"noise is a multiple of the default standard deviation and must be above 0, got {noise}"
        )
    with _without_collection():
        if modality == "fmri":
            return _load_fmri(subject, size, seed, noise)
        return _load_meeg(modality, subject, size, seed, noise)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Hold Python's garbage collector off: it walks over all that imports make again and again, for 2 s in all.

    Where much garbage may lie, it is collected by hand, past what libraries made (which is frozen until the end).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def source_weights(
    modality: str, layer: str, *, subject: int = 1, size: str = "small", seed: int = 0
) -> xr.DataArray:
    """Return the weights that were planted for one feature space of one fMRI subject.

    Parameters
    ----------
    modality : "fmri"
    layer : str
        The feature space, such as "c" or "Linear-2".
    subject, size, seed : as :func:`load` takes them

    Returns
    -------
    (feature, voxel)
        Of features standardised over all stimuli, in units of one trial's unstructured noise.

    Raises
    ------
    ValueError
        For unknown arguments, naming the allowed ones.
    """
    from . import fmri, plan

    require_choice(modality, ("fmri",), what="modality")
    _require_known(modality, subject, size)
    require_choice(layer, plan.LAYERS, what="layer")
    seen = _see(modality, size, seed)
    return fmri.source_weights(
        seen.features[layer], layer, plan.default_plan(), seed=_own(seed, modality, subject)
    )


def _require_known(modality: str, subject: int, size: str) -> None:
    require_choice(modality, _MODALITIES, what="modality")
    require_choice(size, SIZES, what="size")
    require_choice(subject, range(1, SUBJECTS[modality] + 1), what=f"subject of {modality!r}")


@dataclass(frozen=True)
class _Seen:
    """Stimuli with all that is computed from them."""

    made: Stimuli
    features: Mapping[str, xr.DataArray]
    images: xr.DataArray
    captions: xr.DataArray


def _see(modality: str, size: str, seed: int) -> _Seen:
    """Make the stimuli of a recording; their pictures and features come from the cache where they are there."""
    from . import cache, features, plan, stimuli

    split, make = ("image", stimuli.by_image) if modality == "fmri" else ("concept", stimuli.by_concept)
    train, test = (_FMRI if modality == "fmri" else _MEEG)[size][:2]
    made = make(train=train, test=test, seed=seed)
    captions = stimuli.write_captions(made)

    def compute() -> dict[str, xr.DataArray]:
        models = features.load_models()
        gc.freeze()
        images = stimuli.draw_images(made)
        return {"images": images, **features.extract(images, captions, models)}

    found = cache.remembered(
        f"{split}-{size}-{seed}",
        ("images", *plan.LAYERS),
        compute,
        key=cache.key(split=split, train=train, test=test, seed=seed),
    )
    gc.collect()
    return _Seen(made, {name: found[name] for name in plan.LAYERS}, found["images"], captions)


def _load_fmri(subject: int, size: str, seed: int, noise: float) -> Recording:
    from . import fmri, plan

    seen = _see("fmri", size, seed)
    responses, truth = fmri.simulate(
        seen.features,
        seen.made.table["split"],
        plan.default_plan(),
        subject=f"lab-fmri-{subject}",
        seed=_own(seed, "fmri", subject),
        repeats=_REPEATS,
        noise=noise,
    )
    return _recording(responses, seen, truth)


def _load_meeg(modality: str, subject: int, size: str, seed: int, noise: float) -> Recording:
    from . import meeg, plan

    seen = _see(modality, size, seed)
    table, (_, _, *trials) = seen.made.table, _MEEG[size]
    responses, truth = meeg.simulate(
        seen.features,
        table.assign(trials=("stimulus", np.where(table["split"] == "train", *trials))),
        plan.default_plan(),
        kind=modality,
        subject=f"lab-{modality}-{subject}",
        seed=_own(seed, modality, subject),
        noise=noise,
    )
    concept = table["concept"].sel(stimulus=responses["stimulus"].values)
    return _recording(responses.assign_coords(concept=("sample", concept.values)), seen, truth)


def _own(seed: int, modality: str, subject: int) -> list[int]:
    return [seed, 100 + _MODALITIES.index(modality), subject]


def _recording(responses: xr.DataArray, seen: _Seen, truth: xr.Dataset) -> Recording:
    truth = truth.assign_coords(seen.made.table.drop_vars("split").data_vars)
    return Recording(responses, MappingProxyType(dict(seen.features)), seen.images, seen.captions, truth)
