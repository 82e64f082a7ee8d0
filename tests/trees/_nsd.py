"""NSD: betas, design, atlases, pictures, answers, surfaces, and the way from the volume to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# No two axes alike, as in the data.
NSD_GRID = (6, 5, 4)
# Numbers of the paper's regions that a signal may be planted in, in Kastner2015 and prf-visualrois alike.
NSD_NUMBERS = {"V1": (1, 2), "V2": (3, 4), "V3": (5, 6), "hV4": (7,), "LO": (14, 15), "MT": (13,)}
NSD_COLUMNS = [
    *(
        "SUBJECT",
        "SESSION",
        "RUN",
        "TRIAL",
        "73KID",
        "10KID",
        "TIME",
        "ISOLD",
        "ISCORRECT",
        "RT",
        "CHANGEMIND",
    ),
    *(
        "MEMORYRECENT",
        "MEMORYFIRST",
        "ISOLDCURRENT",
        "ISCORRECTCURRENT",
        "TOTAL1",
        "TOTAL2",
        "BUTTON",
        "MISSINGDATA",
    ),
]
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
    planted: np.ndarray  # (X, Y, Z), where the signal is


@dataclass(frozen=True)
class NSDSurfaces:
    """What lies on the surfaces, left vertices first; places and index by side, numbers from 1 as in the files."""

    native: np.ndarray  # (trial, vertex), int16
    fsaverage: np.ndarray  # (trial, vertex), float32
    labels: dict[str, np.ndarray]  # of the native surface
    common: dict[str, np.ndarray]  # of fsaverage
    ncsnr: dict[str, np.ndarray]  # by space
    index: dict[str, np.ndarray]
    places: dict[tuple[str, str], np.ndarray]


def nsd(
    root: Path,
    *,
    subject: int = 1,
    sessions: int = 2,
    ending: str = "hdf5",
    invalid: tuple[tuple[int, tuple[int, int, int]], ...] = (),
    valid: bool = True,
    signal: np.ndarray | Callable[[int], np.ndarray] | None = None,
    region: str = "V1",
    strength: float = 2.0,
) -> NSD:
    """One subject; the left half of the volume is the left hemisphere, the plane y = 0 no cortex.

    ``invalid``: (session, voxel) whose betas are all 0. ``signal``: features of the subject's 10,000 pictures in the
    order of ``subjectim`` (10,000, feature), or a function of a picture's number from 0 (its row in nsd_stimuli.hdf5)
    that returns them. Random weights mix them into the betas of ``region`` (one of ``NSD_NUMBERS``, by the paper's
    rule) and nowhere else; there the signal has ``strength`` times the SD of the noise, which is halved.
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
    planted = np.zeros(NSD_GRID, bool)
    if signal is not None:
        prf, kastner = atlases["prf-visualrois"], atlases["Kastner2015"]
        planted = np.isin(np.where(prf > 0, prf, kastner), NSD_NUMBERS[region]) & (mask > 0)
        shown = _nsd_shown(signal, order[: len(stored)], pictures[subject - 1])
        stored[:, planted] = _nsd_mixed(shown, stored[:, planted], strength)
    for session, voxel in invalid:
        stored[(session - 1) * 750 : session * 750, *voxel] = 0
    for s in range(sessions):
        part = stored[s * 750 : (s + 1) * 750]
        nsd_session(betas / f"betas_session{s + 1:02d}.{ending}", part)
        if valid:
            nsd_volume(folder / f"valid_session{s + 1:02d}.nii.gz", part.any(axis=0).astype(np.uint8))
    ncsnr = rng.uniform(0, 0.6, NSD_GRID).astype(np.float32)
    nsd_volume(betas / "ncsnr.nii.gz", ncsnr)
    return NSD(stored, order, pictures, atlases, ncsnr, folder, betas, planted)


def _nsd_shown(
    signal: np.ndarray | Callable[[int], np.ndarray], own: np.ndarray, pictures: np.ndarray
) -> np.ndarray:
    """Features (trial, feature) of the pictures that were shown, by their numbers from 1 among the subject's."""
    if not callable(signal):
        return np.asarray(signal, float)[own - 1]
    found = {k: np.asarray(signal(int(pictures[k - 1]) - 1), float) for k in np.unique(own).tolist()}
    return np.stack([found[k] for k in own.tolist()])


