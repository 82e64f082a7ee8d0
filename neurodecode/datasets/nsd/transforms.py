"""Maps of the volume on the surface, by the coordinates that come with the data; FreeSurfer is not needed.

``{lh,rh}.func1pt8-to-layerB{1,2,3}.mgz`` (vertex, 3): where a vertex of the native surface lies in the volume of 1.8
mm, in voxels counted from 1, at three depths of the cortex; 9999 where there are no data.
``{lh,rh}.white-to-fsaverage.mgz``: for every vertex of fsaverage the nearest one of the native surface, counted from 1
(cvnlab/nsdcode, nsdcode/transform_data.py and examples/examples_nsdmapdata.py). The steps here are theirs: sample at
each depth, average over depths, take fsaverage's vertices. (The betas on fsaverage that come with the data were made
so from 1 mm.)
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import sparse

from ...labels import listed, require_array, require_choice, require_coord, require_dims
from . import overlays
from .layout import DEPTHS, FSAVERAGE, SIDES, SPACE, Files

METHODS = ("nearest", "linear")
# FreeSurfer refines the icosahedron by adding vertices at the end: fsaverage5 is where fsaverage begins.
FSAVERAGE5 = 10_242
MESHES = (FSAVERAGE, "fsaverage5")


def to_fsaverage(
    root: str | Path,
    values: xr.DataArray,
    *,
    subject: int,
    method: str = "nearest",
    mesh: str = FSAVERAGE,
) -> xr.DataArray:
    """Bring a map of the volume onto fsaverage.

    Parameters
    ----------
    root : path
        The dataset's folder.
    values : (..., voxel)
        A map of what :func:`load` returned, such as that of :func:`neurodecode.spatial.weight_map`; or the regions of
        :func:`masks`, which become the share of depths that lie in them.
    subject : 1 to 8
    method : {"nearest", "linear"}
        The voxel that a vertex lies in; or linear between eight voxels, and NaN where the map does not hold them all,
        so that the rim of every region is lost.
    mesh : {"fsaverage", "fsaverage5"}
        fsaverage with 163,842 vertices a hemisphere, for pycortex and nilearn; or its first 10,242, which are
        fsaverage5, for :func:`neurodecode.plot.cortex`. Those are picked, not averages of their neighbours.

    Returns
    -------
    (..., voxel), all vertices of the mesh, left ones first, NaN where the map has nothing
        With ``hemi`` and ``vertex`` and the coordinates of ``values`` along other dimensions. The mean of the depths
        that have a value.

    Raises
    ------
    FileNotFoundError
        If a transform is missing: its name, what it is, where it comes from.
    ValueError
        If the map is of another subject or knows no volume, or a file is damaged or does not fit the others.
    """
    require_choice(mesh, MESHES, what="mesh")
    files = Files(Path(root), subject)
    parts = {}
    for side, native in _on_white(files, values, method).items():
        index = fsaverage_index(files, side, native.shape[-1])
        if mesh != FSAVERAGE and len(index) < FSAVERAGE5:
            raise ValueError(
                f"{files.transform('white-to-fsaverage', side)} has only {len(index)} vertices; fsaverage5 has "
                f"{FSAVERAGE5}"
            )
        parts[side] = native[..., index if mesh == FSAVERAGE else index[:FSAVERAGE5]]
    return _labelled(values, parts, mesh)


def to_native(
    root: str | Path, values: xr.DataArray, *, subject: int, method: str = "nearest"
) -> xr.DataArray:
    """Bring a map of the volume onto the subject's own surface.

    Parameters
    ----------
    root, values, subject, method : as :func:`to_fsaverage` takes them

    Returns
    -------
    (..., voxel), all vertices of the subject's white surface, left ones first, NaN where the map has nothing

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`to_fsaverage`.
    """
    files = Files(Path(root), subject)
    return _labelled(values, _on_white(files, values, method), "nativesurface")


def fsaverage_index(files: Files, side: str, size: int) -> np.ndarray:
    """For every vertex of fsaverage the one of the native surface, which has ``size``; from 0.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, damaged, or names vertices that are not there.
    """
    path = files.transform("white-to-fsaverage", side)
    found = overlays.values(path, what=f"vertices of {files.who} for those of fsaverage, {SIDES[side]}")
    wrong = (found < 1) | (found > size) | (found != np.floor(found))
    if found.ndim != 1 or wrong.any():
        raise ValueError(
            f"{path} must hold one vertex of {files.who} each, 1 to {size}, but has the shape {found.shape} and "
            f"{int(wrong.sum())} others: {listed(found[wrong])}; it is of another subject, or damaged"
        )
    return found.astype(np.int64) - 1


def _on_white(files: Files, values: xr.DataArray, method: str) -> dict[str, np.ndarray]:
    """Means over depths (..., vertex) of both hemispheres, NaN where no depth has a value."""
    require_choice(method, METHODS, what="method")
    columns = _columns(files, values)
    ordered = values.transpose(..., "voxel")
    flat = ordered.values.reshape(-1, ordered.sizes["voxel"]).astype(np.float64)
    kind = np.result_type(values.dtype, np.float32) if values.dtype.kind == "f" else np.float32
    out = {}
    for side in SIDES:
        mean = _over_depths([_sampled(flat, columns, places, method) for places in _places(files, side)])
        out[side] = mean.astype(kind).reshape(*ordered.shape[:-1], -1)
    return out


def _over_depths(sampled: list[np.ndarray]) -> np.ndarray:
    """Mean of the depths that have a value, NaN where none has."""
    count = np.sum([np.isfinite(one) for one in sampled], axis=0)
    total = np.sum([np.nan_to_num(one) for one in sampled], axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _columns(files: Files, values: xr.DataArray) -> np.ndarray:
    """Where in the map each voxel of the volume (X, Y, Z) is, -1 for not at all."""
    require_dims(require_array(values, who="the map"), ["voxel"], who="the map")
    who, space = values.attrs.get("subject"), values.attrs.get("space")
    if "shape" not in values.attrs or (who, space) != (files.who, SPACE):
        raise ValueError(
            f"the map is of {who!r} in {space!r}, expected {files.who!r} in {SPACE!r} with attrs 'shape'; if it was "
            "made of responses of nsd.load and lost its attrs, use .assign_attrs(responses.attrs)"
        )
    shape = tuple(int(n) for n in values.attrs["shape"])
    voxels = require_coord(values, "voxel", who="the map", dim="voxel").values
    if voxels.dtype.kind not in "iu" or voxels.min() < 0 or voxels.max() >= np.prod(shape):
        raise ValueError(
            f"voxels of the map must be positions in the flattened volume {shape}, got {listed(voxels)}"
        )
    columns = np.full(int(np.prod(shape)), -1)
    columns[voxels] = np.arange(len(voxels))
    return columns.reshape(shape)


def _places(files: Files, side: str) -> list[np.ndarray]:
    """Where vertices lie at each depth (vertex, 3), in voxels from 0; 9999, no data, lies outside of any volume."""
    out: list[np.ndarray] = []
    for depth in DEPTHS:
        path = files.transform(f"func1pt8-to-{depth}", side)
        found = overlays.values(path, what=f"places of {depth} of {files.who} in the volume, {SIDES[side]}")
        if found.ndim != 2 or found.shape[1] != 3:
            raise ValueError(f"{path} must hold (vertex, 3) coordinates, but has the shape {found.shape}")
        if out and len(found) != len(out[0]):
            raise ValueError(
                f"{path} has {len(found)} vertices, {DEPTHS[0]} has {len(out[0])}; all three must be of one subject"
            )
        out.append(found - 1.0)
    return out


def _sampled(flat: np.ndarray, columns: np.ndarray, places: np.ndarray, method: str) -> np.ndarray:
    """Sample maps (row, voxel) at places (vertex, 3): (row, vertex), NaN where a voxel that is needed has no value."""
    # What is no number lies far outside too.
    places = np.nan_to_num(np.clip(places, -1e6, 1e6), nan=-1e6)
    low = np.floor(places + 0.5 if method == "nearest" else places).astype(np.int64)
    share = np.zeros_like(places) if method == "nearest" else places - low
    weights = sparse.csr_array((len(places), flat.shape[1]))
    for corner in product((0, 1), repeat=3):
        weight = np.prod(np.where(corner, share, 1 - share), axis=1)
        where = low + np.array(corner)
        inside = ((where >= 0) & (where < columns.shape)).all(axis=1) & (weight > 0)
        column = np.full(len(places), -1)
        column[inside] = columns[tuple(where[inside].T)]
        vertex = np.flatnonzero(column >= 0)
        weights += sparse.csr_array((weight[vertex], (vertex, column[vertex])), shape=weights.shape)
    known = np.isfinite(flat)
    values = weights @ np.where(known, flat, 0.0).T
    whole = weights @ known.T.astype(np.float64)
    return np.where(whole > 1 - 1e-6, values, np.nan).T


def _labelled(values: xr.DataArray, parts: Mapping[str, np.ndarray], space: str) -> xr.DataArray:
    sizes = [part.shape[-1] for part in parts.values()]
    hemi = np.repeat([SIDES[side] for side in parts], sizes)
    vertex = np.concatenate([np.arange(size) for size in sizes])
    dims = tuple(d for d in values.dims if d != "voxel")
    kept = {k: v for k, v in values.coords.items() if "voxel" not in v.dims}
    attrs = {k: v for k, v in values.attrs.items() if k not in ("affine", "shape", "invalid")}
    return xr.DataArray(
        np.concatenate(list(parts.values()), axis=-1),
        dims=(*dims, "voxel"),
        coords={
            **kept,
            "voxel": [f"{h}-{i}" for h, i in zip(hemi, vertex, strict=True)],
            "hemi": ("voxel", hemi),
            "vertex": ("voxel", vertex),
        },
        attrs={**attrs, "space": space, "vertices": sizes},
        name=values.name,
    )
