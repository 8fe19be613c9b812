"""What an engine is: the part of a training that moves weights. What all engines share lies in `loop.py`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from lth.config import Training
from lth.data.types import Parts
from lth.sparsity.types import Masks, State, Traces
from lth.training.history import History, MaskChange
from lth.training.population import Member, Moments
from lth.training.snapshot import Snapshot
from lth.training.where import Where


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a training leaves of one member.

    Attributes:
        weights: its full state at the end.
        history: what was measured.
        num_steps: optimizer steps done by this call (after a resume: the last part).
        engine: name of the engine that did them.
        masks: the sparsifier's masks in force at the end, one for each parameter that has one in `Member.masks`; None
            without a sparsifier.
        traces: the sums that were asked for.
        moments: the optimizer's state at the end, if it was asked for.
        signature: of the engine, as text (`Signature`): all that the numbers depend on besides the arguments.
    """

    weights: State
    history: History
    num_steps: int
    engine: str
    masks: Masks | None = None
    traces: Traces = field(default_factory=dict)
    moments: Moments | None = None
    signature: str = ""


@dataclass(frozen=True, slots=True)
class StepChanges:
    """What a sparsifier did at one step: one entry per member, None for one that is not finite."""

    of_members: list[MaskChange | None]
    is_last: bool


class Engine(Protocol):
    """Members in the middle of their training: weights, optimizer, masks, and their best weights so far.

    Made by `(members, module, parts, training, where)`. What is due before the first step (a sparsifier may draw its
    masks there) is done when it is made.

    Attributes:
        name: for people and provenance, as `torch`.
        signature: text of the `Signature`: a training that went on from the snapshot of another one would go on with
            other numbers.
    """

    name: str
    signature: str

    def advance(self, step: int, count: int) -> Tensor:
        """Do `count` steps after `step` done ones: (count, member) float64 losses, each from before its step.

        The numbers must not depend on how a training is cut into calls. The losses may stay on the device.
        """

    def take_mask_changes(self) -> list[StepChanges]:
        """Return the changes since the last call, in order; an engine without sparsifiers has none."""

    def evaluate(self, part: str) -> list[dict[str, float]]:
        """Return the metrics of each member on a part of the data."""

    def measures_of(self, index: int, step: int, *, at_end: bool = False) -> dict[str, float]:
        """Return what the training's measures give of one member after `step` steps, in its order: once an evaluation.

        At the end: what they say of the whole training. An engine without measures has none.
        """

    def keep_best(self, improved: Sequence[bool]) -> None:
        """Keep the present state of these members as their best."""

    def load_best(self) -> None:
        """Put the best states in place of the present ones; called once, at the end."""

    def state_of(self, index: int) -> State:
        """Return a copy on the CPU of one member's full state dict."""

    def masks_of(self, index: int) -> Masks | None:
        """Return a copy on the CPU of the sparsifier's masks in force; None without a sparsifier."""

    def traces_of(self, index: int) -> Traces:
        """Return copies on the CPU of the sums that were asked for."""

    def moments_of(self, index: int) -> Moments | None:
        """Return a copy on the CPU of one member's optimizer state; None if it was not asked for."""

    def tensors(self, index: int) -> dict[str, Tensor]:
        """Return all that one member needs to go on, by `role/name`, in fresh tensors."""

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Put every member where its snapshot was taken."""


@dataclass(frozen=True, slots=True)
class EngineType:
    """An engine, for the table.

    Attributes:
        make: (members, module, parts, training, where) -> a running engine.
        obstacle: (module, training, population, device) -> what it cannot do there; None if it can train them.
        words: one line for people.
    """

    make: Callable[[Sequence[Member], nn.Module, Parts, Training, Where], Engine]
    obstacle: Callable[[nn.Module, Training, int, torch.device], str | None]
    words: str = ""
