"""Growth of time and memory, against what docs/speed.md and the estimates say.

    python bench/growth.py                  all curves, one thread
    python bench/growth.py selected         those whose name contains "selected"

One size at a time is varied and the rest is held. The formula counts multiplications; the line in each panel is that
count over the rate seen at the largest size, so that only growth is compared. Every time is the median of three runs.
Memory is measured in a process of its own: its peak during the call less what it held before, over the estimate that
the call itself looks at before it starts. Everything is simulated. Leaves results/growth.csv and results/growth.png.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import measure
import numpy as np
from threadpoolctl import threadpool_limits

import neurodecode as nd
from neurodecode.crossval import tasks
from neurodecode.solve import Settings, fit_ridge
from neurodecode.solve.fit import TARGETS
from neurodecode.solve.room import bytes_on_all, bytes_on_selected
from neurodecode.temporal.shared import Span, task_bytes

REPEATS = 3
PENALTIES = np.logspace(0, 5, 20)
RATE = 200  # Hz
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
AXES = {
    "n": "samples n",
    "p": "predictors p",
    "q": "targets q",
    "k": "selected predictors K",
    "windows": "windows w",
}


@dataclass(frozen=True)
class Size:
    """Of one problem: samples, predictors (channels for windows), targets, selected ones, windows."""

    n: int = 2000
    p: int = 1000
    q: int = 1000
    k: int = 200
    windows: int = 20


@dataclass(frozen=True)
class Way:
    """A way to fit: what runs it, how many multiplications it says it takes, and how many bytes."""

    name: str
    run: Callable[[Size], Callable[[], object]]
    multiplications: Callable[[Size], float]
    bytes: Callable[[Size], int]
    base: Size
    varied: dict[str, tuple[int, ...]]


def data(s: Size) -> tuple[np.ndarray, np.ndarray]:
    """Simulated predictors and targets, float32."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((s.n, s.p), dtype=np.float32)
    y = rng.standard_normal((s.n, s.q), dtype=np.float32)
    y[:, : min(s.p, s.q)] += x[:, : min(s.p, s.q)]
    return x, y


def fit(settings: Callable[[Size], Settings]) -> Callable[[Size], Callable[[], object]]:
    """Return what makes a call that fits."""

    def made(s: Size) -> Callable[[], object]:
        x, y = data(s)
        return lambda: fit_ridge(x, y, settings(s))

    return made


WIDTH, STEP = 20, 5  # time samples of a window, and between windows


def epochs(s: Size) -> tuple:
    """Simulated epochs, features and windows."""
    rng = np.random.default_rng(0)
    times = WIDTH + STEP * (s.windows - 1)
    names = [f"img_{i:05d}" for i in range(s.n)]
    values = rng.standard_normal((s.n, s.p, times), dtype=np.float32)
    channels = [f"E{i}" for i in range(s.p)]
    made = nd.brain.meeg(values, sample=names, stimulus=names, channel=channels, time=np.arange(times) / RATE)
    return made, nd.brain.features(rng.standard_normal((s.n, s.q), dtype=np.float32), stimulus=names)


def sweep(s: Size) -> Callable[[], object]:
    """Return a call that sweeps, four fifths of the samples trained on."""
    made, features = epochs(s)
    train = np.arange(s.n) < 0.8 * s.n
    settings = {
        "width": WIDTH / RATE,
        "step": STEP / RATE,
        "train": train,
        "test": ~train,
        "score": "profile",
    }
    return lambda: nd.temporal.sweep(made, features, nd.RidgeDecoder(1e3), **settings)


def sweep_multiplications(s: Size) -> float:
    """W (n m new + m^3 / 6 + m^2 q), or the kernels of the pieces."""
    n, m, new = 0.8 * s.n, WIDTH * s.p, STEP * s.p
    if m <= n:
        return s.windows * (n * m * new + m**3 / 6 + m**2 * s.q)
    every = s.p * (WIDTH + STEP * (s.windows - 1))
    return n**2 * every / 2 + s.windows * (n**3 / 6 + n**2 * s.q + n * m * s.q)


