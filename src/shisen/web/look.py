"""How the page looks, and the script that names the value under the pointer. Fonts are the system's own."""

from __future__ import annotations

from typing import Any

SANS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Hiragino Sans",
    "Noto Sans CJK JP",
    "IPAPGothic",
    "IPAGothic",
    "sans-serif",
)
MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")


def theme() -> Any:
    """Return the page's theme: calm, with fonts that are on the machine."""
    import gradio as gr

    made = gr.themes.Base(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="md",
        spacing_size="sm",
        font=SANS,
        font_mono=MONO,
    )
    return made.set(
        body_background_fill="#f6f7f9",
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        button_primary_background_fill="#0f766e",
        button_primary_text_color="#ffffff",
    )


CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
.gradio-container, .gradio-container > .main { width: 100% !important; min-width: 0 !important; }
#shisen-head { align-items: center; justify-content: space-between; gap: 12px; padding: 4px 6px; }
#shisen-title { flex: 1 1 260px; min-width: 0; }
#shisen-title h1 { margin: 0; font-size: 1.5rem; line-height: 1.3; }
#shisen-title small { font-size: .95rem; font-weight: 500; color: var(--body-text-color-subdued); }
#shisen-title p { margin: 0; color: var(--body-text-color-subdued); font-size: .92rem; }
#shisen-lang { flex: 0 0 auto; min-width: 0 !important; width: auto; }
.shisen-card { background: var(--background-fill-primary); border: 1px solid var(--border-color-primary);
  border-radius: 12px; padding: 14px !important; }
.shisen-view { display: flex; flex-direction: column; align-items: center; gap: 8px; }
.shisen-frame { position: relative; width: 100%; overflow: hidden; border-radius: 8px; cursor: crosshair;
  touch-action: pan-y; background: #e5e7eb; }
.shisen-frame:focus-visible { outline: 3px solid #0f766e; outline-offset: 2px; }
.shisen-frame img { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0 !important; }
.shisen-over { clip-path: inset(0 0 0 var(--shisen-split, 0%)); }
.shisen-line { position: absolute; top: 0; bottom: 0; width: 2px; left: calc(var(--shisen-split, 0%) - 1px);
  background: #fff; box-shadow: 0 0 3px rgba(0,0,0,.6); }
.shisen-dot { position: absolute; width: 12px; height: 12px; margin: -7px; border: 2px solid #fff; border-radius: 50%;
  box-shadow: 0 0 0 1px #000; display: none; pointer-events: none; }
.shisen-under { display: flex; gap: 10px; align-items: center; width: 100%; max-width: 640px; font-size: .85rem; }
.shisen-under input { flex: 1; accent-color: #0f766e; height: 28px; }
.shisen-probe { min-height: 1.5em; font-size: .9rem; font-variant-numeric: tabular-nums; text-align: center;
  color: var(--body-text-color-subdued); }
.shisen-note { padding: 8px 12px; border-radius: 8px; font-size: .9rem; background: #eef6f5; color: #134e4a; }
.shisen-warn { background: #fff7e6; color: #7c4a03; }
.shisen-report { width: 100%; height: 75vh; border: 1px solid var(--border-color-primary); border-radius: 8px;
  background: #fff; }
.shisen-answers { gap: 6px !important; }
.shisen-answers button { flex: 1 1 130px; min-width: 130px; min-height: 44px; font-weight: 500; line-height: 1.25; }
.shisen-step button { min-width: 44px !important; min-height: 44px; }
.shisen-note progress { accent-color: #0f766e; height: 10px; display: block; margin-top: 6px; }
.shisen-hidden { display: none !important; }
#shisen-shelf .caption-label { display: none; }
#shisen-shelf .grid-wrap { padding: 0 8px; }
#shisen-upload .wrap { font-size: 0; }
#shisen-upload { border: 1px dashed var(--border-color-primary) !important; }
.dark .shisen-note { background: #134e4a; color: #ccfbf1; }
.dark .shisen-warn { background: #5a3a06; color: #fde9c4; }
footer { display: none !important; }
@media (max-width: 640px) {
  .shisen-card { padding: 10px !important; }
  .tab-container button { padding: 0 9px !important; font-size: .88rem !important; }
  .gradio-container > .main { padding: 8px !important; }
}
"""

SCRIPT = """
<script>
(() => {
  const cache = new WeakMap();
  let split = 0;
  const gridOf = (view) => {
    const text = view.dataset.values;
    const known = cache.get(view);
    if (known && known.text === text) return known.grid;
    const grid = JSON.parse(text);
    const bytes = Uint8Array.from(atob(grid.data), (c) => c.charCodeAt(0));
    grid.values = new Float32Array(bytes.buffer);
    cache.set(view, { text, grid });
    return grid;
  };
  const show = (frame, u, v) => {
    const view = frame.closest('.shisen-view');
    const grid = gridOf(view);
    const out = view.querySelector('.shisen-probe');
    const [height, width] = grid.picture;
    const [left, top, right, bottom] = grid.box;
    const a = (u * width - left) / (right - left), b = (v * height - top) / (bottom - top);
    const dot = frame.querySelector('.shisen-dot');
    dot.style.display = 'block';
    dot.style.left = `${100 * u}%`;
    dot.style.top = `${100 * v}%`;
    frame.dataset.u = u;
    frame.dataset.v = v;
    if (a < 0 || a >= 1 || b < 0 || b >= 1) { out.textContent = out.dataset.unseen; return; }
    const value = grid.values[Math.floor(b * grid.h) * grid.w + Math.floor(a * grid.w)];
    out.textContent = `${value.toPrecision(3)} ${grid.unit}`;
  };
  const point = (event) => {
    const frame = event.target.closest && event.target.closest('.shisen-frame');
    if (!frame) return;
    const box = frame.getBoundingClientRect();
    show(frame, Math.min(.9999, Math.max(0, (event.clientX - box.left) / box.width)),
         Math.min(.9999, Math.max(0, (event.clientY - box.top) / box.height)));
  };
  document.addEventListener('pointermove', point);
  document.addEventListener('pointerdown', point);
  document.addEventListener('keydown', (event) => {
    const frame = event.target.closest && event.target.closest('.shisen-frame');
    const by = { ArrowLeft: [-.02, 0], ArrowRight: [.02, 0], ArrowUp: [0, -.02], ArrowDown: [0, .02] }[event.key];
    if (!frame || !by) return;
    event.preventDefault();
    const at = (key, step) => Math.min(.9999, Math.max(0, parseFloat(frame.dataset[key] || '.5') + step));
    show(frame, at('u', by[0]), at('v', by[1]));
  });
  const put = () => {
    document.documentElement.style.setProperty('--shisen-split', `${split}%`);
    document.querySelectorAll('.shisen-split').forEach((s) => { if (s.value != split) s.value = split; });
  };
  document.addEventListener('input', (event) => {
    if (event.target.matches && event.target.matches('.shisen-split')) { split = event.target.value; put(); }
  });
  document.addEventListener('DOMContentLoaded', () => {
    new MutationObserver(put).observe(document.body, { childList: true, subtree: true });
  });
})();
</script>
"""
