"""Maps on the cortex (Fig. 9a-c): a flatmap pair over curvature, and two inflated views a hemisphere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from ..labels import listed, require_choice, require_coord, require_dims, require_same
from .levels import Levels, by_face, legend, levels_of
from .look import PAGE, figure_or_new, inches_wide, map_label, style
from .mesh import SIDES, Line, View, hemisphere, look, main_piece, on_vertices, outline
from .names import write_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

ENGINES = ("matplotlib", "pycortex")

_HEIGHT = PAGE * 0.575


class Layout(NamedTuple):
    """Left, bottom, width, height of every picture, as shares of the figure."""

    flat: dict[str, tuple[float, float, float, float]]
    inflated: dict[tuple[str, str], tuple[float, float, float, float]]
    bar: tuple[float, float, float, float]
    name_size: float


# Inflated views under the flatmaps: regions large enough for their names. The default.
_TALL = Layout(
    flat={"left": (0.0, 0.29, 0.497, 0.67), "right": (0.503, 0.29, 0.497, 0.67)},
    inflated={
        ("left", "lateral"): (0.005, 0.035, 0.180, 0.25),
        ("left", "medial"): (0.195, 0.035, 0.180, 0.25),
        ("right", "medial"): (0.625, 0.035, 0.180, 0.25),
        ("right", "lateral"): (0.815, 0.035, 0.180, 0.25),
    },
    bar=(0.395, 0.180, 0.21, 0.020),
    name_size=6.0,
)
# Inflated views beside the flatmaps, for figures wider than twice their height: several maps on a page.
_WIDE = Layout(
    flat={"left": (0.192, 0.20, 0.306, 0.75), "right": (0.502, 0.20, 0.306, 0.75)},
    inflated={
        ("left", "lateral"): (0.0, 0.55, 0.185, 0.38),
        ("left", "medial"): (0.0, 0.10, 0.185, 0.38),
        ("right", "lateral"): (0.815, 0.55, 0.185, 0.38),
        ("right", "medial"): (0.815, 0.10, 0.185, 0.38),
    },
    bar=(0.365, 0.175, 0.27, 0.026),
    name_size=5.0,
)
# Where the viewer stands for the left hemisphere (right, anterior, superior): behind and beside, so that the
# occipital pole, MT and LO are in sight; and behind, below and within, for the calcarine and the ventral stream.
_CAMERAS = {"lateral": (-0.66, -0.75, 0.05), "medial": (0.66, -0.58, -0.48)}
_TITLES = {"lateral": "posterior–lateral", "medial": "ventral–medial"}
_FAINT = 0.12  # share of the scale over which colours fade in, so that weak weights let curvature through


class Scale(NamedTuple):
    """What a value looks like: colour map, limits, and whether weak values fade."""

    colours: Colormap
    low: float
    high: float
    threshold: float = 0.0

    def rgb(self, values: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """Colours (..., 3) of ``values`` painted over ``ground`` (..., 3); NaN leaves the ground."""
        seen = np.isfinite(values)
        given = np.where(seen, values, 0.0)
        # Colours of one sign run from the threshold; of two, from -high, so that 0 stays in their middle.
        start = self.low if self.low < 0 else min(self.threshold, 0.99 * self.high)
        share = np.clip((given - start) / (self.high - start), 0, 1)
        strength = np.abs(2 * share - 1) if self.low < 0 else share
        faint = 1.0 if self.threshold > 0 else np.clip(strength / _FAINT, 0, 1)
        cover = np.where(seen & (np.abs(given) >= self.threshold), faint, 0.0)[..., None]
        return cover * self.colours(share)[..., :3] + (1 - cover) * ground


class Sheet(NamedTuple):
    """A ready picture of one flatmap: colours (row, column, 4) and where it lies in mm (left, right, bottom, top)."""

    rgba: np.ndarray
    extent: tuple[float, float, float, float]


class _Side(NamedTuple):
    """What is drawn of one hemisphere."""

    side: str
    field: np.ndarray
    inside: dict[str, np.ndarray]
    scale: Scale | Levels

    def paint(self, ax: Axes, xy: np.ndarray, faces: np.ndarray, light: np.ndarray | float = 1.0) -> None:
        """Paint the map over curvature, shaded by ``light`` (vertex)."""
        grey = ground(hemisphere(self.side).curvature)
        shade = np.asarray(light)[..., None]
        if isinstance(self.scale, Levels):
            _paint(ax, xy, faces, np.clip(grey * shade, 0, 1))
            xy, faces, rgb = by_face(xy, faces, self.field, self.scale.rgb(self.field, grey) * shade)
        else:
            rgb = self.scale.rgb(self.field, grey) * shade
        if len(faces):
            _paint(ax, xy, faces, np.clip(rgb, 0, 1))


def cortex(
    values: xr.DataArray,
    *,
    regions: xr.DataArray | None = None,
    figure: Figure | SubFigure | None = None,
    label: str | None = None,
    vmax: float | None = None,
    threshold: float = 0.0,
    engine: str = "matplotlib",
) -> Figure | SubFigure:
    """Draw a map on fsaverage5: flatmaps over grey curvature between two inflated views a hemisphere (Fig. 9a-c).

    Parameters
    ----------
    values : (voxel)
        With the coordinates `hemi` ("left" or "right") and `vertex` (fsaverage5 index within the hemisphere), such as
        one layer of neurodecode.spatial.weight_map. Vertices without a value, or NaN, show curvature. With
        attrs["levels"] (names) values are the numbers of these, such as ``best`` of neurodecode.encoding.best_layer: a
        colour each, without limits or threshold.
    regions : boolean (region, voxel), optional
        From neurodecode.brain.regions, on the same voxels: outlined in white, with names on the flatmaps.
    figure : optional
        A Figure or SubFigure to draw on; by default a new one, 17.5 cm wide.
    label : optional
        Of the colour bar, such as "Fitting weights for c"; by default made from the name and units of ``values``.
    vmax : optional
        The value at the strongest colour; by default the largest absolute value. Maps with negative values get a
        diverging scale from -vmax to vmax, the others yellow to red from 0; values near 0 fade into curvature.
    threshold : float
        Values nearer to 0 than this show curvature; the colour bar is grey there too, and yellow begins there. Means of
        absolute values need one: they lie above 0 in voxels of pure noise.
    engine : {"matplotlib", "pycortex"}
        "pycortex" draws the flatmaps with quickflat (with the inflated views as above) and needs the extra
        neurodecode-toolkit[cortex].

    Returns
    -------
    The figure.

    Raises
    ------
    ValueError
        Other dimensions, sides or vertices, duplicate vertices, an unknown engine, regions on other voxels, or
        vmax that is not positive.
    ImportError
        engine="pycortex" without pycortex.
    """
    require_choice(engine, ENGINES, what="engine")
    fields = on_vertices(values)
    inside = region_vertices(regions, values)
    if "levels" in values.attrs and (vmax is not None or threshold > 0):
        raise ValueError("a map of levels has no vmax and no threshold; mask it with NaN instead")
    with style():
        scale = levels_of(values) or scale_of(values, vmax)._replace(threshold=_below(threshold, values))
        fig, layout = _page(figure)
        sheets = _flat_pictures(fields, scale) if engine == "pycortex" else {}
        for side in SIDES:
            part = _Side(side, fields[side], inside[side], scale)
            ax = _bare(fig, layout.flat[side], f"flat {side}")
            _flatmap(ax, part, sheets.get(side), name_size=layout.name_size)
            for view in _CAMERAS:
                _inflated(_bare(fig, layout.inflated[side, view], f"inflated {side} {view}"), part, view)
        bar = fig.add_axes(layout.bar, label="colour bar")
        if isinstance(scale, Levels):
            legend(bar, scale, label or label_of(values))
        else:
            _colour_bar(bar, scale, label or label_of(values))
    return fig


def region_vertices(regions: xr.DataArray | None, values: xr.DataArray) -> dict[str, dict[str, np.ndarray]]:
    """Boolean (vertex,) of each region, by side and name."""
    if regions is None:
        return {side: {} for side in SIDES}
    require_dims(regions, ["region", "voxel"], who="regions")
    if regions.dtype != bool:
        raise ValueError(
            f"regions must be boolean (region, voxel), not {regions.dtype}; see neurodecode.brain.regions"
        )
    require_coord(regions, "region", who="regions")
    if "voxel" in regions.coords and "voxel" in values.coords:
        require_same(values, regions, "voxel", who=("values", "regions"))
    elif regions.sizes["voxel"] != values.sizes["voxel"]:
        raise ValueError(
            f"regions have {regions.sizes['voxel']} voxels and values {values.sizes['voxel']}; "
            "make them from the same array with neurodecode.brain.regions"
        )
    out: dict[str, dict[str, np.ndarray]] = {side: {} for side in SIDES}
    for name in regions["region"].values:
        members = values.copy(data=regions.sel(region=name).transpose("voxel").values.astype(float))
        for side, field in on_vertices(members).items():
            out[side][str(name)] = field == 1
    return out


def finite_of(values: xr.DataArray) -> np.ndarray:
    """Return the values that can be drawn, and refuse a map without any."""
    finite: np.ndarray = values.values[np.isfinite(values.values)]
    if not finite.size:
        raise ValueError("values has no finite value to draw; look at where the map was made")
    return finite


def scale_of(values: xr.DataArray, vmax: float | None) -> Scale:
    """Limits and colours for ``values``: from 0 if none is negative, else symmetric about 0."""
    if "levels" in values.attrs:
        raise ValueError(
            f"values are numbers of {np.size(values.attrs['levels'])} names "
            f"({listed(np.atleast_1d(values.attrs['levels']))}), not amounts; draw them with cortex or slice_map, or "
            "drop attrs['levels']"
        )
    finite = finite_of(values)
    high = float(np.abs(finite).max()) if vmax is None else float(vmax)
    if vmax is not None and not high > 0:
        raise ValueError(f"vmax must be positive, got {vmax}; leave it out to take the largest value")
    high = high or 1.0  # a map of zeros is still a map
    negative = bool((finite < 0).any())
    return Scale(_diverging() if negative else _yellow_red(), -high if negative else 0.0, high)


def _below(threshold: float, values: xr.DataArray) -> float:
    largest = float(np.nanmax(np.abs(values.values)))
    if not 0 <= threshold <= max(largest, 0.0):
        raise ValueError(f"threshold must lie between 0 and the largest value {largest:.4g}, got {threshold}")
    return float(threshold)


@lru_cache(maxsize=1)
def _yellow_red() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    steps = ["#FFF3A0", "#FFE066", "#FEC044", "#FD9A3B", "#F9692E", "#E83420", "#C20D20", "#8B0020"]
    return LinearSegmentedColormap.from_list("yellow_red", steps)


@lru_cache(maxsize=1)
def _diverging() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    steps = [
        "#08306B",
        "#2171B5",
        "#6BAED6",
        "#C6DBEF",
        "#F7F7F7",
        "#FEC98A",
        "#FD8D3C",
        "#E31A1C",
        "#800026",
    ]
    return LinearSegmentedColormap.from_list("blue_red", steps)


def label_of(values: xr.DataArray) -> str:
    """Name a map on its colour bar: name and units; a weight map by its kind, whose units say it all already."""
    if "kind" in values.attrs and "long_name" not in values.attrs:
        return map_label(values.attrs)
    words = str(values.attrs.get("long_name") or values.name or "value").replace("_", " ")
    units = str(values.attrs.get("units", ""))
    return f"{words} ({units})" if units and units != "1" and "levels" not in values.attrs else words


# ------------------------------------------------------------------------------------------------ drawing
def ground(curvature: np.ndarray) -> np.ndarray:
    """Grey (vertex, 3) of curvature: sulci dark, gyri light, with a soft step between."""
    grey = 0.60 - 0.13 * np.tanh(curvature / 0.06)
    return np.repeat(grey[:, None], 3, axis=1)


def _bare(fig: Figure | SubFigure, place: tuple[float, float, float, float], name: str) -> Axes:
    ax = fig.add_axes(place, label=name)
    ax.set_axis_off()
    ax.set_aspect("equal", adjustable="box")
    return ax


def _paint(ax: Axes, xy: np.ndarray, faces: np.ndarray, rgb: np.ndarray) -> None:
    """Paint triangles in their order, colours running smoothly between vertices, as one picture in a PDF."""
    from matplotlib.collections import TriMesh
    from matplotlib.tri import Triangulation

    mesh = TriMesh(Triangulation(xy[:, 0], xy[:, 1], faces), rasterized=True, zorder=1)
    mesh.set_facecolor(list(map(tuple, rgb)))
    # Thousands of triangles: their limits are known (_frame), so matplotlib need not collect them.
    mesh.set_in_layout(False)
    ax.add_collection(mesh, autolim=False)


def _page(figure: Figure | SubFigure | None) -> tuple[Figure | SubFigure, Layout]:
    """Choose the layout by the figure's shape; pictures have fixed places, so a layout engine has nothing to do."""
    from matplotlib.figure import Figure

    fig = figure_or_new(figure, width=PAGE, height=_HEIGHT)
    if isinstance(fig, Figure) and not fig.axes and not fig.subfigs:
        fig.set_layout_engine("none")
    box = fig.bbox
    return fig, _WIDE if box.width > 2 * box.height else _TALL


