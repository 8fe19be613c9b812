"""How a training prunes on its way."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class MaskChanges(BaseModel):
    """When and how strongly a training changes its masks. Shares are of its own steps, from its first to its last."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    begin: float = Field(default=0.15, ge=0, le=1, description="share of the training before which masks rest")
    end: float = Field(default=0.85, gt=0, le=1, description="share of the training after which masks rest")
    applications: int = Field(
        default=10, ge=1, description="mask changes between begin and end (noise has one an epoch instead)"
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
    noise: Literal["normal", "uniform"] = Field(default="normal", description="distribution of sparsifier noise")
    noise_scale: float = Field(
        default=1.0, gt=0, description="standard deviation of that noise, as a multiple of the layer's"
    )


class Sparsifier(MaskChanges):
    """How a training prunes on its way."""

    method: Literal["gradual", "set", "rigl", "soft", "noise"] = Field(
        default="gradual",
        description="gradual (more weights step by step), set (drops small weights, regrows at random), rigl (regrows "
        "where gradients are large), soft (zeroed weights train on until the end), noise (pruned weights are noise)",
    )
    density: float = Field(default=0.1, gt=0, lt=1, description="fraction of the prunable weights kept at the end")
    criterion: str = Field(
        default="large_final",
        description="which weights matter, of their present values; set and rigl drop by magnitude in any case",
    )
    scope: str | None = Field(
        default=None,
        description="which weights are ranked together: global, layerwise, erk, uniform-plus "
        "[default: erk for set and rigl, else global]",
    )
    moments: Literal["zero", "keep", "restore"] = Field(
        default="zero",
        description="optimizer moments of weights that are pruned or revived: zero (start over), keep (left alone), "
        "restore (zero while pruned, put back on revival)",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.begin > self.end:
            raise ValueError(f"begin {self.begin} comes after end {self.end}: it must not")
        if self.method in ("set", "rigl") and self.criterion != "large_final":
            raise ValueError(
                f"criterion {self.criterion!r} has no effect: method {self.method!r} drops weights by magnitude. Leave "
                "it at 'large_final', or use method 'gradual', 'soft' or 'noise'"
            )
        return self

    @property
    def scope_name(self) -> str:
        """The scope in use, the method's own where none was chosen."""
        return self.scope or ("erk" if self.method in ("set", "rigl") else "global")
