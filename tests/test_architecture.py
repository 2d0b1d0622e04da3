"""The house keeps its order: import direction, light imports, file sizes, nothing undocumented."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src" / "shisen"

# a module may import modules of its own rank or of a lower one
RANKS = {
    "types": 0,
    "errors": 0,
    "_core": 0,
    "targets": 1,
    "naming": 1,
    "score_functions": 1,
    "registry": 1,
    "viz": 1,
    "adapters": 2,
    "models": 3,
    "attribution": 4,
    "inspect": 4,
    "evaluation": 5,
    "training": 5,
    "auditing": 6,
    "results": 6,
    "explaining": 6,
    "comparison": 6,
    "comparison_figure": 6,
    "api": 7,
    "cli": 8,
    "web": 8,
}
ONLY_TYPES = {"viz", "_core"}
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "onnxruntime", "torchvision", "timm", "transformers"}


def room(path: Path) -> str:
    parts = path.relative_to(SRC).parts
    return parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    package = ["shisen", *path.relative_to(SRC).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names = base + (node.module.split(".") if node.module else [])
            full = [names] if len(names) > 1 else [[*names, a.name] for a in node.names]
            found |= {n[1] for n in full if n and n[0] == "shisen" and len(n) > 1 and not n[1].startswith("__")}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("shisen.")}
    return found


FILES = sorted(p for p in SRC.rglob("*.py") if p != SRC / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_one_way(path: Path) -> None:
    own = room(path)
    for other in imported_rooms(path) - {own}:
        assert other in RANKS, f"{path} imports shisen.{other}, which has no place in the order"
        allowed = {"types", "errors", "_core"} if own in ONLY_TYPES else {r for r in RANKS if RANKS[r] <= RANKS[own]}
        assert other in allowed, f"{path.relative_to(SRC)} (rank {RANKS[own]}) imports {other} (rank {RANKS[other]})"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def loaded_after(code: str) -> list[str]:
    report = "import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


def test_importing_shisen_loads_no_framework_and_not_even_numpy() -> None:
    loaded = set(loaded_after("import shisen"))
    assert not loaded & (FRAMEWORKS | {"numpy", "matplotlib", "PIL"})


def test_the_help_page_loads_no_framework() -> None:
    loaded = set(loaded_after("from shisen.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"))
    assert not loaded & (FRAMEWORKS | {"numpy", "matplotlib"})


def test_the_registry_needs_no_framework() -> None:
    loaded = set(loaded_after("import shisen\nassert 'grad_cam' in shisen.methods()"))
    assert not loaded & FRAMEWORKS


def test_every_public_name_can_be_had_and_says_what_it_is() -> None:
    shisen = importlib.import_module("shisen")
    for name in shisen.__all__:
        thing = getattr(shisen, name)
        assert name == "__version__" or (thing.__doc__ or "").strip(), f"shisen.{name} has no docstring"


def test_an_unknown_name_lists_the_public_ones() -> None:
    shisen = importlib.import_module("shisen")
    with pytest.raises(AttributeError, match="explain"):
        _ = shisen.explane
