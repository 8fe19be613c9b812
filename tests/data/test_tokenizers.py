"""Tokenizers: characters, and GPT-2's byte pairs by tiktoken."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth.data import Tokenizer, load_text, tokenizer_of
from lth.data.tokens.bpe import CHECKSUM, Gpt2Tokenizer, gpt2, locate_bpe
from lth.data.tokens.characters import Characters, different_characters

Serve = Callable[[Path], Any]
TEXT = "Äpfel fallen,\r\n  wenn sie reif sind; don't they'll 123 ñ🙂\n\n"


@pytest.fixture
def bpe(real_data_dir: Path) -> Path:
    pytest.importorskip("tiktoken")
    if not (real_data_dir / "gpt2" / "encoder.json").is_file():
        pytest.skip(f"no real data: {real_data_dir}/gpt2/encoder.json is absent")
    return real_data_dir / "gpt2"


@given(st.text(min_size=1))
def test_characters_round_trip(text: str) -> None:
    tokenizer = Characters(different_characters([text[: len(text) // 2], text]))
    ids = tokenizer.encode(text)
    assert tokenizer.characters == "".join(sorted(set(text)))
    assert ids.dtype == np.uint16
    assert [tokenizer.characters[each] for each in ids] == list(text)
    assert tokenizer.decode(ids) == text
    assert pickle.loads(pickle.dumps(tokenizer)) == tokenizer


def test_what_characters_cannot_be() -> None:
    tokenizer = Characters("\nab", has_documents=True)
    assert (tokenizer.end_of_text, Characters("\nab").end_of_text, tokenizer.vocabulary) == (0, None, 3)
    with pytest.raises(ValueError, match="character 'x' at position 2 is none of the 3 known"):
        tokenizer.encode("abx")
    with pytest.raises(ValueError, match="token 3 is none of this vocabulary: ids are 0 to 2"):
        tokenizer.decode(np.array([0, 3], dtype=np.uint16))
    with pytest.raises(ValueError, match="not in the order of Unicode"):
        Characters("ba")
    with pytest.raises(ValueError, match=r"65,537 different characters: .* Use --tokens gpt2"):
        Characters("".join(map(chr, range(0x10000, 0x20001))))
    assert Characters("".join(map(chr, range(0x10000, 0x20000)))).vocabulary == 1 << 16


def test_gpt2s_own_numbers(bpe: Path) -> None:
    tokenizer = gpt2(bpe)
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.encode("Hello world").tolist() == [15496, 995]
    assert tokenizer.encode("").tolist() == []
    assert (tokenizer.vocabulary, tokenizer.end_of_text, tokenizer.digest) == (50257, 50256, CHECKSUM)
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    assert tokenizer.decode(np.array([50256], dtype=np.uint16)) == "<|endoftext|>"
    assert tokenizer.encode("<|endoftext|>").max() < 50256  # text is text
    with pytest.raises(ValueError, match="token 50257 is none of this vocabulary"):
        tokenizer.decode(np.array([50257], dtype=np.uint16))
    assert pickle.loads(pickle.dumps(tokenizer)) == tokenizer


def test_as_tiktoken_builds_it_from_both_files(bpe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    ranks = data_gym_to_mergeable_bpe_ranks(str(bpe / "vocab.bpe"), str(bpe / "encoder.json"))
    published = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
    theirs = tiktoken.Encoding("theirs", pat_str=published, mergeable_ranks=ranks, special_tokens={})
    for text in (TEXT, "a  b \t\n c", "x'll  ", "  \n", "ab\u00a0c\u3000d", "12ab'S"):
        assert gpt2(bpe).encode(text).tolist() == theirs.encode_ordinary(text)


def test_found_where_people_keep_it(bpe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (bpe / "encoder.json").read_bytes()
    assert locate_bpe(tmp_path) is None
    (tmp_path / "vocab.json").write_text("{}")  # of something else: passed over
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "gpt2" / "vocab.json").write_bytes(content)
    assert locate_bpe(tmp_path) == tmp_path / "gpt2" / "vocab.json"
    assert gpt2(folder=tmp_path).encode(" world").tolist() == [995]
    with pytest.raises(ValueError, match=r"GPT-2's encoder\.json is not at hand"):
        Gpt2Tokenizer().encode("a")
    monkeypatch.setenv("LTH_DATA_DIR", str(tmp_path))
    assert Gpt2Tokenizer().encode(" world").tolist() == [995]
    with pytest.raises(ValueError, match=r"vocab\.json is not GPT-2's \(wrong checksum\)"):
        gpt2(tmp_path)
    with pytest.raises(ValueError, match=r"has neither encoder\.json nor vocab\.json"):
        gpt2(tmp_path / "nowhere")


def test_downloaded_once(bpe: Path, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "served" / "gpt2").mkdir(parents=True)
    (tmp_path / "served" / "gpt2" / "encoder.json").write_bytes((bpe / "encoder.json").read_bytes())
    server = serve(tmp_path / "served")
    monkeypatch.setenv("LTH_MIRROR", server.url)
    for _ in range(2):
        assert gpt2(folder=tmp_path / "new").file == tmp_path / "new" / "gpt2" / "encoder.json"
    assert server.requested == ["/gpt2/encoder.json"]


def test_without_tiktoken_one_line_says_so(bpe: Path) -> None:
    code = (
        "import sys; sys.modules['tiktoken'] = None\nfrom pathlib import Path\nfrom lth.data.tokens.bpe import gpt2\n"
        f"try:\n    gpt2(Path({str(bpe)!r}))\nexcept ValueError as error:\n    print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=200).stdout
    assert shown.strip() == "GPT-2's tokens need the package tiktoken: pip install 'lth[tokens]'"


def test_a_text_file_knows_its_characters(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes((TEXT * 20).encode())
    data = load_text(tmp_path / "own.txt", 8)
    tokens = data.parts["test"].tokens  # type: ignore[attr-defined]
    assert (TEXT * 20).endswith(tokenizer_of(data).decode(tokens))
    assert tokenizer_of(pickle.loads(pickle.dumps(data))) == tokenizer_of(data)