def _nsd_mixed(features: np.ndarray, noise: np.ndarray, strength: float) -> np.ndarray:
    weights = np.random.default_rng(99).normal(size=(features.shape[1], noise.shape[1]))
    mixed = features @ weights
    mixed = (mixed - mixed.mean(axis=0)) / mixed.std(axis=0)
    noise = noise / 2
    return np.clip(np.rint(strength * noise.std() * mixed + noise), -32768, 32767).astype(np.int16)


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


def nsd_pictures(root: Path) -> dict[str, np.ndarray]:
    """The list of all 73,000 pictures beside the design, which is written too; returns its columns."""
    import pandas as pd

    order, pictures = nsd_design(root)
    rng = np.random.default_rng(3)
    n = 73_000
    cut = np.round(rng.uniform(0, 0.3, (100, 2)), 4)
    boxes = [f"({a}, {b}, 0, 0)" if i % 2 else f"(0, 0, {a}, {b})" for i, (a, b) in enumerate(cut.tolist())]
    crop = rng.integers(0, len(boxes), n)
    columns = {
        "cocoId": rng.permutation(580_000)[:n],
        "cocoSplit": np.where(rng.random(n) < 0.95, "train2017", "val2017"),
        "cropBox": np.array(boxes)[crop],
        "loss": rng.uniform(0, 1, n),
        "nsdId": np.arange(n),
        "flagged": rng.random(n) < 0.01,
        "BOLD5000": rng.random(n) < 0.1,
        "shared1000": np.isin(np.arange(1, n + 1), pictures[0, :1000]),
    }
    columns |= {f"subject{s}": np.isin(np.arange(1, n + 1), pictures[s - 1]).astype(int) for s in range(1, 9)}
    for s in range(1, 9):
        reps = np.zeros((n, 3), int)
        seen = np.zeros(n, int)
        for trial, k in enumerate(order.tolist(), 1):
            picture = pictures[s - 1, k - 1] - 1
            reps[picture, seen[picture]] = trial
            seen[picture] += 1
        columns |= {f"subject{s}_rep{i}": reps[:, i] for i in range(3)}
    pd.DataFrame(columns).to_csv(root / "nsddata/experiments/nsd/nsd_stim_info_merged.csv")
    return columns


def nsd_behaviour(root: Path, *, subject: int = 1, sessions: int = 2) -> dict[str, np.ndarray]:
    """Answers of one subject beside the design, which is written too; returns the columns."""
    import pandas as pd

    order, pictures = nsd_design(root)
    rng = np.random.default_rng(subject)
    n = sessions * 750
    own = order[:n]
    runs = np.repeat(np.arange(1, 13), [63, 62] * 6)
    within = np.concatenate([np.arange(1, c + 1) for c in [63, 62] * 6])
    columns = {name: rng.integers(0, 2, n) for name in NSD_COLUMNS}
    columns |= {
        "SUBJECT": np.full(n, subject),
        "SESSION": np.repeat(np.arange(1, sessions + 1), 750),
        "RUN": np.tile(runs, sessions),
        "TRIAL": np.tile(within, sessions),
        "73KID": pictures[subject - 1, own - 1],
        "10KID": own,
        "TIME": np.sort(rng.uniform(0, 30, n)),
        "RT": rng.uniform(200, 3000, n),
    }
    silent = rng.random(n) < 0.1
    for name in ("ISCORRECT", "RT", "CHANGEMIND", "ISCORRECTCURRENT", "BUTTON"):
        columns[name] = np.where(silent, np.nan, columns[name])
    for name in ("MEMORYRECENT", "MEMORYFIRST"):
        columns[name] = np.where(columns["ISOLD"] == 0, np.nan, rng.integers(1, 900, n))
    path = root / f"nsddata/ppdata/subj{subject:02d}/behav/responses.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns)[NSD_COLUMNS].to_csv(path, sep="\t", index=False, na_rep="NaN")
    return columns


