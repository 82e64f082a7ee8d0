"""neurodecode: labelled brain data in, interpretable ridge encoders and decoders out.

Rooms are loaded when first used, so that ``import neurodecode`` stays fast and light:

>>> import neurodecode as nd
>>> nd.RidgeDecoder(alpha=10.0).alpha
10.0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = (
    "brain",
    "ceilings",
    "datasets",
    "encoding",
    "folds",
    "inference",
    "labels",
    "linear",
    "methods",
    "metrics",
    "networks",
    "pipeline",
    "plot",
    "prepare",
    "reconstruction",
    "report",
    "retrieval",
    "rsa",
    "score",
    "selection",
    "spatial",
    "store",
    "temporal",
    "vision",
)
_FROM_ROOM = {"RidgeDecoder": "linear", "RidgeEncoder": "linear", "load": "store", "save": "store"}

__all__ = [
    "RidgeDecoder",
    "RidgeEncoder",
    "brain",
    "ceilings",
    "datasets",
    "encoding",
    "folds",
    "inference",
    "labels",
    "linear",
    "load",
    "methods",
    "metrics",
    "networks",
    "pipeline",
    "plot",
    "prepare",
    "reconstruction",
    "report",
    "retrieval",
    "rsa",
    "save",
    "score",
    "selection",
    "spatial",
    "store",
    "temporal",
    "vision",
]

if TYPE_CHECKING:
    from . import (
        brain,
        ceilings,
        datasets,
        encoding,
        folds,
        inference,
        labels,
        linear,
        methods,
        metrics,
        networks,
        pipeline,
        plot,
        prepare,
        reconstruction,
        report,
        retrieval,
        rsa,
        score,
        selection,
        spatial,
        store,
        temporal,
        vision,
    )
    from .linear import RidgeDecoder, RidgeEncoder
    from .store import load, save


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _FROM_ROOM:
        return getattr(import_module(f"{__name__}.{_FROM_ROOM[name]}"), name)
    raise AttributeError(f"module 'neurodecode' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
