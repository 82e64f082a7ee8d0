"""NICE (Song et al. 2024, "Decoding natural images from EEG for object recognition", ICLR).

The temporal-spatial convolution, then a 1 x 1 convolution over filters, which the authors' code has and Table 1 leaves
out, and their initial weights: normal, SD .02. The published network was trained with ``loss="infonce"`` to image
embeddings.
"""

from __future__ import annotations

from typing import Any

from ._blocks import convolution, head
from ._torch import torch

FILTERS = {"full": 40, "small": 16}


def build(axes: tuple[int, ...], outputs: int, *, size: str = "full") -> Any:
    """Network from (n, channel, time) to (n, outputs)."""
    nn, filters = torch().nn, FILTERS[size]
    layers, flat = convolution(*axes, filters=filters)
    network = nn.Sequential(*layers, nn.Conv2d(filters, filters, 1), nn.Flatten(), *head(flat, outputs))
    return network.apply(_begin)


def _begin(module: Any) -> None:
    nn = torch().nn
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
