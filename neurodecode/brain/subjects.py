"""Whose data these are: one array, several, or a mapping, named by subject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from ..checks import shown
from ..labels import by_text, listed, require_array

# Data of one subject, of several, or of subjects by name; feature spaces together, or by name.
Responses = xr.DataArray | Mapping[str, xr.DataArray] | Sequence[xr.DataArray]
Features = xr.DataArray | Mapping[str, xr.DataArray]


def by_subject(responses: Responses, *, who: str = "responses") -> dict[str, xr.DataArray]:
    """Name every array by its subject: the mapping's key, else attrs["subject"], else its number from 1.

    Parameters
    ----------
    responses : (sample, ...), several of them, or a mapping of subject to array
    who : str
        What an error calls them.

    Raises
    ------
    TypeError
        For anything but labelled arrays.
    ValueError
        If there is none, or two of one subject; 1 and "1" are one.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> betas = nd.brain.fmri(np.zeros((1, 2)), sample=[0], stimulus=["cat"], subject="s7")
    >>> list(nd.brain.by_subject(betas))
    ['s7']
    """
    if isinstance(responses, xr.Dataset | np.ndarray):
        raise TypeError(
            f"give labelled arrays by subject, not a {type(responses).__name__}: one DataArray (of a Dataset one "
            "variable), several, or a mapping of subject to DataArray; neurodecode.brain.fmri and meeg make them"
        )
    if not isinstance(responses, Iterable) or isinstance(responses, str | bytes):
        raise TypeError(
            f"give labelled arrays by subject, not {shown(responses)} ({type(responses).__name__}): one DataArray, "
            "several, or a mapping of subject to DataArray"
        )
    if isinstance(responses, Mapping):
        arrays, names = list(responses.values()), list(by_text(responses, who="names of subjects"))
    else:
        arrays, names = ([responses] if isinstance(responses, xr.DataArray) else list(responses)), []
    if not arrays:
        raise ValueError("there is no subject: give at least one labelled array")
    for name, array in zip(names or range(1, len(arrays) + 1), arrays, strict=True):
        require_array(array, who=f"{who} of subject {name!r}")
    if isinstance(responses, Mapping):
        return dict(zip(names, arrays, strict=True))
    names = [str(a.attrs.get("subject", i + 1)) for i, a in enumerate(arrays)]
    if len(set(names)) < len(names):
        raise ValueError(f"subjects are not unique: {listed(names)}; give a mapping of subject to responses")
    return dict(zip(names, arrays, strict=True))
