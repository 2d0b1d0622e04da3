"""Many metrics ask, one network answers: questions of all maps and images travel together, in full batches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .sample import Ask, Explain, Outcome, Steps

Scorer = Callable[[Any], Any]
"""From images `(k, h, w, c)` to logits `(k, classes)`."""

Explainer = Callable[[Hashable, float, Sequence[Hashable], Any], Any]
"""From a map's kind, a fraction of randomized layers, the images' names and images to raw maps `(k, ...)`."""

ALIVE = 512


@dataclass(eq=False)
class Task:
    """A metric at work on one map.

    Attributes:
        ident: given back with the outcome.
        image: name of the image, for questions shared by all its maps.
        setting: what made the map; explanations of one setting are made together.
        steps: the metric's generator.
    """

    ident: Hashable
    image: Hashable
    setting: Hashable
    steps: Steps


@dataclass(eq=False)
class _Question:
    request: Any
    first: Task
    key: Hashable | None
    waiting: list[Task] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)
    asked: int = 0

    @property
    def rows(self) -> int:
        return len(self.request.images)

    def name(self, row: int) -> Hashable | None:
        """Return what a single image is called among those of all images, or None."""
        return (self.first.image, self.request.rows[row]) if self.request.rows else None


class Schedule:
    """Drives tasks; see `run`.

    Args:
        scores: the network's answers.
        explain: further explanations.
        chunk: rows of one batch.
    """

    def __init__(self, scores: Scorer, explain: Explainer, batch_size: int) -> None:
        self._scores = scores
        self._explain = explain
        self._chunk = max(1, batch_size)
        self._asks: list[_Question] = []
        self._explains: dict[Hashable, list[_Question]] = {}
        self._memory: dict[Hashable, Any] = {}
        self._answers: dict[Hashable, Any] = {}
        self._open: dict[Hashable, _Question] = {}
        self._alive = 0
        self._finished: list[tuple[Hashable, Outcome]] = []

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Hashable, Outcome]]:
        """Yield `(ident, outcome)` as tasks finish; few tasks are alive at a time, so memory stays bounded."""
        source = iter(tasks)
        more = True
        while True:
            while more and self._rows() < self._chunk and self._alive < ALIVE:
                task = next(source, None)
                if task is None:
                    more = False
                else:
                    self._alive += 1
                    self._advance(task, None)
            yield from self._done()
            if self._asks:
                self._ask()
            elif self._explains:
                self._make_maps(max(self._explains, key=lambda k: len(self._explains[k])))
            elif not more:
                return
            yield from self._done()

    def _done(self) -> Iterator[tuple[Hashable, Outcome]]:
        finished, self._finished = self._finished, []
        yield from finished

    def _rows(self) -> int:
        return sum(q.rows - q.asked for q in self._asks)

    def _advance(self, task: Task, reply: Any) -> None:
        """Send a reply to a task and note its next question, or its outcome."""
        while True:
            try:
                request = task.steps.send(reply)
            except StopIteration as end:
                self._finished.append((task.ident, end.value))
                self._alive -= 1
                return
            key = self._key(task, request)
            if key in self._memory:
                reply = self._memory[key]
                continue
            if key in self._open:
                self._open[key].waiting.append(task)
                return
            question = _Question(request, task, key, [task])
            if key is not None:
                self._open[key] = question
            if isinstance(request, Ask):
                self._asks.append(question)
            else:
                self._explains.setdefault((task.setting, request.randomized), []).append(question)
            return

    @staticmethod
    def _key(task: Task, request: Any) -> Hashable | None:
        if not request.key:
            return None
        own = task.image if isinstance(request, Ask) and request.shared else (task.image, task.setting)
        return type(request).__name__, own, request.key

    def _answered(self, question: _Question, reply: Any) -> None:
        if question.key is not None:
            self._memory[question.key] = reply
            del self._open[question.key]
        for task in question.waiting:
            self._advance(task, reply)

    def _ask(self) -> None:
        """Fill one batch with questions, oldest first, and hand out the answers; equal images travel once."""
        shape = self._asks[0].request.images.shape[1:]
        images: list[Any] = []
        names: dict[Hashable, int] = {}
        taken: list[tuple[_Question, list[Any]]] = []
        for question in self._asks:
            if question.request.images.shape[1:] != shape:
                continue
            places: list[Any] = []
            for row in range(question.asked, question.rows):
                name = question.name(row)
                if name in self._answers:
                    places.append(self._answers[name])
                    continue
                if name not in names and len(images) == self._chunk:
                    break
                place = names.get(name) if name is not None else None
                if place is None:
                    place = len(images)
                    images.append(question.request.images[row])
                    if name is not None:
                        names[name] = place
                places.append(place)
            taken.append((question, places))
            if len(images) == self._chunk:
                break
        logits = np.asarray(self._scores(np.stack(images))) if images else np.zeros((0, 0))
        for question, places in taken:
            question.parts += [logits[p] if isinstance(p, int) else p for p in places]
            question.asked += len(places)
        self._answers.update({name: logits[place] for name, place in names.items()})
        self._asks = [q for q in self._asks if q.asked < q.rows]
        for question, _ in taken:
            if question.asked == question.rows:
                self._answered(question, np.stack(question.parts))

    def _make_maps(self, kind: Hashable) -> None:
        """Explain the images of one setting's questions together."""
        questions = self._explains.pop(kind)
        shape = questions[0].request.images.shape[1:]
        now: list[_Question] = []
        rows = 0
        for question in questions:
            fits = question.request.images.shape[1:] == shape and (not now or rows + question.rows <= self._chunk)
            if fits:
                now.append(question)
                rows += question.rows
        later = [q for q in questions if q not in now]
        if later:
            self._explains[kind] = later
        names = [q.first.image for q in now for _ in range(q.rows)]
        request: Explain = now[0].request
        maps = self._explain(
            now[0].first.setting, request.randomized, names, np.concatenate([q.request.images for q in now])
        )
        row = 0
        for question in now:
            self._answered(question, np.asarray(maps[row : row + question.rows]))
            row += question.rows
