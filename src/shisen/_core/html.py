"""Self-contained HTML pages from the templates of a package, in the reader's language."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from ..errors import requiring
from .i18n import N_, translator

if TYPE_CHECKING:
    from PIL.Image import Image


def render(package: str, template: str, lang: str, *, extra: str, **values: Any) -> str:
    """Fill a template; everything that is put in is escaped, since labels and file names are other people's words.

    The template has the language as `lang` and the function that translates messages as `_`. It may include what the
    reports of all packages have in common.

    Args:
        package: whose folder `templates` holds the template, such as "shisen.inspect".
        template: file name.
        lang: code of a language.
        extra: the extra that installs jinja2, named in the error without it.
        values: the template's other names.

    Returns:
        The page.

    Raises:
        UnknownName: for an unknown language.
        MissingDependency: without jinja2.
    """
    _ = translator(lang)
    with requiring("jinja2", extra, N_("Writing HTML")):
        from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("shisen._core")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return str(environment.get_template(template).render(_=_, lang=lang, **values))


def data_uri(image: Image, kind: str, **options: Any) -> str:
    """Return an image as a data URI.

    Args:
        image: the image.
        kind: format, such as "webp".
        options: of Pillow's writer, such as `quality`.
    """
    buffer = io.BytesIO()
    image.save(buffer, kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
