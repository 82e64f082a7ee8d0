"""Banded ridge: predictors in bands, a penalty of every band and target, chosen on folds by himalaya's random search.

Minimises, for every target, ``|y - sum_k X_k w_k|^2 + sum_k lambda_k |w_k|^2`` (Nunez-Elizalde, Huth & Gallant 2019).
himalaya writes lambda_k = alpha / gamma_k with gamma on the simplex, draws gamma at random, tries every alpha with
each, and keeps for every target the pair with the least squared error on held-out folds (Dupre la Tour et al. 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .fit import Fitted
from .ridge import Pair
from .sides import Side

# Values of one temporary array of himalaya's.
BUDGET = 2**23
# Concentrations of the Dirichlet distribution that gamma is drawn from, in turn: himalaya's own.
CONCENTRATION = (0.1, 1.0)
# In float32 a band's weight may be rounded to 0, by which the search in primal form divides.
LEAST = 1e-12
INSTALL = "pip install 'neurodecode-toolkit[bands]'"


@dataclass(frozen=True)
class BandSettings:
    """How to fit: penalties to try, folds (index pairs), how many gammas to draw, and their seed."""

    alphas: np.ndarray
    folds: Sequence[Pair]
    candidates: int
    seed: int
    standardise: bool = True


@dataclass(frozen=True)
class Banded:
    """A fitted map, and the penalty (band, target) that every band of every target got."""

    fitted: Fitted
    penalties: np.ndarray


def fit_banded(x: np.ndarray, y: np.ndarray, bands: np.ndarray, settings: BandSettings) -> Banded:
    """Fit y (n, q) to x (n, p), whose columns lie in the bands 0, 1, ... (p).

    Both sides are centred, and scaled if asked, by all training samples; folds are centred anew inside. Where there
    are fewer samples than predictors, himalaya solves with one kernel a band (dual form), else with the predictors.

    Raises
    ------
    ModuleNotFoundError
        Without himalaya, naming the extra.
    """
    require_himalaya()
    sides = [Side.of(a, standardise=settings.standardise, centred=True) for a in (x, y)]
    z, t = (side.scaled(a) for side, a in zip(sides, (x, y), strict=True))
    columns = [np.flatnonzero(bands == k) for k in range(int(bands.max()) + 1)]
    form = "dual" if len(x) <= x.shape[1] else "primal"
    with _numpy_backend():
        search = _dual if form == "dual" else _primal
        deltas, weights = search([z[:, c] for c in columns], t, settings)
    order = np.argsort(np.concatenate(columns), kind="stable")
    scale = (sides[1].scale[None, :] / sides[0].scale[:, None]).astype(x.dtype)
    fitted = Fitted(
        weights=weights[order] * scale,
        x_mean=sides[0].mean,
        y_mean=sides[1].mean,
        x_sd=sides[0].sd,
        y_sd=sides[1].sd,
        alpha=_on_grid(1 / np.exp(deltas).sum(axis=0), settings.alphas),
        errors=None,
        solver=f"himalaya, {len(columns)} bands, random search of {settings.candidates}, {form} form",
    )
    with np.errstate(divide="ignore"):
        return Banded(fitted, 1 / np.exp(deltas))


def require_himalaya() -> None:
    """Refuse to go on without himalaya.

    Raises
    ------
    ModuleNotFoundError
        Saying how to install it.
    """
    try:
        import himalaya  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a penalty of every band needs himalaya, which is not installed; {INSTALL}, or leave bands out"
        ) from error


def gammas(settings: BandSettings, bands: int) -> np.ndarray:
    """Shares (candidate, band) that the bands' weights take, as himalaya draws them; equal shares first."""
    from himalaya.kernel_ridge import generate_dirichlet_samples

    if bands == 1:
        return np.ones((1, 1))
    drawn = generate_dirichlet_samples(
        n_samples=settings.candidates,
        n_kernels=bands,
        concentration=list(CONCENTRATION),
        random_state=settings.seed,
    )
    drawn[0] = 1 / bands
    return np.maximum(drawn, LEAST)


def _on_grid(alpha: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the alphas without the rounding of shares that add up to 1."""
    return grid[np.abs(np.log(alpha)[:, None] - np.log(grid)).argmin(axis=1)]


def bytes_banded(shape: tuple[int, int], q: int, bands: int, settings: BandSettings, *, itemsize: int) -> int:
    """Bytes of a fit of q targets on predictors (n, p) at its peak."""
    n, p = shape
    a, f = settings.alphas.size, len(settings.folds)
    # Kernels, their centred copies, and what their eigenvectors take; or the predictors' singular vectors.
    solved = (2 * bands + 8) * n * n if n <= p else 5 * n * p + p * p
    held = 3 * n * p + 4 * n * q + 3 * p * q + (a * f + settings.candidates) * q
    return itemsize * (held + solved + 3 * min(BUDGET, a * n * q))


# ------------------------------------------------------------------------------------------------- himalaya
def _options(xs: list[np.ndarray], y: np.ndarray, settings: BandSettings) -> dict[str, Any]:
    """What both searches are asked, with batches such that no temporary array passes the budget."""
    n = len(y)
    most = max(len(test) for _, test in settings.folds)
    alphas = int(np.clip(BUDGET // (n * n), 1, settings.alphas.size))
    return {
        "n_iter": gammas(settings, len(xs)).astype(y.dtype),
        "alphas": settings.alphas.astype(y.dtype),
        "cv": [(np.asarray(train), np.asarray(test)) for train, test in settings.folds],
        "fit_intercept": True,
        "n_alphas_batch": alphas,
        "n_targets_batch": max(1, BUDGET // (alphas * most)),
        "n_targets_batch_refit": max(1, BUDGET // (alphas * max(n, min(n, sum(x.shape[1] for x in xs))))),
        "progress_bar": False,
    }


def _dual(xs: list[np.ndarray], y: np.ndarray, settings: BandSettings) -> tuple[np.ndarray, np.ndarray]:
    """Deltas = log(gamma / alpha), (band, q), and weights (p, q), the columns band by band."""
    from himalaya.kernel_ridge import (
        primal_weights_weighted_kernel_ridge,
        solve_multiple_kernel_ridge_random_search,
    )

    kernels = np.stack([x @ x.T for x in xs])
    deltas, dual, *_ = solve_multiple_kernel_ridge_random_search(
        kernels, y, return_weights="dual", **_options(xs, y, settings)
    )
    return deltas, np.concatenate(primal_weights_weighted_kernel_ridge(dual, deltas, xs))


def _primal(xs: list[np.ndarray], y: np.ndarray, settings: BandSettings) -> tuple[np.ndarray, np.ndarray]:
    """The same where there are more samples than predictors."""
    from himalaya.ridge import solve_group_ridge_random_search

    deltas, weights, *_ = solve_group_ridge_random_search(
        xs, y, return_weights=True, warn=False, **_options(xs, y, settings)
    )
    return deltas, weights


@contextmanager
def _numpy_backend() -> Iterator[None]:
    """Himalaya computes with what was last set for the whole process: with NumPy here, and as before after."""
    from himalaya.backend import get_backend, set_backend

    before = get_backend().name
    set_backend("numpy")
    try:
        yield
    finally:
        set_backend(before)
