"""Features of stimuli, for decoders: structure from an image encoder, c from captions, z from an autoencoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..checks import shown
from ..labels import (
    FEATURE,
    LAYER,
    STIMULUS,
    quoted,
    require_coord,
    require_dims,
    require_memory,
    require_unique,
)
from ..store import data_hash
from ._pictures import DIMS
from ._stream import Work, run
from .encoders import Encoder
from .latents import Latents
from .text import TextEncoder

# A tower keeps about so many numbers of a picture at once for each one that it gives back.
OVERHEAD = 8


def extract_features(
    images: xr.DataArray,
    encoder: Encoder,
    layers: str | Sequence[str],
    *,
    out: str | Path | None = None,
    batch: int = 64,
    progress: bool = True,
) -> xr.DataArray:
    """Compute named layers of an image encoder for all images, a batch at a time.

    Parameters
    ----------
    images : (stimulus, row, column, colour), values 0-1
        As :func:`neurodecode.brain.images` makes them; a lazy array is read a batch at a time.
    encoder : Encoder
        From :func:`load`.
    layers : str or sequence of str
        Names out of ``encoder.layers``; they become ``layer``, in this order.
    out : path, optional
        A zarr folder to write to. It appears when it is whole. A run that was interrupted goes on after the last batch
        it finished, and a finished folder is opened; both only for the same weights, layers, reading, preprocessing
        and images. In memory by default.
    batch : int
        Images at a time.
    progress : bool
        Show a progress bar.

    Returns
    -------
    (stimulus, feature), float32
        With ``layer``, ``unit`` (counted within the layer, tokens first: token x width + position), ``token`` (0 the
        class token, then patches row by row from the top left; -1 for a layer that has none), ``field_x`` and
        ``field_y`` (centre of the patch from the middle of what the encoder sees, rightwards and upwards, half its
        side is 1; NaN where there is none). Attrs: model, weights hash, reading, preprocessing. From ``out`` it is
        read when its values are used.

    Raises
    ------
    ValueError
        No images, unknown layers, values outside 0-1, an ``out`` that was made of something else.
    MemoryError
        If the result, or one batch, does not fit.
    """
    _require_images(images)
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    shapes = encoder.shapes(names)
    size = sum(int(np.prod(s)) for s in shapes.values())
    images = images.transpose(*DIMS)
    _require_batch(images, batch, size)

    def compute(start: int, stop: int) -> np.ndarray:
        found = encoder.encode(images[start:stop], names)
        return np.concatenate([found[k].flatten(1).cpu().numpy() for k in names], axis=1)

    said = {"model": encoder.name, "reading": encoder.reading, "preprocessing": encoder.preprocessing}
    return run(
        Work(
            what="vision.extract_features",
            compute=compute,
            coords=_of_layers(images, encoder, shapes),
            attrs=_attrs(said, encoder.weights),
            parameters={"layers": list(names), **said, "weights": encoder.weights},
            data={"images": data_hash(images)},
        ),
        out=out,
        batch=batch,
        progress=progress,
    )


def latent_features(
    images: xr.DataArray,
    latents: Latents,
    *,
    out: str | Path | None = None,
    batch: int = 64,
    progress: bool = True,
) -> xr.DataArray:
    """Compute the image latents z of all images, a batch at a time.

    Parameters
    ----------
    images, out, batch, progress : see :func:`extract_features`
    latents : Latents
        From :func:`load_latents`.

    Returns
    -------
    (stimulus, feature), float32
        With ``layer`` "z", ``unit`` (plane x row x column, counted in this order), ``plane``, ``field_x``, ``field_y``.

    Raises
    ------
    ValueError
        No images, values outside 0-1, sides that the autoencoder cannot halve, an ``out`` made of something else.
    MemoryError
        If the result, or one batch, does not fit.
    """
    _require_images(images)
    images = images.transpose(*DIMS)
    shape = latents.shape(images.sizes["row"], images.sizes["column"])
    pixels = int(np.prod(shape[1:])) * latents.factor**2
    _require_batch(images, batch, pixels * 32)  # what the widest layer of the encoder keeps a pixel

    def compute(start: int, stop: int) -> np.ndarray:
        return latents.encode(images[start:stop]).flatten(1).cpu().numpy()

    said = {"model": latents.name, "kind": latents.kind, "size": latents.size, "scale": latents.scale}
    said |= {"shift": latents.shift}
    return run(
        Work(
            what="vision.latent_features",
            compute=compute,
            coords=_of_latents(images, shape),
            attrs=_attrs(said, latents.weights),
            parameters={**said, "weights": latents.weights},
            data={"images": data_hash(images)},
        ),
        out=out,
        batch=batch,
        progress=progress,
    )


def text_features(
    captions: Mapping[Any, str | Sequence[str]] | xr.DataArray,
    text: TextEncoder,
    *,
    out: str | Path | None = None,
    batch: int = 64,
    progress: bool = True,
) -> xr.DataArray:
    """Compute the semantic features c: tokens of a text encoder, the mean over a stimulus' captions.

    Parameters
    ----------
    captions : {stimulus: caption or captions}, or labelled text (stimulus) or (stimulus, caption)
    text : TextEncoder
        From :func:`load_text`.
    out, batch, progress
        As in :func:`extract_features`; a batch is so many stimuli.

    Returns
    -------
    (stimulus, feature), float32
        With ``layer`` "c", ``unit`` (token x width, counted in this order) and ``token`` (from 1). Token 0 is the same
        for every caption and is left out; ``text.restore`` puts it back. Attrs: model, weights hash, and how many
        captions were ``cut`` because they are longer than ``text.length``.

    Raises
    ------
    ValueError
        No captions, captions that are no texts, duplicate stimuli, an ``out`` that was made of something else.
    """
    stimulus, written = _by_stimulus(captions)
    flat = [c for several in written for c in several]
    ends = np.cumsum([len(several) for several in written])
    ids = text.ids(flat)

    def compute(start: int, stop: int) -> np.ndarray:
        first = ends[start] - len(written[start])
        tokens = text.embed(ids[first : ends[stop - 1]])[:, 1:].flatten(1).cpu().numpy()
        counts = [len(several) for several in written[start:stop]]
        return np.stack([part.mean(axis=0) for part in np.split(tokens, np.cumsum(counts)[:-1])])

    cut = int(text.cut(flat).sum())
    said = {"model": text.name, "length": text.length, "captions": len(flat), "cut": cut}
    return run(
        Work(
            what="vision.text_features",
            compute=compute,
            coords=_of_tokens(stimulus, text),
            attrs=_attrs(said, text.weights),
            parameters={**said, "weights": text.weights},
            data={"captions": data_hash(ids, ends, stimulus)},
        ),
        out=out,
        batch=batch,
        progress=progress,
    )


def _require_images(images: xr.DataArray) -> None:
    require_dims(images, DIMS, who="images")
    require_coord(images, STIMULUS, who="images", dim=STIMULUS)
    require_unique(images, STIMULUS, who="images")


def _require_batch(images: xr.DataArray, batch: int, size: int) -> None:
    """Refuse a batch that does not fit, before the first one."""
    needed = 4 * batch * (OVERHEAD * size + 2 * images[0].size)
    require_memory(needed, what=f"a batch of {batch} images", remedy=f"use a smaller batch=..., now {batch}")


def _attrs(said: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """Say in plain attributes, which every file format keeps, what the features come from."""
    text = {k: v if isinstance(v, str | int | float) else str(v) for k, v in said.items() if v is not None}
    return {"units": "a.u.", **text, "weights": weights}


def _coords(stimulus: np.ndarray, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {STIMULUS: (STIMULUS, stimulus)} | {k: (FEATURE, v) for k, v in columns.items()}


def _of_layers(
    images: xr.DataArray, encoder: Encoder, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    parts: dict[str, list[np.ndarray]] = {k: [] for k in (LAYER, "unit", "token", "field_x", "field_y")}
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        token = np.repeat(np.arange(shape[0]), shape[1]) if len(shape) == 2 else np.full(size, -1)
        x, y = _fields(encoder.grid if len(shape) == 2 else (0, 0))
        here = np.where(token > 0, token, 0)
        columns = (np.full(size, name), np.arange(size), token, x[here], y[here])
        for key, column in zip(parts, columns, strict=True):
            parts[key].append(column)
    return _coords(images[STIMULUS].values, {k: np.concatenate(v) for k, v in parts.items()})


def _fields(grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre of every token's patch; NaN for token 0, which sees all of the picture."""
    y, x = np.meshgrid(-_centres(grid[0]), _centres(grid[1]), indexing="ij")
    return np.concatenate([[np.nan], x.ravel()]), np.concatenate([[np.nan], y.ravel()])


