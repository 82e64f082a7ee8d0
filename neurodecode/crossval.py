"""Floor 2: fit on the training part, score on the test part; what spatial and temporal analyses repeat.

Everything a user can have got wrong is checked for all subjects and folds before the first fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from . import brain, store
from .folds import Fold, splits
from .labels import (
    FEATURE,
    LAYER,
    SAMPLE,
    STIMULUS,
    listed,
    match,
    require_dims,
    require_finite,
    require_unique,
)
from .score import Score, named

Responses = xr.DataArray | Mapping[str, xr.DataArray] | Sequence[xr.DataArray]
Features = xr.DataArray | Mapping[str, xr.DataArray]
View = Callable[[xr.DataArray], xr.DataArray]


# Small spaces are fitted together, so that they share one Gram matrix; joining large ones would copy too much.
JOINT_FEATURES = 4096


@dataclass(frozen=True)
class Group:
    """Feature spaces that one decoder fits at once, and their features side by side."""

    names: tuple[str, ...]
    features: xr.DataArray
    decoder: Any


@dataclass(frozen=True)
class Task:
    """One subject's checked data: responses, feature spaces by name, folds, decoders of the spaces, score."""

    subject: str
    responses: xr.DataArray
    spaces: Mapping[str, xr.DataArray]
    folds: Sequence[Fold]
    groups: Sequence[Group]
    score: Score

    def scores(self, view: View, *, by: str = LAYER) -> xr.DataArray:
        """Refit every space on every fold of ``view(responses)`` and score it: (layer | feature, fold)."""
        seen, truths = view(self.responses), self._truths()
        scored = [self._tested(self._fitted(seen, fold), seen, fold, truths) for fold in self.folds]
        return self._by_feature(scored) if by == FEATURE else self._by_layer(scored)

    def cross_scores(self, train_view: View, test_views: Sequence[View]) -> xr.DataArray:
        """Fit on one view and score on others, relabelled by the caller: (other, layer, fold)."""
        seen, truths = train_view(self.responses), self._truths()
        fitted = [self._fitted(seen, fold) for fold in self.folds]

        def tested(view: View) -> xr.DataArray:
            other = view(self.responses)
            pairs = zip(fitted, self.folds, strict=True)
            return self._by_layer([self._tested(decoders, other, fold, truths) for decoders, fold in pairs])

        return xr.concat([tested(view) for view in test_views], dim="other")

    def _fitted(self, seen: xr.DataArray, fold: Fold) -> list[Any]:
        """One fitted decoder a group."""
        learned = seen.isel({SAMPLE: fold.train})
        return [clone(g.decoder).fit(learned, _rows(g.features, fold.train)) for g in self.groups]

    def _truths(self) -> dict[tuple[str, str], xr.DataArray]:
        """Features of the test samples of every space and fold; views change no sample, so once is enough."""
        labels = self.responses.isel({d: 0 for d in self.responses.dims if d != SAMPLE}, drop=True)
        return {
            (name, fold.name): match(_rows(space, fold.test), labels.isel({SAMPLE: fold.test}))
            for name, space in self.spaces.items()
            for fold in self.folds
        }

    def _tested(
        self,
        fitted: list[Any],
        seen: xr.DataArray,
        fold: Fold,
        truths: Mapping[tuple[str, str], xr.DataArray],
    ) -> dict[str, xr.DataArray]:
        """Scores (feature) or (sample) of every space on the fold's test part."""
        tested = seen.isel({SAMPLE: fold.test})
        scores = {}
        for group, decoder in zip(self.groups, fitted, strict=True):
            predicted = decoder.predict(tested)
            first = 0
            for name in group.names:
                true = truths[name, fold.name]
                part = predicted.isel({FEATURE: slice(first, first + true.sizes[FEATURE])})
                scores[name] = xr.DataArray(self.score.function(part, true))
                first += true.sizes[FEATURE]
        return scores

    def _by_layer(self, scored: list[dict[str, xr.DataArray]]) -> xr.DataArray:
        """Mean score of every space and fold."""
        values = [[_finite_mean(fold[space].values) for fold in scored] for space in self.spaces]
        return self._labelled(values, LAYER, {LAYER: list(self.spaces)}, scored)

    def _by_feature(self, scored: list[dict[str, xr.DataArray]]) -> xr.DataArray:
        """Score of every feature of every space, and fold; ``layer`` and ``unit`` stand on feature."""
        if any(s.dims != (FEATURE,) for fold in scored for s in fold.values()):
            raise ValueError(
                f"score {self.score.name!r} has no value per feature; use by='layer', or 'profile', 'r2' or 'auc'"
            )
        values = np.concatenate([np.stack([fold[s].values for fold in scored], axis=1) for s in self.spaces])
        layers = np.repeat(list(self.spaces), [s.sizes[FEATURE] for s in self.spaces.values()])
        units = np.concatenate([brain.units(space) for space in self.spaces.values()])
        return self._labelled(values, FEATURE, {LAYER: (FEATURE, layers), "unit": (FEATURE, units)}, scored)

    def _labelled(
        self, values: Any, dim: str, coords: dict[str, Any], scored: list[dict[str, xr.DataArray]]
    ) -> xr.DataArray:
        each = [s for fold in scored for s in fold.values()]
        return xr.DataArray(
            values,
            dims=(dim, "fold"),
            coords={**coords, "fold": [f.name for f in self.folds]},
            attrs={
                "score": self.score.name,
                "chance": _finite_mean([s.attrs.get("chance", np.nan) for s in each]),
                "units": each[0].attrs.get("units", "a.u."),
            },
        )


