"""One trainer for all networks: AdamW, early stopping, best weights, states from which a killed run goes on.

Every epoch begins with random numbers of its own, made from the seed and its number: the same seed gives the same
weights on a CPU, and what is resumed between two epochs needs no state of a generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from . import losses
from ._torch import torch
from .augment import augmented
from .checkpoints import Checkpoint
from .samples import Batch, Samples, in_batches, mixed

# What is kept of a training counts for the same recipe alone: raised whenever equal settings give other weights.
RECIPE = 5


@dataclass(frozen=True)
class Plan:
    """How to train; ``patience`` None keeps the weights of the last epoch, whatever validation says."""

    losses: Mapping[str, float]
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    patience: int | None
    seed: int
    precision: str
    augment: Mapping[str, float]
    device: Any
    name: str


@dataclass
class Progress:
    """How far a training has come: losses of every epoch, and the best weights (a copy) if those are kept."""

    history: list[tuple[float, float | None]] = field(default_factory=list)
    best_epoch: int = -1
    best_loss: float | None = None
    best: dict[str, Any] | None = None

    def exhausted(self, plan: Plan) -> bool:
        """Whether the validation loss has not fallen for so many epochs."""
        return plan.patience is not None and len(self.history) - 1 - self.best_epoch >= plan.patience

    def record(self) -> dict[str, Any]:
        """Return it as plain data, without the weights."""
        return {"history": self.history, "best_epoch": self.best_epoch, "best_loss": self.best_loss}


class Training:
    """A network, its loss and its optimiser, on training and validation samples."""

    def __init__(
        self,
        build: Callable[[], Any],
        samples: Samples,
        training: np.ndarray,
        validation: np.ndarray,
        plan: Plan,
    ) -> None:
        self.samples, self.training, self.plan = samples, training, plan
        self.held = _in_batches_to_judge(validation, plan)
        with _random(plan, 0):
            self.network = build().to(plan.device)
            self.loss = losses.build(plan.losses).to(plan.device)
        groups: list[dict[str, Any]] = [
            {"params": list(self.network.parameters())},
            {"params": list(self.loss.parameters()), "weight_decay": 0.0},
        ]
        self.optimiser = torch().optim.AdamW(
            [group for group in groups if group["params"]],
            lr=plan.learning_rate,
            weight_decay=plan.weight_decay,
        )
        self.progress = Progress()

    def run(self, checkpoint: Checkpoint | None) -> Progress:
        """Train to the end, from what a checkpoint holds on."""
        plan, progress = self.plan, self.progress
        if checkpoint is not None and (found := checkpoint.load()) is not None:
            self._restore(*found)
        first = len(progress.history)
        if checkpoint is not None and first < plan.epochs and not progress.exhausted(plan):
            checkpoint.require_writable()
        with tqdm(total=plan.epochs, initial=first, desc=plan.name, disable=None, leave=False) as bar:
            while len(progress.history) < plan.epochs and not progress.exhausted(plan):
                self._epoch(len(progress.history))
                loss, held = progress.history[-1]
                bar.set_postfix(
                    {"loss": f"{loss:.3g}"} | ({} if held is None else {"validation": f"{held:.3g}"})
                )
                bar.update()
                if checkpoint is not None and checkpoint.due():
                    checkpoint.save(*self._state())
        if checkpoint is not None and len(progress.history) > first:
            checkpoint.save(*self._state())
        return progress

    def weights(self) -> dict[str, np.ndarray]:
        """Return the best weights, or the last ones if none were kept."""
        state = self.network.state_dict() if self.progress.best is None else self.progress.best
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}

    def _epoch(self, number: int) -> None:
        """Learn from every training sample once, look at validation, and remember the best weights."""
        plan, progress = self.plan, self.progress
        order = np.random.default_rng([plan.seed, number]).permutation(self.training)
        with _random(plan, number + 1):
            loss = self._mean([self._step(rows) for rows in in_batches(order, plan.batch)])
        held = self._validated() if self.held else None
        progress.history.append((loss, held))
        if plan.patience is None or held is None:
            _require_finite(loss, plan, number)
            progress.best_epoch = number
            return
        _require_finite(loss + held, plan, number)
        if progress.best_loss is None or held < progress.best_loss:
            progress.best_epoch, progress.best_loss = number, held
            progress.best = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}

    def _step(self, rows: np.ndarray) -> tuple[float, int]:
        self.network.train()
        batch = self.samples.batch(rows, self.plan.device)
        if self.plan.augment:
            batch = Batch(augmented(batch.x, self.plan.augment), batch.y, batch.subject)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        loss.backward()
        self.optimiser.step()
        self.loss.bound()
        return float(loss.detach()), len(rows)

    def _validated(self) -> float:
        return self._judged().loss

    def slope(self, length: float | None) -> float:
        """Return the least-squares factor from what the best weights say to the validation samples' features.

        With a ``length`` of predictions of that length. 0 or below where nothing was learned.
        """
        if self.progress.best is not None:
            self.network.load_state_dict(self.progress.best)
        return self._judged(length).slope

    def _judged(self, length: float | None = None) -> losses.Judged:
        self.network.eval()
        found = losses.Judged(self.plan.losses)
        # What is said of constant features is thrown away.
        varies = torch().as_tensor(self.samples.y_scaling.varies, device=self.plan.device)
        with torch().no_grad():
            for rows in self.held:
                batch = self.samples.batch(rows, self.plan.device)
                said = computed(self.network, batch.inputs, self.plan.precision) * varies
                found.add(lengthened(said, length), batch.y)
        return found

    def _loss(self, batch: Batch) -> Any:
        return self.loss(computed(self.network, batch.inputs, self.plan.precision), batch.y)

    @staticmethod
    def _mean(found: list[tuple[float, int]]) -> float:
        values, counts = zip(*found, strict=True)
        return float(np.average(values, weights=counts))

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tensors by name, and a record, from which :meth:`_restore` goes on."""
        parts = {"network": self.network.state_dict(), "loss": self.loss.state_dict()}
        parts |= {f"optimiser.{i}": moments for i, moments in self.optimiser.state_dict()["state"].items()}
        parts |= {} if self.progress.best is None else {"best": self.progress.best}
        tensors = {
            f"{part}/{name}": tensor for part, found in parts.items() for name, tensor in found.items()
        }
        return tensors, self.progress.record()

    def _restore(self, tensors: dict[str, Any], record: dict[str, Any]) -> None:
        parts: dict[str, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            part, _, inside = name.partition("/")
            parts.setdefault(part, {})[inside] = tensor
        self.network.load_state_dict(parts["network"])
        self.loss.load_state_dict(parts.get("loss", {}))
        state = self.optimiser.state_dict()
        state["state"] = {int(k.split(".")[1]): v for k, v in parts.items() if k.startswith("optimiser.")}
        self.optimiser.load_state_dict(state)
        self.progress.history[:] = [(loss, held) for loss, held in record["history"]]
        self.progress.best_epoch, self.progress.best_loss = record["best_epoch"], record["best_loss"]
        self.progress.best = parts.get("best")


def computed(network: Any, inputs: tuple[Any, ...], precision: str) -> Any:
    """Outputs (n, q) of a network, float32, computed in bfloat16 where that is asked for."""
    device = inputs[0].device.type
    with torch().autocast(device, dtype=torch().bfloat16, enabled=precision == "bfloat16"):
        found = network(*inputs)
    return found.float()


def lengthened(said: Any, length: float | None) -> Any:
    """Give predictions (n, q) a length; None leaves them theirs."""
    return said if length is None else length * torch().nn.functional.normalize(said, dim=1)


def _in_batches_to_judge(rows: np.ndarray, plan: Plan) -> list[np.ndarray]:
    """Validation samples in the same batches in every epoch; only what contrasts samples depends on which these are."""
    if not rows.size:
        return []
    return (
        mixed(rows, plan.batch, seed=plan.seed) if "infonce" in plan.losses else in_batches(rows, plan.batch)
    )


def _require_finite(loss: float, plan: Plan, epoch: int) -> None:
    """Refuse to go on with weights that are lost."""
    if not np.isfinite(loss):
        raise ValueError(
            f"the loss of {plan.name} became {loss} in epoch {epoch} of {plan.epochs}; lower learning_rate="
            f"{plan.learning_rate:g}, or look for extreme values in responses or features"
        )


@contextmanager
def _random(plan: Plan, part: int) -> Iterator[None]:
    """Seed torch for one part of a training, and leave its generators as they were found."""
    cuda = [plan.device] if plan.device.type == "cuda" else []
    with torch().random.fork_rng(devices=cuda):
        seed = int(np.random.SeedSequence([plan.seed, part]).generate_state(1)[0])
        torch().default_generator.manual_seed(seed)
        if cuda:
            with torch().cuda.device(plan.device):
                torch().cuda.manual_seed(seed)
        yield
