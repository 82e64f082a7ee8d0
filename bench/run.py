"""Speed against the libraries that people use today, on problems that both solve to the same numbers.

    make bench                              all comparisons
    python bench/run.py ridge               those whose name contains "ridge"
    python bench/run.py --threads 2         with two threads (BLAS and ours)

Ours and theirs run in turns, so that a busy moment of the machine hits both; the medians are compared. A ratio is
printed only after the two results were found to agree; where they do not, the disagreement is printed instead, and the
command fails. Threads are pinned, to one by default. Everything is generated here, and ratios at other sizes differ.
Leaves a table and a plot, results/bench.csv and results/bench.png: ratios; the share that ours reaches of what this
machine's matrix product does, by the count of docs/speed.md; and the memory that ours takes beside the data.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import measure
import numpy as np
import peers
import xarray as xr
from threadpoolctl import threadpool_limits

import neurodecode as nd
from neurodecode.solve.threads import threads

TURNS = 5
ALPHAS = np.logspace(0, 5, 20)
FOLDS = 5
# Share of targets whose penalty must be the peer's; the others' errors are equal to rounding.
SAME_PENALTIES = 0.999
# Of 29 windows of 1,280 predictors, 800 samples: kernels of 10,240 predictors in all, and a solve each.
WINDOWS_WORK = 800**2 * 10_240 / 2 + 29 * (800**3 / 6 + 800**2 * 40 + 800 * 1280 * 40 + 200 * 1280 * 40)
PACKAGES = ("numpy", "scipy", "scikit-learn", "mne", "himalaya")

Result = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Timed:
    """A result, and the seconds it took where it was made: in another process."""

    result: Result
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Two ways to the same numbers. ``tolerance`` bounds |ours - theirs| relative to the largest |theirs|.

    ``work`` counts the multiplications of ours, as docs/speed.md does, in ``dtype``.
    """

    name: str
    peer: str
    ours: Callable[[], Result]
    theirs: Callable[[], Result | Timed]
    work: float
    dtype: type = np.float32
    tolerance: float = 1e-6
    turns: int = TURNS


