"""Checked constructors: whatever a user holds becomes a plain labelled array."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..checks import as_numbers, require_texts
from ..labels import (
    FEATURE,
    LAYER,
    SAMPLE,
    STIMULUS,
    by_text,
    listed,
    require_dims,
    require_real,
    require_same,
    require_unique,
    written,
)
from .own import require_own
from .regions import region_names

HEMISPHERES = ("left", "right")
# Longer or coarser than this and it is not seconds that were given.
LONGEST_EPOCH = 60.0
LONGEST_STEP = 1.0
# Labels that must be there; elsewhere a missing text is "", as in a voxel of no region.
NEEDED = (SAMPLE, STIMULUS, "channel", "hemi", "vertex", LAYER)


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
        With an image also {name: 3-D mask}, or (3-D atlas, {label: name}).
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
        ``values`` bear themselves, an image without mask or on another grid.

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
    require_own(values, {SAMPLE: sample, STIMULUS: stimulus} | labels | voxels, who="fMRI values")
    values = _numbers(values, ("sample", "voxel"), who="fMRI values")
    n, v = values.shape
    coords = _samples(n, {SAMPLE: sample, STIMULUS: stimulus} | labels)
    coords |= {k: ("voxel", _column(x, v, k, "voxel")) for k, x in voxels.items() if x is not None}
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
        Wrong number of axes or labels, no values, missing labels, duplicates, labels that differ from those that an
        array bears itself, times that are not increasing, uneven or in milliseconds, other units than those of the
        Epochs.

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
    ids = {SAMPLE: sample, STIMULUS: stimulus, "channel": channel, "time": time, "kind": kind}
    require_own(values, ids | given, who="M/EEG values")
    values = _numbers(values, ("sample", "channel", "time"), who="M/EEG values")
    n, c, t = values.shape
    needed = {"sample": sample, "stimulus": stimulus, "channel": channel, "time": time}
    missing = [k for k, x in needed.items() if x is None]
    if missing:
        raise ValueError(f"M/EEG values given as an array need {listed(missing)} too")
    extra |= {k: x for k, x in given.items() if x is not None}
    coords = _samples(n, {SAMPLE: sample, STIMULUS: stimulus} | extra)
    coords["channel"] = ("channel", _column(channel, c, "channel", "channel"))
    coords["time"] = ("time", _seconds(_column(time, t, "time", "time")))
    if kind is not None:
        coords["kind"] = ("channel", _column(kind, c, "kind", "channel", broadcast=True))
    coords |= _positions(xyz, c, "channel", unit="m")
    array = _finish(values, ("sample", "channel", "time"), coords, subject, {"units": units or "a.u."})
    require_unique(array, "channel", who="M/EEG values")
    array["time"].attrs["units"] = "s"
    return array


def features(values: Any, *, stimulus: Any, layer: Any = None, unit: Any = None) -> xr.DataArray:
    """Make stimulus features (stimulus, feature), one row a stimulus.

    Parameters
    ----------
    values : (stimulus, feature) array-like
    stimulus : (stimulus) unique labels
    layer : one name, or one per feature
    unit : (feature); counted within each layer by default

    Raises
    ------
    ValueError
        Wrong number of axes or labels, duplicate stimuli, stimuli that differ from those that ``values`` bear
        themselves.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> space = nd.brain.features(np.zeros((2, 3)), stimulus=["cat", "cup"], layer="c")
    >>> space.dims, space.layer.values.tolist()
    (('stimulus', 'feature'), ['c', 'c', 'c'])
    """
    require_own(values, {STIMULUS: stimulus, LAYER: layer, "unit": unit}, who="features")
    values = _numbers(values, (STIMULUS, FEATURE), who="features")
    n, p = values.shape
    coords: dict[str, Any] = {STIMULUS: (STIMULUS, _column(stimulus, n, STIMULUS, STIMULUS))}
    if layer is not None:
        coords[LAYER] = (FEATURE, _column(layer, p, LAYER, FEATURE, broadcast=True))
    if unit is None:
        unit = _count_within(coords[LAYER][1]) if layer is not None else np.arange(p)
    coords["unit"] = (FEATURE, _column(unit, p, "unit", FEATURE))
    array = _labelled(values, (STIMULUS, FEATURE), coords, {"units": "a.u."})
    require_unique(array, STIMULUS, who="features")
    return array


def images(values: Any, *, stimulus: Any) -> xr.DataArray:
    """Make images (stimulus, row, column, colour) with values from 0 to 1; uint8 is divided by 255.

    Parameters
    ----------
    values : (stimulus, row, column, colour)
    stimulus : ids, one an image

    Raises
    ------
    ValueError
        Values outside 0-1, another number of axes, a last axis that is not 3 colours, duplicate stimuli, or stimuli
        that differ from those that ``values`` bear themselves.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> pictures = nd.brain.images(np.full((2, 8, 8, 3), 255, dtype=np.uint8), stimulus=["a", "b"])
    >>> float(pictures.max()), pictures.dims
    (1.0, ('stimulus', 'row', 'column', 'colour'))
    """
    require_own(values, {STIMULUS: stimulus}, who="images")
    dims = (STIMULUS, "row", "column", "colour")
    of_bytes = getattr(values, "dtype", None) == np.uint8
    array = np.asarray(_numbers(values, dims, who="images"))
    if array.shape[-1] != 3:
        raise ValueError(f"images must be (stimulus, row, column, 3 colours), got shape {array.shape}")
    if of_bytes:
        array = array / np.float32(255)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"image values must lie from 0 to 1, found {low:g} to {high:g}; divide by what means white, 255 "
            "in bytes"
        )
    coords = {STIMULUS: _column(stimulus, len(array), STIMULUS, STIMULUS), "colour": ["red", "green", "blue"]}
    out = xr.DataArray(array, dims=dims, coords=coords, attrs={"units": "0-1"})
    require_unique(out, STIMULUS, who="images")
    return out


def stack(mapping: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Join feature spaces {name: (stimulus, feature)} of the same stimuli; the names become ``layer``.

    Parameters
    ----------
    mapping : of space to (stimulus, feature)

    Raises
    ------
    ValueError
        For spaces of other stimuli, or the same in another order; for names that are one as text.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> c, z = (nd.brain.features(np.zeros((2, q)), stimulus=["a", "b"]) for q in (2, 1))
    >>> nd.brain.stack({"c": c, "z": z}).layer.values.tolist()
    ['c', 'c', 'z']
    """
    if not mapping:
        raise ValueError("stack needs at least one feature space")
    by_text(mapping, who="names of feature spaces")
    first_name, first = next(iter(mapping.items()))
    for name, space in mapping.items():
        require_dims(space, [STIMULUS, FEATURE], who=f"features {name!r}")
        require_real(space, who=f"features {name!r}")
        require_same(first, space, STIMULUS, who=(f"features {first_name!r}", f"features {name!r}"))
    of_spaces = [units(s) for s in mapping.values()]
    # NumPy joins numbers with texts, but not with dates.
    alike = len({u.dtype.kind for u in of_spaces}) == 1
    return features(
        np.concatenate([s.transpose(STIMULUS, FEATURE).values for s in mapping.values()], axis=1),
        stimulus=first.coords[STIMULUS].values,
        layer=np.repeat(list(mapping), [s.sizes[FEATURE] for s in mapping.values()]),
        unit=np.concatenate(of_spaces) if alike else [str(u) for own in of_spaces for u in own],
    )


