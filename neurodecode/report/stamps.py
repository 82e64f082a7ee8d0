"""What a result and its arrays say of how they were made, each stamp once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import xarray as xr

from .. import methods, store
from ..methods.made import inner

ABOUT = ("attribute ", "size of ")
WARNINGS = "warnings"


@dataclass(frozen=True)
class Stamp:
    """One stamp: whose it is ("" for the whole result), the record, and what methods tell of it."""

    of: str
    record: dict[str, Any]
    paragraph: str
    rows: list[tuple[str, str]]

    @property
    def what(self) -> str:
        """The call that made it."""
        return str(self.record.get("what"))

    @property
    def settings(self) -> list[tuple[str, str]]:
        """Parameters, by name."""
        mark = "parameter "
        found = [(k.removeprefix(mark), v) for k, v in self.rows if k.startswith(mark)]
        return _once_for_all(found, self.record.get("parameters"))

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Date, versions, hashes of the data, seed."""
        without = ("parameter ", *ABOUT, WARNINGS)
        return [(k, v) for k, v in self.rows if not k.startswith(without) and k != "parameters"]

    @property
    def attributes(self) -> list[tuple[str, str]]:
        """What else stands in the file."""
        mark = "attribute "
        return [(k.removeprefix(mark), v) for k, v in self.rows if k.startswith(mark)]


def _once_for_all(rows: list[tuple[str, str]], parameters: Any) -> list[tuple[str, str]]:
    """Of decoders that are set alike only the first is told, for all of them."""
    alike = parameters.get("decoders") if isinstance(parameters, dict) else None
    if not isinstance(alike, dict) or len(alike) < 2 or len({repr(v) for v in alike.values()}) > 1:
        return rows
    first, *others = (f"decoders.{name}" for name in alike)
    return [
        ("decoders of", ", ".join(alike)),
        *(
            ("each decoder" + k.removeprefix(first) if k == first or k.startswith(f"{first}.") else k, v)
            for k, v in rows
            if not any(k == one or k.startswith(f"{one}.") for one in others)
        ),
    ]


def stamps(result: xr.DataArray | xr.Dataset) -> list[Stamp]:
    """Every stamp of a result once, its own first; none where nothing says how it was made."""
    places: list[tuple[str, xr.DataArray | xr.Dataset]] = [("", result)]
    if isinstance(result, xr.Dataset):
        places += [(str(k), v) for k, v in result.data_vars.items()]
    owners: dict[str, list[str]] = {}
    arrays: dict[str, xr.DataArray | xr.Dataset] = {}
    for name, array in places:
        if "provenance" in array.attrs:
            key = _key(array)
            owners.setdefault(key, []).append(name)
            arrays.setdefault(key, array)
    return [_stamp("" if "" in names else ", ".join(names), arrays[key]) for key, names in owners.items()]


def _key(array: xr.DataArray | xr.Dataset) -> str:
    """What tells stamps apart: all but the warnings, which the end of a run adds to the whole result alone."""
    record = store.provenance(array)
    return repr({k: v for k, v in record.items() if k != WARNINGS})


def _stamp(of: str, array: xr.DataArray | xr.Dataset) -> Stamp:
    return Stamp(of, store.provenance(array), methods.paragraph(array), methods.rows(array))


def warned(found: list[Stamp]) -> list[str] | None:
    """Warnings of all stamps and of what they were made of, each once; None if no run was watched."""
    said = [words for one in found for words in _warnings(one.record)]
    return list(dict.fromkeys(w for words in said for w in words)) if said else None


def _warnings(record: dict[str, Any]) -> Iterator[list[str]]:
    words = record.get(WARNINGS)
    if isinstance(words, list):
        yield [str(w) for w in words]
    parameters = record.get("parameters")
    for value in parameters.values() if isinstance(parameters, dict) else ():
        for _, made in inner(value):
            yield from _warnings(dict(made.record))
