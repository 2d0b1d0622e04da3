"""Commands and Python code in the documentation: all are parsed, and those that are quick are run."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import shisen
from shisen.cli.main import shisen as command_line

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "README.ja.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").glob("*.md"),
    ]
)
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in a language; "" is that of commands."""
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def lines(page: Path) -> list[str]:
    """Return the command lines of a page or an example: in blocks, in running text and in docstrings."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    found = [line for block in FENCE.findall(text) if block[0] in ("", "bash", "sh") for line in block[1].splitlines()]
    prose = FENCE.sub("", text)
    found += INDENTED.findall(prose)
    found += [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    return [part.strip() for line in found for part in line.split(" && ")]


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


COMMANDS = sorted({line for page in [*PAGES, *EXAMPLES] for line in lines(page) if re.match(r"shisen \w", line)})
BENCHMARKS = sorted(
    {line for page in PAGES for line in lines(page) if re.match(r"(\S*python) (-m benchmarks|benchmarks/)", line)}
)
PYTHON = [(page.name, i, text) for page in PAGES for i, text in enumerate(blocks(page, "python"))]


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 40
    assert len(BENCHMARKS) > 20
    assert len(PYTHON) > 6


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_have_these_options(line: str) -> None:
    name, *rest = [word for word in words(line)[1:] if word != "…"]
    group = command_line.make_context("shisen", [name])
    command = command_line.get_command(group, name)
    assert command is not None, f"there is no command {name!r}"
    if not rest:  # only the name is mentioned
        return
    if len(rest) == 1 and rest[0].startswith("--"):  # only an option is mentioned
        assert rest[0] in [name for p in command.params for name in p.opts]
        return
    missing = [p for p in command.params if p.param_type_name == "argument" and p.required]
    has_argument = any(not word.startswith("-") for word in rest[:1])
    command.make_context(name, rest if has_argument or not missing else ["photo.jpg", *rest], parent=group)


@pytest.mark.parametrize("line", BENCHMARKS)
def test_benchmarks_exist_and_have_these_options(line: str) -> None:
    parts = words(line.replace("[", "").replace("]", "").replace("…", ""))
    if parts[1] == "-m":
        module, rest = ROOT.joinpath(*parts[2].split(".")), parts[3:]
        file = module.with_suffix(".py") if module.with_suffix(".py").is_file() else module / "__main__.py"
    else:
        file, rest = ROOT / parts[1], parts[2:]
    source = file.read_text(encoding="utf-8")
    for option in (word for word in rest if word.startswith("--")):
        assert f'"{option}"' in source, f"{file.relative_to(ROOT)} has no option {option}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {match for page in PAGES for line in lines(page) for match in re.findall(r"^make ([\w-]+)", line)}
    assert {"demo", "test", "check", "bench"} <= named
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_images_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    for link in links:
        assert (page.parent / link).exists(), link
    for name in re.findall(r"`((?:docs|examples|benchmarks|tests|src/shisen|tools)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(("page", "number", "text"), PYTHON, ids=lambda v: v if isinstance(v, int) else str(v)[:20])
def test_python_code_names_what_exists(page: str, number: int, text: str) -> None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "shisen":
            assert hasattr(shisen, node.attr), f"{page}, block {number}: there is no shisen.{node.attr}"


def test_inline_python_names_what_exists() -> None:
    spans = {
        s
        for page in PAGES
        if page.name != "CHANGELOG.md"
        for s in re.findall(r"`shisen\.(\w+)", page.read_text("utf-8"))
    }
    assert spans >= {"audit", "serve"}
    packages = {path.stem for path in (ROOT / "src" / "shisen").iterdir()} | {"artefacts"}  # a group of entry points
    assert not {name for name in spans if not hasattr(shisen, name)} - packages


def test_the_public_names_are_listed_in_the_architecture_page() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert not [name for name in shisen.__all__ if f"`{name}`" not in text and name != "__version__"]


def test_the_table_of_packages_has_the_ranks_that_are_enforced() -> None:
    from test_architecture import RANKS

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", text, re.MULTILINE)
    listed = {name: int(rank) for rank, cell in rows for name in re.findall(r"`(\w+)/?`", cell)}
    assert listed == RANKS


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the images that the README names, as the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("cat.jpg", "photo.jpg", "a.jpg", "b.png", "c.jpg", "folder/d.jpg"):
        Image.fromarray(data.cat()).save(tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    return tmp_path


@pytest.mark.filterwarnings("ignore:1 of 3 images failed:shisen.ShisenWarning")
@pytest.mark.parametrize("page", ["README.md", "README.ja.md"])
def test_the_python_code_of_the_readme_runs(page: str, desk: Path) -> None:
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, 4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    ).eval()
    space: dict[str, Any] = {"net": net}
    for text in blocks(ROOT / page, "python"):
        for statement in ast.parse(text.replace('methods="all"', 'methods=["grad_cam", "gradient"]')).body:
            exec(compile(ast.Module([statement], []), page, "exec"), space)
    assert (desk / "cat_map.png").is_file()
    assert (desk / "cat_map.json").is_file()
    assert (desk / "compare.pdf").is_file()
    heatmap = space["e"].heatmap
    assert heatmap.shape == data.cat().shape[:2]
    assert 0.0 <= np.nanmin(heatmap) < np.nanmax(heatmap) <= 1.0


def test_the_commands_of_the_readme_run(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = [b for b in blocks(ROOT / "README.md", "") if "shisen predict" in b]
    for line in block.splitlines():
        quick = line.replace("--methods all", "--methods grad_cam,gradient")
        assert command_line.main(words(quick)[1:], standalone_mode=False) in (None, 0), line
    assert "tiger cat" in capsys.readouterr().out
    assert len(list((desk / "maps").glob("*.png"))) == 3
