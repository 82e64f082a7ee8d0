"""Clusters over time, time by time and cortex: against mne.stats called directly, and on planted effects."""

from __future__ import annotations

import itertools
import warnings

import mne
import numpy as np
import pytest
import xarray as xr
from mne.stats import (
    combine_adjacency,
    permutation_cluster_1samp_test,
    spatio_temporal_cluster_1samp_test,
)
from scipy import ndimage, sparse, stats

from neurodecode import inference, spatial, store

SIDE = 12  # of the square mesh
CHANCE = 0.2


def grid_faces(side: int = SIDE) -> np.ndarray:
    """Triangles of a square sheet of side x side vertices."""
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    return np.concatenate(
        [
            np.stack([corner, corner + 1, corner + side], axis=1),
            np.stack([corner + 1, corner + side + 1, corner + side], axis=1),
        ]
    )


def curves(seed: int = 0, *, n: int = 9, effect: float = 0.0) -> xr.DataArray:
    """(window, layer, subject): layer "c" lies ``effect`` from chance in windows 8 to 12."""
    rng = np.random.default_rng(seed)
    values = CHANCE + 0.05 * rng.normal(size=(24, 3, n))
    values[8:13, 0] += effect
    coords = {"window": np.arange(24) / 40, "layer": ["c", "s", "z"], "subject": [f"s{i}" for i in range(n)]}
    return xr.DataArray(
        values, coords, ("window", "layer", "subject"), attrs={"chance": CHANCE, "units": "share"}
    )


def sheet(seed: int = 0, *, n: int = 9, effect: float = 0.0, windows: int = 0) -> xr.DataArray:
    """(subject, [window,] voxel): a square of 4 x 4 vertices, in windows 2 to 4, lies ``effect`` from 0."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, max(windows, 1), SIDE, SIDE))
    values[:, 2 if windows else 0 : 5, 3:7, 5:9] += effect
    maps = xr.DataArray(
        values.reshape(n, max(windows, 1), -1),
        {
            "subject": [f"s{i}" for i in range(n)],
            "window": np.arange(max(windows, 1)) / 10,
            "voxel": [f"v{i}" for i in range(SIDE**2)],
            "vertex": ("voxel", np.arange(SIDE**2)),
        },
        ("subject", "window", "voxel"),
    )
    return maps if windows else maps.isel(window=0, drop=True)


def planted() -> np.ndarray:
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[3:7, 5:9] = True
    return inside.ravel()


def painted(shape: tuple[int, ...], masks: list[np.ndarray], p: np.ndarray) -> np.ndarray:
    """The p of every entry, as mne's clusters give it."""
    out = np.ones(shape)
    for mask, value in zip(masks, p, strict=True):
        out[mask] = value
    return out


def same_p(found: xr.DataArray, expected: np.ndarray, *, flips: int) -> None:
    """Equal, but for the flip of none: mne draws it twice at times, and rounding says whether it counts."""
    np.testing.assert_array_equal(found == 1, expected == 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1.001 / flips)


# ---------------------------------------------------------------- over time


@pytest.mark.filterwarnings("ignore:with 5 subjects")
@pytest.mark.parametrize("tail", [1, 0, -1])
def test_p_is_the_share_of_all_flips_in_a_plain_loop(tail):
    """Five subjects, every flip once: mne takes that of none twice, and that of all not at all."""
    rng = np.random.default_rng(tail + 5)
    values = rng.normal(size=(12, 5)) + np.where(np.arange(12) % 7 < 3, 1.5, 0)[:, None] * (tail or 1)
    one = xr.DataArray(values, {"window": np.arange(12) / 40}, ("window", "subject"), attrs={"chance": 0.0})
    cut = stats.t.ppf(0.95 if tail else 0.975, 4)

    def runs(flipped):
        t = stats.ttest_1samp(flipped, 0, axis=1).statistic
        found = []
        for side in (1, -1) if tail == 0 else (tail,):
            number, count = ndimage.label(side * t > cut)
            found += [(number == i, abs(t[number == i].sum())) for i in range(1, count + 1)]
        return found

    null = [
        max([m for _, m in runs(values * signs)], default=0.0)
        for signs in itertools.product([1, -1], repeat=5)
    ]
    expected = np.ones(12)
    for mask, mass in runs(values):
        expected[mask] = np.mean(np.array(null) >= mass - 1e-9)
    found = inference.clusters(one, tail=tail)
    np.testing.assert_allclose(found["p"], expected, rtol=1e-12)
    assert expected.min() == (1 / 32 if tail else 2 / 32)


