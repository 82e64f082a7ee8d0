"""The real recordings: what a simple method reaches on them, and that the library's numbers are a plain loop's.

The loops use scikit-learn on bare arrays, read from the files without the loaders under test.
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import xarray as xr
from scipy.signal import detrend
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neurodecode as nd
from neurodecode.brain.categories import one_hot
from neurodecode.datasets import eeg_n170, eeg_pictures, haxby

recording = pytest.mark.recording
MATCH = ("S2 nomatch", "S2 match")
FIRST = ("S1 obj", "S2 match")
FACES = ("face", "house")


@pytest.fixture(scope="module")
def slice_file(shared_data: Path) -> Path:
    return shared_data / "haxby2001"


@pytest.fixture(scope="module")
def blocks(slice_file: Path) -> xr.DataArray:
    return nd.brain.average_repeats(haxby.load(slice_file), by=("stimulus", "run"))


@pytest.fixture(scope="module")
def pictures_file(shared_data: Path) -> Path:
    return shared_data / "eeg_pictures" / "trials_12_subjects.npz"


@pytest.fixture(scope="module")
def pictures(pictures_file: Path) -> xr.DataArray:
    return eeg_pictures.load(pictures_file)


@pytest.fixture(scope="module")
def n170_file(shared_data: Path) -> Path:
    return shared_data / "eeg_n170" / "trials.npz"


@pytest.fixture(scope="module")
def n170(n170_file: Path) -> xr.DataArray:
    return eeg_n170.load(n170_file)


def accuracies(blocks: xr.DataArray) -> np.ndarray:
    """Accuracy of every run left out."""
    decoder = nd.RidgeDecoder(alpha=100.0)
    found = nd.spatial.decode(
        blocks, one_hot(blocks), decoder, folds="run", score="accuracy", shared="stimulus"
    )
    assert found.attrs["chance"] == pytest.approx(1 / np.unique(blocks.stimulus).size)
    return found.values.ravel()


def contrast(epochs: xr.DataArray, pair: tuple[str, str]) -> tuple[xr.DataArray, xr.DataArray]:
    return epochs.isel(sample=np.isin(epochs.stimulus, pair)), nd.brain.features(
        [[1.0], [-1.0]], stimulus=pair
    )


def sweep(
    epochs: xr.DataArray, pair: tuple[str, str], *, folds: str, width: float, **more: float
) -> xr.DataArray:
    trials, feature = contrast(epochs, pair)
    found = nd.temporal.sweep(
        trials,
        feature,
        nd.RidgeDecoder(alpha=1e4),
        width=width,
        folds=folds,
        score="auc",
        shared="stimulus",
        **more,
    )
    return found.squeeze(("layer", "subject"))


def plain_auc(x: np.ndarray, positive: np.ndarray, group: np.ndarray) -> list[float]:
    """AUC of every group left out, in sorted order, by scikit-learn alone."""
    x, y = x.reshape(len(x), -1).astype(np.float64), np.where(positive, 1.0, -1.0)
    found = []
    for train, test in LeaveOneGroupOut().split(x, y, group):
        model = make_pipeline(StandardScaler(), Ridge(alpha=1e4)).fit(x[train], y[train])
        found.append(roc_auc_score(positive[test], model.predict(x[test])))
    return found


# ------------------------------------------------------------------------------------------------- Haxby
@recording
def test_haxby_eight_categories(blocks: xr.DataArray) -> None:
    assert accuracies(blocks).mean() >= 0.75


@recording
def test_haxby_faces_against_houses(blocks: xr.DataArray) -> None:
    assert accuracies(blocks.isel(sample=np.isin(blocks.stimulus, FACES))).mean() >= 0.95


@recording
def test_haxby_permuted_labels_fall_to_chance(blocks: xr.DataArray) -> None:
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = blocks.stimulus.values.copy()
        for run in np.unique(blocks.run):
            rows = blocks.run.values == run
            labels[rows] = rng.permutation(labels[rows])
        found.append(accuracies(blocks.assign_coords(stimulus=("sample", labels))).mean())
    assert max(found) <= 0.25
    assert np.mean(found) == pytest.approx(1 / 8, abs=0.06)


@recording
def test_haxby_equals_a_plain_loop_over_runs(blocks: xr.DataArray, slice_file: Path) -> None:
    """Read, detrended, averaged and decoded again with nibabel, SciPy and scikit-learn."""
    table = np.loadtxt(slice_file / "attributes_literal.txt", dtype=str)
    inside = nibabel.load(slice_file / "mask.nii.gz").get_fdata() != 0
    x = nibabel.load(slice_file / "bold.nii.gz").get_fdata()[inside].T
    run, names = table[:, 1].astype(int), table[:, 0]
    for r in np.unique(run):
        one = detrend(x[run == r], axis=0)
        x[run == r] = one / one.std(axis=0)
    keys = [(r, c) for r in np.unique(run) for c in np.unique(names[names != "rest"])]
    means = np.stack([x[(run == r) & (names == c)].mean(axis=0) for r, c in keys])
    of_run, label = np.array([k[0] for k in keys]), np.array([k[1] for k in keys])
    here = {
        (int(r), str(c)): i
        for i, (r, c) in enumerate(zip(blocks.run.values, blocks.stimulus.values, strict=True))
    }
    order = [here[int(r), str(c)] for r, c in keys]
    np.testing.assert_allclose(blocks.values[order], means, rtol=1e-4, atol=1e-5)  # nilearn reads float32

    classes = np.unique(label)
    y = (label[:, None] == classes).astype(float)
    expected = []
    for train, test in LeaveOneGroupOut().split(means, y, of_run):
        model = make_pipeline(StandardScaler(), Ridge(alpha=100.0)).fit(means[train], y[train])
        expected.append(np.mean(classes[model.predict(means[test]).argmax(axis=1)] == label[test]))
    np.testing.assert_allclose(accuracies(blocks), expected)


@recording
def test_haxby_labels_follow_the_response_without_a_lag(slice_file: Path) -> None:
    """Pictures against rest, blind to category: the reason for the default lag."""

    def r2(lag: int) -> float:
        volumes = haxby.load(slice_file, rest=True, lag=lag)
        on = volumes.stimulus.values != "rest"
        x = (volumes.values - volumes.values.mean(axis=0)) / volumes.values.std(axis=0)
        return float(np.mean((x.T @ ((on - on.mean()) / on.std()) / on.size) ** 2))

    found = {lag: r2(lag) for lag in (-2, -1, 0, 1, 2)}
    assert max(found, key=found.get) == 0
    assert found[0] == pytest.approx(0.062, abs=0.002)


@recording
def test_haxby_lag_moves_labels_within_runs_only(slice_file: Path) -> None:
    given, moved = (haxby.load(slice_file, rest=True, lag=lag, degree=None) for lag in (0, 2))
    np.testing.assert_array_equal(given.values, moved.values)
    for run in np.unique(given.run):
        before, after = (v.stimulus.values[v.run.values == run] for v in (given, moved))
        np.testing.assert_array_equal(after[2:], before[:-2])
        assert set(after[:2]) == {"rest"}


@recording
def test_haxby_a_run_does_not_see_the_others(slice_file: Path, tmp_path: Path) -> None:
    """Preprocessing: rescaling one run's recording changes no other run, and not even that run."""
    folder = shutil.copytree(slice_file, tmp_path / "copy", copy_function=shutil.copyfile)
    folder.chmod(0o755)
    image = nibabel.load(slice_file / "bold.nii.gz")
    values = image.get_fdata()
    values[..., :121] = 3 * values[..., :121] + 7
    (folder / "bold.nii.gz").unlink()
    nibabel.Nifti1Image(values.astype(np.float32), image.affine).to_filename(folder / "bold.nii.gz")
    np.testing.assert_allclose(haxby.load(folder).values, haxby.load(slice_file).values, atol=2e-3)


