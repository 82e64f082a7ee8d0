"""Any Python value as JSON: exactly and back again (pack, unpack), or in words (describe)."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import pathlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurodecode.store.contents import contents, is_own, reduced
from neurodecode.store.hashes import data_hash

SHORT = 32
# Objects whose repr says all of them.
EXACT = (bytes, complex, slice, datetime.timedelta, np.dtype)
# What pickling calls for an object that is its class and its attributes.
NEW_OBJECT = object().__reduce_ex__(4)[0]
# What is said of an object without contents, before the reason.
UNTOLD = "contents unknown"


def pack(value: Any) -> Any:
    """Write a value as JSON from which :func:`unpack` makes the same value, with the same type.

    Raises
    ------
    TypeError
        If it is, or holds, an array of records (a structured dtype).
    """
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
    if array.dtype.kind == "V":
        raise TypeError(
            f"holds records of dtype {array.dtype}, which have no form in a file; give each field by itself"
        )
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
    """Say in plain JSON what a parameter is, the same way in every run; values that differ are not described alike.

    Numbers, strings, dates and short arrays stand for themselves; long arrays and lists are named by type, size and
    hash; objects by class and parameters, or, where these cannot be told in words, by class and a hash of what they
    hold; functions and classes by module and name, a user's own also by a hash of their code. What has no contents
    that could be told, such as an open file, says so, and :class:`Pieces` refuses it.

    Parameters
    ----------
    value : anything

    Returns
    -------
    None, bool, int, float, str, or a list or dict of these.
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        return f"{value} ({value.dtype})"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else _key(k): describe(v) for k, v in value.items()}
    if isinstance(value, list | tuple | range):
        return _describe_list(value)
    if isinstance(value, set | frozenset):
        return sorted((describe(v) for v in value), key=json.dumps)
    if isinstance(value, np.ndarray | xr.DataArray):
        return _describe_array(value)
    if isinstance(value, xr.Dataset):
        return {str(k): describe(v) for k, v in value.data_vars.items()}
    if isinstance(value, pathlib.PurePath | datetime.date | datetime.time):
        return str(value)
    try:
        return _describe_object(value)
    except MemoryError:
        raise
    except Exception as error:  # pickling raises TypeError, ValueError, AttributeError, ... without order
        return _untold(value, error)


def fingerprint(function: Any) -> str:
    """Hash what a function does: its name, its code, its defaults, what it has taken in, such as a set of candidates.

    Of a function of your own (in no installed package) the globals that it uses count too, and so on; of a bound method
    or a callable object what the object holds; of a :func:`functools.partial` the function and all arguments.

    Returns
    -------
    Sixteen hex digits; or, of a function that holds what has no contents, such as an open file, words that say so, and
    :class:`Pieces` refuses them.
    """
    try:
        return contents(function)
    except MemoryError:
        raise
    except Exception as error:  # as in describe
        return _untold(function, error)


def _untold(value: Any, error: Exception) -> str:
    name = getattr(value, "__qualname__", None) or _class_name(type(value))
    return f"{name} ({UNTOLD}: {' '.join(str(error).split())})"


def require_told(described: Any, *, what: str) -> None:
    """Refuse a description in which something is said to have no contents.

    Raises
    ------
    TypeError
        Naming the entries.
    """
    untold = [f"{k!r}: {v}" for k, v in _leaves(described) if isinstance(v, str) and f" ({UNTOLD}: " in v]
    if untold:
        raise TypeError(
            f"{what} holds {len(untold)} value(s) whose contents cannot be told, so that a later run could not know "
            f"whether it does the same: {'; '.join(untold)}. Give plain values, arrays, or functions of these"
        )


