"""What is said of an estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .made import call, name_of
from .words import between, count, number, quoted, sentence, together

RIDGE = "Hoerl & Kennard 1970"
BANDED = "Nunez-Elizalde, Huth & Gallant 2019"
# What every target of an estimator is called.
TARGETS = {"RidgeDecoder": "feature", "RidgeEncoder": "response"}
# Of the architectures' own docstring.
NETWORKS = {
    "nice": "Song et al. 2024",
    "eegnet": "Lawhern et al. 2018",
    "atm": "Li et al. 2024",
    "benchetrit": "Benchetrit et al. 2024",
    "temporal_spatial": "MindDiffuser 2025",
}


def decoders(described: Any) -> list[str]:
    """Sentences about the decoder of every feature space, once for those that share it."""
    if not isinstance(described, Mapping):
        return [] if described is None else one(str(described), "the decoder")
    spaces: dict[str, list[str]] = {}
    for space, text in described.items():
        spaces.setdefault(str(text), []).append(str(space))
    if len(spaces) == 1:
        return one(next(iter(spaces)), "the decoder")
    return [s for text, names in spaces.items() for s in one(text, f"the decoder of {together(names)}")]


def one(text: str, subject: str) -> list[str]:
    """Sentences about one described estimator, which ``subject`` names."""
    name, settings = call(text)
    if name in TARGETS and settings:
        return _ridge(settings, subject, TARGETS[name])
    if name == "NetworkDecoder" and settings:
        return network(settings, subject)
    named = name if settings or name.isidentifier() else name_of(text)
    return [sentence(f"{subject} was an estimator of the class {named}")]


def encoders(described: Any) -> list[str]:
    """Sentences about the encoder of every feature space, once for those that share it."""
    return [s.replace("The decoder", "The encoder", 1) for s in decoders(described)]


def _ridge(s: Mapping[str, Any], subject: str, target: str) -> list[str]:
    found = [
        sentence(
            f"{subject} was ridge regression ({RIDGE}) of every {target} on its own", _penalty(s, target)
        ),
        _banded(s) if s.get("bands") is not None else "",
    ]
    found = [f for f in found if f]
    if s.get("n_voxels") is not None:
        found.append(
            f"Each feature was fitted on the {number(s['n_voxels'])} responses that correlated most with it over the "
            "training samples (MindDiffuser 2025)."
        )
    scaled = {
        "True": "Responses and features were z-scored with the means and standard deviations of the training samples",
        "False": "Responses and features were not standardised",
    }.get(str(s.get("standardise")))
    intercept = {
        "centre": "the intercept was not penalised",
        "penalised": "the intercept was penalised like a weight",
    }.get(str(s.get("intercept")))
    parts = [p for p in (scaled, intercept) if p]
    return [*found, sentence("; ".join(parts))] if parts else found


def _banded(s: Mapping[str, Any]) -> str:
    bands, n, seed = s["bands"], s.get("n_candidates"), s.get("seed")
    of = f" of {quoted(bands)}" if isinstance(bands, str) and "(" not in bands else ""
    return sentence(
        f"every band of features{of} had a penalty of its own (banded ridge; {BANDED})",
        f", chosen by a random search over {count(n, 'division')} of the penalty among bands (Dupre la Tour et "
        "al. 2022)"
        if n is not None
        else None,
        f" with the seed {number(seed)}" if seed is not None and n is not None else None,
    )


def _penalty(s: Mapping[str, Any], target: str) -> str | None:
    alpha = s.get("alpha")
    if isinstance(alpha, list | tuple) and len(alpha) == 1:
        alpha = alpha[0]
    if alpha is None:
        return None
    banded = s.get("bands") is not None
    folds = 5 if banded and s.get("folds") is None else s.get("folds")
    if isinstance(alpha, int | float):
        divided = f", divided among bands for every {target}, {_chosen_by(folds)}" if banded else ""
        return f", with the penalty {number(alpha)}{divided}"
    grid = " from a grid"
    if isinstance(alpha, list | tuple):
        grid = (
            f" from {together(alpha)}"
            if len(alpha) <= 8
            else f" from {len(alpha)} values of {between(alpha)}"
        )
    return f", with a penalty chosen for every {target}{grid}, {_chosen_by(folds)}"


def _chosen_by(folds: Any) -> str:
    if folds is None:
        return "by leave-one-out on the training samples (Allen 1974)"
    if isinstance(folds, int):
        return f"by {folds} folds of the training samples"
    name, settings = call(folds)
    if settings or "(" in name:
        return f"by folds of the training samples that {name_of(str(folds))} made"
    return f"leaving out one value of {quoted(folds)} of the training samples at a time"


def network(s: Mapping[str, Any], subject: str) -> list[str]:
    """Sentences about the settings of a NetworkDecoder."""
    architecture = s.get("architecture")
    source = NETWORKS.get(str(architecture))
    found = [
        sentence(
            f"{subject} was a neural network",
            f" of the architecture {quoted(architecture)}" if architecture else None,
            f" ({source})" if source else None,
            f" in the size {quoted(s['size'])}" if s.get("size") else None,
            ", trained on standardised responses and features",
        ),
        sentence("training ran ", _effort(s), _loss(s.get("loss"))),
    ]
    if s.get("validation") is not None:
        found.append(_validation(s))
    if s.get("augment"):
        parts = [f"{k} {number(v)}" for k, v in dict(s["augment"]).items()]
        found.append(f"Training batches were augmented ({', '.join(parts)}).")
    if s.get("precision") == "bfloat16":
        found.append("The network computed in bfloat16.")
    if s.get("seed") is not None:
        found.append(f"The seed of the training was {number(s['seed'])}.")
    return found


def _effort(s: Mapping[str, Any]) -> str:
    settings = [
        f"{words} {number(s[key])}"
        for key, words in (
            ("batch", "batches of"),
            ("learning_rate", "learning rate"),
            ("weight_decay", "weight decay"),
        )
        if s.get(key) is not None
    ]
    most = (
        f"for {'at most ' if s.get('patience') is not None else ''}{count(s['epochs'], 'epoch')} "
        if s.get("epochs") is not None
        else ""
    )
    return f"{most}with AdamW (Loshchilov & Hutter 2019{'; ' if settings else ''}{', '.join(settings)})"


def _loss(loss: Any) -> str | None:
    if loss is None:
        return None
    if isinstance(loss, Mapping):
        return f" on the loss {' + '.join(f'{number(w)} {k}' for k, w in loss.items())}"
    return f" on the loss {quoted(loss)}"


def _validation(s: Mapping[str, Any]) -> str:
    amount = s["validation"]
    share = f"A share of {number(amount)}" if isinstance(amount, float) else f"{number(amount)}"
    by = f" values of {quoted(s['by'])}, or of the stimulus where there was none," if s.get("by") else ""
    stop = (
        f"; training stopped after {count(s['patience'], 'epoch')} without a smaller loss on them"
        if s.get("patience") is not None
        else ""
    )
    of = " of the" if isinstance(amount, float) and by else ""
    return f"{share}{of}{by} in the training samples was held out for validation{stop}."
