"""Both stages of one subject, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from .. import metrics, reconstruction, vision
from ..labels import PICTURE, SAMPLE, STIMULUS, listed
from ..metrics.identification import require_one_each
from ..metrics.protocols import named
from ..reconstruction.decoders import Decoder
from .data import Data
from .fits import Fits, two_stage
from .plan import Plan

# The two stages, by the names of their pictures.
STAGES = {1: "imagined", 2: "images"}
# What needs no network.
LOW = ("PixCorr", "SSIM")
# What is said of every metric.
SAID = ("better", "chance", "units")
KEPT = ("metric", SAMPLE, *SAID)


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
    fits: Fits | None = None,
    decoders: Mapping[str, Decoder] | None = None,
) -> xr.Dataset:
    """Fit on the training split, reconstruct the first ``n`` test stimuli (None: all) and score both stages.

    ``fits``, made of the same data, spares fitting again; ``decoders`` of latents stand in for ridge, see
    :func:`two_stage`.

    Returns
    -------
    Dataset as :func:`scored` makes it, with the subject's name in attrs.

    Raises
    ------
    ValueError
        Responses without the splits "train" and "test"; feature spaces or pictures that are missing; several test
        samples of one stimulus, which the protocol identifies; fits of other data, regions or n_voxels; a plan without
        layers.
    """
    if not plan.layers:
        raise ValueError(
            f"the plan has layers={plan.layers}, and stage 2 needs one or more; for stage 1 alone call "
            "pipeline.two_stage(...).imagine"
        )
    if fits is None:
        fits = Fits(data, plan.regions, plan.n_voxels)
    fits.require_data(data)
    test = fits.test.isel({SAMPLE: slice(n)})
    _require_pictures(test, data.images)
    require_one_each(test[STIMULUS].values, named(protocol).metrics)
    stage = two_stage(fits, generator, encoder, plan, decoders=decoders)
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
            f"the pictures of {missing.size} of {names.size} test stimuli are not among those given: "
            f"{listed(missing)}; "
            "give --images with every test stimulus"
        )


def score(
    images: xr.DataArray,
    truths: xr.DataArray,
    *,
    protocol: str = "lab",
    encoder: vision.Encoder | None = None,
    truth: xr.Dataset | None = None,
) -> xr.DataArray:
    """Score pictures (metric, sample) by a protocol, and by the lab's referee where its ``truth`` is given.

    Coordinates of metric: ``better`` ("higher" or "lower"), ``chance`` (NaN where no number is known), ``units``.
    """
    found = metrics.evaluate(images, truths, protocol=protocol, encoder=encoder)["value"]
    parts = [found.drop_vars([c for c in found.coords if c not in KEPT])]
    if truth is not None:
        from ..datasets.lab import referee

        read = referee.errors(images, truth)
        judged = read.astype(float).drop_vars(STIMULUS).rename({k: f"referee {k}" for k in read.data_vars})
        said = {
            key: ("metric", [v.attrs.get(key, float("nan")) for v in read.data_vars.values()]) for key in SAID
        }
        parts.append(judged.to_dataarray("metric").assign_coords({SAMPLE: parts[0][SAMPLE].values, **said}))
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
    along = xr.concat([f["value"].drop_vars(list(SAID)) for f in low], dim=made["frame"])
    shown = truths.sel({STIMULUS: made[STIMULUS].values}).transpose(STIMULUS, *PICTURE)
    return xr.Dataset(
        {
            "value": xr.concat(stages, dim=xr.Variable("stage", list(STAGES))),
            "along": along.rename(metric="low_metric"),
            "truth": ((SAMPLE, *PICTURE), shown.values),
            **{k: made[k] for k in (*STAGES.values(), "frames", "loss", "tried", "best", "end")},
        },
        attrs={"protocol": protocol, "n": made.sizes[SAMPLE]},
    )
