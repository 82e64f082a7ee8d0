"""Encoders, text and latents equal the libraries' own calls; the features stream, resume, and are whole or not there.

The models are random ones, saved in the layouts in which the published ones come, and loaded as a user would.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import xarray as xr

import neurodecode as nd
from neurodecode import vision
from neurodecode.store import provenance
from neurodecode.vision import _backends, _files, _pictures, encoders

torch = pytest.importorskip("torch")
from tests import small_models  # noqa: E402
from tests.small_models import CLIP, NORMALISATION  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
CAPTIONS = ["a red cat", "cat", "a " * 30]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    return small_models.write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def encoder(clip_folder):
    return vision.load(clip_folder)


@pytest.fixture(scope="module")
def own(clip_folder):
    """The same model, as open_clip itself loads it."""
    return _backends.open_clip().create_model(f"local-dir:{clip_folder}").eval()


@pytest.fixture(scope="module")
def diffusion_folder(tmp_path_factory):
    return small_models.write_diffusion(tmp_path_factory.mktemp("diffusion"))


@pytest.fixture(scope="module")
def pipeline(diffusion_folder):
    """The same model, as diffusers itself loads it."""
    loaded = (
        _backends.diffusers()
        .StableDiffusionPipeline.from_pretrained(diffusion_folder, low_cpu_mem_usage=False)
        .to(torch.float32)
    )
    loaded.text_encoder.eval(), loaded.vae.eval()
    return loaded


@pytest.fixture
def images():
    values = np.random.default_rng(0).random((7, 32, 32, 3), dtype=np.float32)
    return nd.brain.images(values, stimulus=[f"picture-{i}" for i in range(7)])


def normalised(images) -> torch.Tensor:
    mean, std = (torch.tensor(NORMALISATION[k]) for k in ("mean", "std"))
    return ((torch.from_numpy(images.values) - mean) / std).permute(0, 3, 1, 2)


def by_hand(visual, x) -> tuple[list, torch.Tensor]:
    """Every block's MLP output and what comes out of the last block, written out step by step."""
    x = visual.conv1(x).flatten(2).transpose(1, 2)
    first = visual.class_embedding.expand(len(x), 1, -1)
    x = visual.ln_pre(torch.cat([first, x], dim=1) + visual.positional_embedding)
    found = []
    for block in visual.transformer.resblocks:
        normed = block.ln_1(x)
        x = x + block.attn(normed, normed, normed, need_weights=False)[0]
        hidden = torch.nn.functional.linear(block.ln_2(x), block.mlp.c_fc.weight, block.mlp.c_fc.bias)
        hidden = torch.nn.functional.gelu(hidden)
        found.append(torch.nn.functional.linear(hidden, block.mlp.c_proj.weight, block.mlp.c_proj.bias))
        x = x + found[-1]
    return found, x


# ------------------------------------------------------------------------------------------------- encoders
def test_layers_are_the_blocks_mlp_outputs(encoder, own, images) -> None:
    names = [f"mlp-{k}" for k in range(1, 13)]
    found = encoder.encode(images, [*names, "penultimate", "final"])
    with torch.no_grad():
        expected, last = by_hand(own.visual, normalised(images))
        penultimate = own.visual.ln_post(last)[:, 0]
        final = own.encode_image(normalised(images))
    assert list(found) == [*names, "penultimate", "final"]
    for name, value in zip(names, expected, strict=True):
        assert found[name].shape == (7, 17, 32)
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["penultimate"], penultimate, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["final"], final, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["penultimate"] @ own.visual.proj, final, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found["final"].norm(dim=1), torch.ones(7), atol=0.01)


def test_blocks_agree_with_open_clips_own_intermediates(encoder, own, images) -> None:
    """Without its attention a block adds its MLP's output alone, so that intermediates differ by just that."""
    saved = [b.attn.out_proj.weight.clone() for b in own.visual.transformer.resblocks]
    silent = {
        k: torch.zeros_like(v) if ".attn.out_proj." in k else v for k, v in own.visual.state_dict().items()
    }
    mine = encoders.Encoder(_copy(own.visual), name="silent")
    mine.module.load_state_dict(silent)
    with torch.no_grad():
        theirs = mine.module.forward_intermediates(
            normalised(images), output_fmt="NLC", output_extra_tokens=True
        )
    whole = [
        torch.cat(pair, dim=1)
        for pair in zip(theirs["image_intermediates_prefix"], theirs["image_intermediates"], strict=True)
    ]
    found = mine.encode(images, ["mlp-2", "mlp-7", "mlp-12"])
    for k in (2, 7, 12):
        torch.testing.assert_close(found[f"mlp-{k}"], whole[k - 1] - whole[k - 2], rtol=1e-3, atol=1e-4)
    assert all(
        torch.equal(s, b.attn.out_proj.weight)
        for s, b in zip(saved, own.visual.transformer.resblocks, strict=True)
    )


