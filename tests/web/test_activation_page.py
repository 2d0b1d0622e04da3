"""Every channel of more than a hundred layers in one page: its size, and that a browser shows it from top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import shisen

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SEEN = """() => [...document.querySelectorAll('img')].filter((i) => {
  const box = i.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight;
})"""


def test_all_layers_of_a_real_network_open_in_a_browser(browser: Any, tmp_path: Path) -> None:
    photo = pytest.importorskip("skimage.data").chelsea()
    found = shisen.activations(shisen.load("efficientnet_lite0", device="cpu"), photo, "*")
    page = found.html(tmp_path / "all.html")
    assert len(found.layers) > 100
    assert page.stat().st_size < 30_000_000
    window = browser.new_page(viewport={"width": 1280, "height": 900})
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url[:40]))
    try:
        window.goto(page.as_uri())
        assert window.locator("img").count() >= len(found.layers)
        for place in (0, 0.5, 1):
            window.evaluate("share => scrollTo(0, share * document.body.scrollHeight)", place)
            window.wait_for_function(
                f"() => {{ const seen = ({SEEN})(); return seen.length && seen.every((i) => i.naturalWidth) }}"
            )
            window.screenshot(path=str(tmp_path / f"{place}.png"))
        assert all(url.startswith(("file:", "data:")) for url in asked)
    finally:
        window.close()
