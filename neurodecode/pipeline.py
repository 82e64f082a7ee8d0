"""Top: from responses to scored pictures: decoders, both stages, metrics. What ``neurodecode reconstruct`` runs."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from . import brain, folds, inputs, metrics, reconstruction, selection, store, vision
from .labels import SAMPLE, STIMULUS, listed, require_choice
from .linear import RidgeDecoder
from .reconstruction.decoders import Decoder

# The shallow half of the method's six layers, where the miniature CLIP keeps the layout.
LAYERS = ("Linear-2", "Linear-4", "Linear-6")
# Ridge penalties to choose from, on z-scored data.
ALPHAS = (1.0, 1e1, 1e2, 1e3, 1e4, 1e5)
# The two stages, by the names of their pictures.
STAGES = {1: "imagined", 2: "images"}
PICTURE = ("row", "column", "colour")
# What needs no network.
LOW = ("PixCorr", "SSIM")
KEPT = ("metric", SAMPLE, "better")


# How dimensions of the layers are trusted.
TRUST = ("precision", "equal")
# c, which holds the meaning, moves a fifth as far as z: its values lie closer together, and colours and objects drift.
SETTINGS = reconstruction.Settings(steps=30, rate={"z": 0.1, "c": 0.02}, decay=0.95)


@dataclass(frozen=True)
class Plan:
    """What is decoded and how stage 2 descends.

    The values are the lab's. They were chosen on the first 40 test stimuli of subject 1 (fMRI, "full", seed 0): report
    other ones. The paper takes six layers, a quarter of their dimensions, all of these alike, a small gamma, and 60
    steps of .01.

    Attributes
    ----------
    layers : of the encoder, decoded for the structural loss; none: stage 1 only.
    keep : share of each layer's dimensions that are trusted, chosen by :func:`neurodecode.selection.best_features`.
    trust : "precision" weighs each by how well it is decoded, and takes the ridge's prior out of its target (see
        :func:`neurodecode.reconstruction.precision`); "equal" does neither, as the paper.
    latents : decoded for stage 1; one that is left out is the mean of training.
    meaning : a deep layer, decoded for the semantic term; gamma : its weight.
    unshrunk : restore the distance from the mean of what is decoded and not calibrated by ``trust``, see
        :class:`neurodecode.reconstruction.Unshrunk`.
    regions : names or groups ("LVC") whose voxels are used; all by default.
    settings : of stage 2.
    batch : pictures at a time; seed : of the noise.
    """

    layers: tuple[str, ...] = LAYERS
    keep: float = 1.0
    trust: str = "precision"
    latents: tuple[str, ...] = ("c", "z")
    meaning: str = "final"
    gamma: float = 0.2
    unshrunk: bool = True
    regions: str | None = None
    settings: reconstruction.Settings = SETTINGS
    batch: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice(self.trust, TRUST, what="trust")

    @property
    def judged(self) -> tuple[str, ...]:
        """Layers that enter the loss."""
        return tuple(dict.fromkeys([*self.layers, *([self.meaning] if self.gamma > 0 else [])]))


@dataclass(frozen=True)
class Data:
    """One subject's responses, the features and the pictures of the stimuli and, for the lab, the truth."""

    responses: xr.DataArray
    features: Mapping[str, xr.DataArray]
    images: xr.DataArray
    modality: str
    truth: xr.Dataset | None = None

    @property
    def subject(self) -> str:
        """Name of the subject."""
        return str(self.responses.attrs.get("subject", "unnamed"))


def planned(*, steps: int | None = None, **given: Any) -> Plan:
    """Return a plan with other values where they are given (None: the default)."""
    plan = replace(Plan(), **{k: v for k, v in given.items() if v is not None})
    return plan if steps is None else replace(plan, settings=replace(plan.settings, steps=steps))


