from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import shisen
from evaluation.nets import model, spots
from shisen.errors import InputError
from shisen.evaluation.candidates import block_ends, candidates, stage_ends
from shisen.evaluation.recommend import combined_gain, recommend, recommended, saved, saved_at
from shisen.evaluation.scores import Example, Row, Scores
from shisen.evaluation.settings import Setting
from shisen.types import Layer


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


# a floor in place of the default, so that anything that looks at the image is better
WEAK = Setting("random_patches")


def test_the_better_setting_is_found_confirmed_and_explained(tmp_path: Path) -> None:
    net = model()
    out = tmp_path / "r.json"
    found = recommend(net, spots(16), budget=60, settings=[WEAK, Setting("grad_cam"), Setting("center")], out=out)
    assert found.setting == Setting("grad_cam")
    assert len(found.explanation) == 3
    assert found.confirmed["insertion_deletion"].verdict == "better"
    assert found.facts["choosing"] + found.facts["confirming"] == 16
    assert "8 other images" in found.explanation[1]
    names = [t[0] for t in found.tried]
    assert set(names) == {"random_patches", "grad_cam", "center"}
    assert json.loads(out.read_text()) == json.loads(saved_at(net).read_text())


def test_the_two_halves_have_no_image_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    from shisen.evaluation import recommend as module

    asked: list[tuple[int, list[bytes]]] = []
    true = module.evaluate

    def watched(net: Any, images: Any, settings: Any, *rest: Any, **more: Any) -> Any:
        asked.append((len(settings), [p.tobytes() for p in images]))
        return true(net, images, settings, *rest, **more)

    monkeypatch.setattr(module, "evaluate", watched)
    recommend(model(), spots(12), settings=[WEAK, Setting("grad_cam"), Setting("center")], save=False)
    choosing = {p for _, images in asked[:3] for p in images}
    confirming = {p for _, images in asked[3:] for p in images}
    assert len(choosing) == len(confirming) == 6
    assert not choosing & confirming


def test_auto_uses_what_was_saved_and_only_for_these_weights() -> None:
    net = model()
    with pytest.raises(InputError, match="shisen recommend"):
        shisen.explain(net, spots(1)[0], method="auto")
    recommend(net, spots(8), settings=[WEAK, Setting("grad_cam", "conv")])
    assert saved(net) == Setting("grad_cam", "conv")
    e = shisen.explain(net, spots(1)[0], method="auto")
    assert (e.method, e.layer) == ("grad_cam", "conv")
    np.testing.assert_array_equal(e.values, shisen.explain(net, spots(1)[0], "grad_cam", layer="conv").values)
    assert shisen.explain(net, spots(1)[0], method="auto", layer="relu").layer == "relu"
    other = model()
    with torch.no_grad():
        other.network.net.classifier.weight.mul_(1.3)
    assert saved(other) is None


def test_copies_and_fused_layers_survive_the_file() -> None:
    net = model()
    setting = Setting("grad_cam", ("conv", "relu"), augment={"flip": True, "scales": [1.0]})
    recommend(net, spots(8), settings=[WEAK, setting])
    method, layer, options = recommended(net, None, {})
    assert layer == ("conv", "relu")
    assert options == {}
    assert getattr(method, "name", "") == "augmented grad_cam"
    assert shisen.explain(net, spots(1)[0], method="auto").values.shape == (8, 8)


def test_a_default_that_is_best_stays() -> None:
    found = recommend(model(), spots(8), settings=[Setting("grad_cam"), WEAK], save=False)
    assert found.setting == Setting("grad_cam")
    assert not found.confirmed
    assert "nothing needs to be set" in found.explanation[2]


def test_too_few_images() -> None:
    with pytest.raises(InputError, match="four images"):
        recommend(model(), spots(3))


def points(*paths: tuple[str, str, int]) -> tuple[Layer, ...]:
    return tuple(Layer(p, k, (s, s, 8), parameters="Conv" in k) for p, k, s in paths)


def test_block_ends() -> None:
    block = [("conv1", "Conv2d"), ("relu", "ReLU"), ("unit.conv", "Conv2d"), ("unit", "ConvNorm"), ("", "Block")]
    net = points(
        ("stem", "Conv2d", 32),
        *((f"a.0.{name}".strip("."), kind, 16) for name, kind in block),
        ("a", "Sequential", 16),
        *((f"b.0.{name}".strip("."), kind, 8) for name, kind in block),
        *((f"b.1.{name}".strip("."), kind, 8) for name, kind in block),
        ("b", "Sequential", 8),
        ("head", "Conv2d", 8),
    )
    assert [p.path for p in block_ends(net, "head")] == ["b.1", "b.0", "a.0"]
    plain = points(("f.0", "Conv2d", 16), ("f.1", "ReLU", 16), ("f.2", "Conv2d", 8), ("f.3", "ReLU", 8))
    assert [p.path for p in block_ends(plain, "f.3")] == ["f.1"]


def test_candidates_start_with_the_default_and_are_distinct() -> None:
    found = candidates(model())
    assert found[0] == Setting("grad_cam")
    assert len({s.name for s in found}) == len(found)


