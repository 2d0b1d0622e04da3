"""A function of the output is a score: its value is the function's own, its gradient the framework's."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import shisen
from shisen.errors import InputError
from shisen.score_functions import ScoreObjective
from shisen.targets import MixedObjective

Y = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
REFERENCE = np.random.default_rng(1).normal(size=5).astype(np.float32)


def arrays(framework: str) -> Any:
    """Return the output as the adapter of a framework hands it to an objective."""
    if framework == "torch":
        return pytest.importorskip("torch").tensor(Y)
    if framework == "keras-jax":
        return pytest.importorskip("jax").numpy.asarray(Y)
    if framework == "keras-tensorflow":
        pytest.importorskip("tensorflow")
    return Y


def cosine(framework: str) -> Any:
    """Return cosine similarity with the reference, in a framework's own words."""
    if framework == "torch":
        torch = importlib.import_module("torch")
        return lambda y: torch.nn.functional.cosine_similarity(y, torch.tensor(REFERENCE), dim=-1)
    if framework == "keras-tensorflow":
        tf = importlib.import_module("tensorflow")
        return lambda y: -tf.keras.losses.cosine_similarity(tf.constant(REFERENCE)[None], y)
    xp = importlib.import_module("jax.numpy") if framework == "keras-jax" else np
    return lambda y: (y @ REFERENCE) / xp.linalg.norm(y, axis=-1) / xp.linalg.norm(REFERENCE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("framework", ["torch", "keras-tensorflow", "keras-jax", "numpy"])
def test_cosine_similarity_in_every_framework(framework: str) -> None:
    objective = ScoreObjective(cosine(framework), framework=framework)
    y = arrays(framework)
    unit, e = Y / np.linalg.norm(Y, axis=1, keepdims=True), REFERENCE / np.linalg.norm(REFERENCE)
    similarity = unit @ e
    np.testing.assert_allclose(np.asarray(objective.value(y)), similarity, rtol=1e-5)
    gradient = (e - similarity[:, None] * unit) / np.linalg.norm(Y, axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(objective(y)), gradient, atol=2e-6)
    assert type(objective(y)) is type(y)
    # Σ gradient · y is zero for it: the score must not be taken from there
    assert np.abs((np.asarray(objective(y)) * Y).sum(1)).max() < 1e-5


@pytest.mark.parametrize(("package", "framework"), [("torch", "torch"), ("torch", "onnx"), ("jax", "keras-jax")])
def test_arrays_of_numpy_are_handed_over_to_the_networks_library(package: str, framework: str) -> None:
    pytest.importorskip(package)
    given = []

    def score(y: Any) -> Any:
        given.append(type(y).__mro__[-2].__module__.partition(".")[0])
        return y[:, 0] * y[:, 1]

    objective = ScoreObjective(score, framework=framework)
    np.testing.assert_allclose(objective.value(Y), Y[:, 0] * Y[:, 1], rtol=1e-6)
    np.testing.assert_array_equal(objective(Y)[:, :2], Y[:, 1::-1])
    assert type(objective.value(Y)) is type(objective(Y)) is np.ndarray
    assert set(given) <= {package, "typing"}


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y[:, 3] - y[:, 1],
        lambda y: (y[:, 3] - y[:, 1])[:, None],
        lambda y: (y[..., 3] - y[..., 1]).sum(),
        lambda y: y[3] - y[1],  # for one row, without the batch axis
    ],
)
@pytest.mark.parametrize("rows", [1, 3])
def test_the_ways_in_which_a_score_is_written(function: Any, rows: int) -> None:
    torch = pytest.importorskip("torch")
    objective = ScoreObjective(function)
    y = torch.tensor(Y[:rows])
    np.testing.assert_allclose(objective.value(y), Y[:rows, 3] - Y[:rows, 1], rtol=1e-6)
    np.testing.assert_array_equal(objective(y), [[0, -1, 0, 1, 0]] * rows)


