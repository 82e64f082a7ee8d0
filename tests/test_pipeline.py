"""From responses to scored pictures: what enters a fit, what is decoded, what is written, what is refused."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd

torch = pytest.importorskip("torch")

from neurodecode import cli, pipeline, reconstruction, vision  # noqa: E402
from neurodecode.pipeline.data import PICTURE  # noqa: E402
from neurodecode.pipeline.files import write_pictures  # noqa: E402
from neurodecode.reconstruction import Settings, Unshrunk  # noqa: E402
from tests import small_models  # noqa: E402

LAYERS = ("Linear-2", "Linear-4")
N_TRAIN, N_TEST = 24, 4


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {
        "diffusion": small_models.write_diffusion(tmp_path_factory.mktemp("diffusion")),
        "clip": small_models.write_clip(tmp_path_factory.mktemp("clip")),
    }


@pytest.fixture(scope="module")
def encoder(folders):
    return vision.load(folders["clip"])


@pytest.fixture(scope="module")
def generator(folders):
    return reconstruction.Autoencoder(vision.load_latents(folders["diffusion"]), size=(32, 32))


@pytest.fixture(scope="module")
def data(folders, encoder):
    """Pictures, what the small models say of them, and voxels that mix it."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((N_TRAIN + N_TEST, 3, 4, 4), dtype=np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear", align_corners=False)
    names = [f"picture {i}" for i in range(len(coarse))]
    images = nd.brain.images(smooth.permute(0, 2, 3, 1).numpy(), stimulus=names)
    spaces = dict(
        nd.brain.spaces(vision.extract_features(images, encoder, [*LAYERS, "final"], progress=False))
    )
    spaces["z"] = vision.latent_features(images, vision.load_latents(folders["diffusion"]), progress=False)
    captions = xr.DataArray(
        [["a cat"]] * len(names), dims=("stimulus", "caption"), coords={"stimulus": names}
    )
    spaces["c"] = vision.text_features(
        captions, vision.load_text(folders["diffusion"], length=15), progress=False
    )
    mixed = coarse.numpy().reshape(len(names), -1) @ rng.normal(size=(48, 60))
    split = ["train"] * N_TRAIN + ["test"] * N_TEST
    roi = ["V1"] * 30 + ["LO"] * 30
    responses = nd.brain.fmri(mixed, sample=names, stimulus=names, split=split, roi=roi, subject="01")
    return pipeline.Data(responses, spaces, images, "fmri")


def plan(**changes):
    return pipeline.planned(**{"layers": LAYERS, "batch": 2, "settings": Settings(steps=3)} | changes)


def test_both_stages_are_made_and_scored(data, generator, encoder) -> None:
    found = pipeline.run(data, generator, encoder, plan(), protocol="lab", n=3)
    assert found["value"].dims == ("stage", "metric", "sample")
    assert found["sample"].values.tolist() == ["picture 24", "picture 25", "picture 26"]
    np.testing.assert_array_equal(found["truth"], data.images.sel(stimulus=found["sample"].values))
    for stage, name in pipeline.STAGES.items():
        here = nd.metrics.pixcorr(found[name].values, found["truth"].values)
        np.testing.assert_allclose(found["value"].sel(stage=stage, metric="PixCorr"), here, rtol=1e-5)
    assert found.attrs["simulated"] is False
    assert found["value"]["better"].values.tolist() == ["higher"] * 5


def test_a_decoder_fitted_elsewhere_stands_in_for_ridge(data, generator, encoder) -> None:
    truth = reconstruction.Known(data.features["z"])
    # Then ridge needs no such features.
    lacking = dataclasses.replace(data, features={k: v for k, v in data.features.items() if k != "z"})
    found = pipeline.run(lacking, generator, encoder, plan(), n=2, decoders={"z": truth})
    alone = reconstruction.TwoStage(generator, latent=truth).imagine(data.responses[N_TRAIN : N_TRAIN + 2])
    np.testing.assert_allclose(found["imagined"], alone, atol=1e-6)
    with pytest.raises(ValueError, match="has no latent 'w'"):
        pipeline.run(data, generator, encoder, plan(), decoders={"w": truth})


