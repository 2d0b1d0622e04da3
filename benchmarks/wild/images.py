"""Situations about channels, depth and preprocessing."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

import shisen

from .situations import close, conv_net, logits, noise, photo, refused, works

CLOSE = 1e-5


def seen(model: Any, source: Any) -> Any:
    """Return the pixels that a model's network gets, before its scaling."""
    return model.prepare(model.read(source))[0]


def gray_of(path: Path, side: int) -> Any:
    image = Image.open(path).convert("L").resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)[..., None] / 255


@works("channels", "a one-channel network and a color photo")
def gray_network(folder: Path) -> None:
    net, path = conv_net(1), photo(folder)
    model = shisen.wrap(net, preprocess=shisen.Preprocess(28, channels=1))
    close(model.activations(seen(model, path)[None])[0], logits(net, gray_of(path, 28)))
    assert shisen.explain(model, path).heatmap.shape == (40, 32)


@works("channels", "a one-channel network, preprocessing named mnist")
def gray_preset(folder: Path) -> None:
    net, path = conv_net(1), photo(folder)
    model = shisen.wrap(net, preprocess="mnist", input_shape=(28, 28, 1))
    close(model.activations(seen(model, path)[None])[0], logits(net, (gray_of(path, 28) - 0.1307) / 0.3081))


@works("channels", "a one-channel network without preprocessing and a color photo")
def gray_unknown(folder: Path) -> None:
    net, path = conv_net(1), photo(folder)
    model = shisen.wrap(net)
    gray = np.asarray(Image.open(path), np.float64) @ (0.299, 0.587, 0.114)
    close(model.activations(seen(model, path)[None])[0], logits(net, np.rint(gray)[..., None] / 255), 1e-4)


@works("channels", "an RGBA network and a PNG with transparency")
def rgba(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "x.png")
    net = conv_net(4)
    model = shisen.wrap(net, preprocess=shisen.Preprocess(16, channels=4))
    close(model.activations(seen(model, folder / "x.png")[None])[0], logits(net, pixels / np.float32(255)))
    assert shisen.explain(model, folder / "x.png").image.pixels.shape == (16, 16, 3)


@works("channels", "RGB + NIR in a TIFF stack of 16 bits, bands in another order")
def tiff_stack(folder: Path) -> None:
    import tifffile

    values = np.random.default_rng(0).integers(0, 10_000, (4, 16, 16)).astype(np.uint16)
    tifffile.imwrite(folder / "x.tif", values, photometric="minisblack")
    net = conv_net(4)
    model = shisen.wrap(net, preprocess={"size": 16, "bands": (2, 1, 0, 3), "data_range": (0, 10_000)})
    want = np.moveaxis(values[[2, 1, 0, 3]], 0, -1) / np.float32(10_000)
    close(model.activations(seen(model, folder / "x.tif")[None])[0], logits(net, want))
    shisen.explain(model, folder / "x.tif").save(folder / "map.png")


@works("channels", "twelve bands in an .npy file")
def twelve_bands(folder: Path) -> None:
    values = noise(16, 16, 12)
    np.save(folder / "x.npy", values)
    net = conv_net(12)
    model = shisen.wrap(net, preprocess={"size": 16, "channels": 12, "rgb": (3, 2, 1)})
    close(model.activations(seen(model, folder / "x.npy")[None])[0], logits(net, values))
    assert shisen.explain(model, folder / "x.npy").image.pixels.std() > 40  # a view that can be looked at


@works("channels", "two images stacked as six channels, without preprocessing")
def six_channels(folder: Path) -> None:
    net, x = conv_net(6), noise(16, 16, 6)
    close(shisen.wrap(net).activations(x[None])[0], logits(net, x))
    assert shisen.explain(shisen.wrap(net), x).values.shape == (12, 12)


@works("channels", "a gray photo and an RGB network")
def gray_photo(folder: Path) -> None:
    Image.fromarray(np.full((16, 16), 51, np.uint8)).save(folder / "x.png")
    close(seen(shisen.wrap(conv_net(), preprocess={"size": 16}), folder / "x.png"), np.full((16, 16, 3), 0.2))


@works("channels", "transparency and an RGB network: over white")
def over_white(folder: Path) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(folder / "x.png")
    close(seen(shisen.wrap(conv_net(), preprocess={"size": 16}), folder / "x.png"), np.ones((16, 16, 3)))


@works("depth", "16 bits keep their depth for a gray network")
def sixteen_bits(folder: Path) -> None:
    values = np.array([[20_000, 20_001], [0, 65_535]], np.uint16).repeat(8, 0).repeat(8, 1)
    Image.fromarray(values).save(folder / "x.png")
    model = shisen.wrap(conv_net(1), preprocess={"size": 16, "channels": 1})
    close(seen(model, folder / "x.png")[..., 0], values / 65_535, 1e-6)


@works("depth", "12 bits in a 16-bit file are not black")
def twelve_bits(folder: Path) -> None:
    Image.fromarray(np.linspace(0, 4095, 256).astype(np.uint16).reshape(16, 16)).save(folder / "x.png")
    assert shisen.wrap(conv_net(), preprocess={"size": 16}).read(folder / "x.png").pixels.max() == 255


