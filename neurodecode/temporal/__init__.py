"""Floor 3: when. Windows, decoding over time, generalisation, sensor patterns (Fig. 9e-f); what a decoder leans on."""

from .gradients import Differentiable, gradient_input
from .nulls import sweep_null
from .occlusion import occlusion
from .patterns import patterns
from .sweep import generalise, sweep
from .windows import SCHEMES, windows

__all__ = [
    "SCHEMES",
    "Differentiable",
    "generalise",
    "gradient_input",
    "occlusion",
    "patterns",
    "sweep",
    "sweep_null",
    "windows",
]
