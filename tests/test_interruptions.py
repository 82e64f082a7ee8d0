"""Long runs: killed, told to stop, on a full disk, in a read-only folder, two at once, with a clock that jumps."""

from __future__ import annotations

import csv
import errno
import importlib
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

from neurodecode import cli, store
from neurodecode.cli._stop import Stopped, stoppable
from neurodecode.store import atomic, blocks, locks, places

ROOT = Path(__file__).resolve().parent.parent
VALUES = np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals on this system")


def work(seen: list[int] | None = None, fail_at: int = -1, **changed: object) -> blocks.Work:
    def compute(start: int, stop: int) -> np.ndarray:
        if start == fail_at:
            raise KeyboardInterrupt
        if seen is not None:
            seen.append(start)
        return VALUES[start:stop]

    whole = {
        "what": "test",
        "compute": compute,
        "name": "x",
        "dims": ("sample", "voxel"),
        "shape": VALUES.shape,
    }
    whole |= {"coords": {}, "attrs": {"units": "a.u."}, "parameters": {"a": 1}, "data": {}, "chunks": (2, 6)}
    return blocks.Work(**{**whole, **changed})


def begun(out: Path) -> Path:
    """Interrupt the making of a folder after two of four blocks."""
    with pytest.raises(KeyboardInterrupt):
        blocks.make(work(fail_at=4), out, blocks.batches(8, 2), progress=False)
    return out.with_name(out.name + ".part")


# ---------------------------------------------------------------- kills


@pytest.mark.slow
def test_a_few_kills_lose_nothing_and_leave_nothing(tmp_path):
    pytest.importorskip("dask")
    pytest.importorskip("torch")
    command = [
        sys.executable,
        "bench/interruptions.py",
        "sweep",
        "prepare",
        "train",
        "--kills",
        "6",
        "--kills-only",
    ]
    done = subprocess.run(
        [*command, "--seed", "5", "--out", str(tmp_path / "table")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "table.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [r["command"] for r in rows] == ["sweep", "prepare", "train", "all"]
    total = {k: int(v) for k, v in rows[-1].items() if v.isdigit()}
    assert total["kills"] == total["SIGKILL"] + total["SIGTERM"] + total["SIGINT"] == 6
    assert total["byte-equal ends"] == total["trials"] >= 3
    assert total["losses"] == total["left by a stop"] == total["left at the end"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["swep"], "there is no command 'swep'; there are 'sweep', "),
        (["--at-once", "0"], "--at-once 1 or more, got 100 and 0"),
    ],
)
def test_a_campaign_that_would_measure_nothing_is_refused(monkeypatch, capsys, options, words):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(ROOT / "bench")
    monkeypatch.setattr(sys, "argv", ["interruptions.py", *options])
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module("interruptions").main()
    assert words in capsys.readouterr().err


def test_what_zarr_leaves_of_a_chunk_does_not_come_into_the_result(tmp_path):
    out = tmp_path / "a.zarr"
    half = begun(out) / blocks.ARRAY / "x" / "2.0123456789abcdef0123456789abcdef.partial"
    half.write_bytes(b"half")
    seen: list[int] = []
    blocks.make(work(seen), out, blocks.batches(8, 2), progress=False)
    assert seen == [4, 6]
    assert not list(tmp_path.rglob("*.partial"))
    np.testing.assert_array_equal(store.load(out).values, VALUES)


def test_zarr_names_a_chunk_being_written_as_is_assumed(tmp_path, monkeypatch):
    """The name is zarr's own business; here it would be noticed that it has changed."""
    names: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: (names.append(self.name), replace(self, to))[1])
    blocks.make(work(), tmp_path / "a.zarr", blocks.batches(8, 2), progress=False)
    assert names
    assert all(Path(name).match(blocks.HALF) for name in names)


