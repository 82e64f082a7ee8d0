"""Arrays computed a block at a time, in a zarr folder that is there whole or not at all.

While it is being made, a folder ``<name>.part`` beside it holds the array, the key (everything that decides its
values) and a journal with one line and one checksum a finished block. A later run with the same key goes on with the
blocks that are missing or whose checksum does not hold; the folder gets its name when all are there. The checksums
stay with the array, so that it can be told later whether it is still what was written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurodecode.store.folders import SEAL, Block, beside, checksum, index, opened, part_of
from neurodecode.store.locks import LOCK, alone
from neurodecode.store.pieces import KEY, Pieces, differences
from neurodecode.store.places import cannot_write, explained, free_bytes, require_writable
from neurodecode.store.stamps import stamp
from neurodecode.store.values import describe

ARRAY = "array.zarr"
JOURNAL = "journal"
# How zarr names a chunk that is being written.
HALF = "*.partial"


@dataclass(frozen=True)
class Work:
    """What is to be computed, and what is written about it.

    Attributes
    ----------
    what : the function that a user called.
    compute : block from start to stop along ``axis`` -> its values, float32.
    name : of the array in the folder.
    coords, attrs : of the result.
    parameters, data : what the values follow from; ``data`` are hashes.
    axis : along which blocks follow each other.
    """

    what: str
    compute: Callable[[int, int], np.ndarray]
    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: Mapping[Any, Any]
    attrs: Mapping[str, Any]
    parameters: Mapping[str, Any]
    data: Mapping[str, str]
    axis: int = 0
    chunks: tuple[int, ...] = field(default=())

    @property
    def key(self) -> dict[str, Any]:
        """Everything that decides the values."""
        return json.loads(json.dumps(describe({**self.parameters, **self.data})))

    @property
    def nbytes(self) -> int:
        """Size of the values."""
        return 4 * int(np.prod(self.shape))

    def stamped(self, array: xr.DataArray) -> xr.DataArray:
        """Say in an array's attributes how it was made."""
        # Without warnings: a run that was resumed knows those of its last process only.
        made = stamp(array, what=self.what, parameters=self.parameters, data=self.data)
        record = {k: v for k, v in json.loads(made.attrs["provenance"]).items() if k != "warnings"}
        return made.assign_attrs(provenance=json.dumps(record, allow_nan=False))

    def labelled(self, values: Any) -> xr.DataArray:
        """Return the result with these values."""
        return self.stamped(xr.DataArray(values, dims=self.dims, coords=self.coords, attrs=dict(self.attrs)))


def batches(n: int, size: int) -> list[Block]:
    """Blocks of one size; the last one may be shorter."""
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def tracked(todo: Sequence[Block], *, done: int, what: str, progress: bool) -> Iterator[Block]:
    """Yield blocks under a progress bar."""
    from tqdm import tqdm

    with tqdm(total=len(todo) + done, initial=done, desc=what, unit="block", disable=not progress) as bar:
        for block in todo:
            yield block
            bar.update()


def make(work: Work, target: Path, blocks: Sequence[Block], *, progress: bool = True) -> None:
    """Make the folder, or go on with one that was begun; nothing is done if it is there and holds this work.

    Raises
    ------
    ValueError
        If the folder, or one that was begun, holds other work: what differs.
    OSError
        If the disk has not enough room, before the first block; or if another process is making the folder.
    """
    if not target.exists():
        _make(work, target, list(blocks), progress)
    elif not (part_of(target) / ARRAY).exists() and _ours(part_of(target)):
        shutil.rmtree(part_of(target), ignore_errors=True)  # left by a kill just after the array got its name
    _require_same(work, target)


def require_disk(folder: Path, needed: int, *, what: str) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises
    ------
    OSError
        With the estimate, what is free, and the remedy.
    """
    free = free_bytes(folder)
    if free is not None and needed > free:
        raise OSError(
            f"{what} needs about {needed / 2**30:.2f} GiB but only {free / 2**30:.2f} GiB are free in {folder}; "
            "make room, or write to another disk"
        )


def _make(work: Work, target: Path, blocks: list[Block], progress: bool) -> None:
    part = part_of(target)
    require_writable(target.parent, who=f"the folder of {target.name}:")
    if os.path.lexists(part) and not _ours(part):
        raise FileExistsError(
            f"{part}, where {target.name} would be made, is there already and was not made by neurodecode; move it, or "
            "choose another name"
        )
    with alone(part, what=str(target)):
        if target.exists():  # another process finished it while this one came here
            shutil.rmtree(part, ignore_errors=True)
            return
        try:
            _claim(work, part, blocks)
            _require_room(work, target, blocks)
            _fill(work, part, blocks, progress)
        except BaseException:
            if not _finished(part):
                shutil.rmtree(part, ignore_errors=True)  # nothing to go on with: other options may come next
            raise
        _publish(part, target)


def _claim(work: Work, part: Path, blocks: list[Block]) -> None:
    """Say whose work it is, or refuse other work; what was begun and has no finished block is nobody's."""
    if not _finished(part):
        for name in (KEY, JOURNAL):
            (part / name).unlink(missing_ok=True)
        shutil.rmtree(part / ARRAY, ignore_errors=True)
    # The blocks belong to the key: sums in another order differ in the last digit.
    Pieces(part, key=work.key | {"blocks": [list(b) for b in blocks]})


