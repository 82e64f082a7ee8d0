"""Sensor topographies of what is decoded, window by window."""

from __future__ import annotations

from typing import Any

import xarray as xr
from sklearn.base import clone

from .. import folds, store
from ..crossval import Features, Responses, by_space, checked
from ..labels import LAYER, require_coord, require_same
from ..maps import reduced, require_options
from .sweep import common_time
from .windows import windows


def patterns(
    epochs: Responses,
    features: Features,
    decoder: Any,
    *,
    width: float = 0.100,
    step: float = 0.025,
    tmin: float | None = None,
    tmax: float | None = None,
    train: Any = "train",
    kind: str = "pattern",
    reduce: str = "mean_abs",
    units: str = "standardised",
) -> xr.DataArray:
    """Fit a decoder in every window and return its forward-model pattern over the sensors (Haufe et al. 2014).

    Parameters
    ----------
    epochs, features, decoder, width, step, tmin, tmax : see :func:`sweep`
    train : sample ids, boolean mask, or name of a split
        The samples to fit on; patterns are a description of the fit, so nothing is tested.
    kind, reduce, units : see :func:`neurodecode.spatial.weight_map`

    Returns
    -------
    (window, channel, layer, subject)
        Mean over the samples of the window, with the channels' kinds and positions; attrs kind, reduce, units and
        provenance.

    Raises
    ------
    ValueError
        Other windows than the epochs hold, bad data or names.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = rng.normal(size=(40, 5, 30))
    >>> values[:, :, 15:] += (features.values @ rng.normal(size=(3, 5)))[:, :, None]
    >>> epochs = nd.brain.meeg(
    ...     values, sample=names, stimulus=names, channel=list("abcde"), time=np.arange(30) / 100, subject="s1"
    ... )
    >>> nd.temporal.patterns(epochs, features, nd.RidgeDecoder(1.0), train=names).dims
    ('window', 'channel', 'layer', 'subject')
    """
    require_options(kind=kind, reduce=reduce, units=units)
    arrays, spaces = checked(epochs, features)
    decoders = by_space(decoder, list(spaces))
    laid = windows(common_time(arrays), width=width, step=step, tmin=tmin, tmax=tmax)
    name, one_array = next(iter(arrays.items()))
    for subject, array in arrays.items():
        who = f"epochs of subject {subject!r}"
        require_coord(array, "channel", who=who)
        require_same(one_array, array, "channel", who=(f"epochs of subject {name!r}", who))
    learn = {s: a.isel(sample=folds.select(a, train, who="train")) for s, a in arrays.items()}

    def one(seen: xr.DataArray, name: str) -> xr.DataArray:
        # The space's own layers, if any, are one here: the mapping's names are the layers.
        fitted = clone(decoders[name]).fit(seen, spaces[name].drop_vars(LAYER, errors="ignore"))
        found = reduced(fitted, kind=kind, reduce=reduce, units=units, responses=seen)
        return found.assign_coords({LAYER: [name]}).mean("time", keep_attrs=True)

    def of_subject(array: xr.DataArray) -> xr.DataArray:
        parts = zip(laid["first"].values, laid["size"].values, strict=True)
        cut = [array.isel(time=slice(int(first), int(first + size))) for first, size in parts]
        return xr.concat([xr.concat([one(c, n) for n in spaces], dim=LAYER) for c in cut], dim=_axis(laid))

    subjects = xr.Variable("subject", list(arrays))
    joined = xr.concat([of_subject(a) for a in learn.values()], dim=subjects, join="exact")
    result = joined.assign_coords(start=laid.start, stop=laid.stop).transpose(
        "window", "channel", LAYER, "subject"
    )
    parameters = {
        "decoders": {k: store.describe(v) for k, v in decoders.items()},
        "kind": kind,
        "reduce": reduce,
        "units": units,
        **laid.attrs,
    }
    result.attrs.pop("subject", None)
    hashes = {s: store.data_hash(a, *spaces.values()) for s, a in learn.items()}
    return store.stamp(result.rename("pattern"), what="temporal.patterns", parameters=parameters, data=hashes)


def _axis(laid: xr.Dataset) -> xr.Variable:
    return xr.Variable("window", laid.window.values, {"units": "s"})
