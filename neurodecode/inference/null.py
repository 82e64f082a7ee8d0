"""Any analysis under the null hypothesis: run again and again with stimuli whose features changed places."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from .. import brain, store
from ..brain.subjects import Features, Responses
from ..labels import LAYER, PERMUTATION, listed, require_array
from .exchange import permuted, shuffles

# Settings of an analysis that say which samples train and which test.
PARTS = ("train", "test", "folds")

Analysis = Callable[[Any, Any], xr.DataArray]


def null(
    analysis: Analysis,
    responses: Responses,
    features: Features,
    *,
    n: int = 1000,
    blocks: Any = None,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    seed: int = 0,
    alpha: float = 0.05,
    batch: int = 1,
    resume: str | Path | None = None,
) -> xr.DataArray:
    """Scores of an analysis when features say nothing of responses: all its fits are repeated, n times.

    Parameters
    ----------
    analysis : function(responses, features) -> DataArray
        Such as ``functools.partial(nd.spatial.decode, decoder=decoder, score="profile")``, of
        :func:`neurodecode.temporal.sweep` or ``generalise``, or a function of one's own that fits decoders, maps
        weights, takes a region's mean, or identifies. It must do all that depends on features itself, selection too.
    responses, features : as ``analysis`` takes them
        Features (stimulus, feature), or a mapping of space to such arrays.
    n, blocks, seed, alpha : see :func:`shuffles`
    train, test, folds : see :func:`shuffles`
        By default those that are given to ``analysis`` by functools.partial, else the coordinate ``split``.
    batch : int
        Hand so many orders to one call of ``analysis``, as so many feature spaces: analyses whose result has a value
        for each space along ``layer`` (decode, sweep, generalise) then factorise the responses once for all of them.
        It takes memory for that many copies of the features, and one decoder for all spaces.
    resume : folder, optional
        Finished batches are kept there, and a run that was stopped goes on from them.

    Returns
    -------
    (permutation, ...)
        The dimensions of the analysis' result; without ``chance``, which may differ between orders. Attrs of the
        result, ``all`` and ``distinct`` of :func:`shuffles`, provenance.

    Raises
    ------
    ValueError
        See :func:`shuffles`; if training and test share stimuli, as told by functools.partial, if a batch is not of
        separate spaces.
    TypeError
        If the analysis returns no DataArray.

    See Also
    --------
    neurodecode.temporal.sweep_null : the same numbers for a sweep of ridges, at a fraction of the work.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> from functools import partial
    >>> analysis = partial(nd.spatial.decode, decoder=nd.RidgeDecoder(1.0), folds=4)
    >>> null = nd.inference.null(analysis, responses, features, n=19, batch=19)
    >>> null.dims
    ('permutation', 'region', 'layer', 'subject', 'fold')
    """
    if not isinstance(batch, int | np.integer) or batch < 1:
        raise ValueError(f"batch is a number of permutations, at least 1; got {batch!r}")
    parts = _parts(analysis, {"train": train, "test": test, "folds": folds})
    orders = shuffles(responses, n=n, blocks=blocks, seed=seed, alpha=alpha, **parts)
    for name, space in brain.spaces(features).items():
        permuted(space, orders[0], who=f"features {name!r}")
    hashes = _hashes(responses, features)
    parameters = {
        **store.provenance(orders)["parameters"],
        "analysis": _described(analysis),
        "batch": int(batch),
        "parts": parts,
    }
    key = {
        "what": "inference.null",
        "parameters": parameters,
        "seed": seed,
        "orders": store.provenance(orders)["data"],
        "doing": store.fingerprint(analysis),
        "data": hashes,
    }
    pieces = None if resume is None else store.Pieces(resume, key=key)
    work = functools.partial(_batch, analysis, responses, features)
    results, record = _pieced(work, orders, int(batch), pieces)
    found = xr.concat(results, dim=PERMUTATION, join="exact", combine_attrs="override")
    found = found.transpose(PERMUTATION, ...).assign_coords({PERMUTATION: orders[PERMUTATION]})
    found = found.assign_attrs({k: orders.attrs[k] for k in ("all", "distinct")})
    parameters["scores"] = record
    return store.stamp(found, what="inference.null", parameters=parameters, seed=seed, data=hashes)


def _parts(analysis: Analysis, given: dict[str, Any]) -> dict[str, Any]:
    """Which samples train and test, as told here or to the analysis; refused if they share stimuli."""
    keywords = analysis.keywords if isinstance(analysis, functools.partial) else {}
    if keywords.get("shared"):
        raise ValueError(
            f"the analysis lets training and test share {keywords['shared']!r}: stimuli that are in both only swap "
            "names when they change places as wholes, which no decoder minds. Name those of each block apart "
            "(neurodecode.inference.by_block), leave out whole blocks, and drop shared=..."
        )
    if any(v is not None for v in given.values()):
        return given
    return {name: keywords.get(name) for name in PARTS}


def _hashes(responses: Responses, features: Features) -> dict[str, str]:
    arrays = {f"subject {k}": v for k, v in brain.by_subject(responses).items()}
    spaces = {f"features {k}": v for k, v in brain.spaces(features).items()}
    return {k: store.data_hash(v) for k, v in (arrays | spaces).items()}


def _described(analysis: Analysis) -> dict[str, Any]:
    if not isinstance(analysis, functools.partial):
        return {"function": store.describe(analysis)}
    own = {k: v for k, v in analysis.keywords.items() if k not in PARTS}
    return {"function": store.describe(analysis.func), **{k: store.describe(v) for k, v in own.items()}}


def _pieced(
    work: Callable[[xr.DataArray], xr.DataArray], orders: xr.DataArray, size: int, pieces: store.Pieces | None
) -> tuple[list[xr.DataArray], Any]:
    """Results of every batch of orders, kept as soon as they are there; and how the first was made."""
    results: list[xr.DataArray] = []
    with tqdm(total=orders.sizes[PERMUTATION], desc="permutations", disable=None, leave=False) as bar:
        for first in range(0, orders.sizes[PERMUTATION], size):
            some = orders[first : first + size]
            found = store.kept(pieces, f"{first:06d}", functools.partial(work, some))
            results.append(xr.DataArray(found))
            bar.update(some.sizes[PERMUTATION])
    return [r.drop_attrs() if i else r for i, r in enumerate(results)], results[0].attrs.pop(
        "provenance", None
    )


def _batch(
    analysis: Analysis, responses: Responses, features: Features, orders: xr.DataArray
) -> xr.DataArray:
    """Results (permutation, ...) of some orders: one by one, or all as feature spaces of one call."""
    if orders.sizes[PERMUTATION] == 1:
        found = _checked(analysis(responses, _in_order(features, orders[0])))
        return found.expand_dims({PERMUTATION: orders[PERMUTATION].values})
    spaces = brain.spaces(features)
    names = {name: [f"{name} {p}" for p in orders[PERMUTATION].values] for name in spaces}
    handed = {
        names[name][i]: permuted(space, order)
        for i, order in enumerate(orders)
        for name, space in spaces.items()
    }
    try:
        found = _checked(analysis(responses, handed))
    except ValueError as error:
        raise ValueError(
            f"the analysis refused {orders.sizes[PERMUTATION]} orders as so many feature spaces: {error}. Give one "
            "decoder for all spaces, or batch=1"
        ) from error
    there = found.coords[LAYER].values.tolist() if LAYER in found.dims else []
    if set(there) != set(handed):
        raise ValueError(
            f"batch={orders.sizes[PERMUTATION]} hands orders over as feature spaces, but the result has no value for "
            f"each of them along 'layer' (it has the dimensions {tuple(map(str, found.dims))}); give batch=1"
        )
    each = [found.sel({LAYER: own}).rename({LAYER: PERMUTATION}) for own in names.values()]
    each = [e.assign_coords({PERMUTATION: orders[PERMUTATION].values}) for e in each]
    stacked = xr.concat(each, dim=xr.Variable(LAYER, list(names)), combine_attrs="override")
    return stacked.transpose(PERMUTATION, *found.dims)


def _in_order(features: Features, order: xr.DataArray) -> Features:
    if isinstance(features, Mapping):
        return {k: permuted(v, order) for k, v in features.items()}
    return permuted(features, order)


def _checked(found: Any) -> xr.DataArray:
    """Result without chance, which may differ from one order to the next."""
    if isinstance(found, xr.Dataset):
        raise TypeError(
            f"the analysis returned a Dataset; let it return one variable, such as the first of {listed(found)}"
        )
    array = require_array(found, who="the result of the analysis")
    dropped = [k for k in ("chance", PERMUTATION) if k in array.coords]
    result = array.drop_vars(dropped).copy(deep=False)  # with attrs of its own: the array is the user's
    result.attrs.pop("chance", None)
    return result
