"""Floor 2: which of many candidates was seen? Zero-shot identification from predicted features, with its uncertainty.

Candidates are features of images, or of concepts (:func:`concept_centres`), that no decoder was trained on. What counts
as found is :func:`neurodecode.score.top_k`'s; here are the centres, the guess, and what may be claimed of the accuracy.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from . import brain, score, store
from .checks import require_counts, require_share
from .labels import (
    FEATURE,
    LAYER,
    SAMPLE,
    STIMULUS,
    differing,
    groups,
    listed,
    match,
    quoted,
    require_array,
    require_choice,
    require_coord,
    require_dims,
    require_finite,
    require_real,
    require_unique,
)
from .solve.intervals import expanded, reach_by_t

CONCEPT = "concept"
# How an interval is made, and what it says.
INTERVALS = {
    "wilson": "Wilson score interval of a proportion of independent samples (Wilson 1927)",
    "bootstrap": "expanded percentile bootstrap over {over} (Hesterberg 2015)",
}
OVER_SUBJECTS = "Student's t over subjects"


def concept_centres(features: xr.DataArray, shown: xr.DataArray) -> xr.DataArray:
    """Average the features of each concept's stimuli: candidates that stand for concepts, not for images.

    Parameters
    ----------
    features : (stimulus, feature)
        Of every stimulus in ``shown``, and of others, which do not count.
    shown : array with ``concept`` beside ``stimulus`` (responses or images)
        Whose stimuli are averaged, each once, however often it was repeated.

    Returns
    -------
    (stimulus, feature)
        A row a concept, in order of first appearance: ``stimulus`` and ``concept`` are its name, ``images`` how many
        were averaged; attrs centres. :func:`neurodecode.datasets.stimuli.concept_prompts` takes it too.

    Raises
    ------
    ValueError
        A stimulus of two concepts or without features, NaN or infinite values.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> space = nd.brain.features([[0.0], [2.0], [5.0]], stimulus=["cat_1", "cat_2", "cup_1"])
    >>> shown = space.assign_coords(concept=("stimulus", ["cat", "cat", "cup"]))
    >>> nd.retrieval.concept_centres(space, shown).values.ravel().tolist()
    [1.0, 5.0]
    """
    require_dims(require_array(features, who="features"), [STIMULUS, FEATURE], who="features")
    dim = SAMPLE if SAMPLE in require_array(shown, who="shown").dims else STIMULUS
    names, concepts = (
        require_coord(shown, c, who="shown", dim=dim).values.tolist() for c in (STIMULUS, CONCEPT)
    )
    # Lists are refused where labels are read; tuples are what a stacked axis has, but name no concept.
    several = [v for v in (*names, *concepts) if isinstance(v, tuple)]
    if several:
        raise ValueError(
            f"{len(several)} labels in shown are no single text or number, first {quoted(several[0])}; give each "
            "stimulus one name and one concept"
        )
    said = pd.DataFrame({"name": names, "concept": concepts}).drop_duplicates()
    twice = said["name"][said["name"].duplicated()].tolist()
    if twice:
        own = said["concept"][said["name"] == twice[0]].tolist()
        raise ValueError(f"{len(twice)} stimuli have two concepts, first {twice[0]!r}: {listed(own)}")
    labels = xr.DataArray(np.zeros(len(said)), dims=SAMPLE, coords={STIMULUS: (SAMPLE, said["name"])})
    rows = match(features, labels, who=("features", "shown"))
    require_real(rows, who="features")
    require_finite(rows, who="features")
    number, first = groups(said["concept"].to_numpy())
    counts = np.bincount(number)
    member = (number == np.arange(first.size)[:, None]) / counts[:, None]
    found = np.array(said["concept"].tolist())[first]
    kept = {k: v for k, v in features.coords.items() if v.dims == (FEATURE,)}
    values = (member @ rows.values.astype(np.float64)).astype(np.result_type(rows.dtype, np.float32))
    coords = {**kept, STIMULUS: found, CONCEPT: (STIMULUS, found), "images": (STIMULUS, counts)}
    attrs = {"units": features.attrs.get("units", "a.u."), "centres": CONCEPT}
    centres = xr.DataArray(values, dims=(STIMULUS, FEATURE), coords=coords, attrs=attrs)
    data = {"features": rows, "shown": said.map(str).to_numpy().astype(str)}
    return store.stamp(centres, what="retrieval.concept_centres", parameters={}, data=data)


def classify(
    predictions: xr.DataArray, candidates: xr.DataArray, *, metric: str = "correlation"
) -> xr.DataArray:
    """Name the candidate that each prediction is most like: (sample) of labels.

    Parameters
    ----------
    predictions : (sample, feature)
    candidates : (stimulus, feature)
        Images or concept centres; of candidates that tie, the first by name is taken.
    metric : see :func:`neurodecode.score.similarity`

    Raises
    ------
    ValueError
        Features of another space, order or number, NaN.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> names = [f"img_{i}" for i in range(20)]
    >>> candidates = nd.brain.features(np.random.default_rng(0).normal(size=(20, 6)), stimulus=names)
    >>> predictions = (candidates + 0.01).rename(stimulus="sample").assign_coords(stimulus=("sample", names))
    >>> nd.retrieval.classify(predictions, candidates)[:2].values.tolist()
    ['img_0', 'img_1']
    """
    _require_one_space(predictions, candidates)
    alike = score.similarity(predictions, candidates, metric=metric)
    labels = alike.coords[STIMULUS].values
    order = np.argsort(np.array([str(v) for v in labels.tolist()]), kind="stable")
    found = labels[order][alike.values[:, order].argmax(axis=1)]
    coords = {k: v for k, v in predictions.coords.items() if v.dims == (SAMPLE,)}
    return xr.DataArray(found, dims=SAMPLE, coords=coords, name="guess", attrs={"metric": metric})


def identify(
    predictions: xr.DataArray | Mapping[str, xr.DataArray],
    candidates: xr.DataArray,
    *,
    answer: str = STIMULUS,
    k: int | Sequence[int] = (1, 5),
    n_way: int | None = None,
    metric: str = "correlation",
    interval: str = "wilson",
    over: str | None = None,
    level: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Say how often the right candidate is among the k that a prediction is most like, with its limits.

    Parameters
    ----------
    predictions : (sample, feature), or a mapping of subject to such arrays
        With ``answer`` on sample.
    candidates : (stimulus, feature)
        Features of images, or :func:`concept_centres` with ``answer="concept"``. All of them are rivals.
    answer : str
        Sample coordinate that names the right candidate.
    k : int or several
        How many guesses count.
    n_way : int, optional
        Identify among so many, exactly and without drawing: see :func:`neurodecode.score.top_k`. Default: among all.
    metric : {"correlation", "cosine"}
    interval : {"wilson", "bootstrap"}
        Of one subject. Wilson's takes samples as independent; with ``n_way`` outcomes are probabilities, which vary
        less than the 0 and 1 that it is made for, so that it is too wide rather than too narrow. The bootstrap draws
        whole groups of samples with replacement, those of one value of ``over``, and takes percentiles, so far out that
        the mean of n normal groups would get its t interval.
    over : str, optional
        Sample coordinate of the groups, such as "concept". Default: ``answer``.
    level : float
        Share of repetitions, with other samples and the same candidates, in which the interval would hold the truth.
    n_bootstrap, seed : int

    Returns
    -------
    Dataset
        ``accuracy``, ``low``, ``high`` (subject, k); ``n`` samples and ``groups`` drawn (subject); ``mean``,
        ``mean_low``, ``mean_high`` (k) over subjects, limits by Student's t, cut off at 0 and 1 (NaN for one subject;
        of a handful, percentiles of the bootstrap would be too narrow). Coordinate ``chance`` (k) is k / n_way. Attrs:
        units, n_way, candidates (how many), against (what they are), metric, interval, over, level, provenance; chance
        where one k is asked for.

    Raises
    ------
    ValueError
        A right answer that is no candidate, duplicate samples or candidates, another feature space, k or n_way that
        there are too few candidates for, unknown names.

    Warns
    -----
    UserWarning
        Wilson's interval for samples that share their answer.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> names = [f"img_{i}" for i in range(20)]
    >>> candidates = nd.brain.features(np.random.default_rng(0).normal(size=(20, 6)), stimulus=names)
    >>> predictions = (candidates + 0.01).rename(stimulus="sample").assign_coords(stimulus=("sample", names))
    >>> nd.retrieval.identify(predictions, candidates, k=1)["chance"].values.tolist()
    [0.05]
    """
    require_choice(interval, tuple(INTERVALS), what="interval")
    require_share(level=level)
    require_counts(n_bootstrap=n_bootstrap, seed=seed)
    if n_bootstrap < 1:
        raise ValueError(f"n_bootstrap must be at least 1, got {n_bootstrap}")
    ks = _several(k)
    arrays = brain.by_subject(predictions, who="predictions")
    by = answer if over is None else over

    def top(array: xr.DataArray) -> np.ndarray:
        found = [score.top_k(array, candidates, k=v, answer=answer, n_way=n_way, metric=metric) for v in ks]
        return np.stack([f.values for f in found], axis=1)

    outcomes = []
    for subject, array in arrays.items():
        require_unique(array, SAMPLE, who=f"predictions of subject {subject!r}")
        _require_one_space(array, candidates)
        outcomes.append(
            _Outcome.of(top(array), require_coord(array, by, who="predictions", dim=SAMPLE).values)
        )
    if interval == "wilson":
        _warn_if_shared(outcomes, by)
    within: _Limits = _Wilson(level) if interval == "wilson" else _Bootstrap(level, n_bootstrap, seed)
    n = candidates.sizes[STIMULUS] if n_way is None else n_way
    coords = {"subject": list(arrays), "k": ks, "chance": ("k", np.array(ks) / n)}
    result = xr.Dataset(_summary(outcomes, within, level), coords=coords)
    result.attrs = {
        "score": "identification",
        "units": "proportion",
        **({"chance": ks[0] / n} if len(ks) == 1 else {}),
        "n_way": n,
        "candidates": candidates.sizes[STIMULUS],
        "against": f"{candidates.attrs['centres']} centres" if "centres" in candidates.attrs else "stimuli",
        "answer": answer,
        "metric": metric,
        "interval": INTERVALS[interval].format(over=by),
        "interval_of_mean": OVER_SUBJECTS,
        "level": level,
    }
    parameters = {**result.attrs, "k": ks, "over": by, "n_bootstrap": n_bootstrap}
    data = {"candidates": candidates, **{f"subject {s}": a for s, a in arrays.items()}}
    return store.stamp(result, what="retrieval.identify", parameters=parameters, seed=seed, data=data)