@recording
def test_haxby_maps_return_to_the_volume(blocks: xr.DataArray, slice_file: Path, tmp_path: Path) -> None:
    decoder = nd.RidgeDecoder(alpha=100.0).fit(blocks, one_hot(blocks))
    maps = nd.spatial.weight_map(decoder, kind="pattern", reduce="mean", responses=blocks, by="unit")
    nd.spatial.to_volume(maps).to_filename(tmp_path / "map.nii.gz")
    back = nibabel.load(tmp_path / "map.nii.gz")
    mask = nibabel.load(slice_file / "mask.nii.gz")
    inside = mask.get_fdata() != 0
    np.testing.assert_allclose(back.affine, mask.affine)
    np.testing.assert_allclose(back.get_fdata()[inside].T, maps.values, rtol=1e-6)
    assert not back.get_fdata()[~inside].any()
    # Haufe et al. 2014, for one feature: the pattern is the correlation of each voxel with what is decoded.
    decoded = decoder.predict(blocks).values[:, 0]
    r = [np.corrcoef(decoded, voxel)[0, 1] for voxel in blocks.values.T]
    np.testing.assert_allclose(maps.values[0], r, atol=1e-6)


# ------------------------------------------------------------------------------------------------- EEG, pictures
@pytest.fixture(scope="module")
def match_curve(pictures: xr.DataArray) -> xr.DataArray:
    """AUC at 0-100 and 200-300 ms of every subject left out."""
    return sweep(pictures, MATCH, folds="subject", width=0.1, step=0.2, tmax=0.305)


