"""What a map says of regions (Fig. 9d): means over voxels, with limits and tests that know how smooth the map is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from .. import brain, store
from ..brain.subjects import Responses
from ..checks import require_counts
from ..labels import LAYER, listed, require_choice, require_dims, require_finite
from ..solve.intervals import reach_by_t
from ..solve.variogram import Variogram, degrees_of_freedom

NOISE = ("smooth", "white")
PLACE = ("x", "y", "z")
LEVEL = 0.95


def region_profile(
    weight_map: Responses,
    regions: Any = None,
    *,
    noise: str | None = None,
    n_permutations: int = 1000,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Mean of a map over the voxels of every region, with its uncertainty over voxels.

    Parameters
    ----------
    weight_map : (layer, voxel) map, several of them, or a mapping of subject to map
    regions : see :func:`neurodecode.brain.regions`
    noise : "smooth" or "white"
        Whether neighbouring voxels may be alike, as they are on every cortex. "smooth" needs the coordinates x, y, z of
        the voxels; "white" takes voxels as exchangeable, and finds far too much where they are not. Default: "smooth"
        where there are positions; attrs["noise"] says which.
    n_permutations, n_bootstrap : int
        For "white".
    seed : int

    Returns
    -------
    Dataset over (region, layer)
        ``mean`` over voxels, then over subjects; ``p``, one-sided: is it above the mean of the whole map; ``low``,
        ``high`` a 95 % interval; ``values`` (region, layer, subject); ``above`` (region, layer, subject), those minus
        the subject's mean of the whole map; ``n_voxels`` (region, subject). Its provenance holds the maps'.

        "smooth": a subject's ``above`` has the variance w' C w with w = 1/n_r inside the region minus 1/n everywhere,
        C the covariance that :class:`neurodecode.solve.variogram.Variogram` finds in the map; p and limits are
        Student's t with the degrees of freedom of such a map (Clifford, Richardson & Hemon 1989). "white": p =
        (b + 1) / (m + 1) against as many voxels drawn at random from the whole map of each subject; limits from
        resampling voxels within subjects.

    Raises
    ------
    ValueError
        Another ``noise``, "smooth" without positions or with one for all voxels, layers or regions that differ between
        subjects, NaN.

    Notes
    -----
    All this is about these subjects' maps. For a claim about people give ``above`` to
    :func:`neurodecode.inference.above_chance`.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> roi = ("voxel", ["V1"] * 30 + ["LO"] * 30)
    >>> weights = xr.DataArray([np.r_[np.ones(30), np.zeros(30)]], {"layer": ["c"], "roi": roi}, ("layer", "voxel"))
    >>> found = nd.spatial.region_profile(weights, ["V1", "LO"], n_permutations=99, n_bootstrap=99)
    >>> found["mean"].sel(layer="c").to_series().to_dict(), float(found["p"].sel(region="V1", layer="c"))
    ({'V1': 1.0, 'LO': 0.0}, 0.01)
    """
    _require_count(n_permutations, "n_permutations")
    _require_count(n_bootstrap, "n_bootstrap")
    maps = {s: _checked(m) for s, m in brain.by_subject(weight_map).items()}
    noise = _noise(maps, noise)
    masks = {s: brain.regions(m, regions) for s, m in maps.items()}
    _require_alike({s: m.coords[LAYER] for s, m in maps.items()}, "layers")
    _require_alike({s: m.coords["region"] for s, m in masks.items()}, "regions")
    random = np.random.default_rng(seed)
    values = np.stack([_means(masks[s].values, m.values.T) for s, m in maps.items()])
    above = values - np.stack([m.values.mean(axis=1) for m in maps.values()])[:, None]
    if noise == "smooth":
        p, low, high = _smooth(maps, masks, values, above, random)
    else:
        p, low, high = _exchanged(maps, masks, values, n_permutations, n_bootstrap, random)
    first = next(iter(maps.values()))
    dims = ("region", LAYER)
    counts = np.stack([masks[s].values.sum(axis=1) for s in maps], axis=-1)
    result = xr.Dataset(
        {
            "mean": (dims, values.mean(axis=0)),
            "low": (dims, low),
            "high": (dims, high),
            "p": (dims, p),
            "values": ((*dims, "subject"), np.moveaxis(values, 0, -1)),
            "above": ((*dims, "subject"), np.moveaxis(above, 0, -1)),
            "n_voxels": (("region", "subject"), counts),
        },
        coords={
            "region": next(iter(masks.values())).region.values,
            LAYER: first.coords[LAYER].values,
            "subject": list(maps),
        },
    )
    settings = {"noise": noise, "n_permutations": n_permutations, "n_bootstrap": n_bootstrap}
    result.attrs = {**_common(maps), **settings, "seed": seed}
    return _stamped(result, "spatial.region_profile", settings, maps, masks, seed)


