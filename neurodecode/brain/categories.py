"""Categories as features: one column a category."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..checks import shown
from ..labels import STIMULUS, listed
from .stimuli import features


def one_hot(names: Any) -> xr.DataArray:
    """Make features of categories: 1 where stimulus and feature are the same category, else 0.

    Decoded with the score "accuracy" this is classification by least squares; decoded with "auc" it is one category
    against all others.

    Parameters
    ----------
    names : sequence of labels, or an array with a coordinate ``stimulus``
        Repeated names count once, in order of first appearance.

    Returns
    -------
    (stimulus, feature); ``unit`` names the category of each feature.

    Raises
    ------
    ValueError
        Fewer than two different names.

    Examples
    --------
    >>> one_hot(["face", "house", "face"]).values
    array([[1., 0.],
           [0., 1.]])
    """
    given = names.coords[STIMULUS] if isinstance(names, xr.DataArray) and STIMULUS in names.coords else names
    try:
        labels = list(dict.fromkeys(np.asarray(given).ravel().tolist()))
    except (TypeError, ValueError) as error:
        raise ValueError(f"names must be one name each, got {shown(given)}; give text or numbers") from error
    if len(labels) < 2:
        raise ValueError(
            f"categories must be two or more different names, got {len(labels)}: {listed(labels)}"
        )
    return features(np.eye(len(labels)), stimulus=labels, unit=labels)
