"""A sweep at the size of THINGS-MEG, larger than memory allows whole: 20,000 trials x 271 channels x 281 samples.

    python bench/meg_sweep.py                       one thread, windows of 100 ms every 25 ms
    python bench/meg_sweep.py --trials 2000         a tenth

Everything is simulated. The epochs (6 GB in float32) lie in a zarr store on disk, chunked in time, and are read window
by window; the peak is that of the whole process, libraries included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import dask.array as da
import measure
import numpy as np
import xarray as xr
import zarr
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import neurodecode as nd

RATE = 200  # Hz
SLAB = 20  # time samples a chunk


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        epochs, features = simulate(Path(folder), args)
        whole = epochs.nbytes / 2**30
        before, start = measure.peak(), time.perf_counter()
        train = np.arange(args.trials) < 0.9 * args.trials
        with threadpool_limits(args.threads):
            found = nd.temporal.sweep(
                epochs, features, nd.RidgeDecoder(1e4), train=train, test=~train, score="profile"
            )
        seconds = time.perf_counter() - start
    best = found.squeeze().idxmax("window").item()
    print(
        f"{args.trials} trials x {args.channels} channels x {args.times} samples ({whole:.2f} GiB), "
        f"{found.sizes['window']} windows, {args.features} features, {args.threads} thread(s): {seconds:.0f} s; "
        f"best window at {best:.3f} s, r = {float(found.max()):.2f} (planted at 0.3 s)"
    )
    print(f"peak of the process {measure.peak():.2f} GiB ({before:.2f} before)")


def simulate(folder: Path, args: argparse.Namespace) -> tuple[xr.DataArray, xr.DataArray]:
    """Noise in which features show at 0.3 s, written a slab of time at a time."""
    rng = np.random.default_rng(0)
    names = [f"img_{i:05d}" for i in range(args.trials)]
    y = rng.standard_normal((args.trials, args.features), dtype=np.float32)
    mix = rng.standard_normal((args.features, args.channels), dtype=np.float32) / 20
    times = np.arange(args.times) / RATE - 0.2
    course = np.exp(-(((times - 0.3) / 0.1) ** 2)).astype(np.float32)
    shape = (args.trials, args.channels, args.times)
    chunks = (args.trials, args.channels, SLAB)
    store = zarr.create_array(
        folder / "epochs.zarr", shape=shape, chunks=chunks, dtype="f4", compressors=None
    )
    for first in tqdm(range(0, args.times, SLAB), desc="simulate", leave=False):
        part = slice(first, min(first + SLAB, args.times))
        slab = rng.standard_normal((*shape[:2], part.stop - part.start), dtype=np.float32)
        slab += (y @ mix)[:, :, None] * course[part]
        store[:, :, part] = slab
    labels = [f"MEG{i:03d}" for i in range(args.channels)]
    lazily = da.from_array(store, chunks=(args.trials, args.channels, SLAB))
    epochs = nd.brain.meeg(lazily, sample=names, stimulus=names, channel=labels, time=times)
    return epochs, nd.brain.features(y, stimulus=names)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--channels", type=int, default=271)
    parser.add_argument("--times", type=int, default=281)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the epochs may lie for the time being")
    return parser.parse_args()


if __name__ == "__main__":
    main()
