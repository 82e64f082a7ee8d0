"""Are maps' intervals and tests right? Coverage of a planted pattern, and findings where nothing is (simulated).

Prints a line a setting: how often 95 % limits hold the truth (over voxels, features and data sets), or the share of
voxels with p <= .05 and of data sets with any voxel at p_max <= .05. About 40 minutes of one core.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import xarray as xr

import neurodecode as nd

FEATURES, VOXELS, REPEATS = 2, 6, 2
# What the voxels do with the features, and how they share noise.
MIXING = np.array([[1, 0.5, 0, 0, 0.8, -0.6], [0, 0.4, 0.9, 0, -0.5, 0.3]])
NOISE = 1.44 * (np.eye(VOXELS) + 0.4 * np.tri(VOXELS)) @ (np.eye(VOXELS) + 0.4 * np.tri(VOXELS)).T
SIGMA = MIXING.T @ MIXING + NOISE
SESSIONS = 4


def recording(
    rng: np.random.Generator, stimuli: int, *, signal: float = 1.0, drift: float = 0.0
) -> tuple[xr.DataArray, xr.DataArray]:
    """Repeats of stimuli; with ``drift`` both responses and features have a mean of their own in every session."""
    names, session = np.arange(stimuli), np.arange(stimuli) * SESSIONS // stimuli
    truth = rng.normal(size=(stimuli, FEATURES)) + drift * rng.normal(size=(SESSIONS, 1))[session]
    rows = np.repeat(names, REPEATS)
    values = signal * (truth @ MIXING)[rows] + drift * rng.normal(size=(SESSIONS, 1))[session[rows]]
    values = values + rng.multivariate_normal(np.zeros(VOXELS), NOISE, rows.size)
    responses = nd.brain.fmri(values, sample=np.arange(rows.size), stimulus=rows, session=session[rows] + 1)
    features = nd.brain.features(truth, stimulus=names)
    return responses, features.assign_coords(name=("feature", [f"f{i}" for i in range(FEATURES)]))


def pattern(weights: np.ndarray) -> np.ndarray:
    """Pearson r (feature, voxel) of voxels and decoded features in the population."""
    covariance = SIGMA @ weights
    power = np.einsum("pq,pq->q", weights, covariance)
    return (covariance / np.sqrt(power) / np.sqrt(np.diag(SIGMA))[:, None]).T


def coverage(stimuli: int, n: int, *, refit: bool, draws: int) -> float:
    """How often limits hold the planted pattern."""
    held = []
    decoder = nd.RidgeDecoder(1e-3)
    for seed in range(n):
        responses, features = recording(np.random.default_rng([seed, 1]), stimuli)
        found = nd.spatial.map_bootstrap(
            decoder, responses, features, reduce="mean", by="name", refit=refit, n_bootstrap=draws
        )
        weights = np.linalg.solve(SIGMA, MIXING.T)
        if not refit:
            weights = decoder.fit(responses, features).weights_.values
        true = pattern(weights)
        held.append((found["low"].values <= true) & (true <= found["high"].values))
    return float(np.mean(held))


def findings(n: int, *, drift: float, blocks: str | None, m: int) -> tuple[float, float]:
    """Share of voxels with p <= .05, and of data sets with one at p_max <= .05."""
    each, any_voxel = [], []
    for seed in range(n):
        rng = np.random.default_rng([seed, 2])
        responses, features = recording(rng, 40, signal=0.0, drift=drift)
        found = nd.spatial.map_permutation(
            nd.RidgeDecoder(10.0), responses, features, blocks=blocks, n_permutations=m, n_pilot=20, seed=seed
        )
        each.append(found["p"].values <= 0.05)
        any_voxel.append((found["p_max"].values <= 0.05).any())
    return float(np.mean(each)), float(np.mean(any_voxel))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=400, help="data sets a setting")
    parser.add_argument("--draws", type=int, default=60, help="bootstrap samples a data set")
    parser.add_argument("--permutations", type=int, default=99)
    args = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    for drift, blocks in ((0.0, None), (2.0, None), (2.0, "session")):
        voxel, family = findings(args.n, drift=drift, blocks=blocks, m=args.permutations)
        print(
            f"nothing planted, drift of sessions {drift:g}, blocks {blocks}: p {voxel:.1%}, p_max {family:.1%}",
            flush=True,
        )
    for stimuli, refit in ((150, True), (150, False), (60, True)):
        held = coverage(stimuli, args.n, refit=refit, draws=args.draws)
        how = "refitted" if refit else "weights held"
        print(
            f"{stimuli} stimuli, {how}: limits hold the truth in {held:.1%} of {args.n} data sets", flush=True
        )


if __name__ == "__main__":
    main()
