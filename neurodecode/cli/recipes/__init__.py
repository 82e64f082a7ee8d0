"""What ``neurodecode prepare`` knows of each dataset: its options, its files, its loader."""

from ._recipe import Recipe
from .nsd import NSD
from .things import EEG, EEG_PUBLISHED

__all__ = ["RECIPES", "Recipe"]

RECIPES = {"nsd": NSD, "things-eeg": EEG, "things-eeg-published": EEG_PUBLISHED}
