"""Two-stage reconstruction: diffusers' own pipeline, finite differences, a plain loop of Adam; what must not matter."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurodecode as nd

torch = pytest.importorskip("torch")

from neurodecode import reconstruction, vision  # noqa: E402
from neurodecode.reconstruction import Known, Memory, Module, Pixels, Schedule, Settings, TwoStage  # noqa: E402
from neurodecode.reconstruction.descent import Start, choose, descend  # noqa: E402
from neurodecode.reconstruction.structure import StructureLoss, Target  # noqa: E402
from neurodecode.reconstruction.two_stage import seed_of  # noqa: E402
from tests import small_models  # noqa: E402

SCHEDULE = Schedule(steps=5, noise_to=4, denoise=4, guidance=3.0)
LAYERS = ("Linear-2", "Linear-4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_models.write_diffusion(tmp_path_factory.mktemp("diffusion"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return vision.load(small_models.write_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture
def generator(folder):
    return reconstruction.load_diffusion(folder, schedule=SCHEDULE)


@pytest.fixture(scope="module")
def autoencoder(folder):
    return reconstruction.Autoencoder(vision.load_latents(folder), size=(32, 32))


def responses(n=5):
    names = [f"trial-{i}" for i in range(n)]
    return nd.brain.fmri(np.zeros((n, 2)), sample=names, stimulus=[f"picture-{i}" for i in range(n)])


def known(array: np.ndarray, layer: str) -> Known:
    names = [f"picture-{i}" for i in range(len(array))]
    return Known(nd.brain.features(array.reshape(len(array), -1), stimulus=names, layer=layer))


def pictures(n=5, seed=0):
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((n, 3, 4, 4), dtype=np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear", align_corners=False)
    return smooth.permute(0, 2, 3, 1).numpy()


def decoders(encoder, n=5):
    """Oracles: the layers of other pictures, and random latents."""
    rng = np.random.default_rng(1)
    found = encoder.encode(pictures(n), LAYERS)
    return {
        "structure": {k: known(v.numpy(), k) for k, v in found.items()},
        "latent": known(rng.standard_normal((n, 4 * 8 * 8), dtype=np.float32), "z"),
        "semantic": known(rng.standard_normal((n, 14 * 16), dtype=np.float32), "c"),
    }


def two_stage(generator, encoder, *, n=5, steps=3, rate=0.01, **options):
    given = decoders(encoder, n)
    given = {
        k: v
        for k, v in given.items()
        if k == "structure" or {"latent": "z", "semantic": "c"}[k] in generator.latents
    }
    settings = options.pop("settings", Settings(steps=steps, rate=rate))
    return TwoStage(generator, encoder, **given, settings=settings, **options)


# ------------------------------------------------------------------------------------------ the diffusion model
def test_stage_one_is_what_diffusers_own_pipeline_paints(folder) -> None:
    """StableDiffusionImg2ImgPipeline noises latents and denoises them under a prompt, without gradients."""
    from neurodecode.vision._backends import diffusers

    pipe = diffusers().StableDiffusionImg2ImgPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    pipe.set_progress_bar_config(disable=True)
    pipe.to(torch.float32)
    pipe.text_encoder.eval()
    generator = reconstruction.load_diffusion(folder, schedule=SCHEDULE)
    z = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    seeds, texts = [11, 12, 13], ["cat", "a cat", "b"]
    c = generator.text.tokens(texts)
    with torch.no_grad():
        ours = generator({"z": z, "c": c}, generator.draw(seeds)).numpy()
    theirs = pipe(
        prompt_embeds=c,
        negative_prompt_embeds=generator.text.empty().expand(3, -1, -1),
        image=z,
        strength=SCHEDULE.noise_to / SCHEDULE.steps,
        num_inference_steps=SCHEDULE.steps,
        guidance_scale=SCHEDULE.guidance,
        generator=[torch.Generator().manual_seed(s) for s in seeds],
        output_type="np",
    ).images
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_an_ip_adapter_paints_what_it_does_in_diffusers(folder, tmp_path) -> None:
    from neurodecode.vision._backends import diffusers

    pipe = diffusers().StableDiffusionImg2ImgPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    pipe.set_progress_bar_config(disable=True)
    pipe.to(torch.float32)
    path = small_models.write_ip_adapter(tmp_path, pipe.unet)
    pipe.load_ip_adapter(str(tmp_path), subfolder="", weight_name=path.name, image_encoder_folder=None,
                         low_cpu_mem_usage=False)  # fmt: skip
    generator = reconstruction.load_diffusion(folder, schedule=SCHEDULE, ip_adapter=path)
    assert generator.latents["image"] == (12,)
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    c = generator.text.tokens(["cat"])
    image = torch.randn(1, 12, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        ours = generator({"z": z, "c": c, "image": image}, generator.draw([11])).numpy()
        other = generator({"z": z, "c": c, "image": -image}, generator.draw([11])).numpy()
    theirs = pipe(
        prompt_embeds=c,
        negative_prompt_embeds=generator.text.empty().expand(1, -1, -1),
        ip_adapter_image_embeds=[torch.stack([torch.zeros(1, 12), image])],
        image=z,
        strength=SCHEDULE.noise_to / SCHEDULE.steps,
        num_inference_steps=SCHEDULE.steps,
        guidance_scale=SCHEDULE.guidance,
        generator=torch.Generator().manual_seed(11),
        output_type="np",
    ).images
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert np.abs(ours - other).max() > 1e-3  # the embedding has a say


def test_what_is_no_ip_adapter_is_refused(folder, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"ip\.bin is no \.safetensors file; pickled weights"):
        reconstruction.load_diffusion(folder, ip_adapter=tmp_path / "ip.bin")
    with pytest.raises(FileNotFoundError, match="there is no IP-Adapter at"):
        reconstruction.load_diffusion(folder, ip_adapter=tmp_path / "ip.safetensors")
    with pytest.raises(ValueError, match="is no plain IP-Adapter: it has no image_proj"):
        reconstruction.load_diffusion(folder, ip_adapter=next((folder / "unet").glob("*.safetensors")))


def doubled(generator):
    """The same model in float64, where finite differences mean something."""
    generator.unet.double()
    generator.autoencoder.module.double()
    return generator


def slope(generator, latents, random, weight, name, direction, step=1e-5):
    """Finite difference of a weighted sum of the picture's values along a direction of one latent."""
    values = []
    for sign in (1, -1):
        moved = {**latents, name: latents[name] + sign * step * direction}
        with torch.no_grad():
            values.append(float((generator(moved, random) * weight).sum()))
    return (values[0] - values[1]) / (2 * step)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_gradients_pass_the_whole_loop(folder, guidance) -> None:
    """Against finite differences in float64, to z and to c, through every denoising step."""
    schedule = dataclasses.replace(SCHEDULE, guidance=guidance)
    generator = doubled(reconstruction.load_diffusion(folder, schedule=schedule))
    draw = torch.Generator().manual_seed(0)
    # Small latents: far from 0 and 1, where pictures are cut off and have no gradient.
    latents = {
        "z": 0.3 * torch.randn(1, 4, 8, 8, generator=draw, dtype=torch.float64),
        "c": torch.randn(1, 15, 16, generator=draw, dtype=torch.float64),
    }
    random = {"noise": 0.3 * torch.randn(1, 4, 8, 8, generator=draw, dtype=torch.float64)}
    weight = torch.randn(1, 32, 32, 3, generator=draw, dtype=torch.float64)
    leaves = {k: v.clone().requires_grad_(True) for k, v in latents.items()}
    (generator(leaves, random) * weight).sum().backward()
    for name, leaf in leaves.items():
        direction = torch.randn(leaf.shape, generator=draw, dtype=torch.float64)
        expected = slope(generator, latents, random, weight, name, direction)
        assert abs(expected) > 1e-3
        assert float((leaf.grad * direction).sum()) == pytest.approx(expected, rel=1e-5)


