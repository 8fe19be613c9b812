"""Text with hidden tokens: which are asked for, what stands in their place, and what is refused."""

from pathlib import Path

import pytest
import torch

from lth.data import OWN, Data, Rows, default_validation, load_data, needs_tokens, tokenised
from lth.tasks import Batch

WORDS = [f"w{number}" for number in range(100)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]))
    words = [WORDS[(7 * number + number // 100) % 100] for number in range(20_000)]
    (tmp_path / "own.txt").write_text("\n".join(" ".join(words[start : start + 50]) for start in range(0, 20_000, 50)))
    return tmp_path


def load(folder: Path, arguments: str = "") -> Data:
    return tokenised(load_data(f"masked-text:file=own.txt,block=22{arguments}", folder), folder / "vocab.txt")


def every(data: Data, part: str) -> Batch:
    examples = data.parts[part]
    return examples.take(torch.arange(len(examples)), torch.device("cpu"))


def test_what_is_hidden_and_what_is_asked(folder: Path) -> None:
    data = load(folder, ",copies=3")
    assert {part: len(some) for part, some in data.parts.items()} == {"train": 2400, "validation": 100, "test": 100}
    assert (data.facts, data.task) == ({"vocabulary": 105, "length": 22}, "masked-language-model")
    batch = every(data, "train")
    ids, y = batch["input_ids"], batch["y"]
    asked = y != -100
    assert asked.sum(1).unique().tolist() == [3]  # 15 % of 20
    assert not asked[:, [0, 21]].any()
    assert ids[:, 0].unique().tolist() == [2]
    assert ids[:, 21].unique().tolist() == [3]
    whole = torch.where(asked, y, ids).view(3, 800, 22)
    assert torch.equal(whole[0], whole[1])  # the copies are of the same text
    assert not torch.equal(asked.view(3, 800, 22)[0], asked.view(3, 800, 22)[1])
    words = [WORDS[(7 * number + number // 100) % 100] for number in range(20)]
    assert whole[0, 0, 1:21].tolist() == [5 + WORDS.index(word) for word in words]
    shown, wanted = ids[asked], y[asked]
    assert float((shown == 4).double().mean()) == pytest.approx(0.8, abs=0.02)
    assert float((shown == wanted).double().mean()) == pytest.approx(0.1, abs=0.02)
    assert int(wanted.min()) >= 5


def test_the_draw_follows_from_the_seed(folder: Path) -> None:
    assert load(folder).digest == load(folder).digest
    assert load(folder).digest != load(folder, ",seed=1").digest
    assert default_validation(load(folder)) == OWN
    raw = load_data("masked-text:file=own.txt,block=22", folder)
    assert needs_tokens(raw)
    assert isinstance(load(folder).parts["train"], Rows)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("masked-text", "needs a text: write masked-text:file=PATH.txt"),
        ("masked-text:file=none.txt", "none.txt cannot be read as a text in UTF-8"),
        ("masked-text:file=own.txt,share=1.5", r"share=1.5 .* share between 0 and 1"),
        ("masked-text:file=own.txt,block=3", "block from 4"),
        ("masked-text:file=own.txt,copies=0", "copies from 1"),
        ("masked-text:file=own.txt,block=5000", "has 4 windows of 5000 tokens; 10 are the least"),
    ],
)
def test_what_is_refused(source: str, message: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=message):
        tokenised(load_data(source, folder), folder / "vocab.txt")


def test_a_tokenizer_without_a_mask_is_refused(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL[:4], *WORDS]))
    with pytest.raises(ValueError, match=r"none of the tokens \[MASK\]"):
        load(folder)
