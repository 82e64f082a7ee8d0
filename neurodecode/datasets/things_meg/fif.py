"""Epochs of FIF files that follow each other: whole or refused at opening, rows read when they are needed.

mne opens a truncated file with no more than a warning, and one handle that blocks of rows would have to share. So the
places of the numbers are looked up here, and rows come straight from them. A FIF file is a row of tags: kind, type,
length and the place of the next tag (0: it follows, -1: none), four big-endian integers of 32 bits, then the content
(Neuromag's FIF; the numbers are those of ``mne.io.constants.FIFF``). A file's epochs are one tag, (epoch,
channel, time) in float32 or float64, to be multiplied by the channels' ``cal``. A file that goes on in another names
that one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .._files import Source, present

TAG = struct.Struct(">iIii")
FIRST, ROLE, NAME, EPOCHS = 100, 115, 118, 302
NEXT_FILE = 2
MATRIX = 1 << 30
# Its axes stand after the numbers of a matrix: three of them, and how many.
AXES_BYTES = 16
# Bytes of a role or a name.
MOST = 4096
TYPES = {4: ">f4", 5: ">f8"}


@dataclass(frozen=True)
class Part:
    """Where the numbers of one file lie.

    Attributes
    ----------
    path : of the file
    begin : byte of the first number
    dtype : of the numbers as they are stored
    count : how many numbers
    following : name of the file that goes on, "" for none
    """

    path: Path
    begin: int
    dtype: str
    count: int
    following: str


def parts(first: Path, *, what: str, source: Source) -> list[Part]:
    """All files of one set of epochs.

    Raises
    ------
    FileNotFoundError, ValueError
        If one is missing, only a placeholder, empty, truncated, no FIF file of epochs, or renamed.
    """
    return list(each(first, what=what, source=source))


def each(first: Path, *, what: str, source: Source) -> Iterator[Part]:
    """Yield the files of one set of epochs, one after the other; the errors are those of :func:`parts`."""
    path, number = first, 1
    while True:
        found = _part(path, what=f"{what}, part {number}", source=source)
        yield found
        if not found.following:
            return
        expected = nth(first, number)
        if found.following != expected.name:
            raise ValueError(
                f"{path} ({what}) says that it goes on in {found.following}, not in {expected.name}: it was renamed, "
                f"so it is of another subject or release; give it its name again, or get it from {source}"
            )
        path, number = expected, number + 1


def nth(first: Path, number: int) -> Path:
    """Name of a further file, counted from 1, as mne splits epochs."""
    return first.with_name(f"{first.stem}-{number}{first.suffix}")


def _part(path: Path, *, what: str, source: Source) -> Part:
    path = present(path, what=what, source=source)
    size = path.stat().st_size
    begin = dtype = None
    count, role, following = 0, 0, ""
    try:
        with path.open("rb") as file:
            for kind, form, length, at in _tags(file):
                if kind == EPOCHS and form & MATRIX:
                    begin, dtype = at, TYPES.get(form & ~MATRIX)
                    count = (length - AXES_BYTES) // np.dtype(dtype).itemsize if dtype else 0
                elif kind == ROLE:
                    role = int.from_bytes(_content(file, at, length), "big")
                elif kind == NAME and role == NEXT_FILE:
                    following = _content(file, at, length).decode("latin-1")
    except ValueError as error:
        raise ValueError(f"{path} ({what}, {size} bytes) {error}; get it again from {source}") from error
    if begin is None or dtype is None:
        raise ValueError(f"{path} ({what}) holds no epochs of real numbers; get it again from {source}")
    return Part(path, begin, dtype, count, following)


def _tags(file: BinaryIO) -> Iterator[tuple[int, int, int, int]]:
    """Kind, type, length and place of the content of every tag."""
    at = 0
    while True:
        file.seek(at)
        header = file.read(TAG.size)
        if at == 0 and (len(header) < TAG.size or TAG.unpack(header)[0] != FIRST):
            raise ValueError("is no FIF file")
        if len(header) < TAG.size:
            raise ValueError("is truncated: it ends without its last tag")
        kind, form, length, following = TAG.unpack(header)
        end = at + TAG.size + length
        yield kind, form, length, at + TAG.size
        if following == -1:
            return
        if length < 0 or 0 < following < end:
            raise ValueError(f"is damaged: the tag at byte {at} has the length {length} and goes back")
        at = following or end


def _content(file: BinaryIO, at: int, length: int) -> bytes:
    if not 0 <= length <= MOST:
        raise ValueError(f"is damaged: the tag at byte {at - TAG.size} has the length {length}")
    file.seek(at)
    return file.read(length)


def counts(found: list[Part], shape: tuple[int, int]) -> list[int]:
    """How many epochs (channel, time) each file holds."""
    return [part.count // (shape[0] * shape[1]) for part in found]


def read(
    found: list[Part],
    rows: np.ndarray,
    shape: tuple[int, int],
    channels: np.ndarray,
    times: slice,
    cals: np.ndarray,
    source: Source,
) -> np.ndarray:
    """Some epochs (row, channel, time), float32.

    Parameters
    ----------
    found : all files
    rows : which epochs, counted through all files, increasing
    shape : channels and times of an epoch as stored
    channels, times : which of them
    cals : (channel) what the stored numbers of these channels are multiplied by

    Raises
    ------
    FileNotFoundError, ValueError
        If a file went away or was cut since it was opened.
    """
    out = np.empty((len(rows), len(channels), len(range(shape[1])[times])), np.float32)
    first = 0
    for part, count in zip(found, counts(found, shape), strict=True):
        here = np.flatnonzero((rows >= first) & (rows < first + count))
        if here.size:
            stored = _stored(part, (count, *shape), source)
            for i in here:
                epoch = stored[rows[i] - first, :, times]
                out[i] = epoch[channels] * cals[:, None]
        first += count
    return out


def _stored(part: Part, shape: tuple[int, ...], source: Source) -> Any:
    path = present(part.path, what="epochs", source=source)
    try:
        return np.memmap(path, part.dtype, "r", part.begin, shape)
    except ValueError as error:
        raise ValueError(f"{path} changed since it was opened: {error}") from error
