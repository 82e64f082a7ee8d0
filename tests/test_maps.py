"""What a decoder says about voxels: against the textbook formula and MNE."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from mne.decoding import LinearModel, get_coef
from sklearn.linear_model import Ridge

import neurodecode as nd
from neurodecode.maps import unit_range, weight_map

LAYERS = ["low"] * 3 + ["high"] * 2


def brain(seed: int = 0, n: int = 50, p: int = 9) -> tuple[xr.DataArray, xr.DataArray]:
    """Simulated: voxels of unequal scale mix five features of unequal scale, with noise that they share."""
    rng = np.random.default_rng(seed)
    names = [f"img_{i:03d}" for i in range(n)]
    truth = rng.normal(size=(n, 5)) * [1, 10, 0.1, 3, 0.5]
    noise = rng.normal(size=(n, p)) @ rng.normal(size=(p, p))
    values = (truth @ rng.normal(size=(5, p)) + noise) * rng.uniform(0.1, 10, p) + 30
    responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * p, subject="s1")
    return responses, nd.brain.features(truth, stimulus=names, layer=LAYERS)


def textbook(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Haufe et al. 2014 for one target: Cov(x) w / (w^T Cov(x) w)."""
    covariance = np.cov(x.T)
    return covariance @ w / (w @ covariance @ w)


# ---------------------------------------------------------------- patterns


@pytest.mark.parametrize("k", [None, 4])
def test_patterns_equal_the_textbook_formula(k):
    responses, features = brain()
    decoder = nd.RidgeDecoder(alpha=5.0, n_voxels=k).fit(responses, features)
    w = decoder.weights_.values
    expected = np.stack([textbook(responses.values, w[:, j]) for j in range(5)])
    one_each = decoder_with_names(responses, features, k)
    found = weight_map(
        one_each, kind="pattern", reduce="mean", responses=responses, units="original", by="name"
    )
    np.testing.assert_allclose(found.values, expected, rtol=1e-8, atol=1e-10 * np.abs(expected).max())
    scaled = weight_map(one_each, kind="pattern", reduce="mean", responses=responses, by="name")
    decoded = responses.values @ w
    r = np.corrcoef(responses.values.T, decoded.T)[9:, :9]
    np.testing.assert_allclose(scaled.values, r, rtol=1e-8, atol=1e-10)


def decoder_with_names(responses: xr.DataArray, features: xr.DataArray, k: int | None) -> nd.RidgeDecoder:
    named = features.assign_coords(name=("feature", list("abcde")))
    return nd.RidgeDecoder(alpha=5.0, n_voxels=k).fit(responses, named)


def test_the_pattern_of_one_target_equals_mnes():
    responses, features = brain(1)
    one = features[:, :1]
    decoder = nd.RidgeDecoder(alpha=5.0, standardise=False).fit(responses, one)
    model = LinearModel(Ridge(alpha=5.0)).fit(responses.values, one.values[:, 0])
    filters = get_coef(model, "filters_")
    np.testing.assert_allclose(decoder.weights_.values[:, 0], filters.ravel(), rtol=1e-6)
    found = weight_map(decoder, kind="pattern", reduce="mean", responses=responses, units="original")[
        0
    ].values
    power = (responses.values @ filters.ravel()).var(ddof=1)
    # MNE leaves a single target's pattern as Cov(x) w, without the precision of the target.
    np.testing.assert_allclose(found * power, get_coef(model, "patterns_").ravel(), rtol=1e-6)


def test_a_pattern_leaves_out_a_voxel_that_only_cancels_noise():
    rng = np.random.default_rng(2)
    names = np.arange(4000)
    truth, noise, other = rng.normal(size=(3, 4000))
    responses = nd.brain.fmri(np.stack([truth + noise, noise, other], axis=1), sample=names, stimulus=names)
    decoder = nd.RidgeDecoder().fit(responses, nd.brain.features(truth[:, None], stimulus=names))
    filters = weight_map(decoder, units="original")[0].values
    patterns = weight_map(decoder, kind="pattern", responses=responses)[0].values
    assert filters[1] > 0.9 * filters[0]  # as heavy as the voxel that carries the feature
    assert patterns[0] > 0.5
    assert patterns[1] < 0.05


def test_constant_voxels_and_features_have_no_pattern():
    responses, features = brain()
    responses[:, 2] = 0.1
    features[:, 0] = 0.7
    named = features.assign_coords(name=("feature", list("abcde")))
    decoder = nd.RidgeDecoder().fit(responses, named)
    found = weight_map(decoder, kind="pattern", responses=responses, by="name")
    assert not found.sel(voxel=2).any()
    assert not found.sel(name="a").any()
    assert found.sel(name="b", voxel=1) > 0
    assert np.isfinite(found.values).all()


