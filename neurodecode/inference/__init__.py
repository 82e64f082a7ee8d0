"""Floor 2: from scores of subjects to what a figure may claim.

Here: group means with standard errors, tests against chance, false-discovery rates, cluster tests over time
(mne.stats); permutations of stimuli, for any analysis; paired comparisons with effect sizes (SciPy); mixed models with
subjects and stimuli as random effects (statsmodels); their tables.
"""

from __future__ import annotations

from .exchange import by_block, shuffles
from .groups import above_chance, clusters, fdr, group
from .models import mixed
from .null import null
from .pairs import compare
from .permutations import permutation
from .tables import written

__all__ = [
    "above_chance",
    "by_block",
    "clusters",
    "compare",
    "fdr",
    "group",
    "mixed",
    "null",
    "permutation",
    "shuffles",
    "written",
]
