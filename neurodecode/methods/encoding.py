"""Sentences of encoders: scores, the best layer of a voxel, and shares of explained variance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import splits
from .decoders import encoders
from .made import Made
from .words import count, number, sentence, some, together

MEASURES = {
    "profile": "Pearson's correlation of predicted and measured responses over test samples",
    "r2": "the coefficient of determination of measured responses over test samples",
}


def _spaces(made: Made) -> str:
    found = made.get("features")
    if not isinstance(found, Mapping) or not found:
        return "features"
    each = [f"{name} ({count(n, 'feature')})" for name, n in found.items()]
    return f"{'each of ' if len(each) > 1 else ''}the feature space{'s' if len(each) > 1 else ''} {together(each)}"


def _split(made: Made) -> list[str]:
    return [s.replace("Decoders were", "Encoders were") for s in splits.split(made)]


def _score(made: Made) -> list[str]:
    people = splits.subjects(made)
    name = made.get("score")
    measure = MEASURES.get(str(name), f'the score "{name}"')
    whose = f" of {count(len(people), 'subject')}" if people else ""
    return [
        sentence(f"the responses{whose} were predicted from {_spaces(made)}"),
        *encoders(made.get("encoders")),
        *_split(made),
        sentence(f"accuracy was {measure}, response by response") if name is not None else "",
    ]


def _partition(made: Made) -> list[str]:
    sets, n = made.get("sets"), made.get("n_bootstrap")
    regions, level = made.get("regions"), made.get("level")
    listed = ""
    if isinstance(sets, Mapping) and sets:
        listed = f" ({'; '.join(f'{k}: {together(v)}' for k, v in sets.items())})"
    over = (
        f" of {count(made.get('stimuli'), str(made.get('by')))}"
        if None not in (made.get("stimuli"), made.get("by"))
        else ""
    )
    limits = sentence(
        f"limits are percentiles{f' at the level {number(level)}' if level is not None else ''} of "
        f"{count(n, 'bootstrap sample')}{over} of the test samples, the fits being kept; they are of coefficients "
        "about the true mean, and moved outwards for few of them (Hesterberg 2015)"
    )
    return [
        sentence(
            "explained variance was divided among "
            f"{f'{number(len(sets))} sets of feature spaces' if listed else 'feature spaces'}{listed}"
        ),
        "Encoders were fitted to every union of sets; unique and shared parts are differences of the coefficients of "
        "determination of held-out responses by inclusion and exclusion (Lescroart & Gallant 2019), with their signs.",
        *encoders(made.get("encoder")),
        *_split(made),
        limits if isinstance(n, int) and n > 0 else "",
        f"Means were taken over {some(regions, 'region')}." if isinstance(regions, list) and regions else "",
    ]


def _best_layer(made: Made) -> list[str]:
    least, margin = made.get("least"), made.get("margin")
    named, of = made.get("named"), made.get("of")
    floor = least if isinstance(least, int | float) else None
    bounds = [
        f"above {number(floor)}"
        if floor is not None
        else "above a floor of its own"
        if least is not None
        else None,
        f"at least {number(margin)} ahead of the second"
        if isinstance(margin, int | float) and margin
        else None,
        "in a given mask" if made.get("masked") else None,
    ]
    told = [b for b in bounds if b]
    return [
        sentence(
            "each response was given the layer with the best score",
            f", where that was {together(told)}" if told else None,
            f" ({number(named)} of {number(of)})" if None not in (named, of) else None,
        )
    ]


KINDS: dict[str, Callable[[Made], list[str]]] = {
    "encoding.score": _score,
    "encoding.partition": _partition,
    "encoding.best_layer": _best_layer,
}