@pytest.mark.parametrize(("tail", "cut"), [(0, 0.975), (1, 0.95), (-1, 0.05)])
def test_differences_equal_mnes_own_call(tail, cut):
    a, b = curves(1, effect=0.06), curves(2)
    found = inference.clusters(a, against=b, tail=tail, n_permutations=200, seed=4)
    for i in range(3):
        t_obs, masks, p, _ = permutation_cluster_1samp_test(
            np.ascontiguousarray((a - b).values[:, i].T), threshold=stats.t.ppf(cut, 8), tail=tail,
            n_permutations=200, rng=4, out_type="mask", verbose="error",
        )  # fmt: skip
        one = found.isel(layer=i)
        same_p(one["p"], painted((24,), masks, p), flips=200)
        np.testing.assert_allclose(one["statistic"], t_obs, rtol=1e-12)
        assert one["cluster"].values.max() == 0 or len(np.unique(one["cluster"].values)) == len(masks) + 1
    assert found.attrs["tail"] == tail
    assert "chance" not in found.attrs


def test_two_spaces_differ_where_planted_and_in_either_order():
    one = curves(3, effect=0.12)
    found = inference.clusters(one.sel(layer="c"), against=one.sel(layer="z"))
    assert found["p"].dims == ("window",)
    assert found["significant"].values[8:13].all()
    assert not found["significant"].values[[*range(7), *range(14, 24)]].any()
    assert (found.attrs["a"], found.attrs["b"]) == ("layer c", "layer z")
    back = inference.clusters(one.sel(layer="z"), against=one.sel(layer="c"))
    np.testing.assert_array_equal(found["p"], back["p"])
    np.testing.assert_allclose(found["statistic"], -back["statistic"])
    assert not inference.clusters(one.sel(layer="z"), against=one.sel(layer="c"), tail=1)["significant"].any()


def test_what_cannot_be_compared_is_refused():
    one = curves()
    with pytest.raises(ValueError, match="disagree on 9 of 9 'subject' labels"):
        inference.clusters(one, against=one.assign_coords(subject=[f"t{i}" for i in range(9)]))
    with pytest.raises(ValueError, match="'window' labels"):
        inference.clusters(one, against=one.isel(window=slice(1, None)))
    with pytest.raises(ValueError, match="units 'share' and b in 'r'"):
        inference.clusters(one, against=one.assign_attrs(units="r"))
    with pytest.raises(ValueError, match="a difference is tested against 0"):
        inference.clusters(one, against=one, chance=0.1)
    with pytest.raises(ValueError, match="unknown tail 2; choose one of 1, 0, -1"):
        inference.clusters(one, tail=2)
    with pytest.raises(ValueError, match=r"between 0 and \.5; got 2\.3"):
        inference.clusters(one, threshold=2.3)
    with pytest.raises(ValueError, match='a mapping with "start" and "step"; got \'tcfe\''):
        inference.clusters(one, threshold="tcfe")
    with pytest.raises(TypeError, match=r"threshold must be one number, got \[0.05\] \(list\)"):
        inference.clusters(one, threshold=[0.05])
    with pytest.raises(ValueError, match="steps upwards"):
        inference.clusters(one, threshold={"start": 0, "step": -0.2})
    with pytest.raises(ValueError, match="all subjects have the same scores: TFCE needs a finite t"):
        inference.clusters(xr.ones_like(one), threshold="tfce")
    with pytest.raises(ValueError, match="unknown family of clusters 'both'"):
        inference.clusters(one, family="both")


def test_one_family_of_all_layers_equals_mne_on_layers_without_neighbours():
    one = curves(5, effect=0.06)
    found = inference.clusters(one, family="all", n_permutations=300)
    _, masks, p, _ = spatio_temporal_cluster_1samp_test(
        np.ascontiguousarray(one.values.transpose(2, 0, 1) - CHANCE), threshold=stats.t.ppf(0.95, 8),
        tail=1, n_permutations=300, adjacency=sparse.coo_array((3, 3)), rng=0, out_type="mask", verbose="error",
    )  # fmt: skip
    same_p(found["p"].transpose("window", "layer"), painted((24, 3), masks, p), flips=300)
    alone = inference.clusters(one, n_permutations=300)
    same = (alone["cluster"] > 0).transpose(*found["p"].dims)
    np.testing.assert_array_equal(same, found["cluster"] > 0)
    assert (found["p"] >= alone["p"]).all()
    assert (found["p"] > alone["p"]).any()


