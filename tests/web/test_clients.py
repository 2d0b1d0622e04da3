"""The page called by programs: many at once, and hostile ones."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import shisen
from shisen.viz.files import plain
from shisen.web.session import BUDGET

# the page's framework warns of its own parts
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

CLASSES = ("tiger cat", "Egyptian cat", "espresso", "cup", "tabby")


def client_of(served: Any, folder: Path) -> Any:
    gradio_client = pytest.importorskip("gradio_client")
    return gradio_client.Client(served.local_url, verbose=False, download_files=str(folder), analytics_enabled=False)


def ask(client: Any, image: str = "", upload: Any = None, **more: Any) -> Any:
    given = {"method": "grad_cam", "target": "", "layer": "", "score": "logit", "style": "blend", "colormap": "jet"}
    given |= {"alpha": 0.4, **more}
    return client.predict(upload, image, *given.values(), api_name="/explain")


def test_eight_at_once_get_their_own_answers(served: Any, session: Any, tmp_path: Path) -> None:
    names = session.store.names
    work = [(names[i % 3], CLASSES[(i // 3) % 5], ("gradient", "grad_cam", "hires_cam")[i % 7 % 3]) for i in range(200)]

    def one_client(k: int) -> list[tuple[int, Any]]:
        client = client_of(served, tmp_path / str(k))
        return [(i, ask(client, work[i][0], target=work[i][1], method=work[i][2])[1]) for i in range(k, 200, 8)]

    with ThreadPoolExecutor(8) as pool:
        answers = [a for part in pool.map(one_client, range(8)) for a in part]
    assert len(answers) == 200
    digests: dict[Any, str] = {}
    for i, record in answers:
        image, target, method = work[i]
        assert record["image"]["source"] == image
        assert record["target"]["name"] == target
        assert record["method"] == method
        assert digests.setdefault(work[i], record["values"]["sha256"]) == record["values"]["sha256"]
    assert len(set(digests.values())) == len(digests), "two different questions have the same answer"
    for image, target, method in list(digests)[::5]:  # the same as one alone gets
        alone = shisen.explain(session.model, session.store.path(image), method, target=target).manifest()
        assert plain(alone)["values"]["sha256"] == digests[image, target, method]
    assert session._seen.bytes <= BUDGET


def test_hostile_names_and_uploads_are_refused_with_a_message(served: Any, served_folder: Any, tmp_path: Path) -> None:
    assert served_folder.local_url != served.local_url  # a second page of the same process takes no uploads away
    from gradio_client import handle_file

    client = client_of(served, tmp_path)
    paths = ["../secret.png", "/etc/passwd", "..", "cat.png/../cat.png", "./cat.png", "cat.png\0", "~/.bashrc", "*"]
    paths += [
        "http://127.0.0.1:1/a.png",
        "file:///etc/passwd",
        "%2e%2e/a.png",
        "..\\a.png",
        "/proc/self/environ",
        "C:\\",
    ]
    paths += [
        "x" * 3000,
        "cat",
        "CAT.PNG",
        "samples/cat.png",
        "cat.png;ls",
        "$(id).png",
        "data:image/png;base64,AA",
        "-",
    ]
    paths += [
        "cat.png/",
        "/cat.png",
        "cat.png?",
        "cat.png#x",
        "\u202egnp.tac",
        "//etc/passwd",
        "<script>",
        "cat.png\r\n",
    ]
    paths += ["../" * 200 + "etc/passwd", "\uff0e\uff0e/cat.png"]
    for path in paths:
        with pytest.raises(Exception, match="one of the folder"):
            ask(client, path)

    def png(width: int, height: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.zeros((height, width), np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    whole = png(32, 32)
    bodies = {
        "empty.png": b"",
        "text.png": b"hello",
        "short.png": whole[:40],
        "html.png": b"<html><script>alert(1)</script></html>",
        "svg.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "pdf.pdf": b"%PDF-1.4\n%%EOF",
        "eps.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) show\n",
        "zip.png": b"PK\x03\x04" + b"0" * 40,
        "elf.jpg": b"\x7fELF" + b"0" * 100,
        "zeros.bmp": b"BM" + b"\0" * 60,
        "gif.gif": b"GIF89a" + b"\0" * 4,
        "tiff.tif": b"II*\0\xff\xff\xff\xff",
        "webp.webp": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        "bomb.png": whole[:16] + (60_000).to_bytes(4, "big") * 2 + whole[24:],
        "large.png": png(9000, 6000),
        "pickle.npy": b"\x80\x04cposix\nsystem\n",
        "ppm.ppm": b"P6 99999999 99999999 255\n",
        "quote'\"<b>.png": b"<b>",
    }
    assert len(paths) + len(bodies) >= 50
    for name, body in bodies.items():
        file = tmp_path / name
        file.write_bytes(body)
        with pytest.raises(Exception, match="(?i)image|pixel") as refused:
            ask(client, upload=handle_file(str(file)))
        assert "Traceback" not in str(refused.value)
    for wrong in (
        {"method": "__import__"},
        {"target": "no such class"},
        {"target": "99999"},
        {"layer": "../x"},
        {"layer": "__class__"},
        {"score": "x"},
        {"style": "x"},
        {"colormap": "/etc/passwd"},
        {"alpha": 7},
    ):
        with pytest.raises(Exception, match=r"\w+ .*\w+") as refused:
            ask(client, "cat.png", **wrong)
        assert "unexpected" not in str(refused.value), wrong
    assert ask(client, "cat.png")[1]["target"]["name"] == "tiger cat"


def test_the_other_tabs_can_be_called_too(served_folder: Any, tmp_path: Path) -> None:
    client = client_of(served_folder, tmp_path)
    name = client.predict(api_name="/images")[0]
    figure, record = client.predict(None, name, ["gradient", "grad_cam"], 2, api_name="/compare")
    assert Image.open(figure).width > 300
    assert {p["method"] for p in record["panels"]} == {"gradient", "grad_cam"}
    sheet, facts = client.predict(None, name, "", 1, api_name="/activations")
    assert Image.open(sheet).width > 30
    assert facts["pages"] == 1
    report, figures = client.predict(["grad_cam"], ["deletion"], 4, "ja", api_name="/evaluate")
    assert "<html" in Path(report).read_text(encoding="utf-8")
    assert "grad_cam" in json.dumps(figures)
    _, setting = client.predict(5, api_name="/recommend")
    assert setting["setting"]["method"]
    report, findings = client.predict("en", api_name="/audit")
    assert "Audit of an image classifier" in Path(report).read_text(encoding="utf-8")
    assert findings["severity"] == "high"
    for call, given in (
        ("/compare", (None, name, "grad_cam", 2)),
        ("/compare", (None, name, ["no such"], 2)),
        ("/compare", (None, "../x.png", ["grad_cam"], 2)),
        ("/compare", (None, name, ["grad_cam"], 99)),
        ("/activations", (None, name, "../x", 1)),
        ("/evaluate", (["grad_cam"], [], 2, "en")),
        ("/evaluate", (["grad_cam"], ["deletion"], 1e9, "en")),
        ("/recommend", (-1,)),
        ("/audit", ("../x",)),
    ):
        with pytest.raises(Exception, match=r"\w+ .*\w+") as refused:
            client.predict(*given, api_name=call)
        assert "unexpected" not in str(refused.value), (call, given)


def status(address: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def test_no_file_of_the_disk_can_be_had(served: Any, session: Any) -> None:
    root = served.local_url
    own = Path(__file__).resolve()
    outside = ["/etc/passwd", str(own), str(own.parents[2] / "pyproject.toml"), "../../etc/passwd", "pyproject.toml"]
    outside += [
        str(session.store.folder / "cat.png"),
        "%2e%2e/%2e%2e/etc/passwd",
        "http://127.0.0.1:1/x",
        "file:///etc/passwd",
    ]
    for path in outside:
        assert status(f"{root}gradio_api/file={path}") >= 400, path
    for path in ("", "x/image", "../map", "x/map?style=blend&colormap=jet&alpha=0.4", "%00/values", "x" * 5000):
        assert status(f"{root}shisen/{path}") == 404, path
    assert status(root, Host="evil.example") == 403
    assert status(f"{root}shisen/x/image", Host="evil.example") == 403


def test_a_drawing_is_fetched_under_a_name_of_its_own_and_equals_what_is_drawn(served: Any, session: Any) -> None:
    from shisen.web.request import ExplainRequest, ImageChoice

    one, other = (session.explain(ImageChoice("cat.png"), ExplainRequest(positive=k)) for k in (282, 285))
    assert one.token != other.token
    assert len(one.token) > 20
    for style in ("blend", "mask", "heatmap", "contour"):
        address = f"{served.local_url}shisen/{one.token}/map?style={style}&colormap=viridis&alpha=0.6"
        with urllib.request.urlopen(address) as answer:
            assert "private" in answer.headers["Cache-Control"]
            got = np.asarray(Image.open(io.BytesIO(answer.read())), np.float32)
        drawn = np.asarray(one.shown.overlay(style, "viridis", 0.6), np.float32)
        assert np.abs(got - drawn).mean() < 4, style
    for wrong in ("style=x&colormap=jet&alpha=0.4", "style=blend&colormap=../x&alpha=0.4", "style=blend&alpha=nan", ""):
        assert status(f"{served.local_url}shisen/{one.token}/map?{wrong}") == 400, wrong
    with urllib.request.urlopen(f"{served.local_url}shisen/{one.token}/values") as answer:
        assert json.load(answer)["unit"] == one.whole.unit


def test_a_file_that_a_program_names_on_the_server_is_not_read(served: Any, session: Any) -> None:
    own = str(session.store.folder / "cat.png")
    data = [{"path": own, "meta": {"_type": "gradio.FileData"}}, "", "grad_cam", "", "", "logit", "blend", "jet", 0.4]
    call = urllib.request.Request(
        f"{served.local_url}gradio_api/call/explain",
        json.dumps({"data": data}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{served.local_url}gradio_api/call/explain/{event}") as answer:
        said = answer.read().decode()
    assert "event: error" in said
    assert "tiger cat" not in said