@pytest.mark.parametrize("trust", pipeline.TRUST)
def test_the_test_stimuli_enter_no_fit(trust, data, generator, encoder) -> None:
    """Other features of the test stimuli change neither decoders nor masks."""
    spoiled = {}
    for name, space in data.features.items():
        spoiled[name] = space.copy(deep=True)
        spoiled[name][N_TRAIN:] = 1e3
    test = data.responses[N_TRAIN:]
    clean, other = (
        pipeline.two_stage(
            pipeline.Fits(dataclasses.replace(data, features=spaces)),
            generator,
            encoder,
            plan(keep=0.5, trust=trust),
        )
        for spaces in (data.features, spoiled)
    )
    assert list(clean.masks) == list(other.masks)
    for name in clean.masks:
        xr.testing.assert_equal(clean.masks[name], other.masks[name])
    xr.testing.assert_equal(clean.decoders["z"].predict(test), other.decoders["z"].predict(test))
    for name in LAYERS:
        xr.testing.assert_equal(clean.structure[name].predict(test), other.structure[name].predict(test))


def test_trust_is_a_mask_or_a_precision(data, generator, encoder) -> None:
    fits = pipeline.Fits(data)
    equal, weighed = (
        pipeline.two_stage(fits, generator, encoder, plan(keep=0.25, trust=trust))
        for trust in ("equal", "precision")
    )
    assert set(equal.masks) == set(LAYERS)
    assert set(weighed.masks) == {*LAYERS, "final"}
    for name in LAYERS:
        mask, weights = equal.masks[name], weighed.masks[name]
        assert mask.dtype == bool
        assert mask.mean() == pytest.approx(0.25, abs=0.01)
        assert not (weights > 0)[~mask.values].any()
        assert (weights > 0).any()
    with pytest.raises(ValueError, match="unknown trust 'blind'; choose one of 'precision', 'equal'"):
        plan(trust="blind")


def test_variants_share_what_is_fitted(data, generator, encoder, monkeypatch) -> None:
    fitted = []
    before = nd.RidgeDecoder.fit
    monkeypatch.setattr(nd.RidgeDecoder, "fit", lambda *given: fitted.append(given) or before(*given))
    fits = pipeline.Fits(data)
    first = pipeline.two_stage(fits, generator, encoder, plan(keep=0.5))
    count = len(fitted)
    again = pipeline.two_stage(fits, generator, encoder, plan(keep=0.25, gamma=1.0))
    assert len(fitted) == count
    assert (again.masks["Linear-2"] > 0).sum() < (first.masks["Linear-2"] > 0).sum()
    with pytest.raises(ValueError, match=r"regions and n_voxels \(None, 350\), the plan of \('LVC', 350\)"):
        pipeline.two_stage(fits, generator, encoder, plan(regions="LVC"))


def test_every_latent_of_a_plan_has_a_rate() -> None:
    rate = plan(settings=Settings(rate={"z": 0.1, "c": 0.2})).descent(["z", "c", "w"]).rate
    assert rate == {"z": 0.1, "c": 0.2, "w": 0.1}
    assert plan(settings=Settings(rate={"w": 0.3})).descent(["w"]).rate == {"w": 0.3}
    short = plan(settings=Settings(rate={"c": 0.2}))
    with pytest.raises(ValueError, match="rate names 'c', but the latent 'z' is moved too; name each"):
        short.descent(["z", "c"])
    still = dataclasses.replace(short, settings=Settings(rate={"c": 0.2}, move=("c",)))
    assert still.descent(["z", "c"]).rate == {"c": 0.2}


