"""Real fMRI without a task: resting state of one person on fsaverage5, out of brainspace's wheel.

Subject sub-010188 of the MPI-Leipzig mind-brain-body data (Babayan et al. 2019, Scientific Data 6: 180308; Mendes et
al. 2019, Scientific Data 6: 180307), 652 volumes, TR 1.4 s, as brainspace (Vos de Wael et al. 2020, Communications
Biology 3: 103) brings them for its tutorial on preprocessing: around 0, slow, with the confounds still in. Noise to
plant known effects in. Its files alone are read; brainspace itself, and vtk with it, is not imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import xarray as xr

from .. import brain
from ._files import Source, present

TR = 1.4
STEM = "sub-010188_ses-02_task-rest_acq-AP_run-01"
SOURCE = Source("the wheel of brainspace", "github.com/MICA-MNI/BrainSpace")
VERTICES = 10_242
HEMISPHERES = {"left": "lh", "right": "rh"}


def load(*, confounds: bool = False) -> xr.DataArray:
    """Load the volumes with the approximate visual regions of the lab's template.

    Parameters
    ----------
    confounds : bool
        Leave the recording's confounds (motion, its derivatives and others) in. By default they are regressed out.

    Returns
    -------
    (sample, voxel)
        652 volumes; vertices that vary (18,715 of 20,484: no medial wall), with ``hemi``, ``vertex``, ``x y z`` (mm,
        midway between white and pial surface) and ``roi`` ("" outside the eleven); coordinate ``onset`` (s) on sample;
        attrs units "a.u.", space "fsaverage5", subject, origin "recorded", regions "approximate".

    Raises
    ------
    ImportError
        If brainspace is not installed.
    FileNotFoundError, ValueError
        If its files are missing, or are others than these.
    """
    import nibabel

    from .lab import cortex

    folder = _folder()
    sides = []
    for name, short in HEMISPHERES.items():
        path = present(folder / f"{STEM}.fsa5.{short}.mgz", what=f"the {name} hemisphere", source=SOURCE)
        image = nibabel.MGHImage.from_filename(path)
        sides.append(np.asarray(image.dataobj, dtype=np.float32).reshape(VERTICES, -1))
    values = np.concatenate(sides).T
    if not confounds:
        path = present(folder / f"{STEM}_confounds.txt", what="the confounds", source=SOURCE)
        values = _without(values, np.loadtxt(path))
    template = cortex.approximate_regions()
    varies = np.ptp(values, axis=0) > 0
    where, n = template.take(varies), len(values)
    data = brain.fmri(
        values[:, varies],
        sample=[f"volume {i}" for i in range(n)],
        stimulus=["rest"] * n,
        roi=where.roi,
        hemi=where.hemi,
        vertex=where.vertex,
        xyz=where.xyz,
        subject="sub-010188",
        units="a.u.",
        space="fsaverage5",
    )
    data = data.assign_coords(onset=("sample", TR * np.arange(n), {"units": "s"}))
    return data.assign_attrs(origin="recorded", regions="approximate")


def _without(values: np.ndarray, confounds: np.ndarray) -> np.ndarray:
    """Residuals of columns after least squares on confounds and a constant."""
    if len(confounds) != len(values):
        raise ValueError(
            f"{len(confounds)} rows of confounds, but {len(values)} volumes: files of two recordings"
        )
    design = np.column_stack([np.ones(len(values)), np.nan_to_num(confounds)])
    basis = np.linalg.svd(design, full_matrices=False)[0][:, : np.linalg.matrix_rank(design)]
    still = np.ptp(values, axis=0) == 0
    left = values - (basis @ (basis.T @ values.astype(np.float64)))
    return np.where(still, 0, left).astype(np.float32)


def _folder() -> Path:
    found = find_spec("brainspace")
    if found is None or found.origin is None:
        raise ImportError(
            "datasets.resting needs the files of brainspace; install it with: pip install 'neurodecode-toolkit[rest]'"
        )
    return Path(found.origin).parent / "datasets" / "preprocessing"
