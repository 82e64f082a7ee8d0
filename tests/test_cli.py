"""The command and the scripts: the same numbers as the library's calls, from files, and errors in one line."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import cli, report

ROOT = Path(__file__).parents[1]


@pytest.fixture
def files(tmp_path):
    """Write fMRI responses of two subjects, epochs of one, and features of two spaces, with real signal."""
    rng = np.random.default_rng(0)
    names = [f"image {i}" for i in range(60)]
    split = ["train"] * 45 + ["test"] * 15
    features = nd.brain.features(rng.normal(size=(60, 8)), stimulus=names, layer=["c"] * 4 + ["z"] * 4)
    nd.save(features, tmp_path / "features.nc")
    roi, hemi = ["V1"] * 12 + ["LO"] * 12, ["left", "right"] * 12
    for subject in ("01", "02"):
        values = features.values @ rng.normal(size=(8, 24)) + rng.normal(size=(60, 24))
        betas = nd.brain.fmri(
            values,
            sample=names,
            stimulus=names,
            split=split,
            roi=roi,
            hemi=hemi,
            vertex=np.arange(24),
            subject=subject,
        )
        nd.save(betas, tmp_path / f"sub-{subject}.nc")
    signal = np.einsum("sf,fc,t->sct", features.values, rng.normal(size=(8, 6)), np.hanning(30))
    epochs = nd.brain.meeg(
        signal + rng.normal(size=(60, 6, 30)),
        sample=names,
        stimulus=names,
        split=split,
        channel=[f"E{i}" for i in range(6)],
        time=np.arange(30) / 100 - 0.05,
        subject="01",
    )
    nd.save(epochs, tmp_path / "epochs.nc")
    return tmp_path


def run(*words):
    return cli.main([str(w) for w in words])


@pytest.mark.parametrize("command", ["demo", "decode", "sweep", "weight-map", "figure", "info"])
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    assert f"neurodecode {command}" in capsys.readouterr().out.split("Example:", 1)[-1] or command == "figure"


def test_decode_equals_the_library(files):
    subjects = [files / "sub-01.nc", files / "sub-02.nc"]
    out = files / "decode.nc"
    status = run(
        "decode", "--responses", *subjects, "--features", files / "features.nc", "--alpha", 10, "--regions", "LVC",
        "LVC+HVC", "--out", out,
    )  # fmt: skip
    direct = nd.spatial.decode(
        [nd.load(s) for s in subjects],
        nd.load(files / "features.nc"),
        nd.RidgeDecoder(alpha=10.0),
        regions=["LVC", "LVC+HVC"],
    )
    assert status == 0
    xr.testing.assert_equal(nd.load(out), direct)
    assert nd.load(out).sizes == {"region": 2, "layer": 2, "subject": 2, "fold": 1}


def test_sweep_equals_the_library_and_folds_are_understood(files):
    out = files / "sweep.nc"
    common = ["--responses", files / "epochs.nc", "--features", files / "features.nc", "--alpha", 10]
    assert (
        run("sweep", *common, "--score", "top5", "--folds", 5, "--width", 0.05, "--step", 0.05, "--out", out)
        == 0
    )
    direct = nd.temporal.sweep(
        nd.load(files / "epochs.nc"),
        nd.load(files / "features.nc"),
        nd.RidgeDecoder(alpha=10.0),
        width=0.05,
        step=0.05,
        score="top5",
        folds=5,
    )
    xr.testing.assert_equal(nd.load(out), direct)
    best = direct.mean(("subject", "fold", "layer")).idxmax("window").item()
    assert 0.03 < best < 0.17, "the planted time course peaks at 0.1 s"


def test_weight_map_equals_the_library_and_is_drawn(files):
    out = files / "map.nc"
    features = nd.load(files / "features.nc")
    assert run("weight-map", "--responses", files / "sub-01.nc", "--features", files / "features.nc", "--alpha", 10,
               "--kind", "filter", "--out", out) == 0  # fmt: skip
    train = nd.load(files / "sub-01.nc")[:45]
    direct = nd.spatial.weight_map(nd.RidgeDecoder(alpha=10.0).fit(train, features), kind="filter")
    np.testing.assert_allclose(nd.load(out).values, direct.values)
    assert run("figure", out, "--out", files / "figures") == 0
    assert sorted(p.name for p in (files / "figures").glob("*.png")) == [
        "map-filter-c.png",
        "map-filter-z.png",
    ]


def test_a_script_takes_files_of_ones_own(files):
    script = [sys.executable, str(ROOT / "analyses" / "region_profile.py")]
    data = ["--responses", str(files / "sub-01.nc"), "--features", str(files / "features.nc")]
    done = subprocess.run([*script, *data, "--out", str(files)], capture_output=True, text=True, check=False)
    # The script's own setting asks for more voxels than these files have: it says so before any work.
    assert done.returncode != 0
    assert "n_voxels must be a whole number from 1 to 24" in done.stderr


def test_info_tells_kind_and_faults(files, capsys):
    assert run("info", files / "sub-01.nc", files / "features.nc", files / "epochs.nc") == 0
    said = capsys.readouterr().out
    for words in (
        "fMRI responses (sample 60, voxel 24)",
        "stimulus features",
        "-0.05 to 0.24 s, 100 Hz",
        "well-formed",
    ):
        assert words in said
    broken = nd.load(files / "sub-01.nc")
    broken[3, 2] = np.nan
    nd.save(broken, files / "broken.nc")
    assert run("info", files / "broken.nc") == 1
    assert re.search(r"PROBLEM: .*1 NaN and 0 infinite of 1440 values", capsys.readouterr().out)


def test_info_reads_epochs_and_images(tmp_path, capsys):
    import mne
    import nibabel

    info = mne.create_info(["E1", "E2"], 100.0, "eeg")
    epochs = mne.EpochsArray(
        np.zeros((3, 2, 50)), info, event_id={"face": 1}, events=[[i, 0, 1] for i in range(3)]
    )
    epochs.save(tmp_path / "some-epo.fif", verbose="error")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6)), np.diag([2, 2, 3, 1])), tmp_path / "image.nii.gz")
    assert run("info", tmp_path / "some-epo.fif", tmp_path / "image.nii.gz") == 0
    said = capsys.readouterr().out
    assert "M/EEG responses (sample 3, channel 2, time 50)" in said
    assert "(4, 5, 6), voxels of 2 x 2 x 3 mm" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("decode --responses {}/sub-01.nc", "need --features FILE"),
        ("decode --responses {}/none.nc --features {}/features.nc", "none.nc"),
        ("decode --responses {}/features.nc --features {}/features.nc", "holds no responses"),
        ("decode --responses {}/sub-01.nc --features {}/sub-01.nc", "holds no features"),
        ("decode --responses {}/sub-01.nc --features {}/features.nc --regions V9", "unknown region"),
        ("decode --responses {}/sub-01.nc --features {}/features.nc --score best", "unknown score 'best'"),
        ("sweep --responses {}/epochs.nc --features {}/features.nc --width 100", "longer than the data"),
        (
            "sweep --responses {}/epochs.nc --features {}/features.nc --scheme rolling",
            "'growing', 'shrinking'",
        ),
        ("weight-map --responses {}/sub-01.nc --features {}/features.nc --alpha 0", "alpha must be"),
        ("figure {}/features.nc", "no figure for a result over feature x stimulus"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(files, capsys, words, message):
    command = words.format(*[files] * words.count("{}")).split()
    target = files if command[0] == "figure" else files / "x.nc"
    assert run(*command, "--out", target) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith(f"neurodecode {command[0]}: ")
    assert len(said.strip().splitlines()) == 1
    assert not (files / "x.nc").exists()


def test_truncated_file_is_refused(files, capsys):
    whole = (files / "sub-01.nc").read_bytes()
    (files / "cut.nc").write_bytes(whole[: len(whole) // 2])
    assert run("info", files / "cut.nc") == 2
    assert "cut.nc" in capsys.readouterr().err


def test_the_page_holds_every_figure_and_how_it_was_made(files):
    import matplotlib.pyplot as plt

    score = nd.spatial.decode(
        nd.load(files / "sub-01.nc"), nd.load(files / "features.nc"), nd.RidgeDecoder(alpha=7.5)
    )
    folder = files / "run"
    folder.mkdir()
    for name in ("region", "region_more"):
        nd.save(score.assign_attrs(simulated=name == "region"), folder / f"{name}.nc")
        figure = plt.figure()
        nd.plot.save(figure, folder / name)
    page = report.write(folder, title="A <run> & more", steps=["python a.py"]).read_text(encoding="utf-8")
    assert page.count("<img ") == 2
    assert page.count("Simulated data") == 1
    assert "7.5" in page
    assert "spatial.decode" in page
    assert "A &lt;run&gt; &amp; more" in page
    assert not re.search(r"(src|href)=.https?:", page), "the page stands alone"


def test_a_page_without_results_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no result"):
        report.write(tmp_path, title="empty")
