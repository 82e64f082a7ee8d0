"""Train the miniature CLIP: open_clip's own class, contrastively, no concept twice in a batch.

A caption that names nothing but the concept therefore belongs to one picture.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from curriculum import simpler
from export import half
from loop import Settings, State
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

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
        image, text, scale = model(
            normalised(pictures.render(scenes)).to(device),
            self.tokens(captions.write(scenes, wording)).to(device),
        )
        with torch.autocast(device.type, enabled=False):
            similar = scale.clamp(max=50) * image.float() @ text.float().T
        truth = torch.arange(len(scenes), device=device)
        hit = float((similar.argmax(dim=1) == truth).float().mean())
        value = (cross_entropy(similar, truth) + cross_entropy(similar.T, truth)) / 2
        return value, {f"top1_{wording}": hit}

    def export(self, state: State, folder: Path) -> None:
        """Write open_clip's folder, and the text tower once more as transformers' CLIPTextModel."""
        clip = folder / "clip"
        clip.mkdir(parents=True, exist_ok=True)
        config = {"model_cfg": self.config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
        (clip / "open_clip_config.json").write_text(json.dumps(config, indent=1))
        save_file(half(state.averaged.state_dict()), folder / WEIGHTS)
        text = text_model(state.averaged.cpu(), self.config["text_cfg"])
        text.half().save_pretrained(folder / "diffusion" / "text_encoder")


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