@works("depth", "pixels saved as .npy and .npz")
def numpy_files(folder: Path) -> None:
    values = noise(16, 16, 3)
    np.save(folder / "x.npy", values)
    np.savez(folder / "x.npz", image=values)
    model = shisen.wrap(conv_net(), preprocess={"size": 16})
    close(seen(model, folder / "x.npy"), values, 0.003)
    close(seen(model, folder / "x.npz"), values, 0.003)


@refused("depth", "reflectances up to 3, whose white is not known")
def reflectances(folder: Path) -> None:
    shisen.explain(shisen.wrap(conv_net(5), preprocess={"size": 16, "channels": 5}), noise(16, 16, 5) * 3)


@refused("channels", "data of five channels for a network of three")
def five_for_three(folder: Path) -> None:
    np.save(folder / "x.npy", noise(16, 16, 5))
    shisen.explain(shisen.wrap(conv_net(), preprocess={"size": 16}), folder / "x.npy")


@refused("channels", "an .npy file with its channels first")
def channels_first(folder: Path) -> None:
    np.save(folder / "x.npy", noise(7, 16, 16))
    shisen.explain(shisen.wrap(conv_net(7), preprocess={"size": 16, "channels": 7}), folder / "x.npy")


@refused("depth", "a pickled object in an .npy file")
def pickled_numpy(folder: Path) -> None:
    np.save(folder / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    shisen.explain(shisen.wrap(conv_net(), preprocess={"size": 16}), folder / "x.npy")


@works("preprocessing", "a network of unknown preprocessing and a photo: what is assumed is said once")
def assumed(folder: Path) -> None:
    model, path = shisen.wrap(conv_net()), photo(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.predict(path)
        model.predict(path)
    said = [str(w.message) for w in caught if "preprocessing is not known" in str(w.message)]
    assert len(said) == 1, said
    assert "values 0 to 1" in said[0]


@works("preprocessing", "imagenet by name")
def imagenet(folder: Path) -> None:
    net, x = conv_net(), noise(16, 16, 3)
    model = shisen.wrap(net, preprocess="imagenet", input_shape=(16, 16, 3))
    mean, std = np.float32((0.485, 0.456, 0.406)), np.float32((0.229, 0.224, 0.225))
    close(model.activations(x[None])[0], logits(net, (x - mean) / std))


@works("preprocessing", "BGR and values to 255, as in Caffe")
def caffe(folder: Path) -> None:
    net, x = conv_net(), noise(16, 16, 3)
    model = shisen.wrap(net, preprocess="caffe", input_shape=(16, 16, 3))
    close(model.activations(x[None])[0], logits(net, x[..., ::-1] * 255 - np.float32((103.939, 116.779, 123.68))))


@works("preprocessing", "another scale on a known model keeps mean, std and crop")
def scale_of_known(folder: Path) -> None:
    known, scaled = shisen.load(), shisen.load(preprocess={"range": (0.0, 1.0)})
    assert (scaled.preprocess.resize, scaled.preprocess.interpolation) == (256, "bicubic")
    close(scaled.activations(noise(1, 224, 224, 3)), known.activations(noise(1, 224, 224, 3)), 1e-4)


@works("preprocessing", "torchvision's Compose with Grayscale")
def compose_gray(folder: Path) -> None:
    def step(name: str, **fields: Any) -> Any:
        return type(name, (), fields)()

    steps = [
        step("Grayscale", num_output_channels=1),
        step("Resize", size=(28, 28)),
        step("ToTensor"),
        step("Normalize", mean=(0.5,), std=(0.25,)),
    ]
    wanted = shisen.Preprocess(28, channels=1, mean=0.5, std=0.25)
    assert shisen.Preprocess.of(SimpleNamespace(transforms=steps)) == wanted


@works("preprocessing", "albumentations: Resize, Normalize, ToTensorV2; and ToFloat")
def albumentations(folder: Path) -> None:
    def step(name: str, **fields: Any) -> Any:
        return type(name, (), fields)()

    resize = step("Resize", height=20, width=30, interpolation=1)
    normalize = step("Normalize", mean=(0.5,) * 3, std=(0.2,) * 3, max_pixel_value=255.0, normalization="standard")
    found = shisen.Preprocess.of(SimpleNamespace(transforms=[resize, normalize, step("ToTensorV2")]))
    assert found == shisen.Preprocess((20, 30), mean=0.5, std=0.2)
    floats = shisen.Preprocess.of(SimpleNamespace(transforms=[resize, step("ToFloat", max_value=255.0)]))
    assert floats == shisen.Preprocess((20, 30))


@refused("preprocessing", "a random step in a Compose")
def random_step(folder: Path) -> None:
    shisen.Preprocess.of([type("RandomHorizontalFlip", (), {})(), type("ToTensor", (), {})()], 16)


@refused("preprocessing", "a name that no recipe has")
def unknown_name(folder: Path) -> None:
    shisen.wrap(conv_net(), preprocess="imagnet")


@refused("preprocessing", "mean of another number than the channels")
def other_number(folder: Path) -> None:
    shisen.Preprocess(16, channels=4, mean=(0.5, 0.5, 0.5))
