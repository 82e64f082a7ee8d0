"""Floor 2: fit on the training part, score on the test part; what spatial and temporal analyses repeat.

Everything a user can have got wrong is checked for all subjects and folds before the first fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone
from tqdm import tqdm

from . import brain, lazy, store
from .brain.subjects import Features, Responses
from .checks import require_labelled
from .folds import Fold, splits
from .labels import (
    FEATURE,
    LAYER,
    SAMPLE,
    STIMULUS,
    groups,
    listed,
    match,
    quoted,
    require_dims,
    require_sound,
    require_unique,
)
from .score import Score, named

View = Callable[[xr.DataArray], xr.DataArray]


@dataclass(frozen=True)
class Group:
    """Neighbouring feature spaces of one decoder, by name; it fits them at once if there are several."""

    spaces: Mapping[str, xr.DataArray]
    decoder: Any

    def fit(self, responses: xr.DataArray, train: np.ndarray) -> dict[str, Any]:
        """One fitted decoder a space; ``responses`` are those of the samples ``train``."""
        spaces = {name: rows_of(space, train) for name, space in self.spaces.items()}
        if len(spaces) > 1:
            return dict(self.decoder.fit_spaces(responses, spaces))
        return {name: clone(self.decoder).fit(responses, space) for name, space in spaces.items()}


@dataclass(frozen=True)
class Task:
    """One subject's checked data: responses, feature spaces by name, folds, decoders of the spaces, score."""

    subject: str
    responses: xr.DataArray
    spaces: Mapping[str, xr.DataArray]
    folds: Sequence[Fold]
    groups: Sequence[Group]
    score: Score
    plan: Mapping[str, Any]

    def scores(self, view: View, *, by: str = LAYER) -> xr.DataArray:
        """Refit every space on every fold of ``view(responses)`` and score it: (layer | feature, fold)."""
        seen, truths = view(self.responses), self.truths()
        scored = [self._tested(self._fitted(seen, fold), seen, fold, truths) for fold in self.folds]
        return self._by_feature(scored) if by == FEATURE else self._by_layer(scored)

    def cross_scores(self, train_view: View, test_views: Sequence[View]) -> xr.DataArray:
        """Fit on one view and score on others, relabelled by the caller: (other, layer, fold)."""
        seen, truths = train_view(self.responses), self.truths()
        fitted = [self._fitted(seen, fold) for fold in self.folds]

        def tested(view: View) -> xr.DataArray:
            other = view(self.responses)
            pairs = zip(fitted, self.folds, strict=True)
            return self._by_layer([self._tested(decoders, other, fold, truths) for decoders, fold in pairs])

        return joined([tested(view) for view in test_views], dim="other")

    def decoders(self, view: View, fold: Fold) -> dict[str, Any]:
        """One decoder a space, fitted on the fold's training part of ``view(responses)``."""
        return self._fitted(view(self.responses), fold)

    def crossed(self, train: Sequence[Fold], test: Sequence[Fold]) -> xr.DataArray:
        """Fit on the training part of some folds, score on the test part of others: (other, layer, fold).

        ``other`` is the one that was fitted, ``fold`` the one that was tested.
        """
        tested = replace(self, folds=test)
        truths = tested.truths()
        rows = []
        for fold in train:
            decoders = self._fitted(self.responses, fold)
            rows.append([self._tested(decoders, self.responses, part, truths) for part in test])
        return joined([tested._by_layer(row) for row in rows], dim="other")

    def _fitted(self, seen: xr.DataArray, fold: Fold) -> dict[str, Any]:
        """One fitted decoder a space."""
        learned = seen.isel({SAMPLE: fold.train})
        return {name: d for group in self.groups for name, d in group.fit(learned, fold.train).items()}

    def truths(self) -> dict[tuple[str, str], xr.DataArray]:
        """Features of the test samples of every space and fold; views change no sample, so once is enough."""
        return {(s, f.name): self.features_of(s, f.test) for s in self.spaces for f in self.folds}

    def features_of(self, space: str, rows: np.ndarray) -> xr.DataArray:
        """Features (sample, feature) of some samples, by position."""
        labels = self.responses.isel({d: 0 for d in self.responses.dims if d != SAMPLE}, drop=True)
        return match(rows_of(self.spaces[space], rows), labels.isel({SAMPLE: rows}))

    def _tested(
        self,
        fitted: Mapping[str, Any],
        seen: xr.DataArray,
        fold: Fold,
        truths: Mapping[tuple[str, str], xr.DataArray],
    ) -> dict[str, xr.DataArray]:
        """Scores (feature) or (sample) of every space on the fold's test part."""
        # Once for all spaces: read anew, dask arrays would be so for each block of features.
        tested = seen.isel({SAMPLE: fold.test}).compute()
        return {
            name: xr.DataArray(self.score.function(decoder.predict(tested), truths[name, fold.name]))
            for name, decoder in fitted.items()
        }

    def _by_layer(self, scored: list[dict[str, xr.DataArray]]) -> xr.DataArray:
        """Mean score of every space and fold."""
        values = [[finite_mean(fold[space].values) for fold in scored] for space in self.spaces]
        return self._labelled(
            values, np.array(_chances(scored, self.spaces)), {LAYER: list(self.spaces)}, scored
        )

    def _by_feature(self, scored: list[dict[str, xr.DataArray]]) -> xr.DataArray:
        """Score of every feature of every space, and fold; ``layer`` and ``unit`` stand on feature."""
        values = np.concatenate([np.stack([fold[s].values for fold in scored], axis=1) for s in self.spaces])
        sizes = [s.sizes[FEATURE] for s in self.spaces.values()]
        chances = np.repeat(_chances(scored, self.spaces), sizes, axis=0)
        units = np.concatenate([brain.units(space) for space in self.spaces.values()])
        coords = {LAYER: (FEATURE, np.repeat(list(self.spaces), sizes)), "unit": (FEATURE, units)}
        return self._labelled(values, chances, coords, scored)

    def _labelled(
        self, values: Any, chances: np.ndarray, coords: dict[str, Any], scored: list[dict[str, xr.DataArray]]
    ) -> xr.DataArray:
        dims = (FEATURE if "unit" in coords else LAYER, "fold")
        some = next(iter(scored[0].values()))
        return xr.DataArray(
            values,
            dims=dims,
            coords={**coords, "fold": [f.name for f in self.folds], "chance": (dims, chances)},
            attrs={"score": self.score.name, "units": some.attrs.get("units", "a.u.")},
        )


