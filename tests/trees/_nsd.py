"""NSD: betas, design, atlases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# No two axes alike, as in the data.
NSD_GRID = (6, 5, 4)
NSD_AFFINE = np.array([[1.8, 0, 0, -4.5], [0, 1.8, 0, -3.6], [0, 0, 1.8, -2.7], [0, 0, 0, 1]])


@dataclass(frozen=True)
class NSD:
    """What lies in the files: axes (X, Y, Z), and numbers from 1 in the design."""

    stored: np.ndarray  # (trial, X, Y, Z), int16
    order: np.ndarray  # (30,000)
    pictures: np.ndarray  # (8, 10,000)
    atlases: dict[str, np.ndarray]
    ncsnr: np.ndarray
    folder: Path
    betas: Path


def nsd(
    root: Path,
    *,
    subject: int = 1,
    sessions: int = 2,
    ending: str = "hdf5",
    invalid: tuple[tuple[int, tuple[int, int, int]], ...] = (),
    valid: bool = True,
) -> NSD:
    """One subject; the left half of the volume is the left hemisphere, the plane y = 0 no cortex.

    ``invalid``: (session, voxel) whose betas are all 0.
    """
    rng = np.random.default_rng(subject)
    order, pictures = nsd_design(root)
    who = f"subj{subject:02d}"
    folder = root / f"nsddata/ppdata/{who}/func1pt8mm"
    betas = root / f"nsddata_betas/ppdata/{who}/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    betas.mkdir(parents=True)
    atlases = _nsd_atlases(folder / "roi", rng)
    stored = rng.integers(-3000, 3000, size=(sessions * 750, *NSD_GRID)).astype(np.int16)
    outside = (0, slice(None), 3)
    stored[:, *outside] = 0
    mask = np.ones(NSD_GRID, np.uint8)
    mask[outside] = 0
    nsd_volume(folder / "brainmask.nii.gz", mask)
    for session, voxel in invalid:
        stored[(session - 1) * 750 : session * 750, *voxel] = 0
    for s in range(sessions):
        part = stored[s * 750 : (s + 1) * 750]
        nsd_session(betas / f"betas_session{s + 1:02d}.{ending}", part)
        if valid:
            nsd_volume(folder / f"valid_session{s + 1:02d}.nii.gz", part.any(axis=0).astype(np.uint8))
    ncsnr = rng.uniform(0, 0.6, NSD_GRID).astype(np.float32)
    nsd_volume(betas / "ncsnr.nii.gz", ncsnr)
    return NSD(stored, order, pictures, atlases, ncsnr, folder, betas)


def nsd_design(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Three showings of 10,000 pictures; a subject's first 1,000 are the shared ones, sorted. Integers are small."""
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    # Showings of a picture lie nearer to each other than chance has it, so some pictures begin only late.
    when = rng.uniform(size=(10_000, 1)) + rng.exponential(0.05, size=(10_000, 3))
    order = (np.argsort(when.ravel(), kind="stable") // 3 + 1).astype(np.uint16)
    every = rng.permutation(np.arange(1, 73_001))
    shared = np.sort(every[:1000])
    own = every[1000:].reshape(8, 9000)
    pictures = np.hstack([np.tile(shared, (8, 1)), own]).astype(np.int32)
    path = root / "nsddata/experiments/nsd/nsd_expdesign.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "masterordering": order[None],
        "subjectim": pictures,
        "sharedix": shared[None].astype(np.int32),
    }
    savemat(path, content)
    return order.astype(int), pictures.astype(int)


def nsd_session(path: Path, stored: np.ndarray) -> None:
    """One session (750, X, Y, Z), with the axes that MATLAB leaves in HDF5, or as NIfTI has them."""
    import h5py

    if path.suffix != ".hdf5":
        nsd_volume(path, np.moveaxis(stored, 0, -1))
        return
    with h5py.File(path, "w") as file:
        file.create_dataset("betas", data=stored.transpose(0, 3, 2, 1), chunks=(750, 1, 1, 1))


def nsd_volume(path: Path, values: np.ndarray, affine: np.ndarray = NSD_AFFINE) -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def _nsd_atlases(folder: Path, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """-1 no cortex, 0 no label; lh. and rh. are -1 outside their hemisphere."""
    left = np.zeros(NSD_GRID, bool)
    left[:3] = True
    cortex = np.ones(NSD_GRID, bool)
    cortex[:, 0] = False
    atlases = {}
    for name, labels in (
        ("Kastner2015", 25),
        ("prf-visualrois", 7),
        ("streams", 7),
        ("floc-faces", 5),
        ("floc-places", 3),
        ("nsdgeneral", 1),
    ):
        values = rng.integers(0, labels + 1, NSD_GRID)
        if name.startswith("prf"):
            values *= rng.integers(0, 2, NSD_GRID)
        values[~cortex] = -1
        atlases[name] = values
        for side, inside in (("", cortex), ("lh.", left), ("rh.", ~left)):
            nsd_volume(folder / f"{side}{name}.nii.gz", np.where(inside, values, -1).astype(np.int16))
    return atlases
