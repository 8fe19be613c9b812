"""A store with a real study, others made from it (another rate, unfinished, damaged), and a real server over it."""

import http.client
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

RATE, RUNNING, NO_NOTE, NO_RESULTS = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd"
BEGUN_AT = 120


@dataclass(frozen=True)
class Site:
    """A served store: `study` is the real one; `working` and `begun` are the missing jobs of the running one."""

    store: Path
    study: str
    working: str
    begun: str
    port: int

    def keep_lease(self) -> None:
        """Touch the lease, as its owner does."""
        os.utime(self.store / "work" / self.working / "lease.json")

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        """Return status, text and headers of the answer to a path that is sent as it is."""
        return fetch(self.port, path, method, **headers)


def fetch(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read().decode("utf-8", errors="replace"), found
    finally:
        connection.close()


@contextmanager
def serving(pages: Any) -> Iterator[int]:
    """Serve an application on a free port of this machine; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(pages, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def copied(store: Path, study: str, name: str, change: Callable[[str], str]) -> Path:
    """Put a study into the store again, its files changed."""
    folder = store / "studies" / name
    folder.mkdir()
    for path in (store / "studies" / study).glob("*.json"):
        (folder / path.name).write_text(change(path.read_text()).replace(study, name))
    return folder
