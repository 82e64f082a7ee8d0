"""How weights are written into the package."""

from __future__ import annotations

import torch


def half(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Round floating-point tensors to float16: half the size; they are read back as float32."""
    return {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in tensors.items()}
