"""Text encoders of Stable Diffusion 1.x: tokens of a caption, for the semantic features c."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _backends, _files

if TYPE_CHECKING:
    import torch

# The method keeps 15 tokens of a caption.
LENGTH = 15
TEMPLATE = "a picture of {}"


def load_text(
    name: str | Path, *, length: int = LENGTH, device: str = "cpu", local_files_only: bool = False
) -> TextEncoder:
    """Load the text encoder and the tokenizer of a Stable Diffusion 1.x model.

    Parameters
    ----------
    name : str or path
        ``"lab"``; a folder with ``text_encoder/`` and ``tokenizer/`` in it; or a published model, such as
        ``"CompVis/stable-diffusion-v1-4"``, which is fetched once and then taken from the cache.
    length : int
        Tokens of a caption: start, words, end, then padding; longer captions are cut.
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
        Pickled weights, another kind of text encoder, or a ``length`` that the encoder has no positions for.
    """
    folder = _files.find(name, "diffusion")
    if folder is not None:
        kind = _files.read_json(folder / "text_encoder" / "config.json").get("model_type")
        if kind not in ("clip_text_model", "clip"):
            raise ValueError(
                f"{folder / 'text_encoder'} is of the kind {kind!r}; 'clip_text_model' is needed"
            )
        _files.require_safetensors(folder / "text_encoder")
        _files.read_json(folder / "tokenizer" / "tokenizer_config.json")
    transformers = _backends.transformers()
    source, local = (str(folder or name), folder is not None or local_files_only)
    with _files.loading(folder):
        tokenizer = transformers.CLIPTokenizer.from_pretrained(
            source, subfolder="tokenizer", local_files_only=local
        )
        # Without a dtype, weights stored in half precision would be computed with in half precision.
        module, said = transformers.CLIPTextModel.from_pretrained(
            source,
            subfolder="text_encoder",
            local_files_only=local,
            use_safetensors=True,
            dtype=_backends.torch().float32,
            output_loading_info=True,
        )
    _files.require_all_weights(said, f"the text encoder of {name}")
    most = int(module.config.max_position_embeddings)
    if not 2 <= length <= most:
        raise ValueError(f"length must be from 2 to {most}, the positions of {name}; got {length}")
    made = TextEncoder(module, tokenizer, name=str(name), length=length, device=device)
    with _files.loading(folder):
        made.empty()  # tokens that the encoder does not know show here
    return made


class TextEncoder(_files.Frozen):
    """Captions to token embeddings; made by :func:`load_text`.

    Attributes
    ----------
    name : str
    length : int
        Tokens of a caption.
    module, tokenizer : transformers' CLIPTextModel (frozen) and CLIPTokenizer
    """

    def __init__(self, module: Any, tokenizer: Any, *, name: str, length: int, device: str) -> None:
        super().__init__(module, name=name, device=device)
        self.tokenizer = tokenizer
        self.length = length

    def __repr__(self) -> str:
        return f"TextEncoder({self.name!r}, {self.length} tokens x {self.width})"

    @property
    def width(self) -> int:
        """Width of a token's embedding."""
        return int(self.module.config.hidden_size)

    def ids(self, captions: str | Iterable[str]) -> np.ndarray:
        """Return token ids (n, length)."""
        found = self.tokenizer(
            _texts(captions), padding="max_length", truncation=True, max_length=self.length
        )["input_ids"]
        return np.asarray(found, dtype=np.int64)

    def cut(self, captions: str | Iterable[str]) -> np.ndarray:
        """Say which captions are longer than ``length`` and lose their end."""
        found = self.tokenizer(_texts(captions), truncation=False)["input_ids"]
        return np.array([len(ids) > self.length for ids in found])

    def tokens(self, captions: str | Iterable[str], *, grad: bool = False) -> torch.Tensor:
        """Return the embedding of every token, after the last layer norm: (n, length, width).

        It is what Stable Diffusion's cross-attention takes. Token 0 is the same for every caption.
        """
        return self.embed(self.ids(captions), grad=grad)

    def embed(self, ids: np.ndarray, *, grad: bool = False) -> torch.Tensor:
        """Return the embedding of every token (n, length, width) of ids (n, length)."""
        torch = _backends.torch()
        with torch.set_grad_enabled(grad):
            return self.module(torch.as_tensor(ids, device=self.device)).last_hidden_state

    def prompt_embedding(
        self, concepts: str | Sequence[str], *, template: str = TEMPLATE, grad: bool = False
    ) -> torch.Tensor:
        """Return the tokens (n, length, width) of "a picture of <concept>", as the method does it for EEG and MEG."""
        return self.tokens([template.format(c) for c in _texts(concepts)], grad=grad)

    def empty(self) -> torch.Tensor:
        """Return the tokens (1, length, width) of the empty prompt, which guidance steers away from."""
        return self.tokens([""])

    def restore(self, features: Any) -> torch.Tensor:
        """Make tokens (n, length, width) of features c (n, (length - 1) x width): the constant token 0 comes back.

        Raises
        ------
        ValueError
            If the number of features is another.
        """
        torch = _backends.torch()
        if not isinstance(features, torch.Tensor):  # whose own .values is something else
            features = getattr(features, "values", features)
        values = torch.as_tensor(features, device=self.device)
        wanted = (self.length - 1) * self.width
        if values.ndim != 2 or values.shape[1] != wanted:
            raise ValueError(
                f"features c of {self.name} are (n, {wanted} = {self.length - 1} x {self.width}), "
                f"got shape {tuple(values.shape)}; decode the features of this very encoder"
            )
        rest = values.reshape(len(values), self.length - 1, self.width)
        first = self.empty()[:, :1].to(rest.dtype).expand(len(values), 1, self.width)
        return torch.cat([first, rest], dim=1)


def _texts(captions: str | Iterable[str]) -> list[str]:
    texts = [captions] if isinstance(captions, str) else list(captions)
    wrong = [i for i, c in enumerate(texts) if not isinstance(c, str)]
    if wrong or not texts:
        what = f"{texts[wrong[0]]!r} at position {wrong[0]}" if wrong else "none"
        raise ValueError(f"captions must be texts, one or more; got {what}")
    return [str(c) for c in texts]
