"""Files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import secrets
import socket
import tempfile
from collections.abc import Iterable

from neurodecode.store.places import cannot_write, require_writable

STALE_SECONDS = 24 * 3600.0
SEAL = b"\nneurodecode sha256 "
SEAL_BYTES = len(SEAL) + 65
READ_BYTES = 1 << 22


def writable_target(path: str | os.PathLike[str], *, overwrite: bool) -> pathlib.Path:
    """Return where to write, after all checks that need no writing."""
    target = pathlib.Path(os.path.realpath(path))  # a link to a file keeps being a link
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; add a file name, for example {target / 'result.nc'}")
    if not target.parent.exists():
        raise FileNotFoundError(
            f"the folder {target.parent} of {target.name} does not exist; create it first"
        )
    if not target.parent.is_dir():
        raise NotADirectoryError(
            f"{target.parent} is a file, so {target.name} cannot be written inside it; choose another folder"
        )
    require_writable(target.parent, who=f"{target.name} in")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{path} already exists; use overwrite=True to replace it, or another name")
    return target


def part_name(target: pathlib.Path) -> pathlib.Path:
    """Choose the name that a file bears until it is whole."""
    # Host and process are in the name, so that another process can tell a leftover from work going on.
    stem = hashlib.sha256(target.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    pid = os.getpid()
    return target.with_name(f".{stem}.{_host()}.{pid}.{_began(pid)}-{secrets.token_hex(4)}.part")


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:64]


def remove_stale_parts(folder: pathlib.Path, *, stem: str | None = None) -> None:
    """Remove what killed writers left behind: for one file name, or for the whole folder."""
    wanted = "*" if stem is None else hashlib.sha256(stem.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    for part in folder.glob(f".{wanted}.*.*.*.part"):
        host, pid, token = part.name.split(".")[2:5]
        if host == _host() and pid.isdigit():
            stale = not _alive(int(pid), token.partition("-")[0])
        else:
            stale = _age(part) > STALE_SECONDS
        if stale:
            part.unlink(missing_ok=True)


def _alive(pid: int, began: str) -> bool:
    """Whether a process is there and is the one that began then: numbers are used again, in containers at once."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return _began(pid) == began


def _began(pid: int) -> str:
    """When a process began, in clock ticks since the machine did, which no change of the clock moves; "" if unknown."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _age(part: pathlib.Path) -> float:
    """Seconds since a file was written, by the clock of its disk: this machine's may be off."""
    try:
        with tempfile.NamedTemporaryFile(dir=part.parent, prefix=".now.") as fresh:
            return os.fstat(fresh.fileno()).st_mtime - part.stat().st_mtime
    except OSError:
        return 0.0


def publish(part: pathlib.Path, target: pathlib.Path, *, overwrite: bool) -> None:
    """Flush ``part`` to disk and give it its name; without ``overwrite`` never over another file."""
    with open(part, "rb") as stream:
        os.fsync(stream.fileno())
    if overwrite:
        os.replace(part, target)
    else:
        _rename_new(part, target)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _rename_new(part: pathlib.Path, target: pathlib.Path) -> None:
    taken = f"{target} was written by somebody else meanwhile and was left as it is; choose another name"
    try:
        os.link(part, target)  # unlike a rename this fails when somebody else was faster
    except FileExistsError:
        raise FileExistsError(taken) from None
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(taken) from None
        os.replace(part, target)


def seal(part: pathlib.Path) -> None:
    """Append the checksum of a file's content; HDF5 ignores what follows its own end of file."""
    digest = _digest(part, part.stat().st_size)
    with open(part, "ab") as stream:
        stream.write(SEAL + digest + b"\n")


def require_seal_unbroken(file: pathlib.Path) -> None:
    """Refuse a sealed file whose content changed since: HDF5 itself may read damaged bytes, or never come back.

    Raises
    ------
    ValueError
        Naming both checksums. A file without a seal (of another origin, or edited by a netCDF tool) passes.
    """
    content = file.stat().st_size - SEAL_BYTES
    if content <= 0:
        return
    with open(file, "rb") as stream:
        stream.seek(content)
        end = stream.read()
    if SEAL in end[1:]:
        raise ValueError(
            f"{file} is truncated: the end of its checksum is missing; copy it again or make it again"
        )
    if not end.startswith(SEAL):
        return
    found, expected = _digest(file, content), end[len(SEAL) : -1]
    if found != expected:
        raise ValueError(
            f"{file} is damaged: its content has the SHA-256 sum {found[:16].decode()}..., but what was written had "
            f"{expected[:16].decode('ascii', 'replace')}...; make it again, or copy it again from where it was whole"
        )


def _digest(file: pathlib.Path, size: int) -> bytes:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while size > 0 and (block := stream.read(min(READ_BYTES, size))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest().encode()


def write_bytes(target: pathlib.Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a small file, whole or not at all; without ``overwrite`` never over another.

    What killed writers of this file left is removed.

    Raises
    ------
    OSError
        If it cannot be written: why, what is free, and the remedy.
    """
    part = part_name(target)
    try:
        remove_stale_parts(target.parent, stem=target.name)
        part.write_bytes(content)
        publish(part, target, overwrite=overwrite)
    except FileExistsError:
        raise
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_text(target: pathlib.Path, text: str, *, overwrite: bool = False) -> None:
    """Write a small text file as :func:`write_bytes` does."""
    write_bytes(target, text.encode("utf-8"), overwrite=overwrite)


def shown(values: Iterable[object], *, most: int = 8) -> str:
    """Write values for a message: the first few, then how many are left."""
    values = list(values)
    left = len(values) - most
    return ", ".join(repr(v) for v in values[:most]) + (f" and {left} more" if left > 0 else "")
