"""The plan: what is coded where, and when. The simulators read it and know nothing else about the feature spaces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from ...labels import listed
from .cortex import REGIONS

# From this gain on a region counts as carrying a feature space; what is below is a leak.
CARRIES = 0.35
# Spaces of one population are carried by the same voxels: text embedding, CLIP's final embedding and its last block;
# CLIP's shallow blocks; those between; the image latent.
_POPULATIONS = {
    "c": "meaning",
    "Linear-2": "structure",
    "Linear-4": "structure",
    "Linear-6": "structure",
    "Linear-8": "intermediate",
    "Linear-10": "intermediate",
    "Linear-12": "meaning",
    "final": "meaning",
    "z": "latent",
}
LAYERS = tuple(_POPULATIONS)
# Gain of each region, in the order of LAYERS: c, Linear-2 to Linear-12, final, z.
_GAINS = {
    "V1": (0.05, 1.0, 0.8, 0.6, 0.30, 0.10, 0.05, 0.05, 0.9),
    "V2": (0.05, 0.9, 0.9, 0.7, 0.40, 0.15, 0.05, 0.05, 0.9),
    "V3": (0.10, 0.7, 0.9, 0.8, 0.45, 0.20, 0.05, 0.05, 0.9),
    "V3ab": (0.10, 0.6, 0.8, 0.9, 0.50, 0.25, 0.10, 0.05, 0.8),
    "hV4": (0.50, 0.4, 0.5, 0.5, 0.60, 0.60, 0.30, 0.30, 0.8),
    "VO": (1.00, 0.05, 0.1, 0.1, 0.40, 0.50, 0.50, 0.60, 0.9),
    "PHC": (1.00, 0.05, 0.1, 0.1, 0.35, 0.40, 0.50, 0.60, 0.8),
    "MT": (0.80, 0.05, 0.1, 0.1, 0.35, 0.40, 0.40, 0.50, 0.7),
    "MST": (0.50, 0.05, 0.05, 0.1, 0.10, 0.20, 0.20, 0.30, 0.1),
    "LO": (1.00, 0.1, 0.1, 0.15, 0.50, 0.60, 0.50, 0.60, 0.9),
    "IPS": (0.15, 0.05, 0.1, 0.1, 0.10, 0.10, 0.10, 0.10, 0.1),
}
# Seconds from onset to a region's strongest response; meaning comes later everywhere, the rest in between.
_LATENCIES = {"meaning": 0.170, "structure": 0.100, "intermediate": 0.120, "latent": 0.120}
_DELAYS = {"V1": -0.005, "V3ab": 0.005, "hV4": 0.005, "VO": 0.0, "PHC": 0.005, "MST": 0.005, "IPS": 0.010}
_WIDTHS = {"meaning": 0.022, "structure": 0.018, "intermediate": 0.018, "latent": 0.018}


def default_plan() -> xr.Dataset:
    """Return the lab's plan: structure early in LVC, meaning late in HVC, the image latent in both.

    What is planted is a *drive*. The spaces themselves share information (a caption names the colour that a patch of
    CLIP sees, too), so a region that carries one space tells something of the others; the plan says what was put
    there, not everything that can be read out.

    Returns
    -------
    Dataset (region, layer)
        ``gain`` : amplitude of the response to a feature space, relative to 1.
        ``latency`` : s from onset to its peak. ``width`` : s, standard deviation of the bell in time of one source;
        the sources of a region vary in latency, so that their sum is wider.
        Coordinate ``population`` (layer): "meaning", "structure", "intermediate", "latent"; spaces of one population
        are carried by the same voxels.
    """
    populations = list(_POPULATIONS.values())
    delay = np.array([_DELAYS.get(name, 0.0) for name in REGIONS])
    latency = delay[:, None] + np.array([_LATENCIES[p] for p in populations])
    width = np.broadcast_to([_WIDTHS[p] for p in populations], latency.shape)
    return xr.Dataset(
        {
            "gain": (("region", "layer"), np.array([_GAINS[name] for name in REGIONS])),
            "latency": (("region", "layer"), latency, {"units": "s"}),
            "width": (("region", "layer"), width, {"units": "s"}),
        },
        coords={"region": list(REGIONS), "layer": list(LAYERS), "population": ("layer", populations)},
        attrs={"origin": "simulated", "carries_from_gain": CARRIES},
    )


def require_planned(features: Mapping[str, xr.DataArray], plan: xr.Dataset) -> None:
    """Refuse features whose names are not those of the plan.

    Raises
    ------
    ValueError
        Naming what is missing on either side.
    """
    given, planned = set(features), set(plan["layer"].values.tolist())
    if given != planned:
        raise ValueError(
            f"features and plan differ in {len(given ^ planned)} spaces: only in features "
            f"{listed(sorted(given - planned))}; only in the plan {listed(sorted(planned - given))}; name them alike"
        )
