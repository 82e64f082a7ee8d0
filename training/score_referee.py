"""Score the referee on held-out pictures, and read pictures for the other scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from score_table import Score, mean, proportion

from neurodecode.datasets.lab import icons, pictures, referee

MODEL = "referee"
PICTURES = 4000
CONCEPT_WANTED, CENTRE_WANTED = 0.95, 3.0


@dataclass(frozen=True)
class Reading:
    """What the referee sees in ``n`` pictures; concepts by falling probability."""

    concepts: np.ndarray  # (n, 5)
    colour: np.ndarray
    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    angle: np.ndarray


def read(images: np.ndarray) -> Reading:
    """Judge pictures (n, 64, 64, 3); as :func:`referee.judge`, and the next four concepts besides."""
    found = referee.outputs(images)
    concepts = np.argsort(-found.pop("concept"), axis=1, kind="stable")[:, :5]
    return Reading(concepts, found.pop("colour").argmax(axis=1), **found)


def distance(reading: Reading, scenes: pictures.Scenes) -> np.ndarray:
    """Distance of the centre read from the true one, in % of the picture's width."""
    return 50 * np.hypot(reading.x - scenes.x, reading.y - scenes.y)


def group(concepts: np.ndarray) -> np.ndarray:
    """Position of each concept's group."""
    return np.array([icons.GROUPS.index(icons.group_of(n)) for n in icons.concepts()])[concepts]


def score(folder: Path, *, seed: int, share: float) -> tuple[list[Score], dict]:
    """Score the package's referee; also the pairs of concepts that it confounds most."""
    rng = np.random.default_rng([seed, 3])
    n = len(icons.concepts())
    scenes = pictures.draw(np.arange(max(200, round(PICTURES * share))) % n, rng, combinations="held-out")
    reading = read(pictures.render(scenes))
    named = reading.concepts[:, 0]
    turn = np.abs((reading.angle - scenes.angle + 180) % 360 - 180)
    rows = [
        proportion(MODEL, "concept among 200", named == scenes.concept, chance=1 / n, wanted=CONCEPT_WANTED),
        proportion(MODEL, "colour", reading.colour == scenes.colour, chance=0.1),
        mean(
            MODEL,
            "error of the centre",
            distance(reading, scenes),
            units="% of the width",
            wanted=CENTRE_WANTED,
            lower=True,
        ),
        mean(MODEL, "error of the size", 100 * np.abs(reading.size - scenes.size), units="% of the width"),
        mean(MODEL, "error of the angle", turn, units="degrees"),
    ]
    return rows, {"confounded": confounded(scenes.concept, named)}


def confounded(truth: np.ndarray, named: np.ndarray) -> list[tuple[str, str, int]]:
    """Return the ten commonest pairs (shown, named, how often)."""
    pairs, counts = np.unique(np.stack([truth, named])[:, truth != named], axis=1, return_counts=True)
    names = icons.concepts()
    order = np.argsort(-counts, kind="stable")[:10]
    return [(names[pairs[0, i]], names[pairs[1, i]], int(counts[i])) for i in order]