def nsd_transforms(
    root: Path, *, subject: int = 1, native: tuple[int, int] = (50, 45), fsaverage: int = 60
) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], np.ndarray]]:
    """Where vertices of the native surface lie in the volume, and which of them fsaverage takes; numbers from 1.

    Places are within the slab, but for the first vertex (9999 at every depth), the second (9999 at layerB1 alone)
    and the third (outside the volume). Returns the index of fsaverage by side, and places (vertex, 3) by side and
    depth.
    """
    rng = np.random.default_rng(10 + subject)
    folder = root / f"nsddata/ppdata/subj{subject:02d}/transforms"
    index, places = {}, {}
    for side, size in zip(("lh", "rh"), native, strict=True):
        index[side] = rng.integers(1, size + 1, fsaverage)
        nsd_overlay(folder / f"{side}.white-to-fsaverage.mgz", index[side])
        for depth in ("layerB1", "layerB2", "layerB3"):
            found = rng.uniform(1, NSD_GRID, (size, 3)).astype(np.float32)
            found[0] = 9999
            found[2] = (2, 2, 77)
            if depth == "layerB1":
                found[1] = 9999
            places[side, depth] = found
            nsd_overlay(folder / f"{side}.func1pt8-to-{depth}.mgz", found)
    return index, places


def nsd_surfaces(
    root: Path,
    *,
    subject: int = 1,
    sessions: int = 2,
    native: tuple[int, int] = (50, 45),
    fsaverage: int = 60,
    invalid: tuple[tuple[int, int], ...] = (),
) -> NSDSurfaces:
    """Betas and atlases of one subject on both surfaces, with transforms and design.

    ``native`` and ``fsaverage`` are numbers of vertices, of the hemispheres and of each one. ``invalid``: (session,
    vertex) without data, a vertex of the left hemisphere on both surfaces.
    """
    rng = np.random.default_rng(20 + subject)
    nsd_design(root)
    who = f"subj{subject:02d}"
    index, places = nsd_transforms(root, subject=subject, native=native, fsaverage=fsaverage)
    stored = rng.integers(-3000, 3000, (sessions * 750, sum(native))).astype(np.int16)
    floats = rng.normal(0, 3, (sessions * 750, 2 * fsaverage)).astype(np.float32)
    for session, vertex in invalid:
        rows = slice((session - 1) * 750, session * 750)
        stored[rows, vertex] = 0
        floats[rows, vertex] = np.nan
    labels, common = {}, {}
    for name, most in (("Kastner2015", 25), ("prf-visualrois", 7), ("streams", 7)):
        labels[name] = rng.integers(0, most + 1, sum(native))
        _nsd_labels(root / f"nsddata/freesurfer/{who}/label", name, labels[name], native[0])
        if name == "streams":
            continue
        # A file of drawn regions on fsaverage is another subject's.
        common[name] = rng.integers(0, most + 1, 2 * fsaverage)
        _nsd_labels(root / "nsddata/freesurfer/fsaverage/label", name, common[name], fsaverage)
    ncsnr = {}
    for space, values, left in (("nativesurface", stored, native[0]), ("fsaverage", floats, fsaverage)):
        folder = root / f"nsddata_betas/ppdata/{who}/{space}/betas_fithrf_GLMdenoise_RR"
        folder.mkdir(parents=True)
        ncsnr[space] = rng.uniform(0, 0.6, values.shape[1]).astype(np.float32)
        for side, part in (("lh", slice(0, left)), ("rh", slice(left, None))):
            nsd_overlay(folder / f"{side}.ncsnr.mgh", ncsnr[space][part])
            for s in range(sessions):
                nsd_surface_session(folder, side, s + 1, values[s * 750 : (s + 1) * 750, part])
    return NSDSurfaces(stored, floats, labels, common, ncsnr, index, places)


def nsd_surface_session(folder: Path, side: str, session: int, values: np.ndarray) -> None:
    """One session (750, vertex): integers as on the native surface, floats as on fsaverage."""
    import h5py

    name = f"{side}.betas_session{session:02d}"
    if values.dtype.kind == "f":
        nsd_overlay(folder / f"{name}.mgh", values.T)
        return
    with h5py.File(folder / f"{name}.hdf5", "w") as file:
        file.create_dataset("betas", data=values, chunks=(750, 1))


def nsd_overlay(path: Path, values: np.ndarray) -> None:
    """Numbers (vertex) or (vertex, frame) as FreeSurfer keeps them: (vertex, 1, 1, frame), float32."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    frames = values.reshape(len(values), 1, 1, *values.shape[1:]).astype(np.float32)
    nibabel.save(nibabel.MGHImage(frames, np.eye(4)), path)


def _nsd_labels(folder: Path, name: str, values: np.ndarray, left: int) -> None:
    nsd_overlay(folder / f"lh.{name}.mgz", values[:left])
    nsd_overlay(folder / f"rh.{name}.mgz", values[left:])
