"""One report of what the parts of `python -m benchmarks` have found: terminal, JSON, Markdown and a plot."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAMES = {"lite0": "EfficientNet-Lite0", "resnet50": "ResNet-50-shaped", "vit_b_16": "ViT-B/16-shaped"}
OURS = {
    "grad_cam": "Grad-CAM",
    "grad_cam --fast": "Grad-CAM, `--fast`",
    "grad_cam_pp": "Grad-CAM++",
    "layer_cam": "LayerCAM",
    "hires_cam": "HiResCAM",
    "eigen_cam": "Eigen-CAM",
    "ablation_cam": "Ablation-CAM",
    "gradient": "gradient",
}
MARKS = ("<!-- bench:begin -->", "<!-- bench:end -->")
PICTURE = ["![Grad-CAM of shisen and of its peers, in forwards](images/speed.png)"]
Speed = dict[str, dict[str, Any]]


def cell(row: dict[str, Any] | None) -> str:
    """Return a thing's time by the processor and by the clock, in forwards."""
    return "" if row is None else f"{row['processor']:.2f} ({row['clock']:.2f})"


def columns(speed: Speed) -> list[tuple[str, str]]:
    """Return (key, heading) of every network and batch that was measured."""
    found = []
    for name, words in NAMES.items():
        for n in (1, 8, 64):
            key = f"{name}, batch {n}"
            if key in speed:
                found.append((key, f"{words}, batch {n}"))
    return found


def speed_table(speed: Speed, keys: Sequence[str] | None = None) -> list[str]:
    """Return the lines of a Markdown table: what it takes in forwards, ours and the peers'."""
    shown = [(key, words) for key, words in columns(speed) if keys is None or key in keys]
    names = [n for n in OURS if any(n in speed[key]["rows"] for key, _ in shown)]
    names += sorted({n for key, _ in shown for n in speed[key]["rows"] if n not in OURS and n != "forward"})
    lines = ["| | " + " | ".join(words for _, words in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for name in names:
        cells = [cell(speed[key]["rows"].get(name)) for key, _ in shown]
        lines.append(f"| {OURS.get(name, name)} | " + " | ".join(cells) + " |")
    return lines


def memory_table(speed: Speed) -> list[str]:
    """Return the lines of a Markdown table of peaks, for what was measured at every batch."""
    shown = columns(speed)
    names = ["forward", *(n for n in OURS if all(n in speed[key]["rows"] for key, _ in shown))]
    names += sorted({n for key, _ in shown for n in speed[key]["rows"] if n.endswith(("GradCAM", "GradCam"))})
    lines = ["| | " + " | ".join(words for _, words in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for name in dict.fromkeys(names):
        rows = [speed[key]["rows"].get(name) for key, _ in shown]
        cells = ["" if row is None or row["mib"] is None else f"{row['mib']:.0f}" for row in rows]
        lines.append(f"| {OURS.get(name, name)} | " + " | ".join(cells) + " |")
    return lines


def left_out(speed: Speed) -> list[str]:
    """Return what was not measured, and why, once each."""
    return sorted({line for key, _ in columns(speed) for line in speed[key]["left out"]})


def plot(speed: Speed, file: Path) -> None:
    """Draw Grad-CAM of everybody at every network and batch, in forwards of the same batch."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = columns(speed)
    who = {
        "shisen": "grad_cam",
        "shisen --fast": "grad_cam --fast",
        "Captum": "Captum LayerGradCam",
        "torch-cam": "torch-cam GradCAM",
        "pytorch-grad-cam": "pytorch-grad-cam GradCAM",
    }
    figure, axes = pyplot.subplots(figsize=(8, 0.9 + 0.65 * len(shown)), layout="constrained")
    for i, (name, row) in enumerate(who.items()):
        heights = [speed[key]["rows"].get(row, {}).get("processor", 0.0) for key, _ in shown]
        places = [j + 0.17 * (i - 2) for j in range(len(shown))]
        bars = axes.barh(places, heights, 0.16, label=name)
        axes.bar_label(bars, [f"{h:.2f}" if h else "" for h in heights], padding=2, fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(shown)), [words for _, words in shown])
    axes.invert_yaxis()
    axes.set_xlabel("Grad-CAM, enlarged to the picture: processor time in forwards of the same batch")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False, fontsize=8)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def between(text: str, lines: Sequence[str]) -> str:
    """Return a page with the lines put between its markers; a page without them as it is."""
    begin, end = MARKS
    if begin not in text:
        return text
    return re.sub(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: "\n".join((begin, *lines, end)), text, flags=re.DOTALL
    )


def write_report(records: list[dict[str, Any]], out: Path, *, quick: bool, docs: bool) -> None:
    """Write report.md, report.json and speed.png; print the table; put it into the pages if asked.

    Args:
        records: what every part gave, see `benchmarks.__main__.run`.
        out: the folder of the results.
        quick: whether the quick form was run.
        docs: whether README.md and docs/performance.md are renewed.
    """
    file = out / ("speed_quick.json" if quick else "speed.json")
    speed: Speed = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    lines = ["# Benchmarks", ""]
    if speed:
        plot(speed, out / "speed.png")
        lines += ["Processor time in forwards of the same batch, one thread; by the clock in brackets.", ""]
        lines += [*speed_table(speed), "", "Peak memory of one run, MiB:", "", *memory_table(speed), ""]
        lines += [f"* {line}" for line in left_out(speed)] + ["", "![Grad-CAM beside the peers](speed.png)", ""]
    for record in records:
        if "left out" in record:
            lines += [f"## {record['part']}", "", f"Left out: {record['left out']}.", ""]
            continue
        took = f"{record['seconds']:.0f} s" + (f", failed with {record['code']}" if record["code"] else "")
        lines += [f"## {record['part']}", "", f"`{record['command']}` ({took})", ""]
        lines += ["```", record["output"].strip(), "```", ""]
    (out / "report.md").write_text("\n".join(lines), encoding="utf-8")
    (out / "report.json").write_text(json.dumps({"speed": speed, "parts": records}, indent=1), encoding="utf-8")
    if speed:
        print("\n" + "\n".join(speed_table(speed)))
    if docs and speed:
        peaks = ["Peak memory of one run above what the process held before, MiB:", "", *memory_table(speed), ""]
        out_lines = [f"* {line}" for line in left_out(speed)]
        few = [key for key, _ in columns(speed) if key.endswith("batch 1")]
        words = "Processor time in forwards of the same picture (`make bench`); by the clock in brackets:"
        for page, content in (
            (Path("README.md"), ["", words, "", *speed_table(speed, few), ""]),
            (Path("docs/performance.md"), ["", *speed_table(speed), "", *peaks, *out_lines, "", *PICTURE, ""]),
        ):
            page.write_text(between(page.read_text(encoding="utf-8"), content), encoding="utf-8")
        plot(speed, Path("docs/images/speed.png"))
    print(f"\n{out / 'report.md'}")
