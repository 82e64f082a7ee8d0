"""Floor 0: what every array must be before work starts, and the words a user reads when it is not.

Xarray joins unequal labels without a word. Every function of two arrays therefore calls
:func:`require_same` or :func:`match` first, and nothing in this package relies on a silent join.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from .checks import require_texts, shown
from .lazy import is_dask

SAMPLE = "sample"
STIMULUS = "stimulus"
FEATURE = "feature"
LAYER = "layer"
PERMUTATION = "permutation"
# Dimensions of a picture.
PICTURE = ("row", "column", "colour")
# Attributes of responses that a map of their voxels needs to be drawn.
KEPT = ("subject", "space", "affine", "shape", "vertices", "origin")
# Kinds of labels of which none can be missing: truth values, whole numbers, texts.
WHOLE = "biuSU"
# Larger values overflow when they are squared and summed; where all are smaller than SMALLEST, squares vanish.
LARGEST = {np.dtype(np.float32): 1e15, np.dtype(np.float64): 1e150}
SMALLEST = {np.dtype(np.float32): 1e-18, np.dtype(np.float64): 1e-150}
# Copies below so many bytes are made without asking how much memory is free.
SMALL = 2**26
Value = TypeVar("Value")


def quoted(value: object) -> str:
    """Write one value for a message as a user would type it: no ``np.str_``, a date as a date.

    >>> quoted(np.str_("img_0")), quoted(np.datetime64("2020-01-01"))
    ("'img_0'", "'2020-01-01'")
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        return repr(str(value))
    return repr(value.item() if isinstance(value, np.generic) else value)


def listed(values: Iterable[object], *, most: int = 8) -> str:
    """Write values for a message: the first few, then how many are left.

    >>> listed(["V1", "V2", "V3"], most=2)
    "'V1', 'V2' and 1 more"
    """
    values = list(values)
    shown = ", ".join(quoted(v) for v in values[:most])
    left = len(values) - most
    return f"{shown} and {left} more" if left > 0 else shown


def written(value: object) -> str:
    """Write one label as text: "" where it is missing, a whole float as the number it is, bytes decoded.

    >>> written(3.0), written(None), written("V1")
    ('3', '', 'V1')
    """
    if isinstance(value, str):
        return str(value)  # np.str_ too, and without a slower look for a hole
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return "" if pd.isna(value) is True else str(value)


def texts(values: Any) -> np.ndarray:
    """Write every label as text, see :func:`written`."""
    array = np.asarray(values)
    return np.array([written(v) for v in array.ravel()], dtype=str).reshape(array.shape)


def as_labels(values: Sequence[Any]) -> np.ndarray:
    """Labels as an array, each as it is: NumPy alone makes texts of numbers beside texts, and rows of tuples."""
    kinds = {type(v) for v in values}
    numbers = all(issubclass(k, (int, float, np.number, np.bool_)) for k in kinds)
    if tuple not in kinds and (len(kinds) == 1 or numbers):
        return np.array(values)
    labels = np.empty(len(values), dtype=object)
    labels[:] = values
    return labels


