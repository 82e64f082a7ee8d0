"""Image encoders with named layers, through open_clip: the lab's miniature CLIP and the published models alike."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from ..labels import listed, require_choice
from . import _backends, _files
from ._pictures import as_tensor, fitted

if TYPE_CHECKING:
    import torch

CONFIG = "open_clip_config.json"
# The names that open_clip prefers to any pickled file in the same folder.
PREFERRED = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
READINGS = ("paper", "code")
# The six structural layers of the method; which blocks they are depends on the reading.
STRUCTURE = tuple(f"Linear-{k}" for k in range(2, 13, 2))


def load(
    name: str | Path,
    *,
    pretrained: str | None = None,
    reading: str = "paper",
    device: str = "cpu",
) -> Encoder:
    """Load an image encoder.

    Parameters
    ----------
    name : str or path
        ``"lab"``: the miniature CLIP that ships with the package. A folder in open_clip's layout
        (``open_clip_config.json`` and ``open_clip_model.safetensors``). Or a model that open_clip knows, such as
        ``"ViT-B-32"`` with ``pretrained="openai"``, or ``"hf-hub:owner/model"``: open_clip fetches it once.
    pretrained : str
        The name of the weights, for a model that open_clip knows by name; or a .safetensors file of them.
    reading : {"paper", "code"}
        Which blocks the names Linear-2, Linear-4 ... Linear-12 mean. ``"paper"``: Linear-k is block k, so that they
        are blocks 2, 4, ..., 12 of 12. ``"code"``: the method's first public code, which took blocks 1 to 6 in order
        and gave them these names. In both it is the output of the block's MLP (``mlp.c_proj``), which ``mlp-k`` names
        for block k whatever the reading.
    device : str
        "cpu", "cuda", ...

    Raises
    ------
    ImportError
        If the extra ``vision`` is not installed.
    FileNotFoundError, NotADirectoryError
        If a folder, or a file in it, is missing.
    ValueError
        Pickled weights, an unknown name, reading, or no ``pretrained`` for a name that needs it.
    """
    require_choice(reading, READINGS, what="reading")
    folder = None if str(name).startswith("hf-hub:") else _files.find(name, "clip")
    if folder is not None:
        _require_weights(folder)
        if pretrained is not None:
            raise ValueError(f"{name} has weights of its own; leave out pretrained={pretrained!r}")
        with _files.loading(folder):
            model = _create(f"local-dir:{folder}")
    elif str(name).startswith("hf-hub:"):
        model = _create(str(name))
    else:
        model = _known(str(name), pretrained)
    label = str(name) if pretrained is None else f"{name} ({pretrained})"
    return Encoder(model.visual, name=label, reading=reading, device=device)


def _create(name: str, pretrained: str | None = None, *, quick_gelu: bool = False) -> Any:
    return _backends.open_clip().create_model(
        name, pretrained=pretrained, force_quick_gelu=quick_gelu, require_pretrained=True, weights_only=True
    )


def _known(name: str, pretrained: str | None) -> Any:
    """Make a model of open_clip's list."""
    open_clip = _backends.open_clip()
    if name not in open_clip.list_models():
        raise ValueError(
            f"open_clip has no model {name!r}, and there is no such folder; it has "
            f"{listed(open_clip.list_models(), most=200)}"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained is None:
        raise ValueError(
            f"{name!r} alone names no weights; give pretrained=... one of {listed(tags, most=40)}"
        )
    if Path(pretrained).suffix in _files.PICKLED:
        raise ValueError(
            f"{pretrained} is a pickled file, which can execute any code when it is read; save it as .safetensors"
        )
    if pretrained not in tags and not Path(pretrained).is_file():
        raise ValueError(f"{name!r} has no weights {pretrained!r}, choose one of {listed(tags, most=40)}")
    return _create(name, pretrained, quick_gelu=trained_with_quick_gelu(name, pretrained))


def trained_with_quick_gelu(name: str, pretrained: str) -> bool:
    """Say whether weights were trained with x sigmoid(1.702 x): open_clip itself only warns and uses GELU then."""
    found = _backends.open_clip().get_pretrained_cfg(name, pretrained)
    return bool(found.get("quick_gelu", False))


def _require_weights(folder: Path) -> None:
    config = _files.read_json(folder / CONFIG)
    made = config.get("model_cfg")
    if not isinstance(made, dict):
        what = (
            f"one of type {type(made).__name__}" if made is not None else f"only {listed(config) or 'braces'}"
        )
        raise ValueError(
            f"{folder / CONFIG} needs an object 'model_cfg', as open_clip writes it, but has {what}; copy it again"
        )
    found = [p.name for p in _files.require_safetensors(folder)]
    pickles = sorted(p.name for p in folder.iterdir() if p.suffix in _files.PICKLED)
    if pickles and not set(found) & set(PREFERRED):
        raise ValueError(
            f"{folder} holds {listed(found)} beside {listed(pickles)}, and open_clip would take the pickled file; "
            f"rename the first to {PREFERRED[0]}"
        )


class Encoder(_files.Frozen):
    """An image encoder whose layers are asked for by name; made by :func:`load`.

    Attributes
    ----------
    name : str
    layers : tuple of str
        ``mlp-k``: output of the MLP of block k, every token, before it is added to the residual stream.
        ``Linear-k``: the same under the names of the method, by ``reading``. ``penultimate``: what is pooled over
        tokens, after the last layer norm and before the projection. ``final``: the projected image embedding, as it
        is (its length is not set to 1).
    reading : "paper" or "code"
    preprocessing : dict
        The encoder's own size, interpolation, mean and standard deviation.
    weights : str
        Hash of the image tower's weights.
    module : torch module
        The image tower, frozen.
    """

    def __init__(self, module: Any, *, name: str, reading: str = "paper", device: str = "cpu") -> None:
        super().__init__(module, name=name, device=device)
        self.reading = reading
        self.preprocessing = _preprocessing(module)
        self._blocks = _blocks(module)
        self._numbers = _numbers(len(self._blocks), reading)
        pooled = ("penultimate",) if _has_penultimate(module) else ()
        self.layers = (*self._numbers, *pooled, "final")

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, reading={self.reading!r}, {len(self._blocks)} blocks)"

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches; token 1 + row * columns + column is a patch, token 0 the class token."""
        rows, columns = self.module.grid_size
        return int(rows), int(columns)

    def block(self, layer: str) -> int | None:
        """Return the number of the block, from 1, that a layer's name means; None where it is no block's."""
        self._require([layer])
        return self._numbers.get(layer)

    def require_own(self, features: Mapping[str, xr.DataArray]) -> None:
        """Refuse layers whose features say that other weights made them, or that their names mean other blocks.

        Parameters
        ----------
        features : mapping of layer to features with attrs `model`, `weights` and `reading`
            As :func:`extract_features` gives them; what has other attrs, or none, passes.

        Raises
        ------
        ValueError
            Naming the layers, what their features say, and what this encoder is.
        """
        remedies = {"weights": "load that encoder", "reading": "load it with that reading (--reading)"}
        # Others may have an attr `weights` too, and mean something else by it.
        told = {k: v.attrs for k, v in features.items() if _tells(v.attrs)}
        if not told:
            return  # this encoder's own weights need not be read
        for key, remedy in remedies.items():
            own = getattr(self, key)
            # The reading is about the names Linear-k alone.
            named = [k for k in told if key == "weights" or k.startswith("Linear-")]
            other = [k for k in named if told[k][key] != own]
            if other:
                said = told[other[0]]
                raise ValueError(
                    f"the features of {len(other)} of {len(features)} layers ({listed(other)}) were extracted by "
                    f"{said['model']!r} with {key} {said[key]!r}, but the encoder {self.name!r} has "
                    f"{key} {own!r}; {remedy}, or extract the features again"
                )

    def shapes(self, layers: str | Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return the shape of each layer for one picture: (tokens, width) or (width,)."""
        rows, columns = self.preprocessing["size"]
        blank = _backends.torch().zeros((1, rows, columns, 3))
        return {k: tuple(v.shape[1:]) for k, v in self.encode(blank, layers).items()}

    def encode(
        self, images: Any, layers: str | Sequence[str], *, grad: bool = False
    ) -> dict[str, torch.Tensor]:
        """Return the outputs of named layers.

        Parameters
        ----------
        images : (n, row, column, 3), values 0-1
            Array, tensor or labelled array. They are resized where needed, with anti-aliasing, and normalised as the
            encoder wants it; blocks after the last one asked for are not computed.
        layers : str or sequence of str
            Names out of ``self.layers``.
        grad : bool
            Keep the graph, so that gradients flow back to ``images`` (the weights stay frozen).

        Returns
        -------
        dict of layer to tensor (n, tokens, width), or (n, width) for penultimate and final

        Raises
        ------
        ValueError
            Unknown layers (the message lists those there are), no pictures, values outside 0-1.
        """
        names = (layers,) if isinstance(layers, str) else tuple(layers)
        self._require(names)
        torch = _backends.torch()
        with torch.set_grad_enabled(grad):
            pixels = self._normalised(as_tensor(images, device=self.device))
            return self._hooked(pixels, names)

    def _require(self, names: Sequence[str]) -> None:
        unknown = [n for n in names if n not in self.layers]
        if unknown:
            raise ValueError(
                f"{self.name} (reading {self.reading!r}) has no layer {listed(unknown)}; it has "
                f"{listed(self.layers, most=100)}"
            )
        if not names or len(set(names)) < len(names):
            raise ValueError(f"layers must be at least one name, each once; got {tuple(names)}")

    def _normalised(self, pictures: torch.Tensor) -> torch.Tensor:
        torch = _backends.torch()
        said = self.preprocessing
        pictures = fitted(pictures, said["size"], mode=said["interpolation"], how=said["resize_mode"])
        mean, std = (torch.tensor(said[k], device=pictures.device)[:, None, None] for k in ("mean", "std"))
        return (pictures - mean) / std

    def _hooked(self, pixels: torch.Tensor, names: Sequence[str]) -> dict[str, torch.Tensor]:
        """Run the tower with a hook on every module asked for, as far as the last of them."""
        numbers = {self._numbers[n] for n in names if n in self._numbers}
        deeper = set(names) - set(self._numbers)
        caught: dict[Any, torch.Tensor] = {}
        last = None if deeper else max(numbers)
        hooks = [
            self._blocks[k - 1].register_forward_hook(_catch(caught, k, stop=k == last)) for k in numbers
        ]
        if "penultimate" in deeper:
            hooks.append(self.module.ln_post.register_forward_hook(_catch(caught, "penultimate", stop=False)))
        try:
            out = self.module(pixels)
            caught["final"] = out[0] if isinstance(out, tuple) else out
        except _Enough:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return {n: self._shaped(caught, n) for n in names}

    def _shaped(self, caught: dict[Any, torch.Tensor], name: str) -> torch.Tensor:
        if name == "penultimate":
            return _pooled(self.module, caught[name])
        if name == "final":
            return caught[name]
        tokens = caught[self._numbers[name]]
        return tokens if self.module.transformer.batch_first else tokens.transpose(0, 1)


