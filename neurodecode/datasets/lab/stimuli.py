"""What the simulated subjects see: pictures of known content, split by image or by concept, with captions.

Nothing here is drawn twice: a picture follows from its row of the scenes, the scenes from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ... import brain
from . import captions, icons, pictures
from .pictures import Scenes

# Of the known concepts, so many of every group are kept for testing where the split is by concept.
HELD_OUT_PER_GROUP = 4
_BLOCK = 512


@dataclass(frozen=True)
class Stimuli:
    """Simulated stimuli, in the order of the rows.

    Attributes
    ----------
    scenes : Scenes
        All there is to know about each picture.
    table : Dataset (stimulus)
        ``concept``, ``group``, ``split``; of the object ``object_x`` and ``object_y`` (centre, -1 to 1, rightwards
        and upwards from the middle), ``object_size`` (longest side, share of the picture's), ``object_angle`` (degrees
        anticlockwise), ``object_mirror`` (bool), ``object_colour``; ``ground``.
    """

    scenes: Scenes
    table: xr.Dataset

    def __len__(self) -> int:
        return len(self.scenes)


def by_image(*, train: int, test: int, seed: int) -> Stimuli:
    """Make stimuli split by image, as in NSD: every known concept may occur in training and test."""
    rng = np.random.default_rng([seed, 1])
    concept = np.concatenate([_cycle(n, np.arange(len(icons.concepts())), rng) for n in (train, test)])
    return _make(concept, np.repeat(["train", "test"], [train, test]), rng)


def by_concept(*, train: int, test: int, seed: int) -> Stimuli:
    """Make stimuli split by concept, as in THINGS: no test concept occurs in training; at most 40 for testing.

    Raises
    ------
    ValueError
        If ``test`` is above the number of held-out concepts.
    """
    held_out = held_out_concepts(seed)
    if test > len(held_out):
        raise ValueError(
            f"{test} test images asked for, but there are {len(held_out)} held-out concepts, one image each"
        )
    rng = np.random.default_rng([seed, 2])
    known = np.setdiff1d(np.arange(len(icons.concepts())), held_out)
    concept = np.concatenate([_cycle(train, known, rng), held_out[:test]])
    return _make(concept, np.repeat(["train", "test"], [train, test]), rng)


def held_out_concepts(seed: int) -> np.ndarray:
    """Choose the concepts (40) that a split by concept tests on: four of every group, in random order.

    The lab's models know them; it is the simulated subject's training that lacks them.
    """
    rng = np.random.default_rng([seed, 3])
    members = rng.permuted(np.arange(len(icons.concepts())).reshape(len(icons.GROUPS), -1), axis=1)
    return rng.permutation(members[:, :HELD_OUT_PER_GROUP].ravel())


def draw_images(made: Stimuli) -> xr.DataArray:
    """Render the pictures: (stimulus, row, column, colour), 0 to 1."""
    blocks = [
        pictures.render(made.scenes.take(slice(start, start + _BLOCK)))
        for start in range(0, len(made), _BLOCK)
    ]
    array = brain.images(np.concatenate(blocks), stimulus=made.table["stimulus"].values)
    return array.assign_attrs(origin="simulated")


def write_captions(made: Stimuli) -> xr.DataArray:
    """Describe every picture in five wordings: (stimulus, wording) of str."""
    columns = [captions.write(made.scenes, wording) for wording in range(captions.WORDINGS)]
    return xr.DataArray(
        np.array(columns).T,
        dims=("stimulus", "wording"),
        coords={"stimulus": made.table["stimulus"].values, "wording": np.arange(captions.WORDINGS)},
        attrs={"origin": "simulated"},
    )


def _cycle(n: int, concepts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` concepts as evenly as possible, in random order."""
    return rng.permutation(np.resize(rng.permutation(concepts), n))


def _make(concept: np.ndarray, split: np.ndarray, rng: np.random.Generator) -> Stimuli:
    scenes = pictures.draw(concept, rng)
    names = np.array(icons.concepts())
    group = {name: icons.group_of(name) for name in names.tolist()}
    columns = {
        "concept": names[concept],
        "group": np.array([group[name] for name in names[concept].tolist()]),
        "object_x": scenes.x,
        "object_y": scenes.y,
        "object_size": scenes.size,
        "object_angle": scenes.angle,
        "object_mirror": scenes.mirror,
        "object_colour": np.array(list(pictures.COLOURS))[scenes.colour],
        "ground": np.array(pictures.GROUNDS)[scenes.ground],
        "split": split,
    }
    stimulus = np.array([f"{s}-{i:05d}" for i, s in enumerate(split.tolist())])
    table = xr.Dataset({k: ("stimulus", v) for k, v in columns.items()}, {"stimulus": stimulus})
    return Stimuli(scenes, table.assign_attrs(origin="simulated"))
