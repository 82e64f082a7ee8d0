"""The loss of stage 2: how far a picture's features lie from the decoded ones (MindDiffuser 2025, eqs. 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..labels import require_choice
from ..vision import Encoder, _backends

if TYPE_CHECKING:
    import torch

WEIGHTINGS = ("equal", "inverse_norm")
# The first public code's factors for its six layers, shallow to deep.
FACTORS = (1.5, 1.2, 1.0, 1.0, 1.0, 1.0)
SEMANTIC = "semantic"


@dataclass(frozen=True)
class Target:
    """What one layer should say: decoded ``values`` (n, p), and how far each dimension is trusted, ``weights`` (p).

    Boolean weights choose dimensions; numbers, 0 or more, weigh them.
    """

    values: torch.Tensor
    weights: torch.Tensor

    def error(self, found: torch.Tensor) -> torch.Tensor:
        """Mean over the trusted dimensions of weight times squared error, (n), of features (n, p)."""
        kept = self.weights > 0
        return ((found - self.values)[:, kept] ** 2 * self.weights[kept]).mean(dim=1)

    def norm(self) -> torch.Tensor:
        """Weighted norm (n) of what was decoded."""
        return (self.values**2 * self.weights).sum(dim=1).sqrt()


class StructureLoss:
    """Mean squared error over the trusted dimensions of every layer, a row a picture.

    ``L = sum_i w_i mean(M_i (Phi_i(x) - Zhat_i)^2) + gamma mean(M (Psi(x) - Psihat)^2)``, means over dimensions with
    weights M above 0.

    Parameters
    ----------
    encoder : vision.Encoder
        Gives Phi_i and Psi.
    targets : layer -> Target
    weighting : "equal" or "inverse_norm"
        ``w_i`` 1, or in proportion to ``1 / |Zhat_i|`` with sum 1, times 1.5, 1.2, 1, 1, 1, 1 from the shallowest
        layer on (the first public code).
    semantic : (layer, Target), optional
        Psi: a deep layer that holds the meaning in place, such as "penultimate".
    gamma : float
        Weight of the semantic term.
    """

    def __init__(
        self,
        encoder: Encoder,
        targets: Mapping[str, Target],
        *,
        weighting: str = "equal",
        semantic: tuple[str, Target] | None = None,
        gamma: float = 0.0,
    ) -> None:
        require_choice(weighting, WEIGHTINGS, what="weighting")
        self.encoder, self.targets = encoder, dict(targets)
        self.semantic, self.gamma = semantic, gamma
        self.weights = self._weights(weighting)

    @property
    def terms(self) -> list[str]:
        """Names of the columns that :meth:`apart` returns."""
        return [*self.targets, *([SEMANTIC] if self.semantic is not None else [])]

    def apart(self, images: torch.Tensor) -> torch.Tensor:
        """Return the error of every term (n, term), not yet weighted, of pictures (n, row, column, 3)."""
        torch = _backends.torch()

        names = dict.fromkeys([*self.targets, *([self.semantic[0]] if self.semantic else [])])
        found = self.encoder.encode(images, list(names), grad=torch.is_grad_enabled())
        terms = [*self.targets.items(), *([self.semantic] if self.semantic else [])]
        return torch.stack([target.error(found[layer].flatten(1)) for layer, target in terms], dim=1)

    def total(self, apart: torch.Tensor) -> torch.Tensor:
        """Sum up the terms with their weights: (n)."""
        return (apart * self.weights).sum(dim=1)

    def _weights(self, weighting: str) -> torch.Tensor:
        """Weights (n, term); a picture's follow from its own targets."""
        torch = _backends.torch()

        norms = torch.stack([t.norm() for t in self.targets.values()], dim=1)
        weights = torch.ones_like(norms)
        if weighting == "inverse_norm":
            weights = 1 / norms.clamp(min=1e-12)
            # By depth, in whatever order they were given; what is no block comes after all blocks.
            depth = torch.tensor([self.encoder.block(name) or torch.inf for name in self.targets])
            place = depth.argsort(stable=True).argsort()
            factors = weights.new_tensor([*FACTORS, *[1.0] * len(place)])[place.to(weights.device)]
            weights = weights / weights.sum(dim=1, keepdim=True) * factors
        if self.semantic is None:
            return weights
        return torch.cat([weights, weights.new_full((len(weights), 1), self.gamma)], dim=1)
