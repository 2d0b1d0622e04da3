"""Tests of Keras models run on the backend that KERAS_BACKEND names; one process a backend."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

HERE = Path(__file__).parent
AVAILABLE = importlib.util.find_spec("keras") is not None
collect_ignore_glob = [] if AVAILABLE else ["test_*.py"]

if AVAILABLE:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own deprecations, while they are imported
        import keras


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Keras's own calls of deprecated NumPy pass; everything else stays an error."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"))


@pytest.fixture
def backend() -> str:
    """The backend in use."""
    return str(keras.config.backend())
