"""Simulated fMRI: betas of single trials on the vertices of fsaverage5 around the approximate visual regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ... import brain
from .._repeats import seen_before
from .cortex import Cortex, approximate_regions, visual_patch
from .plan import require_planned
from .sources import Sources, settle

# Share of a region's voxels that carry what the region carries.
CARRYING = 0.7
# Signal over unstructured noise, one trial, for a feature space of gain 1. With several spaces in a voxel the ceilings
# come out in the lower half of what NSD has in visual cortex (Allen et al. 2022).
SNR = 0.30
# Shares of the noise variance: smooth over cortex; the rest is independent. On top of both comes noise that looks
# like a response to other stimuli (it limits what many voxels tell together; Moreno-Bote et al. 2014), as a
# multiple of the response's own variance.
SMOOTH = 0.25
CONFUSED = 0.7
_SMOOTH_MM = 8.0
_TRIALS_PER_RUN = 60
_RUNS_PER_SESSION = 12


@dataclass(frozen=True)
class _Signal:
    """Noise-free responses (stimulus, voxel), what each space adds to them (layer, voxel), and who carries what.

    The first two are in units of the unstructured noise of one trial; ``amplitude`` is a standard deviation over
    stimuli.
    """

    values: np.ndarray
    amplitude: np.ndarray
    carries: np.ndarray


def simulate(
    features: Mapping[str, xr.DataArray],
    split: xr.DataArray,
    plan: xr.Dataset,
    *,
    subject: str,
    seed: list[int],
    repeats: int = 3,
    noise: float = 1.0,
) -> tuple[xr.DataArray, xr.Dataset]:
    """Simulate one subject's betas.

    Parameters
    ----------
    features : name -> (stimulus, feature)
        All of the same stimuli in the same order; names as in the plan.
    split : (stimulus) "train" or "test"
    plan : Dataset (region, layer)
        ``gain`` and ``population``, see :func:`.plan.default_plan`.
    subject : str
    seed : list of int
        Gives receptive fields, carriers, borders and noise of this subject.
    repeats : int
        Trials per stimulus.
    noise : float
        Standard deviation of all noise, relative to the default.

    Returns
    -------
    responses : (sample, voxel), float32, z-scored over all trials per voxel.
    truth : Dataset
        ``carries`` (layer, voxel), which space was planted where; ``amplitude`` (layer, voxel), standard deviation over
        stimuli of what a space drives there, in units of one trial's unstructured noise (in a region whose gain is
        small a little is there too: a leak); ``gain`` (region, layer); ``ncsnr`` (voxel), signal over noise of one
        trial; ``ceiling`` (voxel), the largest r possible with the mean of ``repeats`` trials, sqrt(NC) with
        NC = ncsnr^2 / (ncsnr^2 + 1 / repeats).
    """
    require_planned(features, plan)
    rng = np.random.default_rng(seed)
    voxels = visual_patch(approximate_regions(rng=rng))
    signal = _signal(features, plan, voxels, seed, rng)
    stimulus = split["stimulus"].values
    order = rng.permutation(np.repeat(np.arange(len(stimulus)), repeats))
    variance = signal.values.var(axis=0)
    values = _noise(len(order), voxels, rng)
    values += np.sqrt(CONFUSED) * _confusion(len(order), signal.values, rng)
    values *= noise
    values += signal.values[order]
    values -= values.mean(axis=0)
    values /= values.std(axis=0)
    ncsnr = np.sqrt(variance / (1 + CONFUSED * variance)) / noise
    array = brain.fmri(
        values,
        sample=np.array([f"trial-{i:05d}" for i in range(len(order))]),
        stimulus=stimulus[order],
        roi=voxels.roi,
        hemi=voxels.hemi,
        xyz=voxels.xyz,
        vertex=voxels.vertex,
        subject=subject,
        session=np.arange(len(order)) // (_TRIALS_PER_RUN * _RUNS_PER_SESSION) + 1,
        run=np.arange(len(order)) // _TRIALS_PER_RUN + 1,
        repeat=seen_before(order) + 1,
        split=split.values[order],
        units="z",
        space="fsaverage5",
    )
    array.attrs |= {"origin": "simulated", "regions": "approximate"}
    return array, _truth(array, plan, signal, ncsnr, repeats)


def source_weights(features: xr.DataArray, layer: str, plan: xr.Dataset, *, seed: list[int]) -> xr.DataArray:
    """Return the planted weights of one feature space: what :func:`simulate` used with the same ``seed``.

    Returns
    -------
    (feature, voxel) float32
        Of features standardised over all stimuli, in units of one trial's unstructured noise: standardised features
        times these weights are the voxels' noise-free responses to this space.
    """
    rng = np.random.default_rng(seed)
    voxels = visual_patch(approximate_regions(rng=rng))
    inside, sources, vigour = _sources(plan, voxels, seed, rng)
    row = sources.layers.index(layer)
    weights = np.zeros((features.sizes["feature"], len(voxels)), dtype=np.float32)
    weights[:, inside] = sources.weights(features, layer)[0] * (sources.gain[row] * vigour).astype(np.float32)
    coords = {k: v for k, v in features.coords.items() if v.dims == ("feature",)}
    return xr.DataArray(
        weights,
        dims=("feature", "voxel"),
        coords={
            **coords,
            "roi": ("voxel", voxels.roi),
            "hemi": ("voxel", voxels.hemi),
            "vertex": ("voxel", voxels.vertex),
        },
        attrs={"origin": "simulated", "units": "noise"},
    )


def _sources(
    plan: xr.Dataset, voxels: Cortex, seed: list[int], rng: np.random.Generator
) -> tuple[np.ndarray, Sources, np.ndarray]:
    """Give the voxels inside the regions (positions) their receptive fields, spaces and strength."""
    inside = np.flatnonzero(voxels.roi != "")
    own = voxels.take(inside)
    sources = settle(
        roi=own.roi, hemi=own.hemi, field=own.field, plan=plan, carrying=CARRYING, seed=seed, rng=rng
    )
    return inside, sources, SNR * np.exp(rng.normal(0, 0.15, len(inside)))


def _signal(
    features: Mapping[str, xr.DataArray],
    plan: xr.Dataset,
    voxels: Cortex,
    seed: list[int],
    rng: np.random.Generator,
) -> _Signal:
    """Add up the responses to all feature spaces, each with its region's gain in the voxels that carry it."""
    inside, sources, vigour = _sources(plan, voxels, seed, rng)
    n = features[sources.layers[0]].sizes["stimulus"]
    own = np.zeros((n, len(inside)), dtype=np.float32)
    for row, layer in enumerate(sources.layers):
        own += (sources.gain[row] * vigour).astype(np.float32) * sources.weights(features[layer], layer)[1]
    values = np.zeros((n, len(voxels)), dtype=np.float32)
    values[:, inside] = own
    amplitude = np.zeros((len(sources.layers), len(voxels)))
    amplitude[:, inside] = sources.gain * vigour
    carries = np.zeros(amplitude.shape, dtype=bool)
    carries[:, inside] = sources.planted
    return _Signal(values, amplitude, carries)


