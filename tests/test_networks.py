"""Networks as decoders: published layer tables, one trainer, and the contract that ridge has."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import neurodecode as nd
from neurodecode.networks import (
    ARCHITECTURES,
    NetworkDecoder,
    architectures,
    benchetrit,
    checkpoints,
    eegnet,
    layers,
    losses,
)
from neurodecode.networks import trainer as training
from neurodecode.networks._blocks import shrunk
from neurodecode.networks.augment import augmented

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

EPOCHS = ("temporal_spatial", "nice", "eegnet", "atm", "benchetrit")
MIXED = {"infonce": 0.75, "mse": 0.25}
QUICK = {"size": "small", "epochs": 4, "batch": 32, "learning_rate": 3e-3}


def recording(
    seed: int = 0,
    n: int = 60,
    *,
    repeats: int = 1,
    channels: int = 4,
    times: int = 25,
    q: int = 5,
    noise: float = 1.0,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Simulated epochs of n stimuli in n / 3 concepts, which mix the features, stored in another order."""
    rng = np.random.default_rng(seed)
    names = np.array([f"img_{i:03d}" for i in range(n)])
    truth = rng.normal(size=(n, q))
    mixed = truth @ rng.normal(size=(q, channels * times)) / np.sqrt(q)
    values = np.repeat(mixed, repeats, axis=0) + noise * rng.normal(size=(n * repeats, channels * times))
    epochs = nd.brain.meeg(
        values.reshape(-1, channels, times),
        sample=[f"trial_{i:04d}" for i in range(n * repeats)],
        stimulus=np.repeat(names, repeats),
        channel=[f"E{i}" for i in range(channels)],
        time=np.arange(times) / 250,
        units="µV",
    ).assign_coords(concept=("sample", np.repeat([f"concept_{i // 3}" for i in range(n)], repeats)))
    order = rng.permutation(n)
    return epochs, nd.brain.features(truth[order] * 3 + 2, stimulus=names[order], layer=["final"] * q)


def voxels(n: int = 60) -> tuple[xr.DataArray, xr.DataArray]:
    epochs, features = recording(n=n)
    names = epochs.stimulus.values
    return nd.brain.fmri(epochs.values.reshape(n, -1), sample=names, stimulus=names, units="%"), features


def weights(decoder: NetworkDecoder) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy() for name, p in decoder.module().network.state_dict().items()}


def same(a: NetworkDecoder, b: NetworkDecoder) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


# ---------------------------------------------------------------- layer tables


def test_table_1_for_63_channels_and_250_samples():
    table = [(x.kind, x.shape, x.parameters) for x in layers("temporal_spatial", (63, 250), 768)]
    assert table == [
        ("Unflatten", (1, 63, 250), 0),
        ("Conv2d", (40, 63, 226), 40 * 25 + 40),
        ("AvgPool2d", (40, 63, 36), 0),
        ("BatchNorm2d", (40, 63, 36), 80),
        ("ELU", (40, 63, 36), 0),
        ("Conv2d", (40, 1, 36), 40 * 40 * 63 + 40),
        ("BatchNorm2d", (40, 1, 36), 80),
        ("ELU", (40, 1, 36), 0),
        ("Dropout", (40, 1, 36), 0),
        ("Flatten", (1440,), 0),
        ("Linear", (768,), 1440 * 768 + 768),
        ("GELU", (768,), 0),
        ("Linear", (768,), 768 * 768 + 768),
        ("Dropout", (768,), 0),
        ("LayerNorm", (768,), 2 * 768),
    ]


@pytest.mark.parametrize(("channels", "times"), [(63, 250), (5, 71), (4, 13), (3, 1)])
def test_the_convolution_is_the_published_one_in_another_order(channels, times):
    """Layer by layer as the table says, in float64: values and gradients of every weight."""
    torch.manual_seed(0)
    network = architectures.build("temporal_spatial", (channels, times), 8, size="small").double().eval()
    x = torch.randn(3, channels, times, dtype=torch.float64)
    ours = network(x)
    ours.square().sum().backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    theirs = x
    for layer in network:
        for part in layer if type(layer).__name__ == "Averaged" else [layer]:
            theirs = part(theirs)
    theirs.square().sum().backward()
    torch.testing.assert_close(ours, theirs)
    for ours_too, parameter in zip(gradients, network.parameters(), strict=True):
        torch.testing.assert_close(ours_too, parameter.grad)


