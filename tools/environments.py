"""Name the Pythons and the versions of dependencies that an installation is tested with.

    python tools/environments.py pythons            # every supported Python on this machine, oldest first
    python tools/environments.py oldest             # the first of them
    python tools/environments.py lowest [EXTRA ...] # the lowest versions of the direct dependencies

Written for a plain interpreter: it reads pyproject.toml without a TOML parser, which Python 3.10 lacks.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEWEST = 14  # the newest minor version of Python 3 to look for


def project() -> str:
    """Return the text of pyproject.toml."""
    return (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def oldest_minor(text: str) -> int:
    """Return the minor version of the oldest Python 3 that the project supports."""
    return int(re.search(r'^requires-python = ">=3\.(\d+)"', text, re.MULTILINE)[1])


def runs(command: str, minor: int) -> bool:
    """Return whether a command runs this version of Python.

    Args:
        command: name or path of an interpreter.
        minor: the expected minor version of Python 3.
    """
    code = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([command, "-c", code], capture_output=True, check=False).returncode == 0


def pythons() -> list[str]:
    """Return one interpreter for every supported minor version on this machine: from PATH or from pyenv."""
    found = []
    for minor in range(oldest_minor(project()), NEWEST + 1):
        places = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
        named = shutil.which(f"python3.{minor}")
        candidates = [*([named] if named else []), *map(str, reversed(places))]
        found += [one for one in candidates if runs(one, minor)][:1]
    return found


def requirements(text: str, extra: str = "") -> list[str]:
    """Return the requirements of the project, or of one of its extras, without those on its own extras.

    Args:
        text: pyproject.toml.
        extra: name of the extra; empty for the dependencies of every installation.

    Raises:
        SystemExit: if there is no such extra.
    """
    name = extra or "dependencies"
    block = re.search(rf"^{re.escape(name)} = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    if block is None:
        raise SystemExit(f"pyproject.toml has no extra named {name!r}.")
    listed = re.findall(r'"([^"]+)"', block[1])
    own = [one for one in listed if one.startswith("shisen[")]
    nested = [n for one in own for e in one[7:-1].split(",") for n in requirements(text, e)]
    return [one for one in listed if one not in own] + nested


def lowest(extras: list[str]) -> list[str]:
    """Return `name==version` with the lowest version of every direct dependency."""
    text = project()
    found = {}
    for requirement in [r for extra in ["", *extras] for r in requirements(text, extra)]:
        name, version = re.fullmatch(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", requirement).groups()
        found[name] = f"{name}=={version}"
    return sorted(found.values())


def main(words: list[str]) -> int:
    """Print what is asked for, one item per line; return 1 if there is no supported Python."""
    if words[:1] == ["lowest"]:
        print("\n".join(lowest(words[1:])))
        return 0
    found = pythons()
    print("\n".join(found[:1] if words == ["oldest"] else found))
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
