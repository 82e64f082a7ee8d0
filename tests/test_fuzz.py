"""Nonsense in, words or a right number out: every public call with arguments spoilt at random.

    pytest tests/test_fuzz.py                               a few examples of each, with every run of the tests
    NEURODECODE_FUZZ=2000 pytest tests/test_fuzz.py -s      a campaign; docs/errors.md says what was found

Right means: equal to a plain computation in float64, finite where the input is, with the labels of the input, and not
dependent on the order of the samples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

import neurodecode as nd
from tests.fuzzing import REFUSED, TRIED, attempt, is_finite, spoil, spoilt

MANY = int(os.environ.get("NEURODECODE_FUZZ", "0"))
fuzzed = settings(
    max_examples=MANY or 12,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not MANY,
)
slowly = settings(fuzzed, max_examples=MANY // 4 or 6)
SEEDS = st.integers(0, 9)
DRAW = st.data()


@pytest.fixture(autouse=True, scope="module")
def tell() -> Iterator[None]:
    yield
    print(f"\n{TRIED['calls']} calls: {TRIED['refused']} refused in words, {TRIED['answered']} answered")


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def names(n: int) -> list[str]:
    return [f"s{i:02d}" for i in range(n)]


def responses(seed: int, n: int = 8, v: int = 4, **labels: Any) -> xr.DataArray:
    return nd.brain.fmri(
        normal(seed, n, v), sample=names(n), stimulus=names(n), roi=["V1", "V1", "LO", "LO"][:v], **labels
    )


def epochs(seed: int, n: int = 8, c: int = 2, t: int = 6, **labels: Any) -> xr.DataArray:
    return nd.brain.meeg(
        normal(seed, n, c, t),
        sample=names(n),
        stimulus=names(n),
        channel=["Oz", "Pz"][:c],
        time=np.arange(t) / 50,
        **labels,
    )


def features(seed: int, n: int = 8, p: int = 5, **labels: Any) -> xr.DataArray:
    return nd.brain.features(normal(seed + 100, n, p), stimulus=names(n), **labels)


def predictions(seed: int, n: int = 8, p: int = 5) -> tuple[xr.DataArray, xr.DataArray]:
    true = nd.labels.match(features(seed, n, p), responses(seed, n))
    return true.copy(data=true.values + normal(seed + 7, n, p)), true


def written(labels: Any) -> list[str]:
    """Labels as text."""
    return [
        v.decode(errors="backslashreplace") if isinstance(v, bytes) else str(v)
        for v in np.asarray(labels).tolist()
    ]


# ------------------------------------------------------------------------------------------ constructors
def require_kept(array: xr.DataArray, given: dict[str, Any], dims: tuple[str, ...], **labels: str) -> None:
    """Values as given, in float64 or float32, and labels as given."""
    assert array.dims == dims
    values = given["values"]
    own = (
        values.transpose(*dims).values
        if isinstance(values, xr.DataArray) and set(values.dims) == set(dims)
        else values
    )
    # What a mask hides is missing.
    plain = own.filled(np.nan) if isinstance(own, np.ma.MaskedArray) else np.asarray(own, dtype=np.float64)
    np.testing.assert_allclose(array.values, plain, rtol=1e-6)
    assert is_finite(array.values) == is_finite(plain)
    for name, dim in labels.items():
        assert array.coords[name].dims == (dim,)
        assert len(set(array.coords[name].values.tolist())) == array.sizes[dim] or name == "stimulus"


@fuzzed
@given(DRAW, SEEDS)
def test_fmri(data: st.DataObject, seed: int) -> None:
    n, v = 6, 3
    good = {
        "values": normal(seed, n, v),
        "sample": names(n),
        "stimulus": ["a", "b", "c"] * 2,
        "roi": ["V1", "", "LO"],
        "hemi": ["left", "right", "left"],
        "vertex": [0, 1, 2],
        "xyz": normal(seed, v, 3),
        "subject": "1",
        "session": [1, 1, 1, 2, 2, 2],
        "run": names(n),
        "repeat": np.arange(n),
        "split": ["train"] * 5 + ["test"],
        "units": "a.u.",
        "space": "fsaverage5",
    }
    given = spoil(data.draw, good)
    array = attempt(nd.brain.fmri, **given)
    if array is not REFUSED:
        labels = {"sample": "sample"} | ({} if given["stimulus"] is None else {"stimulus": "sample"})
        require_kept(array, given, ("sample", "voxel"), **labels)
        assert (
            set(array.coords["hemi"].values.tolist()) <= {"left", "right"} if "hemi" in array.coords else True
        )
        attempt(repr, array)


@fuzzed
@given(DRAW, SEEDS)
def test_meeg(data: st.DataObject, seed: int) -> None:
    n, c, t = 5, 3, 6
    good = {
        "values": normal(seed, n, c, t),
        "sample": names(n),
        "stimulus": ["a", "b", "a", "b", "c"],
        "channel": names(c),
        "time": np.arange(t) / 100 - 0.02,
        "kind": "eeg",
        "xyz": normal(seed, c, 3),
        "subject": 1,
        "session": [1] * n,
        "run": names(n),
        "repeat": np.arange(n),
        "split": ["train"] * n,
        "units": "V",
    }
    given = spoil(data.draw, good)
    array = attempt(nd.brain.meeg, **given)
    if array is not REFUSED:
        labels = {"sample": "sample", "channel": "channel"}
        labels |= {} if given["stimulus"] is None else {"stimulus": "sample"}
        require_kept(array, given, ("sample", "channel", "time"), **labels)
        time = array["time"].values
        assert is_finite(time)
        assert (np.diff(time) > 0).all()
        assert np.abs(time).max() <= 60


@fuzzed
@given(DRAW, SEEDS)
def test_features(data: st.DataObject, seed: int) -> None:
    good = {"values": normal(seed, 4, 3), "stimulus": names(4), "layer": ["c", "c", "z"], "unit": [0, 1, 0]}
    given = spoil(data.draw, good)
    array = attempt(nd.brain.features, **given)
    if array is not REFUSED:
        require_kept(array, given, ("stimulus", "feature"), stimulus="stimulus")
        spaces = attempt(nd.brain.spaces, array)
        assert spaces is REFUSED or sum(s.sizes["feature"] for s in spaces.values()) == array.sizes["feature"]


@fuzzed
@given(DRAW, SEEDS)
def test_images(data: st.DataObject, seed: int) -> None:
    good = {"values": np.clip(normal(seed, 3, 2, 2, 3), 0, 1), "stimulus": names(3)}
    given = spoil(data.draw, good)
    array = attempt(nd.brain.images, **given)
    if array is not REFUSED:
        assert array.dims == ("stimulus", "row", "column", "colour")
        assert ((array.values >= 0) & (array.values <= 1)).all()


@fuzzed
@given(DRAW)
def test_one_hot(data: st.DataObject) -> None:
    given = spoil(data.draw, {"names": ["cat", "dog", "cat", "cow"]})
    array = attempt(nd.brain.one_hot, **given)
    if array is not REFUSED:
        assert (array.values.sum(axis=1) == 1).all()
        assert set(np.unique(array.values)) <= {0, 1}


@fuzzed
@given(DRAW, SEEDS)
def test_stack(data: st.DataObject, seed: int) -> None:
    given = spoil(data.draw, {"c": features(seed, 4, 2), "z": features(seed + 1, 4, 3)})
    array = attempt(nd.brain.stack, given)
    if array is not REFUSED:
        parts = [np.asarray(s.transpose("stimulus", "feature").values, dtype=float) for s in given.values()]
        np.testing.assert_allclose(array.values, np.concatenate(parts, axis=1), rtol=1e-6)


@fuzzed
@given(DRAW, SEEDS)
def test_regions(data: st.DataObject, seed: int) -> None:
    given = spoil(
        data.draw, {"responses": responses(seed), "regions": {"visual": ["V1", "LO"], "early": ["V1"]}}
    )
    masks = attempt(nd.brain.regions, **given)
    if masks is not REFUSED:
        assert masks.dtype == bool
        assert "region" in masks.coords


@fuzzed
@given(DRAW, SEEDS)
def test_average_repeats(data: st.DataObject, seed: int) -> None:
    trials = responses(seed).assign_coords(stimulus=("sample", ["a", "b", "a", "c", "b", "a", "c", "d"]))
    given = spoil(data.draw, {"responses": trials, "by": "stimulus"})
    mean = attempt(nd.brain.average_repeats, **given)
    if mean is not REFUSED and isinstance(given["by"], str):
        if len({type(v) for v in given["responses"].coords[given["by"]].values.tolist()}) > 1:
            return  # 1 and "1" are two labels, which are written alike
        labels = written(given["responses"].coords[given["by"]].values)
        values = given["responses"].transpose("sample", ...).values.astype(np.longdouble)
        for row, name in zip(mean.values, written(mean["sample"].values), strict=True):
            plain = values[[i for i, own in enumerate(labels) if own == name]].mean(axis=0)
            np.testing.assert_allclose(
                row, plain.astype(float), rtol=1e-4, atol=1e-6 * float(np.abs(plain).max(initial=0))
            )


# ------------------------------------------------------------------------------------- labels and folds
@fuzzed
@given(DRAW, SEEDS)
def test_match(data: st.DataObject, seed: int) -> None:
    shown = responses(seed).assign_coords(
        stimulus=("sample", ["s03", "s01", "s03", "s00", "s02", "s02", "s01", "s07"])
    )
    given = spoil(data.draw, {"features": features(seed), "responses": shown})
    matched = attempt(nd.labels.match, **given)
    if matched is not REFUSED and "stimulus" in given["features"].dims:
        table = {
            repr(k): row
            for k, row in zip(
                given["features"]["stimulus"].values.tolist(),
                given["features"].transpose("stimulus", ...).values,
                strict=True,
            )
        }
        for row, wanted in zip(matched.values, given["responses"]["stimulus"].values.tolist(), strict=True):
            assert repr(row.tolist()) == repr(table[repr(wanted)].tolist())


@fuzzed
@given(DRAW, SEEDS, st.sampled_from(["k", "name", "ids"]))
def test_splits(data: st.DataObject, seed: int, how: str) -> None:
    array = responses(seed, run=[1, 1, 2, 2, 3, 3, 4, 4], split=["train"] * 5 + ["test"] * 3)
    plan: dict[str, Any] = {
        "k": {"folds": 3},
        "name": {"folds": "run"},
        "ids": {"train": names(4), "test": np.arange(8) > 5},
    }[how]
    given = spoil(data.draw, {"responses": array, "shared": (), **plan})
    found = attempt(nd.folds.splits, **given)
    if found is REFUSED:
        return
    n = given["responses"].sizes["sample"]
    for fold in found:
        train, test = set(fold.train.tolist()), set(fold.test.tolist())
        assert train
        assert test
        assert not train & test
        assert train | test <= set(range(n))
        if "stimulus" in given["responses"].coords and isinstance(given["shared"], tuple):
            shown = np.asarray(written(given["responses"]["stimulus"].values))
            own = given["responses"]["stimulus"].values.tolist()
            assert not {repr(own[i]) for i in train} & {repr(own[i]) for i in test}, shown
    if how != "ids" and given["folds"] is not None:  # None: the split that the responses bear
        assert sorted(i for f in found for i in f.test.tolist()) == list(range(n))


@fuzzed
@given(DRAW, SEEDS)
def test_hold_out(data: st.DataObject, seed: int) -> None:
    array = responses(seed, split=["train"] * 6 + ["test"] * 2)
    good = {"responses": array, "amount": 2, "by": "stimulus", "of": "train", "name": "validation", "seed": 1}
    given = spoil(data.draw, good)
    moved = attempt(nd.folds.hold_out, **given)
    if moved is not REFUSED:
        before, after = given["responses"]["split"].values.astype(str), moved["split"].values.astype(str)
        taken = after == str(given["name"])
        assert 0 < taken.sum() < (before == str(given["of"])).sum()
        assert (before[taken] == str(given["of"])).all()
        assert (before[~taken] == after[~taken]).all()


@fuzzed
@given(DRAW)
def test_windows(data: st.DataObject) -> None:
    good = {
        "time": np.arange(-5, 20) / 50,
        "width": 0.1,
        "step": 0.04,
        "scheme": "sliding",
        "tmin": -0.05,
        "tmax": 0.35,
    }
    given = spoil(data.draw, good, most=3)
    laid = attempt(nd.temporal.windows, **given)
    if laid is not REFUSED:
        time = np.asarray(given["time"], dtype=float)
        first, size = laid["first"].values, laid["size"].values
        assert len(first)
        assert (first >= 0).all()
        assert (size >= 1).all()
        assert (first + size <= time.size).all()
        np.testing.assert_array_equal(laid["start"].values, time[first])
        np.testing.assert_array_equal(laid["stop"].values, time[first + size - 1])
        dt = np.diff(time).mean()
        if given["tmin"] is not None:
            assert (laid["start"].values >= given["tmin"] - 1e-3 * dt).all()
        if given["tmax"] is not None:
            assert (laid["stop"].values <= given["tmax"] + 1e-3 * dt).all()
        if given["scheme"] == "sliding":
            assert (np.abs(size * dt - given["width"]) <= dt * 0.51).all()


# ------------------------------------------------------------------------------------------------ scores
def plain_r(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson r in extended precision of numbers brought to a common size first."""
    a, b = (np.asarray(v, dtype=np.longdouble) for v in (a, b))
    a, b = (v / (np.abs(v).max() or 1) for v in (a, b))
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else float("nan")


