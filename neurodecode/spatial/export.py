"""Maps to the images that other tools read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..labels import LAYER, listed, require_coord, require_dims

SIDES, VERTICES = ("left", "right"), 10242


def to_volume(values: xr.DataArray, *, like: Any = None, fill: float = 0.0) -> Any:
    """Put a map (voxel) or (layer, voxel) back into its volume.

    Parameters
    ----------
    values : map whose voxels have ``x y z`` in mm
    like : NIfTI image or path, optional
        The grid. Default: the one that the responses came from (attrs affine and shape).
    fill : float
        Value outside the map.

    Returns
    -------
    nibabel.Nifti1Image in mm, 3-D, or 4-D with one volume a layer; its header calls the space "aligned" (code 2).

    Raises
    ------
    ValueError
        Without a grid, or if voxels are not on it.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> where = {c: ("voxel", np.array([0.0, 2.0]) * (c == "x")) for c in "xyz"}
    >>> grid = {"affine": np.diag([2.0, 2, 2, 1]).tolist(), "shape": [2, 1, 1]}
    >>> values = xr.DataArray([1.0, 2.0], where, "voxel", attrs=grid)
    >>> nd.spatial.to_volume(values).get_fdata().ravel()
    array([1., 2.])
    """
    import nibabel

    affine, shape = _grid(values, like)
    ordered = values.transpose(..., "voxel") if "voxel" in values.dims else values
    require_dims(ordered, ["voxel"], who="map")
    xyz = np.stack([require_coord(values, axis, who="map").values for axis in "xyz"], axis=1)
    exact = (xyz - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    index = np.rint(exact).astype(int)
    off = (np.abs(exact - index).max(axis=1) > 0.1) | (index < 0).any(axis=1) | (index >= shape).any(axis=1)
    if off.any():
        first = int(np.argmax(off))
        raise ValueError(
            f"{int(off.sum())} of {off.size} voxels do not lie on the grid {tuple(int(s) for s in shape)}, first voxel "
            f"{first} at {xyz[first].tolist()} mm; give the image that the data came from as like=..."
        )
    flat = np.atleast_2d(ordered.values)
    data = np.full((*shape, len(flat)), fill, dtype=np.float32)
    data[index[:, 0], index[:, 1], index[:, 2]] = flat.T
    image = nibabel.Nifti1Image(data[..., 0] if values.ndim == 1 else data, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=2)
    # A qform holds no shear: one that would put voxels elsewhere stays "unknown", and readers take the sform.
    image.set_qform(affine, code=2)
    if not np.allclose(image.get_qform(), affine, atol=1e-3):
        image.set_qform(affine, code=0)
    return image


def _grid(values: xr.DataArray, like: Any) -> tuple[np.ndarray, np.ndarray]:
    if like is not None:
        from nilearn.image import load_img

        image = load_img(like)
        return np.asarray(image.affine, dtype=float), np.array(image.shape[:3])
    if "affine" not in values.attrs or "shape" not in values.attrs:
        raise ValueError(
            "this map does not know its grid: give the image that the data came from as like=..."
        )
    return np.asarray(values.attrs["affine"], dtype=float).reshape(4, 4), np.asarray(
        values.attrs["shape"], dtype=int
    )


def to_surface(values: xr.DataArray, *, like: Any = None) -> Any:
    """Put a map (voxel) onto nilearn's fsaverage5 surface.

    Voxels with ``hemi`` and ``vertex`` are put where they belong (NaN elsewhere); a map of a volume in MNI space is
    sampled from it (:meth:`nilearn.surface.SurfaceImage.from_volume`).

    Parameters
    ----------
    values : (voxel) with ``hemi`` and ``vertex``, or as :func:`to_volume` takes it
    like : see :func:`to_volume`
        For a map of a volume.

    Returns
    -------
    nilearn.surface.SurfaceImage on the pial mesh.

    Raises
    ------
    ValueError
        More than one map, vertices that fsaverage5 does not have, or hemispheres other than "left" and "right".

    Examples
    --------
    >>> import neurodecode as nd, numpy as np, xarray as xr
    >>> where = {"hemi": ("voxel", ["left", "right"]), "vertex": ("voxel", [3, 5])}
    >>> surface = nd.spatial.to_surface(xr.DataArray([1.0, 2.0], where, ("voxel",)))
    >>> float(surface.data.parts["left"][3]), int(np.isfinite(surface.data.parts["right"]).sum())
    (1.0, 1)
    """
    from nilearn.datasets import load_fsaverage
    from nilearn.surface import SurfaceImage

    if values.dims != ("voxel",):
        raise ValueError(
            f"to_surface takes one map (voxel), got {tuple(values.dims)}; select a layer, .sel({LAYER}=...)"
        )
    mesh = load_fsaverage("fsaverage5")["pial"]
    if "vertex" not in values.coords:
        return SurfaceImage.from_volume(mesh, to_volume(values, like=like))
    hemi = require_coord(values, "hemi", who="map").values
    wrong = pd.unique(hemi[~np.isin(hemi, SIDES)])
    if wrong.size:
        raise ValueError(f"hemi must be 'left' or 'right', got {listed(wrong)}; rename them")
    vertex = values.coords["vertex"].values
    if vertex.min() < 0 or vertex.max() >= VERTICES:
        raise ValueError(
            f"vertices must be 0 to {VERTICES - 1} (fsaverage5), found {vertex.min()} to {vertex.max()}"
        )
    parts = {}
    for side in SIDES:
        data = np.full(VERTICES, np.nan, dtype=np.float32)
        data[vertex[hemi == side]] = values.values[hemi == side]
        parts[side] = data
    return SurfaceImage(mesh=mesh, data=parts)
