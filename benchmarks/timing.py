"""Times of several things, taken in turns, so that a busy machine slows all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter, process_time

Times = dict[str, list[tuple[float, float]]]


def in_turns(
    things: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    before: str | None = None,
    warm: bool = True,
    cpu: Callable[[], float] = process_time,
) -> Times:
    """Run every thing once a round and return (wall seconds, processor seconds) of each, after one round unmeasured.

    Args:
        things: what to time, by name.
        rounds: how often.
        before: one of the things, run unmeasured before each, so that none pays for what its forerunner left in
            the caches.
        cpu: the clock of processor time, by default that of this process.
        warm: whether there is a round unmeasured; there need be none where everything has run before.
    """
    times: Times = {name: [] for name in things}
    for turn in range(0 if warm else 1, rounds + 1):
        for name, thing in things.items():
            if before:
                things[before]()
            wall, processor = perf_counter(), cpu()
            thing()
            if turn:
                times[name].append((perf_counter() - wall, cpu() - processor))
    return times


def ratio(times: Times, name: str, base: str, clock: int = 0) -> float:
    """Return the median over the rounds of a thing's time by that of another in the same round.

    Args:
        times: from `in_turns`.
        name, base: the two things.
        clock: 0 for wall time, 1 for processor time, which other programs disturb less.
    """
    return median(a[clock] / b[clock] for a, b in zip(times[name], times[base], strict=True))


def table(times: Times, base: str, units: float = 1.0) -> list[tuple[str, float, float, float]]:
    """Return (name, wall ratio, processor ratio, median milliseconds) of everything but the base."""
    return [
        (
            name,
            ratio(times, name, base) * units,
            ratio(times, name, base, 1) * units,
            median(t[0] for t in times[name]) * 1e3,
        )
        for name in times
    ]
