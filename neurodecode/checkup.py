"""Top: what is in a file, and what is wrong with it; behind ``neurodecode info``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from . import store
from .labels import FEATURE, SAMPLE, STIMULUS, listed, require_coord, require_finite, require_unique
from .store.folders import is_blocks
from .store.text import printable

IMAGES = (".nii", ".nii.gz")


def checkup(path: Path) -> tuple[str, list[str]]:
    """Describe a file in a few lines and list its faults in words.

    Parameters
    ----------
    path : netCDF of this package, mne epochs, or a NIfTI image

    Raises
    ------
    ValueError, FileNotFoundError
        If the file cannot be read at all, and why.
    """
    if str(path).endswith(IMAGES):
        return _image(path), []
    if str(path).endswith((".fif", ".fif.gz")):
        from .inputs import responses_from

        found: xr.DataArray | xr.Dataset = responses_from(path)
    else:
        found = store.load(path)
    arrays = (
        {str(found.name or "array"): found}
        if isinstance(found, xr.DataArray)
        else dict(found.data_vars.items())
    )
    lines = [_what(found)]
    faults: list[str] = []
    for name, array in arrays.items():
        lines.append(f"  {printable(name)}: {_summary(array)}")
        faults += _faults(str(name), array)
    if is_blocks(path):
        lines.append("  checksums hold")  # or it would not have been loaded
    if "provenance" in found.attrs:
        made = {k: printable(v) for k, v in store.provenance(found).items() if k != "parameters"}
        what, version, date, seed = (made.get(k, "(not said)") for k in ("what", "version", "date", "seed"))
        lines.append(f"  made by {what}, neurodecode {version}, {date}, seed {seed}")
    return "\n".join(lines), faults


def _what(found: xr.DataArray | xr.Dataset) -> str:
    """Name the kind of data by its dimensions."""
    dims = set(map(str, found.dims))
    kinds = (
        ({SAMPLE, "voxel"}, "fMRI responses"),
        ({SAMPLE, "channel", "time"}, "M/EEG responses"),
        ({STIMULUS, FEATURE}, "stimulus features"),
        ({STIMULUS, "row", "column"}, "images"),
        ({"train_window", "test_window"}, "scores, generalisation over time"),
        ({"window", "channel"}, "sensor patterns"),
        ({"window"}, "scores over time"),
        ({"region"}, "scores or profile of regions"),
        ({"voxel"}, "map over voxels"),
    )
    name = next((text for needed, text in kinds if needed <= dims), "labelled data of another kind")
    return f"  {name} ({', '.join(f'{printable(d)} {n}' for d, n in found.sizes.items())})"


def _summary(array: xr.DataArray) -> str:
    units = array.attrs.get("units")
    text = f"{array.dtype}, {array.nbytes / 2**20:.1f} MiB" + (f", {printable(units)}" if units else "")
    for name in (SAMPLE, STIMULUS, "split", "subject", "session", "run", "roi", "layer", "channel"):
        if name in array.coords and array.coords[name].ndim == 1:
            values = list(dict.fromkeys(array.coords[name].values.tolist()))
            text += f"\n    {name}: {len(values)} different, {listed(values, most=6)}"
    if "time" in array.coords and array.coords["time"].ndim == 1 and array.sizes["time"] > 1:
        time = array.coords["time"].values
        text += f"\n    time: {time[0]:g} to {time[-1]:g} s, {(time.size - 1) / (time[-1] - time[0]):g} Hz"
    return text


def _faults(name: str, array: xr.DataArray) -> list[str]:
    checks: list[Callable[[], object]] = []
    if array.dtype.kind == "f" and (SAMPLE in array.dims or STIMULUS in array.dims):
        checks.append(lambda: require_finite(array, who=name))
    if SAMPLE in array.dims:
        checks.append(lambda: require_unique(array, SAMPLE, who=name))
        checks.append(lambda: require_coord(array, STIMULUS, who=name))
    elif STIMULUS in array.dims:
        checks.append(lambda: require_unique(array, STIMULUS, who=name))
    faults = []
    for check in checks:
        try:
            check()
        except ValueError as error:
            faults.append(str(error))
    if (SAMPLE in array.dims or STIMULUS in array.dims) and not array.size:
        faults.append(f"{name} is empty: {dict(array.sizes)}")
    return faults


def _image(path: Path) -> str:
    import nibabel

    if path.is_dir() or (path.exists() and not path.is_file()):
        raise ValueError(f"{str(path)!r} is a folder, pipe or device, not a NIfTI image; give a file's path")
    try:
        image: Any = nibabel.load(path)
    except FileNotFoundError:
        raise
    except (
        Exception
    ) as error:  # nibabel reports damage as HeaderDataError, EOFError, OSError ... without order
        raise ValueError(f"{str(path)!r} is no NIfTI image, or damaged: {error}") from error
    shape, size = image.shape, image.header.get_zooms()[:3]
    return (
        f"  NIfTI image {shape}, voxels of {' x '.join(f'{s:g}' for s in size)} mm\n"
        "  label it with neurodecode.brain.fmri(image, mask=..., sample=..., stimulus=...)"
    )
