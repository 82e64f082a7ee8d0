"""Floor 2: image and text encoders with named layers, image latents, and the features of stimuli that they give.

``load``, ``load_text`` and ``load_latents`` take ``"lab"`` for the miniature models that ship with the package, a
folder, or the name of a published model; everything after that line is the same. Needs the extra ``vision``.
"""

from .encoders import STRUCTURE, Encoder, load
from .features import extract_features, latent_features, text_features
from .latents import Latents, load_latents
from .text import TextEncoder, load_text

__all__ = [
    "STRUCTURE",
    "Encoder",
    "Latents",
    "TextEncoder",
    "extract_features",
    "latent_features",
    "load",
    "load_latents",
    "load_text",
    "text_features",
]
