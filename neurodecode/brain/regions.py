"""Regions as boolean arrays, since a voxel may lie in several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..labels import listed, require_coord, require_same

# SCIENCE.md: low- and high-level visual cortex; hV4, MST and IPS belong to neither.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "LVC": ("V1", "V2", "V3", "V3ab"),
    "HVC": ("VO", "PHC", "LO", "MT"),
}


def regions(responses: xr.DataArray, regions: Any = None) -> xr.DataArray:
    """Which voxels (or channels) belong to which region: boolean (region, voxel).

    Parameters
    ----------
    responses : array with ``voxel`` (or ``channel``)
        Its coordinate ``roi`` gives the names.
    regions : optional
        None for every name in ``roi``; a list of names, groups ("LVC", "HVC") or sums of them ("LVC+HVC"); a mapping
        of new name to such names, to channel names, or to a 3-D NIfTI mask; or a boolean (region, voxel) array.

    Raises
    ------
    ValueError
        Unknown names (listing the known ones), a region without a voxel, or labels that differ.
    """
    dim = "voxel" if "voxel" in responses.dims else "channel"
    if dim not in responses.dims:
        raise ValueError(
            f"regions need the dimension 'voxel' or 'channel', there are {tuple(responses.dims)}"
        )
    if isinstance(regions, xr.DataArray):
        masks = _from_array(responses, regions, dim)
    elif isinstance(regions, Mapping):
        masks = _build(responses, {str(k): _one(responses, v, dim) for k, v in regions.items()}, dim)
    else:
        if regions is None:
            names = sorted(
                set(require_coord(responses, "roi", who="responses").values.tolist()) - {"", "none"}
            )
        else:
            names = [regions] if isinstance(regions, str) else list(regions)
        masks = _build(responses, {str(n): _one(responses, n, dim) for n in names}, dim)
    empty = [str(r) for r, n in zip(masks.region.values, masks.sum(dim).values, strict=True) if n == 0]
    if empty:
        raise ValueError(f"{len(empty)} of {masks.sizes['region']} regions have no {dim}: {listed(empty)}")
    return masks


def _from_array(responses: xr.DataArray, given: xr.DataArray, dim: str) -> xr.DataArray:
    if set(given.dims) != {"region", dim} or given.dtype != bool:
        raise ValueError(
            f"regions must be a boolean (region, {dim}) array, got {given.dtype} {tuple(given.dims)}"
        )
    require_same(responses, given, dim, who=("responses", "regions"))
    if "region" not in given.coords:
        raise ValueError("regions need names: a coordinate 'region'")
    return given.transpose("region", dim)


def _build(responses: xr.DataArray, masks: Mapping[str, np.ndarray], dim: str) -> xr.DataArray:
    if not masks:
        raise ValueError("no region was named")
    coords = {k: v for k, v in responses.coords.items() if v.dims == (dim,)}
    return xr.DataArray(
        np.stack(list(masks.values())), dims=("region", dim), coords={"region": list(masks), **coords}
    )


def _one(responses: xr.DataArray, what: Any, dim: str) -> np.ndarray:
    """Mask of one region: a name, a sum of names, an iterable of names, a boolean mask, or an image."""
    if isinstance(what, str):
        what = what.split("+")
    elif not isinstance(what, Iterable) or hasattr(what, "affine"):
        return _from_volume(responses, what)
    names = [str(n) for n in what]
    known = responses.coords[dim].values if dim == "channel" else None
    if known is None or "roi" in responses.coords:
        known = require_coord(responses, "roi", who="responses").values
    names = [member for name in names for member in GROUPS.get(name, (name,))]
    unknown = [n for n in names if n not in set(known.tolist())]
    if unknown and not set(names) & set(known.tolist()):
        raise ValueError(
            f"unknown region(s) {listed(unknown)}; there are {listed(sorted(set(known.tolist()) - {'', 'none'}), most=40)} "
            f"and the groups {listed(GROUPS)}"
        )
    if unknown and not _from_group(unknown):
        raise ValueError(
            f"unknown region(s) {listed(unknown)}; there are {listed(sorted(set(known.tolist())), most=40)}"
        )
    return np.isin(known, names)


def _from_group(names: Iterable[str]) -> bool:
    """Members of a group may be absent from a subject's atlas; a name that is no member was mistyped."""
    members = {m for group in GROUPS.values() for m in group}
    return all(n in members for n in names)


def _from_volume(responses: xr.DataArray, image: Any) -> np.ndarray:
    from .nifti import volume

    shape = responses.attrs.get("shape")
    if shape is None:
        raise ValueError("an image as region needs responses that were made from a NIfTI image")
    return np.asarray(
        volume(image, tuple(int(s) for s in shape)).ravel()[responses.coords["voxel"].values] != 0
    )