def _grouped(spaces: Mapping[str, xr.DataArray], decoders: Mapping[str, Any]) -> list[Group]:
    """Join neighbouring spaces of one decoder, if it can fit several at once."""
    together: list[list[str]] = []
    for name in spaces:
        decoder = decoders[name]
        if together and decoders[together[-1][-1]] is decoder and fits_several(decoder):
            together[-1].append(name)
        else:
            together.append([name])
    return [Group({n: spaces[n] for n in names}, decoders[names[0]]) for names in together]


def fits_several(decoder: Any) -> bool:
    """Whether a decoder has a ``fit_spaces`` that belongs to its ``fit``: who changes one alone means that one."""
    owners = [
        next((c for c in type(decoder).__mro__ if name in vars(c)), None) for name in ("fit", "fit_spaces")
    ]
    return owners[1] is not None and owners[0] is owners[1]


def rows_of(space: xr.DataArray, rows: np.ndarray) -> xr.DataArray:
    """Features per stimulus are matched by label later; features per sample follow their samples."""
    return space.isel({SAMPLE: rows}) if SAMPLE in space.dims else space


def finite_mean(values: Any) -> float:
    """Mean of the entries that are there: a constant feature has no score, a user's function may have no chance."""
    array = np.asarray(values, dtype=np.float64)
    return float(np.nanmean(array)) if np.isfinite(array).any() else float("nan")


def _chances(scored: list[dict[str, xr.DataArray]], spaces: Iterable[str]) -> list[list[float]]:
    """Chance level of every space and fold; NaN where a user's function states none."""
    return [[float(fold[space].attrs.get("chance", np.nan)) for fold in scored] for space in spaces]


def joined(parts: Sequence[xr.DataArray], *, dim: Any) -> xr.DataArray:
    """Concatenate scores, each with its own chance."""
    return xr.concat(parts, dim=dim, coords=["chance"], join="outer")


def with_chance(result: xr.DataArray) -> xr.DataArray:
    """Say the chance level in attrs too, where it is the same everywhere."""
    chance = np.asarray(result.coords["chance"].values)
    chance = chance[np.isfinite(result.values)]
    same = chance.size > 0 and np.isfinite(chance).all() and np.ptp(chance) < 1e-9
    return result.assign_attrs(chance=float(chance[0])) if same else result


