"""Which picture was shown in which trial, and what of it is loaded.

``sample_attributes_P{n}.csv``, which the authors also attached to the preprocessed epochs as their metadata, has a row
for every trial in the order of sessions and runs (ViCCo-Group/THINGS-data, MEG/step1_preprocessing.py). Columns that
public readers use: ``trial_type`` (exp, test, catch), ``image_path``, ``things_category_nr`` and ``things_image_nr``
(both from 1), ``session_nr``, ``run_nr``. The header itself was not at hand. Paths are
``images_meg/<concept>/<concept>_01b.jpg``, ``images_test_meg/<concept>_13n.jpg``, ``images_catch_meg/catch001.jpg``
(events.tsv of OpenNeuroDatasets/ds004212).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ...labels import listed, quoted
from .._files import present
from .layout import SESSIONS, SOURCE, Files

KINDS = ("exp", "test", "catch")
NEEDED = ("trial_type", "image_path", "session_nr", "run_nr", "things_image_nr")


@dataclass(frozen=True)
class Trials:
    """Trials in their order.

    Attributes
    ----------
    kind : "exp", "test" or "catch"
    stimulus : the picture's file name without its ending
    image : number of the picture among those of THINGS, from 1; 0 for catch trials
    category : number of its concept, from 1; 0 where it is unknown
    session, run : from 1
    """

    kind: np.ndarray
    stimulus: np.ndarray
    image: np.ndarray
    category: np.ndarray
    session: np.ndarray
    run: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, rows: Any) -> Trials:
        return Trials(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def concept(self) -> np.ndarray:
        """Names of the concepts: those of the pictures without their last part ("aircraft_carrier_06s")."""
        return np.array([name.rsplit("_", 1)[0] for name in self.stimulus.tolist()])


@dataclass(frozen=True)
class Kept:
    """Positions of the trials that are loaded, and how many were left out."""

    rows: np.ndarray
    catch: int
    train: int


def attributes(files: Files) -> Any:
    """Read the table of all trials.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, only a placeholder, empty or no table.
    """
    import pandas as pd

    path = present(files.attributes, what=f"pictures of all trials of {files.who}", source=SOURCE)
    try:
        return pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is no table of trials: {str(error).strip()}; get it again from {SOURCE}"
        ) from error


def from_table(table: Any, *, where: str | Path) -> Trials:
    """Trials of a table.

    Raises
    ------
    ValueError
        If columns or labels are missing, or not what they should be.
    """
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise ValueError(
            f"{where} lacks the column(s) {listed(missing)}; it has {listed(table.columns, most=30)}"
        )
    kind = np.asarray(table["trial_type"], dtype=object).astype(str)
    unknown = sorted(set(kind.tolist()) - set(KINDS))
    if unknown:
        raise ValueError(f"{where} has trials of the type {listed(unknown)}; known are {listed(KINDS)}")
    catch = kind == "catch"
    session = _whole(table["session_nr"], "session_nr", where)
    beyond = sorted(set(session.tolist()) - set(SESSIONS))
    if beyond:
        raise ValueError(
            f"{where} has trials of the sessions {listed(beyond)}; there are 1 to {SESSIONS[-1]}"
        )
    category = table["things_category_nr"] if "things_category_nr" in table.columns else np.zeros(len(kind))
    return Trials(
        kind=kind,
        stimulus=names(table["image_path"], needed=~catch, where=where),
        image=np.where(catch, 0, _whole(table["things_image_nr"], "things_image_nr", where, needed=~catch)),
        category=np.where(catch, 0, _whole(category, "things_category_nr", where, needed=~catch)),
        session=session,
        run=_whole(table["run_nr"], "run_nr", where),
    )


def names(paths: Any, *, needed: np.ndarray, where: str | Path) -> np.ndarray:
    """File names of pictures, without folders and endings; "" where there is none and none is needed.

    Raises
    ------
    ValueError
        If a name is missing, or has no part that tells pictures of a concept apart.
    """
    import pandas as pd

    found = ["" if pd.isna(path) else Path(str(path)).stem for path in np.asarray(paths, dtype=object)]
    wrong = [i for i in np.flatnonzero(needed) if "_" not in found[i].strip("_")]
    if wrong:
        raise ValueError(
            f"{where} names no picture in {len(wrong)} of {len(found)} trials, first in number {wrong[0] + 1}: "
            f"{quoted(found[wrong[0]])}; expected is a path such as images_meg/blowtorch/blowtorch_01b.jpg"
        )
    return np.array(found, dtype=str)


def _whole(column: Any, name: str, where: str | Path, needed: np.ndarray | None = None) -> np.ndarray:
    """Whole numbers; 0 where none is needed and none is there."""
    import pandas as pd

    numbers = np.asarray(
        pd.to_numeric(column, errors="coerce") if hasattr(column, "map") else column, dtype=float
    )
    wrong = ~(numbers == np.rint(numbers))
    if needed is not None:
        numbers = np.where(wrong & ~needed, 0, numbers)
        wrong &= needed
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"{name} of {where} is no whole number in {int(wrong.sum())} of {len(wrong)} trials, first in number "
            f"{first + 1}: {quoted(np.asarray(column, dtype=object)[first])}"
        )
    return numbers.astype(np.int64)


def kept(trials: Trials, *, zero_shot: bool, where: str | Path) -> Kept:
    """Trials that are loaded: no catch trials, and with ``zero_shot`` no training trials of the test concepts.

    A concept is a test concept by its name or by its number, whichever says so: spellings of one concept differ in a
    few public lists ("flip-flop").

    Raises
    ------
    ValueError
        If nothing is left.
    """
    catch, test = trials.kind == "catch", trials.kind == "test"
    concept, category = trials.concept, trials.category
    tested = np.isin(concept, concept[test]) | (np.isin(category, category[test]) & (category > 0))
    left_out = (trials.kind == "exp") & tested & zero_shot
    rows = np.flatnonzero(~catch & ~left_out)
    if not rows.size:
        raise ValueError(
            f"{where} has {len(trials)} trials, {int(catch.sum())} of them catch trials and {int(left_out.sum())} "
            "training trials of test concepts: none is left"
        )
    return Kept(rows, int(catch.sum()), int(left_out.sum()))
