"""brain/: whatever a user holds becomes the same labelled array, or an error that says what to do."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import neurodecode as nd
from neurodecode import brain

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CTF = DATA / "ctf_geometry" / "ctf_raw.fif"
RNG = np.random.default_rng(0)
quick = settings(max_examples=25, deadline=None)


def fmri(n=4, v=3, **more):
    values = np.arange(float(n * v)).reshape(n, v)
    return brain.fmri(values, **{"sample": range(n), "stimulus": [f"i{i // 2}" for i in range(n)], **more})


def meeg(time=(0.0, 0.01, 0.02), **more):
    time = np.asarray(time)
    given_labels = {"sample": ["a", "b"], "stimulus": ["x", "y"], "channel": ["Oz", "Pz"], "time": time}
    return brain.meeg(np.arange(4.0 * time.size).reshape(2, 2, -1), **{**given_labels, **more})


# ------------------------------------------------------------------------------------------ values
PLAIN = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def dask_array(values):
    return pytest.importorskip("dask.array").from_array(values, chunks=1)


@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        np.asfortranarray,
        np.ndarray.tolist,
        lambda v: tuple(map(tuple, v)),
        pd.DataFrame,
        lambda v: xr.DataArray(v),
        lambda v: xr.DataArray(v, dims=("trial", "feature")),
        lambda v: xr.DataArray(v.T, dims=("voxel", "sample")),
        lambda v: v.astype(">f8"),
        np.ma.masked_array,
        dask_array,
    ],
)
def test_every_container_of_the_same_numbers_gives_the_same_array(make):
    made = brain.fmri(make(PLAIN), sample=["a", "b"], stimulus=["x", "y"])
    expected = xr.DataArray(
        PLAIN,
        dims=("sample", "voxel"),
        coords={"sample": ["a", "b"], "stimulus": ("sample", ["x", "y"]), "voxel": [0, 1, 2]},
        attrs={"units": "a.u."},
    )
    xr.testing.assert_identical(made, expected)


def test_a_labelled_array_is_turned_by_its_dims_even_where_it_is_square():
    square = np.arange(4.0).reshape(2, 2)
    turned = xr.DataArray(square, dims=("feature", "stimulus"))
    np.testing.assert_array_equal(brain.features(turned, stimulus=["a", "b"]), square.T)


@pytest.mark.parametrize(("dims", "name"), [(("voxel", "trial"), "voxel"), (("trial", "sample"), "sample")])
def test_dims_that_say_that_axes_are_turned_are_refused(dims, name):
    square = xr.DataArray(np.arange(9.0).reshape(3, 3), dims=dims)
    with pytest.raises(ValueError, match=f"lie along .*'trial'.*, with '{name}' in another place"):
        brain.fmri(square, sample=range(3), stimulus=list("abc"))
    renamed = square.rename({name: "mine"})
    np.testing.assert_array_equal(brain.fmri(renamed, sample=range(3), stimulus=list("abc")), square)


def test_what_is_masked_in_numpy_becomes_nan():
    values = np.ma.masked_array(PLAIN, mask=PLAIN == 5)
    made = brain.fmri(values, sample=["a", "b"], stimulus=["x", "y"])
    assert np.argwhere(np.isnan(made.values)).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("given_type", "kept"),
    [
        ("float64", "float64"),
        ("float32", "float32"),
        (">f4", "float32"),
        ("float16", "float32"),
        ("int8", "float32"),
        ("uint8", "float32"),
        ("int16", "float32"),
        ("int32", "float64"),
        ("int64", "float64"),
        ("longdouble", "float64"),
    ],
)
def test_dtypes_that_hold_the_numbers(given_type, kept):
    made = brain.fmri(PLAIN.astype(given_type), sample=[0, 1], stimulus=[0, 1])
    assert made.dtype == np.dtype(kept)
    np.testing.assert_array_equal(made.values, PLAIN)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_are_not_copied(kind):
    values = PLAIN.astype(kind)
    assert np.shares_memory(brain.fmri(values, sample=[0, 1], stimulus=[0, 1]).values, values)


@pytest.mark.parametrize("kind", ["complex64", "bool", "U4", "datetime64[s]"])
def test_what_is_no_real_number_is_refused(kind):
    with pytest.raises(ValueError, match="features must be real numbers, got dtype.*convert"):
        brain.features(np.zeros((2, 2)).astype(kind), stimulus=["a", "b"])


@pytest.mark.parametrize("values", ["a string", 3.0, [1, 2], np.zeros((2, 2, 2)), [["a", "b"], ["c", "d"]]])
def test_values_of_other_axes_or_text_are_refused(values):
    with pytest.raises(ValueError, match=r"features must (have the axes \('stimulus', 'feature'\)|be real)"):
        brain.features(values, stimulus=["a", "b"])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_no_values_are_refused(shape):
    labels = {"sample": range(shape[0]), "stimulus": range(shape[0])}
    with pytest.raises(ValueError, match=rf"fMRI values are empty: .*{re.escape(str(shape))}"):
        brain.fmri(np.zeros(shape), **labels)
    with pytest.raises(ValueError, match="features are empty"):
        brain.features(np.zeros(shape), stimulus=range(shape[0]))
    with pytest.raises(ValueError, match="M/EEG values are empty"):
        brain.meeg(np.zeros((*shape, 1)), channel=range(shape[1]), time=[0.0], **labels)


def test_one_sample_is_enough():
    assert brain.fmri([[1.0]], sample=["a"], stimulus=["x"]).shape == (1, 1)
    assert brain.meeg([[[1.0]]], sample=["a"], stimulus=["x"], channel=["Oz"], time=[0.1]).shape == (1, 1, 1)


def test_lazy_values_stay_lazy():
    da = pytest.importorskip("dask.array")

    def refuse(block):
        raise AssertionError("computed")

    for kind in (np.float32, np.int16):
        lazy = da.zeros((4, 3), chunks=2, dtype=kind).map_blocks(
            refuse, dtype=kind, meta=np.empty((0, 0), kind)
        )
        made = brain.fmri(lazy, sample=range(4), stimulus=range(4), roi=["V1", "V1", "V2"])
        assert isinstance(made.data, da.Array)
        assert brain.regions(made).sum("voxel").values.tolist() == [2, 1]
        assert isinstance(brain.features(lazy, stimulus=range(4)).data, da.Array)
        lazy3 = lazy.reshape((4, 3, 1))
        made = brain.meeg(lazy3, sample=range(4), stimulus=range(4), channel=list("abc"), time=[0.0])
        assert isinstance(made.data, da.Array)


# ------------------------------------------------------------------------------------------ labels
@pytest.mark.parametrize(
    "column",
    [
        ["ä", "猫"],
        ("ä", "猫"),
        np.array(["ä", "猫"]),
        np.array(["ä", "猫"], dtype=object),
        np.array(["ä".encode(), "猫".encode()]),
        pd.Series(["ä", "猫"], index=[7, 3]),
        pd.Series(["ä", "猫"], dtype="str"),
        pd.array(["ä", "猫"], dtype="string"),
        pd.Categorical(["ä", "猫"]),
        pd.Index(["ä", "猫"]),
        xr.DataArray(["ä", "猫"], dims="sample", coords={"sample": [5, 6]}),
        dask_array(np.array(["ä", "猫"])),
    ],
)
def test_every_container_of_text_gives_plain_text(column):
    made = brain.fmri(PLAIN, sample=column, stimulus=column, run=column)
    for name in ("sample", "stimulus", "run"):
        assert made[name].dtype.kind == "U"
        assert made[name].values.tolist() == ["ä", "猫"]


@pytest.mark.parametrize(
    "column", [[3, 1], np.array([3, 1], dtype=object), pd.array([3, 1]), pd.Series([3, 1])]
)
def test_numbers_stay_numbers(column):
    made = brain.fmri(PLAIN, sample=column, stimulus=column)
    assert made.sample.dtype == made.stimulus.dtype == np.int64
    assert made.sel(sample=1).values.tolist() == PLAIN[1].tolist()


def test_days_stay_days():
    days = pd.date_range("2020-01-01", periods=2)
    made = brain.fmri(PLAIN, sample=days, stimulus=[1, 2], session=np.array(days, dtype=object))
    assert made.session.dtype.kind == made.sample.dtype.kind == "M"
    assert made.sel(sample="2020-01-02").stimulus.item() == 2


@pytest.mark.parametrize("hole", [np.datetime64("NaT"), np.timedelta64("NaT")])
def test_a_run_that_is_no_time_is_refused(hole):
    with pytest.raises(ValueError, match="run is NaT for all of 2 along 'sample'"):
        brain.fmri(np.zeros((2, 3)), sample=[0, 1], stimulus=["a", "b"], run=hole)


def test_mixed_labels_become_text():
    assert brain.fmri(PLAIN, sample=[1, "a"], stimulus=[1, 2]).sample.values.tolist() == ["1", "a"]


@pytest.mark.parametrize("hole", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("name", ["sample", "stimulus"])
def test_a_missing_label_is_refused(name, hole):
    with pytest.raises(
        ValueError, match=rf"{name} has 1 missing label\(s\) among 4, first at position 2; give"
    ):
        fmri(**{name: pd.Series(["a", "b", None, "c"]).array if hole is None else ["a", "b", hole, "c"]})


def test_a_missing_region_is_no_region():
    made = fmri(roi=["V1", None, np.nan])
    assert made.roi.values.tolist() == ["V1", "", ""]
    assert brain.regions(made).region.values.tolist() == ["V1"]


@pytest.mark.parametrize("name", ["sample", "stimulus", "run", "session", "repeat", "split", "subject"])
@pytest.mark.parametrize("column", [["a"], ["a"] * 5, [["a"] * 4]])
def test_labels_of_another_number_are_refused(name, column):
    with pytest.raises(
        ValueError, match=rf"{name} must have one entry for each of 4 along 'sample', got shape"
    ):
        fmri(**{name: column})


@pytest.mark.parametrize("name", ["roi", "hemi", "vertex"])
def test_voxel_labels_of_another_number_are_refused(name):
    with pytest.raises(
        ValueError, match=rf"{name} must have one entry for each of 3 along 'voxel', got shape \(2,\)"
    ):
        fmri(**{name: ["left", "left"]})


@pytest.mark.parametrize("name", ["sample", "stimulus"])
def test_one_label_does_not_stand_for_all_samples(name):
    with pytest.raises(ValueError, match=rf"{name} must have one entry"):
        fmri(**{name: "a"})


def test_one_value_serves_all_samples_where_that_makes_sense():
    made = fmri(session=2, run="r", split="train", subject="S1", repeat=[0, 1, 0, 1])
    assert made.session.values.tolist() == [2] * 4
    assert made.split.values.tolist() == ["train"] * 4
    assert made.attrs["subject"] == "S1"
    assert fmri(subject=["S1", "S1", "S2", "S2"]).subject.dims == ("sample",)


# ------------------------------------------------------------------------------------------ labels of the values' own
FRAME = pd.DataFrame(np.arange(6.0).reshape(3, 2), index=["a", "b", "c"])
SLIP = r"bear '{}' labels of their own, and {}=\.\.\. disagrees on {} of {}, first at position {}: {}; the labels are "


def slips(name, count, size, first, both):
    return pytest.raises(
        ValueError, match=SLIP.format(name, name, count, size, first, both) + "the same in another"
    )


def test_features_of_a_table_do_not_slip_against_its_index():
    with slips("stimulus", 2, 3, 1, "'b' against 'c'"):
        brain.features(FRAME, stimulus=["a", "c", "b"])
    with pytest.raises(ValueError, match=r"are not the same labels.*\.reset_index\(drop=True\)"):
        brain.features(FRAME, stimulus=["x", "y", "z"])
    np.testing.assert_array_equal(brain.features(FRAME, stimulus=["a", "b", "c"]), FRAME)
    named = brain.features(FRAME.reset_index(drop=True), stimulus=["x", "y", "z"])
    assert named.stimulus.values.tolist() == ["x", "y", "z"]
    with pytest.raises(ValueError, match="must have one entry for each of 3"):
        brain.features(FRAME, stimulus=["a", "b"])


def test_a_shuffled_or_selected_table_takes_its_own_column_but_no_list():
    table = pd.DataFrame({"name": list("abcd"), "f": [1.0, 2, 3, 4]})
    for part in (table.iloc[[2, 0, 3, 1]], table[table.f > 2]):
        made = brain.features(part[["f"]], stimulus=part["name"])
        assert made.stimulus.values.tolist() == part["name"].tolist()
        with pytest.raises(ValueError, match="bear 'stimulus' labels of their own"):
            brain.features(part[["f"]], stimulus=part["name"].tolist())
    with pytest.raises(ValueError, match="bear 'stimulus' labels of their own"):
        brain.features(table.iloc[[2, 0, 3, 1]][["f"]], stimulus=table["name"])
    assert brain.features(table[["f"]], stimulus=table["name"]).sizes["stimulus"] == 4


def test_an_index_of_responses_may_hold_ids_or_stimuli():
    ids = ["s0", "s1", "s2"]
    assert brain.fmri(FRAME, sample=ids, stimulus=["a", "b", "c"]).sizes["sample"] == 3
    assert brain.fmri(FRAME, sample=["a", "b", "c"], stimulus=[1, 2, 3]).sizes["sample"] == 3
    with slips("stimulus", 3, 3, 0, "'a' against 'c'"):
        brain.fmri(FRAME, sample=ids, stimulus=["c", "a", "b"])
    with slips("sample", 2, 3, 0, "'a' against 'b'"):
        brain.fmri(FRAME.rename_axis("sample"), sample=["b", "a", "c"], stimulus=["a", "b", "c"])
    double = FRAME.set_index(pd.MultiIndex.from_arrays([ids, list("abc")], names=["sample", "stimulus"]))
    assert brain.fmri(double, sample=ids, stimulus=["a", "b", "c"]).sizes["sample"] == 3
    with slips("stimulus", 2, 3, 0, "'a' against 'b'"):
        brain.fmri(double, sample=ids, stimulus=["b", "a", "c"])


def test_a_labelled_array_does_not_slip_against_its_coordinates():
    array = fmri(roi=["V1", "V2", "LO"])
    ids, seen = array.sample.values, array.stimulus.values
    np.testing.assert_array_equal(brain.fmri(array, sample=ids, stimulus=seen, roi=array.roi), array)
    with slips("sample", 4, 4, 0, "0 against 3"):
        brain.fmri(array, sample=ids[::-1], stimulus=seen)
    with slips("stimulus", 4, 4, 0, "'i0' against 'i1'"):
        brain.fmri(array, sample=ids, stimulus=seen[::-1])
    with slips("roi", 2, 3, 0, "'V1' against 'LO'"):
        brain.fmri(array, sample=ids, stimulus=seen, roi=["LO", "V2", "V1"])
    with pytest.raises(ValueError, match=r"not the same labels.*drop_vars\('sample'\)"):
        brain.fmri(array, sample=list("abcd"), stimulus=seen)
    assert brain.fmri(array.drop_vars("sample"), sample=list("abcd"), stimulus=seen).sizes["sample"] == 4
    space = brain.features(PLAIN, stimulus=[1, 2])
    assert brain.features(space, stimulus=["1", "2"]).stimulus.dtype.kind == "U"
    with slips("stimulus", 2, 2, 0, "1 against '2'"):
        brain.features(space, stimulus=["2", "1"])
    pictures = brain.images(np.zeros((2, 1, 1, 3)), stimulus=["a", "b"])
    with slips("stimulus", 2, 2, 0, "'a' against 'b'"):
        brain.images(pictures, stimulus=["b", "a"])


def test_channels_and_times_do_not_slip():
    array = meeg()
    ids = {"sample": array.sample, "stimulus": array.stimulus}
    with slips("channel", 2, 2, 0, "'Oz' against 'Pz'"):
        brain.meeg(array, **ids, channel=["Pz", "Oz"], time=array.time)
    backwards = array.isel(time=slice(None, None, -1))
    with slips("time", 2, 3, 0, r"0\.02 against 0\.0"):
        brain.meeg(backwards, **ids, channel=array.channel, time=array.time)
    milliseconds = array.assign_coords(time=array.time * 1000)
    made = brain.meeg(milliseconds, **ids, channel=array.channel, time=array.time)
    np.testing.assert_array_equal(made.time, array.time)


def test_days_of_any_precision_are_the_same_days():
    days = pd.date_range("2020-01-01", periods=2)
    values = xr.DataArray(PLAIN, dims=("sample", "voxel"), coords={"sample": days})
    for same in (days.to_numpy().astype("M8[s]"), days.to_pydatetime().tolist()):
        assert brain.fmri(values, sample=same, stimulus=[1, 2]).sizes["sample"] == 2


def test_duplicate_sample_ids_are_refused():
    with pytest.raises(ValueError, match="responses has 1 duplicate 'sample'.*first 'a' at positions 0, 3"):
        fmri(sample=["a", "b", "c", "a"])


def test_sample_is_needed():
    with pytest.raises(ValueError, match="no coordinate 'sample'"):
        fmri(sample=None)


# ------------------------------------------------------------------------------------------ voxels
@pytest.mark.parametrize("hemi", [["lh", "rh", "lh"], ["L", "R", "L"], [0, 1, 0], ["left", "right", ""]])
def test_hemispheres_have_two_names(hemi):
    with pytest.raises(ValueError, match="hemi must be 'left' or 'right', got"):
        fmri(hemi=hemi)


def test_surface_voxels_are_told_apart_by_hemisphere_and_vertex():
    made = fmri(hemi=["left", "right", "right"], vertex=[7.0, 7.0, 9.0])
    assert made.voxel.values.tolist() == ["left-7", "right-7", "right-9"]
    assert made.vertex.dtype == np.int64
    with pytest.raises(ValueError, match=r"1 duplicate 'voxel'.*'left-7' at positions 0, 1"):
        fmri(hemi=["left"] * 3, vertex=[7, 7, 9])


@pytest.mark.parametrize("vertex", [[0.5, 1, 2], [-1, 0, 1], ["a", "b", "c"]])
def test_a_vertex_is_a_whole_number(vertex):
    with pytest.raises(ValueError, match="vertex must be whole numbers from 0, got"):
        fmri(vertex=vertex)


def test_positions_have_three_columns_and_units():
    made = fmri(xyz=pd.DataFrame(np.arange(9.0).reshape(3, 3)))
    assert made.y.values.tolist() == [1, 4, 7]
    assert made.x.attrs["units"] == "mm"
    with pytest.raises(ValueError, match=r"xyz must be \(3, 3\) in mm.*got \(2, 3\)"):
        fmri(xyz=np.zeros((2, 3)))
    assert meeg(xyz=np.ones((2, 3))).z.attrs["units"] == "m"


# ------------------------------------------------------------------------------------------ time
@pytest.mark.parametrize(
    "time",
    [
        np.arange(-200, 800, 4.0),
        np.arange(-200, -100, 4.0),
        np.arange(0, 40, 4),
        np.arange(300),
        np.arange(-100, 100, 0.9765625),
    ],
)
def test_time_in_milliseconds_or_samples_is_refused(time):
    with pytest.raises(
        ValueError, match=r"looks like milliseconds.*must be in seconds from onset: divide by 1000"
    ):
        meeg(time)


def test_time_must_increase():
    with pytest.raises(ValueError, match=r"time must increase, but goes from 0\.02 to 0\.01 at position 1"):
        meeg([0.0, 0.02, 0.01])
    with pytest.raises(ValueError, match="time must increase"):
        meeg([0.0, 0.01, 0.01])
    with pytest.raises(ValueError, match="time must increase, but goes from 800 to 796"):
        meeg(np.arange(800, 0, -4.0))


def test_time_must_be_even():
    with pytest.raises(ValueError, match=r"evenly spaced, but steps run from 0\.01 to 0\.02 s; resample"):
        meeg([0.0, 0.01, 0.03])


@pytest.mark.parametrize("time", [[0, np.nan, 1], [0, np.inf, 1]])
def test_time_must_be_finite(time):
    with pytest.raises(ValueError, match="time has NaN or infinite"):
        meeg(time)


def test_time_must_be_numbers():
    with pytest.raises(ValueError, match="time must be numbers, seconds from onset, got dtype"):
        meeg(["a", "b", "c"])


@pytest.mark.parametrize(
    "time",
    [
        np.arange(-0.2, 0.8, 1 / 256),
        np.linspace(-0.2, 0.8, 241, dtype=np.float32),
        np.arange(-50, 206) / 256,
        pd.to_timedelta(np.arange(-200, 800, 4), unit="ms"),
        [-0.1],
        np.arange(0, 5, 1 / 1200),
    ],
)
def test_seconds_pass_at_any_rate(time):
    made = meeg(time)
    assert made.time.attrs["units"] == "s"
    expected = time.total_seconds() if isinstance(time, pd.TimedeltaIndex) else np.asarray(time, float)
    np.testing.assert_allclose(made.time, expected)


def test_an_array_needs_all_its_labels():
    with pytest.raises(ValueError, match="given as an array need 'sample', 'channel', 'time' too"):
        brain.meeg(np.zeros((1, 1, 1)), stimulus=["a"])
    with pytest.raises(ValueError, match="M/EEG values has 1 duplicate 'channel'"):
        meeg(channel=["Oz", "Oz"])
    assert meeg(kind="eeg").kind.values.tolist() == ["eeg", "eeg"]


# ------------------------------------------------------------------------------------------ labels of columns' own
IDS = [f"t{i:02d}" for i in np.random.default_rng(3).permutation(12)]
SORTED = sorted(IDS)
TABLE = pd.DataFrame(
    {"image": [f"p{i}" for i in range(12)], "part": np.repeat(["train", "test"], 6)}, index=SORTED
)
SLIPPED = (
    r"{} and the labels that {}=\.\.\. bears itself disagree on {} of {} '{}' labels, "
    r"first at position {}: {}; {}"
)


def labelled_array(column):
    return xr.DataArray(column.to_numpy(), dims="sample", coords={"sample": list(column.index)})


def column_slips(
    name, dim, count, size, first, both, *, what=None, why="the labels are the same in another order"
):
    words = SLIPPED.format(what or rf"{dim}=\.\.\.", name, count, size, dim, first, both, why)
    return pytest.raises(ValueError, match=words)


@pytest.mark.parametrize("bearing", [pd.Series, labelled_array, lambda s: s.rename_axis("sample")])
@pytest.mark.parametrize("values", [np.asarray, lambda v: pd.DataFrame(v, index=IDS)])
@pytest.mark.parametrize("name", ["stimulus", "split", "session", "run", "repeat", "subject"])
def test_a_column_that_bears_the_ids_in_another_order_is_refused(bearing, values, name):
    data = values(np.arange(24.0).reshape(12, 2))
    given = {"stimulus": range(12), name: bearing(TABLE.image)}
    count = sum(a != b for a, b in zip(IDS, SORTED, strict=True))
    with column_slips(name, "sample", count, 12, 0, f"'{IDS[0]}' against 't00'"):
        brain.fmri(data, sample=IDS, **given)
    reindexed = {**given, name: bearing(TABLE.image.loc[IDS])}
    made = brain.fmri(data, sample=IDS, **reindexed)
    assert made[name].values.tolist() == [f"p{int(i[1:])}" for i in IDS]
    by_position = {**given, name: bearing(TABLE.image).to_numpy()}
    assert brain.fmri(data, sample=IDS, **by_position)[name].values.tolist() == TABLE.image.tolist()


def test_epochs_do_not_slip_against_columns_of_samples_and_channels():
    values, places = np.zeros((12, 3, 4)), pd.DataFrame(np.eye(3), index=["Cz", "Oz", "Pz"])
    ids = {"sample": IDS, "channel": ["Oz", "Pz", "Cz"], "time": np.arange(4) / 100}
    with column_slips("stimulus", "sample", r"\d+", 12, 0, f"'{IDS[0]}' against 't00'"):
        brain.meeg(values, stimulus=TABLE.image, **ids)
    with column_slips("kind", "channel", 3, 3, 0, "'Oz' against 'Cz'"):
        brain.meeg(values, stimulus=range(12), kind=pd.Series("eeg", index=places.index), **ids)
    with column_slips("xyz", "channel", 3, 3, 0, "'Oz' against 'Cz'"):
        brain.meeg(values, stimulus=range(12), xyz=places, **ids)
    made = brain.meeg(values, stimulus=range(12), xyz=places.loc[ids["channel"]], **ids)
    assert np.stack([made.x, made.y, made.z], 1).tolist() == np.eye(3)[[1, 2, 0]].tolist()


def test_columns_of_voxels_and_features_do_not_slip_against_those_of_a_table():
    table = pd.DataFrame(np.zeros((2, 3)), columns=["v1", "v2", "v3"])
    roi = pd.Series(["V1", "LO", "MT"], index=["v1", "v3", "v2"])
    with column_slips("roi", "voxel", 2, 3, 1, "'v2' against 'v3'", what="the values"):
        brain.fmri(table, sample=range(2), stimulus=range(2), roi=roi)
    made = brain.fmri(table, sample=range(2), stimulus=range(2), roi=roi.loc[table.columns])
    assert made.roi.values.tolist() == ["V1", "MT", "LO"]
    with column_slips("layer", "feature", 2, 3, 1, "'v2' against 'v3'", what="the values"):
        brain.features(table, stimulus=range(2), layer=roi)
    with column_slips("layer", "feature", 2, 3, 1, "'v2' against 'v3'", what=r"unit=\.\.\."):
        brain.features(table.to_numpy(), stimulus=range(2), layer=roi, unit=list(table.columns))


def test_a_column_of_other_ids_is_refused():
    values, other = np.zeros((12, 2)), TABLE.image.rename(lambda i: f"x{i}")
    for column in (other, labelled_array(other), other.rename({"xt00": IDS[0], "xt01": "xt02"})):
        with column_slips(
            "stimulus", "sample", r"\d+", 12, r"\d", ".*", why="they are not the same labels: check"
        ):
            brain.fmri(values, sample=IDS, stimulus=column)
    numbered = TABLE.image.set_axis(pd.RangeIndex(5, 17, name="sample"))
    with column_slips("stimulus", "sample", 12, 12, 0, "0 against 5", why="they are not the same"):
        brain.fmri(values, sample=range(12), stimulus=numbered)


def test_row_numbers_are_ids_only_where_they_are_those_of_the_samples():
    values, part = np.zeros((12, 2)), TABLE.reset_index(drop=True).sample(frac=1, random_state=1)
    first = part.index[0]
    with column_slips("stimulus", "sample", r"\d+", 12, 0, f"0 against {first}"):
        brain.fmri(values, sample=range(12), stimulus=part.image)
    with column_slips("stimulus", "sample", r"\d+", 12, 0, f"'0' against {first}"):
        brain.fmri(values, sample=[str(i) for i in range(12)], stimulus=part.image)
    with column_slips(
        "stimulus", "sample", r"\d+", 12, 0, r"\d+ against \d+", what=r"the index of sample=\.\.\."
    ):
        brain.fmri(values, sample=part.image, stimulus=part.sort_values("image").image)
    made = brain.fmri(values, sample=part.index, stimulus=part.image)
    assert made.sel(sample=3).stimulus.item() == "p3"


ROWS = np.arange(12)


@pytest.mark.parametrize(
    ("sample", "index"),
    [
        (IDS, ROWS),  # the default index
        (IDS, ROWS[::-1]),  # rows of a shuffled table
        (IDS, ROWS * 2 + 3),  # a filtered one
        (ROWS, ROWS * 2),
        (ROWS + 5, ROWS),
        (ROWS[::-1], ROWS),
        (ROWS, np.tile(ROWS[:6], 2)),  # two tables, one after the other
        (IDS, ["S1", "S2"] * 6),  # no label of its own for each row
        (ROWS, SORTED),  # texts beside numbers
        (IDS, [f"p{i}" for i in ROWS]),  # indexed by what it holds
        (IDS, pd.date_range("2020-01-01", periods=12)),
        (IDS, pd.MultiIndex.from_product([["S1", "S2"], ROWS[:6]])),
        (pd.Series(IDS, index=TABLE.image), TABLE.image),  # columns of one table, whatever its index holds
        (pd.Series(ROWS, index=ROWS[::-1]), ROWS[::-1]),
        (IDS, IDS),
    ],
)
def test_an_index_that_holds_no_ids_is_passed_over(sample, index):
    column = TABLE.image.set_axis(index)
    made = brain.fmri(np.zeros((12, 2)), sample=sample, stimulus=column, split=column)
    assert made.stimulus.values.tolist() == made.split.values.tolist() == TABLE.image.tolist()
    assert made.sample.values.tolist() == list(sample)


def test_an_index_may_hold_the_stimuli_of_another_column():
    parts = TABLE.part.set_axis(TABLE.image)
    made = brain.fmri(np.zeros((12, 2)), sample=IDS, stimulus=TABLE.image.to_numpy(), split=parts)
    assert made.split.values.tolist() == TABLE.part.tolist()
    averages = TABLE.image.set_axis(TABLE.image)  # one sample a picture, called like it
    with column_slips("stimulus", "sample", 12, 12, 0, "'p11' against 'p0'"):
        brain.fmri(np.zeros((12, 2)), sample=TABLE.image.tolist()[::-1], stimulus=averages)
    with column_slips("split", "sample", 12, 12, 0, "'p11' against 'p0'", what=r"stimulus=\.\.\."):
        brain.fmri(np.zeros((12, 2)), sample=IDS, stimulus=TABLE.image.tolist()[::-1], split=parts)


def test_stimuli_of_the_values_own_table_do_not_excuse_ids_in_another_order():
    table = pd.DataFrame(np.zeros((12, 2)), index=IDS)
    with pytest.raises(ValueError, match="bear 'sample' labels of their own.*the same in another order"):
        brain.fmri(table, sample=SORTED, stimulus=TABLE.image.loc[IDS])
    with pytest.raises(ValueError, match="bear 'sample' labels of their own.*not the same labels"):
        brain.fmri(table, sample=[*IDS[:-1], "t99"], stimulus=TABLE.image.loc[IDS])
    for ids in (IDS, [f"trial-{i}" for i in range(12)], range(12)):
        made = brain.fmri(table, sample=ids, stimulus=TABLE.image.loc[IDS])
        assert made.stimulus.values.tolist() == [f"p{int(i[1:])}" for i in IDS]
    shuffled = table.set_axis(ROWS[::-1])
    own = {"sample": pd.Series(ROWS, index=ROWS[::-1]), "stimulus": TABLE.image.set_axis(ROWS[::-1])}
    assert brain.fmri(shuffled, **own).sample.values.tolist() == ROWS.tolist()
    kept = brain.fmri(shuffled, sample=IDS, stimulus=own["sample"])
    assert kept.stimulus.values.tolist() == ROWS.tolist()


# ------------------------------------------------------------------------------------------ mne.Epochs
PLACES = np.array([[0, -0.1, 0.03], [0, -0.07, 0.08], [0, 0, 0.1], [0, 0.08, 0.06]])


def epochs(metadata=None, *, montage=True, kind="eeg", bads=()):
    mne = pytest.importorskip("mne")
    names = ["Oz", "Pz", "Cz", "Fz"]
    info = mne.create_info(names, 250.0, kind)
    if montage:
        places = dict(zip(names, PLACES, strict=True))
        info.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"))
    info["bads"] = list(bads)
    values = np.random.default_rng(1).normal(size=(3, 4, 50)) * 1e-6
    events = np.column_stack([[10, 90, 200], np.zeros(3, int), [1, 2, 1]])
    return mne.EpochsArray(
        values,
        info,
        events=events,
        event_id={"face": 1, "house": 2},
        tmin=-0.05,
        metadata=metadata,
        verbose="error",
    )


def test_epochs_bring_values_units_times_channels_positions_and_event_names():
    from_mne = epochs()
    made = brain.meeg(from_mne, subject="S1")
    np.testing.assert_array_equal(made.values, from_mne.get_data())
    assert made.attrs == {"units": "V", "subject": "S1"}
    np.testing.assert_allclose(made.time, from_mne.times)
    assert made.channel.values.tolist() == from_mne.ch_names
    assert made.kind.values.tolist() == ["eeg"] * 4
    assert made.stimulus.values.tolist() == ["face", "house", "face"]
    assert made.sample.values.tolist() == ["event-0", "event-1", "event-2"]
    np.testing.assert_allclose(np.stack([made.x, made.y, made.z], axis=1), PLACES)


def test_epochs_can_be_made_again_from_the_array():
    """A round trip through mne.EpochsArray keeps values, rate and onset."""
    mne = pytest.importorskip("mne")
    made = brain.meeg(epochs(montage=False))
    info = mne.create_info(made.channel.values.tolist(), 1 / float(made.time.diff("time").mean()), "eeg")
    again = mne.EpochsArray(made.values, info, tmin=float(made.time[0]), verbose="error")
    second = brain.meeg(again, sample=made.sample, stimulus=made.stimulus)
    np.testing.assert_array_equal(second, made)
    np.testing.assert_allclose(second.time, made.time, atol=1e-12)


def test_metadata_columns_become_coordinates():
    table = pd.DataFrame(
        {
            "stimulus": pd.array(["i0", "i1", "i2"], dtype="str"),
            "sample": [5, 6, 9],
            "run": [1, 1, 2],
            "split": ["train", "train", "test"],
            "rt": [0.3, np.nan, 0.5],
            "key": ["a", None, "b"],
            "n": [1, 2, 3],
            "time": [10, 20, 30],
            "feature": [1, 2, 3],
            "layer": ["a", "b", "c"],
        }
    )
    made = brain.meeg(epochs(table))
    assert made.sample.values.tolist() == [5, 6, 9]
    assert made.stimulus.values.tolist() == ["i0", "i1", "i2"]
    for name in ("run", "split", "n"):
        assert made[name].dims == ("sample",)
        assert made[name].values.tolist() == table[name].tolist()
    np.testing.assert_array_equal(made.rt, table["rt"])
    assert made.key.values.tolist() == ["a", "", "b"]
    assert made.metadata_time.values.tolist() == [10, 20, 30]
    assert made.metadata_feature.values.tolist() == [1, 2, 3]
    assert not {"feature", "layer"} & set(made.coords)
    assert made.time.size == 50
    given_run = brain.meeg(epochs(table), run=7, stimulus=["x", "y", "z"])
    assert given_run.run.values.tolist() == [7, 7, 7]
    assert given_run.stimulus.values.tolist() == ["x", "y", "z"]


def test_dropped_epochs_keep_their_numbers():
    made = brain.meeg(epochs().drop([1], verbose="error"))
    assert made.sample.values.tolist() == ["event-0", "event-2"]


def test_epochs_leave_out_bad_channels_and_unknown_positions():
    made = brain.meeg(epochs(montage=False, bads=["Pz"]))
    assert made.channel.values.tolist() == ["Oz", "Cz", "Fz"]
    assert "x" not in made.coords


def test_epochs_of_two_units_are_refused():
    with pytest.raises(ValueError, match=r"mix channels in T and V; pick one kind first"):
        brain.meeg(epochs(montage=False, kind=["eeg", "eeg", "mag", "mag"]))
    with pytest.raises(ValueError, match=r"no good EEG or MEG channel; kinds are \{'misc'\}"):
        brain.meeg(epochs(montage=False, kind="misc"))


def test_epochs_know_their_units():
    assert brain.meeg(epochs(), units="V").attrs["units"] == "V"
    with pytest.raises(ValueError, match="the epochs are in V, not 'uV'"):
        brain.meeg(epochs(), units="uV")
    assert meeg().attrs["units"] == "a.u."


def test_other_things_of_mne_are_refused():
    with pytest.raises(ValueError, match=r"must be an array or mne\.Epochs, not mne's Evoked"):
        brain.meeg(epochs().average())


def test_a_path_of_epochs_is_refused_with_what_reads_it(tmp_path):
    file = tmp_path / "s1-epo.fif"
    saved = epochs()
    saved.save(file, verbose="error")
    for path in (file, str(file), "elsewhere-epo.fif"):
        with pytest.raises(
            ValueError, match=r"the path '.*-epo\.fif'; .*mne\.read_epochs\(path\).*datasets\.own\.epochs"
        ):
            brain.meeg(path)
    own = nd.datasets.own.epochs(file)
    np.testing.assert_allclose(own.values, saved.get_data(), rtol=1e-6)


@pytest.mark.recording
@pytest.mark.skipif(not CTF.exists(), reason="shared/data/ctf_geometry is not beside the repository")
def test_a_real_ctf_recording_keeps_its_gradiometers_units_and_head_positions():
    """Head positions against mne's own sensor geometry for the forward model, which is in head coordinates."""
    import mne
    from mne.transforms import apply_trans

    raw = mne.io.read_raw_fif(CTF, preload=True, verbose="error")
    events = np.array([[raw.first_samp + 100, 0, 1], [raw.first_samp + 160, 0, 1]])
    cut = mne.Epochs(raw, events, tmin=-0.05, tmax=0.05, baseline=None, preload=True, verbose="error")
    made = brain.meeg(cut)
    kept = mne.pick_types(cut.info, meg=True, ref_meg=False)
    assert made.sizes["channel"] == kept.size == 274 - len(raw.info["bads"])
    assert made.attrs["units"] == "T"
    assert not set(made.channel.values) & {
        cut.ch_names[i] for i in mne.pick_types(cut.info, ref_meg=True, meg=False)
    }
    np.testing.assert_array_equal(made, cut.get_data(picks=kept))
    xyz = np.stack([made.x, made.y, made.z], axis=1)
    device = np.array([cut.info["chs"][i]["loc"][:3] for i in kept])
    np.testing.assert_allclose(xyz, apply_trans(cut.info["dev_head_t"], device))
    # The helmet lies around the head: the origin of head coordinates is between the ears.
    radius = np.linalg.norm(xyz - [0, 0, 0.04], axis=1)
    assert 0.08 < radius.min() < radius.max() < 0.20


