"""Long work in a thread of its own: how far it is, and a way to stop it."""

from __future__ import annotations

import queue
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import InputError

Step = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is going on."""


class Stopped(Exception):  # not a ShisenError: nothing on the way may take it for a failure of its own
    """Raised inside of work that a person has cancelled."""


@dataclass(frozen=True)
class Far:
    """How far work is."""

    done: int
    total: int
    words: str


class Jobs:
    """At most one piece of long work a visitor."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._stops)

    def run(self, who: str, work: Callable[[Step], Any], busy: str) -> Iterator[Far | tuple[Any]]:
        """Yield how far the work is, at last a tuple with its result; nothing more if it was cancelled.

        Args:
            who: the visitor.
            work: called with a function to report steps to, which raises `Stopped` once it is cancelled.
            busy: what to say if the visitor's last work still runs.
        """
        stop = threading.Event()
        with self._lock:
            if who in self._stops:
                raise InputError(busy)
            self._stops[who] = stop
        said: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def step(done: int, total: int, words: str) -> None:
            if stop.is_set():
                raise Stopped
            said.put(Far(done, total, words))

        def whole() -> None:
            try:
                said.put((work(step),))
            except BaseException as problem:  # handed over to the visitor's own thread
                said.put(problem)
            finally:
                with self._lock:
                    self._stops.pop(who, None)

        threading.Thread(target=whole, daemon=True, name="shisen-job").start()
        try:
            while True:
                item = said.get()
                if isinstance(item, Stopped):
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, tuple):
                    return
        finally:
            stop.set()  # a visitor who is gone needs no result

    def cancel(self, who: str) -> bool:
        """Have the visitor's work stop at its next step; return whether there was any."""
        with self._lock:
            stop = self._stops.get(who)
            if stop is not None:
                stop.set()
            return stop is not None


class Exports:
    """Folders for files that a visitor takes away; the oldest make room.

    Args:
        root: where they lie.
        keep: how many.
    """

    def __init__(self, root: Path, keep: int = 32) -> None:
        self.root, self._keep = root, keep
        self._made: deque[Path] = deque()
        self._lock = threading.Lock()

    def folder(self) -> Path:
        """Return a new folder of its own."""
        made = self.root / uuid4().hex
        made.mkdir(parents=True)
        with self._lock:
            self._made.append(made)
            old = [self._made.popleft() for _ in range(len(self._made) - self._keep)]
        for folder in old:
            shutil.rmtree(folder, ignore_errors=True)
        return made
