"""How a training prunes on its way."""

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class MaskChanges(BaseModel):
    """How often and how strongly a training changes its masks."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: ClassVar[str] = "Pruning within training"

    applications: int = Field(
        default=10, ge=1, description="mask changes between begin and end (noise has one per epoch instead)"
    )
    curve: Literal["cubic", "linear"] = Field(
        default="cubic", description="how sparsity rises in gradual and soft: cubic (fast at first), linear"
    )
    update_fraction: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="share of a layer's kept weights that set and rigl exchange at first; it falls to 0 as a cosine",
    )
    noise: str = Field(default="normal", description="distribution of sparsifier noise: normal, uniform")
    noise_scale: float = Field(
        default=1.0, gt=0, description="standard deviation of that noise, as a multiple of the layer's"
    )
    moments: Literal["zero", "keep", "restore"] = Field(
        default="zero",
        description="optimizer moments of weights that are pruned or revived: zero (start over), keep (left alone), "
        "restore (zero while pruned, put back on revival)",
    )


class MaskSchedule(MaskChanges):
    """When too. Shares are of the training's own steps, from its first to its last."""

    begin: float = Field(default=0.15, ge=0, le=1, description="share of the training before which masks stay")
    end: float = Field(default=0.85, gt=0, le=1, description="share of the training after which masks stay")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.begin > self.end:
            raise ValueError(f"begin {self.begin:g} comes after end {self.end:g}: it must come before")
        return self


class Sparsifier(MaskSchedule):
    """How a training prunes on its way."""

    method: str = Field(default="gradual", description="entry of SPARSIFIERS")
    density: float = Field(default=0.1, gt=0, lt=1, description="fraction of the prunable weights kept at the end")
    criterion: str = Field(default="large_final", description="which weights matter, of their present values")
    scope: str | None = Field(default=None, description="which weights are ranked together [default: the method's own]")
    release: bool = Field(
        default=False, description="at the end noise gives its weights their values back, in place of pruning them"
    )
