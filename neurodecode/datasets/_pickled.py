"""Dictionaries of arrays that others pickled into a .npy file, read without running any code.

``np.save`` of a dict, and ``pickle.dump`` under the same name, are both in use. Only numbers, texts, lists, dicts and
NumPy arrays are made again; a file that refers to anything else is refused before that is looked up.
"""

from __future__ import annotations

import codecs
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from ..labels import listed, require_memory
from ._files import Source, present

# NumPy's own, under the names of its old and new modules.
MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")


class _Arrays(pickle.Unpickler):
    """Finds what arrays are made of, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module in MODULES and name in ("_reconstruct", "_frombuffer", "scalar"):
            return getattr(np._core.numeric if name == "_frombuffer" else np._core.multiarray, name)
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is no array")


def _encode(text: str, encoding: str) -> bytes:
    """Bytes that an old protocol wrote as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes bytes as {encoding}")
    return codecs.latin_1_encode(text)[0]


def read_dict(path: str | Path, names: tuple[str, ...], *, what: str, source: Source) -> dict[str, Any]:
    """Read a dictionary that holds ``names``.

    Raises
    ------
    FileNotFoundError
        If the file is missing, or not downloaded.
    ValueError
        If it is truncated, of another kind, lacks a name, or holds anything but numbers, texts and arrays.
    MemoryError
        If it does not fit into memory.
    """
    path = present(path, what=what, source=source)
    # The bytes that are read, and the arrays made of them.
    require_memory(
        2 * path.stat().st_size, what=f"{what}, {path.name}", remedy="use a machine with more memory"
    )
    try:
        with path.open("rb") as file:
            found = _unpickled(file)
    except (
        pickle.UnpicklingError,
        ValueError,
        EOFError,
        TypeError,
        AttributeError,
        IndexError,
        KeyError,
    ) as error:
        raise ValueError(
            f"{path} ({what}, {path.stat().st_size} bytes) is truncated, damaged or of another kind: {error}; "
            f"get it again from {source}"
        ) from error
    missing = [name for name in names if not isinstance(found, dict) or name not in found]
    if missing:
        there = listed(list(map(str, found))) if isinstance(found, dict) else f"a {type(found).__name__}"
        raise ValueError(f"{path} ({what}) lacks {listed(missing)}; it holds {there}")
    return dict(found)


def _unpickled(file: BinaryIO) -> Any:
    begin = file.read(len(npy.MAGIC_PREFIX))
    file.seek(0)
    if begin != npy.MAGIC_PREFIX:
        return _Arrays(file).load()
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if shape != () or dtype != np.dtype(object):
        raise ValueError(f"it holds an array {shape} of {dtype}, not a dictionary")
    return _Arrays(file).load().item()
