"""Preprocessing of other libraries: the same pixels, or a clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from shisen.errors import InputError
from shisen.models.preprocess import Preprocess
from shisen.types import InputImage

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def step(name: str, **attributes: Any) -> Any:
    """A transform as another library has it: only the name of its class and its attributes count."""
    return type(name, (), attributes)()


def compose(*steps: Any) -> Any:
    return step("Compose", transforms=list(steps), __call__=lambda self, x: x)


NORMALIZE = step("Normalize", mean=list(MEAN), std=list(STD))
BICUBIC = SimpleNamespace(value="bicubic")


def test_torchvision_preset() -> None:
    preset = SimpleNamespace(crop_size=[224], resize_size=[232], mean=list(MEAN), std=list(STD), interpolation=BICUBIC)
    expected = Preprocess(224, fit="crop", resize=232, mean=MEAN, std=STD, interpolation="bicubic")
    assert Preprocess.of(preset) == expected
    assert Preprocess.of(preset, size=448) == expected.with_size(448)
    assert Preprocess.of(step("Weights", transforms=lambda self: preset)) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            (step("Resize", size=256), step("CenterCrop", size=(224, 224)), step("ToTensor"), NORMALIZE),
            Preprocess(224, fit="crop", resize=256, mean=MEAN, std=STD),
        ),
        (
            (step("Resize", size=[64, 96], interpolation=BICUBIC), step("ToTensor")),
            Preprocess((64, 96), interpolation="bicubic"),
        ),
        (
            (step("ToImage"), step("Resize", size=[32, 32]), step("ToDtype", scale=True), NORMALIZE),
            Preprocess(32, mean=MEAN, std=STD),
        ),
        ((step("Resize", size=(32, 32)), step("PILToTensor")), Preprocess(32, range=(0, 255))),
    ],
)
def test_compose_is_read_step_by_step(steps: tuple[Any, ...], expected: Preprocess) -> None:
    assert Preprocess.of(compose(*steps)) == expected
    assert Preprocess.of(list(steps)) == expected


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((step("RandomHorizontalFlip"), step("ToTensor")), "the step RandomHorizontalFlip"),
        ((step("CenterCrop", size=224), step("ToTensor")), "CenterCrop without Resize"),
        ((step("Resize", size=224), step("ToTensor")), "size must be known"),
        ((step("CenterCrop", size=9), step("Resize", size=9)), "the step Resize"),
        ((step("Resize", size=9), step("CenterCrop", size=9), NORMALIZE, NORMALIZE), "the step Normalize"),
    ],
)
def test_other_steps_are_refused_by_name(steps: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocess.of(compose(*steps))


def processor(**attributes: Any) -> Any:
    base = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "rescale_factor": 1 / 255, "resample": 3}
    return SimpleNamespace(**(base | {"do_resize": True, "do_rescale": True, "do_normalize": True} | attributes))


NUMBERS: dict[str, Any] = {"mean": 0.5, "std": 0.25, "interpolation": "bicubic"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"size": {"height": 224, "width": 192}}, Preprocess((224, 192), **NUMBERS)),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
            Preprocess(224, fit="crop", resize=256, **NUMBERS),
        ),
        (
            {"size": {"height": 256, "width": 256}, "do_center_crop": True, "crop_size": 224},
            Preprocess(224, fit="crop", resize=(256, 256), **NUMBERS),
        ),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, Preprocess(224, fit="crop", resize=256, **NUMBERS)),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, Preprocess(384, **NUMBERS)),
        (
            {"size": {"height": 8, "width": 8}, "do_normalize": False, "do_flip_channel_order": True, "resample": 2},
            Preprocess(8, channel_order="bgr"),
        ),
        ({"size": {"height": 8, "width": 8}, "rescale_factor": 1 / 127.5}, Preprocess(8, range=(0, 2), **NUMBERS)),
        ({"size": {"height": 8, "width": 8}, "do_rescale": False}, Preprocess(8, range=(0, 255), **NUMBERS)),
    ],
)
def test_image_processors(attributes: dict[str, Any], expected: Preprocess) -> None:
    assert Preprocess.of(processor(**attributes)) == expected


def test_timm_configuration() -> None:
    given = {"input_size": (3, 288, 288), "crop_pct": 0.95, "crop_mode": "center", "mean": MEAN, "std": STD,
             "interpolation": "bicubic"}  # fmt: skip
    crop = Preprocess(288, fit="crop", resize=303, mean=MEAN, std=STD, interpolation="bicubic")
    assert Preprocess.of(given) == crop
    assert Preprocess.of(given | {"crop_mode": "squash"}).resize == (303, 303)


def caffe(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    x = x[..., ::-1]  # as Keras does it: a view, then in place
    x[..., 0] -= 103.939
    x[..., 1] -= 116.779
    x[..., 2] -= 123.68
    return x


def by_torch(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    x /= 255.0
    x -= np.array(MEAN, np.float32)
    x /= np.array(STD, np.float32)
    return x


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "caffe": caffe,
    "tf": lambda x: x / 127.5 - 1.0,
    "torch": by_torch,
    "nothing": lambda x: x,
    "turned": lambda x: 1.0 - x / 255.0,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_found_out_by_trying(name: str) -> None:
    preprocess = Preprocess.of(FUNCTIONS[name], size=(6, 5))
    pixels = np.random.default_rng(1).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    got, _ = preprocess.pixels(InputImage(pixels))
    scaling = preprocess.scaling()
    values = got * scaling.scale + scaling.shift
    values = values[..., ::-1] if scaling.reverse else values
    expected = FUNCTIONS[name](pixels[None].astype(np.float32))[0]
    np.testing.assert_allclose(values, expected, atol=2e-4 * max(1.0, float(np.abs(expected).max())))


def test_what_is_found_out_is_readable() -> None:
    found = Preprocess.of(caffe, size=224)
    assert found == Preprocess(224, mean=(103.939, 116.779, 123.68), range=(0, 255), channel_order="bgr")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x**2, "one factor"),
        (lambda x: np.clip(x, 30, 200), "one factor"),
        (lambda x: x - x.mean(), "mixes channels"),
        (lambda x: x - x.mean(axis=(1, 2), keepdims=True), "ignores"),
        (lambda x: x[..., [1, 0, 2]], "mixes channels"),
        (lambda x: x[:, ::-1] * np.linspace(1, 2, x.shape[2])[None, None, :, None], "one factor"),
        (lambda x: x[:, :4], r"returns \(1, 4, 8, 3\), or NaN, for \(1, 8, 8, 3\)"),
        (lambda x: x * np.nan, "NaN"),
        (lambda x: x.nothing, "AttributeError"),
    ],
)
def test_other_functions_are_refused(function: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocess.of(function, size=8)


def test_a_function_needs_a_size() -> None:
    with pytest.raises(InputError, match=r"Preprocess\.of\(…, size=224\)"):
        Preprocess.of(caffe)


@pytest.mark.parametrize("given", [None, 3, "imagenet", {"mean": 1}, {"size": 3, "color": 1}])
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(InputError):
        Preprocess.of(given)
