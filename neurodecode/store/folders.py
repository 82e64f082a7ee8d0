"""Arrays in zarr folders that :mod:`neurodecode.store.blocks` made: opened, and held against their checksums."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurodecode.store.atomic import shown

# Attributes of the array in the folder that are the folder's own business.
OWN = ("key", "checksums", "axis")
Block = tuple[int, int]


def open_blocks(target: str | Path, *, lazily: bool = False) -> xr.DataArray:
    """Open an array that was made block by block.

    Parameters
    ----------
    target : path of the folder
    lazily : bool
        As a dask array, with the folder's own chunks; otherwise values are read, all of them, when they are used.

    Raises
    ------
    FileNotFoundError
        If it is not there, or was begun and is not whole.
    ValueError
        If it is something else.
    """
    target = Path(target)
    array = opened(target, chunks={} if lazily else None)
    array.attrs = {k: v for k, v in array.attrs.items() if k not in OWN}
    return array


def is_blocks(target: str | Path) -> bool:
    """Whether a path is a zarr folder, or the name that one being made will have."""
    path = Path(target)
    return (path / ".zgroup").exists() or (path / "zarr.json").exists() or part_of(path).is_dir()


def damaged(target: str | Path) -> list[str]:
    """Return which blocks do not hold what was written, in words; none if all is well.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`open_blocks`.
    """
    array = opened(Path(target), chunks=None)
    if "checksums" not in array.attrs:
        return []  # features that were written before there were any
    axis = int(array.attrs["axis"])
    dim = array.dims[axis]
    wrong = []
    for start, stop, written in json.loads(array.attrs["checksums"]):
        try:
            found = checksum(array.variable[index(axis, (start, stop))].values)
        # zarr reports damage as RuntimeError, ValueError, OSError ... without order
        except Exception as error:
            wrong.append(f"{dim} {start} to {stop} cannot be read: {error}")
            continue
        if found != written:
            wrong.append(f"{dim} {start} to {stop} has the checksum {found}, but was written with {written}")
    return wrong


def require_undamaged(target: str | Path) -> None:
    """Refuse a folder that does not hold what was written; all of it is read, a block at a time.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`open_blocks`; ValueError also if a checksum does not hold.
    """
    wrong = damaged(target)
    if wrong:
        raise ValueError(
            f"{target} is damaged: {shown(wrong, most=2)}; make it again, or copy it again from where it was whole"
        )


def opened(target: Path, chunks: Any) -> xr.DataArray:
    """Open the array with all its attributes, or say why not."""
    if not target.exists():
        begun = (
            "; it was begun and is not whole: run the same command again" if part_of(target).exists() else ""
        )
        raise FileNotFoundError(f"there is no folder {target}{begun}")
    try:
        found = xr.open_zarr(target, chunks=chunks, consolidated=False)
        named = [name for name, array in found.data_vars.items() if "key" in array.attrs]
        (name,) = named
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise ValueError(
            f"{target} exists and is no zarr folder that neurodecode made; choose another name"
        ) from error
    array = found[name]
    array.name = None
    return array


def part_of(target: Path) -> Path:
    """Where a folder is made until it is whole."""
    return target.with_name(target.name + ".part")


def index(axis: int, block: Block) -> tuple[slice, ...]:
    """Index of a block along an axis."""
    return (*(slice(None),) * axis, slice(*block))


def checksum(values: Any) -> int:
    """CRC-32 of values in float32 and C order."""
    return zlib.crc32(np.ascontiguousarray(values, dtype=np.float32).data)
