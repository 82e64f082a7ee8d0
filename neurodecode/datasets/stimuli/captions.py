"""Words for pictures, in the form that :func:`neurodecode.vision.text_features` takes: {stimulus: [captions]}."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...labels import SAMPLE, STIMULUS, listed, require_coord, texts
from .._files import Source, present
from ..nsd.layout import SOURCE as NSD
from .lacking import why_lacking

COCO = Source("the annotations of COCO 2017", "cocodataset.org")
PICTURES = 73_000
TABLE = "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
ANNOTATIONS = "nsddata_stimuli/stimuli/nsd/annotations"
SPLITS = ("train2017", "val2017")
SYNSET = re.compile(r"n\d{8}")
HOMONYM = re.compile(r"\d+$")


def nsd_captions(
    root: str | Path, *, only: Any = None, annotations: str | Path | None = None
) -> dict[str, list[str]]:
    """Captions of NSD's pictures, which come from COCO; they describe the pictures before NSD cropped them.

    ``nsddata/experiments/nsd/nsd_stim_info_merged.csv`` gives ``cocoId`` and ``cocoSplit`` ("train2017" or "val2017")
    of every ``nsdId``, 73,000 counted from 0 (NSD Data Manual, Experiments). ``captions_train2017.json`` and
    ``captions_val2017.json`` of COCO hold "annotations", of which each has an ``image_id`` and a ``caption``, about
    five for a picture (after descriptions by readers of these files; neither was at hand).

    Parameters
    ----------
    root : path
        NSD's folder.
    only : labels, such as ``responses.stimulus``
        Just these, each once, in this order; all 73,000 by default.
    annotations : path
        Folder of the two JSON files; ``nsddata_stimuli/stimuli/nsd/annotations`` below ``root`` by default, where
        tknapen/nsd_access looks for them. A file of which no picture is wanted need not be there.

    Returns
    -------
    {"nsd_00000": [captions]}, without line breaks and double spaces

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, damaged, or does not fit the other; if a picture has no caption.
    """
    table = _table(Path(root) / TABLE)
    wanted = _wanted(only, table.index, what="pictures of NSD")
    rows = table.loc[wanted]
    folder = Path(root) / ANNOTATIONS if annotations is None else Path(annotations)
    found: dict[str, list[str]] = {}
    for split in SPLITS:
        own = rows[rows["cocoSplit"] == split]
        if own.empty:
            continue
        path = folder / f"captions_{split}.json"
        written = _coco(path, {int(i) for i in own["cocoId"]})
        without = [name for name, i in own["cocoId"].items() if int(i) not in written]
        if without:
            raise ValueError(
                f"{path} has no caption for {len(without)} of {len(own)} pictures of NSD: {listed(without)}; it must "
                f"be the whole file of {COCO}"
            )
        found |= {name: written[int(i)] for name, i in own["cocoId"].items()}
    return {name: found[name] for name in wanted}


def captions(path: str | Path, *, only: Any = None) -> dict[str, list[str]]:
    """Read captions from a table of your own.

    Parameters
    ----------
    path : .json, .csv or .tsv
        JSON: {stimulus: caption or [captions]}. Tables: columns ``stimulus`` and ``caption``, a line for each caption.
    only : labels, such as ``responses.stimulus``
        Just these, each once, in this order.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or of another form, a caption is empty, or a wanted stimulus has none.
    """
    path = present(path, what="captions", source=Source("your own tables", str(path)))
    try:
        found = _from_json(path) if path.suffix.lower() == ".json" else _from_table(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no table of text in UTF-8, or damaged: {error}") from error
    tidy = {name: [_tidy(text) for text in several] for name, several in found.items()}
    empty = [name for name, several in tidy.items() if not several or not all(several)]
    if empty or not tidy:
        raise ValueError(f"{path} has no caption, or an empty one, for {len(empty)} stimuli: {listed(empty)}")
    return {name: tidy[name] for name in _wanted(only, tidy, what=f"stimuli in {path}")}


def concept_prompts(array: xr.DataArray, *, prompt: str = "a picture of {}") -> dict[str, str]:
    """Make a prompt of every stimulus' concept, {stimulus: "a picture of aircraft carrier"}.

    Underscores become spaces; numbers that tell homonyms apart ("bat1") are left out.

    Parameters
    ----------
    array : with ``concept`` beside ``stimulus`` (responses or images)
    prompt : str
        With {} for the concept.

    Raises
    ------
    ValueError
        If there is no ``concept``, it is empty or a WordNet id, a stimulus has two, or ``prompt`` lacks {}.
    """
    if "{}" not in prompt:
        raise ValueError(f"prompt must hold {{}} where the concept goes, got {prompt!r}")
    dim = SAMPLE if SAMPLE in array.dims else STIMULUS
    names, concepts = (
        require_coord(array, name, who="the array", dim=dim).values.astype(str)
        for name in (STIMULUS, "concept")
    )
    said = pd.DataFrame({"name": names, "concept": concepts}).drop_duplicates()
    twice = said["name"][said["name"].duplicated()].tolist()
    if twice:
        own = said["concept"][said["name"] == twice[0]].tolist()
        raise ValueError(f"{len(twice)} stimuli have two concepts, first {twice[0]!r}: {listed(own)}")
    unnamed = said[[not _words(concept) or bool(SYNSET.fullmatch(concept)) for concept in said["concept"]]]
    if len(unnamed):
        raise ValueError(
            f"{len(unnamed)} of {len(said)} stimuli have no concept in words, first {unnamed['name'].iloc[0]!r} with "
            f"{unnamed['concept'].iloc[0]!r}; give names, e.g. .assign_coords(concept=...)"
        )
    return {
        name: prompt.replace("{}", _words(concept))
        for name, concept in zip(said["name"], said["concept"], strict=True)
    }


def _words(concept: str) -> str:
    return HOMONYM.sub("", concept).replace("_", " ").strip()


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _wanted(only: Any, there: Any, *, what: str) -> list[str]:
    names = [str(name) for name in there]
    if only is None:
        return names
    wanted = pd.unique(texts(only).ravel()).tolist()
    known = set(names)
    missing = [name for name in wanted if name not in known]
    if missing:
        cause = why_lacking(missing, names, what="captions")
        raise ValueError(f"{len(missing)} of {len(wanted)} are no {what}: {listed(missing)}; {cause}")
    return wanted


def _table(path: Path) -> pd.DataFrame:
    """COCO's number and part of every picture of NSD."""
    columns = ["cocoId", "cocoSplit", "nsdId"]
    path = present(path, what="the list of NSD's pictures", source=NSD)
    try:
        table = pd.read_csv(path, usecols=columns)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} has not the columns {listed(columns)}, or is damaged: {error}") from error
    if len(table) != PICTURES or not np.array_equal(table["nsdId"], np.arange(PICTURES)):
        raise ValueError(
            f"{path} must list {PICTURES} pictures, 'nsdId' from 0 on; it has {len(table)} lines; "
            f"get it again from {NSD}"
        )
    other = sorted(set(table["cocoSplit"].astype(str)) - set(SPLITS))
    if other or table["cocoId"].isna().any():
        raise ValueError(
            f"{path} must have a 'cocoId' and one of {listed(SPLITS)} as 'cocoSplit' in every line; "
            f"it also has {listed(other) or 'lines without a cocoId'}"
        )
    return table.set_index(pd.Index([f"nsd_{i:05d}" for i in range(PICTURES)]))


