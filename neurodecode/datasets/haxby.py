"""fMRI of eight picture categories: six subjects, or a half slice of one; 12 runs (Haxby et al. 2001).

Source: Haxby, Gobbini, Furey, Ishai, Schouten & Pietrini 2001, Science 293: 2425-2430. TR 2.5 s; a run shows every
category once. Which picture a volume saw is not in the files: the stimulus is the category. Nothing is downloaded.
Two layouts are read:

- One slice of one subject, in the form that PyMVPA distributes (licence CC BY-SA 3.0): ``bold.nii.gz``,
  ``mask.nii.gz``, ``attributes.txt`` in one folder; 9 labelled volumes a block.
- Whole volumes of subjects 1 to 6, as ``nilearn.datasets.fetch_haxby`` leaves them (nilearn 0.14.1, datasets/func.py):
  ``haxby2001/subjN/`` with ``bold.nii.gz``, ``labels.txt`` (header "labels chunks", one line a volume), the ventral
  temporal mask ``mask4_vt.nii.gz``, and within it ``mask8b_face_vt``, ``mask8b_house_vt``, ``mask8_face_vt`` and
  ``mask8_house_vt``, which nilearn calls face, house, face_little and house_little; ``haxby2001/mask.nii.gz`` is one
  brain mask for all. Run 8 of subject 5 has no task labels (same file). No original file of this layout was at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import brain
from ..brain.nifti import volume
from ..labels import SAMPLE, listed, require_choice, require_memory
from ._files import Source, present, read_text
from ._images import open_image, reading
from ._inventory import Item, item

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
SUBJECTS = range(1, 7)
SOURCE = Source(
    "the data of Haxby et al. 2001", "data.pymvpa.org/datasets/haxby2001, or nilearn's fetch_haxby"
)
# Masks of a subject, by the names that nilearn gives them.
REGIONS = {
    "vt": "mask4_vt.nii.gz",
    "face": "mask8b_face_vt.nii.gz",
    "house": "mask8b_house_vt.nii.gz",
    "face_little": "mask8_face_vt.nii.gz",
    "house_little": "mask8_house_vt.nii.gz",
}
BRAIN = "brain"


def load(
    folder: str | Path,
    *,
    subject: int | None = None,
    mask: str = "vt",
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
        With bold.nii.gz, mask.nii.gz and the attributes; with ``subject`` the one that nilearn fills (haxby2001 or the
        one above it).
    subject : 1 to 6, or None for the one slice
    mask : "vt", "face", "house", "face_little", "house_little" or "brain"
        Which voxels of a subject to take; see :func:`masks`.
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
        With ``stimulus`` (category), ``run`` (0-11), ``roi`` ("slice"; of a subject "vt", or "" outside of it) and
        ``x y z`` in mm.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is truncated or of another kind, or if volumes and attributes differ in number.
    """
    if subject is not None:
        return _of_subject(_home(Path(folder), subject), mask, rest=rest, lag=lag, degree=degree)
    path = Path(folder)
    bold, inside = (_image(path / name) for name in ("bold.nii.gz", "mask.nii.gz"))
    names, run = _attributes(_existing(path / attributes))
    _require_labels(bold, names, path / "bold.nii.gz", attributes)
    responses = _labelled(bold, inside, {"slice": inside}, _moved(names, run, lag), run, "haxby2001")
    return _finished(responses, rest=rest, degree=degree)


def from_nilearn(
    bunch: Mapping[str, Any],
    *,
    subject: int,
    mask: str = "vt",
    rest: bool = False,
    lag: int = 0,
    degree: int | None = 1,
) -> xr.DataArray:
    """Load one subject of what ``nilearn.datasets.fetch_haxby`` returned; the files are read from where it put them.

    The subject is found by the folder of its files: nilearn's lists do not say whose entries are, and are shifted
    against each other where subject 6, who has no anatomy, is asked for before another.

    Parameters
    ----------
    bunch : Bunch
    subject : 1 to 6
    mask, rest, lag, degree : as :func:`load`

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load`; ValueError also if the Bunch does not hold the subject.
    """
    return _of_subject(_in_bunch(bunch, subject), mask, rest=rest, lag=lag, degree=degree)


def inventory(folder: str | Path, *, subject: int | None = None, mask: str = "vt") -> list[Item]:
    """List the files that :func:`load` reads, and whether they are there; arguments are the same."""
    if subject is None:
        files = {Path(folder) / name: True for name in ("bold.nii.gz", "mask.nii.gz", "attributes.txt")}
    else:
        require_choice(mask, (*REGIONS, BRAIN), what="mask")
        home = _home(Path(folder), subject)
        files = {home / name: True for name in ("bold.nii.gz", "labels.txt")}
        files |= {home / name: key in ("vt", mask) for key, name in REGIONS.items()}
        files[home.parent / "mask.nii.gz"] = mask == BRAIN
    return [
        item(path, what=path.name, source=SOURCE, needed=needed, read=needed)
        for path, needed in files.items()
    ]


