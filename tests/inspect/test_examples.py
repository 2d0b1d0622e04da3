"""Crops and pages, on a network whose answers and receptive fields are known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import shisen
from shisen.errors import InputError
from shisen.inspect.examples import crops, field
from shisen.inspect.feature_visualization import filters
from shisen.inspect.site import Contribution, contributions, histogram, site


class Net(torch.nn.Module):
    """Channel 0 is the mean of red over 5 × 5, channel 1 of blue; the classes weigh them 2 : −1 and 0 : 3."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 5, padding=2, bias=False)
        self.out = torch.nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0] = self.conv.weight[1, 2] = 1 / 25
            self.out.weight.copy_(torch.tensor([[2.0, -1.0], [0.0, 3.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(x).mean((2, 3)))


@pytest.fixture
def model() -> shisen.Model:
    return shisen.wrap(Net().eval(), labels=["<b>fire</b>", "sea"])


def photos() -> list[np.ndarray]:
    """Three dark images, with a red patch at (20, 30), a weaker red one, and a blue one at the corner."""
    made = [np.zeros((64, 64, 3), np.float32) for _ in range(3)]
    made[0][18:23, 28:33, 0] = 1.0
    made[1][40:45, 10:15, 0] = 0.5
    made[2][0:5, 0:5, 2] = 1.0
    return made


def test_the_strongest_photo_comes_first_cut_to_the_receptive_field(model: shisen.Model) -> None:
    found = crops(model, "conv", [0, 1], photos(), top=2)
    np.testing.assert_allclose(found.values, [[1, 0], [0.5, 0], [0, 1]], atol=1e-6)
    assert [c.value for c in found.crops[0]] == pytest.approx([1.0, 0.5])
    top, left, bottom, right = found.crops[0][0].box
    assert (top, left, bottom, right) == (13, 23, 29, 39)  # 5 × 5 around (20, 30), widened to 16
    assert (found.crops[0][0].pixels == np.rint(photos()[0][13:29, 23:39] * 255)).all()
    assert found.crops[1][0].box[:2] == (0, 0)


def test_the_field_holds_95_percent_of_the_gradient() -> None:
    gradient = np.zeros((100, 100, 1), np.float32)
    gradient[10:90, 20:80] = -1e-3  # a faint surround, which is left out
    gradient[30:70, 40:60] = 1.0
    assert field(gradient) == (30, 40, 70, 60)
    assert field(np.zeros((40, 50, 3), np.float32)) == (0, 0, 40, 50)


def test_what_cannot_be_asked(model: shisen.Model) -> None:
    with pytest.raises(InputError, match="Channels and photos"):
        crops(model, "conv", [0], [])
    with pytest.raises(InputError, match="between 0 and 1"):
        crops(model, "conv", [2], photos())


def test_the_classes_a_channel_contributes_to_by_hand(model: shisen.Model) -> None:
    made = filters(model, "conv", [0, 1], size=16, n_steps=3)
    (one,) = contributions(made, 0)
    assert one.label == "<b>fire</b>"
    assert one.logit == pytest.approx(2 * made.final[0], rel=1e-4)
    assert contributions(made, 1) == (Contribution("sea", pytest.approx(3 * made.final[1], rel=1e-4)),)
    assert contributions(filters(model, "logits", [0], size=16, n_steps=1), 0) == ()


def test_histogram() -> None:
    found = histogram(np.array([0.0, 0.0, 1.0]))
    assert found.bars[0] == 1.0
    assert found.bars[-1] == 0.5
    assert sum(found.bars) == 1.5
    assert (found.low, found.high) == (0.0, 1.0)


def test_the_site_links_to_nothing_that_is_not_there(model: shisen.Model, tmp_path: Path) -> None:
    made = filters(model, "conv", [0, 1], size=16, n_steps=3)
    found = crops(model, "conv", [0, 1], photos(), top=2)
    index = site([(made.marked(np.array([2.0, 0.5])), found)], tmp_path / "site")
    pages = sorted(index.parent.glob("*.html"))
    assert [p.name for p in pages] == ["conv.html", "conv_0.html", "conv_1.html", "index.html"]
    for page in pages:
        text = page.read_text()
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            assert (index.parent / link).is_file(), link
        assert "<b>fire" not in text
    unit = (index.parent / "conv_0.html").read_text()
    assert "&lt;b&gt;fire" in unit
    assert unit.count("<rect") == 24
    assert "2 × the maximum" in unit
    assert "was not activated" in (index.parent / "conv_1.html").read_text()
    assert 'data-search="conv 1 sea"' in index.read_text()


def test_filters_and_crops_side_by_side(model: shisen.Model, tmp_path: Path) -> None:
    made = filters(model, "conv", [0, 1], size=16, n_steps=2)
    found = crops(model, "conv", [0, 1], photos(), top=2)
    image = found.draw(made, side=32)
    assert image.width >= 3 * 32
    assert found.save(tmp_path / "x.png", made).is_file()
