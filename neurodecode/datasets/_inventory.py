"""What of a dataset's files is there and what is missing, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ._files import Source, listed_at, present


@dataclass(frozen=True)
class Item:
    """One file or folder of a dataset.

    Attributes
    ----------
    what : what it is, in words
    path : where it is looked for
    needed : whether the dataset cannot be read without it
    fault : why it cannot be used; empty if it is there
    source : where it comes from
    read : whether what is loaded depends on it, where it is there
    """

    what: str
    path: Path
    needed: bool
    fault: str = ""
    source: Source | None = None
    read: bool = True

    @property
    def found(self) -> bool:
        """Whether it is there, wholly as far as its size tells."""
        return not self.fault


def item(path: Path, *, what: str, source: Source, needed: bool = True, read: bool = True) -> Item:
    """Look for a file or a folder."""
    fault = ""
    if not path.is_dir():
        try:
            present(path, what=what, source=source)
        except (OSError, ValueError) as error:
            fault = "not there" if not listed_at(path) else str(error)
    return Item(what, path, needed, fault, source, read)


def report(items: Iterable[Item], *, every: bool = True) -> str:
    """A line for each: found, missing and needed, or missing and not needed (those all, or only how many)."""
    items = list(items)
    absent = [one for one in items if not one.found and not one.needed]
    if not every and absent:
        rest = report(one for one in items if one not in absent)
        return f"{rest}\nabsent   {len(absent)} other files that are not needed"
    marks = {
        (True, True): "found   ",
        (True, False): "found   ",
        (False, True): "MISSING ",
        (False, False): "absent  ",
    }
    return "\n".join(
        f"{marks[one.found, one.needed]} {one.what}: {one.path}" + (f" ({one.fault})" if one.fault else "")
        for one in items
    )


def require_all(items: Iterable[Item]) -> None:
    """Refuse a dataset that lacks what is needed.

    Raises
    ------
    FileNotFoundError
        Naming how many, all of them, and where they come from.
    """
    items = list(items)
    missing = [one for one in items if one.needed and not one.found]
    if missing:
        sources = {str(one.source): None for one in missing if one.source}
        lines = "\n".join(f"  {one.what}: {one.path} ({one.fault})" for one in missing)
        raise FileNotFoundError(
            f"{len(missing)} of {sum(one.needed for one in items)} needed files are missing:\n{lines}"
            + "".join(f"\nthey are part of {source}" for source in sources)
        )