def sweep_bytes(s: Size) -> int:
    """What sweep looks at before it starts."""
    made, features = epochs(s)
    train = np.arange(s.n) < 0.8 * s.n
    [task] = tasks(made, features, nd.RidgeDecoder(1e3), train=train, test=~train)
    return task_bytes(task, [Span(i * STEP, i * STEP + WIDTH) for i in range(s.windows)])


def on_all(s: Size, *, eigenvectors: bool) -> int:
    return bytes_on_all((s.n, s.p), s.q, itemsize=4, targets=TARGETS, eigenvectors=eigenvectors)


WAYS = (
    Way(
        "one penalty",
        fit(lambda s: Settings(alphas=np.array([100.0]))),
        lambda s: s.n * s.p**2 / 2 + s.p**3 / 6 + s.p**2 * s.q + s.n * s.p * s.q,
        lambda s: on_all(s, eigenvectors=False),
        Size(n=4000),
        {"n": (2000, 4000, 8000, 16000), "p": (500, 1000, 2000, 4000), "q": (1000, 2000, 4000, 8000)},
    ),
    Way(
        "leave-one-out, 20 penalties",
        fit(lambda s: Settings(alphas=PENALTIES)),
        lambda s: 4 * min(s.n, s.p) ** 3 + 4 * s.n**2 * s.q + s.n * s.p * s.q,
        lambda s: on_all(s, eigenvectors=True),
        Size(n=1000, p=1500, q=2000),
        {"n": (500, 1000, 2000), "p": (1500, 3000, 6000), "q": (1000, 2000, 4000, 8000)},
    ),
    Way(
        "selected",
        fit(lambda s: Settings(alphas=np.array([100.0]), k=s.k)),
        lambda s: s.n * s.p * s.q + s.n * s.p**2 / 2 + s.q * (s.k**2 / 2 + s.k**3 / 6),
        lambda s: bytes_on_selected((s.n, s.p), s.q, s.k, itemsize=4, targets=TARGETS, penalties=1),
        Size(p=4000, k=250, q=2000),
        {
            "n": (1000, 2000, 4000, 8000),
            "p": (2000, 4000, 8000),
            "q": (1000, 2000, 4000, 8000),
            "k": (125, 250, 500, 1000),
        },
    ),
    Way(
        "sweep",
        sweep,
        sweep_multiplications,
        sweep_bytes,
        Size(n=2500, p=64, q=40),
        {"n": (2500, 5000, 10000), "p": (32, 64, 100), "q": (40, 160, 640), "windows": (10, 20, 40, 80)},
    ),
)


def main() -> None:
    args = arguments()
    rows = []
    for way in WAYS:
        if args.wanted not in way.name:
            continue
        for name, sizes in way.varied.items():
            rows += timed(way, name, sizes)
        largest = replace(way.base, **{name: sizes[-1] for name, sizes in way.varied.items() if name != "k"})
        if way.name == "sweep":
            largest = replace(way.base, n=5000)
        rows.append(memory(way, largest))
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "growth.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    plot(rows, args.out / "growth.png")
    print(f"wrote {args.out / 'growth.csv'} and {args.out / 'growth.png'}")


