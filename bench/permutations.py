"""What 1,000 permutations of a sweep cost beside one sweep: the aim is at most 30 times as much.

    python bench/permutations.py                    one thread, about six minutes
    python bench/permutations.py --quick            fewer permutations of each, extrapolated
    python bench/permutations.py stimuli top1       one layout and score

Everything is simulated: 4,000 trials x 17 channels x 100 samples at 100 Hz in float32, 512 features, 37 windows of
100 ms every 25 ms. Two layouts, said with each line: "stimuli", 900 training stimuli x 4 repeats and 100 test stimuli
x 4 repeats, as recordings have them; and "trials", 3,600 and 400 that were shown once, where no repeats can be summed
and 400 candidates compete. nd.temporal.sweep_null is timed against nd.temporal.sweep in turns, in one process. So is,
for a few permutations, the plain loop (nd.inference.null of the sweep), whose figure for 1,000 is extrapolated; both
must give the same numbers. Exits with 1 if the ratio that is aimed at is not reached or numbers differ.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

import neurodecode as nd

N, WANTED = 1000, 30
TRIALS, CHANNELS, TIMES, TARGETS = 4000, 17, 100, 512
LAYOUTS = {"stimuli": 4, "trials": 1}
PLAIN, TURNS = 4, 3
# Orders of scores that need predictions, of layouts without repeats, and in --quick; more are extrapolated.
FEWER, QUICK = 100, 100
SETTINGS = {"decoder": nd.RidgeDecoder(1e3), "width": 0.100, "step": 0.025}
CASES = (
    ("stimuli", "top1", True),
    ("stimuli", "pairwise", True),
    ("stimuli", "top1", False),
    ("stimuli", "profile", True),
    ("trials", "top1", True),
)

Result = TypeVar("Result")


def main() -> int:
    args = arguments()
    wrong = 0
    with threadpool_limits(args.threads):
        print(f"{platform.machine()}, {os.cpu_count()} cores, {args.threads} thread(s); simulated, {_said()}")
        for layout, score, refit in args.cases:
            wrong += not measured(layout, score, refit=refit, quick=args.quick)
    return int(wrong > 0)


def measured(layout: str, score: str, *, refit: bool, quick: bool) -> bool:
    """Time one case, print a line, and say whether it is as it should be."""
    epochs, features = simulated(LAYOUTS[layout])
    n = QUICK if quick else N if score != "profile" and layout == "stimuli" else FEWER
    sweep = partial(nd.temporal.sweep, score=score, **SETTINGS)
    null = partial(nd.temporal.sweep_null, epochs, features, score=score, refit=refit, **SETTINGS)
    null(n=2), sweep(epochs, features)  # compiled and warm
    once, many = [], []
    for _ in range(1 if quick else TURNS):
        once.append(_timed(partial(sweep, epochs, features))[0])
        seconds, found = _timed(partial(null, n=n))
        few = _timed(partial(null, n=2))[0]
        # What is done once is not extrapolated.
        many.append(few + (seconds - few) * (N - 2) / (n - 2))
    one, thousand = np.median(once), np.median(many)
    plain, same = "", True
    if refit:
        loop, expected = _timed(partial(nd.inference.null, sweep, epochs, features, n=PLAIN, batch=PLAIN))
        singly = _timed(partial(nd.inference.null, sweep, epochs, features, n=PLAIN))[0]
        apart = np.abs(null(n=PLAIN).values - expected.values)
        same = bool(apart.max() < 5e-3 and np.mean(apart > 1e-4) < 0.05)
        by_itself, together = singly / PLAIN * N, loop / PLAIN * N
        plain = (
            f"; plain loop {by_itself:.0f} s, or with all {PLAIN} in one call {together:.0f} s (extrapolated from "
            f"{PLAIN}): {by_itself / thousand:.0f} and {together / thousand:.0f} times as long; largest difference "
            f"{apart.max():.1g}, {np.mean(apart > 1e-4):.1%} of scores differ by more than 1e-4"
        )
    aimed = layout == "stimuli" and score == "top1" and refit
    name = f"{layout}, {score}{'' if refit else ', decoders kept'}"
    print(
        f"{name}: one sweep {one:.2f} s, {N} permutations {thousand:.1f} s"
        f"{f' (extrapolated from {n})' if n < N else ''}: {thousand / one:.1f} times"
        f"{f' ({WANTED} wanted)' if aimed else ''}{plain}",
        flush=True,
    )
    return same and not (aimed and thousand / one > WANTED)


def simulated(repeats: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Epochs in which features show from 0.3 to 0.5 s, each stimulus so many times, and the features."""
    rng = np.random.default_rng(0)
    count = TRIALS // repeats
    rows, names = np.repeat(np.arange(count), repeats), np.array([f"img_{i:04d}" for i in range(count)])
    y = rng.standard_normal((count, TARGETS), dtype=np.float32)
    values = rng.standard_normal((TRIALS, CHANNELS, TIMES), dtype=np.float32)
    mix = rng.standard_normal((TARGETS, CHANNELS), dtype=np.float32) / 30
    values[:, :, 30:50] += (y @ mix)[rows][:, :, None]
    epochs = nd.brain.meeg(
        values,
        sample=np.arange(TRIALS),
        stimulus=names[rows],
        channel=[f"E{i}" for i in range(CHANNELS)],
        time=np.arange(TIMES) / 100,
        split=np.where(rows < 0.9 * count, "train", "test"),
    )
    return epochs, nd.brain.features(y, stimulus=names)


def _said() -> str:
    return f"{TRIALS:,} trials x {CHANNELS} channels x {TIMES} samples, {TARGETS} targets, 37 windows"


def _timed(call: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="a layout (stimuli, trials), a score, or both")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.cases = [case for case in CASES if {*case[:2]} >= {*args.only}]
    if not args.cases:
        there = ", ".join(dict.fromkeys(f"{layout} {score}" for layout, score, _ in CASES))
        parser.error(f"there is no case {' '.join(args.only)}; there are {there}")
    return args


if __name__ == "__main__":
    raise SystemExit(main())
