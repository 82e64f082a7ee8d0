"""Who is whose neighbour on a mesh, in a volume, or over the scalp; and maps of several subjects on one brain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import sparse

from ..labels import (
    differing,
    listed,
    require_array,
    require_choice,
    require_coord,
    require_dims,
    require_unique,
)

# Voxels that share a face, an edge or a corner: how far apart their indices are at most.
SHARED = {"face": 1.0, "edge": 2.0**0.5, "corner": 3.0**0.5}


# Voxels of one label that lie further apart (mm) are not the same place.
PLACE = 0.5


def neighbours(
    values: xr.DataArray,
    *,
    faces: Mapping[str, np.ndarray] | np.ndarray | None = None,
    share: str = "face",
    radius: float | None = None,
) -> sparse.csr_array:
    """Tell which voxels (vertices, channels) are neighbours, for :func:`clusters`.

    Parameters
    ----------
    values : (..., voxel) or (..., channel)
        With ``vertex`` and ``hemi``: neighbours share an edge of the mesh. With ``x y z`` and the attrs ``affine`` and
        ``shape`` of a volume: voxels next to each other. With ``x y z`` and ``radius``: those at most so far apart.
    faces : mapping of hemisphere to (face, 3), or one such array where there is no ``hemi``
        Triangles of the mesh, indices of vertices. Default: fsaverage5, from nilearn's own files.
    share : "face", "edge" or "corner"
        What neighbours in a volume share at least: 6, 18 or 26 of them.
    radius : float, optional
        In the units of ``x y z``.

    Returns
    -------
    sparse (n, n), symmetric, 1 where two are neighbours, in the order of ``values``.

    Raises
    ------
    ValueError
        No position, vertices outside of the mesh, voxels off the grid, either twice, a radius that joins nobody.

    Examples
    --------
    >>> import neurodecode as nd, numpy as np, xarray as xr
    >>> places = {c: ("voxel", np.array([0.0, 2.0, 4.0]) * (c == "x")) for c in "xyz"}
    >>> nd.inference.neighbours(xr.DataArray(np.zeros(3), places, "voxel"), radius=2.5).toarray().astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    require_array(values, who="values")
    dim = "voxel" if "voxel" in values.dims else "channel"
    require_dims(values, [dim], who="values")
    if radius is not None:
        return _near(
            _positions(values, dim), radius, f"no two of {values.sizes[dim]} {dim}s lie within {radius:g}"
        )
    if "vertex" in values.coords:
        return _on_mesh(values, dim, faces)
    require_choice(share, tuple(SHARED), what="part that neighbours share")
    if "affine" not in values.attrs:
        raise ValueError(
            f"values have neither vertices nor the grid of a volume (attrs['affine']); give radius=..., how far apart "
            f"neighbouring {dim}s are at most"
        )
    affine = np.asarray(values.attrs["affine"], dtype=float).reshape(4, 4)
    exact = (_positions(values, dim) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    index = np.rint(exact)
    off = np.abs(exact - index).max(axis=1) > 0.1
    if off.any():
        raise ValueError(
            f"{int(off.sum())} of {off.size} voxels do not lie on the grid of attrs['affine'], first at position "
            f"{int(np.argmax(off))}; take the grid that they came from"
        )
    _require_once(index, "voxels of the volume")
    return _near(index, SHARED[share] + 0.01, "no two voxels are neighbours")


def common(maps: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Put maps of subjects on the voxels (vertices of one mesh) that all of them have.

    Parameters
    ----------
    maps : mapping of subject to (..., voxel)
        In one space: ``voxel`` labels name the same place in all, with the same ``hemi`` and ``vertex`` if any.

    Returns
    -------
    (subject, ..., voxel) in the first subject's order, without coordinates that differ (borders of regions).

    Raises
    ------
    ValueError
        No map, no common voxel, or labels that lie at different vertices.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> maps = {s: xr.DataArray([1.0, 2.0], {"voxel": v}, ("voxel",)) for s, v in [("1", [7, 8]), ("2", [8, 9])]}
    >>> both = nd.inference.common(maps)
    >>> both.voxel.values.tolist(), both.values.tolist()
    ([8], [[2.0], [1.0]])
    """
    if not maps:
        raise ValueError("there is no map: give a mapping of subject to map")
    for subject, one in maps.items():
        require_unique(one, "voxel", who=f"the map of {subject!r}")
    first, *others = maps.values()
    shared = first["voxel"].values
    for one in others:
        shared = shared[np.isin(shared, one["voxel"].values)]
    if not shared.size:
        raise ValueError(
            f"the maps of {listed(maps)} have no 'voxel' label in common; bring them to one space"
        )
    chosen = {s: one.sel(voxel=shared) for s, one in maps.items()}
    for subject, one in chosen.items():
        for name in {"hemi", "vertex"} & set(first.coords) & set(one.coords):
            differ = differing(one[name].values, next(iter(chosen.values()))[name].values)
            if differ.any():
                raise ValueError(
                    f"the maps of {next(iter(maps))!r} and {subject!r} disagree in the {name!r} of "
                    f"{int(differ.sum())} of {shared.size} voxels of the same label; bring them to one space"
                )
        own, theirs = next(iter(chosen.values())), one
        for axis in {"x", "y", "z"} & set(own.coords) & set(theirs.coords):
            apart = ~np.isclose(own[axis].values, theirs[axis].values, rtol=0, atol=PLACE)
            if (
                own[axis].dims == theirs[axis].dims == ("voxel",)
                and apart.any()
                and "vertex" not in own.coords
            ):
                raise ValueError(
                    f"the maps of {next(iter(maps))!r} and {subject!r} have {int(apart.sum())} of {shared.size} voxels "
                    f"of the same label in other places ({axis!r}); bring them to one space, or give hemi and vertex"
                )
    kept = _alike(list(chosen.values()))
    bare = [one.drop_vars([k for k in one.coords if k not in kept]) for one in chosen.values()]
    joined = xr.concat(bare, dim=xr.Variable("subject", list(maps)), combine_attrs="drop_conflicts")
    return joined.transpose("subject", ...)


def _alike(maps: list[xr.DataArray]) -> list[str]:
    first, *others = maps
    return [
        str(k)
        for k, v in first.coords.items()
        if all(k in one.coords and v.variable.equals(one.coords[k].variable) for one in others)
    ]


def _positions(values: xr.DataArray, dim: str) -> np.ndarray:
    return np.stack([require_coord(values, axis, who="values", dim=dim).values for axis in "xyz"], axis=1)


def _near(points: np.ndarray, radius: float, nobody: str) -> sparse.csr_array:
    from scipy.spatial import cKDTree

    pairs = cKDTree(points).query_pairs(radius, output_type="ndarray")
    if not len(pairs):
        raise ValueError(f"{nobody}: clusters would be single entries; correct those with fdr")
    return _symmetric(pairs, len(points))


def _on_mesh(values: xr.DataArray, dim: str, faces: Any) -> sparse.csr_array:
    """Edges of the mesh between the vertices that are there."""
    vertex = require_coord(values, "vertex", who="values", dim=dim).values
    sides = (
        require_coord(values, "hemi", who="values", dim=dim).values.astype(str)
        if "hemi" in values.coords
        else None
    )
    meshes = _meshes(faces, sides)
    pairs = []
    for side, triangles in meshes.items():
        here = np.arange(vertex.size) if sides is None else np.flatnonzero(sides == side)
        pairs.append(_edges(vertex[here], triangles, here, f"{side} " if side else ""))
    return _symmetric(np.concatenate(pairs), vertex.size)


def _meshes(faces: Any, sides: np.ndarray | None) -> dict[str, np.ndarray]:
    """Triangles by hemisphere ("" where there is none)."""
    names = [""] if sides is None else np.unique(sides).tolist()
    if faces is None:
        if not set(names) <= {"left", "right"}:
            raise ValueError(
                f"fsaverage5 has the sides 'left' and 'right', values have 'hemi' {listed(names)}; give faces=..."
            )
        from nilearn.datasets import load_fsaverage

        meshes = load_fsaverage("fsaverage5")["white_matter"].parts
        return {side: np.asarray(meshes[side].faces) for side in names}
    if not isinstance(faces, Mapping):
        if names != [""]:
            raise ValueError(
                f"values have 'hemi' {listed(names)}: give the faces of each, faces={{'left': ..., ...}}"
            )
        return {"": np.asarray(faces)}
    lacking = [n for n in names if n not in faces]
    if lacking:
        raise ValueError(
            f"there are no faces of 'hemi' {listed(lacking)}; there are those of {listed(faces)}"
        )
    return {name: np.asarray(faces[name]) for name in names}


def _edges(vertex: np.ndarray, faces: np.ndarray, here: np.ndarray, side: str) -> np.ndarray:
    """Pairs (edge, 2) of positions ``here`` whose vertices are joined by an edge."""
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(
            f"faces are triangles (face, 3), got the shape {faces.shape}; give three vertices a row"
        )
    size = int(faces.max()) + 1
    outside = (vertex < 0) | (vertex >= size)
    if outside.any():
        raise ValueError(
            f"{int(outside.sum())} of {vertex.size} {side}'vertex' values lie outside 0 to {size - 1}, the mesh; give "
            "the faces of the mesh that the vertices are of"
        )
    _require_once(vertex, f"{side}vertices")
    place = np.full(size, -1)
    place[vertex] = here
    edges = place[np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])]
    return edges[(edges >= 0).all(axis=1)]


def _require_once(places: np.ndarray, what: str) -> None:
    """Refuse several values at one place: they would be clusters by themselves."""
    twice = len(places) - len(np.unique(places, axis=0))
    if twice:
        raise ValueError(f"{twice} {what} are there twice; keep one voxel each")


def _symmetric(pairs: np.ndarray, n: int) -> sparse.csr_array:
    both = np.concatenate([pairs, pairs[:, ::-1]])
    matrix = sparse.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(n, n))
    matrix.data[:] = 1.0
    return matrix
