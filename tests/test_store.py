"""Results come back identical, files are whole or not there, and an interrupted run goes on."""

from __future__ import annotations

import copy
import datetime
import json
import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, PredefinedSplit

from neurodecode.store import (
    Pieces,
    data_hash,
    describe,
    files,
    fingerprint,
    load,
    provenance,
    save,
    stamp,
    write_text,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]


def free_strings() -> np.dtype | type:
    """NumPy's strings of any length, where xarray can compare arrays of them (not yet in 2025)."""
    strings = xr.Variable("x", np.array(["a"], dtype=np.dtypes.StringDType()))
    return np.dtypes.StringDType() if strings.identical(strings.copy()) else str


FREE = free_strings()


def scores() -> xr.DataArray:
    rng = np.random.default_rng(0)
    return xr.DataArray(
        rng.random((4, 3)).astype("f4"),
        dims=("region", "fold"),
        coords={
            "region": ["V1", "V2", "V3ab", "hV4"],
            "group": ("region", np.array(["LVC", "LVC", "LVC", ""], dtype=object)),
            "kept": ("region", [True, False, True, False]),
            "n_voxels": ("region", np.arange(4, dtype="i4")),
            "vertex": ("region", np.arange(4, dtype="u2")),
            "date": (
                "region",
                np.array(["2020-01-01", "NaT", "1970-01-01", "2262-01-01"], dtype="datetime64[us]"),
            ),
            "took": ("region", np.array([1, 2, 3, "NaT"], dtype="timedelta64[ms]")),
            "half": ("region", np.arange(4, dtype="f2")),
            "phase": ("region", np.array([1j, 2, np.nan, 0], dtype="c8")),
            "code": ("region", np.array([b"a", b"b\0c", b"", b"\xff"])),
            "mixed": ("region", np.array([None, 1.5, "a", True], dtype=object)),
            "nul": ("region", np.array(["a\0b", "c", "", "\n"])),
            "wide": ("region", np.array(["é", "脳", "", "x"], dtype="<U20")),
            "free": ("region", np.array(["a", "b", "c", "longer than others"], dtype=FREE)),
            "subject": "S1",
            "session": np.int32(3),
            "tested": np.bool_(True),
        },
        name="score",
        attrs={"score": "pattern", "chance": 0.5, "units": "seconds"},
    )  # fmt: skip


def odd_attributes() -> dict[str, object]:
    return {
        "none": None, "yes": True, "no": np.bool_(False), "int": 3, "float": 0.1, "infinite": float("inf"),
        "text": "é\n", "empty": "", "nul": "a\0b", "surrogate": "\udc80", "long": "x" * 200_000,
        "list": [1, "a", None, [2.5]], "empty_list": [], "tuple": (1, (2, "b")), "set": {3, 1},
        "frozen": frozenset("a"),
        "dict": {"a": {"b": (1, 2)}, 3: None}, "path": pathlib.Path("results/a.nc"), "bytes": b"\x00\xff",
        "date": datetime.date(2020, 1, 2), "moment": datetime.datetime(2020, 1, 2, 3, tzinfo=datetime.UTC),
        "complex": 1 + 2j, "slice": slice(1, None), "range": range(3), "big": 2**70,
        "f4": np.float32(0.1), "i2": np.int16(-3), "day": np.datetime64("2020-01-01"), "str_": np.str_("a"),
        "array": np.arange(6, dtype="i2").reshape(2, 3), "strings": np.array(["a", "bb"]),
        "empty_array": np.zeros((0, 2)),
        "coordinates": "mine", "_FillValue": 3, "scale_factor": 2.0, "dtype": "bool", "units": "days since 2000-01-01",
        "name/with slash": 1, "with space": 2, "": 3,
    }  # fmt: skip


def assert_identical(a: xr.DataArray | xr.Dataset, b: xr.DataArray | xr.Dataset) -> None:
    """xarray's own check, and what that check lets pass: dtypes, index or not, types of attributes."""
    xr.testing.assert_identical(a, b)
    assert type(a) is type(b)
    left, right = ((x.to_dataset(name="_") if isinstance(x, xr.DataArray) else x) for x in (a, b))
    assert {n: v.dtype for n, v in left.variables.items()} == {n: v.dtype for n, v in right.variables.items()}
    assert set(left.xindexes) == set(right.xindexes)
    assert list(left.data_vars) == list(right.data_vars)
    assert list(left.coords) == list(right.coords)
    assert repr(a.attrs) == repr(b.attrs)
    for name in left.variables:
        assert repr(left[name].attrs) == repr(right[name].attrs)


# ---------------------------------------------------------------- save and load


def awkward() -> dict[str, xr.DataArray | xr.Dataset]:
    a = scores()
    no_index = xr.DataArray(
        np.arange(3), dims="x", coords=xr.Coordinates({"x": ("x", [1, 2, 3])}, indexes={})
    )
    values = xr.DataArray([1.0], dims="values", coords={"values": [2]}, name="values")
    dataset = a.to_dataset().assign(significant=a > 0.5, p=("window", np.array([np.nan, np.inf, -0.0])))
    dataset = dataset.assign_attrs(units="Dataset", note=None)
    dataset["score"].attrs["units"] = "hours since 1970-01-01"
    return {
        "array": a, "without name": a.rename(None), "name with slash": a.rename("a/b c"),
        "name of a dim": a.rename("fold"),
        "name of a coordinate": a.rename("kept"), "values": values, "0-d": a[0, 0], "empty": a[:0], "dataset": dataset,
        "empty dataset": xr.Dataset(attrs={"a": 1}), "no index": no_index, "transposed": a.T,
        "index on another": a.set_xindex("n_voxels"), "booleans": a > 0.5, "odd": a.assign_attrs(odd_attributes()),
        "coordinate attrs": a.assign_coords(region=a.region.assign_attrs(odd_attributes())),
        "days": a.assign_coords(time=("fold", np.array([1, 2, 3], "datetime64[D]").astype("datetime64[s]"))),
        "big-endian": a.astype(">f8"), "two dims": a.assign_coords(both=a.variable.astype("i1")),
    }  # fmt: skip


