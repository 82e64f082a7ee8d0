"""From single trials to what is decoded: equal to plain NumPy, blind to test data, resumed after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import fractional_matrix_power

import neurodecode as nd
from neurodecode import inputs, store
from neurodecode.datasets import prepared
from neurodecode.prepare import MVNN, ZScore
from neurodecode.store import folders

ROOT = Path(__file__).resolve().parent.parent


def epochs(
    *,
    pictures: int = 6,
    repeats: int = 3,
    sessions: int = 2,
    channels: int = 4,
    times: int = 7,
    seed: int = 0,
):
    """Epochs whose noise is correlated over channels, otherwise in every session; the last two pictures test."""
    rng = np.random.default_rng(seed)
    each = pictures * repeats
    n = each * sessions
    picture = np.concatenate(
        [rng.permutation(np.repeat(np.arange(pictures), repeats)) for _ in range(sessions)]
    )
    session = np.repeat([f"ses-{s + 1}" for s in range(sessions)], each)
    mixing = rng.normal(size=(sessions, channels, channels))
    noise = rng.normal(size=(n, channels, times))
    values = np.einsum("nij,njt->nit", mixing[np.repeat(np.arange(sessions), each)], noise)
    values += rng.normal(size=(pictures, channels, times))[picture]
    return nd.brain.meeg(
        values.astype(np.float32),
        sample=[f"t{i:04d}" for i in range(n)],
        stimulus=[f"img_{p}" for p in picture],
        channel=[f"c{i}" for i in range(channels)],
        time=np.arange(times) / 100,
        session=session,
        split=np.where(picture < pictures - 2, "train", "test"),
        subject="sub-01",
        units="V",
    )


def voxels(**options):
    array = epochs(channels=5, times=6, **options)
    values = array.values.reshape(len(array), -1)
    return nd.brain.fmri(
        values,
        **{k: array[k].values for k in ("sample", "stimulus", "session", "split")},
        roi=["V1"] * 10 + ["LO"] * 20,
        units="% signal change",
    )


@pytest.fixture(params=["in memory", "on disk"])
def lazily(request):
    if request.param == "on disk":
        pytest.importorskip("dask")
        return lambda array: array.chunk(sample=7)
    return lambda array: array


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of two columns, so that borders of blocks are met."""
    monkeypatch.setattr(prepared, "BLOCK_BYTES", 4 * 36 * 4 * 2)
    monkeypatch.setattr(prepared, "CHUNK_BYTES", 4 * 7 * 4 * 3)