def _copy(module):
    import copy

    return copy.deepcopy(module)


def test_both_readings_of_the_six_layers(clip_folder, encoder, images) -> None:
    code = vision.load(clip_folder, reading="code")
    assert [encoder.block(k) for k in vision.STRUCTURE] == [2, 4, 6, 8, 10, 12]
    assert [code.block(k) for k in vision.STRUCTURE] == [1, 2, 3, 4, 5, 6]
    blocks = encoder.encode(images, [f"mlp-{k}" for k in range(1, 13)])
    for one, numbers in ((encoder, (2, 4, 6, 8, 10, 12)), (code, (1, 2, 3, 4, 5, 6))):
        found = one.encode(images, vision.STRUCTURE)
        for name, k in zip(vision.STRUCTURE, numbers, strict=True):
            torch.testing.assert_close(found[name], blocks[f"mlp-{k}"])
    assert "Linear-3" in encoder.layers
    assert "Linear-3" not in code.layers


def test_blocks_after_the_last_layer_asked_for_are_not_computed(encoder, images) -> None:
    ran = []
    hooks = [
        block.register_forward_hook(lambda *_, k=k: ran.append(k + 1))
        for k, block in enumerate(encoder.module.transformer.resblocks)
    ]
    encoder.encode(images[:1], ["mlp-3", "mlp-1"])
    for hook in hooks:
        hook.remove()
    assert ran == [1, 2]  # the third is left at its MLP
    assert not any(m._forward_hooks for m in encoder.module.modules())


@pytest.mark.parametrize("layer", ["mlp-5", "penultimate", "final"])
def test_gradients_flow_back_to_the_images(encoder, own, images, layer) -> None:
    mine = torch.from_numpy(images.values).requires_grad_()
    encoder.encode(mine, layer, grad=True)[layer].square().sum().backward()
    theirs = torch.from_numpy(images.values).requires_grad_()
    mean, std = (torch.tensor(NORMALISATION[k]) for k in ("mean", "std"))
    blocks, last = by_hand(own.visual, ((theirs - mean) / std).permute(0, 3, 1, 2))
    pooled = own.visual.ln_post(last)[:, 0]
    value = {"mlp-5": blocks[4], "penultimate": pooled, "final": pooled @ own.visual.proj}[layer]
    value.square().sum().backward()
    own.zero_grad()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-4)
    assert float(mine.grad.abs().max()) > 0
    assert not encoder.encode(mine, layer)[layer].requires_grad
    assert all(p.grad is None and not p.requires_grad for p in encoder.module.parameters())


@pytest.mark.parametrize("shape", [(48, 48), (20, 20), (50, 41), (33, 70)])
def test_pictures_of_another_size_are_prepared_as_open_clip_does(encoder, shape) -> None:
    from PIL import Image

    # 8-bit and smooth, as pictures are: Pillow rounds after each of its two passes
    small = np.random.default_rng(1).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize(shape[::-1], Image.Resampling.BICUBIC)
    theirs = _backends.open_clip().image_transform(32, is_train=False, **NORMALISATION)(picture)
    mine = encoder._normalised(_pictures.as_tensor(np.asarray(picture)[None], device="cpu"))[0]
    assert mine.shape == theirs.shape
    assert float((mine - theirs).abs().max()) < 2 / 255 / 0.2


def test_half_precision_on_disk_is_computed_in_single_precision(encoder, diffusion_folder) -> None:
    modules = [encoder, vision.load_text(diffusion_folder), vision.load_latents(diffusion_folder)]
    assert {p.dtype for m in modules for p in m.module.parameters()} == {torch.float32}


