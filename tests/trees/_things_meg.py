"""THINGS-MEG: preprocessed epochs in several parts, recordings of runs in CTF's folders, tables of trials."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Real names of concepts of several shapes first, then as many as are wanted.
MEG_CONCEPTS = ("blowtorch", "aircraft_carrier", "first-aid_kit", "bat1")
CATCH_EVENT = 999_999
BROKEN_SENSOR = "MRO11-1609"
MEG_ONSET, MEG_LAST, MEG_RATE, CTF_RATE = -0.1, 1.3, 200, 1200
# Where a signal is planted: sensors over the occipital lobe, 0.1 to 0.2 s after onset.
OCCIPITAL = ("MLO", "MRO", "MZO")
SIGNAL_WINDOW = (0.1, 0.2)
# Origin of the head in CTF's device, in cm.
HEAD_SHIFT = np.array([0.5, -0.4, -22.0])


@dataclass(frozen=True)
class MEGEpochs:
    """What lies in the FIF files: all trials, catch trials and training trials of test concepts among them."""

    values: np.ndarray  # (trial, channel, time), float32
    times: np.ndarray
    channels: list[str]
    xyz: np.ndarray  # (channel, 3) in m, head coordinates
    trials: Any  # the table, as in the metadata
    path: Path
    table: Path


@dataclass(frozen=True)
class MEGRun:
    """What lies in one run's folder."""

    values: np.ndarray  # (channel, sample) in T, gradiometers without the broken one
    onset: np.ndarray  # (event) sample
    trials: Any  # (event) rows of the table of trials
    path: Path
    events: Path


def meg_stimuli(*, concepts: int = 6, tests: int = 2, sessions: int = 3) -> list[str]:
    """Names of all pictures, as :func:`things_meg` numbers the rows of its ``signal``: concept by concept the pictures
    of one session after the other, then the test pictures, which are of the second, fourth, ... concept.
    """
    exp = [f"{_concept(c)}_{e + 1:02d}b" for c in range(concepts) for e in range(sessions)]
    return exp + [f"{_concept(c)}_13n" for c in range(1, 2 * tests, 2)]


