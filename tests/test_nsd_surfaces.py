"""NSD on the cortical surface: betas of both surfaces, and maps of the volume brought there, vertex by vertex."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode.datasets import nsd
from tests import trees

# The rule of the eleven regions once more, number by number.
REGIONS = ["", "V1", "V1", "V2", "V2", "V3", "V3", "hV4", "VO", "VO", "PHC", "PHC", "MST", "MT", "LO", "LO"]
REGIONS += ["V3ab", "V3ab", *["IPS"] * 6, "", ""]
SIZES = {"fsaverage": (60, 60), "nativesurface": (50, 45)}
DEPTHS = ("layerB1", "layerB2", "layerB3")


def _numbers(planted: trees.NSDSurfaces, space: str) -> tuple[np.ndarray, np.ndarray]:
    """Kastner2015 and prf-visualrois on a surface: fsaverage has its own Kastner2015, the other is brought over."""
    kastner, prf = planted.labels["Kastner2015"], planted.labels["prf-visualrois"]
    if space == "nativesurface":
        return kastner, prf
    own = prf[:50], prf[50:]
    moved = [part[planted.index[side] - 1] for part, side in zip(own, ("lh", "rh"), strict=True)]
    return planted.common["Kastner2015"], np.concatenate(moved)


# ---------------------------------------------------------------- betas


@pytest.mark.parametrize("space", ["fsaverage", "nativesurface"])
def test_planted_betas_come_back_in_their_vertices_and_regions(tmp_path, space, reading):
    planted = trees.nsd_surfaces(tmp_path, subject=3)
    found = nsd.surface(tmp_path, subject=3, space=space)
    assert found.dtype == np.float32
    assert (found.chunks is not None) == (reading == "dask")
    assert found.chunks is None or found.chunks[0] == (750, 750)
    kastner, prf = _numbers(planted, space)
    names = np.array(REGIONS)[np.where(prf > 0, prf, kastner)]
    there = np.flatnonzero(names != "")
    assert found.roi.values.tolist() == names[there].tolist()
    left = SIZES[space][0]
    assert found.hemi.values.tolist() == ["left" if v < left else "right" for v in there]
    assert found.vertex.values.tolist() == [v if v < left else v - left for v in there]
    stored = planted.fsaverage if space == "fsaverage" else planted.native / 300
    np.testing.assert_allclose(found.values, stored[:, there], rtol=1e-6)
    np.testing.assert_array_equal(found.ncsnr, planted.ncsnr[space][there])
    kept = {k: found.attrs[k] for k in ("subject", "space", "units", "vertices", "invalid")}
    assert kept == {
        "subject": "subj03",
        "space": space,
        "units": "% signal change",
        "vertices": list(SIZES[space]),
        "invalid": 0,
    }
    fewer = nsd.surface(tmp_path, subject=3, space=space, sessions=1)
    xr.testing.assert_identical(fewer, found[:750])


def test_trials_are_labelled_as_in_the_volume(tmp_path):
    trees.nsd(tmp_path, sessions=2)
    trees.nsd_surfaces(tmp_path)
    volume, found = nsd.load(tmp_path, subject=1), nsd.surface(tmp_path, subject=1)
    for name in ("sample", "stimulus", "session", "repeat", "split"):
        xr.testing.assert_identical(
            volume[name].drop_vars(volume[name].coords), found[name].drop_vars(found[name].coords)
        )
    assert set(np.unique(found.split)) == {"train", "test"}


@pytest.mark.parametrize("space", ["fsaverage", "nativesurface"])
def test_vertices_without_data_in_a_session(tmp_path, space, reading):
    whole = trees.nsd_surfaces(tmp_path / "whole")
    vertex = int(nsd.surface(tmp_path / "whole", subject=1, space=space).vertex.values[4])
    trees.nsd_surfaces(tmp_path / "holes", invalid=((2, vertex),))
    found = nsd.surface(tmp_path / "holes", subject=1, space=space)
    assert f"left-{vertex}" not in found.voxel
    assert found.attrs["invalid"] == 1
    assert np.isfinite(found.values).all()
    kept = nsd.surface(tmp_path / "holes", subject=1, space=space, valid="nan")
    bad = kept.sel(voxel=f"left-{vertex}").values
    assert np.isnan(bad[750:]).all()
    before = whole.fsaverage if space == "fsaverage" else whole.native / 300
    np.testing.assert_allclose(bad[:750], before[:750, vertex], rtol=1e-6)
    assert np.isfinite(kept.values).sum() == kept.size - 750


def test_an_atlas_that_fsaverage_lacks_is_brought_over(tmp_path):
    planted = trees.nsd_surfaces(tmp_path)
    found = nsd.surface(tmp_path, subject=1, regions="streams")
    moved = [
        part[planted.index[side] - 1]
        for part, side in zip(np.split(planted.labels["streams"], [50]), ("lh", "rh"), strict=True)
    ]
    numbers = np.concatenate(moved)
    assert found.roi.values.tolist() == [nsd.LABELS["streams"][n] for n in numbers[numbers > 0]]
    masks = nsd.masks(tmp_path, found, subject=1, atlases=["streams", "Kastner2015"])
    places = found.vertex.values + 60 * (found.hemi.values == "right")
    np.testing.assert_array_equal(masks.sel(region="lateral"), numbers[places] == 6)
    np.testing.assert_array_equal(masks.sel(region="IPS3"), planted.common["Kastner2015"][places] == 21)
    assert nd.brain.regions(found, masks).equals(masks)


def test_only_the_session_that_is_asked_for_is_read(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    planted = trees.nsd_surfaces(tmp_path)
    found = nsd.surface(tmp_path, subject=1)
    folder = tmp_path / "nsddata_betas/ppdata/subj01/fsaverage/betas_fithrf_GLMdenoise_RR"
    (folder / "rh.betas_session01.mgh").unlink()
    part = found[760:770].compute()
    columns = found.vertex.values + 60 * (found.hemi.values == "right")
    np.testing.assert_array_equal(part, planted.fsaverage[760:770, columns])
    with pytest.raises(FileNotFoundError, match="rh.betas_session01.mgh"):
        found.compute()


# ---------------------------------------------------------------- files that are not as they should be


def _folder(root, space):
    return root / f"nsddata_betas/ppdata/subj01/{space}/betas_fithrf_GLMdenoise_RR"


def test_sessions_that_are_missing_on_a_surface(tmp_path):
    trees.nsd_surfaces(tmp_path)
    folder = _folder(tmp_path, "fsaverage")
    message = r"session\(s\) 3 are missing: .*lh.betas_session03.mgh; found 2 of the 40 sessions"
    with pytest.raises(FileNotFoundError, match=message):
        nsd.surface(tmp_path, subject=1, sessions=3)
    (folder / "rh.betas_session02.mgh").unlink()
    with pytest.raises(FileNotFoundError, match="betas of session 2 of subj01, right hemisphere is missing"):
        nsd.surface(tmp_path, subject=1)
    assert nsd.surface(tmp_path, subject=1, sessions=1).sizes["sample"] == 750
    with pytest.raises(ValueError, match="unknown space 'fsaverage5'"):
        nsd.surface(tmp_path, subject=1, space="fsaverage5")
    with pytest.raises(FileNotFoundError, match=r"session\(s\) 1 are missing: .*subj02/nativesurface"):
        nsd.surface(tmp_path, subject=2, space="nativesurface")


@pytest.mark.parametrize(
    ("space", "name"), [("fsaverage", "rh.betas_session02.mgh"), ("nativesurface", "rh.betas_session02.hdf5")]
)
def test_sessions_of_a_surface_that_are_damaged(tmp_path, space, name):
    trees.nsd_surfaces(tmp_path)
    path = _folder(tmp_path, space) / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"{name} .*truncated"):
        nsd.surface(tmp_path, subject=1, space=space)
    path.write_bytes(whole[:50])
    with pytest.raises(ValueError, match=rf"{name} .*get it again from the Natural Scenes Dataset"):
        nsd.surface(tmp_path, subject=1, space=space)
    path.write_bytes(b"not what it says it is" * 40)
    with pytest.raises(ValueError, match=rf"{name} .*get it again from the Natural Scenes Dataset"):
        nsd.surface(tmp_path, subject=1, space=space)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{name} .*is empty"):
        nsd.surface(tmp_path, subject=1, space=space)


def test_betas_of_a_surface_in_another_shape_or_type(tmp_path):
    import h5py

    planted = trees.nsd_surfaces(tmp_path)
    folder = _folder(tmp_path, "nativesurface")
    with h5py.File(folder / "lh.betas_session02.hdf5", "w") as file:
        file["betas"] = planted.native[:750, :50].T
    with pytest.raises(ValueError, match=r"shape \(50, 750\), expected \(750, any\)"):
        nsd.surface(tmp_path, subject=1, space="nativesurface")
    with h5py.File(folder / "lh.betas_session02.hdf5", "w") as file:
        file["betas"] = planted.native[:750, :50] / 300
    with pytest.raises(ValueError, match="are float64, expected int16"):
        nsd.surface(tmp_path, subject=1, space="nativesurface")
    trees.nsd_surface_session(folder, "lh", 2, planted.native[:750, :49])
    with pytest.raises(
        ValueError, match=r"have \(49, 45\) vertices, but those of the first session \(50, 45\)"
    ):
        nsd.surface(tmp_path, subject=1, space="nativesurface")
    folder = _folder(tmp_path, "fsaverage")
    trees.nsd_overlay(folder / "lh.betas_session01.mgh", planted.fsaverage[:749, :60].T)
    with pytest.raises(ValueError, match=r"shape \(60, 1, 1, 749\) of >f4, expected \(vertices, 1, 1, 750\)"):
        nsd.surface(tmp_path, subject=1)
    for session in (1, 2):
        trees.nsd_overlay(folder / f"lh.betas_session0{session}.mgh", planted.fsaverage[:750, :59].T)
    with pytest.raises(ValueError, match="has 59 vertices and .* 60; fsaverage has as many left as right"):
        nsd.surface(tmp_path, subject=1)


def test_atlases_and_noise_ceilings_of_another_surface(tmp_path):
    trees.nsd_surfaces(tmp_path)
    trees.nsd_overlay(_folder(tmp_path, "fsaverage") / "rh.ncsnr.mgh", np.ones(45))
    with pytest.raises(ValueError, match=r"rh.ncsnr.mgh .* shape \(45,\), but the betas 60 vertices"):
        nsd.surface(tmp_path, subject=1)
    label = tmp_path / "nsddata/freesurfer/subj01/label/rh.Kastner2015.mgz"
    trees.nsd_overlay(label, np.ones(60))
    message = r"rh.Kastner2015.mgz .* shape \(60,\), but the betas have 45 vertices"
    with pytest.raises(ValueError, match=message):
        nsd.surface(tmp_path, subject=1, space="nativesurface")
    trees.nsd_overlay(label, np.full(45, 26))
    with pytest.raises(ValueError, match="holds the labels 26, which have no name"):
        nsd.surface(tmp_path, subject=1, space="nativesurface")
    label.write_bytes(b"no overlay")
    with pytest.raises(ValueError, match="rh.Kastner2015.mgz .* is truncated or no FreeSurfer overlay"):
        nsd.surface(tmp_path, subject=1, space="nativesurface")
    label.unlink()
    with pytest.raises(
        FileNotFoundError, match="atlas 'Kastner2015' of the right hemisphere of subj01 is missing"
    ):
        nsd.surface(tmp_path, subject=1, space="nativesurface")


def test_a_surface_with_one_fault(tmp_path):
    import nibabel

    trees.nsd_surfaces(tmp_path, sessions=1)
    betas = tmp_path / "nsddata_betas/ppdata/subj01/nativesurface/betas_fithrf_GLMdenoise_RR"
    trees.spoilt_hdf5(betas / "rh.betas_session01.hdf5", "betas")
    message = (
        r"rh.betas_session01.hdf5 \(betas\) is damaged: .*; get it again from the Natural Scenes Dataset"
    )
    with pytest.raises(ValueError, match=message):
        nsd.surface(tmp_path, subject=1, space="nativesurface").compute()
    labels = tmp_path / "nsddata/freesurfer/subj01/label"
    for side, size in (("lh", 50), ("rh", 45)):
        trees.nsd_overlay(labels / f"{side}.streams.mgz", np.zeros(size))
    with pytest.raises(
        ValueError, match="subj01 has no vertex of 'streams' on nativesurface; take other regions"
    ):
        nsd.surface(tmp_path, subject=1, space="nativesurface", regions="streams")
    nibabel.save(nibabel.MGHImage(np.zeros((25, 2, 1), np.float32), np.eye(4)), labels / "lh.streams.mgz")
    with pytest.raises(
        ValueError, match=r"lh.streams.mgz .* has the shape \(25, 2, 1\), expected \(vertices, 1, 1, ...\)"
    ):
        nsd.surface(tmp_path, subject=1, space="nativesurface", regions="streams")


# ---------------------------------------------------------------- from the volume to the surface


def _map(root, planted: trees.NSD) -> tuple[xr.DataArray, np.ndarray]:
    """Two layers on the voxels of the paper's regions, and the same in the volume, NaN elsewhere."""
    responses = nsd.load(root, subject=1)
    values = np.random.default_rng(8).normal(size=(2, responses.sizes["voxel"]))
    found = responses[:2].copy(data=values.astype(np.float32)).rename(sample="layer")
    found = found.drop_vars(["stimulus", "session", "repeat", "split"]).assign_coords(layer=["a", "b"])
    volume = np.full((2, *trees.NSD_GRID), np.nan)
    volume.reshape(2, -1)[:, responses.voxel.values] = values
    return found, volume


