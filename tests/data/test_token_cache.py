"""Tokens that are kept: read back the same, made anew where the file is damaged."""

from pathlib import Path

import pytest
import torch

from lth.data import token_cache
from lth.data.places import cache
from lth.data.token_cache import kept_tokens

TENSORS = {"tokens": torch.arange(100, dtype=torch.int32), "starts": torch.tensor([0, 40, 100])}


def never() -> dict[str, torch.Tensor]:
    raise AssertionError("made anew")


def files() -> list[Path]:
    return sorted((cache() / "tokens").glob("*"))


def test_what_is_kept_is_read_back_by_the_same_text_alone() -> None:
    kept_tokens("text", 5_000, lambda: TENSORS)
    found = kept_tokens("text", 5_000, never)
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)
    with pytest.raises(AssertionError, match="made anew"):
        kept_tokens("another text", 5_000, never)
    assert len(files()) == 1


def test_few_examples_are_not_kept() -> None:
    kept_tokens("text", 4_999, lambda: TENSORS)
    assert files() == []


@pytest.mark.parametrize("where", [-1, -200, 20])
def test_a_damaged_file_is_named_and_made_anew(where: int) -> None:
    kept_tokens("text", 5_000, lambda: TENSORS)
    [file] = files()
    content = bytearray(file.read_bytes())
    content[where] ^= 1
    file.write_bytes(content)
    with pytest.warns(UserWarning, match=r"\.safetensors is damaged .*made anew"):
        found = kept_tokens("text", 5_000, lambda: TENSORS)
    assert torch.equal(found["tokens"], TENSORS["tokens"])
    assert torch.equal(kept_tokens("text", 5_000, never)["starts"], TENSORS["starts"])


def test_a_cache_that_cannot_be_written_costs_time_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(token_cache, "cache", lambda: tmp_path / "file")
    assert kept_tokens("text", 5_000, lambda: TENSORS) == TENSORS
