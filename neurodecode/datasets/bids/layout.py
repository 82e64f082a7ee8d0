"""Where BIDS keeps what: names of files, the files of one subject, and the sidecar that applies to a file.

A name is a row of entities "key-label", then a suffix: ``sub-01_ses-02_task-objects_run-1_bold.nii.gz``. By the
inheritance principle a sidecar (events, json) applies to every file of its suffix that lies in its folder or below and
bears all of its entities; the nearest one counts (bids-standard/bids-specification, common principles;
task-events.md: one events.tsv may serve many runs).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...labels import listed
from .._files import Source, listed_at, read_text

# Entities that derivatives add to the name of the recording they were made from.
DERIVED = ("space", "desc", "res", "den", "cohort")
Names = str | int | Sequence[str | int] | None


@dataclass(frozen=True)
class File:
    """A file with its name taken apart; ``ending`` is all after the first dot, with it."""

    path: Path
    entities: dict[str, str]
    suffix: str
    ending: str

    @property
    def session(self) -> str | None:
        """As folders call it: "ses-01"; None without sessions."""
        return f"ses-{self.entities['ses']}" if "ses" in self.entities else None

    @property
    def run(self) -> str | None:
        """Session and run, "ses-01_run-2", which no other run of the subject and task bears; None without either."""
        parts = [f"{key}-{self.entities[key]}" for key in ("ses", "run") if key in self.entities]
        return "_".join(parts) or None

    @property
    def recording(self) -> dict[str, str]:
        """Entities without those that derivatives and split files add."""
        return {k: v for k, v in self.entities.items() if k not in (*DERIVED, "split")}

    @property
    def name(self) -> str:
        """Names its samples: "sub-01_ses-02_task-objects_run-1"."""
        return "_".join(f"{k}-{v}" for k, v in self.recording.items())


def parsed(path: Path) -> File:
    """Take the name of a file apart."""
    stem, dot, ending = path.name.partition(".")
    *parts, suffix = stem.split("_")
    pairs = (part.partition("-") for part in parts)
    return File(path, {key: label for key, dash, label in pairs if dash}, suffix, dot + ending)


def source_of(root: Path) -> Source:
    """Name of the dataset, by its dataset_description.json where that can be read."""
    try:
        said = json.loads((root / "dataset_description.json").read_text(encoding="utf-8"))
        name = str(said.get("Name") or root.name)
        return Source(f"the BIDS dataset {name!r}", str(said.get("DatasetDOI") or root))
    except (OSError, ValueError, AttributeError, RecursionError):
        return Source(f"the BIDS dataset {root.name!r}", str(root))


def plain(label: str | int, key: str) -> str:
    """A label without its key: "sub-01" and "01" are one subject."""
    return str(label).removeprefix(f"{key}-")


def subject_folder(root: Path, subject: str | int) -> Path:
    """Folder of a subject.

    Raises
    ------
    FileNotFoundError
        If the dataset's folder is not there.
    ValueError
        If it has no such subject, naming those it has.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}")
    folder = root / f"sub-{plain(subject, 'sub')}"
    if not folder.is_dir():
        there = sorted(path.name for path in root.glob("sub-*") if path.is_dir())
        raise ValueError(f"{root} has no subject {folder.name!r}; it has {listed(there, most=40) or 'none'}")
    return folder


def recordings(folder: Path, *, datatypes: Sequence[str], suffixes: Sequence[str]) -> list[File]:
    """Files of a subject, of all sessions, in folders of these datatypes; placeholders of git-annex are listed too."""
    places = [folder, *sorted(path for path in folder.glob("ses-*") if path.is_dir())]
    found = [
        parsed(path)
        for place in places
        for datatype in datatypes
        if (place / datatype).is_dir()
        for path in (place / datatype).iterdir()
    ]
    return [one for one in found if one.suffix in suffixes]


def chosen(files: Sequence[File], key: str, wanted: Names, *, who: str) -> list[File]:
    """Files of which an entity has one of the wanted labels; None takes all.

    Runs are numbers: 1 and "01" are the same.

    Raises
    ------
    ValueError
        If a label occurs in none, naming those that do.
    """
    if wanted is None:
        return list(files)
    labels = [wanted] if isinstance(wanted, str | int) else list(wanted)
    there = {_equal(key, one.entities.get(key, "")): one.entities.get(key, "") for one in files}
    missing = [label for label in labels if _equal(key, plain(label, key)) not in there]
    if missing:
        names = [label or f"none (no {key}- in the name)" for label in sorted(there.values())]
        raise ValueError(f"{who} has no {key!r} {listed(missing)}; it has {listed(names, most=40) or 'none'}")
    return matching(files, key, wanted)