def test_an_encoder_that_pads_takes_pictures_of_its_proportions_alone(clip_folder, tmp_path, images) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    said = {"model_cfg": CLIP, "preprocess_cfg": {**NORMALISATION, "resize_mode": "longest"}}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    encoder = vision.load(folder)
    assert encoder.preprocessing["resize_mode"] == "longest"
    with pytest.raises(
        ValueError, match=r"pads pictures to 32 x 32, and these are 20 x 32; pad them to these"
    ):
        encoder.encode(images[:, :20], "final")
    half = images.values.reshape(7, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    assert encoder.encode(half, "final")["final"].shape == (7, 24)


def test_a_field_is_where_the_patch_is(own, images) -> None:
    """Without attention a token sees its own patch alone: changing that patch changes just this token."""
    silent = _copy(own.visual)
    with torch.no_grad():
        for block in silent.transformer.resblocks:
            block.attn.out_proj.weight.zero_()
    mute = encoders.Encoder(silent, name="silent")
    changed = images.copy(deep=True)
    row, column = 5, 26  # the uppermost row of patches, the rightmost column
    changed[:, row, column] = 1 - changed[:, row, column]
    before, after = (vision.extract_features(x, mute, ["mlp-2"], progress=False) for x in (images, changed))
    touched = np.flatnonzero(np.abs(after - before).max("stimulus").values > 1e-5)
    assert set(before.token.values[touched]) == {4}
    assert set(before.field_x.values[touched]) == {0.75}
    assert set(before.field_y.values[touched]) == {0.75}
    assert before.token.values.tolist() == np.repeat(np.arange(17), 32).tolist()
    assert np.isnan(before.field_x.values[:32]).all()


def test_a_model_of_open_clips_list(clip_folder, own, images, tmp_path) -> None:
    open_clip = _backends.open_clip()
    (tmp_path / "neurodecode-tiny.json").write_text(json.dumps(CLIP))
    open_clip.add_model_config(tmp_path / "neurodecode-tiny.json")
    weights = str(clip_folder / "open_clip_model.safetensors")
    listed = vision.load("neurodecode-tiny", pretrained=weights)
    x = (torch.from_numpy(images.values) - torch.tensor(open_clip.OPENAI_DATASET_MEAN)) / torch.tensor(
        open_clip.OPENAI_DATASET_STD
    )
    with torch.no_grad():
        expected = own.encode_image(x.permute(0, 3, 1, 2))
    torch.testing.assert_close(listed.encode(images, "final")["final"], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="alone names no weights"):
        vision.load("neurodecode-tiny")
    with pytest.raises(ValueError, match=r"no weights 'nowhere'"):
        vision.load("neurodecode-tiny", pretrained="nowhere")


def test_weights_get_the_activation_that_they_were_trained_with(clip_folder, tmp_path) -> None:
    """open_clip only warns when OpenAI's weights are asked for under the plain name, and uses another function."""
    assert encoders.trained_with_quick_gelu("ViT-B-32", "openai")
    assert not encoders.trained_with_quick_gelu("ViT-B-32", "laion2b_s34b_b79k")
    for quick, kind in ((True, "QuickGELU"), (False, "GELU")):
        model = encoders._create(f"local-dir:{clip_folder}", quick_gelu=quick)
        assert type(model.visual.transformer.resblocks[0].mlp.gelu).__name__ == kind


def test_images_that_are_no_pictures_are_refused(encoder, images) -> None:
    values = images.values
    with pytest.raises(ValueError, match=r"0 to 1, found 0\.\d+ to 254"):
        encoder.encode(values * 255, "final")
    with pytest.raises(ValueError, match="put the colours last"):
        encoder.encode(values.transpose(0, 3, 1, 2), "final")
    with pytest.raises(ValueError, match=r"images\[None\]"):
        encoder.encode(values[0], "final")
    with pytest.raises(ValueError, match="0 to 1, found nan"):
        encoder.encode(np.full_like(values, np.nan), "final")
    for wrong in (values > 0.5, values.astype("U4"), values + 1j):
        with pytest.raises(ValueError, match=f"real numbers, got dtype {wrong.dtype}; give uint8, or values"):
            encoder.encode(wrong, "final")
    in_bytes = (values * 255).astype(np.uint8)
    torch.testing.assert_close(
        encoder.encode(in_bytes, "final")["final"],
        encoder.encode((in_bytes / 255).astype("f4"), "final")["final"],
    )


def test_unknown_names_are_refused_with_those_there_are(encoder, clip_folder) -> None:
    with pytest.raises(
        ValueError, match=r"no layer 'Linear-13'; it has 'Linear-1', .*'penultimate', 'final'"
    ):
        encoder.encode(np.zeros((1, 32, 32, 3)), ["final", "Linear-13"])
    with pytest.raises(ValueError, match="each once"):
        encoder.encode(np.zeros((1, 32, 32, 3)), ["final", "final"])
    with pytest.raises(ValueError, match="unknown reading 'mine'; choose one of 'paper', 'code'"):
        vision.load(clip_folder, reading="mine")
    with pytest.raises(ValueError, match="open_clip has no model 'ViT-B-33'.*'ViT-B-32'"):
        vision.load("ViT-B-33", pretrained="openai")
    with pytest.raises(ValueError, match=r"alone names no weights; give pretrained=.*'openai'"):
        vision.load("ViT-B-32")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        vision.load("./no/such/folder")


def test_a_folder_that_is_no_models_says_what_it_has(clip_folder, diffusion_folder, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"clip.* has weights of its own; leave out pretrained='openai'"):
        vision.load(clip_folder, pretrained="openai")
    with pytest.raises(NotADirectoryError, match=r"open_clip_model\.safetensors is a file; give the folder"):
        vision.load(clip_folder / "open_clip_model.safetensors")
    with pytest.raises(
        FileNotFoundError, match=r"no open_clip_config\.json in .*; it holds nothing; copy all"
    ):
        vision.load(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"no open_clip_config\.json in .*model; it holds .*'unet', 'vae'"
    ):
        vision.load(diffusion_folder)
    # Not "it holds nothing" of a folder within that is not there either.
    with pytest.raises(
        FileNotFoundError,
        match=r"no text_encoder/config\.json in .*clip\w*; it holds 'open_clip_config\.json', ",
    ):
        vision.load_text(clip_folder)
    with pytest.raises(
        ValueError, match=r"unet is of the kind 'UNet2DConditionModel'; 'AutoencoderKL', 'Auto"
    ):
        vision.load_latents(diffusion_folder / "unet")
    for said, words in {
        "{}": "but has only braces; copy it again",
        '{"preprocess_cfg": {}}': "but has only 'preprocess_cfg'; copy",
        '{"model_cfg": [1]}': "but has one of type list; copy",
    }.items():
        (tmp_path / "open_clip_config.json").write_text(said)
        with pytest.raises(ValueError, match=rf"_config\.json needs an object 'model_cfg', .* {words}"):
            vision.load(tmp_path)


def test_pickled_weights_are_refused(clip_folder, diffusion_folder, tmp_path) -> None:
    config = (clip_folder / "open_clip_config.json").read_text()
    (tmp_path / "open_clip_config.json").write_text(config)
    with pytest.raises(FileNotFoundError, match=r"no \.safetensors file"):
        vision.load(tmp_path)
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"pickled files can execute any code"):
        vision.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((clip_folder / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="would take the pickled file; rename"):
        vision.load(tmp_path)
    with pytest.raises(ValueError, match="is a pickled file"):
        vision.load("ViT-B-32", pretrained="weights.pt")
    for part, load in (("text_encoder", vision.load_text), ("vae", vision.load_latents)):
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text((diffusion_folder / part / "config.json").read_text())
        (tmp_path / part / "pytorch_model.bin").write_bytes(b"")
        with pytest.raises(ValueError, match=r"'pytorch_model\.bin': pickled files"):
            load(tmp_path)


def test_a_missing_extra_is_named(monkeypatch, clip_folder) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ImportError, match=r"needs open_clip.*pip install 'neurodecode-toolkit\[vision\]'"):
        vision.load(clip_folder)


