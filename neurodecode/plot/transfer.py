"""Cross-decoding: trained on one, tested on another, as a matrix with its values printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..labels import require_coord, require_dims
from .look import PAGE, axes_or_new, figure_or_new, lines, note, style
from .matrices import middle_and_reach, score_bar, white_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

CELLS = ("train", "test")


def transfer(
    matrix: xr.DataArray,
    *,
    ax: Axes | None = None,
    vmax: float | None = None,
    colour_bar: bool = True,
    said: Sequence[str] = (),
) -> Axes:
    """Draw scores of decoders trained on one cell and tested on another, with the value in each.

    Parameters
    ----------
    matrix : (train, test)
        From neurodecode.spatial.transfer or transfer_across, averaged over subjects and folds; attrs `score`, `units`,
        `by`, and `chance`, which takes the middle of the colours (without it the mean of the coordinate, else 0).
    ax : optional
        Axes to draw on; by default those of a new figure.
    vmax : optional
        The score at the strongest red; by default the farthest from chance.
    colour_bar : bool
        Whether to add one beside the axes.
    said : words for the note
        What was averaged, such as "mean of 4 subjects".

    Returns
    -------
    The axes: a row is what was trained on, a column what was tested, the first at the top left; cells of one and the
    same are framed.

    Raises
    ------
    ValueError
        Other dimensions (average subjects and folds, select a layer first), no finite value, or vmax not above chance.
    """
    require_dims(matrix, CELLS, who="matrix")
    if matrix.ndim != 2:
        others = [str(d) for d in matrix.dims if d not in CELLS]
        raise ValueError(
            f"matrix must be (train, test) but also has {others}; select a layer and average subjects and folds first, "
            f"e.g. .mean({others[0]!r})"
        )
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    shown = matrix.transpose(*CELLS)
    names = [require_coord(shown, d, who="matrix").values.tolist() for d in CELLS]
    middle, reach = middle_and_reach(shown, vmax)
    with style():
        ax = axes_or_new(ax, height=7.2)
        # White is chance: a cell without a score has another colour.
        colours = colormaps["RdBu_r"].with_extremes(bad="#D0D0D0")
        image = ax.imshow(
            shown.values, cmap=colours, vmin=middle - reach, vmax=middle + reach, aspect="equal"
        )
        for row, column in np.ndindex(shown.shape):
            value = float(shown.values[row, column])
            strong = abs(value - middle) > 0.6 * reach
            text = "–" if np.isnan(value) else f"{round(value, 2) + 0.0:.2f}".replace("-", "\u2212")
            ax.text(column, row, text, ha="center", va="center", size=7, color="white" if strong else "black")
            if names[0][row] == names[1][column]:
                corner = (column - 0.5, row - 0.5)
                ax.add_patch(Rectangle(corner, 1, 1, fill=False, ec="black", lw=0.9, clip_on=False))
        ax.set_xticks(range(len(names[1])), [str(n) for n in names[1]])
        ax.set_yticks(range(len(names[0])), [str(n) for n in names[0]])
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
        by = str(matrix.attrs.get("by", ""))
        of = f" ({by})" if by and by != "cell" else ""
        ax.set_xlabel(f"Tested on{of}")
        ax.set_ylabel(f"Trained on{of}")
        if colour_bar:
            score_bar(ax.figure, [ax], image, shown, reach_to=middle)
            note(ax, *_words(matrix, said))
    return ax


def transfer_panels(
    matrices: xr.DataArray, *, figure: Figure | SubFigure | None = None, said: Sequence[str] = ()
) -> Figure | SubFigure:
    """Draw a matrix of :func:`transfer` a layer, side by side under one colour scale.

    Parameters
    ----------
    matrices : (layer, train, test)
        As for :func:`transfer`.
    figure : optional
        A Figure or SubFigure to draw on; by default a new one, 17.5 cm wide.
    said : words for the note

    Returns
    -------
    The figure: panels titled with their layer, and one colour bar.

    Raises
    ------
    ValueError
        Other dimensions, or no finite value.
    """
    require_dims(matrices, ["layer", *CELLS], who="matrices")
    layers = require_coord(matrices, "layer", who="matrices").values.tolist()
    middle, reach = middle_and_reach(matrices, None)
    alike = matrices.assign_attrs(chance=middle)
    with style():
        fig = figure_or_new(figure, width=PAGE, height=1.0 + (PAGE - 1.1) / max(len(layers), 2))
        axes = list(fig.subplots(1, len(layers), squeeze=False, sharey=True)[0])
        for ax, layer in zip(axes, layers, strict=True):
            transfer(alike.sel(layer=layer, drop=True), ax=ax, vmax=middle + reach, colour_bar=False)
            ax.set_title(str(layer), loc="left")
            ax.label_outer()
        score_bar(fig, axes, axes[0].images[0], matrices, reach_to=middle)
        words = lines(_words(matrices, said), int(PAGE * 20))
        fig.supxlabel(words, x=0.01, ha="left", size=6, color="#404040")
    return fig


def _words(scores: xr.DataArray, said: Sequence[str]) -> list[str]:
    return [
        *said,
        *white_words(scores),
        *(["grey: no score"] if bool(scores.isnull().any()) else []),
        "framed: trained and tested on the same, cross-validated",
        "all trained on equally many samples",
    ]
