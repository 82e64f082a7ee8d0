"""fsaverage5 as drawings need it: flat and inflated coordinates, curvature, outlines, views. Geometry only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr

from ..labels import listed, require_coord, require_dims

SIDES = ("left", "right")
N_VERTICES = 10_242  # of fsaverage5, per hemisphere


@dataclass(frozen=True)
class Hemisphere:
    """One side of fsaverage5.

    Attributes
    ----------
    flat : (vertex, 2) mm, the cut and flattened sheet; flat_faces (face, 3) leave out the medial wall.
    inflated : (vertex, 3) mm, right-anterior-superior; faces (face, 3).
    curvature : (vertex,) positive in sulci.
    """

    flat: np.ndarray
    flat_faces: np.ndarray
    inflated: np.ndarray
    faces: np.ndarray
    curvature: np.ndarray


@lru_cache(maxsize=2)
def hemisphere(side: str) -> Hemisphere:
    """Load one side from nilearn's own files; nothing is downloaded."""
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    meshes = load_fsaverage("fsaverage5")
    flat, inflated = (meshes[k].parts[side] for k in ("flat", "inflated"))
    curvature = load_fsaverage_data(mesh="fsaverage5", mesh_type="inflated", data_type="curvature")
    return Hemisphere(
        np.asarray(flat.coordinates, float)[:, :2],
        np.asarray(flat.faces),
        np.asarray(inflated.coordinates, float),
        np.asarray(inflated.faces),
        np.asarray(curvature.data.parts[side], float),
    )


def on_vertices(values: xr.DataArray, *, who: str = "values") -> dict[str, np.ndarray]:
    """Spread a (voxel) array over both hemispheres; vertices without a voxel are NaN.

    Raises
    ------
    ValueError
        Another shape than (voxel); no `hemi` or `vertex`; names of sides, or vertices, that fsaverage5 has not; two
        voxels on one vertex.
    """
    require_dims(values, ["voxel"], who=who)
    if values.ndim != 1:
        others = [str(d) for d in values.dims if d != "voxel"]
        raise ValueError(
            f"{who} must have the one dimension ('voxel',) but has {tuple(map(str, values.dims))}; select one entry of "
            f"{listed(others)} first, e.g. .isel({others[0]}=0)"
        )
    hemi = require_coord(values, "hemi", who=who).values.astype(str)
    vertex = require_coord(values, "vertex", who=who).values
    unknown = sorted(set(hemi.tolist()) - set(SIDES))
    if unknown:
        raise ValueError(f"{who} has the hemisphere(s) {listed(unknown)}; 'hemi' must be 'left' or 'right'")
    bad = ~((vertex >= 0) & (vertex < N_VERTICES))
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"{who} has {int(bad.sum())} of {vertex.size} 'vertex' values outside 0 to {N_VERTICES - 1} (fsaverage5), "
            f"first at position {first}: {vertex[first]}; bring the map there with neurodecode.spatial.to_surface"
        )
    out = {}
    for side in SIDES:
        here = hemi == side
        index = vertex[here].astype(int)
        if len(np.unique(index)) < len(index):
            twice = np.unique(index)[np.unique(index, return_counts=True)[1] > 1]
            raise ValueError(
                f"{who} has {len(twice)} {side} vertices more than once: {listed(twice)}; keep one voxel each"
            )
        out[side] = np.full(N_VERTICES, np.nan)
        out[side][index] = values.values[here]
    return out


# ------------------------------------------------------------------------------------------------ outlines
@dataclass(frozen=True)
class Line:
    """A line over the mesh: each point lies between vertices ``ends`` (point, 2), on a vertex where both agree."""

    ends: np.ndarray
    closed: bool

    def on(self, coordinates: np.ndarray, *, smooth: int = 3) -> np.ndarray:
        """Points (point, dimension) on ``coordinates``, the mesh's zigzag rounded by ``smooth`` passes."""
        points = coordinates[self.ends].mean(axis=1)
        for _ in range(smooth if len(points) > 4 else 0):
            if self.closed:
                points = (np.roll(points, 1, axis=0) + 2 * points + np.roll(points, -1, axis=0)) / 4
            else:
                points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
        return np.concatenate([points, points[:1]]) if self.closed else points


