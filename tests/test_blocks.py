"""Arrays made block by block: whole or not at all, resumed after a kill, checked against what was written."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
import xarray as xr

from neurodecode import store
from neurodecode.store import blocks, folders

VALUES = np.random.default_rng(0).normal(size=(7, 3, 5)).astype(np.float32)


def work(axis: int = 0, seen: list | None = None, fail_at: int | None = None, **changed) -> blocks.Work:
    def compute(start: int, stop: int) -> np.ndarray:
        if start == fail_at:
            raise KeyboardInterrupt
        if seen is not None:
            seen.append((start, stop))
        return VALUES[(*(slice(None),) * axis, slice(start, stop))]

    said = {
        "what": "a test",
        "name": "responses",
        "dims": ("sample", "channel", "time"),
        "shape": VALUES.shape,
        "coords": {
            "sample": ("sample", [f"s{i}" for i in range(7)]),
            "split": ("sample", ["train"] * 5 + ["test"] * 2),
            "time": ("time", np.arange(5) / 10),
            "good": ("channel", [True, False, True]),
        },
        "attrs": {"units": "V", "affine": [1.0, 0.0]},
        "parameters": {"band": (0.1, 40.0)},
        "data": {"files": "0123"},
        "chunks": (3, 3, 2),
    }
    return blocks.Work(compute=compute, axis=axis, **(said | changed))


@pytest.mark.parametrize(("axis", "parts"), [(0, [(0, 2), (2, 6), (6, 7)]), (2, [(0, 1), (1, 4), (4, 5)])])
@pytest.mark.parametrize("lazily", [False, True])
def test_blocks_along_any_axis_come_back_with_labels_and_how_they_were_made(tmp_path, axis, parts, lazily):
    if lazily:
        pytest.importorskip("dask")
    out = tmp_path / "a.zarr"
    blocks.make(work(axis), out, parts, progress=False)
    found = folders.open_blocks(out, lazily=lazily)
    assert (found.chunks is not None) == lazily
    np.testing.assert_array_equal(found.values, VALUES)
    for name, (dim, labels) in work().coords.items():
        assert found[name].dims == (dim,)
        np.testing.assert_array_equal(found[name].values, labels)
    assert found.attrs["units"] == "V"
    assert store.provenance(found)["data"] == {"files": "0123"}
    assert set(found.attrs) == {"units", "affine", "provenance"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    assert not folders.damaged(out)
    xr.testing.assert_identical(store.load(out), found.load())


def test_what_was_interrupted_goes_on_and_only_with_the_same_key(tmp_path):
    out, parts = tmp_path / "a.zarr", blocks.batches(7, 2)
    with pytest.raises(KeyboardInterrupt):
        blocks.make(work(fail_at=4), out, parts, progress=False)
    with pytest.raises(
        FileNotFoundError, match=r"there is no folder .*a\.zarr; it was begun and is not whole"
    ):
        folders.open_blocks(out)
    with pytest.raises(ValueError, match=r"differ: 'band': \[0.1, 40.0\] in the folder, \[0.1, 30.0\] now"):
        blocks.make(work(parameters={"band": (0.1, 30.0)}), out, parts, progress=False)
    seen: list = []
    blocks.make(work(seen=seen), out, parts, progress=False)
    assert seen == [(4, 6), (6, 7)]
    np.testing.assert_array_equal(folders.open_blocks(out).values, VALUES)
    with pytest.raises(
        ValueError, match="holds something else; 1 entries differ: 'files': '0123' there, '4' now"
    ):
        blocks.make(work(data={"files": "4"}), out, parts, progress=False)


def test_a_finished_folder_that_was_damaged_says_where(tmp_path):
    out = tmp_path / "a.zarr"
    blocks.make(work(), out, [(0, 3), (3, 7)], progress=False)
    chunk = out / "responses" / "1.0.0"
    held = bytearray(chunk.read_bytes())
    held[9] ^= 1
    chunk.write_bytes(held)
    (wrong,) = folders.damaged(out)
    assert wrong.startswith("sample 3 to 7 has the checksum")
    with pytest.raises(ValueError, match=r"a\.zarr is damaged: 'sample 3 to 7 has the checksum"):
        store.load(out)
    chunk.write_bytes(held[:-4])
    (wrong,) = folders.damaged(out)
    assert wrong.startswith("sample 3 to 7 cannot be read")


def test_a_disk_without_room_is_refused_before_the_first_block(tmp_path, monkeypatch):
    seen: list = []
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"a\.zarr \(7, 3, 5\) needs about .* GiB but only 0.00 GiB are free"):
        blocks.make(work(seen=seen), tmp_path / "a.zarr", [(0, 7)], progress=False)
    assert not seen
    assert not list(tmp_path.iterdir())


def test_folders_of_others_are_refused(tmp_path):
    out = tmp_path / "other.zarr"
    xr.Dataset({"x": ("t", np.arange(3.0))}).to_zarr(out, zarr_format=2, consolidated=False)
    before = json.loads((out / "x" / ".zarray").read_text())
    with pytest.raises(ValueError, match="no zarr folder that neurodecode made"):
        folders.open_blocks(out)
    with pytest.raises(ValueError, match="no zarr folder that neurodecode made"):
        blocks.make(work(), out, [(0, 7)], progress=False)
    assert json.loads((out / "x" / ".zarray").read_text()) == before


def test_a_second_run_at_the_same_time_is_refused_and_the_first_one_finishes(tmp_path):
    out, met = tmp_path / "a.zarr", []

    def compute(start: int, stop: int) -> np.ndarray:
        if start == 2:
            with pytest.raises(BlockingIOError, match=r"another process is making .*a\.zarr at this moment"):
                blocks.make(work(), out, blocks.batches(7, 2), progress=False)
            met.append(start)
        return VALUES[start:stop]

    first = work()
    object.__setattr__(first, "compute", compute)
    blocks.make(first, out, blocks.batches(7, 2), progress=False)
    assert met == [2]
    assert not folders.damaged(out)
    np.testing.assert_array_equal(folders.open_blocks(out).values, VALUES)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_what_another_process_makes_meanwhile_is_left_as_it_is(tmp_path):
    target = tmp_path / "a.zarr"

    def compute(start: int, stop: int) -> np.ndarray:
        target.mkdir(exist_ok=True)
        (target / "theirs").touch()
        return VALUES[start:stop]

    one = dataclasses.replace(work(), compute=compute)
    with pytest.raises(
        FileExistsError, match=r"a.zarr was made by somebody else meanwhile; .* or remove it and run"
    ):
        blocks.make(one, target, [(0, 7)], progress=False)
    assert [path.name for path in target.iterdir()] == ["theirs"]
    (target / "theirs").unlink()
    target.rmdir()
    blocks.make(work(fail_at=0), target, [(0, 7)], progress=False)  # nothing is computed again
    np.testing.assert_array_equal(folders.open_blocks(target).values, VALUES)


def test_an_error_before_the_first_block_is_done_leaves_nothing(tmp_path):
    out = tmp_path / "a.zarr"
    with pytest.raises(KeyboardInterrupt):
        blocks.make(work(fail_at=0), out, blocks.batches(7, 2), progress=False)
    assert not list(tmp_path.iterdir())
    blocks.make(work(parameters={"band": (0.1, 30.0)}), out, blocks.batches(7, 2), progress=False)
    np.testing.assert_array_equal(folders.open_blocks(out).values, VALUES)


def test_a_resumed_run_leaves_the_stamp_of_an_undisturbed_one(tmp_path):
    with store.noting():
        warnings.warn("said before the kill", stacklevel=1)
        made = work().labelled(VALUES)
    with store.noting():
        again = work().labelled(VALUES)
    without = [{k: v for k, v in store.provenance(a).items() if k != "date"} for a in (made, again)]
    assert without[0] == without[1]


def test_attributes_need_not_be_plain_json(tmp_path):
    out = tmp_path / "a.zarr"
    attrs = {"rate": np.float32(0.5), "affine": np.eye(2), "none": None}
    blocks.make(work(attrs=attrs), out, [(0, 7)], progress=False)
    found = folders.open_blocks(out).attrs
    assert found["rate"] == 0.5
    assert found["affine"] == [[1.0, 0.0], [0.0, 1.0]]
    assert found["none"] is None


def test_folders_without_checksums_are_read(tmp_path):
    out = tmp_path / "a.zarr"
    blocks.make(work(), out, [(0, 7)], progress=False)
    file = out / "responses" / ".zattrs"
    attrs = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in attrs.items() if k not in ("checksums", "axis")}))
    (out / ".zattrs").unlink()
    assert not folders.damaged(out)
    np.testing.assert_array_equal(store.load(out).values, VALUES)
