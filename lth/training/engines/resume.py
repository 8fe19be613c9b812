"""Stopping in the middle: what a training must keep of each member to go on with the same bits, and going on."""

from collections.abc import Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor

from lth.sparsity.types import Weights
from lth.training.history import History
from lth.training.moments import counter_device
from lth.training.population import Population
from lth.training.snapshot import Snapshot
from lth.training.sparsifiers import RunningSparsifier


class Resumable(Protocol):
    """The state of a training that moves with its steps."""

    population: Population
    optimizer: torch.optim.Optimizer
    histories: list[History]
    best: Weights
    sums: dict[str, Weights]
    sparsifier: RunningSparsifier | None
    recent: Tensor
    step: int
    evaluated_at: int


def take_snapshots(state: Resumable) -> list[Snapshot]:
    """One snapshot per member, in fresh tensors."""
    population = state.population
    names = {id(parameter): name for name, parameter in population.parameters.items()}

    def own(value: Tensor, index: int) -> Tensor:
        return population.own(value, index).detach().clone()

    snapshots = []
    for index, history in enumerate(state.histories):
        tensors = {f"state/{name}": own(value, index) for name, value in population.tensors().items()}
        tensors |= {f"best/{name}": own(value, index) for name, value in state.best.items()}
        for parameter, entries in state.optimizer.state.items():
            for entry, value in entries.items():
                if value is not None:
                    kept = own(value, index) if value.shape == parameter.shape else value.clone()
                    tensors[f"optimizer/{names[id(parameter)]}/{entry}"] = kept
        for kind, sums in state.sums.items():
            tensors |= {f"trace/{kind}/{name}": own(value, index) for name, value in sums.items()}
        if state.sparsifier is not None:
            tensors |= state.sparsifier.tensors(index)
        tensors["recent"] = state.recent[:, index].clone()
        tensors["generator/cpu"] = torch.get_rng_state()
        if population.device.type == "cuda":
            tensors["generator/cuda"] = torch.cuda.get_rng_state(population.device)
        snapshots.append(Snapshot(state.step, history, tensors, _engine(population)))
    return snapshots


def choose_snapshots(
    kept: Sequence[Sequence[Snapshot]], population: Population, first_step: int, checkpoints: Collection[int]
) -> list[Snapshot]:
    """The newest snapshots of one step that every member has; none if there is no such step.

    Snapshots of another engine do not count: their numbers would go on differently. Nor do those past a wanted
    checkpoint: another study may want what the one before did not.
    """
    limit = min((step for step in checkpoints if step > first_step), default=None)
    usable = [
        {
            snapshot.step: snapshot
            for snapshot in of_member
            if snapshot.engine == _engine(population) and (limit is None or snapshot.step < limit)
        }
        for of_member in kept
    ]
    common = set.intersection(*(set(of_member) for of_member in usable))
    return [of_member[max(common)] for of_member in usable] if common else []


@torch.no_grad()
def restore(state: Resumable, snapshots: Sequence[Snapshot]) -> None:
    """Puts a training where its members' snapshots were taken."""
    population = state.population
    device = population.device

    def gathered(role: str) -> Weights:
        parts = [snapshot.part(role) for snapshot in snapshots]
        return {name: population.gather([part[name] for part in parts]) for name in parts[0]}

    population.load(gathered("state"))
    state.best = gathered("best")
    state.sums |= {kind: gathered(f"trace/{kind}") for kind in state.sums}
    counters = counter_device(state.optimizer, device)
    for name, parameter in population.parameters.items():
        entries = [snapshot.part(f"optimizer/{name}") for snapshot in snapshots]
        own_shape = parameter.shape[1:] if population.is_stacked else parameter.shape
        for entry, value in entries[0].items():
            is_own = value.shape == own_shape and entry != "step"
            restored = population.gather([each[entry] for each in entries]) if is_own else value.to(counters)
            state.optimizer.state[parameter][entry] = restored
    if state.sparsifier is not None:
        state.sparsifier.restore(snapshots)
    state.recent = torch.stack([snapshot.tensors["recent"] for snapshot in snapshots], dim=1).to(device)
    state.histories = [snapshot.history for snapshot in snapshots]
    state.step = snapshots[0].step
    state.evaluated_at = max(history.iterations[-1] for history in state.histories if history.iterations)
    torch.set_rng_state(snapshots[0].tensors["generator/cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(snapshots[0].tensors["generator/cuda"], device)


def _engine(population: Population) -> str:
    return f"torch/{population.device.type}/{population.size}"
