"""Simulated stimuli and their features: one coloured object on a textured ground.

The simulators of responses (``fmri``, ``meeg``) see nothing of this module but a mapping of features. A feature space
whose units look at a place in the visual field says so by the coordinates ``field_x`` and ``field_y`` (-1 to 1,
rightwards and upwards from fixation); other models can take this module's place by doing the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import expit

from ... import brain

N_GROUPS = 10
N_CONCEPTS = 200
N_TEST_CONCEPTS = 40
SIDE = 32
N_SEMANTIC = 32
N_ORIENTATIONS = 4
# Structure: (cycles a picture, cells a side) from fine to coarse. Latent: cells a side.
_SCALES = {"structure-1": (7.0, 6), "structure-2": (4.0, 5), "structure-3": (2.0, 4)}
_LATENT_CELLS = 8
# Standard deviation of a cell's window, in units of the visual field.
_WINDOW = 0.25
# The ground's contrast varies over this many patches a side.
_PATCHES = 3
_BLOCK = 256


@dataclass(frozen=True)
class Stimuli:
    """Simulated stimuli.

    Attributes
    ----------
    features : name -> (stimulus, feature)
        "c" (meaning), "structure-1" (fine) to "structure-3" (coarse), "z" (a small colour picture).
    table : Dataset (stimulus)
        ``concept``, ``group``, ``split``.
    """

    features: Mapping[str, xr.DataArray]
    table: xr.Dataset


def by_image(*, train: int, test: int, seed: int) -> Stimuli:
    """Make stimuli split by image, as in NSD: every concept may occur in training and test."""
    rng = np.random.default_rng([seed, 1])
    concept = np.concatenate([_cycle(n, np.arange(N_CONCEPTS), rng) for n in (train, test)])
    return _make(concept, np.repeat(["train", "test"], [train, test]), seed=seed, rng=rng)


def by_concept(*, train: int, test: int, seed: int) -> Stimuli:
    """Make stimuli split by concept, as in THINGS: no test concept occurs in training; at most 40 for testing.

    Raises
    ------
    ValueError
        If ``test`` is above the number of held-out concepts.
    """
    if test > N_TEST_CONCEPTS:
        raise ValueError(
            f"{test} test images asked for, but there are {N_TEST_CONCEPTS} held-out concepts, one image each"
        )
    rng = np.random.default_rng([seed, 2])
    held_out = _held_out(seed)
    known = np.setdiff1d(np.arange(N_CONCEPTS), held_out)
    concept = np.concatenate([_cycle(train, known, rng), held_out[:test]])
    return _make(concept, np.repeat(["train", "test"], [train, test]), seed=seed, rng=rng)


def _held_out(seed: int) -> np.ndarray:
    """Choose the same number of concepts from every group."""
    rng = np.random.default_rng([seed, 3])
    members = rng.permuted(np.arange(N_CONCEPTS).reshape(N_GROUPS, -1), axis=1)
    return rng.permutation(members[:, : N_TEST_CONCEPTS // N_GROUPS].ravel())


def _cycle(n: int, concepts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` concepts as evenly as possible, in random order."""
    return rng.permutation(np.resize(rng.permutation(concepts), n))


def _make(concept: np.ndarray, split: np.ndarray, *, seed: int, rng: np.random.Generator) -> Stimuli:
    group = concept // (N_CONCEPTS // N_GROUPS)
    stimulus = np.array([f"{s}-{i:05d}" for i, s in enumerate(split)])
    meaning, colour, slim = _concepts(np.random.default_rng([seed, 4]))
    semantic = meaning[concept] + 0.35 * rng.standard_normal((len(concept), N_SEMANTIC))
    tint = np.clip(colour[concept] + 0.25 * rng.standard_normal((len(concept), 3)), -1, 1)
    energy: dict[str, list[np.ndarray]] = {name: [] for name in _SCALES}
    latent = []
    for start in range(0, len(concept), _BLOCK):
        here = slice(start, start + _BLOCK)
        pictures = _render(tint[here], slim[concept[here]], rng)
        latent.append(_cells(pictures, _LATENT_CELLS).reshape(len(pictures), -1))
        spectrum = np.fft.fft2(pictures.mean(axis=-1))
        for name, (frequency, cells) in _SCALES.items():
            energy[name].append(_contrast_energy(spectrum, frequency, cells))
    values = (
        {"c": semantic} | {k: np.concatenate(v) for k, v in energy.items()} | {"z": np.concatenate(latent)}
    )
    grid = {name: cells for name, (_, cells) in _SCALES.items()} | {"z": _LATENT_CELLS}
    features = {name: _labelled(name, v, stimulus, grid.get(name)) for name, v in values.items()}
    columns = {"concept": _names("concept", concept), "group": _names("group", group), "split": split}
    table = xr.Dataset({k: ("stimulus", v) for k, v in columns.items()}, {"stimulus": stimulus})
    table.attrs["origin"] = "simulated"
    return Stimuli(features, table)


