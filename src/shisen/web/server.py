"""Serve the page: on this machine by default, and never to a stranger."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.i18n import languages
from ..errors import InputError, explain_error, requiring
from ..models.model import Model
from .image_store import MAX_BYTES
from .request import LoadRequest
from .security import LOOPBACK, Guard

if TYPE_CHECKING:
    from .session import Session


def serve(
    model: Any = "efficientnet_lite0",
    folder: str | Path | None = None,
    lang: str = "en",
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    auth: str | tuple[str, str] | None = None,
    options: Any = None,
    versus: Any = None,
    block: bool = True,
) -> Any:
    """Serve a page in the browser that explains images without a line of code.

    Args:
        model: from `load` or `wrap`, or what `load` takes.
        folder: its images can be chosen on the page, nothing else on the disk; None for three sample photos.
        lang: "en" or "ja"; can be switched on the page.
        host: the address to serve at. Any but this machine's own needs `auth`.
        port: the port; 0 for any that is free.
        auth: "user:password" or a pair, that the page requires.
        options: how `model` was loaded, to be named in the commands that the page shows.
        versus: another network for the same images, to compare with; as `model`.
        block: wait until the server is stopped.

    Returns:
        The `gradio.Blocks` that is served, with its address in `local_url`; `close()` stops it.

    Raises:
        InputError: for an address that others can reach without `auth`, or another language.
        ImageError: for a folder without images.
        MissingDependency: without gradio.
    """
    pair = credentials(auth)
    check_host(host, pair)
    if lang not in languages():
        raise InputError(explain_error("lang must be 'en' or 'ja'.", repr(lang), "Leave it out for English."))
    work = tempfile.TemporaryDirectory(prefix="shisen_page_")
    _quiet()
    with requiring("gradio", "web", "The page"):
        import gradio as gr  # noqa: F401
    from ..models.loading import load
    from .image_store import ImageStore, write_samples
    from .jobs import Exports
    from .page import page
    from .session import Session

    store = ImageStore(folder if folder is not None else write_samples(Path(work.name) / "samples"))
    network = model if isinstance(model, Model) else load(model)
    network.check_rank("serve()")
    given = (model.source or model.name) if isinstance(model, Model) else model
    request = options if isinstance(options, LoadRequest) else LoadRequest(str(given))
    other = versus if versus is None or isinstance(versus, Model) else load(versus)
    session = Session(network, store, request, other)
    made = page(session, Exports(Path(work.name) / "exports"), lang)
    made.shisen_work, made.shisen_session = work, session  # the folder goes when the page does
    _launch(made, session, host, port, pair, block)
    return made


def _launch(made: Any, session: Session, host: str, port: int, auth: tuple[str, str] | None, block: bool) -> None:
    """Serve the page without anything that reaches beyond this server."""
    from starlette.middleware import Middleware

    from . import script, theme
    from .routes import Drawings

    local = host in LOOPBACK
    made.launch(
        server_name=host,
        server_port=port or free_port(host),
        auth=auth,
        share=False,
        max_file_size=MAX_BYTES,
        show_error=False,
        quiet=not block,
        prevent_thread_lock=not block,
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        ssr_mode=False,
        theme=theme.theme(),
        css=theme.CSS,
        head=script.SCRIPT,
        app_kwargs={"middleware": [Middleware(Guard, local=local), Middleware(Drawings, session=session)]},
    )


def free_port(host: str) -> int:
    """Return a port of this machine that nothing listens at."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def credentials(auth: str | tuple[str, str] | None) -> tuple[str, str] | None:
    """Return user and password from "user:password" or a pair.

    Raises:
        InputError: one of them is missing.
    """
    if auth is None:
        return None
    user, password = auth if isinstance(auth, tuple) else (auth.partition(":")[0], auth.partition(":")[2])
    if not user or not password:
        raise InputError(
            explain_error("--auth must be a user and a password.", "one of them empty", "Write --auth user:password.")
        )
    return user, password


def check_host(host: str, auth: tuple[str, str] | None) -> None:
    """Raise if others could reach the page without a password.

    Args:
        host: address to listen on.
        auth: (user, password), None without one.

    Raises:
        InputError: if the address is reachable by other machines and there is no password.
    """
    if host not in LOOPBACK and auth is None:
        raise InputError(
            explain_error(
                "A page that other machines can reach needs a user and a password.",
                f"host {host!r} without --auth",
                "Add --auth user:password, or leave --host out to serve this machine alone.",
            )
        )


def _quiet() -> None:
    """Have the page's own framework send nothing anywhere, and keep what is uploaded in a folder that goes."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(Path(_uploads().name) / "uploads")


@cache
def _uploads() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of the uploads, one a process: the framework reads it from the environment at every upload."""
    return tempfile.TemporaryDirectory(prefix="shisen_uploads_")
