"""Audits of the toy, made once for all tests; without the detectors of transforms, which take the embedded network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Audits:
    """Audits of the toy's usual folder with a model that cheats, or with an honest one; each is made once.

    Args:
        home: where images and results go.
    """

    def __init__(self, home: Path) -> None:
        from . import toy

        self.home, self.images = home, toy.folder(home / "images")
        self.made: dict[bool, Any] = {}

    def __call__(self, cheats: bool) -> Any:
        """Return the audit of one of the models."""
        import shisen

        from . import toy

        if cheats not in self.made:
            self.made[cheats] = shisen.audit(toy.model(cheats), self.images, self.out(cheats))
        return self.made[cheats]

    def out(self, cheats: bool) -> Path:
        """Return the folder of an audit: what is begun again there goes on from what is known."""
        return self.home / f"out{cheats}"


@pytest.fixture(scope="session")
def toy_audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audits]:
    """Return what audits the toy's usual folder."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("shisen.auditing.testing.embedding", lambda: None)
        yield Audits(tmp_path_factory.mktemp("toy"))


@pytest.fixture(autouse=True)
def _without_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shisen.auditing.testing.embedding", lambda: None)