# ------------------------------------------------------------------------------------------ NIfTI
AFFINE = np.array([[2.0, 0, 0, -10], [0, 3, 0, 5], [0, 0, 4, 1], [0, 0, 0, 1]])
SHAPE = (4, 3, 2)
INSIDE = np.zeros(SHAPE, bool)
INSIDE[1:3, :2, :] = True
INSIDE[0, 2, 1] = True


def nifti(values, affine=AFFINE):
    nib = pytest.importorskip("nibabel")
    values = np.asarray(values)
    return nib.Nifti1Image(values.astype(np.float32 if values.dtype.kind == "f" else np.int16), affine)


def volume(**more):
    values = np.random.default_rng(2).normal(size=(*SHAPE, 5)).astype(np.float32)
    given_labels = {"sample": range(5), "stimulus": range(5), "mask": nifti(INSIDE), **more}
    return values, brain.fmri(nifti(values), **given_labels)


def test_an_image_gives_what_nilearns_masker_gives():
    from nilearn.maskers import NiftiMasker

    values, made = volume()
    masker = NiftiMasker(mask_img=nifti(INSIDE), standardize=None).fit()
    np.testing.assert_array_equal(made, masker.transform(nifti(values)))
    assert made.voxel.values.tolist() == np.flatnonzero(INSIDE).tolist()
    assert made.attrs["shape"] == list(SHAPE)
    np.testing.assert_array_equal(np.reshape(made.attrs["affine"], (4, 4)), AFFINE)
    assert made.attrs["space"] == "volume"


