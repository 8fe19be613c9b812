"""Global magnitude pruning of 124 million weights: time and peak memory, against `torch.nn.utils.prune`.

Each measurement is a process of its own. *Loaded* ones prune a smaller tensor first, before the weights are made, so
that the compiled loops are in memory; *fresh* ones pay for loading them, from the disk cache that an unmeasured run has
filled.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import prune

from bench.ratio import Effort, Row, timed
from bench.rss import growth
from lth.sparsity import kth_smallest, select

TENSORS, ROWS, COLUMNS = 31, 2000, 2000  # 124,000,000 weights
DENSITY = 0.2
TURNS = 3

WAYS = {
    "torch": "torch all fresh",
    "threshold, one thread": "threshold 1 loaded",
    "threshold, all threads": "threshold all loaded",
    "masks, all threads": "select all loaded",
    "masks, first call of a process": "select all fresh",
}


def measure(way: str, tensors: int) -> tuple[float, float]:
    """Seconds and peak megabytes beyond the weights, of one way in a fresh process."""
    command = [sys.executable, "-m", "bench.selection", *way.split(), str(tensors)]
    folder = Path(__file__).parent.parent
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
    elapsed, megabytes = map(float, done.stdout.split())
    return elapsed, megabytes


def selection_rows(effort: Effort) -> Iterator[Row]:
    """Time and memory of exact selection, and of the threshold alone, against torch's."""
    tensors, turns = (1, 1) if effort.is_tiny else (TENSORS, TURNS)
    if not effort.is_tiny:
        measure(WAYS["masks, all threads"], tensors)
    names = list(WAYS)[:2] if effort.is_tiny else list(WAYS)
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(turns):
        for name, found in measured.items():
            found.append(measure(WAYS[name], tensors))
    theirs = measured.pop("torch")
    for column, unit, clock in ((0, "s", " (wall time)"), (1, "MB", "")):
        for name, found in measured.items():
            # A tenth of a megabyte at least: memory is known to the page only, and may be too little to be seen.
            ours = tuple(max(each[column], 0.1 * column) for each in found)
            others = tuple(each[column] for each in theirs)
            millions = tensors * ROWS * COLUMNS // 10**6
            yield Row(f"{millions}M weights: {name} / global_unstructured{clock}", unit, ours, others, is_cost=True)


def _run(way: str, threads: str, state: str, tensors: str) -> None:
    """One measurement, printed as seconds and megabytes."""
    if threads != "all":
        torch.set_num_threads(int(threads))
    if state == "loaded":
        select({"small": torch.zeros(1 << 24)}, {}, density=DENSITY, key=torch.abs)
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Linear(1, 1, bias=False) for _ in range(int(tensors))]
    for layer in layers:
        layer.weight = nn.Parameter(torch.empty(ROWS, COLUMNS).normal_(generator=generator))
    weights = {f"{index:02}": layer.weight.detach() for index, layer in enumerate(layers)}
    num_removed = round((1 - DENSITY) * int(tensors) * ROWS * COLUMNS)
    ways: dict[str, Callable[[], object]] = {
        "select": lambda: select(weights, {}, density=DENSITY, key=torch.abs),
        "threshold": lambda: kth_smallest([(value, None) for value in weights.values()], num_removed, torch.abs),
        "torch": lambda: prune.global_unstructured(
            [(layer, "weight") for layer in layers], prune.L1Unstructured, amount=1 - DENSITY
        ),
    }
    elapsed: list[float] = []
    megabytes = growth(lambda: elapsed.append(timed(ways[way], time.perf_counter)))
    print(*elapsed, megabytes)


if __name__ == "__main__":
    _run(*sys.argv[1:])
