"""The server: a socket, the pages, and an address to open."""

import os
import re
import secrets
import socket
import threading
from pathlib import Path

import uvicorn

from lth.report.bundle import bundle
from lth.serve.app import app
from lth.serve.guard import LOOPBACK


def serve(store: Path, host: str, port: int, token: str | None) -> None:
    """Serve the pages of a store until interrupted; print where.

    Args:
        store: folder of results; it is only read.
        host: address to listen on. One that other machines reach asks for a token.
        port: 0 takes any that is free.
        token: made where one is needed and none is given.
    Raises:
        ValueError: if the store is missing, the token is short, or the address cannot be listened on.
    """
    if not store.is_dir():
        raise ValueError(f"the store {store} is no folder: name another with --store")
    if token is not None and len(token) < 16:
        raise ValueError(f"the token has {len(token)} letters: give 16 or more, or none to have one made")
    if token is not None and not re.fullmatch(r"[\w.~+/=-]+", token, re.ASCII):  # what a header takes as it stands
        raise ValueError("the token has other letters than A-Z, a-z, 0-9 and ._~+/=-: give another, or none")
    is_local = host in LOOPBACK
    if not 0 <= port < 65_536:
        raise ValueError(f"found port {port}; a port is a number from 0 to 65535")
    token = token or (None if is_local else secrets.token_urlsafe(24))
    with _listen(host, port) as listening:
        port = listening.getsockname()[1]
        pages = app(store, token=token, is_local=is_local, cookie=f"lth-token-{port}")
        shown = f"[{host}]" if ":" in host else host
        if host in ("0.0.0.0", "::"):
            shown = socket.gethostname()
        print(f"Store      {store.resolve()}")
        print(f"Page       http://{shown}:{port}/" + (f"?token={token}" if token else ""), flush=True)
        print("Ctrl-C stops it", flush=True)
        bundle()  # the script of figures is made, and the studies are read, while nobody waits for it
        threading.Thread(target=pages.state.catalogue.entries, daemon=True).start()
        config = uvicorn.Config(
            pages, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ValueError(f"cannot listen on {host}, port {port}: {reason}; name another --port") from error
