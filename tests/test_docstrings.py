"""The check of docstrings finds what it is made to find."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[1] / "tools" / "docstrings.py"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docstrings", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lacks(check: ModuleType, source: str) -> list[str]:
    function = ast.parse(source).body[0]
    found: list[str] = check.missing(function)
    return found


COMPLETE = '''
def scale(values, *, factor=1.0) -> Array:
    """Multiply values by a factor.

    Args:
        values: `(n,)`.
        factor: at least 0.

    Returns:
        `(n,)`.

    Raises:
        ValueError: if the factor is negative.
    """
    if factor < 0:
        raise ValueError(factor)
    return values * factor
'''


def test_a_complete_docstring_lacks_nothing(check: ModuleType) -> None:
    assert lacks(check, COMPLETE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("        factor: at least 0.\n", "", ["Args: factor"]),
        ("        factor: at", "        fraction: at", ["Args: factor", "Args: there is no fraction"]),
        ("    Returns:\n        `(n,)`.\n", "", ["Returns"]),
        ("    Raises:\n        ValueError: if the factor is negative.\n", "", ["Raises"]),
        ("Multiply values", "Return values", []),
    ],
)
def test_what_is_left_out_is_found(check: ModuleType, old: str, new: str, expected: list[str]) -> None:
    assert old in COMPLETE
    assert lacks(check, COMPLETE.replace(old, new)) == expected


def test_a_first_line_that_says_what_is_returned_replaces_the_section(check: ModuleType) -> None:
    without = COMPLETE.replace("    Returns:\n        `(n,)`.\n", "").replace(
        "Multiply values", "Return values multiplied"
    )
    assert lacks(check, without) == []


def test_no_docstring_is_found(check: ModuleType) -> None:
    assert lacks(check, "def scale(values, factor): ...") == ["docstring"]


def test_handing_on_an_error_and_errors_of_inner_functions_do_not_count(check: ModuleType) -> None:
    handed = "def f(a, b):\n    try:\n        a()\n    except ValueError:\n        raise\n"
    inner = "def f(a, b):\n    def g():\n        raise ValueError\n    g()\n"
    for source in (handed, inner):
        assert not check.raises(ast.parse(source).body[0])
    assert check.raises(ast.parse("def f(a, b):\n    raise ValueError(a)\n").body[0])


def test_only_public_functions_and_methods_are_looked_at(check: ModuleType) -> None:
    tree = ast.parse(
        "def f(a, b): ...\ndef _g(a, b): ...\nclass C:\n    def h(self, a, b): ...\n    def _i(self): ...\n"
    )
    assert [function.name for _, function in check.public(tree)] == ["f", "h"]
