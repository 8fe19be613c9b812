"""The population: one network, or several of one kind stacked on a leading axis, with masks, losses and gradients."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lth.data.types import Examples, evaluation_batches
from lth.sparsity.types import Masks, State, Weights
from lth.tasks import Batch, Chunked, Tally, Task
from lth.training.ranks import ALONE, Ranks
from lth.training.seeds import Seeds
from lth.training.stacking import Stacking, call_with, stacked_losses, usual_stacking

if TYPE_CHECKING:
    from lth.training.sharding import Sharding  # loads torch.distributed.fsdp, a second

EVALUATION_BATCH = {"cpu": 200, "cuda": 1000}
"""Examples per forward pass of an evaluation. On a CPU larger batches no longer lie in its caches: of 200, 500 and 1000
examples, `convnet` took 70, 160 and 220 microseconds each, `transformer` 190, 240 and 350, LeNet-300-100 always 9."""

EVALUATION_TOKENS = {"cpu": 2**11, "cuda": 2**16}
"""Tokens per forward pass, padding included, where examples are rows of different lengths. Of 512, 1024, 2048, 4096,
8192 and 16384 on a CPU, `bert-tiny` took 1.46, 1.29, 1.19, 1.09, 1.26 and 1.36 ms for an example of SST-2."""

EVALUATION_TARGETS = 2**13
"""Targets per forward pass of an evaluation, at most: each may have the outputs of a whole vocabulary."""

Moments = dict[str, Weights]
"""Optimizer state by entry (`exp_avg`), by parameter name; step counters are 0-d."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One network to train.

    Attributes:
        key: its name in records.
        start: the full state that it starts from: parameters and buffers.
        masks: pruned entries stay at their start value; a parameter without a mask is dense.
        seeds: data order and augmentation (the initialisation lies in `start`).
        moments: optimizer state to start from, as a training leaves it that is asked for `moments`; None starts fresh.

    With a sparsifier, `masks` names what may be pruned: every prunable parameter has one, all True at a dense start.
    """

    key: str
    start: State
    masks: Masks
    seeds: Seeds
    moments: Moments | None = None


class Population:
    """Members side by side. One member is the plain module; several are stacked: every tensor gains a leading axis.

    Members of a stack are independent, so the sum of their losses gives each its own gradient and an elementwise
    optimizer serves them all.

    Attributes:
        stacking: how the passes of a stack are made; see `lth.training.stacking`.
        chunked: the task, where its loss is to be computed without all logits.
        sharding: how parameters are shared out over ranks; None where each rank has them whole. Of one network alone.
    """

    def __init__(
        self,
        module: nn.Module,
        members: Sequence[Member],
        device: torch.device,
        precision: str,
        task: Task,
        sharding: "Sharding | None" = None,
    ) -> None:
        self.size = len(members)
        self.is_stacked = self.size > 1
        self.device, self.precision, self.task = device, precision, task
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self._autocast = precision == "bfloat16"
        self.sharding = sharding
        # What is to be shared out is whole in this process's memory first, and never on its device.
        place = device if sharding is None else torch.device("cpu")
        self.module = module.to(device=place, dtype=self.dtype)
        self.stacking: Stacking = usual_stacking(module)
        self.chunked: Chunked | None = None
        check_start(module, members)
        first_name = {id(value): name for name, value in reversed(_all_parameters(module))}
        self._aliases = {name: first_name[id(value)] for name, value in _all_parameters(module)}
        state = self._stack([member.start for member in members], place)
        state = {name: value for name, value in state.items() if self._aliases.get(name, name) == name}
        trainable = [name for name, value in module.named_parameters() if value.requires_grad]
        if self.is_stacked:
            self.parameters = {name: state[name].requires_grad_() for name in trainable}
        else:
            module.load_state_dict(state, strict=False)  # a tied weight is loaded once, under its first name
            if sharding is not None:
                sharding.apply(module)
            live = module.state_dict()
            state = {name: live[name] for name in state}
            self.parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self.buffers = {name: value for name, value in state.items() if name not in self.parameters}
        self.set_masks([member.masks for member in members])

    def _stack(self, states: Sequence[State], device: torch.device) -> State:
        """Return copies of the states (never aliases), stacked if there are several."""

        def place(value: Tensor) -> Tensor:
            return value.detach().to(device, self.dtype if value.is_floating_point() else value.dtype, copy=True)

        if not self.is_stacked:
            return {name: place(value) for name, value in states[0].items()}
        return {name: torch.stack([place(state[name]) for state in states]) for name in states[0]}

    def set_masks(self, masks_by_member: Sequence[Masks]) -> None:
        """Train each member under these masks from now on: pruned entries are frozen at the values they have now.

        Masks are kept as floats for the gradients; tensors that no member prunes get none, so they cost nothing.
        """
        self.masked: list[Tensor] = []
        self._mask_factors: list[Tensor] = []
        for name, parameter in self.parameters.items():
            ones = torch.ones(self.own(parameter, 0).shape, dtype=torch.bool, device=self.device)
            masks = [masks.get(name, ones).to(self.device) for masks in masks_by_member]
            if any(not bool(mask.all()) for mask in masks):
                self.masked.append(parameter)
                self._mask_factors.append(self.part(self.gather(masks).to(self.dtype), parameter))
        self._frozen = [
            parameter.detach() * (1 - factor) for parameter, factor in zip(self.masked, self._mask_factors, strict=True)
        ]
        self.has_nonzero_frozen = any(self._has_nonzero(values) for values in self._frozen)

    def own(self, value: Tensor, index: int) -> Tensor:
        """Return one member's part of a tensor that is stacked if the population is; not a copy."""
        return value[index] if self.is_stacked else value

    def gather(self, values: Sequence[Tensor]) -> Tensor:
        """Return one tensor of each member as the population holds them: stacked if there are several."""
        return (torch.stack(list(values)) if self.is_stacked else values[0]).to(self.device)

    def part(self, values: Tensor, like: Tensor) -> Tensor:
        """Return what this rank holds of values like a parameter: all, unless parameters are shared out."""
        return values if self.sharding is None else self.sharding.part(values, like)

    def whole(self, values: Tensor) -> Tensor:
        """Return values like a parameter in one piece; every rank must call."""
        return values if self.sharding is None else self.sharding.whole(values)

    def _has_nonzero(self, values: Tensor) -> bool:
        return bool(values.count_nonzero()) if self.sharding is None else self.sharding.has_nonzero(values)

    def fitted(self, batch: Batch) -> Batch:
        """Return a batch with its floats in the population's type."""
        return {name: each.to(self.dtype) if each.is_floating_point() else each for name, each in batch.items()}

    @torch.no_grad()
    def run(self, index: int, batch: Batch) -> Tensor:
        """Return what one member's network gives for a batch, in evaluation mode."""
        was_training = self.module.training
        self.module.eval()
        try:
            with self._precision():
                return self.task.forward(self._caller(index), self.fitted(batch))
        finally:
            self.module.train(was_training)

    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of each member on its own batch, (member,).

        Tensors of the batch are (member, batch, ...); of one member alone (batch, ...).
        """
        with self._precision():
            if self.chunked is not None:
                return self.chunked.loss_in_chunks(self.module, batch).unsqueeze(0)
            if not self.is_stacked:
                outputs = self.task.forward(self.module, batch)
                return self.task.loss(outputs, batch).unsqueeze(0)
            return stacked_losses(
                self.module, self.task, self._aliases, self.stacking, self.parameters, self.buffers, batch
            )

    @torch.no_grad()
    def evaluate(self, examples: Examples, ranks: Ranks = ALONE) -> list[dict[str, float]]:
        """Return the metrics of each member on the same examples, in evaluation mode; ranks share the batches."""
        tallies: list[Tally | None] = [None] * self.size
        was_training = self.module.training
        self.module.eval()
        with self._precision():
            size = min(EVALUATION_BATCH.get(self.device.type, 1000), _examples_of(EVALUATION_TARGETS, examples))
            batches = evaluation_batches(examples, size, EVALUATION_TOKENS.get(self.device.type, 2**16))
            for indices in batches[ranks.rank :: ranks.size]:
                batch = self.fitted(examples.take(indices, self.device))
                for index in range(self.size):
                    outputs = self.task.forward(self._caller(index), batch)
                    more = self.task.tally(outputs, batch)
                    before = tallies[index]
                    tallies[index] = more if before is None else self.task.merge(before, more)
            if self.sharding is not None:
                self._pass_along(len(batches), examples, ranks)
        self.module.train(was_training)
        if ranks.size == 1:
            return [self.task.read(self._merged([tally])) for tally in tallies]
        on_cpu = [None if tally is None else {name: value.cpu() for name, value in tally.items()} for tally in tallies]
        of_ranks = ranks.all_gather(on_cpu)
        return [self.task.read(self._merged(list(of_member))) for of_member in zip(*of_ranks, strict=True)]

    def _pass_along(self, num_batches: int, examples: Examples, ranks: Ranks) -> None:
        """Take part in a last pass of other ranks where this one has no batch left: each pass needs all ranks."""
        beyond = num_batches % ranks.size
        if 0 < beyond <= ranks.rank:
            batch = examples.take(torch.zeros(1, dtype=torch.int64), self.device)
            self.task.forward(self.module, self.fitted(batch))

    def _merged(self, tallies: Sequence[Tally | None]) -> Tally:
        """Return one member's tallies of all ranks as one; a rank without batches has none."""
        there = [tally for tally in tallies if tally is not None]
        return functools.reduce(self.task.merge, there)

    def _caller(self, index: int) -> Callable[..., Any]:
        """Return one member's network as a function."""
        if not self.is_stacked:
            return self.module
        parameters = {name: value[index] for name, value in self.parameters.items()}
        buffers = {name: value[index] for name, value in self.buffers.items()}
        return call_with(self.module, self._aliases, parameters, buffers)

    def mask_gradients(self) -> None:
        """Set gradients of pruned entries to zero: before any clipping, so that they do not inflate the norm."""
        pairs = [(p.grad, mask) for p, mask in zip(self.masked, self._mask_factors, strict=True) if p.grad is not None]
        if pairs:
            torch._foreach_mul_([gradient for gradient, _ in pairs], [mask for _, mask in pairs])

    def clip_gradients(self, max_norm: float) -> None:
        """Scale each member's gradient to at most this norm."""
        if not self.is_stacked:
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), max_norm)
            return
        gradients = [parameter.grad for parameter in self.parameters.values() if parameter.grad is not None]
        squares = torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients])  # (tensor, member)
        factors = (max_norm / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))

    @torch.no_grad()
    def restore_frozen(self) -> None:
        """Put pruned entries back to their fill value, bit for bit (needed where weight decay moves them)."""
        for parameter, factor, frozen in zip(self.masked, self._mask_factors, self._frozen, strict=True):
            parameter.copy_(torch.where(factor.bool(), parameter, frozen))

    def tensors(self) -> State:
        """Return the live parameters and buffers, stacked if there are several members; not copies."""
        return {name: value.detach() for name, value in self.parameters.items()} | self.buffers

    @torch.no_grad()
    def load(self, tensors: State) -> None:
        """Copy values into the live parameters and buffers; names and shapes are those of `tensors()`."""
        for name, value in self.tensors().items():
            value.copy_(self.part(tensors[name], value))

    def state_of(self, index: int) -> State:
        """Return a copy on the CPU of one member's full state, under every name of the module's state dict."""
        own = {name: self.whole(self.own(value, index)) for name, value in self.tensors().items()}
        names = self.module.state_dict().keys()
        return {name: own[self._aliases.get(name, name)].detach().cpu().clone() for name in names}

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Make passes that leave no trace in buffers, gradients and generators."""
        buffers = {name: value.clone() for name, value in self.buffers.items()}
        try:
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                yield
        finally:
            for name, value in self.buffers.items():
                value.copy_(buffers[name])
            for parameter in self.parameters.values():
                parameter.grad = None

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self._autocast else nullcontext()


def _examples_of(targets: int, examples: Examples) -> int:
    """Return how many examples have so many targets, at least one."""
    first = examples.take(torch.zeros(1, dtype=torch.int64), torch.device("cpu")) if len(examples) else {}
    return max(1, targets // max(1, first["y"].numel())) if "y" in first else targets


def check_start(module: nn.Module, members: Sequence[Member]) -> None:
    """Check that members start from weights and masks of this module.

    Raises:
        ValueError: if a name or a shape is another.
    """
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    for member in members:
        found = {name: tuple(value.shape) for name, value in member.start.items()}
        if found != expected:
            wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
            raise ValueError(f"the starting weights do not fit the model: {', '.join(wrong)} differ in name or shape")
        own = {name for name, _ in module.named_parameters()}
        unfit = [name for name, mask in member.masks.items() if name not in own or mask.shape != expected[name]]
        if unfit:
            raise ValueError(
                f"the masks do not fit the model: {', '.join(unfit)} differ in name or shape from its parameters "
                f"({', '.join(sorted(own))})"
            )


def _all_parameters(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Return every name of every parameter: a tied weight appears once per name."""
    return list(module.named_parameters(remove_duplicate=False))
