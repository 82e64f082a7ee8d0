"""Below floor 0: arrays that are not in memory (dask), and who computes with them.

Work on dask arrays is cut into pieces. While a client of dask.distributed is active its workers do them, otherwise this
process does. Everything a piece needs is part of its graph: what a worker held when it died is made again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import starmap
from multiprocessing import parent_process
from typing import Any

# How often a piece is tried again elsewhere, after an error that may be its worker's.
RETRIES = 2


def has_dask() -> bool:
    """Whether dask is installed."""
    return find_spec("dask") is not None


def is_dask(array: Any) -> bool:
    """Whether the values of an array, labelled or not, are a dask array; dask is not imported for that."""
    graph = getattr(getattr(array, "variable", array), "__dask_graph__", None)
    return graph is not None and graph() is not None


def cluster(*arrays: Any) -> Any:
    """Return the active client of dask.distributed if one of the arrays is a dask array; None otherwise.

    Inside a worker there is none: a piece is not cut again.
    """
    distributed = sys.modules.get("distributed")
    if distributed is None or not any(map(is_dask, arrays)):
        return None
    try:
        distributed.get_worker()
    except ValueError:
        pass
    else:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def workers(client: Any) -> int:
    """How many threads compute: 1 without a client."""
    return 1 if client is None else max(1, sum(client.nthreads().values()))


def piece(function: Callable[..., Any], *args: Any, client: Any) -> Any:
    """Call ``function``; with a client, return instead what stands for its result in later pieces.

    dask arrays among ``args`` reach the function in memory.
    """
    if client is None:
        return function(*args)
    import dask

    return dask.delayed(_there, pure=False)(function, *args)


def whole(value: Any, *arrays: Any, client: Any) -> Any:
    """Mark an argument that reaches the workers as it is: dask ``arrays`` inside it stay unread.

    Raises
    ------
    ValueError
        If one of the arrays was persisted: it lies in the workers' memory, and cannot be read inside a piece.
    """
    if client is None:
        return value
    import dask
    from distributed import futures_of

    if any(futures_of(array) for array in arrays if is_dask(array)):
        raise ValueError(
            "the data were persisted on the cluster, where the workers' pieces cannot read them; give them before "
            ".persist(), or write them to zarr and open that"
        )

    return dask.delayed(value, traverse=False, pure=False)


def each(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], *, client: Any) -> Iterator[Any]:
    """Yield ``function(*call)`` of every call, in order."""
    if client is None:
        yield from starmap(function, calls)
        return
    futures = client.compute([piece(function, *call, client=client) for call in calls], retries=RETRIES)
    futures.reverse()
    while futures:
        yield futures.pop().result()


def as_done(
    function: Callable[..., Any], calls: list[tuple[Any, ...]], *, client: Any
) -> Iterator[tuple[int, Any]]:
    """Yield the number and the result of every call as soon as it is there; the first error, after all others."""
    if client is None:
        for i, call in enumerate(calls):
            yield i, function(*call)
        return
    from distributed import as_completed

    pieces = [piece(function, *call, client=client) for call in calls]
    futures = {future: i for i, future in enumerate(client.compute(pieces, retries=RETRIES))}
    failed = []
    for future in as_completed(list(futures)):
        if future.status == "error":
            failed.append(future)
        else:
            yield futures[future], future.result()
    for future in failed[:1]:
        future.result()


def _there(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a worker."""
    if parent_process() is None:
        return function(*args)
    import dask

    # In a worker's own process: what the piece reads, it reads itself.
    with dask.config.set(scheduler="synchronous"):
        return function(*args)
