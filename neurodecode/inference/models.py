"""Linear mixed models of single trials: subjects and stimuli as crossed random effects, by statsmodels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from .. import store
from ..checks import require_numbers, require_share
from ..labels import (
    listed,
    quoted,
    require_array,
    require_choice,
    require_coord,
    require_memory,
    require_real,
)
from ..solve.intervals import reach_by_t
from ..solve.reml import satterthwaite, variance_ratios

# Below so many subjects or stimuli Wald intervals are too narrow (bench/mixed_models.py: 12 and 15 are too few).
FEW = 20
# Below so many also by Satterthwaite's degrees of freedom: components are estimated as 0 too often (4 are too few).
FEWEST = 8
# Of how df are found where none are given.
OWN_DF = "Satterthwaite"
# A component below this share of the residual variance counts as 0: the boundary of what a variance can be.
ZERO = 1e-6
# A residual variance below this share of the scores' is rounding.
EXACT = 1e-9
NO_REST = (
    "subjects, stimuli and conditions explain the scores wholly: a mixed model needs single trials, not means or "
    "copies"
)


def mixed(
    scores: xr.DataArray,
    *,
    fixed: str,
    subjects: str = "subject",
    stimuli: str = "stimulus",
    reference: Any = None,
    slopes: Sequence[str] | None = None,
    trials: bool = True,
    df: float | None = None,
    level: float = 0.95,
) -> xr.Dataset:
    """Effect of a condition on scores of single trials, for new subjects and new stimuli (Baayen et al. 2008).

    ``score = b_0 + b_condition + subject + stimulus [+ subject x condition + stimulus x condition +
    subject x stimulus] + residual``, the b
    fixed with b = 0 for the reference (treatment coding), all else drawn from normal distributions, whose variances are
    estimated by REML.

    Parameters
    ----------
    scores : array with the labels of ``fixed``, ``subjects`` and ``stimuli``
        Each a dimension with labels or a coordinate: (subject, stimulus, region), or (sample, region) with the
        coordinates subject and stimulus on sample; one score a trial, such as "pattern" or "pairwise". NaN are trials
        that do not exist.
    fixed, subjects, stimuli : str
        The condition (a region, a decoder, ...), and what both random effects are drawn from.
    reference : label of ``fixed``, optional
        What the others are compared with; by default the first.
    slopes : names among subjects and stimuli, optional
        Whose members may differ in the effect of the condition (a component "subject x region"). By default both, where
        the condition varies within them: without, the effect is tested as if it were the same in everybody, which
        finds too much (Barr et al. 2013).
    trials : bool
        Whether scores of one response under several conditions, such as two decoders', share its noise (a component
        "subject x stimulus", where there are such). Without it the fit is faster and finds a little too much.
    df : float, optional
        Degrees of freedom of Student's t for intervals and p. By default each term's own, by how well its variance is
        known (Satterthwaite 1946). ``numpy.inf`` is Wald's z, too sure with few subjects; the number of subjects (or
        stimuli, if fewer) minus 1 is for fewer than 8, and cautious where people hardly differ.
    level : float
        Of the intervals.

    Returns
    -------
    Dataset (term), (component)
        ``estimate``, ``se``, ``low``, ``high`` in the scores' units, ``z`` (estimate / se), ``df`` and two-sided ``p``
        for the terms "intercept" (the mean of the reference) and "condition - reference"; ``variance`` and ``n_levels``
        of the components, the last "residual". Attrs n (trials), n_subjects, n_stimuli, left_out (missing trials),
        fixed, reference, slopes, converged, at_zero (components estimated as 0), df (as given, or "Satterthwaite"),
        level, units, provenance.

    Raises
    ------
    ValueError
        If a label is missing, a dimension is no part of the model, values are infinite or all the same, fewer than 2
        subjects, stimuli or conditions are there, or a component cannot be told from the residual.
    MemoryError
        If the model's matrices would not fit.

    Warns
    -----
    UserWarning
        If the fit did not converge, and if subjects or stimuli are too few: 8, or 20 for Wald's z (df=numpy.inf).

    Examples
    --------
    >>> import neurodecode as nd, numpy as np, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> people, pictures = rng.normal(scale=0.1, size=(10, 1, 1)), rng.normal(scale=0.1, size=(20, 1))
    >>> values = people + pictures + [0.0, 0.3] + rng.normal(scale=0.2, size=(10, 20, 2))
    >>> labels = {"subject": range(10), "stimulus": range(20), "region": ["V1", "LO"]}
    >>> scores = xr.DataArray(values, labels, ("subject", "stimulus", "region"))
    >>> found = nd.inference.mixed(scores, fixed="region", slopes=[], trials=False)
    >>> found["estimate"].sel(term="LO - V1").round(1).item()
    0.3
    """
    require_share(level=level)
    require_numbers(df=np.inf if df is None else df)
    if df is not None and not df >= 1:
        raise ValueError(f"df must be at least 1, such as the number of subjects minus 1; got {df}")
    table, names, left_out = _trials(scores, fixed, subjects, stimuli, reference)
    sizes = {"subject": table["subject"].nunique(), "stimulus": table["stimulus"].nunique()}
    called = {"subject": subjects, "stimulus": stimuli}
    chosen = _slopes(table, slopes, called, fixed)
    words = _components(table, called, chosen, fixed, trials=trials)
    _require_told_apart(table, words)
    _require_room(table, words)
    estimate, variances, converged = _fitted(table, list(words))
    se, freedom = _precision(table, variances)
    by_term = freedom if df is None else np.full(len(estimate), float(df))
    terms = _Terms(["intercept", *(f"{name} - {names[0]}" for name in names[1:])], estimate, se, by_term)
    _warn(converged, sizes, called, df)
    parameters = {
        "fixed": fixed,
        "subjects": subjects,
        "stimuli": stimuli,
        "reference": str(names[0]),
        "slopes": [called[who] for who in chosen],
        "trials": "trial" in words,
        "df": OWN_DF if df is None else float(df),
        "level": level,
    }
    attrs = {
        **{k: v for k, v in scores.attrs.items() if k in ("score", "units")},
        **parameters,
        "n": len(table),
        "n_subjects": sizes["subject"],
        "n_stimuli": sizes["stimulus"],
        "left_out": left_out,
        "converged": converged,
        "at_zero": [words[k] for k, v in variances.items() if v == 0],
        "method": "REML",
    }
    found = _told(table, terms, variances, words | {"residual": "residual"}, attrs)
    return store.stamp(found, what="inference.mixed", parameters=parameters, data=scores)


class _Terms(NamedTuple):
    """Fixed effects of scaled scores: name, estimate, standard error and degrees of freedom of each."""

    names: list[str]
    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray


def _told(
    table: pd.DataFrame,
    terms: _Terms,
    variances: dict[str, float],
    words: dict[str, str],
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Terms and components in the units of the scores, which the table has centred and scaled."""
    from scipy import stats

    scale = table.attrs["sd"]
    estimate, se = terms.estimate * scale, terms.se * scale
    estimate[0] += table.attrs["mean"]
    z = estimate / se
    half = reach_by_t(attrs["level"], terms.df) * se
    units = {"units": str(attrs["units"])} if "units" in attrs else {}
    squared = {"units": f"({units['units']})^2"} if units else {}
    n_levels = [*(int(table[k].nunique()) for k in words if k != "residual"), len(table)]
    return xr.Dataset(
        {
            "estimate": ("term", estimate, units),
            "se": ("term", se, units),
            "low": ("term", estimate - half, units),
            "high": ("term", estimate + half, units),
            "z": ("term", z),
            "df": ("term", terms.df),
            "p": ("term", 2 * stats.t.sf(np.abs(z), terms.df)),
            "variance": ("component", [variances[k] * scale**2 for k in words], squared),
            "n_levels": ("component", n_levels),
        },
        coords={"term": terms.names, "component": list(words.values())},
        attrs=attrs,
    )