def spaces(given: xr.DataArray | Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Split features into {space: array}: a mapping as it is, an array by ``layer``, else under its own name.

    Parameters
    ----------
    given : (stimulus, feature) with or without ``layer`` on feature, or a mapping of space to such arrays

    Raises
    ------
    ValueError
        For a mapping of nothing, names that are one as text (1 and "1"), or layers of which some features have none.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> both = nd.brain.features(np.zeros((2, 3)), stimulus=["a", "b"], layer=["c", "c", "z"])
    >>> {name: space.sizes["feature"] for name, space in nd.brain.spaces(both).items()}
    {'c': 2, 'z': 1}
    """
    if isinstance(given, Mapping):
        if not given:
            raise ValueError("features are empty: give at least one feature space")
        return by_text(given, who="names of feature spaces")
    require_dims(given, [FEATURE], who="features")
    if LAYER not in given.coords:
        return {str(given.name or "features"): given}
    layers = given.coords[LAYER]
    missing = pd.isna(layers.values.ravel())
    if missing.any():
        raise ValueError(
            f"layer has {int(missing.sum())} missing label(s) among {missing.size}, first at position "
            f"{int(np.argmax(missing))}; give every feature one, or drop these features"
        )
    if layers.ndim == 0:
        return {str(layers.item()): given}
    names = dict.fromkeys(layers.values.tolist())
    found = {name: given.isel({FEATURE: np.flatnonzero(layers.values == name)}) for name in names}
    return by_text(found, who="layers of features")


def units(space: xr.DataArray) -> np.ndarray:
    """Return the ``unit`` of every feature, counted where it has none.

    Parameters
    ----------
    space : (stimulus, feature)

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> nd.brain.units(nd.brain.features(np.zeros((2, 3)), stimulus=["a", "b"])).tolist()
    [0, 1, 2]
    """
    return space.coords["unit"].values if "unit" in space.coords else np.arange(space.sizes[FEATURE])


def _count_within(labels: np.ndarray) -> np.ndarray:
    return pd.Series(labels).groupby(labels).cumcount().to_numpy()


def _numbers(values: Any, dims: tuple[str, ...], *, who: str) -> Any:
    """Return an array of real numbers with the axes ``dims``; small integers and half floats become float32.

    A lazy array stays lazy. A labelled array with these very dims is brought into their order.
    """
    if isinstance(values, xr.DataArray):
        values = values.transpose(*dims) if set(values.dims) == set(dims) else values
        if values.ndim == len(dims):
            _require_places(values.dims, dims, who=who)
        values = values.data
    array = values if hasattr(values, "__array_function__") else _array(values, dims, who=who)
    if array.ndim != len(dims):
        raise ValueError(f"{who} must have the axes {dims}, got shape {tuple(array.shape)}")
    if 0 in array.shape:
        raise ValueError(f"{who} are empty: {dims} have the shape {tuple(array.shape)}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{who} must be real numbers, got dtype {array.dtype}; convert them first")
    small = array.dtype.itemsize <= (4 if array.dtype.kind == "f" else 2)
    return array.astype(np.float32 if small else np.float64, copy=False)


def _require_places(own: Sequence[Hashable], dims: tuple[str, ...], *, who: str) -> None:
    """Refuse names of dimensions that say that axes are turned; other names say nothing, and go by position."""
    turned = [d for i, d in enumerate(own) if d in dims and i != dims.index(str(d))]
    if turned:
        raise ValueError(
            f"{who} must be {dims}, but lie along {tuple(map(str, own))}, with {listed(turned)} in another place; use "
            ".transpose, or .rename the other dimensions too"
        )


def _array(values: Any, dims: tuple[str, ...], *, who: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{who} must have the axes {dims}, but rows are of unequal length; fill them up or cut them"
        ) from error


def _column(labels: Any, size: int, name: str, dim: str, *, broadcast: bool = False) -> np.ndarray:
    """Labels as an array of the axis' length; one value is repeated where ``broadcast``."""
    # NumPy would write a hole in a list of texts as "nan".
    array = np.asarray(labels, dtype=object if isinstance(labels, list | tuple) else None)
    if broadcast and array.ndim == 0:
        array = np.repeat(array, size)
    if array.shape != (size,):
        raise ValueError(
            f"{name} must have one entry for each of {size} along {dim!r}, got shape {array.shape}"
        )
    missing = np.flatnonzero(pd.isna(array))
    if missing.size and name in NEEDED:
        raise ValueError(
            f"{name} has {missing.size} missing label(s) among {size}, first at position {missing[0]}; give every "
            f"{dim} one, or leave these out"
        )
    if array.dtype.kind in "mM" and np.datetime_data(array.dtype)[0] == "generic":
        raise ValueError(
            f"{name} is NaT for all of {size} along {dim!r}, no date and no time; give values, or None"
        )
    try:
        return _plain(array)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} has bytes that are no UTF-8 text, {error.object!r}; give text, decoded as the file was written"
        ) from error


