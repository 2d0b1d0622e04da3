"""What the browser does by itself: the slider between image and map, the value under the pointer, another drawing."""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).with_name("script.html").read_text(encoding="utf-8")

DRAW = "(style, colormap, alpha) => { window.shisenDraw(style, colormap, alpha); }"
"""What the browser runs when the drawing was changed: it fetches the same map drawn differently."""

LATER = "async (...given) => { await new Promise((go) => setTimeout(go, 400)); return given; }"
"""What the browser runs before something that need not be there at once: the drawing comes first."""
