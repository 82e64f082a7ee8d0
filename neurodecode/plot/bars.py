"""Grouped bars: accuracy per region (Fig. 7) and weights of low- against high-level cortex (Fig. 9d)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..checks import shown
from ..labels import listed, require_dims
from .look import (
    PAGE,
    axes_or_new,
    chance_of,
    chances_of,
    counted,
    group_variables,
    legend_above,
    map_label,
    note,
    over_dim,
    probability,
    profile_variables,
    region_colours,
    region_hatches,
    score_label,
    style,
    subjects_words,
    y_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROOM = 0.78  # share of a group's width that bars take
# What a profile's error bars allow for.
_NOISE = {"smooth": "by the map's smoothness", "white": "over voxels (bootstrap)"}


def regions(
    summary: xr.Dataset,
    *,
    ax: Axes | None = None,
    ceiling: xr.DataArray | None = None,
    marks: xr.DataArray | None = None,
    contrast: xr.DataArray | None = None,
) -> Axes:
    """Draw accuracy per region as grouped bars (Fig. 7): a group a layer, a bar a region, a dot a subject.

    Parameters
    ----------
    summary : Dataset with mean, sem, n (region, layer), values (region, layer, subject)
        From neurodecode.inference.group; its attrs `score`, `units` and `chance` give the axis and the dashed line.
        Without one chance for all, the variable `chance` (region, layer) gives a dashed tick over each bar.
    ax : optional
        Axes to draw on; by default those of a new figure.
    ceiling : (region, layer), optional
        Noise ceilings in the score's units: a tick over each bar; the attr `source` says of what.
    marks : (region, layer), optional
        Significance: text such as ``"***"``, or booleans (True is drawn as ``"*"``); attrs `test` and `alpha`, as
        neurodecode.inference.above_chance gives them, are written under the axes.
    contrast : (layer), optional
        p of the difference of two regions: a bracket over their bars in each layer; attrs `pair` ("LVC - HVC") and
        `test`, as neurodecode.inference.with_tests gives them.

    Returns
    -------
    The axes. Bars are one container a region, in the order of ``summary``.

    Raises
    ------
    TypeError, ValueError
        Anything but such a Dataset; a ceiling, marks or contrast of other dimensions or labels.
    """
    data = group_variables(summary, dims=("region", "layer"), who="summary")
    names, layers = data["region"].values.tolist(), data["layer"].values.tolist()
    over = over_dim(data)
    between = None if contrast is None else _contrast(contrast, data)
    with style():
        ax = axes_or_new(ax, width=PAGE if len(names) * len(layers) > 9 else PAGE / 2)
        spots = _spots(len(names), len(layers))
        _bars(ax, data, spots, over)
        if ceiling is not None:
            _ceilings(ax, spots, _like(ceiling, data, who="ceiling"), width=_width(len(names)))
        if marks is not None:
            _marks(ax, spots, _stars(_like(marks, data, who="marks")), _over_bars(data, over, ceiling))
        if contrast is not None and between is not None:
            _brackets(ax, spots[_ends(contrast, names)], between, _tops(data, over, ceiling))
        _chance(ax, chance_of(data.attrs))
        each = chances_of(data)
        if each is not None:
            _chances(ax, spots, each.transpose("region", "layer").values, width=_width(len(names)))
        _finish(ax, layers, score_label(data.attrs))
        _legend(ax)
        dots = " (dots)" if "values" in data else ""
        note(
            ax,
            subjects_words(data["n"], over) + dots,
            "bars: mean, error bars: ±1 SEM" if int(data["n"].max()) > 1 else "bars: its score",
            *([] if marks is None else _test_words(marks)),
            *([] if contrast is None else _bracket_words(contrast)),
            *_ceiling_words(ceiling),
        )
    return ax


def profile(profile: xr.Dataset, *, ax: Axes | None = None, contrast: xr.DataArray | None = None) -> Axes:
    """Draw a region profile (Fig. 9d): mean weight of each region, a group of bars a layer.

    Parameters
    ----------
    profile : Dataset with mean, low, high, p, n_voxels, over (region, layer)
        From neurodecode.spatial.region_profile; where it has ``values`` of several subjects, a dot each. A variable
        ``p_corrected`` is taken in place of ``p``, and its attr `test` written under the axes.
    ax : optional
        Axes to draw on; by default those of a new figure.
    contrast : (layer,), optional
        p of the difference of two regions: a bracket over their bars in each layer; attrs `pair` ("LVC - HVC") and
        `test` are written under the axes.

    Returns
    -------
    The axes. One star: p < .05, two: p < .01, three: p < .001.

    Raises
    ------
    TypeError, ValueError
        Anything but such a Dataset; a contrast that is not (layer,), or with other than two regions.
    """
    data = profile_variables(profile, who="profile")
    names, layers = data["region"].values.tolist(), data["layer"].values.tolist()
    p_between = None if contrast is None else _contrast(contrast, data)
    over, n, noise = over_dim(data), _subjects(data), data.attrs.get("noise")
    with style():
        ax = axes_or_new(ax)
        spots = _spots(len(names), len(layers))
        looks = zip(names, region_colours(names), region_hatches(names), spots, strict=True)
        for name, colour, hatch, x in looks:
            one = data.sel(region=name)
            mean = one["mean"].values
            reach = np.stack([mean - one["low"].values, one["high"].values - mean])
            count = _range(one["n_voxels"].values)
            ax.bar(
                x,
                mean,
                width=_width(len(names)),
                facecolor=colour,
                edgecolor="white",
                linewidth=0,
                hatch=hatch,
                alpha=0.85,
                label=f"{name} ({count} voxels)",
                zorder=2,
            )
            ax.errorbar(
                x, mean, yerr=np.maximum(reach, 0), fmt="none", ecolor="black", elinewidth=0.9, zorder=4
            )
            if n > 1:
                _dots(ax, x, one["values"].transpose("layer", over).values, width=_width(len(names)))
        tops = _profile_tops(data, over if n > 1 else None)
        p = data["p_corrected" if "p_corrected" in data else "p"].transpose("region", "layer").values
        stars = np.array([[stars_of(float(v)) for v in row] for row in p], dtype=object)
        _marks(ax, spots, stars, tops)
        if p_between is not None:
            _brackets(ax, spots[_ends(contrast, names)] if contrast is not None else spots, p_between, tops)
        _finish(ax, layers, map_label(data.attrs))
        _legend(ax)
        note(
            ax,
            *([f"n = {counted(n, over)} (dots)"] if n > 1 else []),
            f"bars: mean over voxels{' and subjects' if n > 1 else ''}",
            f"error bars: 95\u00a0% interval {_NOISE.get(str(noise), 'over voxels')}",
            _profile_words(data),
            *([] if contrast is None else _bracket_words(contrast)),
        )
    return ax


def _bars(ax: Axes, data: xr.Dataset, spots: np.ndarray, over: str) -> None:
    """A bar a region at its spots (region, layer), its standard error, and a dot a subject."""
    names, values = data["region"].values.tolist(), "values" in data
    width = _width(len(names))
    for name, colour, hatch, x in zip(
        names, region_colours(names), region_hatches(names), spots, strict=True
    ):
        one = data.sel(region=name)
        ax.bar(
            x,
            one["mean"].values,
            width=width,
            facecolor=colour,
            edgecolor="white",
            linewidth=0,
            hatch=hatch,
            alpha=0.85,
            label=str(name),
            zorder=2,
        )
        if values:
            _dots(ax, x, one["values"].transpose("layer", over).values, width=width)
        ax.errorbar(
            x,
            one["mean"].values,
            yerr=one["sem"].values,
            fmt="none",
            ecolor="black",
            elinewidth=0.9,
            zorder=4,
        )


def _profile_words(data: xr.Dataset) -> str:
    """What a star over a bar of a profile means."""
    smooth = data.attrs.get("noise") == "smooth"
    plain = ("Student's t" if smooth else "permuting voxels") + ", uncorrected"
    test = str(data["p_corrected"].attrs.get("test", "corrected")) if "p_corrected" in data else plain
    stars = "* p\u00a0<\u00a0.05, ** p\u00a0<\u00a0.01, *** p\u00a0<\u00a0.001"
    than = "the mean" if smooth else "as many voxels"
    return f"{stars}: above {than} of the whole map, {test}"


def stars_of(p: float) -> str:
    """'***' below .001, '**' below .01, '*' below .05, '' otherwise (also for NaN)."""
    return "***" if p < 0.001 else "**" if p < 0.01 else "*" if p < 0.05 else ""


# ------------------------------------------------------------------------------------------------- pieces
def _spots(n_regions: int, n_layers: int) -> np.ndarray:
    """Centres (region, layer) of the bars."""
    offsets = (np.arange(n_regions) - (n_regions - 1) / 2) * _ROOM / n_regions
    return offsets[:, None] + np.arange(n_layers)[None]


def _width(n_regions: int) -> float:
    return _ROOM / n_regions * 0.92


def _ends(contrast: xr.DataArray, names: list[str]) -> list[int]:
    """Positions of the two regions of a contrast: the ones its attrs name, else the two that there are."""
    if "pair" not in contrast.attrs:
        return [0, 1]
    pair = str(contrast.attrs["pair"]).split(" - ")
    lacking = [name for name in pair if name not in names]
    if lacking or len(pair) != 2:
        raise ValueError(f"the contrast is of {listed(pair)}, but there are bars of {listed(names)}")
    return [names.index(name) for name in pair]


def _bracket_words(contrast: xr.DataArray) -> list[str]:
    pair = str(contrast.attrs.get("pair", "the two regions")).replace(" - ", " against ")
    test = f", {contrast.attrs['test']}" if "test" in contrast.attrs else ""
    return [f"brackets: {pair}{test}", "* p\u00a0<\u00a0.05, ** p\u00a0<\u00a0.01, *** p\u00a0<\u00a0.001"]


def _ceiling_words(ceiling: xr.DataArray | None) -> list[str]:
    if ceiling is None or "source" not in ceiling.attrs:
        return []
    return [f"noise ceiling: {ceiling.attrs['source']}"]


def _test_words(marks: xr.DataArray) -> list[str]:
    """What a star means, where the marks say by which test."""
    if "test" not in marks.attrs:
        return []
    alpha = f" (p\u00a0≤\u00a0{probability(marks.attrs['alpha'])})" if "alpha" in marks.attrs else ""
    return [f"* above chance{alpha}, {marks.attrs['test']}"]


def _dots(ax: Axes, x: np.ndarray, values: np.ndarray, *, width: float) -> None:
    """A dot per (layer, subject), subjects side by side in the same order in every bar."""
    n = values.shape[1]
    spread = np.linspace(-0.32, 0.32, n) * width if n > 1 else np.zeros(1)
    ax.scatter(
        (x[:, None] + spread).ravel(), values.ravel(), s=4.5 if n <= 12 else 2.5, color="white", edgecolor="#303030",
        linewidth=0.45, zorder=3,
    )  # fmt: skip


def _ceilings(ax: Axes, spots: np.ndarray, values: np.ndarray, *, width: float) -> None:
    lines = ax.hlines(
        values.ravel(),
        (spots - width / 2).ravel(),
        (spots + width / 2).ravel(),
        color="black",
        lw=1.4,
        zorder=5,
    )
    lines.set_label("noise ceiling")


def _tops(data: xr.Dataset, over: str, ceiling: xr.DataArray | None) -> np.ndarray:
    """Highest ink over each bar (region, layer)."""
    top = (data["mean"] + data["sem"].fillna(0)).transpose("region", "layer").values
    if "values" in data:
        top = np.fmax(top, data["values"].max(over).transpose("region", "layer").values)
    return top if ceiling is None else np.fmax(top, _like(ceiling, data, who="ceiling"))


def _over_bars(data: xr.Dataset, over: str, ceiling: xr.DataArray | None) -> np.ndarray:
    """Where stars stand (region, layer): on their bar, or on its ceiling where that leaves no room between."""
    bars, ink = (_tops(data, over, ticks) for ticks in (None, ceiling))
    room = 0.09 * float(np.nanmax(ink, initial=0.0))
    return np.where(ink - bars < room, ink, bars)


def _subjects(data: xr.Dataset) -> int:
    """How many subjects a profile is the mean of, if it has their values."""
    return data.sizes[over_dim(data)] if "values" in data else 1


def _profile_tops(data: xr.Dataset, over: str | None) -> np.ndarray:
    """Highest ink over each bar (region, layer) of a profile."""
    top = np.fmax(*(data[k].transpose("region", "layer").values for k in ("high", "mean")))
    return top if over is None else np.fmax(top, data["values"].max(over).transpose("region", "layer").values)


def _stars(marks: np.ndarray) -> np.ndarray:
    if marks.dtype == bool:
        return np.where(marks, "*", "")
    wrong = [m for m in marks.ravel().tolist() if not isinstance(m, str)]
    if wrong:
        raise ValueError(
            f"marks must be booleans or text such as '***', but {len(wrong)} of {marks.size} are others, first "
            f"{shown(wrong[0])}; of p values give p <= 0.05"
        )
    return marks.astype(str)


def _marks(ax: Axes, spots: np.ndarray, marks: np.ndarray, tops: np.ndarray) -> None:
    for x, y, mark in zip(spots.ravel(), np.fmax(tops, 0).ravel(), marks.ravel(), strict=True):
        if mark and np.isfinite(y):
            # Stars hang above their line of writing; pulled down they stand close to their bar.
            ax.annotate(
                mark, (x, y), xytext=(0, -1), textcoords="offset points", ha="center", va="bottom", size=7
            )
    low, high = ax.get_ylim()
    if np.isfinite(tops).any():
        ax.set_ylim(low, max(high, low + (float(np.nanmax(tops)) - low) * 1.10))


def _brackets(ax: Axes, spots: np.ndarray, p: np.ndarray, tops: np.ndarray) -> None:
    low, high = ax.get_ylim()
    lift = (high - low) * 0.10
    for layer, value in enumerate(p):
        y = float(np.fmax(np.nanmax(tops[:, layer]), 0)) + lift
        ends = spots[:, layer]
        ax.plot(
            [ends[0], ends[0], ends[1], ends[1]], [y - lift / 4, y, y, y - lift / 4], color="black", lw=0.7,
            label="_contrast", zorder=4,
        )  # fmt: skip
        words = stars_of(float(value)) or "n.s."
        raised = -1.0 if words != "n.s." else 1.0
        ax.annotate(
            words,
            (ends.mean(), y),
            xytext=(0, raised),
            textcoords="offset points",
            ha="center",
            va="bottom",
            size=7,
        )
    ax.set_ylim(low, max(high, float(np.nanmax(tops)) + 2.2 * lift))


def _chance(ax: Axes, chance: float | None) -> None:
    if chance is not None:
        ax.axhline(
            chance, color="#404040", ls=(0, (4, 2.5)), lw=0.8, zorder=5, label=f"chance ({chance:.3g})"
        )


def _chances(ax: Axes, spots: np.ndarray, levels: np.ndarray, *, width: float) -> None:
    """A dashed tick as wide as its bar, where chance is known."""
    known = np.isfinite(levels)
    left, right = spots[known] - width / 2, spots[known] + width / 2
    ticks = ax.hlines(levels[known], left, right, color="#404040", ls=(0, (3, 1.5)), lw=0.9, zorder=5)
    ticks.set_label("chance (per bar)")


def _finish(ax: Axes, layers: Sequence[object], label: str) -> None:
    ax.set_xticks(np.arange(len(layers)), [str(v) for v in layers])
    ax.tick_params(axis="x", length=0)
    side = 0.55 if len(layers) > 1 else 0.9  # a single group does not fill the axes
    ax.set_xlim(-side, len(layers) - 1 + side)
    y_label(ax, label)
    low, high = ax.get_ylim()
    lines = [np.asarray(ln.get_ydata()) for ln in ax.lines if str(ln.get_label()).startswith("chance")]
    ticks = [c for c in ax.collections if str(c.get_label()).startswith("chance")]
    lines += [np.asarray(path.vertices)[:, 1] for c in ticks for path in c.get_paths()]
    if low == 0 and any(y[0] == 0 for y in lines):
        low = -0.03 * high
        ax.set_ylim(low, high)  # chance at 0 would hide behind the axis
    if low < 0 < high:
        ax.axhline(0, color="black", lw=0.7, zorder=1)


def _legend(ax: Axes) -> None:
    """Regions first, then the lines: matplotlib lists lines first."""
    handles, labels = ax.get_legend_handles_labels()
    bars = {str(c.get_label()) for c in ax.containers}
    order = sorted(range(len(labels)), key=lambda i: labels[i] not in bars)
    legend_above(ax, [handles[i] for i in order], [labels[i] for i in order])


def _like(array: xr.DataArray, data: xr.Dataset, *, who: str) -> np.ndarray:
    """Values (region, layer) of ``array`` in the order of ``data``, matched by label."""
    require_dims(array, ["region", "layer"], who=who)
    for dim in ("region", "layer"):
        absent = [v for v in data[dim].values.tolist() if v not in array[dim].values.tolist()]
        if absent:
            raise ValueError(
                f"{who} lacks {len(absent)} of the {data.sizes[dim]} {dim} labels, first {absent[0]!r}; "
                "compute both from the same scores"
            )
    if array.ndim != 2:
        raise ValueError(
            f"{who} must be (region, layer) but has {tuple(map(str, array.dims))}; average the others first"
        )
    return (
        array.sel(region=data["region"].values, layer=data["layer"].values)
        .transpose("region", "layer")
        .values
    )


def _contrast(contrast: xr.DataArray, data: xr.Dataset) -> np.ndarray:
    require_dims(contrast, ["layer"], who="contrast")
    if contrast.ndim != 1 or (data.sizes["region"] != 2 and "pair" not in contrast.attrs):
        raise ValueError(
            f"a contrast is (layer,) for two regions (attrs 'pair'), but it is {tuple(map(str, contrast.dims))}, "
            f"and there are {data.sizes['region']} region(s); select two regions, e.g. .sel(region=['LVC', 'HVC'])"
        )
    absent = [v for v in data["layer"].values.tolist() if v not in contrast["layer"].values.tolist()]
    if absent:
        raise ValueError(
            f"contrast lacks {len(absent)} of the {data.sizes['layer']} layer labels, first {absent[0]!r}; "
            "compute both from the same scores"
        )
    return contrast.sel(layer=data["layer"].values).values


def _range(counts: np.ndarray) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
