"""Floor 1: how good a prediction is. Labelled arrays in, signed labelled scores out, with their chance level.

A score compares ``predicted`` (sample, feature) with ``true`` (sample, feature) of the same labels. Scores of a feature
over samples keep ``feature``; scores of a sample over features keep ``sample``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from . import lazy
from .checks import as_numbers, require_counts, require_numbers
from .labels import (
    FEATURE,
    SAMPLE,
    STIMULUS,
    groups,
    listed,
    quoted,
    require_array,
    require_choice,
    require_coord,
    require_dims,
    require_filled,
    require_finite,
    require_memory,
    require_real,
    require_same,
    require_squares,
    require_unique,
)

Function = Callable[[xr.DataArray, xr.DataArray], xr.DataArray]
# Scores predictions (sample, feature) against truths that it has taken in: values, and their chance level.
Against = Callable[[np.ndarray], tuple[np.ndarray, float]]
NAMES = ("profile", "pattern", "r2", "top1", "top5", "top<k>", "pairwise", "auc", "accuracy")
# Features of dask arrays that are scored at a time, and the number of values from which memory is looked at.
BLOCK, LARGE = 2048, 10**7
# Share of the largest value by which rows of one stimulus may differ: what single precision loses.
ALIKE = 1e-5
UNITS = {"profile": "Pearson r", "pattern": "Pearson r", "r2": "r2", "auc": "AUC"}
# How alike a prediction and a candidate are: cosine of the angle of their patterns, with or without their means.
METRICS = {"correlation": "Pearson r", "cosine": "cosine"}


@dataclass(frozen=True)
class Ranked:
    """A score of samples by how many of m candidates, the test stimuli, are more like a prediction than the right one.

    Alike is the product of the prediction with ``patterns(candidates)`` (stimulus, feature) but for what all candidates
    of a prediction share; ``values(better, tied, m)`` are the scores, ``tied`` candidates counting the right one.

    Examples
    --------
    >>> import neurodecode as nd
    >>> ranked = nd.score.named("pairwise").ranked
    >>> float(ranked.values(better=3, tied=1, m=5))  # 3 of 5 candidates are more like it: it beats 1 of 4 others
    0.25
    """

    patterns: Callable[[xr.DataArray], np.ndarray]
    values: Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Score:
    """A named score: ``function(predicted, true)`` returns (feature) or (sample) with its chance in attrs.

    ``prepare(true)``, where there is one, does once what many predictions of the same truths share, and returns a
    function from bare values (sample, feature), float64 and of the same labels, to the same scores and their chance.
    ``ranked`` is there for identification.

    Examples
    --------
    >>> import neurodecode as nd
    >>> nd.score.named("profile").name
    'profile'
    """

    name: str
    function: Function
    prepare: Callable[[xr.DataArray], Against] | None = None
    ranked: Ranked | None = None


def profile(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Profile correlation: Pearson r of every feature over samples, signed; (feature).

    A feature that is constant over the samples has no correlation (NaN); a constant prediction of one that varies
    carries nothing (0).

    Parameters
    ----------
    predicted, true : (sample, feature)
        Of the same samples and features; labels are compared where both have them.

    Raises
    ------
    ValueError
        Other labels on the two sides, NaN, or too few samples or features.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> true = xr.DataArray([[1.0, 2.0], [2.0, 1.0], [3.0, 0.0]], dims=("sample", "feature"))
    >>> nd.score.profile(2 * true + 1, true).values
    array([1., 1.])
    """
    if lazy.is_dask(predicted) or lazy.is_dask(true):
        return _by_feature(profile, predicted, true)
    p, _ = _checked(predicted, true, least_samples=3)
    values, chance = _profile_of(true)(p)
    return _result(values, true, FEATURE, "profile", chance=chance)


def _profile_of(true: xr.DataArray) -> Against:
    t, varies = _standard(_matrix(true, SAMPLE, who="true features"), 0)
    return lambda p: (_pearson(p, t, varies, axis=0), 0.0)


