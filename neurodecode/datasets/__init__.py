"""Floor 2: data sets, one module each, all with ``load(...)``.

``lab`` is the embedded one: simulated brains with a known truth, made in seconds and without any download.
Nothing is loaded, read or simulated when this package is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "bids",
    "eeg_n170",
    "eeg_pictures",
    "haxby",
    "kamitani",
    "lab",
    "nsd",
    "own",
    "prepared",
    "resting",
    "stimuli",
    "things_eeg",
    "things_meg",
]

if TYPE_CHECKING:
    from . import (
        bids,
        eeg_n170,
        eeg_pictures,
        haxby,
        kamitani,
        lab,
        nsd,
        own,
        prepared,
        resting,
        stimuli,
        things_eeg,
        things_meg,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
