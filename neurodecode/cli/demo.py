"""``neurodecode demo``: every analysis on simulated brains."""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from pathlib import Path

from ._common import LAB_SIZE, add, run_script, script_folder

# The demo is these scripts, run one after the other: an analysis and the figure of its result.
DEMO = (
    ("region_ablation", "region_ablation", ("--modality", "fmri")),
    ("weight_map", "weight_map", ("--modality", "fmri")),
    ("region_profile", "region_profile", ("--modality", "fmri")),
    ("time_course", "time_course_meg", ("--modality", "meg")),
    ("time_course", "time_course_eeg", ("--modality", "eeg")),
    ("generalisation", "generalisation_meg", ("--modality", "meg", "--subjects", "2")),
    ("topographies", "topographies_meg", ("--modality", "meg", "--subjects", "2")),
    ("selection", "selection", ("--modality", "fmri")),
    ("reconstruct", "reconstruct_fmri", ("--modality", "fmri", "--n", "12", "--steps", "20")),
)

# Of the extra `vision`, by the names that are imported.
NEEDED = ("torch", "open_clip", "diffusers", "justmyresource_mdi")


def add_demo(commands: argparse._SubParsersAction) -> None:
    """Add ``demo``."""
    parser = add(
        commands,
        "demo",
        "run every analysis on simulated brains; figures and one page",
        "Needs no file and no network; takes some minutes. Examples:\n\n"
        "  neurodecode demo --out demo\n"
        "  neurodecode demo --size full --seed 1 --out demo-full\n\n"
        "Then open demo/index.html.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="FOLDER",
        help="folder for results, figures and index.html",
    )
    parser.add_argument("--size", choices=("small", "full"), default="small", help=LAB_SIZE)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the lab and of permutations")
    parser.set_defaults(run=_demo)


def _demo(args: argparse.Namespace) -> None:
    from .. import report

    require_extra()
    args.out.mkdir(parents=True, exist_ok=True)
    scripts = script_folder()
    common = ("--size", args.size, "--seed", str(args.seed))
    steps = []
    begun = time.monotonic()
    for i, (analysis, result, options) in enumerate(DEMO, start=1):
        print(f"[{i}/{len(DEMO)}] {analysis} {' '.join(options)}", flush=True)
        steps.append(
            run_script(scripts / "analyses" / f"{analysis}.py", *options, *common, "--out", str(args.out))
        )
        figure = scripts / "figures" / f"{analysis}.py"
        steps.append(run_script(figure, str(args.out / f"{result}.nc"), "--out", str(args.out)))
    page = report.write(args.out, title="neurodecode demo: simulated brains", steps=steps)
    print(f"done in {time.monotonic() - begun:.0f} s; open {page}")


def require_extra() -> None:
    """Say what the demo needs before its first script fails for want of it.

    Raises
    ------
    ImportError
        Without the extra ``vision``.
    """
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        raise ImportError(
            f"the demo's simulated brains look at pictures with models; {', '.join(absent)} not installed; "
            "install with: pip install 'neurodecode-toolkit[vision]'"
        )
