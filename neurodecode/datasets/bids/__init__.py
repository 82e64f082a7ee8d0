"""Any dataset in BIDS (Brain Imaging Data Structure): fMRI runs and EEG or MEG runs with their events.

Source: Gorgolewski et al. 2016, Scientific Data 3: 160044 (MRI); Niso et al. 2018, 5: 180110 (MEG); Pernet et al. 2019,
6: 103 (EEG); bids-standard/bids-specification. Nothing is downloaded, and nothing is written into the dataset.

An event becomes a sample, with what a column of ``events.tsv`` says as its stimulus: ``stim_file``, ``trial_type`` or
any other, for the tables of many datasets have no ``trial_type`` (ds001246: ``event_type``, ``stimulus_name``). Onsets
are seconds from the first volume or sample that is stored (bids-specification, src/schema/objects/columns.yaml).

fMRI samples are means over a window after onset. That is right for blocks and slow designs; where responses overlap,
fit a single-trial model with your own tool (nilearn's FirstLevelModel, GLMsingle, fMRIPrep's relatives) and bring its
estimates in with :func:`neurodecode.brain.fmri`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from ...labels import listed, require_choice
from .. import _bold
from .._inventory import Item, item
from . import recordings, volumes
from .layout import File, Names, applicable, events_path, plain, raw_folder, source_of, subject_folder
from .layout import recordings as everything

__all__ = ["fmri", "inventory", "meeg"]


def fmri(
    root: str | Path,
    *,
    subject: str | int,
    task: str,
    stimulus: str,
    session: Names = None,
    run: Names = None,
    space: str | None = None,
    mask: Any = None,
    roi: Any = None,
    columns: Sequence[str] = (),
    window: tuple[float, float] = (4.0, 8.0),
    detrend: int | None = 1,
    standardise: bool = False,
    tr: float | None = None,
    derivatives: str | Path | None = "derivatives",
    entities: Mapping[str, str] | None = None,
) -> xr.DataArray:
    """Load one sample an event: the mean of the volumes acquired in a window after its onset.

    The volumes are those that fMRIPrep (or a pipeline that names files like it) made; where there are none, those of
    the dataset itself, which are not aligned to each other. With dask (the extra ``scale``) the responses are lazy, one
    chunk a run, and only headers are read here.

    Parameters
    ----------
    root : path
        The dataset's folder, with sub-01 and so on.
    subject, task : labels, with or without "sub-" and "task-"
    stimulus : column of events.tsv
        Rows without a value in it are left out: give responses, fixation and so on none there, or take another column.
    session, run : one or several, or None for all
    space : str, optional
        Of the preprocessed volumes, as their names say it; needed if there are several. "" for those that say none.
    mask : 3-D image or path, optional
        By default the voxels that are in the brain mask of every run.
    roi : as :func:`neurodecode.brain.fmri` takes it for images
        {name: 3-D mask}, or (3-D atlas, {label: name}), on the grid of the volumes.
    columns : further columns of events.tsv that become coordinates
        ``trial_type`` always does. One that bears a name of ours (run, repeat ...) becomes ``event_<name>``.
    window : (from, to) in s after onset
        Volumes at from <= t < to are averaged. Volume i was acquired at ``StartTime`` + i TR, with StartTime from the
        json file of the derivatives (0 without): fMRIPrep shifts slices to the middle of the TR.
    detrend : degree of the polynomial that is removed from every voxel in every run; None: as recorded
    standardise : bool
        Divide every voxel by its SD in the run, after that. Both use all volumes of a run and no label.
    tr : s between volumes, if the json files and headers do not say it or disagree
    derivatives : folder below ``root`` or anywhere
        The pipeline's folder or the one above. None: the volumes of the dataset itself.
    entities : further parts of file names, where one run has several files
        {"echo": "1"}, {"res": "2"} ...

    Returns
    -------
    (sample, voxel), float32
        ``sample`` "sub-01_task-x_run-1_e0003" after the row in events.tsv; ``stimulus``; ``session`` "ses-01"; ``run``
        "ses-01_run-1"; ``repeat``; columns of events.tsv; ``voxel``, the position in the flattened volume; ``roi``;
        ``x y z`` in mm. attrs: subject, task, space, affine, shape, window; ``volumes``, the folder of the
        derivatives they come from, or "raw"; how many events were left out: ``events_without_value``,
        ``events_without_onset``, ``events_beyond`` the recording; ``events_zero_length``, which stay.

    Raises
    ------
    FileNotFoundError
        If a file is missing, or a placeholder of datalad.
    ValueError
        If there is no such subject, task, session, run, space or column, what it has is named; if a run has several
        files, derivatives lack a run, files are damaged or do not fit each other, or TRs are missing or disagree.
    MemoryError
        If the responses do not fit and dask is not there.
    """
    root = Path(root)
    bold = volumes.find(
        root,
        subject=subject,
        task=task,
        session=session,
        run=run,
        space=space,
        derivatives=derivatives,
        entities=entities,
    )
    if bold.without:
        raise ValueError(
            f"{bold.pipeline} lacks {len(bold.without)} of {len(bold.files) + len(bold.without)} runs of the dataset: "
            f"{listed(one.name for one in bold.without)}; preprocess them, or name those to take as run= or session="
        )
    if mask is None and bold.pipeline is None:
        raise ValueError(
            f"{root} has no preprocessed volumes of this subject in {derivatives!r}, so no brain mask: give mask="
        )
    array = _bold.responses(
        [volumes.run_of(bold, file, stimulus=stimulus, columns=columns, tr=tr) for file in bold.files],
        masks=[mask] if mask is not None else [volumes.mask_path(file) for file in bold.files],
        roi=roi,
        window=window,
        detrend=detrend,
        standardise=standardise,
        source=bold.source,
        subject=f"sub-{bold.files[0].entities['sub']}",
        space=bold.space,
    )
    return array.assign_attrs(task=bold.files[0].entities["task"], volumes=bold.where)


def meeg(
    root: str | Path,
    *,
    subject: str | int,
    task: str,
    stimulus: str,
    session: Names = None,
    run: Names = None,
    datatype: str | None = None,
    columns: Sequence[str] = (),
    channels: str | Sequence[str] | None = None,
    window: tuple[float, float] = (-0.2, 0.8),
    band: tuple[float | None, float | None] | None = None,
    rate: float | None = None,
    baseline: tuple[float | None, float | None] | None = None,
    entities: Mapping[str, str] | None = None,
) -> xr.DataArray:
    """Load one epoch an event, through mne-bids (the extra ``bids``).

    Every run is filtered whole, cut, and resampled: ``raw.filter(*band)``, ``mne.Epochs(..., baseline)``,
    ``epochs.resample(rate)``, each with mne's defaults. Nothing is re-referenced, and no epoch is rejected. With dask
    (the extra ``scale``) the epochs are lazy, one chunk a run, and only headers are read here.

    Parameters
    ----------
    root, subject, task, stimulus, session, run, columns, entities : as :func:`fmri`
    datatype : {"eeg", "meg"}, if the subject has both
    channels : "eeg", "mag", "grad", or names
        By default all EEG or all MEG channels; a kind must be chosen where there are several. Channels that
        channels.tsv of any run calls bad are left out of all.
    window : (from, to) in s after onset
    band : (low, high) in Hz, None for no edge
    rate : Hz of the result
    baseline : (from, to) in s whose mean is subtracted

    Returns
    -------
    (sample, channel, time), float32, V or T or T/m
        Labels and counts as :func:`fmri`; ``channel``, ``kind``, ``x y z`` where channels have positions; attrs
        ``bad_channels``.

    Raises
    ------
    ImportError
        If mne-bids is not there.
    FileNotFoundError
        If a file is missing, or a placeholder of datalad.
    ValueError
        If there is no such subject, task, session, run, column or channel, what it has is named; if a run has several
        files, recordings are damaged or shorter than their json files say, or runs differ in channels or times.
    MemoryError
        If the epochs do not fit and dask is not there.
    """
    recordings.require_mne_bids()
    root = Path(root)
    if not window[0] < window[1]:
        raise ValueError(f"window must be (from, to) in s after onset, got {window}")
    files = recordings.find(
        root,
        subject=subject,
        task=task,
        session=session,
        run=run,
        datatype=datatype,
        entities=entities,
    )
    steps = recordings.Steps(window, band, rate, baseline)
    array = recordings.responses(
        root, files, stimulus=stimulus, columns=columns, channels=channels, steps=steps
    )
    return array.assign_attrs(task=files[0].entities["task"])


def inventory(
    root: str | Path,
    *,
    subject: str | int,
    task: str,
    of: str | None = None,
    session: Names = None,
    run: Names = None,
    space: str | None = None,
    derivatives: str | Path | None = "derivatives",
    entities: Mapping[str, str] | None = None,
) -> list[Item]:
    """Files of one subject and task that :func:`fmri` or :func:`meeg` would read, found or missing.

    Parameters
    ----------
    root, subject, task, session, run, entities : as both take them
    of : {"fmri", "meeg", "eeg", "meg"}, optional
        What one of the two reads: :func:`fmri`, or :func:`meeg`, with ``datatype="eeg"`` or "meg" where the subject has
        both. By default what either reads, of all that the subject has of this task.
    space, derivatives : as :func:`fmri` takes them

    Returns
    -------
    One item a file: what it is, its path, whether it is needed, found, or why it cannot be read.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such dataset, subject or task, no data of that kind, or more than one file of a run.
    """
    if of is not None:
        require_choice(of, ("fmri", "meeg", "eeg", "meg"), what="of")
    root = Path(root)
    folder = subject_folder(root, subject)
    source = source_of(root)
    found = [item(root / "dataset_description.json", what="name of the dataset", source=source, needed=False)]
    fmri_too, datatypes = (of == "fmri", _datatypes(of)) if of is not None else _with_task(folder, task)
    if fmri_too:
        bold = volumes.find(
            root,
            subject=subject,
            task=task,
            session=session,
            run=run,
            space=space,
            derivatives=derivatives,
            entities=entities,
        )
        found += _of_bold(bold)
    for datatype in datatypes:
        files = recordings.find(
            root,
            subject=subject,
            task=task,
            session=session,
            run=run,
            datatype=datatype,
            entities=entities,
        )
        found += [one for file in files for one in _of_recording(root, file)]
    return found


def _datatypes(of: str) -> list[str | None]:
    """What :func:`meeg` would be asked for; None: the one that is there."""
    if of == "fmri":
        return []
    return [None if of == "meeg" else of]


def _with_task(folder: Path, task: str) -> tuple[bool, list[str | None]]:
    """Whether volumes are looked for, and of which datatypes the subject has recordings of this task."""
    suffixes = {"func": "bold", "eeg": "eeg", "meg": "meg"}
    found = {
        datatype: everything(folder, datatypes=(datatype,), suffixes=(suffix,))
        for datatype, suffix in suffixes.items()
    }
    tasks = {one.entities.get("task", "") for files in found.values() for one in files}
    if tasks and plain(task, "task") not in tasks and not found["func"]:
        raise ValueError(f"{folder} has no task {task!r}; it has {listed(sorted(tasks), most=40)}")
    there = [
        datatype
        for datatype, files in found.items()
        if any(one.entities.get("task") == plain(task, "task") for one in files)
    ]
    return "func" in there or not there, [one for one in there if one != "func"]


def _of_bold(bold: volumes.Bold) -> list[Item]:
    source, items = bold.source, []
    for file in bold.files:
        items.append(item(file.path, what=f"volumes of {file.name}", source=source))
        if bold.pipeline is not None:
            mask = volumes.mask_path(file)
            items.append(
                item(mask, what=f"brain mask of {file.name}", source=source, needed=False)
            )  # or mask=
        items.append(item(events_path(bold.root, file), what=f"events of {file.name}", source=source))
        items += _sidecars(bold.root, file, "bold")
    for file in bold.without:
        missing = bold.files[0].path.parent / f"{file.name}_desc-preproc_bold.nii.gz"
        items.append(Item(f"preprocessed volumes of {file.name}", missing, True, "not there"))
    return items


def _of_recording(root: Path, file: File) -> list[Item]:
    source = source_of(root)
    items = [item(path, what=f"recording of {file.name}", source=source) for path in recordings.beside(file)]
    items.append(item(events_path(root, file), what=f"events of {file.name}", source=source))
    channels = applicable(root, file.path.parent, file.recording, suffix="channels", ending=".tsv")
    usual = file.path.with_name(f"{file.name}_channels.tsv")
    items.append(
        item(next(iter(channels), usual), what=f"channels of {file.name}", source=source, needed=False)
    )
    return items + _sidecars(root, file, file.suffix)


def _sidecars(root: Path, file: File, suffix: str) -> list[Item]:
    folder = raw_folder(root, file)
    there = applicable(root, folder, file.recording, suffix=suffix, ending=".json")
    paths = there or [folder / f"{file.name}_{suffix}.json"]
    return [
        item(path, what=f"json file of {file.name}", source=source_of(root), needed=False) for path in paths
    ]