def gradient(folder, memory, *, z=None):
    generator = reconstruction.load_diffusion(folder, schedule=SCHEDULE, memory=memory)
    draw = torch.Generator().manual_seed(0)
    latents = {
        "z": torch.randn(2, 4, 8, 8, generator=draw).requires_grad_(True),
        "c": torch.randn(2, 15, 16, generator=draw).requires_grad_(True),
    }
    generator(latents, generator.draw([1, 2])).pow(2).sum().backward()
    return {k: v.grad for k, v in latents.items()}


def test_checkpoints_change_memory_and_no_gradient(folder) -> None:
    plain, kept = (gradient(folder, Memory(checkpoint=c)) for c in (False, True))
    for name in plain:
        assert torch.equal(plain[name], kept[name])


def test_gradients_through_all_of_the_last_steps_are_the_whole_gradient(folder) -> None:
    whole, last, all_of_them = (gradient(folder, Memory(through=t)) for t in (None, 1, SCHEDULE.denoise))
    for name in whole:
        assert torch.equal(whole[name], all_of_them[name])
        assert not torch.allclose(whole[name], last[name], rtol=1e-2)
        assert last[name].abs().max() > 0  # z still has its straight way through


def test_low_precision_is_near_single_precision(folder) -> None:
    single, half = (gradient(folder, Memory(precision=p)) for p in ("float32", "bfloat16"))
    for name in single:
        similar = torch.nn.functional.cosine_similarity(single[name].flatten(), half[name].flatten(), dim=0)
        assert 0.9 < float(similar) < 1 - 1e-9


def test_the_labs_model_is_a_generator() -> None:
    generator = reconstruction.load_diffusion("lab")
    assert dict(generator.latents) == {"z": (4, 16, 16), "c": (15, 128)}
    assert generator.schedule.steps == 10
    assert isinstance(generator, reconstruction.Generator)


# ------------------------------------------------------------------------------------------ conditions by image
@pytest.mark.parametrize(
    ("kind", "unet", "shape"),
    [
        ("tokens", {"dual_cross_attention": True}, (6, 16)),
        ("embedding", {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 12}, (12,)),
    ],
)
def test_a_picture_follows_its_image_condition(tmp_path, kind, unet, shape) -> None:
    """Versatile Diffusion and Stable unCLIP take an image beside the text, each in its own form."""
    where = small_models.write_diffusion(tmp_path, **unet)
    generator = reconstruction.load_diffusion(where, schedule=SCHEDULE, image=shape)
    assert (generator.kind, generator.latents["image"]) == (kind, shape)
    latents = {k: torch.randn(2, *v).requires_grad_(True) for k, v in generator.latents.items()}
    generator(latents, generator.draw([1, 2])).sum().backward()
    for name, value in latents.items():
        assert value.grad.abs().sum() > 0, name
    with pytest.raises(ValueError, match=r"takes an image condition \(" + kind):
        reconstruction.load_diffusion(where, schedule=SCHEDULE)


def test_a_model_without_an_image_condition_says_so(folder) -> None:
    with pytest.raises(ValueError, match="takes no image condition, got image="):
        reconstruction.load_diffusion(folder, image=(12,))