def test_what_was_killed_before_its_first_block_is_open_to_other_options(tmp_path):
    """As SIGKILL leaves it: the key is written and no block is finished."""
    out = tmp_path / "a.zarr"
    part = begun(out)
    (part / blocks.JOURNAL).write_text("\n[0, 2, 12")
    blocks.make(work(parameters={"a": 2}), out, blocks.batches(8, 2), progress=False)
    np.testing.assert_array_equal(store.load(out).values, VALUES)
    assert os.listdir(tmp_path) == ["a.zarr"]
    begun(tmp_path / "b.zarr")
    with pytest.raises(ValueError, match="begun with another key; 1 of .* 'a': 1 in the folder, 2 now"):
        blocks.make(work(parameters={"a": 2}), tmp_path / "b.zarr", blocks.batches(8, 2), progress=False)


def test_a_training_killed_while_it_writes_its_state_leaves_what_the_next_removes(tmp_path):
    """The system kills a process in the middle of a file that grows past its limit."""
    pytest.importorskip("torch", reason="torch is not installed")
    code = f"""if True:
        import resource, signal, sys, torch
        from neurodecode.networks.checkpoints import Checkpoint
        kept = Checkpoint({str(tmp_path / "training")!r}, key={{"a": 1}})
        if sys.argv[1] == "killed":
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        kept.save({{"weights": torch.zeros(10_000)}}, {{"epoch": 1}})
        """
    run = [sys.executable, "-c", code]
    killed = subprocess.run([*run, "killed"], check=False)
    assert killed.returncode == -signal.SIGXFSZ
    left = {p.name for p in (tmp_path / "training").iterdir()} - {"key.json"}
    assert len(left) == 1
    subprocess.run([*run, "whole"], check=True)
    assert {p.name for p in (tmp_path / "training").iterdir()} == {"key.json", "state.safetensors"}


# ---------------------------------------------------------------- told to stop


STOPS = {"SIGTERM": 143, "SIGHUP": 129, "SIGINT": 130}


def stopped(monkeypatch, capsys, *words: str, name: str = "SIGTERM") -> tuple[int, str]:
    """Run a command that is told to stop while it reads its data."""

    def told(args: object) -> None:
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(5)

    monkeypatch.setattr("neurodecode.inputs.read", told)
    return cli.main(list(words)), capsys.readouterr().err


@pytest.fixture
def _heard():
    """A shell's jobs in the background ignore Ctrl-C, those under nohup SIGHUP, and so does what they begin."""
    heard = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_heard")
@pytest.mark.parametrize("name", STOPS)
def test_a_command_that_is_told_to_stop_says_what_was_kept(tmp_path, monkeypatch, capsys, name):
    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    said = ("sweep", "--out", str(tmp_path / "s.nc"))
    status, err = stopped(monkeypatch, capsys, *said, name=name)
    assert status == STOPS[name]
    assert name in err
    assert "nothing was kept; with --resume FOLDER" in err
    status, err = stopped(monkeypatch, capsys, *said, "--resume", str(tmp_path / "pieces"), name=name)
    assert status == STOPS[name]
    assert "what was finished is kept, and the same command goes on from there" in err
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before
    assert not list(tmp_path.iterdir())


def test_signals_that_are_ignored_stay_ignored_and_a_second_one_is_not_caught():
    """Ignored as nohup leaves them."""

    def told(name: str) -> None:
        with stoppable():
            try:
                os.kill(os.getpid(), getattr(signal, name))
            finally:
                seen.append(signal.getsignal(signal.SIGTERM))

    seen: list[object] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        told("SIGHUP")
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    with pytest.raises(Stopped, match="SIGTERM"):
        told("SIGTERM")
    assert seen[0] is not signal.SIG_DFL
    assert seen[1] is signal.SIG_DFL


