"""Arrays larger than memory, and clusters: the same numbers as in memory, whoever dies in between."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import lazy

pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

GRID = [1.0, 30.0, 1000.0, 30000.0]
DECODERS = {
    "one alpha": nd.RidgeDecoder(10.0),
    "one alpha, more voxels than samples": nd.RidgeDecoder(10.0),
    "leave-one-out": nd.RidgeDecoder(GRID),
    "folds": nd.RidgeDecoder(GRID, folds=3),
    "selected": nd.RidgeDecoder(10.0, n_voxels=20),
    "selected, folds": nd.RidgeDecoder(GRID, folds=3, n_voxels=20),
    "penalised": nd.RidgeDecoder(10.0, n_voxels=20, standardise=False, intercept="penalised"),
}
pytestmark = pytest.mark.filterwarnings("ignore:the best alpha lies on the grid's edge")


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """Two workers, processes of their own."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster, set_as_default=False) as made,
    ):
        yield made


def recording(p: int = 60, q: int = 300) -> tuple[xr.DataArray, xr.DataArray]:
    """Simulated responses (sample, voxel) with a split and three regions, and features (stimulus, feature)."""
    rng = np.random.default_rng(0)
    names = [f"img_{i:03d}" for i in range(150)]
    y = rng.normal(size=(150, q)).astype(np.float32)
    x = (y @ rng.normal(size=(q, p)) / 10 + 2 * rng.normal(size=(150, p))).astype(np.float32)
    split = ["train"] * 110 + ["test"] * 40
    roi = np.repeat(["V1", "V2", "PHC"], p // 3)
    responses = nd.brain.fmri(x, sample=names, stimulus=names, split=split, roi=roi)
    return responses, nd.brain.features(y, stimulus=names)


def epochs(n: int = 90) -> tuple[xr.DataArray, xr.DataArray]:
    """Simulated epochs (sample, channel, time) that carry features (stimulus, feature) from 0.1 s on."""
    rng = np.random.default_rng(1)
    names = [f"img_{i:02d}" for i in range(n)]
    y = rng.normal(size=(n, 5)).astype(np.float32)
    times = np.arange(40) / 100
    values = rng.normal(size=(n, 6, 40)).astype(np.float32)
    values[:, :, 10:] += (y @ rng.normal(size=(5, 6)))[:, :, None].astype(np.float32)
    labels = [f"E{i}" for i in range(6)]
    made = nd.brain.meeg(values, sample=names, stimulus=names, channel=labels, time=times)
    return made, nd.brain.features(y, stimulus=names)


def on_disk(array: xr.DataArray, folder, name: str, **chunks: int) -> xr.DataArray:
    """The same array, read from zarr when it is needed."""
    array.rename(name).chunk(chunks).to_zarr(folder / f"{name}.zarr")
    return xr.open_zarr(folder / f"{name}.zarr")[name]


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """Names of the functions that were handed to workers."""
    found: list[str] = []
    inner = lazy.piece

    def watched(function: Callable, *args: object, client: object) -> object:
        if client is not None:
            found.append(getattr(function, "__name__", "partial"))
        return inner(function, *args, client=client)

    monkeypatch.setattr(lazy, "piece", watched)
    return found


def case(name: str) -> tuple[xr.DataArray, xr.DataArray]:
    responses, features = recording(p=180 if "more voxels" in name else 60)
    return responses, features


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("where", ["here", "cluster"])
def test_targets_on_disk_are_fitted_as_in_memory(name, where, client, sent, tmp_path, monkeypatch):
    from neurodecode.solve import fit

    monkeypatch.setattr(fit, "TARGETS", 80)
    responses, features = case(name)
    train, test = responses[:110], responses[110:]
    expected = DECODERS[name].fit(train, features)
    predictions = expected.predict(test)
    weights = expected.weights_
    x = on_disk(responses, tmp_path, "responses", sample=50, voxel=25)
    y = on_disk(features, tmp_path, "features", stimulus=70, feature=64)
    if where == "cluster":
        with client.as_current():
            found = nd.RidgeDecoder(**DECODERS[name].get_params()).fit(x[:110], y)
            predicted = found.predict(x[110:]).compute()
        assert sent.count("_fit_block") == 4
    else:
        found = nd.RidgeDecoder(**DECODERS[name].get_params()).fit(x[:110], y)
        assert lazy.is_dask(found.predict(x[110:]))
        predicted = found.predict(x[110:]).compute()
    xr.testing.assert_allclose(found.weights_, weights, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.alpha_, expected.alpha_)
    xr.testing.assert_allclose(predicted, predictions, rtol=1e-5, atol=1e-5)


def test_encoders_take_dask_arrays_too(client, sent):
    responses, features = recording()
    expected = nd.RidgeEncoder(GRID).fit(features, responses)
    with client.as_current():
        found = nd.RidgeEncoder(GRID).fit(features.chunk({"feature": 100}), responses.chunk({"voxel": 20}))
    xr.testing.assert_allclose(found.weights_, expected.weights_, rtol=1e-5, atol=1e-6)
    assert "_fit_block" in sent


def test_targets_are_held_one_block_at_a_time(monkeypatch):
    import dask.array as da

    from neurodecode.solve import fit

    monkeypatch.setattr(fit, "TARGETS", 50)
    responses, features = recording()
    read: list[tuple[int, ...]] = []

    def watched(block: np.ndarray) -> np.ndarray:
        read.append(block.shape)
        return block

    lazily = da.from_array(features.values, chunks=(-1, 50)).map_blocks(watched, meta=np.zeros((0, 0), "f4"))
    held: list[int] = []
    inner = fit._fit_block
    monkeypatch.setattr(fit, "_fit_block", lambda p, y, *rest: held.append(y.shape[1]) or inner(p, y, *rest))
    nd.RidgeDecoder(1.0, n_voxels=9).fit(responses, features.copy(data=lazily))
    assert held == [50] * 6
    assert read == [(150, 50)] * 12  # once to look for NaN, once to fit


@pytest.mark.parametrize("score", ["profile", "r2", "auc", "pattern", "top1"])
def test_scores_of_dask_arrays_are_those_in_memory(score, client, sent, monkeypatch):
    from neurodecode import score as scores

    monkeypatch.setattr(scores, "BLOCK", 7)
    rng = np.random.default_rng(2)
    labels = [f"img_{i:02d}" for i in range(30)]
    values = rng.normal(size=(30, 20))
    truths = (values > 0).astype(float) if score == "auc" else values
    true = xr.DataArray(truths, dims=("sample", "feature"), coords={"stimulus": ("sample", labels)})
    predicted = true.copy(data=values + rng.normal(size=values.shape))
    function = scores.named(score).function
    expected = function(predicted, true)
    lazily = [a.chunk({"sample": 11, "feature": 9}) for a in (predicted, true)]
    xr.testing.assert_identical(function(*lazily), expected)
    with client.as_current():
        xr.testing.assert_identical(function(*lazily), expected)
    assert sent == (["_in_memory"] * 3 if score in ("profile", "r2", "auc") else [])


def test_regions_are_decoded_by_a_cluster_as_here(client, sent, tmp_path):
    responses, features = recording()
    settings = {"regions": ["V1", "V2", "PHC"], "train": "train", "test": "test"}
    decoder = nd.RidgeDecoder(GRID, folds=3, n_voxels=9)
    expected = nd.spatial.decode(responses, features, decoder, **settings)
    x = on_disk(responses, tmp_path, "responses", sample=-1, voxel=20)
    with client.as_current():
        found = nd.spatial.decode(x, features, decoder, **settings, resume=tmp_path / "pieces")
        again = nd.spatial.decode(x, features, decoder, **settings, resume=tmp_path / "pieces")
    xr.testing.assert_allclose(found.drop_attrs(), expected.drop_attrs(), rtol=1e-6)
    xr.testing.assert_equal(again, found)
    assert sent == ["_all"] * 3  # once each


@pytest.mark.parametrize(
    "decoder", [nd.RidgeDecoder(100.0), nd.RidgeDecoder(GRID)], ids=["shared", "each alone"]
)
@pytest.mark.parametrize("analysis", ["sweep", "generalise"])
def test_windows_are_decoded_by_a_cluster_as_here(analysis, decoder, client, sent, tmp_path, monkeypatch):
    from neurodecode.temporal import shared

    data, features = epochs()
    run, settings = (
        getattr(nd.temporal, analysis),
        {"width": 0.08, "step": 0.08, "folds": 2, "score": "profile"},
    )
    expected = run(data, features, decoder, **settings)
    x = on_disk(data, tmp_path, "epochs", sample=-1, channel=-1, time=10)
    monkeypatch.setattr(shared, "WHOLE", 0)  # read window by window
    here = run(x, features, decoder, **settings)
    assert not sent
    with client.as_current():
        there = run(x, features, decoder, **settings)
    assert set(sent) == {"_all"}
    for found in (here, there):
        xr.testing.assert_allclose(found.drop_attrs(), expected.drop_attrs(), rtol=1e-4, atol=1e-6)


def fits(folder) -> tuple[Callable[[], xr.DataArray], Callable[[], xr.DataArray]]:
    """A fit whose targets lie in memory, and on disk."""
    responses, features = recording(p=90, q=1500)
    y = on_disk(features, folder, "features", stimulus=-1, feature=100)

    def weights(targets: xr.DataArray) -> xr.DataArray:
        return nd.RidgeDecoder(np.logspace(0, 5, 12), folds=8, n_voxels=60).fit(responses, targets).weights_

    return lambda: weights(features), lambda: weights(y)


def sweeps(folder) -> tuple[Callable[[], xr.DataArray], Callable[[], xr.DataArray]]:
    """A sweep whose epochs lie in memory, and on disk."""
    data, features = epochs(n=400)
    x = on_disk(data, folder, "epochs", sample=-1, channel=-1, time=10)

    def scores(given: xr.DataArray) -> xr.DataArray:
        decoder, settings = nd.RidgeDecoder(100.0), {"width": 0.08, "step": 0.01, "folds": 8}
        return nd.temporal.sweep(given, features, decoder, **settings, score="profile").drop_attrs()

    return lambda: scores(data), lambda: scores(x)


class Picky(nd.RidgeDecoder):
    """A ridge of its own, which refuses 20 predictors."""

    def fit(self, responses, features):
        if responses.sizes["voxel"] == 20 and "V2" in responses.roi:
            raise ValueError("not these")
        return super().fit(responses, features)


def test_one_piece_that_fails_loses_no_other(client, tmp_path):
    responses, features = recording()
    settings = {
        "regions": ["V2", "V1", "PHC"],
        "train": "train",
        "test": "test",
        "resume": tmp_path / "pieces",
    }
    with client.as_current(), pytest.raises(ValueError, match="not these"):
        nd.spatial.decode(responses.chunk({"voxel": 20}), features, Picky(), **settings)
    kept = [p for p in (tmp_path / "pieces").iterdir() if p.suffix == ".nc"]
    assert len(kept) == 2


def test_persisted_data_are_refused_with_the_remedy(client):
    data, features = epochs()
    with client.as_current():
        held = data.chunk({"time": 10}).persist()
        with pytest.raises(ValueError, match=r"persisted on the cluster.*zarr"):
            nd.temporal.sweep(held, features, nd.RidgeDecoder(1.0), width=0.08, folds=2)


def test_lazy_predictions_are_computed_block_by_block(monkeypatch):
    from neurodecode.linear import ridge as linear

    monkeypatch.setattr(linear, "TARGETS", 100)
    responses, features = recording()
    decoder = nd.RidgeDecoder(1.0).fit(responses, features)
    made: list[tuple[int, ...]] = []
    inner = linear._predict_rows
    monkeypatch.setattr(
        linear,
        "_predict_rows",
        lambda x, fitted: made.append((len(x), fitted.alpha.size)) or inner(x, fitted),
    )
    predicted = decoder.predict(responses.chunk({"sample": 75}))
    assert predicted.chunks == ((75, 75), (100, 100, 100))
    expected = decoder.predict(responses)
    xr.testing.assert_allclose(predicted[:, :100].compute(), expected[:, :100], rtol=1e-6, atol=1e-6)
    assert made == [(75, 100)] * 2
    xr.testing.assert_allclose(predicted.compute(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("work", [fits, sweeps])
def test_a_worker_that_is_killed_changes_nothing(work, tmp_path):
    """One of two workers dies while both work; what it had done and held is made again by the other."""
    here, there = work(tmp_path)
    expected = here()
    killed: list[int] = []

    def kill(client: distributed.Client) -> None:
        """Wait until workers hold results, then kill one."""
        while not killed:
            if any(client.has_what().values()):
                pid = next(iter(client.run(os.getpid).values()))
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.01)

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        thread = threading.Thread(target=kill, args=(client,))
        thread.start()
        found = there()
        thread.join(timeout=60)
        assert killed
        alive = set(client.run(os.getpid).values())
    assert killed[0] not in alive
    xr.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_piece_is_not_cut_again_inside_a_worker(client):
    import dask.array as da

    def inside() -> bool:
        return lazy.cluster(da.ones(3)) is None

    with client.as_current():
        assert lazy.cluster(da.ones(3)) is client
        assert lazy.cluster(np.ones(3)) is None
        assert client.submit(inside).result()
    assert lazy.cluster(da.ones(3)) is None
