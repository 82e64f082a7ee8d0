"""One file in the BData format: samples x columns, and what every column is.

As written by bdpy (KamitaniLab/bdpy, bdpy/bdata/bdata.py; release 0.26): HDF5 with ``/dataset`` (sample, column)
float64, ``/metadata/key`` and ``/metadata/description`` (key) texts, ``/metadata/value`` (key, column) float64 with NaN
where a key does not apply, and optionally ``/vmap/<key>/<number>``, one text each. Older releases wrote ``/dataSet``
and ``/metaData`` and no vmap (the same file, early in its history). MATLAB files hold ``dataSet`` and ``metaData`` with
the keys in a cell array (KamitaniLab/GenericObjectDecoding, code/matlab/convertdata_BrainData.m). Their version 7.3 is
read after the rules of that format (axes from the last one, cells as references); no such file was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...labels import listed
from .._files import Source, open_hdf5, read_old_mat

SOURCE = Source(
    "the Kamitani lab's open data",
    "figshare: 7387130 Generic Object Decoding, 7033577 Deep Image Reconstruction",
)
WHAT = "BData"
NAMES = (("dataset", "dataSet"), ("metadata", "metaData"))
# Bytes of one block of rows, all columns.
BLOCK = 2**26


@dataclass(frozen=True)
class BData:
    """An open file.

    Attributes
    ----------
    path : of the file
    data : (sample, column), or (column, sample) where ``turned``; on disk in HDF5
    keys : names of the rows of ``value``
    value : (key, column), or (column, key) where ``turned``
    vmap : {key: group of {number: text}}
    turned : MATLAB's axes as HDF5 lists them
    """

    path: Path
    data: Any
    keys: tuple[str, ...]
    value: Any
    vmap: Any
    turned: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Samples, columns."""
        first, second = self.data.shape
        return (second, first) if self.turned else (first, second)

    def key(self, name: str) -> np.ndarray:
        """Value (column) of a key; NaN in columns to which it does not apply."""
        i = self.keys.index(name)
        return np.asarray(self.value[:, i] if self.turned else self.value[i], dtype=np.float64)

    def where(self, name: str) -> np.ndarray:
        """Columns in which a key is 1. Others hold 0 or NaN, and NaN is true in Python."""
        return np.flatnonzero(self.key(name) == 1)

    def block(self, first: int, last: int, columns: np.ndarray) -> np.ndarray:
        """Values (sample, column) of some samples, as they are stored, of columns that increase."""
        low, high = int(columns[0]), int(columns[-1]) + 1
        try:
            if self.turned:
                values = np.asarray(self.data[low:high, first:last]).T
            else:
                values = np.asarray(self.data[first:last, low:high])
        except OSError as error:
            raise ValueError(
                f"{self.path} ({WHAT}) is damaged: {error}; get it again from {SOURCE}"
            ) from error
        return values[:, columns - low]

    def column(self, name: str) -> np.ndarray | None:
        """Values (sample) of a key that stands for a single column; None where it is absent or has several."""
        if name not in self.keys:
            return None
        columns = self.where(name)
        return self.block(0, self.shape[0], columns)[:, 0] if len(columns) == 1 else None

    def texts(self, name: str) -> dict[float, str]:
        """What the numbers of a column stand for; empty where the file does not say."""
        if self.vmap is None or name not in self.vmap:
            return {}
        return {float(number): _text(node[()]) for number, node in self.vmap[name].items()}


@contextmanager
def opened(path: Path) -> Iterator[BData]:
    """Open a file; in HDF5 its values stay on disk.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, ValueError
        If it is missing, a folder, damaged, or no BData.
    """
    if path.is_dir():
        there = sorted(p.name for p in path.iterdir() if p.suffix in (".h5", ".mat"))
        raise IsADirectoryError(
            f"{path} is a folder; give the files in it that are wanted: {listed(there) or 'it has no .h5'}"
        )
    if path.suffix == ".mat" and not _is_hdf5(path):
        yield _checked(_from_mat(path))
        return
    with open_hdf5(path, what=WHAT, source=SOURCE) as file:
        yield _checked(_from_hdf5(path, file))


