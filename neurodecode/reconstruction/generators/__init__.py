"""Generators: named latents in, pictures out, differentiable. The reconstruction knows them by their protocol alone."""

from .base import Generator
from .diffusion import LatentDiffusion, Memory, Schedule, load_diffusion
from .simple import Autoencoder, Module, Pixels

__all__ = [
    "Autoencoder",
    "Generator",
    "LatentDiffusion",
    "Memory",
    "Module",
    "Pixels",
    "Schedule",
    "load_diffusion",
]