def test_a_stop_in_the_middle_of_a_write_leaves_no_temporary_file(tmp_path, monkeypatch):
    def told(part: Path) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("neurodecode.store.files.seal", told)
    with pytest.raises(Stopped), stoppable():
        store.save(xr.DataArray([1.0]), tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- full disks


FULL = """
    import os, resource, signal
    import numpy as np, xarray as xr
    from neurodecode import store
    from neurodecode.store import blocks
    from tests.test_interruptions import work
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    pieces = store.Pieces("pieces", key={"a": 1})
    pieces.save("one", xr.DataArray([1.0]))
    def limited(start, stop):
        if start == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return np.ones((2, 6), np.float32)
    limit = 40
    try:
        blocks.make(work(compute=limited), __import__("pathlib").Path("a.zarr"), blocks.batches(8, 2), progress=False)
    except OSError as error:
        print(error)
    for write in (
        lambda: pieces.save("two", xr.DataArray(np.ones(10_000))),
        lambda: store.write_bytes(__import__("pathlib").Path("c.png"), bytes(100)),
    ):
        try:
            write()
        except OSError as error:
            print(error)
"""


def test_a_full_disk_is_told_with_what_is_free_and_what_was_kept(tmp_path):
    """A real refusal of the system: files may not grow beyond a limit."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    block, piece, picture = done.stdout.splitlines()
    for line, file, kept in (
        (block, "a.zarr.part/array.zarr", "2 of 4 blocks are kept in a.zarr.part"),
        (piece, "pieces/two.nc", "1 finished piece(s) are kept in pieces"),
        (picture, "c.png", "nothing was left there"),
    ):
        assert f"{file}: {os.strerror(errno.EFBIG)}; " in line, done.stderr
        assert f" MiB are free on its disk; {kept}. Make free space there" in line
    assert sorted(os.listdir(tmp_path)) == ["a.zarr.part", "pieces"]
    assert sorted(os.listdir(tmp_path / "pieces")) == ["key.json", "one.nc"]
    seen: list[int] = []
    blocks.make(work(seen), tmp_path / "a.zarr", blocks.batches(8, 2), progress=False)
    assert seen == [4, 6]


def test_a_file_without_room_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 8000 + places.MARGIN}))
    store.save(xr.DataArray(np.ones(1000)), tmp_path / "a.nc")
    monkeypatch.setattr("neurodecode.store.files.write_netcdf", None)
    with pytest.raises(
        OSError, match="cannot write .*b.nc: No space left on device; 0.3 MiB are free on its disk; noth"
    ):
        store.save(xr.DataArray(np.ones(1001)), tmp_path / "b.nc")
    assert os.listdir(tmp_path) == ["a.nc"]


def test_a_disk_that_tells_no_size_is_not_taken_for_full(tmp_path, monkeypatch):
    """Some network disks say 0 of 0 bytes."""
    usage = type("Usage", (), {"free": 0, "total": 0})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    store.save(xr.DataArray(np.ones(1000)), tmp_path / "a.nc")
    blocks.require_disk(tmp_path, 1000, what="a")
    usage.total = 1
    with pytest.raises(OSError, match="No space left on device"):
        store.save(xr.DataArray(np.ones(1000)), tmp_path / "b.nc")


def test_finished_pieces_are_counted_only_when_a_write_fails(tmp_path, monkeypatch):
    pieces = store.Pieces(tmp_path / "pieces", key={})
    monkeypatch.setattr(store.Pieces, "_count", lambda self: pytest.fail("counted"))
    pieces.save("a", xr.DataArray(1.0))


def test_what_is_missing_of_a_begun_folder_must_have_room(tmp_path, monkeypatch):
    out = tmp_path / "a.zarr"
    begun(out)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 95}))
    seen: list[int] = []
    with pytest.raises(OSError, match=r"a\.zarr \(8, 6\), of which 50% is missing, needs about 0\.00 GiB"):
        blocks.make(work(seen), out, blocks.batches(8, 2), progress=False)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 4 * 24}))
    blocks.make(work(seen), out, blocks.batches(8, 2), progress=False)
    assert seen == [4, 6]


# ---------------------------------------------------------------- read-only folders


@pytest.fixture
def read_only(tmp_path):
    """A folder that cannot be written to: a disk mounted so for root, who passes over permissions."""
    folder = tmp_path / "read_only"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder, "is not writable by you"
        folder.chmod(0o755)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("root may write everywhere, and may not mount a disk here")
    yield folder, "lies on a disk that is mounted read-only"
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_folder_is_refused_before_anything_is_read(read_only, capsys):
    """Nothing that these commands would read is there, and none of them comes so far as to notice."""
    folder, why = read_only
    out = folder / "deep"
    for words in (
        ("sweep", "--out", out / "s.nc", "--responses", "absent.nc"),
        ("sweep", "--out", folder.parent / "s.nc", "--resume", out, "--responses", "absent.nc"),
        ("decode", "--out", folder / "s.nc", "--responses", "absent.nc"),
        ("prepare", "nsd", "--root", "absent", "--subject", 1, "--out", folder / "a.zarr"),
        ("features", "--images", "absent", "--model", "absent", "--out", out),
        ("reconstruct", "absent.nc", "--out", out),
    ):
        assert cli.main([str(w) for w in words]) == 2
        err = capsys.readouterr().err
        assert f"cannot be written to: the folder {folder} {why}; choose another folder" in err
        assert "absent" not in err


def test_pieces_are_read_from_a_read_only_folder_but_none_is_begun(read_only, tmp_path, monkeypatch):
    folder, why = read_only
    with pytest.raises(PermissionError, match=why):
        store.Pieces(folder / "new", key={})
    with pytest.raises(PermissionError, match=why):
        blocks.make(work(), folder / "a.zarr", blocks.batches(8, 2), progress=False)
    with pytest.raises(PermissionError, match=why):
        store.save(xr.DataArray([1.0]), folder / "a.nc")
    pieces = store.Pieces(tmp_path / "pieces", key={})
    pieces.save("one", xr.DataArray([1.0]))
    monkeypatch.setattr(places.os, "access", lambda *a: False)
    assert not pieces.lacks("one")
    with pytest.raises(PermissionError, match="the folder of finished pieces .*cannot be written to"):
        pieces.lacks("two")


# ---------------------------------------------------------------- two at once


def test_a_folder_that_another_run_finishes_just_now_is_begun_again(tmp_path, monkeypatch):
    """The other one removes the folder when this one has seen it, before it takes the lock."""
    part, calls = tmp_path / "a.part", []
    locked = locks._locked

    def late(lock: Path, what: str) -> object:
        calls.append(lock)
        if len(calls) == 1:
            part.rmdir()
        return locked(lock, what)

    monkeypatch.setattr(locks, "_locked", late)
    with locks.alone(part, what="a"):
        assert len(calls) == 2
        assert (part / locks.LOCK).exists()
        with (
            pytest.raises(BlockingIOError, match="another process is making a at this moment"),
            locks.alone(part, what="a"),
        ):
            pass
    with pytest.raises(FileNotFoundError), locks.alone(tmp_path / "no" / "a.part", what="a"):
        pass


# ---------------------------------------------------------------- clocks and numbers of processes


def test_what_another_host_writes_is_left_alone_whatever_the_clock_says(tmp_path, monkeypatch):
    name = ".0123456789abcdef.otherhost.1.77-0a0b0c0d.part"
    for years, left in ((10, True), (-10, True)):
        (tmp_path / name).write_bytes(b"half")
        now = time.time()
        monkeypatch.setattr("time.time", lambda now=now, years=years: now + years * 365 * 86400)
        store.Pieces(tmp_path, key={})
        assert (tmp_path / name).exists() is left
        monkeypatch.undo()
    os.utime(tmp_path / name, (0, 0))
    store.Pieces(tmp_path, key={})
    assert os.listdir(tmp_path) == ["key.json"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc on this system")
def test_a_process_that_has_the_number_of_a_killed_one_is_told_from_it(tmp_path):
    mine = atomic.part_name(tmp_path / "a.nc")
    began = mine.name.split(".")[4].split("-")[0]
    assert began.isdigit()
    theirs = mine.with_name(mine.name.replace(f".{began}-", f".{int(began) - 1}-"))
    for part in (mine, theirs):
        part.write_bytes(b"half")
    store.Pieces(tmp_path, key={})
    assert [p.name for p in tmp_path.glob(".*")] == [mine.name]


def test_equal_runs_leave_equal_bytes_under_a_set_date(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in "ab":
        found = store.stamp(
            xr.DataArray([1.0, 2.0], dims="x"), what="spatial.decode", parameters={"alpha": 1}
        )
        store.save(found, tmp_path / name)
        time.sleep(1.1 if name == "a" else 0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert store.provenance(found)["date"] == "2023-11-14T22:13:20+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ValueError, match="SOURCE_DATE_EPOCH must be a whole number .*'yesterday'; unset it"):
        store.stamp(found, what="spatial.decode", parameters={})
