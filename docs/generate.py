"""Write what follows from the code: the table of methods in the README, and docs/methods.md.

python docs/generate.py           # write
python docs/generate.py --check   # fail if something is out of date
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import shisen.attribution  # noqa: F401  (fills the registry)
from shisen.registry import METHODS

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- methods: start -->", "<!-- methods: end -->"


def short_table() -> str:
    """Return the table of the README: one line a method."""
    lines = ["| method | what it shows | passes | paper |", "|---|---|---|---|"]
    for m in METHODS.values():
        caution = f" — **caution: {m.caution}**" if m.caution else ""
        lines.append(f"| `{m.name}` | {m.summary.rstrip('.')}{caution} | {m.passes} | {m.paper} |")
    return "\n".join(lines)


def methods_page() -> str:
    """Return docs/methods.md: every method with its claims, options and docstring."""
    parts = [
        "# Methods",
        "",
        "Made by `make docs` from the registry. Values are raw: in the unit given, at native resolution.",
        "",
    ]
    for m in METHODS.values():
        options = ", ".join(f"`{name}={p.default!r}`" for name, p in m.options.items()) or "none"
        claims = [
            f"unit: {m.unit.format(score='score')}",
            "signed" if m.signed else "not negative",
            f"shows {m.shows}",
            f"passes: {m.passes}",
        ]
        claims += ["complete"] * m.complete + ["scales with the score"] * m.linear
        claims += [f"**caution: {m.caution}**"] if m.caution else []
        claims += [] if m.class_specific else ["**the same for every class**"]
        parts += [
            f"## {m.name}",
            "",
            f"*{m.family}* · {' · '.join(claims)} · options: {options}",
            "",
            "```text",
            inspect.cleandoc(m.function.__doc__ or ""),
            "```",
            "",
        ]
    return "\n".join(parts).rstrip() + "\n"


def readme() -> str:
    """Return the README with its table made anew."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    return f"{before}{START}\n{short_table()}\n{END}{after}"


def main() -> int:
    """Write, or check with --check; return 1 if something was out of date."""
    made = {ROOT / "README.md": readme(), ROOT / "docs" / "methods.md": methods_page()}
    stale = [p for p, text in made.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run `make docs`.\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
        sys.stdout.write(f"Written: {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
