"""Floor 1: how good a prediction is. Labelled arrays in, signed labelled scores out, with their chance level.

A score compares ``predicted`` (sample, feature) with ``true`` (sample, feature) of the same labels. Scores of a feature
over samples keep ``feature``; scores of a sample over features keep ``sample``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from .labels import FEATURE, SAMPLE, STIMULUS, require_coord, require_dims, require_same

Function = Callable[[xr.DataArray, xr.DataArray], xr.DataArray]


@dataclass(frozen=True)
class Score:
    """A named score: ``function(predicted, true)`` returns (feature) or (sample) with its chance in attrs."""

    name: str
    function: Function


def profile(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Profile correlation: Pearson r of every feature over samples, signed; (feature).

    A feature that is constant over the samples has no correlation (NaN); a constant prediction of one that varies
    carries nothing (0).
    """
    p, t = _checked(predicted, true, least_samples=3)
    return _result(_pearson(p, t, axis=0), true, FEATURE, "profile", chance=0.0)


def pattern(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Pattern correlation: Pearson r of every sample over features, signed; (sample)."""
    p, t = _checked(predicted, true, least_features=3)
    return _result(_pearson(p, t, axis=1), true, SAMPLE, "pattern", chance=0.0)


def r2(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Coefficient of determination of every feature, 1 - SS_res / SS_tot over the samples scored; (feature)."""
    p, t = _checked(predicted, true, least_samples=2)
    residual = np.sum((t - p) ** 2, axis=0)
    total = np.sum((t - t.mean(axis=0)) ** 2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(total > 0, 1.0 - residual / total, np.nan)
    return _result(values, true, FEATURE, "r2", chance=0.0)


def top_k(
    predicted: xr.DataArray, candidates: xr.DataArray, *, k: int = 1, answer: str = STIMULUS
) -> xr.DataArray:
    """Identification: is the right candidate among the ``k`` that correlate most with the prediction (0 or 1).

    Parameters
    ----------
    predicted : (sample, feature)
        With a coordinate ``answer`` on sample: the label of the right candidate.
    candidates : (stimulus, feature)
        Any set of labelled candidates, for instance images or concept centres.

    Returns
    -------
    (sample) of 0 and 1; chance is k / number of candidates. Equal candidates share the places that they tie for.
    """
    require_dims(candidates, [STIMULUS, FEATURE], who="candidates")
    answers = require_coord(predicted, answer, who="predictions").values
    right = candidates.indexes[STIMULUS].get_indexer(answers)
    if (right < 0).any():
        missing = answers[right < 0]
        raise ValueError(
            f"{missing.size} of {answers.size} samples have a {answer!r} that is no candidate, first {missing[0]!r}; "
            "add these candidates or leave the samples out"
        )
    n = candidates.sizes[STIMULUS]
    if not 1 <= k < n:
        raise ValueError(f"top-{k} needs more than {k} candidates, there are {n}")
    r = _correlations(predicted, candidates)
    own = np.take_along_axis(r, right[:, None], axis=1)
    better = np.sum(r > own, axis=1)
    tied = np.sum(r == own, axis=1)
    values = np.clip((k - better) / tied, 0.0, 1.0)
    return _result(values, predicted, SAMPLE, f"top{k}", chance=k / n, candidates=n)


def pairwise(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Pairwise identification: share of other stimuli that the prediction resembles less than its own; (sample).

    Resemblance is Pearson r over features; ties count half; chance .5.
    """
    candidates = _candidates(true)
    right = candidates.indexes[STIMULUS].get_indexer(true.coords[STIMULUS].values)
    r = _correlations(predicted, candidates)
    own = np.take_along_axis(r, right[:, None], axis=1)
    others = r.shape[1] - 1
    if others < 1:
        raise ValueError("pairwise identification needs at least 2 different stimuli in the test part")
    wins = np.sum(r < own, axis=1) + 0.5 * (np.sum(r == own, axis=1) - 1)
    return _result(wins / others, predicted, SAMPLE, "pairwise", chance=0.5)


def auc(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Area under the ROC curve of every feature with two values (the larger is positive); (feature); chance .5.

    The probability that a positive sample is ranked above a negative one, ties half (Mann & Whitney 1947).
    """
    p, t = _checked(predicted, true, least_samples=2)
    positive = t == t.max(axis=0)
    kinds = [np.unique(column).size for column in t.T]
    if set(kinds) != {2}:
        wrong = next(i for i, k in enumerate(kinds) if k != 2)
        raise ValueError(
            f"auc needs features of exactly two values over the samples scored; feature {wrong} has {kinds[wrong]} "
            f"over {len(t)} samples. Use 'profile' for graded features, or folds that hold both classes"
        )
    ranks = stats.rankdata(p, axis=0)
    n1 = positive.sum(axis=0)
    n0 = len(t) - n1
    values = (np.sum(ranks * positive, axis=0) - n1 * (n1 + 1) / 2) / (n1 * n0)
    return _result(values, true, FEATURE, "auc", chance=0.5)


def accuracy(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Is the largest predicted feature the largest true one (one feature a class)? (sample) of 0 and 1."""
    p, t = _checked(predicted, true, least_features=2)
    values = (p.argmax(axis=1) == t.argmax(axis=1)).astype(float)
    return _result(values, true, SAMPLE, "accuracy", chance=1.0 / t.shape[1])


def noise_ceiling(ncsnr: xr.DataArray | np.ndarray | float, *, n: int) -> xr.DataArray | np.ndarray | float:
    """Largest reachable r of a voxel whose responses average ``n`` trials: sqrt(s^2 / (s^2 + 1/n)).

    ``ncsnr`` s is the ratio of signal to noise SD over single trials (Allen et al. 2022).
    """
    if n < 1:
        raise ValueError(f"n must be at least 1 trial, got {n}")
    return np.sqrt(ncsnr**2 / (ncsnr**2 + 1.0 / n))


NAMES = ("profile", "pattern", "r2", "top1", "top5", "top<k>", "pairwise", "auc", "accuracy")


def named(score: str | Function) -> Score:
    """Return the score of that name, or wrap a function(predicted, true) -> (feature), (sample) or a number.

    Raises
    ------
    ValueError
        If there is no such score, naming those that there are.
    """
    if callable(score):
        return Score(getattr(score, "__name__", type(score).__name__), score)
    simple: dict[str, Function] = {
        "profile": profile,
        "pattern": pattern,
        "r2": r2,
        "pairwise": pairwise,
        "auc": auc,
        "accuracy": accuracy,
    }
    if score in simple:
        return Score(score, simple[score])
    if isinstance(score, str) and (found := re.fullmatch(r"top([1-9]\d*)", score)):
        return Score(score, against(k=int(found[1])))
    raise ValueError(
        f"unknown score {score!r}; choose one of {', '.join(map(repr, NAMES))}, or give a function"
    )


def against(candidates: xr.DataArray | None = None, *, k: int = 1, answer: str = STIMULUS) -> Function:
    """Make a top-k score against any candidate set, for ``score=`` of decode and sweep.

    Parameters
    ----------
    candidates : (stimulus, feature), optional
        Default: the different stimuli of the test part.
    k : int
        How many guesses count.
    answer : str
        Sample coordinate that names the right candidate, for instance "concept".
    """

    def top(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
        chosen = _candidates(true) if candidates is None else candidates
        labelled = (
            predicted
            if answer in predicted.coords
            else predicted.assign_coords({answer: true.coords[answer]})
        )
        return top_k(labelled, chosen, k=k, answer=answer)

    top.__name__ = f"top{k}"
    return top


def _candidates(true: xr.DataArray) -> xr.DataArray:
    """Return the different stimuli among the samples of ``true``, one row each."""
    labels = require_coord(true, STIMULUS, who="true features").values
    _, first = np.unique(labels, return_index=True)
    rows = true.isel({SAMPLE: np.sort(first)})
    bare = rows.drop_vars([k for k, v in rows.coords.items() if SAMPLE in v.dims])
    return bare.rename({SAMPLE: STIMULUS}).assign_coords({STIMULUS: labels[np.sort(first)]})


def _checked(
    predicted: xr.DataArray, true: xr.DataArray, *, least_samples: int = 1, least_features: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    for array, who in ((predicted, "predictions"), (true, "true features")):
        require_dims(array, [SAMPLE, FEATURE], who=who)
    if SAMPLE in predicted.coords and SAMPLE in true.coords:
        require_same(predicted, true, SAMPLE, who=("predictions", "true features"))
    p = predicted.transpose(SAMPLE, FEATURE).values.astype(np.float64)
    t = true.transpose(SAMPLE, FEATURE).values.astype(np.float64)
    if p.shape != t.shape:
        raise ValueError(
            f"predictions have shape {p.shape} but true features {t.shape}; both are (sample, feature)"
        )
    if t.shape[0] < least_samples:
        raise ValueError(f"this score needs at least {least_samples} test samples, got {t.shape[0]}")
    if t.shape[1] < least_features:
        raise ValueError(f"this score needs at least {least_features} features, got {t.shape[1]}")
    return p, t


def _standard(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Values centred with norm 1 along ``axis`` (0 where constant), and whether they vary."""
    centred = values - values.mean(axis=axis, keepdims=True)
    norm = np.sqrt(np.sum(centred**2, axis=axis, keepdims=True))
    size = np.abs(values).max(axis=axis, keepdims=True) * np.sqrt(values.shape[axis])
    varies = norm > 1e-12 * size
    return np.where(varies, centred / np.where(varies, norm, 1.0), 0.0), np.squeeze(varies, axis=axis)


def _pearson(p: np.ndarray, t: np.ndarray, axis: int) -> np.ndarray:
    p_standard, _ = _standard(p, axis)
    t_standard, varies = _standard(t, axis)
    return np.where(varies, np.sum(p_standard * t_standard, axis=axis), np.nan)


def _correlations(predicted: xr.DataArray, candidates: xr.DataArray) -> np.ndarray:
    """Pearson r over features between every prediction and every candidate (sample, stimulus)."""
    require_dims(predicted, [SAMPLE, FEATURE], who="predictions")
    p = predicted.transpose(SAMPLE, FEATURE).values.astype(np.float64)
    c = candidates.transpose(STIMULUS, FEATURE).values.astype(np.float64)
    if p.shape[1] != c.shape[1]:
        raise ValueError(
            f"predictions have {p.shape[1]} features but candidates {c.shape[1]}; use the same space"
        )
    if p.shape[1] < 3:
        raise ValueError(
            f"identification by correlation needs at least 3 features, got {p.shape[1]}; try 'accuracy'"
        )
    # Rounded, so that equal candidates tie whatever the order of summation.
    return np.round(_standard(p, 1)[0] @ _standard(c, 1)[0].T, 12)


def _result(
    values: np.ndarray,
    like: xr.DataArray,
    dim: str,
    name: str,
    *,
    chance: float,
    candidates: int | None = None,
) -> xr.DataArray:
    coords = {k: v for k, v in like.coords.items() if v.dims == (dim,)}
    attrs: dict[str, object] = {"score": name, "chance": chance, "units": UNITS.get(name, "proportion")}
    if candidates is not None:
        attrs["candidates"] = candidates
    return xr.DataArray(values, dims=dim, coords=coords, attrs=attrs)


UNITS = {"profile": "Pearson r", "pattern": "Pearson r", "r2": "r2", "auc": "AUC"}
