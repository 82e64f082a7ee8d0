"""Features of pictures against features of pictures: identification among all, and distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..labels import groups, listed, quoted
from .protocols import identifies

DIRECTIONS = ("reconstruction", "truth")


def two_way(reconstructions: np.ndarray, truths: np.ndarray, *, distractors: str = "truth") -> np.ndarray:
    """Two-way identification of features (n, p) by Pearson r: (n), chance .5.

    ``distractors`` "truth": for reconstruction j, the share of other truths i with ``r(gt_i, rec_j) < r(gt_j, rec_j)``
    ("mindeye", "brain-diffuser"). "reconstruction": for truth j, the share of other reconstructions i with
    ``r(gt_j, rec_i) < r(gt_j, rec_j)`` ("takagi"). Ties do not count.

    Parameters
    ----------
    reconstructions, truths : NumPy (n, p), in one order
    distractors : "truth" or "reconstruction"

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> nd.metrics.two_way(np.eye(3), np.eye(3))
    array([1., 1., 1.])
    """
    r = correlations(reconstructions, truths)
    r = r if distractors == "truth" else r.T
    own = np.diagonal(r)[:, None]
    return (r < own).sum(axis=1) / (len(r) - 1)


def require_one_each(names: np.ndarray, metrics: Sequence[str]) -> None:
    """Refuse to identify a picture among others of its own stimulus: it can only tie with these, which is lost.

    Parameters
    ----------
    names : stimulus of every picture (n)
    metrics : names of those that are asked for

    Raises
    ------
    ValueError
        If there are several of a stimulus and one of the metrics is two-way identification.
    """
    identified = [m for m in metrics if identifies(m)]
    numbers, first = groups(names)
    several = np.flatnonzero(np.bincount(numbers) > 1)
    if identified and several.size:
        positions = np.flatnonzero(numbers == several[0])
        raise ValueError(
            f"{listed(identified)} tell pictures of different stimuli apart, but of {several.size} of {first.size} "
            f"stimuli there are several, first of {quoted(names[positions[0]])} at positions {listed(positions)}; "
            "average their responses (brain.average_repeats), choose one of each, or leave these metrics out"
        )


def distance(reconstructions: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """1 - Pearson r of each pair (n), lower is better; 1 where either is constant.

    Parameters
    ----------
    reconstructions, truths : NumPy (n, p), in one order

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> nd.metrics.distance(np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 4.0, 6.0]])).round(6)
    array([0.])
    """
    a, b = standard(reconstructions), standard(truths)
    return 1.0 - (a * b).sum(axis=1)


def correlations(reconstructions: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Pearson r between every reconstruction (row) and every truth (column).

    Parameters
    ----------
    reconstructions, truths : NumPy (n, p), in one order

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> nd.metrics.correlations(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    array([[ 1., -1.]])
    """
    # Rounded, so that equal pictures tie whatever the order of summation.
    return np.round(standard(reconstructions) @ standard(truths).T, 12)


def standard(features: np.ndarray) -> np.ndarray:
    """Rows (n, p) centred, with length 1; 0 where constant."""
    values = features.reshape(len(features), -1).astype(np.float64)
    values = values - values.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, norm, out=np.zeros_like(values), where=norm > 1e-12)
