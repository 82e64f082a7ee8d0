"""The rule of what may change places: stimuli of one block and one side of a split, as wholes, repeats together."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..labels import SAMPLE, STIMULUS, groups, listed, quoted, require_coord

# More orders than so many are not counted.
MANY = 10**15


def places(array: xr.DataArray, names: Iterable[str], sides: np.ndarray, *, who: str) -> dict[Any, tuple]:
    """Side and blocks (values of the sample coordinates ``names``) of every stimulus.

    Raises
    ------
    ValueError
        If a stimulus lies in several blocks, or on several sides, or a label is missing.
    """
    names = list(names)
    labels = labels_of(array, STIMULUS, who=who)
    columns = {name: labels_of(array, name, who=who) for name in names}
    table = pd.DataFrame({"stimulus": labels, "side": sides, **{f"block {k}": v for k, v in columns.items()}})
    table = table.drop_duplicates()
    torn = table[table["stimulus"].duplicated(keep=False)]
    if len(torn):
        _refuse(torn, names, table["stimulus"].nunique(), who)
    return {row[0]: tuple(row[1:]) for row in table.itertuples(index=False, name=None)}


def labels_of(array: xr.DataArray, name: str, *, who: str) -> np.ndarray:
    """Labels of the sample coordinate ``name``, none of them missing: those without one would be a block together.

    Raises
    ------
    ValueError
        Naming how many samples have none.
    """
    labels = require_coord(array, name, who=who, dim=SAMPLE).values
    missing = int(pd.isna(labels).sum())
    if missing:
        raise ValueError(
            f"{missing} of {labels.size} samples of {who} have no {name!r} (NaN or None): what they may change places "
            "with is not known; label them, or leave them out"
        )
    return labels


def members(keys: Iterable[Any]) -> list[np.ndarray]:
    """Positions of the stimuli of each place, places in the order in which they come first."""
    number, first = groups(np.array([repr(k) for k in keys]))
    return [np.flatnonzero(number == i) for i in range(first.size)]


def distinct(among: Sequence[np.ndarray]) -> int:
    """How many orders there are, :data:`MANY` or fewer."""
    found = 1
    for m in among:
        for i in range(2, len(m) + 1):
            found = min(found * i, MANY)
    return found


def drawn(among: Sequence[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Positions whose features each stimulus gets, in one order drawn at random."""
    order = np.arange(sum(map(len, among)))
    for m in among:
        order[m] = random.permutation(m)
    return order


def exchangeable(responses: xr.DataArray, blocks: str | None, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Stimuli that were shown (k), and the number (k) of the group within which each may change places.

    Raises
    ------
    ValueError
        If a stimulus lies in several blocks, or no two stimuli may change places.

    Warns
    -----
    UserWarning
        If there are fewer than ``n`` different shuffles.
    """
    one_side = np.full(responses.sizes[SAMPLE], "all", dtype=object)
    where = places(responses, [] if blocks is None else [blocks], one_side, who="responses")
    stimuli, among = np.array(list(where)), members(where.values())
    if len(among) == stimuli.size:
        raise ValueError(
            f"no two of {stimuli.size} stimuli were shown in the same values of {blocks!r}: {listed(stimuli)}; nothing "
            "can be exchanged. Give another sample coordinate as blocks=..., or None"
        )
    if distinct(among) < n:
        warnings.warn(
            f"{stimuli.size} stimuli in {len(among)} groups have fewer than {n} different shuffles: p is coarse",
            UserWarning,
            stacklevel=3,
        )
    group = np.empty(stimuli.size, dtype=int)
    for i, m in enumerate(among):
        group[m] = i
    return stimuli, group


def shuffled(
    features: xr.DataArray, stimuli: np.ndarray, group: np.ndarray, random: np.random.Generator
) -> xr.DataArray:
    """Features (stimulus, ...) of ``stimuli``, which have changed places within their groups at random."""
    order = drawn([np.flatnonzero(group == g) for g in np.unique(group)], random)
    return features.sel({STIMULUS: stimuli[order]}).assign_coords({STIMULUS: stimuli})


def _refuse(torn: pd.DataFrame, names: list[str], total: int, who: str) -> None:
    one = torn["stimulus"].iloc[0]
    own = torn[torn["stimulus"] == one]
    stimuli = torn["stimulus"].unique()
    if own["side"].nunique() > 1:
        raise ValueError(
            f"{len(stimuli)} of {total} stimuli in {who} are on several sides of the split, first {quoted(one)} in "
            f"{listed(own['side'].unique())}: exchanged as wholes they would carry test features into training. Name "
            "them apart (neurodecode.inference.by_block with the coordinate that parts the sides)"
        )
    name = next(k for k in names if own[f"block {k}"].nunique() > 1)
    raise ValueError(
        f"{len(stimuli)} of {total} stimuli in {who} lie in several blocks of {name!r}, first {quoted(one)} in "
        f"{listed(own[f'block {name}'].unique())}: stimuli change places within blocks, as wholes. Take wider blocks, "
        "average repeats within them, or, where few conditions recur in each block by design, name them apart with "
        "neurodecode.inference.by_block"
    )
