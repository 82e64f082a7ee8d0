"""One training loop for all of the lab's models: seeded by step, resumed after a kill, with averaged weights."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

SAVE_EVERY = 90.0  # seconds


@dataclass(frozen=True)
class Settings:
    """How a model is trained; saved beside its state, and how it was trained last is shipped with the weights."""

    batch: int
    rate: float
    decay: float = 0.01
    warmup: int = 200  # steps
    steady: int = 1_000_000  # pictures; later the rate falls with the inverse of the square root
    average: float = 0.999
    clip: float = 1.0
    seed: int = 0
    bfloat16: bool = True  # matrix products only (autocast); weights and optimiser stay in float32


@dataclass
class State:
    """Model, its averaged copy, optimiser, and how many steps and pictures they have seen."""

    model: torch.nn.Module
    averaged: torch.nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    pictures: int = 0


@dataclass(frozen=True)
class Start:
    """Weights to begin with, and how much training made them."""

    tensors: dict[str, torch.Tensor]
    step: int
    pictures: int


# A loss takes the model, a generator that is this step's own, and the number of pictures seen so far; it returns the
# loss and figures for the log.
Loss = Callable[[torch.nn.Module, np.random.Generator, int], tuple[torch.Tensor, dict[str, float]]]


def train(
    folder: Path,
    build: Callable[[], torch.nn.Module],
    loss: Loss,
    settings: Settings,
    *,
    pictures: int,
    minutes: float,
    trainable: Callable[[str], bool] = lambda name: True,
    start: Start | None = None,
    device: str = "cpu",
) -> State:
    """Train until ``pictures`` have been seen in all or ``minutes`` have gone by, and keep the state in ``folder``.

    Without a state in ``folder``, training begins with the weights of ``start``, or at random.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = resume(folder, build, settings, trainable, start=start, device=device)
    began = saved = time.monotonic()
    seen: list[dict[str, float]] = []
    while state.pictures < pictures:
        seen.append(_step(state, loss, settings))
        now = time.monotonic()
        if now - saved > SAVE_EVERY:
            _save(folder, state, settings)
            _log(folder, state, settings, seen, seconds=now - saved)
            saved, seen = now, []
        if now - began > 60 * minutes:
            break
    _save(folder, state, settings)
    if seen:
        _log(folder, state, settings, seen, seconds=time.monotonic() - saved)
    return state


def resume(
    folder: Path,
    build: Callable[[], torch.nn.Module],
    settings: Settings,
    trainable: Callable[[str], bool] = lambda name: True,
    *,
    start: Start | None = None,
    device: str = "cpu",
) -> State:
    """Build a model, and give it the state saved in ``folder``, if there is one."""
    torch.manual_seed(settings.seed)
    model = build().to(device)
    averaged = build().to(device)
    if start is not None:
        model.load_state_dict(start.tensors)
    averaged.load_state_dict(model.state_dict())
    averaged.requires_grad_(False).eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trainable(name))
    chosen = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(chosen, lr=settings.rate, weight_decay=settings.decay, betas=(0.9, 0.98))
    state = State(model, averaged, optimiser, *((start.step, start.pictures) if start else ()))
    newest = folder / "state.json"
    if newest.exists():
        record = json.loads(newest.read_text())
        state.step, state.pictures = record["step"], record["pictures"]
        tensors = load_file(folder / record["file"])
        model.load_state_dict(_part(tensors, "model."))
        averaged.load_state_dict(_part(tensors, "averaged."))
        _restore(optimiser, _part(tensors, "optimiser."))
        _settle(model, averaged, trainable)
        print(f"{folder.name}: goes on from step {state.step}", flush=True)
    return state


def _step(state: State, loss: Loss, settings: Settings) -> dict[str, float]:
    rng = np.random.default_rng([settings.seed, state.step])
    torch.manual_seed(settings.seed * 1_000_003 + state.step)
    rate = settings.rate * min(1.0, (state.step + 1) / settings.warmup)
    rate *= min(1.0, settings.steady / max(state.pictures, 1)) ** 0.5
    state.model.train()
    with _precision(state, settings):
        value, figures = loss(state.model, rng, state.pictures)
    state.model.zero_grad(set_to_none=True)
    value.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.optimiser.step()
    state.step += 1
    state.pictures += settings.batch
    _average(state, settings)
    return {"loss": float(value.detach()), **figures}


@contextmanager
def _precision(state: State, settings: Settings) -> Iterator[None]:
    """Matrix products in bfloat16; on a CPU the fused attention's backward pass is slower than the plain one's."""
    device = next(state.model.parameters()).device.type
    plain = (
        [SDPBackend.MATH]
        if device == "cpu"
        else [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    )
    with torch.autocast(device, torch.bfloat16, enabled=settings.bfloat16), sdpa_kernel(plain):
        yield


def _average(state: State, settings: Settings) -> None:
    """Move the averaged copy towards the model; faster in the beginning, when the average is mostly the start."""
    keep = min(settings.average, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        mean, now = list(state.averaged.parameters()), list(state.model.parameters())
        torch._foreach_mul_(mean, keep)
        torch._foreach_add_(mean, now, alpha=1 - keep)
        for a, b in zip(state.averaged.buffers(), state.model.buffers(), strict=True):
            a.copy_(b)


def _save(folder: Path, state: State, settings: Settings) -> None:
    """Write the state under a new name, then point to it: a kill leaves the old one or the new one, whole."""
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"averaged.{k}": v for k, v in state.averaged.state_dict().items()}
    for i, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    name = f"state-{state.step}.safetensors"
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, folder / name)
    record = {
        "step": state.step,
        "pictures": state.pictures,
        "file": name,
        "settings": asdict(settings),
    }
    temporary = folder / "state.json.part"
    temporary.write_text(json.dumps(record, indent=1))
    os.replace(temporary, folder / "state.json")
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def _restore(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Give an optimiser its moments back; those of another choice of parameters are left behind."""
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        place, name = key.split(".")
        moments.setdefault(int(place), {})[name] = value
    chosen = [p for group in optimiser.param_groups for p in group["params"]]
    shapes = [
        next((m.shape for m in moments.get(i, {}).values() if m.ndim), None) for i in range(len(chosen))
    ]
    if len(moments) == len(chosen) and shapes == [p.shape if p.ndim else None for p in chosen]:
        optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def _settle(model: torch.nn.Module, averaged: torch.nn.Module, trainable: Callable[[str], bool]) -> None:
    """What is trained no further is what was exported: the averaged weights."""
    means = dict(averaged.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not trainable(name):
                parameter.copy_(means[name])


def tell(path: Path, folder: Path) -> None:
    """Write into ``path`` (JSON, by model) how the model whose state is in ``folder`` was trained."""
    known = json.loads(path.read_text()) if path.exists() else {}
    record = json.loads((folder / "state.json").read_text())
    known[folder.name] = {k: record[k] for k in ("step", "pictures", "settings")}
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _log(
    folder: Path, state: State, settings: Settings, seen: list[dict[str, float]], *, seconds: float
) -> None:
    """Add a line of means to curve.jsonl, and print it."""
    row = {"pictures": state.pictures, "per_second": len(seen) * settings.batch / seconds}
    row |= {k: float(np.mean([s[k] for s in seen if k in s])) for k in sorted({k for s in seen for k in s})}
    with (folder / "curve.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    print(folder.name, " ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
