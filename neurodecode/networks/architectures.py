"""The networks by name, their layer tables, and the memory that one takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple

from ..labels import listed, require_choice, require_memory
from . import atm, benchetrit, eegnet, mlp, nice, temporal_spatial, transformer
from ._torch import torch

Build = Callable[..., Any]
_BUILDERS: Mapping[str, Build] = MappingProxyType(
    {
        "temporal_spatial": temporal_spatial.build,
        "nice": nice.build,
        "eegnet": eegnet.build,
        "atm": atm.build,
        "benchetrit": benchetrit.build,
        "mlp": mlp.build,
        "transformer": transformer.build,
    }
)
ARCHITECTURES = tuple(_BUILDERS)
SIZES = ("small", "full")
# As they are called in print.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "temporal_spatial": "temporal-spatial",
        "nice": "NICE",
        "eegnet": "EEGNet",
        "atm": "ATM",
        "benchetrit": "Benchetrit et al.",
        "mlp": "MLP",
        "transformer": "Transformer",
    }
)
# Networks that also take responses without channels, such as voxels.
ANY_AXES = ("mlp", "transformer")
# Networks that learn something for each subject.
BY_SUBJECT = ("atm", "benchetrit")
BYTES = 4
REMEDY = "take size='small', fewer features or channels, shorter windows, or a smaller batch"


class Layer(NamedTuple):
    """One layer: its kind in torch, what a sample becomes in it, its trained parameters."""

    kind: str
    shape: tuple[int, ...]
    parameters: int


def build(architecture: str, axes: tuple[int, ...], outputs: int, *, size: str, subjects: int = 0) -> Any:
    """Return a new torch network from samples (n, *axes) to (n, outputs)."""
    options = {"subjects": subjects} if subjects else {}
    return _BUILDERS[architecture](axes, outputs, size=size, **options)


def require_by_subject(architecture: str, *, what: str) -> None:
    """Refuse subjects of a network that learns nothing for each; ``what`` is the setting that asked for it.

    Raises
    ------
    ValueError
        Naming the networks that do.
    """
    if architecture not in BY_SUBJECT:
        raise ValueError(
            f"only {listed(BY_SUBJECT)} learn something for each subject, not {architecture!r}; leave {what} out"
        )


def layers(
    architecture: str, axes: tuple[int, ...], outputs: int, *, size: str = "full", subjects: int = 0
) -> list[Layer]:
    """Return the layer table of a network, without taking memory for it.

    Parameters
    ----------
    architecture : one of ``ARCHITECTURES``
    axes : (channels, time samples), or (voxels,) for "mlp" and "transformer"
    outputs : number of features
    size : "full" for the published widths, or "small"
    subjects : how many have a token ("atm") or a map ("benchetrit") of their own

    Raises
    ------
    ValueError
        Unknown names, or axes or subjects that the network does not take.
    """
    require_choice(architecture, ARCHITECTURES, what="architecture")
    require_choice(size, SIZES, what="size")
    if subjects:
        require_by_subject(architecture, what="subjects")
    if len(axes) != 2 and architecture not in ANY_AXES:
        raise ValueError(
            f"{architecture!r} takes (channels, time samples), not {axes}; use 'mlp' or 'transformer'"
        )
    found: list[Layer] = []
    with torch().device("meta"), torch().no_grad():
        network = build(architecture, axes, outputs, size=size, subjects=subjects)
        own = [module for module in network.modules() if not any(True for _ in module.children())]
        for module in own:
            module.register_forward_hook(lambda m, _, out: found.append(_layer(m, out)))
        some = (torch().empty(2, *axes), torch().zeros(2, dtype=torch().long))
        network(*some[: 1 + bool(subjects)])
    # Parameters outside of layers, such as the places of tokens.
    rest = sum(p.numel() for p in network.parameters()) - sum(x.parameters for x in found)
    return [*found, Layer("Parameter", (), rest)] if rest else found


def _layer(module: Any, output: Any) -> Layer:
    parameters = sum(p.numel() for p in module.parameters())
    output = output[0] if isinstance(output, tuple) else output
    return Layer(type(module).__name__, tuple(output.shape[1:]), parameters)


def require_room(table: list[Layer], *, batch: int, keeps_best: bool, device: Any, what: str) -> None:
    """Refuse a training that would not fit: weights, gradients, two moments, the best weights, a batch's layers.

    Raises
    ------
    MemoryError
        With the estimate, what is free, and a remedy.
    """
    parameters = sum(layer.parameters for layer in table)
    numbers = sum(prod(layer.shape) for layer in table)
    there = BYTES * (4 * parameters + 2 * batch * numbers)
    best = BYTES * parameters * (1 + keeps_best)
    what = f"training {what} ({parameters:,} parameters, batches of {batch})"
    if device.type != "cuda":
        require_memory(there + best, what=what, remedy=REMEDY)
        return
    require_memory(best, what=f"the weights of {what}", remedy=REMEDY)
    free, _ = torch().cuda.mem_get_info(device)
    if there > free:
        raise MemoryError(
            f"{what} would need about {there / 2**30:.1f} GiB but only {free / 2**30:.1f} GiB of {device} are free; "
            f"{REMEDY}"
        )
