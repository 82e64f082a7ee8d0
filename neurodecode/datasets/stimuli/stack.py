"""Pictures in one dataset of an HDF5 file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...labels import listed
from .._files import Source, member, open_hdf5
from ..nsd.layout import SOURCE as NSD
from .lacking import why_lacking
from .pictures import as_array

BRICK = "imgBrick"
WHAT = "the stack of images"
SOURCE = Source("the dataset's images", "see its authors' page")


@dataclass(frozen=True)
class Stack:
    """Rows of a dataset (picture, row, column, 3), uint8.

    Attributes
    ----------
    rows, stimulus, concept : of each picture; no concepts
    shape : rows, columns, 3, as they are wanted
    """

    path: Path
    dataset: str
    rows: np.ndarray
    stimulus: list[str]
    shape: tuple[int, int, int]
    concept: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        path: Path,
        wanted: np.ndarray | None,
        size: tuple[int, int] | None,
        *,
        dataset: str,
        labels: Sequence[str] | None,
    ) -> Stack:
        """Look into a file.

        Raises
        ------
        FileNotFoundError, ValueError
            As :func:`neurodecode.datasets.stimuli.images`.
        """
        with open_hdf5(path, what=WHAT, source=source_of(dataset)) as file:
            stored = member(file, dataset, shape=(None, None, None, 3), what=WHAT)
            count, height, width = stored.shape[:3]
            if stored.dtype != np.uint8 or not stored.size:
                raise ValueError(
                    f"{dataset!r} in {path} holds {stored.shape} of {stored.dtype}, expected bytes, 0 to 255"
                )
        names = _names(path, dataset, count, labels)
        where = {name: i for i, name in enumerate(names)}
        if len(where) < count:
            raise ValueError(f"labels of {path} must be unique; {count - len(where)} of {count} are not")
        chosen = list(where) if wanted is None else [str(name) for name in wanted]
        missing = [name for name in chosen if name not in where]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(chosen)} wanted images are not in {path}, which has {count}: "
                f"{listed(missing)}; {why_lacking(missing, names)}"
            )
        rows = np.array([where[name] for name in chosen])
        return cls(path, dataset, rows, chosen, (*(size or (height, width)), 3))

    def members(self, first: int, last: int) -> np.ndarray:
        """Return what :meth:`read` takes, of some pictures."""
        return self.rows[first:last]

    @property
    def read(self) -> Any:
        """Reads some pictures: (picture, row, column, 3), float32."""
        return _Reader(self.path, self.dataset, self.shape[:2])


@dataclass(frozen=True)
class _Reader:
    path: Path
    dataset: str
    size: tuple[int, int]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        from PIL import Image

        # HDF5 reads rows in increasing order.
        order = np.argsort(rows)
        source = source_of(self.dataset)
        with open_hdf5(self.path, what=WHAT, source=source) as file:
            try:
                stored = file[self.dataset][rows[order]]
            except OSError as error:
                raise ValueError(f"{self.path} is damaged: {error}; get it again from {source}") from error
        values = np.empty((len(rows), *self.size, 3), np.float32)
        for i, picture in zip(order, stored, strict=True):
            values[i] = as_array(Image.fromarray(picture), self.size)
        return values


def source_of(dataset: str) -> Source:
    """Say where a stack comes from."""
    return NSD if dataset == BRICK else SOURCE


def _names(path: Path, dataset: str, count: int, labels: Sequence[str] | None) -> list[str]:
    if labels is None and dataset == BRICK:
        return [f"nsd_{i:05d}" for i in range(count)]
    if labels is None:
        raise ValueError(
            f"{path} does not say what its {count} rows are: give stimulus=..., one label for each"
        )
    names = [str(name) for name in labels]
    if len(names) != count:
        raise ValueError(
            f"{dataset!r} in {path} has {count} images, but {len(names)} labels were given; give one label each"
        )
    return names
