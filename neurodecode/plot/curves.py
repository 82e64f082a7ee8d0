"""Accuracy over time (Fig. 9e-f)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..labels import require_coord, require_dims
from .look import (
    axes_or_new,
    by_window,
    chance_of,
    chances_of,
    counted,
    group_variables,
    layer_colours,
    legend_above,
    note,
    over_dim,
    probability,
    score_label,
    style,
    subjects_words,
    y_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MS = 1000.0


def time_course(
    summary: xr.Dataset,
    *,
    ax: Axes | None = None,
    clusters: xr.Dataset | None = None,
    latencies: xr.Dataset | None = None,
    planted: xr.DataArray | None = None,
    onset: float = 0.0,
) -> Axes:
    """Draw accuracy against the window's centre (Fig. 9e-f): a line a layer with a band of one SEM.

    Parameters
    ----------
    summary : Dataset with mean, sem, n (window, layer)
        From neurodecode.inference.group, `window` in seconds; attrs `score`, `units`, `chance`. Without one chance for
        all, the variable `chance` (window, layer) gives a dashed line in each layer's colour. Scores of single times,
        such as an encoder's of neurodecode.encoding.score, have `time` for `window`.
    ax : optional
        Axes to draw on; by default those of a new figure.
    clusters : Dataset with boolean significant (window, layer), optional
        From neurodecode.inference.clusters: bars in the lines' colours under the curves; attrs `alpha`, `n`, `family`.
    latencies : Dataset with estimate, low, high (measure, layer), optional
        From neurodecode.inference.latency, in seconds: over the curves a dot at each "peak", with its interval; attrs
        `level` and `interval`.
    planted : (layer), optional
        When simulated effects peak, in seconds: triangles in the lines' colours at the top, in the rows of
        ``latencies`` where there are some; NaN has none.
    onset : float
        Of the stimulus, in seconds: a thin line.

    Returns
    -------
    The axes, time in ms. Lines are labelled with their layer.

    Raises
    ------
    TypeError, ValueError
        Anything but such a Dataset, or clusters, latencies or planted peaks of other windows or layers.

    Examples
    --------
    >>> import matplotlib, neurodecode as nd, numpy as np, xarray as xr
    >>> matplotlib.use("Agg")
    >>> coords = {"window": [0.0, 0.1, 0.2], "layer": ["c"]}
    >>> scores = xr.DataArray(np.ones((3, 1, 2)), coords, ("window", "layer", "subject"), attrs={"chance": 0.0})
    >>> nd.plot.time_course(nd.inference.group(scores)).get_xlabel()
    'Centre of the window, from onset (ms)'
    """
    single = isinstance(summary, xr.Dataset) and "time" in summary.dims
    summary, clusters = (by_window(a) for a in (summary, clusters))
    data = group_variables(summary, dims=("window", "layer"), who="summary")
    layers = data["layer"].values.tolist()
    significant = None if clusters is None else _significant(clusters, data)
    peaks = None if planted is None else _peaks(planted, layers)
    found = None if latencies is None else _found(latencies, layers)
    over = over_dim(data)
    with style():
        ax = axes_or_new(ax)
        time = require_coord(data["mean"], "window", who="summary").values * MS
        ax.axvline(onset * MS, color="#999999", lw=0.7, zorder=1)
        for layer, colour in zip(layers, layer_colours(layers), strict=True):
            mean, sem = (data[k].sel(layer=layer).values for k in ("mean", "sem"))
            ax.fill_between(time, mean - sem, mean + sem, color=colour, alpha=0.22, lw=0, zorder=2)
            ax.plot(time, mean, color=colour, label=str(layer), zorder=3)
        chance = chance_of(data.attrs)
        if chance is not None:
            ax.axhline(
                chance, color="#404040", ls=(0, (4, 2.5)), lw=0.8, zorder=1, label=f"chance ({chance:.3g})"
            )
        each = chances_of(data)
        if each is not None:
            _chances(ax, time, each.transpose("layer", "window").values, layer_colours(layers))
        if significant is not None and significant.any():
            _cluster_bars(ax, time, significant, layer_colours(layers), data)
        pad = (time[-1] - time[0]) * 0.01 if len(time) > 1 else 1.0
        ax.set_xlim(min(time[0], onset * MS) - pad, time[-1] + pad)
        y_label(ax, score_label(data.attrs))
        ax.set_xlabel("Time from onset (ms)" if single else "Centre of the window, from onset (ms)")
        if found is not None:
            _intervals(ax, found * MS, None if peaks is None else peaks * MS, layer_colours(layers))
        elif peaks is not None:
            _triangles(ax, peaks * MS, layer_colours(layers))
        legend_above(ax, *ax.get_legend_handles_labels())
        drawn = "line: mean, band: ±1 SEM" if int(data["n"].max()) > 1 else "no error band, no test"
        tested = (
            []
            if clusters is None or significant is None
            else [_cluster_words(clusters, significant, data, over)]
        )
        timed = [] if latencies is None else [_latency_words(latencies, over)]
        note(ax, subjects_words(data["n"], over), drawn, *_reach_words(data), *tested, *timed)
    return ax


def _peaks(planted: xr.DataArray, layers: list[Any], *, who: str = "planted") -> np.ndarray:
    """Peaks (layer) in s, matched by label."""
    require_dims(planted, ["layer"], who=who)
    absent = [v for v in layers if v not in planted["layer"].values.tolist()]
    if planted.ndim != 1 or absent:
        raise ValueError(
            f"{who} must be (layer) with the {len(layers)} layers of summary, but it is "
            f"{tuple(map(str, planted.dims))} and lacks {len(absent)}; select one subject and window first"
        )
    return planted.sel(layer=layers).values.astype(float)


def _chances(ax: Axes, time: np.ndarray, levels: np.ndarray, colours: list[str]) -> None:
    """A dashed line a layer (layer, window) in its colour; one grey entry in the legend for all."""
    dashes: dict[str, Any] = {"ls": (0, (4, 2.5)), "lw": 0.8, "zorder": 1}
    for row, (level, colour) in enumerate(zip(levels, colours, strict=True)):
        # One window alone still shows its level.
        wide = (time, level) if len(time) > 1 else (edges(time), np.repeat(level, 2))
        ax.plot(*wide, color=colour, label=f"_chance {row}", **dashes)
    ax.plot([], [], color="#404040", label="chance (per space)", **dashes)


def _triangles(ax: Axes, peaks: np.ndarray, colours: list[str]) -> None:
    """Triangles at the top, those of one time under each other."""
    low, high = ax.get_ylim()
    step = (high - low) * 0.045
    rows = [int(np.sum(peaks[:i] == peak)) for i, peak in enumerate(peaks)]
    for peak, row, colour in zip(peaks, rows, colours, strict=True):
        if np.isfinite(peak):
            top = high + step * (max(rows) - row + 0.6)
            ax.plot(
                peak, top, marker="v", ms=3.6, mec="none", color=colour, ls="", label="_planted", zorder=4
            )
    ax.plot([], [], marker="v", ms=3.6, mec="none", color="#606060", ls="", label="planted (simulated)")
    ax.set_ylim(low, high + step * (max(rows) + 1.4))


def _found(latencies: xr.Dataset, layers: list[Any]) -> np.ndarray:
    """Peak, low and high (3, layer) in s, matched by label."""
    lacking = [k for k in ("estimate", "low", "high") if k not in latencies]
    if lacking or "peak" not in latencies["measure"].values.tolist():
        raise ValueError(
            f"latencies must be the Dataset of neurodecode.inference.latency; there is no {lacking or 'peak'}"
        )
    peak = latencies.sel(measure="peak")
    return np.stack([_peaks(peak[k], layers, who="latencies") for k in ("estimate", "low", "high")])


def _intervals(ax: Axes, found: np.ndarray, planted: np.ndarray | None, colours: list[str]) -> None:
    """Over the curves a row a layer: peak (3, layer: estimate, low, high) and, where it is known, the planted one."""
    low, high = ax.get_ylim()
    step = (high - low) * 0.04
    left, right = ax.get_xlim()
    for row, (colour, (at, start, stop)) in enumerate(zip(colours, found.T, strict=True)):
        y = high + step * (len(colours) - row)
        if np.isfinite(at):
            # Limits beyond the windows are cut off there.
            ends = np.clip([start, stop], left, right)
            ax.plot(
                ends, [y, y], color=colour, lw=1.0, label=f"_latency {row}", zorder=3, solid_capstyle="butt"
            )
            ax.plot(at, y, marker="o", ms=3.2, mec="none", color=colour, ls="", label="_peak", zorder=4)
        if planted is not None and np.isfinite(planted[row]):
            ax.plot(
                planted[row], y, marker="v", ms=3.6, mfc="white", mec=colour, mew=0.8, ls="", label="_planted", zorder=5
            )  # fmt: skip
    ax.plot([], [], marker="o", ms=3.2, mec="none", color="#606060", lw=1.0, label="peak, with interval")
    if planted is not None:
        ax.plot(
            [],
            [],
            marker="v",
            ms=3.6,
            mfc="white",
            mec="#606060",
            mew=0.8,
            ls="",
            label="planted (simulated)",
        )
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    ax.set_ylim(low, high + step * (len(colours) + 1))
    # The rows lie above the scale, not on it.
    ax.set_yticks(ticks)


def _latency_words(latencies: xr.Dataset, over: str) -> str:
    level, how = latencies.attrs.get("level", 0.95), str(latencies.attrs.get("interval", "bootstrap"))
    return f"dots above: peak of the mean with {100 * float(level):g}\u00a0% interval ({how} over {over}s)"


def _reach_words(data: xr.Dataset) -> list[str]:
    """How far windows reach around their centres: why scores rise before the stimulus does anything."""
    if not {"start", "stop"} <= set(data.coords):
        return []
    before, after = ((data[k] - data["window"]).values * MS for k in ("start", "stop"))
    return [f"windows reach {-before.min():.0f} ms before and {after.max():.0f} ms after their centre"]


def _cluster_words(clusters: xr.Dataset, significant: np.ndarray, data: xr.Dataset, over: str) -> str:
    """What the bars are; with so few subjects that none can be, that there are none."""
    marks = "bars below:" if significant.any() else "there are no"
    return words_of_test(clusters, marks, int(data["n"].min()), over)


def words_of_test(clusters: xr.Dataset, marks: str, n: int, over: str) -> str:
    """What is marked, by which test, corrected for what."""
    alpha, n = float(clusters.attrs.get("alpha", 0.05)), int(clusters.attrs.get("n", n))
    tail = int(clusters.attrs.get("tail", 1))
    smallest = 0.5 ** (n - (tail == 0))
    if marks == "there are no" and smallest > alpha:
        return f"no cluster can be significant: with {counted(n, over)} p\u00a0≥\u00a0{probability(round(smallest, 4))}"
    names = [str(clusters.attrs.get(k, "")) for k in ("a", "b")]
    what = {1: "above chance", 0: "other than chance", -1: "below chance"}[tail]
    what = f"of a difference between {names[0]} and {names[1]}" if all(names) else what
    family = ", corrected over layers" if clusters.attrs.get("family") == "all" else ""
    return f"{marks} clusters {what} (sign flips over {counted(n, over)}, p\u00a0≤\u00a0{probability(alpha)}{family})"


def edges(centres: np.ndarray) -> np.ndarray:
    """Borders (n + 1) half way between ``centres`` (n)."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _significant(clusters: xr.Dataset, data: xr.Dataset) -> np.ndarray:
    """Boolean (layer, window), matched by label."""
    found = require_significant(clusters)
    require_dims(found, ["window"], who="clusters")
    if "layer" not in found.dims:
        found = found.expand_dims(layer=data["layer"].values)
    absent = [v for v in data["layer"].values.tolist() if v not in found["layer"].values.tolist()]
    if absent:
        raise ValueError(
            f"clusters lack {len(absent)} of {data.sizes['layer']} layers, first {absent[0]!r}; "
            "compute both of one score"
        )
    if not np.array_equal(found["window"].values, data["window"].values):
        raise ValueError(
            f"clusters have {found.sizes['window']} windows and summary {data.sizes['window']}, or other centres; "
            "compute both from the same scores"
        )
    return found.sel(layer=data["layer"].values).transpose("layer", "window").values.astype(bool)


def require_significant(clusters: object) -> xr.DataArray:
    """Which windows clusters hold; refused if they say nothing of it."""
    if not isinstance(clusters, xr.Dataset) or "significant" not in clusters:
        raise ValueError(
            "clusters must be the Dataset of neurodecode.inference.clusters, with the variable 'significant'"
        )
    return clusters["significant"]


def _cluster_bars(
    ax: Axes, time: np.ndarray, significant: np.ndarray, colours: list[str], data: xr.Dataset
) -> None:
    """A row a layer under everything drawn: each run of significant windows as one thick line."""
    low = float(np.nanmin((data["mean"] - data["sem"].fillna(0)).values))
    high = float(np.nanmax((data["mean"] + data["sem"].fillna(0)).values))
    chance, each = chance_of(data.attrs), chances_of(data)
    low = low if chance is None else min(low, chance)
    low = low if each is None else min(low, float(each.min()))
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
    # The rows of bars lie beside the scale, not on it.
    ax.set_yticks([tick for tick in ax.get_yticks() if low - step / 2 <= tick <= high + step])
