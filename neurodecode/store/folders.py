"""Arrays in zarr folders that :mod:`neurodecode.store.blocks` made: opened, and held against their checksums."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurodecode.store.atomic import shown
from neurodecode.store.hashes import data_hash

# Attributes of the array in the folder that are the folder's own business.
OWN = ("key", "checksums", "axis")
# Attribute of the folder: a hash of what stands beside the values.
SEAL = "neurodecode_seal"
Block = tuple[int, int]


def beside(array: xr.DataArray) -> str:
    """Hash of what an array says beside its values: sizes, attributes, labels; ``checksums`` are among them."""
    labels = [
        (str(k), data_hash(v.variable), sorted((str(a), repr(x)) for a, x in v.attrs.items()))
        for k, v in sorted(array.coords.items(), key=lambda kv: str(kv[0]))
    ]
    attrs = sorted((str(k), repr(v)) for k, v in array.attrs.items())
    said = [array.dims, array.shape, str(array.dtype), attrs, labels]
    return hashlib.sha256(repr(said).encode("utf-8", "backslashreplace")).hexdigest()


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


def is_ours(target: Path) -> bool:
    """Whether a folder is one that was made block by block, damaged or not: nothing else is ever removed."""
    if target.is_symlink() or not (target / ".zgroup").is_file():
        return False
    said = [p for p in target.glob("*/.zattrs") if p.is_file()]
    return any('"key"' in p.read_text(encoding="utf-8", errors="replace") for p in said)


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
    """Open the array with all its attributes, or say why not; labels and attributes are held against their hash."""
    if not target.exists():
        begun = (
            "; it was begun and is not whole: run the same command again" if part_of(target).exists() else ""
        )
        raise FileNotFoundError(f"there is no folder {target}{begun}")
    try:
        found = xr.open_zarr(target, chunks=chunks, consolidated=False)
        named = [name for name, array in found.data_vars.items() if "key" in array.attrs]
        (name,) = named
        array = found[name]
        array.name = None
        sealed = found.attrs.get(SEAL)
        found_now = beside(array) if sealed is not None else ""
    except MemoryError:
        raise
    except Exception as error:  # zarr reports damage as KeyError, RuntimeError, ValueError ... without order
        raise ValueError(
            f"{target} exists and is no zarr folder that neurodecode made, or it is damaged ({_in_short(error)}); "
            "choose another name, or delete it and make it again"
        ) from error
    if sealed is not None and found_now != sealed:
        raise ValueError(
            f"{target} is damaged: its labels and attributes have the SHA-256 sum {found_now[:16]}..., but what was "
            f"written had {str(sealed)[:16]}...; make it again, or copy it again from where it was whole"
        )
    return array


def _in_short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"


def part_of(target: Path) -> Path:
    """Where a folder is made until it is whole."""
    return target.with_name(target.name + ".part")


def index(axis: int, block: Block) -> tuple[slice, ...]:
    """Index of a block along an axis."""
    return (*(slice(None),) * axis, slice(*block))


def checksum(values: Any) -> int:
    """CRC-32 of values in float32 and C order."""
    return zlib.crc32(np.ascontiguousarray(values, dtype=np.float32).data)