def rows(path: Path, samples: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values (sample, column), float32, of samples that increase; all between them pass through memory."""
    with opened(path) as found:
        first = int(samples[0])
        return found.block(first, int(samples[-1]) + 1, columns)[samples - first].astype(np.float32)


def blocks(path: Path, samples: np.ndarray, columns: np.ndarray) -> Iterator[np.ndarray]:
    """Cut samples into those that are read at once: :data:`BLOCK` of HDF5, all of a MATLAB file."""
    span = len(samples)
    if path.suffix != ".mat":
        span = max(1, BLOCK // (8 * int(columns[-1] - columns[0] + 1)))
    parts = samples // span if path.suffix != ".mat" else np.zeros_like(samples)
    yield from np.split(samples, np.flatnonzero(np.diff(parts)) + 1)


def _is_hdf5(path: Path) -> bool:
    import h5py

    return path.is_file() and bool(h5py.is_hdf5(path))


def _from_hdf5(path: Path, file: Any) -> BData:
    data, meta = (_named(path, file, names) for names in NAMES)
    missing = [name for name in ("key", "value") if name not in meta]
    if missing:
        raise ValueError(f"{meta.name} in {path} ({WHAT}) lacks {listed(missing)}; it holds {listed(meta)}")
    key, value = meta["key"], meta["value"]
    # A cell array of MATLAB: references to texts, each a column of numbers of characters.
    if key.dtype.kind == "O" and _holds_references(key):
        keys = [_characters(file[reference]) for reference in np.asarray(key).ravel()]
        return BData(path, data, tuple(keys), value, None, turned=True)
    return BData(path, data, tuple(_text(k) for k in key[()]), value, file.get("vmap"))


def _holds_references(node: Any) -> bool:
    import h5py

    return h5py.check_dtype(ref=node.dtype) is not None


def _from_mat(path: Path) -> BData:
    found = read_old_mat(path, None, what=WHAT, source=SOURCE)
    there = {name: value for name, value in found.items() if not name.startswith("__")}
    data, meta = (_named(path, there, names) for names in NAMES)
    try:
        keys = [str(np.ravel(cell)[0]) for cell in np.ravel(meta["key"][0, 0])]
        value = np.asarray(meta["value"][0, 0])
    except (ValueError, IndexError, TypeError) as error:
        raise ValueError(
            f"metaData in {path} ({WHAT}) must be one structure with 'key' and 'value', but is {np.shape(meta)} of "
            f"{meta.dtype}; get it again from {SOURCE}"
        ) from error
    return BData(path, np.asarray(data), tuple(keys), value, None)


def _named(path: Path, file: Any, names: tuple[str, ...]) -> Any:
    found = next((name for name in names if name in file), None)
    if found is None:
        raise ValueError(
            f"{path} is no {WHAT}: it has no {' or '.join(map(repr, names))}; it has {listed(file) or 'nothing'}"
        )
    return file[found]


def _checked(found: BData) -> BData:
    if len(found.data.shape) != 2 or 0 in found.data.shape:
        raise ValueError(
            f"the data in {found.path} ({WHAT}) must be (sample, column), their shape is {found.data.shape}"
        )
    expected = (len(found.keys), found.shape[1])
    stored = tuple(found.value.shape)[:: -1 if found.turned else 1]
    if stored != expected:
        raise ValueError(
            f"{found.path} ({WHAT}) has {expected[0]} keys and {expected[1]} columns, but values of the shape "
            f"{stored}; get it again from {SOURCE}"
        )
    twice = sorted({key for key in found.keys if found.keys.count(key) > 1})
    if twice:
        raise ValueError(f"{found.path} ({WHAT}) has more than one key {listed(twice)}; get the file again")
    return found


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _characters(node: Any) -> str:
    return "".join(map(chr, np.asarray(node).ravel()))
