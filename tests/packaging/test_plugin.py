"""The example plugin, installed as a person would: shisen finds its method, metric and kind of artefact."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WHAT_IT_DOES = """
import numpy as np, torch, shisen
from shisen.auditing.artefacts import kinds
from shisen.auditing.artefacts.base import Evidence
net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
model = shisen.wrap(net, labels=["a", "b"])
image = np.random.default_rng(0).random((4, 5, 3)).astype(np.float32)
seen = shisen.explain(model, image, "gradient_magnitude", target="a")
norm = net[0].weight.detach()[0].norm().item() / 20  # of the mean over 20 positions
np.testing.assert_allclose(seen.values, np.full((4, 5), norm), rtol=1e-5)
canvases = np.full((24, 20, 20, 3), 99, np.uint8)
canvases[:8, :2] = canvases[:8, -2:] = 0
labels = np.repeat([0, 1], 12)
evidence = Evidence(labels, canvases, np.arange(24), np.zeros((24, 1)))
letterbox = kinds()[-1]
(found,) = letterbox.propose(evidence, 0, [])
assert found.members == tuple(range(8)) and found.inside == 8 and found.p < 0.001, found
assert letterbox.propose(evidence, 1, []) == []
change = found.artefact.intervention(found, None)
assert change.apply(canvases[9], 9)[:2].max() == 0 and change.remove(canvases[0], 0).min() == 99
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin installed in it, from a copy, without a network."""
    source = shutil.copytree(ROOT / "examples" / "plugin", tmp_path_factory.mktemp("source") / "plugin")
    folder = tmp_path_factory.mktemp("target")
    words = ["install", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--target"]
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *words, folder, source], check=True, timeout=300)
    return folder


def run(*words: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with a folder of installed packages before all others."""
    places = os.pathsep.join([str(path), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": places}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=300)


def shisen(*words: str, path: Path) -> subprocess.CompletedProcess[str]:
    return run("-c", f"from shisen.cli import main; main({list(words)!r})", path=path)


def test_the_method_and_the_metric_are_listed(target: Path) -> None:
    listed = {m["name"]: m for m in json.loads(shisen("methods", "--json", path=target).stdout)}
    assert listed["gradient_magnitude"]["summary"].startswith("Magnitude of the gradient of the score")
    assert listed["gradient_magnitude"]["signed"] is False
    assert "center_distance" in shisen("metrics", path=target).stdout
    assert "gradient_magnitude" not in shisen("methods", path=target / "none").stdout


def test_method_and_artefact_do_what_they_say(target: Path) -> None:
    done = run("-c", WHAT_IT_DOES, path=target)
    assert done.returncode == 0, done.stderr


def test_a_broken_plugin_is_named_and_left_out(tmp_path: Path) -> None:
    info = tmp_path / "odd_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[shisen.methods]\nbroken = odd_plugin.nowhere:method\n")
    listed = shisen("methods", "--json", path=tmp_path)
    assert listed.returncode == 0
    assert "grad_cam" in {m["name"] for m in json.loads(listed.stdout)}
    (line,) = listed.stderr.strip().splitlines()
    assert line.startswith("Note: The plugin 'broken' of the package 'odd-plugin' could not be loaded and is left out.")
    assert "ModuleNotFoundError" in line
