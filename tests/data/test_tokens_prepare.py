"""Preparing tokens: nanoGPT's files, the same bytes for any number of workers, after a kill, and from any cut."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from lth.data import prepare_tokens, tokenizer_of
from lth.data.tokens import Cutting, Progress, source_of
from lth.data.tokens.document import read_document

WORDS = "In Köln, don't they'll  see 1234 äpfel;\r\n\tand: more?! 🙂 "


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def tokens_in(path: Path) -> "np.ndarray":  # type: ignore[type-arg]
    return np.fromfile(path, dtype="<u2")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "own.txt"
    path.write_bytes((WORDS * 12 + "z" * 900 + WORDS * 4).encode())
    return path


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    for number in range(20):
        (folder / f"{number % 3}").mkdir(parents=True, exist_ok=True)
        (folder / f"{number % 3}" / f"{number:02d}.txt").write_bytes((f"{number} {WORDS}" * (number % 4)).encode())
    return folder


@pytest.fixture
def bpe(real_data_dir: Path) -> Path:
    pytest.importorskip("tiktoken")
    if not (real_data_dir / "gpt2" / "encoder.json").is_file():
        pytest.skip(f"no real data: {real_data_dir}/gpt2/encoder.json is absent")
    return real_data_dir / "gpt2"


@pytest.fixture
def shakespeare(real_data_dir: Path) -> Path:
    if not (real_data_dir / "tinyshakespeare" / "input.txt").is_file():
        pytest.skip(f"no real data: {real_data_dir}/tinyshakespeare/input.txt is absent")
    return real_data_dir


def test_nanogpts_characters(shakespeare: Path, tmp_path: Path) -> None:
    document = prepare_tokens("tiny-shakespeare", tmp_path / "out", "char", folder=shakespeare)
    assert {name: part.tokens for name, part in document.parts.items()} == {"train": 1_003_854, "val": 111_540}
    assert document.tokenizer.vocabulary == 65
    text = (shakespeare / "tinyshakespeare" / "input.txt").read_text()
    number = {character: place for place, character in enumerate(sorted(set(text)))}
    assert tokens_in(tmp_path / "out" / "val.bin").tolist() == [number[each] for each in text[int(len(text) * 0.9) :]]


def test_nanogpts_byte_pairs(shakespeare: Path, bpe: Path, tmp_path: Path) -> None:
    document = prepare_tokens("tiny-shakespeare", tmp_path / "out", folder=shakespeare)
    assert {name: part.tokens for name, part in document.parts.items()} == {"train": 301_966, "val": 36_059}
    text = (shakespeare / "tinyshakespeare" / "input.txt").read_text()
    tokenizer = tokenizer_of(tmp_path / "out")
    assert gpt2_text(tmp_path / "out" / "train.bin", bpe) == text[: int(len(text) * 0.9)]
    assert (tokenizer.name, tokenizer.vocabulary) == ("gpt2", 50257)
    assert document.parts["val"].bytes == len(text[int(len(text) * 0.9) :].encode())


def gpt2_text(path: Path, bpe: Path) -> str:
    from lth.data.tokens.bpe import gpt2

    return gpt2(bpe).decode(tokens_in(path))


def test_what_tokens_json_says(text: Path, tmp_path: Path) -> None:
    prepare_tokens(str(text), tmp_path / "out", "char")
    assert sorted(content_of(tmp_path / "out")) == ["tokens.json", "train.bin", "val.bin"]
    document = json.loads((tmp_path / "out" / "tokens.json").read_text())
    whole = text.read_bytes().decode()
    assert document["format"] == "lth.tokens/1"
    assert document["tokenizer"]["characters"] == "".join(sorted(set(whole)))
    assert "end_of_text" not in document["tokenizer"]
    assert document["split"] == "the first 90 % of the characters are train, the rest val"
    assert (document["source"]["name"], document["source"]["bytes"]) == ("own", text.stat().st_size)
    num_train = len(whole) * 9 // 10
    for part, piece in (("train", whole[:num_train]), ("val", whole[num_train:])):
        noted = document["parts"][part]
        content = (tmp_path / "out" / f"{part}.bin").read_bytes()
        assert noted == {
            "tokens": len(piece), "documents": 0, "bytes": len(piece.encode()),
            "sha256": hashlib.sha256(content).hexdigest(),
        }  # fmt: skip
        assert tokenizer_of(tmp_path / "out").decode(np.frombuffer(content, "<u2")) == piece


@pytest.mark.parametrize("tokens", ["char", "gpt2"])
@pytest.mark.parametrize("kind", ["text", "documents"])
def test_cuts_change_nothing(tokens: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    bpe = request.getfixturevalue("bpe") if tokens == "gpt2" else None
    place = str(request.getfixturevalue(kind))
    found = []
    for size in (1, 300, 1 << 20):
        source = source_of(place, cutting=Cutting(shard_bytes=size))
        prepare_tokens(source, tmp_path / f"{size}", tokens, bpe=bpe, workers=1)
        found.append(content_of(tmp_path / f"{size}"))
        assert len(source.shards) > 20 or size > 1
    assert all(each == found[0] for each in found)


def test_two_workers_equal_one(documents: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        source = source_of(str(documents), cutting=Cutting(shard_bytes=100))
        prepare_tokens(source, tmp_path / f"{workers}", "char", workers=workers)
    assert content_of(tmp_path / "1") == content_of(tmp_path / "2")


def test_documents_end_and_are_held_out(documents: Path, bpe: Path, tmp_path: Path) -> None:
    files = sorted(documents.rglob("*.txt"))
    document = prepare_tokens(str(documents), tmp_path / "out", bpe=bpe, validation=0.1)
    assert {name: part.documents for name, part in document.parts.items()} == {"train": 18, "val": 2}
    pieces = {
        part: gpt2_text(tmp_path / "out" / f"{part}.bin", bpe).split("<|endoftext|>") for part in ("train", "val")
    }
    assert all(some.pop() == "" for some in pieces.values())
    texts = [path.read_bytes().decode() for path in files]
    assert sorted(pieces["train"] + pieces["val"]) == sorted(texts)
    assert pieces["train"] == [each for each in texts if each not in pieces["val"]]
    assert document.split == "10 % of the documents are val (1 at least), drawn by seed 2357"
    small = prepare_tokens(str(documents), tmp_path / "small", "char")
    assert small.parts["val"].documents == 1
    ids = tokens_in(tmp_path / "small" / "val.bin")
    assert tokenizer_of(tmp_path / "small").decode(ids).removesuffix("\n") in texts


SCRIPT = """
import sys
from pathlib import Path
from lth.data.tokens import Cutting, prepare_tokens, source_of
if __name__ == "__main__":
    source = source_of(sys.argv[1], cutting=Cutting(shard_bytes=2000))
    prepare_tokens(source, Path(sys.argv[2]), "char", workers=2)