# ---------------------------------------------------------------- filters, selection, reductions


@pytest.mark.parametrize("k", [None, 4])
@pytest.mark.parametrize("units", ["original", "standardised"])
def test_filters_reduce_the_weights_layer_by_layer(k, units):
    responses, features = brain()
    decoder = nd.RidgeDecoder(n_voxels=k).fit(responses, features)
    w = decoder.weights_.values
    if units == "standardised":
        w = w * responses.values.std(0)[:, None] / features.values.std(0)
    low, high = w[:, :3], w[:, 3:]
    for reduce, by_hand in {
        "mean_abs": lambda a: np.abs(a).mean(1),
        "l2": lambda a: np.sqrt((a**2).sum(1)),
        "mean": lambda a: a.mean(1),
    }.items():
        found = weight_map(decoder, reduce=reduce, units=units)
        assert found.dims == ("layer", "voxel")
        assert found.layer.values.tolist() == ["low", "high"]
        np.testing.assert_allclose(found.values, [by_hand(low), by_hand(high)], rtol=1e-10)
        assert found.attrs["kind"] == "filter"
        assert found.attrs["reduce"] == reduce
        assert found.attrs["subject"] == "s1"
        assert ("SD" in found.attrs["units"]) == (units == "standardised")
        assert found.roi.values.tolist() == ["V1"] * 9


def test_layers_may_interleave_and_blocks_may_cut_them(monkeypatch):
    responses, features = brain()
    mixed = features.assign_coords(layer=("feature", ["a", "b", "a", "b", "a"]))
    decoder = nd.RidgeDecoder().fit(responses, mixed)
    whole = weight_map(decoder)
    expected = np.abs(decoder.weights_.values * responses.values.std(0)[:, None] / features.values.std(0))
    np.testing.assert_allclose(
        whole.values, [expected[:, ::2].mean(1), expected[:, 1::2].mean(1)], rtol=1e-10
    )
    blocks = nd.RidgeDecoder.weight_blocks
    monkeypatch.setattr(
        nd.RidgeDecoder, "weight_blocks", lambda self, units="original": blocks(self, units=units, size=2)
    )
    for kind in ("filter", "pattern"):
        xr.testing.assert_allclose(
            weight_map(decoder, kind=kind, responses=responses).sum("voxel"),
            _unpatched(decoder, kind, responses, blocks).sum("voxel"),
        )


def _unpatched(decoder, kind, responses, blocks):
    class Whole:
        n_voxels = None
        axes = staticmethod(decoder.axes)
        samples_ = decoder.samples_

        @staticmethod
        def weight_blocks(units="original"):
            return blocks(decoder, units=units)

    return weight_map(Whole(), kind=kind, responses=responses)


def test_selection_is_the_share_of_features_that_chose_the_voxel():
    responses, features = brain()
    decoder = nd.RidgeDecoder(n_voxels=3).fit(responses, features)
    found = weight_map(decoder, kind="selection")
    chosen = decoder.weights_.values != 0
    np.testing.assert_allclose(found.values, [chosen[:, :3].mean(1), chosen[:, 3:].mean(1)])
    np.testing.assert_allclose(found.sum("voxel"), 3.0)
    with pytest.raises(ValueError, match=r"RidgeDecoder\(n_voxels"):
        weight_map(nd.RidgeDecoder().fit(responses, features), kind="selection")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["filter", "pattern", "selection"]))
def test_standardised_maps_do_not_depend_on_the_units_of_a_voxel(seed, kind):
    responses, features = brain(seed)
    factors = 10.0 ** np.random.default_rng(seed).uniform(-12, 6, responses.sizes["voxel"])
    decoder = nd.RidgeDecoder(n_voxels=4)
    base = weight_map(decoder.fit(responses, features), kind=kind, responses=responses)
    other = responses * factors
    scaled = weight_map(decoder.fit(other, features), kind=kind, responses=other)
    np.testing.assert_allclose(scaled.values, base.values, rtol=1e-7, atol=1e-9)


def test_maps_of_epochs_keep_channel_and_time():
    rng = np.random.default_rng(3)
    names = np.arange(30)
    epochs = nd.brain.meeg(
        rng.normal(size=(30, 4, 6)), sample=names, stimulus=names, channel=list("abcd"), time=np.arange(6) / 100,
        kind="eeg", xyz=rng.normal(size=(4, 3)),
    )  # fmt: skip
    decoder = nd.RidgeDecoder().fit(epochs, nd.brain.features(rng.normal(size=(30, 3)), stimulus=names))
    found = weight_map(decoder, kind="pattern", responses=epochs.transpose("time", "sample", "channel"))
    assert found.dims == ("layer", "channel", "time")
    assert {"kind", "x", "y", "z"} <= set(found.coords)
    w = decoder.weights_.values.reshape(24, 3)
    r = np.corrcoef(epochs.values.reshape(30, 24).T, (epochs.values.reshape(30, 24) @ w).T)[:24, 24:]
    np.testing.assert_allclose(found.values.ravel(), np.abs(r).mean(1), rtol=1e-8)


