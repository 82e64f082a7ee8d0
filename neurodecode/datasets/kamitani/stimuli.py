"""What was seen: numbers and texts of the label columns become names of pictures.

``stimulus_id`` is a number <WordNet id>.<image, six digits>: n03626115_19498 is 3626115.019498
(OpenNeuroDatasets/ds001246, README; KamitaniLab/GenericObjectDecoding, code/matlab/convertdata_BrainData.m). It needs
float64, in which it may lie a little off (ds001506 has 3954393.0100379996), so it is rounded to six digits. Pictures
are files of that name with the ending .JPEG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...labels import listed
from .._files import read_text
from .bdata import SOURCE, BData

# Where labels are looked for, the surest first.
ORDER = ("stimulus_name", "stimulus_id", "Label", "image_index")
IDS = ("stimulus_id", "Label", "category_id")
INDEX = "image_index"
# Imagery is labelled by category in ds001246 (category_name, category_id), by the test picture in the older files.
IMAGERY = "imagery"
CATEGORY = ("category_name", "category_id")
NAME = re.compile(r"(n\d{8})(_\d+)?")


def stimuli(
    found: BData, splits: np.ndarray, label: str | None, tables: Mapping[str, Mapping[int, str]]
) -> tuple[np.ndarray, str]:
    """Name of what was seen in every sample, "" where the file says none, and the key that says so.

    Raises
    ------
    ValueError
        If the file has no such column, or numbers that stand for no picture.
    """
    every = CATEGORY + ORDER if set(splits) == {IMAGERY} else ORDER
    for key in (label,) if label else every:
        values = found.column(key)
        texts = found.texts(key)
        # Names are texts; without the table of the texts their numbers say nothing.
        if values is not None and (texts or not key.endswith("_name")):
            return _named(found, key, values, texts, splits, tables), key
    raise ValueError(
        f"{found.path} has no {'label ' + repr(label) if label else 'label among ' + listed(every)} of one column"
        f"{' (and the texts that its numbers stand for)' if label is None or label.endswith('_name') else ''}; "
        f"its keys are {listed(found.keys, most=40)}. Name another by label=..."
    )


def concepts(names: np.ndarray) -> np.ndarray:
    """Return the WordNet id in every name; "" where there is none."""
    matches = [NAME.fullmatch(name) for name in names]
    return np.array([m[1] if m else "" for m in matches])


def table(path: str | Path) -> dict[int, str]:
    """Read a table of pictures: {image_index: name}.

    Tables are those of KamitaniLab/GenericObjectDecoding, data/stimulus_ImageNetTraining.tsv and
    data/stimulus_ImageNetTest.tsv (name, id, category index, image index) or data/category_GODImagery.tsv (name, id,
    index), without a header, indices from 1.

    Parameters
    ----------
    path : path
        Of one such table.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, or a line is no such line, disagrees with itself or numbers a picture twice.
    """
    lines = read_text(path, what="the table of pictures", source=SOURCE).splitlines()
    names: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            name, value, *_, index = line.split("\t")
            said, key = identity(float(value)), int(index)
        except ValueError as error:
            raise ValueError(f"line {number} of {path} is not name, id, ..., index: {line!r}") from error
        if said != name or key in names:
            wrong = f"id {said}" if said != name else f"the index of {names[key]!r}"
            raise ValueError(
                f"line {number} of {path} calls a picture {name!r} but gives it {wrong}; mend that line"
            )
        names[key] = name
    if not names:
        raise ValueError(f"{path} names no picture; give the table that came with the data")
    return names


def identity(number: float) -> str:
    """Name that a number stands for.

    >>> identity(1443537.022563), identity(3954393.0100379996), identity(1443537.0)
    ('n01443537_22563', 'n03954393_10038', 'n01443537')
    """
    if not 1 <= number < 1e8:
        raise ValueError(f"{number} is no WordNet id; expected n and eight digits")
    concept, picture = f"{number:.6f}".split(".")
    return f"n{int(concept):08d}" + (f"_{int(picture)}" if int(picture) else "")


def _named(
    found: BData,
    key: str,
    values: np.ndarray,
    texts: dict[float, str],
    splits: np.ndarray,
    tables: Mapping[str, Mapping[int, str]],
) -> np.ndarray:
    known = ~np.isnan(values)
    if texts:
        names = _from_texts(found, key, values, texts)
    elif key in IDS and not _counts(key, values[known]):
        names = _from_ids(found, key, values, known, splits)
    else:
        names = _from_indices(found, key, values, known, splits, tables)
    imagined = splits == IMAGERY
    # What was imagined is a category, whichever picture of it labels the sample.
    category = concepts(names)
    return np.where(imagined & (category != ""), category, names)


def _counts(key: str, values: np.ndarray) -> bool:
    """Whether a label counts pictures: no synset of a picture has a number so small."""
    return key == "Label" and bool((values == np.floor(values)).all() and (values < 100_000).all())


def _from_texts(found: BData, key: str, values: np.ndarray, texts: dict[float, str]) -> np.ndarray:
    numbers = np.unique(values[~np.isnan(values)])
    missing = [number for number in numbers.tolist() if number not in texts]
    if missing:
        raise ValueError(
            f"{found.path} does not say what {listed(missing)} in {key!r} stand for; give the table that names them"
        )
    return np.array(["" if np.isnan(v) or texts[v] == "n/a" else texts[v] for v in values.tolist()])


def _from_ids(
    found: BData, key: str, values: np.ndarray, known: np.ndarray, splits: np.ndarray
) -> np.ndarray:
    if values.dtype != np.float64:
        raise ValueError(
            f"{key!r} in {found.path} is {values.dtype}, which cannot hold WordNet id and image; it must be float64"
        )
    wrong = known & ~((values >= 1) & (values < 1e8))
    if wrong.any():
        raise ValueError(
            f"{key!r} in {found.path} holds {int(wrong.sum())} numbers that are no <WordNet id>.<image>: "
            f"{listed(np.unique(values[wrong]))}; name another by label=..."
        )
    names = np.array([identity(v) if k else "" for v, k in zip(values.tolist(), known, strict=True)])
    pictures = known & (splits != IMAGERY)
    whole = pictures & (np.round(values, 6) == np.floor(values))
    if key != "category_id" and whole.any():
        raise ValueError(
            f"{key!r} in {found.path} names no image in {int(whole.sum())} of {int(pictures.sum())} samples of "
            f"pictures: {listed(np.unique(values[whole]))}; it was stored in float32 once, or holds something else: "
            "name another by label=..."
        )
    return names


def _from_indices(
    found: BData,
    key: str,
    values: np.ndarray,
    known: np.ndarray,
    splits: np.ndarray,
    tables: Mapping[str, Mapping[int, str]],
) -> np.ndarray:
    wrong = known & (values != np.floor(values))
    if wrong.any():
        raise ValueError(
            f"{key!r} in {found.path} must hold whole numbers, but has {listed(values[wrong])}; name another by "
            "label=..."
        )
    names = []
    for value, there, split in zip(values.tolist(), known, splits, strict=True):
        if not there:
            names.append("")
        elif key == INDEX and split in tables:
            if int(value) not in tables[split]:
                raise ValueError(
                    f"{found.path} holds {split} picture {int(value)}, which the table does not name; it names "
                    f"{len(tables[split])}"
                )
            names.append(tables[split][int(value)])
        else:
            # Training and test are numbered by themselves.
            names.append(f"{split}_{key}_{int(value)}")
    return np.array(names)
