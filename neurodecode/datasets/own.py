"""Recordings of one's own that are no dataset: NIfTI runs with tables of events, and epochs that mne saved.

What is one array already needs no loader: :func:`neurodecode.brain.fmri` and :func:`neurodecode.brain.meeg` take it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import brain
from ..labels import listed, texts
from . import _bold
from ._blocks import rows
from ._events import read_events
from ._files import Source, present
from ._images import open_image, seconds_between_volumes
from ._repeats import seen_before
from ._sensors import ONE_AT_A_TIME, only, require_same_times, shared, xyz_of

SOURCE = Source("your recordings", "the paths that you gave")
Labels = Sequence[str | int] | str | int | None


def nifti(
    bold: Any,
    *,
    events: Any,
    mask: Any,
    stimulus: str,
    columns: Sequence[str] = (),
    roi: Any = None,
    window: tuple[float, float] = (4.0, 8.0),
    detrend: int | None = 1,
    standardise: bool = False,
    tr: float | None = None,
    start: float = 0.0,
    subject: str | None = None,
    session: Labels = None,
    run: Labels = None,
    space: str | None = None,
) -> xr.DataArray:
    """Load one sample an event from runs of volumes, as :func:`neurodecode.datasets.bids.fmri` does.

    Parameters
    ----------
    bold : 4-D images or paths, one a run, or a single one
    events : for each of them a table: path of a .tsv or .csv file, or a DataFrame
        With ``onset`` in s from the first stored volume. Rows without a value in the column ``stimulus`` are left out.
    mask : 3-D image or path
        Non-zero where voxels are taken.
    stimulus, columns, roi, window, detrend, standardise : as there
    tr : s between volumes; by default as the headers say
    start : s at which the first volume of a run was acquired, such as TR / 2 after slices were shifted to the middle
    subject : str
    session, run : one value, or one for each image; runs are called run-1, run-2 ... by default

    Returns
    -------
    (sample, voxel), float32; lazy with dask, one chunk a run
        ``sample`` "run-1_e0003" after the row in the table. A run that bears the same label in two sessions is told
        apart in ``sample`` by both; labels stay as given.

    Raises
    ------
    FileNotFoundError, ValueError, MemoryError
        As there; ValueError also if there are not as many tables and labels as images.
    """
    images, tables = _several(bold), _several(events)
    if len(images) != len(tables):
        raise ValueError(
            f"there are {len(images)} images but {len(tables)} tables of events; give one for each"
        )
    sessions = _each(session, len(images), "session")
    numbers = [f"run-{i + 1}" for i in range(len(images))] if run is None else _each(run, len(images), "run")
    names = ["_".join(part for part in parts if part) for parts in zip(sessions, numbers, strict=True)]
    _require_names(names)
    runs = []
    for name, image, table, s, r in zip(names, images, tables, sessions, numbers, strict=True):
        shown = read_events(
            table, stimulus=stimulus, columns=columns, what=f"events of {name}", source=SOURCE
        )
        header = seconds_between_volumes(open_image(image, what=f"volumes of {name}", source=SOURCE))
        one = _bold.Run(name, image, shown, 0.0, start, s, r)
        runs.append(_bold.with_tr(one, {} if header is None else {"the header": header}, tr))
    return _bold.responses(
        runs,
        masks=[mask],
        roi=roi,
        window=window,
        detrend=detrend,
        standardise=standardise,
        source=SOURCE,
        subject=subject,
        space=space,
    )


def epochs(
    paths: Any,
    *,
    subject: str | None = None,
    session: Labels = None,
    run: Labels = None,
    channels: str | Sequence[str] | None = None,
) -> xr.DataArray:
    """Join epochs that mne saved (``-epo.fif``), of one subject; their values stay on disk until they are needed.

    Parameters
    ----------
    paths : one or several files
        Of epochs in several parts the first.
    subject : str
    session, run : one value, or one for each file
    channels : "eeg", "mag", "grad", or names; all that no file calls bad by default

    Returns
    -------
    (sample, channel, time), float32; lazy with dask, one chunk a file
        Labels as :func:`neurodecode.brain.meeg` takes them from epochs: ``stimulus`` from the metadata column of this
        name, else the names of events; the metadata columns that all files have. ``sample`` is the name of the file
        without its ending, and that of the epoch. ``repeat`` is counted over all files, unless a column says it.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, truncated or of another kind, or files differ in channels or times.
    MemoryError
        If the epochs do not fit and dask is not there.
    """
    files = [Path(path) for path in _several(paths)]
    names = [path.name.split(".")[0].removesuffix("epo").rstrip("-_") for path in files]
    _require_names(names)
    opened = [_header(path) for path in files]
    taken, bad = shared([one.info for one in opened], who=[str(path) for path in files], wanted=channels)
    heads = [brain.meeg(_zeros(one, taken)) for one in opened]
    first = heads[0]
    for path, one in zip(files, opened, strict=True):
        require_same_times(
            one.times, opened[0].times, who=(str(path), str(files[0])), remedy="crop and resample them to one"
        )
    sizes = [head.sizes["sample"] for head in heads]
    values = rows(
        _values,
        [(path, taken) for path in files],
        sizes,
        (len(taken), len(opened[0].times)),
        what=f"{sum(sizes)} epochs of {len(taken)} channels",
        remedy="take fewer channels",
    )
    array = brain.meeg(
        values,
        sample=[f"{n}_{s}" for n, head in zip(names, heads, strict=True) for s in head["sample"].values],
        stimulus=_joined([head.stimulus.values for head in heads]),
        channel=taken,
        time=opened[0].times,
        kind=first.kind.values,
        xyz=xyz_of(first),
        subject=subject,
        units=first.attrs["units"],
    )
    array = array.assign_coords(_labels(heads, sizes, array, session=session, run=run))
    return array.assign_attrs(bad_channels=", ".join(bad))


def _labels(
    heads: Sequence[xr.DataArray], sizes: list[int], array: xr.DataArray, *, session: Labels, run: Labels
) -> dict[str, Any]:
    """Columns that all files have, then what was given for the files."""
    found = {
        str(name): _joined([head[name].values for head in heads])
        for name, coord in heads[0].coords.items()
        if coord.dims == ("sample",) and all(name in head.coords for head in heads)
    }
    for key, given in (("session", session), ("run", run)):
        if given is not None:
            found[key] = np.repeat(np.array(_each(given, len(heads), key), dtype=str), sizes)
    found.setdefault("repeat", seen_before(array.stimulus.values))
    return {k: ("sample", v) for k, v in found.items() if k not in ("sample", "stimulus")}


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Labels of all files; numbers become text where another file has text."""
    text = any(column.dtype.kind == "U" for column in columns)
    return np.concatenate([texts(column) if text else column for column in columns])


