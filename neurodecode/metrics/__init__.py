"""Image metrics of reconstructions, by named protocol: PixCorr, SSIM, two-way identification, distances.

>>> import numpy as np, neurodecode as nd
>>> rng = np.random.default_rng(0)
>>> truths = nd.brain.images(rng.random((4, 8, 8, 3)), stimulus=["a", "b", "c", "d"])
>>> found = nd.metrics.evaluate(truths, truths, metrics=["PixCorr"])
>>> found["mean"].item(), found.attrs["protocol"]
(1.0, 'mindeye')
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import xarray as xr

from .. import store
from ..labels import (
    PICTURE,
    SAMPLE,
    STIMULUS,
    listed,
    require_array,
    require_coord,
    require_dims,
    require_unique,
)
from ..vision import Encoder
from . import networks
from .identification import correlations, distance, require_one_each, two_way
from .pixels import pixcorr, resized, ssim
from .protocols import DISTANCES, LOW, PROTOCOLS, Protocol, better, chance, named, units
from .tables import METRIC, gains, written

__all__ = [
    "PROTOCOLS",
    "Protocol",
    "correlations",
    "distance",
    "evaluate",
    "gains",
    "pixcorr",
    "ssim",
    "two_way",
    "written",
]

Reader = Callable[[np.ndarray], np.ndarray]


def evaluate(
    reconstructions: xr.DataArray,
    truths: xr.DataArray,
    *,
    protocol: str | Protocol = "mindeye",
    metrics: Sequence[str] | None = None,
    encoder: Encoder | None = None,
    fetch: bool = False,
    device: str = "cpu",
) -> xr.Dataset:
    """Compare reconstructions with the pictures that were shown.

    Parameters
    ----------
    reconstructions : (sample or stimulus, row, column, colour), values 0-1
        With the coordinate ``stimulus``, by which each finds its truth.
    truths : (stimulus, row, column, colour), values 0-1
        Those of the reconstructions are taken; others are no distractors.
    protocol : "mindeye", "brain-diffuser", "takagi", "lab", or a Protocol
        Sizes, networks and direction; it is written into the result. "lab" needs no published weights: its proxies are
        layers of ``encoder``, and say so in their names.
    metrics : names, by default all of the protocol
    encoder : vision.Encoder
        For the proxies of "lab".
    fetch : bool
        Let torchvision and open_clip fetch weights that are not on this machine.
    device : str

    Returns
    -------
    Dataset
        ``value`` (metric, sample); ``mean``, ``sem`` (metric), over the ``n`` pictures (not over subjects); coordinates
        ``better`` ("higher" or "lower"), ``chance`` (NaN where no number is known) and ``units`` (metric). Attrs:
        protocol, n.

    Raises
    ------
    ValueError
        Unknown metrics, a stimulus without truth, two pictures of one stimulus where pictures are identified, fewer
        than 2 pictures, sizes that differ where the protocol does not resize, values outside 0-1.
    FileNotFoundError
        Weights that are not on this machine: names the metric, the file and what to do; before anything is computed.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> values = np.random.default_rng(0).random((3, 16, 16, 3))
    >>> shown = nd.brain.images(values, stimulus=["a", "b", "c"])
    >>> found = nd.metrics.evaluate(shown, shown, metrics=["PixCorr"])
    >>> found["value"].values.round(6).ravel().tolist()
    [1.0, 1.0, 1.0]
    """
    chosen = named(protocol)
    wanted = _wanted(metrics, chosen)
    made, shown, coords = _pairs(reconstructions, truths)
    require_one_each(coords[STIMULUS].values, wanted)
    _require_ready(wanted, chosen, made, shown, encoder)
    readers = {m: _reader(m, chosen, encoder, fetch, device) for m in wanted if m not in LOW}
    rows = [_value(m, made, shown, chosen, readers) for m in wanted]
    value = xr.DataArray(np.stack(rows), dims=(METRIC, SAMPLE), coords={METRIC: wanted, **coords})
    n = len(made)
    result = xr.Dataset(
        {
            "value": value,
            "mean": value.mean(SAMPLE),
            "sem": value.std(SAMPLE, ddof=1) / np.sqrt(n),
        },
        coords={
            "better": (METRIC, [better(m) for m in wanted]),
            "chance": (METRIC, [chance(m) for m in wanted]),
            "units": (METRIC, [units(m) for m in wanted]),
        },
        attrs={"protocol": chosen.name, "n": n, "distractors": chosen.distractors},
    )
    parameters = {
        "protocol": chosen.name,
        "metrics": wanted,
        "pixels": chosen.pixels,
        "sizes": dict(chosen.sizes),
        "encoder": None if encoder is None else encoder.name,
    }
    data = {"reconstructions": store.data_hash(made), "truths": store.data_hash(shown)}
    return store.stamp(result, what="metrics.evaluate", parameters=parameters, data=data)


def _wanted(metrics: Sequence[str] | None, protocol: Protocol) -> list[str]:
    wanted = list(protocol.metrics if metrics is None else metrics)
    unknown = [m for m in wanted if m not in protocol.metrics]
    if unknown or not wanted:
        raise ValueError(
            f"protocol {protocol.name!r} has no metric {listed(unknown) or 'to compute'}; it has "
            f"{listed(protocol.metrics)}"
        )
    return wanted


def _pairs(
    reconstructions: xr.DataArray, truths: xr.DataArray
) -> tuple[np.ndarray, np.ndarray, dict[str, xr.DataArray]]:
    """Return pictures (n, row, column, 3), each with its truth, and the coordinates of the samples."""
    require_array(reconstructions, who="reconstructions")
    rows = SAMPLE if SAMPLE in reconstructions.dims else STIMULUS
    require_dims(reconstructions, (rows, *PICTURE), who="reconstructions")
    require_dims(truths, (STIMULUS, *PICTURE), who="truths")
    require_unique(truths, STIMULUS, who="truths")
    names = require_coord(reconstructions, STIMULUS, who="reconstructions", dim=rows).values
    found = truths.indexes[STIMULUS].get_indexer(names)
    if (found < 0).any():
        missing = names[found < 0]
        raise ValueError(
            f"{missing.size} of {names.size} reconstructions are of stimuli that truths do not have: {listed(missing)}"
        )
    made = reconstructions.transpose(rows, *PICTURE).values.astype(np.float32, copy=False)
    shown = truths.transpose(STIMULUS, *PICTURE).values[found].astype(np.float32, copy=False)
    for who, values in (("reconstructions", made), ("truths", shown)):
        low, high = float(values.min()), float(values.max())
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise ValueError(f"{who} must lie from 0 to 1, found {low:g} to {high:g}; scale or clip them")
    coords = {str(k): v.variable for k, v in reconstructions.coords.items() if v.dims == (rows,)}
    renamed = {k: xr.Variable(SAMPLE, v.values) for k, v in coords.items()}
    if SAMPLE not in renamed:
        renamed[SAMPLE] = xr.Variable(SAMPLE, names)
    return made, shown, renamed  # type: ignore[return-value]


def _require_ready(
    wanted: Sequence[str],
    protocol: Protocol,
    made: np.ndarray,
    shown: np.ndarray,
    encoder: Encoder | None,
) -> None:
    """Refuse what could not be finished, before the first metric."""
    if len(made) < 2:
        raise ValueError(f"a standard error and identification need at least 2 pictures, got {len(made)}")
    if protocol.pixels is None and made.shape != shown.shape:
        raise ValueError(
            f"protocol {protocol.name!r} compares pictures as they are, but reconstructions are {made.shape[1:3]} and "
            f"truths {shown.shape[1:3]}; resize one of them"
        )
    if encoder is None and any(m in protocol.layers for m in wanted):
        raise ValueError(
            f"the proxies of protocol {protocol.name!r} are layers of an encoder; give encoder=vision.load('lab'), or "
            "metrics=['PixCorr', 'SSIM']"
        )


def _reader(metric: str, protocol: Protocol, encoder: Encoder | None, fetch: bool, device: str) -> Reader:
    """Return what makes features (n, p) of pictures; a network is read from its file here, and once."""
    if encoder is not None and metric in protocol.layers:
        return partial(_encoded, encoder, layer=protocol.layers[metric])
    run = networks.load(metric, fetch=fetch, device=device)
    return partial(networks.features, run, size=protocol.sizes[metric], device=device)


def _value(
    metric: str, made: np.ndarray, shown: np.ndarray, protocol: Protocol, readers: Mapping[str, Reader]
) -> np.ndarray:
    """Return one metric of every picture (n)."""
    if metric in LOW:
        a, b = (resized(images, protocol.pixels) for images in (made, shown))
        return pixcorr(a, b) if metric == "PixCorr" else ssim(a, b)
    a, b = (readers[metric](images) for images in (made, shown))
    if metric in DISTANCES:
        return distance(a, b)
    return two_way(a, b, distractors=protocol.distractors)


def _encoded(encoder: Encoder, images: np.ndarray, *, layer: str) -> np.ndarray:
    parts = [
        encoder.encode(images[start : start + networks.BATCH], layer)[layer].flatten(1).cpu().numpy()
        for start in range(0, len(images), networks.BATCH)
    ]
    return np.concatenate(parts)
