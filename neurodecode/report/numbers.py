"""The numbers of a result as tables: means with their errors, all values where they are few, of the rest the range."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..inference import group
from ..labels import LAYER, SAMPLE

# A table of more cells is told by its range.
MOST = 600
# Dimensions of more labels are rows, not columns.
COLUMNS = 12
# What is averaged over folds and subjects (or pictures), with its standard error: the first array of a result, and
MEANT = ("score", "value", "ceiling", "normalised")
# What stands where there is no number.
NOTHING = "–"
SECONDS = ("window", "train_window", "test_window", "time")


@dataclass(frozen=True)
class Value:
    """A number of a table, its standard error if it is a mean, and whether a test marked it."""

    number: float | int | bool
    error: float | None = None
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of labels, then values; ``folded`` ones are of interest to few."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Value]]
    note: str = ""
    folded: bool = False


def tables(result: xr.DataArray | xr.Dataset) -> list[Table]:
    """Lay out every numeric array of a result, its main one first."""
    arrays = {k: v for k, v in _arrays(result).items() if v.dtype.kind in "biuf" and v.size}
    meant = [name for i, name in enumerate(arrays) if i == 0 or name in MEANT]
    found, exact, large = [], {}, {}
    for name, array in arrays.items():
        mean = _mean(array) if name in meant else None
        if mean is not None and mean["mean"].size <= MOST:
            main = name == meant[0]
            found.append(_of_means(name, mean, arrays.get("significant") if main else None, chance=main))
            if mean["n"].max() > 1 and array.size <= MOST:
                found.append(_crossed(f"{name}, all values", array, folded=True))
        elif array.size <= MOST:
            exact[name] = array
        else:
            large[name] = array
    if list(exact) == list(arrays) and len(exact) == 1:
        found += [_crossed(name, array) for name, array in exact.items()]
    else:
        found += _beside_each_other(exact, folded=bool(found))
    return found + ([_ranges(large)] if large else [])


def _arrays(result: xr.DataArray | xr.Dataset) -> dict[str, xr.DataArray]:
    if isinstance(result, xr.Dataset):
        return {str(k): v for k, v in result.data_vars.items()}
    return {str(result.name or "value"): result}


def _mean(array: xr.DataArray) -> xr.Dataset | None:
    """Mean and standard error over subjects, over pictures where there is one subject; folds are averaged first."""
    if array.dtype.kind == "b":
        return None
    several = array.sizes.get("subject", 0) > 1
    if SAMPLE in array.dims:
        one = array if "subject" not in array.dims or several else array.isel(subject=0)
        return group(one.mean(SAMPLE, keep_attrs=True)) if several else group(one, over=SAMPLE)
    return group(array) if "subject" in array.dims else None


def _of_means(name: str, mean: xr.Dataset, significant: xr.DataArray | None, *, chance: bool) -> Table:
    values, over = mean["mean"], str(mean.attrs["over"])
    low, high = int(mean["n"].min()), int(mean["n"].max())
    one = high <= 1
    of = f"{low}" if low == high else f"{low} to {high}"
    said = [f"of one {over}" if one else f"mean ± standard error over {of} {over}s"]
    said += _chance(mean) if chance else []
    marks = None
    if significant is not None and set(significant.dims) == set(values.dims):
        marks = significant.transpose(*values.dims)
        test, alpha = significant.attrs.get("test"), significant.attrs.get("alpha")
        by = [str(test)] if test is not None else []
        level = [f"p ≤ {alpha:g}"] if isinstance(alpha, float | int) else []
        said.append(f"* above chance{_brackets(by + level)}")
    units = values.attrs.get("units") or mean.attrs.get("units")
    note = "; ".join(said)
    return _crossed(
        f"{name}{_brackets([str(units)] if units else [])}",
        values,
        error=None if one else mean["sem"],
        marks=marks,
        note=f"{note[0].upper()}{note[1:]}.",
    )


def _chance(mean: xr.Dataset) -> list[str]:
    level = mean.attrs.get("chance")
    if isinstance(level, float | int) and np.isfinite(level):
        return [f"chance {short(level)}"]
    if "chance" not in mean:
        return []
    return [f"chance {short(float(mean['chance'].min()))} to {short(float(mean['chance'].max()))}"]


def _brackets(words: Sequence[str]) -> str:
    return f" ({', '.join(words)})" if words else ""


def _crossed(
    caption: str,
    values: xr.DataArray,
    *,
    error: xr.DataArray | None = None,
    marks: xr.DataArray | None = None,
    note: str = "",
    folded: bool = False,
) -> Table:
    """One array: a column for each label of its layer (or last dimension), a row for all others."""
    across = _across(values)
    down = [d for d in values.dims if d != across]
    order = (*down, *([across] if across else []))
    numbers = values.transpose(*order).values
    errors = None if error is None else error.transpose(*order).values
    marked = None if marks is None else marks.transpose(*order).values

    def cell(at: tuple[int, ...]) -> Value:
        return Value(
            numbers[at].item(),
            None if errors is None else errors[at].item(),
            marked is not None and bool(marked[at]),
        )

    columns: Sequence[tuple[int, ...]] = [(j,) for j in range(values.sizes[across])] if across else [()]
    rows: list[list[str | Value]] = [
        [*labels, *(cell((*at, *j)) for j in columns)] for at, labels in _places(values, down)
    ]
    names = _labels(values, across) if across else ["value"]
    return Table(caption, [*(_headed(values, d) for d in down), *names], rows, note, folded)


def _across(values: xr.DataArray) -> str | None:
    if values.ndim < 2:
        return None
    chosen = LAYER if LAYER in values.dims else str(values.dims[-1])
    return chosen if values.sizes[chosen] <= COLUMNS else None


def _places(values: xr.DataArray, dims: Sequence[object]) -> Iterator[tuple[tuple[int, ...], list[str]]]:
    """Positions and labels of every row."""
    labels = [_labels(values, d) for d in dims]
    for at in itertools.product(*(range(len(one)) for one in labels)):
        yield at, [one[i] for one, i in zip(labels, at, strict=True)]


def _labels(values: xr.DataArray, dim: object) -> list[str]:
    """Labels of a dimension as text; numbers from 1 where it has none."""
    if dim not in values.coords:
        return [str(i + 1) for i in range(values.sizes[dim])]
    return [f"{v:.6g}" if isinstance(v, float) else str(v) for v in values[dim].values.tolist()]


def _headed(values: xr.DataArray, dim: object) -> str:
    units = values[dim].attrs.get("units") if dim in values.coords else None
    units = units or ("s" if dim in SECONDS else None)
    return f"{dim}{_brackets([str(units)] if units else [])}"


def _beside_each_other(arrays: Mapping[str, xr.DataArray], *, folded: bool) -> list[Table]:
    """Arrays over the same dimensions: a row a place, a column an array."""
    alike: dict[frozenset[object], list[str]] = {}
    for name, array in arrays.items():
        alike.setdefault(frozenset(array.dims), []).append(name)
    found = []
    for names in alike.values():
        first = arrays[names[0]]
        values = [arrays[n].transpose(*first.dims).values for n in names]
        rows: list[list[str | Value]] = [
            [*labels, *(Value(v[at].item()) for v in values)] for at, labels in _places(first, first.dims)
        ]
        head = [*(_headed(first, d) for d in first.dims), *names]
        found.append(Table(", ".join(names), head, rows, folded=folded))
    return found


def _ranges(arrays: Mapping[str, xr.DataArray]) -> Table:
    rows: list[list[str | Value]] = []
    for name, array in arrays.items():
        split = LAYER in array.dims and array.sizes[LAYER] <= COLUMNS
        parts = (
            [(f"{name}, {label}", array.isel(layer=i)) for i, label in enumerate(_labels(array, LAYER))]
            if split
            else [(name, array)]
        )
        rows += [_range(label, part) for label, part in parts]
    head = ["array", "dimensions", "smallest", "median", "largest", "missing"]
    return Table("Arrays too large for a table", head, rows, "They are in the result file, whole.")


def _range(name: str, array: xr.DataArray) -> list[str | Value]:
    values = np.asarray(array.values)
    there = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    sizes = " × ".join(f"{d} {n}" for d, n in array.sizes.items())
    if not there.size:
        return [name, sizes, *[NOTHING] * 3, Value(values.size)]
    three = (there.min().item(), float(np.median(there)), there.max().item())
    return [name, sizes, *map(Value, three), Value(values.size - there.size)]


def short(value: float | int | bool) -> str:
    """Write a number for reading.

    >>> short(0.40312), short(0.00001234), short(12), short(True), short(float("nan"))
    ('0.403', '1.23e-05', '12', 'yes', '–')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not np.isfinite(value):
        return NOTHING if np.isnan(value) else str(value)
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3f}" if 0.001 <= abs(value) < 1000 else f"{value:.3g}"
