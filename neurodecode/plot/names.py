"""Names on a flatmap: placed on their region where there is room, beside it with a line where there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_GAP = 0.6  # points between two names


def place(centres: np.ndarray, sizes: np.ndarray, *, limits: np.ndarray, rounds: int = 600) -> np.ndarray:
    """Move boxes of ``sizes`` (n, 2) as little as needed from ``centres`` (n, 2) until none overlap.

    Parameters
    ----------
    limits : (2, 2)
        Lowest and highest corner within which boxes stay.

    Returns
    -------
    (n, 2) centres of the boxes.
    """
    at = centres.astype(float).copy()
    n = len(at)
    # Two boxes on the very same point need a direction to part in; this one is always the same.
    at += 1e-3 * sizes.mean() * np.stack([np.cos(np.arange(n) * 2.4), np.sin(np.arange(n) * 2.4)], axis=1)
    first, second = np.triu_indices(n, 1)
    apart = (sizes[first] + sizes[second]) / 2
    for turn in range(rounds):
        # Drawn back to their regions at first; in the last third they only make room.
        if turn < rounds * 2 // 3:
            at += (centres - at) * 0.08
        away = at[first] - at[second]
        overlap = apart - np.abs(away)
        hit = np.flatnonzero((overlap > 0).all(axis=1))
        axis = overlap[hit].argmin(axis=1)
        push = (0.5 * overlap[hit, axis] + 1e-6) * np.where(away[hit, axis] >= 0, 1, -1)
        np.add.at(at, (first[hit], axis), push * 0.7)
        np.add.at(at, (second[hit], axis), -push * 0.7)
        at = np.clip(at, limits[0] + sizes / 2, limits[1] - sizes / 2)
    return at


def write_names(ax: Axes, names: list[str], anchors: np.ndarray, *, size: float) -> list[Text]:
    """Write ``names`` near ``anchors`` (n, 2) in data units, without overlaps, white with a dark rim.

    The axes must have their final place on the figure.
    """
    from matplotlib.patheffects import withStroke

    if not names:
        return []
    rim = [withStroke(linewidth=1.2, foreground="#202020")]
    pixel = ax.figure.dpi / 72
    boxes = np.array([_extent(name, size) for name in names]) + _GAP
    corners = ax.transAxes.transform([(0, 0), (1, 1)]) / pixel
    start = ax.transData.transform(anchors) / pixel
    ended = place(start, boxes, limits=corners)
    written = []
    for name, begin, end, box in zip(names, start, ended, boxes, strict=True):
        x, y = ax.transData.inverted().transform(end * pixel)
        if (np.abs(begin - end) > box * 0.62).any():
            foot = ax.transData.inverted().transform(begin * pixel)
            ax.plot(
                [foot[0], x], [foot[1], y], color="white", lw=0.6, zorder=5,
                path_effects=[withStroke(linewidth=1.2, foreground="#202020")],
            )  # fmt: skip
        written.append(
            ax.text(
                x,
                y,
                name,
                size=size,
                color="white",
                weight="bold",
                ha="center",
                va="center_baseline",
                path_effects=rim,
                zorder=6,
            )  # fmt: skip
        )
    return written


def _extent(text: str, size: float) -> tuple[float, float]:
    """Width and height of bold text, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    box = TextPath((0, 0), text, size=size, prop=FontProperties(weight="bold")).get_extents()
    return float(box.width) + 1.0, float(size) * 0.95
