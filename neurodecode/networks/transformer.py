"""A Transformer of three layers (Table 7 of MindDiffuser, 2025; Vaswani et al. 2017), norms first.

Of epochs every time sample is a token. A pattern without time, such as voxels, is cut into 16 pieces, the last filled
up with zeros. The table names the layers and no widths; these are ours.
"""

from __future__ import annotations

from typing import Any

from ._blocks import encoder_layer
from ._torch import torch

# Width of a token, heads.
WIDTHS = {"full": (256, 8), "small": (64, 4)}
LAYERS, PIECES, DROPOUT = 3, 16, 0.1


def build(axes: tuple[int, ...], outputs: int, *, size: str = "full") -> Any:
    """Network from (n, channel, time) or (n, voxel) to (n, outputs): tokens, their places, 3 layers, mean, linear."""
    nn = torch().nn
    width, heads = WIDTHS[size]
    inside, tokens = axes if len(axes) == 2 else (-(-axes[0] // PIECES), PIECES)
    lacking = 0 if len(axes) == 2 else inside * PIECES - axes[0]

    class Transformer(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(inside, width)
            self.place = nn.Parameter(0.02 * torch().randn(tokens, width))
            each = (
                encoder_layer(width, heads, 4 * width, dropout=DROPOUT, norm_first=True)
                for _ in range(LAYERS)
            )
            self.encoder = nn.Sequential(*each, nn.LayerNorm(width))
            self.out = nn.Linear(width, outputs)

        def forward(self, x: Any) -> Any:
            if len(axes) == 2:
                x = x.transpose(1, 2)
            else:
                x = nn.functional.pad(x, (0, lacking)).unflatten(1, (PIECES, inside))
            return self.out(self.encoder(self.embed(x) + self.place).mean(1))

    return Transformer()
