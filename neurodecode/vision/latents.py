"""Image latents of Stable Diffusion's autoencoders, for the features z: pictures in, latents out, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..labels import listed
from . import _backends, _files
from ._pictures import as_tensor, fitted

if TYPE_CHECKING:
    import torch

KINDS = ("AutoencoderKL", "AutoencoderTiny")
# The files that the authors of the tiny autoencoder publish.
TINY = ("taesd_encoder.safetensors", "taesd_decoder.safetensors")


def load_latents(
    name: str | Path, *, size: int | None = None, device: str = "cpu", local_files_only: bool = False
) -> Latents:
    """Load the autoencoder of a latent diffusion model.

    Parameters
    ----------
    name : str or path
        ``"lab"``; a folder of a whole model (its ``vae/`` is taken) or of an autoencoder alone; a folder with
        ``taesd_encoder.safetensors`` and ``taesd_decoder.safetensors``; or a published model, such as
        ``"CompVis/stable-diffusion-v1-4"`` or ``"madebyollin/taesd"``, fetched once and then taken from the cache.
    size : int
        Side in pixels to which pictures are resized before they are encoded: 512 for Stable Diffusion 1.x. As they
        are by default.
    device : str
    local_files_only : bool
        Never fetch a published model, only take it from the cache. Nothing is ever fetched for a folder.

    Raises
    ------
    ImportError
        If the extra ``vision`` is not installed.
    FileNotFoundError, OSError
        If a folder, a file in it or a published model is missing.
    ValueError
        Pickled weights, or another kind of autoencoder.
    """
    folder = _files.find(name, "diffusion")
    if folder is None:
        module = _published(str(name), local_files_only)
    elif all((folder / file).is_file() for file in TINY):
        with _files.loading(folder):
            module = _tiny(folder)
    else:
        folder = folder / "vae" if (folder / "vae").is_dir() else folder
        config = _files.read_json(folder / "config.json")
        _files.require_safetensors(folder)
        module = _from_pretrained(_kind(config, folder), str(folder), None, local=True)
    return Latents(module, name=str(name), size=size, device=device)


def _kind(config: dict[str, Any], where: object) -> str:
    found = str(config.get("_class_name"))
    if found not in KINDS:
        raise ValueError(f"{where} is of the kind {found!r}; {listed(KINDS)} can be used")
    return found


def _from_pretrained(kind: str, source: str, subfolder: str | None, *, local: bool) -> Any:
    with _files.loading(Path(source) if Path(source).is_dir() else None):
        module, said = getattr(_backends.diffusers(), kind).from_pretrained(
            source,
            subfolder=subfolder,
            local_files_only=local,
            use_safetensors=True,
            low_cpu_mem_usage=False,  # True needs another library, and saves nothing for a model of this size
            output_loading_info=True,
        )
    _files.require_all_weights(said, source)
    return module.float()  # whatever the precision on disk


def _published(name: str, local: bool) -> Any:
    """Fetch a whole model's autoencoder, or an autoencoder that is published alone."""
    load_config = _backends.diffusers().AutoencoderKL.load_config
    subfolder: str | None = "vae"
    try:
        config = load_config(name, subfolder=subfolder, local_files_only=local)
    except OSError:
        subfolder = None
        config = load_config(name, local_files_only=local)
    return _from_pretrained(_kind(config, name), name, subfolder, local=local)


def _tiny(folder: Path) -> Any:
    """Load the authors' own files: encoder and decoder are sequences, and the decoder's first step has no weights."""
    from safetensors.torch import load_file

    module = _backends.diffusers().AutoencoderTiny()
    state = {f"encoder.layers.{key}": v for key, v in load_file(folder / TINY[0]).items()}
    for key, value in load_file(folder / TINY[1]).items():
        number, rest = key.split(".", 1)
        state[f"decoder.layers.{int(number) - 1}.{rest}"] = value
    module.load_state_dict(state)
    return module


