"""Top: from responses to scored pictures: decoders, both stages, metrics. What ``neurodecode reconstruct`` runs."""

from .data import Data, data_from, lab_data
from .files import require_nothing_written, write, write_csv, write_pictures
from .fits import Fits, Mean, prepared, two_stage
from .plan import N_VOXELS, TRUST, Plan, arguments, planned
from .run import STAGES, run, score, scored

__all__ = [
    "N_VOXELS",
    "STAGES",
    "TRUST",
    "Data",
    "Fits",
    "Mean",
    "Plan",
    "arguments",
    "data_from",
    "lab_data",
    "planned",
    "prepared",
    "require_nothing_written",
    "run",
    "score",
    "scored",
    "two_stage",
    "write",
    "write_csv",
    "write_pictures",
]
