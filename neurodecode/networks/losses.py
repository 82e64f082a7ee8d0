"""What a network is trained to make small, of standardised predictions and features (n, q)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np

from ..labels import listed, require_choice
from ._torch import torch

LOSSES = ("mse", "cosine", "infonce")
# The inverse temperature at the start and the largest, as in CLIP (Radford et al. 2021).
SCALE, LARGEST = 1 / 0.07, 100.0
# Inverse temperatures that validation chooses from.
SCALES = tuple(float(s) for s in np.logspace(-1, 2, 31))


def weighed(loss: str | Mapping[str, float]) -> dict[str, float]:
    """Return a loss or a mixture as weights by name.

    Raises
    ------
    ValueError
        Unknown names, no loss at all, or a weight that is not above 0.
    """
    weights = {loss: 1.0} if isinstance(loss, str) else {str(k): float(v) for k, v in dict(loss).items()}
    for name in weights:
        require_choice(name, LOSSES, what="loss")
    if not weights or not all(0 < w < float("inf") for w in weights.values()):
        raise ValueError(
            f"a mixture of losses needs weights above 0, got {weights}; choose of {listed(LOSSES)}"
        )
    return weights


def build(weights: Mapping[str, float]) -> Any:
    """Return a torch module of (predicted, true) to the weighted sum of losses; "infonce" learns a temperature.

    mse: mean squared difference. cosine: 1 - mean cosine. infonce: symmetric cross-entropy of cosines between all
    predictions and all features of a batch (van den Oord et al. 2018; Radford et al. 2021). Repeats of a stimulus stay
    among the answers, with the features of the right one: where m of them are predicted alike nothing drives them
    apart, and the least loss is log m instead of 0.
    """
    nn = torch().nn

    class Loss(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            if "infonce" in weights:
                self.log_scale = nn.Parameter(torch().tensor(log(SCALE)))

        def forward(self, predicted: Any, true: Any) -> Any:
            parts = {"mse": self.mse, "cosine": self.cosine, "infonce": self.infonce}
            return sum(weight * parts[name](predicted, true) for name, weight in weights.items())

        def mse(self, predicted: Any, true: Any) -> Any:
            return nn.functional.mse_loss(predicted, true)

        def cosine(self, predicted: Any, true: Any) -> Any:
            return 1 - nn.functional.cosine_similarity(predicted, true, dim=1).mean()

        def infonce(self, predicted: Any, true: Any) -> Any:
            return contrasted(predicted, true, [self.log_scale.exp()])[0]

        def bound(self) -> None:
            """Take a learned temperature back into its bounds, after every step: a clamp inside has no gradient."""
            if "infonce" in weights:
                with torch().no_grad():
                    self.log_scale.clamp_(max=log(LARGEST))

    return Loss()


def contrasted(predicted: Any, true: Any, scales: Iterable[Any]) -> list[Any]:
    """InfoNCE of a batch at each of several inverse temperatures."""
    nn = torch().nn
    a, b = (nn.functional.normalize(side, dim=1) for side in (predicted, true))
    alike = a @ b.T
    right = torch().arange(len(alike), device=alike.device)
    entropy = nn.functional.cross_entropy
    return [(entropy(s * alike, right) + entropy(s * alike.T, right)) / 2 for s in scales]


@dataclass
class Judged:
    """The loss of validation batches at the slope and temperature that suit them best, and that slope.

    A network that has begun to overfit says too much too surely, long before it stops getting better at telling
    samples apart. Predictions get their slope from the validation samples in the end, and no temperature, so an epoch
    is judged as if it had the best of both (for the temperature see Guo et al. 2017): "mse" is
    ``(sum t^2 - max(sum p t, 0)^2 / sum p^2) / n``, "infonce" the smallest mean over batches on a grid.
    """

    weights: Mapping[str, float]
    samples: int = 0
    numbers: int = 0
    both: float = 0.0
    own: float = 0.0
    true: float = 0.0
    away: float = 0.0
    entropy: np.ndarray = field(default_factory=lambda: np.zeros(len(SCALES)))

    def add(self, predicted: Any, true: Any) -> None:
        """Take a batch (n, q), (n, q)."""
        n = len(true)
        self.samples += n
        self.numbers += true.numel()
        self.both += _total(predicted * true)
        self.own += _total(predicted * predicted)
        self.true += _total(true * true)
        if "cosine" in self.weights:
            alike = torch().nn.functional.cosine_similarity(predicted, true, dim=1)
            self.away += n * (1 - float(alike.mean()))
        if "infonce" in self.weights:
            self.entropy += n * np.array([float(e) for e in contrasted(predicted, true, SCALES)])

    @property
    def slope(self) -> float:
        """The least-squares factor from predictions to what is true; 1 if all predictions are 0."""
        return self.both / self.own if self.own > 0 else 1.0

    @property
    def loss(self) -> float:
        """The weighted sum of losses."""
        parts = {
            "mse": (self.true - max(self.slope, 0.0) * max(self.both, 0.0)) / self.numbers,
            "cosine": self.away / self.samples,
            "infonce": float(self.entropy.min()) / self.samples,
        }
        return sum(weight * parts[name] for name, weight in self.weights.items())


def _total(values: Any) -> float:
    return float(values.sum(dim=1, dtype=torch().float64).sum())