def test_zscores_by_session_and_averages_equal_plain_numpy(tmp_path, lazily):
    array = voxels()
    found = prepared.write(
        lazily(array), tmp_path / "a.zarr", normalise=ZScore(by="session"), average="all", progress=False
    )
    z = np.empty(array.shape)
    for name in ("ses-1", "ses-2"):
        rows = array.session.values == name
        train = array.values[rows & (array.split.values == "train")].astype(float)
        z[rows] = (array.values[rows] - train.mean(0)) / train.std(0)
    for i, picture in enumerate(found.stimulus.values):
        rows = array.stimulus.values == picture
        np.testing.assert_allclose(found.values[i], z[rows].mean(0), rtol=1e-4, atol=1e-5)
        assert found.trials.values[i] == rows.sum() == 6
        assert found.split.values[i] == array.split.values[rows][0]
    assert list(found.roi.values) == list(array.roi.values)
    assert found.attrs["units"] == "standard deviations"
    assert "ZScore(by='session')" in store.provenance(found)["parameters"]["normalise"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("method", ["time", "epoch", "pooled"])
def test_whitening_by_session_equals_plain_numpy(tmp_path, lazily, method):
    array = epochs()
    found = prepared.write(
        lazily(array),
        tmp_path / "a.zarr",
        normalise=MVNN(method, by="session", shrinkage=0.0),
        average=["test"],
        progress=False,
    )
    white = np.empty(array.shape)
    for name in ("ses-1", "ses-2"):
        rows = array.session.values == name
        train = array.isel(sample=rows & (array.split.values == "train"))
        white[rows] = np.einsum(
            "ij,njt->nit", fractional_matrix_power(_covariance(train, method), -0.5), array.values[rows]
        )
    single = array.split.values == "train"
    np.testing.assert_array_equal(found.sample.values[: single.sum()], array.sample.values[single])
    np.testing.assert_allclose(found.values[: single.sum()], white[single], rtol=2e-4, atol=2e-5)
    for i, picture in enumerate(found.stimulus.values[single.sum() :], start=single.sum()):
        rows = array.stimulus.values == picture
        np.testing.assert_allclose(found.values[i], white[rows].mean(0), rtol=2e-4, atol=2e-5)
    assert found.trials.values.tolist() == [1] * single.sum() + [6] * 2
    np.testing.assert_array_equal(found.session.values[: single.sum()], array.session.values[single])
    assert set(found.session.values[single.sum() :]) == {""}
    assert found.attrs["units"] == "noise standard deviations"


def _covariance(train: xr.DataArray, method: str) -> np.ndarray:
    """Noise covariance by loops over conditions, times and trials."""
    conditions = [train.values[train.stimulus.values == p].astype(float) for p in np.unique(train.stimulus)]
    if method == "time":
        return np.mean([np.cov(x[:, :, t].T) for x in conditions for t in range(x.shape[2])], axis=0)
    if method == "epoch":
        return np.mean([np.mean([np.cov(trial) for trial in x], axis=0) for x in conditions], axis=0)
    left = np.concatenate([x - x.mean(0) for x in conditions])
    flat = left.transpose(0, 2, 1).reshape(-1, left.shape[1])
    return flat.T @ flat / (train.sizes["time"] * (len(left) - len(conditions)))


def test_whitened_training_noise_has_the_identity_as_covariance(tmp_path, lazily):
    array = epochs(repeats=20)
    white = prepared.write(
        lazily(array),
        tmp_path / "a.zarr",
        normalise=MVNN("pooled", by="session", shrinkage=0.0),
        progress=False,
    )
    for name in ("ses-1", "ses-2"):
        train = white.isel(sample=(white.session.values == name) & (white.split.values == "train"))
        np.testing.assert_allclose(_covariance(train, "pooled"), np.eye(4), atol=1e-5)


@pytest.mark.parametrize(
    "normalise", [ZScore(by="session"), *(MVNN(m, by="session") for m in ("time", "epoch", "pooled"))]
)
def test_no_test_value_reaches_the_training_data_or_a_statistic(tmp_path, normalise):
    array = epochs() if isinstance(normalise, MVNN) else voxels()
    test = array.split.values == "test"
    other = array.copy(
        data=np.where(test.reshape(-1, *[1] * (array.ndim - 1)), 1e3 * array.values[::-1] + 7, array.values)
    )
    found, moved = (
        prepared.write(x, tmp_path / name, normalise=normalise, progress=False)
        for x, name in ((array, "a.zarr"), (other, "b.zarr"))
    )
    np.testing.assert_array_equal(found.values[~test], moved.values[~test])
    # And a test trial is what it is whatever the other test trials are.
    one = array.copy(data=array.values.copy())
    one.values[np.flatnonzero(test)[1:]] *= 5
    again = prepared.write(one, tmp_path / "c.zarr", normalise=normalise, progress=False)
    np.testing.assert_array_equal(
        found.values[np.flatnonzero(test)[0]], again.values[np.flatnonzero(test)[0]]
    )
    assert not hasattr(normalise, "mean_")
    assert not hasattr(normalise, "whitener_")


def test_what_was_held_out_for_validation_takes_no_part_in_a_fit(tmp_path):
    array = nd.folds.hold_out(voxels(), 1)
    rows = array.split.values == "validation"
    assert set(array.stimulus.values[rows]) == {
        list(dict.fromkeys(array.stimulus.values[array.split.values != "test"]))[-1]
    }
    other = array.copy(data=np.where(rows[:, None], 9.0, array.values).astype("f4"))
    found, moved = (
        prepared.write(x, tmp_path / name, normalise=ZScore(), average="all", progress=False)
        for x, name in ((array, "a.zarr"), (other, "b.zarr"))
    )
    kept = found.split.values != "validation"
    np.testing.assert_array_equal(found.values[kept], moved.values[kept])


def test_errors_come_before_any_work(tmp_path):
    array = voxels()
    with pytest.raises(
        ValueError, match="average names 'val', no value of 'split'; there are 'test', 'train'"
    ):
        prepared.write(array, tmp_path / "a.zarr", average=["val"])
    with pytest.raises(ValueError, match="what normalise is fitted on='train' is no value of 'split'"):
        prepared.write(
            array.isel(sample=array.split.values == "test"), tmp_path / "a.zarr", normalise=ZScore()
        )
    with pytest.raises(TypeError, match="must be a ZScore or MVNN"):
        prepared.write(array, tmp_path / "a.zarr", normalise="zscore")
    with pytest.raises(ValueError, match="duplicate 'sample'"):
        prepared.write(xr.concat([array, array], "sample"), tmp_path / "a.zarr")
    with pytest.raises(FileNotFoundError, match="does not exist; create it first"):
        prepared.write(array, tmp_path / "no" / "a.zarr")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("array", "normalise", "message"),
    [
        (voxels(), MVNN(), r"MVNN whitens \(sample, channel, time\).*\('sample', 'voxel'\)"),
        (voxels(), ZScore(by="sesion"), "no coordinate 'sesion'"),
        (epochs(), MVNN(by="sesion"), "no coordinate 'sesion'"),
        (epochs().drop_vars("stimulus"), MVNN(), "no coordinate 'stimulus'"),
        (epochs().isel(time=[0]), MVNN("epoch"), "at least 2 time points"),
        (voxels().isel(voxel=slice(0, 0)), None, "there is nothing to prepare"),
        (voxels().isel(sample=slice(0, 0)), None, "there is nothing to prepare"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_any_work(tmp_path, lazily, array, normalise, message):
    with pytest.raises(ValueError, match=message):
        prepared.write(lazily(array), tmp_path / "a.zarr", normalise=normalise, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_session_without_training_samples_is_refused_before_any_work(tmp_path, lazily):
    array = voxels()
    array = array.assign_coords(split=("sample", np.where(array.session.values == "ses-1", "train", "test")))
    with pytest.raises(ValueError, match="knows session 'ses-1' from training, but 18 row"):
        prepared.write(lazily(array), tmp_path / "a.zarr", normalise=ZScore(by="session"), progress=False)
    assert not list(tmp_path.iterdir())


def test_what_is_averaged_already_keeps_its_counts_and_a_missing_text_is_empty(tmp_path):
    array = nd.brain.average_repeats(epochs(), by=("stimulus", "session"))
    notes = np.array(["late", None] * 6, dtype=object)
    found = prepared.write(
        array.assign_coords(note=("sample", notes)), tmp_path / "a.zarr", average=["test"], progress=False
    )
    assert found.trials.values.tolist() == [3] * 8 + [6] * 2
    assert set(found.note.values) == {"late", ""}
    split = np.where(array.stimulus == "img_0", None, array.split.values.astype(object))
    found = prepared.write(
        array.assign_coords(split=("sample", split)), tmp_path / "b.zarr", average=["test"], progress=False
    )
    assert set(found.split.values) == {"", "train", "test"}


def test_channels_without_times_are_whitened_together(tmp_path, lazily, monkeypatch):
    monkeypatch.setattr(prepared, "BLOCK_BYTES", 4 * 36 * 2)
    array = epochs().isel(time=2, drop=True)
    found = prepared.write(lazily(array), tmp_path / "a.zarr", normalise=MVNN(shrinkage=0.0), progress=False)
    train = array.isel(sample=array.split.values == "train")
    white = MVNN(shrinkage=0.0).fit(train).transform(array)
    np.testing.assert_allclose(found.values, white.values, rtol=1e-5, atol=1e-6)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    files = [tmp_path / "ses-01" / "raw.npy", tmp_path / "ses-02" / "raw.npy"]
    for size, file in enumerate(files, start=1):
        file.parent.mkdir()
        file.write_bytes(b"x" * size)
    found = prepared.write(voxels(), tmp_path / "a.zarr", files=files, progress=False)
    assert json.loads(found.attrs["files"]) == {"ses-01/raw.npy": 1, "ses-02/raw.npy": 2}


def test_a_disk_without_room_for_trials_and_result_is_refused_first(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    array = voxels().chunk(sample=9)
    usage = type("Usage", (), {"free": array.nbytes + 100})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"preparing a\.zarr needs about"):
        prepared.write(array, tmp_path / "a.zarr", progress=False)
    assert not list(tmp_path.iterdir())


def test_large_prepared_responses_stay_on_disk_and_are_checked_too(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    found = prepared.write(voxels(), tmp_path / "a.zarr", progress=False)
    assert inputs.responses_from(tmp_path / "a.zarr").chunks is None
    monkeypatch.setattr(inputs, "IN_MEMORY", 0.0)
    lazily = inputs.responses_from(tmp_path / "a.zarr")
    assert lazily.chunks is not None
    xr.testing.assert_identical(lazily.compute(), found.load())
    chunk = next((tmp_path / "a.zarr" / "responses").glob("0.*"))
    held = bytearray(chunk.read_bytes())
    held[9] ^= 1
    chunk.write_bytes(held)
    with pytest.raises(ValueError, match=r"a\.zarr is damaged: 'voxel"):
        inputs.responses_from(tmp_path / "a.zarr")


SCRIPT = """
    import sys, time, numpy as np
    sys.path.insert(0, {root!r})
    from pathlib import Path
    from tests.test_prepared import slow_voxels
    from neurodecode.datasets import prepared
    from neurodecode.prepare import ZScore
    prepared.BLOCK_BYTES = 36 * 4 * 2
    prepared.write(slow_voxels({delay}, Path({log!r})), {out!r}, normalise=ZScore(by="session"), average="all",
                   files=[Path({root!r}) / "pyproject.toml"], progress=False)
"""


def slow_voxels(delay: float, log: Path) -> xr.DataArray:
    """Lazy trials, each part of which takes its time and leaves a line."""
    import dask
    import dask.array

    array = voxels()

    def part(start: int) -> np.ndarray:
        time.sleep(delay)
        with log.open("a") as stream:
            stream.write(f"{start}\n")
        return array.values[start : start + 6]

    parts = [
        dask.array.from_delayed(dask.delayed(part, pure=False)(s), (6, array.shape[1]), np.float32)
        for s in range(0, len(array), 6)
    ]
    return array.copy(data=dask.array.concatenate(parts))


@pytest.mark.slow
def test_killed_and_run_again_it_reads_only_what_was_missing(tmp_path):
    pytest.importorskip("dask")
    out, log = tmp_path / "a.zarr", tmp_path / "log"
    words = {"root": str(ROOT), "log": str(log), "out": str(out)}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT.format(delay=0.3, **words))], cwd=ROOT
    )
    try:
        limit = time.monotonic() + 120
        while not log.exists() or log.read_text().count("\n") < 3:
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not out.exists()
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT.format(delay=0, **words))], cwd=ROOT, check=True
    )
    read = log.read_text().split()
    # The part that was being read when it died is read twice, no other.
    assert set(read) == {str(s) for s in range(0, 36, 6)}
    assert len(read) <= 7
    whole = prepared.write(
        voxels(), tmp_path / "b.zarr", normalise=ZScore(by="session"), average="all", progress=False
    )
    xr.testing.assert_equal(folders.open_blocks(out).load(), whole.load())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "b.zarr", "log"]


