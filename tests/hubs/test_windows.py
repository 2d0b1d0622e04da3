"""Attention within windows: where each token lies, and what the methods make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
from torch.nn import functional  # noqa: E402

import shisen  # noqa: E402
from shisen.adapters.torch.adapter import TorchClassifier  # noqa: E402
from shisen.attribution.attention import on_grid  # noqa: E402
from shisen.errors import ModelError  # noqa: E402
from shisen.registry import get  # noqa: E402
from shisen.targets import ClassObjective  # noqa: E402
from shisen.types import Attention  # noqa: E402

SEED = ClassObjective("class", ((1.0, (3,)),))


def images(n: int = 2, h: int = 32, w: int = 64) -> np.ndarray:
    return np.random.default_rng(1).random((n, h, w, 3), dtype=np.float32)


def swin() -> Any:
    """Two stages of two blocks; the second of each is cut into shifted windows."""
    torch.manual_seed(0)
    return timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=(32, 64), window_size=4, always_partition=True, depths=(2, 2),
        num_heads=(2, 4), embed_dim=8, num_classes=7,
    ).eval()  # fmt: skip


def numbered(h: int, w: int) -> Any:
    return torch.arange(h * w).reshape(1, h, w, 1)


def test_timms_windows_lie_where_timm_cuts_them() -> None:
    from timm.models.swin_transformer import window_partition

    x = images()
    layers = TorchClassifier(swin(), size=(32, 64, 3)).attentions(x)
    assert [(a.grid, a.windows, a.values.shape) for a in layers] == [
        ((8, 16), 8, (2, 8 * 2, 16, 16)),
        ((8, 16), 8, (2, 8 * 2, 16, 16)),
        ((4, 8), 2, (2, 2 * 4, 16, 16)),
        ((4, 8), 2, (2, 2 * 4, 16, 16)),
    ]
    for i, a in enumerate(layers):
        torch.testing.assert_close(a.values.sum(-1), torch.ones(a.values.shape[:3]))
        tokens = numbered(*a.grid)
        if i % 2:
            shift = swin().layers[i // 2].blocks[1].shift_size
            tokens = torch.roll(tokens, (-shift[0], -shift[1]), (1, 2))
        np.testing.assert_array_equal(a.positions, window_partition(tokens, (4, 4)).reshape(a.windows, 16))


def test_torchvisions_padded_windows_are_found_too() -> None:
    vision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    net = vision.models.SwinTransformer([4, 4], 12, [2], [3], [4, 4], num_classes=5).eval()
    (first, second) = TorchClassifier(net, size=(40, 56, 3)).attentions(images(2, 40, 56))
    assert (first.grid, first.windows) == ((10, 14), 12)
    padded = functional.pad(numbered(10, 14) + 1, (0, 0, 0, 2, 0, 2))
    for layer, shift in ((first, 0), (second, 2)):
        moved = torch.roll(padded, (-shift, -shift), (1, 2)).reshape(3, 4, 4, 4).permute(0, 2, 1, 3)
        np.testing.assert_array_equal(layer.positions, moved.reshape(12, 16) - 1)


def test_maxvits_blocks_and_grids_are_found() -> None:
    from timm.models.maxxvit import grid_partition, window_partition

    torch.manual_seed(0)
    net = timm.create_model("maxvit_rmlp_pico_rw_256", img_size=128, num_classes=5).eval()
    layers = TorchClassifier(net, size=(128, 128, 3)).attentions(images(1, 128, 128))
    first, second = layers[:2]
    assert first.grid == second.grid == (32, 32)
    np.testing.assert_array_equal(first.positions, window_partition(numbered(32, 32), (4, 4)).reshape(64, 16))
    np.testing.assert_array_equal(second.positions, grid_partition(numbered(32, 32), (4, 4)).reshape(64, 16))
    assert (layers[-1].grid, layers[-1].windows) == ((4, 4), 1)


def test_values_go_where_their_keys_lie() -> None:
    places = np.array([[5, 0, -1], [1, 2, 3], [-1, 4, -1]])
    values = torch.arange(18.0).reshape(1, 6, 3)  # three windows of two heads
    layer = Attention("a", values, None, (2, 3), 0, 3, places)
    found = on_grid(values, layer)
    np.testing.assert_array_equal(found[0, 0], [[1, 6, 7], [8, 13, 0]])
    np.testing.assert_array_equal(found[0, 1], [[4, 9, 10], [11, 16, 3]])


def legrad_by_hand(net: Any, x: np.ndarray, k: int) -> np.ndarray:
    """The last stage block by block: attention kept, the head read behind each block, windows put back by timm."""
    from timm.models.swin_transformer import window_reverse

    maps = []
    for image in x:
        with torch.no_grad():
            t = net.layers[0](net.patch_embed(torch.tensor(image)[None].permute(0, 3, 1, 2)))
            t = net.layers[1].downsample(t)
        total = torch.zeros(4, 8)
        for block in net.layers[1].blocks:
            kept: list[Any] = []

            def keep(_: Any, __: Any, output: Any, kept: list[Any] = kept) -> Any:
                kept.append(output.detach().requires_grad_())
                return kept[0]

            handle = block.attn.softmax.register_forward_hook(keep)
            t = block(t)
            handle.remove()
            score = net.forward_head(net.norm(t))[0, k]
            (gradient,) = torch.autograd.grad(score, kept[0], retain_graph=True)
            windows = gradient.clamp(min=0).mean((1, 2)).reshape(-1, 4, 4, 1)
            back = window_reverse(windows, (4, 4), 4, 8)
            total = total + torch.roll(back, block.shift_size, (1, 2))[0, :, :, 0]
        maps.append((total / len(net.layers[1].blocks)).numpy())
    return np.stack(maps)


def test_legrad_reads_the_last_stage_through_its_windows() -> None:
    net, x = swin(), images()
    for block in net.layers[1].blocks:
        block.attn.fused_attn = False
    want = legrad_by_hand(net, x, 3)
    found = get("legrad")(TorchClassifier(net, size=(32, 64, 3)), x, SEED)
    assert want.max() > 0
    assert found.notes["layers"] == 2
    np.testing.assert_allclose(found.values.numpy(), want, atol=1e-6 * want.max(), rtol=1e-4)


def test_attention_times_gradient_of_the_last_stage() -> None:
    model, x = TorchClassifier(swin(), size=(32, 64, 3)), images()
    last = [a for a in model.attentions(x, SEED) if a.grid == (4, 8)]
    want = np.zeros((2, 32))
    for a in last:
        fractions = (a.values * a.gradients).sum(-2).reshape(2, 2, 4, 16).sum(2).numpy()  # image, window, key
        for window in range(2):
            want[:, a.positions[window]] += fractions[:, window] / len(last)
    found = get("attention_x_gradient")(model, x, SEED).values.numpy()
    np.testing.assert_allclose(found, want.reshape(2, 4, 8), atol=1e-6)
    assert (found < 0).any()


@pytest.mark.parametrize("method", ["attention_rollout", "chefer"])
def test_what_follows_attention_through_all_layers_is_refused_with_the_reason(method: str) -> None:
    with pytest.raises(ModelError, match=r"among all positions.*windows of 16 positions.*legrad"):
        get(method)(TorchClassifier(swin(), size=(32, 64, 3)), images(), SEED)


def test_the_sheet_shows_what_each_place_receives(tmp_path: Any) -> None:
    net = swin()
    model = shisen.wrap(net, preprocess=shisen.Preprocess((32, 64)), name="tiny swin")
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
    found = shisen.attention(model, image)
    assert [m.shape for m in found.maps] == [(2, 8, 16)] * 2 + [(4, 4, 8)] * 2
    assert all(m.sum() == pytest.approx(m.size, rel=1e-5) for m in found.maps)
    layer = model.attentions(model.prepare(model.read(image))[0][None])[1]
    window, key = map(int, np.argwhere(layer.positions == 5 * 16 + 7)[0])
    head = layer.values.reshape(8, 2, 16, 16)[window, 1]
    assert found.maps[1][1, 5, 7] == pytest.approx(float(head[:, key].sum()), rel=1e-5)
    sheet = np.asarray(found.sheet()).astype(int)
    assert (sheet[-30, 3 * 116 + 200 :] < 250).any()  # four heads in the last row …
    assert found.save(tmp_path / "heads.png").exists()
    assert (tmp_path / "heads.json").exists()


def test_the_page_asks_from_any_place_within_its_window(tmp_path: Any) -> None:
    pytest.importorskip("jinja2")
    model = shisen.wrap(swin(), preprocess=shisen.Preprocess((32, 64)), name="tiny swin")
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
    found = shisen.attention(model, image)
    sheets = found.slider_layers()
    assert [(s.grid, s.heads, s.first.shape, s.own.shape) for s in sheets[1:3]] == [
        ((8, 16), 2, (3, 128), (3, 128, 16)),
        ((4, 8), 4, (5, 32), (5, 32, 16)),
    ]
    layer = model.attentions(model.prepare(model.read(image))[0][None])[1]
    place = 5 * 16 + 7
    window, query = map(int, np.argwhere(layer.positions == place)[0])
    heads = layer.values.reshape(8, 2, 16, 16)[window]
    sheet = sheets[1]
    np.testing.assert_array_equal(sheet.members[sheet.window[place]], layer.positions[window])
    np.testing.assert_allclose(sheet.own[:2, place], heads[:, query], atol=1e-6)
    np.testing.assert_allclose(sheet.own[2, place], heads[:, query].mean(0), atol=1e-6)
    np.testing.assert_array_equal(sheet.first[:2].reshape(2, 8, 16), found.maps[1])
    assert "アテンションマップ</title>" in found.save(tmp_path / "heads.html", lang="ja").read_text(encoding="utf-8")
