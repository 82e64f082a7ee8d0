"""Cluster permutation tests over time, time by time, and cortex: tests of mne.stats, on labelled scores."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy import sparse

from .. import store
from ..checks import as_numbers, require_counts, require_numbers, require_share, shown
from ..labels import LAYER, listed, require_array, require_choice, require_finite
from .groups import by_subject, chance_of
from .pairs import drawn_by, made_of, paired, told_apart

WINDOWS = ("window", "train_window", "test_window", "time")
# Steps of threshold-free cluster enhancement, as mne's examples take them.
TFCE: Mapping[str, float] = {"start": 0.0, "step": 0.2}


@dataclass(frozen=True)
class _Test:
    """What every family of clusters is tested with."""

    threshold: float | dict[str, float]
    tail: int
    n_permutations: int
    seed: int

    def run(self, values: np.ndarray, adjacency: Any) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Statistic, clusters as masks, and p of each (of every entry for TFCE), of values (subject, ...)."""
        if isinstance(self.threshold, dict) and not np.ptp(values, axis=0).any():
            raise ValueError(
                "all subjects have the same scores: TFCE needs a finite t; give clusters a threshold"
            )
        # Below is above with the sign turned round: mne 1.13 itself ranks TFCE the wrong way for tail=-1.
        sign = -1.0 if self.tail == -1 else 1.0
        values = np.ascontiguousarray(sign * values)
        statistic, masks, null = self._mne(values, adjacency, self.n_permutations)
        masses = self._masses(statistic, masks)
        if self.tail and null.size == 2 ** len(values):
            # All flips but one that mne takes twice: that of none, last, stands where that of all belongs.
            turned, other, _ = self._mne(-values, adjacency, 1)
            null[-1] = self._masses(turned, other).max(initial=0.0)
        # Flips that tie with the clusters found but for rounding count.
        least = masses * (1 - 1e-9)
        p = np.array([np.mean(np.abs(null) >= mass) for mass in least]) if null.size else np.ones(masses.size)
        return sign * statistic, masks, p

    def _mne(
        self, values: np.ndarray, adjacency: Any, n_permutations: int
    ) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Statistic, clusters, and the largest mass under every flip, that of none first."""
        from mne.stats import permutation_cluster_1samp_test

        # Where all subjects are alike, t is infinite above chance, rightly, and no number at chance: no cluster there.
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic, masks, _, null = permutation_cluster_1samp_test(
                values,
                threshold=self.threshold,
                n_permutations=n_permutations,
                tail=abs(self.tail),
                adjacency=adjacency,
                rng=self.seed,
                out_type="mask",
                verbose="error",
            )
        return statistic, list(masks), np.array(null)

    def _masses(self, statistic: np.ndarray, masks: list[np.ndarray]) -> np.ndarray:
        """Sizes that are ranked: of every cluster, or of every entry for TFCE."""
        if isinstance(self.threshold, dict):
            return np.abs(np.nan_to_num(statistic, nan=0.0)).ravel()
        return np.array([abs(statistic[mask].sum()) for mask in masks])


def clusters(
    scores: xr.DataArray,
    *,
    against: xr.DataArray | None = None,
    over: str = "subject",
    chance: float | None = None,
    tail: int | None = None,
    threshold: float | str | Mapping[str, float] = 0.05,
    adjacency: Any = None,
    family: str = "layer",
    alpha: float = 0.05,
    n_permutations: int = 1024,
    seed: int = 0,
) -> xr.Dataset:
    """Where are scores above chance, or two scores different? A cluster permutation test (Maris & Oostenveld 2007).

    Student's t over subjects is taken everywhere; neighbours beyond the threshold on the same side are one cluster, and
    its mass is the sum of their t. p is the share of flips of the subjects' signs whose largest cluster has at least
    this mass (:func:`mne.stats.permutation_cluster_1samp_test`): all flips where ``n_permutations`` allow them. It
    bounds the chance of *any* false cluster of the family; it says little of where exactly a cluster begins or ends
    (Sassenhagen & Draschkow 2019, and see :func:`latency`).

    Parameters
    ----------
    scores : (window | time | train_window, test_window, voxel | channel | region, layer, subject)
        Clusters grow along windows, and along one spatial dimension if ``adjacency`` is given; layers are apart. Folds,
        if any, are averaged first within each subject.
    against : of the same dims, labels and units, optional
        Another condition or feature space of the same subjects: their difference, subject by subject, is tested. What
        tells the two apart may stay as a coordinate without dimension (``.sel(layer="c")``, ``.sel(layer="z")``).
    over : str
        The dimension of what was drawn at random: subjects.
    chance : float, optional
        Default: the coordinate ``chance`` of the scores, each against its own, or attrs["chance"].
    tail : 1, 0 or -1, optional
        Above, two-sided, below. Default 1 against chance, 0 with ``against``.
    threshold : float, "tfce" or a mapping
        The p of t beyond which neighbours form clusters (two-sided: half on each side). "tfce" instead enhances t
        without a threshold (Smith & Nichols 2009) in steps of .2 from 0, or of a mapping's "start" and "step" (mne's):
        p then belongs to every entry on its own, and there are no clusters to list.
    adjacency : sparse matrix (n, n), optional
        Which entries of the spatial dimension are neighbours, see :func:`neighbours`.
    family : "layer" or "all"
        What shares one null distribution: every layer has its own, or the largest cluster over all layers is it, which
        corrects for their number.
    alpha : float
        p at or below which a cluster is ``significant``.
    n_permutations, seed : int

    Returns
    -------
    Dataset of the dims of ``scores`` without subjects
        ``p`` of the cluster that each entry lies in (1 outside), ``significant``, ``cluster``, its number from 1 on (0
        outside; :func:`cluster_table` lists them), and ``statistic``, t (TFCE: the enhanced). Attrs n, the settings,
        chance where it is one, a and b (what tells ``scores`` and ``against`` apart), provenance.

    Raises
    ------
    ValueError
        Fewer than 2 subjects, an unknown chance, a missing score, a dimension along which there are no neighbours, an
        adjacency of another size, settings out of range, or scores that cannot be compared.

    Warns
    -----
    UserWarning
        If there are so few subjects, or permutations, that no cluster can reach ``alpha``.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> values = 0.05 * rng.normal(size=(12, 20)) + np.where(np.arange(20) > 9, 0.3, 0.0)
    >>> scores = xr.DataArray(values, {"window": np.arange(20) / 50}, ("subject", "window"), attrs={"chance": 0.0})
    >>> found = nd.inference.clusters(scores, n_permutations=200)
    >>> bool(found["significant"][10:].all())
    True
    """
    require_choice(family, (LAYER, "all"), what="family of clusters")
    tail = (1 if against is None else 0) if tail is None else tail
    require_choice(tail, (1, 0, -1), what="tail")
    require_share(alpha=alpha, such=".05")
    require_counts(n_permutations=n_permutations, seed=seed)
    names: dict[str, str] = {}
    if against is None:
        values, level = _above(scores, over, chance)
    else:
        (values, names), level = _difference(scores, against, over, chance), xr.DataArray(0.0)
    n = values.sizes[over]
    _require_enough(n, over, alpha=alpha, n_permutations=n_permutations, two_sided=tail == 0)
    time, space = _neighbourly(values, scores, over, adjacency)
    ordered = values.transpose(..., over, *time, *space)
    stacked = ordered if LAYER in ordered.dims else ordered.expand_dims(LAYER)
    test = _Test(_threshold(threshold, n, two_sided=tail == 0), tail, n_permutations, seed)
    together = family == "all"
    array = stacked.values.astype(np.float64)
    found = _tested(array, test, n_time=len(time), adjacency=adjacency, together=together)
    like = stacked.isel({over: 0}, drop=True).drop_attrs(deep=False).assign_attrs(drawn_by(scores))
    data = {name: like.copy(data=array) for name, array in found.items()}
    data["significant"] = like.copy(data=found["p"] <= alpha)
    result = xr.Dataset(data).drop_vars("chance", errors="ignore")
    result = result if LAYER in ordered.dims else result.isel({LAYER: 0}, drop=LAYER not in scores.coords)
    said = str(dict(threshold)) if isinstance(threshold, Mapping) else threshold
    attrs = {
        "alpha": alpha,
        "over": over,
        "n": n,
        "n_permutations": n_permutations,
        "seed": seed,
        "tail": tail,
        "threshold": said if isinstance(said, str) else float(said),
        "family": family,
        "dims": [*time, *space],
        **names,
    }
    if against is None and (level.size == 1 or np.ptp(level.values) < 1e-9):
        attrs["chance"] = float(level.values.flat[0])
    parameters = {**attrs, "scores": made_of(scores, against)}
    hashed = scores if against is None else {"scores": scores, "against": against}
    return store.stamp(
        result.assign_attrs(attrs), what="inference.clusters", parameters=parameters, seed=seed, data=hashed
    )


def _require_enough(n: int, over: str, *, alpha: float, n_permutations: int, two_sided: bool) -> None:
    """Refuse no flips at all; say so where so few subjects or flips are there that nothing can be found."""
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1, better some thousands; got {n_permutations}")
    smallest = max(0.5 ** (n - two_sided), 1 / n_permutations)
    if smallest > alpha:
        cause = f"{n} {over}s" if smallest > 1 / n_permutations else f"{n_permutations} permutations"
        warnings.warn(
            f"with {cause} the smallest possible p is {smallest:.3g}: nothing can be significant at "
            f"{alpha:g}; take more",
            UserWarning,
            stacklevel=3,
        )


def cluster_table(found: xr.Dataset) -> xr.Dataset:
    """List the clusters of a test, in the order of their p.

    Parameters
    ----------
    found : Dataset from :func:`clusters`, not of TFCE

    Returns
    -------
    Dataset (cluster)
        ``p``, ``mass`` (sum of t, negative below), ``size`` (entries), ``significant``, ``peak`` (the t farthest from
        0); for every dimension of windows ``start`` and ``stop``, the centres of its first and last window in s (of
        time by time ``train_window_start``, ...), and ``<dim>_peak``, the label of the peak along every dimension.
        Coordinates ``cluster``, the number in ``found``, and ``layer``, where there are several. Attrs as of ``found``.

    Raises
    ------
    ValueError
        Anything but such a Dataset.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> values = 0.05 * rng.normal(size=(12, 20)) + np.where(np.arange(20) > 9, 0.3, 0.0)
    >>> scores = xr.DataArray(values, {"window": np.arange(20) / 50}, ("subject", "window"), attrs={"chance": 0.0})
    >>> table = nd.inference.cluster_table(nd.inference.clusters(scores, n_permutations=200))
    >>> round(float(table["stop"][0]), 2)
    0.38
    """
    lacking = [
        k for k in ("p", "cluster", "statistic") if not isinstance(found, xr.Dataset) or k not in found
    ]
    if lacking:
        raise ValueError(
            f"cluster_table takes the Dataset of inference.clusters; there is no {listed(lacking)}"
        )
    if _is_tfce(found.attrs["threshold"]):
        raise ValueError(
            "TFCE has a p for every entry and no clusters to list; give clusters a threshold, such as .05"
        )
    dims = list(map(str, found["p"].dims))
    time = [d for d in dims if d in WINDOWS]
    numbers = np.unique(found["cluster"].values)
    rows = [_row(found, number, dims, time) for number in numbers[numbers > 0]]
    names = list(_row(found, None, dims, time))
    columns = {name: ("cluster", np.array([row[name] for row in rows])) for name in names}
    table = xr.Dataset(columns, coords={"cluster": numbers[numbers > 0]}, attrs=dict(found.attrs))
    for name in table.data_vars:
        if str(name) in ("start", "stop") or str(name).endswith(("_start", "_stop")):
            table[name].attrs["units"] = "s"
    if LAYER in table:
        table = table.set_coords(LAYER)
    return table.isel(cluster=np.lexsort((-np.abs(table["mass"].values), table["p"].values)))


def _row(found: xr.Dataset, number: Any, dims: list[str], time: list[str]) -> dict[str, Any]:
    """One cluster; of none (None) the names of the columns alone."""
    inside = (
        found["cluster"].values == number if number is not None else np.zeros(found["p"].shape, dtype=bool)
    )
    inside = inside if inside.any() else np.ones_like(inside)
    statistic = np.where(inside, found["statistic"].values, 0.0)
    at = np.unravel_index(int(np.argmax(np.abs(statistic))), statistic.shape)
    row: dict[str, Any] = {
        "p": found["p"].values[at],
        "mass": statistic[inside].sum(),
        "size": int(inside.sum()),
        "significant": bool(found["significant"].values[at]),
        "peak": statistic[at],
    }
    for dim in time:
        axis = dims.index(dim)
        centres = _labels(found, dim)[inside.any(axis=tuple(i for i in range(len(dims)) if i != axis))]
        prefix = "" if len(time) == 1 else f"{dim}_"
        row |= {f"{prefix}start": centres.min(), f"{prefix}stop": centres.max()}
    for axis, dim in enumerate(dims):
        row[LAYER if dim == LAYER else f"{dim}_peak"] = _labels(found, dim)[at[axis]]
    return row


def _labels(found: xr.Dataset, dim: str) -> np.ndarray:
    return found[dim].values if dim in found.coords else np.arange(found.sizes[dim])


# ------------------------------------------------------------------------------------------------ what is tested
def _above(scores: xr.DataArray, over: str, chance: float | None) -> tuple[xr.DataArray, xr.DataArray]:
    """Scores minus their chance, and chance."""
    values = by_subject(scores, over)
    require_finite(values, who="scores")
    if chance is not None:
        require_numbers(chance=chance)
    level = chance_of(scores, over) if chance is None else xr.DataArray(float(chance))
    if level is None or not np.isfinite(level.values).all():
        raise ValueError("clusters needs the chance level: give chance=...")
    n = values.sizes[over]
    if n < 2:
        raise ValueError(f"a test over {over!r} needs at least 2, got {n}: {listed(values[over].values)}")
    return values - level, level


def _difference(
    scores: xr.DataArray, against: xr.DataArray, over: str, chance: float | None
) -> tuple[xr.DataArray, dict[str, str]]:
    """Differences of the same subjects, labels checked, and what tells the two apart."""
    if chance is not None:
        raise ValueError(
            "chance is for scores alone: a difference is tested against 0; leave it out with against=..."
        )
    a, b = told_apart(require_array(scores, who="scores"), require_array(against, who="against"))
    first, second, _ = paired(scores, against, over, "raise")
    return first - second, {"a": a, "b": b}


def _neighbourly(
    values: xr.DataArray, scores: xr.DataArray, over: str, adjacency: Any
) -> tuple[list[str], list[str]]:
    """Dimensions of time, and the one of space, along which clusters grow."""
    time = [str(d) for d in values.dims if d in WINDOWS]
    space = [str(d) for d in values.dims if d not in (*WINDOWS, over, LAYER)]
    given = tuple(map(str, scores.dims))
    for dim in time:
        if dim in values.coords and (np.diff(_seconds(values, dim)) <= 0).any():
            raise ValueError(
                f"{dim!r} of scores must rise, since neighbours form clusters; sort it with .sortby({dim!r})"
            )
    if adjacency is None:
        if not time or space:
            raise ValueError(
                f"clusters lie along {listed(WINDOWS)}, but scores have {given}; give the adjacency of another "
                "dimension (inference.neighbours), select one entry of it, or correct them with fdr"
            )
        return time, space
    if len(space) != 1:
        raise ValueError(
            f"an adjacency is that of one dimension beside {listed((*WINDOWS, over, LAYER))}, but scores have {given}; "
            "select one entry of the others"
        )
    if not sparse.issparse(adjacency):
        raise TypeError(
            f"adjacency must be a sparse matrix, as inference.neighbours makes it, not {type(adjacency).__name__}"
        )
    size = values.sizes[space[0]]
    if adjacency.shape != (size, size):
        raise ValueError(
            f"the adjacency is {adjacency.shape[0]} x {adjacency.shape[1]}, but scores have {size} {space[0]!r} "
            "labels; make it of the very scores: inference.neighbours(scores)"
        )
    return time, space


def _seconds(values: xr.DataArray, dim: str) -> np.ndarray:
    return as_numbers(values[dim], what=f"{dim!r} of scores", remedy="give seconds from onset")


def _is_tfce(threshold: Any) -> bool:
    return isinstance(threshold, str | Mapping)


def _threshold(threshold: Any, n: int, *, two_sided: bool) -> float | dict[str, float]:
    """Of mne: a t, or the steps of TFCE."""
    from scipy.stats import t

    if _is_tfce(threshold):
        steps = TFCE if isinstance(threshold, str) and threshold == "tfce" else threshold
        if not isinstance(steps, Mapping) or not {"start", "step"} <= set(steps):
            raise ValueError(
                f'threshold is a p such as .05, "tfce", or a mapping with "start" and "step"; got {shown(threshold)}'
            )
        if not (steps["start"] >= 0 and steps["step"] > 0):
            raise ValueError(
                f"TFCE starts at 0 or above and steps upwards, got {dict(steps)}; give start and step"
            )
        return {k: float(v) for k, v in steps.items()}
    require_numbers(threshold=threshold)
    if not 0 < threshold < 0.5:
        raise ValueError(f"threshold is the p beyond which clusters form, between 0 and .5; got {threshold}")
    return float(t.ppf(1 - threshold / (2 if two_sided else 1), n - 1))


# ---------------------------------------------------------------------------------------------------- the tests
def _tested(
    values: np.ndarray, test: _Test, *, n_time: int, adjacency: Any, together: bool
) -> dict[str, np.ndarray]:
    """p, number of the cluster and statistic (layer, *time, *space) of values (layer, subject, *time, *space)."""
    families = [values] if together else [one[None] for one in values]
    parts, last = [], 0
    for family in families:
        part = _family(family, test, n_time=n_time, adjacency=adjacency)
        part["cluster"] = np.where(part["cluster"] > 0, part["cluster"] + last, 0)
        last = max(last, int(part["cluster"].max()))
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _family(values: np.ndarray, test: _Test, *, n_time: int, adjacency: Any) -> dict[str, np.ndarray]:
    """One family: layers share a null, as places that are nobody's neighbours."""
    layers, shape = len(values), values.shape[2:]
    # (layer, subject, *time, *space) -> (subject, *time, layer, *space)
    moved = np.moveaxis(values, 0, 1 + n_time)
    matrix = _matrix(adjacency, layers, shape[:n_time])
    flat = moved.reshape(*moved.shape[: 1 + n_time], -1) if matrix is not None else moved.squeeze(1 + n_time)
    statistic, masks, p = test.run(flat, matrix)
    p_of, number = np.ones(flat.shape[1:]), np.zeros(flat.shape[1:], dtype=int)
    if isinstance(test.threshold, dict):
        p_of = np.reshape(p, p_of.shape)
    else:
        for i, (mask, value) in enumerate(zip(masks, p, strict=True), start=1):
            p_of[mask], number[mask] = value, i

    def back(array: np.ndarray) -> np.ndarray:
        return np.moveaxis(array.reshape(*shape[:n_time], layers, *shape[n_time:]), n_time, 0)

    return {"p": back(p_of), "cluster": back(number), "statistic": back(statistic)}


def _matrix(adjacency: Any, layers: int, time: tuple[int, ...]) -> Any:
    """Neighbours of everything behind the subjects as mne wants them; None for a lattice of windows."""
    if adjacency is None and layers == 1:
        return None
    places = sparse.csr_array((1, 1)) if adjacency is None else sparse.csr_array(adjacency, dtype=bool)
    spatial = sparse.csr_array(sparse.kron(sparse.eye_array(layers), places, format="csr"), dtype=float)
    if len(time) < 2:
        # Along one dimension of time mne itself joins neighbouring windows.
        return spatial.tocoo()
    from mne.stats import combine_adjacency

    return combine_adjacency(*time, spatial.tocoo())