def test_as_many_rows_as_classes_is_no_trap() -> None:
    square = np.arange(25.0).reshape(5, 5)
    np.testing.assert_array_equal(ScoreObjective(lambda y: y[3]).value(square), square[:, 3])
    np.testing.assert_array_equal(ScoreObjective(lambda y: y[:, 3]).value(square), square[:, 3])


def test_scores_that_are_none_are_refused() -> None:
    torch = pytest.importorskip("torch")
    y = torch.tensor(Y)
    with pytest.raises(InputError, match=r"one number per row.*shape \(1, 5\)"):
        ScoreObjective(lambda y: y * 2).value(y)
    with pytest.raises(InputError, match="NameError"):
        ScoreObjective(lambda y: undefined).value(y)  # type: ignore[name-defined]  # noqa: F821
    for cut in (lambda y: y.detach()[:, 0], lambda y: y[:, 0].numpy().sum() if not y.requires_grad else 1.0):
        with pytest.raises(InputError, match=r"differentiable with torch"):
            ScoreObjective(cut)(y)


def test_a_target_for_each_image_may_be_a_function() -> None:
    mixed = MixedObjective((ScoreObjective(lambda y: y[:, 0] ** 2), ScoreObjective(lambda y: y[1])))
    np.testing.assert_allclose(mixed.value(Y[:2]), [Y[0, 0] ** 2, Y[1, 1]], rtol=1e-6)


def test_every_method_measures_the_real_score() -> None:
    torch = pytest.importorskip("torch")

    class Embedder(torch.nn.Module):  # type: ignore[name-defined,misc]
        """Its output is the mean color: occlusion's effect on cosine similarity can be worked out by hand."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 3, 1, bias=False)
            self.conv.weight.data = torch.eye(3)[:, :, None, None]

        def forward(self, x: Any) -> Any:
            return self.conv(x).mean((2, 3))

    image = np.zeros((8, 8, 3), np.float32)
    image[:, :, 1] = 0.5
    image[:4, :4, 0] = 1.0
    red = torch.tensor([1.0, 0.0, 0.0])

    def redness(y: Any) -> Any:
        return torch.nn.functional.cosine_similarity(y, red, dim=-1)

    def score(pixels: Any) -> float:
        mean = pixels.mean((0, 1))
        return float(mean[0] / np.linalg.norm(mean))

    model = shisen.wrap(Embedder(), head="none")
    found = shisen.explain(model, image, "occlusion", target=redness, window=4, stride=4, baseline="black")
    assert found.target.name == "redness"
    assert found.target.value == pytest.approx(score(image), rel=1e-5)
    covered = image.copy()
    covered[:4, :4] = 0
    drop = score(image) - score(covered)
    assert drop > 0.4
    assert found.values.max() == pytest.approx(drop, rel=1e-4)
    own = shisen.cotangent(lambda y: torch.autograd.functional.jacobian(lambda v: redness(v).sum(), y), value=redness)
    again = shisen.explain(model, image, "occlusion", target=own, window=4, stride=4, baseline="black")
    np.testing.assert_allclose(again.values, found.values, rtol=1e-5)
    np.testing.assert_allclose(
        shisen.explain(model, image, "gradient", target=own).values,
        shisen.explain(model, image, "gradient", target=redness).values,
        rtol=1e-5,
    )


def test_labels_as_tensors_and_layers_as_objects() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    )
    model = shisen.wrap(net)
    images = [np.random.default_rng(i).random((8, 8, 3), dtype=np.float32) for i in range(2)]
    found = shisen.explain(model, images, layer=net[1], target=torch.tensor([2, 0]))
    want = [shisen.explain(model, x, layer="1", target=k) for x, k in zip(images, (2, 0), strict=True)]
    for a, b in zip(found, want, strict=True):
        assert (a.layer, a.target.indices) == ("1", b.target.indices)
        np.testing.assert_allclose(a.values, b.values, atol=1e-6)
    assert shisen.explain(model, images[0], target=torch.tensor(2)).target.indices == (2,)
    with pytest.raises(InputError, match="not part of it"):
        shisen.explain(model, images[0], layer=torch.nn.ReLU())
