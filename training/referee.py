"""Train the referee: concept and colour by cross-entropy, place, size and angle by squared error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from export import half
from loop import Settings, State
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, mse_loss

from neurodecode.datasets.lab import icons, pictures
from neurodecode.datasets.lab.referee import network

SETTINGS = Settings(batch=64, rate=2e-3, steady=60_000, decay=0.02, average=0.998, bfloat16=False)
PICTURES = 400_000
WEIGHTS = "model.safetensors"
build = network


def loss(
    model: torch.nn.Module, rng: np.random.Generator, seen: int
) -> tuple[torch.Tensor, dict[str, float]]:
    scenes = pictures.draw(rng.integers(0, len(icons.concepts()), SETTINGS.batch), rng, combinations="known")
    # Reconstructions are blurred and noisy: so are some of the pictures it learns from.
    images = pictures.render(scenes)
    images[::4] += rng.normal(0, 0.05, images[::4].shape).astype(np.float32)
    device = next(model.parameters()).device
    out = model(torch.from_numpy(images).permute(0, 3, 1, 2).to(device))
    truth = {name: values.to(device) for name, values in targets(scenes).items()}
    n, k = len(icons.concepts()), len(pictures.COLOURS)
    concept = cross_entropy(out[:, :n], truth["concept"])
    colour = cross_entropy(out[:, n : n + k], truth["colour"])
    where = mse_loss(out[:, n + k :], truth["where"])
    hit = (out[:, :n].argmax(dim=1) == truth["concept"]).float().mean()
    return concept + colour + 10 * where, {"concept": float(hit), "where": float(where.detach())}


def targets(scenes: pictures.Scenes) -> dict[str, torch.Tensor]:
    turn = np.deg2rad(scenes.angle)
    where = np.stack([scenes.x, scenes.y, scenes.size, np.sin(turn), np.cos(turn)], axis=1)
    return {
        "concept": torch.from_numpy(scenes.concept.astype(np.int64)),
        "colour": torch.from_numpy(scenes.colour.astype(np.int64)),
        "where": torch.from_numpy(where.astype(np.float32)),
    }


def export(state: State, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Batch statistics follow the averaged weights only after a pass over pictures.
    averaged = state.averaged.cpu()
    settle(averaged)
    save_file(half(averaged.state_dict()), folder / "model.safetensors")


def settle(model: torch.nn.Module, *, batches: int = 20) -> None:
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    rng = np.random.default_rng(12345)
    with torch.no_grad():
        for _ in range(batches):
            scenes = pictures.draw(rng.integers(0, 200, SETTINGS.batch), rng, combinations="known")
            model(torch.from_numpy(pictures.render(scenes)).permute(0, 3, 1, 2))
    model.eval()
