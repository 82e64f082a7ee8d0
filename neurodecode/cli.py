"""Top: the command ``neurodecode``. Every subcommand says what it takes and shows an example."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__

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
# Which script draws a result, by the dimensions that it has; the first that fits. Data are no results, but a
# reconstruction has its samples.
DATA = {"sample", "stimulus"}
REFINED = {"stage", "metric"}
FIGURES = (
    ({"stage", "metric", "frame"}, "reconstruct"),
    ({"stage", "metric"}, "reconstruction_choices"),
    ({"noise"}, "claims"),
    ({"set", "space"}, "selection"),
    ({"train_window", "test_window"}, "generalisation"),
    ({"window", "channel"}, "topographies"),
    ({"window"}, "time_course"),
    ({"layer", "voxel"}, "weight_map"),
    ({"region", "fold"}, "region_ablation"),
    ({"region"}, "region_profile"),
)
FORMATTER = argparse.RawDescriptionHelpFormatter
ALPHAS = (1e1, 1e2, 1e3, 1e4, 1e5)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; errors a user can mend are one line on standard error and exit status 2."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args) or 0)
    except (ValueError, TypeError, OSError, MemoryError, ImportError) as error:
        print(f"neurodecode {args.command}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neurodecode",
        description="Interpretable ridge decoding of fMRI, EEG and MEG: per region, per time window, on the cortex.",
        epilog="Begin with:  neurodecode demo --out demo",
    )
    parser.add_argument("--version", action="version", version=f"neurodecode {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _demo_parser(commands)
    _decode_parser(commands)
    _sweep_parser(commands)
    _map_parser(commands)
    _reconstruct_parser(commands)
    _figure_parser(commands)
    _info_parser(commands)
    return parser


def _add(commands: argparse._SubParsersAction, name: str, summary: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{text}",
        formatter_class=FORMATTER,
    )
    return parser


# --- demo ------------------------------------------------------------------------------------------------------


def _demo_parser(commands: argparse._SubParsersAction) -> None:
    parser = _add(
        commands,
        "demo",
        "run every analysis on simulated brains; figures and one page",
        "Needs no file and no network. Example:\n\n  neurodecode demo --out demo\n\nthen open demo/index.html.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="folder for results, figures and index.html"
    )
    parser.add_argument("--size", choices=("small", "full"), default="small", help="how much is simulated")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation and of permutations")
    parser.set_defaults(run=_demo)


def _demo(args: argparse.Namespace) -> None:
    from . import report

    args.out.mkdir(parents=True, exist_ok=True)
    scripts = _scripts()
    common = ("--size", args.size, "--seed", str(args.seed))
    steps = []
    begun = time.monotonic()
    for i, (analysis, result, options) in enumerate(DEMO, start=1):
        print(f"[{i}/{len(DEMO)}] {analysis} {' '.join(options)}", flush=True)
        steps.append(
            _script(scripts / "analyses" / f"{analysis}.py", *options, *common, "--out", str(args.out))
        )
        figure = scripts / "figures" / f"{analysis}.py"
        steps.append(_script(figure, str(args.out / f"{result}.nc"), "--out", str(args.out)))
    page = report.write(args.out, title="neurodecode demo: simulated brains", steps=steps)
    print(f"done in {time.monotonic() - begun:.0f} s; open {page}")


def _scripts() -> Path:
    """Folder that holds analyses/ and figures/: the package in a wheel, the repository in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package, package.parent):
        if (folder / "analyses").is_dir() and (folder / "figures").is_dir():
            return folder
    raise FileNotFoundError(
        "this installation lacks the scripts of the demo (analyses/ and figures/); install again"
    )


def _script(path: Path, *options: str) -> str:
    """Run a script of ours in a process of its own; return the command as a user would type it."""
    done = subprocess.run([sys.executable, str(path), *options], check=False)
    if done.returncode:
        raise OSError(f"{path.name} ended with status {done.returncode}; its message stands above")
    return " ".join(["python", f"{path.parent.name}/{path.name}", *options])


# --- decode, sweep, weight-map ---------------------------------------------------------------------------------


def _common(parser: argparse.ArgumentParser, *, score: str | None) -> None:
    from .inputs import add_arguments

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
        "--n-voxels", type=int, metavar="N", help="only the N most correlated voxels per feature"
    )
    parser.add_argument("--train", default="train", metavar="SPLIT", help="value of 'split' to fit on")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.nc", help="result file")
    parser.add_argument("--overwrite", action="store_true", help="replace the result file if it exists")
    if score:
        parser.add_argument("--test", default="test", metavar="SPLIT", help="value of 'split' to score on")
        parser.add_argument(
            "--folds", help="instead: a number of folds, or a sample coordinate to leave one out"
        )
        parser.add_argument(
            "--shared", nargs="+", default=[], metavar="NAME", help="labels that may be in both parts"
        )
        parser.add_argument(
            "--score", default=score, help="profile, pattern, r2, top1, top5, pairwise, auc, accuracy"
        )
        parser.add_argument(
            "--resume", metavar="FOLDER", help="keep finished pieces there and go on from them"
        )


