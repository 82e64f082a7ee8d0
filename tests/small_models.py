"""Random models saved in the folder layouts of the published ones, for tests of what loads them."""

from __future__ import annotations

import json

import torch
from safetensors.torch import save_file

from neurodecode.vision import _backends

CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 12, "head_width": 16},
    "text_cfg": {"context_length": 15, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}
NORMALISATION = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}


def write_clip(folder):
    """A random CLIP, in half precision, in open_clip's folder layout."""
    torch.manual_seed(0)
    model = _backends.open_clip().CLIP(**CLIP)
    with torch.no_grad():  # the untrained biases are 0 and the norms 1, which would hide their absence
        for weight in model.visual.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    save_file(
        {k: v.half().contiguous() for k, v in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    said = {"model_cfg": CLIP, "preprocess_cfg": NORMALISATION}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    return folder


def write_diffusion(folder, **unet):
    """A random Stable Diffusion 1.x, saved by diffusers itself; ``unet`` changes the U-Net's configuration."""
    diffusers, transformers = _backends.diffusers(), _backends.transformers()
    torch.manual_seed(0)
    alphabet = [c + end for c in "abcdefghijklmnopqrstuvwxyz" for end in ("", "</w>")]
    words = [*alphabet, "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
    given = folder / "given"
    given.mkdir()
    (given / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (given / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(given, pad_token="<|endoftext|>")
    tokenizer.model_max_length = 15
    text = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=20, bos_token_id=len(words) - 2, eos_token_id=len(words) - 1,
        )
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 16), layers_per_block=1, latent_channels=4, norm_num_groups=4, scaling_factor=0.7,
    )  # fmt: skip
    options = {
        "sample_size": 8, "block_out_channels": (8, 8), "layers_per_block": 1, "cross_attention_dim": 16,
        "norm_num_groups": 4, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "attention_head_dim": 4,
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(**{**options, **unet}),
        scheduler=diffusers.DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.to(torch.float16).save_pretrained(folder / "model")
    return folder / "model"


def write_ip_adapter(folder, unet, *, width=12):
    """A random IP-Adapter for a U-Net, in the published form: a projection, and a key and a value an attention."""
    torch.manual_seed(1)
    tokens, inner = 4, unet.config.cross_attention_dim
    weights = {
        "image_proj.proj.weight": torch.randn(tokens * inner, width),
        "image_proj.proj.bias": torch.randn(tokens * inner),
        "image_proj.norm.weight": torch.ones(inner),
        "image_proj.norm.bias": torch.zeros(inner),
    }
    # Numbered over all attentions, those of pictures to themselves counted too.
    for i, (name, module) in enumerate(m for m in unet.named_modules() if m[0].endswith(("attn1", "attn2"))):
        if name.endswith("attn2"):
            for kind in "kv":
                weights[f"ip_adapter.{i}.to_{kind}_ip.weight"] = 0.5 * torch.randn(module.inner_dim, inner)
    path = folder / "ip-adapter.safetensors"
    save_file(weights, path)
    return path
