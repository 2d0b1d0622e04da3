"""Do the next pieces of work in threads while the present one is being used; order is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetched(function: Callable[[T], R], items: Iterable[T], *, workers: int = 2, depth: int = 64) -> Iterator[R]:
    """Yield `function(item)` in the order of `items`, at most `depth` results ahead of the consumer.

    Args:
        function: what to do with an item; it should return, not raise, what went wrong.
        items: may be endless.
        workers: number of threads.
        depth: bound on finished results that wait, and so on memory.
    """
    source = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque(pool.submit(function, item) for item in islice(source, depth))
        try:
            while waiting:
                result = waiting.popleft().result()
                for item in islice(source, 1):
                    waiting.append(pool.submit(function, item))
                yield result
        finally:
            for future in waiting:
                future.cancel()
