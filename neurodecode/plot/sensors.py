"""Patterns over the head: one topography a window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..labels import listed, require_coord, require_dims
from .look import PAGE, by_window, figure_or_new, map_label, slim_colour_bar, style
from .surface import Scale, scale_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure, SubFigure

_PANELS = 6  # without times: at most so many, evenly spread
# Inches: of a panel, and of the colour bar with its label.
_PANEL, _BAR = 1.05, 0.95
_READABLE = {"T": ("fT", 1e15), "T/m": ("fT/cm", 1e13), "V": ("µV", 1e6)}
_CTF_SPHERE = (0.0, 0.0, 0.0, 0.095)


def topographies(
    patterns: xr.DataArray,
    *,
    figure: Figure | SubFigure | None = None,
    times: Sequence[float] | None = None,
    vmax: float | None = None,
) -> Figure | SubFigure:
    """Draw patterns as scalp maps, one panel a window, under one colour scale.

    Parameters
    ----------
    patterns : (window, channel), (time, channel), or (channel) for one panel
        With `window` in seconds and the channels' `x y z` in metres (head coordinates), such as one layer of
        neurodecode.temporal.patterns or of occlusion and gradient_input, which have no windows without "time" in
        `over`; attrs `units`. Magnetometers or gradiometers (`kind`) of a CTF helmet are laid out as its flat map, for
        positions in a helmet look distorted.
    figure : optional
        A Figure or SubFigure to draw on; by default a new one, 17.5 cm wide, or less for few panels.
    times : optional
        Window centres to show, in seconds: the nearest windows are taken. Default: at most six, evenly spread.
    vmax : optional
        The value at the strongest colour, such as one for several figures; by default the largest shown. Patterns with
        negative values get a diverging scale from -vmax to vmax, the others yellow to red from 0.

    Returns
    -------
    The figure: panels titled with their window's centre in ms, one without windows with its stretch where `start` and
    `stop` say it, and a colour bar with the units.

    Raises
    ------
    ValueError
        Other dimensions (select a layer first), channels of several kinds or without positions, a time beyond the
        windows or without any, or vmax that is not positive.
    """
    require_dims(patterns, ["channel"], who="patterns")
    patterns = by_window(patterns)
    others = [str(d) for d in patterns.dims if d not in ("window", "channel")]
    if others:
        raise ValueError(
            f"patterns must be (window, channel) but also have {listed(others)}; select one first, "
            f"e.g. .isel({others[0]}=0)"
        )
    whole = "window" not in patterns.dims
    if whole and times is not None:
        raise ValueError(
            f"times={listed(times)} choose among windows, but patterns have none; leave times out, or make the map "
            "over windows, too"
        )
    shown = (patterns.expand_dims("window") if whole else patterns).transpose("window", "channel")
    rows = np.array([0]) if whole else _rows(require_coord(shown, "window", who="patterns").values, times)
    where, sphere, kept = _layout(shown)
    shown = shown.isel(window=rows, channel=kept)
    if not np.isfinite(shown.values).all():
        raise ValueError(
            "patterns have NaN or infinite values in the windows shown; see where they were computed"
        )
    with style():
        width = min(PAGE, _PANEL * len(rows) + _BAR)
        fig = figure_or_new(figure, width=width, height=4.2 / 2.54)
        scale = scale_of(shown, vmax)
        axes = fig.subplots(1, len(rows), squeeze=False)[0]
        for ax, one in zip(axes, shown, strict=True):
            image = _head(ax, one.values, where, sphere, scale)
            ax.set_title(_title(one, whole=whole))
        bar = fig.colorbar(image, ax=list(axes), fraction=0.03, pad=0.02, shrink=0.8, aspect=14)
        label, factor = _label(patterns.attrs)
        # Only the numbers on the bar are rewritten (1e-14 T is 10 fT); the picture keeps the values as given.
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value * factor:.4g}".replace("-", "−"))
        slim_colour_bar(bar, label)
    return fig


def _title(one: xr.DataArray, *, whole: bool) -> str:
    """When a panel is of: its window's centre, or the stretch of a map without windows if that is known."""
    names = ("start", "stop") if whole else ("window",)
    if not set(names) <= set(one.coords):
        return ""
    ends = " to ".join(str(round(1000 * float(one[k]))) for k in names)
    return f"{ends} ms".replace("-", "−")


def _label(attrs: dict[str, Any]) -> tuple[str, float]:
    """Words for the colour bar, and the factor of the numbers beside it."""
    units = str(attrs.get("units", ""))
    if units in _READABLE:
        return _READABLE[units]
    return (map_label(attrs) if "kind" in attrs else units or "pattern (units not given)"), 1.0


