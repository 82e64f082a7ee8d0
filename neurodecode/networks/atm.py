"""ATM (Li et al. 2024, "Visual decoding and reconstruction via EEG embeddings with guided diffusion", NeurIPS).

An inverted transformer, in which every channel is a token (Liu et al. 2024, iTransformer, ICLR), then the
temporal-spatial convolution and the head of NICE. Every window becomes tokens of the same width, which the convolution
takes for time: short windows need no other kernels. Heads are 250 // 4 = 62 wide, as in the authors' code, so queries,
keys and values have 248 numbers. Their token of the subject stands before the channels; here it is taken off again
after the encoder (the released code keeps it and loses the last channel). There is no code of position: the spatial
convolution knows the order of the channels.
"""

from __future__ import annotations

from typing import Any

from ._blocks import convolution, encoder_layer, head, of_subject
from ._torch import torch

# Width of a token, of the feed-forward layer, filters of the convolution.
WIDTHS = {"full": (250, 256, 40), "small": (64, 64, 16)}
HEADS, DROPOUT = 4, 0.25


def build(axes: tuple[int, ...], outputs: int, *, size: str = "full", subjects: int = 0) -> Any:
    """Network from (n, channel, time), with ``subjects`` also (n) of their numbers, to (n, outputs).

    A number of -1 stands for a subject that was not trained on: the mean of all tokens.
    """
    nn = torch().nn
    channels, times = axes
    width, forward, filters = WIDTHS[size]
    layers, flat = convolution(channels, width, filters=filters)

    class ATM(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(times, width)
            self.drop = nn.Dropout(DROPOUT)
            self.subject = nn.Embedding(subjects, width) if subjects else None
            self.encoder = encoder_layer(width, HEADS, forward, dropout=DROPOUT)
            self.norm = nn.LayerNorm(width)
            self.convolution = nn.Sequential(*layers, nn.Conv2d(filters, filters, 1), nn.Flatten())
            self.head = nn.Sequential(*head(flat, outputs))

        def forward(self, x: Any, subject: Any = None) -> Any:
            tokens = self.embed(x)
            if self.subject is not None:
                token = of_subject(self.subject, subject)
                tokens = torch().cat([token[:, None], tokens], dim=1)
            tokens = self.norm(self.encoder(self.drop(tokens)))
            return self.head(self.convolution(tokens[:, -channels:]))

    return ATM()
