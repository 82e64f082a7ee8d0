"""NIfTI volumes of one subject, all on one grid (X, Y, Z), and how any image file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _images
from .layout import SOURCE


@dataclass(frozen=True)
class Grid:
    """Shape (X, Y, Z) and affine (voxel to mm), and the file that they come from."""

    shape: tuple[int, ...]
    affine: np.ndarray
    path: Path

    def xyz(self, flat: np.ndarray) -> np.ndarray:
        """Positions (voxel, 3) in mm of voxels numbered in the flattened volume."""
        indices = np.stack(np.unravel_index(flat, self.shape), axis=1)
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3])


def open_image(path: Path, *, what: str) -> Any:
    """Open an image, NIfTI or FreeSurfer's; its values stay on disk.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, only a placeholder, empty or no such image.
    """
    return _images.open_image(path, what=what, source=SOURCE)


def values_of(image: Any, path: Path, *, what: str) -> np.ndarray:
    """Values of an open image.

    Raises
    ------
    ValueError
        If the file is truncated, or its checksum (of packed files) does not hold.
    """
    with _images.reading(path, what=what, source=SOURCE):
        return np.asarray(image.dataobj)


def damaged(path: Path, what: str, error: object) -> ValueError:
    """Error for a file that cannot be read to its end."""
    return _images.damaged(path, error, what=what, source=SOURCE)


def read(path: Path, *, what: str, grid: Grid | None = None) -> tuple[np.ndarray, Grid]:
    """Values (X, Y, Z) of a volume, and its grid, which must be ``grid`` where that is given.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, damaged, no volume, or on another grid.
    """
    image = open_image(path, what=what)
    values = values_of(image, path, what=what)
    if values.ndim != 3:
        raise ValueError(f"{path} ({what}) must have three axes, it has the shape {values.shape}")
    found = Grid(values.shape, np.asarray(image.affine, dtype=float), path)
    if grid is not None:
        _require_same(found, grid, what)
    return values, grid or found


def _require_same(found: Grid, grid: Grid, what: str) -> None:
    if found.shape != grid.shape:
        differ = f"shape {found.shape} against {grid.shape}"
    elif not np.allclose(found.affine, grid.affine, atol=1e-3):
        differ = f"affine {found.affine.tolist()} against {grid.affine.tolist()}"
    else:
        return
    raise ValueError(
        f"{found.path} ({what}) and {grid.path} are on different grids: {differ}; every subject has a grid of its "
        "own, so one of the two is of another subject or another space"
    )
