"""When does a curve rise, and when is it highest? Latencies of a group's mean, with intervals over subjects."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import xarray as xr

from .. import store
from ..checks import as_numbers, require_counts, require_numbers, require_share, shown
from ..labels import listed, require_array, require_choice, require_coord, require_draws, require_finite
from ..solve.intervals import expanded, reach_by_t
from .groups import by_subject, chance_of
from .pairs import made_of, paired, told_apart

MEASURES = ("onset", "peak", "centre")
INTERVALS = ("bootstrap", "percentile", "jackknife")
# Percentiles over fewer subjects than this are too narrow.
FEW = 8

Measure = Callable[[np.ndarray], np.ndarray]


def latency(
    scores: xr.DataArray,
    *,
    over: str = "subject",
    chance: float | None = None,
    share: float = 0.5,
    within: tuple[float, float] | None = None,
    interval: str = "bootstrap",
    level: float = 0.95,
    n_bootstrap: int = 5000,
    seed: int = 0,
) -> xr.Dataset:
    r"""Onset and peak latency of the mean over subjects, with intervals over subjects.

    With h the mean curve above chance and m its largest value: ``peak`` is the vertex of the parabola through the
    highest window and its two neighbours; ``onset`` the last time before it at which h rises through ``share`` m,
    between two windows on a line (relative criterion, Miller, Patterson & Ulrich 1998; Kiesel et al. 2008); ``centre``
    is sum(w t) / sum(w), w = max(h - share m, 0), the middle of what rises above the share: steadier than the peak
    of a flat curve. A share of the peak is taken, not the first significant window: that one moves with the number of
    subjects, and a cluster test does not say where clusters begin (Sassenhagen & Draschkow 2019).

    Parameters
    ----------
    scores : (window | time, ..., subject), in s
        Folds, if any, are averaged first within each subject.
    over : str
    chance : float, optional
        Default: the coordinate ``chance`` of the scores, each against its own, or attrs["chance"].
    share : float
        Of the peak's height, between 0 and 1.
    within : (start, stop) in s, optional
        Windows whose centres lie outside are not looked at.
    interval : "bootstrap", "percentile" or "jackknife"
        "bootstrap": subjects are drawn with replacement, whole curves of theirs; estimate -+ t SE sqrt(n / (n - 1)), SE
        the standard deviation of the latencies of the draws' mean curves, t the quantile of Student's with n - 1.
        "percentile": quantiles of these latencies, taken at Phi(-sqrt(n / (n - 1)) t) (Hesterberg 2015), which need not
        be symmetric, but are too narrow for few subjects. "jackknife": each subject left out once, SE^2 = (n - 1) / n
        sum (L_i - mean L)^2 (Miller et al. 1998); too narrow for ``peak``, which jumps.
    level : float
    n_bootstrap, seed : int

    Returns
    -------
    Dataset (measure, ...)
        ``estimate`` in s, with ``low`` and ``high``, of ``measure`` "onset", "peak" and "centre"; ``defined``, the
        share of draws (or of left-out means) that have this latency: limits are of those alone. A mean that is nowhere
        above chance has none (NaN), and one that is above the share from its first window on has no onset. Attrs n,
        the settings, provenance.

    Raises
    ------
    ValueError
        Fewer than 2 subjects, an unknown chance, a missing score, other dimensions of time, settings out of range.

    Warns
    -----
    UserWarning
        For percentiles over fewer than 8 subjects.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> time = np.arange(-5, 25) / 50
    >>> values = 0.02 * rng.normal(size=(12, 30)) + 0.3 * np.exp(-(((time - 0.2) / 0.05) ** 2))
    >>> scores = xr.DataArray(values, {"window": time}, ("subject", "window"), attrs={"chance": 0.0})
    >>> found = nd.inference.latency(scores, n_bootstrap=200)
    >>> round(float(found["estimate"].sel(measure="peak")), 1)
    0.2
    """
    values, time, level_ = _curves(scores, over, chance, within)
    _require_settings(share, interval, level, n_bootstrap, seed)
    n = _enough(values, over, interval)
    h = (values - level_).transpose(over, time, ...)
    measure = _measure(h[time].values.astype(float), share)
    settings = {"over": over, "share": share, "within": within, "interval": interval, "level": level}
    parameters = {**settings, "n_bootstrap": 0 if interval == "jackknife" else n_bootstrap}
    found = _estimated([h.values], [measure], interval, level, n_bootstrap, seed)
    result = _labelled(found, h, over, time).assign_attrs({**parameters, "n": n, "units": "s"})
    parameters["scores"] = scores.attrs.get("provenance")
    return store.stamp(result, what="inference.latency", parameters=parameters, seed=seed, data=scores)


def latency_difference(
    a: xr.DataArray,
    b: xr.DataArray,
    *,
    over: str = "subject",
    chance: float | None = None,
    share: float = 0.5,
    within: tuple[float, float] | None = None,
    interval: str = "bootstrap",
    level: float = 0.95,
    n_bootstrap: int = 5000,
    seed: int = 0,
) -> xr.Dataset:
    """Latencies of ``a`` minus those of ``b``: two conditions or feature spaces of the same subjects.

    Both mean curves are of the same draws of subjects, so that what they share cancels out.

    Parameters
    ----------
    a, b : (window | time, ..., subject), of the same labels
        What tells the two apart may stay as a coordinate without dimension (``.sel(layer="c")``, ``.sel(layer="z")``).
    over, chance, share, within, interval, level, n_bootstrap, seed : see :func:`latency`

    Returns
    -------
    Dataset (measure, ...)
        ``estimate``, ``low``, ``high`` and ``defined`` of the difference, as :func:`latency`; attrs a and b, the names.

    Raises
    ------
    ValueError
        As :func:`latency`, and if labels, dimensions, units or the score differ.

    Warns
    -----
    UserWarning
        As :func:`latency`.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> time = np.arange(-5, 25) / 50
    >>> values = 0.02 * rng.normal(size=(12, 30)) + 0.3 * np.exp(-(((time - 0.2) / 0.05) ** 2))
    >>> coords = {"subject": np.arange(12), "window": time}
    >>> scores = xr.DataArray(values, coords, ("subject", "window"), attrs={"chance": 0.0})
    >>> later = scores.copy(data=np.roll(scores.values, 3, axis=1))
    >>> found = nd.inference.latency_difference(later, scores, n_bootstrap=200)
    >>> round(float(found["estimate"].sel(measure="peak")), 2)
    0.06
    """
    first, time, level_a = _curves(a, over, chance, within, who="a")
    second, _, level_b = _curves(b, over, chance, within, who="b")
    _require_settings(share, interval, level, n_bootstrap, seed)
    names = told_apart(require_array(a, who="a"), require_array(b, who="b"))
    first, second = ((v - at).assign_attrs(v.attrs) for v, at in ((first, level_a), (second, level_b)))
    one, other, _ = paired(first, second, over, "raise")
    n = _enough(one, over, interval)
    h = [v.transpose(over, time, *[d for d in one.dims if d not in (over, time)]) for v in (one, other)]
    measure = _measure(h[0][time].values.astype(float), share)
    settings = {"over": over, "share": share, "within": within, "interval": interval, "level": level}
    parameters = {**settings, "n_bootstrap": 0 if interval == "jackknife" else n_bootstrap}
    found = _estimated([v.values for v in h], [measure, measure], interval, level, n_bootstrap, seed)
    attrs = {**parameters, "n": n, "units": "s", "a": names[0], "b": names[1]}
    result = _labelled(found, h[0], over, time).assign_attrs(attrs)
    parameters["scores"] = made_of(a, b)
    data = {"a": a, "b": b}
    return store.stamp(
        result, what="inference.latency_difference", parameters=parameters, seed=seed, data=data
    )


# ------------------------------------------------------------------------------------------------ what is asked
def _curves(
    scores: xr.DataArray,
    over: str,
    chance: float | None,
    within: tuple[float, float] | None,
    *,
    who: str = "scores",
) -> tuple[xr.DataArray, str, xr.DataArray]:
    """Scores within the windows asked for, their dimension of time, and chance."""
    values = by_subject(scores, over)
    require_finite(values, who=who)
    times = [d for d in ("window", "time") if d in values.dims]
    if len(times) != 1:
        raise ValueError(
            f"a latency needs the dimension 'window' or 'time'; {who} have {tuple(map(str, scores.dims))}"
        )
    if chance is not None:
        require_numbers(chance=chance)
    level = chance_of(scores, over) if chance is None else xr.DataArray(float(chance))
    if level is None or not np.isfinite(level.values).all():
        raise ValueError("a latency needs the chance level that a curve rises from: give chance=...")
    time = times[0]
    centres = as_numbers(
        require_coord(values, time, who=who), what=f"{time!r} of {who}", remedy="give seconds from onset"
    )
    if (np.diff(centres) <= 0).any():
        raise ValueError(f"{time!r} of {who} must rise; sort it with .sortby({time!r})")
    if within is not None:
        if not isinstance(within, tuple | list) or len(within) != 2:
            raise TypeError(f"within must be two times in s, (first, last), got {shown(within)}")
        require_numbers(**{"the start of within": within[0], "the end of within": within[1]})
        inside = np.flatnonzero((centres >= within[0]) & (centres <= within[1]))
        if inside.size < 3:
            raise ValueError(
                f"within={within} leaves {inside.size} of {centres.size} windows, which lie from {centres[0]:g} to "
                f"{centres[-1]:g} s; a peak needs 3"
            )
        values = values.isel({time: inside})
        level = level.isel({time: inside}) if time in level.dims else level
    if values.sizes[time] < 3:
        raise ValueError(f"a peak needs at least 3 windows, got {values.sizes[time]}")
    return values, time, level


def _require_settings(share: float, interval: str, level: float, n_bootstrap: int, seed: int) -> None:
    require_choice(interval, INTERVALS, what="interval")
    require_numbers(share=share)
    require_share(level=level)
    require_counts(n_bootstrap=n_bootstrap, seed=seed)
    if not 0 < share < 1:
        raise ValueError(
            f"share is the part of the peak's height that counts as risen, between 0 and 1; got {share}"
        )
    if n_bootstrap < 100:
        raise ValueError(f"n_bootstrap must be at least 100, better some thousands; got {n_bootstrap}")


def _enough(values: xr.DataArray, over: str, interval: str) -> int:
    n = values.sizes[over]
    if n < 2:
        raise ValueError(
            f"an interval over {over!r} needs at least 2, got {n}: {listed(values[over].values)}"
        )
    if interval == "percentile" and n < FEW:
        warnings.warn(
            f'percentiles over {n} {over}s give limits that are too narrow; interval="bootstrap" is for few',
            UserWarning,
            stacklevel=3,
        )
    return n


# --------------------------------------------------------------------------------------------------- arithmetic
def _measure(time: np.ndarray, share: float) -> Measure:
    """A function of curves (m, k) above chance that gives their latencies (m, measure)."""

    def measure(h: np.ndarray) -> np.ndarray:
        rows, top = np.arange(len(h)), h.argmax(axis=1)
        height = h[rows, top]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.stack(
                [
                    _onset(h, time, top, share * height),
                    _vertex(h, time, top),
                    _centre(h, time, share * height),
                ],
                axis=1,
            )
        return np.where(height[:, None] > 0, found, np.nan)

    return measure


def _onset(h: np.ndarray, time: np.ndarray, top: np.ndarray, criterion: np.ndarray) -> np.ndarray:
    """Last time before the peak at which a curve comes from below the criterion; NaN if it never does."""
    rows = np.arange(len(h))
    below = (h < criterion[:, None]) & (np.arange(h.shape[1]) < top[:, None])
    last = h.shape[1] - 1 - below[:, ::-1].argmax(axis=1)
    last = np.where(below.any(axis=1), last, 0)
    after = np.minimum(last + 1, h.shape[1] - 1)
    low, high = h[rows, last], h[rows, after]
    crossed = time[last] + (criterion - low) / (high - low) * (time[after] - time[last])
    return np.where(below.any(axis=1), crossed, np.nan)


def _vertex(h: np.ndarray, time: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Time of the vertex of the parabola through the highest point and its neighbours; at an end, the end."""
    rows, middle = np.arange(len(h)), np.clip(top, 1, h.shape[1] - 2)
    before, after = time[middle] - time[middle - 1], time[middle + 1] - time[middle]
    left = (h[rows, middle] - h[rows, middle - 1]) / before
    right = (h[rows, middle + 1] - h[rows, middle]) / after
    # Slopes left and right belong to the middles of their steps; the parabola is level where the line between is 0.
    vertex = time[middle] - before / 2 + left / (left - right) * (before + after) / 2
    inside = (top == middle) & (left > right)
    return np.where(inside, np.clip(vertex, time[middle - 1], time[middle + 1]), time[top])