def differing(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where labels differ; two that are missing (NaN, None) are equal."""
    left, right = np.broadcast_arrays(left, right)
    if left.dtype.kind in WHOLE and right.dtype.kind in WHOLE:
        return np.asarray(left != right)  # a look for holes in a million texts takes longer than all else
    missing, other = pd.isna(left), pd.isna(right)
    differ = np.asarray(missing != other)
    there = ~(missing | other)
    differ[there] = left[there] != right[there]
    return differ


def by_text(given: Mapping[Any, Value], *, who: str) -> dict[str, Value]:
    """Write the names of a mapping as text.

    Raises
    ------
    ValueError
        If two are the same text, such as 1 and "1": one of them would be lost.
    """
    named = {str(name): value for name, value in given.items()}
    if len(named) < len(given):
        names = [str(name) for name in given]
        raise ValueError(
            f"{who} must differ as text: {listed(n for n in given if names.count(str(n)) > 1)} among "
            f"{len(names)} are the same; rename them"
        )
    return named


def groups(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number equal labels by first appearance: the number of every label, and each number's first position.

    >>> groups(np.array(["b", "a", "b"]))
    (array([0, 1, 0]), array([0, 1]))
    """
    try:
        numbers, _ = pd.factorize(labels, use_na_sentinel=False)
    except TypeError as error:
        raise ValueError(
            f"labels must be one text or number each, got {shown(labels[0])} ({type(labels[0]).__name__}) first; "
            "write such labels as text"
        ) from error
    return numbers, np.unique(numbers, return_index=True)[1]


def require_choice(value: object, allowed: Sequence[object], *, what: str) -> None:
    """Refuse a name that is not among the allowed ones, and list those.

    Raises
    ------
    ValueError
        Naming the value and all allowed names.
    """
    # An array would be compared entry by entry, and a missing value of pandas with nothing at all.
    plain = value is None or isinstance(value, str | int | float | np.integer | np.floating)
    if not plain or value not in allowed:
        raise ValueError(f"unknown {what} {shown(value)}; choose one of {listed(allowed, most=40)}")


def require_array(array: object, *, who: str) -> xr.DataArray:
    """Return ``array`` if it is a labelled array.

    Raises
    ------
    TypeError
        If it is anything but an :class:`xarray.DataArray`.
    """
    if isinstance(array, xr.Dataset):
        names = [str(k) for k in array.data_vars]
        raise TypeError(
            f"{who} must be one labelled array, not the Dataset of {listed(names)}; take one out of it, such as "
            f"[{names[0] if names else 'mean'!r}]"
        )
    if not isinstance(array, xr.DataArray):
        raise TypeError(
            f"{who} must be a labelled xarray.DataArray, not {type(array).__name__}; "
            "neurodecode.brain.fmri, meeg and features make one from any array"
        )
    return array


def require_dims(array: xr.DataArray, dims: Sequence[str], *, who: str) -> None:
    """Refuse an array that lacks one of ``dims``.

    Raises
    ------
    ValueError
        Naming the array, the dimension that is missing and those that are there.
    """
    require_array(array, who=who)
    missing = [d for d in dims if d not in array.dims]
    if missing:
        raise ValueError(
            f"{who} needs the dimension(s) {listed(missing)} but has {tuple(map(str, array.dims))} with shape "
            f"{array.shape}; rename with .rename or build it with neurodecode.brain"
        )


def require_coord(array: xr.DataArray, name: str, *, who: str, dim: str | None = None) -> xr.DataArray:
    """Return the coordinate ``name`` of ``array``, which must have one entry along ``dim`` each where that is given.

    Raises
    ------
    ValueError
        Naming the coordinate that is missing and those that are there, the dimensions that it has instead, or labels
        that are lists.
    """
    if not hasattr(array, "coords"):
        require_array(array, who=who)
    require_texts(**{f"the name of a coordinate of {who}": name})
    if name not in array.coords:
        raise ValueError(
            f"{who} has no coordinate {name!r}; it has {listed(sorted(map(str, array.coords)), most=20)}. "
            f"Give {name}=... to the constructor in neurodecode.brain, or use .assign_coords"
        )
    coord = array.coords[name]
    if dim is not None and coord.dims != (dim,):
        raise ValueError(
            f"coordinate {name!r} of {who} must have one entry for each {dim!r}, but it has the dimensions "
            f"{tuple(map(str, coord.dims))}"
        )
    if coord.dtype == object:
        # A bare object() is equal to nothing, its own copy included.
        several = [
            v
            for v in coord.values.ravel()
            if type(v) is object or isinstance(v, list | dict | set | np.ndarray)
        ]
        if several:
            raise ValueError(
                f"{len(several)} of {coord.size} labels {name!r} of {who} are no single text or number, first "
                f"{shown(several[0])}; write each as one text"
            )
    return coord


def require_known(labels: np.ndarray, name: str, *, who: str) -> None:
    """Refuse missing labels (NaN, None) where equal ones say what belongs together.

    Raises
    ------
    ValueError
        Naming how many there are and the coordinate.
    """
    missing = int(pd.isna(labels).sum())
    if missing:
        raise ValueError(
            f"{missing} of {labels.size} labels {name!r} of {who} are missing, and do not say what belongs together; "
            f"drop these samples, or give each a {name!r}"
        )


def require_unique(array: xr.DataArray, dim: str, *, who: str) -> None:
    """Refuse duplicate labels along ``dim``.

    Raises
    ------
    ValueError
        Naming how many labels occur more than once, the first of them and its positions.
    """
    labels = require_coord(array, dim, who=who).values
    numbers, first = groups(labels)
    twice = np.flatnonzero(np.bincount(numbers) > 1)
    if twice.size:
        positions = np.flatnonzero(numbers == twice[0])
        remedy = " (repeats of a stimulus belong in 'stimulus' and 'repeat')" if dim == SAMPLE else ""
        raise ValueError(
            f"{who} has {twice.size} duplicate {dim!r} label(s) among {labels.size}, first "
            f"{quoted(labels[first[twice[0]]])} at positions {listed(positions)}; {dim!r} must be a unique id{remedy}"
        )


def require_filled(array: xr.DataArray, *, who: str, give: str = "at least one of each") -> None:
    """Refuse an array without values.

    Raises
    ------
    ValueError
        With its sizes, and what to give.
    """
    if not array.size:
        raise ValueError(f"{who} are empty: {dict(array.sizes)}; give {give}")


def require_sound(array: xr.DataArray, *, who: str) -> None:
    """Refuse values that cannot be fitted: none at all, no real or finite numbers, too large or too small ones."""
    require_filled(array, who=who)
    require_real(array, who=who)
    require_finite(array, who=who)
    require_squares(array, who=who)


def require_real(array: xr.DataArray, *, who: str) -> None:
    """Refuse values that are no real numbers (complex, text, times).

    Raises
    ------
    ValueError
        Naming the dtype.
    """
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{who} must be real numbers, got dtype {array.dtype}; take the part or the column that is meant"
        )