def test_fits_of_other_data_are_refused(data, generator, encoder) -> None:
    """The pictures would be scored against other stimuli, and bear the other subject's name."""
    other = dataclasses.replace(data, responses=(data.responses + 1).assign_attrs(subject="02"))
    with pytest.raises(
        ValueError, match="of subject '01', the data of subject '02', and differ in the responses;"
    ):
        pipeline.run(other, generator, encoder, plan(), fits=pipeline.Fits(data))
    doubled = dataclasses.replace(data, features={**data.features, "c": 2 * data.features["c"]})
    with pytest.raises(ValueError, match="differ in the features 'c'; give the data of these fits"):
        pipeline.run(doubled, generator, encoder, plan(), fits=pipeline.Fits(data))
    # The same, loaded twice, are the same.
    pipeline.Fits(data).require_data(dataclasses.replace(data, responses=data.responses.copy()))
    again = data.features["c"].assign_attrs(provenance="the same features, extracted on another day")
    pipeline.Fits(data).require_data(dataclasses.replace(data, features={**data.features, "c": again}))


def test_each_dimension_is_decoded_from_the_voxels_that_tell_of_it(data) -> None:
    """Planted: voxel i tells of dimension i of z; it is among the few that are taken for it."""
    voxels, z = data.responses.sizes["voxel"], data.features["z"]
    rng = np.random.default_rng(0)
    true = z.sel(stimulus=data.responses["stimulus"].values).values
    values = rng.normal(size=data.responses.shape)
    values += 5 * true[:, :voxels] / true.std(axis=0)[:voxels]
    planted = dataclasses.replace(data, responses=data.responses.copy(data=values))
    fits = pipeline.Fits(planted, n_voxels=4)
    chosen = fits.fitted("z").selected_.toarray()
    assert (chosen.sum(axis=0) == 4).all()
    assert chosen[np.arange(voxels), np.arange(voxels)].all()
    assert fits.fitted("z").alpha == fits.unfitted("z").alpha
    # More than there are: all of them.
    assert pipeline.Fits(planted, n_voxels=voxels).fitted("z").selected_.toarray().all()


def test_a_decoder_of_another_kind_takes_the_place_of_ridge_everywhere(data, generator, encoder) -> None:
    """Latents, layers and how far they are trusted all come from it, each from a clone of its own."""
    network = nd.networks.NetworkDecoder("mlp", size="small", epochs=2, validation=None, learning_rate=1e-2)
    fits = pipeline.Fits(data, decoder=network)
    stage = pipeline.two_stage(fits, generator, encoder, plan())
    alone = nd.networks.NetworkDecoder("mlp", size="small", epochs=2, validation=None, learning_rate=1e-2)
    alone.fit(fits.train, fits.features("Linear-2"))
    predicted = fits.fitted("Linear-2").predict(fits.test)
    xr.testing.assert_equal(predicted, alone.predict(fits.test))
    assert isinstance(stage.decoders["z"].decoder, nd.networks.NetworkDecoder)
    assert stage.decoders["z"].decoder is not fits.fitted("Linear-2")
    every = np.ones(N_TRAIN, bool)
    wanted = nd.selection.best_features(fits.train, fits.features("Linear-2"), network, train=every, keep=1.0)
    np.testing.assert_allclose(fits.kept("Linear-2", 1.0)["r"], wanted["r"])
    assert not hasattr(network, "history_")


def test_the_oracle_takes_the_true_layers(data, generator, encoder) -> None:
    fits = pipeline.Fits(data)
    stage = pipeline.two_stage(fits, generator, encoder, plan(oracle=True, gamma=0.0))
    found = stage.structure["Linear-2"].predict(fits.test)
    np.testing.assert_array_equal(found, data.features["Linear-2"].sel(stimulus=fits.test["stimulus"].values))
    assert not np.allclose(
        stage.decoders["z"].predict(fits.test), data.features["z"].sel(stimulus=fits.test["stimulus"].values)
    )


