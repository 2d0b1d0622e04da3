"""An installation without extras: `make check-core` runs this in an environment that has none of them.

The name keeps it out of the ordinary test run, whose environment has all extras.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ABSENT = ("torch", "keras", "tensorflow", "jax", "onnx", "scipy", "skimage", "sklearn", "jinja2", "pyarrow", "gradio")


def shisen(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from shisen.cli import main; sys.exit(main())", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def commands() -> list[str]:
    from shisen.cli.main import COMMANDS

    return sorted(COMMANDS)


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(path)
    return str(path)


def test_no_extra_is_installed() -> None:
    assert not [name for name in ABSENT if importlib.util.find_spec(name) is not None]


def test_every_public_name_can_be_imported() -> None:
    library = importlib.import_module("shisen")
    for name in library.__all__:
        assert getattr(library, name) is not None


@pytest.mark.parametrize("command", ["", *commands()])
def test_help_works(command: str) -> None:
    done = shisen(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: shisen" in done.stdout


@pytest.mark.parametrize(("command", "word"), [("methods", "grad_cam"), ("metrics", "deletion"), ("models", "lite0")])
def test_lists_need_no_extra(command: str, word: str) -> None:
    done = shisen(command)
    assert done.returncode == 0, done.stderr
    assert word in done.stdout


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["explain", "PHOTO"], "torch"),
        (["predict", "PHOTO", "--model", "timm:vit_tiny_patch16_224"], "hubs"),
        (["explain", "PHOTO", "--framework", "keras"], "keras"),
        (["serve"], "torch"),
    ],
)
def test_a_missing_extra_is_named(words: list[str], extra: str, photo: str) -> None:
    done = shisen(*(photo if word == "PHOTO" else word for word in words))
    assert done.returncode != 0
    assert f"pip install 'shisen[{extra}" in done.stderr
    assert "Traceback" not in done.stderr
