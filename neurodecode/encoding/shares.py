"""Whose is the explained variance? Encoders of every union of feature spaces, and differences of their held-out r2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from scipy import sparse
from tqdm import tqdm

from .. import brain, store
from ..checks import require_counts, require_share
from ..crossval import Features
from ..labels import (
    KEPT,
    SAMPLE,
    STIMULUS,
    groups,
    listed,
    require_array,
    require_coord,
    require_known,
    require_memory,
)
from ..score import about_own_mean
from ..solve.intervals import expanded
from .plan import Plan, joined, plans

# More sets than this: 63 fits, and parts that nobody reads.
MOST = 5
# Values of one temporary array: draws x unions x voxels x times.
BUDGET = 2**22
# Share of a sum of squares below which what is left of it about the mean counts as none.
CONSTANT = 1e-12


def partition(
    responses: xr.DataArray,
    features: Features,
    encoder: Any,
    *,
    sets: Mapping[str, str | Sequence[str]] | None = None,
    regions: Any = None,
    train: Any = None,
    test: Any = None,
    folds: Any = None,
    shared: str | Iterable[str] = (),
    by: str = STIMULUS,
    level: float = 0.95,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Split held-out explained variance among feature spaces: unique parts, and parts that several share.

    An encoder is fitted to every union of sets, and scored by ``R2(S) = 1 - sum of squared errors / total`` over all
    held-out samples, the total about the mean of each fold's test samples. The part that the sets in T have in common,
    and no other has (Nimon & Oswald 2013; Lescroart & Gallant 2019), is by inclusion and exclusion, all being the
    union of all sets,

    ``share(T) = sum over V in T of (-1)^(|T| - |V|) [R2(all) - R2(all without V)]``;

    for T of one set: what is lost without it. All shares add up to R2(all). They are differences of estimates, and may
    be negative: they are given as they are, never cut off at 0.

    Parameters
    ----------
    responses : (sample, voxel) or (sample, channel, time)
        Of one subject; repeats averaged before, or kept together by ``by``.
    features : (stimulus, feature) array with ``layer``, or a mapping of space to array
    encoder : estimator
        Sees the features of a union with the coordinates ``layer`` and ``set``. With one penalty for all, a union may
        predict worse than its parts: take ``RidgeEncoder(alphas, bands="set")`` or ``bands="layer"``.
    sets : mapping of name to space or spaces, optional
        Default: every space is a set. 2 to 5 sets; spaces that no set names are left out.
    regions : see :func:`neurodecode.brain.regions`
        Of which means are taken too; default: all voxels as one, "all".
    train, test, folds, shared : see :func:`neurodecode.folds.splits`
    by : str
        Sample coordinate whose values are drawn as wholes; samples, where there is no such coordinate.
    level : float
    n_bootstrap, seed : int
        Bootstrap samples of the test stimuli, the fits being kept; 0: no limits (NaN).

    Returns
    -------
    Dataset
        ``share`` (part, voxel, ...) with the coordinates ``kind`` ("unique" or "shared") and ``size`` on part, and
        ``r2`` (union, voxel, ...), each with ``_low`` and ``_high``; the same of regions, ``region_share`` (part,
        region, ...) and ``region_r2``, means over voxels. Parts are named "a", "a & b", unions "a", "a + b". Units r2.
        Estimates have the attribute ``test_samples``, n of a fold: a prediction of the true mean alone has an R2 of
        -1 / (n - 1), which is also in the share of all sets together (coordinate ``mean_alone`` on part).
        Limits are percentiles, of R2 with totals about the true mean (n - 1 for n): they hold what other test stimuli
        would do, not other training or subjects; for these
        see :func:`neurodecode.inference.group` of several subjects' ``region_share``. A response that is constant over
        the test samples has no r2 (NaN), and does not count in regions; nor does a draw in which it is.

    Raises
    ------
    ValueError
        Fewer than 2 or more than 5 sets, a space in two sets or in none that is there, and whatever makes a fit fail or
        leak; before the first fit.
    MemoryError
        If the errors of all test stimuli would not fit.

    Examples
    --------
    >>> import neurodecode as nd, numpy as np
    >>> rng = np.random.default_rng(0)
    >>> names = [f"img_{i:02d}" for i in range(60)]
    >>> form, sense = rng.normal(size=(2, 60, 3))
    >>> noise = 0.1 * rng.normal(size=(60, 2))
    >>> values = np.stack([form.sum(axis=1), sense.sum(axis=1)], axis=1) + noise
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1", "LO"])
    >>> features = {k: nd.brain.features(v, stimulus=names) for k, v in {"form": form, "sense": sense}.items()}
    >>> encoder = nd.RidgeEncoder(alpha=1.0)
    >>> found = nd.encoding.partition(responses, features, encoder, folds=3, regions=["V1", "LO"], n_bootstrap=0)
    >>> (found["region_share"].sel(part=["form", "sense"]) > 0.5).values.tolist()
    [[True, False], [False, True]]
    """
    _require_settings(level, n_bootstrap)
    (plan,) = plans(
        [require_array(responses, who="responses")],
        features,
        train=train,
        test=test,
        folds=folds,
        shared=shared,
    )
    chosen = _checked_sets(sets, list(plan.spaces))
    masks = _masks(plan.responses, regions)
    errors = _errors(plan, chosen, encoder, by)
    draws = _draws(errors.count, n_bootstrap, seed)
    matrix, parts = inclusion_exclusion(list(chosen))
    found = _summed(errors, draws, matrix, masks, level)
    result = _labelled(found, plan, masks, list(chosen), parts)
    parameters = {
        **plan.describe(),
        "encoder": store.describe(encoder),
        "sets": {name: list(members) for name, members in chosen.items()},
        "regions": masks["region"].values.tolist(),
        "by": errors.by,
        "stimuli": errors.count,
        "level": level,
        "n_bootstrap": n_bootstrap,
    }
    data = {plan.subject: store.data_hash(plan.responses, *plan.spaces.values())}
    return store.stamp(result, what="encoding.partition", parameters=parameters, seed=seed, data=data)


