"""Arrays out of an .npz file, once it is known to be whole and of the right kind. Nothing in it is ever executed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..labels import listed, require_memory


def read(path: str | Path, axes: Mapping[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
    """Read the arrays named in ``axes``, which gives the axes of each; axes of one name must have one length.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    ValueError
        If it is truncated or of another kind, lacks an array, holds Python objects, or if arrays disagree in size.
    """
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; give the path of the .npz file in it")
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file} ({file.stat().st_size} bytes) is no .npz file, or truncated; copy it again")
    try:
        # Objects would have to be unpickled, which runs code; allow_pickle=False refuses them.
        _require_room(file, axes)
        with np.load(file, allow_pickle=False) as opened:
            missing = [name for name in axes if name not in opened.files]
            if missing:
                raise ValueError(f"it lacks {listed(missing)} and has {listed(opened.files)}")
            found = {name: opened[name] for name in axes}
    except MemoryError as error:
        raise MemoryError(f"{file} announces arrays that no memory holds: {error}") from error
    except Exception as error:  # zipfile, zlib and NumPy's reader of headers report damage without order
        raise ValueError(f"{file} is damaged or of another data set: {error}") from error
    _require_sizes(found, axes, file)
    return found


def _require_room(file: Path, names: Iterable[str]) -> None:
    """Refuse what would not fit unpacked, before it is: a small archive can hold very much of the same."""
    wanted = {f"{name}.npy" for name in names}
    with zipfile.ZipFile(file) as archive:
        size = sum(one.file_size for one in archive.infolist() if one.filename in wanted)
    require_memory(
        size, what=f"{file}, unpacked,", remedy="it is not what it should be, or copy it to a larger machine"
    )


def _require_sizes(arrays: Mapping[str, np.ndarray], axes: Mapping[str, tuple[str, ...]], file: Path) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    for name, array in arrays.items():
        if array.ndim != len(axes[name]):
            raise ValueError(f"{name!r} in {file} must have the axes {axes[name]}, got shape {array.shape}")
        for axis, size in zip(axes[name], array.shape, strict=True):
            first, who = sizes.setdefault(axis, (size, name))
            if size != first:
                raise ValueError(
                    f"{file} is inconsistent: {who!r} has {first} along {axis!r} but {name!r} has {size}; copy it again"
                )
