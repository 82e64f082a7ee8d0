"""BData files of the Kamitani lab."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ._recipe import Recipe, add_files

if TYPE_CHECKING:
    import xarray as xr

    from ...datasets._inventory import Item


def _options(parser: argparse.ArgumentParser) -> None:
    add_files(parser, what="Subject1.h5, or one file for each part")
    parser.add_argument(
        "--subject", metavar="NAME", help="as it is to be called; by default as the files say"
    )
    parser.add_argument(
        "--regions", nargs="+", metavar="NAME", help="V1, HVC ...; * stands for anything; all voxels"
    )
    parser.add_argument(
        "--label", metavar="KEY", help="which column says what was seen; by default it is looked for"
    )


def _inventory(args: argparse.Namespace) -> list[Item]:
    from ...datasets import kamitani

    return kamitani.inventory(args.files)


def _load(args: argparse.Namespace) -> xr.DataArray:
    from ...datasets import kamitani

    return kamitani.load(args.files, regions=args.regions, label=args.label, subject=args.subject)


KAMITANI = Recipe(
    "BData of Generic Object Decoding and Deep Image Reconstruction",
    "Example:\n\n"
    "  neurodecode prepare kamitani --files Subject1.h5 --regions V1 V2 V3 V4 LOC FFA PPA --out sub-01.zarr",
    _options,
    _inventory,
    _load,
    normalise="zscore",
    average="all",
)
