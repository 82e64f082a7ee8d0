"""Easy pictures first: shapes are learned several times faster from large upright objects in the middle."""

from __future__ import annotations

from dataclasses import replace

from neurodecode.datasets.lab import pictures

LARGE = 0.72


def simpler(scenes: pictures.Scenes, share: float) -> pictures.Scenes:
    """Shrink place, angle and size towards a large upright object in the middle."""
    return replace(
        scenes,
        x=scenes.x * share,
        y=scenes.y * share,
        angle=scenes.angle * share,
        size=LARGE + (scenes.size - LARGE) * share,
        mirror=scenes.mirror & (scenes.seed % 1000 < 1000 * share),
        contrast=scenes.contrast * (0.2 + 0.8 * share),
    )
