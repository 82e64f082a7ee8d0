"""The sentences of every kind of result: one function for what one call stamps, in the order of its work.

Each takes what is known and passes over what is not, so that a record of an older version gives fewer sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import encoding, pictures, splits, statistics
from .decoders import decoders, network, one
from .made import Made, call, inner, name_of
from .words import count, number, plural, quoted, sentence, some, together

REDUCED = {
    "mean_abs": "the mean of absolute values",
    "l2": "the root of the sum of squares",
    "mean": "the signed mean",
}
MAPS = {
    "filter": "the decoder's weights",
    "pattern": "forward-model patterns (Haufe et al. 2014)",
    "joint": "forward-model patterns of all features jointly (Haufe et al. 2014)",
    "selection": "the share of features that selected a voxel",
}
UNITS = {
    "standardised": "per standard deviation of responses and features",
    "original": "in the units of responses and features",
}


# What draws bootstrap samples, where there are any, and nothing else.
BOOTSTRAPS = ("encoding.partition", "ceilings.ncsnr", "inference.latency", "inference.latency_difference")


def sentences(made: Made) -> list[str]:
    """All sentences about a result, those of what it was made of first, software last."""
    return [*_body(made), *_beside(made), _software(made)]


def _body(made: Made) -> list[str]:
    sources = [inner(made.get(name)) for name in ("scores", "map", "ceilings")]
    before = [s for found in sources if found for s in _alike([source for _, source in found])]
    kind = KINDS.get(made.what)
    if kind is None:
        return [
            *before,
            f"The result was made by {quoted(made.what)}, of whose methods only the parameters are known.",
        ]
    seed = f"The seed of the random numbers was {number(made.seed)}." if _drew(made) else ""
    return [*before, *(s for s in kind(made) if s), *([seed] if seed else [])]


def _drew(made: Made) -> bool:
    """Whether the seed of the record had a part in the result, and is not told elsewhere."""
    if made.seed is None or made.what == "networks.NetworkDecoder":
        return False
    if made.what == "temporal.occlusion":
        return made.get("fill") == "permute"
    if made.get("all") in (True, 1) or (made.what in BOOTSTRAPS and made.get("n_bootstrap") == 0):
        return False
    return made.what != "retrieval.identify" or statistics.bootstrapped(made)


def _alike(sources: list[Made]) -> list[str]:
    """What several results were made of, if they were made alike."""
    texts = [_body(s) for s in sources]
    if all(text == texts[0] for text in texts):
        return texts[0]
    return ["The results that it was made of were made in different ways."]


def _beside(made: Made) -> list[str]:
    """What calls that add no provenance of their own write into the attributes of scores."""
    attrs = made.attrs
    found = []
    if "test" in attrs and "alpha" in attrs:
        source = "; Benjamini & Hochberg 1995" if "Benjamini" in str(attrs["test"]) else ""
        found.append(
            f"Scores were compared with chance ({attrs['test']}{source}) at the level {number(attrs['alpha'])}."
        )
    if "over" in attrs and made.get("over") is None:
        found.append(f"Means and standard errors were taken over {plural(attrs['over'])}.")
    if attrs.get("simulated") in (True, 1):
        found.append("The data were simulated.")
    return found


def _software(made: Made) -> str:
    versions = made.record.get("versions")
    others = [f"{k} {v}" for k, v in versions.items()] if isinstance(versions, Mapping) and versions else []
    beside = f" with {together(others)}" if others else ""
    return f"The analysis was run in neurodecode {made.record.get('version')}{beside}."


# ------------------------------------------------------------------------------------------------------ scores
def _from_responses(made: Made) -> str:
    people = splits.subjects(made)
    return f"from the responses of {count(len(people), 'subject')}" if people else "from responses"


def _decode(made: Made) -> list[str]:
    return [*_regions_decoded(made), splits.score(made)]


def _regions_decoded(made: Made) -> list[str]:
    regions = made.get("regions")
    where = ""
    if isinstance(regions, list) and regions:
        each = f"separately in each of {some(regions, 'region')}"
        where = f" in the region {regions[0]}" if len(regions) == 1 else f", {each}"
    first = sentence(f"{_from_responses(made)}, {splits.decoded(made)}{where}")
    return [first, *decoders(made.get("decoders")), *splits.split(made)]


def _sweep(made: Made) -> list[str]:
    laid = splits.windows(made)
    first = sentence(f"{_from_responses(made)}, {splits.decoded(made)}", f" in {laid}" if laid else None)
    return [first, *decoders(made.get("decoders")), *splits.split(made), splits.score(made)]


def _decoded_ceiling(made: Made) -> list[str]:
    n = made.get("n")
    of = f", for averages of {count(n, 'trial')}" if n is not None else ""
    return [
        *_regions_decoded(made),
        "Noise ceilings were those of the decoders' predictions, from repeats of the test stimuli by the analysis of "
        f"variance (Searle, Casella & McCulloch 1992; Allen et al. 2022){of}.",
    ]


def _generalise(made: Made) -> list[str]:
    crossed = "Decoders fitted in one window were tested in every window (King & Dehaene 2014)."
    first, *others = _sweep(made)
    return [first, crossed, *others]


def _transfer(made: Made) -> list[str]:
    cells = f"every value of {quoted(made.get('by'))}" if made.get("by") else "every one"
    return _crossed(made, sentence(f"{_from_responses(made)}, {splits.decoded(made)}"), cells)


def _transfer_across(made: Made) -> list[str]:
    n = made.sizes.get("train")
    some_of = f" of {count(n, 'recording')}" if n is not None else ""
    return _crossed(made, sentence(f"{splits.decoded(made)}{some_of}"), "every recording")


def _crossed(made: Made, first: str, cells: str) -> list[str]:
    plan = made.get("plan")
    plan = plan if isinstance(plan, Mapping) else {}
    how, scaled = plan.get("folds"), made.get("rescale")
    parts = f"{number(how)} parts of the stimuli" if isinstance(how, int) else f"values of {quoted(how)}"
    scaling = "Responses were z-scored with the means and standard deviations of the same recording's or value's own "
    return [
        first,
        *decoders(made.get("decoders")),
        sentence(
            f"decoders were fitted on equally many samples of {cells}, and tested on those of {cells}",
            f"; {parts} were left out of training in turn, and tested" if how is not None else None,
        ),
        splits.apart(plan.get("shared")),
        f"{scaling}training samples." if scaled is True else "",
        splits.score(made),
    ]


def _rsa(made: Made) -> list[str]:
    method, by, cv, version = (made.get(k) for k in ("method", "by", "cv", "rsatoolbox"))
    n = made.sizes.get(str(by))
    what = count(n, str(by)) if n is not None and by else "stimuli"
    crossed = f", cross-validated over values of {quoted(cv)} (Walther et al. 2016)" if cv is not None else ""
    named = f" {version}" if version is not None else ""
    return [
        sentence(
            f"dissimilarities of {what} were computed",
            f" by the method {quoted(method)}{crossed}" if method is not None else None,
            f" in rsatoolbox{named} (van den Bosch et al. 2025)",
        )
    ]


def _best_features(made: Made) -> list[str]:
    keep = made.get("keep")
    share = "" if keep is None else f" a share of {number(keep)}"
    return [
        sentence(
            f"{_from_responses(made)}, {splits.decoded(made)}",
            f"; of each space,{share or ' some'} of the features, those decoded best, were kept",
        ),
        *decoders(made.get("decoders")),
        *splits.split(made),
        "Features were ranked by the signed Pearson correlation of predicted and true values over the test samples of "
        "a fold, averaged over folds (MindDiffuser 2025).",
    ]


# -------------------------------------------------------------------------------------------------------- maps
def _reduction(made: Made) -> str:
    kind, reduce, units = str(made.get("kind")), str(made.get("reduce")), str(made.get("units"))
    if kind not in MAPS:
        return ""
    of = "".join(f" of {count(made.sizes[d], d)}" for d in ("voxel", "channel") if d in made.sizes)
    if kind == "selection":
        return sentence(f"as a map{of}, {MAPS[kind]} was taken")
    by = REDUCED.get(reduce)
    return sentence(
        f"{MAPS[kind]}{of} were mapped",
        f", reduced to {by} over the features of each {made.get('by') or 'layer'}" if by else None,
        f", {UNITS[units]}" if units in UNITS else None,
    )


def _weight_map(made: Made) -> list[str]:
    return [*_of_decoder(made, "the decoder"), _reduction(made)]


def _map_bootstrap(made: Made) -> list[str]:
    over, b, level, n = made.get("over"), made.get("n_bootstrap"), made.get("level"), made.attrs.get("n_over")
    units = count(n, str(over)) if n is not None and over else f"whole values of {quoted(over)}"
    again = {
        True: "the decoder was fitted again on each",
        False: "the decoder's weights were held, and its patterns estimated again on each",
    }.get(made.get("refit"))
    spread = "deviation over draws of Fisher's z, transformed back" if _on_fishers_z(made) else "error"
    return [
        *_weight_map(made),
        sentence(
            f"standard errors came from {count(b, 'bootstrap sample')} of {units} with all their samples "
            "(Efron & Tibshirani 1993)",
            f"; {again}" if again else None,
        )
        if b is not None
        else "",
        f"Limits at the level {number(level)} are those of Student's t times the standard {spread}."
        if level is not None
        else "",
    ]


def _on_fishers_z(made: Made) -> bool:
    """Whether a map's limits are those of a mean of correlations (:func:`neurodecode.spatial.map_bootstrap`)."""
    kind, units, reduce = (made.get(k) for k in ("kind", "units", "reduce"))
    return (kind, units) == ("pattern", "standardised") and reduce in ("mean", "mean_abs")