def _rows(windows: np.ndarray, times: Sequence[float] | None) -> np.ndarray:
    if times is None:
        apart = max(1, math.ceil((len(windows) - 1) / (_PANELS - 1)))
        return np.arange((len(windows) - 1) % apart // 2, len(windows), apart)
    step = float(np.diff(windows).max()) if len(windows) > 1 else 0.0
    for time in times:
        if not windows.min() - step <= time <= windows.max() + step:
            raise ValueError(
                f"time {time} s lies outside the windows, whose centres run from {windows.min():g} to "
                f"{windows.max():g} s; times are in seconds"
            )
    return np.array([int(np.argmin(np.abs(windows - time))) for time in times])


def _layout(patterns: xr.DataArray) -> tuple[Any, tuple[float, float, float, float], np.ndarray]:
    """Flat positions (channel, 2) in metres, the head they belong to, and which channels have them."""
    import mne

    names = [str(c) for c in require_coord(patterns, "channel", who="patterns").values]
    kinds = sorted(set(patterns["kind"].values.astype(str))) if "kind" in patterns.coords else ["eeg"]
    if len(kinds) > 1:
        raise ValueError(
            f"patterns has channels of {len(kinds)} kinds: {listed(kinds)}; draw one kind at a time"
        )
    kind = kinds[0] if kinds[0] in {"eeg", "mag", "grad"} else "eeg"
    info: Any = None
    if kind != "eeg":
        helmet = mne.channels.read_layout("CTF275")
        # Recordings add a suffix to the helmet's names: MLC11-2908.
        spots = {n.split("-")[0]: p for n, p in zip(helmet.names, helmet.pos, strict=True)}
        kept = np.array([i for i, n in enumerate(names) if n.split("-")[0] in spots])
        if kept.size >= 0.9 * len(names):
            flat = np.array([spots[names[i].split("-")[0]][:2] for i in kept])
            everyone = np.array([p[:2] for p in spots.values()])
            middle = (everyone.min(axis=0) + everyone.max(axis=0)) / 2
            return (flat - middle) / np.abs(everyone - middle).max() * 0.098, _CTF_SPHERE, kept
    xyz = np.stack([require_coord(patterns, k, who="patterns").values for k in "xyz"], axis=1).astype(float)
    kept = np.flatnonzero(np.isfinite(xyz).all(axis=1))
    if kept.size < 4:
        raise ValueError(
            f"only {kept.size} of {len(names)} channels have a position; give xyz=... (metres) to brain.meeg"
        )
    if np.abs(xyz[kept]).max() > 1.0:
        raise ValueError(
            f"channel positions reach {np.abs(xyz[kept]).max():g}; they must be in metres (a head is about 0.1)"
        )
    info = mne.create_info([names[i] for i in kept], 100.0, "eeg" if kind == "eeg" else kind)
    for channel, at in zip(info["chs"], xyz[kept], strict=True):
        channel["loc"][:3] = at
    here = xyz[kept]
    centre, radius = (_horizon([names[i] for i in kept], here) if kind == "eeg" else None) or _sphere(here)
    return info, (*centre, radius), kept


def _horizon(names: list[str], xyz: np.ndarray) -> tuple[tuple[float, float, float], float] | None:
    """Circle through Fpz, Oz, T7 and T8 of a cap, drawn as the head's rim; None for a cap without them."""
    at = {name.upper(): place for name, place in zip(names, xyz, strict=True)}
    if not {"FPZ", "OZ", "T7", "T8"} <= set(at):
        return None
    ring = np.stack([at[name] for name in ("FPZ", "OZ", "T7", "T8")])
    centre = np.array([ring[2:, 0].mean(), ring[:2, 1].mean(), ring[:, 2].mean()])
    radius = float(np.linalg.norm((ring - centre)[:, :2], axis=1).mean())
    return (float(centre[0]), float(centre[1]), float(centre[2])), radius


def _sphere(xyz: np.ndarray) -> tuple[tuple[float, float, float], float]:
    """Least-squares sphere through the sensors (where to draw the head, no result)."""
    with_one = np.column_stack([2 * xyz, np.ones(len(xyz))])
    solution, _, rank, _ = np.linalg.lstsq(with_one, (xyz**2).sum(axis=1), rcond=None)
    radius = float(np.sqrt(max(solution[3] + (solution[:3] ** 2).sum(), 0.0)))
    if rank < 4 or not 0.05 < radius < 0.15:  # few or coplanar sensors: a usual head
        return (0.0, 0.0, 0.0), 0.095
    return (float(solution[0]), float(solution[1]), float(solution[2])), radius


def _head(
    ax: Any, values: np.ndarray, where: Any, sphere: tuple[float, float, float, float], scale: Scale
) -> Any:
    import mne

    image, _ = mne.viz.plot_topomap(
        values, where, axes=ax, show=False, sphere=sphere, cmap="RdBu_r" if scale.low < 0 else scale.colours,
        vlim=(scale.low, scale.high), contours=4, sensors="k.", extrapolate="head", outlines="head",
    )  # fmt: skip
    for line in ax.lines:
        line.set_linewidth(0.7)
        line.set_markeredgewidth(0)
        line.set_markersize(2.6 if len(values) <= 130 else 1.6)
    for drawn in ax.collections:
        drawn.set_linewidth(0.35)
    return image