def main() -> int:
    args = arguments()
    print(_machine(args.threads))
    failed, rows = False, []
    for make in COMPARISONS:
        if args.wanted not in make.__name__:
            continue
        comparison = make()
        if comparison is None:
            continue
        with threadpool_limits(args.threads):
            found = _run(comparison)
        if isinstance(found, str):
            print(f"{comparison.name}: DISAGREES with {comparison.peer}: {found}", flush=True)
            failed = True
            continue
        rows.append(
            {
                "comparison": comparison.name,
                "peer": comparison.peer,
                "threads": args.threads,
                **found,
                "versions": _machine(args.threads).replace("\n", "; "),
            }
        )
        print(_line(comparison, found), flush=True)
    if rows:
        _write(rows, args.out)
    return int(failed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wanted", nargs="?", default="", help="part of a comparison's name")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results"))
    return parser.parse_args()


def ridge_leave_one_out() -> Comparison:
    """Fit 2,000 targets from 1,500 predictors, 20 penalties, one chosen per target by exact leave-one-out."""
    return _left_out(2000, np.float64)


def ridge_leave_one_out_16000() -> Comparison:
    """The same for 16,000 targets, ours in float32."""
    return _left_out(16_000, np.float32)


def _left_out(q: int, dtype: type) -> Comparison:
    n, p = 1000, 1500
    x, y = _planted(n=n, p=p, q=q)
    own = x.astype(dtype), y.astype(dtype)
    decoder = nd.RidgeDecoder(alpha=ALPHAS, standardise=False)

    def ours() -> Result:
        fitted = decoder.fit(*own)
        return fitted.predict(own[0][:200]), fitted.alpha_

    def theirs() -> Result:
        weights, alphas = peers.sklearn_ridge_cv(x, y, ALPHAS)
        return x[:200] @ weights, alphas

    work = 4 * n**3 + 4 * n**2 * q + n * p * q
    name = f"ridge, leave-one-out per target, {q:,} targets (ours {dtype.__name__})"
    tolerance = 1e-6 if dtype is np.float64 else 2e-5
    return Comparison(name, "scikit-learn RidgeCV", ours, theirs, work, dtype, tolerance, turns=3)


def ridge_folds() -> Comparison | None:
    """Fit 1,000 targets from 1,500 predictors, 20 penalties, one chosen per target by 5 folds."""
    if find_spec("himalaya") is None:
        print("ridge, folds: himalaya is not installed, left out")
        return None
    x, y = _planted(n=1000, p=1500, q=1000)
    decoder = nd.RidgeDecoder(alpha=ALPHAS, standardise=False, folds=FOLDS)

    def ours() -> Result:
        fitted = decoder.fit(x, y)
        return fitted.weights_, fitted.alpha_

    def theirs() -> Result:
        weights, alphas = peers.himalaya_ridge_cv(x, y, ALPHAS, FOLDS)
        return weights, alphas

    work = 5 * (4 * 800**3 + 800 * 1500 * 1000 + 20 * 200 * 800 * 1000) + 4 * 1000**3 + 2500 * 1000 * 1000
    return Comparison(
        "ridge, 5 folds per target", "himalaya RidgeCV", ours, theirs, work, np.float64, turns=3
    )


def ridge_selected_250() -> Comparison | None:
    """Fit 2,000 targets, each from the 250 of 4,000 predictors that correlate most with it."""
    return _selected(250)


def ridge_selected_350() -> Comparison | None:
    """The same from 350."""
    return _selected(350)


def _selected(k: int) -> Comparison | None:
    """Ours in float32, whose predictions must be the peer's; the peer in float64, as it computes by itself."""
    if not peers.has_fastl2lir():
        print(
            f"ridge, {k} selected voxels: no environment with fastl2lir (see bench/fastl2lir_peer.py), left out"
        )
        return None
    x, y = _planted(n=2000, p=4000, q=2000)
    new = np.random.default_rng(1).normal(size=(200, 4000))
    single = [a.astype(np.float32) for a in (x, y, new)]
    decoder = nd.RidgeDecoder(alpha=100.0, n_voxels=k, standardise=False)

    def ours() -> Result:
        return (decoder.fit(*single[:2]).predict(single[2]),)

    def theirs() -> Timed:
        weights, seconds = peers.fastl2lir_weights(x, y, alpha=100.0, n_voxels=k, threads=threads())
        return Timed((new @ weights,), seconds)

    name = f"ridge, {k} selected of 4,000 voxels (ours float32)"
    work = 2000 * 4000 * 2000 + 2000 * 4000**2 / 2 + 2000 * (k**2 / 2 + k**3 / 6)
    return Comparison(name, "fastl2lir", ours, theirs, work, tolerance=2e-5, turns=3)


def windows_sweep() -> Comparison:
    """Decode 40 features from 29 windows of 100 ms (64 channels, 20 samples each), and score them."""
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

    return Comparison(
        "windows, sweep (ours float32)",
        "mne SlidingEstimator (patched for many targets)",
        ours,
        theirs,
        WINDOWS_WORK,
        tolerance=1e-4,
        turns=3,
    )


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

    return Comparison(
        "windows, generalise (ours float32)",
        "mne GeneralizingEstimator (patched)",
        ours,
        theirs,
        WINDOWS_WORK + 29 * 28 * 200 * 1280 * 40,
        tolerance=1e-4,
        turns=3,
    )


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
    n, channels, rate = 1000, 64, 200
    times = np.arange(int(0.8 * rate)) / rate
    names = np.array([f"img_{i:03d}" for i in range(n)])
    y = rng.normal(size=(n, 40))
    course = np.exp(-(((times - 0.3) / 0.1) ** 2))
    values = np.einsum("nf,fc,t->nct", y, rng.normal(size=(40, channels)), course)
    values = (values + 10 * rng.normal(size=values.shape)).astype(np.float32)
    labels = [f"E{i}" for i in range(channels)]
    epochs = nd.brain.meeg(values, sample=names, stimulus=names, channel=labels, time=times)
    train = np.arange(n) < 800
    width, step = int(0.1 * rate), int(0.025 * rate)
    starts = range(0, times.size - width + 1, step)
    cut = np.stack([values[:, :, s : s + width].reshape(n, -1) for s in starts], axis=-1)
    return epochs, nd.brain.features(y, stimulus=names), train, ~train, cut


def _profile(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean over targets of Pearson's r over samples; both are (sample, ..., target)."""
    p, t = predicted - predicted.mean(axis=0), true - true.mean(axis=0)
    return ((p * t).sum(axis=0) / np.sqrt((p**2).sum(axis=0) * (t**2).sum(axis=0))).mean(axis=-1)


def _run(comparison: Comparison) -> dict[str, float] | str:
    """Run both in turns after one untimed call each, which is also the one whose results are compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some targets have their best penalty at the grid's edge
        theirs = comparison.theirs()
        expected = theirs.result if isinstance(theirs, Timed) else theirs
        problem = _disagreement(comparison.ours(), expected, comparison.tolerance)
        if problem:
            return problem
        turns = range(comparison.turns)
        seconds = np.array([[_timed(comparison.ours), _timed(comparison.theirs)] for _ in turns])
        held = measure.allocated(comparison.ours)
    median = np.median(seconds, axis=0)
    peak = comparison.work / median[0] / measure.gemm_rate(comparison.dtype)
    low, high = np.percentile(seconds[:, 1] / seconds[:, 0], [0, 100])
    return {
        "ours": median[0],
        "theirs": median[1],
        "ratio": median[1] / median[0],
        "low": low,
        "high": high,
        "peak": peak,
        "held": held / 2**20,
    }


def _line(comparison: Comparison, found: dict[str, float]) -> str:
    return (
        f"{comparison.name}: {found['ours']:.3f} s, {comparison.peer} {found['theirs']:.3f} s, "
        f"ratio {found['ratio']:.1f} ({found['low']:.1f}-{found['high']:.1f} over {comparison.turns} turns); "
        f"equal to {comparison.tolerance:g}; {found['peak']:.0%} of the peak of a {comparison.dtype.__name__} product, "
        f"{found['held']:.0f} MiB"
    )


def _write(rows: list[dict[str, object]], folder: Path) -> None:
    """Leave a table and a plot of the ratios."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "bench.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with nd.plot.style():
        figure, axes = plt.subplots(
            1,
            3,
            figsize=(7.0, 0.5 * len(rows) + 1.1),
            layout="constrained",
            sharey=True,
            width_ratios=(2, 1, 1),
        )
        ratio = np.array([[r["ratio"], r["low"], r["high"]] for r in rows], dtype=float)
        spread, places = np.abs(ratio[:, 1:] - ratio[:, :1]).T, range(len(rows))
        axes[0].barh(places, ratio[:, 0], xerr=spread, color="#0072B2", error_kw={"lw": 1})
        axes[0].axvline(1, color="0.4", ls="--", lw=1)
        axes[1].barh(places, [100 * r["peak"] for r in rows], color="#009E73")
        axes[2].barh(places, [r["held"] for r in rows], color="#CC79A7")
        axes[0].set_yticks(places, [f"{r['comparison']}\nagainst {r['peer']}" for r in rows], fontsize=5)
        axes[0].invert_yaxis()
        axes[0].set_xlabel("times as fast (line: slowest to\nfastest turn; dashed: equal)", fontsize=6)
        axes[1].set_xlabel("% of this machine's\nmatrix product", fontsize=6)
        axes[2].set_xlabel("memory beside\nthe data (MiB)", fontsize=6)
        figure.suptitle(f"simulated data, {rows[0]['threads']} thread(s)", fontsize=7)
        figure.savefig(folder / "bench.png", dpi=200)
        plt.close(figure)
    print(f"wrote {folder / 'bench.csv'} and {folder / 'bench.png'}")


def _disagreement(ours: Result, theirs: Result, tolerance: float) -> str | None:
    """Say what differs: values of the first result, and of the second, if there is one, the penalties of targets."""
    if len(ours) > 1:
        same = np.isclose(ours[1], theirs[1])
        if same.mean() < SAME_PENALTIES:
            return f"the penalties of {same.mean():.2%} of targets are equal, {SAME_PENALTIES:.1%} are wanted"
        ours, theirs = (ours[0][:, same],), (theirs[0][:, same],)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.shape != b.shape:
            return f"result {i} has shape {a.shape} against {b.shape}"
        worst = float(np.abs(a - b).max() / np.abs(b).max())
        if not worst <= tolerance:
            return f"result {i} differs by {worst:.2g} of its largest value (allowed {tolerance:g})"
    return None


def _timed(call: Callable[[], Result | Timed]) -> float:
    start = time.perf_counter()
    found = call()
    return found.seconds if isinstance(found, Timed) else time.perf_counter() - start


def _machine(threads: int) -> str:
    installed = [p for p in PACKAGES if find_spec(p.replace("scikit-learn", "sklearn"))]
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in installed)
    return (
        f"neurodecode {nd.__version__}, Python {platform.python_version()}, {versions}\n"
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {threads} thread(s) used"
    )


COMPARISONS = (
    ridge_leave_one_out,
    ridge_leave_one_out_16000,
    ridge_folds,
    ridge_selected_250,
    ridge_selected_350,
    windows_sweep,
    windows_generalise,
)

if __name__ == "__main__":
    raise SystemExit(main())