@pytest.mark.parametrize("name", awkward())
def test_what_is_loaded_is_what_was_saved(tmp_path, name):
    result = awkward()[name]
    assert save(result, tmp_path / "r.nc") == tmp_path / "r.nc"
    loaded = load(tmp_path / "r.nc")
    assert_identical(result, loaded)
    assert data_hash(result) == data_hash(loaded)
    save(loaded, tmp_path / "again.nc")
    assert_identical(load(tmp_path / "again.nc"), result)
    assert sorted(os.listdir(tmp_path)) == ["again.nc", "r.nc"]  # nothing else is left behind


DTYPES = st.sampled_from(
    ["?", "i1", "i2", "i4", "i8", "u1", "u8", "f2", "f4", "f8", "c8", "c16", "U3", "S3", "M8[ns]", "m8[s]"]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=DTYPES.flatmap(
        lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    ),
    attr=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
        max_leaves=8,
    ),
)
def test_any_values_and_attributes_come_back(tmp_path, values, attr):
    result = xr.DataArray(values, attrs={"a": attr})
    save(result, tmp_path / "r.nc", overwrite=True)
    assert_identical(load(tmp_path / "r.nc"), result)


def test_unknown_objects_come_back_as_words_that_do_not_change(tmp_path):
    array = xr.DataArray([1.0], attrs={"model": Ridge(alpha=2.0), "function": np.mean, "object": object()})
    save(array, tmp_path / "r.nc")
    attrs = load(tmp_path / "r.nc").attrs
    assert attrs["model"].startswith("Ridge(alpha=2.0")
    assert attrs["function"] == "numpy.mean"
    assert attrs["object"] == "object()"


@pytest.mark.parametrize("dtype", ["Float64", "Float32", "Int64"])
def test_numbers_of_pandas_come_back_as_plain_ones(tmp_path, dtype):
    for values, plain in (([1, 2], [1.0, 2.0]), ([1, None], [1.0, np.nan])):
        save(xr.DataArray(pd.array(values, dtype=dtype), dims="run"), tmp_path / "r.nc", overwrite=True)
        found = load(tmp_path / "r.nc")
        assert isinstance(found.dtype, np.dtype)
        np.testing.assert_array_equal(found.values, plain)


def test_other_readers_see_the_same_numbers(tmp_path):
    array = scores().assign_attrs(subject="S1", flag=True)
    save(array, tmp_path / "r.nc")
    # the score's units are seconds, which xarray before 2026 reads as times unless told not to
    with xr.open_dataset(tmp_path / "r.nc", decode_timedelta=False) as seen:
        np.testing.assert_array_equal(seen["score"].values, array.values)
    with xr.open_dataset(tmp_path / "r.nc") as seen:
        assert set(seen.coords) == set(array.coords)
        assert seen["kept"].dtype == bool
        np.testing.assert_array_equal(seen["date"].values, array["date"].values)
        np.testing.assert_array_equal(seen["took"].values, array["took"].values)
        assert seen["score"].attrs["subject"] == "S1"
        assert seen["score"].attrs["flag"] == "True"


def test_dask_arrays_and_old_encodings(tmp_path):
    array = xr.DataArray(np.arange(12.0).reshape(4, 3) / 7, dims=("a", "b"))
    array.encoding = {"dtype": "int16", "scale_factor": 1.0}  # as left behind by a packed file
    save(array.chunk(a=2), tmp_path / "r.nc")
    assert_identical(load(tmp_path / "r.nc"), array)


def test_the_file_is_closed_and_in_memory(tmp_path):
    save(scores(), tmp_path / "r.nc")
    loaded = load(tmp_path / "r.nc")
    if pathlib.Path("/proc/self/fd").is_dir():
        links = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
        assert str(tmp_path / "r.nc") not in links
    (tmp_path / "r.nc").unlink()
    assert isinstance(loaded.variable._data, np.ndarray)
    loaded[0, 0] = 5


def test_overwrites_only_when_asked(tmp_path):
    file = tmp_path / "r.nc"
    save(scores(), file)
    with pytest.raises(FileExistsError, match="already exists; use overwrite=True"):
        save(scores() + 1, file)
    assert_identical(load(file), scores())
    save(xr.DataArray(1), file, overwrite=True)
    assert load(file).ndim == 0
    link = tmp_path / "link.nc"
    link.symlink_to(file)
    save(xr.DataArray([2]), link, overwrite=True)
    assert link.is_symlink()
    assert load(file).ndim == 1