def varies(a: np.ndarray) -> bool:
    return bool(np.ptp(a.astype(np.longdouble)) > 1e-8 * np.abs(a.astype(np.longdouble)).max())


@fuzzed
@given(DRAW, SEEDS, st.sampled_from(["profile", "pattern", "r2", "pairwise", "auc", "accuracy", "top_k"]))
def test_scores(data: st.DataObject, seed: int, name: str) -> None:
    predicted, true = predictions(seed)
    if name == "auc":
        true = true.copy(data=(true.values > np.median(true.values, axis=0)).astype(float))
    if name == "accuracy":
        true = true.copy(data=np.eye(5)[np.arange(8) % 5])
    second = (
        {"candidates": features(seed), "k": 1, "metric": "correlation"} if name == "top_k" else {"true": true}
    )
    given = spoil(data.draw, {"predicted": predicted, **second})
    found = attempt(getattr(nd.score, name), **given)
    if found is REFUSED:
        return
    assert np.isfinite(found.attrs["chance"]) or name == "pattern"
    p = given["predicted"].transpose("sample", "feature").values
    if name in ("profile", "pattern", "r2", "pairwise", "auc"):
        t = given["true"].transpose("sample", "feature").values
        rows = zip(p.T, t.T, strict=True) if name in ("profile", "r2", "auc") else zip(p, t, strict=True)
        for value, (a, b) in zip(found.values, rows, strict=True):
            if not varies(b):
                assert np.isnan(value) or name == "pairwise"
            elif name in ("profile", "pattern"):
                assert value == pytest.approx(plain_r(a, b) if varies(a) else 0.0, abs=1e-6)
            elif name == "r2":
                size = max(np.abs(a).max(), np.abs(b).max()) or 1
                a, b = (v.astype(np.longdouble) / size for v in (a, b))
                plain = float(1 - ((a - b) ** 2).sum() / ((b - b.mean()) ** 2).sum())
                assert value == pytest.approx(plain, rel=1e-6, abs=1e-6)
            else:
                assert 0 <= value <= 1
    else:
        assert ((found.values >= 0) & (found.values <= 1)).all()
    if "k" in given and is_finite(found.values):
        assert found.sizes["sample"] == given["predicted"].sizes["sample"]
    order = np.roll(np.arange(p.shape[0]), 3)
    turned = {
        k: v.isel(sample=order) if isinstance(v, xr.DataArray) and "sample" in v.dims else v
        for k, v in given.items()
    }
    again = getattr(nd.score, name)(**turned)
    expected = found.values[order] if found.dims == ("sample",) else found.values
    np.testing.assert_allclose(again.values, expected, rtol=1e-6, atol=1e-9)


