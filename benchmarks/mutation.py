"""Mutation testing: how many small faults in a package do its tests notice?

python -m benchmarks.mutation src/shisen/evaluation tests/evaluation --n 40 --seed 0 [--root TREE] [--out FILE.json]

A random sample of faults (constants, comparisons, arithmetic, conditions, returned values) is put into a copy of the
tree, one at a time. Only the tests that run the faulty line are run, the fastest first; for a line that is run at
import, such as a constant or a default, those that run the lines that use it. A fault is killed if a test fails or
takes far longer than before. Faults in lines that no test runs survive. Needs pytest-cov.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault: a span of a file's bytes, and what takes its place."""

    file: str
    line: int
    start: int
    stop: int
    before: str
    after: str


def changes(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the faulty forms of one node."""
    match node:
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(node.value + 1 if isinstance(node.value, int) else node.value * 1.4 + 0.01)
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            yield ast.Compare(node.left, [COMPARISONS[type(op)]()], node.comparators)
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            yield ast.BinOp(node.left, OPERATORS[type(op)](), node.right)
        case ast.BoolOp(op=op):
            yield ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.IfExp():
            yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


def without_words(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that compute something: no annotations, messages or decorators."""
    skipped = (ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Raise)
    for field, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and field not in ("annotation", "returns", "decorator_list"):
                if isinstance(node, skipped):
                    continue
                yield node
                yield from without_words(node)


def mutants(file: Path, root: Path) -> list[Mutant]:
    """Return every fault of one file."""
    source = file.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node in without_words(ast.parse(source)):
        tests = [node.test] if isinstance(node, (ast.If, ast.While)) else []
        options: list[tuple[ast.expr, ast.expr]] = [(t, ast.UnaryOp(ast.Not(), copy.deepcopy(t))) for t in tests]
        if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
            options.append((node.value, ast.Constant(None)))
        if isinstance(node, ast.expr):
            options += [(node, changed) for changed in changes(node)]
        for old, new in options:
            assert old.end_lineno is not None
            assert old.end_col_offset is not None
            start, stop = starts[old.lineno - 1] + old.col_offset, starts[old.end_lineno - 1] + old.end_col_offset
            text = f"({ast.unparse(ast.fix_missing_locations(new))})"
            found.append(
                Mutant(str(file.relative_to(root)), old.lineno, start, stop, source[start:stop].decode(), text)
            )
    return found


def used_at(file: str, line: int, sources: Mapping[str, ast.Module]) -> list[tuple[str, int]]:
    """Return the lines that use what a line run at import defines.

    Args:
        file: name of the file, a key of `sources`.
        line: number of the line.
        sources: file → syntax tree, of the whole package.

    Returns:
        (file, line) of the users of a constant or an attribute of a class; for a default, those of its function.
    """
    around = [node for node in ast.walk(sources[file]) if isinstance(node, (ast.stmt, ast.expr))
              and node.lineno <= line <= (node.end_lineno or 0)]  # fmt: skip
    functions = [node for node in around if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if functions:
        inner = max(functions, key=lambda node: node.lineno)
        return [(file, n) for n in range(inner.body[0].lineno, (inner.end_lineno or 0) + 1)]
    stored = [node for node in around if isinstance(node, (ast.Assign, ast.AnnAssign))]
    targets = [t for node in stored for t in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return [
        (other, node.lineno)
        for other, tree in sources.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id in names) or (isinstance(node, ast.Attribute) and node.attr in names)
    ]


class Tree:
    """A copy of a source tree, in which faults are put and tests are run."""

    def __init__(self, root: Path, home: Path) -> None:
        self.home = home / "tree"
        keep = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".mypy_cache", ".ruff_cache", "docs", "shared")
        shutil.copytree(root, self.home, ignore=keep)
        paths = os.pathsep.join(str(self.home / part) for part in ("src", "tests"))
        self.env = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}

    def pytest(self, *options: str, timeout: float) -> int:
        """Run tests; return the exit status, 124 for a timeout."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options]
        try:
            ran = subprocess.run(command, cwd=self.home, env=self.env, timeout=timeout, capture_output=True)
        except subprocess.TimeoutExpired:
            return 124
        return ran.returncode

    def covered(self, package: str, tests: list[str]) -> dict[tuple[str, int], list[tuple[float, str]]]:
        """Return (file, line) → (seconds, name) of the tests that run it, the fastest first."""
        report = self.home / "junit.xml"
        measured = (f"--cov={package}", "--cov-context=test", "--cov-report=", f"--junitxml={report}")
        status = self.pytest(*tests, *measured, "-m", "not slow", timeout=3600)
        if status:
            raise SystemExit(f"The tests must pass before faults are put in; pytest returned {status}.")
        import coverage

        seconds: dict[str, float] = {}
        for case in ET.parse(report).iter("testcase"):
            seconds[case.attrib["name"]] = float(case.attrib["time"])
        data = coverage.CoverageData(str(self.home / ".coverage"))
        data.read()
        found: dict[tuple[str, int], list[tuple[float, str]]] = {}
        for file in data.measured_files():
            for line, contexts in data.contexts_by_lineno(file).items():
                names = sorted({c.partition("|")[0] for c in contexts if c})
                timed = sorted((seconds.get(n.partition("::")[2], 1.0), n) for n in names)
                found[str(Path(file).relative_to(self.home)), line] = timed
        return found


def killed(tree: Tree, mutant: Mutant, tests: list[tuple[float, str]], budget: float) -> str:
    """Return "killed", "timeout" or "survived"."""
    file = tree.home / mutant.file
    whole = file.read_bytes()
    chosen: list[str] = []
    spent = 0.0
    for seconds, name in tests:
        if spent + seconds > budget and chosen:
            break
        chosen.append(name)
        spent += seconds
    file.write_bytes(whole[: mutant.start] + mutant.after.encode() + whole[mutant.stop :])
    try:
        status = tree.pytest(*chosen, timeout=120.0 + 5.0 * spent)
    finally:
        file.write_bytes(whole)
    return "survived" if status == 0 else "timeout" if status == 124 else "killed"


def main() -> None:
    """Measure one package, print every surviving fault and the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", help="folder of the sources, such as src/shisen/evaluation")
    parser.add_argument("tests", nargs="+", help="folders or files of tests")
    parser.add_argument("--n", type=int, default=40, help="number of faults")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="tree to copy")
    parser.add_argument("--budget", type=float, default=40.0, help="seconds of tests per fault")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(given.root.resolve(), Path(folder))
        every = [m for f in sorted((tree.home / given.package).rglob("*.py")) for m in mutants(f, tree.home)]
        chosen = random.Random(given.seed).sample(every, min(given.n, len(every)))
        lines = tree.covered(given.package, given.tests)
        sources = {
            str(f.relative_to(tree.home)): ast.parse(f.read_bytes()) for f in (tree.home / given.package).rglob("*.py")
        }
        results = []
        for number, mutant in enumerate(chosen, 1):
            start, tests = monotonic(), lines.get((mutant.file, mutant.line), [])
            if not tests:
                users = used_at(mutant.file, mutant.line, sources)
                tests = sorted({test for where in users for test in lines.get(where, [])})
            outcome = killed(tree, mutant, tests, given.budget) if tests else "not covered"
            results.append({**asdict(mutant), "outcome": outcome, "tests": len(tests)})
            print(f"{number}/{len(chosen)} {outcome}: {mutant.file}:{mutant.line} {mutant.before!r} → {mutant.after!r}"
                  f" ({len(tests)} tests, {monotonic() - start:.0f} s)", flush=True)  # fmt: skip
            dead = sum(r["outcome"] in ("killed", "timeout") for r in results)
            if given.out:
                given.out.write_text(json.dumps({"of": len(every), "killed": dead, "results": results}, indent=1))
        print(f"{dead} of {len(results)} faults killed ({dead / len(results):.0%}); {len(every)} possible")


if __name__ == "__main__":
    main()
