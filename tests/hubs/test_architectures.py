"""Many architectures of torchvision, timm and transformers, random weights: a sensible default layer, finite maps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")

from shisen.adapters.torch.adapter import TorchClassifier  # noqa: E402
from shisen.registry import get  # noqa: E402
from shisen.targets import ClassObjective  # noqa: E402

pytestmark = pytest.mark.slow

METHODS = ("gradient", "input_x_gradient", "grad_cam", "hires_cam", "layer_cam", "eigen_cam")
SIGNED = ("grad_cam", "hires_cam", "layer_cam")  # these keep only the positive part, so the negative class helps


def tv(name: str, **options: Any) -> Callable[[], Any]:
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return lambda: torchvision.models.get_model(name, weights=None, **extra, **options)


def tm(name: str, **options: Any) -> Callable[[], Any]:
    return lambda: timm.create_model(name, **options)


def hf(kind: str, **options: Any) -> Callable[[], Any]:
    def build() -> Any:
        config = transformers.AutoConfig.for_model(kind, num_labels=10, **options)
        if kind == "deit":
            config.architectures = ["DeiTForImageClassification"]
        return transformers.AutoModelForImageClassification.from_config(config)

    return build


TINY = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
# name: how it is built, height and width, the map that its default layer must have, None for whatever is found
NETS: dict[str, tuple[Callable[[], Any], tuple[int, int], tuple[int, int] | None]] = {
    "tv alexnet": (tv("alexnet"), (96, 128), None),
    "tv vgg11": (tv("vgg11"), (64, 96), (4, 6)),
    "tv vgg16_bn": (tv("vgg16_bn"), (64, 96), (4, 6)),
    "tv resnet18": (tv("resnet18"), (64, 96), (2, 3)),
    "tv resnext50": (tv("resnext50_32x4d"), (64, 96), (2, 3)),
    "tv wide_resnet50_2": (tv("wide_resnet50_2"), (64, 96), (2, 3)),
    "tv densenet121": (tv("densenet121"), (64, 96), (2, 3)),
    "tv googlenet": (tv("googlenet"), (64, 96), (2, 3)),
    "tv inception_v3": (tv("inception_v3"), (96, 128), None),
    "tv squeezenet1_1": (tv("squeezenet1_1"), (64, 96), None),
    "tv mobilenet_v2": (tv("mobilenet_v2"), (64, 96), (2, 3)),
    "tv mobilenet_v3_small": (tv("mobilenet_v3_small"), (64, 96), (2, 3)),
    "tv mnasnet0_5": (tv("mnasnet0_5"), (64, 96), (2, 3)),
    "tv shufflenet_v2_x0_5": (tv("shufflenet_v2_x0_5"), (64, 96), (2, 3)),
    "tv efficientnet_b0": (tv("efficientnet_b0"), (64, 96), (2, 3)),
    "tv efficientnet_v2_s": (tv("efficientnet_v2_s"), (64, 96), (2, 3)),
    "tv regnet_y_400mf": (tv("regnet_y_400mf"), (64, 96), (2, 3)),
    "tv convnext_tiny": (tv("convnext_tiny"), (64, 96), (2, 3)),
    "tv vit_b_32": (tv("vit_b_32", image_size=96), (96, 96), (3, 3)),
    "tv swin_t": (tv("swin_t"), (128, 192), (4, 6)),
    "tv swin_v2_t": (tv("swin_v2_t"), (128, 192), (4, 6)),
    "tv maxvit_t": (tv("maxvit_t", input_size=(224, 224)), (224, 224), (7, 7)),
    "timm resnet10t": (tm("resnet10t"), (64, 96), (2, 3)),
    "timm resnetv2_50": (tm("resnetv2_50"), (64, 96), (2, 3)),
    "timm seresnet18": (tm("legacy_seresnet18"), (64, 96), (2, 3)),
    "timm ecaresnet26t": (tm("ecaresnet26t"), (64, 96), (2, 3)),
    "timm efficientnet_lite0": (tm("efficientnet_lite0"), (64, 96), (2, 3)),
    "timm tf_efficientnetv2_b0": (tm("tf_efficientnetv2_b0"), (64, 96), (2, 3)),
    "timm mobilenetv4": (tm("mobilenetv4_conv_small"), (64, 96), None),
    "timm ghostnet": (tm("ghostnet_050"), (64, 96), (2, 3)),
    "timm regnetx_002": (tm("regnetx_002"), (64, 96), (2, 3)),
    "timm nfnet_l0": (tm("nfnet_l0"), (64, 96), (2, 3)),
    "timm convnext_atto": (tm("convnext_atto"), (64, 96), (2, 3)),
    "timm convnextv2_atto": (tm("convnextv2_atto"), (64, 96), (2, 3)),
    "timm convmixer": (tm("convmixer_768_32"), (56, 84), (8, 12)),
    "timm mixer_s32": (tm("mixer_s32_224"), (224, 224), (7, 7)),
    "timm vit_tiny": (tm("vit_tiny_patch16_224", img_size=(64, 96)), (64, 96), (4, 6)),
    "timm vit_tiny mean pool": (tm("vit_tiny_patch16_224", img_size=(64, 96), global_pool="avg"), (64, 96), (4, 6)),
    "timm vit_small_dinov2_reg4": (
        tm("vit_small_patch14_reg4_dinov2", img_size=(56, 84), num_classes=10),
        (56, 84),
        (4, 6),
    ),
    "timm deit_tiny_distilled": (tm("deit_tiny_distilled_patch16_224", img_size=(64, 96)), (64, 96), (4, 6)),
    "timm vit_siglip attention pool": (
        tm("vit_base_patch32_siglip_256", img_size=96, num_classes=10),
        (96, 96),
        (3, 3),
    ),
    "timm swin_tiny": (tm("swin_tiny_patch4_window7_224", img_size=(128, 192), window_size=4), (128, 192), (4, 6)),
    "timm swinv2_tiny": (tm("swinv2_tiny_window8_256", img_size=(128, 128), window_size=4), (128, 128), (4, 4)),
    "timm maxvit_pico": (tm("maxvit_rmlp_pico_rw_256", img_size=128), (128, 128), (4, 4)),
    "timm coatnet_pico": (tm("coatnet_pico_rw_224", img_size=(64, 96)), (64, 96), (2, 3)),
    "timm poolformer_s12": (tm("poolformer_s12"), (64, 96), (2, 3)),
    "timm pvt_v2_b0": (tm("pvt_v2_b0"), (64, 96), (2, 3)),
    "timm cait_xxs24": (tm("cait_xxs24_224", img_size=(64, 96)), (64, 96), (4, 6)),
    "timm mobilevit_xxs": (tm("mobilevit_xxs"), (64, 96), (2, 3)),
    "hf vit": (hf("vit", image_size=(64, 96), **TINY), (64, 96), (4, 6)),
    "hf deit": (hf("deit", image_size=64, **TINY), (64, 64), (4, 4)),
    "hf dinov2": (
        hf("dinov2", image_size=56, mlp_ratio=2, **{k: v for k, v in TINY.items() if k[0] != "i"}),
        (56, 84),
        (4, 6),
    ),
    "hf swin": (
        hf("swin", image_size=64, depths=[1, 1], num_heads=[2, 4], embed_dim=24, window_size=4),
        (64, 96),
        (8, 12),
    ),
    "hf resnet": (hf("resnet", depths=[1, 1, 1, 1]), (64, 96), (2, 3)),
    "hf convnext": (hf("convnext", depths=[1, 1, 1, 1]), (64, 96), (2, 3)),
}


def random_head(net: Any) -> Any:
    """Return the network in evaluation mode, with weights where an untrained one has zeros."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.dim() > 1 and not parameter.any():
                parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
            elif "gamma" in name or "layer_scale" in name or "lambda" in name:
                parameter.fill_(0.5)  # 1e-5 at the start of training
    return net.eval()


