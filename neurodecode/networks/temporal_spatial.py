"""The temporal-spatial convolution with a projection head: Table 1 of MindDiffuser (2025)."""

from __future__ import annotations

from typing import Any

from ._blocks import convolution, head
from ._torch import torch

FILTERS = {"full": 40, "small": 16}


def build(axes: tuple[int, ...], outputs: int, *, size: str = "full") -> Any:
    """Network from (n, channel, time) to (n, outputs); 63 channels x 250 samples reach the head as 1,440 numbers."""
    nn = torch().nn
    layers, flat = convolution(*axes, filters=FILTERS[size])
    return nn.Sequential(*layers, nn.Flatten(), *head(flat, outputs))
