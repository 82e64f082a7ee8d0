"""``neurodecode decode``, ``sweep`` and ``weight-map``: Figs. 7 and 9."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._common import OVERWRITE, PAGE, add
from .pages import require_page_target, write_page

if TYPE_CHECKING:
    import xarray as xr

    from .. import inputs

# Named here, not taken from the room of scores: help is shown without loading it.
SCORES = ("profile", "pattern", "r2", "top1", "top5", "pairwise", "auc", "accuracy")
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
        "--n-voxels", type=int, metavar="N", help="just the N most correlated voxels of each feature; all"
    )
    parser.add_argument("--train", default="train", metavar="SPLIT", help="value of 'split' to fit on")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.nc", help="result file to write")
    parser.add_argument("--overwrite", action="store_true", help=OVERWRITE)
    parser.add_argument("--page", action="store_true", help=PAGE)
    if score:
        parser.add_argument("--test", default="test", metavar="SPLIT", help="value of 'split' to score on")
        parser.add_argument(
            "--folds",
            metavar="N|NAME",
            help="instead of --train and --test: a number of folds, or a sample coordinate to leave one out",
        )
        parser.add_argument(
            "--shared", nargs="+", default=[], metavar="NAME", help="labels that may be in both parts"
        )
        parser.add_argument("--score", default=score, metavar="NAME", help=f"one of {', '.join(SCORES)}")
        parser.add_argument(
            "--resume", metavar="FOLDER", help="keep finished pieces there and go on from them"
        )


def _decoder(args: argparse.Namespace) -> Any:
    from ..linear import RidgeDecoder

    alpha = args.alpha[0] if len(args.alpha) == 1 else args.alpha
    return RidgeDecoder(alpha=alpha, n_voxels=args.n_voxels)


def _used(data: inputs.Inputs, args: argparse.Namespace) -> dict[str, xr.DataArray]:
    """Responses without the samples of splits that take no part: those need no features."""
    from ..labels import listed

    if args.folds is not None:
        return dict(data.responses)
    used = {}
    for name, responses in data.responses.items():
        used[name] = responses
        if "split" not in responses.coords:
            raise ValueError(
                f"responses of subject {name!r} have no 'split' that says what is {args.train!r} and {args.test!r}: "
                f"add --folds 5, or --folds NAME to leave one out; labels of samples are {listed(_labels(responses))}"
            )
        splits = responses["split"].values
        if {args.train, args.test} <= set(splits) != {args.train, args.test}:
            used[name] = responses.isel(sample=np.isin(splits, (args.train, args.test)))
    return used


def _labels(responses: xr.DataArray) -> list[str]:
    return sorted(str(name) for name, coord in responses.coords.items() if coord.dims == ("sample",))


def _split(args: argparse.Namespace) -> dict[str, Any]:
    if args.folds is None:
        return {"train": args.train, "test": args.test, "shared": args.shared}
    return {"folds": int(args.folds) if args.folds.isdigit() else args.folds, "shared": args.shared}


def _scored(args: argparse.Namespace, score_of: Callable[[inputs.Inputs], xr.DataArray]) -> None:
    """Read, score, say the means and write: what decode and sweep have in common."""
    from .. import inputs, store

    _require_targets(args)
    if args.resume is not None and not Path(args.resume).exists():
        store.require_writable(args.resume, who="--resume")
    data = inputs.read(args)
    score = score_of(data)
    print(score.mean(("subject", "fold")).to_pandas().round(3))
    inputs.write(score, data, args.out, overwrite=args.overwrite)
    _leave_page(args)


def _require_targets(args: argparse.Namespace) -> None:
    from .. import inputs

    inputs.require_target(args.out, overwrite=args.overwrite)
    if args.page:
        require_page_target(args.out.with_suffix(".html"), overwrite=args.overwrite)


def _leave_page(args: argparse.Namespace) -> None:
    if args.page:
        page, title = args.out.with_suffix(".html"), args.out.stem.replace("_", " ")
        write_page([args.out], page, title=title, steps=[args.typed], overwrite=args.overwrite)


def add_decode(commands: argparse._SubParsersAction) -> None:
    """Add ``decode``."""
    parser = add(
        commands,
        "decode",
        "decoding accuracy per region (Fig. 7)",
        "Refits a ridge decoder for every set of regions, feature space, subject and fold.\n"
        "Without --responses it runs on the simulated lab. Examples:\n\n"
        "  neurodecode decode --subjects 1 --regions LVC HVC --out decode.nc --page\n"
        "  neurodecode decode --responses sub-*.nc --features features.nc --regions LVC HVC LVC+HVC --out decode.nc\n"
        "  neurodecode decode --responses sub-01.zarr --features features/*.zarr --alpha 100 --n-voxels 250 \\\n"
        "      --folds 5 --score pattern --out decode.nc",
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
        "Fits a ridge decoder in every time window of EEG or MEG epochs.\n"
        "Without --responses it runs on the simulated lab (--modality eeg or meg). Examples:\n\n"
        "  neurodecode sweep --modality eeg --subjects 2 --alpha 100 --step 0.1 --out sweep.nc --page\n"
        "  neurodecode sweep --responses sub-*-epo.fif --features features.nc --folds 5 --out sweep.nc\n"
        "  neurodecode sweep --responses sub-01.zarr --features c.nc z.nc --width 0.05 --score pairwise \\\n"
        "      --resume pieces --out sweep.nc",
    )
    _common(parser, score="top1")
    parser.add_argument("--width", type=float, default=0.100, metavar="S", help="of a window, in seconds")
    parser.add_argument(
        "--step", type=float, default=0.025, metavar="S", help="from window to window, in seconds"
    )
    parser.add_argument(
        "--scheme", default="sliding", metavar="NAME", help="of windows: sliding, growing or shrinking"
    )
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
        "Fits one decoder on all voxels of a subject and reduces it to (layer, voxel).\n"
        "Without --responses it runs on the simulated lab. Examples:\n\n"
        "  neurodecode weight-map --alpha 100 --out map.nc --page\n"
        "  neurodecode weight-map --responses sub-01.nc --features features.nc --kind pattern --out map.nc\n"
        "  neurodecode figure map.nc --out figures",
    )
    _common(parser, score=None)
    parser.add_argument(
        "--kind", default="pattern", metavar="NAME", help="of map: filter, pattern or selection"
    )
    parser.add_argument(
        "--reduce", default="mean_abs", metavar="NAME", help="over a layer's features: mean_abs, l2 or mean"
    )
    parser.set_defaults(run=_weight_map, subjects=1)


def _weight_map(args: argparse.Namespace) -> None:
    from .. import brain, folds, inputs, spatial

    _require_targets(args)
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
    _leave_page(args)
