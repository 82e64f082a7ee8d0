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
from .labels import FEATURE, LAYER, SAMPLE, listed, match, require_dims, require_finite, require_unique
from .score import Score, named

Responses = xr.DataArray | Mapping[str, xr.DataArray] | Sequence[xr.DataArray]
Features = xr.DataArray | Mapping[str, xr.DataArray]
View = Callable[[xr.DataArray], xr.DataArray]
Scorer = Callable[[str, Fold], xr.DataArray]


@dataclass(frozen=True)
class Task:
    """One subject's checked data: responses, feature spaces by name, folds, decoder by space, score."""

    subject: str
    responses: xr.DataArray
    spaces: Mapping[str, xr.DataArray]
    folds: Sequence[Fold]
    decoders: Mapping[str, Any]
    score: Score

    def scores(self, view: View, *, by: str = LAYER) -> xr.DataArray:
        """Refit every space on every fold of ``view(responses)`` and score it: (layer | feature, fold)."""
        seen = view(self.responses)

        def one(space: str, fold: Fold) -> xr.DataArray:
            return self._score(self._fit(seen, space, fold), seen, space, fold)

        return self._by_feature(one) if by == FEATURE else self._by_layer(one)

    def cross_scores(self, train_view: View, test_views: Sequence[View]) -> xr.DataArray:
        """Fit on one view and score on others, relabelled by the caller: (other, layer, fold)."""
        seen = train_view(self.responses)
        fitted = {(s, f.name): self._fit(seen, s, f) for s in self.spaces for f in self.folds}

        def tested(view: View) -> xr.DataArray:
            other = view(self.responses)
            return self._by_layer(
                lambda space, fold: self._score(fitted[space, fold.name], other, space, fold)
            )

        return xr.concat([tested(view) for view in test_views], dim="other")

    def _fit(self, seen: xr.DataArray, space: str, fold: Fold) -> Any:
        return clone(self.decoders[space]).fit(seen.isel({SAMPLE: fold.train}), self.spaces[space])

    def _score(self, fitted: Any, seen: xr.DataArray, space: str, fold: Fold) -> xr.DataArray:
        tested = seen.isel({SAMPLE: fold.test})
        true = match(self.spaces[space], tested)
        return xr.DataArray(self.score.function(fitted.predict(tested), true))

    def _by_layer(self, one: Scorer) -> xr.DataArray:
        """Mean score of every space and fold."""
        scored = [[one(space, fold) for fold in self.folds] for space in self.spaces]
        values = [[_finite_mean(s.values) for s in row] for row in scored]
        return self._labelled(values, LAYER, {LAYER: list(self.spaces)}, [s for row in scored for s in row])

    def _by_feature(self, one: Scorer) -> xr.DataArray:
        """Score of every feature of every space, and fold; ``layer`` and ``unit`` stand on feature."""
        scored = [[one(space, fold) for fold in self.folds] for space in self.spaces]
        flat = [s for row in scored for s in row]
        if any(s.dims != (FEATURE,) for s in flat):
            raise ValueError(
                f"score {self.score.name!r} has no value per feature; use by='layer', or 'profile', 'r2' or 'auc'"
            )
        values = np.concatenate([np.stack([s.values for s in row], axis=1) for row in scored])
        layers = np.repeat(list(self.spaces), [row[0].size for row in scored])
        units = np.concatenate([brain.units(space) for space in self.spaces.values()])
        return self._labelled(values, FEATURE, {LAYER: (FEATURE, layers), "unit": (FEATURE, units)}, flat)

    def _labelled(
        self, values: Any, dim: str, coords: dict[str, Any], scored: list[xr.DataArray]
    ) -> xr.DataArray:
        return xr.DataArray(
            values,
            dims=(dim, "fold"),
            coords={**coords, "fold": [f.name for f in self.folds]},
            attrs={
                "score": self.score.name,
                "chance": _finite_mean([s.attrs.get("chance", np.nan) for s in scored]),
                "units": scored[0].attrs.get("units", "a.u."),
            },
        )


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
    decoders = by_space(decoder, list(spaces))
    chosen = named(score)
    return [
        Task(
            subject,
            array,
            spaces,
            splits(array, train=train, test=test, folds=split_by, shared=shared),
            decoders,
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
        "decoders": {space: repr(decoder) for space, decoder in todo[0].decoders.items()},
        "features": {name: space.sizes[FEATURE] for name, space in todo[0].spaces.items()},
        "folds": {t.subject: {f.name: [len(f.train), len(f.test)] for f in t.folds} for t in todo},
    }


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
