"""Any Python value as JSON: exactly and back again (pack, unpack), or in words (describe)."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurodecode.store.hashes import data_hash

SHORT = 32


def pack(value: Any) -> Any:
    """Write a value as JSON from which :func:`unpack` makes the same value, with the same type."""
    if value is None or type(value) in (bool, str, int):
        return value
    if type(value) is float:
        return value if np.isfinite(value) else {"!": "float", "v": repr(value)}
    if type(value) is list:
        return [pack(v) for v in value]
    if type(value) in (tuple, set, frozenset):
        items = list(value) if type(value) is tuple else sorted(value, key=repr)
        return {"!": type(value).__name__, "v": [pack(v) for v in items]}
    if isinstance(value, Mapping):
        return {"!": "dict", "v": [[pack(k), pack(v)] for k, v in value.items()]}
    if isinstance(value, np.ndarray | np.generic):
        return _pack_array(value)
    if isinstance(value, bytes):
        return {"!": "bytes", "v": value.hex()}
    if isinstance(value, complex):
        return {"!": "complex", "v": [pack(value.real), pack(value.imag)]}
    if isinstance(value, pathlib.PurePath):
        return {"!": "path", "v": str(value)}
    for kind in (datetime.datetime, datetime.date, datetime.time):
        if type(value) is kind:
            return {"!": kind.__name__, "v": value.isoformat()}
    if isinstance(value, slice | range):
        return {"!": type(value).__name__, "v": [pack(v) for v in (value.start, value.stop, value.step)]}
    return describe(value)


def _pack_array(value: np.ndarray | np.generic) -> Any:
    array = np.asarray(value)
    kind = "array" if isinstance(value, np.ndarray) else "number"
    if array.dtype.kind in "biufcmM":
        little = array.astype(array.dtype.newbyteorder("<"))
        return {"!": kind, "dtype": little.dtype.str, "shape": array.shape, "hex": little.tobytes().hex()}
    dtype = "StringDType" if array.dtype.kind == "T" else array.dtype.str
    return {"!": kind, "dtype": dtype, "shape": array.shape, "v": [pack(v) for v in array.ravel().tolist()]}


def unpack(value: Any) -> Any:
    """Make the value that :func:`pack` wrote; only the types listed here, so nothing in a file is executed."""
    if isinstance(value, list):
        return [unpack(v) for v in value]
    if not isinstance(value, dict):
        return value
    if value["!"] in ("array", "number"):
        return _unpack_array(value)
    makers: dict[str, Callable[[Any], Any]] = {
        "float": float, "tuple": lambda v: tuple(map(unpack, v)), "set": lambda v: set(map(unpack, v)),
        "frozenset": lambda v: frozenset(map(unpack, v)), "bytes": bytes.fromhex, "path": pathlib.Path,
        "dict": lambda v: {unpack(k): unpack(x) for k, x in v}, "complex": lambda v: complex(*map(unpack, v)),
        "datetime": datetime.datetime.fromisoformat, "date": datetime.date.fromisoformat,
        "time": datetime.time.fromisoformat, "slice": lambda v: slice(*map(unpack, v)),
        "range": lambda v: range(*map(unpack, v)),
    }  # fmt: skip
    return makers[value["!"]](value["v"])


def _unpack_array(value: Mapping[str, Any]) -> Any:
    if "hex" in value:
        array = np.frombuffer(bytes.fromhex(value["hex"]), dtype=value["dtype"]).copy()
    else:
        items = np.empty(len(value["v"]), dtype=object)
        items[:] = [unpack(v) for v in value["v"]]
        array = items.astype(np.dtypes.StringDType() if value["dtype"] == "StringDType" else value["dtype"])
    array = array.reshape(value["shape"])
    return array if value["!"] == "array" else array[()]


def describe(value: Any) -> Any:
    """Say in plain JSON what a parameter is, the same way in every run.

    Numbers, strings, dates and short arrays stand for themselves; long arrays are named by dtype, shape and hash;
    estimators by class and parameters; functions by module and name; the rest by ``repr`` without addresses.

    Parameters
    ----------
    value : anything

    Returns
    -------
    None, bool, int, float, str, or a list or dict of these.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, list | tuple | range):
        return [describe(v) for v in value] if len(value) <= SHORT else _describe_array(np.asarray(value))
    if isinstance(value, set | frozenset):
        return [describe(v) for v in sorted(value, key=repr)]
    if isinstance(value, np.ndarray | xr.DataArray):
        return _describe_array(value)
    if isinstance(value, xr.Dataset):
        return {str(k): describe(v) for k, v in value.data_vars.items()}
    if isinstance(value, pathlib.PurePath | datetime.date | datetime.time | np.datetime64):
        return str(value)
    return _describe_object(value)


def fingerprint(function: Any) -> str:
    """Hash what a function does: its name, its code and what it has taken in, such as a set of candidates.

    Of a :func:`functools.partial` the function and all arguments count.
    """
    if isinstance(function, functools.partial):
        given = [*function.args, *(v for kv in sorted(function.keywords.items()) for v in kv)]
        parts = [fingerprint(v) if callable(v) else describe(v) for v in (function.func, *given)]
        return data_hash(np.array([repr(part) for part in parts]))
    parts = [describe(function)]
    parts += [describe(cell.cell_contents) for cell in getattr(function, "__closure__", None) or ()]
    code = getattr(function, "__code__", None)
    if code is not None:
        plain = [c for c in code.co_consts if isinstance(c, str | int | float)]
        parts += [code.co_code.hex(), plain, code.co_names]
    return data_hash(np.array([repr(part) for part in parts]))


def _describe_array(value: np.ndarray | xr.DataArray) -> Any:
    if isinstance(value, np.ndarray):
        if value.ndim <= 1 and value.size <= SHORT and value.dtype.kind in "biufUT":
            return describe(value.tolist())
        shape = str(value.shape)
    else:
        shape = "(" + ", ".join(f"{d}: {n}" for d, n in value.sizes.items()) + ")"
    return f"{type(value).__name__} {value.dtype} {shape} {data_hash(value)}"


def _describe_object(value: Any) -> str:
    if isinstance(value, np.random.Generator):
        state = json.dumps(value.bit_generator.state, default=str, sort_keys=True)
        return f"Generator({type(value.bit_generator).__name__}, {hashlib.sha256(state.encode()).hexdigest()[:16]})"
    if not isinstance(value, type) and callable(getattr(value, "get_params", None)):
        parameters = value.get_params(deep=False)
        inside = ", ".join(f"{k}={_shown(describe(v))}" for k, v in sorted(parameters.items()))
        return f"{type(value).__name__}({inside})"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))


def _shown(described: Any) -> str:
    return described if isinstance(described, str) and described.endswith(")") else repr(described)
