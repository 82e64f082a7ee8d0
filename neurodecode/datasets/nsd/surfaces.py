"""Responses on the cortical surface: betas of fsaverage or of the subject's own surface.

``{lh,rh}.betas_sessionBB.mgh`` of fsaverage hold (163842, 1, 1, 750) in percent signal change, as they are, NaN where
there are no data; ``{lh,rh}.betas_sessionBB.hdf5`` of the native surface hold ``/betas``, V x 750 in MATLAB and so
(750, V) here, int16, 300 x percent signal change, 0 where there are no data. Both were made from the betas of 1 mm,
three depths averaged, not from those of 1.8 mm (NSD Data Manual, Functional data NSD; cvnlab/nsddatapaper,
analysis_transformfsaverage.m).

``nsddata/freesurfer/subjAA/label/{lh,rh}.ATLAS.mgz`` hold labels 0, 1, 2, ... of the native surface, without -1
(analysis_surfaceroistovolume.m). Some atlases also lie in ``nsddata/freesurfer/fsaverage/label``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import brain
from ...labels import listed, require_choice
from .._blocks import rows
from .._files import listed_at, member, open_hdf5, present
from . import overlays
from .betas import last_session, numbers
from .design import sample_labels, trials
from .layout import DRAWN, FSAVERAGE, SCALE, SIDES, SOURCE, SURFACES, TRIALS, VERSIONS, Files
from .rois import LEFT, RIGHT, Labels, chosen, named
from .transforms import fsaverage_index

Pair = tuple[Path, Path]


def surface(
    root: str | Path,
    *,
    subject: int,
    space: str = FSAVERAGE,
    sessions: int | None = None,
    regions: str | Sequence[str] = "paper",
    valid: str = "all",
    version: str = VERSIONS[0],
) -> xr.DataArray:
    """Load the single-trial responses (betas) of one subject on the cortical surface.

    Trials are those of :func:`load`, with the same labels. With dask the responses are lazy, one chunk a session.

    Parameters
    ----------
    root : path
        The dataset's folder, with ``nsddata`` and ``nsddata_betas``.
    subject : 1 to 8
    space : {"fsaverage", "nativesurface"}
        On fsaverage all subjects have the same vertices.
    sessions : int, optional
        The first so many; all that are there by default.
    regions : "paper", the name of an atlas, or several names
        As for :func:`load`. On fsaverage an atlas is that of ``nsddata/freesurfer/fsaverage/label`` where it is there;
        regions that were drawn for each subject (prf-, floc-), and atlases that are not there, are brought over from
        the subject's own surface with ``white-to-fsaverage.mgz``.
    valid : {"all", "nan"}
        "all": only vertices with data in every session. "nan": all, with NaN where there are none. On the native
        surface "all" has to read the responses once; "nan" opens at once.
    version : {"betas_fithrf_GLMdenoise_RR", "betas_fithrf", "betas_assumehrf"}

    Returns
    -------
    (sample, voxel), float32, % signal change
        A voxel is a vertex: ``voxel`` "left-0" and on, ``hemi``, ``vertex`` in that hemisphere, from 0, ``roi``, and
        ``ncsnr`` where those files are there. attrs: subject, space; ``vertices``, of the left and the right
        hemisphere; ``invalid``, how many vertices ``valid="all"`` left out.

    Raises
    ------
    FileNotFoundError
        If a file or a session is missing: its name, what it is, where it comes from.
    ValueError
        If a subject, session, region, space or version does not exist, or a file is damaged or does not fit the others.
    MemoryError
        If the responses do not fit and dask is not there.
    """
    require_choice(space, tuple(SURFACES), what="space")
    require_choice(valid, ("all", "nan"), what="valid")
    require_choice(version, VERSIONS, what="version")
    files = Files(Path(root), subject, version)
    pairs = _sessions(files, space, sessions)
    sizes = _sizes(pairs, space)
    found = labels(files, regions, space, sizes)
    shown = trials(files, len(pairs))
    vertices, invalid = np.flatnonzero(found.labels), 0
    if valid == "all":
        good = np.all([~_lacking(pair, vertices, sizes) for pair in pairs], axis=0)
        vertices, invalid = vertices[good], int((~good).sum())
    if not vertices.size:
        names = [regions] if isinstance(regions, str) else regions
        raise ValueError(
            f"{files.who} has no vertex of {listed(names)} on {space}"
            + (
                f" with data in all {len(pairs)} sessions; valid='nan' keeps {invalid}"
                if invalid
                else "; take other regions"
            )
        )
    values = rows(
        _session,
        [(pair, vertices, sizes) for pair in pairs],
        [TRIALS] * len(pairs),
        (len(vertices),),
        what=f"{TRIALS * len(pairs)} trials of {len(vertices)} vertices",
        remedy="take fewer sessions or regions",
    )
    right = vertices >= sizes[0]
    array = brain.fmri(
        values,
        **sample_labels(files, shown),
        roi=np.array([found.names[i] for i in found.labels[vertices].tolist()]),
        hemi=np.where(right, "right", "left"),
        vertex=vertices - sizes[0] * right,
        subject=files.who,
        units="% signal change",
        space=space,
    )
    array = array.assign_attrs(vertices=list(sizes), invalid=invalid)
    return _with_ncsnr(array, files, space, vertices, sizes)


def labels(files: Files, wanted: str | Sequence[str], space: str, sizes: tuple[int, int]) -> Labels:
    """Return "paper", the regions of one atlas, or those of several, on all vertices, left ones first.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, damaged or of another surface, or holds labels without a name.
    """
    hemi = np.repeat([LEFT, RIGHT], sizes)

    def atlas(name: str) -> Labels:
        sides = zip(SIDES, sizes, strict=True)
        found = np.concatenate([_side(files, name, space, side, size) for side, size in sides])
        return Labels(found, named(files, name, found, files.label(name, "lh")), hemi)

    return chosen(wanted, atlas)


def _side(files: Files, atlas: str, space: str, side: str, size: int) -> np.ndarray:
    """Labels (vertex) of one hemisphere, 0 for none."""
    common = files.label(atlas, side, brain=FSAVERAGE)
    what = f"atlas {atlas!r} of the {SIDES[side]} hemisphere"
    if space == FSAVERAGE and listed_at(common) and not atlas.startswith(DRAWN):
        found, path = overlays.values(common, what=f"{what} of fsaverage"), common
    else:
        path = files.label(atlas, side)
        found = overlays.values(path, what=f"{what} of {files.who}")
        if space == FSAVERAGE and found.ndim == 1:
            found = found[fsaverage_index(files, side, len(found))]
            path = files.transform("white-to-fsaverage", side)
    if found.shape != (size,):
        raise ValueError(
            f"{path} ({what}) has the shape {found.shape}, but the betas have {size} vertices there; one of the two is "
            "of another subject or another surface"
        )
    return np.maximum(np.rint(np.nan_to_num(found)).astype(np.int64), 0)


def _sessions(files: Files, space: str, wanted: int | None) -> list[Pair]:
    folder = files.surface(space)
    found = {
        side: numbers(folder, re.compile(rf"{side}\.betas_session(\d+)\.{SURFACES[space]}")) for side in SIDES
    }
    every = sorted({n for side in found.values() for n in side})
    last = last_session(files, folder, every, wanted, lambda n: files.surface_session(space, n, "lh"))
    return [(_there(files, space, n, "lh"), _there(files, space, n, "rh")) for n in range(1, last + 1)]


def _there(files: Files, space: str, session: int, side: str) -> Path:
    what = f"betas of session {session} of {files.who}, {SIDES[side]} hemisphere"
    return present(files.surface_session(space, session, side), what=what, source=SOURCE)


def _sizes(pairs: list[Pair], space: str) -> tuple[int, int]:
    """Vertices of the left and the right hemisphere, alike in all sessions; fsaverage has as many left as right."""
    every = [(_size(left), _size(right)) for left, right in pairs]
    first = every[0]
    for pair, sizes in zip(pairs, every, strict=True):
        if sizes != first:
            raise ValueError(
                f"{pair[0].name} and {pair[1].name} in {pair[0].parent} have {sizes} vertices, but those of the first "
                f"session {first}; one of the two is of another subject"
            )
    if space == FSAVERAGE and first[0] != first[1]:
        raise ValueError(
            f"{pairs[0][0]} has {first[0]} vertices and {pairs[0][1].name} {first[1]}; fsaverage has as many left as "
            "right, so one of the two is of another surface"
        )
    return first


def _size(path: Path) -> int:
    if path.suffix == ".mgh":
        return overlays.frames(path, what="betas", count=TRIALS).shape[1]
    with open_hdf5(path, what="betas", source=SOURCE) as file:
        return int(_stored(file).shape[1])


def _session(pair: Pair, vertices: np.ndarray, sizes: tuple[int, int]) -> np.ndarray:
    """Percent signal change (750, vertex) of both hemispheres; NaN where there are no data."""
    return np.concatenate(
        [
            _from_mgh(path, own) if path.suffix == ".mgh" else _from_hdf5(path, own)
            for path, own in zip(pair, _by_side(vertices, sizes), strict=True)
        ],
        axis=1,
    )


def _lacking(pair: Pair, vertices: np.ndarray, sizes: tuple[int, int]) -> np.ndarray:
    """Which vertices have no data in a session: NaN in its first trial, or 0 in all of them."""
    if pair[0].suffix != ".mgh":
        return np.isnan(_session(pair, vertices, sizes)[0])
    parts = zip(pair, _by_side(vertices, sizes), strict=True)
    first = [overlays.frames(path, what="betas", count=TRIALS)[0, own] for path, own in parts]
    return np.isnan(np.concatenate(first))


def _by_side(vertices: np.ndarray, sizes: tuple[int, int]) -> list[np.ndarray]:
    return [vertices[vertices < sizes[0]], vertices[vertices >= sizes[0]] - sizes[0]]


def _from_mgh(path: Path, vertices: np.ndarray) -> np.ndarray:
    found = overlays.frames(path, what="betas", count=TRIALS)
    return np.take(found, vertices, axis=1).astype(np.float32)


def _from_hdf5(path: Path, vertices: np.ndarray) -> np.ndarray:
    stored = np.empty((TRIALS, len(vertices)), np.int16)
    with open_hdf5(path, what="betas", source=SOURCE) as file:
        betas = _stored(file)
        try:
            # Vertices that follow each other are read at once: a chunk is one vertex with all its trials.
            first = 0
            for part in np.split(vertices, np.flatnonzero(np.diff(vertices) != 1) + 1):
                if part.size:
                    stored[:, first : first + part.size] = betas[:, part[0] : part[-1] + 1]
                first += part.size
        except OSError as error:
            raise ValueError(f"{path} (betas) is damaged: {error}; get it again from {SOURCE}") from error
    values = stored.astype(np.float32)
    values /= SCALE
    values[:, ~stored.any(axis=0)] = np.nan
    return values


def _stored(file: Any) -> Any:
    betas = member(file, "betas", shape=(TRIALS, None), what="betas")
    if betas.dtype != np.int16:
        raise ValueError(
            f"'betas' in {betas.file.filename} are {betas.dtype}, expected int16 (percent signal change x {SCALE})"
        )
    return betas


def _with_ncsnr(
    array: xr.DataArray, files: Files, space: str, vertices: np.ndarray, sizes: tuple[int, int]
) -> xr.DataArray:
    paths = [files.surface_ncsnr(space, side) for side in SIDES]
    if not all(map(listed_at, paths)):
        return array
    parts = [overlays.values(path, what=f"noise ceiling of {files.who}") for path in paths]
    for path, part, size in zip(paths, parts, sizes, strict=True):
        if part.shape != (size,):
            raise ValueError(
                f"{path} (noise ceiling) has the shape {part.shape}, but the betas {size} vertices; "
                "get both of one space"
            )
    return array.assign_coords(ncsnr=("voxel", np.concatenate(parts)[vertices].astype(np.float32)))
