"""Parts of a table: in order by their number, and never without one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shisen.auditing.parts import Rows
from shisen.errors import InputError


def table(folder: Path, parts: list[int]) -> Rows:
    rows = Rows(folder, 2)
    for part in parts:
        rows.write(part, {"row": [2 * part, 2 * part + 1]})
    return rows


def test_parts_are_numbered_with_nine_digits_and_read_by_number(tmp_path: Path) -> None:
    rows = table(tmp_path, [1, 2, 0])
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"part-00000000{i}.parquet" for i in range(3)]
    assert rows.read(["row"])["row"] == [0, 1, 2, 3, 4, 5]
    assert rows.read(["row"], [5, 2])["row"] == [2, 5]
    assert rows.path(1_000_000).name > rows.path(999_999).name


def test_a_missing_part_is_named_and_shifts_no_other(tmp_path: Path) -> None:
    rows = table(tmp_path, [0, 1, 3])
    for only in (None, [6]):
        with pytest.raises(InputError, match=r"part-000000002\.parquet"):
            rows.read(["row"], only)
    rows.write(2, {"row": [4, 5]})
    assert rows.read(["row"], [6])["row"] == [6]


def test_what_another_writer_has_not_finished_is_no_part(tmp_path: Path) -> None:
    rows = table(tmp_path, [0])
    (tmp_path / ".part-000000001.host-1-ab.part.parquet").write_bytes(b"half")
    assert rows.read(["row"])["row"] == [0, 1]
    assert not rows.has(1)
