"""What was made a moment ago stays at hand, within a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class LRUCache(Generic[T]):
    """The things used last, as many as fit into `budget` bytes; the newest always stays.

    Args:
        budget: bytes.
        cost: bytes that one thing takes.
    """

    def __init__(self, budget: int, cost: Callable[[T], int]) -> None:
        self._budget, self._cost = budget, cost
        self._things: OrderedDict[Hashable, T] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._things)

    @property
    def bytes(self) -> int:
        """Bytes that the things take together."""
        return self._bytes

    def get(self, key: Hashable) -> T | None:
        """Return the thing, which then counts as used last, or None."""
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
            return self._things.get(key)

    def put(self, key: Hashable, thing: T) -> None:
        """Keep a thing and let go of the ones not used for longest.

        Args:
            key: key of the entry.
            thing: the entry.
        """
        with self._lock:
            if key in self._things:
                self._bytes -= self._cost(self._things.pop(key))
            self._things[key] = thing
            self._bytes += self._cost(thing)
            while self._bytes > self._budget and len(self._things) > 1:
                self._bytes -= self._cost(self._things.popitem(last=False)[1])