def _map_permutation(made: Made) -> list[str]:
    m, pilot, blocks, tail = (made.get(k) for k in ("n_permutations", "n_pilot", "blocks", "tail"))
    within = f" within values of {quoted(blocks)}" if blocks is not None else ""
    sided = {"two-sided": "two-sided", "greater": "for being larger"}.get(str(tail), "")
    return [
        *_weight_map(made),
        sentence(
            f"every value was tested {sided + ' ' if sided else ''}against decoders of features that were shuffled "
            f"over stimuli{within}, repeats kept together",
            f" ({count(m, 'permutation')}; Phipson & Smyth 2010)" if m is not None else None,
        ),
        "Probabilities were corrected over each layer by the largest value of every permutation (Nichols & Holmes 2002)"
        + (f", in units of the mean and SD of {number(pilot)} further ones" if pilot is not None else "")
        + ", and for false discoveries (Benjamini & Hochberg 1995).",
    ]


def _of_decoder(made: Made, subject: str) -> list[str]:
    described = made.get("decoder")
    return one(described, subject) if isinstance(described, str) else decoders(described)


def _patterns(made: Made) -> list[str]:
    laid = splits.windows(made)
    first = sentence(f"{_from_responses(made)}, decoders were fitted", f" in {laid}" if laid else None)
    return [first, *decoders(made.get("decoders")), _reduction(made)]


