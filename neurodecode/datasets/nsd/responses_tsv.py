"""What the subject answered: responses.tsv, one line a trial.

Was this picture seen before, in any session so far? Columns, by tabs: SUBJECT, SESSION, RUN (1 to 12), TRIAL (1 to 63
or 62, blank ones skipped), 73KID, 10KID (pictures, from 1), TIME (days), ISOLD, ISCORRECT, RT (ms), CHANGEMIND,
MEMORYRECENT, MEMORYFIRST, ISOLDCURRENT, ISCORRECTCURRENT, TOTAL1, TOTAL2, BUTTON, MISSINGDATA (cvnlab/nsddatapaper,
main/export.m; NSD Data Manual, Behavioral data). NaN: MEMORYRECENT and MEMORYFIRST of pictures that are new; ISCORRECT,
RT, CHANGEMIND, ISCORRECTCURRENT and BUTTON where no button was pressed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ...labels import listed, quoted
from .._files import present
from .design import Trials, sample_labels, trials
from .layout import SOURCE, TRIALS, Files

COLUMNS = (
    *(
        "SUBJECT",
        "SESSION",
        "RUN",
        "TRIAL",
        "73KID",
        "10KID",
        "TIME",
        "ISOLD",
        "ISCORRECT",
        "RT",
        "CHANGEMIND",
    ),
    *("MEMORYRECENT", "MEMORYFIRST", "ISOLDCURRENT", "ISCORRECTCURRENT", "TOTAL1", "TOTAL2", "BUTTON"),
    "MISSINGDATA",
)
UNITS = {"TIME": "days", "RT": "ms"}


def behaviour(root: str | Path, *, subject: int) -> xr.Dataset:
    """Load what one subject answered in every trial.

    Parameters
    ----------
    root : path
        The dataset's folder.
    subject : 1 to 8

    Returns
    -------
    Dataset over ``sample``, the trials of :func:`load` in the same order, with the same labels
        The 19 columns under their published names; ``run`` as a coordinate too. NaN is kept.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file, or nsd_expdesign.mat, is missing or damaged, has other columns, does not hold whole sessions, or
        shows other pictures than the design: how many, and which first.
    """
    import pandas as pd

    files = Files(Path(root), subject)
    what = f"answers of {files.who}"
    path = present(files.behaviour, what=what, source=SOURCE)
    try:
        table = pd.read_csv(path, sep="\t")
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise ValueError(
            f"{path} ({what}) is no table, or damaged: {error}; get it again from {SOURCE}"
        ) from error
    if tuple(table.columns) != COLUMNS:
        raise ValueError(
            f"{path} ({what}) has the columns {listed(table.columns)}, expected {listed(COLUMNS, most=19)}"
        )
    sessions, rest = divmod(len(table), TRIALS)
    if rest or not 1 <= sessions <= files.planned:
        raise ValueError(
            f"{path} ({what}) has {len(table)} trials, expected 1 to {files.planned} sessions of {TRIALS}; "
            f"get it again from {SOURCE}"
        )
    text = [name for name in COLUMNS if table[name].dtype.kind not in "iuf"]
    if text:
        raise ValueError(f"{path} ({what}) has no numbers in {listed(text)}; get it again from {SOURCE}")
    shown = trials(files, sessions)
    _require_design(files, {name: table[name].to_numpy() for name in ("SUBJECT", "SESSION", "73KID")}, shown)
    found = xr.Dataset(
        {name: ("sample", table[name].to_numpy()) for name in COLUMNS},
        coords={k: ("sample", v) for k, v in sample_labels(files, shown).items()},
        attrs={"subject": files.who},
    )
    for name, units in UNITS.items():
        found[name].attrs["units"] = units
    return found.assign_coords(run=("sample", table["RUN"].to_numpy()))


def _require_design(files: Files, found: dict[str, np.ndarray], shown: Trials) -> None:
    """Refuse answers to other trials than those of the design."""
    subject = np.full(len(shown.nsd_id), files.subject)
    expected = {"SUBJECT": subject, "SESSION": shown.session, "73KID": shown.nsd_id + 1}
    for name, values in expected.items():
        differ = np.flatnonzero(found[name] != values)
        if differ.size:
            i = int(differ[0])
            raise ValueError(
                f"{files.behaviour} differs from what was planned for {files.who} in {name} of {differ.size} of "
                f"{len(values)} trials, first in trial {i + 1}: {quoted(found[name][i])} instead of "
                f"{quoted(values[i])}; it is of another subject, or not in the order of trials"
            )
