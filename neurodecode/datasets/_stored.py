"""Arrays that stay in their file: what is handed on is where they lie, not their numbers."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Stored:
    """Where an array lies in a file. It is opened where it is used, so that another process gets no copy of it."""

    path: str
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str

    def open(self) -> np.ndarray:
        """The array, read-only; numbers are read when they are looked at."""
        return np.memmap(
            self.path,
            dtype=self.dtype,
            mode="r",
            offset=self.offset,
            shape=self.shape,
            order="F" if self.order == "F" else "C",
        )


@dataclass(frozen=True)
class Held:
    """An array in memory, opened like one in a file."""

    values: np.ndarray

    def open(self) -> np.ndarray:
        """The array."""
        return self.values


def stored(array: np.ndarray) -> Stored | Held:
    """Where a memory-mapped array lies; any other array, or a piece of a mapped one, is held as it is."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap):
        return Held(array)
    mapped: Any = array
    order = "C" if mapped.flags.c_contiguous else "F"
    return Stored(str(mapped.filename), int(mapped.offset), mapped.dtype, mapped.shape, order)
