"""The selected ridge and the ridge under one penalty on an accelerator (torch); the same numbers as on the CPU.

Correlations too close to tell apart in float32 are decided on the CPU in float64, as there. A block of targets is as
large as the device's free memory allows.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from .ridge import rounds_too_much
from .selected import DOUBT, LEAST, Candidates, lengths

# Share of the device's free memory that a block's matrices may fill, and targets at a time where it does not say.
SHARE, TARGETS = 0.4, 256


@lru_cache(maxsize=8)
def found(name: str | None) -> Any:
    """Return the torch device of that name; None, after one warning, if there is none such here."""
    if name in (None, "cpu"):
        return None
    try:
        import torch
    except ImportError:
        warnings.warn(
            f"device={name!r} needs torch, which is not installed: fitting on the CPU", stacklevel=2
        )
        return None
    try:
        device = torch.device(str(name))
    except RuntimeError as error:
        raise ValueError(
            f"device={name!r} is no name that torch knows; give one such as 'cuda', 'cuda:1' or 'cpu'"
        ) from error
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError, TypeError):
        warnings.warn(
            f"device={name!r}: torch finds no such device here, or none that holds float64: fitting on the CPU",
            stacklevel=2,
        )
        return None
    return device


class DevicePool:
    """Scaled predictors x (n, p) on a device, and their Gram matrix; ``candidates`` are the same on the CPU."""

    def __init__(self, candidates: Candidates, x: np.ndarray, device: Any) -> None:
        import torch

        self.candidates, self.device = candidates, device
        self.x = torch.as_tensor(x, device=device)
        self.gram = self.x.T @ self.x
        others = len(candidates.norms)
        self.norms = torch.as_tensor(candidates.norms, dtype=self.x.dtype, device=device)
        self.varies = torch.as_tensor(candidates.varies, device=device)
        self.last = torch.arange(others, x.shape[1], device=device)

    def solve(self, y: np.ndarray, alpha: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return selected predictors (q, k + always) and weights (a, q, k + always) of targets y (n, q).

        None where the dtype is not accurate enough.
        """
        width, q = k + len(self.last), y.shape[1]
        rows = np.empty((q, width), np.int32)
        weights = np.empty((len(alpha), q, width), y.dtype)
        size = self._targets(width)
        for first in range(0, q, size):
            part = slice(first, min(first + size, q))
            solved = self._block(y[:, part], alpha[:, part], k)
            if solved is None:
                return None
            rows[part], weights[:, part] = solved
        return rows, weights

    def _targets(self, width: int) -> int:
        import torch

        if self.device.type != "cuda":
            return TARGETS
        free, _ = torch.cuda.mem_get_info(self.device)
        return max(1, int(SHARE * free) // (4 * width * width * self.x.element_size()))

    def _block(self, y: np.ndarray, alpha: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
        import torch

        there = torch.as_tensor(np.ascontiguousarray(y), device=self.device)
        products = (self.x.T @ there).T
        rows = self._best(products[:, : len(self.norms)], y, k)
        rows = torch.cat([rows, self.last.expand(len(rows), -1)], dim=1)
        right = torch.gather(products, 1, rows)[:, :, None]
        matrices = self.gram[rows[:, :, None], rows[:, None, :]]
        size = torch.linalg.matrix_norm(matrices).cpu().numpy()
        found = np.empty((len(alpha), *rows.shape), y.dtype)
        diagonal = torch.diagonal(matrices, dim1=1, dim2=2)
        before = torch.zeros(len(rows), 1, dtype=self.x.dtype, device=self.device)
        for out, penalty in zip(found, alpha, strict=True):
            now = torch.as_tensor(penalty[:, None], dtype=self.x.dtype, device=self.device)
            diagonal += now - before
            before = now
            factor, info = torch.linalg.cholesky_ex(matrices)
            least = torch.diagonal(factor, dim1=1, dim2=2).amin(dim=1).cpu().numpy() ** 2
            if bool(info.any()) or (y.dtype == np.float32 and rounds_too_much(size, least, y.dtype)):
                return None
            out[:] = torch.cholesky_solve(right, factor)[:, :, 0].cpu().numpy()
        return rows.cpu().numpy().astype(np.int32), found

    def _best(self, products: Any, y: np.ndarray, k: int) -> Any:
        """Indices (q, k), ascending, of those that correlate most with each target."""
        import torch

        mean, length, inverse = lengths(y)
        if products.dtype == torch.float64 or self.candidates.offset(mean, length):
            return self._again(products, y, k)
        scale = torch.as_tensor(inverse, dtype=products.dtype, device=self.device)
        r = (products / self.norms).abs() * scale[:, None]
        r[:, ~self.varies] = -1.0
        values, rows = torch.topk(r, k, dim=1)
        rows = rows.sort(dim=1).values
        threshold = values[:, -1:]
        doubt = DOUBT * threshold.clamp(min=LEAST)
        many = ((r - threshold).abs() <= doubt).sum(dim=1) > 1
        doubtful = torch.nonzero(many)[:, 0]
        if len(doubtful):
            rows[doubtful] = self._again(products[doubtful], y[:, doubtful.cpu().numpy()], k)
        return rows

    def _again(self, products: Any, y: np.ndarray, k: int) -> Any:
        """Select as the CPU does."""
        import torch

        best = self.candidates.best(y, products.cpu().numpy(), k)
        return torch.as_tensor(best.astype(np.int64), device=self.device)


class DeviceFactor:
    """The factorised smaller Gram matrix of predictors x (n, p) under one penalty, in float64 on a device."""

    def __init__(self, x: np.ndarray, alpha: float, device: Any) -> None:
        import torch

        self.x = torch.as_tensor(x, dtype=torch.float64, device=device)
        self.primal = x.shape[1] <= x.shape[0]
        matrix = self.x.T @ self.x if self.primal else self.x @ self.x.T
        torch.diagonal(matrix).add_(alpha)
        self.factor, info = torch.linalg.cholesky_ex(matrix)
        # Whether the matrix was positive definite.
        self.sound = not int(info)

    def weights(self, y: np.ndarray) -> np.ndarray:
        """Weights (p, q), float64, of targets y (n, q)."""
        import torch

        t = torch.as_tensor(y, dtype=torch.float64, device=self.x.device)
        solved = torch.cholesky_solve(self.x.T @ t if self.primal else t, self.factor)
        return np.asarray((solved if self.primal else self.x.T @ solved).cpu().numpy())
