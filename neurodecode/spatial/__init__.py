"""Floor 3: where in the brain. Decode per region, map weights onto voxels, summarise by region, hand over to images.

Figures 7 and 9a-d of the method's paper (MindDiffuser, 2025).
"""

from ..maps import unit_range, weight_map
from .bootstrap import map_bootstrap
from .ceiling import ceiling
from .decode import decode
from .export import to_surface, to_volume
from .permutation import map_permutation
from .profile import contrast, region_profile
from .transfer import transfer, transfer_across

__all__ = [
    "ceiling",
    "contrast",
    "decode",
    "map_bootstrap",
    "map_permutation",
    "region_profile",
    "to_surface",
    "to_volume",
    "transfer",
    "transfer_across",
    "unit_range",
    "weight_map",
]