def tasks(
    responses: Responses,
    features: Features,
    decoder: Any,
    *,
    train: Any = None,
    test: Any = None,
    split_by: Any = None,
    score: Any = "profile",
    by: str = LAYER,
    shared: str | Iterable[str] = (),
) -> list[Task]:
    """Check everything for every subject and return one task a subject, in the order given.

    Parameters
    ----------
    responses : (sample, ...) array, a sequence of them, or a mapping of subject to array
    features : array with or without a ``layer`` coordinate, or a mapping of space to array
    decoder : estimator, or a mapping of space to estimator
    split_by : see ``folds`` of :func:`neurodecode.folds.splits`

    Raises
    ------
    ValueError
        For anything in the data or the names that would make a fit fail or leak.
    """
    shared = [shared] if isinstance(shared, str) else sorted(shared)
    plan = {"train": train, "test": test, "folds": split_by, "shared": shared}

    def cut(array: xr.DataArray) -> list[Fold]:
        return splits(array, train=train, test=test, folds=split_by, shared=shared)

    return planned(responses, features, decoder, cut=cut, plan=plan, score=score, by=by)


def planned(
    responses: Responses,
    features: Features,
    decoder: Any,
    *,
    cut: Callable[[xr.DataArray], list[Fold]],
    plan: Mapping[str, Any],
    score: Any,
    by: str = LAYER,
) -> list[Task]:
    """Make tasks as :func:`tasks` does, with the folds that ``cut`` returns for a subject's responses."""
    arrays, spaces = checked(responses, features)
    groups = _grouped(spaces, by_space(decoder, list(spaces)))
    chosen = named(score)
    found = [
        Task(subject, array, spaces, cut(array), groups, chosen, plan) for subject, array in arrays.items()
    ]
    for task in found:
        _rehearse(task, by)
    return found


def _rehearse(task: Task, by: str) -> None:
    """Score perfect predictions of every space and fold: what cannot be scored is refused before the first fit."""
    folds = {f.name: f for f in task.folds}
    undefined = []
    for (space, fold), true in task.truths().items():
        where = f"subject {task.subject!r}, feature space {space!r}, fold {fold!r}"
        try:
            scored = xr.DataArray(task.score.function(true, true))
            if task.score.name in ("accuracy", "auc"):
                _require_trained(task.features_of(space, folds[fold].train), true)
            undefined.append(bool(np.isnan(np.asarray(scored.values, dtype=np.float64)).all()))
            if undefined[-1] and scored.dims != (SAMPLE,):
                _require_two_stimuli(true, task.score.name)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        except TypeError as error:
            raise TypeError(
                f"{where}: the score {task.score.name!r} does not take (predicted, true) arrays: {error}"
            ) from error
        if by == FEATURE and scored.dims != (FEATURE,):
            raise ValueError(
                f"score {task.score.name!r} has no value per feature; use by='layer', or 'profile', 'r2' or 'auc'"
            )
    # A function of the user's may have no value for what is perfect; a block of features may be all constant.
    if all(undefined) and task.score.prepare is not None and by == LAYER:
        over = "features" if task.score.name == "pattern" else "test samples of any fold"
        raise ValueError(
            f"subject {task.subject!r}: {task.score.name!r} is undefined (NaN) in all {len(undefined)} feature spaces "
            f"and folds, for no true feature varies over the {over}; take folds that test samples of different "
            "features together, or other features"
        )


def _require_two_stimuli(true: xr.DataArray, name: str) -> None:
    """Refuse a test part of one stimulus, of which a score over samples knows nothing."""
    if STIMULUS not in true.coords:
        return
    _, first = groups(true.coords[STIMULUS].values)
    if first.size == 1:
        raise ValueError(
            f"{name!r} needs at least 2 different stimuli in the test part, got 1: "
            f"{quoted(true.coords[STIMULUS].values[0])}, in {true.sizes[SAMPLE]} samples over which no feature varies; "
            "test more of them at once, as folds=5 does, or score='pattern', which is over features"
        )


def _require_trained(trained: xr.DataArray, true: xr.DataArray) -> None:
    """Refuse a test part with classes (features at their largest value) that no training sample has."""
    largest = true.values.max(axis=0)
    absent = np.flatnonzero((true.values == largest).any(axis=0) & (trained.values.max(axis=0) < largest))
    if absent.size:
        names = true.coords["unit"].values[absent] if "unit" in true.coords else absent
        raise ValueError(
            f"{absent.size} of {true.sizes[FEATURE]} classes are tested but never trained: {listed(names)}. Where the "
            "stimulus is the class, leave out something else and say so: folds='run', shared='stimulus'"
        )


def require_enough(task: Task, sizes: Mapping[str, int], *, what: str) -> None:
    """Refuse a selection of more predictors than a region or window has, before anything is fitted."""
    for group in task.groups:
        k = getattr(group.decoder, "n_voxels", None)
        small = [f"{name} ({size})" for name, size in sizes.items() if k is not None and size < k]
        if small:
            raise ValueError(
                f"the decoder of {listed(group.spaces)} selects n_voxels={k} but {len(small)} of {len(sizes)} {what} "
                f"of subject {task.subject!r} have fewer: {listed(small)}; lower n_voxels or take larger {what}"
            )


