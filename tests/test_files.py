"""Files of datasets that are missing, cut short or of another kind: which, what it is, where it comes from."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from neurodecode.datasets._files import Source, member, open_hdf5, present, read_mat

SOURCE = Source("Some Data", "some.org", "Some Agreement")


def test_the_source_and_its_agreement_are_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"the betas is missing.*Some Data \(some.org, after agreeing to the Some"
    ):
        present(tmp_path / "a.h5", what="the betas", source=SOURCE)


def test_a_wrong_root_is_told_from_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"of its folders only {tmp_path} is there"):
        present(tmp_path / "x/y/a.h5", what="the betas", source=SOURCE)
    with pytest.raises(FileNotFoundError) as caught:
        present(tmp_path / "a.h5", what="the betas", source=SOURCE)
    assert "of its folders" not in str(caught.value)


def test_a_truncated_hdf5_file_and_one_of_another_kind(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["betas"] = np.arange(10_000)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with (
        pytest.raises(ValueError, match="is truncated: get it again"),
        open_hdf5(path, what="b", source=SOURCE),
    ):
        pass
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="is no HDF5 file"), open_hdf5(path, what="b", source=SOURCE):
        pass


def test_a_dataset_of_another_shape_or_name(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["betas"] = np.zeros((3, 4))
        assert member(file, "betas", shape=(None, 4), what="b")[:].shape == (3, 4)
        with pytest.raises(ValueError, match=r"has shape \(3, 4\), expected \(any, 5\)"):
            member(file, "betas", shape=(None, 5), what="b")
        with pytest.raises(ValueError, match="has no 'beta'; it has betas"):
            member(file, "beta", shape=(3, 4), what="b")


def test_matlab_files_of_both_kinds_have_matlabs_axes(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    savemat(tmp_path / "old.mat", {"a": values, "b": 1.0})
    # Version 7.3: HDF5 behind 512 bytes of text, axes from the last one.
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:
        file["a"] = values.T
    with (tmp_path / "new.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    for name in ("old.mat", "new.mat"):
        found = read_mat(tmp_path / name, ("a",), what="design", source=SOURCE)
        np.testing.assert_array_equal(found["a"], values)
        with pytest.raises(ValueError, match="lacks c; it has"):
            read_mat(tmp_path / name, ("a", "c"), what="design", source=SOURCE)
    (tmp_path / "bad.mat").write_bytes((tmp_path / "old.mat").read_bytes()[:150])
    with pytest.raises(ValueError, match="is no MATLAB file, or damaged"):
        read_mat(tmp_path / "bad.mat", ("a",), what="design", source=SOURCE)
