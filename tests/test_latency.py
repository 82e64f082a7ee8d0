"""Onsets and peaks: against plain formulas, planted latencies, and how often intervals hold the truth."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodecode import inference

TIME = np.arange(-0.1, 0.8, 0.025)
CHANCE = 0.1


def bells(
    centre: np.ndarray | float, *, n: int = 10, noise: float = 0.0, seed: int = 0, width: float = 0.06
) -> xr.DataArray:
    """Bell-shaped curves (window, subject) above chance, of heights around .2."""
    rng = np.random.default_rng(seed)
    heights = 0.2 * (1 + 0.3 * rng.normal(size=n))
    at = np.broadcast_to(np.asarray(centre, dtype=float), n)
    values = CHANCE + heights * np.exp(-0.5 * ((TIME[:, None] - at) / width) ** 2)
    return xr.DataArray(
        values + noise * rng.normal(size=values.shape),
        {"window": TIME, "subject": [f"s{i}" for i in range(n)]},
        ("window", "subject"),
        attrs={"chance": CHANCE, "score": "top1"},
    )


def plain(mean: np.ndarray, share: float) -> list[float]:
    """Onset, peak and centre of one curve above chance, with loops and NumPy's own parabola."""
    top = int(np.argmax(mean))
    i = top
    while i > 0 and mean[i - 1] >= share * mean[top]:
        i -= 1
    onset = np.nan if i == 0 else np.interp(share * mean[top], mean[i - 1 : i + 1], TIME[i - 1 : i + 1])
    peak = TIME[top]
    if 0 < top < len(mean) - 1:
        a, b, _ = np.polyfit(TIME[top - 1 : top + 2] - TIME[top], mean[top - 1 : top + 2], 2)
        peak -= b / (2 * a)
    weight = np.maximum(mean - share * mean[top], 0)
    return [onset, peak, float(np.sum(weight * TIME) / np.sum(weight))]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 0.8]))
def test_estimates_equal_plain_loops(seed, share):
    one = bells(0.2, noise=0.05, seed=seed)
    found = inference.latency(one, share=share, n_bootstrap=100)
    np.testing.assert_allclose(
        found["estimate"], plain((one - CHANCE).mean("subject").values, share), atol=1e-9
    )
    assert found["measure"].values.tolist() == ["onset", "peak", "centre"]


def test_intervals_equal_plain_resampling():
    from scipy import stats

    one = bells(0.2, noise=0.02, n=6)
    above = (one - CHANCE).values
    draws = np.random.default_rng(3).multinomial(6, np.full(6, 1 / 6), size=400)
    drawn = np.array([plain(above @ d / 6, 0.5) for d in draws])
    left_out = np.array([plain(np.delete(above, i, axis=1).mean(axis=1), 0.5) for i in range(6)])
    t = stats.t.ppf(0.975, 5)
    found = inference.latency(one, n_bootstrap=400, seed=3)
    np.testing.assert_allclose(
        found["high"] - found["estimate"], t * drawn.std(axis=0) * np.sqrt(6 / 5), rtol=1e-9
    )
    knife = inference.latency(one, interval="jackknife")
    np.testing.assert_allclose(
        knife["estimate"] - knife["low"],
        t * np.sqrt(5 / 6 * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)),
    )
    with pytest.warns(UserWarning, match="percentiles over 6 subjects give limits that are too narrow"):
        percentile = inference.latency(one, interval="percentile", n_bootstrap=400, seed=3)
    tail = stats.norm.cdf(-np.sqrt(6 / 5) * t)
    np.testing.assert_allclose(percentile["low"], np.quantile(drawn, tail, axis=0))


def test_a_planted_latency_is_found_layer_by_layer():
    both = xr.concat(
        [bells(0.15, noise=0.01), bells(0.25, noise=0.01, seed=1)], dim=xr.Variable("layer", ["c", "z"])
    )
    found = inference.latency(both)
    width = 0.06 * np.sqrt(2 * np.log(2))
    for layer, centre in (("c", 0.15), ("z", 0.25)):
        one = found.sel(layer=layer)
        np.testing.assert_allclose(one["estimate"], [centre - width, centre, centre], atol=0.005)
        assert (one["low"] < one["estimate"]).all()
        assert (one["estimate"] < one["high"]).all()
    assert found["estimate"].attrs["units"] == "s"
    difference = inference.latency_difference(both.sel(layer="z"), both.sel(layer="c"))
    np.testing.assert_allclose(difference["estimate"], 0.1, atol=0.008)
    assert (difference["low"] > 0.08).all()
    assert (difference.attrs["a"], difference.attrs["b"]) == ("layer z", "layer c")
    same = inference.latency_difference(both.sel(layer="z"), both.sel(layer="z"))
    assert (same["estimate"] == 0).all()
    assert (same["low"] == 0).all()


