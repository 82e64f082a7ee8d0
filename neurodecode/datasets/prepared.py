"""From single trials to what is decoded: normalised by training data, repeats averaged, in a zarr folder.

Trials that lie on disk are read once, part by part, into a folder beside the result; then the result is made of them,
some voxels or some time points at a time. Memory holds one part (a session, a run, some epochs) and one such block,
however many there are. What was interrupted goes on; the result is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from .. import brain, folds
from ..labels import SAMPLE, listed, require_dims, require_unique, texts
from ..lazy import is_dask
from ..prepare import MVNN, ZScore
from ..store import blocks, data_hash, folders

ALL = "all"
TRAIN = "train"
# What a block of the second step, and a chunk on disk, may take in float32.
BLOCK_BYTES = 1 << 24
CHUNK_BYTES = 1 << 21
ROWS = 1024
NAME = "responses"


def write(
    responses: xr.DataArray,
    out: str | Path,
    *,
    normalise: ZScore | MVNN | None = None,
    average: str | Sequence[str] = (),
    files: Sequence[Path] = (),
    parameters: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> xr.DataArray:
    """Normalise single trials, average repeats, and write them to a zarr folder.

    Parameters
    ----------
    responses : (sample, voxel) or (sample, channel, time)
        What the loaders return; dask arrays are read in parts. With ``split`` where anything is fitted.
    out : path
        The folder; it gets its name when it is whole. Finished, it is opened again, if it was made of the same.
    normalise : ZScore or MVNN, not fitted, optional
        It is fitted on the split "train" alone.
    average : names of splits, or "all"
        Whose repeats are averaged after normalisation: one sample a stimulus, with ``trials``, how many there were.
        Of a coordinate that differs between repeats, texts (session, run) are then "" for these, and numbers (repeat)
        are left out.
    files : paths, optional
        What the responses are read from: names, sizes and times of change take part in the key, so that what was begun
        with other files is not gone on with. Without them the values themselves are hashed.
    parameters : mapping, optional
        How the responses were loaded; goes into the provenance.

    Returns
    -------
    (sample, ...), float32, read when its values are used.

    Raises
    ------
    ValueError
        Duplicate samples, no training samples, labels that the normalisation cannot be fitted by (no such ``by``, a
        session without training samples), an unknown split, or an ``out`` that holds something else.
    OSError
        If the disk has not enough room for all of it, before anything is read.
    """
    target = Path(out)
    splits = _checked(responses, normalise, average, target)
    responses = _plain(responses).transpose(SAMPLE, ...)
    data = {"files": _fingerprint(files)} if files else {"responses": data_hash(responses)}
    data["labels"] = data_hash(*(v for _, v in sorted(responses.coords.items())))
    said = dict(parameters or {})
    labels = _averaged(_one_wide(responses), splits).coords
    if is_dask(responses) and not target.exists():
        trials = _trials_folder(target)
        if not _begun(trials):
            size = 4 * (responses.size + labels[SAMPLE].size * int(np.prod(responses.shape[1:])))
            blocks.require_disk(target.parent, size, what=f"preparing {target.name}")
        try:
            blocks.make(_copying(responses, said, data), trials, _parts(responses), progress=progress)
            responses = responses.copy(data=folders.open_blocks(trials, lazily=True).data)
        except (FileNotFoundError, ValueError):
            if not target.exists():
                raise  # otherwise another process has finished it, and removed the trials, meanwhile
    work = _making(responses, normalise, splits, labels=labels, parameters=said, data=data, files=files)
    width = _width(responses, normalise)
    blocks.make(work, target, blocks.batches(responses.shape[-1], width), progress=progress)
    if folders.is_ours(_trials_folder(target)):
        shutil.rmtree(_trials_folder(target), ignore_errors=True)
    return folders.open_blocks(target)


def _checked(
    responses: xr.DataArray, normalise: ZScore | MVNN | None, average: str | Sequence[str], target: Path
) -> tuple[str, ...] | str:
    """Refuse what could not be prepared; return the splits whose repeats are averaged."""
    require_dims(responses, [SAMPLE], who="responses")
    require_unique(responses, SAMPLE, who="responses")
    if normalise is not None and not isinstance(normalise, ZScore | MVNN):
        raise TypeError(f"normalise must be a ZScore or MVNN of neurodecode.prepare, not {normalise!r}")
    if not responses.size:
        raise ValueError(f"there is nothing to prepare: responses have the sizes {dict(responses.sizes)}")
    if normalise is not None:
        folds.select(responses, TRAIN, who="what normalise is fitted on")
        _require_fit(responses.transpose(SAMPLE, ...), normalise)
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"the folder {target.parent} of {target.name} does not exist; create it first"
        )
    return _splits(responses, average)


def _require_fit(responses: xr.DataArray, normalise: ZScore | MVNN) -> None:
    """Try the fit on noise with the same labels, so that what these do not allow shows before anything is read."""
    if isinstance(normalise, MVNN) and responses.dims[1:] not in (("channel", "time"), ("channel",)):
        raise ValueError(
            f"MVNN whitens (sample, channel, time) by the noise of its channels, but responses are "
            f"{tuple(map(str, responses.dims))}; normalise them by z-scores"
        )
    narrow = responses.isel({dim: slice(0, 2 if dim == "time" else 1) for dim in responses.dims[1:]})
    noise = narrow.copy(data=np.random.default_rng(0).normal(size=narrow.shape))
    clone(normalise).fit(_training(noise)).transform(noise)


def _trials_folder(target: Path) -> Path:
    return target.with_name(target.name + ".trials")


def _splits(responses: xr.DataArray, average: str | Sequence[str]) -> tuple[str, ...] | str:
    """Splits whose repeats are averaged, once they are known to be there."""
    if average == ALL:
        return ALL
    wanted = (average,) if isinstance(average, str) else tuple(average)
    there = sorted(set(texts(responses.coords["split"]).tolist())) if "split" in responses.coords else []
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise ValueError(f"average names {listed(unknown)}, no value of 'split'; there are {listed(there)}")
    return wanted


def _plain(responses: xr.DataArray) -> xr.DataArray:
    """Return responses whose text labels every file format holds."""
    others = {k: v for k, v in responses.coords.items() if v.dtype.kind not in "biufcmMUS"}
    return responses.assign_coords({k: (v.dims, texts(v.values)) for k, v in others.items()})


def _fingerprint(files: Sequence[Path]) -> str:
    names = [str(path.name) for path in files]
    stats = [path.stat() for path in files]
    return data_hash(np.array(names), np.array([[s.st_size, s.st_mtime_ns] for s in stats]))


def _one_wide(responses: xr.DataArray) -> xr.DataArray:
    """The same samples with one value each, for what concerns their labels alone."""
    narrow = responses.isel({dim: slice(0, 1) for dim in responses.dims[1:]})
    return narrow.copy(data=np.zeros(narrow.shape, np.float32))


def _begun(folder: Path) -> bool:
    return folder.exists() or folder.with_name(folder.name + ".part").exists()


def _parts(responses: xr.DataArray) -> list[folders.Block]:
    """Rows of every part that the loader reads at a time."""
    ends = np.cumsum((responses.chunks or ((),))[0]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _copying(responses: xr.DataArray, said: Mapping[str, Any], data: Mapping[str, str]) -> blocks.Work:
    """Read every part once, and keep it where any voxels or times of it can be read again quickly."""
    rows = min(ROWS, max(stop - start for start, stop in _parts(responses)))
    row_bytes = 4 * int(np.prod(responses.shape[1:-1]))
    # No wider than what is read at a time, or it would be read several times.
    width = int(np.clip(CHUNK_BYTES // (rows * row_bytes), 1, _affordable(responses)))
    return blocks.Work(
        what="reading trials",
        compute=lambda start, stop: responses.variable[start:stop].values,
        name=NAME,
        dims=tuple(map(str, responses.dims)),
        shape=responses.shape,
        coords={SAMPLE: responses.coords[SAMPLE].variable},
        attrs={},
        parameters=said,
        data=data,
        chunks=(rows, *responses.shape[1:-1], width),
    )


def _making(
    responses: xr.DataArray,
    normalise: ZScore | MVNN | None,
    splits: tuple[str, ...] | str,
    *,
    labels: Mapping[Any, xr.DataArray],
    parameters: Mapping[str, Any],
    data: Mapping[str, str],
    files: Sequence[Path],
) -> blocks.Work:
    """Make the result of trials that can be read in any blocks."""
    coords = {k: v for k, v in labels.items() if v.dims == (SAMPLE,)}
    coords |= {k: v for k, v in responses.coords.items() if SAMPLE not in v.dims}
    samples = coords[SAMPLE].size
    return blocks.Work(
        what="datasets.prepared.write",
        compute=_Block(responses, normalise, splits),
        name=NAME,
        dims=tuple(map(str, responses.dims)),
        shape=(samples, *responses.shape[1:]),
        coords={k: v.variable for k, v in coords.items()},
        attrs=_attrs(responses, normalise, files),
        parameters={**parameters, "normalise": repr(normalise), "average": splits},
        data=data,
        axis=responses.ndim - 1,
        chunks=(min(ROWS, samples), *responses.shape[1:-1], _width(responses, normalise)),
    )


def _width(responses: xr.DataArray, normalise: ZScore | MVNN | None) -> int:
    """How many voxels or time points of all trials are held at once; whitening needs all channels."""
    if isinstance(normalise, MVNN) and responses.dims[-1] == "channel":
        return responses.shape[-1]
    return _affordable(responses)


def _affordable(responses: xr.DataArray) -> int:
    """How many voxels or time points of all trials a block has room for."""
    one = 4 * int(np.prod(responses.shape[:-1]))
    return int(np.clip(BLOCK_BYTES // max(1, one), 1, responses.shape[-1]))


class _Block:
    """Some voxels or time points of the result: all trials of them normalised, repeats averaged."""

    def __init__(
        self, responses: xr.DataArray, normalise: ZScore | MVNN | None, splits: tuple[str, ...] | str
    ) -> None:
        self.responses = responses
        self.normalise = clone(normalise) if normalise is not None else None
        self.splits = splits

    def __call__(self, start: int, stop: int) -> np.ndarray:
        block = self.responses.isel({self.responses.dims[-1]: slice(start, stop)}).load()
        return np.asarray(_averaged(self._normalised(block), self.splits).values, dtype=np.float32)

    def _normalised(self, block: xr.DataArray) -> xr.DataArray:
        if isinstance(self.normalise, ZScore):
            # Every column has statistics of its own, so that a block's are fitted on the block.
            return self.normalise.fit(_training(block)).transform(block)
        if self.normalise is None:
            return block
        if not hasattr(self.normalise, "whitener_"):
            self.normalise.fit(_training(self.responses))
        return self.normalise.transform(block)


def _training(responses: xr.DataArray) -> xr.DataArray:
    return responses.isel({SAMPLE: responses.coords["split"].values == TRAIN})


def _averaged(responses: xr.DataArray, splits: tuple[str, ...] | str) -> xr.DataArray:
    """Average the repeats of some splits; what is not averaged comes first."""
    if not splits:
        return responses
    if splits == ALL:
        return brain.average_repeats(responses)
    rows = np.isin(responses.coords["split"].values, splits)
    means = brain.average_repeats(responses.isel({SAMPLE: rows}))
    if rows.all():
        return means
    single = responses.isel({SAMPLE: ~rows})
    if "trials" not in single.coords:
        single = single.assign_coords(trials=(SAMPLE, np.ones(single.sizes[SAMPLE], np.int64)))
    gone = [name for name in single.coords if name not in means.coords]
    textual = [name for name in gone if single.coords[name].dtype.kind == "U"]
    # Of several sessions or runs is none of them; a number has no such value.
    means = means.assign_coords({name: (SAMPLE, np.full(means.sizes[SAMPLE], "")) for name in textual})
    single = single.drop_vars([name for name in gone if name not in textual])
    means = means.drop_vars([name for name in means.coords if name not in single.coords])
    return xr.concat([single, means], SAMPLE, combine_attrs="override")


def _attrs(responses: xr.DataArray, normalise: ZScore | MVNN | None, files: Sequence[Path]) -> dict[str, Any]:
    units = {ZScore: "standard deviations", MVNN: "noise standard deviations"}
    attrs = {**responses.attrs}
    if normalise is not None:
        attrs |= {"units": units[type(normalise)], "normalised": repr(normalise)}
    if files:
        above = os.path.commonpath([path.absolute().parent for path in files])
        sizes = {path.absolute().relative_to(above).as_posix(): path.stat().st_size for path in files}
        attrs["files"] = json.dumps(sizes)
    return attrs
