"""A fit on an accelerator against the same fit on the machine's own cores, in one run.

    python bench/device.py --device cuda
    python bench/device.py --device cuda --samples 2000 --voxels 4000 --features 1024

Simulated, float32: features from the 350 of 15,700 voxels that correlate most with each, and all features from all
voxels under one penalty. Both fits go through RidgeDecoder; the ratio is printed once their predictions agree.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import neurodecode as nd

# Samples whose predictions are compared, and how far they may differ, relative to the largest.
CHECKED, CLOSE = 200, 2e-4


def main() -> None:
    args = arguments()
    rng = np.random.default_rng(0)
    values = rng.standard_normal((args.samples, args.voxels), dtype=np.float32)
    weights = rng.standard_normal((args.voxels, args.features), dtype=np.float32) / args.voxels**0.5
    noise = rng.standard_normal((args.samples, args.features), dtype=np.float32)
    names = [f"img_{i:05d}" for i in range(args.samples)]
    responses = nd.brain.fmri(values, sample=names, stimulus=names)
    features = nd.brain.features(values @ weights + noise, stimulus=names)
    for title, k in ((f"{args.selected} of {args.voxels} voxels", args.selected), ("one penalty", None)):
        seconds, predicted = {}, {}
        for device in ("cpu", args.device):
            decoder = nd.RidgeDecoder(args.alpha, n_voxels=k, device=device)
            small = slice(0, args.features // 8)
            decoder.fit(responses, features[:, small])  # what is loaded and compiled once is not timed
            start = time.perf_counter()
            decoder.fit(responses, features)
            seconds[device] = time.perf_counter() - start
            predicted[device] = decoder.predict(responses[:CHECKED]).values
            print(f"{title}, {device}: {seconds[device]:.1f} s, {decoder.solver_}", flush=True)
        apart = np.abs(predicted["cpu"] - predicted[args.device]).max() / np.abs(predicted["cpu"]).max()
        if apart > CLOSE:
            raise SystemExit(f"predictions differ by {apart:.1e} of the largest: no ratio")
        print(
            f"  {seconds['cpu'] / seconds[args.device]:.1f} x, predictions equal to {apart:.0e} of the largest"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--samples", type=int, default=8859)
    parser.add_argument("--voxels", type=int, default=15700)
    parser.add_argument("--features", type=int, default=8192)
    parser.add_argument("--selected", type=int, default=350)
    parser.add_argument("--alpha", type=float, default=1000.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
