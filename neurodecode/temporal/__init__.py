"""Floor 3: when. Windows, decoding over time, generalisation across time, sensor patterns (Fig. 9e-f)."""

from .patterns import patterns
from .sweep import generalise, sweep
from .windows import SCHEMES, windows

__all__ = ["SCHEMES", "generalise", "patterns", "sweep", "windows"]
