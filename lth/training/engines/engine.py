"""What an engine is: the part of a training that moves weights. What all engines share lies in `loop.py`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from torch import Tensor

from lth.sparsity.types import Masks, Weights
from lth.training.snapshot import Snapshot
from lth.training.sparsifiers.running import MaskChange

Part = Literal["validation", "test"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a training leaves of one member.

    Attributes:
        weights: its whole state at the end.
        metrics: what was measured, as JSON values.
        num_steps: optimizer steps done by this call (after a resume: the last part).
        engine: name of the engine that did them.
        masks: the sparsifier's masks in force at the end, one for each parameter that has one in `Member.masks`; None
            without a sparsifier.
        traces: what was asked for by name: `movement_pruning`, by parameter; `moments` as one entry `moments/ENTRY` for
            each of the optimizer's.
        signature: of the engine, as text (`Signature`): all that the numbers depend on besides the arguments.
    """

    weights: Weights
    metrics: dict[str, Any]
    num_steps: int
    engine: str
    masks: Masks | None = None
    traces: dict[str, Weights] = field(default_factory=dict)
    signature: str = ""


@dataclass(frozen=True, slots=True)
class MaskChanges:
    """What a sparsifier did after `step` updates: one entry per member, None for one that is not finite."""

    step: int
    of_members: list[MaskChange | None]
    is_last: bool


class Engine(Protocol):
    """Members in the middle of their training: weights, optimizer, masks, and their best weights so far.

    Made by `(members, module, split, recipe, *, first_step, device, sparsifier, traces)`. What is due before the first
    update (a sparsifier may draw its masks there) is done when it is made.

    Attributes:
        name: for people and provenance, as `torch`.
        signature: text of the `Signature`: a training that went on from the snapshot of another one would go on with
            other numbers.
    """

    name: str
    signature: str

    def advance(self, step: int, count: int) -> Tensor:
        """Does `count` updates after `step` done ones: (count, member) float64 losses, each from before its update.

        The numbers must not depend on how a training is cut into calls. The losses may stay on the device.
        """

    def take_mask_changes(self) -> list[MaskChanges]:
        """Changes since the last call, in order; an engine without sparsifiers has none."""

    def evaluate(self, part: Part) -> tuple[list[float], list[float]]:
        """Mean loss and accuracy of each member."""

    def keep_best(self, improved: Sequence[bool]) -> None:
        """Keeps the present state of these members as their best."""

    def load_best(self) -> None:
        """Puts the best states in place of the present ones; called once, at the end."""

    def state_of(self, index: int) -> Weights:
        """A copy on the CPU of one member's whole state dict."""

    def masks_of(self, index: int) -> Masks | None:
        """A copy on the CPU of the sparsifier's masks in force; None without a sparsifier."""

    def traces_of(self, index: int) -> dict[str, Weights]:
        """Copies on the CPU of the traces that were asked for, as in `Outcome`."""

    def tensors(self, index: int) -> dict[str, Tensor]:
        """All that one member needs to go on, by `role/name`, in fresh tensors."""

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Puts every member where its snapshot was taken."""