# ------------------------------------------------------------------------------------------ the loss
def test_the_loss_is_the_formula(encoder) -> None:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(pictures(3))
    shapes = encoder.shapes([*LAYERS, "penultimate"])
    decoded = {
        k: torch.from_numpy(rng.standard_normal((3, int(np.prod(s))), dtype=np.float32))
        for k, s in shapes.items()
    }
    masks = {k: torch.from_numpy(rng.random(int(np.prod(shapes[k]))) < 0.25) for k in LAYERS}
    deep = torch.from_numpy(rng.random(int(np.prod(shapes["penultimate"])), dtype=np.float32))
    deep[:3] = 0.0
    loss = StructureLoss(
        encoder,
        {k: Target(decoded[k], masks[k]) for k in LAYERS},
        weighting="inverse_norm",
        semantic=("penultimate", Target(decoded["penultimate"], deep)),
        gamma=0.3,
    )
    found = loss.total(loss.apart(images)).numpy()
    phi = {k: v.flatten(1).numpy() for k, v in encoder.encode(images, [*LAYERS, "penultimate"]).items()}
    for row in range(3):
        norms = [1 / np.linalg.norm(decoded[k][row].numpy()[masks[k].numpy()]) for k in LAYERS]
        expected = 0.0
        for k, norm, factor in zip(LAYERS, norms, (1.5, 1.2), strict=True):
            gap = (phi[k][row] - decoded[k][row].numpy())[masks[k].numpy()]
            expected += factor * norm / sum(norms) * np.mean(gap**2)
        gap = phi["penultimate"][row] - decoded["penultimate"][row].numpy()
        expected += 0.3 * np.mean((deep.numpy() * gap**2)[3:])
        assert found[row] == pytest.approx(expected, rel=1e-5)


def test_the_first_codes_factors_go_by_depth_not_by_order(encoder) -> None:
    layers = ["Linear-2", "Linear-4", "final"]
    shapes = encoder.shapes(layers)
    targets = {
        k: Target(torch.ones(1, int(np.prod(shapes[k]))), torch.ones(int(np.prod(shapes[k])))) for k in layers
    }
    one, other = (
        StructureLoss(encoder, {k: targets[k] for k in order}, weighting="inverse_norm").weights[0]
        for order in (layers, layers[::-1])
    )
    np.testing.assert_allclose(one, other.flip(0), rtol=1e-6)
    norms = 1 / np.sqrt([np.prod(shapes[k]) for k in layers])
    np.testing.assert_allclose(one, np.array([1.5, 1.2, 1.0]) * norms / norms.sum(), rtol=1e-5)


# ------------------------------------------------------------------------------------------ the descent
def test_the_descent_is_adam_on_one_picture(autoencoder, encoder) -> None:
    """A plain loop over torch's Adam, one picture, everything spelled out."""
    stage = two_stage(autoencoder, encoder, n=1, steps=4, rate=0.05)
    found = stage.refine(responses(1), progress=False)
    z = autoencoder.arrange("z", torch.from_numpy(stage.decoders["z"].features.values)).requires_grad_(True)
    targets = {k: torch.from_numpy(d.features.values) for k, d in stage.structure.items()}
    optimiser = torch.optim.Adam([z], lr=0.05)
    losses, norms = [], []
    for _ in range(5):
        image = autoencoder({"z": z}, {})
        out = encoder.encode(image, LAYERS, grad=True)
        value = sum(((out[k].flatten(1) - targets[k]) ** 2).mean() for k in LAYERS)
        losses.append(float(value))
        optimiser.zero_grad()
        value.backward()
        norms.append(float(z.grad.norm()))
        optimiser.step()
    np.testing.assert_allclose(found["loss"][0], losses, rtol=1e-5)
    np.testing.assert_allclose(found["gradient"][0, :4, 0], norms[:4], rtol=1e-4)
    assert losses[-1] < losses[0]


def test_company_and_order_change_nothing(generator, encoder) -> None:
    """Each picture has a seed of its own, and a loss of its own."""
    whole = two_stage(generator, encoder, batch=8).refine(responses(), progress=False)
    single = two_stage(generator, encoder, batch=1).refine(responses(), progress=False)
    turned = two_stage(generator, encoder, batch=2).refine(responses()[::-1], progress=False)
    for other in (single, turned.sel(sample=whole.sample)):
        np.testing.assert_allclose(other["images"], whole["images"], atol=2e-3)
        np.testing.assert_allclose(other["loss"], whole["loss"], rtol=2e-3)
    assert len({seed_of(s, 42) for s in whole.sample.values}) == 5
    other_seed = two_stage(generator, encoder, batch=8, seed=1).refine(responses(), progress=False)
    assert float(abs(other_seed["imagined"] - whole["imagined"]).max()) > 0.01


def test_refining_begins_where_imagining_ends(generator, encoder) -> None:
    stage = two_stage(generator, encoder)
    imagined = stage.imagine(responses())
    refined = stage.refine(responses(), show=(0, 2, 3), progress=False)
    np.testing.assert_allclose(refined["imagined"], imagined, atol=1e-5)
    np.testing.assert_array_equal(refined["frames"].sel(frame=0), refined["imagined"])
    assert refined["frame"].values.tolist() == [0, 2, 3]
    assert imagined.dims == ("sample", "row", "column", "colour")
    assert imagined["stimulus"].values.tolist() == [f"picture-{i}" for i in range(5)]
    assert nd.store.provenance(refined)["what"] == "reconstruction.TwoStage.refine"


