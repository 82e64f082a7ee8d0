"""A training's state in a folder: ``key.json`` says what is trained, ``state.safetensors`` how far it has come.

The state is one file, weights and moments as tensors and the rest as JSON in its header, so that it is whole or not at
all; nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

from .. import store
from ..store.atomic import part_name, publish
from ..store.places import cannot_write
from ._torch import torch

# A state is written when the last one is so old; a run goes on from it to the same weights, whenever it was.
SECONDS = 30.0


class Checkpoint:
    """The folder of one training.

    Parameters
    ----------
    folder : path
        Created if it is not there; its parent must exist.
    key : mapping
        All that decides the weights.

    Raises
    ------
    ValueError
        If the folder was begun with another key, naming what differs.
    """

    def __init__(self, folder: str | os.PathLike[str], *, key: Mapping[str, Any]) -> None:
        store.Pieces(folder, key=key)
        self.file = pathlib.Path(folder) / "state.safetensors"
        self.written = time.monotonic()

    def require_writable(self) -> None:
        """Refuse a folder that could not take a state: better now than after an epoch."""
        store.require_writable(self.file.parent, who="the folder of the training's state")

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self.written >= SECONDS

    def save(self, tensors: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Write tensors by name, and a record of plain data.

        Raises
        ------
        OSError
            If it cannot be written: why, what is free, what is kept, and the remedy.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save

        part = part_name(self.file)
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        try:
            said = json.dumps(record)
            # One entry: safetensors writes several in any order, and equal states have equal bytes.
            content = save(plain, metadata={"record": json.dumps([_digest(plain, said), said])})
            part.write_bytes(content)  # its own file would lie under a name that nobody removes after a kill
            publish(part, self.file, overwrite=True)
        except (OSError, SafetensorError) as error:
            kept = (
                "the state that was written before is kept"
                if self.file.exists()
                else "nothing was left there"
            )
            raise cannot_write(self.file, error, kept=kept) from error
        finally:
            part.unlink(missing_ok=True)
        self.written = time.monotonic()

    def load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Read what was written last; None where nothing was.

        Raises
        ------
        ValueError
            If the file is damaged; all of it is held against its checksum, if it has one.
        """
        from safetensors import SafetensorError, safe_open

        if not self.file.is_file():
            return None
        try:
            with safe_open(str(self.file), "pt") as opened:
                said = json.loads(opened.metadata()["record"])
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            if isinstance(said, dict):
                return tensors, said  # of an earlier version, without a sum
            digest, record = said
            if _digest(tensors, record) != digest:
                raise ValueError("its content is not what was written: the SHA-256 sums differ")
            return tensors, json.loads(record)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            raise ValueError(
                f"{self.file} is damaged ({error}); delete the folder {self.file.parent} and train again"
            ) from error


def _digest(tensors: Mapping[str, Any], record: str) -> str:
    """SHA-256 sum of names, types, shapes and values, and of the record."""
    digest = hashlib.sha256(record.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch().uint8).numpy().data)
    return digest.hexdigest()
