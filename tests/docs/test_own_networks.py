"""The page about own networks: its examples run, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
for package in ("nibabel", "onnxruntime", "tensorflow"):
    pytest.importorskip(package)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_networks.md"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (80, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save("photo.jpg")
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) >= 12
    space: dict[str, Any] = {}
    for text in examples:
        exec(compile(text, str(PAGE), "exec"), space)
    assert (tmp_path / "map.png").is_file()
    assert (tmp_path / "bands.png").is_file()
    for name in ("ecg.png", "scan.png", "scan_map.nii.gz", "clip_map.gif"):
        assert (tmp_path / name).is_file()