def matching(files: Sequence[File], key: str, wanted: Names) -> list[File]:
    """As :func:`chosen`, and none where none has a label."""
    if wanted is None:
        return list(files)
    labels = [wanted] if isinstance(wanted, str | int) else wanted
    same = {_equal(key, plain(label, key)) for label in labels}
    return [one for one in files if _equal(key, one.entities.get(key, "")) in same]


def _equal(key: str, label: str) -> str:
    return str(int(label)) if key == "run" and label.isdigit() else label


def narrowed(
    files: Sequence[File],
    *,
    task: str,
    session: Names,
    run: Names,
    entities: Mapping[str, str] | None,
    who: str,
) -> list[File]:
    """Files of one task, of these sessions, runs and further entities."""
    files = chosen(files, "task", task, who=who)
    who = f"{who}, task {plain(task, 'task')!r},"
    for key, wanted in {"ses": session, "run": run, **(entities or {})}.items():
        files = chosen(files, key, wanted, who=who)
    return files


def one_a_run(files: Iterable[File], *, who: str) -> list[File]:
    """Files in the order of sessions and runs, numbers by their size.

    Raises
    ------
    ValueError
        If two are of the same session and run, naming both and what tells them apart.
    """
    ordered = sorted(
        files, key=lambda one: [_natural(one.entities.get(k, "")) for k in ("ses", "run")] + [one.path.name]
    )
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.run == other.run:
            keys = dict.fromkeys([*one.entities, *other.entities])
            differ = [k for k in keys if one.entities.get(k) != other.entities.get(k)]
            example = ", ".join(f"{k!r}: {other.entities.get(k, '')!r}" for k in differ)
            raise ValueError(
                f"{who} has more than one file of {one.run or 'its only run'}: {one.path.name} and {other.path.name}; "
                + (f"choose with entities={{{example}}}" if differ else "remove one")
            )
    return ordered


def _natural(label: str) -> Any:
    return (0, int(label), label) if label.isdigit() else (1, 0, label)


def levels(root: Path, folder: Path) -> list[Path]:
    """Folders from a file's own up to the dataset's."""
    inside = [folder, *folder.parents]
    return inside[: inside.index(root) + 1] if root in inside else [folder]


def applicable(
    root: Path, folder: Path, entities: Mapping[str, str], *, suffix: str, ending: str
) -> list[Path]:
    """Sidecars that apply to a file of these entities in this folder, the nearest first.

    Within a folder the one that bears more of the entities comes first.

    Raises
    ------
    ValueError
        If two in one folder apply equally.
    """
    found: list[Path] = []
    for level in levels(root, folder):
        if not level.is_dir():
            continue
        fits = [
            one
            for one in (parsed(path) for path in sorted(level.glob(f"*{suffix}{ending}")))
            if one.suffix == suffix
            and one.ending == ending
            and one.entities.items() <= dict(entities).items()
        ]
        fits.sort(key=lambda one: -len(one.entities))
        for one, other in zip(fits, fits[1:], strict=False):
            if len(one.entities) == len(other.entities):
                raise ValueError(
                    f"{one.path} and {other.path.name} apply to the same recording; BIDS allows one"
                )
        found += [one.path for one in fits]
    return found


def sidecar(root: Path, folder: Path, entities: Mapping[str, str], *, suffix: str) -> dict[str, Any]:
    """What json files say about a file: all that apply, the nearest above the others.

    Raises
    ------
    FileNotFoundError, ValueError
        If one is a placeholder or no json.
    """
    said: dict[str, Any] = {}
    for path in reversed(applicable(root, folder, entities, suffix=suffix, ending=".json")):
        what = f"json file of {folder.name} recordings"
        text = read_text(path, what=what, source=source_of(root))
        try:
            said |= json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} ({what}) is no json object: {error}") from error
    return said


def events_path(root: Path, file: File) -> Path:
    """The table of events that applies to a recording of the dataset itself; its usual place if there is none."""
    folder = raw_folder(root, file)
    found = applicable(root, folder, file.recording, suffix="events", ending=".tsv")
    return next((path for path in found if listed_at(path)), folder / f"{file.name}_events.tsv")


def raw_folder(root: Path, file: File) -> Path:
    """Folder in the dataset itself that belongs to a file of derivatives, or of the dataset."""
    parts = [f"{key}-{file.entities[key]}" for key in ("sub", "ses") if key in file.entities]
    return root.joinpath(*parts, file.path.parent.name)
