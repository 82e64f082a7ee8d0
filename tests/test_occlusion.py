"""temporal.occlusion and gradient_input: plain loops, the closed form of ridge, planted truth; and that both draw."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import neurodecode as nd
from neurodecode import temporal

mpl.use("Agg")

quick = settings(max_examples=10, deadline=None)
N_TRAIN, N_TEST = 120, 40
PLANTED_CHANNELS, PLANTED_TIMES = (2, 5), slice(10, 16)
LAYERS = ("early", "late")


def positions(n):
    """A ring with a top, in metres."""
    angle = np.linspace(0, 2 * np.pi, n - 1, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle), 0.3 * np.ones(n - 1)])
    return 0.09 * np.vstack([ring, [0, 0, 1.0]])


def planted(*, n_channels=8, n_times=30, noise=0.5, seed=0):
    """Epochs in which two channels carry the features from 100 to 150 ms; noise that all channels share."""
    rng = np.random.default_rng(seed)
    n = N_TRAIN + N_TEST
    names = [f"image_{i:03d}" for i in range(n)]
    layer = np.repeat(LAYERS, 4)
    features = nd.brain.features(rng.normal(size=(n, 8)), stimulus=names, layer=layer)
    values = noise * (rng.normal(size=(n, n_channels, n_times)) + rng.normal(size=(n, 1, n_times)))
    mixing = rng.normal(size=(8, len(PLANTED_CHANNELS), 6))
    values[:, PLANTED_CHANNELS, PLANTED_TIMES] += np.einsum("nf,fct->nct", features.values, mixing)
    epochs = nd.brain.meeg(
        values, sample=names, stimulus=names, channel=[f"E{i}" for i in range(n_channels)],
        time=np.arange(n_times) / 100, kind="eeg", xyz=positions(n_channels), subject="S1",
        split=["train"] * N_TRAIN + ["test"] * N_TEST,
    )  # fmt: skip
    return epochs, features


def fitted(epochs, features, alpha=30.0):
    train = epochs[epochs["split"].values == "train"]
    return nd.RidgeDecoder(alpha=alpha).fit(train, features)


@pytest.fixture(scope="module")
def case():
    epochs, features = planted()
    # Means that are far from 0, so that hiding by 0 would not be hiding by the mean.
    epochs = (epochs + np.arange(8)[None, :, None] * 3.0).assign_attrs(epochs.attrs)
    return epochs, features, fitted(epochs, features)


class PredictsAlone:
    """A decoder of which nothing but predict is known."""

    def __init__(self, decoder):
        self.predict = decoder.predict


# ------------------------------------------------------------------------------------------ occlusion
@pytest.mark.parametrize("over", ["channel", "time", ("channel", "time")])
def test_occlusion_is_the_double_loop(case, over) -> None:
    epochs, features, decoder = case
    found = temporal.occlusion(
        PredictsAlone(decoder), epochs, features, over=over, width=0.1, step=0.05, score="profile"
    )
    split = epochs["split"].values
    x, mean = epochs.values[split == "test"], epochs.values[split == "train"].mean(axis=0)
    y = features.values[N_TRAIN:]
    weights, base = decoder.weights_.values.reshape(-1, 8), decoder.predict(epochs[:1]).values[0]
    base = base - epochs.values[0].ravel() @ weights

    def score(values):
        p = values.reshape(N_TEST, -1) @ weights + base
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, y.T, strict=True)]
        return np.array([np.mean(r[:4]), np.mean(r[4:])])

    starts = range(0, 21, 5) if "time" in over else [0]
    width = 10 if "time" in over else 30
    chosen = [[c] for c in range(8)] if "channel" in over else [list(range(8))]
    expected = np.empty((len(starts), len(chosen), 2))
    for w, start in enumerate(starts):
        for c, channels in enumerate(chosen):
            hidden = x.copy()
            for channel in channels:
                for t in range(start, start + width):
                    hidden[:, channel, t] = mean[channel, t]
            expected[w, c] = score(x) - score(hidden)
    dims = [d for d, o in (("window", "time"), ("channel", "channel")) if o in over]
    assert found.dims == (*dims, "layer")
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-8)
    np.testing.assert_allclose(found["whole"], score(x), atol=1e-8)
    assert found["layer"].values.tolist() == list(LAYERS)
    assert found.attrs["units"] == "drop in profile (Pearson r)"
    assert nd.store.provenance(found)["what"] == "temporal.occlusion"
    assert found["subject"].item() == "S1"
    if "channel" in over:
        for name in ("channel", "kind", "x", "y", "z"):
            np.testing.assert_array_equal(found[name], epochs[name])
    if "time" in over:
        laid = temporal.windows(epochs.time, width=0.1, step=0.05)
        for name in ("window", "start", "stop"):
            np.testing.assert_array_equal(found[name], laid[name])
    else:
        assert (found["start"].item(), found["stop"].item()) == (0.0, 0.29)
        assert found["window"].item() == pytest.approx(0.145)


@pytest.mark.parametrize("fill", ["mean", "permute"])
@pytest.mark.parametrize("score", ["pairwise", "profile"])
def test_what_was_planted_is_found_there_and_nowhere_else(case, fill, score) -> None:
    epochs, features, decoder = case
    found = temporal.occlusion(
        decoder, epochs, features, over=("channel", "time"), width=0.06, step=0.02, score=score, fill=fill,
        n_permutations=4,
    )  # fmt: skip
    drop = found.mean("layer")
    there = drop["channel"].isin([f"E{c}" for c in PLANTED_CHANNELS])
    inside = (drop["start"] > 0.099) & (drop["stop"] < 0.151)
    outside = (drop["stop"] < 0.099) | (drop["start"] > 0.151)
    middle = drop.where(there & inside, drop=True)
    assert middle.size == 2
    elsewhere = np.concatenate(
        [drop.where(~there, drop=True).values.ravel(), drop.where(outside, drop=True).values.ravel()]
    )
    assert np.nanmin(middle) > 0.05
    assert np.nanmin(middle) > 5 * np.nanmax(np.abs(elsewhere))


def test_permuting_is_the_mean_over_orders_that_no_part_changes(case) -> None:
    epochs, features, decoder = case
    options = {"score": "profile", "fill": "permute", "n_permutations": 3, "seed": 7}
    found = temporal.occlusion(decoder, epochs, features, **options)
    tested = epochs[N_TRAIN:]
    rng = np.random.default_rng(7)
    orders = [rng.permutation(N_TEST) for _ in range(3)]
    whole = nd.score.profile(decoder.predict(tested), nd.labels.match(features, tested)).values.reshape(2, 4)
    for c in (0, 5):
        scores = []
        for order in orders:
            hidden = tested.copy(deep=True)
            hidden[:, c] = tested.values[order][:, c]
            r = nd.score.profile(decoder.predict(hidden), nd.labels.match(features, tested))
            scores.append(r.values.reshape(2, 4).mean(axis=1))
        np.testing.assert_allclose(
            found.isel(channel=c), whole.mean(axis=1) - np.mean(scores, axis=0), atol=1e-10
        )
    again = temporal.occlusion(decoder, epochs, features, **options)
    xr.testing.assert_identical(found.drop_attrs(), again.drop_attrs())
    other = temporal.occlusion(decoder, epochs, features, **{**options, "seed": 8})
    assert not np.array_equal(other, found)
    # Without training samples, too.
    alone = temporal.occlusion(decoder, tested, features, **options)
    np.testing.assert_allclose(alone, found, atol=1e-12)


def test_the_test_samples_do_not_move_the_fill(case) -> None:
    """Hiding all channels at all times leaves the prediction at the mean of training, whatever was tested."""
    epochs, features, decoder = case
    seen = []

    class Watches:
        def predict(self, responses):
            seen.append(responses.values.copy())
            return decoder.predict(responses)

    groups = {"all": epochs.channel.values.tolist()}
    temporal.occlusion(Watches(), epochs, features, regions=groups, score="profile")
    mean = epochs.values[:N_TRAIN].mean(axis=0)
    np.testing.assert_allclose(seen[-1], np.broadcast_to(mean, seen[-1].shape))


def test_epochs_of_whole_numbers_are_hidden_as_others_are(case) -> None:
    """Their mean over training samples was cut to a whole number."""
    epochs, features, _ = case
    whole = (2 * epochs).round().astype(np.int16)
    decoder = fitted(whole, features)
    found, expected = (temporal.occlusion(decoder, e, features) for e in (whole, whole.astype(float)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_regions_and_neighbours_are_hidden_together(case) -> None:
    epochs, features, decoder = case
    groups = {"planted": ["E2", "E5"], "left": ["E0", "E1"]}
    by_group = temporal.occlusion(decoder, epochs, features, regions=groups, score="profile")
    assert by_group.dims == ("region", "layer")
    assert by_group["region"].values.tolist() == ["planted", "left"]
    assert (by_group.sel(region="planted") > 0.5).all()
    assert (abs(by_group.sel(region="left")) < 0.1).all()
    np.testing.assert_allclose(by_group["whole"] - by_group.sel(region="planted"), 0, atol=0.3)
    added = temporal.gradient_input(decoder, epochs, features, over="channel", regions=groups)
    for found in (by_group, added):
        assert nd.store.provenance(found)["parameters"]["regions"] == ["planted", "left"]
        assert "the channels of each of 2 regions (planted and left)" in nd.methods.paragraph(found).lower()
    xyz = np.stack([epochs[k].values for k in "xyz"], axis=1)
    near = np.linalg.norm(xyz - xyz[2], axis=1) <= 0.08
    assert 1 < near.sum() < 5
    by_radius = temporal.occlusion(decoder, epochs, features, radius=0.08, score="profile")
    mask = {"near": near}
    expected = temporal.occlusion(decoder, epochs, features, regions=mask, score="profile")
    np.testing.assert_allclose(by_radius.sel(channel="E2"), expected.sel(region="near"))
    assert by_radius.dims == ("channel", "layer")


def test_several_decoded_layers_are_scored_apart() -> None:
    """One layer is planted in one channel, the other in another."""
    rng = np.random.default_rng(0)
    names = [f"i{i}" for i in range(100)]
    features = nd.brain.features(rng.normal(size=(100, 6)), stimulus=names, layer=np.repeat(LAYERS, 3))
    values = 0.3 * rng.normal(size=(100, 4, 6))
    values[:, 0, :3] += features.values[:, :3]
    values[:, 3, 3:] += features.values[:, 3:]
    epochs = nd.brain.meeg(
        values, sample=names, stimulus=names, channel=list("abcd"), time=np.arange(6) / 100,
        split=["train"] * 70 + ["test"] * 30,
    )  # fmt: skip
    found = temporal.occlusion(fitted(epochs, features, 1.0), epochs, features, score="pattern")
    big = (found > 0.3).to_series().unstack()
    assert big["early"].tolist() == [True, False, False, False]
    assert big["late"].tolist() == [False, False, False, True]
    one = features.isel(feature=slice(3)).drop_vars("layer")
    alone = temporal.occlusion(fitted(epochs, one, 1.0), epochs, one, score="pattern")
    np.testing.assert_allclose(alone.isel(layer=0), found.sel(layer="early"), atol=1e-10)
    assert alone["layer"].values.tolist() == ["features"]


@quick
@given(st.integers(0, 2**32 - 1))
def test_channels_in_another_order_change_nothing(seed) -> None:
    epochs, features = planted(n_channels=6, n_times=16, seed=3)
    order = np.random.default_rng(seed).permutation(6)
    moved = epochs.isel(channel=order)
    found, other = (
        temporal.occlusion(
            fitted(e, features), e, features, score="profile", fill="permute", n_permutations=2
        )
        for e in (epochs, moved)
    )
    np.testing.assert_allclose(other.sel(channel=epochs.channel), found, atol=1e-8)
    found, other = (
        temporal.gradient_input(fitted(e, features), e, features, over="channel") for e in (epochs, moved)
    )
    np.testing.assert_allclose(other.sel(channel=epochs.channel), found, atol=1e-8)


# ------------------------------------------------------------------------------------------ gradients
@pytest.mark.parametrize(
    "options", [{}, {"n_voxels": 40}, {"standardise": False}, {"intercept": "penalised"}]
)
def test_the_gradient_of_ridge_is_its_weights_and_a_finite_difference(case, options) -> None:
    epochs, features, _ = case
    decoder = nd.RidgeDecoder(alpha=30.0, **options).fit(epochs[:N_TRAIN], features)
    tested = epochs[N_TRAIN : N_TRAIN + 5]
    rng = np.random.default_rng(0)
    direction = decoder.predict(tested).copy(data=rng.normal(size=(5, 8)))
    found = decoder.input_gradients(tested, direction)
    assert found.dims == ("sample", "channel", "time")
    expected = np.einsum("ctf,nf->nct", decoder.weights_.values, direction.values)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    for c, t in ((2, 12), (0, 0)):
        step = np.zeros((1, 8, 30))
        step[0, c, t] = 1.0
        up, down = (decoder.predict(tested + sign * step) for sign in (1, -1))
        slope = ((up - down) / 2 * direction).sum("feature")
        np.testing.assert_allclose(found[:, c, t], slope, atol=1e-8)
    for name in ("channel", "time", "x", "kind", "sample", "stimulus"):
        np.testing.assert_array_equal(found[name], tested[name])


def test_gradient_times_input_is_the_closed_form_and_adds_up(case) -> None:
    epochs, features, decoder = case
    found = temporal.gradient_input(decoder, epochs, features, width=0.1, step=0.1)
    assert found.dims == ("window", "channel", "layer")
    x = epochs.values[N_TRAIN:] - epochs.values[:N_TRAIN].mean(axis=0)
    for i, columns in enumerate((slice(0, 4), slice(4, 8))):
        y, m = features.values[N_TRAIN:, columns], features.values[:N_TRAIN, columns].mean(axis=0)
        v = (y - m) / np.linalg.norm(y - m, axis=1, keepdims=True)
        weights = decoder.weights_.values[..., columns]
        expected = np.zeros((3, 8))
        for w in range(3):
            for c in range(8):
                for t in range(10 * w, 10 * w + 10):
                    expected[w, c] += np.mean(x[:, c, t] * (v @ weights[c, t]))
        np.testing.assert_allclose(found.isel(layer=i), expected, atol=1e-9)
        gain = (
            decoder.predict(epochs[N_TRAIN:]).values[:, columns]
            - decoder.predict(epochs[:N_TRAIN].mean("sample").expand_dims(sample=["mean"])).values[:, columns]
        )
        evidence = np.mean(np.sum(v * gain, axis=1))
        np.testing.assert_allclose(found["whole"].isel(layer=i), evidence, rtol=1e-9)
        np.testing.assert_allclose(found.isel(layer=i).sum(), evidence, rtol=1e-9)
    for over, dim in (("channel", "window"), ("time", "channel")):
        one = temporal.gradient_input(decoder, epochs, features, over=over, width=0.1, step=0.1)
        np.testing.assert_allclose(one, found.sum(dim), atol=1e-9)
    regions = {"planted": ["E2", "E5"]}
    grouped = temporal.gradient_input(decoder, epochs, features, over="channel", regions=regions)
    both = found.sel(channel=["E2", "E5"]).sum(["window", "channel"])
    np.testing.assert_allclose(grouped.sel(region="planted"), both, atol=1e-9)


def test_evidence_is_where_it_was_planted_and_noise_is_none(case) -> None:
    epochs, features, decoder = case
    signed, absolute = (
        temporal.gradient_input(decoder, epochs, features, width=0.06, step=0.02, reduce=r).mean("layer")
        for r in ("mean", "mean_abs")
    )
    there = signed["channel"].isin([f"E{c}" for c in PLANTED_CHANNELS])
    inside = (signed["start"] > 0.099) & (signed["stop"] < 0.151)
    middle = signed.where(there & inside, drop=True)
    elsewhere = signed.where(~there)
    assert float(middle.min()) > 10 * float(abs(elsewhere).max())
    # The other channels get weight, for they cancel the noise that all share: it shows without the sign.
    assert float(absolute.where(~there & inside).mean()) > 5 * float(
        abs(signed).where(~there & inside).mean()
    )


def test_a_network_of_ones_own_only_needs_the_method(case) -> None:
    """tanh after a ridge: the gradient is torch's, and occlusion takes it, too."""
    torch = pytest.importorskip("torch")
    epochs, features, ridge = case
    weights = torch.tensor(ridge.weights_.values.reshape(-1, 8))
    mean = torch.tensor(epochs.values[:N_TRAIN].mean(axis=0).ravel())

    class Bent:
        def __call__(self, x):
            return torch.tanh((x.flatten(1) - mean) @ weights)

        def predict(self, responses):
            with torch.no_grad():
                values = self(torch.tensor(responses.values)).numpy()
            return ridge.predict(responses).copy(data=values)

        def input_gradients(self, responses, direction):
            x = torch.tensor(responses.values, requires_grad=True)
            (found,) = torch.autograd.grad(self(x), x, torch.tensor(direction.values))
            return responses.copy(data=found.numpy())

    assert isinstance(Bent(), temporal.Differentiable)
    assert not isinstance(PredictsAlone(ridge), temporal.Differentiable)
    found = temporal.gradient_input(Bent(), epochs, features, over="channel")
    x = epochs.values[N_TRAIN:].reshape(N_TEST, -1) - mean.numpy()
    w = weights.numpy()
    slope = 1 - np.tanh(x @ w) ** 2
    y, m = features.values[N_TRAIN:, :4], features.values[:N_TRAIN, :4].mean(axis=0)
    v = (y - m) / np.linalg.norm(y - m, axis=1, keepdims=True)
    expected = (x * ((v * slope[:, :4]) @ w[:, :4].T)).reshape(N_TEST, 8, 30).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(found.sel(layer="early"), expected, atol=1e-9)
    drop = temporal.occlusion(Bent(), epochs, features, score="profile").mean("layer")
    assert set(drop["channel"].values[np.argsort(drop.values)[-2:]]) == {"E2", "E5"}


