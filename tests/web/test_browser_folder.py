"""The tabs for a folder of one's own, in a real browser: compare, inside, trust and audit to their ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

# the page's framework warns of its own parts
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

WAIT = 60_000


def tab(window: Any, name: str) -> None:
    window.get_by_role("tab", name=name, exact=True).click()


def choose(window: Any, part: str, words: str) -> None:
    box = window.locator(f"{part} input")
    box.click()
    box.fill(words)
    box.press("Enter")


def wide(window: Any, image: str) -> int:
    """Wait for an image and return how many pixels wide it is."""
    window.wait_for_function(
        "p => { const i = document.querySelector(p); return i && i.naturalWidth > 0 }",
        arg=f"{image} img",
        timeout=WAIT,
    )
    return int(window.evaluate("p => document.querySelector(p).naturalWidth", f"{image} img"))


def test_two_images_and_two_networks_stand_side_by_side(look: Any) -> None:
    tab(look, "Compare")
    choose(look, "#shisen-second", "warm/001.png")
    look.locator("#shisen-go-compare").click()
    for i in range(4):
        assert wide(look, f"#shisen-comparison-{i}") > 600
    addresses = {look.locator(f"#shisen-comparison-{i} img").get_attribute("src") for i in range(4)}
    assert len(addresses) == 4


def test_channels_and_filters_are_drawn_and_a_network_without_attention_says_so(look: Any) -> None:
    tab(look, "Inside")
    look.locator("#shisen-go-inside").click()
    assert wide(look, "#shisen-grid") > 100
    assert wide(look, "#shisen-ranked") > 100
    tab(look, "Filters")
    look.locator("#shisen-which textarea, #shisen-which input").first.fill("0, 2")
    look.locator("#shisen-go-filters").click()
    assert wide(look, "#shisen-filters") >= 2 * 128
    tab(look, "Attention")
    look.get_by_text("This model has no attention").wait_for(timeout=WAIT)


def test_channels_that_are_no_numbers_are_refused_in_words(look: Any) -> None:
    tab(look, "Inside")
    tab(look, "Filters")
    look.locator("#shisen-which textarea, #shisen-which input").first.fill("1; rm -rf")
    look.locator("#shisen-go-filters").click()
    assert "Channels are numbers" in look.wait_for_selector(".toast-body", timeout=WAIT).inner_text()


def test_methods_are_measured_with_progress_and_the_report_is_there_to_be_read_on_a_phone(look: Any) -> None:
    look.set_viewport_size({"width": 390, "height": 844})
    tab(look, "Trust")
    look.locator("#shisen-trust-count input[type=number]").fill("6")
    look.locator("#shisen-trust-count input[type=number]").press("Tab")
    look.locator("#shisen-go-trust").click()
    look.wait_for_selector("#shisen-trust-status .shisen-note", timeout=WAIT)
    look.wait_for_selector('#shisen-trust-status:has-text("6 images")', timeout=WAIT)
    report = look.frame_locator(".shisen-report")
    assert "Can these explanations be trusted?" in report.locator("h1").inner_text(timeout=WAIT)
    box = look.locator(".shisen-report").bounding_box()
    assert box["width"] > 280
    assert box["height"] > 400
    with look.expect_download(timeout=WAIT) as waiting:
        look.locator("#shisen-trust-keep").click()
    assert "<html" in Path(waiting.value.path()).read_text(encoding="utf-8")


def test_a_setting_is_recommended_with_its_evidence_and_can_be_used(look: Any) -> None:
    tab(look, "Trust")
    look.locator("#shisen-budget input[type=number]").fill("10")
    look.locator("#shisen-budget input[type=number]").press("Tab")
    look.locator("#shisen-go-recommend").click()
    found = look.wait_for_selector(".shisen-found", timeout=WAIT)
    assert "settings" in found.inner_text()
    assert look.locator(".shisen-found tbody tr").count() >= 2
    with look.expect_download(timeout=WAIT) as waiting:
        look.locator("#shisen-recommend-keep").click()
    wanted = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))["setting"]
    look.locator("#shisen-use-it").click()
    look.wait_for_selector(f'#shisen-view .shisen-over[alt*="{wanted["method"]}"]', timeout=WAIT)
    assert look.get_by_role("tab", name="Explain", exact=True).get_attribute("aria-selected") == "true"


def test_an_audit_runs_to_its_findings_with_images_before_and_after(look: Any) -> None:
    tab(look, "Audit")
    look.locator("#shisen-go-audit").click()
    look.wait_for_selector("#shisen-audit-status progress", timeout=WAIT)
    card = look.wait_for_selector(".shisen-finding.shisen-high", timeout=WAIT)
    words = card.inner_text()
    assert "warm" in words
    assert "used by the model" in words
    assert look.locator(".shisen-finding.shisen-high .shisen-pair img").count() >= 2
    with look.expect_download(timeout=WAIT) as waiting:
        look.locator("#shisen-audit-keep").click()
    assert "Audit of an image classifier" in Path(waiting.value.path()).read_text(encoding="utf-8")
    look.get_by_role("button", name="Report").last.click()
    report = look.frame_locator("#shisen-audit-report iframe")
    assert "Audit of an image classifier" in report.locator("body").inner_text(timeout=WAIT)


def test_an_audit_that_was_stopped_goes_on_when_started_again(look: Any) -> None:
    tab(look, "Audit")
    look.locator("#shisen-go-audit").click()
    look.wait_for_selector("#shisen-audit-status progress", timeout=WAIT)
    look.locator("#shisen-stop-audit").click()
    look.wait_for_selector('#shisen-audit-status:has-text("continues from here"), .shisen-finding', timeout=WAIT)
    look.locator("#shisen-go-audit").click()
    look.wait_for_selector(".shisen-finding", timeout=WAIT)


NAMELESS = """() => [...document.querySelectorAll('input, textarea, select, button, [role=slider], img, iframe')]
  .filter((e) => e.offsetParent && e.type !== 'file' && !e.closest('.hide, [hidden], [aria-hidden=true]'))
  .filter((e) => !(e.getAttribute('aria-label') || e.getAttribute('aria-labeledby') || e.getAttribute('title')
    || e.alt || e.innerText || (e.labels && [...e.labels].some((l) => l.innerText.trim())) || e.placeholder))
  .map((e) => `${e.tagName}.${e.className} in ${(e.closest('[id^=shisen]') || {}).id}`)"""


def test_everything_that_can_be_operated_or_seen_has_a_name_for_a_screen_reader(look: Any) -> None:
    for name in ("Explain", "Compare", "Inside", "Trust", "Audit"):
        tab(look, name)
        look.wait_for_timeout(400)
        assert look.evaluate(NAMELESS) == [], name


def test_a_visitor_with_nothing_but_a_keyboard_gets_another_class_explained(look: Any) -> None:
    look.locator("#shisen-answer-1").focus()
    look.keyboard.press("Enter")
    look.wait_for_selector('#shisen-view .shisen-over[alt*="warm"]', timeout=WAIT)
    look.get_by_role("tab", name="Explain", exact=True).focus()
    look.keyboard.press("Tab")
    look.keyboard.press("Enter")
    look.wait_for_selector("#shisen-go-compare", timeout=WAIT)
