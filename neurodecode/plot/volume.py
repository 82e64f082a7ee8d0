"""Maps in a scanner's voxel grid: axial slices in mm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..labels import listed, require_coord, require_dims
from .levels import Levels, levels_of
from .look import COLUMN, PAGE, figure_or_new, slim_colour_bar, style
from .surface import Scale, finite_of, label_of, scale_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_MOST = 12  # slices shown unless told which
_TILT = 0.01  # share of a step that may go along another axis; at more, a slice has no one z


def slice_map(
    values: xr.DataArray,
    *,
    figure: Figure | SubFigure | None = None,
    slices: Sequence[int] | None = None,
    label: str | None = None,
    vmax: float | None = None,
) -> Figure | SubFigure:
    """Draw a (voxel) map in its voxel grid, an axial slice a panel, outlined where voxels are.

    Parameters
    ----------
    values : (voxel)
        Coordinates `x y z` in mm and attrs `affine` (16 numbers, voxel index to mm) and `shape` (3), as on arrays that
        neurodecode.brain.fmri made from NIfTI and on maps of them. With attrs["levels"] (names) values are numbers of
        these, a colour each, as for :func:`cortex`.
    figure : optional
        A Figure or SubFigure to draw on; by default a new one.
    slices : optional
        Indices from inferior to superior; by default every slice with voxels, at most twelve of them.
    label, vmax : optional
        As for :func:`cortex`.

    Returns
    -------
    The figure: axes in mm (neurological: left is left), and a colour bar. Where the grid is tilted against x y z by
    more than about 1 %, slices are titled by their index and axes count mm along the grid from its border.

    Raises
    ------
    ValueError
        Other dimensions, no grid, voxels beside the grid, or slices without a voxel.
    """
    require_dims(values, ["voxel"], who="values")
    if values.ndim != 1:
        raise ValueError(
            f"values must be (voxel) but has {tuple(map(str, values.dims))}; select one entry of the others first"
        )
    finite_of(values)
    grid, affine = _grid(values)
    filled = np.flatnonzero(np.isfinite(grid).any(axis=(0, 1)))
    chosen = _chosen(filled, slices)
    if "levels" in values.attrs and vmax is not None:
        raise ValueError(f"a map of levels has no vmax, got {vmax}; leave it out")
    with style():
        scale = levels_of(values) or scale_of(values, vmax)
        columns = min(4, len(chosen))
        rows = -(-len(chosen) // columns)
        width = COLUMN if columns == 1 else PAGE
        wide, deep, _ = _steps(affine) * grid.shape
        tall = deep / wide
        fig = figure_or_new(figure, width=width, height=rows * (0.78 * width / columns * tall + 0.45))
        axes = fig.subplots(rows, columns, squeeze=False).ravel()
        for ax in axes[len(chosen) :]:
            ax.set_axis_off()
        for ax, k in zip(axes, chosen, strict=False):
            _slice(ax, grid, affine, int(k), scale)
        _bar(fig, list(axes[: len(chosen)]), scale, label or label_of(values))
    return fig


def _grid(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """The map as a volume (right, anterior, superior), NaN outside, and its affine."""
    from nibabel import Nifti1Image, as_closest_canonical

    missing = [k for k in ("affine", "shape") if k not in values.attrs]
    if missing:
        raise ValueError(
            f"values lack the attrs {listed(missing)} of a voxel grid; make the array with brain.fmri from NIfTI, "
            "or copy attrs 'affine' and 'shape' from the responses. A map with 'vertex' is drawn with cortex"
        )
    affine = np.asarray(values.attrs["affine"], float).reshape(4, 4)
    shape = tuple(int(n) for n in np.asarray(values.attrs["shape"]).ravel())
    xyz = np.stack([require_coord(values, k, who="values").values for k in "xyz"], axis=1)
    index = (np.linalg.inv(affine) @ np.column_stack([xyz, np.ones(len(xyz))]).T)[:3].T
    whole = np.rint(index).astype(int)
    off = (np.abs(index - whole).max(axis=1) > 0.1) | (whole < 0).any(axis=1) | (whole >= shape).any(axis=1)
    if off.any():
        first = int(np.argmax(off))
        raise ValueError(
            f"values has {int(off.sum())} of {len(xyz)} voxels off the grid {shape}, first at position {first}: "
            f"{tuple(np.round(xyz[first], 2).tolist())} mm; 'x y z' and attrs 'affine' are of different images"
        )
    volume = np.full(shape, np.nan)
    volume[tuple(whole.T)] = values.values
    # Turned so that the axes run right, anterior, superior, whatever the scanner's order.
    image = as_closest_canonical(Nifti1Image(volume, affine))
    return np.asarray(image.dataobj, float), image.affine


def _chosen(filled: np.ndarray, slices: Sequence[int] | None) -> np.ndarray:
    if slices is None:
        return filled[np.unique(np.linspace(0, len(filled) - 1, min(_MOST, len(filled))).round().astype(int))]
    absent = [k for k in slices if k not in filled]
    if absent:
        raise ValueError(
            f"slice(s) {listed(absent)} have no voxel; those with voxels are {listed(filled, most=20)}"
        )
    return np.asarray(slices, int)


def _steps(affine: np.ndarray) -> np.ndarray:
    """Voxel sizes (3) in mm along the axes of the grid."""
    from nibabel.affines import voxel_sizes

    return np.asarray(voxel_sizes(affine), float)


def _tilted(affine: np.ndarray) -> bool:
    """Whether the grid's axes are not those of x y z."""
    share = np.abs(affine[:3, :3]) / _steps(affine)
    return bool(share[~np.eye(3, dtype=bool)].max() > _TILT)


