"""A table of metrics before and after, with its gains in colour (Tables 3-8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..labels import require_dims
from .look import PAGE, figure_or_new, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Okabe & Ito's green and vermilion, darkened for small print; the sign says the same without colour.
_BETTER, _WORSE, _PLAIN = "#007A5A", "#B34700", "#404040"
_ROW = 0.5  # inches
_LINES = (-0.27, 0.0, 0.27)


def metric_table(
    table: xr.Dataset,
    *,
    rows: str = "system",
    figure: Figure | SubFigure | None = None,
    title: str = "",
    note_text: str = "",
) -> Figure | SubFigure:
    """Draw means before and after with their relative gain, a row a system and a column a metric.

    Parameters
    ----------
    table : Dataset from :func:`neurodecode.metrics.gains`, with the dimension ``rows``
    rows : str
    figure : optional
        A Figure or SubFigure to draw on; by default a new one.
    title, note_text : str

    Returns
    -------
    The figure. Arrows at a metric's name say which way is better.

    Raises
    ------
    ValueError
        If ``table`` lacks a dimension.
    """
    require_dims(table["gain"], (rows, "metric"), who="table")
    names, metrics = table[rows].values.tolist(), table["metric"].values.tolist()
    with style():
        fig = figure_or_new(figure, width=PAGE, height=_ROW * (len(names) + 1) + 0.75)
        ax = fig.subplots()
        ax.set(xlim=(-1.9, len(metrics)), ylim=(len(names), -1.0))
        ax.axis("off")
        for column, metric in enumerate(metrics):
            arrow = "↑" if str(table["better"].sel(metric=metric).item()) == "higher" else "↓"
            ax.text(column + 0.45, -0.45, f"{_broken(metric)} {arrow}", ha="center", va="center", size=6.5)
        ax.axhline(-0.05, color="black", lw=0.6)
        for row, name in enumerate(names):
            broken = str(name).replace(", ", ",\n")
            ax.text(-1.9, row + 0.45, broken, ha="left", va="center", size=7)
            for line, text in zip(_LINES, ("before", "after", "gain"), strict=True):
                ax.text(-0.15, row + 0.45 + line, text, ha="right", va="center", size=5.5, color=_PLAIN)
            for column, metric in enumerate(metrics):
                _cell(ax, table.sel({rows: name, "metric": metric}), column + 0.45, row + 0.45)
        ax.set_title(title, loc="left")
        few, many = int(table["n"].min()), int(table["n"].max())
        n = many if few == many else f"{few} to {many}"
        said = (
            f"after: ± SEM, n = {n} {table.attrs['over']}s; gain: green better, red worse, by "
            "more than twice the standard error of the paired differences"
        )
        fig.supxlabel("\n".join(filter(None, [said, note_text])), x=0.01, ha="left", size=6, color=_PLAIN)
    return fig


def _cell(ax: Axes, here: xr.Dataset, x: float, y: float) -> None:
    """Three lines: before, after with its error, gain."""
    colour = {1: _BETTER, -1: _WORSE}.get(int(here["clear"]), _PLAIN)
    digits = 3 if abs(float(here["before"])) < 2 else 1
    before, after, error, gain = (float(here[k]) for k in ("before", "after", "after_sem", "gain"))
    first, second, spread = (_short(f"{v:.{digits}f}") for v in (before, after, error))
    lines = (first, f"{second} ± {spread}", f"{gain:+.1f} %" if np.isfinite(gain) else "no ratio")
    for line, text in enumerate(lines):
        last = line == len(lines) - 1
        ax.text(
            x,
            y + _LINES[line],
            text,
            ha="center",
            va="center",
            size=6,
            color=colour if last else "black",
            weight="bold" if last else "normal",
        )


def _short(number: str) -> str:
    """Leave out the zero before the point."""
    return number.replace("0.", ".", 1) if number.lstrip("-").startswith("0.") else number


def _broken(metric: str) -> str:
    return metric.replace(" ", "\n", 1)
