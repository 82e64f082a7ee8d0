"""Speed against the libraries that people use today, on problems that both solve to the same numbers.

    make bench                 all comparisons
    python bench/run.py ridge  those whose name contains "ridge"

Ours and theirs run in turns, so that a busy moment of the machine hits both; the medians are compared. A ratio is
printed only after the two results were found to agree; where they do not, the disagreement is printed instead, and the
command fails. Threads are pinned to one. Everything is generated here: sizes are small enough for a laptop, and ratios
at other sizes differ.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

import numpy as np
import peers
import xarray as xr
from threadpoolctl import threadpool_limits

import neurodecode as nd

TURNS = 5
ALPHAS = np.logspace(0, 6, 13)
PACKAGES = ("numpy", "scipy", "scikit-learn", "mne", "himalaya", "fastl2lir")

Result = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Comparison:
    """Two ways to the same numbers. ``tolerance`` bounds |ours - theirs| relative to the largest |theirs|."""

    name: str
    peer: str
    ours: Callable[[], Result]
    theirs: Callable[[], Result]
    tolerance: float = 1e-6


def main(wanted: str = "") -> int:
    print(_machine())
    failed = False
    for make in (ridge_leave_one_out, ridge_selected_voxels, windows_sweep, windows_generalise):
        if wanted not in make.__name__:
            continue
        comparison = make()
        if comparison is None:
            continue
        with threadpool_limits(1):
            line, agree = _run(comparison)
        print(line, flush=True)
        failed |= not agree
    return int(failed)


def ridge_leave_one_out() -> Comparison:
    """Fit 300 targets from 600 predictors, 13 penalties, one chosen per target by exact leave-one-out."""
    x, y = _planted(n=500, p=600, q=300)
    decoder = nd.RidgeDecoder(alpha=ALPHAS, standardise=False)

    def ours() -> Result:
        fitted = decoder.fit(x, y)
        return fitted.weights_, np.log(fitted.alpha_)

    def theirs() -> Result:
        weights, alphas = peers.sklearn_ridge_cv(x, y, ALPHAS)
        return weights, np.log(alphas)

    return Comparison("ridge, leave-one-out per target", "scikit-learn RidgeCV", ours, theirs)


def ridge_selected_voxels() -> Comparison | None:
    """Fit 400 targets, each from the 100 of 1,500 predictors that correlate most with it."""
    if find_spec("fastl2lir") is None:
        print("ridge, selected voxels: fastl2lir is not installed, left out")
        return None
    x, y = _planted(n=400, p=1500, q=400)
    decoder = nd.RidgeDecoder(alpha=100.0, n_voxels=100, standardise=False, intercept="penalised")
    return Comparison(
        "ridge, selected voxels",
        "fastl2lir",
        lambda: (decoder.fit(x, y).weights_,),
        lambda: (peers.fastl2lir_weights(x, y, 100.0, 100),),
    )


def windows_sweep() -> Comparison:
    """Decode 40 features from 29 windows of 100 ms (64 channels, 10 samples each), and score them."""
    epochs, features, train, test, cut = _epochs()
    y = features.sel(stimulus=epochs.stimulus).values
    decoder = nd.RidgeDecoder(alpha=1e3)

    def ours() -> Result:
        sweep = nd.temporal.sweep(
            epochs, features, decoder, width=0.1, step=0.025, train=train, test=test, score="profile"
        )
        return (np.squeeze(sweep.values),)

    def theirs() -> Result:
        predicted = peers.sliding(cut[train], y[train], cut[test], 1e3)
        return (_profile(predicted, y[test][:, None]),)

    return Comparison("windows, sweep", "mne SlidingEstimator (patched for many targets)", ours, theirs)


def windows_generalise() -> Comparison:
    """Train in each of the windows of the sweep and test in all of them."""
    epochs, features, train, test, cut = _epochs()
    y = features.sel(stimulus=epochs.stimulus).values
    decoder = nd.RidgeDecoder(alpha=1e3)
    settings = {"width": 0.1, "step": 0.025, "train": train, "test": test, "score": "profile"}

    def ours() -> Result:
        return (np.squeeze(nd.temporal.generalise(epochs, features, decoder, **settings).values),)

    def theirs() -> Result:
        predicted = peers.generalising(cut[train], y[train], cut[test], 1e3)
        return (_profile(predicted, y[test][:, None, None]),)

    return Comparison("windows, generalise", "mne GeneralizingEstimator (patched)", ours, theirs)


def _planted(*, n: int, p: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictors (n, p) and targets (n, q) that depend on them, with as much noise as signal; centred."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    y = x @ rng.normal(size=(p, q)) / np.sqrt(p)
    y += rng.normal(size=y.shape) * np.linspace(0.2, 3.0, q)
    return x - x.mean(axis=0), y - y.mean(axis=0)


def _epochs() -> tuple[xr.DataArray, xr.DataArray, np.ndarray, np.ndarray, np.ndarray]:
    """Epochs at 200 Hz, features, masks of training and test samples, and the windows cut out for the peers."""
    rng = np.random.default_rng(0)
    n, channels, rate = 500, 64, 200
    times = np.arange(int(0.8 * rate)) / rate
    names = np.array([f"img_{i:03d}" for i in range(n)])
    y = rng.normal(size=(n, 40))
    course = np.exp(-(((times - 0.3) / 0.1) ** 2))
    values = np.einsum("nf,fc,t->nct", y, rng.normal(size=(40, channels)), course)
    values += 10 * rng.normal(size=values.shape)
    labels = [f"E{i}" for i in range(channels)]
    epochs = nd.brain.meeg(values, sample=names, stimulus=names, channel=labels, time=times)
    train = np.arange(n) < 400
    width, step = int(0.1 * rate), int(0.025 * rate)
    starts = range(0, times.size - width + 1, step)
    cut = np.stack([values[:, :, s : s + width].reshape(n, -1) for s in starts], axis=-1)
    return epochs, nd.brain.features(y, stimulus=names), train, ~train, cut


def _profile(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean over targets of Pearson's r over samples; both are (sample, ..., target)."""
    p, t = predicted - predicted.mean(axis=0), true - true.mean(axis=0)
    return ((p * t).sum(axis=0) / np.sqrt((p**2).sum(axis=0) * (t**2).sum(axis=0))).mean(axis=-1)