def test_voxel_positions_are_those_of_the_affine():
    from nibabel.affines import apply_affine

    _, made = volume()
    np.testing.assert_allclose(
        np.stack([made.x, made.y, made.z], axis=1), apply_affine(AFFINE, np.argwhere(INSIDE))
    )
    own = volume(xyz=np.zeros((INSIDE.sum(), 3)), space="MNI152")[1]
    assert not own.x.any()
    assert own.attrs["space"] == "MNI152"


def test_paths_do_as_well(tmp_path):
    values, made = volume()
    nifti(values).to_filename(tmp_path / "bold.nii.gz")
    nifti(INSIDE).to_filename(tmp_path / "mask.nii")
    for path in (tmp_path / "bold.nii.gz", str(tmp_path / "bold.nii.gz")):
        again = brain.fmri(path, sample=range(5), stimulus=range(5), mask=tmp_path / "mask.nii")
        xr.testing.assert_identical(again, made)


@pytest.mark.parametrize("name", ["~/run.nii", "ru?.nii"])
def test_names_that_nilearn_expands_are_taken(tmp_path, monkeypatch, name):
    nibabel = pytest.importorskip("nibabel")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "run.nii")
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.eye(4)), tmp_path / "mask.nii")
    found = brain.fmri(name, mask="mask.nii", sample=range(5), stimulus=list("abcde"))
    np.testing.assert_array_equal(found.values, values.reshape(-1, 5).T)


