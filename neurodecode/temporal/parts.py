"""Parts of epochs: every channel or region, every window, or every one of them in every window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .. import brain
from ..labels import FEATURE, LAYER, SAMPLE, differing, match, require_array, require_coord, require_dims
from .windows import windows

AXES = ("channel", "time")
Over = str | Sequence[str]


@dataclass(frozen=True)
class Parts:
    """Which channels (part, channel) and which stretches of time make up the parts, and how these are labelled.

    Without "time" in ``over`` the one stretch is all of the time, without "channel" the one set is all channels.
    """

    over: tuple[str, ...]
    masks: np.ndarray
    spans: list[slice]
    space: str
    coords: Mapping[str, Any]

    @property
    def regions(self) -> list[Any] | None:
        """Names of the groups of channels, None where there are none."""
        return self.coords["region"].tolist() if self.space == "region" else None

    def labelled(self, values: np.ndarray, layers: Sequence[str]) -> xr.DataArray:
        """Values (window, part, layer) as (window, channel | region, layer); an axis that was not asked for is dropped.

        The window then stays as a scalar coordinate.
        """
        array = xr.DataArray(
            values, dims=("window", self.space, LAYER), coords={**self.coords, LAYER: list(layers)}
        )
        if "time" not in self.over:
            array = array.isel(window=0)
        return array if "channel" in self.over else array.isel({self.space: 0}, drop=True)


def parts_of(
    epochs: xr.DataArray, *, over: Over, width: float, step: float, regions: Any, radius: float
) -> Parts:
    """Lay parts over epochs (sample, channel, time).

    Parameters
    ----------
    over : "channel", "time" or both
    width, step : of windows, see :func:`windows`
    regions : see :func:`neurodecode.brain.regions`; None: single channels
    radius : of the neighbours that go with a channel, in the units of ``x y z``
    """
    asked = (over,) if isinstance(over, str) else tuple(over)
    if not asked or set(asked) - set(AXES) or len(set(asked)) < len(asked):
        raise ValueError(f"over must be 'channel', 'time' or both, got {over!r}")
    if regions is not None and ("channel" not in asked or radius):
        raise ValueError(
            "regions=... say which channels go together: give over='channel' and no radius with it"
        )
    space, masks, coords = _channels(epochs, regions, radius) if "channel" in asked else _all_channels(epochs)
    spans, times = _stretches(epochs["time"].values, width, step, cut="time" in asked)
    return Parts(asked, masks, spans, space, {**coords, **times})


def _all_channels(epochs: xr.DataArray) -> tuple[str, np.ndarray, dict[str, Any]]:
    return "channel", np.ones((1, epochs.sizes["channel"]), bool), {}


def _channels(epochs: xr.DataArray, regions: Any, radius: float) -> tuple[str, np.ndarray, dict[str, Any]]:
    if regions is not None:
        found = brain.regions(epochs, regions)
        return "region", found.values, {"region": found["region"].values}
    coords = {str(k): v for k, v in epochs.coords.items() if v.dims == ("channel",)}
    return "channel", _neighbours(epochs, radius), coords


def _neighbours(epochs: xr.DataArray, radius: float) -> np.ndarray:
    """Each channel and those within the radius of it (channel, channel)."""
    alone = np.eye(epochs.sizes["channel"], dtype=bool)
    if not radius:
        return alone
    if not radius > 0:
        raise ValueError(f"radius must be 0 or more, got {radius}")
    xyz = np.stack([require_coord(epochs, k, who="responses", dim="channel").values for k in "xyz"], axis=1)
    # A channel without a place has no neighbours.
    return alone | (np.linalg.norm(xyz[:, None] - xyz[None], axis=-1) <= radius)


def _stretches(
    time: np.ndarray, width: float, step: float, *, cut: bool
) -> tuple[list[slice], dict[str, Any]]:
    if not cut:
        ends = {"window": [(time[0] + time[-1]) / 2], "start": time[:1], "stop": time[-1:]}
        return [slice(None)], {k: ("window", v, {"units": "s"}) for k, v in ends.items()}
    laid = windows(time, width=width, step=step)
    spans = [
        slice(int(a), int(a + n)) for a, n in zip(laid["first"].values, laid["size"].values, strict=True)
    ]
    return spans, {k: laid.coords[k] for k in ("window", "start", "stop")}


def checked_epochs(responses: xr.DataArray) -> xr.DataArray:
    """Responses as (sample, channel, time), with labels along all three."""
    require_dims(require_array(responses, who="responses"), [SAMPLE, *AXES], who="responses")
    for dim in AXES:
        require_coord(responses, dim, who="responses", dim=dim)
    return responses.transpose(SAMPLE, *AXES)


def truths_of(
    features: xr.DataArray | Mapping[str, xr.DataArray], samples: xr.DataArray
) -> dict[str, xr.DataArray]:
    """Features (sample, feature) of every space."""
    return {name: match(space, samples) for name, space in brain.spaces(features).items()}


def columns_of(predicted: xr.DataArray, truths: Mapping[str, xr.DataArray]) -> dict[str, np.ndarray]:
    """Which of the predicted features belong to which space; all of them where there is one.

    Raises
    ------
    ValueError
        If a space is not predicted, another number of its features, or features of another ``layer`` or ``unit``.
    """
    require_dims(predicted, [SAMPLE, FEATURE], who="predictions")
    if len(truths) == 1:
        found = {name: np.arange(predicted.sizes[FEATURE]) for name in truths}
    else:
        layers = require_coord(predicted, LAYER, who="predictions", dim=FEATURE).values.astype(str)
        found = {name: np.flatnonzero(layers == name) for name in truths}
    for name, true in truths.items():
        there = predicted.isel({FEATURE: found[name]})
        told = [k for k in (LAYER, "unit") if k in there.coords and k in true.coords]
        same = there.sizes[FEATURE] == true.sizes[FEATURE]
        others = [k for k in told if same and differing(there[k].values, true[k].values).any()]
        if not same or others:
            raise ValueError(
                f"the decoder predicts {there.sizes[FEATURE]} features of {name!r} where {true.sizes[FEATURE]} are "
                + (f"given, of another {' and '.join(map(repr, others))}" if others else "given")
                + "; give the feature spaces that it was fitted on, in their order"
            )
    return found


def with_subject(result: xr.DataArray, responses: xr.DataArray) -> xr.DataArray:
    """Say whose result it is, if that is known, so that those of several subjects can be concatenated."""
    subject = responses.attrs.get("subject")
    return result if subject is None else result.assign_coords(subject=str(subject))
