"""Dictionaries of arrays that others pickled into a .npy file, read without running any code.

``np.save`` of a dict, and ``pickle.dump`` under the same name, are both in use. Only numbers, texts, lists, dicts and
NumPy arrays are made again; a file that refers to anything else is refused before that is looked up.

Protocols 3 to 5 write the numbers of an array as they are, so a large array is mapped where it lies instead of being
read. Older protocols wrap them in text, which must be read whole.
"""

from __future__ import annotations

import codecs
import math
import pickle
import re
import struct
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.lib import format as npy

from ..labels import listed, require_memory
from ._files import Source, present

# NumPy's own, under the names of its old and new modules.
MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
# Bytes from which an array stays in the file.
LARGE = 2**20
# Booleans, numbers, dates and texts: whatever bytes stand there are a value, never an address.
KINDS = "biufcmMSU"
DAMAGED = (
    pickle.UnpicklingError,
    ValueError,
    EOFError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,  # also RecursionError
    struct.error,
    SyntaxError,
    tokenize.TokenError,  # both of NumPy's reader of headers
)
# A type as writers name it: NumPy's own parser knows structures, whose parts may be addresses.
TYPE = re.compile(r"[<>|=]?(?:[?biufcmMSUO]\d{0,9})")
# Stands for numpy.ndarray, which writers name and which nothing here may call: it would make an array of addresses.
NDARRAY = object()


@dataclass(frozen=True)
class _Stretch:
    """Bytes that were passed over."""

    path: Path
    offset: int
    count: int

    def array(self, dtype: Any, shape: Any, *, order: Any) -> np.ndarray:
        if not isinstance(dtype, np.dtype) or dtype.kind not in KINDS:
            raise pickle.UnpicklingError(f"a large array is of {dtype}, not of numbers or texts")
        if order not in ("C", "F") or _count(shape) * dtype.itemsize != self.count:
            raise pickle.UnpicklingError(f"an array {shape} of {dtype} does not fit its {self.count} bytes")
        return np.memmap(self.path, dtype=dtype, mode="r", offset=self.offset, shape=shape, order=order)


class _Whole:
    """A file that says so when it ends too early, before memory is taken for what is not there."""

    def __init__(self, file: BinaryIO, path: Path, *, what: str) -> None:
        self.file, self.path, self.what = file, path, what
        self.size = path.stat().st_size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        self._require(count)
        if count > LARGE:
            # What is read, and the array made of it.
            self.require_memory(2 * count)
        return self.file.read(count)

    def passed(self, count: int) -> _Stretch:
        self._require(count)
        stretch = _Stretch(self.path, self.file.tell(), count)
        self.file.seek(count, 1)
        return stretch

    def require_memory(self, needed: int) -> None:
        require_memory(needed, what=f"{self.what}, {self.path.name}", remedy="use a machine with more memory")

    def _require(self, count: int) -> None:
        left = self.size - self.file.tell()
        if count > left:
            raise EOFError(f"{count} bytes are announced where only {left} are left")


# The unpickler that is written in Python, since only its steps can be replaced.
class _Arrays(pickle._Unpickler):
    """Makes arrays and what they are made of, nothing else; large ones stay in the file."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)
    # Of the base class, whose types are not known.
    stack: list[Any]
    memo: dict[int, Any]
    read: Callable[[int], bytes]
    append: Callable[[Any], None]
    _unframer: Any

    def __init__(self, file: _Whole) -> None:
        super().__init__(file)
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        if module == "numpy" and name in ("ndarray", "dtype"):
            return {"ndarray": NDARRAY, "dtype": _dtype}[name]
        if module in MODULES and name in ("_reconstruct", "_frombuffer", "scalar"):
            made = {
                "_reconstruct": _empty,
                "_frombuffer": _from_buffer,
                "scalar": _scalar,
            }
            return made[name]
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) in (("__builtin__", "bytes"), ("builtins", "bytes")):
            return _nothing
        raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is no array")

    def get_extension(self, code: int) -> None:
        """Refuse: what others registered under a number would come without being asked for by name."""
        raise pickle.UnpicklingError(f"it refers to extension {code}, which is no array")

    def load_build(self) -> None:
        """Fill the array, or the dtype, that was made last."""
        state: Any = self.stack.pop()
        made: Any = self.stack[-1]
        fills = isinstance(made, np.ndarray | np.dtype)  # named apart, so that the types stay open
        if not fills:
            raise pickle.UnpicklingError(f"it fills a {type(made).__name__}, which is no array")
        if isinstance(made, np.dtype):
            _require_dtype_state(made, state)
            named: Any = made  # the stubs leave out how dtypes are filled
            named.__setstate__(state)
            return
        _, shape, dtype, fortran, stretch = state
        if not isinstance(stretch, _Stretch):
            _require_array_state(made, state)
            made.__setstate__(state)
            return
        array = stretch.array(dtype, shape, order="F" if fortran else "C")
        self.stack[-1] = array
        # It may be named again further on.
        self.memo.update({key: array for key, value in self.memo.items() if value is made})

    def load_binbytes(self) -> None:
        self._push(struct.unpack("<I", self.read(4))[0])

    def load_binbytes8(self) -> None:
        self._push(struct.unpack("<Q", self.read(8))[0])

    def load_bytearray8(self) -> None:
        self._push(struct.unpack("<Q", self.read(8))[0])

    def _push(self, count: int) -> None:
        # Writers put what is large between frames; what lies in one was read with it.
        inside = self._unframer.current_frame is not None
        self.append(self.read(count) if inside or count <= LARGE else self.file.passed(count))

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BINBYTES[0]] = load_binbytes
    dispatch[pickle.BINBYTES8[0]] = load_binbytes8
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _count(shape: Any) -> int:
    """How many numbers a shape holds."""
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"an array has the shape {shape!r}")
    return math.prod(shape)


def _require_dtype_state(made: np.dtype[Any], state: Any) -> None:
    """Refuse what changes more than the order of bytes, or the unit of dates: NumPy takes any state, and crashes."""
    version, order, *structure, size, align, flags = state[:8]
    fixed = (-1, -1) if made.kind not in "SU" else (made.itemsize, made.alignment)
    dates = state[8:]
    plain = len(state) == 8 or (len(state) == 9 and made.kind in "mM" and _is_unit(dates[0]))
    if not (
        version in (3, 4) and order in ("<", ">", "|", "=") and structure == [None] * 3
        and (size, align) == fixed and flags == made.flags and plain
    ):  # fmt: skip
        raise pickle.UnpicklingError(f"it gives {made} the state {state!r}")


def _is_unit(value: Any) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or value[0] not in (None, {}):
        return False
    unit = value[1]
    return (
        isinstance(unit, tuple)
        and len(unit) == 4
        and isinstance(unit[0], bytes)
        and all(type(n) is int for n in unit[1:])
    )


def _require_array_state(made: np.ndarray, state: Any) -> None:
    """Refuse to fill an array with more or less than it holds: NumPy would read on behind a list, and crash."""
    _, shape, dtype, _, content = state
    if made.shape != (0,) or not isinstance(dtype, np.dtype):
        raise pickle.UnpicklingError("it fills an array a second time, or with no type")
    size = _count(shape)
    if isinstance(content, bytes) and dtype.kind in KINDS and size * dtype.itemsize == len(content):
        return
    if type(content) is not list or dtype.kind != "O" or size != len(content):
        raise pickle.UnpicklingError(f"an array {shape} of {dtype} does not fit what fills it")


def _scalar(dtype: Any, content: Any) -> Any:
    """One number or text."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in KINDS or not isinstance(content, bytes):
        raise pickle.UnpicklingError(f"a single value is of {dtype}, not a number or text")
    return np.frombuffer(content, dtype=dtype, count=1)[0]


