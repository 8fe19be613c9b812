"""Folders of tokens as data: lth's own and nanoGPT's, memory-mapped, known to workers by path."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lth
from lth.config import TaskSpec
from lth.data import (
    Windows,
    default_validation,
    epoch_order,
    load_data,
    load_tokens,
    prepare_tokens,
    split,
    tokenizer_of,
)
from lth.data.tokens.bpe import Gpt2Tokenizer
from lth.data.tokens.document import PartDocument, TokensDocument, document_of
from lth.data.tokens.folder import check_content
from lth.tasks import make_task

TEXT = "Ein Zug fährt ein, ein Zug fährt aus. " * 200
CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of `lth data prepare`."""
    (tmp_path / "own.txt").write_text(TEXT)
    prepare_tokens(str(tmp_path / "own.txt"), tmp_path / "tokens", "char")
    return tmp_path / "tokens"


@pytest.fixture
def nanogpt(tmp_path: Path) -> Path:
    """A folder as nanoGPT writes it, with a pickle that would leave a file behind."""
    (tmp_path / "nano").mkdir()
    generator = np.random.default_rng(0)
    for part, size in (("train", 4000), ("val", 500)):
        generator.integers(0, 65, size).astype(np.uint16).tofile(tmp_path / "nano" / f"{part}.bin")
    return tmp_path / "nano"


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_parts_and_facts(folder: Path) -> None:
    data = load_tokens(folder, block=16)
    num_train = len(TEXT) * 9 // 10
    assert (data.name, data.task) == ("tokens", "language-model")
    val = TEXT[num_train:]
    assert data.facts == {
        "vocabulary": len(set(TEXT)), "block": 16, "bytes_per_token": len(val.encode()) / len(val),
    }  # fmt: skip
    assert {part: len(some) for part, some in data.parts.items()} == {
        "train": (num_train - 1) // 16, "test": (len(val) - 1) // 16,
    }  # fmt: skip
    batch = data.parts["train"].take(torch.tensor([3, 0]), CPU)
    assert tokenizer_of(data).decode(batch["x"][0].numpy()) == TEXT[48:64]
    assert tokenizer_of(data).decode(batch["y"][0].numpy()) == TEXT[49:65]
    parts = split(data, default_validation(data), seed=0)
    assert len(parts["validation"]) + len(parts["train"]) == (num_train - 1) // 16
    task = make_task(TaskSpec(name="language-model", arguments=dict(vocabulary=3, bytes_per_token=1.5)))
    assert "bits_per_byte" in [metric.name for metric in task.metrics]


