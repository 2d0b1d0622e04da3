"""The calls a person makes, on the embedded network and on networks of their own."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import nn

import nets
import shisen
from shisen.errors import ImageError, InputError, UnknownName


@pytest.fixture(scope="module")
def model() -> shisen.Model:
    return shisen.load("efficientnet_lite0")


def test_a_image_can_come_in_any_form(model: shisen.Model, tmp_path: Path) -> None:
    cat = data.cat()
    file = tmp_path / "cat.png"
    Image.fromarray(cat).save(file)
    forms = [file, str(file), file.read_bytes(), Image.fromarray(cat), cat, cat.astype(np.float32) / 255]
    answers = [model.predict(form) for form in forms]
    assert answers[0][0].label == "tiger cat"
    assert answers[0][0].wordnet_id == "n02123159"
    for answer in answers[1:]:
        assert [p.index for p in answer] == [p.index for p in answers[0]]
        assert answer[0].logit == pytest.approx(answers[0][0].logit, abs=1e-3)


def test_an_explanation_has_raw_values_and_a_heatmap_at_the_images_size(model: shisen.Model) -> None:
    e = shisen.explain(model, data.cat())
    assert e.values.shape == (7, 7)
    assert e.values.dtype == np.float32
    assert e.heatmap.shape == data.cat().shape[:2]
    assert e.heatmap.dtype == np.float32
    assert 0.0 == e.heatmap.min() < e.heatmap.max() <= 1.0
    assert (e.method, e.layer, e.target.name) == ("grad_cam", "head", "tiger cat")
    assert e.target.value == pytest.approx(e.predictions[0].logit)
    assert e._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
    assert e.overlay().size == data.cat().shape[1::-1]


def test_the_target_may_be_a_number_a_name_an_id_or_a_list(model: shisen.Model) -> None:
    e = [shisen.explain(model, data.cat(), target=t) for t in (386, "African elephant", "n02504458")]
    np.testing.assert_array_equal(e[0].values, e[1].values)
    np.testing.assert_array_equal(e[0].values, e[2].values)
    many = shisen.explain(model, data.cat(), target=["African elephant", "tabby"])
    np.testing.assert_allclose(many[0].values, e[0].values, atol=1e-6)
    assert many[1].target.indices == (281,)


def test_probabilities_and_logits_are_explained_differently(model: shisen.Model) -> None:
    logit = shisen.explain(model, data.cat(), "gradient").values
    chance = shisen.explain(model, data.cat(), "gradient", score="probability")
    assert chance.attribution.unit == "probability per unit of pixel value"
    cosine = (logit * chance.values).sum() / np.linalg.norm(logit) / np.linalg.norm(chance.values)
    assert cosine < 0.999


def test_a_list_keeps_its_order_and_loses_nothing(model: shisen.Model, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not an image")
    with pytest.warns(shisen.ShisenWarning, match=r"1 of 3 images failed.*bad\.jpg"):
        found = shisen.explain(model, [data.cat(), bad, data.coffee()], target=["tabby", 0, "espresso"])
    assert [bool(f) for f in found] == [True, False, True]
    assert [f.target.name for f in found if f] == ["tabby", "espresso"]
    np.testing.assert_allclose(
        found[2].values, shisen.explain(model, data.coffee(), target="espresso").values, atol=1e-5
    )
    with pytest.raises(ImageError):
        shisen.explain(model, bad)


def test_a_mix_of_given_and_own_classes(model: shisen.Model) -> None:
    found = shisen.explain(model, [data.cat(), data.coffee()], target=[None, shisen.contrast("espresso", "cup")])
    assert found[0].target.name == "tiger cat"
    assert found[1].target.name == "espresso rather than cup"


def test_targets_that_do_not_fit_the_images_are_refused(model: shisen.Model) -> None:
    with pytest.raises(InputError, match="2 targets, 1 images"):
        shisen.explain(model, [data.cat()], target=[1, 2])


def test_more_images_than_targets_are_refused_by_an_iterator_too(model: shisen.Model) -> None:
    with pytest.raises(InputError, match="2 targets, and more images"):
        list(shisen.explain_each(model, [data.cat()] * 3, target=[1, 2]))


def test_another_size_and_geometry_for_one_call(model: shisen.Model) -> None:
    e = shisen.explain(model, data.cat(), size=320, fit="stretch")
    assert e.values.shape == (10, 10)
    assert e.frame.box == (0.0, 0.0, 451.0, 300.0)
    assert shisen.explain(model, data.cat()).values.shape == (7, 7)


def test_an_own_network_takes_arrays_as_they_are() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    model = shisen.wrap(net, labels=["a", "b", "c"])
    x = np.random.default_rng(0).normal(size=(9, 14, 2)).astype(np.float32) * 50
    e = shisen.explain(model, x, "gradient", target="b")
    t = torch.tensor(x.transpose(2, 0, 1)[None], requires_grad=True)
    net(t)[0, 1].backward()
    np.testing.assert_allclose(e.values, t.grad[0].numpy().transpose(1, 2, 0), atol=1e-6)
    assert e.overlay().size == (14, 9)
    assert [p.label for p in model.predict(x, top=3)] == sorted("abc", key=lambda k: -net(t)[0]["abc".index(k)].item())


def test_wrap_refuses_what_it_does_not_know() -> None:
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        shisen.wrap("resnet")


def test_unknown_names_come_with_the_nearest(model: shisen.Model) -> None:
    with pytest.raises(UnknownName, match="'grad_cam'"):
        shisen.explain(model, data.cat(), "grad_camm")
    with pytest.raises(UnknownName, match="efficientnet_lite1"):
        shisen.load("efficientnet_lite_1")
    with pytest.raises(UnknownName, match="option"):
        shisen.explain(model, data.cat(), wings=2)


def test_an_explanation_of_nothing_says_so() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        net[0].bias.fill_(-100.0)
    e = shisen.explain(shisen.wrap(net), np.zeros((8, 8, 3), np.float32), target=0)
    assert float(e.heatmap.max()) == 0.0
    assert e.warning is not None
    assert "no evidence" in e.warning


def test_the_elephant_is_found_where_it_stands(model: shisen.Model, shared: Path) -> None:
    file = shared / "photos_extra" / "elephants.jpg"
    best = model.predict(file)[0]
    assert best.label == "African elephant"
    assert best.probability > 0.8
    e = shisen.explain(model, file)
    row, column = np.unravel_index(int(e.heatmap.argmax()), e.heatmap.shape)
    h, w = e.heatmap.shape
    # outlines of the two animals, as fractions of height and width
    on_small = 0.38 < row / h < 0.72 and 0.22 < column / w < 0.55
    on_large = 0.08 < row / h < 0.88 and 0.45 < column / w < 0.99
    assert on_small or on_large, (row / h, column / w)


def test_a_number_is_no_probability() -> None:
    from shisen.types import Prediction

    assert Prediction(0, "cat", None, 0.8783, 2.0).confidence == "87.8%"
    assert Prediction(0, "height", None, 150.8, 150.8).confidence == "150.8"


def test_a_large_gap_of_a_complete_method_is_warned_of() -> None:
    model, image = shisen.wrap(nets.Toy("relu6"), preprocess=shisen.Preprocess(size=(12, 16))), nets.images(1)[0]
    with pytest.warns(shisen.ShisenWarning, match=r"integrated_gradients .* miss \d+% of it.*max_gap=0.05"):
        shisen.explain(model, image, "integrated_gradients", target=2, n_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shisen.explain(model, image, "integrated_gradients", target=2, n_steps=2000)
        shisen.explain(model, image, "gradient", target=2)


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients"])
def test_numbers_that_are_not_finite_are_warned_of(method: str) -> None:
    class Deviation(nn.Module):
        def forward(self, x: Any) -> Any:  # NaN for flat images only
            deviation = x.std((2, 3)).mean(1, keepdim=True)
            return torch.cat([torch.sqrt(deviation - 0.2), deviation], 1)

    image = np.zeros((8, 8, 3), np.float32)
    image[:, ::2] = 1.0
    model = shisen.wrap(Deviation())
    options: dict[str, Any] = {"window": 8, "stride": 8} if method == "occlusion" else {"n_steps": 4}
    with pytest.warns(shisen.ShisenWarning, match=rf"100% of the values of {method} are not finite"):
        found = shisen.explain(model, image, method, target=0, **options)
    assert np.isnan(found.values).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(shisen.explain(model, image, "gradient", target=0).values).all()


def test_an_answer_that_changes_with_every_call_is_warned_of() -> None:
    class Always(nn.Sequential):
        def forward(self, x: Any) -> Any:
            return super().forward(nn.functional.dropout(x, 0.5, training=True))

    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    image = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)
    with pytest.warns(shisen.ShisenWarning, match="another answer at every call, such as by dropout"):
        shisen.explain(shisen.wrap(Always(*layers)), image, "occlusion", target=0, window=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shisen.explain(shisen.wrap(nn.Sequential(*layers)), image, "occlusion", target=0, window=4)
