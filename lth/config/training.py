"""A training, resolved: all that determines how weights move, in whole steps. Engines and keys see this alone."""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lth.config.sparsifier import Sparsifier


class TaskSpec(BaseModel):
    """What is learned, for the record: an entry of TASKS and its arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "classification"
    version: int = 1
    arguments: dict[str, Any] = {}


class Function(BaseModel):
    """A function of the user's, by a name and a version that the user gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="package.module:function")
    version: str = "1"


class Training(BaseModel):
    """How a network is trained. Moments of the optimizer start at zero unless they are carried over."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: TaskSpec
    steps: int = Field(gt=0, description="where it ends, in optimizer steps")
    batch_size: int = Field(gt=0, description="examples of a step")
    lr: float = Field(gt=0, description="learning rate at its peak")
    optimizer: str = "adam"
    optimizer_options: dict[str, Any] = {}
    weight_decay: float = 0.0
    no_decay: tuple[str, ...] = ()
    lr_decay: Literal["constant", "cosine", "linear", "step"] = "constant"
    lr_milestones: tuple[int, ...] = ()
    lr_factor: float = 0.1
    final_lr: float = 0.0
    warmup: int = 0
    evaluate_every: int = 100
    clip: float | None = None
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    first_step: int = Field(default=0, ge=0, description="where in schedule and data order it starts")
    sparsifier: Sparsifier | None = Field(default=None, description="what prunes within the training")
    traces: tuple[str, ...] = Field(default=(), description="sums and moments that are kept beside the weights")
    measures: tuple[str, ...] = Field(default=(), description="entries of MEASURES that are taken on the way")
    train_only: tuple[str, ...] = Field(default=(), description="patterns of what trains, as a head; all by default")
    augment: tuple[str, ...] = Field(default=(), description="what is done to the images of training batches, in turn")
    function: Function | None = Field(default=None, description="the user's own, which trains in place of an engine")

    def with_(self, **changes: Any) -> "Training":
        """Return this training with other fields, checked."""
        return Training(**{name: getattr(self, name) for name in type(self).model_fields} | changes)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of the update after `step` finished ones: it follows from the step alone."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        match self.lr_decay:
            case "cosine":
                return self.final_lr + (self.lr - self.final_lr) * (1 + math.cos(math.pi * progress)) / 2
            case "linear":
                return self.final_lr + (self.lr - self.final_lr) * (1 - progress)
            case "step":
                return float(self.lr * self.lr_factor ** sum(step >= each for each in self.lr_milestones))
            case _:
                return self.lr

    def at_last_lr(self) -> "Training":
        """Return this training at its last learning rate throughout: fine-tuning, from its first step."""
        last = self.lr if self.lr_decay == "constant" else self.lr_at(self.steps - 1)
        return self.with_(lr=last, lr_decay="constant", lr_milestones=(), final_lr=0.0, warmup=0, first_step=0)
