"""The lab's features: what its miniature models say of its pictures and captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ...brain import spaces

if TYPE_CHECKING:
    from ...vision import Encoder, Latents, TextEncoder

# Blocks of the image tower whose MLP output is a feature space, and the image's embedding.
CLIP_LAYERS = ("Linear-2", "Linear-4", "Linear-6", "Linear-8", "Linear-10", "Linear-12", "final")


def load_models() -> tuple[TextEncoder, Encoder, Latents]:
    """Load the miniature models; most of the time goes into importing their libraries."""
    from ... import vision

    return vision.load_text("lab"), vision.load("lab"), vision.load_latents("lab")


def extract(
    images: xr.DataArray, captions: xr.DataArray, models: tuple[TextEncoder, Encoder, Latents]
) -> dict[str, xr.DataArray]:
    """Run the miniature models.

    Parameters
    ----------
    images : (stimulus, row, column, colour)
    captions : (stimulus, wording) of str
    models
        From :func:`load_models`.

    Returns
    -------
    name -> (stimulus, feature), float32
        "c": text embedding, mean over an image's captions, 14 tokens x 128. "Linear-2" to "Linear-12": 17 tokens x
        128, with ``field_x`` and ``field_y`` of each patch. "final": the image's embedding, 128. "z": image latent,
        4 x 16 x 16, with ``field_x`` and ``field_y``.
    """
    from ... import vision

    tokens, encoder, latents = models
    text = vision.text_features(captions, tokens, progress=False)
    clip = vision.extract_features(images, encoder, CLIP_LAYERS, progress=False)
    latent = vision.latent_features(images, latents, progress=False)
    found = {"c": text, **spaces(clip), "z": latent}
    return {name: _marked(space) for name, space in found.items()}


def _marked(space: xr.DataArray) -> xr.DataArray:
    """Say where the values are from, and drop places and tokens from a space that has none."""
    out = space.transpose("stimulus", "feature")
    # In memory as it will be when read from the cache: matrix products differ in the last digit by layout.
    out = out.copy(data=np.ascontiguousarray(out.values, dtype=np.float32))
    if "field_x" in out.coords and bool(out["field_x"].isnull().all()):
        out = out.drop_vars(["token", "field_x", "field_y"])
    # The date in a provenance would make equal features differ.
    kept = {k: v for k, v in space.attrs.items() if k != "provenance"}
    out.attrs = kept | {"origin": "simulated", "units": "a.u."}
    return out
