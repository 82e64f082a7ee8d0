"""Floor 3: pictures from brain responses, by any differentiable generator.

``TwoStage(...).imagine(responses)`` makes first pictures of decoded latents; ``.refine(responses)`` moves these latents
by gradients until the pictures' features meet the decoded ones.
"""

from .concepts import ByConcept, concept_features
from .decoders import Calibrated, Known, Unshrunk, precision
from .descent import Settings
from .generators import (
    Autoencoder,
    Generator,
    LatentDiffusion,
    Memory,
    Module,
    Pixels,
    Schedule,
    load_diffusion,
)
from .recipes import RECIPES, Recipe
from .structure import StructureLoss
from .two_stage import TwoStage

__all__ = [
    "RECIPES",
    "Autoencoder",
    "ByConcept",
    "Calibrated",
    "Generator",
    "Known",
    "LatentDiffusion",
    "Memory",
    "Module",
    "Pixels",
    "Recipe",
    "Schedule",
    "Settings",
    "StructureLoss",
    "TwoStage",
    "Unshrunk",
    "concept_features",
    "load_diffusion",
    "precision",
]