class _Limits(Protocol):
    """Limits (2, k) of accuracies, from what was found in every group (group, k) and the groups' sizes."""

    def __call__(self, found: np.ndarray, sizes: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class _Outcome:
    """What was found (group, k), summed over the samples of a group, and how many these are (group)."""

    found: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, hits: np.ndarray, labels: np.ndarray) -> _Outcome:
        """Sum hits (sample, k) over equal labels."""
        numbers, first = groups(labels)
        found = np.zeros((first.size, hits.shape[1]))
        np.add.at(found, numbers, hits)
        return cls(found, np.bincount(numbers))

    @property
    def accuracy(self) -> np.ndarray:
        """Share of samples (k)."""
        return np.asarray(self.found.sum(axis=0) / self.sizes.sum())


@dataclass(frozen=True)
class _Wilson:
    level: float

    def __call__(self, found: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        n, z = sizes.sum(), stats.norm.ppf(0.5 + self.level / 2)
        p = found.sum(axis=0) / n
        middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        return np.clip([middle - half, middle + half], 0.0, 1.0)


@dataclass(frozen=True)
class _Bootstrap:
    level: float
    draws: int
    seed: int

    def __call__(self, found: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        drawn = np.empty((self.draws, found.shape[1]))
        for i in range(self.draws):
            rows = rng.integers(0, len(sizes), len(sizes))
            drawn[i] = found[rows].sum(axis=0) / sizes[rows].sum()
        tails = expanded(self.level, len(sizes))
        return np.quantile(drawn, tails, axis=0) if len(sizes) > 1 else np.full((2, found.shape[1]), np.nan)


def _summary(outcomes: Sequence[_Outcome], within: _Limits, level: float) -> dict[str, Any]:
    """Variables of :func:`identify`: of every subject, and over subjects."""
    accuracy = np.stack([o.accuracy for o in outcomes])
    limits = np.stack([within(o.found, o.sizes) for o in outcomes])
    over = _over_subjects(accuracy, level)
    both, share = ("subject", "k"), {"score": "identification", "units": "proportion"}
    return {
        "accuracy": (both, accuracy, share),
        "low": (both, limits[:, 0], share),
        "high": (both, limits[:, 1], share),
        "n": ("subject", [int(o.sizes.sum()) for o in outcomes], {"units": "samples"}),
        "groups": ("subject", [len(o.sizes) for o in outcomes], {"units": "groups"}),
        "mean": ("k", accuracy.mean(axis=0), share),
        "mean_low": ("k", over[0], share),
        "mean_high": ("k", over[1], share),
    }


def _over_subjects(accuracy: np.ndarray, level: float) -> np.ndarray:
    """Limits (2, k) of the mean of accuracies (subject, k) by Student's t."""
    n = len(accuracy)
    if n < 2:
        return np.full((2, accuracy.shape[1]), np.nan)
    half = reach_by_t(level, n - 1) * accuracy.std(axis=0, ddof=1) / np.sqrt(n)
    return np.clip(accuracy.mean(axis=0) + np.array([[-1.0], [1.0]]) * half, 0.0, 1.0)


def _several(k: int | Sequence[int]) -> list[int]:
    try:
        values = np.atleast_1d(np.asarray(k))
    except ValueError:  # rows of unequal length
        values = np.array([])
    if (
        values.ndim != 1
        or not values.size
        or values.dtype.kind not in "iu"
        or np.unique(values).size < values.size
    ):
        raise ValueError(f"k must be a whole number or several different ones, got {k!r}")
    return [int(v) for v in values]


def _require_one_space(predictions: xr.DataArray, candidates: xr.DataArray) -> None:
    """Refuse features that are told apart by labels which differ."""
    require_array(predictions, who="predictions")
    require_array(candidates, who="candidates")
    for name in (FEATURE, LAYER, "unit"):
        both = [a.coords[name] for a in (predictions, candidates) if name in a.coords]
        if len(both) < 2 or any(c.dims != (FEATURE,) for c in both) or both[0].size != both[1].size:
            continue
        differ = np.flatnonzero(differing(both[0].values, both[1].values))
        if differ.size:
            here, there = (quoted(c.values[differ[0]]) for c in both)
            raise ValueError(
                f"predictions and candidates differ in the {name!r} of {differ.size} of {both[0].size} features, "
                f"first at position {differ[0]}: {here} against {there}; compare features of one space in one order"
            )


def _warn_if_shared(outcomes: Sequence[_Outcome], by: str) -> None:
    most = max(int(o.sizes.max()) for o in outcomes)
    if most > 1:
        warnings.warn(
            f"up to {most} samples share one {by!r}: they are not independent, as Wilson's interval takes them to be, "
            "and it is too narrow. Average repeats, or give interval='bootstrap'",
            UserWarning,
            stacklevel=3,
        )