def require_finite(array: xr.DataArray, *, who: str) -> None:
    """Refuse NaN and infinite values.

    Raises
    ------
    ValueError
        Naming how many values of which kind, on how many entries of each dimension, and the first.
    """
    if array.dtype.kind not in "fc":
        return
    with np.errstate(invalid="ignore", over="ignore"):
        # A sum shows any NaN or infinity, and needs no mask of the size of the array.
        total = complex(array.variable.data.sum(dtype=np.result_type(array.dtype, np.float64)))
    if np.isfinite(total):
        return
    values = array.values
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    where = np.unravel_index(int(np.argmax(bad)), values.shape)
    first = ", ".join(
        f"{dim} {(array.coords[dim].values[i] if dim in array.coords else i)!s}"
        for dim, i in zip(array.dims, where, strict=True)
    )
    spread = ", ".join(
        f"{int(bad.any(axis=tuple(a for a in range(bad.ndim) if a != axis)).sum())} of {size} in {dim!r}"
        for axis, (dim, size) in enumerate(zip(array.dims, values.shape, strict=True))
    )
    raise ValueError(
        f"{who} has {int(np.isnan(values).sum())} NaN and {int(np.isinf(values).sum())} infinite of {values.size} "
        f"values ({spread}), first at {first}; drop or interpolate them before"
    )


def require_squares(array: xr.DataArray, *, who: str) -> None:
    """Refuse values so large that their squares overflow, or all so small that they vanish.

    NaN passes, and so do arrays of dask, unread.

    Raises
    ------
    ValueError
        Naming how many there are, the largest, and the limit.
    """
    largest = LARGEST.get(array.dtype)
    if largest is None or is_dask(array) or not array.size:
        return
    with np.errstate(invalid="ignore"):
        high, low = (float(f.reduce(array.values, axis=None)) for f in (np.fmax, np.fmin))
    if 0 < max(high, -low) < SMALLEST[array.dtype]:
        raise ValueError(
            f"{who} are at most {max(high, -low):g} in size: their squares vanish in {array.dtype}; change the units"
        )
    if not max(high, -low) > largest:
        return
    size = np.abs(array.values)
    if (size > largest).any():
        raise ValueError(
            f"{who} has {int((size > largest).sum())} of {size.size} values beyond {largest:g} in size, the largest "
            f"{np.nanmax(size):g}: their squares overflow {array.dtype}; look where they come from, or change the units"
        )


def require_same(
    a: xr.DataArray, b: xr.DataArray, dim: str, *, who: tuple[str, str] = ("responses", "features")
) -> None:
    """Refuse two arrays whose labels along ``dim`` differ in number, value or order.

    Raises
    ------
    ValueError
        Naming both arrays, how many labels differ, the first position and both labels there.
    """
    left = require_coord(a, dim, who=who[0], dim=dim).values
    right = require_coord(b, dim, who=who[1], dim=dim).values
    if left.size != right.size:
        only = [*left[~np.isin(left, right)], *right[~np.isin(right, left)]]
        raise ValueError(
            f"{who[0]} has {left.size} {dim!r} labels and {who[1]} has {right.size}"
            + (f"; only in one of them: {listed(only)}" if only else "")
            + f"; select the common ones by label first, e.g. .sel({dim}=...)"
        )
    differ = np.flatnonzero(differing(left, right))
    if differ.size:
        i = int(differ[0])
        raise ValueError(
            f"{who[0]} and {who[1]} disagree on {differ.size} of {left.size} {dim!r} labels, first at position {i}: "
            f"{quoted(left[i])} against {quoted(right[i])}; {_remedy(left, right, dim, who)}"
        )