# ------------------------------------------------------------------------------------------ figures
def results(case):
    epochs, features, decoder = case
    over = ("channel", "time")
    options = {"width": 0.1, "step": 0.05}
    yield temporal.occlusion(decoder, epochs, features, over=over, score="profile", **options)
    yield temporal.gradient_input(decoder, epochs, features, over=over, **options)


def panels(figure):
    return [ax.get_title() for ax in figure.axes if ax.images]


def test_maps_draw_as_ridge_patterns_do(case) -> None:
    said = []
    for found in results(case):
        figure = nd.plot.topographies(found.sel(layer="early"))
        assert panels(figure) == ["45 ms", "95 ms", "145 ms", "195 ms", "245 ms"]
        said.append(" ".join(ax.get_ylabel() for ax in figure.axes).replace("\n", " "))
    assert "drop in profile (Pearson r)" in said[0]
    assert "Mean gradient x input" in said[1]


def test_a_map_of_all_times_draws_as_one_head(case) -> None:
    epochs, features, decoder = case
    for function in (temporal.occlusion, temporal.gradient_input):
        found = function(decoder, epochs, features, over="channel")
        one = found.sel(layer="late")
        assert panels(nd.plot.topographies(one)) == ["0 to 290 ms"]
        (image,) = (ax.images[0] for ax in nd.plot.topographies(one).axes if ax.images)
        assert image.get_clim()[1] == pytest.approx(float(abs(one).max()))
        bare = one.drop_vars(["window", "start", "stop"])
        assert panels(nd.plot.topographies(bare)) == [""]
        with pytest.raises(ValueError, match=r"times=0\.1 choose among windows, but patterns have none"):
            nd.plot.topographies(one, times=[0.1])


