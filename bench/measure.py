"""What the benchmarks measure alike: the memory that a call takes, and how fast this machine multiplies."""

from __future__ import annotations

import os
import resource
import threading
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import psutil

SIDE, TURNS = 2000, 5


def held(call: Callable[[], object]) -> int:
    """Bytes that the process held at the peak of one call, beyond what it held before."""
    process, most, done = psutil.Process(os.getpid()), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.is_set():
            most[0] = max(most[0], process.memory_info().rss)
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        result = call()
    finally:
        done.set()
        thread.join()
    del result
    return max(0, most[0] - before)


def peak() -> float:
    """Peak memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def allocated(call: Callable[[], object]) -> int:
    """Bytes that Python and NumPy had allocated at the peak of one call, in a process that has run others before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def gemm_rate(dtype: type) -> float:
    """Multiplications (with their additions) a second of a product of two matrices, the best of some turns."""
    a = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(dtype)
    seconds = []
    for _ in range(TURNS):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return SIDE**3 / min(seconds)
