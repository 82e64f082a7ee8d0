"""Files of a published dataset: there, whole and readable, or an error that says which, and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..store.elsewhere import require_own

# Where git-annex keeps what it stands for: in a link's target, or in a small file in its place.
ANNEX = ("/annex/objects/", ".git/annex/objects/")
POINTER_BYTES = 32_768


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from: its name, an address, and the agreement that its owners ask for, if any."""

    name: str
    address: str
    agreement: str = ""

    def __str__(self) -> str:
        terms = f", after agreeing to the {self.agreement}" if self.agreement else ""
        return f"{self.name} ({self.address}{terms}; nothing is downloaded here)"


def present(path: str | Path, *, what: str, source: Source) -> Path:
    """Return the path of a file that is there and holds something.

    Raises
    ------
    FileNotFoundError
        If it is missing, or only a placeholder of git-annex (datalad), naming what it is and where it comes from.
    ValueError
        If it is empty.
    """
    path = Path(path)
    if _is_placeholder(path):
        raise FileNotFoundError(
            f"{path} ({what}) is a placeholder: its content was not downloaded; run `datalad get {path}` in the dataset"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{what} is missing: {path}{_nearest(path)}; it is part of {source}")
    if not path.stat().st_size:
        raise ValueError(f"{path} ({what}) is empty: its download did not finish; get it again from {source}")
    return path


def listed_at(path: Path) -> bool:
    """Whether the folder lists a file of this name, be it a placeholder: :func:`present` then says so."""
    return os.path.lexists(path)


def read_text(path: str | Path, *, what: str, source: Source) -> str:
    """Text of a file in UTF-8.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`present`; ValueError also if it is no text.
    """
    path = present(path, what=what, source=source)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} ({what}) is no text in UTF-8, or damaged: {error}; get it again from {source}"
        ) from error


def _is_placeholder(path: Path) -> bool:
    if path.is_symlink() and not path.exists():
        return any(part in str(path.readlink()) for part in ANNEX)
    if not path.is_file() or not 0 < path.stat().st_size < POINTER_BYTES:
        return False
    with path.open("rb") as file:
        begin = file.read(256)
    return begin.startswith(b"/annex/objects/") or (
        begin.startswith(b"../") and b".git/annex/objects/" in begin
    )


def _nearest(path: Path) -> str:
    """Say how far down the path there are folders: a wrong root and a missing file want different remedies."""
    there = next((parent for parent in path.parents if parent.is_dir()), None)
    if there is None or there == path.parent:
        return ""
    return f" (of its folders only {there} is there)"


@contextmanager
def open_hdf5(path: Path, *, what: str, source: Source) -> Iterator[Any]:
    """Open an HDF5 file for reading.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`present`; ValueError also if it is truncated or no HDF5 file.
    """
    import h5py

    path = present(path, what=what, source=source)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        kind = "is truncated" if "truncated" in str(error) else "is no HDF5 file, or damaged"
        raise ValueError(
            f"{path} ({what}, {path.stat().st_size} bytes) {kind}: get it again from {source}"
        ) from error
    with file:
        try:
            require_own(file)
        except (ValueError, OSError, RuntimeError, KeyError) as error:
            raise ValueError(f"{path} ({what}) is damaged or refers to other files: {error}") from error
        yield file


def member(file: Any, name: str, *, shape: tuple[int | None, ...], what: str) -> Any:
    """Return a dataset of an open HDF5 file once it has the expected shape; None stands for any size."""
    if name not in file:
        raise ValueError(f"{file.filename} ({what}) has no {name!r}; it has {', '.join(file) or 'nothing'}")
    found = file[name]
    if not _fits(getattr(found, "shape", ()), shape):
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{name!r} in {file.filename} ({what}) has shape {getattr(found, 'shape', ())}, expected ({expected})"
        )
    return found


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(e in (None, s) for s, e in zip(shape, expected, strict=True))


def read_mat(path: Path, names: tuple[str, ...], *, what: str, source: Source) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file, of version 7.3 (HDF5) or older, in MATLAB's axes.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`present`; ValueError also if it is damaged or lacks a variable.
    """
    import h5py

    path = present(path, what=what, source=source)
    if h5py.is_hdf5(path):
        with open_hdf5(path, what=what, source=source) as file:
            # HDF5 lists MATLAB's axes from the last one.
            found = {name: np.asarray(file[name]).T for name in names if name in file}
            there = list(file)
    else:
        found = read_old_mat(path, names, what=what, source=source)
        there = [name for name in found if not name.startswith("__")]
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(
            f"{path} ({what}) lacks {', '.join(missing)}; it has {', '.join(there) or 'none of them'}"
        )
    return {name: np.asarray(found[name]) for name in names}


def read_old_mat(path: Path, names: tuple[str, ...] | None, *, what: str, source: Source) -> dict[str, Any]:
    """Read those of the variables (None: all) that a MATLAB file older than version 7.3 has.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`present`; ValueError also if it is damaged.
    """
    from scipy.io import loadmat

    path = present(path, what=what, source=source)
    try:
        found: dict[str, Any] = loadmat(path, variable_names=names if names is None else list(names))
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # scipy reports damage as MatReadError, TypeError, zlib.error ... without order
        raise ValueError(
            f"{path} ({what}) is no MATLAB file, or damaged ({error}); get it again from {source}"
        ) from error
    return found