def test_by_path_with_arguments(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = load_tokens(folder, 16).digest
    assert load_data(f"{folder}:block=16").digest == wanted
    assert load_data("tokens:block=16", folder.parent).digest == wanted
    monkeypatch.chdir(folder)
    assert lth.load_data(".:block=16").digest == wanted
    assert load_data(".").name == "tokens"
    assert load_data(str(folder)).digest != wanted
    monkeypatch.chdir(folder.parent)
    (folder.parent / "digits").mkdir()
    assert load_data("digits").name == "digits"  # a name is a name; ./digits is the folder
    with pytest.raises(ValueError, match=r"train\.bin is missing: a folder of tokens has train\.bin and val\.bin"):
        load_data("./digits")


def test_a_test_part_leaves_val_for_validation(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for part, size in (("train", 900), ("valid", 400), ("test", 300)):
        (tmp_path / "parts" / f"wiki.{part}.raw").write_text(TEXT[:size])
    prepare_tokens(str(tmp_path / "parts"), tmp_path / "out", "char")
    data = load_tokens(tmp_path / "out", 10)
    assert {part: len(some) for part, some in data.parts.items()} == {"train": 89, "validation": 39, "test": 29}
    assert default_validation(data) == "own"
    assert data.facts["bytes_per_token"] == len(TEXT[:300].encode()) / 300


def test_workers_get_a_path(folder: Path) -> None:
    data = load_tokens(folder, 16)
    pickled = pickle.dumps(data)
    assert str(folder).encode() in pickled
    assert len(pickled) < 3000 < len(TEXT)
    train = pickle.loads(pickled).parts["train"]
    assert isinstance(train, Windows)
    assert isinstance(train.tokens, np.memmap)
    assert train.num_bytes == 0
    assert pickle.loads(pickled).digest == data.digest


def test_an_epoch_follows_from_the_seed_in_any_process(folder: Path) -> None:
    code = (
        "import torch\nfrom lth.data import epoch_order, load_data\n"
        f"train = load_data('{folder}:block=16').parts['train']\n"
        "order = epoch_order(len(train), 5, 3)[100:104]\n"
        "print(train.take(order, torch.device('cpu'))['x'].tolist())"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=200).stdout
    train = load_tokens(folder, 16).parts["train"]
    order = epoch_order(len(train), 5, 3)
    assert json.loads(shown) == train.take(order[100:104], CPU)["x"].tolist()
    seen = train.take(order, CPU)["x"]
    assert torch.equal(seen[order.argsort()], train.take(torch.arange(len(train)), CPU)["x"])


@pytest.mark.filterwarnings("ignore:.*no tokens.json")
def test_nanogpts_own_folder(nanogpt: Path, tmp_path: Path) -> None:
    data = load_tokens(nanogpt, 32)
    train = np.fromfile(nanogpt / "train.bin", dtype="<u2")
    assert data.facts == {"vocabulary": 65, "block": 32}
    assert data.parts["train"].take(torch.tensor([2]), CPU)["x"][0].tolist() == train[64:96].tolist()
    with pytest.raises(ValueError, match=r"what the tokens of .*nano stand for is not known"):
        tokenizer_of(nanogpt)
    with pytest.raises(ValueError, match="what the tokens of nano stand for is not known"):
        tokenizer_of(data)
    assert data.digest == load_tokens(nanogpt, 32).digest
    train[-1] = 64 - train[-1]
    train.tofile(nanogpt / "train.bin")
    assert data.digest != load_tokens(nanogpt, 32).digest
    train[7] = 256
    train.tofile(nanogpt / "train.bin")
    assert load_tokens(nanogpt, 32).facts["vocabulary"] == 50257
    train[7] = 50257
    train.tofile(nanogpt / "train.bin")
    assert load_tokens(nanogpt, 32).facts["vocabulary"] == 50258
    train[7] = 300
    train.tofile(nanogpt / "train.bin")
    (nanogpt / "meta.pkl").write_bytes(b"characters")
    assert load_tokens(nanogpt, 32).facts["vocabulary"] == 301
    assert sorted(path.name for path in nanogpt.iterdir()) == ["meta.pkl", "train.bin", "val.bin"]


def test_meta_pkl_is_never_unpickled(nanogpt: Path, tmp_path: Path) -> None:
    (nanogpt / "meta.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.warns(UserWarning, match=r"no tokens\.json, and its meta\.pkl is not read .* is unknown"):
        load_tokens(nanogpt, 32)
    assert not (tmp_path / "sprung").exists()


def test_the_same_tokens_have_one_digest_with_and_without_tokens_json(folder: Path) -> None:
    wanted = load_tokens(folder, 16).digest
    (folder / "tokens.json").unlink()
    assert load_tokens(folder, 16).digest == wanted


def test_damage_is_named(folder: Path) -> None:
    document = json.loads((folder / "tokens.json").read_text())
    content = (folder / "val.bin").read_bytes()
    (folder / "val.bin").write_bytes(content[:-2])
    with pytest.raises(ValueError, match=r"val\.bin has 1,518 bytes, and tokens\.json says 1,520: it is truncated"):
        load_tokens(folder)
    (folder / "val.bin").write_bytes(content[:-2] + b"\1\0")
    load_tokens(folder)  # its size is right, and reading all of it takes long
    with pytest.raises(ValueError, match=r"val\.bin is not as tokens\.json says \(wrong checksum\)"):
        check_content(folder, lth.data.tokens.document.read_document(folder))  # type: ignore[arg-type]
    (folder / "val.bin").unlink()
    with pytest.raises(ValueError, match=r"val\.bin is missing"):
        load_tokens(folder)
    (folder / "tokens.json").write_text(json.dumps(document | {"format": "lth.tokens/2"}))
    with pytest.raises(ValueError, match=r"has the format 'lth\.tokens/2'; 'lth\.tokens/1' is read here"):
        load_tokens(folder)
    (folder / "tokens.json").write_text("[1]")
    with pytest.raises(ValueError, match="has the format None"):
        load_tokens(folder)
    (folder / "tokens.json").write_text('{"format": ')
    with pytest.raises(ValueError, match=r"tokens\.json cannot be read"):
        load_tokens(folder)
    (folder / "tokens.json").write_text(json.dumps(document | {"parts": {"train": {"tokens": "many"}}}))
    with pytest.raises(ValueError, match=r"tokens\.json is damaged \(parts\.train\.tokens: "):
        load_tokens(folder)
    document["tokenizer"]["characters"] = "abc"
    (folder / "tokens.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="the tokenizer 'char' has another digest"):
        tokenizer_of(folder)


def test_files_that_are_no_tokens(nanogpt: Path) -> None:
    whole = (nanogpt / "val.bin").read_bytes()
    (nanogpt / "val.bin").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"val\.bin has 999 bytes, an odd number: tokens are uint16"):
        load_tokens(nanogpt)
    (nanogpt / "val.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"val\.bin is empty"):
        load_tokens(nanogpt)
    (nanogpt / "val.bin").write_bytes(whole)
    with pytest.raises(ValueError, match=r"val\.bin has 500 tokens: fewer than one window of 500"):
        load_tokens(nanogpt, 500)
    with pytest.raises(ValueError, match="block is 0: an example has 1 token or more"):
        load_tokens(nanogpt, 0)
    (nanogpt / "train.bin").unlink()
    with pytest.raises(ValueError, match=r"train\.bin is missing"):
        load_tokens(nanogpt)


def test_nine_billion_tokens_are_only_mapped(tmp_path: Path) -> None:
    """The files are sparse: they take no room on the disk."""
    (tmp_path / "big").mkdir()
    document = TokensDocument(
        format="lth.tokens/1",
        tokenizer=document_of(Gpt2Tokenizer()),
        parts={
            part: PartDocument(tokens=tokens, documents=0, bytes=4 * tokens, sha256="0" * 64)
            for part, tokens in (("train", 9_000_000_000), ("val", 4_000_000))
        },
        source={},
        split="",
    )
    (tmp_path / "big" / "tokens.json").write_text(document.model_dump_json(exclude_none=True))
    for part, noted in document.parts.items():
        with open(tmp_path / "big" / f"{part}.bin", "wb") as file:
            file.seek(2 * noted.tokens - 6)
            file.write(b"\1\0\2\0\3\0")
    data = load_tokens(tmp_path / "big", 1024)
    train = pickle.loads(pickle.dumps(data)).parts["train"]
    assert isinstance(train, Windows)
    assert (len(train), len(train.tokens), train.num_bytes) == (8_789_062, 9_000_000_000, 0)
    assert train.tokens[-3:].tolist() == [1, 2, 3]
    batch = train.take(epoch_order(len(train), 0, 0)[:64], CPU)
    assert batch["x"].shape == (64, 1024)
    assert int(batch["y"].sum()) == 0


def test_windows_may_overlap_or_leave_gaps() -> None:
    tokens = np.arange(50, dtype=np.uint16)
    whole = Windows(tokens, 8)
    assert Windows(tokens, 8, stride=8).digest == whole.digest
    for stride, number in ((8, 6), (3, 14), (20, 3), (1, 42)):
        windows = Windows(tokens, 8, stride)
        assert len(windows) == number
        last = windows.take(torch.tensor([number - 1]), CPU)
        start = stride * (number - 1)
        assert last["x"].tolist() == [list(range(start, start + 8))]
        assert last["y"].tolist() == [list(range(start + 1, start + 9))]
        assert start + 8 + stride > 49
        assert len(pickle.loads(pickle.dumps(windows))) == number
        assert (windows.digest == whole.digest) == (stride == 8)
    with pytest.raises(ValueError, match="stride is 0"):
        Windows(tokens, 8, 0)