def contrast(
    weight_map: Responses,
    regions: Any = None,
    *,
    pair: tuple[str, str] = ("LVC", "HVC"),
    noise: str | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Test the difference of two regions' means, pair[0] - pair[1], in every subject's map.

    Parameters
    ----------
    weight_map, regions, noise, seed : see :func:`region_profile`
    pair : two names among ``regions``
    n_permutations : int
        For "white", where voxels are permuted between the two.

    Returns
    -------
    Dataset over (layer): ``difference`` (mean over subjects), two-sided ``p``, by Student's t ("smooth") or
    (b + 1) / (m + 1) ("white"), and ``values`` (layer, subject). Its provenance holds the maps'. Voxels that lie in
    both regions are refused.

    Raises
    ------
    ValueError
        "smooth" without positions, names that are no regions, regions that share voxels, layers that differ, NaN.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> roi = ("voxel", ["V1"] * 30 + ["LO"] * 30)
    >>> weights = xr.DataArray([np.r_[np.ones(30), np.zeros(30)]], {"layer": ["c"], "roi": roi}, ("layer", "voxel"))
    >>> found = nd.spatial.contrast(weights, pair=("V1", "LO"), n_permutations=99)
    >>> found["difference"].values.tolist(), found["p"].values.tolist()
    ([1.0], [0.01])
    """
    _require_count(n_permutations, "n_permutations")
    maps = {s: _checked(m) for s, m in brain.by_subject(weight_map).items()}
    noise = _noise(maps, noise)
    _require_alike({s: m.coords[LAYER] for s, m in maps.items()}, "layers")
    random = np.random.default_rng(seed)
    masks = {}
    for subject, m in maps.items():
        found = brain.regions(m, list(pair) if regions is None else regions)
        for name in pair:
            require_choice(name, found.region.values.tolist(), what="region")
        masks[subject] = found.sel(region=list(pair))
        a, b = masks[subject].values
        if (a & b).any():
            raise ValueError(
                f"{pair[0]} and {pair[1]} share {int((a & b).sum())} voxels; a contrast needs disjoint regions"
            )
    values = np.stack([np.subtract(*_means(masks[s].values, m.values.T)) for s, m in maps.items()])
    difference = values.mean(axis=0)
    if noise == "smooth":
        p = _smooth_contrast(maps, masks, values, random)
    else:
        p = _exchanged_contrast(maps, masks, difference, n_permutations, random)
    first = next(iter(maps.values()))
    settings = {"noise": noise, "n_permutations": n_permutations}
    result = xr.Dataset(
        {
            "difference": (LAYER, difference),
            "p": (LAYER, p),
            "values": ((LAYER, "subject"), values.T),
        },
        coords={LAYER: first.coords[LAYER].values, "subject": list(maps)},
        attrs={**_common(maps), "pair": f"{pair[0]} - {pair[1]}", **settings, "seed": seed},
    )
    return _stamped(result, "spatial.contrast", settings, maps, masks, seed)


# ------------------------------------------------------------------------------------------- smooth noise
def _smooth(
    maps: Mapping[str, xr.DataArray],
    masks: Mapping[str, xr.DataArray],
    values: np.ndarray,
    above: np.ndarray,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P, and limits of the means, (region, layer), of values and ``above`` (subject, region, layer)."""
    of_mean, of_above, df = (np.empty_like(values) for _ in range(3))
    for i, (subject, m) in enumerate(maps.items()):
        covariance, of_all, df[i] = _smooth_noise(m, random)
        whole = np.ones(m.sizes["voxel"], dtype=bool)
        for j, inside in enumerate(masks[subject].values):
            of_mean[i, j] = within = covariance(inside, inside)
            of_above[i, j] = within - 2 * covariance(inside, whole) + of_all
    t, few = _student(above, of_above, df, scale=np.abs(values).max())
    mean, (se, of_limits) = values.mean(axis=0), _pooled(of_mean, df)
    half = reach_by_t(LEVEL, of_limits) * se
    return np.where(np.isnan(t), 1.0, stats.t.sf(t, few)), mean - half, mean + half


def _smooth_contrast(
    maps: Mapping[str, xr.DataArray],
    masks: Mapping[str, xr.DataArray],
    values: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    variance, df = np.empty_like(values), np.empty_like(values)
    for i, (subject, m) in enumerate(maps.items()):
        covariance, _, df[i] = _smooth_noise(m, random)
        a, b = masks[subject].values
        variance[i] = covariance(a, a) + covariance(b, b) - 2 * covariance(a, b)
    t, few = _student(values, variance, df, scale=max(float(np.abs(m.values).max()) for m in maps.values()))
    return np.where(np.isnan(t), 1.0, 2 * stats.t.sf(np.abs(t), few))


def _smooth_noise(
    m: xr.DataArray, random: np.random.Generator
) -> tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], np.ndarray, np.ndarray]:
    """Covariance (layer) of the means of a map over two sets of voxels, over all of them, and degrees of freedom."""
    places = Variogram(_places(m), random)
    whole = np.ones(m.sizes["voxel"], dtype=bool)
    everywhere = places.shares(whole, whole)
    c = np.stack([places.covariance(v) for v in m.values], axis=1)
    df = np.array([degrees_of_freedom(one, everywhere) for one in c.T])
    return lambda a, b: places.shares(a, b) @ c, everywhere @ c, df


