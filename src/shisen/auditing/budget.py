"""Time that an audit may take: an estimate, what is tested first, and what was not reached."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .._core.i18n import N_, Message
from .._core.progress import Progress
from ..errors import InputError, explain_error
from .artefacts.base import Candidate

SCANNING = N_("Estimate: about {minutes} min to look at {n} images; the search and the tests come after that.")
TESTING = N_("Estimate: {least} to {most} min for {candidates} candidates on up to {n} images each.")
ESTIMATES = (SCANNING, TESTING)
"""Templates of the messages that say how long an audit will take."""

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as 90s, 10m, 1h or 1h30m; a plain number is seconds.

    Raises:
        InputError: if it is none, or not above 0.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(min|[smh]?)", text.strip().lower())
    whole = "".join(re.split(r"\s+", text.strip().lower()))
    total = sum(float(number) * UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != whole or not total > 0:
        raise InputError(
            explain_error("A budget must be a duration above 0.", repr(text), "Give it as 90s, 10m or 1h.")
        )
    return total


@dataclass
class Budget:
    """A limit on the time that interventions may take, counted from the start of the audit.

    Attributes:
        seconds: the limit; None for none, and then no result depends on time.
        clock: returns seconds.
    """

    seconds: float | None = None
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            advice = "Give seconds, such as budget=600.0, or None for no limit."
            raise InputError(explain_error("A budget must be a number of seconds above 0.", self.seconds, advice))
        self.started = self.clock()

    @property
    def spent(self) -> bool:
        """Whether no time is left."""
        return self.seconds is not None and self.clock() - self.started >= self.seconds

    def ordered(self, proposals: Sequence[Candidate]) -> list[int]:
        """Return in which order candidates are tested: without a limit as they are, else the most promising first.

        One of each class in turn, in the order of how strongly it is associated with the class, so that no class is
        left out while another one is tested to the end.

        Args:
            proposals: the candidates.
        """
        if self.seconds is None:
            return list(range(len(proposals)))
        turn: dict[int, int] = {}
        keys = {}
        for i in sorted(range(len(proposals)), key=lambda i: (proposals[i].p, -proposals[i].inside, i)):
            label = proposals[i].label
            turn[label] = turn.get(label, 0) + 1
            keys[i] = (turn[label], proposals[i].p, i)
        return sorted(keys, key=lambda i: keys[i])


def estimate_scan(progress: Progress, seconds: float, n: int) -> None:
    """Report how long looking at all images will take, from the first ones.

    Args:
        progress: called as `progress(done, total, words)`.
        seconds: the estimate.
        n: images.
    """
    progress(0, n, Message(SCANNING, minutes=_minutes(seconds), n=n))


def estimate_tests(progress: Progress, seconds: float, candidates: int, n: int) -> None:
    """Report how long the tests will take: at least 64 images each, at most all with controls.

    Args:
        progress: called as `progress(done, total, words)`.
        seconds: of one image that is altered and goes through the network.
        candidates: how many are tested.
        n: images of other classes that each is put on, at most.
    """
    least, most = (_minutes(candidates * images * seconds) for images in (min(n, 64), 2 * n + 40))
    progress(0, candidates, Message(TESTING, least=least, most=most, candidates=candidates, n=n))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if seconds < 600 else f"{seconds / 60:.0f}"