def _noise(n: int, voxels: Cortex, rng: np.random.Generator) -> np.ndarray:
    """Noise (n, voxel) of unit variance: independent, and a part that is smooth over cortex."""
    centres = voxels.xyz[rng.choice(len(voxels), len(voxels) // 8, replace=False)]
    square = ((voxels.xyz[None, :, :] - centres[:, None, :]) ** 2).sum(axis=-1)
    kernel = np.exp(-square / (2 * _SMOOTH_MM**2)) * _same_side(voxels, centres)
    kernel = (kernel / np.sqrt((kernel**2).sum(axis=0)) * np.sqrt(SMOOTH)).astype(np.float32)
    out = rng.standard_normal((n, len(voxels)), dtype=np.float32) * np.float32(np.sqrt(1 - SMOOTH))
    out += rng.standard_normal((n, len(centres)), dtype=np.float32) @ kernel
    return out


def _same_side(voxels: Cortex, centres: np.ndarray) -> np.ndarray:
    return np.sign(centres[:, None, 0]) == np.where(voxels.hemi == "left", -1, 1)


def _confusion(n: int, signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random mixtures (n, voxel) of the responses to all stimuli, with the responses' own variance."""
    mixing = rng.standard_normal((n, len(signal)), dtype=np.float32) / np.float32(np.sqrt(len(signal)))
    return mixing @ signal


def _truth(
    array: xr.DataArray, plan: xr.Dataset, signal: _Signal, ncsnr: np.ndarray, repeats: int
) -> xr.Dataset:
    ceiling = np.sqrt(ncsnr**2 / (ncsnr**2 + 1 / repeats))
    voxel = {k: v for k, v in array.coords.items() if v.dims == ("voxel",)}
    return xr.Dataset(
        {
            "carries": (("layer", "voxel"), signal.carries),
            "amplitude": (("layer", "voxel"), signal.amplitude, {"units": "noise"}),
            "ncsnr": ("voxel", ncsnr),
            "ceiling": ("voxel", ceiling, {"units": "r", "trials": repeats}),
            "gain": plan["gain"],
        },
        coords={**voxel, "layer": plan["layer"], "population": plan["population"]},
        attrs={"origin": "simulated", "subject": array.attrs["subject"]},
    )