def test_an_image_needs_a_mask_of_its_own_grid():
    values, _ = volume()
    with pytest.raises(ValueError, match="needs mask=..., a 3-D image that is non-zero where"):
        volume(mask=None)
    with pytest.raises(ValueError, match=r"the mask and.*shape \(2, 3, 2\) against \(4, 3, 2\).*resample"):
        volume(mask=nifti(INSIDE[:2]))
    with pytest.raises(ValueError, match=r"the mask and.*affine .*-10\.0.* against .*resample"):
        volume(mask=nifti(INSIDE, AFFINE + np.diag([1, 0, 0, 0])))
    with pytest.raises(ValueError, match="the mask is empty"):
        volume(mask=nifti(INSIDE * 0))
    with pytest.raises(ValueError, match="mask goes with a NIfTI image"):
        fmri(mask=nifti(INSIDE))
    with pytest.raises(ValueError, match="one entry for each of 5 along 'sample'"):
        brain.fmri(nifti(values), sample=range(4), stimulus=range(4), mask=nifti(INSIDE))


def test_nan_in_a_mask_is_outside():
    _, made = volume(mask=nifti(np.where(INSIDE, 1.0, np.nan)))
    assert made.sizes["voxel"] == INSIDE.sum()


def test_a_mask_whose_affine_differs_by_rounding_is_taken():
    values, made = volume()
    rounded = brain.fmri(
        nifti(values, AFFINE + np.diag([5e-4, 0, 0, 0])),
        sample=range(5),
        stimulus=range(5),
        mask=nifti(INSIDE),
    )
    np.testing.assert_array_equal(rounded, made)


