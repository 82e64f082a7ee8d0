"""FreeSurfer's overlays: numbers on the vertices of one hemisphere, .mgz, or .mgh, which is read in parts.

Axes are (vertex, 1, 1), and (vertex, 1, 1, frame) where a vertex has several numbers (cvnlab/nsdcode, nsd_savemgz.m).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .volumes import damaged, open_image, values_of


def values(path: Path, *, what: str) -> np.ndarray:
    """Numbers (vertex), or (vertex, frame) where there are several frames.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, truncated, or no overlay.
    """
    found = values_of(_open(path, what), path, what=what)
    return found[:, 0, 0] if found.ndim == 3 else np.squeeze(found, axis=(1, 2))


def frames(path: Path, *, what: str, count: int) -> np.ndarray:
    """Numbers (frame, vertex) of an uncompressed overlay of float32; they stay on disk until they are taken.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, truncated, or holds another number of frames or another type.
    """
    image = _open(path, what)
    kind, shape, offset = image.get_data_dtype(), tuple(map(int, image.shape)), int(image.dataobj.offset)
    if len(shape) != 4 or shape[3] != count or kind.newbyteorder("=") != np.float32:
        raise ValueError(
            f"{path} ({what}) has the shape {shape} of {kind}, expected (vertices, 1, 1, {count}) of float32"
        )
    needed = offset + kind.itemsize * int(np.prod(shape))
    if path.stat().st_size < needed:
        raise damaged(path, what, f"{needed} bytes are needed")
    # Vertices follow each other, frame after frame.
    return np.memmap(path, kind, "r", offset, (count, shape[0]))


def _open(path: Path, what: str) -> Any:
    image = open_image(path, what=what)
    if len(image.shape) not in (3, 4) or image.shape[1:3] != (1, 1):
        raise ValueError(
            f"{path} ({what}) has the shape {tuple(map(int, image.shape))}, expected (vertices, 1, 1, ...)"
        )
    return image