@recording
def test_pictures_match_against_no_match_in_unseen_subjects(match_curve: xr.DataArray) -> None:
    floor, effect = match_curve.mean("fold").values
    np.testing.assert_allclose(match_curve.start, [0, 0.2], atol=1 / 256)
    np.testing.assert_allclose(match_curve.stop, [0.1, 0.3], atol=1 / 256)
    assert match_curve.sizes["fold"] == 12
    assert effect >= 0.70
    assert floor == pytest.approx(0.5, abs=0.05)


@recording
def test_pictures_first_against_match(pictures: xr.DataArray) -> None:
    found = sweep(pictures, FIRST, folds="subject", width=0.1, step=0.1, tmin=0.3, tmax=0.4)
    assert found.mean("fold").item() >= 0.80


@recording
def test_pictures_sweep_equals_a_plain_loop(match_curve: xr.DataArray, pictures_file: Path) -> None:
    with np.load(pictures_file, allow_pickle=False) as raw:
        rows, scalp = np.isin(raw["condition"], MATCH), ~np.isin(raw["channels"], ["X", "Y", "nd"])
        x = raw["data_int16"][rows][:, scalp] * 0.05e-6
        positive, subject = raw["condition"][rows] == MATCH[0], raw["subject"][rows]
    first, last = (round(float(t) * 256) for t in (match_curve.start[1], match_curve.stop[1]))
    expected = plain_auc(x[:, :, first : last + 1], positive, subject)
    # Below the change of AUC when one pair of trials swaps places: the same order, although in float32.
    np.testing.assert_allclose(match_curve.values[1], expected, atol=2e-3)


@recording
def test_pictures_labels(pictures: xr.DataArray, pictures_file: Path) -> None:
    import mne

    montage = mne.channels.make_standard_montage("biosemi64")
    other = {k.upper(): v for k, v in montage.get_positions()["ch_pos"].items()}
    assert dict(pictures.sizes) == {"sample": 687, "channel": 61, "time": 256}
    assert np.unique(pictures.subject).size == 12
    with np.load(pictures_file, allow_pickle=False) as raw:
        oz = raw["data_int16"][5, list(raw["channels"]).index("OZ")] * 0.05e-6
    np.testing.assert_allclose(pictures.sel(channel="OZ").values[5], oz, rtol=1e-5, atol=1e-12)
    # Another template of another maker: the same directions from the head's centre, within some degrees.
    for name in ("OZ", "P8", "FZ", "C3"):
        mine = pictures.sel(channel=name)
        here = np.array([mine.x, mine.y, mine.z]) - [0, 0, 0.04]
        cosine = here @ other[name] / np.linalg.norm(here) / np.linalg.norm(other[name])
        assert cosine > np.cos(np.radians(25)), name


# ------------------------------------------------------------------------------------------------- EEG, N170
@pytest.fixture(scope="module")
def whole_epoch(n170: xr.DataArray) -> xr.DataArray:
    return sweep(n170, FACES, folds="run", width=n170.sizes["time"] / 256, step=1.0)


@recording
def test_n170_whole_epoch_by_run(whole_epoch: xr.DataArray) -> None:
    assert whole_epoch.sizes == {"window": 1, "fold": 6}
    assert whole_epoch.mean().item() >= 0.65


@recording
def test_n170_whole_epoch_equals_a_plain_loop(whole_epoch: xr.DataArray, n170_file: Path) -> None:
    with np.load(n170_file, allow_pickle=False) as raw:
        expected = plain_auc(raw["data"], raw["label"] == 2, raw["run"])
    # A swap of one pair of trials changes the AUC by 1.2e-4.
    np.testing.assert_allclose(whole_epoch.values.ravel(), expected, atol=5e-4)


@recording
def test_n170_permuted_labels_fall_to_chance(n170: xr.DataArray) -> None:
    shuffled = np.random.default_rng(0).permutation(n170.stimulus.values)
    relabelled = n170.assign_coords(stimulus=("sample", shuffled))
    found = sweep(relabelled, FACES, folds="run", width=n170.sizes["time"] / 256, step=1.0)
    assert found.mean().item() == pytest.approx(0.5, abs=0.05)


# ------------------------------------------------------------------------------------------------- files
def test_one_hot_names_its_columns() -> None:
    found = one_hot(["b", "a", "b"])
    assert found.stimulus.values.tolist() == found.unit.values.tolist() == ["b", "a"]
    np.testing.assert_array_equal(found.values, np.eye(2))
    with pytest.raises(ValueError, match="two or more different names, got 1: 'a'"):
        one_hot(["a", "a"])


