"""Finding images in files, folders and patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from shisen.models.sources import find_images


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "sub/c.webp", "sub/.git/d.png", "x[1].jpg", "scan.dat"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def names(found: list[str], album: Path) -> list[str]:
    return [str(Path(f).relative_to(album)) for f in found]


def test_folders_are_searched_through_in_order(album: Path) -> None:
    assert names(find_images(album), album) == ["a.PNG", "b.jpg", "x[1].jpg", "sub/c.webp"]


def test_order_is_kept_and_duplicates_go(album: Path) -> None:
    given = [album / "b.jpg", album, str(album / "sub" / ".." / "b.jpg"), album / "notes.txt"]
    expected = ["b.jpg", "a.PNG", "x[1].jpg", "sub/c.webp", "notes.txt"]
    assert names(find_images(given), album) == expected


def test_patterns(album: Path) -> None:
    assert names(find_images(f"{album}/*.jpg"), album) == ["b.jpg", "x[1].jpg"]
    assert names(find_images(f"{album}/*"), album) == ["a.PNG", "b.jpg", "sub/c.webp", "x[1].jpg"]
    assert names(find_images(f"{album}/**/*.webp"), album) == ["sub/c.webp"]
    assert names(find_images(f"{album}/*.dat"), album) == ["scan.dat"]


def test_a_file_whose_name_looks_like_a_pattern(album: Path) -> None:
    assert names(find_images(album / "x[1].jpg"), album) == ["x[1].jpg"]


def test_what_yields_nothing_stays_to_be_complained_about(album: Path) -> None:
    (album / "empty").mkdir()
    given = [str(album / "none.jpg"), f"{album}/*.gif", str(album / "empty"), "https://example.org/a.jpg", "a\0b"]
    assert find_images(given) == given


def test_a_folder_linked_into_itself_ends(album: Path) -> None:
    (album / "sub" / "loop").symlink_to(album, target_is_directory=True)
    assert names(find_images(album), album) == ["a.PNG", "b.jpg", "x[1].jpg", "sub/c.webp"]