def arguments(parser: argparse.ArgumentParser, *, n: int, steps: int | None) -> argparse.Namespace:
    """Parse what the analyses of reconstructions on the lab share; folders that it names are made."""
    parser.add_argument("--modality", choices=inputs.MODALITIES, default="fmri")
    parser.add_argument("--subjects", type=int, default=1)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=n, help="test pictures a subject")
    parser.add_argument("--steps", type=int, default=steps, help="iterations of stage 2")
    parser.add_argument("--resume", type=Path, help="folder for finished pictures, from which a run goes on")
    parser.add_argument("--out", type=Path, default=Path("results"))
    args = parser.parse_args()
    for folder in filter(None, (args.out, args.resume)):
        folder.mkdir(parents=True, exist_ok=True)
    return args


def lab_data(modality: str, *, subject: int = 1, size: str = "small", seed: int = 0) -> Data:
    """Simulate one subject of the embedded lab."""
    from .datasets import lab

    found = lab.load(modality, subject=subject, size=size, seed=seed)
    return Data(found.responses, found.features, found.images, modality, found.truth)


def data_from(responses: str | Path, features: Sequence[str | Path], images: str | Path | None) -> Data:
    """Load responses with the coordinate ``split``, features and pictures that neurodecode.save wrote.

    Raises
    ------
    ValueError
        If one of the three is not named or holds something else.
    """
    if not features or images is None:
        raise ValueError(
            "responses from a file need --features FILE ... (c, z and the encoder's layers) and --images FILE (the "
            "pictures that were shown, to compare with)"
        )
    shown = store.load(images)
    if not isinstance(shown, xr.DataArray) or set(shown.dims) != {STIMULUS, *PICTURE}:
        raise ValueError(
            f"{str(images)!r} holds no pictures: a DataArray (stimulus, row, column, colour) is needed, it is "
            f"{type(shown).__name__} {tuple(map(str, shown.dims))}. Make one with neurodecode.brain.images"
        )
    found = inputs.responses_from(responses)
    modality = "fmri" if "voxel" in found.dims else "meeg"
    return Data(found, inputs.features_from(features), shown, modality)


def run(
    data: Data,
    generator: reconstruction.Generator,
    encoder: vision.Encoder,
    plan: Plan,
    *,
    n: int | None = None,
    protocol: str = "lab",
    frames: Sequence[int] | None = None,
    resume: Path | None = None,
) -> xr.Dataset:
    """Fit on the training split, reconstruct the first ``n`` test stimuli (None: all) and score both stages.

    Returns
    -------
    Dataset as :func:`scored` makes it, with the subject's name in attrs.

    Raises
    ------
    ValueError
        Responses without the splits "train" and "test"; feature spaces or pictures that are missing.
    """
    responses = prepared(data.responses, plan)
    train = responses.isel({SAMPLE: folds.select(responses, "train", who="responses")})
    test = responses.isel({SAMPLE: folds.select(responses, "test", who="responses")}).isel({SAMPLE: slice(n)})
    _require_pictures(test, data.images)
    stage = two_stage(train, data.features, generator, encoder, plan)
    last = plan.settings.steps
    show = sorted({0, last, *range(0, last, 10)}) if frames is None else frames
    made = stage.refine(test, show=show, resume=resume)
    found = scored(made, data.images, protocol=protocol, encoder=encoder, truth=data.truth)
    kept = {k: v for k, v in made.attrs.items() if k not in found.attrs}
    return found.assign_attrs(kept | {"subject": data.subject, "simulated": data.truth is not None})


def _require_pictures(test: xr.DataArray, images: xr.DataArray) -> None:
    names = test[STIMULUS].values
    missing = names[images.indexes[STIMULUS].get_indexer(names) < 0]
    if missing.size:
        raise ValueError(
            f"the pictures of {missing.size} of {names.size} test stimuli are not among those given: {listed(missing)}"
        )


def write(result: xr.Dataset, folder: Path, *, modality: str, generator: str) -> None:
    """Write pictures (PNG), the trajectory (netCDF) and metrics.csv into a folder."""
    write_pictures(result, folder)
    store.save(result, folder / "trajectory.nc", overwrite=True)
    write_csv(result, folder / "metrics.csv", modality=modality, generator=generator)


