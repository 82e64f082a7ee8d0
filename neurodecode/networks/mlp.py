"""A multilayer perceptron of three layers on all predictors of a sample (Table 7 of MindDiffuser, 2025).

The table names the layers and no widths; these are ours.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ._torch import torch

WIDTHS = {"full": 1024, "small": 256}
DROPOUT = 0.5


def build(axes: tuple[int, ...], outputs: int, *, size: str = "full") -> Any:
    """Network from (n, ...) to (n, outputs): linear, layer norm, GELU, dropout .5, twice; linear."""
    nn, width = torch().nn, WIDTHS[size]
    hidden = []
    for before in (prod(axes), width):
        hidden += [nn.Linear(before, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, outputs))