def test_nan_in_an_image_is_no_zero():
    values, _ = volume()
    values[1, 0, 0, 3] = np.nan
    made = brain.fmri(nifti(values), sample=range(5), stimulus=range(5), mask=nifti(INSIDE))
    with pytest.raises(
        ValueError, match=r"responses has 1 NaN .* first at sample 3, voxel 6; drop or interpolate"
    ):
        nd.RidgeDecoder().fit(made, brain.features(np.eye(5), stimulus=range(5)))


def test_a_three_dimensional_image_is_one_sample():
    values, _ = volume()
    made = brain.fmri(nifti(values[..., 0]), sample=["a"], stimulus=["x"], mask=nifti(INSIDE[..., None]))
    np.testing.assert_array_equal(made.values[0], values[..., 0][INSIDE])


def region_masks():
    low, high = np.zeros(SHAPE), np.zeros(SHAPE)
    low[1], high[2] = 1, 1
    return low, high


def test_region_masks_and_an_atlas_name_the_same_voxels():
    low, high = region_masks()
    by_masks = volume(roi={"V1": nifti(low), "LO": nifti(high)})[1]
    by_atlas = volume(roi=(nifti(low * 7 + high * 9), {7: "V1", 9: "LO", 11: "LO"}))[1]
    xr.testing.assert_identical(by_masks, by_atlas)
    expected = np.where(low[INSIDE] == 1, "V1", np.where(high[INSIDE] == 1, "LO", ""))
    assert by_masks.roi.values.tolist() == expected.tolist()
    assert (by_masks.roi == "").sum() == 1


