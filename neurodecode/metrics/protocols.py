"""Named protocols: which metrics, at which sizes, in which direction. Values of different protocols do not compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..labels import require_choice

LOW = ("PixCorr", "SSIM")
HIGHER, LOWER = "higher", "lower"


@dataclass(frozen=True)
class Protocol:
    """How reconstructions are compared with truths.

    Attributes
    ----------
    name : str
    pixels : side to which pictures are resized for PixCorr and SSIM; None: as they are.
    sizes : metric -> side to which pictures are resized for its network.
    distractors : see :func:`.identification.two_way`.
    layers : proxy metric -> layer of the encoder that is given to ``evaluate``.

    Examples
    --------
    >>> import neurodecode as nd
    >>> protocol = nd.metrics.Protocol("mine", pixels=64, sizes={"alexnet2": 224})
    >>> protocol.metrics
    ('PixCorr', 'SSIM', 'alexnet2')
    """

    name: str
    pixels: int | None
    sizes: Mapping[str, int] = field(default_factory=dict)
    distractors: str = "truth"
    layers: Mapping[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics, in the order of the published tables."""
        return (*LOW, *self.sizes, *self.layers)


_MINDEYE = {"Alex(2)": 256, "Alex(5)": 256, "Incep": 342, "CLIP": 224, "Eff": 255, "SwAV": 224}
_ALIKE = dict.fromkeys(_MINDEYE, 224)
PROTOCOLS = {
    # Scotti et al. 2023: truths are the distractors.
    "mindeye": Protocol("mindeye", 425, _MINDEYE),
    # Ozcelik & VanRullen 2023.
    "brain-diffuser": Protocol("brain-diffuser", 425, _ALIKE),
    # Takagi & Nishimoto 2023: other reconstructions are the distractors.
    "takagi": Protocol("takagi", 425, _ALIKE, distractors="reconstruction"),
    # No published networks: stand-ins from the lab's miniature CLIP, under names that say so.
    "lab": Protocol(
        "lab",
        None,
        layers={
            "proxy Linear-2": "Linear-2",
            "proxy Linear-6": "Linear-6",
            "proxy final": "final",
        },
    ),
}
DISTANCES = ("Eff", "SwAV")


def named(protocol: str | Protocol) -> Protocol:
    """Return the protocol of that name.

    Raises
    ------
    ValueError
        For an unknown name, listing those there are.
    """
    if isinstance(protocol, Protocol):
        return protocol
    require_choice(protocol, tuple(PROTOCOLS), what="protocol")
    return PROTOCOLS[protocol]


def better(metric: str) -> str:
    """Say whether a higher or a lower value is better."""
    return LOWER if metric in DISTANCES else HIGHER


def identifies(metric: str) -> bool:
    """Say whether a metric is two-way identification, in which every picture is compared with all the others."""
    return metric not in (*LOW, *DISTANCES)


def chance(metric: str) -> float:
    """Return what unrelated pictures reach where that is known: .5 for two-way identification; NaN for the rest."""
    return 0.5 if identifies(metric) else float("nan")


def units(metric: str) -> str:
    """Return what a metric's numbers are, for axes."""
    known = {"PixCorr": "Pearson r", "SSIM": "SSIM", **dict.fromkeys(DISTANCES, "1 - Pearson r")}
    return known.get(metric, "two-way accuracy")
