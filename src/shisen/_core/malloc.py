"""Memory in a program of our own: what is kept between two batches, and no search for garbage during imports."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRIM, MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
LARGE = 2**30


def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks of up to a gigabyte; return whether it will.

    By default it hands every large block back to the system at once, and a network requests hundreds of them in each
    forward: on CPU the fresh pages cost a quarter of the time of a batch of 8, and more than half of one of 32. What is
    kept is about what was in use at once. For a process of our own, such as a command: a library does not
    decide this for the program that it is part of. Does nothing but on Linux with the GNU C library.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(set_option(MMAP, LARGE)) and bool(set_option(TRIM, 2 * LARGE - 1))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Search for no garbage meanwhile, and count what is there afterwards as long-lived.

    Importing a framework makes some 400,000 objects that stay. Python searches them for cycles again and again while
    they are made, which takes a tenth of the time of the import. For a process of our own, see `keep_freed_memory`.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # into the oldest generation, not into the youngest, which is searched next
            gc.enable()
