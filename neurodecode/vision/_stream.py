"""Rows computed a batch at a time, in memory or to a zarr folder that is there whole or not at all.

While it is being made, a folder ``<name>.part`` beside it holds the rows, the key (everything that decides their
values) and a journal with one line and one checksum a finished batch. A later run with the same key goes on with the
batches that are missing or whose checksum does not hold; the folder gets its name when all are there.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..labels import FEATURE, STIMULUS, require_memory
from ..store import Pieces, describe, stamp

NAME = "features"
ROWS = "rows.zarr"
JOURNAL = "journal"


@dataclass(frozen=True)
class Work:
    """What is to be computed, and what is written about it.

    Attributes
    ----------
    what : str, the function that a user called.
    compute : rows start to stop -> (stop - start, feature) float32.
    coords, attrs : of the result; ``coords`` hold ``stimulus``, ``layer`` and ``unit``.
    parameters, data : what the values follow from; ``data`` are hashes.
    """

    what: str
    compute: Callable[[int, int], np.ndarray]
    coords: Mapping[str, Any]
    attrs: Mapping[str, Any]
    parameters: Mapping[str, Any]
    data: Mapping[str, str]

    @property
    def shape(self) -> tuple[int, int]:
        """Stimuli, features."""
        return len(self.coords[STIMULUS][1]), len(self.coords["unit"][1])

    @property
    def key(self) -> dict[str, Any]:
        """Everything that decides the values."""
        return json.loads(json.dumps(describe({**self.parameters, **self.data})))


def run(work: Work, *, out: str | Path | None, batch: int, progress: bool) -> xr.DataArray:
    """Compute all rows; return the labelled array, which stays on disk where ``out`` is given."""
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch must be a whole number of pictures, 1 or more; got {batch!r}")
    n, p = work.shape
    if out is None:
        require_memory(
            4 * n * p, what=f"{n} x {p} features", remedy="give out=... to write them to a zarr folder"
        )
        values = np.empty((n, p), np.float32)
        for start, stop in _shown(_batches(n, batch), 0, work.what, progress):
            values[start:stop] = work.compute(start, stop)
        array = xr.DataArray(values, dims=(STIMULUS, FEATURE), coords=work.coords, attrs=work.attrs)
        return _stamped(array, work)
    target = Path(out)
    if not target.exists():
        _make(work, target, batch, progress)
    elif not (_part(target) / ROWS).exists():
        shutil.rmtree(_part(target), ignore_errors=True)  # left by a kill just after the rows got their name
    return _opened(work, target)


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _batches(n: int, batch: int) -> list[tuple[int, int]]:
    return [(start, min(start + batch, n)) for start in range(0, n, batch)]


def _shown(todo: list[tuple[int, int]], done: int, what: str, progress: bool) -> Iterator[tuple[int, int]]:
    from tqdm import tqdm

    with tqdm(total=len(todo) + done, initial=done, desc=what, unit="batch", disable=not progress) as bar:
        for item in todo:
            yield item
            bar.update()


def _stamped(array: xr.DataArray, work: Work) -> xr.DataArray:
    return stamp(array, what=work.what, parameters=work.parameters, data=work.data)


def _make(work: Work, target: Path, batch: int, progress: bool) -> None:
    """Make the folder, or go on with one that was begun."""
    part = _part(target)
    # The size of a batch belongs to the key: sums in another order differ in the last digit.
    Pieces(part, key=work.key | {"batch": batch})
    rows, journal = part / ROWS, part / JOURNAL
    if not (journal.exists() and rows.exists()):
        shutil.rmtree(rows, ignore_errors=True)  # begun, and no batch finished
        _begin(work, rows, batch)
        journal.write_text("", encoding="utf-8")
    values = _group(rows)[NAME]
    batches = _batches(work.shape[0], batch)
    sums = _journal(journal)
    todo = [b for b in batches if b not in sums or zlib.crc32(_bytes(values[b[0] : b[1]])) != sums[b]]
    with open(journal, "a", encoding="utf-8") as stream:
        for start, stop in _shown(todo, len(batches) - len(todo), work.what, progress):
            found = np.ascontiguousarray(work.compute(start, stop), dtype=np.float32)
            values[start:stop] = found
            # The first newline ends a line that a kill cut short, which the reader passes over.
            stream.write(f"\n{json.dumps([start, stop, zlib.crc32(_bytes(found))])}\n")
            stream.flush()
    try:
        os.replace(rows, target)
    except OSError as error:
        raise FileExistsError(f"{target} was made by somebody else meanwhile; {part} was left") from error
    shutil.rmtree(part, ignore_errors=True)


def _bytes(values: Any) -> bytes:
    return np.ascontiguousarray(values, dtype=np.float32).tobytes()


def _journal(file: Path) -> dict[tuple[int, int], int]:
    """Read the finished batches and their checksums."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            start, stop, checksum = json.loads(line)
        except ValueError:
            continue
        found[start, stop] = checksum
    return found


def _group(folder: Path) -> Any:
    import zarr

    return zarr.open_group(str(folder), mode="a", zarr_format=2)


def _begin(work: Work, rows: Path, batch: int) -> None:
    """Write coordinates and attrs, and an array without values yet."""
    n, p = work.shape
    empty = _stamped(xr.DataArray(0, attrs=work.attrs), work)
    xr.Dataset(coords=work.coords).to_zarr(rows, mode="w", zarr_format=2, consolidated=False)
    widest = int(np.unique(work.coords["layer"][1], return_counts=True)[1].max())
    array = _group(rows).create_array(
        NAME,
        shape=(n, p),
        chunks=(min(batch, n), widest),
        dtype="float32",
        compressors=None,
        fill_value=np.nan,
    )
    array.attrs.update({**empty.attrs, "key": json.dumps(work.key), "_ARRAY_DIMENSIONS": [STIMULUS, FEATURE]})


def _opened(work: Work, target: Path) -> xr.DataArray:
    """Open a finished folder, if it is what was asked for."""
    try:
        array = xr.open_zarr(target, chunks=None, consolidated=False)[NAME]
        found = json.loads(array.attrs["key"])
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{target} exists and is no folder of features that {work.what} made; choose another name"
        ) from error
    absent = "(not given)"
    differ = [
        f"{k!r}: {found.get(k, absent)!r} there, {work.key.get(k, absent)!r} now"
        for k in sorted(found.keys() | work.key.keys())
        if found.get(k, absent) != work.key.get(k, absent)
    ]
    if differ:
        raise ValueError(
            f"{target} holds other features; {len(differ)} entries differ: {'; '.join(differ)}. Choose another name, "
            "or delete it to make it again"
        )
    array.name = None
    array.attrs = {k: v for k, v in array.attrs.items() if k != "key"}
    return array
