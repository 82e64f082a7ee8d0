"""The 73,000 pictures of NSD: what nsd_stim_info_merged.csv says about them.

One line a picture, with a header: a number from 0, ``cocoId``, ``cocoSplit`` (train2017 or val2017), ``cropBox``
"(top, bottom, left, right)" in shares of the side that were cut off, ``loss``, ``nsdId`` (from 0, the row in
nsd_stimuli.hdf5), ``flagged``, ``BOLD5000``, ``shared1000``, ``subject1`` to ``subject8``, and ``subject1_rep0`` to
``subject8_rep2``: the trial, from 1, in which that subject was to see it for the first, second and third time, 0 for
never. All 30,000 trials are those that were planned, also for subjects who did fewer (NSD Data Manual, Experiments;
order of the columns and reading of ``cropBox`` after public readers of the file). The .pkl beside it holds the same,
but a pickle runs code.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ...labels import listed
from .._files import listed_at, present
from .._repeats import seen_before
from .design import ALL, names, read
from .layout import SOURCE, SUBJECTS, Files

if TYPE_CHECKING:
    import pandas as pd

WHAT = "the list of pictures"
SHOWINGS = 3
EDGES = ("top", "bottom", "left", "right")
# Columns, and the names of what is made of them.
PLAIN = {"cocoId": "coco_id", "cocoSplit": "coco_split", "loss": "loss"}
FLAGS = {"flagged": "flagged", "BOLD5000": "bold5000", "shared1000": "shared1000"}


def pictures(root: str | Path, *, subject: int | None = None) -> xr.Dataset:
    """List the 73,000 pictures, or the 10,000 of one subject.

    Where ``nsd_expdesign.mat`` is there too, both must agree on the shared pictures and on every trial.

    Parameters
    ----------
    root : path
        The dataset's folder.
    subject : 1 to 8, optional

    Returns
    -------
    Dataset over ``stimulus``, "nsd_00000" and on
        ``coco_id``, ``coco_split`` "train2017" or "val2017"; ``crop`` (stimulus, edge), the share of the picture's
        height or width that was cut off at its "top", "bottom", "left" and "right"; ``loss`` (a score of what the cut
        lost, as published), ``flagged``, ``bold5000``, ``shared1000``. With a subject also ``trial`` (stimulus,
        showing): the trials, from 1, in which it was to be shown; trial 1 of subject 1 is the sample "subj01_t00001"
        of :func:`load`.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or damaged, lacks a column or a picture, or disagrees with nsd_expdesign.mat: how often,
        and where first.
    """
    files = Files(Path(root), 1 if subject is None else subject)
    table = _read(files.pictures)
    planned = {s: table[[f"subject{s}_rep{n}" for n in range(SHOWINGS)]].to_numpy() for s in SUBJECTS}
    if listed_at(files.design):
        _require_design(files, table["shared1000"].to_numpy(), planned)
    found = xr.Dataset(
        {new: ("stimulus", table[old].to_numpy()) for old, new in {**PLAIN, **FLAGS}.items()},
        coords={"stimulus": names(table["nsdId"].to_numpy()), "edge": list(EDGES)},
    )
    found["coco_split"] = found["coco_split"].astype(str)
    found["crop"] = ("stimulus", "edge"), _crops(table["cropBox"], files.pictures)
    found["crop"].attrs["units"] = "share of the side"
    if subject is None:
        return found
    found["trial"] = ("stimulus", "showing"), planned[subject]
    return found.isel(stimulus=np.flatnonzero((planned[subject] > 0).any(axis=1))).assign_attrs(
        subject=files.who
    )


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    path = present(path, what=WHAT, source=SOURCE)
    try:
        table = pd.read_csv(path, index_col=0, low_memory=False)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise ValueError(
            f"{path} ({WHAT}) is no table, or damaged: {str(error).strip()}; get it again from {SOURCE}"
        ) from error
    reps = [f"subject{s}_rep{n}" for s in SUBJECTS for n in range(SHOWINGS)]
    numbers = ["nsdId", "cocoId", *reps]
    missing = [n for n in (*PLAIN, "cropBox", *FLAGS, *numbers) if n not in table.columns]
    if missing:
        raise ValueError(
            f"{path} ({WHAT}) lacks the columns {listed(missing)}; it has {listed(table.columns)}"
        )
    if len(table) != ALL:
        raise ValueError(
            f"{path} ({WHAT}) has {len(table)} pictures, expected {ALL}; get it again from {SOURCE}"
        )
    kinds = dict.fromkeys(numbers, "iu") | dict.fromkeys(FLAGS, "b")
    wrong = [name for name, kind in kinds.items() if table[name].dtype.kind not in kind]
    if wrong:
        raise ValueError(
            f"{path} ({WHAT}) has other values than whole numbers, or than True and False, in {listed(wrong)}; "
            f"get it again from {SOURCE}"
        )
    off = np.flatnonzero(table["nsdId"].to_numpy() != np.arange(ALL))
    if off.size:
        raise ValueError(
            f"{path} ({WHAT}) must list the pictures in order: nsdId is {table['nsdId'].iloc[off[0]]} in row {off[0]}, "
            f"and so are {off.size} of {ALL} others; get it again from {SOURCE}"
        )
    return table


def _crops(texts: pd.Series, path: Path) -> np.ndarray:
    """Shares (picture, edge) out of texts "(top, bottom, left, right)"; few differ, so each is read once."""
    known: dict[str, tuple[float, ...]] = {}
    for row, text in enumerate(texts.tolist()):
        if text in known:
            continue
        try:
            crop = tuple(float(v) for v in ast.literal_eval(text))
            if len(crop) != len(EDGES) or not all(0 <= v < 1 for v in crop):
                raise ValueError("not four shares from 0 to 1")
        except (ValueError, SyntaxError, TypeError) as error:
            raise ValueError(
                f"cropBox in {path} must be (top, bottom, left, right), got {text!r} in row {row}: {error}"
            ) from error
        known[text] = crop
    return np.array([known[text] for text in texts.tolist()])


def _require_design(files: Files, shared: np.ndarray, planned: dict[int, np.ndarray]) -> None:
    """Refuse a list of pictures that is not that of the design."""
    order, own, common = read(files)
    _require_same("shared1000", shared[:, None], np.isin(np.arange(ALL), common - 1)[:, None], files)
    for subject, found in planned.items():
        shown = own[subject - 1, order - 1] - 1
        expected = np.zeros((ALL, SHOWINGS), np.int64)
        repeat = seen_before(shown)
        if repeat.max() >= SHOWINGS:
            raise ValueError(
                f"{files.design} shows a picture to subject {subject} {repeat.max() + 1} times, expected {SHOWINGS}; "
                f"get it again from {SOURCE}"
            )
        expected[shown, repeat] = np.arange(1, len(shown) + 1)
        _require_same(f"subject{subject}_rep", found, expected, files)


def _require_same(column: str, found: np.ndarray, expected: np.ndarray, files: Files) -> None:
    differ = np.argwhere(found != expected)
    if len(differ):
        row, showing = differ[0]
        name = f"{column}{showing}" if column.endswith("rep") else column
        raise ValueError(
            f"{files.pictures.name} and {files.design.name} in {files.design.parent} disagree on {len(differ)} entries "
            f"of {column!r}, first on picture nsd_{row:05d}: {name} is {found[row, showing].item()}, the design has "
            f"{expected[row, showing].item()}; both must be of one release"
        )
