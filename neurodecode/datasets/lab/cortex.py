"""Approximate visual regions on fsaverage5, grown on the mesh around centres from the literature.

These are no atlas. Early visual cortex (V1, V2, V3) is laid out as bands around the calcarine sulcus; the other
regions grow as compact patches from their centre until they have the size that is usual for them. Centres and
sizes are rounded, made symmetric over the hemispheres, and approximate; for real work use an atlas, such as that of
Wang et al. 2015.

Centres and sizes are rounded by hand, not read from a table; the calcarine line was moved once after a comparison with
the atlas of Wang et al. 2015. They are meant to lie near the places of Dougherty et al. 2003 (confluent fovea, V1-V3),
Tootell et al. 1997 (V3A), Larsson & Heeger 2006 (LO1, LO2), Brewer et al. 2005 and Winawer & Witthoft 2015 (hV4, VO),
Arcaro et al. 2009 (PHC), Dumoulin et al. 2000 (MT), Huk et al. 2002 (MST, in front of MT), Silver et al. 2005 and
Swisher et al. 2007 (IPS).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

REGIONS = ("V1", "V2", "V3", "V3ab", "hV4", "VO", "PHC", "MT", "MST", "LO", "IPS")
HEMISPHERES = ("left", "right")
# nilearn's names of a surface, and what its files' names begin with.
_SURFACES = {"white_matter": "white", "pial": "pial", "sphere": "sphere"}

# mm, right hemisphere, MNI-like; the calcarine from its foveal end at the pole forwards, the central 15 degrees or so.
_CALCARINE = ((18, -100, -5), (11, -98, -2), (8, -90, 0), (9, -82, 4))
_SEEDS = {
    "V3ab": ((24, -88, 22),),
    "hV4": ((30, -78, -13),),
    "VO": ((28, -67, -10),),
    "PHC": ((28, -53, -8),),
    "LO": ((38, -84, 3),),
    "MT": ((46, -73, 4),),
    "MST": ((47, -66, 8),),
    "IPS": ((26, -78, 32), (23, -70, 44), (22, -63, 53), (30, -54, 54)),
}
# mm2 of white matter surface on fsaverage, which is smaller than a single brain's.
_AREAS = {
    "V1": 1300.0,
    "V2": 1000.0,
    "V3": 750.0,
    "V3ab": 550.0,
    "hV4": 280.0,
    "VO": 350.0,
    "PHC": 330.0,
    "MT": 170.0,
    "MST": 130.0,
    "LO": 430.0,
    "IPS": 1300.0,
}
_EARLY = ("V1", "V2", "V3")


@dataclass(frozen=True)
class Cortex:
    """Some vertices of fsaverage5, one entry each; regions are approximate.

    Attributes
    ----------
    roi : (n,) region's name, "" outside all of them.
    hemi : (n,) "left" or "right".
    vertex : (n,) index within the hemisphere, 0 to 10,241.
    xyz : (n, 3) mm, halfway between white and pial surface.
    normal : (n, 3) unit vectors that point out of the cortex.
    area : (n,) mm2 on the white surface.
    field : (n, 2) preferred place in the visual field, -1 to 1 rightwards and upwards from fixation; NaN where the
        region has no map here (everything but V1, V2 and V3).
    """

    roi: np.ndarray
    hemi: np.ndarray
    vertex: np.ndarray
    xyz: np.ndarray
    normal: np.ndarray
    area: np.ndarray
    field: np.ndarray

    def __len__(self) -> int:
        return len(self.roi)

    def take(self, index: np.ndarray) -> Cortex:
        """Return the vertices at ``index`` (positions or a boolean mask)."""
        return replace(self, **{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class _Sheet:
    """One hemisphere: what growing needs of a mesh."""

    xyz: np.ndarray
    faces: np.ndarray
    sphere: np.ndarray
    graph: csr_array
    normal: np.ndarray
    area: np.ndarray


def approximate_regions(*, rng: np.random.Generator | None = None) -> Cortex:
    """Label all vertices of both hemispheres of fsaverage5 with an approximate visual region.

    Parameters
    ----------
    rng
        None gives the template. A generator gives one subject's brain: seeds shifted by about 1.5 mm, areas
        changed by about 8 %.

    Returns
    -------
    Cortex
        20,484 vertices, left hemisphere first; ``roi`` is "" outside the regions.
    """
    parts = [_label(_sheet(surfaces(hemi)), hemi, rng) for hemi in HEMISPHERES]
    return Cortex(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in Cortex.__dataclass_fields__}
    )


def visual_patch(cortex: Cortex, *, surround: float = 1.0) -> Cortex:
    """Keep the labelled vertices and a ring of unlabelled ones around them.

    Parameters
    ----------
    cortex
        All vertices, from :func:`approximate_regions`.
    surround
        Vertices in the ring, as a multiple of the number of labelled ones.

    Returns
    -------
    Cortex
        Labelled vertices and ring, in the order of the mesh.
    """
    keep = cortex.roi != ""
    for hemi in HEMISPHERES:
        here = np.flatnonzero(cortex.hemi == hemi)
        inside = keep[here]
        distance = _distance_to(cortex.xyz[here], cortex.xyz[here][inside])
        nearest = np.argsort(np.where(inside, np.inf, distance), kind="stable")
        keep[here[nearest[: round(surround * inside.sum())]]] = True
    return cortex.take(keep)


def parcels(cortex: Cortex, *, area: float) -> np.ndarray:
    """Cut every region of each hemisphere into compact patches of about ``area`` mm2.

    Returns
    -------
    (n,) int
        The patch of each vertex, numbered from 0 in order of hemisphere and region; -1 outside the regions.
    """
    patch = np.full(len(cortex), -1)
    for hemi in HEMISPHERES:
        for name in REGIONS:
            here = np.flatnonzero((cortex.hemi == hemi) & (cortex.roi == name))
            count = max(1, round(float(cortex.area[here].sum()) / area))
            patch[here] = _farthest_points(cortex.xyz[here], count) + patch.max() + 1
    return patch


def mesh_graph(xyz: np.ndarray, faces: np.ndarray) -> csr_array:
    """Return the mesh's edges with their lengths in mm, as a symmetric sparse matrix (vertex, vertex)."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    length = np.linalg.norm(xyz[edges[:, 0]] - xyz[edges[:, 1]], axis=1)
    row, column = np.concatenate([edges, edges[:, ::-1]]).T
    return csr_array((np.tile(length, 2), (row, column)), shape=(len(xyz), len(xyz)))


