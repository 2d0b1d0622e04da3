"""Grids of channels, by hand: a network whose channels are known numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import shisen
from shisen.errors import InputError, UnknownName
from shisen.inspect.activations import activations
from shisen.inspect.contact_sheet import levels, shrunk
from shisen.inspect.layer_activations import LayerActivations


class Toy(torch.nn.Module):
    """Four channels of the first color: itself, never, always at the ceiling, and its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 1)
        self.act = torch.nn.ReLU6()
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.out = torch.nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0] = 1.0
            self.conv.weight[3, 0] = -1.0
            self.conv.bias.copy_(torch.tensor([0.0, -1.0, 9.0, 1.0]))
            self.out.weight.copy_(torch.tensor([[1.0, 0.0, 0.0, -2.0], [0.0, 1.0, 0.5, 0.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.flatten(self.pool(self.act(self.conv(x))), 1))


RED = np.zeros((2, 2, 3), np.float32)
RED[:, :, 0] = [[0.0, 0.2], [0.4, 1.0]]


@pytest.fixture
def model() -> shisen.Model:
    return shisen.wrap(Toy().eval())


def test_values_are_those_of_the_network_and_dead_and_saturated_channels_are_counted(model: shisen.Model) -> None:
    found = activations(model, RED)
    assert found.layers == ("conv", "act")
    act = found["act"]
    np.testing.assert_allclose(act.values[:, :, 0], RED[:, :, 0], atol=1e-6)
    np.testing.assert_allclose(act.values[:, :, 3], 1 - RED[:, :, 0], atol=1e-6)
    assert act.dead.tolist() == [False, True, False, False]
    assert act.saturated.tolist() == [False, False, True, False]
    np.testing.assert_allclose(act.magnitude, [0.4, 0.0, 6.0, 0.6], atol=1e-6)
    assert act.order("magnitude").tolist() == [2, 3, 0, 1]
    assert not found["conv"].dead.any()  # before the ceiling and the floor the channel is −1, not nothing
    assert "1 dead, 1 saturated" in act.summary


def test_a_single_position_is_never_called_saturated() -> None:
    one = LayerActivations("x", np.ones((1, 1, 3), np.float32))
    assert not one.saturated.any()


def test_scales_by_hand() -> None:
    values = np.zeros((2, 2, 3), np.float32)
    values[:, :, 0] = [[0, 1], [2, 4]]
    values[:, :, 1] = [[-4, -4], [4, 4]]
    assert levels(values, "channel")[:, :, 0].tolist() == [[0, 64], [128, 255]]
    assert levels(values, "layer")[:, :, 0].tolist() == [[128, 159], [191, 255]]
    assert levels(values, "article")[:, :, 1].tolist() == [[64, 64], [192, 192]]
    assert levels(values, "article")[:, :, 2].tolist() == [[128, 128], [128, 128]]
    assert not levels(values, "channel")[:, :, 2].any()


def test_the_articles_scale_is_the_articles_formula() -> None:
    values = np.random.default_rng(0).normal(3, 5, (7, 5, 4)).astype(np.float32)
    for c in range(4):
        image = values[:, :, c].astype(np.float64)
        image = (image - image.mean()) / image.std() * 64 + 128
        slow = np.clip(image, 0, 255).astype(np.uint8)
        assert np.abs(levels(values, "article")[:, :, c].astype(int) - slow).max() <= 1


def test_shrinking_takes_means() -> None:
    values = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    np.testing.assert_allclose(shrunk(values, 2)[:, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    assert shrunk(values, 4) is values


@pytest.mark.parametrize("channels", [1, 5, 16, 17, 300])
def test_every_channel_is_drawn_once(channels: int) -> None:
    # channel i is flat but for a corner, so that the number of hot corners counts the channels drawn
    values = np.zeros((8, 8, channels), np.float32)
    values[0, 0] = 1.0
    found = activations(shisen.wrap(Toy().eval()), RED)
    grids = type(found)(found.image, found.frame, found.pixels, {"x": LayerActivations("x", values)}, found.model)
    hottest = (253, 231, 37)
    drawn = 0
    for page in range(1, grids.pages("x") + 1):
        pixels = np.asarray(grids.grid("x", page=page))
        factor = (40 if channels > 64 else 56) // 8
        drawn += int((pixels == hottest).all(axis=-1).sum()) // factor**2
    assert drawn == channels
    assert grids.pages("x") == -(-channels // 256)


def test_pages_scales_orders_and_channels_that_there_are_not(model: shisen.Model) -> None:
    found = activations(model, RED)
    with pytest.raises(InputError, match="fills 1 sheets"):
        found.grid("act", page=2)
    with pytest.raises(UnknownName, match="channel"):
        found.grid("act", scale="chanel")
    with pytest.raises(UnknownName, match="magnitude"):
        found.grid("act", order="strenght")
    with pytest.raises(InputError, match="between 0 and 3"):
        found.channel("act", 4)
    with pytest.raises(UnknownName, match="act"):
        found.grid("akt")


def test_patterns_choose_layers_in_forward_order(model: shisen.Model) -> None:
    assert activations(model, RED, ["act", "c*"]).layers == ("conv", "act")
    assert activations(model, RED, "*").layers == ("conv", "act")
    vector = activations(model, RED, "out")["out"].values
    np.testing.assert_allclose(vector, [[[0.4 - 1.2, 3.0]]], atol=1e-6)
    with pytest.raises(UnknownName, match="shisen layers"):
        activations(model, RED, "block9*")


def test_one_forward_answers_for_all_layers() -> None:
    from shisen.adapters.wrappers import Passes, Watched

    counted = Passes()
    model = shisen.wrap(Toy().eval())
    activations(model.around(Watched(model.model, counted)), RED)
    assert counted.rows == {"activations": 1}


def test_ranked_channels_add_up_to_the_logit(model: shisen.Model) -> None:
    ranking = activations(model, RED, "act").ranked(0)
    np.testing.assert_allclose(ranking.contribution, [0.4, 0.0, 0.0, -1.2], atol=1e-6)
    assert ranking.channels.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(ranking.maps[:, :, 0], RED[:, :, 0] / 4, atol=1e-6)
    np.testing.assert_allclose(activations(model, RED, "act").ranked(None).contribution, [0, 0, 3.0, 0], atol=1e-6)


def test_a_channel_lies_over_the_image_at_its_size() -> None:
    big = np.random.default_rng(1).random((60, 90, 3)).astype(np.float32)
    found = activations(shisen.wrap(Toy().eval()), big)
    assert found.channel("act", 0).size == (90, 60)
    assert found.ranked(0).draw(2, per_row=2).width > 180


def test_saving_writes_every_sheet_and_a_contact_sheet(model: shisen.Model, tmp_path: Path) -> None:
    written = activations(model, RED).save(tmp_path / "grids", scale="article")
    assert sorted(p.name for p in written) == ["act.png", "contact_sheet.png", "conv.png"]
    for path in written:
        with Image.open(path) as image:
            assert np.ptp(np.asarray(image)) > 0


def test_the_page_stands_alone_and_escapes_names(model: shisen.Model, tmp_path: Path) -> None:
    found = activations(model, RED)
    name = '<script>alert("x")</script>'
    odd = type(found)(
        found.image, found.frame, found.pixels, {name: found["act"].__class__(name, found["act"].values)}, model
    )
    text = odd.html(tmp_path / "page.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert text.count('loading="lazy"') == 1
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "mean magnitude 0.4|dead|saturated|mean magnitude 0.6" in text