def test_region_masks_are_refused_where_they_overlap_miss_or_lie_elsewhere():
    low, high = region_masks()
    with pytest.raises(ValueError, match=r"4 of 9 voxels lie in more than one of 'V1', 'LO'.*regions="):
        volume(roi={"V1": nifti(low), "LO": nifti(low + high)})
    with pytest.raises(ValueError, match="region 'LO' has no voxel inside the mask"):
        volume(roi={"V1": nifti(low), "LO": nifti(high * 0)})
    with pytest.raises(ValueError, match=r"the mask of region 'V1' and.*shape \(2, 3, 2\) against"):
        volume(roi={"V1": nifti(low[:2])})
    with pytest.raises(ValueError, match=r"the mask of region 'V1' and.*affine"):
        volume(roi={"V1": nifti(low, np.eye(4))})
    with pytest.raises(ValueError, match="names no region"):
        volume(roi={})


def test_an_atlas_is_refused_on_another_grid_or_with_labels_it_does_not_have():
    low, _ = region_masks()
    with pytest.raises(ValueError, match=r"the atlas and.*affine"):
        volume(roi=(nifti(low, np.eye(4)), {1: "V1"}))
    with pytest.raises(
        ValueError, match=r"none of the labels 'V1' occurs in the atlas.*has 0.*give \{label: name\}"
    ):
        volume(roi=(nifti(low), {"V1": 1}))


def test_arrays_of_the_shape_of_the_image_do_as_masks_and_atlas():
    low, high = region_masks()
    expected = volume(roi={"V1": nifti(low), "LO": nifti(high)})[1]
    for mask in (INSIDE, INSIDE.astype(float), INSIDE[..., None]):
        for roi in (
            {"V1": low == 1, "LO": high},
            (low * 7 + high * 9, {7: "V1", 9: "LO"}),
            ((low * 7 + high * 9).astype(np.uint8), {7: "V1", 9: "LO"}),
        ):
            xr.testing.assert_identical(volume(mask=mask, roi=roi)[1], expected)
    later = brain.regions(expected, {"low": low == 1, "both": low + high})
    np.testing.assert_array_equal(later.values, [low[INSIDE] > 0, (low + high)[INSIDE] > 0])
    for roi, who in (({"V1": low[:2] == 1}, "the mask of region 'V1'"), ((low[:2], {1: "V1"}), "the atlas")):
        with pytest.raises(
            ValueError, match=rf"{who} is an array of .* and shape \(2, 3, 2\); .* \(4, 3, 2\)"
        ):
            volume(roi=roi)
    with pytest.raises(ValueError, match=r"the mask is an array of <U1 and shape \(4, 3, 2\)"):
        volume(mask=np.full(SHAPE, "x"))


def test_what_is_no_mask_and_no_atlas_is_refused_in_words(tmp_path):
    low, high = region_masks()
    both = nifti(low + 2 * high)
    both.to_filename(tmp_path / "atlas.nii.gz")
    for image in (1, [nifti(low)], None):
        with pytest.raises(
            ValueError, match=r"the mask of region 'V1' must be a NIfTI image, its path.*roi=\(atlas"
        ):
            volume(roi={"V1": image})
    with pytest.raises(
        ValueError, match=r"the mask must be a NIfTI image, its path, or an array.*got 1 \(int\)"
    ):
        volume(mask=1)
    for roi, who in (({"V1": "nope.nii.gz"}, "mask of region 'V1'"), (("nope.nii.gz", {1: "V1"}), "atlas")):
        with pytest.raises(FileNotFoundError, match=f"the {who} is text, .* no file 'nope.nii.gz'"):
            volume(roi=roi)
    for alone in (both, tmp_path / "atlas.nii.gz", str(tmp_path / "atlas.nii.gz"), low):
        with pytest.raises(ValueError, match=r"alone does not say how .*roi=\(atlas, \{1: 'V1', 2: 'V2'\}\)"):
            volume(roi=alone)
        with pytest.raises(
            ValueError, match=r"name of every label, .*got \['V1', 'V2'\] \(list\); .* labels 0.*, 1"
        ):
            volume(roi=(alone, ["V1", "V2"]))


def test_two_names_of_two_voxels_are_no_atlas():
    two = np.zeros(SHAPE, bool)
    two[0, 0] = True
    for names in (("V1", "LO"), ("V1", None)):
        made = volume(mask=two, roi=names)[1]
        assert made.roi.values.tolist() == [name or "" for name in names]


def test_a_label_without_a_voxel_is_told():
    low, high = region_masks()
    atlas = nifti(low + 2 * high)
    with pytest.warns(
        UserWarning,
        match=r"1 of 2 labels of the atlas, 5, do not occur inside the mask, which has 0.*, 1.*, 2.*: there are no "
        r"regions 'LO'; take",
    ) as said:
        made = volume(roi=(atlas, {1: "V1", 5: "LO"}))[1]
    assert said[0].filename == __file__
    assert sorted(set(made.roi.values.tolist())) == ["", "V1"]
    made = volume(mask=(low + high) * INSIDE, roi=(atlas, {0: "outside", 1: "V1", 2: "LO"}))[1]
    assert sorted(set(made.roi.values.tolist())) == ["LO", "V1"]


def test_an_image_serves_as_region_later():
    low, high = region_masks()
    _, made = volume()
    masks = brain.regions(made, {"low": nifti(low), "both": nifti(low + high)})
    np.testing.assert_array_equal(masks.values, [low[INSIDE] > 0, (low + high)[INSIDE] > 0])
    with pytest.raises(ValueError, match="different grids: affine"):
        brain.regions(made, {"low": nifti(low, np.eye(4))})
    with pytest.raises(ValueError, match="responses that were made from a NIfTI image"):
        brain.regions(fmri(), {"low": nifti(low)})


# ------------------------------------------------------------------------------------------ regions
ATLAS = ["V1", "V2", "V3", "LO", "hV4", ""]


def atlas(roi=ATLAS):
    return fmri(v=len(roi), roi=roi)


def chosen(masks):
    return {
        str(r): [ATLAS[i] for i in np.flatnonzero(m)]
        for r, m in zip(masks.region.values, masks.values, strict=True)
    }


def test_regions_by_name_group_sum_and_mapping():
    array = atlas()
    assert chosen(brain.regions(array)) == {n: [n] for n in sorted(ATLAS[:-1])}
    assert chosen(brain.regions(array, "LVC")) == {"LVC": ["V1", "V2", "V3"]}
    assert chosen(brain.regions(array, ["LVC+HVC", "hV4", "V1+LO"])) == {
        "LVC+HVC": ["V1", "V2", "V3", "LO"],
        "hV4": ["hV4"],
        "V1+LO": ["V1", "LO"],
    }
    assert chosen(brain.regions(array, {"early": ["V1", "V2"], "late": "HVC"})) == {
        "early": ["V1", "V2"],
        "late": ["LO"],
    }


def test_a_name_with_a_plus_is_no_sum_of_its_parts():
    array = atlas(["ecc4", "ecc4+", "", "V1"])
    for name, rows in {"ecc4+": [1], "V1+ecc4+": [1, 3], "ecc4+ + V1": [1, 3], "V1+ecc4": [0, 3]}.items():
        assert np.flatnonzero(brain.regions(array, name)[0]).tolist() == rows
    with pytest.raises(ValueError, match=r"unknown region\(s\) ''; there are 'V1', 'ecc4', 'ecc4\+'"):
        brain.regions(array, "V1+")


def test_groups_are_those_of_the_paper():
    assert set(brain.GROUPS["LVC"]) == {"V1", "V2", "V3", "V3ab"}
    assert set(brain.GROUPS["HVC"]) == {"VO", "PHC", "LO", "MT"}


def test_regions_by_boolean_masks():
    array = atlas()
    rows = np.array([[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1]], bool)
    mine = xr.DataArray(rows, dims=("region", "voxel"), coords={"region": ["a", "b"], "voxel": array.voxel})
    np.testing.assert_array_equal(brain.regions(array, mine), rows)
    np.testing.assert_array_equal(brain.regions(array, mine.T), rows)
    np.testing.assert_array_equal(brain.regions(array, {"a": rows[0], "b": rows[1].tolist()}), rows)
    xr.testing.assert_identical(
        brain.regions(array, brain.regions(array, ["V1", "LVC"])), brain.regions(array, ["V1", "LVC"])
    )
    with pytest.raises(ValueError, match=r"boolean \(region, voxel\) array, got int64"):
        brain.regions(array, mine.astype(int))
    with pytest.raises(ValueError, match="responses and regions disagree on 2 of 6 'voxel'"):
        brain.regions(array, mine.isel(voxel=[1, 0, 2, 3, 4, 5]))
    with pytest.raises(ValueError, match="coordinate 'region'"):
        brain.regions(array, mine.drop_vars("region"))
    with pytest.raises(ValueError, match="regions has 1 duplicate 'region'"):
        brain.regions(array, mine.isel(region=[0, 0]))
    with pytest.raises(ValueError, match=r"mask has the shape \(2,\) but there are 6 along 'voxel'"):
        brain.regions(array, {"a": [True, False]})


