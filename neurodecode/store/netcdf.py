"""Labelled arrays as plain netCDF types, with a record from which they are made again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurodecode.store.atomic import shown
from neurodecode.store.values import describe, pack, unpack

FORMAT = 1
FORMAT_ATTR = "neurodecode_format"
RECORD_ATTR = "neurodecode_record"
COMPLEX_DIM = "neurodecode_real_imag"
# Attributes with a meaning of their own to netCDF or CF readers: a user's value lives in the record only.
RESERVED = frozenset(
    {"coordinates", "_FillValue", "missing_value", "scale_factor", "add_offset", "dtype", "_Unsigned", "bounds",
     "grid_mapping", "calendar", "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS"}
)  # fmt: skip
TIME_UNITS = {"W": "weeks", "D": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds",
              "us": "microseconds", "ns": "nanoseconds"}  # fmt: skip


def encode(result: xr.DataArray | xr.Dataset) -> xr.Dataset:
    """Turn a result into a Dataset of plain netCDF types plus the record that undoes it."""
    values: str | None = None
    if isinstance(result, xr.DataArray):
        values = _variable_name(result)
        dataset = result.reset_coords(drop=True).to_dataset(name=values).assign_coords(result.coords)
        attrs: Mapping[Any, Any] = {}
    else:
        dataset, attrs = result, result.attrs
    _require_storable(dataset)
    variables, forms = {}, {}
    for name, variable in dataset.variables.items():
        variables[str(name)], forms[str(name)] = _encode_variable(str(name), variable)
    record = {
        "kind": type(result).__name__ if values is None else "DataArray",
        "values": values,
        "name": pack(result.name) if isinstance(result, xr.DataArray) else None,
        "order": [str(n) for n in dataset.variables],
        "coords": [str(n) for n in dataset.coords],
        "indexes": [str(n) for n in dataset.xindexes],
        "variables": forms,
        "attrs": _packed(attrs, whose="the Dataset"),
    }
    own = {FORMAT_ATTR: FORMAT, RECORD_ATTR: json.dumps(record, allow_nan=False)}
    coords = {n: variables.pop(n) for n in map(str, dataset.coords)}
    # Coordinates are handed over without indexes: building those again is the reader's business.
    encoded = xr.Dataset(variables).assign_coords(xr.Coordinates(coords, indexes={}))
    return encoded.assign_attrs(_native_attrs(attrs) | own)


def _variable_name(array: xr.DataArray) -> str:
    name = array.name
    plain = isinstance(name, str) and re.fullmatch(r"[A-Za-z]\w*", name, flags=re.ASCII)
    if plain and name not in array.coords and name not in array.dims:
        return str(name)
    return next(n for n in ("values", "values_", "values__") if n not in array.coords and n not in array.dims)


def _require_storable(dataset: xr.Dataset) -> None:
    odd = [
        n for n in {*dataset.variables, *dataset.dims} if not isinstance(n, str) or not n.strip() or "/" in n
    ]
    if odd:
        raise TypeError(f"netCDF names are strings without '/', which {shown(odd)} is not; use .rename")
    multi = [str(n) for n, index in dataset.indexes.items() if index.nlevels > 1]
    if multi:
        raise TypeError(
            f"a MultiIndex ({shown(multi)}) has no form in netCDF; use .reset_index({multi[0]!r}) first"
        )


def _encode_variable(name: str, variable: xr.Variable) -> tuple[xr.Variable, dict[str, Any]]:
    attrs = _native_attrs(variable.attrs)
    form: dict[str, Any] = {"attrs": _packed(variable.attrs, whose=repr(name))}
    if (
        isinstance(variable.dtype, np.dtype)
        and variable.dtype.kind in "iuf"
        and variable.dtype.itemsize in (1, 4, 8)
    ):
        form["dtype"] = variable.dtype.str
        return xr.Variable(variable.dims, variable.data, attrs), form  # as it is, dask arrays block by block
    values = np.asarray(variable.values)
    form["dtype"] = values.dtype.str
    dims = variable.dims
    kind = values.dtype.kind
    if kind == "b":
        data, attrs = values.astype("i1"), attrs | {"dtype": "bool"}
    elif kind in "iu" or (kind == "f" and values.dtype.itemsize in (4, 8)):
        data = values  # what pandas' own numbers hold, such as Float64: NaN where one is missing
    elif kind == "f" and values.dtype.itemsize == 2:
        data = values.astype("f4")
    elif kind == "c" and values.dtype.itemsize <= 16:
        data, dims, form["form"] = (
            np.stack([values.real, values.imag], axis=-1),
            (*dims, COMPLEX_DIM),
            "complex",
        )
    elif kind in "mM":
        data, form["form"] = values.astype("i8"), "time"
        attrs = _time_attrs(values.dtype) | {k: v for k, v in attrs.items() if k != "units"}
    elif kind in "UTOS":
        data, form["form"] = _encode_objects(name, values)
        form["dtype"] = "StringDType" if kind == "T" else values.dtype.str
    else:
        raise TypeError(
            f"{name!r} has dtype {values.dtype}, which netCDF cannot hold; convert it, e.g. .astype(float)"
        )
    return xr.Variable(dims, data, attrs), form


def _encode_objects(name: str, values: np.ndarray) -> tuple[np.ndarray, str]:
    """Strings as they are; anything else (bytes, None, mixed) as one line of JSON each."""
    items = [v.item() if isinstance(v, np.generic) else v for v in values.ravel().tolist()]
    plain = all(type(v) is str and _plain(v) for v in items)
    if not plain:
        refused = {
            type(v).__name__ for v in items if not isinstance(v, str | bytes | bool | int | float | None)
        }
        if refused:
            raise TypeError(
                f"{name!r} holds Python objects of type {shown(sorted(refused))}, which netCDF cannot hold; convert "
                "them to numbers or strings first"
            )
        items = [json.dumps(pack(v), allow_nan=False) for v in items]
    data = np.empty(len(items), dtype=object)
    data[:] = items
    return data.reshape(values.shape), "text" if plain else "json"


def _plain(text: str) -> bool:
    """Tell whether HDF5 can hold a string: it ends one at a NUL and knows no lone surrogates."""
    try:
        return b"\0" not in text.encode("utf-8")
    except UnicodeEncodeError:
        return False


def _time_attrs(dtype: np.dtype) -> dict[str, str]:
    unit, step = np.datetime_data(dtype)
    if step != 1 or unit not in TIME_UNITS:
        return {}
    words = TIME_UNITS[unit]
    if dtype.kind == "m":
        return {"units": words, "dtype": f"timedelta64[{unit}]"}
    return {"units": f"{words} since 1970-01-01", "calendar": "proleptic_gregorian"}


def _packed(attrs: Mapping[Any, Any], *, whose: str) -> list[list[Any]]:
    packed = []
    for key, value in attrs.items():
        try:
            packed.append([key, pack(value)])
        except TypeError as error:
            raise TypeError(f"the attribute {key!r} of {whose} {error}, or leave it out") from error
    return packed


def _native_attrs(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes that other readers of the file shall see; the record holds them all, exactly."""
    native: dict[str, Any] = {}
    for key, value in attrs.items():
        if (
            not isinstance(key, str)
            or key in RESERVED
            or not re.fullmatch(r"[A-Za-z]\w*", key, flags=re.ASCII)
        ):
            continue
        if isinstance(value, bool | np.bool_) or value is None:
            native[key] = str(value)
        elif isinstance(value, str) and _plain(value):
            native[key] = str(value)  # np.str_ is no type of HDF5
        elif (
            isinstance(value, int | float | np.integer | np.floating) and np.array(value).dtype.kind in "iuf"
        ):
            native[key] = value
        else:
            native[key] = json.dumps(describe(value), allow_nan=False)
    return native