CONVOLUTION = (40 * 25 + 40) + 80 + (40 * 40 * 63 + 40) + 80
HEAD = (1440 * 1024 + 1024) + (1024 * 1024 + 1024) + 2 * 1024
# Queries, keys and values of 4 heads of 62; iTransformer's layer has two norms, and its encoder a third.
INVERTED = (
    (250 * 250 + 250)
    + 3 * (250 * 248 + 248)
    + (248 * 250 + 250)
    + (250 * 256 + 256 + 256 * 250 + 250)
    + 6 * 250
)
# 63 sensors to 270 virtual channels, 1 x 1; kernels of 3 and batch norms; GLU halves 640; 1 x 1 to 640; 250 times to 1.
DILATED = (
    (63 * 270 + 270 * 270 + 270)
    + (3 * 270 * 320 + 320 + 640 + 3 * 320 * 320 + 320 + 640 + 3 * 320 * 640 + 640)
    + (3 * 320 * 320 + 320 + 640 + 3 * 320 * 320 + 320 + 640 + 3 * 320 * 640 + 640)
    + (320 * 640 + 640)
    + (250 + 1)
)
BLOCK = 4 * (256 * 256 + 256) + (256 * 1024 + 1024 + 1024 * 256 + 256) + 4 * 256
COUNTS = {
    "temporal_spatial": CONVOLUTION + HEAD,
    "nice": CONVOLUTION + (40 * 40 + 40) + HEAD,
    "atm": INVERTED + CONVOLUTION + (40 * 40 + 40) + HEAD,
    "benchetrit": DILATED + (640 * 2048 + 2048) + 2 * 2048 + (2048 * 1024 + 1024),
    "eegnet": 64 * 8 + 16 + 63 * 16 + 32 + (16 * 16 + 16 * 16) + 32 + (16 * 7 * 1024 + 1024),
    "mlp": (63 * 250 * 1024 + 1024) + 2048 + (1024 * 1024 + 1024) + 2048 + (1024 * 1024 + 1024),
    # 16 tokens, each of 16 samples of all channels.
    "transformer": (63 * 16 * 256 + 256)
    + 16 * 256
    + 3 * BLOCK
    + 2 * 256
    + (256 * 64 + 64)
    + (16 * 64 * 1024 + 1024),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameters_for_63_channels_and_250_samples(architecture):
    network = architectures.build(architecture, (63, 250), 1024, size="full")
    assert sum(p.numel() for p in network.parameters()) == COUNTS[architecture]
    table = layers(architecture, (63, 250), 1024)
    assert sum(x.parameters for x in table) == COUNTS[architecture]
    with torch.no_grad():
        assert network(torch.randn(2, 63, 250)).shape == (2, 1024)


@pytest.mark.parametrize(
    ("size", "channels", "times", "classes", "kernel", "published"),
    [
        ("full", 64, 128, 2, 64, 2258),
        ("small", 64, 128, 2, 64, 1066),
        ("full", 22, 256, 4, 32, 1716),
        ("small", 22, 256, 4, 32, 796),
    ],
    ids=["P300, EEGNet-8,2", "P300, EEGNet-4,2", "SMR, EEGNet-8,2", "SMR, EEGNet-4,2"],
)
def test_eegnet_has_as_many_parameters_as_published(size, channels, times, classes, kernel, published):
    network = eegnet.build((channels, times), classes, size=size, kernel=kernel)
    assert sum(p.numel() for p in network.parameters()) == published


def test_spatial_filters_of_eegnet_keep_a_norm_of_1():
    network = eegnet.build((6, 30), 3)
    spatial = network[4]
    with torch.no_grad():
        spatial.weight.mul_(50.0)
        network(torch.randn(4, 6, 30))
    norms = spatial.weight.detach().flatten(1).norm(dim=1).numpy()
    np.testing.assert_allclose(norms, 1.0, rtol=1e-5)


def test_benchetrit_for_271_channels_71_samples_and_4_subjects():
    table = layers("benchetrit", (271, 71), 768, size="small", subjects=4)
    assert [(x.kind, x.shape, x.parameters) for x in table] == [
        ("Conv1d", (64, 71), 271 * 64),
        ("Conv1d", (64, 71), 64 * 64 + 64),
        ("Embedding", (64 * 64,), 4 * 64 * 64),
        ("Conv1d", (80, 71), 3 * 64 * 80 + 80),
        ("BatchNorm1d", (80, 71), 160),
        ("GELU", (80, 71), 0),
        ("Conv1d", (80, 71), 3 * 80 * 80 + 80),
        ("BatchNorm1d", (80, 71), 160),
        ("GELU", (80, 71), 0),
        ("Conv1d", (160, 71), 3 * 80 * 160 + 160),
        ("GLU", (80, 71), 0),
        ("Conv1d", (160, 71), 80 * 160 + 160),
        ("GELU", (160, 71), 0),
        ("Linear", (160, 1), 71 + 1),
        ("Flatten", (160,), 0),
        ("Linear", (512,), 160 * 512 + 512),
        ("LayerNorm", (512,), 2 * 512),
        ("GELU", (512,), 0),
        ("Linear", (768,), 512 * 768 + 768),
    ]


@pytest.mark.parametrize(
    ("size", "dilations"),
    [("small", [1, 2, 1]), ("full", [1, 2, 1, 4, 8, 1])],
)
def test_blocks_of_benchetrit_see_as_far_as_their_dilations(size, dilations):
    network = benchetrit.build((3, 71), 5, size=size).eval()
    found = [m.dilation[0] for m in network.blocks.modules() if getattr(m, "kernel_size", (1,)) == (3,)]
    assert found == dilations
    x = torch.randn(1, 3, 71, requires_grad=True)
    network.blocks(network.space(x))[0, :, 35].sum().backward()
    seen = np.flatnonzero(x.grad[0].abs().sum(0).numpy())
    assert (seen.min(), seen.max()) == (35 - sum(dilations), 35 + sum(dilations))


def test_dilations_begin_anew_after_five_convolutions():
    blocks = [benchetrit.block(k, 4, 4) for k in range(5)]
    found = [m.dilation[0] for b in blocks for m in b.modules() if isinstance(m, torch.nn.Conv1d)]
    assert np.delete(found, slice(2, None, 3)).tolist() == [1, 2, 4, 8, 16, 1, 2, 4, 8, 16]
    assert set(found[2::3]) == {1}


def test_benchetrit_may_reduce_time_before_it_widens_channels():
    # As published: every time sample to 2,048 channels first, then one affine map of time for all of them.
    network = benchetrit.build((6, 40), 5, size="small").eval()
    x, generator = torch.randn(3, 6, 40), torch.Generator().manual_seed(0)
    linear, shift, constant = network.latent[1], torch.randn(512, generator=generator), 0.7
    with torch.no_grad():
        wide = torch.einsum("lw,nwt->nlt", linear.weight, network.blocks(network.space(x))) + shift[:, None]
        published = network.head((wide * network.time.weight).sum(2) + constant)
        network.time.bias.zero_()
        linear.bias.copy_(shift * network.time.weight.sum() + constant)
        np.testing.assert_allclose(network(x).numpy(), published.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", EPOCHS)
def test_kernels_adapt_to_short_windows(architecture):
    for times in (1, 2, 3, 7, 10, 20, 25, 31, 49, 75, 100, 127, 249, 400):
        assert layers(architecture, (5, times), 20)[-1].shape == (20,)


def test_short_windows_shrink_kernels_in_proportion():
    assert [shrunk(s, 250) for s in (25, 51, 5)] == [25, 51, 5]
    assert [shrunk(s, 1000) for s in (25, 51, 5)] == [25, 51, 5]
    assert [shrunk(s, 125) for s in (25, 51, 5)] == [12, 26, 2]
    assert layers("temporal_spatial", (4, 50), 20)[1].shape == (40, 4, 46)  # kernel 5
    for times in range(1, 400):
        kernel, pool = shrunk(25, times), shrunk(51, times)
        assert times - kernel + 1 >= pool >= 1


def test_an_output_of_a_whole_layer_fits(monkeypatch):
    table = layers("nice", (63, 250), 38400)
    count = sum(x.parameters for x in table)
    head = (1440 * 38400 + 38400) + 38400 * 1024 + (1024 * 38400 + 38400) + 2 * 38400
    assert count == CONVOLUTION + (40 * 40 + 40) + head
    options = {"batch": 256, "keeps_best": True, "device": torch.device("cpu"), "what": "'nice'"}
    free = SimpleNamespace(available=8 * 2**30)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    architectures.require_room(table, **options)
    free.available = 3 * 2**30
    with pytest.raises(
        MemoryError, match=r"134,196,480 parameters, batches of 256\) would need about 5\.0 GiB"
    ):
        architectures.require_room(table, **options)


def test_memory_of_a_gpu_is_looked_at_too(monkeypatch):
    """The GPU's answer is made up: 8 GiB with another program's 6 in use."""
    table = layers("nice", (63, 250), 38400)
    asked = []
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda d: asked.append(d) or (2 * 2**30, 8 * 2**30))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=8 * 2**30))
    options = {"keeps_best": False, "device": torch.device("cuda:1"), "what": "'nice'"}
    with pytest.raises(
        MemoryError,
        match=r"batches of 256\) would need about 4\.0 GiB but only 2\.0 GiB of cuda:1 are free; ",
    ) as refused:
        architectures.require_room(table, batch=256, **options)
    assert str(refused.value).endswith(architectures.REMEDY)
    assert asked == [torch.device("cuda:1")]
    architectures.require_room(layers("nice", (63, 250), 100), batch=2, **options)


def test_memory_is_looked_at_before_a_network_is_built(monkeypatch):
    epochs, features = recording()
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**16))
    monkeypatch.setattr(training.Training, "__init__", lambda *_: pytest.fail("it was built"))
    with pytest.raises(MemoryError, match="training 'mlp' \\(small\\)"):
        NetworkDecoder("mlp", **QUICK).fit(epochs, features)


def test_few_outputs_are_not_normed_away():
    kinds = [x.kind for x in layers("nice", (4, 25), 1)]
    assert "LayerNorm" not in kinds
    assert layers("nice", (4, 25), 16)[-1].kind == "LayerNorm"


