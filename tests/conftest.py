"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings, which lies beside the repository and is no part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real recordings are not here: shared/data beside the repository is absent")
    return SHARED_DATA


@pytest.fixture(params=["dask", "numpy"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How loaders read: lazily with dask, or at once as without it."""
    from neurodecode.datasets import _blocks

    if request.param == "dask":
        pytest.importorskip("dask")
    monkeypatch.setattr(_blocks, "has_dask", lambda: request.param == "dask")
    return request.param


@pytest.fixture
def memory_left(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the machine say that so many bytes are free."""

    def say(free: int) -> None:
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free, total=free))

    return say
