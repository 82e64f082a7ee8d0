"""The fuzz campaign without hypothesis: the cases of tests/test_fuzz.py, drawn plainly, some ten times as fast.

    python bench/fuzz.py --seconds 600 --seed 1

Goes round the cases until the time is up and prints how many calls there were, how many were refused in words and
how many answered, and every kind of failure once, with its place. hypothesis (NEURODECODE_FUZZ) shrinks what is found.
"""

from __future__ import annotations

import argparse
import inspect
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import fuzzing, test_fuzz

CHOICES = {
    "seed": range(1000),
    "how": ["k", "name", "ids"],
    "kind": [test_fuzz.nd.RidgeDecoder, test_fuzz.nd.RidgeEncoder],
}
NAMES = {
    "test_scores": ["profile", "pattern", "r2", "pairwise", "auc", "accuracy", "top_k"],
    "test_ceilings": ["ncsnr", "split_half"],
}


class Folders:
    """Where pytest's fixture would make folders."""

    def __init__(self, root: str) -> None:
        self.root = root

    def mktemp(self, name: str) -> Path:
        """Make one."""
        return Path(tempfile.mkdtemp(prefix=name, dir=self.root))


class Draw:
    """Stands in for hypothesis' data(): one draw of the few strategies that tests/fuzzing.py uses."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def draw(self, strategy: Any) -> Any:
        """Draw one value."""
        bare = getattr(strategy, "wrapped_strategy", strategy)
        kind = type(bare).__name__
        if kind == "JustStrategy":
            return bare.value
        if kind == "SampledFromStrategy":
            return self.rng.choice(list(bare.elements))
        if kind == "BooleansStrategy":
            return self.rng.random() < 0.5
        if kind == "OneOfStrategy":
            return self.draw(self.rng.choice(list(bare.original_strategies)))
        if hasattr(bare, "element_strategy"):
            inner = getattr(bare.element_strategy, "wrapped_strategy", bare.element_strategy)
            elements = list(getattr(inner, "elements", None) or [inner.value])
            most = int(min(bare.max_size, len(elements), self.rng.choice([0, 1, 1, 1, 1, 2, 2, 2])))
            return self.rng.sample(elements, most)
        raise TypeError(f"no way to draw from {kind}; add it")


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0, help="of this process' own time")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    cases = {k: v.hypothesis.inner_test for k, v in vars(test_fuzz).items() if k.startswith("test_")}
    failures: Counter[tuple[str, str, int, str]] = Counter()
    with tempfile.TemporaryDirectory() as root:
        while time.process_time() < given.seconds:
            for name, case in cases.items():
                wanted = set(inspect.signature(case).parameters)
                arguments: dict[str, Any] = {"data": Draw(rng)}
                arguments |= {k: rng.choice(v) for k, v in CHOICES.items() if k in wanted}
                if "name" in wanted:
                    arguments["name"] = rng.choice(NAMES[name])
                if "tmp_path_factory" in wanted:
                    arguments["tmp_path_factory"] = Folders(root)
                failed(failures, name, case, arguments)
    tried = fuzzing.TRIED
    print(f"{tried['calls']} calls: {tried['refused']} refused in words, {tried['answered']} answered")
    print(f"{len(failures)} kinds of failures")
    for place, count in failures.most_common():
        print(count, *place)


def failed(
    failures: Counter[tuple[str, str, int, str]], name: str, case: Any, arguments: dict[str, Any]
) -> None:
    """Run one case and count what it finds by its place."""
    try:
        case(**arguments)
    except Exception as error:
        bare = error.__cause__ if str(error).startswith("a bare") and error.__cause__ else error
        frames = traceback.extract_tb(bare.__traceback__)
        ours = [f for f in frames if "/neurodecode/" in f.filename] or frames
        place = (
            name,
            Path(ours[-1].filename).name,
            ours[-1].lineno or 0,
            f"{type(bare).__name__}: {bare}"[:200],
        )
        if place not in failures:
            print(*place, "\n   ", str(error)[:400].replace("\n", " "), flush=True)
        failures[place] += 1


if __name__ == "__main__":
    main()
