"""How a result was made: one JSON attribute that survives netCDF."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any, TypeVar

import xarray as xr

from neurodecode.store.atomic import shown
from neurodecode.store.hashes import data_hash
from neurodecode.store.noting import said
from neurodecode.store.values import describe

EPOCH = "SOURCE_DATE_EPOCH"
DISTRIBUTION = "neurodecode-toolkit"

Labelled = TypeVar("Labelled", xr.DataArray, xr.Dataset)


def stamp(
    result: Labelled, *, what: str, parameters: Mapping[str, Any], seed: Any = None, data: Any = None
) -> Labelled:
    """Return a copy of a result that says how it was made.

    Parameters
    ----------
    result : DataArray or Dataset
    what : str
        What made it, for example ``"spatial.decode"``.
    parameters : mapping
        Name to value; anything is allowed (see :func:`describe`).
    seed : int, optional
        Of the random numbers.
    data : array, or mapping of name to array, optional
        What it was made from; only hashes are kept. A string is taken as a hash that was made before.

    Returns
    -------
    A shallow copy of the same type with the attribute ``provenance``, one JSON string that survives netCDF;
    :func:`provenance` reads it. An older stamp is replaced. Inside :func:`noting` it names the warnings raised so far.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> found = nd.store.stamp(xr.DataArray([0.1]), what="mine", parameters={"alpha": 10.0}, seed=0)
    >>> nd.store.provenance(found)["parameters"]
    {'alpha': 10.0}
    """
    arrays = data if isinstance(data, Mapping) else {} if data is None else {"data": data}
    record = {
        "what": what,
        "parameters": describe(parameters),
        "seed": describe(seed),
        "data": {str(k): v if isinstance(v, str) else data_hash(v) for k, v in arrays.items()},
        "date": _date().isoformat(timespec="seconds"),
        "version": version(),
        "versions": {
            "Python": platform.python_version(),
            **{name: _version(name) for name in ("numpy", "xarray", "scikit-learn")},
        },
    }
    if (warned := said()) is not None:
        record["warnings"] = warned
    return result.assign_attrs(provenance=json.dumps(record, allow_nan=False))


def _date() -> datetime.datetime:
    """Now; or what SOURCE_DATE_EPOCH says (reproducible-builds.org), so that equal runs leave equal bytes."""
    told = os.environ.get(EPOCH)
    if not told:
        return datetime.datetime.now(datetime.UTC)
    try:
        return datetime.datetime.fromtimestamp(int(told), datetime.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(
            f"the environment variable {EPOCH} must be a whole number of seconds since 1970, got {told!r}; unset it, "
            "and results bear the time at which they were made"
        ) from error


def provenance(result: xr.DataArray | xr.Dataset) -> dict[str, Any]:
    """Read what :func:`stamp` wrote.

    Returns
    -------
    dict with what, parameters, seed, data, date, version, versions; and warnings, if the run was watched
    (:func:`noting`).

    Raises
    ------
    ValueError
        If the result bears no stamp, or one that is no JSON.
    """
    text = result.attrs.get("provenance")
    if text is None:
        raise ValueError(
            "this result has no attribute 'provenance' (selections and arithmetic may drop attributes); it has "
            f"{shown(sorted(map(str, result.attrs))) or 'none'}"
        )
    try:
        record = json.loads(text)
        if not isinstance(record, dict):
            raise ValueError(f"a {type(record).__name__} instead of an object")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the attribute 'provenance' is no JSON as stamp() writes it: {error}") from error
    return record


def version() -> str:
    """Version of this package, as it was installed."""
    return _version(DISTRIBUTION)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        module = sys.modules.get("neurodecode") if distribution == DISTRIBUTION else None
        return str(getattr(module, "__version__", "not installed"))
