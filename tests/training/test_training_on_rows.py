"""Training on rows of tokens of different lengths, in batches of similar length."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from trainings import FolderJournal, assert_same, classification, member, run, short_training

from lth.data import Parts, Rows, Subset
from lth.training import Interrupted, Where
from lth.training.engines.torch_engine import TorchEngine


def parts(is_bucketed: bool = True) -> Parts:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(2, 20, (60,), generator=generator)
    tokens = torch.randint(1, 11, (int(lengths.sum()),), generator=generator, dtype=torch.int32)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    rows = Rows(tokens, starts, torch.arange(60) % 2, is_bucketed=is_bucketed)
    held = {"validation": Subset(rows, torch.arange(40, 50)), "test": Subset(rows, torch.arange(50, 60))}
    return {"train": Subset(rows, torch.arange(40)), **held}


class Reader(nn.Module):
    """The mean over the tokens of each row."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(6, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(row, position) to (row, class)."""
        counts = attention_mask[..., None].to(self.head.weight.dtype)
        mean = (self.embedding(input_ids) * counts).sum(-2) / counts.sum(-2)
        return self.head(self.dropout(mean))  # type: ignore[no-any-return]


TRAINING = short_training(task=classification(2), optimizer="adam", batch_size=8)  # 5 steps an epoch


def test_batches_hold_rows_of_similar_length() -> None:
    padding = {}
    for is_bucketed in (True, False):
        engine = TorchEngine([member(Reader, 1)], Reader(), parts(is_bucketed), TRAINING, Where())
        masks = [engine._batch(step)["attention_mask"] for step in range(5)]
        assert sum(int(mask.sum()) for mask in masks) == int(parts()["train"].lengths.sum())  # an epoch has all
        padding[is_bucketed] = sum(int((1 - mask).sum()) for mask in masks)
    assert padding[True] < 0.5 * padding[False]


def test_a_stack_has_one_width_at_a_step() -> None:
    members = [member(Reader, seed) for seed in (1, 2, 3)]
    together = TorchEngine(members, Reader(), parts(), TRAINING, Where())
    for index, each in enumerate(members):
        alone = TorchEngine([each], Reader(), parts(), TRAINING, Where())
        for step in (0, 7):
            batch, own = together._batch(step), alone._batch(step)
            width = own["input_ids"].shape[1]
            assert torch.equal(batch["input_ids"][index][:, :width], own["input_ids"])
            assert int(batch["attention_mask"][index][:, width:].sum()) == 0


def test_stop_and_resume_is_never_stopping(tmp_path: Path) -> None:
    members = [member(Reader, seed) for seed in (1, 2)]
    whole = run(members, Reader(), TRAINING, parts=parts())
    with pytest.raises(Interrupted):
        run(members, Reader(), TRAINING, parts=parts(), journal=FolderJournal(tmp_path, stop_at=7),
            snapshot_seconds=0.0)  # fmt: skip
    resumed = run(members, Reader(), TRAINING, parts=parts(), journal=FolderJournal(tmp_path), snapshot_seconds=0.0)
    assert_same(whole, resumed)


def test_metrics_are_those_of_rows_one_by_one() -> None:
    engine = TorchEngine([member(Reader, 1)], Reader(), parts(), TRAINING, Where())
    found = engine.evaluate("test")[0]
    population, test = engine.population, parts()["test"]
    logits = [population.run(0, test.take(torch.tensor([place]), population.device)) for place in range(10)]
    y = torch.arange(50, 60) % 2
    assert found["loss"] == pytest.approx(torch.nn.functional.cross_entropy(torch.cat(logits), y).item(), abs=1e-6)
    assert found["accuracy"] == pytest.approx((torch.cat(logits).argmax(1) == y).float().mean().item())
