"""Train the lab's miniature models: referee, autoencoder, clip, diffusion. Seeded, and resumed where it stopped.

    python training/run.py all                       # everything, one after the other
    python training/run.py clip --minutes 30         # go on with one for half an hour, then export
    python training/run.py clip --only visual.       # leave the text tower as it is (diffusion was trained on it)
    python training/run.py autoencoder --only decoder.    # leave the latents as they are
    python training/run.py all --minutes 0           # export what there is (untrained, if nothing)

State and curves are kept in results/training, weights go to neurodecode/vision/lab. docs/lab_models.md has the scores;
python training/score.py makes them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = ("referee", "autoencoder", "clip", "diffusion")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=(*NAMES, "all"))
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long; run again to go on")
    parser.add_argument("--pictures", type=int, help="train up to so many pictures in all")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--only", default="", help="train the parameters whose names begin so, leave the others"
    )
    parser.add_argument("--state", type=Path, default=ROOT / "results" / "training")
    parser.add_argument("--out", type=Path, default=ROOT / "neurodecode" / "vision" / "lab")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    for name in NAMES if args.model == "all" else (args.model,):
        _RUNS[name](args)


def _referee(args: argparse.Namespace) -> None:
    import loop
    import referee

    state = loop.train(
        args.state / "referee",
        referee.build,
        referee.loss,
        referee.SETTINGS,
        pictures=args.pictures or referee.PICTURES,
        minutes=args.minutes,
        trainable=lambda name: name.startswith(args.only),
    )
    referee.export(state, args.out / "referee")


def _autoencoder(args: argparse.Namespace) -> None:
    import autoencoder
    import loop

    state = loop.train(
        args.state / "autoencoder",
        autoencoder.build,
        autoencoder.loss,
        autoencoder.SETTINGS,
        pictures=args.pictures or autoencoder.PICTURES,
        minutes=args.minutes,
        trainable=lambda name: name.startswith(args.only),
    )
    autoencoder.export(state, args.out / "diffusion")


def _clip(args: argparse.Namespace) -> None:
    import clip
    import loop
    from words import write_tokenizer

    words = args.out / "diffusion" / "tokenizer"
    write_tokenizer(words)
    task = clip.Task(words)
    state = loop.train(
        args.state / "clip",
        task.build,
        task.loss,
        clip.SETTINGS,
        pictures=args.pictures or clip.PICTURES,
        minutes=args.minutes,
        trainable=lambda name: name.startswith(args.only),
    )
    task.export(state, args.out)


def _diffusion(args: argparse.Namespace) -> None:
    import diffusion
    import loop

    task = diffusion.Task(args.out / "diffusion", args.state)
    state = loop.train(
        args.state / "diffusion",
        task.build,
        task.loss,
        diffusion.SETTINGS,
        pictures=args.pictures or diffusion.PICTURES,
        minutes=args.minutes,
        trainable=lambda name: name.startswith(args.only),
    )
    task.export(state, args.out / "diffusion")


_RUNS = {"referee": _referee, "autoencoder": _autoencoder, "clip": _clip, "diffusion": _diffusion}

if __name__ == "__main__":
    main()