def test_a_failure_leaves_nothing_and_harms_nothing(tmp_path, monkeypatch):
    file = tmp_path / "r.nc"
    save(scores(), file)

    def broken(dataset: xr.Dataset, path: pathlib.Path, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_netcdf", broken)
    with pytest.raises(OSError, match="cannot write .*No space left.*free space"):
        save(scores() + 1, file, overwrite=True)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["r.nc"]
    assert_identical(load(file), scores())


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_full_disk_leaves_nothing(tmp_path):
    """A real one: the operating system refuses to let the file grow."""
    code = f"""
        import resource, signal, numpy as np, xarray as xr
        from neurodecode.store import save
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            save(xr.DataArray(np.random.default_rng(0).random(100_000)), {str(tmp_path / "r.nc")!r})
        except OSError as error:
            print("refused:", error)
    """
    done = python(code)
    assert "refused: cannot write" in done.stdout, done.stderr
    # libhdf5 crashed the process at its end, as it could not close the file.
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == []


def test_somebody_faster_is_not_overwritten(tmp_path, monkeypatch):
    file = tmp_path / "r.nc"
    write = files.write_netcdf

    def slow(dataset: xr.Dataset, path: pathlib.Path, **options: Any) -> None:
        file.write_bytes(b"theirs")
        write(dataset, path, **options)

    monkeypatch.setattr(files, "write_netcdf", slow)
    with pytest.raises(FileExistsError, match="somebody else"):
        save(scores(), file)
    assert file.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["r.nc"]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder .*missing of r.nc does not exist; create it"):
        save(scores(), tmp_path / "missing" / "r.nc")
    with pytest.raises(IsADirectoryError, match="is a folder; add a file name"):
        save(scores(), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        save(scores(), tmp_path / "file" / "r.nc")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="not writable by you; choose another"):
        save(scores(), tmp_path / "r.nc")


RECORDS = np.zeros(2, dtype=[("onset", "f8"), ("run", "i4")])


def test_what_netcdf_cannot_hold_is_refused_before_writing(tmp_path):
    stacked = scores().stack(both=("region", "fold"))
    for wrong, message in [
        (np.zeros(3), "takes an xarray.DataArray or Dataset, not ndarray"),
        (stacked, r"MultiIndex \('both', 'region', 'fold'\).*reset_index"),
        (xr.DataArray(np.array([object()])), "Python objects of type 'object'"),
        (xr.DataArray(np.zeros(2, dtype=np.longdouble)), "cannot hold; convert"),
        (xr.DataArray([1], dims="a/b"), "names are strings without '/'"),
        (
            xr.DataArray(0, attrs={"rows": [RECORDS]}),
            "the attribute 'rows' of 'values' holds records .*give each field",
        ),
        (xr.Dataset(attrs={"rows": RECORDS}), "the attribute 'rows' of the Dataset holds records"),
    ]:
        with pytest.raises(TypeError, match=message):
            save(wrong, tmp_path / "r.nc")
    assert os.listdir(tmp_path) == []


def test_there_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*its folder holds no .nc file"):
        load(tmp_path / "r.nc")
    save(scores(), tmp_path / "other.nc")
    with pytest.raises(FileNotFoundError, match="its folder holds 'other.nc'"):
        load(tmp_path / "r.nc")
    with pytest.raises(FileNotFoundError, match="folder .* does not exist either"):
        load(tmp_path / "no" / "r.nc")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load(tmp_path)


def test_truncated_files(tmp_path):
    save(scores(), tmp_path / "r.nc")
    whole = (tmp_path / "r.nc").read_bytes()
    cut = tmp_path / "cut.nc"
    content = whole.rindex(b"\nneurodecode sha256 ")  # what HDF5 wrote; after it comes the seal
    lengths = [0, 1, 7, 8, 100, 2000, *np.linspace(3000, content - 1, 12, dtype=int).tolist()]
    lengths += [content + 30, len(whole) - 1]
    for length in lengths:
        cut.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.nc.*(is empty|truncated|a text file|no netCDF)"):
            load(cut)
    cut.write_bytes(whole)
    assert_identical(load(cut), scores())


def test_a_file_that_declares_more_than_memory_holds_is_named(tmp_path, memory_left):
    """By what is free before anything is read, and by what the machine gives where its word was too good."""
    save(xr.DataArray(np.zeros(1000), dims="x"), tmp_path / "own.nc")
    with h5py.File(tmp_path / "foreign.nc", "w") as file:
        file.create_dataset("data", (2**47,), "f8", chunks=(2**17,))
    memory_left(2000)
    for name, size in (("own.nc", "0.0"), ("foreign.nc", "1048576.0")):
        with pytest.raises(
            MemoryError,
            match=rf"{name} \(\d+ bytes\) declares {size} GiB, but only 0\.0 GiB .*limit: 80%.*use a machine with",
        ):
            load(tmp_path / name)
    memory_left(2**60)
    with pytest.raises(
        MemoryError, match=r"foreign\.nc \(\d+ bytes\) declares more than memory holds: .*allocate"
    ):
        load(tmp_path / "foreign.nc")


def test_damaged_files_are_noticed(tmp_path):
    """One flipped bit or a zeroed stretch anywhere; without the seal HDF5 reads on, crashes or never comes back."""
    save(scores(), tmp_path / "r.nc")
    whole = (tmp_path / "r.nc").read_bytes()
    for start in np.linspace(8, len(whole) - 90, 15, dtype=int):
        flipped, zeroed = bytearray(whole), bytearray(whole)
        flipped[start] ^= 1
        zeroed[start : start + 300] = bytes(len(zeroed[start : start + 300]))
        for damaged in (flipped, zeroed):
            if damaged == whole or not damaged[-90:].startswith(whole[-90:-70]):
                continue
            (tmp_path / "bad.nc").write_bytes(damaged)
            with pytest.raises(ValueError, match=r"bad\.nc is damaged: .*make it again"):
                load(tmp_path / "bad.nc")


def test_a_file_edited_by_another_tool_still_loads(tmp_path):
    h5py = pytest.importorskip("h5py")
    save(scores(), tmp_path / "r.nc")
    with h5py.File(tmp_path / "r.nc", "r+") as f:
        f.attrs["note"] = "edited"
    assert_identical(load(tmp_path / "r.nc"), scores())


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("touch exploded",))