def test_courses_draw_as_accuracy_does(case) -> None:
    epochs, features, decoder = case
    for function, label in (
        (temporal.occlusion, "Drop in pattern (Pearson r)"),
        (temporal.gradient_input, "Evidence for the true features (a.u.)"),
    ):
        one = function(decoder, epochs, features, over="time", width=0.1, step=0.05)
        several = xr.concat(
            [one, (0.9 * one).assign_coords(one.coords).assign_coords(subject="S2")], dim="subject"
        )
        several.attrs = one.attrs
        summary = nd.inference.group(several)
        ax = nd.plot.time_course(summary)
        lines = {line.get_label(): line for line in ax.lines}
        np.testing.assert_allclose(lines["early"].get_ydata(), summary["mean"].sel(layer="early"))
        assert ax.get_ylabel().replace("\n", " ") == label
        assert summary.attrs["chance"] == 0


def test_results_are_saved_and_loaded(case, tmp_path) -> None:
    for i, found in enumerate(results(case)):
        nd.save(found, tmp_path / f"{i}.nc")
        xr.testing.assert_identical(nd.load(tmp_path / f"{i}.nc"), found)


# ------------------------------------------------------------------------------------------ what is refused
def test_what_cannot_be_hidden_is_refused(case) -> None:
    epochs, features, decoder = case

    def occluded(**options):
        given = {"responses": epochs, "features": features, **options}
        return temporal.occlusion(decoder, given.pop("responses"), given.pop("features"), **given)

    for over in ("space", (), ("time", "time")):
        with pytest.raises(ValueError, match="over must be 'channel', 'time' or both"):
            occluded(over=over)
    with pytest.raises(ValueError, match="unknown fill 'zero'; choose one of 'mean', 'permute'"):
        occluded(fill="zero")
    with pytest.raises(ValueError, match="unknown score 'best'"):
        occluded(score="best")
    with pytest.raises(ValueError, match="give over='channel' and no radius with it"):
        occluded(over="time", regions={"a": ["E1"]})
    with pytest.raises(ValueError, match="give over='channel' and no radius with it"):
        occluded(radius=0.1, regions={"a": ["E1"]})
    with pytest.raises(ValueError, match="radius must be 0 or more, got -1"):
        occluded(radius=-1)
    with pytest.raises(ValueError, match=r"width=0.001 s is shorter than one sample"):
        occluded(over="time", width=0.001)
    with pytest.raises(ValueError, match="fill='permute' needs at least 1 permutation of 2 test samples"):
        occluded(fill="permute", n_permutations=0)
    with pytest.raises(ValueError, match="train='training' is no value of 'split'"):
        occluded(train="training")
    with pytest.raises(ValueError, match="share 40 of 40 test stimuli|40 sample"):
        occluded(train=np.ones(160, bool))
    with pytest.raises(ValueError, match="test responses has 1 NaN"):
        occluded(
            responses=epochs.where(
                (epochs.sample != "image_150") | (epochs.channel != "E1") | (epochs.time > 0)
            )
        )
    with pytest.raises(ValueError, match=r"responses needs the dimension\(s\) 'time'"):
        occluded(responses=epochs.isel(time=0))
    with pytest.raises(ValueError, match="the decoder predicts 8 features of 'features' where 4 are given"):
        occluded(features=features.isel(feature=slice(4)).drop_vars("layer"))
    one = features.drop_vars("layer").assign_coords(unit=("feature", np.arange(8)))
    other = fitted(epochs, one)
    with pytest.raises(
        ValueError, match="8 features of 'features' where 8 are given, of another 'unit'; give"
    ):
        temporal.occlusion(other, epochs, one.isel(feature=slice(None, None, -1)))
    early, late = (features[:, features["layer"].values == name] for name in LAYERS)
    for call in (temporal.occlusion, temporal.gradient_input):
        with pytest.raises(ValueError, match="4 features of 'late' where 4 are given, of another 'layer'"):
            call(fitted(epochs, early), epochs, late)
    with pytest.raises(ValueError, match="features lack 1 of the 40 stimuli"):
        occluded(features=features[:-1])
    # A unit that is missing on both sides is the same.
    some = one.assign_coords(unit=("feature", np.array(["u0", None, *"abcdef"], dtype=object)))
    assert temporal.occlusion(fitted(epochs, some), epochs, some).dims == ("channel", "layer")


