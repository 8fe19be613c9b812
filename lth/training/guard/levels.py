"""Iterative magnitude pruning around a training loop of the user's own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from lth.sparsity.metrics import density
from lth.sparsity.schedule import after_equal_steps
from lth.sparsity.types import Masks, State, Weights
from lth.training.guard.hold import Hold
from lth.training.guard.masks import prunable_masks
from lth.training.guard.optimizer import holds_any, is_skipped
from lth.training.guard.parameters import parameters_of, unwrapped
from lth.training.seeds import derive_seed
from lth.training.sparsifiers.method import check_density, keep, score


class Watch:
    """Follows the training of one level: counts its steps, takes the rewind point, puts pruned entries back."""

    def __init__(self, model: nn.Module, hold: Hold, take_at: int | None) -> None:
        self._model, self._hold, self._take_at = model, hold, take_at
        self._ids = {id(value) for value in model.parameters()}
        self._clock: torch.optim.Optimizer | None = None
        self.steps = 0
        self.taken: State | None = state_of(model) if take_at == 0 else None

    def after_optimizer(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take note of a step of any optimizer: those that hold weights of this model count by themselves."""
        if not holds_any(optimizer, self._ids):
            return
        if self._clock is None:  # calls of `step` so far were for steps that a GradScaler skipped
            self._clock, self.steps = optimizer, 0
        self._hold.apply()
        if optimizer is self._clock and not is_skipped(optimizer):  # of two optimizers, one counts
            self._count()

    def after_update(self) -> None:
        """Count a step that no optimizer makes."""
        self._hold.apply()
        if self._clock is None:
            self._count()

    def _count(self) -> None:
        self.steps += 1
        if self.steps == self._take_at:
            self.taken = state_of(self._model)


@dataclass(frozen=True, slots=True, eq=False)
class LoopLevel:
    """One training of the search: the dense network first, then each ticket, reset and with its masks in force.

    Attributes:
        number: 0 is the dense network.
        density: fraction of the prunable weights that is kept.
        model: the module that was given, to be trained now, by an optimizer made anew.
        masks: by parameter name.
        first_step: the step that its weights stem from: 0, or the rewind point. A schedule starts there.
    """

    number: int
    density: float
    model: nn.Module
    masks: Masks
    first_step: int
    _watch: Watch

    def __repr__(self) -> str:
        """Return one line: printing a network's masks helps nobody."""
        return f"LoopLevel({self.number}: {100 * self.density:.3g} % kept, from step {self.first_step:,})"

    def step(self) -> None:
        """Note one update of the weights, where it is not made by a `torch.optim.Optimizer`.

        Steps of optimizers that hold weights of the model are noted without it; a call after one changes nothing.
        """
        self._watch.after_update()


def levels(
    model: nn.Module,
    *,
    levels: int = 8,
    rate: float | None = None,
    per_level: float | None = None,
    rewind_to: int = 0,
    criterion: str = "large_final",
    scope: str = "global",
    prune_only: Sequence[str] = (),
    never_prune: Sequence[str] = (),
    seed: int = 0,
) -> Iterator[LoopLevel]:
    """Yield one level after the other; train `level.model` in the body of the loop.

    Between two levels the lowest weights of the present ones are pruned, and parameters and buffers go back to their
    values at the rewind point of level 0, pruned entries to zero. While the loop runs, steps of every optimizer that
    holds weights of the model are followed: pruned entries have no gradient and stay zero. The last level's trained
    weights stay in the model.

    Args:
        model: any module; it is trained in place.
        levels: tickets to make after the dense level, at least 1.
        rate: fraction of the remaining weights removed at each level [default: 0.2].
        per_level: in its place, fraction of all prunable weights removed at each level: 0.1 keeps 90, 80, 70 %.
        rewind_to: optimizer steps of level 0 after which weights and buffers are kept to go back to; 0 is the start.
        criterion: which weights matter: entry of CRITERIA that needs no examples.
        scope: which weights are ranked together: entry of SCOPES.
        prune_only: patterns of the parameters to prune, in place of the weights of linear and convolution layers.
        never_prune: patterns of parameters that stay dense.
        seed: of a criterion that draws.
    Raises:
        ValueError: if a setting cannot be, or level 0 ends before the rewind point.

    Source: Frankle & Carbin 2019, arXiv:1803.03635; Frankle et al. 2020, arXiv:1912.05671 (rewinding).
    """
    if levels < 1 or rewind_to < 0:
        raise ValueError(f"levels {levels}, rewind_to {rewind_to}: levels is 1 or more, rewind_to 0 or more")
    densities = _densities(levels, rate, per_level)
    masks = prunable_masks(model, prune_only=prune_only, never_prune=never_prune)
    check_density({name: mask.shape for name, mask in masks.items()}, densities[-1], scope)
    generator = torch.Generator().manual_seed(derive_seed(seed, "levels"))
    start = _values(model, masks)
    score(criterion, start, start, masks, torch.Generator(), {})  # raises what it must before anything is trained
    return _levels(model, masks, densities, rewind_to, criterion, scope, generator)


