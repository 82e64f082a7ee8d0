"""Simulated EEG and MEG: the same cortical patches, their time courses, a forward model and realistic noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ... import brain
from .cortex import Cortex, approximate_regions, parcels
from .plan import require_planned
from .sensors import Sensors, gains, sensors
from .sources import Sources, settle

START, STOP, RATE = -0.1, 0.6, 100.0
# Current of a patch with gain 1: standard deviation over stimuli, A m per mm2 of cortex (evoked currents reach
# 25 to 250 pA m/mm2; Murakami & Okada 2006), and the part that is the same for all stimuli, as a multiple. The evoked
# response is largest at about 110 ms, so the late populations have less of it.
CURRENT = 110e-12
EVOKED = {"structure": 0.3, "latent": 0.3, "intermediate": 0.1, "meaning": 0.1}
CARRYING = 0.8
_PATCH_MM2 = 30.0
# Patches of a region do not peak together: standard deviation of their latencies, s, in steps of 5 ms.
SPREAD = 0.020
_STEP = 0.005
# Brain activity that has nothing to do with the stimuli: independent sources all over the cortex.
_BACKGROUND_SOURCES = 500
BACKGROUND = 4.5e-9
# Noise of the sensors themselves in one trial, up to 50 Hz: electrodes, skin, amplifier and muscles in V, so that with
# the background (about 5e-6 V) a single EEG trial has some 11 microvolts; about 5 fT/sqrt(Hz) in T. How far EEG falls
# below MEG on structure depends on the first: at 5e-6 V the gap is about half as wide.
SENSOR_NOISE = {"V": 10e-6, "T": 35e-15}
_BLOCK = 256


@dataclass(frozen=True)
class _Sources:
    """Cortical patches.

    ``gain`` (channel, patch) is how the sensors see them, ``drive`` (layer -> (stimulus, patch)) what drives each,
    in A m per mm2, and ``course`` (layer -> (patch, time)) when; ``own`` says which patch carries what, ``roi`` and
    ``hemi`` where it lies.
    """

    roi: np.ndarray
    hemi: np.ndarray
    own: Sources
    gain: np.ndarray
    drive: dict[str, np.ndarray]
    course: dict[str, np.ndarray]


def times() -> np.ndarray:
    """Return the time axis: seconds from onset, -0.1 to 0.6 at 100 Hz."""
    return np.round(np.arange(START, STOP + 0.5 / RATE, 1 / RATE), 6)


def simulate(
    features: Mapping[str, xr.DataArray],
    table: xr.Dataset,
    plan: xr.Dataset,
    *,
    kind: str,
    subject: str,
    seed: list[int],
    noise: float = 1.0,
) -> tuple[xr.DataArray, xr.Dataset]:
    """Simulate one subject's EEG or MEG, one sample a stimulus.

    Parameters
    ----------
    features : name -> (stimulus, feature)
        All of the same stimuli in the same order; names as in the plan.
    table : Dataset (stimulus)
        ``split``, and ``trials``: how many trials each sample averages.
    plan : Dataset (region, layer)
        ``gain``, ``latency``, ``width``, ``population``, see :func:`.plan.default_plan`.
    kind : "eeg" or "meg"
    subject : str
    seed : list of int
        Gives borders, receptive fields, carriers and noise of this subject.
    noise : float
        Standard deviation of all noise, relative to the default.

    Returns
    -------
    responses : (sample, channel, time), float32, V or T, baseline (before onset) subtracted; coordinate ``trials``.
    truth : Dataset
        ``time_course`` (layer, time), the sources' response to each feature space summed over sources, largest value 1;
        ``peak`` (layer) in s; ``gain`` and ``latency`` (region, layer); of every cortical patch ``roi``, ``hemi``,
        ``carries`` (layer, patch) and ``amplitude`` (layer, patch), standard deviation over stimuli of its current.
    """
    require_planned(features, plan)
    rng = np.random.default_rng(seed)
    array, time = sensors(kind), times()
    whole = approximate_regions(rng=rng)
    sources = _sources(features, plan, whole, array, time, seed, rng)
    background = _background(whole, array, rng)
    values = _evoked(sources)
    trials = table["trials"].values
    for start in range(0, len(values), _BLOCK):
        here = slice(start, start + _BLOCK)
        shape = values[here].shape
        grain = _noise(shape, background, SENSOR_NOISE[array.units], time, rng)
        values[here] += (noise * grain / np.sqrt(trials[here])[:, None, None]).astype(np.float32)
    values -= values[:, :, time < 0].mean(axis=2, keepdims=True)
    stimulus = table["stimulus"].values
    out = brain.meeg(
        values,
        sample=np.array([f"mean-{s}" for s in stimulus]),
        stimulus=stimulus,
        channel=array.channel,
        time=time,
        kind=array.kind,
        xyz=array.xyz,
        subject=subject,
        split=table["split"].values,
        units=array.units,
    ).assign_coords(trials=("sample", trials))
    averaging = "each sample averages as many trials as its coordinate 'trials' says"
    out.attrs |= {"origin": "simulated", "averaging": averaging}
    return out, _truth(sources, plan, time, subject)


def bell(time: np.ndarray, latency: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the time course (..., time) of responses (...) that peak with 1 at ``latency``; 0 before onset."""
    return np.where(time > 0, np.exp(-0.5 * ((time - latency[..., None]) / width[..., None]) ** 2), 0.0)


