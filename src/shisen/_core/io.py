"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import platform
import re
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def _host() -> str:
    return re.sub(r"\W", "", platform.node())[:20]


def write_file(path: str | os.PathLike[str], content: bytes | str | Callable[[Path], object]) -> Path:
    """Write a file whole or not at all; a reader never finds half of it, and keeps what it has open.

    The content goes to a file of another name in the same folder, which is then renamed. The name holds host, process
    and a random number, so that any number of writers of one file, also on several hosts, never meet: the last one to
    finish wins. Nothing is synchronized to disk (fsync): a process that ends loses nothing, a machine that stops may
    lose the last seconds.

    Args:
        path: the file; missing folders are made.
        content: bytes, text (UTF-8), or a function that writes the file it is given, whose name has the same suffix.

    Returns:
        the path.

    Raises:
        OSError: where the folder cannot be written to; an older file stays as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    unique = f".{target.stem[:60]}.{_host()}-{os.getpid()}-{secrets.token_hex(6)}.part"
    waiting = target.with_name(unique + target.suffix if callable(content) else unique)
    try:
        if callable(content):
            content(waiting)
        else:
            with open(waiting, "xb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
        os.replace(waiting, target)
    finally:
        waiting.unlink(missing_ok=True)
    return target