def test_what_subjects_share_cancels_out_of_a_difference():
    rng = np.random.default_rng(0)
    own = 0.03 * rng.normal(size=12)
    early, late = bells(0.15 + own, n=12, noise=0.003), bells(0.19 + own, n=12, noise=0.003, seed=1)
    alone = inference.latency(early).sel(measure="peak")
    difference = inference.latency_difference(late, early).sel(measure="peak")
    assert difference["high"] - difference["low"] < 0.6 * (alone["high"] - alone["low"])
    assert difference["low"] < 0.04 < difference["high"]


@pytest.mark.parametrize("n", [4, 10])
def test_intervals_hold_the_truth_as_often_as_they_say(n):
    rng = np.random.default_rng(n)
    truth = inference.latency(bells(0.17 + 0.015 * rng.normal(size=20_000), n=20_000), n_bootstrap=100)[
        "estimate"
    ]
    held, held_between = [], []
    for seed in range(200):
        one = bells(0.17 + 0.015 * rng.normal(size=n), n=n, noise=0.03, seed=seed)
        found = inference.latency(one, n_bootstrap=200, seed=seed)
        held.append((found["low"] <= truth) & (truth <= found["high"]))
        other = bells(0.17 + 0.015 * rng.normal(size=n), n=n, noise=0.03, seed=seed + 10_000)
        between = inference.latency_difference(one, other, n_bootstrap=200, seed=seed)
        held_between.append((between["low"] <= 0) & (between["high"] >= 0))
    # Three standard errors of a share of .95 over 200 data sets are .046.
    assert (np.mean(held, axis=0) > 0.904).all()
    assert (np.mean(held_between, axis=0) > 0.904).all()
    assert (np.mean(held, axis=0) < 1).all()


def test_a_curve_without_a_latency_has_none():
    flat = bells(0.2).copy(data=np.full((len(TIME), 10), CHANCE - 0.01))
    found = inference.latency(flat, n_bootstrap=100)
    assert found["estimate"].isnull().all()
    assert found["low"].isnull().all()
    assert (found["defined"] == 0).all()
    falling = bells(TIME[0])
    found = inference.latency(falling, n_bootstrap=100)
    assert found["estimate"].isnull().values.tolist() == [True, False, False]
    assert found["estimate"].sel(measure="peak") == TIME[0]
    late = inference.latency(bells(0.3, noise=0.01) + bells(0.0) - CHANCE, chance=CHANCE, within=(0.15, 0.8))
    np.testing.assert_allclose(late["estimate"].sel(measure="peak"), 0.3, atol=0.01)


def test_what_latency_refuses():
    one = bells(0.2)
    with pytest.raises(ValueError, match="needs the dimension 'window' or 'time'"):
        inference.latency(one.rename(window="region"))
    with pytest.raises(ValueError, match=r"give chance=\.\.\."):
        inference.latency(one.drop_attrs())
    with pytest.raises(ValueError, match="needs at least 2, got 1: 's0'"):
        inference.latency(one.isel(subject=[0]))
    with pytest.raises(ValueError, match=r"leaves 1 of 36 windows, which lie from -0\.1 to 0\.775"):
        inference.latency(one, within=(0.1, 0.14))
    with pytest.raises(ValueError, match="must rise"):
        inference.latency(one.isel(window=slice(None, None, -1)))
    with pytest.raises(ValueError, match="2 NaN"):
        inference.latency(one.where(one != one[3, 2]))
    with pytest.raises(ValueError, match="share is the part"):
        inference.latency(one, share=1.0)
    with pytest.raises(ValueError, match="unknown interval 'BCa'"):
        inference.latency(one, interval="BCa")
    with pytest.raises(ValueError, match="10 of 10 'subject' labels"):
        inference.latency_difference(one, one.assign_coords(subject=[f"t{i}" for i in range(10)]))
    for kept in (True, False):
        with (
            xr.set_options(keep_attrs=kept),
            pytest.raises(ValueError, match="in the units 'x' and b in 'y'"),
        ):
            inference.latency_difference(one.assign_attrs(units="x"), one.assign_attrs(units="y"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inference.latency(one.isel(subject=slice(3)))
