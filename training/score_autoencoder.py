"""Score the autoencoder: how like a held-out picture its way through the latent leaves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from score_table import Score, mean

from neurodecode import vision
from neurodecode.datasets.lab import icons, pictures

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
        mean(MODEL, "PixCorr", pixel_correlation(images, out), wanted=WANTED["PixCorr"]),
        mean(MODEL, "SSIM", similarity(images, out), wanted=WANTED["SSIM"]),
        *(mean(MODEL, f"{k} at 425 x 425", v) for k, v in enlarged(images[:LARGE], out[:LARGE]).items()),
        mean(MODEL, "novel concepts: PixCorr", pixel_correlation(other, through(model, other)[0])),
        mean(MODEL, "standard deviation of scaled latents", latents.std(axis=(1, 2, 3))),
    ]
    return rows, {"images": images[:200], "reconstructed": out[:200]}


def through(model: vision.Latents, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures decoded from the mode of their latents (n, row, column, colour), and the latents, scaled."""
    latents = [model.encode(images[start : start + 64]) for start in range(0, len(images), 64)]
    return torch.cat([model.decode(z) for z in latents]).numpy(), torch.cat(latents).numpy()


def pixel_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson r of all values of each picture."""
    a, b = (v.reshape(len(v), -1) - v.reshape(len(v), -1).mean(axis=1, keepdims=True) for v in (a, b))
    return (a * b).sum(axis=1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-12)


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of each picture in grey, Gaussian window of sigma 1.5, data range 1 (Wang et al. 2004)."""
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return np.array(
        [structural_similarity(rgb2gray(x), rgb2gray(y), **options) for x, y in zip(a, b, strict=True)]
    )


def enlarged(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Both metrics after bilinear enlargement to 425 x 425, the size that the published values are computed at."""
    a, b = (
        torch.nn.functional.interpolate(
            torch.from_numpy(v).permute(0, 3, 1, 2), size=(425, 425), mode="bilinear", align_corners=False
        )
        .permute(0, 2, 3, 1)
        .numpy()
        for v in (a, b)
    )
    return {"PixCorr": pixel_correlation(a, b), "SSIM": similarity(a, b)}
