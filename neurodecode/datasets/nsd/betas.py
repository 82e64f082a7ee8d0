"""Responses of single trials: betas of the voxels that are wanted, read when they are needed.

``betas_sessionBB.hdf5`` holds ``/betas``, int16, percent signal change x 300. MATLAB wrote it as X x Y x Z x 750 with
one voxel a chunk, which is (750, Z, Y, X) in Python; betas are all 0 in a voxel that is invalid in a session or
outside the brain mask (NSD Data Manual, Functional data NSD; cvnlab/nsddatapaper export.m, export_noiseceiling.m).
``betas_sessionBB.nii.gz`` holds the same numbers as (X, Y, Z, 750), but must be unpacked whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...labels import listed, require_memory
from .._blocks import rows
from .._files import listed_at, member, open_hdf5, present
from .layout import SCALE, SOURCE, TRIALS, Files
from .volumes import Grid, open_image, read, values_of

NAME = re.compile(r"betas_session(\d+)\.(hdf5|nii\.gz)")


def sessions(files: Files, wanted: int | None) -> list[Path]:
    """Files of the first ``wanted`` sessions (None: of all that are there), HDF5 before NIfTI.

    Raises
    ------
    FileNotFoundError
        If there are none, a session before the last one is missing, or fewer are there than wanted.
    ValueError
        If a session is empty, or there are more than the subject came to.
    """
    found = numbers(files.betas, NAME)
    last = last_session(files, files.betas, found, wanted, lambda n: files.session(n, "hdf5"))
    return [
        present(_one(files, n), what=f"betas of session {n} of {files.who}", source=SOURCE)
        for n in range(1, last + 1)
    ]


def numbers(folder: Path, name: re.Pattern[str]) -> list[int]:
    """Sessions whose files lie in a folder, by the first group of their names' pattern."""
    return sorted({int(m[1]) for path in _listing(folder) if (m := name.fullmatch(path.name))})


def last_session(
    files: Files, folder: Path, found: list[int], wanted: int | None, path: Callable[[int], Path]
) -> int:
    """Return the last session to load, once all before it are among those ``found``.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`sessions`.
    """
    count = f"found {len(found)} of the {files.planned} sessions of {files.who}"
    beyond = [n for n in found if not 1 <= n <= files.planned]
    if beyond:
        raise ValueError(
            f"{folder} holds sessions {listed(beyond)}, but {files.who} came to {files.planned}; leave those out"
        )
    require_sessions(files, wanted)
    last = wanted or (found[-1] if found else 1)
    missing = [n for n in range(1, last + 1) if n not in found]
    if missing:
        raise FileNotFoundError(
            f"betas of session(s) {listed(missing)} are missing: {path(missing[0])}; {count}. "
            f"Sessions must be there from 1 on without a gap; they are part of {SOURCE}"
        )
    return last


def require_sessions(files: Files, wanted: int | None) -> None:
    """Refuse more sessions than the subject came to.

    Raises
    ------
    ValueError
        Naming both.
    """
    if wanted is not None and not 1 <= wanted <= files.planned:
        raise ValueError(
            f"sessions must be 1 to {files.planned}, as many as {files.who} came to, got {wanted}"
        )


def _listing(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _one(files: Files, session: int) -> Path:
    path = files.session(session, "hdf5")
    return path if listed_at(path) else files.session(session, "nii.gz")


def require_whole(paths: list[Path], grid: Grid, files: Files) -> None:
    """Refuse HDF5 files that a stopped download left short; only files of less than full size are opened.

    Raises
    ------
    ValueError
        Naming the file, and how many sessions were found and expected.
    """
    full = 2 * TRIALS * int(np.prod(grid.shape))
    for path in paths:
        if path.suffix == ".hdf5" and path.stat().st_size < full:
            try:
                with open_hdf5(path, what="betas", source=SOURCE) as file:
                    _betas(file, grid)
            except ValueError as error:
                raise ValueError(
                    f"{error}. (Found {len(paths)} of the {files.planned} sessions of {files.who})"
                ) from error


def responses(paths: list[Path], voxels: np.ndarray, grid: Grid) -> Any:
    """Percent signal change (sample, voxel), float32, of voxels numbered in the flattened volume, increasing.

    With dask a lazy array, one chunk a session; without dask all is read at once. Voxels that are invalid in a session
    are NaN there.

    Raises
    ------
    MemoryError
        If it would not fit and dask is not there.
    """
    return rows(
        session,
        [(path, voxels, grid) for path in paths],
        [TRIALS] * len(paths),
        (len(voxels),),
        what=f"{TRIALS * len(paths)} trials of {len(voxels)} voxels",
        remedy="take fewer sessions or regions",
    )


def session(path: Path, voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """Percent signal change (750, voxel) of one file; NaN where a voxel is invalid.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, truncated, on another grid or not of int16.
    """
    stored = _from_hdf5(path, voxels, grid) if path.suffix == ".hdf5" else _from_nifti(path, voxels, grid)
    values = stored.astype(np.float32)
    values /= SCALE
    values[:, ~stored.any(axis=0)] = np.nan
    return values


def valid(files: Files, paths: list[Path], voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """Which voxels are valid in every session: by valid_sessionBB.nii.gz, else by reading the session's betas."""
    good = np.ones(len(voxels), bool)
    for number, path in enumerate(paths, 1):
        mask = files.valid(number)
        if listed_at(mask):
            values, _ = read(mask, what=f"valid voxels of session {number} of {files.who}", grid=grid)
            good &= values.ravel()[voxels] > 0
        else:
            good &= ~np.isnan(session(path, voxels, grid)[0])
    return good


def _betas(file: Any, grid: Grid) -> Any:
    betas = member(file, "betas", shape=(TRIALS, *grid.shape[::-1]), what="betas")
    if betas.dtype != np.int16:
        raise ValueError(
            f"'betas' in {file.filename} are {betas.dtype}, expected int16 (percent signal change x {SCALE})"
        )
    return betas


def _from_hdf5(path: Path, voxels: np.ndarray, grid: Grid) -> np.ndarray:
    stored = np.empty((TRIALS, len(voxels)), np.int16)
    with open_hdf5(path, what="betas", source=SOURCE) as file:
        betas = _betas(file, grid)
        try:
            for first, last, (x, y, z) in _rows(voxels, grid.shape):
                stored[:, first:last] = betas[:, z : z + last - first, y, x]
        except OSError as error:
            raise ValueError(f"{path} (betas) is damaged: {error}; get it again from {SOURCE}") from error
    return stored


def _rows(voxels: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Voxels that follow each other along z: positions of the first and after the last, and where they begin."""
    x, y, z = np.unravel_index(voxels, shape)
    breaks = np.flatnonzero((np.diff(voxels) != 1) | (z[1:] == 0)) + 1
    borders = [0, *breaks.tolist(), len(voxels)]
    for first, last in zip(borders, borders[1:], strict=False):
        yield first, last, (int(x[first]), int(y[first]), int(z[first]))


def _from_nifti(path: Path, voxels: np.ndarray, grid: Grid) -> np.ndarray:
    image = open_image(path, what="betas")
    shape = *grid.shape, TRIALS
    if image.shape != shape or image.get_data_dtype() != np.int16:
        raise ValueError(
            f"{path} (betas) has the shape {image.shape} of {image.get_data_dtype()}, expected {shape} of int16"
        )
    require_memory(
        2 * int(np.prod(shape)),
        what=f"{path.name}, unpacked,",
        remedy="get the .hdf5 file, which is read in parts",
    )
    x, y, z = np.unravel_index(voxels, grid.shape)
    return values_of(image, path, what="betas")[x, y, z].T
