"""BData of the Kamitani lab: Generic Object Decoding (one file a subject), Deep Image Reconstruction (one a part)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Voxels of each region, of 20; some lie in several, the last two in none.
BDATA_REGIONS = {
    "V1": range(0, 4),
    "V2": range(4, 7),
    "V3": range(7, 9),
    "V4": range(9, 11),
    "LOC": range(11, 14),
    "FFA": range(13, 15),
    "PPA": range(15, 17),
    "LVC": range(0, 9),
    "HVC": range(11, 18),
    "VC": range(0, 18),
}
BDATA_VOXELS = 20
# Numbers of images with few and many digits, with zeros before and behind.
NUMBERS = (22563, 109, 24850, 7, 10038)


@dataclass(frozen=True)
class Kamitani:
    """What lies in the files, all parts one after another.

    ``values`` (sample, voxel); ``names`` of the pictures that were seen, or imagined; ``split``, ``session`` (0 where
    the file has none) and ``run`` of each sample; ``xyz`` (voxel, 3).
    """

    values: np.ndarray
    names: np.ndarray
    split: np.ndarray
    session: np.ndarray
    run: np.ndarray
    xyz: np.ndarray
    paths: dict[str, Path]


def kamitani_names(count: int, *, first: int = 0) -> list[str]:
    """Names of ImageNet pictures, two of a category."""
    return [
        f"n{1443537 + 510_856 * ((first + i) // 2):08d}_{NUMBERS[(first + i) % len(NUMBERS)]}"
        for i in range(count)
    ]


def kamitani_id(name: str) -> float:
    """<WordNet id>.<image, six digits>, as the authors write it."""
    concept, image = name[1:].split("_")
    return float(f"{concept}.{int(image):06d}")


def god(
    root: Path,
    *,
    subject: int = 1,
    train: int = 12,
    test: int = 5,
    repeats: int = 3,
    label: str = "Label",
    layout: str = "old",
    signal: np.ndarray | None = None,
) -> Kamitani:
    """SubjectX.h5 (or .mat) with training, test and imagery samples; regions are 1 and NaN.

    ``signal`` (train + test pictures, feature) is mixed into the four voxels of V1 alone, of training and test.
    """
    rng = np.random.default_rng(subject)
    pictures = kamitani_names(train + test)
    seen = np.concatenate(
        [rng.permutation(train), *[train + rng.permutation(test) for _ in range(2 * repeats)]]
    )
    kind = np.repeat([1, 2, 3], [train, test * repeats, test * repeats])
    names = np.array(pictures)[seen]
    run = np.concatenate([np.arange(n) // 4 + 1 for n in np.bincount(kind)[1:]])
    values = _values(rng, seen, None if signal is None else np.where(kind == 3, np.nan, 1), signal)
    xyz = rng.uniform(-60, 60, (BDATA_VOXELS, 3))
    columns = {"DataType": kind, "Run": run, label: np.array([kamitani_id(n) for n in names])}
    voxel = {f"voxel_{axis}": xyz[:, i] for i, axis in enumerate("xyz")}
    voxel |= {"VolInds": rng.permutation(1000)[:BDATA_VOXELS]}
    voxel |= {f"ROI_{name}": _ones(inside, np.nan) for name, inside in BDATA_REGIONS.items()}
    path = root / f"Subject{subject}.{'mat' if 'mat' in layout else 'h5'}"
    bdata(path, {**columns, "VoxelData": values}, voxel, layout=layout)
    split = np.array(["", "train", "test", "imagery"])[kind]
    return Kamitani(values, names, split, np.zeros(len(kind), int), run, xyz, {"": path})


def deeprecon(
    root: Path,
    *,
    subject: int = 1,
    train: int = 12,
    test: int = 5,
    repeats: int = 3,
    label: str = "stimulus_name",
    rest: int = 0,
    layout: str = "new",
    signal: np.ndarray | None = None,
) -> Kamitani:
    """Training and test of a subject as files made after fmriprep: regions are 1 and 0, ROI_hV4, several labels.

    ``label``: "stimulus_name" with its texts, "stimulus_id" or "image_index" alone. ``rest``: so many samples at
    the end of each file bear no label. ``signal`` as for :func:`god`.
    """
    rng = np.random.default_rng(subject)
    pictures = np.array(kamitani_names(train + test))
    xyz = rng.uniform(-60, 60, (BDATA_VOXELS, 3))
    found: dict[str, list[np.ndarray]] = {k: [] for k in ("values", "names", "split", "session", "run")}
    paths = {}
    for split, word, own in (
        ("train", "Training", range(train)),
        ("test", "Test", range(train, train + test)),
    ):
        seen = np.concatenate([rng.permutation(own) for _ in range(repeats)])
        n = len(seen) + rest
        values = _values(rng, np.pad(seen, (0, rest)), np.ones(n) if signal is not None else None, signal)
        session, run = np.arange(n) // 8 + 1, np.arange(n) % 8 // 4 + 1
        ids = np.array([kamitani_id(name) for name in pictures[seen]])
        # As in ds001506, where one is 3954393.0100379996.
        ids[0] = np.nextafter(ids[0], 0)
        numbers = {"stimulus_name": np.array([sorted(pictures).index(p) + 1.0 for p in pictures[seen]])}
        numbers |= {"stimulus_id": ids, "image_index": seen - own[0] + 1.0}
        order = ["event_type", *([label] if label != "stimulus_name" else ["stimulus_id", "stimulus_name"])]
        numbers["event_type"] = np.ones(len(seen))
        labels = np.stack([np.pad(numbers[k], (0, rest), constant_values=np.nan) for k in order], axis=1)
        columns = {
            "VoxelData": values,
            "Session": session,
            "Run": run,
            "Block": np.arange(n) + 1,
            "Label": labels,
        }
        voxel = {f"voxel_{axis}": xyz[:, i] for i, axis in enumerate("xyz")}
        for name, inside in BDATA_REGIONS.items():
            voxel["ROI_hV4" if name == "V4" else f"ROI_{name}"] = _ones(inside, 0)
        voxel["hcp180_r_lh.L_V1__1_ROI"] = _ones(range(0, 2), 0)
        voxel["hcp180_r_rh.R_V1__181_ROI"] = _ones(range(2, 5), 0)
        texts = {float(i): name for i, name in enumerate(sorted(pictures), 1) if name in pictures[seen]}
        vmap = {"stimulus_name": texts} if label == "stimulus_name" else {}
        paths[split] = root / f"sub-{subject:02d}_ImageNet{word}_fmriprep_volume_native.h5"
        bdata(paths[split], columns, voxel, groups={"Label": order}, vmap=vmap, layout=layout)
        for key, value in (("values", values), ("names", pictures[seen]), ("session", session), ("run", run)):
            found[key].append(value[: len(seen)])
        found["split"].append(np.full(len(seen), split))
    return Kamitani(**{k: np.concatenate(v) for k, v in found.items()}, xyz=xyz, paths=paths)


def bdata(
    path: Path,
    columns: dict[str, Any],
    voxel: dict[str, Any],
    *,
    groups: dict[str, list[str]] | None = None,
    vmap: dict[str, dict[float, str]] | None = None,
    layout: str = "new",
) -> None:
    """Write columns {key: (sample) or (sample, column)} and what is said of those of VoxelData.

    ``groups``: keys of the single columns of a key. ``layout``: "new" (bdpy 0.26: lower case, header, vmap), "old"
    (``dataSet``, texts of fixed length), "mat" (MATLAB) or "mat73".
    """
    parts = {key: np.reshape(np.asarray(v, float), (len(v), -1)) for key, v in columns.items()}
    ends = np.cumsum([0, *(v.shape[1] for v in parts.values())])
    meta: dict[str, np.ndarray] = {}
    for (key, part), first in zip(parts.items(), ends, strict=False):
        for i, name in enumerate((groups or {}).get(key, [])):
            meta[name] = _row(ends[-1], first + i, 1.0)
        meta[key] = _row(ends[-1], slice(first, first + part.shape[1]), 1.0)
        if key == "VoxelData":
            for name, value in voxel.items():
                meta[name] = _row(ends[-1], slice(first, first + part.shape[1]), value)
    path.parent.mkdir(parents=True, exist_ok=True)
    write = {"new": _write_new, "old": _write_old, "mat": _write_mat, "mat73": _write_mat73}[layout]
    write(path, np.hstack(list(parts.values())), list(meta), np.stack(list(meta.values())), vmap or {})


def kamitani_table(path: Path, names: list[str], *, first: int = 1) -> None:
    """stimulus_ImageNetTest.tsv: numbers as MATLAB prints them, without zeros behind."""
    lines = [f"{n}\t{kamitani_id(n)!r}\t{i // 2 + 1}\t{i + first}" for i, n in enumerate(names)]
    path.write_text("\n".join(lines) + "\n")


def _values(
    rng: np.random.Generator, seen: np.ndarray, scale: np.ndarray | None, signal: np.ndarray | None
) -> np.ndarray:
    values = rng.normal(size=(len(seen), BDATA_VOXELS))
    if signal is not None and scale is not None:
        # One mixture for all files and subjects.
        mixing = np.random.default_rng(99).normal(size=(signal.shape[1], len(BDATA_REGIONS["V1"])))
        mixed = signal @ mixing
        strength = np.nan_to_num(scale)[:, None]
        values[:, list(BDATA_REGIONS["V1"])] *= 0.1
        values[:, list(BDATA_REGIONS["V1"])] += strength * mixed[seen]
    return values


def _ones(inside: range, outside: float) -> np.ndarray:
    row = np.full(BDATA_VOXELS, outside, float)
    row[list(inside)] = 1
    return row


def _row(size: int, where: Any, value: Any) -> np.ndarray:
    row = np.full(size, np.nan)
    row[where] = value
    return row


def _write_new(path: Path, data: np.ndarray, keys: list[str], value: np.ndarray, vmap: Any) -> None:
    import h5py

    # What h5py makes of lists of bytes: texts of any length.
    kind = h5py.string_dtype("ascii")
    with h5py.File(path, "w") as file:
        file["dataset"] = data
        file.create_dataset("metadata/key", data=[k.encode() for k in keys], dtype=kind)
        file.create_dataset("metadata/description", data=[f"1 = {k}".encode() for k in keys], dtype=kind)
        file["metadata/value"] = value
        file.create_dataset("header/ctime", data=b"2026-01-01", dtype=kind)
        for key, texts in vmap.items():
            for number, text in texts.items():
                file.create_dataset(f"vmap/{key}/{number}", data=text.encode(), dtype=kind)


def _write_old(path: Path, data: np.ndarray, keys: list[str], value: np.ndarray, vmap: Any) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["dataSet"] = data
        file["metaData/key"] = np.array(keys, "S")
        file["metaData/description"] = np.array([f"1 = {k}" for k in keys], "S")
        file["metaData/value"] = value


def _write_mat(path: Path, data: np.ndarray, keys: list[str], value: np.ndarray, vmap: Any) -> None:
    from scipy.io import savemat

    # MATLAB's cell arrays are arrays of objects, a row each.
    cells = [
        np.array([*texts, None], dtype=object)[None, :-1] for texts in (keys, [f"1 = {k}" for k in keys])
    ]
    meta = {"key": cells[0], "description": cells[1], "value": value}
    savemat(path, {"dataSet": data, "metaData": meta, "subject": path.stem, "createdBy": "nobody"})


def _write_mat73(path: Path, data: np.ndarray, keys: list[str], value: np.ndarray, vmap: Any) -> None:
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        file["dataSet"] = data.T
        file["metaData/value"] = value.T
        cells = file.create_dataset("metaData/key", (len(keys), 1), dtype=h5py.ref_dtype)
        for i, key in enumerate(keys):
            text = file.create_dataset(f"#refs#/{i}", data=np.array([[ord(c)] for c in key], np.uint16))
            text.attrs["MATLAB_class"] = np.bytes_("char")
            cells[i, 0] = text.ref
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
        file["dataSet"].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
