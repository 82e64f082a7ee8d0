"""Two-stage reconstruction: decoded meaning makes a first picture, decoded structure pulls it into place.

Stage 1 ("what") turns decoded latents into pictures; stage 2 ("where") moves these latents by gradients until the
pictures' features meet the decoded ones (MindDiffuser 2025, Algorithm 2). Any differentiable generator will do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xarray as xr

from .. import brain, store
from ..labels import (
    FEATURE,
    LAYER,
    PICTURE,
    SAMPLE,
    listed,
    require_array,
    require_dims,
    require_finite,
    require_same,
    require_unique,
)
from ..vision import Encoder, _backends
from .decoders import Decoder, require_same_features
from .descent import Path, Settings, Start, choose, descend
from .generators import Generator
from .structure import SEMANTIC, StructureLoss, Target

if TYPE_CHECKING:
    import torch

SEED = 42


class TwoStage:
    """Reconstruct pictures from brain responses with fitted decoders and a generator.

    Parameters
    ----------
    generator : Generator
        Latents to pictures, see :mod:`neurodecode.reconstruction.generators`.
    vision : Encoder
        Whose layers the structure decoders were fitted on; from :func:`neurodecode.vision.load`.
    semantic, latent : fitted decoders of the latents "c" and "z"
        Anything with ``predict(responses)`` on labelled arrays.
    others : mapping of latent to fitted decoder
        For further latents of the generator, such as "image" or a GAN's "w".
    structure : mapping of layer to fitted decoder, or one decoder of features with ``layer``
        Layers of ``vision``. Needed for stage 2.
    masks : boolean (feature) with ``layer``, or mapping of layer to boolean (feature)
        Dimensions to trust, from :func:`neurodecode.selection.best_features`; all by default. Numbers, 0 or more, are
        weights, such as those of :func:`precision`. One for the layer of ``meaning`` counts too.
    meaning : (layer, fitted decoder), optional
        A deep layer of ``vision`` and its decoder.
    gamma : float
        Weight of the distance of ``meaning`` in the loss (eq. 6).
    weighting : "equal" or "inverse_norm"
        Of the layers, see :class:`.structure.StructureLoss`.
    settings : Settings
        How stage 2 descends; the paper's 60 steps of Adam at .01 by default.
    seed : int
        With every sample's label it gives that picture's noise, so that order and company change nothing.
    batch : int
        Pictures at a time.

    Raises
    ------
    ValueError
        Decoders for latents that the generator does not have, latents without a decoder, unknown layers.
    """

    def __init__(
        self,
        generator: Generator,
        vision: Encoder | None = None,
        *,
        semantic: Decoder | None = None,
        latent: Decoder | None = None,
        others: Mapping[str, Decoder] | None = None,
        structure: Mapping[str, Decoder] | Decoder | None = None,
        masks: xr.DataArray | Mapping[str, xr.DataArray] | None = None,
        meaning: tuple[str, Decoder] | None = None,
        gamma: float = 0.0,
        weighting: str = "equal",
        settings: Settings | None = None,
        seed: int = SEED,
        batch: int = 8,
    ) -> None:
        self.generator, self.vision = generator, vision
        given = {"c": semantic, "z": latent, **(others or {})}
        self.decoders = {k: v for k, v in given.items() if v is not None}
        self.structure, self.masks, self.meaning = structure, masks, meaning
        self.gamma, self.weighting = gamma, weighting
        self.settings = settings or Settings()
        self.seed, self.batch = seed, batch
        self._check()

    def _check(self) -> None:
        has = list(self.generator.latents)
        unknown = [k for k in self.decoders if k not in has]
        if unknown:
            raise ValueError(
                f"the generator {self.generator.name!r} has no latent {listed(unknown)}; it has {listed(has)}"
            )
        missing = [k for k in has if k not in self.decoders and k not in self.generator.free]
        if missing:
            raise ValueError(
                f"the generator {self.generator.name!r} needs a decoder of {listed(missing)}; give semantic=... for "
                "'c', latent=... for 'z', others={...} for the rest"
            )
        away = [k for k in self.settings.move or () if k not in has]
        if away:
            raise ValueError(
                f"move names {listed(away)}, but the latents are {listed(has)}; name some of these"
            )
        if self.gamma < 0 or (self.gamma > 0 and self.meaning is None):
            raise ValueError(
                f"gamma weighs the semantic term and must be 0 or more, got {self.gamma}; above 0 it needs "
                "meaning=(layer, decoder)"
            )
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1 picture, got {self.batch}")

    # --- stage 1 -----------------------------------------------------------------------------------------------

    def imagine(self, responses: xr.DataArray) -> xr.DataArray:
        """Stage 1: decode the latents and make pictures of them.

        Parameters
        ----------
        responses : (sample, ...)
            Of test stimuli, one a picture (average repeats before).

        Returns
        -------
        (sample, row, column, colour), values 0-1, float32
            With the sample coordinates of ``responses``.

        Raises
        ------
        ValueError
            Duplicate samples, a decoder that returns other samples, features that do not fit the generator.
        """
        torch = _backends.torch()
        whole = self._decoded(responses)
        parts = []
        for here in self._batches(whole.labels):
            with torch.no_grad():
                start = self._start(whole, here)
                parts.append(self.generator(start.latents, start.random).clamp(0, 1).cpu().numpy())
        values = np.concatenate(parts).astype(np.float32)
        array = xr.DataArray(values, dims=(SAMPLE, *PICTURE), coords=whole.coords, name="imagined")
        array.attrs["units"] = "0-1"
        return self._stamped(array, whole, "reconstruction.TwoStage.imagine")

    # --- stage 2 -----------------------------------------------------------------------------------------------

    def refine(
        self,
        responses: xr.DataArray,
        *,
        show: Sequence[int] | None = None,
        resume: str | FilePath | None = None,
        progress: bool = True,
    ) -> xr.Dataset:
        """Stages 1 and 2: make pictures, then move their latents until their features meet the decoded ones.

        Parameters
        ----------
        responses : (sample, ...)
            As in :meth:`imagine`.
        show : iterations
            Whose pictures are kept as ``frames``; the first and the last by default.
        resume : path of a folder
            Every finished picture is written there, and a run that was killed goes on from it, with the same bytes. It
            is refused if it was begun with other data, models or settings.
        progress : bool
            Show a progress bar.

        Returns
        -------
        Dataset
            ``images`` (sample, row, column, colour): the pictures of the lowest loss. ``imagined``: those of stage 1.
            ``tried`` (sample, start): the loss of every start; iteration 0 is the lowest of them.
            ``loss`` (sample, iteration), ``term`` losses ``parts`` (sample, iteration, term) without their weights,
            ``gradient`` (sample, iteration, latent) norms; ``frames`` (sample, frame, row, column, colour); ``best``
            (sample), the iteration of ``images``; ``end`` (sample): "all steps", "converged", or "diverged" for one
            whose loss or gradients went out of bounds, and which was set back to its best.

        Raises
        ------
        ValueError
            No structure decoder, layers that ``vision`` does not have, decoded layers or masks of another size, a
            folder to resume from that belongs to another run; all before the first step.
        """
        from tqdm.auto import tqdm

        whole = self._decoded(responses, structure=True)
        frames = self._frames(show)
        pieces = None
        if resume is not None:
            pieces = store.Pieces(resume, key=self._key(whole, frames))
        done: dict[int, xr.Dataset] = {}
        with tqdm(total=len(whole.labels), desc="refine", unit="picture", disable=not progress) as bar:
            for here in self._batches(whole.labels):
                done |= self._finished(whole, here, frames, pieces)
                bar.update(len(here))
        order = [done[i] for i in range(len(whole.labels))]
        result = xr.concat(order, dim=SAMPLE, combine_attrs="drop").assign_coords(whole.coords)
        return self._stamped(_described(result), whole, "reconstruction.TwoStage.refine")

    def _finished(
        self, whole: _Decoded, here: np.ndarray, frames: tuple[int, ...], pieces: store.Pieces | None
    ) -> dict[int, xr.Dataset]:
        """Refine one batch, or read what was finished before; a batch that is not whole is made again."""
        names = {i: f"picture-{i:05d}" for i in here.tolist()}
        if pieces is not None and not any(pieces.lacks(name) for name in names.values()):
            return {i: cast(xr.Dataset, pieces.load(name)) for i, name in names.items()}
        path, terms = self._refined(whole, here, frames)
        found = {i: _piece(path, row, terms, frames) for row, i in enumerate(here.tolist())}
        if pieces is not None:
            for i, name in names.items():
                if name not in pieces:
                    pieces.save(name, found[i])
        return found

    def _refined(self, whole: _Decoded, here: np.ndarray, frames: tuple[int, ...]) -> tuple[Path, list[str]]:
        loss = self._loss(whole, here)
        # Where nothing is random, all starts are one.
        count = self.settings.starts if self.generator.draw([0]) else 1
        starts = [self._start(whole, here, start=k) for k in range(count)]
        start, first, tried = choose(self.generator, loss, starts) if count > 1 else (starts[0], None, None)

        def make(now: dict[str, torch.Tensor], step: int) -> torch.Tensor:
            fresh = self.settings.noise == "redrawn" and step > 0
            # Free latents belong to the picture and are moved like the others; only noise is drawn anew.
            drawn = self._random(whole, here, step) if fresh else start.random
            return self.generator(now, drawn)

        path = descend(make, loss, start.latents, self.settings, show={0, *frames})
        path.first = path.shown[0] if first is None else first
        path.tried = path.total[:, :1] if tried is None else tried
        return path, loss.terms

    def _frames(self, show: Sequence[int] | None) -> tuple[int, ...]:
        last = self.settings.steps
        frames = tuple(sorted(set((0, last) if show is None else show)))
        if not frames or any(not 0 <= f <= last for f in frames):
            raise ValueError(f"show names at least one iteration from 0 to {last}, got {list(frames)}")
        return frames

    # --- what both need ----------------------------------------------------------------------------------------

    def _decoded(self, responses: xr.DataArray, *, structure: bool = False) -> _Decoded:
        """Run all decoders, and check what they return before any picture is made."""
        require_array(responses, who="responses")
        require_dims(responses, [SAMPLE], who="responses")
        require_unique(responses, SAMPLE, who="responses")
        latents = {k: _predicted(d, responses, k) for k, d in self.decoders.items()}
        layers: dict[str, xr.DataArray] = {}
        meaning = None
        if structure:
            layers = self._layers(responses)
            if self.meaning is not None:
                meaning = (self.meaning[0], _predicted(self.meaning[1], responses, self.meaning[0]))
            self._require_layers({**layers, **(dict([meaning]) if meaning else {})})
        coords = {k: v for k, v in responses.coords.items() if v.dims == (SAMPLE,)}
        masks = self._masks(layers, meaning)
        return _Decoded(responses[SAMPLE].values, coords, latents, layers, meaning, masks)

    def _layers(self, responses: xr.DataArray) -> dict[str, xr.DataArray]:
        if self.structure is None or self.vision is None:
            raise ValueError(
                "stage 2 needs vision=... and structure=...: an encoder and decoders of its layers"
            )
        if isinstance(self.structure, Mapping):
            return {k: _predicted(d, responses, k) for k, d in self.structure.items()}
        found = _predicted(self.structure, responses, "structure")
        if LAYER not in found.coords:
            raise ValueError(
                "the structure decoder returns features without 'layer', so nobody can tell which layer of the encoder "
                "they are of; fit it on features with layer=..., or give a mapping of layer to decoder"
            )
        return brain.spaces(found)

    def _require_layers(self, layers: Mapping[str, xr.DataArray]) -> None:
        lacking = [k for k in layers if k not in self._encoder.layers]
        if lacking:
            raise ValueError(
                f"{self._encoder.name} has no layer {listed(lacking)}; it has {listed(self._encoder.layers, most=40)}"
            )
        self._encoder.require_own(layers)
        for name, shape in self._encoder.shapes(list(layers)).items():
            wanted, found = int(np.prod(shape)), layers[name].sizes[FEATURE]
            if wanted != found:
                raise ValueError(
                    f"layer {name!r} of {self._encoder.name} has {wanted} dimensions ({' x '.join(map(str, shape))}) "
                    f"but its decoder returns {found}; fit it on the whole layer and choose dimensions with masks=..."
                )

    @property
    def _encoder(self) -> Encoder:
        return cast(Encoder, self.vision)  # _layers refuses stage 2 without one

    def _masks(
        self, layers: Mapping[str, xr.DataArray], meaning: tuple[str, xr.DataArray] | None
    ) -> dict[str, np.ndarray]:
        """Return weights (p) for every layer, and for that of the semantic term if they are given."""
        if self.masks is None:
            return {k: np.ones(v.sizes[FEATURE], bool) for k, v in layers.items()}
        given = self.masks if isinstance(self.masks, Mapping) else brain.spaces(self.masks)
        found = {k: _mask(k, v, given) for k, v in layers.items()}
        if meaning is not None and meaning[0] in given:
            found[meaning[0]] = _mask(*meaning, given)
        return found

    def _batches(self, labels: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(labels), self.batch):
            yield np.arange(start, min(start + self.batch, len(labels)))

    def _start(self, whole: _Decoded, here: np.ndarray, *, start: int = 0) -> Start:
        """Decoded latents, free ones, and what is random, for the pictures ``here``."""
        latents = {
            k: self.generator.arrange(k, self._tensor(v.values[here])) for k, v in whole.latents.items()
        }
        random = self._random(whole, here, start=start)
        free = {k: random[k] for k in self.generator.free if k not in latents}
        return Start({**latents, **free}, random)

    def _random(
        self, whole: _Decoded, here: np.ndarray, step: int = 0, *, start: int = 0
    ) -> dict[str, torch.Tensor]:
        return self.generator.draw([seed_of(whole.labels[i], self.seed, step, start) for i in here])

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        torch = _backends.torch()
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.generator.device)

    def _loss(self, whole: _Decoded, here: np.ndarray) -> StructureLoss:
        torch = _backends.torch()

        def target(layer: str, decoded: xr.DataArray) -> Target:
            weights = whole.masks.get(layer, np.ones(decoded.sizes[FEATURE], bool))
            on = torch.from_numpy(weights).to(self.generator.device)
            return Target(self._tensor(decoded.values[here]), on)

        targets = {k: target(k, v) for k, v in whole.layers.items()}
        semantic = None if whole.meaning is None else (whole.meaning[0], target(*whole.meaning))
        return StructureLoss(
            self._encoder, targets, weighting=self.weighting, semantic=semantic, gamma=self.gamma
        )

    def _parameters(self) -> dict[str, Any]:
        return {
            "generator": self.generator.name,
            "weights": self.generator.weights,
            "latents": {k: list(v) for k, v in self.generator.latents.items()},
            "encoder": None if self.vision is None else self.vision.name,
            "encoder_weights": None if self.vision is None else self.vision.weights,
            "reading": None if self.vision is None else self.vision.reading,
            "meaning": None if self.meaning is None else self.meaning[0],
            "weighting": self.weighting,
            "gamma": self.gamma,
            "settings": self.settings,
            "seed": self.seed,
            "batch": self.batch,
        }

    def _key(self, whole: _Decoded, frames: tuple[int, ...]) -> dict[str, Any]:
        return {**store.describe(self._parameters()), "frames": list(frames), "data": whole.hash()}

    def _stamped(self, result: Any, whole: _Decoded, what: str) -> Any:
        return store.stamp(
            result,
            what=what,
            parameters=self._parameters(),
            seed=self.seed,
            data={"decoded features": whole.hash()},
        )


class _Decoded:
    """What was decoded of all samples, checked."""

    def __init__(
        self,
        labels: np.ndarray,
        coords: Mapping[Any, Any],
        latents: dict[str, xr.DataArray],
        layers: dict[str, xr.DataArray],
        meaning: tuple[str, xr.DataArray] | None,
        masks: dict[str, np.ndarray],
    ) -> None:
        self.labels, self.coords = labels, coords
        self.latents, self.layers, self.meaning, self.masks = latents, layers, meaning, masks

    def hash(self) -> str:
        """Hash everything that decides the pictures beside models and settings."""
        meaning = [] if self.meaning is None else [self.meaning[1].values]
        values = [v.values for v in (*self.latents.values(), *self.layers.values())]
        names = np.array([*self.latents, *self.layers])
        return store.data_hash(names, self.labels, *values, *meaning, *self.masks.values())


def seed_of(label: object, seed: int, step: int = 0, start: int = 0) -> int:
    """Return a picture's own seed, from its label alone, whatever its place and company."""
    text = f"{seed} {step} {label!s}{f' start {start}' * (start > 0)}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:7], "big")


