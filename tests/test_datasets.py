"""Every dataset from files to figure, by the commands alone; what was planted is found there and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import neurodecode as nd
from neurodecode import cli, store
from tests import trees

# Features of the pictures: those of "c" are planted, those of "other" are not.
PLANTED, OTHER = 4, 4


def run(*words: object) -> None:
    assert cli.main([str(w) for w in words]) == 0


@dataclass(frozen=True)
class Made:
    """A folder for results, and in it features.nc: ``planted`` (stimulus, feature) as "c", and others."""

    folder: Path
    planted: np.ndarray

    @classmethod
    def of(cls, folder: Path, names: list[str]) -> Made:
        values = np.random.default_rng(5).normal(size=(len(names), PLANTED + OTHER))
        features = nd.brain.features(values, stimulus=names, layer=["c"] * PLANTED + ["other"] * OTHER)
        store.save(features, folder / "features.nc")
        return cls(folder, values[:, :PLANTED])

    def prepare(self, dataset: str, *options: object) -> None:
        run("prepare", dataset, *options, "--out", self.folder / "sub.zarr")

    def scores(self, command: str, *options: object):
        """Decode, draw, and return the scores without subject and fold."""
        files = ("--responses", self.folder / "sub.zarr", "--features", self.folder / "features.nc")
        run(command, *files, "--alpha", 10, *options, "--out", self.folder / "score.nc")
        run("figure", self.folder / "score.nc", "--out", self.folder)
        for ending in ("png", "pdf"):
            assert (self.folder / f"score.{ending}").stat().st_size > 5000
        score = store.load(self.folder / "score.nc")
        return score.mean(("subject", "fold"))

    def regions(self, *options: object):
        return self.scores("decode", "--score", "profile", *options)

    def windows(self, *options: object):
        return self.scores("sweep", "--score", "profile", "--width", 0.05, "--step", 0.05, *options)


def things_pictures(concepts: tuple[int, int], each: int) -> list[str]:
    names = trees.things_concepts(sum(concepts))
    return [f"{n}_{k + 1:02d}b" for n in names[: concepts[0]] for k in range(each)] + [
        f"{n}_01b" for n in names[concepts[0] :]
    ]


def require_planted_at(score, first: float, last: float, *, smear: float = 0.004) -> None:
    """ "c" is decoded in windows within first to last alone, "other" nowhere."""
    inside = (score.start.values > first - 1e-6) & (score.stop.values < last + 0.011)
    outside = (score.stop.values < first - smear + 0.005) | (score.start.values > last + smear)
    assert inside.any()
    assert outside.any()
    assert score.sel(layer="c").values[inside].max() > 0.6
    assert np.abs(score.sel(layer="c").values[outside]).max() < 0.5
    assert score.sel(layer="c").values[inside].min() > np.abs(score.sel(layer="c").values[outside]).max()
    assert np.abs(score.sel(layer="other").values).mean() < 0.3


def require_planted_in(score, region: str, *, most: float = 0.35) -> None:
    assert float(score.sel(layer="c", region=region)) > 0.6
    others = [r for r in score.region.values if r != region]
    assert np.abs(score.sel(layer="c", region=others).values).max() < most
    assert np.abs(score.sel(layer="other").values).max() < most


def test_nsd(tmp_path):
    order, pictures = trees.nsd_design(tmp_path / "design")
    shown = pictures[0][order[:1500] - 1] - 1
    made = Made.of(tmp_path, [f"nsd_{i:05d}" for i in np.unique(shown)])
    rows = {int(i): row for i, row in zip(np.unique(shown), made.planted, strict=True)}
    trees.nsd(tmp_path / "NSD", signal=lambda i: rows[i], region="V1")
    made.prepare("nsd", "--root", tmp_path / "NSD", "--subject", 1, "--validation", 0.1)
    require_planted_in(made.regions(), "V1")


def test_things_eeg_raw(tmp_path):
    concepts, each = (20, 16), 2
    made = Made.of(tmp_path, things_pictures(concepts, each))
    root = tmp_path / "EEG"
    trees.things_eeg_raw(root, concepts=concepts, each=each, signal=made.planted)
    options = ("--subject", 1, "--channels", "posterior", "--validation", 0.1, "--validation-by", "concept")
    made.prepare("things-eeg", "--root", root, *options)
    require_planted_at(made.windows(), 0.1, 0.2)


def test_things_eeg_published(tmp_path):
    concepts, each = (20, 16), 2
    made = Made.of(tmp_path, things_pictures(concepts, each))
    trees.things_eeg(tmp_path / "EEG", concepts=concepts, each=each, times=100, signal=made.planted)
    made.prepare("things-eeg-published", "--root", tmp_path / "EEG", "--subject", 1)
    require_planted_at(made.windows(), 0.1, 0.2)


def test_things_meg(tmp_path):
    sizes = {"concepts": 40, "tests": 16, "sessions": 4}
    made = Made.of(tmp_path, trees.meg_stimuli(**sizes))
    trees.things_meg(tmp_path / "MEG", **sizes, signal=made.planted)
    channels = (
        "--channels",
        *(f"MLO{i}-1609" for i in (11, 12, 13, 14)),
        *(f"MRO{i}-1609" for i in (12, 13)),
    )
    made.prepare("things-meg", "--root", tmp_path / "MEG", "--subject", 1, *channels)
    require_planted_at(made.windows(), 0.1, 0.2)


@pytest.mark.parametrize("layout", ["old", "new"])
def test_generic_object_decoding(tmp_path, layout):
    names = trees.kamitani_names(60)
    made = Made.of(tmp_path, names)
    trees.god(tmp_path, train=40, test=20, signal=made.planted, layout=layout)
    made.prepare("kamitani", "--files", tmp_path / "Subject1.h5")
    score = made.regions("--regions", "V1", "V2")
    assert float(score.sel(layer="c", region="V1")) > 0.6
    assert float(score.sel(layer="c", region="V2")) < 0.4


def test_fmri_in_bids(tmp_path):
    made = Made.of(tmp_path, [f"images/picture-{i:02d}.png" for i in range(40)])
    trees.bids_fmri(tmp_path / "bids", sessions=("a",), runs=3, signal=4 * made.planted)
    planes = np.ones(trees.BIDS_GRID, np.int16)
    planes[2:] = 2
    trees.bids_volume(tmp_path / "atlas.nii.gz", planes)
    where = ("--atlas", tmp_path / "atlas.nii.gz", "--region", 1, "seen", "--region", 2, "unseen")
    subject = ("--root", tmp_path / "bids", "--subject", "01", "--task", "pictures")
    made.prepare("bids-fmri", *subject, *where, "--average", "all")
    require_planted_in(made.regions("--folds", 5), "seen")


def test_eeg_in_bids(tmp_path):
    made = Made.of(tmp_path, [f"picture-{i:02d}" for i in range(40)])
    trees.bids_meeg(tmp_path / "bids", each=4, signal=3 * made.planted)
    subject = ("--root", tmp_path / "bids", "--subject", "01", "--task", "pictures", "--stimulus", "stim_id")
    made.prepare("bids-meeg", *subject, "--average", "all", "--window", -0.2, 0.6)
    require_planted_at(made.windows("--folds", 5), 0.1, 0.3)


def test_haxby_as_nilearn_leaves_it(tmp_path):
    made = Made.of(tmp_path, list(trees.HAXBY_CATEGORIES))
    store.save(nd.brain.one_hot(trees.HAXBY_CATEGORIES), tmp_path / "features.nc", overwrite=True)
    trees.haxby_nilearn(tmp_path, runs=6, signal=3 * made.planted)
    made.prepare("haxby", "--root", tmp_path, "--subject", 2, "--blocks")
    score = made.scores("decode", "--score", "accuracy", "--folds", "run", "--shared", "stimulus")
    assert float(score.sel(region="vt").item()) > 0.9


@pytest.mark.recording
def test_the_haxby_slice_scores_as_without_the_door(tmp_path, shared_data):
    """analyses/haxby_categories.py says .854."""
    made = Made.of(tmp_path, ["face"])
    slice_of = nd.datasets.haxby.load(shared_data / "haxby2001")
    features = nd.brain.one_hot(slice_of)
    store.save(features, tmp_path / "features.nc", overwrite=True)
    made.prepare("haxby", "--root", shared_data / "haxby2001", "--blocks")
    said = ("--score", "accuracy", "--folds", "run", "--shared", "stimulus")
    through = made.scores("decode", *said, "--alpha", 100)
    blocks = nd.brain.average_repeats(slice_of, by=("stimulus", "run"))
    decoder = nd.RidgeDecoder(alpha=100.0)
    direct = nd.spatial.decode(blocks, features, decoder, folds="run", shared="stimulus", score="accuracy")
    assert float(through.item()) == pytest.approx(float(direct.mean()), abs=1e-9)


@pytest.mark.recording
def test_eeg_pictures_score_as_without_the_door(tmp_path, shared_data):
    """Through mne's own files, a zarr folder and the commands: the same AUC in every window."""
    import mne
    import pandas as pd

    made = Made.of(tmp_path, ["S1 obj"])
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
    made.prepare("epochs", "--files", tmp_path / "all-epo.fif", "--subject", "all")
    said = ("--score", "auc", "--folds", "person", "--shared", "stimulus", "--width", 0.1, "--step", 0.1)
    through = made.scores("sweep", *said)
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


@pytest.mark.slow
def test_things_meg_recordings(tmp_path):
    concepts, tests, sessions = 24, 8, (1, 2, 3)
    made = Made.of(tmp_path, trees.meg_stimuli(concepts=concepts, tests=tests, sessions=len(sessions)))
    root = tmp_path / "MEG"
    trees.things_meg_raw(root, concepts=concepts, tests=tests, sessions=sessions, runs=1, signal=made.planted)
    which = ("--sessions", *sessions, "--runs", 1, "--window", -0.05, 0.5)
    made.prepare("things-meg-raw", "--root", root, "--subject", 1, *which)
    # What is filtered reaches a little further.
    require_planted_at(made.windows(), 0.1, 0.2, smear=0.05)
