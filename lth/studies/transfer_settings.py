"""How tickets are found on one task and tried on another."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lth.config import Duration, Pruning, Recipe, StudySettings
from lth.config.text import Options, split_names

Controls = Annotated[tuple[Literal["random", "reinit"], ...], BeforeValidator(split_names)]


class Transfer(StudySettings):
    """Where tickets come from, what becomes of head and inputs, and what stands beside them on the target.

    The target is `data` with the recipe; the source has its own of what is named `source_...`, and the target's of the
    rest. Task and loss of other data are their own.
    """

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    source_data: str | None = Field(default=None, description="data that tickets are found on [default: the target's]")
    source_task: str | None = Field(default=None, description="task of the source [default: what its data are for]")
    source_loss: str | None = Field(default=None, description="loss of the source [default: the task's first]")
    source_optimizer: str | None = Field(default=None, description="optimizer of the source [default: the target's]")
    source_optimizer_options: Options | None = Field(
        default=None, description="its further options [default: the target's, of another optimizer none]"
    )
    source_lr: float | None = Field(default=None, gt=0, description="learning rate of the source [default: as above]")
    source_warmup: Duration | None = Field(default=None, description="warm-up of the source [default: the target's]")
    source_batch_size: int | None = Field(default=None, ge=1, description="its batch size [default: the target's]")
    source_duration: Duration | None = Field(default=None, description="its length [default: the target's]")
    source_weight_decay: float | None = Field(
        default=None, ge=0, description="its weight decay [default: the target's]"
    )
    head: Literal["redraw", "rewind"] = Field(
        default="redraw",
        description="the output layer: redraw (dense everywhere, and on the target as the target's own networks draw "
        "it), rewind (pruned, and it moves with the ticket: shapes must agree)",
    )
    adapt: str = Field(
        default="pad",
        description="how the target's inputs get the shape of the source's: pad (zeros around smaller images), resize "
        "(bilinear), none; channels are repeated or averaged, flat features followed by zeros",
    )
    levels: int = Field(default=4, ge=1, le=100, description="rounds of pruning, rewinding and training again")
    rewind_to: Duration = Field(
        default="0it", description="where kept weights go back to, in the dense training of the source or the target"
    )
    controls: Controls = Field(
        default=("random", "reinit"),
        description="beside the tickets: random (random mask with the source ticket's density in every layer), reinit "
        "(the source ticket's mask, weights drawn anew); none",
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        description="what the source's ticket may lose and still be as good as the target's, in the metric's own unit: "
        "0.005 is half a point of accuracy",
    )
    training: Recipe = Recipe(duration="600it")
    masks: Pruning = Pruning()

    @field_validator("adapt")
    @classmethod
    def _rule_is_known(cls, name: str) -> str:
        from lth.models.adapt import ADAPTERS  # loads torch, which help does without

        if name != "none":
            ADAPTERS.pick(name)
        return name

    @model_validator(mode="after")
    def _names_a_task_of_the_source_with_its_data(self) -> Self:
        for name in ("source_task", "source_loss"):
            if getattr(self, name) is not None and not self.has_other_data:
                raise ValueError(
                    f"{name} goes with --source-data: on the same data the source learns what the target does"
                )
        return self

    @property
    def has_other_data(self) -> bool:
        """Whether the source has data of its own."""
        return self.source_data not in (None, self.data)

    @property
    def own(self) -> dict[str, Any]:
        """What the source has of its own, by the names of the target's settings."""
        given = {name: getattr(self, f"source_{name}") for name in OWN_SETTINGS}
        return {name: value for name, value in given.items() if value is not None}


OWN_SETTINGS = tuple(name.removeprefix("source_") for name in Transfer.model_fields if name.startswith("source_"))
"""What a source may have of its own, by the names of the target's settings."""


def source_of(settings: Transfer) -> dict[str, StudySettings]:
    """Return the settings of the source."""
    own = settings.own
    changes: dict[str, Any] = {f"source_{name}": None for name in OWN_SETTINGS}
    if settings.has_other_data:
        changes |= {"task": None, "loss": None}
    if own.get("optimizer", settings.training.optimizer) != settings.training.optimizer:
        changes |= {"optimizer_options": {}}
    return {"source": settings.with_(**changes | own)}
