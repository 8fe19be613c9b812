"""Global magnitude pruning of 124 million weights: time and peak memory, against `torch.nn.utils.prune`.

Each measurement is a process of its own. *Loaded* ones prune a smaller tensor first, before the weights are made, so
that the compiled loops are in memory; *fresh* ones pay for loading them, from the disk cache that an unmeasured run has
filled.
"""

import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn.utils import prune

from bench.ratio import Row
from lth.sparsity import kth_smallest, select

TENSORS, ROWS, COLUMNS = 31, 2000, 2000  # 124,000,000 weights
SPARSITY = 0.8
TURNS = 3

WAYS = {
    "torch": "torch all fresh",
    "threshold, one thread": "threshold 1 loaded",
    "threshold, all threads": "threshold all loaded",
    "masks, all threads": "select all loaded",
    "masks, first call of a process": "select all fresh",
}


def measure(way: str) -> tuple[float, float]:
    """Seconds and peak megabytes beyond the weights, of one way in a fresh process."""
    command = [sys.executable, "-m", "bench.selection", *way.split()]
    elapsed, megabytes = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    return elapsed, megabytes


def selection_rows() -> list[Row]:
    """Time and memory of exact selection, and of the threshold alone, against torch's."""
    measure(WAYS["masks, all threads"])
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(TURNS):
        for name, found in measured.items():
            found.append(measure(WAYS[name]))
    theirs = measured.pop("torch")
    rows = []
    for column, unit in ((0, "s"), (1, "MB")):
        for name, found in measured.items():
            pairs = [(ours[column], other[column]) for ours, other in zip(found, theirs, strict=True)]
            ours, others = (statistics.median(side) for side in zip(*pairs, strict=True))
            # Memory is known to the page only: a threshold may need none that can be seen.
            ratios = tuple(other / max(mine, 0.1) for mine, other in pairs)
            rows.append(Row(f"124M weights: {name} / global_unstructured", ours, others, unit, ratios))
    return rows


def _run(way: str, threads: str, state: str) -> None:
    """One measurement, printed as seconds and megabytes."""
    if threads != "all":
        torch.set_num_threads(int(threads))
    if state == "loaded":
        select({"small": torch.zeros(1 << 24)}, {}, sparsity=SPARSITY, key=torch.abs)
    generator = torch.Generator().manual_seed(0)
    layers = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(TENSORS))
    for layer in layers:
        layer.weight = nn.Parameter(torch.empty(ROWS, COLUMNS).normal_(generator=generator))
    weights = {f"{index:02}": layer.weight.detach() for index, layer in enumerate(layers)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    if way == "select":
        select(weights, {}, sparsity=SPARSITY, key=torch.abs)
    elif way == "threshold":
        kth_smallest([(value, None) for value in weights.values()], int(SPARSITY * 124e6), torch.abs)
    else:
        prune.global_unstructured([(layer, "weight") for layer in layers], prune.L1Unstructured, amount=SPARSITY)
    elapsed = time.perf_counter() - began
    print(elapsed, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


if __name__ == "__main__":
    _run(*sys.argv[1:])
