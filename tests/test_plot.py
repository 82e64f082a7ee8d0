"""Figures: what is drawn is what was given. References: the arrays themselves, and trigonometry for the mesh."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import QuadMesh, TriMesh
from matplotlib.colors import to_hex

import neurodecode as nd
import neurodecode.plot as nd_plot
from neurodecode.plot import mesh as meshes
from neurodecode.plot.look import layer_colours
from neurodecode.plot.names import place
from neurodecode.plot.surface import scale_of

LAYERS = ["c", "structure", "z"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def grouped(rng, dims, coords, *, n=4, chance=0.1, score="top1"):
    """As neurodecode.inference.group returns it."""
    shape = tuple(len(coords[d]) for d in dims)
    values = rng.uniform(0.2, 0.6, (*shape, n))
    return xr.Dataset(
        {
            "mean": (dims, values.mean(-1)),
            "sem": (dims, values.std(-1, ddof=1) / np.sqrt(n)),
            "n": (dims, np.full(shape, n)),
            "values": ((*dims, "subject"), values),
        },
        coords={**coords, "subject": np.arange(n) + 1},
        attrs={"score": score, "chance": chance, "units": ""},
    )


@pytest.fixture
def by_region(rng):
    return grouped(rng, ("region", "layer"), {"region": ["LVC+HVC", "LVC", "HVC"], "layer": LAYERS})


@pytest.fixture
def by_window(rng):
    return grouped(rng, ("window", "layer"), {"window": np.arange(-2, 12) * 0.025, "layer": LAYERS}, n=10)


@pytest.fixture
def weights():
    """Simulated: a bump at each occipital pole, on the 400 vertices nearest to it."""
    parts = []
    for side in meshes.SIDES:
        xyz = meshes.hemisphere(side).inflated
        distance = np.linalg.norm(xyz - xyz[np.argmin(xyz[:, 1])], axis=1)
        vertex = np.argsort(distance)[:400]
        parts.append((np.full(400, side), vertex, np.exp(-distance[vertex] / 20)))
    hemi, vertex, values = (np.concatenate(x) for x in zip(*parts, strict=True))
    coords = {"voxel": np.arange(800), "hemi": ("voxel", hemi), "vertex": ("voxel", vertex)}
    return xr.DataArray(values, dims="voxel", coords=coords, name="weight", attrs={"units": "scaled 0-1"})


@pytest.fixture
def two_regions(weights):
    near = weights.values > np.median(weights.values)
    return xr.DataArray(
        np.stack([near, ~near]),
        dims=("region", "voxel"),
        coords={"region": ["V1", "LO"], "voxel": weights.voxel},
    )


def words(owner):
    return " ".join(
        t.get_text().replace("\n", " ").replace("\u00a0", " ") for t in owner.findobj(matplotlib.text.Text)
    )


def dashed_levels(ax):
    return [ln.get_ydata()[0] for ln in ax.lines if ln.get_label().startswith("chance")]


# ---------------------------------------------------------------------------------------------- import
def test_importing_the_module_loads_no_drawing_library():
    heavy = ("matplotlib", "nilearn", "mne", "cortex")
    code = f"import neurodecode.plot, sys; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


# ---------------------------------------------------------------------------------------------- regions
def test_regions_draws_the_given_means_dots_and_errors(by_region):
    ax = nd_plot.regions(by_region)
    bars = [c for c in ax.containers if isinstance(c, matplotlib.container.BarContainer)]
    assert [b.get_label() for b in bars] == by_region.region.values.tolist()
    for bar, name in zip(bars, by_region.region.values, strict=True):
        np.testing.assert_allclose([p.get_height() for p in bar], by_region["mean"].sel(region=name))
    dots = [c for c in ax.collections if isinstance(c, matplotlib.collections.PathCollection)]
    drawn = np.concatenate([np.asarray(d.get_offsets())[:, 1] for d in dots])
    np.testing.assert_allclose(
        drawn, by_region["values"].transpose("region", "layer", "subject").values.ravel()
    )
    errors = [c for c in ax.containers if isinstance(c, matplotlib.container.ErrorbarContainer)]
    assert len(errors) == 3
    spans = np.concatenate([[s[1, 1] - s[0, 1] for s in e.lines[2][0].get_segments()] for e in errors])
    np.testing.assert_allclose(spans, 2 * by_region["sem"].values.ravel())


def test_dots_stand_over_their_own_bar(by_region):
    ax = nd_plot.regions(by_region)
    dots = [c for c in ax.collections if isinstance(c, matplotlib.collections.PathCollection)]
    bars = [c for c in ax.containers if isinstance(c, matplotlib.container.BarContainer)]
    for cloud, bar in zip(dots, bars, strict=True):
        x = np.asarray(cloud.get_offsets())[:, 0].reshape(3, 4)
        for row, patch in zip(x, bar, strict=True):
            assert patch.get_x() < row.min() < row.max() < patch.get_x() + patch.get_width()


def test_regions_says_chance_n_score_and_what_error_bars_are(by_region):
    ax = nd_plot.regions(by_region)
    assert dashed_levels(ax) == [0.1]
    assert ax.get_ylabel() == "Top-1 accuracy"
    assert [t.get_text() for t in ax.get_xticklabels()] == LAYERS
    assert "n = 4 subjects" in words(ax)
    assert "±1 SEM" in words(ax)


def test_without_chance_no_line_is_drawn(by_region):
    del by_region.attrs["chance"]
    assert dashed_levels(nd_plot.regions(by_region)) == []


def test_regions_with_a_chance_each_have_a_tick_over_every_bar(by_region):
    del by_region.attrs["chance"]
    level = xr.DataArray([0.1, 0.0, np.nan], dims="layer", coords={"layer": LAYERS[::-1]})
    by_region["chance"] = level.broadcast_like(by_region["mean"]).transpose("layer", "region")
    ax = nd_plot.regions(by_region)
    assert dashed_levels(ax) == []
    (ticks,) = [c for c in ax.collections if c.get_label() == "chance (per bar)"]
    drawn = {tuple(np.round([*part[:, 0], *part[:, 1]], 6)) for part in ticks.get_segments()}
    bars = [c for c in ax.containers if isinstance(c, matplotlib.container.BarContainer)]
    expected = set()
    for one in bars:
        for bar, layer in zip(one, LAYERS, strict=True):
            y, x = float(level.sel(layer=layer)), bar.get_x()
            if np.isfinite(y):
                expected.add(tuple(np.round([x, x + bar.get_width(), y, y], 6)))
    assert drawn == expected
    assert len(drawn) == 6
    assert words(ax).count("chance (per bar)") == 1
    assert ax.get_ylim()[0] < 0  # a tick at 0 does not hide behind the axis


def test_one_chance_for_all_is_one_line_also_where_cells_have_it(by_region, by_window):
    for data, draw in ((by_region, nd_plot.regions), (by_window, nd_plot.time_course)):
        data["chance"] = xr.full_like(data["mean"], 0.1)
        ax = draw(data)
        assert dashed_levels(ax) == [0.1]
        assert "per" not in " ".join(t.get_text() for t in ax.get_legend().get_texts())


@pytest.mark.parametrize("level", [None, np.nan])
def test_an_unknown_chance_is_not_drawn(by_region, by_window, level):
    for data, draw in ((by_region, nd_plot.regions), (by_window, nd_plot.time_course)):
        data.attrs["chance"] = level
        data["chance"] = xr.full_like(data["mean"], np.nan)
        ax = draw(data)
        assert "chance" not in " ".join(t.get_text() for t in ax.get_legend().get_texts())


def test_ceiling_and_marks_are_matched_by_label_not_by_order(by_region):
    ceiling = by_region["mean"] + 0.3
    marks = by_region["mean"] == by_region["mean"].max()
    ax = nd_plot.regions(by_region, ceiling=ceiling.isel(region=[2, 0, 1]), marks=marks.isel(layer=[1, 2, 0]))
    ticks = next(c for c in ax.collections if c.get_label() == "noise ceiling")
    np.testing.assert_allclose([s[0, 1] for s in ticks.get_segments()], ceiling.values.ravel())
    stars = [t for t in ax.texts if t.get_text() == "*"]
    assert len(stars) == 1
    region, layer = np.unravel_index(np.argmax(by_region["mean"].values), (3, 3))
    bars = [c for c in ax.containers if isinstance(c, matplotlib.container.BarContainer)]
    patch = bars[region][layer]
    assert stars[0].xy[0] == pytest.approx(patch.get_x() + patch.get_width() / 2)
    assert stars[0].xy[1] >= patch.get_height()


def test_regions_refuses_other_things_and_names_what_it_needs(by_region, by_window):
    with pytest.raises(ValueError, match=r"'region', 'layer'.*'window'"):
        nd_plot.regions(by_window)
    with pytest.raises(TypeError, match="inference.group"):
        nd_plot.regions(by_region["mean"])
    with pytest.raises(ValueError, match="lacks the variable.*'sem'"):
        nd_plot.regions(by_region.drop_vars("sem"))
    with pytest.raises(ValueError, match="ceiling lacks 1 of the 3 layer labels, first 'z'"):
        nd_plot.regions(by_region, ceiling=by_region["mean"].sel(layer=["c", "structure"]))


def test_what_is_drawn_beside_the_bars_must_be_of_them(by_region, profile, by_window):
    with pytest.raises(
        ValueError,
        match=r"ceiling must be \(region, layer\) but has \('subject', 'region', 'layer'\); average the",
    ):
        nd_plot.regions(by_region, ceiling=by_region["mean"].expand_dims(subject=2))
    p = xr.DataArray([0.4, 0.03], dims="layer", coords={"layer": LAYERS[:2]})
    with pytest.raises(
        ValueError, match="contrast lacks 1 of the 3 layer labels, first 'z'; compute both from the"
    ):
        nd_plot.profile(profile, contrast=p)
    significant = xr.zeros_like(by_window["mean"], dtype=bool).isel(layer=[0, 1])
    with pytest.raises(ValueError, match="clusters lack 1 of 3 layers, first 'z'; compute both of one score"):
        nd_plot.time_course(by_window, clusters=xr.Dataset({"significant": significant}))


def test_marks_of_a_test_say_which_test(by_region):
    marks = by_region["mean"] > 0.3
    assert "above chance" not in words(nd_plot.regions(by_region, marks=marks))
    marks.attrs = {"test": "one-sided t-test over 4 subjects, Benjamini-Hochberg", "alpha": 0.05}
    said = words(nd_plot.regions(by_region, marks=marks))
    assert "* above chance (p ≤ .05), one-sided t-test over 4 subjects, Benjamini-Hochberg" in said


@pytest.mark.parametrize(
    ("score", "units", "label"),
    [
        ("profile", "Pearson r", "Profile correlation (r)"),
        ("r2", "proportion", "Explained variance (R²)"),
        ("top1", "proportion", "Top-1 accuracy (proportion)"),
    ],
)
def test_units_are_said_once(by_region, score, units, label):
    by_region.attrs |= {"score": score, "units": units}
    assert nd_plot.regions(by_region).get_ylabel() == label


def test_layers_keep_their_colours_whatever_else_is_drawn():
    from neurodecode.plot.look import layer_colours

    c, structure, z = nd_plot.LAYER_COLOURS[:3]
    assert layer_colours(["z", "c", "structure"]) == [z, c, structure]
    assert layer_colours(["c (meaning)", "z (image latent)"]) == [c, z]
    shades = layer_colours(["structure-1", "structure-2", "structure-3"])
    lightness = [np.dot(matplotlib.colors.to_rgb(shade), [0.299, 0.587, 0.114]) for shade in shades]
    assert sorted(lightness, reverse=True) == lightness
    hues = [matplotlib.colors.rgb_to_hsv(matplotlib.colors.to_rgb(shade))[0] for shade in shades]
    assert np.ptp(hues) < 0.05
    others = layer_colours(["conv1", "c", "conv2"])
    assert others[1] == c
    assert len(set(others)) == 3
    assert layer_colours(list("abdefghi")) == list(nd_plot.LAYER_COLOURS)


def test_spelled_layers_are_the_same_data(by_region):
    spelled = nd_plot.spell_layers(by_region)
    assert spelled.layer.values.tolist() == ["c (meaning)", "structure", "z (image latent)"]
    np.testing.assert_array_equal(spelled["values"], by_region["values"])
    assert by_region.layer.values.tolist() == LAYERS
    assert spelled.attrs == by_region.attrs


@pytest.mark.parametrize("width", [nd_plot.COLUMN, nd_plot.PAGE])
def test_nothing_overlaps_or_is_cut_off(by_region, width):
    spelled = nd_plot.spell_layers(by_region)
    with nd_plot.style():
        figure, ax = plt.subplots(figsize=(width, 3.2))
        nd_plot.regions(spelled, ax=ax)
        title = figure.suptitle("Held-out accuracy of region sets (simulated)", x=0.01, ha="left")
        figure.canvas.draw()
    parts = [title, ax.get_legend(), ax.xaxis.label, ax.yaxis.label]
    parts += [t for t in ax.texts if t.get_label() == "note"] + [ax.xaxis.get_ticklabels()[0]]
    boxes = [p.get_window_extent() for p in parts if getattr(p, "get_text", lambda: "x")()]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_given_axes_are_used_and_take_the_style(by_region):
    _, (left, right) = plt.subplots(1, 2)
    assert nd_plot.regions(by_region, ax=right) is right
    assert not left.has_data()
    assert not right.spines["top"].get_visible()
    assert plt.rcParams["axes.spines.top"]  # the user's own settings are as before


# ---------------------------------------------------------------------------------------------- profile
@pytest.fixture
def profile(rng):
    mean = rng.uniform(0.2, 0.6, (2, 3))
    dims = ("region", "layer")
    return xr.Dataset(
        {
            "mean": (dims, mean),
            "low": (dims, mean - rng.uniform(0.01, 0.02, (2, 3))),
            "high": (dims, mean + rng.uniform(0.02, 0.04, (2, 3))),
            "p": (dims, [[0.0005, 0.005, 0.02], [0.051, 0.5, np.nan]]),
            "n_voxels": (dims, np.array([[812] * 3, [455] * 3])),
        },
        coords={"region": ["LVC", "HVC"], "layer": LAYERS},
        attrs={"kind": "filter", "reduce": "mean_abs", "units": "scaled 0-1"},
    )


def test_profile_draws_means_intervals_and_stars(profile):
    ax = nd_plot.profile(profile)
    bars = [c for c in ax.containers if isinstance(c, matplotlib.container.BarContainer)]
    np.testing.assert_allclose([[p.get_height() for p in b] for b in bars], profile["mean"])
    errors = [c for c in ax.containers if isinstance(c, matplotlib.container.ErrorbarContainer)]
    ends = np.array([[s[:, 1] for s in e.lines[2][0].get_segments()] for e in errors])
    np.testing.assert_allclose(ends[..., 0], profile["low"])
    np.testing.assert_allclose(ends[..., 1], profile["high"])
    assert sorted(t.get_text() for t in ax.texts if set(t.get_text()) == {"*"}) == ["*", "**", "***"]
    assert ax.get_ylabel() == "Mean |weight| (scaled 0-1)"
    for said in ("95 % interval over voxels", "LVC (812 voxels)", "HVC (455 voxels)", "p < .05"):
        assert said in words(ax)
    smooth = nd_plot.profile(profile.assign_attrs(profile.attrs, noise="smooth"))
    assert "95 % interval by the map's smoothness" in words(smooth)
    assert "Student's t, uncorrected" in words(smooth)
    held = nd_plot.profile(profile.assign(p_corrected=profile["p"].assign_attrs(test="Holm")))
    assert "Holm" in words(held)
    assert "uncorrected" not in words(held)


def test_a_profile_of_several_subjects_shows_them(profile):
    spread = np.linspace(-0.03, 0.05, 4)
    profile["values"] = profile["mean"] + xr.DataArray(spread, dims="subject")
    ax = nd_plot.profile(profile)
    dots = [c for c in ax.collections if isinstance(c, matplotlib.collections.PathCollection)]
    drawn = np.concatenate([np.asarray(d.get_offsets())[:, 1] for d in dots])
    np.testing.assert_allclose(
        drawn, profile["values"].transpose("region", "layer", "subject").values.ravel()
    )
    assert "n = 4 subjects" in words(ax)
    stars = [t for t in ax.texts if set(t.get_text()) == {"*"}]
    assert [t.xy[1] for t in stars] == pytest.approx(
        profile["values"].isel(region=0).max("subject").values.tolist()
    )


@pytest.mark.parametrize(
    ("attrs", "label"),
    [
        ({"kind": "pattern", "reduce": "mean_abs", "units": "mean absolute pattern (Pearson r)"},
         "Mean |pattern| (Pearson r)"),
        ({"kind": "filter", "reduce": "l2", "units": "l2 norm of weight (feature per response unit)"},
         "L2 norm of weight (feature per response unit)"),
        ({"kind": "filter", "reduce": "mean_abs", "units": "mean absolute weight (a per b), scaled to 0-1"},
         "Mean |weight| (a per b, scaled to 0-1)"),
        ({"kind": "selection", "reduce": "mean_abs", "units": "share of features that selected the voxel"},
         "Share of features that selected the voxel"),
    ],
)  # fmt: skip
def test_weights_are_named_in_short_and_never_cut_off(profile, attrs, label):
    profile.attrs = attrs
    ax = nd_plot.profile(profile)
    ax.figure.canvas.draw()
    assert ax.get_ylabel().replace("\n", " ") == label
    box = ax.yaxis.label.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= ax.figure.bbox.y1


def test_contrast_is_a_bracket_over_both_bars_of_a_layer(profile):
    p = xr.DataArray([0.4, 0.0004, 0.03], dims="layer", coords={"layer": LAYERS[::-1]})
    profile["p"][:] = 1.0
    ax = nd_plot.profile(profile, contrast=p)
    brackets = [ln for ln in ax.lines if ln.get_label() == "_contrast"]
    bars = [c for c in ax.containers if isinstance(c, matplotlib.container.BarContainer)]
    for i, bracket in enumerate(brackets):
        middles = [b[i].get_x() + b[i].get_width() / 2 for b in bars]
        np.testing.assert_allclose(np.unique(bracket.get_xdata()), middles)
        assert min(bracket.get_ydata()) > float(profile["high"].isel(layer=i).max())
        assert max(bracket.get_ydata()) < ax.get_ylim()[1]
    assert [t.get_text() for t in ax.texts if t.get_text() in {"*", "**", "***", "n.s."}] == [
        "*",
        "***",
        "n.s.",
    ]
    with pytest.raises(ValueError, match="two regions"):
        nd_plot.profile(profile.isel(region=[0]), contrast=p)


# ---------------------------------------------------------------------------------------------- time
def test_time_course_draws_means_and_bands_in_ms(by_window):
    ax = nd_plot.time_course(by_window)
    lines = {ln.get_label(): ln for ln in ax.lines}
    bands = [c for c in ax.collections if isinstance(c, matplotlib.collections.PolyCollection)]
    assert len(bands) == 3
    for layer, colour, band in zip(LAYERS, nd_plot.LAYER_COLOURS, bands, strict=False):
        one = by_window.sel(layer=layer)
        np.testing.assert_allclose(lines[layer].get_xdata(), by_window.window * 1000)
        np.testing.assert_allclose(lines[layer].get_ydata(), one["mean"])
        assert to_hex(lines[layer].get_color()) == colour.lower()
        y = band.get_paths()[0].vertices[:, 1]
        assert y.min() == pytest.approx(float((one["mean"] - one["sem"]).min()))
        assert y.max() == pytest.approx(float((one["mean"] + one["sem"]).max()))
    assert dashed_levels(ax) == [0.1]
    assert "(ms)" in ax.get_xlabel()
    assert "n = 10 subjects" in words(ax)


def test_the_reach_of_windows_is_said_where_they_carry_it(by_window):
    assert "windows reach" not in words(nd_plot.time_course(by_window))
    ends = {
        "start": ("window", by_window.window.values - 0.05),
        "stop": ("window", by_window.window.values + 0.04),
    }
    said = words(nd_plot.time_course(by_window.assign_coords(ends)))
    assert "windows reach 50 ms before and 40 ms after their centre" in said


def test_time_course_with_a_chance_each_has_a_dashed_line_a_layer(by_window):
    del by_window.attrs["chance"]
    by_window["chance"] = by_window["mean"] * 0 + xr.DataArray(
        [0.1, 0.05, np.nan], dims="layer", coords={"layer": LAYERS}
    )
    ax = nd_plot.time_course(by_window)
    curves = {ln.get_label(): ln.get_color() for ln in ax.lines}
    for row, level in enumerate([0.1, 0.05]):
        (line,) = [ln for ln in ax.lines if ln.get_label() == f"_chance {row}"]
        np.testing.assert_allclose(line.get_ydata(), level)
        np.testing.assert_allclose(line.get_xdata(), by_window["window"] * 1000)
        assert line.get_color() == curves[LAYERS[row]]
        assert line.is_dashed()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [*LAYERS, "chance (per space)"]


def test_onset_line_stands_at_the_given_time(by_window):
    upright = [ln for ln in nd_plot.time_course(by_window, onset=0.05).lines if len(set(ln.get_xdata())) == 1]
    assert [ln.get_xdata()[0] for ln in upright] == [50.0]


def test_cluster_bars_cover_significant_windows_below_the_curves(by_window):
    significant = xr.zeros_like(by_window["mean"], dtype=bool)
    significant[{"window": slice(3, 6), "layer": 0}] = True
    significant[{"window": slice(9, 10), "layer": 0}] = True
    significant[{"window": slice(5, 14), "layer": 2}] = True
    # other order of layers: matched by label
    ax = nd_plot.time_course(
        by_window, clusters=xr.Dataset({"significant": significant.isel(layer=[2, 1, 0])})
    )
    drawn = [(ln.get_label(), *ln.get_xdata()) for ln in ax.lines if ln.get_label().startswith("_cluster")]
    time = by_window.window.values * 1000
    half = 12.5
    expected = [
        ("_cluster 0", time[3] - half, time[5] + half),
        ("_cluster 0", time[9] - half, time[9] + half),
        ("_cluster 2", time[5] - half, time[13] + half),
    ]
    for got, want in zip(drawn, expected, strict=True):
        assert got[0] == want[0]
        np.testing.assert_allclose(got[1:], want[1:])
    bars = [ln for ln in ax.lines if ln.get_label().startswith("_cluster")]
    assert to_hex(bars[-1].get_color()) == nd_plot.LAYER_COLOURS[2].lower()
    lowest = min(0.1, float((by_window["mean"] - by_window["sem"]).min()))
    assert all(ax.get_ylim()[0] < ln.get_ydata()[0] < lowest for ln in bars)


def test_planted_peaks_are_triangles_in_ms_above_the_curves(by_window):
    planted = xr.DataArray(
        [0.1, np.nan, 0.1], dims="layer", coords={"layer": LAYERS[::-1]}
    )  # matched by label
    ax = nd_plot.time_course(by_window, planted=planted)
    triangles = [ln for ln in ax.lines if ln.get_label() == "_planted"]
    assert [ln.get_xdata()[0] for ln in triangles] == [100.0, 100.0]
    colours = [to_hex(ln.get_color()) for ln in triangles]
    assert colours == [nd_plot.LAYER_COLOURS[0].lower(), nd_plot.LAYER_COLOURS[2].lower()]
    heights = [ln.get_ydata()[0] for ln in triangles]
    assert len(set(heights)) == 2
    assert float((by_window["mean"] + by_window["sem"]).max()) < min(heights)
    assert max(heights) < ax.get_ylim()[1]
    assert "planted (simulated)" in words(ax)
    with pytest.raises(ValueError, match="planted must be"):
        nd_plot.time_course(by_window, planted=planted.isel(layer=[0]))


@pytest.mark.parametrize(("n", "said"), [(4, "no cluster can be significant: with 4 subjects p ≥ .0625"),
                                         (10, "there are no clusters above chance")])  # fmt: skip
def test_without_significant_clusters_the_note_says_why(rng, n, said):
    coords = {"window": np.arange(5) * 0.025, "layer": LAYERS}
    summary = grouped(rng, ("window", "layer"), coords, n=n)
    none = xr.zeros_like(summary["mean"], dtype=bool)
    assert said in words(nd_plot.time_course(summary, clusters=xr.Dataset({"significant": none})))


def test_peaks_with_intervals_stand_over_their_curves(by_window):
    estimate = xr.DataArray(
        [[0.05, 0.1, np.nan], [0.0, 0.15, 0.2]], dims=("measure", "layer"),
        coords={"measure": ["onset", "peak"], "layer": LAYERS[::-1]},
    )  # fmt: skip
    found = xr.Dataset(
        {"estimate": estimate, "low": estimate - 0.02, "high": estimate + 0.5},
        attrs={"level": 0.995, "interval": "jackknife"},
    )
    planted = xr.DataArray([0.1, 0.12, np.nan], dims="layer", coords={"layer": LAYERS})
    ax = nd_plot.time_course(by_window, latencies=found, planted=planted)
    dots = [ln for ln in ax.lines if ln.get_label() == "_peak"]
    assert [round(float(ln.get_xdata()[0]), 6) for ln in dots] == [200.0, 150.0, 0.0]
    rows = [float(ln.get_ydata()[0]) for ln in dots]
    assert rows == sorted(rows, reverse=True)
    assert min(rows) > float((by_window["mean"] + by_window["sem"]).max())
    for line, dot in zip([ln for ln in ax.lines if ln.get_label().startswith("_latency")], dots, strict=True):
        left, right = line.get_xdata()
        assert round(float(left), 6) == round(float(dot.get_xdata()[0]) - 20, 6) or left == ax.get_xlim()[0]
        assert right <= ax.get_xlim()[1]
        assert line.get_color() == dot.get_color()
    triangles = [ln for ln in ax.lines if ln.get_label() == "_planted"]
    assert [float(ln.get_ydata()[0]) for ln in triangles] == rows[:2]
    assert "peak of the mean with 99.5 % interval (jackknife over subjects)" in words(ax)
    with pytest.raises(ValueError, match="latencies must be \\(layer\\)"):
        nd_plot.time_course(by_window, latencies=found.isel(layer=[0]))
    with pytest.raises(ValueError, match="inference.latency"):
        nd_plot.time_course(by_window, latencies=found.drop_vars("low"))


def test_the_test_is_named_with_its_n_and_its_correction(by_window):
    significant = xr.zeros_like(by_window["mean"], dtype=bool)
    significant[4:7] = True
    attrs = {"alpha": 0.01, "n": 9, "family": "all", "tail": 1}
    said = words(
        nd_plot.time_course(by_window, clusters=xr.Dataset({"significant": significant}, attrs=attrs))
    )
    assert (
        "bars below: clusters above chance (sign flips over 9 subjects, p ≤ .01, corrected over layers)"
        in said
    )
    attrs = {"alpha": 0.05, "n": 9, "tail": 0, "a": "layer c", "b": "layer z"}
    said = words(
        nd_plot.time_course(by_window, clusters=xr.Dataset({"significant": significant}, attrs=attrs))
    )
    assert (
        "clusters of a difference between layer c and layer z (sign flips over 9 subjects, p ≤ .05)" in said
    )


def test_clusters_of_time_by_time_are_outlined(rng):
    centres = np.arange(4) * 0.05
    matrix = xr.DataArray(
        rng.normal(size=(2, 4, 4)), dims=("layer", "train_window", "test_window"), attrs={"chance": 0.0},
        coords={"layer": ["c", "z"], "train_window": centres, "test_window": centres},
    )  # fmt: skip
    inside = xr.zeros_like(matrix, dtype=bool)
    inside[0, 1, 1:3] = True  # a rectangle of two cells
    clusters = xr.Dataset({"significant": inside.transpose(..., "layer")}, attrs={"n": 6, "over": "subject"})
    figure = nd_plot.generalisation_panels(matrix, clusters=clusters)
    first, second = figure.axes[:2]
    (lines,) = [c for c in first.collections if c.get_label() == "_clusters"]
    drawn = {tuple(sorted(map(tuple, np.round(s, 6).tolist()))) for s in lines.get_segments()}
    across = {((x, y), (x + 50.0, y)) for x in (25.0, 75.0) for y in (25.0, 75.0)}
    upwards = {((x, 25.0), (x, 75.0)) for x in (25.0, 125.0)}
    assert drawn == across | upwards
    (none,) = [c for c in second.collections if c.get_label() == "_clusters"]
    assert len(none.get_segments()) == 0
    assert "black outlines: clusters above chance (sign flips over 6 subjects" in words(figure)
    assert "outlines" not in words(nd_plot.generalisation_panels(matrix))
    with pytest.raises(ValueError, match="clusters have 3 labels of 'train_window' and the matrix 4"):
        nd_plot.generalisation(matrix[0], clusters=clusters.isel(layer=0, train_window=slice(3)))
    with pytest.raises(ValueError, match="select a layer first"):
        nd_plot.generalisation(matrix[0], clusters=clusters)


def test_brackets_join_the_two_bars_that_a_contrast_names(by_region):
    names = by_region.region.values.tolist()
    pair = xr.DataArray(
        [0.0005, 0.2, 0.03], dims="layer", coords={"layer": LAYERS},
        attrs={"pair": f"{names[2]} - {names[0]}", "test": "t-test over 4 subjects, Holm"},
    )  # fmt: skip
    ax = nd_plot.regions(
        by_region, contrast=pair, ceiling=(by_region["mean"] + 0.5).assign_attrs(source="of repeats")
    )
    bars = [c for c in ax.containers if isinstance(c, matplotlib.container.BarContainer)]
    brackets = [ln for ln in ax.lines if ln.get_label() == "_contrast"]
    for i, bracket in enumerate(brackets):
        ends = sorted({bars[j][i].get_x() + bars[j][i].get_width() / 2 for j in (0, 2)})
        np.testing.assert_allclose(sorted(set(bracket.get_xdata())), ends)
        assert min(bracket.get_ydata()) > float((by_region["mean"].sel(layer=LAYERS[i]) + 0.5).max())
    assert [t.get_text() for t in ax.texts if t.get_text() in ("***", "n.s.", "*")] == ["***", "n.s.", "*"]
    said = words(ax)
    assert f"brackets: {names[2]} against {names[0]}, t-test over 4 subjects, Holm" in said
    assert "noise ceiling: of repeats" in said
    with pytest.raises(ValueError, match="the contrast is of 'LVC', 'V9'"):
        nd_plot.regions(by_region, contrast=pair.assign_attrs(pair="LVC - V9"))
    with pytest.raises(ValueError, match="a contrast is"):
        nd_plot.regions(by_region, contrast=pair.drop_attrs())


def test_marks_that_are_numbers_are_refused(by_region):
    """A p of .3 would stand over its bar as a mark."""
    p = xr.full_like(by_region["mean"], 0.3)
    with pytest.raises(
        ValueError, match=rf"{p.size} of {p.size} are others, first 0.3; of p values give p <= 0.05"
    ):
        nd_plot.regions(by_region, marks=p)
    text = xr.where(p < 0.5, "**", "")
    assert "**" in [t.get_text() for t in nd_plot.regions(by_region, marks=text).texts]


def test_stars_stand_on_bars_unless_a_ceiling_is_in_the_way(by_region):
    marks = xr.ones_like(by_region["mean"], dtype=bool)
    far, near = (by_region["mean"] + by_region["sem"] + up for up in (0.6, 0.001))
    heights = {}
    for name, ceiling in (("none", None), ("far", far), ("near", near)):
        ax = nd_plot.regions(by_region, marks=marks, ceiling=ceiling)
        heights[name] = np.array([t.xy[1] for t in ax.texts if t.get_text() == "*"])
    np.testing.assert_allclose(heights["far"], heights["none"])
    assert (heights["near"] >= heights["none"]).all()


def test_clusters_of_other_windows_are_refused(by_window):
    significant = xr.zeros_like(by_window["mean"], dtype=bool)
    with pytest.raises(ValueError, match="13 windows and summary 14"):
        nd_plot.time_course(
            by_window, clusters=xr.Dataset({"significant": significant.isel(window=slice(1, None))})
        )
    with pytest.raises(ValueError, match="inference.clusters"):
        nd_plot.time_course(by_window, clusters=by_window)


def test_generalisation_shows_training_upwards_centred_at_chance(rng):
    values = rng.uniform(0, 0.5, (5, 8))
    matrix = xr.DataArray(
        values, dims=("train_window", "test_window"), attrs={"score": "auc", "chance": 0.3},
        coords={"train_window": np.arange(5) * 0.05, "test_window": np.arange(8) * 0.05},
    )  # fmt: skip
    ax = nd_plot.generalisation(matrix.transpose())
    image = next(c for c in ax.collections if isinstance(c, QuadMesh))
    np.testing.assert_allclose(np.asarray(image.get_array()), values)
    assert sum(image.get_clim()) / 2 == pytest.approx(0.3)
    assert image.get_clim()[1] - 0.3 == pytest.approx(np.abs(values - 0.3).max())
    np.testing.assert_allclose(ax.get_xlim(), (-25, 375))
    assert "Training" in ax.get_ylabel()
    assert "ROC" in words(ax.figure)
    diagonal = next(ln for ln in ax.lines if ln.get_label() == "diagonal")
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    with pytest.raises(ValueError, match="subject"):
        nd_plot.generalisation(matrix.expand_dims(subject=2))
    with pytest.raises(ValueError, match="train_window"):
        nd_plot.generalisation(matrix.rename(train_window="window"))


def test_generalisation_without_one_chance_is_centred_at_the_mean_of_its_own(rng):
    time, layers = np.arange(4) * 0.02, ["a", "b"]
    coords = {"layer": layers, "train_window": time, "test_window": time}
    values = xr.DataArray(
        rng.uniform(0.2, 0.6, (2, 4, 4)), coords=coords, dims=list(coords), attrs={"score": "pattern"}
    )
    level = xr.DataArray([0.1, 0.3], dims="layer", coords={"layer": layers}).broadcast_like(values)
    values = values.assign_coords(chance=level)
    ax = nd_plot.generalisation(values.sel(layer="b"))
    low, high = ax.collections[0].get_clim()
    assert (low + high) / 2 == pytest.approx(0.3)
    assert "white: mean chance (0.3)" in words(ax).replace("\n", " ")
    panels = nd_plot.generalisation_panels(values)
    limits = {ax.collections[0].get_clim() for ax in panels.axes[:2]}
    assert len(limits) == 1
    assert sum(limits.pop()) / 2 == pytest.approx(0.2)
    bare = nd_plot.generalisation(values.sel(layer="b").drop_vars("chance"))
    assert sum(bare.collections[0].get_clim()) == pytest.approx(0)


def test_panels_share_one_scale_and_one_bar(rng):
    windows = np.arange(6) * 0.05
    scores = xr.DataArray(
        rng.uniform(0.3, 0.6, (3, 6, 6)) + np.arange(3)[:, None, None] * 0.1,
        dims=("layer", "train_window", "test_window"),
        attrs={"score": "pairwise", "units": "proportion", "chance": 0.5},
        coords={"layer": LAYERS, "train_window": windows, "test_window": windows},
    )  # fmt: skip
    figure = nd_plot.generalisation_panels(scores)
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == LAYERS
    reach = float(np.abs(scores - 0.5).max())
    for ax, layer in zip(panels, LAYERS, strict=True):
        image = next(c for c in ax.collections if isinstance(c, QuadMesh))
        np.testing.assert_allclose(image.get_clim(), (0.5 - reach, 0.5 + reach))
        np.testing.assert_allclose(np.asarray(image.get_array()), scores.sel(layer=layer))
    assert len(figure.axes) == 4
    assert words(figure).count("chance") == 1
    with pytest.raises(ValueError, match="vmax must be above chance"):
        nd_plot.generalisation(scores[0], vmax=0.4)


# ---------------------------------------------------------------------------------------------- sensors
def sensors(names, xyz, kind, units):
    windows = np.arange(10) * 0.05
    values = np.outer(np.sin(windows * 9) + 0.1, xyz[:, 0] / np.abs(xyz[:, 0]).max())
    xyz_coords = {k: ("channel", xyz[:, i]) for i, k in enumerate("xyz")}
    coords = {"window": windows, "channel": names, "kind": ("channel", [kind] * len(names)), **xyz_coords}
    return xr.DataArray(values, dims=("window", "channel"), coords=coords, attrs={"units": units})


@pytest.fixture
def eeg():
    import mne

    at = mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"]
    return sensors(list(at), np.array(list(at.values())), "eeg", "µV")


def test_topographies_have_a_panel_a_time_and_one_scale(eeg):
    figure = nd_plot.topographies(eeg, times=[0.052, 0.2, 0.4])
    heads = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in heads] == ["50 ms", "200 ms", "400 ms"]
    reach = float(np.abs(eeg.sel(window=[0.05, 0.2, 0.4], method="nearest")).max())
    for ax in heads:
        np.testing.assert_allclose(ax.images[0].get_clim(), (-reach, reach))
    assert "µV" in words(figure)


@pytest.mark.parametrize("count", [1, 2, 6, 7, 8, 10])
def test_topographies_are_evenly_spread_and_fill_the_figure(eeg, count):
    figure = nd_plot.topographies(eeg.isel(window=slice(count)))
    heads = [ax for ax in figure.axes if ax.images]
    shown = [int(ax.get_title().split()[0]) for ax in heads]
    assert 1 <= len(shown) <= 6
    assert len(set(np.diff(shown))) <= 1
    assert count > 6 or len(shown) == count
    figure.canvas.draw()
    parts = [ax.get_position() for ax in figure.axes]
    left, right = min(p.x0 for p in parts), max(p.x1 for p in parts)
    assert figure.get_size_inches()[0] * left < 0.4
    assert figure.get_size_inches()[0] * (1 - right) < 0.9  # the colour bar's numbers and label


def test_unsigned_patterns_run_from_zero_and_vmax_is_kept(eeg):
    unsigned = abs(eeg).assign_attrs(
        kind="pattern", reduce="mean_abs", units="mean absolute pattern (Pearson r)"
    )
    figure = nd_plot.topographies(unsigned, times=[0.1, 0.2], vmax=3.0)
    for ax in figure.axes:
        if ax.images:
            np.testing.assert_allclose(ax.images[0].get_clim(), (0, 3))
    assert "Mean |pattern| (Pearson r)" in words(figure)
    with pytest.raises(ValueError, match="vmax must be positive"):
        nd_plot.topographies(unsigned, vmax=-1)


def test_the_rim_of_an_eeg_head_runs_through_fpz_oz_t7_t8(eeg):
    ax = nd_plot.topographies(eeg, times=[0.2]).axes[0]
    rim = max((ln for ln in ax.lines if len(ln.get_xdata()) > 50), key=lambda ln: np.ptp(ln.get_xdata()))
    radius = np.ptp(rim.get_xdata()) / 2
    dots = max(ax.lines, key=lambda ln: ln.get_marker() == ".")
    at = dict(zip(eeg.channel.values, np.column_stack(dots.get_data()), strict=True))
    for name in ("Fpz", "Oz", "T7", "T8"):
        assert np.hypot(*at[name]) == pytest.approx(radius, rel=0.12)
    assert np.hypot(*at["Cz"]) < 0.2 * radius


def test_topography_lies_on_the_right_side_of_the_head(eeg):
    ax = nd_plot.topographies(eeg, times=[0.2]).axes[0]
    image = ax.images[0]
    picture = np.ma.filled(np.ma.masked_invalid(image.get_array()), 0)
    half = picture.shape[1] // 2
    # values are the channels' x, and sin(1.8) is positive: right is positive
    assert picture[:, half:].mean() > 0 > picture[:, :half].mean()


def test_meg_is_laid_out_as_the_ctf_helmet_in_femtotesla():
    import mne

    layout = mne.channels.read_layout("CTF275")
    names = [f"{n}-2908" for n in layout.names[:271]]
    xyz = np.column_stack([layout.pos[:271, :2] - 0.5, np.zeros(271)]) * 0.1
    figure = nd_plot.topographies(sensors(names, xyz, "grad", "T") * 1e-14, times=[0.1])
    assert figure.axes[0].images
    given = sensors(names, xyz, "grad", "T") * 1e-14
    given.attrs["units"] = "T"
    assert "fT" in words(nd_plot.topographies(given, times=[0.1]))


def test_topographies_refuse_what_they_cannot_place(eeg):
    with pytest.raises(ValueError, match="layer"):
        nd_plot.topographies(eeg.expand_dims(layer=["c"]))
    with pytest.raises(ValueError, match="outside the windows.*seconds"):
        nd_plot.topographies(eeg, times=[200])
    with pytest.raises(ValueError, match="metres"):
        nd_plot.topographies(eeg.assign_coords({k: eeg[k] * 1000 for k in "xyz"}))
    with pytest.raises(
        ValueError, match="NaN or infinite values in the windows shown; see where they were computed"
    ):
        nd_plot.topographies(eeg.where(eeg.channel != "Oz"))
    with pytest.raises(ValueError, match=r"only 3 of 64 channels have a position; give xyz=... \(metres\)"):
        nd_plot.topographies(eeg.assign_coords(x=eeg["x"].where(np.arange(64) < 3)))
    mixed = eeg.assign_coords(kind=("channel", ["eeg"] * 32 + ["mag"] * 32))
    with pytest.raises(ValueError, match="2 kinds"):
        nd_plot.topographies(mixed)


# ---------------------------------------------------------------------------------------------- slices
@pytest.fixture
def volume(rng):
    shape, affine = (6, 5, 3), np.diag([-3.0, 3.5, 4.0, 1.0])
    affine[:3, 3] = (10, -20, 5)
    index = np.argwhere(rng.random(shape) > 0.4)
    xyz = index @ affine[:3, :3].T + affine[:3, 3]
    coords = {k: ("voxel", xyz[:, i]) for i, k in enumerate("xyz")}
    attrs = {"affine": affine.ravel().tolist(), "shape": list(shape), "units": "r"}
    return xr.DataArray(
        xyz[:, 0] + 100.0, dims="voxel", coords=coords, attrs=attrs
    )  # the value is x: left is small


def test_slices_stand_in_mm_with_left_on_the_left(volume):
    figure = nd_plot.slice_map(volume, label="pattern (r)")
    heads = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in heads] == ["z = 5 mm", "z = 9 mm", "z = 13 mm"]
    left, right, low, high = heads[0].images[0].get_extent()
    np.testing.assert_allclose(sorted([left, right]), (10 - 5 * 3 - 1.5, 10 + 1.5))
    np.testing.assert_allclose(sorted([low, high]), (-20 - 1.75, -20 + 4 * 3.5 + 1.75))
    picture = heads[0].images[0].get_array()
    here = volume.where(volume.z == 5, drop=True)
    assert (picture[..., 3] > 0).sum() == here.size
    column = np.rint((here.x.values - (10 - 15)) / 3).astype(int)
    row = np.rint((here.y.values + 20) / 3.5).astype(int)
    expected = scale_of(volume, None).rgb(here.values, np.full((here.size, 3), 0.8))
    np.testing.assert_allclose(picture[row, column, :3], expected)
    assert "pattern (r)" in words(figure)


def test_slices_refuse_arrays_without_a_grid(volume):
    bare = volume.copy()
    bare.attrs = {}
    with pytest.raises(ValueError, match="'affine', 'shape'.*fmri"):
        nd_plot.slice_map(bare)
    with pytest.raises(ValueError, match="off the grid"):
        nd_plot.slice_map(volume.assign_coords(x=volume.x + 1.5))
    with pytest.raises(ValueError, match="no voxel"):
        nd_plot.slice_map(volume, slices=[7])


def test_slices_of_a_map_of_names_have_a_colour_each(volume):
    names = ["c", "Linear-2", "z"]
    values = volume.copy(data=np.arange(volume.size) % 3.0).assign_attrs(levels=names)
    values[:2] = np.nan
    figure = nd_plot.slice_map(values)
    shown = np.concatenate([ax.images[0].get_array().reshape(-1, 4) for ax in figure.axes if ax.images])
    assert {to_hex(c) for c in shown[shown[:, 3] > 0]} == {c.lower() for c in layer_colours(names)}
    bar = figure.axes[-1]
    assert [t.get_text() for t in bar.get_yticklabels()] == names
    with pytest.raises(ValueError, match=r"a map of levels has no vmax, got 2; leave it out"):
        nd_plot.slice_map(values, vmax=2)
    with pytest.raises(ValueError, match="no finite value to draw"):
        nd_plot.slice_map(values.copy(data=np.full(values.size, np.nan)))
    # Where there is no way to draw names, they are not drawn as amounts.
    with pytest.raises(
        ValueError, match="numbers of 3 names .*, not amounts; draw them with cortex or slice_map"
    ):
        scale_of(values, None)


def tilted(volume, degrees):
    """The same voxels in a grid turned about x."""
    angle, shape = np.deg2rad(degrees), volume.attrs["shape"]
    affine = np.asarray(volume.attrs["affine"]).reshape(4, 4)
    index = np.stack([(volume[k].values - affine[i, 3]) / affine[i, i] for i, k in enumerate("xyz")], axis=1)
    c, s = np.cos(angle), np.sin(angle)
    turned = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]]) @ affine
    xyz = index @ turned[:3, :3].T + turned[:3, 3]
    attrs = volume.attrs | {"affine": turned.ravel().tolist(), "shape": shape}
    return volume.assign_coords({k: ("voxel", xyz[:, i]) for i, k in enumerate("xyz")}).assign_attrs(attrs)


def test_slices_of_a_tilted_grid_have_no_z_and_voxels_of_their_true_size(volume):
    figure = nd_plot.slice_map(tilted(volume, 20))
    heads = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in heads] == ["slice 0", "slice 1", "slice 2"]
    assert {ax.get_xlabel() for ax in heads} | {ax.get_ylabel() for ax in heads} == {"mm along the grid"}
    # The voxels are 3 by 3.5 mm however the grid is turned; the cosine of the angle has no part in it.
    np.testing.assert_allclose(heads[0].images[0].get_extent(), (0, 6 * 3, 0, 5 * 3.5))
    flat = nd_plot.slice_map(volume)
    np.testing.assert_array_equal(heads[1].images[0].get_array(), flat.axes[1].images[0].get_array())


def test_slices_of_a_hardly_tilted_grid_keep_their_mm(volume):
    figure = nd_plot.slice_map(tilted(volume, 0.3))
    assert [ax.get_title() for ax in figure.axes if ax.images] == ["z = 5 mm", "z = 9 mm", "z = 13 mm"]
    assert figure.axes[0].get_xlabel() == "x (mm)"


@pytest.mark.parametrize(
    ("name", "attrs", "label"),
    [
        (None, {"kind": "pattern", "reduce": "mean_abs", "units": "mean absolute pattern (Pearson r)"},
         "Mean |pattern| (Pearson r)"),
        ("weight_map", {"kind": "filter", "reduce": "l2", "units": "l2 norm of weight (a per b)"},
         "L2 norm of weight (a per b)"),
        ("t", {"units": "1"}, "t"),
        (None, {"units": "percent"}, "value (percent)"),
        ("weight_map", {"kind": "filter", "units": "r", "long_name": "my words"}, "my words (r)"),
    ],
)  # fmt: skip
def test_a_bare_map_says_what_it_is_once(volume, name, attrs, label):
    from neurodecode.plot.surface import label_of

    volume.attrs |= attrs
    assert label_of(volume.rename(name)) == label
    assert label in words(nd_plot.slice_map(volume.rename(name))).replace("\n", " ")


# ---------------------------------------------------------------------------------------------- cortex
def painted(figure):
    return {ax.get_label(): c for ax in figure.axes for c in ax.collections if isinstance(c, TriMesh)}


def test_cortex_paints_values_where_they_are_and_curvature_elsewhere(weights, two_regions):
    figure = nd_plot.cortex(weights, regions=two_regions, label="Fitting weights for c")
    pictures = painted(figure)
    assert sorted(pictures) == sorted(
        [f"flat {s}" for s in meshes.SIDES]
        + [f"inflated {s} {v}" for s in meshes.SIDES for v in ("lateral", "medial")]
    )
    for side in meshes.SIDES:
        rgb = pictures[f"flat {side}"].get_facecolor()[:, :3]
        coloured = np.flatnonzero(np.ptp(rgb, axis=1) > 1e-6)
        given = weights.vertex.values[(weights.hemi == side) & (weights > 1e-3)]
        np.testing.assert_array_equal(coloured, np.sort(given))
        strongest = weights.vertex.values[(weights.hemi == side) & (weights == weights.max())]
        np.testing.assert_allclose(rgb[strongest[0]], np.array([0x8B, 0x00, 0x20]) / 255, atol=1e-6)
    bar = next(ax for ax in figure.axes if ax.get_label() == "colour bar")
    assert bar.get_xlabel() == "Fitting weights for c"
    assert bar.get_xlim() == (0.0, float(weights.max()))
    names = [t.get_text() for ax in figure.axes if ax.get_label().startswith("flat") for t in ax.texts]
    assert sorted(names) == sorted(["V1", "LO", "left", "V1", "LO", "right"])


def test_cortex_refuses_regions_of_other_voxels_and_maps_of_nothing(weights, two_regions):
    fewer = two_regions.drop_vars("voxel").isel(voxel=slice(0, 799))
    with pytest.raises(
        ValueError, match="regions have 799 voxels and values 800; make them from the same array"
    ):
        nd_plot.cortex(weights, regions=fewer)
    with pytest.raises(
        ValueError, match="values has no finite value to draw; look at where the map was made"
    ):
        nd_plot.cortex(weights * np.nan)


def test_vmax_sets_the_scale_and_negative_maps_diverge(weights):
    assert scale_of(weights, 0.5)[1:3] == (0.0, 0.5)
    low, high = scale_of(0.6 - weights, None)[1:3]
    assert (low, high) == (-high, float(np.abs(0.6 - weights).max()))
    bar = next(ax for ax in nd_plot.cortex(weights, vmax=0.5).axes if ax.get_label() == "colour bar")
    assert bar.get_xlim() == (0.0, 0.5)
    assert bar.get_xlabel() == "weight (scaled 0-1)"
    with pytest.raises(ValueError, match="vmax must be positive"):
        nd_plot.cortex(weights, vmax=0)


def test_below_the_threshold_curvature_shows(weights):
    middle = float(weights.median())
    rgb = painted(nd_plot.cortex(weights, threshold=middle))["flat left"].get_facecolor()[:, :3]
    given = weights.vertex.values[(weights.hemi == "left") & (weights >= middle)]
    np.testing.assert_array_equal(np.flatnonzero(np.ptp(rgb, axis=1) > 1e-6), np.sort(given))
    scale = scale_of(weights, None)._replace(threshold=middle)
    grey, yellow, red = scale.rgb(np.array([middle * 0.99, middle, scale.high]), np.full((3, 3), 0.5))
    np.testing.assert_array_equal(grey, 0.5)
    np.testing.assert_allclose(yellow, scale.colours(0.0)[:3])
    np.testing.assert_allclose(red, scale.colours(1.0)[:3])
    with pytest.raises(ValueError, match="threshold must lie between 0 and the largest value 1, got 2"):
        nd_plot.cortex(weights, threshold=2)


def test_a_long_label_does_not_reach_the_brains(weights):
    figure = nd_plot.cortex(
        weights, label="Fitting weights for structure-1 (simulated, mean |weight|, scaled 0 to 1)"
    )
    figure.canvas.draw()
    bar = next(ax for ax in figure.axes if ax.get_label() == "colour bar")
    label = bar.xaxis.label.get_window_extent()
    brains = [ax.get_position().transformed(figure.transFigure) for ax in figure.axes if ax is not bar]
    assert not any(label.overlaps(brain) for brain in brains)
    assert label.y0 > 0


def test_three_maps_fit_on_one_page(weights):
    page = plt.figure(figsize=(nd_plot.PAGE, 8), layout="constrained")
    for part in page.subfigures(3, 1):
        assert nd_plot.cortex(weights, figure=part) is part
    assert len(page.findobj(TriMesh)) == 18


def test_the_picture_is_not_blank_and_files_have_one_stem(weights, tmp_path):
    png, pdf = nd_plot.save(nd_plot.cortex(weights), tmp_path / "new" / "map.png")
    picture = plt.imread(png)[..., :3]
    assert picture.shape[1] == pytest.approx(nd_plot.PAGE * 200, abs=2)
    yellow_red = (picture[..., 0] > picture[..., 2] + 0.2).mean()
    grey = ((np.ptp(picture, axis=2) < 0.02) & (picture[..., 0] < 0.9)).mean()
    assert yellow_red > 0.003
    assert grey > 0.25
    assert pdf.name == "map.pdf"
    assert pdf.read_bytes().startswith(b"%PDF")


def test_saved_pdf_keeps_text_as_text(by_region, tmp_path):
    _, pdf = nd_plot.save(nd_plot.regions(by_region).figure, tmp_path / "bars")
    assert b"/FontType0" in pdf.read_bytes() or b"/CIDFontType2" in pdf.read_bytes()  # TrueType, not outlines


def test_cortex_refuses_bad_maps(weights, two_regions):
    with pytest.raises(ValueError, match="'freeview'.*'matplotlib', 'pycortex'"):
        nd_plot.cortex(weights, engine="freeview")
    with pytest.raises(ValueError, match="'voxel'"):
        nd_plot.cortex(weights.rename(voxel="vertex_"))
    with pytest.raises(ValueError, match=r"layer.*isel"):
        nd_plot.cortex(weights.expand_dims(layer=["c"]))
    with pytest.raises(ValueError, match="no coordinate 'vertex'"):
        nd_plot.cortex(weights.drop_vars("vertex"))
    with pytest.raises(ValueError, match="1 of 800 'vertex' values.*10241"):
        nd_plot.cortex(weights.assign_coords(vertex=("voxel", np.r_[20000, weights.vertex.values[1:]])))
    with pytest.raises(ValueError, match="'left' or 'right'"):
        nd_plot.cortex(weights.assign_coords(hemi=("voxel", ["L"] * 800)))
    with pytest.raises(ValueError, match="more than once"):
        nd_plot.cortex(weights.isel(voxel=[0, 0, 1]))
    with pytest.raises(ValueError, match="boolean"):
        nd_plot.cortex(weights, regions=two_regions.astype(int))
    with pytest.raises(ValueError, match="'voxel' labels"):
        nd_plot.cortex(weights, regions=two_regions.isel(voxel=slice(10, None)))


# ---------------------------------------------------------------------------------------------- geometry
def test_an_outline_separates_inside_from_outside():
    """A cap on the sphere-like inflated mesh: one closed line, and every point between an inner and an outer vertex."""
    mesh = meshes.hemisphere("left")
    centre = mesh.inflated[np.argmin(mesh.inflated[:, 1])]
    inside = np.linalg.norm(mesh.inflated - centre, axis=1) < 30
    lines = meshes.outline(mesh.faces, inside)
    assert len(lines) == 1
    assert lines[0].closed
    assert (inside[lines[0].ends].sum(axis=1) == 1).all()
    # each mixed edge of the mesh is crossed exactly once
    edges = np.sort(
        np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1
    )
    mixed = np.unique(edges[inside[edges].sum(axis=1) == 1], axis=0)
    np.testing.assert_array_equal(np.unique(lines[0].ends, axis=0), mixed)


def test_outlines_stay_closed_at_the_flatmaps_cut():
    mesh = meshes.hemisphere("right")
    used = np.unique(mesh.flat_faces)
    leftmost = mesh.flat[used[np.argmin(mesh.flat[used, 0])]]
    inside = np.linalg.norm(mesh.flat - leftmost, axis=1) < 25
    assert all(line.closed for line in meshes.outline(mesh.flat_faces, inside))


@pytest.mark.parametrize("side", meshes.SIDES)
def test_views_show_the_occipital_pole_and_hide_the_frontal_one(side):
    from neurodecode.plot.surface import view_of

    xyz = meshes.hemisphere(side).inflated
    lateral, medial = view_of(side, "lateral"), view_of(side, "medial")
    assert lateral.facing[np.argmin(xyz[:, 1])] > 0.3
    assert lateral.facing[np.argmax(xyz[:, 1])] < 0
    outwards = -1 if side == "left" else 1
    assert (
        lateral.facing[np.argmax(outwards * xyz[:, 0])] > 0 > medial.facing[np.argmax(outwards * xyz[:, 0])]
    )
    # the far faces come first: what is drawn last is nearest
    depth = lateral.depth[lateral.faces].mean(axis=1)
    assert (np.diff(depth) >= 0).all()


def test_the_view_is_an_orthographic_projection():
    """Seen from behind, right is to the right and up is up."""
    view = meshes.look(np.eye(3), np.array([[0, 1, 2]]), (0.0, -1.0, 0.0))
    np.testing.assert_allclose(view.xy, np.eye(3)[:, [0, 2]], atol=1e-12)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_names_never_overlap(rng, n):
    sizes = rng.uniform([8, 5], [20, 7], (n, 2))
    at = place(rng.normal(100, 8, (n, 2)), sizes, limits=np.array([[0, 0], [200.0, 200.0]]))
    for i in range(n):
        for j in range(i):
            assert (np.abs(at[i] - at[j]) >= (sizes[i] + sizes[j]) / 2 - 0.05).any()


def test_names_with_room_stay_where_they_are():
    centres = np.array([[10.0, 10.0], [80.0, 80.0]])
    at = place(centres, np.full((2, 2), 6.0), limits=np.array([[0, 0], [100.0, 100.0]]))
    np.testing.assert_allclose(at, centres, atol=0.1)


# ---------------------------------------------------------------------------------------------- viewers
def test_without_pycortex_the_error_names_the_extra(weights, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cortex", None)
    with pytest.raises(ImportError, match=r"neurodecode-toolkit\[cortex\]"):
        nd_plot.cortex(weights, engine="pycortex")
    with pytest.raises(ImportError, match=r"neurodecode-toolkit\[cortex\]"):
        nd_plot.cortex_viewer(weights, tmp_path)


def test_the_html_page_stands_alone(weights, tmp_path):
    pytest.importorskip("plotly", reason="plotly is not installed")
    page = nd_plot.cortex_html(weights, tmp_path / "deep" / "map.html", label="weights").read_text()
    assert "<script src=" not in page
    assert "weights" in page


@pytest.mark.slow
def test_pycortex_paints_the_same_map(weights, two_regions, tmp_path, monkeypatch):
    if importlib.util.find_spec("cortex") is None:
        pytest.skip("pycortex is not installed (extra neurodecode-toolkit[cortex])")
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    figure = nd_plot.cortex(weights, regions=two_regions, engine="pycortex")
    assert not home.exists()  # nothing in the user's configuration
    colours = painted(nd_plot.cortex(weights))
    for side in meshes.SIDES:
        image = next(ax for ax in figure.axes if ax.get_label() == f"flat {side}").images[0]
        picture = np.asarray(image.get_array()).astype(float) / 255
        left, right, low, high = image.get_extent()
        flat = meshes.hemisphere(side).flat
        vertex = weights.vertex.values[weights.hemi.values == side][:200:10]
        column = ((flat[vertex, 0] - left) / (right - left) * picture.shape[1]).astype(int)
        row = ((high - flat[vertex, 1]) / (high - low) * picture.shape[0]).astype(int)
        expected = colours[f"flat {side}"].get_facecolor()[vertex, :3]
        assert np.median(np.abs(picture[row, column, :3] - expected).max(axis=1)) < 0.02
    import cortex

    assert str(tmp_path) not in str(cortex.db.filestore)  # the user's own store is back


@pytest.mark.slow
def test_the_viewer_is_a_whole_site(weights, tmp_path, monkeypatch):
    if importlib.util.find_spec("cortex") is None:
        pytest.skip("pycortex is not installed (extra neurodecode-toolkit[cortex])")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    index = nd_plot.cortex_viewer(weights, tmp_path / "site", label="simulated weights")
    assert index == tmp_path / "site" / "index.html"
    assert "simulated weights" in index.read_text()
    assert {p.suffix for p in index.parent.rglob("*")} >= {".ctm", ".json", ".png"}  # surfaces and data


@pytest.mark.slow
def test_pycortex_built_in_an_environment_that_is_gone_still_paints_and_views(tmp_path):
    """As pip installs it from its cache: defaults.cfg names folders of the environment that it was built in."""
    spec = importlib.util.find_spec("cortex")
    if spec is None:
        pytest.skip("pycortex is not installed (extra neurodecode-toolkit[cortex])")
    installed, copy = Path(spec.origin).parent, tmp_path / "packages" / "cortex"
    copy.mkdir(parents=True)
    for part in installed.iterdir():
        (copy / part.name).symlink_to(part)
    (copy / "defaults.cfg").unlink()
    named = (installed / "defaults.cfg").read_text()
    gone = re.sub("(?m)^(filestore|colormaps) = .*", r"\1 = /gone", named)
    assert gone.count("/gone") == 2
    (copy / "defaults.cfg").write_text(gone)
    code = """if True:
        import numpy as np, xarray as xr, neurodecode as nd
        where = {"hemi": ("voxel", ["left", "right"]), "vertex": ("voxel", [5, 7])}
        map = xr.DataArray(np.array([0.0, 1.0]), dims="voxel", coords=where)
        nd.plot.cortex(map, engine="pycortex")
        nd.plot.cortex_viewer(map, "site")
        import cortex
        print(cortex.__file__, cortex.db.filestore, len(cortex.db.subjects))
        """
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_CONFIG_HOME": str(tmp_path / "home")}
    path = os.pathsep.join([str(copy.parent), str(Path(nd.__file__).parents[1])])
    environment = {**os.environ, **home, "PYTHONPATH": path, "MPLBACKEND": "Agg"}
    run = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    file, store, subjects = done.stdout.split()[-3:]
    assert Path(file).parent == copy
    assert Path(store).is_dir()
    assert int(subjects) > 0
    assert "RdBu_r" in (tmp_path / "site" / "index.html").read_text()  # the viewer has its colours


def test_more_regions_than_colours_stay_apart():
    from neurodecode.plot.look import region_colours, region_hatches

    names = ["LVC", *(f"R{i}" for i in range(20)), "HVC"]
    looks = list(zip(region_colours(names), region_hatches(names), strict=True))
    assert len(set(looks)) == len(names)
    assert region_hatches(names[:7]) == [""] * 7


# ---------------------------------------------------------------------------------------------- cross-decoding
def crossed():
    values = np.array([[[0.5, 0.1, -0.05], [0.12, 0.55, np.nan], [0.0, 0.02, 0.6]]] * 2)
    return xr.DataArray(
        values,
        dims=("layer", "train", "test"),
        coords={"layer": ["c", "z"], "train": ["ann", "bob", "cy"], "test": ["ann", "bob", "cy"]},
        attrs={"score": "profile", "units": "Pearson r", "chance": 0.0, "by": "session"},
    )


def test_transfer_prints_every_value_and_frames_the_diagonal():
    matrix = crossed().isel(layer=0, drop=True)
    ax = nd_plot.transfer(matrix.transpose(), said=["mean of 4 subjects"])
    np.testing.assert_array_equal(ax.images[0].get_array(), matrix.values)
    printed = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in ax.texts[:9]}
    assert printed[0, 1] == "0.10"
    assert printed[0, 2] == "\u22120.05"
    assert printed[1, 2] == "–"
    low, high = ax.images[0].get_clim()
    assert (low, high) == (-0.6, 0.6)
    framed = [p.get_xy() for p in ax.patches]
    assert framed == [(-0.5, -0.5), (0.5, 0.5), (1.5, 1.5)]
    assert ax.get_xlabel() == "Tested on (session)"
    assert ax.get_ylabel() == "Trained on (session)"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["ann", "bob", "cy"]
    assert "mean of 4 subjects; white: chance (0); grey: no score" in words(ax.figure).replace("\n", " ")
    assert to_hex(ax.images[0].get_cmap().get_bad()) == "#d0d0d0"
    with pytest.raises(ValueError, match=r"also has \['layer'\]"):
        nd_plot.transfer(crossed())
    with pytest.raises(ValueError, match="no finite value"):
        nd_plot.transfer(matrix * np.nan)


def test_transfer_panels_share_their_colours():
    figure = nd_plot.transfer_panels(crossed() * xr.DataArray([1.0, 0.5], dims="layer"))
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title(loc="left") for ax in panels] == ["c", "z"]
    assert panels[0].images[0].get_clim() == panels[1].images[0].get_clim()
    assert "cross-validated" in words(figure)
    # Where cells differ in chance, their mean is white, and the words say so.
    levels = crossed().copy(data=np.full((2, 3, 3), 0.25)).assign_coords(layer=["c", "z"])
    levels[:, 0] = 0.5
    mixed = crossed().assign_coords(chance=levels)
    del mixed.attrs["chance"]
    assert "white: mean chance (0.333)" in words(nd_plot.transfer_panels(mixed)).replace("\n", " ")


def test_the_style_leaves_a_notebook_showing_figures():
    """The first figure of a notebook makes matplotlib interactive; the next one is shown only if it stays so."""
    before, size = matplotlib.is_interactive(), matplotlib.rcParams["font.size"]
    try:
        matplotlib.interactive(False)
        with nd_plot.style():
            matplotlib.interactive(True)
        assert matplotlib.is_interactive()
        with pytest.raises(KeyError), nd_plot.style():
            raise KeyError
        assert matplotlib.is_interactive()
        assert matplotlib.rcParams["font.size"] == size
    finally:
        matplotlib.interactive(before)