# ---------------------------------------------------------------- labels in, labels out


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_predictions_are_labelled_as_those_of_ridge(architecture):
    epochs, features = recording()
    decoder = NetworkDecoder(architecture, **QUICK).fit(epochs[:40], features)
    found = decoder.predict(epochs[40:])
    expected = nd.RidgeDecoder().fit(epochs[:40], features).predict(epochs[40:])
    assert found.dtype == np.float32
    xr.testing.assert_identical(found.copy(data=expected.values), expected)
    assert decoder.n_parameters_ == sum(p.numel() for p in decoder.module().network.parameters())
    assert np.isfinite(decoder.score(epochs[40:], features))


@pytest.mark.parametrize("architecture", ["mlp", "transformer"])
def test_voxels_and_channels_without_time(architecture):
    responses, features = voxels()
    decoder = NetworkDecoder(architecture, **QUICK).fit(responses[:40], features)
    found = decoder.predict(responses[40:])
    assert found.dims == ("sample", "feature")
    assert found.shape == (20, 5)
    with pytest.raises(
        ValueError, match=r"'nice' takes responses \(sample, channel, time\) or \(sample, channel\), got"
    ):
        NetworkDecoder("nice").fit(responses, features)
    epochs, features = recording()
    assert NetworkDecoder("nice", **QUICK).fit(epochs[:, :, 0], features).predict(epochs[:, :, 0]).shape == (
        60,
        5,
    )


def test_the_order_of_dimensions_and_of_features_does_not_matter():
    epochs, features = recording(repeats=2)
    expected = NetworkDecoder("eegnet", **QUICK).fit(epochs, features).predict(epochs)
    per_sample = nd.labels.match(features, epochs)
    for e, f in [
        (epochs.transpose("time", "sample", "channel"), features.T),
        (epochs, features[::-1]),
        (epochs, per_sample.T),
    ]:
        found = NetworkDecoder("eegnet", **QUICK).fit(e, f).predict(e)
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-3, atol=1e-3)


def test_features_of_repeated_stimuli_are_not_copied(monkeypatch):
    epochs, features = recording(repeats=4)
    seen = []
    begin = training.Training.__init__

    def spy(self, build, samples, *rest):
        seen.append(samples)
        begin(self, build, samples, *rest)

    monkeypatch.setattr(training.Training, "__init__", spy)
    NetworkDecoder("mlp", **QUICK).fit(epochs, features)
    assert np.shares_memory(seen[0].y, features.values)
    assert np.shares_memory(seen[0].x, epochs.values)
    batch = seen[0].batch(np.array([0, 1, 4]), torch.device("cpu"))
    assert torch.equal(batch.y[0], batch.y[1])
    assert not torch.equal(batch.y[0], batch.y[2])


def test_units_do_not_matter():
    epochs, features = recording()
    expected = NetworkDecoder("nice", **QUICK).fit(epochs, features).predict(epochs).values
    tesla, other = epochs * 1e-13 + 4e-12, features * 1e3 - 5e4
    found = NetworkDecoder("nice", **QUICK).fit(tesla, other).predict(tesla).values
    np.testing.assert_allclose((found + 5e4) / 1e3, expected, rtol=0.02, atol=0.02)


def test_constant_features_are_predicted_and_constant_responses_passed_over():
    epochs, features = recording()
    features, epochs = features.copy(), epochs.copy()
    features[:, 1] = 0.1
    epochs[:, 2] = 7.3
    decoder = NetworkDecoder("mlp", **QUICK).fit(epochs, features)
    later = epochs.copy()
    later[:, 2] = 1e6
    found = decoder.predict(later).values
    np.testing.assert_allclose(found[:, 1], 0.1, rtol=1e-6)
    np.testing.assert_array_equal(found, decoder.predict(epochs).values)


def test_what_is_fitted_can_be_sent_and_cloned():
    epochs, features = recording()
    given = NetworkDecoder(
        "eegnet", **QUICK, loss={"mse": 0.5, "infonce": 0.5}, augment={"noise": 0.1}, seed=3
    )
    assert clone(given).get_params() == given.get_params()
    assert given.set_params(batch=16).batch == 16
    with pytest.raises(NotFittedError):
        given.predict(epochs)
    decoder = given.fit(epochs, features)
    before = decoder.predict(epochs)
    decoder.set_params(loss="cosine", architecture="nice", size="full", precision="bfloat16", subject="who")
    xr.testing.assert_identical(decoder.predict(epochs), before)
    again = pickle.loads(pickle.dumps(decoder))
    xr.testing.assert_identical(again.predict(epochs), decoder.predict(epochs))
    assert not hasattr(clone(decoder), "history_")


def test_a_second_fit_that_fails_leaves_no_mixture_of_two():
    epochs, features = recording()
    decoder = NetworkDecoder("mlp", **QUICK).fit(epochs, features)
    before = decoder.predict(epochs)
    renamed = features.assign_coords(feature=[f"other_{i}" for i in range(features.sizes["feature"])])
    with pytest.raises(ValueError, match="finite"):
        decoder.fit(epochs * np.nan, renamed)
    xr.testing.assert_identical(decoder.predict(epochs), before)  # refused before any work
    with pytest.raises(ValueError, match="lower learning_rate"):
        decoder.set_params(learning_rate=1e30).fit(epochs, renamed)
    with pytest.raises(NotFittedError):
        decoder.predict(epochs)


def test_the_module_maps_units_to_units_and_has_gradients():
    epochs, features = recording()
    decoder = NetworkDecoder("atm", **QUICK).fit(epochs, features)
    module = decoder.module()
    x = torch.tensor(epochs.values[:3], dtype=torch.float64, requires_grad=True)
    found = module(x)
    np.testing.assert_allclose(found.detach().numpy(), decoder.predict(epochs[:3]).values, rtol=1e-5)
    found[:, 0].sum().backward()
    direction = np.sign(x.grad.numpy())
    step = 1e-2
    up, down = (
        decoder.predict(epochs[:3].copy(data=epochs.values[:3] + s * step * direction)) for s in (1, -1)
    )
    slope = (up - down).values[:, 0].sum() / (2 * step)
    assert slope == pytest.approx(float(x.grad.abs().sum()), rel=0.05)


def test_history_says_how_it_was_made():
    epochs, features = recording()
    decoder = NetworkDecoder("mlp", **QUICK).fit(epochs, features)
    history = decoder.history_
    assert history.loss.dims == ("epoch",)
    assert history.sizes["epoch"] == 4
    assert np.isfinite(history.validation_loss.values).all()
    made = nd.store.provenance(history)
    assert made["what"] == "networks.NetworkDecoder"
    assert made["parameters"]["architecture"] == "mlp"
    assert made["data"]["responses"] == nd.store.data_hash(epochs)
    assert np.isnan(
        NetworkDecoder("mlp", **QUICK, validation=None).fit(epochs, features).history_.validation_loss
    ).all()


# ---------------------------------------------------------------- what may be learned from


