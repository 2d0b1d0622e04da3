"""Half precision: nearly the same answers, nothing changed, float32 where small differences count."""

from __future__ import annotations

import copy
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

import shisen
from shisen.adapters.torch import adapter as adapter
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.torch.precision import half_of
from shisen.adapters.wrappers import Batched
from shisen.attribution.downstream import is_affine
from shisen.errors import ModelError, ShisenWarning
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

SEED = ClassObjective("class 1", ((1.0, (1,)),))


class Seen(torch.nn.Module):
    """Notes in what its input comes."""

    def __init__(self) -> None:
        super().__init__()
        self.types: list[torch.dtype] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.types.append(x.dtype)
        return x


def net(branch: bool = False) -> torch.nn.Module:
    torch.manual_seed(0)
    made = torch.nn.Sequential(
        OrderedDict(
            first=torch.nn.Conv2d(3, 8, 3, padding=1),
            norm=torch.nn.BatchNorm2d(8),
            act=torch.nn.ReLU(),
            early=Seen(),
            second=Branches() if branch else torch.nn.Conv2d(8, 8, 3),
            last=torch.nn.ReLU(),
            pool=torch.nn.AdaptiveAvgPool2d(1),
            flat=torch.nn.Flatten(),
            late=Seen(),
            top=torch.nn.Linear(8, 4),
        )
    )
    return made.eval()


class Branches(torch.nn.Module):
    """Two ways from one value: a point on the first leaves the second as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = torch.nn.Conv2d(8, 8, 3), torch.nn.Conv2d(8, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.one(x) + self.two(x)


def images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(3).random((n, 12, 10, 3), dtype=np.float32)


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> tuple[TorchClassifier, TorchClassifier]:
    monkeypatch.setattr(adapter, "half_of", lambda device: ("bfloat16", ""))  # on machines without it, too
    plain = TorchClassifier(net(), size=(12, 10, 3))
    return plain, plain.fast()


def types(classifier: TorchClassifier) -> tuple[list[torch.dtype], list[torch.dtype]]:
    found = (list(classifier.module.early.types), list(classifier.module.late.types))
    classifier.module.early.types.clear()
    classifier.module.late.types.clear()
    return found


def test_answers_are_nearly_the_same_and_float32(both: tuple[TorchClassifier, TorchClassifier]) -> None:
    plain, fast = both
    assert (plain.precision, fast.precision) == ("float32", "bfloat16")
    a, b = plain.activations(images()), fast.activations(images())
    assert b.dtype == torch.float32
    assert 0 < float((a - b).abs().max()) < 0.02 * float(a.abs().max())


def test_a_forward_is_half_and_a_gradient_to_the_input_is_not(both: tuple[TorchClassifier, TorchClassifier]) -> None:
    plain, fast = both
    fast.layers  # noqa: B018 - traced once
    types(fast)
    fast.activations(images())
    assert types(fast) == ([torch.bfloat16], [torch.bfloat16])
    a, b = plain.gradients(images(), SEED), fast.gradients(images(), SEED)
    early, late = types(fast)
    assert {*early, *late} == {torch.float32}
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_behind_a_point_that_is_altered_it_is_float32(both: tuple[TorchClassifier, TorchClassifier]) -> None:
    plain, fast = both
    layer = fast.default_layer
    assert layer == "last"
    value, _ = fast.gradients(images(), SEED, wrt=layer)
    types(fast)
    _, gradient = fast.gradients(images(), SEED, wrt=layer)
    assert types(fast) == ([torch.bfloat16], [torch.float32])
    # behind the layer is a mean and a matrix: its gradient knows nothing of the rounding before
    assert torch.equal(gradient, plain.gradients(images(), SEED, wrt=layer)[1])
    found = fast.replaced(images(1), value, layer)
    assert torch.equal(found, plain.replaced(images(1), value, layer))
    assert is_affine(fast, images(), layer)


def test_paths_around_an_altered_point_are_met_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "half_of", lambda device: ("bfloat16", ""))
    plain = TorchClassifier(net(branch=True), size=(12, 10, 3))
    value = plain.activations(images(), "second.one")
    found = plain.fast().replaced(images(), 2 * value, "second.one")
    want = plain.replaced(images(), 2 * value, "second.one")
    assert float((found - want).abs().max()) < 0.02 * float(want.abs().max())


@pytest.mark.parametrize("method", ["grad_cam", "ablation_cam", "eigen_cam", "gradient"])
def test_maps_are_nearly_the_same(both: tuple[TorchClassifier, TorchClassifier], method: str) -> None:
    layer = "last" if METHODS[method].layered else None
    a, b = (to_numpy(METHODS[method](m, images(), SEED, layer=layer).values) for m in both)
    assert b.dtype == np.float32
    assert np.abs(a - b).max() <= 0.05 * np.abs(a).max()


def test_the_network_is_as_it_was(both: tuple[TorchClassifier, TorchClassifier]) -> None:
    _, fast = both
    before = copy.deepcopy(fast.net.state_dict())
    fast.activations(images(), ["last", "logits"])
    fast.gradients(images(), SEED, wrt="last")
    assert all(torch.equal(v, before[k]) and v.dtype == before[k].dtype for k, v in fast.net.state_dict().items())
    assert not torch.is_autocast_enabled("cpu")
    with pytest.raises(Exception, match="stop"):
        fast.gradients(images(), Stop(), wrt="last")
    assert not torch.is_autocast_enabled("cpu")


class Stop:
    name = "stop"

    def __call__(self, y: torch.Tensor) -> torch.Tensor:
        assert y.dtype == torch.float32
        raise ValueError("stop")


def test_processors_are_known_by_their_instructions(tmp_path: Path) -> None:
    cpu, flags = torch.device("cpu"), tmp_path / "cpuinfo"
    flags.write_text("flags : fpu avx512f avx512_bf16 avx512_vl\n")
    assert half_of(cpu, flags) == ("bfloat16", "")
    flags.write_text("Features : fp asimd bf16 i8mm\n")
    assert half_of(cpu, flags)[0] == "bfloat16"
    flags.write_text("flags : fpu avx512f avx2\n")
    half, why = half_of(cpu, flags)
    assert not half
    assert "instructions" in why
    assert not half_of(torch.device("meta"), flags)[0]


def test_no_half_precision_is_said_and_float32_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "half_of", lambda device: ("", "this processor would be slower"))
    plain = TorchClassifier(net(), size=(12, 10, 3))
    with pytest.raises(ModelError, match="slower"):
        plain.fast()
    model = shisen.wrap(net())
    with pytest.warns(ShisenWarning, match="slower"):
        assert model.fast().precision == "float32"

    class Other(TorchClassifier):
        framework = "onnx"
        fast = None  # type: ignore[assignment]

    with pytest.warns(ShisenWarning, match="PyTorch"):
        assert Batched(Other(net()), 2).fast().precision == "float32"


def test_results_say_in_what_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "half_of", lambda device: ("bfloat16", ""))
    model = shisen.wrap(net())
    quick = model.fast()
    assert quick.name == model.name
    assert quick.batch_size == model.batch_size
    assert quick.batched(2).precision == "bfloat16"
    assert model.precision == "float32"
    found = shisen.explain(quick, images()[0], target=1, layer="last")
    assert found.manifest()["model"]["precision"] == "bfloat16"
    assert shisen.explain(model, images()[0], target=1, layer="last").manifest()["model"]["precision"] == "float32"
