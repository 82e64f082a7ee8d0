"""Figures of the scores: what CLIP's blocks tell, the autoencoder's pictures, the diffusion model's contact sheet."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import neurodecode as nd
from neurodecode.plot.look import layer_colours

ROWS, COLUMNS = 8, 5


def clip(extra: dict[str, Any], out: Path) -> None:
    """What ridge reads out of every block: place and size on the left, concept and colour on the right."""
    curves = extra["readouts"]
    with nd.plot.style():
        figure, axes = plt.subplots(1, 2, figsize=(nd.plot.PAGE, 2.6), sharex=True)
        panels = ((("centre", "size"), "R²", 0.0), (("colour", "concept"), "Accuracy", 1 / 200))
        for ax, (names, label, chance) in zip(axes, panels, strict=True):
            for name, colour in zip(names, layer_colours(("structure", "c")), strict=True):
                value, low, high = np.transpose(curves[name])
                ax.fill_between(curves["block"], low, high, color=colour, alpha=0.2, linewidth=0)
                ax.plot(curves["block"], value, "o-", color=colour, markersize=3, label=name)
            ax.axhline(chance, color="0.5", linestyle="--", linewidth=0.8)
            ax.set(
                xlabel="Block of the image tower", ylabel=label, ylim=(-0.05, 1.05), xticks=curves["block"]
            )
            ax.legend(loc="center right", frameon=False)
        figure.suptitle(
            "Read out by ridge from all tokens of a block (simulated pictures, colours held out)",
            x=0.01,
            ha="left",
        )
    nd.plot.save(figure, out / "clip_readouts")
    plt.close(figure)


def autoencoder(extra: dict[str, Any], out: Path, *, n: int = 12) -> None:
    """The best, the middle and the worst of 200 pictures: above as they were, below as they came back."""
    error = ((extra["images"] - extra["reconstructed"]) ** 2).mean(axis=(1, 2, 3))
    order = np.argsort(error)[np.linspace(0, len(error) - 1, n).round().astype(int)]
    with nd.plot.style():
        figure, axes = plt.subplots(2, n, figsize=(nd.plot.PAGE, 1.6))
        for column, i in enumerate(order):
            for ax, images in zip(axes[:, column], (extra["images"], extra["reconstructed"]), strict=True):
                _picture(ax, images[i])
        axes[0, 0].set_ylabel("picture", fontsize=6)
        axes[1, 0].set_ylabel("decoded", fontsize=6)
        figure.suptitle(
            "Through the autoencoder, from the least error to the largest (simulated pictures)",
            x=0.01,
            ha="left",
        )
    nd.plot.save(figure, out / "autoencoder")
    plt.close(figure)


def diffusion(extra: dict[str, Any], out: Path) -> None:
    """Pictures in equal steps, not chosen: left what the caption describes, right what was made from the caption."""
    every = len(extra["captions"])
    shown = np.linspace(0, every - 1, min(every, ROWS * COLUMNS)).round().astype(int)
    with nd.plot.style():
        rows = -(-len(shown) // COLUMNS)
        figure, axes = plt.subplots(rows, COLUMNS, figsize=(nd.plot.PAGE, 0.7 + rows * 0.95))
        for ax in axes.flat:
            ax.set_axis_off()
        for ax, i in zip(axes.flat, shown, strict=False):
            gap = np.ones((64, 4, 3), dtype=np.float32)
            ax.imshow(np.concatenate([extra["sources"][i], gap, extra["generated"][i]], axis=1))
            words = textwrap.fill(extra["captions"][i], 34)
            ax.set_title(words, fontsize=4.5, y=-0.02, va="top", pad=0)
        figure.suptitle(
            "Left: the picture that a caption describes. Right: made from the caption alone.\n"
            f"{len(shown)} of {every} in equal steps, not chosen; simulated pictures, colours held out from training.",
            x=0.01,
            ha="left",
        )
    nd.plot.save(figure, out / "diffusion")
    plt.close(figure)


def _picture(ax: Any, image: np.ndarray) -> None:
    ax.imshow(np.clip(image, 0, 1))
    ax.set(xticks=[], yticks=[])


DRAWERS = {"clip": clip, "autoencoder": autoencoder, "diffusion": diffusion}
