"""A batch cut into parts is one batch: the mean is over what counts, however it is spread over the parts."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trainings import (
    Make,
    assert_close,
    classification,
    diabetes_net,
    digits,
    language_model,
    member,
    run,
    short_training,
    small_net,
    token_net,
    tokens,
)

from lth.config import TaskSpec
from lth.data import Arrays, Parts, load_data, split
from lth.tasks.token_targets import IGNORED

CASES: dict[str, tuple[Make, TaskSpec, Parts]] = {
    "classification": (small_net, classification(), digits()),
    "squares": (small_net, classification(minimise="mean_squared_error"), digits()),
    "regression": (diabetes_net, TaskSpec(name="regression"), split(load_data("diabetes"), 40)),
    "language-model": (token_net, language_model(), tokens()),
}


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_parts_of_a_batch_are_the_batch(case: str, size: int) -> None:
    """Clipping comes after all of them; each member of a stack has its own counts."""
    make, task, parts = CASES[case]
    fields: dict[str, Any] = {"task": task, "precision": "float64", "optimizer": "adamw", "weight_decay": 0.1}
    training = short_training(**fields, clip=0.3)
    members = [member(make, seed) for seed in range(size)]
    outcomes = run(members, make(), training, parts=parts, micro_batch=7)
    assert outcomes[0].signature.endswith("/micro-7")
    for outcome, wanted in zip(outcomes, run(members, make(), training, parts=parts), strict=True):
        assert_close(outcome, wanted)


def test_tokens_that_count_are_spread_unevenly() -> None:
    """What the case above is about: with plain means of the parts' means the numbers would be others."""
    batch = tokens()["train"].take(torch.arange(20), torch.device("cpu"))
    counts = [int((part != IGNORED).sum()) for part in batch["y"].chunk(4)]
    assert len(set(counts)) > 1


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("micro_batch", [None, 5])
def test_a_batch_in_which_nothing_counts_moves_nothing(size: int, micro_batch: int | None) -> None:
    parts = tokens()
    batch = parts["train"].take(torch.arange(len(parts["train"])), torch.device("cpu"))
    nothing = {**parts, "train": Arrays({"x": batch["x"], "y": torch.full_like(batch["y"], IGNORED)})}
    training = short_training(task=language_model(), optimizer="sgd", steps=3)
    members = [member(token_net, seed) for seed in range(size)]
    for each, outcome in zip(
        members, run(members, token_net(), training, parts=nothing, micro_batch=micro_batch), strict=True
    ):
        assert outcome.history.diverged_at is None
        assert all(torch.equal(value, each.start[name]) for name, value in outcome.weights.items())


def test_memory_is_that_of_a_part() -> None:
    """No pass sees more examples than a part has."""
    seen: list[int] = []

    class Noting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = small_net()

        def forward(self, inputs: Tensor) -> Tensor:
            if self.training:
                seen.append(len(inputs))
            return self.layers(inputs)

    run([member(Noting, 1)], Noting(), short_training(steps=2), micro_batch=4)
    assert seen == [4] * 10


def test_batch_norms_are_trained_in_whole_batches() -> None:
    def normed() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))

    with pytest.raises(ValueError, match="batch norms, whose statistics are of whole batches"):
        run([member(normed, 1)], normed(), short_training(steps=2), micro_batch=4)
