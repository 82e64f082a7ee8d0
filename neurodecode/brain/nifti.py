"""NIfTI images to voxel arrays, through nilearn's masker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..labels import listed


def from_image(
    image: Any, mask: Any, roi: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any, dict[str, Any]]:
    """Return values (sample, voxel), voxel ids, positions (voxel, 3) in mm, roi names and attrs of a 4-D image.

    Voxel ids are positions in the flattened volume, so arrays of different masks never match by accident.
    """
    from nilearn.image import load_img
    from nilearn.maskers import NiftiMasker

    image = load_img(image)
    if mask is None:
        raise ValueError("a NIfTI image needs mask=..., a 3-D image that is non-zero where voxels are taken")
    mask = load_img(mask)
    if mask.shape[:3] != image.shape[:3] or not np.allclose(mask.affine, image.affine, atol=1e-3):
        raise ValueError(
            f"mask and image are on different grids: shapes {mask.shape} and {image.shape[:3]}; resample the mask with "
            "nilearn.image.resample_to_img(mask, image, interpolation='nearest')"
        )
    inside = np.asarray(mask.dataobj).reshape(mask.shape[:3]) != 0
    if not inside.any():
        raise ValueError("the mask is empty: no voxel is non-zero")
    binary = load_img(_like(mask, inside))
    values = NiftiMasker(mask_img=binary, standardize=None, reports=False).fit().transform(image)
    indices = np.argwhere(inside)
    xyz = indices @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    attrs = {
        "affine": [float(v) for v in np.asarray(mask.affine).ravel()],
        "shape": [int(v) for v in mask.shape[:3]],
        "space": "volume",
    }
    return np.atleast_2d(values), np.flatnonzero(inside.ravel()), xyz, _names(roi, inside), attrs


def _like(image: Any, values: np.ndarray) -> Any:
    from nilearn.image import new_img_like

    return new_img_like(image, values.astype(np.int8), affine=image.affine)


def _names(roi: Any, inside: np.ndarray) -> Any:
    """Region name of every voxel, from {name: mask}, (atlas, {label: name}), or as given."""
    if isinstance(roi, Mapping):
        return _from_masks({str(k): volume(v, inside.shape) != 0 for k, v in roi.items()}, inside)
    if isinstance(roi, tuple) and len(roi) == 2 and isinstance(roi[1], Mapping):
        labels = volume(roi[0], inside.shape)[inside]
        names = np.full(labels.size, "", dtype=object)
        for label, name in roi[1].items():
            names[labels == label] = str(name)
        return names.astype(str)
    return roi


def _from_masks(masks: Mapping[str, np.ndarray], inside: np.ndarray) -> np.ndarray:
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


def volume(image: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a 3-D image of exactly this grid."""
    from nilearn.image import load_img

    values = np.asarray(load_img(image).dataobj)
    values = values[..., 0] if values.ndim == 4 and values.shape[-1] == 1 else values
    if values.shape != tuple(shape):
        raise ValueError(
            f"a region image has shape {values.shape} but the mask has {tuple(shape)}; resample it first"
        )
    return values