def _leaves(described: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(described, dict | list):
        items = described.items() if isinstance(described, dict) else enumerate(described)
        for k, v in items:
            yield from _leaves(v, f"{where}.{k}" if where else str(k))
    else:
        yield where, described


def _key(key: Any) -> str:
    """Write a key that is no string so that 1 is not taken for "1"."""
    described = describe(key)
    return f"{described if isinstance(described, str) else json.dumps(described)} ({type(key).__name__})"


def _describe_list(value: list[Any] | tuple[Any, ...] | range) -> Any:
    if len(value) > SHORT:
        try:
            array = np.asarray(value)
        except ValueError:  # ragged
            array = np.empty(0, object)
        if array.dtype.kind in "biufcmMUT":
            return _describe_array(array)
    described = [describe(v) for v in value]
    if len(value) <= SHORT:
        return described
    text = json.dumps(described, allow_nan=False)
    return f"{type(value).__name__} ({len(value)},) {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _describe_array(value: np.ndarray | xr.DataArray) -> Any:
    if isinstance(value, np.ndarray):
        if value.ndim <= 1 and value.size <= SHORT and value.dtype.kind in "biufUT":
            return describe(value.tolist())
        shape = str(value.shape)
    else:
        shape = "(" + ", ".join(f"{d}: {n}" for d, n in value.sizes.items()) + ")"
    known = isinstance(value, xr.DataArray) or not value.dtype.hasobject or value.dtype.kind == "T"
    return f"{type(value).__name__} {value.dtype} {shape} {data_hash(value) if known else contents(value)}"


def _describe_object(value: Any) -> str:
    if isinstance(value, np.random.Generator):
        state = json.dumps(value.bit_generator.state, default=str, sort_keys=True)
        return f"Generator({type(value.bit_generator).__name__}, {hashlib.sha256(state.encode()).hexdigest()[:16]})"
    if isinstance(value, EXACT):
        return repr(value)
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return _describe_code(value)
    name, parameters = _class_name(type(value)), _parameters(value)
    if parameters is None:
        return f"{name}(contents='{contents(value)}')"
    told = [f"{k}={_shown(v)}" for k, v in sorted(parameters.items())]
    if is_own(type(value).__module__):
        told.append(f"code='{contents(type(value))}'")
    return f"{name}({', '.join(told)})"


def _describe_code(value: Any) -> str:
    """Name a function, a method or a class."""
    bound = getattr(value, "__self__", None)
    if bound is not None and not isinstance(bound, types.ModuleType):
        return f"{describe(bound)}.{value.__name__}"
    module = getattr(value, "__module__", None)
    said = f"{module}.{value.__qualname__}" if module else value.__qualname__
    # A name with "<" in it (a lambda, a function inside another) is that of several.
    return f"{said} {contents(value)}" if is_own(module or "builtins") or "<" in said else said


def _class_name(kind: type) -> str:
    """Bare where everybody knows whose it is."""
    bare = kind.__module__.partition(".")[0] in ("neurodecode", "sklearn", "builtins")
    return kind.__qualname__ if bare else f"{kind.__module__}.{kind.__qualname__}"


def _parameters(value: Any) -> Mapping[str, Any] | None:
    """What an object was made with, where it is no more than that: an estimator, or a plain record of settings."""
    if callable(getattr(value, "get_params", None)):
        return dict(value.get_params(deep=False))
    if isinstance(value, functools.partial):
        return {"args": value.args, "func": value.func, "keywords": value.keywords}
    taken = reduced(value)
    if isinstance(taken, str):
        return None
    make, given, state, *more = [*taken, None, None, None][:5]
    if make is not NEW_OBJECT or given != (type(value),) or any(m is not None for m in more):
        return None
    state = {} if state is None else state
    plain = isinstance(state, dict) and all(k.isidentifier() and k[0] != "_" for k in state)
    return state if plain else None


def _shown(value: Any) -> str:
    """Write a setting as it stands in a call: a string quoted, so that no object is taken for it."""
    described = describe(value)
    bare = isinstance(described, str) and (described.endswith(")") or isinstance(value, float))
    return described if bare and not isinstance(value, str) else repr(described)
