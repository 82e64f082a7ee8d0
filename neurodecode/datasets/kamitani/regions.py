"""Regions as the metadata name them: a key is 1 in the columns of its voxels."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...labels import listed
from .bdata import BData

PREFIX = "ROI_"
# Voxels get the first of these names that the file has: areas before their unions.
ORDER = ("V1", "V2", "V3", "V4", "hV4", "LOC", "FFA", "PPA", "IT", "LVC", "HVC", "VC")
# What the metadata say of voxels beside regions.
OTHER = re.compile(r"Vox(el)?Data|voxel_.*|VolInds")


def members(found: BData, wanted: str | Sequence[str] | None, voxels: np.ndarray) -> dict[str, np.ndarray]:
    """Which of the voxels (columns of the file) belong to which region: {name: boolean (voxel)}.

    Parameters
    ----------
    wanted : one region, or several
        A region is a key ("ROI_V1", or "V1" for short), a pattern in which ``*`` stands for any text, every match a
        region of its own, or a sum ("ROI_V1 + ROI_V2"). None: every key that begins with "ROI_".

    Raises
    ------
    ValueError
        If no key matches, or a region has no voxel.
    """
    names = [wanted] if isinstance(wanted, str) else list(wanted or [])
    if wanted is not None and not names:
        raise ValueError("regions is empty: name some, or leave it out for all voxels")
    if wanted is None:
        names = [key for key in found.keys if key.startswith(PREFIX)]
    rows: dict[str, np.ndarray] = {}
    for name in names:
        terms = [_matching(found, term.strip()) for term in name.split("+")]
        if len(terms) == 1:
            rows |= {short(key): found.key(key)[voxels] == 1 for key in terms[0]}
        else:
            inside = [found.key(key)[voxels] == 1 for keys in terms for key in keys]
            rows[" + ".join(short(term.strip()) for term in name.split("+"))] = np.any(inside, axis=0)
    empty = [name for name, row in rows.items() if not row.any()]
    if empty and wanted is not None:
        raise ValueError(f"{listed(empty)} in {found.path} have no voxel; name others")
    return {name: row for name, row in rows.items() if row.any()}


def first_of(rows: dict[str, np.ndarray], count: int) -> np.ndarray:
    """Name of the first region in which every voxel lies; "" for none."""
    roi = np.full(count, "", dtype=object)
    for name, row in rows.items():
        roi[row & (roi == "")] = name
    return roi.astype(str)


def usual_order(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Known names in :data:`ORDER`, then all others."""
    names = [name for name in ORDER if name in rows]
    return {name: rows[name] for name in [*names, *(name for name in rows if name not in names)]}


def short(key: str) -> str:
    """Name of a region without "ROI_"."""
    return key.removeprefix(PREFIX)


def _matching(found: BData, term: str) -> list[str]:
    for pattern in (term, PREFIX + term):
        wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))))
        keys = [key for key in found.keys if wanted.fullmatch(key) and not OTHER.fullmatch(key)]
        if keys:
            return keys
    there = [key for key in found.keys if key.startswith((PREFIX, "hcp180"))]
    raise ValueError(
        f"{found.path} has no region {term!r}; it has {listed(there, most=40) or 'none that begins with ROI_'}"
    )