def _concepts(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embedding (concept, 32) with a group's and an own part, colour (concept, 3) and slimness (concept)."""
    group = np.repeat(rng.standard_normal((N_GROUPS, N_SEMANTIC)), N_CONCEPTS // N_GROUPS, axis=0)
    meaning = 0.7 * group + 0.7 * rng.standard_normal((N_CONCEPTS, N_SEMANTIC))
    # Colour follows from meaning, so that meaning tells something of the picture.
    colour = np.tanh(meaning @ rng.standard_normal((N_SEMANTIC, 3)) / np.sqrt(N_SEMANTIC / 2))
    return meaning, colour, rng.uniform(0.4, 1, N_CONCEPTS)


def _render(tint: np.ndarray, slim: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw scenes (image, row, column, colour): an oriented, striped blob on a coloured 1/f ground, around 0."""
    n = len(tint)
    grid = np.linspace(-1, 1, SIDE)
    x, y = grid[None, None, :], -grid[None, :, None]
    centre = rng.uniform(-0.55, 0.55, (2, n, 1, 1))
    angle, size = rng.uniform(0, np.pi, (n, 1, 1)), rng.uniform(0.25, 0.55, (n, 1, 1))
    dx, dy = x - centre[0], y - centre[1]
    u, v = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
    reach = (u / size) ** 2 + (v / (size * slim[:, None, None])) ** 2
    mask = expit(8 * (1 - reach))
    stripes = 0.5 * np.cos(
        2 * np.pi * rng.uniform(1.5, 4, (n, 1, 1)) * u + rng.uniform(0, 2 * np.pi, (n, 1, 1))
    )
    spread = _patch_weights()
    colours = 0.45 * rng.standard_normal((n, _PATCHES, _PATCHES, 3))
    wash = np.einsum("ar,nabk,bc->nrck", spread, colours, spread, optimize=True)
    ground = wash + _texture(n, rng)[..., None] * rng.uniform(0.3, 0.5, (n, 1, 1, 1))
    thing = tint[:, None, None, :] + stripes[..., None]
    return ground * (1 - mask[..., None]) + thing * mask[..., None]


def _texture(n: int, rng: np.random.Generator) -> np.ndarray:
    """Texture (image, row, column) of unit variance with as much contrast in every octave (1/f amplitude).

    It is patchy: the contrast of every scale and orientation varies over the picture on its own.
    """
    spectrum = np.fft.fft2(rng.standard_normal((n, SIDE, SIDE)))
    spread = _patch_weights()
    out = np.zeros((n, SIDE, SIDE))
    for frequency, _ in _SCALES.values():
        for angle in _orientations():
            band = np.fft.ifft2(spectrum * _filter(frequency, angle)).real
            patchy = spread.T @ rng.standard_normal((n, _PATCHES, _PATCHES)) @ spread
            out += band / band.std() * np.exp(patchy)
    return out / out.std(axis=(1, 2), keepdims=True)


def _patch_weights() -> np.ndarray:
    """Weights (patch, row) that spread unit normal numbers smoothly over a picture's side, with unit variance."""
    window = _windows(_PATCHES)
    return window / np.sqrt((window**2).sum(axis=0))


def _orientations() -> np.ndarray:
    return np.arange(N_ORIENTATIONS) * np.pi / N_ORIENTATIONS


def _filter(frequency: float, angle: float) -> np.ndarray:
    """Band-pass filter around ``frequency`` (cycles a picture) and ``angle``, on one half of the Fourier plane."""
    fy, fx = np.meshgrid(np.fft.fftfreq(SIDE) * SIDE, np.fft.fftfreq(SIDE) * SIDE, indexing="ij")
    radius, direction = np.hypot(fx, fy), np.arctan2(-fy, fx)
    turn = np.angle(np.exp(1j * (direction - angle)))
    octaves = np.log2(np.maximum(radius, 1e-9) / frequency)
    return np.exp(-0.5 * (octaves / 0.5) ** 2 - 0.5 * (turn / 0.4) ** 2)


def _contrast_energy(spectrum: np.ndarray, frequency: float, cells: int) -> np.ndarray:
    """Log energy of oriented band-pass filters, averaged in cells: (image, cell row x cell column x orientation)."""
    # Half of the Fourier plane gives a complex picture, whose modulus is free of phase.
    energy = [np.abs(np.fft.ifft2(spectrum * _filter(frequency, angle))) ** 2 for angle in _orientations()]
    return np.log(_cells(np.stack(energy, axis=-1), cells) + 1e-3).reshape(len(spectrum), -1)


def _cells(pictures: np.ndarray, cells: int) -> np.ndarray:
    """Average (image, row, column, k) in ``cells`` x ``cells`` overlapping windows."""
    window = _windows(cells)
    return np.einsum("ar,nrck,bc->nabk", window, pictures, window, optimize=True)


def _windows(cells: int) -> np.ndarray:
    """Weights (cell, row) of overlapping windows that add up to 1 in each cell."""
    place = np.linspace(-1, 1, SIDE)
    window = np.exp(-0.5 * ((place[None, :] - _cell_centres(cells)[:, None]) / _WINDOW) ** 2)
    return window / window.sum(axis=1, keepdims=True)


def _cell_centres(cells: int) -> np.ndarray:
    return (np.arange(cells) + 0.5) * 2 / cells - 1


def _labelled(name: str, values: np.ndarray, stimulus: np.ndarray, cells: int | None) -> xr.DataArray:
    array = brain.features(values.astype(np.float32), stimulus=stimulus, layer=name)
    array.attrs |= {"origin": "simulated", "units": "a.u."}
    if cells is None:
        return array
    row, column, _ = np.unravel_index(np.arange(values.shape[1]), (cells, cells, values.shape[1] // cells**2))
    centres = _cell_centres(cells)
    return array.assign_coords(field_x=("feature", centres[column]), field_y=("feature", -centres[row]))


def _names(kind: str, index: np.ndarray) -> np.ndarray:
    return np.array([f"{kind}-{i:03d}" for i in index])