def test_a_latent_that_is_left_out_is_the_mean_of_training(data, generator, encoder) -> None:
    stage = pipeline.two_stage(pipeline.Fits(data), generator, encoder, plan(latents=()))
    found = stage.decoders["z"].predict(data.responses[N_TRAIN:])
    wanted = data.features["z"][:N_TRAIN].mean("stimulus").values
    np.testing.assert_allclose(found.values, np.tile(wanted, (N_TEST, 1)), rtol=1e-5)
    images = stage.imagine(data.responses[N_TRAIN:]).values
    assert (images == images[:1]).all()


def test_regions_are_the_voxels_that_are_used(data) -> None:
    assert (pipeline.prepared(data.responses, "LVC")["roi"] == "V1").all()
    assert pipeline.prepared(data.responses, None).sizes["voxel"] == 60


def test_repeats_are_averaged(data) -> None:
    twice = xr.concat([data.responses, data.responses + 2.0], dim="sample", join="override")
    twice = twice.assign_coords(
        sample=[f"t{i}" for i in range(twice.sizes["sample"])],
        repeat=("sample", np.repeat([0, 1], data.responses.sizes["sample"])),
    )
    found = pipeline.prepared(twice, None)
    np.testing.assert_allclose(np.sort(found.values, axis=0), np.sort(data.responses.values + 1, axis=0))


def test_features_of_another_reading_or_encoder_meet_no_encoder(data, folders, generator, encoder) -> None:
    """The same names mean other blocks, of the same size: nothing else would notice."""
    code = vision.load(folders["clip"], reading="code")
    assert code.shapes(LAYERS) == encoder.shapes(LAYERS)
    with pytest.raises(ValueError, match="2 of 3 layers .* reading 'paper'.* reading 'code'.*--reading"):
        pipeline.run(data, generator, code, plan())
    # What is called the same whatever the reading may meet.
    code.require_own({"final": data.features["final"]})
    other = data.features["Linear-4"].assign_attrs(weights="0123", model="a stranger")
    mixed = dataclasses.replace(data, features={**data.features, "Linear-4": other})
    with pytest.raises(ValueError, match="'Linear-4'.* by 'a stranger' with weights '0123'.*; load that enc"):
        pipeline.run(mixed, generator, encoder, plan())
    # An attr of this name in features of one's own is another thing.
    for foreign in ({"weights": "IMAGENET1K_V1"}, {"weights": np.ones(2), "reading": "mine", "model": "m"}):
        code.require_own({"Linear-4": other.drop_attrs().assign_attrs(foreign)})
    stage = reconstruction.TwoStage(
        generator,
        code,
        latent=reconstruction.Known(data.features["z"]),
        structure={"Linear-2": reconstruction.Known(data.features["Linear-2"])},
    )
    with pytest.raises(ValueError, match="reading 'paper', but the encoder"):
        stage.refine(data.responses[:1])


# ------------------------------------------------------------------------------------------ Unshrunk
def test_patterns_get_the_spread_of_training_and_keep_their_direction() -> None:
    rng = np.random.default_rng(0)
    features = nd.brain.features(3 + rng.normal(size=(500, 40)), stimulus=range(500))
    pale = xr.DataArray(
        3 + 0.2 * rng.normal(size=(6, 40)), dims=("sample", "feature"), coords={"sample": list("abcdef")}
    )

    class Pale:
        def predict(self, responses):
            return pale

    found = Unshrunk(Pale(), features).predict(pale)
    mean = features.values.mean(axis=0)
    length = np.linalg.norm(found.values - mean, axis=1)
    np.testing.assert_allclose(length, np.sqrt(features.values.var(axis=0).sum()), rtol=1e-6)
    for one, other in zip(found.values - mean, pale.values - mean, strict=True):
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(1)
    np.testing.assert_allclose(length, np.linalg.norm(features.values - mean, axis=1).mean(), rtol=0.05)


def test_the_mean_itself_stays_the_mean() -> None:
    features = nd.brain.features(np.arange(12.0).reshape(4, 3), stimulus=range(4))
    responses = xr.DataArray(np.zeros((2, 1)), dims=("sample", "voxel"), coords={"sample": ["a", "b"]})
    found = Unshrunk(pipeline.Mean(features), features).predict(responses)
    np.testing.assert_allclose(found.values, np.tile(features.values.mean(axis=0), (2, 1)))
    with pytest.raises(ValueError, match="at least 2 stimuli, got 1"):
        Unshrunk(pipeline.Mean(features), features[:1])


