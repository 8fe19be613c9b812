"""Measures in a running training: when each is taken, of whom, and what is kept in between."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from lth.config import Training
from lth.data.types import Examples
from lth.sparsity.types import Masks, Weights
from lth.training.measures.measure import Memory, View
from lth.training.measures.table import MEASURES
from lth.training.population import Member, Population
from lth.training.sparsifiers import RunningSparsifier

BEFORE = "before"
"""In tensors, beside the memories of measures: the masks at the last measurement."""


class RunningMeasures:
    """What is measured of a population while it trains: at evaluations, each measure on a schedule of its own."""

    def __init__(
        self,
        training: Training,
        members: Sequence[Member],
        population: Population,
        sparsifier: RunningSparsifier | None,
        examples: Examples,
    ) -> None:
        """Start before the first step; `examples` are those of validation.

        Raises:
            ValueError: if a measure is unknown, or cannot measure this network.
        """
        self.measures = {name: MEASURES.pick(name) for name in training.measures}
        for measure in self.measures.values():
            if measure.check is not None:
                measure.check(population.module)
        self._examples = examples
        self.training, self._population, self._sparsifier = training, population, sparsifier
        self._fixed = [
            {name: member.masks[name].to(population.device) for name in population.parameters if name in member.masks}
            for member in members
        ]
        self._memories: list[dict[str, Memory]] = [{name: {} for name in self.measures} for _ in members]
        self._before: list[Masks | None] = [None for _ in members]
        self._gradients: Weights = {}

    def is_due(self, name: str, step: int) -> bool:
        """Return whether a measure is taken at the evaluation after `step` steps."""
        first, last = self.training.first_step, self.training.steps
        number = step // self.training.evaluate_every
        return step in (first, last) or number % self.measures[name].every == 0

    def keep_gradients(self, step: int) -> None:
        """Copy the gradients of this step, which are not masked yet, if a measure looks at them after it."""
        after, readers = step + 1, [name for name, each in self.measures.items() if each.reads_gradients]
        is_evaluation = after % self.training.evaluate_every == 0 or after == self.training.steps
        if is_evaluation and any(self.is_due(name, after) for name in readers):
            parameters = self._population.parameters
            self._gradients = {
                name: value.grad.clone()
                for name, value in parameters.items()
                if value.grad is not None and any(name in masks for masks in self._fixed)
            }

    @torch.no_grad()
    def values(self, index: int, step: int) -> dict[str, float]:
        """Return what is due of one member at this evaluation, by the name of its curve."""
        kept, values = self._kept(index), dict[str, float]()
        for name, measure in self.measures.items():
            if self.is_due(name, step):
                values |= measure.compute(self._view(index, step, name, kept))
        self._before[index] = kept
        if index == len(self._fixed) - 1:
            self._gradients = {}
        return values

    @torch.no_grad()
    def at_end(self, index: int) -> dict[str, float]:
        """Return what the measures say of one member's whole training."""
        values = dict[str, float]()
        for name, measure in self.measures.items():
            if measure.finish is not None:
                values |= measure.finish(self._view(index, self.training.steps, name, self._kept(index)))
        return values

    def tensors(self, index: int) -> dict[str, Tensor]:
        """Return what one member needs to go on, by `measure/...`, in fresh tensors."""
        tensors = {
            f"measure/{name}/{key}": value
            for name, memory in self._memories[index].items()
            for key, value in memory.items()
        }
        tensors |= {f"measure/{BEFORE}/{name}": mask for name, mask in (self._before[index] or {}).items()}
        return {path: value.detach().clone() for path, value in tensors.items()}

    def restore(self, index: int, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` were taken, which have no prefix here."""
        device = self._population.device

        def part(role: str) -> dict[str, Tensor]:
            paths = [path for path in tensors if path.startswith(f"{role}/")]
            return {path.removeprefix(f"{role}/"): tensors[path].to(device, copy=True) for path in paths}

        self._memories[index] = {name: part(name) for name in self.measures}
        self._before[index] = part(BEFORE) or None

    def _kept(self, index: int) -> Masks:
        """Return one member's masks: those of the sparsifier's last change, whether they are in force yet or not."""
        return self._fixed[index] if self._sparsifier is None else self._sparsifier.masks[index]

    def _view(self, index: int, step: int, name: str, kept: Masks) -> View:
        population, first, every = self._population, self.training.first_step, self.training.evaluate_every
        return View(
            step=step,
            measurements=self.training.steps // every - first // every + 2,
            weights={each: population.own(value.detach(), index) for each, value in population.parameters.items()},
            kept=kept,
            before=self._before[index],
            gradients={each: population.own(value, index) for each, value in self._gradients.items() if each in kept},
            target=self._target(step, kept),
            memory=self._memories[index][name],
            module=population.module if self.measures[name].examples else None,
            run=self._run(index, self.measures[name].examples),
        )

    def _run(self, index: int, count: int) -> Callable[[], object] | None:
        """Return what passes the first validation examples through one member's network."""
        if not count:
            return None
        population, indices = self._population, torch.arange(min(count, len(self._examples)))
        return lambda: population.run(index, self._examples.take(indices, population.device))

    def _target(self, step: int, kept: Masks) -> float:
        if self._sparsifier is None:
            total = sum(mask.numel() for mask in kept.values())
            return 1 - sum(int(mask.sum()) for mask in kept.values()) / total if total else 0.0
        due = [each.density for each in self._sparsifier.plan if each.step <= step]
        return 1 - due[-1] if due else 0.0
