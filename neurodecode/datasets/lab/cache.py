"""Arrays that are dear to compute, kept in the user's cache folder from one run to the next.

Every array is a file that is there whole or not at all, with a checksum (``neurodecode.store``). Whatever is missing,
damaged or of another making is computed anew. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path

import xarray as xr

from ... import store
from ...store.places import CACHE, cache_folder

_MARK = "cache_key"
# What the values of cached arrays follow from: code of this package, libraries, and the miniature models' weights.
_CODE = (
    "datasets/lab/captions.py",
    "datasets/lab/features.py",
    "datasets/lab/icons.py",
    "datasets/lab/pictures.py",
    "datasets/lab/stimuli.py",
    "vision/*.py",
)
_LIBRARIES = (
    *("torch", "numpy", "scipy", "open_clip_torch", "transformers", "diffusers"),
    *("justmyresource-mdi", "matplotlib", "fonttools"),  # icons as they are drawn
)
_WEIGHTS = (
    "vision/lab/clip/*",
    "vision/lab/diffusion/text_encoder/*",
    "vision/lab/diffusion/tokenizer/*",
    "vision/lab/diffusion/vae/*",
)


def key(**settings: str | int) -> str:
    """Hash settings together with all that cached arrays depend on: code, versions of libraries, weights."""
    package = Path(str(resources.files("neurodecode")))
    files = sorted(f for pattern in _CODE + _WEIGHTS for f in package.glob(pattern) if f.is_file())
    parts = {
        "settings": settings,
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "files": {f.relative_to(package).as_posix(): _digest(f) for f in files},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def remembered(
    name: str, arrays: Sequence[str], make: Callable[[], Mapping[str, xr.DataArray]], *, key: str
) -> dict[str, xr.DataArray]:
    """Read arrays from the cache, or make them and keep them there.

    Parameters
    ----------
    name : str
        Of the entry, for people: its folder is ``lab/name-key``.
    arrays : names of the arrays of a whole entry
    make
        Computes all of them.
    key
        From :func:`key`; an entry of another key is another entry.

    Returns
    -------
    The same values, whether they were read or made.

    Warns
    -----
    UserWarning
        If the folder cannot be written to; the arrays are returned all the same.
    """
    entry = cache_folder() / "lab" / f"{name}-{key}"
    try:
        return {array: _read(entry / f"{array}.nc", key) for array in arrays}
    except (OSError, ValueError):
        pass
    made = dict(make())
    try:
        entry.mkdir(parents=True, exist_ok=True)
        for array in arrays:
            store.save(made[array].assign_attrs({_MARK: key}), entry / f"{array}.nc", overwrite=True)
    except OSError as error:
        warnings.warn(
            f"the lab's pictures and features cannot be kept in {cache_folder()} and will be computed anew each time "
            f"({error}); name a writable folder in the environment variable {CACHE}",
            stacklevel=2,
        )
    return {array: made[array] for array in arrays}


def _read(file: Path, key: str) -> xr.DataArray:
    """Read one array, refusing what is damaged (ValueError) or bears another key."""
    found = store.load(file)
    if not isinstance(found, xr.DataArray) or found.attrs.pop(_MARK, None) != key:
        raise ValueError(f"{file} is not of the cache entry {key}; delete the entry")
    return found


def _digest(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "absent"