def _student(
    values: np.ndarray, variance: np.ndarray, df: np.ndarray, *, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """T of the means over subjects, the first axis, and its degrees of freedom; NaN where nothing varies."""
    se, few = _pooled(variance, df)
    varies = se > 1e-9 * scale
    return np.divide(values.mean(axis=0), se, out=np.full_like(se, np.nan), where=varies), few


def _pooled(variance: np.ndarray, df: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard error of a mean over subjects, and its degrees of freedom (Satterthwaite 1946)."""
    variance = np.maximum(variance, 0)
    total = variance.sum(axis=0)
    squares = (variance**2 / df).sum(axis=0)
    few = np.divide(total**2, squares, out=np.full_like(total, np.inf), where=squares > 0)
    return np.sqrt(total) / len(variance), few


def _noise(maps: Mapping[str, xr.DataArray], noise: str | None) -> str:
    """Which noise is meant; smooth maps must say where their voxels are."""
    lacking = [
        s for s, m in maps.items() if not all(c in m.coords and m[c].dims == ("voxel",) for c in PLACE)
    ]
    if noise is None:
        return "white" if lacking else "smooth"
    require_choice(noise, NOISE, what="noise")
    if noise == "smooth" and lacking:
        raise ValueError(
            f"noise='smooth' needs the coordinates x, y, z of every voxel, which the maps of {len(lacking)} of "
            f"{len(maps)} subjects lack: {listed(lacking)}; add them, or test over subjects"
        )
    return noise


def _places(m: xr.DataArray) -> np.ndarray:
    places = np.stack([m[c].values.astype(float) for c in PLACE], axis=1)
    if not np.isfinite(places).all():
        raise ValueError(
            f"{int((~np.isfinite(places)).any(axis=1).sum())} of {len(places)} voxels have no finite x, y, z; give "
            "their positions, or noise='white'"
        )
    if (np.ptp(places, axis=0) == 0).all():
        raise ValueError(
            f"all {len(places)} voxels lie at one x, y, z ({', '.join(f'{v:g}' for v in places[0])}): nothing says how "
            "smooth the map is; give each voxel its position, or noise='white'"
        )
    return places


# ----------------------------------------------------------------------------------- exchangeable voxels
def _exchanged(
    maps: Mapping[str, xr.DataArray],
    masks: Mapping[str, xr.DataArray],
    values: np.ndarray,
    n_permutations: int,
    n_bootstrap: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P, and limits of the means, (region, layer)."""
    null, boot = [], []
    for subject, m in maps.items():
        inside, flat = masks[subject].values, m.values.T
        null.append(np.stack([_means(inside, random.permutation(flat)) for _ in range(n_permutations)]))
        boot.append(np.stack([_resampled(inside, flat, random) for _ in range(n_bootstrap)]))
    mean = values.mean(axis=0)
    # A mean over many terms differs from itself in the last digits when its terms are reordered.
    beaten = np.sum(np.mean(null, axis=0) >= mean - 1e-12 * np.abs(mean), axis=0)
    tails = [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]
    low, high = np.quantile(np.mean(boot, axis=0), tails, axis=0)
    return (beaten + 1) / (n_permutations + 1), low, high


def _exchanged_contrast(
    maps: Mapping[str, xr.DataArray],
    masks: Mapping[str, xr.DataArray],
    difference: np.ndarray,
    n_permutations: int,
    random: np.random.Generator,
) -> np.ndarray:
    null = []
    for subject, m in maps.items():
        a, b = masks[subject].values
        flat, inside = m.values.T[a | b], np.stack([a[a | b], b[a | b]])
        null.append([np.subtract(*_means(inside, random.permutation(flat))) for _ in range(n_permutations)])
    beaten = np.sum(np.abs(np.mean(null, axis=0)) >= np.abs(difference) * (1 - 1e-12), axis=0)
    return np.asarray((beaten + 1) / (n_permutations + 1))


def _stamped(
    result: xr.Dataset,
    what: str,
    settings: Mapping[str, Any],
    maps: Mapping[str, xr.DataArray],
    masks: Mapping[str, xr.DataArray],
    seed: int,
) -> xr.Dataset:
    """Say how a result was made, and how its maps were where they say so."""
    made = {s: store.provenance(m) for s, m in maps.items() if "provenance" in m.attrs}
    parameters = {
        "regions": next(iter(masks.values())).region.values.tolist(),
        **settings,
        **({"map": made} if made else {}),
    }
    hashes = {s: store.data_hash(m, masks[s]) for s, m in maps.items()}
    return store.stamp(result, what=what, parameters=parameters, seed=seed, data=hashes)


def _checked(given: xr.DataArray) -> xr.DataArray:
    require_dims(given, ["voxel"], who="weight map")
    if LAYER not in given.dims:
        # One layer that was selected keeps its name.
        name = given.coords[LAYER].item() if LAYER in given.coords else str(given.name or "map")
        given = given.drop_vars(LAYER, errors="ignore").expand_dims({LAYER: [name]})
    require_dims(given, [LAYER, "voxel"], who="weight map")
    require_finite(given, who="weight map")
    return given.transpose(LAYER, "voxel")


def _common(maps: Mapping[str, xr.DataArray]) -> dict[str, Any]:
    """Attributes that hold for all subjects."""
    first, *others = (m.attrs for m in maps.values())
    alike = {k: v for k, v in first.items() if all(k in o and np.array_equal(o[k], v) for o in others)}
    return {k: v for k, v in alike.items() if k not in {"subject", "provenance"}}


def _require_alike(names: Mapping[str, xr.DataArray], what: str) -> None:
    """Refuse subjects whose layers or regions are not the same: they could not be averaged."""
    subject, first = next(iter(names.items()))
    for other, found in names.items():
        if found.values.tolist() != first.values.tolist():
            raise ValueError(
                f"subjects {subject!r} and {other!r} have other {what}: {listed(first.values)} against "
                f"{listed(found.values)}; name those that all of them have"
            )


def _require_count(n: int, name: str) -> None:
    require_counts(**{name: n})
    if n < 1:
        raise ValueError(f"{name} must be at least 1, got {n}")


def _means(inside: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Region means (region, layer) of boolean inside (region, voxel) and values (voxel, layer)."""
    return inside @ flat / inside.sum(axis=1, keepdims=True)


def _resampled(inside: np.ndarray, flat: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Region means of voxels drawn with replacement within each region."""
    out = np.empty((len(inside), flat.shape[1]))
    for i, mask in enumerate(inside):
        rows = np.flatnonzero(mask)
        out[i] = flat[random.choice(rows, rows.size)].mean(axis=0)
    return out