def broken_at(call: int):
    """Paints z, but the second picture of the batch is NaN from the given call on."""
    count = [0]

    def paint(z):
        count[0] += 1
        # Only pictures that began with a large value break, so that the second is told apart in any company.
        bad = (z.detach().flatten(1).mean(dim=1) > 5) & (count[0] > call)
        picture = torch.nn.functional.interpolate(z.sigmoid(), size=(32, 32))
        return torch.where(bad[:, None, None, None], torch.nan, picture)

    return Module(paint, latents={"z": (3, 4, 4)}, values=(0.0, 1.0))


def test_a_picture_that_breaks_is_set_back_and_the_others_go_on(encoder) -> None:
    start = np.random.default_rng(0).standard_normal((3, 48)).astype(np.float32)
    start[1] += 8
    given = {"latent": known(start, "z"), "structure": decoders(encoder, 3)["structure"]}
    settings = Settings(steps=6, rate=0.05)
    broken = TwoStage(broken_at(3), encoder, **given, settings=settings).refine(responses(3), progress=False)
    sound = TwoStage(broken_at(99), encoder, **given, settings=settings).refine(responses(3), progress=False)
    assert broken["end"].values.tolist() == ["all steps", "diverged", "all steps"]
    np.testing.assert_array_equal(broken["loss"][[0, 2]], sound["loss"][[0, 2]])
    np.testing.assert_array_equal(broken["loss"][1, :3], sound["loss"][1, :3])
    assert np.isnan(broken["loss"][1, 3:]).all()
    assert int(broken["best"][1]) < 3
    assert np.isfinite(broken["images"]).all()


def test_a_step_that_is_far_too_long_is_undone(autoencoder, encoder) -> None:
    wild = two_stage(autoencoder, encoder, settings=Settings(steps=5, rate=300.0, diverged=1.2))
    found = wild.refine(responses(), progress=False)
    lowest = found["loss"].min("iteration")
    for i in range(5):
        assert float(found["loss"][i, int(found["best"][i])]) == float(lowest[i])


def test_a_picture_stops_when_nothing_is_gained(autoencoder, encoder) -> None:
    still = two_stage(
        autoencoder, encoder, settings=Settings(steps=40, rate=1e-9, tolerance=1e-3, patience=5)
    )
    found = still.refine(responses(), progress=False)
    assert set(found["end"].values.tolist()) == {"converged"}
    assert np.isfinite(found["loss"]).sum("iteration").values.tolist() == [6] * 5


def test_noise_that_is_redrawn_makes_the_curve_fluctuate(generator, encoder) -> None:
    options = {"steps": 6, "rate": 1e-9}
    fixed = two_stage(generator, encoder, settings=Settings(**options)).refine(responses(2), progress=False)
    redrawn = two_stage(generator, encoder, settings=Settings(**options, noise="redrawn")).refine(
        responses(2), progress=False
    )
    assert float(fixed["loss"].std("iteration").max()) < 1e-5
    assert float(redrawn["loss"].std("iteration").min()) > 1e-4
    np.testing.assert_array_equal(fixed["loss"][:, 0], redrawn["loss"][:, 0])


def test_only_the_named_latents_move(generator, encoder) -> None:
    settings = Settings(steps=2, move=("z",))
    found = two_stage(generator, encoder, settings=settings).refine(responses(2), progress=False)
    assert found["latent"].values.tolist() == ["z"]


def test_every_latent_has_its_own_rate(generator, encoder) -> None:
    """Adam's first step is as long as its rate, whatever the gradient."""
    from neurodecode.reconstruction import descent

    rates = {"z": 0.02, "c": 0.3}
    stage = two_stage(generator, encoder, n=1, settings=Settings(steps=1, rate=rates))
    whole = stage._decoded(responses(1), structure=True)
    begin = stage._start(whole, np.arange(1))
    start, random = begin.latents, begin.random
    loss = stage._loss(whole, np.arange(1))
    seen = []

    def make(now, step):
        seen.append({k: v.detach().clone() for k, v in now.items()})
        return stage.generator(now, random)

    descent.descend(make, loss, start, stage.settings)
    for name, rate in rates.items():
        moved = (seen[1][name] - seen[0][name]).abs()
        assert float(moved.max()) == pytest.approx(rate, rel=1e-3)
    with pytest.raises(ValueError, match="rate names 'z', but the latent 'c' is moved too"):
        two_stage(generator, encoder, n=1, settings=Settings(rate={"z": 0.1})).refine(responses(1))


