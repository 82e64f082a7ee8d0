"""A Transformer of three layers (Table 7 of MindDiffuser, 2025; Vaswani et al. 2017), norms first.

Epochs are cut along time into at most 16 pieces of all channels, which are the tokens, as patches are in PatchTST (Nie
et al. 2023, ICLR); a pattern without time, such as voxels, is cut likewise; the last piece is filled up with zeros.
Every token is read by weights of its own: with a mean over tokens, a network would have to learn from few trials when a
response comes before it could learn what it says. The table names the layers and no widths; these are ours.
"""

from __future__ import annotations

from typing import Any

from ._blocks import encoder_layer
from ._torch import torch

# Width of a token, heads, numbers of each token that are read.
WIDTHS = {"full": (256, 8, 64), "small": (64, 4, 32)}
LAYERS, PIECES, DROPOUT = 3, 16, 0.1


def build(axes: tuple[int, ...], outputs: int, *, size: str = "full") -> Any:
    """Network from (n, channel, time) or (n, voxel) to (n, outputs): tokens, their places, 3 layers, readout."""
    nn = torch().nn
    width, heads, read = WIDTHS[size]
    each = -(-axes[-1] // PIECES)
    tokens = -(-axes[-1] // each)
    inside = each if len(axes) == 1 else axes[0] * each

    class Transformer(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(inside, width)
            self.place = nn.Parameter(0.02 * torch().randn(tokens, width))
            layers = (
                encoder_layer(width, heads, 4 * width, dropout=DROPOUT, norm_first=True)
                for _ in range(LAYERS)
            )
            self.encoder = nn.Sequential(*layers, nn.LayerNorm(width))
            self.out = nn.Sequential(
                nn.Linear(width, read), nn.Flatten(), nn.Dropout(0.5), nn.Linear(tokens * read, outputs)
            )

        def forward(self, x: Any) -> Any:
            x = nn.functional.pad(x, (0, tokens * each - x.shape[-1])).unflatten(-1, (tokens, each))
            if len(axes) == 2:
                x = x.transpose(1, 2).flatten(2)
            return self.out(self.encoder(self.embed(x) + self.place))

    return Transformer()
