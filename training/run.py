"""Train the lab's miniature models: referee, autoencoder, clip, diffusion. Seeded, and resumed where it stopped.

    python training/run.py all                       # everything, one after the other
    python training/run.py clip --minutes 30         # go on with one for half an hour, then export
    python training/run.py diffusion --only unet.    # leave the text encoder, which c is made with, as it is
    python training/run.py autoencoder --only decoder.    # leave the latents as they are
    python training/run.py clip --weights neurodecode/vision/lab  # go on from what ships, not from a random start
    python training/run.py all --device cuda         # on a graphics card
    python training/run.py all --minutes 0           # export what there is (untrained, if nothing)

State and curves are kept in results/training, weights go to neurodecode/vision/lab. docs/lab_models.md has the scores;
python training/score.py makes them.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
NAMES = ("referee", "autoencoder", "clip", "diffusion")
# Where each writes, under the folder of weights.
FOLDERS = {"referee": "referee", "autoencoder": "diffusion", "clip": "", "diffusion": "diffusion"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=(*NAMES, "all"))
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long; run again to go on")
    parser.add_argument("--pictures", type=int, help="train up to so many pictures in all")
    parser.add_argument(
        "--weights",
        type=Path,
        help="begin with the weights in this folder (neurodecode/vision/lab: the shipped)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
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
        _run(name, args)


def _run(name: str, args: argparse.Namespace) -> None:
    """Train one model, write its weights into the package's folder, and say beside them how it was trained."""
    import loop

    module = import_module(name)
    task = _task(name, module, args)
    state = loop.train(
        args.state / name,
        task.build,
        task.loss,
        module.SETTINGS,
        pictures=args.pictures or module.PICTURES,
        minutes=args.minutes,
        trainable=lambda parameter: parameter.startswith(args.only),
        start=_start(name, module.WEIGHTS, args.weights),
        device=args.device,
    )
    task.export(state, args.out / FOLDERS[name])
    loop.tell(args.out / "training.json", args.state / name)


def _start(name: str, files: str | dict[str, str], folder: Path | None) -> Any:
    """Return the weights that were exported to ``folder``, and how much training had made them.

    ``files`` is one file, or several with what the names of their tensors begin with in the model.
    """
    if folder is None:
        return None
    from loop import Start
    from safetensors.torch import load_file

    tensors = {
        prefix + k: v.float()
        for prefix, file in ({"": files} if isinstance(files, str) else files).items()
        for k, v in load_file(folder / FOLDERS[name] / file).items()
    }
    told = json.loads((folder / "training.json").read_text())[name]
    return Start(tensors, told["step"], told["pictures"])


def _task(name: str, module: ModuleType, args: argparse.Namespace) -> Any:
    """Return what has build, loss and export: a module, or an object that knows what was trained before."""
    words = args.out / "diffusion" / "tokenizer"
    if name == "clip":
        from words import write_tokenizer

        write_tokenizer(words)
        return module.Task(words)
    return module.Task(args.out / "diffusion", device=args.device) if name == "diffusion" else module


if __name__ == "__main__":
    main()
