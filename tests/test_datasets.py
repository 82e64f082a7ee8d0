"""Every dataset from files to figure, by the commands alone; what was planted is found there and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

import neurodecode as nd
from neurodecode import cli, store
from tests.trees import planted


def run(*words: object) -> None:
    assert cli.main([str(w) for w in words]) == 0


def scores(commands: planted.Commands):
    """Prepare, score and draw; return the scores without subject and fold."""
    for words in commands.all:
        run(*words)
    for ending in ("png", "pdf"):
        assert (commands.folder / f"score.{ending}").stat().st_size > 5000
    return store.load(commands.folder / "score.nc").mean(("subject", "fold"))


# What is filtered reaches a little further.
SMEAR = {"things-meg-raw": 0.05}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", planted.BUILDERS)
def test_from_files_to_figure(tmp_path, dataset):
    commands = planted.BUILDERS[dataset](tmp_path)
    score = scores(commands)
    if dataset == "haxby":
        assert float(score.sel(region=commands.where).item()) > 0.9
    elif isinstance(commands.where, str):
        require_planted_in(score, commands.where)
    else:
        require_planted_at(score, *commands.where, smear=SMEAR.get(dataset, 0.004))


def require_planted_at(score, first: float, last: float, *, smear: float) -> None:
    """ "c" is decoded in windows within first to last alone, "other" nowhere."""
    inside = (score.start.values > first - 1e-6) & (score.stop.values < last + 0.011)
    outside = (score.stop.values < first - smear + 0.005) | (score.start.values > last + smear)
    assert inside.any()
    assert outside.any()
    c = score.sel(layer="c").values
    assert c[inside].max() > 0.6
    assert np.abs(c[outside]).max() < 0.5
    assert c[inside].min() > np.abs(c[outside]).max()
    assert np.abs(score.sel(layer="other").values).mean() < 0.3


def require_planted_in(score, region: str) -> None:
    assert float(score.sel(layer="c", region=region)) > 0.6
    others = [r for r in score.region.values if r != region]
    assert np.abs(score.sel(layer="c", region=others).values).max() < 0.4
    assert np.abs(score.sel(layer="other").values).max() < 0.4


@pytest.mark.recording
def test_the_haxby_slice_scores_as_without_the_door(tmp_path, shared_data):
    """analyses/haxby_categories.py says .854."""
    slice_of = nd.datasets.haxby.load(shared_data / "haxby2001")
    features = nd.brain.one_hot(slice_of)
    store.save(features, tmp_path / "features.nc", overwrite=True)
    said = ("decode", "--score", "accuracy", "--folds", "run", "--shared", "stimulus")
    root = ("--root", shared_data / "haxby2001", "--blocks")
    through = scores(planted.Commands(tmp_path, "haxby", root, said, ""))
    blocks = nd.brain.average_repeats(slice_of, by=("stimulus", "run"))
    decoder = nd.RidgeDecoder(alpha=10.0)
    direct = nd.spatial.decode(blocks, features, decoder, folds="run", shared="stimulus", score="accuracy")
    assert float(through.item()) == pytest.approx(float(direct.mean()), abs=1e-9)


@pytest.mark.recording
def test_eeg_pictures_score_as_without_the_door(tmp_path, shared_data):
    """Through mne's own files, a zarr folder and the commands: the same AUC in every window."""
    import mne
    import pandas as pd

    whole = nd.datasets.eeg_pictures.load(next((shared_data / "eeg_pictures").glob("*.npz")))
    kept = whole.isel(sample=np.isin(whole.stimulus.values, ("S2 match", "S2 nomatch")))
    features = nd.brain.one_hot(["S2 match", "S2 nomatch"])
    store.save(features, tmp_path / "features.nc", overwrite=True)
    info = mne.create_info(list(kept.channel.values), 256.0, "eeg")
    names, codes = np.unique(kept.stimulus.values, return_inverse=True)
    events = np.stack([np.arange(len(codes)) * 300, np.zeros(len(codes), int), codes], axis=1)
    epochs = mne.EpochsArray(
        kept.values, info, events, tmin=0.0, event_id=dict(zip(names, range(2), strict=True)), verbose="error"
    )
    epochs.metadata = pd.DataFrame({"person": kept.subject.values})
    epochs.save(tmp_path / "all-epo.fif", fmt="double", verbose="error")
    said = (
        "sweep",
        "--score",
        "auc",
        "--folds",
        "person",
        "--shared",
        "stimulus",
        "--width",
        0.1,
        "--step",
        0.1,
    )
    files = ("--files", tmp_path / "all-epo.fif", "--subject", "all")
    through = scores(planted.Commands(tmp_path, "epochs", files, said, ""))
    direct = nd.temporal.sweep(
        kept.assign_coords(person=kept.subject),
        features,
        nd.RidgeDecoder(alpha=10.0),
        width=0.1,
        step=0.1,
        score="auc",
        folds="person",
        shared="stimulus",
    ).mean(("subject", "fold"))
    np.testing.assert_allclose(through.values, direct.values, atol=1e-6)
    assert float(through.max()) > 0.55
