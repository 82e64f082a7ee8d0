"""Stage 2 on tensors: latents are moved by Adam until a picture's features meet the decoded ones. No labels here.

Every picture goes its own way: its loss, its gradients, its best state and its end depend on no other in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from ..checks import names_in, require_counts, require_numbers
from ..labels import listed, require_choice
from ..vision import _backends
from .structure import StructureLoss

if TYPE_CHECKING:
    import torch

Tensors = dict[str, "torch.Tensor"]
# Makes pictures of latents; the second argument is the iteration, for noise that is drawn anew.
Make = Callable[[Tensors, int], "torch.Tensor"]
NOISES = ("fixed", "redrawn")
# How a picture ended.
WENT_ON, CONVERGED, DIVERGED = "all steps", "converged", "diverged"


@dataclass(frozen=True)
class Settings:
    """How stage 2 descends.

    Attributes
    ----------
    steps : of Adam (Kingma & Ba 2015).
    rate : its step size, or a mapping of latent to step size (for latents of different spread); ``decay``: what it is
        multiplied with after every step.
    move : name or names of the latents that are moved; None: all that the generator has.
    noise : "fixed", drawn once a picture, or "redrawn" at every step (the curves fluctuate then).
    starts : how many first pictures are made of each brain response, each with its own noise; the one of the lowest
        loss is refined. Where an object lies follows from the noise as well, and gradients hardly carry it far.
    tolerance : a picture stops when its loss has fallen by less than this share over the last ``patience`` steps; None:
        never.
    diverged : a picture whose loss grows beyond this multiple of its first is stopped and set back to its best.
    scale : the loss is multiplied by it on the way back, for float16; halved when gradients overflow.
    """

    steps: int = 60
    rate: float | Mapping[str, float] = 0.01
    decay: float = 1.0
    move: tuple[str, ...] | None = None
    noise: str = "fixed"
    starts: int = 1
    tolerance: float | None = None
    patience: int = 10
    diverged: float = 10.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        require_choice(self.noise, NOISES, what="noise")
        require_counts(steps=self.steps, starts=self.starts, patience=self.patience)
        rates = list(self.rate.values()) if isinstance(self.rate, Mapping) else [self.rate]
        tolerance = 0.0 if self.tolerance is None else self.tolerance
        for rate in rates:
            require_numbers(rate=rate)
        if self.move is not None:
            # One name in its own is no sequence of letters.
            object.__setattr__(self, "move", tuple(names_in(self.move, what="move")))
        require_numbers(decay=self.decay, tolerance=tolerance, diverged=self.diverged, scale=self.scale)
        sound = (
            all(0 < rate < inf for rate in rates),
            0 < self.decay <= 1,
            0 <= tolerance < 1,
            self.diverged >= 1,
            0 < self.scale < inf,
            self.move is None or len(self.move) > 0,
            self.patience >= 1,
            self.starts >= 1,
        )
        if not all(sound):
            raise ValueError(
                "stage 2 needs steps >= 0, rate > 0, 0 < decay <= 1, 0 <= tolerance < 1 (or None), diverged >= 1, "
                "scale > 0, a latent or more in move (or None for all), patience >= 1 and starts >= 1; got "
                f"{self}"
            )

    def rate_of(self, latent: str) -> float:
        """Return the step size of one latent.

        Raises
        ------
        ValueError
            If the mapping does not name it.
        """
        if not isinstance(self.rate, Mapping):
            return self.rate
        if latent not in self.rate:
            raise ValueError(
                f"rate names {listed(self.rate)}, but the latent {latent!r} is moved too; name each"
            )
        return self.rate[latent]


@dataclass
class Path:
    """What happened, a row a picture (NaN after a picture's end).

    Attributes
    ----------
    total : (n, steps + 1), apart : (n, steps + 1, term) losses; gradient : latent -> (n, steps + 1) norms.
    shown : step -> pictures (n, row, column, 3), clipped to 0-1.
    best : (n) the step of the picture that is kept; images : (n, row, column, 3) those; latents : theirs.
    end : (n) why each stopped.
    first : (n, row, column, 3) pictures of the first start; tried : (n, start) the losses of all.
    """

    total: np.ndarray
    apart: np.ndarray
    gradient: dict[str, np.ndarray]
    shown: dict[int, np.ndarray] = field(default_factory=dict)
    best: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    images: np.ndarray = field(default_factory=lambda: np.zeros(0))
    latents: dict[str, np.ndarray] = field(default_factory=dict)
    end: np.ndarray = field(default_factory=lambda: np.zeros(0, "U9"))
    first: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tried: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))


@dataclass
class Start:
    """Where a picture begins: its ``latents`` and what is ``random`` about it."""

    latents: Tensors
    random: Tensors


def choose(
    generate: Callable[[Tensors, Tensors], torch.Tensor], loss: StructureLoss, starts: Sequence[Start]
) -> tuple[Start, np.ndarray, np.ndarray]:
    """Make the pictures of every start, and take for each row the start of the lowest loss.

    Returns
    -------
    the start that is made of those rows; (n, row, column, 3) pictures of the first start, 0-1; (n, start) losses, NaN
    where a picture is not finite
    """
    torch = _backends.torch()

    pictures: list[np.ndarray] = []
    losses = []
    with torch.no_grad():
        for start in starts:
            images = generate(start.latents, start.random)
            sound = torch.isfinite(images).flatten(1).all(dim=1)
            shown = torch.where(_rows(sound, images), images, torch.full_like(images, 0.5))
            total = loss.total(loss.apart(shown))
            losses.append(torch.where(sound, total, torch.full_like(total, torch.nan)).cpu())
            pictures = pictures or [torch.nan_to_num(images, nan=0.5).clamp(0, 1).cpu().numpy()]
    tried = torch.stack(losses, dim=1)
    best = torch.nan_to_num(tried, nan=torch.inf).argmin(dim=1).tolist()

    def rows(parts: list[Tensors]) -> Tensors:
        return {k: torch.stack([parts[b][k][i] for i, b in enumerate(best)]) for k in parts[0]}

    chosen = Start(rows([s.latents for s in starts]), rows([s.random for s in starts]))
    return chosen, pictures[0], tried.numpy()


def descend(
    make: Make,
    loss: StructureLoss,
    start: Mapping[str, torch.Tensor],
    settings: Settings,
    *,
    show: Collection[int] = (),
) -> Path:
    """Move latents (n, ...) down the loss of the pictures that ``make`` makes of them; see :class:`Settings`."""
    torch = _backends.torch()

    moved = tuple(settings.move or start)
    latents = {k: v.detach().clone() for k, v in start.items()}
    for name in moved:
        latents[name].requires_grad_(True)
    optimiser = torch.optim.Adam([{"params": [latents[k]], "lr": settings.rate_of(k)} for k in moved])
    falling = torch.optim.lr_scheduler.ExponentialLR(optimiser, settings.decay)
    n = len(latents[moved[0]])
    state = _State(n, settings, loss.terms, moved)
    for step in range(settings.steps + 1):
        with torch.enable_grad():
            images = make(latents, step)
            sound = _rows(torch.isfinite(images).flatten(1).all(dim=1), images)
            apart = loss.apart(torch.where(sound, images, torch.full_like(images, 0.5)))
            total = loss.total(apart)
        ok = sound.flatten(1)[:, 0] & torch.isfinite(total)
        state.see(step, images, apart, total, ok, latents, show=step in show)
        if step == settings.steps or not state.running.any():
            break
        before = {k: latents[k].detach().clone() for k in moved}
        optimiser.zero_grad()
        if total.requires_grad:  # else no latent is reached: gradients() says which
            (total * state.scale)[ok & state.running].sum().backward()
        going = state.gradients(step, latents)
        optimiser.step()
        falling.step()
        with torch.no_grad():
            for name in moved:
                stay = _rows(~going, latents[name])
                latents[name].copy_(torch.where(stay, before[name], latents[name]))
    return state.path


def _rows(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Give a mask (n) the axes of ``like`` (n, ...)."""
    return mask.reshape(-1, *[1] * (like.ndim - 1))


class _State:
    """What is known of every picture while it descends."""

    def __init__(self, n: int, settings: Settings, terms: list[str], moved: tuple[str, ...]) -> None:
        torch = _backends.torch()

        self.settings, self.scale = settings, settings.scale
        count = settings.steps + 1
        self.path = Path(
            np.full((n, count), np.nan),
            np.full((n, count, len(terms)), np.nan),
            {k: np.full((n, count), np.nan) for k in moved},
            best=np.zeros(n, int),
            end=np.full(n, WENT_ON),
        )
        self.running = torch.ones(n, dtype=torch.bool)
        self._lowest = torch.full((n,), torch.inf)

    def see(
        self,
        step: int,
        images: torch.Tensor,
        apart: torch.Tensor,
        total: torch.Tensor,
        ok: torch.Tensor,
        latents: Tensors,
        *,
        show: bool,
    ) -> None:
        """Note losses and pictures of one step, keep what is best so far, and end what has ended."""
        torch = _backends.torch()

        path = self.path
        here, ok = total.detach().cpu(), ok.cpu()
        on = (ok & self.running).numpy()
        path.total[on, step] = here.numpy()[on]
        path.apart[on, step] = apart.detach().cpu().numpy()[on]
        better = ok & self.running & (here < self._lowest)
        pictures = images.detach().clamp(0, 1).cpu().numpy()
        if step == 0:
            path.images = np.nan_to_num(pictures, nan=0.5)
            path.latents = {k: v.detach().cpu().numpy().copy() for k, v in latents.items()}
        chosen = better.numpy()
        path.images[chosen], path.best[chosen] = pictures[chosen], step
        for name, values in latents.items():
            path.latents[name][chosen] = values.detach().cpu().numpy()[chosen]
        self._lowest = torch.where(better, here, self._lowest)
        if show:
            path.shown[step] = np.where(on[:, None, None, None], pictures, path.images)
        self._end(step, here, ok)

    def _end(self, step: int, here: torch.Tensor, ok: torch.Tensor) -> None:
        torch = _backends.torch()

        first = torch.from_numpy(self.path.total[:, 0]).to(here.dtype)
        lost = self.running & (~ok | (here > self.settings.diverged * first) | ~torch.isfinite(first))
        self._stop(lost, DIVERGED)
        ago = step - self.settings.patience
        if self.settings.tolerance is not None and ago >= 0:
            known = np.where(np.isnan(self.path.total), np.inf, self.path.total)[:, : ago + 1]
            earlier = torch.from_numpy(known.min(axis=1)).to(here.dtype)
            self._stop(self.running & (self._lowest > (1 - self.settings.tolerance) * earlier), CONVERGED)

    def _stop(self, which: torch.Tensor, why: str) -> None:
        self.path.end[which.numpy()] = why
        self.running = self.running & ~which

    def gradients(self, step: int, latents: Tensors) -> torch.Tensor:
        """Undo the scale, note the norms, and say which pictures may move: those whose gradients are finite."""
        torch = _backends.torch()

        going = self.running.clone().to(next(iter(latents.values())).device)
        grads: Tensors = {}
        for name in self.path.gradient:
            grad = latents[name].grad
            if grad is None:
                raise ValueError(
                    f"no gradient reaches the latent {name!r}: the generator makes its pictures without it, or does "
                    "not pass gradients on; name only other latents in Settings(move=...)"
                )
            grads[name] = grad
        for name, grad in grads.items():
            grad /= self.scale
            norm = grad.flatten(1).norm(dim=1)
            self.path.gradient[name][self.running.numpy(), step] = norm.cpu().numpy()[self.running.numpy()]
            going &= torch.isfinite(norm)
        for grad in grads.values():
            grad[~going] = 0.0  # Adam's memory stays finite
        stuck = self.running & ~going.cpu()
        if stuck.any():
            # With a scale the next, smaller one may do; without one there is nothing left to try.
            if self.scale > 1:
                self.scale /= 2
            else:
                self._stop(stuck, DIVERGED)
        return going
