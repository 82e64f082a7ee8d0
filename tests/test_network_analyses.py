"""analyses/networks.py and network_settings.py on small planted files: what they say, and what they never see."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import neurodecode as nd
from neurodecode import cli
from neurodecode.datasets import eeg_pictures

pytest.importorskip("torch")

ANALYSES = Path(__file__).parents[1] / "analyses"
N_TRAIN, N_TEST, CHANNELS, TIMES, FEATURES = 60, 20, 6, 12, 16


def features() -> xr.DataArray:
    rng = np.random.default_rng(0)
    names = [f"s{i:02d}" for i in range(N_TRAIN + N_TEST)]
    return nd.brain.features(rng.normal(size=(len(names), FEATURES)), stimulus=names)


def recording(subject: int, noise: float) -> xr.DataArray:
    """Epochs whose channels mix the features from one time on; two pictures a concept, as in the lab."""
    rng = np.random.default_rng(subject)
    space = features()
    mixed = space.values @ rng.normal(size=(FEATURES, CHANNELS * TIMES))
    values = mixed.reshape(-1, CHANNELS, TIMES) + noise * rng.normal(size=(len(space), CHANNELS, TIMES))
    names = space["stimulus"].values
    made = nd.brain.meeg(
        values,
        sample=names,
        stimulus=names,
        channel=[f"E{i}" for i in range(CHANNELS)],
        time=np.arange(TIMES) / 100,
        split=["train"] * N_TRAIN + ["test"] * N_TEST,
        subject=f"p{subject}",
    )
    return made.assign_coords(concept=("sample", [f"c{i // 2}" for i in range(len(names))]))


@pytest.fixture
def files(tmp_path):
    nd.save(features(), tmp_path / "final.nc")
    for subject, noise in ((1, 2.0), (2, 8.0), (3, 4.0)):
        nd.save(recording(subject, noise), tmp_path / f"p{subject}.nc")
    return tmp_path


def run(script: str, folder: Path, *options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    responses = sorted(map(str, folder.glob("p?.nc")))
    given = ["--responses", *responses, "--features", str(folder / "final.nc"), "--out", str(folder)]
    monkeypatch.setattr(sys, "argv", [script, *given, *options])
    runpy.run_path(str(ANALYSES / script), run_name="__main__")


def test_every_model_is_compared_with_ridge_pair_by_pair(files, monkeypatch) -> None:
    options = ("--models", "ridge", "mlp", "--epochs", "15")
    run("networks.py", files, *options, monkeypatch=monkeypatch)
    result = nd.load(files / "networks_eeg.nc")
    assert result.sizes == {"model": 2, "k": 2, "subject": 3}
    assert result["chance"].values.tolist() == [1 / N_TEST, 5 / N_TEST]
    assert float(result["mean"].sel(model="ridge", k=1)) > 0.5
    ours, ridge = (result["accuracy"].sel(model=m, k=5).values for m in ("mlp", "ridge"))
    test = stats.ttest_rel(ours, ridge)
    low, high = test.confidence_interval(0.95)
    found = result.sel(model="mlp", k=5)
    np.testing.assert_allclose(
        [found["gain"], found["gain_low"], found["gain_high"]], [np.mean(ours - ridge), low, high]
    )
    made = nd.store.provenance(result)
    assert made["what"] == "networks"
    assert list(made["parameters"]["decoders"]) == list(made["parameters"]["scores"]) == ["ridge", "mlp"]
    responses = {f"p{s}": nd.load(files / f"p{s}.nc") for s in (1, 2, 3)}
    assert made["data"] == {s: nd.store.data_hash(r, features()) for s, r in responses.items()}
    # In another order the same.
    run("networks.py", files, "--models", "mlp", "ridge", "--epochs", "15", monkeypatch=monkeypatch)
    other = nd.load(files / "networks_eeg.nc")
    xr.testing.assert_equal(other.sel(model=result["model"].values)["gain"], result["gain"])
    # Without ridge there is nothing to gain over.
    run("networks.py", files, "--models", "mlp", "--epochs", "15", monkeypatch=monkeypatch)
    assert nd.load(files / "networks_eeg.nc")["gain"].isnull().all()
    # Nothing is fitted again.
    monkeypatch.setattr(nd.networks.NetworkDecoder, "fit", None)
    run("networks.py", files, *options, monkeypatch=monkeypatch)


def test_shuffled_labels_are_named_in_the_file_and_find_little(files, monkeypatch) -> None:
    """Of trials that are repeated, too: a picture's trials get one other picture's name."""
    for path in files.glob("p?.nc"):
        once = nd.load(path)
        again = once.assign_coords(sample=[f"{s} again" for s in once["sample"].values])
        both = xr.concat([once, again + 1.0], "sample").assign_attrs(once.attrs)
        nd.save(both, path, overwrite=True)
    options = ("--models", "ridge", "mlp", "--epochs", "15", "--shuffle")
    run("networks.py", files, *options, monkeypatch=monkeypatch)
    result = nd.load(files / "networks_eeg_shuffled.nc")
    assert result.attrs["shuffled"]
    # 60 pictures found or not with a chance of .25: above .43 once in 1,000.
    assert (result["mean"].sel(k=5) < 0.43).all()


def test_settings_are_chosen_without_a_look_at_test_trials(files, monkeypatch) -> None:
    options = ("--models", "mlp", "--epochs", "4")
    run("network_settings.py", files, *options, monkeypatch=monkeypatch)
    first = nd.load(files / "network_settings_eeg.nc")
    assert first.sizes == {"model": 1, "loss": 3, "noise": 2, "subject": 3, "score": 2}
    made = nd.store.provenance(first)
    assert (made["what"], len(made["parameters"]["decoders"]), len(made["data"])) == (
        "network_settings",
        6,
        3,
    )
    for subject in (1, 2, 3):
        path = files / f"p{subject}.nc"
        spoiled = nd.load(path)
        spoiled[spoiled["split"].values == "test"] = np.nan
        nd.save(spoiled, path, overwrite=True)
    space = features()
    space[N_TRAIN:] = 1e6
    nd.save(space, files / "final.nc", overwrite=True)
    shutil.rmtree(files / "network_settings_pieces")
    run("network_settings.py", files, *options, monkeypatch=monkeypatch)
    again = nd.load(files / "network_settings_eeg.nc")
    np.testing.assert_array_equal(again["accuracy"], first["accuracy"])


def test_real_pictures_say_how_every_model_was_made(tmp_path, shared_data, monkeypatch) -> None:
    file = shared_data / "eeg_pictures" / "trials_12_subjects.npz"
    few = eeg_pictures.load(file)
    few = few.isel(sample=np.isin(few["subject"].values, np.unique(few["subject"].values)[:3]))
    monkeypatch.setattr(eeg_pictures, "load", lambda path: few.isel(sample=slice(None, None, 4)))
    options = ["--data", str(file), "--epochs", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["eeg_pictures_networks.py", *options])
    runpy.run_path(str(ANALYSES / "eeg_pictures_networks.py"), run_name="__main__")
    made = nd.store.provenance(nd.load(tmp_path / "eeg_pictures_networks.nc"))
    assert made["what"] == "eeg_pictures_networks"
    for name, kind in (("ridge", "RidgeDecoder"), ("eegnet", "NetworkDecoder")):
        assert made["parameters"]["decoders"][name].startswith(kind)
        assert made["parameters"]["scores"][name]["what"] == "temporal.sweep"


def lab_run(folder: Path, *options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fitters.py", "--out", str(folder), *options])
    runpy.run_path(str(ANALYSES / "fitters.py"), run_name="__main__")


def test_a_system_is_fitted_refined_and_kept(tmp_path, monkeypatch) -> None:
    """The lab's EEG, an MLP of one epoch, one step of stage 2, two pictures: all parts, not their quality."""
    systems = ("--systems", "eeg:mlp")
    few = ("--n", "2", "--steps", "1", "--epochs", "1", "--by-concept")
    lab_run(tmp_path, *systems, *few, monkeypatch=monkeypatch)
    result = nd.load(tmp_path / "fitters_by_concept.nc")
    assert {k: result.sizes[k] for k in ("system", "stage", "picture")} == {
        "system": 1,
        "stage": 2,
        "picture": 2,
    }
    assert result["system"].values.tolist() == ["EEG, MLP"]
    assert result["value"].notnull().all()
    assert list(nd.store.provenance(result)["data"]) == ["eeg 1"]
    # What is finished is not fitted again, and is not mistaken for the same with other settings.
    monkeypatch.setattr(nd.networks.NetworkDecoder, "fit", None)
    lab_run(tmp_path, *systems, *few, monkeypatch=monkeypatch)
    xr.testing.assert_equal(nd.load(tmp_path / "fitters_by_concept.nc"), result)
    with pytest.raises(TypeError, match="not callable"):
        lab_run(tmp_path, *systems, *few, "--epochs", "2", monkeypatch=monkeypatch)
    with pytest.raises(SystemExit, match="unknown system 'eeg:perceptron'; it is fmri, eeg or meg, a colon"):
        lab_run(tmp_path, "--systems", "eeg:perceptron", monkeypatch=monkeypatch)
    with pytest.raises(SystemExit, match=r"unknown system 'fmri:nice'; .*\(fmri: ridge, mlp, transformer\)"):
        lab_run(tmp_path, "--systems", "fmri:nice", monkeypatch=monkeypatch)


