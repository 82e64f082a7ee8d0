"""Labels that values and columns bear themselves against labels given beside them, so that rows never slip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..labels import SAMPLE, STIMULUS, quoted, written

# What a set of labels is called, and the labels.
Known = tuple[str, np.ndarray]


def require_own(values: Any, along: Mapping[str, Mapping[str, Any]], *, who: str) -> None:
    """Refuse labels that differ from those that values or columns bear themselves.

    Values bear the coordinate of that name of a DataArray, or the index of a DataFrame; a column its index as a pandas
    Series, or the coordinate of its axis as a DataArray. An index that counts from 0 says nothing and is passed over;
    whole numbers of another set, as rows that were selected from a table keep them, are no ids either. A Series whose
    index is that of the values is a column of their own table and goes with them.

    Parameters
    ----------
    along : of every axis, in order, to what was given along it

    Raises
    ------
    ValueError
        Naming how many labels differ, the first position, both labels there, and the remedy.
    """
    given = {k: v for columns in along.values() for k, v in columns.items()}
    flat = {k: v for k, v in given.items() if v is not None and _array(v).ndim == 1}
    if isinstance(values, pd.DataFrame):
        _require_index(values.index, flat, who)
    elif isinstance(values, xr.DataArray):
        _require_coords(values, flat, who)
    for axis, (dim, columns) in enumerate(along.items()):
        _require_columns(columns, _of_values(values, axis, dim), dim, who)


# ------------------------------------------------------------------------------------------ what values bear
def _require_coords(values: xr.DataArray, given: Mapping[str, Any], who: str) -> None:
    for name in given:
        if name in values.coords and values.coords[name].ndim == 1:
            own = values.coords[name].to_index()
            _require_equal(own, given[name], name, who, drop=f".drop_vars({name!r})")


def _require_index(index: pd.Index, given: Mapping[str, Any], who: str) -> None:
    """Compare the rows of a table with the ids or the stimuli, whichever its index holds."""
    drop = ".reset_index(drop=True)"
    names = [n for n in (SAMPLE, STIMULUS) if n in given]
    if isinstance(index, pd.MultiIndex):
        for name in set(names) & set(index.names):
            _require_equal(index.get_level_values(name), given[name], name, who, drop=drop)
        return
    names = [str(index.name)] if index.name in names else names
    if not names or _counts(index) or any(_same(_array(index), _array(given[n])) for n in names):
        return
    likely = next((n for n in names if _meant(_array(index), _array(given[n]))), None)
    # Stimuli that share the index do not excuse ids that have slipped against it.
    if any(_shares(index, given[n]) for n in names if n == SAMPLE or likely != SAMPLE):
        return
    _require_equal(index, given[likely or names[-1]], likely or names[-1], who, drop=drop)


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
    if _shares(own, labels):
        return True
    left, right = _array(own), _array(labels)
    if left.size != right.size:
        return False
    if own.name == "time" and own.is_monotonic_increasing:
        return True  # times may be given in another unit or from another onset, though not in another order
    return not _differ(left, right).any()


def _shares(own: pd.Index, labels: Any) -> bool:
    return isinstance(labels, pd.Series) and not _counts(own) and labels.index.equals(own)


# ------------------------------------------------------------------------------------------ what columns bear
def _require_columns(columns: Mapping[str, Any], values: pd.Index | None, dim: str, who: str) -> None:
    """Compare the own labels of every column along one axis with the ids of that axis and the labels of the values."""
    ids: list[Known] = []
    if columns.get(dim) is not None:
        own, _ = _of_column(columns[dim], dim)
        ids += [(f"{dim}=...", _array(columns[dim]))]
        # Columns of one table go together, whatever its index holds.
        ids += [] if own is None else [(f"the index of {dim}=...", _array(own))]
    ids += [] if values is None else [("the values", _array(values))]
    names = [(f"{n}=...", _array(columns[n])) for n in (STIMULUS, "unit") if columns.get(n) is not None]
    for name, column in columns.items():
        own, by_name = _of_column(column, dim)
        if name == dim or own is None:
            continue
        labels = _array(own)
        if any(_same(labels, known) for _, known in ids):
            continue
        # An index may hold the stimuli, or what the column holds.
        named = any(_same(labels, known) for _, known in (*names, (name, _array(column))))
        slipped = _slipped(labels, ids, [] if named else names, by_name=by_name, named=named)
        if slipped is not None:
            order = f".sel({dim}=ids)" if isinstance(column, xr.DataArray) else ".loc[ids]"
            _refuse(slipped, labels, name, dim, who, order=order)


def _slipped(
    labels: np.ndarray, ids: list[Known], names: list[Known], *, by_name: bool, named: bool
) -> Known | None:
    """What the labels of a column, equal to none, were meant to be; None where they say nothing about this axis.

    Row numbers are no ids, unless they are those very numbers in another order. Texts beside texts are, unless they
    are repeated and strange to these, or ``named``: those of something else.
    """
    text, unique = _is_text(labels), pd.Index(labels).is_unique
    ids, names = ([one for one in known if one[1].shape == labels.shape] for known in (ids, names))
    if named and not text:
        return None
    for one in (*ids, *(names if text else ())):
        if (unique or text) and _same_set(labels, one[1]):
            return one
    for one in ids:
        beside = text and _is_text(one[1]) and not named
        if by_name or (beside and (unique or _shared(labels, one[1]))):
            return one
    return None


def _refuse(known: Known, labels: np.ndarray, name: str, dim: str, who: str, *, order: str) -> None:
    what, right = known
    differ = _differ(right, labels)
    i = int(np.argmax(differ))
    remedy = (
        f"the labels are the same in another order: reindex the column by those of {what}, column{order}"
        if _same_set(labels, right)
        else "they are not the same labels: check which data belong together"
    )
    raise ValueError(
        f"{who}: {what} and the labels that {name}=... bears itself disagree on {int(differ.sum())} of {labels.size} "
        f"{dim!r} labels, first at position {i}: {quoted(right[i])} against {quoted(labels[i])}; {remedy}; or, if it "
        "goes by position, give its .to_numpy()"
    )


def _of_values(values: Any, axis: int, dim: str) -> pd.Index | None:
    """Labels of one axis of values that bear some."""
    if isinstance(values, xr.DataArray):
        return (
            values.coords[dim].to_index() if dim in values.coords and values.coords[dim].ndim == 1 else None
        )
    if not isinstance(values, pd.DataFrame) or axis > 1:
        return None
    labels = values.axes[axis]
    return None if isinstance(labels, pd.MultiIndex) or _counts(labels) else labels


def _of_column(column: Any, dim: str) -> tuple[pd.Index | None, bool]:
    """Labels that a column bears itself, and whether their name says that they are those of this axis."""
    if isinstance(column, xr.DataArray):
        if dim not in column.coords or column.coords[dim].ndim != 1:
            return None, False
        index = column.coords[dim].to_index()
        return index, not _counts(index)
    if not isinstance(column, pd.Series | pd.DataFrame):
        return None, False
    if isinstance(column.index, pd.MultiIndex):
        named = dim in column.index.names
        return (column.index.get_level_values(dim), True) if named else (None, False)
    return (None, False) if _counts(column.index) else (column.index, column.index.name == dim)


# ------------------------------------------------------------------------------------------ labels beside labels
def _meant(labels: np.ndarray, known: np.ndarray) -> bool:
    """Whether labels are plainly the known ones, in another order or, of texts, some of them."""
    if labels.shape != known.shape:
        return False
    return _same_set(labels, known) or (_is_text(labels) and _is_text(known) and _shared(labels, known))


def _shared(labels: np.ndarray, known: np.ndarray) -> bool:
    return not set(_texts(labels)).isdisjoint(_texts(known))


def _same(labels: np.ndarray, known: np.ndarray) -> bool:
    return labels.shape == known.shape and not any(_apart(labels, known))


def _same_set(labels: np.ndarray, known: np.ndarray) -> bool:
    return sorted(_texts(labels)) == sorted(_texts(known))


def _is_text(labels: np.ndarray) -> bool:
    return all(isinstance(v, str | bytes) for v in labels.tolist())


def _texts(labels: Iterable[Any]) -> list[str]:
    return [_text(v) for v in labels]


def _counts(index: pd.Index) -> bool:
    return np.array_equal(_array(index), np.arange(len(index)))


def _array(labels: Any) -> np.ndarray:
    return np.asarray(labels, dtype=object if isinstance(labels, list | tuple) else None)


def _differ(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.array(list(_apart(left, right)), dtype=bool)


def _apart(left: np.ndarray, right: np.ndarray) -> Iterator[bool]:
    """Whether two labels, pair by pair, are neither equal nor written alike: 1 and '1' have not slipped."""
    pairs = zip(pd.Series(left).tolist(), pd.Series(right).tolist(), strict=True)
    return (a != b and _text(a) != _text(b) for a, b in pairs)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return written(value)
