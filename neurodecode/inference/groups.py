"""Means over subjects, tests against chance, false-discovery rates."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from ..checks import require_share, require_texts
from ..labels import (
    require_array,
    require_choice,
    require_filled,
    require_finite,
    require_real,
    require_squares,
    require_unique,
)

# Corrections for false discoveries, and what mne.stats calls them.
FDR = {"bh": ("Benjamini-Hochberg", "indep"), "by": ("Benjamini-Yekutieli", "negcorr")}


def group(scores: xr.DataArray, *, over: str = "subject") -> xr.Dataset:
    """Mean and standard error over subjects (or another dimension).

    Parameters
    ----------
    scores : (..., subject, ...); folds, if any, are averaged first within each subject
    over : str

    Returns
    -------
    Dataset: ``mean``, ``sem`` (SD / sqrt(n), n - 1 in the SD; NaN for one subject), ``n``, ``values`` (..., subject)
    and, where it is known, ``chance``; attrs of the scores, with chance where it is the same everywhere.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> scores = xr.DataArray([[0.2, 0.4, 0.6]], {"region": ["V1"]}, ("region", "subject"), attrs={"chance": 0.0})
    >>> found = nd.inference.group(scores)
    >>> round(float(found["mean"][0]), 2), round(float(found["sem"][0]), 3)
    (0.4, 0.115)
    """
    values = by_subject(scores, over)
    n = values.notnull().sum(over)
    mean = values.mean(over)
    variance = ((values - mean) ** 2).sum(over) / (n - 1).where(n > 1)
    data: dict[str, xr.DataArray] = {"mean": mean, "sem": (variance / n) ** 0.5, "n": n, "values": values}
    level = chance_of(scores, over)
    if level is not None:
        data["chance"] = (level.mean(over) if over in level.dims else level).broadcast_like(mean)
        values = data["values"] = values.drop_vars("chance", errors="ignore")
    attrs = {k: v for k, v in scores.attrs.items() if k != "chance"} | {"over": over}
    if level is not None and float(level.max() - level.min()) < 1e-9:
        attrs["chance"] = float(level.max())
    return xr.Dataset({k: v.drop_vars("chance", errors="ignore") for k, v in data.items()}, attrs=attrs)


def fdr(p: xr.DataArray, *, alpha: float = 0.05, method: str = "bh") -> xr.Dataset:
    """Correct all entries of ``p`` for false discoveries, by mne.stats.

    Parameters
    ----------
    p : (...)
    alpha : float
    method : {"bh", "by"}
        Benjamini & Hochberg (1995), for independent or positively dependent tests; Benjamini & Yekutieli (2001), for
        any, which multiplies p by the sum of 1 / i over the number of tests more.

    Returns
    -------
    Dataset: ``significant`` (boolean) and ``p`` corrected, of the dims of ``p``.

    Raises
    ------
    ValueError
        If p is not between 0 and 1, or NaN.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> nd.inference.fdr(xr.DataArray([0.01, 0.02, 0.5], dims="region"))["p"].values
    array([0.03, 0.03, 0.5 ])
    """
    from mne.stats import fdr_correction

    require_choice(method, tuple(FDR), what="method")
    require_share(alpha=alpha, such=".05")
    require_real(require_array(p, who="p"), who="p")
    require_finite(p, who="p")
    if not p.size:
        raise ValueError(f"p is empty, shape {p.shape}: there is nothing to correct; give at least one p")
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p must lie from 0 to 1, found {float(p.min()):g} to {float(p.max()):g}")
    named, theirs = FDR[method]
    reject, corrected = fdr_correction(p.values, alpha=alpha, method=theirs)
    data = {"significant": p.copy(data=reject), "p": p.copy(data=corrected)}
    return xr.Dataset(data, attrs={"alpha": alpha, "correction": named})


def above_chance(scores: xr.DataArray, *, over: str = "subject", alpha: float = 0.05) -> xr.Dataset:
    """Is each score above chance over subjects? One-sided t-test, corrected over all entries (:func:`fdr`).

    Parameters
    ----------
    scores : (..., subject) with the coordinate ``chance`` or attrs["chance"] (else 0)
        Folds, if any, are averaged first within each subject. A subject without a score is left out of that test.
    over : str
        The dimension of what was drawn at random.
    alpha : float

    Returns
    -------
    Dataset: ``score`` (the input), ``p`` corrected, and ``significant``; attrs of the scores.

    Raises
    ------
    ValueError
        Without the dimension ``over``, if a label on it is there twice, or where scores have no chance level (NaN).

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> values = [[0.3, 0.4, 0.5, 0.4], [0.2, -0.3, 0.1, 0.0]]
    >>> scores = xr.DataArray(values, {"region": ["V1", "LO"]}, ("region", "subject"), attrs={"chance": 0.0})
    >>> nd.inference.above_chance(scores)["significant"].values
    array([ True, False])
    """
    from scipy.stats import ttest_1samp

    values = by_subject(scores, over)
    n = values.sizes[over]
    like = values.isel({over: 0}, drop=True)
    # One subject allows no test over subjects: p is 1, nothing is claimed.
    p = np.ones(like.shape)
    level = chance_of(scores, over)
    above = (values if level is None else values - level).transpose(*values.dims)
    unknown = 0 if level is None else int((values.notnull() & ~np.isfinite(level)).sum())
    if unknown:
        raise ValueError(
            f"{unknown} of {values.size} scores have no chance level ('chance' is NaN or infinite there); give it, "
            "with .assign_coords(chance=...), or select the others"
        )
    axis = above.get_axis_num(over)
    counts = above.notnull().sum(over).transpose(*like.dims)
    if int(counts.max()) > 1:
        with warnings.catch_warnings():
            # Of entries with a subject or none, which get p = 1.
            warnings.simplefilter("ignore", RuntimeWarning)
            tested = ttest_1samp(above.values, 0.0, axis=axis, alternative="greater", nan_policy="omit")
        p = np.where(counts.values > 1, np.ma.filled(tested.pvalue, np.nan), 1.0)
    found = fdr(like.copy(data=np.nan_to_num(p, nan=1.0)), alpha=alpha)
    data = {"score": scores, "p": found["p"], "significant": found["significant"]}
    some = counts.values[counts.values > 1]
    some = some if some.size else np.array([n])
    of = f"{some.min()} to {some.max()}" if some.min() < some.max() else f"{some.max()}"
    test = f"one-sided t-test over {of} {over}s, Benjamini-Hochberg"
    return xr.Dataset(data, attrs=dict(scores.attrs) | {"alpha": alpha, "test": test})


def chance_of(scores: xr.DataArray, over: str) -> xr.DataArray | None:
    """Chance level of every score, folds averaged: the coordinate ``chance``, else attrs["chance"], else None."""
    if "chance" in scores.coords:
        require_real(scores.coords["chance"], who="the chance of scores")
        level = scores.coords["chance"].drop_vars("chance")
        if "fold" not in level.dims or over == "fold":
            return level
        bare = scores.drop_vars("chance")
        # The chance of the folds that were scored, and no others.
        return level.where(bare.notnull()).mean("fold") if bool(bare.isnull().any()) else level.mean("fold")
    stated = scores.attrs.get("chance")
    return None if stated is None or not np.isfinite(stated) else xr.DataArray(float(stated))


def by_subject(scores: xr.DataArray, over: str) -> xr.DataArray:
    """Check that scores have the dimension ``over``, no label on it twice, and average folds within each subject."""
    require_real(require_array(scores, who="scores"), who="scores")
    require_texts(over=over)
    if over not in scores.dims:
        raise ValueError(f"scores have no dimension {over!r}; there are {tuple(map(str, scores.dims))}")
    require_filled(scores, who="scores", give=f"at least one {over}")
    if over in scores.coords:
        # Who is there twice would count as two that were drawn independently.
        require_unique(scores, over, who="scores")
    require_squares(scores, who="scores")
    # Half precision is too coarse to average, and SciPy knows no long floats.
    scores = scores.astype(np.float64, copy=False)
    return scores.mean("fold", keep_attrs=True) if "fold" in scores.dims and over != "fold" else scores
