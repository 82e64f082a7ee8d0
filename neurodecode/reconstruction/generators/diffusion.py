"""Latent diffusion as a differentiable generator: Stable Diffusion 1.x/2.x and its image-guided relatives.

Pipelines of diffusers stop gradients; here the loop over the U-Net and the scheduler is our own, so that gradients flow
from a picture through all denoising steps to the latent z and the text tokens c (MindDiffuser 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import vision
from ...labels import listed, require_choice
from ...store import data_hash
from ...vision import _backends, _files
from .base import normal, shaped

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Schedule:
    """How far z is noised and how it is denoised, by DDIM (Song et al. 2021, eta 0).

    Attributes
    ----------
    steps : of the whole schedule.
    noise_to : z is noised to this step, counted from the clean end.
    denoise : how many steps lead back from there; fewer than ``noise_to`` as in the method's first code.
    guidance : 1 takes the condition alone; above, the difference to the empty prompt is enlarged (Ho & Salimans 2022).
    """

    steps: int = 50
    noise_to: int = 37
    denoise: int = 35
    guidance: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= self.denoise <= self.noise_to <= self.steps:
            raise ValueError(
                f"a schedule needs 1 <= denoise <= noise_to <= steps, got denoise={self.denoise}, "
                f"noise_to={self.noise_to}, steps={self.steps}"
            )


# The paper's, and the same in proportion for the lab's miniature model.
PAPER = Schedule()
LAB = Schedule(steps=10, noise_to=7, denoise=7)


@dataclass(frozen=True)
class Memory:
    """What is kept for the way back.

    Attributes
    ----------
    checkpoint : compute every U-Net call again on the way back instead of keeping its activations.
    through : gradients pass the U-Net in this many last steps only; None: in all. In earlier ones its output counts as
        constant, while the latent itself still passes.
    precision : of the U-Net's matrix products.
    """

    checkpoint: bool = True
    through: int | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        require_choice(self.precision, PRECISIONS, what="precision")
        if self.through is not None and self.through < 1:
            raise ValueError(f"through must be at least 1 step, or None for all; got {self.through}")


def load_diffusion(
    name: str | Path,
    *,
    schedule: Schedule | None = None,
    memory: Memory | None = None,
    tokens: int = 15,
    image: tuple[int, ...] | None = None,
    ip_adapter: str | Path | None = None,
    device: str = "cpu",
    local_files_only: bool = False,
) -> LatentDiffusion:
    """Load a latent diffusion model that diffusers knows as Stable Diffusion 1.x or 2.x.

    Parameters
    ----------
    name : str or path
        ``"lab"``: the miniature model that ships with the package; a folder in the layout of Stable Diffusion
        (``unet/``, ``vae/``, ``text_encoder/``, ``tokenizer/``, ``scheduler/``); or a published model such as
        ``"CompVis/stable-diffusion-v1-4"``, fetched once.
    schedule : Schedule
        The paper's by default (50 steps, noised to 37, 35 back, guidance 5); for "lab" 10, 7, 7.
    memory : Memory
        Checkpoints by default; none for "lab", which is small (ten pictures take .7 GiB more and a third less time).
    tokens : int
        Length of c, the condition: 15 in the paper.
    image : shape
        Of the image condition, for U-Nets that take one; see :class:`LatentDiffusion`.
    ip_adapter : path of a .safetensors file
        An IP-Adapter (Ye et al. 2023) in its published form, such as ``ip-adapter_sd15.safetensors``: makes any Stable
        Diffusion take an image embedding. ``image`` follows from it.
    device, local_files_only
        As in :func:`neurodecode.vision.load_latents`.

    Raises
    ------
    ImportError
        If the extra ``vision`` is not installed.
    FileNotFoundError, OSError
        If a folder, a file in it or a published model is missing.
    ValueError
        Pickled weights.
    """
    folder = _files.find(name, "diffusion")
    source, local = (str(name), local_files_only) if folder is None else (str(folder), True)
    if folder is not None:
        for part in ("unet", "scheduler"):
            _files.read_json(folder / part / ("config.json" if part == "unet" else "scheduler_config.json"))
        _files.require_safetensors(folder / "unet")
    diffusers = _backends.diffusers()
    with _files.loading(folder):
        unet, said = diffusers.UNet2DConditionModel.from_pretrained(
            source,
            subfolder="unet",
            use_safetensors=True,
            low_cpu_mem_usage=False,
            local_files_only=local,
            output_loading_info=True,
        )
        # Stable Diffusion ships another scheduler; its noise levels are the same.
        config = diffusers.DDIMScheduler.load_config(source, subfolder="scheduler", local_files_only=local)
        scheduler = diffusers.DDIMScheduler.from_config(config)
        scheduler.set_timesteps(2)
    _files.require_all_weights(said, f"the U-Net of {name}")
    unet = unet.float()
    if ip_adapter is not None:
        image = _attach(unet, Path(ip_adapter))
    return LatentDiffusion(
        unet,
        scheduler,
        vision.load_latents(name, device=device, local_files_only=local_files_only),
        vision.load_text(name, length=tokens, device=device, local_files_only=local_files_only),
        schedule=schedule or (LAB if name == "lab" else PAPER),
        memory=memory or Memory(checkpoint=name != "lab"),
        image=image,
        name=str(name),
        device=device,
    )


class LatentDiffusion:
    """Latents z and text tokens c to pictures by noising z and denoising it under c; made by :func:`load_diffusion`.

    ``z_T = sqrt(abar_T) z + sqrt(1 - abar_T) eps``, then DDIM back to z_0, then the autoencoder's decoder.

    A U-Net that takes an image condition gets a third latent, ``image``, in the form that its configuration asks for:

    - ``dual_cross_attention`` (Versatile Diffusion): tokens beside those of the text, mixed by ``mix``;
    - ``class_embed_type`` "projection" (Stable unCLIP): one embedding added to that of time;
    - ``encoder_hid_dim_type`` "ip_image_proj" (IP-Adapter): one embedding, projected to tokens of its own.

    Parameters
    ----------
    unet, scheduler : diffusers' UNet2DConditionModel and DDIMScheduler
    latents, text : vision.Latents, vision.TextEncoder
    schedule, memory
    image : shape of the image condition, where the U-Net takes one.
    mix : share of the image among text and image (Versatile Diffusion).
    """

    free: tuple[str, ...] = ()

    def __init__(
        self,
        unet: Any,
        scheduler: Any,
        latents: vision.Latents,
        text: vision.TextEncoder,
        *,
        schedule: Schedule = PAPER,
        memory: Memory | None = None,
        image: tuple[int, ...] | None = None,
        mix: float = 0.5,
        name: str = "diffusion",
        device: str = "cpu",
    ) -> None:
        self.unet = unet.eval().requires_grad_(False).to(device)
        self.scheduler, self.autoencoder, self.text = scheduler, latents, text
        self.schedule, self.memory = schedule, memory or Memory()
        self.name, self.mix = name, mix
        self.scheduler.set_timesteps(schedule.steps)
        side = unet.config.sample_size
        rows, columns = (side, side) if isinstance(side, int) else side
        self.latents: Mapping[str, tuple[int, ...]] = {
            "z": (int(unet.config.in_channels), int(rows), int(columns)),
            "c": (text.length, text.width),
        }
        self.kind = _image_kind(unet)
        self._add_image(image)
        self._empty = text.empty()

    def _add_image(self, image: tuple[int, ...] | None) -> None:
        if (self.kind is None) != (image is None):
            takes = (
                "takes no image condition" if self.kind is None else f"takes an image condition ({self.kind})"
            )
            raise ValueError(
                f"the U-Net of {self.name} {takes}, got image={image}; give its shape where it takes one"
            )
        if image is None:
            return
        self.latents = {**self.latents, "image": tuple(image)}
        if self.kind == "tokens":
            for module in self.unet.modules():
                if type(module).__name__ == "DualTransformer2DModel":
                    module.mix_ratio = self.mix
                    module.condition_lengths = [image[0], self.text.length]
                    module.transformer_index_for_condition = [0, 1]
                    module.register_forward_pre_hook(_without_mask, with_kwargs=True)

    @property
    def weights(self) -> str:
        """Hash of the weights of U-Net and autoencoder, and of schedule, mix, precision and what gradients pass."""
        parts = (self._unet_weights, self.autoencoder.weights, self.text.weights)
        memory = (self.memory.precision, self.memory.through)
        said = repr((self.schedule, self.mix, memory, self.scheduler.config))
        return data_hash([*parts, said])

    @cached_property
    def _unet_weights(self) -> str:
        return _files.weights_hash(self.unet)

    @property
    def device(self) -> Any:
        """Where the U-Net is."""
        return next(self.unet.parameters()).device

    def arrange(self, name: str, features: torch.Tensor) -> torch.Tensor:
        """Fold features (n, p) to a latent; c gets its constant token 0 back."""
        if name == "c" and features.ndim == 2 and features.shape[1] != self.text.length * self.text.width:
            return self.text.restore(features)
        return shaped(name, features, self.latents[name], who=self.name)

    def draw(self, seeds: Sequence[int]) -> dict[str, torch.Tensor]:
        """Draw the noise that z is mixed with."""
        return {"noise": normal(seeds, self.latents["z"], device=self.device)}

    def __call__(
        self, latents: Mapping[str, torch.Tensor], random: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Noise z, denoise it under the conditions, decode: (n, row, column, 3)."""
        torch = _backends.torch()
        when = self.scheduler.timesteps
        z = self.scheduler.add_noise(
            latents["z"], random["noise"].to(latents["z"].dtype), when[-self.schedule.noise_to].reshape(1)
        )
        conditions = {k: v for k, v in latents.items() if k != "z"}
        steps = when[-self.schedule.denoise :]
        first = 0 if self.memory.through is None else len(steps) - self.memory.through
        for i, t in enumerate(steps):
            predicted = self._predict(z, conditions, t, learn=i >= first)
            z = self.scheduler.step(predicted, t, z, eta=0.0).prev_sample
        return self.autoencoder.decode(z, grad=torch.is_grad_enabled())

    def _predict(
        self, z: torch.Tensor, conditions: Mapping[str, torch.Tensor], t: torch.Tensor, *, learn: bool
    ) -> torch.Tensor:
        """Return the U-Net's prediction under guidance."""
        torch = _backends.torch()
        from torch.utils.checkpoint import checkpoint

        learn = learn and torch.is_grad_enabled()
        names = list(conditions)

        def run(z: Any, *values: Any) -> Any:
            return self._guided(z, dict(zip(names, values, strict=True)), t)

        with torch.set_grad_enabled(learn):
            if learn and self.memory.checkpoint:
                return checkpoint(run, z, *conditions.values(), use_reentrant=False)
            return run(z, *conditions.values())

    def _guided(self, z: torch.Tensor, conditions: dict[str, torch.Tensor], t: torch.Tensor) -> torch.Tensor:
        torch = _backends.torch()
        guidance = self.schedule.guidance
        if guidance != 1.0:
            z = torch.cat([z, z])
            conditions = {k: torch.cat([self._nothing(k, v), v]) for k, v in conditions.items()}
        low = None if self.memory.precision == "float32" else getattr(torch, self.memory.precision)
        with torch.autocast(z.device.type, low or torch.bfloat16, enabled=low is not None):
            out = self.unet(z, t, **self._inputs(conditions)).sample
        out = out.to(z.dtype)
        if guidance == 1.0:
            return out
        without, given = out.chunk(2)
        return without + guidance * (given - without)

    def _nothing(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """Return what stands for no condition: the empty prompt's tokens, an image embedding of zeros."""
        if name == "c":
            return self._empty.to(value.dtype).expand_as(value)
        return value.new_zeros(value.shape)

    def _inputs(self, conditions: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        torch = _backends.torch()
        c = conditions["c"]
        if self.kind is None:
            return {"encoder_hidden_states": c}
        image = conditions["image"]
        if self.kind == "tokens":
            return {"encoder_hidden_states": torch.cat([image, c], dim=1)}
        if self.kind == "embedding":
            return {"encoder_hidden_states": c, "class_labels": image}
        return {"encoder_hidden_states": c, "added_cond_kwargs": {"image_embeds": [image[:, None]]}}


def _attach(unet: Any, path: Path) -> tuple[int, ...]:
    """Give a U-Net the weights of an IP-Adapter, and return the shape of the embedding that it takes."""
    diffusers = _backends.diffusers()
    if path.suffix != ".safetensors":
        raise ValueError(
            f"{path} is no .safetensors file; pickled weights can execute any code and are refused"
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no IP-Adapter at {path}")
    from safetensors import safe_open

    with _files.loading(path), safe_open(path, framework="pt") as weights:
        keys = list(weights.keys())
        plain = "image_proj.proj.weight" in keys
        shape = (int(weights.get_slice("image_proj.proj.weight").get_shape()[1]),) if plain else ()
    if not plain:
        raise ValueError(
            f"{path} is no plain IP-Adapter: it has no image_proj.proj.weight, only {listed(keys)}; those that take "
            "all tokens of a picture are not supported"
        )
    pipeline = diffusers.StableDiffusionPipeline(
        vae=None, text_encoder=None, tokenizer=None, unet=unet, scheduler=None, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    with _files.loading(path):
        pipeline.load_ip_adapter(
            str(path.parent), subfolder="", weight_name=path.name, image_encoder_folder=None,
            low_cpu_mem_usage=False, local_files_only=True,
        )  # fmt: skip
    return shape


def _without_mask(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Drop an argument (always None here) that diffusers 0.42's blocks pass on and its DualTransformer2DModel lacks."""
    return given, {k: v for k, v in named.items() if k != "encoder_attention_mask"}


def _image_kind(unet: Any) -> str | None:
    """Say how a U-Net takes an image condition."""
    if unet.config.dual_cross_attention:
        return "tokens"
    if unet.config.class_embed_type == "projection":
        return "embedding"
    if unet.config.encoder_hid_dim_type == "ip_image_proj":
        return "adapter"
    return None
