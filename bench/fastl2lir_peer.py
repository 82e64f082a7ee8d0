"""Time the published library in an environment of its own: it fails on numpy >= 2.4 when it selects voxels.

    python -m venv .venv-fastl2lir
    .venv-fastl2lir/bin/pip install "numpy<2.4" "fastl2lir==0.11" threadpoolctl

bench/run.py and bench/full_layer.py run this file with that Python, if it is there:

    .venv-fastl2lir/bin/python bench/fastl2lir_peer.py FOLDER ALPHA N_VOXELS THREADS

FOLDER holds x.npy and y.npy; the weights go to w.npy, the seconds that the fit alone took and the versions to stdout.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from fastl2lir import FastL2LiR
from threadpoolctl import threadpool_limits


def main(folder: str, alpha: str, n_voxels: str, threads: str) -> None:
    x, y = (np.load(Path(folder) / name) for name in ("x.npy", "y.npy"))
    model = FastL2LiR(verbose=False)
    with threadpool_limits(int(threads)):
        start = time.perf_counter()
        model.fit(x, y, alpha=float(alpha), n_feat=int(n_voxels))
        seconds = time.perf_counter() - start
    np.save(Path(folder) / "w.npy", model.W)
    print(json.dumps({"seconds": seconds, "fastl2lir": version("fastl2lir"), "numpy": version("numpy")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
