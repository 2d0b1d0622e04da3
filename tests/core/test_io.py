"""Files are there whole or not at all, whoever writes them."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import re
from pathlib import Path

import pytest

from shisen._core.io import write_file

SIZE = 200_000


def _write_often(path: Path, letter: str, times: int, names: Path) -> None:
    seen = set()

    def content(waiting: Path) -> None:
        seen.add(waiting.name)
        waiting.write_text(letter * SIZE)

    for i in range(times):
        write_file(path, content if i % 2 else letter * SIZE)
    write_file(names, json.dumps(sorted(seen)))


def test_bytes_text_and_functions(tmp_path: Path) -> None:
    assert write_file(tmp_path / "new" / "a.bin", b"\x00\xff").read_bytes() == b"\x00\xff"
    assert write_file(str(tmp_path / "b.txt"), "視線\n").read_text(encoding="utf-8") == "視線\n"
    given: list[Path] = []

    def content(path: Path) -> None:
        given.append(path)
        path.write_bytes(b"made")

    assert write_file(tmp_path / "c.keras", content).read_bytes() == b"made"
    assert given[0].suffix == ".keras"
    assert given[0].name.startswith(".")  # no listing of images or parts takes it for one
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.txt", "c.keras", "new"]


def test_two_processes_that_write_one_file_never_meet(tmp_path: Path) -> None:
    path, context = tmp_path / "one.json", multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_write_often, args=(path, letter, 40, tmp_path / f"names-{letter}")) for letter in "ab"
    ]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        if path.is_file():
            found = path.read_text()
            assert len(found) == SIZE
            assert found in ("a" * SIZE, "b" * SIZE)
    assert [worker.exitcode for worker in workers] == [0, 0]
    first, second = (set(json.loads((tmp_path / f"names-{letter}").read_text())) for letter in "ab")
    assert len(first) == len(second) == 20
    assert not first & second
    assert sorted(p.name for p in tmp_path.iterdir()) == ["names-a", "names-b", "one.json"]


def test_the_waiting_file_s_name_tells_host_process_and_try_apart(tmp_path: Path) -> None:
    names: list[str] = []
    for _ in range(2):
        write_file(tmp_path / "a.txt", lambda path: names.append(path.name) or path.write_text("x"))
    host = re.sub(r"\W", "", platform.node())[:20]
    for name in names:
        assert name.startswith(f".a.{host}-{os.getpid()}-")
    assert names[0] != names[1]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.txt", "old")

    def broken(waiting: Path) -> None:
        waiting.write_text("ha")
        raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        write_file(path, broken)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_name_as_long_as_a_file_system_takes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 240 + ".json")
    assert write_file(path, "1").read_text() == "1"
