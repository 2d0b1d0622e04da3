"""Audits of the toy, made once for all tests; without the detectors of transforms, which take the embedded network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def toy_audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bool], Any]]:
    """Return what audits the toy's usual folder with a model that cheats, or with an honest one."""
    import shisen

    from . import toy

    home = tmp_path_factory.mktemp("toy")
    made: dict[bool, Any] = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("shisen.auditing.testing.embedding", lambda: None)
        images = toy.folder(home / "images")

        def audited(cheats: bool) -> Any:
            if cheats not in made:
                made[cheats] = shisen.audit(toy.model(cheats), images, home / f"out{cheats}")
            return made[cheats]

        yield audited


@pytest.fixture(autouse=True)
def _without_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shisen.auditing.testing.embedding", lambda: None)