def outline(faces: np.ndarray, inside: np.ndarray) -> list[Line]:
    """Lines around the vertices that are ``inside``, through the middles of the edges that lead out.

    Where the mesh itself ends (a flatmap's cut) the line follows its border, so that regions stay closed.
    """
    links: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for a, b in _segments(faces, inside):
        links.setdefault(a, []).append(b)
        links.setdefault(b, []).append(a)
    lines = []
    while links:
        # Open ends first, so that an open line is not cut in two.
        start = next((node for node, to in links.items() if len(to) == 1), next(iter(links)))
        path = [start]
        while path[-1] in links:
            here = path[-1]
            there = links[here].pop()
            links[there].remove(here)
            for node in (here, there):
                if not links[node]:
                    del links[node]
            path.append(there)
        closed = len(path) > 3 and path[0] == path[-1]
        lines.append(Line(np.array(path[:-1] if closed else path), closed))
    return lines


def _segments(faces: np.ndarray, inside: np.ndarray) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    count = inside[faces].sum(axis=1)
    for face in faces[(count == 1) | (count == 2)].tolist():
        odd = next(v for v in face if inside[v] == (sum(inside[face]) == 1))
        first, second = (v for v in face if v != odd)
        yield _edge(odd, first), _edge(odd, second)
    for a, b in _border(faces).tolist():
        if inside[a] and inside[b]:
            yield (a, a), (b, b)
        elif inside[a] or inside[b]:
            within = a if inside[a] else b
            yield _edge(a, b), (within, within)


def _edge(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _border(faces: np.ndarray) -> np.ndarray:
    """Edges that belong to one face only."""
    edges = np.sort(
        np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64), axis=1
    )
    base = int(faces.max()) + 1
    # One number an edge: sorting numbers is a hundred times faster than sorting rows.
    unique, counts = np.unique(edges[:, 0] * base + edges[:, 1], return_counts=True)
    once = unique[counts == 1]
    return np.stack([once // base, once % base], axis=1)


def main_piece(faces: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Indices of the largest connected piece of the vertices ``inside``; empty if there is none on these faces."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[inside[edges].all(axis=1)]
    if not len(edges):
        return np.flatnonzero(inside & np.isin(np.arange(len(inside)), faces))[:1]
    n = len(inside)
    piece = connected_components(coo_array((np.ones(len(edges)), tuple(edges.T)), shape=(n, n)))[1]
    return np.flatnonzero(inside & (piece == np.bincount(piece[edges[:, 0]]).argmax()))


# --------------------------------------------------------------------------------------------------- views
@dataclass(frozen=True)
class View:
    """An orthographic picture of a closed mesh.

    Attributes
    ----------
    xy : (vertex, 2) mm on the picture; depth (vertex,) grows towards the viewer.
    faces : (face, 3) that face the viewer, farthest first.
    light : (vertex,) brightness factor, about 1 where the surface faces the viewer.
    facing : (vertex,) cosine between the surface's normal and the viewer.
    """

    xy: np.ndarray
    depth: np.ndarray
    faces: np.ndarray
    light: np.ndarray
    facing: np.ndarray


def look(coordinates: np.ndarray, faces: np.ndarray, camera: tuple[float, float, float]) -> View:
    """Project a mesh as seen from the direction ``camera`` (right, anterior, superior), head up."""
    towards = np.asarray(camera, float) / np.linalg.norm(camera)
    across = np.cross([0.0, 0.0, 1.0], towards)
    across /= np.linalg.norm(across)
    up = np.cross(towards, across)
    normal = _normals(coordinates, faces)
    depth = coordinates @ towards
    corners = coordinates[faces]
    front = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) @ towards > 0
    shown = faces[front]
    shown = shown[np.argsort(depth[shown].mean(axis=1), kind="stable")]
    # Lit from above the viewer's left shoulder, never black: colours must stay readable against the bar.
    lamp = towards + 0.45 * up - 0.25 * across
    light = 0.70 + 0.36 * np.clip(normal @ (lamp / np.linalg.norm(lamp)), 0, 1)
    return View(coordinates @ np.stack([across, up], axis=1), depth, shown, light, normal @ towards)


def _normals(coordinates: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (vertex, 3) that point outwards."""
    corners = coordinates[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = np.zeros_like(coordinates)
    for corner in range(3):
        np.add.at(normal, faces[:, corner], across)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)
