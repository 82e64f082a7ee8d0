"""Checked constructors of responses: whatever a user holds becomes a plain labelled array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..checks import as_numbers, require_texts
from ..labels import SAMPLE, STIMULUS, listed, require_unique
from .columns import column, labelled, numbers
from .own import require_own
from .regions import region_names

HEMISPHERES = ("left", "right")
# Longer or coarser than this and it is not seconds that were given.
LONGEST_EPOCH = 60.0
LONGEST_STEP = 1.0


def fmri(
    values: Any,
    *,
    sample: Any,
    stimulus: Any,
    mask: Any = None,
    roi: Any = None,
    hemi: Any = None,
    xyz: Any = None,
    vertex: Any = None,
    subject: Any = None,
    session: Any = None,
    run: Any = None,
    repeat: Any = None,
    split: Any = None,
    units: str = "a.u.",
    space: str | None = None,
) -> xr.DataArray:
    """Make fMRI responses (sample, voxel).

    Parameters
    ----------
    values : (sample, voxel) array-like, or a 4-D NIfTI image (object or path) with ``mask``
        NaN stay, and are refused by what computes with them.
    sample : (sample) unique ids
    stimulus : (sample) what was seen; repeats bear the same label
    mask : 3-D NIfTI image or path
        Which voxels to take; only with an image.
    roi : (voxel) names, "" for none, or numbers, 0 for none
        With an image also {name: 3-D mask}, or (3-D atlas, {label: name}). Masks
        and atlas are images, paths, or arrays of the image's shape, voxel for voxel.
    hemi : (voxel) "left" or "right"
    xyz : (voxel, 3) in mm; filled in for an image
    vertex : (voxel) index in the hemisphere's mesh
    subject, session, run, repeat, split : one value, or one per sample
    units, space : str
        Kept in attrs. An image's affine and shape are kept too, so that maps go back to a volume.

    Returns
    -------
    DataArray (sample, voxel); float32 stays float32.

    Raises
    ------
    ValueError
        Wrong number of axes or labels, no values, missing or duplicate ids, labels that differ from those that
        ``values`` bear themselves, a column of pandas or xarray that bears the ids in another order or other ids, an
        image without mask or on another grid.

    Warns
    -----
    UserWarning
        Labels of an atlas that have no voxel in the mask.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> betas = nd.brain.fmri(
    ...     np.zeros((4, 3)), sample=range(4), stimulus=["cat", "cat", "cup", "cup"], roi=["V1", "V1", "LO"]
    ... )
    >>> betas.dims, betas.roi.values.tolist()
    (('sample', 'voxel'), ['V1', 'V1', 'LO'])
    """
    require_texts(units=units, **({} if space is None else {"space": space}))
    attrs: dict[str, Any] = {"units": units}
    if isinstance(values, str | Path) or hasattr(values, "affine"):
        from .nifti import from_image

        values, voxel, centres, roi, attrs_image = from_image(values, mask, roi)
        xyz = centres if xyz is None else xyz
        attrs |= attrs_image
    elif mask is not None:
        raise ValueError("mask goes with a NIfTI image; for an array select the voxels before")
    else:
        voxel = None
    voxels: dict[str, Any] = {"roi": roi, "hemi": hemi, "vertex": vertex}
    labels = {"session": session, "run": run, "repeat": repeat, "split": split}
    rows = {SAMPLE: sample, STIMULUS: stimulus, "subject": subject} | labels
    require_own(values, {SAMPLE: rows, "voxel": voxels | {"xyz": xyz}}, who="fMRI values")
    values = numbers(values, ("sample", "voxel"), who="fMRI values")
    n, v = values.shape
    coords = _samples(n, {SAMPLE: sample, STIMULUS: stimulus} | labels)
    coords |= {k: ("voxel", column(x, v, k, "voxel")) for k, x in voxels.items() if x is not None}
    coords |= _positions(xyz, v, "voxel", unit="mm")
    if roi is not None:
        coords["roi"] = ("voxel", _regions(roi, coords["roi"][1]))
    if hemi is not None:
        wrong = sorted(set(np.unique(coords["hemi"][1]).tolist()) - set(HEMISPHERES), key=repr)
        if wrong:
            raise ValueError(f"hemi must be 'left' or 'right', got {listed(wrong)}; rename them")
    if vertex is not None:
        coords["vertex"] = ("voxel", _indices(coords["vertex"][1]))
    coords["voxel"] = ("voxel", _voxel_ids(voxel, v, coords))
    array = _finish(values, ("sample", "voxel"), coords, subject, attrs | ({"space": space} if space else {}))
    require_unique(array, "voxel", who="fMRI values")
    return array


def meeg(
    values: Any,
    *,
    sample: Any = None,
    stimulus: Any = None,
    channel: Any = None,
    time: Any = None,
    kind: Any = None,
    xyz: Any = None,
    subject: Any = None,
    session: Any = None,
    run: Any = None,
    repeat: Any = None,
    split: Any = None,
    units: str | None = None,
) -> xr.DataArray:
    """Make EEG or MEG responses (sample, channel, time).

    Parameters
    ----------
    values : (sample, channel, time) array-like, or :class:`mne.Epochs`
        From Epochs come channels, kinds, positions (m, head coordinates), times, units and metadata columns; stimuli
        from the metadata column ``stimulus`` or else from the event names. What is given here goes before. A metadata
        column that bears a name of channels, time, features or results becomes ``metadata_<name>``.
    sample, stimulus, channel : labels
        Needed for an array.
    time : (time) seconds from onset, evenly spaced
    kind : one value, or one per channel
        "eeg", "mag", "grad".
    xyz : (channel, 3) in m
    subject, session, run, repeat, split : one value, or one per sample
    units : str
        Kept in attrs, default "a.u."; Epochs know their own (V, T, T/m).

    Raises
    ------
    ValueError
        Wrong number of axes or labels, no values, the path of a file, missing labels, duplicates, labels that differ
        from those that an array bears itself, a column of pandas or xarray that bears the ids in another order or other
        ids, times that are not increasing, uneven or in milliseconds, other units than those of the Epochs.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> epochs = nd.brain.meeg(
    ...     np.zeros((2, 2, 5)), sample=[0, 1], stimulus=["cat", "cup"], channel=["O1", "O2"], time=np.arange(5) / 100
    ... )
    >>> epochs.dims, round(float(epochs.time[-1]), 2)
    (('sample', 'channel', 'time'), 0.04)
    """
    extra: dict[str, Any] = {}
    require_texts(**({} if units is None else {"units": units}))
    if isinstance(values, str | Path):
        raise ValueError(
            f"M/EEG values are text, the path {str(values)!r}; read the epochs first, mne.read_epochs(path), or give "
            "the path to neurodecode.datasets.own.epochs, which leaves values on disk until they are needed"
        )
    if hasattr(values, "get_data") and hasattr(values, "ch_names"):
        from .epochs import from_epochs

        found = from_epochs(values)
        if units not in (None, found.units):
            raise ValueError(
                f"the epochs are in {found.units}, not {units!r}: leave units out, and scale after"
            )
        values, units, extra = found.values, found.units, found.metadata
        own = (found.sample, found.stimulus, *found.channels)
        sample, stimulus, channel, time, kind, xyz = (
            mine if mine is not None else theirs
            for mine, theirs in zip((sample, stimulus, channel, time, kind, xyz), own, strict=True)
        )
    given = {"session": session, "run": run, "repeat": repeat, "split": split}
    rows = {SAMPLE: sample, STIMULUS: stimulus, "subject": subject} | given
    sensors = {"channel": channel, "kind": kind, "xyz": xyz}
    require_own(values, {SAMPLE: rows, "channel": sensors, "time": {"time": time}}, who="M/EEG values")
    values = numbers(values, ("sample", "channel", "time"), who="M/EEG values")
    n, c, t = values.shape
    needed = {"sample": sample, "stimulus": stimulus, "channel": channel, "time": time}
    missing = [k for k, x in needed.items() if x is None]
    if missing:
        raise ValueError(f"M/EEG values given as an array need {listed(missing)} too")
    extra |= {k: x for k, x in given.items() if x is not None}
    coords = _samples(n, {SAMPLE: sample, STIMULUS: stimulus} | extra)
    coords["channel"] = ("channel", column(channel, c, "channel", "channel"))
    coords["time"] = ("time", _seconds(column(time, t, "time", "time")))
    if kind is not None:
        coords["kind"] = ("channel", column(kind, c, "kind", "channel", broadcast=True))
    coords |= _positions(xyz, c, "channel", unit="m")
    array = _finish(values, ("sample", "channel", "time"), coords, subject, {"units": units or "a.u."})
    require_unique(array, "channel", who="M/EEG values")
    array["time"].attrs["units"] = "s"
    return array


def _samples(n: int, labels: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: (SAMPLE, column(x, n, k, SAMPLE, broadcast=k not in (SAMPLE, STIMULUS)))
        for k, x in labels.items()
        if x is not None
    }


def _regions(roi: Any, found: np.ndarray) -> np.ndarray:
    """Regions as they are where all are text or all integers; else as names, "" for missing ones and for 0."""
    if found.dtype.kind in "iu":
        return found
    array = np.asarray(roi, dtype=object if isinstance(roi, list | tuple) else None)
    return found if array.dtype.kind in "UST" else region_names(array)


def _indices(vertex: np.ndarray) -> np.ndarray:
    """Vertex numbers as integers, also where they came as whole floats."""
    whole = np.full(vertex.size, -1)
    if vertex.dtype.kind in "iuf":
        inside = np.abs(vertex) < 2**53
        whole[inside] = vertex[inside].astype(np.int64)
    if (whole != vertex).any() or (whole < 0).any():
        raise ValueError(
            f"vertex must be whole numbers from 0, got {listed(vertex[(whole != vertex) | (whole < 0)])}"
        )
    return whole


def _positions(xyz: Any, size: int, dim: str, *, unit: str) -> dict[str, Any]:
    if xyz is None:
        return {}
    array = as_numbers(xyz, what="xyz", remedy=f"give ({size}, 3) in {unit}")
    if array.shape != (size, 3):
        raise ValueError(
            f"xyz must be ({size}, 3) in {unit}, one row for each along {dim!r}, got {array.shape}"
        )
    return {axis: (dim, array[:, i], {"units": unit}) for i, axis in enumerate("xyz")}


def _voxel_ids(ids: Any, size: int, coords: Mapping[str, Any]) -> np.ndarray:
    """Ids that tell voxels apart between arrays: those given, else hemisphere and vertex, else numbers."""
    if ids is not None:
        return np.asarray(ids)
    if "hemi" in coords and "vertex" in coords:
        return np.array([f"{h}-{i}" for h, i in zip(coords["hemi"][1], coords["vertex"][1], strict=True)])
    return np.arange(size)


def _seconds(time: np.ndarray) -> np.ndarray:
    """Return times if they are finite, increasing, even, and can be seconds."""
    if time.dtype.kind == "m":
        time = time / np.timedelta64(1, "s")
    if time.dtype.kind not in "iuf":
        raise ValueError(f"time must be numbers, seconds from onset, got dtype {time.dtype}")
    time = time.astype(np.float64)
    if not np.isfinite(time).all():
        bad = int((~np.isfinite(time)).sum())
        raise ValueError(f"time has NaN or infinite values, {bad} of {time.size}; give seconds from onset")
    steps = np.diff(time)
    if (steps <= 0).any():
        i = int(np.argmax(steps <= 0))
        raise ValueError(f"time must increase, but goes from {time[i]:g} to {time[i + 1]:g} at position {i}")
    if np.abs(time).max() > LONGEST_EPOCH or (steps >= LONGEST_STEP).any():
        raise ValueError(
            f"time runs from {time[0]:g} to {time[-1]:g} in {time.size} points, which looks like milliseconds "
            "(or samples); it must be in seconds from onset: divide by 1000"
        )
    if steps.size and np.ptp(steps) > 0.01 * steps.mean():
        raise ValueError(
            f"time must be evenly spaced, but steps run from {steps.min():g} to {steps.max():g} s; resample"
        )
    return time


def _finish(
    values: Any, dims: Sequence[str], coords: dict[str, Any], subject: Any, attrs: dict[str, Any]
) -> xr.DataArray:
    if subject is not None and np.asarray(subject, dtype=object).ndim == 0:
        attrs["subject"] = str(subject)
    elif subject is not None:
        coords["subject"] = (SAMPLE, column(subject, values.shape[0], "subject", SAMPLE))
    array = labelled(values, dims, coords, attrs)
    require_unique(array, SAMPLE, who="responses")
    return array
