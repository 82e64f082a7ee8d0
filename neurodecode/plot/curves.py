"""Accuracy over time (Fig. 9e-f) and its generalisation from one time to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..labels import require_coord, require_dims
from .look import (
    axes_or_new,
    chance_of,
    group_variables,
    layer_colours,
    note,
    over_dim,
    score_label,
    slim_colour_bar,
    style,
    subjects_words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MS = 1000.0


def time_course(
    summary: xr.Dataset, *, ax: Axes | None = None, clusters: xr.Dataset | None = None, onset: float = 0.0
) -> Axes:
    """Draw accuracy against the window's centre (Fig. 9e-f): a line a layer with a band of one SEM.

    Parameters
    ----------
    summary : Dataset with mean, sem, n (window, layer)
        From neurodecode.inference.group, `window` in seconds; attrs `score`, `units`, `chance`.
    ax : optional
        Axes to draw on; by default those of a new figure.
    clusters : Dataset with boolean significant (window, layer), optional
        From neurodecode.inference.clusters: bars in the lines' colours under the curves.
    onset : float
        Of the stimulus, in seconds: a thin line.

    Returns
    -------
    The axes, time in ms. Lines are labelled with their layer.

    Raises
    ------
    TypeError, ValueError
        Anything but such a Dataset, or clusters of other windows or layers.
    """
    data = group_variables(summary, dims=("window", "layer"), who="summary")
    layers = data["layer"].values.tolist()
    significant = None if clusters is None else _significant(clusters, data)
    over = over_dim(data)
    with style():
        ax = axes_or_new(ax)
        time = require_coord(data["mean"], "window", who="summary").values * _MS
        ax.axvline(onset * _MS, color="#999999", lw=0.7, zorder=1)
        for layer, colour in zip(layers, layer_colours(layers), strict=True):
            mean, sem = (data[k].sel(layer=layer).values for k in ("mean", "sem"))
            ax.fill_between(time, mean - sem, mean + sem, color=colour, alpha=0.22, lw=0, zorder=2)
            ax.plot(time, mean, color=colour, label=str(layer), zorder=3)
        chance = chance_of(data.attrs)
        if chance is not None:
            ax.axhline(
                chance, color="#404040", ls=(0, (4, 2.5)), lw=0.8, zorder=1, label=f"chance ({chance:.3g})"
            )
        if significant is not None:
            _cluster_bars(ax, time, significant, layer_colours(layers), data)
        pad = (time[-1] - time[0]) * 0.01 if len(time) > 1 else 1.0
        ax.set_xlim(min(time[0], onset * _MS) - pad, time[-1] + pad)
        ax.set_ylabel(score_label(data.attrs))
        ax.set_xlabel("Time of the window's centre from onset (ms)")
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=min(len(labels), 4))
        below = "; bars below: significant clusters" if significant is not None else ""
        note(ax, f"{subjects_words(data['n'], over)}; line: mean, band: ±1 SEM{below}")
    return ax


def generalisation(matrix: xr.DataArray, *, ax: Axes | None = None, onset: float = 0.0) -> Axes:
    """Draw scores of decoders trained in one window and tested in another.

    Parameters
    ----------
    matrix : (train_window, test_window)
        Windows in seconds; attrs `score`, `units`, and `chance`, which takes the middle of the colours (0 without it).
    ax : optional
        Axes to draw on; by default those of a new figure.
    onset : float
        Of the stimulus, in seconds: two thin lines.

    Returns
    -------
    The axes, times in ms, training upwards and test to the right, with a colour bar.

    Raises
    ------
    ValueError
        Other dimensions (average subjects and select a layer first), or no finite value.
    """
    require_dims(matrix, ["train_window", "test_window"], who="matrix")
    if matrix.ndim != 2:
        others = [str(d) for d in matrix.dims if d not in ("train_window", "test_window")]
        raise ValueError(
            f"matrix must be (train_window, test_window) but also has {others}; select a layer and average subjects "
            f"first, e.g. .mean({others[0]!r})"
        )
    shown = matrix.transpose("train_window", "test_window")
    if not np.isfinite(shown.values).any():
        raise ValueError("matrix has no finite value to draw")
    middle = chance_of(matrix.attrs) or 0.0
    with style():
        ax = axes_or_new(ax, height=6.8)
        x, y = (edges(shown[d].values * _MS) for d in ("test_window", "train_window"))
        reach = float(np.nanmax(np.abs(shown.values - middle))) or 1.0
        image = ax.pcolormesh(
            x, y, shown.values, cmap="RdBu_r", vmin=middle - reach, vmax=middle + reach, rasterized=True
        )
        span = [max(x[0], y[0]), min(x[-1], y[-1])]
        ax.plot(span, span, color="black", lw=0.7, ls=(0, (4, 2.5)), label="diagonal")
        ax.axvline(onset * _MS, color="#606060", lw=0.7)
        ax.axhline(onset * _MS, color="#606060", lw=0.7)
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(y[0], y[-1])
        ax.set_aspect("equal")
        ax.set_xlabel("Test window's centre (ms)")
        ax.set_ylabel("Training window's centre (ms)")
        bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.03)
        # Colours are symmetric about chance; the bar shows those that occur.
        bar.ax.set_ylim(float(np.nanmin(shown.values)), float(np.nanmax(shown.values)))
        declared = "chance" in matrix.attrs
        slim_colour_bar(
            bar, score_label(matrix.attrs) + (f"\nwhite: chance ({middle:.3g})" if declared else "")
        )
    return ax


def edges(centres: np.ndarray) -> np.ndarray:
    """Borders (n + 1) half way between ``centres`` (n)."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _significant(clusters: xr.Dataset, data: xr.Dataset) -> np.ndarray:
    """Boolean (layer, window), matched by label."""
    if not isinstance(clusters, xr.Dataset) or "significant" not in clusters:
        raise ValueError(
            "clusters must be the Dataset of neurodecode.inference.clusters, with the variable 'significant'"
        )
    found = clusters["significant"]
    require_dims(found, ["window"], who="clusters")
    if "layer" not in found.dims:
        found = found.expand_dims(layer=data["layer"].values)
    absent = [v for v in data["layer"].values.tolist() if v not in found["layer"].values.tolist()]
    if absent:
        raise ValueError(f"clusters lack {len(absent)} of {data.sizes['layer']} layers, first {absent[0]!r}")
    if not np.array_equal(found["window"].values, data["window"].values):
        raise ValueError(
            f"clusters have {found.sizes['window']} windows and summary {data.sizes['window']}, or other centres; "
            "compute both from the same scores"
        )
    return found.sel(layer=data["layer"].values).transpose("layer", "window").values.astype(bool)


def _cluster_bars(
    ax: Axes, time: np.ndarray, significant: np.ndarray, colours: list[str], data: xr.Dataset
) -> None:
    """A row a layer under everything drawn: each run of significant windows as one thick line."""
    low = float(np.nanmin((data["mean"] - data["sem"].fillna(0)).values))
    high = float(np.nanmax((data["mean"] + data["sem"].fillna(0)).values))
    chance = chance_of(data.attrs)
    low = low if chance is None else min(low, chance)
    step = (high - low or 1.0) * 0.055
    borders = edges(time)
    for row, (mask, colour) in enumerate(zip(significant, colours, strict=True), start=1):
        y = low - step * (row + 0.3)
        change = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
        for start, stop in change.reshape(-1, 2):
            ax.plot(
                [borders[start], borders[stop]],
                [y, y],
                color=colour,
                lw=2.2,
                label=f"_cluster {row - 1}",
                zorder=3,
            )
    ax.set_ylim(low - step * (len(colours) + 1.3), high + step)
