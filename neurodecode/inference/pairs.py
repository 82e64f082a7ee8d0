"""Paired comparisons over subjects: differences with their limits, tests, and effect sizes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from .. import store
from ..checks import require_counts, require_share
from ..labels import KEPT, listed, require_array, require_choice, require_draws, require_real, require_same
from ..solve.intervals import expanded, reach_by_t
from .groups import by_subject

# Up to so many units every flip of signs is taken (2,048 up to symmetry), beyond it random ones.
EXACT = 12
# Flips or draws, and entries, that are held at a time.
BLOCK = 1024
IN_UNITS = ("difference", "low", "high", "boot_low", "boot_high", "mean_a", "mean_b", "values")
# What statsmodels calls the corrections.
CORRECTIONS = {"none": None, "holm": "holm", "fdr": "fdr_bh"}


def compare(
    a: xr.DataArray,
    b: xr.DataArray,
    *,
    over: str = "subject",
    level: float = 0.95,
    correction: str = "holm",
    missing: str = "raise",
    n_permutations: int = 9999,
    n_bootstrap: int = 5000,
    seed: int = 0,
) -> xr.Dataset:
    r"""Compare two scores of the same subjects: two regions, decoders, conditions or windows; ``a`` minus ``b``.

    With d the differences of n subjects, m their mean and s their SD (n - 1): t = m / (s / sqrt(n)).

    Parameters
    ----------
    a, b : (over, ...)
        Of the same units and labels, matched by label. Folds, if any, are averaged first within each subject. What
        tells the two apart may stay as a coordinate without dimension (``.sel(region="V1")``, ``.sel(region="V2")``).
    over : str
        The dimension of what was drawn at random and is compared with itself: subjects.
    level : float
        Of the intervals; 1 - level is the p below which ``significant`` is true.
    correction : "holm", "fdr" or "none"
        Over all entries of the other dimensions: "holm" bounds the chance of any false claim (Holm 1979), "fdr" the
        share of false claims (Benjamini & Hochberg 1995).
    missing : "raise" or "omit"
        What to do with subjects that lack a value: refuse them, or leave them out of all entries, by name.
    n_permutations : int
        Random flips of signs, where there are more than 12 subjects; all 2^n of them otherwise.
    n_bootstrap, seed : int
        Draws of the bootstrap; of its random numbers and those of random flips. All entries share flips and draws.

    Returns
    -------
    Dataset (...)
        ``difference`` (m), in the scores' units, with ``low`` and ``high`` by Student's t and ``boot_low`` and
        ``boot_high`` by the bootstrap over subjects: quantiles of the means of n drawn with replacement, taken at
        Phi(-sqrt(n / (n - 1)) t), t the quantile of Student's with n - 1, so that normal data get the t interval
        ("expanded percentile", Hesterberg 2015).
        ``t``, two-sided ``p``; ``p_flip``, the share of flips of the subjects' signs that give at least abs(m), of all,
        or (b + 1) / (n_permutations + 1) for random ones; both corrected, ``p_corrected`` and ``p_flip_corrected``, and
        ``significant``: p_flip_corrected <= 1 - level.
        ``d_z`` = m / s (Cohen 1988) and ``g_z`` = J d_z with J = Gamma(v / 2) / (sqrt(v / 2) Gamma((v - 1) / 2)),
        v = n - 1, without d_z's bias in small groups (Hedges 1981).
        ``mean_a``, ``mean_b`` and ``values`` (over, ...), the differences. Attrs n, df, left_out (subjects), a and b
        (what tells them apart), flips ("all" or their number), the settings, units, provenance.
        Where differences do not vary there is no t and no effect size (NaN), and its p is 1.

    Raises
    ------
    TypeError
        For anything but labelled arrays.
    ValueError
        If labels, dimensions, units or the score differ, if values are missing or infinite, for fewer than 2 subjects,
        or for settings out of range.

    Warns
    -----
    UserWarning
        If there are so few subjects, or flips, that no p_flip can reach 1 - level, and for subjects left out.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> labels = {"subject": [f"s{i}" for i in range(8)]}
    >>> first = xr.DataArray(0.5 + 0.1 * rng.normal(size=8), labels, "subject")
    >>> found = nd.inference.compare(first + 0.2 + 0.01 * rng.normal(size=8), first, n_bootstrap=200)
    >>> round(float(found["difference"]), 2), bool(found["significant"])
    (0.2, True)
    """
    require_choice(correction, tuple(CORRECTIONS), what="correction")
    require_choice(missing, ("raise", "omit"), what="way with missing values")
    _require_settings(level, n_permutations, n_bootstrap, seed)
    names = told_apart(require_array(a, who="a"), require_array(b, who="b"))
    first, second, left_out = paired(a, b, over, missing)
    n = first.sizes[over]
    drawn = 0.0 if n <= EXACT else 1 / (n_permutations + 1)
    smallest = max(2.0 ** (1 - n), drawn)
    if smallest > 1 - level:
        few, what = (n_permutations, "permutations") if smallest == drawn else (n, f"{over}s")
        warnings.warn(
            f"with {few} {what} the smallest possible p_flip is {smallest:.3g}: nothing can be significant at "
            f"{1 - level:.3g}; take more {what}",
            UserWarning,
            stacklevel=2,
        )
    x, y = (v.values.reshape(n, -1) for v in (first, second))
    statistics = {
        **_by_t(x, y, level),
        **_by_bootstrap(x - y, level, n_bootstrap, np.random.default_rng(seed)),
        "p_flip": _flipped(x - y, n_permutations, np.random.default_rng(seed)),
    }
    for test in ("p", "p_flip"):
        statistics[f"{test}_corrected"] = _corrected(statistics[test], correction)
    statistics["significant"] = statistics["p_flip_corrected"] <= 1 - level
    # Whether arithmetic keeps the scores' attrs is an option of xarray: p has no units.
    values = (first - second).drop_attrs(deep=False).assign_attrs(drawn_by(a))
    like = values.isel({over: 0}, drop=True)
    arrays = {k: like.copy(data=v.reshape(like.shape)) for k, v in statistics.items()} | {"values": values}
    for name in IN_UNITS:
        arrays[name].attrs |= {k: v for k, v in first.attrs.items() if k == "units"}
    settings = {"over": over, "level": level, "correction": correction, "missing": missing}
    parameters = {**settings, "n_permutations": n_permutations, "n_bootstrap": n_bootstrap}
    attrs = {
        **{k: v for k, v in first.attrs.items() if k in ("score", "units")},
        **parameters,
        "n": n,
        "df": n - 1,
        "flips": "all" if n <= EXACT else n_permutations,
        "left_out": left_out,
        "a": names[0],
        "b": names[1],
        "seed": seed,
    }
    found = xr.Dataset(arrays, attrs=attrs)
    return store.stamp(
        found, what="inference.compare", parameters=parameters, seed=seed, data={"a": a, "b": b}
    )


def _require_settings(level: float, n_permutations: int, n_bootstrap: int, seed: int) -> None:
    require_share(level=level)
    require_counts(n_permutations=n_permutations, n_bootstrap=n_bootstrap, seed=seed)
    for name, number in (("n_permutations", n_permutations), ("n_bootstrap", n_bootstrap)):
        if number < 100:
            raise ValueError(f"{name} must be at least 100, better some thousands; got {number}")


def told_apart(a: xr.DataArray, b: xr.DataArray) -> tuple[str, str]:
    """What the two are called: the coordinates without dimension in which they differ, such as "region V1"."""
    both = [k for k in a.coords if a.coords[k].ndim == 0 and k in b.coords and b.coords[k].ndim == 0]
    differ = [k for k in both if k != "chance" and a.coords[k].item() != b.coords[k].item()]
    first, second = (", ".join(f"{k} {v.coords[k].item()}" for k in differ) for v in (a, b))
    return first or "a", second or "b"


def made_of(a: xr.DataArray, b: xr.DataArray | None) -> Any:
    """Provenance of scores, or of both that were compared, where they have one."""
    if b is None:
        return a.attrs.get("provenance")
    return {
        name: v.attrs["provenance"] for name, v in (("a", a), ("b", b)) if "provenance" in v.attrs
    } or None


def drawn_by(scores: xr.DataArray) -> dict[str, Any]:
    """Attributes by which maps over subjects are drawn: the grid or mesh that all of them share."""
    return {k: scores.attrs[k] for k in KEPT if k in scores.attrs and k != "subject"}


def paired(
    a: xr.DataArray, b: xr.DataArray, over: str, missing: str
) -> tuple[xr.DataArray, xr.DataArray, list[str]]:
    """Both scores, ``over`` first, of the subjects that have all values, and the names of those that do not."""
    first, second = (by_subject(v, over) for v in (a, b))
    if set(first.dims) != set(second.dims):
        raise ValueError(
            f"a has the dimensions {tuple(map(str, first.dims))} and b {tuple(map(str, second.dims))}; select or "
            "average until both have the same"
        )
    for dim in map(str, first.dims):
        require_same(first, second, dim, who=("a", "b"))
    for name in ("units", "score"):
        one, other = (v.attrs.get(name) for v in (a, b))
        if one is not None and other is not None and one != other:
            raise ValueError(
                f"a is in the {name} {one!r} and b in {other!r}: these have no difference; compare scores of one kind"
            )
    first = first.transpose(over, ...)
    second = second.transpose(*first.dims)
    for who, v in (("a", first), ("b", second)):
        require_real(v, who=who)
    first, second = (_bare(v) for v in (first, second))
    whole = np.isfinite(np.stack([v.values.reshape(len(v), -1) for v in (first, second)])).all(axis=(0, 2))
    lacking = [str(v) for v in first[over].values[~whole]]
    if lacking and missing == "raise":
        raise ValueError(
            f"{len(lacking)} of {whole.size} {over}s have missing or infinite values: {listed(lacking)}; complete "
            'them, or leave these out of both with missing="omit"'
        )
    if lacking:
        warnings.warn(
            f"left out {len(lacking)} of {whole.size} {over}s with missing or infinite values: {listed(lacking)}",
            UserWarning,
            stacklevel=3,
        )
    n = int(whole.sum())
    if n < 2:
        raise ValueError(
            f"a comparison over {over!r} needs at least 2 with all values, got {n} of {whole.size}"
        )
    return first[whole], second[whole], lacking


def _bare(values: xr.DataArray) -> xr.DataArray:
    """Float64 without coordinates that may differ between the two: those without dimension, and chance."""
    dropped = [k for k, c in values.coords.items() if c.ndim == 0 or k == "chance"]
    return values.drop_vars(dropped).astype(np.float64)


def _by_t(x: np.ndarray, y: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """Means, t test and effect sizes of columns of x - y, each (n, m)."""
    from scipy import stats

    d, n = x - y, len(x)
    mean, sd = d.mean(axis=0), d.std(axis=0, ddof=1)
    # Differences that are equal but for rounding have a t of rounding errors; they claim nothing.
    varies = sd > 1e-12 * np.maximum(np.abs(x), np.abs(y)).max(axis=0)
    d_z = np.divide(mean, sd, out=np.full_like(mean, np.nan), where=varies)
    t = d_z * np.sqrt(n)
    half = reach_by_t(level, n - 1) * sd / np.sqrt(n)
    return {
        "difference": mean,
        "low": mean - half,
        "high": mean + half,
        "t": t,
        "p": np.where(varies, 2 * stats.t.sf(np.abs(t), n - 1), 1.0),
        "d_z": d_z,
        "g_z": _hedges(n - 1) * d_z,
        "mean_a": x.mean(axis=0),
        "mean_b": y.mean(axis=0),
    }


def _by_bootstrap(
    d: np.ndarray, level: float, n_bootstrap: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Limits of the means of columns of ``d`` (n, m) by the expanded percentile bootstrap (Hesterberg 2015)."""
    n = len(d)
    require_draws(n_bootstrap, n, what="n_bootstrap")
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_bootstrap)
    tails = expanded(level, n)
    limits = np.empty((2, d.shape[1]))
    for start in range(0, d.shape[1], BLOCK):
        part = slice(start, start + BLOCK)
        limits[:, part] = np.quantile(counts @ d[:, part] / n, tails, axis=0)
    return {"boot_low": limits[0], "boot_high": limits[1]}


