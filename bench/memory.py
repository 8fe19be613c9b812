"""Memory of a training, by density, each measured in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from bench.cases import Case, lenet, mnist_shaped, training
from bench.loops import ours
from bench.ratio import QUICK, Effort, Row, Turns
from bench.rss import growth
from lth.data import split
from lth.sparsity import select

DENSITIES = (1.0, 0.17, 0.012)
STEPS = 3


def memory_rows(effort: Effort) -> Iterator[Row]:
    """Peak megabytes that a training takes beyond the process, its data and the weights it starts from."""
    width, turns = (64, 1) if effort.is_tiny else (2048, 3)
    for density in DENSITIES[-1:] if effort.is_tiny else DENSITIES:
        found = {engine: measure(engine, density, width, turns) for engine in ("sparse", "torch")}
        what = f"memory, 784-{width}-{width}-10, {100 * density:g} %: sparse / torch engine"
        yield Row(what, "MB", found["sparse"], found["torch"], is_cost=True)


def measure(engine: str, density: float, width: int, turns: int) -> Turns:
    """Megabytes in so many fresh processes."""
    command = [sys.executable, "-m", "bench.memory", engine, str(density), str(width)]
    folder = Path(__file__).parent.parent
    runs = [subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder) for _ in range(turns)]
    return tuple(float(run.stdout) for run in runs)


def wide(density: float, width: int) -> Case:
    """A perceptron with two wide layers on a few images, masked at random."""
    torch.manual_seed(0)

    def make() -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )

    start = make().state_dict()
    weights = {name: value for name, value in start.items() if value.ndim > 1}
    masks = select(weights, {}, density=density, key=torch.abs) if density < 1 else {}
    start = {name: value * masks[name] if name in masks else value for name, value in start.items()}
    return Case("wide", make, start, masks, split(mnist_shaped(600), validation=60, seed=0), training(100))


def _run(engine: str, density: float, width: int) -> None:
    """One measurement, printed as megabytes."""
    ours(lenet(0, QUICK, {}), engine)(STEPS)  # loads what is compiled
    case = wide(density, width)
    print(growth(lambda: ours(case, engine)(STEPS)))


if __name__ == "__main__":
    _run(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
