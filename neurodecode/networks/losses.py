"""What a network is trained to make small, of standardised predictions and features (n, q)."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

from ..labels import listed, require_choice
from ._torch import torch

LOSSES = ("mse", "cosine", "infonce")
# The inverse temperature at the start and the largest, as in CLIP (Radford et al. 2021).
SCALE, LARGEST = 1 / 0.07, 100.0


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
    """Return a torch module of (predicted, true, row) to the weighted sum of losses; "infonce" learns a temperature.

    mse: mean squared difference. cosine: 1 - mean cosine. infonce: symmetric cross-entropy of cosines between all
    predictions and all features of a batch (van den Oord et al. 2018; Radford et al. 2021), each right answer sharing 1
    where several samples of the batch have the same ``row`` of features: repeats of a stimulus are no distractors.
    """
    nn = torch().nn

    class Loss(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            if "infonce" in weights:
                self.log_scale = nn.Parameter(torch().tensor(log(SCALE)))

        def forward(self, predicted: Any, true: Any, row: Any) -> Any:
            parts = {"mse": self.mse, "cosine": self.cosine, "infonce": self.infonce}
            return sum(weight * parts[name](predicted, true, row) for name, weight in weights.items())

        def mse(self, predicted: Any, true: Any, _: Any) -> Any:
            return nn.functional.mse_loss(predicted, true)

        def cosine(self, predicted: Any, true: Any, _: Any) -> Any:
            return 1 - nn.functional.cosine_similarity(predicted, true, dim=1).mean()

        def infonce(self, predicted: Any, true: Any, row: Any) -> Any:
            a, b = (nn.functional.normalize(side, dim=1) for side in (predicted, true))
            logits = self.log_scale.exp().clamp(max=LARGEST) * (a @ b.T)
            same = (row[:, None] == row[None, :]).to(logits.dtype)
            right = same / same.sum(dim=1, keepdim=True)
            entropy = nn.functional.cross_entropy
            return (entropy(logits, right) + entropy(logits.T, right)) / 2

    return Loss()
