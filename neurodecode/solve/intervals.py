"""Percentiles of a bootstrap, moved outwards for few groups."""

from __future__ import annotations

import numpy as np
from scipy import stats


def expanded(level: float, n: int) -> tuple[float, float]:
    """Return the two percentiles, as shares, that bound an interval at ``level`` from draws of n groups.

    So far out that the mean of n normal groups would get its t interval, norm.cdf(-+ sqrt(n / (n - 1)) t) (Hesterberg
    2015). NaN of one group, which has no spread.
    """
    if n < 2:
        return np.nan, np.nan
    reach = np.sqrt(n / (n - 1)) * stats.t.ppf(0.5 + level / 2, n - 1)
    return float(stats.norm.cdf(-reach)), float(stats.norm.cdf(reach))
