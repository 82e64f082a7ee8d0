"""What is said of training and test samples, of scores and of windows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .made import Made, call, name_of
from .words import MOST, between, count, number, quoted, sentence, together

SCORES = {
    "profile": "Pearson's correlation of predicted and true values over test samples, feature by feature",
    "pattern": "Pearson's correlation of predicted and true values over features, test sample by test sample",
    "r2": "the coefficient of determination over test samples, feature by feature",
    "pairwise": "pairwise identification (the share of other test stimuli that a prediction was less like than its "
    "own)",
    "auc": "the area under the receiver operating characteristic",
    "accuracy": "the share of test samples whose class was named correctly",
}


def subjects(made: Made) -> list[str]:
    """Names of the subjects whose folds, or else whose data, were recorded."""
    folds = made.get("folds")
    data = made.record.get("data")
    named = folds if isinstance(folds, Mapping) else data if isinstance(data, Mapping) else {}
    return [str(k) for k in named]


def decoded(made: Made) -> str:
    """Clause that names the feature spaces and how many features each has."""
    found = made.get("features")
    if not isinstance(found, Mapping) or not found:
        return "features were decoded"
    each = [f"{name} ({count(n, 'feature')})" for name, n in found.items()]
    if len(each) == 1:
        return f"the feature space {each[0]} was decoded"
    several = f"the feature spaces {together(each)}" if len(each) <= MOST else f"{len(each)} feature spaces"
    return f"{several} were decoded"


def split(made: Made) -> list[str]:
    """Sentences about the folds and what was kept apart."""
    plan, folds = made.get("plan"), made.get("folds")
    if not isinstance(plan, Mapping):
        return []
    each = _sizes(folds)
    how = plan.get("folds")
    if how is None:
        found = sentence(
            f"decoders were fitted on {_part(plan.get('train'), 'train')} and tested on "
            f"{_part(plan.get('test'), 'test')}",
            f" ({each}{' for every subject' if len(subjects(made)) > 1 else ''})" if each else None,
        )
    else:
        found = sentence(
            f"decoders were fitted and tested by {_folded(how, folds)}",
            f", with {each} in every fold" if each else None,
        )
    return [found, apart(plan.get("shared"))]


def _part(which: Any, default: str) -> str:
    if which is None or (isinstance(which, str) and "(" not in which):
        return f"the samples of the split {quoted(default if which is None else which)}"
    return "a given set of samples"


def _folded(how: Any, folds: Any) -> str:
    if isinstance(how, int):
        return f"{how}-fold cross-validation without shuffling"
    counts = {len(f) for f in folds.values()} if isinstance(folds, Mapping) else set()
    number_of = f" ({between(counts)} folds)" if counts else ""
    name, settings = call(how)
    if settings or "(" in name:
        return f"the folds that {name_of(str(how))} made{number_of}"
    return f"cross-validation that left out one value of {quoted(how)} at a time{number_of}"


def _sizes(folds: Any) -> str | None:
    if not isinstance(folds, Mapping):
        return None
    pairs = [p for of in folds.values() if isinstance(of, Mapping) for p in of.values()]
    if not pairs:
        return None
    trained, tested = zip(*pairs, strict=True)
    return f"{between(trained)} training and {between(tested)} test samples"


def apart(shared: Any) -> str:
    """Say what training and test samples were not allowed to share."""
    if shared is None:
        return ""
    if not shared:
        return "No sample and no labelled stimulus was in both parts."
    names = [shared] if isinstance(shared, str) else list(shared)
    allowed = (
        "stimuli and all other labels" if "any" in names else f"values of {together(map(quoted, names))}"
    )
    return f"No sample was in both parts, but they were allowed to share {allowed}."


def score(made: Made) -> str:
    """Say how accuracy was measured, and the chance level."""
    name = made.get("score")
    if name is None:
        return ""
    words = SCORES.get(str(name))
    top = re.fullmatch(r"top([1-9]\d*)", str(name))
    if top:
        rank = "the one" if top[1] == "1" else f"among the {top[1]}"
        words = f"top-{top[1]} accuracy (the share of test samples whose right candidate was {rank} most like the "
        words += "prediction)"
    if str(name) in ("profile", "pattern", "r2", "auc") and made.get("by") != "feature":
        words = f"{words}, and averaged"
    measured = words or f"the score {quoted(name)}"
    return sentence(f"Accuracy was {measured}", chance(made))


def chance(made: Made) -> str | None:
    """Chance level as a part of a sentence."""
    stated = made.attrs.get("chance")
    if isinstance(stated, int | float):
        return f"; chance was {number(stated)}"
    found = made.range_of("chance")
    return None if found is None else f"; chance was {between(found)}"


def windows(made: Made) -> str | None:
    """Windows as a part of a sentence."""
    width, step = made.get("width"), made.get("step")
    if width is None or step is None:
        return None
    n = made.get("windows")
    here = made.sizes.get("train_window", made.sizes.get("window"))
    n = here if n is None else n
    kind = {
        "growing": f"windows that grew from a width of {number(width)} s",
        "shrinking": f"windows that shrank to a width of {number(width)} s",
    }.get(str(made.get("scheme")), f"sliding windows of {number(width)} s")
    dt = made.get("sampling_interval")
    return "".join(
        [
            f"{number(n)} " if n is not None else "",
            kind,
            f" in steps of {number(step)} s",
            f" (samples every {number(dt)} s)" if dt is not None else "",
            _extent(made) if n == here else "",
        ]
    )


def _extent(made: Made) -> str:
    start, stop = made.range_of("start", "train_start"), made.range_of("stop", "train_stop")
    if start is None or stop is None:
        return ""
    return f", from {number(start[0])} s to {number(stop[1])} s"
