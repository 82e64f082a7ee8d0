"""Which of one subject's files are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...labels import require_choice
from .._files import listed_at
from .._inventory import Item, item
from .betas import NAME, numbers, require_sessions
from .layout import DEPTHS, DRAWN, FSAVERAGE, SIDES, SOURCE, SPACE, SURFACES, VERSIONS, Files

PAPER_ATLASES = ("Kastner2015", "prf-visualrois")


def inventory(
    root: str | Path,
    *,
    subject: int,
    sessions: int | None = None,
    regions: str | Sequence[str] = "paper",
    space: str = SPACE,
    version: str = VERSIONS[0],
) -> list[Item]:
    """List the files that the loaders look at, whether they are there, and if not, why.

    Needed is what :func:`load`, or on a surface :func:`surface`, cannot do without for these regions in the first
    ``sessions``, by default in all up to the last that is there; what remains of the planned sessions is listed as not
    needed. The other files are for what is said of them.

    Parameters
    ----------
    root : path
    subject : 1 to 8
    sessions : int, optional
    regions : "paper", the name of an atlas, or several names
    space : {"func1pt8mm", "fsaverage", "nativesurface"}
    version : {"betas_fithrf_GLMdenoise_RR", "betas_fithrf", "betas_assumehrf"}

    Raises
    ------
    ValueError
        If there is no such subject, session, space or version.
    """
    require_choice(version, VERSIONS, what="version")
    require_choice(space, (SPACE, *SURFACES), what="space")
    files = Files(Path(root), subject, version)
    require_sessions(files, sessions)
    names = [regions] if isinstance(regions, str) else list(regions)
    atlases = list(dict.fromkeys(a for name in names for a in (PAPER_ATLASES if name == "paper" else [name])))
    found = [*_design(files), *_volume(files, sessions, atlases, needed=space == SPACE)]
    for surface in SURFACES:
        found += _surface(files, surface, sessions, needed=space == surface)
    return [*found, *_labels(files, atlases, space), *_places(files, space)]


def _item(path: Path, what: str, *, needed: bool = False, read: bool = False) -> Item:
    return item(path, what=what, source=SOURCE, needed=needed, read=needed or read)


def _design(files: Files) -> Iterator[Item]:
    yield _item(files.design, "the experimental design", needed=True)
    yield _item(files.pictures, "the list of pictures, for pictures()")
    yield _item(files.behaviour, f"answers of {files.who}, for behaviour()")


def _volume(files: Files, sessions: int | None, atlases: list[str], *, needed: bool) -> Iterator[Item]:
    last = sessions or max(numbers(files.betas, NAME), default=1)
    for n in range(1, max(last, files.planned) + 1):
        path = files.session(n, "hdf5")
        if not listed_at(path) and listed_at(files.session(n, "nii.gz")):
            path = files.session(n, "nii.gz")
        yield _item(path, f"betas of session {n} of {files.planned}", needed=needed and n <= last)
    for n in range(1, last + 1):
        what = f"valid voxels of session {n}; without them betas are read to know"
        yield _item(files.valid(n), what, read=needed)
    yield _item(files.ncsnr, "noise ceiling", read=needed)
    yield _item(files.brainmask, "brain mask", read=needed)
    for atlas in atlases:
        # Either the hemispheres' files or that of both.
        split = all(listed_at(files.roi(atlas, side)) for side in SIDES)
        for side, name in SIDES.items():
            yield _item(files.roi(atlas, side), f"atlas {atlas}, {name} hemisphere", needed=needed and split)
        yield _item(
            files.roi(atlas), f"atlas {atlas}, both hemispheres", needed=needed and not split, read=needed
        )


def _surface(files: Files, space: str, sessions: int | None, *, needed: bool) -> Iterator[Item]:
    there = {int(p.name.split(".betas_session")[1][:2]) for p in _named(files.surface(space))}
    if not there and not needed:
        yield _item(files.surface(space), f"betas on {space}, for surface()")
    last = (sessions or max(there, default=1)) if needed else max(there, default=0)
    for n in range(1, last + 1):
        for side, name in SIDES.items():
            path = files.surface_session(space, n, side)
            yield _item(path, f"betas of session {n} on {space}, {name}", needed=needed)


def _labels(files: Files, atlases: list[str], space: str) -> Iterator[Item]:
    for side, name in SIDES.items():
        for atlas in atlases:
            own, common = files.label(atlas, side), files.label(atlas, side, brain=FSAVERAGE)
            shared = not atlas.startswith(DRAWN)
            instead = space == FSAVERAGE and shared and listed_at(common)
            needed = space in SURFACES and not instead
            yield _item(own, f"atlas {atlas} on the native surface, {name}, for surface()", needed=needed)
            if shared:
                yield _item(common, f"atlas {atlas} on fsaverage, {name}, for surface()", read=instead)


def _places(files: Files, space: str) -> Iterator[Item]:
    for side, name in SIDES.items():
        for depth in DEPTHS:
            path = files.transform(f"func1pt8-to-{depth}", side)
            yield _item(path, f"places of {depth} in the volume, {name}, for to_native() and to_fsaverage()")
        path = files.transform("white-to-fsaverage", side)
        what = f"vertices for those of fsaverage, {name}, for to_fsaverage() and surface()"
        yield _item(path, what, needed=space == FSAVERAGE)


def _named(folder: Path) -> list[Path]:
    return list(folder.glob("[lr]h.betas_session[0-9][0-9].*")) if folder.is_dir() else []