def _trials(
    scores: xr.DataArray, fixed: str, subjects: str, stimuli: str, reference: Any
) -> tuple[pd.DataFrame, list[Any], int]:
    """One line a trial (score, condition, subject, stimulus, by number), the conditions' names, how many are missing.

    The reference is condition 0. Scores are centred and scaled to an SD of 1: fits of small numbers stop too early.
    """
    require_real(require_array(scores, who="scores"), who="scores")
    if len({fixed, subjects, stimuli}) < 3:
        raise ValueError(
            f"fixed, subjects and stimuli must be three, got {listed((fixed, subjects, stimuli))}"
        )
    labels = {name: require_coord(scores, name, who="scores") for name in (fixed, subjects, stimuli)}
    known = {d for label in labels.values() for d in label.dims}
    other = [str(d) for d in scores.dims if d not in known]
    if other:
        raise ValueError(
            f"scores have the dimension(s) {listed(other)}, no part of the model; select one, average (.mean), or "
            "stack them into trials"
        )
    values = scores.values.astype(np.float64).ravel()
    there = ~np.isnan(values)
    if np.isinf(values).any():
        raise ValueError(
            f"scores have {int(np.isinf(values).sum())} infinite of {values.size} values; drop them before"
        )
    like = scores.drop_vars(list(scores.coords))
    numbers, names = {}, {}
    for name, label in labels.items():
        spread = xr.DataArray(label.variable).broadcast_like(like).transpose(*scores.dims).values.ravel()
        numbers[name], names[name] = pd.factorize(spread)
        _require_seen(numbers[name][there], names[name], name)
    conditions = list(names[fixed])
    if reference is not None:
        require_choice(reference, conditions, what=f"reference among {fixed!r}")
    first = 0 if reference is None else conditions.index(reference)
    order = [first, *(i for i in range(len(conditions)) if i != first)]
    kept = values[there]
    mean, sd = kept.mean(), kept.std()
    if not sd > 1e-12 * np.abs(kept).max():
        raise ValueError(f"all {kept.size} scores are {kept[0]:g}: there is nothing to explain")
    table = pd.DataFrame(
        {
            "score": (kept - mean) / sd,
            "condition": np.argsort(order)[numbers[fixed][there]],
            "subject": numbers[subjects][there],
            "stimulus": numbers[stimuli][there],
        }
    )
    table.attrs = {"mean": mean, "sd": sd}
    return table, [conditions[i] for i in order], int((~there).sum())


