"""Checked constructors of what was shown: features and images; feature spaces together and apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..labels import (
    FEATURE,
    LAYER,
    STIMULUS,
    by_text,
    require_dims,
    require_real,
    require_same,
    require_unique,
)
from .columns import column, labelled, numbers
from .own import require_own


def features(values: Any, *, stimulus: Any, layer: Any = None, unit: Any = None) -> xr.DataArray:
    """Make stimulus features (stimulus, feature), one row a stimulus.

    Parameters
    ----------
    values : (stimulus, feature) array-like
    stimulus : (stimulus) unique labels
    layer : one name, or one per feature
    unit : (feature); counted within each layer by default

    Raises
    ------
    ValueError
        Wrong number of axes or labels, duplicate stimuli, stimuli that differ from those that ``values`` bear
        themselves.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> space = nd.brain.features(np.zeros((2, 3)), stimulus=["cat", "cup"], layer="c")
    >>> space.dims, space.layer.values.tolist()
    (('stimulus', 'feature'), ['c', 'c', 'c'])
    """
    require_own(
        values, {STIMULUS: {STIMULUS: stimulus}, FEATURE: {LAYER: layer, "unit": unit}}, who="features"
    )
    values = numbers(values, (STIMULUS, FEATURE), who="features")
    n, p = values.shape
    coords: dict[str, Any] = {STIMULUS: (STIMULUS, column(stimulus, n, STIMULUS, STIMULUS))}
    if layer is not None:
        coords[LAYER] = (FEATURE, column(layer, p, LAYER, FEATURE, broadcast=True))
    if unit is None:
        unit = _count_within(coords[LAYER][1]) if layer is not None else np.arange(p)
    coords["unit"] = (FEATURE, column(unit, p, "unit", FEATURE))
    array = labelled(values, (STIMULUS, FEATURE), coords, {"units": "a.u."})
    require_unique(array, STIMULUS, who="features")
    return array


def images(values: Any, *, stimulus: Any) -> xr.DataArray:
    """Make images (stimulus, row, column, colour) with values from 0 to 1; uint8 is divided by 255.

    Parameters
    ----------
    values : (stimulus, row, column, colour)
    stimulus : ids, one an image

    Raises
    ------
    ValueError
        Values outside 0-1, another number of axes, a last axis that is not 3 colours, duplicate stimuli, or stimuli
        that differ from those that ``values`` bear themselves.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> pictures = nd.brain.images(np.full((2, 8, 8, 3), 255, dtype=np.uint8), stimulus=["a", "b"])
    >>> float(pictures.max()), pictures.dims
    (1.0, ('stimulus', 'row', 'column', 'colour'))
    """
    require_own(values, {STIMULUS: {STIMULUS: stimulus}}, who="images")
    dims = (STIMULUS, "row", "column", "colour")
    of_bytes = getattr(values, "dtype", None) == np.uint8
    array = np.asarray(numbers(values, dims, who="images"))
    if array.shape[-1] != 3:
        raise ValueError(f"images must be (stimulus, row, column, 3 colours), got shape {array.shape}")
    if of_bytes:
        array = array / np.float32(255)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"image values must lie from 0 to 1, found {low:g} to {high:g}; divide by what means white, 255 "
            "in bytes"
        )
    coords = {STIMULUS: column(stimulus, len(array), STIMULUS, STIMULUS), "colour": ["red", "green", "blue"]}
    out = xr.DataArray(array, dims=dims, coords=coords, attrs={"units": "0-1"})
    require_unique(out, STIMULUS, who="images")
    return out


def stack(mapping: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Join feature spaces {name: (stimulus, feature)} of the same stimuli; the names become ``layer``.

    Parameters
    ----------
    mapping : of space to (stimulus, feature)

    Raises
    ------
    ValueError
        For spaces of other stimuli, or the same in another order; for names that are one as text.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> c, z = (nd.brain.features(np.zeros((2, q)), stimulus=["a", "b"]) for q in (2, 1))
    >>> nd.brain.stack({"c": c, "z": z}).layer.values.tolist()
    ['c', 'c', 'z']
    """
    if not mapping:
        raise ValueError("stack needs at least one feature space")
    by_text(mapping, who="names of feature spaces")
    first_name, first = next(iter(mapping.items()))
    for name, space in mapping.items():
        require_dims(space, [STIMULUS, FEATURE], who=f"features {name!r}")
        require_real(space, who=f"features {name!r}")
        require_same(first, space, STIMULUS, who=(f"features {first_name!r}", f"features {name!r}"))
    of_spaces = [units(s) for s in mapping.values()]
    # NumPy joins numbers with texts, but not with dates.
    alike = len({u.dtype.kind for u in of_spaces}) == 1
    return features(
        np.concatenate([s.transpose(STIMULUS, FEATURE).values for s in mapping.values()], axis=1),
        stimulus=first.coords[STIMULUS].values,
        layer=np.repeat(list(mapping), [s.sizes[FEATURE] for s in mapping.values()]),
        unit=np.concatenate(of_spaces) if alike else [str(u) for own in of_spaces for u in own],
    )


def spaces(given: xr.DataArray | Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Split features into {space: array}: a mapping as it is, an array by ``layer``, else under its own name.

    Parameters
    ----------
    given : (stimulus, feature) with or without ``layer`` on feature, or a mapping of space to such arrays

    Raises
    ------
    ValueError
        For a mapping of nothing, names that are one as text (1 and "1"), or layers of which some features have none.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> both = nd.brain.features(np.zeros((2, 3)), stimulus=["a", "b"], layer=["c", "c", "z"])
    >>> {name: space.sizes["feature"] for name, space in nd.brain.spaces(both).items()}
    {'c': 2, 'z': 1}
    """
    if isinstance(given, Mapping):
        if not given:
            raise ValueError("features are empty: give at least one feature space")
        return by_text(given, who="names of feature spaces")
    require_dims(given, [FEATURE], who="features")
    if LAYER not in given.coords:
        return {str(given.name or "features"): given}
    layers = given.coords[LAYER]
    missing = pd.isna(layers.values.ravel())
    if missing.any():
        raise ValueError(
            f"layer has {int(missing.sum())} missing label(s) among {missing.size}, first at position "
            f"{int(np.argmax(missing))}; give every feature one, or drop these features"
        )
    if layers.ndim == 0:
        return {str(layers.item()): given}
    names = dict.fromkeys(layers.values.tolist())
    found = {name: given.isel({FEATURE: np.flatnonzero(layers.values == name)}) for name in names}
    return by_text(found, who="layers of features")


def units(space: xr.DataArray) -> np.ndarray:
    """Return the ``unit`` of every feature, counted where it has none.

    Parameters
    ----------
    space : (stimulus, feature)

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> nd.brain.units(nd.brain.features(np.zeros((2, 3)), stimulus=["a", "b"])).tolist()
    [0, 1, 2]
    """
    return space.coords["unit"].values if "unit" in space.coords else np.arange(space.sizes[FEATURE])


def _count_within(labels: np.ndarray) -> np.ndarray:
    return pd.Series(labels).groupby(labels).cumcount().to_numpy()