def test_unit_range_scales_every_layer_by_its_largest_value():
    values = xr.DataArray([[1.0, -4.0, 2.0], [0.0, 0.0, 0.0]], dims=("layer", "voxel"), attrs={"units": "r"})
    found = unit_range(values)
    np.testing.assert_allclose(found.values, [[0.25, -1.0, 0.5], [0.0, 0.0, 0.0]])
    assert found.attrs["units"] == "r, scaled to -1 to 1"
    assert unit_range(abs(values)).attrs["units"].endswith("scaled to 0-1")


# ---------------------------------------------------------------- provenance


@pytest.mark.parametrize("kind", ["filter", "pattern", "selection"])
def test_a_map_says_how_it_was_made(kind, tmp_path):
    responses, features = brain()
    decoder = nd.RidgeDecoder(alpha=3.0, n_voxels=4).fit(responses, features)
    given = responses if kind == "pattern" else None
    found = weight_map(decoder, kind=kind, reduce="l2", units="original", responses=given)
    assert found.name == "weight_map"
    made = nd.store.provenance(found)
    assert made["what"] == "weight_map"
    assert made["parameters"] == {
        "kind": kind, "reduce": "l2", "units": "original", "by": "layer", "decoder": nd.store.describe(decoder),
    }  # fmt: skip
    assert "alpha=3.0" in made["parameters"]["decoder"]
    assert made["data"] == ({} if given is None else {"responses": nd.store.data_hash(responses)})
    assert {"kind", "reduce", "units"} <= set(found.attrs)
    nd.save(found, tmp_path / "map.nc")
    assert nd.load(tmp_path / "map.nc").identical(found)


# ---------------------------------------------------------------- errors


def test_errors_name_what_is_allowed():
    responses, features = brain()
    decoder = nd.RidgeDecoder().fit(responses, features)
    with pytest.raises(ValueError, match=r"unknown kind 'weights'.*'filter', 'pattern', 'selection'"):
        weight_map(decoder, kind="weights")
    with pytest.raises(ValueError, match=r"unknown reduce 'sum'.*'mean_abs', 'l2', 'mean'"):
        weight_map(decoder, reduce="sum")
    with pytest.raises(ValueError, match=r"unknown units 'z'.*'standardised', 'original'"):
        weight_map(decoder, units="z")
    with pytest.raises(ValueError, match="no coordinate 'token'; there are"):
        weight_map(decoder, by="token")
    for kind in ("pattern", "joint"):
        with pytest.raises(ValueError, match=rf"kind='{kind}' needs responses="):
            weight_map(decoder, kind=kind)
    with pytest.raises(ValueError, match="'voxel' labels"):
        weight_map(decoder, kind="pattern", responses=responses.isel(voxel=slice(4)))
    few = nd.RidgeDecoder().fit(responses[:30], features)
    with pytest.raises(
        ValueError, match="of 20 samples 20 were not in the fit.*'img_030'.*30 of its 30 are missing"
    ):
        weight_map(few, kind="pattern", responses=responses[30:])
    with pytest.raises(ValueError, match="of 50 samples 20 were not in the fit.*give the training responses"):
        weight_map(few, kind="joint", responses=responses)
    xr.testing.assert_allclose(
        weight_map(few, kind="pattern", responses=responses[29::-1]),
        weight_map(few, kind="pattern", responses=responses[:30]),
    )
    bad = responses.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="1 NaN"):
        weight_map(decoder, kind="pattern", responses=bad)
    with pytest.raises(ValueError, match="reads decoders"):
        weight_map(nd.RidgeEncoder().fit(features, responses))
    with pytest.raises(ValueError, match="fitted on NumPy"):
        weight_map(nd.RidgeDecoder().fit(responses.values, features.values))


# ---------------------------------------------------------------- joint patterns, and maps that are streamed


@pytest.mark.parametrize("units", ["original", "standardised"])
def test_joint_patterns_equal_the_closed_form(units):
    responses, features = brain(4)
    decoder = decoder_with_names(responses, features, 4)
    w = decoder.weights_.values
    sigma = np.cov(responses.values.T)
    expected = sigma @ w @ np.linalg.inv(np.cov((responses.values @ w).T))
    if units == "standardised":
        expected *= (responses.values @ w).std(0) / responses.values.std(0)[:, None]
    found = weight_map(decoder, kind="joint", reduce="mean", responses=responses, units=units, by="name")
    np.testing.assert_allclose(found.values, expected.T, rtol=1e-7, atol=1e-9 * np.abs(expected).max())


