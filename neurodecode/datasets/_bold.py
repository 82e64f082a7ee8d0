"""Runs of fMRI volumes and their events to samples: the mean of the volumes in a window after each event's onset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import brain
from ..brain.nifti import volume
from ..labels import require_memory
from ._blocks import rows
from ._events import Events, labels_of
from ._files import Source
from ._images import open_image, reading

# Voxels that are cleaned at a time, in double precision.
VOXELS = 8192
# s by which an onset may miss a volume's time, so that decimals decide nothing.
NEAR = 1e-6


@dataclass(frozen=True)
class Run:
    """One run of volumes.

    Attributes
    ----------
    name : begins the names of its samples
    image : path, or an open image
    events : of this run
    tr : s between volumes
    start : s at which the first volume was acquired, on the clock of the onsets
    session, run : labels; None where there are none
    """

    name: str
    image: Any
    events: Events
    tr: float
    start: float = 0.0
    session: str | None = None
    run: str | None = None


def responses(
    runs: Sequence[Run],
    *,
    masks: Sequence[Any],
    roi: Any,
    window: tuple[float, float],
    detrend: int | None,
    standardise: bool,
    source: Source,
    subject: str | None,
    space: str | None,
) -> xr.DataArray:
    """One sample an event (sample, voxel), float32, one chunk a run.

    Every voxel's time course is cleaned run by run (:func:`nilearn.signal.clean`): a polynomial of degree ``detrend``
    is removed, and with ``standardise`` it is divided by its SD. A sample is the mean of the volumes whose time t obeys
    onset + window[0] <= t < onset + window[1]. Events whose window does not lie wholly in the run are left out, and
    counted in attrs.

    Raises
    ------
    FileNotFoundError, ValueError
        If an image is missing, damaged, no run of volumes or on another grid, the masks have no voxel in common, or a
        run has no event within it.
    MemoryError
        If the samples would not fit and dask is not there.
    """
    _require_options(runs, window, detrend)
    shapes = _shapes(runs, source)
    first = open_image(runs[0].image, what=f"volumes of {runs[0].name}", source=source)
    mask = _common(masks, first, source)
    cut = [_windows(one, count, window) for one, count in zip(runs, shapes, strict=True)]
    calls = [
        (one.image, one.name, mask, firsts, lasts, detrend, standardise, source)
        for one, (_, firsts, lasts) in zip(runs, cut, strict=True)
    ]
    kept = [events for events, _, _ in cut]
    # What brain.fmri knows about the voxels of an image, without reading one.
    voxels = _voxels(first, mask, roi)
    values = rows(
        means,
        calls,
        [events.onset.size for events in kept],
        (voxels.sizes["voxel"],),
        what=f"{sum(events.onset.size for events in kept)} events of {voxels.sizes['voxel']} voxels",
        remedy="take a smaller mask",
    )
    given, extra, counts = labels_of(
        kept, names=[r.name for r in runs], session=[r.session for r in runs], run=[r.run for r in runs]
    )
    units = "SD of the run" if standardise else "a.u."
    array = brain.fmri(values, **given, subject=subject, units=units)
    coords = {name: coord for name, coord in voxels.coords.items() if coord.dims == ("voxel",)}
    array = array.assign_coords(coords | {name: ("sample", column) for name, column in extra.items()})
    return array.assign_attrs(
        affine=voxels.attrs["affine"],
        shape=voxels.attrs["shape"],
        space=space or voxels.attrs["space"],
        window=[float(edge) for edge in window],
        **counts,
    )


def means(
    image: Any,
    name: str,
    mask: Any,
    first: np.ndarray,
    last: np.ndarray,
    detrend: int | None,
    standardise: bool,
    source: Source,
) -> np.ndarray:
    """Means (event, voxel), float32, over the volumes from ``first`` to before ``last`` of one run."""
    from nilearn.masking import apply_mask

    what = f"volumes of {name}"
    opened = open_image(image, what=what, source=source)
    require_memory(4 * int(np.prod(opened.shape)), what=what, remedy="resample them to larger voxels")
    with reading(image, what=what, source=source):
        series = apply_mask(opened, mask, ensure_finite=False)
    found = np.empty((len(first), series.shape[1]), np.float32)
    for begin in range(0, series.shape[1], VOXELS):
        block = slice(begin, begin + VOXELS)
        clean = cleaned(series[:, block], detrend, standardise)
        for i, (a, b) in enumerate(zip(first, last, strict=True)):
            found[i, block] = clean[a:b].mean(axis=0)
    return found


def cleaned(series: np.ndarray, degree: int | None, standardise: bool) -> np.ndarray:
    """Time courses (volume, voxel) of one run without a polynomial of this degree, in SD of the run if asked."""
    from nilearn.signal import clean

    series = series.astype(np.float64)
    if degree is None and not standardise:
        return series
    higher = None
    if degree is not None and degree > 1:
        # nilearn removes a line; what is left of the polynomial goes as a confound.
        higher = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(series)), degree)[:, 2:]
    return np.asarray(
        clean(
            series,
            detrend=degree is not None,
            standardize="zscore_sample" if standardise else None,
            confounds=higher,
            filter=False,
        )
    )


def _require_options(runs: Sequence[Run], window: tuple[float, float], detrend: int | None) -> None:
    begin, end = window
    if detrend is not None and detrend < 1:
        raise ValueError(f"detrend must be None or the degree of a polynomial from 1 on, got {detrend!r}")
    longest = max(runs, key=lambda one: one.tr)
    if not end - begin >= longest.tr - NEAR:
        raise ValueError(
            f"the window {begin:g} to {end:g} s is shorter than the {longest.tr:g} s between volumes of {longest.name}:"
            " it may hold no volume; widen it"
        )


def _shapes(runs: Sequence[Run], source: Source) -> list[int]:
    """Number of volumes of every run, once all lie on one grid; only headers are read."""
    opened = [open_image(one.image, what=f"volumes of {one.name}", source=source) for one in runs]
    for one, image in zip(runs, opened, strict=True):
        if len(image.shape) != 4:
            raise ValueError(
                f"{_called(one)} has the shape {image.shape}; a run of volumes has four axes (x, y, z, time)"
            )
        same = image.shape[:3] == opened[0].shape[:3]
        if not same or not np.allclose(image.affine, opened[0].affine, atol=1e-3):
            what = "shape" if not same else "affine"
            mine, theirs = (
                (i.shape[:3] if what == "shape" else np.asarray(i.affine).tolist())
                for i in (image, opened[0])
            )
            raise ValueError(
                f"{_called(one)} and {_called(runs[0])} are on different grids: {what} {mine} against {theirs}; "
                "resample all runs to one, or load sessions one by one"
            )
    return [int(image.shape[3]) for image in opened]


def _called(run: Run) -> str:
    return str(run.image) if isinstance(run.image, str | Path) else f"the image of {run.name}"


def _common(masks: Sequence[Any], image: Any, source: Source) -> Any:
    """Mask of the voxels that are in all masks, on the grid of the volumes."""
    import nibabel

    grid = image.shape[:3], np.asarray(image.affine)
    inside = np.ones(grid[0], bool)
    for mask in masks:
        what = f"mask {mask}" if isinstance(mask, str | Path) else "the mask"
        opened = open_image(mask, what=what, source=source)
        with reading(mask, what=what, source=source):
            np.asarray(opened.dataobj)
        inside &= np.nan_to_num(volume(opened, grid, who=what)) != 0
    if not inside.any():
        raise ValueError(f"no voxel is in all of {len(masks)} mask(s); are they of one subject and space?")
    return nibabel.Nifti1Image(inside.astype(np.int8), grid[1])


def _voxels(image: Any, mask: Any, roi: Any) -> xr.DataArray:
    import nibabel

    empty = nibabel.Nifti1Image(np.zeros((*image.shape[:3], 1), np.float32), image.affine)
    return brain.fmri(empty, mask=mask, roi=roi, sample=["none"], stimulus=["none"])


def _windows(run: Run, count: int, window: tuple[float, float]) -> tuple[Events, np.ndarray, np.ndarray]:
    """Events whose window lies in the run, and the first volume and the one after the last of each."""
    begin, end = (run.events.onset + edge - run.start for edge in window)
    inside = (begin >= -NEAR) & (end <= count * run.tr + NEAR)
    if not inside.any():
        raise ValueError(
            f"none of {inside.size} events of {run.name} has its window of {window[0]:g} to {window[1]:g} s in the "
            f"recording of {count} volumes in {count * run.tr:g} s; onsets run from {run.events.onset.min():g} to "
            f"{run.events.onset.max():g}: they must be in seconds and of this run"
        )
    first, last = (np.ceil((edge[inside] - NEAR) / run.tr).astype(int) for edge in (begin, end))
    return run.events.only(inside, why="beyond"), first, np.maximum(last, first + 1)


def with_tr(run: Run, found: dict[str, float], given: float | None) -> Run:
    """The run with its time between volumes: as given, else as all places agree on it.

    Parameters
    ----------
    found : place -> s between volumes

    Raises
    ------
    ValueError
        If no place says it, or they disagree.
    """
    if given is not None:
        if not given > 0:
            raise ValueError(f"tr must be a number of seconds above 0, got {given!r}")
        return replace(run, tr=float(given))
    if not found:
        raise ValueError(
            f"nothing says how many seconds lie between volumes of {_called(run)}: no RepetitionTime in a json file "
            "beside it or above, no time with a unit in its header; give tr="
        )
    if max(found.values()) - min(found.values()) > 1e-3:
        said = ", ".join(f"{value:g} s in {place}" for place, value in found.items())
        raise ValueError(f"the time between volumes of {_called(run)} is {said}; give the right one as tr=")
    return replace(run, tr=float(next(iter(found.values()))))
