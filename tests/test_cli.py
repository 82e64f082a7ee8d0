"""The command and the scripts: the same numbers as the library's calls, from files, and errors in one line."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import cli, inputs, report

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
    nd.save(epochs.drop_vars("split"), tmp_path / "bare.nc")
    return tmp_path


def run(*words):
    return cli.main([str(w) for w in words])


@pytest.mark.parametrize("command", ["demo", "decode", "sweep", "weight-map", "figure", "info", "methods"])
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


def test_a_figure_that_fails_is_said_in_one_line(files, capsys, monkeypatch):
    """Whether its script ends with an error, or is not there at all."""
    nd.save(xr.DataArray(np.zeros((1, 2)), dims=("layer", "voxel")), files / "map.nc")
    words = ["figure", files / "map.nc", "--out", files / "figures"]
    scripts = files / "installed" / "neurodecode"
    monkeypatch.setattr("neurodecode.cli._common.__file__", str(scripts / "cli" / "_common.py"))
    assert run(*words) == 2
    assert "lacks the scripts of the demo (analyses/ and figures/); install again" in capsys.readouterr().err
    (scripts / "analyses").mkdir(parents=True)
    (scripts / "figures").mkdir()
    (scripts / "figures" / "weight_map.py").write_text("raise SystemExit(3)", encoding="utf-8")
    assert run(*words) == 2
    assert "weight_map.py ended with status 3; its message stands above" in capsys.readouterr().err


def test_the_demo_says_first_what_is_not_installed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("neurodecode.cli.demo.find_spec", lambda name: None if name == "diffusers" else name)
    assert run("demo", "--out", tmp_path / "demo") == 2
    assert "diffusers not installed; install with: pip install" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


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
        (
            "weight-map --responses {}/epochs.nc --features {}/features.nc",
            "weight-map needs fMRI responses (sample, voxel), but those of subject '01' are over ('sample', 'channel'",
        ),
        (
            "decode --features {}/features.nc",
            "features.nc would not be used: without --responses FILE the lab is",
        ),
        (
            "sweep --responses {}/bare.nc --features {}/features.nc",
            "responses of subject '01' have no 'split' that says what is 'train' and 'test': add --folds 5, or "
            "--folds NAME to leave one out; labels of samples are 'sample', 'stimulus'",
        ),
        ("sweep --features {}/features.nc", "give --responses too, or leave --features out"),
        ("decode --responses {}/sub-01.nc {}/sub-01.nc --features {}/features.nc", "one file more than once"),
        ("decode --responses {}/sub-01.nc {}/./sub-01.nc --features {}/features.nc", "is that of 2 of 2"),
        (
            "weight-map --responses {}/sub-01.nc {}/sub-02.nc --features {}/features.nc",
            "draws one subject at a time, got 2; run it once for each",
        ),
        (
            "decode --responses {}/sub-01.nc --features {}/features.nc {}/features.nc",
            "feature space(s) 'c', 'z' occur in more than one file; give each once",
        ),
        ("decode --subjects 0", "--subjects must be at least 1, got 0"),
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


def subject_names(files, *paths):
    out = files / "names.nc"
    features = files / "features.nc"
    status = run(
        "decode", "--responses", *paths, "--features", features, "--alpha", 10, "--out", out, "--overwrite"
    )
    return nd.load(out).subject.values.tolist() if status == 0 else status


def test_files_of_one_name_stay_two_subjects(files):
    """Their scores are those of each file alone, under names that tell the paths apart."""
    folders = ("d1", "d2")
    for folder, subject in zip(folders, ("01", "02"), strict=True):
        (files / folder).mkdir()
        betas = nd.load(files / f"sub-{subject}.nc")
        del betas.attrs["subject"]
        nd.save(betas, files / folder / "run.nc")
    assert subject_names(files, files / "d1" / "run.nc") == ["run"]
    both = [files / f / "run.nc" for f in folders]
    assert subject_names(files, *both, files / "sub-01.nc") == ["d1/run", "d2/run", "01"]
    found = nd.load(files / "names.nc")
    direct = nd.spatial.decode(
        [nd.load(p) for p in both], nd.load(files / "features.nc"), nd.RidgeDecoder(alpha=10.0)
    )
    np.testing.assert_allclose(found.isel(subject=[0, 1]).values, direct.values)


def test_files_of_one_subject_are_not_several_subjects(files, capsys):
    session = nd.load(files / "sub-01.nc")
    nd.save(session, files / "sub-01_ses-2.nc")
    assert subject_names(files, files / "sub-01.nc", files / "sub-01_ses-2.nc") == 2
    said = capsys.readouterr().err
    assert "'01' is that of 2 of 2" in said
    assert "sub-01_ses-2.nc" in said
    assert "xarray.concat" in said
    assert not (files / "names.nc").exists()


@pytest.mark.parametrize("command", ["decode", "sweep", "weight-map"])
def test_the_target_is_checked_before_any_work(files, capsys, monkeypatch, command):
    def refuse(args):
        raise AssertionError("work began")

    monkeypatch.setattr("neurodecode.inputs.read", refuse)
    old = files / "old.nc"
    old.write_bytes(b"kept")
    for target, message in (
        (old, "exists already; give --overwrite"),
        (files / "x.csv", "must end in .nc, got '.csv'"),
        (files / "plain", "must end in .nc"),
        (files, "is a folder; add a file name"),
        (old / "deep" / "x.nc", f"{old} is a file, not a folder"),
    ):
        assert run(command, "--out", target) == 2
        assert message in capsys.readouterr().err
    assert old.read_bytes() == b"kept"
    with pytest.raises(AssertionError, match="work began"):
        run(command, "--out", old, "--overwrite")


def test_the_folder_of_the_target_is_made_and_an_old_result_replaced_on_demand(files):
    out = files / "new" / "deep" / "map.nc"
    words = [
        "weight-map",
        "--responses",
        files / "sub-01.nc",
        "--features",
        files / "features.nc",
        "--out",
        out,
    ]
    assert run(*words) == 0
    first = nd.load(out)
    assert run(*words, "--kind", "filter") == 2
    xr.testing.assert_identical(nd.load(out), first)
    assert run(*words, "--kind", "filter", "--overwrite") == 0
    assert nd.load(out).attrs["kind"] == "filter"


@pytest.mark.parametrize("name", [None, "anything"])
def test_a_map_saved_by_the_library_is_drawn_whatever_its_name(files, name):
    train = nd.load(files / "sub-01.nc")[:45]
    decoder = nd.RidgeDecoder(alpha=10.0).fit(train, nd.load(files / "features.nc"))
    nd.save(nd.spatial.weight_map(decoder).rename(name)[:1], files / "mine.nc")
    assert run("figure", files / "mine.nc", "--out", files / "figures") == 0
    assert [p.name for p in (files / "figures").glob("*.png")] == ["mine-filter-c.png"]


@pytest.mark.parametrize("file", ["sub-01.nc", "epochs.nc"])
def test_data_are_no_result_that_has_a_figure(files, capsys, file):
    assert run("figure", files / file, "--out", files / "figures") == 2
    assert "no figure for a result over" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 500])
@pytest.mark.parametrize("name", ["bad-epo.fif", "bad-epo.fif.gz"])
def test_damaged_epochs_are_one_line(tmp_path, capsys, content, name):
    (tmp_path / name).write_bytes(content)
    assert run("info", tmp_path / name) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert f"{name}' ({len(content)} bytes) is truncated, damaged or holds no epochs" in said


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
    report.write(folder, title="an older page")
    page = report.write(folder, title="A <run> & more", steps=["python a.py"]).read_text(encoding="utf-8")
    assert "older" not in page
    assert page.count("<img ") == 2
    assert page.count("Simulated data") == 1
    assert "7.5" in page
    assert "spatial.decode" in page
    assert "A &lt;run&gt; &amp; more" in page
    assert not re.search(r"(src|href)=.https?:", page), "the page stands alone"


def test_a_page_without_results_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no result"):
        report.write(tmp_path, title="empty")


def test_what_was_simulated_stays_so_through_a_file():
    """A lab's recording that was saved is no recording of a brain when it is read again."""
    recording = nd.datasets.lab.load("eeg", subject=1).responses
    other = recording.assign_attrs(origin="")
    for responses, expected in ((recording, True), (other, False)):
        assert inputs.Inputs({"one": responses}, {}, {}).simulated is expected
