"""The page in a real browser: what a visitor clicks, what is drawn, and that nothing leaves the machine."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from shisen.cli import main

# the page's framework warns of its own parts
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

WAIT = 90_000
WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((e) => e.getBoundingClientRect().right > 391 && e.offsetParent)
  .map((e) => `${e.tagName}#${e.id}.${e.className} ${e.getBoundingClientRect().right}`).slice(0, 12)"""


def over(window: Any) -> str:
    return str(window.locator("#shisen-view .shisen-over").get_attribute("src"))


def changed(window: Any, old: str) -> None:
    window.wait_for_function(
        "old => { const i = document.querySelector('#shisen-view .shisen-over'); return i && i.src !== old }",
        arg=old,
        timeout=WAIT,
    )


def alt(window: Any, words: str) -> None:
    window.wait_for_selector(f'#shisen-view .shisen-over[alt*="{words}"]', timeout=WAIT)


def test_the_first_sample_is_explained_as_the_page_opens(visit: Any) -> None:
    alt(visit, "grad_cam map for tiger cat")
    assert "tiger cat" in visit.locator("#shisen-answer-0").inner_text()
    assert "head" in visit.locator("#shisen-why").inner_text()


def test_a_class_is_explained_when_its_button_is_clicked(visit: Any) -> None:
    visit.locator("#shisen-answer-1").click()
    alt(visit, "Egyptian cat")
    assert visit.locator("#shisen-class input").input_value() == "Egyptian cat"


def test_another_method_and_then_another_image(visit: Any) -> None:
    box = visit.locator("#shisen-method input")
    box.click()
    box.fill("layer_cam")
    box.press("Enter")
    alt(visit, "layer_cam map for tiger cat")
    visit.locator("#shisen-next").click()
    alt(visit, "layer_cam map for espresso")


def test_drawing_differently_asks_the_network_nothing(visit: Any, session: Any) -> None:
    alt(visit, "tiger cat")
    asked, old = session.computed, over(visit)
    for style in ("mask", "heatmap", "contour"):
        visit.locator("#shisen-style").get_by_text(style, exact=True).click()
        changed(visit, old)
        old = over(visit)
        visit.wait_for_function("() => document.querySelector('#shisen-view .shisen-over').naturalWidth > 0")
    visit.locator("#shisen-opacity input[type=range]").fill("0.8")
    visit.wait_for_function("() => document.querySelector('.shisen-over').src.includes('alpha=0.8')", timeout=WAIT)
    box = visit.locator("#shisen-colormap input")
    box.click()
    box.fill("coolwarm")
    box.press("Enter")
    visit.wait_for_function("() => document.querySelector('.shisen-over').src.includes('coolwarm')", timeout=WAIT)
    assert session.computed == asked
    visit.locator("#shisen-answer-1").click()  # and the next map is drawn in the same way
    alt(visit, "Egyptian cat")
    assert "style=contour&colormap=coolwarm&alpha=0.8" in over(visit)


def test_a_drawing_that_made_room_for_others_is_asked_for_anew(visit: Any, session: Any) -> None:
    from shisen._core.lru import LRUCache
    from shisen.web.session import BUDGET

    visit.locator("#shisen-answer-2").click()
    alt(visit, "tabby")
    session._seen = LRUCache(BUDGET, lambda s: s.bytes)  # all is forgotten
    session._by_token.clear()
    old = over(visit).split("?")[0]
    visit.locator("#shisen-style").get_by_text("heatmap", exact=True).click()
    visit.wait_for_function(
        """old => { const i = document.querySelector('#shisen-view .shisen-over');
        const src = i ? i.getAttribute('src') : '';
        return !src.startsWith(old) && src.includes('style=heatmap') && i.naturalWidth > 0 }""",
        arg=old,
        timeout=WAIT,
    )


