"""The published systems that stage 2 has been plugged into: which generator, which latents, which step, how many.

Rates and steps are those of MindDiffuser (2025), Tables 3 and 4. What each system decodes is up to its own decoders; a
recipe only says what is moved, and how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .descent import Settings


@dataclass(frozen=True)
class Recipe:
    """How one system is refined.

    Attributes
    ----------
    source : author, year.
    generator : what makes its pictures, and the adapter for it.
    adapter : "diffusion", "diffusion with image tokens", "diffusion with an IP-Adapter", or "module".
    latents : what is moved.
    rate, steps : of Adam.
    note : what else to know.
    """

    source: str
    generator: str
    adapter: str
    latents: tuple[str, ...]
    rate: float
    steps: int
    note: str = ""

    def settings(self) -> Settings:
        """Return the settings of stage 2."""
        return Settings(steps=self.steps, rate=self.rate, move=self.latents)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "MindDiffuser": Recipe(
            "MindDiffuser 2025", "Stable Diffusion 1.4", "diffusion", ("z", "c"), 1e-2, 60
        ),
        "Takagi": Recipe(
            "Takagi & Nishimoto 2023", "Stable Diffusion 1.4", "diffusion", ("z", "c"), 1e-2, 30
        ),
        "Brain-Diffuser": Recipe(
            "Ozcelik & VanRullen 2023",
            "Versatile Diffusion",
            "diffusion with image tokens",
            ("z", "c", "image"),
            1e-4,
            30,
        ),
        "MindEye": Recipe(
            "Scotti et al. 2023",
            "Versatile Diffusion",
            "diffusion with image tokens",
            ("z", "c", "image"),
            1e-4,
            6,
        ),
        "Mind-Reader": Recipe("Lin et al. 2022", "a style-based GAN", "module", ("w",), 1e-3, 4),
        "Gu": Recipe(
            "Gu et al. 2022",
            "an instance-conditional GAN",
            "module",
            ("noise", "instance"),
            5e-4,
            60,
            "noise is drawn where no decoder gives it",
        ),
        "NICE": Recipe("Song et al. 2024", "Stable Diffusion", "diffusion", ("z", "c"), 1e-2, 30),
        "EEGNetV4": Recipe("Lawhern et al. 2018", "Stable Diffusion", "diffusion", ("z", "c"), 1e-2, 30),
        "ATM": Recipe(
            "Li et al. 2024",
            "Stable Diffusion with an IP-Adapter",
            "diffusion with an IP-Adapter",
            ("z", "c", "image"),
            1e-2,
            30,
            "with Stable unCLIP's U-Net instead, the same latents",
        ),
        "Benchetrit": Recipe(
            "Benchetrit et al. 2024",
            "Versatile Diffusion",
            "diffusion with image tokens",
            ("z", "c", "image"),
            1e-4,
            30,
            "rate and steps are Brain-Diffuser's: none are published for it",
        ),
    }
)
