"""One report of what the parts of `python -m benchmarks` have found: terminal, JSON, Markdown and a plot."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAMES = {
    "lite0": "EfficientNet-Lite0",
    "resnet50": "ResNet-50-shaped",
    "vgg16": "VGG16-shaped",
    "vit_b_16": "ViT-B/16-shaped",
    "mobilenet_v2": "MobileNetV2",
}
OURS = {
    "grad_cam": "Grad-CAM",
    "grad_cam --fast": "Grad-CAM, `--fast`",
    "grad_cam_pp": "Grad-CAM++",
    "layer_cam": "LayerCAM",
    "hires_cam": "HiResCAM",
    "eigen_cam": "Eigen-CAM",
    "ablation_cam": "Ablation-CAM",
    "gradient": "gradient",
    "explain": "shisen.explain, images to maps",
    "predict": "model.predict, images to classes",
}
# the parts that have tables: their pages' markers and images are apart, so that one part alone can be renewed
PARTS = {"speed": "PyTorch", "keras": "Keras on TensorFlow"}
FILES = {"speed": "speed", "keras": "keras_speed"}
WHO = {
    "speed": {
        "shisen": "grad_cam",
        "shisen --fast": "grad_cam --fast",
        "Captum": "Captum LayerGradCam",
        "torch-cam": "torch-cam GradCAM",
        "pytorch-grad-cam": "pytorch-grad-cam GradCAM",
    },
    "keras": {"shisen": "grad_cam", "Xplique": "Xplique GradCAM", "tf-keras-vis": "tf-keras-vis Gradcam"},
}
COLORS = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(name for who in WHO.values() for name in who))}
PEAKS = "Peak memory of one run above what the process held before, MiB:"
Speed = dict[str, dict[str, Any]]


def cell(row: dict[str, Any] | None) -> str:
    """Return CPU time and, in parentheses, wall-clock time, in forward passes."""
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
    """Return the lines of a Markdown table: time in forward passes, ours and that of other libraries."""
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
    names += sorted({n for key, _ in shown for n in speed[key]["rows"] if n.lower().endswith("gradcam")})
    lines = ["| | " + " | ".join(words for _, words in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for name in dict.fromkeys(names):
        rows = [speed[key]["rows"].get(name) for key, _ in shown]
        cells = ["" if row is None or row["mib"] is None else f"{row['mib']:.0f}" for row in rows]
        lines.append(f"| {OURS.get(name, name)} | " + " | ".join(cells) + " |")
    return lines


def left_out(speed: Speed) -> list[str]:
    """Return what was not measured, and why, once each."""
    return sorted({line for key, _ in columns(speed) for line in speed[key]["left out"]})


def plot(found: Mapping[str, Speed], file: Path) -> None:
    """Draw Grad-CAM of everybody at every network and batch, in forwards of the same batch; a panel a part.

    Args:
        found: part → what was measured, each with a column or more.
        file: the image.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = {part: columns(speed) for part, speed in found.items()}
    sizes = [len(keys) * (len(WHO[part]) + 1.5) + 2 for part, keys in shown.items()]
    figure, panels = pyplot.subplots(
        len(found), figsize=(8, 0.5 + 0.115 * sum(sizes)), height_ratios=sizes, squeeze=False, layout="constrained"
    )
    for (part, speed), axes in zip(found.items(), panels[:, 0], strict=True):
        who, keys, most = WHO[part], shown[part], 0.0
        for i, (name, row) in enumerate(who.items()):
            heights = [speed[key]["rows"].get(row, {}).get("processor", 0.0) for key, _ in keys]
            thick = 0.85 / len(who)
            places = [j + thick * (i - (len(who) - 1) / 2) for j in range(len(keys))]
            bars = axes.barh(places, heights, 0.95 * thick, label=name, color=COLORS[name])
            axes.bar_label(bars, [f"{h:.2f}" if h else "" for h in heights], padding=2, fontsize=7)
            most = max(most, *heights)
        axes.set_xlim(0, 1.08 * most)  # room for the figures
        axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(keys)), [words for _, words in keys])
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(PARTS[part], fontsize=10, loc="left", pad=20)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.995), ncols=5, frameon=False, fontsize=8)
    panels[-1, 0].set_xlabel("Grad-CAM, resized to the image: CPU time in forward passes of the same batch")
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def marks(part: str) -> tuple[str, str]:
    """Return the lines between which a part's tables stand in a page."""
    return f"<!-- bench {part}:begin -->", f"<!-- bench {part}:end -->"


