"""Figures: labelled arrays in, matplotlib axes or figures out. Nothing scientific is computed here.

Means, intervals and statistics arrive computed (from spatial, temporal and inference) and are drawn as they are; error
bars and n are written on the figure. matplotlib, nilearn, mne and pycortex are loaded when a function first needs them.
"""

from __future__ import annotations

from .bars import profile, regions
from .curves import time_course
from .histograms import selection, selection_panels
from .intervals import intervals
from .look import COLUMN, LAYER_COLOURS, PAGE, save, spell_layers, style
from .matrices import generalisation, generalisation_panels
from .pictures import iterations, reconstructions
from .sensors import topographies
from .surface import cortex
from .tables import metric_table
from .transfer import transfer, transfer_panels
from .viewers import cortex_html, cortex_viewer
from .volume import slice_map

__all__ = [
    "COLUMN",
    "LAYER_COLOURS",
    "PAGE",
    "cortex",
    "cortex_html",
    "cortex_viewer",
    "generalisation",
    "generalisation_panels",
    "intervals",
    "iterations",
    "metric_table",
    "profile",
    "reconstructions",
    "regions",
    "save",
    "selection",
    "selection_panels",
    "slice_map",
    "spell_layers",
    "style",
    "time_course",
    "topographies",
    "transfer",
    "transfer_panels",
]
