"""THINGS-EEG2 and THINGS-MEG."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ._recipe import Recipe, add_band, add_baseline, add_channels, add_root, add_window

if TYPE_CHECKING:
    import xarray as xr

    from ...datasets._inventory import Item


def _eeg_options(parser: argparse.ArgumentParser) -> None:
    add_root(parser, subjects="1 to 10")
    add_channels(parser)
    parser.add_argument("--sessions", nargs="+", type=int, metavar="N", help="just these; all")
    add_band(parser, default=(0.1, 100.0))
    add_window(parser, default=(-0.2, 0.8), what="of an epoch, in seconds from onset")
    add_baseline(parser, default=(-0.2, 0.0))
    parser.add_argument("--rate", type=float, default=100.0, metavar="HZ", help="after resampling")


def _posterior(names: list[str] | None) -> Any:
    from ...datasets import things_eeg

    return things_eeg.POSTERIOR if names == ["posterior"] else names


def _eeg_inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets import things_eeg

    return things_eeg.inventory(args.root, subject=args.subject, kind="raw", sessions=args.sessions)


def _eeg_load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import things_eeg

    return things_eeg.raw(
        args.root,
        subject=args.subject,
        sessions=args.sessions,
        channels=_posterior(args.channels),
        band=tuple(args.band),
        window=tuple(args.window),
        baseline=tuple(args.baseline),
        rate=args.rate,
    )


def _published_options(parser: argparse.ArgumentParser) -> None:
    add_root(parser, subjects="1 to 10")
    add_channels(parser)


def _published_inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets import things_eeg

    return things_eeg.inventory(args.root, subject=args.subject)


def _published_load(args: argparse.Namespace) -> xr.DataArray:
    import xarray as xr

    from ...datasets import things_eeg

    parts = [
        things_eeg.load(args.root, subject=args.subject, part=part, channels=_posterior(args.channels))
        for part in ("train", "test")
    ]
    return xr.concat(parts, "sample", combine_attrs="override")


def _meg_options(parser: argparse.ArgumentParser) -> None:
    add_root(parser, subjects="1 to 4")
    parser.add_argument("--channels", nargs="+", metavar="NAME", help="just these of the 271")
    parser.add_argument(
        "--keep-test-concepts", action="store_true", help="training trials of test concepts, too"
    )
    add_window(parser, default=(0.0, 1.0), what="of an epoch, in seconds from onset")


def _meg_inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets import things_meg

    return things_meg.inventory(args.root, subject=args.subject)


def _meg_load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import things_meg

    return things_meg.load(
        args.root,
        subject=args.subject,
        window=tuple(args.window),
        channels=args.channels,
        zero_shot=not args.keep_test_concepts,
    )


def _ctf_options(parser: argparse.ArgumentParser) -> None:
    _meg_options(parser)
    parser.set_defaults(window=(-0.1, 1.3))
    parser.add_argument("--sessions", nargs="+", type=int, metavar="N", help="just these; all 12")
    parser.add_argument("--runs", nargs="+", type=int, metavar="N", help="just these; all 10")
    add_band(parser, default=(0.1, 40.0))
    parser.add_argument("--rate", type=float, default=200.0, metavar="HZ", help="after decimation")
    parser.add_argument(
        "--baseline",
        choices=("mean", "zscore", "none"),
        default="mean",
        help="'zscore' is what the authors did; 'none' for windows that begin at onset",
    )


def _ctf_inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets import things_meg

    return things_meg.inventory(
        args.root, subject=args.subject, kind="raw", sessions=args.sessions, runs=args.runs
    )


def _ctf_load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import things_meg

    return things_meg.raw(
        args.root,
        subject=args.subject,
        sessions=args.sessions,
        runs=args.runs,
        band=tuple(args.band),
        window=tuple(args.window),
        rate=args.rate,
        baseline=None if args.baseline == "none" else args.baseline,
        channels=args.channels,
        zero_shot=not args.keep_test_concepts,
    )


EEG = Recipe(
    "THINGS-EEG2: raw sessions filtered, cut, whitened by training noise",
    "Example:\n\n"
    "  neurodecode prepare things-eeg --root THINGS-EEG2 --subject 1 --channels posterior \\\n"
    "      --validation 0.1 --validation-by concept --out sub-01.zarr",
    _eeg_options,
    _eeg_inventory,
    _eeg_load,
    normalise="mvnn-time",
    by="session",
    average="test",
)


EEG_PUBLISHED = Recipe(
    "THINGS-EEG2: the epochs that its authors or others preprocessed",
    "They were whitened with training and test data together; things-eeg makes them without. Example:\n\n"
    "  neurodecode prepare things-eeg-published --root THINGS-EEG2 --subject 1 --out sub-01.zarr",
    _published_options,
    _published_inventory,
    _published_load,
    average="test",
)

MEG = Recipe(
    "THINGS-MEG: the epochs that its authors preprocessed",
    "Training trials of the test concepts are left out. Example:\n\n"
    "  neurodecode prepare things-meg --root ds004212 --subject 1 --out sub-01.zarr",
    _meg_options,
    _meg_inventory,
    _meg_load,
    average="test",
)

MEG_RAW = Recipe(
    "THINGS-MEG: CTF recordings filtered, cut, baselined, decimated",
    "Example:\n\n  neurodecode prepare things-meg-raw --root ds004212 --subject 1 --out sub-01.zarr",
    _ctf_options,
    _ctf_inventory,
    _ctf_load,
    average="test",
)
