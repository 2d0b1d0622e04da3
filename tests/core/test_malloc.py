from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from shisen._core.malloc import collector_paused

PROGRAM = """
import resource, sys
import numpy as np
from shisen._core.malloc import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
np.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library's allocator")
def test_kept_memory_is_not_asked_for_again() -> None:
    faults = {}
    for how in ("kept", "given back"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    # 20 arrays of 128 MiB; a fault brings in a page, of 2 MiB at most
    assert faults["given back"] > 20 * 32
    assert faults["kept"] < faults["given back"] / 10


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from shisen._core.malloc import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False


def test_the_collector_rests_and_goes_on_with_new_objects_only() -> None:
    gc.collect()
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():  # a command within a command
            made = [[i] for i in range(5000)]
        assert not gc.isenabled()
    assert gc.isenabled()
    assert len(made) == 5000
    assert gc.get_count()[0] < 5000  # they count as old
    assert gc.get_freeze_count() == 0


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with pytest.raises(ValueError, match="stop"), collector_paused():
            raise ValueError("stop")
        assert not gc.isenabled()
    finally:
        gc.enable()