def _require_seen(numbers: np.ndarray, names: np.ndarray, name: str) -> None:
    """Refuse trials without a label, labels without a trial, and a single label."""
    unlabelled = int((numbers < 0).sum())
    if unlabelled:
        raise ValueError(
            f"{unlabelled} of {numbers.size} trials with a score have no label {name!r}; label them, or make their "
            "scores NaN to leave them out"
        )
    seen = np.unique(numbers)
    if seen.size < len(names):
        lacking = [v for i, v in enumerate(names) if i not in seen]
        raise ValueError(
            f"{len(lacking)} of {len(names)} {name!r} have no score: {listed(lacking)}; drop them"
        )
    if seen.size < 2:
        raise ValueError(f"a mixed model needs at least 2 {name!r}, got {seen.size}: {listed(names)}")


def _slopes(
    table: pd.DataFrame, slopes: Sequence[str] | None, called: dict[str, str], fixed: str
) -> list[str]:
    """Which of "subject" and "stimulus" get a component with the condition."""
    # With one condition each, a member's effect of the condition cannot be told from its mean.
    pairs = {who: len(table[[who, "condition"]].drop_duplicates()) for who in called}
    able = [who for who in called if table[who].nunique() < pairs[who] < len(table)]
    if slopes is None:
        return able
    if isinstance(slopes, str):
        raise TypeError(f"slopes is a list of names, such as [{slopes!r}]; got the text {slopes!r}")
    for name in slopes:
        require_choice(name, tuple(called.values()), what="name in slopes")
    chosen = [who for who, name in called.items() if name in slopes]
    for who in chosen:
        if who not in able:
            raise ValueError(
                f"no {called[who]!r} has trials of several {fixed!r}, or each of these one trial only: the effect's "
                f"variance over them cannot be estimated; leave {called[who]!r} out of slopes"
            )
    return chosen


def _components(
    table: pd.DataFrame, called: dict[str, str], slopes: list[str], fixed: str, *, trials: bool
) -> dict[str, str]:
    """Add a column of level numbers for every interaction; all random columns and what they are called."""
    words = dict(called)
    table["trial"] = pd.factorize(table["subject"] * (table["stimulus"].max() + 1) + table["stimulus"])[0]
    # Where every stimulus was shown to one subject only, the stimulus is the trial.
    most = max(table[who].nunique() for who in called)
    pairs = len(table[["trial", "condition"]].drop_duplicates())
    if trials and most < table["trial"].nunique() < pairs:
        words["trial"] = " x ".join(called.values())
    for who in slopes:
        levels = table[who] * (table["condition"].max() + 1) + table["condition"]
        table[f"{who}_condition"] = pd.factorize(levels)[0]
        words[f"{who}_condition"] = f"{called[who]} x {fixed}"
    return words


def _require_told_apart(table: pd.DataFrame, words: dict[str, str]) -> None:
    for column, word in words.items():
        levels = table[column].nunique()
        if levels >= len(table):
            raise ValueError(
                f"{word!r} has {levels} levels for {len(table)} trials: its variance cannot be told from the residual; "
                "give several trials of each, or label what they share"
            )
    columns = list(words)
    for i, one in enumerate(columns):
        for other in columns[i + 1 :]:
            both = len(table[[one, other]].drop_duplicates())
            if both == table[one].nunique() == table[other].nunique():
                raise ValueError(
                    f"{words[one]!r} and {words[other]!r} divide the trials alike: their variances cannot be told apart"
                )


