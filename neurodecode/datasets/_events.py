"""Tables of events: which rows are samples, when they began, and what is written beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..labels import listed, written
from ._files import Source, present
from ._repeats import seen_before

# Coordinates of ours: a column of such a name becomes event_<name>.
TAKEN = (
    *("sample", "stimulus", "subject", "session", "run", "repeat"),
    *("voxel", "roi", "hemi", "vertex", "x", "y", "z", "channel", "kind", "time"),
    *("feature", "layer", "unit", "region", "window", "fold", "trials"),
)
# How BIDS writes a missing value, and how a table that is not quite BIDS does.
MISSING = ("n/a", "")
# Two of these may be one number.
CODE = re.compile(r"[+-]?0\d")
# As pandas writes whole numbers in a column with a hole.
WHOLE = re.compile(r"([+-]?\d+)\.0+")


@dataclass(frozen=True)
class Events:
    """Events of one run, in the order of their onsets.

    Attributes
    ----------
    onset : (event) s from the first volume or sample that is stored
    stimulus : (event) text
    row : (event) row of the table, from 1
    extra : name of a coordinate -> (event) text, "" where missing
    counts : why rows were left out -> how many; those of ``zero_length`` were not
    """

    onset: np.ndarray
    stimulus: np.ndarray
    row: np.ndarray
    extra: dict[str, np.ndarray]
    counts: dict[str, int]

    def only(self, kept: np.ndarray, *, why: str) -> Events:
        """Those where ``kept`` is true; how many are not goes into the counts."""
        return replace(
            self,
            onset=self.onset[kept],
            stimulus=self.stimulus[kept],
            row=self.row[kept],
            extra={name: column[kept] for name, column in self.extra.items()},
            counts=self.counts | {why: int((~kept).sum())},
        )


def read_events(
    table: str | Path | pd.DataFrame, *, stimulus: str, columns: Sequence[str] = (), what: str, source: Source
) -> Events:
    """Events of a table with a column ``onset`` in s, from those rows that have a value in the column ``stimulus``.

    Parameters
    ----------
    table : path of a .tsv or .csv file, or a DataFrame
        "n/a" and empty cells are missing. Stimuli are text as they are written: no number is rounded. Whole numbers
        of a DataFrame are written as such, also where a hole in their column made them floats.
    stimulus : column that says what was shown
    columns : further columns
        ``trial_type`` comes along where there is one.
    what : the table, for messages

    Raises
    ------
    FileNotFoundError
        If the file is missing or only a placeholder.
    ValueError
        If it cannot be read, a column is missing, an onset is no number, or no row is left.
    """
    cells = _texts(table, what, source)
    wanted = dict.fromkeys(("onset", stimulus, *columns))
    missing = [name for name in wanted if name not in cells]
    if missing:
        raise ValueError(
            f"{what} has no column {listed(missing)}; it has {listed(cells.columns, most=40)}. (BIDS and this function "
            "want 'onset' in s; any other column can be the stimulus)"
        )
    names = [name for name in ("trial_type", *columns) if name in cells and name != stimulus]
    onset = _numbers(cells["onset"], what)
    shown = cells[stimulus].notna().to_numpy()
    events = Events(
        onset,
        cells[stimulus].fillna("").to_numpy(dtype=str),
        np.arange(1, len(cells) + 1),
        {_free(name): cells[name].fillna("").to_numpy(dtype=str) for name in names},
        {"zero_length": _zero(cells, shown)},
    )
    events = events.only(shown, why="without_value").only(~np.isnan(onset[shown]), why="without_onset")
    if not events.onset.size:
        raise ValueError(
            f"{what} has {len(cells)} rows, none with an onset and a value in {stimulus!r}; take another column of "
            f"{listed(cells.columns, most=40)}"
        )
    order = np.argsort(events.onset, kind="stable")
    return replace(
        events,
        onset=events.onset[order],
        stimulus=events.stimulus[order],
        row=events.row[order],
        extra={name: column[order] for name, column in events.extra.items()},
    )


def _texts(table: str | Path | pd.DataFrame, what: str, source: Source) -> pd.DataFrame:
    """Cells as text, None where missing."""
    if not isinstance(table, pd.DataFrame):
        path = present(table, what=what, source=source)
        try:
            table = pd.read_csv(
                path,
                sep="," if path.suffix == ".csv" else "\t",
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
            )
        except (ValueError, UnicodeError) as error:
            raise ValueError(f"{path} ({what}) is no table of tab-separated text: {error}") from error
    table = table.reset_index(drop=True)
    # A column of whole numbers with a hole is one of floats: 3 must not be "3.0" in one run alone.
    cells = table.astype(object).map(lambda cell: written(cell).strip())
    return cells.astype(object).where(~cells.isin(MISSING), None)


def _numbers(column: pd.Series, what: str) -> np.ndarray:
    found = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    wrong = column[column.notna().to_numpy() & ~np.isfinite(found)]
    if len(wrong):
        raise ValueError(
            f"{what}: {len(wrong)} of {len(column)} onsets are no number of seconds: {listed(wrong)}"
        )
    return found


def _zero(cells: pd.DataFrame, shown: np.ndarray) -> int:
    if "duration" not in cells:
        return 0
    duration = pd.to_numeric(cells["duration"], errors="coerce").to_numpy(dtype=float)
    return int((duration[shown] == 0).sum())


def _free(name: str) -> str:
    return f"event_{name}" if name in TAKEN else name


def labels_of(
    events: Sequence[Events],
    *,
    names: Sequence[str],
    session: Sequence[str | None],
    run: Sequence[str | None],
) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, int]]:
    """Labels of the samples of all runs: those that constructors take, columns of the tables, and counts for attrs.

    Parameters
    ----------
    events, names, session, run : one for each run
        A sample is called by its run and its row: "<name>_e0001".
    """
    sizes = [one.onset.size for one in events]
    stimulus = _alike(np.concatenate([one.stimulus for one in events]))
    given = {
        "sample": [f"{name}_e{row:04d}" for name, one in zip(names, events, strict=True) for row in one.row],
        "stimulus": stimulus,
        "repeat": seen_before(stimulus),
        **{
            key: np.repeat([value or "" for value in column], sizes)
            for key, column in (("session", session), ("run", run))
            if any(value is not None for value in column)
        },
    }
    # A column that only some runs have says nothing about the others.
    common = [name for name in events[0].extra if all(name in one.extra for one in events)]
    extra = {name: _typed(np.concatenate([one.extra[name] for one in events])) for name in common}
    counts = {
        f"events_{why}": sum(one.counts.get(why, 0) for one in events)
        for why in dict.fromkeys(why for one in events for why in one.counts)
    }
    return given, extra, counts


def _alike(stimulus: np.ndarray) -> np.ndarray:
    """Stimuli of all runs, "3.0" written as "3" where that is there too."""
    there = set(stimulus.tolist())
    whole = {name: match[1] for name in there if (match := WHOLE.fullmatch(name)) and match[1] in there}
    return np.array([whole.get(name, name) for name in stimulus.tolist()], dtype=str)


def _typed(column: np.ndarray) -> np.ndarray:
    """Numbers where all that is there are numbers, NaN for missing ones; else, as for codes ("007"), the text."""
    filled = column != ""
    if any(CODE.match(cell) for cell in column.tolist()):
        return column
    numbers = pd.to_numeric(pd.Series(column).where(filled), errors="coerce")
    if not filled.any() or numbers[filled].isna().any():
        return column
    if filled.all() and (numbers % 1 == 0).all():
        return numbers.to_numpy(dtype=np.int64)
    return numbers.to_numpy(dtype=np.float64)
