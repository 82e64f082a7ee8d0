"""Pictures side by side: what was shown and what was made of it (Figs. 4-6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..labels import PICTURE, SAMPLE, STIMULUS, listed, require_dims
from .look import (
    PAGE,
    axes_or_new,
    figure_or_new,
    group_variables,
    legend_above,
    note,
    style,
    subjects_words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Okabe & Ito 2008.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def reconstructions(
    columns: Mapping[str, xr.DataArray],
    *,
    figure: Figure | SubFigure | None = None,
    names: Sequence[str] | None = None,
    note_text: str = "",
) -> Figure | SubFigure:
    """Draw a grid of pictures, a row a stimulus and a column a stage or method.

    Parameters
    ----------
    columns : title -> (sample, row, column, colour), values 0-1
        The same samples in each, such as {"shown": ..., "stage 1": ..., "stage 2": ...}: in the order of the first
        column, matched by the coordinate `stimulus`, else `sample` (also where a stimulus is there more than once);
        by position where one has neither.
    figure : optional
        A Figure or SubFigure to draw on; by default a new one.
    names : optional
        Of the rows, written at their left.
    note_text : str
        Small print under the grid.

    Returns
    -------
    The figure, one axes a picture.

    Raises
    ------
    ValueError
        No columns, columns of different numbers of pictures or of other stimuli, values outside 0-1.
    """
    arrays = {title: _pictures(a, title) for title, a in columns.items()}
    counts = {title: len(a) for title, a in arrays.items()}
    if not arrays or len(set(counts.values())) > 1 or 0 in counts.values():
        raise ValueError(f"columns must hold the same pictures, one or more; they hold {counts}")
    first = next(iter(columns))
    arrays |= {title: a[_rows(columns, first, title)] for title, a in arrays.items()}
    rows = next(iter(counts.values()))
    side = min(0.72, PAGE / (len(arrays) + 1))
    with style():
        fig = figure_or_new(figure, width=side * len(arrays) + 0.9, height=side * rows + 0.55)
        grid = fig.subplots(rows, len(arrays), squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
        for column, (title, values) in enumerate(arrays.items()):
            for row in range(rows):
                ax = grid[row, column]
                ax.imshow(np.clip(values[row], 0, 1), interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                for spine in ax.spines.values():
                    spine.set_visible(False)
            grid[0, column].set_title(title, size=7)
        for row, name in enumerate(names or ()):
            grid[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", size=6.5)
        if note_text:
            fig.supxlabel(note_text, x=0.01, ha="left", size=6, color="#404040")
    return fig


def iterations(
    curves: xr.Dataset,
    *,
    ax: Axes | None = None,
    label: str = "Metric",
) -> Axes:
    """Draw metrics against the iterations of stage 2, a line each (Fig. 6).

    Parameters
    ----------
    curves : Dataset with mean, sem, n (line, iteration)
        From neurodecode.inference.group; its attr `over` says what mean and standard error are over.
    ax : optional
    label : of the y axis

    Returns
    -------
    The axes.

    Raises
    ------
    TypeError, ValueError
        Anything but such a Dataset.
    """
    data = group_variables(curves, dims=("line", "iteration"), who="curves")
    over = str(data.attrs.get("over", "picture"))
    with style():
        ax = axes_or_new(ax)
        x = data["iteration"].values
        ax.locator_params(axis="x", integer=True)
        for i, name in enumerate(data["line"].values.tolist()):
            colour = _COLOURS[i % len(_COLOURS)]
            mean, sem = (data[k].sel(line=name).values for k in ("mean", "sem"))
            ax.plot(x, mean, color=colour, marker="o", ms=2.5, label=str(name))
            ax.fill_between(x, mean - sem, mean + sem, color=colour, alpha=0.25, lw=0)
        ax.set_xlabel("Iteration of stage 2")
        ax.set_ylabel(label)
        legend_above(ax, *ax.get_legend_handles_labels())
        bands = f"bands: SEM over {over}s" if int(data["n"].max()) > 1 else "no error band"
        note(ax, subjects_words(data["n"], over), bands)
    return ax


def _rows(columns: Mapping[str, xr.DataArray], first: str, title: str) -> np.ndarray | slice:
    """Which rows of a column show the stimuli of the first one, in its order."""
    both = [columns[first].coords, columns[title].coords]
    names = [name for name in (STIMULUS, SAMPLE) if all(name in c and c[name].ndim == 1 for c in both)]
    if not names:
        return slice(None)
    wanted, found = (c[names[0]].to_index() for c in both)
    if wanted.equals(found):
        return slice(None)
    if names == [STIMULUS, SAMPLE] and not found.is_unique:
        names = [SAMPLE]
        wanted, found = (c[SAMPLE].to_index() for c in both)
    lacking = wanted[~wanted.isin(found)]
    if len(lacking) or not found.is_unique:
        only = f"{len(lacking)} of {len(wanted)} are only in {first!r} ({listed(lacking)})"
        raise ValueError(
            f"{title!r} cannot be matched with {first!r} by {names[0]!r}: "
            f"{only if len(lacking) else 'some are there more than once'}; select the same pictures with .sel, or drop "
            "the coordinate to pair them by position"
        )
    return found.get_indexer(wanted)


def _pictures(array: xr.DataArray, title: str) -> np.ndarray:
    require_dims(array, PICTURE, who=f"pictures of {title!r}")
    values = array.transpose(..., *PICTURE).values
    low, high = float(values.min()), float(values.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ValueError(f"pictures of {title!r} must lie from 0 to 1, found {low:g} to {high:g}")
    return values
