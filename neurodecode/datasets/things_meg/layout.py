"""Where THINGS-MEG keeps what: the paths of one subject's files, and numbers that hold for all of them.

Paths after the tree of OpenNeuroDatasets/ds004212 and the script that made the derivatives, ViCCo-Group/THINGS-data,
MEG/step1_preprocessing.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .._files import Source, listed_at

SOURCE = Source("THINGS-MEG", "openneuro.org/datasets/ds004212")
SUBJECTS = range(1, 5)
SESSIONS = range(1, 13)
# Of every session (480 in all).
RUNS = range(1, 11)
# Axial gradiometers that are left once the malfunctioning one is dropped (step1_preprocessing.py, from the
# experimenters' notes).
SENSORS = 271
BROKEN = "MRO11-1609"
# Folders of the derivatives below the dataset's folder, and what a user may give instead of that.
FOLDERS = ("derivatives/preprocessed", "preprocessed", "")


@dataclass(frozen=True)
class Files:
    """Paths of one subject's files below the dataset's folder, or below that of its derivatives.

    Raises
    ------
    ValueError
        If there is no such subject.
    """

    root: Path
    subject: int

    def __post_init__(self) -> None:
        if self.subject not in SUBJECTS:
            raise ValueError(f"subject must be 1 to {SUBJECTS[-1]}, got {self.subject!r}")

    @property
    def who(self) -> str:
        """As the recordings call the subject: sub-BIGMEG1."""
        return f"sub-BIGMEG{self.subject}"

    @property
    def epochs(self) -> Path:
        """First part of the preprocessed epochs: where it is, else where it ought to be."""
        paths = [self.root / folder / f"preprocessed_P{self.subject}-epo.fif" for folder in FOLDERS]
        return next((path for path in paths if listed_at(path)), paths[0])

    @property
    def attributes(self) -> Path:
        """Which picture was shown in which trial: where it is, else where it ought to be."""
        name = f"sourcedata/sample_attributes_P{self.subject}.csv"
        # The dataset's folder, also if that of the derivatives was given.
        paths = [folder / name for folder in (self.root, self.root.parent, self.root.parent.parent)]
        return next((path for path in paths if listed_at(path)), paths[0])

    def folder(self, session: int) -> Path:
        """Recordings of a session, counted from 1."""
        return self.root / self.who / f"ses-{session:02d}/meg"

    def name(self, session: int, run: int) -> str:
        """How the files of a run begin, both counted from 1."""
        return f"{self.who}_ses-{session:02d}_task-main_run-{run:02d}"

    def run(self, session: int, run: int) -> Path:
        """Recording of a run, a folder."""
        return self.folder(session) / f"{self.name(session, run)}_meg.ds"

    def events(self, session: int, run: int) -> Path:
        """What was shown in a run."""
        return self.folder(session) / f"{self.name(session, run)}_events.tsv"
