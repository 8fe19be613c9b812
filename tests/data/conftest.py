"""Files in the idx format, and a real HTTP server on this machine to download them from."""

import gzip
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

IdxBytes = Callable[[NDArray[Any]], bytes]
WriteImages = Callable[..., Path]

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def encode_idx(array: NDArray[Any]) -> bytes:
    """The array as an idx file, written after the format's description and not after our reader."""
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="session")
def idx_bytes() -> IdxBytes:
    return encode_idx


@pytest.fixture(scope="session")
def write_images() -> WriteImages:
    """Writes twenty training and ten test images, of 4 x 4, as the four files of MNIST."""

    def write(folder: Path, compress: bool = True, **replaced: NDArray[Any]) -> Path:
        generator = np.random.default_rng(0)
        arrays: dict[str, NDArray[Any]] = {
            "train-images-idx3-ubyte": generator.integers(0, 256, (20, 4, 4), dtype=np.uint8),
            "train-labels-idx1-ubyte": np.arange(20, dtype=np.uint8) % 10,
            "t10k-images-idx3-ubyte": generator.integers(0, 256, (10, 4, 4), dtype=np.uint8),
            "t10k-labels-idx1-ubyte": np.arange(10, dtype=np.uint8),
        }
        short = {"x_train": 0, "y_train": 1, "x_test": 2, "y_test": 3}
        names = list(arrays)
        arrays.update({names[short[role]]: array for role, array in replaced.items()})
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            content = encode_idx(array)
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
        return folder

    return write


@dataclass
class Server:
    url: str
    requested: list[str] = field(default_factory=list)


Serve = Callable[[Path], Server]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serves folders over HTTP on 127.0.0.1 until the test ends, and notes what is asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(folder: Path) -> Server:
        record = Server(url="")

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, code: object = "-", size: object = "-") -> None:
                record.requested.append(self.path)

            def log_message(self, format: str, *args: Any) -> None:
                """Errors need no line of their own: the request is noted."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        record.url = f"http://127.0.0.1:{server.server_address[1]}"
        return record

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a server that is down: a port that was free a moment ago."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    port = server.server_address[1]
    server.server_close()
    return f"http://127.0.0.1:{port}/"


@pytest.fixture(autouse=True)
def no_outside_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the data folder nor the cache of whoever runs the tests may decide how they end."""
    monkeypatch.delenv("LTH_DATA_DIR", raising=False)
    monkeypatch.delenv("LTH_MIRROR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