def pattern(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Pattern correlation: Pearson r of every sample over features, signed; (sample).

    Features share a mean pattern that any prediction has, so chance is not 0: it is the mean r of every prediction with
    the true patterns of the other stimuli.

    Parameters
    ----------
    predicted, true : (sample, feature)
        Of the same samples and features; labels are compared where both have them.

    Raises
    ------
    ValueError
        Other labels on the two sides, NaN, or too few samples or features.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> true = xr.DataArray([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]], dims=("sample", "feature"))
    >>> nd.score.pattern(true + 5, true).values
    array([1., 1.])
    """
    p, _ = _checked(predicted, true, least_features=3)
    values, chance = _pattern_of(true)(p)
    return _result(values, true, SAMPLE, "pattern", chance=chance)


def _pattern_of(true: xr.DataArray) -> Against:
    t, varies = _standard(_matrix(true, SAMPLE, who="true features"), 1)
    labels = true.coords[STIMULUS].values if STIMULUS in true.coords else np.arange(len(t))
    other = labels[:, None] != labels[None, :]

    def against_true(p: np.ndarray) -> tuple[np.ndarray, float]:
        # Mean r between predictions and the true patterns of other stimuli (NaN if there are none).
        mismatched = (_standard(p, 1)[0] @ t.T)[other]
        chance = float(mismatched.mean()) if mismatched.size else float("nan")
        return _pearson(p, t, varies, axis=1), chance

    return against_true


def r2(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Coefficient of determination of every feature, 1 - SS_res / SS_tot over the samples scored; (feature).

    SS_tot is about the mean of these samples, of which attrs test_samples says how many there are (and test_stimuli of
    how many stimuli, where some have several)
    (:func:`neurodecode.ceilings.normalise` asks for it). NaN for a feature that is constant over the samples.

    Parameters
    ----------
    predicted, true : (sample, feature)
        Of the same samples and features; labels are compared where both have them.

    Raises
    ------
    ValueError
        Other labels on the two sides, NaN, or too few samples or features.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> true = xr.DataArray([[1.0], [2.0], [3.0]], dims=("sample", "feature"))
    >>> nd.score.r2(true.mean("sample") + 0 * true, true).values
    array([0.])
    """
    if lazy.is_dask(predicted) or lazy.is_dask(true):
        return _by_feature(r2, predicted, true)
    p, _ = _checked(predicted, true, least_samples=2)
    values, chance = _r2_of(true)(p)
    return _result(values, true, FEATURE, "r2", chance=chance).assign_attrs(about_own_mean([true]))


def about_own_mean(tested: Sequence[xr.DataArray]) -> dict[str, float]:
    """Say about whose mean an R2 is that is about the mean of its own samples; see :func:`ceilings.normalise`.

    Parameters
    ----------
    tested : (sample, ...) arrays, one a fold

    Returns
    -------
    dict
        ``test_samples`` n, such that n / (n - 1) is the mean over folds; where some stimuli have several samples
        ``test_stimuli`` likewise, since a mean of trials moves with its stimuli and with its noise.

    Examples
    --------
    >>> import neurodecode as nd, numpy as np
    >>> trials = nd.brain.fmri(np.eye(4), sample=list("abcd"), stimulus=["cat", "cat", "dog", "dog"])
    >>> nd.score.about_own_mean([trials])
    {'test_samples': 4, 'test_stimuli': 2}
    """
    stimuli = [np.unique(f[STIMULUS]).size if STIMULUS in f.coords else f.sizes[SAMPLE] for f in tested]
    samples = [f.sizes[SAMPLE] for f in tested]
    found = {"test_samples": _of_folds(samples)}
    return found if stimuli == samples else found | {"test_stimuli": _of_folds(stimuli)}


def _of_folds(counts: Sequence[int]) -> float:
    if len(set(counts)) == 1:
        return counts[0]
    return 1.0 if min(counts) == 1 else 1 + 1 / float(np.mean([1 / (n - 1) for n in counts]))


