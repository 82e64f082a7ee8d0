"""Comparisons and mixed models as tables: Markdown, LaTeX or CSV."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from .. import tables
from ..labels import require_choice

COMPARED = (
    *("difference", "low", "high", "boot_low", "boot_high", "t", "p", "p_corrected"),
    *("p_flip", "p_flip_corrected", "d_z", "g_z"),
)
MODELLED = ("estimate", "se", "low", "high", "z", "df", "p")


def written(result: xr.Dataset, *, form: str = "markdown") -> str:
    """Write a comparison or a mixed model as text.

    Parameters
    ----------
    result : Dataset from :func:`compare` (a line an entry) or :func:`mixed` (a line a term, then one a component)
    form : "markdown", "latex" or "csv"
        Markdown and LaTeX round, and write numbers of subjects, trials and the correction under the table (in a comment
        above it); CSV has every number to 6 digits.

    Raises
    ------
    ValueError
        For another form, naming the three, or a result of another call.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> first = xr.DataArray(0.5 + 0.1 * rng.normal(size=8), {"subject": [f"s{i}" for i in range(8)]}, "subject")
    >>> found = nd.inference.compare(first + 0.2 + 0.01 * rng.normal(size=8), first, n_bootstrap=200)
    >>> "p" in nd.inference.written(found)
    True
    """
    require_choice(form, tables.FORMS, what="form")
    if "d_z" in result:
        return _compared(result, form)
    if "component" in result.dims:
        return _modelled(result, form)
    raise ValueError(
        f"written takes the result of inference.compare or inference.mixed, not one of "
        f"{tuple(map(str, result.data_vars))}; give one of these"
    )


def _compared(found: xr.Dataset, form: str) -> str:
    attrs = found.attrs
    dims = list(found["difference"].dims)
    entries = [dict(zip(dims, at, strict=True)) for at in np.ndindex(found["difference"].shape)]
    titles = [_titles(found, at) for at in entries]
    rows = [found.isel(at) for at in entries]
    if form == "csv":
        lines = [
            [*title, *_digits(row, COMPARED), str(attrs["n"])]
            for title, row in zip(titles, rows, strict=True)
        ]
        return tables.comma_separated([*map(str, dims), *COMPARED, "n"], lines)
    corrected = [] if attrs["correction"] == "none" else ["p_flip_corrected"]
    names = [f"{attrs['a']} - {attrs['b']}", "interval", "bootstrap", f"t({attrs['df']})", "p", "p flip"]
    head = [*map(str, dims), *names, *(f"p flip, {attrs['correction']}" for _ in corrected), "d_z", "g_z"]
    lines = [
        [
            *title,
            f"{float(row['difference']):+.3f}",
            _interval(row, "low", "high"),
            _interval(row, "boot_low", "boot_high"),
            f"{float(row['t']):.2f}",
            *(_p(float(row[k])) for k in ("p", "p_flip", *corrected)),
            *(f"{float(row[k]):.2f}" for k in ("d_z", "g_z")),
        ]
        for title, row in zip(titles, rows, strict=True)
    ]
    note = (
        f"n = {attrs['n']} {attrs['over']}s{_in_units(attrs)}; intervals at {100 * attrs['level']:g}% by Student's "
        f"t and by the bootstrap; two-sided p, correction over entries: {attrs['correction']}"
    )
    return _text(head, lines, note, form, texts=len(dims))


def _modelled(found: xr.Dataset, form: str) -> str:
    attrs = found.attrs
    terms = [found.sel(term=name) for name in found["term"].values]
    components = [found.sel(component=name) for name in found["component"].values]
    own = isinstance(attrs["df"], str)
    if form == "csv":
        known = [k for k in MODELLED if k in found]  # results of earlier versions have one df, in their attrs
        blank = [""] * (len(known) - 1)
        lines = [["fixed", str(row["term"].item()), *_digits(row, known), ""] for row in terms]
        lines += [
            [
                "variance",
                str(row["component"].item()),
                *_digits(row, ["variance"]),
                *blank,
                str(int(row["n_levels"])),
            ]
            for row in components
        ]
        return tables.comma_separated(["kind", "name", *known, "n_levels"], lines)
    lines = [
        [
            str(row["term"].item()),
            f"{float(row['estimate']):+.3f} ± {float(row['se']):.3f}",
            _interval(row, "low", "high"),
            f"{float(row['z']):.2f}" + (f" ({float(row['df']):.1f})" if own else ""),
            _p(float(row["p"])),
        ]
        for row in terms
    ]
    lines += [
        [
            f"variance of {row['component'].item()} (n = {int(row['n_levels'])})",
            f"{float(row['variance']):.4g}",
            *[""] * 3,
        ]
        for row in components
    ]
    statistic = "t (df)" if own else "z" if np.isinf(attrs["df"]) else f"t({attrs['df']:g})"
    note = (
        f"n = {attrs['n']} trials, {attrs['n_subjects']} {attrs['subjects']}s, {attrs['n_stimuli']} "
        f"{attrs['stimuli']} labels{_in_units(attrs)}; estimate and standard error by REML, "
        f"intervals at {100 * attrs['level']:g}%"
    )
    if not attrs["converged"]:
        note += "; NOT CONVERGED"
    return _text([str(attrs["fixed"]), "estimate", "interval", statistic, "p"], lines, note, form, texts=1)


def _text(head: list[str], lines: list[list[str]], note: str, form: str, *, texts: int) -> str:
    if form == "markdown":
        return tables.markdown(head, lines, note=note)
    return tables.latex(head, lines, note=note, texts=texts)


def _titles(found: xr.Dataset, at: Mapping[Hashable, int]) -> list[str]:
    return [_name(found[d].values[i]) for d, i in at.items()]


def _name(label: Any) -> str:
    return f"{label:g}" if isinstance(label, float | np.floating) else str(label)


def _digits(row: xr.Dataset, names: tuple[str, ...] | list[str]) -> list[str]:
    return [f"{float(row[k]):.6g}" for k in names]


def _interval(row: xr.Dataset, low: str, high: str) -> str:
    return f"{float(row[low]):.3f} to {float(row[high]):.3f}"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _in_units(attrs: Mapping[Any, Any]) -> str:
    return f", in {attrs['units']}" if "units" in attrs else ""
