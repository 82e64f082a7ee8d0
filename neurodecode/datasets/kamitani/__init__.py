"""fMRI of the Kamitani lab in its BData files: Generic Object Decoding and Deep Image Reconstruction.

Sources: Horikawa & Kamitani 2017, Nature Communications 8: 15037 (Generic Object Decoding, figshare 7387130, raw data
ds001246); Shen, Horikawa, Majima & Kamitani 2019, PLoS Computational Biology 15: e1006633 (Deep Image Reconstruction,
figshare 7033577, raw data ds001506). Nothing is downloaded. What the files hold, and who says so:

- The format itself: see :mod:`~neurodecode.datasets.kamitani.bdata`.
- Generic Object Decoding: ``Subject1.h5`` to ``Subject5.h5``, all parts in one file; ``DataType`` is 1 in training, 2
  in test and 3 in imagery samples; ``Run``; ``Label``, one column; ``VoxelData`` with ``voxel_x``, ``voxel_y``,
  ``voxel_z``, ``VolInds`` and ``ROI_V1 V2 V3 V4 LOC FFA PPA LVC HVC VC``; a voxel may lie in several
  (KamitaniLab/GenericObjectDecoding, code/matlab/convertdata_BrainData.m). Later files have ``stimulus_id`` (the same
  repository, code/python/analysis_FeaturePrediction.py). 1,200 training pictures once, 50 test pictures 35 times, 50
  imagined categories 10 times (ds001246, README).
- Deep Image Reconstruction: a file for each subject, task and part, such as
  ``sub-01_perceptionNaturalImageTraining_original_VC.h5`` (KamitaniLab/DeepImageReconstruction, data/fmri/README.md)
  or ``sub-01_ImageNetTraining_fmriprep_volume_native.h5`` (KamitaniLab/feature-decoding, data/files.json), without
  ``DataType``. Labels are in ``stimulus_id`` (KamitaniLab/End2EndDeepImageReconstruction), ``image_index``, or
  ``stimulus_name``, whose texts are in ``/vmap`` (KamitaniLab/brain-decoding-cookbook-public). Files made after
  fmriprep call the fourth area ``ROI_hV4`` and have ``Session``, ``Run``, ``Block`` and a ``Label`` of several columns
  (KamitaniLab/bdpy, bdpy/mri/fmriprep.py).
- Region keys hold 1 and NaN (convertdata_BrainData.m), or 1 and 0 (bdpy, bdpy/mri/roi.py).

No published file was at hand. Not known: the exact keys of each; whether responses are one row a stimulus block (so
they are taken here: a file of single volumes gives a sample for every volume), and of which units; whether blocks of
the one-back task are among them; whether run numbers begin anew in each part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ... import brain
from ...labels import listed, require_choice
from .._blocks import rows as in_blocks
from .._inventory import Item, item
from .._repeats import seen_before
from .bdata import SOURCE, WHAT, blocks, opened, rows
from .parts import SPLITS, Part, places, read, require_same_voxels, same_places, voxels_of
from .regions import members
from .stimuli import concepts, table

__all__ = ["SOURCE", "SPLITS", "inventory", "load", "masks", "table"]

SUBJECT = re.compile(r"sub-\d+|Subject\d+")
Paths = str | Path | Sequence[str | Path] | Mapping[str, str | Path | Sequence[str | Path]]


def load(
    paths: Paths,
    *,
    regions: str | Sequence[str] | None = None,
    part: str | None = None,
    label: str | None = None,
    tables: Mapping[str, str | Path] | None = None,
    subject: str | None = None,
) -> xr.DataArray:
    """Load the responses of one subject.

    With dask (the extra ``scale``) they are lazy, some rows a chunk: nothing of them is read before it is needed.
    Without dask they are read at once. A MATLAB file is always read whole.

    Parameters
    ----------
    paths : a file, several files, or {split: file or files}
        Files without ``DataType`` say by their names which part they are ("Training", "Test", "Imagery"), or are
        given as {"train": ..., "test": ...}; any other name of a split will do there.
    regions : one region, or several
        Only their voxels. A region is a key of the metadata ("ROI_V1", or "V1" for short; full names, no beginnings), a
        pattern with ``*``, every match a region, or a sum such as "V1 + V2". All voxels by default.
    part : "train", "test", "imagery" ...
        Only this split.
    label : key of the column that says what was seen
        By default the first of ``stimulus_name``, ``stimulus_id``, ``Label`` if that is one column, ``image_index``; of
        a file of imagery alone ``category_name`` and ``category_id`` go before.
    tables : {split: path}
        Names of the pictures that ``image_index`` numbers, see :func:`table`.
    subject : str
        Taken from the files' names by default.

    Returns
    -------
    (sample, voxel), float32
        ``sample`` "<name of the file>_00001", counted along the file from 1; ``stimulus`` the picture's file name
        without its ending ("n01443537_22563"), for imagery the category ("n01443537"), for an index without a table
        "train_image_index_12"; ``concept`` the WordNet id where names bear one; ``repeat``; ``split``; ``session``
        "ses-train01" and ``run`` "ses-train01_run-03" ("train_run-03" without sessions) where the file has them:
        both may be numbered anew in each part. ``voxel``, the position among the file's voxels; ``roi``, without
        ``ROI_``, the first of ``regions`` in which a voxel lies (by default the first of V1, V2, V3, V4, hV4, LOC, FFA,
        PPA, IT, LVC, HVC, VC and the others), see :func:`masks`; ``x y z`` in mm where known. attrs: subject;
        ``label``, the key; ``unlabelled``, how many samples were left out as nothing was seen (NaN or "n/a").

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If a file is missing, only a placeholder, or a folder.
    ValueError
        If a file is damaged or no BData; files of several subjects, of other voxels or of one name; a split, region
        or label that is not there; numbers that stand for no picture.
    MemoryError
        If the responses do not fit and dask is not there.
    """
    given = _given(paths)
    who = subject or _subject(given)
    names = {split: table(path) for split, path in (tables or {}).items()}
    found = [read(path, split, regions, label, names) for path, split in given]
    for other in found[1:]:
        require_same_voxels(found[0], other)
    kept = [one.taken(one.labelled) for one in found]
    if not any(one.samples.size for one in kept):
        raise ValueError(
            f"none of {sum(one.samples.size for one in found)} samples in {listed(str(p) for p, _ in given)} has a "
            f"label in {listed(sorted({one.key for one in found}))}; name another by label=..."
        )
    if part is not None:
        there = sorted({str(s) for one in kept for s in one.split})
        require_choice(part, there, what="part")
        kept = [one.taken(one.split == part) for one in kept]
    kept = [one for one in kept if one.samples.size]
    array = _labelled(kept, who)
    return array.assign_attrs(
        label=", ".join(sorted({one.key for one in kept})),
        unlabelled=int(sum((~one.labelled).sum() for one in found)),
    )


def masks(
    paths: Paths, responses: xr.DataArray, *, regions: str | Sequence[str] | None = None
) -> xr.DataArray:
    """Which voxels of ``responses`` lie in which region; a voxel may lie in several.

    Parameters
    ----------
    paths : as for :func:`load`
        The first file is read.
    responses : what :func:`load` returned for this subject
    regions : as for :func:`load`
        Every key that begins with ``ROI_`` by default.

    Returns
    -------
    boolean (region, voxel), for ``regions=`` of :func:`neurodecode.spatial.decode`
        Regions without a voxel in ``responses`` are left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or damaged, has other voxels than the responses, or no voxel lies in any region.
    """
    given = _given(paths)
    path, who = given[0][0], responses.attrs.get("subject")
    if who != (_subject(given) or who):
        raise ValueError(
            f"the responses are of {who!r}, {path} is of {_subject(given)!r}; give both of one subject"
        )
    with opened(path) as found:
        columns = voxels_of(found)
        chosen = responses.coords["voxel"].values
        if chosen.max() >= len(columns) or not same_places(responses, places(found, columns)):
            raise ValueError(f"the responses have other voxels than {path}; give a file of their subject")
        every = members(found, regions, columns)
    inside = {name: row[chosen] for name, row in every.items() if row[chosen].any()}
    if not inside:
        raise ValueError(
            f"no voxel of the responses lies in a region of {listed(every) or path}; name regions that were loaded"
        )
    coords = {k: v for k, v in responses.coords.items() if v.dims == ("voxel",)}
    return xr.DataArray(
        np.stack(list(inside.values())),
        dims=("region", "voxel"),
        coords={"region": list(inside), **coords},
    )


def inventory(paths: Paths) -> list[Item]:
    """List every file that :func:`load` would read, and why it cannot where that is so.

    Parameters
    ----------
    paths : as :func:`load` takes them
    """
    items = []
    for path, split in _given(paths, checked=False):
        found = item(path, what=f"{WHAT} of {split}" if split else WHAT, source=SOURCE)
        if found.found:
            try:
                with opened(path):
                    pass
            except (OSError, ValueError) as error:
                found = Item(found.what, path, found.needed, str(error))
        items.append(found)
    return items


def _given(paths: Paths, *, checked: bool = True) -> list[tuple[Path, str | None]]:
    """Files and the splits that were said of them."""
    found: list[tuple[Path, str | None]] = []
    for split, some in paths.items() if isinstance(paths, Mapping) else [(None, paths)]:
        found += [(Path(p), split) for p in ([some] if isinstance(some, str | Path) else some)]
    if not found:
        raise ValueError("no files were given: name one or more")
    stems = [path.stem for path, _ in found]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice and checked:
        both = [str(path) for path, _ in found if path.stem == twice[0]]
        raise ValueError(
            f"files must have names of their own, which become those of samples; got {listed(both)}"
        )
    return found


def _subject(given: list[tuple[Path, str | None]]) -> str | None:
    names = {m[0] for path, _ in given if (m := SUBJECT.search(path.stem))}
    if len(names) > 1:
        raise ValueError(
            f"the files are of {len(names)} subjects: {listed(sorted(names))}; load each by itself"
        )
    return next(iter(names), None)


def _labelled(parts: list[Part], who: str | None) -> xr.DataArray:
    first = parts[0]
    calls = [
        (part.path, samples, part.columns)
        for part in parts
        for samples in blocks(part.path, part.samples, part.columns)
    ]
    total = sum(len(call[1]) for call in calls)
    values = in_blocks(
        rows,
        calls,
        [len(call[1]) for call in calls],
        (len(first.columns),),
        what=f"{total} samples of {len(first.columns)} voxels",
        remedy="take one part or fewer regions",
    )
    stimulus, split = (np.concatenate([getattr(p, k) for p in parts]) for k in ("stimulus", "split"))
    array = brain.fmri(
        values,
        sample=np.concatenate([[f"{p.path.stem}_{i + 1:05d}" for i in p.samples] for p in parts]),
        stimulus=stimulus,
        roi=first.roi,
        xyz=first.xyz,
        subject=who,
        repeat=seen_before(np.char.add(np.char.add(split, "/"), stimulus)),
        split=split,
        session=_joined([p.session for p in parts]),
        run=_joined([p.run for p in parts]),
    ).assign_coords(voxel=first.voxels)
    found = concepts(stimulus)
    return array.assign_coords(concept=("sample", found)) if (found != "").any() else array


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    """Labels of all parts, where each has them."""
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if len(there) == len(parts) else None
