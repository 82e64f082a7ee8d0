"""What tests/test_fuzz.py throws at the package, and how it judges what comes back.

A case is a call with good arguments of which none, one or two are spoilt. It must end in one of two ways: refused by
a ``raise`` that stands in the package, in words; or with a result that the caller of :func:`attempt` then compares.
Nothing that was handed over may be changed, and no warning of NumPy's (overflow, division) may come out.
"""

from __future__ import annotations

import ast
import functools
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import strategies as st

PACKAGE = Path(__file__).resolve().parents[1] / "neurodecode"
REFUSED = object()
TRIED = {"calls": 0, "refused": 0, "answered": 0}

# ------------------------------------------------------------------------------------------- bad values
TEXTS = [
    "",
    "nonsense",
    "sample",
    "time",
    "V1",
    "Straße ☃ 脳",
    "e\u0301",
    "\u202eflip",
    "a|b",
    "0",
    "nan",
    "2020-02-30T25:61+99:00",
]
NUMBERS = [
    0,
    1,
    2,
    3,
    7,
    -1,
    -2,
    0.5,
    1.5,
    -0.5,
    0.95,
    1e-300,
    1e300,
    10**30,
    float("nan"),
    float("inf"),
    -float("inf"),
]
ODD = [
    None,
    True,
    False,
    1j,
    b"\xff\xfe",
    np.float16(0.1),
    np.int8(-3),
    np.datetime64("NaT"),
    np.datetime64("2020-01-01"),
    np.timedelta64(3, "ms"),
    pd.NaT,
    pd.NA,
    pd.Timestamp("2020-01-01", tz="Asia/Tokyo"),
    (),
    [],
    {},
    [1, [2, 3]],
    ["a", 1, None],
    object,
    len,
    range(3),
    {"V1": 1},
    np.array([]),
    np.array([np.nan, 1.0]),
    np.array(["a", "b"], dtype=object),
    np.zeros((2, 2, 2)),
    xr.DataArray(1.0),
    xr.DataArray([1.0, 2.0], dims="other"),
    pd.DataFrame({"a": [1]}),
]
SCALARS = st.sampled_from(TEXTS) | st.sampled_from(NUMBERS) | st.sampled_from(ODD)
LABELS: dict[str, Callable[[int], Any]] = {
    "numbers": lambda n: np.arange(n),
    "reversed": lambda n: np.arange(n)[::-1],
    "duplicates": lambda n: ["a"] * n,
    "pairs": lambda n: [f"s{i // 2}" for i in range(n)],
    "one hole": lambda n: [f"s{i}" if i else None for i in range(n)],
    "NaN": lambda n: np.where(np.arange(n) == 1, np.nan, np.arange(n)),
    "unicode": lambda n: [f"脳 {i} ☃\u0301" for i in range(n)],
    "one letter, two writings": lambda n: [("é", "e\u0301")[i % 2] + str(i // 2) for i in range(n)],
    "numbers and texts": lambda n: [i if i % 2 else str(i) for i in range(n)],
    "1 and '1'": lambda n: [1 + i // 2 if i % 2 else str(1 + i // 2) for i in range(n)],
    "bytes": lambda n: [f"s{i}".encode() for i in range(n)],
    "no text in bytes": lambda n: [b"\xff\xfe" + bytes([i % 256]) for i in range(n)],
    "lone surrogates": lambda n: [f"\ud800{i}" for i in range(n)],
    "dates": lambda n: np.datetime64("2020-01-01") + np.arange(n),
    "zones": lambda n: [
        pd.Timestamp("2020-01-01", tz=("UTC", "Asia/Tokyo")[i % 2]) + pd.Timedelta(days=i) for i in range(n)
    ],
    "milliseconds": lambda n: 10.0 * np.arange(n),
    "nanoseconds": lambda n: 1e-9 * np.arange(n),
    "timedeltas": lambda n: np.arange(n) * np.timedelta64(10, "ms"),
    "tuples": lambda n: [(i, "x") for i in range(n)],
    "lists": lambda n: [[i] * (1 + i % 2) for i in range(n)],
    "complex": lambda n: 1j * np.arange(n),
    "booleans": lambda n: np.arange(n) % 2 == 0,
    "objects": lambda n: [object() for _ in range(n)],
    "categories": lambda n: pd.Categorical([f"c{i % 3}" for i in range(n)]),
    "one too many": lambda n: [f"s{i}" for i in range(n + 1)],
    "none": lambda n: [],
    "a square": lambda n: np.zeros((n, n)),
    "infinite": lambda n: np.where(np.arange(n) == 1, np.inf, np.arange(n)),
}


def _put(values: np.ndarray, number: Any) -> np.ndarray:
    out = np.array(values, dtype=float)
    out.flat[out.size // 2] = number
    return out


VALUES: dict[str, Callable[[np.ndarray], Any]] = {
    "NaN": lambda a: _put(a, np.nan),
    "infinite": lambda a: _put(a, -np.inf),
    "all NaN": lambda a: np.full(a.shape, np.nan),
    "huge": lambda a: a * 1e300,
    "one huge": lambda a: _put(a, 1e300),
    "tiny": lambda a: a * 1e-300,
    "large mean": lambda a: a + 1e6,
    "zeros": np.zeros_like,
    "constant": lambda a: np.full(a.shape, 3.25),
    "one constant column": lambda a: np.where(np.arange(a.shape[-1]) == 0, 1.0, a),
    "rounded": np.round,
    "int8": lambda a: np.clip(np.round(a * 10), -100, 100).astype(np.int8),
    "uint64": lambda a: np.abs(np.round(a * 10)).astype(np.uint64),
    "int64, huge": lambda a: np.clip(np.round(a * 2**60), -(2**62), 2**62).astype(np.int64),
    "bool": lambda a: a > 0,
    "float16": lambda a: np.clip(a, -1e4, 1e4).astype(np.float16),
    "float32": lambda a: np.clip(a, -1e30, 1e30).astype(np.float32),
    "longdouble": lambda a: a.astype(np.longdouble),
    "big-endian": lambda a: a.astype(">f8"),
    "Fortran": np.asfortranarray,
    "backwards": lambda a: a[::-1],
    "read-only": lambda a: _read_only(a),
    "complex": lambda a: a.astype(complex),
    "object": lambda a: a.astype(object),
    "object with None": lambda a: _with_none(a),
    "text": lambda a: a.astype(str),
    "dates": lambda a: np.zeros(a.shape, dtype="datetime64[s]"),
    "timedeltas": lambda a: np.zeros(a.shape, dtype="timedelta64[s]"),
    "masked": lambda a: np.ma.masked_greater(a, 0.0),
    "turned": lambda a: a.T,
    "an axis less": lambda a: a[0],
    "an axis more": lambda a: a[..., None],
    "empty": lambda a: a[:0],
    "empty columns": lambda a: a[..., :0],
    "one row": lambda a: a[:1],
    "list": lambda a: a.tolist(),
    "ragged": lambda a: [np.ravel(row)[: 1 + i % 2].tolist() for i, row in enumerate(a)],
    "scalar": lambda a: 3.0,
    "None": lambda a: None,
}


def _read_only(a: np.ndarray) -> np.ndarray:
    out = a.copy()
    out.flags.writeable = False
    return out


def _with_none(a: np.ndarray) -> np.ndarray:
    out = a.astype(object)
    out.flat[0] = None
    return out


def spoilt_array(draw: Callable[[Any], Any], array: xr.DataArray) -> Any:
    """A labelled array with other values, axes or labels than are wanted."""
    how = draw(
        st.sampled_from(
            ["values", "values", "labels", "labels", "lose", "rename", "turn", "order", "bare", "scalar"]
        )
    )
    if how == "values":
        values = VALUES[draw(st.sampled_from(sorted(VALUES)))](array.values)
        whole = isinstance(values, np.ndarray) and values.shape == array.shape
        return array.copy(data=values) if whole else values
    if how == "labels" and array.coords:
        name = draw(st.sampled_from(sorted(map(str, array.coords))))
        dims = array.coords[name].dims
        if len(dims) != 1:
            return array
        labels = LABELS[draw(st.sampled_from(sorted(LABELS)))](array.sizes[dims[0]])
        held = np.empty(len(labels), dtype=object)
        held[:] = labels if isinstance(labels, list) or np.ndim(labels) == 1 else [0] * len(labels)
        if len(held) != array.sizes[dims[0]]:
            return array.isel({dims[0]: slice(0, len(held))})
        kept = (
            labels
            if isinstance(labels, np.ndarray) and labels.ndim == 1
            else pd.Series(list(held)).infer_objects().to_numpy()
        )
        return array.assign_coords({name: (dims[0], kept)})
    if how == "lose" and array.coords:
        return array.drop_vars(draw(st.sampled_from(sorted(map(str, array.coords)))))
    if how == "rename":
        return array.rename({draw(st.sampled_from(list(array.dims))): "other"})
    if how == "turn":
        return array.transpose(*reversed(array.dims))
    if how == "order":
        dim = draw(st.sampled_from(list(array.dims)))
        return array.isel({dim: slice(None, None, -1)})
    if how == "bare":
        return array.values
    return draw(SCALARS)


def spoilt(draw: Callable[[Any], Any], value: Any) -> Any:
    """Something else in the place of an argument."""
    if isinstance(value, xr.DataArray):
        return spoilt_array(draw, value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim:
        return VALUES[draw(st.sampled_from(sorted(VALUES)))](value) if draw(st.booleans()) else draw(SCALARS)
    if isinstance(value, list | np.ndarray) and len(value) and draw(st.booleans()):
        return LABELS[draw(st.sampled_from(sorted(LABELS)))](len(value))
    return draw(SCALARS)


def spoil(draw: Callable[[Any], Any], given: Mapping[str, Any], most: int = 2) -> dict[str, Any]:
    """Arguments of which none, one or two are spoilt."""
    names = draw(st.lists(st.sampled_from(sorted(given)), max_size=most, unique=True))
    return {k: spoilt(draw, v) if k in names else v for k, v in given.items()}


# -------------------------------------------------------------------------------------------- judgement
@functools.cache
def _raises(path: str) -> frozenset[int]:
    """Lines of a file that belong to a ``raise``."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    spans = [(n.lineno, n.end_lineno or n.lineno) for n in ast.walk(tree) if isinstance(n, ast.Raise)]
    return frozenset(line for a, b in spans for line in range(a, b + 1))


def is_refusal(error: BaseException) -> bool:
    """Whether an error was raised by a ``raise`` of the package, with words enough to act on."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(frame.filename).is_relative_to(PACKAGE) and frame.lineno in _raises(frame.filename)
    return (
        ours
        and isinstance(error, ValueError | TypeError | KeyError | MemoryError | FileNotFoundError)
        and len(str(error).split()) >= 5
    )


def _frozen(value: Any) -> Any:
    """What an argument is, copied, to compare with after the call; objects in arrays are themselves."""
    if isinstance(value, xr.DataArray):
        held = [(str(k), v.dims, _frozen(v.values)) for k, v in value.coords.items()]
        return value.dims, dict(value.attrs), held, _frozen(value.values)
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, repr(value.tolist())
    return repr(value) if isinstance(value, list | dict | pd.DataFrame) else None


def attempt(function: Callable[..., Any], /, *args: Any, **given: Any) -> Any:
    """Call; return the result, or REFUSED where the package refused in words. Anything else fails the test."""
    TRIED["calls"] += 1
    before = [(_frozen(v), v) for v in [*args, *given.values()]]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", category=RuntimeWarning, module="neurodecode")
            warnings.filterwarnings("error", category=np.exceptions.ComplexWarning)
            result = function(*args, **given)
    except Exception as error:
        if not is_refusal(error):
            raise AssertionError(f"a bare {type(error).__name__}: {error}\n{_told(args, given)}") from error
        TRIED["refused"] += 1
        return REFUSED
    finally:
        for then, now in before:
            assert then == _frozen(now), f"an argument was changed: {then!r} became {now!r}"
    TRIED["answered"] += 1
    return result


def _told(args: tuple[Any, ...], given: Mapping[str, Any]) -> str:
    return "\n".join(f"  {k} = {v!r}"[:600] for k, v in [*enumerate(args), *given.items()])


def is_finite(values: Any) -> bool:
    """Whether values are numbers all of which are finite."""
    array = np.asarray(values)
    return array.dtype.kind in "biuf" and bool(np.isfinite(array.astype(np.longdouble)).all())
