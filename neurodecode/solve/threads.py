"""Who keeps the processor busy: threads of BLAS, or our own with one of BLAS in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")

# Below this many rows or columns a second BLAS thread gains little, and on a busy machine it costs several times over.
SMALL = 1000


def threads_for(size: int) -> AbstractContextManager[object]:
    """Hold BLAS to one thread while a problem of ``size`` (the side of its Gram matrix) is solved, if that is small."""
    return one_thread() if size < SMALL else nullcontext()


def one_thread() -> AbstractContextManager[object]:
    """Hold BLAS to one thread."""
    return _pools().limit(limits=1, user_api="blas")


def threads() -> int:
    """How many threads BLAS may use now, whoever said so."""
    return max((int(p.num_threads) for p in _pools().select(user_api="blas").lib_controllers), default=1)


@lru_cache(maxsize=1)
def _pools() -> ThreadpoolController:
    """Look for the thread pools once: it takes longer than a small solve."""
    return ThreadpoolController()


def slices(q: int, size: int) -> list[slice]:
    """Cut q into blocks."""
    return [slice(first, min(first + size, q)) for first in range(0, q, size)]


def in_threads(work: Callable[[slice], T], blocks: Iterable[slice]) -> Iterator[T]:
    """Yield what ``work`` returns for each block, in order; what was not begun is dropped when nobody asks further."""
    count = threads()
    with one_thread():
        if count == 1:
            yield from map(work, blocks)
            return
        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(work, block) for block in blocks]
            try:
                for future in futures:
                    yield future.result()
            finally:
                pool.shutdown(cancel_futures=True)
