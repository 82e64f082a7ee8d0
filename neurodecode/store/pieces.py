"""Finished pieces of long work, from which an interrupted run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import xarray as xr

from neurodecode.store.atomic import remove_stale_parts, write_text
from neurodecode.store.files import load, written
from neurodecode.store.places import require_writable
from neurodecode.store.stamps import version
from neurodecode.store.values import describe, require_told

KEY = "key.json"
# Entry of every key: a piece is not finished by another version than began it, whose arithmetic may differ.
VERSION = "version of neurodecode"


class Pieces:
    """A folder of finished pieces of long work, from which an interrupted run goes on.

    Parameters
    ----------
    folder : path
        Created if it is not there; its parent must exist.
    key : mapping
        Everything that decides the values of the pieces: parameters, seed, :func:`data_hash` of the data. It is
        kept in ``key.json``, with the version of this package, and a folder begun with another key is refused.

    Raises
    ------
    TypeError
        If the key holds what has no contents that could be compared, such as an open file.
    ValueError
        If the folder was begun with another key (naming what differs), if its key is unreadable, or if it holds
        netCDF files and no key.
    FileNotFoundError, NotADirectoryError
        If the parent folder is missing, or the path is a file.
    PermissionError
        If the folder cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> pieces = Pieces(tempfile.mkdtemp(), key={"alpha": 1.0})
    >>> for region in ("V1", "V2"):
    ...     if region not in pieces:
    ...         _ = pieces.save(region, xr.DataArray([1.0, 2.0], dims="layer"))
    >>> pieces.load("V2").sizes["layer"]
    2
    """

    def __init__(self, folder: str | os.PathLike[str], *, key: Mapping[str, Any]) -> None:
        self.folder = pathlib.Path(folder)
        self.key = _plain(key)
        _make_folder(self.folder)
        remove_stale_parts(self.folder)
        self._claim()

    @classmethod
    def named(cls, parent: str | os.PathLike[str], name: str, *, key: Mapping[str, Any]) -> Pieces:
        """Take the folder of a name and a key inside ``parent``, which is made: another key has another folder.

        So that other settings begin anew beside what is there instead of being refused. Characters of ``name`` that
        cannot stand in a file's name become "_".
        """
        text = json.dumps(_plain(key), sort_keys=True)
        parent = pathlib.Path(parent)
        _make_folder(parent)
        short = hashlib.sha256(text.encode()).hexdigest()[:8]
        safe = re.sub(r"[^\w.-]", "_", name)
        return cls(parent / f"{safe}-{short}", key=key)

    def _claim(self) -> None:
        file = self.folder / KEY
        if file.exists() and not file.is_file():
            raise ValueError(f"{file} is no file, but a folder, pipe or device; use another folder")
        if not file.exists():
            if any(self.folder.glob("*.nc")):
                raise ValueError(
                    f"the folder {self.folder} holds .nc files but no key.json, so nobody can tell what they were made "
                    "with; use an empty folder"
                )
            try:
                write_text(file, json.dumps(self.key, indent=1, sort_keys=True) + "\n")
            except FileExistsError:
                pass  # another process began the same folder at this moment: compare keys as with any other
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError(f"a {type(found).__name__} instead of an object")
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{file} is damaged ({error}); delete the folder {self.folder} and begin again"
            ) from error
        _require_same_key(self.folder, found, self.key)

    def __contains__(self, name: str) -> bool:
        return self.path(name).is_file()

    def lacks(self, name: str) -> bool:
        """Whether a piece is still to be made.

        Raises
        ------
        PermissionError
            If it is, and the folder could not take it: better now than after the work.
        """
        if name in self:
            return False
        require_writable(self.folder, who="the folder of finished pieces")
        return True

    def _count(self) -> int:
        return len(list(self.folder.glob("*.nc")))

    def _kept(self) -> str:
        return f"{self._count()} finished piece(s) are kept in {self.folder}"

    def path(self, name: str) -> pathlib.Path:
        """Return the path of a piece's file, whether it is finished or not."""
        return self.folder / (_safe_name(name) + ".nc")

    def save(self, name: str, array: xr.DataArray | xr.Dataset) -> pathlib.Path:
        """Write a finished piece, whole or not at all; if two processes finish the same piece, the last one stays."""
        return written(array, self.path(name), overwrite=True, kept=self._kept)

    def load(self, name: str) -> xr.DataArray | xr.Dataset:
        """Read a finished piece.

        Raises
        ------
        KeyError
            If that piece is not finished.
        """
        if name not in self:
            raise KeyError(
                f"no piece {name!r} in {self.folder}, which holds {self._count()} finished piece(s); make it first"
            )
        return load(self.path(name))


def _plain(key: Mapping[str, Any]) -> dict[str, Any]:
    described = describe({**key, VERSION: version()})
    require_told(described, what="the key of the pieces")
    # Through JSON and back, so that what is compared is what a later run will read.
    return json.loads(json.dumps(described, allow_nan=False))


def _make_folder(folder: pathlib.Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; pieces need a folder of their own")
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"the folder {folder.parent} of {folder.name} does not exist; create it first"
        )
    if not folder.exists():
        require_writable(folder, who="the folder of finished pieces")
    folder.mkdir(exist_ok=True)


def differences(found: Mapping[str, Any], now: Mapping[str, Any], *, where: str) -> list[str]:
    """Say of every entry in which two keys differ what it is ``where`` it was found, and now."""
    absent = "(not given)"
    return [
        f"{k!r}: {found.get(k, absent)!r} {where}, {now.get(k, absent)!r} now"
        for k in sorted(found.keys() | now.keys())
        # As text: True is not 1.
        if json.dumps(found.get(k, absent), sort_keys=True) != json.dumps(now.get(k, absent), sort_keys=True)
    ]


def _require_same_key(folder: pathlib.Path, found: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differ = differences(found, now, where="in the folder")
    if differ:
        entries = len(found.keys() | now.keys())
        raise ValueError(
            f"the folder {folder} was begun with another key; {len(differ)} of {entries} entries "
            f"differ: {'; '.join(differ)}. Use another folder, or delete this one to begin again"
        )


def _safe_name(name: str) -> str:
    """Make a file name of any string; different strings give different names, also where case does not count."""
    if not isinstance(name, str) or not name:
        raise TypeError(
            f"a piece is named by a string that is not empty, not {name!r}; use str(...) or an f-string"
        )
    looks_hashed = re.search(r"-[0-9a-f]{12}$", name)
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,79}", name) and not looks_hashed:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:60] or "piece"
    return f"{readable}-{digest}"
