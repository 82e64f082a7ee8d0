"""fMRI of eight picture categories: one subject, one half slice, 12 runs (Haxby et al. 2001).

Source: Haxby, Gobbini, Furey, Ishai, Schouten & Pietrini 2001, Science 293: 2425-2430; licence CC BY-SA 3.0, in the
form that PyMVPA distributes (``bold.nii.gz``, ``mask.nii.gz``, ``attributes.txt`` in one folder). TR 2.5 s; a run shows
every category once, for 9 labelled volumes. Nothing is downloaded.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import brain
from ..labels import SAMPLE, listed

# Numbers in attributes.txt; a file with the names themselves (attributes_literal.txt) is read too.
CATEGORIES = {
    "0": "rest",
    "1": "face",
    "2": "house",
    "3": "shoe",
    "4": "cat",
    "5": "scissors",
    "6": "scrambledpix",
    "7": "bottle",
    "8": "chair",
}
REST = "rest"


def load(
    folder: str | Path,
    *,
    rest: bool = False,
    lag: int = 0,
    degree: int | None = 1,
    attributes: str = "attributes.txt",
) -> xr.DataArray:
    """Load the volumes, labelled with the category on the screen.

    Block means are ``brain.average_repeats(responses, by=("stimulus", "run"))``: a category has one block a run.

    Parameters
    ----------
    folder : path
        With bold.nii.gz, mask.nii.gz and the attributes.
    rest : bool
        Keep the volumes between blocks (stimulus "rest").
    lag : int
        Volumes (2.5 s) by which labels are moved later within their run. The distributed labels need none: whatever
        the category, the response to pictures against rest follows them best at lag 0 (mean r2 over voxels .062,
        against .047 and .043 one volume earlier and later).
    degree : int or None
        Of the polynomial that is removed from every voxel in every run, before it is divided by its SD in that run
        (rest included). Only a run's own volumes enter and no label does, so nothing passes from one run to another.
        None: as recorded.
    attributes : str
        Name of the text file with category and run of each volume.

    Returns
    -------
    (sample, voxel)
        With ``stimulus`` (category), ``run`` (0-11), ``roi`` ("slice") and ``x y z`` in mm.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is truncated or of another kind, or if volumes and attributes differ in number.
    """
    path = Path(folder)
    bold, mask = (_image(path / name) for name in ("bold.nii.gz", "mask.nii.gz"))
    names, run = _attributes(_existing(path / attributes))
    if len(bold.shape) != 4 or bold.shape[3] != names.size:
        raise ValueError(
            f"{path / 'bold.nii.gz'} has shape {bold.shape} but {attributes} has {names.size} lines, one a volume; "
            "both must be of the same recording"
        )
    responses = brain.fmri(
        bold,
        mask=mask,
        roi={"slice": mask},
        sample=[f"run-{r:02d}-{i:04d}" for i, r in enumerate(run)],
        stimulus=_moved(names, run, lag),
        run=run,
        subject="haxby2001",
        units="scanner units",
    )
    if degree is not None:
        responses = responses.copy(data=_detrended(responses.values, run, degree))
        responses.attrs["units"] = "SD of the run"
    return responses if rest else responses.isel({SAMPLE: responses.stimulus.values != REST})


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}; the folder needs bold.nii.gz, mask.nii.gz, attributes"
        )
    return path


def _image(path: Path) -> Any:
    """Return the image once all of it is known to be readable."""
    import nibabel

    try:
        image: Any = nibabel.load(_existing(path))
        np.asarray(image.dataobj)
    except FileNotFoundError:
        raise
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) is truncated or no NIfTI image: {error}; copy it again"
        ) from error
    return image


def _attributes(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Category and run of every volume."""
    try:
        table = np.loadtxt(path, dtype=str, ndmin=2)
        run = table[:, 1].astype(int)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} must have two columns, category and run: {error}") from error
    names = np.array([CATEGORIES.get(v, v) for v in table[:, 0].tolist()])
    unknown = sorted(set(names.tolist()) - set(CATEGORIES.values()))
    if unknown:
        raise ValueError(
            f"{path} has unknown categories {listed(unknown)}; known: {listed(CATEGORIES.values())}"
        )
    return names, run


def _moved(names: np.ndarray, run: np.ndarray, lag: int) -> np.ndarray:
    """Labels moved by ``lag`` volumes within each run, with rest moving in."""
    source = np.arange(names.size) - lag
    inside = (source >= 0) & (source < names.size)
    source = np.where(inside, source, 0)
    return np.where(inside & (run[source] == run), names[source], REST)


def _detrended(values: np.ndarray, run: np.ndarray, degree: int) -> np.ndarray:
    """Each run without its polynomial trend, in units of its SD; voxels without variance become 0."""
    out = np.empty(values.shape)
    for r in np.unique(run):
        rows = np.flatnonzero(run == r)
        trend = np.polynomial.legendre.legvander(np.linspace(-1, 1, rows.size), degree)
        one = values[rows].astype(np.float64)
        one -= trend @ np.linalg.lstsq(trend, one, rcond=None)[0]
        sd = one.std(axis=0)
        out[rows] = one / np.where(sd > 0, sd, 1.0)
    return out
