"""Downloads over a network that fails: cut in the middle, too long, too slow, other bytes; then it works."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from lth.data.download import download

CONTENT = bytes(range(256)) * 400
FILES = {"data.bin": hashlib.sha256(CONTENT).hexdigest()}


class Failing(BaseHTTPRequestHandler):
    """Serves the file in a way that is wrong, as the first part of the address says."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        way = self.path.split("/")[1]
        self.asked.append(way)
        self.send_response(503 if way == "busy" else 200)
        declared = {"long": len(CONTENT) - 7, "short": len(CONTENT) + 7}.get(way, len(CONTENT))
        self.send_header("Content-Length", str(declared))
        self.end_headers()
        if way == "cut":
            self.wfile.write(CONTENT[:50_000])
            self.wfile.flush()
            self.connection.close()
        elif way == "slow":
            self.wfile.write(CONTENT[:10])
            self.wfile.flush()
            threading.Event().wait(3)
        else:
            self.wfile.write(CONTENT if way in ("good", "short", "long") else CONTENT[::-1])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the server answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("way", ["cut", "short", "long", "slow", "busy", "other"])
def test_a_network_that_fails(way: str, address: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"things could not be downloaded \(.*data\.bin: .*LTH_DATA_DIR") as caught:
        download(FILES, tmp_path, [f"{address}/{way}"], "things", timeout=0.5)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data.bin").exists()
    download(FILES, tmp_path, [f"{address}/{way}", f"{address}/good"], "things", timeout=0.5)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert not (tmp_path / "incoming").exists()