def tiny_haxby(folder: Path) -> Path:
    """Write a recording of two runs of four volumes with three voxels."""
    values = np.random.default_rng(0).normal(100, 5, size=(2, 2, 1, 8)).astype(np.float32)
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(folder / "bold.nii.gz")
    nibabel.Nifti1Image(np.array([[[1], [1]], [[1], [0]]], np.uint8), np.eye(4)).to_filename(
        folder / "mask.nii.gz"
    )
    (folder / "attributes.txt").write_text("0 0\n1 0\n1 0\n2 0\n0 1\n2 1\n1 1\n0 1\n")
    return folder


def test_haxby_reads_what_was_written(tmp_path: Path) -> None:
    found = haxby.load(tiny_haxby(tmp_path), degree=None)
    values = nibabel.load(tmp_path / "bold.nii.gz").get_fdata()
    assert found.stimulus.values.tolist() == ["face", "face", "house", "house", "face"]
    assert found.run.values.tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_allclose(found.sel(voxel=1).values, values[0, 1, 0, [1, 2, 3, 5, 6]])
    whole = haxby.load(tmp_path, rest=True)
    for run in (0, 1):
        rows = whole.values[whole.run.values == run]
        trend = detrend(values[0, 1, 0, 4 * run : 4 * run + 4])
        np.testing.assert_allclose(rows[:, 1], trend / trend.std(), rtol=1e-5)


def test_haxby_refuses_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*bold\.nii\.gz"):
        haxby.load(tmp_path)
    bold = tiny_haxby(tmp_path) / "bold.nii.gz"
    whole = bold.read_bytes()
    bold.write_bytes(whole[:-40])
    with pytest.raises(ValueError, match=r"bold\.nii\.gz .* truncated or no NIfTI image"):
        haxby.load(tmp_path)
    bold.write_bytes(gzip.compress(b"not an image " * 50))
    with pytest.raises(ValueError, match="truncated or no NIfTI image"):
        haxby.load(tmp_path)
    bold.write_bytes(whole)
    for text, message in (
        ("0 0\n1 0\n", "has 2 lines"),
        ("9 0\n" * 8, "unknown categories '9'"),
        ("1\n" * 8, "two columns"),
        ("1 x\n" * 8, "two columns"),
    ):
        (tmp_path / "attributes.txt").write_text(text)
        with pytest.raises(ValueError, match=message):
            haxby.load(tmp_path)


def tiny_n170() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "data": rng.normal(size=(3, 2, 5)).astype(np.float32),
        "label": np.array([1, 2, 2]),
        "run": np.array([0, 0, 1]),
        "times": np.arange(5) / 256,
        "channels": np.array(["TP9", "AF7"]),
    }


def test_eeg_reads_what_was_written(tmp_path: Path) -> None:
    arrays = tiny_n170()
    np.savez(tmp_path / "trials.npz", **arrays)
    found = eeg_n170.load(tmp_path / "trials.npz")
    assert found.stimulus.values.tolist() == ["house", "face", "face"]
    assert found.attrs["units"] == "V"
    np.testing.assert_allclose(found.values, arrays["data"] * 1e-6, rtol=1e-6)
    assert found.x.values[0] < 0  # TP9 and AF7 are on the left,
    assert found.y.values[1] > found.y.values[0]  # AF7 before TP9
    assert 0.07 < np.linalg.norm([found.x[1], found.y[1], found.z[1]]) < 0.13


@pytest.mark.parametrize("load", [eeg_n170.load, eeg_pictures.load])
def test_eeg_refuses_missing_truncated_and_other_files(load, tmp_path: Path) -> None:
    path = tmp_path / "trials.npz"
    with pytest.raises(FileNotFoundError, match="no file"):
        load(path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load(tmp_path)
    np.savez_compressed(path, **{k: v for k, v in tiny_n170().items() if k != "channels"})
    with pytest.raises(ValueError, match="it lacks .*'channels'"):
        load(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"no \.npz file, or truncated"):
        load(path)


def test_eeg_refuses_damage_objects_and_unequal_sizes(tmp_path: Path) -> None:
    path = tmp_path / "trials.npz"
    for changed, message in (
        ({"run": np.array([0, 0])}, "'data' has 3 along 'trial' but 'run' has 2"),
        ({"label": np.array([1, 2, 7])}, "unknown labels 7"),
        ({"data": np.zeros((3, 2))}, r"must have the axes .* got shape \(3, 2\)"),
        ({"channels": np.array(["TP9", {}], dtype=object)}, "damaged or of another data set"),
        ({"channels": np.array(["TP9", "Q1"])}, "Q1"),
    ):
        np.savez(path, **{**tiny_n170(), **changed})
        with pytest.raises(ValueError, match=message):
            eeg_n170.load(path)
    np.savez(path, **tiny_n170())
    whole = bytearray(path.read_bytes())
    whole[150] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="damaged"):
        eeg_n170.load(path)