@pytest.mark.parametrize("name", NETS)
def test_default_layer_and_maps(name: str) -> None:
    build, (height, width), grid = NETS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = random_head(build())
    model = TorchClassifier(net, size=(height, width, 3))
    default = next(layer for layer in model.layers if layer.default)
    assert default.spatial, default
    assert default.reason
    if grid is not None:
        assert default.shape[:2] == grid, default
    images = np.random.default_rng(0).random((2, height, width, 3), dtype=np.float32)
    objective = ClassObjective("class", ((1.0, (0,)),))
    opposite = ClassObjective("class", ((-1.0, (0,)),))
    for method in METHODS:
        try:
            spec = get(method)
        except KeyError:
            continue  # registered elsewhere
        values = [
            spec(model, images, s).values.numpy() for s in ((objective, opposite) if method in SIGNED else (objective,))
        ]
        assert all(np.isfinite(v).all() for v in values), method
        assert values[0].shape[0] == 2
        empty = [row for row in range(2) if not any(v[row].any() for v in values)]
        if empty and method == "layer_cam":
            # where activations are negative at every positive gradient, there is no positive part to show
            for s in (objective, opposite):
                a, g = (v.numpy()[empty] for v in model.gradients(images, s, wrt=default.path))
                assert (np.maximum(g, 0) * a).sum(-1).max() <= 0, "layer_cam hides positive evidence"
            continue
        assert not empty, f"{method} is zero everywhere"
