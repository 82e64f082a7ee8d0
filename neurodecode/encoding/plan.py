"""What encoders are fitted and tested on: one subject's responses, feature spaces of its samples, folds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from .. import brain, store
from ..checks import require_labelled
from ..crossval import Features, Responses, checked
from ..folds import Fold, splits
from ..labels import FEATURE, LAYER, SAMPLE, match, require_memory


@dataclass(frozen=True)
class Plan:
    """One subject's checked data: responses (sample, ...), feature spaces (sample, feature) by name, folds."""

    subject: str
    responses: xr.DataArray
    spaces: Mapping[str, xr.DataArray]
    folds: Sequence[Fold]
    asked: Mapping[str, Any]

    def predictions(self, encoder: Any, space: xr.DataArray) -> Iterator[tuple[Fold, xr.DataArray]]:
        """Every fold, and predictions (sample, ...) of its test part from a fit to its training part."""
        require_labelled(encoder)
        for fold in self.folds:
            fitted = clone(encoder).fit(
                space.isel({SAMPLE: fold.train}), self.responses.isel({SAMPLE: fold.train})
            )
            yield fold, fitted.predict(space.isel({SAMPLE: fold.test}))

    def true(self, fold: Fold) -> xr.DataArray:
        """Responses of a fold's test part."""
        return self.responses.isel({SAMPLE: fold.test})

    def describe(self) -> dict[str, Any]:
        """Say in plain data what is encoded, and on which folds."""
        sizes = {f.name: [len(f.train), len(f.test)] for f in self.folds}
        return {
            "features": {name: space.sizes[FEATURE] for name, space in self.spaces.items()},
            "plan": store.describe(dict(self.asked)),
            "folds": {self.subject: sizes},
        }


def plans(
    responses: Responses,
    features: Features,
    *,
    train: Any,
    test: Any,
    folds: Any,
    shared: str | Iterable[str],
    least: int = 2,
) -> list[Plan]:
    """Check everything for every subject before the first fit; scores need ``least`` test samples a fold.

    Raises
    ------
    ValueError
        Bad data, labels that differ, a leak, or splits that are not there.
    MemoryError
        If the features, one row a sample, would not fit.
    """
    arrays, spaces = checked(responses, features)
    shared = [shared] if isinstance(shared, str) else sorted(shared)
    asked = {"train": train, "test": test, "folds": folds, "shared": shared}
    found = []
    for subject, array in arrays.items():
        # Regions are of voxels or channels, whatever lies before them in the data.
        array = array.transpose(SAMPLE, *(d for d in ("voxel", "channel") if d in array.dims), ...)
        parts = splits(array, train=train, test=test, folds=folds, shared=shared)
        _require_scorable(parts, subject, least)
        found.append(Plan(subject, array, _of_samples(spaces, array), parts, asked))
    return found


def joined(spaces: Mapping[str, xr.DataArray], sets: Mapping[str, Sequence[str]]) -> xr.DataArray:
    """Join spaces (sample, feature), set by set; features bear ``layer``, ``unit`` and ``set``."""
    names = [(s, name) for s, members in sets.items() for name in members]
    parts = [spaces[name] for _, name in names]
    sizes = [part.sizes[FEATURE] for part in parts]
    first = parts[0]
    coords = {
        **{k: v for k, v in first.coords.items() if v.dims == (SAMPLE,)},
        LAYER: (FEATURE, np.concatenate([part.coords[LAYER].values for part in parts])),
        "set": (FEATURE, np.repeat([s for s, _ in names], sizes)),
        "unit": (FEATURE, np.concatenate([brain.units(part) for part in parts])),
    }
    values = np.concatenate([np.asarray(part.transpose(SAMPLE, FEATURE).values) for part in parts], axis=1)
    return xr.DataArray(values, dims=(SAMPLE, FEATURE), coords=coords, attrs={"units": "a.u."})


def _of_samples(spaces: Mapping[str, xr.DataArray], responses: xr.DataArray) -> dict[str, xr.DataArray]:
    """Every space with a row for every sample of the responses, and its name as ``layer`` where it has none."""
    n = responses.sizes[SAMPLE]
    needed = sum(space.dtype.itemsize * n * space.sizes[FEATURE] for space in spaces.values())
    # A joint space copies them once more.
    require_memory(
        2 * needed,
        what=f"{len(spaces)} feature spaces of {n} samples",
        remedy="average repeats first (brain.average_repeats), or take fewer features or spaces",
    )
    labels = responses.isel({d: 0 for d in responses.dims if d != SAMPLE}, drop=True)
    return {name: _named(match(space, labels), name) for name, space in spaces.items()}


def _named(space: xr.DataArray, name: str) -> xr.DataArray:
    layer = space.coords[LAYER].values if LAYER in space.coords else name
    size = space.sizes[FEATURE]
    return space.transpose(SAMPLE, FEATURE).assign_coords(
        {LAYER: (FEATURE, np.broadcast_to(np.asarray(layer), size))}
    )


def _require_scorable(folds: Sequence[Fold], subject: str, least: int) -> None:
    small = [f.name for f in folds if len(f.test) < least]
    if small:
        raise ValueError(
            f"subject {subject!r}: {len(small)} of {len(folds)} folds test fewer than {least} samples, on which no "
            f"response can be scored: first {small[0]!r}; leave out more at a time"
        )