def test_of_several_starts_the_best_is_refined(generator, encoder) -> None:
    one = two_stage(generator, encoder, settings=Settings(steps=2))
    four = two_stage(generator, encoder, settings=Settings(steps=2, starts=4))
    found = four.refine(responses(), progress=False)
    plain = one.refine(responses(), progress=False)
    assert found["tried"].shape == (5, 4)
    np.testing.assert_allclose(found["tried"][:, 0], plain["loss"][:, 0], rtol=1e-5)
    np.testing.assert_allclose(found["loss"][:, 0], found["tried"].min("start"), rtol=1e-5)
    assert len(set(found["tried"].argmin("start").values.tolist())) > 1
    np.testing.assert_allclose(found["imagined"], one.imagine(responses()), atol=1e-5)
    single = dataclasses.replace(four.settings)
    turned = two_stage(generator, encoder, batch=2, settings=single).refine(responses()[::-1], progress=False)
    np.testing.assert_allclose(turned["images"][::-1], found["images"], atol=1e-4)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_start_that_is_not_finite_is_passed_over(value, encoder) -> None:
    pixels = Pixels(size=(32, 32))
    starts = [Start(pixels.draw([k, k + 10]), {}) for k in range(3)]
    starts[0].latents["pixels"][0] = (
        value  # the sigmoid of which is a picture: only the generator below breaks it
    )

    def paint(now, random):
        broken = torch.isfinite(now["pixels"]).flatten(1).all(dim=1).logical_not()
        return torch.where(broken[:, None, None, None], value, pixels(now, random))

    targets = {"Linear-2": Target(torch.zeros(2, 17 * 32), torch.ones(17 * 32, dtype=torch.bool))}
    chosen, first, tried = choose(paint, StructureLoss(encoder, targets), starts)
    assert np.isnan(tried).tolist() == [[True, False, False], [False] * 3]
    assert torch.isfinite(chosen.latents["pixels"]).all()
    assert np.isfinite(first).all()


def test_without_noise_there_is_one_start(autoencoder, encoder) -> None:
    found = two_stage(autoencoder, encoder, settings=Settings(steps=1, starts=4)).refine(
        responses(2), progress=False
    )
    assert found.sizes["start"] == 1
    with pytest.raises(ValueError, match=r"starts >= 1; got .*starts=0"):
        Settings(starts=0)


def test_an_overflowing_scale_is_halved_until_gradients_are_finite(encoder) -> None:
    targets = {"Linear-2": Target(torch.zeros(2, 17 * 32), torch.ones(17 * 32, dtype=torch.bool))}
    loss = StructureLoss(encoder, targets)
    pixels = Pixels(size=(32, 32))
    start = pixels.draw([1, 2])
    found = descend(lambda z, step: pixels(z, {}), loss, start, Settings(steps=200, scale=2.0**140))
    plain = descend(lambda z, step: pixels(z, {}), loss, start, Settings(steps=200))
    assert found.end.tolist() == ["all steps"] * 2
    assert np.isfinite(found.gradient["pixels"][:, -2]).all()
    assert (found.total[:, -1] < 0.9 * found.total[:, 0]).all()
    assert (plain.total[:, -1] <= found.total[:, -1]).all()


# ------------------------------------------------------------------------------------------ recipes
def conditional(n=8):
    """A small random GAN from noise and an instance's features to pictures."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(2 * n, 3 * 64), torch.nn.Tanh(), torch.nn.Unflatten(1, (3, 8, 8))
    )

    class Gan(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, noise, instance):
            picture = self.net(torch.cat([noise, instance], dim=1))
            return torch.nn.functional.interpolate(picture, size=(32, 32), mode="bilinear")

    return Module(Gan(), latents={"noise": (n,), "instance": (n,)}, free=("noise",), name="a conditional GAN")


def styled():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 3 * 64), torch.nn.Tanh(), torch.nn.Unflatten(1, (3, 8, 8)))
    up = torch.nn.Upsample(size=(32, 32), mode="bilinear")
    return Module(lambda w: up(net(w)), latents={"w": (8,)}, name="a style-based GAN")


@pytest.fixture(scope="module")
def adapters(folder, tmp_path_factory):
    """A small random generator for every adapter that a recipe names, in the published folder layouts."""
    tokens = small_models.write_diffusion(tmp_path_factory.mktemp("dual"), dual_cross_attention=True)
    unclip = small_models.write_diffusion(
        tmp_path_factory.mktemp("unclip"),
        class_embed_type="projection",
        projection_class_embeddings_input_dim=12,
    )
    return {
        "diffusion": reconstruction.load_diffusion(folder, schedule=SCHEDULE),
        "diffusion with image tokens": reconstruction.load_diffusion(
            tokens, schedule=SCHEDULE, image=(6, 16)
        ),
        "diffusion with an image embedding": reconstruction.load_diffusion(
            unclip, schedule=SCHEDULE, image=(12,)
        ),
        "diffusion with an IP-Adapter": reconstruction.load_diffusion(
            folder,
            schedule=SCHEDULE,
            ip_adapter=small_models.write_ip_adapter(
                tmp_path_factory.mktemp("ip"), reconstruction.load_diffusion(folder).unet
            ),
        ),
        "Mind-Reader": styled(),
        "Gu": conditional(),
    }


@pytest.mark.parametrize(
    ("name", "adapter"),
    [
        *((k, r.adapter) for k, r in reconstruction.RECIPES.items()),
        ("ATM", "diffusion with an image embedding"),
    ],
)
def test_every_recipe_lowers_its_structural_loss(name, adapter, adapters, encoder) -> None:
    """On random weights; the steps are the recipe's own, at most ten of them."""
    recipe = reconstruction.RECIPES[name]
    generator = adapters[name if adapter == "module" else adapter]
    assert set(recipe.latents) == set(generator.latents)
    rng = np.random.default_rng(2)
    given = {
        k: known(0.5 * rng.standard_normal((2, *v)).astype(np.float32), k)
        for k, v in generator.latents.items()
    }
    for free in generator.free:
        del given[free]
    stage = TwoStage(
        generator,
        encoder,
        others=given,
        structure=decoders(encoder, 2)["structure"],
        settings=dataclasses.replace(recipe.settings(), steps=min(recipe.steps, 10)),
    )
    found = stage.refine(responses(2), progress=False)
    assert (found["loss"].isel(iteration=-1) < found["loss"].isel(iteration=0)).all()
    assert found["latent"].values.tolist() == list(recipe.latents)


