"""What was shown in one run, and when: two layouts of events.tsv.

Read in OpenNeuroDatasets/ds004212 (commits 10f11c0 and ba0f975; 4fc0bac):

- now: ``trial_type``, ``value`` (the picture's number among those of THINGS), ``sample`` (of the onset at the optical
  sensor; the authors' step1_preprocessing.py takes it). No name of a picture.
- before: ``trial_type``, ``things_image_nr``, ``file_path``, and an ``onset`` that is about 0.13 s off the triggers, so
  that it is never used: onsets are the triggers of 64 in UPPT001, one a row. They are not corrected by the sensor.

A missing value is "N/A" or "n/a".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...labels import listed
from .._files import present
from .layout import SOURCE, Files
from .trials import KINDS, Trials, names

MISSING = ("", "n/a", "N/A", "nan", "NaN")


@dataclass(frozen=True)
class Events:
    """Rows of one events.tsv.

    Attributes
    ----------
    path : of the file
    kind : "exp", "test" or "catch"
    image : number of the picture, 0 for catch trials
    file : (row) path of the picture, None where the file does not name pictures
    onset : (row) sample; None where the triggers tell
    """

    path: Path
    kind: np.ndarray
    image: np.ndarray
    file: np.ndarray | None
    onset: np.ndarray | None


def read(path: Path, *, what: str) -> Events:
    """Read the events of a run.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, empty, of another layout, or its labels are not what they should be.
    """
    import pandas as pd

    path = present(path, what=what, source=SOURCE)
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} ({what}) is no table: {str(error).strip()}; get it again from {SOURCE}"
        ) from error
    now = {"trial_type", "value", "sample"} <= set(table.columns)
    if not now and not {"trial_type", "things_image_nr", "file_path"} <= set(table.columns):
        raise ValueError(
            f"{path} ({what}) has the columns {listed(table.columns, most=20)}; expected are trial_type, value and "
            "sample, or trial_type, things_image_nr and file_path"
        )
    kind = table["trial_type"].to_numpy(dtype=str)
    unknown = sorted(set(kind.tolist()) - set(KINDS))
    if unknown or not len(table):
        raise ValueError(
            f"{path} ({what}) has {len(table)} rows, of the types {listed(unknown)}; known are {listed(KINDS)}"
        )
    number = "value" if now else "things_image_nr"
    return Events(
        path=path,
        kind=kind,
        image=_numbers(table[number], path, needed=kind != "catch") * (kind != "catch"),
        file=None if now else table["file_path"].to_numpy(dtype=object),
        onset=_numbers(table["sample"], path) if now else None,
    )


def names_pictures(path: Path) -> bool:
    """Whether a table of events is of the layout that names pictures itself."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return "file_path" in file.readline().split()


def _numbers(column: Any, path: Path, *, needed: np.ndarray | None = None) -> np.ndarray:
    texts = column.to_list()
    out = np.zeros(len(texts), np.int64)
    for i, text in enumerate(texts):
        if text in MISSING and needed is not None and not needed[i]:
            continue
        try:
            out[i] = round(float(text))
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{path}: {column.name} of row {i + 1} must be a number, got {text!r}"
            ) from error
    return out


def trials(
    found: Events, *, session: int, run: int, known: dict[int, tuple[str, int]], files: Files
) -> Trials:
    """Trials of a run.

    Parameters
    ----------
    found : its events
    session, run : from 1
    known : number of a picture -> its name and the number of its concept, for events that do not name pictures
    files : for the error

    Raises
    ------
    ValueError
        If a picture has no name.
    """
    shown = found.kind != "catch"
    if found.file is not None:
        stimulus = names(found.file, needed=shown, where=found.path)
    else:
        unknown = sorted(set(found.image[shown].tolist()) - set(known))
        if unknown:
            raise ValueError(
                f"{found.path} shows the pictures {listed(unknown)}, which {files.attributes} does not name; both must "
                "be of one subject and release"
            )
        stimulus = np.array([known[i][0] if i else "" for i in found.image.tolist()], dtype=str)
    category = np.array([known.get(i, ("", 0))[1] for i in found.image.tolist()], dtype=np.int64)
    count = len(found.kind)
    return Trials(found.kind, stimulus, found.image, category, np.full(count, session), np.full(count, run))
