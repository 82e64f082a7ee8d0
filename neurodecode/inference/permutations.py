"""What scores are worth beside those under the null hypothesis: exact p, corrected for how many were looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .. import store
from ..checks import names_in, require_flags, require_share, require_texts
from ..labels import (
    PERMUTATION,
    listed,
    require_array,
    require_choice,
    require_finite,
    require_real,
    require_same,
)
from .groups import fdr

TAILS = ("greater", "two-sided")
CORRECTIONS = {
    "max": ("p_max", "max-statistic (Westfall & Young 1993)"),
    "bh": ("p_bh", "Benjamini-Hochberg"),
    "by": ("p_by", "Benjamini-Yekutieli"),
    "none": ("p", "none"),
}
# Scores that differ by less than this share of the largest count as equal: float32 sums to about so many digits.
TIE = 1e-6
# A spread below this share of the largest value is rounding.
FLAT = 1e-9


def permutation(
    scores: xr.DataArray,
    null: xr.DataArray,
    *,
    over: str | None = "subject",
    tail: str = "greater",
    family: str | Iterable[str] | None = None,
    standardise: bool = True,
    correction: str = "max",
    alpha: float = 0.05,
) -> xr.Dataset:
    """Test scores against their permutations: p for each, and corrected for all of them.

    With m permutations of which b score as high as the data or higher, p = (b + 1) / (m + 1): the data's own order is
    one of those that were equally likely (Phipson & Smyth 2010). Folds are averaged, then what ``over`` names, in the
    data and in each permutation alike: a mean over people is tested against means over people.

    Parameters
    ----------
    scores : (...)
        Of the data, as :func:`neurodecode.temporal.sweep` or another analysis returns them.
    null : (permutation, ...)
        See :func:`null` and :func:`neurodecode.temporal.sweep_null`.
    over : str, optional
        Averaged, where it is a dimension. None: each is tested on its own, and counts in the correction.
    tail : {"greater", "two-sided"}
        Two-sided tests look at the distance from the mean of all permutations and the data.
    family : dimension or several, optional
        Entries along these are corrected together, other dimensions stand for themselves: family="window" corrects over
        time for each feature space alone. By default all.
    standardise : bool
        Compare, for the largest of a permutation, scores about the mean and in units of the SD of their permutations,
        so that noisy entries and those of higher chance do not decide alone. False: scores as they are. p and the false
        discovery rates do not depend on it.
    correction : {"max", "bh", "by", "none"}
        By which ``significant`` is decided.
    alpha : float

    Returns
    -------
    Dataset
        ``score``, its ``null_mean``, ``p``, and corrected ``p_max`` (by the largest score of each permutation,
        Westfall & Young 1993, which knows how entries depend on each other), ``p_bh`` (Benjamini & Hochberg 1995; for
        independent or positively dependent entries), ``p_by`` (Benjamini & Yekutieli 2001; for any), ``significant``
        (the chosen one <= alpha), ``threshold`` (the score above which p_max <= alpha; of a two-sided test the upper
        one; infinite if none is). Attrs n_permutations, all (whether these are all orders), tail, correction, alpha,
        family, provenance.

    Raises
    ------
    ValueError
        If labels of both differ, values are missing, or names are unknown.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> null = xr.DataArray(rng.normal(size=(99, 2)), {"permutation": np.arange(99)}, ("permutation", "region"))
    >>> found = nd.inference.permutation(xr.DataArray([5.0, 0.0], dims="region"), null)
    >>> float(found["p"][0]), bool(found["p"][1] > 0.1)
    (0.01, True)
    """
    require_choice(tail, TAILS, what="tail")
    require_choice(correction, tuple(CORRECTIONS), what="correction")
    require_share(alpha=alpha, such=".05")
    require_flags(standardise=standardise)
    require_texts(**({} if over is None else {"over": over}))
    found, drawn = _alike(scores, null, over)
    together = _family(found, family)
    pool = xr.concat(
        [found, drawn.drop_vars(PERMUTATION, errors="ignore")], dim=PERMUTATION, coords="minimal"
    )
    compared = _Compared.of(pool, tail=tail, standardise=standardise)
    largest = compared.scaled.max(together)
    data = {
        "score": found,
        "null_mean": drawn.mean(PERMUTATION),
        "p": (p := _share(compared.raw, compared.raw, compared.tie)),
        "p_max": _share(largest, compared.scaled, compared.tie / compared.sd),
        "p_bh": _discovered(p, together, "bh", alpha),
        "p_by": _discovered(p, together, "by", alpha),
        "threshold": compared.origin + compared.sd * _critical(largest, alpha) + compared.tie,
    }
    chosen, named = CORRECTIONS[correction]
    data["significant"] = data[chosen] <= alpha
    attrs = {
        "n_permutations": drawn.sizes[PERMUTATION],
        "all": int(null.attrs.get("all", 0)),
        "tail": tail,
        "correction": named,
        "alpha": alpha,
        "family": ", ".join(together),
        "standardise": int(standardise),
        "over": ", ".join(d for d in ("fold", over) if d is not None and d in scores.dims),
    }
    kept = {k: scores.attrs[k] for k in ("score", "units", "chance", "simulated") if k in scores.attrs}
    clean = {k: v.transpose(*found.dims).drop_attrs() for k, v in data.items()}
    result = xr.Dataset(clean, attrs={**kept, **attrs})
    return _stamped(result, scores, null, attrs)


def _stamped(
    result: xr.Dataset, scores: xr.DataArray, null: xr.DataArray, attrs: dict[str, Any]
) -> xr.Dataset:
    parameters = {**attrs, "scores": scores.attrs.get("provenance")}
    try:
        record = store.provenance(null)
    except ValueError:
        record = {}
    drawn = record.get("parameters", {})
    parameters |= {k: drawn[k] for k in ("blocks", "sides", "refit") if k in drawn}
    return store.stamp(
        result,
        what="inference.permutation",
        parameters=parameters,
        seed=record.get("seed"),
        data={"scores": scores, "null": null},
    )


def _alike(scores: xr.DataArray, null: xr.DataArray, over: str | None) -> tuple[xr.DataArray, xr.DataArray]:
    """Both in float64, averaged alike, once their labels are known to be the same."""
    require_array(scores, who="scores")
    require_array(null, who="null")
    if PERMUTATION not in null.dims or set(null.dims) - {PERMUTATION} != set(scores.dims):
        raise ValueError(
            f"null has the dimensions {tuple(map(str, null.dims))}, scores {tuple(map(str, scores.dims))}: give "
            "'permutation' and those of the scores, from the same analysis"
        )
    require_real(scores, who="scores")
    require_real(null, who="null")
    for dim in map(str, scores.dims):
        if dim in scores.coords or dim in null.coords:
            require_same(scores, null, dim, who=("scores", "null"))
    for name in ("score", "units"):
        own, theirs = (a.attrs.get(name) for a in (scores, null))
        if own is not None and theirs is not None and own != theirs:
            raise ValueError(
                f"scores have the {name} {own!r}, null {theirs!r}: compute both by the same analysis"
            )
    pair = [a.drop_vars("chance", errors="ignore").astype(np.float64) for a in (scores, null)]
    if bool((pair[0].isnull() != pair[1].isnull()).any()):
        own, theirs = (int(a.isnull().sum()) for a in pair)
        raise ValueError(
            f"null has {theirs} NaN and scores have {own}, in different places: compute both by the same analysis"
        )
    # A subject with fewer folds lacks the others in both.
    pair = [a.mean("fold") if "fold" in a.dims else a for a in pair]
    for array, who in zip(pair, ("scores", "null"), strict=True):
        require_finite(array, who=who)
    found, drawn = (a.mean(over) if over is not None and over in a.dims else a for a in pair)
    return found, drawn


def _family(found: xr.DataArray, family: str | Iterable[str] | None) -> list[str]:
    names = [*map(str, found.dims)] if family is None else names_in(family, what="family")
    unknown = [d for d in names if d not in found.dims]
    if unknown:
        raise ValueError(
            f"family names no dimension of the averaged scores: {listed(unknown)}; there are {listed(found.dims)}"
        )
    return names


@dataclass(frozen=True)
class _Compared:
    """What is compared of the data, which come first, and each permutation.

    ``raw`` (permutation, ...) is the score, or its distance from the mean; ``scaled`` that in units of ``sd``. ``tie``
    (...) is the difference of raw values that counts as none. ``origin + sd * scaled`` is a score.
    """

    raw: xr.DataArray
    scaled: xr.DataArray
    origin: xr.DataArray
    sd: xr.DataArray
    tie: xr.DataArray

    @classmethod
    def of(cls, pool: xr.DataArray, *, tail: str, standardise: bool) -> _Compared:
        mean, size = pool.mean(PERMUTATION), abs(pool).max(PERMUTATION)
        raw = pool if tail == "greater" else abs(pool - mean)
        sd = xr.ones_like(mean)
        if standardise:
            # What does not vary has no SD; it is at its mean anyway.
            sd = pool.std(PERMUTATION)
            sd = sd.where(sd > FLAT * size, 1.0)
        origin = mean if standardise or tail != "greater" else xr.zeros_like(mean)
        scaled = (raw - origin if tail == "greater" else raw) / sd
        return cls(raw, scaled, origin, sd, TIE * size)


def _share(drawn: xr.DataArray, compared: xr.DataArray, tie: xr.DataArray) -> xr.DataArray:
    """Share of permutations, the data among them, that reach the data's values: (b + 1) / (m + 1)."""
    reached = drawn >= compared.isel({PERMUTATION: 0}, drop=True) - tie
    return reached.sum(PERMUTATION) / drawn.sizes[PERMUTATION]


def _critical(largest: xr.DataArray, alpha: float) -> xr.DataArray:
    """What must be exceeded for a share of at most alpha to reach it."""
    count = largest.sizes[PERMUTATION]
    allowed = int(np.floor(alpha * count + 1e-9))
    descending = -np.sort(-largest.transpose(PERMUTATION, ...).values, axis=0)
    like = largest.isel({PERMUTATION: 0}, drop=True)
    return like.copy(data=descending[allowed] if allowed else np.full(like.shape, np.inf))


def _discovered(p: xr.DataArray, together: list[str], method: str, alpha: float) -> xr.DataArray:
    """Corrected p, one family after the other."""
    rest = [d for d in p.dims if d not in together]
    corrected = p.transpose(*rest, *together).copy()
    for place in np.ndindex(*(p.sizes[d] for d in rest)):
        one = corrected[place]
        corrected[place] = fdr(one, alpha=alpha, method=method)["p"].values
    return corrected
