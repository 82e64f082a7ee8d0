"""Faults that any file may have."""

from __future__ import annotations

from pathlib import Path


def spoilt_hdf5(path: Path, name: str) -> None:
    """Compress a dataset, one chunk for all of it, and spoil bytes in its middle: compressed ones are checked."""
    import h5py

    with h5py.File(path, "r+") as file:
        values = file[name][()]
        del file[name]
        file.create_dataset(name, data=values, chunks=values.shape, compression="gzip")
        chunk = file[name].id.get_chunk_info(0)
    with path.open("r+b") as stream:
        stream.seek(chunk.byte_offset + chunk.size // 2)
        stream.write(b"bytes that were spoilt")
