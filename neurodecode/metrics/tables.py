"""Tables of metrics before and after (Tables 3-8): paired gains with their errors, as Markdown, LaTeX or CSV."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from .. import tables
from ..labels import listed, require_choice, require_dims, require_same
from .protocols import HIGHER

METRIC = "metric"
# A gain counts from twice its standard error on.
CLEAR = 2.0
_WORDS = {1: "better", -1: "worse", 0: ""}


def gains(before: xr.DataArray, after: xr.DataArray, *, over: str) -> xr.Dataset:
    """Gains from one set of values to another, pair by pair.

    ``gain = 100 s (mean(after) - mean(before)) / |mean(before)|``, s = 1 where higher is better, else -1; its standard
    error is that of the paired differences, in the same units.

    Parameters
    ----------
    before, after : (metric, over, ...) with the coordinate ``better`` (metric)
        Values of the same units, such as the two stages of every picture, or every subject's means.
    over : str
        The dimension of the units.

    Returns
    -------
    Dataset (metric, ...)
        ``before``, ``after`` and their standard errors ``before_sem``, ``after_sem``; ``gain`` and ``gain_sem`` in %,
        NaN where the mean before is 0;
        ``clear``: 1 (better) or -1 (worse) where the gain is above twice its standard error, else 0. Coordinate
        ``n``: how many units have both values; attrs: n (of all), over.

    Warns
    -----
    UserWarning
        Where a value is missing: that pair counts in neither mean.

    Raises
    ------
    ValueError
        Without the dimensions, with fewer than 2 units, or units that differ between the two.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> better = ("metric", ["higher"])
    >>> coords = {"metric": ["PixCorr"], "subject": [1, 2, 3], "better": better}
    >>> before = xr.DataArray([[0.4, 0.5, 0.6]], coords, ("metric", "subject"))
    >>> round(float(nd.metrics.gains(before, 1.1 * before, over="subject")["gain"][0]), 1)
    10.0
    """
    for who, values in (("before", before), ("after", after)):
        require_dims(values, (METRIC, over), who=who)
    for dim in (METRIC, over):
        require_same(before, after, dim, who=("before", "after"))
    # What tells the two apart, such as "stage", is of neither's values.
    before, after = (v.drop_vars([k for k, c in v.coords.items() if c.ndim == 0]) for v in (before, after))
    n = before.sizes[over]
    if n < 2:
        raise ValueError(f"a standard error needs at least 2 values along {over!r}, got {n}")
    both = before.notnull() & after.notnull()
    if not bool(both.all()):
        _warn_of_missing(both, over)
        before, after = before.where(both), after.where(both)
    sign = xr.where(after["better"] == HIGHER, 1.0, -1.0)
    mean = before.mean(over)
    change = sign * (after - before)
    moved, error = change.mean(over), _sem(change, over)
    # A tie has no error either; it is no gain.
    clear = xr.where(abs(moved) > CLEAR * error, np.sign(moved), 0).fillna(0).astype(int)
    # Nothing grows by a share of 0.
    gain, error = ((100 * v / abs(mean)).where(mean != 0) for v in (moved, error))
    return xr.Dataset(
        {
            "before": mean,
            "before_sem": _sem(before, over),
            "after": after.mean(over),
            "after_sem": _sem(after, over),
            "gain": gain.assign_attrs(units="%"),
            "gain_sem": error.assign_attrs(units="%"),
            "clear": clear,
        },
        coords={"n": both.sum(over)},
        attrs={"n": n, "over": over},
    )


def _warn_of_missing(both: xr.DataArray, over: str) -> None:
    names = both[METRIC].values[~both.all([d for d in both.dims if d != METRIC]).values]
    warnings.warn(
        f"{int((~both).sum())} of {both.size} pairs of values lack one or both, in {listed(names)}: the {over}s "
        "without are left out of these, before and after",
        UserWarning,
        stacklevel=3,
    )


def written(table: xr.Dataset, *, form: str = "markdown", rows: str = "system") -> str:
    r"""Write a comparison as text, a line a row and stage, a column a metric.

    Parameters
    ----------
    table : Dataset from :func:`gains`, with the dimension ``rows`` (several comparisons, concatenated) or without
    form : "markdown", "latex" or "csv"
        Means and standard errors; under a refined row its gains. LaTeX colours them by ``\better{}`` and ``\worse{}``,
        two commands that its first lines define. CSV has a line a value.
    rows : str

    Raises
    ------
    ValueError
        For another form, naming the three.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> coords = {"metric": ["PixCorr"], "subject": [1, 2, 3], "better": ("metric", ["higher"])}
    >>> before = xr.DataArray([[0.4, 0.5, 0.6]], coords, ("metric", "subject"))
    >>> "PixCorr" in nd.metrics.written(nd.metrics.gains(before, 1.1 * before, over="subject"))
    True
    """
    require_choice(form, tables.FORMS, what="form")
    whole = table if rows in table.dims else table.expand_dims({rows: [""]})
    if form == "csv":
        return _csv(whole, rows)
    metrics = [str(m) for m in whole[METRIC].values]
    lines = [line for name in whole[rows].values for line in _lines(whole.sel({rows: name}), str(name), form)]
    few, many = int(whole["n"].min()), int(whole["n"].max())
    note = f"mean and standard error over n = {many if few == many else f'{few} to {many}'} {table.attrs['over']}s"
    head = [rows, "stage", *metrics]
    if form == "markdown":
        return tables.markdown(head, lines, note=note)
    colours = [
        r"\definecolor{better}{HTML}{007A5A}\definecolor{worse}{HTML}{B34700}",
        *(rf"\providecommand{{\{c}}}[1]{{\textcolor{{{c}}}{{#1}}}}" for c in ("better", "worse")),
    ]
    return "\n".join([*colours, tables.latex(head, lines, note=note, texts=2)])


def _sem(values: xr.DataArray, over: str) -> xr.DataArray:
    return values.std(over, ddof=1) / np.sqrt(values.count(over))


def _lines(one: xr.Dataset, name: str, form: str) -> list[list[str]]:
    """The lines of one row: before, after, gain."""
    lines = [
        [name if stage == "before" else "", stage, *(_pair(one, stage, m) for m in one[METRIC].values)]
        for stage in ("before", "after")
    ]
    return [*lines, ["", "gain", *(_gain(one.sel(metric=m), form) for m in one[METRIC].values)]]


def _pair(one: xr.Dataset, stage: str, metric: str) -> str:
    here = one.sel(metric=metric)
    return f"{float(here[stage]):.3f} ± {float(here[f'{stage}_sem']):.3f}"


def _gain(here: xr.Dataset, form: str) -> str:
    text = f"{float(here['gain']):+.1f} %" if np.isfinite(here["gain"]) else "no ratio"
    mark = _WORDS[int(here["clear"])]
    if not mark:
        return text
    return rf"\{mark}{{{text}}}" if form == "latex" else f"{text} ({mark})"


def _csv(whole: xr.Dataset, rows: str) -> str:
    head = f"{rows},metric,before,before_sem,after,after_sem,gain_percent,gain_sem_percent,clear,n"
    names = ("before", "before_sem", "after", "after_sem", "gain", "gain_sem")
    lines = [head]
    for name in whole[rows].values:
        for metric in whole[METRIC].values:
            here = whole.sel({rows: name, METRIC: metric})
            numbers = ",".join(f"{float(here[k]):.6g}" for k in names)
            lines.append(f'"{name}","{metric}",{numbers},{int(here["clear"])},{int(here["n"])}')
    return "\n".join(lines) + "\n"
