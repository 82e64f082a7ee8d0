"""``neurodecode figure``, ``info`` and ``methods``: what is in a file, drawn or in words."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import add, run_script, script_folder

# Which script draws a result, by the dimensions that it has; the first that fits. Data are no results, but a
# reconstruction has its samples.
DATA = {"sample", "stimulus"}
REFINED = {"stage", "metric"}
FIGURES = (
    ({"stage", "metric", "frame"}, "reconstruct"),
    ({"system", "stage", "metric"}, "fitters"),
    ({"stage", "metric"}, "reconstruction_choices"),
    ({"noise"}, "claims"),
    ({"set", "space"}, "selection"),
    ({"train_window", "test_window"}, "generalisation"),
    ({"model", "k"}, "networks"),
    ({"decoder", "window", "channel"}, "network_maps"),
    ({"window", "channel"}, "topographies"),
    ({"window"}, "time_course"),
    ({"layer", "voxel"}, "weight_map"),
    ({"region", "fold"}, "region_ablation"),
    ({"region"}, "region_profile"),
)


def add_figure(commands: argparse._SubParsersAction) -> None:
    """Add ``figure``."""
    parser = add(
        commands,
        "figure",
        "draw a result file",
        "Knows what decode, sweep, weight-map and reconstruct write, and the library's calls. Examples:\n\n"
        "  neurodecode figure sweep.nc --out figures\n"
        "  neurodecode figure pictures/trajectory.nc --out figures",
    )
    parser.add_argument(
        "result",
        type=Path,
        metavar="RESULT.nc",
        help="file written by decode, sweep, weight-map, reconstruct or neurodecode.save",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("."), metavar="FOLDER", help="folder for the PNG and the PDF"
    )
    parser.set_defaults(run=_figure)


def _figure(args: argparse.Namespace) -> None:
    from .. import store

    draw(args.result, set(map(str, store.load(args.result).dims)), args.out)


def script_for(dims: set[str]) -> str | None:
    """Name the script that draws a result over these dimensions; None if there is none."""
    for needed, script in FIGURES:
        if needed <= dims and (needed >= REFINED or not DATA & dims):
            return script
    return None


def draw(result: Path, dims: set[str], out: Path) -> None:
    """Draw a result file over ``dims`` into a folder.

    Raises
    ------
    ValueError
        If no script draws such a result.
    OSError
        If the script fails.
    """
    script = script_for(dims)
    if script is None:
        known = "; ".join(" x ".join(sorted(needed)) for needed, _ in FIGURES)
        raise ValueError(
            f"no figure for a result over {' x '.join(sorted(dims))}; there are figures for {known}"
        )
    run_script(script_folder() / "figures" / f"{script}.py", str(result), "--out", str(out))


def add_info(commands: argparse._SubParsersAction) -> None:
    """Add ``info``."""
    parser = add(
        commands,
        "info",
        "say what is in a file and whether it is well-formed",
        "Reads netCDF written by neurodecode.save, mne epochs (-epo.fif) and NIfTI images. Examples:\n\n"
        "  neurodecode info sub-01.nc features.nc\n"
        "  neurodecode info sub-01-epo.fif mask.nii.gz sub-01.zarr",
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="files or zarr folders to look into"
    )
    parser.set_defaults(run=_info)


def _info(args: argparse.Namespace) -> int:
    from ..checkup import checkup
    from ..store.text import printable

    problems = 0
    for path in args.files:
        text, faults = checkup(path)
        print(f"{printable(path)}\n{printable(text, lines=True)}")
        print("\n".join(f"  PROBLEM: {printable(f)}" for f in faults) if faults else "  well-formed")
        problems += len(faults)
    return 1 if problems else 0


def add_methods(commands: argparse._SubParsersAction) -> None:
    """Add ``methods``."""
    parser = add(
        commands,
        "methods",
        "say how a result was made: a paragraph and a table for a paper",
        "Reads the provenance of a file that decode, sweep, weight-map or neurodecode.save wrote. Examples:\n\n"
        "  neurodecode methods sweep.nc\n"
        "  neurodecode methods sweep.nc --form latex --only table > table.tex",
    )
    parser.add_argument("file", type=Path, metavar="RESULT.nc", help="result to tell of")
    parser.add_argument(
        "--form", choices=("markdown", "latex", "csv"), default="markdown", help="of the table"
    )
    parser.add_argument("--only", choices=("paragraph", "table"), help="print one of the two")
    parser.set_defaults(run=_methods)


def _methods(args: argparse.Namespace) -> None:
    from .. import methods, store
    from ..store.text import printable

    result = store.load(args.file)
    if args.only != "table":
        # A paragraph has no CSV; it stands above the table as plain text.
        text = methods.paragraph(result, form="text" if args.form == "csv" else args.form)
        print(printable(text, lines=True))
    if args.only is None:
        print()
    if args.only != "paragraph":
        print(printable(methods.table(result, form=args.form), lines=True), end="")