class Mean:
    """A decoder that has learned nothing: it returns the mean of training. What a latent is without being decoded."""

    def __init__(self, features: xr.DataArray) -> None:
        self.features = features

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Return the mean pattern (sample, feature) of every sample."""
        mean = self.features.mean(STIMULUS).astype(self.features.dtype)
        return mean.expand_dims({SAMPLE: responses[SAMPLE].values}).copy()


def prepared(responses: xr.DataArray, plan: Plan) -> xr.DataArray:
    """Average repeats and take the regions of the plan; other coordinates stay."""
    if "repeat" in responses.coords:
        responses = brain.average_repeats(responses)
    if plan.regions is None:
        return responses
    chosen = brain.regions(responses, [plan.regions]).isel(region=0)
    return responses.isel({str(chosen.dims[0]): chosen.values})


def two_stage(
    train: xr.DataArray,
    features: Mapping[str, xr.DataArray],
    generator: reconstruction.Generator,
    encoder: vision.Encoder,
    plan: Plan,
) -> reconstruction.TwoStage:
    """Fit all decoders on training responses, and put them together.

    Parameters
    ----------
    train : (sample, ...), repeats averaged
    features : name -> (stimulus, feature)
        Of at least the training stimuli: the generator's latents ("c", "z") and layers of the encoder.
    generator, encoder
    plan : Plan

    Raises
    ------
    ValueError
        If a feature space that is needed is not there.
    """
    needed = dict.fromkeys([*generator.latents, *plan.judged])
    missing = [name for name in needed if name not in features and name not in generator.free]
    if missing:
        raise ValueError(
            f"feature spaces {listed(missing)} are needed and missing; there are {listed(features)}"
        )

    known = np.unique(train[STIMULUS].values)
    own = {k: features[k].sel({STIMULUS: known}) for k in features if k in needed}
    kept = selected(train, own, plan) if plan.layers else {}

    def decoder(name: str) -> Decoder:
        if name in generator.latents and name not in plan.latents:
            return Mean(own[name])
        fitted = RidgeDecoder(alpha=list(ALPHAS)).fit(train, own[name])
        if plan.trust == "precision" and name in kept:
            return reconstruction.Calibrated(fitted, own[name], kept[name])
        return reconstruction.Unshrunk(fitted, own[name]) if plan.unshrunk else fitted

    weights = kept
    if plan.trust == "precision":
        weights = {k: reconstruction.precision(v, own[k]) for k, v in kept.items()}
    latents = {name: decoder(name) for name in generator.latents if name in own}
    others = {k: v for k, v in latents.items() if k not in ("c", "z")}
    return reconstruction.TwoStage(
        generator,
        encoder,
        semantic=latents.get("c"),
        latent=latents.get("z"),
        others=others,
        structure={name: decoder(name) for name in plan.layers} or None,
        masks=weights or None,
        meaning=(plan.meaning, decoder(plan.meaning)) if plan.gamma > 0 else None,
        gamma=plan.gamma,
        settings=plan.settings,
        batch=plan.batch,
        seed=plan.seed,
    )


def selected(
    train: xr.DataArray, features: Mapping[str, xr.DataArray], plan: Plan
) -> dict[str, xr.DataArray]:
    """Choose the best-decoded share of every layer on training data (Algorithm 1); all of the deep layer of meaning.

    Returns
    -------
    layer -> boolean (feature) with ``r``, how well each was decoded in cross-validation
    """
    middle, every = ALPHAS[len(ALPHAS) // 2], np.ones(train.sizes[SAMPLE], bool)
    found: dict[str, xr.DataArray] = {}
    for name in plan.judged:
        share = plan.keep if name in plan.layers else 1.0
        if share < 1 or plan.trust == "precision":
            found[name] = selection.best_features(
                train, features[name], RidgeDecoder(alpha=middle), train=every, keep=share
            )
    return found


def score(
    images: xr.DataArray,
    truths: xr.DataArray,
    *,
    protocol: str = "lab",
    encoder: vision.Encoder | None = None,
    truth: xr.Dataset | None = None,
) -> xr.DataArray:
    """Score pictures (metric, sample) by a protocol, and by the lab's referee where its ``truth`` is given.

    The coordinate ``better`` says whether higher or lower is better.
    """
    found = metrics.evaluate(images, truths, protocol=protocol, encoder=encoder)
    parts = [found["value"].drop_vars([c for c in found["value"].coords if c not in KEPT])]
    if truth is not None:
        from .datasets.lab import referee

        read = referee.errors(images, truth).astype(float).drop_vars(STIMULUS)
        judged = read.rename({k: f"referee {k}" for k in read.data_vars}).to_dataarray("metric")
        better = ["higher" if k in ("concept", "colour") else "lower" for k in read.data_vars]
        parts.append(judged.assign_coords({SAMPLE: parts[0][SAMPLE].values, "better": ("metric", better)}))
    return xr.concat(parts, dim="metric")


def scored(
    made: xr.Dataset,
    truths: xr.DataArray,
    *,
    protocol: str = "lab",
    encoder: vision.Encoder | None = None,
    truth: xr.Dataset | None = None,
) -> xr.Dataset:
    """Add to what ``TwoStage.refine`` made the scores of both stages, and PixCorr and SSIM of every frame.

    Returns
    -------
    Dataset
        ``value`` (stage, metric, sample), ``along`` (frame, low_metric, sample), and of ``made`` the pictures, the
        losses, ``best`` and ``end``; ``truth`` (sample, row, column, colour), the pictures that were shown.
    """
    stages = [
        score(made[name], truths, protocol=protocol, encoder=encoder, truth=truth) for name in STAGES.values()
    ]
    low = [
        metrics.evaluate(made["frames"].sel(frame=f), truths, protocol=protocol, metrics=LOW)
        for f in made["frame"].values
    ]
    along = xr.concat([f["value"].drop_vars(["better", "chance"]) for f in low], dim=made["frame"])
    shown = truths.sel({STIMULUS: made[STIMULUS].values}).transpose(STIMULUS, *PICTURE)
    return xr.Dataset(
        {
            "value": xr.concat(stages, dim=xr.Variable("stage", list(STAGES))),
            "along": along.rename(metric="low_metric"),
            "truth": ((SAMPLE, *PICTURE), shown.values),
            **{k: made[k] for k in (*STAGES.values(), "frames", "loss", "best", "end")},
        },
        attrs={"protocol": protocol, "n": made.sizes[SAMPLE]},
    )


def write_csv(result: xr.Dataset, path: Path, *, modality: str, generator: str) -> None:
    """Write means over pictures: modality, subject, generator, stage, metric, mean, sem, n; a row a value."""
    value = result["value"]
    if "subject" not in value.dims:
        value = value.expand_dims(subject=[result.attrs["subject"]])
    n = value.sizes[SAMPLE]
    mean, sem = value.mean(SAMPLE), value.std(SAMPLE, ddof=1) / np.sqrt(n)
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["modality", "subject", "generator", "stage", "metric", "mean", "sem", "n"])
        for subject in value["subject"].values:
            for stage in value["stage"].values:
                for metric in value["metric"].values:
                    cell = {"subject": subject, "stage": stage, "metric": metric}
                    numbers = [f"{float(v.sel(cell)):.6g}" for v in (mean, sem)]
                    table.writerow([modality, subject, generator, stage, metric, *numbers, n])


def write_pictures(result: xr.Dataset, folder: Path) -> None:
    """Write what was shown and both stages of every stimulus as PNG, one folder each."""
    from PIL import Image

    for title, key in {"shown": "truth", "stage-1": "imagined", "stage-2": "images"}.items():
        here = folder / title
        here.mkdir(parents=True, exist_ok=True)
        values = result[key].transpose(SAMPLE, *PICTURE).values
        for name, picture in zip(result[STIMULUS].values, values, strict=True):
            Image.fromarray((255 * picture.clip(0, 1)).round().astype(np.uint8)).save(here / f"{name}.png")
