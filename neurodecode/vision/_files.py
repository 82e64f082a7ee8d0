"""Where weights lie, that nothing in them is executed, and a hash of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..labels import listed
from ..store import data_hash

LAB = Path(__file__).parent / "lab"
# What a configuration can name that a library would fetch or run from elsewhere.
ELSEWHERE = (
    *(
        "auto_map",
        "trust_remote_code",
        "custom_code",
        "tokenizer_kwargs",
        "hf_model_name",
        "hf_tokenizer_name",
    ),
    *("attn_implementation", "_attn_implementation", "use_kernels"),
)
# Ways to compute attention that libraries have inside.
INSIDE = ("eager", "sdpa", "flash_attention_2", "flex_attention")
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def lab_folder(part: str) -> Path:
    """Return the folder of one of the miniature models that ship with the package.

    Raises
    ------
    FileNotFoundError
        If its weights are not in this installation.
    """
    folder = LAB / part
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the lab's miniature model {part!r} is not in this installation ({folder} is missing); install "
            "neurodecode-toolkit again, or name another model"
        )
    return folder


def as_folder(name: str | Path) -> Path | None:
    """Return the folder that ``name`` is, or None where it is the name of a model elsewhere.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If it is written as a path and is no folder.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise NotADirectoryError(f"{path} is a file; give the folder that holds the model's files")
    text = str(name)
    if isinstance(name, Path) or text.startswith((".", "/", "~")) or "\\" in text or text.count("/") > 1:
        raise FileNotFoundError(f"there is no folder {path}; give a folder, or the name of a published model")
    return None


def find(name: str | Path, part: str) -> Path | None:
    """Return the folder of a model: the lab's own ``part`` for "lab", else what :func:`as_folder` says."""
    return lab_folder(part) if name == "lab" else as_folder(name)


def require_safetensors(folder: Path) -> list[Path]:
    """Return the safetensors files in ``folder``.

    Raises
    ------
    FileNotFoundError
        If there is no weights file.
    ValueError
        If there are only pickled ones.
    """
    found = sorted(p for p in folder.glob("*.safetensors") if p.is_file())
    if found:
        return found
    pickles = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
    if pickles:
        raise ValueError(
            f"{folder} has its weights only as {listed(pickles)}: pickled files can execute any code when they are "
            "read, so they are refused; save them as .safetensors (safetensors.torch.save_model, or save_pretrained)"
        )
    names = sorted(p.name for p in folder.iterdir())
    raise FileNotFoundError(f"{folder} has no .safetensors file; it holds {listed(names) or 'nothing'}")


def read_json(file: Path) -> dict[str, Any]:
    """Read a model's configuration.

    Raises
    ------
    FileNotFoundError
        If it is missing.
    ValueError
        If it is damaged, or names code or models elsewhere, which are neither fetched nor run.
    """
    if not file.is_file():
        # Of a part that is missing as a whole: the folder that is there, not "nothing".
        folder = next(p for p in file.parents if p.is_dir())
        wanted, names = file.relative_to(folder).as_posix(), sorted(p.name for p in folder.iterdir())
        raise FileNotFoundError(
            f"there is no {wanted} in {folder}; it holds {listed(names) or 'nothing'}; copy all of the model's files "
            "there, or give the folder that has them"
        )
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__} instead of an object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged: {error}; copy it again") from error
    named = sorted(set(_elsewhere(found)))
    if named:
        raise ValueError(
            f"{file} asks for code or a model from elsewhere ({listed(named)}), which is neither fetched nor run for a "
            "folder; take a model that its library has inside, or remove these entries if the model works without them"
        )
    return found


def _elsewhere(config: Any) -> Iterator[str]:
    """Yield names of entries that a library would follow to something outside the folder."""
    inside = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for value in inside:
        yield from _elsewhere(value)
    if not isinstance(config, dict):
        return
    for name, value in config.items():
        if name in ELSEWHERE and value and value not in INSIDE:
            yield name
        if name == "timm_model_name" and isinstance(value, str) and (":" in value or "/" in value):
            yield name


@contextmanager
def loading(folder: Path | None) -> Iterator[None]:
    """Say whose files are wrong where a library cannot make a model of a folder; a published one has its own words.

    Raises
    ------
    ValueError
        For whatever the library raises.
    """
    try:
        yield
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # safetensors, torch, open_clip, transformers, diffusers: without order
        if folder is None:
            raise
        said = " ".join(str(error).split())
        raise ValueError(
            f"no model can be made of the files in {folder}: {type(error).__name__}: {said[:300]}; they are damaged, "
            "incomplete or of another kind: copy them again"
        ) from error


def require_all_weights(said: Mapping[str, Any], where: object) -> None:
    """Refuse a model of which some weights were not in its files: libraries make up random ones, and only warn.

    Raises
    ------
    ValueError
        Naming them.
    """
    lacking = [*said.get("missing_keys", ()), *(key[0] for key in said.get("mismatched_keys", ()))]
    if lacking:
        raise ValueError(
            f"{len(lacking)} weights of {where} are missing in its files or have another shape: "
            f"{listed(sorted(lacking))}; copy them again"
        )


def weights_hash(module: Any) -> str:
    """Hash names and values of all weights of a torch module: 16 hex digits, the same on every device."""
    state = sorted(module.state_dict().items())
    names = np.array([name for name, _ in state])
    return data_hash(names, *(value.detach().cpu().numpy() for _, value in state))


class Frozen:
    """A model in evaluation mode whose weights take no gradients."""

    def __init__(self, module: Any, *, name: str, device: str) -> None:
        self.module = module.eval().requires_grad_(False).to(device)
        self.name = name

    @property
    def device(self) -> Any:
        """Where the weights are."""
        return next(self.module.parameters()).device

    @cached_property
    def weights(self) -> str:
        """Hash of the weights, 16 hex digits."""
        return weights_hash(self.module)
