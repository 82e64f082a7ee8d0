"""BOLD runs of one subject: preprocessed ones of the derivatives, else those of the dataset itself.

Derivatives bear the names that fMRIPrep gives them: ``derivatives/fmriprep/sub-01/[ses-01/]func/
sub-01_task-x_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz``, beside it ``..._desc-brain_mask.nii.gz`` and a
json file with ``RepetitionTime`` and ``StartTime``, the time to which slices were shifted (BIDS derivatives; nilearn
0.14.1, glm/first_level/first_level.py reads the same names).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...labels import listed
from .._bold import Run, with_tr
from .._events import read_events
from .._files import Source
from .._images import open_image, seconds_between_volumes
from .layout import (
    File,
    Names,
    chosen,
    events_path,
    matching,
    narrowed,
    one_a_run,
    plain,
    raw_folder,
    recordings,
    sidecar,
    source_of,
    subject_folder,
)

ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Bold:
    """Runs of one task.

    Attributes
    ----------
    root : the dataset
    pipeline : folder of the derivatives; None for runs of the dataset itself
    files : one a run, in order
    without : runs of the dataset that the derivatives lack
    space : of the volumes, "" where the names do not say
    source : for messages
    """

    root: Path
    pipeline: Path | None
    files: list[File]
    without: list[File]
    space: str
    source: Source

    @property
    def where(self) -> str:
        """Folder of the derivatives, below the dataset's where it lies there; "raw" for the dataset itself."""
        if self.pipeline is None:
            return "raw"
        inside = self.pipeline.is_relative_to(self.root)
        return str(self.pipeline.relative_to(self.root) if inside else self.pipeline)


def find(
    root: Path,
    *,
    subject: str | int,
    task: str,
    session: Names,
    run: Names,
    space: str | None,
    derivatives: str | Path | None,
    entities: Mapping[str, str] | None,
) -> Bold:
    """Find the runs.

    Raises
    ------
    FileNotFoundError
        If there is no such dataset.
    ValueError
        If there is no such subject, task, session, run or space, or more than one that would do.
    """
    folder = subject_folder(root, subject)
    who = f"{folder.name} in {root}"
    raw = _volumes(folder)
    pipeline, files = None, raw
    if derivatives is not None:
        # root / an absolute path is that path.
        pipeline, made = _derived(root / derivatives, folder.name)
        files = made if pipeline is not None else raw
    if not files:
        raise ValueError(f"{who} has no volumes (*_bold.nii.gz), neither of its own nor in {derivatives!r}")
    where = f"{folder.name} in {pipeline or root}"
    files = narrowed(files, task=task, session=session, run=run, entities=entities, who=where)
    files, space = _of_space(files, space, where, derived=pipeline is not None)
    files = one_a_run(files, who=where)
    without = [] if pipeline is None else _lacking(raw, files, task, session, run)
    return Bold(root, pipeline, files, without, space, source_of(root))


def _lacking(raw: list[File], files: list[File], task: str, session: Names, run: Names) -> list[File]:
    """Runs of the dataset, of this task and the sessions and runs asked for, that the derivatives do not have."""
    there = {one.run for one in files}
    for key, wanted in {"task": task, "ses": session, "run": run}.items():
        raw = matching(raw, key, wanted)
    return [one for one in raw if one.run not in there]


def _volumes(folder: Path) -> list[File]:
    found = recordings(folder, datatypes=("func",), suffixes=("bold",))
    return [one for one in found if one.ending in ENDINGS]


def _derived(folder: Path, who: str) -> tuple[Path | None, list[File]]:
    """The one pipeline below a folder, or the folder itself, that has preprocessed volumes of a subject."""
    places = [folder, *sorted(folder.iterdir())] if folder.is_dir() else []
    found = {}
    for place in places:
        files = [one for one in _volumes(place / who) if one.entities.get("desc") == "preproc"]
        if files:
            found[place] = files
    if len(found) > 1:
        raise ValueError(
            f"{len(found)} folders have preprocessed volumes of {who}: {listed(map(str, found))}; name one: "
            "derivatives="
        )
    return next(iter(found.items()), (None, []))


def _of_space(files: Sequence[File], space: str | None, who: str, *, derived: bool) -> tuple[list[File], str]:
    if not derived:
        if space:
            raise ValueError(
                f"{who} has no preprocessed volumes, so none in space {space!r}; leave space out for those of the "
                "dataset itself, or say where the others are as derivatives="
            )
        return list(files), ""
    there = sorted({one.entities.get("space", "") for one in files})
    if space is None:
        if len(there) > 1:
            raise ValueError(
                f"{who} has volumes in the spaces {listed(there)}; choose one with space= ('' is the one that "
                "names do not say)"
            )
        space = there[0]
    return chosen(files, "space", space, who=who), plain(space, "space")


def run_of(bold: Bold, file: File, *, stimulus: str, columns: Sequence[str], tr: float | None) -> Run:
    """One run with its events and the time between its volumes.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, or the time between volumes is not known.
    """
    events = read_events(
        events_path(bold.root, file),
        stimulus=stimulus,
        columns=columns,
        what=f"events of {file.name}",
        source=bold.source,
    )
    places = {"the json of the dataset": _said(bold.root, raw_folder(bold.root, file), file.recording)}
    start = 0.0
    if bold.pipeline is not None:
        made = _said(bold.pipeline, file.path.parent, file.entities)
        places = {"the json of the derivatives": made, **places}
        start = made.get("StartTime", 0.0)
    found = {place: said["RepetitionTime"] for place, said in places.items() if "RepetitionTime" in said}
    image = open_image(file.path, what=f"volumes of {file.name}", source=bold.source)
    header = seconds_between_volumes(image)
    if header is not None:
        found["the header"] = header
    run = Run(file.name, file.path, events, 0.0, start, file.session, file.run)
    return with_tr(run, found, tr)


def _said(root: Path, folder: Path, entities: Mapping[str, str]) -> dict[str, float]:
    said = sidecar(root, folder, entities, suffix="bold")
    found = {key: said[key] for key in ("RepetitionTime", "StartTime") if said.get(key) is not None}
    wrong = {k: v for k, v in found.items() if isinstance(v, bool) or not isinstance(v, int | float)}
    if wrong:
        raise ValueError(f"the json files of {folder} say {wrong}; both must be numbers of seconds")
    return {key: float(value) for key, value in found.items()}


def mask_path(file: File) -> Path:
    """The brain mask that goes with preprocessed volumes; its usual place if there is none."""
    fits = [
        one
        for one in recordings(file.path.parents[1], datatypes=(file.path.parent.name,), suffixes=("mask",))
        if one.ending in ENDINGS
        and one.entities.get("desc") == "brain"
        and one.entities.get("space") == file.entities.get("space")
        and {k: v for k, v in one.entities.items() if k != "desc"}.items() <= file.entities.items()
    ]
    usual = file.path.with_name(
        file.path.name.replace("_desc-preproc_bold", "_desc-brain_mask").removesuffix(file.ending) + ".nii.gz"
    )
    return max(fits, key=lambda one: len(one.entities)).path if fits else usual
