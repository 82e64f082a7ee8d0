"""Floor 1: features in bands: which feature belongs to which, and what each band adds to a prediction.

>>> import numpy as np, neurodecode as nd
>>> from neurodecode import bands
>>> space = nd.brain.features(np.eye(3), stimulus=["a", "b", "c"], layer=["c", "z", "c"])
>>> bands.numbered(space, "layer")
(['c', 'z'], array([0, 1, 0]))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from .labels import FEATURE, require_coord
from .solve import Fitted


def numbered(features: xr.DataArray | int, bands: Any) -> tuple[list[str], np.ndarray]:
    """Names of the bands, in alphabetical order, and the number of each feature's band.

    Parameters
    ----------
    features : (..., feature), or how many there are where they have no labels
    bands : name of a feature coordinate ("layer"), or one name a feature

    Raises
    ------
    ValueError
        A coordinate that is not there, another number of names than features, or a name for features without labels.
    """
    if isinstance(features, int):
        if isinstance(bands, str):
            raise ValueError(
                f"bands={bands!r} names a coordinate of labelled features, but these have none; give one name for "
                f"each of the {features} features, or an array made by neurodecode.brain.features or stack"
            )
        size = features
    else:
        size = features.sizes[FEATURE]
    if isinstance(bands, str) and not isinstance(features, int):
        labels = require_coord(features, bands, who="features", dim=FEATURE).values
    else:
        labels = np.asarray(bands, dtype=object)
    if labels.shape != (size,):
        raise ValueError(
            f"bands must name a coordinate or hold one name for each of {size} features, got the shape {labels.shape}"
        )
    # By name, so that features in another order are searched with the same candidates.
    names, codes = np.unique(labels.astype(str), return_inverse=True)
    return names.tolist(), codes


def contributions(fitted: Fitted, x: np.ndarray, codes: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """What each band adds to the training mean: (band, n, q); their sum and that mean are the prediction."""
    centred = (x - fitted.x_mean).astype(fitted.weights.dtype, copy=False)
    return np.stack([centred[:, codes == k] @ fitted.weights[codes == k] for k in range(len(bands))])


def shares(
    parts: np.ndarray, true: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split r2 of (n, q) over bands by the product measure: shares (band, q), what the mean costs (q), and r2 (q).

    With deviations d = y - training mean, contributions c_k and their sum c, all around the training mean,
    ``share_k = sum(2 d c_k - c_k c) / SS_tot`` (Dupre la Tour et al. 2022), where SS_tot is about the test mean; what
    is left, ``offset = -n (test mean - training mean)^2 / SS_tot``, belongs to no band. NaN where y is constant.
    """
    d, whole = true - mean, parts.sum(axis=0)
    total = ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    varies = np.ptp(true, axis=0) > 0
    total = np.where(varies, total, np.nan)
    split = np.stack([(2 * d * part - part * whole).sum(axis=0) for part in parts]) / total
    offset = -len(true) * d.mean(axis=0) ** 2 / total
    return split, offset, split.sum(axis=0) + offset