def test_one_module_imports_the_heavy_libraries_for_all() -> None:
    heavy = {"torchvision", "timm", "open_clip", "transformers", "diffusers"}
    found = []
    for file in sorted((ROOT / "neurodecode").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found += [f"{file.name}: {n}" for n in names if n.split(".")[0] in heavy]
    assert found == []
    for name in heavy:
        assert getattr(_backends, name)().__name__ == name


# ---------------------------------------------------------------------------------------------- text
def test_tokens_are_what_the_pipeline_itself_computes(diffusion_folder, pipeline) -> None:
    text = vision.load_text(diffusion_folder)
    found = text.tokens(CAPTIONS)
    with torch.no_grad():
        expected, empty = pipeline.encode_prompt(CAPTIONS, "cpu", 1, True)
    assert found.shape == (3, 15, 16)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(text.empty(), empty[:1])
    torch.testing.assert_close(text.tokens("cat"), found[1:2])
    torch.testing.assert_close(text.prompt_embedding(["cat"]), text.tokens(["a picture of cat"]))
    torch.testing.assert_close(found[:, 0], found[:1, 0].expand(3, -1))
    assert text.cut(CAPTIONS).tolist() == [False, False, True]


def test_text_features_are_the_mean_over_captions_without_the_first_token(diffusion_folder) -> None:
    text = vision.load_text(diffusion_folder)
    captions = {"b": ["a red cat", "cat"], "a": "dog", "c": ["x", "y", "z"]}
    found = vision.text_features(captions, text, batch=2, progress=False)
    assert found.stimulus.values.tolist() == ["b", "a", "c"]
    assert found.dtype == np.float32
    for name, written in captions.items():
        expected = text.tokens(written)[:, 1:].mean(0).flatten().numpy()
        np.testing.assert_allclose(found.sel(stimulus=name), expected, rtol=1e-5, atol=1e-6)
    assert found.token.values.tolist() == np.repeat(np.arange(1, 15), 16).tolist()
    assert set(found.layer.values) == {"c"}
    torch.testing.assert_close(text.restore(found)[1], text.tokens("dog")[0])
    labelled = xr.DataArray([["x", "y", "z"]], dims=("stimulus", "caption"), coords={"stimulus": ["c"]})
    np.testing.assert_allclose(
        vision.text_features(labelled, text, progress=False)[0], found.sel(stimulus="c"), rtol=1e-5, atol=1e-6
    )
    missing = xr.DataArray(
        np.array([["a cat", np.nan], [np.nan, "a dog"]], dtype=object),
        dims=("stimulus", "caption"),
        coords={"stimulus": ["p1", "p2"]},
    )
    with pytest.raises(ValueError, match="2 of 4 captions are no text, first nan of stimulus 'p1'; drop"):
        vision.text_features(missing, text)
    # As a column of a table becomes one.
    for hole in (np.nan, None, ["a dog", np.nan]):
        with pytest.raises(
            ValueError, match="1 of . captions are no text, first (nan|None) of stimulus 'p2'"
        ):
            vision.text_features({"p1": "a cat", "p2": hole}, text)
    with pytest.raises(ValueError, match="1 of 2 stimuli have no caption"):
        vision.text_features({"a": "x", "b": []}, text)
    with pytest.raises(TypeError, match=r"must be \{stimulus: captions\} or labelled text, not list"):
        vision.text_features(["a cat", "a dog"], text)
    with pytest.raises(ValueError, match="texts, one or more; got 3 at position 1"):
        text.tokens(["a cat", 3])
    with pytest.raises(ValueError, match="texts, one or more; got none"):
        text.tokens([])
    with pytest.raises(ValueError, match=r"\(n, 224 = 14 x 16\), got shape \(1, 5\)"):
        text.restore(np.zeros((1, 5)))


def test_a_length_without_positions_and_another_kind_are_refused(diffusion_folder, tmp_path) -> None:
    assert vision.load_text(diffusion_folder, length=20).tokens("a").shape == (1, 20, 16)
    with pytest.raises(ValueError, match="from 2 to 20"):
        vision.load_text(diffusion_folder, length=21)
    (tmp_path / "text_encoder").mkdir()
    (tmp_path / "text_encoder" / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(ValueError, match="kind 't5'"):
        vision.load_text(tmp_path)


# ------------------------------------------------------------------------------------------- latents
def test_latents_are_what_the_autoencoder_itself_computes(diffusion_folder, pipeline, images) -> None:
    latents = vision.load_latents(diffusion_folder)
    found = latents.encode(images)
    pixels = torch.from_numpy(images.values).permute(0, 3, 1, 2) * 2 - 1
    with torch.no_grad():
        expected = pipeline.vae.encode(pixels).latent_dist.mode() * 0.7
        decoded = pipeline.image_processor.postprocess(
            pipeline.vae.decode(expected / 0.7).sample, output_type="np"
        )
    assert found.shape == (7, *latents.shape(32, 32)) == (7, 4, 8, 8)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(latents.decode(found), decoded, rtol=1e-4, atol=1e-5)
    z = found.clone().requires_grad_()
    latents.decode(z, grad=True).sum().backward()
    assert float(z.grad.abs().max()) > 0
    assert not latents.decode(z).requires_grad
    with pytest.raises(ValueError, match="multiples of 4 pixels, got 30 x 32"):
        latents.encode(images[:, :30])
    with pytest.raises(ValueError, match=r"\(n, 4, row, column\)"):
        latents.decode(np.zeros((1, 3, 8, 8)))


def test_latent_features_say_where_they_are(diffusion_folder, images, monkeypatch) -> None:
    latents = vision.load_latents(diffusion_folder, size=64)
    found = vision.latent_features(images, latents, batch=3, progress=False)
    np.testing.assert_allclose(found, latents.encode(images).flatten(1), rtol=1e-4, atol=1e-5)
    assert found.sizes["feature"] == 4 * 16 * 16
    monkeypatch.setattr(latents, "encode", _pooled_planes)
    spot = images.copy(data=np.zeros(images.shape, "f4"))
    spot[:, 4:6, 26:28, 1] = 1.0  # centre: row 5, column 27 of 32, in the second plane
    lit = vision.latent_features(spot, latents, progress=False).isel(stimulus=0)
    (only,) = np.flatnonzero(lit.values)
    assert (lit.plane.values[only], lit.field_x.values[only], lit.field_y.values[only]) == (
        1,
        11 / 16,
        11 / 16,
    )


def _pooled_planes(images: xr.DataArray) -> torch.Tensor:
    """Latents whose plane k is colour k, the mean over 2 x 2 pixels."""
    pooled = torch.from_numpy(images.values.reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4))).permute(
        0, 3, 1, 2
    )
    return torch.cat([pooled, torch.zeros_like(pooled[:, :1])], dim=1)