def as_mask(mask: Any, array: xr.DataArray, dim: str, *, who: str) -> np.ndarray:
    """A boolean mask along ``dim`` of an array, plain; labels that both bear must be the same, in the same order.

    An index of pandas that counts from 0 says nothing.

    Raises
    ------
    ValueError
        If it lies along another dimension, has another length, or its labels differ.
    """
    if isinstance(mask, pd.Series) and not np.array_equal(mask.index, np.arange(len(mask))):
        mask = xr.DataArray(mask.to_numpy(), dims=dim, coords={dim: mask.index.to_numpy()})
    if isinstance(mask, xr.DataArray):
        other = [d for d in mask.dims if d != dim and d in mask.coords]
        if other:
            raise ValueError(
                f"{who} lies along {listed(other)}, not {dim!r}; take what it says of each, .sel({other[0]}=...)"
            )
        if dim in mask.coords and dim in array.coords:
            try:
                require_same(array, mask, dim, who=("responses", who))
            except ValueError as error:
                raise ValueError(f"{error}; or, if it goes by position, give its .values") from error
    values = np.asarray(mask)
    if values.shape != (array.sizes[dim],):
        raise ValueError(
            f"{who} has the shape {values.shape} but there are {array.sizes[dim]} along {dim!r}; give one entry each"
        )
    return values


def _remedy(left: np.ndarray, right: np.ndarray, dim: str, who: tuple[str, str]) -> str:
    """Say what mends two label arrays of one length that differ."""
    if sorted(map(quoted, left)) == sorted(map(quoted, right)):
        return f"the labels are the same in another order: use {who[1]}.sel({dim}={who[0]}.{dim})"
    if sorted(map(str, left)) == sorted(map(str, right)):
        return _of_two_kinds(left, right)
    return "they are not the same labels: check which data belong together"


def _of_two_kinds(left: np.ndarray, right: np.ndarray) -> str:
    return (
        f"the labels are {left.dtype} in one and {right.dtype} in the other: make both text or both numbers"
    )


def match(
    features: xr.DataArray, responses: xr.DataArray, *, who: tuple[str, str] = ("features", "responses")
) -> xr.DataArray:
    """Give every sample of ``responses`` its row of ``features``, by label.

    Parameters
    ----------
    features : (stimulus, ...) or (sample, ...)
        Stored once per stimulus, or once per sample in the very order of ``responses``.
    responses : (sample, ...)
        With the coordinate ``stimulus`` if ``features`` are per stimulus.

    Returns
    -------
    (sample, ...) array with the sample coordinates of ``responses``.

    Raises
    ------
    ValueError
        If a stimulus has no features, or if sample labels differ.
    """
    require_dims(responses, [SAMPLE], who=who[1])
    if SAMPLE in require_array(features, who=who[0]).dims:
        require_same(responses, features, SAMPLE, who=(who[1], who[0]))
        return _with_labels_of(responses, features)
    require_dims(features, [STIMULUS], who=who[0])
    require_unique(features, STIMULUS, who=who[0])
    wanted = require_coord(responses, STIMULUS, who=who[1], dim=SAMPLE).values
    rows = features.indexes[STIMULUS].get_indexer(wanted)
    if (rows < 0).any():
        raise ValueError(_lacking(features.coords[STIMULUS].values, wanted, rows < 0, who))
    if not is_dask(features):
        times = len(rows) / features.sizes[STIMULUS]
        require_copy(features, who=f"{who[0]}, one row for each of {len(rows)} samples,", times=times)
    matched = features.isel({STIMULUS: xr.DataArray(rows, dims=SAMPLE)}).drop_vars(STIMULUS)
    return _with_labels_of(responses, matched)


def _lacking(there: np.ndarray, wanted: np.ndarray, lacks: np.ndarray, who: tuple[str, str]) -> str:
    """Say which stimuli have no features, which do, and what mends that."""
    missing = pd.unique(wanted[lacks])
    same_text = set(map(str, missing)) & set(map(str, there))
    remedy = (
        _of_two_kinds(wanted, there)
        if same_text or _is_text(wanted) != _is_text(there)
        else "add their features or drop these samples"
    )
    return (
        f"{who[0]} lack {len(missing)} of the {len(pd.unique(wanted))} stimuli in {who[1]} "
        f"({int(lacks.sum())} of {lacks.size} samples): {listed(missing)}; {who[0]} are there for "
        f"{listed(there, most=4)}; {remedy}"
    )


def _is_text(labels: np.ndarray) -> bool:
    return all(isinstance(v, str) for v in labels.tolist())


