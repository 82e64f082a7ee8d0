"""Captions of the lab's pictures, in five wordings; every word is one token, a caption at most 13 of them.

=======  ====================================================================
wording  example
=======  ====================================================================
0        a big red mirrored cat tilted left at the top right on stripes
1        a red cat at the top right
2        a picture of a cat
3        clouds behind a small cat
4        a red animal : a cat
=======  ====================================================================

Wording 0 says all there is to say; the others leave things out, as people do.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .icons import GROUPS, concepts, group_of, novel_concepts
from .pictures import COLOURS, GROUNDS, Scenes

WORDINGS = 5
# Beginning, up to 13 words, end.
TOKENS = 15
_EDGE = 0.14
_SMALL, _BIG = 0.6, 0.7
_TILTED = 8.0
_OTHERS = "a big small mirrored tilted left right at the top bottom middle on picture of behind :"


def words() -> tuple[str, ...]:
    """Return every word that a caption can have, in a fixed order."""
    every = [*_OTHERS.split(), *COLOURS, *GROUNDS, *GROUPS, *concepts(), *novel_concepts()]
    return tuple(dict.fromkeys(every))


def write(scenes: Scenes, wording: int | np.ndarray = 0) -> list[str]:
    """Write one caption a picture, in one wording for all or one each."""
    return [
        _WRITERS[w](p) for w, p in zip(np.broadcast_to(wording, len(scenes)), _parts(scenes), strict=True)
    ]


def _parts(scenes: Scenes) -> list[dict[str, str]]:
    colour, names = list(COLOURS), _names()
    return [
        {
            "what": names[c][0],
            "group": names[c][1],
            "colour": colour[k],
            "size": "small" if s < _SMALL else "big" if s > _BIG else "",
            "mirror": "mirrored" if m else "",
            "tilt": "tilted left" if a > _TILTED else "tilted right" if a < -_TILTED else "",
            "place": place_words(x, y),
            "ground": GROUNDS[g],
        }
        for c, k, s, m, a, x, y, g in zip(
            scenes.concept,
            scenes.colour,
            scenes.size,
            scenes.mirror,
            scenes.angle,
            scenes.x,
            scenes.y,
            scenes.ground,
            strict=True,
        )
    ]


def place_words(x: float, y: float) -> str:
    """Name one of nine places: "top left", "left", "middle" ..."""
    row = "top" if y > _EDGE else "bottom" if y < -_EDGE else ""
    column = "right" if x > _EDGE else "left" if x < -_EDGE else ""
    return " ".join(w for w in (row, column) if w) or "middle"


@cache
def _names() -> tuple[tuple[str, str], ...]:
    return tuple((name, group_of(name)) for name in concepts() + novel_concepts())


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


_WRITERS = (
    lambda p: _join(
        "a",
        p["size"],
        p["colour"],
        p["mirror"],
        p["what"],
        p["tilt"],
        "at the",
        p["place"],
        "on",
        p["ground"],
    ),
    lambda p: _join("a", p["colour"], p["what"], "at the", p["place"]),
    lambda p: _join("a picture of a", p["what"]),
    lambda p: _join(p["ground"], "behind a", p["size"], p["what"]),
    lambda p: _join("a", p["colour"], p["group"], ": a", p["what"]),
)
