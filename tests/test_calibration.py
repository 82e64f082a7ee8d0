"""analyses/calibration.py: its book-keeping on planted outcomes, and a few real data sets of every experiment."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import neurodecode as nd

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch) -> dict:
    """The script's names; `table` replaces its experiments and what is asked of them."""
    found = runpy.run_path(str(ROOT / "analyses" / "calibration.py"))
    settings = found["summary"].__globals__

    def table(**tables) -> None:
        for name, value in tables.items():
            monkeypatch.setitem(settings, name, value)

    return {**found, "table": table, "settings": settings}


def arguments(out: Path, n: int, *only: str) -> argparse.Namespace:
    return argparse.Namespace(n=n, seed=1, only=list(only), out=out, so_far=False)


@pytest.fixture
def planted(script):
    """An experiment whose tests always, never and uniformly reject, and whose intervals are of a known coverage."""
    calls = []

    def experiment(rng: np.random.Generator, effect: float):
        calls.append(effect)
        out = script["Outcome"]()
        out.found |= {
            "always": True,
            "never": False,
            "uniform": bool(rng.uniform() <= 0.05),
            "power": effect > 0.5,
        }
        values = rng.normal(loc=3.0, size=10)
        reach = stats.t.ppf(0.975, 9) * values.std(ddof=1) / np.sqrt(10)
        out.add("t", values.mean(), values.mean() - reach, values.mean() + reach, 3.0)
        out.add("t, truth unknown", values.mean(), values.mean() - reach, values.mean() + reach)
        out.add("none", 0.0, 1.0, 2.0, 3.0)
        return out

    test, interval, curve = script["Test"], script["Interval"], script["Curve"]
    script["table"](
        EXPERIMENTS={"planted": (experiment, (0.0, 0.4, 0.8))},
        TESTS=[test("planted", k, k) for k in ("always", "never", "uniform")],
        INTERVALS=[interval("planted", k, k) for k in ("t", "t, truth unknown", "none")],
        CURVES=[curve("planted", "power", "power")],
    )
    return calls


def test_planted_rates_coverage_and_power_come_back(script, planted, tmp_path) -> None:
    result = script["summary"](script["all_outcomes"](arguments(tmp_path, 400)))
    assert result["rate"].sel(test="always") == 1
    assert result["rate"].sel(test="never") == 0
    uniform = result.sel(test="uniform")
    assert uniform["rate_low"] <= 0.05 <= uniform["rate_high"]
    assert uniform["rate_n"] == 400
    for name in ("t", "t, truth unknown"):
        one = result.sel(interval=name)
        assert one["coverage_low"] <= 0.95 <= one["coverage_high"]
    assert result["coverage"].sel(interval="none") == 0
    assert result["power"].sel(curve="power").values.tolist() == [0, 0, 1]
    assert result["power_n"].sel(curve="power").values.tolist() == [400, 50, 50]
    assert result["effect"].sel(curve="power").values.tolist() == [0, 0.4, 0.8]


def test_a_run_goes_on_from_its_pieces_and_more_sets_are_added(script, planted, tmp_path) -> None:
    first = script["all_outcomes"](arguments(tmp_path, 40))
    assert len(planted) == 40 + 2 * 5
    again = script["all_outcomes"](arguments(tmp_path, 40))
    assert len(planted) == 50
    for key, data in first.items():
        xr.testing.assert_identical(data, again[key])
    so_far = arguments(tmp_path, 400)
    so_far.so_far = True
    found = script["all_outcomes"](so_far)
    assert len(planted) == 50
    assert found["planted", 0.0].sizes["set"] == 40
    assert script["summary"](found).sizes == {"test": 3, "interval": 3, "curve": 0, "level": 0}
    more = script["all_outcomes"](arguments(tmp_path, 80))
    assert len(planted) == 50 + 40 + 2 * 10
    xr.testing.assert_equal(more["planted", 0.0].isel(set=slice(0, 40)), first["planted", 0.0])
    assert len(np.unique(more["planted", 0.0]["limits"].isel(interval=0, value=0))) == 80


def test_limits_are_clopper_and_pearsons(script) -> None:
    for k, n in ((0, 20), (3, 50), (400, 400)):
        share, low, high, count = script["proportion"](np.arange(n) < k)
        np.testing.assert_allclose(
            (low, high), proportion_confint(k, n, alpha=0.05, method="beta"), atol=1e-9
        )
        assert (share, count) == (k / n, n)


def test_what_an_interval_holds(script) -> None:
    limits = xr.DataArray(
        [[2.0, 1, 3, 1.0], [2.0, 1, 3, 3.5], [2.0, 1, 3, np.nan], [8.0, 7, 9, np.nan]],
        dims=("set", "value"), coords={"value": list(script["VALUES"])},
    )  # fmt: skip
    # Where the truth is unknown it is the mean of the estimates, 3.5.
    assert script["held"](limits).tolist() == [True, False, False, False]


def test_every_asked_name_is_what_its_experiment_gives(script) -> None:
    """One data set of every experiment without and with its largest effect, by the library's own calls."""
    settings = script["settings"]
    nothing, most = {}, {}
    for name, (experiment, effects) in settings["EXPERIMENTS"].items():
        nothing[name] = script["measured"](experiment, effects[0], range(1), [0])
        most[name] = script["measured"](experiment, effects[-1], range(1), [0])
        assert np.isfinite(nothing[name]["limits"].sel(value=["estimate", "low", "high"])).all(), name
    for test in settings["TESTS"]:
        assert test.name in nothing[test.experiment]["test"].values, test
    for interval in settings["INTERVALS"]:
        source = most if interval.with_effect else nothing
        assert interval.name in source[interval.experiment]["interval"].values, interval
    for curve in settings["CURVES"]:
        assert curve.name in most[curve.experiment]["test"].values, curve


def test_the_script_and_its_figure_run(script, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(
        sys, "argv", ["calibration.py", "--n", "3", "--only", "regions", "ceilings", "--out", str(tmp_path)]
    )
    script["main"]()
    printed = capsys.readouterr().out
    assert "rate, wanted 0.03 to 0.07" in printed
    assert "noise ceiling, halves" in printed
    result = nd.load(tmp_path / "calibration.nc")
    assert result.attrs["simulated"]
    assert nd.store.provenance(result)["what"] == "calibration"
    monkeypatch.setattr(
        sys, "argv", ["calibration.py", str(tmp_path / "calibration.nc"), "--out", str(tmp_path / "drawn")]
    )
    runpy.run_path(str(ROOT / "figures" / "calibration.py"))["main"]()
    assert (tmp_path / "drawn" / "calibration.png").stat().st_size > 10_000