def _centre(h: np.ndarray, time: np.ndarray, criterion: np.ndarray) -> np.ndarray:
    weight = np.maximum(h - criterion[:, None], 0)
    return weight @ time / weight.sum(axis=1)


def _estimated(
    curves: list[np.ndarray],
    measures: list[Measure],
    interval: str,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Estimate, limits and share of draws with a latency, (measure, *rest), of curves (subject, time, *rest).

    Of two sets of curves, the difference.
    """
    n, k, *rest = curves[0].shape
    flat = [c.reshape(n, k, -1) for c in curves]
    weights = _weights(n, interval, n_bootstrap, seed)
    columns = []
    for j in range(flat[0].shape[2]):
        means = [np.concatenate([c[:, :, j].mean(axis=0)[None], weights @ c[:, :, j]]) for c in flat]
        signed = [sign * measure(m) for sign, measure, m in zip((1, -1), measures, means, strict=False)]
        latencies = np.sum(signed, axis=0)
        columns.append(_limits(latencies[0], latencies[1:], interval, level, n))
    return {
        name: np.stack([c[name] for c in columns], axis=-1).reshape(len(MEASURES), *rest)
        for name in columns[0]
    }


def _weights(n: int, interval: str, n_bootstrap: int, seed: int) -> np.ndarray:
    """What every subject counts in every mean: (draw, subject)."""
    if interval == "jackknife":
        return (1 - np.eye(n)) / (n - 1)
    require_draws(n_bootstrap, n, what="n_bootstrap")
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_bootstrap) / n


def _limits(
    estimate: np.ndarray, drawn: np.ndarray, interval: str, level: float, n: int
) -> dict[str, np.ndarray]:
    """Of estimates (measure) and those of draws (draw, measure)."""
    there = np.isfinite(drawn)
    limits = []
    for one, column in zip(estimate, [d[ok] for d, ok in zip(drawn.T, there.T, strict=True)], strict=True):
        if not np.isfinite(one) or column.size < 2:
            limits.append((np.nan, np.nan))
        elif interval == "percentile":
            limits.append(tuple(np.quantile(column, expanded(level, n))))
        else:
            # A draw of n spreads by sqrt((n - 1) / n) too little, means without one subject by 1 / (n - 1).
            wider = n - 1 if interval == "jackknife" else n / (n - 1)
            half = float(reach_by_t(level, n - 1) * np.sqrt(wider * column.var()))
            limits.append((one - half, one + half))
    low, high = np.transpose(limits)
    return {"estimate": estimate, "low": low, "high": high, "defined": there.mean(axis=0)}


def _labelled(found: dict[str, np.ndarray], h: xr.DataArray, over: str, time: str) -> xr.Dataset:
    like = (
        h.isel({over: 0, time: 0}, drop=True)
        .drop_vars("chance", errors="ignore")
        .expand_dims(measure=list(MEASURES))
    )
    data = {name: like.copy(data=array) for name, array in found.items()}
    for name in ("estimate", "low", "high"):
        data[name].attrs = {"units": "s"}
    data["defined"].attrs = {}
    return xr.Dataset(data)
