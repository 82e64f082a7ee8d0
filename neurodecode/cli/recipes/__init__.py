"""What ``neurodecode prepare`` knows of each dataset: its options, its files, its loader."""

from ._recipe import Recipe
from .kamitani import KAMITANI
from .nsd import NSD
from .own import BIDS_FMRI, BIDS_MEEG, EPOCHS, HAXBY
from .things import EEG, EEG_PUBLISHED, MEG, MEG_RAW

__all__ = ["RECIPES", "Recipe"]

RECIPES = {
    "nsd": NSD,
    "things-eeg": EEG,
    "things-eeg-published": EEG_PUBLISHED,
    "things-meg": MEG,
    "things-meg-raw": MEG_RAW,
    "kamitani": KAMITANI,
    "haxby": HAXBY,
    "bids-fmri": BIDS_FMRI,
    "bids-meeg": BIDS_MEEG,
    "epochs": EPOCHS,
}
