"""Type checkers see the public verbs as functions with their types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SNIPPET = """
import shisen

model = shisen.load("efficientnet_lite0")
reveal_type(shisen.audit(model, "photos", "out"))
reveal_type(shisen.evaluate(model, ["cat.png"]))
reveal_type(shisen.compare(model, "cat.png"))
reveal_type(shisen.methods())
shisen.audit(3, "photos", "out")
shisen.evaluate()
"""


@pytest.mark.slow
def test_verbs_are_plain_functions_to_a_type_checker(tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(SNIPPET)
    words = ["--strict", "--follow-imports=silent", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache")]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, "snippet.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    lines = [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("snippet.py")]
    shown = [line.split('"')[1].split(".")[-1] for line in lines if "Revealed type" in line]
    assert shown == ["Audit", "Scores", "Comparison", "dict[str, str]"]
    errors = [line for line in lines if line.startswith("error")]
    assert len(errors) == 2, done.stdout
    assert 'Argument 1 to "audit" has incompatible type "int"; expected "Model"' in errors[0]
    assert "Missing positional argument" in errors[1]