def _slice(ax: Axes, grid: np.ndarray, affine: np.ndarray, k: int, scale: Scale | Levels) -> None:
    picture = grid[:, :, k].T
    tilted, steps = _tilted(affine), _steps(affine)
    # A tilted grid has no one x a column: its mm are counted from its own border.
    starts = steps / 2 if tilted else affine[:3, 3]
    x, y = (_borders(grid.shape[axis], steps[axis], starts[axis]) for axis in (0, 1))
    seen = np.isfinite(picture)
    rgba = np.concatenate([scale.rgb(picture, np.full((*picture.shape, 3), 0.80)), seen[..., None]], axis=2)
    ax.set_facecolor("white")
    ax.imshow(rgba, extent=(x[0], x[1], y[0], y[1]), origin="lower", interpolation="nearest")
    ax.set_xlim(min(x), max(x))
    ax.set_ylim(min(y), max(y))
    _rim(ax, seen, x, y)
    ax.set_xlabel("mm along the grid" if tilted else "x (mm)")
    ax.set_ylabel("mm along the grid" if tilted else "y (mm)")
    ax.set_title(f"slice {k}" if tilted else f"z = {affine[2, 2] * k + affine[2, 3]:.0f} mm")


def _borders(n: int, step: float, start: float) -> tuple[float, float]:
    return start - step / 2, start + (n - 0.5) * step


def _rim(ax: Axes, seen: np.ndarray, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Line along the voxels' borders around the mask."""
    from matplotlib.collections import LineCollection

    padded = np.pad(seen, 1)
    columns = np.linspace(*x, seen.shape[1] + 1)
    rows = np.linspace(*y, seen.shape[0] + 1)
    upright = [
        [(columns[j], rows[i]), (columns[j], rows[i + 1])]
        for i, j in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    ]
    level = [
        [(columns[j], rows[i]), (columns[j + 1], rows[i])]
        for i, j in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])
    ]
    ax.add_collection(
        LineCollection(upright + level, colors="#303030", linewidths=0.7, capstyle="projecting", label="mask")
    )


def _bar(fig: Figure | SubFigure, axes: list[Axes], scale: Scale | Levels, label: str) -> None:
    """A colour bar; of a map of names a field each, with the name beside it."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    if isinstance(scale, Levels):
        shown, limits = scale.colours, Normalize(-0.5, len(scale.names) - 0.5)
    else:
        shown = scale.rgb(np.linspace(scale.low, scale.high, 256), np.full((256, 3), 0.80))
        limits = Normalize(scale.low, scale.high)
    bar = fig.colorbar(ScalarMappable(limits, ListedColormap(shown)), ax=axes, fraction=0.05, pad=0.03)
    slim_colour_bar(bar, label)
    if isinstance(scale, Levels):
        bar.set_ticks(range(len(scale.names)), labels=list(scale.names))
        bar.ax.minorticks_off()
