"""What a fitted network is apart from its weights, and the whole map made of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..labels import SAMPLE, require_coord
from . import architectures
from ._torch import torch
from .samples import Scaling
from .trainer import computed, lengthened


@dataclass(frozen=True)
class Design:
    """What a network was made for; settings that its decoder is given later do not change what it says.

    Attributes
    ----------
    axes : shape of a sample as the network sees it
    outputs : number of features
    directions : whether its loss knows directions alone, and predictions get a length
    subject : sample coordinate of the subjects, None without
    subjects : their names, by number
    """

    architecture: str
    size: str
    precision: str
    directions: bool
    axes: tuple[int, ...]
    outputs: int
    subject: str | None
    subjects: tuple[Any, ...]

    def network(self) -> Any:
        """Return it as a new torch network."""
        return architectures.build(
            self.architecture, self.axes, self.outputs, size=self.size, subjects=len(self.subjects)
        )

    def table(self) -> list[architectures.Layer]:
        """Return its layers."""
        return architectures.layers(
            self.architecture, self.axes, self.outputs, size=self.size, subjects=len(self.subjects)
        )

    def numbers(self, responses: xr.DataArray) -> np.ndarray | None:
        """Number of every sample's subject, -1 where it was not trained on; None without subjects."""
        if self.subject is None:
            return None
        labels = require_coord(responses, self.subject, who="responses").values
        known = {name: i for i, name in enumerate(self.subjects)}
        return np.array([known.get(name, -1) for name in labels.tolist()], np.int64)

    def length(self, y: Scaling) -> float | None:
        """How long standardised predictions are made: as features are on average; None leaves them theirs."""
        return float(y.varies.sum()) ** 0.5 if self.directions else None

    def module(self, weights: Mapping[str, np.ndarray], x: Scaling, y: Scaling, *, slope: float) -> Any:
        """Return a module of the scaling, the network with these weights, and the scaling back."""
        nn, length, precision = torch().nn, self.length(y), self.precision
        with torch().device("meta"):
            network = self.network()
        network.load_state_dict({k: torch().from_numpy(v.copy()) for k, v in weights.items()}, assign=True)

        def tensor(values: np.ndarray) -> Any:
            return torch().from_numpy(np.asarray(values, np.float64))

        class Whole(nn.Module):  # type: ignore[name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.network = network
                self.register_buffer("x_mean", tensor(x.mean))
                self.register_buffer("x_scale", tensor(np.where(x.varies, 1 / x.sd, 0.0)))
                self.register_buffer("y_mean", tensor(y.mean))
                self.register_buffer("y_scale", tensor(np.where(y.varies, y.sd, 0.0)))
                self.register_buffer("varies", torch().from_numpy(y.varies))

            def forward(self, responses: Any, *subject: Any) -> Any:
                z = ((responses.reshape(-1, *x.mean.shape) - self.x_mean) * self.x_scale).float()
                found = lengthened(computed(self.network, (z, *subject), precision) * self.varies, length)
                return slope * found.double() * self.y_scale + self.y_mean

        return Whole().eval()


def subjects_of(responses: xr.DataArray, subject: str | None) -> tuple[Any, ...]:
    """Names of the subjects by a sample coordinate; none without one."""
    if subject is None:
        return ()
    labels = require_coord(responses, subject, who="responses", dim=SAMPLE).values
    return tuple(sorted(set(labels.tolist())))