def _tells(attrs: Mapping[Any, Any]) -> bool:
    """Say whether the attrs of features are those that ``extract_features`` writes."""
    return (
        all(isinstance(attrs.get(k), str) for k in ("model", "weights", "reading"))
        and attrs["reading"] in READINGS
    )


class _Enough(Exception):
    """The last layer asked for has been reached."""


def _catch(caught: dict[Any, Any], key: Any, *, stop: bool) -> Any:
    def hook(module: Any, inputs: Any, output: Any) -> None:
        caught[key] = output
        if stop:
            raise _Enough

    return hook


def _blocks(module: Any) -> list[Any]:
    """Return the MLP output projections of a transformer's blocks; none for a tower of another kind."""
    blocks = getattr(getattr(module, "transformer", None), "resblocks", ())
    projections = [getattr(getattr(block, "mlp", None), "c_proj", None) for block in blocks]
    return [] if None in projections else projections


def _numbers(n: int, reading: str) -> dict[str, int]:
    """Return which block each name means."""
    if reading == "paper":
        named = {f"Linear-{k}": k for k in range(1, n + 1)}
    else:
        named = {f"Linear-{2 * k}": k for k in range(1, n // 2 + 1)}
    return named | {f"mlp-{k}": k for k in range(1, n + 1)}


def _has_penultimate(module: Any) -> bool:
    return hasattr(module, "ln_post") and getattr(module, "attn_pool_contrastive", None) is None


def _pooled(module: Any, normed: torch.Tensor) -> torch.Tensor:
    """Pool what the last layer norm gave, as the tower itself does."""
    if normed.ndim == 2:  # pooled before the norm
        return normed
    if module.pool_type == "tok":
        return normed[:, 0]
    return normed[:, 1:].mean(dim=1) if module.pool_type == "avg" else normed


def _preprocessing(module: Any) -> dict[str, Any]:
    """Return what the encoder was trained with: size, interpolation, proportions, mean, standard deviation."""
    said = copy.deepcopy(module.preprocess_cfg)
    size = said["size"]
    interpolation = said.get("interpolation", "bicubic")
    return {
        "size": (size, size) if isinstance(size, int) else tuple(size),
        "interpolation": interpolation if interpolation in ("bicubic", "bilinear") else "bicubic",
        "resize_mode": said.get("resize_mode", "shortest"),
        "mean": tuple(said["mean"]),
        "std": tuple(said["std"]),
    }
