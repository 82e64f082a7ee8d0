"""Which showing of its picture a trial is."""

from __future__ import annotations

import numpy as np


def seen_before(labels: np.ndarray) -> np.ndarray:
    """How many of the same label came before each one."""
    order = np.argsort(labels, kind="stable")
    _, first, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    counts = np.empty(len(labels), np.int64)
    counts[order] = np.arange(len(labels)) - np.repeat(first, sizes)
    return counts
