"""The page in a real browser: how soon after a click a map is there, how soon a drawing changes, many users at once.

    python -m benchmarks.web [--rounds 21] [--each 200] [--out benchmarks/results/web.json]

Measured in headless Chromium on the same machine, from the click to the frame that shows the image. Beside it, in
turns, the command line's network time: what `shisen explain` of the same image spends in the network and the
method, each time in a process of its own. Needs Chromium, playwright and the web extra.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

USERS = 8
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WATCH = """([part, changed]) => {
  const src = () => { const i = document.querySelector('#shisen-view .shisen-over'); return i ? i.src : ''; };
  const old = src();
  window.shisenTook = new Promise((done) => {
    let start = null;
    const begin = () => { start = performance.now(); };
    for (const kind of ['pointerdown', 'input']) {
      document.querySelector(part).addEventListener(kind, begin, { once: true, capture: true });
    }
    const look = () => {
      const i = document.querySelector('#shisen-view .shisen-over');
      const there = start !== null && i && i.src !== old && i.complete && i.naturalWidth > 0;
      if (there && (!changed || i.src.includes(changed))) done(performance.now() - start);
      else requestAnimationFrame(look);
    };
    look();
  });
}"""


def took(window: Any, part: str, act: Any, changed: str = "") -> float:
    """Return the milliseconds from a click on a part to the frame that shows another map."""
    window.evaluate(WATCH, [part, changed])
    act()
    return float(window.evaluate("window.shisenTook"))


def drawn(window: Any, rounds: int) -> list[float]:
    """Return milliseconds of changes of style, colors and strength, in turns, none seen before by the browser."""
    times = []
    styles, colors = ("mask", "heatmap", "contour", "blend"), ("viridis", "inferno", "coolwarm", "turbo", "jet")
    for k in range(rounds):
        if k % 3 == 0:
            style = styles[k // 3 % 4]
            button = window.locator("#shisen-style").get_by_text(style, exact=True)
            times.append(took(window, "#shisen-style", button.click, f"style={style}"))
        elif k % 3 == 1:
            color = colors[k // 3 % 5]
            box = window.locator("#shisen-colormap input")
            box.click()
            box.fill(color)
            # from the key that chooses, as from a click
            window.evaluate(
                "() => document.querySelector('#shisen-colormap').addEventListener('keydown', (e) => "
                "e.target.dispatchEvent(new Event('pointerdown', { bubbles: true })), { once: true, capture: true })"
            )
            times.append(took(window, "#shisen-colormap", lambda box=box: box.press("Enter"), f"colormap={color}&"))
        else:
            alpha = f"{0.05 + 0.05 * (k // 3):.2f}".rstrip("0")
            slider = window.locator("#shisen-opacity input[type=range]")
            times.append(took(window, "#shisen-opacity", lambda s=slider, a=alpha: s.fill(a), f"alpha={alpha}"))
    return times


def command_line(folder: Path, k: int) -> float:
    """Return the milliseconds that a new process spends in the network and the method."""
    out = folder / f"out{k}.png"
    code = f"from shisen.cli import main; main(['explain', {str(folder / 'cat.png')!r}, '--out', {str(out)!r}])"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return float(json.loads(out.with_suffix(".json").read_text())["seconds"]) * 1e3


def resident() -> float:
    """Return the megabytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def crowd(address: str, names: list[str], each: int) -> dict[str, Any]:
    """Have several users ask at once, each question once; return how many were answered, rightly, and the memory."""
    from gradio_client import Client

    methods = ("gradient", "grad_cam", "hires_cam", "layer_cam", "xgrad_cam")
    work = [(names[i % len(names)], str(i // len(names) % 1000), methods[i % 5]) for i in range(USERS * each)]
    memory: list[float] = []
    wrong = 0

    def one(user: int) -> int:
        nonlocal wrong
        with tempfile.TemporaryDirectory() as folder:
            client = Client(address, verbose=False, download_files=folder, analytics_enabled=False)
            for k, i in enumerate(range(user, len(work), USERS)):
                name, target, method = work[i]
                given = (None, name, method, target, "", "logit", "blend", "jet", 0.4)
                record = client.predict(*given, api_name="/explain")[1]
                asked = (record["image"]["source"], str(record["target"]["indices"][0]), record["method"])
                wrong += asked != (name, target, method)
                if user == 0 and k % max(1, each // 10) == 0:
                    memory.append(resident())
        return each

    start = perf_counter()
    with ThreadPoolExecutor(USERS) as pool:
        answered = sum(pool.map(one, range(USERS)))
    memory.append(resident())
    return {
        "asked": len(work),
        "answered": answered,
        "mixed up": wrong,
        "seconds": perf_counter() - start,
        "memory MB": [round(m) for m in memory],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--each", type=int, default=200, help="explanations that each of 8 users asks for; 0 for none")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("Left out: Chromium is not installed.")
        return 0
    from playwright.sync_api import sync_playwright

    import shisen
    from shisen.web.image_store import write_samples

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as room, sync_playwright() as p:
        folder = write_samples(Path(room))
        page = shisen.serve("efficientnet_lite0", folder, port=0, block=False)
        browser = p.chromium.launch(executable_path=chromium, args=SWITCHES)
        window = browser.new_page(viewport={"width": 1280, "height": 900})
        asked: list[str] = []
        window.on("request", lambda request: asked.append(request.url))
        window.goto(page.local_url)
        window.wait_for_selector("#shisen-view .shisen-over", timeout=120_000)
        window.wait_for_timeout(1500)
        passes = page.shisen_session.computed
        found["style ms"] = [round(t) for t in drawn(window, given.rounds)]
        found["network passes for them"] = page.shisen_session.computed - passes
        clicks, lines = [], []
        for k in range(5):
            act = window.locator(f"#shisen-answer-{(k + 1) % 5}").click
            clicks.append(took(window, f"#shisen-answer-{(k + 1) % 5}", act))
            lines.append(command_line(folder, k))
        found["click ms"] = [round(t) for t in clicks]
        found["command line ms"] = [round(t) for t in lines]
        found["requests"] = len(asked)
        local = {urlsplit(a).hostname for a in asked if not a.startswith(("data:", "blob:", "about:"))}
        found["addresses"] = sorted(map(str, local))
        browser.close()
        if given.each:
            found["crowd"] = crowd(page.local_url, page.shisen_session.shelf.names, given.each)
        page.close()
    found["style median ms"] = round(median(found["style ms"]))
    found["click / command line"] = round(median(a / b for a, b in zip(clicks, lines, strict=True)), 2)
    text = json.dumps(found, indent=1)
    print(text)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