def test_files_of_another_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "r.nc"
    scipy.io.savemat(tmp_path / "m.mat", {"a": np.zeros(3)})
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    kinds = {
        "a PNG picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "a text file": b"subject,score\n1,0.5\n",
        "a pickle": pickle.dumps(Bomb()),
        "a MATLAB file": (tmp_path / "m.mat").read_bytes(),
        r"a NumPy \.npy": (tmp_path / "a.npy").read_bytes(),
        "a zip archive": (tmp_path / "a.npz").read_bytes(),
        "gzip": b"\x1f\x8b\x08" + bytes(50),
        "no netCDF": bytes(600),
    }
    for kind, content in kinds.items():
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"r\.nc is {kind}.*reads? "):
            load(file)
    assert not (tmp_path / "exploded").exists()


def test_hdf5_that_is_not_netcdf(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "m.h5", "w") as f:
        f.create_group("nothing")
    with pytest.raises(ValueError, match="no variable that xarray can read"):
        load(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.mat", "w", userblock_size=512) as f:
        f["a"] = np.zeros(3)
    with open(tmp_path / "m.mat", "r+b") as f:
        f.write(b"MATLAB 7.3 MAT-file")
    with pytest.raises(ValueError, match="is a MATLAB file"):
        load(tmp_path / "m.mat")


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_netcdf_of_another_origin(tmp_path, engine):
    foreign = xr.Dataset({"t": ("x", [1.0, 2.0])}, {"x": np.array([3, 4], dtype="i4")}, {"made": "elsewhere"})
    foreign.to_netcdf(tmp_path / "f.nc", engine=engine)
    xr.testing.assert_identical(load(tmp_path / "f.nc"), foreign)


@pytest.mark.filterwarnings("error")
def test_plain_hdf5_is_read_without_a_word_of_its_axes(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "plain.h5", "w") as f:
        f["a"], f["b"] = np.arange(12.0).reshape(3, 4), np.arange(4)
    found = load(tmp_path / "plain.h5")
    np.testing.assert_array_equal(found["a"], np.arange(12.0).reshape(3, 4))
    assert found["a"].dims == ("phony_dim_0", "phony_dim_1")
    assert found["b"].dims == ("phony_dim_1",)


def test_a_newer_format_is_refused(tmp_path):
    scores().to_dataset().drop_vars(list(scores().coords)).assign_attrs(neurodecode_format=99).to_netcdf(
        tmp_path / "f.nc", engine="h5netcdf"
    )
    with pytest.raises(ValueError, match="neurodecode_format 99, .* reads up to 1; install a newer"):
        load(tmp_path / "f.nc")


# ---------------------------------------------------------------- provenance


def test_stamp_survives_the_file(tmp_path):
    data = scores()
    parameters = {
        "decoder": Ridge(alpha=0.15),
        "regions": ("V1", "V2"),
        "n": np.int64(3),
        "grid": np.logspace(0, 2, 3),
    }
    stamped = stamp(data, what="spatial.decode", parameters=parameters, seed=7, data={"responses": data})
    assert "provenance" not in data.attrs
    xr.testing.assert_equal(stamped, data)
    save(stamped, tmp_path / "r.nc")
    record = provenance(load(tmp_path / "r.nc"))
    assert record == provenance(stamped)
    assert record["what"] == "spatial.decode"
    assert record["seed"] == 7
    assert record["data"] == {"responses": data_hash(data)}
    assert record["versions"].keys() == {"Python", "numpy", "xarray", "scikit-learn"}
    assert record["versions"]["numpy"] == np.__version__
    assert record["parameters"]["regions"] == ["V1", "V2"]
    assert record["parameters"]["n"] == 3
    assert record["parameters"]["grid"] == [1.0, 10.0, 100.0]
    assert "alpha=0.15" in record["parameters"]["decoder"]
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(record["date"])
    assert abs(age.total_seconds()) < 60
    assert provenance(stamp(stamped, what="again", parameters={}))["what"] == "again"
    assert isinstance(stamp(data.to_dataset(), what="w", parameters={}, data=data), xr.Dataset)


def test_no_stamp():
    with pytest.raises(ValueError, match="no attribute 'provenance' .* it has 'chance', 'score', 'units'"):
        provenance(scores())
    with pytest.raises(ValueError, match="no JSON"):
        provenance(scores().assign_attrs(provenance="{"))


def test_descriptions_are_json_and_the_same_in_every_run():
    code = """
        import json, pathlib, numpy as np, xarray as xr
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from neurodecode.store import describe
        things = dict(
            a=make_pipeline(StandardScaler(), Ridge(alpha=np.arange(99.0))), b={"x", "y", "z", "w"}, c=lambda x: x,
            d=object(), e=np.random.default_rng(0), f=xr.DataArray(np.eye(2)), g=list(range(1000)), h=float("nan"),
            i=pathlib.Path("a"), j={1: (2, None)}, k=Ridge, l=np.float32, m=np.arange("2000", "2002", dtype="M8[Y]"),
        )
        print(json.dumps(describe(things), allow_nan=False, sort_keys=True))
    """
    outputs = {python(code, PYTHONHASHSEED=seed).stdout for seed in ("1", "2")}
    assert len(outputs) == 1
    described = json.loads(outputs.pop())
    assert described["b"] == ["w", "x", "y", "z"]
    assert described["h"] == "nan"
    assert "0x" not in json.dumps(described)


def test_arrays_in_descriptions_are_told_apart():
    a = np.arange(100.0)
    assert describe(a) == describe(a.copy())
    assert describe(a) != describe(a + 1)
    assert "float64 (100,)" in describe(a)


def plus(n: int) -> object:
    return lambda x: x + n


ALIKE = {
    "images": [nibabel.Nifti1Image(np.full((2, 2, 2), v), np.eye(4)) for v in (0.0, 1.0)],
    "sparse matrices": [scipy.sparse.csr_array(np.diag([1.0, v])) for v in (2, 3)],
    "series": [pd.Series([*range(30), v, *range(30)]) for v in (0, 1)],
    "index of a series": [pd.Series(range(60), index=[*range(59), v]) for v in (70, 71)],
    "ragged lists": [[[1, v], [2]] * 40 for v in (3, 4)],
    "arrays of objects": [np.array([scipy.sparse.csr_array(np.diag([1.0, v])), None]) for v in (2, 3)],
    "keys": [{1: "a"}, {"1": "a"}],
    "dates and numbers": [np.datetime64("1970-01-02", "ns"), np.datetime64("1970-01-02", "ns").item()],
    "spans": [np.timedelta64(1, "ns"), np.timedelta64(1, "Y")],
    "splitters": [PredefinedSplit(np.r_[np.arange(2000) % 5, v, np.arange(2000) % 5]) for v in (0, 1)],
    "what is missing": [SimpleImputer(missing_values=v) for v in (np.nan, "nan")],
    "classes of one name": [type("Mine", (BaseEstimator,), {"n": v})() for v in (1, 2)],
    "bound methods": [KFold(3).split, KFold(4).split],
    "functions of one place": [plus(v) for v in (1, 2)],
}


@pytest.mark.parametrize("what", ALIKE)
def test_what_differs_is_described_apart(what):
    one, other = ALIKE[what]
    assert describe(one) == describe(copy.deepcopy(one))
    assert describe(one) != describe(other)


# What a user's script may hold, and one change of it after the other.
SCRIPT = """
import functools
K = 3
def helper(x):
    return x + K
class Times:
    factor = 1
    def __init__(self, k):
        self.k = k
    def __call__(self, x, y):
        return x * self.k
def score(x, y, a=1, *, b=2):
    def inner(z):
        return helper(z) * 2.5
    return inner(x) + a + b
def made(n):
    def taken(x, y):
        return x + n
    return taken
"""
CHANGES = {
    "a default": ("score", "a=1", "a=5"),
    "a keyword's default": ("score", "b=2", "b=5"),
    "a constant inside": ("score", "2.5", "3.5"),
    "a global": ("score", "K = 3", "K = 4"),
    "a function that it calls": ("score", "x + K", "x - K"),
    "names of arguments": ("score", "score(x, y,", "score(y, x,"),
    "the object that is called": ("Times(2)", "Times(2)", "Times(3)"),
    "the object of a method": ("Times(2).__call__", "Times(2)", "Times(3)"),
    "how it is called": ("Times(2)", "x * self.k", "x / self.k"),
    "what a class has": ("Times(2)", "factor = 1", "factor = 2"),
    "what a function has taken in": ("made(1)", "made(1)", "made(2)"),
    "arguments that are there": ("functools.partial(score, b=1)", "score, b=1", "score, b=3"),
    "the function inside": ("functools.partial(score, b=1)", "2.5", "3.5"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_functions_that_compute_otherwise_have_other_fingerprints(change):
    made, old, new = CHANGES[change]
    script = SCRIPT + f"chosen = {made}\n"
    assert old in script

    def found(text: str) -> str:
        names: dict[str, object] = {"__name__": "a_script"}
        exec(compile(text, "script.py", "exec", dont_inherit=True), names)
        return fingerprint(names["chosen"])

    assert found(script) == found(script)
    assert found(script) != found(script.replace(old, new))
    # Another process, which hashes strings otherwise, says the same.
    lines = [
        "from neurodecode.store import fingerprint",
        'names = {"__name__": "a_script"}',
        f"exec({script!r}, names)",
        "print(fingerprint(names['chosen']))",
    ]
    assert python("\n".join(lines), PYTHONHASHSEED="7").stdout.strip() == found(script)


def test_generators_of_the_process_do_not_count():
    from scipy.stats import norm

    def score(x):
        return norm.cdf(x) + draw()

    draw = random.random
    told = fingerprint(score)
    norm.rvs()
    draw()
    assert fingerprint(score) == told


def test_a_look_into_a_table_does_not_change_it():
    day = pd.to_datetime(["2020-01-01", "2020-01-02"])
    table = pd.DataFrame({"a": ["s0", "s1"], "b": day, "c": pd.Categorical(["x", "y"])}).set_index("a")
    told = fingerprint(lambda x: table.loc[x])
    table.loc["s0"], table.index.is_unique
    assert fingerprint(lambda x: table.loc[x]) == told
    kept = table
    table = table.rename(columns={"c": "d"})
    assert fingerprint(lambda x: table.loc[x]) != told
    table = kept.assign(c=pd.Categorical(["x", "z"]))
    assert fingerprint(lambda x: table.loc[x]) != told


def test_globals_of_a_package_that_wraps_a_function_do_not_count():
    # Among those of NumPy's decorator is a variable of the context, which cannot be pickled.
    names: dict[str, object] = {"__name__": "__main__", "np": np}
    exec("@np.errstate(all='ignore')\ndef score(x):\n    return x / 0", names)
    assert len(fingerprint(names["score"])) == 16


def test_models_of_short_floats_are_told_by_their_weights():
    torch = pytest.importorskip("torch")

    def told(value: float, dtype: object) -> str:
        weights = torch.full((2, 3), value, dtype=dtype)
        return fingerprint(lambda x: x * weights)

    assert told(1.0, torch.bfloat16) == told(1.0, torch.bfloat16)
    assert told(1.0, torch.bfloat16) != told(1.5, torch.bfloat16)
    assert told(1.0, torch.bfloat16) != told(1.0, torch.float32)
    assert len(told(1.0, torch.bfloat16)) == 16


def test_functions_whose_contents_cannot_be_told_begin_no_pieces(tmp_path):
    with open(tmp_path / "text", "w") as stream:
        key = {"alpha": 1.0, "scoring": fingerprint(lambda x: stream.write(x)), "file": stream}
        with pytest.raises(
            TypeError, match=r"2 value\(s\) whose contents cannot be told.*'scoring'.*'file'.*Give plain"
        ):
            Pieces(tmp_path / "work", key=key)
    assert not (tmp_path / "work").exists()


def test_keys_that_python_takes_for_equal_are_told_apart(tmp_path):
    Pieces(tmp_path, key={"standardise": True})
    with pytest.raises(ValueError, match="'standardise': True in the folder, 1 now"):
        Pieces(tmp_path, key={"standardise": 1})


def test_pieces_of_another_version_are_not_gone_on_with(tmp_path, monkeypatch):
    Pieces(tmp_path / "work", key={"alpha": 1.0})
    named = Pieces.named(tmp_path / "all", "net", key={"alpha": 1.0})
    monkeypatch.setattr("neurodecode.store.pieces.version", lambda: "99.0")
    with pytest.raises(ValueError, match="1 of 2 entries differ: 'version of neurodecode': .*, '99.0' now"):
        Pieces(tmp_path / "work", key={"alpha": 1.0})
    assert Pieces.named(tmp_path / "all", "net", key={"alpha": 1.0}).folder != named.folder


# ---------------------------------------------------------------- data_hash


def test_hash_does_not_depend_on_how_memory_lies():
    x = np.random.default_rng(0).standard_normal((30, 20))
    array = xr.DataArray(x, dims=("a", "b"), coords={"a": np.arange(30), "b": [f"v{i}" for i in range(20)]})
    reference = data_hash(array)
    assert len(reference) == 16
    assert int(reference, 16) >= 0
    for same in (
        array.copy(data=np.asfortranarray(x)),
        array.copy(data=np.repeat(x, 2, axis=1)[:, ::2]),
        array.copy(data=x.astype(">f8")),
        array.chunk(a=7),
        array.assign_coords(b=array.b.values.astype("<U50")),
        array.assign_coords(b=array.b.values.astype(object)),
        array[["b", "a"]] if False else array.drop_vars("a").assign_coords(a=np.arange(30)),
        array.assign_attrs(units="T").rename("other"),
    ):
        assert data_hash(same) == reference
    assert data_hash(x) == data_hash(np.asfortranarray(x))
    assert data_hash(x.tolist()) == data_hash(x)


def test_hash_changes_with_any_change():
    x = np.arange(6.0).reshape(2, 3)
    array = xr.DataArray(x, dims=("a", "b"), coords={"b": ["u", "v", "w"]})
    one_value = x.copy()
    one_value[1, 2] = np.nextafter(5.0, 6.0)
    different = [
        array,
        array.copy(data=one_value),
        array.astype("f4"),
        array.rename(a="c"),
        array.drop_vars("b"),
        array.assign_coords(b=["u", "v", "x"]),
        array.assign_coords(b=["uv", "", "w"]),
        array.assign_coords(extra=1),
        array.T,
        array.isel(b=[1, 0, 2]),
        array.to_dataset(name="x"),
        array.to_dataset(name="y"),
    ]
    hashes = [data_hash(a) for a in different]
    hashes += [
        data_hash(array, array),
        data_hash(x),
        data_hash(x.reshape(3, 2)),
        data_hash(x.ravel()),
        data_hash(),
    ]
    assert len(set(hashes)) == len(hashes)


def test_hash_in_blocks_is_the_same(monkeypatch):
    array = scores().assign_coords(odd=("region", np.array(["a", "bb", "", "脳"])))
    reference = data_hash(array)
    monkeypatch.setattr("neurodecode.store.hashes.HASH_BYTES", 8)
    assert data_hash(array) == reference


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "bool"])
def test_hash_of_large_arrays_is_the_same_however_they_are_chunked(monkeypatch, dtype):
    dask = pytest.importorskip("dask.array")
    monkeypatch.setattr("neurodecode.store.hashes.SUM_BYTES", 0)
    monkeypatch.setattr("neurodecode.store.hashes.HASH_BYTES", 64)
    values = (np.random.default_rng(0).normal(size=(7, 5, 6)) * 3).clip(min=0).astype(dtype)
    reference = data_hash(xr.DataArray(values, dims=("sample", "channel", "time")))
    for chunks in ((7, 5, 2), (2, 5, 6), (3, 2, 4)):
        lazily = xr.DataArray(dask.from_array(values, chunks=chunks), dims=("sample", "channel", "time"))
        assert data_hash(lazily) == reference
    for same in (np.asfortranarray(values), values.astype(values.dtype.newbyteorder(">"))):
        assert data_hash(xr.DataArray(same, dims=("sample", "channel", "time"))) == reference
    # One changed value, two that changed places.
    for change in (lambda v: v.__setitem__((3, 2, 1), not v[3, 2, 1]), swap):
        other = values.copy()
        change(other)
        assert data_hash(xr.DataArray(other, dims=("sample", "channel", "time"))) != reference


def swap(values: np.ndarray) -> None:
    values[[0, 1]] = values[[1, 0]]


def test_hash_of_a_large_array_reads_every_chunk_once(monkeypatch):
    dask = pytest.importorskip("dask.array")
    monkeypatch.setattr("neurodecode.store.hashes.SUM_BYTES", 0)
    monkeypatch.setattr("neurodecode.store.hashes.HASH_BYTES", 64)
    read = []

    def chunk(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.ones((8, 3, 2))

    values = dask.map_blocks(chunk, chunks=((8,), (3,), (2, 2, 2)), dtype=float, meta=np.empty((0, 0, 0)))
    data_hash(xr.DataArray(values, dims=("sample", "channel", "time")))
    assert sorted(read) == [(0, 0, 0), (0, 0, 1), (0, 0, 2)]


@settings(max_examples=50, deadline=None)
@given(x=hnp.arrays("f8", (4, 3), elements=st.floats(-1e3, 1e3)), i=st.integers(0, 11))
def test_hash_notices_one_changed_value(x, i):
    y = x.copy()
    y.flat[i] = np.nextafter(y.flat[i], np.inf)
    assert (data_hash(x) == data_hash(y)) is False
    assert data_hash(x) == data_hash(x[::-1][::-1])


# ---------------------------------------------------------------- pieces


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_pieces(tmp_path):
    key = {
        "alpha": 0.15,
        "regions": ("V1", "V2"),
        "data": data_hash(scores()),
        "grid": np.arange(3),
        "seed": None,
    }
    pieces = Pieces(tmp_path / "work", key=key)
    assert "V1" not in pieces
    with pytest.raises(KeyError, match="no piece 'V1' .* holds 0 finished"):
        pieces.load("V1")
    pieces.save("V1", scores())
    pieces.save("V1", scores() + 1)
    # A folder named by its key: the same key finds it, another begins beside it.
    named, other = (Pieces.named(tmp_path / "all", "sub/1 MLP", key=k) for k in (key, key | {"seed": 1}))
    named.save("V1", scores())
    assert "V1" in Pieces.named(tmp_path / "all", "sub/1 MLP", key=dict(reversed(key.items())))
    assert "V1" not in other
    assert named.folder.name.startswith("sub_1_MLP-")
    assert named.folder.parent == other.folder.parent == tmp_path / "all"
    again = Pieces(tmp_path / "work", key=dict(reversed(key.items())))
    assert "V1" in again
    assert_identical(again.load("V1"), scores() + 1)
    assert json.loads((tmp_path / "work" / "key.json").read_text())["alpha"] == 0.15


def test_pieces_refuse_another_key(tmp_path):
    Pieces(tmp_path, key={"alpha": 0.15, "seed": 0, "old": 1})
    with pytest.raises(ValueError, match="begun with another key; 3 of 5 entries differ: ") as caught:
        Pieces(tmp_path, key={"alpha": 0.2, "seed": 0, "new": None})
    message = str(caught.value)
    assert "'alpha': 0.15 in the folder, 0.2 now" in message
    assert "'old': 1 in the folder, '(not given)' now" in message
    assert "'new': '(not given)' in the folder, None now" in message
    assert "Use another folder, or delete this one" in message
    Pieces(tmp_path, key={"alpha": 0.15, "seed": 0, "old": 1})  # the refused one changed nothing


def test_pieces_refuse_folders_that_they_cannot_trust(tmp_path):
    save(scores(), tmp_path / "r.nc")
    with pytest.raises(ValueError, match="holds .nc files but no key.json"):
        Pieces(tmp_path, key={})
    with pytest.raises(NotADirectoryError, match="is a file"):
        Pieces(tmp_path / "r.nc", key={})
    with pytest.raises(FileNotFoundError, match="does not exist; create it"):
        Pieces(tmp_path / "a" / "b", key={})
    other = tmp_path / "other"
    other.mkdir()
    for damage in ("", '{"alpha": 0.', "[1]"):
        (other / "key.json").write_text(damage)
        with pytest.raises(ValueError, match="key.json is damaged"):
            Pieces(other, key={})


def test_unsafe_names_stay_inside_and_apart(tmp_path):
    pieces = Pieces(tmp_path / "work", key={})
    names = ["a/b", "a_b", "../a", "..", ".", "/etc/x", "a b", "é", "脳", "V1", "v1", "x" * 300, "x" * 301, "\0", "key",
             "a\\b", "C:", pieces.path("a/b").stem, "-", "\n"]  # fmt: skip
    for i, name in enumerate(names):
        pieces.save(name, xr.DataArray(i))
    assert [int(pieces.load(name)) for name in names] == list(range(len(names)))
    files = os.listdir(tmp_path / "work")
    assert len({f.lower() for f in files}) == len(names) + 1  # also where case does not count
    assert os.listdir(tmp_path) == ["work"]
    for wrong in ("", 3, None):
        with pytest.raises(TypeError, match="named by a string"):
            pieces.save(wrong, xr.DataArray(0))


LOOP = """
    import sys, time, numpy as np, xarray as xr
    from neurodecode.store import Pieces
    pieces = Pieces(sys.argv[1] if len(sys.argv) > 1 else {folder!r}, key={{"seed": 0}})
    done = 0
    for i in range(6):
        name = f"piece {{i}}"
        if name not in pieces:
            x = np.random.default_rng(i).standard_normal(({size},))
            pieces.save(name, xr.DataArray(x, dims="x", attrs={{"i": i}}))
            done += 1
            print("done", i, flush=True)
            time.sleep({sleep})
    print("made", done)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("in_write", [False, True])
def test_a_killed_run_goes_on_where_it_was(tmp_path, in_write):
    """SIGKILL between pieces, or while a piece is being written (its file has begun to grow)."""
    killed = tmp_path / "killed"
    size = 1_000_000 if in_write else 1000
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(LOOP.format(folder=str(killed), size=size, sleep=0 if in_write else 0.2)),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "done 0\n"
    assert process.stdout.readline() == "done 1\n"
    deadline = time.monotonic() + 30
    while in_write and not list(killed.glob(".*.part")) and time.monotonic() < deadline:
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    process.stdout.close()
    finished = len(list(killed.glob("*.nc")))
    assert 2 <= finished < 6
    if in_write:
        assert len(list(killed.glob(".*.part"))) == 1
    resumed = python(LOOP.format(folder=str(killed), size=size, sleep=0))
    assert f"made {6 - finished}" in resumed.stdout, resumed.stderr
    resumed_pieces = Pieces(killed, key={"seed": 0})
    for i in range(6):
        expected = np.random.default_rng(i).standard_normal(size)
        assert_identical(resumed_pieces.load(f"piece {i}"), xr.DataArray(expected, dims="x", attrs={"i": i}))
    assert not list(killed.glob(".*"))  # the half piece was cleaned away
    assert len(os.listdir(killed)) == 7


def test_two_processes_on_the_same_pieces_do_no_harm(tmp_path):
    code = textwrap.dedent(LOOP.format(folder=str(tmp_path / "both"), size=100_000, sleep=0))
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for run in runs:
        _, errors = run.communicate(timeout=120)
        assert run.returncode == 0, errors
    pieces = Pieces(tmp_path / "both", key={"seed": 0})
    for i in range(6):
        expected = np.random.default_rng(i).standard_normal(100_000)
        np.testing.assert_array_equal(pieces.load(f"piece {i}").values, expected)
    assert len(os.listdir(tmp_path / "both")) == 7


def test_parts_of_living_writers_are_left_alone(tmp_path):
    from neurodecode.store.atomic import part_name

    alive = part_name(tmp_path / "a.nc")
    gone = alive.with_name(alive.name.replace(f".{os.getpid()}.", ".999999999."))
    elsewhere = alive.with_name(".0123456789abcdef.otherhost.1.0a0b0c0d.part")
    ancient = alive.with_name(".0123456789abcdef.otherhost.2.0a0b0c0d.part")
    mine = tmp_path / ".notes.part"
    for part in (alive, gone, elsewhere, ancient, mine):
        part.write_bytes(b"half")
    os.utime(ancient, (0, 0))
    Pieces(tmp_path, key={})
    assert {p.name for p in tmp_path.glob(".*")} == {alive.name, elsewhere.name, mine.name}
    save(scores(), tmp_path / "a.nc")
    assert alive.exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_a_killed_writer_of_a_small_file_left_goes_with_the_next(tmp_path, overwrite):
    code = f"""if True:
        import os, pathlib, signal
        from neurodecode.store import atomic
        atomic.publish = lambda *args, **options: os.kill(os.getpid(), signal.SIGKILL)
        atomic.write_text(pathlib.Path({str(tmp_path / "metrics.csv")!r}), "half")
        """
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".*.part"))) == 1
    write_text(tmp_path / "other.csv", "whole")
    assert len(list(tmp_path.glob(".*.part"))) == 1  # it is another file's
    write_text(tmp_path / "metrics.csv", "whole", overwrite=overwrite)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.csv", "other.csv"]
    assert (tmp_path / "metrics.csv").read_text() == "whole"


def test_the_store_knows_no_other_room():
    code = "import neurodecode.store, sys; print([m for m in sys.modules if m.startswith('neurodecode.')])"
    rooms = {m.split(".")[1] for m in eval(python(code).stdout)}  # our own child's list of names
    assert rooms == {"store"}
