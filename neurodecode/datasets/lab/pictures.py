"""The lab's stimuli: one coloured object (what) at some place, size and angle (where) on a textured ground, 64 x 64.

A :class:`Scenes` holds what is in the pictures; :func:`render` draws them. A picture follows from its own row alone, so
that order and number of pictures change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .icons import MARGIN, silhouettes
from .icons import SIDE as ICON_SIDE

if TYPE_CHECKING:
    import torch

SIDE = 64
COLOURS = {
    "red": (0.86, 0.10, 0.12),
    "orange": (0.98, 0.52, 0.05),
    "yellow": (0.98, 0.90, 0.15),
    "green": (0.10, 0.62, 0.18),
    "turquoise": (0.15, 0.85, 0.82),
    "blue": (0.10, 0.22, 0.85),
    "purple": (0.48, 0.10, 0.62),
    "pink": (1.00, 0.55, 0.78),
    "white": (0.98, 0.98, 0.98),
    "black": (0.04, 0.04, 0.04),
}
GROUNDS = ("gradient", "stripes", "clouds")
# Longest side of the object as a share of the picture's; angle in degrees anticlockwise.
SIZES = (0.5, 0.8)
ANGLE = 20.0
# The centre lies within this distance from the middle (half the picture's side is 1), large objects less far out.
REACH = 0.4
_SPARE = 0.12
_OVERSAMPLE = 2
_FREQUENCY = (2.0, 6.0)
_BLUR = 8.0


@dataclass(frozen=True)
class Scenes:
    """What ``n`` pictures show; one entry a picture in every array.

    Attributes
    ----------
    concept : int, position in ``icons.concepts() + icons.novel_concepts()``.
    x, y : centre, -1 to 1, rightwards and upwards from the middle.
    size : longest side of the object as a share of the picture's.
    angle : degrees anticlockwise.
    mirror : bool, left and right exchanged before turning.
    colour : int, position in ``COLOURS``; shade : (n, 3) what is added to it.
    ground : int, position in ``GROUNDS``; tint : (n, 3) its mean colour.
    contrast, frequency, direction, phase : of the ground; cycles a picture, radians.
    seed : int, of the ground's noise.
    """

    concept: np.ndarray
    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    mirror: np.ndarray
    colour: np.ndarray
    shade: np.ndarray
    ground: np.ndarray
    tint: np.ndarray
    contrast: np.ndarray
    frequency: np.ndarray
    direction: np.ndarray
    phase: np.ndarray
    seed: np.ndarray

    def __len__(self) -> int:
        return len(self.concept)

    def take(self, index: np.ndarray | slice) -> Scenes:
        """Return the pictures at ``index`` (positions, a boolean mask or a slice)."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})


def held_out_colour(concept: np.ndarray) -> np.ndarray:
    """Return the one colour in which each concept is never shown to a model in training."""
    return (np.asarray(concept) * 7 + 3) % len(COLOURS)


def draw(concept: np.ndarray, rng: np.random.Generator, *, combinations: str = "all") -> Scenes:
    """Draw everything else for the given concepts.

    Parameters
    ----------
    concept : (n,) int
    rng
    combinations : "all", "known" or "held-out"
        Which combinations of concept and colour: those that the models were trained on, those that they never saw
        (one colour a concept), or both.
    """
    n = len(concept)
    size = rng.uniform(*SIZES, n)
    limit = np.minimum(REACH, 1 - size + _SPARE)
    held_out = held_out_colour(concept)
    colour = {
        "all": lambda: rng.integers(0, len(COLOURS), n),
        "known": lambda: (held_out + rng.integers(1, len(COLOURS), n)) % len(COLOURS),
        "held-out": lambda: held_out,
    }[combinations]()
    return Scenes(
        concept=np.asarray(concept),
        x=rng.uniform(-1, 1, n) * limit,
        y=rng.uniform(-1, 1, n) * limit,
        size=size,
        angle=rng.uniform(-ANGLE, ANGLE, n),
        mirror=rng.random(n) < 0.5,
        colour=colour,
        shade=rng.uniform(-0.04, 0.04, (n, 3)),
        ground=rng.integers(0, len(GROUNDS), n),
        tint=rng.uniform(0.36, 0.62, (n, 1)) + rng.uniform(-0.06, 0.06, (n, 3)),
        contrast=rng.uniform(0.05, 0.12, n),
        frequency=rng.uniform(*_FREQUENCY, n),
        direction=rng.uniform(0, 2 * np.pi, n),
        phase=rng.uniform(0, 2 * np.pi, n),
        seed=rng.integers(0, 2**31, n),
    )