def test_one_family_of_time_by_time():
    rng = np.random.default_rng(6)
    values = rng.normal(size=(7, 8, 2, 9))
    values[1:4, 2:5, 1] += 1.5
    square = xr.DataArray(
        values, dims=("train_window", "test_window", "layer", "subject"), attrs={"chance": 0.0}
    ).assign_coords(train_window=np.arange(7) / 10, test_window=np.arange(8) / 10)
    found = inference.clusters(square, family="all", n_permutations=200)
    _, masks, p, _ = permutation_cluster_1samp_test(
        np.ascontiguousarray(values.transpose(3, 0, 1, 2)), threshold=stats.t.ppf(0.95, 8), tail=1,
        n_permutations=200, rng=0, adjacency=combine_adjacency(7, 8, sparse.coo_array((2, 2))), out_type="mask",
        verbose="error",
    )  # fmt: skip
    shaped = found["p"].transpose("train_window", "test_window", "layer")
    same_p(shaped, painted((7, 8, 2), masks, p), flips=200)
    assert found["significant"].isel(layer=1).transpose("train_window", "test_window").values[1:4, 2:5].all()
    table = inference.cluster_table(found)
    best = table.isel(cluster=0)
    assert best["layer"].item() == 1
    assert (best["train_window_start"].item(), best["test_window_stop"].item()) == (0.1, 0.4)


@pytest.mark.parametrize("tail", [1, 0, -1])
def test_tfce_equals_mnes_own_call(tail):
    one = curves(7, effect=0.14 if tail >= 0 else -0.14)
    found = inference.clusters(one, tail=tail, threshold={"start": 0, "step": 0.1}, n_permutations=128)
    sign = -1 if tail == -1 else 1  # mne's own tail=-1 ranks TFCE the wrong way round
    t_obs, _, p, _ = permutation_cluster_1samp_test(
        np.ascontiguousarray(sign * (one.values[:, 0].T - CHANCE)), threshold={"start": 0, "step": 0.1},
        tail=abs(tail), n_permutations=128, rng=0, out_type="mask", verbose="error",
    )  # fmt: skip
    np.testing.assert_allclose(found["p"].isel(layer=0), p, rtol=0, atol=1.001 / 128)
    np.testing.assert_allclose(found["statistic"].isel(layer=0), sign * t_obs)
    assert found["significant"].isel(layer=0).values[9:12].all()
    assert (found["cluster"] == 0).all()
    with pytest.raises(ValueError, match="no clusters to list"):
        inference.cluster_table(found)


def test_a_threshold_may_be_any_real_number():
    one = curves()
    found = inference.clusters(one, threshold=np.float32(0.05), n_permutations=64)
    xr.testing.assert_equal(found, inference.clusters(one, threshold=0.05, n_permutations=64))
    assert found.attrs["threshold"] == pytest.approx(0.05)
    assert inference.cluster_table(found).sizes["cluster"] > 0


def test_two_sided_needs_one_subject_more():
    with pytest.warns(UserWarning, match=r"with 5 subjects the smallest possible p is 0\.0625"):
        found = inference.clusters(curves(n=5, effect=0.5), tail=0)
    assert found["p"].min() == 0.0625
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inference.clusters(curves(n=6, effect=0.5), tail=0)["p"].min() == 1 / 32


# ---------------------------------------------------------------- the table