class Latents(_files.Frozen):
    """Pictures to latents and back; made by :func:`load_latents`.

    Attributes
    ----------
    name : str
    size : int or None
        Side to which pictures are resized before they are encoded.
    scale, shift : float
        The latent is (mode of the posterior - shift) x scale; shift is 0 in Stable Diffusion 1.x.
    module : diffusers' AutoencoderKL or AutoencoderTiny, frozen
    """

    def __init__(self, module: Any, *, name: str, size: int | None = None, device: str = "cpu") -> None:
        super().__init__(module, name=name, device=device)
        self.size = size
        self.scale = float(module.config.scaling_factor)
        self.shift = float(getattr(module.config, "shift_factor", None) or 0.0)

    def __repr__(self) -> str:
        return f"Latents({self.name!r}, {self.kind}, {self.factor} x smaller)"

    @property
    def kind(self) -> str:
        """The autoencoder's class."""
        return type(self.module).__name__

    @property
    def factor(self) -> int:
        """How many pixels a latent row stands for."""
        return int(2 ** (len(self._widths) - 1))

    @property
    def _widths(self) -> Any:
        config = self.module.config
        return (
            config.encoder_block_out_channels if self.kind == "AutoencoderTiny" else config.block_out_channels
        )

    def shape(self, rows: int, columns: int) -> tuple[int, int, int]:
        """Return the latent's shape (plane, row, column) for pictures of that size.

        Raises
        ------
        ValueError
            If the size is no multiple of the factor.
        """
        rows, columns = (self.size, self.size) if self.size else (rows, columns)
        if rows % self.factor or columns % self.factor:
            raise ValueError(
                f"{self.name} takes pictures whose sides are multiples of {self.factor} pixels, got {rows} x "
                f"{columns}; resize them, or give size=... to load_latents"
            )
        return int(self.module.config.latent_channels), rows // self.factor, columns // self.factor

    def encode(self, images: Any, *, grad: bool = False) -> torch.Tensor:
        """Return scaled latents (n, plane, row, column), the mode of the posterior, as the denoiser takes them.

        Parameters
        ----------
        images : (n, row, column, 3), values 0-1
            Array, tensor or labelled array.
        grad : bool
            Keep the graph, so that gradients flow back to ``images``.

        Raises
        ------
        ValueError
            No pictures, values outside 0-1, or sides that are no multiple of the factor.
        """
        torch = _backends.torch()
        with torch.set_grad_enabled(grad):
            pictures = as_tensor(images, device=self.device)
            self.shape(*pictures.shape[-2:])
            if self.size:
                pictures = fitted(pictures, (self.size, self.size))
            out = self.module.encode(2 * pictures - 1)
            mode = out.latents if self.kind == "AutoencoderTiny" else out.latent_dist.mode()
            return (mode - self.shift) * self.scale

    def decode(self, latents: Any, *, grad: bool = False, clip: bool = True) -> torch.Tensor:
        """Return pictures (n, row, column, 3) of scaled latents (n, plane, row, column).

        Parameters
        ----------
        latents : (n, plane, row, column)
        grad : bool
            Keep the graph, so that gradients flow back to ``latents``.
        clip : bool
            Cut values off at 0 and 1; where that happens no gradient passes.

        Raises
        ------
        ValueError
            If the shape is no latent's.
        """
        torch = _backends.torch()
        if not isinstance(latents, torch.Tensor):
            latents = torch.as_tensor(getattr(latents, "values", latents))
        z = latents.to(device=self.device, dtype=self.module.dtype)
        planes = int(self.module.config.latent_channels)
        if z.ndim != 4 or z.shape[1] != planes:
            raise ValueError(
                f"latents of {self.name} are (n, {planes}, row, column), got {tuple(z.shape)}; reshape them"
            )
        with torch.set_grad_enabled(grad):
            pictures = self.module.decode(z / self.scale + self.shift).sample / 2 + 0.5
            pictures = pictures.clamp(0, 1) if clip else pictures
            return pictures.permute(0, 2, 3, 1)