def test_the_tiny_autoencoder(tmp_path, images) -> None:
    diffusers = _backends.diffusers()
    torch.manual_seed(0)
    module = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8), num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1), scaling_factor=0.5,
    ).eval()  # fmt: skip
    module.save_pretrained(tmp_path / "tiny")
    latents = vision.load_latents(tmp_path / "tiny")
    pixels = torch.from_numpy(images.values).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = module.encode(2 * pixels - 1).latents
        decoded = module.decode(expected).sample
    found = latents.encode(images)
    torch.testing.assert_close(found, 0.5 * expected)
    torch.testing.assert_close(
        latents.decode(found, clip=False), (decoded / 2 + 0.5).permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.recording
def test_the_real_tiny_autoencoder_reconstructs_the_labs_pictures(shared_data) -> None:
    folder = shared_data / "taesd"
    if not folder.is_dir():
        pytest.skip("the weights of the real tiny autoencoder are not here")
    pictures = pytest.importorskip("neurodecode.datasets.lab.pictures")
    scenes = pictures.draw(np.arange(2), np.random.default_rng(0))
    small = torch.from_numpy(pictures.render(scenes)).permute(0, 3, 1, 2)
    large = _pictures.fitted(small, (192, 192), mode="bilinear").permute(0, 2, 3, 1)
    latents = vision.load_latents(folder)
    z = latents.encode(large)
    assert z.shape == (2, 4, 24, 24)
    again = latents.decode(z)
    for truth, found in zip(large, again, strict=True):
        assert np.corrcoef(truth.flatten(), found.flatten())[0, 1] > 0.95


# ----------------------------------------------------------------------------------------- streaming
class Counted:
    """Counts the batches that an encoder computes, and fails at one of them."""

    def __init__(self, monkeypatch, encoder, *, fail_at: int | None = None) -> None:
        self.seen: list[float] = []
        self.fail_at = fail_at
        self._encode = encoder.encode
        monkeypatch.setattr(encoder, "encode", self)

    def __call__(self, images, layers, grad: bool = False):
        if isinstance(images, xr.DataArray):  # not the blank picture that tells the layers' shapes
            if len(self.seen) == self.fail_at:
                raise KeyboardInterrupt
            self.seen += [str(images.stimulus.values[0])]
        return self._encode(images, layers)


LAYERS = ["Linear-4", "penultimate", "final"]


def test_features_in_memory_and_on_disk_are_the_encoders(encoder, images, tmp_path) -> None:
    found = vision.extract_features(images, encoder, LAYERS, batch=3, progress=False)
    expected = encoder.encode(images, LAYERS)
    for name in LAYERS:
        block = found.isel(feature=np.flatnonzero(found.layer.values == name))
        np.testing.assert_allclose(block, expected[name].flatten(1), rtol=1e-4, atol=1e-5)
    assert found.dims == ("stimulus", "feature")
    assert found.unit.values.tolist() == [*range(17 * 32), *range(32), *range(24)]
    assert set(found.token.values[-56:]) == {-1}
    stored = vision.extract_features(
        images, encoder, LAYERS, batch=3, out=tmp_path / "f.zarr", progress=False
    )
    np.testing.assert_array_equal(stored.values, found.values)
    for name in found.coords:
        np.testing.assert_array_equal(stored[name].values, found[name].values)
    assert {k: v for k, v in stored.attrs.items() if k != "provenance"} == {
        k: v for k, v in found.attrs.items() if k != "provenance"
    }
    said = provenance(stored)
    assert said["parameters"]["weights"] == encoder.weights == stored.attrs["weights"]
    assert said["parameters"]["layers"] == LAYERS
    assert said["parameters"]["preprocessing"]["mean"] == NORMALISATION["mean"]
    assert [p.name for p in tmp_path.iterdir()] == ["f.zarr"]
    nd.save(found, tmp_path / "f.nc")
    assert list(nd.brain.spaces(stored)) == LAYERS


def test_an_interrupted_run_goes_on_and_computes_nothing_twice(
    encoder, images, tmp_path, monkeypatch
) -> None:
    whole = vision.extract_features(images, encoder, LAYERS, batch=2, progress=False)
    out = tmp_path / "f.zarr"
    with monkeypatch.context() as patch:
        first = Counted(patch, encoder, fail_at=2)
        with pytest.raises(KeyboardInterrupt):
            vision.extract_features(images, encoder, LAYERS, batch=2, out=out, progress=False)
    assert not out.exists()
    with monkeypatch.context() as patch:
        second = Counted(patch, encoder)
        resumed = vision.extract_features(images, encoder, LAYERS, batch=2, out=out, progress=False)
        np.testing.assert_array_equal(resumed.values, whole.values)
        again = vision.extract_features(images, encoder, LAYERS, batch=2, out=out, progress=False)
        np.testing.assert_array_equal(again.values, whole.values)
    assert first.seen == ["picture-0", "picture-2"]
    assert second.seen == ["picture-4", "picture-6"]
    assert [p.name for p in tmp_path.iterdir()] == ["f.zarr"]


def test_a_batch_that_is_damaged_is_computed_again(encoder, images, tmp_path, monkeypatch) -> None:
    out, part = tmp_path / "f.zarr", tmp_path / "f.zarr.part"
    whole = vision.extract_features(images, encoder, LAYERS, batch=2, progress=False)
    with monkeypatch.context() as patch:
        Counted(patch, encoder, fail_at=3)
        with pytest.raises(KeyboardInterrupt):
            vision.extract_features(images, encoder, LAYERS, batch=2, out=out, progress=False)
    with open(part / "journal", "a") as stream:
        stream.write("\n[6, 7, 12")  # a line cut short
    chunk = part / "array.zarr" / "features" / "1.0"
    held = bytearray(chunk.read_bytes())
    held[100] ^= 0xFF
    chunk.write_bytes(held)
    with monkeypatch.context() as patch:
        second = Counted(patch, encoder)
        resumed = vision.extract_features(images, encoder, LAYERS, batch=2, out=out, progress=False)
    assert second.seen == ["picture-2", "picture-6"]
    np.testing.assert_array_equal(resumed.values, whole.values)


def test_what_was_begun_with_something_else_is_refused(
    clip_folder, encoder, images, tmp_path, monkeypatch
) -> None:
    out = tmp_path / "f.zarr"

    def extract(images=images, encoder=encoder, layers=LAYERS):
        return vision.extract_features(images, encoder, layers, batch=4, out=out, progress=False)

    other = images.copy(data=images.values * 0.5)
    trained = encoders.Encoder(_copy(encoder.module), name=encoder.name)
    with torch.no_grad():
        trained.module.proj += 1e-3
    code = vision.load(clip_folder, reading="code")
    with monkeypatch.context() as patch:
        Counted(patch, encoder, fail_at=1)
        with pytest.raises(KeyboardInterrupt):
            extract()
    for _ in ("begun", "finished"):
        with pytest.raises(ValueError, match=r"'images': '\w+' (in the folder|there), '\w+' now"):
            extract(images=other)
        with pytest.raises(ValueError, match=r"1 \w+( \w+)* differ: 'weights'|differ: 'weights'"):
            extract(encoder=trained)
        with pytest.raises(ValueError, match=r"differ: 'layers'"):
            extract(layers=["final"])
        with pytest.raises(ValueError, match=r"differ: 'reading'"):
            extract(encoder=code)
        extract()
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="no zarr folder that neurodecode made"):
        vision.extract_features(images, encoder, LAYERS, out=tmp_path / "other", progress=False)