def unions(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All unions of sets, small ones first."""
    return [c for size in range(1, len(names) + 1) for c in combinations(names, size)]


def inclusion_exclusion(names: Sequence[str]) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Matrix (part, union) that makes shares of the unions' r2, and the sets that each part is common to."""
    every = unions(names)
    place = {frozenset(u): i for i, u in enumerate(every)}
    matrix = np.zeros((len(every), len(every)))
    for row, part in enumerate(every):
        for inner in [(), *unions(part)]:
            sign = (-1) ** (len(part) - len(inner))
            without = frozenset(names) - frozenset(inner)
            matrix[row, place[frozenset(names)]] += sign
            if without:
                matrix[row, place[without]] -= sign
    return matrix, every


# ------------------------------------------------------------------------------------------------- what is asked
def _checked_sets(
    sets: Mapping[str, str | Sequence[str]] | None, spaces: Sequence[str]
) -> dict[str, list[str]]:
    given = {name: name for name in spaces} if sets is None else sets
    found = {str(k): [v] if isinstance(v, str) else [str(n) for n in v] for k, v in given.items()}
    if not 2 <= len(found) <= MOST:
        raise ValueError(
            f"variance is split among 2 to {MOST} sets of feature spaces, got {len(found)}: {listed(found)}; "
            "sets={'structure': ['Linear-2', 'Linear-4'], 'meaning': 'c'} groups spaces and leaves others out"
        )
    members = [n for names in found.values() for n in names]
    unknown = [n for n in members if n not in spaces]
    twice = sorted({n for n in members if members.count(n) > 1})
    empty = [name for name, names in found.items() if not names]
    if unknown or twice or empty:
        raise ValueError(
            f"sets must name feature spaces that there are ({listed(spaces, most=40)}), each once: unknown "
            f"{listed(unknown) or 'none'}; twice {listed(twice) or 'none'}; empty sets {listed(empty) or 'none'}"
        )
    return found


def _require_settings(level: float, n_bootstrap: int) -> None:
    require_share(level=level)
    require_counts(n_bootstrap=n_bootstrap)
    if n_bootstrap < 0 or n_bootstrap == 1:
        raise ValueError(f"n_bootstrap must be 0 (no limits) or at least 2, got {n_bootstrap}")


def _masks(responses: xr.DataArray, regions: Any) -> xr.DataArray:
    """Boolean (region, voxel | channel)."""
    dim = str(responses.dims[1])
    if regions is not None:
        return brain.regions(responses, regions)
    return xr.DataArray(
        np.ones((1, responses.sizes[dim]), dtype=bool), dims=("region", dim), coords={"region": ["all"]}
    )


# ---------------------------------------------------------------------------------------------------- arithmetic
@dataclass(frozen=True)
class _Errors:
    """Sums over the test samples of every group (stimulus), for all voxels (and times).

    ``squared`` (union, group, voxel, rest): squared errors. ``square`` (group, voxel, rest): squared responses.
    ``sums``: for every fold the groups in it, their numbers of samples, and the sums (group, voxel, rest) of responses.
    """

    squared: np.ndarray
    square: np.ndarray
    sums: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    varies: np.ndarray
    by: str

    @property
    def count(self) -> int:
        """How many groups there are."""
        return self.square.shape[0]

    def lost(self, part: slice) -> np.ndarray:
        """What totals lack on average for being about the mean of the samples themselves: (voxel, rest), unfolded."""
        found = np.zeros(self.square[0, part].size)
        for members, sizes, sums in self.sums:
            own, n = sums[:, part].reshape(len(members), -1), sizes.sum()
            found += ((own - sizes[:, None] * own.sum(axis=0) / n) ** 2).sum(axis=0) / n
        return found

    def r2(self, draws: np.ndarray, part: slice) -> np.ndarray:
        """R2 (draw, union, voxel, rest) of some voxels, of groups in the numbers (draw, group).

        The first draw is the estimate. Totals about the samples' own mean are too small, of n stimuli by (n - 1) / n,
        and those of samples drawn from samples once more: the other draws are corrected for both.
        """
        shape = self.square[0, part].shape
        whole = draws @ self.square[:, part].reshape(self.count, -1)
        total = whole.copy()
        for members, sizes, sums in self.sums:
            own = draws[:, members]
            n = own @ sizes
            squares = (own @ sums[:, part].reshape(len(members), -1)) ** 2
            total -= squares / np.where(n > 0, n, 1.0)[:, None]
        # In a draw of few different stimuli a response may be constant, and what is left is rounding.
        total[(total <= CONSTANT * whole) | ~self.varies[part].ravel()] = np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            total[1:] /= (1 - self.lost(part) / total[0]) ** 2
            found = [1 - (draws @ e[:, part].reshape(self.count, -1)) / total for e in self.squared]
        return np.stack(found, axis=1).reshape(len(draws), len(self.squared), *shape)


def _errors(plan: Plan, sets: Mapping[str, Sequence[str]], encoder: Any, by: str) -> _Errors:
    """Fit every union on every fold, and add up squared errors within the groups of the test samples."""
    labels, by = _groups(plan.responses, by)
    tested = np.concatenate([f.test for f in plan.folds])
    require_known(labels[tested], by, who="responses")
    codes, first = groups(labels[tested])
    rows = np.split(codes, np.cumsum([len(f.test) for f in plan.folds])[:-1])
    every = unions(list(sets))
    shape = plan.responses.shape[1:]
    cells = int(np.prod(shape))
    require_memory(
        8 * cells * (first.size * (len(every) + 2) + 2 * max(len(r) for r in rows)),
        what=f"errors of {len(every)} unions on {first.size} test stimuli x {cells} responses",
        remedy="fewer sets or voxels (a region) at a time",
    )
    # Sums of squares of responses far from 0 would lose what varies: the mean over test samples goes first.
    middle = plan.responses.isel({SAMPLE: tested}).mean(SAMPLE).values.astype(np.float64)
    square, sums, varies = np.zeros((first.size, *shape)), [], np.zeros(shape, dtype=bool)
    for fold, own in zip(plan.folds, rows, strict=True):
        raw = np.asarray(plan.true(fold).values, dtype=np.float64)
        varies |= np.ptp(raw, axis=0) > 0
        true = raw - middle
        _add(square, own, true**2)
        members, inner = np.unique(own, return_inverse=True)
        total = np.zeros((members.size, *shape))
        _add(total, inner, true)
        sums.append((members, np.bincount(inner).astype(float), total))
    squared = np.zeros((len(every), first.size, *shape))
    for i, union in enumerate(tqdm(every, desc="encoding.partition", disable=None, leave=False)):
        space = joined(plan.spaces, {name: sets[name] for name in union})
        for (fold, predicted), own in zip(plan.predictions(encoder, space), rows, strict=True):
            measured = plan.true(fold)
            wrong = np.asarray(measured.values, np.float64) - predicted.transpose(*measured.dims).values
            _add(squared[i], own, wrong**2)
    return _Errors(squared, square, sums, varies, by)


def _add(target: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """Add samples to their groups."""
    n = len(rows)
    belongs = sparse.csr_array((np.ones(n), (rows, np.arange(n))), shape=(len(target), n))
    target += (belongs @ values.reshape(n, -1)).reshape(target.shape)


def _groups(responses: xr.DataArray, by: str) -> tuple[np.ndarray, str]:
    if by == STIMULUS and STIMULUS not in responses.coords:
        by = SAMPLE
    return np.asarray(require_coord(responses, by, who="responses", dim=SAMPLE).values), by


def _draws(k: int, n_bootstrap: int, seed: int) -> np.ndarray:
    """How often each group is taken (1 + draw, group): once each, then as drawn with replacement."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(k, np.full(k, 1 / k), size=n_bootstrap)
    return np.concatenate([np.ones((1, k)), drawn])


def _summed(
    errors: _Errors, draws: np.ndarray, matrix: np.ndarray, masks: xr.DataArray, level: float
) -> dict[str, np.ndarray]:
    """Estimates and limits of shares and r2, of voxels and of regions."""
    voxels = errors.square.shape[1]
    rest = errors.square.shape[2:]
    step = max(1, BUDGET // (len(draws) * len(matrix) * max(1, int(np.prod(rest)))))
    inside, n = masks.values.astype(float), draws.shape[1]
    added = np.zeros((len(draws), len(matrix), len(inside), *rest))
    counted = np.zeros((len(draws), 1, len(inside), *rest))
    parts: dict[str, list[np.ndarray]] = {}
    for first in range(0, voxels, step):
        block = slice(first, min(first + step, voxels))
        r2 = errors.r2(draws, block)
        there = np.isfinite(r2)
        added += np.einsum("rv,duv...->dur...", inside[:, block], np.where(there, r2, 0.0))
        counted += np.einsum("rv,duv...->dur...", inside[:, block], there[:, :1].astype(float))
        for name, values in _limits(r2, matrix, level, n).items():
            parts.setdefault(name, []).append(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = added / np.where(counted > 0, counted, np.nan)
    found = {name: np.concatenate(values, axis=1) for name, values in parts.items()}
    return found | {f"region_{name}": values for name, values in _limits(means, matrix, level, n).items()}


def _limits(r2: np.ndarray, matrix: np.ndarray, level: float, n: int) -> dict[str, np.ndarray]:
    """Estimate (first draw), and percentiles (the others, of n groups), of r2 and of shares: (union | part, ...)."""
    shares = np.einsum("pu,du...->dp...", matrix, r2)
    found = {}
    for name, values in (("r2", r2), ("share", shares)):
        found[name] = values[0]
        limits = (
            _quantiles(values[1:], expanded(level, n))
            if len(values) > 1 and n > 1
            else np.full((2, *values[0].shape), np.nan)
        )
        found[f"{name}_low"], found[f"{name}_high"] = limits
    return found


def _quantiles(drawn: np.ndarray, q: tuple[float, float]) -> np.ndarray:
    """Quantiles (q, ...) over those draws (draw, ...) in which there is a value."""
    found = np.quantile(drawn, q, axis=0)
    some = np.isnan(found[0]) & ~np.isnan(drawn).all(axis=0)
    if some.any():
        found[:, some] = np.nanquantile(drawn[:, some], q, axis=0)
    return found


def _labelled(
    found: Mapping[str, np.ndarray],
    plan: Plan,
    masks: xr.DataArray,
    names: Sequence[str],
    parts: Sequence[tuple[str, ...]],
) -> xr.Dataset:
    outer = [str(d) for d in plan.responses.dims[1:]]
    own = plan.responses.coords
    coords = {k: v for k, v in own.items() if v.dims and set(map(str, v.dims)) <= set(outer)}
    axis = {"share": "part", "r2": "union"}
    mean_of = about_own_mean([plan.responses[SAMPLE].isel({SAMPLE: f.test}) for f in plan.folds])
    n = mean_of["test_samples"]
    data = {}
    for name, values in found.items():
        of_region = name.startswith("region_")
        first = axis[name.removeprefix("region_").split("_")[0]]
        dims = (first, "region", *outer[1:]) if of_region else (first, *outer)
        # Limits are about the true mean.
        about = {} if name.endswith(("_low", "_high")) else dict(mean_of)
        if about and "r2" in name:
            # The parts' coordinate says nothing of unions, but is there once a part was selected.
            about["mean_alone"] = -1 / (n - 1)
        data[name] = (dims, values, {"units": "r2", **about})
    attrs = {k: v for k, v in plan.responses.attrs.items() if k in KEPT}
    return xr.Dataset(
        data,
        coords={
            **coords,
            "part": [" & ".join(p) for p in parts],
            "kind": ("part", ["unique" if len(p) == 1 else "shared" for p in parts]),
            "size": ("part", [len(p) for p in parts]),
            "mean_alone": ("part", [-1 / (n - 1) if len(p) == len(names) else 0.0 for p in parts]),
            "union": [" + ".join(u) for u in unions(names)],
            "region": masks["region"].values,
            "n_voxels": ("region", masks.values.sum(axis=1)),
        },
        attrs={**attrs, "score": "r2"},
    )
