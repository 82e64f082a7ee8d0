"""One small folder of every dataset with an effect planted in it, and the commands that find it.

    python -m tests.trees.planted nsd somewhere
    python -m tests.trees.planted all somewhere

Features "c" of the pictures are mixed into some voxels, or into the responses at some times; features "other" are not.
All numbers are simulated. Prints what to run: prepare, decode or sweep, figure.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import neurodecode as nd
from tests import trees

PLANTED, OTHER = 4, 4


@dataclass(frozen=True)
class Commands:
    """What follows the folders: options of ``prepare``, and of what scores it; times in seconds, or the region."""

    folder: Path
    dataset: str
    prepare: tuple[object, ...]
    score: tuple[object, ...]
    where: str | tuple[float, float]

    @property
    def all(self) -> list[list[str]]:
        """The three commands, without ``neurodecode``."""
        out, score = self.folder / "sub.zarr", self.folder / "score.nc"
        files = ("--responses", out, "--features", self.folder / "features.nc", "--alpha", 10, "--out", score)
        lines = (
            ("prepare", self.dataset, *self.prepare, "--out", out),
            (*self.score, *files),
            ("figure", score, "--out", self.folder),
        )
        return [[str(word) for word in line] for line in lines]


def features(folder: Path, names: list[str]) -> np.ndarray:
    """Write features.nc of these stimuli; return those that are planted (stimulus, feature)."""
    values = np.random.default_rng(5).normal(size=(len(names), PLANTED + OTHER))
    layers = ["c"] * PLANTED + ["other"] * OTHER
    nd.save(nd.brain.features(values, stimulus=names, layer=layers), folder / "features.nc", overwrite=True)
    return values[:, :PLANTED]


DECODE = ("decode", "--score", "profile")
SWEEP = ("sweep", "--score", "profile", "--width", 0.05, "--step", 0.05)


def nsd(folder: Path) -> Commands:
    """In V1."""
    order, pictures = trees.nsd_design(folder / "NSD")
    shown = np.unique(pictures[0][order[:1500] - 1] - 1)
    planted = dict(zip(shown.tolist(), features(folder, [f"nsd_{i:05d}" for i in shown]), strict=True))
    trees.nsd(folder / "NSD", signal=lambda i: planted[i], region="V1")
    said = ("--root", folder / "NSD", "--subject", 1, "--validation", 0.1)
    return Commands(folder, "nsd", said, DECODE, "V1")


def things_eeg(folder: Path) -> Commands:
    """In the raw recordings, 100 to 200 ms after onset."""
    concepts, each = (20, 16), 2
    planted = features(folder, things_names(concepts, each))
    trees.things_eeg_raw(folder / "THINGS-EEG2", concepts=concepts, each=each, signal=planted)
    said = ("--root", folder / "THINGS-EEG2", "--subject", 1, "--channels", "posterior")
    held_out = ("--validation", 0.1, "--validation-by", "concept")
    return Commands(folder, "things-eeg", (*said, *held_out), SWEEP, (0.1, 0.2))


def things_eeg_published(folder: Path) -> Commands:
    """In the authors' epochs, 100 to 200 ms after onset."""
    concepts, each = (20, 16), 2
    planted = features(folder, things_names(concepts, each))
    trees.things_eeg(folder / "THINGS-EEG2", concepts=concepts, each=each, times=100, signal=planted)
    said = ("--root", folder / "THINGS-EEG2", "--subject", 1)
    return Commands(folder, "things-eeg-published", said, SWEEP, (0.1, 0.2))


def things_meg(folder: Path) -> Commands:
    """In the authors' epochs, in occipital sensors, 100 to 200 ms after onset."""
    sizes = {"concepts": 40, "tests": 16, "sessions": 4}
    planted = features(folder, trees.meg_stimuli(**sizes))
    trees.things_meg(folder / "ds004212", **sizes, signal=planted)
    sensors = [f"MLO{i}-1609" for i in (11, 12, 13, 14)] + [f"MRO{i}-1609" for i in (12, 13)]
    said = ("--root", folder / "ds004212", "--subject", 1, "--channels", *sensors)
    return Commands(folder, "things-meg", said, SWEEP, (0.1, 0.2))