def _with_labels_of(responses: xr.DataArray, features: xr.DataArray) -> xr.DataArray:
    own = {k: v for k, v in responses.coords.items() if v.dims == (SAMPLE,)}
    # Put on the features, such a label would replace the one that tells layers or features apart.
    taken = [
        k
        for k in own
        if (k in features.dims and k != SAMPLE)
        or (k in features.coords and set(features.coords[k].dims) - {SAMPLE})
    ]
    if taken:
        raise ValueError(
            f"responses have the coordinate(s) {listed(taken)} along 'sample', names that features use themselves; "
            f"rename, e.g. responses.rename({taken[0]}='sample_{taken[0]}')"
        )
    return features.transpose(SAMPLE, ...).assign_coords(own)


def axes_of(array: xr.DataArray) -> xr.DataArray:
    """All but the first dimension of ``array``, as an empty array that bears the labels."""
    rest = array.isel({array.dims[0]: 0}, drop=True)
    shape = rest.shape
    return xr.DataArray(np.broadcast_to(np.float32(0), shape), dims=rest.dims, coords=rest.coords)


def as_fitted(given: xr.DataArray, fitted: xr.DataArray, *, who: str) -> xr.DataArray:
    """Return an array with its one dimension of rows first, then the axes of a fit, of which ``fitted`` keeps labels.

    Raises
    ------
    ValueError
        If an axis is missing or has other labels or another size, or if rows lie along several dimensions.
    """
    require_dims(given, list(map(str, fitted.dims)), who=who)
    require_real(given, who=who)
    rows = [d for d in given.dims if d not in fitted.dims]
    if len(rows) != 1:
        raise ValueError(
            f"{who} need one dimension of samples beside {tuple(map(str, fitted.dims))}, got "
            f"{tuple(map(str, given.dims))}"
        )
    given = given.transpose(rows[0], *fitted.dims)
    for dim in fitted.dims:
        require_axis(fitted, given, str(dim), who=who)
    return given


def require_axis(fitted: xr.DataArray, given: xr.DataArray, dim: str, *, who: str) -> None:
    """Refuse an array whose axis ``dim`` is not the one of the fit."""
    if dim in fitted.coords:
        require_same(fitted, given, dim, who=(f"the {who} of the fit", f"the {who} given"))
    elif fitted.sizes[dim] != given.sizes[dim]:
        raise ValueError(
            f"{who} have {given.sizes[dim]} along {dim!r}, the fit had {fitted.sizes[dim]}; use the same {dim}s"
        )
    if dim == FEATURE:
        require_units(fitted, given, who=who)


def require_units(fitted: xr.DataArray, given: xr.DataArray, *, who: str) -> None:
    """Refuse features of other layers or units than those of the fit, which tell them apart where they have no ids."""
    for name in (LAYER, "unit"):
        if name not in fitted.coords or fitted.coords[name].dims != (FEATURE,):
            continue
        then, now = fitted.coords[name].values, require_coord(given, name, who=who).values
        differ = differing(then, now)
        if differ.any():
            i = int(np.argmax(differ))
            raise ValueError(
                f"{who} differ from the fit in the {name!r} of {int(differ.sum())} of {differ.size} features, first at "
                f"position {i}: {listed(then[i : i + 1])} against {listed(np.broadcast_to(now, then.shape)[i : i + 1])}"
            )


def require_memory(needed: int, *, what: str, remedy: str, share: float = 0.8) -> None:
    """Refuse an allocation larger than ``share`` of the memory that is free now.

    Raises
    ------
    MemoryError
        With the estimate, what is free, and the remedy.
    """
    import psutil

    free = psutil.virtual_memory().available
    if needed > share * free:
        raise MemoryError(
            f"{what} would need about {needed / 2**30:.1f} GiB but only {free / 2**30:.1f} GiB are free "
            f"(limit: {share:.0%} of that); {remedy}"
        )


def require_draws(draws: int, units: int, *, what: str) -> None:
    """Refuse more draws of so many units than fit in memory.

    Raises
    ------
    MemoryError
        See :func:`require_memory`.
    """
    needed = 3 * 8 * draws * units  # counts, shares, and one array more of that size
    if needed > SMALL:
        require_memory(needed, what=f"{what}={draws} draws of {units}", remedy=f"take fewer: {what}=...")


def require_copy(array: xr.DataArray, *, who: str, times: float = 1.0) -> None:
    """Refuse to copy an array that would not fit a second time, or ``times`` its size.

    Raises
    ------
    MemoryError
        See :func:`require_memory`.
    """
    needed = int(times * array.nbytes)
    if needed > SMALL:
        require_memory(
            needed,
            what=f"a copy of {who} {dict(array.sizes)}",
            remedy="use fewer samples, voxels or features, float32, or dask arrays (.chunk)",
        )
