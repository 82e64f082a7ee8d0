"""NSD in its published layout: what was planted in the files comes back, voxel by voxel and trial by trial."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode.datasets import _blocks, nsd
from neurodecode.datasets.nsd import betas, design, layout
from tests import trees

# The rule of the eleven regions once more, number by number: Kastner2015, and prf-visualrois above it.
REGIONS = ["", "V1", "V1", "V2", "V2", "V3", "V3", "hV4", "VO", "VO", "PHC", "PHC", "MST", "MT", "LO", "LO"]
REGIONS += ["V3ab", "V3ab", *["IPS"] * 6, "", ""]


@pytest.mark.parametrize("ending", ["hdf5", "nii.gz"])
def test_planted_betas_come_back_in_their_voxels_and_trials(tmp_path, ending, reading):
    planted = trees.nsd(tmp_path, subject=2, ending=ending)
    found = nsd.load(tmp_path, subject=2)
    assert found.dtype == np.float32
    assert (found.chunks is not None) == (reading == "dask")
    assert found.sizes["sample"] == 1500
    x, y, z = np.unravel_index(found.voxel.values, trees.NSD_GRID)
    np.testing.assert_allclose(found.values, planted.stored[:, x, y, z] / 300, rtol=1e-6)
    # One number by hand, on axes that differ in length: trial 801, voxel (4, 2, 1).
    one = found.sel(sample="subj02_t00801", voxel=(4 * 5 + 2) * 4 + 1).values
    assert one == pytest.approx(planted.stored[800, 4, 2, 1] / 300, rel=1e-6)
    assert found.attrs["units"] == "% signal change"
    assert found.attrs["space"] == "func1pt8mm"
    assert found.attrs["subject"] == "subj02"
    assert found.chunks is None or found.chunks[0] == (750, 750)


def test_regions_hemispheres_and_positions_are_those_of_the_atlases(tmp_path):
    planted = trees.nsd(tmp_path)
    found = nsd.load(tmp_path, subject=1)
    kastner, prf = planted.atlases["Kastner2015"], planted.atlases["prf-visualrois"]
    expected = {}
    for flat, voxel in enumerate(np.ndindex(trees.NSD_GRID)):
        number = prf[voxel] if prf[voxel] > 0 else kastner[voxel]
        in_brain = not (voxel[0] == 0 and voxel[2] == 3)
        if number > 0 and REGIONS[number] and in_brain:
            side = "left" if voxel[0] < 3 else "right"
            millimetres = tuple(1.8 * i - o for i, o in zip(voxel, (4.5, 3.6, 2.7), strict=True))
            expected[flat] = REGIONS[number], side, millimetres, planted.ncsnr[voxel]
    assert found.voxel.values.tolist() == list(expected)
    roi, hemi, xyz, ncsnr = zip(*expected.values(), strict=True)
    assert found.roi.values.tolist() == list(roi)
    assert set(roi) == set(nsd.PAPER)
    assert found.hemi.values.tolist() == list(hemi)
    np.testing.assert_allclose(np.stack([found.x, found.y, found.z], axis=1), xyz, atol=1e-5)
    np.testing.assert_array_equal(found.ncsnr, ncsnr)


def test_a_map_goes_back_to_the_volume_of_the_file(tmp_path):
    planted = trees.nsd(tmp_path)
    found = nsd.load(tmp_path, subject=1)
    image = nd.spatial.to_volume(found.isel(sample=3, drop=True).compute())
    np.testing.assert_allclose(image.affine, trees.NSD_AFFINE)
    values = np.asarray(image.dataobj)
    x, y, z = np.unravel_index(found.voxel.values, trees.NSD_GRID)
    np.testing.assert_allclose(values[x, y, z], planted.stored[3, x, y, z] / 300, rtol=1e-6)


@pytest.mark.parametrize("atlas", ["streams", "floc-faces", "nsdgeneral", "Kastner2015"])
def test_an_atlas_by_name_takes_what_is_above_zero(tmp_path, atlas):
    planted = trees.nsd(tmp_path)
    found = nsd.load(tmp_path, subject=1, regions=atlas)
    values = planted.atlases[atlas].copy()
    values[0, :, 3] = 0
    assert found.sizes["voxel"] == (values > 0).sum()
    names = [nsd.LABELS[atlas][n] for n in values[values > 0]]
    assert found.roi.values.tolist() == names


def test_an_atlas_whose_names_are_in_a_table(tmp_path):
    planted = trees.nsd(tmp_path)
    values = np.where(planted.atlases["streams"] > 0, planted.atlases["streams"] % 2 + 1, 0)
    trees.nsd_volume(planted.folder / "roi/HCP_MMP1.nii.gz", values.astype(np.int16))
    with pytest.raises(FileNotFoundError, match="names of the regions of 'HCP_MMP1' is missing"):
        nsd.load(tmp_path, subject=1, regions="HCP_MMP1")
    table = tmp_path / "nsddata/freesurfer/fsaverage/label/HCP_MMP1.mgz.ctab"
    table.parent.mkdir(parents=True)
    table.write_text("0 Unknown\n1 V1 10 20 30 0\n")
    with pytest.raises(ValueError, match="labels 2, which have no name; known are 1"):
        nsd.load(tmp_path, subject=1, regions="HCP_MMP1")
    table.write_text("0 Unknown\n1 V1 10 20 30 0\n2 MST\n")
    found = nsd.load(tmp_path, subject=1, regions="HCP_MMP1")
    assert set(found.roi.values) == {"V1", "MST"}
    # No files of the hemispheres: nothing says which one.
    assert "hemi" not in found.coords


def test_both_hemispheres_without_their_common_file(tmp_path):
    planted = trees.nsd(tmp_path)
    before = nsd.load(tmp_path, subject=1, regions="streams")
    (planted.folder / "roi/streams.nii.gz").unlink()
    xr.testing.assert_identical(nsd.load(tmp_path, subject=1, regions="streams"), before)


def test_voxels_of_several_atlases(tmp_path):
    planted = trees.nsd(tmp_path)
    found = nsd.load(tmp_path, subject=1, regions=["floc-places", "floc-faces"])
    places, faces = (planted.atlases[f"floc-{n}"].ravel()[found.voxel.values] for n in ("places", "faces"))
    assert ((places > 0) | (faces > 0)).all()
    both = (places > 0) & (faces > 0)
    assert both.any()
    first = [nsd.LABELS["floc-places"][n] for n in places[both]]
    assert found.roi.values[both].tolist() == first
    masks = nsd.masks(tmp_path, found, subject=1, atlases=["floc-places", "floc-faces", "streams"])
    np.testing.assert_array_equal(masks.sel(region="FFA-1"), faces == 2)
    np.testing.assert_array_equal(masks.sel(region="PPA"), places == 2)
    assert nd.brain.regions(found, masks).equals(masks)
    with pytest.raises(ValueError, match="'V1d', 'V1v'.* are in more than one of"):
        nsd.load(tmp_path, subject=1, regions=["Kastner2015", "prf-visualrois"])
    with pytest.raises(ValueError, match="the responses are of 'subj01', the atlases of 'subj02'"):
        nsd.masks(tmp_path, found, subject=2, atlases="streams")


# ---------------------------------------------------------------- trials


def test_pictures_repeats_and_sessions_follow_the_order_of_trials(tmp_path):
    planted = trees.nsd(tmp_path, subject=7, sessions=3)
    found = nsd.load(tmp_path, subject=7)
    seen: dict[int, int] = defaultdict(int)
    for t in range(2250):
        k = planted.order[t]
        picture = planted.pictures[6, k - 1] - 1
        assert found.stimulus.values[t] == f"nsd_{picture:05d}"
        assert found.split.values[t] == ("test" if k <= 1000 else "train")
        assert found.repeat.values[t] == seen[picture]
        assert found.session.values[t] == f"ses-{t // 750 + 1:02d}"
        assert found["sample"].values[t] == f"subj07_t{t + 1:05d}"
        seen[picture] += 1
    assert max(seen.values()) > 1
    fewer = nsd.load(tmp_path, subject=7, sessions=2)
    xr.testing.assert_identical(fewer, found[:1500].assign_attrs(invalid=0))


def test_thirty_seven_sessions_lack_the_pictures_that_come_only_later(tmp_path):
    order, pictures = trees.nsd_design(tmp_path)
    shown = design.trials(layout.Files(tmp_path, 5), 37)
    counts = Counter(order[: 37 * 750].tolist())
    test = {k for k in counts if k <= 1000}
    assert len(set(shown.nsd_id[shown.shared].tolist())) == len(test) < 1000
    assert len(set(shown.nsd_id[~shown.shared].tolist())) == len(counts) - len(test) < 9000
    assert shown.shared.sum() == sum(counts[k] for k in test)
    assert {p - 1 for k in test for p in [pictures[4, k - 1]]} == set(shown.nsd_id[shown.shared].tolist())
    whole = design.trials(layout.Files(tmp_path, 5), 40)
    assert len(np.unique(whole.nsd_id[whole.shared])) == 1000
    assert len(np.unique(whole.nsd_id)) == 10_000
    assert np.bincount(whole.repeat).tolist() == [10_000] * 3
    assert whole.nsd_id.dtype == np.int64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masterordering": np.ones((1, 750))}, r"'masterordering' .* has the shape \(1, 750\)"),
        ({"masterordering": np.zeros((1, 30_000))}, "whole numbers from 1 to 10000, but has 30000 others: 0"),
        ({"subjectim": np.full((8, 10_000), 73_001)}, "from 1 to 73000, but has 80000 others"),
        ({"sharedix": np.arange(1, 1001)[None]}, "pictures of subj01 .* are not those of 'sharedix'"),
    ],
)
def test_a_design_that_is_not_the_published_one(tmp_path, change, message):
    from scipy.io import loadmat, savemat

    trees.nsd_design(tmp_path)
    files = layout.Files(tmp_path, 1)
    content = {k: v for k, v in loadmat(files.design).items() if not k.startswith("_")}
    savemat(files.design, content | change)
    with pytest.raises(ValueError, match=message):
        design.trials(files, 1)


# ---------------------------------------------------------------- when betas are read


def test_no_betas_are_read_before_they_are_needed(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    planted = trees.nsd(tmp_path)
    opened = []
    real = betas.open_hdf5
    monkeypatch.setattr(betas, "open_hdf5", lambda path, **k: opened.append(path.name) or real(path, **k))
    found = nsd.load(tmp_path, subject=1)
    assert opened == []
    part = found[760:770].compute()
    assert opened == ["betas_session02.hdf5"]
    x, y, z = np.unravel_index(found.voxel.values, trees.NSD_GRID)
    np.testing.assert_allclose(part.values, planted.stored[760:770, x, y, z] / 300, rtol=1e-6)
    (planted.betas / "betas_session01.hdf5").unlink()
    with pytest.raises(FileNotFoundError, match="betas is missing: .*betas_session01.hdf5"):
        found.compute()


@pytest.mark.parametrize("masks", [True, False])
def test_voxels_that_are_invalid_in_a_session(tmp_path, masks, reading):
    whole = trees.nsd(tmp_path / "whole")
    voxel = nsd.load(tmp_path / "whole", subject=1).voxel.values[5]
    place = tuple(int(i) for i in np.unravel_index(voxel, trees.NSD_GRID))
    trees.nsd(tmp_path / "holes", invalid=((2, place),), valid=masks)
    found = nsd.load(tmp_path / "holes", subject=1)
    assert voxel not in found.voxel
    assert found.attrs["invalid"] == 1
    assert np.isfinite(found.values).all()
    kept = nsd.load(tmp_path / "holes", subject=1, valid="nan")
    bad = kept.sel(voxel=voxel).values
    assert np.isnan(bad[750:]).all()
    np.testing.assert_allclose(bad[:750], whole.stored[:750, *place] / 300, rtol=1e-6)
    assert np.isfinite(kept.values).sum() == kept.size - 750
    # In the first session alone the voxel is as good as any.
    assert voxel in nsd.load(tmp_path / "holes", subject=1, sessions=1).voxel


def test_responses_that_would_not_fit(tmp_path, monkeypatch, memory_left):
    trees.nsd(tmp_path)
    monkeypatch.setattr(_blocks, "has_dask", lambda: False)

    memory_left(1000)
    with pytest.raises(MemoryError, match=r"1500 trials of \d+ voxels.*install dask"):
        nsd.load(tmp_path, subject=1)


# ---------------------------------------------------------------- files that are not as they should be


def test_a_session_is_missing(tmp_path):
    planted = trees.nsd(tmp_path, sessions=3)
    with pytest.raises(FileNotFoundError, match=r"session\(s\) 4, 5 are missing.*found 3 of the 40 sessions"):
        nsd.load(tmp_path, subject=1, sessions=5)
    with pytest.raises(ValueError, match="sessions must be 1 to 40, as many as subj01 came to, got 41"):
        nsd.load(tmp_path, subject=1, sessions=41)
    (planted.betas / "betas_session02.hdf5").unlink()
    message = r"session\(s\) 2 are missing: .*betas_session02.hdf5; found 2 of the 40 sessions of subj01"
    with pytest.raises(FileNotFoundError, match=message):
        nsd.load(tmp_path, subject=1)
    assert nsd.load(tmp_path, subject=1, sessions=1).sizes["sample"] == 750
    # The same session as NIfTI mends it.
    trees.nsd_session(planted.betas / "betas_session02.nii.gz", planted.stored[750:1500])
    found = nsd.load(tmp_path, subject=1)
    x, y, z = np.unravel_index(found.voxel.values, trees.NSD_GRID)
    np.testing.assert_allclose(found.values, planted.stored[:, x, y, z] / 300, rtol=1e-6)
    os.rename(planted.betas / "betas_session03.hdf5", planted.betas / "betas_session41.hdf5")
    with pytest.raises(ValueError, match="holds sessions 41, but subj01 came to 40"):
        nsd.load(tmp_path, subject=1)


def test_a_session_that_was_not_downloaded_wholly(tmp_path):
    planted = trees.nsd(tmp_path)
    path = planted.betas / "betas_session02.hdf5"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    message = r"betas_session02.hdf5.*is truncated.*\(Found 2 of the 40 sessions of subj01\)"
    with pytest.raises(ValueError, match=message):
        nsd.load(tmp_path, subject=1)
    path.write_bytes(b"/annex/objects/MD5E-s47068840--601b.hdf5\n")
    with pytest.raises(FileNotFoundError, match="is a placeholder.*datalad get"):
        nsd.load(tmp_path, subject=1)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="session 2 of subj01.* is empty"):
        nsd.load(tmp_path, subject=1)


def test_a_compressed_session_that_was_not_downloaded_wholly(tmp_path):
    planted = trees.nsd(tmp_path, ending="nii.gz")
    path = planted.betas / "betas_session01.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="betas_session01.nii.gz .* is truncated or no NIfTI image"):
        nsd.load(tmp_path, subject=1).compute()


def test_betas_with_their_axes_the_other_way_round(tmp_path):
    import h5py

    planted = trees.nsd(tmp_path)
    with h5py.File(planted.betas / "betas_session01.hdf5", "w") as file:
        file["betas"] = planted.stored[:750]
    with pytest.raises(ValueError, match=r"shape \(750, 6, 5, 4\), expected \(750, 4, 5, 6\)"):
        nsd.load(tmp_path, subject=1).compute()


def test_an_atlas_of_another_subject(tmp_path):
    planted = trees.nsd(tmp_path)
    path = planted.folder / "roi/lh.prf-visualrois.nii.gz"
    trees.nsd_volume(path, np.zeros((5, 6, 4), np.int16))
    with pytest.raises(ValueError, match=r"different grids: shape \(5, 6, 4\) against \(6, 5, 4\)"):
        nsd.load(tmp_path, subject=1)
    moved = trees.NSD_AFFINE.copy()
    moved[0, 3] += 1
    trees.nsd_volume(path, np.zeros(trees.NSD_GRID, np.int16), moved)
    with pytest.raises(ValueError, match="different grids: affine"):
        nsd.load(tmp_path, subject=1)
    trees.nsd_volume(path, np.zeros(trees.NSD_GRID, np.int16))
    with pytest.raises(ValueError, match=r"left and right hemisphere disagree on \d+ of \d+ labelled voxels"):
        nsd.load(tmp_path, subject=1)


@pytest.mark.parametrize("subject", [0, 9])
def test_a_subject_that_does_not_exist(tmp_path, subject):
    with pytest.raises(ValueError, match=f"subject must be 1 to 8, got {subject}"):
        nsd.load(tmp_path, subject=subject)


def test_what_is_missing_is_named_with_the_agreement(tmp_path):
    with pytest.raises(FileNotFoundError, match="agreeing to the NSD Data Access Agreement; nothing is"):
        nsd.load(tmp_path, subject=1)
    planted = trees.nsd(tmp_path)
    with pytest.raises(FileNotFoundError, match="atlas 'VTC' of subj01 is missing: .*VTC.nii.gz"):
        nsd.load(tmp_path, subject=1, regions="VTC")
    with pytest.raises(ValueError, match="unknown version 'b3'"):
        nsd.load(tmp_path, subject=1, version="b3")
    (planted.folder / "roi/Kastner2015.nii.gz").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="Kastner2015.* is truncated or no NIfTI image"):
        nsd.load(tmp_path, subject=1)
    (tmp_path / "nsddata/experiments/nsd/nsd_expdesign.mat").unlink()
    with pytest.raises(FileNotFoundError, match="the experimental design is missing"):
        nsd.load(tmp_path, subject=1, regions="streams")


def _zeros(planted, *, name="streams"):
    """An atlas without a label."""
    for side in ("", "lh.", "rh."):
        trees.nsd_volume(planted.folder / f"roi/{side}{name}.nii.gz", np.zeros(trees.NSD_GRID, np.int16))


def _no_valid_voxel(planted):
    trees.nsd_volume(planted.folder / "valid_session01.nii.gz", np.zeros(trees.NSD_GRID, np.uint8))


def _spoilt_betas(planted):
    trees.spoilt_hdf5(planted.betas / "betas_session01.hdf5", "betas")


def _betas_of_floats(planted):
    (planted.betas / "betas_session01.hdf5").unlink()
    values = planted.stored.astype(np.float32)
    trees.nsd_session(planted.betas / "betas_session01.nii.gz", values)


def _two_volumes(planted):
    trees.nsd_volume(planted.folder / "brainmask.nii.gz", np.ones((*trees.NSD_GRID, 2), np.uint8))


FAULTS = {
    "no valid voxel": (
        _no_valid_voxel,
        r"none of \d+ voxels of 'streams' is valid in all 1 sessions of subj01; valid='nan' keeps them",
    ),
    "no label": (_zeros, "subj01 has no voxel of 'streams'; take other regions"),
    "spoilt betas": (
        _spoilt_betas,
        r"betas_session01.hdf5 \(betas\) is damaged: .*; get it again from the Natural Scenes Dataset",
    ),
    "betas of floats": (
        _betas_of_floats,
        r"betas_session01.nii.gz \(betas\) has the shape \(6, 5, 4, 750\) of float32, expected .* of int16",
    ),
    "two volumes": (
        _two_volumes,
        r"brainmask.nii.gz \(brain mask of subj01\) must have three axes, it has the shape \(6, 5, 4, 2\)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_with_one_fault(tmp_path, fault):
    spoil, words = FAULTS[fault]
    spoil(trees.nsd(tmp_path, sessions=1))
    with pytest.raises(ValueError, match=words):
        nsd.load(tmp_path, subject=1, regions="streams").compute()


def test_regions_that_are_none(tmp_path):
    planted = trees.nsd(tmp_path, sessions=1)
    responses = nsd.load(tmp_path, subject=1)
    with pytest.raises(ValueError, match="regions is empty: name an atlas, or 'paper'"):
        nsd.load(tmp_path, subject=1, regions=[])
    _zeros(planted)
    with pytest.raises(
        ValueError, match="no voxel of the responses lies in a region of 'streams'; load them by"
    ):
        nsd.masks(tmp_path, responses, subject=1, atlases="streams")
    trees.nsd_volume(planted.folder / "roi/VTC.nii.gz", np.ones(trees.NSD_GRID, np.int16))
    table = tmp_path / "nsddata/freesurfer/subj01/label/VTC.mgz.ctab"
    table.parent.mkdir(parents=True)
    table.write_text("0 Unknown 0 0 0 0\nfirst VTC 0 0 0 0\n")
    with pytest.raises(
        ValueError, match="VTC.mgz.ctab must have lines of number and name, got 'first VTC 0 0"
    ):
        nsd.load(tmp_path, subject=1, regions="VTC")


# ---------------------------------------------------------------- on to the analysis


def test_the_noise_ceiling_is_the_correlation_of_the_signal_with_noisy_averages():
    rng = np.random.default_rng(0)
    ncsnr = xr.DataArray(
        [0.0, 0.2, 0.5, 1.0, np.nan], dims="voxel", coords={"voxel": list("abcde")}, name="ncsnr"
    )
    repeats = rng.choice([1, 2, 3], 200_000, p=[0.2, 0.3, 0.5])
    found = nsd.noise_ceiling(ncsnr, repeats)
    for i in (1, 2, 3):
        signal = ncsnr.values[i] * rng.normal(size=repeats.size)
        average = signal + rng.normal(size=repeats.size) / np.sqrt(repeats)
        assert found.values[i] == pytest.approx(np.corrcoef(signal, average)[0, 1], abs=0.01)
    assert found.values[[0, 4]].tolist() == [0, 0]
    a, b, c = ((repeats == n).sum() for n in (3, 2, 1))
    manual = 100 * 0.25 / (0.25 + (a / 3 + b / 2 + c) / (a + b + c))
    assert 100 * found.values[2] ** 2 == pytest.approx(manual)
    np.testing.assert_allclose(nsd.noise_ceiling(ncsnr[:4], 3), nd.score.noise_ceiling(ncsnr[:4], n=3))
    with pytest.raises(ValueError, match="at least 1 trial for every picture, got 0"):
        nsd.noise_ceiling(ncsnr, [3, 0])


def test_responses_go_on_to_averages_and_decoders(tmp_path, reading):
    planted = trees.nsd(tmp_path, sessions=3)
    # What is planted in V1 alone: one feature of the picture.
    feature = np.random.default_rng(1).normal(size=73_000)
    found = nsd.load(tmp_path, subject=1)
    x, y, z = np.unravel_index(found.voxel.values[found.roi.values == "V1"], trees.NSD_GRID)
    shown = planted.pictures[0, planted.order[:2250] - 1] - 1
    stored = planted.stored.copy()
    stored[:, x, y, z] = 1000 * feature[shown][:, None] + stored[:, x, y, z] / 10
    for s in range(3):
        trees.nsd_session(planted.betas / f"betas_session{s + 1:02d}.hdf5", stored[s * 750 : (s + 1) * 750])
    responses = nsd.load(tmp_path, subject=1)
    train = responses.sel(sample=responses.split == "train")
    responses = nd.prepare.ZScore(by="session").fit(train).transform(responses)
    average = nd.brain.average_repeats(responses)
    assert average.trials.max() > 1
    assert nsd.noise_ceiling(average.ncsnr, average.trials).dims == ("voxel",)
    names = average.stimulus.values
    ids = [int(name.removeprefix("nsd_")) for name in names]
    features = nd.brain.features(feature[ids][:, None], stimulus=names)
    scores = nd.spatial.decode(
        average,
        features,
        nd.RidgeDecoder(1.0),
        regions=["V1", "LO"],
        train="train",
        test="test",
    )
    assert scores.sel(region="V1").item() > 0.95
    assert abs(scores.sel(region="LO").item()) < 0.3


def test_what_is_loaded_goes_through_netcdf(tmp_path):
    trees.nsd(tmp_path, sessions=1)
    found = nsd.load(tmp_path, subject=1)
    found.to_netcdf(Path(tmp_path) / "a.nc", engine="h5netcdf")
    with xr.open_dataarray(tmp_path / "a.nc", engine="h5netcdf") as back:
        np.testing.assert_array_equal(back.values, found.values)
        assert back.attrs["shape"].tolist() == list(trees.NSD_GRID)
