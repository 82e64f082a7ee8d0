"""Train the miniature CLIP: open_clip's own class, contrastively, no concept twice in a batch.

A caption that names nothing but the concept therefore belongs to one picture.

Captions of the lab's pictures say next to nothing of the ground, and a tower this narrow drops what no caption names
from its first blocks on, which a large CLIP does not. The shallow half is therefore asked to keep the layout too: what
a linear read-out of a patch's features says of its pixels. Without this term gradients through these layers have no
way to tell where light and dark belong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from curriculum import simpler
from export import half
from loop import Settings, State
from safetensors.torch import save_file
from torch.nn.functional import avg_pool2d, cross_entropy

from neurodecode.datasets.lab import captions, icons, pictures
from neurodecode.vision._backends import open_clip, transformers

SETTINGS = Settings(batch=100, rate=1e-3, steady=400_000, decay=0.02, average=0.999)
PICTURES = 4_000_000
WEIGHTS = "clip/open_clip_model.safetensors"
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
WIDTH = 128
# How often a batch has each wording: the concept alone is the hardest to learn, and what the tower is for. In a mixed
# batch it would not be learned at all at first: captions that tell colour and place win.
WORDINGS = (0.25, 0.1, 0.45, 0.1, 0.1)
# Captions that say nothing of place and size get easy pictures until so many have been seen.
PLACELESS, EASY = (2, 4), 300_000
# Blocks whose MLP output keeps the layout, in squares of so many pixels, and the weight of that.
LAYOUT, SQUARE, KEEP = (2, 4, 6), 2, 1.0
# Sizes of the grains of noise, pixels, and the largest standard deviation of each (of values from 0 to 1).
GRAINS, NOISE = (1, 2, 4), 0.15
# Penalty of the read-out, a sample: it holds the features that carry the layout at a size of about 1.
PENALTY = 0.1


def model_config(vocabulary: int) -> dict:
    return {
        "embed_dim": WIDTH,
        "vision_cfg": {"image_size": 64, "patch_size": 16, "width": WIDTH, "layers": 12, "head_width": 32},
        "text_cfg": {
            "context_length": captions.TOKENS,
            "vocab_size": vocabulary,
            "width": WIDTH,
            "heads": 4,
            "layers": 4,
        },
    }


class Task:
    """The contrastive task with the words of one tokenizer."""

    def __init__(self, words: Path) -> None:
        self.tokenizer = transformers().CLIPTokenizer.from_pretrained(words)
        self.config = model_config(len(self.tokenizer))

    def build(self) -> torch.nn.Module:
        return open_clip().model.CLIP(**self.config)

    def tokens(self, texts: list[str]) -> torch.Tensor:
        return self.tokenizer(
            texts, padding="max_length", max_length=captions.TOKENS, truncation=True, return_tensors="pt"
        ).input_ids

    def loss(
        self, model: torch.nn.Module, rng: np.random.Generator, seen: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        scenes = pictures.draw(
            rng.permutation(len(icons.concepts()))[: SETTINGS.batch], rng, combinations="known"
        )
        wording = int(rng.choice(len(WORDINGS), p=WORDINGS))
        if wording in PLACELESS:
            scenes = simpler(scenes, min(1.0, seen / EASY))
        device = next(model.parameters()).device
        shown = normalised(pictures.render(scenes)).to(device)
        with patches(model.visual) as said:
            image, text, scale = model(grainy(shown), self.tokens(captions.write(scenes, wording)).to(device))
        with torch.autocast(device.type, enabled=False):
            similar = scale.clamp(max=50) * image.float() @ text.float().T
            lost = torch.stack([unexplained(said[k].float(), shown) for k in LAYOUT]).mean()
        truth = torch.arange(len(scenes), device=device)
        hit = float((similar.argmax(dim=1) == truth).float().mean())
        value = (cross_entropy(similar, truth) + cross_entropy(similar.T, truth)) / 2
        return value + KEEP * lost, {f"top1_{wording}": hit, "layout_lost": float(lost.detach())}

    def export(self, state: State, folder: Path) -> None:
        """Write open_clip's folder, and the text tower once more as transformers' CLIPTextModel.

        A text encoder that is there was trained on along with the U-Net, and is left as it is.
        """
        clip = folder / "clip"
        clip.mkdir(parents=True, exist_ok=True)
        config = {"model_cfg": self.config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
        (clip / "open_clip_config.json").write_text(json.dumps(config, indent=1))
        save_file(half(state.averaged.state_dict()), folder / WEIGHTS)
        encoder = folder / "diffusion" / "text_encoder"
        if not encoder.exists():
            text_model(state.averaged.cpu(), self.config["text_cfg"]).half().save_pretrained(encoder)


@contextmanager
def patches(tower: torch.nn.Module) -> Iterator[dict[int, torch.Tensor]]:
    """Collect what the MLP of each block of ``LAYOUT`` says of every patch: (n, patch, width)."""
    said: dict[int, torch.Tensor] = {}

    def keep(block: int) -> Callable[[torch.nn.Module, Any, torch.Tensor], None]:
        return lambda module, given, out: said.__setitem__(block, out[:, 1:])

    hooks = [tower.transformer.resblocks[k - 1].mlp.register_forward_hook(keep(k)) for k in LAYOUT]
    try:
        yield said
    finally:
        for hook in hooks:
            hook.remove()


def grainy(shown: torch.Tensor) -> torch.Tensor:
    """Add noise in grains of 1, 2 and 4 pixels to normalised pictures, each its own amount, mostly little.

    Features that are deaf to noise have gradients that look like pictures (Engstrom et al. 2019).
    """
    n, colours, side, _ = shown.shape
    out = shown
    for grain in GRAINS:
        amount = NOISE * torch.rand(n, 1, 1, 1, device=shown.device) ** 2 / STD[0]
        drawn = torch.randn(n, colours, side // grain, side // grain, device=shown.device)
        out = out + amount * drawn.repeat_interleave(grain, 2).repeat_interleave(grain, 3)
    return out


def unexplained(said: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """Share of the pixels' variance that a ridge read-out of features (n, patch, width) misses on other pictures."""
    squares = avg_pool2d(shown, SQUARE)
    side = round(said.shape[1] ** 0.5)
    own = squares.unflatten(3, (side, -1)).unflatten(2, (side, -1))  # n, colour, row, within, column, within
    truth = own.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    half = len(said) // 2
    x, y = (part[:half].flatten(0, 1) for part in (said, truth))
    more, wanted = (part[half:].flatten(0, 1) for part in (said, truth))
    mean, level = x.mean(dim=0), y.mean(dim=0)
    x, y = x - mean, y - level
    gram = x.T @ x + PENALTY * len(x) * torch.eye(x.shape[1], device=x.device)
    weights = torch.linalg.solve(gram, x.T @ y)
    missed = (more - mean) @ weights + level - wanted
    return (missed**2).sum() / ((wanted - level) ** 2).sum()


