"""Everyone's models by name: what the hubs publish about them is what they get."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")
from PIL import Image  # noqa: E402

import shisen  # noqa: E402
from shisen.adapters.torch.io import network_input  # noqa: E402
from shisen.errors import ModelError, UnknownName  # noqa: E402
from shisen.models.catalog import listing  # noqa: E402


@pytest.fixture
def photo() -> Image.Image:
    y, x = np.mgrid[:260, :300]
    pixels = np.stack([127 + 90 * np.sin(x / 17), 127 + 80 * np.cos(y / 23), (x + y) / 3], -1)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and nothing kept from earlier."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))


def test_torchvision_gets_the_transforms_and_categories_of_its_weights(photo: Image.Image) -> None:
    model = shisen.load("torchvision:resnet18@random", device="cpu")
    weights = torchvision.models.ResNet18_Weights.DEFAULT
    want = weights.transforms()(photo)
    mine, _ = model.prepare(model.read(photo))
    shown = network_input(model.network.net, model.network.scaling, torch.tensor(mine)[None])[0]
    assert shown.shape == want.shape
    assert (shown - want).abs().mean() < 0.02  # resizing rounds differently by a gray level
    assert model.labels[386] == "African elephant"
    assert model.labels.wordnet_id(386) == "n02504458"
    assert model.default_layer.startswith("layer4")
    assert "random" in model.source


def test_timm_gets_its_data_configuration_and_labels(photo: Image.Image) -> None:
    model = shisen.load("timm:resnet10t@random", device="cpu")
    config = timm.data.resolve_data_config({}, model=model.network.net)
    want = timm.data.create_transform(**config)(photo)
    mine, _ = model.prepare(model.read(photo))
    shown = network_input(model.network.net, model.network.scaling, torch.tensor(mine)[None])[0]
    assert shown.shape == want.shape
    assert (shown - want).abs().mean() < 0.02
    assert model.find("n02504458") == 386


def test_timm_knows_the_labels_of_larger_imagenets() -> None:
    model = shisen.load("timm:convnext_tiny.fb_in22k@random", device="cpu")
    assert len(model.labels) == 21841
    assert model.labels.wordnet_id(0) == "n00004475"


def test_transformers_reads_a_folder_with_its_processor_and_labels(tmp_path: Path, photo: Image.Image) -> None:
    config = transformers.ViTConfig(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        id2label={0: "cat", 1: "dog", 2: "tree"}, label2id={"cat": 0, "dog": 1, "tree": 2},
    )  # fmt: skip
    torch.manual_seed(0)
    net = transformers.ViTForImageClassification(config).eval()
    net.save_pretrained(tmp_path)
    processor = transformers.ViTImageProcessor(
        size={"height": 32, "width": 32}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4]
    )
    processor.save_pretrained(tmp_path)
    model = shisen.load(f"hf:{tmp_path}", device="cpu")
    assert list(model.labels) == ["cat", "dog", "tree"]
    with torch.no_grad():
        want = net(**processor(photo, return_tensors="pt")).logits.softmax(-1)[0]
    found = {p.label: p.probability for p in model.predict(photo)}
    for name, chance in zip(("cat", "dog", "tree"), want.tolist(), strict=True):
        assert found[name] == pytest.approx(chance, abs=2e-3)
    assert shisen.explain(model, photo, target="dog").values.shape == (4, 4)
    assert shisen.explain(model, photo, "legrad", target="dog").values.max() > 0


def test_a_file_of_weights_decides_the_number_of_classes(tmp_path: Path, photo: Image.Image) -> None:
    torch.manual_seed(0)
    net = torchvision.models.mobilenet_v3_small(num_classes=3).eval()
    torch.save({"state_dict": net.state_dict()}, tmp_path / "best.pt")
    labels = tmp_path / "labels.txt"
    labels.write_text("ant\nbee\nwasp\n", encoding="utf-8")
    model = shisen.load(
        "torchvision:mobilenet_v3_small", weights=tmp_path / "best.pt", labels=str(labels), device="cpu"
    )
    image, _ = model.prepare(model.read(photo))
    with torch.no_grad():
        want = net(network_input(model.network.net, model.network.scaling, torch.tensor(image)[None]))
    torch.testing.assert_close(model.activations(image[None]), want)
    assert list(model.labels) == ["ant", "bee", "wasp"]
    bare = shisen.load("torchvision:mobilenet_v3_small", weights=tmp_path / "best.pt", device="cpu")
    assert len(bare.labels) == 0


def test_weights_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 4), "other": torch.zeros(2)}, tmp_path / "bad.pt")
    with pytest.raises(ModelError, match=r"missing.*unexpected"):
        shisen.load("timm:resnet10t", weights=tmp_path / "bad.pt")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:resnet10t", "hf:google/vit-base-patch16-224"])
def test_without_network_and_cache_one_sentence_names_the_ways_out(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # it is found out
    with pytest.raises(ModelError, match="within reach") as caught:
        shisen.load(name)
    text = str(caught.value)
    told = capfd.readouterr()
    assert not told.out
    assert not told.err
    assert "no connection to" in text
    assert "--weights" in text
    assert "efficientnet_lite0" in text
    assert "@random" in text
    assert "\n" not in text


@pytest.mark.usefixtures("offline")
def test_kept_weights_are_used_without_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torchvision.models.squeezenet1_1()
    file = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url.rsplit("/", 1)[1]
    kept = tmp_path / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    torch.save(net.state_dict(), kept / file)
    model = shisen.load("torchvision:squeezenet1_1", device="cpu")
    torch.testing.assert_close(model.network.net.classifier[1].weight, net.classifier[1].weight, check_device=False)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("torchvision:resnet5", "resnet50"),
        ("timm:vit_smal_patch16_224", "vit_small_patch16_224"),
        ("hf:vitt", "vit"),
        ("torchvision:resnet18@IMAGENET1K_V3", "IMAGENET1K_V1"),
        ("torchvison:resnet18", "torchvision"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownName, match=near):
        shisen.load(name)


def test_a_bare_kind_needs_weights_or_random() -> None:
    with pytest.raises(ModelError, match="hf:vit@random"):
        shisen.load("hf:vit")


def test_the_hubs_are_searched() -> None:
    names = [row[0] for row in listing("vit_small_patch16")]
    assert "timm:vit_small_patch16_224" in names
    assert all("vit_small_patch16" in name for name in names)
    assert "torchvision:vgg16" in [row[0] for row in listing("torchvision:vgg16")]
    assert len(names) == len(set(names))


def test_own_code_with_weights_labels_and_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_nets.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
        "nn.Linear(4, 2))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("own_nets", None)
    import own_nets
    from safetensors.torch import save_file

    torch.manual_seed(3)
    net = own_nets.build()
    save_file(net.state_dict(), tmp_path / "best.safetensors")
    model = shisen.load(
        "own_nets:build", weights=tmp_path / "best.safetensors", labels="cat,dog", device="cpu",
        preprocess=shisen.Preprocess(16),
    )  # fmt: skip
    x = np.random.default_rng(0).random((1, 16, 16, 3), dtype=np.float32)
    with torch.no_grad():
        want = net(torch.tensor(x).permute(0, 3, 1, 2))
    torch.testing.assert_close(model.activations(x), want)
    assert list(model.labels) == ["cat", "dog"]

    torch.save(net, tmp_path / "whole.pt")
    with pytest.raises(ModelError, match="trust"):
        shisen.load("own_nets:build", weights=tmp_path / "whole.pt")
    trusted = shisen.load("own_nets:build", weights=tmp_path / "whole.pt", trust=True, device="cpu")
    torch.testing.assert_close(trusted.network.net[0].weight, net[0].weight)
    with pytest.raises(ModelError, match="imported"):
        shisen.load("own_nets:bild")


def test_a_network_pickled_whole_is_read_on_trust_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    whole, weights = tmp_path / "whole.pt", tmp_path / "weights.pt"
    torch.save(net, whole)
    torch.save(net.state_dict(), weights)
    with pytest.raises(ModelError, match=r"without executing code.*--trust"):
        shisen.load(whole)
    x = np.random.default_rng(0).random((1, 16, 16, 3), dtype=np.float32)
    with torch.no_grad():
        want = net(torch.tensor(x).permute(0, 3, 1, 2))
    model = shisen.load(whole, trust=True, labels="a,b,c,d", device="cpu")
    torch.testing.assert_close(model.activations(x), want)
    assert list(model.labels) == ["a", "b", "c", "d"]
    with pytest.raises(ModelError, match=r"weights alone.*package\.module:build --weights weights\.pt"):
        shisen.load(weights, trust=True)

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    torch.save(Evil(), whole)
    with pytest.raises(ModelError, match="trust"):
        shisen.load(whole)
    assert not (tmp_path / "touched").exists()
