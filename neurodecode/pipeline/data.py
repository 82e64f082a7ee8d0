"""One subject: responses, features, pictures; of the lab, or from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from .. import inputs, store
from ..labels import PICTURE, STIMULUS


@dataclass(frozen=True)
class Data:
    """One subject's responses, the features and the pictures of the stimuli and, for the lab, the truth."""

    responses: xr.DataArray
    features: Mapping[str, xr.DataArray]
    images: xr.DataArray
    modality: str
    truth: xr.Dataset | None = None

    @property
    def subject(self) -> str:
        """Name of the subject."""
        return str(self.responses.attrs.get("subject", "unnamed"))


def lab_data(modality: str, *, subject: int = 1, size: str = "small", seed: int = 0) -> Data:
    """Simulate one subject of the embedded lab."""
    from ..datasets import lab

    found = lab.load(modality, subject=subject, size=size, seed=seed)
    return Data(found.responses, found.features, found.images, modality, found.truth)


def data_from(responses: str | Path, features: Sequence[str | Path], images: str | Path | None) -> Data:
    """Load responses with the coordinate ``split``, features and pictures that neurodecode.save wrote.

    Raises
    ------
    ValueError
        If one of the three is not named or holds something else.
    """
    if not features or images is None:
        raise ValueError(
            "responses from a file need --features FILE ... (c, z and the encoder's layers) and --images FILE (the "
            "pictures that were shown, to compare with)"
        )
    shown = store.load(images)
    if not isinstance(shown, xr.DataArray) or set(shown.dims) != {STIMULUS, *PICTURE}:
        raise ValueError(
            f"{str(images)!r} holds no pictures: a DataArray (stimulus, row, column, colour) is needed, it is "
            f"{type(shown).__name__} {tuple(map(str, shown.dims))}. Make one with neurodecode.brain.images"
        )
    found = inputs.responses_from(responses)
    modality = "fmri" if "voxel" in found.dims else "meeg"
    return Data(found, inputs.features_from(features), shown, modality)
