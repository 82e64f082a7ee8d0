"""``neurodecode decode``, ``sweep`` and ``weight-map``: Figs. 7 and 9."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._common import add

if TYPE_CHECKING:
    import xarray as xr

    from .. import inputs

ALPHAS = (1e1, 1e2, 1e3, 1e4, 1e5)


def _common(parser: argparse.ArgumentParser, *, score: str | None) -> None:
    from ..inputs import add_arguments

    add_arguments(parser)
    parser.add_argument(
        "--alpha",
        nargs="+",
        type=float,
        default=list(ALPHAS),
        metavar="A",
        help="ridge penalty on z-scored data; several: one is chosen per feature by leave-one-out",
    )
    parser.add_argument(
        "--n-voxels", type=int, metavar="N", help="only the N most correlated voxels per feature"
    )
    parser.add_argument("--train", default="train", metavar="SPLIT", help="value of 'split' to fit on")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.nc", help="result file")
    parser.add_argument("--overwrite", action="store_true", help="replace the result file if it exists")
    if score:
        parser.add_argument("--test", default="test", metavar="SPLIT", help="value of 'split' to score on")
        parser.add_argument(
            "--folds", help="instead: a number of folds, or a sample coordinate to leave one out"
        )
        parser.add_argument(
            "--shared", nargs="+", default=[], metavar="NAME", help="labels that may be in both parts"
        )
        parser.add_argument(
            "--score", default=score, help="profile, pattern, r2, top1, top5, pairwise, auc, accuracy"
        )
        parser.add_argument(
            "--resume", metavar="FOLDER", help="keep finished pieces there and go on from them"
        )


def _decoder(args: argparse.Namespace) -> Any:
    from ..linear import RidgeDecoder

    alpha = args.alpha[0] if len(args.alpha) == 1 else args.alpha
    return RidgeDecoder(alpha=alpha, n_voxels=args.n_voxels)


def _used(data: inputs.Inputs, args: argparse.Namespace) -> dict[str, xr.DataArray]:
    """Responses without the samples of splits that take no part: those need no features."""
    if args.folds is not None:
        return dict(data.responses)
    used = {}
    for name, responses in data.responses.items():
        used[name] = responses
        splits = responses["split"].values if "split" in responses.coords else ()
        if {args.train, args.test} <= set(splits) != {args.train, args.test}:
            used[name] = responses.isel(sample=np.isin(splits, (args.train, args.test)))
    return used


def _split(args: argparse.Namespace) -> dict[str, Any]:
    if args.folds is None:
        return {"train": args.train, "test": args.test, "shared": args.shared}
    return {"folds": int(args.folds) if args.folds.isdigit() else args.folds, "shared": args.shared}


def _scored(args: argparse.Namespace, score_of: Callable[[inputs.Inputs], xr.DataArray]) -> None:
    """Read, score, say the means and write: what decode and sweep have in common."""
    from .. import inputs

    inputs.require_target(args.out, overwrite=args.overwrite)
    data = inputs.read(args)
    score = score_of(data)
    print(score.mean(("subject", "fold")).to_pandas().round(3))
    inputs.write(score, data, args.out, overwrite=args.overwrite)


def add_decode(commands: argparse._SubParsersAction) -> None:
    """Add ``decode``."""
    parser = add(
        commands,
        "decode",
        "decoding accuracy per region (Fig. 7)",
        "Refits a ridge decoder for every set of regions, feature space, subject and fold. Example:\n\n"
        "  neurodecode decode --responses sub-*.nc --features features.nc --regions LVC HVC LVC+HVC --out decode.nc\n\n"
        "Without --responses it runs on the simulated lab.",
    )
    _common(parser, score="profile")
    parser.add_argument(
        "--regions", nargs="+", metavar="NAME", help="names, groups (LVC, HVC) or sums (V1+V2); all"
    )
    parser.set_defaults(run=_decode)


def _decode(args: argparse.Namespace) -> None:
    from .. import spatial

    def decode(data: inputs.Inputs) -> xr.DataArray:
        return spatial.decode(
            _used(data, args),
            data.features,
            _decoder(args),
            regions=args.regions,
            score=args.score,
            resume=args.resume,
            **_split(args),
        )

    _scored(args, decode)


def add_sweep(commands: argparse._SubParsersAction) -> None:
    """Add ``sweep``."""
    parser = add(
        commands,
        "sweep",
        "decoding accuracy over time (Fig. 9e-f)",
        "Fits a ridge decoder in every time window of EEG or MEG epochs. Example:\n\n"
        "  neurodecode sweep --responses sub-*-epo.fif --features features.nc --folds 5 --out sweep.nc\n\n"
        "Without --responses it runs on the simulated lab (--modality eeg or meg).",
    )
    _common(parser, score="top1")
    parser.add_argument("--width", type=float, default=0.100, help="of a window, in seconds")
    parser.add_argument("--step", type=float, default=0.025, help="from window to window, in seconds")
    parser.add_argument("--scheme", default="sliding", help="sliding, growing or shrinking windows")
    parser.set_defaults(run=_sweep, modality="meg")


def _sweep(args: argparse.Namespace) -> None:
    from .. import temporal

    def sweep(data: inputs.Inputs) -> xr.DataArray:
        return temporal.sweep(
            _used(data, args),
            data.features,
            _decoder(args),
            width=args.width,
            step=args.step,
            scheme=args.scheme,
            score=args.score,
            resume=args.resume,
            **_split(args),
        )

    _scored(args, sweep)


def add_map(commands: argparse._SubParsersAction) -> None:
    """Add ``weight-map``."""
    parser = add(
        commands,
        "weight-map",
        "weights or forward-model patterns per voxel (Fig. 9a-c)",
        "Fits one decoder a subject on all voxels and reduces it to (layer, voxel). Example:\n\n"
        "  neurodecode weight-map --responses sub-01.nc --features features.nc --kind pattern --out map.nc\n\n"
        "Draw it with: neurodecode figure map.nc --out figures",
    )
    _common(parser, score=None)
    parser.add_argument("--kind", default="pattern", help="filter, pattern or selection")
    parser.add_argument("--reduce", default="mean_abs", help="mean_abs, l2 or mean")
    parser.set_defaults(run=_weight_map, subjects=1)


def _weight_map(args: argparse.Namespace) -> None:
    from .. import brain, folds, inputs, spatial

    inputs.require_target(args.out, overwrite=args.overwrite)
    data = inputs.read(args)
    if len(data.responses) != 1:
        raise ValueError(
            f"weight-map draws one subject at a time, got {len(data.responses)}; run it once for each"
        )
    name, responses = next(iter(data.responses.items()))
    if "voxel" not in responses.dims:
        raise ValueError(
            f"weight-map needs fMRI responses (sample, voxel), but those of subject {name!r} are over "
            f"{tuple(map(str, responses.dims))}; patterns over sensors are made by neurodecode.temporal.patterns"
        )
    train = responses.isel(sample=folds.select(responses, args.train, who="--train"))
    decoder = _decoder(args).fit(train, brain.stack(data.features))
    found = spatial.weight_map(decoder, kind=args.kind, reduce=args.reduce, responses=train)
    print(found.max("voxel").to_pandas().round(4))
    inputs.write(found.rename("weight_map"), data, args.out, overwrite=args.overwrite)
