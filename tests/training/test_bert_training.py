"""BERT of `transformers` under the engine: stacked, cut into parts, stopped, in bfloat16, shared out over ranks."""

import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from trainings import FolderJournal, assert_close, assert_same, member, run, short_training

from lth.config import TaskSpec
from lth.data import Examples, Parts
from lth.data.order import seeded_generator
from lth.data.rows import Rows
from lth.models.bert import bert
from lth.training import Interrupted

pytest.importorskip("transformers")

TASK = TaskSpec(name="sequence-classification", arguments={"num_classes": 2})
SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16}


@cache
def rows() -> Parts:
    """Rows of 2 to 12 tokens of 11; the class says whether the first is odd."""
    generator = seeded_generator("rows of a test")
    parts: dict[str, Examples] = {}
    for name, number in (("train", 100), ("validation", 30), ("test", 30)):
        starts = torch.zeros(number + 1, dtype=torch.int64)
        starts[1:] = torch.randint(2, 13, (number,), generator=generator).cumsum(0)
        tokens = torch.randint(1, 11, (int(starts[-1]),), generator=generator, dtype=torch.int32)
        types = torch.zeros(len(tokens), dtype=torch.uint8)
        parts[name] = Rows(tokens, starts, tokens[starts[:-1]].long() % 2, types)
    return parts


def still() -> nn.Module:
    """A BERT that draws nothing in its passes."""
    return bert(11, 2, **SMALL, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def drawing() -> nn.Module:
    """A BERT with dropout in layers and attention."""
    return bert(11, 2, **SMALL)


def training(**fields: Any) -> Any:
    usual = {"task": TASK, "optimizer": "adamw", "weight_decay": 0.1, "clip": 0.5, "batch_size": 10, "steps": 8}
    return short_training(**{**usual, "evaluate_every": 4, **fields})


@pytest.mark.filterwarnings("error")  # a stack that falls back to one after the other says so
def test_stacked_members_are_each_what_it_is_alone() -> None:
    members = [member(still, seed) for seed in (1, 2)]
    stacked = run(members, still(), training(precision="float64"), parts=rows())
    assert "vmap" in stacked[0].signature
    for each, outcome in zip(members, stacked, strict=True):
        [alone] = run([each], still(), training(precision="float64"), parts=rows())
        assert_close(outcome, alone)
        for name, mask in each.masks.items():
            assert bool((outcome.weights[name][~mask] == 0).all())


def test_members_with_dropout_are_stacked_and_draw_of_their_own() -> None:
    [one] = run([member(drawing, 1)], drawing(), training(), parts=rows())
    again, other = run([member(drawing, 1), member(drawing, 1)], drawing(), training(), parts=rows())
    assert "vmap" in again.signature
    assert not torch.equal(again.weights["classifier.weight"], other.weights["classifier.weight"])
    assert not torch.equal(again.weights["classifier.weight"], one.weights["classifier.weight"])


@pytest.mark.parametrize("size", [1, 2])
def test_slices_of_a_padded_batch_are_the_batch(size: int) -> None:
    members = [member(still, seed) for seed in range(size)]
    cut = run(members, still(), training(precision="float64"), parts=rows(), micro_batch=3)
    for outcome, whole in zip(cut, run(members, still(), training(precision="float64"), parts=rows()), strict=True):
        assert_close(outcome, whole)


@pytest.mark.parametrize("size", [1, 2])
def test_stop_and_resume_equals_never_stopping(size: int, tmp_path: Path) -> None:
    members = [member(drawing, seed) for seed in range(size)]
    whole = run(members, drawing(), training(), parts=rows())
    with pytest.raises(Interrupted):
        stopping = FolderJournal(tmp_path, stop_at=5)
        run(members, drawing(), training(), parts=rows(), journal=stopping, snapshot_seconds=0.0)
    resumed = run(members, drawing(), training(), parts=rows(), journal=FolderJournal(tmp_path))
    assert_same(whole, resumed)


@pytest.mark.parametrize("size", [1, 2])
def test_bfloat16_is_near(size: int) -> None:
    members = [member(still, seed) for seed in range(size)]
    exact = run(members, still(), training(lr=1e-3), parts=rows())
    for outcome, wanted in zip(
        run(members, still(), training(lr=1e-3, precision="bfloat16"), parts=rows()), exact, strict=True
    ):
        assert outcome.history.end["test/loss"] == pytest.approx(wanted.history.end["test/loss"], abs=0.02)
        assert not torch.equal(outcome.weights["classifier.weight"], wanted.weights["classifier.weight"])


RANKED = """
import sys
import torch
from test_bert_training import rows, still, training
from trainings import member, run
from lth.training.ranks import join

ranks = join("cpu")
torch.set_num_threads(1)
[outcome] = run([member(still, 1)], still(), training(), parts=rows(), ranks=ranks)
torch.save(outcome.weights, f"{sys.argv[1]}/{ranks.rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_ranks_that_pad_to_their_own_longest_train_what_one_process_trains(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    place |= {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", RANKED, str(tmp_path)]
    processes = [
        subprocess.Popen(command, env=os.environ | place | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    [alone] = run([member(still, 1)], still(), training(), parts=rows())
    for rank in range(2):
        weights = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, value in alone.weights.items():
            torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-4)
