"""Train U-Net (diffusers' UNet2DConditionModel) and text encoder on latents, in the layout of Stable Diffusion.

Velocity prediction (Salimans & Ho 2022). Shapes come late in such a model, so it starts with large upright objects in
the middle, whose pictures follow from their captions almost fully, and the rest of the variety comes in bit by bit.
Pooled text enters beside the time embedding; empty captions are learned too, for guidance (Ho & Salimans 2022).

The text encoder begins as CLIP's text tower and goes on here: a contrast of captions needs no word for the place, so
the tower makes next to no difference between "top" and "bottom", and no picture could follow them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from curriculum import simpler
from loop import Settings, State
from torch.nn.functional import adaptive_avg_pool2d, max_pool2d

from neurodecode import vision
from neurodecode.datasets.lab import captions, icons, pictures
from neurodecode.vision._backends import diffusers

SETTINGS = Settings(batch=64, rate=4e-4, steady=400_000, decay=0.01, average=0.999)
PICTURES = 4_000_000
WEIGHTS = {
    "unet.": "unet/diffusion_pytorch_model.safetensors",
    "text.": "text_encoder/model.safetensors",
}
# Every picture is used with this many draws of noise.
NOISES = 2
CHANNELS = (32, 64, 128)
# Pictures after which the variety is that of the lab's stimuli, and what part of them is canonical at first.
CANONICAL, FULL = 140_000, 500_000
# How often: full caption, one of any wording, mean over the wordings (as decoded from brains), empty caption.
CONDITIONS = (0.55, 0.15, 0.2, 0.1)
OBJECT = 3.0
# Half of the noise levels are drawn above this one.
HIGHEST = 800
# In the log: the error where little but the caption tells what the picture is.
LATE = 900


def scheduler():
    """Return Stable Diffusion's schedule, with velocity prediction and a last step of noise alone (Lin et al. 2024).

    Stable Diffusion's own last step leaves a trace of the picture, enough to tell where a large object lies: a model
    may read the place from there instead of from the caption, and makes it up when it begins with noise.
    """
    return diffusers().DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


class Painter(torch.nn.Module):
    """What is trained together: the U-Net, and the text encoder that tells it what to paint."""

    def __init__(self, unet: torch.nn.Module, text: torch.nn.Module) -> None:
        super().__init__()
        self.unet, self.text = unet, text


def unet() -> torch.nn.Module:
    return diffusers().UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


class Task:
    """Denoising of latents, given captions; the autoencoder stays as it is in ``folder``."""

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        self.folder, self.device = folder, device
        self.latents = vision.load_latents(folder, device=device)
        self.words = vision.load_text(folder, length=captions.TOKENS)
        self.scheduler = scheduler()

    def build(self) -> Painter:
        text = vision.load_text(self.folder, length=captions.TOKENS).module
        return Painter(unet(), text.requires_grad_(True))

    def loss(
        self, model: torch.nn.Module, rng: np.random.Generator, seen: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        scenes = simpler(some(rng, SETTINGS.batch // NOISES), variety(seen, rng))
        with torch.no_grad(), torch.autocast(self.device, enabled=False):
            clean = self.latents.encode(pictures.render(scenes)).repeat(NOISES, 1, 1, 1)
        condition = self.condition(model.text, scenes, rng).repeat(NOISES, 1, 1)
        weight = attention(scenes).repeat(NOISES, 1, 1, 1).to(self.device)
        when = moments(len(clean), rng).to(self.device)
        noise = torch.randn(clean.shape, device=self.device)
        noisy = self.scheduler.add_noise(clean, noise, when)
        truth = self.scheduler.get_velocity(clean, noise, when)
        error = (model.unet(noisy, when, condition).sample.float() - truth) ** 2
        plain = error.detach()
        late = {"mse_late": float(plain[when > LATE].mean())} if (when > LATE).any() else {}
        return (error * weight).mean(), {"mse": float(plain.mean()), **late}

    def condition(
        self, text: torch.nn.Module, scenes: pictures.Scenes, rng: np.random.Generator
    ) -> torch.Tensor:
        """Text tokens (n, 15, width) of captions of one kind or another."""
        kind = rng.choice(len(CONDITIONS), len(scenes), p=CONDITIONS)
        wording = np.where(kind == 0, 0, rng.integers(0, captions.WORDINGS, len(scenes)))
        texts = np.array(captions.write(scenes, wording))
        texts[kind == 3] = ""
        out = self.tokens(text, texts.tolist())
        several = kind == 2
        if several.any():
            chosen = scenes.take(several)
            every = [self.tokens(text, captions.write(chosen, w)) for w in range(captions.WORDINGS)]
            where = torch.from_numpy(several).to(self.device).nonzero()[:, 0]
            out = out.index_copy(0, where, torch.stack(every).mean(dim=0))
        return out

    def tokens(self, text: torch.nn.Module, texts: list[str]) -> torch.Tensor:
        ids = torch.from_numpy(self.words.ids(texts)).to(self.device)
        return text(ids).last_hidden_state

    def export(self, state: State, folder: Path) -> None:
        copy = self.build()
        copy.load_state_dict(state.averaged.state_dict())
        copy.unet.half().save_pretrained(folder / "unet")
        copy.text.half().save_pretrained(folder / "text_encoder")
        self.scheduler.save_pretrained(folder / "scheduler")
        index = {
            "_class_name": "StableDiffusionPipeline",
            "_diffusers_version": diffusers().__version__,
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        }
        (folder / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")


def some(rng: np.random.Generator, n: int) -> pictures.Scenes:
    return pictures.draw(rng.integers(0, len(icons.concepts()), n), rng, combinations="known")


def moments(n: int, rng: np.random.Generator) -> torch.Tensor:
    """Draw noise levels (n,), 0 to 999: half with a density that rises evenly, half where little but noise is left.

    The caption matters most at high levels, and at the highest it alone says where the object goes.
    """
    rising = 1000 * np.sqrt(rng.random(n))
    highest = rng.uniform(HIGHEST, 1000, n)
    return torch.from_numpy(np.where(np.arange(n) % 2 == 0, rising, highest).astype(np.int64))


def variety(seen: int, rng: np.random.Generator) -> float:
    """Share of the lab's full variety: 0 at first, 1 from ``FULL`` on; a tenth of the batches is always full."""
    if rng.random() < 0.1:
        return 1.0
    return float(np.clip((seen - CANONICAL) / (FULL - CANONICAL), 0, 1))


def attention(scenes: pictures.Scenes) -> torch.Tensor:
    """Weights of the error (n, 1, 16, 16), mean 1: the object and its border count more than the ground."""
    cover = torch.from_numpy(pictures.cover(scenes))[:, None]
    near = adaptive_avg_pool2d(max_pool2d(cover, 9, 1, 4), 16)
    weight = 1 + OBJECT * near
    return weight / weight.mean()
