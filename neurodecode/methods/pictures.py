"""Sentences of features, reconstructions and their metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .made import Made, call
from .words import count, number, quoted, sentence, together

PROTOCOLS = {
    "mindeye": "Scotti et al. 2023",
    "brain-diffuser": "Ozcelik & VanRullen 2023",
    "takagi": "Takagi & Nishimoto 2023",
}


def _generated(made: Made) -> list[str]:
    latents = made.get("latents")
    generator = made.get("generator")
    of = f" ({together(latents)})" if isinstance(latents, Mapping) and latents else ""
    return [
        sentence(
            f"from decoded latents{of}, the generator",
            f" {quoted(generator)}" if generator else None,
            " made a first picture of",
            f" {count(made.sizes['sample'], 'sample')}" if "sample" in made.sizes else " each sample",
        )
    ]


def _refined(made: Made) -> list[str]:
    encoder, weighting, gamma = made.get("encoder"), made.get("weighting"), made.get("gamma")
    _, settings = call(made.get("settings"))
    weights = {"equal": "weighed alike", "inverse_norm": "weighed by the inverse of their norm"}
    alike = weights.get(str(weighting))
    return [
        *_generated(made),
        sentence(
            "its latents were then moved by gradients through the generator until the picture's features",
            f" in the encoder {quoted(encoder)}" if encoder else None,
            " met the decoded ones (MindDiffuser 2025)",
            f"; layers were {alike}" if alike else None,
            f"; a semantic term had the weight {number(gamma)}" if gamma else None,
        ),
        _descent(settings),
    ]


def _descent(settings: Mapping[str, Any]) -> str:
    steps, rate = settings.get("steps"), settings.get("rate")
    if steps is None:
        return ""
    if isinstance(rate, Mapping):
        rate = together(f"{number(v)} for {k}" for k, v in rate.items())
    starts = settings.get("starts")
    return sentence(
        f"this took at most {count(steps, 'step')} of Adam (Kingma & Ba 2015)",
        f" with the step size {number(rate)}" if rate is not None else None,
        f", from the best of {number(starts)} first pictures" if starts not in (None, 1) else None,
    )


def _evaluated(made: Made) -> list[str]:
    protocol, metrics, n = made.get("protocol"), made.get("metrics"), made.attrs.get("n")
    source = PROTOCOLS.get(str(protocol))
    rivals = {"truth": "the other true pictures", "reconstruction": "the other reconstructions"}
    against = rivals.get(str(made.attrs.get("distractors")))
    return [
        sentence(
            f"{count(n, 'reconstruction')}" if n is not None else "reconstructions",
            " were compared with the true pictures",
            f" by {together(metrics)}" if isinstance(metrics, list) and metrics else None,
            f", under the protocol {quoted(protocol)}" if protocol else None,
            f" ({source})" if source else None,
            f"; in identification, rivals were {against}" if against else None,
        )
    ]


def _centres(made: Made) -> list[str]:
    here = f" ({count(made.sizes['stimulus'], 'concept')})" if "stimulus" in made.sizes else ""
    return [f"Features were averaged over the pictures of each concept{here}."]


def _features(made: Made) -> list[str]:
    what = {
        "vision.extract_features": "features of pictures",
        "vision.latent_features": "latents of pictures",
        "vision.text_features": "features of captions",
    }[made.what]
    layers, model = made.get("layers"), made.get("model")
    return [
        sentence(
            what,
            f" ({count(made.sizes['stimulus'], 'stimulus')})" if "stimulus" in made.sizes else None,
            " were computed",
            f" in the model {quoted(model)}" if model else None,
            f", in the layers {together(layers)}" if isinstance(layers, list) and layers else None,
        )
    ]


KINDS: dict[str, Callable[[Made], list[str]]] = {
    "reconstruction.TwoStage.imagine": _generated,
    "reconstruction.TwoStage.refine": _refined,
    "metrics.evaluate": _evaluated,
    "retrieval.concept_centres": _centres,
    "vision.extract_features": _features,
    "vision.latent_features": _features,
    "vision.text_features": _features,
}