def _centres(n: int) -> np.ndarray:
    return (2 * np.arange(n) + 1) / max(n, 1) - 1


def _of_latents(images: xr.DataArray, shape: tuple[int, int, int]) -> dict[str, Any]:
    x, y = (np.tile(field[1:], shape[0]) for field in _fields(shape[1:]))
    size = int(np.prod(shape))
    plane = np.repeat(np.arange(shape[0]), shape[1] * shape[2])
    columns = {LAYER: np.full(size, "z"), "unit": np.arange(size), "plane": plane, "field_x": x, "field_y": y}
    return _coords(images[STIMULUS].values, columns)


def _of_tokens(stimulus: np.ndarray, text: TextEncoder) -> dict[str, Any]:
    size = (text.length - 1) * text.width
    token = np.repeat(np.arange(1, text.length), text.width)
    return _coords(stimulus, {LAYER: np.full(size, "c"), "unit": np.arange(size), "token": token})


def _by_stimulus(
    captions: Mapping[Any, str | Sequence[str]] | xr.DataArray,
) -> tuple[np.ndarray, list[list[str]]]:
    """Return the stimuli and the captions of each."""
    if isinstance(captions, xr.DataArray):
        require_dims(captions, [STIMULUS], who="captions")
        require_unique(captions, STIMULUS, who="captions")
        rows = captions.transpose(STIMULUS, ...).values.reshape(captions.sizes[STIMULUS], -1)
        _require_texts(rows.tolist(), captions[STIMULUS].values)
        return captions[STIMULUS].values, [[str(c) for c in row] for row in rows]
    if not isinstance(captions, Mapping):
        raise TypeError(
            f"captions must be {{stimulus: captions}} or labelled text, not {type(captions).__name__}"
        )
    written = [
        list(c) if isinstance(c, Iterable) and not isinstance(c, str) else [c] for c in captions.values()
    ]
    without = [k for k, c in zip(captions, written, strict=True) if not c]
    if without or not written:
        raise ValueError(
            f"{len(without)} of {len(written)} stimuli have no caption, first {without[:1]}; give each one or more"
        )
    _require_texts(written, list(captions))
    return np.asarray(list(captions)), written


def _require_texts(rows: Sequence[Sequence[object]], stimulus: Iterable[object]) -> None:
    """Refuse captions that are none, of which a table has NaN: it would be encoded as the word "nan"."""
    wrong = [(s, c) for s, row in zip(stimulus, rows, strict=True) for c in row if not isinstance(c, str)]
    if wrong:
        raise ValueError(
            f"{len(wrong)} of {sum(map(len, rows))} captions are no text, first {shown(wrong[0][1])} of stimulus "
            f"{quoted(wrong[0][0])}; drop these stimuli, or give {{stimulus: captions}} where some have fewer"
        )