def test_the_table_lists_what_the_masks_hold(tmp_path):
    one = curves(8, effect=0.1)
    found = inference.clusters(one, tail=0, threshold=0.1, n_permutations=256)
    store.save(found, tmp_path / "clusters.nc")
    table = inference.cluster_table(store.load(tmp_path / "clusters.nc"))
    expected = []
    for i, layer in enumerate("csz"):
        t_obs, masks, p, _ = permutation_cluster_1samp_test(
            np.ascontiguousarray(one.values[:, i].T - CHANCE), threshold=stats.t.ppf(0.95, 8),
            tail=0, n_permutations=256, rng=0, out_type="indices", verbose="error",
        )  # fmt: skip
        for (rows,), value in zip(masks, p, strict=True):
            expected.append(
                (value, -abs(t_obs[rows].sum()), t_obs[rows].sum(), layer, len(rows), rows.min(), rows.max())
            )
    assert table.sizes["cluster"] == len(expected) > 3
    assert (table["mass"] < 0).any()
    for row, (p, _, mass, layer, size, first, last) in enumerate(sorted(expected)):
        got = table.isel(cluster=row)
        assert (got["p"].item(), got["layer"].item(), got["size"].item()) == (p, layer, size)
        np.testing.assert_allclose(got["mass"], mass)
        np.testing.assert_allclose([got["start"], got["stop"]], one["window"].values[[first, last]])
    best = table.isel(cluster=0)
    assert best["layer"].item() == "c"
    assert best["significant"].item()
    at = found.sel(layer="c", window=best["window_peak"].item())
    assert at["statistic"].item() == best["peak"].item() == found["statistic"].sel(layer="c").max().item()
    assert table["start"].attrs["units"] == "s"
    with pytest.raises(ValueError, match="takes the Dataset of inference.clusters"):
        inference.cluster_table(inference.group(one))


def test_without_a_cluster_the_table_is_empty():
    flat = curves().copy(data=np.full((24, 3, 9), CHANCE))
    table = inference.cluster_table(inference.clusters(flat))
    assert table.sizes["cluster"] == 0
    assert {"p", "mass", "size", "start", "stop"} <= set(table.data_vars)


# ---------------------------------------------------------------- cortex


def test_neighbours_on_a_mesh_equal_mnes():
    one = sheet()
    found = inference.neighbours(one, faces=grid_faces())
    expected = mne.spatial_tris_adjacency(grid_faces(), verbose="error").toarray()
    np.fill_diagonal(expected, 0)
    np.testing.assert_array_equal(found.toarray(), expected)
    rng = np.random.default_rng(0)
    some = rng.permutation(SIDE**2)[:90]
    np.testing.assert_array_equal(
        inference.neighbours(one.isel(voxel=some), faces=grid_faces()).toarray(), expected[np.ix_(some, some)]
    )


def test_hemispheres_are_not_neighbours_and_fsaverage5_is_known():
    vertex = np.tile(np.arange(40), 2)
    one = xr.DataArray(
        np.zeros(80), dims="voxel",
        coords={"vertex": ("voxel", vertex), "hemi": ("voxel", ["left"] * 40 + ["right"] * 40)},
    )  # fmt: skip
    found = inference.neighbours(one, faces={"left": grid_faces(), "right": grid_faces()[:60]}).toarray()
    assert not found[:40, 40:].any()
    assert found[:40, :40].any()
    every = np.arange(10_242)
    brain = xr.DataArray(
        np.zeros(20_484), dims="voxel",
        coords={"vertex": ("voxel", np.tile(every, 2)), "hemi": ("voxel", np.repeat(["left", "right"], 10_242))},
    )  # fmt: skip
    counts = np.asarray(inference.neighbours(brain).sum(axis=1)).ravel()
    # A closed triangulated sphere has 3 V - 6 edges; twelve vertices of an icosahedron have 5 neighbours, others 6.
    assert counts.sum() / 2 == 2 * (3 * 10_242 - 6)
    assert (np.bincount(counts.astype(int))[5:] == [24, 20_460]).all()


@pytest.mark.parametrize(("share", "most"), [("face", 6), ("edge", 18), ("corner", 26)])
def test_neighbours_in_a_volume(share, most):
    affine = np.array([[-2.0, 0.3, 0, 10], [0.3, 2, 0, -5], [0, 0, 3, 1], [0, 0, 0, 1]])
    index = np.argwhere(np.ones((4, 5, 3), dtype=bool))
    xyz = index @ affine[:3, :3].T + affine[:3, 3]
    one = xr.DataArray(
        np.zeros(60), dims="voxel", attrs={"affine": affine.ravel().tolist(), "shape": [4, 5, 3]},
        coords={k: ("voxel", v) for k, v in zip("xyz", xyz.T, strict=True)},
    )  # fmt: skip
    found = inference.neighbours(one, share=share).toarray()
    apart = np.abs(index[:, None] - index[None])
    limit = {"face": 1, "edge": 2, "corner": 3}[share]
    expected = (apart.max(axis=2) == 1) & (apart.sum(axis=2) <= limit)
    np.testing.assert_array_equal(found.astype(bool), expected)
    assert found.sum(axis=1).max() == most
    with pytest.raises(ValueError, match="1 of 60 voxels do not lie on the grid"):
        inference.neighbours(one.assign_coords(x=one["x"] + (np.arange(60) == 7)))
    with pytest.raises(ValueError, match="2 voxels of the volume are there twice; keep one voxel each"):
        inference.neighbours(one.isel(voxel=[*range(60), 7, 8]))


