"""Long work in a thread of its own: how far it is, and a way to stop it."""

from __future__ import annotations

import atexit
import queue
import shutil
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from .._core.progress import Progress
from ..errors import InputError

EVERY = 0.2
"""Seconds between two times that progress is shown to a visitor."""


class Canceled(Exception):  # not a ShisenError: nothing on the way may take it for a failure of its own
    """Raised inside of work that a person has canceled."""


@dataclass(frozen=True)
class Update:
    """How far work is."""

    done: int
    total: int
    words: str


class Jobs:
    """At most one piece of long work a visitor."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        atexit.register(self.close)

    def __len__(self) -> int:
        return len(self._stops)

    def run(self, who: str, work: Callable[[Progress], Any], busy: str = "") -> Iterator[Update | tuple[Any]]:
        """Yield how far the work is, at last a tuple with its result; nothing more if it was canceled.

        Args:
            who: the visitor.
            work: called with a function to report steps to, which raises `Canceled` once it is canceled.
            busy: the message if the visitor's last work still runs; empty to cancel that one instead.

        Raises:
            InputError: if the visitor's last work still runs.
        """
        stop = threading.Event()
        with self._lock:
            if who in self._stops:
                if busy:
                    raise InputError(busy)
                self._stops[who].set()
            self._stops[who] = stop
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()

        last: tuple[Update | None, float] = (None, -EVERY)

        def step(done: int, total: int, words: str) -> None:
            nonlocal last
            if stop.is_set():
                raise Canceled
            progress, now = Update(done, total, words), monotonic()
            if progress != last[0] and now - last[1] >= EVERY:  # a quick network takes hundreds of steps a second
                last = (progress, now)
                events.put(progress)

        def whole() -> None:
            try:
                events.put((work(step),))
            except BaseException as problem:  # handed over to the visitor's own thread
                events.put(problem)
            finally:
                with self._lock:
                    if self._stops.get(who) is stop:
                        del self._stops[who]

        thread = threading.Thread(target=whole, daemon=True, name="shisen-job")
        self._threads.add(thread)
        thread.start()
        try:
            while True:
                item = events.get()
                if isinstance(item, Canceled):
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

    def close(self, patience: float = 10.0) -> None:
        """Have all work stop at its next step, and wait for it: a process must not end while a network runs."""
        with self._lock:
            for stop in self._stops.values():
                stop.set()
        for thread in list(self._threads):
            thread.join(patience)


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

    def folder(self, key: str = "") -> Path:
        """Return a new folder of its own; for a key the same as before, as long as it is kept."""
        made = self.root / (sha256(key.encode()).hexdigest() if key else uuid4().hex)
        made.mkdir(parents=True, exist_ok=bool(key))
        with self._lock:
            if made in self._made:
                self._made.remove(made)
            self._made.append(made)
            old = [self._made.popleft() for _ in range(len(self._made) - self._keep)]
        for folder in old:
            shutil.rmtree(folder, ignore_errors=True)
        return made
