"""One process at a time makes a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOCK = "lock"


@contextmanager
def alone(folder: Path, *, what: str) -> Iterator[None]:
    """Work in a folder, made if it is not there, that no other process works in; a process that dies lets go of it.

    Where the system or the disk has no such locks (Windows, some network disks), nothing is checked.

    Raises
    ------
    BlockingIOError
        If another process works there.
    """
    lock = folder / LOCK
    while True:
        try:
            folder.mkdir(exist_ok=True)
            stream = _locked(lock, what)
        except FileNotFoundError:
            if not folder.parent.is_dir():
                raise
            continue  # whoever had it finished and removed the folder, just now
        if _is_there(stream, lock):
            break
        stream.close()
    with stream:
        yield


def _locked(lock: Path, what: str) -> Any:
    stream = lock.open("a", encoding="utf-8")
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise BlockingIOError(
            f"another process is making {what} at this moment; wait until it is done, or choose another name"
        ) from error
    except (ImportError, OSError):
        pass  # no locks here
    return stream


def _is_there(stream: Any, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), lock.stat())
    except FileNotFoundError:
        return False
