"""Errors that a visitor of the page can meet, in the visitor's language."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import shisen
from shisen import registry
from shisen._core.i18n import translator
from shisen.errors import (
    ImageError,
    InputError,
    MissingDependency,
    ModelError,
    ShisenError,
    UnknownName,
    require,
)
from shisen.models.labels import Labels
from shisen.web.errors import in_words
from shisen.web.image_store import open_upload

PHOTO = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)


def tiny_model() -> shisen.Model:
    """A network without ReLU and attention, with two convolutions and a hidden layer downstream of them."""
    layers = [nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Conv2d(4, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(576, 3)]
    return shisen.wrap(nn.Sequential(*layers).eval(), preprocess=shisen.Preprocess(size=16), labels=["a", "b", "c"])


def test_an_error_that_is_not_in_the_catalog_keeps_the_librarys_own_words() -> None:
    for kind in (ShisenError, InputError, ImageError, UnknownName, ModelError, MissingDependency):
        problem = kind("Something of which no catalog knows.")
        words = in_words(problem, "ja")
        assert words.endswith("(Something of which no catalog knows.)") or "Something of which" in words
        assert not words.isascii()
        assert in_words(problem, "en") == "Something of which no catalog knows."


def refusals(tmp_path: Path) -> dict[str, Callable[[], Any]]:
    """What a visitor can do wrong, by a word for it."""
    files = {"empty.png": b"", "text.png": b"hello", "page.png": b"<html>", "cut.png": b"\x89PNG\r\n\x1a\n" + bytes(40)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "weights.pt").write_bytes(b"no weights")
    labels = Labels(("cat", "dog", "dog"))
    net = tiny_model()
    return {
        **{name: partial(open_upload, tmp_path / name, name) for name in files},
        "gone": partial(open_upload, tmp_path / "gone.png", "gone.png"),
        "class": partial(labels.find, "cta"),
        "twice": partial(labels.find, "dog"),
        "index": partial(labels.find, 7),
        "method": partial(registry.get, "grad_kam"),
        "option": partial(registry.get("smooth_grad").check, {"n_sample": 3}),
        "choice": partial(registry.get("smooth_grad").check, {"statistic": "meen"}),
        "no layer": partial(shisen.explain, net, PHOTO, method="gradient", layer="0"),
        "wrong layer": partial(shisen.explain, net, PHOTO, method="grad_cam", layer="convolution"),
        "attention": partial(shisen.explain, net, PHOTO, method="legrad"),
        "relu": partial(shisen.explain, net, PHOTO, method="guided_backprop"),
        "cam": partial(shisen.explain, net, PHOTO, method="cam", layer="0"),
        "language": partial(translator, "xx"),
        "weights": partial(shisen.load, "efficientnet_lite0", weights=tmp_path / "weights.pt"),
        "extra": partial(raised, require("jinja2", "audit", "Writing HTML")),
    }


def raised(problem: Exception) -> None:
    raise problem


def test_what_a_visitor_can_do_wrong_is_answered_in_japanese(tmp_path: Path) -> None:
    for word, do in refusals(tmp_path).items():
        with pytest.raises(ShisenError) as refused:
            do()
        english, japanese = (in_words(refused.value, lang) for lang in ("en", "ja"))
        assert english == str(refused.value), word
        assert translator("ja").covers(refused.value.message), f"{word}: {english}"
        assert "Received" not in japanese, japanese
        assert re.search("[ぁ-ん]", japanese), japanese
