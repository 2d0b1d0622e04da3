"""Fine-tuning a small network: learns, repeats itself, continues after a stop, and can be loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import shisen
from shisen.errors import ModelError

torch = pytest.importorskip("torch")


def build() -> Any:
    """Return a backbone of a stem, four blocks and a classifier."""
    torch.manual_seed(1)

    def block(a: int, b: int, stride: int = 1) -> Any:
        return torch.nn.Sequential(torch.nn.Conv2d(a, b, 3, stride, 1), torch.nn.BatchNorm2d(b), torch.nn.ReLU())

    class Block(torch.nn.Module):  # a unit with children counts as a block
        def __init__(self, *shape: int) -> None:
            super().__init__()
            self.inner = block(*shape)

        def forward(self, x: Any) -> Any:
            return self.inner(x)

    body = torch.nn.Sequential(block(3, 8, 2), Block(8, 8), Block(8, 16, 2), Block(16, 16), Block(16, 16))

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = body
            self.classifier = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(16, 10))

        def forward(self, x: Any) -> Any:
            return self.classifier(self.features(x).mean((2, 3)))

    return shisen.wrap(Net().eval(), preprocess=shisen.Preprocess(24), labels=[str(i) for i in range(10)])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stripes")
    draw = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 20)):
        for label in ("across", "down"):
            (root / part / label).mkdir(parents=True)
            for i in range(count):
                wave = np.sin(np.arange(24) * 1.3 + draw.uniform(0, 6)) * 60 + 128
                grid = np.tile(wave, (24, 1)) if label == "down" else np.tile(wave[:, None], (1, 24))
                tint = np.array([12, 0, -12]) * (1 if label == "down" else -1)
                noisy = np.clip(grid[..., None] + tint + draw.normal(0, 30, (24, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(root / part / label / f"{i}.png")
    return root


@pytest.fixture(autouse=True)
def backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shisen.training.run_loading.load_backbone", lambda name, framework, device: build())
    monkeypatch.setattr("shisen.models.loading.load_built_in", lambda name, request: build())


def tune(images: Path, out: Path, **options: Any) -> Any:
    return shisen.finetune(
        images / "train",
        images / "test",
        "efficientnet_lite0",
        4,
        out=out,
        learning_rate=5e-3,
        batch_size=16,
        patience=9,
        **options,
    )


def test_it_learns_and_the_folder_can_be_loaded(images: Path, tmp_path: Path) -> None:
    run = tune(images, tmp_path / "run")
    assert run.labels == ("across", "down")
    assert run.accuracy >= 0.9
    assert run.history[0].epoch == 0
    assert sum(map(sum, run.confusion)) == 40
    model = shisen.load(str(tmp_path / "run"))
    right = 0
    for label in ("across", "down"):
        for file in sorted((images / "test" / label).iterdir()):
            right += model.predict(file, top=1)[0].label == label
    assert right / 40 == pytest.approx(run.accuracy)
    record = json.loads((tmp_path / "run" / "shisen.json").read_text("utf-8"))
    assert record["labels"] == ["across", "down"]
    assert record["data"]["counts"] == {"train": {"across": 40, "down": 40}, "val": {"across": 20, "down": 20}}
    for name in ("weights.safetensors", "confusion.json", "confusion.png", "history.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert not (tmp_path / "run" / "cache").exists()


def test_the_same_seed_gives_the_same_weights_also_after_a_stop(images: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop_after(done: int, total: int, words: str) -> None:
        if words == "Training" and done == 2:
            raise Stop

    tune(images, tmp_path / "whole")
    with pytest.raises(Stop):
        tune(images, tmp_path / "stopped", progress=stop_after)
    assert not (tmp_path / "stopped" / "shisen.json").exists()
    again: list[int] = []
    tune(images, tmp_path / "stopped", progress=lambda d, t, w: again.append(d) if w == "Training" else None)
    assert again == [3, 4]
    for name in ("weights.safetensors", "shisen.json", "confusion.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes()


def test_frozen_weights_stay_and_statistics_too(images: Path, tmp_path: Path) -> None:
    # without validation the last epoch is kept, whatever it is worth
    shisen.finetune(images / "train", None, "efficientnet_lite0", 2, out=tmp_path / "run", learning_rate=5e-3, blocks=1)
    before = build().network.net.state_dict()
    after = shisen.load(str(tmp_path / "run")).network.net.state_dict()
    changed = {k for k in before if k in after and before[k].shape == after[k].shape and not before[k].equal(after[k])}
    assert changed == {f"features.4.inner.{k}" for k in ("0.weight", "0.bias", "1.weight", "1.bias")}


def test_altered_weights_are_refused(images: Path, tmp_path: Path) -> None:
    tune(images, tmp_path / "run", blocks=0)
    file = tmp_path / "run" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="those the run wrote"):
        shisen.load(str(tmp_path / "run"))


def test_the_head_solves_its_own_problem() -> None:
    from shisen.training.split import split
    from shisen.training.torch import fit_head

    net = build().network.net
    parts = split(net, torch.zeros(2, 3, 24, 24) + torch.rand(2, 3, 24, 24), 3)
    assert parts.trained == 2
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(200, 16, generator=draw) * 3 + 1
    targets = torch.randint(0, 3, (200,), generator=draw)
    loss, _ = fit_head(parts, features, targets, penalty=1e-2)
    weight = parts.classifier.weight.detach().double().requires_grad_()
    bias = parts.classifier.bias.detach().double().requires_grad_()
    spread = features.std(0).clamp_min(1e-4).double()
    own = torch.nn.functional.cross_entropy(features.double() @ weight.T + bias, targets)
    (own + 1e-2 * (weight * spread).square().sum()).backward()
    assert float(own.detach()) == pytest.approx(loss, abs=1e-5)
    assert float(weight.grad.abs().max()) < 2e-3
    assert float(bias.grad.abs().max()) < 1e-3


def test_stopping_early_needs_patience() -> None:
    from shisen.training.settings import Epoch, stale

    history = [Epoch(e, 0.0, 0.0, loss, 0.0) for e, loss in enumerate([1.0, 0.5, 0.6, 0.7, 0.8])]
    assert stale(history, 3)
    assert not stale(history[:4], 3)
    assert not stale([*history[:4], Epoch(4, 0.0, 0.0, 0.4, 0.0)], 3)


@pytest.mark.slow
def test_scenes(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    run = shisen.finetune(shared / "scenes" / "train", shared / "scenes" / "test", out=tmp_path / "run")
    assert run.accuracy >= 0.9
    counts = np.asarray(run.confusion)
    mixed = counts + counts.T - 2 * np.diag(np.diag(counts))
    pair = {run.labels[i] for i in np.unravel_index(int(np.argmax(np.triu(mixed))), mixed.shape)}
    assert pair == {"glacier", "mountain"}


def test_training_leaves_the_arithmetic_of_small_numbers_as_it_was() -> None:
    torch = pytest.importorskip("torch")
    from shisen.training.torch import flush_denormals

    def flushed() -> bool:
        return float(torch.full((1,), 1e-40) * 0.5) == 0.0

    @flush_denormals()
    def stopped() -> None:
        raise KeyError(flushed())

    for flag in (False, True):
        torch.set_flush_denormal(flag)
        try:
            with pytest.raises(KeyError, match="True"):
                stopped()
            assert flushed() == flag
        finally:
            torch.set_flush_denormal(False)