def test_validation_takes_whole_concepts():
    epochs, features = recording(repeats=2)
    decoder = NetworkDecoder("mlp", **QUICK, validation=0.25).fit(epochs, features)
    held = epochs.sel(sample=decoder.validation_samples_)
    rest = epochs.drop_sel(sample=decoder.validation_samples_)
    assert decoder.validated_by_ == "concept"
    assert len(set(held.concept.values)) == 5
    assert not set(held.concept.values) & set(rest.concept.values)
    bare = epochs.drop_vars("concept")
    decoder = NetworkDecoder("mlp", **QUICK, validation=7).fit(bare, features)
    held = bare.sel(sample=decoder.validation_samples_)
    assert decoder.validated_by_ == "stimulus"
    assert held.sizes["sample"] == 14
    assert len(set(held.stimulus.values)) == 7
    per_sample = nd.labels.match(features, bare).drop_vars("stimulus")
    decoder = NetworkDecoder("mlp", **QUICK, validation=7).fit(bare.drop_vars("stimulus"), per_sample)
    assert decoder.validated_by_ == "sample"
    assert decoder.validation_samples_.size == 7
    with pytest.raises(ValueError, match="no coordinate 'run'"):
        NetworkDecoder("mlp", **QUICK, by="run").fit(epochs, features)
    with pytest.raises(ValueError, match="validation=0.001, by='concept': 0.001 of 20 values"):
        NetworkDecoder("mlp", **QUICK, validation=0.001).fit(epochs, features)


def changed(
    epochs: xr.DataArray, features: xr.DataArray, samples: np.ndarray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return other values of some samples, and of the features of their stimuli."""
    epochs, features = epochs.copy(deep=True), features.copy(deep=True)
    inside = np.isin(epochs.sample.values, samples)
    epochs.values[inside] = 50 - 3 * epochs.values[inside]
    features.values[np.isin(features.stimulus.values, epochs.stimulus.values[inside])] *= -40
    return epochs, features


@pytest.mark.parametrize(
    ("architecture", "loss"),
    [("temporal_spatial", "mse"), ("temporal_spatial", "infonce"), ("benchetrit", MIXED)],
    ids=["mse", "infonce", "benchetrit"],
)
def test_validation_and_test_concepts_do_not_leak(architecture, loss):
    epochs, features = recording(repeats=2)
    train = epochs[:90]
    options = {**QUICK, "validation": 0.2, "patience": None, "loss": loss}
    decoder = NetworkDecoder(architecture, **options).fit(train, features)
    held = decoder.validation_samples_
    unseen = np.concatenate([held, epochs.sample.values[90:]])
    epochs_then, features_then = changed(epochs, features, unseen)
    other = NetworkDecoder(architecture, **options).fit(epochs_then[:90], features_then)
    assert same(decoder, other)
    for now, then in zip(decoder._scaling, other._scaling, strict=True):
        np.testing.assert_array_equal(now.mean, then.mean)
        np.testing.assert_array_equal(now.sd, then.sd)
    assert not np.allclose(decoder.history_.validation_loss, other.history_.validation_loss)
    # The statistics are those of the samples that were learned from.
    learned = train.drop_sel(sample=held)
    np.testing.assert_allclose(decoder._scaling[0].mean, learned.mean("sample"), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        decoder._scaling[1].sd, nd.labels.match(features, learned).std("sample"), rtol=1e-9
    )
    # And the test can fail: a single value that was learned from changes the weights.
    touched = train.copy(deep=True)
    touched.loc[{"sample": learned.sample.values[0]}] += 1.0
    assert not same(decoder, NetworkDecoder(architecture, **options).fit(touched, features))


def test_early_stopping_restores_the_weights_of_the_best_epoch():
    epochs, features = recording(noise=4.0)
    options = {**QUICK, "epochs": 60, "patience": 3, "validation": 0.2}
    decoder = NetworkDecoder("mlp", **options).fit(epochs, features)
    held = decoder.history_.validation_loss.values
    assert held.size < 60
    assert decoder.best_epoch_ == held.argmin() == held.size - 4
    short = NetworkDecoder("mlp", **{**options, "epochs": decoder.best_epoch_ + 1, "patience": None})
    assert same(decoder, short.fit(epochs, features))
    long = NetworkDecoder("mlp", **{**options, "epochs": held.size, "patience": None}).fit(epochs, features)
    assert not same(decoder, long)
    assert long.best_epoch_ == held.size - 1
    np.testing.assert_array_equal(long.history_.validation_loss, held)


def test_batches_use_every_sample_once_and_none_alone():
    rows = np.random.default_rng(0).permutation(65)
    parts = training.in_batches(rows, 32)
    assert [len(p) for p in parts] == [22, 22, 21]
    np.testing.assert_array_equal(np.concatenate(parts), rows)


# ---------------------------------------------------------------- the same weights


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_weights(architecture):
    epochs, features = recording()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = NetworkDecoder(architecture, **QUICK).fit(epochs, features)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(first, NetworkDecoder(architecture, **QUICK).fit(epochs, features))
    assert same(first, first.fit(epochs, features))
    assert not same(first, NetworkDecoder(architecture, **QUICK, seed=1).fit(epochs, features))


RESUMED = {
    **QUICK,
    "epochs": 6,
    "loss": {"mse": 0.5, "infonce": 0.5},
    "patience": 6,
    "validation": 0.2,
    "augment": {"noise": 0.1},
}
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
import test_networks as here
epoch = here.training.Training._epoch
def killed(self, number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    epoch(self, number)
here.training.Training._epoch = killed
here.checkpoints.SECONDS = 0.0
here.NetworkDecoder(sys.argv[3], **here.RESUMED, checkpoint=sys.argv[1]).fit(*here.recording())
"""


@pytest.mark.parametrize("architecture", ["nice", "benchetrit"])
def test_a_killed_training_goes_on_to_the_same_weights(architecture, tmp_path, monkeypatch):
    folder = tmp_path / "state"
    command = [sys.executable, "-c", KILLED, str(folder), os.path.dirname(__file__), architecture]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    undisturbed = NetworkDecoder(architecture, **RESUMED).fit(*recording())
    done = []
    epoch = training.Training._epoch
    monkeypatch.setattr(training.Training, "_epoch", lambda self, i: (done.append(i), epoch(self, i)))
    resumed = NetworkDecoder(architecture, **RESUMED, checkpoint=folder).fit(*recording())
    assert done == [3, 4, 5]
    assert same(undisturbed, resumed)
    xr.testing.assert_equal(undisturbed.history_, resumed.history_)
    assert undisturbed.best_epoch_ == resumed.best_epoch_
    # Finished, it is only read.
    assert same(resumed, NetworkDecoder(architecture, **RESUMED, checkpoint=folder).fit(*recording()))
    assert done == [3, 4, 5]


def test_the_best_weights_outlive_an_interruption(tmp_path, monkeypatch):
    epochs, features = recording(noise=4.0)
    options = {**QUICK, "epochs": 60, "patience": 3, "validation": 0.2}
    undisturbed = NetworkDecoder("mlp", **options).fit(epochs, features)
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    epoch = training.Training._epoch

    def interrupted(self, number):
        if number == undisturbed.best_epoch_ + 2:
            raise KeyboardInterrupt
        epoch(self, number)

    decoder = NetworkDecoder("mlp", **options, checkpoint=tmp_path / "state")
    monkeypatch.setattr(training.Training, "_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decoder.fit(epochs, features)
    monkeypatch.setattr(training.Training, "_epoch", epoch)
    resumed = decoder.fit(epochs, features)
    assert resumed.best_epoch_ == undisturbed.best_epoch_
    assert same(undisturbed, resumed)


def test_every_epoch_has_random_numbers_and_batches_of_its_own(monkeypatch):
    states, orders = [], []
    step = training.Training._step

    def spy(self, rows):
        states.append(torch.random.get_rng_state().numpy().tobytes())
        orders.append(tuple(rows))
        return step(self, rows)

    monkeypatch.setattr(training.Training, "_step", spy)
    NetworkDecoder("mlp", **QUICK).fit(*recording())
    assert len(set(states)) == len(states) == 8
    assert len(set(orders)) == 8


def test_a_checkpoint_of_another_fit_or_a_damaged_one_is_refused(tmp_path):
    epochs, features = recording()
    folder = tmp_path / "state"
    NetworkDecoder("mlp", **QUICK, checkpoint=folder).fit(epochs, features)
    assert sorted(f.name for f in folder.iterdir()) == ["key.json", "state.safetensors"]
    with pytest.raises(
        ValueError, match="begun with another key; 1 of 6 entries differ: 'parameters'.*'seed': 0"
    ):
        NetworkDecoder("mlp", **QUICK, seed=1, checkpoint=folder).fit(epochs, features)
    with pytest.raises(ValueError, match="begun with another key; 1 of 6 entries differ: 'data'"):
        NetworkDecoder("mlp", **QUICK, checkpoint=folder).fit(epochs + 1, features)
    file = folder / "state.safetensors"
    tensors, record = checkpoints.Checkpoint(folder, key=json.loads((folder / "key.json").read_text())).load()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # one bit of a number: still a file of tensors
    with pytest.raises(
        ValueError,
        match=r"state\.safetensors is damaged \(.*SHA-256 sums differ\); delete the folder .*state and",
    ):
        NetworkDecoder("mlp", **QUICK, checkpoint=folder).fit(epochs, features)
    safetensors.save_file(
        tensors, file, metadata={"record": json.dumps(record)}
    )  # as before states had a sum
    NetworkDecoder("mlp", **QUICK, checkpoint=folder).fit(epochs, features)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"state\.safetensors is damaged"):
        NetworkDecoder("mlp", **QUICK, checkpoint=folder).fit(epochs, features)


def test_states_are_written_now_and_then_and_at_the_end(tmp_path, monkeypatch):
    written = []
    save = checkpoints.Checkpoint.save
    monkeypatch.setattr(checkpoints.Checkpoint, "save", lambda *a: (written.append(1), save(*a)))
    NetworkDecoder("mlp", **QUICK, checkpoint=tmp_path / "one").fit(*recording())
    assert len(written) == 1
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    NetworkDecoder("mlp", **QUICK, checkpoint=tmp_path / "two").fit(*recording())
    assert len(written) == 6


# ---------------------------------------------------------------- losses, precision, augmentation, subjects


def test_losses_are_what_they_say():
    rng = np.random.default_rng(0)
    p, t = (torch.tensor(rng.normal(size=(6, 9)), dtype=torch.float32) for _ in range(2))
    row = torch.arange(6)
    cosines = torch.nn.functional.cosine_similarity(p[:, None], t[None], dim=2)
    assert losses.build({"mse": 1.0})(p, t).item() == pytest.approx(((p - t) ** 2).mean().item())
    assert losses.build({"cosine": 1.0})(p, t).item() == pytest.approx(1 - cosines.diagonal().mean().item())
    loss = losses.build({"infonce": 1.0})
    expected = sum(torch.nn.functional.cross_entropy(m / 0.07, row) for m in (cosines, cosines.T)) / 2
    assert loss(p, t).item() == pytest.approx(expected.item(), rel=1e-5)
    mixed = losses.build({"mse": 2.0, "infonce": 0.5})(p, t)
    assert mixed.item() == pytest.approx(2 * ((p - t) ** 2).mean().item() + 0.5 * expected.item(), rel=1e-5)
    loss(p, t).backward()
    assert loss.log_scale.grad != 0
    # No colder than 1 / 100, and not stuck there: samples that are all wrong ask for a warmer one.
    with torch.no_grad():
        loss.log_scale.fill_(50.0)
    loss.bound()
    expected = sum(torch.nn.functional.cross_entropy(100 * m, row) for m in (cosines, cosines.T)) / 2
    cold = loss(p, t)
    assert cold.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.log_scale.grad = None
    cold.backward()
    assert loss.log_scale.grad > 0


def test_repeats_of_a_stimulus_are_not_driven_apart():
    """Equal features: as if the right answers of a batch shared 1 (L_out of Khosla et al. 2020), there and back."""
    rng = np.random.default_rng(0)
    row = np.array([0, 1, 0, 2, 0, 1])
    p, t = rng.normal(size=(6, 9)), rng.normal(size=(3, 9))[row]
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (p, t))
    shares = (row[:, None] == row) / (row[:, None] == row).sum(axis=1)
    expected = 0.0
    for scores in (np.exp(a @ b.T / 0.07), np.exp(b @ a.T / 0.07)):
        expected -= (shares * np.log(scores / scores.sum(axis=1, keepdims=True))).sum(axis=1).mean() / 2
    loss, true = losses.build({"infonce": 1.0}), torch.tensor(t)
    assert loss(torch.tensor(p), true).item() == pytest.approx(expected, rel=1e-6)
    perfect = true.clone().requires_grad_()
    least = loss(perfect, true)
    assert least.item() == pytest.approx((3 * np.log(3) + 2 * np.log(2)) / 6, abs=1e-3)
    least.backward()
    assert perfect.grad.abs().max() < 1e-3


