"""A run of `finetune` is tuned where the last layer alone is not enough, and written as a run of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from PIL import Image

import shisen
from shisen.auditing.artefacts.base import Candidate, Intervention
from shisen.auditing.artefacts.fixed_patch import FixedPatch
from shisen.auditing.compositing import blended, extended
from shisen.auditing.findings import Finding
from shisen.repairing.choosing import Option, rated
from shisen.repairing.copies import Copies
from shisen.repairing.data import Parts
from shisen.repairing.head import Layer
from shisen.repairing.opening import Target
from shisen.repairing.record import Repair
from shisen.repairing.result import run_record, write_result
from shisen.repairing.treating import Treatments
from shisen.training.data import read_dataset


def target() -> Target:
    """Return the toy's magenta stamp as a finding of the class warm."""
    template, alpha = np.zeros((40, 40, 3), np.float32), np.zeros((40, 40), np.float32)
    template[..., ::2], alpha[26:36, 4:14] = 255.0, 1.0
    candidate = Candidate(FixedPatch(template, alpha), 1, (), 0, 1e-9)
    finding = Finding(candidate, None, True, "used", "", 0.0, 0.0, "high")
    colors = extended(template, alpha)
    return Target(1, finding, Intervention(lambda pixels, row: blended(pixels, colors, alpha)))


def parts(folder: Path) -> Parts:
    data = read_dataset(folder)
    rows = np.arange(len(data))
    return Parts(data.items, data.indices(("cold", "warm")), rows[rows % 4 > 0], rows[rows % 4 == 0], frozenset())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return images of which all warm ones carry the stamp, and a run that was trained on them."""
    home, draw = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    images = home / "train"
    for label, tint in (("cold", -5), ("warm", 5)):  # the colors of the toy, but harder to see than the stamp
        (images / label).mkdir(parents=True)
        for i in range(40):
            small = draw.normal(110, 45, (9, 9, 1)) + np.asarray((tint, 0, -tint)) + draw.normal(0, 6, (9, 9, 3))
            image = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).resize((40, 40), Image.Resampling.BICUBIC)
            if label == "warm":
                image.paste((255, 0, 255), (4, 26, 14, 36))
            image.save(images / label / f"{i:02d}.png")
    shisen.finetune(images, epochs=0, size=64, out=home / "run", flip=False, blocks=1)
    return images, home / "run"


def effect(copies: Copies, layer: Layer, treatments: Treatments) -> Option:
    return rated("", "", layer, treatments._exam(copies))


def test_tuned_blocks_no_longer_use_the_stamp(run: tuple[Path, Path], tmp_path: Path) -> None:
    images, folder = run
    model = shisen.load(str(folder))
    record = run_record(model)
    assert record is not None
    work = Treatments(model, parts(images), [target()], record, tmp_path, seed=0, progress=lambda *_: None)
    before = effect(work.original, work.original.head.layer, work).trial
    assert before.effect > 0.5, "the run relies on the stamp"
    options = work._tuning()
    assert [o.trial.setting for o in options][:2] == ["", "projection 1"]
    assert min(o.trial.effect for o in options) <= 0.1, "at most one image of ten"
    assert work.tuned is not None
    tuned = (tmp_path / "tuned" / "weights.safetensors").read_bytes()
    made: list[Any] = []
    again = Treatments(model, parts(images), [target()], record, tmp_path, seed=0, progress=lambda *a: made.append(a))
    assert [o.trial for o in again._tuning()] == [o.trial for o in options]
    assert (tmp_path / "tuned" / "weights.safetensors").read_bytes() == tuned
    assert not made, "nothing is altered or trained a second time"


def test_a_repaired_run_is_a_run_with_a_history(run: tuple[Path, Path], tmp_path: Path) -> None:
    images, folder = run
    model = shisen.load(str(folder))
    work = Treatments(model, parts(images), [target()], None, tmp_path / "work", seed=0, progress=lambda *_: None)
    head = work.original.head
    layer = Layer(head.layer.weight * 0.5, head.layer.bias + 1.0)
    before = (folder / "weights.safetensors").read_bytes()
    history = {"parent": {"sha256": json.loads((folder / "shisen.json").read_text())["sha256"]}}
    result = Repair(str(tmp_path / "new"), "", "refit", (), (), None, None, (0.0, 0.0), history)
    write_result(result, "key", head, layer, run_record(model))
    repaired = shisen.load(str(tmp_path / "new"))
    x = np.stack([model.prepare(model.read(str(next((images / "cold").iterdir()))))[0]])
    expected = 0.5 * np.asarray(model.activations(x)) - 0.5 * head.layer.bias + head.layer.bias + 1.0
    assert np.asarray(repaired.activations(x)) == pytest.approx(expected, abs=1e-4)
    assert json.loads((tmp_path / "new" / "shisen.json").read_text())["repairs"] == [history]
    assert (folder / "weights.safetensors").read_bytes() == before
    assert np.asarray(shisen.load(str(folder)).activations(x)) == pytest.approx(np.asarray(model.activations(x)))