def test_other_files_or_options_are_not_gone_on_with(tmp_path):
    array, file = voxels(), tmp_path / "betas.hdf5"
    file.write_bytes(b"1")
    out = tmp_path / "a.zarr"
    first = prepared.write(array, out, files=[file], parameters={"subject": 1}, progress=False)
    again = prepared.write(array, out, files=[file], parameters={"subject": 1}, progress=False)
    xr.testing.assert_identical(first.load(), again.load())
    with pytest.raises(ValueError, match="holds something else; 1 entries differ: 'subject': 1 there, 2 now"):
        prepared.write(array, out, files=[file], parameters={"subject": 2}, progress=False)
    file.write_bytes(b"22")
    with pytest.raises(ValueError, match="differ: 'files'"):
        prepared.write(array, out, files=[file], parameters={"subject": 1}, progress=False)


MEMORY = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {root!r})
    import dask, dask.array, numpy as np, neurodecode as nd
    from neurodecode.datasets import prepared
    from neurodecode.prepare import {kind}
    parts, n, shape = {parts}, 400, {shape}
    def part(i):
        return np.random.default_rng(i).normal(size=(n, *shape)).astype("f4")
    lazily = [dask.array.from_delayed(dask.delayed(part)(i), (n, *shape), "f4") for i in range(parts)]
    values = dask.array.concatenate(lazily)
    rows = np.arange(n * parts)
    said = dict(sample=rows, stimulus=rows // 2, session=rows // n, split=np.where(rows // 2 % 10, "train", "test"))
    if len(shape) == 1:
        array = nd.brain.fmri(values, **said)
    else:
        array = nd.brain.meeg(values, **said, channel=list(range(shape[0])), time=np.arange(shape[1]) / 100)
    prepared.BLOCK_BYTES = 1 << 24
    with dask.config.set(scheduler="synchronous"):
        prepared.write(array, {out!r}, normalise={kind}(by="session"), average="all", progress=False,
                       files=[Path({root!r}) / "pyproject.toml"])
    # Of this program alone: the peak that getrusage tells begins with that of the process which started it.
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure memory")
@pytest.mark.parametrize(("kind", "shape"), [("ZScore", (8000,)), ("MVNN", (40, 120))])
def test_ten_times_as_many_trials_take_the_same_peak_memory(tmp_path, kind, shape):
    pytest.importorskip("dask")
    peaks = []
    for parts in (2, 20):
        words = {
            "root": str(ROOT),
            "kind": kind,
            "shape": shape,
            "parts": parts,
            "out": str(tmp_path / f"{parts}.zarr"),
        }
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(MEMORY.format(**words))],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        peaks.append(int(done.stdout.split()[-1]))
    # The trials alone grow from 26 MB to 256 MB (ZScore), and from 15 MB to 154 MB (MVNN).
    assert peaks[1] < 1.2 * peaks[0], peaks
