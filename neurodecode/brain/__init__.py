"""Floor 1: labelled brain data, features and images from arrays, NIfTI images and mne.Epochs.

>>> import numpy as np, neurodecode as nd
>>> betas = nd.brain.fmri(
...     np.zeros((4, 3)), sample=["a1", "a2", "b1", "b2"], stimulus=["a", "a", "b", "b"], roi=["V1", "V1", "LO"]
... )
>>> nd.brain.average_repeats(betas).trials.values
array([2, 2])
>>> nd.brain.regions(betas, ["LVC", "LO"]).sum("voxel").values
array([2, 1])
"""

from .arrays import fmri, meeg
from .categories import one_hot
from .regions import GROUPS, regions
from .repeats import average_repeats
from .stimuli import features, images, spaces, stack, units
from .subjects import by_subject

__all__ = [
    "GROUPS",
    "average_repeats",
    "by_subject",
    "features",
    "fmri",
    "images",
    "meeg",
    "one_hot",
    "regions",
    "spaces",
    "stack",
    "units",
]
