"""The recipe: what determines a training, apart from where it starts, its masks, its data and its seeds."""

import math
import warnings
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lth.config.duration import Duration, to_steps
from lth.config.text import Options, split_names


class Recipe(BaseModel):
    """How a network is trained. Moments of the optimizer start at zero unless they are carried over."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    optimizer: str = Field(default="adam", description="optimizer, by its name in torch.optim: adam, adamw, sgd, ...")
    optimizer_options: Options = Field(
        default={}, description="further options of the optimizer, as momentum=0.9,betas=0.9:0.99"
    )
    lr: float = Field(default=1.2e-3, gt=0, description="learning rate per step, at its peak")
    lr_decay: Literal["constant", "cosine", "linear", "step"] = Field(
        default="constant",
        description="how the learning rate falls to the end of the training: constant, cosine, linear, step",
    )
    lr_milestones: Annotated[tuple[Duration, ...], BeforeValidator(split_names)] = Field(
        default=(), description="where decay 'step' multiplies by the factor, as 3000it,4000it"
    )
    lr_factor: float = Field(default=0.1, gt=0, le=1, description="factor of decay 'step' at each milestone")
    warmup: Duration = Field(default="0it", description="linear warm-up of the learning rate from 0")
    batch_size: int = Field(
        default=60, ge=1, description="examples per step; an epoch's incomplete last batch is left out"
    )
    duration: Duration = Field(default="5000it", description="length of the training")
    weight_decay: float = Field(default=0.0, ge=0, description="weight decay, as the optimizer means it")
    clip: float | None = Field(
        default=None, gt=0, description="largest norm of one network's gradient [default: no clipping]"
    )
    evaluate_every: int = Field(default=100, ge=1, description="steps between evaluations on the validation split")
    precision: Literal["float32", "float64", "bfloat16"] = Field(
        default="float32", description="arithmetic: float32, float64, or bfloat16 (autocast over float32 weights)"
    )
    loss: Literal["cross_entropy", "mean_squared_error"] = Field(
        default="cross_entropy",
        description="what is minimised: cross_entropy (softmax), mean_squared_error (of the logits to one-hot labels, "
        "mean over examples and classes)",
    )

    def in_steps(self, num_train: int) -> "Recipe":
        """This recipe with every duration counted in steps, for `num_train` training examples.

        Raises:
            ValueError: if an epoch holds no full batch, or a duration is empty or out of order.
        """
        per_epoch = num_train // self.batch_size
        if per_epoch == 0:
            raise ValueError(f"batch size {self.batch_size} is larger than the {num_train} training examples")
        steps = {name: to_steps(getattr(self, name), per_epoch) for name in ("duration", "warmup")}
        milestones = [to_steps(milestone, per_epoch) for milestone in self.lr_milestones]
        if steps["duration"] < 1:
            raise ValueError(f"duration {self.duration!r} trains nothing: at least 1it is needed")
        if steps["warmup"] >= steps["duration"]:
            raise ValueError(f"warmup {self.warmup!r} is as long as the training ({self.duration}): make it shorter")
        if milestones and self.lr_decay != "step":
            warnings.warn(f"lr_milestones has no effect with lr_decay {self.lr_decay!r}: use 'step'", stacklevel=2)
        if milestones != sorted(set(milestones)) or any(not 0 < step < steps["duration"] for step in milestones):
            raise ValueError(f"lr_milestones {list(self.lr_milestones)} must rise and lie within {self.duration}")
        changes: dict[str, Any] = {name: f"{count}it" for name, count in steps.items()}
        return self.model_copy(update={**changes, "lr_milestones": tuple(f"{step}it" for step in milestones)})

    @property
    def steps(self) -> int:
        """Number of optimizer steps (the recipe must be counted in steps)."""
        return _count(self.duration)

    def lr_at(self, step: int) -> float:
        """Learning rate of the update after `step` finished ones: it follows from the step alone, so it rewinds."""
        warmup = _count(self.warmup)
        if step < warmup:
            return self.lr * (step + 1) / warmup
        progress = (step - warmup) / max(1, self.steps - warmup)
        match self.lr_decay:
            case "cosine":
                return self.lr * (1 + math.cos(math.pi * progress)) / 2
            case "linear":
                return self.lr * (1 - progress)
            case "step":
                return float(
                    self.lr * self.lr_factor ** sum(step >= _count(milestone) for milestone in self.lr_milestones)
                )
            case _:
                return self.lr


def _count(duration: str) -> int:
    assert duration.endswith("it"), f"{duration!r}: call in_steps() first"
    return int(duration[:-2])
