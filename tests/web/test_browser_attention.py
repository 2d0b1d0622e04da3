"""The attention of a transformer on the page: every head as a sheet, one head at a time with sliders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

# the page's framework warns of its own parts
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

WAIT = 60_000
LAYERS, HEADS, SIDE = 3, 2, 8


@pytest.fixture(scope="module")
def served_transformer() -> Iterator[Any]:
    """The page over a small transformer with a class token, 8 × 8 places of an image of 64 pixels."""
    pytest.importorskip("gradio")
    torch = pytest.importorskip("torch")
    pytest.importorskip("skimage")
    import shisen

    class Transformer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = torch.nn.Conv2d(3, 16, 8, stride=8)
            self.token = torch.nn.Parameter(torch.randn(1, 1, 16))
            self.places = torch.nn.Parameter(torch.randn(1, SIDE * SIDE + 1, 16))
            layer = torch.nn.TransformerEncoderLayer(16, HEADS, 32, batch_first=True, norm_first=True)
            self.blocks = torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
            self.top = torch.nn.Linear(16, 3)

        def forward(self, x: Any) -> Any:
            found = self.patches(x).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.token.expand(len(x), -1, -1), found], dim=1) + self.places
            return self.top(self.blocks(tokens)[:, 0])

    torch.manual_seed(0)
    model = shisen.wrap(
        Transformer().eval(),
        preprocess=shisen.Preprocess(64),
        labels=["cat", "cup", "rocket"],
        name="small transformer",
    )
    page = shisen.serve(model, port=0, block=False)
    yield page
    page.close()


@pytest.fixture
def seen(browser: Any, served_transformer: Any) -> Iterator[Any]:
    from web.conftest import opened

    window = opened(browser, served_transformer.local_url)
    window.get_by_role("tab", name="Inside", exact=True).click()
    window.get_by_role("tab", name="Attention", exact=True).click()
    yield window
    window.close()


def test_every_head_is_drawn_and_one_is_chosen_with_sliders(seen: Any) -> None:
    seen.locator("#shisen-go-attention").click()
    seen.wait_for_function(
        "() => { const i = document.querySelector('#shisen-attention img'); return i && i.naturalWidth > 0 }",
        timeout=WAIT,
    )
    assert seen.evaluate("document.querySelector('#shisen-attention img').naturalWidth") > (HEADS + 2) * 112
    seen.wait_for_function("() => document.querySelector('#shisen-attention img').alt === 'Layers × heads'")
    one = seen.frame_locator("#shisen-heads iframe")
    assert one.locator("#head-name").inner_text(timeout=WAIT) == "mean of all heads"
    assert int(one.locator("#layer").get_attribute("max")) == LAYERS - 1
    assert int(one.locator("#head").get_attribute("max")) == HEADS + 1
    assert "class token" in one.locator("#reader").inner_text()

    def pixels() -> str:
        return str(one.locator("#map").evaluate("c => c.toDataURL()"))

    drawn = {pixels()}
    one.locator("#head").fill("0")
    drawn.add(pixels())
    one.locator("#layer").fill("0")
    drawn.add(pixels())
    box = one.locator("#map").bounding_box()
    one.locator("#map").click(position={"x": box["width"] * 2.5 / SIDE, "y": box["height"] * 5.5 / SIDE})
    assert "row 6, column 3" in one.locator("#reader").inner_text()
    drawn.add(pixels())
    one.locator("#map").press("ArrowRight")
    assert "row 6, column 4" in one.locator("#reader").inner_text()
    assert len(drawn) == 4


def test_on_a_phone_in_japanese_nothing_is_wider_than_the_screen(seen: Any) -> None:
    seen.set_viewport_size({"width": 390, "height": 844})
    seen.get_by_text("日本語").click()
    seen.locator("#shisen-go-attention", has_text="アテンションを表示").click(timeout=WAIT)
    one = seen.frame_locator("#shisen-heads iframe")
    assert one.locator("#head-name").inner_text(timeout=WAIT) == "全ヘッドの平均"
    assert one.locator("html").evaluate("e => e.scrollWidth <= e.clientWidth")
    assert seen.evaluate("document.documentElement.scrollWidth") <= 390
