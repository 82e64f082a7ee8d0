"""``neurodecode prepare``: from the files of a dataset, as they were published, to responses that are decoded."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._common import Formatter, add
from .recipes import RECIPES, Recipe

if TYPE_CHECKING:
    import xarray as xr

NORMALISE = ("none", "zscore", "mvnn-time", "mvnn-epoch", "mvnn-pooled")


def add_prepare(commands: argparse._SubParsersAction) -> None:
    """Add ``prepare`` and, below it, one command a dataset."""
    parser = add(
        commands,
        "prepare",
        "responses from a public dataset's files, ready to be decoded",
        "Nothing is downloaded. What is there and what is missing is said first. Examples:\n\n"
        "  neurodecode prepare nsd --root NSD --subject 1 --report\n"
        "  neurodecode prepare nsd --root NSD --subject 1 --out sub-01.zarr\n"
        "  neurodecode prepare epochs --files sub-01_ses-*-epo.fif --normalise mvnn-time --out sub-01.zarr\n\n"
        "Stopped, it goes on when the same command is run again. Each dataset has a help of its own:\n\n"
        "  neurodecode prepare things-eeg --help",
    )
    below = parser.add_subparsers(dest="dataset", required=True, metavar="dataset")
    for name, recipe in RECIPES.items():
        one = below.add_parser(
            name,
            help=recipe.summary,
            description=f"{recipe.summary[0].upper()}{recipe.summary[1:]}.\n\n{_with_report(recipe.text)}",
            formatter_class=Formatter,
        )
        recipe.options(one)
        _common(one, recipe)
        one.set_defaults(run=_prepare)


def _with_report(text: str) -> str:
    """Add to a recipe's example how its files are looked for before anything is read."""
    lines = text.split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("  neurodecode "))
    looked = re.sub(r"--out \S+", "--report", "\n".join(lines[first:]))
    return f"{text}\n\nWhich of its files are there, without reading them:\n\n{looked}"


def _common(parser: argparse.ArgumentParser, recipe: Recipe) -> None:
    parser.add_argument("--out", type=Path, metavar="FOLDER.zarr", help="folder to write")
    parser.add_argument(
        "--normalise",
        choices=NORMALISE,
        default=recipe.normalise,
        help="z-scores, or noise normalisation (MVNN) by residuals at each time, within epochs or pooled; fitted on "
        "training samples alone",
    )
    parser.add_argument(
        "--by",
        default=recipe.by,
        metavar="LABEL",
        help="statistics of their own for each value of this label, such as session; 'none' for one set",
    )
    parser.add_argument(
        "--average",
        nargs="+",
        default=[recipe.average],
        metavar="SPLIT",
        help="splits whose repeats are averaged; 'all', or 'none'",
    )
    parser.add_argument(
        "--test",
        nargs="+",
        metavar=("LABEL", "VALUE"),
        help="make the split: samples whose LABEL is one of VALUES test, all others train",
    )
    parser.add_argument(
        "--validation",
        type=float,
        metavar="N",
        help="hold out so many training stimuli (or a share, below 1) as the split 'validation'",
    )
    parser.add_argument(
        "--validation-by",
        default="stimulus",
        metavar="LABEL",
        help="what stays together there: stimulus, concept",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="draw what is held out; by default it is the last that were first shown",
    )
    parser.add_argument("--report", action="store_true", help="only say which files are there, all of them")


def _prepare(args: argparse.Namespace) -> int:
    from .. import store
    from ..datasets import prepared
    from ..datasets._inventory import report, require_all

    recipe = RECIPES[args.dataset]
    if not args.report and (args.out is None or args.out.suffix != ".zarr"):
        raise ValueError(f"--out must name a folder that ends in .zarr, got {args.out}; e.g. sub-01.zarr")
    if not args.report and not args.out.exists():
        store.require_writable(args.out.parent, who="--out")
    items = recipe.inventory(args)
    print(report(items, every=args.report), flush=True)
    if args.report:
        return int(any(one.needed and not one.found for one in items))
    require_all(items)
    responses = recipe.load(args)
    if args.test:
        responses = _split(responses, args.test)
    if args.validation is not None:
        responses = _held_out(responses, args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    found = prepared.write(
        responses,
        args.out,
        normalise=_normaliser(args),
        average=_average(args.average),
        files=[one.path for one in items if one.read and one.found and one.path.is_file()],
        parameters=_parameters(args),
    )
    print(_summary(found))
    print(f"wrote {args.out}; look into it with: neurodecode info {args.out}")
    return 0


def _split(responses: xr.DataArray, said: list[str]) -> xr.DataArray:
    """Make the split: "test" where a label has one of the values that were said, "train" elsewhere."""
    import numpy as np

    from ..labels import listed, require_coord

    label, values = said[0], said[1:]
    labels = require_coord(responses, label, who="responses", dim="sample").values.astype(str)
    unknown = sorted(set(values) - set(labels))
    if unknown or not values:
        raise ValueError(
            f"--test {label} names {listed(unknown) or 'no value'}; there are {listed(dict.fromkeys(labels))}"
        )
    return responses.assign_coords(split=("sample", np.where(np.isin(labels, values), "test", "train")))


def _held_out(responses: xr.DataArray, args: argparse.Namespace) -> xr.DataArray:
    from .. import folds

    amount: int | float = args.validation
    if amount >= 1:
        if amount != int(amount):
            raise ValueError(f"--validation must be a whole number, or a share below 1, got {amount:g}")
        amount = int(amount)
    return folds.hold_out(responses, amount, by=args.validation_by, seed=args.seed)


def _normaliser(args: argparse.Namespace) -> Any:
    from ..prepare import MVNN, ZScore

    by = None if args.by == "none" else args.by
    if args.normalise == "none":
        return None
    if args.normalise == "zscore":
        return ZScore(by=by)
    return MVNN(args.normalise.removeprefix("mvnn-"), by=by)


def _average(said: list[str]) -> str | tuple[str, ...]:
    if said == ["all"]:
        return "all"
    return () if said == ["none"] else tuple(said)


def _parameters(args: argparse.Namespace) -> dict[str, Any]:
    """Everything that was said on how the responses are loaded; where files lie does not count."""
    without = ("run", "command", "typed", "out", "report", "root", "normalise", "by", "average")
    said = {k: v for k, v in vars(args).items() if k not in without}
    return {
        k: [_placeless(one) for one in v] if isinstance(v, list) else _placeless(v) for k, v in said.items()
    }


def _placeless(value: Any) -> Any:
    return value.name if isinstance(value, Path) else value


def _summary(found: xr.DataArray) -> str:
    sizes = ", ".join(f"{size} {dim}s" for dim, size in found.sizes.items())
    text = f"{found.attrs.get('subject', 'one subject')}: {sizes}, {found.attrs['units']}"
    if "split" in found.coords:
        counts = found.coords["split"].to_series().value_counts()
        text += "; " + ", ".join(f"{count} {name}" for name, count in counts.items())
    return text