def meg_trials(
    *, concepts: int = 6, tests: int = 2, sessions: int = 3, catch: int = 2, runs: int = 2, seed: int = 0
) -> Any:
    """The table of trials: every concept and test picture once a session, in an order that differs."""
    import pandas as pd

    if 2 * tests > concepts:
        raise ValueError("every second concept can have a test picture")
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(1, sessions + 1):
        shown = [_exp_row(c, session) for c in range(concepts)]
        shown += [_test_row(c, i) for i, c in enumerate(range(1, 2 * tests, 2))]
        shown += [_catch_row(catch * (session - 1) + k) for k in range(1, catch + 1)]
        for at, i in enumerate(rng.permutation(len(shown))):
            row = shown[i] | {"session_nr": session, "run_nr": at * runs // len(shown) + 1}
            rows.append(row)
    table = pd.DataFrame(rows)
    for name in ("onset", "image_on", "image_off"):
        table[name] = np.arange(len(table)) * 1.5
    for name in ("responded", "key_id", "key_time", "RT"):
        table[name] = np.nan
    return table[[*MEG_COLUMNS]]


MEG_COLUMNS = (
    *("trial_type", "image_nr", "category_nr", "exemplar_nr", "test_image_nr", "things_category_nr"),
    *("things_image_nr", "things_exemplar_nr", "image_path", "onset", "image_on", "image_off", "responded"),
    *("key_id", "key_time", "RT", "session_nr", "run_nr"),
)


def things_meg(
    root: Path,
    *,
    subject: int = 1,
    concepts: int = 6,
    tests: int = 2,
    sessions: int = 3,
    catch: int = 2,
    parts: int = 3,
    signal: np.ndarray | None = None,
    metadata: bool = True,
    table: bool = True,
) -> MEGEpochs:
    """Preprocessed epochs as the authors' script writes them: baseline z-scored, in several files.

    ``signal`` (stimulus, feature), rows as :func:`meg_stimuli`, is mixed into :data:`OCCIPITAL` sensors at
    :data:`SIGNAL_WINDOW`, three times as strong as the noise for features of variance 1.
    """
    import mne

    trials = meg_trials(concepts=concepts, tests=tests, sessions=sessions, catch=catch, seed=subject)
    rng = np.random.default_rng(100 + subject)
    info, channels, xyz = _epochs_info()
    times = np.arange(round(MEG_ONSET * MEG_RATE), round(MEG_LAST * MEG_RATE) + 1) / MEG_RATE
    values = rng.standard_normal((len(trials), len(channels), len(times)), np.float32)
    values = _zscored(values, times)
    if signal is not None:
        names = meg_stimuli(concepts=concepts, tests=tests, sessions=sessions)
        values += 3 * _planted(signal, names, trials, channels, times, rng)
    events = np.stack(
        [
            np.cumsum(rng.integers(1560, 2040, len(trials))),
            np.zeros(len(trials), int),
            np.where(trials.trial_type == "catch", CATCH_EVENT, trials.things_image_nr.fillna(0)).astype(int),
        ],
        axis=1,
    )
    folder = root / "derivatives/preprocessed"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"preprocessed_P{subject}-epo.fif"
    epochs = mne.EpochsArray(
        values,
        info,
        events,
        tmin=times[0],
        baseline=None,
        metadata=trials if metadata else None,
        verbose="error",
    )
    # Halfway between what makes so many parts and one fewer; mne sets 1.3 MB aside for the rest.
    size = 2**31 if parts == 1 else int(values.nbytes * (1 / parts + 1 / (parts - 1)) / 2) + 1_300_000
    written = epochs.save(path, split_size=size, verbose="error")
    if len(written) != parts:
        raise ValueError(f"{len(written)} parts were written, not {parts}: take more or fewer trials")
    csv = root / f"sourcedata/sample_attributes_P{subject}.csv"
    if table:
        csv.parent.mkdir(parents=True, exist_ok=True)
        trials.to_csv(csv, index=False)
    return MEGEpochs(values, times, channels, xyz, trials, path, csv)


def things_meg_raw(
    root: Path,
    *,
    subject: int = 1,
    sessions: Sequence[int] = (1,),
    runs: int = 2,
    concepts: int = 6,
    tests: int = 2,
    planned: int = 3,
    catch: int = 2,
    layout: str = "now",
    signal: np.ndarray | None = None,
) -> dict[tuple[int, int], MEGRun]:
    """Recordings by (session, run): noise of 0.1 pT at 1,200 Hz, events 1.3 to 1.7 s apart.

    ``planned``: sessions in the table of trials, which is that of :func:`things_meg` for the same numbers; only
    ``sessions`` are recorded. ``layout`` of events.tsv: "now" or "before". ``signal`` as in :func:`things_meg`, three
    times as strong as the noise. The folders hold what a Mac leaves behind, too.
    """
    trials = meg_trials(
        concepts=concepts, tests=tests, sessions=planned, catch=catch, runs=runs, seed=subject
    )
    names = meg_stimuli(concepts=concepts, tests=tests, sessions=planned)
    csv = root / f"sourcedata/sample_attributes_P{subject}.csv"
    csv.parent.mkdir(parents=True, exist_ok=True)
    trials.to_csv(csv, index=False)
    rng = np.random.default_rng(200 + subject)
    mixing = None if signal is None else _mixing(signal, rng)
    found = {}
    for session in sessions:
        for run in range(1, runs + 1):
            rows = trials[(trials.session_nr == session) & (trials.run_nr == run)].reset_index(drop=True)
            begin = root / f"sub-BIGMEG{subject}/ses-{session:02d}/meg"
            begin /= f"sub-BIGMEG{subject}_ses-{session:02d}_task-main_run-{run:02d}"
            onset = 300 + np.cumsum(rng.integers(1560, 2040, len(rows)))
            added = None if signal is None else _evoked(signal, mixing, names, rows, onset)
            path = begin.with_name(f"{begin.name}_meg.ds")
            values = ctf_folder(path, onset, added=added, rng=rng)
            events = begin.with_name(f"{begin.name}_events.tsv")
            meg_events(events, rows, onset, layout=layout)
            for junk in (f"._{path.name}", f"._{events.name}", ".DS_Store"):
                (path.parent / junk).write_bytes(b"\x00\x05\x16\x07")
            found[session, run] = MEGRun(values, onset, rows, path, events)
    return found


def meg_events(path: Path, rows: Any, onset: np.ndarray, *, layout: str) -> None:
    """events.tsv in the layout of "now", or of "before", whose onsets are 0.13 s late and durations in ms."""
    import pandas as pd

    catch = (rows.trial_type == "catch").to_numpy()
    number = rows.things_image_nr.fillna(0).astype(int).astype(str)
    if layout == "now":
        table = pd.DataFrame(
            {
                "onset": onset / CTF_RATE,
                "duration": 0.5,
                "trial_type": rows.trial_type,
                "things_category_nr": np.where(
                    catch, "N/A", rows.things_category_nr.fillna(0).astype(int).astype(str)
                ),
                "value": np.where(catch, "N/A", number),
                "sample": onset,
            }
        )
    else:
        table = pd.DataFrame(
            {
                "onset": onset / CTF_RATE + 0.13,
                "duration": 500,
                "trial_type": rows.trial_type,
                "file_path": rows.image_path,
            }
        )
        for name in MEG_COLUMNS[1:8]:
            table[name] = rows[name].astype(object).where(rows[name].notna(), "n/a")
        table["RT"] = "n/a"
    table.to_csv(path, sep="\t", index=False)


# ---------------------------------------------------------------- labels


def _concept(c: int) -> str:
    return MEG_CONCEPTS[c] if c < len(MEG_CONCEPTS) else f"thing_{c:04d}"


def _exp_row(c: int, session: int) -> dict[str, Any]:
    return _row("exp", c, session) | {
        "image_nr": 12 * c + session,
        "image_path": f"images_meg/{_concept(c)}/{_concept(c)}_{session:02d}b.jpg",
    }


def _test_row(c: int, i: int) -> dict[str, Any]:
    return _row("test", c, 13) | {
        "image_nr": 22_448 + i + 1,
        "test_image_nr": i + 1,
        "image_path": f"images_test_meg/{_concept(c)}_13n.jpg",
    }


def _row(kind: str, c: int, exemplar: int) -> dict[str, Any]:
    """THINGS has at least 12 pictures of a concept, here 14; numbers are from 1."""
    return {
        "trial_type": kind,
        "category_nr": c + 1,
        "exemplar_nr": exemplar,
        "test_image_nr": np.nan,
        "things_category_nr": 3 * c + 5,
        "things_image_nr": 14 * (3 * c + 4) + exemplar,
        "things_exemplar_nr": exemplar,
    }


def _catch_row(k: int) -> dict[str, Any]:
    nothing = dict.fromkeys(MEG_COLUMNS[3:8], np.nan)
    return nothing | {
        "trial_type": "catch",
        "image_nr": 22_248 + k,
        "category_nr": 1855,
        "image_path": f"images_catch_meg/catch{k:03d}.jpg",
    }


# ---------------------------------------------------------------- numbers


def _zscored(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    before = values[:, :, times <= 0]
    return (values - before.mean(axis=2, keepdims=True)) / before.std(axis=2, keepdims=True)


def _mixing(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(feature, channel), for all 271, of which the occipital ones are used."""
    return rng.standard_normal((signal.shape[1], 271)) / np.sqrt(signal.shape[1])


def _planted(
    signal: np.ndarray,
    names: list[str],
    trials: Any,
    channels: list[str],
    times: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """(trial, channel, time) of variance 1 where it is planted, 0 elsewhere."""
    where = np.array([name.startswith(OCCIPITAL) for name in channels])
    when = (times >= SIGNAL_WINDOW[0] - 1e-9) & (times <= SIGNAL_WINDOW[1] + 1e-9)
    mixed = _rows(signal, names, trials) @ (_mixing(signal, rng) * where)
    return (mixed[:, :, None] * when).astype(np.float32)


def _evoked(signal: np.ndarray, mixing: np.ndarray, names: list[str], rows: Any, onset: np.ndarray) -> Any:
    """(channel, sample) from the first sample to the end of the last planted window."""
    channels = [name for name in _sensor_names() if name != BROKEN_SENSOR]
    where = np.array([name.startswith(OCCIPITAL) for name in channels])
    mixed = _rows(signal, names, rows) @ (mixing * where)
    first, last = (round(edge * CTF_RATE) for edge in SIGNAL_WINDOW)
    added = np.zeros((len(channels), int(onset[-1]) + last + 1))
    for sample, value in zip(onset, mixed, strict=True):
        added[:, sample + first : sample + last + 1] += value[:, None]
    return added


def _rows(signal: np.ndarray, names: list[str], trials: Any) -> np.ndarray:
    """(trial, feature): 0 for catch trials."""
    if len(signal) != len(names):
        raise ValueError(f"signal has {len(signal)} rows for {len(names)} pictures")
    at = {name: i for i, name in enumerate(names)}
    stems = [Path(path).stem for path in trials.image_path]
    return np.array([signal[at[stem]] if stem in at else np.zeros(signal.shape[1]) for stem in stems])


# ---------------------------------------------------------------- sensors


def _sensor_names() -> list[str]:
    """272 names of CTF's 275 sensors; which three are lacking in the data is unknown."""
    import mne

    names = mne.channels.read_layout("CTF275").names
    return [f"{name}-1609" for name in names if name not in ("MLF25", "MRF43", "MZP01")]


def _helmet(names: list[str]) -> np.ndarray:
    """Positions (channel, 3) in m, device coordinates: the flat layout bent over a sphere of 0.11 m."""
    import mne

    layout = mne.channels.read_layout("CTF275")
    flat = {name: layout.pos[i, :2] + layout.pos[i, 2:] / 2 for i, name in enumerate(layout.names)}
    xy = np.array([flat[name.split("-")[0]] for name in names]) - 0.5
    radius = np.hypot(*xy.T)
    polar = 0.9 * np.pi * radius
    unit = np.stack([*(np.sin(polar) * xy.T / np.maximum(radius, 1e-9)), np.cos(polar)], axis=1)
    return 0.11 * unit


def _epochs_info() -> tuple[Any, list[str], np.ndarray]:
    """Names, positions in the head, and scales that are not 1, as CTF's sensors have."""
    import mne
    from mne.io.constants import FIFF

    names = [name for name in _sensor_names() if name != BROKEN_SENSOR]
    info = mne.create_info(names, float(MEG_RATE), "mag")
    head = mne.transforms.rotation(0.1, 0.0, 0.2) + mne.transforms.translation(0, 0.01, 0.04) - np.eye(4)
    xyz = _helmet(names)
    with info._unlock():
        info["dev_head_t"] = mne.Transform("meg", "head", head)
        for i, channel in enumerate(info["chs"]):
            channel["loc"] = np.r_[xyz[i], np.eye(3).ravel()].astype(np.float32)
            channel["coil_type"] = FIFF.FIFFV_COIL_CTF_GRAD | 3 << 16
            # Powers of two, so that numbers come back to the last bit.
            channel["cal"] = 2.0 ** -(50 + i % 4)
    return info, names, xyz @ head[:3, :3].T + head[:3, 3]


# ---------------------------------------------------------------- CTF


def ctf_folder(
    path: Path, onset: np.ndarray, *, added: np.ndarray | None = None, rng: np.random.Generator
) -> np.ndarray:
    """A recording of 300 channels; returns what the 271 good gradiometers hold, in T.

    The numbers are big-endian integers of 32 bits, channel after channel, behind eight bytes; the header says what they
    are divided by (CTF's .meg4 and .res4).
    """
    names, kinds, gains = _ctf_channels()
    samples = int(onset[-1]) + 1800
    path.mkdir(parents=True)
    gradiometer = np.array([kind == 5 for kind in kinds])
    numbers = np.zeros((len(names), samples), ">i4")
    noise = rng.standard_normal((gradiometer.sum(), samples), np.float32) * np.float32(1e-13)
    good = np.array([name != BROKEN_SENSOR for name, kind in zip(names, kinds, strict=True) if kind == 5])
    if added is not None:
        noise[np.flatnonzero(good), : added.shape[1]] += (3e-13 * added).astype(np.float32)
    # Slow drifts that no baseline takes out.
    noise += np.sin(np.arange(samples) / 4000 + np.arange(len(noise))[:, None]).astype(np.float32) * 1e-12
    numbers[gradiometer] = np.rint(noise * gains[gradiometer][:, None])
    numbers[names.index("SCLK01-177")] = np.arange(1, samples + 1)
    trigger = numbers[names.index("UPPT001")]
    for sample in onset:
        trigger[sample : sample + 60] = 64
    # One trigger of another kind ends the run.
    trigger[-300:-240] = 32
    stem = path.stem
    with (path / f"{stem}.meg4").open("wb") as file:
        file.write(b"MEG41CP\x00")
        file.write(numbers.tobytes())
    (path / f"{stem}.res4").write_bytes(_res4(names, kinds, gains, samples))
    (path / f"{stem}.hc").write_text(_coils())
    (path / "BadChannels").write_text("")
    return numbers[gradiometer][good].astype(float) / gains[gradiometer][good][:, None]


def _ctf_channels() -> tuple[list[str], list[int], np.ndarray]:
    """300 names, CTF's numbers of their kinds (0 and 1 reference, 5 gradiometer, 11 trigger, 17 clock, 18 ADC), and
    how many integers make one unit.
    """
    sensors = _sensor_names()
    references = [
        f"{name}-1609" for name in ("BG1", "BG2", "BG3", "BP1", "BP2", "BP3", "G11", "G12", "P11", "P12")
    ]
    analogue = [f"UADC{i:03d}-2104" for i in range(1, 17)]
    names = ["UPPT001", "SCLK01-177", *references, *sensors, *analogue]
    kinds = [11, 17, *[0] * 6, *[1] * 4, *[5] * len(sensors), *[18] * len(analogue)]
    gains = np.ones(len(names))
    meg = np.array([kind in (0, 1, 5) for kind in kinds])
    # Below 0, as those of CTF's gradiometers.
    gains[meg] = -2.9e15 * (1 + np.arange(meg.sum()) / 1000)
    return names, kinds, gains


def _res4(names: list[str], kinds: list[int], gains: np.ndarray, samples: int) -> bytes:
    """The header: fields at fixed places, then names, channels and compensation."""
    head = bytearray(1844)
    for at, text in ((0, "MEG41RS"), (778, "12:00"), (1033, "01/02/2018"), (1360, "run"), (1712, "BIGMEG")):
        head[at : at + len(text)] = text.encode()
    struct.pack_into(">h", head, 776, 1)  # averages
    struct.pack_into(">i", head, 1288, samples)
    struct.pack_into(">h", head, 1292, len(names))
    struct.pack_into(">d", head, 1296, CTF_RATE)
    struct.pack_into(">d", head, 1304, samples / CTF_RATE)
    struct.pack_into(">h", head, 1312, 1)  # trials
    struct.pack_into(">h", head, 1320, 1)  # trials done
    body = [bytes(head), struct.pack(">h", 0), *(name.encode().ljust(32, b"\x00") for name in names)]
    sensors = [name for name, kind in zip(names, kinds, strict=True) if kind == 5]
    # mne turns CTF's device by 45 degrees and lifts it by 19 cm.
    places = dict(zip(sensors, 100 * _helmet(sensors) @ _turn(-45).T - (0, 0, 19), strict=True))
    for i, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        place = places.get(name, np.array([1.0 + i, 2.0, 30.0]) if kind < 2 else np.zeros(3))
        gain = gains[i] / 2**20 if kind in (0, 1, 5) else 1.0
        body.append(_ctf_channel(kind, gain, 2.0**20 if gain < 0 else 1.0, place))
    references = [name for name, kind in zip(names, kinds, strict=True) if kind in (0, 1)]
    body.append(struct.pack(">h", len(sensors)))
    body += [_compensation(name, references, i) for i, name in enumerate(sensors)]
    return b"".join(body)


def _compensation(sensor: str, references: list[str], i: int) -> bytes:
    """What of which reference was subtracted from one sensor (third order, G3BR); there is room for 50 of them."""
    names = b"".join(name.encode().ljust(31, b"\x00") for name in references).ljust(50 * 31, b"\x00")
    factors = [0.01 * (i + 1) + 0.1 * k for k in range(len(references))] + [0.0] * (50 - len(references))
    return (
        sensor.encode().ljust(32, b"\x00")
        + struct.pack(">4siH", b"G3BR", 0, len(references))
        + names
        + struct.pack(">50d", *factors)
    )


def _ctf_channel(kind: int, gain: float, qgain: float, place: np.ndarray) -> bytes:
    """One channel: kind, gains, and eight coils in the device and in the head, in cm; a gradiometer has two."""
    two = kind in (1, 5)
    grade = 3 if kind == 5 else 0
    begin = struct.pack(">hhiddddhhi", kind, 0, 0, gain, qgain, 1.0, 0.0, 1 + two, grade, 0)
    normal = place / max(float(np.linalg.norm(place)), 1e-9)
    coils = [_coil(place, normal), _coil(place + 5 * normal, -normal)][: 1 + two]
    every = b"".join(coils).ljust(8 * 80, b"\x00")
    return begin + every + every


def _coil(place: np.ndarray, normal: np.ndarray) -> bytes:
    return struct.pack(">3dd3ddh6xd", *place, 0.0, *normal, 0.0, 1, 2.5)


def _coils() -> str:
    """Where the head is: the three coils in the device and in the head, in cm."""
    lines = []
    points = {"nasion": (9.0, 0.0, 0.0), "left ear": (0.0, 7.5, 0.0), "right ear": (0.0, -7.5, 0.0)}
    for name, point in points.items():
        for where, place in (("dewar", _turn(45) @ point + HEAD_SHIFT), ("head", point)):
            lines.append(f"measured {name} coil position relative to {where} (cm):")
            lines += [f"\t{axis} = {value:.6f}" for axis, value in zip("xyz", place, strict=True)]
    return "\n".join(lines) + "\n"


def _turn(degrees: float) -> np.ndarray:
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def meg_places(names: Sequence[str]) -> np.ndarray:
    """Positions (channel, 3) in m, head coordinates, of sensors in :func:`things_meg_raw`."""
    shift = _turn(45) @ HEAD_SHIFT + (0, 0, 19)
    return _helmet(list(names)) - shift / 100
