"""Everything that takes long reports in the same way, up to the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nets
import shisen
from shisen._core.i18n import Message
from shisen.cli.progress import Bar
from shisen.inspect.examples import crops
from shisen.inspect.feature_visualization import filters


def model() -> Any:
    return shisen.wrap(nets.Toy().eval(), preprocess=shisen.Preprocess(size=16))


def photos() -> list[Any]:
    return [(255 * x).astype("uint8") for x in nets.images(3, 16, 16)]


WORK: dict[str, Callable[[Any], Any]] = {
    "compare": lambda step: shisen.compare(model(), photos()[0], ["gradient", "grad_cam", "rise"], progress=step),
    "filters": lambda step: filters(model(), "conv2", [0, 1], size=16, n_steps=4, progress=step),
    "examples": lambda step: crops(model(), "conv2", [0], photos(), progress=step),
    "evaluate": lambda step: shisen.evaluate(model(), photos(), ["grad_cam"], ["sparseness"], progress=step),
}


@pytest.mark.parametrize("name", WORK)
def test_reports_rise_to_the_total_and_say_what_is_done(name: str) -> None:
    reports: list[tuple[int, int, str]] = []
    WORK[name](lambda done, total, words: reports.append((done, total, words)))
    done = [r[0] for r in reports]
    assert done == sorted(done)
    assert done[0] >= 1
    assert all(isinstance(words, str) and words for _, _, words in reports)
    assert reports[-1][0] == reports[-1][1] == {"compare": 3, "filters": 4, "examples": 3, "evaluate": 3}[name]


@pytest.mark.parametrize("name", WORK)
def test_what_a_report_raises_stops_the_work(name: str) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int, words: str) -> None:
        raise Stop

    with pytest.raises(Stop):
        WORK[name](stop)


def test_words_that_change_keep_their_line_on_the_terminal(tmp_path: Path) -> None:
    with Bar() as bar:
        for done in range(3):
            bar(done, 3, Message("Trying {name}", name=done))
        bar(1, 0, "Writing")
        assert [(t.description, t.completed, t.total) for t in bar.bar.tasks] == [
            ("Trying 2", 2, 3),
            ("Writing", 1, None),
        ]