def test_candidates_of_the_built_in_network() -> None:
    names = [s.name for s in candidates(shisen.load("efficientnet_lite0"))]
    assert "hires_cam@blocks.6.0" in names
    assert "hires_cam@head+blocks.4.2" in names
    assert "hires_cam@head+blocks.4.2+blocks.2.1 (flipped, ×1, 1.5)" in names
    stages = "head+blocks.6.0+blocks.5.3+blocks.4.2+blocks.3.2+blocks.2.1"
    assert f"hires_cam@{stages} (log probability)" in names
    assert f"hires_cam@{stages} (flipped, ×1, 1.5, log probability, power 0.85)" in names


def test_stages_end_where_the_shape_changes() -> None:
    def at(path: str, side: int, channels: int) -> Layer:
        return Layer(path, "Block", (side, side, channels))

    default = at("head", 7, 64)
    ends = [at("d.1", 7, 32), at("d.0", 7, 32), at("c.0", 14, 32), at("b.0", 28, 8), at("a.1", 56, 4), at("a.0", 56, 4)]
    assert stage_ends(ends, default) == ["d.1", "c.0", "b.0"]
    assert stage_ends([at("d.1", 7, 64), *ends[2:]], default) == ["c.0", "b.0"]


def scored(values: dict[str, tuple[float, float]], images: range) -> Scores:
    """Scores of settings: insertion − deletion and ADCC, the same for each of some images."""
    rows = tuple(
        Row(f"{i}", f"{i}.png", name, metric, value + 1e-4 * i)
        for name, pair in values.items()
        for metric, value in zip(("insertion_deletion", "adcc"), pair, strict=True)
        for i in images
    )
    examples = {f"{i}": Example(f"{i}.png", "", 1.0, np.zeros((1, 1, 3), np.uint8), {}) for i in images}
    return Scores(rows, tuple(values), (), ("insertion_deletion", "adcc"), next(iter(values)), {}, (), examples)


def chosen_by(monkeypatch: pytest.MonkeyPatch, confirming: dict[str, tuple[float, float]], budget: float = 60.0) -> Any:
    """Recommend for a model where grad_cam is better on the choosing half, and these scores come from the other."""
    from shisen.evaluation import recommend as module

    choosing = {"gradient": (0.1, 50.0), "grad_cam": (0.4, 50.0)}
    seen: list[int] = []

    def evaluated(net: Any, images: Any, settings: Any, *rest: Any, **more: Any) -> Scores:
        start = sum(seen)
        seen.append(len(images))
        values = choosing if start < 6 else confirming
        return scored({s.name: values[s.name] for s in settings}, range(start, start + len(images)))

    monkeypatch.setattr(module, "evaluate", evaluated)
    settings = [Setting("gradient"), Setting("grad_cam")]
    return recommend(model(), spots(12), budget=budget, settings=settings, save=False)


def test_a_winner_that_is_not_confirmed_is_not_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen_by(monkeypatch, {"gradient": (0.3, 50.0), "grad_cam": (0.1, 50.0)})
    assert found.setting == Setting("gradient")
    one, two, three = found.explanation
    assert one.startswith("Stay with gradient for ")
    assert "grad_cam was better on 6 images, not on 6 others" in one
    assert "is 0.301 and its ADCC 50.0 %" in two
    assert "insertion_deletion -0.2 " in three
    assert str(found) == f"{one} {two} {three}"


def test_a_winner_that_is_confirmed_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen_by(monkeypatch, {"gradient": (0.1, 50.0), "grad_cam": (0.2, 50.0)})
    assert found.setting == Setting("grad_cam")
    assert found.explanation[0].startswith("Use grad_cam for ")
    assert found.explanation[0].endswith("the best of 2 settings tried on 6 images.")
    assert [t.setting for t in found.tried] == ["grad_cam", "gradient"]
    assert found.tried[0].n_images == 6
    assert found.tried[0].insertion_deletion == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize(("gain", "adcc", "kept"), [(-0.1, 5.0, False), (-0.1, 15.0, True), (0.1, -5.0, True)])
def test_a_point_of_adcc_weighs_a_hundredth(
    gain: float, adcc: float, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = chosen_by(monkeypatch, {"gradient": (0.3, 50.0), "grad_cam": (0.3 + gain, 50.0 + adcc)})
    assert (found.setting == Setting("grad_cam")) == kept
    assert combined_gain(found.confirmed) == pytest.approx(gain + adcc / 100)
    assert combined_gain({}) == 0.0


def test_without_time_few_images_are_used_but_never_fewer_than_two_rounds_to_confirm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from shisen.evaluation import recommend as module

    counts: list[int] = []
    true = module.evaluate

    def counted(net: Any, images: Any, *rest: Any, **more: Any) -> Any:
        counts.append(len(images))
        return true(net, images, *rest, **more)

    monkeypatch.setattr(module, "evaluate", counted)
    found = recommend(model(), spots(16), budget=0.0, settings=[WEAK, Setting("grad_cam")], save=False)
    assert counts == [2, 2, 2]
    assert (found.facts["choosing"], found.facts["confirming"]) == (2, 4)
