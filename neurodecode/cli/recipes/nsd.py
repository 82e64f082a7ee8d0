"""NSD."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ._recipe import Recipe, add_root

if TYPE_CHECKING:
    import xarray as xr

    from ...datasets._inventory import Item


def _nsd_options(parser: argparse.ArgumentParser) -> None:
    add_root(parser, subjects="1 to 8")
    parser.add_argument("--sessions", type=int, metavar="N", help="the first so many (37: 982 test pictures)")
    parser.add_argument(
        "--regions",
        nargs="+",
        default=["paper"],
        metavar="ATLAS",
        help="'paper' (eleven regions), or atlases",
    )
    parser.add_argument(
        "--space",
        choices=("func1pt8mm", "fsaverage", "nativesurface"),
        default="func1pt8mm",
        help="volumes, or a surface",
    )


def _nsd_inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets import nsd

    return nsd.inventory(
        args.root, subject=args.subject, sessions=args.sessions, regions=args.regions, space=args.space
    )


def _nsd_load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import nsd

    said: dict[str, Any] = {"subject": args.subject, "sessions": args.sessions}
    said["regions"] = args.regions[0] if len(args.regions) == 1 else args.regions
    if args.space == "func1pt8mm":
        return nsd.load(args.root, **said)
    return nsd.surface(args.root, space=args.space, **said)


NSD = Recipe(
    "NSD: betas of one subject, z-scored in sessions, repeats averaged",
    "Needs nsddata and nsddata_betas below --root, after the NSD Data Access Agreement. Example:\n\n"
    "  neurodecode prepare nsd --root NSD --subject 1 --sessions 37 --validation 859 --out sub-01.zarr",
    _nsd_options,
    _nsd_inventory,
    _nsd_load,
    normalise="zscore",
    by="session",
    average="all",
)
