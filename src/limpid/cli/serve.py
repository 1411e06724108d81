"""``limpid serve``: models behind the API that clients of OpenAI's know."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from limpid.cli import answering, browser
from limpid.core.errors import LimpidError


def serve(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Runs to serve; NAME=RUN gives one another name. None: the page with lessons, playground and runs.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but a loopback one needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")] = 8000,
    api_key: Annotated[
        str | None, typer.Option(envvar="LIMPID_API_KEY", help="What clients must send as their key.", show_envvar=True)
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="A page of another site that may ask, as https://chat.example; repeat it.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name this server goes by, without the port; repeat it.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Answers computed at once, for each model; 32, if they fit.")
    ] = None,
    context: Annotated[
        int | None, typer.Option(help="The most tokens of a prompt and its answer together; the model's own context.")
    ] = None,
    queue: Annotated[int, typer.Option(min=0, help="Answers that may wait beside them; more hear 429.")] = 128,
    max_body: Annotated[int, typer.Option(min=1024, help="The most bytes of a request's body.")] = 4 * 2**20,
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="How long running answers may go on after SIGTERM or Ctrl-C.")
    ] = 30.0,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="A line for each request on standard error; never what was said.")
    ] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
    runs_folder: Annotated[
        Path | None, typer.Option("--runs", help="The folder whose runs the page shows; ./runs unless given.")
    ] = None,
    no_history: Annotated[bool, typer.Option("--no-history", help="The page's chats are not kept.")] = False,
    device: answering.Device = "auto",
    dtype: answering.DType = "auto",
    draft: answering.Draft = None,
) -> None:
    """Serve models to their own page in the browser, and to the clients of OpenAI's API.

    The address is printed when the models answer. SIGTERM or Ctrl-C lets running answers end; a second one does not.
    """
    from limpid.server.guard import LOOPBACK_HOSTS, Guard, is_loopback
    from limpid.server.process import Server, bind, run_loop, url_of

    key = _checked(host, api_key, allow_origin or [], public=not is_loopback(host))
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # what is no HTTP is the client's affair, not the log's
    logging.getLogger("limpid.access").setLevel(logging.INFO if log_requests else logging.WARNING)
    with bind(host, port) as sock:
        from limpid.core.paths import keepsakes_dir, runs_dir
        from limpid.parallel.hardware import release_memory
        from limpid.server.app import make_app
        from limpid.server.chats import Chats
        from limpid.server.loading import Loader, Sizes, make_ready, open_runs, place_of
        from limpid.server.models import Catalogue
        from limpid.server.run_folder import RunFolder
        from limpid.server.state import State

        place = place_of(device, dtype, answering.draft_path(draft))
        sizes = Sizes(rows, queue, context)
        opened = open_runs(runs or [], answering.run_path, sizes, place)
        chats = None if no_history else Chats(keepsakes_dir() / "chats.sqlite3")
        state = State(max_body_bytes=max_body, chats=chats)
        state.runs = RunFolder((runs_folder or runs_dir()).absolute())
        state.loader = Loader(sizes, place, state.metrics)
        hosts = {*LOOPBACK_HOSTS, host, *(allow_host or [])} if is_loopback(host) or allow_host else None
        app = Guard(
            make_app(state), key=key, hosts=hosts, origins=allow_origin or [], count=state.metrics.count_response
        )
        server = Server(app, state, drain_seconds=drain_seconds)

        async def load() -> None:
            loop = asyncio.get_running_loop()
            ready = functools.partial(make_ready, loop=loop, metrics=state.metrics, place=place)
            models = []
            while opened:  # the float32 weights of a checkpoint are let go when its model is ready
                models.append(await asyncio.to_thread(ready, opened.pop(0)))
            release_memory()
            state.models = Catalogue(models)
            url = url_of(sock)
            names = ", ".join(model.name for model in models) or "its page, without a model,"
            typer.echo(f"limpid serves {names} at {url} (for clients: {url}/v1; what there is: {url}/docs)")
            if not no_browser:
                browser.show(url)

        run_loop(server.run_with(sock, load))


def _checked(host: str, key: str | None, origins: list[str], *, public: bool) -> str | None:
    """The key, or LimpidError where what is asked for would be open to strangers."""
    key = key.strip() if key else None
    if public and not key:
        raise LimpidError(
            f"{host} can be reached from other machines, so clients must show a key: set LIMPID_API_KEY, or --api-key."
        )
    if key and not (key.isascii() and key.isprintable()):
        raise LimpidError("the API key must be of printable ASCII characters: it goes into a header.")
    if "*" in origins and not key:
        raise LimpidError("--allow-origin '*' lets any page ask, so clients must show a key: set LIMPID_API_KEY.")
    os.environ.pop("LIMPID_API_KEY", None)  # processes started from here need not know it
    return key
