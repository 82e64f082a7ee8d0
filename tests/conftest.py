"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings, which lies beside the repository and is no part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real recordings are not here: shared/data beside the repository is absent")
    return SHARED_DATA