def _require_room(work: Work, target: Path, blocks: list[Block]) -> None:
    done = _finished(part_of(target))
    missing = sum(stop - start for start, stop in blocks if (start, stop) not in done)
    share = missing / max(1, sum(stop - start for start, stop in blocks))
    what = f"{target.name} {work.shape}" + (f", of which {share:.0%} is missing," if done else "")
    require_disk(target.parent, int(share * work.nbytes), what=what)


def _publish(part: Path, target: Path) -> None:
    try:
        os.replace(part / ARRAY, target)
    except OSError as error:
        if target.exists():
            raise FileExistsError(
                f"{target} was made by somebody else meanwhile; take that, or remove it and run again, which goes on "
                f"from {part}"
            ) from error
        raise cannot_write(target, error, kept=f"all of it is kept in {part}") from error
    shutil.rmtree(part, ignore_errors=True)


def _finished(part: Path) -> dict[Block, int]:
    """Blocks that an earlier run finished, with their checksums."""
    return _journal(part / JOURNAL) if _begun(part) else {}


def _ours(part: Path) -> bool:
    """Whether a folder holds nothing but what is put there: what is not ours is never removed."""
    if part.is_symlink() or not part.is_dir():
        return False
    known = {ARRAY, JOURNAL, LOCK, KEY}
    return all(p.name in known or (p.name[0] == "." and p.suffix == ".part") for p in part.iterdir())


def _begun(part: Path) -> bool:
    return (part / JOURNAL).exists() and (part / ARRAY).exists()


def _fill(work: Work, part: Path, blocks: list[Block], progress: bool) -> None:
    """Compute the blocks that are not there yet, and write all checksums beside them."""
    array, journal = part / ARRAY, part / JOURNAL
    if not _begun(part):
        with explained(array, kept="nothing was begun"):
            _begin(work, array)
            journal.write_text("", encoding="utf-8")
    for half in array.rglob(HALF):
        half.unlink(missing_ok=True)  # what a kill left of a chunk
    values = _group(array)[work.name]
    sums = _journal(journal)
    todo = [b for b in blocks if b not in sums or checksum(values[index(work.axis, b)]) != sums[b]]
    # Unbuffered: what a full disk did not take is not tried again when the file is closed.
    with open(journal, "ab", buffering=0) as stream:
        for i, block in enumerate(
            tracked(todo, done=len(blocks) - len(todo), what=work.what, progress=progress)
        ):
            found = np.ascontiguousarray(work.compute(*block), dtype=np.float32)
            with explained(
                array, kept=f"{len(blocks) - len(todo) + i} of {len(blocks)} blocks are kept in {part}"
            ):
                values[index(work.axis, block)] = found
                sums[block] = checksum(found)
                # The first newline ends a line that a kill cut short, which the reader passes over.
                stream.write(f"\n{json.dumps([*block, sums[block]])}\n".encode())
    with explained(array, kept=f"all {len(blocks)} blocks are kept in {part}"):
        values.attrs.update({"checksums": json.dumps([[*b, sums[b]] for b in blocks]), "axis": work.axis})
        _group(array).attrs[SEAL] = beside(opened(array, None))


def _journal(file: Path) -> dict[Block, int]:
    """Read the finished blocks and their checksums."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            start, stop, checksum = json.loads(line)
        except (ValueError, TypeError):
            continue
        found[start, stop] = checksum
    return found


def _group(folder: Path) -> Any:
    import zarr

    return zarr.open_group(str(folder), mode="a", zarr_format=2)


def _begin(work: Work, folder: Path) -> None:
    """Write coordinates and attrs, and an array without values yet."""
    attrs = json.loads(json.dumps(dict(work.attrs), default=_plain))
    empty = work.stamped(xr.DataArray(0, attrs=attrs))
    xr.Dataset(coords=work.coords).to_zarr(folder, mode="w", zarr_format=2, consolidated=False)
    array = _group(folder).create_array(
        work.name,
        shape=work.shape,
        chunks=work.chunks or work.shape,
        dtype="float32",
        compressors=None,
        fill_value=np.nan,
    )
    array.attrs.update({**empty.attrs, "key": json.dumps(work.key), "_ARRAY_DIMENSIONS": list(work.dims)})


def _plain(value: Any) -> Any:
    """Return an attribute as JSON has it: numbers of NumPy as numbers."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else describe(value)


def _require_same(work: Work, target: Path) -> None:
    """Refuse a folder that holds something else than this work."""
    differ = differences(json.loads(opened(target, None).attrs["key"]), work.key, where="there")
    if differ:
        raise ValueError(
            f"{target} holds something else; {len(differ)} entries differ: {'; '.join(differ)}. Choose another name, "
            "or delete it to make it again"
        )