@pytest.mark.parametrize("loss", ["mse", "cosine", "infonce", {"mse": 2.0, "infonce": 0.5}])
def test_validation_judges_an_epoch_at_its_best_slope_and_temperature(loss):
    """Against the training losses themselves, minimised by SciPy over a factor and an inverse temperature."""
    from scipy.optimize import minimize_scalar

    rng = np.random.default_rng(0)
    true = rng.normal(size=(24, 6))
    # Far too long, and in one batch of two the same picture twice.
    predicted = 5 * (0.3 * true + rng.normal(size=true.shape))
    true[23] = true[22]
    p, t = (torch.as_tensor(a) for a in (predicted, true))
    batches = [(p[:14], t[:14]), (p[14:], t[14:])]

    def mean(module, factor):
        return sum(len(b[1]) * float(module(factor * b[0], b[1])) for b in batches) / 24

    def contrast(scale):
        module = losses.build({"infonce": 1.0})
        with torch.no_grad():
            module.log_scale.fill_(scale)
            return mean(module, 1.0)

    best = {
        "mse": minimize_scalar(lambda f: mean(losses.build({"mse": 1.0}), f)).fun,
        "cosine": mean(losses.build({"cosine": 1.0}), 1.0),
        "infonce": minimize_scalar(contrast, bounds=(-3, 5), method="bounded").fun,
    }
    weights = losses.weighed(loss)
    wanted = sum(weight * best[name] for name, weight in weights.items())
    assert judged(weights, batches).loss == pytest.approx(wanted, rel=2e-3)
    # A network that says the opposite is as good as one that says nothing, not better.
    opposite = [(-a, b) for a, b in batches]
    assert judged({"mse": 1.0}, opposite).loss == pytest.approx(float((t**2).mean()))
    assert judged({"mse": 1.0}, opposite).slope == pytest.approx(-judged({"mse": 1.0}, batches).slope)


def judged(weights, batches):
    found = losses.Judged(weights)
    for batch in batches:
        found.add(*batch)
    return found


