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


def require_planted_at(score, first: float, last: float) -> None:
    """ "c" is decoded in windows within first to last alone, "other" nowhere."""
    inside = (score.start.values > first - 1e-6) & (score.stop.values < last + 0.011)
    outside = (score.stop.values < first + 1e-6) | (score.start.values > last + 0.004)
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
