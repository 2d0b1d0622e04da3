"""Activations kept between runs: what was cut off in the middle does not count."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shisen.training.store import Store


def test_rows_come_back_and_a_broken_end_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "body.bin"
    store = Store(path, (2, 3))
    values = np.arange(24, dtype=np.float16).reshape(4, 2, 3)
    store.write(["a", "b"], values[:2])
    store.write(["c"], values[2:3])
    again = Store(path, (2, 3))
    assert "c" in again
    assert np.array_equal(again.take(["c", "a"]), values[[2, 0]])
    with path.open("ab") as rows:  # stopped between row and name
        rows.write(b"half a row")
    with again.index.open("a") as index:  # stopped within a name
        index.write("d")
    last = Store(path, (2, 3))
    assert "d" not in last
    last.write(["e"], values[3:])
    assert np.array_equal(Store(path, (2, 3)).take(["a", "b", "c", "e"]), values)
