"""Pictures that were shown, and words for them: from folders, HDF5 stacks and tables to labelled arrays.

Pictures are read a few at a time when they are needed. What the sources hold, and who says so:

- NSD: ``nsd_stimuli.hdf5`` (below ``nsddata_stimuli/stimuli/nsd``) holds ``imgBrick``, uint8, 73,000 pictures of 425 x
  425 pixels, in Python (picture, row, column, colour); row i is picture i of the experiment, counted from 0
  (tknapen/nsd_access). Shown on grey (127, 127, 127) (NSD Data Manual).
- THINGS: ``object_images/<concept>/<concept>_01b.jpg``, homonyms numbered ("bat1"); of THINGS-EEG2
  ``training_images/00001_aardvark/aardvark_01b.jpg`` and ``test_images/00001_aircraft_carrier/...``
  (osf.io/jum2f, osf.io/y63gw).
- Generic Object Decoding: ImageNet's files, ``n01443537_22563.JPEG``, on request from the authors
  (KamitaniLab/GenericObjectDecoding, README.md).
- Captions: see :func:`nsd_captions`.

No original file was at hand; the axes of ``imgBrick`` are those that public code relies on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...labels import SAMPLE, STIMULUS, listed, require_coord, require_unique, texts
from .._blocks import rows
from .captions import captions, concept_prompts, nsd_captions
from .folder import Folder
from .lacking import why_lacking
from .stack import Stack

__all__ = ["captions", "concept_prompts", "images", "nsd_captions", "require_images"]

# Pictures that are read together: few, so that a batch of an encoder reads little more than itself.
TOGETHER = 16
BLOCK = 2**26


def images(
    source: str | Path,
    *,
    only: Any = None,
    size: int | tuple[int, int] | None = None,
    upright: bool = True,
    dataset: str = "imgBrick",
    stimulus: Sequence[str] | None = None,
) -> xr.DataArray:
    """Open pictures of a folder or of an HDF5 stack.

    With dask (the extra ``scale``) the result is lazy, 16 pictures a chunk, fewer of large ones: an encoder reads a
    batch at a time (:func:`neurodecode.vision.extract_features`). Without dask all are read at once. Of every file in a
    folder that is wanted the first bytes are read now, so that whatever is no picture is named before work starts.

    Parameters
    ----------
    source : a folder, with folders in it to any depth, or an HDF5 file
    only : labels, such as ``responses.stimulus``
        Just these, each once, in this order; all, in the order of their paths or rows, by default.
    size : rows and columns, one number for a square
        The largest part around the middle that has these proportions, resized bilinearly with anti-aliasing. By default
        pictures stay as they are, and must have one size.
    upright : bool
        Turn pictures as their EXIF data say. Programs that show pictures in experiments often do not: False.
    dataset : str
        Of the HDF5 file: (picture, row, column, 3) uint8.
    stimulus : labels of the stack's rows
        Needed for all but "imgBrick", whose rows are "nsd_00000" and on.

    Returns
    -------
    (stimulus, row, column, colour), float32, 0-1
        ``stimulus`` the file's name without its ending; ``concept`` where pictures lie in a folder by whose name theirs
        begins: that name without a number before it ("00001_aardvark/aardvark_01b.jpg" is "aardvark"), "" for others.
        Grey pictures, palettes and CMYK become RGB; what is transparent shows grey (127, 127, 127) behind it.

    Raises
    ------
    FileNotFoundError
        If the source is not there, or a file is only a placeholder.
    ValueError
        If a file is no picture, two files have one name, wanted pictures are not there, sizes differ, or a stack has
        another shape. While reading: if a file is truncated.
    MemoryError
        If the pictures do not fit and dask is not there.
    """
    shape = (size, size) if isinstance(size, int) else size
    if shape is not None and (len(shape) != 2 or min(shape) < 1):
        raise ValueError(f"size must be rows and columns, 1 or more, got {size!r}")
    wanted = None if only is None else pd.unique(texts(only).ravel())
    path = Path(source)
    found: Folder | Stack
    if path.is_dir():
        found = Folder.of(path, wanted, shape, upright=upright)
    else:
        found = Stack.of(path, wanted, shape, dataset=dataset, labels=stimulus)
    return _labelled(found)


def require_images(responses: xr.DataArray, images: xr.DataArray) -> None:
    """Refuse responses to stimuli of which there is no picture.

    Parameters
    ----------
    responses : (sample, ...)
    images : (stimulus, ...)

    Raises
    ------
    ValueError
        Saying how many stimuli lack one, of how many, which, and the likely cause.
    """
    require_unique(images, STIMULUS, who="images")
    dim = SAMPLE if SAMPLE in responses.dims else STIMULUS
    seen = pd.unique(require_coord(responses, STIMULUS, who="responses", dim=dim).values)
    there = images.coords[STIMULUS].values
    missing = seen[~np.isin(seen, there)]
    if missing.size:
        raise ValueError(
            f"{missing.size} of the {seen.size} stimuli in responses have no image: {listed(missing)}; "
            f"{why_lacking(missing, there)}"
        )


def _labelled(found: Folder | Stack) -> xr.DataArray:
    each = max(1, min(TOGETHER, BLOCK // (4 * int(np.prod(found.shape)))))
    count = len(found.stimulus)
    starts = range(0, count, each)
    values = rows(
        found.read,
        [(found.members(first, first + each),) for first in starts],
        [min(each, count - first) for first in starts],
        found.shape,
        what=f"{count} pictures of {found.shape[0]} x {found.shape[1]} pixels",
        remedy="give only=... or a smaller size=...",
    )
    array = xr.DataArray(
        values,
        dims=(STIMULUS, "row", "column", "colour"),
        coords={STIMULUS: np.asarray(found.stimulus, dtype=str), "colour": ["red", "green", "blue"]},
        attrs={"units": "0-1"},
    )
    array.name = None
    if any(found.concept):
        array = array.assign_coords(concept=(STIMULUS, np.asarray(found.concept, dtype=str)))
    return array
