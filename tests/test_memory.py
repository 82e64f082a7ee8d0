"""Calls that would not fit are refused before they start, with the number, the limit and the remedy."""

from __future__ import annotations

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