def _predicted(decoder: Decoder, responses: xr.DataArray, name: str) -> xr.DataArray:
    """Decode, and refuse other samples than those given."""
    found = require_array(decoder.predict(responses), who=f"what the decoder of {name!r} returns")
    require_dims(found, [SAMPLE, FEATURE], who=f"what the decoder of {name!r} returns")
    require_same(responses, found, SAMPLE, who=("responses", f"features decoded for {name!r}"))
    require_finite(found, who=f"what the decoder of {name!r} returns")
    return found.transpose(SAMPLE, FEATURE)


def _mask(name: str, layer: xr.DataArray, given: Mapping[str, xr.DataArray]) -> np.ndarray:
    if name not in given:
        raise ValueError(f"masks lack the layer {name!r}; they are there for {listed(given)}")
    mask = given[name]
    require_dims(mask, [FEATURE], who=f"the mask of {name!r}")
    if mask.dtype.kind not in "bf" or mask.shape != (layer.sizes[FEATURE],):
        raise ValueError(
            f"the mask of {name!r} must be boolean, or weights, ({layer.sizes[FEATURE]},), "
            f"got {mask.dtype} {mask.shape}"
        )
    wrong = int((~np.isfinite(mask.values) | (mask.values < 0)).sum())
    if wrong:
        raise ValueError(
            f"{wrong} of {mask.size} weights of {name!r} are negative or not finite; what is not trusted has 0"
        )
    require_same_features(mask, layer, who=f"mask and decoder of {name!r}")
    if not mask.values.any():
        raise ValueError(
            f"the mask of {name!r} keeps none of its {mask.size} dimensions; leave the layer out"
        )
    return mask.values if mask.dtype == bool else mask.values.astype(np.float32)


