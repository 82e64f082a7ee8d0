"""Images from anywhere, NIfTI or FreeSurfer's: open, whole, or an error that says which one is not."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._files import Source, present

PACKED = (".gz", ".mgz")
# Packed in other ways, whose size says little of what they hold.
UNMEASURED = (".bz2", ".zst")
# Largest ratio of deflate (Deutsch 1996; zlib's technical notes).
DEFLATED = 1032
READ_BYTES = 1 << 22


def open_image(image: Any, *, what: str, source: Source) -> Any:
    """Open an image; its values stay on disk. An image that is open already is returned as it is.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, only a placeholder, empty or no such image.
    """
    import nibabel
    from nibabel.arrayproxy import ArrayProxy
    from nibabel.freesurfer.mghformat import MGHError

    if hasattr(image, "affine"):
        return image
    path = present(image, what=what, source=source)
    with whole(path, what=what, source=source):
        try:
            opened: Any = nibabel.load(path)
        except (
            MGHError,
            KeyError,
            TypeError,
            OverflowError,
        ) as error:  # a header of nonsense, or one cut short
            raise ValueError(str(error)) from error
        if not hasattr(opened, "dataobj"):
            raise ValueError(f"it is a {type(opened).__name__}, which has no voxels")
        if isinstance(opened.dataobj, ArrayProxy):
            # Of a pair (.hdr and .img) the values lie in the other file.
            _require_room(opened.dataobj, Path(opened.file_map["image"].filename or path))
        return opened


def _require_room(values: Any, path: Path) -> None:
    """Refuse a header that announces more numbers than the file can hold, before memory is taken for them."""
    if path.suffix in UNMEASURED:
        return
    needed = int(values.dtype.itemsize) * math.prod(map(int, values.shape))
    size = path.stat().st_size
    most = size * DEFLATED if path.suffix in PACKED else size - int(values.offset)
    if needed > most:
        raise ValueError(
            f"its header announces {values.shape} numbers in {needed} bytes, more than it can hold; it is damaged"
        )


@contextmanager
def reading(path: Any, *, what: str, source: Source) -> Iterator[None]:
    """As :func:`whole`, for values: a packed file is held against its checksum, which nibabel does not come to."""
    with whole(path, what=what, source=source):
        yield
        if isinstance(path, str | Path) and Path(path).suffix in PACKED:
            with gzip.open(path) as stream:
                while stream.read(READ_BYTES):
                    pass


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
