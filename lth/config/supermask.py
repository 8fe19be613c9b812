"""How masks are learned while the weights stay as they were drawn."""

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SupermaskSettings(BaseModel):
    """How masks are learned over weights that are never trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: ClassVar[str] = "Supermask"

    method: Literal["bernoulli", "edge_popup"] = Field(
        default="bernoulli",
        description="bernoulli: each mask entry is drawn with a learned probability; edge_popup: the largest scores of "
        "each layer are kept",
    )
    density: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="fraction kept of each layer: with edge_popup always, with bernoulli on average at the start",
    )
    rescale: bool = Field(
        default=False,
        description="make up for masked weights: bernoulli multiplies those of a layer by number of weights / number "
        "kept, edge_popup by density to the power -1/2",
    )
    weights: Literal["initial", "signed_constant"] = Field(
        default="initial",
        description="the frozen weights: initial (as drawn), signed_constant (their signs times their layer's standard "
        "deviation)",
    )
    initial_score: float | None = Field(
        default=None, description="score that bernoulli starts from [default: the logit of density, 0 at 0.5]"
    )

    @model_validator(mode="after")
    def _initial_score_has_an_effect(self) -> Self:
        if self.method == "edge_popup" and self.initial_score is not None:
            raise ValueError("initial_score: edge_popup draws its first scores at random; leave the setting out")
        return self
