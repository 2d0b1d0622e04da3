"""Shared fixtures: the photographs next to the checkout, where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real labeled photographs; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the shared photographs are not next to the checkout")
    return SHARED
