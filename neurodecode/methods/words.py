"""Numbers, lists and sources as they are written in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

# A longer list is told by its length.
MOST = 12
PLURALS = {"stimulus": "stimuli"}


def number(value: Any) -> str:
    """Write a number without needless digits, four significant ones at least; other values as they are.

    >>> number(10.0), number(0.010000000000000002), number(1 / 3), number(150000)
    ('10', '0.01', '0.3333', '150000')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    exact = repr(value)
    return exact if len(exact.lstrip("-")) <= 8 else f"{value:.4g}"


def together(values: Iterable[Any]) -> str:
    """Write a list: "a, b and c".

    >>> together([1, 5.0, 10])
    '1, 5 and 10'
    """
    words = [number(v) for v in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def some(values: Sequence[Any], noun: str) -> str:
    """Count and name: "2 regions (V1 and V2)"; a long list is only counted."""
    named = f" ({together(values)})" if 0 < len(values) <= MOST else ""
    return f"{count(len(values), noun)}{named}"


def count(n: Any, noun: str) -> str:
    """Write "1 subject", "2 subjects"."""
    return f"{number(n)} {noun if n == 1 else plural(noun)}"


def plural(noun: Any) -> str:
    """Write "subjects", "stimuli"."""
    return PLURALS.get(str(noun), f"{noun}s")


def between(values: Iterable[float]) -> str:
    """Write one value, or the least and the largest: "8 to 10"."""
    values = list(values)
    low, high = min(values), max(values)
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def quoted(name: Any) -> str:
    """A name as the data bear it."""
    return f'"{name}"'


def sentence(*parts: str | None) -> str:
    """Join what is known to one sentence."""
    text = "".join(p for p in parts if p)
    return f"{text[0].upper()}{text[1:]}." if text else ""
