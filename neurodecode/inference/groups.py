"""Means over subjects, tests against chance, false-discovery rates, clusters over time: tests of mne.stats."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from .. import store
from ..labels import listed, require_array, require_choice, require_finite

WINDOWS = ("window", "train_window", "test_window")
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
    """
    values = by_subject(scores, over)
    n = values.notnull().sum(over)
    mean = values.mean(over)
    variance = ((values - mean) ** 2).sum(over) / (n - 1).where(n > 1)
    data: dict[str, xr.DataArray] = {"mean": mean, "sem": (variance / n) ** 0.5, "n": n, "values": values}
    level = _chance(scores, over)
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
    """
    from mne.stats import fdr_correction

    require_choice(method, tuple(FDR), what="method")
    require_finite(require_array(p, who="p"), who="p")
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
        Folds, if any, are averaged first within each subject.

    Returns
    -------
    Dataset: ``score`` (the input), ``p`` corrected, and ``significant``; attrs of the scores.
    """
    from scipy.stats import ttest_1samp

    values = by_subject(scores, over)
    n = values.sizes[over]
    like = values.isel({over: 0}, drop=True)
    # One subject allows no test over subjects: p is 1, nothing is claimed.
    p = np.ones(like.shape)
    if n > 1:
        level = _chance(scores, over)
        above = values if level is None else values - level
        above = above.transpose(*values.dims)
        p = ttest_1samp(above.values, 0.0, axis=above.get_axis_num(over), alternative="greater").pvalue
    found = fdr(like.copy(data=np.nan_to_num(p, nan=1.0)), alpha=alpha)
    data = {"score": scores, "p": found["p"], "significant": found["significant"]}
    test = f"one-sided t-test over {n} {over}s, Benjamini-Hochberg"
    return xr.Dataset(data, attrs=dict(scores.attrs) | {"alpha": alpha, "test": test})


def clusters(
    scores: xr.DataArray,
    *,
    over: str = "subject",
    chance: float | None = None,
    alpha: float = 0.05,
    n_permutations: int = 1024,
    seed: int = 0,
) -> xr.Dataset:
    """Where are scores above chance? Cluster permutation test over windows, layer by layer (Maris & Oostenveld 2007).

    Subjects' signs are flipped (:func:`mne.stats.permutation_cluster_1samp_test`, one-sided, t threshold at p = .05).

    Parameters
    ----------
    scores : (window | train_window, test_window, layer, subject)
        Folds, if any, are averaged first within each subject.
    chance : float, optional
        Default: the coordinate ``chance`` of the scores, each against its own, or attrs["chance"].

    Returns
    -------
    Dataset: ``p`` of the cluster that each window lies in (1 outside clusters) and ``significant``, p <= alpha.

    Raises
    ------
    ValueError
        Fewer than 2 subjects, an unknown chance, a missing score, a dimension along which there are no neighbours.

    Warns
    -----
    UserWarning
        If there are so few subjects that no cluster can reach ``alpha``.
    """
    from mne.stats import permutation_cluster_1samp_test
    from scipy.stats import t

    values = by_subject(scores, over)
    require_finite(values, who="scores")
    level = _chance(scores, over) if chance is None else xr.DataArray(float(chance))
    if level is None or not np.isfinite(level.values).all():
        raise ValueError("clusters needs the chance level: give chance=...")
    n = values.sizes[over]
    if n < 2:
        raise ValueError(f"a test over {over!r} needs at least 2, got {n}: {listed(values[over].values)}")
    if 0.5**n > alpha:
        warnings.warn(
            f"with {n} {over}s the smallest possible p is {0.5**n:.3g}: nothing can be significant at {alpha:g}",
            UserWarning,
            stacklevel=2,
        )
    time = [str(d) for d in values.dims if d not in (over, "layer")]
    if not time or set(time) - set(WINDOWS):
        raise ValueError(
            f"clusters lie along {listed(WINDOWS)}, but scores have {tuple(map(str, scores.dims))}; select one of the "
            "others, or correct them with fdr"
        )
    ordered = (values - level).transpose(..., over, *time)
    stacked = ordered if "layer" in ordered.dims else ordered.expand_dims("layer")
    p = np.ones((stacked.sizes["layer"], *stacked.shape[2:]))
    threshold = float(t.ppf(1 - 0.05, n - 1))
    for i, layer in enumerate(stacked.values):
        # Where all subjects are alike, t is infinite above chance, rightly, and no number at chance: no cluster there.
        with np.errstate(divide="ignore", invalid="ignore"):
            found = permutation_cluster_1samp_test(
                layer,
                threshold=threshold,
                n_permutations=n_permutations,
                tail=1,
                rng=seed,
                out_type="mask",
                verbose="error",
            )
        for mask, value in zip(found[1], found[2], strict=True):
            p[i][mask] = value
    like = stacked.isel({over: 0}, drop=True)
    array = like.copy(data=p) if "layer" in ordered.dims else like.copy(data=p).isel(layer=0, drop=True)
    attrs = {
        "alpha": alpha,
        "over": over,
        "n": n,
        "n_permutations": n_permutations,
        "seed": seed,
        "tail": 1,
    }
    if level.size == 1 or np.ptp(level.values) < 1e-9:
        attrs["chance"] = float(level.values.flat[0])
    array = array.drop_vars("chance", errors="ignore")
    found = xr.Dataset({"p": array, "significant": array <= alpha}, attrs=attrs)
    parameters = {**attrs, "scores": scores.attrs.get("provenance")}
    return store.stamp(found, what="inference.clusters", parameters=parameters, seed=seed, data=scores)


def _chance(scores: xr.DataArray, over: str) -> xr.DataArray | None:
    """Chance level of every score, folds averaged: the coordinate ``chance``, else attrs["chance"], else None."""
    if "chance" in scores.coords:
        level = scores.coords["chance"].drop_vars("chance")
        return level.mean("fold") if "fold" in level.dims and over != "fold" else level
    stated = scores.attrs.get("chance")
    return None if stated is None or not np.isfinite(stated) else xr.DataArray(float(stated))


def by_subject(scores: xr.DataArray, over: str) -> xr.DataArray:
    """Check that scores have the dimension ``over``, and average folds, if any, within each subject."""
    require_array(scores, who="scores")
    if over not in scores.dims:
        raise ValueError(f"scores have no dimension {over!r}; there are {tuple(map(str, scores.dims))}")
    return scores.mean("fold", keep_attrs=True) if "fold" in scores.dims and over != "fold" else scores