@pytest.mark.parametrize("made", [lambda mask: mask, lambda mask: mask.to_series()])
def test_masks_that_bear_labels_do_not_slip_against_the_voxels(made):
    array = atlas().assign_coords(voxel=list("abcdef"))
    mask = array.roi == "V1"
    assert chosen(brain.regions(array, {"mine": made(mask)})) == {"mine": ["V1"]}
    with pytest.raises(
        ValueError, match="responses and a region's mask disagree on 6 of 6 'voxel'.*another order"
    ):
        brain.regions(array, {"mine": made(mask[::-1])})
    # Voxels without ids, as of a plain array, have nothing to compare.
    assert chosen(brain.regions(array.drop_vars("voxel"), {"mine": made(mask)})) == {"mine": ["V1"]}


def test_an_unknown_region_names_the_known_ones_and_the_groups():
    for wrong in ("V9", ["V1", "V9"], "V1+V9", {"mine": ["V1", "V9"]}):
        with pytest.raises(
            ValueError,
            match=r"unknown region\(s\) 'V9'; there are 'LO', 'V1', 'V2', 'V3', 'hV4' and the groups 'LVC', 'HVC'",
        ):
            brain.regions(atlas(), wrong)


def test_only_a_group_may_lack_members():
    array = atlas()
    assert "V3ab" not in ATLAS
    with pytest.raises(ValueError, match=r"unknown region\(s\) 'V3ab'"):
        brain.regions(array, "V1+V3ab")
    with pytest.raises(ValueError, match=r"unknown region\(s\) 'HVC'; there are 'V1'"):
        brain.regions(atlas(["V1", "V2"]), "HVC")


def test_an_empty_region_is_refused_by_name():
    rows = np.zeros((2, 6), bool)
    rows[0, 0] = True
    with pytest.raises(ValueError, match="1 of 2 regions have no voxel: 'b'"):
        brain.regions(atlas(), {"a": rows[0], "b": rows[1]})
    for nothing in ([], {}):
        with pytest.raises(ValueError, match="no region was named"):
            brain.regions(atlas(), nothing)
    with pytest.raises(ValueError, match="no region was named"):
        brain.regions(fmri(roi=["", "", "none"]))


def test_regions_need_a_roi_or_channels():
    with pytest.raises(ValueError, match="responses has no coordinate 'roi'"):
        brain.regions(fmri(), "V1")
    with pytest.raises(ValueError, match="'voxel' or 'channel'"):
        brain.regions(brain.features(np.eye(2), stimulus=["a", "b"]))
    masks = brain.regions(meeg(), {"occipital": ["Oz"], "all": "Oz+Pz"})
    assert masks.dims == ("region", "channel")
    assert masks.values.tolist() == [[True, False], [True, True]]
    with pytest.raises(ValueError, match=r"unknown region\(s\) 'Cz'; there are 'Oz', 'Pz'"):
        brain.regions(meeg(), {"central": ["Cz"]})


def test_regions_by_number():
    array = fmri(roi=[1, 2, 2])
    assert brain.regions(array).region.values.tolist() == ["1", "2"]
    assert brain.regions(array, [2]).values.tolist() == [[False, True, True]]


@pytest.mark.parametrize(
    ("roi", "names"),
    [
        ([1.0, np.nan, 2.0], ["1", "2"]),
        (np.array([0, 1, 2]), ["1", "2"]),
        (np.array([0.0, 1.0, np.nan], dtype=np.float32), ["1"]),
        ([0, None, 3], ["3"]),
        ([0.5, 0, 0], ["0.5"]),
        (pd.array([0, None, 4], dtype="Int64"), ["4"]),
        (["0", "V1", np.nan], ["0", "V1"]),
        (np.array(["V1", np.nan, "V2"], dtype=object), ["V1", "V2"]),
        (pd.Series(["V1", None, "V2"]), ["V1", "V2"]),
        ([True, False, True], ["False", "True"]),
    ],
)
def test_a_missing_or_zero_roi_is_no_region(roi, names):
    """Through the constructor, and in an array made by hand."""
    by_hand = fmri().assign_coords(roi=("voxel", np.asarray(roi, dtype=object)))
    for array in (fmri(roi=roi), by_hand):
        assert brain.regions(array).region.values.tolist() == names


def test_a_background_is_no_region_that_can_be_named():
    with pytest.raises(ValueError, match=r"unknown region\(s\) '0'; there are '1', '2' and"):
        brain.regions(fmri(roi=[0, 1, 2]), [0])