def between(text: str, lines: Sequence[str], part: str) -> str:
    """Return a page with the lines put between the part's markers; a page without them as it is."""
    begin, end = marks(part)
    if begin not in text:
        return text
    return re.sub(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: "\n".join((begin, *lines, end)), text, flags=re.DOTALL
    )


def sections(part: str, speed: Speed, *, short: bool) -> list[str]:
    """Return what stands between a part's markers: in README.md (short) or in docs/performance.md."""
    if short:
        few = [key for key, _ in columns(speed) if key.endswith("batch 1")]
        unit = "in forward passes" if part == "speed" else "on Keras with TensorFlow, in compiled forward passes"
        words = f"CPU time {unit} of the same image (`make bench`); wall-clock time in parentheses:"
        return ["", words, "", *speed_table(speed, few), ""]
    image = f"![Grad-CAM of shisen and of other libraries, in forward passes: {PARTS[part]}](images/{FILES[part]}.png)"
    out = [f"* {line}" for line in left_out(speed)]
    return ["", *speed_table(speed), "", PEAKS, "", *memory_table(speed), "", *([*out, ""] if out else []), image, ""]


def renew(found: Mapping[str, Speed], root: Path) -> None:
    """Put the tables and images of these parts into the pages, and leave those of others as they are."""
    for part, speed in found.items():
        for page, short in ((root / "README.md", True), (root / "docs/performance.md", False)):
            text = page.read_text(encoding="utf-8")
            page.write_text(between(text, sections(part, speed, short=short), part), encoding="utf-8")
        plot({part: speed}, root / f"docs/images/{FILES[part]}.png")


def write_report(records: list[dict[str, Any]], out: Path, *, quick: bool, docs: Path | None) -> None:
    """Write report.md, report.json and speed.png; print the tables; put them into the pages if asked.

    Args:
        records: what every part gave, see `benchmarks.__main__.run`.
        out: the folder of the results.
        quick: whether the quick form was run.
        docs: the folder whose README.md and docs/performance.md get the tables of the parts that ran without
            failing; None leaves them alone.
    """
    found: dict[str, Speed] = {}
    for part, name in FILES.items():
        file = out / (f"{name}_quick.json" if quick else f"{name}.json")
        speed: Speed = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if columns(speed):
            found[part] = speed
    lines = ["# Benchmarks", ""]
    if found:
        plot(found, out / "speed.png")
        lines += ["CPU time in forward passes of the same batch, one thread; wall-clock time in parentheses.", ""]
        for part, speed in found.items():
            lines += [f"## {PARTS[part]}", "", *speed_table(speed), "", PEAKS, "", *memory_table(speed), ""]
            lines += [*(f"* {line}" for line in left_out(speed)), ""]
        lines += ["![Grad-CAM of shisen and of other libraries](speed.png)", ""]
    for record in records:
        if "left out" in record:
            lines += [f"## {record['part']}", "", f"Left out: {record['left out']}.", ""]
            continue
        took = f"{record['seconds']:.0f} s" + (f", failed with {record['code']}" if record["code"] else "")
        lines += [f"## {record['part']}", "", f"`{record['command']}` ({took})", ""]
        lines += ["```", record["output"].strip(), "```", ""]
    (out / "report.md").write_text("\n".join(lines), encoding="utf-8")
    report = {**{part: found.get(part, {}) for part in FILES}, "parts": records}
    (out / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    for part, speed in found.items():
        print(f"\n{PARTS[part]}\n\n" + "\n".join(speed_table(speed)))
    ran = {record["part"] for record in records if record.get("code") == 0}
    if docs:
        renew({part: speed for part, speed in found.items() if part in ran}, docs)
    print(f"\n{out / 'report.md'}")
