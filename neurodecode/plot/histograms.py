"""Scores of single feature dimensions, all of them against those that were kept (Fig. 3)."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..labels import require_coord, require_dims
from .look import (
    PAGE,
    axes_or_new,
    counted,
    figure_or_new,
    legend_above,
    note,
    score_label,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

SETS = ("all", "kept")
_COLOURS = {"all": "#999999", "kept": "#D55E00"}
_INKS = {"all": "#404040", "kept": "#A04000"}  # of the means, darker than the bars that they cross
_BINS = 40
_MOST_COLUMNS = 4


def selection(
    score: xr.DataArray,
    keep: xr.DataArray,
    *,
    ax: Axes | None = None,
    means: xr.DataArray | None = None,
    limits: tuple[float, float] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw how well single dimensions of a feature space are decoded, all against kept, and both means (Fig. 3).

    Parameters
    ----------
    score : (feature) or (feature, subject)
        Of every dimension on samples that had no part in the choice; attrs `score`, `units`. NaN is not drawn.
    keep : boolean, of the dims of ``score``
        Which dimensions were kept, as neurodecode.selection.best_features chooses them.
    ax : optional
        Axes to draw on; by default those of a new figure.
    means : (set), optional
        Means of the sets "all" and "kept": dashed lines.
    limits : optional
        Lowest and highest score on the axis, between which bins lie; by default those of ``score``.
    legend : bool
        Whether to write one above the axes; see :func:`selection_panels` for one of several panels.

    Returns
    -------
    The axes: the two histograms (labels "all" and "kept") lie on each other, counts upwards.

    Raises
    ------
    ValueError
        No dimension `feature`, a mask that is not boolean or of other dims, no finite score.
    """
    values, chosen = _matched(score, keep)
    low, high = _limits(values) if limits is None else limits
    with style():
        ax = axes_or_new(ax)
        edges = np.linspace(low, high, _BINS + 1).tolist()
        for name, shown in (("all", values), ("kept", values[chosen])):
            ax.hist(np.clip(shown, low, high), bins=edges, color=_COLOURS[name], alpha=0.9, label=name)
        for name, mean in _means(means):
            ax.axvline(mean, color=_INKS[name], ls=(0, (4, 2.5)), lw=0.9, label=f"mean, {name} ({mean:.3f})")
        ax.set_xlim(low, high)
        ax.set_xlabel(score_label(score.attrs))
        ax.set_ylabel("Dimensions")
        if legend:
            legend_above(ax, *ax.get_legend_handles_labels())
            note(ax, *_words(score, keep))
    return ax


def selection_panels(
    score: xr.DataArray,
    keep: xr.DataArray,
    *,
    figure: Figure | SubFigure | None = None,
    means: xr.DataArray | None = None,
) -> Figure | SubFigure:
    """Draw a histogram of :func:`selection` a layer, on one scale of scores.

    Parameters
    ----------
    score, keep : (feature) or (feature, subject) with the coordinate `layer` on feature
    figure : optional
        A Figure or SubFigure to draw on; by default a new one, 17.5 cm wide.
    means : (set, layer), optional

    Returns
    -------
    The figure: panels titled with their layer and the two means.

    Raises
    ------
    ValueError
        As :func:`selection`; no `layer`; means of other layers.
    """
    values, _ = _matched(score, keep)
    layer = require_coord(score, "layer", who="score", dim="feature").values
    names = list(dict.fromkeys(layer.tolist()))
    if means is not None:
        absent = [n for n in names if n not in means["layer"].values.tolist()]
        if absent:
            raise ValueError(
                f"means lack {len(absent)} of the {len(names)} layers, first {absent[0]!r}; give one a layer"
            )
    columns = min(_MOST_COLUMNS, len(names))
    rows = ceil(len(names) / columns)
    with style():
        fig = figure_or_new(figure, width=PAGE, height=0.65 + 1.5 * rows)
        axes = fig.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for ax, name in zip(axes, names, strict=False):
            one = np.flatnonzero(layer == name)
            own = None if means is None else means.sel(layer=name)
            limits = _limits(values)
            part, mask = score.isel(feature=one), keep.isel(feature=one)
            selection(part, mask, ax=ax, means=own, limits=limits, legend=False)
            ax.set_title(str(name), loc="left")
            _write_means(ax, own)
            # A panel over an empty place has no neighbour below that would bear its axis.
            ax.tick_params(labelbottom=True)
            ax.set_xlabel(ax.get_xlabel() if name in names[-columns:] else "")
            ax.set_ylabel("Dimensions" if names.index(name) % columns == 0 else "")
        for ax in axes[len(names) :]:
            ax.set_axis_off()
        _legend_of_sets(fig, axes[0], means is not None)
        fig.supxlabel("; ".join(_words(score, keep)), x=0.01, ha="left", size=6, color="#404040")
    return fig


def _matched(score: xr.DataArray, keep: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Finite scores (n) and whether each was kept (n)."""
    require_dims(score, ["feature"], who="score")
    require_dims(keep, list(map(str, score.dims)), who="keep")
    if keep.dtype != bool or keep.ndim != score.ndim or dict(keep.sizes) != dict(score.sizes):
        raise ValueError(
            f"keep must be a boolean array of the dims and sizes of score, {dict(score.sizes)}; it is {keep.dtype} "
            f"{dict(keep.sizes)}; make it with neurodecode.selection.best_features from the same features"
        )
    for name in ("layer", "unit", "subject"):
        if name in score.coords and name in keep.coords and not np.array_equal(score[name], keep[name]):
            raise ValueError(
                f"score and keep differ in their {name!r} labels; make both from the same features"
            )
    values, chosen = score.values.ravel(), keep.transpose(*score.dims).values.ravel()
    known = np.isfinite(values)
    if not known.any():
        raise ValueError("score has no finite value to draw")
    return values[known], chosen[known]


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = 0.02 * (high - low) or 0.5
    return low - pad, high + pad


def _means(means: xr.DataArray | None) -> list[tuple[str, float]]:
    if means is None:
        return []
    require_dims(means, ["set"], who="means")
    return [(name, float(means.sel(set=name))) for name in SETS]


def _write_means(ax: Axes, means: xr.DataArray | None) -> None:
    """The two means beside the panel's title, in the colours of their lines: bars may fill the panel."""
    for column, (name, mean) in enumerate(reversed(_means(means))):
        words = f"{mean:.2f}".replace("0.", ".", 1)
        ax.annotate(
            words, (1, 1), xytext=(-17 * column, 4), xycoords="axes fraction", textcoords="offset points",
            ha="right", va="bottom", size=6.5, color=_INKS[name], label=f"mean of {name}",
        )  # fmt: skip


def _legend_of_sets(fig: Figure | SubFigure, ax: Axes, with_means: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    bars: list[Patch | Line2D] = [Patch(color=_COLOURS["all"]), Patch(color=_COLOURS["kept"])]
    names = ["all dimensions", "kept"]
    if with_means:
        bars.append(Line2D([], [], color="#404040", ls=(0, (4, 2.5)), lw=0.9))
        names.append("means (numbers)")
    fig.legend(bars, names, loc="outside upper right", ncols=len(bars), frameon=False)


def _words(score: xr.DataArray, keep: xr.DataArray) -> list[str]:
    share = keep.attrs.get("keep", score.attrs.get("keep"))
    return [
        *(
            []
            if share is None
            else [f"kept: the best {100 * float(share):g}\u00a0% of each space in training folds"]
        ),
        "scores: of single dimensions on held-out samples",
        *([f"{counted(score.sizes['subject'])}"] if "subject" in score.dims else []),
    ]
