"""netCDF files written so that a disk that is full does not crash the process: libhdf5 cannot close a file then."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Mapping
from typing import Any

import h5netcdf
import xarray as xr
from xarray.backends import H5NetCDFStore
from xarray.backends.common import ArrayWriter


class Patient(io.FileIO):
    """A file that keeps the first error of writing to itself, and lets nothing through after it."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of it, or remember why not."""
        view = memoryview(data).cast("B")
        done = 0
        while self.error is None and done < len(view):
            try:
                done += super().write(view[done:]) or 0
            except OSError as error:
                self.error = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size, or remember why not."""
        size = self.tell() if size is None else size
        if self.error is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.error = error
        return size


def write_netcdf(dataset: xr.Dataset, path: pathlib.Path, *, encoding: Mapping[str, Any]) -> None:
    """Write a Dataset, dask arrays block by block.

    Raises
    ------
    OSError
        The system's own, once the file is closed.
    """
    with Patient(path, "w+") as stream:
        with h5netcdf.File(stream, "w") as file:
            writer = ArrayWriter()
            dataset.dump_to_store(H5NetCDFStore(file), writer=writer, encoding=encoding)
            writer.sync()
        if stream.error is not None:
            raise stream.error
