"""Messages: every one is in the catalogs, translated, with the same fields; the compiled files are current."""

from __future__ import annotations

import ast
import json
import pickle
import string
import sys
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from shisen._core.i18n import CATALOGS, Message, Translator, languages, translator
from shisen.errors import UnknownName

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import messages as tool

FILES = sorted(CATALOGS.glob("*/LC_MESSAGES/shisen.po"))


def read(file: Path) -> Catalog:
    with file.open("rb") as stream:
        return read_po(stream)


@pytest.fixture(scope="module")
def source() -> Catalog:
    return tool.extracted()


def identities(catalog: Catalog) -> set[Any]:
    return {(m.context, m.id) for m in catalog if m.id}


def fields(text: str) -> set[tuple[str, str]]:
    return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.parts[-3])
def test_every_message_is_in_the_catalog_and_no_other(file: Path, source: Catalog) -> None:
    """After a change of messages: `make messages`, translate what it lists, and again."""
    held, needed = identities(read(file)), identities(source)
    assert not needed - held, "not in the catalog"
    assert not held - needed, "no longer in the source"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.parts[-3])
def test_every_message_is_translated(file: Path) -> None:
    assert [m.id for m in tool.untranslated(read(file))] == []


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.parts[-3])
def test_translations_have_the_fields_of_the_source(file: Path) -> None:
    for message in read(file):
        if message.id:
            originals = [message.id] if isinstance(message.id, str) else list(message.id)
            said = [message.string] if isinstance(message.string, str) else list(message.string)
            assert all(fields(text) == fields(originals[-1]) for text in said), message.id


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.parts[-3])
def test_the_compiled_catalog_is_that_of_the_text(file: Path) -> None:
    assert file.with_suffix(".mo").read_bytes() == tool.compiled(read(file))


@pytest.mark.parametrize("file", sorted(tool.PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(tool.PACKAGE)))
def test_messages_are_where_they_are_collected(file: Path) -> None:
    """A message inside an f-string, or given to an unnamed translator, would reach no catalog."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = {id(call) for text in ast.walk(tree) if isinstance(text, ast.JoinedStr) for call in ast.walk(text)}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
            unnamed = isinstance(call.func, ast.Call) and getattr(call.func.func, "id", "") == "translator"
            assert not unnamed, f"line {call.lineno}: name the translator `_`"
            hidden = id(call) in inside and getattr(call.func, "id", "") in ("_", "N_")
            assert not hidden, f"line {call.lineno}: translate before formatting"


def test_what_is_not_translated_is_listed() -> None:
    catalog = Catalog(locale="ja")
    catalog.add("done", "済み")
    catalog.add("missing")
    catalog.add("unsure", "かも", flags=["fuzzy"])
    catalog.add(("{n} image", "{n} images"), ("",))
    assert [m.id for m in tool.untranslated(catalog)] == ["missing", "unsure", ("{n} image", "{n} images")]


def test_a_new_language_is_one_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Catalog) -> None:
    monkeypatch.setattr(tool, "LOCALE", tmp_path)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "extracted", lambda: source)
    assert tool.main(["de"]) == 1  # nothing is translated yet
    file = tmp_path / "de" / "LC_MESSAGES" / "shisen.po"
    catalog = read(file)
    next(m for m in catalog if m.context).string = "Deutsch"
    catalog["Evaluate"].string = "Auswerten"
    tool.write(file, catalog)
    monkeypatch.setattr("shisen._core.i18n.CATALOGS", tmp_path)
    caches = (languages, __import__("shisen._core.i18n", fromlist=["_catalog"])._catalog)
    for cache in caches:
        cache.cache_clear()
    try:
        assert languages() == {"en": "English", "de": "Deutsch"}
        assert translator("de")("Evaluate") == "Auswerten"
        assert translator("de")("Cancel") == "Cancel"
        tool.main([])
        assert read(file)["Evaluate"].string == "Auswerten"  # kept
    finally:
        for cache in caches:
            cache.cache_clear()


def test_languages_are_named_in_themselves_and_others_are_refused() -> None:
    assert languages() == {"en": "English", "ja": "日本語"}
    with pytest.raises(UnknownName, match="language"):
        translator("jp")


def test_messages_carry_named_fields() -> None:
    english, japanese = translator("en"), translator("ja")
    assert english("{words}: {done} of {total}", words="Evaluating", done=1, total=7) == "Evaluating: 1 of 7"
    assert japanese("{words}: {done} of {total}", words="x", done=1, total=7) == "x: 1 / 7"
    assert japanese("not a message {of} ours") == "not a message {of} ours"
    assert japanese("") == ""  # not the catalog's header
    assert isinstance(japanese, Translator)
    assert japanese.lang == "ja"


def test_a_composed_message_is_english_and_can_be_translated_later() -> None:
    told = Message("Choosing among {n} settings", n=7)
    assert told == "Choosing among 7 settings"
    assert json.loads(json.dumps(told)) == told
    again = pickle.loads(pickle.dumps(told))
    assert translator("ja")(again) == translator("ja")(told) == "7 通りの設定から選択中"
    nested = Message("{words}: {done} of {total}", words=told, done=1, total=2)
    assert nested == "Choosing among 7 settings: 1 of 2"
    assert translator("ja")(nested) == "7 通りの設定から選択中: 1 / 2"
    braces = Message("a file named {name}", name="{x}")
    assert pickle.loads(pickle.dumps(braces)) == "a file named {x}"


def test_plurals_follow_the_language() -> None:
    assert translator("en").plural("{n} thing of {who}", "{n} things of {who}", 1, who="x") == "1 thing of x"
    assert translator("en").plural("{n} thing of {who}", "{n} things of {who}", 3, who="x") == "3 things of x"