# ------------------------------------------------------------------------------------------ what pictures are made of
def test_the_oracle_reaches_the_picture(encoder) -> None:
    """With the true features, and pixels free to move, the loss all but vanishes: the machinery is not the limit."""
    stage = TwoStage(
        Pixels(size=(32, 32)),
        encoder,
        structure=decoders(encoder, 2)["structure"],
        settings=Settings(steps=150, rate=0.05),
    )
    found = stage.refine(responses(2), progress=False)
    assert (found["loss"][:, -1] < 0.1 * found["loss"][:, 0]).all()
    truth = pictures(5)[:2]
    before, after = (nd.metrics.pixcorr(found[name].values, truth).mean() for name in ("imagined", "images"))
    assert after > before + 0.3


@pytest.mark.recording
def test_structure_sharpens_photographs_in_the_real_tiny_autoencoder(shared_data) -> None:
    """Stable Diffusion's own latents, photographs, and the layers of the lab's CLIP: from a blurred start."""
    from scipy.ndimage import gaussian_filter
    from skimage import data, transform

    if not (shared_data / "taesd").is_dir():
        pytest.skip("the weights of the real tiny autoencoder are not here")
    shots = [data.astronaut()[:384, 64:448], data.chelsea()[:, 75:375], data.coffee()[:400, 100:500]]
    sharp = np.stack([transform.resize(s, (128, 128), anti_aliasing=True) for s in shots]).astype(np.float32)
    blurred = np.stack([gaussian_filter(s, (3, 3, 0)) for s in sharp])
    latents, encoder = vision.load_latents(shared_data / "taesd"), vision.load("lab")
    layers = [f"mlp-{k}" for k in range(1, 7)]
    stage = TwoStage(
        reconstruction.Autoencoder(latents, size=(128, 128)),
        encoder,
        latent=known(latents.encode(blurred).numpy(), "z"),
        structure={k: known(v.numpy(), k) for k, v in encoder.encode(sharp, layers).items()},
        settings=Settings(steps=60, rate=0.02),
    )
    found = stage.refine(responses(3), progress=False)
    before, after = (nd.metrics.ssim(found[name].values, sharp) for name in ("imagined", "images"))
    assert (after > before).all(), (before, after)


