"""Layers × heads as a sheet and as a page, against the attention itself."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
from PIL import Image  # noqa: E402

import shisen  # noqa: E402
from shisen.cli import main  # noqa: E402
from shisen.errors import InputError, ModelError  # noqa: E402
from shisen.registry import get  # noqa: E402
from shisen.targets import ClassObjective  # noqa: E402


@pytest.fixture(scope="module")
def model() -> shisen.Model:
    torch.manual_seed(0)
    net = timm.create_model(
        "vit_tiny_patch16_224", img_size=(32, 48), embed_dim=24, depth=3, num_heads=4, patch_size=8, num_classes=7
    )
    return shisen.wrap(net.eval(), preprocess=shisen.Preprocess((32, 48)), name="tiny")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)


def test_heads_are_the_attention_and_its_rollout(model: shisen.Model, image: np.ndarray) -> None:
    found = shisen.attention(model, image)
    image = model.prepare(model.read(image))[0][None]
    layers = model.attentions(image)
    assert found.layers == tuple(layer.path for layer in layers)
    for i, layer in enumerate(layers):
        np.testing.assert_allclose(found.values[i], layer.values[0].numpy(), atol=1e-6)
    rollout = get("attention_rollout")(model, image, ClassObjective("class", ((1.0, (0,)),))).values[0]
    np.testing.assert_allclose(found.seen_from(found.rollout)[-1], rollout.numpy(), atol=1e-6)
    np.testing.assert_array_equal(found.seen_from(found.values, 5)[1, 2], found.values[1, 2, 5, 1:].reshape(4, 6))


def test_the_sheet_is_brightest_where_the_head_looks(model: shisen.Model, image: np.ndarray) -> None:
    found = shisen.attention(model, np.zeros_like(image))
    sharp = np.full(found.values.shape, 1e-6, np.float32)
    sharp[2, 1, 0, 1 + 3 * 6 + 5] = 1.0  # the last place of layer 3, head 2
    changed = dataclasses.replace(found, values=sharp)
    sheet = np.asarray(changed.sheet()).astype(int).sum(-1)
    high, wide, gap = 75, 112, 4
    assert sheet.shape[0] == 34 + 3 * (high + gap) + gap
    left = sheet.shape[1] - 6 * (wide + gap) - 3 * gap
    top = sheet.shape[0] - gap - (high + gap)
    cell = sheet[top : top + high, left + wide + gap : left + 2 * wide + gap]
    row, column = np.unravel_index(cell.argmax(), cell.shape)
    assert row > 50
    assert column > 90


def test_the_page_holds_every_map_and_nothing_from_elsewhere(
    model: shisen.Model, image: np.ndarray, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    found = shisen.attention(model, image)
    page = found.save(tmp_path / "heads.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    sheets = json.loads(re.search(r"sheets = (\[.+?\]), text", page)[1])
    assert [(s["grid"], s["heads"], s["near"]) for s in sheets] == [([4, 6], 4, 24)] * 3

    def maps(layer: int, name: str) -> np.ndarray:
        levels, tops = (base64.b64decode(sheets[layer][k]) for k in (name, f"{name}s"))
        return np.frombuffer(levels, np.uint8).reshape(6, -1, 24) * np.frombuffer(tops, "<f4").reshape(6, -1, 1) / 255

    first = np.stack([maps(i, "first") for i in range(3)])[:, :, 0]
    np.testing.assert_allclose(first[:, :4], found.seen_from(found.values).reshape(3, 4, 24), atol=2e-3)
    np.testing.assert_allclose(first[2, 5], found.rollout[2, 0, 1:], atol=2e-3)
    np.testing.assert_allclose(maps(1, "own")[2, 7], found.values[1, 2, 1 + 7, 1:], atol=2e-3)  # from the eighth place


def test_a_page_too_large_holds_what_is_shown_first(
    model: shisen.Model, image: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jinja2")
    monkeypatch.setattr("shisen.inspect.attention_page.MOST", 1000)
    page = shisen.attention(model, image).save(tmp_path / "heads.html").read_text(encoding="utf-8")
    assert "selectable = false" in page
    assert '"own": ""' in page


def test_other_suffixes_and_networks_are_refused(model: shisen.Model, image: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="png"):
        shisen.attention(model, image).save(tmp_path / "heads.docx")
    cnn = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(ModelError, match="grad_cam"):
        shisen.attention(shisen.wrap(cnn, preprocess=shisen.Preprocess(16)), image)


def test_the_command_writes_what_it_says(
    image: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(image).save(tmp_path / "cat.png")
    (tmp_path / "tiny_vit.py").write_text(
        "import timm\ndef build():\n    return timm.create_model('vit_tiny_patch16_224', img_size=32, embed_dim=24, "
        "depth=2, num_heads=3, patch_size=8, num_classes=5)\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit) as done:
        main(["attention", "cat.png", "-m", "tiny_vit:build", "--size", "32", "--scale", "1/255", "--out", "h.png"])
    assert done.value.code == 0
    assert "2 layers × 3 heads" in capsys.readouterr().out
    assert json.loads((tmp_path / "h.json").read_text(encoding="utf-8"))["grid"] == [4, 4]
    with pytest.raises(SystemExit) as wrong:
        main(["attention", "cat.png", "-m", "tiny_vit:build", "--out", "h.txt"])
    assert wrong.value.code == 2
