"""One layer at the size of NSD, fitted whole: 8,859 samples, 15,700 voxels, 38,400 features from 350 voxels each.

    python bench/full_layer.py --threads 2             ours, whole
    python bench/full_layer.py --threads 2 --peer      and the published library on a few targets, extrapolated
    python bench/full_layer.py --selected 4000 --features 512 --alpha 1e4 --few 4 24 --each --peer

Everything is simulated. The features lie in a file on disk, and are read a block of columns at a time; the peak is that
of the whole process, with the voxels in memory. The published library (float64) forms the Gram matrix again for every
chunk of targets: its time is measured at two numbers of targets, which gives a chunk's fixed cost and that of a target.
Some OpenBLAS builds crash on its product with several threads: --peer-threads 1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import measure
import numpy as np
import peers
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from neurodecode.solve import Fitted, Settings, fit_ridge

BLOCK = 1024
# Targets in a chunk of the peer's: what fits 16 GiB.
CHUNK = 4000
# Samples whose predictions are compared.
CHECKED = 500


def main() -> None:
    args = arguments()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((args.samples, args.voxels), dtype=np.float32)
    # Centred, and taken as it is: then both solve the same problem.
    x -= x.mean(axis=0)
    with tempfile.TemporaryDirectory() as folder:
        y = targets(Path(folder) / "features.npy", x, args.features, rng)
        settings = Settings(alphas=np.array([args.alpha]), k=args.selected, standardise=False)
        start, before = time.perf_counter(), measure.peak()
        with threadpool_limits(args.threads):
            fitted = fit_ridge(x, y, settings)
        seconds = time.perf_counter() - start
        size = f"n {args.samples}, V {args.voxels}, T {args.features}, K {args.selected}"
        print(f"{size}, {args.threads} thread(s), float32: {seconds:.1f} s, {fitted.solver}")
        print(f"peak of the process {measure.peak():.2f} GiB ({before:.2f} before the fit)")
        each = None
        if args.each:
            start, part = time.perf_counter(), y[:, : args.features // 4]
            with threadpool_limits(args.threads):
                fit_ridge(x, part, settings)
            each = (seconds - (time.perf_counter() - start)) / (args.features - part.shape[1])
            print(f"ours: {each * 1e3:.1f} ms a target, from all and a quarter of them")
        if args.peer:
            extrapolated(x, y, args, fitted, seconds, each)


def targets(path: Path, x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Features (n, count) on disk, each a noisy mixture of 20 voxels."""
    y = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(len(x), count), fortran_order=True
    )
    for first in tqdm(range(0, count, BLOCK), desc="simulate", leave=False):
        width = min(BLOCK, count - first)
        block = rng.standard_normal((len(x), width), dtype=np.float32) * 3
        for j in range(width):
            block[:, j] += x[:, rng.integers(0, x.shape[1], 20)].sum(axis=1)
        y[:, first : first + width] = block - block.mean(axis=0)
    y.flush()
    return np.load(path, mmap_mode="r")


def extrapolated(
    x: np.ndarray,
    y: np.ndarray,
    args: argparse.Namespace,
    fitted: Fitted,
    ours: float,
    ours_each: float | None,
) -> None:
    """Say what the published library would take for all targets, from two short runs, and how far ours differs."""
    if not peers.has_fastl2lir():
        print("no environment with fastl2lir (see bench/fastl2lir_peer.py): no ratio")
        return
    double, seconds = x.astype(np.float64), []
    for few in args.few:
        part = np.asarray(y[:, :few], dtype=np.float64)
        weights, took = peers.fastl2lir_weights(
            double, part, alpha=args.alpha, n_voxels=args.selected, threads=args.peer_threads or args.threads
        )
        seconds.append(took)
    expected = double[:CHECKED] @ weights
    differ = (
        np.abs(fitted.of(slice(0, args.few[1])).predict(x[:CHECKED]) - expected).max()
        / np.abs(expected).max()
    )
    print(
        f"predictions of {args.few[1]} targets differ by {differ:.1e} of the largest from the float64 solution"
    )
    each = (seconds[1] - seconds[0]) / (args.few[1] - args.few[0])
    if each <= 0:
        print(f"{args.few[0]} and {args.few[1]} targets took the same time: take more of them (--few)")
        return
    fixed = seconds[0] - each * args.few[0]
    chunks = -(-args.features // CHUNK)
    whole = chunks * fixed + args.features * each
    print(
        f"fastl2lir, float64: {each * 1e3:.1f} ms a target and {fixed:.1f} s a chunk; {chunks} chunks of {CHUNK}: "
        f"{whole:.0f} s EXTRAPOLATED, ratio {whole / ours:.1f}"
    )
    if ours_each is not None:
        print(f"a target: ratio {each / ours_each:.1f}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=8859)
    parser.add_argument("--voxels", type=int, default=15700)
    parser.add_argument("--features", type=int, default=38400)
    parser.add_argument("--selected", type=int, default=350)
    parser.add_argument("--alpha", type=float, default=1000.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--few", type=int, nargs=2, default=(32, 800), help="targets that the peer is timed with"
    )
    parser.add_argument("--peer-threads", type=int, help="1 where its BLAS crashes with more")
    parser.add_argument("--each", action="store_true", help="the time of one target, too")
    parser.add_argument("--peer", action="store_true", help="extrapolate the published library too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
