"""HDF5 can refer to other files; what is read is what lies in the file that was named."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def require_own_file(path: Path) -> None:
    """Open an HDF5 file for :func:`require_own`."""
    import h5py

    with h5py.File(path, "r") as file:
        require_own(file)


def require_own(file: Any) -> None:
    """Refuse an open HDF5 file of which a part lies in another: it would be read, and go on under this name.

    Raises
    ------
    ValueError
        Naming what lies where.
    """
    import h5py

    def links(group: Any) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise ValueError(
                    f"{name!r} in it lies in another file, {link.filename!r}, which is not followed; copy it in here"
                )

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Group):
            links(node)
        elif isinstance(node, h5py.Dataset) and (node.external or node.is_virtual):
            where = [e[0] for e in node.external or ()] or [v.file_name for v in node.virtual_sources()]
            raise ValueError(
                f"{name!r} in it has its values in other files, {where[:3]}, which are not followed; copy them in here"
            )

    links(file)
    file.visititems(visit)