def _decoder(args: argparse.Namespace) -> Any:
    from .linear import RidgeDecoder

    alpha = args.alpha[0] if len(args.alpha) == 1 else args.alpha
    return RidgeDecoder(alpha=alpha, n_voxels=args.n_voxels)


def _split(args: argparse.Namespace) -> dict[str, Any]:
    if args.folds is None:
        return {"train": args.train, "test": args.test, "shared": args.shared}
    return {"folds": int(args.folds) if args.folds.isdigit() else args.folds, "shared": args.shared}


def _decode_parser(commands: argparse._SubParsersAction) -> None:
    parser = _add(
        commands,
        "decode",
        "decoding accuracy per region (Fig. 7)",
        "Refits a ridge decoder for every set of regions, feature space, subject and fold. Example:\n\n"
        "  neurodecode decode --responses sub-*.nc --features features.nc --regions LVC HVC LVC+HVC --out decode.nc\n\n"
        "Without --responses it runs on the simulated lab.",
    )
    _common(parser, score="profile")
    parser.add_argument(
        "--regions", nargs="+", metavar="NAME", help="names, groups (LVC, HVC) or sums (V1+V2); all"
    )
    parser.set_defaults(run=_decode)


def _decode(args: argparse.Namespace) -> None:
    from . import inputs, spatial

    inputs.require_target(args.out, overwrite=args.overwrite)
    data = inputs.read(args)
    score = spatial.decode(
        data.responses,
        data.features,
        _decoder(args),
        regions=args.regions,
        score=args.score,
        resume=args.resume,
        **_split(args),
    )
    print(score.mean(("subject", "fold")).to_pandas().round(3))
    inputs.write(score, data, args.out, overwrite=args.overwrite)


def _sweep_parser(commands: argparse._SubParsersAction) -> None:
    parser = _add(
        commands,
        "sweep",
        "decoding accuracy over time (Fig. 9e-f)",
        "Fits a ridge decoder in every time window of EEG or MEG epochs. Example:\n\n"
        "  neurodecode sweep --responses sub-*-epo.fif --features features.nc --folds 5 --out sweep.nc\n\n"
        "Without --responses it runs on the simulated lab (--modality eeg or meg).",
    )
    _common(parser, score="top1")
    parser.add_argument("--width", type=float, default=0.100, help="of a window, in seconds")
    parser.add_argument("--step", type=float, default=0.025, help="from window to window, in seconds")
    parser.add_argument("--scheme", default="sliding", help="sliding, growing or shrinking windows")
    parser.set_defaults(run=_sweep, modality="meg")


def _sweep(args: argparse.Namespace) -> None:
    from . import inputs, temporal

    inputs.require_target(args.out, overwrite=args.overwrite)
    data = inputs.read(args)
    score = temporal.sweep(
        data.responses,
        data.features,
        _decoder(args),
        width=args.width,
        step=args.step,
        scheme=args.scheme,
        score=args.score,
        resume=args.resume,
        **_split(args),
    )
    print(score.mean(("subject", "fold")).to_pandas().round(3))
    inputs.write(score, data, args.out, overwrite=args.overwrite)


def _map_parser(commands: argparse._SubParsersAction) -> None:
    parser = _add(
        commands,
        "weight-map",
        "weights or forward-model patterns per voxel (Fig. 9a-c)",
        "Fits one decoder a subject on all voxels and reduces it to (layer, voxel). Example:\n\n"
        "  neurodecode weight-map --responses sub-01.nc --features features.nc --kind pattern --out map.nc\n\n"
        "Draw it with: neurodecode figure map.nc --out figures",
    )
    _common(parser, score=None)
    parser.add_argument("--kind", default="pattern", help="filter, pattern or selection")
    parser.add_argument("--reduce", default="mean_abs", help="mean_abs, l2 or mean")
    parser.set_defaults(run=_weight_map, subjects=1)


def _weight_map(args: argparse.Namespace) -> None:
    from . import brain, folds, inputs, spatial

    inputs.require_target(args.out, overwrite=args.overwrite)
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


# --- reconstruct -----------------------------------------------------------------------------------------------


