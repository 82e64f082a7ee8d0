"""EEGNet, its fourth version (Lawhern et al. 2018, J. Neural Eng. 15, 056013), by the layer table of the paper.

"full" is EEGNet-8,2 and "small" EEGNet-4,2: temporal filters, and spatial filters for each. Spatial filters keep a norm
of at most 1, as published. Two things differ: the paper's bound on the classifier (.25) is left away, since a linear
readout of features is no classifier; and batch norms forget at torch's rate (.1 a batch, published .01), so that the
few batches of a small recording suffice.
"""

from __future__ import annotations

from typing import Any

from ._blocks import shrunk
from ._torch import torch

FILTERS, DEPTH = {"full": 8, "small": 4}, 2
# Samples of the shortest window that the published kernels were used with: 1 s at 128 Hz.
WINDOW = 128
# The authors' code; the paper takes .5 within subjects.
DROPOUT = 0.25


def build(axes: tuple[int, ...], outputs: int, *, size: str = "full", kernel: int = 64) -> Any:
    """Network from (n, channel, time) to (n, outputs).

    Windows shorter than 128 samples shrink the kernels (64, 16) and pools (4, 8) in proportion, to 1 at least.
    """
    nn = torch().nn
    channels, times = axes
    temporal, separable, first, second = (shrunk(s, times, window=WINDOW) for s in (kernel, 16, 4, 8))
    few, many = FILTERS[size], FILTERS[size] * DEPTH
    spatial = nn.Conv2d(few, many, (channels, 1), groups=few, bias=False)
    spatial.register_forward_pre_hook(_bound)
    return nn.Sequential(
        nn.Unflatten(1, (1, channels)),
        _same(temporal),
        nn.Conv2d(1, few, (1, temporal), bias=False),
        nn.BatchNorm2d(few, eps=1e-3),
        spatial,
        nn.BatchNorm2d(many, eps=1e-3),
        nn.ELU(),
        nn.AvgPool2d((1, first)),
        nn.Dropout(DROPOUT),
        _same(separable),
        nn.Conv2d(many, many, (1, separable), groups=many, bias=False),
        nn.Conv2d(many, many, 1, bias=False),
        nn.BatchNorm2d(many, eps=1e-3),
        nn.ELU(),
        nn.AvgPool2d((1, second)),
        nn.Dropout(DROPOUT),
        nn.Flatten(),
        nn.Linear(many * (times // first // second), outputs),
    )


def _same(kernel: int) -> Any:
    """Zeros around time, so that a convolution keeps its length; of an even number more at the end."""
    return torch().nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0))


def _bound(module: Any, _: Any) -> None:
    """Scale filters down to a norm of 1 before they are used."""
    with torch().no_grad():
        module.weight.copy_(torch().renorm(module.weight, 2, 0, 1.0))
