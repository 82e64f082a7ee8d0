"""Accuracy of decoders trained at one time and tested at another: matrices, and panels of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..labels import require_coord, require_dims
from .curves import MS, edges, require_significant, words_of_test
from .look import (
    PAGE,
    axes_or_new,
    chance_of,
    figure_or_new,
    lines,
    note,
    score_label,
    slim_colour_bar,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def generalisation(
    matrix: xr.DataArray,
    *,
    ax: Axes | None = None,
    clusters: xr.Dataset | None = None,
    vmax: float | None = None,
    colour_bar: bool = True,
    onset: float = 0.0,
) -> Axes:
    """Draw scores of decoders trained in one window and tested in another.

    Parameters
    ----------
    matrix : (train_window, test_window)
        Windows in seconds; attrs `score`, `units`, and `chance`, which takes the middle of the colours. Without it the
        mean of the coordinate `chance` does, and without either 0.
    ax : optional
        Axes to draw on; by default those of a new figure.
    clusters : Dataset with boolean significant (train_window, test_window), optional
        From neurodecode.inference.clusters: outlined in black; attrs `alpha`, `n`, `over`, `family`.
    vmax : optional
        The score at the strongest red; the strongest blue is as far below chance. By default the farthest score.
    colour_bar : bool
        Whether to add one beside the axes; see :func:`generalisation_panels` for one of several panels.
    onset : float
        Of the stimulus, in seconds: two thin lines.

    Returns
    -------
    The axes, times in ms, training upwards and test to the right.

    Raises
    ------
    ValueError
        Other dimensions (average subjects and select a layer first), no finite value, or vmax not above chance.
    """
    require_dims(matrix, ["train_window", "test_window"], who="matrix")
    if matrix.ndim != 2:
        others = [str(d) for d in matrix.dims if d not in ("train_window", "test_window")]
        raise ValueError(
            f"matrix must be (train_window, test_window) but also has {others}; select a layer and average subjects "
            f"first, e.g. .mean({others[0]!r})"
        )
    from matplotlib.ticker import MaxNLocator

    shown = matrix.transpose("train_window", "test_window")
    middle, reach = middle_and_reach(shown, vmax)
    with style():
        ax = axes_or_new(ax, height=7.6)
        x, y = (edges(shown[d].values * MS) for d in ("test_window", "train_window"))
        image = ax.pcolormesh(
            x, y, shown.values, cmap="RdBu_r", vmin=middle - reach, vmax=middle + reach, rasterized=True
        )
        inside = None if clusters is None else _inside(clusters, shown)
        if inside is not None:
            _outline(ax, x, y, inside)
        span = [max(x[0], y[0]), min(x[-1], y[-1])]
        ax.plot(span, span, color="black", lw=0.7, ls=(0, (4, 2.5)), label="diagonal")
        ax.axvline(onset * MS, color="#606060", lw=0.7)
        ax.axhline(onset * MS, color="#606060", lw=0.7)
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(y[0], y[-1])
        ax.set_aspect("equal")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        ax.set_xlabel("Test window (ms)")
        ax.set_ylabel("Training window (ms)")
        if colour_bar:
            score_bar(ax.figure, [ax], image, shown)
            note(ax, *_matrix_words(matrix), *_outline_words(clusters))
    return ax


def generalisation_panels(
    matrices: xr.DataArray,
    *,
    clusters: xr.Dataset | None = None,
    figure: Figure | SubFigure | None = None,
    onset: float = 0.0,
) -> Figure | SubFigure:
    """Draw a matrix of :func:`generalisation` a layer, side by side under one colour scale.

    Parameters
    ----------
    matrices : (layer, train_window, test_window)
        Windows in seconds; attrs `score`, `units` and `chance`.
    clusters : Dataset with boolean significant (layer, train_window, test_window), optional
        From neurodecode.inference.clusters: outlined in black, as by :func:`generalisation`.
    figure : optional
        A Figure or SubFigure to draw on; by default a new one, 17.5 cm wide.
    onset : float
        Of the stimulus, in seconds.

    Returns
    -------
    The figure: panels titled with their layer, and one colour bar.

    Raises
    ------
    ValueError
        Other dimensions (average subjects first), or no finite value.
    """
    require_dims(matrices, ["layer", "train_window", "test_window"], who="matrices")
    require_coord(matrices, "layer", who="matrices")
    middle, reach = middle_and_reach(matrices, None)
    layers = matrices["layer"].values.tolist()
    # Panels share one middle, even where each has a chance of its own.
    alike = matrices if _middle(matrices) is None else matrices.assign_attrs(chance=middle)
    with style():
        fig = figure_or_new(figure, width=PAGE, height=0.8 + (PAGE - 1.1) / max(len(layers), 2))
        axes = list(fig.subplots(1, len(layers), squeeze=False, sharey=True)[0])
        for ax, layer in zip(axes, layers, strict=True):
            one = alike.sel(layer=layer, drop=True)
            found = None if clusters is None else clusters.sel(layer=layer, drop=True)
            generalisation(one, ax=ax, clusters=found, vmax=middle + reach, colour_bar=False, onset=onset)
            ax.set_title(str(layer), loc="left")
            ax.label_outer()
        score_bar(fig, axes, axes[0].collections[0], matrices)
        words = lines([*_matrix_words(matrices), *_outline_words(clusters)], int(PAGE * 20))
        fig.supxlabel(words, x=0.01, ha="left", size=6, color="#404040")
    return fig


def _middle(scores: xr.DataArray) -> float | None:
    """Chance: the one level, or the mean of those that the cells bear, if they bear any."""
    one = chance_of(scores.attrs)
    if one is not None or "chance" not in scores.coords:
        return one
    mean = float(scores.coords["chance"].mean())
    return mean if np.isfinite(mean) else None


def middle_and_reach(scores: xr.DataArray, vmax: float | None) -> tuple[float, float]:
    """The score that is white, and how far the strongest colours lie from it."""
    middle = _middle(scores) or 0.0
    if not np.isfinite(scores.values).any():
        raise ValueError("matrix has no finite value to draw")
    if vmax is not None and not vmax > middle:
        raise ValueError(
            f"vmax must be above chance ({middle:g}), got {vmax}; leave it out to take the farthest score"
        )
    reach = float(np.nanmax(np.abs(scores.values - middle))) if vmax is None else vmax - middle
    return middle, reach or 1.0


def score_bar(
    fig: Any, axes: list[Axes], image: Any, scores: xr.DataArray, *, reach_to: float | None = None
) -> None:
    """Colours are symmetric about chance; the bar shows those that occur, and one more where it is given."""
    bar = fig.colorbar(image, ax=axes, fraction=0.05, pad=0.02, aspect=18)
    shown = scores.values if reach_to is None else np.append(scores.values, reach_to)
    bar.ax.set_ylim(float(np.nanmin(shown)), float(np.nanmax(shown)))
    slim_colour_bar(bar, score_label(scores.attrs))


def white_words(scores: xr.DataArray) -> list[str]:
    """Which score is white: chance, or the mean of what is chance in each cell."""
    middle, mean = _middle(scores), "" if chance_of(scores.attrs) is not None else "mean "
    return [] if middle is None else [f"white: {mean}chance ({middle:.3g})"]


def _matrix_words(scores: xr.DataArray) -> list[str]:
    return [
        *white_words(scores),
        "times: centres of the windows",
        "dashed: trained and tested in the same window",
        "grey: onset",
    ]


def _inside(clusters: xr.Dataset, shown: xr.DataArray) -> np.ndarray:
    """Boolean (train_window, test_window) of the windows that are shown."""
    found = require_significant(clusters)
    require_dims(found, ["train_window", "test_window"], who="clusters")
    for dim in ("train_window", "test_window"):
        if not np.array_equal(found[dim].values, shown[dim].values):
            raise ValueError(
                f"clusters have {found.sizes[dim]} labels of {dim!r} and the matrix {shown.sizes[dim]}, or other ones; "
                "compute both from the same scores"
            )
    if found.ndim != 2:
        raise ValueError(
            f"clusters of one matrix are needed, got {tuple(map(str, found.dims))}; select a layer first"
        )
    return np.asarray(found.transpose("train_window", "test_window").values, dtype=bool)


def _outline(ax: Axes, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> None:
    """Black lines along the borders of cells (row, column) that are inside; x and y are the borders of cells."""
    from matplotlib.collections import LineCollection

    padded = np.pad(inside, 1)
    segments = []
    for row, column in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        segments.append([(x[column], y[row]), (x[column + 1], y[row])])
    for row, column in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):
        segments.append([(x[column], y[row]), (x[column], y[row + 1])])
    # The frame cuts off half of a line that lies on it.
    ax.add_collection(
        LineCollection(segments, colors="black", linewidths=1.0, label="_clusters", zorder=4, clip_on=False)
    )


def _outline_words(clusters: xr.Dataset | None) -> list[str]:
    if clusters is None:
        return []
    marks = "black outlines:" if bool(clusters["significant"].any()) else "there are no"
    return [
        words_of_test(
            clusters, marks, int(clusters.attrs.get("n", 2)), str(clusters.attrs.get("over", "subject"))
        )
    ]
