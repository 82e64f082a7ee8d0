"""What a map says of regions (Fig. 9d): means over voxels, bootstrap intervals, permutation tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .. import brain, store
from ..crossval import by_subject
from ..labels import LAYER, listed, require_choice, require_dims, require_finite

Maps = xr.DataArray | Mapping[str, xr.DataArray] | Sequence[xr.DataArray]


def region_profile(
    weight_map: Maps,
    regions: Any = None,
    *,
    n_permutations: int = 1000,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Mean of a map over the voxels of every region, with its uncertainty over voxels.

    Parameters
    ----------
    weight_map : (layer, voxel) map, several of them, or a mapping of subject to map
    regions : see :func:`neurodecode.brain.regions`
    n_permutations, n_bootstrap, seed : int

    Returns
    -------
    Dataset over (region, layer)
        ``mean`` over voxels, then over subjects; ``low``, ``high`` a 95 % interval from resampling voxels within
        subjects; ``p`` one-sided, (b + 1) / (m + 1), against as many voxels drawn at random from the whole map of each
        subject; ``values`` (region, layer, subject); ``n_voxels`` (region, subject). Its provenance holds the maps'.

    Notes
    -----
    Voxels are taken as exchangeable. Neighbours on the cortex are alike, so p is too small for a claim about one region
    of one subject; compare subjects for that.
    """
    _require_count(n_permutations, "n_permutations")
    _require_count(n_bootstrap, "n_bootstrap")
    maps = {s: _checked(m) for s, m in by_subject(weight_map).items()}
    masks = {s: brain.regions(m, regions) for s, m in maps.items()}
    _require_alike({s: m.coords[LAYER] for s, m in maps.items()}, "layers")
    _require_alike({s: m.coords["region"] for s, m in masks.items()}, "regions")
    random = np.random.default_rng(seed)
    values, null, boot = [], [], []
    for subject, m in maps.items():
        inside = masks[subject].values
        flat = m.values.T
        values.append(_means(inside, flat))
        null.append(np.stack([_means(inside, random.permutation(flat)) for _ in range(n_permutations)]))
        boot.append(np.stack([_resampled(inside, flat, random) for _ in range(n_bootstrap)]))
    mean = np.mean(values, axis=0)
    # A mean over many terms differs from itself in the last digits when its terms are reordered.
    beaten = np.sum(np.mean(null, axis=0) >= mean - 1e-12 * np.abs(mean), axis=0)
    low, high = np.quantile(np.mean(boot, axis=0), [0.025, 0.975], axis=0)
    first = next(iter(maps.values()))
    dims = ("region", LAYER)
    result = xr.Dataset(
        {
            "mean": (dims, mean),
            "low": (dims, low),
            "high": (dims, high),
            "p": (dims, (beaten + 1) / (n_permutations + 1)),
            "values": ((*dims, "subject"), np.stack(values, axis=-1)),
            "n_voxels": (
                ("region", "subject"),
                np.stack([masks[s].values.sum(axis=1) for s in maps], axis=-1),
            ),
        },
        coords={
            "region": next(iter(masks.values())).region.values,
            LAYER: first.coords[LAYER].values,
            "subject": list(maps),
        },
        attrs={**_common(first), "n_permutations": n_permutations, "n_bootstrap": n_bootstrap, "seed": seed},
    )
    counts = {"n_permutations": n_permutations, "n_bootstrap": n_bootstrap}
    return _stamped(result, "spatial.region_profile", counts, maps, masks, seed)


def contrast(
    weight_map: Maps,
    regions: Any = None,
    *,
    pair: tuple[str, str] = ("LVC", "HVC"),
    n_permutations: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Test the difference of two regions' means, pair[0] - pair[1], by permuting voxels between them in every subject.

    Returns
    -------
    Dataset over (layer): ``difference`` (mean over subjects), two-sided ``p`` = (b + 1) / (m + 1), and ``values``
    (layer, subject). Its provenance holds the maps'. Voxels that lie in both regions are refused.
    """
    _require_count(n_permutations, "n_permutations")
    maps = {s: _checked(m) for s, m in by_subject(weight_map).items()}
    _require_alike({s: m.coords[LAYER] for s, m in maps.items()}, "layers")
    random = np.random.default_rng(seed)
    values, null, masks = [], [], {}
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
        flat = m.values.T[a | b]
        inside = np.stack([a[a | b], b[a | b]])
        values.append(np.subtract(*_means(inside, flat)))
        null.append([np.subtract(*_means(inside, random.permutation(flat))) for _ in range(n_permutations)])
    difference = np.mean(values, axis=0)
    beaten = np.sum(np.abs(np.mean(null, axis=0)) >= np.abs(difference) * (1 - 1e-12), axis=0)
    first = next(iter(maps.values()))
    result = xr.Dataset(
        {
            "difference": (LAYER, difference),
            "p": (LAYER, (beaten + 1) / (n_permutations + 1)),
            "values": ((LAYER, "subject"), np.stack(values, axis=-1)),
        },
        coords={LAYER: first.coords[LAYER].values, "subject": list(maps)},
        attrs={
            **_common(first),
            "pair": f"{pair[0]} - {pair[1]}",
            "n_permutations": n_permutations,
            "seed": seed,
        },
    )
    return _stamped(result, "spatial.contrast", {"n_permutations": n_permutations}, maps, masks, seed)


def _stamped(
    result: xr.Dataset,
    what: str,
    counts: Mapping[str, int],
    maps: Mapping[str, xr.DataArray],
    masks: Mapping[str, xr.DataArray],
    seed: int,
) -> xr.Dataset:
    """Say how a result was made, and how its maps were where they say so."""
    made = {s: store.provenance(m) for s, m in maps.items() if "provenance" in m.attrs}
    parameters = {
        "regions": next(iter(masks.values())).region.values.tolist(),
        **counts,
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


def _common(one: xr.DataArray) -> dict[str, Any]:
    """Attributes that hold for all subjects."""
    return {k: v for k, v in one.attrs.items() if k not in {"subject", "provenance"}}


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
