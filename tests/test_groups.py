"""Paired comparisons and mixed models: SciPy, statsmodels, plain loops, an analysis of variance, planted truths."""

from __future__ import annotations

import csv
import io
import itertools
import math
import warnings

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.multitest import multipletests

from neurodecode import inference, store
from neurodecode.solve.reml import satterthwaite, variance_ratios

# Small groups are warned about, which is not the point of most tests.
pytestmark = pytest.mark.filterwarnings("ignore:with .* variances are hardly known")


def subjects(n: int, m: int = 3, *, seed: int = 0, effect: float = 0.0) -> xr.DataArray:
    """Simulated scores (subject, layer) of two regions, V2 above V1 by ``effect`` SDs of the differences, about."""
    rng = np.random.default_rng(seed)
    values = 0.3 + 0.05 * rng.normal(size=(n, 1, 1)) + 0.04 * rng.normal(size=(n, m, 2))
    values[..., 1] += effect * 0.04 * math.sqrt(2)
    return xr.DataArray(
        values, dims=("subject", "layer", "region"), attrs={"units": "Pearson r", "score": "pattern"},
        coords={"subject": [f"s{i}" for i in range(n)], "layer": [f"l{i}" for i in range(m)], "region": ["V1", "V2"]},
    )  # fmt: skip


def both(n: int, m: int = 3, *, seed: int = 0, effect: float = 0.0) -> tuple[xr.DataArray, xr.DataArray]:
    scores = subjects(n, m, seed=seed, effect=effect)
    return scores.sel(region="V2"), scores.sel(region="V1")


def trials(
    shape: tuple[int, int, int] = (12, 15, 2),
    *,
    seed: int = 0,
    effect: float = 0.0,
    sd: tuple[float, ...] = (1, 1, 0.6, 0.6),
    noise: float = 0.0,
) -> xr.DataArray:
    """Simulated scores (subject, stimulus, region), SDs of subject, stimulus, both with region, trial; residual 0.1."""
    rng = np.random.default_rng(seed)
    s, t, k = shape
    sizes = ((s, 1, 1), (1, t, 1), (s, 1, k), (1, t, k), (s, t, 1))
    values = rng.normal(size=shape)
    for scale, size in zip((*sd, noise), sizes, strict=True):
        values = values + scale * rng.normal(size=size)
    values[..., 1] += effect
    return xr.DataArray(
        0.1 * values + 0.4, dims=("subject", "stimulus", "region"), attrs={"units": "Pearson r", "score": "pattern"},
        coords={
            "subject": [f"s{i}" for i in range(s)], "stimulus": [f"i{i}" for i in range(t)],
            "region": ["LVC", "HVC", "other"][:k],
        },
    )  # fmt: skip


# ---------------------------------------------------------------- compare


@pytest.mark.parametrize("n", [6, 20])
def test_t_p_and_interval_equal_scipys_paired_t_test(n):
    a, b = both(n, effect=0.8)
    found = inference.compare(a, b, level=0.9)
    test = stats.ttest_rel(a.values, b.values, axis=0)
    limits = test.confidence_interval(0.9)
    np.testing.assert_allclose(found["t"], test.statistic)
    np.testing.assert_allclose(found["p"], test.pvalue)
    np.testing.assert_allclose(found["low"], limits.low)
    np.testing.assert_allclose(found["high"], limits.high)
    np.testing.assert_allclose(found["difference"], (a - b).values.mean(axis=0))
    np.testing.assert_allclose(found["mean_a"] - found["mean_b"], found["difference"])
    np.testing.assert_allclose(found["values"], a.values - b.values)
    assert (found.attrs["n"], found.attrs["df"]) == (n, n - 1)
    assert (found.attrs["a"], found.attrs["b"]) == ("region V2", "region V1")
    assert found["difference"].attrs["units"] == "Pearson r"
    assert found.attrs["flips"] == ("all" if n == 6 else 9999)


def test_differences_are_signed_and_change_sides_with_the_arguments():
    a, b = both(8, effect=1.0)
    there, back = inference.compare(a, b), inference.compare(b, a)
    assert (there["difference"] > 0).all()
    for name in ("difference", "t", "d_z", "g_z"):
        np.testing.assert_allclose(there[name], -back[name])
    np.testing.assert_allclose(there["low"], -back["high"])
    for name in ("p", "p_flip", "p_flip_corrected"):
        np.testing.assert_allclose(there[name], back[name])


