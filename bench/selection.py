"""Global magnitude pruning of 124 million weights: time and peak memory, against `torch.nn.utils.prune`."""

import resource
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn.utils import prune

from bench.ratio import Row
from lth.sparsity import kth_smallest, select

TENSORS, ROWS, COLUMNS = 31, 2000, 2000  # 124,000,000 weights
TURNS = 3


def measure(way: str) -> tuple[float, float]:
    """Seconds and peak megabytes beyond the weights, of one way in a fresh process."""
    output = subprocess.run([sys.executable, "-m", "bench.selection", way], check=True, capture_output=True, text=True)
    elapsed, megabytes = map(float, output.stdout.split())
    return elapsed, megabytes


def selection_rows() -> list[Row]:
    """Time and memory of exact selection, and of the threshold alone, against torch's."""
    measured: dict[str, list[tuple[float, float]]] = {"select": [], "threshold": [], "torch": []}
    for _ in range(TURNS):
        for way, found in measured.items():
            found.append(measure(way))
    rows = []
    for way, what, column, unit in (
        ("threshold", "exact threshold", 0, "s"),
        ("select", "exact masks", 0, "s"),
        ("select", "exact masks", 1, "MB"),
    ):
        ours, theirs = ([pair[column] for pair in measured[key]] for key in (way, "torch"))
        ratios = tuple(b / a for a, b in zip(ours, theirs, strict=True))
        name = f"{what} of 124M weights / torch's global_unstructured"
        rows.append(Row(name, sorted(ours)[TURNS // 2], sorted(theirs)[TURNS // 2], unit, ratios))
    return rows


def _run(way: str) -> None:
    """One measurement, printed as seconds and megabytes."""
    generator = torch.Generator().manual_seed(0)
    layers = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(TENSORS))
    for layer in layers:
        layer.weight = nn.Parameter(torch.empty(ROWS, COLUMNS).normal_(generator=generator))
    weights = {f"{index:02}": layer.weight.detach() for index, layer in enumerate(layers)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    if way == "select":
        select(weights, {}, sparsity=0.8, key=torch.abs)
    elif way == "threshold":
        kth_smallest([(value, None) for value in weights.values()], int(0.8 * 124e6), torch.abs)
    else:
        prune.global_unstructured([(layer, "weight") for layer in layers], prune.L1Unstructured, amount=0.8)
    elapsed = time.perf_counter() - began
    print(elapsed, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


if __name__ == "__main__":
    _run(sys.argv[1])
