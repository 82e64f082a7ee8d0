"""Pictures as the models take them: checked, colours first, resized with anti-aliasing, differentiable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..labels import STIMULUS, require_dims
from . import _backends

if TYPE_CHECKING:
    import torch

DIMS = (STIMULUS, "row", "column", "colour")
# Rounding in a decoder or a resize may leave 0-1 by so much.
TOLERANCE = 1e-3


def as_tensor(images: Any, *, device: Any) -> torch.Tensor:
    """Return float32 pictures (n, 3, row, column), values 0-1, from (n, row, column, 3); uint8 is divided by 255.

    Raises
    ------
    ValueError
        If shape or values are no pictures.
    """
    torch = _backends.torch()
    if isinstance(images, xr.DataArray):
        require_dims(images, DIMS, who="images")
        images = images.transpose(*DIMS).values
    values = images if isinstance(images, torch.Tensor) else torch.from_numpy(_writable(images))
    if values.ndim != 4 or values.shape[-1] != 3 or 0 in values.shape:
        hint = "; put the colours last" if values.ndim == 4 and values.shape[1] == 3 else ""
        hint = "; for one picture give images[None]" if values.ndim == 3 else hint
        raise ValueError(f"images must be (n, row, column, 3 colours), got shape {tuple(values.shape)}{hint}")
    of_bytes = values.dtype == torch.uint8
    values = values.to(device=device, dtype=torch.float32)
    values = values / 255 if of_bytes else values
    low, high = float(values.detach().min()), float(values.detach().max())
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise ValueError(
            f"image values must lie from 0 to 1, found {low:g} to {high:g}; divide by the largest value, and give "
            "them without the encoder's normalisation, which is applied here"
        )
    return values.permute(0, 3, 1, 2)


def _writable(images: Any) -> np.ndarray:
    array = np.asarray(images)
    if array.dtype.kind not in "uif":
        raise ValueError(f"images must be real numbers, got dtype {array.dtype}; give uint8, or values 0-1")
    if array.dtype != np.uint8:
        array = array.astype(np.float32, copy=False)
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()


def fitted(
    pictures: torch.Tensor, size: tuple[int, int], *, mode: str = "bicubic", how: str = "shortest"
) -> torch.Tensor:
    """Resize (n, 3, row, column) to ``size`` with anti-aliasing; as they are where the size is right.

    Parameters
    ----------
    mode : "bicubic" or "bilinear"
        Bicubic values that overshoot 0-1 are cut off, as they are in 8-bit pictures.
    how : "shortest", "squash" or "longest"
        Keep the proportions and cut the middle out; change them; or pad, which is not done here.

    Raises
    ------
    ValueError
        If the pictures would have to be padded.
    """
    rows, columns = pictures.shape[-2:]
    if (rows, columns) == size:
        return pictures
    if how == "longest" and rows * size[1] != columns * size[0]:
        raise ValueError(
            f"this encoder pads pictures to {size[0]} x {size[1]}, and these are {rows} x {columns}; pad them to these "
            "proportions before"
        )
    target = size
    if how == "shortest":
        scale = max(size[0] / rows, size[1] / columns)
        # The longer side is rounded down, as torchvision does.
        target = (max(size[0], int(rows * scale + 1e-9)), max(size[1], int(columns * scale + 1e-9)))
    functional = _backends.torch().nn.functional
    out = functional.interpolate(pictures, size=target, mode=mode, align_corners=False, antialias=True)
    out = out.clamp(0, 1) if mode == "bicubic" else out
    top, left = (int(round((there - wanted) / 2)) for there, wanted in zip(target, size, strict=True))
    return out[..., top : top + size[0], left : left + size[1]]
