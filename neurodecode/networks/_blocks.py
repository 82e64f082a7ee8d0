"""What several networks are made of: kernels that fit short windows, the temporal-spatial convolution, the head."""

from __future__ import annotations

from typing import Any

from ._torch import torch

# Up to so many outputs the head's residual is a full matrix, as published; above, one of rank RANK: of 38,400 outputs
# the full one alone would be 5.9 GB, and 24 GB in training.
SQUARE, RANK = 4096, 1024
# A layer norm over fewer outputs would leave little of them: of one nothing, of two a sign.
NORMED = 16
# Samples of the window that the convolution was published for: 1 s at 250 Hz.
WINDOW = 250


def shrunk(size: int, times: int, *, window: int = WINDOW) -> int:
    """Samples of a kernel, pool or stride for a window of ``times`` samples.

    Windows shorter than the published ``window`` shrink it in proportion, rounded, to 1 at least; longer ones leave it.

    >>> shrunk(25, 250), shrunk(25, 1000), shrunk(25, 50), shrunk(25, 3)
    (25, 25, 5, 1)
    """
    return max(1, round(size * min(1.0, times / window)))


def convolution(channels: int, times: int, *, filters: int) -> tuple[list[Any], int]:
    """Table 1 of MindDiffuser (2025), after Song et al. (2024): layers, and how many numbers a sample becomes.

    Temporal convolution (1, 25), average pool (1, 51) in steps of 5, batch norm, ELU, spatial convolution
    (channels, 1), batch norm, ELU, dropout .5. Kernels of short windows: :func:`shrunk`.
    """
    nn = torch().nn
    kernel, pool, step = (shrunk(size, times) for size in (25, 51, 5))
    layers = [
        nn.Unflatten(1, (1, channels)),
        averaged(nn.Conv2d(1, filters, (1, kernel)), nn.AvgPool2d((1, pool), (1, step))),
        nn.BatchNorm2d(filters),
        nn.ELU(),
        nn.Conv2d(filters, filters, (channels, 1)),
        nn.BatchNorm2d(filters),
        nn.ELU(),
        nn.Dropout(0.5),
    ]
    return layers, filters * ((times - kernel + 1 - pool) // step + 1)


def averaged(convolution: Any, pool: Any) -> Any:
    """A convolution, then an average pool, computed the other way round.

    Both are linear and the same at all times, so they can change places: the pool in steps of one sample, then the
    convolution in those of the pool. Averages are then of one map instead of one a filter, and what would be left out
    is not convolved. On torch's device "meta", which only tells shapes, the layers come in their order.
    """
    nn = torch().nn

    class Averaged(nn.Sequential):  # type: ignore[name-defined]
        def forward(self, x: Any) -> Any:
            if x.device.type == "meta":
                return super().forward(x)
            x = nn.functional.avg_pool2d(x, pool.kernel_size, 1)
            return nn.functional.conv2d(x, convolution.weight, convolution.bias, pool.stride)

    return Averaged(convolution, pool)


def head(inputs: int, outputs: int) -> list[Any]:
    """Projection of NICE (Song et al. 2024): linear, residual (GELU, linear, dropout .5), layer norm.

    Above ``SQUARE`` outputs the residual's matrix has rank ``RANK``; below ``NORMED`` there is no layer norm.
    """
    nn = torch().nn
    if outputs <= SQUARE:
        within = [nn.Linear(outputs, outputs)]
    else:
        within = [nn.Linear(outputs, RANK, bias=False), nn.Linear(RANK, outputs)]
    layers = [nn.Linear(inputs, outputs), residual(nn.GELU(), *within, nn.Dropout(0.5))]
    return [*layers, nn.LayerNorm(outputs)] if outputs >= NORMED else layers


def residual(*layers: Any) -> Any:
    """Layers whose input is added to their output."""
    nn = torch().nn

    class Residual(nn.Sequential):  # type: ignore[name-defined]
        def forward(self, x: Any) -> Any:
            return x + super().forward(x)

    return Residual(*layers)


def of_subject(embedding: Any, subject: Any) -> Any:
    """Rows (n, width) of an embedding by the subjects' numbers (n); -1, not trained on, gets the mean of all rows."""
    known = embedding(subject.clamp(min=0))
    return torch().where(subject[:, None] < 0, embedding.weight.mean(0), known)


def encoder_layer(width: int, heads: int, forward: int, *, dropout: float, norm_first: bool = False) -> Any:
    """One layer of a Transformer's encoder (Vaswani et al. 2017): attention, then two linear maps, each a residual.

    Heads are width // heads wide. Norms follow each sum, as published, or come before each part.
    """
    nn, each = torch().nn, width // heads

    class EncoderLayer(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(width, heads * each) for _ in range(3))
            self.out = nn.Linear(heads * each, width)
            self.forwards = nn.Sequential(
                nn.Linear(width, forward),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(forward, width),
                nn.Dropout(dropout),
            )
            self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
            self.drop = nn.Dropout(dropout)

        def forward(self, x: Any) -> Any:
            if norm_first:
                x = x + self.attended(self.norms[0](x))
                return x + self.forwards(self.norms[1](x))
            x = self.norms[0](x + self.attended(x))
            return self.norms[1](x + self.forwards(x))

        def attended(self, x: Any) -> Any:
            parts = (
                f(x).unflatten(-1, (heads, each)).transpose(1, 2) for f in (self.query, self.key, self.value)
            )
            dropped = dropout if self.training else 0.0
            mixed = nn.functional.scaled_dot_product_attention(*parts, dropout_p=dropped)
            return self.drop(self.out(mixed.transpose(1, 2).flatten(2)))

    return EncoderLayer()