def test_masked_dimensions_have_no_say(autoencoder, encoder) -> None:
    given = decoders(encoder)
    size = given["structure"]["Linear-2"].features.sizes["feature"]
    mask = xr.DataArray(np.arange(size) < size // 4, dims="feature")
    other = given["structure"]["Linear-2"].features.copy(deep=True)
    other[:, size // 4 :] += 100.0
    results = [
        TwoStage(
            autoencoder,
            encoder,
            latent=given["latent"],
            structure={"Linear-2": Known(features)},
            masks={"Linear-2": mask},
            settings=Settings(steps=2),
        ).refine(responses(), progress=False)
        for features in (given["structure"]["Linear-2"].features, other)
    ]
    np.testing.assert_array_equal(results[0]["images"], results[1]["images"])
    np.testing.assert_array_equal(results[0]["loss"], results[1]["loss"])


def test_weights_are_numbers_and_reach_the_semantic_term(autoencoder, encoder) -> None:
    """All ones are no mask; twice the weight is twice the loss; the layer of meaning has its own."""
    given = decoders(encoder)
    structure = {"Linear-2": given["structure"]["Linear-2"]}
    meaning = ("Linear-4", given["structure"]["Linear-4"])

    def parts(masks):
        stage = TwoStage(
            autoencoder, encoder, latent=given["latent"], structure=structure, meaning=meaning, gamma=0.5, masks=masks,
            settings=Settings(steps=0),
        )  # fmt: skip
        return stage.refine(responses(), progress=False)["parts"].isel(iteration=0)

    def weights(factor):
        return xr.DataArray(np.full(544, factor), dims="feature")

    plain = parts(None)
    np.testing.assert_allclose(parts({"Linear-2": weights(1.0)}), plain, rtol=1e-6)
    both = parts({"Linear-2": weights(2.0), "Linear-4": weights(3.0)})
    np.testing.assert_allclose(both, plain * [2.0, 3.0], rtol=1e-6)


def test_one_decoder_of_stacked_layers_is_the_same_as_one_each(autoencoder, encoder) -> None:
    given = decoders(encoder)
    stacked = nd.brain.stack({k: d.features for k, d in given["structure"].items()})
    settings = Settings(steps=2)
    apart, together = (
        TwoStage(autoencoder, encoder, latent=given["latent"], structure=s, settings=settings).refine(
            responses(), progress=False
        )
        for s in (given["structure"], Known(stacked))
    )
    np.testing.assert_array_equal(apart["images"], together["images"])
    assert together["term"].values.tolist() == list(LAYERS)


def test_a_fitted_ridge_is_a_decoder(autoencoder, encoder) -> None:
    rng = np.random.default_rng(0)
    names = [f"picture-{i}" for i in range(20)]
    z = nd.brain.features(rng.standard_normal((20, 256)), stimulus=names, layer="z")
    brain = nd.brain.fmri(z.values @ rng.standard_normal((256, 40)), sample=names, stimulus=names)
    stage = TwoStage(autoencoder, latent=nd.RidgeDecoder(alpha=1.0).fit(brain[:15], z))
    assert stage.imagine(brain[15:]).shape == (5, 32, 32, 3)


# ------------------------------------------------------------------------------------------ what is refused
def test_decoders_that_do_not_fit_the_generator_are_refused(generator, autoencoder, encoder) -> None:
    given = decoders(encoder)
    with pytest.raises(ValueError, match=r"needs a decoder of 'c'; give semantic="):
        TwoStage(generator, encoder, latent=given["latent"])
    with pytest.raises(ValueError, match=r"has no latent 'c'; it has 'z'"):
        TwoStage(autoencoder, encoder, latent=given["latent"], semantic=given["semantic"])
    with pytest.raises(
        ValueError, match=r"latent 'z' of .* takes 256 features \(4 x 8 x 8\), got \(5, 255\)"
    ):
        TwoStage(autoencoder, latent=known(np.zeros((5, 255)), "z")).imagine(responses())
    with pytest.raises(ValueError, match="gamma weighs the semantic term"):
        TwoStage(autoencoder, encoder, latent=given["latent"], gamma=0.1)
    with pytest.raises(ValueError, match="move names 'w', but the latents are 'z'"):
        TwoStage(autoencoder, encoder, latent=given["latent"], settings=Settings(move=("w",)))
    with pytest.raises(ValueError, match="batch must be at least 1 picture, got 0"):
        TwoStage(autoencoder, encoder, latent=given["latent"], batch=0)
    with pytest.raises(
        ValueError, match=r"free latents \['w'\] are not among the latents \['z'\]; name some"
    ):
        Module(torch.tanh, latents={"z": (2,)}, free=("w",))


@pytest.mark.parametrize("move", [None, "w"])
def test_a_latent_that_makes_no_difference_is_not_moved(encoder, move) -> None:
    """Beside one that does, and alone, where torch would have nothing to go back through."""

    def paint(z, w):
        return torch.sigmoid(z).reshape(-1, 3, 1, 1).expand(-1, 3, 32, 32)

    generator = Module(paint, latents={"z": (3,), "w": (2,)}, values=(0.0, 1.0), name="paint")
    stage = TwoStage(
        generator,
        encoder,
        latent=known(np.zeros((5, 3), np.float32), "z"),
        others={"w": known(np.zeros((5, 2), np.float32), "w")},
        structure=decoders(encoder)["structure"],
        settings=Settings(steps=2, move=move),
    )
    with pytest.raises(
        ValueError, match=r"no gradient reaches the latent 'w'.*other latents in Settings\(move="
    ):
        stage.refine(responses(), progress=False)


def test_layers_and_masks_that_do_not_fit_are_refused_before_any_picture(
    autoencoder, encoder, monkeypatch
) -> None:
    given = decoders(encoder)

    def stage(**options):
        return TwoStage(autoencoder, encoder, latent=given["latent"], **options).refine(
            responses(), progress=False
        )

    monkeypatch.setattr(type(autoencoder), "__call__", None)  # a picture would fail with another error
    with pytest.raises(ValueError, match=r"stage 2 needs vision=\.\.\. and structure="):
        stage()
    with pytest.raises(ValueError, match="has no layer 'Linear-99'"):
        stage(structure={"Linear-99": given["structure"]["Linear-2"]})
    with pytest.raises(
        ValueError, match=r"layer 'Linear-2' of .* has 544 dimensions \(17 x 32\) but its decoder returns 3"
    ):
        stage(structure={"Linear-2": known(np.zeros((5, 3)), "Linear-2")})
    with pytest.raises(ValueError, match="masks lack the layer 'Linear-4'"):
        stage(
            structure=given["structure"], masks={"Linear-2": xr.DataArray(np.ones(544, bool), dims="feature")}
        )
    with pytest.raises(ValueError, match=r"must be boolean, or weights, \(544,\), got bool \(3,\)"):
        stage(
            structure=given["structure"], masks={"Linear-2": xr.DataArray(np.ones(3, bool), dims="feature")}
        )
    spoiled = xr.DataArray(np.full(544, -1.0), dims="feature")
    spoiled[:540] = 1.0
    with pytest.raises(ValueError, match="4 of 544 weights of 'Linear-2' are negative or not finite"):
        stage(structure={"Linear-2": given["structure"]["Linear-2"]}, masks={"Linear-2": spoiled})
    with pytest.raises(
        ValueError, match="mask of 'Linear-2' keeps none of its 544 dimensions; leave the layer"
    ):
        stage(
            structure=given["structure"],
            masks=dict.fromkeys(LAYERS, xr.DataArray(np.zeros(544, bool), dims="feature")),
        )
    for show in ([], [0, 61]):
        with pytest.raises(
            ValueError, match="at least one iteration from 0 to 60, got " + re.escape(str(show))
        ):
            two_stage(autoencoder, encoder, steps=60).refine(responses(), show=show, progress=False)
    with pytest.raises(ValueError, match="without 'layer'"):
        stage(structure=Known(given["latent"].features.drop_vars("layer")))


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="steps >= 0, rate > 0"):
        Settings(rate=0.0)
    with pytest.raises(ValueError, match="unknown noise 'sometimes'; choose one of 'fixed', 'redrawn'"):
        Settings(noise="sometimes")
    for wrong in ({"diverged": 0.5}, {"diverged": np.nan}, {"tolerance": 1.0}, {"tolerance": -0.1}, {"scale": 0.0},
                  {"scale": np.inf}, {"move": ()}, {"patience": 0}, {"rate": {"z": 0.1, "c": np.nan}}):  # fmt: skip
        [name] = wrong
        with pytest.raises(
            ValueError, match=rf"diverged >= 1, scale > 0, a latent or more in move.*; got .*{name}="
        ):
            Settings(**wrong)
    # One name alone is no sequence of letters.
    assert Settings(move="image").move == ("image",)
    with pytest.raises(TypeError, match="scale must be one number, got 'large'"):
        Settings(scale="large")
    with pytest.raises(ValueError, match="1 <= denoise <= noise_to <= steps, got denoise=6, noise_to=5"):
        Schedule(steps=10, noise_to=5, denoise=6)
    with pytest.raises(ValueError, match="unknown precision 'float8'"):
        Memory(precision="float8")
    with pytest.raises(ValueError, match="through must be at least 1 step, or None for all; got 0"):
        Memory(through=0)


# ------------------------------------------------------------------------------------------ long runs
def test_a_run_that_was_cut_off_goes_on_with_the_same_bytes(autoencoder, encoder, tmp_path) -> None:
    stage = two_stage(autoencoder, encoder, batch=2)
    whole = stage.refine(responses(), resume=tmp_path / "whole", progress=False)
    again = stage.refine(responses(), resume=tmp_path / "again", progress=False)
    for name in ("picture-00001.nc", "picture-00004.nc"):
        (tmp_path / "again" / name).unlink()
    again = stage.refine(responses(), resume=tmp_path / "again", progress=False)
    xr.testing.assert_identical(whole.drop_attrs(), again.drop_attrs())
    files = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert files == sorted(p.name for p in (tmp_path / "again").iterdir())
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_folder_of_another_run_is_refused(autoencoder, encoder, tmp_path) -> None:
    two_stage(autoencoder, encoder).refine(responses(), resume=tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="begun with another key; 1 of .* 'seed': 42 in the folder, 7 now"):
        two_stage(autoencoder, encoder, seed=7).refine(responses(), resume=tmp_path / "run", progress=False)


def test_what_makes_other_pictures_makes_another_key(autoencoder, encoder, folder, tmp_path) -> None:
    """The reading, the layer of meaning, what black and white are, how far back gradients pass."""

    def stage(meaning="Linear-2", reading="paper"):
        deep = (meaning, decoders(encoder)["structure"]["Linear-2"])
        made = two_stage(autoencoder, encoder, meaning=deep, gamma=0.1)
        made.vision = vision.Encoder(encoder.module, name="e", reading=reading)
        return made

    stage().refine(responses(), resume=tmp_path / "run", progress=False)
    for key, other in {"meaning": stage(meaning="Linear-4"), "reading": stage(reading="code")}.items():
        with pytest.raises(ValueError, match=f"begun with another key; 1 of .* '{key}'"):
            other.refine(responses(), resume=tmp_path / "run", progress=False)
    paint = {"latents": {"w": (8,)}, "name": "paint"}
    assert len({Module(str, values=v, **paint).weights for v in [(-1.0, 1.0), (0.0, 1.0)]}) == 2
    whole, found = reconstruction.load_diffusion(folder, schedule=SCHEDULE), set()
    for through in (None, 1, 2):
        whole.memory = Memory(through=through)
        found.add(whole.weights)
    assert len(found) == 3


KILLED = """
import os, random, signal, sys, time
from pathlib import Path

import numpy as np
import torch

torch.set_num_threads(1)  # a forked process must not wait for threads that it does not have
import neurodecode as nd
from neurodecode import reconstruction, vision
from tests.test_reconstruction import known, pictures, responses

diffusion, clip, out = sys.argv[1:4]
encoder = vision.load(clip)
autoencoder = reconstruction.Autoencoder(vision.load_latents(diffusion), size=(32, 32))
N = 40
z = known(np.random.default_rng(1).standard_normal((N, 256), dtype=np.float32), "z")
target = known(encoder.encode(pictures(N), "Linear-2")["Linear-2"].numpy(), "Linear-2")
stage = reconstruction.TwoStage(
    autoencoder, encoder, latent=z, structure={"Linear-2": target},
    settings=reconstruction.Settings(steps=8), batch=4,
)

def run(folder):
    stage.refine(responses(N), resume=Path(out) / folder, progress=False)

run("undisturbed")
draw = random.Random(0)
kills, partly = 0, 0
while kills < 10:
    child = os.fork()
    if child == 0:
        try:
            run("killed")
        finally:
            os._exit(0)
    finished = len(list((Path(out) / "killed").glob("*.nc")))
    # Any moment from the first write on: in the middle of a batch, of a file, or of its renaming.
    while len(list((Path(out) / "killed").glob("*.nc"))) < min(finished + 1, N):
        time.sleep(0.0005)
    time.sleep(draw.random() * 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills += 1
    partly += 0 < len(list((Path(out) / "killed").glob("*.nc"))) < N
run("killed")
print("kills", kills, "in the middle", partly)
"""


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_byte(folder, encoder, tmp_path, tmp_path_factory) -> None:
    clip = small_models.write_clip(tmp_path_factory.mktemp("clip"))
    command = [sys.executable, "-c", KILLED, str(folder), str(clip), str(tmp_path)]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=root)
    assert done.returncode == 0, done.stderr[-2000:]
    kills, partly = (int(w) for w in done.stdout.split() if w.isdigit())
    assert kills == 10
    assert partly >= 5, "most kills came too late to interrupt anything"
    whole, killed = (tmp_path / name for name in ("undisturbed", "killed"))
    files = sorted(p.name for p in whole.iterdir())
    assert len(files) == 41  # and the key
    assert files == sorted(p.name for p in killed.iterdir())
    assert all((whole / f).read_bytes() == (killed / f).read_bytes() for f in files)
