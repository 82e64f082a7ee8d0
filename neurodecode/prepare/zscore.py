"""Z-scores with training statistics."""

from __future__ import annotations

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from neurodecode.labels import require_copy
from neurodecode.prepare.rows import (
    blocks,
    float_type,
    groups_of,
    like,
    moments,
    of_group,
    per_group,
    require_columns,
    require_rows,
    require_seen,
)


class ZScore(TransformerMixin, BaseEstimator):
    """Subtract the training mean and divide by the training standard deviation, per column.

    A column is a voxel, a channel at a time point, or a feature: z = (x - mean) / sd, over the first dimension, with
    sd = sqrt(mean((x - mean)^2)). Sums are float64 whatever the input. Columns that are constant in training become 0
    everywhere; constant is meant relative to the size of the values, so data in tesla are not taken for constant.

    Parameters
    ----------
    by : str, optional
        A coordinate of the first dimension, such as ``"session"``: statistics are then fitted, and applied, for
        each of its values separately. An unseen value is an error.

    Attributes
    ----------
    mean_, sd_ : DataArray, float64
        Over all dimensions but the first, with the dimension ``group`` first if ``by`` is given; in the units of
        the training data. ``sd_`` is 0 for constant columns.
    units_ : str or None
        Of the training data.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> betas = nd.brain.fmri([[1.0], [3.0], [10.0], [30.0]], sample=range(4), stimulus=list("abcd"), run=[1, 1, 2, 2])
    >>> nd.prepare.ZScore(by="run").fit(betas).transform(betas).values.ravel()
    array([-1.,  1., -1.,  1.])
    """

    def __init__(self, *, by: str | None = None) -> None:
        self.by = by

    def fit(self, responses: xr.DataArray, y: None = None) -> ZScore:
        """Learn mean and standard deviation.

        Parameters
        ----------
        responses : (sample | stimulus, ...)
            Training data only.
        y : None
            For scikit-learn.

        Raises
        ------
        TypeError, ValueError
            If the array is not labelled, its first dimension is neither sample nor stimulus, it holds NaN or
            infinite values, or there are fewer than 2 rows (in any group).
        """
        responses = require_rows(responses, who="the training data of ZScore")
        groups = groups_of(responses, self.by, who="the training data of ZScore")
        fitted: list[tuple[np.ndarray, np.ndarray]] = []
        for name, rows in groups.items():
            if len(rows) < 2:
                where = "" if self.by is None else f" with {self.by} {name!r}"
                raise ValueError(
                    f"ZScore needs at least 2 training rows to know a standard deviation, but got {len(rows)}{where}; "
                    "give more rows" + ("" if self.by is None else f" or drop by={self.by!r}")
                )
            fitted.append(moments(responses, rows))
        self.mean_ = per_group(responses, [m for m, _ in fitted], groups, self.by)
        self.sd_ = per_group(responses, [s for _, s in fitted], groups, self.by)
        self.units_ = responses.attrs.get("units")
        return self

    def transform(self, responses: xr.DataArray) -> xr.DataArray:
        """Apply the training statistics.

        Parameters
        ----------
        responses : (sample | stimulus, ...)
            With the very columns (voxels, channels, times, features) of the training data.

        Returns
        -------
        Array of the same dims and coordinates, in standard deviations of the training data; float32 stays float32.

        Raises
        ------
        ValueError
            If columns differ from those of the training data, a group was not seen in training, or a value is NaN.
        """
        return self._apply(responses, inverse=False)

    def inverse_transform(self, z: xr.DataArray) -> xr.DataArray:
        """Return to the units of the training data: x = z sd + mean; constant columns become their constant.

        Parameters
        ----------
        z : (sample | stimulus, ...)
            With the very columns of the training data.

        Returns
        -------
        Array of the same dims and coordinates.
        """
        return self._apply(z, inverse=True)

    def _apply(self, array: xr.DataArray, *, inverse: bool) -> xr.DataArray:
        check_is_fitted(self, "mean_")
        array = require_rows(array, who="the array given to ZScore")
        require_columns(array, self.mean_, who=("the array given to ZScore", "its training data"))
        groups = groups_of(array, self.by, who="the array given to ZScore")
        require_seen(groups, self.mean_, self.by, who="ZScore")
        require_copy(array, who="the array given to ZScore")
        out = np.empty(array.shape, dtype=float_type(array.dtype))
        for name, rows in groups.items():
            mean, sd = (of_group(a, name, self.by) for a in (self.mean_, self.sd_))
            for part in blocks(array, rows):
                block = np.asarray(array.data[part], dtype=np.float64)
                if inverse:
                    out[part] = block * sd + mean
                else:
                    out[part] = np.divide(block - mean, sd, out=np.zeros_like(block), where=sd > 0)
        return like(array, out, units=self.units_ if inverse else "standard deviations")


def zscore_with_test_statistics(responses: xr.DataArray) -> xr.DataArray:
    """Z-score test data with their own mean and standard deviation. THIS LEAKS; never report results made with it.

    The first public code of the method z-scored the test responses with statistics of the test set. Every test
    sample then depends on all others, and accuracies are not those of a decoder that meets one new response.
    The function exists only to compute that code's numbers again; use :class:`ZScore` for everything else.

    Parameters
    ----------
    responses : (sample | stimulus, ...)

    Returns
    -------
    Array of the same dims and coordinates, in its own standard deviations, with the attribute ``leak`` saying so.

    Examples
    --------
    >>> import neurodecode as nd, warnings
    >>> betas = nd.brain.fmri([[1.0], [3.0]], sample=range(2), stimulus=["cat", "cup"])
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     nd.prepare.zscore_with_test_statistics(betas).values.ravel().tolist()
    [-1.0, 1.0]
    """
    z = ZScore().fit(responses).transform(responses)
    return z.assign_attrs(leak="z-scored with its own (test) statistics")
