"""The built wheel, installed in an empty environment, explains a photo outside of the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, ROOT], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_contains_the_package_with_all_its_data_and_nothing_else(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "src/shisen"], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = {line.removeprefix("src/") for line in tracked.stdout.splitlines()}
    kinds = {Path(name).suffix for name in expected}
    assert {".typed", ".html", ".mo", ".tsv"} <= kinds
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "first", "absent"),
    [("torch", ["torch==2.13.0"], ("keras", "tensorflow", "jax")), ("keras", [], ("torch", "jax"))],
)
def test_a_photo_is_explained_in_an_empty_environment(
    extra: str, first: list[str], absent: tuple[str, ...], wheel: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "cat.png"
    Image.fromarray(data.cat()).save(photo)
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "-q"]
    if first:
        subprocess.run([*pip, *first], check=True)
    subprocess.run([*pip, f"{wheel}[{extra}]"], check=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KERAS"))}
    done = subprocess.run(
        [environment / "bin" / "shisen", "explain", photo, "--out", tmp_path / "maps"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tiger cat" in done.stdout
    record = json.loads((tmp_path / "maps" / "cat_grad_cam.json").read_text(encoding="utf-8"))
    assert record["model"]["name"] == "efficientnet_lite0"
    listed = [environment / "bin" / "python", "-m", "pip", "list", "--format", "json"]
    packages = json.loads(subprocess.run(listed, capture_output=True, text=True, check=True).stdout)
    assert not {p["name"].lower() for p in packages} & set(absent)