def things_meg_raw(folder: Path) -> Commands:
    """In CTF recordings, 100 to 200 ms after onset."""
    concepts, tests, sessions = 24, 8, (1, 2, 3)
    planted = features(folder, trees.meg_stimuli(concepts=concepts, tests=tests, sessions=len(sessions)))
    root = folder / "ds004212"
    trees.things_meg_raw(root, concepts=concepts, tests=tests, sessions=sessions, runs=1, signal=planted)
    which = ("--sessions", *sessions, "--runs", 1, "--window", -0.05, 0.5)
    return Commands(folder, "things-meg-raw", ("--root", root, "--subject", 1, *which), SWEEP, (0.1, 0.2))


def kamitani(folder: Path) -> Commands:
    """In V1."""
    planted = features(folder, trees.kamitani_names(60))
    trees.god(folder, train=40, test=20, signal=planted)
    return Commands(
        folder, "kamitani", ("--files", folder / "Subject1.h5"), (*DECODE, "--regions", "V1", "V2"), "V1"
    )


def haxby(folder: Path) -> Commands:
    """In the ventral temporal mask; the features are the categories."""
    planted = features(folder, list(trees.HAXBY_CATEGORIES))
    trees.haxby_nilearn(folder, runs=6, signal=3 * planted)
    nd.save(nd.brain.one_hot(trees.HAXBY_CATEGORIES), folder / "features.nc", overwrite=True)
    score = ("decode", "--score", "accuracy", "--folds", "run", "--shared", "stimulus")
    return Commands(folder, "haxby", ("--root", folder, "--subject", 2, "--blocks"), score, "vt")


def bids_fmri(folder: Path) -> Commands:
    """In the first two planes of the volume."""
    planted = features(folder, [f"images/picture-{i:02d}.png" for i in range(40)])
    trees.bids_fmri(folder / "bids", sessions=("a",), runs=3, signal=4 * planted)
    planes = np.ones(trees.BIDS_GRID, np.int16)
    planes[2:] = 2
    trees.bids_volume(folder / "atlas.nii.gz", planes)
    atlas = ("--atlas", folder / "atlas.nii.gz", "--region", 1, "seen", "--region", 2, "unseen")
    said = ("--root", folder / "bids", "--subject", "01", "--task", "pictures", *atlas, "--average", "all")
    return Commands(folder, "bids-fmri", said, (*DECODE, "--folds", 5), "seen")


def bids_meeg(folder: Path) -> Commands:
    """In two of four channels, 100 to 300 ms after onset."""
    planted = features(folder, [f"picture-{i:02d}" for i in range(40)])
    trees.bids_meeg(folder / "bids", each=4, signal=3 * planted)
    said = ("--root", folder / "bids", "--subject", "01", "--task", "pictures", "--stimulus", "stim_id")
    cut = ("--average", "all", "--window", -0.2, 0.6)
    return Commands(folder, "bids-meeg", (*said, *cut), (*SWEEP, "--folds", 5), (0.1, 0.3))


def things_names(concepts: tuple[int, int], each: int) -> list[str]:
    """Pictures of training, then of test."""
    names = trees.things_concepts(sum(concepts))
    train = [f"{name}_{k + 1:02d}b" for name in names[: concepts[0]] for k in range(each)]
    return train + [f"{name}_01b" for name in names[concepts[0] :]]


BUILDERS: dict[str, Callable[[Path], Commands]] = {
    "nsd": nsd,
    "things-eeg": things_eeg,
    "things-eeg-published": things_eeg_published,
    "things-meg": things_meg,
    "things-meg-raw": things_meg_raw,
    "kamitani": kamitani,
    "haxby": haxby,
    "bids-fmri": bids_fmri,
    "bids-meeg": bids_meeg,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=[*BUILDERS, "all"])
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    for name in BUILDERS if args.dataset == "all" else [args.dataset]:
        folder = args.folder / name
        folder.mkdir(parents=True)
        for words in BUILDERS[name](folder).all:
            print(shlex.join(["neurodecode", *words]))


if __name__ == "__main__":
    main()