@pytest.mark.slow
def test_a_killed_process_leaves_what_another_can_finish(clip_folder, encoder, images, tmp_path) -> None:
    out, part = tmp_path / "f.zarr", tmp_path / "f.zarr.part"
    np.save(tmp_path / "images.npy", images.values)
    script = f"""
        import time, numpy as np, neurodecode as nd
        from neurodecode import vision
        values = np.load({str(tmp_path / "images.npy")!r})
        images = nd.brain.images(values, stimulus=[f"picture-{{i}}" for i in range(7)])
        encoder = vision.load({str(clip_folder)!r})
        encode = encoder.encode
        def slow(images, layers):
            if hasattr(images, "stimulus") and images.stimulus.values[0] == "picture-4":
                time.sleep(600)
            return encode(images, layers)
        encoder.encode = slow
        vision.extract_features(images, encoder, {LAYERS!r}, batch=2, out={str(out)!r}, progress=False)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)
    try:
        limit = time.monotonic() + 300
        while not (part / "journal").exists() or (part / "journal").read_text().count("]") < 2:
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.2)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not out.exists()
    with pytest.MonkeyPatch.context() as patch:
        second = Counted(patch, encoder)
        resumed = vision.extract_features(images, encoder, LAYERS, batch=2, out=out, progress=False)
    whole = vision.extract_features(images, encoder, LAYERS, batch=2, progress=False)
    assert second.seen == ["picture-4", "picture-6"]
    np.testing.assert_allclose(resumed.values, whole.values, rtol=1e-5, atol=1e-6)
    assert not part.exists()


def test_what_does_not_fit_is_refused_before_it_is_computed(encoder, images, monkeypatch, tmp_path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=150_000))
        seen = Counted(patch, encoder).seen
        with pytest.raises(MemoryError, match=r"a batch of 64 images would need.*smaller batch"):
            vision.extract_features(images, encoder, LAYERS)
        many = xr.concat([images] * 100, "stimulus").assign_coords(stimulus=np.arange(700))
        with pytest.raises(MemoryError, match=r"700 x 600 features would need.*out="):
            vision.extract_features(many, encoder, LAYERS, batch=1)
        assert seen == []
    with pytest.raises(ValueError, match="batch must be a whole number"):
        vision.extract_features(images, encoder, LAYERS, batch=0)
    with pytest.raises(ValueError, match="duplicate 'stimulus'"):
        vision.extract_features(xr.concat([images, images], "stimulus"), encoder, LAYERS)


# ------------------------------------------------------------------------------------------- the lab
def test_the_labs_models_load_by_one_name() -> None:
    encoder, text, latents = (f("lab") for f in (vision.load, vision.load_text, vision.load_latents))
    grey = np.full((2, 64, 64, 3), 0.5, "f4")
    found = encoder.encode(grey, [*vision.STRUCTURE, "final"])
    assert {tuple(found[k].shape) for k in vision.STRUCTURE} == {(2, 17, 128)}
    assert found["final"].shape == (2, 128)
    assert text.tokens(["a red cat"]).shape == (1, 15, 128)
    z = latents.encode(grey)
    assert z.shape == (2, 4, 16, 16)
    assert latents.decode(z).shape == (2, 64, 64, 3)


def test_an_installation_without_the_labs_models_says_so(tmp_path, monkeypatch) -> None:
    """Packagers leave data out: the folder of the weights is another one, which is empty."""
    monkeypatch.setattr(_files, "LAB", tmp_path)
    for load, part in (
        (vision.load, "clip"),
        (vision.load_text, "diffusion"),
        (vision.load_latents, "diffusion"),
    ):
        with pytest.raises(
            FileNotFoundError,
            match=rf"miniature model '{part}' is not .*{part} is missing\); install neurodecode-t",
        ):
            load("lab")
