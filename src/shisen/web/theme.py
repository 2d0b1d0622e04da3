"""How the page looks. Fonts are the system's own."""

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
.shisen-note progress { accent-color: #0f766e; height: 10px; display: block; clear: both; padding-top: 6px; }
.shisen-press { float: right; min-height: 32px; padding: 2px 14px; border-radius: 6px; border: 1px solid currentColor;
  background: transparent; color: inherit; cursor: pointer; }
.shisen-findings { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.shisen-finding { border: 1px solid var(--border-color-primary); border-left: 6px solid #94a3b8; border-radius: 10px;
  padding: 12px 14px; min-width: 0; }
.shisen-finding h3, .shisen-found h3 { margin: 0 0 6px; font-size: 1.05rem; }
.shisen-finding p, .shisen-found p { margin: 6px 0; font-size: .92rem; }
.shisen-finding.shisen-high { border-left-color: #b91c1c; }
.shisen-finding.shisen-medium { border-left-color: #b45309; }
.shisen-tag { display: inline-block; margin: 0 6px 4px 0; padding: 1px 9px; border-radius: 10px; font-size: .8rem;
  background: var(--background-fill-secondary); border: 1px solid var(--border-color-primary); }
.shisen-members, .shisen-pairs { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 8px; }
.shisen-members img { height: 84px; margin: 0 !important; border-radius: 5px; }
.shisen-pair { display: flex; gap: 3px; }
.shisen-pair figure { margin: 0; width: 112px; }
.shisen-pair img { width: 112px; margin: 0 !important; border-radius: 5px; }
.shisen-pair figcaption { font-size: .78rem; line-height: 1.3; color: var(--body-text-color-subdued); }
.shisen-scroll { overflow-x: auto; }
.shisen-found table { border-collapse: collapse; font-size: .86rem; width: 100%; }
.shisen-found caption { text-align: left; padding: 6px 0; color: var(--body-text-color-subdued); }
.shisen-found th, .shisen-found td { text-align: right; padding: 4px 10px; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important; font-variant-numeric: tabular-nums; }
.shisen-found th:first-child, .shisen-found td:first-child { text-align: left; min-width: 170px;
  overflow-wrap: anywhere; }
.block:has(> .html-container > .prose:empty) { display: none; }
.shisen-figure .image-container { overflow-x: auto; padding-top: 30px; }
#shisen-heads .shisen-report { height: 690px; border: 0; }
.main.app { max-width: 1240px !important; padding: 16px 24px !important; }
[data-testid=status-tracker]:has(.error) { display: none !important; }
.shisen-hidden, #shisen-images .caption-label { display: none !important; }
#shisen-images .grid-wrap { padding: 0 8px; }
#shisen-images .grid-container { grid-template-columns: repeat(4, minmax(0, 1fr)) !important; }
#shisen-upload .wrap, #shisen-second-upload .wrap { font-size: 0; }
#shisen-upload, #shisen-second-upload { border: 1px dashed var(--border-color-primary) !important; }
.dark .shisen-note { background: #134e4a; color: #ccfbf1; }
.dark .shisen-warn { background: #5a3a06; color: #fde9c4; }
footer { display: none !important; }
@media (max-width: 640px) {
  .shisen-card { padding: 10px !important; }
  .tab-container button { padding: 0 9px !important; font-size: .88rem !important; }
  .main.app { padding: 8px !important; }
  .shisen-figure .image-container > button { min-width: 640px; }
  #shisen-heads .shisen-report { height: 720px; }
}
"""
