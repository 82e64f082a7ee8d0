"""Regions as boolean arrays, since a voxel may lie in several."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..checks import shown
from ..labels import (
    as_mask,
    by_text,
    listed,
    require_array,
    require_coord,
    require_same,
    require_unique,
    written,
)

# As in MindDiffuser (2025): low- and high-level visual cortex; hV4, MST and IPS belong to neither.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "LVC": ("V1", "V2", "V3", "V3ab"),
    "HVC": ("VO", "PHC", "LO", "MT"),
}
# Names in ``roi`` that stand for no region.
NONE = ("", "none")
NUMBERS = (int, float, np.integer, np.floating)


def regions(responses: xr.DataArray, regions: Any = None) -> xr.DataArray:
    """Which voxels (or channels) belong to which region: boolean (region, voxel).

    Parameters
    ----------
    responses : array with ``voxel`` (or ``channel``)
        Its coordinate ``roi`` gives the names.
    regions : optional
        None for every name in ``roi``; a list of names, groups ("LVC", "HVC") or sums of them ("LVC+HVC"); a mapping
        of new name to such names, to a boolean mask, or to a 3-D mask, NIfTI or array; or a boolean (region, voxel)
        array.
        A name in ``roi`` that has a "+" itself, as NSD's "ecc4+", is taken whole. Channels without ``roi`` go by their
        own names. Members of a group that an atlas lacks are passed over.

    Raises
    ------
    ValueError
        Unknown names (listing the known ones), a region without a voxel, labels that differ, or a coordinate that is
        called ``region`` already.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> betas = nd.brain.fmri(np.zeros((1, 4)), sample=[0], stimulus=["cat"], roi=["V1", "V2", "LO", "hV4"])
    >>> nd.brain.regions(betas, ["V1", "LVC"]).sum("voxel").to_series().to_dict()
    {'V1': 1, 'LVC': 2}
    """
    dim = "voxel" if "voxel" in require_array(responses, who="responses").dims else "channel"
    if dim not in responses.dims:
        raise ValueError(
            f"regions need the dimension 'voxel' or 'channel', there are {tuple(responses.dims)}"
        )
    if "region" in responses.coords:
        raise ValueError(
            "responses have a coordinate 'region', the name of the dimension that is made here; names of regions "
            "belong in 'roi': use responses.rename(region='roi'), or .drop_vars('region')"
        )
    if isinstance(regions, xr.DataArray):
        masks = _from_array(responses, regions, dim)
    else:
        if regions is None:
            regions = _known(responses, dim)
        if not isinstance(regions, Mapping):
            regions = {str(n): n for n in _names_of(regions)}
        named = by_text(regions, who="names of regions")
        masks = _build(responses, {name: _one(responses, what, dim) for name, what in named.items()}, dim)
    empty = [str(r) for r, n in zip(masks.region.values, masks.sum(dim).values, strict=True) if n == 0]
    if empty:
        raise ValueError(f"{len(empty)} of {masks.sizes['region']} regions have no {dim}: {listed(empty)}")
    return masks


def _names_of(regions: Any) -> Iterable[Any]:
    if isinstance(regions, str):
        return [regions]
    if (
        isinstance(regions, bytes)
        or not isinstance(regions, Iterable)
        or isinstance(regions, np.ndarray)
        and not regions.ndim
    ):
        raise TypeError(
            f"regions must be names, a mapping of name to names or mask, or a boolean (region, ...) array, got "
            f"{shown(regions)} ({type(regions).__name__})"
        )
    return regions


def _from_array(responses: xr.DataArray, given: xr.DataArray, dim: str) -> xr.DataArray:
    if set(given.dims) != {"region", dim} or given.dtype != bool:
        raise ValueError(
            f"regions must be a boolean (region, {dim}) array, got {given.dtype} {tuple(given.dims)}"
        )
    require_same(responses, given, dim, who=("responses", "regions"))
    if "region" not in given.coords:
        raise ValueError("regions need names: a coordinate 'region'")
    require_unique(given, "region", who="regions")
    return given.transpose("region", dim)


def _build(responses: xr.DataArray, masks: Mapping[str, np.ndarray], dim: str) -> xr.DataArray:
    if not masks:
        raise ValueError("no region was named, neither in regions=... nor in the coordinate 'roi'; name one")
    coords = {k: v for k, v in responses.coords.items() if v.dims == (dim,)}
    return xr.DataArray(
        np.stack(list(masks.values())), dims=("region", dim), coords={"region": list(masks), **coords}
    )


def _one(responses: xr.DataArray, what: Any, dim: str) -> np.ndarray:
    """Mask of one region: a name, a sum of names, a collection of names, a boolean mask, or an image."""
    if isinstance(what, str | int | np.integer):
        return _from_names(responses, _terms(responses, str(what), dim), dim)
    of_volume = isinstance(what, np.ndarray) and what.ndim == 3
    if of_volume or hasattr(what, "affine") or not isinstance(what, Collection):
        return _from_volume(responses, what)
    if np.asarray(what).dtype == bool:
        return as_mask(what, responses, dim, who="a region's mask")
    return _from_names(responses, [str(n) for n in what], dim)


def _terms(responses: xr.DataArray, text: str, dim: str) -> list[str]:
    """Names of a sum. One that is known is taken whole, the longest first: "ecc4+" of NSD is a name, and no sum."""
    if "+" not in text:
        return [text]
    known, pieces, terms = _known(responses, dim), text.split("+"), []
    while pieces:
        joined = ["+".join(pieces[:n]) for n in range(len(pieces), 0, -1)]
        term = next((t for t in joined if t in known or t.strip() in known), pieces[0])
        terms.append(term)
        pieces = pieces[term.count("+") + 1 :]
    return terms


def region_names(values: Any) -> np.ndarray:
    """Write each entry of ``roi`` as the name of its region, "" where it has none.

    Missing entries have none, and neither has the number 0, the background of an atlas; whole floats, which an atlas
    image or a column with holes turns its numbers into, are named as the integers that they are.
    """
    array = np.asarray(values, dtype=object)
    return np.array([_region_name(v) for v in array.ravel()], dtype=str).reshape(array.shape)


def _region_name(value: Any) -> str:
    zero = isinstance(value, NUMBERS) and not isinstance(value, bool) and value == 0
    try:
        return "" if zero else written(value)
    except UnicodeDecodeError as error:
        raise ValueError(f"the region {value!r} is no UTF-8 text; give text") from error


def _known(responses: xr.DataArray, dim: str) -> list[str]:
    return sorted(set(_labels(responses, dim).tolist()) - set(NONE))


def _labels(responses: xr.DataArray, dim: str) -> np.ndarray:
    """What regions go by: ``roi``, or the names of channels that have none."""
    if dim == "channel" and "roi" not in responses.coords:
        return require_coord(responses, "channel", who="responses", dim=dim).values.astype(str)
    return region_names(require_coord(responses, "roi", who="responses", dim=dim).values)


def _from_names(responses: xr.DataArray, names: list[str], dim: str) -> np.ndarray:
    """Join names and groups. A group takes the members that there are; a name must be there itself."""
    known = _known(responses, dim)
    names = [n if n in known else n.strip() for n in names]
    members = {n: [n] if n in known else [m for m in GROUPS.get(n, ()) if m in known] for n in names}
    unknown = [n for n, found in members.items() if not found]
    if unknown:
        raise ValueError(
            f"unknown region(s) {listed(unknown)}; there are "
            f"{listed(known, most=40)} and the groups {listed(GROUPS)}"
        )
    return np.isin(_labels(responses, dim), sum(members.values(), []))


def _from_volume(responses: xr.DataArray, image: Any) -> np.ndarray:
    from .nifti import volume

    if "affine" not in responses.attrs:
        raise ValueError("an image as region needs responses that were made from a NIfTI image")
    grid = tuple(responses.attrs["shape"]), np.reshape(responses.attrs["affine"], (4, 4))
    inside = np.nan_to_num(volume(image, grid, who="a region's mask")) != 0
    return np.asarray(inside.ravel()[responses.coords["voxel"].values])