def _plainly(volume: np.ndarray, places: dict, index: dict, *, linear: bool) -> np.ndarray:
    """The same steps vertex by vertex, in plain Python."""
    out = []
    for side in ("lh", "rh"):
        native = []
        for vertex in range(len(places[side, "layerB1"])):
            depths = []
            for depth in DEPTHS:
                x = places[side, depth][vertex].astype(float) - 1
                if (x > 9000).any():
                    continue
                depths.append(_linear(volume, x) if linear else _nearest(volume, x))
            depths = [d for d in depths if not np.isnan(d)]
            native.append(np.mean(depths) if depths else np.nan)
        out += [native[i - 1] for i in index[side]]
    return np.array(out)


def _nearest(volume: np.ndarray, x: np.ndarray) -> float:
    i = tuple(int(np.floor(v + 0.5)) for v in x)
    return volume[i] if all(0 <= a < n for a, n in zip(i, volume.shape, strict=True)) else np.nan


def _linear(volume: np.ndarray, x: np.ndarray) -> float:
    from scipy.interpolate import interpn

    return interpn([np.arange(n) for n in volume.shape], volume, x, bounds_error=False, fill_value=np.nan)[0]


@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_a_map_of_the_volume_comes_to_fsaverage(tmp_path, method):
    planted = trees.nsd(tmp_path, sessions=1)
    index, places = trees.nsd_transforms(tmp_path)
    # Linear between eight voxels: a map with all of them, or little would be left of it.
    whole = method == "linear"
    if whole:
        trees.nsd_volume(planted.folder / "roi/nsdgeneral.nii.gz", np.ones(trees.NSD_GRID, np.int16))
        (planted.folder / "roi/lh.nsdgeneral.nii.gz").unlink()
        responses = nsd.load(tmp_path, subject=1, regions="nsdgeneral")
        volume = np.full(trees.NSD_GRID, np.nan)
        volume.ravel()[responses.voxel.values] = responses[5]
        values = responses[5]
    else:
        layers, volumes = _map(tmp_path, planted)
        values, volume = layers.sel(layer="b"), volumes[1]
    found = nsd.to_fsaverage(tmp_path, values, subject=1, method=method)
    assert found.dims == ("voxel",)
    expected = _plainly(volume, places, index, linear=whole)
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-6)
    assert 20 < np.isfinite(expected).sum() < 120
    assert found.hemi.values.tolist() == ["left"] * 60 + ["right"] * 60
    assert found.vertex.values.tolist() == [*range(60), *range(60)]
    assert found.voxel.values[[0, 119]].tolist() == ["left-0", "right-59"]
    assert found.attrs["space"] == "fsaverage"
    assert "affine" not in found.attrs