def test_blanks_around_names_of_a_sum_are_passed_over():
    assert chosen(brain.regions(atlas(), ["LVC + LO"])) == {"LVC + LO": ["V1", "V2", "V3", "LO"]}
    spaced = fmri(roi=["left V1 ", "V1", "LO"])
    assert brain.regions(spaced, ["left V1 ", " V1+LO"]).values.tolist() == [[1, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize("wanted", [None, ["V1"], {"a": [True, False, False]}])
def test_a_coordinate_called_region_is_refused_with_the_remedy(wanted):
    array = fmri(roi=["V1", "V1", "LO"])
    named = array.rename(roi="region")
    with pytest.raises(ValueError, match=r"coordinate 'region'.*\.rename\(region='roi'\)"):
        brain.regions(named, wanted)
    xr.testing.assert_identical(
        brain.regions(named.rename(region="roi"), wanted), brain.regions(array, wanted)
    )


@given(st.lists(st.sampled_from(ATLAS[:-1]), min_size=1, max_size=12), st.data())
@quick
def test_moving_voxels_moves_their_regions(roi, data):
    array = atlas(roi)
    order = data.draw(st.permutations(range(len(roi))))
    xr.testing.assert_identical(
        brain.regions(array.isel(voxel=order)), brain.regions(array).isel(voxel=order)
    )
    assert (brain.regions(array).sum("region") == 1).all()


# ------------------------------------------------------------------------------------------ repeats
@given(st.lists(st.sampled_from(["a", "b", "猫", "c|d"]), min_size=1, max_size=15), st.data())
@quick
def test_the_average_is_that_of_xarray_in_order_of_first_appearance(stimulus, data):
    values = np.array(data.draw(st.permutations(range(2 * len(stimulus)))), float).reshape(-1, 2)
    array = brain.fmri(values, sample=range(len(stimulus)), stimulus=stimulus)
    mean = brain.average_repeats(array)
    expected = array.groupby("stimulus").mean()
    assert mean.sample.values.tolist() == list(dict.fromkeys(stimulus)) == mean.stimulus.values.tolist()
    np.testing.assert_allclose(mean, expected.sel(stimulus=mean.stimulus.values))
    assert mean.trials.values.tolist() == [stimulus.count(s) for s in mean.sample.values]
    order = data.draw(st.permutations(range(len(stimulus))))
    moved = brain.average_repeats(array.isel(sample=order))
    np.testing.assert_allclose(moved.sel(sample=mean.sample), mean)


def test_averages_by_several_labels_keep_different_groups_apart():
    array = brain.fmri(
        np.arange(6.0)[:, None],
        sample=range(6),
        stimulus=["a", "a|b", "a", "a", "a\\", "a\\"],
        run=["b|c", "c", "b|c", "x", "|", "\\|"],
    )
    mean = brain.average_repeats(array, by=("stimulus", "run"))
    expected = array.to_series().groupby([array.stimulus.values, array.run.values], sort=False).mean()
    np.testing.assert_allclose(mean.values[:, 0], expected)
    assert mean.trials.values.tolist() == [2, 1, 1, 1, 1]
    assert len(set(mean.sample.values)) == 5
    assert brain.average_repeats(array[2:4], by=["stimulus", "run"]).sample.values.tolist() == [
        "a|b\\|c",
        "a|x",
    ]


def test_averages_keep_what_agrees_and_the_rest_of_the_array():
    array = fmri(
        n=4,
        roi=["V1", "V2", "V1"],
        run=[1, 1, 2, 2],
        repeat=[0, 1, 0, 1],
        split="train",
        subject="S1",
        units="%",
    )
    mean = brain.average_repeats(array)
    assert set(mean.coords) == {"sample", "stimulus", "run", "split", "trials", "voxel", "roi"}
    assert mean.attrs == array.attrs
    assert mean.run.values.tolist() == [1, 2]


def test_a_missing_label_agrees_with_a_missing_label():
    hole = np.array([None, None, "test", "test"], dtype=object)
    array = fmri(n=4).assign_coords(pupil=("sample", [np.nan, np.nan, 1, 1]), split=("sample", hole))
    mean = brain.average_repeats(array)
    np.testing.assert_array_equal(mean.pupil, [np.nan, 1])
    assert mean.split.isnull().values.tolist() == [True, False]
    assert (
        "pupil" not in brain.average_repeats(array.assign_coords(pupil=("sample", [np.nan, 1, 1, 1]))).coords
    )


def test_a_second_average_weighs_by_trials():
    array = brain.fmri(
        np.array([[0.0], [3.0], [6.0], [10.0]]), sample=range(4), stimulus=list("aaab"), run=[1, 1, 2, 2]
    )
    twice = brain.average_repeats(brain.average_repeats(array, by=("stimulus", "run")))
    once = brain.average_repeats(array)
    np.testing.assert_allclose(twice, once)
    assert twice.trials.values.tolist() == once.trials.values.tolist() == [3, 1]


@pytest.mark.parametrize("column", [[0, 1, 2], [1.5, 1, 1], [1, np.nan, 1], list("abc"), [True, True, True]])
def test_trials_that_are_no_counts_are_refused(column):
    """The number of a trial in its session, say, is no weight."""
    array = fmri(n=3).assign_coords(trials=("sample", column))
    with pytest.raises(
        ValueError, match=r"'trials' of responses must be how many.*of 3 are others.*rename\(trials="
    ):
        brain.average_repeats(array)
    with pytest.raises(
        ValueError, match="coordinate 'trials' of responses must have one entry for each 'sample'"
    ):
        brain.average_repeats(array.drop_vars("trials").assign_coords(trials=("voxel", [1, 2, 3])))


@pytest.mark.parametrize(
    ("kind", "kept"), [("float32", "float32"), ("float64", "float64"), ("int64", "float64")]
)
def test_the_mean_of_whole_numbers_is_not_cut(kind, kept):
    array = xr.DataArray(
        np.array([[1], [2]], dtype=kind),
        dims=("sample", "voxel"),
        coords={"sample": [0, 1], "stimulus": ("sample", ["a", "a"])},
    )
    mean = brain.average_repeats(array)
    assert mean.item() == 1.5
    assert mean.dtype == kept


def test_epochs_are_averaged_too_whatever_the_order_of_axes():
    array = meeg(stimulus=["x", "x"])
    for turned in (array, array.transpose("time", "channel", "sample")):
        mean = brain.average_repeats(turned)
        assert mean.dims[0] == "sample"
        np.testing.assert_allclose(mean.transpose("sample", "channel", "time")[0], array.mean("sample"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_averages_of_what_is_not_finite_are_refused(bad):
    array = fmri().copy()
    array[0, 1] = bad
    with pytest.raises(ValueError, match=r"responses has .* of 12 values .*first at sample 0, voxel 1; drop"):
        brain.average_repeats(array)


def test_repeats_across_splits_are_refused():
    array = fmri(split=["train", "test", "train", "train"])
    with pytest.raises(ValueError, match=r"1 of 2 groups lie in more than one 'split': 'i0'; .*leak.*by="):
        brain.average_repeats(array)
    mean = brain.average_repeats(array, by=("stimulus", "split"))
    assert mean.sample.values.tolist() == ["i0|train", "i0|test", "i1|train"]


def test_averages_need_a_label_of_samples():
    with pytest.raises(ValueError, match="no coordinate 'session'"):
        brain.average_repeats(fmri(), by="session")
    with pytest.raises(ValueError, match="'roi' of responses must have one entry for each 'sample'"):
        brain.average_repeats(fmri(roi=list("abc")), by="roi")
    with pytest.raises(ValueError, match="responses needs the dimension.*'sample'"):
        brain.average_repeats(brain.features(np.eye(2), stimulus=["a", "b"]))


# ------------------------------------------------------------------------------------------ features and images
def test_features_count_their_units_within_each_layer():
    array = brain.features(np.zeros((2, 5)), stimulus=["a", "b"], layer=["l1", "l2", "l1", "l2", "l2"])
    assert array.unit.values.tolist() == [0, 0, 1, 1, 2]
    assert brain.features(np.zeros((2, 3)), stimulus=["a", "b"], layer="l1").unit.values.tolist() == [0, 1, 2]
    assert brain.features(np.zeros((2, 2)), stimulus=["a", "b"], unit=["x", "y"]).unit.values.tolist() == [
        "x",
        "y",
    ]


def test_features_refuse_duplicates_and_other_lengths():
    with pytest.raises(ValueError, match="features has 1 duplicate 'stimulus'"):
        brain.features(np.zeros((2, 2)), stimulus=["a", "a"])
    with pytest.raises(
        ValueError, match=r"layer must have one entry for each of 2 along 'feature', got shape \(3,\)"
    ):
        brain.features(np.zeros((2, 2)), stimulus=["a", "b"], layer=list("abc"))
    with pytest.raises(ValueError, match="layer has 1 missing label"):
        brain.features(np.zeros((2, 2)), stimulus=["a", "b"], layer=["l", None])


def test_stacked_spaces_come_apart_as_they_were():
    given_spaces = {
        name: brain.features(RNG.normal(size=(4, width)), stimulus=list("abcd"), layer=name)
        for name, width in (("late", 3), ("early", 1), ("猫", 2))
    }
    apart = brain.spaces(brain.stack(given_spaces))
    assert list(apart) == list(given_spaces)
    for name in apart:
        xr.testing.assert_identical(apart[name], given_spaces[name])


def test_spaces_of_one_array_or_mapping():
    array = brain.features(np.eye(2), stimulus=["a", "b"])
    assert list(brain.spaces(array)) == ["features"]
    assert list(brain.spaces(brain.features(dask_array(np.eye(2)), stimulus=["a", "b"]))) == ["features"]
    assert list(brain.spaces(array.rename("clip"))) == ["clip"]
    assert list(brain.spaces(array.assign_coords(layer="conv1"))) == ["conv1"]
    assert brain.spaces({1: array})["1"] is array
    for empty in (brain.spaces, brain.stack):
        with pytest.raises(ValueError, match="at least one feature space"):
            empty({})


def test_names_that_are_one_as_text_are_refused():
    """1 and "1": one of the two would be lost."""
    array = brain.features(np.eye(2), stimulus=["a", "b"])
    for call in (brain.spaces, brain.stack):
        with pytest.raises(
            ValueError, match="feature spaces must differ as text: 1, '1' among 3 are the same"
        ):
            call({1: array, 2: array, "1": array})
    layers = ("feature", np.array([1, "1"], dtype=object))
    with pytest.raises(ValueError, match="layers of features must differ as text: 1, '1'"):
        brain.spaces(array.assign_coords(layer=layers))
    with pytest.raises(ValueError, match="names of subjects must differ as text: 1, '1'"):
        brain.by_subject({1: fmri(), "1": fmri()})
    with pytest.raises(ValueError, match="names of regions must differ as text: 1, '1'"):
        brain.regions(atlas(), {1: "V1", "1": "LO"})


@pytest.mark.parametrize(
    "layer", [("feature", [np.nan, 1.0]), ("feature", np.array(["a", None], dtype=object)), np.nan]
)
def test_features_without_a_layer_beside_others_with_one_are_refused(layer):
    array = brain.features(np.eye(2), stimulus=["a", "b"]).assign_coords(layer=layer)
    with pytest.raises(ValueError, match=r"layer has 1 missing label\(s\) among [12], first at position"):
        brain.spaces(array)


def test_spaces_of_other_stimuli_are_not_stacked():
    a = brain.features(np.eye(2), stimulus=["a", "b"])
    b = brain.features(np.eye(2), stimulus=["b", "a"])
    with pytest.raises(ValueError, match="features 'one' and features 'two' disagree on 2 of 2 'stimulus'"):
        brain.stack({"one": a, "two": b})
    with pytest.raises(TypeError, match="features 'two' must be a labelled"):
        brain.stack({"one": a, "two": np.eye(2)})


def test_images_run_from_zero_to_one():
    pixels = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3) * 11
    made = brain.images(pixels, stimulus=["a", "b"])
    assert made.dims == ("stimulus", "row", "column", "colour")
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, pixels / 255, rtol=1e-6)
    np.testing.assert_array_equal(brain.images(made, stimulus=["a", "b"]), made)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((1, 2, 2, 3), 255), r"found 255 to 255; divide by what means white, 255 in bytes"),
        (np.full((1, 2, 2, 3), -0.5), r"from 0 to 1, found -0.5"),
        (np.full((1, 2, 2, 3), np.nan), r"from 0 to 1, found nan"),
        (np.zeros((1, 3, 2, 2)), r"3 colours\), got shape \(1, 3, 2, 2\)"),
        (np.zeros((2, 2, 3)), r"must have the axes"),
        (np.zeros((0, 2, 2, 3)), r"images are empty"),
        ([[[["a"] * 3]]], r"images must be real numbers"),
    ],
)
def test_what_is_no_image_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        brain.images(values, stimulus=range(len(values)))
