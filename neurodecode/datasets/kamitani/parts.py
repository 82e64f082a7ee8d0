"""Samples and voxels of one file: which part of the study each sample is, what was seen, when, and where voxels lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ...labels import listed
from .bdata import BData, opened
from .regions import first_of, members, usual_order
from .stimuli import IMAGERY, stimuli

SPLITS = {1: "train", 2: "test", 3: IMAGERY}
# Words in a file's name that say which part it is.
WORDS = {
    IMAGERY: re.compile("[Ii]magery"),
    "train": re.compile("Train|(?<![a-z])train"),
    "test": re.compile("Test|(?<![a-z])test"),
}
AXES = ("voxel_x", "voxel_y", "voxel_z")


@dataclass(frozen=True)
class Part:
    """Samples of one file, and its voxels.

    Attributes
    ----------
    samples : rows of the file, from 0; ``split``, ``stimulus``, ``session`` and ``run`` are those of each
    key : of the column that said what was seen
    voxels : which of the file's voxels are wanted; ``columns`` of the file that hold them, ``roi`` and ``xyz`` of each
    """

    path: Path
    samples: np.ndarray
    split: np.ndarray
    stimulus: np.ndarray
    session: np.ndarray | None
    run: np.ndarray | None
    key: str
    voxels: np.ndarray
    columns: np.ndarray
    roi: np.ndarray
    xyz: np.ndarray | None

    @property
    def labelled(self) -> np.ndarray:
        """Samples in which something was seen."""
        return self.stimulus != ""

    def taken(self, which: np.ndarray) -> Part:
        """Return the part with these of its samples alone."""
        along = {"samples", "split", "stimulus", "session", "run"}
        values = {k: v[which] if k in along and v is not None else v for k, v in vars(self).items()}
        return Part(**values)


def read(
    path: Path,
    split: str | None,
    regions: str | Sequence[str] | None,
    label: str | None,
    tables: Mapping[str, Mapping[int, str]],
) -> Part:
    """Read everything but the responses; arguments as for :func:`neurodecode.datasets.kamitani.load`.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, damaged, or lacks what is wanted.
    """
    with opened(path) as found:
        splits = _splits(found, split)
        stimulus, key = stimuli(found, splits, label, tables)
        session, run = _occasions(found, splits)
        every = voxels_of(found)
        inside = members(found, regions, every)
        wanted = np.ones(len(every), bool) if regions is None else np.any(list(inside.values()), axis=0)
        roi = first_of(usual_order(inside) if regions is None else inside, len(every))
        xyz = places(found, every)
    return Part(
        path=path,
        samples=np.arange(len(splits)),
        split=splits,
        stimulus=stimulus,
        session=session,
        run=run,
        key=key,
        voxels=np.flatnonzero(wanted),
        columns=every[wanted],
        roi=roi[wanted],
        xyz=None if xyz is None else xyz[wanted],
    )


def _splits(found: BData, said: str | None) -> np.ndarray:
    kinds = found.column("DataType")
    if kinds is not None:
        unknown = [v for v in np.unique(kinds).tolist() if v not in SPLITS]
        if unknown:
            raise ValueError(f"'DataType' in {found.path} is {listed(unknown)} somewhere; known are {SPLITS}")
        if said is not None:
            raise ValueError(
                f"{found.path} says itself which samples are {listed(SPLITS.values())} ('DataType'); give its path "
                "alone, and part=... for some of them"
            )
        return np.array([SPLITS[int(v)] for v in kinds])
    if said is None:
        # Imagery of test pictures is imagery.
        said = next((split for split, word in WORDS.items() if word.search(found.path.stem)), None)
    if said is None:
        raise ValueError(
            f"neither 'DataType' nor its name says which part {found.path} is; give {{'train': path, 'test': path}}"
        )
    return np.full(found.shape[0], said)


def _occasions(found: BData, splits: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    sessions, runs = found.column("Session"), found.column("Run")
    before = splits
    if sessions is not None:
        before = np.array([f"ses-{s}{_two(v)}" for s, v in zip(splits, sessions, strict=True)])
    run = None
    if runs is not None:
        run = np.array([f"{b}_run-{_two(v)}" for b, v in zip(before, runs, strict=True)])
    return None if sessions is None else before, run


def _two(number: float) -> str:
    return "n/a" if np.isnan(number) else f"{int(number):02d}"


def voxels_of(found: BData) -> np.ndarray:
    """Columns of all voxels.

    Raises
    ------
    ValueError
        If there are none.
    """
    if "VoxelData" not in found.keys:
        surface = " ('VertexData': on a surface, which is not read here)" * ("VertexData" in found.keys)
        raise ValueError(
            f"{found.path} has no 'VoxelData'{surface}; its keys are {listed(found.keys, most=40)}"
        )
    columns = found.where("VoxelData")
    if not columns.size:
        raise ValueError(f"'VoxelData' is 1 in no column of {found.path}; get the file again")
    return columns


def places(found: BData, columns: np.ndarray) -> np.ndarray | None:
    """Positions (column, 3) in mm; None where the file does not say."""
    if any(axis not in found.keys for axis in AXES):
        return None
    return np.stack([found.key(axis)[columns] for axis in AXES], axis=1)


def same_places(responses: xr.DataArray, xyz: np.ndarray | None) -> bool:
    """Whether the voxels of responses lie where a file says."""
    there = [axis for axis in "xyz" if axis in responses.coords]
    if xyz is None or len(there) < 3:
        return xyz is None and not there
    own = np.stack([responses.coords[axis].values for axis in there], axis=1)
    return bool(np.allclose(own, xyz[responses.coords["voxel"].values], equal_nan=True))


def require_same_voxels(first: Part, other: Part) -> None:
    """Refuse files of other voxels.

    Raises
    ------
    ValueError
        Naming both files, and how many voxels differ in what.
    """
    if len(first.voxels) != len(other.voxels):
        differ = f"{len(first.voxels)} against {len(other.voxels)} voxels"
    elif (first.voxels != other.voxels).any():
        differ = f"{int((first.voxels != other.voxels).sum())} of {len(first.voxels)} voxels are others"
    elif (first.xyz is None) != (other.xyz is None):
        differ = "only one has their positions"
    elif (moved := _elsewhere(first.xyz, other.xyz)).any():
        differ = f"{int(moved.sum())} of {len(moved)} voxels lie elsewhere"
    elif (first.roi != other.roi).any():
        differ = f"{int((first.roi != other.roi).sum())} of {len(first.roi)} voxels are in other regions"
    else:
        return
    raise ValueError(
        f"{first.path} and {other.path} do not have the same voxels: {differ}; they must be of one subject"
    )


def _elsewhere(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray:
    if a is None or b is None:
        return np.zeros(0, bool)
    far: np.ndarray = ~np.isclose(a, b, equal_nan=True)
    return np.asarray(far.any(axis=1))
