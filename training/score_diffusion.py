"""Score the diffusion model: pictures from captions alone, read by the referee."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from score_autoencoder import through
from score_referee import Reading, distance, group, read
from score_table import Score, mean, proportion

from neurodecode import vision
from neurodecode.datasets.lab import captions, icons, pictures
from neurodecode.vision._backends import diffusers

MODEL = "diffusion"
PICTURES = 400
STEPS = 25
# The first is what the wanted levels are asked of; 5 is the method's own.
GUIDANCE = (5.0, 2.5)
WORDING = 0
BATCH = 50
CONCEPT_WANTED, COLOUR_WANTED, CENTRE_WANTED = 0.5, 0.8, 0.6
NEAR = 15.0  # % of the width


def score(folder: Path, *, seed: int, share: float) -> tuple[list[Score], dict]:
    """Score the pipeline in ``folder``; also its pictures, at the first guidance."""
    rng = np.random.default_rng([seed, 4])
    concepts = np.arange(max(20, round(PICTURES * share))) % len(icons.concepts())
    scenes = pictures.draw(
        concepts if share == 1 else rng.permutation(200)[concepts], rng, combinations="held-out"
    )
    texts = captions.write(scenes, WORDING)
    pipe = pipeline(folder)
    made = {g: generate(pipe, texts, guidance=g, seed=seed) for g in GUIDANCE}
    rows = []
    for guidance in GUIDANCE:
        rows += judged(
            scenes, read(made[guidance]), f"guidance {guidance:g}: ", wanted=guidance == GUIDANCE[0]
        )
    source = pictures.render(scenes)
    rows += ceiling(scenes, source, through(vision.load_latents(folder / "diffusion"), source)[0])
    first = made[GUIDANCE[0]]
    named = read(first).concepts[:, 0]
    return rows, {
        "captions": texts,
        "sources": source,
        "generated": first,
        "named": [icons.concepts()[c] for c in named],
        "by_group": by_group(scenes, named),
    }


def pipeline(folder: Path):
    """Load diffusers' StableDiffusionPipeline from ``folder``, in float32."""
    pipe = diffusers().StableDiffusionPipeline.from_pretrained(
        folder / "diffusion", safety_checker=None, low_cpu_mem_usage=False
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.text_encoder.float()  # transformers keeps the float16 of the file, diffusers does not
    return pipe


def generate(pipe, texts: list[str], *, guidance: float, seed: int) -> np.ndarray:
    """Pictures (n, row, column, colour) from captions; picture i follows from its caption and ``seed + i``."""
    out = []
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        noise = [torch.Generator().manual_seed(seed + start + i) for i in range(len(part))]
        out.append(
            pipe(
                part,
                num_inference_steps=STEPS,
                guidance_scale=guidance,
                generator=noise,
                output_type="np",
            ).images
        )
        print(f"  guidance {guidance:g}: {start + len(part)} of {len(texts)} pictures", flush=True)
    return np.concatenate(out).astype(np.float32)


def judged(scenes: pictures.Scenes, reading: Reading, label: str, *, wanted: bool) -> list[Score]:
    """What the referee reads against what the caption said."""
    right = reading.concepts == scenes.concept[:, None]
    away, others = distance(reading, scenes), shuffled(scenes, reading)
    kin = group(reading.concepts[:, 0]) == group(scenes.concept)
    return [
        proportion(
            MODEL,
            f"{label}concept among 200",
            right[:, 0],
            chance=1 / 200,
            wanted=CONCEPT_WANTED if wanted else None,
        ),
        proportion(MODEL, f"{label}concept among the first five", right.any(axis=1), chance=5 / 200),
        proportion(MODEL, f"{label}group", kin, chance=0.1),
        proportion(
            MODEL,
            f"{label}colour",
            reading.colour == scenes.colour,
            chance=0.1,
            wanted=COLOUR_WANTED if wanted else None,
        ),
        proportion(
            MODEL,
            f"{label}centre within {NEAR:g} % of the width",
            away <= NEAR,
            chance=float((others <= NEAR).mean()),
            wanted=CENTRE_WANTED if wanted else None,
        ),
        mean(
            MODEL,
            f"{label}error of the centre",
            away,
            units="% of the width",
            chance=float(others.mean()),
            lower=True,
        ),
    ]


def shuffled(scenes: pictures.Scenes, reading: Reading, *, draws: int = 50) -> np.ndarray:
    """Distances (draws, n) of the centres read from those that other captions' pictures have."""
    rng = np.random.default_rng(0)
    return np.stack([distance(reading, scenes.take(rng.permutation(len(scenes)))) for _ in range(draws)])


def ceiling(scenes: pictures.Scenes, source: np.ndarray, decoded: np.ndarray) -> list[Score]:
    """The referee on the very pictures that the captions describe, and on them through the autoencoder."""
    return [
        proportion(MODEL, f"for comparison, {label}: concept", read(images).concepts[:, 0] == scenes.concept)
        for label, images in (
            ("the described picture", source),
            ("the same through the autoencoder", decoded),
        )
    ]


def by_group(scenes: pictures.Scenes, named: np.ndarray) -> dict[str, float]:
    """Share of rightly named concepts in each group."""
    groups = group(scenes.concept)
    hit = named == scenes.concept
    return {g: float(hit[groups == i].mean()) for i, g in enumerate(icons.GROUPS) if (groups == i).any()}
