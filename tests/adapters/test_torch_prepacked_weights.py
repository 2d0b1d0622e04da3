"""Weights kept in the processor's order change the time, never the answer; where torch cannot, nothing fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn.functional import conv2d

from shisen.adapters.torch.prepacked_weights import packed

needs_blocks = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")),
    reason="this torch keeps no weights in blocks",
)


def weight(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def pixels(*shape: int) -> torch.Tensor:
    made = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    return made.contiguous(memory_format=torch.channels_last)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A torch whose convolution on blocks fails; counts how often it was asked."""
    asked: list[Any] = []

    def fail(*args: Any) -> None:
        asked.append(args)
        raise RuntimeError("not on this processor")

    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", fail)
    return asked


@needs_blocks
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": 1, "stride": 2},
        {"padding": (2, 1), "stride": (1, 2), "dilation": (1, 2)},
        {"groups": 4},
        {"bias": torch.arange(8.0)},
    ],
)
def test_a_convolution_of_blocks_is_that_of_the_weight(options: dict[str, Any]) -> None:
    dense, x = weight(8, 8 // options.get("groups", 1), 3, 3), pixels(2, 8, 9, 7)
    ours = packed(dense)
    for _ in range(2):  # the second time from the blocks of the first
        got, want = conv2d(x, ours, **options), conv2d(x, dense, **options)
        assert type(got) is torch.Tensor
        assert got.stride() == want.stride()
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    assert list(ours.blocks) == [torch.float32]


@needs_blocks
def test_blocks_made_for_one_size_of_batch_and_image_serve_every_other() -> None:
    dense = weight(16, 8, 3, 3)
    ours = packed(dense)
    for shape in ((1, 8, 9, 9), (5, 8, 9, 9), (2, 8, 40, 3)):
        torch.testing.assert_close(conv2d(pixels(*shape), ours), conv2d(pixels(*shape), dense), rtol=1e-5, atol=1e-5)


def test_what_passes_a_gradient_is_computed_from_the_weight_itself() -> None:
    dense, x = weight(8, 8, 3, 3), pixels(2, 8, 9, 7).requires_grad_()
    ours = packed(dense)
    (got,) = torch.autograd.grad(conv2d(x, ours).square().sum(), x)
    (want,) = torch.autograd.grad(conv2d(x, dense).square().sum(), x)
    torch.testing.assert_close(got, want)
    assert not ours.blocks


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name_is_left_to_torch(padding: str) -> None:
    dense, x = weight(8, 8, 3, 3), pixels(2, 8, 9, 7)
    torch.testing.assert_close(conv2d(x, packed(dense), padding=padding), conv2d(x, dense, padding=padding))


def test_one_image_without_an_axis_of_images_is_left_to_torch() -> None:
    dense, x = weight(8, 8, 3, 3), pixels(1, 8, 9, 7)[0]
    torch.testing.assert_close(conv2d(x, packed(dense)), conv2d(x, dense))


def test_maps_that_do_not_lie_channels_last_come_out_as_they_always_did() -> None:
    dense, x = weight(8, 8, 3, 3), pixels(2, 8, 9, 7).contiguous()
    got = conv2d(x, packed(dense))
    assert got.stride() == conv2d(x, dense).stride()
    assert torch.equal(got, conv2d(x, dense))


def test_half_precision_is_that_of_the_weight() -> None:
    dense, x = weight(8, 8, 3, 3), pixels(2, 8, 9, 7)
    ours = packed(dense)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        got, want = conv2d(x, ours, torch.ones(8)), conv2d(x, dense, torch.ones(8))
    assert got.dtype == want.dtype == torch.bfloat16
    torch.testing.assert_close(got, want, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(conv2d(x, ours), conv2d(x, dense), rtol=1e-5, atol=1e-5)  # and float32 as before


def test_numbers_of_another_type_are_refused_as_ever() -> None:
    with pytest.raises(RuntimeError):
        conv2d(pixels(1, 8, 5, 5).bfloat16(), packed(weight(8, 8, 3, 3)))


def test_all_else_sees_the_weight_itself() -> None:
    dense = weight(8, 4, 3, 3)
    ours = packed(dense)
    assert (ours.shape, ours.dtype, ours.device) == (dense.shape, dense.dtype, dense.device)
    assert torch.equal(ours + 1, dense + 1)
    assert type(torch.cat([ours, ours])) is torch.Tensor


def test_where_the_function_fails_it_is_tried_once(broken: list[Any]) -> None:
    dense, x = weight(8, 8, 3, 3), pixels(2, 8, 9, 7)
    ours = packed(dense)
    for _ in range(3):
        assert torch.equal(conv2d(x, ours), conv2d(x, dense))
    assert len(broken) <= 1


def test_without_onednn_the_weight_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    dense = weight(8, 8, 3, 3)
    assert packed(dense) is dense