def test_tables_compare_stages_and_each_decoder_with_the_linear_one(tmp_path) -> None:
    rng = np.random.default_rng(0)
    systems = ["fMRI, linear", "fMRI, MLP", "EEG, linear", "EEG, MLP"]
    values = rng.normal(1.0, 0.1, size=(4, 2, 2, 5))
    values[2:, :, :, 3:] = np.nan  # fewer pictures of EEG
    pictures = ("system", "picture", "row", "column", "colour")
    result = xr.Dataset(
        {
            "value": (("system", "stage", "metric", "picture"), values),
            **{name: (pictures, rng.random((4, 5, 8, 8, 3))) for name in ("truth", "imagined", "images")},
        },
        coords={
            "system": systems,
            "modality": ("system", ["fmri", "fmri", "eeg", "eeg"]),
            "stage": [1, 2],
            "metric": ["PixCorr", "SSIM"],
            "better": ("metric", ["higher", "higher"]),
            "picture": np.arange(5),
        },
        attrs={"network_size": "small", "subjects": 1, "by_concept": 1, "simulated": True},
    )
    nd.save(result, tmp_path / "table_7.nc")
    assert cli.main(["figure", str(tmp_path / "table_7.nc"), "--out", str(tmp_path)]) == 0
    for name in ("table_7", "table_7_against_linear", "table_7_pictures"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    text = (tmp_path / "table_7_against_linear.md").read_text()
    assert "| EEG, MLP |" in text
    assert "n = 3 to 5 pictures" in text
    assert "linear |" not in text
    rows = (tmp_path / "table_7_against_linear.csv").read_text().splitlines()[1:]
    assert [row.split('"')[1] + row.rsplit(",", 1)[1] for row in rows[::2]] == ["fMRI, MLP5", "EEG, MLP3"]
    linear, mlp = values[2, 1, 0, :3], values[3, 1, 0, :3]
    gain = 100 * (mlp - linear).mean() / linear.mean()
    assert f"{gain:+.1f} %" in text
