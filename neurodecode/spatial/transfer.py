"""Is it the same code? Train on one session, condition or person and test on another (King & Dehaene 2014 over time).

Cells of the matrix are made comparable: every one is fitted on equally many samples, no stimulus is on both sides, and
the diagonal is cross-validated with the very fits and tests of the cells beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from .. import store
from ..crossval import (
    Features,
    Responses,
    Task,
    describe,
    identity,
    joined,
    pieced,
    planned,
    require_enough,
    with_chance,
)
from ..folds import Fold, guard
from ..labels import (
    LAYER,
    SAMPLE,
    STIMULUS,
    groups,
    listed,
    quoted,
    require_coord,
    require_copy,
    require_dims,
    require_same,
)
from ..solve.sides import statistics

CELL = "cell"


def transfer(
    responses: Responses,
    features: Features,
    decoder: Any,
    *,
    by: str,
    folds: int | str = 5,
    score: Any = "profile",
    shared: str | Iterable[str] = (),
    rescale: bool = True,
    seed: int = 0,
    resume: str | Path | None = None,
) -> xr.DataArray:
    """Fit a decoder on the samples of every value of a coordinate, and test it on those of every value.

    Parameters
    ----------
    responses : (sample, ...) array, several of them, or a mapping of subject to array
    features : (stimulus, feature) array, with or without ``layer``, or a mapping of space to array
    decoder : estimator, or a mapping of feature space to estimator
        Cloned for every fit.
    by : str
        Sample coordinate whose values are the cells: "session", "run", "condition" ...
    folds : int or str
        K parts of the stimuli: in each, every cell is trained on its samples of the other parts, and tested on those of
        this part. Or a sample coordinate's name: its values are the parts, and must occur in every cell.
    score : see :func:`neurodecode.score.named`
    shared : see :func:`neurodecode.folds.splits`
        With a coordinate's name as ``folds``, stimuli may recur in other parts; that must be asked for by name.
    rescale : bool
        Z-score every cell with the mean and SD of its own training samples of the fold, so that gain and offset of a
        session or a person do not count as another code; no test sample enters them. Otherwise as they are.
    seed : int
        Of the choice of samples where a cell has more than the others.
    resume : folder, optional
        Finished (subject, fold) pieces are kept there, and a run that was stopped goes on from them.

    Returns
    -------
    (train, test, layer, subject, fold)
        Mean score over features or samples; coordinates ``chance`` and ``n_train`` (subject, fold); attrs score, units,
        by, provenance, and chance where it is the same everywhere. A row is one set of decoders, a column one set of
        test samples. Differences of two cells within a column are differences of training alone.

    Raises
    ------
    ValueError
        For bad data or names, fewer than two cells, a cell without samples of a fold, stimuli on both sides, before the
        first fit.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> responses = responses.assign_coords(session=("sample", [1, 2] * 20))
    >>> scores = nd.spatial.transfer(responses, features, nd.RidgeDecoder(1.0), by="session", folds=2)
    >>> scores.dims, scores.shape[:2]
    (('train', 'test', 'layer', 'subject', 'fold'), (2, 2))
    """
    shared = [shared] if isinstance(shared, str) else sorted(shared)
    plan = {"folds": folds, "shared": shared, "by": by, "rescale": rescale}
    cut = partial(_cut, by=by, folds=folds, shared=shared, seed=seed)
    todo = planned(responses, features, decoder, cut=cut, plan=plan, score=score)
    return _scored(todo, what="spatial.transfer", by=by, seed=seed, resume=resume)


def transfer_across(
    cells: Mapping[str, xr.DataArray],
    features: Features,
    decoder: Any,
    *,
    folds: int | str = 5,
    score: Any = "profile",
    shared: str | Iterable[str] = (),
    rescale: bool = True,
    seed: int = 0,
    resume: str | Path | None = None,
) -> xr.DataArray:
    """Fit a decoder on every one of several recordings, and test it on every one: people, regions, modalities.

    A decoder's weights belong to its predictors, so that all recordings must have the same: channels of one cap,
    vertices of one surface, regions' means (:func:`neurodecode.ceilings.by_region` makes them of responses), time
    points. Numbers of voxels in different people's images are not that, and are refused. Nothing is aligned here.

    Parameters
    ----------
    cells : mapping of name to responses (sample, ...)
        All of the same dims and labels, but for samples.
    features, decoder, folds, score, shared, rescale, seed, resume : see :func:`transfer`

    Returns
    -------
    (train, test, layer, fold), otherwise as :func:`transfer`.

    Raises
    ------
    ValueError
        As :func:`transfer`, and for recordings whose predictors differ, or are voxels of no common anatomy.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> people = {"s1": responses, "s2": responses + 0.1 * rng.normal(size=responses.shape)}
    >>> nd.spatial.transfer_across(people, features, nd.RidgeDecoder(1.0), folds=2).shape[:2]
    (2, 2)
    """
    together = _together(cells)
    shared = [shared] if isinstance(shared, str) else sorted(shared)
    plan = {"folds": folds, "shared": shared, "by": CELL, "rescale": rescale}
    cut = partial(_cut, by=CELL, folds=folds, shared=shared, seed=seed)
    todo = planned({"all": together}, features, decoder, cut=cut, plan=plan, score=score)
    found = _scored(todo, what="spatial.transfer_across", by=CELL, seed=seed, resume=resume)
    return found.isel(subject=0, drop=True)


# ------------------------------------------------------------------------------------------------------ folds
def _cut(array: xr.DataArray, *, by: str, folds: int | str, shared: Sequence[str], seed: int) -> list[Fold]:
    """Folds of every cell, fold by fold and in them cell by cell; guarded for every pair of cells."""
    numbers, first = groups(require_coord(array, by, who="responses", dim=SAMPLE).values)
    names = require_coord(array, by, who="responses").values[first]
    if first.size < 2:
        raise ValueError(f"transfer needs at least 2 values of {by!r}, found {listed(names)}")
    if isinstance(folds, str):
        part, labels = _valued(array, folds, numbers, names, by)
    else:
        part, labels = _stimuli_parts(array, numbers, folds)
    found = []
    for i, label in enumerate(labels):
        train = [np.flatnonzero((numbers == c) & (part != i)) for c in range(first.size)]
        test = [np.flatnonzero((numbers == c) & (part == i)) for c in range(first.size)]
        least = min(map(len, train))
        for c, name in enumerate(names):
            if not len(test[c]) or len(train[c]) < 2:
                raise ValueError(
                    f"{by}={quoted(name)} has {len(train[c])} training and {len(test[c])} test samples in {label!r} of "
                    f"folds={folds!r}, and needs 2 and 1; give other folds, or leave it out of the responses"
                )
            random = np.random.default_rng([seed, i, c])
            rows = np.sort(random.choice(train[c], least, replace=False))
            found.append(Fold(f"{by}={name}, {label}", rows, test[c]))
    size = first.size
    for start in range(0, len(found), size):
        here = found[start : start + size]
        for a in here:
            for b in here:
                guard(array, Fold(f"{a.name}, tested on {b.name}", a.train, b.test), shared=shared)
    return found


def _valued(
    array: xr.DataArray, folds: str, numbers: np.ndarray, names: np.ndarray, by: str
) -> tuple[np.ndarray, list[str]]:
    """Parts by the values of a coordinate, which every cell must have."""
    if folds == by:
        raise ValueError(f"folds={folds!r} is what the cells differ in; name another coordinate, or a number")
    part, first = groups(require_coord(array, folds, who="responses", dim=SAMPLE).values)
    values = array.coords[folds].values[first]
    if first.size < 2:
        raise ValueError(f"leaving one {folds!r} out needs at least 2 values, found {listed(values)}")
    for c, name in enumerate(names):
        absent = np.setdiff1d(np.arange(first.size), part[numbers == c])
        if absent.size:
            raise ValueError(
                f"{by}={quoted(name)} lacks {absent.size} of {first.size} values of {folds!r}: "
                f"{listed(values[absent])}; leave out what all cells have, or give folds as a number"
            )
    return part, [f"{folds}={v}" for v in values]


def _stimuli_parts(array: xr.DataArray, numbers: np.ndarray, k: int) -> tuple[np.ndarray, list[str]]:
    """K parts of the stimuli, each with its share of those of every cell; repeats stay together."""
    of = STIMULUS if STIMULUS in array.coords else SAMPLE
    stimulus, first = groups(array.coords[of].values)
    if not isinstance(k, int | np.integer) or not 2 <= k <= first.size:
        raise ValueError(f"folds={k!r} must be from 2 to {first.size}, the number of different {of!r} labels")
    shown = np.zeros((first.size, numbers.max() + 1), dtype=bool)
    shown[stimulus, numbers] = True
    part, taken = np.empty(first.size, dtype=int), 0
    for cells in np.unique(shown, axis=0):
        # Neighbours in time stay in one part, where there are enough stimuli that the same cells have seen.
        inside = np.flatnonzero((shown == cells).all(axis=1))
        rank = np.arange(inside.size)
        part[inside] = rank * k // inside.size if inside.size >= k else (rank + taken) % k
        taken += 0 if inside.size >= k else inside.size
    return part[stimulus], [f"fold {i + 1}" for i in range(k)]


# ------------------------------------------------------------------------------------------------------ scores
def _scored(todo: list[Task], *, what: str, by: str, seed: int, resume: str | Path | None) -> xr.DataArray:
    for task in todo:
        size = task.responses.size // task.responses.sizes[SAMPLE]
        require_enough(task, {"all": size}, what="responses")
        require_copy(task.responses, who="responses", times=2)
    parameters = {**describe(todo), "by": by, "rescale": todo[0].plan["rescale"]}
    hashes = {t.subject: store.data_hash(t.responses, *t.spaces.values()) for t in todo}
    key = {"what": what, "parameters": parameters, "data": hashes, "seed": seed, **identity(todo)}
    pieces = None if resume is None else store.Pieces(resume, key=key)
    subjects, sizes = [], []
    jobs = [_by_fold(task, by) for task in todo]
    with tqdm(total=sum(map(len, jobs)), desc="transfer", disable=None, leave=False) as bar:
        for task, folds in zip(todo, jobs, strict=True):
            named = {repr((task.subject, name)): (by, parts) for name, parts in folds.items()}
            parts = pieced(_each, task, named, pieces=pieces, bar=bar)
            subjects.append(joined(parts, dim=xr.Variable("fold", list(folds))))
            sizes.append([len(cells[0].train) for cells in folds.values()])
    names = [t.subject for t in todo]
    every = joined(subjects, dim=xr.Variable("subject", names))
    result = with_chance(every.transpose("train", "test", LAYER, "subject", "fold"))
    if len({tuple(f) for f in jobs}) == 1:
        result = result.assign_coords(n_train=(("subject", "fold"), np.array(sizes)))
    result = result.rename("score").assign_attrs(by=by)
    return store.stamp(result, what=what, parameters=parameters, data=hashes, seed=seed)


def _by_fold(task: Task, by: str) -> dict[str, list[Fold]]:
    """Folds of all cells, by the fold's own name."""
    cells = np.unique(task.responses.coords[by].values).size
    rows = [list(task.folds[i : i + cells]) for i in range(0, len(task.folds), cells)]
    labels = task.responses.coords[by].values
    # A fold's name begins with its cell's; what follows may hold any mark.
    named = {row[0].name.removeprefix(f"{by}={labels[row[0].test[0]]}, "): row for row in rows}
    if len(named) < len(rows):
        raise ValueError(
            f"{len(rows)} folds have {len(named)} different names: {listed(named)}; name them apart"
        )
    return named