def decode(dataset: xr.Dataset, record: Mapping[str, Any]) -> xr.DataArray | xr.Dataset:
    """Make the result again that :func:`encode` took apart."""
    variables = {n: _decode_variable(dataset.variables[n], record["variables"][n]) for n in record["order"]}
    coords = {n: variables.pop(n) for n in record["coords"]}
    result = xr.Dataset(variables).assign_coords(xr.Coordinates(coords, indexes={}))
    for name in record["indexes"]:
        result = result.set_xindex(name)
    if record["kind"] == "Dataset":
        return result.assign_attrs({k: unpack(v) for k, v in record["attrs"]})
    return result[record["values"]].rename(unpack(record["name"]))


def _decode_variable(variable: xr.Variable, form: Mapping[str, Any]) -> xr.Variable:
    data, dims, how = variable.values, variable.dims, form.get("form")
    if how == "complex":
        # Neither part passes through a product: infinity times zero would be nan.
        parts, dims = data, dims[:-1]
        data = np.empty(parts.shape[:-1], np.result_type(parts.dtype, np.complex64))
        data.real, data.imag = parts[..., 0], parts[..., 1]
    elif how == "json":
        decoded = np.empty(data.size, dtype=object)
        decoded[:] = [unpack(json.loads(text)) for text in data.ravel().tolist()]
        data = decoded.reshape(data.shape)
    dtype = np.dtypes.StringDType() if form["dtype"] == "StringDType" else np.dtype(form["dtype"])
    attrs = {k: unpack(v) for k, v in form["attrs"]}
    return xr.Variable(dims, data.astype(dtype, copy=False), attrs)