def timed(way: Way, name: str, sizes: tuple[int, ...]) -> list[dict]:
    """Time one way at several sizes, and say how steeply it grows."""
    seconds, counted = [], []
    with threadpool_limits(1):
        for size in sizes:
            s = replace(way.base, **{name: size})
            call = way.run(s)
            runs = []
            for turn in range(REPEATS + (size == sizes[0])):
                start = time.perf_counter()
                call()
                if turn or size != sizes[0]:  # the first call of all compiles
                    runs.append(time.perf_counter() - start)
            seconds.append(float(np.median(runs)))
            counted.append(way.multiplications(s))
    rate = counted[-1] / seconds[-1]
    found, said = (np.polyfit(np.log(sizes), np.log(v), 1)[0] for v in (seconds, counted))
    print(
        f"{way.name}, {name} {sizes[0]}-{sizes[-1]}: grows as {name}^{found:.2f}, the formula as {name}^{said:.2f}; "
        f"{seconds[-1]:.2f} s at the largest, {2 * rate / 1e9:.0f} GFLOP/s",
        flush=True,
    )
    return [
        {
            "way": way.name,
            "varied": name,
            "size": size,
            "seconds": took,
            "predicted": count / rate,
            "ratio": "",
        }
        for size, took, count in zip(sizes, seconds, counted, strict=True)
    ]


def memory(way: Way, s: Size) -> dict:
    """Measure the peak of one call in a process of its own, against its estimate."""
    queue = multiprocessing.get_context("spawn").Queue()
    process = multiprocessing.get_context("spawn").Process(target=_peak, args=(way.name, s, queue))
    process.start()
    held = queue.get()
    process.join()
    estimate = way.bytes(s)
    print(f"{way.name}, {s}: held {held / 2**20:.0f} MiB, estimate {estimate / 2**20:.0f} MiB", flush=True)
    return {
        "way": way.name,
        "varied": "memory",
        "size": estimate,
        "seconds": "",
        "predicted": "",
        "ratio": held / estimate,
    }


def _peak(name: str, s: Size, queue: multiprocessing.Queue) -> None:
    [way] = [w for w in WAYS if w.name == name]
    with threadpool_limits(1):
        way.run(Size(n=200, p=20, q=10, k=5, windows=3))()  # compiled, imported
        queue.put(measure.held(way.run(s)))


def plot(rows: list[dict], path: Path) -> None:
    """One panel a size that was varied, and one of memory."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    ways = list(dict.fromkeys(r["way"] for r in rows))
    panels = [v for v in AXES if any(r["varied"] == v for r in rows)]
    with nd.plot.style():
        figure, axes = plt.subplots(2, 3, figsize=(7.0, 4.4), layout="constrained")
        for ax, varied in zip(axes.ravel(), panels, strict=False):
            for way, colour in zip(ways, COLOURS, strict=False):
                mine = [r for r in rows if r["way"] == way and r["varied"] == varied]
                if not mine:
                    continue
                sizes = [r["size"] for r in mine]
                ax.plot(sizes, [r["seconds"] for r in mine], "o", color=colour, ms=4, label=way)
                ax.plot(sizes, [r["predicted"] for r in mine], "-", color=colour, lw=1)
            ax.set(xscale="log", yscale="log", xlabel=AXES[varied], ylabel="time (s)")
            sizes = sorted({r["size"] for r in rows if r["varied"] == varied})
            ax.set_xticks(sizes[:: max(1, (len(sizes) - 1) // 2 if len(sizes) > 4 else 1)], minor=False)
            ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.tick_params(axis="x", labelsize=6)
        last = axes.ravel()[len(panels)]
        held = [
            next(float(r["ratio"]) for r in rows if r["way"] == w and r["varied"] == "memory") for w in ways
        ]
        last.barh(range(len(ways)), held, color=COLOURS[: len(ways)])
        last.set(xlabel="memory held / estimate", xlim=(0, 2.1), yticks=range(len(ways)), yticklabels=ways)
        last.invert_yaxis()
        last.axvline(2, color="0.4", ls="--", lw=1)
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=6
        )
        figure.suptitle(
            "simulated data; dots: measured, lines: multiplications at the rate of the largest", fontsize=7
        )
        figure.savefig(path, dpi=200)
        plt.close(figure)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wanted", nargs="?", default="", help="part of a way's name")
    parser.add_argument("--out", type=Path, default=Path("results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
