"""What is known of a dataset to prepare it, and options that several have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

    from ...datasets._inventory import Item


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


def add_root(parser: argparse.ArgumentParser, *, subjects: str) -> None:
    """Add --root and --subject."""
    parser.add_argument("--root", type=Path, required=True, metavar="FOLDER", help="the dataset's folder")
    parser.add_argument("--subject", type=int, required=True, metavar="N", help=subjects)


def add_channels(parser: argparse.ArgumentParser) -> None:
    """Add --channels."""
    parser.add_argument("--channels", nargs="+", metavar="NAME", help="just these; 'posterior': O and P")


def add_window(parser: argparse.ArgumentParser, *, default: tuple[float, float] | None, what: str) -> None:
    """Add --window, in seconds."""
    parser.add_argument("--window", nargs=2, type=float, default=default, metavar=("FROM", "TO"), help=what)


def add_band(parser: argparse.ArgumentParser, *, default: tuple[float, float] | None) -> None:
    """Add --band, in Hz."""
    parser.add_argument(
        "--band", nargs=2, type=float, default=default, metavar=("LOW", "HIGH"), help="of the filter, in Hz"
    )


def add_baseline(parser: argparse.ArgumentParser, *, default: tuple[float, float] | None) -> None:
    """Add --baseline, in seconds."""
    parser.add_argument(
        "--baseline",
        nargs=2,
        type=float,
        default=default,
        metavar=("FROM", "TO"),
        help="whose mean is subtracted, in seconds from onset",
    )


def add_files(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Add --files."""
    parser.add_argument("--files", nargs="+", type=Path, required=True, metavar="FILE", help=what)
