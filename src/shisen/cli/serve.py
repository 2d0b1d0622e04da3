"""shisen serve"""

from __future__ import annotations

from typing import Any

import click

from .common import load_model
from .model_options import model_options
from .options import lang_option


@click.command()
@model_options
@click.option("--folder", default=None, help="Folder of images offered on the page (sample photos by default).")
@click.option("--versus", default=None, metavar="MODEL", help="Second model to compare with on the page.")
@lang_option("page")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to bind; one that other machines can reach needs --auth.",
)
@click.option("--port", default=7860, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 for a free one.")
@click.option("--auth", default=None, metavar="USER:PASSWORD", help="Require this login.")
def serve(folder: str | None, versus: str | None, lang: str, host: str, port: int, **choice: Any) -> None:
    """Start a local web page to explain, compare and evaluate without code. No data leaves this machine."""
    from ..web.request import LoadRequest
    from ..web.server import check_host, credentials
    from ..web.server import serve as run

    auth = choice.pop("auth")
    check_host(host, credentials(auth))  # before the network is loaded
    options = {k: v for k, v in choice.items() if k != "model" and v}
    request = LoadRequest(choice["model"], options)
    other = load_model({**choice, "model": versus, "weights": None}) if versus else None
    run(load_model(choice), folder, lang, host=host, port=port, auth=auth, options=request, versus=other)
