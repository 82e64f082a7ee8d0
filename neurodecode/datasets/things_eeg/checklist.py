"""Which files a subject needs, and which are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...labels import require_choice
from .._files import listed_at
from .._inventory import Item, item
from .layout import (
    PARTS,
    SESSIONS,
    SOURCE,
    brainvision,
    metadata,
    plain,
    preprocessed,
    raw_array,
    recordings,
    who,
)

KINDS = ("preprocessed", "raw")


def inventory(
    root: str | Path, *, subject: int, kind: str = "preprocessed", sessions: Sequence[int] | None = None
) -> list[Item]:
    """Files that :func:`load` (kind "preprocessed") or :func:`raw` (kind "raw") would look at.

    Both parts of the preprocessed EEG count as needed, though each loads by itself. Of the raw sessions those up to the
    last one that is there are needed, the first in any case; or, given ``sessions``, just those.

    Parameters
    ----------
    root : path
    subject : 1 to 10
    kind : {"preprocessed", "raw"}
    sessions : numbers, optional
        Of the raw recordings.

    Raises
    ------
    ValueError
        If there is no such subject or kind.
    """
    require_choice(kind, KINDS, what="kind")
    root, name = Path(root), who(subject)
    first = item(metadata(root), what="the list of pictures", source=SOURCE)
    return [first, *(_preprocessed(root, name) if kind == "preprocessed" else _raw(root, name, sessions))]


def _preprocessed(root: Path, name: str) -> list[Item]:
    found: dict[Path, Item] = {}
    for part in PARTS:
        files = list(plain(root, name, part))
        said = [f"the preprocessed {part} EEG of {name}", f"the {part} pictures of {name}"]
        if not listed_at(files[0]):
            files = [preprocessed(root, name, part)]
        else:
            said.append(f"channels and times of {name}")
        for path, what in zip(files, said, strict=False):
            found[path] = item(path, what=what, source=SOURCE)
    return list(found.values())


def _raw(root: Path, name: str, sessions: Sequence[int] | None) -> list[Item]:
    folder, source = recordings(root, name)
    last = max((n for n in range(1, SESSIONS + 1) if (folder / f"ses-{n:02d}").is_dir()), default=1)
    wanted = range(1, last + 1) if sessions is None else sessions
    found = []
    for session in range(1, SESSIONS + 1):
        for part in PARTS:
            what = f"the raw {part} EEG of {name}, session {session}"
            paths = [(raw_array(folder, session, part), what)]
            if source:
                paths = [
                    (path, f"{said} of {what}, file {run}")
                    for run, pair in enumerate(brainvision(folder, name, session, part), start=1)
                    for path, said in _of_recording(*pair)
                ]
            found += [item(path, what=said, source=SOURCE, needed=session in wanted) for path, said in paths]
    return found


def _of_recording(header: Path, behaviour: Path) -> list[tuple[Path, str]]:
    return [
        (header, "header"),
        (header.with_suffix(".vmrk"), "markers"),
        (header.with_suffix(".eeg"), "voltages"),
        (behaviour, "the list of pictures"),
    ]
