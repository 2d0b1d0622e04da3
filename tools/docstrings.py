"""Check that public functions with two or more arguments document them.

    python tools/docstrings.py [PACKAGE ...]    # print what is missing and exit with status 1 if there is anything

A function or method is checked if its name and those of its class and module do not start with an underscore and it has
at least two arguments besides `self`. Its docstring needs `Args:` with an entry for every argument, `Returns:` (or
`Yields:`) if it returns a value, unless the first line already says what it returns ("Return the ..."), as in Google's
style guide, and `Raises:` if it contains a `raise`. Not checked are commands of the command line, whose options carry
the help; methods that a documented protocol or abstract class defines; and methods that a framework calls. Functions
registered as a method, a metric or a writer document their options; arguments that all have are documented once.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "shisen"
FRAMEWORK_METHODS = {"forward", "backward", "call", "build", "get_command", "format_commands", "resolve_command"}
REGISTERED = {
    "method": {"model", "images", "objective", "layer", "baseline", "seed"},
    "metric": {"sample", "baseline", "n_steps"},
}
SECTION = re.compile(
    r"^(Args|Options|Attributes|Returns|Yields|Raises|Reference|References|Example|Examples|Note|Notes):$"
)
NO_VALUE = {"None", "NoReturn", "Never", "Iterator[None]"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def arguments(function: Function) -> list[str]:
    """Return the names of a function's arguments, without `self` and `cls`."""
    a = function.args
    every = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs, *([a.kwarg] if a.kwarg else [])]
    return [one.arg for one in every if one.arg not in ("self", "cls") and not one.arg.startswith("_")]


def sections(docstring: str) -> dict[str, str]:
    """Return the text of each section of a docstring by its name."""
    found: dict[str, str] = {}
    name = ""
    for line in docstring.splitlines():
        if match := SECTION.match(line):
            name = match[1]
            found[name] = ""
        elif name and line and not line.startswith(" "):
            name = ""
        elif name:
            found[name] += line + "\n"
    return found


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body without those of functions and classes inside."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def raises(function: Function) -> bool:
    """Return whether a function's own body raises an error, other than handing on one that it caught."""
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in own_nodes(function))


def returns(function: Function) -> bool:
    """Return whether a function returns or yields a value."""
    return function.returns is not None and ast.unparse(function.returns).strip("'\"") not in NO_VALUE


def missing(function: Function) -> list[str]:
    """Return what a function's docstring lacks."""
    text = ast.get_docstring(function)
    if text is None:
        return ["docstring"]
    found = sections(text)
    documented = found.get("Args", "") + found.get("Options", "")
    entries = {
        name.strip("*` ")
        for line in re.findall(r"^ {4}(\S[^:]*):", documented, re.MULTILINE)
        for name in line.split(",")
    }
    shared = shared_arguments(function)
    lacks = [f"Args: {name}" for name in arguments(function) if name not in entries | shared]
    lacks += [f"Args: there is no {name}" for name in sorted(entries - set(arguments(function)))]
    described = text.startswith(("Return ", "Yield ")) or {"Returns", "Yields"} & found.keys() or is_writer(function)
    lacks += ["Returns"] * (returns(function) and not described)
    lacks += ["Raises"] * (raises(function) and "Raises" not in found)
    return lacks


def shared_arguments(function: Function) -> set[str]:
    """Return the arguments that every function registered in the same way has."""
    decorators = {ast.unparse(d).split("(")[0].split(".")[-1] for d in function.decorator_list}
    shared = {name for kind in decorators & REGISTERED.keys() for name in REGISTERED[kind]}
    return shared | ({"lang"} | {a.arg for a in function.args.args} if is_writer(function) else set())


def is_writer(function: Function) -> bool:
    """Return whether a function writes a result to a file; result, path and what is returned are documented once."""
    return any(ast.unparse(d).startswith("writer(") for d in function.decorator_list)


def is_command(function: Function) -> bool:
    """Return whether a function is a command, whose options document its arguments."""
    return any(re.search(r"\b(command|group)\(", ast.unparse(d)) for d in function.decorator_list)


def is_overload(function: Function) -> bool:
    """Return whether a function only gives types."""
    return any(ast.unparse(d).endswith("overload") for d in function.decorator_list)


def public(tree: ast.Module) -> Iterator[tuple[ast.ClassDef | None, Function]]:
    """Yield (class, function) for every public function and method of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield None, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for one in node.body:
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith("_"):
                    yield node, one


def is_protocol(node: ast.ClassDef) -> bool:
    """Return whether a class is a protocol or an abstract base class, which documents the methods of its subclasses."""
    return any(re.search("Protocol|ABC", ast.unparse(base)) for base in node.bases)


def modules() -> list[Path]:
    """Return the files of the library."""
    return sorted(SOURCE.rglob("*.py"))


def contract() -> set[str]:
    """Return the names of the methods that protocols define."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules()]
    return {f.name for tree in trees for owner, f in public(tree) if owner is not None and is_protocol(owner)}


def complaints(path: Path, inherited: set[str]) -> list[str]:
    """Return a line for every function of a file whose docstring lacks something.

    Args:
        path: the file.
        inherited: names of methods documented in a protocol.

    Returns:
        Lines such as `api.py:12 explain: Raises`.
    """
    lines = []
    for owner, function in public(ast.parse(path.read_text(encoding="utf-8"))):
        method = owner is not None and not is_protocol(owner)
        exempt = is_command(function) or is_overload(function) or (method and function.name in inherited)
        if exempt or function.name in FRAMEWORK_METHODS or len(arguments(function)) < 2:
            continue
        lacks = missing(function)
        if lacks:
            name = function.name if owner is None else f"{owner.name}.{function.name}"
            lines.append(f"{path.relative_to(SOURCE)}:{function.lineno} {name}: {', '.join(lacks)}")
    return lines


def main(packages: list[str]) -> int:
    """Print what is missing in these packages, or in all; return the exit status."""
    inherited = contract()
    lines = [
        line
        for path in modules()
        if not packages or path.relative_to(SOURCE).parts[0].removesuffix(".py") in packages
        for line in complaints(path, inherited)
    ]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
