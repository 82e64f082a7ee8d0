"""Floor 2: from scores of subjects to what a figure may claim.

Here: group means with standard errors, tests against chance, false-discovery rates; permutations of stimuli, for any
analysis; cluster tests over time and cortex (mne.stats); latencies; paired comparisons with effect sizes (SciPy); mixed
models with subjects and stimuli as random effects (statsmodels); their tables.
"""

from __future__ import annotations

from .clusters import cluster_table, clusters
from .exchange import by_block, shuffles
from .groups import above_chance, fdr, group
from .latency import latency, latency_difference
from .models import mixed
from .neighbours import common, neighbours
from .null import null
from .pairs import compare
from .permutations import permutation
from .tables import written
from .with_tests import with_tests

__all__ = [
    "above_chance",
    "by_block",
    "cluster_table",
    "clusters",
    "common",
    "compare",
    "fdr",
    "group",
    "latency",
    "latency_difference",
    "mixed",
    "neighbours",
    "null",
    "permutation",
    "shuffles",
    "with_tests",
    "written",
]
