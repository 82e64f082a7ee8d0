"""What a generator is: named latents in, pictures out, differentiable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ...vision import _backends

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Generator(Protocol):
    """Anything that makes pictures of latents so that gradients flow back to them.

    Attributes
    ----------
    name : str
    latents : mapping of name to shape
        What one picture is made of, such as ``{"z": (4, 64, 64), "c": (15, 768)}``. A decoder gives each of them, or
        the generator draws it (``free``).
    free : names of latents that are drawn where no decoder gives them.
    """

    name: str
    latents: Mapping[str, tuple[int, ...]]
    free: tuple[str, ...]

    @property
    def weights(self) -> str:
        """Hash of all that decides a picture beside latents and seed."""
        ...

    @property
    def device(self) -> Any:
        """Where latents have to be."""
        ...

    def arrange(self, name: str, features: torch.Tensor) -> torch.Tensor:
        """Turn decoded features (n, p) into one latent (n, ...)."""
        ...

    def draw(self, seeds: Sequence[int]) -> dict[str, torch.Tensor]:
        """Draw what is random, a row a seed: the free latents and the noise. A row follows from its own seed alone."""
        ...

    def __call__(
        self, latents: Mapping[str, torch.Tensor], random: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Make pictures (n, row, column, 3), values 0-1."""
        ...


def normal(seeds: Sequence[int], shape: tuple[int, ...], *, device: Any, stream: int = 0) -> torch.Tensor:
    """Draw standard normal numbers (n, ...), each row from its own seed, on the CPU so that devices agree."""
    torch = _backends.torch()
    rows = [
        torch.randn(shape, generator=torch.Generator().manual_seed((seed + 0x9E3779B9 * stream) % 2**63))
        for seed in seeds
    ]
    return torch.stack(rows).to(device)


def shaped(name: str, features: torch.Tensor, shape: tuple[int, ...], *, who: str) -> torch.Tensor:
    """Fold features (n, p) to (n, ...).

    Raises
    ------
    ValueError
        If the number of features is another.
    """
    wanted = 1
    for side in shape:
        wanted *= side
    if features.ndim != 2 or features.shape[1] != wanted:
        raise ValueError(
            f"latent {name!r} of {who} takes {wanted} features ({' x '.join(map(str, shape))}), got "
            f"{tuple(features.shape)}; the decoder of {name!r} has to be fitted on this generator's own latents"
        )
    return features.reshape(len(features), *shape)
