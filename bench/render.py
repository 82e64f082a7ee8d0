"""How long the lab takes to draw 10,000 pictures of 64 x 64; a minute or less is wanted.

python bench/render.py
"""

from __future__ import annotations

import sys
import time

import numpy as np

from neurodecode.datasets.lab import icons, pictures

N, BATCH, LIMIT = 10_000, 500, 60.0


def main() -> int:
    start = time.perf_counter()
    icons.silhouettes()
    read = time.perf_counter() - start
    rng = np.random.default_rng(0)
    scenes = pictures.draw(rng.integers(0, len(icons.concepts()), N), rng)
    for first in range(0, N, BATCH):
        pictures.render(scenes.take(slice(first, first + BATCH)))
    seconds = time.perf_counter() - start
    print(
        f"{N:,} pictures in {seconds:.1f} s, of which {read:.1f} s for the icons; wanted: {LIMIT:g} s or less"
    )
    return int(seconds > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
