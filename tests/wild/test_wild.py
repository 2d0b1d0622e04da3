"""Whatever people bring works with the right value or is refused in one sentence; see `python -m benchmarks.wild`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
pytest.importorskip("torch")
wild = pytest.importorskip("benchmarks.wild.__main__")
SITUATIONS = [s for s in wild.SITUATIONS if s.kind not in ("keras", "onnx") and not s.open]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: f"{s.kind}: {s.words}")
def test_what_people_bring(situation: wild.Situation, tmp_path: Path) -> None:  # type: ignore[name-defined]
    good, words = wild.outcome(situation, tmp_path)
    assert good, words


@pytest.mark.parametrize("kind", ["keras", "onnx"])
def test_what_people_bring_of_other_frameworks(kind: str, tmp_path: Path) -> None:
    pytest.importorskip({"keras": "tensorflow", "onnx": "onnxruntime"}[kind])
    failed = []
    for i, situation in enumerate(s for s in wild.SITUATIONS if s.kind == kind and not s.open):
        folder = tmp_path / str(i)
        folder.mkdir()
        good, words = wild.outcome(situation, folder)
        if not good:
            failed.append(f"{situation.words}: {words}")
    assert not failed, "\n".join(failed)


def test_there_are_enough_situations() -> None:
    assert len(wild.SITUATIONS) >= 60
    assert len({s.kind for s in wild.SITUATIONS}) >= 8
