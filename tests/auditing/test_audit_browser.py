"""The report in a real browser, opened from disk: both languages, wide and narrow, nothing asked of a network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import shisen

from . import toy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NAMES = """cold warm toy honest mistaken png JPEG Grad CAM LayerCAM Guided backprop Benjamini Hochberg
torch python shisen numpy scipy scikit learn pyarrow pillow cpu"""  # they stand in a Japanese report as they are


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("audit")
    images = toy.folder(home / "images", each=20)
    (images / "cold" / "mistaken.png").write_bytes((images / "warm" / "000.png").read_bytes())
    (images / "cold" / "broken.png").write_bytes(b"no image")
    honest = toy.model(False)
    honest.name = "honest"
    for lang in ("en", "ja"):
        shisen.audit(toy.model(True), images, home / lang, versus=honest, lang=lang)
    return {lang: home / lang / "index.html" for lang in ("en", "ja")}


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_report_opens_from_disk(browser: Any, reports: dict[str, Path], lang: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(reports[lang].as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [reports[lang].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")

    first = page.locator("section.verdict")  # the verdict and the first finding with images, without scrolling
    assert first.bounding_box()["y"] < 60
    assert "warm" in first.inner_text()
    before, after = (first.locator(f".pair >> nth=0 >> img >> nth={i}").bounding_box() for i in (0, 1))
    assert after["y"] + after["height"] <= 900
    assert abs(before["y"] - after["y"]) < 1
    assert abs(before["width"] - after["width"]) < 1

    number = page.locator('table a[href^="#pair-"]').first
    place = number.get_attribute("href")
    number.click()
    assert page.evaluate("location.hash") == place
    assert page.locator(f"{place} img").count() > 0
    first.locator('a[href^="#finding-"]').first.click()
    assert page.locator(".card:target").count() == 1
    assert said == []

    words = page.locator("main").inner_text()
    assert "honest" in words
    if lang == "ja":
        for code in page.locator("code, li").all_inner_texts():  # names of files, and what the library said of one
            words = words.replace(code, "")
        assert set(re.findall(r"[A-Za-z]{3,}", words)) <= set(NAMES.split())
        assert "近道" in first.inner_text()
    page.close()
