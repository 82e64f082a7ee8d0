"""Images from anywhere, NIfTI or FreeSurfer's: open, whole, or an error that says which one is not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._files import Source, present


def open_image(image: Any, *, what: str, source: Source) -> Any:
    """Open an image; its values stay on disk. An image that is open already is returned as it is.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, only a placeholder, empty or no such image.
    """
    import nibabel
    from nibabel.freesurfer.mghformat import MGHError

    if hasattr(image, "affine"):
        return image
    path = present(image, what=what, source=source)
    with whole(path, what=what, source=source):
        try:
            return nibabel.load(path)
        except (MGHError, KeyError, TypeError) as error:  # a FreeSurfer header of nonsense, or one cut short
            raise ValueError(str(error)) from error


@contextmanager
def whole(path: Any, *, what: str, source: Source) -> Iterator[None]:
    """Say which file is damaged where reading one fails."""
    import nibabel

    try:
        yield
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        if not isinstance(path, str | Path) or isinstance(error, FileNotFoundError):
            raise
        raise damaged(Path(path), error, what=what, source=source) from error


def damaged(path: Path, error: object, *, what: str, source: Source) -> ValueError:
    """Error for a file that cannot be read to its end."""
    kind = "FreeSurfer overlay" if path.suffix in (".mgh", ".mgz") else "NIfTI image"
    return ValueError(
        f"{path} ({what}, {path.stat().st_size} bytes) is truncated or no {kind}: {error}; get it again from {source}"
    )


def seconds_between_volumes(image: Any) -> float | None:
    """Time between volumes in s from the header; None where it does not say in which unit."""
    units = image.header.get_xyzt_units()[1] if hasattr(image.header, "get_xyzt_units") else "unknown"
    per_second = {"sec": 1.0, "msec": 1e3, "usec": 1e6}.get(units)
    zooms = image.header.get_zooms()
    if per_second is None or len(zooms) < 4 or not zooms[3] > 0:
        return None
    # Stored as float32: 0.8 is 0.800000012 there.
    return round(float(zooms[3]) / per_second, 6)
