"""Maps of names, not of amounts: a colour for every level, such as the layer that predicts a voxel best."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from ..labels import listed
from .look import inches_wide, layer_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Inches under the fields that slanted names and a line under them need.
_ROOM = 0.6


class Levels(NamedTuple):
    """Names of the levels 0, 1, ... and their colours (level, 3); layers have those of all figures."""

    names: tuple[str, ...]
    colours: np.ndarray

    def rgb(self, values: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """Colours (..., 3) of levels painted over ``ground``; NaN leaves the ground."""
        seen = np.isfinite(values)
        place = np.where(seen, values, 0).astype(int)
        return np.where(seen[..., None], self.colours[place], ground)


def levels_of(values: xr.DataArray) -> Levels | None:
    """Return the levels that attrs["levels"] names, None for a map of amounts.

    Raises
    ------
    ValueError
        Values that are no level's number.
    """
    named = values.attrs.get("levels")
    if named is None:
        return None
    from matplotlib.colors import to_rgb

    names = [str(n) for n in np.atleast_1d(np.asarray(named, dtype=object))]
    found = values.values[np.isfinite(values.values)]
    wrong = np.setdiff1d(found, np.arange(len(names)))
    if wrong.size:
        raise ValueError(
            f"values name {len(names)} levels ({listed(names)}) but hold {listed(wrong)}; levels are counted from 0"
        )
    colours = layer_colours(names)
    if len(set(map(str, colours))) < len(names):
        # More layers than the figures' own colours: a scale in their order.
        from matplotlib import colormaps

        colours = list(colormaps["turbo"](np.linspace(0.05, 0.95, len(names))))
    return Levels(tuple(names), np.array([to_rgb(c) for c in colours]))


def by_face(
    xy: np.ndarray, faces: np.ndarray, field: np.ndarray, rgb: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut out of a mesh the triangles that have a level, each in one colour, that of most of its vertices.

    Colours that run from one level to another would pass through those of a third.
    """
    level = np.where(np.isfinite(field), field, -1)[faces]
    chosen = np.where(level[:, 1] == level[:, 2], faces[:, 1], faces[:, 0])
    seen = np.isfinite(field[chosen])
    faces, chosen = faces[seen], chosen[seen]
    return xy[faces].reshape(-1, 2), np.arange(faces.size).reshape(-1, 3), np.repeat(rgb[chosen], 3, axis=0)


def legend(ax: Axes, levels: Levels, label: str) -> None:
    """Write a row of coloured fields with the levels' names, in the place of a colour bar."""
    n = len(levels.names)
    ax.imshow(levels.colours[None], aspect="auto", extent=(0, n, 0, 1), interpolation="nearest")
    ax.set_yticks([])
    long = max(len(name) for name in levels.names) * n > 42
    ax.set_xticks(
        np.arange(n) + 0.5, levels.names, rotation=40 if long else 0, ha="right" if long else "center"
    )
    if long:
        for text in ax.get_xticklabels():
            text.set_rotation_mode("anchor")
    ax.tick_params(length=0, labelsize=6, pad=1.5)
    for edge in range(1, n):
        ax.axvline(edge, color="white", lw=0.8)
    for spine in ax.spines.values():
        spine.set_visible(False)
    words = label[:1].upper() + label[1:]
    room = (ax.get_window_extent().y0 - ax.figure.bbox.y0) / ax.figure.dpi
    if not long or room > _ROOM:
        ax.set_xlabel(fill(words, max(24, int(19 * inches_wide(ax)))), size=7.5, labelpad=1)
    else:
        # On a low figure slanted names take all that is under the fields.
        ax.text(-0.03, 0.5, fill(words, 22), ha="right", va="center", size=7, transform=ax.transAxes)