def test_gradients_that_are_none_are_refused(case) -> None:
    epochs, features, decoder = case
    with pytest.raises(
        TypeError, match=r"PredictsAlone has no input_gradients.*temporal.occlusion needs predict"
    ):
        temporal.gradient_input(PredictsAlone(decoder), epochs, features)
    with pytest.raises(ValueError, match="unknown reduce 'l2'"):
        temporal.gradient_input(decoder, epochs, features, reduce="l2")

    class Shuffled(PredictsAlone):
        def input_gradients(self, responses, direction):
            return decoder.input_gradients(responses, direction)[::-1]

    with pytest.raises(
        ValueError, match="responses and the gradients of Shuffled disagree on 40 of 40 'sample'"
    ):
        temporal.gradient_input(Shuffled(decoder), epochs, features)
    tested = epochs[N_TRAIN:]
    direction = decoder.predict(tested)
    for wrong, words in (
        ({"direction": direction[::-1]}, "responses and direction disagree on 40 of 40 'sample'"),
        ({"responses": tested.isel(channel=slice(None, None, -1))}, "disagree on 8 of 8 'channel'"),
        (
            {"direction": direction.isel(feature=slice(3))},
            "along 'feature', the fit had 8|8 'feature' labels",
        ),
        ({"direction": direction.isel(feature=0)}, r"direction needs the dimension\(s\) 'feature'"),
    ):
        with pytest.raises(ValueError, match=words):
            decoder.input_gradients(**{"responses": tested, "direction": direction, **wrong})
