"""How far intervals reach: by Student's t, and percentiles of a bootstrap, moved outwards for few groups."""

from __future__ import annotations

from typing import Any

import numpy as np


def reach_by_t(level: float, df: Any) -> Any:
    """Return how many standard errors an interval at ``level`` reaches to each side: Student's t of ``df``."""
    from scipy import stats

    return stats.t.ppf(0.5 + level / 2, df)


def expanded(level: float, n: int) -> tuple[float, float]:
    """Return the two percentiles, as shares, that bound an interval at ``level`` from draws of n groups.

    So far out that the mean of n normal groups would get its t interval, norm.cdf(-+ sqrt(n / (n - 1)) t) (Hesterberg
    2015). NaN of one group, which has no spread.
    """
    if n < 2:
        return np.nan, np.nan
    from scipy import stats

    far = np.sqrt(n / (n - 1)) * reach_by_t(level, n - 1)
    return float(stats.norm.cdf(-far)), float(stats.norm.cdf(far))