def _flipped(d: np.ndarray, n_permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Two-sided p of the means of columns of ``d`` (n, m) under flips of the signs of rows."""
    n = len(d)
    observed = np.abs(d.sum(axis=0))
    # Flips that tie with the observed sum but for rounding count; the flip of none is one of them.
    least = observed - 1e-10 * np.abs(d).sum(axis=0)
    # A flip and its mirror image have the same |sum|: the first sign stays.
    total = 2 ** (n - 1) if n <= EXACT else n_permutations
    count = np.zeros(d.shape[1])
    for start in range(0, total, BLOCK):
        size = min(BLOCK, total - start)
        if n <= EXACT:
            bits = np.arange(start, start + size)[:, None] >> np.arange(n) & 1
        else:
            bits = rng.integers(0, 2, size=(size, n))
        for first in range(0, d.shape[1], BLOCK):
            part = slice(first, first + BLOCK)
            count[part] += (np.abs((1 - 2 * bits) @ d[:, part]) >= least[part]).sum(axis=0)
    return count / total if n <= EXACT else (count + 1) / (total + 1)


def _hedges(df: int) -> float:
    """Hedges' factor J without approximation (Hedges 1981); NaN for one degree of freedom, where there is none."""
    from scipy.special import gammaln

    if df < 2:
        return float("nan")
    return float(np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2))


def _corrected(p: np.ndarray, correction: str) -> np.ndarray:
    from statsmodels.stats.multitest import multipletests

    method = CORRECTIONS[correction]
    return p.copy() if method is None else multipletests(p, method=method)[1]
