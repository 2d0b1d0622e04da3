"""Batches the requests of many metrics, maps and images, so that the network runs in full batches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .requests import MapRequest, Outcome, Requests, ScoreRequest

Scorer = Callable[[Any], Any]
"""From images `(k, h, w, c)` to logits `(k, classes)`."""

Explainer = Callable[[Hashable, float, Sequence[Hashable], Any], Any]
"""From a map's kind, a fraction of randomized layers, the images' names and images to raw maps `(k, ...)`."""

ALIVE = 512  # tasks that run at a time


@dataclass(eq=False)
class Task:
    """A metric at work on one map.

    Attributes:
        ident: given back with the outcome.
        image: name of the image, for requests shared by all its maps.
        setting: what made the map; maps of one setting are made together.
        steps: the metric's generator.
    """

    ident: Hashable
    image: Hashable
    setting: Hashable
    steps: Requests


@dataclass(eq=False)
class _Pending:
    request: Any
    first: Task
    key: Hashable | None
    waiting: list[Task] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)
    done: int = 0

    @property
    def rows(self) -> int:
        return len(self.request.images)

    def name(self, row: int) -> Hashable | None:
        """Return the name of a single image among those of all images, or None."""
        return (self.first.image, self.request.rows[row]) if self.request.rows else None


class RequestBatcher:
    """Runs tasks and batches their requests; see `run`.

    Args:
        scores: the network.
        explain: makes further maps.
        batch_size: rows of one batch.
    """

    def __init__(self, scores: Scorer, explain: Explainer, batch_size: int) -> None:
        self._scores = scores
        self._explain = explain
        self._batch_size = max(1, batch_size)
        self._score_requests: list[_Pending] = []
        self._map_requests: dict[Hashable, list[_Pending]] = {}
        self._memory: dict[Hashable, Any] = {}
        self._known_logits: dict[Hashable, Any] = {}
        self._open: dict[Hashable, _Pending] = {}
        self._alive = 0
        self._finished: list[tuple[Hashable, Outcome]] = []

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Hashable, Outcome]]:
        """Yield `(ident, outcome)` as tasks finish; few tasks run at a time, so memory stays bounded."""
        source = iter(tasks)
        more = True
        while True:
            while more and self._rows() < self._batch_size and self._alive < ALIVE:
                task = next(source, None)
                if task is None:
                    more = False
                else:
                    self._alive += 1
                    self._advance(task, None)
            yield from self._done()
            if self._score_requests:
                self._run_scores()
            elif self._map_requests:
                self._make_maps(max(self._map_requests, key=lambda k: len(self._map_requests[k])))
            elif not more:
                return
            yield from self._done()

    def _done(self) -> Iterator[tuple[Hashable, Outcome]]:
        finished, self._finished = self._finished, []
        yield from finished

    def _rows(self) -> int:
        return sum(q.rows - q.done for q in self._score_requests)

    def _advance(self, task: Task, reply: Any) -> None:
        """Send a reply to a task and record its next request, or its outcome."""
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
            pending = _Pending(request, task, key, [task])
            if key is not None:
                self._open[key] = pending
            if isinstance(request, ScoreRequest):
                self._score_requests.append(pending)
            else:
                self._map_requests.setdefault((task.setting, request.randomized), []).append(pending)
            return

    @staticmethod
    def _key(task: Task, request: Any) -> Hashable | None:
        if not request.key:
            return None
        own = task.image if isinstance(request, ScoreRequest) and request.shared else (task.image, task.setting)
        return type(request).__name__, own, request.key

    def _resolve(self, pending: _Pending, reply: Any) -> None:
        if pending.key is not None:
            self._memory[pending.key] = reply
            del self._open[pending.key]
        for task in pending.waiting:
            self._advance(task, reply)

    def _run_scores(self) -> None:
        """Fill one batch with requests, oldest first, and distribute the logits; equal images are run once."""
        shape = self._score_requests[0].request.images.shape[1:]
        images: list[Any] = []
        names: dict[Hashable, int] = {}
        taken: list[tuple[_Pending, list[Any]]] = []
        for pending in self._score_requests:
            if pending.request.images.shape[1:] != shape:
                continue
            sources: list[Any] = []
            for row in range(pending.done, pending.rows):
                name = pending.name(row)
                if name in self._known_logits:
                    sources.append(self._known_logits[name])
                    continue
                if name not in names and len(images) == self._batch_size:
                    break
                position = names.get(name) if name is not None else None
                if position is None:
                    position = len(images)
                    images.append(pending.request.images[row])
                    if name is not None:
                        names[name] = position
                sources.append(position)
            taken.append((pending, sources))
            if len(images) == self._batch_size:
                break
        logits = np.asarray(self._scores(np.stack(images))) if images else np.zeros((0, 0))
        for pending, sources in taken:
            pending.parts += [logits[p] if isinstance(p, int) else p for p in sources]
            pending.done += len(sources)
        self._known_logits.update({name: logits[position] for name, position in names.items()})
        self._score_requests = [q for q in self._score_requests if q.done < q.rows]
        for pending, _ in taken:
            if pending.done == pending.rows:
                self._resolve(pending, np.stack(pending.parts))

    def _make_maps(self, kind: Hashable) -> None:
        """MapRequest the images of one setting's pendings together."""
        pendings = self._map_requests.pop(kind)
        shape = pendings[0].request.images.shape[1:]
        now: list[_Pending] = []
        rows = 0
        for pending in pendings:
            fits = pending.request.images.shape[1:] == shape and (not now or rows + pending.rows <= self._batch_size)
            if fits:
                now.append(pending)
                rows += pending.rows
        later = [q for q in pendings if q not in now]
        if later:
            self._map_requests[kind] = later
        names = [q.first.image for q in now for _ in range(q.rows)]
        request: MapRequest = now[0].request
        maps = self._explain(
            now[0].first.setting, request.randomized, names, np.concatenate([q.request.images for q in now])
        )
        row = 0
        for pending in now:
            self._resolve(pending, np.asarray(maps[row : row + pending.rows]))
            row += pending.rows
