"""What ``neurodecode prepare`` knows of each dataset: its options, its files, its loader."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from ..datasets._inventory import Item


@dataclass(frozen=True)
class Recipe:
    """How one dataset is prepared.

    Attributes
    ----------
    summary, text : for the help
    options : adds what only this dataset asks
    inventory, load : of the parsed options
    normalise, by, average : what is done unless something else is said
    """

    summary: str
    text: str
    options: Callable[[argparse.ArgumentParser], None]
    inventory: Callable[[argparse.Namespace], list[Item]]
    load: Callable[[argparse.Namespace], xr.DataArray]
    normalise: str = "none"
    by: str = "none"
    average: str = "none"


def _root(parser: argparse.ArgumentParser, *, subjects: str) -> None:
    parser.add_argument("--root", type=Path, required=True, metavar="FOLDER", help="the dataset's folder")
    parser.add_argument("--subject", type=int, required=True, metavar="N", help=subjects)


def _channels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channels", nargs="+", metavar="NAME", help="just these; 'posterior': O and P")


def _window(parser: argparse.ArgumentParser, *, default: tuple[float, float] | None, what: str) -> None:
    parser.add_argument("--window", nargs=2, type=float, default=default, metavar=("FROM", "TO"), help=what)


# --- NSD -----------------------------------------------------------------------------------------------------


def _nsd_options(parser: argparse.ArgumentParser) -> None:
    _root(parser, subjects="1 to 8")
    parser.add_argument("--sessions", type=int, metavar="N", help="the first so many (37: 982 test pictures)")
    parser.add_argument(
        "--regions",
        nargs="+",
        default=["paper"],
        metavar="ATLAS",
        help="'paper' (eleven regions), or atlases",
    )
    parser.add_argument("--space", choices=("func1pt8mm", "fsaverage", "nativesurface"), default="func1pt8mm")


def _nsd_inventory(args: argparse.Namespace) -> list[Item]:
    from ..datasets import nsd

    return nsd.inventory(args.root, subject=args.subject, sessions=args.sessions)


def _nsd_load(args: argparse.Namespace) -> xr.DataArray:
    from ..datasets import nsd

    said: dict[str, Any] = {"subject": args.subject, "sessions": args.sessions}
    said["regions"] = args.regions[0] if len(args.regions) == 1 else args.regions
    if args.space == "func1pt8mm":
        return nsd.load(args.root, **said)
    return nsd.surface(args.root, space=args.space, **said)


# --- THINGS ----------------------------------------------------------------------------------------------------


def _eeg_options(parser: argparse.ArgumentParser) -> None:
    _root(parser, subjects="1 to 10")
    _channels(parser)
    parser.add_argument("--sessions", nargs="+", type=int, metavar="N", help="just these; all")
    parser.add_argument(
        "--band",
        nargs=2,
        type=float,
        default=(0.1, 100.0),
        metavar=("LOW", "HIGH"),
        help="of the filter, in Hz",
    )
    _window(parser, default=(-0.2, 0.8), what="of an epoch, in seconds from onset")
    parser.add_argument("--rate", type=float, default=100.0, metavar="HZ", help="after resampling")


def _posterior(names: list[str] | None) -> Any:
    from ..datasets import things_eeg

    return things_eeg.POSTERIOR if names == ["posterior"] else names


def _eeg_inventory(args: argparse.Namespace) -> list[Item]:
    from ..datasets import things_eeg

    return things_eeg.inventory(args.root, subject=args.subject, kind="raw")


def _eeg_load(args: argparse.Namespace) -> xr.DataArray:
    from ..datasets import things_eeg

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
    _root(parser, subjects="1 to 10")
    _channels(parser)


def _published_inventory(args: argparse.Namespace) -> list[Item]:
    from ..datasets import things_eeg

    return things_eeg.inventory(args.root, subject=args.subject)


def _published_load(args: argparse.Namespace) -> xr.DataArray:
    import xarray as xr

    from ..datasets import things_eeg

    parts = [
        things_eeg.load(args.root, subject=args.subject, part=part, channels=_posterior(args.channels))
        for part in ("train", "test")
    ]
    return xr.concat(parts, "sample", combine_attrs="override")


RECIPES = {
    "nsd": Recipe(
        "NSD: betas of one subject, z-scored in sessions, repeats averaged",
        "Needs nsddata and nsddata_betas below --root, after the NSD Data Access Agreement. Example:\n\n"
        "  neurodecode prepare nsd --root NSD --subject 1 --sessions 37 --validation 859 --out sub-01.zarr",
        _nsd_options,
        _nsd_inventory,
        _nsd_load,
        normalise="zscore",
        by="session",
        average="all",
    ),
    "things-eeg": Recipe(
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
    ),
    "things-eeg-published": Recipe(
        "THINGS-EEG2: the epochs that its authors or others preprocessed",
        "They were whitened with training and test data together; things-eeg makes them without. Example:\n\n"
        "  neurodecode prepare things-eeg-published --root THINGS-EEG2 --subject 1 --out sub-01.zarr",
        _published_options,
        _published_inventory,
        _published_load,
        average="test",
    ),
}
