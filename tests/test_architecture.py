"""The house keeps its order: import direction, light imports, file sizes, nothing undocumented."""

from __future__ import annotations

import ast
import importlib
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src" / "shisen"

# a package may import packages of its own rank or of a lower one
RANKS = {
    "types": 0,
    "errors": 0,
    "_core": 1,
    "targets": 2,
    "registry": 2,
    "viz": 2,
    "adapters": 3,
    "score_functions": 3,
    "naming": 3,
    "models": 4,
    "attribution": 5,
    "inspect": 5,
    "evaluation": 6,
    "training": 6,
    "auditing": 7,
    "repairing": 8,
    "results": 8,
    "explaining": 8,
    "comparison": 8,
    "comparison_figure": 8,
    "api": 8,
    "cli": 9,
    "web": 9,
    "__main__": 9,
}
ONLY = {"viz": {"types", "errors", "_core"}, "_core": {"types", "errors"}, "types": set(), "errors": set()}
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "onnxruntime", "torchvision", "timm", "transformers"}
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FILE = 400, 80, 120


def name_of(path: Path) -> str:
    """Return a file's module below the package: "viz.scale", "viz" for its `__init__`, "" for the package's own."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(SRC.rglob("*.py"))}
MODULE = pytest.mark.parametrize("name", [name for name in MODULES if name])


class Imports(ast.NodeVisitor):
    """Collect what a module imports of the package, inside of functions as well, but not for type checkers alone."""

    def __init__(self, name: str) -> None:
        path = MODULES[name]
        self.found: set[str] = set()
        self.package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        self.visit(ast.parse(path.read_text(encoding="utf-8")))
        self.found -= {name, ""}

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        names = node.module.split(".") if node.module else []
        if node.level:
            base = self.package[: len(self.package) - node.level + 1] + names
        elif names[0] == "shisen":
            base = names[1:]
        else:
            return
        for alias in node.names:
            inner = ".".join([*base, alias.name])
            self.found.add(inner if inner in MODULES else ".".join(base))

    def visit_Import(self, node: ast.Import) -> None:
        self.found |= {alias.name[7:] for alias in node.names if alias.name.startswith("shisen.")}


GRAPH = {name: Imports(name).found for name in MODULES}


@MODULE
def test_imports_go_one_way_between_packages(name: str) -> None:
    own = name.split(".")[0]
    assert own in RANKS, f"{own} has no rank"
    for other in {found.split(".")[0] for found in GRAPH[name]} - {own}:
        assert other in RANKS, f"{name} imports {other}, which has no rank"
        allowed = ONLY.get(own, {package for package in RANKS if RANKS[package] <= RANKS[own]})
        assert other in allowed, f"{name} (rank {RANKS[own]}) imports {other} (rank {RANKS[other]})"


def test_no_import_circle_is_left_between_files() -> None:
    left = {name: set(found) & set(MODULES) for name, found in GRAPH.items()}
    while ready := [name for name, found in left.items() if not found]:
        for name in ready:
            del left[name]
        for found in left.values():
            found.difference_update(ready)
    assert not left, f"on a circle, or importing one: {sorted(left)}"


def test_an_import_inside_a_function_counts_and_one_for_type_checkers_does_not() -> None:
    assert "comparison_figure" in GRAPH["comparison"]
    assert "comparison" not in GRAPH["comparison_figure"]


@MODULE
def test_files_and_functions_are_short_enough_to_read(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{name}.{node.name} has {lines} lines"


def test_the_median_file_is_short() -> None:
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES.values()]
    assert statistics.median(lengths) <= MEDIAN_FILE


# words that the project used in senses of its own; "in place" and "in-place" are the field's
OLD_WORDS = re.compile(
    r"\bplaces\b|(?<!in )(?<!in-)\bplace\b|(?<![.\w])floors?\b|\bbehind\b|(?<![-\w])shares?\b(?!=)|\bshare out\b"
    r"|divided by commas|\btwins?\b|\bwandering\b|\bforetold\b|\bpictures?\b|\bslopes?\b|Check it\.|Check the path\."
    r"|\b(?:heard|told|asked|borrowed|exhibits?|suspects?|pasted|desk|shelf|peers|squashed)\b|\b(?:he|she|it)? ?likes\b"
    r"|\bby the clock\b|\brandom_state\b(?!=)|\bspoken (?:for|against)\b|\bdata address\b|\bgo(?:es)? by\b",
    re.IGNORECASE,
)
ROOT = SRC.parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
TEMPLATES = [p for suffix in ("html", "j2", "js", "css") for p in sorted(SRC.rglob(f"*.{suffix}"))]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("path", [*MODULES.values(), *TEMPLATES, *PAGES], ids=lambda p: str(p.relative_to(ROOT)))
def test_words_of_old_are_gone(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [f"{i}: {line.strip()}" for i, line in enumerate(lines, 1) if OLD_WORDS.search(line)]
    assert not found, found


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


def table_of(heading: str) -> list[list[str]]:
    """Return the cells of the first table of a section of docs/architecture.md."""
    section = ARCHITECTURE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return rows[1:]


def test_the_public_names_are_those_of_the_documentation() -> None:
    shisen = importlib.import_module("shisen")
    documented = [name for names, _ in table_of("Public names") for name in re.findall(r"`(\w+)`", names)]
    assert sorted(documented) == sorted(set(shisen.__all__) - {"__version__"})
    assert set(shisen.__all__) == set(shisen._HOME) | {"__version__"}


def test_every_package_is_documented_with_its_rank() -> None:
    documented = {
        name: int(rank) for rank, names, _ in table_of("Packages") for name in re.findall(r"`(\w+)/?`", names)
    }
    assert documented == RANKS
    assert set(RANKS) == {name.split(".")[0] for name in MODULES if name}


def test_an_unknown_name_lists_the_public_ones() -> None:
    shisen = importlib.import_module("shisen")
    with pytest.raises(AttributeError, match="explain"):
        _ = shisen.explane
