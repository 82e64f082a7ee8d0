"""The convolutional regressor of MEG of Benchetrit et al. (2024) on the brain module of Défossez et al. (2023).

Benchetrit, Banville & King, "Brain decoding: toward real-time reconstruction of visual perception", ICLR 2024;
Défossez, Caucheteux, Rapin, Kabeli & King, "Decoding speech perception from non-invasive brain recordings", Nature
Machine Intelligence 5. Sensors become 270 virtual channels, then a 1 x 1 convolution without activation and, if wanted,
a linear map of each subject's own. Each block has two dilated convolutions (kernel 3, batch norm, GELU), whose input is
added after the GELU, except where 270 channels become 320, and one to 640 channels with a GLU. Two 1 x 1 convolutions
with a GELU between them, one affine map of time to a single number, and a head end it. The published loss is
``{"infonce": 0.75, "mse": 0.25}``. Zeros stand around time, so that windows of any length keep their kernels.

What differs: the published map to virtual channels is attention by the sensors' positions, which a network does not see
here, so it is learned freely for one layout of sensors; its dropout of neighbouring sensors is left away. One head
serves both losses; published are two. Time is reduced before the second 1 x 1 convolution and not after it: linear maps
over channels and over time can change places, and it costs one product instead of one for every time sample. Subjects'
maps begin at the identity, not at random, so that their mean means something for a new subject.

Checked against the released code of 2023: widths, kernels, dilations, the order within blocks, the two 1 x 1
convolutions. Not checked, since no full text of the paper of 2024 was at hand: that it takes two blocks (2023: five)
and 2,048 channels before the head, and what its head has (here layer norm, GELU, linear).
"""

from __future__ import annotations

from typing import Any

from ._blocks import of_subject, residual
from ._torch import torch

# Virtual channels, channels of the blocks, numbers before the head; blocks.
WIDTHS = {"full": (270, 320, 2048), "small": (64, 80, 512)}
BLOCKS = {"full": 2, "small": 1}
# Dilations double from convolution to convolution and begin anew after so many.
PERIOD = 5


def build(axes: tuple[int, ...], outputs: int, *, size: str = "full", subjects: int = 0) -> Any:
    """Network from (n, channel, time), with ``subjects`` also (n) of their numbers, to (n, outputs).

    A number of -1 stands for a subject that was not trained on: the mean of all maps.
    """
    nn = torch().nn
    channels, times = axes
    virtual, width, latent = WIDTHS[size]

    class Benchetrit(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.space = nn.Sequential(
                nn.Conv1d(channels, virtual, 1, bias=False), nn.Conv1d(virtual, virtual, 1)
            )
            same = torch().eye(virtual).flatten().repeat(subjects, 1)
            self.subject = nn.Embedding.from_pretrained(same, freeze=False) if subjects else None
            blocks = [block(k, width if k else virtual, width) for k in range(BLOCKS[size])]
            self.blocks = nn.Sequential(*blocks, nn.Conv1d(width, 2 * width, 1), nn.GELU())
            self.time = nn.Linear(times, 1)
            self.latent = nn.Sequential(nn.Flatten(), nn.Linear(2 * width, latent))
            self.head = nn.Sequential(nn.LayerNorm(latent), nn.GELU(), nn.Linear(latent, outputs))

        def forward(self, x: Any, subject: Any = None) -> Any:
            x = self.space(x)
            if self.subject is not None:
                x = of_subject(self.subject, subject).unflatten(1, (virtual, virtual)) @ x
            return self.head(self.latent(self.time(self.blocks(x))))

    return Benchetrit()


def block(number: int, before: int, width: int) -> Any:
    """Block ``number`` from 0 on, (n, before, time) to (n, width, time): two dilated convolutions, one with a GLU."""
    nn = torch().nn
    layers: list[Any] = []
    for place, inputs in ((2 * number, before), (2 * number + 1, width)):
        far = 2 ** (place % PERIOD)
        each = (nn.Conv1d(inputs, width, 3, padding=far, dilation=far), nn.BatchNorm1d(width), nn.GELU())
        layers += [residual(*each)] if inputs == width else each
    return nn.Sequential(*layers, nn.Conv1d(width, 2 * width, 3, padding=1), nn.GLU(dim=1))
