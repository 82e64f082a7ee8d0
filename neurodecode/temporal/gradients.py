"""Gradient times input: which channels and times speak for the true features, for any decoder with gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from .. import folds, store
from ..labels import FEATURE, LAYER, SAMPLE, require_choice, require_dims, require_finite, require_same
from .parts import AXES, Over, checked_epochs, columns_of, parts_of, truths_of, with_subject

REDUCTIONS = ("mean", "mean_abs")


@runtime_checkable
class Differentiable(Protocol):
    """A fitted decoder that knows its gradients. Ridge has its weights; a network asks its framework.

    Examples
    --------
    >>> import neurodecode as nd
    >>> isinstance(nd.RidgeDecoder(), nd.temporal.Differentiable)
    True
    """

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Decode (sample, channel, time) to (sample, feature)."""
        ...

    def input_gradients(self, responses: xr.DataArray, direction: xr.DataArray) -> xr.DataArray:
        """Gradient of ``sum over features of direction x prediction`` by every response: (sample, channel, time).

        ``direction`` (sample, feature) has the samples of ``responses``, in their order; each sample's gradient is that
        of its own prediction, at its own responses, in the units of both as they were given.
        """
        ...


def gradient_input(
    decoder: Differentiable,
    responses: xr.DataArray,
    features: xr.DataArray | Mapping[str, xr.DataArray],
    *,
    over: Over = AXES,
    width: float = 0.100,
    step: float = 0.025,
    regions: Any = None,
    train: Any = "train",
    test: Any = "test",
    shared: str | Iterable[str] = (),
    reduce: str = "mean",
) -> xr.DataArray:
    """Attribute the evidence for the true features to channels and times: gradient times input (Shrikumar et al. 2016).

    The evidence of a sample is its prediction's part along the true pattern, ``e = v . f(x)`` with
    ``v = (y - m) / |y - m|``, y the true features of a layer, m their mean over training samples. A channel and time
    contributes ``(x - x_m) de/dx``, x_m its mean over training samples. For a linear decoder all contributions add up
    to ``e(x) - e(x_m)``; for others this is a first-order picture.

    Averaged with its sign, what has nothing to do with the features comes out near 0, even where a decoder gives it
    weight to cancel noise; averaged without (``reduce="mean_abs"``), it shows what moves the output, noise included.

    Parameters
    ----------
    decoder : fitted, with ``predict`` and ``input_gradients``
    responses : (sample, channel, time)
        With the training samples, of which only the mean is taken, and the test samples.
    features : (stimulus, feature), with or without ``layer``, or a mapping of space to array
        Those that the decoder predicts.
    over : "channel", "time", or both
        What contributions are added up to: channels, windows (all samples in each), or channels in windows.
    width, step : float
        Of windows, in seconds; with ``step=width`` no time counts twice.
    regions : optional
        Groups of channels to add up, see :func:`neurodecode.brain.regions`.
    train, test, shared : see :func:`neurodecode.folds.splits`
    reduce : {"mean", "mean_abs"}
        Over test samples, after adding up.

    Returns
    -------
    (channel | region, layer), (window, layer) or (window, channel | region, layer)
        ``whole`` (layer) is the sum over all channels and times. Attrs kind, reduce, units (of the features), chance
        (0), provenance; ``subject`` and a window that is all of the time are scalar coordinates.

    Raises
    ------
    TypeError
        A decoder without gradients.
    ValueError
        Bad data, unknown names, training and test samples that share stimuli, features that are not predicted.

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
    >>> decoder = nd.RidgeDecoder(1.0).fit(epochs[:30], features)
    >>> found = nd.temporal.gradient_input(decoder, epochs, features, train=names[:30], test=names[30:])
    >>> "channel" in found.dims
    True
    """
    require_choice(reduce, REDUCTIONS, what="reduce")
    if not isinstance(decoder, Differentiable):
        raise TypeError(
            f"{type(decoder).__name__} has no input_gradients(responses, direction); neurodecode.temporal.occlusion "
            "needs predict alone"
        )
    epochs = checked_epochs(responses)
    laid = parts_of(epochs, over=over, width=width, step=step, regions=regions, radius=0.0)
    (fold,) = folds.splits(epochs, train=train, test=test, shared=shared)
    trained, tested = (epochs.isel({SAMPLE: rows}).compute() for rows in (fold.train, fold.test))
    for array, who in ((trained, "training responses"), (tested, "test responses")):
        require_finite(array, who=who)
    away = tested - trained.mean(SAMPLE, dtype=np.float64)
    learned, truths = truths_of(features, trained), truths_of(features, tested)
    predicted = decoder.predict(tested)
    columns = columns_of(predicted, truths)
    values, whole = [], []
    for name, true in truths.items():
        direction = xr.zeros_like(predicted, dtype=np.float64)
        direction[{FEATURE: columns[name]}] = _towards(true, learned[name])
        found = away.values * _gradients(decoder, tested, direction)
        values.append(_reduced(_added(found, laid.masks, laid.spans), reduce))
        whole.append(_reduced(found.sum(axis=(1, 2)), reduce))
    result = laid.labelled(np.stack(values, axis=-1), list(truths)).rename("gradient_input")
    units = str(next(iter(truths.values())).attrs.get("units", "a.u."))
    said = {"kind": "gradient x input", "reduce": reduce, "units": units}
    result = result.assign_coords(whole=(LAYER, np.array(whole)))
    result.attrs = {"score": "evidence for the true features", "chance": 0.0, **said}
    parameters = {
        "decoder": decoder,
        "over": laid.over,
        "width": width,
        "step": step,
        "regions": laid.regions,
        "reduce": reduce,
    }
    data = {"responses": epochs, **{f"features {k}": v for k, v in truths.items()}}
    return store.stamp(
        with_subject(result, responses), what="temporal.gradient_input", parameters=parameters, data=data
    )


def _towards(true: xr.DataArray, learned: xr.DataArray) -> np.ndarray:
    """Unit vectors (sample, feature) from the mean of training to the true patterns; 0 where they are the mean."""
    away = true.values - learned.values.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(away, axis=1, keepdims=True)
    return np.divide(away, length, out=np.zeros_like(away), where=length > 0)


def _gradients(decoder: Differentiable, tested: xr.DataArray, direction: xr.DataArray) -> np.ndarray:
    """What the decoder returns (sample, channel, time), once it is known to be of these responses."""
    who = f"the gradients of {type(decoder).__name__}"
    found = decoder.input_gradients(tested, direction)
    require_dims(found, [SAMPLE, *AXES], who=who)
    for dim in (SAMPLE, *AXES):
        require_same(tested, found, dim, who=("responses", who))
    require_finite(found, who=who)
    return np.asarray(found.transpose(SAMPLE, *AXES).values)


def _added(values: np.ndarray, masks: np.ndarray, spans: list[slice]) -> np.ndarray:
    """Sums (sample, window, part) of values (sample, channel, time)."""
    return np.stack([values[:, :, span].sum(axis=2) @ masks.T.astype(float) for span in spans], axis=1)


def _reduced(values: np.ndarray, reduce: str) -> np.ndarray:
    """Mean over samples, of absolute values if that is asked for."""
    return np.asarray((np.abs(values) if reduce == "mean_abs" else values).mean(axis=0))
