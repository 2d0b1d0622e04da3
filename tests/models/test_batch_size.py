"""The chunk that is measured: the fastest, kept for the next time, and never part of the result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import shisen
from shisen.models import batch_size
from shisen.models.batch_size import fastest, measured, tuned
from shisen.models.model import Model


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "shisen" / "batch_sizes.json"


def made(width: int = 4) -> Model:
    torch.manual_seed(0)
    body = [torch.nn.Conv2d(3, width, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    return shisen.wrap(torch.nn.Sequential(*body, torch.nn.Linear(width, 5)), preprocess=shisen.Preprocess(size=16))


def test_the_smallest_size_near_the_best_is_taken() -> None:
    assert fastest({1: 4.0, 2: 2.0, 4: 1.03, 8: 1.0, 16: 1.4}) == 4
    assert fastest({1: 1.0, 2: 1.2}) == 1
    assert fastest({1: 1.049, 2: 1.0}) == 1  # within a twentieth of the best
    assert fastest({1: 1.051, 2: 1.0}) == 2


def test_what_takes_longer_with_more_images_is_not_tried_further() -> None:
    ticks = iter(np.cumsum(np.arange(400.0) ** 3))
    found = measured(made(), now=lambda: float(next(ticks)))
    assert list(found) == [1]  # the clock says more than two seconds are gone
    assert all(seconds > 0 for seconds in measured(made()).values())


def test_it_is_measured_once_for_a_network_and_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(batch_size, "measured", lambda model: asked.append(model) or {1: 2.0, 16: 1.0})
    model = made()
    assert tuned(model).batch_size == 16
    assert tuned(made()).batch_size == 16
    assert len(asked) == 1
    assert list(json.loads(home.read_text()).values()) == [16]
    tuned(made(width=6))
    assert len(asked) == 2
    assert len(json.loads(home.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"a": "b"}', '{"a": -3}', "\x00"])
def test_a_broken_file_costs_a_measurement_only(home: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    home.parent.mkdir(parents=True)
    home.write_text(content)
    monkeypatch.setattr(batch_size, "measured", lambda model: {8: 1.0})
    assert tuned(made()).batch_size == 8
    assert 8 in json.loads(home.read_text()).values()


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(batch_size, "measured", lambda model: {8: 1.0})
    assert tuned(made()).batch_size == 8


def test_a_model_without_preprocessing_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "measured", lambda model: pytest.fail("measured"))
    model = shisen.wrap(made().network.net)
    assert tuned(model) is model


@pytest.mark.parametrize("method", ["rise", "occlusion", "smooth_grad", "score_cam"])
def test_results_do_not_depend_on_it(method: str) -> None:
    model = made()
    options = {"rise": {"n_samples": 24}, "smooth_grad": {"n_samples": 6}, "occlusion": {"window": 8, "stride": 4}}.get(
        method, {}
    )
    image = np.random.default_rng(0).random((16, 16, 3), dtype=np.float32)
    maps = [shisen.explain(model.batched(n), image, method, target=1, **options).values for n in (1, 3, 32)]
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], rtol=0, atol=1e-4 * np.abs(maps[0]).max())