@pytest.mark.parametrize("batch", [16, 48], ids=["a stimulus", "a concept"])
def test_contrasts_of_validation_do_not_hang_on_the_order_of_the_file(batch):
    """In batches of a sorted file one stimulus is judged log n, and one concept near it, whatever was learned."""
    epochs, features = recording(n=24, repeats=16, noise=0.3)
    decoder = NetworkDecoder("mlp", **{**QUICK, "batch": batch}, loss="infonce", validation=4)
    held = decoder.fit(epochs, features).history_.validation_loss
    assert decoder.validation_samples_.size == 192
    assert held.max() < 0.6 * np.log(16)


def test_validation_that_cannot_contrast_is_refused():
    epochs, features = recording()
    few = epochs[:10]
    with pytest.raises(
        ValueError, match=r"validation part \(1 of 10 samples\) has 1; give a larger validation"
    ):
        NetworkDecoder("mlp", **QUICK, loss="infonce", by="sample", validation=1).fit(few, features)


def test_no_stimulus_is_on_both_sides_of_validation():
    epochs, features = recording()
    twice = xr.concat(
        [epochs, epochs.assign_coords(sample=[f"again {s}" for s in epochs.sample.values])], "sample"
    )
    n = epochs.sizes["sample"]
    runs = twice.assign_coords(
        session=("sample", [1] * n + [2] * n), subject=("sample", ["a"] * n + ["b"] * n)
    )
    with pytest.raises(ValueError, match="session.*stimul"):
        NetworkDecoder("mlp", **QUICK, by="session", validation=1).fit(runs, features)
    # New subjects see what others saw.
    found = NetworkDecoder("mlp", **QUICK, by="subject", validation=1).fit(runs, features)
    assert set(runs.subject.sel(sample=found.validation_samples_).values.tolist()) in ({"a"}, {"b"})


def test_a_subject_of_validation_alone_has_no_token_of_its_own():
    epochs, features = recording()
    n = epochs.sizes["sample"]
    named = epochs.assign_coords(subject=("sample", np.array(["a", "b", "c"])[np.arange(n) % 3]))
    decoder = NetworkDecoder("atm", **QUICK, subject="subject", by="subject", validation=1).fit(
        named, features
    )
    held = set(named.subject.sel(sample=decoder.validation_samples_).values.tolist())
    assert decoder._design.subjects == tuple(sorted({"a", "b", "c"} - held))
    assert weights(decoder)["subject.weight"].shape[0] == 2


def test_a_module_is_a_copy():
    epochs, features = recording()
    decoder = NetworkDecoder("mlp", **QUICK).fit(epochs, features)
    before = decoder.predict(epochs)
    with torch.no_grad():
        for parameter in decoder.module().parameters():
            parameter.zero_()
    xr.testing.assert_identical(decoder.predict(epochs), before)


def test_the_temperature_is_learned(monkeypatch):
    kept = []
    run = training.Training.run
    monkeypatch.setattr(training.Training, "run", lambda self, c: (kept.append(self), run(self, c))[1])
    NetworkDecoder("mlp", **QUICK, loss="infonce").fit(*recording())
    assert abs(kept[0].loss.log_scale.item() - np.log(1 / 0.07)) > 1e-3


def test_a_temperature_at_its_bound_is_still_learned(monkeypatch):
    kept = []
    run = training.Training.run

    def begun_cold(self, checkpoint):
        with torch.no_grad():
            self.loss.log_scale.fill_(np.log(100.0) + 0.002)
        kept.append(self.loss)
        return run(self, checkpoint)

    monkeypatch.setattr(training.Training, "run", begun_cold)
    NetworkDecoder("mlp", **QUICK, loss="infonce").fit(*recording(noise=8.0))
    assert kept[0].log_scale.item() < np.log(100.0) - 1e-3


def test_losses_of_direction_give_predictions_the_length_of_features():
    epochs, features = recording(q=20)
    decoder = NetworkDecoder("nice", **QUICK, loss="infonce", validation=None).fit(epochs, features)
    z = (decoder.predict(epochs) - features.mean("stimulus")) / features.std("stimulus")
    np.testing.assert_allclose((z**2).sum("feature"), 20.0, rtol=1e-4)


@pytest.mark.parametrize("loss", ["mse", "cosine"])
def test_predictions_have_the_size_that_validation_samples_ask_for(loss):
    epochs, features = recording(q=20)
    noise = np.random.default_rng(3).normal(size=features.shape)
    noisy = features + 2 * float(features.std()) * noise
    decoder = NetworkDecoder("mlp", **QUICK, loss=loss, validation=0.3).fit(epochs, noisy)
    held = epochs.sel(sample=decoder.validation_samples_)
    learned = epochs.sel(sample=~epochs["sample"].isin(decoder.validation_samples_))
    seen = noisy.sel(stimulus=learned["stimulus"].values)
    true, found = (
        ((a - seen.mean("stimulus").values) / seen.std("stimulus").values).values
        for a in (noisy.sel(stimulus=held["stimulus"].values), decoder.predict(held))
    )
    # Ordinary least squares without a constant, from predictions to features, over all values.
    slope, *_ = np.linalg.lstsq(found.reshape(-1, 1), true.ravel(), rcond=None)
    assert decoder.slope_ != pytest.approx(1.0, abs=0.02)
    assert slope[0] == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_settings_for_few_trials_train_every_network(architecture):
    assert architecture in nd.networks.NAMES
    decoder = nd.networks.few_trials(architecture)
    assert (decoder.architecture, decoder.size) == (architecture, "small")
    decoder.set_params(epochs=2).fit(*recording())
    assert np.isfinite(decoder.history_.validation_loss).all()


def test_bfloat16_stays_near_float32():
    epochs, features = recording()
    full = NetworkDecoder("mlp", **QUICK).fit(epochs, features)
    half = NetworkDecoder("mlp", **QUICK, precision="bfloat16").fit(epochs, features)
    assert weights(half)["1.weight"].dtype == np.float32
    a, b = full.predict(epochs).values, half.predict(epochs).values
    assert 0 < np.abs(a - b).max() < 0.5
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99


def test_a_device_that_is_not_there_falls_back_with_a_warning():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    from neurodecode.solve import device

    device.found.cache_clear()
    with pytest.warns(UserWarning, match="device='cuda': torch finds no such device here"):
        decoder = NetworkDecoder("mlp", **QUICK, device="cuda").fit(*recording())
    assert decoder.device_ == "cpu"
    assert same(decoder, NetworkDecoder("mlp", **QUICK).fit(*recording()))


def test_augmentation_changes_training_batches_only():
    epochs, features = recording()
    plain = NetworkDecoder("mlp", **QUICK, patience=None).fit(epochs, features)
    for augment in ({"noise": 0.3}, {"shift": 3}, {"channels": 0.3}):
        decoder = NetworkDecoder("mlp", **QUICK, patience=None, augment=augment).fit(epochs, features)
        assert not same(plain, decoder)
        xr.testing.assert_identical(decoder.predict(epochs), decoder.predict(epochs))
    x = torch.arange(1.0, 7.0).repeat(200, 2, 1)
    torch.manual_seed(0)
    moved = augmented(x, {"shift": 2})
    kinds = {tuple(row.tolist()) for row in moved[:, 0]}
    assert kinds == {
        (1, 2, 3, 4, 5, 6),
        (0, 1, 2, 3, 4, 5),
        (0, 0, 1, 2, 3, 4),
        (2, 3, 4, 5, 6, 0),
        (3, 4, 5, 6, 0, 0),
    }
    assert torch.equal(moved[:, 0], moved[:, 1])
    gone = (augmented(x, {"channels": 0.25}) == 0).all(dim=2).float().mean()
    assert 0.18 < float(gone) < 0.32
    assert float((augmented(x, {"noise": 0.5}) - x).std()) == pytest.approx(0.5, rel=0.1)


