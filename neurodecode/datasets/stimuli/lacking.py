"""Why labels of brain data and names of pictures may not meet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ...labels import listed

ENDING = re.compile(r"\.(jpe?g|png|bmp|gif|tiff?|webp)$", re.I)


def why_lacking(
    missing: Sequence[object] | np.ndarray, there: Iterable[object], *, what: str = "images"
) -> str:
    """Say the likely cause, and what names there are."""
    names = {str(name) for name in there}
    seen = listed(sorted(names), most=4) or "none"
    for change, remedy in (
        (_without_ending, f"stimuli bear the endings of files, and {what} do not: cut them off"),
        (_without_folder, f"stimuli bear folders, and {what} do not: keep the last part"),
        (str.lower, "they differ in capital letters"),
    ):
        if {change(str(name)) for name in missing} & {change(name) for name in names}:
            return f"{remedy}; {what} are there for {seen}"
    return f"{what} are there for {seen}: of another dataset, of one part of it, or of another folder"


def _without_folder(name: str) -> str:
    return ENDING.sub("", name.replace("\\", "/").rsplit("/", 1)[-1])


def _without_ending(name: str) -> str:
    return ENDING.sub("", name)
