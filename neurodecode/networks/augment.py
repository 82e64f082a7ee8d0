"""Changes of standardised training batches, off by default: every epoch sees every sample a little differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..labels import require_choice
from ._torch import torch

KINDS = ("noise", "shift", "channels")


def checked(augment: Mapping[str, float] | None) -> dict[str, float]:
    """Return augmentations by name.

    Raises
    ------
    ValueError
        Unknown names, or amounts that make no sense.
    """
    found = {} if augment is None else {str(k): float(v) for k, v in dict(augment).items()}
    for name, amount in found.items():
        require_choice(name, KINDS, what="augmentation")
        if not 0 <= amount < (1 if name == "channels" else float("inf")) or (name == "shift" and amount % 1):
            raise ValueError(
                f"augmentation {name}={amount:g}: 'noise' is an SD from 0, 'shift' a whole number of samples from 0, "
                "'channels' a share from 0 to below 1"
            )
    return found


def require_times(amounts: Mapping[str, float], times: int) -> None:
    """Refuse a shift that could move a sample of so many time samples (1 without a time axis) out of itself.

    Raises
    ------
    ValueError
        With both numbers.
    """
    shift = int(amounts.get("shift", 0))
    if shift and shift >= times:
        raise ValueError(
            f"augmentation shift={shift} moves responses by up to so many time samples, of which they have {times}: "
            "nothing would be left of some; give a smaller one, or leave 'shift' out"
        )


def augmented(x: Any, amounts: Mapping[str, float]) -> Any:
    """Change a batch (n, channel, time) or (n, voxel), by torch's own random numbers.

    noise: normal numbers of that SD are added; shift: every sample moves by up to so many time samples, zeros coming
    in; channels: that share of channels (or voxels), drawn for every sample, is set to 0.
    """
    if amounts.get("shift"):
        x = _shifted(x, int(amounts["shift"]))
    if amounts.get("noise"):
        x = x + amounts["noise"] * torch().randn_like(x)
    if amounts.get("channels"):
        shape = (*x.shape[:2], *[1] * (x.ndim - 2))
        x = x * (torch().rand(shape, device=x.device) >= amounts["channels"])
    return x


def _shifted(x: Any, most: int) -> Any:
    times = x.shape[2]
    by = torch().randint(-most, most + 1, (len(x), 1), device=x.device)
    source = torch().arange(times, device=x.device)[None] - by
    moved = x.gather(2, source.clamp(0, times - 1)[:, None].expand_as(x))
    return moved * ((source >= 0) & (source < times))[:, None]
