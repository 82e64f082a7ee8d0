"""Where NSD keeps what: the paths of one subject's files, and numbers that hold for all of them.

Paths after cvnlab/nsddatapaper (main/export.m, analysis_surfaceroistovolume.m, analysis_transformfsaverage.m there),
which wrote the files; those of transforms after cvnlab/nsdcode (nsdcode/parse_case.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .._files import Source

SOURCE = Source("the Natural Scenes Dataset", "naturalscenesdataset.org", "NSD Data Access Agreement")
SUBJECTS = range(1, 9)
# Sessions that subjects 1 to 8 came to, and trials of each (NSD Data Manual, Technical notes).
SESSIONS = (40, 40, 32, 30, 40, 32, 40, 30)
TRIALS = 750
# Stored integer / SCALE = percent signal change (NSD Data Manual, Functional data NSD).
SCALE = 300
SPACE = "func1pt8mm"
# Surfaces with betas, and what their files' names end with; fsaverage has as many vertices left and right.
SURFACES = {"fsaverage": "mgh", "nativesurface": "hdf5"}
FSAVERAGE = "fsaverage"
SIDES = {"lh": "left", "rh": "right"}
# 25, 50 and 75 % of the way from the pial to the white surface (cvnlab/nsdcode, examples_nsdmapdata.py).
DEPTHS = ("layerB1", "layerB2", "layerB3")
# Atlases that were drawn for each subject: a file of fsaverage would be somebody else's.
DRAWN = ("prf-", "floc-")
VERSIONS = ("betas_fithrf_GLMdenoise_RR", "betas_fithrf", "betas_assumehrf")

_EARLY = dict(enumerate(("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"), 1))
# Numbers in the ROI files. Names: NSD Data Manual, ROIs; the numbers agree between several public readers of the
# colour tables. Those of prf-eccrois are assumed to follow the manual's order (unverified).
LABELS = {
    "Kastner2015": _EARLY
    | dict(enumerate(("VO1", "VO2", "PHC1", "PHC2", "TO2", "TO1", "LO2", "LO1", "V3B", "V3A"), 8))
    | {18 + i: f"IPS{i}" for i in range(6)}
    | {24: "SPL1", 25: "FEF"},
    "prf-visualrois": _EARLY,
    "prf-eccrois": dict(enumerate(("ecc0pt5", "ecc1", "ecc2", "ecc4", "ecc4+"), 1)),
    "floc-faces": dict(enumerate(("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"), 1)),
    "floc-bodies": dict(enumerate(("EBA", "FBA-1", "FBA-2", "mTL-bodies"), 1)),
    "floc-places": dict(enumerate(("OPA", "PPA", "RSC"), 1)),
    "floc-words": dict(enumerate(("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"), 1)),
    "streams": dict(
        enumerate(("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"), 1)
    ),
    "nsdgeneral": {1: "nsdgeneral"},
}


@dataclass(frozen=True)
class Files:
    """Paths of one subject's files below the dataset's folder.

    Raises
    ------
    ValueError
        If there is no such subject.
    """

    root: Path
    subject: int
    version: str = VERSIONS[0]

    def __post_init__(self) -> None:
        if self.subject not in SUBJECTS:
            raise ValueError(f"subject must be 1 to {SUBJECTS[-1]}, got {self.subject!r}")

    @property
    def who(self) -> str:
        """As the files call the subject: subj01."""
        return f"subj{self.subject:02d}"

    @property
    def planned(self) -> int:
        """How many sessions the subject came to."""
        return SESSIONS[self.subject - 1]

    @property
    def design(self) -> Path:
        """Which picture was shown when, of all subjects."""
        return self.root / "nsddata/experiments/nsd/nsd_expdesign.mat"

    @property
    def pictures(self) -> Path:
        """All 73,000 pictures: where they come from, and who was to see them when."""
        return self.root / "nsddata/experiments/nsd/nsd_stim_info_merged.csv"

    @property
    def behaviour(self) -> Path:
        """What the subject answered in every trial."""
        return self.root / "nsddata/ppdata" / self.who / "behav/responses.tsv"

    @property
    def volumes(self) -> Path:
        """Folder of masks and atlases."""
        return self.root / "nsddata/ppdata" / self.who / SPACE

    @property
    def betas(self) -> Path:
        """Folder of the betas."""
        return self.root / "nsddata_betas/ppdata" / self.who / SPACE / self.version

    @property
    def brainmask(self) -> Path:
        """Mask that was applied to the betas."""
        return self.volumes / "brainmask.nii.gz"

    @property
    def ncsnr(self) -> Path:
        """Ratio of signal to noise SD."""
        return self.betas / "ncsnr.nii.gz"

    def valid(self, session: int) -> Path:
        """Voxels that were recorded in a session, counted from 1."""
        return self.volumes / f"valid_session{session:02d}.nii.gz"

    def session(self, session: int, ending: str) -> Path:
        """Betas of a session, counted from 1; ending "hdf5" or "nii.gz"."""
        return self.betas / f"betas_session{session:02d}.{ending}"

    def roi(self, atlas: str, side: str = "") -> Path:
        """Atlas in the volume: of both hemispheres, or of side "lh" or "rh"."""
        return self.volumes / "roi" / f"{side}{'.' if side else ''}{atlas}.nii.gz"

    def surface(self, space: str) -> Path:
        """Folder of the betas on a surface."""
        return self.root / "nsddata_betas/ppdata" / self.who / space / self.version

    def surface_session(self, space: str, session: int, side: str) -> Path:
        """Betas of a session, counted from 1, on side "lh" or "rh" of a surface."""
        return self.surface(space) / f"{side}.betas_session{session:02d}.{SURFACES[space]}"

    def surface_ncsnr(self, space: str, side: str) -> Path:
        """Ratio of signal to noise SD on a surface."""
        return self.surface(space) / f"{side}.ncsnr.mgh"

    def label(self, atlas: str, side: str, *, brain: str = "") -> Path:
        """Atlas on side "lh" or "rh" of the subject's own surface, or of that of another ``brain``."""
        return self.root / "nsddata/freesurfer" / (brain or self.who) / f"label/{side}.{atlas}.mgz"

    def transform(self, name: str, side: str) -> Path:
        """Where the vertices of a surface lie elsewhere: "white-to-fsaverage", "func1pt8-to-layerB1" ..."""
        return self.root / "nsddata/ppdata" / self.who / f"transforms/{side}.{name}.mgz"

    def names(self, atlas: str) -> Path:
        """Names of an atlas' numbers: the subject's own table, else that of fsaverage."""
        folder = self.root / "nsddata/freesurfer"
        own = folder / self.who / f"label/{atlas}.mgz.ctab"
        return own if own.exists() else folder / f"fsaverage/label/{atlas}.mgz.ctab"