def _plain(array: np.ndarray) -> np.ndarray:
    """Labels of a dtype that netCDF keeps: numbers in objects as numbers; bytes, pandas and mixed strings as text."""
    if array.dtype == object:
        array = pd.Series(array).infer_objects().to_numpy()
    if array.dtype.kind not in "OST":
        return array
    return np.array([written(v) for v in array], dtype=str)


def _samples(n: int, labels: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: (SAMPLE, _column(x, n, k, SAMPLE, broadcast=k not in (SAMPLE, STIMULUS)))
        for k, x in labels.items()
        if x is not None
    }


def _regions(roi: Any, column: np.ndarray) -> np.ndarray:
    """Regions as they are where all are text or all integers; else as names, "" for missing ones and for 0."""
    if column.dtype.kind in "iu":
        return column
    array = np.asarray(roi, dtype=object if isinstance(roi, list | tuple) else None)
    return column if array.dtype.kind in "UST" else region_names(array)


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


def _labelled(
    values: Any, dims: Sequence[str], coords: dict[str, Any], attrs: dict[str, Any]
) -> xr.DataArray:
    array = xr.DataArray(values, dims=dims, coords=coords, attrs=attrs)
    array.name = None  # a lazy array would lend its hash, and ``spaces`` would call the features so
    return array


def _finish(
    values: Any, dims: Sequence[str], coords: dict[str, Any], subject: Any, attrs: dict[str, Any]
) -> xr.DataArray:
    if subject is not None and np.asarray(subject, dtype=object).ndim == 0:
        attrs["subject"] = str(subject)
    elif subject is not None:
        coords["subject"] = (SAMPLE, _column(subject, values.shape[0], "subject", SAMPLE))
    array = _labelled(values, dims, coords, attrs)
    require_unique(array, SAMPLE, who="responses")
    return array
