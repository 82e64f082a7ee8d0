"""Sentences of what is tested, identified or bounded: profiles, clusters, identification, noise ceilings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .made import Made
from .words import between, count, number, plural, quoted, sentence, some, together


def _maps(made: Made) -> str:
    data = made.record.get("data")
    return f"the maps of {count(len(data), 'subject')}" if isinstance(data, dict) and data else "maps"


SMOOTH = "from the variogram fitted to each map (Matheron 1963)"


def _region_profile(made: Made) -> list[str]:
    regions, m, b = made.get("regions"), made.get("n_permutations"), made.get("n_bootstrap")
    where = some(regions, "region") if isinstance(regions, list) and regions else "each region"
    first = f"Averages of {_maps(made)} were taken over the voxels of {where}."
    if made.get("noise") == "smooth":
        return [
            first,
            "Each average was compared, one-sided, with the average of the whole map by Student's t; standard errors "
            f"and intervals allow for neighbouring voxels that are alike, {SMOOTH}, and degrees of freedom as well "
            "(Clifford, Richardson & Hemon 1989).",
        ]
    return [
        first,
        f"Intervals came from {count(b, 'bootstrap sample')} of voxels within subjects." if b else "",
        "Each average was compared, one-sided, with those of as many voxels drawn at random from the whole map"
        f" ({count(m, 'permutation')})."
        if m
        else "",
    ]


def _contrast(made: Made) -> list[str]:
    m, pair, smooth = made.get("n_permutations"), made.attrs.get("pair"), made.get("noise") == "smooth"
    voxels = " by permuting voxels between them" + (f" ({count(m, 'permutation')})" if m else "")
    return [
        sentence(
            f"in {_maps(made)}, the difference of the averages of two regions",
            f" ({pair})" if pair else None,
            " was tested two-sided",
            f" by Student's t, with standard errors {SMOOTH}" if smooth else voxels,
        )
    ]


SIDES = {
    1: ("above chance", "one-sided "),
    0: ("other than chance", "two-sided "),
    -1: ("below chance", "one-sided "),
}


def _clusters(made: Made) -> list[str]:
    n, m, alpha, tail = (made.get(k) for k in ("n", "n_permutations", "alpha", "tail"))
    level, over, family = made.get("chance"), made.get("over"), made.get("family")
    units = count(n, str(over)) if n is not None and over else None if n is None else f"{number(n)} units"
    names = [made.attrs.get(side) for side in ("a", "b")]
    where, sided = SIDES.get(tail, ("above chance", "")) if isinstance(tail, int) else ("above chance", "")
    dims = made.get("dims")
    grown = [d for d in dims if d in ("voxel", "channel", "region")] if isinstance(dims, list) else []
    what = f"clusters of neighbouring {plural(grown[0])}" if grown else "stretches"
    if all(names):
        found = f"{what} in which {names[0]} and {names[1]} differed"
    else:
        found = f"{what} {where}{'' if level is None else f' ({number(level)})'}"
    return [
        sentence(
            f"{found} were found by a {sided}cluster permutation test (Maris & Oostenveld 2007)",
            f" over {units}" if units else None,
            f", with sign flips in {count(m, 'permutation')}" if m is not None else ", with sign flips",
            f"; clusters with p of at most {number(alpha)} counted as significant"
            if alpha is not None
            else None,
        ),
        _formed(made.get("threshold")),
        "The largest cluster over all layers made the null distribution." if family == "all" else "",
    ]


def _formed(threshold: Any) -> str:
    if threshold is None:
        return ""
    if isinstance(threshold, str):
        return "No threshold formed the clusters: Student's t was enhanced by its support (Smith & Nichols 2009)."
    return f"Neighbours whose Student's t had a p below {number(threshold)} formed clusters."


def _latency(made: Made) -> list[str]:
    share, over, level = made.get("share"), made.get("over"), made.get("level")
    interval, b, n = made.get("interval"), made.get("n_bootstrap"), made.attrs.get("n")
    names = [made.attrs.get(side) for side in ("a", "b")]
    units = count(n, str(over)) if n is not None and over else plural(over) if over else "units"
    within = made.get("within")
    difference = made.what.endswith("difference")
    between = f" of {names[0]} and {names[1]}" if all(names) else ""
    how = {
        "bootstrap": f"by Student's t and the bootstrap standard error over {plural(over or 'unit')}",
        "percentile": f"from percentiles of the bootstrap over {plural(over or 'unit')} (Hesterberg 2015)",
        "jackknife": f"by Student's t and the jackknife over {plural(over or 'unit')} (Miller et al. 1998)",
    }.get(str(interval))
    return [
        sentence(
            f"{f'differences in latency{between}' if difference else 'latencies'} were taken from the mean curve of "
            f"{units}",
            f", between {number(within[0])} and {number(within[1])} s" if isinstance(within, list) else None,
        ),
        f"The onset was the last time before the peak at which the mean rose through a share of {number(share)} of the "
        "peak's height above chance (Kiesel et al. 2008), the peak the vertex of the parabola through the highest "
        "window and its neighbours."
        if share is not None
        else "",
        sentence(
            f"intervals{f' at the level {number(level)}' if level is not None else ''} were made {how}",
            f" ({count(b, 'bootstrap sample')})" if b else None,
        )
        if how
        else "",
    ]


def _orders(made: Made) -> str:
    """How stimuli change places: "in 99 random orders, within ..."."""
    n = made.sizes.get("permutation", made.get("n_permutations"))
    kind = "other" if made.get("all") in (True, 1) else "random"
    drawn = "" if n is None else f" in {'all ' if kind == 'other' else ''}{count(n, f'{kind} order')}"
    blocks, sides = made.get("blocks"), made.get("sides")
    within = [f"the blocks of {together(map(quoted, blocks))}"] if isinstance(blocks, list) and blocks else []
    within += ["each side of the split"] if isinstance(sides, int) and sides > 1 else []
    return f"{drawn}{f', within {together(within)}' if within else ''}"


def _shuffles(made: Made) -> list[str]:
    return [sentence(f"stimuli exchanged their features as wholes{_orders(made)}")]


def _null(made: Made) -> list[str]:
    kept = made.get("refit") is False
    return [
        sentence(
            f"to say what is found by chance, stimuli exchanged their features as wholes{_orders(made)}",
            ", and decoders, which were not fitted again, were scored in each"
            if kept
            else ", and all of it was repeated in each",
        )
    ]


FAMILIES = {
    "max-statistic": ", p values corrected by the largest score of each order (Westfall & Young 1993)",
    "Benjamini-Hochberg": ", p values corrected for false discoveries (Benjamini & Hochberg 1995)",
    "Benjamini-Yekutieli": ", p values corrected for false discoveries (Benjamini & Yekutieli 2001)",
    "none": ", p values not corrected",
}


def _permutation(made: Made) -> list[str]:
    tail, alpha = made.get("tail"), made.get("alpha")
    how = {"greater": " one-sided", "two-sided": " two-sided"}.get(str(tail), "")
    family = [d for d in str(made.get("family") or "").split(", ") if d]
    corrected = next((v for k, v in FAMILIES.items() if str(made.get("correction")).startswith(k)), None)
    return [
        sentence(
            f"scores were tested{how} by permutation (Phipson & Smyth 2010): stimuli exchanged their features as "
            "wholes",
            _orders(made),
            ", with decoders that were not fitted again" if made.get("refit") is False else None,
        ),
        sentence(
            f"scores counted as significant with p of at most {number(alpha)}",
            corrected,
            f" over {together(map(plural, family))}" if corrected and family else None,
        )
        if alpha is not None
        else "",
    ]


CORRECTED = {
    "holm": ", p values corrected over all comparisons (Holm 1979)",
    "fdr": ", p values corrected for false discoveries (Benjamini & Hochberg 1995)",
}


def _compare(made: Made) -> list[str]:
    over, level = made.get("over"), made.get("level")
    n, flips = made.attrs.get("n"), made.attrs.get("flips")
    names = [made.attrs.get(side) for side in ("a", "b")]
    units = count(n, str(over)) if n is not None and over else plural(over) if over else "units"
    how = {"all": "all flips of their signs"}.get(str(flips), f"{number(flips)} random flips of their signs")
    return [
        sentence(
            f"scores{f' of {names[0]} and {names[1]}' if all(names) else ''} were compared over {units}, pair by pair",
            f", with intervals at the level {number(level)}" if level is not None else None,
        ),
        sentence(
            f"differences were tested two-sided by Student's t and by {how}" if flips is not None else None,
            CORRECTED.get(str(made.get("correction"))) if flips is not None else None,
        ),
    ]


def _mixed(made: Made) -> list[str]:
    fixed, reference, slopes = made.get("fixed"), made.get("reference"), made.get("slopes")
    groups = [made.get(who) for who in ("subjects", "stimuli")]
    people, shown = made.attrs.get("n_subjects"), made.attrs.get("n_stimuli")
    df, level = made.get("df"), made.get("level")
    against = f" against {reference}" if reference is not None else ""
    sizes = f" ({number(people)} and {number(shown)})" if people is not None and shown is not None else ""
    by: str | None
    if df == "Satterthwaite":
        by = "Student's t with each term's own degrees of freedom (Satterthwaite 1946)"
    elif df in ("inf", float("inf")):
        by = "Wald's z"
    else:
        by = None if df is None else f"Student's t with {number(df)} degrees of freedom"
    return [
        sentence(
            f"the effect of {quoted(fixed)}{against} was estimated by a linear mixed model (Baayen et al. 2008)",
            f" with random intercepts of {together(groups)}{sizes}" if all(groups) else None,
            f" and random effects of the condition by {together(slopes)}" if slopes else None,
            ", by restricted maximum likelihood",
        )
        if fixed is not None
        else "",
        sentence(
            f"intervals{f' at the level {number(level)}' if level is not None else ''} and p values are those of {by}"
        )
        if by
        else "",
    ]


def _identify(made: Made) -> list[str]:
    n, candidates, k = made.get("n_way"), made.get("candidates"), made.get("k")
    of = made.get("against") or "candidates"
    among = f" among {number(n)} {of}" if n is not None else ""
    if n is not None and candidates is not None and n != candidates:
        among = f" among {number(n)} of {number(candidates)} {of}, averaged over all draws of rivals"
    alike = {"correlation": "Pearson's correlation", "cosine": "cosine similarity"}
    metric = alike.get(str(made.get("metric")), str(made.get("metric")))
    ks = (
        "the candidate"
        if k == [1]
        else f"among the {together(k)} candidates"
        if k
        else "among the candidates"
    )
    answer = made.get("answer")
    levels = made.labels.get("chance")
    return [
        sentence(f"{_tested(made)} were identified{among}"),
        sentence(
            "a prediction counted as right if its own candidate",
            f" (by {quoted(answer)})" if answer else None,
            f" was {ks} most like it",
            f" by {metric}" if made.get("metric") else None,
            f"; chance was {together(levels.ravel().tolist())}" if levels is not None else None,
        ),
        _interval(made),
    ]


def _tested(made: Made) -> str:
    data = made.record.get("data")
    people = [k for k in data if str(k).startswith("subject ")] if isinstance(data, dict) else []
    n = made.labels.get("n")
    samples = "test samples" if n is None else f"{between(n.ravel().tolist())} test samples"
    return (
        f"{samples} of {'each of ' if len(people) > 1 else ''}{count(len(people), 'subject')}"
        if people
        else samples
    )


def _interval(made: Made) -> str:
    interval, level, b = made.get("interval"), made.get("level"), made.get("n_bootstrap")
    if interval is None:
        return ""
    mean = _interval_of_mean(made)
    return sentence(
        f"intervals{'' if level is None else f' at the level {number(level)}'} were of the kind: {interval}",
        f"; of the mean over subjects: {mean}" if mean else None,
        f"; with {count(b, 'bootstrap sample')}" if bootstrapped(made) and b is not None else None,
    )


def _interval_of_mean(made: Made) -> str | None:
    """One subject has no interval over subjects."""
    return made.get("interval_of_mean") if made.sizes.get("subject", 1) > 1 else None


def bootstrapped(made: Made) -> bool:
    """Whether an interval of an identification was drawn at random."""
    return "bootstrap" in f"{made.get('interval')} {_interval_of_mean(made)}"


# ---------------------------------------------------------------------------------------------------- ceilings
def _over_stimuli(made: Made) -> str:
    trials, stimuli = made.attrs.get("trials"), made.attrs.get("stimuli")
    if trials is None or stimuli is None:
        return f"from repeats of each {made.get('by') or 'stimulus'}"
    by = made.get("by") or "stimulus"
    of = count(stimuli, "stimulus") if by == "stimulus" else f"{number(stimuli)} values of {quoted(by)}"
    return f"from {count(trials, 'trial')} of {of}"


def _ceiling(made: Made, how: str) -> list[str]:
    n, level, b = made.get("n"), made.get("level"), made.get("n_bootstrap")
    return [
        sentence(f"noise ceilings were estimated {_over_stimuli(made)} {how}"),
        sentence(f"they hold for averages of {count(n, 'trial')}") if n is not None else "",
        sentence(
            f"limits at the level {number(level)} came from {count(b, 'bootstrap sample')} of whole stimuli"
        )
        if level is not None and b
        else "",
    ]


def _ncsnr(made: Made) -> list[str]:
    return _ceiling(made, "by the analysis of variance (Searle, Casella & McCulloch 1992; Allen et al. 2022)")


def _split_half(made: Made) -> list[str]:
    splits: Any = made.get("splits")
    many = f" (mean over {count(splits, 'random split')})" if splits is not None else ""
    return _ceiling(
        made,
        f"from the correlation of halves of the repeats{many}, corrected for length (Spearman 1910; Brown 1910)",
    )


def _normalise(made: Made) -> list[str]:
    least = made.get("least")
    kept = f" where these were at least {number(least)}" if least is not None else ""
    n = made.get("test_samples")
    about = ", as coefficients of determination about the true mean," if n is not None else ""
    return [f"Scores{about} were divided by their noise ceilings{kept}."]


KINDS: dict[str, Callable[[Made], list[str]]] = {
    "spatial.region_profile": _region_profile,
    "spatial.contrast": _contrast,
    "inference.clusters": _clusters,
    "inference.shuffles": _shuffles,
    "inference.null": _null,
    "inference.permutation": _permutation,
    "temporal.sweep_null": _null,
    "inference.latency": _latency,
    "inference.latency_difference": _latency,
    "inference.compare": _compare,
    "inference.mixed": _mixed,
    "retrieval.identify": _identify,
    "ceilings.ncsnr": _ncsnr,
    "ceilings.split_half": _split_half,
    "ceilings.normalise": _normalise,
}