def test_the_value_under_the_pointer_is_the_maps_own(visit: Any, session: Any) -> None:
    from shisen.web.request import ExplainRequest, ImageChoice

    alt(visit, "tiger cat")
    seen = session.explain(ImageChoice("cat.png"), ExplainRequest(layer="head")).whole
    left, top, right, bottom = seen.frame.box
    h, w = seen.image.size
    box = visit.locator(".shisen-frame").bounding_box()
    row, column = 3, 2
    x = (left + (right - left) * (column + 0.5) / seen.values.shape[1]) / w
    y = (top + (bottom - top) * (row + 0.5) / seen.values.shape[0]) / h
    visit.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    visit.wait_for_function("u => document.querySelector('.shisen-probe').textContent.endsWith(u)", arg=seen.unit)
    said = visit.locator(".shisen-probe").inner_text()
    number = float(said.split()[0])
    assert number == pytest.approx(float(seen.values[row, column]), rel=0.006)
    assert said.endswith(seen.unit)
    visit.mouse.move(box["x"] + 2, box["y"] + 2)
    visit.wait_for_selector('.shisen-probe:has-text("did not see")', timeout=WAIT)


def test_what_is_downloaded_equals_the_command_lines(
    visit: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.locator("#shisen-answer-1").click()
    alt(visit, "Egyptian cat")
    got: dict[str, bytes] = {}
    for kind in ("png", "json"):
        with visit.expect_download(timeout=WAIT) as waiting:
            visit.locator(f"#shisen-{kind}").click()
        got[kind] = Path(waiting.value.path()).read_bytes()
        assert waiting.value.suggested_filename == f"cat_grad_cam_Egyptian-cat.{kind}"
    monkeypatch.chdir(photos)
    with pytest.raises(SystemExit) as stop:
        main(["explain", "cat.png", "--target", "Egyptian cat", "--out", str(tmp_path / "cat_grad_cam.png")])
    assert not stop.value.code
    assert got["png"] == (tmp_path / "cat_grad_cam.png").read_bytes()
    ours, theirs = json.loads(got["json"]), json.loads((tmp_path / "cat_grad_cam.json").read_bytes())
    assert ours.pop("seconds") > 0
    assert theirs.pop("seconds") > 0
    assert ours == theirs


def test_methods_and_classes_side_by_side(visit: Any) -> None:
    alt(visit, "tiger cat")
    visit.get_by_role("tab", name="Compare").click()
    visit.locator("#shisen-go-compare").click()
    image = visit.wait_for_selector("#shisen-comparison-0 img", timeout=WAIT)
    visit.wait_for_function("i => i.naturalWidth > 600", arg=image, timeout=WAIT)


def test_the_page_speaks_japanese(visit: Any) -> None:
    alt(visit, "tiger cat")
    visit.get_by_text("日本語").click()
    visit.wait_for_selector('button[role=tab]:has-text("説明")', timeout=WAIT)
    visit.wait_for_selector('#shisen-summary:has-text("予測")', timeout=WAIT)
    assert "PNG を保存" in visit.locator("#shisen-png").inner_text()


def test_a_damaged_upload_is_refused_in_words_and_the_page_goes_on(visit: Any, tmp_path: Path) -> None:
    alt(visit, "tiger cat")
    broken = tmp_path / "broken.jpg"
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(buffer, "JPEG")
    broken.write_bytes(buffer.getvalue()[:200])
    visit.locator("#shisen-upload input[type=file]").set_input_files(str(broken))
    toast = visit.wait_for_selector(".toast-body", timeout=WAIT)
    assert "broken.jpg" in toast.inner_text()
    assert not re.search(r"Traceback|/tmp|\.py", toast.inner_text())
    visit.locator("#shisen-answer-1").click()
    alt(visit, "Egyptian cat")


def test_an_upload_is_explained(visit: Any, photos: Path) -> None:
    visit.locator("#shisen-upload input[type=file]").set_input_files(str(photos / "coffee.png"))
    alt(visit, "espresso")


def test_a_damaged_upload_is_refused_in_japanese_too(visit: Any, tmp_path: Path) -> None:
    alt(visit, "tiger cat")
    visit.get_by_text("日本語").click()
    visit.wait_for_selector('button[role=tab]:has-text("説明")', timeout=WAIT)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"hello")
    visit.locator("#shisen-upload input[type=file]").set_input_files(str(broken))
    toast = visit.wait_for_selector(".toast-body", timeout=WAIT)
    assert "画像を最後まで読み込めません" in toast.inner_text()
    assert "broken.png" in toast.inner_text()