def checked(
    responses: Responses, features: Features
) -> tuple[dict[str, xr.DataArray], dict[str, xr.DataArray]]:
    """Responses by subject and features by space, once every value and every label in them is known to be sound."""
    spaces = brain.spaces(features)
    for name, space in spaces.items():
        require_dims(space, [FEATURE], who=f"features {name!r}")
        require_sound(space, who=f"features {name!r}")
    arrays = brain.by_subject(responses)
    for subject, array in arrays.items():
        who = f"responses of subject {subject!r}"
        require_dims(array, [SAMPLE], who=who)
        if FEATURE in array.coords:
            raise ValueError(
                f"{who} have a coordinate 'feature', the name of the features' own axis; rename it"
            )
        require_unique(array, SAMPLE, who=who)
        require_sound(array, who=who)
        for name, space in spaces.items():
            match(space, array, who=(f"features {name!r}", who))
    return arrays, spaces


def describe(todo: Sequence[Task]) -> dict[str, Any]:
    """Say in plain data what will be done: score, decoders, and the folds of every subject with their sizes."""
    return {
        "score": todo[0].score.name,
        "decoders": {name: store.describe(g.decoder) for g in todo[0].groups for name in g.spaces},
        "features": {name: space.sizes[FEATURE] for name, space in todo[0].spaces.items()},
        "plan": store.describe(dict(todo[0].plan)),
        "scoring": store.fingerprint(todo[0].score.function),
        "folds": {t.subject: {f.name: [len(f.train), len(f.test)] for f in t.folds} for t in todo},
    }


def identity(todo: Sequence[Task]) -> dict[str, Any]:
    """What :func:`describe` leaves out but a resumed run must share: which samples train and test."""
    return {
        "folds": {t.subject: store.data_hash(*(x for f in t.folds for x in (f.train, f.test))) for t in todo}
    }


def pieced(
    function: Callable[[Task, list[Any]], Iterator[xr.DataArray]],
    task: Task,
    jobs: Mapping[str, Any],
    *,
    pieces: store.Pieces | None,
    bar: tqdm,
) -> list[xr.DataArray]:
    """Do jobs of one subject, by name, and keep each as soon as it is done; kept ones are loaded.

    ``function(task, jobs)`` yields their results in order. Where the data are dask arrays and a client of
    dask.distributed is active, its workers take runs of neighbouring jobs and read what they need by themselves.
    """
    missing = [name for name in jobs if pieces is None or pieces.lacks(name)]
    bar.update(len(jobs) - len(missing))
    client = lazy.cluster(task.responses, *task.spaces.values())
    runs = _runs(missing, lazy.workers(client)) if client else [missing]
    handed = lazy.whole(task, task.responses, *task.spaces.values(), client=client)
    calls = [(function, handed, [jobs[name] for name in run]) for run in runs]
    done: dict[str, xr.DataArray] = {}
    for i, results in lazy.as_done(_all if client else _one_by_one, calls, client=client):
        for name, result in zip(runs[i], results, strict=True):
            done[name] = result
            if pieces is not None:
                pieces.save(name, result)
            bar.update()
    return [done[name] if name in done else xr.DataArray(_loaded(pieces, name)) for name in jobs]


def _runs(names: list[str], workers: int) -> list[list[str]]:
    """Cut a list into runs, a few for every worker, so that none waits long for another."""
    size = max(1, len(names) // (3 * workers))
    return [names[first : first + size] for first in range(0, len(names), size)]


def _one_by_one(function: Any, task: Task, jobs: list[Any]) -> Iterator[xr.DataArray]:
    return iter(function(task, jobs))


def _all(function: Any, task: Task, jobs: list[Any]) -> list[xr.DataArray]:
    return list(function(task, jobs))


def _loaded(pieces: store.Pieces | None, name: str) -> Any:
    if pieces is None:
        raise RuntimeError(
            f"job {name!r} was not done and there is no store, which must not be; please report it"
        )
    return pieces.load(name)


def by_space(decoder: Any, spaces: list[str]) -> dict[str, Any]:
    """Give every feature space its decoder; one estimator serves all."""
    for one in decoder.values() if isinstance(decoder, Mapping) else [decoder]:
        require_labelled(one)
    if not isinstance(decoder, Mapping):
        return dict.fromkeys(spaces, decoder)
    missing = [s for s in spaces if s not in decoder]
    if missing:
        raise ValueError(
            f"no decoder for the feature space(s) {listed(missing)}; there are {listed(decoder)}"
        )
    return {s: decoder[s] for s in spaces}
