"""Train the autoencoder (diffusers' AutoencoderKL): 64 x 64 pictures to 4 x 16 x 16 latents and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from loop import Settings, State
from torch.nn.functional import l1_loss, mse_loss

from neurodecode.datasets.lab import icons, pictures
from neurodecode.vision._backends import diffusers

SETTINGS = Settings(batch=16, rate=1.5e-3, steady=8_000, decay=0.0, average=0.999, bfloat16=False)
PICTURES = 400_000
WEIGHTS = "vae/diffusion_pytorch_model.safetensors"
CHANNELS = (8, 24, 64)
KL = 1e-6


def build() -> torch.nn.Module:
    n = len(CHANNELS)
    return diffusers().AutoencoderKL(
        block_out_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * n,
        up_block_types=("UpDecoderBlock2D",) * n,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def loss(
    model: torch.nn.Module, rng: np.random.Generator, seen: int
) -> tuple[torch.Tensor, dict[str, float]]:
    every = rng.integers(0, len(icons.concepts()), SETTINGS.batch)
    scenes = pictures.draw(every, rng, combinations="known")
    images = pixels(pictures.render(scenes)).to(next(model.parameters()).device)
    posterior = model.encode(images).latent_dist
    out = model.decode(posterior.sample()).sample
    edges = l1_loss(out.diff(dim=2), images.diff(dim=2)) + l1_loss(out.diff(dim=3), images.diff(dim=3))
    divergence = posterior.kl().mean()
    value = l1_loss(out, images) + edges + mse_loss(out, images) + KL * divergence
    return value, {"mse": float(mse_loss(out, images).detach()), "kl": float(divergence.detach())}


def pixels(images: np.ndarray) -> torch.Tensor:
    """Turn pictures (n, row, column, colour), 0 to 1, into (n, colour, row, column), -1 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1


def spread(model: torch.nn.Module) -> float:
    """Standard deviation of latents over 512 pictures."""
    rng = np.random.default_rng(54321)
    scenes = pictures.draw(rng.integers(0, len(icons.concepts()), 512), rng, combinations="known")
    with torch.no_grad():
        return float(model.encode(pixels(pictures.render(scenes))).latent_dist.mode().std())


def export(state: State, folder: Path) -> None:
    copy = build()
    copy.load_state_dict(state.averaged.state_dict())
    copy.register_to_config(scaling_factor=round(1 / spread(copy), 5))
    copy.half().save_pretrained(folder / "vae", safe_serialization=True)
