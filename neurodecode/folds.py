"""Floor 1: which samples train and which test, said by labels; and the guard against leaks.

>>> import numpy as np, neurodecode as nd
>>> names = [f"img_{i}" for i in range(6)]
>>> responses = nd.brain.fmri(np.eye(6), sample=names, stimulus=names, run=[1, 1, 2, 2, 3, 3])
>>> [fold.name for fold in nd.folds.splits(responses, folds="run")]
['run=1', 'run=2', 'run=3']
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .checks import names_in, require_counts, require_numbers, require_texts, shown
from .labels import (
    SAMPLE,
    STIMULUS,
    as_mask,
    groups,
    listed,
    quoted,
    require_coord,
    require_dims,
    require_unique,
    texts,
)

ANY = "any"


@dataclass(frozen=True)
class Fold:
    """One split: its name and the positions of its training and test samples."""

    name: str
    train: np.ndarray
    test: np.ndarray


def splits(
    responses: xr.DataArray,
    *,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    shared: str | Iterable[str] = (),
) -> list[Fold]:
    """Return the folds asked for, guarded against leaks.

    Parameters
    ----------
    responses : (sample, ...)
        Only its labels are read.
    train, test : sample ids, boolean mask, or name of a split
        Default: the splits "train" and "test" of the coordinate ``split``.
    folds : int, str or splitter
        K unshuffled folds (repeats of a stimulus stay together), the name of a sample coordinate (leave one value
        out), or a scikit-learn splitter (groups are stimuli). Excludes ``train`` and ``test``.
    shared : str or names
        Coordinates of which training and test may share values, asked for by name; "any" switches the guard off.

    Raises
    ------
    ValueError
        If training and test share a sample or, unless asked for, a stimulus; if a part is empty; if names are unknown.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> betas = nd.brain.fmri(np.zeros((4, 1)), sample=range(4), stimulus=list("abcd"), run=[1, 1, 2, 2])
    >>> [(fold.name, fold.test.tolist()) for fold in nd.folds.splits(betas, folds="run")]
    [('run=1', [0, 1]), ('run=2', [2, 3])]
    """
    require_dims(responses, [SAMPLE], who="responses")
    if folds is None:
        found = [Fold("test", *_train_test(responses, train, test))]
    elif train is not None or test is not None:
        raise ValueError("give either folds=... or train=... and test=..., not both")
    elif isinstance(folds, str):
        found = _leave_one_value_out(responses, folds)
    elif isinstance(folds, int | np.integer) and not isinstance(folds, np.timedelta64):
        found = _k_folds(responses, int(folds))
    elif hasattr(folds, "split") and not isinstance(folds, bytes):
        found = _splitter(responses, folds)
    else:
        raise ValueError(
            f"folds must be a number, a sample coordinate's name or a splitter, not {shown(folds)}"
        )
    for fold in found:
        guard(responses, fold, shared=shared)
    return found


def guard(responses: xr.DataArray, fold: Fold, *, shared: str | Iterable[str] = ()) -> None:
    """Refuse a fold whose training and test part share a sample, or a stimulus that was not asked for by name.

    Parameters
    ----------
    responses : (sample, ...)
    fold : Fold
    shared : str or names
        Sample coordinates whose values may be on both sides.

    Raises
    ------
    ValueError
        Naming the fold, the coordinate, how many values are shared, some of them, and the remedy.
    """
    for part, rows in (("training", fold.train), ("test", fold.test)):
        if not len(rows):
            raise ValueError(f"the {part} part of fold {fold.name!r} is empty; check the names or the mask")
    allowed = set(names_in(shared, what="shared"))
    unknown = allowed - set(_names(responses)) - {ANY}
    if unknown:
        raise ValueError(
            f"shared names no sample coordinate: {listed(sorted(unknown))}; there are {listed(_names(responses))}"
        )
    both = np.intersect1d(fold.train, fold.test)
    if both.size:
        raise ValueError(
            f"{both.size} sample(s) are in training and in test of fold {fold.name!r}, first "
            f"{_label(responses, both[0])}; no sample may be in both"
        )
    if ANY in allowed or STIMULUS in allowed or STIMULUS not in responses.coords:
        return
    labels = require_coord(responses, STIMULUS, who="responses", dim=SAMPLE).values
    tested = pd.unique(labels[fold.test])
    common = _in_both(tested, labels[fold.train])
    if common.size:
        raise ValueError(
            f"training and test of fold {fold.name!r} share {common.size} of {tested.size} test stimuli: "
            f"{listed(common)}. That leaks their identity into the fit: split by stimulus, average repeats first "
            "(neurodecode.brain.average_repeats), or, where few conditions recur by design, ask for it by name with "
            "shared='stimulus'"
        )


def hold_out(
    responses: xr.DataArray,
    amount: int | float,
    *,
    by: str = STIMULUS,
    of: str = "train",
    name: str = "validation",
    seed: int | None = None,
) -> xr.DataArray:
    """Move a part of one split into another: whole stimuli or whole concepts, never single trials of one.

    Parameters
    ----------
    responses : (sample, ...) with ``split``
        Only its labels are read; lazy values stay lazy.
    amount : int or float
        How many values of ``by``, or which share of them (0 to 1).
    by : str
        Sample coordinate whose values stay together: "stimulus", "concept".
    of, name : str
        The split that gives and the one that takes.
    seed : int, optional
        Which values are drawn; None: the last ones in the order in which they first appear.

    Returns
    -------
    The responses with another ``split``.

    Raises
    ------
    ValueError
        If the split, the coordinate or so many values are not there, ``name`` is taken, a stimulus would be held out
        in some of its trials only (by="session"), or, by stimulus, one is in other splits too.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> betas = nd.brain.fmri(np.zeros((4, 1)), sample=range(4), stimulus=list("abcd"), split=["train"] * 3 + ["test"])
    >>> nd.folds.hold_out(betas, 1, seed=0).split.values.tolist().count("validation")
    1
    """
    require_texts(by=by, of=of, name=name)
    require_numbers(amount=amount)
    if seed is not None:
        require_counts(seed=seed)
    rows = select(responses, of, who="of")
    split = responses.coords["split"].values.astype(object)
    if name in split:
        raise ValueError(f"there are samples in the split {name!r} already; choose another name")
    labels = require_coord(responses, by, who="responses", dim=SAMPLE).values
    outside = np.setdiff1d(np.arange(len(labels)), rows)
    both = _in_both(labels[rows], labels[outside])
    if by == STIMULUS and both.size:
        raise ValueError(
            f"{both.size} stimuli of {of!r} are in other splits too: {listed(both)}; mend the split"
        )
    part, first = groups(labels[rows])
    whole = isinstance(amount, int | np.integer) or not np.isfinite(amount)
    count = amount if whole else round(amount * first.size)
    if not 0 < count < first.size:
        raise ValueError(
            f"{amount} of {first.size} values of {by!r} in {of!r} cannot be held out; give a number from 1 to "
            f"{first.size - 1}, or a share between 0 and 1"
        )
    order = np.arange(first.size) if seed is None else np.random.default_rng(seed).permutation(first.size)
    taken = np.isin(part, order[-count:])
    _require_whole_stimuli(responses, rows[taken], rows[~taken], by=by)
    split[rows[taken]] = name
    return responses.assign_coords(split=(SAMPLE, texts(split)))


def _require_whole_stimuli(responses: xr.DataArray, taken: np.ndarray, left: np.ndarray, *, by: str) -> None:
    if STIMULUS not in responses.coords:
        return
    labels = responses.coords[STIMULUS].values
    torn = _in_both(labels[taken], labels[left])
    if torn.size:
        raise ValueError(
            f"holding out by={by!r} would leave trials of {torn.size} stimuli on both sides: {listed(torn)}. That "
            "leaks their identity into the fit: hold out by stimulus, or by what all trials of a stimulus share"
        )


def select(responses: xr.DataArray, which: Any, *, who: str) -> np.ndarray:
    """Positions of the samples meant by ids, a boolean mask, or the name of a split.

    Parameters
    ----------
    responses : (sample, ...)
    which : ids, boolean (sample), or str
        A str is a value of the coordinate ``split``.
    who : str
        What an error calls them.

    Raises
    ------
    ValueError
        If the name is no value of ``split``, the mask has another length or other labels, or an id is not there.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> betas = nd.brain.fmri(np.zeros((3, 1)), sample=range(3), stimulus=list("abc"), split=["train", "test", "train"])
    >>> nd.folds.select(betas, "train", who="train")
    array([0, 2])
    """
    require_dims(responses, [SAMPLE], who="responses")
    if isinstance(which, str):
        labels = require_coord(responses, "split", who="responses", dim=SAMPLE).values
        rows = np.flatnonzero(labels == which)
        if not rows.size:
            raise ValueError(
                f"{who}={which!r} is no value of 'split'; there are {listed(_in_order(pd.unique(labels)))}"
            )
        return rows
    if not isinstance(which, Iterable):
        raise ValueError(f"{who} must be sample ids, a mask or the name of a split, not {which!r}")
    try:
        values = np.asarray(which if hasattr(which, "__array__") else list(which))
    except ValueError as error:
        raise ValueError(f"{who} must be one list of sample ids, not lists of unequal length") from error
    if values.dtype == bool:
        labelled = which if isinstance(which, xr.DataArray | pd.Series) else values
        return np.flatnonzero(as_mask(labelled, responses, SAMPLE, who=f"the mask for {who}"))
    if values.ndim != 1:
        raise ValueError(f"{who} must be one list of sample ids or one mask, got the shape {values.shape}")
    require_unique(responses, SAMPLE, who="responses")
    rows = responses.indexes[SAMPLE].get_indexer(values)
    if (rows < 0).any():
        raise ValueError(
            f"{int((rows < 0).sum())} of {values.size} sample ids in {who} are not in responses: "
            f"{listed(values[rows < 0])}; ids are labels of 'sample', not positions"
        )
    _, first = groups(rows)
    if first.size < rows.size:
        twice = np.delete(values, first)
        raise ValueError(
            f"{twice.size} sample ids occur more than once in {who}: {listed(twice)}; name each once"
        )
    return np.asarray(rows)


def _train_test(responses: xr.DataArray, train: Any, test: Any) -> tuple[np.ndarray, np.ndarray]:
    if train is None and test is None and "split" not in responses.coords:
        raise ValueError(
            "say which samples train and which test: folds=..., or train=... and test=... (ids, a mask, or names), or "
            "give the responses a 'split' coordinate with the values 'train' and 'test'"
        )
    if (train is None) != (test is None) and "split" not in responses.coords:
        given, lacking = ("train", "test") if test is None else ("test", "train")
        raise ValueError(
            f"{given}= was given without {lacking}=, and the responses have no 'split' coordinate that says it: give "
            f"{lacking}=... too (ids or a mask), or folds=... in the place of both"
        )
    return (
        select(responses, "train" if train is None else train, who="train"),
        select(responses, "test" if test is None else test, who="test"),
    )


def _leave_one_value_out(responses: xr.DataArray, name: str) -> list[Fold]:
    if name not in _names(responses):
        raise ValueError(f"folds={name!r} is no sample coordinate; there are {listed(_names(responses))}")
    labels = responses.coords[name].values
    part, first = groups(labels)
    if first.size < 2:
        raise ValueError(f"leaving one {name!r} out needs at least 2 values, found {listed(labels[first])}")
    return _one_part_out(part, [f"{name}={v}" for v in labels[first]])


def _k_folds(responses: xr.DataArray, k: int) -> list[Fold]:
    name = STIMULUS if STIMULUS in responses.coords else SAMPLE
    labels = responses.coords[name].values if name in responses.coords else np.arange(responses.sizes[SAMPLE])
    # Blocks of stimuli in the order in which they appear: unshuffled, and repeats stay together.
    rank, first = groups(labels)
    if k < 2 or k > first.size:
        raise ValueError(f"folds={k} must be from 2 to {first.size}, the number of different {name!r} labels")
    return _one_part_out(rank * k // first.size, [f"fold {i + 1}" for i in range(k)])


def _one_part_out(part: np.ndarray, names: Sequence[str]) -> list[Fold]:
    return [Fold(n, np.flatnonzero(part != i), np.flatnonzero(part == i)) for i, n in enumerate(names)]


def _splitter(responses: xr.DataArray, splitter: Any) -> list[Fold]:
    n = responses.sizes[SAMPLE]
    groups = responses.coords[STIMULUS].values if STIMULUS in responses.coords else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The groups parameter is ignored")  # it does no harm
        pairs: list[tuple[np.ndarray, np.ndarray]] = list(splitter.split(np.zeros((n, 1)), groups, groups))
    found = [Fold(f"fold {i + 1}", np.asarray(a), np.asarray(b)) for i, (a, b) in enumerate(pairs)]
    for fold in found:
        kinds = {part.dtype for part in (fold.train, fold.test) if part.size and part.dtype.kind not in "iu"}
        if kinds:
            raise ValueError(
                f"the splitter must give positions of samples, but gave {listed(map(str, kinds))} in {fold.name!r}; of "
                "a mask give np.flatnonzero(mask)"
            )
    return found


def _in_both(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Different labels on both sides, which may be numbers and text that no order holds."""
    found = pd.unique(left)
    return _in_order(np.asarray(found[pd.Index(found).isin(right)]))


def _in_order(labels: np.ndarray) -> np.ndarray:
    try:
        return np.sort(labels)
    except TypeError:
        return labels


def _names(responses: xr.DataArray) -> list[str]:
    return sorted(str(k) for k, v in responses.coords.items() if v.dims == (SAMPLE,))


def _label(responses: xr.DataArray, position: int) -> str:
    return quoted(responses.coords[SAMPLE].values[position] if SAMPLE in responses.coords else int(position))