def test_results_over_subjects_are_drawn_in_the_volume_of_their_maps():
    index = np.argwhere(np.ones((3, 3, 3), dtype=bool)).astype(float)
    grid = {"affine": np.eye(4).ravel().tolist(), "shape": [3, 3, 3]}
    maps = xr.DataArray(
        np.random.default_rng(0).normal(1, 1, size=(6, 27)), dims=("subject", "voxel"),
        coords={"subject": [*"abcdef"], "voxel": range(27), **{k: ("voxel", index[:, i]) for i, k in enumerate("xyz")}},
        attrs={"units": "Pearson r", "chance": 0.0, **grid},
    )  # fmt: skip
    found = inference.clusters(maps, threshold=0.05, adjacency=inference.neighbours(maps), n_permutations=50)
    with xr.set_options(keep_attrs=False):
        pair = inference.compare(maps, maps + maps.values[::-1])
    for one in (found["statistic"], found["p"], found["significant"], pair["difference"], pair["p"]):
        assert {k: v for k, v in one.attrs.items() if k != "units"} == grid
        assert spatial.to_volume(one).shape == (3, 3, 3)


def test_what_has_no_neighbours():
    channels = xr.DataArray(
        np.zeros(3), dims="channel", coords={"x": ("channel", [0.0, 1, 5]), "y": ("channel", [0.0] * 3),
                                             "z": ("channel", [0.0] * 3)},
    )  # fmt: skip
    np.testing.assert_array_equal(
        inference.neighbours(channels, radius=1.5).toarray(), [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    )
    with pytest.raises(ValueError, match="no two of 3 channels lie within 0.5"):
        inference.neighbours(channels, radius=0.5)
    with pytest.raises(ValueError, match="give radius"):
        inference.neighbours(channels)
    with pytest.raises(ValueError, match="144 'vertex' values lie outside 0 to 8"):
        inference.neighbours(sheet(), faces=grid_faces(3))
    with pytest.raises(ValueError, match="1 vertices are there twice"):
        inference.neighbours(sheet().isel(voxel=[0, 1, 1]), faces=grid_faces())
    with pytest.raises(ValueError, match="lie outside 0 to 10241"):
        inference.neighbours(sheet().assign_coords(
            vertex=("voxel", np.arange(144) + 10_200), hemi=("voxel", ["left"] * 144)))  # fmt: skip


def test_clusters_on_a_mesh_equal_mne_and_find_the_planted_square():
    one = sheet(1, effect=1.2)
    near = inference.neighbours(one, faces=grid_faces())
    found = inference.clusters(one, chance=0.0, adjacency=near, n_permutations=200)
    _, masks, p, _ = permutation_cluster_1samp_test(
        one.values, threshold=stats.t.ppf(0.95, 8), tail=1, n_permutations=200, rng=0,
        adjacency=mne.spatial_tris_adjacency(grid_faces(), verbose="error"), out_type="mask", verbose="error",
    )  # fmt: skip
    same_p(found["p"], painted((SIDE**2,), masks, p), flips=200)
    significant = found["significant"].values
    assert significant[planted()].mean() > 0.9
    assert significant[~planted()].mean() < 0.1
    table = inference.cluster_table(found)
    assert "start" not in table
    assert one["vertex"].sel(voxel=table["voxel_peak"].values[0]).item() in np.flatnonzero(planted())
    reordered = one.isel(voxel=np.random.default_rng(0).permutation(SIDE**2))
    again = inference.clusters(
        reordered,
        chance=0.0,
        adjacency=inference.neighbours(reordered, faces=grid_faces()),
        n_permutations=200,
    )
    np.testing.assert_array_equal(again["p"].sel(voxel=one["voxel"]), found["p"])


def test_clusters_of_cortex_and_windows_equal_mne():
    one, other = sheet(2, effect=1.2, windows=7), sheet(3, windows=7)
    near = inference.neighbours(one, faces=grid_faces())
    found = inference.clusters(one, against=other, adjacency=near, n_permutations=64)
    _, masks, p, _ = spatio_temporal_cluster_1samp_test(
        (one - other).values, threshold=stats.t.ppf(0.975, 8), tail=0, n_permutations=64, rng=0,
        adjacency=mne.spatial_tris_adjacency(grid_faces(), verbose="error"), out_type="mask", verbose="error",
    )  # fmt: skip
    same_p(found["p"], painted((7, SIDE**2), masks, p), flips=64)
    best = inference.cluster_table(found).isel(cluster=0)
    assert best["significant"].item()
    assert (best["start"].item(), best["stop"].item()) == (0.2, 0.4)


def test_layers_on_a_mesh_as_one_family():
    maps = xr.concat([sheet(4), sheet(5, effect=1.5)], dim=xr.Variable("layer", ["c", "z"]))
    near = inference.neighbours(maps, faces=grid_faces())
    found = inference.clusters(maps, chance=0.0, adjacency=near, family="all", n_permutations=64)
    assert not found["significant"].sel(layer="c").any()
    assert found["significant"].sel(layer="z").values[planted()].mean() > 0.8
    alone = inference.clusters(maps, chance=0.0, adjacency=near, n_permutations=64)
    assert (alone["cluster"] > 0).equals(found["cluster"] > 0)
    assert (alone["p"] <= found["p"]).all()


def test_an_adjacency_of_something_else_is_refused():
    one = sheet()
    near = inference.neighbours(one, faces=grid_faces())
    with pytest.raises(ValueError, match="the adjacency is 144 x 144, but scores have 100 'voxel'"):
        inference.clusters(one.isel(voxel=slice(100)), chance=0.0, adjacency=near)
    with pytest.raises(TypeError, match="must be a sparse matrix"):
        inference.clusters(one, chance=0.0, adjacency=near.toarray())
    with pytest.raises(ValueError, match="give the adjacency of another dimension"):
        inference.clusters(one, chance=0.0)
    with pytest.raises(ValueError, match="an adjacency is that of one dimension"):
        inference.clusters(curves(), adjacency=near)


def test_maps_of_subjects_on_their_common_vertices():
    rng = np.random.default_rng(0)
    maps = {}
    for name in "abc":
        some = np.sort(rng.permutation(SIDE**2)[:100])
        one = sheet().isel(subject=0, drop=True).isel(voxel=some)
        maps[name] = one.assign_coords(roi=("voxel", rng.choice(["V1", "V2"], 100)))
    found = inference.common(maps)
    shared = set.intersection(*(set(m["voxel"].values.tolist()) for m in maps.values()))
    assert set(found["voxel"].values.tolist()) == shared
    assert found.dims == ("subject", "voxel")
    for name, one in maps.items():
        np.testing.assert_array_equal(found.sel(subject=name), one.sel(voxel=found["voxel"]))
    assert "roi" not in found.coords
    assert "vertex" in found.coords
    moved = maps | {"b": maps["b"].assign_coords(vertex=maps["b"]["vertex"] + 1)}
    with pytest.raises(ValueError, match="'a' and 'b' disagree in the 'vertex'"):
        inference.common(moved)
    with pytest.raises(ValueError, match="no 'voxel' label in common"):
        inference.common({"a": maps["a"], "b": maps["b"].assign_coords(voxel=np.arange(100))})


@pytest.mark.parametrize("make", ["time", "mesh", "difference"])
def test_false_alarms_are_as_rare_as_promised(make):
    alarms = []
    for seed in range(60):
        if make == "time":
            found = inference.clusters(curves(seed), family="all", n_permutations=100)
        elif make == "difference":
            found = inference.clusters(
                curves(seed), against=curves(seed + 500), family="all", n_permutations=100
            )
        else:
            one = sheet(seed)
            near = inference.neighbours(one, faces=grid_faces())
            found = inference.clusters(one, chance=0.0, adjacency=near, n_permutations=100)
        alarms.append(bool(found["significant"].any()))
    assert np.mean(alarms) < 0.15  # nominal .05; .15 or more has probability .002