def _r2_of(true: xr.DataArray) -> Against:
    t = _matrix(true, SAMPLE, who="true features")
    _, varies = _standard(t, axis=0)
    total = np.where(varies, np.sum((t - t.mean(axis=0)) ** 2, axis=0), 1.0)
    return lambda p: (np.where(varies, 1.0 - np.sum((t - p) ** 2, axis=0) / total, np.nan), 0.0)


def top_k(
    predicted: xr.DataArray,
    candidates: xr.DataArray,
    *,
    k: int = 1,
    answer: str = STIMULUS,
    n_way: int | None = None,
    metric: str = "correlation",
) -> xr.DataArray:
    """Identification: is the right candidate among the ``k`` that are most like the prediction (0 or 1).

    Parameters
    ----------
    predicted : (sample, feature)
        With a coordinate ``answer`` on sample: the label of the right candidate.
    candidates : (stimulus, feature)
        Any set of labelled candidates, for instance images or concept centres.
    k : int
        How many guesses count.
    answer : str
        Sample coordinate that names the right candidate.
    n_way : int, optional
        Identify among so many: the right candidate and n_way - 1 drawn at random from the others. Nothing is drawn: it
        is the probability over all such draws. With b others more alike than the right one, so many of them are drawn
        as the hypergeometric distribution says, and the right one is among the k if fewer than k are:
        ``sum over x < k of C(b, x) C(m - 1 - b, n_way - 1 - x) / C(m - 1, n_way - 1)`` for m candidates. By default
        all candidates.
    metric : {"correlation", "cosine"}
        What is called alike: Pearson r over features, or the cosine, which does not take the patterns' means away.

    Returns
    -------
    (sample) of 0 and 1, with ``n_way`` of probabilities; chance is k / number of candidates (k / n_way). Equal
    candidates share the places that they tie for.

    Raises
    ------
    ValueError
        A right candidate that is not there, candidates that are there twice, ``k`` or ``n_way`` above their number,
        NaN.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> names = [f"img_{i}" for i in range(20)]
    >>> candidates = nd.brain.features(np.random.default_rng(0).normal(size=(20, 6)), stimulus=names)
    >>> predictions = (candidates + 0.01).rename(stimulus="sample").assign_coords(stimulus=("sample", names))
    >>> found = nd.score.top_k(predictions, candidates, k=1)
    >>> float(found.mean()), found.attrs["chance"]
    (1.0, 0.05)
    """
    answers = require_coord(predicted, answer, who="predictions", dim=SAMPLE).values
    p = _comparing(predicted, candidates)
    values, chance = _top_of(answers, candidates, k=k, answer=answer, n_way=n_way, metric=metric)(p)
    n = candidates.sizes[STIMULUS]
    return _result(values, predicted, SAMPLE, _top_name(k, n_way), chance=chance, candidates=n)


def similarity(
    predicted: xr.DataArray, candidates: xr.DataArray, *, metric: str = "correlation"
) -> xr.DataArray:
    """How like each candidate every prediction is, by Pearson r or cosine over features: (sample, stimulus).

    Parameters
    ----------
    predicted : (sample, feature)
    candidates : (stimulus, feature)
    metric : {"correlation", "cosine"}
        0 where a pattern does not vary, for a cosine where it is 0. Rounded to 12 digits: equal candidates tie.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> names = [f"img_{i}" for i in range(20)]
    >>> candidates = nd.brain.features(np.random.default_rng(0).normal(size=(20, 6)), stimulus=names)
    >>> predictions = (candidates + 0.01).rename(stimulus="sample").assign_coords(stimulus=("sample", names))
    >>> alike = nd.score.similarity(predictions, candidates)
    >>> alike.dims, bool((alike.argmax("stimulus") == np.arange(20)).all())
    (('sample', 'stimulus'), True)
    """
    p = _comparing(predicted, candidates)
    coords = {k: v for k, v in predicted.coords.items() if v.dims == (SAMPLE,) and k != STIMULUS}
    return xr.DataArray(
        _rounded(p, _compared(candidates, metric), metric),
        dims=(SAMPLE, STIMULUS),
        coords={**coords, STIMULUS: candidates.coords[STIMULUS].values},
        attrs={"units": METRICS[metric]},
    )


