"""Floor 2: from scores of subjects to what a figure may claim.

Here: group means with standard errors, tests against chance, false-discovery rates, cluster tests over time
(mne.stats); paired comparisons with effect sizes (SciPy); mixed models with subjects and stimuli as random effects
(statsmodels); their tables.
"""

from __future__ import annotations

from .groups import above_chance, clusters, fdr, group
from .models import mixed
from .pairs import compare
from .tables import written

__all__ = ["above_chance", "clusters", "compare", "fdr", "group", "mixed", "written"]