def _require_room(table: pd.DataFrame, words: dict[str, str]) -> None:
    """Refuse what statsmodels, which holds a column a level several times, cannot hold."""
    levels = sum(table[k].nunique() for k in words)
    require_memory(
        8 * levels * (6 * len(table) + 4 * levels),
        what=f"a mixed model of {len(table)} trials with {levels} random levels",
        remedy="give trials=False or fewer slopes, or average repeats",
    )


def _fitted(table: pd.DataFrame, components: list[str]) -> tuple[np.ndarray, dict[str, float], bool]:
    """Fixed effects, the variances (the residual's last), and whether it converged; of scaled scores.

    From its own start statsmodels' optimisers stop early where a variance is small, at times with their flag up. It
    begins at the optimum that is found here, without the components that are 0 there, which it cannot hold: its own
    gradient then confirms the optimum, or the fit has not converged.
    """
    import statsmodels.formula.api as formulas
    from statsmodels.regression.mixed_linear_model import MixedLMParams

    y, numbers = table["score"].to_numpy(), {name: table[name].to_numpy() for name in components}
    fixed = "score ~ C(condition)"
    plain = formulas.ols(fixed, table)
    try:
        found = variance_ratios(y, plain.exog, list(numbers.values()))
    except np.linalg.LinAlgError as error:
        raise ValueError(NO_REST) from error
    ratios = dict(zip(components, found, strict=True))
    kept = sorted(name for name, ratio in ratios.items() if ratio > ZERO)
    variances = dict.fromkeys(components, 0.0)
    if not kept:
        result = plain.fit()
        return result.params.values, variances | {"residual": float(result.scale)}, True
    # All rows are one group: crossed effects are components within it.
    parts = {name: f"0 + C({name})" for name in kept}
    model = formulas.mixedlm(fixed, table.assign(whole=1), groups="whole", vc_formula=parts)
    start = MixedLMParams(model.k_fe, 0, len(kept))
    start.vcomp = np.array([ratios[name] for name in kept])
    with warnings.catch_warnings():
        # Its warnings speak of its own scale; what they would say is in the result.
        warnings.simplefilter("ignore")
        result = model.fit(start_params=start, reml=True)
    if result.scale < EXACT:
        raise ValueError(NO_REST)
    variances |= dict(zip(kept, map(float, result.vcomp), strict=True))
    converged = bool(result.converged) and bool(np.isfinite(result.bse_fe).all())
    return result.fe_params.values, variances | {"residual": float(result.scale)}, converged


def _precision(table: pd.DataFrame, variances: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Standard error and degrees of freedom of every term; components estimated as 0 have no part in them.

    Both are of one variance, inv(X' inv(V) X): statsmodels' own errors invert the information of effects and
    variances together, whose parts are only apart where trials are balanced.
    """
    condition = table["condition"].to_numpy()
    x = (condition[:, None] == np.arange(condition.max() + 1)).astype(float)
    x[:, 0] = 1.0
    kept = [k for k, v in variances.items() if v > 0 and k != "residual"]
    if not kept:
        variance = variances["residual"] * np.diag(np.linalg.inv(x.T @ x))
        return np.sqrt(variance), np.full(x.shape[1], float(len(x) - x.shape[1]))
    levels = [table[k].to_numpy() for k in kept]
    return satterthwaite(x, levels, np.array([variances[k] for k in kept]), variances["residual"])


def _warn(converged: bool, sizes: dict[str, int], called: dict[str, str], df: float | None) -> None:
    if not converged:
        warnings.warn(
            "the mixed model did not converge: do not trust its errors, intervals and p; give fewer slopes, leave out "
            "conditions with few trials, or compare subjects' means with inference.compare",
            UserWarning,
            stacklevel=3,
        )
    enough = FEW if df is not None and np.isinf(df) else FEWEST if df is None else 0
    few = [f"{n} {quoted(called[who])}" for who, n in sizes.items() if n < enough]
    if few:
        way = (
            "Wald's z makes" if df is not None else "their own degrees of freedom (Satterthwaite) still make"
        )
        other = f"give df={min(sizes.values()) - 1}" if df is None else "leave df out (Satterthwaite's)"
        warnings.warn(
            f"with {' and '.join(few)} variances are hardly known, and {way} intervals too narrow and p too small; "
            f"{other}, or compare subjects' means with inference.compare",
            UserWarning,
            stacklevel=3,
        )
