"""NIfTI images to voxel arrays, through nilearn's masks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from ..labels import by_text, listed

Grid = tuple[tuple[int, ...], np.ndarray]


def from_image(
    image: Any, mask: Any, roi: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any, dict[str, Any]]:
    """Return values (sample, voxel), voxel ids, positions (voxel, 3) in mm, roi names and attrs of a 4-D image.

    Voxel ids are positions in the flattened volume, so arrays of different masks never match by accident.
    """
    from nilearn.image import load_img, new_img_like
    from nilearn.masking import apply_mask

    image = load_img(_there(image, who="values"))
    if mask is None:
        raise ValueError("a NIfTI image needs mask=..., a 3-D image that is non-zero where voxels are taken")
    mask = load_img(_there(mask, who="mask"))
    grid = (image.shape[:3], image.affine)
    inside = _nonzero(volume(mask, grid, who="the mask"))
    if not inside.any():
        raise ValueError("the mask is empty: no voxel is non-zero; give another mask")
    # On the image's own grid: apply_mask takes no affine that differs by rounding.
    binary = new_img_like(image, inside.astype(np.int8), affine=image.affine)
    # NaN is refused, with its place, by whatever computes; a NiftiMasker would make it 0.
    values = apply_mask(image, binary, ensure_finite=False)
    indices = np.argwhere(inside)
    xyz = indices @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    attrs = {
        "affine": [float(v) for v in np.asarray(mask.affine).ravel()],
        "shape": [int(v) for v in mask.shape[:3]],
        "space": "volume",
    }
    return np.atleast_2d(values), np.flatnonzero(inside.ravel()), xyz, _names(roi, inside, grid), attrs


def _there(image: Any, *, who: str) -> Any:
    """An image as it is; a path, which nilearn may expand (~, *), only if a file lies there."""
    if isinstance(image, str | Path) and not (Path(image).is_file() or glob(os.path.expanduser(image))):
        raise FileNotFoundError(
            f"{who} is text, so the path of a NIfTI image, but there is no file {str(image)!r}"
        )
    return image


def _names(roi: Any, inside: np.ndarray, grid: Grid) -> Any:
    """Region name of every voxel, from {name: mask}, (atlas, {label: name}), or as given."""
    if isinstance(roi, Mapping):
        named = by_text(roi, who="names of regions")
        masks = {k: _nonzero(volume(v, grid, who=f"the mask of region {k!r}")) for k, v in named.items()}
        return _from_masks(masks, inside)
    if isinstance(roi, tuple) and len(roi) == 2 and isinstance(roi[1], Mapping):
        return _from_atlas(volume(roi[0], grid, who="the atlas")[inside], roi[1])
    return roi


def _from_atlas(labels: np.ndarray, names: Mapping[Any, Any]) -> np.ndarray:
    out = np.full(labels.size, "", dtype=object)
    for label, name in names.items():
        out[labels == label] = str(name)
    if not (out != "").any():
        raise ValueError(
            f"none of the labels {listed(names)} occurs in the atlas inside the mask, which has "
            f"{listed(np.unique(labels))}; give {{label: name}}"
        )
    return out.astype(str)


def _from_masks(masks: Mapping[str, np.ndarray], inside: np.ndarray) -> np.ndarray:
    if not masks:
        raise ValueError("roi={} names no region; leave it out, or give {name: mask}")
    chosen = np.stack([m[inside] for m in masks.values()])
    several = int((chosen.sum(axis=0) > 1).sum())
    if several:
        raise ValueError(
            f"{several} of {int(inside.sum())} voxels lie in more than one of {listed(masks)}; 'roi' holds one name a "
            "voxel. Leave roi out and give the masks to regions=... of decode and region_profile instead"
        )
    names = np.full(int(inside.sum()), "", dtype=object)
    for name, rows in zip(masks, chosen, strict=True):
        if not rows.any():
            raise ValueError(
                f"region {name!r} has no voxel inside the mask; check that both are on the same grid"
            )
        names[rows] = name
    return names.astype(str)


def volume(image: Any, grid: Grid, *, who: str) -> np.ndarray:
    """Values of a 3-D image that lies on ``grid``, (shape, affine).

    Raises
    ------
    ValueError
        If it has another shape or another affine.
    """
    from nilearn.image import load_img

    image = load_img(image)
    shape, affine = tuple(int(n) for n in grid[0]), np.asarray(grid[1], dtype=float)
    if image.shape not in (shape, (*shape, 1)):
        differ = f"shape {image.shape} against {shape}"
    elif not np.allclose(image.affine, affine, atol=1e-3):
        differ = f"affine {image.affine.tolist()} against {affine.tolist()}"
    else:
        return np.asarray(image.dataobj).reshape(shape)
    raise ValueError(
        f"{who} and the image are on different grids: {differ}; resample it with "
        "nilearn.image.resample_to_img(mask, image, interpolation='nearest')"
    )


def _nonzero(values: np.ndarray) -> np.ndarray:
    """Which voxels a mask takes; NaN, as some programs write outside the brain, is outside."""
    return np.nan_to_num(values) != 0