@fuzzed
@given(DRAW, SEEDS)
def test_similarity_named_and_noise_ceiling(data: st.DataObject, seed: int) -> None:
    predicted, _ = predictions(seed)
    alike = attempt(
        nd.score.similarity,
        **spoil(data.draw, {"predicted": predicted, "candidates": features(seed), "metric": "cosine"}),
    )
    assert alike is REFUSED or (np.abs(alike.values) <= 1 + 1e-9).all()
    attempt(nd.score.named, spoilt(data.draw, "top1"))
    given = spoil(data.draw, {"ncsnr": np.abs(normal(seed, 4)), "n": 3})
    found = attempt(nd.score.noise_ceiling, **given)
    if found is not REFUSED and is_finite(given["ncsnr"]):
        assert ((np.asarray(found) >= 0) & (np.asarray(found) <= 1)).all()


# ------------------------------------------------------------------------------------------------- ridge
def plain_ridge(x: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
    """Predictions of the training rows: the closed form on z-scored sides, in float64."""
    x, y = x.astype(float), y.astype(float)
    x_sd = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(x_sd > 0, x_sd, 1)
    c = y - y.mean(axis=0)
    w = np.linalg.solve(z.T @ z + alpha * np.eye(z.shape[1]), z.T @ c)
    return np.asarray(z @ w + y.mean(axis=0))


ORDINARY = {"NaN", "infinite", "all NaN"}


@fuzzed
@given(DRAW, SEEDS, st.sampled_from([nd.RidgeDecoder, nd.RidgeEncoder]))
def test_ridge(data: st.DataObject, seed: int, kind: Any) -> None:
    settings_of = spoil(
        data.draw, {"alpha": 1.5, "standardise": True, "intercept": "centre", "folds": None}, most=1
    )
    given = spoil(data.draw, {"responses": responses(seed), "features": features(seed)}, most=1)
    first, second = ("responses", "features") if kind is nd.RidgeDecoder else ("features", "responses")
    model = kind(**settings_of)
    fitted = attempt(model.fit, given[first], given[second])
    if fitted is REFUSED:
        return
    predicted = attempt(fitted.predict, given[first])
    assert predicted is not REFUSED, f"fitted and then refused: {settings_of} {given}"
    assert is_finite(predicted.values)
    assert is_finite(fitted.weights_.values)
    plain = (
        np.ndim(settings_of["alpha"]) == 0
        and settings_of["standardise"] is True
        and settings_of["intercept"] == "centre"
    )
    r, f = given["responses"], nd.labels.match(given["features"], given["responses"])
    x, y = (a.transpose("sample", ...).values for a in ((r, f) if first == "responses" else (f, r)))
    if first == "features":
        predicted = nd.labels.match(predicted, r) if "stimulus" in predicted.dims else predicted
    if plain and x.dtype == np.float64 and np.abs(y).max() < 1e100 and all(varies(c) for c in x.T):
        expected = plain_ridge(x, y, float(settings_of["alpha"]))
        np.testing.assert_allclose(predicted.values, expected, rtol=1e-5, atol=1e-5 * (np.abs(y).max() or 1))
    order = np.roll(np.arange(8), 3)
    turned = kind(**settings_of).fit(
        *(a.isel(sample=order) if "sample" in a.dims else a for a in (given[first], given[second]))
    )
    if settings_of["folds"] is None:
        np.testing.assert_allclose(
            turned.weights_.values,
            fitted.weights_.values,
            rtol=1e-3,
            atol=1e-3 * np.abs(fitted.weights_.values).max() + 1e-300,
        )


@fuzzed
@given(DRAW, SEEDS)
def test_ridge_with_choices(data: st.DataObject, seed: int) -> None:
    good = {
        "alpha": [0.1, 1.0, 10.0],
        "n_voxels": 2,
        "standardise": True,
        "intercept": "centre",
        "folds": 2,
        "all_errors": False,
        "device": None,
    }
    model = nd.RidgeDecoder(**spoil(data.draw, good))
    other = spoil(data.draw, {"responses": responses(seed + 1)}, most=1)["responses"]
    fitted = attempt(model.fit, responses(seed), features(seed))
    if fitted is not REFUSED:
        predicted = attempt(fitted.predict, other)
        assert predicted is REFUSED or is_finite(np.asarray(predicted))  # plain rows are predicted plainly


# ------------------------------------------------------------------------------------------ preparations
@fuzzed
@given(DRAW, SEEDS)
def test_zscore(data: st.DataObject, seed: int) -> None:
    given = spoil(data.draw, {"responses": responses(seed, run=[1, 1, 1, 1, 2, 2, 2, 2]), "by": "run"})
    found = attempt(
        lambda responses, by: nd.prepare.ZScore(by=by).fit(responses).transform(responses), **given
    )
    if found is not REFUSED and given["by"] == "run":
        values = given["responses"].transpose("sample", ...).values.astype(np.longdouble)
        run = np.asarray(written(given["responses"]["run"].values))
        for label in np.unique(run):
            part = values[run == label]
            part = part / (np.abs(part).max() or 1)
            sd = part.std(axis=0)
            plain = (part - part.mean(axis=0)) / np.where(sd > 0, sd, 1)
            steady = np.asarray(sd > 1e-8, dtype=bool)
            np.testing.assert_allclose(
                found.transpose("sample", ...).values[run == label][:, steady],
                plain[:, steady].astype(float),
                atol=1e-4,
            )


@slowly
@given(DRAW, SEEDS)
def test_mvnn_and_pca(data: st.DataObject, seed: int) -> None:
    settings_of = spoil(
        data.draw, {"method": "epoch", "shrinkage": 0.3, "condition": None, "by": None}, most=1
    )
    given = spoil(data.draw, {"responses": epochs(seed)}, most=1)
    white = attempt(
        lambda responses: nd.prepare.MVNN(**settings_of).fit(responses).transform(responses), **given
    )
    assert white is REFUSED or is_finite(white.values)
    settings_of = spoil(data.draw, {"n_components": 2, "whiten": False, "seed": 0}, most=1)
    given = spoil(data.draw, {"features": features(seed)}, most=1)
    reduced = attempt(
        lambda features: nd.prepare.FeaturePCA(**settings_of).fit(features).transform(features), **given
    )
    assert reduced is REFUSED or is_finite(reduced.values)


# --------------------------------------------------------------------------------- inference and ceilings
def curves(seed: int, subjects: int = 6, windows: int = 5) -> xr.DataArray:
    return xr.DataArray(
        normal(seed, subjects, windows) * 0.1 + 0.4,
        dims=("subject", "window"),
        coords={"subject": names(subjects), "window": np.arange(windows) / 10},
        attrs={"units": "proportion", "chance": 0.3, "score": "top1"},
    )


@fuzzed
@given(DRAW, SEEDS)
def test_group_above_chance_and_fdr(data: st.DataObject, seed: int) -> None:
    given = spoil(data.draw, {"scores": curves(seed), "over": "subject"})
    found = attempt(nd.inference.group, **given)
    if found is not REFUSED and given["over"] == "subject" and is_finite(given["scores"].values):
        plain = given["scores"].transpose("subject", ...).values.astype(np.longdouble)
        np.testing.assert_allclose(
            found["mean"].values, plain.mean(axis=0).astype(float), rtol=1e-6, atol=1e-12
        )
        if len(plain) > 1:
            size = np.abs(plain).max() or 1
            sem = (plain / size).std(axis=0, ddof=1) * size / np.sqrt(len(plain))
            np.testing.assert_allclose(
                found["sem"].values, sem.astype(float), rtol=1e-4, atol=float(1e-7 * size)
            )
    given = spoil(data.draw, {"scores": curves(seed), "over": "subject", "alpha": 0.05})
    tested = attempt(nd.inference.above_chance, **given)
    if tested is not REFUSED:
        assert ((tested["p"].values >= 0) & (tested["p"].values <= 1)).all()
    p = xr.DataArray(np.abs(normal(seed, 6)) % 1, dims="window")
    given = spoil(data.draw, {"p": p, "alpha": 0.05, "method": "bh"})
    corrected = attempt(nd.inference.fdr, **given)
    if corrected is not REFUSED and given["method"] == "bh":
        plain = stats.false_discovery_control(np.asarray(given["p"].values, dtype=float).ravel())
        np.testing.assert_allclose(corrected["p"].values.ravel(), plain)


@fuzzed
@given(DRAW, SEEDS)
def test_compare(data: st.DataObject, seed: int) -> None:
    good = {
        "a": curves(seed),
        "b": curves(seed + 1),
        "over": "subject",
        "level": 0.95,
        "correction": "holm",
        "missing": "raise",
        "n_permutations": 100,
        "n_bootstrap": 100,
        "seed": 0,
    }
    given = spoil(data.draw, good)
    found = attempt(nd.inference.compare, **given)
    if found is not REFUSED and given["over"] == "subject" and given["missing"] == "raise":
        a = given["a"].transpose("subject", ...).values.astype(np.longdouble)
        b = (
            given["b"]
            .transpose("subject", ...)
            .sel(window=given["a"]["window"].values)
            .values.astype(np.longdouble)
        )
        size = max(np.abs(a).max(), np.abs(b).max())
        np.testing.assert_allclose(
            found["difference"].values, (a - b).mean(axis=0).astype(float), rtol=1e-5, atol=float(1e-6 * size)
        )
        for name in ("p", "p_flip", "p_corrected", "p_flip_corrected"):
            assert ((found[name].values >= 0) & (found[name].values <= 1)).all()


@slowly
@given(DRAW, SEEDS)
def test_clusters_and_latency(data: st.DataObject, seed: int) -> None:
    good = {
        "scores": curves(seed),
        "over": "subject",
        "chance": 0.3,
        "tail": 1,
        "threshold": 0.05,
        "alpha": 0.05,
        "n_permutations": 16,
        "seed": 0,
    }
    found = attempt(nd.inference.clusters, **spoil(data.draw, good))
    assert found is REFUSED or ((found["p"].values > 0) & (found["p"].values <= 1)).all()
    good = {
        "scores": curves(seed),
        "over": "subject",
        "chance": 0.3,
        "share": 0.5,
        "within": (0.0, 0.4),
        "interval": "bootstrap",
        "level": 0.9,
        "n_bootstrap": 100,
        "seed": 0,
    }
    when = attempt(nd.inference.latency, **spoil(data.draw, good))
    if when is not REFUSED:
        for value in when.data_vars.values():
            assert (
                not np.isinf(np.asarray(value.values, dtype=float)).any() if value.dtype.kind == "f" else True
            )


@fuzzed
@given(DRAW, SEEDS)
def test_permutation(data: st.DataObject, seed: int) -> None:
    scores = curves(seed)
    null = xr.concat([curves(seed + i + 1) for i in range(10)], dim=xr.Variable("permutation", np.arange(10)))
    good = {
        "scores": scores,
        "null": null,
        "over": "subject",
        "tail": "greater",
        "family": None,
        "standardise": True,
        "correction": "max",
        "alpha": 0.05,
    }
    found = attempt(nd.inference.permutation, **spoil(data.draw, good))
    if found is not REFUSED:
        assert ((found["p"].values > 0) & (found["p"].values <= 1)).all()


@fuzzed
@given(DRAW, SEEDS)
def test_shuffles(data: st.DataObject, seed: int) -> None:
    array = responses(seed, run=[1, 1, 1, 1, 2, 2, 2, 2])
    given = spoil(
        data.draw, {"responses": array, "n": 5, "blocks": "run", "folds": 2, "seed": 0, "alpha": 0.4}
    )
    attempt(nd.inference.shuffles, **given)


def trials(seed: int) -> xr.DataArray:
    return responses(seed, n=12).assign_coords(stimulus=("sample", [f"i{i % 4}" for i in range(12)]))


@slowly
@given(DRAW, SEEDS, st.sampled_from(["ncsnr", "split_half"]))
def test_ceilings(data: st.DataObject, seed: int, name: str) -> None:
    more = {"splits": 3} if name == "split_half" else {}
    good = {
        "responses": trials(seed),
        "by": "stimulus",
        "n": 3,
        "level": 0.9,
        "n_bootstrap": 5,
        "seed": 0,
        **more,
    }
    found = attempt(getattr(nd.ceilings, name), **spoil(data.draw, good))
    if found is not REFUSED:
        for key, value in found.data_vars.items():
            assert not np.isinf(np.asarray(value.values, dtype=float)).any(), key
        attempt(nd.ceilings.by_region, found)


@fuzzed
@given(DRAW, SEEDS)
def test_normalise(data: st.DataObject, seed: int) -> None:
    scores = xr.DataArray(
        normal(seed, 4) * 0.1,
        dims="voxel",
        coords={"voxel": np.arange(4)},
        attrs={"score": "profile", "units": "Pearson r"},
    )
    good = {"scores": scores, "ceiling": scores.copy(data=np.full(4, 0.5)), "least": 0.1}
    attempt(nd.ceilings.normalise, **spoil(data.draw, good))


# ------------------------------------------------------------------------------------ retrieval, windows
@fuzzed
@given(DRAW, SEEDS)
def test_retrieval(data: st.DataObject, seed: int) -> None:
    predicted, _ = predictions(seed)
    good = {
        "predictions": predicted,
        "candidates": features(seed),
        "answer": "stimulus",
        "k": (1, 3),
        "n_way": None,
        "metric": "correlation",
        "interval": "wilson",
        "level": 0.95,
        "n_bootstrap": 10,
        "seed": 0,
    }
    given = spoil(data.draw, good)
    found = attempt(nd.retrieval.identify, **given)
    if found is not REFUSED:
        values = found["accuracy"].values if "accuracy" in found else np.array([0.5])
        assert ((values >= 0) & (values <= 1)).all()
    guess = attempt(
        nd.retrieval.classify,
        **spoil(data.draw, {"predictions": predicted, "candidates": features(seed), "metric": "cosine"}),
    )
    assert guess is REFUSED or guess.sizes["sample"] >= 1
    shown = responses(seed).assign_coords(concept=("sample", ["cat", "dog"] * 4))
    given = spoil(data.draw, {"features": features(seed), "shown": shown})
    centres = attempt(nd.retrieval.concept_centres, **given)
    if centres is not REFUSED and "stimulus" in given["features"].dims:
        assert is_finite(centres.values)


@fuzzed
@given(DRAW, SEEDS)
def test_rsa(data: st.DataObject, seed: int) -> None:
    given = spoil(data.draw, {"responses": trials(seed), "method": "correlation", "by": "stimulus"})
    found = attempt(nd.rsa.rdm, **given)
    assert found is REFUSED or np.allclose(found.values, found.values.T, equal_nan=True)


@slowly
@given(DRAW, SEEDS)
def test_sweep(data: st.DataObject, seed: int) -> None:
    good = {
        "epochs": epochs(seed),
        "features": features(seed),
        "width": 0.04,
        "step": 0.04,
        "scheme": "sliding",
        "tmin": None,
        "tmax": 0.1,
        "folds": 2,
        "score": "pattern",
    }
    given = spoil(data.draw, good)
    found = attempt(nd.temporal.sweep, decoder=nd.RidgeDecoder(), **given)
    if found is not REFUSED:
        assert found.dims == ("window", "layer", "subject", "fold")
        assert not np.isinf(found.values).any()


@slowly
@given(DRAW, SEEDS)
def test_decode(data: st.DataObject, seed: int) -> None:
    good = {
        "responses": responses(seed),
        "features": features(seed),
        "regions": {"early": ["V1"]},
        "folds": 2,
        "score": "profile",
        "by": "layer",
    }
    found = attempt(nd.spatial.decode, decoder=nd.RidgeDecoder(), **spoil(data.draw, good))
    if found is not REFUSED:
        assert not np.isinf(found.values).any()


@slowly
@given(DRAW, SEEDS)
def test_maps_and_selection(data: st.DataObject, seed: int) -> None:
    decoder = nd.RidgeDecoder().fit(responses(seed), features(seed))
    good = {
        "kind": "pattern",
        "reduce": "l2",
        "responses": responses(seed),
        "by": "layer",
        "units": "original",
    }
    found = attempt(nd.spatial.weight_map, decoder, **spoil(data.draw, good))
    assert found is REFUSED or is_finite(found.values)
    good = {
        "responses": responses(seed, split=["train"] * 8),
        "features": features(seed),
        "train": "train",
        "keep": 0.4,
        "folds": 2,
        "block": None,
    }
    kept = attempt(nd.selection.best_features, decoder=nd.RidgeDecoder(), **spoil(data.draw, good))
    assert kept is REFUSED or kept.dtype == bool


# ------------------------------------------------------------------------------------------------- files
@slowly
@given(data=DRAW, seed=SEEDS)
def test_what_is_saved_is_loaded(
    data: st.DataObject, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    given = spoil(
        data.draw,
        {
            "values": normal(seed, 4, 3),
            "sample": names(4),
            "stimulus": names(4),
            "roi": ["V1", "", "LO"],
            "session": [1] * 4,
        },
    )
    array = attempt(nd.brain.fmri, **given)
    if array is not REFUSED:
        path = tmp_path_factory.mktemp("fuzz") / "array.nc"
        if attempt(nd.save, array, path) is not REFUSED:
            loaded = nd.load(path)
            np.testing.assert_array_equal(loaded.values, array.values)
            for name in array.coords:
                assert written(loaded[name].values) == written(array[name].values), name
