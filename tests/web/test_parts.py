"""The page's own small parts: what stays at hand, which files can be named, which words are shown."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import shisen
from shisen._core.lru import LRUCache
from shisen.errors import ImageError, InputError
from shisen.registry import METHODS
from shisen.web.image_store import MAX_BYTES, ImageStore, open_upload
from shisen.web.inside_tab import read_channels
from shisen.web.jobs import Exports, Jobs, Update
from shisen.web.method_choices import about, caution, offered
from shisen.web.request import Drawing, ExplainRequest, ImageChoice, LoadRequest
from shisen.web.routes import Drawings, drawing_address, rank_address
from shisen.web.security import POLICY, Guard
from shisen.web.server import check_host, credentials
from shisen.web.session import Session


def test_what_was_used_longest_ago_makes_room_and_the_newest_stays() -> None:
    kept: LRUCache[bytes] = LRUCache(10, len)
    kept.put("a", b"1234")
    kept.put("b", b"1234")
    assert kept.get("a") == b"1234"
    kept.put("c", b"1234")
    assert kept.get("b") is None
    assert kept.get("a") is not None
    assert kept.bytes == 8
    kept.put("huge", b"x" * 99)
    assert len(kept) == 1
    assert kept.bytes == 99


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    folder = tmp_path / "given"
    (folder / "inner").mkdir(parents=True)
    for name in ("a.png", "inner/b.png"):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(folder / name)
    secret = tmp_path / "secret.png"
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(secret)
    os.symlink(secret, folder / "link.png")
    os.symlink(tmp_path, folder / "out")
    return ImageStore(folder)


def test_a_link_that_leads_out_of_the_folder_is_no_image_of_it(store: ImageStore) -> None:
    assert sorted(store.names) == ["a.png", "inner/b.png"]


def test_a_file_that_becomes_a_link_later_is_refused(store: ImageStore) -> None:
    (store.folder / "a.png").unlink()
    os.symlink(store.folder.parent / "secret.png", store.folder / "a.png")
    with pytest.raises(ImageError, match="one of the folder"):
        store.path("a.png")


HOSTILE = [
    *("../secret.png", "..", ".", "", "/", "/etc/passwd", "a.png/../../secret.png", "inner/../../secret.png"),
    *("link.png", "out/secret.png", "out/given/a.png", "./a.png", "a.png ", " a.png", "A.PNG", "a.png\0", "a.png\n"),
    *("..\\secret.png", "%2e%2e/secret.png", "....//secret.png", "~", "~/.bashrc", "$HOME", "file:///etc/passwd"),
    *("http://127.0.0.1/a.png", "https://example.org/a.png", "data:image/png;base64,AAAA", "*", "*.png", "[a].png"),
    *("/proc/self/environ", "/dev/zero", "/dev/stdin", "con", "a.png::$DATA", "//server/share", "x" * 5000),
    *(None, 0, 1.5, True, b"a.png", ["a.png"], {"path": "/etc/passwd"}, ("a.png",), Path("a.png"), object(), -1, []),
]


def test_no_name_but_the_folders_own_opens_anything(store: ImageStore) -> None:
    assert len(HOSTILE) >= 48
    for name in HOSTILE:
        with pytest.raises(ImageError, match="one of the folder"):
            store.path(name)


def test_stepping_goes_round_in_a_circle(store: ImageStore) -> None:
    assert store.step("a.png", 1) == "inner/b.png"
    assert store.step("inner/b.png", 1) == "a.png"
    assert store.step("a.png", -1) == "inner/b.png"
    assert store.step(None, 1) == "a.png"
    assert store.step(None, -1) == "inner/b.png"


def test_an_upload_is_bounded_in_bytes_and_known_by_its_own_name(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ImageError, match="40 MB"):
        open_upload(large, "large.png")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    with pytest.raises(ImageError) as refused:
        open_upload(broken, "mine.png")
    assert str(tmp_path) not in str(refused.value)
    assert "mine.png" in str(refused.value)


def test_uploads_are_read_as_the_network_of_the_page_takes_them(tmp_path: Path, store: ImageStore) -> None:
    rng = np.random.default_rng(0)
    six = rng.integers(0, 4096, (20, 30, 6)).astype(np.uint16)
    np.save(tmp_path / "six.npy", six)
    np.savez(tmp_path / "six.npz", six)
    layers = [Image.fromarray(six[..., i]) for i in range(6)]
    layers[0].save(tmp_path / "six.tif", save_all=True, append_images=layers[1:])
    np.save(tmp_path / "gray.npy", six[..., 0])
    (tmp_path / "scan.dcm").write_bytes(bytes(128) + b"DICM" + bytes(400))
    (tmp_path / "scan.nii").write_bytes(bytes(344) + b"n+1\0" + bytes(80))
    (tmp_path / "film.mp4").write_bytes(bytes(4) + b"ftypisom" + bytes(400))

    def session(channels: int, **more: Any) -> Session:
        net = torch.nn.Sequential(torch.nn.Conv2d(channels, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        recipe = shisen.Preprocess(size=16, channels=channels, **more)
        return Session(shisen.wrap(net, preprocess=recipe), store, LoadRequest("own", {}))

    def read(page: Session, name: str) -> Any:
        return page.image(ImageChoice(name, str(tmp_path / name)))

    bands = session(3, bands=(4, 2, 0), data_range=(0, 4095))
    for name in ("six.npy", "six.npz", "six.tif"):
        image = read(bands, name)
        np.testing.assert_allclose(image.data, six[..., (4, 2, 0)] / 4095, atol=1e-6)
        assert image.pixels.shape == (20, 30, 3)
    gray = read(session(1, data_range=(0, 4095)), "gray.npy")
    np.testing.assert_allclose(gray.data[..., 0], six[..., 0] / 4095, atol=1e-6)
    photos = session(3)
    for name, words in (
        ("six.npy", r"\(H, W, 3\).*\(20, 30, 6\)"),
        ("scan.dcm", r"It is DICOM.*channels=1"),
        ("scan.nii", r"It is NIfTI.*slice"),
        ("film.mp4", r"It is a video.*frame"),
    ):
        with pytest.raises(ImageError, match=words):
            read(photos, name)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::"])
def test_others_can_reach_the_page_only_with_a_password(host: str) -> None:
    with pytest.raises(InputError, match="--auth"):
        check_host(host, None)
    check_host(host, ("me", "secret"))


@pytest.mark.parametrize("auth", ["user", "user:", ":password", ""])
def test_half_a_login_is_none(auth: str) -> None:
    with pytest.raises(InputError, match="user and a password"):
        credentials(auth)


def test_a_password_may_hold_a_colon() -> None:
    assert credentials("me:a:b") == ("me", "a:b")


async def _answering(host: bytes, local: bool) -> list[dict[str, Any]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await Guard(app, local)({"type": "http", "headers": [(b"host", host)]}, None, send)
    return sent


def _answer(host: bytes, local: bool) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(1) as pool:  # a browser's own loop may run in this thread
        return pool.submit(asyncio.run, _answering(host, local)).result()


@pytest.mark.parametrize("host", [b"localhost:7860", b"127.0.0.1", b"[::1]:80"])
def test_this_machine_is_answered_and_its_browser_told_to_stay_here(host: bytes) -> None:
    start, body = _answer(host, True)
    assert body["body"] == b"page"
    assert (b"content-security-policy", POLICY.encode()) in start["headers"]


@pytest.mark.parametrize("host", [b"evil.example", b"", b"127.0.0.1.evil.example", b"[::2]"])
def test_a_name_that_is_not_this_machines_is_refused(host: bytes) -> None:
    assert _answer(host, True)[0]["status"] == 403
    assert _answer(host, False)[0]["status"] == 200


def test_work_says_how_far_it_is_and_gives_its_result() -> None:
    def work(step: Any) -> str:
        step(1, 2, "half")
        return "done"

    assert list(Jobs().run("me", work, "busy")) == [Update(1, 2, "half"), ("done",)]


def test_canceled_work_stops_at_its_next_step_and_yields_nothing_more() -> None:
    jobs, go = Jobs(), threading.Event()
    reached: list[int] = []

    def work(step: Any) -> str:
        for i in range(100):
            step(i, 100, "x")
            reached.append(i)
            go.wait(5)
        return "never"

    run = jobs.run("me", work, "busy")
    assert next(run) == Update(0, 100, "x")
    with pytest.raises(InputError, match="busy"):
        next(jobs.run("me", work, "busy"))
    assert jobs.cancel("me")
    go.set()
    assert list(run) == []
    assert reached == [0]
    assert not jobs.cancel("nobody")


def test_an_error_of_the_work_reaches_the_one_who_waits() -> None:
    def work(step: Any) -> None:
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        list(Jobs().run("me", work, "busy"))


def test_a_new_question_takes_the_place_of_the_one_that_runs() -> None:
    jobs, go = Jobs(), threading.Event()

    def slow(step: Any) -> str:
        go.wait(10)
        step(1, 2, "x")
        return "old"

    first = jobs.run("me", slow)
    thread = threading.Thread(target=lambda: list(first))
    thread.start()
    while len(jobs) == 0:
        pass
    assert list(jobs.run("me", lambda step: "new")) == [("new",)]
    go.set()
    thread.join(10)
    assert len(jobs) == 0
    jobs.close()


def test_work_of_many_quick_steps_is_told_of_a_few_times() -> None:
    def work(step: Any) -> str:
        for i in range(1000):
            step(i, 1000, "x")
        return "done"

    assert len(list(Jobs().run("me", work))) < 20


def test_an_export_of_the_same_key_is_the_same_folder(tmp_path: Path) -> None:
    exports = Exports(tmp_path, keep=2)
    first = exports.folder("../audit of me")
    assert first.parent == tmp_path
    exports.folder()
    assert exports.folder("../audit of me") == first
    exports.folder()
    assert first.exists()


@pytest.mark.parametrize("text", ["", " ", ",", "、"])
def test_no_channels_are_none(text: str) -> None:
    assert read_channels(text) == []


def test_channels_are_numbers_and_ranges() -> None:
    assert read_channels("3, 8-11、20") == [3, 8, 9, 10, 11, 20]
    for wrong in ("a", "1-2-3", "-1", "3-1", "0-64", "0-40,50-90", "1e3", "²", "9" * 50):
        with pytest.raises(InputError, match="Channels are numbers"):
            read_channels(wrong)


def test_a_method_that_needs_caution_says_so_where_it_is_offered() -> None:
    texts = {name: text for text, name in offered(METHODS, "en")}
    for name, spec in METHODS.items():
        assert ("caution" in texts[name]) == bool(spec.caution)
        assert bool(caution(name, "ja")) == bool(spec.caution)
        assert not re.search(" [a-z]+ [a-z]+ [a-z]+", about(name, "ja")), name


def test_old_exports_make_room(tmp_path: Path) -> None:
    exports = Exports(tmp_path, keep=3)
    folders = [exports.folder() for _ in range(5)]
    assert [f.exists() for f in folders] == [False, False, True, True, True]


def test_a_question_becomes_what_explain_takes() -> None:
    assert ExplainRequest().target is None
    assert ExplainRequest(positive=3).target == 3
    assert [w for w, _ in ExplainRequest(positive=3, negative=5).target.terms] == [1.0, -1.0]
    assert [w for w, _ in ExplainRequest(positive=3, negated=True).target.terms] == [-1.0]
    assert ExplainRequest("gradient", layer="head").arguments["layer"] is None
    assert ExplainRequest("grad_cam", layer="head").arguments["layer"] == "head"


def test_the_command_refuses_an_open_address_before_it_loads_anything(capsys: pytest.CaptureFixture[str]) -> None:
    from shisen.cli import main

    with pytest.raises(SystemExit) as stop:
        main(["serve", "--host", "0.0.0.0", "--model", "no such model"])
    assert stop.value.code == 2
    assert "Add --auth user:password" in capsys.readouterr().err


def test_another_likely_class_of_a_quick_method_comes_the_short_way_and_is_asked_once(store: ImageStore) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    body = (torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    net = torch.nn.Sequential(*body, torch.nn.Linear(6, 4)).eval()
    session = Session(
        shisen.wrap(net, preprocess=shisen.Preprocess(size=(12, 12)), labels=list("wxyz")), store, LoadRequest("net")
    )

    async def page(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("asked for something that is not here")

    def fetched(address: str, **query: str) -> tuple[int, str, bytes]:
        given = {"style": "blend", "colormap": "jet", "alpha": "0.4", **query}
        return Drawings(page, session).answer(f"/{address.split('?')[0]}", given)

    chosen = ImageChoice("a.png")
    seen = session.explain(chosen, ExplainRequest(layer="0"))
    second = seen.whole.predictions[1].index
    status, kind, body = fetched(rank_address(seen), rank="1")
    assert (status, kind, session.computed) == (200, "image/jpeg", 2)
    other = session.explain(chosen, ExplainRequest(positive=second, layer="0"))
    assert session.computed == 2
    assert other.whole.target.indices == (second,)
    assert body == fetched(drawing_address(other, Drawing()))[2]
    for wrong in ({"rank": "9"}, {"rank": "x"}, {}, {"rank": "1", "style": "no such"}):
        assert fetched(rank_address(seen), **wrong)[0] == 400
    slow = session.explain(chosen, ExplainRequest(method="occlusion"))
    assert rank_address(slow) == ""
    assert fetched(f"shisen/{slow.token}/rank", rank="1")[0] == 404