PRESSED = """() => {
  const status = document.querySelector('#shisen-status');
  const stop = status.querySelector('progress') && status.querySelector('.shisen-press');
  if (stop) stop.click();
  return !!stop;
}"""


def test_a_slow_method_says_how_far_it_is_and_can_be_canceled(visit: Any, session: Any) -> None:
    alt(visit, "tiger cat")
    asked, old = session.computed, over(visit)
    box = visit.locator("#shisen-method input")
    box.click()
    box.fill("rise")
    box.press("Enter")
    visit.wait_for_function(PRESSED, timeout=WAIT)  # in one go: the button is drawn anew five times a second
    visit.wait_for_selector('#shisen-status:has-text("Canceled")', timeout=WAIT)
    assert session.computed == asked
    assert over(visit) == old


def test_a_method_that_hardly_depends_on_the_weights_is_offered_with_a_caution(visit: Any) -> None:
    alt(visit, "tiger cat")
    visit.locator("#shisen-method input").click()
    visit.get_by_role("option", name="guided_backprop ⚠ caution").click()
    visit.wait_for_selector('#shisen-about:has-text("hardly changes when the weights are shuffled")', timeout=WAIT)
    visit.get_by_role("tab", name="Compare").click()
    visit.locator("#shisen-methods input").click()
    visit.get_by_role("option", name="deconvnet ⚠ caution").click()
    visit.wait_for_selector('#shisen-compare-caution:has-text("deconvnet")', timeout=WAIT)


def test_long_work_can_be_canceled(visit: Any, session: Any) -> None:
    alt(visit, "tiger cat")
    visit.get_by_role("tab", name="Trust").click()
    box = visit.locator("#shisen-trust-methods input")
    box.click()
    visit.get_by_role("option", name="rise", exact=True).click()  # minutes, so that there is something to stop
    box.press("Tab")
    visit.locator("#shisen-go-trust").click()
    visit.wait_for_selector("#shisen-trust-status .shisen-note", timeout=WAIT)
    visit.locator("#shisen-stop-trust").click()
    visit.wait_for_selector('#shisen-trust-status:has-text("Canceled")', timeout=WAIT)
    assert visit.locator(".shisen-report").count() == 0


def test_an_audit_without_classes_says_what_it_needs(visit: Any) -> None:
    visit.get_by_role("tab", name="Audit").click()
    visit.locator("#shisen-go-audit").click()
    toast = visit.wait_for_selector(".toast-body", timeout=WAIT)
    assert "one subfolder of images per class" in toast.inner_text()


def test_no_request_leaves_the_machine(visit: Any) -> None:
    for name in ("Compare", "Inside", "Trust", "Audit", "Explain"):
        visit.get_by_role("tab", name=name).click()
    visit.wait_for_timeout(1500)
    hosts = {urlsplit(u).hostname for u in visit.asked if not u.startswith(("data:", "blob:", "about:"))}
    assert len(visit.asked) > 20
    assert hosts == {"127.0.0.1"}


def test_a_phones_width_is_enough(visit: Any) -> None:
    visit.set_viewport_size({"width": 390, "height": 844})
    visit.wait_for_timeout(500)
    alt(visit, "tiger cat")
    wide = visit.evaluate(WIDE)
    assert visit.evaluate("document.documentElement.scrollWidth") <= 390, wide
