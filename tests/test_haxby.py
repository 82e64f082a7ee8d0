"""Haxby's subjects as nilearn leaves them on disk."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils import Bunch

import neurodecode as nd
from neurodecode.datasets import haxby
from tests import trees

FILES = {
    "func": "bold.nii.gz",
    "session_target": "labels.txt",
    "mask_vt": "mask4_vt.nii.gz",
    "mask_face": "mask8b_face_vt.nii.gz",
    "mask_house": "mask8b_house_vt.nii.gz",
    "mask_face_little": "mask8_face_vt.nii.gz",
    "mask_house_little": "mask8_house_vt.nii.gz",
}


def bunch_of(root, subjects) -> Bunch:
    """What fetch_haxby returns of these subjects (nilearn 0.14.1, datasets/func.py): lists of paths as text."""
    home = root / "haxby2001"
    lists = {key: [str(home / f"subj{s}" / name) for s in subjects] for key, name in FILES.items()}
    return Bunch(**lists, mask=str(home / "mask.nii.gz"), anat=[None for _ in subjects], t_r=2.5)


def expected_of(planted: trees.Haxby, mask: str, *, degree: int | None) -> np.ndarray:
    series = planted.series[planted.masks[mask] > 0].T.astype(float)
    if degree is not None:
        for r in np.unique(planted.run):
            rows = planted.run == r
            t = np.arange(rows.sum())
            one = np.stack([v - np.polyval(np.polyfit(t, v, degree), t) for v in series[rows].T], axis=1)
            series[rows] = one / one.std(axis=0)
    return series


@pytest.mark.parametrize("mask", ["vt", "face", "brain"])
@pytest.mark.parametrize("degree", [None, 2])
def test_volumes_and_labels_come_back(tmp_path, mask, degree):
    planted = trees.haxby_nilearn(tmp_path, subject=4)
    found = haxby.load(tmp_path, subject=4, mask=mask, rest=True, degree=degree)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.values, expected_of(planted, mask, degree=degree), rtol=1e-4, atol=1e-4)
    assert found.stimulus.values.tolist() == planted.labels
    assert found.run.values.tolist() == planted.run.tolist()
    inside = planted.masks[mask] > 0
    assert found.voxel.values.tolist() == np.flatnonzero(inside.ravel()).tolist()
    assert found.roi.values.tolist() == ["vt" if v else "" for v in planted.masks["vt"][inside]]
    assert found.attrs["subject"] == "subj4"
    shown = haxby.load(tmp_path / "haxby2001", subject=4, mask=mask, degree=degree)
    np.testing.assert_array_equal(shown.values, found.values[np.array(planted.labels) != "rest"])


def test_a_bunch_is_found_by_its_folders(tmp_path):
    planted = {s: trees.haxby_nilearn(tmp_path, subject=s) for s in (6, 1)}
    bunch = bunch_of(tmp_path, (6, 1))
    # As nilearn shifts its lists when subject 6 comes before another.
    bunch["session_target"] = bunch["session_target"][::-1]
    for subject in (1, 6):
        found = haxby.from_nilearn(bunch, subject=subject, rest=True, degree=None)
        np.testing.assert_allclose(found.values, planted[subject].series[:2].reshape(48, -1).T)
        assert found.stimulus.values.tolist() == planted[subject].labels
        assert found.attrs["subject"] == f"subj{subject}"
    with pytest.raises(
        ValueError, match=r"holds no subject 2: its 'func' lies in 'subj6', 'subj1'.*subjects=\[2\]"
    ):
        haxby.from_nilearn(bunch, subject=2)


def test_masks_are_those_of_the_files(tmp_path):
    planted = trees.haxby_nilearn(tmp_path)
    found = haxby.load(tmp_path, subject=2, mask="brain")
    inside = planted.masks["brain"] > 0
    for given in (tmp_path, bunch_of(tmp_path, (2,))):
        masks = haxby.masks(given, found, subject=2)
        assert masks.region.values.tolist() == list(haxby.REGIONS)
        for name in haxby.REGIONS:
            np.testing.assert_array_equal(masks.sel(region=name), planted.masks[name][inside] > 0)
        assert nd.brain.regions(found, masks).equals(masks)
    little = haxby.masks(tmp_path, haxby.load(tmp_path, subject=2, mask="face_little"), subject=2)
    assert little.region.values.tolist() == ["vt", "face", "face_little"]
    trees.haxby_nilearn(tmp_path, subject=3)
    with pytest.raises(ValueError, match="responses are of 'subj2', the masks of 'subj3'"):
        haxby.masks(tmp_path, found, subject=3)
    with pytest.raises(ValueError, match="no voxel of the responses lies in a mask"):
        haxby.masks(tmp_path, found.isel(voxel=slice(-3, None)), subject=2)


def test_categories_are_decoded_where_they_were_planted(tmp_path):
    signal = 2 * np.random.default_rng(0).normal(size=(8, 8))
    trees.haxby_nilearn(tmp_path, runs=4, signal=signal)
    blocks = nd.brain.average_repeats(haxby.load(tmp_path, subject=2, mask="brain"), by=("stimulus", "run"))
    found = nd.spatial.decode(
        blocks.assign_coords(roi=("voxel", np.where(blocks.roi == "vt", "vt", "other"))),
        nd.brain.one_hot(blocks),
        nd.RidgeDecoder(alpha=10.0),
        regions=["vt", "other"],
        folds="run",
        shared="stimulus",
        score="accuracy",
    ).mean("fold")
    assert found.sel(region="vt").item() > 0.9
    assert found.sel(region="other").item() < 0.4


def test_what_is_missing_or_damaged(tmp_path):
    with pytest.raises(ValueError, match="subject must be 1 to 6, got 7"):
        haxby.load(tmp_path, subject=7)
    with pytest.raises(FileNotFoundError, match="labels of subj2 is missing: .*fetch_haxby"):
        haxby.load(tmp_path, subject=2)
    planted = trees.haxby_nilearn(tmp_path)
    with pytest.raises(ValueError, match="unknown mask 'V1'; choose one of 'vt', 'face'"):
        haxby.load(tmp_path, subject=2, mask="V1")
    labels = planted.folder / "labels.txt"
    text = labels.read_text()
    labels.write_text(text.split("\n", 1)[1])
    with pytest.raises(
        ValueError, match="must begin with the header 'labels chunks', it begins with 'rest 0'"
    ):
        haxby.load(tmp_path, subject=2)
    labels.write_text(text + "rest 2\n")
    with pytest.raises(ValueError, match=r"shape \(5, 6, 4, 99\) but labels.txt has 100 lines"):
        haxby.load(tmp_path, subject=2)
    labels.write_text(text)
    bold = planted.folder / "bold.nii.gz"
    whole = bold.read_bytes()
    bold.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="bold.nii.gz .* is truncated or no NIfTI image"):
        haxby.load(tmp_path, subject=2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda text: text + "rest\n",
            "two columns, category and number of the run, but has the line 'rest'; get",
        ),
        (lambda text: text.replace("rest 2", "rest two", 1), "but has the line 'rest two'; get it again"),
        (
            lambda text: text.replace("cat 1", "dog 1", 1),
            "has unknown categories 'dog'; known: 'rest', 'face'",
        ),
    ],
)
def test_labels_with_one_fault(tmp_path, spoil, words):
    planted = trees.haxby_nilearn(tmp_path)
    labels = planted.folder / "labels.txt"
    labels.write_text(spoil(labels.read_text()))
    with pytest.raises(ValueError, match=words):
        haxby.load(tmp_path, subject=2)


def test_a_slice_without_its_volumes(tmp_path):
    (tmp_path / "attributes.txt").write_text("rest 0\nface 0\n")
    with pytest.raises(
        FileNotFoundError, match="there is no file .*bold.nii.gz; the folder needs bold.nii.gz, mask"
    ):
        haxby.load(tmp_path)