def _coco(path: Path, wanted: set[int]) -> dict[int, list[str]]:
    """Captions of some pictures of one of COCO's files."""
    path = present(path, what="captions", source=COCO)
    found: dict[int, list[str]] = {}
    try:
        for one in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
            if one["image_id"] in wanted and one["caption"].strip():
                found.setdefault(one["image_id"], []).append(_tidy(one["caption"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) is truncated or holds no captions: {error!r}; "
            f"get it again from {COCO}"
        ) from error
    return found


def _from_json(path: Path) -> dict[str, list[str]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(found, Mapping):
        raise ValueError(f"{path} must hold {{stimulus: caption or captions}}, not a {type(found).__name__}")
    several = {name: [v] if isinstance(v, str) else v for name, v in found.items()}
    wrong = [
        k for k, v in several.items() if not isinstance(v, list) or not all(isinstance(t, str) for t in v)
    ]
    if wrong:
        raise ValueError(f"{path} holds something else than texts for {len(wrong)} stimuli: {listed(wrong)}")
    return several


def _from_table(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with path.open(newline="", encoding="utf-8-sig") as stream:
        lines = csv.DictReader(stream, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        missing = [name for name in (STIMULUS, "caption") if name not in (lines.fieldnames or [])]
        if missing:
            raise ValueError(
                f"{path} has no column {listed(missing)}; it has {listed(lines.fieldnames or [])}"
            )
        for line in lines:
            if line["caption"] is None:
                raise ValueError(f"line {lines.line_num} of {path} is cut short")
            found.setdefault(line[STIMULUS], []).append(line["caption"])
    return found
