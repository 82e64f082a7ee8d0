"""Save and load: one result, one netCDF file."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from neurodecode.store.atomic import (
    part_name,
    publish,
    remove_stale_parts,
    require_seal_unbroken,
    seal,
    shown,
    writable_target,
)
from neurodecode.store.elsewhere import require_own_file
from neurodecode.store.folders import is_blocks, open_blocks, require_undamaged
from neurodecode.store.hdf5 import write_netcdf
from neurodecode.store.netcdf import FORMAT, FORMAT_ATTR, RECORD_ATTR, decode, encode
from neurodecode.store.places import cannot_write, require_room

# Of the free memory, what a file may take.
SHARE = 0.8


def save(
    result: xr.DataArray | xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False
) -> pathlib.Path:
    """Write a result to netCDF, whole or not at all.

    The file is written under another name in the same folder, flushed to disk and only then given its name, so a
    reader never sees half a file and an interrupted write leaves an older file as it was.

    Parameters
    ----------
    result : DataArray or Dataset
        Any dims and dtypes. Attributes may be anything: None, booleans, numbers, strings, lists, tuples, sets,
        dicts, paths, dates and arrays come back as they were; any other object comes back as the words in which
        :func:`describe` tells it. pandas' own dtypes (categories, Float64) come back as the plain values that they
        hold, NaN where a number is missing.
    path : path
        Of the file to write, by custom ``*.nc``. Its folder must exist.
    overwrite : bool
        Replace a file that is already there.

    Returns
    -------
    The path of the file.

    Raises
    ------
    TypeError
        If ``result`` is not a DataArray or Dataset, or holds something that netCDF has no form for (objects, a
        MultiIndex, 128-bit floats, records, names that are not strings).
    FileNotFoundError, NotADirectoryError, IsADirectoryError
        If the folder is missing or no folder, or the path is one.
    FileExistsError
        If the file exists and ``overwrite`` is False.
    OSError
        If the folder cannot be written to, or the disk is full.

    Examples
    --------
    >>> import neurodecode as nd, tempfile, pathlib, xarray as xr
    >>> scores = xr.DataArray([0.2, 0.4], {"region": ["V1", "LO"]}, ("region",), attrs={"units": "r"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = nd.save(scores, pathlib.Path(folder) / "scores.nc")
    ...     nd.load(file).identical(scores)
    True
    """
    return written(result, path, overwrite=overwrite)


def written(
    result: xr.DataArray | xr.Dataset,
    path: str | os.PathLike[str],
    *,
    overwrite: bool,
    kept: Callable[[], str] | None = None,
) -> pathlib.Path:
    """Write as :func:`save`; if it fails, and only then, ``kept`` is asked what the error says was kept."""
    if not isinstance(result, xr.DataArray | xr.Dataset):
        raise TypeError(
            f"save() takes an xarray.DataArray or Dataset, not {type(result).__name__}; put several arrays into one "
            "xr.Dataset, and a fitted model's arrays one by one"
        )
    target = writable_target(path, overwrite=overwrite)
    dataset = encode(result)
    remove_stale_parts(target.parent, stem=target.name)
    part = part_name(target)
    try:
        require_room(target, dataset.nbytes)
        write_netcdf(dataset, part, encoding={str(n): {"_FillValue": None} for n in dataset.variables})
        seal(part)
        publish(part, target, overwrite=overwrite)
    except FileExistsError:
        raise
    except (OSError, RuntimeError) as error:  # h5py reports a full disk as either
        raise cannot_write(target, error, kept=kept() if kept else "nothing was left there") from error
    finally:
        part.unlink(missing_ok=True)
    return pathlib.Path(path)


def load(path: str | os.PathLike[str]) -> xr.DataArray | xr.Dataset:
    """Read a result into memory and close its file.

    Parameters
    ----------
    path : path
        A file written by :func:`save`, any netCDF file, or a zarr folder of features or prepared responses.

    Returns
    -------
    What was saved, identical: DataArray or Dataset, with its dtypes, names, coordinates and attributes. A netCDF
    file of another origin comes as xarray reads it, a Dataset.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file.
    ValueError
        If the file is empty, truncated, of another kind (the message says which), of a newer format, or refers to
        other files.
    MemoryError
        If it declares more than the memory holds.

    Examples
    --------
    As in :func:`save`; a file that is no netCDF is refused with its name:

    >>> import neurodecode as nd, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "scores.nc"
    ...     _ = file.write_text("V1 0.2")
    ...     try:
    ...         nd.load(file)
    ...     except ValueError as error:
    ...         print(file.name in str(error))
    True
    """
    file = pathlib.Path(path)
    if is_blocks(file):
        require_undamaged(file)
        return open_blocks(file).load()
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder, not a netCDF file; give the path of one file in it")
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file}" + _neighbours(file))
    if not file.is_file():
        raise ValueError(f"{file} is a pipe or a device, not a netCDF file; give the path of a file")
    engine = _engine(file)
    require_seal_unbroken(file)
    try:
        if engine == "h5netcdf":
            require_own_file(file)
        with xr.open_dataset(
            file, engine=engine, decode_cf=False, cache=False, backend_kwargs=_unnamed(engine)
        ) as opened:
            attrs = dict(opened.attrs)
            if FORMAT_ATTR not in attrs:
                return _load_foreign(file, engine)
            _require_known_format(file, attrs)
            _require_memory(file, opened)
            return decode(opened.load(), json.loads(attrs[RECORD_ATTR]))
    except _NewerFormat:
        raise
    except MemoryError as error:
        if str(file) in str(error):
            raise
        raise MemoryError(
            f"{file} ({file.stat().st_size} bytes) declares more than memory holds: {error}"
        ) from error
    except Exception as error:  # h5py reports damage as OSError, RuntimeError, KeyError ... without order
        raise ValueError(
            f"{file} ({file.stat().st_size} bytes) is truncated, damaged or not netCDF: {error}; make it again, or "
            "copy it again from where it was whole"
        ) from error


class _NewerFormat(ValueError):
    """A file of a later format than this version of the package reads."""


def _require_known_format(file: pathlib.Path, attrs: Mapping[str, Any]) -> None:
    found = int(attrs[FORMAT_ATTR])
    if found > FORMAT:
        raise _NewerFormat(
            f"{file} has {FORMAT_ATTR} {found}, this version of neurodecode reads up to {FORMAT}; "
            "install a newer neurodecode-toolkit"
        )


def _load_foreign(file: pathlib.Path, engine: Any) -> xr.Dataset:
    with xr.open_dataset(file, engine=engine, cache=False, backend_kwargs=_unnamed(engine)) as opened:
        if not opened.variables and not opened.attrs:
            raise ValueError("it holds no variable that xarray can read")
        _require_memory(file, opened)
        return opened.load()


def _unnamed(engine: Any) -> dict[str, str]:
    """Axes to which plain HDF5 gives no names become phony_dim_0, ..., as netCDF's own library calls them."""
    return {"phony_dims": "sort"} if engine == "h5netcdf" else {}


def _require_memory(file: pathlib.Path, opened: xr.Dataset) -> None:
    """Refuse what a header declares and no memory holds: little of it needs to be in the file."""
    import psutil

    free = psutil.virtual_memory().available
    if opened.nbytes > SHARE * free:
        raise MemoryError(
            f"{file} ({file.stat().st_size} bytes) declares {opened.nbytes / 2**30:.1f} GiB, but only "
            f"{free / 2**30:.1f} GiB of memory are free (limit: {SHARE:.0%} of that); use a machine with more, or make "
            "it again if it should be smaller"
        )


def _neighbours(file: pathlib.Path) -> str:
    if not file.parent.is_dir():
        return f": the folder {file.parent} does not exist either"
    others = sorted(p.name for p in file.parent.glob("*.nc") if not p.name.startswith("."))
    return f"; its folder holds {shown(others)}" if others else "; its folder holds no .nc file"


def _engine(file: pathlib.Path) -> Any:
    """Choose the reader by the first bytes; refuse everything else by its kind."""
    with open(file, "rb") as stream:
        head = stream.read(520)
    if not head:
        raise ValueError(f"{file} is empty (0 bytes): the write that made it did not finish; make it again")
    if head.startswith(b"MATLAB"):
        raise ValueError(f"{file} is a MATLAB file, not netCDF; read it with scipy.io.loadmat or h5py")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "h5netcdf"
    if head[:4] in (b"CDF\x01", b"CDF\x02"):
        return "scipy"
    kinds = {
        b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"%PDF": "a PDF", b"\x1f\x8b": "gzip (NIfTI?)",
        b"PK\x03\x04": "a zip archive (npz, docx, xlsx ...)", b"\x93NUMPY": "a NumPy .npy file", b"\x80": "a pickle",
        b"CDF\x05": "netCDF of the 64-bit data variant (convert it with nccopy -k nc4)",
    }  # fmt: skip
    kind = next((kind for magic, kind in kinds.items() if head.startswith(magic)), None)
    if kind is None:
        kind = "a text file" if _is_text(head) else "no netCDF (its first bytes are unknown)"
    raise ValueError(f"{file} is {kind}; neurodecode.store.load reads netCDF files, as save() writes them")


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and bool(head.decode("utf-8", errors="ignore").strip())