def _each(task: Task, jobs: list[tuple[str, list[Fold]]]) -> Iterator[xr.DataArray]:
    """Scores of every fold: (train, test, layer)."""
    for by, cells in jobs:
        names = [task.responses.coords[by].values[fold.test[0]] for fold in cells]
        here = replace(task, responses=_rescaled(task, cells)) if task.plan["rescale"] else task
        found = here.crossed(cells, cells).rename(other="train", fold="test")
        yield found.assign_coords(train=names, test=names)


def _rescaled(task: Task, cells: Sequence[Fold]) -> xr.DataArray:
    """Responses of every cell in units of its own training samples."""
    ordered = task.responses.transpose(SAMPLE, ...)
    flat = ordered.values.reshape(ordered.sizes[SAMPLE], -1)
    kind = flat.dtype if flat.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    scaled = np.zeros(flat.shape, kind)
    for fold in cells:
        mean, sd, varies = statistics(flat[fold.train])
        for rows in (fold.train, fold.test):
            scaled[rows] = np.where(varies, (flat[rows] - mean) / sd, 0.0)
    return ordered.copy(data=scaled.reshape(ordered.shape))


# ------------------------------------------------------------------------------------------------------ recordings
def _together(cells: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Join recordings of the same predictors along samples, with a coordinate ``cell``."""
    if not isinstance(cells, Mapping) or len(cells) < 2:
        raise ValueError(
            "give a mapping of at least two names to responses; within one, use transfer(by=...)"
        )
    arrays = dict(zip(map(str, cells), cells.values(), strict=True))
    (name, one), *others = arrays.items()
    require_dims(one, [SAMPLE], who=f"responses of {name!r}")
    if CELL in one.coords:
        raise ValueError(f"responses have a coordinate {CELL!r}, which is made here; rename it")
    dims = [d for d in one.dims if d != SAMPLE]
    for other, array in others:
        who = (f"responses of {name!r}", f"responses of {other!r}")
        if set(array.dims) != set(one.dims):
            raise ValueError(
                f"{who[0]} have the dimensions {tuple(map(str, one.dims))}, {who[1]} {tuple(map(str, array.dims))}; "
                "a decoder of one has no weights for the other"
            )
        for dim in dims:
            require_same(one, array, str(dim), who=who)
    if "voxel" in dims:
        _require_common_anatomy(arrays)
    for array in arrays.values():
        require_copy(array, who="responses", times=len(arrays))
    kept = [
        str(k)
        for k, v in one.coords.items()
        if k != SAMPLE and v.dims == (SAMPLE,) and all(k in a.coords for a in arrays.values())
    ]
    ordered = [a.transpose(SAMPLE, *dims) for a in arrays.values()]
    sample = [f"{n}/{i}" for n, a in arrays.items() for i in a.coords[SAMPLE].values]
    coords: dict[str, Any] = {str(k): v for k, v in one.coords.items() if SAMPLE not in v.dims}
    coords |= {k: (SAMPLE, np.concatenate([a.coords[k].values for a in ordered])) for k in kept}
    coords[CELL] = (SAMPLE, np.repeat(list(arrays), [a.sizes[SAMPLE] for a in ordered]))
    values = np.concatenate([a.values for a in ordered])
    return xr.DataArray(values, dims=(SAMPLE, *dims), coords=coords | {SAMPLE: sample})


def _require_common_anatomy(arrays: Mapping[str, xr.DataArray]) -> None:
    """Refuse voxels that bear equal labels but lie in other places."""
    (name, one), *others = arrays.items()
    for other, array in others:
        who = (f"responses of {name!r}", f"responses of {other!r}")
        if one.attrs.get("space") != array.attrs.get("space"):
            raise ValueError(
                f"{who[0]} lie in the space {one.attrs.get('space')!r}, {who[1]} in {array.attrs.get('space')!r}; "
                "bring them to one"
            )
        subjects = [a.attrs.get("subject") for a in (one, array)]
        if subjects[0] is not None and subjects[0] == subjects[1]:
            continue
        surface = all(k in a.coords for a in (one, array) for k in ("vertex", "hemi"))
        grid = all("affine" in a.attrs and "space" in a.attrs for a in (one, array))
        alike = surface and all(
            np.array_equal(one.coords[k].values, array.coords[k].values) for k in ("vertex", "hemi")
        )
        alike |= grid and np.array_equal(one.attrs["affine"], array.attrs["affine"])
        if not alike:
            raise ValueError(
                f"the voxels of {name!r} and {other!r} bear the same labels, but nothing says that they are the same "
                "places: give hemi and vertex of a common surface (fsaverage5), or a common space with its grid, or "
                "average over regions first: neurodecode.ceilings.by_region(responses, regions=...).transpose("
                "'sample', 'region')"
            )
