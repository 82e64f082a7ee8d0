"""THINGS-EEG2 and THINGS-MEG."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ._recipe import Recipe, add_channels, add_root, add_window

if TYPE_CHECKING:
    import xarray as xr

    from ...datasets._inventory import Item


def _eeg_options(parser: argparse.ArgumentParser) -> None:
    add_root(parser, subjects="1 to 10")
    add_channels(parser)
    parser.add_argument("--sessions", nargs="+", type=int, metavar="N", help="just these; all")
    parser.add_argument(
        "--band",
        nargs=2,
        type=float,
        default=(0.1, 100.0),
        metavar=("LOW", "HIGH"),
        help="of the filter, in Hz",
    )
    add_window(parser, default=(-0.2, 0.8), what="of an epoch, in seconds from onset")
    parser.add_argument("--rate", type=float, default=100.0, metavar="HZ", help="after resampling")


def _posterior(names: list[str] | None) -> Any:
    from ...datasets import things_eeg

    return things_eeg.POSTERIOR if names == ["posterior"] else names


def _eeg_inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets import things_eeg

    return things_eeg.inventory(args.root, subject=args.subject, kind="raw")


def _eeg_load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import things_eeg

    return things_eeg.raw(
        args.root,
        subject=args.subject,
        sessions=args.sessions,
        channels=_posterior(args.channels),
        band=tuple(args.band),
        window=tuple(args.window),
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
