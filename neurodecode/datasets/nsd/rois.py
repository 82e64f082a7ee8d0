"""Regions of one subject, from the atlases that come with the data.

In an atlas file of both hemispheres -1 is no cortex, 0 is cortex without a label, and 1, 2, ... are labels, the same
numbers left and right; in that of one hemisphere -1 is everything outside that hemisphere's cortex
(cvnlab/nsddatapaper, analysis_surfaceroistovolume.m). So only what is above 0 lies in a region.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...labels import listed
from .._files import listed_at, read_text
from .layout import LABELS, SOURCE, Files
from .volumes import Grid, read

# Of Kastner2015, overwritten where prf-visualrois is above 0: both number V1v to hV4 from 1 to 7.
PAPER: Mapping[str, tuple[int, ...]] = {
    "V1": (1, 2),
    "V2": (3, 4),
    "V3": (5, 6),
    "V3ab": (16, 17),
    "hV4": (7,),
    "VO": (8, 9),
    "PHC": (10, 11),
    "MT": (13,),
    "MST": (12,),
    "LO": (14, 15),
    "IPS": tuple(range(18, 24)),
}
LEFT, RIGHT = 1, 2


@dataclass(frozen=True)
class Labels:
    """Which voxel or vertex lies in which region.

    Attributes
    ----------
    labels : (X, Y, Z) or (vertex) of int, 0 for no region
    names : label -> name
    hemi : as labels, LEFT or RIGHT where they are above 0; None where the files do not tell
    """

    labels: np.ndarray
    names: Mapping[int, str]
    hemi: np.ndarray | None


@dataclass(frozen=True)
class Regions(Labels):
    """Labelled voxels of a volume, and its ``grid``."""

    grid: Grid


L = TypeVar("L", bound=Labels)


def regions(files: Files, wanted: str | Sequence[str], *, grid: Grid | None = None) -> Regions:
    """Return "paper", the regions of one atlas, or those of several, in the volume.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`chosen`; also if a file is missing, damaged or on another grid.
    """

    def one(name: str) -> Regions:
        nonlocal grid
        found = atlas(files, name, grid=grid)
        grid = found.grid
        return found

    return chosen(wanted, one)


def chosen(wanted: str | Sequence[str], atlas_of: Callable[[str], L]) -> L:
    """Return "paper", the regions of one atlas, or those of several; ``atlas_of`` reads an atlas by its name.

    A voxel of several atlases belongs to the one named first.

    Raises
    ------
    ValueError
        If labels have no name, or two atlases call regions by the same name.
    """
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if not names:
        raise ValueError("regions is empty: name an atlas, or 'paper'")
    found = paper(atlas_of) if names[0] == "paper" else atlas_of(names[0])
    for name in names[1:]:
        found = _joined(found, paper(atlas_of) if name == "paper" else atlas_of(name), names)
    return found


def paper(atlas_of: Callable[[str], L]) -> L:
    """The eleven regions :data:`PAPER`: Kastner2015, overwritten where prf-visualrois is above 0.

    What Kastner2015 calls V1v to hV4 where prf-visualrois has no label stays in V1 to hV4, as in the public code with
    this rule (``rois[prf > 0] = prf[prf > 0]``, then groups of numbers).
    """
    both = _over(atlas_of("Kastner2015"), atlas_of("prf-visualrois"))
    labels = np.zeros_like(both.labels)
    for i, numbers in enumerate(PAPER.values(), 1):
        labels[np.isin(both.labels, numbers)] = i
    return replace(both, labels=labels, names=dict(enumerate(PAPER, 1)))


def atlas(files: Files, name: str, *, grid: Grid | None = None) -> Regions:
    """One atlas by the name of its file: "Kastner2015", "streams", "floc-faces", "HCP_MMP1" ...

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`regions`; ValueError also if the files of the hemispheres and of both disagree.
    """
    whole, sides = files.roi(name), [files.roi(name, side) for side in ("lh", "rh")]
    what = f"atlas {name!r} of {files.who}"
    if not all(listed_at(path) for path in sides):
        labels, grid = _labels(whole, what, grid)
        return Regions(np.maximum(labels, 0), named(files, name, labels, whole), None, grid)
    (left, grid), (right, grid) = (_labels(path, f"{what}, one hemisphere", grid) for path in sides)
    # A voxel of both is on the left (analysis_surfaceroistovolume.m). Files that nowhere hold -1 (how the atlases that
    # were drawn in the volume are written is unverified) say "outside" by 0.
    outside = left < 0 if (left < 0).any() else left == 0
    joined = np.where(outside, right, left)
    if listed_at(whole):
        labels, grid = _labels(whole, what, grid)
        differ = (labels > 0) & (labels != joined)
        if differ.any():
            raise ValueError(
                f"{whole} and its files of the left and right hemisphere disagree on {int(differ.sum())} of "
                f"{int((labels > 0).sum())} labelled voxels; all three must be of one release"
            )
    else:
        labels = joined
    hemi = np.where(outside, RIGHT, LEFT)
    return Regions(np.maximum(labels, 0), named(files, name, labels, whole), hemi, grid)


def _labels(path: Path, what: str, grid: Grid | None) -> tuple[np.ndarray, Grid]:
    values, grid = read(path, what=what, grid=grid)
    return np.rint(np.nan_to_num(values)).astype(np.int64), grid


def named(files: Files, name: str, labels: np.ndarray, path: Path) -> dict[int, str]:
    """Names of the labels that an atlas' file holds.

    Raises
    ------
    FileNotFoundError, ValueError
        If the table of names is missing or damaged, or lacks a label.
    """
    there = [int(i) for i in np.unique(labels) if i > 0]
    known = LABELS.get(name) or _table(files.names(name), name)
    unknown = [i for i in there if i not in known]
    if unknown:
        raise ValueError(
            f"{path} holds the labels {listed(unknown)}, which have no name; known are {listed(known)}"
        )
    return {i: known[i] for i in there}


def _table(path: Path, atlas: str) -> dict[int, str]:
    """Read lines of number and name; whatever follows, such as colours, is passed over."""
    lines = read_text(path, what=f"names of the regions of {atlas!r}", source=SOURCE).splitlines()
    names = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            try:
                number, name = line.split()[:2]
                names[int(number)] = name
            except ValueError as error:
                raise ValueError(
                    f"{path} must have lines of number and name, got {line!r}; get it again from {SOURCE}"
                ) from error
    return {number: name for number, name in names.items() if number > 0}


def _over(below: L, above: L) -> L:
    """Put the labels of one over those of the other; they must number alike."""
    covered = above.labels > 0
    hemi = None
    if below.hemi is not None and above.hemi is not None:
        hemi = np.where(covered, above.hemi, below.hemi)
    labels = np.where(covered, above.labels, below.labels)
    return replace(below, labels=labels, names={**below.names, **above.names}, hemi=hemi)


def _joined(first: L, second: L, names: Sequence[str]) -> L:
    twice = set(first.names.values()) & set(second.names.values())
    if twice:
        raise ValueError(
            f"the regions {listed(sorted(twice))} are in more than one of {listed(names)}; load one of them, and take "
            "the others from neurodecode.datasets.nsd.masks"
        )
    shift = max(first.names, default=0)
    moved = replace(
        second,
        labels=np.where(second.labels > 0, second.labels + shift, 0),
        names={i + shift: name for i, name in second.names.items()},
    )
    return _over(moved, first)
