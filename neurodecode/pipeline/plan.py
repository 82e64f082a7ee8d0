"""What is decoded, how far it is trusted, and how stage 2 descends."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import inputs, reconstruction
from ..labels import require_choice

# The shallow half of the method's six layers, where the miniature CLIP keeps the layout.
LAYERS = ("Linear-2", "Linear-4", "Linear-6")
# Responses that each dimension is decoded from, as the method takes for its encoder's layers.
N_VOXELS = 350
# How dimensions of the layers are trusted.
TRUST = ("precision", "equal")
# c, which holds the meaning, moves a tenth as far as z: its values lie closer together, and colours and objects drift.
SETTINGS = reconstruction.Settings(steps=30, rate={"z": 0.25, "c": 0.02}, decay=0.96, starts=8)


@dataclass(frozen=True)
class Plan:
    """What is decoded and how stage 2 descends.

    The values are the lab's. They were chosen on the first 60 test stimuli of subject 1 (fMRI, "full", seed 0): report
    other ones. The paper takes six layers, a quarter of their dimensions, all of these alike, a small gamma, and 60
    steps of .01.

    Attributes
    ----------
    layers : of the encoder, decoded for the structural loss; none: stage 1 only, by :func:`two_stage` and its
        ``imagine``.
    keep : share of each layer's dimensions that are trusted, chosen by :func:`neurodecode.selection.best_features`.
    trust : "precision" weighs each by how well it is decoded, and takes the ridge's prior out of its target (see
        :func:`neurodecode.reconstruction.precision`); "equal" does neither, as the paper.
    latents : decoded for stage 1; one that is left out is the mean of training.
    meaning : a deep layer, decoded for the semantic term; gamma : its weight.
    unshrunk : restore the distance from the mean of what is decoded and not calibrated by ``trust``, see
        :class:`neurodecode.reconstruction.Unshrunk`.
    n_voxels : responses (in M/EEG: channels at a time) that each dimension is decoded from, those that correlate most
        with it on training data; None: all.
    regions : names or groups ("LVC") whose voxels are used; all by default.
    oracle : the layers' true features take the place of decoded ones, every dimension weighed by its variance. It shows
        how far the machinery goes; it is no reconstruction from a brain.
    settings : of stage 2; a latent that a mapping of rates does not name moves as "z" does.
    batch : pictures at a time; seed : of the noise.
    """

    layers: tuple[str, ...] = LAYERS
    keep: float = 1.0
    trust: str = "precision"
    latents: tuple[str, ...] = ("c", "z")
    meaning: str = "final"
    gamma: float = 0.2
    unshrunk: bool = True
    n_voxels: int | None = N_VOXELS
    regions: str | None = None
    oracle: bool = False
    settings: reconstruction.Settings = SETTINGS
    batch: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice(self.trust, TRUST, what="trust")

    def descent(self, latents: Iterable[str]) -> reconstruction.Settings:
        """Return the settings of stage 2 with a rate for every latent: that of z for those that have none.

        Raises
        ------
        ValueError
            If there is none of z either, and the latent is moved.
        """
        rate, names = self.settings.rate, tuple(latents)
        if not isinstance(rate, Mapping):
            return self.settings
        told = {k: rate[k if k in rate else "z"] for k in names if k in rate or "z" in rate}
        for name in names:
            if name not in told and name in (self.settings.move or names):
                self.settings.rate_of(name)
        return replace(self.settings, rate=told)

    @property
    def judged(self) -> tuple[str, ...]:
        """Layers that enter the loss."""
        return tuple(dict.fromkeys([*self.layers, *([self.meaning] if self.gamma > 0 else [])]))


def planned(*, steps: int | None = None, **given: Any) -> Plan:
    """Return a plan with other values where they are given (None: the default)."""
    plan = replace(Plan(), **{k: v for k, v in given.items() if v is not None})
    return plan if steps is None else replace(plan, settings=replace(plan.settings, steps=steps))


def arguments(parser: argparse.ArgumentParser, *, n: int, steps: int | None) -> argparse.Namespace:
    """Parse what the analyses of reconstructions on the lab share; folders that it names are made, warnings noted."""
    parser.add_argument("--modality", choices=inputs.MODALITIES, default="fmri")
    parser.add_argument("--subjects", type=int, default=1)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=n, help="test pictures a subject")
    parser.add_argument("--steps", type=int, default=steps, help="iterations of stage 2")
    parser.add_argument("--resume", type=Path, help="folder for finished pictures, from which a run goes on")
    args = inputs.parsed(parser)
    if args.resume is not None:
        args.resume.mkdir(parents=True, exist_ok=True)
    return args