def surfaces(hemi: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read fsaverage5's surfaces out of nilearn's wheel: name -> coordinates (vertex, 3) in mm, faces (face, 3).

    Importing nilearn's own loader takes ten times as long as reading the files; it is used where they lie elsewhere.
    """
    found = find_spec("nilearn")
    home = Path(str(found.origin if found else "")).parent / "datasets" / "data" / "fsaverage5"
    files = {name: home / f"{short}_{hemi}.gii.gz" for name, short in _SURFACES.items()}
    if not all(file.is_file() for file in files.values()):
        from nilearn.datasets import load_fsaverage

        meshes = load_fsaverage("fsaverage5")
        parts = {name: meshes[name].parts[hemi] for name in _SURFACES}
        return {name: (np.asarray(p.coordinates, float), np.asarray(p.faces)) for name, p in parts.items()}
    import nibabel

    read = {
        name: nibabel.GiftiImage.from_filename(file).agg_data(("pointset", "triangle"))
        for name, file in files.items()
    }
    return {name: (np.asarray(points, float), np.asarray(faces)) for name, (points, faces) in read.items()}


def _sheet(meshes: dict[str, tuple[np.ndarray, np.ndarray]]) -> _Sheet:
    (white, faces), (pial, _), (sphere, _) = (meshes[name] for name in _SURFACES)
    middle = (white + pial) / 2
    corners = white[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = np.zeros_like(middle)
    area = np.zeros(len(middle))
    for corner in range(3):
        np.add.at(normal, faces[:, corner], across)
        np.add.at(area, faces[:, corner], np.linalg.norm(across, axis=1) / 6)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return _Sheet(middle, faces, sphere, mesh_graph(middle, faces), normal, area)


def _label(sheet: _Sheet, hemi: str, rng: np.random.Generator | None) -> Cortex:
    side = np.array([-1.0 if hemi == "left" else 1.0, 1.0, 1.0])
    shift = rng.normal(0, 1.5, 3) if rng is not None else np.zeros(3)
    factor = {name: float(np.exp(rng.normal(0, 0.08))) if rng is not None else 1.0 for name in REGIONS}
    areas = {name: _AREAS[name] * factor[name] for name in REGIONS}
    roi, field = _early(sheet, np.array(_CALCARINE) * side + shift, areas, hemi)
    seeds = {name: np.array(points) * side + shift for name, points in _SEEDS.items()}
    _grow(sheet, roi, seeds, areas)
    n = len(roi)
    return Cortex(roi, np.full(n, hemi), np.arange(n), sheet.xyz, sheet.normal, sheet.area, field)


def _early(sheet: _Sheet, calcarine: np.ndarray, areas: dict, hemi: str) -> tuple[np.ndarray, np.ndarray]:
    """Lay V1, V2 and V3 as bands around the calcarine, with the visual field map that goes with them."""
    line = _path(sheet, calcarine)
    distance, _, nearest = dijkstra(sheet.graph, indices=line, min_only=True, return_predecessors=True)
    # V2 and V3 fold around the foveal end only: nothing grows past the peripheral end of the line.
    beyond = nearest == line[-1]
    order = np.argsort(np.where(beyond, np.inf, distance), kind="stable")
    reach = np.cumsum(sheet.area[order])
    roi = np.full(len(distance), "", dtype="<U4")
    field = np.full((len(distance), 2), np.nan)
    along = np.full(len(distance), np.nan)
    along[line] = np.linspace(0, 1, len(line))
    upper = _below(sheet, line, nearest)
    start = 0.0
    for name in _EARLY:
        band = order[(reach > start) & (reach <= start + areas[name])]
        start += areas[name]
        band = band[_main_piece(sheet.graph, band)]
        roi[band] = name
        field[band] = _early_field(distance[band], along[nearest[band]], upper[band], name, hemi)
    return roi, field


def _below(sheet: _Sheet, line: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Tell which vertices lie on the lower bank of the line: they see the upper visual field."""
    tangent = np.zeros_like(sheet.sphere)
    tangent[line] = np.gradient(sheet.sphere[line], axis=0)
    foot = np.maximum(nearest, 0)
    across = np.cross(sheet.sphere[foot], tangent[foot])
    side = np.einsum("ij,ij->i", across, sheet.sphere - sheet.sphere[foot]) > 0
    close = np.linalg.norm(sheet.xyz - sheet.xyz[foot], axis=1) < 25
    return side == (sheet.xyz[side & close, 2].mean() < sheet.xyz[~side & close, 2].mean())


def _main_piece(graph: csr_array, members: np.ndarray) -> np.ndarray:
    """Mark the members that belong to their largest connected piece."""
    _, piece = connected_components(graph[members][:, members], directed=False)
    return piece == np.argmax(np.bincount(piece))


def _early_field(
    distance: np.ndarray, along: np.ndarray, upper: np.ndarray, name: str, hemi: str
) -> np.ndarray:
    """Place vertices in the visual field: eccentricity grows forwards, the angle turns back at each border."""
    through = (distance - distance.min()) / max(float(np.ptp(distance)), 1e-9)
    tilt = (1 - through if name == "V2" else through) * np.pi / 2
    eccentricity = 0.05 + 0.95 * along**1.5
    right = np.cos(tilt) * (1 if hemi == "left" else -1)
    return np.stack([eccentricity * right, eccentricity * np.sin(tilt) * np.where(upper, 1, -1)], axis=1)


def _path(sheet: _Sheet, points: np.ndarray) -> np.ndarray:
    """Return the vertices on the shortest way over the mesh through the vertices nearest to ``points``."""
    stops = [int(np.argmin(np.linalg.norm(sheet.xyz - p, axis=1))) for p in points]
    way = [stops[0]]
    for start, stop in zip(stops[:-1], stops[1:], strict=True):
        _, before = dijkstra(sheet.graph, indices=start, return_predecessors=True)
        leg = [stop]
        while leg[-1] != start:
            leg.append(int(before[leg[-1]]))
        way += leg[-2::-1]
    return np.array(list(dict.fromkeys(way)))


def _grow(sheet: _Sheet, roi: np.ndarray, seeds: dict, areas: dict) -> None:
    """Grow the regions side by side over free vertices, neighbour by neighbour, until each has its area."""
    free = np.where(roi == "", 0.0, 1e6)
    queue: list[tuple[float, int, str]] = []
    left = dict.fromkeys(seeds, 0.0)
    distance = {}
    for name, points in seeds.items():
        starts = [int(np.argmin(np.linalg.norm(sheet.xyz - p, axis=1) + free)) for p in points]
        line = _path(sheet, sheet.xyz[starts]) if len(starts) > 1 else np.array(starts)
        distance[name] = dijkstra(sheet.graph, indices=line, min_only=True) / np.sqrt(areas[name])
        left[name] = areas[name]
        heapq.heappush(queue, (0.0, starts[0], name))
    indptr, indices = sheet.graph.indptr, sheet.graph.indices
    while queue:
        _, vertex, name = heapq.heappop(queue)
        if roi[vertex] or left[name] <= 0:
            continue
        roi[vertex] = name
        left[name] -= sheet.area[vertex]
        for other in indices[indptr[vertex] : indptr[vertex + 1]]:
            if not roi[other]:
                heapq.heappush(queue, (float(distance[name][other]), int(other), name))


def _distance_to(xyz: np.ndarray, targets: np.ndarray) -> np.ndarray:
    from scipy.spatial import cKDTree

    return cKDTree(targets).query(xyz)[0]


def _farthest_points(xyz: np.ndarray, count: int) -> np.ndarray:
    """Assign each point to the nearest of ``count`` points that lie far from each other."""
    nearest = np.linalg.norm(xyz - xyz.mean(axis=0), axis=1)
    owner = np.zeros(len(xyz), dtype=int)
    centre = int(np.argmin(nearest))
    nearest = np.full(len(xyz), np.inf)
    for number in range(count):
        distance = np.linalg.norm(xyz - xyz[centre], axis=1)
        owner[distance < nearest] = number
        nearest = np.minimum(nearest, distance)
        centre = int(np.argmax(nearest))
    return owner