def _reconstruct_parser(commands: argparse._SubParsersAction) -> None:
    parser = _add(
        commands,
        "reconstruct",
        "pictures from brain responses, in two stages (Figs. 4-6, Tables 3-4)",
        "Fits decoders on the training split, makes pictures of test stimuli and refines them. Examples:\n\n"
        "  neurodecode reconstruct lab --modality fmri --subject 1 --n 40 --out pictures\n"
        "  neurodecode reconstruct sub-01.nc --features c.nc z.nc clip.nc --images images.nc \\\n"
        "      --generator CompVis/stable-diffusion-v1-4 --encoder ViT-B-32 --pretrained openai --out pictures\n\n"
        "Writes shown/, stage-1/ and stage-2/ (PNG), trajectory.nc and metrics.csv. A run that was stopped goes on.",
    )
    parser.add_argument("data", help="'lab', or responses of one subject written by neurodecode.save")
    parser.add_argument("--modality", choices=("fmri", "eeg", "meg"), default="fmri", help="of the lab")
    parser.add_argument("--subject", type=int, default=1, help="of the lab")
    parser.add_argument("--size", choices=("small", "full"), default="small", help="of the lab")
    parser.add_argument(
        "--features", nargs="+", default=[], metavar="FILE", help="c, z and layers, for files"
    )
    parser.add_argument("--images", metavar="FILE", help="pictures that were shown, for files")
    parser.add_argument("--generator", default="lab", help="'lab', a folder, or a published diffusion model")
    parser.add_argument("--encoder", default="lab", help="'lab', a folder, or a model that open_clip knows")
    parser.add_argument("--pretrained", help="weights of --encoder")
    parser.add_argument(
        "--layers", nargs="+", metavar="LAYER", help="of the structural loss; Linear-2, Linear-4, Linear-6"
    )
    parser.add_argument("--meaning", default="final", metavar="LAYER", help="layer of the semantic term")
    parser.add_argument("--gamma", type=float, help="weight of the semantic term; 0 leaves it out")
    parser.add_argument("--keep", type=float, help="share of trusted dimensions a layer")
    parser.add_argument(
        "--trust",
        choices=("precision", "equal"),
        help="weigh dimensions by how well they are decoded (default), or not",
    )
    parser.add_argument("--n", type=int, default=40, help="test pictures")
    parser.add_argument("--steps", type=int, help="iterations of stage 2")
    parser.add_argument(
        "--protocol", default="lab", help="of the metrics: lab, mindeye, brain-diffuser, takagi"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.set_defaults(run=_reconstruct)


def _reconstruct(args: argparse.Namespace) -> None:
    from . import pipeline, reconstruction, vision

    if args.n < 2:
        raise ValueError(f"--n must be at least 2 for standard errors and identification, got {args.n}")
    plan = pipeline.planned(
        layers=tuple(args.layers) if args.layers else None,
        gamma=args.gamma,
        steps=args.steps,
        keep=args.keep,
        trust=args.trust,
        meaning=args.meaning,
        seed=args.seed,
    )
    if args.data == "lab":
        data = pipeline.lab_data(args.modality, subject=args.subject, size=args.size, seed=args.seed)
    else:
        data = pipeline.data_from(args.data, args.features, args.images)
    generator = reconstruction.load_diffusion(args.generator, device=args.device)
    encoder = vision.load(args.encoder, pretrained=args.pretrained, device=args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    result = pipeline.run(
        data, generator, encoder, plan, n=args.n, protocol=args.protocol, resume=args.out / "pieces"
    )
    print(result["value"].mean("sample").to_pandas().T.round(3))
    pipeline.write(result, args.out, modality=data.modality, generator=generator.name)
    print(f"wrote {args.out}: shown, stage-1, stage-2, trajectory.nc, metrics.csv")


# --- figure, info ----------------------------------------------------------------------------------------------


def _figure_parser(commands: argparse._SubParsersAction) -> None:
    parser = _add(
        commands,
        "figure",
        "draw a result file",
        "Knows what decode, sweep, weight-map, generalise and patterns write. Example:\n\n"
        "  neurodecode figure sweep.nc --out figures",
    )
    parser.add_argument(
        "result", type=Path, help="file written by decode, sweep, weight-map or neurodecode.save"
    )
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for the PNG and the PDF")
    parser.set_defaults(run=_figure)


def _figure(args: argparse.Namespace) -> None:
    from . import store

    dims = set(map(str, store.load(args.result).dims))
    fitting = [
        script for needed, script in FIGURES if needed <= dims and (needed >= REFINED or not DATA & dims)
    ]
    if not fitting:
        known = "; ".join(" x ".join(sorted(needed)) for needed, _ in FIGURES)
        raise ValueError(
            f"no figure for a result over {' x '.join(sorted(dims))}; there are figures for {known}"
        )
    _script(_scripts() / "figures" / f"{fitting[0]}.py", str(args.result), "--out", str(args.out))


def _info_parser(commands: argparse._SubParsersAction) -> None:
    parser = _add(
        commands,
        "info",
        "say what is in a file and whether it is well-formed",
        "Reads netCDF written by neurodecode.save, mne epochs (-epo.fif) and NIfTI images. Example:\n\n"
        "  neurodecode info sub-01.nc features.nc",
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.set_defaults(run=_info)


def _info(args: argparse.Namespace) -> int:
    from .checkup import checkup

    problems = 0
    for path in args.files:
        text, faults = checkup(path)
        print(f"{path}\n{text}")
        print("\n".join(f"  PROBLEM: {f}" for f in faults) if faults else "  well-formed")
        problems += len(faults)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
