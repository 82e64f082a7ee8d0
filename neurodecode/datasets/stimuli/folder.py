"""Pictures in a folder, one a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...labels import listed
from .._files import Source, present
from .lacking import why_lacking
from .pictures import DAMAGE, as_array, turned

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
NUMBER = re.compile(r"^\d+_")


@dataclass(frozen=True)
class Folder:
    """Files that were found whole, as far as their first bytes tell.

    Attributes
    ----------
    paths, stimulus, concept : of each picture; ``concept`` "" where its folder is none
    shape : rows, columns, 3
    upright : whether pictures are turned as their EXIF data say
    """

    paths: list[Path]
    stimulus: list[str]
    concept: list[str]
    shape: tuple[int, int, int]
    upright: bool

    @classmethod
    def of(
        cls, root: Path, wanted: np.ndarray | None, size: tuple[int, int] | None, *, upright: bool
    ) -> Folder:
        """Find the pictures below a folder.

        Raises
        ------
        FileNotFoundError, ValueError
            As :func:`neurodecode.datasets.stimuli.images`.
        """
        found = _by_name(root)
        if wanted is not None:
            missing = [name for name in wanted if name not in found]
            if missing:
                raise ValueError(
                    f"{len(missing)} of {len(wanted)} wanted images are not below {root}: {listed(missing)}; "
                    f"{why_lacking(missing, found)}"
                )
            found = {name: found[name] for name in wanted}
        twice = [name for name, paths in found.items() if len(paths) > 1]
        if twice:
            raise ValueError(
                f"{len(twice)} names below {root} belong to more than one image, first "
                f"{listed(map(str, found[twice[0]]))}; give a folder that holds one of them, or rename"
            )
        paths = [several[0] for several in found.values()]
        sizes = _sizes(paths, upright=upright)
        return cls(
            paths=paths,
            stimulus=list(found),
            concept=[_concept(path, root) for path in paths],
            shape=(*(size or _one_size(paths, sizes)), 3),
            upright=upright,
        )

    def members(self, first: int, last: int) -> list[Path]:
        """Return what :meth:`read` takes, of some pictures."""
        return self.paths[first:last]

    @property
    def read(self) -> Any:
        """Reads some pictures: (picture, row, column, 3), float32."""
        return _Reader(self.shape[:2], self.upright)


@dataclass(frozen=True)
class _Reader:
    size: tuple[int, int]
    upright: bool

    def __call__(self, paths: list[Path]) -> np.ndarray:
        return np.stack([_read(path, self.size, upright=self.upright) for path in paths])


def _read(path: Path, size: tuple[int, int], *, upright: bool) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(_present(path)) as picture:
            return as_array(turned(picture) if upright else picture, size)
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise _damaged(path, error) from error


def _sizes(paths: list[Path], *, upright: bool) -> list[tuple[int, int]]:
    """Rows and columns of every file; only its first bytes are read."""
    from PIL import Image

    found = []
    for path in paths:
        try:
            with Image.open(_present(path)) as picture:
                columns, rows = picture.size
                on_its_side = upright and picture.getexif().get(0x0112, 1) >= 5
        except (*DAMAGE, Image.DecompressionBombError) as error:
            raise _damaged(path, error) from error
        found.append((columns, rows) if on_its_side else (rows, columns))
    return found


def _one_size(paths: list[Path], sizes: list[tuple[int, int]]) -> tuple[int, int]:
    other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if other is not None:
        (r, c), (rows, columns) = sizes[0], sizes[other]
        count = sum(size != sizes[0] for size in sizes)
        raise ValueError(
            f"images differ in size: {paths[0]} has {r} x {c} pixels, {count} of {len(sizes)} have others, first "
            f"{paths[other]} with {rows} x {columns}; give size=..."
        )
    return sizes[0]


def _present(path: Path) -> Path:
    return present(path, what="an image", source=Source("the dataset's images", "see its authors' page"))


def _damaged(path: Path, error: Exception) -> Exception:
    if isinstance(error, FileNotFoundError) or not path.stat().st_size:
        return error  # it says already what is wrong
    return ValueError(f"{path} ({path.stat().st_size} bytes) is no image, truncated or damaged: {error}")


def _by_name(root: Path) -> dict[str, list[Path]]:
    """Files by their names without endings, in the order of their paths."""
    found: dict[str, list[Path]] = {}
    others: list[str] = []
    for path in sorted(_files(root)):
        if path.suffix.lower() in ENDINGS:
            found.setdefault(path.stem, []).append(path)
        else:
            others.append(path.name)
    if not found:
        there = f"; it holds {listed(others, most=4)}" if others else ", it is empty"
        raise FileNotFoundError(f"{root} and its folders hold no image ({', '.join(ENDINGS)}){there}")
    return found


def _files(root: Path) -> Iterator[Path]:
    """All files; folders are followed through links, each once."""
    visited = set()
    for folder, below, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            below.clear()
            continue
        visited.add(real)
        # What begins with a dot, some systems leave behind beside every file.
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _concept(path: Path, root: Path) -> str:
    name = NUMBER.sub("", path.parent.name)
    if path.parent == root or not (path.stem == name or path.stem.startswith(f"{name}_")):
        return ""
    return name
