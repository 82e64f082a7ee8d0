"""Where results are written: refused before the work if nothing can be, and explained if it fails in the middle."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

# What the system says when there is no room: on the disk, in a quota, or under a limit on the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Names the folder of what is dear to compute; else XDG_CACHE_HOME/neurodecode, else ~/.cache/neurodecode.
CACHE = "NEURODECODE_CACHE"
# With less than this a disk is full, whatever an error says.
FULL_BYTES = 1 << 16
# What a file takes beyond its values.
MARGIN = 1 << 18


def cache_folder() -> pathlib.Path:
    """Return the user's cache folder of this package, which need not exist."""
    if chosen := os.environ.get(CACHE):
        return pathlib.Path(chosen).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(home) if home else pathlib.Path("~/.cache").expanduser()) / "neurodecode"


def require_writable(folder: str | os.PathLike[str], *, who: str = "") -> None:
    """Refuse a folder, there or to be made, that this process could not write into; nothing is made.

    Parameters
    ----------
    folder : path
    who : str
        Which option names it, for the message.

    Raises
    ------
    NotADirectoryError
        If it, or a folder above it, is a file.
    PermissionError
        If the nearest folder that exists is not writable, or lies on a disk that is mounted for reading.
    """
    wanted = pathlib.Path(os.path.realpath(folder))
    said = f"{who} {folder}".strip()
    there = next(p for p in (wanted, *wanted.parents) if p.exists())
    if not there.is_dir():
        raise NotADirectoryError(
            f"{said} cannot be written to: {there} is a file, not a folder; choose another folder"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        why = "lies on a disk that is mounted read-only" if _read_only(there) else "is not writable by you"
        raise PermissionError(f"{said} cannot be written to: the folder {there} {why}; choose another folder")


def _read_only(folder: pathlib.Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def cannot_write(
    target: pathlib.Path, error: BaseException, *, kept: str = "nothing was left there"
) -> OSError:
    """Return the error of a write that failed: of which file, why, what is free, what was kept and what to do."""
    kind = type(error) if isinstance(error, OSError) else OSError
    number = getattr(error, "errno", None)
    # HDF5 tells where in memory it was and other things that help nobody.
    why = " ".join(str(error).split()) if number is None else os.strerror(number)
    free = free_bytes(target.parent)
    # Libraries do not always pass the system's number of an error on.
    if number not in FULL and (free is None or free > FULL_BYTES):
        return kind(
            f"cannot write {target}: {why}; {kept}. Check the permissions of the folder and the free space on its "
            "disk"
        )
    room = "" if free is None else f"; {free / 2**20:.1f} MiB are free on its disk"
    return kind(
        f"cannot write {target}: {why}{room}; {kept}. Make free space there (or raise your quota) and run the same "
        "again"
    )


def require_room(target: pathlib.Path, needed: int) -> None:
    """Raise the system's own error where a disk cannot hold a file: HDF5 may take the process down on a full disk."""
    free = free_bytes(target.parent)
    if free is not None and needed + MARGIN > free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def free_bytes(folder: pathlib.Path) -> int | None:
    """Free bytes of a disk; None where it does not say, as some network disks, which tell of a size of 0."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free if usage.free or usage.total else None


@contextmanager
def explained(target: pathlib.Path, *, kept: str) -> Iterator[None]:
    """Turn an error of the disk, in a write that is no file of :func:`save`, into one that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # has been explained already
        raise cannot_write(target, error, kept=kept) from error