def _hidden(made: Made) -> str:
    over = made.get("over")
    parts = [over] if isinstance(over, str) else list(over or [])
    regions = made.get("regions")
    grouped = (
        f"the channels of each of {some(regions, 'region')}" if isinstance(regions, list) else "channels"
    )
    named = {"channel": grouped, "time": "windows", "window": "windows"}
    what = " in ".join(named.get(str(p), plural(p)) for p in parts) or "parts"
    width, step = made.get("width"), made.get("step")
    timed = {"time", "window"} & set(map(str, parts)) and None not in (width, step)
    return f"{what}{f' (of {number(width)} s, in steps of {number(step)} s)' if timed else ''}"


def _occlusion(made: Made) -> list[str]:
    fills = {
        "mean": "the mean over training samples",
        "permute": "values of other test samples in random orders (Breiman 2001)",
    }
    fill, n, radius = fills.get(str(made.get("fill"))), made.get("n_permutations"), made.get("radius")
    near = f", together with the channels within {number(radius)} of each," if radius else ""
    return [
        *_of_decoder(made, "the decoder"),
        sentence(
            f"{_hidden(made)}{near} were hidden from it in the test samples, one part after the other "
            "(Zeiler & Fergus 2014)",
            f", and replaced by {fill}" if fill else None,
            f", {count(n, 'time')}" if n is not None and n != 1 else None,
        ),
        sentence(f"the drop of the score {quoted(made.get('score'))} was taken") if made.get("score") else "",
    ]


def _gradient_input(made: Made) -> list[str]:
    reduced = {"mean": "with their signs", "mean_abs": "as absolute values"}.get(str(made.get("reduce")))
    return [
        *_of_decoder(made, "the decoder"),
        sentence(
            "the evidence for the true features in the test samples was attributed by gradient times input "
            f"(Shrikumar et al. 2016) and added up over {_hidden(made)}",
            f"; contributions were averaged over test samples {reduced}" if reduced else None,
        ),
    ]


def _network(made: Made) -> list[str]:
    run = f"It ended after {count(made.sizes['epoch'], 'epoch')}." if "epoch" in made.sizes else ""
    return [*network(made.parameters, "the decoder"), run]


# ---------------------------------------------------------------------------------------------------- responses
def _prepared(made: Made) -> list[str]:
    name, settings = call(made.get("normalise"))
    by = settings.get("by")
    normalised = {
        "ZScore": "responses were z-scored with the means and standard deviations of the training samples",
        "MVNN": "responses were whitened by the noise covariance of the training samples (Guggenmos et al. 2018)",
    }.get(name_of(name))
    average = made.get("average")
    splits_of = f"the splits {together(average)}" if isinstance(average, list) else f"{average} samples"
    return [
        sentence(normalised, f", separately for each value of {quoted(by)}" if by else None)
        if normalised
        else "",
        f"Repeats of a stimulus were averaged in {splits_of}." if average else "",
    ]


Kind = Callable[[Made], list[str]]

KINDS: dict[str, Kind] = {
    "spatial.decode": _decode,
    "spatial.ceiling": _decoded_ceiling,
    "temporal.sweep": _sweep,
    "temporal.generalise": _generalise,
    "temporal.patterns": _patterns,
    "temporal.occlusion": _occlusion,
    "temporal.gradient_input": _gradient_input,
    "selection.best_features": _best_features,
    "spatial.map_bootstrap": _map_bootstrap,
    "spatial.map_permutation": _map_permutation,
    "spatial.transfer": _transfer,
    "spatial.transfer_across": _transfer_across,
    "rsa.rdm": _rsa,
    "weight_map": _weight_map,
    "networks.NetworkDecoder": _network,
    "datasets.prepared.write": _prepared,
    **encoding.KINDS,
    **statistics.KINDS,
    **pictures.KINDS,
}