def test_atm_learns_a_token_for_every_subject():
    epochs, features = recording()
    who = np.where(np.arange(60) % 2, "s1", "s2")
    both = epochs.assign_coords(subject=("sample", who))
    decoder = NetworkDecoder("atm", **QUICK, subject="subject").fit(both, features)
    width = 64
    plain = sum(x.parameters for x in layers("atm", (4, 25), 5, size="small"))
    assert decoder.n_parameters_ == plain + 2 * width
    first, second, unknown = (
        decoder.predict(epochs.assign_coords(subject=("sample", [name] * 60))) for name in ("s1", "s2", "s9")
    )
    assert not np.allclose(first, second)
    network = decoder.module().network
    with torch.no_grad():
        network.subject.weight[:] = network.subject.weight.mean(0)
        expected = decoder.module()
        expected.network.load_state_dict(network.state_dict())
        found = expected(torch.tensor(epochs.values), torch.zeros(60, dtype=torch.long))
    np.testing.assert_allclose(unknown.values, found.numpy(), rtol=1e-4, atol=1e-5)
    # The token is known to attention alone: the convolution sees channels.
    network.encoder = torch.nn.Identity()
    x = torch.randn(3, 4, 25)
    network.subject.reset_parameters()
    a, b = (network(x, torch.full((3,), number)).detach() for number in (0, 1))
    assert torch.equal(a, b)
    with pytest.raises(
        ValueError, match="only 'atm', 'benchetrit' learn something for each subject, not 'nice'"
    ):
        NetworkDecoder("nice", subject="subject").fit(both, features)
    with pytest.raises(ValueError, match="'atm', 'benchetrit' learn .*, not 'nice'; leave subjects out"):
        layers("nice", (4, 25), 5, subjects=2)


def two_subjects(
    seed: int, who: list[str], truth: np.ndarray, mix: np.ndarray
) -> tuple[xr.DataArray, np.ndarray]:
    """Trials (n, 6 channels, 12 times) of features in mirrored signs: what raises s1's channels lowers those of s2."""
    signs = np.where(np.array(who) == "s1", 1.0, -1.0)
    noise = np.random.default_rng(seed).normal(size=(len(who), 6, 12))
    values = signs[:, None, None] * (truth @ mix).reshape(-1, 6, 12) + noise
    names = [f"img_{seed}_{i:03d}" for i in range(len(who))]
    epochs = nd.brain.meeg(
        values, sample=names, stimulus=names, channel=[f"M{i}" for i in range(6)], time=np.arange(12) / 100
    )
    return epochs.assign_coords(subject=("sample", who)), np.array(names)


def test_benchetrit_learns_a_map_of_channels_for_every_subject():
    rng = np.random.default_rng(0)
    truth, mix, who = rng.normal(size=(240, 3)), rng.normal(size=(3, 72)), ["s1", "s2"] * 120
    epochs, names = two_subjects(1, who, truth, mix)
    features = nd.brain.features(truth, stimulus=names)
    options = {"size": "small", "epochs": 25, "batch": 32, "learning_rate": 3e-3}
    decoder = NetworkDecoder("benchetrit", **options, subject="subject").fit(epochs[:160], features)
    blind = NetworkDecoder("benchetrit", **options).fit(epochs[:160], features)
    assert decoder.n_parameters_ == blind.n_parameters_ + 2 * 64 * 64
    # Only who was recorded says what a sign means.
    test = epochs[160:]
    assert decoder.score(test, features) > 0.5 > 0.2 + max(0, blind.score(test, features))
    swapped = test.assign_coords(subject=("sample", ["s2", "s1"] * 40))
    assert decoder.score(swapped, features) < 0
    unknown = decoder.predict(test.assign_coords(subject=("sample", ["s9"] * 80)))
    network = decoder.module().network
    maps = network.subject.weight.detach().numpy()
    assert not np.allclose(maps[0], maps[1], atol=1e-3)
    with torch.no_grad():
        network.subject.weight[:] = network.subject.weight.mean(0)
        expected = decoder.module()
        expected.network.load_state_dict(network.state_dict())
        found = expected(torch.tensor(test.values), torch.zeros(80, dtype=torch.long))
    np.testing.assert_allclose(unknown.values, found.numpy(), rtol=1e-4, atol=1e-4)


def test_maps_of_subjects_begin_at_the_identity():
    network = benchetrit.build((6, 12), 3, size="small", subjects=2).eval()
    x = torch.randn(4, 6, 12)
    plain = network.head(network.latent(network.time(network.blocks(network.space(x)))))
    torch.testing.assert_close(network(x, torch.tensor([0, 1, -1, 1])), plain)


# ---------------------------------------------------------------- it learns, and only what is there


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_64_trials_are_learned_by_heart(architecture):
    epochs, features = recording(n=64, channels=8, times=15, q=4)
    size = "full" if architecture == "eegnet" else "small"
    rate, passes = {"transformer": (2e-3, 60), "atm": (5e-3, 80), "eegnet": (2e-2, 250)}.get(
        architecture, (5e-3, 150)
    )
    options = {"size": size, "epochs": passes, "batch": 64, "validation": None, "weight_decay": 0.0}
    decoder = NetworkDecoder(architecture, **options, learning_rate=rate).fit(epochs, features)
    # Without dropout nearly all variance of what it was shown is there.
    assert decoder.score(epochs, features) > 0.95
    assert decoder.history_.loss[-1] < 0.3 * decoder.history_.loss[0]


@pytest.mark.parametrize("loss", ["mse", "infonce"])
def test_shuffled_labels_are_at_chance(loss):
    epochs, features = recording(n=240, q=8)
    options = {**QUICK, "epochs": 15, "loss": loss}
    found = {}
    for name in ("right", "shuffled"):
        given = epochs
        if name == "shuffled":
            order = np.random.default_rng(1).permutation(240)
            given = epochs.assign_coords(stimulus=("sample", epochs.stimulus.values[order]))
        decoder = NetworkDecoder("mlp", **options).fit(given[:160], features)
        predicted = decoder.predict(given[160:])
        found[name] = float(nd.score.pairwise(predicted, nd.labels.match(features, predicted)).mean())
    assert found["right"] > 0.8
    assert abs(found["shuffled"] - 0.5) < 0.1


def planted() -> tuple[xr.DataArray, xr.DataArray]:
    """Features in channels E0-E3 between 0.2 and 0.3 s, noise elsewhere."""
    rng = np.random.default_rng(0)
    names = [f"img_{i:03d}" for i in range(150)]
    truth = rng.normal(size=(150, 6))
    values = rng.normal(size=(150, 8, 40))
    values[:, :4, 20:30] += (truth @ rng.normal(size=(6, 40))).reshape(150, 4, 10)
    epochs = nd.brain.meeg(
        values, sample=names, stimulus=names, channel=[f"E{i}" for i in range(8)], time=np.arange(40) / 100
    )
    return epochs, nd.brain.features(truth, stimulus=names)