@pytest.mark.parametrize("n", [6, 9])
def test_p_of_flips_is_the_share_of_all_flips_in_a_plain_loop(n):
    a, b = both(n, effect=0.6)
    d = (a - b).values
    # Whole numbers tie often: a tie counts.
    tied = np.arange(1, n + 1)[:, None] * np.array([[1.0, -0.1, 0.3]])
    tied[0] *= -1
    for values in (d, tied):
        zero = a.copy(data=np.zeros_like(values))
        found = inference.compare(a.copy(data=values), zero, correction="none")["p_flip"].values
        for j in range(values.shape[1]):
            flips = [
                abs(sum(s * v for s, v in zip(signs, values[:, j], strict=True)))
                for signs in itertools.product((1, -1), repeat=n)
            ]
            least = abs(values[:, j].sum()) - 1e-9
            assert found[j] == sum(f >= least for f in flips) / 2**n


def test_random_flips_come_close_to_all_flips_and_are_never_zero():
    a, b = both(13, 40, seed=3, effect=0.4)
    found = inference.compare(a, b, n_permutations=4000, seed=5)
    signs = np.array(list(itertools.product((1, -1), repeat=13)))
    d = (a - b).values
    exact = (np.abs(signs @ d) >= np.abs(d.sum(axis=0)) - 1e-12).mean(axis=0)
    np.testing.assert_allclose(found["p_flip"], exact, atol=4 * 0.5 / np.sqrt(4000))
    a, b = both(20)
    large = inference.compare(a + 1, b, n_permutations=999)
    np.testing.assert_allclose(large["p_flip"], 1 / 1000)
    xr.testing.assert_equal(large, inference.compare(a + 1, b, n_permutations=999))