def _piece(path: Path, row: int, terms: list[str], frames: tuple[int, ...]) -> xr.Dataset:
    """One picture's result, as it is written."""
    shown = np.stack([path.shown.get(f, path.images)[row] for f in frames])
    latents = list(path.gradient)
    gradient = np.stack([path.gradient[k][row] for k in latents], axis=-1)
    return xr.Dataset(
        {
            "images": (PICTURE, path.images[row].astype(np.float32)),
            "imagined": (PICTURE, path.first[row].astype(np.float32)),
            "frames": (("frame", *PICTURE), shown.astype(np.float32)),
            "loss": ("iteration", path.total[row]),
            "parts": (("iteration", "term"), path.apart[row]),
            "gradient": (("iteration", "latent"), gradient),
            "tried": ("start", path.tried[row]),
            "best": int(path.best[row]),
            "end": str(path.end[row]),
        },
        coords={
            "iteration": np.arange(path.total.shape[1]),
            "start": np.arange(path.tried.shape[1]),
            "frame": np.array(frames),
            "term": np.array(terms),
            "latent": np.array(latents),
        },
    )


def _described(result: xr.Dataset) -> xr.Dataset:
    for name in ("images", "imagined", "frames"):
        result[name].attrs["units"] = "0-1"
    result["loss"].attrs.update(units="a.u.", long_name="structural loss")
    result["parts"].attrs.update(units="a.u.", long_name=f"mean squared error of a layer, or {SEMANTIC}")
    return result