@pytest.mark.parametrize("architecture", ["temporal_spatial", "eegnet", "benchetrit"])
def test_a_planted_signal_is_found_in_its_window_and_channels(architecture):
    epochs, features = planted()
    decoder = NetworkDecoder(architecture, size="small", epochs=30, batch=32, learning_rate=5e-3)
    parts = {"train": np.arange(150) < 110, "test": np.arange(150) >= 110}
    swept = nd.temporal.sweep(epochs, features, decoder, width=0.1, step=0.1, score="profile", **parts)
    assert swept.dims == ("window", "layer", "subject", "fold")
    over_time = swept.squeeze().values
    assert over_time[2] > 0.6
    assert np.abs(np.delete(over_time, 2)).max() < 0.25
    halves = {"signal": [f"E{i}" for i in range(4)], "rest": [f"E{i}" for i in range(4, 8)]}
    window = epochs.isel(time=slice(20, 30))
    where = nd.spatial.decode(window, features, decoder, regions=halves, **parts).squeeze()
    assert where.sel(region="signal") > 0.6
    assert abs(float(where.sel(region="rest"))) < 0.25
    assert "NetworkDecoder(architecture=" in nd.store.provenance(swept)["parameters"]["decoders"]["features"]


# ---------------------------------------------------------------- mistakes are named


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"architecture": "resnet"},
            "unknown architecture 'resnet'; choose one of 'temporal_spatial', 'nice'",
        ),
        ({"size": "huge"}, "unknown size 'huge'"),
        ({"loss": "l1"}, "unknown loss 'l1'; choose one of 'mse', 'cosine', 'infonce'"),
        ({"loss": {"mse": 0.0}}, "weights above 0"),
        ({"loss": {}}, "weights above 0"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
        ({"epochs": 0}, "epochs must be a whole number from 1, got 0"),
        ({"batch": 1}, "batch must be a whole number from 3, got 1"),
        ({"patience": 0}, "patience must be a whole number from 1, got 0"),
        ({"seed": -1}, "seed must be a whole number from 0, got -1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"augment": {"blur": 1}}, "unknown augmentation 'blur'"),
        ({"augment": {"channels": 1.0}}, "'channels' a share"),
        ({"augment": {"shift": 0.5}}, "'shift' a whole number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NetworkDecoder(**options).fit(*recording())


@pytest.mark.parametrize("architecture", ["nice", "mlp"])
def test_what_has_no_time_is_not_shifted(architecture):
    """All channels of a sample without a time axis were set to 0, and voxels left as they were."""
    epochs, features = recording()
    decoder = NetworkDecoder(architecture, **QUICK, augment={"shift": 2, "noise": 0.1})
    with pytest.raises(
        ValueError, match="shift=2 moves .* time samples, of which they have 1: .* leave 'shift' out"
    ):
        decoder.fit(epochs[:, :, 0], features)
    with pytest.raises(ValueError, match="of which they have 2"):
        decoder.fit(epochs[:, :, :2], features)
    assert decoder.fit(epochs[:, :, :3], features).n_features_in_ == 12


def test_bad_data_are_refused():
    epochs, features = recording()
    decoder = NetworkDecoder("nice", **QUICK)
    with pytest.raises(TypeError, match="must be a labelled"):
        decoder.fit(epochs.values, features)
    with pytest.raises(ValueError, match="features lack 3 of the 60 stimuli"):
        decoder.fit(epochs, features[3:])
    bad = epochs.copy()
    bad[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="responses has 1 NaN"):
        decoder.fit(bad, features)
    fitted = decoder.fit(epochs, features)
    with pytest.raises(ValueError, match="responses has 1 NaN"):
        fitted.predict(bad)
    with pytest.raises(ValueError, match="disagree on 2 of 4 'channel' labels"):
        fitted.predict(epochs.isel(channel=[1, 0, 2, 3]))
    with pytest.raises(ValueError, match="'time' labels"):
        fitted.predict(epochs[:, :, :20])
    with pytest.raises(ValueError, match="features has 1 NaN"):
        decoder.fit(epochs, features.where(features != features.values[2, 1]))
    with pytest.raises(
        ValueError,
        match=r"must be \(stimulus, feature\), got \('stimulus', 'feature', 'view'\); stack or select",
    ):
        decoder.fit(epochs, features.expand_dims(view=2, axis=2))
    with pytest.raises(ValueError, match="needs at least 2 samples to learn from, got 1"):
        NetworkDecoder("nice", validation=None).fit(epochs[:1], features)
    with pytest.raises(ValueError, match=r"not \(7,\); use 'mlp' or 'transformer'"):
        layers("nice", (7,), 3)


def test_a_loss_that_explodes_is_named():
    epochs, features = recording()
    with pytest.raises(ValueError, match="the loss of mlp became .* in epoch .* lower learning_rate=1e"):
        NetworkDecoder("mlp", **{**QUICK, "learning_rate": 1e30, "epochs": 20}).fit(epochs, features)


# ---------------------------------------------------------------- gradients


def test_input_gradients_equal_finite_differences():
    epochs, features = recording(n=30)
    decoder = NetworkDecoder("temporal_spatial", **QUICK).fit(epochs, features)
    rng = np.random.default_rng(3)
    test = epochs[:5]
    direction = decoder.predict(test).copy(data=rng.normal(size=(5, 5)))
    found = decoder.input_gradients(test, direction)
    assert found.dims == ("sample", "channel", "time")
    np.testing.assert_array_equal(found.sample, test.sample)
    step = test.copy(data=rng.normal(size=test.shape))
    small = 1e-2
    ahead, behind = (
        float((decoder.predict(test + sign * small * step) * direction).sum()) for sign in (1, -1)
    )
    assert float((found * step).sum()) == pytest.approx((ahead - behind) / (2 * small), rel=2e-2)
    # A sample's gradient is its own: other samples' directions do not reach it.
    alone = direction.copy(data=np.where(np.arange(5)[:, None] == 2, direction.values, 0))
    np.testing.assert_allclose(decoder.input_gradients(test, alone).values[2], found.values[2], rtol=1e-5)
    assert not decoder.input_gradients(test, alone).values[[0, 1, 3, 4]].any()
    with pytest.raises(ValueError, match="responses and direction disagree on 5 of 5 'sample' labels"):
        decoder.input_gradients(test, direction[::-1].assign_coords(sample=epochs.sample.values[10:15]))


def test_gradient_times_input_finds_where_the_effect_was_planted():
    epochs, features = recording(n=90, channels=5)
    values = np.random.default_rng(4).normal(size=epochs.shape)
    shown = features.sel(stimulus=epochs.stimulus.values).values
    values[:, 1, 10:16] += (
        2 * (shown - shown.mean(0)) @ np.random.default_rng(5).normal(size=(5, 6)) / shown.std()
    )
    planted = epochs.copy(data=values).assign_coords(
        split=("sample", np.where(np.arange(90) < 72, "train", "test"))
    )
    decoder = NetworkDecoder("mlp", size="small", epochs=40, batch=16, learning_rate=3e-3, validation=None)
    decoder.fit(planted[:72], features)
    found = nd.temporal.gradient_input(decoder, planted, features, over="channel")
    assert found.values.ravel().argmax() == 1
    others = np.delete(np.abs(found.values.ravel()), 1)
    assert found.values.ravel()[1] > 2 * others.max()
