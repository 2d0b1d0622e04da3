"""Registries import the modules that register functions when they are first read, once, whoever reads."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from shisen.registry import Registered, Registry

MODULE = """
import time
import test_registry
test_registry.COUNT.append(__name__)
for name in ("one", "two"):
    test_registry.KNOWN[name] = test_registry.entry(name)
    time.sleep(0.05)
"""
COUNT: list[str] = []
KNOWN: Registry[Registered]


def entry(name: str) -> Registered:
    return Registered(name, lambda: None, "family", "unit", "paper")


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Registered]:
    (tmp_path / "home_of_two.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "test_registry", sys.modules[__name__])
    monkeypatch.delitem(sys.modules, "home_of_two", raising=False)
    COUNT.clear()
    made: Registry[Registered] = Registry("shisen.no_such_group", "home_of_two")
    monkeypatch.setattr(sys.modules[__name__], "KNOWN", made, raising=False)
    return made


def test_it_is_filled_once_by_the_first_of_many_readers(known: Registry[Registered]) -> None:
    known["own"] = entry("own")
    assert COUNT == []
    found: list[Any] = []
    readers = [threading.Thread(target=lambda: found.append(sorted(known))) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [["one", "own", "two"]] * 4
    assert COUNT == ["home_of_two"]


def test_it_is_a_mapping(known: Registry[Registered]) -> None:
    assert known["two"].name == "two"
    assert "three" not in known
    assert len(known) == 2
    del known["one"]
    assert list(known) == ["two"]
