"""How long and how much memory loading the embedded lab takes, in a fresh process each time.

"first" is the first load of all, with an empty cache. In a new environment it also reads the libraries from disk (1 GB)
and, for EEG and MEG, MNE compiles its forward model, once. "empty" is the median of further loads with an empty cache,
"filled" with the cache that they left.

python bench/lab_load.py
python bench/lab_load.py --case fmri full
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator

CASES = (("fmri", "small"), ("eeg", "small"), ("meg", "small"), ("fmri", "full"))
# What the lab promises: seconds and GiB.
LIMITS = {"small": (10.0, 2.0), "full": (60.0, 2.0)}

EMPTY = 3

_MEASURED = """
import json, resource, sys, time
start = time.perf_counter()
from neurodecode.datasets import lab
lab.load(sys.argv[1], size=sys.argv[2])
wall = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"wall": wall, "cpu": used.ru_utime + used.ru_stime, "gib": peak / 2**30}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs=2, metavar=("MODALITY", "SIZE"), help="this one only")
    chosen = parser.parse_args().case
    print(f"{'modality':9}{'size':7}{'cache':7}{'wall s':>8}{'CPU s':>8}{'GiB':>7}  limit")
    for modality, size in [tuple(chosen)] if chosen else CASES:
        seconds, memory = LIMITS[size]
        for state, found in states(modality, size):
            numbers = f"{found['wall']:8.1f}{found['cpu']:8.1f}{found['gib']:7.2f}"
            print(f"{modality:9}{size:7}{state:7}{numbers}  {seconds:g} s, {memory:g} GiB", flush=True)


def states(modality: str, size: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure the first load, then loads with an empty and with a filled cache."""
    with tempfile.TemporaryDirectory() as folder:
        empty = (f"{folder}/{k}" for k in range(EMPTY + 1))
        yield "first", measure(modality, size, cache=next(empty))
        yield "empty", median([measure(modality, size, cache=cache) for cache in empty])
        yield "filled", measure(modality, size, cache=f"{folder}/0")


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def measure(modality: str, size: str, *, cache: str) -> dict[str, float]:
    """Load one recording in a process of its own."""
    command = [sys.executable, "-c", _MEASURED, modality, size]
    environment = os.environ | {"NEURODECODE_CACHE": cache}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