def _run(comparison: Comparison) -> tuple[str, bool]:
    """Run both in turns after one untimed call each, which is also the one whose results are compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some targets have their best penalty at the grid's edge
        problem = _disagreement(comparison.ours(), comparison.theirs(), comparison.tolerance)
        if problem:
            return f"{comparison.name}: DISAGREES with {comparison.peer}: {problem}", False
        seconds = np.array([[_timed(comparison.ours), _timed(comparison.theirs)] for _ in range(TURNS)])
    ours, theirs = np.median(seconds, axis=0)
    low, high = np.percentile(seconds[:, 1] / seconds[:, 0], [0, 100])
    return (
        f"{comparison.name}: {ours:.3f} s, {comparison.peer} {theirs:.3f} s, ratio {theirs / ours:.1f} "
        f"({low:.1f}-{high:.1f} over {TURNS} turns); equal to {comparison.tolerance:g}"
    ), True


def _disagreement(ours: Result, theirs: Result, tolerance: float) -> str | None:
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.shape != b.shape:
            return f"result {i} has shape {a.shape} against {b.shape}"
        worst = float(np.abs(a - b).max() / np.abs(b).max())
        if not worst <= tolerance:
            return f"result {i} differs by {worst:.2g} of its largest value (allowed {tolerance:g})"
    return None


def _timed(call: Callable[[], Result]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _machine() -> str:
    installed = [p for p in PACKAGES if find_spec(p.replace("scikit-learn", "sklearn"))]
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in installed)
    return (
        f"neurodecode {nd.__version__}, Python {platform.python_version()}, {versions}\n"
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, one thread used"
    )


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