# ------------------------------------------------------------------------------------------ Calibrated
def kept_with(r) -> xr.DataArray:
    return xr.DataArray(np.ones(len(r), bool), dims="feature", coords={"r": ("feature", np.asarray(r))})


def test_calibrated_and_precision_make_a_likelihood() -> None:
    """Planted: features seen through noise, and their expectation given what was seen, which is what ridge aims at."""
    rng = np.random.default_rng(0)
    n, mean, spread = 20_000, np.array([0.0, 3.0, -2.0]), np.array([1.0, 0.1, 20.0])
    r = np.array([0.2, 0.5, 0.9])
    names = [str(i) for i in range(n)]
    features = nd.brain.features(mean + spread * rng.normal(size=(n, 3)), stimulus=names)
    noise = spread * np.sqrt(1 / r**2 - 1)
    seen = features.values + noise * rng.normal(size=(n, 3))
    pale = xr.DataArray(mean + r**2 * (seen - mean), dims=("sample", "feature"), coords={"sample": names})

    class Pale:
        def predict(self, responses):
            return pale

    kept = kept_with(r)
    found = reconstruction.Calibrated(Pale(), features, kept).predict(pale)
    weights = reconstruction.precision(kept, features)
    np.testing.assert_allclose(weights, 1 / noise**2, rtol=0.05)
    apart = weights.values * (found.values - features.values) ** 2
    np.testing.assert_allclose(apart.mean(axis=0), 1, rtol=0.05)


def test_what_is_decoded_at_chance_is_not_trusted() -> None:
    features = nd.brain.features(np.arange(20.0).reshape(5, 4) % 7, stimulus=range(5))
    features[:, 3] = 1.0  # constant
    kept = kept_with([0.5, -0.2, np.nan, 0.5])
    assert (reconstruction.precision(kept, features).values > 0).tolist() == [True, False, False, False]
    assert np.isfinite(reconstruction.precision(kept_with([1.0] * 4), features).values).all()
    kept[0] = False
    assert not reconstruction.precision(kept, features).any()
    responses = xr.DataArray(np.zeros((2, 1)), dims=("sample", "voxel"), coords={"sample": ["a", "b"]})

    class Loud:
        def predict(self, responses):
            return xr.DataArray(
                np.full((2, 4), 9.0), dims=("sample", "feature"), coords={"sample": ["a", "b"]}
            )

    found = reconstruction.Calibrated(Loud(), features, kept).predict(responses)
    np.testing.assert_allclose(found[:, 1:3], np.tile(features.values.mean(axis=0)[1:3], (2, 1)))
    with pytest.raises(ValueError, match=r"kept must be \(feature: 4\) with the coordinate 'r'"):
        reconstruction.precision(kept[:2], features)
    with pytest.raises(ValueError, match=r"with the coordinate 'r', as best_features returns it"):
        reconstruction.Calibrated(Loud(), features, kept.drop_vars("r"))


def test_what_is_calibrated_or_spread_is_matched_by_unit() -> None:
    """A decoder of the best dimensions alone, or of the same in another order, would get others' means and gains."""
    features = nd.brain.features(np.arange(20.0).reshape(5, 4) % 7, stimulus=range(5), layer="z")
    turned = features.isel(feature=[1, 0, 2, 3])
    responses = nd.brain.fmri(np.zeros((2, 3)), sample=["a", "b"], stimulus=[0, 1])
    kept = kept_with([0.5] * 4).assign_coords(unit=("feature", features["unit"].values))
    words = (
        "what the decoder returns and the features disagree on 2 of 4 'unit' labels; make both from the same"
    )
    for decoder in (
        Unshrunk(reconstruction.Known(turned), features),
        reconstruction.Calibrated(reconstruction.Known(turned), features, kept),
    ):
        with pytest.raises(ValueError, match=words):
            decoder.predict(responses)
    with pytest.raises(ValueError, match="returns and the features have 3 and 4 dimensions"):
        Unshrunk(reconstruction.Known(features[:, :3]), features).predict(responses)
    with pytest.raises(ValueError, match="kept and features disagree on 2 of 4 'unit' labels"):
        reconstruction.precision(kept, turned)


