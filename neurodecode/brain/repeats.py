"""Averages over repeats, with the number of trials kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import sparse

from ..checks import names_in
from ..labels import (
    SAMPLE,
    STIMULUS,
    differing,
    groups,
    listed,
    quoted,
    require_coord,
    require_copy,
    require_dims,
    require_finite,
    require_real,
)


def average_repeats(responses: xr.DataArray, *, by: str | Sequence[str] = STIMULUS) -> xr.DataArray:
    """Average the samples of every stimulus (or of every combination of ``by``).

    Parameters
    ----------
    responses : (sample, ...)
    by : str or names
        Sample coordinates that say which samples belong together; ("stimulus", "run") gives block means.

    Returns
    -------
    (sample, ...) in order of first appearance; ``sample`` is the label of the group, ``trials`` the number of samples
    averaged. Where the samples bear ``trials`` already, they are averages themselves: they weigh by these counts, which
    are added up. Coordinates that agree within every group stay.

    Raises
    ------
    ValueError
        NaN or infinite values; a group in more than one ``split``, whose mean would leak test data into training;
        ``trials`` that are no counts.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> betas = nd.brain.fmri([[1.0], [3.0], [5.0]], sample=range(3), stimulus=["cat", "cat", "cup"])
    >>> nd.brain.average_repeats(betas).values.ravel().tolist()
    [2.0, 5.0]
    """
    require_dims(responses, [SAMPLE], who="responses")
    require_real(responses, who="responses")
    require_finite(responses, who="responses")
    names = names_in(by, what="by")
    if not names or not responses.sizes[SAMPLE]:
        raise ValueError(
            f"nothing to average: by={names!r} and {responses.sizes[SAMPLE]} samples; name a coordinate, give samples"
        )
    columns = [require_coord(responses, n, who="responses", dim=SAMPLE).values for n in names]
    labels = columns[0] if len(columns) == 1 else _joined(columns)
    rank, first = groups(labels)
    _refuse_across_splits(responses, rank, first, labels)
    weights = _trials(responses)
    counts = np.bincount(rank, weights=weights)
    # Averages in float64.
    require_copy(responses, who="responses", times=8 / responses.dtype.itemsize * len(first) / len(rank))
    average = sparse.csr_array((weights / counts[rank], (rank, np.arange(rank.size))))
    ordered = responses.transpose(SAMPLE, ...)
    flat = ordered.values.reshape(rank.size, -1)
    kind = np.result_type(flat.dtype, np.float32)  # the mean of whole numbers is no whole number
    values = (average @ flat).astype(kind).reshape(first.size, *ordered.shape[1:])
    kept = {
        k: v
        for k, v in ordered.coords.items()
        if SAMPLE not in v.dims or (k != SAMPLE and _constant(v.values, rank, first))
    }
    kept = {k: v.isel({SAMPLE: first}) if SAMPLE in v.dims else v for k, v in kept.items()}
    coords = {k: v.drop_vars(SAMPLE, errors="ignore") for k, v in kept.items()}
    coords |= {"trials": (SAMPLE, counts.astype(np.int64))}
    return xr.DataArray(
        values,
        dims=ordered.dims,
        coords={SAMPLE: labels[first], **coords},
        attrs=dict(responses.attrs),
        name=responses.name,
    )


def _trials(responses: xr.DataArray) -> np.ndarray:
    """How many trials each sample is the mean of."""
    if "trials" not in responses.coords:
        return np.ones(responses.sizes[SAMPLE])
    counts = require_coord(responses, "trials", who="responses", dim=SAMPLE).values
    numbers = counts if counts.dtype.kind in "iuf" else np.zeros(counts.size)
    wrong = ~((numbers >= 1) & (numbers == np.floor(numbers)))
    if wrong.any():
        raise ValueError(
            f"'trials' of responses must be how many trials each sample is the mean of, whole numbers from 1, but "
            f"{int(wrong.sum())} of {counts.size} are others, first {quoted(counts[wrong][0])}; if it says anything "
            "else, rename it: responses.rename(trials='trial')"
        )
    return counts.astype(float)


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """One label for each combination: "a|1". A bar within a label is escaped, so that different ones stay different."""
    rows = zip(*columns, strict=True)
    return np.array(["|".join(str(v).replace("\\", "\\\\").replace("|", "\\|") for v in row) for row in rows])


def _constant(values: np.ndarray, rank: np.ndarray, first: np.ndarray) -> bool:
    return not differing(values, values[first][rank]).any()


def _refuse_across_splits(
    responses: xr.DataArray, rank: np.ndarray, first: np.ndarray, labels: np.ndarray
) -> None:
    if "split" not in responses.coords:
        return
    split = require_coord(responses, "split", who="responses", dim=SAMPLE).values
    several = np.unique(rank[differing(split, split[first][rank])])
    if several.size:
        raise ValueError(
            f"{several.size} of {first.size} groups lie in more than one 'split': {listed(labels[first[several]])}; "
            "their mean would leak test data into training. Average with by=('stimulus', 'split'), or mend the split"
        )
