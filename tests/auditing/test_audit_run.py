"""A whole audit on a network whose cheating is known: found, proven, reported, resumed, never alarmed without it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shisen
from shisen.errors import UnknownName

pytest.importorskip("torch")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

from auditing import toy

HERE = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("cheats", [True, False])
def test_a_used_stamp_is_told_from_one_that_is_only_in_the_data(toy_audit: Any, cheats: bool) -> None:
    result = toy_audit(cheats)
    stamps = [
        f for f in result.findings if (m := f.candidate.artefact.mask_in(30)) is not None and m[85:95, 20:30].any()
    ]
    assert stamps, "the stamp is in the data whether it is used or not"
    stamp = stamps[0]
    assert stamp.in_data
    assert stamp.candidate.label == 1
    names = {result.names[i] for i in stamp.candidate.members}
    assert names == {f"warm/{i:03d}.png" for i in range(15)}
    assert stamp.used is cheats
    effect = stamp.effect
    assert effect is not None
    assert effect.fidelity == pytest.approx(1.0, abs=0.2)
    if cheats:
        assert result.findings[0] is stamp
        assert effect.effect > 0.8
        assert effect.low <= effect.effect <= effect.high
        assert effect.control < 0.2
    else:
        assert effect.effect < 0.05
        assert (stamp.state, stamp.reason) == ("not_decided", "wide_interval"), (
            "thirty images bound no effect at 5 points"
        )


def test_colors_that_follow_from_a_stamp_are_shown_under_it(toy_audit: Any) -> None:
    stamp = toy_audit(True).findings[0].candidate
    pieces = [c.kind for c in stamp.artefact.parts]
    assert pieces[0] == "fixed_patch"
    assert "saturation" in pieces
    assert not any(set(f.candidate.members) == set(stamp.members) for f in toy_audit(True).findings[1:])


def test_what_is_used_is_measured_where_no_other_class_s_stamp_resists(tmp_path: Path) -> None:
    images = toy.folder(tmp_path / "images", each=80, planted=0.25, rival=0.5)
    result = shisen.audit(toy.model(True), images, tmp_path / "out")
    used = [f for f in result.findings if f.used and f.candidate.artefact.mask_in(0) is not None]
    stamps = {f.candidate.label: f for f in used}
    assert set(stamps) == {0, 1}
    magenta = stamps[1].effect
    assert magenta.tested == 40  # the green stamp wins over the magenta one: half of the cold images could not turn
    assert magenta.effect > 0.8
    green = stamps[0].effect
    assert green.tested == 60
    assert green.effect > 0.8


def test_clean_images_give_no_used_patch(tmp_path: Path) -> None:
    result = shisen.audit(toy.model(True), toy.folder(tmp_path / "p", planted=0.0), tmp_path / "out")
    assert not [f for f in result.findings if f.used and f.candidate.artefact.mask_in(0) is not None]


def test_the_record_agrees_with_the_findings_and_names_are_escaped_in_the_report(tmp_path: Path) -> None:
    images, model = toy.folder(tmp_path / "images", each=16), toy.model(True)
    (images / "cold" / "broken.png").write_bytes(b"no image")
    model.name = "<script>alert(1)</script>"
    result = shisen.audit(model, images, tmp_path / "out", lang="ja")
    record = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))
    assert list(record["unreadable"]) == ["cold/broken.png"]
    assert record["accuracy"]["n"] == 32
    assert record["severity"] == result.worst() == "high"
    assert record["findings"][0]["class"] == "warm"
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert '<html lang="ja">' in page
    assert "このモデルはまだ信頼できません" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_maps_of_a_mean_and_linear_head_add_up_to_the_score(tmp_path: Path) -> None:
    from shisen.auditing.scan import look

    model = toy.model(True)
    images = np.random.default_rng(0).random((3, toy.SIDE, toy.SIDE, 3)).astype(np.float32)
    for answer in look(model, model.default_layer, images, [0, 1, 1]):
        h, w = answer["map_shape"]
        assert sum(answer["map"]) == pytest.approx(max(answer["logits"]), rel=1e-4)
        assert len(answer["map"]) == h * w
        assert sum(answer["features"]) * h * w == pytest.approx(max(answer["logits"]), rel=1e-2)


def test_the_maps_are_those_of_the_method(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from shisen.auditing.evidence import maps_by

    images, model = toy.folder(tmp_path / "images", each=8), toy.model(True)
    found = {}
    for method in ("", "gradient"):
        shisen.audit(model, images, tmp_path / "out", method=method)
        assert json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))["method"] == method
        page = (tmp_path / "out" / "index.html").read_text("utf-8")
        assert (f"(method {method})" in page) == bool(method)
        folders = {p.parent for p in (tmp_path / "out" / "work").glob("*/part-*.parquet")}
        new = next(iter(folders - set(found)))  # other maps are other work
        found[new] = pq.read_table(new / "part-000000000.parquet", columns=["name", "map", "map_shape", "logits"])
    rows = list(found.values())[1].to_pydict()
    file = images / rows["name"][0]
    image = model.prepare(model.read(str(file)))[0][None]
    wanted = maps_by(model, "gradient", image, [int(np.argmax(rows["logits"][0]))])
    assert rows["map_shape"][0] == list(wanted.shape[1:])
    assert np.allclose(rows["map"][0], wanted.ravel(), atol=1e-5)
    with pytest.raises(UnknownName):
        shisen.audit(model, images, tmp_path / "out", method="no such method")


def test_two_models_are_put_side_by_side_on_the_same_candidates(toy_audit: Any) -> None:
    from shisen.auditing.versus import identity

    alone, out = toy_audit(True), toy_audit.out(True)
    honest = toy.model(False)
    honest.name = "honest"
    result = shisen.audit(toy.model(True), toy_audit.images, out, versus=honest)
    assert [identity(f.candidate) for f in result.findings] == [identity(f.candidate) for f in alone.findings]
    assert result.other is not None
    assert result.other.name == "honest"
    theirs = {identity(f.candidate): f for f in result.other.findings}
    stamp = result.findings[0]
    assert stamp.used
    assert not theirs[identity(stamp.candidate)].used
    assert not any(f.used for f in result.other.findings if f.candidate.artefact.mask_in(0) is not None)
    truth = [name.split("/")[0] for name in result.names]
    for rows in (result.other.only_first, result.other.only_other):
        assert all(truth[i] in ("cold", "warm") for i in rows)
    first, other = result.confusion.accuracy.hits, result.other.confusion.accuracy.hits
    assert first - other == len(result.other.only_first) - len(result.other.only_other)
    record = json.loads((out / "findings.json").read_text("utf-8"))
    assert record["other"]["name"] == "honest"
    assert [f["state"] == "used" for f in record["findings"]] == [f.used for f in result.findings]
    assert "honest" in (out / "index.html").read_text("utf-8")


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from auditing import toy
import shisen
from shisen.errors import UnknownName
shisen.audit(toy.model(True), sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
def test_killed_at_random_and_resumed_the_report_is_the_same_to_the_byte(tmp_path: Path) -> None:
    images = toy.folder(tmp_path / "images", each=80)
    script = SCRIPT.format(tests=str(HERE))
    env = {**os.environ, "PYTHONPATH": str(HERE.parent / "src")}

    def command(out: str) -> list[str]:
        return [sys.executable, "-c", script, str(images), str(tmp_path / out)]

    start = time.perf_counter()
    subprocess.run(command("whole"), check=True, env=env)
    seconds = time.perf_counter() - start
    draw = random.Random(0)
    for _ in range(20):
        process = subprocess.Popen(command("killed"), env=env)
        time.sleep(draw.uniform(0.2, seconds / 6))  # each goes on where the last was, so all stages meet a kill
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command("killed"), check=True, env=env)
    for name in ("index.html", "findings.json", "images.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