def _densities(levels: int, rate: float | None, per_level: float | None) -> list[float]:
    """Return the fraction of the prunable weights that each level keeps, from level 0."""
    if rate is not None and per_level is not None:
        raise ValueError(f"rate {rate} counts of the remaining weights, per_level {per_level} of all: leave one out")
    name, share = ("rate", 0.2 if rate is None else rate) if per_level is None else ("per_level", per_level)
    if not 0 < share < 1:
        raise ValueError(f"{name} {share}: a rate lies between 0 and 1, both excluded")
    if name == "per_level":
        return [after_equal_steps(share, number) for number in range(levels + 1)]
    return [(1 - share) ** number for number in range(levels + 1)]


def _levels(
    model: nn.Module,
    masks: Masks,
    densities: Sequence[float],
    rewind_to: int,
    criterion: str,
    scope: str,
    generator: torch.Generator,
) -> Iterator[LoopLevel]:
    parameters = parameters_of(model)
    hold = Hold({name: parameters[name] for name in masks})
    hold.set(masks)
    try:
        start, rewind = _values(model, masks), None
        for number, level_density in enumerate(densities):
            if number > 0:
                assert rewind is not None
                end = _values(model, masks)
                masks = keep(score(criterion, start, end, masks, generator, {}), masks, level_density, scope)
                load_state(model, rewind)
                _prune(parameters, masks)
                hold.set(masks)
                start = _values(model, masks)
            watch = Watch(model, hold, rewind_to if number == 0 else None)
            handle = register_optimizer_step_post_hook(watch.after_optimizer)
            try:
                first_step = rewind_to if number else 0
                yield LoopLevel(number, density(masks), model, dict(masks), first_step, watch)
            finally:
                handle.remove()
            hold.apply()
            rewind = rewind if number else watch.taken
            if rewind is None:
                raise ValueError(
                    f"level 0 ended after {watch.steps} steps, before its rewind point at step {rewind_to}: train "
                    "longer or rewind earlier. If no optimizer of torch makes the steps, call level.step() after each"
                )
    finally:
        hold.remove()


@torch.no_grad()
def _prune(parameters: Mapping[str, nn.Parameter], masks: Masks) -> None:
    for name, mask in masks.items():
        parameters[name].masked_fill_(~mask, 0.0)


def _values(model: nn.Module, masks: Masks) -> Weights:
    """Return copies of the prunable parameters."""
    return {name: value.detach().clone() for name, value in parameters_of(model).items() if name in masks}


def state_of(model: nn.Module) -> State:
    """Return a copy of all tensors in the module's state dict."""
    state = unwrapped(model).state_dict()
    return {name: value.detach().clone() for name, value in state.items() if isinstance(value, Tensor)}


@torch.no_grad()
def load_state(model: nn.Module, state: State) -> None:
    """Copy a state back into the module's own tensors, bit for bit, and drop its gradients."""
    for name, value in unwrapped(model).state_dict().items():
        if isinstance(value, Tensor):
            value.copy_(state[name])
    for parameter in model.parameters():
        parameter.grad = None