def _sources(
    features: Mapping[str, xr.DataArray],
    plan: xr.Dataset,
    whole: Cortex,
    array: Sensors,
    time: np.ndarray,
    seed: list[int],
    rng: np.random.Generator,
) -> _Sources:
    """Give every patch of the regions its field at the sensors and its response to each feature space."""
    cortex = whole.take(whole.roi != "")
    patch = parcels(cortex, area=_PATCH_MM2)
    _, first = np.unique(patch, return_index=True)
    roi, hemi = cortex.roi[first], cortex.hemi[first]
    member = patch[None, :] == np.arange(len(first))[:, None]
    weight = member * cortex.area
    # One dipole a patch, at its middle: the sum of the moments of its vertices, per unit of current density.
    moment = weight @ cortex.normal
    size = np.linalg.norm(moment, axis=1, keepdims=True)
    middle = weight @ cortex.xyz / weight.sum(axis=1, keepdims=True)
    gain = gains(array, middle, moment / size) * size.T
    field = (member / member.sum(axis=1, keepdims=True)) @ cortex.field
    own = settle(roi=roi, hemi=hemi, field=field, plan=plan, carrying=CARRYING, seed=seed, rng=rng)
    late = {str(p): _delays(len(roi), rng) for p in np.unique(plan["population"])}
    drive, course = {}, {}
    for row, name in enumerate(own.layers):
        here = plan.sel(layer=name, region=roi)
        population = str(here["population"].item())
        shared = EVOKED.get(population, 0.0) * np.abs(rng.normal(1, 0.3, len(roi)))
        drive[name] = own.gain[row] * CURRENT * (shared + own.weights(features[name], name)[1])
        course[name] = bell(time, here["latency"].values + late[population], here["width"].values)
    return _Sources(roi, hemi, own, gain, drive, course)


def _delays(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw latencies (n) around 0 in s, in steps, at most two standard deviations off."""
    drawn = np.clip(rng.normal(0, SPREAD, n), -2 * SPREAD, 2 * SPREAD)
    return _STEP * np.round(drawn / _STEP)


def _evoked(sources: _Sources) -> np.ndarray:
    """Sum the fields of all patches over their time courses: (stimulus, channel, time), float32."""
    courses = np.stack(list(sources.course.values()))
    # Few courses differ: patches that share one are added up before time comes in.
    distinct, which = np.unique(courses.round(9).reshape(-1, courses.shape[-1]), axis=0, return_inverse=True)
    which = which.reshape(courses.shape[:2])
    n = len(next(iter(sources.drive.values())))
    field = np.zeros((n, len(sources.gain), len(distinct)), dtype=np.float32)
    for row, drive in enumerate(sources.drive.values()):
        for b in np.unique(which[row]):
            here = which[row] == b
            field[:, :, b] += drive[:, here] @ sources.gain[:, here].T
    return field @ distinct.astype(np.float32)


def _background(whole: Cortex, array: Sensors, rng: np.random.Generator) -> np.ndarray:
    """Square root (channel, channel) of the covariance that background sources have at the sensors."""
    chosen = whole.take(np.sort(rng.choice(len(whole), _BACKGROUND_SOURCES, replace=False)))
    field = gains(array, chosen.xyz, chosen.normal) * BACKGROUND
    values, vectors = np.linalg.eigh(field @ field.T)
    return vectors * np.sqrt(np.maximum(values, 0))


def _noise(
    shape: tuple[int, ...], background: np.ndarray, level: float, time: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Noise (sample, channel, time) of one trial: background of a 1/f spectrum with alpha, and white sensor noise."""
    white = rng.standard_normal(shape, dtype=np.float32)
    brainy = background.astype(np.float32) @ (white @ _spectrum_root(len(time)).astype(np.float32).T)
    return brainy + np.float32(level) * rng.standard_normal(shape, dtype=np.float32)


def _spectrum_root(n: int) -> np.ndarray:
    """Cholesky factor (time, time) of a process with power 1/f and an alpha peak at 10 Hz, unit variance."""
    from scipy.linalg import cholesky, toeplitz

    frequency = np.fft.rfftfreq(1024, 1 / RATE)
    power = 1 / np.maximum(frequency, 0.5) + 0.3 * np.exp(-0.5 * ((frequency - 10) / 1.0) ** 2)
    power[0] = 0
    covariance = np.fft.irfft(power)[:n]
    return cholesky(toeplitz(covariance / covariance[0]) + 1e-9 * np.eye(n), lower=True)


def _truth(sources: _Sources, plan: xr.Dataset, time: np.ndarray, subject: str) -> xr.Dataset:
    course = np.stack(
        [sources.drive[k].std(axis=0) @ sources.course[k] for k in plan["layer"].values.tolist()]
    )
    course /= course.max(axis=1, keepdims=True)
    layer = plan["layer"].values
    return xr.Dataset(
        {
            "time_course": (("layer", "time"), course),
            "peak": ("layer", time[course.argmax(axis=1)], {"units": "s"}),
            "gain": plan["gain"],
            "latency": plan["latency"],
            "carries": (("layer", "patch"), sources.own.planted),
            "amplitude": (("layer", "patch"), sources.own.gain * CURRENT, {"units": "A m/mm2"}),
        },
        coords={
            "layer": layer,
            "time": ("time", time, {"units": "s"}),
            "population": plan["population"],
            "roi": ("patch", sources.roi),
            "hemi": ("patch", sources.hemi),
        },
        attrs={"origin": "simulated", "subject": subject},
    )