"""


def test_goes_on_after_a_kill(tmp_path: Path) -> None:
    text = tmp_path / "long.txt"
    text.write_bytes((WORDS * 4_000).encode())
    (tmp_path / "script.py").write_text(SCRIPT)
    out = tmp_path / "out"
    command = [sys.executable, str(tmp_path / "script.py"), str(text), str(out)]
    child = subprocess.Popen(command, start_new_session=True)
    while len(list(out.glob("incoming/*.npz"))) < 3:
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    for _ in range(1000):  # its workers end with it
        try:
            os.killpg(child.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    else:
        os.killpg(child.pid, signal.SIGKILL)
        pytest.fail("workers outlive their parent")
    assert not (out / "tokens.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("incoming/*.npz")}
    source = source_of(str(text), cutting=Cutting(shard_bytes=2000))
    assert 3 <= len(kept) < len(source.shards)
    seen: list[Progress] = []
    prepare_tokens(source, out, "char", workers=1, progress=seen.append)
    assert seen[0].doing == "tokenising"  # the characters were known already
    assert seen[0].share == pytest.approx(len(kept) / len(source.shards))
    assert (seen[-1].share, seen[-1].seconds_left) == (1, 0)
    prepare_tokens(source_of(str(text)), tmp_path / "fresh", "char", workers=1)
    assert content_of(out) == content_of(tmp_path / "fresh")


def test_a_damaged_piece_is_named(text: Path, tmp_path: Path) -> None:
    source, out = source_of(str(text), cutting=Cutting(shard_bytes=300)), tmp_path / "out"

    class Interrupted(Exception): ...

    def stop(progress: Progress) -> None:
        if progress.doing == "tokenising" and progress.share == 1:
            raise Interrupted

    with pytest.raises(Interrupted):
        prepare_tokens(source, out, "char", workers=1, progress=stop)
    piece = out / "incoming" / "0000001.npz"
    whole = piece.read_bytes()
    piece.write_bytes(whole[:-50])
    with pytest.raises(ValueError, match=r"0000001\.npz is damaged .*: remove it, and give the same command again"):
        prepare_tokens(source, out, "char")
    piece.unlink()
    prepare_tokens(source, out, "char", workers=1)
    prepare_tokens(str(text), tmp_path / "fresh", "char")
    assert content_of(out) == content_of(tmp_path / "fresh")


def test_what_is_there_is_kept(text: Path, documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = prepare_tokens(str(text), out, "char")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert prepare_tokens(str(text), out, "char") == first == read_document(out)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    with pytest.raises(ValueError, match="out holds char tokens of another source"):
        prepare_tokens(str(documents), out, "char")
    (out / "tokens.json").unlink()
    with pytest.raises(ValueError, match=r"out holds \.bin files that are not of `lth data prepare`"):
        prepare_tokens(str(text), out, "char")


def test_a_source_that_changed_is_not_gone_on_with(text: Path, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_tokens(str(text), tmp_path / "out", "char", progress=stop)
    text.write_bytes(text.read_bytes() + b"more")
    with pytest.raises(ValueError, match="pieces of another preparation"):
        prepare_tokens(str(text), tmp_path / "out", "char")


def test_one_at_a_time(text: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "incoming").mkdir(parents=True)
    lock = FileLock(tmp_path / "out" / "incoming" / "lock")
    with lock, pytest.raises(ValueError, match="is being prepared by another process"):
        prepare_tokens(text, tmp_path / "out", "char")
    assert prepare_tokens(text, str(tmp_path / "out"), "char").source["name"] == "own"


def test_bad_input(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown tokens 'gpt3'\. Did you mean 'gpt2'\? Choices: char, gpt2"):
        prepare_tokens(str(text), tmp_path / "out", "gpt3")
    with pytest.raises(ValueError, match="0 workers cannot work"):
        prepare_tokens(str(text), tmp_path / "out", "char", workers=0)
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="is no share to hold out"):
            prepare_tokens(str(text), tmp_path / "out", "char", validation=share)
    assert not (tmp_path / "out").exists()
    text.write_bytes(b"plain and " * 500 + "Köln".encode("latin-1") + b" plain" * 500)
    with pytest.raises(ValueError, match=r"own\.txt is no UTF-8 \(byte 5001\)"):
        prepare_tokens(source_of(str(text), cutting=Cutting(shard_bytes=1000)), tmp_path / "bad", "char", workers=1)
    text.write_text("".join(map(chr, range(0x10000, 0x20001))))
    with pytest.raises(ValueError, match="65,537 different characters: a token is a uint16"):
        prepare_tokens(str(text), tmp_path / "many", "char", workers=1)
