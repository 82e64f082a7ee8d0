"""What the pictures are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...labels import require_choice
from .._pickled import read_dict
from .layout import PARTS, SOURCE, metadata


def pictures(root: str | Path, *, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Names of the pictures of one part, in the order of their numbers, and their concepts without numbers.

    Parameters
    ----------
    root : path
    part : {"train", "test"}

    Raises
    ------
    FileNotFoundError, ValueError
        If image_metadata.npy is missing, damaged, or its lists differ in length.
    """
    require_choice(part, tuple(PARTS), what="part")
    path = metadata(Path(root))
    names = (f"{part}_img_concepts", f"{part}_img_files")
    found = read_dict(path, names, what="the list of pictures", source=SOURCE)
    concepts, files = (np.asarray(found[name]).astype(str) for name in names)
    if concepts.shape != files.shape or concepts.ndim != 1:
        raise ValueError(
            f"{path} names {len(files)} {part} pictures but {len(concepts)} concepts; get it again from {SOURCE}"
        )
    return (
        np.array([file.rsplit(".", 1)[0] for file in files]),
        np.array([concept.split("_", 1)[-1] for concept in concepts]),
    )
