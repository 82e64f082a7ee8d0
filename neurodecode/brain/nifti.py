"""NIfTI images to voxel arrays, through nilearn's masks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import shown
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
    grid = (image.shape[:3], image.affine)
    mask = mask if isinstance(mask, np.ndarray) else load_img(_there(mask, who="the mask"))
    affine = getattr(mask, "affine", image.affine)
    inside = _nonzero(volume(mask, grid, who="the mask"))
    if not inside.any():
        raise ValueError("the mask is empty: no voxel is non-zero; give another mask")
    # On the image's own grid: apply_mask takes no affine that differs by rounding.
    binary = new_img_like(image, inside.astype(np.int8), affine=image.affine)
    # NaN is refused, with its place, by whatever computes; a NiftiMasker would make it 0.
    values = apply_mask(image, binary, ensure_finite=False)
    indices = np.argwhere(inside)
    xyz = indices @ affine[:3, :3].T + affine[:3, 3]
    attrs = {
        "affine": [float(v) for v in np.asarray(affine).ravel()],
        "shape": [int(v) for v in inside.shape],
        "space": "volume",
    }
    return np.atleast_2d(values), np.flatnonzero(inside.ravel()), xyz, _names(roi, inside, grid), attrs


def _there(image: Any, *, who: str) -> Any:
    """An image as it is; a path, which nilearn may expand (~, *), only if a file lies there."""
    if isinstance(image, str | Path) and not (Path(image).is_file() or glob(os.path.expanduser(image))):
        raise FileNotFoundError(
            f"{who} is text, so the path of a NIfTI image, but there is no file {str(image)!r}"
        )
    if not (isinstance(image, str | Path) or hasattr(image, "affine")):
        raise ValueError(
            f"{who} must be a NIfTI image, its path, or an array of the volume's shape, got {shown(image)} "
            f"({type(image).__name__}); of an atlas, its labels are named by roi=(atlas, {{1: 'V1', 2: 'V2'}})"
        )
    return image


def _is_image(value: Any) -> bool:
    return (
        hasattr(value, "affine")
        or isinstance(value, Path)
        or (isinstance(value, np.ndarray) and value.ndim > 2)
    )


def _names(roi: Any, inside: np.ndarray, grid: Grid) -> Any:
    """Region name of every voxel, from {name: mask}, (atlas, {label: name}), or as given."""
    if isinstance(roi, Mapping):
        named = by_text(roi, who="names of regions")
        masks = {k: _nonzero(volume(v, grid, who=f"the mask of region {k!r}")) for k, v in named.items()}
        return _from_masks(masks, inside)
    if isinstance(roi, tuple) and len(roi) == 2 and (_is_image(roi[0]) or _is_table(roi[1])):
        return _from_atlas(volume(roi[0], grid, who="the atlas")[inside], roi[1])
    if _is_image(roi) or isinstance(roi, str):
        raise ValueError(
            f"roi={shown(roi)} alone does not say how its regions are called; give roi=(atlas, {{1: 'V1', 2: 'V2'}}), "
            "with the name of every label, or {name: mask}"
        )
    return roi


def _is_table(value: Any) -> bool:
    """Whether the second of a pair is a collection of names, so that the pair is no two names of two voxels."""
    return isinstance(value, Collection) and not isinstance(value, str | bytes)


def _from_atlas(labels: np.ndarray, names: Any) -> np.ndarray:
    if not isinstance(names, Mapping):
        raise ValueError(
            f"an atlas needs the name of every label, {{1: 'V1', 2: 'V2'}}, got {shown(names)} "
            f"({type(names).__name__}); inside the mask it has the labels {listed(np.unique(labels))}"
        )
    out = np.full(labels.size, "", dtype=object)
    for label, name in names.items():
        out[labels == label] = str(name)
    # A region may have several labels; without 0, the background, nothing is lost.
    absent = {k: str(v) for k, v in names.items() if k != 0 and str(v) not in out}
    found = listed(np.unique(labels))
    if not (out != "").any():
        raise ValueError(
            f"none of the labels {listed(names)} occurs in the atlas inside the mask, which has "
            f"{found}; give {{label: name}}"
        )
    if absent:
        warnings.warn(
            f"{len(absent)} of {len(names)} labels of the atlas, {listed(absent)}, do not occur inside the mask, which "
            f"has {found}: there are no regions {listed(absent.values())}; take a mask that holds them if needed",
            UserWarning,
            stacklevel=5,
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
        If it has another shape or another affine. An array has no affine, and its voxels are those of the grid.
    FileNotFoundError
        If it is the path of no file.
    """
    from nilearn.image import load_img

    shape, affine = tuple(int(n) for n in grid[0]), np.asarray(grid[1], dtype=float)
    if isinstance(image, np.ndarray):
        if image.shape not in (shape, (*shape, 1)) or image.dtype.kind not in "biuf":
            raise ValueError(
                f"{who} is an array of {image.dtype} and shape {image.shape}; it needs one number for each voxel of "
                f"the image, {shape}"
            )
        return image.reshape(shape)
    image = load_img(_there(image, who=who))
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