@pytest.mark.parametrize(
    ("n", "j"), [(3, math.sqrt(math.pi) / 2 * 2 / math.sqrt(math.pi) / math.sqrt(math.pi)), (5, None)]
)
def test_effect_sizes_equal_their_formulas(n, j):
    a, b = both(n, 1, effect=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = inference.compare(a, b)
    d = [float(v) for v in (a - b).values[:, 0]]
    mean = sum(d) / n
    sd = math.sqrt(sum((v - mean) ** 2 for v in d) / (n - 1))
    v = n - 1
    factor = math.gamma(v / 2) / (math.sqrt(v / 2) * math.gamma((v - 1) / 2))
    if j is not None:
        assert factor == pytest.approx(j)  # Gamma(1) / (1 * Gamma(1 / 2)) = 1 / sqrt(pi)
    assert found["d_z"].item() == pytest.approx(mean / sd)
    assert found["g_z"].item() == pytest.approx(factor * mean / sd)
    # Hedges' own approximation, 1 - 3 / (4 v - 1), is within a hundredth from 4 on.
    if v >= 4:
        assert factor == pytest.approx(1 - 3 / (4 * v - 1), abs=0.01)


def test_g_has_no_bias_where_d_has():
    a, b = both(5, 4000, seed=1, effect=0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = inference.compare(a, b, n_bootstrap=100)
    assert found["g_z"].mean().item() == pytest.approx(0.7, abs=0.04)
    assert found["d_z"].mean().item() > 0.82


@pytest.mark.parametrize(("correction", "method"), [("holm", "holm"), ("fdr", "fdr_bh")])
def test_corrections_over_all_entries_are_statsmodels(correction, method):
    a, b = both(10, 12, effect=0.7)
    found = inference.compare(a, b, correction=correction)
    for name in ("p", "p_flip"):
        expected = multipletests(found[name].values, method=method)[1]
        np.testing.assert_allclose(found[f"{name}_corrected"], expected)
    np.testing.assert_array_equal(found["significant"], found["p_flip_corrected"] <= 0.05)
    alone = inference.compare(a, b, correction="none")
    np.testing.assert_array_equal(alone["p_corrected"], alone["p"])
    assert (found["p_flip_corrected"] >= found["p_flip"]).all()
    assert (found["p_flip_corrected"] > found["p_flip"]).any()


def test_under_the_null_five_percent_are_found_and_intervals_hold_the_truth():
    a, b = both(10, 4000, seed=2)
    found = inference.compare(a, b, correction="none", n_bootstrap=2000)
    for name in ("p", "p_flip"):
        assert 0.04 < (found[name] <= 0.05).mean().item() < 0.06
    assert 0.94 < ((found["low"] < 0) & (found["high"] > 0)).mean().item() < 0.96
    # A plain percentile interval of 10 subjects would hold it in 90 %.
    assert 0.925 < ((found["boot_low"] < 0) & (found["boot_high"] > 0)).mean().item() < 0.965


def test_bootstrap_limits_equal_a_plain_loop():
    a, b = both(7, 2, effect=0.5)
    found = inference.compare(a, b, n_bootstrap=30000)
    d = (a - b).values
    rng = np.random.default_rng(9)
    means = np.array([d[rng.integers(0, 7, 7)].mean(axis=0) for _ in range(30000)])
    tail = stats.norm.cdf(-math.sqrt(7 / 6) * stats.t.ppf(0.975, 6))
    spread = means.std()
    np.testing.assert_allclose(found["boot_low"], np.quantile(means, tail, axis=0), atol=0.1 * spread)
    np.testing.assert_allclose(found["boot_high"], np.quantile(means, 1 - tail, axis=0), atol=0.1 * spread)


def test_other_dimensions_in_any_order_folds_and_files(tmp_path):
    scores = subjects(8).expand_dims(window=[0.1, 0.2], fold=[1, 2]) + xr.DataArray([0.0, 0.2], dims="fold")
    scores = scores.assign_attrs(units="Pearson r", score="pattern", chance=0.1)
    a, b = scores.sel(region="V2"), scores.sel(region="V1").transpose("layer", "window", "subject", "fold")
    found = inference.compare(a, b)
    plain = inference.compare(*both(8), correction="none")
    np.testing.assert_allclose(found["difference"].sel(window=0.2).transpose("layer"), plain["difference"])
    assert set(found["p"].dims) == {"window", "layer"}
    store.save(found, tmp_path / "found.nc")
    xr.testing.assert_identical(store.load(tmp_path / "found.nc"), found)
    assert store.provenance(found)["what"] == "inference.compare"
    assert found["difference"].attrs == {"units": "Pearson r"}
    for name in ("t", "p", "p_flip_corrected", "d_z"):
        assert found[name].attrs == {}


def test_missing_subjects_are_named_or_left_out_by_name():
    a, b = both(9, effect=1.0)
    a[2, 1] = np.nan
    b[7, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"2 of 9 subjects have missing or infinite values: 's2', 's7'; complete"
    ):
        inference.compare(a, b)
    with pytest.warns(UserWarning, match=r"left out 2 of 9 subjects .*: 's2', 's7'"):
        found = inference.compare(a, b, missing="omit")
    kept = [i for i in range(9) if i not in (2, 7)]
    xr.testing.assert_equal(found["t"], inference.compare(a[kept], b[kept])["t"])
    assert (found.attrs["n"], found.attrs["left_out"]) == (7, ["s2", "s7"])


def test_differences_that_do_not_vary_claim_nothing_by_t():
    a, _ = both(8)
    for shift in (0.0, 0.1):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = inference.compare(a + shift, a)
        np.testing.assert_array_equal(found["p"], 1.0)
        assert np.isnan(found["t"]).all()
        assert np.isnan(found["d_z"]).all()
    np.testing.assert_array_equal(found["p_flip"], 2**-7)


def test_few_subjects_are_warned_about():
    with pytest.warns(
        UserWarning, match=r"with 5 subjects the smallest possible p_flip is 0.0625: nothing can be"
    ):
        found = inference.compare(*both(5, effect=3.0))
    assert not found["significant"].any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inference.compare(*both(6))
        inference.compare(*both(12), level=0.999, n_permutations=100)  # all flips, however many are asked for


def test_few_flips_are_warned_about():
    with pytest.warns(
        UserWarning, match=r"with 999 permutations the smallest possible p_flip is 0.001: .* take more permut"
    ):
        inference.compare(*both(14, effect=3.0), level=0.9995, n_permutations=999, n_bootstrap=100)


def test_bad_comparisons_are_refused_in_words():
    a, b = both(8)
    with pytest.raises(
        TypeError, match=r"a must be one labelled array, not the Dataset of 'mean'; .* \['mean'\]"
    ):
        inference.compare(xr.Dataset({"mean": xr.DataArray([1.0], dims="subject")}), np.zeros(3))
    with pytest.raises(TypeError, match="a must be a labelled xarray.DataArray, not ndarray"):
        inference.compare(a.values, b)
    with pytest.raises(
        ValueError, match="disagree on 2 of 8 'subject' labels, first at position 0: 's0' against 's1'"
    ):
        inference.compare(a, b[[1, 0, *range(2, 8)]])
    with pytest.raises(ValueError, match="no dimension 'person'"):
        inference.compare(a, b, over="person")
    with pytest.raises(ValueError, match=r"a has the dimensions \('subject', 'layer'\) and b \('subject',\)"):
        inference.compare(a, b.isel(layer=0))
    with pytest.raises(ValueError, match="in the units 'Pearson r' and b in 'accuracy'"):
        inference.compare(a, b.assign_attrs(units="accuracy"))
    with pytest.raises(ValueError, match="at least 2 with all values, got 1 of 1"):
        inference.compare(a[:1], b[:1])
    with pytest.raises(
        ValueError, match="unknown correction 'bonferroni'; choose one of 'none', 'holm', 'fdr'"
    ):
        inference.compare(a, b, correction="bonferroni")
    with pytest.raises(ValueError, match="level is a share"):
        inference.compare(a, b, level=95)
    with pytest.raises(ValueError, match="n_bootstrap must be at least 100"):
        inference.compare(a, b, n_bootstrap=10)


# ---------------------------------------------------------------- mixed


def by_statsmodels(scores: xr.DataArray, slopes: bool, trial: bool):
    table = scores.to_series().rename("y").dropna().reset_index()
    table["y"] *= 10
    table["one"] = 1
    table["s"] = table["subject"] + table["region"]
    table["t"] = table["stimulus"] + table["region"]
    parts = {"subject": "0 + C(subject)", "stimulus": "0 + C(stimulus)"}
    if trial:
        table["st"] = table["subject"] + table["stimulus"]
        parts |= {"subject x stimulus": "0 + C(st)"}
    if slopes:
        parts |= {"subject x region": "0 + C(s)", "stimulus x region": "0 + C(t)"}
    model = MixedLM.from_formula(
        "y ~ C(region, Treatment('LVC'))", data=table, groups="one", vc_formula=parts
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Without derivatives it finds the optimum from anywhere, slowly.
        fit = model.fit(method="powell", ftol=1e-13)
    return fit, dict(zip(model.exog_vc.names, fit.vcomp, strict=True))


@pytest.mark.parametrize(("slopes", "holes", "noise"), [(False, False, 0), (True, True, 0), (False, True, 1)])
def test_equals_statsmodels_called_directly(slopes, holes, noise):
    scores = trials((10, 11, 3), seed=4, effect=0.5, noise=noise)
    if holes:
        scores = scores.where(np.random.default_rng(0).random(scores.shape) > 0.15)
    found = inference.mixed(
        scores, fixed="region", slopes=None if slopes else [], trials=noise > 0, df=np.inf
    )
    fit, parts = by_statsmodels(scores, slopes, noise > 0)
    order = [0, *(1 + sorted(["HVC", "other"]).index(r) for r in ("HVC", "other"))]
    np.testing.assert_allclose(found["estimate"], fit.fe_params.values[order] / 10, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["se"], fit.bse_fe.values[order] / 10, rtol=1e-3)
    np.testing.assert_allclose(found["p"], fit.pvalues[:3].values[order], atol=1e-4)
    limits = fit.conf_int()[:3].values[order] / 10
    np.testing.assert_allclose(np.stack([found["low"], found["high"]], 1), limits, rtol=2e-3, atol=1e-5)
    for name, value in parts.items():
        assert found["variance"].sel(component=name).item() == pytest.approx(value / 100, rel=5e-3, abs=1e-6)
    assert found["variance"].sel(component="residual").item() == pytest.approx(fit.scale / 100, rel=1e-3)
    assert found["term"].values.tolist() == ["intercept", "HVC - LVC", "other - LVC"]
    assert found.attrs["converged"]
    assert found.attrs["n"] == int(scores.notnull().sum())
    assert found.attrs["left_out"] == int(scores.isnull().sum())


@pytest.mark.parametrize("trial", [True, False])
def test_balanced_trials_give_the_analysis_of_variance(trial):
    scores = trials((11, 13, 2), seed=5, effect=0.4, noise=0.7)
    found = inference.mixed(scores, fixed="region", trials=trial)
    d, total = (10 * (scores.sel(region="HVC") + sign * scores.sel(region="LVC")).values for sign in (-1, 1))
    s, t = d.shape
    rows, columns = d.mean(axis=1), d.mean(axis=0)
    # Mean squares of the differences of regions: subject x region, stimulus x region, the rest; and the rest of sums.
    of_rows, of_columns = t * rows.var(ddof=1), s * columns.var(ddof=1)
    rest, of_trials = (
        ((v - v.mean(axis=1, keepdims=True) - v.mean(axis=0) + v.mean()) ** 2).sum() / ((s - 1) * (t - 1))
        for v in (d, total)
    )
    assert min(of_rows, of_columns) > of_trials > rest, "the seed must leave all components above 0"
    if not trial:
        rest = (rest + of_trials) / 2
    effect = found.sel(term="HVC - LVC")
    assert effect["estimate"].item() == pytest.approx(d.mean() / 10)
    error = math.sqrt((of_rows + of_columns - rest) / (s * t)) / 10
    assert effect["se"].item() == pytest.approx(error, rel=1e-4)
    # Satterthwaite (1946), of a sum of mean squares.
    of_rest = (s - 1) * (t - 1) * (1 if trial else 2)
    spread = of_rows**2 / (s - 1) + of_columns**2 / (t - 1) + rest**2 / of_rest
    assert effect["df"].item() == pytest.approx((of_rows + of_columns - rest) ** 2 / spread, rel=1e-3)
    assert effect["p"].item() == pytest.approx(2 * stats.t.sf(abs(effect["z"]), effect["df"]).item())
    parts = found["variance"] * 100
    assert parts.sel(component="residual").item() == pytest.approx(rest / 2, rel=1e-4)
    assert parts.sel(component="subject x region").item() == pytest.approx(
        (of_rows - rest) / (2 * t), rel=1e-3
    )
    assert parts.sel(component="stimulus x region").item() == pytest.approx(
        (of_columns - rest) / (2 * s), rel=1e-3
    )
    if trial:
        between = parts.sel(component="subject x stimulus").item()
        assert between == pytest.approx((of_trials - rest) / 4, rel=1e-3)
    if trial:
        # The start alone, without statsmodels, is the optimum too.
        row = np.indices(scores.shape).reshape(3, -1)
        pairs = (row[0], row[1], row[0] * t + row[1], row[0] * 2 + row[2], row[1] * 2 + row[2])
        y, x = 10 * scores.values.ravel(), np.column_stack([np.ones(row.shape[1]), row[2]])
        of_rest = (parts / parts.sel(component="residual")).values[:-1]
        np.testing.assert_allclose(variance_ratios(y, x, pairs), of_rest, rtol=2e-3)
    assert found["n_levels"].values.tolist() == [11, 13, *([143] if trial else []), 22, 26, 286]


def test_degrees_of_freedom_of_unbalanced_trials_equal_those_of_whole_matrices():
    rng = np.random.default_rng(0)
    n = 60
    levels = [rng.permutation(np.arange(n) % k) for k in (5, 7, 30)]
    variances, residual = np.array([0.5, 0.2, 1.5]), 0.8
    x = np.column_stack([np.ones(n), rng.integers(0, 2, n), rng.normal(size=n)])
    parts = [(one[:, None] == one).astype(float) for one in levels] + [np.eye(n)]
    every = [*variances, residual]
    v = sum(s * part for s, part in zip(every, parts, strict=True))
    w = np.linalg.inv(v)
    c = np.linalg.inv(x.T @ w @ x)
    p = w - w @ x @ c @ x.T @ w
    information = np.array([[np.trace(p @ a @ p @ b) / 2 for b in parts] for a in parts])

    def variance(changed):  # of the effects, when the variances are these
        return np.diag(
            np.linalg.inv(x.T @ np.linalg.inv(sum(s * a for s, a in zip(changed, parts, strict=True))) @ x)
        )

    step = 1e-5 * np.eye(4)
    slopes = np.array([(variance(every + e) - variance(every - e)) / 2e-5 for e in step])
    expected = 2 * np.diag(c) ** 2 / np.einsum("il,ij,jl->l", slopes, np.linalg.inv(information), slopes)
    se, df = satterthwaite(x, levels, variances, residual)
    np.testing.assert_allclose(df, expected, rtol=1e-6)
    np.testing.assert_allclose(se, np.sqrt(np.diag(c)), rtol=1e-10)


def test_errors_of_unbalanced_trials_are_of_the_variance_that_their_freedom_is_of():
    rng = np.random.default_rng(33)
    n = 70
    who, what, b = rng.integers(0, 6, n), rng.integers(0, 8, n), rng.random(n) < 0.25
    noise = (
        rng.normal(size=6)[who] + rng.normal(size=8)[what] + 0.8 * rng.normal(size=(6, 2))[who, b.astype(int)]
    )
    labels = {"subject": who, "stimulus": what, "condition": np.where(b, "B", "A")}
    coords = {k: ("trial", v) for k, v in labels.items()}
    scores = xr.DataArray(noise + 0.7 * rng.normal(size=n), coords, "trial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few subjects
        found = inference.mixed(scores, fixed="condition", reference="A")
    levels = [who, what, who * 100 + what, who * 10 + b, what * 10 + b]
    every = dict(zip(found["component"].values.tolist(), found["variance"].values, strict=True))
    *parts, residual = every.values()
    v = residual * np.eye(n) + sum(s * (one[:, None] == one) for s, one in zip(parts, levels, strict=True))
    x = np.column_stack([np.ones(n), b])
    c = np.linalg.inv(x.T @ np.linalg.solve(v, x))
    np.testing.assert_allclose(found["se"], np.sqrt(np.diag(c)), rtol=1e-6)
    estimate = c @ x.T @ np.linalg.solve(v, scores.values)
    np.testing.assert_allclose(found["estimate"], estimate, rtol=1e-4)
    p = 2 * stats.t.sf(np.abs(estimate) / np.sqrt(np.diag(c)), found["df"])
    np.testing.assert_allclose(found["p"], p, rtol=1e-3)


def test_planted_effects_lie_within_their_intervals_and_without_slopes_too_few_do():
    inside = {"slopes": 0, "none": 0}
    for seed in range(20):
        scores = trials((12, 14, 2), seed=100 + seed, effect=0.5, sd=(1, 1, 0.7, 0.7))
        for name, slopes in (("slopes", None), ("none", [])):
            effect = inference.mixed(scores, fixed="region", slopes=slopes, df=11).sel(term="HVC - LVC")
            inside[name] += bool(effect["low"] < 0.05 < effect["high"])
    assert inside["slopes"] >= 17
    assert inside["none"] <= inside["slopes"] - 4


def test_components_of_no_variance_are_zero_and_the_fit_converges():
    scores = trials((12, 12, 2), seed=1, sd=(0, 1, 0, 0))
    values = scores - scores.mean(["stimulus", "region"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = inference.mixed(values.assign_attrs(scores.attrs), fixed="region", df=11)
    assert found.attrs["converged"]
    assert "subject" in found.attrs["at_zero"]
    assert found["variance"].sel(component="subject").item() == 0
    assert found["variance"].sel(component="stimulus").item() == pytest.approx(0.01, rel=0.7)


def test_reference_units_and_scale():
    scores = trials(seed=3, effect=0.5)
    plain = inference.mixed(scores, fixed="region")
    other = inference.mixed(scores, fixed="region", reference="HVC")
    assert other["term"].values.tolist() == ["intercept", "LVC - HVC"]
    assert other["estimate"].values[1] == pytest.approx(-plain["estimate"].values[1])
    assert other["estimate"].values[0] == pytest.approx(scores.sel(region="HVC").mean().item())
    three = trials((10, 10, 3), effect=1.0)
    last = inference.mixed(three, fixed="region", reference="other")
    means = three.mean(["subject", "stimulus"])
    assert last["term"].values.tolist() == ["intercept", "LVC - other", "HVC - other"]
    np.testing.assert_allclose(last["estimate"][1:], (means - means[2])[:2])
    percent = inference.mixed((100 * scores).assign_attrs(units="%"), fixed="region")
    np.testing.assert_allclose(percent["estimate"], 100 * plain["estimate"], rtol=1e-6)
    np.testing.assert_allclose(percent["se"], 100 * plain["se"], rtol=1e-5)
    np.testing.assert_allclose(percent["variance"], 1e4 * plain["variance"], rtol=1e-4)
    assert percent["variance"].attrs["units"] == "(%)^2"


def test_samples_with_coordinates_equal_the_array_with_dimensions():
    scores = trials(seed=6)
    flat = scores.stack(sample=("subject", "stimulus")).reset_index("sample")
    flat = flat.assign_coords(sample=np.arange(flat.sizes["sample"]))
    mixed_up = flat.isel(sample=np.random.default_rng(0).permutation(flat.sizes["sample"]))
    expected = inference.mixed(scores, fixed="region")
    found = inference.mixed(mixed_up, fixed="region")
    for name in ("estimate", "se", "variance"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)


def test_students_t_and_few_subjects():
    scores = trials((5, 12, 2), effect=1.0)
    with pytest.warns(
        UserWarning,
        match=r"with 5 'subject' and 12 'stimulus' variances are hardly known.*leave df out.*, or compare",
    ):
        wald = inference.mixed(scores, fixed="region", df=np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cautious = inference.mixed(scores, fixed="region", df=4)
        inference.mixed(trials((8, 12, 2)), fixed="region")
    with pytest.warns(
        UserWarning, match=r"with 5 'subject' variances are hardly known.*give df=4, or compare"
    ):
        own = inference.mixed(scores, fixed="region")
    half = (cautious["high"] - cautious["estimate"]) / cautious["se"]
    np.testing.assert_allclose(half, stats.t.ppf(0.975, 4))
    np.testing.assert_allclose(cautious["p"], 2 * stats.t.sf(np.abs(wald["z"]), 4))
    assert (cautious["p"] > wald["p"]).all()
    assert (own["p"] > wald["p"]).all()
    assert own.attrs["df"] == "Satterthwaite"
    assert f"({own['df'].values[1]:.1f})" in inference.written(own)


def test_a_condition_between_stimuli_varies_over_subjects_only():
    scores = trials((12, 14, 2), seed=8).isel(region=0, drop=True)
    kind = np.where(np.arange(14) < 7, "animal", "tool")
    scores = scores.assign_coords(kind=("stimulus", kind))
    found = inference.mixed(scores, fixed="kind")
    assert found.attrs["slopes"] == ["subject"]
    assert found["component"].values.tolist() == ["subject", "stimulus", "subject x kind", "residual"]
    assert found["n_levels"].values.tolist() == [12, 14, 24, 168]
    with pytest.raises(ValueError, match="no 'stimulus' has trials of several 'kind'"):
        inference.mixed(scores, fixed="kind", slopes=["stimulus"])


def test_a_fit_that_does_not_converge_is_said_and_written(monkeypatch):
    whole = MixedLM.fit
    monkeypatch.setattr(
        MixedLM, "fit", lambda self, **given: whole(self, method="bfgs", maxiter=1, reml=True)
    )
    scores = trials(seed=1)
    with pytest.warns(UserWarning, match="did not converge: do not trust"):
        found = inference.mixed(scores, fixed="region", slopes=[])
    assert not found.attrs["converged"]
    assert "NOT CONVERGED" in inference.written(found)


def test_bad_trials_are_refused_in_words(tmp_path):
    scores = trials()
    with pytest.raises(ValueError, match="scores has no coordinate 'decoder'"):
        inference.mixed(scores, fixed="decoder")
    with pytest.raises(ValueError, match=r"dimension\(s\) 'window', no part of the model; select one"):
        inference.mixed(scores.expand_dims(window=[0.1, 0.2]), fixed="region")
    with pytest.raises(ValueError, match="needs at least 2 'region', got 1: 'LVC'"):
        inference.mixed(scores.sel(region=["LVC"]), fixed="region")
    with pytest.raises(ValueError, match="needs at least 2 'subject', got 1"):
        inference.mixed(scores[:1], fixed="region")
    with pytest.raises(
        ValueError, match=r"unknown reference among 'region' 'V1'; choose one of 'LVC', 'HVC'"
    ):
        inference.mixed(scores, fixed="region", reference="V1")
    with pytest.raises(ValueError, match="1 of 2 'region' have no score: 'HVC'; drop them"):
        inference.mixed(scores.where(scores["region"] != "HVC"), fixed="region")
    with pytest.raises(ValueError, match="1 infinite of 360 values"):
        inference.mixed(scores.where(scores != scores[0, 0, 0], np.inf), fixed="region")
    with pytest.raises(ValueError, match=r"all 360 scores are 0.5: there is nothing to explain"):
        inference.mixed(xr.full_like(scores, 0.5), fixed="region")
    with pytest.raises(ValueError, match="explain the scores wholly: a mixed model needs single trials"):
        inference.mixed(
            xr.zeros_like(scores) + scores.mean("stimulus") + scores.mean("subject"), fixed="region"
        )
    with pytest.raises(ValueError, match="three, got 'region', 'region', 'stimulus'"):
        inference.mixed(scores, fixed="region", subjects="region")
    with pytest.raises(TypeError, match=r"slopes is a list of names, such as \['subject'\]"):
        inference.mixed(scores, fixed="region", slopes="subject")
    with pytest.raises(ValueError, match="unknown name in slopes 'person'"):
        inference.mixed(scores, fixed="region", slopes=["person"])
    with pytest.raises(ValueError, match="df must be at least 1"):
        inference.mixed(scores, fixed="region", df=0)
    own = scores.isel(stimulus=slice(0, 12), region=slice(0, 2))
    own = own.where(np.eye(12, dtype=bool)[:, :, None])
    with pytest.raises(ValueError, match="'subject' and 'stimulus' divide the trials alike"):
        inference.mixed(own, fixed="region")
    alone = scores.isel(region=0, drop=True).stack(sample=("subject", "stimulus")).reset_index("sample")
    alone = alone.assign_coords(stimulus=("sample", np.arange(180)), kind=("sample", np.arange(180) % 2))
    with pytest.raises(ValueError, match="'stimulus' has 180 levels for 180 trials"):
        inference.mixed(alone, fixed="kind")


@pytest.mark.parametrize("name", ["region", "subject", "stimulus"])
def test_trials_without_a_label_are_refused_by_number(name):
    scores = trials().stack(sample=("subject", "stimulus", "region")).reset_index("sample")
    labels = scores[name].values.astype(object)
    labels[[3, 8]] = None
    torn = scores.assign_coords({name: ("sample", labels)})
    with pytest.raises(ValueError, match=f"2 of 360 trials with a score have no label '{name}'; label them"):
        inference.mixed(torn, fixed="region")
    left_out = inference.mixed(torn.where(torn[name].notnull()), fixed="region")
    assert left_out.attrs["left_out"] == 2


# ---------------------------------------------------------------- tables


def test_comparisons_are_written_with_their_numbers():
    found = inference.compare(*both(8, effect=2.0))
    text = inference.written(found)
    lines = text.splitlines()
    assert lines[0].startswith(
        "| layer | region V2 - region V1 | interval | bootstrap | t(7) | p | p flip | p flip, holm"
    )
    assert len(lines) == 2 + 3 + 2
    assert f"{found['difference'].values[0]:+.3f}" in lines[2]
    assert "n = 8 subjects, in Pearson r; intervals at 95%" in lines[-1]
    rows = list(csv.DictReader(io.StringIO(inference.written(found, form="csv"))))
    np.testing.assert_allclose([float(r["g_z"]) for r in rows], found["g_z"], rtol=1e-5)
    assert [r["layer"] for r in rows] == ["l0", "l1", "l2"]
    assert "intervals at 99.5%" in inference.written(inference.compare(*both(9), level=0.995))
    assert "intervals at 99.5%" in inference.written(inference.mixed(trials(), fixed="region", level=0.995))
    latex = inference.written(found, form="latex")
    assert latex.count(r"\\") == 4
    assert r"d\_z" in latex
    assert "95\\%" not in latex.splitlines()[0]


def test_mixed_models_are_written_with_terms_and_components(tmp_path):
    found = inference.mixed(trials(effect=3.0), fixed="region")
    store.save(found, tmp_path / "model.nc")
    loaded = store.load(tmp_path / "model.nc")
    xr.testing.assert_identical(loaded, found)
    text = inference.written(loaded)
    assert f"| HVC - LVC | {found['estimate'].values[1]:+.3f} ± {found['se'].values[1]:.3f} |" in text
    assert "| variance of subject x region (n = 24) |" in text
    assert "< .001" in text
    assert "n = 360 trials, 12 subjects, 15 stimulus labels, in Pearson r" in text
    rows = list(csv.DictReader(io.StringIO(inference.written(found, form="csv"))))
    assert [r["kind"] for r in rows] == ["fixed"] * 2 + ["variance"] * 6
    assert float(rows[1]["p"]) == pytest.approx(found["p"].values[1], rel=1e-5)
    earlier = found.drop_vars("df").assign_attrs(df=np.inf)  # as saved before each term had its own
    rows = list(csv.DictReader(io.StringIO(inference.written(earlier, form="csv"))))
    assert "df" not in rows[0]
    assert [r["n_levels"] for r in rows] == ["", "", *map(str, found["n_levels"].values)]
    latex = inference.written(found, form="latex")
    assert "$<$ .001" in latex
    assert r"$\pm$" in latex
    with pytest.raises(ValueError, match="unknown form 'html'; choose one of 'markdown', 'latex', 'csv'"):
        inference.written(found, form="html")
    with pytest.raises(ValueError, match="takes the result of inference.compare or inference.mixed"):
        inference.written(inference.group(subjects(5)))