def masks(folder: str | Path | Mapping[str, Any], responses: xr.DataArray, *, subject: int) -> xr.DataArray:
    """Which voxels of ``responses`` lie in which mask of the subject; a voxel may lie in several.

    Parameters
    ----------
    folder : path as for :func:`load`, or the Bunch as for :func:`from_nilearn`
    responses : what these returned for this subject
    subject : 1 to 6

    Returns
    -------
    boolean (region, voxel), for ``regions=`` of :func:`neurodecode.spatial.decode`
        Regions :data:`REGIONS`; those without a voxel in ``responses`` are left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, or the responses are of another subject or grid.
    """
    home = _in_bunch(folder, subject) if isinstance(folder, Mapping) else _home(Path(folder), subject)
    if responses.attrs.get("subject") != home.name:
        raise ValueError(
            f"the responses are of {responses.attrs.get('subject')!r}, the masks of {home.name!r}; give both of one"
        )
    grid = tuple(responses.attrs["shape"]), np.reshape(responses.attrs["affine"], (4, 4))
    voxels = responses.coords["voxel"].values
    found = {}
    for name, file in REGIONS.items():
        inside = volume(_of_source(home / file), grid, who=f"the mask {file}").ravel()[voxels] != 0
        if inside.any():
            found[name] = inside
    if not found:
        raise ValueError(f"no voxel of the responses lies in a mask of {home}; load them with mask='vt'")
    coords = {k: v for k, v in responses.coords.items() if v.dims == ("voxel",)}
    return xr.DataArray(
        np.stack(list(found.values())), dims=("region", "voxel"), coords={"region": list(found), **coords}
    )


def _home(folder: Path, subject: int) -> Path:
    """Folder of a subject below haxby2001 or the folder above it."""
    if subject not in SUBJECTS:
        raise ValueError(f"subject must be 1 to {SUBJECTS[-1]}, got {subject!r}")
    above = folder / "haxby2001"
    return (above if above.is_dir() else folder) / f"subj{subject}"


def _in_bunch(bunch: Mapping[str, Any], subject: int) -> Path:
    homes = [Path(path).parent for path in bunch.get("func", [])]
    for home in homes:
        if home.name == f"subj{subject}":
            return home
    raise ValueError(
        f"the Bunch holds no subject {subject}: its 'func' lies in {listed(h.name for h in homes) or 'no folder'}; "
        f"fetch_haxby(subjects=[{subject}]) fetches one, subjects={subject} the first {subject}"
    )


def _of_subject(home: Path, mask: str, *, rest: bool, lag: int, degree: int | None) -> xr.DataArray:
    require_choice(mask, (*REGIONS, BRAIN), what="mask")
    names, run = _labels(present(home / "labels.txt", what=f"labels of {home.name}", source=SOURCE))
    bold, vt = _of_source(home / "bold.nii.gz"), _of_source(home / REGIONS["vt"])
    path = home.parent / "mask.nii.gz" if mask == BRAIN else home / REGIONS[mask]
    inside = vt if mask == "vt" else _of_source(path)
    _require_labels(bold, names, home / "bold.nii.gz", "labels.txt")
    responses = _labelled(bold, inside, {"vt": vt}, _moved(names, run, lag), run, home.name)
    return _finished(responses, rest=rest, degree=degree).astype(np.float32)


def _of_source(path: Path) -> Any:
    return _image(present(path, what=f"{path.name} of {path.parent.name}", source=SOURCE))


def _labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Category and run of every volume, from the table with the header "labels chunks"."""
    lines = read_text(path, what="labels of every volume", source=SOURCE).split("\n", 1)
    if lines[0].split() != ["labels", "chunks"]:
        raise ValueError(
            f"{path} must begin with the header 'labels chunks', it begins with {lines[0][:80]!r}"
        )
    return _attributes(path, skip=1)


def _require_labels(bold: Any, names: np.ndarray, path: Path, attributes: str) -> None:
    if len(bold.shape) != 4 or bold.shape[3] != names.size:
        raise ValueError(
            f"{path} has shape {bold.shape} but {attributes} has {names.size} lines, one a volume; "
            "both must be of the same recording"
        )


def _labelled(
    bold: Any, mask: Any, roi: dict[str, Any], stimulus: np.ndarray, run: np.ndarray, subject: str
) -> xr.DataArray:
    return brain.fmri(
        bold,
        mask=mask,
        roi=roi,
        sample=[f"run-{r:02d}-{i:04d}" for i, r in enumerate(run)],
        stimulus=stimulus,
        run=run,
        subject=subject,
        units="scanner units",
    )


def _finished(responses: xr.DataArray, *, rest: bool, degree: int | None) -> xr.DataArray:
    run = responses.run.values
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
    image = open_image(_existing(path), what=path.name, source=SOURCE)
    require_memory(8 * int(np.prod(image.shape)), what=str(path), remedy="close what else is open")
    with reading(path, what=path.name, source=SOURCE):
        np.asarray(image.dataobj)
    return image


def _attributes(path: Path, *, skip: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Category and run of every volume."""
    lines = read_text(path, what="labels of every volume", source=SOURCE).splitlines()
    rows = [line.split() for line in lines[skip:] if line.strip()]
    for row in rows:
        if len(row) < 2 or not row[1].isdecimal():
            raise ValueError(
                f"{path} must have two columns, category and number of the run, but has the line {' '.join(row)!r}; "
                f"get it again from {SOURCE}"
            )
    run = np.array([int(row[1]) for row in rows], dtype=int)
    names = np.array([CATEGORIES.get(row[0], row[0]) for row in rows])
    unknown = sorted(set(names.tolist()) - set(CATEGORIES.values()))
    if unknown:
        raise ValueError(
            f"{path} has unknown categories {listed(unknown)}; known: {listed(CATEGORIES.values(), most=40)}"
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
