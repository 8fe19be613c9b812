"""Large vocabularies are trained without all logits: the same numbers but for rounding, small ones as ever."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trainings import (
    FolderJournal,
    Make,
    assert_close,
    assert_same,
    language_model,
    member,
    run,
    short_training,
    token_net,
    tokens,
)

from lth.models import Gpt2
from lth.tasks import LanguageModel, chunks
from lth.training import Interrupted, Where
from lth.training.engines.passes import chunk_losses
from lth.training.engines.torch_engine import TorchEngine
from lth.training.population import Population

gpt2: Make = partial(Gpt2, 11, 7, n_layer=1, n_head=2, n_embd=8, dropout=0.1)
TRAINING = short_training(task=language_model(), precision="float64", optimizer="adamw", weight_decay=0.1, clip=0.3)


def engine(make: Make, size: int = 1, **fields: Any) -> TorchEngine:
    members = [member(make, seed) for seed in range(size)]
    training = short_training(task=language_model(), **fields)
    return TorchEngine(members, make(), tokens(), training, Where())


def trained(**where: Any) -> Any:
    return run([member(gpt2, 1)], gpt2(), TRAINING, parts=tokens(), **where)


@pytest.mark.parametrize("micro_batch", [None, 7])
def test_a_training_in_chunks(micro_batch: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks, clip and the draws of dropout are the same; the signature says what differs."""
    usual = trained(micro_batch=micro_batch)
    monkeypatch.setattr(chunks, "MOST_LOGITS", 4 * 11)
    outcomes = trained(micro_batch=micro_batch)
    assert_close(outcomes[0], usual[0])
    assert outcomes[0].signature == usual[0].signature.replace("/cpu/1", "/cpu/1/chunked")
    assert_same(outcomes, trained(micro_batch=micro_batch))


def test_it_goes_on_from_a_training_with_all_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a pass is cut follows from its size, which another number of processes changes."""
    usual = trained()
    with pytest.raises(Interrupted):
        trained(journal=FolderJournal(tmp_path, 7), snapshot_seconds=0.0)
    monkeypatch.setattr(chunks, "MOST_LOGITS", 4 * 11)
    resumed = trained(journal=FolderJournal(tmp_path))
    assert resumed[0].num_steps == 5
    assert_close(resumed[0], usual[0])


def test_only_where_it_pays_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 windows of 7 tokens have 1,540 logits; a stack is under `vmap`; other networks give nothing but logits."""
    assert "chunked" not in engine(gpt2).signature
    for most, cut in ((1540, False), (1539, True)):
        monkeypatch.setattr(chunks, "MOST_LOGITS", most)
        assert ("chunked" in engine(gpt2).signature) == cut
    assert "chunked" not in engine(gpt2, size=2).signature
    assert "chunked" not in engine(token_net).signature


def test_what_overrides_keeps_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task with another loss, a network with another output: nothing is computed past them."""
    monkeypatch.setattr(chunks, "MOST_LOGITS", 1)

    @dataclass(frozen=True)
    class Squared(LanguageModel):
        def loss(self, outputs: Tensor, batch: Any) -> Tensor:
            return super().loss(outputs, batch) ** 2

    class Doubled(Gpt2):
        def forward(self, tokens: Tensor) -> Tensor:  # type: ignore[override]
            return 2 * super().forward(tokens)

    doubled = partial(Doubled, 11, 7, n_layer=1, n_head=2, n_embd=8)
    batch = tokens()["train"].take(torch.arange(20), torch.device("cpu"))
    cases: list[tuple[Make, LanguageModel]] = [
        (gpt2, LanguageModel(11)), (gpt2, Squared(11)), (doubled, LanguageModel(11))
    ]  # fmt: skip
    done = []
    for make, task in cases:
        module: nn.Module = make()
        done.append(chunk_losses(Population(module, [member(make, 1)], torch.device("cpu"), "float32", task), batch))
    assert done == [["chunked"], [], []]
