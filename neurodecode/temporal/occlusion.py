"""What a decoder leans on: the drop of its score when channels or times are hidden from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr
from tqdm import tqdm

from .. import folds, store
from ..crossval import finite_mean
from ..labels import FEATURE, LAYER, SAMPLE, require_choice, require_finite
from ..score import Score, named
from .parts import Over, Parts, checked_epochs, columns_of, parts_of, truths_of, with_subject

FILLS = ("mean", "permute")


class Predicts(Protocol):
    """Anything fitted that turns epochs (sample, channel, time) into features (sample, feature)."""

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Decode."""
        ...


def occlusion(
    decoder: Predicts,
    responses: xr.DataArray,
    features: xr.DataArray | Mapping[str, xr.DataArray],
    *,
    over: Over = "channel",
    width: float = 0.100,
    step: float = 0.025,
    regions: Any = None,
    radius: float = 0.0,
    train: Any = "train",
    test: Any = "test",
    shared: str | Iterable[str] = (),
    score: Any = "pattern",
    fill: str = "mean",
    n_permutations: int = 10,
    seed: int = 0,
) -> xr.DataArray:
    """Hide one part of the test epochs after the other, and see how far the score drops (Zeiler & Fergus 2014).

    It says what this decoder uses, not all that carries information: of two channels that say the same, either can be
    hidden without harm. ``radius`` or ``regions`` hide neighbours together.

    Parameters
    ----------
    decoder : anything fitted with ``predict``
        It is not fitted again.
    responses : (sample, channel, time)
        With the training samples, of which only the mean is taken, and the test samples.
    features : (stimulus, feature), with or without ``layer``, or a mapping of space to array
        Those that the decoder predicts.
    over : "channel", "time", or both
        What is hidden: a channel at all times, all channels in a window, or a channel in a window.
    width, step : float
        Of windows, in seconds, see :func:`windows`.
    regions : optional
        Groups of channels that are hidden together, see :func:`neurodecode.brain.regions`.
    radius : float
        Channels so near (in the units of ``x y z``) are hidden with each.
    train, test, shared : see :func:`neurodecode.folds.splits`
    score : see :func:`neurodecode.score.named`
        A graded one shows smaller drops than top-1, which moves in steps of one test sample.
    fill : {"mean", "permute"}
        What takes the place of what is hidden: the mean of every channel and time over the training samples (0 after
        standardising), or what other test samples have there, in ``n_permutations`` random orders (Breiman 2001). The
        training samples are then not needed.
    n_permutations, seed : int

    Returns
    -------
    (channel | region, layer), (window, layer) or (window, channel | region, layer)
        Score of the whole minus score without the part, positive where the part helped. Channels keep kind and
        position. ``whole`` (layer) is the score with nothing hidden; attrs score, units, chance (0: no drop), fill,
        provenance; ``subject``, if it is known, and a window that is all of the time are scalar coordinates.

    Raises
    ------
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
    >>> found = nd.temporal.occlusion(decoder, epochs, features, train=names[:30], test=names[30:], n_permutations=2)
    >>> "channel" in found.dims
    True
    """
    epochs = checked_epochs(responses)
    laid = parts_of(epochs, over=over, width=width, step=step, regions=regions, radius=radius)
    if fill == "mean":
        (fold,) = folds.splits(epochs, train=train, test=test, shared=shared)
        tested = _in_memory(epochs, fold.test, who="test responses")
        others = _mean(_in_memory(epochs, fold.train, who="training responses"))
    else:
        require_choice(fill, FILLS, what="fill")
        tested = _in_memory(epochs, folds.select(epochs, test, who="test"), who="test responses")
        others = _permuted(tested, n_permutations, seed)
    truths = truths_of(features, tested)
    judge = _Judge(decoder, truths, columns_of(decoder.predict(tested), truths), named(score))
    whole = judge(tested)
    drops = np.stack([whole - judged for judged in _hiding(tested, laid, others, judge)])
    result = laid.labelled(drops.reshape(len(laid.spans), len(laid.masks), -1), list(truths))
    parameters = {
        "decoder": decoder,
        "over": laid.over,
        "width": width,
        "step": step,
        "regions": laid.regions,
        "radius": radius,
        "fill": fill,
        "n_permutations": n_permutations if fill == "permute" else None,
        "score": judge.score.name,
    }
    units = judge.units
    said = f"drop in {judge.score.name}" + ("" if units == judge.score.name else f" ({units})")
    result = result.assign_coords(whole=(LAYER, whole)).rename("occlusion")
    result.attrs = {"score": said, "units": said, "chance": 0.0, "fill": fill}
    data = {"responses": epochs, **{f"features {k}": v for k, v in truths.items()}}
    return store.stamp(
        with_subject(result, responses),
        what="temporal.occlusion",
        parameters=parameters,
        seed=seed,
        data=data,
    )


# What takes the place of a part, once or several times: (sample, channel, time) of the channels and the stretch.
Others = Callable[[np.ndarray, slice], Iterator[np.ndarray]]


def _in_memory(epochs: xr.DataArray, rows: np.ndarray, *, who: str) -> xr.DataArray:
    found = epochs.isel({SAMPLE: rows}).compute()
    require_finite(found, who=who)
    return found


def _mean(trained: xr.DataArray) -> Others:
    mean = trained.values.mean(axis=0, dtype=np.float64)[None]
    return lambda mask, span: iter([mean[:, mask, span]])


def _permuted(tested: xr.DataArray, count: int, seed: int) -> Others:
    """Other samples' values; every part sees the same orders, so that it does not matter which came before."""
    n = tested.sizes[SAMPLE]
    if count < 1 or n < 2:
        raise ValueError(
            f"fill='permute' needs at least 1 permutation of 2 test samples, got n_permutations={count} and {n} samples"
        )
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(n) for _ in range(count)]
    return lambda mask, span: (tested.values[:, mask, span][order] for order in orders)


@dataclass(frozen=True)
class _Judge:
    """Scores (layer) of what a decoder says of some responses to the test stimuli."""

    decoder: Predicts
    truths: Mapping[str, xr.DataArray]
    columns: Mapping[str, np.ndarray]
    score: Score

    def __call__(self, responses: xr.DataArray) -> np.ndarray:
        predicted = self.decoder.predict(responses)
        found = [
            self.score.function(predicted.isel({FEATURE: self.columns[name]}), true)
            for name, true in self.truths.items()
        ]
        return np.array([finite_mean(f) for f in found])

    @property
    def units(self) -> str:
        """Units of the score."""
        true = next(iter(self.truths.values()))
        return str(xr.DataArray(self.score.function(true, true)).attrs.get("units", "a.u."))


def _hiding(
    tested: xr.DataArray, laid: Parts, others: Others, judge: Callable[[xr.DataArray], np.ndarray]
) -> Iterator[np.ndarray]:
    """Scores (layer) with each part hidden, windows outermost, the mean over what takes its place."""
    # What takes a place may lie between whole numbers, as of epochs that were stored as such.
    hidden = tested.astype(np.result_type(tested.dtype, np.float32), copy=True)
    every = [(span, mask) for span in laid.spans for mask in laid.masks]
    for span, mask in tqdm(every, desc="temporal.occlusion", disable=None, leave=False):
        scores = []
        for other in others(mask, span):
            hidden.values[:, mask, span] = other
            scores.append(judge(hidden))
        hidden.values[:, mask, span] = tested.values[:, mask, span]
        yield np.mean(scores, axis=0)