def _comparing(predicted: xr.DataArray, candidates: xr.DataArray) -> np.ndarray:
    """Values (sample, feature) of predictions, refused if the candidates have another number of features."""
    p = _matrix(predicted, SAMPLE, who="predictions")
    if (
        FEATURE in require_array(candidates, who="candidates").sizes
        and p.shape[1] != candidates.sizes[FEATURE]
    ):
        raise ValueError(
            f"predictions have {p.shape[1]} features but candidates {candidates.sizes[FEATURE]}; use the same space"
        )
    return p


def _top_name(k: int, n_way: int | None) -> str:
    return f"top{k}" if n_way is None else f"top{k} of {n_way}"


def _top_of(
    answers: np.ndarray,
    candidates: xr.DataArray,
    *,
    k: int,
    answer: str,
    n_way: int | None = None,
    metric: str = "correlation",
) -> Against:
    c = _compared(candidates, metric)
    right = candidates.indexes[STIMULUS].get_indexer(answers)
    if (right < 0).any():
        missing = answers[right < 0]
        raise ValueError(
            f"{missing.size} of {answers.size} samples have a {answer!r} that is no candidate, first "
            f"{quoted(missing[0])}; add these candidates or leave the samples out"
        )
    m = candidates.sizes[STIMULUS]
    if m < 2:
        raise ValueError(
            f"identification needs at least 2 candidates, got {m}; add others than the right one"
        )
    n = m if n_way is None else n_way
    if not isinstance(n, int | np.integer) or not 2 <= n <= m:
        raise ValueError(
            f"n_way must be a whole number from 2 to {m}, the number of candidates; got {n_way!r}"
        )
    require_counts(k=k)
    if n_way is not None:
        require_counts(n_way=n_way)
    if not 1 <= k < n:
        most = "k=1 ('top1')" if n == 2 else f"a k from 1 to {n - 1}, such as k=1 ('top1')"
        raise ValueError(f"top-{k} needs more than {k} candidates, there are {n}; give {most}")

    def among(p: np.ndarray) -> tuple[np.ndarray, float]:
        better, tied, _ = _places(_rounded(p, c, metric), right)
        return _first_k(better, tied, _found(m, k=k, n=n)), k / n

    return among