def _flatmap(ax: Axes, part: _Side, sheet: Sheet | None, *, name_size: float) -> None:
    mesh = hemisphere(part.side)
    if sheet is None:
        part.paint(ax, mesh.flat, mesh.flat_faces)
    else:
        ax.imshow(sheet.rgba, extent=sheet.extent, interpolation="bilinear", zorder=1)
    used = mesh.flat[np.unique(mesh.flat_faces)]
    _frame(ax, used, margin=3.0)
    ax.set_anchor("E" if part.side == "left" else "W")
    ax.apply_aspect()
    anchors, names = [], []
    for name, members in part.inside.items():
        _stroke(ax, [line.on(mesh.flat) for line in outline(mesh.flat_faces, members)], width=0.9)
        piece = main_piece(mesh.flat_faces, members)
        if piece.size:
            anchors.append(_heart(mesh.flat, piece, members))
            names.append(name)
    write_names(ax, names, np.array(anchors).reshape(-1, 2), size=name_size)
    ax.text(
        0.0 if part.side == "left" else 1.0,
        0.90,
        part.side,
        ha=part.side,
        va="top",
        size=8,
        transform=ax.transAxes,
    )


def _frame(ax: Axes, xy: np.ndarray, *, margin: float) -> None:
    low, high = xy.min(axis=0) - margin, xy.max(axis=0) + margin
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])


