"""shisen serve"""

from __future__ import annotations

from typing import Any

import click

from .common import load_model, model_options


@click.command()
@model_options
@click.option("--folder", default=None, help="Its images can be chosen on the page; sample photos if left out.")
@click.option("--versus", default=None, metavar="MODEL", help="Another network to compare with on the page.")
@click.option("--lang", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Of the page.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Any other address needs --auth.")
@click.option("--port", default=7860, show_default=True, type=click.IntRange(0, 65535), help="0 for a free one.")
@click.option("--auth", default=None, metavar="USER:PASSWORD", help="Asked for by the page.")
def serve(folder: str | None, versus: str | None, lang: str, host: str, port: int, **choice: Any) -> None:
    """Serve a page in the browser: explain, compare and measure without code. Nothing leaves this machine."""
    from ..web.request import Start
    from ..web.server import check_host, credentials
    from ..web.server import serve as run

    auth = choice.pop("auth")
    check_host(host, credentials(auth))  # before the network is loaded
    name = choice["model"]
    options = {k: v for k, v in choice.items() if k != "model" and v}
    other = load_model({**choice, "model": versus, "weights": None}) if versus else None
    run(load_model(choice), folder, lang, host=host, port=port, auth=auth, options=Start(name, options), versus=other)