def _first_k(better: np.ndarray, tied: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Probability to be found where ties are broken at random, so that the right one takes each place of its tie.

    These are ``better`` to ``better + tied - 1``; ``found`` (m) has the probability at every place.
    """
    inside = np.concatenate([[0.0], np.cumsum(found)])
    return np.asarray(np.clip((inside[better + tied] - inside[better]) / tied, 0.0, 1.0))


def _found(m: int, *, k: int, n: int) -> np.ndarray:
    """Probability to be among k of n for the right one of m candidates with 0, 1 ... m - 1 others before it: (m)."""
    before = np.arange(m)
    if n == m:
        return (before < k).astype(float)
    return np.asarray(stats.hypergeom.cdf(k - 1, m - 1, before, n - 1))


def pairwise(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Pairwise identification: share of other stimuli that the prediction resembles less than its own; (sample).

    Resemblance is Pearson r over features; ties count half; chance .5.

    Parameters
    ----------
    predicted, true : (sample, feature)
        Of the same samples and features; ``true`` has the sample coordinate ``stimulus``. Labels are compared where
        both have them.

    Raises
    ------
    ValueError
        Other labels on the two sides, NaN, or fewer than two different stimuli.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> names = {"sample": [0, 1, 2], "stimulus": ("sample", ["cat", "cup", "car"])}
    >>> true = xr.DataArray([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0], [2.0, 2.0, 0.0]], names, ("sample", "feature"))
    >>> nd.score.pairwise(true, true).values
    array([1., 1., 1.])
    """
    _checked(predicted, true)
    candidates = _candidates(true)
    right = candidates.indexes[STIMULUS].get_indexer(true.coords[STIMULUS].values)
    p = _matrix(predicted, SAMPLE, who="predictions")
    better, tied, _ = _places(_rounded(p, _compared(candidates)), right)
    wins = _wins(better, tied, candidates.sizes[STIMULUS])
    return _result(wins, predicted, SAMPLE, "pairwise", chance=0.5)


def _wins(better: np.ndarray, tied: np.ndarray, m: int) -> np.ndarray:
    """Share of the m - 1 others that are less like the prediction, ties half."""
    return np.asarray((m - better - tied + 0.5 * (tied - 1)) / (m - 1))


def auc(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Area under the ROC curve of every feature with two values (the larger is positive); (feature); chance .5.

    The probability that a positive sample is ranked above a negative one, ties half (Mann & Whitney 1947).

    Parameters
    ----------
    predicted, true : (sample, feature)
        Of the same samples and features; each feature of ``true`` has two values. Labels are compared where both have
        them.

    Raises
    ------
    ValueError
        Other labels on the two sides, NaN, or a feature of more or fewer than two values.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> true = xr.DataArray([[0.0], [0.0], [1.0], [1.0]], dims=("sample", "feature"))
    >>> predicted = true.copy(data=[[0.1], [0.6], [0.5], [0.9]])
    >>> nd.score.auc(predicted, true).values
    array([0.75])
    """
    if lazy.is_dask(predicted) or lazy.is_dask(true):
        return _by_feature(auc, predicted, true)
    p, t = _checked(predicted, true, least_samples=2)
    positive = t == t.max(axis=0)
    kinds = [np.unique(column).size for column in t.T]
    if set(kinds) != {2}:
        wrong = next(i for i, k in enumerate(kinds) if k != 2)
        name = quoted(true.coords[FEATURE].values[wrong] if FEATURE in true.coords else wrong)
        raise ValueError(
            f"auc needs features of exactly two values over the samples scored; feature {name} has {kinds[wrong]} "
            f"over {len(t)} samples. Use 'profile' for graded features, or folds that hold both classes"
        )
    ranks = stats.rankdata(p, axis=0)
    n1 = positive.sum(axis=0)
    n0 = len(t) - n1
    values = (np.sum(ranks * positive, axis=0) - n1 * (n1 + 1) / 2) / (n1 * n0)
    return _result(values, true, FEATURE, "auc", chance=0.5)


def accuracy(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Is the largest predicted feature the class of the sample? (sample) of 0 and 1.

    True features are one-hot, one a class (:func:`neurodecode.brain.one_hot`). Chance is the share of the commonest
    class among the samples scored: what always naming it would reach.

    Parameters
    ----------
    predicted, true : (sample, feature)
        Of the same samples and features; ``true`` is one-hot; labels are compared where both have them.

    Raises
    ------
    ValueError
        Other labels on the two sides, NaN, or true features that are not one-hot.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> true = xr.DataArray([[1.0, 0.0], [0.0, 1.0]], dims=("sample", "feature"))
    >>> nd.score.accuracy(true.copy(data=[[0.7, 0.2], [0.6, 0.5]]), true).values
    array([1., 0.])
    """
    p, t = _checked(predicted, true, least_features=2)
    low, high = t.min(), t.max()
    one_hot = ((t == low) | (t == high)).all(axis=1) & ((t == high).sum(axis=1) == 1)
    if not one_hot.all():
        raise ValueError(
            f"accuracy needs one-hot features, one a class, but {int((~one_hot).sum())} of {len(t)} samples are not, "
            f"first {t[int(np.argmin(one_hot))][:6].tolist()}; make them with neurodecode.brain.one_hot, or use "
            "'profile', 'pattern' or 'top1' for graded features"
        )
    classes = t.argmax(axis=1)
    values = (p.argmax(axis=1) == classes).astype(float)
    return _result(values, true, SAMPLE, "accuracy", chance=float(np.bincount(classes).max() / classes.size))


def noise_ceiling(ncsnr: xr.DataArray | np.ndarray | float, *, n: float) -> xr.DataArray | np.ndarray | float:
    """Largest reachable r of a voxel whose responses average ``n`` trials: sqrt(s^2 / (s^2 + 1/n)).

    ``ncsnr`` s is the ratio of signal to noise SD over single trials; below 0, where an estimate of the signal's
    variance was, there is no signal, and the ceiling is 0 (Allen et al. 2022).

    Parameters
    ----------
    ncsnr : float or array
    n : float
        Trials that responses average, at least 1.

    Raises
    ------
    ValueError
        For fewer than one trial.

    Examples
    --------
    >>> import neurodecode as nd
    >>> round(float(nd.score.noise_ceiling(0.5, n=3)), 3)
    0.655
    """
    require_numbers(n=n)
    if not n >= 1:
        raise ValueError(f"n must be at least 1 trial, got {n}")
    s = np.maximum(as_numbers(ncsnr, what="ncsnr", remedy="give SD of the signal over SD of the noise"), 0)
    # 1 / hypot, so that nothing is squared that could overflow.
    with np.errstate(over="ignore"):
        averaged = np.where(s == 0, 1.0, s) * np.sqrt(float(n))
    ceiling = np.where(s == 0, 0.0, 1.0 / np.hypot(1.0, 1.0 / averaged))
    if isinstance(ncsnr, xr.DataArray):
        return ncsnr.copy(data=ceiling)
    return ceiling if ceiling.ndim else float(ceiling)


def named(score: str | Function) -> Score:
    """Return the score of that name, or wrap a function(predicted, true) -> (feature), (sample) or a number.

    Parameters
    ----------
    score : "profile", "pattern", "r2", "top1", "top5", "pairwise", "auc", "accuracy", or a function

    Raises
    ------
    ValueError
        If there is no such score, naming those that there are.

    Examples
    --------
    >>> import neurodecode as nd
    >>> nd.score.named("r2").name
    'r2'
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
    if isinstance(score, str):
        prepared = {"profile": _profile_of, "pattern": _pattern_of, "r2": _r2_of}
        if score in simple:
            ranked = Ranked(_compared, _wins) if score == "pairwise" else None
            return Score(score, simple[score], prepared.get(score), ranked)
        if found := re.fullmatch(r"top([1-9]\d*)", score):
            k = int(found[1])
            ranked = Ranked(_compared, lambda better, tied, m: _first_k(better, tied, _found(m, k=k, n=m)))
            return Score(score, against(k=k), lambda true: _top_among(true, k=k), ranked)
    raise ValueError(f"unknown score {score!r}; choose one of {listed(NAMES, most=20)}, or give a function")


def against(
    candidates: xr.DataArray | None = None,
    *,
    k: int = 1,
    answer: str = STIMULUS,
    n_way: int | None = None,
    metric: str = "correlation",
) -> Function:
    """Make a top-k score against any candidate set, for ``score=`` of decode and sweep.

    Parameters
    ----------
    candidates : (stimulus, feature), optional
        Default: the different stimuli of the test part.
    k : int
        How many guesses count.
    answer : str
        Sample coordinate that names the right candidate, for instance "concept".
    n_way, metric : see :func:`top_k`

    Raises
    ------
    ValueError
        ``answer`` or ``n_way`` without candidates that they fit.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> names = [f"img_{i}" for i in range(20)]
    >>> candidates = nd.brain.features(np.random.default_rng(0).normal(size=(20, 6)), stimulus=names)
    >>> predictions = (candidates + 0.01).rename(stimulus="sample").assign_coords(stimulus=("sample", names))
    >>> score = nd.score.against(candidates, k=5)
    >>> float(score(predictions, candidates).mean())
    1.0
    """

    def top(predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
        chosen = _candidates(true) if candidates is None else candidates
        if answer not in predicted.coords:
            _same_labels(predicted, true)
            labels = require_coord(true, answer, who="true features", dim=SAMPLE)
            predicted = predicted.assign_coords({answer: (SAMPLE, labels.values)})
        return top_k(predicted, chosen, k=k, answer=answer, n_way=n_way, metric=metric)

    top.__name__ = _top_name(k, n_way)
    return top


def _top_among(true: xr.DataArray, *, k: int) -> Against:
    answers = require_coord(true, STIMULUS, who="true features", dim=SAMPLE).values
    return _top_of(answers, _candidates(true), k=k, answer=STIMULUS)


def _candidates(true: xr.DataArray) -> xr.DataArray:
    """Return the different stimuli among the samples of ``true``, one row each.

    Raises
    ------
    ValueError
        Where there are fewer than two, or samples of one have different features: either could stand for it.
    """
    labels = require_coord(true, STIMULUS, who="true features", dim=SAMPLE).values
    codes, first = groups(labels)
    if len(first) < 2:
        raise ValueError(
            f"identification needs at least 2 different stimuli in the test part, got {len(first)}: "
            f"{listed(labels[first]) or 'no sample'}; test more of them at once, as folds=5 does"
        )
    if len(first) < len(labels):
        _require_one_row_each(_matrix(true, SAMPLE, who="true features"), labels, first[codes])
    rows = true.isel({SAMPLE: np.sort(first)})
    bare = rows.drop_vars([k for k, v in rows.coords.items() if SAMPLE in v.dims])
    return bare.rename({SAMPLE: STIMULUS}).assign_coords({STIMULUS: labels[np.sort(first)]})


def _require_one_row_each(t: np.ndarray, labels: np.ndarray, first: np.ndarray) -> None:
    """Refuse rows that differ from the first of their stimulus, by more than a model's rounding in other batches."""
    slack = ALIKE * np.abs(t).max(initial=0.0)
    repeats = np.flatnonzero(first != np.arange(len(t)))
    other = repeats[(np.abs(t[repeats] - t[first[repeats]]) > slack).any(axis=1)]
    if len(other):
        i, j = int(first[other[0]]), int(other[0])
        k = int(np.argmax(np.abs(t[i] - t[j])))
        raise ValueError(
            f"{len(other)} of {len(t)} samples have other true features than the first sample of their stimulus; "
            f"stimulus {quoted(labels[i])} has feature {k} = {t[i, k]:g} at sample {i} and {t[j, k]:g} at sample {j}: "
            "match features to samples by stimulus (nd.labels.match), or name different stimuli differently"
        )


def _checked(
    predicted: xr.DataArray, true: xr.DataArray, *, least_samples: int = 1, least_features: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    p = _matrix(predicted, SAMPLE, who="predictions")
    t = _matrix(true, SAMPLE, who="true features")
    _same_labels(predicted, true)
    if p.shape != t.shape:
        raise ValueError(
            f"predictions have shape {p.shape} but true features {t.shape}; both are (sample, feature)"
        )
    if t.shape[0] < least_samples:
        raise ValueError(f"this score needs at least {least_samples} test samples, got {t.shape[0]}")
    if t.shape[1] < least_features:
        raise ValueError(f"this score needs at least {least_features} features, got {t.shape[1]}")
    return p, t


def _same_labels(predicted: xr.DataArray, true: xr.DataArray) -> None:
    for dim in (SAMPLE, FEATURE):
        if dim in predicted.coords and dim in true.coords:
            require_same(predicted, true, dim, who=("predictions", "true features"))


def _matrix(array: xr.DataArray, rows: str, *, who: str) -> np.ndarray:
    """Finite float64 values (rows, feature)."""
    require_dims(array, [rows, FEATURE], who=who)
    if array.size > LARGE:
        require_memory(
            3 * 8 * array.size,
            what=f"a score of {who} {dict(array.sizes)}",
            remedy="score fewer features or samples at a time; profile, r2 and auc take dask arrays in blocks",
        )
    require_filled(array, who=who)
    require_real(array, who=who)
    array = array.compute()
    require_finite(array, who=who)
    require_squares(array, who=who)
    return np.asarray(array.transpose(rows, FEATURE).values.astype(np.float64))


def _by_feature(function: Function, predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    """Score dask arrays some features at a time."""
    for array, who in ((predicted, "predictions"), (true, "true features")):
        require_dims(array, [SAMPLE, FEATURE], who=who)
    if predicted.sizes != true.sizes:
        raise ValueError(
            f"predictions have {dict(predicted.sizes)} but true features {dict(true.sizes)}; "
            "give the same samples and features"
        )
    _same_labels(predicted, true)
    unnamed = FEATURE not in true.coords
    if unnamed:
        # So that messages about a block count as in the whole.
        true = true.assign_coords({FEATURE: np.arange(true.sizes[FEATURE])})
    parts = [{FEATURE: slice(first, first + BLOCK)} for first in range(0, true.sizes[FEATURE], BLOCK)]
    client = lazy.cluster(predicted, true)
    calls = ((function, predicted.isel(part), true.isel(part)) for part in parts)
    found = xr.concat(lazy.each(_in_memory, calls, client=client), dim=FEATURE, combine_attrs="override")
    return found.drop_vars(FEATURE) if unnamed else found


def _in_memory(function: Function, predicted: xr.DataArray, true: xr.DataArray) -> xr.DataArray:
    return function(predicted.compute(), true.compute())


def _places(r: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many candidates resemble a prediction more than, just as, and less than the right one does."""
    own = np.take_along_axis(r, right[:, None], axis=1)
    return np.sum(r > own, axis=1), np.sum(r == own, axis=1), np.sum(r < own, axis=1)


def _standard(values: np.ndarray, axis: int, *, centre: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Values centred with norm 1 along ``axis`` (0 where constant), and whether they vary; or not centred."""
    largest = np.abs(values).max(axis=axis, keepdims=True)
    # In units of the largest value, so that the squares of tiny numbers do not vanish.
    values = values / np.where(largest > 0, largest, 1.0)
    centred = values - values.mean(axis=axis, keepdims=True) if centre else values
    norm = np.sqrt(np.sum(centred**2, axis=axis, keepdims=True))
    varies = norm > 1e-12 * np.sqrt(values.shape[axis])
    return np.where(varies, centred / np.where(varies, norm, 1.0), 0.0), np.squeeze(varies, axis=axis)


def _pearson(p: np.ndarray, t: np.ndarray, varies: np.ndarray, axis: int) -> np.ndarray:
    """Pearson r along ``axis``, given truths as :func:`_standard` returns them."""
    r = np.clip(np.sum(_standard(p, axis)[0] * t, axis=axis), -1.0, 1.0)
    return np.where(varies, r, np.nan)


def _compared(candidates: xr.DataArray, metric: str = "correlation") -> np.ndarray:
    """Patterns (stimulus, feature) of candidates with norm 1; refused if they are too few, or not unique."""
    require_choice(metric, tuple(METRICS), what="metric")
    require_dims(candidates, [STIMULUS, FEATURE], who="candidates")
    require_unique(candidates, STIMULUS, who="candidates")
    c = _matrix(candidates, STIMULUS, who="candidates")
    least = 3 if metric == "correlation" else 2
    if c.shape[1] < least:
        raise ValueError(
            f"identification by {metric} needs at least {least} features, got {c.shape[1]}; try 'accuracy'"
        )
    return _standard(c, 1, centre=metric == "correlation")[0]


def _rounded(p: np.ndarray, c: np.ndarray, metric: str = "correlation") -> np.ndarray:
    """Pearson r, or cosine, of every prediction with every candidate, which has norm 1: (sample, stimulus).

    Rounded, so that equal candidates tie whatever the order of summation.
    """
    return np.round(_standard(p, 1, centre=metric == "correlation")[0] @ c.T, 12)


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
