"""What may change places under the null hypothesis: whole stimuli, within blocks, each side of a split for itself.

Permuted is which stimulus' features belong to which stimulus, never single trials: repeats of a stimulus stay together,
and so does whatever else responses to it share.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from .. import brain, store
from ..brain.subjects import Responses
from ..checks import names_in, require_counts, require_share
from ..folds import ANY, Fold, guard, select
from ..labels import (
    PERMUTATION,
    SAMPLE,
    STIMULUS,
    as_labels,
    groups,
    listed,
    require_array,
    require_coord,
    require_dims,
    require_memory,
)
from .blocks import distinct, drawn, labels_of, members, places

Given = TypeVar("Given", xr.DataArray, Mapping[str, xr.DataArray])
# A side that is neither training nor test.
REST = "neither"


def shuffles(
    responses: Responses,
    *,
    n: int = 1000,
    blocks: str | Iterable[str] | None = None,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    seed: int = 0,
    alpha: float = 0.05,
) -> xr.DataArray:
    """Orders in which stimuli exchange their features under the null hypothesis that these say nothing of responses.

    Stimuli change places if they lie in the same block and on the same side of a fixed split. Of several subjects
    all get the same orders, so that what responses of different people to one stimulus share is in the null too (drawn
    for each on his own, means over subjects would vary too little); stimuli change places only if, in each subject,
    they lie in the same block and side, or were not shown.

    Parameters
    ----------
    responses : (sample, ...) with ``stimulus``, several of them, or a mapping of subject to array
        Only labels are read.
    n : int
        How many orders. Where no more than n others exist, all of them are returned.
    blocks : str or names, optional
        Sample coordinates within whose values responses are exchangeable, such as "run" or "session"; by default all
        are. Each stimulus must lie in one block: see :func:`by_block` for conditions that recur in each.
    train, test, folds : as in the analysis (:func:`neurodecode.folds.splits`)
        With ``folds`` there are no sides; without, training and test stimuli exchange among themselves, and what is in
        neither stays. By default the sides are those of the coordinate ``split``, if there is one.
    seed : int
    alpha : float
        Warn if p cannot get as small as this.

    Returns
    -------
    (permutation, stimulus)
        The stimulus whose features each stimulus gets, without those that stay. Attrs ``distinct`` (how many orders
        exist, 10^15 at most), ``all`` (1 where these are all but the order that the data have), blocks, provenance.

    Raises
    ------
    ValueError
        If a stimulus lies in several blocks or on both sides, if nothing can change places, or names are unknown; if
        training or test is empty, or a sample is in both.

    Warns
    -----
    UserWarning
        If there are so few orders that no p can reach ``alpha``.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> orders = nd.inference.shuffles(responses, n=99)
    >>> orders.sizes["permutation"], sorted(orders[0].values.tolist()) == sorted(names)
    (99, True)
    """
    require_counts(n=n, seed=seed)
    n = int(n)  # a small integer type would overflow
    if n < 1:
        raise ValueError(f"n is a number of permutations, at least 1; got {n!r}")
    require_share(alpha=alpha, such=".05")
    names = [] if blocks is None else names_in(blocks, what="blocks")
    arrays = brain.by_subject(responses)
    for subject, array in arrays.items():
        require_dims(array, [SAMPLE], who=f"responses of subject {subject!r}")
    keys: dict[Any, list[Any]] = {}
    for i, (subject, array) in enumerate(arrays.items()):
        sides = sides_of(array, train=train, test=test, folds=folds)
        # Orders of stimuli that nobody trains or tests with are one order to the analysis, and would count as several.
        used = sides != REST
        found = places(
            array.isel({SAMPLE: used}), names, sides[used], who=f"responses of subject {subject!r}"
        )
        for stimulus, key in found.items():
            keys.setdefault(stimulus, [None] * len(arrays))[i] = key
    stimuli = list(keys)
    among = members(keys.values())
    orders = distinct(among)
    _require_enough(orders, among, names, alpha, n)
    every, random = orders - 1 <= n, np.random.default_rng(seed)
    labels = as_labels(stimuli)
    require_memory(
        # Positions, first one by one and then as one array, and labels: text of so many characters.
        (16 + labels.itemsize) * min(orders, n) * len(stimuli),
        what=f"{min(orders, n)} orders of {len(stimuli)} stimuli",
        remedy="take fewer permutations (n=...)",
    )
    rows = np.array(list(_all(among)) if every else [drawn(among, random) for _ in range(n)])
    result = xr.DataArray(
        labels[rows],
        dims=(PERMUTATION, STIMULUS),
        coords={PERMUTATION: np.arange(len(rows)), STIMULUS: labels},
        name="shuffle",
        attrs={"distinct": orders, "all": int(every), "blocks": ", ".join(names)},
    )
    parameters = {
        "n": int(n),
        "blocks": names,
        "sides": len({k[0] for key in keys.values() for k in key if k}),
        "all": every,
    }
    data = {"orders": rows, "stimuli": labels}
    return store.stamp(result, what="inference.shuffles", parameters=parameters, seed=seed, data=data)


def by_block(responses: xr.DataArray, features: Given, *, blocks: str) -> tuple[xr.DataArray, Given]:
    """Make each stimulus of each block a stimulus of its own, with the same features.

    For few conditions that recur in every run, such as categories: exchanged as wholes, over all runs at once, they
    would only swap names, which no decoder minds. So labelled, each run's conditions change places on their own, and
    an analysis that leaves out one run needs no ``shared="stimulus"``.

    Parameters
    ----------
    responses : (sample, ...) with ``stimulus`` and the coordinate ``blocks``
    features : (stimulus, feature), or a mapping of space to such arrays
    blocks : str
        Sample coordinate, such as "run".

    Returns
    -------
    Responses and features with stimuli named "block/stimulus".

    Raises
    ------
    ValueError
        If a coordinate or a label is missing, or a stimulus has no features.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> bold = nd.brain.fmri(np.zeros((4, 1)), sample=range(4), stimulus=["cat", "cup"] * 2, run=[1, 1, 2, 2])
    >>> apart, one_hot = nd.inference.by_block(bold, nd.brain.one_hot(bold), blocks="run")
    >>> apart.stimulus.values.tolist()
    ['1/cat', '1/cup', '2/cat', '2/cup']
    """
    require_dims(require_array(responses, who="responses"), [SAMPLE], who="responses")
    old, block = (labels_of(responses, c, who="responses") for c in (STIMULUS, blocks))
    new = np.array([f"{b}/{s}" for b, s in zip(block, old, strict=True)])
    _, first = groups(new)
    whole = {(b, s) for b, s in zip(block.tolist(), old.tolist(), strict=True)}
    if len(whole) > first.size:
        raise ValueError(
            f"{len(whole)} pairs of {blocks!r} and stimulus make {first.size} names of the form 'block/stimulus': "
            "leave '/' out of one of them"
        )

    def renamed(space: xr.DataArray, name: str) -> xr.DataArray:
        require_dims(require_array(space, who=name), [STIMULUS], who=name)
        there = space.indexes[STIMULUS].get_indexer(old[first])
        if (there < 0).any():
            lacking = pd.unique(old[first][there < 0])
            raise ValueError(f"{name} lack {lacking.size} stimuli: {listed(lacking)}; add them")
        return space.isel({STIMULUS: there}).assign_coords({STIMULUS: new[first]})

    changed: Any = (
        {str(k): renamed(v, f"features {k!r}") for k, v in features.items()}
        if isinstance(features, Mapping)
        else renamed(features, "features")
    )
    return responses.assign_coords({STIMULUS: (SAMPLE, new)}), changed


def permuted(space: xr.DataArray, order: xr.DataArray, *, who: str = "features") -> xr.DataArray:
    """Features (stimulus, feature) in one order (stimulus) of :func:`shuffles`: labels stay, values change places."""
    require_dims(require_array(space, who=who), [STIMULUS], who=who)
    space = space.transpose(STIMULUS, ...)
    labels = space.indexes[STIMULUS]
    to, source = (labels.get_indexer(v) for v in (order[STIMULUS].values, order.values))
    lacking = order[STIMULUS].values[to < 0]
    if lacking.size:
        raise ValueError(
            f"{who} lack {lacking.size} of {to.size} stimuli that change places: {listed(lacking)}; add them or leave "
            "out their samples"
        )
    rows = np.arange(labels.size)
    rows[to] = source
    return space.copy(data=space.data[rows])


def sides_of(responses: xr.DataArray, *, train: Any, test: Any, folds: Any) -> np.ndarray:
    """Name of the side that every sample is on; one and the same where folds part the samples."""
    sides = np.full(responses.sizes[SAMPLE], "all", dtype=object)
    if folds is not None:
        return sides
    if train is None and test is None:
        if "split" not in responses.coords:
            return sides
        return require_coord(responses, "split", who="responses", dim=SAMPLE).values.astype(object)
    rows = [
        select(responses, name if which is None else which, who=name)
        for name, which in (("train", train), ("test", test))
    ]
    guard(responses, Fold("test", *rows), shared=ANY)  # of stimuli on both sides, places has other words
    sides[:] = REST
    for name, which in zip(("train", "test"), rows, strict=True):
        sides[which] = name
    return sides


def _require_enough(orders: int, among: list[np.ndarray], names: list[str], alpha: float, n: int) -> None:
    sizes = [len(m) for m in among]
    where = f"blocks of {listed(names)} and sides of the split" if names else "sides of the split"
    if orders < 2:
        raise ValueError(
            f"nothing can change places: each of the {len(sizes)} groups of stimuli ({where}) has one stimulus; take "
            "wider blocks"
        )
    if orders > n and (n + 1) * alpha < 1:
        warnings.warn(
            f"with n = {n} orders the smallest possible p is {1 / (n + 1):.3g}: nothing can be significant at "
            f"{alpha:g}; take more",
            UserWarning,
            stacklevel=3,
        )
    if orders * alpha < 1:
        warnings.warn(
            f"only {orders} orders exist in {len(sizes)} group(s) of {listed(sorted(sizes))} stimuli ({where}): the "
            f"smallest possible p is {1 / orders:.3g}, nothing can be significant at {alpha:g}; take wider blocks",
            UserWarning,
            stacklevel=3,
        )


def _all(among: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Every order but the one that is there."""
    orders = itertools.product(*(itertools.permutations(m) for m in among))
    next(orders)
    rows = np.arange(sum(map(len, among)))
    for order in orders:
        new = rows.copy()
        for m, own in zip(among, order, strict=True):
            new[m] = own
        yield new