def _header(path: Path) -> Any:
    import mne

    present(path, what="epochs", source=SOURCE)
    with _whole(path):
        return mne.read_epochs(path, preload=False, verbose="warning")


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn what mne says of a truncated file, once as a warning and once in puzzling words, into an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This filename")
        # mne 1.13 opens a truncated file, and only warns.
        warnings.filterwarnings("error", "Invalid tag", RuntimeWarning)
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:  # mne reports damage without order
            if isinstance(error, FileNotFoundError) and path.name not in str(error):
                raise FileNotFoundError(f"{path} has a second part that is missing: {error}") from error
            raise ValueError(
                f"{path} ({path.stat().st_size} bytes) is truncated or holds no epochs that mne saved: {error}; copy "
                "it again"
            ) from error


def _values(path: Path, channels: list[str]) -> np.ndarray:
    """Epochs (epoch, channel, time) of one file, float32."""
    with ONE_AT_A_TIME:
        opened = _header(path)
        with _whole(path):
            found = opened.get_data(picks=channels, verbose="error")
    return np.asarray(found, dtype=np.float32)


def _zeros(opened: Any, channels: list[str]) -> Any:
    """Epochs with the labels of those in the file, but one time of zeros: brain.meeg reads the labels from them."""
    import mne

    return mne.EpochsArray(
        np.zeros((len(opened), len(channels), 1)),
        only(opened.info, channels),
        events=opened.events,
        event_id=opened.event_id,
        metadata=opened.metadata,
        selection=opened.selection,
        drop_log=opened.drop_log,
        verbose="error",
    )


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _each(given: Labels, count: int, what: str) -> list[str | None]:
    """A label for each of ``count``."""
    if given is None or isinstance(given, str | int):
        return [None if given is None else str(given)] * count
    if len(given) != count:
        raise ValueError(f"{what} has {len(given)} values for {count} files; give one, or one for each")
    return [str(label) for label in given]


def _require_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ValueError(
            f"{listed(twice)} occurs more than once; every file needs a name, or session and run, of its own"
        )