def test_joint_patterns_equal_mnes_of_several_targets():
    """MNE divides by the covariance of the true targets; undone, what is left is Cov(x) w of both."""
    responses, features = brain(5)
    decoder = decoder_with_names(responses, features, None)
    model = LinearModel(Ridge(alpha=5.0)).fit(responses.values, features.values)
    ours = nd.RidgeDecoder(alpha=5.0, standardise=False).fit(
        responses, features.assign_coords(name=("feature", list("abcde")))
    )
    found = weight_map(ours, kind="joint", reduce="mean", responses=responses, units="original", by="name")
    decoded = np.cov((responses.values @ ours.weights_.values).T)
    theirs = np.cov(features.values.T) @ get_coef(model, "patterns_")
    np.testing.assert_allclose(decoded @ found.values, theirs, rtol=1e-6, atol=1e-9 * np.abs(theirs).max())
    assert decoder.alpha == 5.0


def test_joint_patterns_refuse_features_that_say_the_same():
    responses, features = brain()
    twice = xr.concat([features, features[:, :1]], dim="feature")
    decoder = nd.RidgeDecoder().fit(responses, twice)
    with pytest.raises(ValueError, match=r"of 6 1 follow from the others.*kind='pattern'"):
        weight_map(decoder, kind="joint", responses=responses)


@pytest.mark.parametrize("kind", ["pattern", "joint"])
def test_chunks_of_samples_and_dask_arrays_give_the_same(monkeypatch, kind):
    pytest.importorskip("dask")
    from neurodecode.solve import streamed

    responses, features = brain()
    decoder = nd.RidgeDecoder().fit(responses, features)
    whole = weight_map(decoder, kind=kind, responses=responses)
    monkeypatch.setattr(streamed, "CHUNK", 7 * 8 * 9)  # seven samples
    monkeypatch.setattr("neurodecode.maps.WIDE", 1)
    np.testing.assert_allclose(weight_map(decoder, kind=kind, responses=responses), whole, rtol=1e-9)
    lazy = responses.chunk({"sample": 11, "voxel": 4})
    np.testing.assert_allclose(weight_map(decoder, kind=kind, responses=lazy), whole, rtol=1e-9)
    narrow = weight_map(decoder, kind=kind, responses=responses.astype(np.float32))
    np.testing.assert_allclose(narrow, whole, rtol=1e-3, atol=1e-4)


def test_a_pattern_never_holds_a_copy_of_the_responses(monkeypatch):
    """Beside responses of 16 MB a map may hold chunks and blocks of targets, not as much again in float64."""
    import tracemalloc

    rng = np.random.default_rng(0)
    names = np.arange(4000)
    values = rng.normal(size=(4000, 1000)).astype(np.float32)
    responses = nd.brain.fmri(values, sample=names, stimulus=names)
    features = nd.brain.features(rng.normal(size=(4000, 8)).astype(np.float32), stimulus=names)
    decoder = nd.RidgeDecoder(10.0).fit(responses, features)
    from neurodecode.solve import streamed

    monkeypatch.setattr(streamed, "CHUNK", 500 * 8 * 1000)
    tracemalloc.start()
    streamed.Streamed(values).products(decoder.weights_.values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A chunk is 500 samples here; whole, centred responses in float64 would take 32 MB.
    assert peak < 16e6


def test_weights_of_samples_count_as_copies():
    from neurodecode.solve import Streamed

    rng = np.random.default_rng(0)
    x, w, counts = rng.normal(size=(30, 4)), rng.normal(size=(4, 2)), rng.integers(0, 3, 30)
    once, copied = Streamed(x, counts), Streamed(np.repeat(x, counts, axis=0))
    for name in ("mean", "sd"):
        np.testing.assert_allclose(getattr(once, name), getattr(copied, name), rtol=1e-12)
    for a, b in zip(once.products(w), copied.products(w), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    far = x * 1e-9 + 1e3  # means far larger than the spread
    np.testing.assert_allclose(Streamed(far).sd, far.std(0), rtol=1e-6)


def test_a_map_that_would_not_fit_is_refused(memory_left):
    responses, features = brain()
    decoder = nd.RidgeDecoder().fit(responses, features)
    memory_left(1000)
    with pytest.raises(MemoryError, match="patterns of 5 features at a time on 9 predictors"):
        weight_map(decoder, kind="pattern", responses=responses)
    with pytest.raises(MemoryError, match="joint patterns of 5 features"):
        weight_map(decoder, kind="joint", responses=responses)
