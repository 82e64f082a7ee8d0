"""The published networks whose features the metrics compare, as torchvision and open_clip carry them.

Weights are taken from torch's hub cache, and fetched only where that is asked for. Nothing pickled is executed: files
are read with torch's weights-only reader.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from ..labels import listed
from ..vision import _backends
from ..vision._pictures import as_tensor, fitted

if TYPE_CHECKING:
    import torch

# Of ImageNet, which all networks but CLIP were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 32


@dataclass(frozen=True)
class Network:
    """A published network and the layer that is compared.

    Attributes
    ----------
    model : name in torchvision.models, or in open_clip.
    layer : path of the module whose output is taken.
    weights : torchvision's name of the weights, or open_clip's.
    """

    model: str
    layer: str
    weights: str


NETWORKS = {
    "Alex(2)": Network("alexnet", "features.4", "IMAGENET1K_V1"),
    "Alex(5)": Network("alexnet", "features.11", "IMAGENET1K_V1"),
    "Incep": Network("inception_v3", "avgpool", "IMAGENET1K_V1"),
    "CLIP": Network("ViT-L-14", "", "openai"),
    "Eff": Network("efficientnet_b1", "avgpool", "IMAGENET1K_V2"),
    "SwAV": Network("resnet50", "avgpool", "swav"),
}
SWAV_FILE = "swav_800ep_pretrain.pth.tar"


# From pictures (n, 3, row, column), 0-1, to the features of a metric.
Run = Callable[["torch.Tensor"], "torch.Tensor"]


def features(run: Run, images: np.ndarray, *, size: int, device: str = "cpu") -> np.ndarray:
    """Features (n, p) of pictures (n, row, column, 3), values 0-1, resized to ``size``, by a loaded network."""
    torch = _backends.torch()
    parts = []
    for start in range(0, len(images), BATCH):
        pictures = as_tensor(images[start : start + BATCH], device=device)
        with torch.no_grad():
            parts.append(
                run(fitted(pictures, (size, size), mode="bilinear", how="squash")).flatten(1).cpu().numpy()
            )
    return np.concatenate(parts)


def load(metric: str, *, fetch: bool = False, device: str = "cpu") -> Run:
    """Read the network of a metric.

    Raises
    ------
    FileNotFoundError
        If the weights are not on this machine and ``fetch`` is False: names the metric, the file and what to do.
    ValueError
        If the file is damaged, or holds the weights of another network.
    """
    network = NETWORKS[metric]
    if metric == "CLIP":
        return _clip(metric, network, fetch, device)
    file = hub_folder() / _file(network)
    if not file.is_file():
        _require_fetch(metric, network, file, fetch)
        _fetch(network, file)
    return _hooked(_torchvision(network, file).eval().requires_grad_(False).to(device), network.layer)


def hub_folder() -> Path:
    """Return where torch keeps fetched weights."""
    return Path(_backends.torch().hub.get_dir()) / "checkpoints"


def _file(network: Network) -> str:
    """Return the name of the file of the weights, as torch keeps it."""
    return SWAV_FILE if network.weights == "swav" else _url(network).rsplit("/", 1)[-1]


def _url(network: Network) -> str:
    return str(_backends.torchvision().models.get_model_weights(network.model)[network.weights].url)


def _require_fetch(metric: str, network: Network, file: Path, fetch: bool) -> None:
    """Refuse where weights are not here and may not, or cannot, be fetched."""
    if fetch and network.weights != "swav":
        return
    how = (
        "put the authors' file there (facebookresearch/swav, ResNet-50, 800 epochs)"
        if network.weights == "swav"
        else f"give fetch=True to fetch {network.model} ({network.weights}) of torchvision, or put the file there"
    )
    raise FileNotFoundError(
        f"the metric {metric!r} needs the weights {file.name}, which are not in {file.parent}; {how}, or leave the "
        "metric out with metrics=[...]. Proxies exist under names of their own: protocol='lab'"
    )


def _fetch(network: Network, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # The name ends in the first digits of the file's SHA-256.
    prefix = file.stem.rsplit("-", 1)[-1]
    _backends.torch().hub.download_url_to_file(_url(network), str(file), hash_prefix=prefix)


def _torchvision(network: Network, file: Path) -> Any:
    """Build a network and give it the weights in a file, of which nothing is executed."""
    # As with torchvision's own weights: Inception changes the normalisation inside.
    options = {"transform_input": True, "init_weights": False} if network.model == "inception_v3" else {}
    module = _backends.torchvision().models.get_model(network.model, weights=None, **options)
    try:
        found = _backends.torch().load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        raise ValueError(
            f"{file} is damaged or holds more than weights, and nothing in it was executed: "
            f"{str(error).splitlines()[0]}; delete it, and fetch or copy it again"
        ) from error
    state = {k.removeprefix("module."): v for k, v in found.get("state_dict", found).items()}
    own = {k: v for k, v in state.items() if not k.startswith(("projection_head", "prototypes"))}
    if network.weights == "swav":  # it has no classifier
        module.fc = _backends.torch().nn.Identity()
    _require_fits(own, module.state_dict(), file, network)
    module.load_state_dict(own)
    return module


def _require_fits(found: dict[str, Any], wanted: dict[str, Any], file: Path, network: Network) -> None:
    """Refuse the weights of another network, which would leave some of this one's random."""

    def shape(weights: dict[str, Any], name: str) -> tuple[int, ...]:
        # Counts of batches, which old files lack, have none.
        return tuple(getattr(weights.get(name), "shape", ()))

    lacking = [k for k in wanted if shape(found, k) != shape(wanted, k)]
    others = [k for k in found if k not in wanted]
    if lacking or others:
        raise ValueError(
            f"{file} is no file of {network.model} ({network.weights}): {len(lacking)} of {len(wanted)} weights are "
            f"not there or of another shape, {len(others)} are none of its own, first "
            f"{listed([*lacking, *others], most=4)}; put the right file there or leave the metric out: metrics=[...]"
        )


def _hooked(module: Any, layer: str) -> Run:
    torch = _backends.torch()
    caught: dict[str, Any] = {}
    module.get_submodule(layer).register_forward_hook(lambda m, i, o: caught.update(out=o))
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))

    def run(pictures: Any) -> Any:
        module((pictures - mean.to(pictures.device)) / std.to(pictures.device))
        return caught.pop("out")

    return run


def _clip(metric: str, network: Network, fetch: bool, device: str) -> Run:
    from .. import vision

    if not fetch and not _cached_clip(network):
        raise FileNotFoundError(
            f"the metric {metric!r} needs {network.model} ({network.weights}), which is not in open_clip's cache; give "
            "fetch=True to let open_clip fetch it, or leave the metric out with metrics=[...]. Proxies exist under "
            "names of their own: protocol='lab'"
        )
    encoder = vision.load(network.model, pretrained=network.weights, device=device)
    return lambda pictures: encoder.encode(pictures.permute(0, 2, 3, 1).clamp(0, 1), "final")["final"]


def _cached_clip(network: Network) -> bool:
    config = _backends.open_clip().get_pretrained_cfg(network.model, network.weights)
    repository = str(config.get("hf_hub", "")).rstrip("/")
    from huggingface_hub import try_to_load_from_cache

    names = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    return bool(repository) and any(
        isinstance(try_to_load_from_cache(repository, name), str) for name in names
    )
