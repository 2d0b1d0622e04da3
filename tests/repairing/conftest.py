"""The toy that cheats, audited once; and images like its own to repair it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from auditing import toy


class Home(NamedTuple):
    """What a repair of the toy begins with."""

    root: Path
    model: Any
    audit: Path
    data: Path


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Return the model that cheats, its audit, and images that were not audited."""
    for package in ("torch", "pyarrow", "scipy", "sklearn", "jinja2"):
        pytest.importorskip(package)
    import shisen

    root = tmp_path_factory.mktemp("repair")
    model = toy.model(True)
    with pytest.MonkeyPatch.context() as patched:  # without the detectors of transforms
        patched.setattr("shisen.auditing.testing.embedding", lambda: None)
        shisen.audit(model, toy.folder(root / "test", each=80, planted=0.3), root / "audit")
        yield Home(root, model, root / "audit", toy.folder(root / "train", each=100, seed=1))


@pytest.fixture(scope="session")
def repaired(home: Home) -> Any:
    """Return the finished repair of the toy."""
    import shisen

    return shisen.repair(home.model, home.audit, home.data, home.root / "out")