def normalised(images: np.ndarray) -> torch.Tensor:
    return (torch.from_numpy(images).permute(0, 3, 1, 2) - MEAN[0]) / STD[0]


def text_model(clip: torch.nn.Module, config: dict) -> torch.nn.Module:
    """Copy open_clip's text tower into transformers' CLIPTextModel, as Stable Diffusion loads it."""
    vocabulary = config["vocab_size"]
    made = transformers().CLIPTextModel(
        transformers().CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=config["width"],
            intermediate_size=4 * config["width"],
            projection_dim=WIDTH,
            num_hidden_layers=config["layers"],
            num_attention_heads=config["heads"],
            max_position_embeddings=config["context_length"],
            hidden_act="gelu",
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )
    own = clip.state_dict()
    renamed = {
        "embeddings.token_embedding.weight": own["token_embedding.weight"],
        "embeddings.position_embedding.weight": own["positional_embedding"],
        "final_layer_norm.weight": own["ln_final.weight"],
        "final_layer_norm.bias": own["ln_final.bias"],
    }
    names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    for i in range(config["layers"]):
        theirs, ours = f"encoder.layers.{i}.", f"transformer.resblocks.{i}."
        for kind in ("weight", "bias"):
            for old, new in names.items():
                renamed[f"{theirs}{new}.{kind}"] = own[f"{ours}{old}.{kind}"]
            renamed[f"{theirs}self_attn.out_proj.{kind}"] = own[f"{ours}attn.out_proj.{kind}"]
            parts = own[f"{ours}attn.in_proj_{kind}"].chunk(3)
            for letter, part in zip("qkv", parts, strict=True):
                renamed[f"{theirs}self_attn.{letter}_proj.{kind}"] = part
    expected = made.state_dict()
    prefix = "text_model." if any(k.startswith("text_model.") for k in expected) else ""
    made.load_state_dict({prefix + k: v for k, v in renamed.items()})
    return made.eval()
