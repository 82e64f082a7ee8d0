"""BIDS: fMRI with derivatives as fMRIPrep names them, EEG and MEG that mne-bids writes, and Haxby's subjects as nilearn
leaves them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# No two axes alike.
BIDS_GRID = (5, 4, 3)
BIDS_AFFINE = np.array([[2.0, 0, 0, -5], [0, 2.5, 0, -4], [0, 0, 3.0, -3], [0, 0, 0, 1]])
SPACE = "MNI152NLin2009cAsym"
TR = 1.5


@dataclass(frozen=True)
class BidsFmri:
    """What lies in the files, by (session, run)."""

    series: dict[tuple[str, str], np.ndarray]  # (X, Y, Z, volume) of the derivatives
    raw: dict[tuple[str, str], np.ndarray]
    masks: dict[tuple[str, str], np.ndarray]
    onsets: dict[tuple[str, str], np.ndarray]
    stimuli: dict[tuple[str, str], list[str]]
    derivatives: Path


def bids_fmri(
    root: Path,
    *,
    subject: str = "01",
    sessions: tuple[str, ...] = ("a", "b"),
    runs: int = 2,
    pictures: int = 4,
    volumes: int = 60,
    start: float = 0.75,
    signal: np.ndarray | None = None,
) -> BidsFmri:
    """One subject; every run shows every picture once, every 15 s or more, with a button press after each.

    ``signal`` (picture, feature): mixed linearly into the planes x = 0 and 1 of the preprocessed volumes that were
    acquired 4 to 8 s after onset, and nowhere else. Needs 10 volumes a picture; the last row of each table lies beyond
    the recording. Voxel (0, 0, 0) is in no mask, (4, 3, 2) not in that of the first run, (1, 0, z) not in that of the
    last.
    """
    rng = np.random.default_rng(int(subject))
    who = f"sub-{subject}"
    pipeline = root / "derivatives/fmriprep"
    _description(root, "Pictures in runs")
    _description(pipeline, "fMRIPrep", kind="derivative")
    # One for all runs, at the top: TR and task are inherited.
    _json(root / "task-pictures_bold.json", {"RepetitionTime": TR, "TaskName": "pictures"})
    mixing = None if signal is None else rng.normal(size=(signal.shape[1], 2, *BIDS_GRID[1:]))
    found = BidsFmri({}, {}, {}, {}, {}, pipeline)
    count = volumes if signal is None else max(volumes, 10 * len(signal) + 8)
    for session in sessions:
        for run in range(1, runs + 1):
            key = session, str(run)
            name = f"{who}_ses-{session}_task-pictures_run-{run}"
            drift = rng.normal(size=(*BIDS_GRID, 1)) * np.linspace(-3, 3, count)
            series = 500 + drift + rng.normal(size=(*BIDS_GRID, count))
            number = pictures if signal is None else len(signal)
            order = rng.permutation(number)
            # At no two the same time after a volume.
            onsets = 1.0 + (TR * (count - 8) / number + 0.31) * np.arange(number)
            if signal is not None:
                times = start + TR * np.arange(count)
                for picture, onset in zip(order, onsets, strict=True):
                    on = (times >= onset + 4) & (times < onset + 8)
                    series[:2, ..., on] += np.tensordot(signal[picture], mixing, 1)[..., None]
            raw = series + 100
            mask = np.ones(BIDS_GRID, np.uint8)
            mask[0, 0, 0] = 0
            if key == (sessions[0], "1"):
                mask[4, 3, 2] = 0
            if key == (sessions[-1], str(runs)):
                mask[1, 0] = 0
            folder = root / who / f"ses-{session}/func"
            made = pipeline / who / f"ses-{session}/func"
            # 1.5 s in milliseconds in one, in seconds in the other.
            bids_volume(folder / f"{name}_bold.nii.gz", raw, tr=1000 * TR, unit="msec")
            prefix = made / f"{name}_space-{SPACE}"
            bids_volume(Path(f"{prefix}_desc-preproc_bold.nii.gz"), series, tr=TR)
            _json(Path(f"{prefix}_desc-preproc_bold.json"), {"RepetitionTime": TR, "StartTime": start})
            bids_volume(Path(f"{prefix}_desc-brain_mask.nii.gz"), mask)
            names = [f"images/picture-{i:02d}.png" for i in order]
            _fmri_events(folder / f"{name}_events.tsv", onsets, names, 2 * count * TR)
            found.series[key] = series.astype(np.float32)
            found.raw[key] = raw.astype(np.float32)
            found.masks[key], found.onsets[key], found.stimuli[key] = mask, onsets, names
    return found


def _fmri_events(path: Path, onsets: np.ndarray, names: list[str], late: float) -> None:
    """Pictures, a press after each, one row without an onset and one after the end."""
    lines = ["onset\tduration\ttrial_type\tstim_file\tresponse_time\tstimulus_id\trun"]
    for i, (onset, name) in enumerate(zip(onsets, names, strict=True)):
        kind = "odd" if i % 2 else "even"
        number = int(name[-6:-4])
        lines.append(f"{onset + 1.25:.3f}\t0\tpress\tn/a\t0.5\tn/a\t1")
        lines.append(f"{onset:.3f}\t{0 if i == 0 else 1}\t{kind}\t{name}\tn/a\t1443537.022{number:02d}0\t{i}")
    lines.append(f"n/a\t1\teven\t{names[0]}\tn/a\tn/a\t0")
    lines.append(f"{late:.3f}\t1\teven\t{names[0]}\tn/a\tn/a\t0")
    path.write_text("\n".join(lines) + "\n")


def bids_volume(
    path: Path,
    values: np.ndarray,
    *,
    affine: np.ndarray = BIDS_AFFINE,
    tr: float | None = None,
    unit: str = "sec",
) -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values.astype(np.float32 if values.dtype.kind == "f" else np.uint8), affine)
    if tr is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], tr))
        image.header.set_xyzt_units("mm", unit)
    nibabel.save(image, path)


def _description(folder: Path, name: str, *, kind: str = "raw") -> None:
    _json(folder / "dataset_description.json", {"Name": name, "BIDSVersion": "1.8.0", "DatasetType": kind})


def _json(path: Path, said: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))


@dataclass(frozen=True)
class BidsMeeg:
    """What lies in the files, by run, in V or T."""

    values: dict[str, np.ndarray]  # (channel, time)
    channels: list[str]
    rate: float
    onsets: dict[str, np.ndarray]
    stimuli: dict[str, list[str]]
    folder: Path


def bids_meeg(
    root: Path,
    *,
    subject: str = "01",
    runs: int = 2,
    pictures: int = 4,
    each: int = 2,
    rate: float = 200.0,
    datatype: str = "eeg",
    bad: dict[str, list[str]] | None = None,
    projector: tuple[float, float, float] | None = None,
    signal: np.ndarray | None = None,
) -> BidsMeeg:
    """One subject without sessions: EEG as BrainVision, MEG (three planar gradiometers) as mne-bids writes it.

    ``signal`` (picture, feature): mixed linearly into the first two channels 100 to 300 ms after onset, and nowhere
    else; all else is noise. ``bad``: run -> channels. ``projector``: a direction that the MEG file asks to remove.
    Every second event is a button press without a stimulus; the last picture of every run comes too late for an epoch
    of 0.8 s.
    """
    rng = np.random.default_rng(int(subject))
    names = ["Oz", "O1", "O2", "Pz", "EOG"] if datatype == "eeg" else ["MEG0112", "MEG0113", "MEG0122"]
    scale = 1e-5 if datatype == "eeg" else 1e-11
    number = pictures if signal is None else len(signal)
    mixing = None if signal is None else rng.normal(size=(2, signal.shape[1]))
    found = BidsMeeg({}, names, rate, {}, {}, root / f"sub-{subject}/{datatype}")
    if datatype == "eeg":
        _description(root, "Pictures")
        _electrodes(found.folder, f"sub-{subject}")
    for run in range(1, runs + 1):
        key = f"{run:02d}"
        order = np.concatenate([rng.permutation(number) for _ in range(each)])
        onsets = 1.0 + 1.3 * np.arange(order.size)
        times = np.arange(round((onsets[-1] + 2) * rate)) / rate
        values = scale * rng.normal(size=(len(names), times.size))
        if signal is not None:
            for picture, onset in zip(order, onsets, strict=True):
                on = (times >= onset + 0.1 - 1e-9) & (times < onset + 0.3 - 1e-9)
                values[:2, on] += scale * (mixing @ signal[picture])[:, None]
        stem = found.folder / f"sub-{subject}_task-pictures_run-{key}"
        marked = (bad or {}).get(key, [])
        if datatype == "eeg":
            _brainvision(stem, values, names, rate)
            kinds, unit = [*["EEG"] * 4, "EOG"], "V"
        else:
            _fif(root, subject, key, values, names, rate, projector)
            kinds, unit = ["MEGGRADPLANAR"] * 3, "T/m"
        _channels(Path(f"{stem}_channels.tsv"), names, kinds, unit, marked)
        said = {"TaskName": "pictures", "SamplingFrequency": rate, "PowerLineFrequency": 50}
        _json(Path(f"{stem}_{datatype}.json"), said | {"RecordingDuration": times.size / rate})
        stimuli = [f"picture-{i:02d}" for i in order]
        _meeg_events(Path(f"{stem}_events.tsv"), onsets, stimuli, times[-1])
        found.values[key], found.onsets[key], found.stimuli[key] = values, onsets, stimuli
    return found


def _brainvision(stem: Path, values: np.ndarray, names: list[str], rate: float) -> None:
    """Header, a marker that calls the third second bad, and float32 in uV, all channels of a sample together."""
    channels = "\n".join(f"Ch{i + 1}={name},,1,µV" for i, name in enumerate(names))
    header = f"""Brain Vision Data Exchange Header File Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={stem.name}_eeg.eeg
