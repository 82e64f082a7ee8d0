"""Scores with their intervals, as rows of one table: printed, kept as JSON, written into the model card."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Score:
    """One number about one model.

    Attributes
    ----------
    model, what : str
    value, low, high : float
        The number and its 95 % interval: Wilson's for proportions, mean +- 1.96 standard errors for means.
    n : int
        How many pictures it is about.
    units : str
        "" for a proportion or a correlation.
    chance : float or None
        What guessing would give.
    wanted : float or None
        The level asked of the model; ``lower`` is whether smaller is better.
    """

    model: str
    what: str
    value: float
    low: float
    high: float
    n: int
    units: str = ""
    chance: float | None = None
    wanted: float | None = None
    lower: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the value is at the wanted level; None where none was named."""
        if self.wanted is None:
            return None
        return self.value <= self.wanted if self.lower else self.value >= self.wanted


def proportion(model: str, what: str, hits: np.ndarray, **said: float | None) -> Score:
    """Share of hits, with Wilson's interval (Wilson 1927); trials of one gallery count as independent."""
    n, k = len(hits), int(np.sum(hits))
    interval = stats.binomtest(k, n).proportion_ci(method="wilson")
    return Score(model, what, k / n, float(interval.low), float(interval.high), n, **said)


def mean(model: str, what: str, values: np.ndarray, **said: float | str | bool | None) -> Score:
    """Mean over pictures, +- 1.96 standard errors."""
    values = np.asarray(values, dtype=float)
    middle, error = float(values.mean()), 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Score(model, what, middle, middle - error, middle + error, len(values), **said)


def explained(truth: np.ndarray, predicted: np.ndarray, *, draws: int = 500) -> tuple[float, float, float]:
    """R2 of (n, k) targets, pooled over targets, with its interval from resampled pictures."""
    error = ((truth - predicted) ** 2).sum(axis=1)
    total = ((truth - truth.mean(axis=0)) ** 2).sum(axis=1)
    rows = np.random.default_rng(0).integers(0, len(truth), (draws, len(truth)))
    drawn = 1 - error[rows].sum(axis=1) / total[rows].sum(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(1 - error.sum() / total.sum()), float(low), float(high)


HEAD = ("model", "what", "value", "95 % interval", "n", "chance", "wanted", "reached")


def cells(score: Score) -> tuple[str, ...]:
    """Return one row's text, in the order of ``HEAD``."""
    reached = {None: "", True: "yes", False: "no"}[score.reached]
    wanted = "" if score.wanted is None else f"{'<=' if score.lower else '>='} {_number(score.wanted, score)}"
    return (
        score.model,
        score.what,
        _number(score.value, score) + (f" {score.units}" if score.units else ""),
        f"{_number(score.low, score)} to {_number(score.high, score)}",
        str(score.n),
        "" if score.chance is None else _number(score.chance, score),
        wanted,
        reached,
    )


def text_table(scores: Iterable[Score]) -> str:
    """Lay out a table for the terminal."""
    rows = [HEAD, *(cells(s) for s in scores)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def markdown_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay out a table for the documentation."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def filled(page: str, name: str, text: str) -> str:
    """Return ``page`` with ``text`` between the markers ``<!-- name -->`` and ``<!-- end of name -->``.

    Raises
    ------
    ValueError
        If the page has not exactly one pair of them.
    """
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if page.count(first) != 1 or page.count(last) != 1:
        raise ValueError(f"the page must have {first!r} and {last!r} once each")
    before, rest = page.split(first)
    return f"{before}{first}\n\n{text}\n\n{last}{rest.split(last)[1]}"


def _number(value: float, score: Score) -> str:
    if score.units:
        return f"{value:.2f}"
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"