def _dtype(name: Any, *_: Any) -> np.dtype[Any]:
    """A dtype of its own, for its bytes may be swapped later."""
    if not isinstance(name, str) or not TYPE.fullmatch(name):
        raise pickle.UnpicklingError(f"it names the type {name!r}, which is no number or text")
    return np.dtype(name, copy=True)


def _empty(*_: Any) -> np.ndarray:
    """What is filled later."""
    return np.empty(0, np.int8)


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: str, axes: Any = None) -> np.ndarray:
    """Array of bytes, which protocol 5 writes first; order "K" has its axes in another order than its bytes."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in KINDS:
        raise pickle.UnpicklingError(f"an array of bytes is of {dtype}, not of numbers or texts")
    _count(shape)
    if order == "K":
        return _from_buffer(buffer, dtype, shape, "C").transpose(axes)
    if isinstance(buffer, _Stretch):
        return buffer.array(dtype, shape, order=order)
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


def _nothing() -> bytes:
    """No bytes, as an old protocol writes them."""
    return b""


def _encode(text: str, encoding: str) -> bytes:
    """Bytes that an old protocol wrote as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes bytes as {encoding}")
    return codecs.latin_1_encode(text)[0]


def read_dict(path: str | Path, names: tuple[str, ...], *, what: str, source: Source) -> dict[str, Any]:
    """Read a dictionary that holds ``names``; its large arrays are mapped read-only and take no memory.

    Raises
    ------
    FileNotFoundError
        If the file is missing, or not downloaded.
    ValueError
        If it is truncated, of another kind, lacks a name, or holds anything but numbers, texts and arrays.
    MemoryError
        If it is of an old protocol and does not fit into memory.
    """
    path = present(path, what=what, source=source)
    try:
        with path.open("rb") as file:
            found = _unpickled(_Whole(file, path, what=what))
    except DAMAGED as error:
        raise ValueError(
            f"{path} ({what}, {path.stat().st_size} bytes) is truncated, damaged or of another kind: {error}; "
            f"get it again from {source}"
        ) from error
    missing = [name for name in names if not isinstance(found, dict) or name not in found]
    if missing:
        there = listed(list(map(str, found))) if isinstance(found, dict) else f"a {type(found).__name__}"
        raise ValueError(f"{path} ({what}) lacks {listed(missing)}; it holds {there}")
    loose = [str(name) for name, value in found.items() if isinstance(value, _Stretch)]
    if loose:
        raise ValueError(
            f"{path} ({what}) holds large bytes that are no array under {listed(loose)}; get the file again"
        )
    return dict(found)


def _unpickled(whole: _Whole) -> Any:
    file = whole.file
    begin = file.read(len(npy.MAGIC_PREFIX))
    file.seek(0)
    if begin != npy.MAGIC_PREFIX:
        return _loaded(whole)
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if shape != () or dtype != np.dtype(object):
        raise ValueError(f"it holds an array {shape} of {dtype}, not a dictionary")
    return _loaded(whole).item()


def _loaded(whole: _Whole) -> Any:
    begin = whole.file.read(1)
    whole.file.seek(-len(begin), 1)
    if begin != pickle.PROTO:
        # Protocols 0 and 1 come in lines, whose length is not known before.
        whole.require_memory(2 * whole.size)
    return _Arrays(whole).load()
