"""Estimates with their intervals against a number, such as the noise of a simulation: a line a layer or region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..labels import listed
from .look import axes_or_new, layer_colours, legend_above, region_colours, style, y_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MODALITIES = {"meg": "#202020", "eeg": "#8C8C8C"}
# Lines stand side by side: apart by so much of the distance between two places, and all within so much of it.
_APART, _SPREAD = 0.1, 0.56


def intervals(
    estimates: xr.Dataset,
    *,
    x: str,
    by: str,
    ax: Axes | None = None,
    reference: float | None = None,
    legend: bool = True,
) -> Axes:
    """Draw means with intervals against the values of a dimension, a line each entry of another.

    Parameters
    ----------
    estimates : Dataset with mean, low, high (x, by)
        Attrs `label` and `units` name the y axis.
    x : str
        Dimension along the axis; its values stand at equal distances, in their order.
    by : str
        Dimension of the lines: layers and regions have their colours in all figures.
    ax : optional
        Axes to draw on; by default those of a new figure.
    reference : float, optional
        Chance, or no error: a dashed line.
    legend : bool
        Whether to write the names of the lines above the axes.

    Returns
    -------
    The axes; lines are labelled with their entry of ``by`` and stand a little apart so that bars can be told.

    Raises
    ------
    TypeError, ValueError
        Anything but such a Dataset.
    """
    _require(estimates, (x, by))
    names = estimates[by].values.tolist()
    places = np.arange(estimates.sizes[x])
    shifts = _side_by_side(len(names))
    with style():
        ax = axes_or_new(ax)
        if reference is not None:
            ax.axhline(reference, color="#404040", ls=(0, (4, 2.5)), lw=0.8, zorder=1, label="_reference")
        for name, colour, shift in zip(names, _colours(names, by), shifts, strict=True):
            one = estimates.sel({by: name}).transpose(x)
            mean = one["mean"].values
            reach = np.stack([mean - one["low"].values, one["high"].values - mean])
            ax.errorbar(
                places + shift, mean, yerr=np.maximum(reach, 0), color=colour, marker="o", ms=2.6, lw=0.9,
                elinewidth=0.8, label=str(name), zorder=3,
            )  # fmt: skip
        ax.set_xticks(
            places, [f"{v:g}" if isinstance(v, float) else str(v) for v in estimates[x].values.tolist()]
        )
        ax.set_xlim(-0.5, len(places) - 0.5)
        ax.set_xlabel(str(estimates[x].attrs.get("long_name", x)))
        units = str(estimates.attrs.get("units", ""))
        y_label(ax, str(estimates.attrs.get("label", "")) + (f" ({units})" if units else ""))
        if legend:
            legend_above(ax, *ax.get_legend_handles_labels())
    return ax


def _side_by_side(n: int) -> np.ndarray:
    """Shifts (n) of the lines, around 0."""
    return (np.arange(n) - (n - 1) / 2) * min(_APART, _SPREAD / max(n - 1, 1))


def _colours(names: Sequence[object], by: str) -> list[str]:
    if by == "region":
        return region_colours(names)
    if {str(n).lower() for n in names} <= set(_MODALITIES):
        return [_MODALITIES[str(n).lower()] for n in names]
    return layer_colours(names)


def _require(estimates: object, dims: tuple[str, str]) -> None:
    if not isinstance(estimates, xr.Dataset):
        raise TypeError(
            f"estimates must be a Dataset with mean, low and high, not {type(estimates).__name__}"
        )
    missing = [n for n in ("mean", "low", "high") if n not in estimates]
    if missing:
        raise ValueError(f"estimates lack the variable(s) {listed(missing)}; give mean, low and high")
    for name in ("mean", "low", "high"):
        found = estimates[name].dims
        if set(found) != set(dims):
            raise ValueError(
                f"{name} of estimates must be {dims} but is {tuple(map(str, found))}; select or average the others"
            )