# ------------------------------------------------------------------------------------------ the command
def test_a_picture_stays_in_its_folder_whatever_it_is_called(tmp_path) -> None:
    names = ["../up", str(tmp_path / "away"), "animals/cat.jpg", "plain 1.jpg"]
    pictures = xr.DataArray(np.zeros((4, 2, 2, 3)), dims=("sample", *PICTURE))
    result = xr.Dataset(dict.fromkeys(("truth", "imagined", "images"), pictures))
    write_pictures(result.assign_coords(stimulus=("sample", names)), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    found = {p.name for p in (tmp_path / "out" / "shown").iterdir()}
    assert len(found) == 4
    assert found > {"plain 1.jpg.png", "animals%2Fcat.jpg.png", "..%2Fup.png"}


def of_pictures(stimuli, values=None) -> xr.Dataset:
    """What a run leaves, as far as it is written."""
    n = len(stimuli)
    shades = np.ones((2, 2, 3)) * np.linspace(0, 1, n)[:, None, None, None]
    pictures = dict.fromkeys(("truth", "imagined", "images"), (("sample", *PICTURE), shades))
    value = np.arange(2.0 * n).reshape(2, 1, n) if values is None else values
    result = xr.Dataset(
        {**pictures, "value": (("stage", "metric", "sample"), value)},
        {
            "sample": [f"t{i}" for i in range(n)],
            "stimulus": ("sample", stimuli),
            "stage": [1, 2],
            "metric": ["SSIM"],
        },
    )
    return result.assign_attrs(subject="01")


def test_a_stimulus_that_is_there_twice_has_two_pictures(tmp_path) -> None:
    write_pictures(of_pictures(["cat", "dog", "cat"]), tmp_path)
    for title in ("shown", "stage-1", "stage-2"):
        assert sorted(p.name for p in (tmp_path / title).iterdir()) == ["t0.png", "t1.png", "t2.png"]


def test_nothing_of_another_run_is_overwritten(tmp_path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "cat.png").write_bytes(b"mine")
    said = {"modality": "fmri", "generator": "g"}
    with pytest.raises(FileExistsError, match="holds 'shown' of another run already; give another folder"):
        pipeline.write(of_pictures(["cat", "dog"]), tmp_path, **said)
    with pytest.raises(FileExistsError):
        write_pictures(of_pictures(["cat", "dog"]), tmp_path)
    assert (tmp_path / "shown" / "cat.png").read_bytes() == b"mine"
    pipeline.write(of_pictures(["cat", "dog"]), tmp_path, **said, overwrite=True)
    assert (tmp_path / "shown" / "cat.png").read_bytes() != b"mine"
    assert cli.main(["reconstruct", "lab", "--out", str(tmp_path)]) == 2


def test_a_picture_without_a_value_is_not_counted(tmp_path) -> None:
    values = np.array([[[0.1, np.nan, 0.3]], [[0.2, 0.4, 0.6]]])
    pipeline.write_csv(of_pictures(list("abc"), values), tmp_path / "m.csv", modality="fmri", generator="g")
    with (tmp_path / "m.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["n"] for row in rows] == ["2", "3"]
    assert [float(row["mean"]) for row in rows] == pytest.approx([0.2, 0.4])
    # The standard error of two values is half their distance.
    assert [float(row["sem"]) for row in rows] == pytest.approx([0.1, 0.2 / np.sqrt(3)], rel=1e-5)


def test_the_command_reconstructs_a_prepared_dataset_and_goes_on(data, folders, tmp_path, capsys) -> None:
    nd.save(data.responses, tmp_path / "sub-01.nc")
    nd.save(data.images, tmp_path / "images.nc")
    for name, space in data.features.items():
        nd.save(space, tmp_path / f"{name}.nc")
    words = ["reconstruct", tmp_path / "sub-01.nc", "--features", *sorted(tmp_path.glob("[czLf]*-*.nc"))]
    words += [tmp_path / "c.nc", tmp_path / "z.nc", tmp_path / "final.nc", "--images", tmp_path / "images.nc"]
    words += ["--generator", folders["diffusion"], "--encoder", folders["clip"], "--layers", *LAYERS]
    words += ["--n", 2, "--steps", 1, "--out", tmp_path / "out"]
    assert cli.main([str(w) for w in words]) == 0, capsys.readouterr().err
    out = tmp_path / "out"
    for stage in ("shown", "stage-1", "stage-2"):
        assert sorted(p.name for p in (out / stage).iterdir()) == ["picture 24.png", "picture 25.png"]
    with (out / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["modality", "subject", "generator", "stage", "metric", "mean", "sem", "n"]
    result = nd.load(out / "trajectory.nc")
    row = next(r for r in rows if (r["stage"], r["metric"]) == ("2", "PixCorr"))
    value = result["value"].sel(stage=2, metric="PixCorr").values
    assert float(row["mean"]) == pytest.approx(value.mean(), rel=1e-4)
    assert float(row["sem"]) == pytest.approx(value.std(ddof=1) / np.sqrt(2), rel=1e-4)
    first = (out / "metrics.csv").read_bytes()
    assert cli.main([str(w) for w in words]) == 0
    assert (out / "metrics.csv").read_bytes() == first
    capsys.readouterr()
    assert cli.main([*map(str, words), "--reading", "code"]) == 2
    assert "with reading 'paper', but the encoder" in capsys.readouterr().err


def test_what_is_missing_is_said_before_any_work(data, generator, encoder, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"--features FILE .* and --images FILE"):
        pipeline.data_from(tmp_path / "absent.nc", [], None)
    nd.save(data.features["z"], tmp_path / "z.nc")
    with pytest.raises(ValueError, match=r"holds no pictures: .*it is DataArray \('stimulus', 'feature'\)"):
        pipeline.data_from(tmp_path / "absent.nc", [tmp_path / "z.nc"], tmp_path / "z.nc")
    lacking = dataclasses.replace(data, features={k: v for k, v in data.features.items() if k != "Linear-4"})
    with pytest.raises(ValueError, match="feature spaces 'Linear-4' are needed and missing; there are"):
        pipeline.run(lacking, generator, encoder, plan())
    with pytest.raises(ValueError, match="of 2 of 4 test stimuli are not among those given: 'picture 26'"):
        pipeline.run(dataclasses.replace(data, images=data.images[:-2]), generator, encoder, plan())
    again = data.responses.assign_coords(sample=[f"{s} again" for s in data.responses["sample"].values])
    twice = xr.concat([data.responses, again], "sample").assign_attrs(data.responses.attrs)
    with pytest.raises(
        ValueError, match="4 of 4 stimuli there are several, first of .*; average their responses"
    ):
        pipeline.run(dataclasses.replace(data, responses=twice), generator, encoder, plan())
    with pytest.raises(
        ValueError, match=r"has layers=\(\), and stage 2 needs one or more; for stage 1 alone call"
    ):
        pipeline.run(data, generator, encoder, dataclasses.replace(plan(), layers=()))
    short = dataclasses.replace(data, features={**data.features, "Linear-4": data.features["Linear-4"][2:]})
    with pytest.raises(
        ValueError, match="'Linear-4' lack 2 of the 24 training stimuli: 'picture 0', 'picture 1'; add"
    ):
        pipeline.run(short, generator, encoder, plan())
    assert cli.main(["reconstruct", "lab", "--n", "1", "--out", str(tmp_path / "x")]) == 2