def _heart(flat: np.ndarray, piece: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Where a region is widest, and near its middle: its name stands on it even if it is a bent band."""
    from scipy.spatial import cKDTree

    points = flat[piece]
    room = cKDTree(flat[~members]).query(points)[0]
    off_centre = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1))
    return points[np.argmax(room - 0.3 * off_centre)]


def _inflated(ax: Axes, part: _Side, name: str) -> None:
    mesh = hemisphere(part.side)
    view = view_of(part.side, name)
    part.paint(ax, view.xy, view.faces, view.light)
    _frame(ax, view.xy, margin=2.0)
    for members in part.inside.values():
        for line in outline(mesh.faces, members):
            _stroke(ax, _in_sight(line, view), width=0.6)
    ax.text(0.5, -0.03, _TITLES[name], ha="center", va="top", size=6, color="#444444", transform=ax.transAxes)


@lru_cache(maxsize=4)
def view_of(side: str, name: str) -> View:
    """One of the two views of a side; the right one is the mirror image of the left."""
    right, anterior, superior = _CAMERAS[name]
    mesh = hemisphere(side)
    return look(mesh.inflated, mesh.faces, (right if side == "left" else -right, anterior, superior))


def _in_sight(line: Line, view: View) -> list[np.ndarray]:
    """The parts of a line that the viewer sees."""
    points = line.on(view.xy)
    facing = view.facing[line.ends].mean(axis=1) > 0.08
    facing = np.concatenate([facing, facing[:1]]) if line.closed else facing
    cuts = np.flatnonzero(np.diff(facing.astype(int))) + 1
    runs = zip(np.split(points, cuts), np.split(facing, cuts), strict=True)
    return [part for part, seen in runs if seen[0] and len(part) > 1]


def _stroke(ax: Axes, lines: list[np.ndarray], *, width: float) -> None:
    """White lines with a thin dark rim, so that they hold on yellow as on grey."""
    from matplotlib.patheffects import Normal, Stroke

    rim = [Stroke(linewidth=width + 0.5, foreground="#303030", alpha=0.55), Normal()]
    for points in lines:
        ax.plot(
            points[:, 0],
            points[:, 1],
            color="white",
            lw=width,
            solid_joinstyle="round",
            path_effects=rim,
            zorder=4,
        )


def _colour_bar(ax: Axes, scale: Scale, label: str) -> None:
    from textwrap import fill

    from matplotlib.ticker import MaxNLocator

    steps = np.linspace(scale.low, scale.high, 256)
    shown = scale.rgb(steps, np.full((256, 3), 0.60))
    ax.imshow(shown[None], aspect="auto", extent=(scale.low, scale.high, 0, 1))
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.tick_params(length=2, width=0.6, labelsize=6.5, pad=1.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
    # About 17 letters of this size fill an inch; longer labels are broken before they reach the brains beside the bar.
    letters = max(24, int(1.15 * 17 * inches_wide(ax)))
    lines = (fill(line, letters) for line in label.split("\n"))
    ax.set_xlabel("\n".join(lines), labelpad=2, size=7.5)


def _flat_pictures(fields: dict[str, np.ndarray], scale: Scale | Levels) -> dict[str, Sheet]:
    from .viewers import flat_pictures

    return flat_pictures(
        {side: scale.rgb(fields[side], ground(hemisphere(side).curvature)) for side in SIDES}
    )
