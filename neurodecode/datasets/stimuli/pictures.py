"""One picture in Pillow's hands: upright, RGB, of the right size, as numbers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# What Pillow raises for damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)
# The ground on which NSD showed its pictures.
GREY = (127, 127, 127)
# More than 8 bits, which Pillow would cut off instead of scaling.
DEEP = ("I", "F")


def turned(picture: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF data say."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def as_array(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Values (row, column, 3), float32, 0-1.

    Raises
    ------
    ValueError
        If it has more than 8 bits a colour.
    """
    from PIL import Image, ImageOps

    if picture.mode.startswith(DEEP):
        raise ValueError(f"it has more than 8 bits a colour (mode {picture.mode}); convert it first")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        above = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", above.size, (*GREY, 255)), above)
    picture = picture.convert("RGB")
    if picture.size != size[::-1]:
        picture = ImageOps.fit(picture, size[::-1], method=Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float32) / np.float32(255)
