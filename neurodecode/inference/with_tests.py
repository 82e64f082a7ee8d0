"""What a figure of scores claims, in one call: the test that belongs to it, and latencies."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from ..labels import LAYER, require_array
from .clusters import WINDOWS, clusters
from .groups import above_chance, by_subject, chance_of
from .latency import latency
from .pairs import compare

# Time that scores may be a curve over; time by time has no latency.
CURVES = ("window", "time")


def with_tests(
    scores: xr.DataArray,
    *,
    over: str = "subject",
    pair: tuple[str, str] = ("LVC", "HVC"),
    alpha: float = 0.05,
    n_permutations: int = 1024,
    seed: int = 0,
) -> xr.Dataset:
    """Test scores as figures 7 and 9 show them, each by the call for its dimensions.

    Parameters
    ----------
    scores : (window, ...), (train_window, test_window, ...) or (region, layer, ...), with (subject, fold)
    over : str
    pair : two regions
        Compared with each other where both are there.
    alpha, n_permutations, seed
        See :func:`clusters`.

    Returns
    -------
    Dataset with the attrs of ``scores``
        ``score``, and where there are two subjects or more and a chance level: of windows ``p`` and ``significant`` of
        :func:`clusters` above chance, the largest cluster over all layers as null, and of a curve ``latency``,
        ``latency_low`` and ``latency_high`` (measure, layer) of :func:`latency`, NaN of layers without a cluster; of
        regions those of
        :func:`above_chance`, and ``contrast_p`` (layer), Student's t of :func:`compare` between the ``pair``, by Holm.
        Each says in its attrs how it was made. Of windows with missing scores nothing is tested.

    Raises
    ------
    ValueError
        Without the dimension ``over``; see the calls named.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> time = np.arange(-5, 25) / 50
    >>> values = 0.02 * rng.normal(size=(12, 30)) + 0.3 * np.exp(-(((time - 0.2) / 0.05) ** 2))
    >>> scores = xr.DataArray(values, {"window": time}, ("subject", "window"), attrs={"chance": 0.0})
    >>> found = nd.inference.with_tests(scores, n_permutations=200)
    >>> sorted(map(str, found.data_vars))
    ['latency', 'latency_high', 'latency_low', 'p', 'score', 'significant']
    """
    values = by_subject(require_array(scores, who="scores"), over)
    result = scores.to_dataset(name="score").assign_attrs(scores.attrs)
    level = chance_of(scores, over)
    if values.sizes[over] < 2 or level is None or not bool(np.isfinite(level).all()):
        return result
    if not set(WINDOWS) & set(values.dims):
        return (
            result.assign(_of_regions(scores, values, over, pair, alpha))
            if "region" in values.dims
            else result
        )
    lattice = not set(values.dims) - {over, LAYER, *WINDOWS}
    if not lattice or not bool(np.isfinite(values).all()):
        return result
    found = clusters(scores, over=over, family="all", alpha=alpha, n_permutations=n_permutations, seed=seed)
    result = result.assign(
        {k: found[k].drop_attrs(deep=False).assign_attrs(found.attrs) for k in ("p", "significant")}
    )
    if len(set(CURVES) & set(values.dims)) == 1 and max(values.sizes.get(d, 0) for d in CURVES) >= 3:
        times = latency(scores, over=over, seed=seed)
        # Where nothing was found, the largest of the noise is no peak.
        curve = next(d for d in CURVES if d in values.dims)
        there = found["significant"].any(curve)
        times = times.map(lambda v: v.where(there), keep_attrs=True)
        result = result.assign(
            latency=times["estimate"].assign_attrs(times.attrs),
            latency_low=times["low"],
            latency_high=times["high"],
        )
    return result


def _of_regions(
    scores: xr.DataArray, values: xr.DataArray, over: str, pair: tuple[str, str], alpha: float
) -> dict[str, xr.DataArray]:
    """Which bars lie above chance, and where the two regions of a pair differ."""
    above = above_chance(scores, over=over, alpha=alpha)
    said = {k: above.attrs[k] for k in ("test", "alpha")}
    found = {k: above[k].drop_attrs(deep=False).assign_attrs(said) for k in ("p", "significant")}
    sides = [values.sel(region=name) for name in pair if name in values["region"].values.tolist()]
    if len(sides) == 2:
        # A layer that nobody has in one of the two is no reason to leave the others out.
        both = (sides[0] - sides[1]).notnull()
        there = both.any([d for d in both.dims if d != LAYER]) if LAYER in both.dims else None
        sides = sides if there is None else [side.isel({LAYER: there.values}) for side in sides]
    if len(sides) < 2 or _whole(sides[0] - sides[1], over) < 2:
        return found
    with warnings.catch_warnings():
        # t is asked for, not the flips, of which few subjects have too few.
        warnings.simplefilter("ignore", UserWarning)
        compared = compare(*sides, over=over, level=1 - alpha, missing="omit")
    words = f"t-test over {compared.attrs['n']} {over}s, Holm"
    contrast = compared["p_corrected"].assign_attrs(pair=f"{pair[0]} - {pair[1]}", test=words, alpha=alpha)
    return found | {"contrast_p": contrast.drop_vars("region", errors="ignore")}


def _whole(values: xr.DataArray, over: str) -> int:
    """How many subjects have all values."""
    return int(values.notnull().all([d for d in values.dims if d != over]).sum())
