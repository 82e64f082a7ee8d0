"""NSD, the Natural Scenes Dataset: 7-T fMRI of eight subjects, each of whom saw up to 10,000 pictures three times.

Source: Allen, St-Yves, Wu, Breedlove, Prince et al. 2022, Nature Neuroscience 25: 116-126; naturalscenesdataset.org,
after agreeing to the NSD Data Access Agreement, which forbids passing the data on. Nothing is downloaded. Read are,
below the dataset's folder and under their published names: ``nsddata/experiments/nsd/nsd_expdesign.mat``, the atlases
of ``nsddata/ppdata/subjAA/func1pt8mm/roi``, ``brainmask.nii.gz`` and ``valid_sessionBB.nii.gz`` beside that folder, and
the betas and ``ncsnr.nii.gz`` of ``nsddata_betas/ppdata/subjAA/func1pt8mm/betas_fithrf_GLMdenoise_RR``. What there is
besides, the pictures, the answers, betas on surfaces and the way from the volume to them, is said in the modules beside
this one; :func:`inventory` lists what is there and what is missing.

What the files hold follows the NSD Data Manual and the code that wrote them (cvnlab/nsddatapaper); no original file was
at hand when this was written, so it was tested on files made in their layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import brain
from ...labels import listed, require_choice
from .._files import listed_at
from . import betas as _betas
from . import surfaces as _surfaces
from .checklist import inventory
from .design import Trials, sample_labels, trials
from .layout import LABELS, SESSIONS, SOURCE, SPACE, SUBJECTS, SURFACES, VERSIONS, Files
from .responses_tsv import behaviour
from .rois import LEFT, PAPER, Labels, Regions
from .rois import regions as _regions
from .stim_info import pictures
from .surfaces import surface
from .transforms import to_fsaverage, to_native
from .volumes import Grid, read

__all__ = [
    "LABELS",
    "PAPER",
    "SESSIONS",
    "SOURCE",
    "SUBJECTS",
    "VERSIONS",
    "behaviour",
    "inventory",
    "load",
    "masks",
    "noise_ceiling",
    "pictures",
    "surface",
    "to_fsaverage",
    "to_native",
]


def load(
    root: str | Path,
    *,
    subject: int,
    sessions: int | None = None,
    regions: str | Sequence[str] = "paper",
    valid: str = "all",
    version: str = VERSIONS[0],
) -> xr.DataArray:
    """Load the single-trial responses (betas) of one subject.

    With dask (the extra ``scale``) the responses are lazy, one chunk a session: nothing of the betas is read before it
    is needed. Without dask the voxels that are wanted are read at once.

    Betas are usually z-scored per session, with statistics of training trials alone::

        train = responses.sel(sample=responses.split == "train")
        z = nd.prepare.ZScore(by="session").fit(train).transform(responses)

    Parameters
    ----------
    root : path
        The dataset's folder, with ``nsddata`` and ``nsddata_betas``.
    subject : 1 to 8
    sessions : int, optional
        The first so many; all that are there by default. 982 test and 8,859 training pictures of subjects 1, 2, 5 and
        7, as in much published work, are those of the first 37, which were public before the last three.
    regions : "paper", the name of an atlas, or several names
        "paper": the eleven regions :data:`PAPER`. Atlases go by their files: "Kastner2015", "prf-visualrois",
        "floc-faces", "streams", "nsdgeneral", "HCP_MMP1" ... Voxels of any of them are loaded; one that lies in
        several has the name of the first, see :func:`masks`.
    valid : {"all", "nan"}
        "all": only voxels that are valid in every session. "nan": all, with NaN in sessions in which they are not.
    version : {"betas_fithrf_GLMdenoise_RR", "betas_fithrf", "betas_assumehrf"}

    Returns
    -------
    (sample, voxel), float32, % signal change
        ``sample`` "subj01_t00001" and on in the order of trials; ``stimulus`` "nsd_00000" to "nsd_72999", the row in
        nsd_stimuli.hdf5 from 0; ``session`` "ses-01"; ``repeat``, how often the subject had seen the picture before;
        ``split`` "test" for the 1,000 pictures that all subjects were to see, else "train". ``voxel``, the position in
        the flattened volume; ``roi``; ``hemi`` where the atlases' lh. and rh. files are there; ``x y z`` in mm of the
        file's affine (its origin is the middle of the volume, not an anatomical one); ``ncsnr`` where that file is
        there. attrs: subject, space, affine and shape, so that maps go back to a volume; ``invalid``, how many voxels
        ``valid="all"`` left out.

    Raises
    ------
    FileNotFoundError
        If a file or a session is missing: its name, what it is, where it comes from.
    ValueError
        If a subject, session, region or version does not exist, or a file is damaged or does not fit the others.
    MemoryError
        If the responses do not fit and dask is not there.
    """
    require_choice(valid, ("all", "nan"), what="valid")
    require_choice(version, VERSIONS, what="version")
    files = Files(Path(root), subject, version)
    paths = _betas.sessions(files, sessions)
    found = _regions(files, regions)
    _betas.require_whole(paths, found.grid, files)
    shown = trials(files, len(paths))
    names = [regions] if isinstance(regions, str) else list(regions)
    voxels = _inside(files, found, names)
    invalid = 0
    if valid == "all":
        good = _betas.valid(files, paths, voxels, found.grid)
        voxels, invalid = voxels[good], int((~good).sum())
        if not voxels.size:
            raise ValueError(
                f"none of {invalid} voxels of {listed(names)} is valid in all {len(paths)} sessions of {files.who}; "
                "valid='nan' keeps them"
            )
    values = _betas.responses(paths, voxels, found.grid)
    return _labelled(files, values, voxels, shown, found).assign_attrs(invalid=invalid)


def masks(
    root: str | Path, responses: xr.DataArray, *, subject: int, atlases: str | Sequence[str]
) -> xr.DataArray:
    """Which voxels of ``responses`` lie in which region of the atlases; a voxel may lie in several.

    Parameters
    ----------
    root : path
    responses : what :func:`load` or :func:`surface` returned for this subject
    subject : 1 to 8
    atlases : "paper", the name of an atlas, or several names

    Returns
    -------
    boolean (region, voxel), for ``regions=`` of :func:`neurodecode.spatial.decode`
        Regions without a voxel in ``responses`` are left out. A name that several atlases have becomes
        "atlas:name".

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, the responses are of another subject or grid, or no voxel lies in any.
    """
    files = Files(Path(root), subject)
    if responses.attrs.get("subject") != files.who:
        raise ValueError(
            f"the responses are of {responses.attrs.get('subject')!r}, the atlases of {files.who!r}; give both of one"
        )
    names = [atlases] if isinstance(atlases, str) else list(atlases)
    if responses.attrs.get("space") in SURFACES:
        space, sizes = responses.attrs["space"], tuple(map(int, responses.attrs["vertices"]))
        voxels = responses.vertex.values + sizes[0] * (responses.hemi.values == "right")
        found: dict[str, Labels] = {
            name: _surfaces.labels(files, name, space, (sizes[0], sizes[1])) for name in names
        }
    else:
        grid = Grid(
            tuple(int(n) for n in responses.attrs["shape"]),
            np.reshape(responses.attrs["affine"], (4, 4)),
            Path(f"responses of {files.who}"),
        )
        voxels = responses.coords["voxel"].values
        found = {name: _regions(files, name, grid=grid) for name in names}
    every = [name for one in found.values() for name in one.names.values()]
    rows: dict[str, np.ndarray] = {}
    for atlas, one in found.items():
        labels = one.labels.ravel()[voxels]
        for i, name in one.names.items():
            if (labels == i).any():
                rows[name if every.count(name) == 1 else f"{atlas}:{name}"] = labels == i
    if not rows:
        raise ValueError(
            f"no voxel of the responses lies in a region of {listed(names)}; load them by that atlas"
        )
    coords = {k: v for k, v in responses.coords.items() if v.dims == ("voxel",)}
    kept = ("subject", "space", "affine", "shape", "vertices")
    return xr.DataArray(
        np.stack(list(rows.values())),
        dims=("region", "voxel"),
        coords={"region": list(rows), **coords},
        attrs={name: responses.attrs[name] for name in kept if name in responses.attrs},
    )


def noise_ceiling(ncsnr: xr.DataArray, repeats: Any) -> xr.DataArray:
    """Largest reachable r of every voxel, for pictures whose trials are averaged.

    r = sqrt(s^2 / (s^2 + m)), s the ``ncsnr`` and m the mean of 1 / trials over pictures: (A/3 + B/2 + C) /
    (A + B + C) where A, B and C pictures have 3, 2 and 1 trials (NSD Data Manual; the manual gives 100 r^2, explained
    variance in percent). s was estimated from betas z-scored within sessions (cvnlab/nsddatapaper,
    export_noiseceiling.m), and holds for such. Voxels whose s is 0 or NaN have r = 0.

    Parameters
    ----------
    ncsnr : (voxel)
        ``responses.ncsnr``
    repeats : one number, or (sample) the trials of every picture
        ``trials`` of :func:`neurodecode.brain.average_repeats`, of the samples that are scored.

    Raises
    ------
    ValueError
        If there are no repeats, or fewer than 1 somewhere.
    """
    counts = np.asarray(repeats, dtype=float)
    if not counts.size or not (counts >= 1).all():
        raise ValueError(
            f"repeats must be at least 1 trial for every picture, got {listed(counts.ravel()[~(counts.ravel() >= 1)])}"
        )
    square = np.nan_to_num(np.asarray(ncsnr, dtype=float)) ** 2
    coords = {k: v for k, v in ncsnr.coords.items() if k != ncsnr.name}
    ceiling = np.sqrt(square / (square + (1 / counts).mean()))
    return xr.DataArray(ceiling, dims=ncsnr.dims, coords=coords, name="noise_ceiling", attrs={"units": "r"})


def _inside(files: Files, found: Regions, names: Sequence[str]) -> np.ndarray:
    """Labelled voxels in the flattened volume; where the brain mask is there, those in it."""
    labelled = found.labels > 0
    if listed_at(files.brainmask):
        mask, _ = read(files.brainmask, what=f"brain mask of {files.who}", grid=found.grid)
        labelled &= mask > 0
    voxels = np.flatnonzero(labelled.ravel())
    if not voxels.size:
        raise ValueError(f"{files.who} has no voxel of {listed(names)}; take other regions")
    return voxels


def _labelled(files: Files, values: Any, voxels: np.ndarray, shown: Trials, found: Regions) -> xr.DataArray:
    names = np.array([found.names[i] for i in found.labels.ravel()[voxels].tolist()])
    hemi = None
    if found.hemi is not None:
        hemi = np.where(found.hemi.ravel()[voxels] == LEFT, "left", "right")
    array = brain.fmri(
        values,
        **sample_labels(files, shown),
        roi=names,
        hemi=hemi,
        xyz=found.grid.xyz(voxels),
        subject=files.who,
        units="% signal change",
        space=SPACE,
    ).assign_coords(voxel=voxels)
    if listed_at(files.ncsnr):
        ncsnr, _ = read(files.ncsnr, what=f"noise ceiling of {files.who}", grid=found.grid)
        array = array.assign_coords(ncsnr=("voxel", ncsnr.ravel()[voxels].astype(np.float32)))
    return array.assign_attrs(
        affine=[float(v) for v in found.grid.affine.ravel()], shape=[int(n) for n in found.grid.shape]
    )