def _grouped(spaces: Mapping[str, xr.DataArray], decoders: Mapping[str, Any]) -> list[Group]:
    """Join neighbouring spaces whose decoder is the same and fits every feature on its own, as ridge does."""
    together: list[list[str]] = []
    for name in spaces:
        if together and _fit_together(
            [spaces[n] for n in (*together[-1], name)], [decoders[n] for n in (*together[-1], name)]
        ):
            together[-1].append(name)
        else:
            together.append([name])
    return [
        Group(
            tuple(names),
            brain.stack({n: spaces[n] for n in names}) if len(names) > 1 else spaces[names[0]],
            decoders[names[0]],
        )
        for names in together
    ]


def _fit_together(spaces: Sequence[xr.DataArray], decoders: Sequence[Any]) -> bool:
    first = spaces[0]
    return (
        all(d is decoders[0] for d in decoders)
        and getattr(decoders[0], "targets_are_independent", False)
        and sum(s.sizes[FEATURE] for s in spaces) <= JOINT_FEATURES
        and all(STIMULUS in s.dims and s.dtype == first.dtype for s in spaces)
        and all(s.indexes[STIMULUS].equals(first.indexes[STIMULUS]) for s in spaces)
    )


def _rows(space: xr.DataArray, rows: np.ndarray) -> xr.DataArray:
    """Features per stimulus are matched by label later; features per sample follow their samples."""
    return space.isel({SAMPLE: rows}) if SAMPLE in space.dims else space


def _finite_mean(values: Any) -> float:
    """Mean of the entries that are there: a constant feature has no score, a user's function may have no chance."""
    array = np.asarray(values, dtype=np.float64)
    return float(np.nanmean(array)) if np.isfinite(array).any() else float("nan")


def tasks(
    responses: Responses,
    features: Features,
    decoder: Any,
    *,
    train: Any = None,
    test: Any = None,
    split_by: Any = None,
    score: Any = "profile",
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
    arrays, spaces = checked(responses, features)
    groups = _grouped(spaces, by_space(decoder, list(spaces)))
    chosen = named(score)
    return [
        Task(
            subject,
            array,
            spaces,
            splits(array, train=train, test=test, folds=split_by, shared=shared),
            groups,
            chosen,
        )
        for subject, array in arrays.items()
    ]


def checked(
    responses: Responses, features: Features
) -> tuple[dict[str, xr.DataArray], dict[str, xr.DataArray]]:
    """Responses by subject and features by space, once every value and every label in them is known to be sound."""
    spaces = brain.spaces(features)
    for name, space in spaces.items():
        require_dims(space, [FEATURE], who=f"features {name!r}")
        require_finite(space, who=f"features {name!r}")
    arrays = by_subject(responses)
    for subject, array in arrays.items():
        who = f"responses of subject {subject!r}"
        require_dims(array, [SAMPLE], who=who)
        require_unique(array, SAMPLE, who=who)
        require_finite(array, who=who)
        for name, space in spaces.items():
            match(space, array, who=(f"features {name!r}", who))
    return arrays, spaces


def describe(todo: Sequence[Task]) -> dict[str, Any]:
    """Say in plain data what will be done: score, decoders, and the folds of every subject with their sizes."""
    return {
        "score": todo[0].score.name,
        "decoders": {name: store.describe(g.decoder) for g in todo[0].groups for name in g.names},
        "features": {name: space.sizes[FEATURE] for name, space in todo[0].spaces.items()},
        "folds": {t.subject: {f.name: [len(f.train), len(f.test)] for f in t.folds} for t in todo},
    }


def identity(todo: Sequence[Task]) -> dict[str, Any]:
    """What :func:`describe` leaves out but a resumed run must share: which samples, and how they are scored."""
    return {
        "folds": {t.subject: store.data_hash(*(x for f in t.folds for x in (f.train, f.test))) for t in todo},
        "scoring": _fingerprint(todo[0].score.function),
    }


def _fingerprint(function: Any) -> str:
    """Hash what a function does: its name, its code and what it has taken in, such as a set of candidates."""
    parts = [store.describe(function)]
    parts += [store.describe(cell.cell_contents) for cell in getattr(function, "__closure__", None) or ()]
    code = getattr(function, "__code__", None)
    if code is not None:
        plain = [c for c in code.co_consts if isinstance(c, str | int | float)]
        parts += [code.co_code.hex(), plain, code.co_names]
    return store.data_hash(np.array([repr(part) for part in parts]))


def kept(pieces: store.Pieces | None, name: str, work: Callable[[], xr.DataArray]) -> xr.DataArray:
    """Load a finished piece of long work, or do it and keep it."""
    if pieces is None:
        return work()
    if name not in pieces:
        pieces.save(name, work())
    return xr.DataArray(pieces.load(name))


def by_subject(responses: Responses) -> dict[str, xr.DataArray]:
    """Name every array by its subject: the mapping's key, else attrs["subject"], else its number from 1."""
    if isinstance(responses, Mapping):
        return {str(k): v for k, v in responses.items()}
    arrays = [responses] if isinstance(responses, xr.DataArray) else list(responses)
    names = [str(a.attrs.get("subject", i + 1)) for i, a in enumerate(arrays)]
    if len(set(names)) < len(names):
        raise ValueError(f"subjects are not unique: {listed(names)}; give a mapping of subject to responses")
    return dict(zip(names, arrays, strict=True))


def by_space(decoder: Any, spaces: list[str]) -> dict[str, Any]:
    """Give every feature space its decoder; one estimator serves all."""
    if not isinstance(decoder, Mapping):
        return dict.fromkeys(spaces, decoder)
    missing = [s for s in spaces if s not in decoder]
    if missing:
        raise ValueError(
            f"no decoder for the feature space(s) {listed(missing)}; there are {listed(decoder)}"
        )
    return {s: decoder[s] for s in spaces}
