"""Labels that values bear themselves against labels given beside them, so that rows never slip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..labels import SAMPLE, STIMULUS, quoted, written


def require_own(values: Any, given: Mapping[str, Any], *, who: str) -> None:
    """Refuse labels that differ from the coordinate of that name of a DataArray, or from the index of a DataFrame.

    An index that counts from 0 says nothing and is passed over. A pandas Series whose index is that of the values is a
    column of their own table and goes with them.

    Raises
    ------
    ValueError
        Naming how many labels differ, the first position, both labels there, and the remedy.
    """
    if not isinstance(values, xr.DataArray | pd.DataFrame):
        return
    columns = {k: v for k, v in given.items() if v is not None and _array(v).ndim == 1}
    if isinstance(values, pd.DataFrame):
        _require_index(values.index, columns, who)
        return
    for name in columns:
        if name in values.coords and values.coords[name].ndim == 1:
            own = values.coords[name].to_index()
            _require_equal(own, columns[name], name, who, drop=f".drop_vars({name!r})")


def _require_index(index: pd.Index, given: Mapping[str, Any], who: str) -> None:
    """Compare the rows of a table with the ids or the stimuli, whichever its index holds."""
    drop = ".reset_index(drop=True)"
    names = [n for n in (SAMPLE, STIMULUS) if n in given]
    if isinstance(index, pd.MultiIndex):
        for name in set(names) & set(index.names):
            _require_equal(index.get_level_values(name), given[name], name, who, drop=drop)
        return
    names = [str(index.name)] if index.name in names else names
    if not names or _counts(index) or any(_equal(index, given[n]) for n in names):
        return
    held = set(map(str, index))
    likely = next((n for n in names if held == set(map(str, _array(given[n])))), names[-1])
    _require_equal(index, given[likely], likely, who, drop=drop)


def _require_equal(own: pd.Index, labels: Any, name: str, who: str, *, drop: str) -> None:
    left, right = _array(own), _array(labels)
    if left.size != right.size or _equal(own, labels):
        return  # another number of labels is refused where they are put
    differ = _differ(left, right)
    i = int(np.argmax(differ))
    if sorted(map(str, left)) == sorted(map(str, right)):
        remedy = (
            f"the labels are the same in another order: bring the values into the order of {name}=... first"
        )
    else:
        remedy = "they are not the same labels: check which data belong together"
    raise ValueError(
        f"{who} bear {name!r} labels of their own, and {name}=... disagrees on {int(differ.sum())} of {left.size}, "
        f"first at position {i}: {quoted(left[i])} against {quoted(right[i])}; {remedy}. Where the values are in the "
        f"order of {name}=... all the same, drop their own labels with {drop}"
    )


def _equal(own: pd.Index, labels: Any) -> bool:
    if isinstance(labels, pd.Series) and not _counts(own) and labels.index.equals(own):
        return True
    left, right = _array(own), _array(labels)
    if left.size != right.size:
        return False
    if own.name == "time" and own.is_monotonic_increasing:
        return True  # times may be given in another unit or from another onset, though not in another order
    return not _differ(left, right).any()


def _counts(index: pd.Index) -> bool:
    return np.array_equal(_array(index), np.arange(len(index)))


def _array(labels: Any) -> np.ndarray:
    return np.asarray(labels, dtype=object if isinstance(labels, list | tuple) else None)


def _differ(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where two labels are neither equal nor written alike: 1 and '1' have not slipped."""
    pairs = zip(pd.Series(left).tolist(), pd.Series(right).tolist(), strict=True)
    return np.array([a != b and _text(a) != _text(b) for a, b in pairs], dtype=bool)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return written(value)
