import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lth.data.download import download

Serve = Callable[[Path], Any]
CONTENTS = {"one.gz": b"first file", "two.gz": b"second file"}
CHECKSUMS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    folder = tmp_path / "good"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


def held(folder: Path) -> dict[str, bytes]:
    """The files under their final names; the lock file is no data."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"}


def test_fetches_once(tmp_path: Path, good: Path, serve: Serve) -> None:
    server = serve(good)
    for _ in range(2):
        download(CHECKSUMS, tmp_path / "new" / "here", [server.url], "things")
        assert held(tmp_path / "new" / "here") == CONTENTS
    assert sorted(server.requested) == ["/one.gz", "/two.gz"]
    assert not (tmp_path / "new" / "here" / "incoming").exists()


def test_wrong_checksum_keeps_nothing(tmp_path: Path, good: Path, serve: Serve) -> None:
    (good / "one.gz").write_bytes(b"first file, with a virus")
    with pytest.raises(ValueError, match=r"one\.gz: wrong checksum, so the file was not kept"):
        download(CHECKSUMS, tmp_path / "here", [serve(good).url], "things")
    assert held(tmp_path / "here") == {}
    assert not (tmp_path / "here" / "incoming").exists()


def test_the_next_mirror_is_tried(tmp_path: Path, good: Path, serve: Serve, no_server: str) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "one.gz").write_bytes(CONTENTS["one.gz"])
    (bad / "two.gz").write_bytes(b"not the second file")
    half, whole = serve(bad), serve(good)
    download(CHECKSUMS, tmp_path / "here", [no_server, half.url, whole.url], "things")
    assert held(tmp_path / "here") == CONTENTS
    assert whole.requested == ["/two.gz"]  # the first file had come from the other mirror


def test_an_interrupted_download_continues(tmp_path: Path, good: Path, serve: Serve) -> None:
    (good / "two.gz").unlink()
    server = serve(good)
    with pytest.raises(ValueError, match=r"two\.gz: the server answers 404"):
        download(CHECKSUMS, tmp_path / "here", [server.url], "things")
    assert held(tmp_path / "here") == {}
    (good / "two.gz").write_bytes(CONTENTS["two.gz"])
    download(CHECKSUMS, tmp_path / "here", [server.url], "things")
    assert held(tmp_path / "here") == CONTENTS
    assert server.requested == ["/one.gz", "/two.gz", "/two.gz"]


def test_offline_says_what_to_do(tmp_path: Path, no_server: str) -> None:
    with pytest.raises(ValueError, match="could not be downloaded") as caught:
        download(CHECKSUMS, tmp_path / "here", [no_server], "things")
    message = str(caught.value)
    assert "\n" not in message
    for part in (no_server, "no answer", "one.gz, two.gz", str(tmp_path / "here"), "LTH_DATA_DIR", "LTH_MIRROR"):
        assert part in message


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=r"cannot create .* to download things"):
        download(CHECKSUMS, tmp_path / "file" / "here", [], "things")


def test_two_at_once_fetch_once(tmp_path: Path, good: Path, serve: Serve) -> None:
    server = serve(good)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            download(CHECKSUMS, tmp_path / "here", [server.url], "things")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert held(tmp_path / "here") == CONTENTS
    assert sorted(server.requested) == ["/one.gz", "/two.gz"]
