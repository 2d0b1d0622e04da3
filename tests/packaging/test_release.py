"""What a release depends on: one version, supported Pythons, lowest versions, and a changelog that agrees."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import shisen

ROOT = Path(__file__).resolve().parents[2]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def environments() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environments", ROOT / "tools" / "environments.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_version_stands_in_one_file_and_the_changelog_and_the_citation_agree() -> None:
    project = text("pyproject.toml")
    assert 'dynamic = ["version"]' in project
    assert not re.search(r"^version\b", project, re.MULTILINE)
    released = re.findall(r"^## (\d+\.\d+\.\d+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert released[0] == shisen.__version__
    assert f"\nversion: {shisen.__version__}\n" in text("CITATION.cff")


def test_no_entry_of_a_release_occurs_twice_in_the_changelog() -> None:
    sections = re.split(r"^## ", text("CHANGELOG.md"), flags=re.MULTILINE)[1:]
    for section in sections:
        headings = re.findall(r"^### (.+)$", section, re.MULTILINE)
        entries = re.findall(r"^- (.+?)(?=^- |^#|\Z)", section, re.MULTILINE | re.DOTALL)
        assert len(set(headings)) == len(headings)
        assert len({" ".join(entry.split()) for entry in entries}) == len(entries)


def test_the_supported_pythons_are_those_of_the_classifiers(environments: ModuleType) -> None:
    project = text("pyproject.toml")
    named = [int(minor) for minor in re.findall(r"Python :: 3\.(\d+)", project)]
    assert min(named) == environments.oldest_minor(project)
    assert named == list(range(min(named), max(named) + 1))
    assert f'target-version = "py3{min(named)}"' in project


def test_lowest_versions_are_read_from_the_requirements(
    environments: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = """requires-python = ">=3.10"
dependencies = [
  "numpy>=1.26",
  "click>=8.1.7",
]
[project.optional-dependencies]
torch = ["torch>=2.4"]
web = ["gradio>=6"]
all = ["shisen[torch,web]"]
"""
    monkeypatch.setattr(environments, "project", lambda: project)
    assert environments.oldest_minor(project) == 10
    assert environments.lowest([]) == ["click==8.1.7", "numpy==1.26"]
    assert environments.lowest(["all"]) == ["click==8.1.7", "gradio==6", "numpy==1.26", "torch==2.4"]
    with pytest.raises(SystemExit, match="no extra named 'none'"):
        environments.lowest(["none"])


def test_every_requirement_has_a_lowest_version(environments: ModuleType) -> None:
    assert "numpy==1.26" in environments.lowest(["all", "hubs", "jax", "dev"])
