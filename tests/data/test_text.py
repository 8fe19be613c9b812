"""Texts as tokens: a file of one's own, and the tiny Shakespeare."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lth.data import Windows, load_data, load_text

Serve = Callable[[Path], Any]
TEXT = "Äpfel fallen,\r\nwenn sie reif sind. " * 40 + "ñ🙂" * 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "own.txt"
    path.write_bytes(TEXT.encode())
    return path


@pytest.fixture
def shakespeare(real_data_dir: Path) -> bytes:
    path = real_data_dir / "tinyshakespeare" / "input.txt"
    if not path.is_file():
        pytest.skip(f"no real data: {path} is absent")
    return path.read_bytes()


def test_tokens_stand_for_characters(path: Path) -> None:
    data = load_text(path, block=8)
    characters, num_train = sorted(set(TEXT)), len(TEXT) * 9 // 10
    assert (data.name, data.task) == ("own", "language-model")
    for part, piece in (("train", TEXT[:num_train]), ("test", TEXT[num_train:])):
        windows = data.parts[part]
        assert isinstance(windows, Windows)
        assert "".join(characters[token] for token in windows.tokens) == piece
        assert len(windows) == (len(piece) - 1) // 8
    test = TEXT[num_train:]
    assert data.facts == {
        "vocabulary": len(characters), "block": 8, "bytes_per_token": len(test.encode()) / len(test),
    }  # fmt: skip
    assert data.facts["bytes_per_token"] > 2  # the test part is what takes two and four bytes


def test_by_path_with_arguments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_data(f"{path}:block=8").digest == load_text(path, 8).digest
    assert load_data("own.txt:block=8", path.parent).digest == load_text(path, 8).digest
    assert load_data(str(path)).tokens_per_example == 64
    with pytest.raises(ValueError, match="takes no argument 'size'. Its arguments: block, name"):
        load_data(f"{path}:size=8")
    with pytest.raises(ValueError, match="block is a whole number; found 'many'"):
        load_data(f"{path}:block=many")


def test_texts_that_cannot_be(tmp_path: Path, path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.txt cannot be read \(No such file"):
        load_data(str(tmp_path / "nowhere.txt"))
    with pytest.raises(ValueError, match="block is 0: an example has 1 character or more"):
        load_text(path, 0)
    with pytest.raises(ValueError, match=r"own\.txt has 1520 characters, .* one window of 152 .*own\.txt:block=8"):
        load_text(path, 152)
    assert len(load_text(path, 151).parts["test"]) == 1
    path.write_bytes("Köln".encode("latin-1"))
    with pytest.raises(ValueError, match=r"own\.txt is no UTF-8 \(byte 1\)"):
        load_text(path)


def test_nanogpts_split(shakespeare: bytes, real_data_dir: Path) -> None:
    data = load_data("tiny-shakespeare:block=32", real_data_dir)
    train, test = (data.parts[part] for part in ("train", "test"))
    assert isinstance(train, Windows)
    assert isinstance(test, Windows)
    assert (len(train.tokens), len(test.tokens)) == (1_003_854, 111_540)
    assert data.facts == {"vocabulary": 65, "block": 32, "bytes_per_token": 1.0}
    alphabet = np.array(sorted(set(shakespeare.decode())))
    first = train.take(torch.tensor([0]), torch.device("cpu"))
    assert "".join(alphabet[first["x"][0].numpy()]) == shakespeare[:32].decode()
    assert "".join(alphabet[first["y"][0].numpy()]) == shakespeare[1:33].decode()


@pytest.mark.parametrize("place", [".", "tinyshakespeare", "tiny-shakespeare"])
@pytest.mark.parametrize("through", ["folder", "environment"])
def test_found_where_people_keep_it(
    place: str, through: str, shakespeare: bytes, tmp_path: Path, no_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTH_MIRROR", no_server)
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "input.txt").write_bytes(shakespeare)
    if through == "environment":
        monkeypatch.setenv("LTH_DATA_DIR", str(tmp_path))
    assert load_data("tiny-shakespeare", tmp_path if through == "folder" else None).facts["vocabulary"] == 65


def test_another_text_is_not_taken_for_it(tmp_path: Path, no_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTH_MIRROR", no_server)
    (tmp_path / "input.txt").write_text(TEXT)  # somebody's own: passed over
    with pytest.raises(ValueError, match=r"tiny-shakespeare could not be downloaded .*LTH_DATA_DIR/tiny-shakespeare"):
        load_data("tiny-shakespeare", tmp_path)
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text(TEXT)
    with pytest.raises(ValueError, match=r"input\.txt is not tiny-shakespeare \(wrong checksum\)"):
        load_data("tiny-shakespeare", tmp_path)


def test_downloaded_once(shakespeare: bytes, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = tmp_path / "served" / "tiny-shakespeare"
    served.mkdir(parents=True)
    (served / "input.txt").write_bytes(shakespeare)
    server = serve(tmp_path / "served")
    monkeypatch.setenv("LTH_MIRROR", server.url)
    digests = {load_data("tiny-shakespeare", folder).digest for folder in (None, tmp_path / "new", None)}
    assert len(digests) == 1
    assert server.requested == ["/tiny-shakespeare/input.txt"] * 2  # once into the cache, once into the folder
    (served / "input.txt").write_bytes(shakespeare[:-1])
    with pytest.raises(ValueError, match="wrong checksum, so the file was not kept"):
        load_data("tiny-shakespeare", tmp_path / "newer")