def test_a_vertex_without_places_has_no_value_and_one_depth_is_enough(tmp_path):
    planted = trees.nsd(tmp_path, sessions=1)
    _, places = trees.nsd_transforms(tmp_path)
    layers, volumes = _map(tmp_path, planted)
    native = nsd.to_native(tmp_path, layers, subject=1)
    assert native.dims == ("layer", "voxel")
    assert native.layer.values.tolist() == ["a", "b"]
    assert native.sizes["voxel"] == 95
    assert native.attrs["space"] == "nativesurface"
    every = {side: np.arange(1, size + 1) for side, size in (("lh", 50), ("rh", 45))}
    for i in range(2):
        np.testing.assert_allclose(native[i], _plainly(volumes[i], places, every, linear=False), rtol=1e-5)
    assert np.isnan(native.sel(voxel=["left-0", "left-2", "right-0"])).all()
    # A place at the middle of a voxel, at one depth alone.
    voxel = int(layers.voxel.values[3])
    at = np.array(np.unravel_index(voxel, trees.NSD_GRID)) + 1
    for depth in DEPTHS:
        changed = places["rh", depth].copy()
        changed[7] = at if depth == "layerB3" else 9999
        trees.nsd_overlay(tmp_path / f"nsddata/ppdata/subj01/transforms/rh.func1pt8-to-{depth}.mgz", changed)
    for method in ("nearest", "linear"):
        one = nsd.to_native(tmp_path, layers, subject=1, method=method).sel(voxel="right-7")
        np.testing.assert_array_equal(one, layers.sel(voxel=voxel))


