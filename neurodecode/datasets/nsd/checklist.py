"""Which of one subject's files are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...labels import require_choice
from .._files import listed_at
from .._inventory import Item, item
from .betas import NAME, numbers, require_sessions
from .layout import DEPTHS, FSAVERAGE, SIDES, SOURCE, SURFACES, VERSIONS, Files

ATLASES = ("Kastner2015", "prf-visualrois")


def inventory(
    root: str | Path, *, subject: int, sessions: int | None = None, version: str = VERSIONS[0]
) -> list[Item]:
    """List the files that the loaders look at, whether they are there, and if not, why.

    Needed is what :func:`load` cannot do without when it loads the regions of the paper in the first ``sessions``, by
    default in all up to the last that is there; what remains of the planned sessions is listed as not needed. The other
    files are for what is said of them.

    Parameters
    ----------
    root : path
    subject : 1 to 8
    sessions : int, optional
    version : {"betas_fithrf_GLMdenoise_RR", "betas_fithrf", "betas_assumehrf"}

    Raises
    ------
    ValueError
        If there is no such subject, session or version.
    """
    require_choice(version, VERSIONS, what="version")
    files = Files(Path(root), subject, version)
    require_sessions(files, sessions)
    return [*_design(files), *_betas(files, sessions), *_volumes(files), *_surfaces(files)]


def _item(path: Path, what: str, *, needed: bool = False) -> Item:
    return item(path, what=what, source=SOURCE, needed=needed)


def _design(files: Files) -> Iterator[Item]:
    yield _item(files.design, "the experimental design", needed=True)
    yield _item(files.pictures, "the list of pictures, for pictures()")
    yield _item(files.behaviour, f"answers of {files.who}, for behaviour()")


def _betas(files: Files, sessions: int | None) -> Iterator[Item]:
    last = sessions or max(numbers(files.betas, NAME), default=1)
    for n in range(1, max(last, files.planned) + 1):
        path = files.session(n, "hdf5")
        if not listed_at(path) and listed_at(files.session(n, "nii.gz")):
            path = files.session(n, "nii.gz")
        yield _item(path, f"betas of session {n} of {files.planned}", needed=n <= last)
    for n in range(1, last + 1):
        yield _item(files.valid(n), f"valid voxels of session {n}; without them betas are read to know")
    yield _item(files.ncsnr, "noise ceiling")


def _volumes(files: Files) -> Iterator[Item]:
    yield _item(files.brainmask, "brain mask")
    for atlas in ATLASES:
        # Either the hemispheres' files or that of both.
        split = all(listed_at(files.roi(atlas, side)) for side in SIDES)
        for side, name in SIDES.items():
            yield _item(files.roi(atlas, side), f"atlas {atlas}, {name} hemisphere", needed=split)
        yield _item(files.roi(atlas), f"atlas {atlas}, both hemispheres", needed=not split)


def _surfaces(files: Files) -> Iterator[Item]:
    for space in SURFACES:
        there = {int(p.name.split(".betas_session")[1][:2]) for p in _named(files.surface(space))}
        if not there:
            yield _item(files.surface(space), f"betas on {space}, for surface()")
        for n in range(1, max(there, default=0) + 1):
            for side, name in SIDES.items():
                yield _item(files.surface_session(space, n, side), f"betas of session {n} on {space}, {name}")
    for side, name in SIDES.items():
        for atlas in ATLASES:
            yield _item(
                files.label(atlas, side), f"atlas {atlas} on the native surface, {name}, for surface()"
            )
        common = files.label(ATLASES[0], side, brain=FSAVERAGE)
        yield _item(common, f"atlas {ATLASES[0]} on fsaverage, {name}, for surface()")
        for depth in DEPTHS:
            path = files.transform(f"func1pt8-to-{depth}", side)
            yield _item(path, f"places of {depth} in the volume, {name}, for to_native() and to_fsaverage()")
        path = files.transform("white-to-fsaverage", side)
        yield _item(path, f"vertices for those of fsaverage, {name}, for to_fsaverage() and surface()")


def _named(folder: Path) -> list[Path]:
    return list(folder.glob("[lr]h.betas_session[0-9][0-9].*")) if folder.is_dir() else []
