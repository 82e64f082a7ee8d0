"""Fig. 3 and estimates against noise: what is drawn is what was given. Reference: the arrays themselves."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

import neurodecode.plot as nd_plot
from neurodecode.plot.look import layer_colours

LAYERS = ("c", "Linear-2", "Linear-4", "Linear-6", "z")
N = 60


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def scored():
    """Scores of single dimensions, the best quarter of each layer marked, and the means of both sets."""
    rng = np.random.default_rng(0)
    layer = np.repeat(LAYERS, N)
    r = rng.normal(0.2, 0.1, layer.size)
    keep = np.concatenate([part >= np.percentile(part, 75) for part in r.reshape(-1, N)])
    coords = {"layer": ("feature", layer), "unit": ("feature", np.tile(np.arange(N), len(LAYERS)))}
    score = xr.DataArray(r, dims="feature", coords=coords, attrs={"score": "profile", "units": "Pearson r"})
    mask = score.copy(data=keep).assign_attrs(keep=0.25)
    means = [
        [part.mean() for part in r.reshape(-1, N)],
        [part[part >= np.percentile(part, 75)].mean() for part in r.reshape(-1, N)],
    ]
    return (
        score,
        mask,
        xr.DataArray(means, dims=("set", "layer"), coords={"set": ["all", "kept"], "layer": list(LAYERS)}),
    )


def words(owner):
    return " ".join(
        t.get_text().replace("\n", " ").replace("\u00a0", " ") for t in owner.findobj(matplotlib.text.Text)
    )


def counts(ax, label):
    [bars] = [c for c in ax.containers if c[0].get_label() == label]
    return np.array([p.get_height() for p in bars]), bars


def dashed(ax):
    return {ln.get_label().split(" (")[0]: ln.get_xdata()[0] for ln in ax.lines}


def test_both_histograms_count_every_dimension_on_the_same_bins(scored):
    score, keep, means = (
        a.isel(feature=slice(0, N)) if "feature" in a.dims else a.sel(layer="c") for a in scored
    )
    ax = nd_plot.selection(score, keep, means=means)
    (every, bars), (kept, _) = counts(ax, "all"), counts(ax, "kept")
    assert every.sum() == N
    assert kept.sum() == N // 4
    assert (kept <= every).all()
    edges = np.array([b.get_x() for b in bars] + [bars[-1].get_x() + bars[-1].get_width()])
    np.testing.assert_array_equal(every, np.histogram(score, edges)[0])
    np.testing.assert_array_equal(kept, np.histogram(score.values[keep.values], edges)[0])
    assert dashed(ax) == {f"mean, {s}": pytest.approx(float(means.sel(set=s))) for s in ("all", "kept")}
    assert ax.get_xlabel() == "Profile correlation (r)"
    assert "kept: the best 25 % of each space in training folds" in words(ax)


def test_means_are_drawn_as_given_not_computed(scored):
    score, keep, _ = (a.isel(feature=slice(0, N)) if "feature" in a.dims else a for a in scored)
    given = xr.DataArray([0.1, 0.3], dims="set", coords={"set": ["all", "kept"]})
    assert dashed(nd_plot.selection(score, keep, means=given)) == {"mean, all": 0.1, "mean, kept": 0.3}
    assert not nd_plot.selection(score, keep).lines


def test_a_score_that_is_missing_is_not_drawn(scored):
    score, keep, _ = scored
    score = score.copy()
    score[:10] = np.nan
    assert counts(nd_plot.selection(score, keep), "all")[0].sum() == score.size - 10


def test_panels_have_a_layer_each_on_one_scale(scored):
    score, keep, means = scored
    # Matched by name, whatever the order of the means.
    figure = nd_plot.selection_panels(score, keep, means=means[:, ::-1])
    axes = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in axes] == list(LAYERS)
    assert len({ax.get_xlim() for ax in axes}) == 1
    for ax, layer in zip(axes, LAYERS, strict=True):
        assert counts(ax, "all")[0].sum() == N
        assert counts(ax, "kept")[0].sum() == N // 4
        assert dashed(ax)["mean, kept"] == pytest.approx(float(means.sel(set="kept", layer=layer)))
    assert "means (numbers)" in words(figure)


def test_subjects_are_pooled_and_counted(scored):
    score, keep, means = (
        xr.concat([a, a], dim=xr.Variable("subject", ["a", "b"])) if "feature" in a.dims else a
        for a in scored
    )
    figure = nd_plot.selection_panels(score, keep.transpose(..., "subject"), means=means)
    assert counts(figure.axes[0], "kept")[0].sum() == N // 2
    assert "2 subjects" in words(figure)


def test_nothing_of_the_panels_overlaps_or_is_cut_off(scored):
    score, keep, means = (nd_plot.spell_layers(a) for a in scored)
    with nd_plot.style():
        figure = nd_plot.selection_panels(score, keep, means=means)
        title = figure.suptitle("Held-out accuracy of single dimensions (simulated)", x=0.01, ha="left")
        figure.canvas.draw()
    axes = [ax for ax in figure.axes if ax.axison]
    parts = [
        title,
        figure.legends[0],
        *(t for ax in axes for t in (ax._left_title, ax.xaxis.label, *ax.texts)),
        figure._supxlabel,
    ]
    boxes = [p.get_window_extent() for p in parts if getattr(p, "get_text", lambda: "x")()]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_selection_refuses_what_does_not_match(scored):
    score, keep, means = scored
    with pytest.raises(ValueError, match="keep must be a boolean array of the dims and sizes of score"):
        nd_plot.selection(score, keep.astype(int))
    with pytest.raises(ValueError, match="keep must be a boolean array"):
        nd_plot.selection(score, keep[:-1])
    with pytest.raises(ValueError, match="differ in their 'unit' labels"):
        nd_plot.selection(score, keep.assign_coords(unit=("feature", keep.unit.values[::-1])))
    with pytest.raises(ValueError, match="no finite value"):
        nd_plot.selection(score * np.nan, keep)
    with pytest.raises(ValueError, match="has no coordinate 'layer'"):
        nd_plot.selection_panels(score.drop_vars("layer"), keep.drop_vars("layer"))
    with pytest.raises(ValueError, match="means lack 1 of the 5 layers, first 'Linear-2'"):
        nd_plot.selection_panels(score, keep, means=means.drop_sel(layer="Linear-2"))


# ------------------------------------------------------------------------------------------- intervals
@pytest.fixture
def estimates():
    mean = np.random.default_rng(1).uniform(0.2, 0.8, (3, 2))
    dims, coords = ("noise", "region"), {"noise": [0.5, 1.0, 2.0], "region": ["LVC", "HVC"]}
    data = {"mean": mean, "low": mean - 0.05, "high": mean + 0.1}
    return xr.Dataset({k: (dims, v) for k, v in data.items()}, coords, {"label": "Accuracy", "units": "r"})


def test_intervals_are_drawn_as_given(estimates):
    ax = nd_plot.intervals(estimates, x="noise", by="region", reference=0.5)
    lines = {c.get_label(): c for c in ax.containers}
    assert list(lines) == ["LVC", "HVC"]
    for name, drawn in lines.items():
        one = estimates.sel(region=name)
        np.testing.assert_allclose(drawn[0].get_ydata(), one["mean"])
        segments = np.array(drawn[2][0].get_segments())[:, :, 1]
        np.testing.assert_allclose(np.sort(segments, axis=1), np.stack([one["low"], one["high"]], axis=1))
    assert lines["LVC"][0].get_color() != lines["HVC"][0].get_color()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.5", "1", "2"]
    assert ax.get_ylabel() == "Accuracy (r)"
    assert [ln.get_ydata()[0] for ln in ax.lines if ln.get_label() == "_reference"] == [0.5]


@pytest.mark.parametrize("n", [1, 2, 8, 20])
def test_lines_stand_apart_and_nearer_to_their_own_place(n):
    data = {k: (("noise", "layer"), np.ones((3, n))) for k in ("mean", "low", "high")}
    many = xr.Dataset(data, {"noise": [1.0, 2.0, 3.0], "layer": [f"l{i}" for i in range(n)]})
    ax = nd_plot.intervals(many, x="noise", by="layer")
    x = np.array([c[0].get_xdata() for c in ax.containers])
    np.testing.assert_array_equal(np.rint(x), np.tile(np.arange(3.0), (n, 1)))
    assert np.unique(x[:, 0]).size == n
    np.testing.assert_allclose(x.mean(axis=0), range(3), atol=1e-12)


def test_intervals_refuse_other_things(estimates):
    with pytest.raises(TypeError, match="estimates must be a Dataset"):
        nd_plot.intervals(estimates["mean"], x="noise", by="region")
    with pytest.raises(ValueError, match="estimates lack the variable\\(s\\) 'low'"):
        nd_plot.intervals(estimates.drop_vars("low"), x="noise", by="region")
    with pytest.raises(
        ValueError, match=r"mean of estimates must be \('noise', 'region'\) but is \('noise',\)"
    ):
        nd_plot.intervals(estimates.sel(region="LVC"), x="noise", by="region")


def test_blocks_of_an_encoder_go_from_light_to_dark_in_one_family_of_colours():
    names = [f"Linear-{n}" for n in range(1, 13)]
    shades = layer_colours(names)
    light = [np.dot(matplotlib.colors.to_rgb(s), [0.299, 0.587, 0.114]) for s in shades]
    assert sorted(light, reverse=True) == light
    assert len(set(shades)) == 12
    assert layer_colours(["Linear-12", "c", "final", "z"]) == [
        shades[11],
        *(nd_plot.LAYER_COLOURS[i] for i in (0, 3, 2)),
    ]
    assert layer_colours(["Linear"]) == [to_hex(nd_plot.LAYER_COLOURS[1]).upper()]


def test_a_selected_layer_is_spelled_too():
    one = xr.DataArray([1.0], dims="voxel", coords={"layer": "c"})
    assert nd_plot.spell_layers(one).layer.item() == "c (meaning)"
    assert nd_plot.spell_layers(one.assign_coords(layer="Linear-2")).layer.item() == "Linear-2"