def test_regions_and_maps_of_decoders_come_along(tmp_path):
    trees.nsd(tmp_path, sessions=1)
    index, places = trees.nsd_transforms(tmp_path)
    responses = nsd.load(tmp_path, subject=1)
    names = np.unique(responses.stimulus.values)
    features = nd.brain.features(
        np.random.default_rng(0).normal(size=(len(names), 3)), stimulus=names, layer="c"
    )
    decoder = nd.RidgeDecoder(100.0).fit(responses.compute(), features)
    weights = nd.spatial.weight_map(decoder)
    found = nsd.to_fsaverage(tmp_path, weights, subject=1)
    assert found.dims == ("layer", "voxel")
    assert found.attrs["kind"] == "filter"
    masks = nsd.masks(tmp_path, responses, subject=1, atlases="prf-visualrois")
    shares = nsd.to_fsaverage(tmp_path, masks, subject=1)
    volume = np.full(trees.NSD_GRID, np.nan)
    volume.ravel()[responses.voxel.values] = masks.sel(region="V2v")
    expected = _plainly(volume, places, index, linear=False)
    np.testing.assert_allclose(shares.sel(region="V2v"), expected, rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(shares[0]), np.isnan(found[0]))


def test_a_map_on_fsaverage5_is_drawn(tmp_path):
    trees.nsd(tmp_path, sessions=1)
    trees.nsd_transforms(tmp_path, fsaverage=10_300)
    responses = nsd.load(tmp_path, subject=1)
    values = responses[0].drop_vars("stimulus").assign_attrs(units="%")
    whole = nsd.to_fsaverage(tmp_path, values, subject=1)
    found = nsd.to_fsaverage(tmp_path, values, subject=1, mesh="fsaverage5")
    assert found.sizes["voxel"] == 2 * 10_242
    assert found.attrs["space"] == "fsaverage5"
    xr.testing.assert_equal(found, whole.isel(voxel=np.flatnonzero(whole.vertex < 10_242)))
    image = nd.spatial.to_surface(found)
    np.testing.assert_array_equal(image.data.parts["right"], found.values[10_242:])
    with pytest.raises(ValueError, match="outside 0 to 10241"):
        nd.plot.cortex(whole)
    figure = nd.plot.cortex(found, label="a map")
    assert [ax.get_label() for ax in figure.axes if ax.get_label().startswith("flat")] == [
        "flat left",
        "flat right",
    ]


