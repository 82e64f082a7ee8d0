"""Generators of one step: an autoencoder's decoder, pixels themselves, and any torch module (GANs and others)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...store import data_hash
from ...vision import Latents, _backends
from ...vision._files import weights_hash
from .base import normal, shaped

if TYPE_CHECKING:
    import torch


class Autoencoder:
    """The decoder of an image autoencoder alone (AutoencoderKL, AutoencoderTiny): latent z to picture.

    A baseline: no prior but the decoder's own.

    Parameters
    ----------
    latents : vision.Latents
        From :func:`neurodecode.vision.load_latents`.
    size : (int, int)
        Rows and columns of the pictures.
    """

    free: tuple[str, ...] = ()

    def __init__(self, latents: Latents, *, size: tuple[int, int]) -> None:
        self.autoencoder = latents
        self.name = f"autoencoder {latents.name}"
        self.latents: Mapping[str, tuple[int, ...]] = {"z": latents.shape(*size)}

    @property
    def weights(self) -> str:
        """Hash of the autoencoder's weights."""
        return self.autoencoder.weights

    @property
    def device(self) -> Any:
        """Where the weights are."""
        return self.autoencoder.device

    def arrange(self, name: str, features: torch.Tensor) -> torch.Tensor:
        """Fold features (n, p) to (n, plane, row, column)."""
        return shaped(name, features, self.latents[name], who=self.name)

    def draw(self, seeds: Sequence[int]) -> dict[str, torch.Tensor]:
        """Nothing is random here."""
        return {}

    def __call__(
        self, latents: Mapping[str, torch.Tensor], random: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Decode (n, row, column, 3)."""
        return self.autoencoder.decode(latents["z"], grad=latents["z"].requires_grad)


class Pixels:
    """Pictures themselves, through a sigmoid that keeps them in 0-1: the baseline without any prior.

    The latent is called "pixels"; where no decoder gives it, pictures begin as grey.

    Parameters
    ----------
    size : (int, int)
        Rows and columns.
    device : str
        torch's name of where it runs.
    """

    free: tuple[str, ...] = ("pixels",)
    name = "pixels"
    weights = "none"

    def __init__(self, *, size: tuple[int, int], device: str = "cpu") -> None:
        self.latents: Mapping[str, tuple[int, ...]] = {"pixels": (*size, 3)}
        self.device = device

    def arrange(self, name: str, features: torch.Tensor) -> torch.Tensor:
        """Turn pixels (n, p), 0-1, into their logits (n, row, column, 3)."""
        return shaped(name, features, self.latents[name], who=self.name).clamp(1e-3, 1 - 1e-3).logit()

    def draw(self, seeds: Sequence[int]) -> dict[str, torch.Tensor]:
        """Draw grey with a little noise: where no decoder gives pixels, they begin there."""
        return {"pixels": 0.1 * normal(seeds, self.latents["pixels"], device=self.device)}

    def __call__(
        self, latents: Mapping[str, torch.Tensor], random: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return pictures (n, row, column, 3)."""
        return latents["pixels"].sigmoid()


class Module:
    """Any torch module from named latents to pictures: class- and instance-conditional or style-based GANs and others.

    Parameters
    ----------
    module : callable
        ``module(**latents)`` returns pictures (n, 3, row, column) in ``values``. A torch module is frozen; it must
        treat every row on its own (batch normalisation in evaluation mode does).
    latents : mapping of name to shape
    free : names of latents
        Drawn from a standard normal where no decoder gives them, such as a GAN's noise.
    values : (float, float)
        What black and white are in the module's output; values beyond are cut off.
    name : str
        What results call it.
    device : str
        torch's name of where it runs.

    Examples
    --------
    >>> import torch
    >>> paint = lambda w: torch.tanh(w)[:, :, None, None].expand(-1, -1, 8, 8)
    >>> generator = Module(paint, latents={"w": (3,)}, name="paint")
    >>> generator({"w": torch.zeros(2, 3)}, {}).shape
    torch.Size([2, 8, 8, 3])
    """

    def __init__(
        self,
        module: Callable[..., torch.Tensor],
        *,
        latents: Mapping[str, tuple[int, ...]],
        free: Sequence[str] = (),
        values: tuple[float, float] = (-1.0, 1.0),
        name: str = "module",
        device: str = "cpu",
    ) -> None:
        torch = _backends.torch()
        unknown = [f for f in free if f not in latents]
        if unknown:
            raise ValueError(
                f"free latents {unknown} are not among the latents {list(latents)}; name some of these"
            )
        self.module = module
        if isinstance(module, torch.nn.Module):
            self.module = module.eval().requires_grad_(False).to(device)
        self.latents = {k: tuple(v) for k, v in latents.items()}
        self.free = tuple(free)
        self.name, self.device, self.values = name, device, values

    @property
    def weights(self) -> str:
        """Hash of a torch module's weights and of what black and white are; of another callable only its name."""
        torch = _backends.torch()
        if isinstance(self.module, torch.nn.Module):
            own = weights_hash(self.module)
        else:
            own = str(getattr(self.module, "__qualname__", type(self.module).__name__))
        return data_hash([own, repr(self.values)])

    def arrange(self, name: str, features: torch.Tensor) -> torch.Tensor:
        """Fold features (n, p) to the latent's shape."""
        return shaped(name, features, self.latents[name], who=self.name)

    def draw(self, seeds: Sequence[int]) -> dict[str, torch.Tensor]:
        """Draw the free latents from a standard normal."""
        order = {name: i for i, name in enumerate(sorted(self.free))}
        return {k: normal(seeds, self.latents[k], device=self.device, stream=order[k]) for k in self.free}

    def __call__(
        self, latents: Mapping[str, torch.Tensor], random: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Make pictures (n, row, column, 3)."""
        low, high = self.values
        given = {k: latents[k] if k in latents else random[k] for k in self.latents}
        pictures = (self.module(**given) - low) / (high - low)
        return pictures.clamp(0, 1).permute(0, 2, 3, 1)
