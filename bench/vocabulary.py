"""A loss by chunks of positions against one of all logits, where the vocabulary is large: time and memory of a step."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bench.gpt import BATCH, BLOCK, gpt_case
from bench.loops import ours
from bench.ratio import QUICK, Effort, Row, Way, take_turns
from bench.rss import growth
from lth.lineage.executors import one_thread
from lth.tasks import chunks

VOCABULARY = 50_257
"""That of GPT-2."""

SMALL = 4 * VOCABULARY
"""Logits of a chunk in the quick bench."""

STEPS = 3


def vocabulary_rows(effort: Effort) -> Iterator[Row]:
    """Seconds a step, and peak megabytes of a training beyond the process and its data."""
    ways = {name: _way(name == "chunks", effort) for name in ("chunks", "all")}
    times = take_turns(ways, effort)
    what = f"{BATCH} x {BLOCK} tokens of {VOCABULARY:,}: chunks / all logits"
    yield Row(f"step, {what}", "s", times["chunks"], times["all"], is_cost=True)
    memory: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 if effort.is_tiny else 3):
        for name, found in memory.items():
            found.append(_measured(name, effort))
    chunked, usual = (tuple(memory[name]) for name in ways)
    yield Row(f"memory, {what}", "MB", chunked, usual, is_cost=True)


@contextmanager
def _most_logits(number: int) -> Iterator[None]:
    before, chunks.MOST_LOGITS = chunks.MOST_LOGITS, number
    try:
        yield
    finally:
        chunks.MOST_LOGITS = before


def _way(is_chunked: bool, effort: Effort) -> Way:
    """The torch engine; it decides when it is made."""
    chunk = SMALL if effort.is_tiny else chunks.MOST_LOGITS
    with _most_logits(chunk if is_chunked else sys.maxsize):
        return ours(gpt_case(1.0, effort, VOCABULARY), "torch")


def _measured(name: str, effort: Effort) -> float:
    """Megabytes in a fresh process."""
    command = [sys.executable, "-m", "bench.vocabulary", name, "quick" if effort.is_tiny else "full"]
    folder = Path(__file__).parent.parent
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder).stdout)


def _print_memory(name: str, effort: Effort) -> None:
    with one_thread():
        torch.ones(64, 64).matmul(torch.ones(64, 64))  # loads what a first product loads
        print(growth(lambda: _way(name == "chunks", effort)(STEPS)))


if __name__ == "__main__":
    _print_memory(sys.argv[1], QUICK if sys.argv[2] == "quick" else Effort())