def test_maps_that_do_not_fit_the_transforms(tmp_path):
    planted = trees.nsd(tmp_path, sessions=1)
    values = nsd.load(tmp_path, subject=1)[0]
    with pytest.raises(FileNotFoundError, match="places of layerB1 of subj01 in the volume, left is missing"):
        nsd.to_native(tmp_path, values, subject=1)
    index, places = trees.nsd_transforms(tmp_path)
    folder = tmp_path / "nsddata/ppdata/subj01/transforms"
    with pytest.raises(ValueError, match="the map is of 'subj01' in 'func1pt8mm', expected 'subj02'"):
        nsd.to_native(tmp_path, values, subject=2)
    bare = values.assign_attrs(shape=None)
    del bare.attrs["shape"]
    with pytest.raises(
        ValueError, match=r"expected 'subj01' in 'func1pt8mm' with attrs 'shape'.*assign_attrs"
    ):
        nsd.to_native(tmp_path, bare, subject=1)
    with pytest.raises(ValueError, match="must be positions in the flattened volume"):
        nsd.to_native(tmp_path, values.assign_coords(voxel=values.voxel + 100), subject=1)
    with pytest.raises(ValueError, match="unknown method 'cubic'"):
        nsd.to_native(tmp_path, values, subject=1, method="cubic")
    with pytest.raises(ValueError, match="has only 60 vertices; fsaverage5 has 10242"):
        nsd.to_fsaverage(tmp_path, values, subject=1, mesh="fsaverage5")
    trees.nsd_overlay(folder / "lh.white-to-fsaverage.mgz", np.where(index["lh"] == 7, 51, index["lh"]))
    count = int((index["lh"] == 7).sum())
    with pytest.raises(ValueError, match=rf"1 to 50, but has the shape \(60,\) and {count} others: 51.0"):
        nsd.to_fsaverage(tmp_path, values, subject=1)
    trees.nsd_overlay(folder / "rh.func1pt8-to-layerB2.mgz", places["rh", "layerB2"][:44])
    with pytest.raises(ValueError, match="layerB2.mgz has 44 vertices, layerB1 has 45"):
        nsd.to_native(tmp_path, values, subject=1)
    trees.nsd_overlay(folder / "rh.func1pt8-to-layerB2.mgz", places["rh", "layerB2"][:, :2])
    with pytest.raises(ValueError, match=r"must hold \(vertex, 3\) coordinates, but has the shape \(45, 2\)"):
        nsd.to_native(tmp_path, values, subject=1)
    assert planted.folder.is_dir()
