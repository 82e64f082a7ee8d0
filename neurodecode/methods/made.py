"""What a result says of itself, as plain data: its provenance, sizes, labels and attributes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from .. import store
from ..labels import listed

# Variables of results that count what went in.
COUNTS = ("n", "chance")


@dataclass(frozen=True)
class Made:
    """One result, or one that it was made of (which has its provenance alone).

    Attributes
    ----------
    record : as :func:`neurodecode.store.provenance` reads it
    sizes : dimension -> length
    attrs : without the provenance
    labels : numeric coordinates and counts, by name
    """

    record: Mapping[str, Any]
    sizes: Mapping[str, int] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """The call that made it."""
        return str(self.record.get("what"))

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Name to described value."""
        found = self.record.get("parameters")
        return found if isinstance(found, Mapping) else {}

    @property
    def seed(self) -> Any:
        """Of the random numbers, None without."""
        return self.record.get("seed")

    def get(self, name: str) -> Any:
        """One parameter, None where it is not known."""
        return self.parameters.get(name)

    def range_of(self, *names: str) -> tuple[float, float] | None:
        """Least and largest value of the first of these labels that there is."""
        for name in names:
            values = self.labels.get(name)
            if values is not None and np.isfinite(values).any():
                return float(np.nanmin(values)), float(np.nanmax(values))
        return None


def read(result: xr.DataArray | xr.Dataset) -> Made:
    """Read a result.

    Raises
    ------
    ValueError
        If it bears no provenance; names the variables of a Dataset that do.
    """
    if "provenance" not in result.attrs and isinstance(result, xr.Dataset):
        inside = [str(k) for k, v in result.data_vars.items() if "provenance" in v.attrs]
        if inside:
            raise ValueError(
                f"this Dataset has no provenance of its own, but its variables {listed(inside)} have: give one of "
                f"them, such as result[{inside[0]!r}]"
            )
    arrays = {str(k): v for k, v in result.coords.items()}
    if isinstance(result, xr.Dataset):
        arrays |= {str(k): v for k, v in result.data_vars.items() if k in COUNTS}
    return Made(
        record=store.provenance(result),
        sizes={str(k): int(v) for k, v in result.sizes.items()},
        attrs={str(k): store.describe(v) for k, v in result.attrs.items() if k != "provenance"},
        labels={k: v.values for k, v in arrays.items() if v.dtype.kind in "iuf" and v.size},
    )


def inner(value: Any) -> list[tuple[str, Made]]:
    """Results that a parameter holds: a record, its JSON text, or a mapping of name to either."""
    value = parsed(value)
    if is_record(value):
        return [("", Made(value))]
    if not isinstance(value, Mapping):
        return []
    return [(str(k), Made(r)) for k, v in value.items() if is_record(r := parsed(v))]


def parsed(value: Any) -> Any:
    """Turn the JSON text of a record into the record; anything else stays."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if is_record(found) else value
    return value


def is_record(value: Any) -> bool:
    """Whether it is what ``store.stamp`` writes."""
    return isinstance(value, Mapping) and {"what", "parameters", "version"} <= set(value)


def call(text: Any) -> tuple[str, dict[str, Any]]:
    """Class and settings of a described estimator such as ``"RidgeDecoder(alpha=10.0, ...)"``.

    A setting that is no literal stays as it is written. What is no such text has itself as name and no settings.
    """
    if not isinstance(text, str):
        return str(text), {}
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text, {}
    if not isinstance(node, ast.Call) or node.args or any(k.arg is None for k in node.keywords):
        return text, {}
    return ast.unparse(node.func), {str(k.arg): _literal(k.value, text) for k in node.keywords}


def _literal(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.get_source_segment(text, node)


def name_of(text: str) -> str:
    """Class of a described object, whatever stands in its parentheses."""
    found = re.match(r"[\w.]+", text)
    return found[0] if found else text
