"""Score the autoencoder: how like a held-out picture its way through the latent leaves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from score_table import Score, mean

from neurodecode import metrics, vision
from neurodecode.datasets.lab import icons, pictures
from neurodecode.metrics.pixels import resized

MODEL = "autoencoder"
PICTURES = 1000
LARGE = 100  # pictures that are also compared at 425 x 425, as the published values are
WANTED = {"PixCorr": 0.97, "SSIM": 0.85}


def score(folder: Path, *, seed: int, share: float) -> tuple[list[Score], dict]:
    """Score the autoencoder in ``folder``; also some pictures with what became of them."""
    rng = np.random.default_rng([seed, 2])
    n = len(icons.concepts())
    scenes = pictures.draw(np.arange(max(20, round(PICTURES * share))) % n, rng, combinations="held-out")
    novel = pictures.draw(n + np.arange(200) % len(icons.novel_concepts()), rng)
    model = vision.load_latents(folder / "diffusion")
    images = pictures.render(scenes)
    out, latents = through(model, images)
    other = pictures.render(novel)
    rows = [
        mean(MODEL, "PixCorr", metrics.pixcorr(images, out), wanted=WANTED["PixCorr"]),
        mean(MODEL, "SSIM", metrics.ssim(images, out), wanted=WANTED["SSIM"]),
        *(mean(MODEL, f"{k} at 425 x 425", v) for k, v in enlarged(images[:LARGE], out[:LARGE]).items()),
        mean(MODEL, "novel concepts: PixCorr", metrics.pixcorr(other, through(model, other)[0])),
        mean(MODEL, "standard deviation of scaled latents", latents.std(axis=(1, 2, 3))),
    ]
    return rows, {"images": images[:200], "reconstructed": out[:200]}


def through(model: vision.Latents, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures decoded from the mode of their latents (n, row, column, colour), and the latents, scaled."""
    latents = [model.encode(images[start : start + 64]) for start in range(0, len(images), 64)]
    return torch.cat([model.decode(z) for z in latents]).numpy(), torch.cat(latents).numpy()


def enlarged(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Both metrics after bilinear enlargement to 425 x 425, the size that the published values are computed at."""
    a, b = (resized(v, 425) for v in (a, b))
    return {"PixCorr": metrics.pixcorr(a, b), "SSIM": metrics.ssim(a, b)}