def render(scenes: Scenes) -> np.ndarray:
    """Draw pictures (n, row, column, colour), float32, 0 to 1, anti-aliased."""
    covered = cover(scenes)[..., None]
    colour = np.array(list(COLOURS.values()))[scenes.colour] + scenes.shade
    ground = scenes.tint.astype(np.float32)[:, None, None, :] + _texture(scenes)[..., None]
    thing = np.clip(colour, 0, 1).astype(np.float32)[:, None, None, :]
    return np.clip(ground + (thing - ground) * covered, 0, 1)


def cover(scenes: Scenes) -> np.ndarray:
    """Share of every pixel that the object covers (n, row, column)."""
    import torch
    from torch.nn.functional import avg_pool2d, grid_sample

    turn = np.deg2rad(scenes.angle)
    flip = np.where(scenes.mirror, -1.0, 1.0)
    # From the picture (rightwards, downwards, -1 to 1) back to the icon's own square.
    zoom = (ICON_SIDE - 2 * MARGIN) / (ICON_SIDE * scenes.size)
    matrix = np.empty((len(scenes), 2, 3), dtype=np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = flip * zoom * np.cos(turn), -flip * zoom * np.sin(turn)
    matrix[:, 1, 0], matrix[:, 1, 1] = zoom * np.sin(turn), zoom * np.cos(turn)
    centre = np.stack([scenes.x, -scenes.y], axis=1)
    matrix[:, :, 2] = -np.einsum("nij,nj->ni", matrix[:, :, :2], centre)
    shape = [len(scenes), 1, SIDE * _OVERSAMPLE, SIDE * _OVERSAMPLE]
    with torch.no_grad():
        grid = torch.nn.functional.affine_grid(torch.from_numpy(matrix), shape, align_corners=False)
        icons = _icons()[torch.from_numpy(np.asarray(scenes.concept, dtype=np.int64))]
        fine = grid_sample(icons, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return avg_pool2d(fine, _OVERSAMPLE)[:, 0].numpy()


@cache
def _icons() -> torch.Tensor:
    import torch

    return torch.from_numpy(silhouettes().astype(np.float32) / 255)[:, None]


def _texture(scenes: Scenes) -> np.ndarray:
    """Grey texture (n, row, column) around 0: a gradient, a grating, or noise of 1/f amplitude."""
    place = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE * 2 - 1
    across, down = (f(scenes.direction).astype(np.float32)[:, None] * place for f in (np.cos, np.sin))
    out = across[:, None, :] + down[:, :, None]
    striped = scenes.ground == GROUNDS.index("stripes")
    pace = (np.pi * scenes.frequency[striped]).astype(np.float32)[:, None, None]
    out[striped] = np.sin(pace * out[striped] + scenes.phase[striped].astype(np.float32)[:, None, None])
    cloudy = scenes.ground == GROUNDS.index("clouds")
    if cloudy.any():
        out[cloudy] = _clouds(scenes.seed[cloudy])
    return out * scenes.contrast.astype(np.float32)[:, None, None]


def _clouds(seeds: np.ndarray) -> np.ndarray:
    """Noise (n, row, column) whose amplitude falls with 1/f, blurred beyond 8 cycles a picture; SD 1."""
    white = np.stack([np.random.default_rng(int(s)).standard_normal((SIDE, SIDE), np.float32) for s in seeds])
    from scipy import fft  # in float32, as the noise is

    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]) * SIDE
    frequency = frequency.astype(np.float32)
    spectrum = fft.rfft2(white) * np.exp(-0.5 * (frequency / _BLUR) ** 2) / np.maximum(frequency, 1)
    spectrum[:, 0, 0] = 0
    out = fft.irfft2(spectrum, s=(SIDE, SIDE))
    return out / out.std(axis=(1, 2), keepdims=True)
