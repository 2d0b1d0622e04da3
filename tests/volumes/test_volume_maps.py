"""Maps of signals, volumes and video: against plain reference code, one slice against an image, and known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import shisen  # noqa: E402
from nets_volumes import Bright, PerFrame, convolutional, flat  # noqa: E402
from shisen import registry  # noqa: E402
from shisen.adapters.torch.adapter import TorchClassifier  # noqa: E402
from shisen.adapters.wrappers import Batched  # noqa: E402
from shisen.errors import InputError  # noqa: E402
from shisen.targets import ClassObjective  # noqa: E402

OBJECTIVE = ClassObjective("class", ((1.0, (1,)),))
FEW: dict[str, dict[str, Any]] = {
    "smooth_grad": {"n_samples": 4}, "smooth_grad_cam_pp": {"n_samples": 4}, "integrated_gradients": {"n_steps": 8},
    "guided_ig": {"n_steps": 8}, "blur_ig": {"n_steps": 8}, "expected_gradients": {"n_samples": 4},
    "gradient_shap": {"n_samples": 4},
}  # fmt: skip
PLANAR = [name for name, m in registry.METHODS.items() if m.planar]
ANY_RANK = [n for n, m in registry.METHODS.items() if not m.planar and m.family in ("cam", "gradient") and n != "cam"]


def noise(*shape: int) -> Any:
    return np.random.default_rng(1).random(shape, dtype=np.float32)


@pytest.mark.parametrize("name", ANY_RANK)
def test_a_volume_of_one_slice_has_the_map_of_the_image(name: str) -> None:
    net = convolutional(2, 2, hidden=name != "shapley_cam")
    image, volume = noise(2, 9, 8, 2), TorchClassifier(flat(net))
    wanted = registry.get(name)(TorchClassifier(net), image, OBJECTIVE, **FEW.get(name, {})).values
    found = registry.get(name)(volume, image[:, None], OBJECTIVE, **FEW.get(name, {})).values[:, 0]
    scale = float(np.abs(np.asarray(wanted)).max())
    assert scale > 0
    np.testing.assert_allclose(found, wanted, atol=min(1e-6, 1e-3 * scale))


def reference(net: Any, x: Any, layer: Any, k: int) -> Any:
    """Grad-CAM of one volume or signal in plain torch: mean gradient over the positions, positive part of the sum."""
    kept: dict[str, Any] = {}
    handle = layer.register_forward_hook(lambda _, __, out: kept.update(a=out))
    score = net(torch.as_tensor(x).movedim(-1, 1))[0, k]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept["a"])
    weights = gradient.mean(tuple(range(2, gradient.dim())), keepdim=True)
    return (weights * kept["a"]).sum(1).relu()[0].detach().numpy()


@pytest.mark.parametrize(("rank", "shape"), [(1, (40, 2)), (2, (9, 8, 2)), (3, (6, 9, 8, 2))])
def test_grad_cam_is_that_of_plain_code(rank: int, shape: tuple[int, ...]) -> None:
    net, x = convolutional(rank, 2), noise(1, *shape)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = shisen.explain(shisen.wrap(net), x[0], "grad_cam", target=1, layer="4")
    np.testing.assert_allclose(found.values, reference(net, x, net[4], 1), atol=1e-6)
    assert found.attribution.rank == rank
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(m._forward_hooks for m in net.modules())


@pytest.mark.parametrize("rank", [1, 3])
def test_class_activation_maps_agree_where_the_head_is_linear(rank: int) -> None:
    model = TorchClassifier(convolutional(rank, hidden=False))
    x = noise(2, *(7, 6, 5)[:rank], 1)
    cam = registry.get("cam")(model, x, OBJECTIVE, layer="4").values.numpy()
    count = int(np.prod(cam.shape[1:]))
    recipro = registry.get("recipro_cam")(model, x, OBJECTIVE, layer="4").values.numpy()
    np.testing.assert_allclose(recipro * count, cam, atol=1e-5)
    for name in ("grad_cam", "hires_cam"):
        found = registry.get(name)(model, x, OBJECTIVE, layer="4").values.numpy()
        np.testing.assert_allclose(found * count, np.maximum(cam, 0), atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3])
def test_the_sums_of_complete_methods_hold(rank: int) -> None:
    model = TorchClassifier(convolutional(rank))
    x = noise(2, *(7, 6, 5)[:rank], 1)
    scores = [OBJECTIVE.value(model.activations(v)) for v in (x, np.zeros_like(x))]
    found = registry.get("integrated_gradients")(model, x, OBJECTIVE, n_steps=200).values
    np.testing.assert_allclose(found.sum(tuple(range(1, found.ndim))), scores[0] - scores[1], atol=2e-3)
    full = registry.get("full_grad")(model, x, OBJECTIVE)
    np.testing.assert_allclose(full.notes["gap"], 0, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3])
def test_occlusion_is_that_of_plain_code(rank: int) -> None:
    net, shape = convolutional(rank), (8, 6, 5)[:rank]
    x = noise(1, *shape, 1)
    found = registry.get("occlusion")(TorchClassifier(net), x, OBJECTIVE, window=3, stride=2).values[0]
    total, count = np.zeros(shape), np.zeros(shape)
    starts = [range(0, 2 * (-(-(n - 3) // 2)) + 1, 2) for n in shape]
    for corner in np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, rank):
        box = tuple(slice(c, c + 3) for c in corner)
        altered = x.copy()
        altered[(0, *box)] = 0.5
        with torch.no_grad():
            lost = (net(torch.as_tensor(x).movedim(-1, 1)) - net(torch.as_tensor(altered).movedim(-1, 1)))[0, 1]
        total[box] += float(lost)
        count[box] += 1
    np.testing.assert_allclose(found, total / count, atol=1e-5)


@pytest.mark.parametrize("masks", ["paper", "balanced"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_rise_finds_the_part_that_decides(rank: int, masks: str) -> None:
    shape = (24, 20, 16)[:rank]
    x = np.full((1, *shape, 1), 0.1, np.float32)
    box = tuple(slice(n // 2, n // 2 + 5) for n in shape)
    x[(0, *box)] = 1.0
    model = Batched(TorchClassifier(Bright(rank)), 32)
    objective = ClassObjective("class", ((1.0, (0,)),))
    found = np.asarray(registry.get("rise")(model, x, objective, n_samples=600, masks=masks).values[0])
    peak = np.unravel_index(int(found.argmax()), shape)
    assert all(n // 2 - 3 <= at < n // 2 + 8 for n, at in zip(shape, peak, strict=True))


@pytest.mark.parametrize("name", PLANAR)
def test_methods_for_images_only_say_so(name: str) -> None:
    model = shisen.wrap(convolutional(3))
    with pytest.raises(InputError, match=f"{name}' is for images of two dimensions.*3 axes"):
        shisen.explain(model, noise(5, 6, 7, 1), name, target=0)


@pytest.mark.parametrize("verb", ["evaluate", "compare", "activations"])
def test_verbs_for_images_only_say_so(verb: str) -> None:
    model, volume = shisen.wrap(convolutional(3)), noise(5, 6, 7, 1)
    with pytest.raises(InputError, match=rf"{verb}\(\) is for networks of images.*3 axes"):
        getattr(shisen, verb)(model, [volume] if verb == "evaluate" else volume)


@pytest.mark.parametrize("outer", [False, True])
def test_frames_in_the_batch_have_a_map_each(outer: bool) -> None:
    net = PerFrame(outer).eval()
    model, x = TorchClassifier(net), noise(2, 4, 9, 8, 3)
    model.expect(x.shape[1:])
    default = next(layer for layer in model.layers if layer.default)
    assert default.shape == (4, 9, 8, 6)
    found = registry.get("hires_cam")(model, x, OBJECTIVE).values
    images = TorchClassifier(net.images)
    for i in range(2):
        alone = registry.get("hires_cam")(images, x[i], OBJECTIVE, layer=default.path.removeprefix("images.")).values
        np.testing.assert_allclose(found[i], alone / 4, atol=1e-6)
    ablated = registry.get("ablation_cam")(model, x, OBJECTIVE).values
    assert ablated.shape == (2, 4, 9, 8)


def blob(rng: np.random.Generator, size: int = 24) -> tuple[Any, Any]:
    """Return a volume with one bright ball, and the voxels in it."""
    center, radius = rng.uniform(6, size - 6, 3), rng.uniform(3, 5)
    at = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), -1)
    inside = np.linalg.norm(at - center, axis=-1) <= radius
    volume = rng.uniform(0, 0.4, (size, size, size)).astype(np.float32)
    return np.where(inside, np.float32(1), volume)[..., None], inside


@pytest.mark.parametrize("method", ["grad_cam", "hires_cam", "layer_cam", "xgrad_cam", "occlusion"])
def test_the_ball_that_decides_is_found(method: str) -> None:
    model, rng = shisen.wrap(Bright(3)), np.random.default_rng(0)
    options = {"window": 3, "stride": 2, "baseline": 0.2} if method == "occlusion" else {}
    overlap, hits = [], []
    for _ in range(4 if method == "occlusion" else 25):
        volume, inside = blob(rng)
        heat = shisen.explain(model, volume, method, target=0, **options).heatmap
        warm = heat > (0.3 if method == "occlusion" else 0.15)
        overlap.append((warm & inside).sum() / (warm | inside).sum())
        peak = np.argwhere(heat == heat.max()).mean(axis=0).round().astype(int)
        hits.append(inside[tuple(peak)])
    assert np.mean(overlap) >= 0.6
    assert np.mean(hits) >= 0.95


def test_the_beat_that_differs_is_found_in_an_ecg() -> None:
    t = np.arange(1000) / 250.0
    beats = np.exp(-(((t % 0.8) - 0.4) ** 2) / 0.0008)
    signal = np.stack([beats, 0.5 * beats], axis=1).astype(np.float32)
    signal[600:650] += 1.2  # the only stretch above the threshold
    model = shisen.wrap(Bright(1, threshold=0.9, channels=2))
    for method, options in (("grad_cam", {}), ("occlusion", {"window": 25}), ("rise", {"n_samples": 800, "cells": 25})):
        heat = shisen.explain(model, signal, method, target=0, **options).heatmap
        assert heat.shape == (1000,)
        assert 590 <= int(heat.argmax()) < 660, method
        assert heat[590:660].sum() > 0.5 * heat.sum(), method


def test_the_tone_that_decides_is_found_in_a_spectrogram() -> None:
    t = np.arange(4096) / 4096
    sound = np.sin(2 * np.pi * 300 * t) * (t > 0.5)  # silence, then a tone at bin 300 / 4096 · 128 ≈ 9
    frames = np.lib.stride_tricks.sliding_window_view(sound, 128)[::64] * np.hanning(128)
    spectrogram = np.abs(np.fft.rfft(frames, axis=1)).T.astype(np.float32) / 32
    heat = shisen.explain(shisen.wrap(Bright(2, 0.3)), spectrogram, "grad_cam", target=0).heatmap
    rows, columns = np.nonzero(heat > 0.5)
    assert set(rows) <= {8, 9, 10, 11}
    assert columns.min() >= heat.shape[1] // 2 - 2


def test_a_recurrent_network_of_signals_takes_the_channels_last() -> None:
    class Reader(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rnn, self.head = torch.nn.LSTM(2, 4, batch_first=True), torch.nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0].mean(1))

    net, x = Reader().eval(), noise(1, 30, 2)
    leaf = torch.as_tensor(x).requires_grad_()
    net(leaf)[0, 1].backward()
    found = shisen.explain(shisen.wrap(net), x[0], "gradient", target=1)
    np.testing.assert_allclose(found.values, leaf.grad[0], atol=1e-7)
