"""Below every floor: what single settings must be, and the words a user reads when they are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

LARGEST_COUNT = 2**32 - 1  # of counts and seeds: what the random generators of all libraries take
SHOWN = 80  # characters of a value that a message repeats
BARE = ("sklearn", "himalaya")  # packages whose estimators take and return arrays without labels


def shown(value: object) -> str:
    """Write a value for a message on one line, cut short where it is long.

    >>> shown([1, 2]), shown(np.zeros((2, 2)))
    ('[1, 2]', 'array([[0., 0.], [0., 0.]])')
    """
    text = re.sub(r"\s+", " ", repr(value.item() if isinstance(value, np.generic) else value))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}… ({type(value).__name__})"


def require_numbers(**given: Any) -> None:
    """Refuse what is not one real number each: text, dates, lists, booleans. Ranges and NaN are the caller's to check.

    Raises
    ------
    TypeError
        Naming the setting and what it is.
    """
    for name, value in given.items():
        single = isinstance(value, int | float | np.integer | np.floating)
        if not single or isinstance(value, bool | np.timedelta64):
            raise TypeError(f"{name} must be one number, got {shown(value)} ({type(value).__name__})")


def require_share(*, such: str = ".95", **given: Any) -> None:
    """Refuse what is not one number between 0 and 1 each: levels of intervals, limits of p.

    Raises
    ------
    TypeError
        Naming the setting and what it is, if that is no number.
    ValueError
        If it is out of that range, with one ``such`` as is meant.
    """
    require_numbers(**given)
    for name, value in given.items():
        if not 0 < value < 1:
            raise ValueError(f"{name} is a share between 0 and 1, such as {such}; got {value}")


def require_counts(**given: Any) -> None:
    """Refuse what is not a whole number from 0 to 2^32 - 1 each: numbers of draws, seeds.

    Raises
    ------
    TypeError
        Naming the setting and what it is, if that is no whole number.
    ValueError
        If it is out of that range.
    """
    for name, value in given.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool | np.timedelta64):
            raise TypeError(f"{name} must be a whole number, got {shown(value)} ({type(value).__name__})")
        if not 0 <= value <= LARGEST_COUNT:
            raise ValueError(f"{name} must be a whole number from 0 to {LARGEST_COUNT}, got {shown(value)}")


def require_flags(**given: Any) -> None:
    """Refuse what is not True or False each.

    Raises
    ------
    TypeError
        Naming the setting and what it is.
    """
    for name, value in given.items():
        if not isinstance(value, bool | np.bool):
            raise TypeError(f"{name} must be True or False, got {shown(value)} ({type(value).__name__})")


def require_texts(**given: Any) -> None:
    """Refuse what is not text each: names of dimensions, coordinates and units.

    Raises
    ------
    TypeError
        Naming the setting and what it is.
    """
    for name, value in given.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} must be text, got {shown(value)} ({type(value).__name__})")


def require_labelled(estimator: Any) -> None:
    """Refuse an estimator of scikit-learn or himalaya, which returns arrays without labels; pipelines of others may be.

    Raises
    ------
    TypeError
        Naming its class and what to take instead.
    """
    package = type(estimator).__module__.partition(".")[0]
    if package not in BARE:
        return
    # What a pipeline ends with, or a search over settings fits.
    steps = getattr(estimator, "steps", None)
    within = steps[-1][1] if steps else getattr(estimator, "estimator", None)
    if within is None:
        raise TypeError(
            f"{type(estimator).__name__} of {package} cannot be fitted here: it takes bare arrays, row by row, but "
            "responses and features are labelled and matched by stimulus. Take RidgeDecoder or RidgeEncoder of "
            "neurodecode, or put it into a class with fit and predict on labelled arrays ('Adding to it' in the "
            "documentation shows one)"
        )
    require_labelled(within)


def names_in(value: str | Iterable[str], *, what: str) -> list[str]:
    """Names given as one text or as several, as a list.

    Raises
    ------
    TypeError
        If they are neither.
    """
    if isinstance(value, str):
        return [value]
    try:
        names = list(value)
    except TypeError:
        names = [None]  # type: ignore[list-item]
    if not all(isinstance(n, str) for n in names):
        raise TypeError(
            f"{what} must be a name or several names, got {shown(value)} ({type(value).__name__})"
        )
    return [str(n) for n in names]


def as_numbers(values: Any, *, what: str, remedy: str) -> np.ndarray:
    """Real numbers as a float64 array.

    Raises
    ------
    ValueError
        Naming what they are for, if they are text, dates or complex, or rows of unequal length.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{what} has rows of unequal length: {shown(values)}; {remedy}") from error
    if array.dtype == object:
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what} must be real numbers, got {shown(values)}; {remedy}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} must be real numbers, got dtype {array.dtype}; {remedy}")
    return array.astype(np.float64)
