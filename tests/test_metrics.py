"""Image metrics against formulas that others wrote: NumPy, SciPy's filters, a double loop, chance."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import neurodecode as nd

torch = pytest.importorskip("torch")

from neurodecode import metrics, vision  # noqa: E402
from neurodecode.metrics import networks, protocols  # noqa: E402
from tests import small_models  # noqa: E402

quick = settings(max_examples=25, deadline=None)
values = arrays(np.float64, (5, 7), elements=st.floats(-3, 3, allow_subnormal=False))


def pictures(n=6, seed=0, size=24):
    rng = np.random.default_rng(seed)
    return nd.brain.images(rng.random((n, size, size, 3)), stimulus=[f"p{i}" for i in range(n)])


def blurred(images, sigma=1.0):
    from scipy.ndimage import gaussian_filter

    return images.copy(data=gaussian_filter(images.values, (0, sigma, sigma, 0)).astype(np.float32))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return vision.load(small_models.write_clip(tmp_path_factory.mktemp("clip")))


# ------------------------------------------------------------------------------------------ PixCorr and SSIM
def test_pixcorr_is_numpys_correlation() -> None:
    a, b = pictures().values, pictures(seed=1).values
    expected = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(metrics.pixcorr(a, b), expected, atol=1e-12)
    np.testing.assert_allclose(metrics.pixcorr(a, 1 - a), -1)  # signed
    assert metrics.pixcorr(np.full_like(a, 0.5), b).tolist() == [0.0] * 6


def test_ssim_is_wangs_formula_with_a_gaussian_window() -> None:
    """Written out with SciPy's filter: window of sigma 1.5 cut at 3.5 sigma, border of the window's radius left out."""
    from scipy.ndimage import gaussian_filter

    a, b = pictures(3).values, blurred(pictures(3)).values
    found = metrics.ssim(a, b)
    grey = np.array([0.2125, 0.7154, 0.0721])
    c1, c2, radius = 0.01**2, 0.03**2, int(3.5 * 1.5 + 0.5)

    def mean(image):
        return gaussian_filter(image, 1.5, truncate=3.5)

    for row in range(3):
        x, y = a[row].astype(float) @ grey, b[row].astype(float) @ grey
        mx, my = mean(x), mean(y)
        vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        field = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
        expected = field[radius:-radius, radius:-radius].mean()
        assert found[row] == pytest.approx(expected, abs=1e-5)


def test_protocols_resize_to_425() -> None:
    a, b = pictures(3), blurred(pictures(3))
    found = nd.metrics.evaluate(b, a, metrics=["PixCorr"])
    large = [
        torch.nn.functional.interpolate(
            torch.from_numpy(v.values.astype(np.float32)).permute(0, 3, 1, 2),
            size=425,
            mode="bilinear",
            antialias=True,
        ).flatten(1)
        for v in (b, a)
    ]
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(*large, strict=True)]
    np.testing.assert_allclose(found["value"].sel(metric="PixCorr"), expected, atol=1e-5)


# ------------------------------------------------------------------------------------------ identification
@quick
@given(values, values)
def test_two_way_identification_is_its_double_loop(made, shown) -> None:
    r = metrics.correlations(made, shown)
    for direction in ("truth", "reconstruction"):
        found = metrics.two_way(made, shown, distractors=direction)
        for j in range(5):
            others = [i for i in range(5) if i != j]
            wins = [(r[j, i] if direction == "truth" else r[i, j]) < r[j, j] for i in others]
            assert found[j] == pytest.approx(np.mean(wins))


def test_correlations_and_distances_are_numpys() -> None:
    rng = np.random.default_rng(0)
    made, shown = rng.standard_normal((2, 6, 30))
    r = np.corrcoef(made, shown)[:6, 6:]
    np.testing.assert_allclose(metrics.correlations(made, shown), r, atol=1e-11)
    np.testing.assert_allclose(metrics.distance(made, shown), 1 - np.diagonal(r), atol=1e-12)


def test_the_two_directions_differ() -> None:
    """One reconstruction that resembles every truth is a distractor in one direction only."""
    shown = np.eye(4) + 0.01 * np.random.default_rng(0).standard_normal((4, 4))
    made = shown.copy()
    made[0] = shown.mean(axis=0) + 0.5 * shown[0]
    by_truth, by_made = (metrics.two_way(made, shown, distractors=d) for d in ("truth", "reconstruction"))
    assert by_truth.shape == by_made.shape == (4,)
    assert protocols.PROTOCOLS["takagi"].distractors == "reconstruction"
    assert protocols.PROTOCOLS["mindeye"].distractors == "truth"


# ------------------------------------------------------------------------------------------ evaluate
def test_an_identity_is_perfect_and_noise_at_chance(encoder) -> None:
    truths = pictures(60, size=32)
    perfect = nd.metrics.evaluate(truths, truths, protocol="lab", encoder=encoder)
    np.testing.assert_allclose(perfect["mean"], 1.0, atol=1e-6)
    noise = truths.copy(data=pictures(60, seed=9, size=32).values)
    found = nd.metrics.evaluate(noise, truths, protocol="lab", encoder=encoder)
    for metric in found.metric.values:
        if metric != "SSIM":
            centre = 0.0 if metric == "PixCorr" else float(found["chance"].sel(metric=metric))
            assert abs(float(found["mean"].sel(metric=metric)) - centre) < 4 * float(
                found["sem"].sel(metric=metric)
            )
    assert found.attrs["protocol"] == "lab"
    assert [m for m in found.metric.values if "proxy" in m] == [
        "proxy Linear-2",
        "proxy Linear-6",
        "proxy final",
    ]


def test_a_reconstruction_finds_its_truth_by_name(encoder) -> None:
    truths = pictures(8, size=32)
    made = blurred(truths).isel(stimulus=[5, 2, 7])
    straight = nd.metrics.evaluate(made, truths, protocol="lab", encoder=encoder)
    turned = nd.metrics.evaluate(made, truths[::-1], protocol="lab", encoder=encoder)
    xr.testing.assert_equal(straight, turned)
    assert straight["sample"].values.tolist() == ["p5", "p2", "p7"]
    sem = straight["value"].std("sample", ddof=1) / np.sqrt(3)
    xr.testing.assert_allclose(straight["sem"], sem)


# ------------------------------------------------------------------------------------------ tables
def compared(before, after):
    coords = {
        "metric": ["PixCorr", "Eff"],
        "better": ("metric", ["higher", "lower"]),
        "subject": list("abcde"),
    }
    stages = ((before, 1), (after, 2))
    made = (xr.DataArray(v, dims=("metric", "subject"), coords={**coords, "stage": k}) for v, k in stages)
    return nd.metrics.gains(*made, over="subject")


@quick
@given(arrays(np.float64, (2, 2, 5), elements=st.floats(0.1, 1)))
def test_gains_and_their_errors_are_those_of_paired_differences(both) -> None:
    before, after = both
    found = compared(before, after)
    change = 100 * (after - before) * np.array([[1], [-1]]) / before.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found["gain"], change.mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(found["gain_sem"], change.std(axis=1, ddof=1) / np.sqrt(5), atol=1e-9)
    np.testing.assert_allclose(found["after_sem"], after.std(axis=1, ddof=1) / np.sqrt(5), atol=1e-12)


def test_a_gain_is_clear_from_twice_its_error_on() -> None:
    start = np.array([[0.2, 0.3, 0.4, 0.5, 0.6], [0.5, 0.6, 0.7, 0.8, 0.9]])
    noise = np.array([0.01, -0.01, 0.02, -0.02, 0.0])
    found = compared(start, start + 0.1 + noise)
    assert found["clear"].values.tolist() == [1, -1]
    assert compared(start, start + noise)["clear"].values.tolist() == [0, 0]
    assert compared(start, start)["clear"].values.tolist() == [0, 0]


def test_a_pair_with_a_missing_value_counts_on_neither_side() -> None:
    before, after = np.random.default_rng(0).uniform(0.1, 1, (2, 2, 5))
    after[0, 1] = np.nan
    with pytest.warns(
        UserWarning, match="1 of 10 pairs of values lack one or both, in 'PixCorr': the subjects"
    ):
        both = compared(before, after)
    assert both["n"].values.tolist() == [4, 5]
    assert "n = 4 to 5 subjects" in nd.metrics.written(both)
    assert [line[-2:] for line in nd.metrics.written(both, form="csv").split()[1:]] == [",4", ",5"]
    found = both.sel(metric="PixCorr")
    kept = [0, 2, 3, 4]
    one, two = before[0, kept], after[0, kept]
    assert found["before"] == pytest.approx(one.mean())
    assert found["gain"] == pytest.approx(100 * (two - one).mean() / one.mean())
    assert found["gain_sem"] == pytest.approx(100 * (two - one).std(ddof=1) / 2 / one.mean())


def test_nothing_grows_by_a_share_of_nothing() -> None:
    after = np.array([[0.2, 0.3, 0.4, 0.5, 0.6], [0.0, 0.0, 0.0, 0.0, 0.0]])
    found = compared(np.zeros((2, 5)), after)
    assert np.isnan(found["gain"]).all()
    assert found["clear"].values.tolist() == [1, 0]
    assert "| no ratio (better) | no ratio |" in nd.metrics.written(found)
    figure = nd.plot.metric_table(found.expand_dims(system=["one, two"]))
    said = [t.get_text() for t in figure.axes[0].texts]
    assert said.count("no ratio") == 2
    assert "one,\ntwo" in said


def test_one_subject_has_no_error() -> None:
    coords = {"metric": ["PixCorr"], "better": ("metric", ["higher"]), "subject": ["a"]}
    one = xr.DataArray([[1.0]], dims=("metric", "subject"), coords=coords)
    with pytest.raises(ValueError, match="at least 2 values along 'subject', got 1"):
        nd.metrics.gains(one, one, over="subject")


def test_tables_say_the_same_in_every_form() -> None:
    start = np.array([[0.2, 0.3, 0.4, 0.5, 0.6], [0.5, 0.6, 0.7, 0.8, 0.9]])
    one = compared(start, start + 0.1)
    table = xr.concat(
        [one, one], dim=xr.Variable("system", ["first", "second_one"]), combine_attrs="override"
    )
    markdown, latex, text = (nd.metrics.written(table, form=f) for f in ("markdown", "latex", "csv"))
    assert "| first | before | 0.400 ± 0.071 | 0.700 ± 0.071 |" in markdown
    assert "|  | gain | +25.0 % (better) | -14.3 % (worse) |" in markdown
    assert "n = 5 subjects" in markdown
    assert r"\better{+25.0 \%}" in latex
    assert r"second\_one" in latex
    rows = text.splitlines()
    assert rows[0].startswith("system,metric,before,before_sem,after,after_sem,gain_percent")
    assert rows[1].startswith('"first","PixCorr",0.4,0.0707107,0.5,0.0707107,25,')
    assert len(rows) == 5
    with pytest.raises(ValueError, match="'word'.*'markdown', 'latex', 'csv'"):
        nd.metrics.written(table, form="word")


def test_what_cannot_be_compared_is_refused(encoder) -> None:
    truths = pictures(4, size=32)
    with pytest.raises(
        ValueError, match="1 of 4 reconstructions are of stimuli that truths do not have: 'p0'"
    ):
        nd.metrics.evaluate(truths, truths[1:], protocol="lab", encoder=encoder)
    with pytest.raises(
        ValueError, match="unknown protocol 'mine'; choose one of 'mindeye', 'brain-diffuser'"
    ):
        nd.metrics.evaluate(truths, truths, protocol="mine")
    with pytest.raises(ValueError, match="'mindeye' has no metric 'Alex'; it has 'PixCorr', 'SSIM', 'Alex"):
        nd.metrics.evaluate(truths, truths, metrics=["Alex"])
    with pytest.raises(ValueError, match="give encoder=vision.load"):
        nd.metrics.evaluate(truths, truths, protocol="lab")
    with pytest.raises(ValueError, match="at least 2 pictures, got 1"):
        nd.metrics.evaluate(truths[:1], truths, metrics=["PixCorr"])
    again = truths.isel(stimulus=[0, 1, 2, 3, 1]).rename(stimulus="sample").assign_coords(sample=range(5))
    again = again.assign_coords(stimulus=("sample", truths["stimulus"].values[[0, 1, 2, 3, 1]]))
    several = "of 1 of 4 stimuli there are several, first of 'p1' at positions 1, 4; average .*or leave these"
    with pytest.raises(ValueError, match=rf"'proxy final' tell .*{several}"):
        nd.metrics.evaluate(again, truths, protocol="lab", encoder=encoder)
    assert nd.metrics.evaluate(again, truths, protocol="lab", metrics=["SSIM"])["value"].size == 5
    with pytest.raises(ValueError, match="reconstructions must lie from 0 to 1, found 0.* to 1.9"):
        nd.metrics.evaluate(truths * 2, truths, metrics=["PixCorr"])
    with pytest.raises(ValueError, match="as they are, but reconstructions are"):
        nd.metrics.evaluate(pictures(4), truths, protocol="lab", metrics=["PixCorr"])


# ------------------------------------------------------------------------------------------ published networks
@pytest.mark.parametrize("metric", list(networks.NETWORKS))
def test_absent_weights_are_named_with_the_remedy(metric, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(networks, "hub_folder", lambda: tmp_path)
    monkeypatch.setattr(networks, "_cached_clip", lambda network: False)
    truths = pictures(2)
    with pytest.raises(FileNotFoundError, match=r"the metric .* needs .*leave the metric out") as found:
        nd.metrics.evaluate(truths, truths, metrics=["PixCorr", metric])
    assert metric in str(found.value)


@pytest.mark.parametrize(("metric", "depth"), [("Alex(2)", 5), ("Alex(5)", 12)])
def test_a_network_on_the_machine_gives_the_named_layer(metric, depth, tmp_path, monkeypatch) -> None:
    """AlexNet with random weights, put where torch keeps fetched ones: its second and fifth stage."""
    from neurodecode.vision._backends import torchvision

    torch.manual_seed(0)
    own = torchvision().models.alexnet(weights=None).eval()
    monkeypatch.setattr(networks, "hub_folder", lambda: tmp_path)
    torch.save(own.state_dict(), tmp_path / "alexnet-owt-7be5be79.pth")
    images = pictures(3, size=80).values.astype(np.float32)
    found = networks.features(networks.load(metric), images, size=64)
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(images).permute(0, 3, 1, 2),
        size=64,
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = own.features[:depth]((pixels - mean) / std).flatten(1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_swavs_file_is_read_as_its_authors_publish_it(tmp_path, monkeypatch) -> None:
    from neurodecode.vision._backends import torchvision

    torch.manual_seed(0)
    own = torchvision().models.resnet50(weights=None).eval()
    body = {f"module.{k}": v for k, v in own.state_dict().items() if not k.startswith("fc.")}
    torch.save({**body, "module.prototypes.weight": torch.zeros(2, 2)}, tmp_path / networks.SWAV_FILE)
    monkeypatch.setattr(networks, "hub_folder", lambda: tmp_path)
    images = pictures(2, size=64).values.astype(np.float32)
    found = networks.features(networks.load("SwAV"), images, size=64)
    mean, std = (torch.tensor(v)[:, None, None] for v in (networks.MEAN, networks.STD))
    own.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = own((torch.from_numpy(images).permute(0, 3, 1, 2) - mean) / std)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_of_another_network_are_refused(tmp_path, monkeypatch) -> None:
    """They were loaded as far as they went, and the rest of SwAV's network stayed random."""
    from neurodecode.vision._backends import torchvision

    monkeypatch.setattr(networks, "hub_folder", lambda: tmp_path)
    file = tmp_path / networks.SWAV_FILE
    whole = torchvision().models.resnet50(weights=None).state_dict()
    torch.save({f"backbone.{k}": v for k, v in whole.items()}, file)
    lacking = (
        r"265 of 318 weights are not there or of another shape, 320 are none of its own, first 'conv1.weight'"
    )
    with pytest.raises(ValueError, match=rf"{file.name} is no file of resnet50 \(swav\): {lacking}"):
        nd.metrics.evaluate(pictures(2), pictures(2), metrics=["PixCorr", "SwAV"])
    torch.save(whole, file)  # of a network that was trained to name objects
    with pytest.raises(
        ValueError, match=r"0 of 318 weights .* 2 are none of its own, first 'fc.weight', 'fc.bias'"
    ):
        nd.metrics.evaluate(pictures(2), pictures(2), metrics=["SwAV"])


def test_a_pickled_file_is_not_executed(tmp_path, monkeypatch) -> None:
    import pickle

    class Hostile:
        def __reduce__(self):
            return (print, ("executed",))

    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(pickle.dumps(Hostile()))
    monkeypatch.setattr(networks, "hub_folder", lambda: tmp_path)
    with pytest.raises(
        ValueError, match="alexnet.* is damaged or holds more than weights, and nothing in it was executed"
    ):
        nd.metrics.evaluate(pictures(2), pictures(2), metrics=["Alex(2)"])
