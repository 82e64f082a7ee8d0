"""Calls that would not fit are refused before they start, with the number, the limit and the remedy."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import labels, prepare, score


def recording() -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(0)
    names = [f"img_{i}" for i in range(20)]
    responses = nd.brain.fmri(
        rng.normal(size=(40, 12)), sample=[f"s{i}" for i in range(40)], stimulus=np.repeat(names, 2)
    )
    return responses, nd.brain.features(rng.normal(size=(20, 6)), stimulus=names)


def epochs() -> xr.DataArray:
    rng = np.random.default_rng(1)
    names = [f"s{i}" for i in range(20)]
    values = rng.normal(size=(20, 4, 9))
    labels_ = {"sample": names, "stimulus": np.repeat(["a", "b"], 10), "channel": list("abcd")}
    return nd.brain.meeg(values, **labels_, time=np.arange(9) / 100)


def _predict() -> object:
    responses, features = recording()
    decoder = nd.RidgeDecoder().fit(responses, features)
    return lambda: decoder.predict(responses)


def _zscore() -> object:
    scaler = prepare.ZScore().fit(recording()[0])
    return lambda: scaler.transform(recording()[0])


def _mvnn() -> object:
    whitener = prepare.MVNN().fit(epochs())
    return lambda: whitener.transform(epochs())


def _score() -> object:
    a = xr.DataArray(np.eye(6), dims=("sample", "feature"))
    return lambda: score.profile(a, a)


CALLS = {
    "match": lambda: lambda: labels.match(recording()[1], recording()[0]),
    "average": lambda: lambda: nd.brain.average_repeats(recording()[0]),
    "fit": lambda: lambda: nd.RidgeDecoder().fit(*recording()),
    "fit, selected": lambda: lambda: nd.RidgeDecoder(n_voxels=3).fit(*recording()),
    "fit, encoder": lambda: lambda: nd.RidgeEncoder([1.0, 2.0]).fit(*recording()[::-1]),
    "predict": _predict,
    "zscore": _zscore,
    "mvnn": _mvnn,
    "pca": lambda: lambda: prepare.FeaturePCA(2).fit(recording()[1]),
    "score": _score,
    "sweep": lambda: (
        lambda: nd.temporal.sweep(
            epochs(),
            nd.brain.features(np.eye(2), stimulus=["a", "b"]),
            nd.RidgeDecoder(),
            width=0.04,
            folds=2,
        )
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_would_not_fit_is_refused_with_number_limit_and_remedy(name, monkeypatch):
    call = CALLS[name]()
    monkeypatch.setattr(labels, "SMALL", 0)
    monkeypatch.setattr(score, "LARGE", 0)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=16))
    with pytest.raises(
        MemoryError, match=r"would need about .* GiB but only 0.0 GiB are free \(limit: 80%.*; \w+"
    ):
        call()


def _traced(call: Callable[[], object]) -> int:
    """Bytes that NumPy held at the peak of a call."""
    call()
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("k", [None, 60])
@pytest.mark.parametrize("grid", [[100.0], np.logspace(0, 4, 30)])
@pytest.mark.parametrize(("n", "p", "q"), [(1500, 300, 1500), (400, 1200, 700), (500, 300, 6000)])
def test_a_fit_holds_no_more_than_twice_its_estimate(n, p, q, k, grid, monkeypatch):
    from neurodecode.solve import Settings, fit_ridge, selected
    from neurodecode.solve.fit import TARGETS
    from neurodecode.solve.room import LIBRARIES, bytes_on_all, bytes_on_selected

    monkeypatch.setattr(selected, "threads", lambda: 1)
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(shape, dtype=np.float32) for shape in ((n, p), (n, q)))
    half = np.arange(n // 2), np.arange(n // 2, n)
    folds = [half, half[::-1]] if k and len(grid) > 1 else None
    settings = Settings(alphas=np.array(grid), k=k, folds=folds)
    if k is None:
        estimate = bytes_on_all((n, p), q, itemsize=4, targets=TARGETS, eigenvectors=len(grid) > 1)
    else:
        estimate = bytes_on_selected((n, p), q, k, itemsize=4, targets=TARGETS, penalties=len(grid))
    held = _traced(lambda: fit_ridge(x, y, settings))
    assert held < 2 * (estimate - LIBRARIES)
    assert held > (estimate - LIBRARIES) / 6  # nor is it refused for nothing


@pytest.mark.parametrize("folds", [2, 8])
@pytest.mark.parametrize(("n", "channels"), [(400, 8), (120, 30)])
@pytest.mark.parametrize("whole", [True, False])
def test_windows_hold_no_more_than_twice_their_estimate(n, channels, folds, whole, monkeypatch):
    from neurodecode.crossval import tasks
    from neurodecode.temporal import shared

    if not whole:
        monkeypatch.setattr(shared, "WHOLE", 0)
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(n)]
    values = rng.standard_normal((n, channels, 60), dtype=np.float32)
    labels_ = {"sample": names, "stimulus": names, "channel": [f"E{i}" for i in range(channels)]}
    data = nd.brain.meeg(values, **labels_, time=np.arange(60) / 100)
    features = nd.brain.features(rng.standard_normal((n, 20), dtype=np.float32), stimulus=names)
    [task] = tasks(data, features, nd.RidgeDecoder(100.0), split_by=folds)
    spans = [shared.Span(i, i + 10) for i in range(0, 50, 5)]

    def work() -> None:
        ridges = shared.SharedTask(task, spans)
        for span in spans:
            ridges.scores(span)

    estimate = shared.task_bytes(task, spans)
    held = _traced(work)
    assert held < 2 * estimate
    assert held > estimate / 6


def test_orders_hold_no_more_than_their_estimate(monkeypatch):
    """Stimuli are text, of which each character takes 4 bytes in each order."""
    names = [f"a rather long name of a picture, {i:04d}.png" for i in range(200)]
    responses = nd.brain.fmri(np.zeros((200, 1)), sample=names, stimulus=names)
    estimates = []
    monkeypatch.setattr("neurodecode.inference.exchange.require_memory", lambda n, **_: estimates.append(n))
    held = _traced(lambda: nd.inference.shuffles(responses, n=500))
    assert estimates[0] / 2 < held < 1.5 * estimates[0]


def test_flips_of_many_entries_are_not_held_at_once():
    rng = np.random.default_rng(0)
    a, b = (xr.DataArray(rng.normal(size=(9, 20_000)), dims=("subject", "voxel")) for _ in range(2))
    a, b = (v.assign_coords(subject=np.arange(9), voxel=np.arange(20_000)) for v in (a, b))
    held = _traced(lambda: nd.inference.compare(a, b, n_bootstrap=100, n_permutations=100))
    assert held < 20 * a.nbytes  # 256 flips of all entries at once are 60 times
