"""A page of its own for the tests, and a browser to look at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def served() -> Iterator[Any]:
    """The page over the embedded network and the sample photos."""
    pytest.importorskip("gradio")
    pytest.importorskip("torch")
    pytest.importorskip("skimage")
    import shisen

    page = shisen.serve(port=0, block=False)
    yield page
    page.close()


@pytest.fixture(scope="session")
def session(served: Any) -> Any:
    """What the page asks of the library."""
    return served.shisen_session


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page over a small network that cheats, a folder of its two classes, and an honest network to compare with."""
    pytest.importorskip("gradio")
    pytest.importorskip("torch")
    pytest.importorskip("pyarrow")
    pytest.importorskip("sklearn")
    import shisen
    from auditing import toy

    folder = toy.folder(tmp_path_factory.mktemp("toy") / "images", each=16)
    page = shisen.serve(toy.model(True), folder, versus=toy.model(False), port=0, block=False)
    yield page
    page.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium with an empty profile."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield started
        started.close()


def opened(browser: Any, address: str) -> Any:
    window = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    window.goto(address)
    window.wait_for_selector(".shisen-frame img", timeout=90_000)
    window.asked = asked
    return window


@pytest.fixture
def visit(browser: Any, served: Any) -> Iterator[Any]:
    """A new visitor's window; every address it asks for is noted in `visit.asked`."""
    window = opened(browser, served.local_url)
    yield window
    window.close()


@pytest.fixture
def look(browser: Any, served_folder: Any) -> Iterator[Any]:
    """A new visitor's window on the page with the folder."""
    window = opened(browser, served_folder.local_url)
    yield window
    window.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = pytest.importorskip("skimage.data")
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for name in ("cat", "coffee"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    return folder
