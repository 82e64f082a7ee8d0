"""``neurodecode reconstruct``: pictures from brain responses."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import DEVICE, LAB_SIZE, PAGE, add
from .pages import require_page_target, write_page


def add_reconstruct(commands: argparse._SubParsersAction) -> None:
    """Add ``reconstruct``."""
    parser = add(
        commands,
        "reconstruct",
        "pictures from brain responses, in two stages (Figs. 4-6, Tables 3-4)",
        "Fits decoders on the training split, makes pictures of test stimuli and refines them. Examples:\n\n"
        "  neurodecode reconstruct lab --modality fmri --subject 1 --n 40 --out pictures\n"
        "  neurodecode reconstruct lab --modality eeg --n 12 --steps 10 --out quick --page\n"
        "  neurodecode reconstruct sub-01.nc --features c.nc z.nc clip.nc --images images.nc \\\n"
        "      --generator CompVis/stable-diffusion-v1-4 --encoder ViT-B-32 --pretrained openai --out pictures\n\n"
        "Writes shown/, stage-1/ and stage-2/ (PNG), trajectory.nc and metrics.csv. A run that was stopped goes on.",
    )
    parser.add_argument(
        "data", metavar="FILE", help="'lab', or responses of one subject written by neurodecode.save"
    )
    parser.add_argument(
        "--modality", choices=("fmri", "eeg", "meg"), default="fmri", help="what the lab simulates"
    )
    parser.add_argument("--subject", type=int, default=1, metavar="N", help="of the lab")
    parser.add_argument("--size", choices=("small", "full"), default="small", help=LAB_SIZE)
    parser.add_argument(
        "--features", nargs="+", default=[], metavar="FILE", help="c, z and layers, for files"
    )
    parser.add_argument("--images", metavar="FILE", help="pictures that were shown, for files")
    parser.add_argument(
        "--generator", default="lab", metavar="NAME", help="'lab', a folder, or a published diffusion model"
    )
    parser.add_argument(
        "--encoder",
        default="lab",
        metavar="NAME",
        help="image encoder: 'lab', a folder, or one that open_clip knows",
    )
    parser.add_argument("--pretrained", metavar="NAME", help="weights of --encoder")
    parser.add_argument(
        "--reading",
        choices=("paper", "code"),
        default="paper",
        help="which blocks Linear-2 ... Linear-12 of --encoder are; as the features were extracted",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        metavar="LAYER",
        help="of --encoder, for the structural loss; Linear-2 Linear-4 Linear-6",
    )
    parser.add_argument("--meaning", default="final", metavar="LAYER", help="layer of the semantic term")
    parser.add_argument(
        "--gamma", type=float, metavar="G", help="weight of the semantic term; 0 leaves it out"
    )
    parser.add_argument(
        "--keep", type=float, metavar="SHARE", help="of a layer's dimensions that are trusted; all"
    )
    parser.add_argument(
        "--trust",
        choices=("precision", "equal"),
        help="weigh dimensions by how well they are decoded (default), or not",
    )
    parser.add_argument("--n", type=int, default=40, metavar="N", help="how many test pictures")
    parser.add_argument("--steps", type=int, metavar="N", help="iterations of stage 2; 30")
    parser.add_argument(
        "--protocol",
        default="lab",
        metavar="NAME",
        help="of the metrics: lab, mindeye, brain-diffuser, takagi",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the lab and of the noise")
    parser.add_argument("--device", default="cpu", metavar="NAME", help=DEVICE)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write")
    parser.add_argument("--page", action="store_true", help=PAGE)
    parser.set_defaults(run=_reconstruct)


def _reconstruct(args: argparse.Namespace) -> None:
    from .. import pipeline, reconstruction, store, vision

    if args.n < 2:
        raise ValueError(f"--n must be at least 2 for standard errors and identification, got {args.n}")
    store.require_writable(args.out, who="--out")
    pieces = args.out / "pieces"
    if not pieces.exists():
        # Nobody's files are overwritten; what a run that goes on wrote before, it writes again.
        pipeline.require_nothing_written(args.out)
    if args.page:
        require_page_target(args.out / "index.html", overwrite=True)
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
    encoder = vision.load(args.encoder, pretrained=args.pretrained, reading=args.reading, device=args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    result = pipeline.run(data, generator, encoder, plan, n=args.n, protocol=args.protocol, resume=pieces)
    print(result["value"].mean("sample").to_pandas().T.round(3))
    pipeline.write(result, args.out, modality=data.modality, generator=generator.name, overwrite=True)
    print(f"wrote {args.out}: shown, stage-1, stage-2, trajectory.nc, metrics.csv")
    if args.page:
        title = f"{args.out.name.replace('_', ' ')}: {data.subject}"
        write_page(
            [args.out / "trajectory.nc"],
            args.out / "index.html",
            title=title,
            steps=[args.typed],
            overwrite=True,
        )
