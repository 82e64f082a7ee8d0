"""Region profiles of smooth maps: variances from variograms, and how often what is not there is found."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import linalg, stats
from scipy.spatial.distance import cdist

from neurodecode import methods, spatial
from neurodecode.solve import variogram
from neurodecode.solve.variogram import Variogram, degrees_of_freedom

GRID = (
    np.stack(np.meshgrid(np.arange(36.0), np.arange(20.0), [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    * 3.0
)
ROI = np.array(["V1", "V2", "V3", "MT", "VO", "LO"])[(GRID[:, 0] // 18).astype(int)]


def covariance(reach: float, nugget: float, places: np.ndarray = GRID) -> np.ndarray:
    return (1 - nugget) * np.exp(-cdist(places, places) / reach) + nugget * np.eye(len(places))


def fields(n: int, reach: float, nugget: float = 0.2, *, seed: int = 0) -> np.ndarray:
    """Simulated maps (voxel, n) with an exponential covariance."""
    white = np.random.default_rng(seed).normal(size=(len(GRID), n))
    return linalg.cholesky(covariance(reach, nugget), lower=True) @ white


def labelled(values: np.ndarray, *, places: bool = True) -> xr.DataArray:
    coords = {"layer": np.arange(len(values)), "voxel": np.arange(len(GRID)), "roi": ("voxel", ROI)}
    where = {c: ("voxel", GRID[:, i]) for i, c in enumerate("xyz")} if places else {}
    return xr.DataArray(values, dims=("layer", "voxel"), coords={**coords, **where})


def test_variances_of_means_equal_a_plain_sum_over_pairs():
    places = np.random.default_rng(0).normal(size=(90, 3)) * 10
    found = Variogram(places, np.random.default_rng(0))
    c = found.covariance(np.random.default_rng(1).normal(size=90).cumsum())
    a, b = np.arange(90) < 30, np.arange(90) >= 50
    full = c[found._binned(cdist(places, places)).reshape(90, 90)]
    assert (np.diagonal(full) == c[0]).all()
    assert found.shares(a, b) @ c == pytest.approx(full[np.ix_(a, b)].mean())
    assert found.shares(a, a) @ c == pytest.approx(full[np.ix_(a, a)].mean())
    everywhere = found.shares(a | ~a, a | ~a)
    assert degrees_of_freedom(c, everywhere) == pytest.approx(np.trace(full) ** 2 / (full**2).sum())


@pytest.mark.parametrize(("reach", "nugget"), [(6.0, 0.0), (6.0, 0.5), (12.0, 0.2)])
def test_the_planted_covariance_is_found(reach, nugget):
    found = Variogram(GRID, np.random.default_rng(0))
    c = np.mean([found.covariance(x) for x in fields(60, reach, nugget).T], axis=0)
    truth, inside = covariance(reach, nugget), ROI == "V1"
    w = inside / inside.sum() - 1 / len(GRID)
    whole = np.ones(len(GRID), dtype=bool)
    variance = (
        found.shares(inside, inside) - 2 * found.shares(inside, whole) + found.shares(whole, whole)
    ) @ c
    assert variance == pytest.approx(w @ truth @ w, rel=0.25)


def test_many_places_are_told_by_some_of_them():
    places = np.random.default_rng(0).uniform(size=(6000, 3)) * 50
    inside = places[:, 0] < 20
    one, other = (Variogram(places, np.random.default_rng(seed)) for seed in (1, 2))
    c = 0.9 ** np.arange(variogram.BINS + 2)
    assert one.shares(inside, ~inside) @ c == pytest.approx(other.shares(inside, ~inside) @ c, rel=0.02)
    assert not np.array_equal(one.shares(inside, ~inside), other.shares(inside, ~inside))


@pytest.mark.parametrize("reach", [0.01, 6.0, 12.0])
def test_smooth_maps_without_an_effect_are_significant_as_often_as_alpha_says(reach):
    n = 400
    data = labelled(fields(n, reach, seed=3).T)
    profile = spatial.region_profile(data, ["V1", "V3", "LO"])
    rates = (profile["p"] <= 0.05).mean("layer").values
    contrast = spatial.contrast(data, {"V1": "V1", "LO": "LO"}, pair=("V1", "LO"))
    limits = stats.binom.ppf([0.0005, 0.9995], n, 0.05) / n
    assert ((limits[0] <= rates) & (rates <= limits[1])).all()
    assert 0.03 <= rates.mean() <= 0.07
    assert limits[0] <= (contrast["p"] <= 0.05).mean() <= limits[1]
    held = ((profile["low"] <= 0) & (profile["high"] >= 0)).mean("layer").values
    assert (held > 0.91).all()
    assert (held < 0.98).all()


def test_exchanging_voxels_of_a_smooth_map_finds_too_much():
    data = labelled(fields(60, 6.0, seed=4).T)
    profile = spatial.region_profile(data, ["V1"], noise="white", n_permutations=99, n_bootstrap=99)
    assert (profile["p"] <= 0.05).mean() > 0.15
    assert ((profile["low"] <= 0) & (profile["high"] >= 0)).mean() < 0.8


def test_a_planted_effect_is_found_in_its_region_of_a_smooth_map():
    values = fields(20, 3.0, seed=5).T
    values[:, ROI == "V1"] += 2
    p = spatial.region_profile(labelled(values))["p"]
    assert (p.sel(region="V1") < 0.05).mean() > 0.9
    assert (p.sel(region=["V3", "LO"]) > 0.05).all()
    low = spatial.region_profile(labelled(-values))["p"]
    assert (low.sel(region="V1") > 0.9).all()  # one-sided


def test_p_knows_no_scale_no_offset_and_no_order_of_voxels():
    one = labelled(fields(5, 6.0, seed=6).T)
    order = np.random.default_rng(0).permutation(len(GRID))
    expected = spatial.region_profile(one)
    for same in (one * 3 + 7, one[:, order]):
        found = spatial.region_profile(same)
        np.testing.assert_allclose(found["p"], expected["p"].sel(region=found.region), rtol=0.05)
        assert (spatial.contrast(same, ["V1", "LO"], pair=("V1", "LO"))["p"] <= 1).all()


def test_twice_the_same_subject_is_surer_by_the_root_of_two():
    one = labelled(fields(3, 6.0, seed=7).T)
    alone, twice = (spatial.region_profile(maps, ["V1"]) for maps in (one, {"a": one, "b": one}))
    reach = [(found["high"] - found["mean"]).values for found in (alone, twice)]
    np.testing.assert_allclose(reach[0] / reach[1], np.sqrt(2), rtol=0.03)  # degrees of freedom double too
    assert twice["above"].dims == ("region", "layer", "subject")
    expected = one[:, ROI == "V1"].mean("voxel") - one.mean("voxel")
    np.testing.assert_allclose(alone["above"].values[0, :, 0], expected)


def test_what_cannot_vary_claims_nothing():
    flat = labelled(np.ones((1, len(GRID))))
    assert (spatial.region_profile(flat)["p"] == 1).all()
    assert (spatial.contrast(flat, pair=("V1", "LO"), regions=["V1", "LO"])["p"] == 1).all()
    whole = spatial.region_profile(labelled(fields(2, 6.0).T), {"all": [*np.unique(ROI)]})
    np.testing.assert_allclose(whole["p"], 1)


def test_smooth_is_the_default_where_there_are_positions_and_is_said():
    with_places, without = (labelled(fields(1, 6.0).T, places=p) for p in (True, False))
    settings = {"n_permutations": 9, "n_bootstrap": 9}
    assert spatial.region_profile(with_places, **settings).attrs["noise"] == "smooth"
    found = spatial.region_profile(without, **settings)
    assert found.attrs["noise"] == "white"
    text = methods.paragraph(spatial.region_profile(with_places))
    assert "variogram" in text
    assert "permutation" not in text
    assert "variogram" in methods.paragraph(spatial.contrast(with_places, ["V1", "LO"], pair=("V1", "LO")))
    assert "variogram" not in methods.paragraph(found)
    with pytest.raises(ValueError, match="needs the coordinates x, y, z .* 1 of 1 subjects lack: '1'"):
        spatial.region_profile(without, noise="smooth")
    with pytest.raises(ValueError, match="unknown noise 'pink'"):
        spatial.region_profile(without, noise="pink")
    at_one = with_places.assign_coords({c: ("voxel", np.full(len(GRID), 7.5)) for c in "xyz"})
    for call in (spatial.region_profile, lambda m: spatial.contrast(m, ["V1", "LO"], pair=("V1", "LO"))):
        with pytest.raises(ValueError, match=r"all 720 voxels lie at one x, y, z \(7.5, 7.5, 7.5\)"):
            call(at_one)
    # Pairs of voxels in one place, far from all others, have no nearest neighbour but each other.
    twins = with_places.assign_coords(
        {c: ("voxel", GRID[np.arange(len(GRID)) // 2 * 2, i]) for i, c in enumerate("xyz")}
    )
    assert np.isfinite(spatial.region_profile(twins)["p"]).all()
    where = with_places.assign_coords(x=with_places.x.where(with_places.voxel != 2))
    with pytest.raises(ValueError, match="1 of 720 voxels have no finite x, y, z"):
        spatial.region_profile(where)
