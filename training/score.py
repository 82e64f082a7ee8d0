"""Score the lab's miniature models as they lie in the package, on pictures that they were not trained on.

    python training/score.py                          # all four, about ten minutes on one free core
    python training/score.py clip referee             # some; the others' scores stay as they were
    python training/score.py --share 0.1              # a tenth of the pictures, to see that it runs
    python training/score.py --card docs/lab_models.md    # and write the tables into the model card

Held out are the colours in which each concept was never shown in training (pictures.held_out_colour) and, for clip, the
novel concepts. Writes scores.json and figures to results/lab_models. All pictures are simulated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = ("clip", "autoencoder", "diffusion", "referee")
# A model's files under the folder of weights, without the rest that it is scored with.
PARTS = {
    "clip": ("clip/open_clip_model.safetensors",),
    "autoencoder": ("diffusion/vae/diffusion_pytorch_model.safetensors",),
    "diffusion": (
        "diffusion/unet/diffusion_pytorch_model.safetensors",
        "diffusion/text_encoder/model.safetensors",
    ),
    "referee": ("referee/model.safetensors",),
}


# What of a score's extras goes into scores.json; pictures do not.
KEPT = ("readouts", "by_group", "confounded")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", choices=[*NAMES, []], help="which to score (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "lab_models")
    parser.add_argument("--card", type=Path, help="write the tables between the markers of this page")
    parser.add_argument("--seed", type=int, default=2025, help="of the pictures; no seed of the training")
    parser.add_argument("--share", type=float, default=1.0, help="share of the full number of pictures")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    kept = read(args.out / "scores.json")
    for name in args.models or NAMES:
        kept[name] = scored(name, args)
        (args.out / "scores.json").write_text(json.dumps(kept, indent=1) + "\n")
    if args.card:
        args.card.write_text(card(args.card.read_text(), kept))


def read(path: Path) -> dict:
    """Scores of earlier runs, by model."""
    return json.loads(path.read_text()) if path.exists() else {}


def scored(name: str, args: argparse.Namespace) -> dict:
    """Score one model, print its table, draw its figure, and return what is kept."""
    from score_figures import DRAWERS
    from score_table import text_table

    from neurodecode.vision._files import LAB

    print(f"{name} (simulated pictures)", flush=True)
    start = time.perf_counter()
    scores, extra = import_module(f"score_{name}").score(LAB, seed=args.seed, share=args.share)
    print(text_table(scores), flush=True)
    if name in DRAWERS:
        DRAWERS[name](extra, args.out)
    return {
        "scores": [asdict(s) for s in scores],
        "extra": {k: v for k, v in extra.items() if k in KEPT},
        "seed": args.seed,
        "share": args.share,
        "seconds": round(time.perf_counter() - start),
        "model": described(name, LAB),
        "training": trained(name, LAB),
    }


def described(name: str, folder: Path) -> dict:
    """Parameters, size and hash of a model's weights."""
    from safetensors import safe_open

    count = 0
    for part in PARTS[name]:
        with safe_open(folder / part, "pt") as file:
            count += sum(_size(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    return {
        "parameters": count,
        "bytes": sum((folder / part).stat().st_size for part in PARTS[name]),
        "sha256": digest(name, folder),
    }


def digest(name: str, folder: Path) -> str:
    """First 12 digits of the SHA-256 of a model's weight files, one after the other."""
    found = hashlib.sha256()
    for part in PARTS[name]:
        found.update((folder / part).read_bytes())
    return found.hexdigest()[:12]


def trained(name: str, folder: Path) -> dict:
    """How the model was trained, as training/run.py wrote beside the weights."""
    shipped = folder / "training.json"
    return json.loads(shipped.read_text()).get(name, {}) if shipped.exists() else {}


def card(page: str, kept: dict) -> str:
    """Return the model card with what was found between its markers."""
    from score_table import HEAD, Score, cells, filled, markdown_table

    for name, found in kept.items():
        rows = [cells(Score(**s))[1:] for s in found["scores"]]
        page = filled(page, f"scores of {name}", markdown_table(HEAD[1:], rows))
    return filled(
        page, "weights", markdown_table(WEIGHTS, [_weights(n, kept[n]) for n in NAMES if n in kept])
    )


WEIGHTS = (
    "model",
    "parameters",
    "on disk",
    "steps",
    "last batch",
    "pictures seen",
    "weights (SHA-256)",
)


def _weights(name: str, found: dict) -> tuple[str, ...]:
    model, training = found["model"], found["training"]
    return (
        name,
        f"{model['parameters'] / 1e6:.2f} million",
        f"{model['bytes'] / 1e6:.1f} MB",
        f"{training['step']:,}" if "step" in training else "unknown",
        str(training.get("settings", {}).get("batch", "unknown")),
        f"{training['pictures']:,}" if "pictures" in training else "unknown",
        f"`{model['sha256']}`",
    )


def _size(shape: list[int]) -> int:
    out = 1
    for n in shape:
        out *= n
    return out


if __name__ == "__main__":
    main()
