"""BData of the Kamitani lab in its published layouts: what was planted in the files comes back."""

from __future__ import annotations

import os
from collections import defaultdict

import h5py
import numpy as np
import pytest
import xarray as xr
from scipy.io import savemat

import neurodecode as nd
from neurodecode.datasets import _blocks, _inventory, kamitani
from neurodecode.datasets.kamitani import bdata
from neurodecode.datasets.kamitani.stimuli import identity
from tests import trees

AREAS = ("V1", "V2", "V3", "V4", "LOC", "FFA", "PPA", "LVC", "HVC", "VC")


def rewrite(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def set_key(file, name, values):
    """Give a key other values."""
    where = [k.decode() for k in file["metaData/key"][()]].index(name)
    file["metaData/value"][where] = values


# ---------------------------------------------------------------- one file of a subject


@pytest.mark.parametrize("layout", ["old", "new", "mat", "mat73"])
@pytest.mark.parametrize("label", ["Label", "stimulus_id"])
def test_samples_of_all_parts_come_back_in_every_layout(tmp_path, layout, label, reading):
    planted = trees.god(tmp_path, subject=3, layout=layout, label=label)
    found = kamitani.load(planted.paths[""])
    assert found.dtype == np.float32
    assert (found.chunks is not None) == (reading == "dask")
    assert found.sizes == {"sample": 12 + 15 + 15, "voxel": 20}
    np.testing.assert_array_equal(found.values, planted.values.astype(np.float32))
    seen: dict[tuple[str, str], int] = defaultdict(int)
    for i, (split, name) in enumerate(zip(planted.split, planted.names, strict=True)):
        category = name.split("_")[0]
        # What is imagined is a category, though a picture labels it.
        stimulus = category if split == "imagery" else name
        assert found.stimulus.values[i] == stimulus
        assert found.concept.values[i] == category
        assert found.split.values[i] == split
        assert found.repeat.values[i] == seen[split, stimulus]
        assert found.run.values[i] == f"{split}_run-{planted.run[i]:02d}"
        assert found["sample"].values[i] == f"Subject3_{i + 1:05d}"
        seen[split, stimulus] += 1
    assert "session" not in found.coords
    np.testing.assert_array_equal(np.stack([found.x, found.y, found.z], axis=1), planted.xyz)
    assert found.attrs["subject"] == "Subject3"
    assert found.attrs["label"] == label


@pytest.mark.parametrize("part", ["train", "test", "imagery"])
def test_one_part_is_the_same_as_in_the_whole(tmp_path, part):
    path = trees.god(tmp_path).paths[""]
    whole = kamitani.load(path)
    xr.testing.assert_identical(kamitani.load(path, part=part), whole[whole.split == part])
    with pytest.raises(ValueError, match="unknown part 'rest'; choose one of 'imagery', 'test', 'train'"):
        kamitani.load(path, part="rest")


def test_regions_are_where_the_key_is_one(tmp_path):
    planted = trees.god(tmp_path)
    path = planted.paths[""]
    found = kamitani.load(path)
    expected = [next((a for a in AREAS if i in trees.BDATA_REGIONS[a]), "") for i in range(20)]
    assert found.roi.values.tolist() == expected
    masks = kamitani.masks(path, found)
    assert set(masks.region.values) == set(AREAS)
    for name in AREAS:
        assert np.flatnonzero(masks.sel(region=name)).tolist() == list(trees.BDATA_REGIONS[name])
    # A voxel of two has the name of the one given first.
    both = kamitani.load(path, regions=["FFA", "ROI_LOC"])
    assert both.voxel.values.tolist() == [11, 12, 13, 14]
    assert both.roi.values.tolist() == ["LOC", "LOC", "FFA", "FFA"]
    np.testing.assert_array_equal(both, planted.values[:, 11:15].astype(np.float32))
    np.testing.assert_array_equal(both.x, planted.xyz[11:15, 0])
    inside = kamitani.masks(path, both)
    assert inside.sel(region="LOC").values.tolist() == [True, True, True, False]
    assert "V1" not in inside.region


def test_patterns_and_sums_of_regions(tmp_path):
    planted = trees.deeprecon(tmp_path)
    path = planted.paths["train"]
    every = kamitani.load(path, regions="ROI_*V*")
    assert set(every.roi.values) == {"V1", "V2", "V3", "hV4", "HVC"}
    assert every.voxel.values.tolist() == list(range(18))
    summed = kamitani.load(path, regions=["V1 + ROI_V3", "hV4"])
    assert summed.voxel.values.tolist() == [0, 1, 2, 3, 7, 8, 9, 10]
    assert summed.roi.values.tolist() == ["V1 + V3"] * 6 + ["hV4"] * 2
    own = planted.values[planted.split == "train"][:, summed.voxel.values]
    np.testing.assert_array_equal(summed, own.astype(np.float32))
    sides = kamitani.load(path, regions="hcp180_r_*_ROI")
    assert sides.voxel.values.tolist() == [0, 1, 2, 3, 4]
    assert sides.roi.values.tolist() == ["hcp180_r_lh.L_V1__1_ROI"] * 2 + ["hcp180_r_rh.R_V1__181_ROI"] * 3
    with pytest.raises(ValueError, match=r"no region 'V4'; it has 'ROI_V1', .*'ROI_hV4'"):
        kamitani.load(path, regions="V4")
    # A beginning is no name: LOC and LVC begin with L.
    with pytest.raises(ValueError, match="no region 'L'"):
        kamitani.load(path, regions="L")
    with pytest.raises(ValueError, match="no region 'voxel_x'"):
        kamitani.load(path, regions="voxel_x")
    with pytest.raises(ValueError, match="regions is empty"):
        kamitani.load(path, regions=[])


def test_a_region_without_a_voxel(tmp_path):
    path = trees.god(tmp_path).paths[""]
    rewrite(path, lambda file: set_key(file, "ROI_V1", np.nan))
    with pytest.raises(ValueError, match="'V1' in .* have no voxel"):
        kamitani.load(path, regions=["V1", "V2"])
    assert "V1" not in kamitani.load(path).roi


# ---------------------------------------------------------------- one file of each part


@pytest.mark.parametrize("label", ["stimulus_name", "stimulus_id"])
def test_files_of_each_part_come_back_one_after_another(tmp_path, label, reading):
    planted = trees.deeprecon(tmp_path, subject=2, label=label)
    found = kamitani.load(list(planted.paths.values()))
    np.testing.assert_array_equal(found.values, planted.values.astype(np.float32))
    assert found.stimulus.values.tolist() == planted.names.tolist()
    assert found.split.values.tolist() == planted.split.tolist()
    for i, (split, s, r) in enumerate(zip(planted.split, planted.session, planted.run, strict=True)):
        # Sessions are numbered anew in each part: the first of training is not the first of test.
        assert found.session.values[i] == f"ses-{split}{s:02d}"
        assert found.run.values[i] == f"ses-{split}{s:02d}_run-{r:02d}"
    assert found["sample"].values[36] == "sub-02_ImageNetTest_fmriprep_volume_native_00001"
    assert found.attrs["subject"] == "sub-02"
    assert sorted(found.repeat.values[found.stimulus == planted.names[0]].tolist()) == [0, 1, 2]
    xr.testing.assert_identical(kamitani.load(planted.paths), found)
    xr.testing.assert_identical(
        kamitani.load(planted.paths["test"]), kamitani.load(planted.paths, part="test")
    )


def test_an_index_is_named_by_the_table_of_its_part(tmp_path):
    planted = trees.deeprecon(tmp_path, label="image_index")
    names = trees.kamitani_names(17)
    tables = {"train": tmp_path / "train.tsv", "test": tmp_path / "test.tsv"}
    trees.kamitani_table(tables["train"], names[:12])
    trees.kamitani_table(tables["test"], names[12:])
    found = kamitani.load(planted.paths, tables=tables)
    assert found.stimulus.values.tolist() == planted.names.tolist()
    bare = kamitani.load(planted.paths)
    numbers = {name: f"train_image_index_{i}" for i, name in enumerate(names[:12], 1)}
    numbers |= {name: f"test_image_index_{i}" for i, name in enumerate(names[12:], 1)}
    assert bare.stimulus.values.tolist() == [numbers[name] for name in planted.names]
    assert "concept" not in bare.coords
    trees.kamitani_table(tables["train"], names[:11])
    with pytest.raises(ValueError, match="train picture 12, which the table does not name; it names 11"):
        kamitani.load(planted.paths, tables=tables)


def test_samples_in_which_nothing_was_seen_are_left_out(tmp_path):
    planted = trees.deeprecon(tmp_path, rest=2)
    found = kamitani.load(planted.paths)
    np.testing.assert_array_equal(found.values, planted.values.astype(np.float32))
    assert found.attrs["unlabelled"] == 4
    # The test file's samples keep their numbers.
    assert found["sample"].values[36].endswith("Test_fmriprep_volume_native_00001")
    path = planted.paths["train"]
    with pytest.raises(ValueError, match="no label 'event'"):
        kamitani.load(path, label="event")
    assert set(kamitani.load(path, label="event_type").stimulus.values) == {"train_event_type_1"}


def test_a_label_of_several_columns_is_not_taken(tmp_path):
    path = trees.deeprecon(tmp_path, label="event_type").paths["train"]
    with pytest.raises(ValueError, match="no label among .*'Label', 'image_index' of one"):
        kamitani.load(path)


def test_imagery_labelled_by_category(tmp_path):
    path = tmp_path / "sub-01_imageryTest.h5"
    values = np.arange(6.0).reshape(3, 2)
    texts = {"category_name": {1.0: "n01443537", 2.0: "n/a", 3.0: "n04572121"}}
    trees.bdata(path, {"VoxelData": values, "category_name": [3, 2, 1]}, {}, vmap=texts)
    found = kamitani.load(path)
    assert found.stimulus.values.tolist() == ["n04572121", "n01443537"]
    assert set(found.split.values) == {"imagery"}
    np.testing.assert_array_equal(found, values[[0, 2]])
    assert "x" not in found.coords
    trees.bdata(path, {"VoxelData": values, "category_id": [1443537, 4572121, 1443537]}, {})
    assert kamitani.load(path).stimulus.values.tolist() == ["n01443537", "n04572121", "n01443537"]


# ---------------------------------------------------------------- labels


def test_numbers_become_the_names_of_the_lists():
    # Lines of data/stimulus_ImageNetTest.tsv and stimulus_ImageNetTraining.tsv.
    for name, number in (
        ("n01443537_22563", "1443537.022563"),
        ("n02916179_24850", "2916179.02485"),
        ("n03767745_109", "3767745.000109"),
        ("n01664990_65", "1664990.000065"),
        ("n02131653_3900", "2131653.0039"),
        ("n03954393_10038", "3954393.0100379996"),
    ):
        assert identity(float(number)) == name
        assert trees.kamitani_id(name) == pytest.approx(float(number), abs=1e-8)


def test_labels_that_were_once_float32(tmp_path):
    planted = trees.god(tmp_path)
    path = planted.paths[""]

    def cut(file):
        file["dataSet"][:, 2] = file["dataSet"][:, 2].astype(np.float32)

    rewrite(path, cut)
    with pytest.raises(
        ValueError, match="'Label' .* names no image in 27 of 27 samples of pictures.*float32"
    ):
        kamitani.load(path)

    def small(file):
        values = file["dataSet"][()].astype(np.float32)
        del file["dataSet"]
        file["dataSet"] = values

    rewrite(path, small)
    with pytest.raises(ValueError, match="is float32, which cannot hold WordNet id and image"):
        kamitani.load(path)


def test_a_single_label_that_counts_pictures(tmp_path):
    path = tmp_path / "sub-01_Training.h5"
    trees.bdata(path, {"VoxelData": np.ones((3, 2)), "Label": [5, 3, 5]}, {})
    assert kamitani.load(path).stimulus.values.tolist() == [f"train_Label_{i}" for i in (5, 3, 5)]
    trees.bdata(path, {"VoxelData": np.ones((3, 2)), "Label": [5, -1, 1443537.022563]}, {})
    with pytest.raises(ValueError, match=r"holds 1 numbers that are no <WordNet id>.<image>: -1.0"):
        kamitani.load(path)


def test_numbers_without_a_text(tmp_path):
    path = trees.deeprecon(tmp_path).paths["train"]
    rewrite(path, lambda file: file["vmap/stimulus_name"].__delitem__("3.0"))
    with pytest.raises(ValueError, match="does not say what 3.0 in 'stimulus_name' stand for"):
        kamitani.load(path)
    # Without any text the next label serves.
    rewrite(path, lambda file: file.__delitem__("vmap"))
    assert kamitani.load(path).attrs["label"] == "stimulus_id"


def test_a_table_that_disagrees_with_itself(tmp_path):
    path = tmp_path / "category_GODImagery.tsv"
    path.write_text("n01443537\t1443537\t1\nn01621127\t1621127\t2\n")
    assert kamitani.table(path) == {1: "n01443537", 2: "n01621127"}
    path.write_text("n01443537_22563\t1443537.022563\t1\t1\nn01621127_19020\t1621127.01902\t2\t1\n")
    with pytest.raises(
        ValueError, match="line 2 .*'n01621127_19020' but gives it the index of 'n01443537_22563'"
    ):
        kamitani.table(path)
    path.write_text("n01443537_22563\t1443537.25\t1\t1\n")
    with pytest.raises(ValueError, match="'n01443537_22563' but gives it id n01443537_250000"):
        kamitani.table(path)
    path.write_text("name\tid\tindex\n")
    with pytest.raises(ValueError, match="line 1 .* is not name, id"):
        kamitani.table(path)


# ---------------------------------------------------------------- when values are read


def test_no_responses_are_read_before_they_are_needed(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    planted = trees.god(tmp_path)
    # 20 columns of 8 bytes: five rows a block.
    monkeypatch.setattr(bdata, "BLOCK", 5 * 20 * 8)
    read = []
    real = bdata.BData.block
    monkeypatch.setattr(
        bdata.BData,
        "block",
        lambda self, first, last, columns: (
            read.append((first, last, len(columns))) or real(self, first, last, columns)
        ),
    )
    found = kamitani.load(planted.paths[""])
    assert found.chunks[0] == (5,) * 8 + (2,)
    assert {columns for _, _, columns in read} == {1}
    read.clear()
    np.testing.assert_array_equal(found[11:14].values, planted.values[11:14].astype(np.float32))
    assert read == [(10, 15, 20)]
    # Of one region only its columns, of one part only its rows.
    part = kamitani.load(planted.paths[""], regions="V2", part="test")
    read.clear()
    np.testing.assert_array_equal(part.values, planted.values[12:27, 4:7].astype(np.float32))
    assert max(last for _, last, _ in read) == 27
    assert min(first for first, _, _ in read) == 12
    assert {columns for _, _, columns in read} == {3}


def test_responses_that_would_not_fit(tmp_path, monkeypatch, memory_left):
    path = trees.god(tmp_path).paths[""]
    monkeypatch.setattr(_blocks, "has_dask", lambda: False)

    memory_left(1000)
    with pytest.raises(MemoryError, match="42 samples of 20 voxels.*fewer regions, or install dask"):
        kamitani.load(path)


# ---------------------------------------------------------------- files that are not as they should be


def test_files_that_were_not_downloaded_or_not_wholly(tmp_path):
    planted = trees.god(tmp_path)
    path = planted.paths[""]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match=r"Subject1.h5.*is truncated: get it again from the Kamitani lab.*7387130"
    ):
        kamitani.load(path)
    assert "truncated" in kamitani.inventory(path)[0].fault
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match="is no HDF5 file"):
        kamitani.load(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty: its download did not finish"):
        kamitani.load(path)
    path.unlink()
    os.symlink("../.git/annex/objects/XX/1w/MD5E-s4--6.h5/MD5E-s4--6.h5", path)
    with pytest.raises(FileNotFoundError, match="is a placeholder.*datalad get"):
        kamitani.load(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="BData is missing: .*Subject1.h5"):
        kamitani.load(path)
    with pytest.raises(
        IsADirectoryError, match="is a folder; give the files in it that are wanted: it has no .h5"
    ):
        kamitani.load(tmp_path)
    mat = trees.god(tmp_path, layout="mat").paths[""]
    mat.write_bytes(mat.read_bytes()[:2000])
    with pytest.raises(ValueError, match="Subject1.mat .* is no MATLAB file, or damaged"):
        kamitani.load(mat)


def test_the_inventory_says_what_is_there(tmp_path):
    planted = trees.deeprecon(tmp_path)
    assert all(one.found for one in kamitani.inventory(planted.paths))
    planted.paths["test"].unlink()
    found = kamitani.inventory(planted.paths)
    assert [(one.what, one.found, one.fault) for one in found] == [
        ("BData of train", True, ""),
        ("BData of test", False, "not there"),
    ]
    with pytest.raises(FileNotFoundError, match="1 of 2 needed files are missing"):
        _inventory.require_all(found)


def test_hdf5_of_another_kind(tmp_path):
    path = tmp_path / "sub-01_Training.h5"
    with h5py.File(path, "w") as file:
        file["betas"] = np.ones(3)
    with pytest.raises(ValueError, match="is no BData: it has no 'dataset' or 'dataSet'; it has 'betas'"):
        kamitani.load(path)
    trees.bdata(path, {"VoxelData": np.ones((3, 2)), "stimulus_id": [1.5] * 3}, {})
    rewrite(path, lambda file: (file.__delitem__("dataset"), file.__setitem__("dataset", np.ones((3, 4)))))
    with pytest.raises(ValueError, match=r"has 2 keys and 4 columns, but values of the shape \(2, 3\)"):
        kamitani.load(path)
    trees.bdata(path, {"VertexData": np.ones((3, 2)), "stimulus_id": [1443537.022563] * 3}, {})
    with pytest.raises(ValueError, match="has no 'VoxelData'.*on a surface"):
        kamitani.load(path)


def test_parts_that_nobody_names(tmp_path):
    path = tmp_path / "latest.h5"
    trees.bdata(path, {"VoxelData": np.ones((2, 3)), "stimulus_id": [1443537.022563] * 2}, {})
    with pytest.raises(ValueError, match="neither 'DataType' nor its name says which part .*latest.h5 is"):
        kamitani.load(path)
    found = kamitani.load({"art": path}, subject="S1")
    assert set(found.split.values) == {"art"}
    assert found.attrs["subject"] == "S1"
    god = trees.god(tmp_path).paths[""]
    with pytest.raises(ValueError, match="says itself which samples are 'train', 'test', 'imagery'"):
        kamitani.load({"train": god})
    rewrite(god, lambda file: file["dataSet"].__setitem__((3, 0), 4))
    with pytest.raises(ValueError, match="'DataType' .* is 4.0 somewhere"):
        kamitani.load(god)


def test_files_that_do_not_belong_together(tmp_path):
    one, two = trees.deeprecon(tmp_path, subject=1), trees.deeprecon(tmp_path, subject=2)
    with pytest.raises(ValueError, match="files are of 2 subjects: 'sub-01', 'sub-02'"):
        kamitani.load([one.paths["train"], two.paths["test"]])
    renamed = tmp_path / "sub-01_ImageNetTest.h5"
    os.rename(two.paths["test"], renamed)
    with pytest.raises(ValueError, match="do not have the same voxels: 20 of 20 voxels lie elsewhere"):
        kamitani.load([one.paths["train"], renamed])
    with pytest.raises(ValueError, match="names of their own"):
        kamitani.load([one.paths["train"], one.paths["train"]])
    found = kamitani.load(one.paths)
    with pytest.raises(ValueError, match="the responses have other voxels than"):
        kamitani.masks(renamed, found)
    with pytest.raises(ValueError, match="the responses are of 'sub-01', .* is of 'sub-02'"):
        kamitani.masks(two.paths["train"], found)
    with pytest.raises(ValueError, match="no files were given"):
        kamitani.load([])


def _replaced(name, change):
    def fault(file):
        values = change(file[name][()])
        del file[name]
        file[name] = values

    return fault


def _nothing_seen(file):
    file["dataSet"][:, 2] = np.nan


def _no_voxels(file):
    set_key(file, "VoxelData", np.nan)


def _a_key_twice(file):
    file["metaData/key"][1] = file["metaData/key"][0]


FAULTS = {
    "nothing seen": (
        _nothing_seen,
        r"none of 42 samples in '.*Subject1.h5' has a label in 'Label'; name another by label=",
    ),
    "no values of keys": (
        lambda file: file.__delitem__("metaData/value"),
        r"/metaData in .*Subject1.h5 \(BData\) lacks 'value'; it holds 'description', 'key'",
    ),
    "data of one axis": (
        _replaced("dataSet", np.ravel),
        r"the data in .*Subject1.h5 \(BData\) must be \(sample, column\), their shape is \(966,\)",
    ),
    "a key twice": (_a_key_twice, r"has more than one key 'DataType'; get the file again"),
    "no voxels": (_no_voxels, r"'VoxelData' is 1 in no column of .*Subject1.h5; get the file again"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_with_one_fault(tmp_path, fault):
    spoil, words = FAULTS[fault]
    path = trees.god(tmp_path).paths[""]
    rewrite(path, spoil)
    with pytest.raises(ValueError, match=words):
        kamitani.load(path)
    if fault == "nothing seen":
        with pytest.raises(ValueError, match="none of 42 samples"):
            kamitani.load(path, part="train")


def test_bytes_that_were_spoilt_on_their_way(tmp_path):
    path = trees.god(tmp_path).paths[""]
    trees.spoilt_hdf5(path, "dataSet")
    with pytest.raises(ValueError, match=r"Subject1.h5 \(BData\) is damaged: .*; get it again from the Kam"):
        kamitani.load(path)


def test_a_matlab_file_without_keys(tmp_path):
    path = tmp_path / "Subject1.mat"
    savemat(path, {"dataSet": np.ones((3, 2)), "metaData": np.ones((3, 2))})
    with pytest.raises(
        ValueError,
        match=r"metaData in .* must be one structure with 'key' and 'value', but is \(3, 2\) of float64; get",
    ):
        kamitani.load(path)


def test_numbers_that_are_no_picture(tmp_path):
    path = trees.deeprecon(tmp_path, label="image_index").paths["train"]
    columns = ["VoxelData"] * 20 + ["Session", "Run", "Block", "event_type", "image_index"]
    rewrite(path, lambda file: file["dataset"].__setitem__((2, columns.index("image_index")), 1.5))
    with pytest.raises(
        ValueError, match=r"'image_index' in .*h5 must hold whole numbers, but has 1.5; name an"
    ):
        kamitani.load(path)
    table = tmp_path / "stimulus_ImageNetTest.tsv"
    table.write_text("\n\n")
    with pytest.raises(
        ValueError, match=r"stimulus_ImageNetTest.tsv names no picture; give the table that came"
    ):
        kamitani.table(table)
    table.write_bytes(b"n01443537_22563\t\xff")
    with pytest.raises(
        ValueError, match=r"\(the table of pictures\) is no text in UTF-8, or damaged: .*; get it"
    ):
        kamitani.table(table)
    table.write_text("n00000000_22563\t0.022563\t1\t1\n")
    with pytest.raises(ValueError, match="line 1 of .* is not name, id, ..., index: 'n00000000_22563"):
        kamitani.table(table)
    with pytest.raises(ValueError, match="0.022563 is no WordNet id; expected n and eight digits"):
        identity(0.022563)


def test_masks_of_regions_that_were_not_loaded(tmp_path):
    path = trees.god(tmp_path).paths[""]
    responses = kamitani.load(path, regions="V1")
    with pytest.raises(ValueError, match="no voxel of the responses lies in a region of 'PPA'; name regions"):
        kamitani.masks(path, responses, regions="PPA")


# ---------------------------------------------------------------- on to the analysis


@pytest.mark.parametrize("study", ["god", "deeprecon"])
def test_what_is_planted_in_v1_is_decoded_there_and_nowhere_else(tmp_path, study):
    signal = np.random.default_rng(0).normal(size=(80, 3))
    planted = getattr(trees, study)(tmp_path, train=60, test=20, signal=signal)
    responses = kamitani.load(planted.paths[""] if study == "god" else planted.paths)
    features = nd.brain.features(signal, stimulus=trees.kamitani_names(80))
    masks = kamitani.masks(planted.paths.get("", planted.paths), responses, regions=["V1", "HVC", "LVC"])
    seen = responses[responses.split != "imagery"]
    average = nd.brain.average_repeats(seen)
    scores = nd.spatial.decode(
        average, features, nd.RidgeDecoder(1.0), regions=masks, train="train", test="test", score="profile"
    )
    assert scores.sel(region="V1").item() > 0.9
    assert scores.sel(region="LVC").item() > 0.9
    assert abs(scores.sel(region="HVC").item()) < 0.35
