"""Collect the messages of the source into the catalogs of `src/shisen/locale`, and compile these (`make messages`).

Needs Babel. Messages stand in `_()`, `ngettext()`-like and `N_()` calls of Python files and templates; what the
registries say about methods and metrics comes from there. After a change: run it, translate what is empty or marked
fuzzy in the `.po` files, run it again. A new language: `python tools/messages.py de` makes its catalog.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "shisen"
LOCALE = PACKAGE / "locale"
KEYWORDS = {
    "_": None,
    "N_": None,
    "Message": None,
    "unknown": (1,),
    "require": (3,),
    "requiring": (3,),
    "plural": (1, 2),
    "pgettext": ((1, "c"), 2),
}
EXTRACTORS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract"), ("**.j2", "jinja2.ext:babel_extract")]


def extracted() -> Catalog:
    """Return all messages of the package, untranslated."""
    sys.path.insert(0, str(PACKAGE.parent))
    from shisen.evaluation.metrics import METRICS
    from shisen.registry import METHODS

    catalog = Catalog(project="shisen", charset="utf-8", fuzzy=False)
    options = {"**.html": {"encoding": "utf-8"}, "**.j2": {"encoding": "utf-8"}}
    found = extract_from_dir(
        PACKAGE,
        EXTRACTORS,
        options,
        keywords=KEYWORDS,
        comment_tags=("Translators:",),
        directory_filter=lambda folder: not Path(folder).name.startswith("__"),  # by default, also not _core
    )
    for file, _, message, comments, context in sorted(found, key=lambda one: (one[0], one[1])):
        catalog.add(message, locations=[(f"src/shisen/{file}", None)], auto_comments=comments, context=context)
    catalog.add("English", context="this language's own name")
    for place, registry in (("methods", METHODS), ("metrics", METRICS)):
        for name, spec in sorted(registry.items()):
            catalog.add(spec.summary, auto_comments=[f"{place}: {name}"])
            for also in ("caution", "unit"):
                if getattr(spec, also, ""):
                    catalog.add(getattr(spec, also), auto_comments=[f"{place}: {also} of {name}"])
    return catalog


def updated(file: Path, messages: Catalog) -> Catalog:
    """Return a language's catalog with exactly these messages; what it has translated is kept.

    Args:
        file: the `.po` file; it need not exist.
        messages: what `extracted` returned.
    """
    lang = file.parts[-3]
    if file.exists():
        with file.open("rb") as stream:
            catalog = read_po(stream, locale=lang)
    else:
        catalog = Catalog(locale=lang, project="shisen", charset="utf-8", fuzzy=False)
    catalog.update(messages, no_fuzzy_matching=False, update_creation_date=False)
    catalog.obsolete.clear()
    return catalog


def untranslated(catalog: Catalog) -> list[Message]:
    """Return the messages of a catalog without a translation, or with a fuzzy one."""
    done = [(m, [m.string] if isinstance(m.string, str) else m.string) for m in catalog if m.id]
    return [m for m, strings in done if m.fuzzy or not strings or not all(strings)]


def compiled(catalog: Catalog) -> bytes:
    """Return the `.mo` file of a catalog."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def write(file: Path, catalog: Catalog) -> None:
    """Write a catalog, and its compiled form beside it.

    Args:
        file: the `.po` file.
        catalog: what it holds.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        write_po(stream, catalog, width=120, include_lineno=False)
    file.with_suffix(".mo").write_bytes(compiled(catalog))


def main(new: list[str]) -> int:
    """Update every catalog, and make those of new languages; return 1 if something is left to translate."""
    messages, left = extracted(), 0
    files = set(LOCALE.glob("*/LC_MESSAGES/shisen.po")) | {LOCALE / lang / "LC_MESSAGES/shisen.po" for lang in new}
    for file in sorted(files):
        catalog = updated(file, messages)
        write(file, catalog)
        todo = untranslated(catalog)
        left += len(todo)
        print(f"{file.relative_to(ROOT)}: {len(catalog)} messages, {len(todo)} to translate")
        for message in todo:
            print(f"  {message.id!r}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