MarkerFile={stem.name}_eeg.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels={len(names)}
SamplingInterval={1e6 / rate:g}

[Binary Infos]
BinaryFormat=IEEE_FLOAT_32

[Channel Infos]
{channels}
"""
    markers = f"""Brain Vision Data Exchange Marker File, Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={stem.name}_eeg.eeg

[Marker Infos]
Mk1=New Segment,,1,1,0
Mk2=Bad Interval,Bad,{round(2 * rate)},{round(rate)},0
"""
    Path(f"{stem}_eeg.vhdr").write_text(header, encoding="utf-8")
    Path(f"{stem}_eeg.vmrk").write_text(markers, encoding="utf-8")
    Path(f"{stem}_eeg.eeg").write_bytes((1e6 * values).T.astype("<f4").tobytes())


def _fif(
    root: Path,
    subject: str,
    run: str,
    values: np.ndarray,
    names: list[str],
    rate: float,
    projector: tuple[float, ...] | None,
) -> None:
    import mne
    import mne_bids

    info = mne.create_info(names, rate, "grad")
    info["line_freq"] = 50
    # As in recordings whose first part was not stored: sample numbers do not begin at 0.
    raw = mne.io.RawArray(values, info, first_samp=1000, verbose="error")
    if projector is not None:
        raw.add_proj(bids_projection(names, projector), verbose="error")
    path = mne_bids.BIDSPath(subject=subject, task="pictures", run=run, datatype="meg", root=root)
    mne_bids.write_raw_bids(raw, path, allow_preload=True, format="FIF", overwrite=True, verbose="error")


def bids_projection(names: list[str], direction: tuple[float, ...]):
    import mne

    unit = np.array([direction]) / np.linalg.norm(direction)
    data = {"nrow": 1, "ncol": len(names), "row_names": None, "col_names": names, "data": unit}
    return mne.Projection(active=False, data=data, kind=1, desc="planted", explained_var=None)


def _channels(path: Path, names: list[str], kinds: list[str], unit: str, bad: list[str]) -> None:
    lines = ["name\ttype\tunits\tstatus"]
    for name, kind in zip(names, kinds, strict=True):
        lines.append(f"{name}\t{kind}\t{unit}\t{'bad' if name in bad else 'good'}")
    path.write_text("\n".join(lines) + "\n")


# m, in the head's coordinates, which the landmarks span.
BIDS_ELECTRODES = {
    "Oz": (0.001, -0.1, 0.02),
    "O1": (-0.03, -0.1, 0.02),
    "O2": (0.03, -0.099, 0.02),
    "Pz": (0.0, -0.07, 0.09),
}


def _electrodes(folder: Path, who: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["name\tx\ty\tz", *("\t".join(map(str, (n, *xyz))) for n, xyz in BIDS_ELECTRODES.items())]
    lines.append("EOG\tn/a\tn/a\tn/a")
    (folder / f"{who}_space-CapTrak_electrodes.tsv").write_text("\n".join(lines) + "\n")
    said = {
        "EEGCoordinateSystem": "CapTrak",
        "EEGCoordinateUnits": "m",
        "AnatomicalLandmarkCoordinates": {"NAS": [0, 0.1, 0], "LPA": [-0.08, 0, 0], "RPA": [0.08, 0, 0]},
        "AnatomicalLandmarkCoordinateSystem": "CapTrak",
        "AnatomicalLandmarkCoordinateUnits": "m",
    }
    _json(folder / f"{who}_space-CapTrak_coordsystem.json", said)


def _meeg_events(path: Path, onsets: np.ndarray, names: list[str], end: float) -> None:
    lines = ["onset\tduration\ttrial_type\tstim_id\tvalue\tsample"]
    for i, (onset, name) in enumerate(zip(onsets, names, strict=True)):
        # The numbers are another run by run, as those of mne-bids are.
        lines.append(f"{onset:.4f}\t0.3\tshow\t{name}\t{i + 1}\tn/a")
        lines.append(f"{onset + 0.5:.4f}\t0\tpress\tn/a\t99\tn/a")
    lines.append(f"{end - 0.5:.4f}\t0.3\tshow\t{names[0]}\t1\tn/a")
    path.write_text("\n".join(lines) + "\n")


# ---------------------------------------------------------------- Haxby et al. 2001, as nilearn leaves it

HAXBY_GRID = (5, 6, 4)
HAXBY_CATEGORIES = ("bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe")


@dataclass(frozen=True)
class Haxby:
    """What lies in the files of one subject."""

    series: np.ndarray  # (X, Y, Z, volume)
    labels: list[str]
    run: np.ndarray
    masks: dict[str, np.ndarray]
    folder: Path


def haxby_nilearn(root: Path, *, subject: int = 2, runs: int = 3, signal: np.ndarray | None = None) -> Haxby:
    """``haxby2001/subjN``: in every run each category for 3 volumes, with one of rest before and after.

    ``signal`` (category, feature), in the order of :data:`HAXBY_CATEGORIES`: mixed linearly into the voxels of the
    ventral temporal mask, the planes x = 0 and 1, while the category is shown.
    """
    rng = np.random.default_rng(subject)
    folder = root / f"haxby2001/subj{subject}"
    labels, run = [], []
    for r in range(runs):
        one = ["rest"]
        for i in rng.permutation(len(HAXBY_CATEGORIES)):
            one += [HAXBY_CATEGORIES[i]] * 3 + ["rest"]
        labels += one
        run += [r] * len(one)
    masks = {
        name: np.zeros(HAXBY_GRID, np.uint8)
        for name in ("vt", "face", "house", "face_little", "house_little")
    }
    masks["vt"][:2] = 1
    masks["face"][:2, :3] = 1
    masks["house"][:2, 2:5] = 1
    masks["face_little"][0, :2] = 1
    masks["house_little"][1, 5] = 1
    inside = masks["vt"] > 0
    series = 800 + 20 * rng.normal(size=(*HAXBY_GRID, len(labels)))
    if signal is not None:
        mixing = rng.normal(size=(signal.shape[1], int(inside.sum())))
        for i, name in enumerate(HAXBY_CATEGORIES):
            series[..., np.array(labels) == name] += 20 * _in(inside, signal[i] @ mixing)[..., None]
    # Stored as int16, as scanners do.
    series = np.round(series)
    names = {
        "vt": "mask4_vt",
        "face": "mask8b_face_vt",
        "house": "mask8b_house_vt",
        "face_little": "mask8_face_vt",
        "house_little": "mask8_house_vt",
    }
    bids_volume(folder / "bold.nii.gz", series, tr=2.5)
    for name, file in names.items():
        bids_volume(folder / f"{file}.nii.gz", masks[name])
    brain = np.ones(HAXBY_GRID, np.uint8)
    brain[4] = 0
    masks["brain"] = brain
    bids_volume(folder.parent / "mask.nii.gz", brain)
    bids_volume(folder / "anat.nii.gz", np.ones((2, 2, 2), np.uint8))
    table = "\n".join(f"{name} {r}" for name, r in zip(labels, run, strict=True))
    (folder / "labels.txt").write_text(f"labels chunks\n{table}\n")
    return Haxby(series, labels, np.array(run), masks, folder)


def _in(inside: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = np.zeros(inside.shape)
    out[inside] = values
    return out
