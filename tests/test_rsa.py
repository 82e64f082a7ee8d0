"""The bridge to rsatoolbox: equal to it called directly, to SciPy's pdist and to plain loops, with labels kept."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist, squareform

import neurodecode as nd

# Not in the order of the alphabet: what is sorted inside must come back.
STIMULI = ["pear", "apple", "zebra", "cat"]


def voxels(seed: int = 0, runs: int = 3) -> xr.DataArray:
    """Four stimuli in every run, each run in another order; seven voxels."""
    rng = np.random.default_rng(seed)
    n = 4 * runs
    stimulus = np.concatenate([rng.permutation(STIMULI) for _ in range(runs)])
    stimulus[:4] = STIMULI
    return nd.brain.fmri(
        rng.normal(size=(n, 7)),
        sample=np.arange(n),
        stimulus=stimulus,
        run=np.repeat(np.arange(runs), 4) + 1,
        roi=["V1"] * 4 + ["LO"] * 3,
        subject="s1",
    )


def epochs(seed: int = 1) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    return nd.brain.meeg(
        rng.normal(size=(12, 5, 6)), sample=np.arange(12), stimulus=STIMULI * 3, run=np.repeat([1, 2, 3], 4),
        channel=[*"abcde"], time=np.arange(6) / 10, kind="eeg",
    )  # fmt: skip


def means(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.stack([values[labels == s].mean(0) for s in STIMULI])


@pytest.fixture
def toolbox():
    return pytest.importorskip("rsatoolbox")


# ---------------------------------------------------------------- dissimilarities


@pytest.mark.parametrize(("method", "metric"), [("correlation", "correlation"), ("euclidean", "sqeuclidean")])
def test_dissimilarities_equal_scipys(toolbox, method, metric):
    responses = voxels()
    found = nd.rsa.rdm(responses, method=method)
    assert found.dims == ("stimulus", "stimulus_2")
    assert found.stimulus.values.tolist() == found.stimulus_2.values.tolist() == STIMULI
    expected = squareform(pdist(means(responses.values, responses.stimulus.values), metric))
    np.testing.assert_allclose(
        found.values, expected / (7 if method == "euclidean" else 1), rtol=1e-10, atol=1e-12
    )


def test_mahalanobis_and_crossnobis_equal_plain_loops(toolbox):
    responses = voxels()
    a = np.random.default_rng(3).normal(size=(7, 7))
    precision = a @ a.T + np.eye(7)
    m = means(responses.values, responses.stimulus.values)
    expected = squareform(pdist(m, "mahalanobis", VI=precision)) ** 2 / 7
    found = nd.rsa.rdm(responses, method="mahalanobis", noise=precision)
    np.testing.assert_allclose(found.values, expected, rtol=1e-8, atol=1e-10)
    crossed = np.zeros((4, 4))
    for run in (1, 2, 3):
        here = responses.run.values == run
        test, train = (
            means(responses.values[rows], responses.stimulus.values[rows]) for rows in (here, ~here)
        )
        for i in range(4):
            for j in range(4):
                crossed[i, j] += (train[i] - train[j]) @ precision @ (test[i] - test[j]) / 7 / 3
    found = nd.rsa.rdm(responses, method="crossnobis", cv="run", noise=precision)
    np.testing.assert_allclose(found.values, crossed, rtol=1e-8, atol=1e-10)
    assert found.values.min() < 0  # noise alone: about as often negative


def test_dissimilarities_equal_the_toolbox_called_directly(toolbox):
    from rsatoolbox.data import Dataset, TemporalDataset
    from rsatoolbox.rdm import calc_rdm, calc_rdm_movie

    responses = voxels(4)
    obs = {"stim": responses.stimulus.values.tolist(), "run": responses.run.values.tolist()}
    direct = calc_rdm(
        Dataset(responses.values, obs_descriptors=obs),
        method="crossnobis",
        descriptor="stim",
        cv_descriptor="run",
    )
    found = nd.rsa.rdm(responses, method="crossnobis", cv="run")
    matrix = xr.DataArray(
        direct.get_matrices()[0],
        dims=("stimulus", "stimulus_2"),
        coords={
            "stimulus": direct.pattern_descriptors["stim"],
            "stimulus_2": direct.pattern_descriptors["stim"],
        },
    )
    np.testing.assert_allclose(
        found.values, matrix.sel(stimulus=STIMULI, stimulus_2=STIMULI).values, rtol=1e-10, atol=1e-12
    )
    over_time = nd.rsa.rdm(epochs(), method="euclidean")
    data = TemporalDataset(
        epochs().values, obs_descriptors={"stim": STIMULI * 3}, time_descriptors={"time": np.arange(6) / 10}
    )
    movie = calc_rdm_movie(data, method="euclidean", descriptor="stim")
    assert over_time.dims == ("time", "stimulus", "stimulus_2")
    names = list(movie.pattern_descriptors["stim"])
    order = [names.index(s) for s in STIMULI]
    np.testing.assert_allclose(over_time.values, movie.get_matrices()[:, order][:, :, order], rtol=1e-10)
    np.testing.assert_allclose(over_time.time.values, np.arange(6) / 10)


def test_a_coordinate_may_be_called_number(toolbox):
    responses = voxels()
    named = responses.assign_coords(number=responses.run).drop_vars("run")
    options = {"method": "crossnobis"}
    found = nd.rsa.rdm(named, cv="number", **options)
    np.testing.assert_array_equal(found.values, nd.rsa.rdm(responses, cv="run", **options).values)
    by_number = nd.rsa.rdm(responses.assign_coords(number=responses.stimulus), by="number")
    np.testing.assert_array_equal(by_number.values, nd.rsa.rdm(responses).values)


def test_constant_patterns_are_refused_by_name(toolbox):
    responses = voxels()
    flat = responses.where(responses.stimulus != "cat", 0.1)
    with pytest.raises(
        ValueError, match=r"1 of 4 'stimulus' have the same response at all 7 voxels.*: 'cat'"
    ):
        nd.rsa.rdm(flat)
    with pytest.raises(ValueError, match="responses are empty: .*'voxel': 0"):
        nd.rsa.rdm(responses[:, :0])
    assert np.isfinite(nd.rsa.rdm(flat, method="euclidean")).all()
    over_time = epochs()
    at_once = over_time.where((over_time.stimulus != "zebra") | (over_time.time < 0.45), -1.0)
    with pytest.raises(ValueError, match="all 5 channels.*'zebra'"):
        nd.rsa.rdm(at_once)


def test_another_coordinate_and_the_stamp(toolbox, tmp_path):
    responses = voxels().assign_coords(kind=("sample", ["fruit", "fruit", "animal", "animal"] * 3))
    found = nd.rsa.rdm(responses, by="kind")
    assert found.dims == ("kind", "kind_2")
    made = nd.store.provenance(found)
    assert made["what"] == "rsa.rdm"
    assert made["parameters"]["by"] == "kind"
    assert found.attrs["subject"] == "s1"
    nd.save(found, tmp_path / "rdm.nc")
    assert nd.load(tmp_path / "rdm.nc").identical(found)


# ---------------------------------------------------------------- there and back


def test_datasets_carry_the_labels(toolbox):
    responses = voxels()
    data = nd.rsa.dataset(responses)
    np.testing.assert_array_equal(data.measurements, responses.values)
    assert data.obs_descriptors["stimulus"] == responses.stimulus.values.tolist()
    assert data.obs_descriptors["run"] == responses.run.values.tolist()
    assert data.channel_descriptors["roi"] == ["V1"] * 4 + ["LO"] * 3
    assert data.descriptors["subject"] == "s1"
    in_v1 = data.subset_channel("roi", "V1")
    np.testing.assert_array_equal(in_v1.measurements, responses.values[:, :4])
    over_time = nd.rsa.temporal_dataset(epochs().transpose("time", "sample", "channel"))
    np.testing.assert_array_equal(over_time.measurements, epochs().values)
    assert over_time.channel_descriptors["channel"] == [*"abcde"]
    np.testing.assert_allclose(over_time.time_descriptors["time"], np.arange(6) / 10)


def test_rdms_go_there_and_back(toolbox):
    found = nd.rsa.rdm(epochs())
    rdms = nd.rsa.to_rdms(found)
    assert rdms.n_rdm == 6
    back = nd.rsa.from_rdms(rdms, along="time")
    assert back.dims == found.dims
    np.testing.assert_allclose(back.values, found.values, atol=1e-12)
    assert back.stimulus.values.tolist() == STIMULI
    np.testing.assert_allclose(back.time.values, found.time.values)
    one = nd.rsa.from_rdms(nd.rsa.to_rdms(found.isel(time=2, drop=True)))
    assert one.dims == ("index", "stimulus", "stimulus_2")
    np.testing.assert_allclose(one.values[0], found.values[2], atol=1e-12)


# ---------------------------------------------------------------- errors


def test_errors_by_their_words(toolbox, memory_left):
    responses = voxels()
    for options, words in (
        ({"method": "cosine"}, "unknown method 'cosine'"),
        ({"method": "crossnobis"}, "go together"),
        ({"cv": "run"}, "go together"),
        ({"noise": np.eye(7)}, "takes no noise"),
        ({"method": "mahalanobis", "noise": np.eye(3)}, r"\(7, 7\), one row a voxel"),
        ({"by": "place"}, "no coordinate 'place'"),
    ):
        with pytest.raises(ValueError, match=words):
            nd.rsa.rdm(responses, **options)
    with pytest.raises(ValueError, match=r"1 of 4 'stimulus' were not measured in every 'run': 'cat'"):
        nd.rsa.rdm(without_cat_in_run_3(responses), method="crossnobis", cv="run")
    with pytest.raises(ValueError, match="use temporal_dataset"):
        nd.rsa.dataset(epochs())
    with pytest.raises(ValueError, match="needs the dimension"):
        nd.rsa.temporal_dataset(responses)
    with pytest.raises(ValueError, match="one pair of dims"):
        nd.rsa.to_rdms(responses)
    with pytest.raises(ValueError, match="symmetric"):
        nd.rsa.to_rdms(nd.rsa.rdm(responses) + np.triu(np.ones((4, 4)), 1))
    with pytest.raises(ValueError, match="no descriptor 'concept'; there are"):
        nd.rsa.from_rdms(nd.rsa.to_rdms(nd.rsa.rdm(responses)), by="concept")
    memory_left(100)
    with pytest.raises(MemoryError, match="dissimilarities of 4"):
        nd.rsa.rdm(responses)


def without_cat_in_run_3(responses: xr.DataArray) -> xr.DataArray:
    return responses[(responses.stimulus.values != "cat") | (responses.run.values != 3)]


def test_without_the_toolbox_the_error_says_how_to_install_it(monkeypatch):
    for name in ("rsatoolbox", "rsatoolbox.data", "rsatoolbox.rdm"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'neurodecode-toolkit\[rsa\]'"):
        nd.rsa.rdm(voxels())
